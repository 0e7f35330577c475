//! Every request that must not reach the core, and the status it gets.

use super::*;

const INVALID: i64 = -32600;

#[tokio::test]
async fn paths_and_methods_that_are_not_served() {
    let mut server = Running::start().await;
    let response = server
        .refusal("GET /other HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    assert_eq!((response.status, response.error().0), (404, INVALID));
    // One segment below the endpoint is the core's to judge; more is nothing of ours.
    for path in ["/mcp/a/b", "/mcp//", "/mcpx", "/a"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(server.refusal(request).await.status, 404, "{path}");
    }
    let response = server
        .refusal("PUT /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    assert_eq!(response.status, 405);
    assert_eq!(response.header("allow"), Some("get, post, delete"));
    response.error();
}

#[tokio::test]
async fn hosts_are_loopback_or_our_address_or_named() {
    let mut server = Running::with(|config| {
        config.allowed_hosts = vec!["mcp.example".into(), "one.example:81".into()];
    })
    .await;
    for host in [
        "evil.example",
        "localhost.evil.example",
        "10.0.0.1",
        "one.example",
        "one.example:82",
        "127.0.0.1@evil.example",
        "[::2]",
    ] {
        let request = format!("GET /mcp HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let status = server.refusal(request).await.status;
        assert!(
            status == 403 || (status == 400 && host.contains('@')),
            "{host}: {status}"
        );
    }
    // The target of an absolute request overrides Host.
    let request = "GET http://evil.example/mcp HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(server.refusal(request).await.status, 403);
    for bad in ["", "Host: localhost\r\nHost: localhost\r\n", "Host: \r\n"] {
        let request = format!("GET /mcp HTTP/1.1\r\n{bad}\r\n");
        assert_eq!(server.refusal(request).await.status, 400, "{bad:?}");
    }
    for host in [
        "localhost",
        "LOCALHOST:1",
        "127.0.0.1:9",
        "[::1]:9",
        "localhost.",
        "mcp.example:1",
        "one.example:81",
    ] {
        let mut client = server.connect().await;
        client
            .send(format!("DELETE /mcp HTTP/1.1\r\nHost: {host}\r\n\r\n"))
            .await;
        assert!(
            matches!(server.event().await, HttpServerEvent::Delete { .. }),
            "{host}"
        );
    }
}

#[tokio::test]
async fn origins_are_absent_or_loopback_or_named() {
    let mut server = Running::with(|config| {
        config.allowed_hosts = vec!["mcp.example".into()];
        config.allowed_origins = vec!["https://app.example/".into()];
    })
    .await;
    for lines in [
        "Host: localhost\r\nOrigin: null\r\n",
        "Host: localhost\r\nOrigin: http://evil.example\r\n",
        "Host: localhost\r\nOrigin: http://localhost.evil.example\r\n",
        "Host: localhost\r\nOrigin: http://localhost@evil.example\r\n",
        "Host: localhost\r\nOrigin: file://localhost\r\n",
        "Host: localhost\r\nOrigin: http://app.example\r\n",
        "Host: localhost\r\nOrigin: http://localhost\r\nOrigin: http://localhost\r\n",
        "Host: mcp.example\r\nOrigin: http://localhost\r\n",
    ] {
        let response = server
            .refusal(format!("GET /mcp HTTP/1.1\r\n{lines}\r\n"))
            .await;
        assert_eq!(response.status, 403, "{lines}");
        response.error();
    }
    for lines in [
        "Host: localhost\r\nOrigin: http://127.0.0.1:6274\r\n",
        "Host: 127.0.0.1\r\nOrigin: HTTPS://LocalHost\r\n",
        "Host: mcp.example\r\nOrigin: https://app.example\r\n",
        "Host: mcp.example\r\n",
    ] {
        let mut client = server.connect().await;
        client
            .send(format!("DELETE / HTTP/1.1\r\n{lines}\r\n"))
            .await;
        assert!(
            matches!(server.event().await, HttpServerEvent::Delete { .. }),
            "{lines}"
        );
    }
}

#[tokio::test]
async fn doubled_headers_are_refused() {
    let mut server = Running::start().await;
    for (name, code) in [
        ("Mcp-Session-Id", -32020),
        ("MCP-Protocol-Version", -32020),
        ("Mcp-Method", -32020),
        ("Mcp-Name", -32020),
        ("Mcp-Param-Region", -32020),
        ("Authorization", INVALID),
        ("Last-Event-ID", INVALID),
    ] {
        let response = server
            .refusal(post(&format!("{name}: a\r\n{name}: a\r\n")))
            .await;
        let (got, message) = response.error();
        assert_eq!((response.status, got), (400, code), "{name}");
        assert!(message.contains(&name.to_ascii_lowercase()), "{message}");
    }
    let response = server
        .refusal(post("Content-Type: application/json\r\n"))
        .await;
    assert_eq!(response.status, 400);
    let response = server.refusal(post("Mcp-Session-Id: \u{e9}\r\n")).await;
    assert_eq!(response.status, 400);
}

#[tokio::test]
async fn types_that_are_not_json_are_refused() {
    let mut server = Running::start().await;
    for kind in [
        "Content-Type: text/plain\r\n",
        "",
        "Content-Type: application/jsonp\r\n",
        "Content-Type: application/json\r\nContent-Encoding: gzip\r\n",
    ] {
        let request =
            format!("POST /mcp HTTP/1.1\r\nHost: localhost\r\n{kind}Content-Length: 2\r\n\r\n{{}}");
        assert_eq!(server.refusal(request).await.status, 415, "{kind}");
    }
    for accept in [
        "text/html",
        "application/json;q=0, text/event-stream; q=0.0",
        "image/*",
    ] {
        let response = server.refusal(post(&format!("Accept: {accept}\r\n"))).await;
        assert_eq!(response.status, 406, "{accept}");
        let (_, message) = response.error();
        assert!(message.contains("neither"), "{accept}: {message}");
    }
    // Who lists one is taken to read both; a GET is answered with events and nothing else.
    for (accept, takes_events) in [
        ("", true),
        ("Accept: application/json, text/event-stream\r\n", true),
        ("Accept: Application/JSON;charset=utf-8\r\n", false),
        ("Accept: text/*\r\n", true),
        ("Accept: */*\r\nAccept: text/event-stream;q=0\r\n", false),
    ] {
        let mut client = server.connect().await;
        client.send(post(accept)).await;
        let (.., _reply) = server.post().await;
        drop(client);
        server.gone().await;
        if !takes_events {
            let request = format!("GET /mcp HTTP/1.1\r\nHost: localhost\r\n{accept}\r\n");
            let response = server.refusal(request).await;
            assert_eq!(response.status, 406, "{accept}");
            let (_, message) = response.error();
            assert_eq!(message, "Accept must list `text/event-stream`");
        }
    }
}

#[tokio::test]
async fn bodies_over_the_limit_are_refused_and_the_client_can_read_it() {
    let mut server = Running::with(|config| config.limits.max_body_bytes = 1000).await;
    let head = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    // Announced, and not even sent.
    let response = server
        .refusal(format!("{head}Content-Length: 1001\r\n\r\n"))
        .await;
    assert_eq!(response.status, 413);
    assert_eq!(response.header("connection"), Some("close"));
    // Announced, and pushed all the same: the answer survives.
    let flood = "x".repeat(4 << 20);
    let response = server
        .refusal(format!(
            "{head}Content-Length: {}\r\n\r\n{flood}",
            flood.len()
        ))
        .await;
    assert_eq!(response.status, 413);
    // Not announced.
    let chunk = format!("{:x}\r\n{}\r\n", 600, "x".repeat(600));
    let response = server
        .refusal(format!(
            "{head}Transfer-Encoding: chunked\r\n\r\n{chunk}{chunk}"
        ))
        .await;
    assert_eq!(response.status, 413);
    assert!(response.error().1.contains("1000 bytes"));
}

#[tokio::test]
async fn heads_over_the_limit_are_refused() {
    let mut server = Running::with(|config| {
        config.limits.max_headers = 20;
        config.limits.max_header_bytes = 4096;
    })
    .await;
    let many: String = (0..30).map(|n| format!("X-{n}: 1\r\n")).collect();
    assert_eq!(server.refusal(post(&many)).await.status, 431);
    let long = format!("X: {}\r\n", "x".repeat(5000));
    assert_eq!(server.refusal(post(&long)).await.status, 431);
    assert_eq!(server.refusal("GARBAGE\r\n\r\n").await.status, 400);
}

#[tokio::test]
async fn slow_bodies_are_timed_out() {
    let mut server = Running::with(|config| {
        config.limits.body_timeout = Duration::from_millis(50);
    })
    .await;
    let request = post("");
    let response = server.refusal(&request[..request.len() - 1]).await;
    assert_eq!(response.status, 408);
    response.error();
}

#[tokio::test]
async fn slow_heads_are_timed_out() {
    let server = Running::with(|config| {
        config.limits.header_timeout = Duration::from_millis(100);
    })
    .await;
    // A connection that never asked anything is closed without an answer.
    let mut client = server.connect().await;
    assert!(client.rest().await.is_empty());
    // On a busy machine the first bytes may come too late to count as a request.
    let answer = async {
        loop {
            let mut client = server.connect().await;
            client.send("POST /mcp HTTP/1.1\r\nHost: loc").await;
            let rest = client.rest().await;
            if !rest.is_empty() {
                return String::from_utf8(rest).expect("text");
            }
        }
    };
    let answer = patiently(answer).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("\"id\":null"), "{answer}");
}

#[tokio::test]
async fn an_idle_connection_is_kept_longer_than_a_head_may_take() {
    let mut server = Running::with(|config| {
        config.limits.header_timeout = Duration::from_secs(1);
    })
    .await;
    let mut client = server.connect().await;
    asked(&mut client, &mut server).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    asked(&mut client, &mut server).await;
    // A further head that does not come to its end is a late one all the same.
    client.send("POST /mcp HTTP/1.1\r\nHost: loc").await;
    let rest = patiently(client.rest()).await;
    let answer = String::from_utf8(rest).expect("text");
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test]
async fn a_call_may_take_longer_than_a_head_also_after_100_continue() {
    let mut server = Running::with(|config| {
        config.limits.header_timeout = Duration::from_secs(1);
    })
    .await;
    let mut client = server.connect().await;
    let request = post("Expect: 100-continue\r\n");
    let (head, body) = request.split_at(request.find("\r\n\r\n").expect("a head") + 4);
    client.send(head).await;
    assert_eq!(client.response().await.status, 100);
    client.send(body).await;
    let (.., reply) = server.post().await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    reply
        .start_json(http::StatusCode::OK, Vec::new(), segments(ANSWER))
        .expect("open");
    assert_eq!(client.response().await.body, ANSWER);
}

#[tokio::test]
async fn a_connection_that_asks_nothing_more_is_closed_after_a_while() {
    let mut server = Running::with(|config| {
        config.limits.header_timeout = Duration::from_secs(1);
        config.limits.idle_timeout = Duration::from_secs(1);
    })
    .await;
    let mut client = server.connect().await;
    asked(&mut client, &mut server).await;
    assert!(patiently(client.rest()).await.is_empty());
}

#[tokio::test]
async fn connections_over_the_cap_are_refused_until_one_ends() {
    let mut server = Running::with(|config| config.limits.max_connections = 1).await;
    let mut first = server.connect().await;
    first.send(post("")).await;
    let (.., reply) = server.post().await;
    let response = server.refusal(post("")).await;
    assert_eq!(response.status, 503);
    assert_eq!(response.header("retry-after"), Some("1"));
    reply
        .start_json(http::StatusCode::OK, Vec::new(), segments(ANSWER))
        .expect("open");
    assert_eq!(first.response().await.body, ANSWER);
    drop(first);
    // The place becomes free some moment after the client has closed.
    let accepted = async {
        loop {
            let mut client = server.connect().await;
            client.send(post("")).await;
            tokio::select! {
                response = client.head() => assert_eq!(response.status, 503),
                event = server.events.recv() => return event.is_some(),
            }
        }
    };
    assert!(patiently(accepted).await);
}

#[tokio::test]
async fn a_full_event_queue_turns_requests_away() {
    let mut server = Running::with(|config| {
        config.limits.admission_timeout = Duration::from_millis(20);
    })
    .await;
    let mut clients = Vec::new();
    for _ in 0..16 {
        let mut client = server.connect().await;
        client.send(post("")).await;
        clients.push(client);
    }
    let mut client = server.connect().await;
    let refused = async {
        while server.events.len() < 16 {
            tokio::task::yield_now().await;
        }
        client.send(post("")).await;
        client.response().await
    };
    let response = patiently(refused).await;
    assert_eq!(response.status, 503);
    assert!(response.error().1.contains("overloaded"));
    // Those that were admitted are served.
    let (.., reply) = server.post().await;
    reply
        .status(http::StatusCode::ACCEPTED, Vec::new(), None)
        .expect("open");
}

#[tokio::test]
async fn an_address_in_use_says_so() {
    let server = Running::start().await;
    let error = bind(HttpServerConfig::new(vec![server.address]))
        .await
        .expect_err("in use");
    let ListenError::Bind(error) = error else {
        panic!("{error}");
    };
    assert_eq!(error.addr, server.address);
    let text = error.to_string();
    assert!(
        text.contains(&server.address.to_string()) && text.contains("hint: another process"),
        "{text}"
    );
}
