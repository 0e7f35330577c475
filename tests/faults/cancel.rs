//! F30–F36: cancellation and deadlines.

use serde_json::{Value, json};

use crate::kit::http_client::{self, Session, call_body};
use crate::kit::messages::{LEGACY, MODERN, assert_deadline, assert_ours, modern};
use crate::kit::{Proxy, ScriptedServer, until};

#[test]
fn f30_cancel_in_flight() {
    let slow = "tool slow\ntool echo\non tools/call slow\n wait-cancel\n reply too late";
    let (a, b) = (ScriptedServer::new(slow), ScriptedServer::new(slow));
    let mut proxy = Proxy::servers(&[("a", &a), ("b", &b)]).start();
    proxy.initialize();
    proxy.ask("tools/list", json!({}));
    let at_a = proxy.call("a__slow", json!({"mark": "a"}));
    let at_b = proxy.call("b__slow", json!({"mark": "b"}));
    let call = a.wait_received("tools/call", 1);
    b.wait_received("tools/call", 1);
    proxy.cancel(at_a);
    let cancelled = a.wait_received("notifications/cancelled", 1);
    assert_eq!(
        cancelled[0]["params"]["requestId"], call[0]["id"],
        "the server's own id"
    );
    assert_eq!(cancelled[0]["params"]["reason"], "test");
    // Only its own server hears of it, and its caller hears nothing more.
    assert_eq!(proxy.text_of_call("a__echo", json!({"n": 1})), r#"{"n":1}"#);
    assert_eq!(proxy.text_of_call("b__echo", json!({"n": 1})), r#"{"n":1}"#);
    assert!(b.received_of("notifications/cancelled").is_empty());
    assert!(proxy.messages().iter().all(|message| message["id"] != at_a));
    proxy.cancel(at_b);
    b.wait_received("notifications/cancelled", 1);
    proxy.finish();
}

#[test]
fn f31_cancel_races_completion() {
    // More rounds than requests may be in flight: an entry that stayed behind would be noticed.
    const ROUNDS: usize = 1_200;
    let server = ScriptedServer::new("tool echo\ntool quick\non tools/call quick\n reply done");
    let mut proxy = Proxy::wrap(&server).start();
    proxy.initialize();
    for n in 0..ROUNDS {
        let call = proxy.call("quick", json!({"mark": format!("{n}")}));
        proxy.cancel(call);
    }
    assert_eq!(proxy.text_of_call("echo", json!({"n": 1})), r#"{"n":1}"#);
    let answers = proxy
        .messages()
        .iter()
        .filter(|message| message.get("result").is_some())
        .count();
    assert!(answers <= ROUNDS + 2);
    // At most one answer each, and no call ran twice: the oracles look when this ends.
    proxy.finish();
}

#[test]
fn f32_http_client_disconnects() {
    // A modern client cancels by hanging up.
    let server = ScriptedServer::new(
        "modern\ntool echo\ntool slow\non tools/call slow\n wait-cancel\n signal cancelled",
    );
    let proxy = Proxy::wrap(&server).listening().start();
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": modern(json!({"name": "slow", "arguments": {}}))});
    let headers = [
        ("MCP-Protocol-Version", MODERN),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", "slow"),
    ];
    let stream = {
        use std::io::Write;
        let mut stream = http_client::connect(proxy.address());
        let request = http_client::post_bytes(&headers, &body.to_string());
        stream.write_all(&request).expect("the request is sent");
        stream
    };
    let call = server.wait_received("tools/call", 1);
    drop(stream);
    let cancelled = server.wait_received("notifications/cancelled", 1);
    assert_eq!(cancelled[0]["params"]["requestId"], call[0]["id"]);
    server.wait_signal("cancelled");

    // A legacy client may come back: hanging up is not a cancellation there (MCP 2025-11-25
    // basic/transports, "Disconnection SHOULD NOT be interpreted as the client cancelling").
    let server = ScriptedServer::new(
        "tool echo\ntool slow\non tools/call slow\n wait gate\n reply done\n signal done",
    );
    let proxy = Proxy::wrap(&server).listening().start();
    let session = Session::open(proxy.address());
    let stream = {
        use std::io::Write;
        let mut stream = http_client::connect(proxy.address());
        let body = call_body(1, "slow", &json!({"mark": "slow"}));
        let request = http_client::post_bytes(&session.headers(), &body.to_string());
        stream.write_all(&request).expect("the request is sent");
        stream
    };
    server.wait_received("tools/call", 1);
    drop(stream);
    assert!(session.call(2, "echo", json!({})).get("result").is_some());
    assert!(server.received_of("notifications/cancelled").is_empty());
    server.open("gate");
    server.wait_signal("done");
    assert!(session.call(3, "echo", json!({})).get("result").is_some());
}

#[test]
fn f34_server_ignores_cancellation() {
    let server =
        ScriptedServer::new("tool echo\ntool deaf\non tools/call deaf\n wait gate\n reply late");
    let mut proxy = Proxy::wrap(&server)
        .options("--request-timeout 300ms")
        .settings("limits.max_in_flight_per_session = 2")
        .start();
    proxy.initialize();
    // The deadline frees the client and tells the server; its late answer goes nowhere.
    let call = proxy.call("deaf", json!({"mark": "1"}));
    assert_deadline(&proxy.answer(call));
    let sent = server.received_of("tools/call");
    let cancelled = server.wait_received("notifications/cancelled", 1);
    assert_eq!(cancelled[0]["params"]["requestId"], sent[0]["id"]);
    // A client that cancels itself is free at once, too.
    let call = proxy.call("deaf", json!({"mark": "2"}));
    server.wait_received("tools/call", 2);
    proxy.cancel(call);
    server.wait_received("notifications/cancelled", 2);
    assert_eq!(proxy.text_of_call("echo", json!({"n": 1})), r#"{"n":1}"#);
    server.open("gate");
    assert_eq!(proxy.text_of_call("echo", json!({"n": 2})), r#"{"n":2}"#);
    proxy.finish();
}

#[test]
fn f35_progress_without_end() {
    let server = ScriptedServer::new("tool busy\non tools/call busy\n progress-forever 50");
    let mut proxy = Proxy::wrap(&server)
        .options("--request-timeout 1s")
        .settings("timeouts.request_cap = \"3s\"")
        .start();
    proxy.initialize();
    let started = std::time::Instant::now();
    let params =
        json!({"name": "busy", "arguments": {"mark": "busy"}, "_meta": {"progressToken": "t"}});
    let answer = proxy.ask("tools/call", params);
    // Progress moved the idle deadline, but not the absolute one.
    let took = started.elapsed();
    assert_deadline(&answer);
    assert!(
        took.as_millis() >= 2_900,
        "progress did not move the idle deadline: {took:?}"
    );
    assert!(proxy.count_of("notifications/progress") > 20);
    let cancelled = server.wait_received("notifications/cancelled", 1);
    assert_eq!(
        cancelled[0]["params"]["requestId"],
        server.received_of("tools/call")[0]["id"]
    );
    // Without progress the idle deadline ends it first: `f34` shows that.
    proxy.finish();
}

#[test]
fn f36_call_outlives_the_client() {
    // Keep-alive comments, so that nothing between client and proxy gives up.
    let server =
        ScriptedServer::new("tool slow\non tools/call slow\n progress 1\n wait gate\n reply done");
    let proxy = Proxy::wrap(&server)
        .listening()
        .settings("http.keep_alive = \"100ms\"")
        .start();
    let session = Session::open(proxy.address());
    let mut body = call_body(1, "slow", &json!({}));
    body["params"]["_meta"] = json!({"progressToken": 1});
    let mut stream = session.post(&body);
    let mut comments = 0;
    while comments < 3 {
        let line = stream.line().expect("the stream stays open");
        comments += usize::from(line.starts_with(':'));
    }
    server.open("gate");
    assert_eq!(stream.answer()["result"]["content"][0]["text"], "done");

    // Tasks pass: the call that becomes one, and the requests that ask for it later. Keeping a result for
    // a client that went away belongs to result handles, which do not exist yet.
    let task =
        r#"{"taskId":"t1","status":"working","createdAt":"2025-01-01T00:00:00Z","ttl":60000}"#;
    let server = ScriptedServer::new(&format!(
        "capabilities {{\"tools\":{{}},\"tasks\":{{\"requests\":{{\"tools\":{{\"call\":{{}}}}}}}}}}\n\
         tool long \"inputSchema\":{{\"type\":\"object\"}},\"execution\":{{\"taskSupport\":\"optional\"}}\n\
         on tools/call long\n result {{\"task\":{task}}}\non tasks/get\n result {task}\non tasks/result\n reply finished"
    ));
    let mut proxy = Proxy::wrap(&server).start();
    proxy.initialize_as(LEGACY, json!({}));
    let started = proxy.ask(
        "tools/call",
        json!({"name": "long", "arguments": {}, "task": {"ttl": 60000}}),
    );
    let wanted: Value = serde_json::from_str(task).expect("a task");
    assert_eq!(started["result"]["task"], wanted);
    assert_eq!(
        proxy.ask("tasks/get", json!({"taskId": "t1"}))["result"],
        wanted
    );
    let result = proxy.ask("tasks/result", json!({"taskId": "t1"}));
    assert_eq!(result["result"]["content"][0]["text"], "finished");
    assert_eq!(
        server.received_of("tools/call")[0]["params"]["task"],
        json!({"ttl": 60000})
    );
    proxy.finish();
}

#[test]
fn f33_one_of_several_callers_cancels() {
    let server = ScriptedServer::new(
        "tool slow\ntool echo\non tools/call slow\n wait-cancel\n reply too late",
    );
    let mut proxy = Proxy::wrap(&server)
        .options("--cache-tools slow=60s")
        .start();
    proxy.initialize();
    proxy.ask("tools/list", json!({}));
    let calls: Vec<i64> = (0..3).map(|_| proxy.call("slow", json!({}))).collect();
    let sent = server.wait_received("tools/call", 1);
    // Those who wait go one by one; the one that was sent goes on for the last of them.
    for waiting in &calls[1..] {
        proxy.cancel(*waiting);
        assert_eq!(proxy.text_of_call("echo", json!({"n": 1})), r#"{"n":1}"#);
        assert!(server.received_of("notifications/cancelled").is_empty());
    }
    proxy.cancel(calls[0]);
    let cancelled = server.wait_received("notifications/cancelled", 1);
    assert_eq!(cancelled[0]["params"]["requestId"], sent[0]["id"]);
    let slow = server.received_of("tools/call");
    let slow = slow.iter().filter(|call| call["params"]["name"] == "slow");
    assert_eq!(slow.count(), 1, "one call for all of them");
    proxy.finish();
}

/// Where nothing may be kept, an identical call is a call of its own, so that cancelling one leaves the other
/// alone.
#[test]
fn identical_calls_are_not_joined() {
    let server = ScriptedServer::new("tool slow\non tools/call slow\n wait gate\n reply done");
    let mut proxy = Proxy::wrap(&server).start();
    proxy.initialize();
    let calls = [proxy.call("slow", json!({})), proxy.call("slow", json!({}))];
    let sent = server.wait_received("tools/call", 2);
    proxy.cancel(calls[0]);
    let cancelled = server.wait_received("notifications/cancelled", 1);
    assert!(
        sent.iter()
            .any(|call| call["id"] == cancelled[0]["params"]["requestId"])
    );
    server.open("gate");
    assert_eq!(
        proxy.answer(calls[1])["result"]["content"][0]["text"],
        "done"
    );
    proxy.finish();
}

/// Too many at once is told, and those in flight live.
#[test]
fn requests_beyond_the_limit_are_refused() {
    let server = ScriptedServer::new("tool slow\non tools/call slow\n wait gate\n reply done");
    let mut proxy = Proxy::wrap(&server)
        .settings("limits.max_in_flight_per_session = 3")
        .start();
    proxy.initialize();
    let calls: Vec<i64> = (0..3)
        .map(|n| proxy.call("slow", json!({"mark": n.to_string()})))
        .collect();
    server.wait_received("tools/call", 3);
    let refused = proxy.ask_call("slow", json!({"mark": "refused"}));
    assert_ours(&refused, -31004, "overloaded", "not_sent");
    server.open("gate");
    for call in calls {
        assert!(proxy.answer(call).get("result").is_some());
    }
    until("room again", || {
        proxy.ask_call("slow", json!({})).get("result").map(|_| ())
    });
    proxy.finish();
}
