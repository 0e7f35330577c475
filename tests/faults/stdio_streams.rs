//! F12–F20: what comes through a child's pipes, and who reads it.

use std::io::Write;
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::kit::http_client::{Session, call_body};
use crate::kit::messages::{assert_lost, assert_ours};
use crate::kit::oracle::assert_conserved;
use crate::kit::{Proxy, ScriptedServer, processes, until, until_true, within};

use super::{FAST_END, FAST_RESTART};

const MIB: usize = 1 << 20;

#[test]
fn f12_child_floods_stderr() {
    let script = "tool flood\non tools/call flood\n flood-stderr 50000\n reply done";
    // Nobody reads the proxy's own stderr: 5 MB do not fit into its pipe.
    let server = ScriptedServer::new(script);
    let mut proxy = Proxy::wrap(&server).ignoring_stderr().start();
    proxy.initialize();
    assert_eq!(proxy.text_of_call("flood", json!({})), "done");
    proxy.finish();

    let server = ScriptedServer::new(script);
    let mut proxy = Proxy::wrap(&server).start();
    proxy.initialize();
    assert_eq!(proxy.text_of_call("flood", json!({})), "done");
    proxy.wait_stderr("line 0 of a flood");
    proxy.finish();
}

#[test]
fn f13_garbage_on_the_childs_stdout() {
    let server = ScriptedServer::new(
        "tool noisy\n\
         on start\n text INFO starting up\n newline\n\
         on tools/call noisy\n \
         line INFO working on it\n \
         line {\"level\":\"info\",\"text\":\"json but no message\"}\n \
         line [1,2,3]\n line \"text\"\n line {\"jsonrpc\":\"2.0\"}\n line\n \
         reply done",
    );
    let mut proxy = Proxy::wrap(&server).start();
    proxy.initialize();
    for _ in 0..3 {
        assert_eq!(proxy.text_of_call("noisy", json!({})), "done");
    }
    proxy.wait_stderr("INFO working on it");
    // A reply to garbage is how two servers talk for ever.
    let replies: Vec<_> = server
        .received()
        .into_iter()
        .filter(|(_, line)| !line.contains("\"method\""))
        .collect();
    assert!(replies.is_empty(), "replies to garbage: {replies:?}");
    proxy.finish();
}

#[test]
fn f14_own_stdout_is_pure() {
    // Every proxy of the suite is checked line by line; these are the ways to start wrongly.
    for arguments in [
        &["--no-such-option"][..],
        &["npx", "-y", "x"],
        &["--surface", "wrong", "--", "true"],
        &["--config", "/no/such/file"],
        &["--listen", "not an address", "--", "true"],
        &["--max-frame-bytes", "much", "--", "true"],
        &[],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_mcp-whittle"))
            .args(arguments)
            .stdin(std::process::Stdio::null())
            .output()
            .expect("the binary starts");
        assert_eq!(output.stdout, b"", "{arguments:?}");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert_ne!(output.stderr, b"", "{arguments:?}");
    }
    // A server that ends badly with the most talkative log.
    let server = ScriptedServer::new("tool die\non tools/call die\n stderr panic!\n abort");
    let mut proxy = Proxy::wrap(&server)
        .options("--log-level trace")
        .settings(FAST_RESTART)
        .start();
    proxy.initialize();
    assert_lost(&proxy.ask_call("die", json!({})));
    proxy.finish();
}

#[test]
fn f15_line_without_end() {
    let server = ScriptedServer::new(&format!(
        "tool echo\n\
         tool long\non tools/call long\n \
         text {{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{{\"content\":[{{\"type\":\"text\",\"text\":\"\n fill {mib}\n text \"}}]}}}}\n newline\n signal ended-long\n\
         tool late\non tools/call late\n \
         text {{\"jsonrpc\":\"2.0\",\"result\":{{\"content\":[{{\"type\":\"text\",\"text\":\"\n fill {mib}\n text \"}}]}},\"id\":$id}}\n newline\n signal ended-late\n\
         tool endless\non tools/call endless\n \
         text {{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{{\"x\":\"\n fill {much}\n signal filled\n wait gate\n newline\n signal ended",
        mib = MIB,
        much = 100 * MIB,
    ));
    let mut proxy = Proxy::wrap(&server)
        .options("--max-frame-bytes 64KiB")
        .start();
    proxy.initialize();
    for tool in ["long", "late"] {
        let answer = proxy.ask_call(tool, json!({"mark": tool}));
        assert_ours(&answer, -31005, "too_large", "maybe_executed");
        // An answer before the line's end would be a part of the line.
        server.wait_signal(&format!("ended-{tool}"));
        assert!(
            proxy.ask_call("echo", json!({})).get("result").is_some(),
            "resync"
        );
    }
    // The call fails while its line is still being sent.
    let answer = proxy.ask_call("endless", json!({"mark": "endless"}));
    assert_ours(&answer, -31005, "too_large", "maybe_executed");
    server.wait_signal("filled");
    let peak = processes::peak_memory_kib(proxy.process());
    assert!(
        peak < 64 * 1024,
        "{peak} KiB for a line that is thrown away"
    );
    server.open("gate");
    // An answer before the line's end would be a part of the line.
    server.wait_signal("ended");
    assert_eq!(proxy.text_of_call("echo", json!({"n": 1})), r#"{"n":1}"#);
    // The client's own endless line, too.
    let line = format!(
        r#"{{"jsonrpc":"2.0","id":"big","method":"tools/call","params":{{"name":"echo","arguments":{{"x":"{}"}}}}}}"#,
        "x".repeat(MIB)
    );
    proxy.send_request_line("\"big\"", &line);
    let answer = proxy.answer("big");
    assert!(
        [-31005, -32600]
            .map(|code| json!(code))
            .contains(&answer["error"]["code"]),
        "{answer}"
    );
    assert_eq!(proxy.text_of_call("echo", json!({"n": 2})), r#"{"n":2}"#);
    proxy.finish();
}

#[test]
fn f16_messages_cut_and_joined() {
    const LIMIT: usize = 64 * 1024;
    let server = ScriptedServer::new(&format!(
        "tool echo\ntool cut\non tools/call cut\n split 1\n reply Grüße, 世界 🦀\n\
         tool joined\non tools/call joined\n split 0\n \
         bytes eyJqc29ucnBjIjoiMi4wIiwibWV0aG9kIjoibm90aWZpY2F0aW9ucy90ZXN0LzEifQp7Impzb25ycGMiOiIyLjAiLCJtZXRob2QiOiJub3RpZmljYXRpb25zL3Rlc3QvMiJ9CnsianNvbnJwYyI6IjIuMCIsIm1ldGhvZCI6Im5vdGlmaWNhdGlvbnMvdGVzdC8zIn0K\n reply joined\n\
         tool exact\non tools/call exact\n reply-line-of {LIMIT}\n\
         tool over\non tools/call over\n reply-line-of {}",
        LIMIT + 1
    ));
    let mut proxy = Proxy::wrap(&server)
        .options("--max-frame-bytes 64KiB")
        .start();
    proxy.initialize();
    assert_eq!(proxy.text_of_call("cut", json!({})), "Grüße, 世界 🦀");
    assert_eq!(proxy.text_of_call("joined", json!({})), "joined");
    let order: Vec<String> = proxy
        .messages()
        .iter()
        .filter_map(|message| message["method"].as_str())
        .filter_map(|method| method.strip_prefix("notifications/test/"))
        .map(str::to_owned)
        .collect();
    assert_eq!(order, ["1", "2", "3"]);
    let exact = proxy.ask_call("exact", json!({}));
    assert!(
        exact.get("result").is_some(),
        "a line of exactly the limit: {}",
        exact["error"]
    );
    assert!(proxy.raw_lines().iter().any(|line| line.len() == LIMIT));
    assert_ours(
        &proxy.ask_call("over", json!({})),
        -31005,
        "too_large",
        "maybe_executed",
    );

    // The client's messages, several in one write and one cut inside a character.
    let text = "{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"ping\"}\n{\"jsonrpc\":\"2.0\",\"id\":\"b\",\"method\":\"tools/call\",\"params\":{\"name\":\"echo\",\"arguments\":{\"t\":\"世\"}}}\n";
    proxy.oracle(|oracle| ["\"a\"", "\"b\""].iter().for_each(|id| oracle.asks(id)));
    let cut = text.find('世').expect("it is there") + 1;
    proxy.send_bytes(&text.as_bytes()[..cut]);
    proxy.answer("a");
    proxy.send_bytes(&text.as_bytes()[cut..]);
    assert_eq!(
        proxy.answer("b")["result"]["content"][0]["text"],
        r#"{"t":"世"}"#
    );
    proxy.finish();
}

#[test]
fn f17_both_sides_write_at_once() {
    // The server does not read while it writes, and there is more to read for it.
    for size in [1, 64 * 1024, MIB, 16 * MIB] {
        let server = ScriptedServer::new("serial");
        let mut proxy = Proxy::wrap(&server).start();
        proxy.initialize();
        let text = "y".repeat(size);
        let calls: Vec<i64> = (0..3)
            .map(|_| proxy.call("echo", json!({"t": text})))
            .collect();
        for call in calls {
            let answer = proxy.answer(call);
            let echoed = answer["result"]["content"][0]["text"]
                .as_str()
                .map(str::len);
            assert_eq!(echoed, Some(size + r#"{"t":""}"#.len()));
        }
        proxy.finish();
    }
}

#[test]
fn f18_client_stops_reading() {
    // One client of two stops reading while its server sends it 120 MB of progress.
    let server = ScriptedServer::new(
        "tool echo\ntool flood\non tools/call flood\n progress 30000\n signal flooded\n reply done",
    );
    let proxy = Proxy::wrap(&server)
        .listening()
        .settings("timeouts.stall_timeout = \"1s\"")
        .start();
    let address = proxy.address();
    let deaf = Session::open(address);
    let healthy = Session::open(address);
    let mut body = call_body(1, "flood", &json!({}));
    body["params"]["_meta"] = json!({"progressToken": "t".repeat(4_000)});
    let mut stream = deaf.post(&body);
    for n in 0..20 {
        let answer = healthy.call(n, "echo", json!({"n": n}));
        assert!(answer.get("result").is_some(), "{answer}");
    }
    // Either the flood was thrown away, or its source is no longer read.
    within(Duration::from_secs(2), || {
        server.path().join("flooded").exists().then_some(())
    });
    let peak = processes::peak_memory_kib(proxy.process());
    assert!(
        peak < 128 * 1024,
        "{peak} KiB queued for a client that does not read"
    );
    // When it reads again, it finds its answer, or its stream was ended: nothing hangs.
    while let Some(message) = stream.event() {
        if message["id"] == 1 {
            break;
        }
    }
    let answer = healthy.call(100, "echo", json!({}));
    assert!(answer.get("result").is_some(), "{answer}");
}

/// Large answers that a client has yet to read are no reason to refuse what it asks next. Who reads nothing at all is
/// told so (`driver::backlog`).
#[test]
fn who_reads_slowly_is_not_refused() {
    let server = ScriptedServer::new("serial");
    let mut proxy = Proxy::wrap(&server)
        .settings("limits.max_queue_bytes = 6291456")
        .start();
    proxy.initialize();
    proxy.stop_reading();
    let text = "y".repeat(MIB);
    let calls: Vec<i64> = (0..14)
        .map(|_| proxy.call("echo", json!({"t": text})))
        .collect();
    // The server reads the ninth call when the eighth answer has left it: more waits here than may, and less than what
    // stops the reading of requests, whether or not the client takes one more answer before it stops.
    server.wait_received("tools/call", 9);
    // Only a proxy that refuses needs the times: to have read the last piece of that answer, and the request.
    let settle = || std::thread::sleep(Duration::from_millis(300));
    settle();
    let next = proxy.call("echo", json!({}));
    settle();
    proxy.read_on();
    for call in calls.into_iter().chain([next]) {
        let answer = proxy.answer(call);
        assert!(answer.get("result").is_some(), "{}", answer["error"]);
    }
    proxy.finish();
}

#[test]
fn f19_answers_do_not_queue_behind_notifications() {
    const FLOOD: usize = 200_000;
    let server = ScriptedServer::new(&format!(
        "tool echo\ntool flood\non tools/call flood\n log {FLOOD}\n reply done\n signal flooded"
    ));
    let mut proxy = Proxy::wrap(&server).start();
    proxy.initialize();
    proxy.stop_reading();
    let ping = proxy.request("ping", json!({}));
    let call = proxy.call("flood", json!({"mark": "flood"}));
    // The server gets rid of everything although the client reads nothing.
    server.wait_signal("flooded");
    proxy.read_on();
    proxy.answer(ping);
    assert_eq!(proxy.answer(call)["result"]["content"][0]["text"], "done");
    let delivered = proxy.count_of("notifications/message");
    assert!(
        delivered < FLOOD / 10,
        "{delivered} of {FLOOD} log messages stood before the answer"
    );
    proxy.finish();
}

#[test]
fn f20_child_dies_in_the_middle_of_a_line() {
    let server = ScriptedServer::new(
        "tool echo\ntool die\non tools/call die\n text {\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{\"content\":[{\"ty\n exit 5",
    );
    let mut proxy = Proxy::wrap(&server).settings(FAST_RESTART).start();
    proxy.initialize();
    assert_lost(&proxy.ask_call("die", json!({"mark": "die"})));
    until_true("a call after the restart", || {
        proxy.ask_call("echo", json!({})).get("result").is_some()
    });
    // The same on the client's side: half a request and the end of input is no request.
    let mut input = proxy.take_stdin();
    input
        .write_all(br#"{"jsonrpc":"2.0","id":"half","method":"tools/call","params":{"name":"echo""#)
        .expect("it is written");
    drop(input);
    let before = server.received_of("tools/call").len();
    // It may be told that its last line was cut.
    proxy.oracle(|oracle| {
        oracle.may_stay_open("\"half\"");
        oracle.sends_nameless();
    });
    assert_eq!(proxy.wait_exit().code(), Some(0), "{}", proxy.stderr());
    proxy.check_counts();
    assert_eq!(server.received_of("tools/call").len(), before);
    until("no survivors", || {
        server.survivors().is_empty().then_some(())
    });
}

/// Where nothing is slow nothing is thrown away: every notification arrives, in order, in both directions.
#[test]
fn notifications_are_conserved() {
    const COUNT: usize = 2_000;
    let server = ScriptedServer::new(&format!(
        "tool talk\non tools/call talk\n numbered {COUNT}\n reply done\ntool echo"
    ));
    let mut proxy = Proxy::wrap(&server).start();
    proxy.initialize();
    assert_eq!(proxy.text_of_call("talk", json!({})), "done");
    let number = |message: &serde_json::Value| {
        let is_one = message["method"] == "notifications/vendor.example/n";
        message["params"]["n"].as_u64().filter(|_| is_one)
    };
    let received: Vec<u64> = proxy.messages().iter().filter_map(number).collect();
    assert_conserved(COUNT as u64, &received);

    for n in 1..=COUNT {
        proxy.notify("notifications/vendor.example/n", json!({ "n": n }));
    }
    assert_eq!(proxy.text_of_call("echo", json!({})), "{}");
    let received = server.received_of("notifications/vendor.example/n");
    assert_conserved(
        COUNT as u64,
        &received.iter().filter_map(number).collect::<Vec<_>>(),
    );
    proxy.finish();
}

/// Broken variants that this catches: the end of a server waits until a client reads that was given up, that is gone,
/// or that does not read while we are to end; what waits for a client that is gone still counts as a full queue.
#[test]
fn a_client_that_does_not_read_keeps_nobody_here() {
    for how in ["stalls", "is gone", "has us ended"] {
        let stall = if how == "stalls" { "1s" } else { "10m" };
        let server = ScriptedServer::new("serial");
        let mut proxy = Proxy::wrap(&server)
            .settings(&format!(
                "limits.max_queue_bytes = {MIB}\ntimeouts.stall_timeout = \"{stall}\""
            ))
            .settings(FAST_END)
            .start();
        proxy.initialize();
        proxy.stop_reading();
        let text = "y".repeat(MIB);
        for _ in 0..6 {
            let call = proxy.call("echo", json!({"t": text}));
            proxy.oracle(|oracle| oracle.may_stay_open(&call.to_string()));
        }
        // Three answers left the server: of one the client may have read, one is on its way, and one fills the queue.
        server.wait_received("tools/call", 4);
        // Only a broken proxy needs the time: to have read all of the third.
        std::thread::sleep(Duration::from_millis(300));
        match how {
            "is gone" => proxy.close_stdout(),
            "has us ended" => proxy.terminate(),
            _ => {}
        }
        proxy.wait_exit();
        until_true("the server is gone", || server.survivors().is_empty());
    }
}

/// A message that fits no pipe.
const LARGE_NOTE: &str = " text {\"jsonrpc\":\"2.0\",\"method\":\"notifications/vendor.example/large\",\"params\":{\"x\":\"\n fill 1048576\n text \"}}\n newline\n";

/// Broken variant that this catches: the end of a server passes what it said before, which waits until the client
/// reads.
#[test]
fn what_a_server_said_before_its_end_comes_first() {
    const COUNT: usize = 100;
    // One the client may have read before it stops, one is on its way, one fills the queue.
    let server = ScriptedServer::new(&format!(
        "tool last\non tools/call last\n{LARGE_NOTE}{LARGE_NOTE}{LARGE_NOTE} numbered {COUNT}\n reply done\n exit 0"
    ));
    let mut proxy = Proxy::wrap(&server)
        .settings("limits.max_queue_bytes = 16384")
        .settings(FAST_RESTART)
        .start();
    proxy.initialize();
    proxy.stop_reading();
    let call = proxy.call("last", json!({}));
    let first = server.wait_start(1);
    until_true("the server has ended", || !processes::is_alive(first));
    // Only the broken variant needs the time, in which it tells the end.
    std::thread::sleep(Duration::from_millis(1500));
    proxy.read_on();
    let answer = proxy.answer(call);
    assert_eq!(answer["result"]["content"][0]["text"], "done", "{answer}");
    let numbers: Vec<u64> = proxy
        .messages()
        .iter()
        .filter_map(|message| message["params"]["n"].as_u64())
        .collect();
    assert_conserved(COUNT as u64, &numbers);
    proxy.finish();
}
