//! A service for many: whoever is over a bound is told when to come back, whoever cannot be had is left
//! alone, whoever does not read holds nothing, and all of it can be watched. Rows F42, F61 and F62 of the
//! table name the faults; these are their details.

use serde_json::{Value, json};

use crate::kit::http_client::{Session, call_body, exchange, post_bytes};
use crate::kit::http_upstream::HttpUpstream;
use crate::kit::{Proxy, ScriptedServer, until, until_true};

const GATED: &str = "tool echo\ntool slow\non tools/call slow\n wait gate\n reply done";

fn metrics(proxy: &Proxy) -> String {
    let admin = proxy.address_after("health on");
    let request = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    exchange(admin, request).expect(200).text()
}

fn descriptors(proxy: &Proxy) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", proxy.process()))
        .expect("it runs")
        .count()
}

fn is_busy(answer: &Value) -> bool {
    let text = answer["result"]["content"][0]["text"].as_str();
    answer["result"]["isError"] == true
        && text.is_some_and(|text| text.starts_with("busy: ") && text.contains("try again in 1 s"))
        && answer["result"]["_meta"]["dev.mcp-whittle/error"]["retryAfterMs"].is_u64()
}

#[test]
fn a_full_server_is_told_to_models_as_a_result_and_to_programs_as_503() {
    let server = ScriptedServer::new(GATED);
    let proxy = Proxy::wrap(&server)
        .listening()
        .options("--admin-listen 127.0.0.1:0")
        .settings("limits.max_waiting_per_upstream = 2")
        .start();
    let session = Session::open(proxy.address());
    let waiting: Vec<_> = (0..2)
        .map(|n| {
            let session = session.clone();
            std::thread::spawn(move || session.call(n, "slow", json!({"mark": n.to_string()})))
        })
        .collect();
    server.wait_received("tools/call", 2);
    let answer = session.call(7, "echo", json!({"mark": "refused"}));
    assert!(is_busy(&answer), "{answer}");
    let vendor = json!({"jsonrpc": "2.0", "id": 8, "method": "vendor/x"});
    let refused = session.post(&vendor);
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.answer()["error"]["code"], -31004);
    server.open("gate");
    for thread in waiting {
        let answer = thread.join().expect("the client ends");
        assert_eq!(answer["result"]["content"][0]["text"], "done", "{answer}");
    }
    assert!(session.call(9, "echo", json!({})).get("result").is_some());
    assert_eq!(
        server
            .marks()
            .iter()
            .filter(|mark| *mark == "refused")
            .count(),
        0
    );
    until_true("it is counted", || {
        metrics(&proxy).contains("mcp_whittle_events_total{kind=\"busy\"} 2")
    });
}

#[test]
fn a_client_that_asks_too_often_is_told_when_to_come_back() {
    let server = ScriptedServer::new("tool echo");
    let proxy = Proxy::wrap(&server)
        .listening()
        .settings("limits.requests_per_second = 1\nlimits.request_burst = 3")
        .start();
    let session = Session::open(proxy.address());
    // With the handshake these are more than three, whatever time passes between them.
    let vendor = json!({"jsonrpc": "2.0", "id": 8, "method": "vendor/x"});
    let refused = until("a refusal", || {
        let response = session.post(&vendor);
        (response.status == 429).then_some(response)
    });
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.answer()["error"]["data"]["kind"], "overloaded");
    let busy = until("a busy call", || {
        let answer = session.call(9, "echo", json!({}));
        (answer["result"]["isError"] == true).then_some(answer)
    });
    assert!(is_busy(&busy), "{busy}");
    // Others are others: who brings another token has a share of their own.
    let body = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params":
        crate::kit::messages::initialize_params(crate::kit::messages::LEGACY, &json!({}))});
    let request = post_bytes(&[("Authorization", "Bearer other")], &body.to_string());
    exchange(proxy.address(), &request).expect(200);
}

#[test]
fn a_dead_http_server_is_left_alone_and_tried_again() {
    let upstream = HttpUpstream::start(|request, _, reply| {
        let is_dead =
            request.method() == "tools/call" && request.body["params"]["arguments"]["dead"] == true;
        if is_dead {
            reply.close();
        }
        is_dead
    });
    let mut proxy = Proxy::upstream(&upstream.url())
        .settings("breaker.failures = 3\nbreaker.open = \"500ms\"")
        .start();
    proxy.initialize();
    // A result that says `isError`, or an error, is an answer.
    for _ in 0..5 {
        proxy.ask("vendor/x", json!({}));
    }
    for _ in 0..3 {
        let answer = proxy.ask_call("echo", json!({"dead": true}));
        assert!(answer["error"]["code"].is_i64(), "{answer}");
    }
    proxy.wait_stderr("left alone");
    let sent = upstream.requests_of("tools/call").len();
    let answer = proxy.ask_call("echo", json!({}));
    assert_eq!(answer["error"]["code"], -31001, "{answer}");
    assert_eq!(answer["error"]["data"]["outcome"], "not_sent", "{answer}");
    assert!(answer["error"]["data"]["retryAfterMs"].is_u64(), "{answer}");
    assert_eq!(upstream.requests_of("tools/call").len(), sent);
    until_true("it is tried again", || {
        proxy.ask_call("echo", json!({})).get("result").is_some()
    });
    proxy.wait_stderr("answers again");
    proxy.finish();
}

#[test]
fn a_client_that_reads_nothing_is_closed_and_holds_nothing() {
    let server =
        ScriptedServer::new("tool echo\ntool large\non tools/call large\n reply-size 30000000");
    let proxy = Proxy::wrap(&server)
        .listening()
        .settings("timeouts.stall_timeout = \"500ms\"\nhttp.max_queued_bytes = \"40MiB\"\ntransparent = true")
        .start();
    let address = proxy.address();
    let (deaf, healthy) = (Session::open(address), Session::open(address));
    let before = descriptors(&proxy);
    let held: Vec<_> = (0..3)
        .map(|n| {
            let mut stream = crate::kit::http_client::connect(address);
            let body = call_body(n, "large", &json!({})).to_string();
            std::io::Write::write_all(&mut stream, &post_bytes(&deaf.headers(), &body))
                .expect("it is sent");
            stream
        })
        .collect();
    // Others are served meanwhile, or told to come back while too much waits.
    for n in 0..20 {
        let response = healthy.post(&call_body(n, "echo", &json!({"n": n})));
        assert!([200, 503].contains(&response.status), "{}", response.status);
    }
    until_true("their connections are closed", || {
        descriptors(&proxy) <= before
    });
    drop(held);
    let answer = healthy.call(99, "echo", json!({}));
    assert!(answer.get("result").is_some(), "{answer}");
}

#[test]
fn metrics_name_what_servers_listed_and_nothing_that_a_client_made_up() {
    let server = ScriptedServer::new("tool echo\ntool bad\non tools/call bad\n error -32055 no");
    let proxy = Proxy::wrap(&server)
        .listening()
        .options("--admin-listen 127.0.0.1:0")
        .start();
    let session = Session::open(proxy.address());
    session
        .post(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}))
        .answer();
    for n in 0..5 {
        session.call(
            10 + n,
            "echo",
            json!({"mark": format!("canary-argument-{n}")}),
        );
        session.call(20 + n, "bad", json!({}));
        session.call(30 + n, &format!("canary-tool-{n}"), json!({}));
        let vendor = json!({"jsonrpc": "2.0", "id": 40 + n, "method": format!("canary/{n}")});
        session.post(&vendor).answer();
    }
    let text = metrics(&proxy);
    assert!(!text.contains("canary"), "{text}");
    let [id, _] = session.headers();
    assert!(!text.contains(id.1), "{text}");
    let count = |labels: &str| {
        let start = format!("mcp_server_operation_duration_seconds_count{{{labels}}} ");
        text.lines()
            .find_map(|line| line.strip_prefix(&start)?.parse::<u64>().ok())
            .unwrap_or_default()
    };
    let call = |tool: &str, error: &str| {
        count(&format!(
            "mcp_method_name=\"tools/call\",gen_ai_tool_name=\"{tool}\",error_type=\"{error}\",era=\"legacy\""
        ))
    };
    assert_eq!(call("echo", ""), 5, "{text}");
    assert_eq!(call("bad", "other"), 5, "a code of nobody's: {text}");
    assert_eq!(
        count(
            "mcp_method_name=\"other\",gen_ai_tool_name=\"\",error_type=\"-32601\",era=\"legacy\""
        ),
        5,
        "{text}"
    );
    for name in [
        "mcp_client_operation_duration_seconds_bucket",
        "mcp_whittle_requests_total",
        "mcp_whittle_open",
        "mcp_whittle_upstream_connections",
        "mcp_whittle_upstream_breaker",
        "process_resident_memory_bytes",
    ] {
        assert!(text.contains(name), "{name}: {text}");
    }
    check_format(&text);
    // Sessions that end are gone from what is open, and are counted.
    let request = format!(
        "DELETE /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nMcp-Session-Id: {}\r\nContent-Length: 0\r\n\r\n",
        id.1
    );
    exchange(proxy.address(), request.as_bytes()).expect(200);
    until_true("the session is over", || {
        let text = metrics(&proxy);
        text.contains("mcp_whittle_open{kind=\"sessions\"} 0")
            && text.contains("mcp_server_session_duration_seconds_count 1")
    });
}

/// The text format, version 0.0.4: every sample stands under its type, in one block, once.
fn check_format(text: &str) {
    let mut types: Vec<(String, String)> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a name and a type");
            assert!(types.iter().all(|(known, _)| known != name), "{name} twice");
            types.push((name.to_owned(), kind.to_owned()));
        } else if !line.starts_with('#') {
            let (name, value) = line.rsplit_once(' ').expect("a value");
            assert!(value.parse::<f64>().is_ok(), "{line}");
            assert!(seen.insert(name.to_owned()), "{line} twice");
            let bare = name.split('{').next().expect("a name");
            let (of, kind) = types.last().expect("a type before it");
            let is_part = match kind.as_str() {
                "histogram" => ["_bucket", "_sum", "_count"]
                    .iter()
                    .any(|end| bare.strip_suffix(end) == Some(of)),
                _ => bare == of,
            };
            assert!(is_part, "{line} under {of}");
        }
    }
    assert!(types.len() > 8, "{text}");
}

/// Whoever watches is answered while everything drains, and is told that nothing new is welcome.
#[test]
fn health_and_metrics_answer_while_it_drains() {
    let server = ScriptedServer::new(GATED);
    let mut proxy = Proxy::wrap(&server)
        .listening()
        .options("--admin-listen 127.0.0.1:0 --shutdown-grace 20s")
        .start();
    let session = Session::open(proxy.address());
    let admin = proxy.address_after("health on");
    let status = |path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        exchange(admin, request.as_bytes()).status
    };
    let call = {
        let session = session.clone();
        std::thread::spawn(move || session.call(1, "slow", json!({"mark": "http"})))
    };
    server.wait_received("tools/call", 1);
    assert_eq!(status("/readyz"), 200);
    proxy.terminate();
    until_true("it is not ready", || status("/readyz") == 503);
    assert_eq!(
        [status("/livez"), status("/startedz"), status("/metrics")],
        [200, 200, 200]
    );
    server.open("gate");
    let answer = call.join().expect("the client ends");
    assert_eq!(answer["result"]["content"][0]["text"], "done", "{answer}");
    assert_eq!(proxy.wait_exit().code(), Some(0));
}
