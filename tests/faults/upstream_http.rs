//! F37–F45: servers over HTTP.

use std::net::TcpListener;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::kit::http_client::{Session, call_body, post};
use crate::kit::http_upstream::{HttpUpstream, Request};
use crate::kit::messages::{
    LEGACY, assert_deadline, assert_lost, assert_ours, assert_unavailable, initialize_params,
};
use crate::kit::{Proxy, ScriptedServer, processes};

fn is_call(request: &Request) -> bool {
    request.method() == "tools/call"
}

fn initialize(proxy: &mut Proxy) -> Value {
    proxy.ask("initialize", initialize_params(LEGACY, &json!({})))
}

#[test]
fn f37_refused_unresolvable_and_no_tls() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.local_addr().expect("an address")
    };
    let plain = HttpUpstream::start(|_, _, _| false);
    for url in [
        format!("http://{closed}/mcp"),
        "http://no-such-host.invalid/mcp".to_owned(),
        format!("https://{}/mcp", plain.address()),
    ] {
        let mut proxy = Proxy::upstream(&url).start();
        let answer = initialize(&mut proxy);
        assert_unavailable(&answer);
        assert_eq!(answer["error"]["data"]["retryable"], true, "{answer}");
        proxy.finish();
    }
    // Beside a server that works it holds nobody up.
    let good = ScriptedServer::new("");
    let mut proxy = Proxy::servers(&[("good", &good)])
        .url("gone", &format!("http://{closed}/mcp"))
        .start();
    proxy.initialize();
    assert_eq!(
        proxy.text_of_call("good__echo", json!({"n": 1})),
        r#"{"n":1}"#
    );
    assert_unavailable(&proxy.ask_call("gone__echo", json!({})));
    proxy.finish();
}

#[test]
fn f38_half_open_connection() {
    let upstream = HttpUpstream::start(|request, _, reply| {
        let hangs = is_call(request) && request.body["params"]["name"] == "hang";
        if hangs {
            reply.hang();
        }
        hangs
    });
    let mut proxy = Proxy::upstream(&upstream.url())
        .options("--request-timeout 500ms")
        .start();
    proxy.initialize();
    assert_deadline(&proxy.ask_call("hang", json!({})));
    assert_eq!(proxy.text_of_call("echo", json!({"n": 1})), r#"{"n":1}"#);
    assert_eq!(
        upstream.requests_of("tools/call").len(),
        2,
        "nothing was sent again"
    );
    proxy.finish();
}

#[test]
fn f39_event_stream_breaks() {
    // Legacy with event ids: resumed where it broke.
    let asked = Mutex::new(Value::Null);
    let upstream = HttpUpstream::start(move |request, _, reply| {
        let mut asked = asked.lock().expect("no test panics with it");
        if is_call(request) {
            *asked = request.body["id"].clone();
            let note = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "first"}});
            reply.start_events();
            reply.event(Some("e1"), &note);
            reply.close();
            return true;
        }
        if request.verb == "GET" && request.header("last-event-id").is_some() {
            let result = json!({"content": [{"type": "text", "text": "resumed"}]});
            reply.start_events();
            reply.event(
                Some("e2"),
                &json!({"jsonrpc": "2.0", "id": *asked, "result": result}),
            );
            reply.close();
            return true;
        }
        false
    });
    let mut proxy = Proxy::upstream(&upstream.url()).start();
    proxy.initialize();
    let answer = proxy.ask_call("echo", json!({"mark": "1"}));
    let gets: Vec<Request> = upstream
        .requests()
        .into_iter()
        .filter(|request| request.verb == "GET")
        .collect();
    let resumed = gets
        .iter()
        .find(|request| request.header("last-event-id") == Some("e1"));
    assert!(resumed.is_some(), "not resumed: {gets:?}");
    assert_eq!(
        answer["result"]["content"][0]["text"], "resumed",
        "{answer}"
    );
    assert_eq!(upstream.requests_of("tools/call").len(), 1);
    proxy.finish();

    // Legacy without event ids, or where resuming fails: an error, no wait.
    for with_id in [false, true] {
        let upstream = HttpUpstream::start(move |request, _, reply| {
            if is_call(request) {
                let note = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "first"}});
                reply.start_events();
                reply.event(with_id.then_some("e1"), &note);
                reply.close();
            }
            is_call(request)
        });
        let mut proxy = Proxy::upstream(&upstream.url()).start();
        proxy.initialize();
        assert_lost(&proxy.ask_call("echo", json!({})));
        assert_eq!(
            upstream.requests_of("tools/call").len(),
            1,
            "nothing was sent again"
        );
        proxy.finish();
    }
}

#[test]
fn f40_session_is_gone() {
    // The server forgets its session before the first call; who shakes hands again gets a new one.
    for status in [404, 400] {
        let upstream = HttpUpstream::start(move |request, nth, reply| {
            if request.method() == "initialize" {
                let id = format!("session {nth}");
                let result = json!({"protocolVersion": LEGACY, "capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"}});
                let body = json!({"jsonrpc": "2.0", "id": request.body["id"], "result": result});
                let headers = [
                    ("Content-Type", "application/json"),
                    ("Mcp-Session-Id", id.as_str()),
                ];
                reply.full(200, &headers, &body.to_string());
                return true;
            }
            let is_stale =
                is_call(request) && request.header("mcp-session-id") == Some("session 1");
            if is_stale {
                let error = json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32000, "message": "Session not found"}});
                reply.full(
                    status,
                    &[("Content-Type", "application/json")],
                    &error.to_string(),
                );
            }
            is_stale
        });
        let mut proxy = Proxy::upstream(&upstream.url()).start();
        proxy.initialize();
        let calls: Vec<i64> = (0..5)
            .map(|n| proxy.call("echo", json!({"mark": n.to_string()})))
            .collect();
        for call in calls {
            let answer = proxy.answer(call);
            let is_lost = answer["error"]["code"] == -31002;
            assert!(
                is_lost || answer.get("result").is_some(),
                "{status}: {answer}"
            );
        }
        let text = crate::kit::until("a call in the new session", || {
            proxy.ask_call("echo", json!({})).get("result").cloned()
        });
        assert_eq!(text["content"][0]["text"], "{}");
        let handshakes = upstream.requests_of("initialize");
        assert_eq!(handshakes.len(), 2, "one new handshake for all");
        // No call ran twice: each mark was accepted in one session at most.
        let ran: Vec<String> = upstream
            .requests_of("tools/call")
            .iter()
            .filter(|request| request.header("mcp-session-id") == Some("session 2"))
            .filter_map(|request| {
                request.body["params"]["arguments"]["mark"]
                    .as_str()
                    .map(str::to_owned)
            })
            .collect();
        crate::kit::oracle::assert_no_repeats(&ran);
        proxy.finish();
    }
}

#[test]
fn f41_unauthorised_in_the_middle() {
    let challenge = r#"Bearer resource_metadata="https://rs.example/.well-known/oauth-protected-resource", scope="a""#;
    let upstream = HttpUpstream::start(move |request, _, reply| {
        if is_call(request) {
            reply.full(401, &[("WWW-Authenticate", challenge)], "");
        }
        is_call(request)
    });
    // No tokens of our own in this version: the challenge goes to the client, who can log in.
    let mut proxy = Proxy::upstream(&upstream.url()).start();
    proxy.initialize();
    let calls: Vec<i64> = (0..5).map(|_| proxy.call("echo", json!({}))).collect();
    for call in calls {
        let answer = proxy.answer(call);
        assert_eq!(answer["error"]["data"]["httpStatus"], 401, "{answer}");
        assert_eq!(
            answer["error"]["data"]["wwwAuthenticate"], challenge,
            "{answer}"
        );
    }
    assert_eq!(upstream.requests_of("tools/call").len(), 5, "no storm");
    proxy.finish();

    let proxy = Proxy::upstream(&upstream.url()).listening().start();
    let session = Session::open(proxy.address());
    let response = session.post(&call_body(1, "echo", &json!({}))).expect(401);
    assert_eq!(response.header("www-authenticate"), Some(challenge));
}

#[test]
fn f42_server_asks_to_be_called_later() {
    for status in [429, 503] {
        let upstream = HttpUpstream::start(move |request, _, reply| {
            if is_call(request) {
                reply.full(status, &[("Retry-After", "2")], "slow down");
            }
            is_call(request)
        });
        let mut proxy = Proxy::upstream(&upstream.url()).start();
        proxy.initialize();
        let answer = proxy.ask_call("echo", json!({}));
        assert_ours(&answer, -31004, "overloaded", "not_sent");
        assert_eq!(answer["error"]["data"]["retryAfterMs"], 2000, "{answer}");
        assert_eq!(
            upstream.requests_of("tools/call").len(),
            1,
            "nothing was sent again"
        );
        // 503 concerns everybody: the server is left alone. 429 concerns the one who asked.
        let answer = proxy.ask_call("echo", json!({}));
        if status == 503 {
            assert_ours(&answer, -31001, "upstream_unavailable", "not_sent");
            let wait = answer["error"]["data"]["retryAfterMs"].as_u64();
            assert!(wait.is_some_and(|wait| wait <= 2000), "{answer}");
        } else {
            assert_ours(&answer, -31004, "overloaded", "not_sent");
        }
        let sent = if status == 503 { 1 } else { 2 };
        assert_eq!(upstream.requests_of("tools/call").len(), sent);
        proxy.finish();
    }
}

#[test]
fn f43_answers_that_are_no_messages() {
    let html = "<html><body>Please log in at the portal first</body></html>";
    let upstream = HttpUpstream::start(move |request, _, reply| {
        if !is_call(request) {
            return false;
        }
        match request.body["params"]["name"].as_str().unwrap_or_default() {
            "html" => reply.full(200, &[("Content-Type", "text/html")], html),
            "html as json" => reply.full(200, &[("Content-Type", "application/json")], html),
            "other type" => reply.full(200, &[("Content-Type", "text/plain")], "{}"),
            "no type" => reply.full(200, &[], "{}"),
            "empty" => reply.full(200, &[("Content-Type", "application/json")], ""),
            "accepted" => reply.full(202, &[], ""),
            "no events" => {
                reply.start_events();
                reply.raw(b"data: <html>\n\n: that was no message\n\n");
                reply.close();
            }
            "wrong id" => reply.json(&json!({"jsonrpc": "2.0", "id": "other", "result": {}})),
            _ => return false,
        }
        true
    });
    let mut proxy = Proxy::upstream(&upstream.url()).start();
    proxy.initialize();
    for name in [
        "html",
        "html as json",
        "other type",
        "no type",
        "empty",
        "accepted",
        "wrong id",
    ] {
        let answer = proxy.ask_call(name, json!({}));
        assert_eq!(answer["error"]["code"], -31006, "{name}: {answer}");
        assert_ours(&answer, -31006, "upstream_protocol", "maybe_executed");
        if name.starts_with("html") {
            let text = answer["error"].to_string();
            assert!(
                text.contains("Please log in"),
                "the body's start is not told: {text}"
            );
        }
    }
    let answer = proxy.ask_call("no events", json!({}));
    let code = &answer["error"]["code"];
    assert!(*code == -31006 || *code == -31002, "{answer}");
    assert_eq!(proxy.text_of_call("echo", json!({"n": 1})), r#"{"n":1}"#);
    proxy.finish();
}

#[test]
fn f44_bodies_without_end() {
    const MOST: u64 = 200 << 20;
    let upstream = HttpUpstream::start(|request, _, reply| {
        if !is_call(request) {
            return false;
        }
        let block = vec![b'x'; 1 << 16];
        match request.body["params"]["name"].as_str().unwrap_or_default() {
            "huge" => {
                reply.raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10000000000\r\n\r\n{\"jsonrpc\":\"2.0\",\"x\":\"");
                reply.flood(&block, MOST);
            }
            "unsized" => {
                reply.raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{\"x\":\"");
                reply.flood(&block, MOST);
            }
            "event" => {
                reply.start_events();
                reply.raw(b"data: {\"x\":\"");
                reply.flood(&block, MOST);
            }
            // A thousandth of what it unpacks to. We never ask for packed bodies, so none may be unpacked.
            "bomb" => {
                let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
                packed.extend([0; 1000]);
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
                    packed.len()
                );
                reply.raw(&[head.as_bytes(), &packed].concat());
            }
            "error body" => {
                reply.raw(
                    b"HTTP/1.1 500 Broken\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n",
                );
                reply.flood(&block, MOST);
            }
            _ => return false,
        }
        reply.close();
        true
    });
    let mut proxy = Proxy::upstream(&upstream.url())
        .options("--max-frame-bytes 1MiB")
        .start();
    proxy.initialize();
    for name in ["huge", "unsized", "event"] {
        let answer = proxy.ask_call(name, json!({}));
        assert_eq!(answer["error"]["code"], -31005, "{name}: {answer}");
        assert_ours(&answer, -31005, "too_large", "maybe_executed");
    }
    let answer = proxy.ask_call("bomb", json!({}));
    assert_ours(&answer, -31006, "upstream_protocol", "maybe_executed");
    let answer = proxy.ask_call("error body", json!({}));
    assert!(answer["error"]["code"].is_i64(), "{answer}");
    let asked = upstream.requests();
    let accepted: Vec<Option<&str>> = asked
        .iter()
        .map(|request| request.header("accept-encoding"))
        .collect();
    assert!(
        accepted
            .iter()
            .all(|coding| coding.is_none_or(|coding| coding == "identity")),
        "{accepted:?}"
    );
    let peak = processes::peak_memory_kib(proxy.process());
    assert!(peak < 64 * 1024, "{peak} KiB");
    assert_eq!(proxy.text_of_call("echo", json!({"n": 1})), r#"{"n":1}"#);
    proxy.finish();
}

#[test]
fn f45_redirect_to_another_origin() {
    let other = HttpUpstream::start(|_, _, _| false);
    let target = other.url();
    for status in [301, 302, 303, 307, 308] {
        let target = target.clone();
        let upstream = HttpUpstream::start(move |request, _, reply| {
            if is_call(request) {
                reply.full(status, &[("Location", &target)], "");
            }
            is_call(request)
        });
        let mut proxy = Proxy::upstream(&upstream.url())
            .option("--header")
            .option("Authorization: Bearer canary")
            .start();
        proxy.initialize();
        let answer = proxy.ask_call("echo", json!({}));
        assert_ours(&answer, -31006, "upstream_protocol", "maybe_executed");
        assert!(!answer.to_string().contains("canary"), "{answer}");
        assert!(!proxy.stderr().contains("canary"));
        proxy.finish();
    }
    assert!(
        other.requests().is_empty(),
        "the redirect was followed: {:?}",
        other.requests()
    );
}

/// Nobody waits for a server whose port takes connections and never speaks.
#[test]
fn a_silent_http_server_does_not_hold_up_the_others() {
    let silent = HttpUpstream::start(|_, _, reply| {
        reply.hang();
        true
    });
    let good = ScriptedServer::new("");
    let mut proxy = Proxy::servers(&[("good", &good)])
        .settings("timeouts.list_deadline = \"300ms\"\ntimeouts.start_timeout = \"20s\"")
        .url("silent", &silent.url())
        .start();
    let started = Instant::now();
    proxy.initialize();
    assert_eq!(
        proxy.text_of_call("good__echo", json!({"n": 1})),
        r#"{"n":1}"#
    );
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
}

/// A server that speaks only HTTP+SSE.
fn only_sse() -> HttpUpstream {
    let (said, heard) = std::sync::mpsc::channel::<Value>();
    let heard = Mutex::new(heard);
    HttpUpstream::start(move |request, _, reply| {
        if request.path == "/messages" {
            reply.full(202, &[], "");
            // Only a broken proxy needs the time, to take the 202 for an answer.
            std::thread::sleep(Duration::from_millis(50));
            if let Some(answer) = answer_of(request) {
                let _ = said.send(answer);
            }
        } else if request.verb == "GET" {
            reply.start_events();
            reply.raw(b"event: endpoint\ndata: /messages\n\n");
            let heard = heard.lock().expect("no test panics with it");
            while let Ok(message) = heard.recv() {
                reply.event(None, &message);
            }
        } else {
            reply.full(405, &[], "");
        }
        true
    })
}

/// What a plain server answers to a request.
fn answer_of(request: &Request) -> Option<Value> {
    let id = request.body.get("id")?;
    let params = &request.body["params"];
    let result = match request.method() {
        "initialize" => json!({
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "old", "version": "1"},
        }),
        "tools/call" => {
            json!({"content": [{"type": "text", "text": params["arguments"].to_string()}]})
        }
        _ => json!({"tools": []}),
    };
    Some(json!({"jsonrpc": "2.0", "id": id, "result": result}))
}

/// Broken variant that this catches: which transport a connection uses is forgotten with what was learned of servers,
/// so that after a SIGHUP each 202 of HTTP+SSE is taken for an answer to its call.
#[test]
fn a_reload_leaves_connections_over_http_sse_as_they_are() {
    let upstream = only_sse();
    let mut proxy = Proxy::upstream(&upstream.url()).start();
    proxy.initialize();
    assert_eq!(proxy.text_of_call("echo", json!({"n": 1})), r#"{"n":1}"#);
    processes::signal(proxy.process(), rustix::process::Signal::HUP);
    proxy.wait_stderr("the configuration was read again");
    assert_eq!(proxy.text_of_call("echo", json!({"n": 2})), r#"{"n":2}"#);
    proxy.finish();
}

/// Broken variant that this catches: a server counts as one of HTTP+SSE once that was tried, so that one refusal that
/// passes (a gateway that knows no server yet) keeps later connections from it until we are started again.
#[test]
fn a_refusal_that_passes_does_not_leave_a_server_with_http_sse() {
    let upstream = HttpUpstream::start(|request, nth, reply| {
        let is_refused = request.method() == "initialize" && nth == 1;
        if is_refused {
            reply.full(404, &[], "no such service");
        }
        is_refused
    });
    let proxy = Proxy::upstream(&upstream.url()).listening().start();
    let params = initialize_params(LEGACY, &json!({}));
    let body = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
    let answer = post(proxy.address(), &[], &body).answer();
    assert!(answer["error"].is_object(), "{answer}");
    let session = Session::open(proxy.address());
    let answer = session.call(1, "echo", json!({"n": 1}));
    assert_eq!(
        answer["result"]["content"][0]["text"], r#"{"n":1}"#,
        "{answer}"
    );
}
