use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::capture::recording::{Exchange, Meta, Side, Step};
use crate::jsonrpc::frame::{FrameDecoder, Framed};

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{},"sampling":{}}}"#;

fn message(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn exchange(
    era: Era,
    method: &str,
    params: &str,
    messages: &[(Side, &str)],
    response: &str,
) -> Exchange {
    Exchange {
        method: method.to_owned(),
        params: Some(message(params)),
        era,
        messages: messages
            .iter()
            .map(|(from, text)| Step {
                from: *from,
                message: message(text),
            })
            .collect(),
        response: (!response.is_empty()).then(|| message(response)),
    }
}

fn answer_of(text: &str) -> String {
    format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":99,\"result\":{{\"content\":[],\"n\":1.0,\"t\":\"{text}\"}}}}"
    )
}

fn recording(exchanges: impl IntoIterator<Item = Exchange>) -> Recording {
    let mut recording = Recording::new(Meta::default());
    recording
        .set_handshake(r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true},"tasks":{}},"serverInfo":{"name":"n","version":"1"},"x":1.0}}"#)
        .unwrap();
    let first = r#"{"result":{"tools":[{"name":"a"}],"nextCursor":""},"jsonrpc":"2.0","id":1}"#;
    let second = r#"{"result":{"tools":[{"name":"b"}]},"jsonrpc":"2.0","id":2}"#;
    recording
        .set_list(ListKind::Tools, [first, second])
        .unwrap();
    for exchange in exchanges {
        recording.add_exchange(exchange).unwrap();
    }
    recording
}

/// The call with a notification and a question that most tests use.
fn asking() -> Exchange {
    exchange(
        Era::Legacy,
        "tools/call",
        r#"{"name":"a","arguments":{"x":1,"y":"\u0061"},"_meta":{"progressToken":"p"}}"#,
        &[
            (
                Side::Server,
                r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":0.50}}"#,
            ),
            (
                Side::Server,
                r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}"#,
            ),
            (
                Side::Server,
                r#"{"jsonrpc":"2.0","id":7,"method":"elicitation/create","params":{"message":"?"}}"#,
            ),
            (
                Side::Client,
                r#"{"jsonrpc":"2.0","id":7,"result":{"action":"accept"}}"#,
            ),
            (
                Side::Server,
                r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#,
            ),
        ],
        &answer_of("done"),
    )
}

struct Peer {
    server: ReplayServer,
    decoder: FrameDecoder,
    now: Duration,
}

impl Peer {
    fn new(recording: &Recording, options: ReplayOptions) -> Self {
        Self {
            server: ReplayServer::new(recording, options),
            decoder: FrameDecoder::new(Limits::default()),
            now: Duration::ZERO,
        }
    }

    fn dual(recording: &Recording) -> Self {
        Self::new(recording, ReplayOptions::default())
    }

    fn legacy(recording: &Recording) -> Self {
        let mut peer = Self::dual(recording);
        let answer = peer.say(r#"{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2025-03-26","capabilities":{"elicitation":{}}}}"#);
        assert_eq!(answer.len(), 1);
        peer
    }

    fn say(&mut self, line: &str) -> Vec<String> {
        self.decoder.feed(line.as_bytes());
        self.decoder.feed(b"\n");
        while let Some(framed) = self.decoder.poll_frame() {
            match framed {
                Framed::Parsed(parsed) => self.server.handle(parsed, self.now),
                Framed::Malformed { malformed, .. } => self.server.handle_malformed(&malformed),
            }
        }
        self.hear()
    }

    fn wait(&mut self, milliseconds: u64) -> Vec<String> {
        self.now += Duration::from_millis(milliseconds);
        self.server.handle_timeout(self.now);
        self.hear()
    }

    fn hear(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.server.poll_outgoing())
            .map(|out| String::from_utf8(out.to_bytes().to_vec()).unwrap())
            .collect()
    }
}

fn call(id: u32, params: &str) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tools/call\",\"params\":{{{params}}}}}")
}

#[track_caller]
fn code(answers: &[String]) -> (i64, String) {
    let [answer] = answers else {
        panic!("{answers:?}")
    };
    let value: Value = serde_json::from_str(answer).unwrap();
    let error = &value["error"];
    (
        error["code"].as_i64().unwrap_or_else(|| panic!("{answer}")),
        error["message"].as_str().unwrap().to_owned(),
    )
}

#[test]
fn handshakes_are_given_to_both_eras() {
    let recording = recording([]);
    let mut peer = Peer::dual(&recording);
    let say = |version: &str| {
        format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"initialize\",\"params\":{{\"protocolVersion\":\"{version}\"}}}}"
        )
    };
    for (asked, answered) in [("2024-11-05", "2024-11-05"), ("2031-01-01", "2025-11-25")] {
        let handshake = String::from_utf8(recording.handshake().unwrap().to_vec()).unwrap();
        let expected = handshake
            .replace("\"id\":0", "\"id\":\"a\"")
            .replace("2025-11-25", answered);
        assert_eq!(peer.say(&say(asked)), [expected]);
    }
    assert_eq!(
        peer.say(&format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server/discover\",\"params\":{{{META}}}}}"
        )),
        [
            r#"{"jsonrpc":"2.0","id":1,"result":{"supportedVersions":["2026-07-28","2025-11-25","2025-06-18","2025-03-26","2024-11-05"],"capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true}},"ttlMs":0,"cacheScope":"private","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"n","version":"1"}},"resultType":"complete"}}"#
        ]
    );
    assert_eq!(
        peer.say(r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#),
        [r#"{"jsonrpc":"2.0","id":2,"result":{}}"#]
    );
}

#[test]
fn a_discovered_server_is_one_for_legacy_clients_too() {
    let mut recording = Recording::default();
    recording
        .set_handshake(r#"{"jsonrpc":"2.0","id":0,"result":{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"instructions":"i","ttlMs":9,"cacheScope":"public","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"m","version":"2"}}}}"#)
        .unwrap();
    let page = r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","tools":[],"ttlMs":5,"cacheScope":"public"}}"#;
    recording.set_list(ListKind::Tools, [page]).unwrap();
    let mut peer = Peer::dual(&recording);
    assert_eq!(
        peer.say(r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}"#),
        [r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"m","version":"2"},"instructions":"i"}}"#]
    );
    assert_eq!(
        peer.say(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#),
        [r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}"#]
    );
    assert_eq!(
        peer.say(&format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{{{META}}}}}"
        )),
        [page]
    );
    let options = ReplayOptions {
        eras: ServedEras::Modern,
        ..ReplayOptions::default()
    };
    let mut modern = Peer::new(&recording, options);
    let discovered = modern.say(&format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"server/discover\",\"params\":{{{META}}}}}"
    ));
    assert_eq!(
        discovered[0].as_bytes(),
        &recording.handshake().unwrap()[..]
    );
}

#[test]
fn modern_requests_need_their_metadata() {
    let recording = recording([asking()]);
    let mut peer = Peer::dual(&recording);
    let request = |method: &str, meta: &str| {
        format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{method}\",\"params\":{{\"_meta\":{{{meta}}}}}}}"
        )
    };
    let version = "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\"";
    let capabilities = "\"io.modelcontextprotocol/clientCapabilities\":{}";
    let both = format!("{version},{capabilities}");
    let old = both.replace("2026-07-28", "2025-11-25");
    for (method, meta, expected) in [
        ("server/discover", capabilities, -32602),
        ("server/discover", "", -32602),
        ("tools/list", version, -32602),
        ("tools/list", &old, -32022),
        ("initialize", &both, -32601),
        ("ping", &both, -32601),
        ("logging/setLevel", &both, -32601),
        ("resources/subscribe", &both, -32601),
        ("subscriptions/listen", &both, -32602),
        ("nobody/knows", &both, -32601),
        // Without metadata and handshake it is nobody's request.
        ("tools/list", "", -32600),
    ] {
        assert_eq!(
            code(&peer.say(&request(method, meta))).0,
            expected,
            "{method} {meta}"
        );
    }
    let only = |eras| {
        Peer::new(
            &recording,
            ReplayOptions {
                eras,
                ..ReplayOptions::default()
            },
        )
    };
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#;
    let refused = only(ServedEras::Modern).say(initialize);
    assert!(
        refused[0].contains(r#""data":{"supported":["2026-07-28"],"requested":"2025-11-25"}"#),
        "{refused:?}"
    );
    assert_eq!(code(&refused).0, -32022);
    let mut legacy = only(ServedEras::Legacy);
    assert_eq!(
        code(&legacy.say(&request("server/discover", &both))).0,
        -32601
    );
    assert_eq!(legacy.say(initialize).len(), 1);
    assert_eq!(legacy.say(&request("ping", &both)).len(), 1);
}

#[test]
fn lists_have_their_pages_and_no_others() {
    let mut peer = Peer::legacy(&recording([]));
    let list = |params: &str| {
        format!("{{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"tools/list\"{params}}}")
    };
    assert_eq!(
        peer.say(&list("")),
        [r#"{"result":{"tools":[{"name":"a"}],"nextCursor":""},"jsonrpc":"2.0","id":5}"#]
    );
    // An empty cursor is a cursor.
    assert_eq!(
        peer.say(&list(r#","params":{"cursor":""}"#)),
        [r#"{"result":{"tools":[{"name":"b"}]},"jsonrpc":"2.0","id":5}"#]
    );
    assert_eq!(
        code(&peer.say(&list(r#","params":{"cursor":"x"}"#))).0,
        -32602
    );
    let modern = peer.say(&list(&format!(",\"params\":{{{META}}}")));
    assert_eq!(
        modern,
        [
            r#"{"result":{"tools":[{"name":"a"}],"nextCursor":"","resultType":"complete","ttlMs":0,"cacheScope":"private"},"jsonrpc":"2.0","id":5}"#
        ]
    );
    assert_eq!(
        code(&peer.say(r#"{"jsonrpc":"2.0","id":5,"method":"prompts/list"}"#)).0,
        -32601
    );
    assert_eq!(
        peer.say(r#"{"jsonrpc":"2.0","id":5,"method":"resources/subscribe","params":{"uri":"x"}}"#)
            .len(),
        1
    );
}

#[test]
fn a_legacy_client_is_asked_by_request() {
    let mut peer = Peer::legacy(&recording([asking()]));
    let asked = peer.say(&call(
        3,
        r#""arguments":{"y":"a","x":1},"name":"a","_meta":{"progressToken":8}"#,
    ));
    assert_eq!(
        asked,
        [
            r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":8,"progress":0.50}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}"#,
            r#"{"jsonrpc":"2.0","id":"replay-1","method":"elicitation/create","params":{"message":"?"}}"#,
        ]
    );
    // Others are answered meanwhile, and a stranger's answer moves nothing.
    assert_eq!(
        peer.say(r#"{"jsonrpc":"2.0","id":4,"method":"ping"}"#)
            .len(),
        1
    );
    assert!(
        peer.say(r#"{"jsonrpc":"2.0","id":"replay-9","result":{}}"#)
            .is_empty()
    );
    assert_eq!(code(&peer.say(&call(3, r#""name":"a""#))).0, -32600);
    assert_eq!(
        peer.say(r#"{"jsonrpc":"2.0","id":"replay-1","error":{"code":1,"message":"no"}}"#),
        [
            r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#.to_owned(),
            answer_of("done").replace("99", "3"),
        ]
    );
    // Without a token there is no progress; below the level there is no log.
    assert_eq!(
        peer.say(
            r#"{"jsonrpc":"2.0","id":5,"method":"logging/setLevel","params":{"level":"error"}}"#
        )
        .len(),
        1
    );
    assert_eq!(
        code(&peer.say(
            r#"{"jsonrpc":"2.0","id":5,"method":"logging/setLevel","params":{"level":"loud"}}"#
        ))
        .0,
        -32602
    );
    let asked = peer.say(&call(6, r#""arguments":{"y":"a","x":1},"name":"a""#));
    assert_eq!(asked.len(), 1, "{asked:?}");
    // Cancelled, it is never answered.
    assert!(
        peer.say(
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":6}}"#
        )
        .is_empty()
    );
    assert!(
        peer.say(r#"{"jsonrpc":"2.0","id":"replay-2","result":{}}"#)
            .is_empty()
    );
    let mut poor = Peer::dual(&recording([asking()]));
    poor.say(r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{}}}"#);
    let (code, text) = code(
        &poor.say(&call(
            2,
            r#""arguments":{"y":"a","x":1},"name":"a","_meta":{}"#,
        ))[1..],
    );
    assert!(
        code == -32600 && text.contains("did not declare `elicitation`"),
        "{text}"
    );
}

#[test]
fn a_modern_client_is_asked_by_result() {
    let mut peer = Peer::dual(&recording([asking()]));
    let listen = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":\"l\",\"method\":\"subscriptions/listen\",\"params\":{{\"notifications\":{{\"toolsListChanged\":true,\"promptsListChanged\":true}},{META}}}}}"
    );
    assert_eq!(
        peer.say(&listen),
        [
            r#"{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"l"},"notifications":{"toolsListChanged":true}}}"#
        ]
    );
    let params =
        |more: &str| format!("\"name\":\"a\",\"arguments\":{{\"x\":1,\"y\":\"a\"}}{more},{META}");
    let question = r#"{"jsonrpc":"2.0","id":3,"result":{"resultType":"input_required","inputRequests":{"question-1":{"method":"elicitation/create","params":{"message":"?"}}},"requestState":"replay-0-3"}}"#;
    assert_eq!(peer.say(&call(3, &params(""))), [question]);
    // An answer that is missing is asked for again.
    let state = r#","requestState":"replay-0-3","inputResponses":"#;
    assert_eq!(
        peer.say(&call(3, &params(&format!("{state}{{}}")))),
        [question]
    );
    let answers = peer.say(&call(
        4,
        &params(&format!("{state}{{\"question-1\":{{}}}}")),
    ));
    assert_eq!(
        answers,
        [
            r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"l"}}}"#.to_owned(),
            answer_of("done").replace("99", "4").replace("\"}}", "\",\"resultType\":\"complete\"}}"),
        ]
    );
    for wrong in [r#","requestState":"replay-0-9""#, r#","requestState":7"#] {
        assert_eq!(code(&peer.say(&call(5, &params(wrong)))).0, -32602);
    }
    let poor = params("").replace("\"elicitation\":{},", "");
    let refused = peer.say(&call(6, &poor));
    assert_eq!(code(&refused).0, -32021);
    assert!(
        refused[0].contains(r#""requiredCapabilities":{"elicitation":{}}"#),
        "{refused:?}"
    );
}

#[test]
fn a_modern_recording_is_played_to_both() {
    let params = r#"{"name":"m","arguments":{}}"#;
    let question = r#"{"jsonrpc":"2.0","id":99,"result":{"resultType":"input_required","inputRequests":{"k":{"method":"sampling/createMessage","params":{"n":1}}},"requestState":"S"}}"#;
    let retry =
        r#"{"name":"m","arguments":{},"requestState":"S","inputResponses":{"k":{"role":"x"}}}"#;
    let done = r#"{"jsonrpc":"2.0","id":99,"result":{"resultType":"complete","content":[]}}"#;
    let recording = recording([
        exchange(Era::Modern, "tools/call", params, &[], question),
        exchange(Era::Modern, "tools/call", retry, &[], done),
    ]);
    let mut peer = Peer::dual(&recording);
    // Empty arguments and none are the same.
    assert_eq!(
        peer.say(&call(1, &format!("\"name\":\"m\",{META}"))),
        [question.replace("99", "1")]
    );
    let retry =
        format!("\"name\":\"m\",\"requestState\":\"S\",\"inputResponses\":{{\"k\":{{}}}},{META}");
    assert_eq!(peer.say(&call(2, &retry)), [done.replace("99", "2")]);
    let mut peer = Peer::dual(&recording);
    peer.say(r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"sampling":{}}}}"#);
    assert_eq!(
        peer.say(&call(1, "\"name\":\"m\"")),
        [r#"{"jsonrpc":"2.0","id":"replay-1","method":"sampling/createMessage","params":{"n":1}}"#]
    );
    assert_eq!(
        peer.say(r#"{"jsonrpc":"2.0","id":"replay-1","result":{}}"#),
        [r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#]
    );
}

#[test]
fn one_call_is_played_in_turn_and_unknown_ones_are_explained() {
    let one = |n: u32, text: &str| {
        exchange(
            Era::Legacy,
            "tools/call",
            &format!("{{\"name\":\"t\",\"arguments\":{{\"n\":{n}}}}}"),
            &[],
            &answer_of(text),
        )
    };
    let mut all = vec![one(1, "first"), one(1, "second")];
    all.extend((2..8).map(|n| one(n, "other")));
    all.push(exchange(
        Era::Legacy,
        "tools/call",
        r#"{"name":"t","arguments":{"q":"[redacted]"}}"#,
        &[],
        &answer_of("masked"),
    ));
    all.push(exchange(
        Era::Legacy,
        "tools/call",
        r#"{"name":"u","arguments":{}}"#,
        &[],
        "",
    ));
    let mut peer = Peer::legacy(&recording(all));
    let mut say = |params: &str| peer.say(&call(9, params));
    for expected in ["first", "second", "second"] {
        assert_eq!(
            say(r#""name":"t","arguments":{"n":1}"#),
            [answer_of(expected).replace("99", "9")]
        );
    }
    assert_eq!(
        say(r#""name":"t","arguments":{"q":"ann@b.cd"}"#),
        [answer_of("masked").replace("99", "9")]
    );
    let (number, text) = code(&say(r#""name":"t","arguments":{"n":1.0}"#));
    assert_eq!(number, -32602);
    for part in [
        "`t`",
        "{\"n\":1}; {\"n\":2};",
        "{\"n\":5} and 3 more",
        "capture --conversation",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("{\"n\":6}"), "{text}");
    let (_, text) = code(&say(r#""name":"v""#));
    assert!(text.contains("Recorded are calls of t, u."), "{text}");
    assert_eq!(code(&say(r#""name":"u""#)).0, -32603);
}

mod properties;
mod waiting;
