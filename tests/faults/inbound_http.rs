//! F58–F62: clients over HTTP.

use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};

use crate::kit::http_client::{self, Session, call_body, exchange, post, post_bytes};
use crate::kit::messages::{LEGACY, MODERN, initialize_params, modern};
use crate::kit::{GUARD, Proxy, ScriptedServer, processes, within};

fn modern_call(id: i64, arguments: &Value) -> Value {
    let params = modern(json!({"name": "t", "arguments": arguments}));
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
}

#[test]
fn f58_headers_and_body_disagree() {
    let server = ScriptedServer::new(
        "modern\ntool t \"inputSchema\":{\"type\":\"object\",\"properties\":{\"region\":{\"type\":\"string\",\"x-mcp-header\":\"Region\"}}}",
    );
    let proxy = Proxy::wrap(&server).listening().start();
    let address = proxy.address();
    let version = ("MCP-Protocol-Version", MODERN);
    let method = ("Mcp-Method", "tools/call");
    let name = ("Mcp-Name", "t");
    let region = ("Mcp-Param-Region", "eu");
    // The control: with right headers it runs.
    let body = modern_call(1, &json!({"region": "eu"}));
    let listed =
        json!({"jsonrpc": "2.0", "id": 0, "method": "tools/list", "params": modern(json!({}))});
    post(address, &[version, ("Mcp-Method", "tools/list")], &listed).expect(200);
    post(address, &[version, method, name, region], &body).expect(200);
    let calls = server.received_of("tools/call").len();
    let cases: [(&str, Vec<(&str, &str)>); 10] = [
        (
            "another method",
            vec![version, ("Mcp-Method", "tools/list"), name, region],
        ),
        (
            "another name",
            vec![version, method, ("Mcp-Name", "other"), region],
        ),
        ("no method", vec![version, name, region]),
        ("no name", vec![version, method, region]),
        (
            "another version",
            vec![("MCP-Protocol-Version", "2025-11-25"), method, name, region],
        ),
        (
            "method twice",
            vec![version, method, ("mcp-method", "tools/list"), name, region],
        ),
        (
            "name twice",
            vec![version, method, name, ("mcp-name", "other"), region],
        ),
        (
            "another argument",
            vec![version, method, name, ("Mcp-Param-Region", "us")],
        ),
        (
            "bad base64",
            vec![version, method, name, ("Mcp-Param-Region", "=?base64?*?=")],
        ),
        (
            "bad base64 name",
            vec![version, method, ("Mcp-Name", "=?base64?dA?"), region],
        ),
    ];
    for (what, headers) in cases {
        let response = post(address, &headers, &body);
        let status = response.status;
        let text = response.text();
        assert_eq!(status, 400, "{what}: {text}");
        let answer: Value =
            serde_json::from_str(&text).unwrap_or_else(|_| panic!("{what}: {text}"));
        assert_eq!(answer["error"]["code"], -32020, "{what}: {answer}");
    }
    assert_eq!(
        server.received_of("tools/call").len(),
        calls,
        "a doubtful call got through"
    );
}

#[test]
fn f59_host_and_origin() {
    let server = ScriptedServer::new("");
    let proxy = Proxy::wrap(&server).listening().start();
    let address = proxy.address();
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": initialize_params(LEGACY, &json!({}))});
    let port = address.port();
    let (with_port, evil_port) = (format!("localhost:{port}"), format!("evil.example:{port}"));
    for host in ["127.0.0.1", "localhost", &with_port, "[::1]"] {
        post(address, &[("Host", host)], &body).expect(200);
    }
    let sessions = server.received_of("initialize").len();
    for host in [
        "evil.example",
        &evil_port,
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "",
        "0.0.0.0.nip.io",
    ] {
        let response = post(address, &[("Host", host)], &body);
        let refused = [400, 403, 421].contains(&response.status);
        assert!(refused, "{host}: {}", response.status);
        assert!(
            !host.contains("evil") || response.status == 403,
            "{host}: {}",
            response.status
        );
    }
    for origin in [
        "https://evil.example",
        "http://localhost.evil.example",
        "null",
        "file://",
        "http://127.0.0.1.evil.example",
    ] {
        post(address, &[("Origin", origin)], &body).expect(403);
    }
    for origin in ["http://localhost:3000", "http://127.0.0.1"] {
        post(address, &[("Origin", origin)], &body).expect(200);
    }
    assert_eq!(
        server.received_of("initialize").len(),
        sessions + 2,
        "nothing refused got through"
    );
}

#[test]
fn f60_too_much_or_too_slow() {
    let server = ScriptedServer::new("");
    let proxy = Proxy::wrap(&server)
        .listening()
        .settings("http.max_body_bytes = 65536\nhttp.max_headers = 20\nhttp.max_header_bytes = 8192\nhttp.header_timeout = \"500ms\"\nhttp.body_timeout = \"500ms\"")
        .start();
    let address = proxy.address();
    let session = Session::open(address);
    let headers = session.headers();
    let before = processes::memory_kib(proxy.process());

    let big = call_body(1, "echo", &json!({"x": "x".repeat(70_000)})).to_string();
    assert_eq!(exchange(address, &post_bytes(&headers, &big)).status, 413);
    // The same without saying so first.
    let chunked = [&headers[..], &[("Transfer-Encoding", "chunked")]].concat();
    let mut request = post_bytes(&chunked, "");
    request.extend(format!("{:x}\r\n{big}\r\n0\r\n\r\n", big.len()).as_bytes());
    assert_eq!(exchange(address, &request).status, 413);
    // A promise of much more is refused before it comes.
    let promise = [&headers[..], &[("Content-Length", "10000000000")]].concat();
    assert_eq!(exchange(address, &post_bytes(&promise, "{")).status, 413);

    let names: Vec<String> = (0..40).map(|n| format!("X-Header-{n}")).collect();
    let mut many = headers.to_vec();
    many.extend(names.iter().map(|name| (name.as_str(), "v")));
    assert_eq!(exchange(address, &post_bytes(&many, "{}")).status, 431);
    let long = "v".repeat(10_000);
    let mut large = headers.to_vec();
    large.push(("X-Long", &long));
    assert_eq!(exchange(address, &post_bytes(&large, "{}")).status, 431);

    // A head that never ends, and a body that never comes.
    let mut slow = http_client::connect(address);
    slow.write_all(b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")
        .expect("it is sent");
    match http_client::read_head(slow) {
        Ok(response) => assert_eq!(response.status, 408),
        // It may also just be closed, as nothing was asked yet.
        Err(error) => assert!(error.contains("no status line"), "{error}"),
    }
    let mut slow = http_client::connect(address);
    let waits = [&headers[..], &[("Content-Length", "100")]].concat();
    slow.write_all(&post_bytes(&waits, "{"))
        .expect("it is sent");
    let response = http_client::read_head(slow).expect("an answer");
    assert_eq!(response.status, 408);

    // Byte by byte: what comes renews no time, neither in the head nor in the body.
    for start in [
        "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "
            .as_bytes()
            .to_vec(),
        post_bytes(&waits, "{"),
    ] {
        let is_over = http_client::connect(address);
        let mut drip = is_over.try_clone().expect("a second name of the socket");
        drip.write_all(&start).expect("it is sent");
        let dripping = std::thread::spawn(move || {
            // Many times the limit, if nobody ends it.
            (0..400).all(|_| {
                std::thread::sleep(Duration::from_millis(50));
                drip.write_all(b" ").is_ok()
            })
        });
        let ended = http_client::read_head(is_over).map(|response| response.status);
        assert!(matches!(ended, Ok(408) | Err(_)), "{ended:?}");
        assert!(
            !dripping.join().expect("it does not panic"),
            "it was read to the end"
        );
    }

    let after = processes::memory_kib(proxy.process());
    assert!(after < before + 8 * 1024, "{before} -> {after} KiB");
    assert!(session.call(2, "echo", json!({})).get("result").is_some());
}

#[test]
fn f61_overload() {
    let server =
        ScriptedServer::new("tool echo\ntool slow\non tools/call slow\n wait gate\n reply done");
    let proxy = Proxy::wrap(&server)
        .listening()
        .options("--admin-listen 127.0.0.1:0")
        .settings("limits.max_in_flight_per_session = 4")
        .start();
    let address = proxy.address();
    let (greedy, modest) = (Session::open(address), Session::open(address));
    let threads: Vec<_> = (0..4)
        .map(|n| {
            let session = greedy.clone();
            std::thread::spawn(move || session.call(n, "slow", json!({"mark": n.to_string()})))
        })
        .collect();
    server.wait_received("tools/call", 4);
    let refused = greedy.post(&call_body(9, "slow", &json!({"mark": "refused"})));
    assert_eq!(refused.status, 503);
    let answer = refused.answer();
    assert_eq!(answer["error"]["code"], -31004, "{answer}");
    assert_eq!(answer["error"]["data"]["outcome"], "not_sent", "{answer}");
    // Others are served, and so is who watches.
    assert!(modest.call(1, "echo", json!({})).get("result").is_some());
    let admin = proxy.address_after("health on");
    let alive = exchange(admin, b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    assert_eq!(alive.status, 200);
    server.open("gate");
    for thread in threads {
        let answer = thread.join().expect("the client ends");
        assert_eq!(answer["result"]["content"][0]["text"], "done", "{answer}");
    }
}

/// How many sessions there are, as the metrics tell.
fn sessions(admin: std::net::SocketAddr) -> Option<u64> {
    let metrics = exchange(admin, b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").text();
    let line = metrics
        .lines()
        .find(|line| line.starts_with("mcp_whittle_open{kind=\"sessions\"}"));
    line?.rsplit(' ').next()?.parse().ok()
}

#[test]
fn f62_abandoned_sessions_and_rejected_handshakes() {
    let server = ScriptedServer::new("");
    let proxy = Proxy::wrap(&server)
        .listening()
        .options("--stateless")
        .settings("limits.max_sessions = 500")
        .start();
    let address = proxy.address();
    let params = initialize_params(LEGACY, &json!({}));
    let good = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
    let rejected = [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize"}),
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": []}),
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}),
        json!({"jsonrpc": "1.0", "id": 1, "method": "initialize", "params": {}}),
    ];
    let reject = |count: usize| {
        for n in 0..count {
            let response = post(address, &[], &rejected[n % rejected.len()]);
            let session = response.header("mcp-session-id").is_some();
            let status = response.status;
            let text = response.text();
            assert!(
                !session,
                "state before validation: {} got {status} {text}",
                rejected[n % rejected.len()]
            );
            assert_ne!(status, 202, "{text}");
        }
    };
    // The first ones warm up allocators; the slope is measured after them.
    reject(2_000);
    let before = processes::memory_kib(proxy.process());
    reject(8_000);
    let after = processes::memory_kib(proxy.process());
    assert!(
        after < before + 2_048,
        "{before} -> {after} KiB for 8000 rejected handshakes"
    );

    let mut refused = None;
    for n in 0..600 {
        let response = post(address, &[], &good);
        if response.status != 200 {
            refused = Some((n, response.status));
            break;
        }
    }
    let full = processes::memory_kib(proxy.process());
    assert_eq!(refused, Some((500, 503)), "the cap");
    let each = full.saturating_sub(after) / 500;
    assert!(each < 40, "{each} KiB for each session");
    assert_eq!(
        server.starts().len(),
        1,
        "one shared server for all of them"
    );

    // They expire, all ten thousand of them, and leave nothing.
    let server = ScriptedServer::new("");
    let proxy = Proxy::wrap(&server)
        .listening()
        .options("--stateless --admin-listen 127.0.0.1:0")
        .settings("timeouts.session_idle = \"2s\"")
        .start();
    let (address, admin) = (proxy.address(), proxy.address_after("health on"));
    let empty: Vec<u64> = (0..4)
        .map(|_| {
            for _ in 0..2_500 {
                post(address, &[], &good).expect(200);
            }
            let gone = within(GUARD, || sessions(admin).filter(|open| *open == 0));
            assert!(gone.is_some(), "abandoned sessions never expire");
            processes::memory_kib(proxy.process())
        })
        .collect();
    assert!(
        // The first thousands fill what allocators keep.
        empty[3] < empty[2] + 2_048,
        "{empty:?} KiB after each 2500 abandoned sessions"
    );
}

/// Broken variant that this catches: a listen stream that we broke off, as its client reads too slowly, still counts as
/// open, so that what comes later is lost and not kept for the next one.
#[test]
fn what_comes_after_a_stream_that_was_broken_off_is_kept_for_the_next() {
    // More than sockets and the queue of one client hold; what is kept for the next stream fits its queue.
    let large = " text {\"jsonrpc\":\"2.0\",\"method\":\"notifications/vendor.example/large\",\"params\":{\"x\":\"\n fill 262144\n text \"}}\n newline\n";
    let server = ScriptedServer::new(&format!(
        "tool flood\non tools/call flood\n{} reply done\ntool late\non tools/call late\n notify notifications/vendor.example/late\n reply done",
        large.repeat(200)
    ));
    let proxy = Proxy::wrap(&server)
        .listening()
        .settings("limits.max_queue_bytes = \"4MiB\"\nlimits.max_session_bytes = \"1MiB\"")
        .start();
    let session = Session::open(proxy.address());
    let deaf = session.listen().expect(200);
    assert!(session.call(1, "flood", json!({})).get("result").is_some());
    proxy.wait_stderr("a client reads its stream too slowly");
    assert!(session.call(2, "late", json!({})).get("result").is_some());
    let mut next = session.listen().expect(200);
    let mut has_come = false;
    while let Some(message) = next.event() {
        if message["method"] == "notifications/vendor.example/late" {
            has_come = true;
            break;
        }
    }
    assert!(has_come, "it was sent to nobody");
    deaf.hang_up();
}
