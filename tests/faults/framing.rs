//! F21–F29: frames and JSON-RPC.

use serde_json::{Value, json};

use crate::kit::http_client::{Session, call_body};
use crate::kit::messages::assert_ours;
use crate::kit::{Proxy, ScriptedServer, until};

fn has_code(answer: &Value, codes: &[i64]) -> bool {
    answer["error"]["code"]
        .as_i64()
        .is_some_and(|code| codes.contains(&code))
}

#[test]
fn f21_byte_order_mark_crlf_and_blank_lines() {
    // 77u/ is the byte order mark.
    let server = ScriptedServer::new(
        "tool odd\non start\n bytes 77u/\non tools/call odd\n newline\n bytes DQo=\n text {\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"odd\"}]}}\n bytes DQo=",
    );
    let mut proxy = Proxy::wrap(&server).start();
    proxy.send_bytes(b"\xef\xbb\xbf\r\n\n");
    proxy.initialize();
    proxy.send_bytes(b"\n  \n\r\n");
    let line = "{\"jsonrpc\":\"2.0\",\"id\":\"crlf\",\"method\":\"tools/call\",\"params\":{\"name\":\"odd\"}}\r";
    proxy.send_request_line("\"crlf\"", line);
    assert_eq!(proxy.answer("crlf")["result"]["content"][0]["text"], "odd");
    proxy.finish();
}

#[test]
fn f22_doubtful_keys() {
    let server = ScriptedServer::new(
        "tool echo\ntool twice\non tools/call twice\n line {\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{\"content\":[]},\"result\":{\"content\":[1]}}\n\
         tool cased\non tools/call cased\n line {\"jsonrpc\":\"2.0\",\"id\":$id,\"Result\":{\"content\":[]},\"result\":{\"content\":[1]}}\n\
         tool folded\non tools/call folded\n line {\"jsonrpc\":\"2.0\",\"id\":$id,\"re\u{17f}ult\":{\"content\":[]},\"result\":{\"content\":[1]}}",
    );
    let mut proxy = Proxy::wrap(&server).start();
    proxy.initialize();
    for (id, line) in [
        (
            "\"dup\"",
            r#"{"jsonrpc":"2.0","id":"dup","method":"tools/list","method":"tools/call","params":{"name":"echo"}}"#,
        ),
        (
            "\"name\"",
            r#"{"jsonrpc":"2.0","id":"name","method":"tools/call","params":{"name":"echo","name":"rm"}}"#,
        ),
        (
            "\"escaped\"",
            r#"{"jsonrpc":"2.0","id":"escaped","method":"tools/call","params":{"name":"echo","n\u0061me":"rm"}}"#,
        ),
        (
            "\"argument\"",
            r#"{"jsonrpc":"2.0","id":"argument","method":"tools/call","params":{"name":"echo","arguments":{"p":1,"p":2}}}"#,
        ),
        (
            "\"case\"",
            r#"{"jsonrpc":"2.0","id":"case","method":"tools/list","METHOD":"tools/call","params":{"name":"echo"}}"#,
        ),
        (
            "\"inner case\"",
            r#"{"jsonrpc":"2.0","id":"inner case","method":"tools/call","params":{"name":"echo","Name":"rm"}}"#,
        ),
        (
            "\"long s\"",
            "{\"jsonrpc\":\"2.0\",\"id\":\"long s\",\"method\":\"tools/call\",\"param\u{17f}\":{\"name\":\"rm\"},\"params\":{\"name\":\"echo\"}}",
        ),
    ] {
        proxy.send_request_line(id, line);
        let id: Value = serde_json::from_str(id).expect("ids are JSON");
        let answer = proxy.answer(id);
        assert!(has_code(&answer, &[-32600]), "{line}: {answer}");
    }
    assert!(
        server.received_of("tools/call").is_empty(),
        "a doubtful request got through"
    );
    // It is counted, which the log shows.
    proxy.wait_stderr("refused");
    // From the server: its caller gets an error and nobody waits.
    for tool in ["twice", "cased", "folded"] {
        let answer = proxy.ask_call(tool, json!({"mark": tool}));
        assert!(has_code(&answer, &[-32600, -31006]), "{tool}: {answer}");
    }
    proxy.finish();
}

#[test]
fn f23_text_that_is_none() {
    let server = ScriptedServer::new(
        "tool echo\ntool utf8\non tools/call utf8\n text {\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"\n bytes //4=\n text \"}]}}\n newline",
    );
    let mut proxy = Proxy::wrap(&server).start();
    proxy.initialize();
    let surrogate =
        r#"{"jsonrpc":"2.0","id":"s","method":"tools/call","params":{"name":"\ud800"}}"#;
    proxy.send_request_line("\"s\"", surrogate);
    let answer = proxy.answer("s");
    assert!(has_code(&answer, &[-32700, -32600]), "{answer}");
    let nul = r#"{"jsonrpc":"2.0","id":"n","method":"tools/call","params":{"name":"a\u0000b"}}"#;
    proxy.send_request_line("\"n\"", nul);
    let answer = proxy.answer("n");
    assert!(has_code(&answer, &[-32700, -32600]), "{answer}");
    // The id stands before the bytes that are no UTF-8, so it can be read.
    proxy.oracle(|oracle| oracle.asks("\"u\""));
    proxy.send_bytes(b"{\"jsonrpc\":\"2.0\",\"id\":\"u\",\"method\":\"tools/call\",\"params\":{\"name\":\"\xff\xfe\"}}\n");
    let answer = proxy.answer("u");
    assert!(has_code(&answer, &[-32700, -32600]), "{answer}");
    assert!(server.received_of("tools/call").is_empty());
    // From the server: whatever is done with such a body, its caller is answered.
    let call = proxy.call("utf8", json!({"mark": "utf8"}));
    let wanted = format!("\"id\":{call},");
    until("an answer to the call with broken text", || {
        let lines = proxy.raw_lines();
        let has = lines
            .iter()
            .any(|line| String::from_utf8_lossy(line).contains(&wanted));
        has.then_some(())
    });
    assert_eq!(proxy.text_of_call("echo", json!({"n": 1})), r#"{"n":1}"#);
    proxy.finish();
}

#[test]
fn f24_deep_wide_and_long() {
    let server = ScriptedServer::new("");
    let mut proxy = Proxy::wrap(&server).start();
    proxy.initialize();
    let call = |id: &str, argument: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":"{id}","method":"tools/call","params":{{"name":"echo","arguments":{{"a":{argument}}}}}}}"#
        )
    };
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let keys: Vec<String> = (0..1_000_000).map(|n| format!("\"k{n}\":0")).collect();
    let wide = format!("{{{}}}", keys.join(","));
    let long = "9".repeat(100 << 20);
    for (id, argument) in [("deep", deep), ("wide", wide), ("long", long)] {
        proxy.send_request_line(&format!("\"{id}\""), &call(id, &argument));
        let answer = proxy.answer(id);
        assert!(has_code(&answer, &[-32600, -31005]), "{id}: {answer}");
    }
    assert!(server.received_of("tools/call").is_empty());
    assert_eq!(proxy.text_of_call("echo", json!({"n": 1})), r#"{"n":1}"#);
    proxy.finish();
}

#[test]
fn f25_same_id_twice_in_flight() {
    let script = "tool slow\non tools/call slow\n wait gate\n reply $arguments";
    let server = ScriptedServer::new(script);
    let mut proxy = Proxy::wrap(&server).start();
    proxy.initialize();
    let line = r#"{"jsonrpc":"2.0","id":"same","method":"tools/call","params":{"name":"slow","arguments":{"n":1}}}"#;
    proxy.send_request_line("\"same\"", line);
    server.wait_received("tools/call", 1);
    proxy.send_line(line);
    let answer = proxy.answer("same");
    assert!(
        has_code(&answer, &[-32600]),
        "the second is refused: {answer}"
    );
    server.open("gate");
    let first = proxy.wait_message("the answer to the first", |message| {
        message["id"] == "same" && message.get("result").is_some()
    });
    assert_eq!(first["result"]["content"][0]["text"], r#"{"n":1}"#);
    assert_eq!(server.received_of("tools/call").len(), 1);
    // Two requests had this id and each got its answer; the oracle counts ids, so it is told.
    let answers = proxy
        .messages()
        .iter()
        .filter(|message| message["id"] == "same")
        .count();
    assert_eq!(answers, 2);
    proxy.close_stdin();
    assert_eq!(proxy.wait_exit().code(), Some(0));
    proxy.oracle(|oracle| *oracle = Default::default());

    let server = ScriptedServer::new(script);
    let proxy = Proxy::wrap(&server).listening().start();
    let session = Session::open(proxy.address());
    let threads: Vec<_> = (0..4)
        .map(|n| {
            let session = session.clone();
            std::thread::spawn(move || session.call(1, "slow", json!({"n": n})))
        })
        .collect();
    server.wait_received("tools/call", 4);
    server.open("gate");
    for (n, thread) in threads.into_iter().enumerate() {
        let answer = thread.join().expect("the client ends");
        assert_eq!(answer["id"], 1);
        assert_eq!(
            answer["result"]["content"][0]["text"],
            format!(r#"{{"n":{n}}}"#)
        );
    }
}

#[test]
fn f26_ids_keep_type_and_value() {
    let server =
        ScriptedServer::new("tool slow\non tools/call slow\n wait gate\n reply $arguments");
    let mut proxy = Proxy::wrap(&server).start();
    proxy.initialize();
    let ids = [
        "100",
        "\"100\"",
        "101.0",
        "-0",
        "9007199254740993",
        "18446744073709551617",
        "\"\"",
        "\"\\u00e4\"",
        "\"ä \"",
        "1e2000",
    ];
    for (n, id) in ids.iter().enumerate() {
        let line = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"slow","arguments":{{"n":{n}}}}}}}"#
        );
        proxy.send_request_line(id, &line);
    }
    server.wait_received("tools/call", ids.len());
    server.open("gate");
    for (n, id) in ids.iter().enumerate() {
        // By bytes: the answer carries the id as it was spelled, and belongs to it.
        let wanted = format!("\"id\":{id},");
        let line = until(&format!("the answer to {id}"), || {
            let lines = proxy.raw_lines();
            lines
                .iter()
                .map(|line| String::from_utf8_lossy(line).into_owned())
                .find(|line| line.contains(&wanted) && line.contains("result"))
        });
        assert!(line.contains(&format!(r#"{{\"n\":{n}}}"#)), "{id}: {line}");
    }
    proxy.finish();
}

#[test]
fn f27_progress_token_of_two_clients() {
    let server = ScriptedServer::new(
        "tool work\non tools/call work\n wait gate\n progress 2\n reply $arguments\n progress 3",
    );
    let proxy = Proxy::wrap(&server)
        .listening()
        .options("--stateless")
        .start();
    let address = proxy.address();
    let sessions = [Session::open(address), Session::open(address)];
    let threads: Vec<_> = sessions
        .iter()
        .cloned()
        .enumerate()
        .map(|(n, session)| {
            std::thread::spawn(move || {
                let mut body = call_body(7, "work", &json!({"n": n}));
                body["params"]["_meta"] = json!({"progressToken": "same"});
                let mut response = session.post(&body);
                let mut events = Vec::new();
                while let Some(event) = response.event() {
                    events.push(event);
                }
                events
            })
        })
        .collect();
    let calls = server.wait_received("tools/call", 2);
    let tokens: Vec<&Value> = calls
        .iter()
        .map(|call| &call["params"]["_meta"]["progressToken"])
        .collect();
    assert_ne!(
        tokens[0], tokens[1],
        "one connection, so the tokens must differ"
    );
    server.open("gate");
    for (n, thread) in threads.into_iter().enumerate() {
        let events = thread.join().expect("the client ends");
        let progress: Vec<&Value> = events
            .iter()
            .filter(|event| event["method"] == "notifications/progress")
            .map(|event| &event["params"])
            .collect();
        assert_eq!(
            progress.len(),
            2,
            "each its own, and none after the answer: {events:#?}"
        );
        assert!(
            progress
                .iter()
                .all(|params| params["progressToken"] == "same")
        );
        let last = events.last().expect("an answer");
        assert_eq!(
            last["result"]["content"][0]["text"],
            format!(r#"{{"n":{n}}}"#)
        );
    }
}

#[test]
fn f28_late_unknown_and_duplicate_answers() {
    let server = ScriptedServer::new(
        "tool echo\ntool twice\non tools/call twice\n reply first\n reply second\n line {\"jsonrpc\":\"2.0\",\"id\":424242,\"result\":{}}\n line {\"jsonrpc\":\"2.0\",\"id\":\"forged\",\"error\":{\"code\":1,\"message\":\"x\"}}\n\
         tool late\non tools/call late\n wait-cancel\n reply too late",
    );
    let mut proxy = Proxy::wrap(&server).start();
    proxy.initialize();
    assert_eq!(proxy.text_of_call("twice", json!({})), "first");
    let late = proxy.call("late", json!({}));
    server.wait_received("tools/call", 2);
    proxy.cancel(late);
    server.wait_received("notifications/cancelled", 1);
    // The server handled this after all of the above was written.
    assert_eq!(proxy.text_of_call("echo", json!({"n": 1})), r#"{"n":1}"#);
    assert!(proxy.messages().iter().all(|message| message["id"] != late));
    proxy.finish();
}

#[test]
fn f29_result_and_error_in_one_answer() {
    let server = ScriptedServer::new(
        "tool echo\ntool both\non tools/call both\n line {\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{\"content\":[]},\"error\":{\"code\":1,\"message\":\"x\"}}\n\
         tool neither\non tools/call neither\n line {\"jsonrpc\":\"2.0\",\"id\":$id}",
    );
    let mut proxy = Proxy::wrap(&server).start();
    proxy.initialize();
    for tool in ["both", "neither"] {
        let answer = proxy.ask_call(tool, json!({"mark": tool}));
        assert_ours(&answer, -31006, "upstream_protocol", "maybe_executed");
    }
    assert_eq!(proxy.text_of_call("echo", json!({"n": 1})), r#"{"n":1}"#);
    proxy.finish();
}
