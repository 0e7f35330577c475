//! What one POST can be answered with.

use super::*;
use http::StatusCode;

/// Posts `CALL` to a server that answers with `response` and then closes; the failure it becomes.
async fn failure_of(response: &str) -> Box<HttpFailure> {
    failure_with(response, |_| {}).await
}

async fn failure_with(
    response: &str,
    change: impl FnOnce(&mut HttpUpstreamConfig),
) -> Box<HttpFailure> {
    let mut server = RawServer::start().await;
    let mut config = HttpUpstreamConfig::new(server.url());
    change(&mut config);
    let mut client = Client::with(config);
    client.post(7, CALL);
    let (mut connection, _) = server.next().await;
    connection.send(response).await;
    drop(connection);
    let (key, failure) = client.failure().await;
    assert_eq!(key, Some(7));
    failure
}

#[tokio::test]
async fn a_json_answer_comes_back_as_its_bytes_and_the_connection_is_reused() {
    let mut server = RawServer::start().await;
    let mut config = HttpUpstreamConfig::new(server.url());
    let mut secret = HeaderValue::from_static("Bearer token");
    secret.set_sensitive(true);
    config.headers.push((http::header::AUTHORIZATION, secret));
    let mut client = Client::with(config);
    client.handle.send(HttpCommand::SetProtocolVersion(Some(
        HeaderValue::from_static("2025-11-25"),
    )));
    client.handle.send(HttpCommand::Send {
        key: Some(1),
        body: vec![CALL.into()],
        headers: vec![(
            HeaderName::from_static("mcp-method"),
            HeaderValue::from_static("tools/call"),
        )],
        resumable: false,
    });
    let (mut connection, request) = server.next().await;
    assert!(
        request.head.starts_with("POST /mcp HTTP/1.1\r\n"),
        "{}",
        request.head
    );
    assert_eq!(request.body, CALL.as_bytes());
    for (name, value) in [
        ("accept", "application/json, text/event-stream"),
        ("content-type", "application/json"),
        ("authorization", "bearer token"),
        ("mcp-protocol-version", "2025-11-25"),
        ("mcp-method", "tools/call"),
    ] {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    assert_eq!(request.header("accept-encoding"), None);
    assert_eq!(request.header("mcp-session-id"), None);
    connection.json(ANSWER).await;
    client.answer(1).await;
    server.keep(connection);
    for _ in 0..20 {
        client.post(2, CALL);
        let (mut connection, _) = server.next().await;
        connection.json(ANSWER).await;
        client.answer(2).await;
        server.keep(connection);
    }
    assert!(server.accepted < 20, "connections are reused");
    assert_eq!(client.handle.in_flight(), 0);
}

#[tokio::test]
async fn a_large_answer_in_many_pieces_arrives_whole() {
    let mut server = RawServer::start().await;
    let mut client = Client::start(server.url());
    let text: String = "0123456789abcdef".repeat(1 << 17);
    for chunked in [false, true] {
        client.post(1, CALL);
        let (mut connection, _) = server.next().await;
        if chunked {
            connection.send("HTTP/1.1 200 OK\r\ncontent-type: Application/JSON; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n").await;
            for piece in text.as_bytes().chunks(100_000) {
                connection
                    .chunk(std::str::from_utf8(piece).expect("ASCII"))
                    .await;
            }
            connection.end_stream().await;
        } else {
            connection.json(&text).await;
        }
        let HttpEvent::Message { message, .. } = client.event().await else {
            panic!("a message");
        };
        assert!(message == text.as_bytes());
        client.ended(1).await;
        server.keep(connection);
    }
}

/// Broken variant that this catches: JSON that holds a message but no answer says nothing of its end, and the call
/// waits for ever.
#[tokio::test]
async fn json_without_the_answer_ends_too() {
    let mut server = RawServer::start().await;
    let mut client = Client::start(server.url());
    for text in [NOTE, "[]", CALL] {
        client.post(1, CALL);
        let (mut connection, _) = server.next().await;
        connection.json(text).await;
        assert_eq!(client.event().await, message(1, text));
        client.ended(1).await;
        server.keep(connection);
    }
}

#[tokio::test]
async fn accepted_messages_are_reported_for_requests_only() {
    let mut server = RawServer::start().await;
    let mut client = Client::start(server.url());
    client.post(None, NOTE);
    let (mut connection, _) = server.next().await;
    connection.respond("202 Accepted", "", "").await;
    server.keep(connection);
    client.post(3, CALL);
    let (mut connection, _) = server.next().await;
    connection.respond("202 Accepted", "", "").await;
    assert_eq!(client.event().await, HttpEvent::Accepted { key: 3 });
}

#[tokio::test]
async fn a_message_waits_until_the_notification_before_it_was_accepted() {
    let mut server = RawServer::start().await;
    let mut config = HttpUpstreamConfig::new(server.url());
    config.limits.order_timeout = PATIENCE;
    let mut client = Client::with(config);
    client.post(None, NOTE);
    client.post(1, CALL);
    let (mut connection, request) = server.next().await;
    assert_eq!(request.body, NOTE.as_bytes());
    // The request would come on a second connection; nothing may come before the answer.
    let early = tokio::time::timeout(Duration::from_millis(50), server.listener.accept()).await;
    assert!(early.is_err(), "the request did not wait");
    connection.respond("202 Accepted", "", "").await;
    server.keep(connection);
    let (mut connection, request) = server.next().await;
    assert_eq!(request.body, CALL.as_bytes());
    connection.json(ANSWER).await;
    client.answer(1).await;
}

#[tokio::test]
async fn a_web_page_is_a_protocol_failure_with_its_first_bytes_and_no_secret() {
    let page = format!("<html>you sent Bearer s3cr3t-token {}", "x".repeat(500));
    let response = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n{page}",
        page.len()
    );
    let failure = failure_with(&response, |config| {
        let mut secret = HeaderValue::from_static("Bearer s3cr3t-token");
        secret.set_sensitive(true);
        config.headers.push((http::header::AUTHORIZATION, secret));
    })
    .await;
    assert_eq!(
        (failure.kind, failure.outcome),
        (FailureKind::Protocol, Outcome::MaybeExecuted)
    );
    assert!(failure.message.contains("text/html") && failure.message.contains("hint:"));
    let excerpt = failure.body_excerpt.clone().expect("an excerpt");
    assert!(excerpt.starts_with("<html>you sent [redacted] xxx") && excerpt.len() == 200);
    assert!(!format!("{failure:?}").contains("s3cr3t"));
}

#[tokio::test]
async fn empty_untyped_and_compressed_answers_are_protocol_failures() {
    for (response, says) in [
        (
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 0\r\n\r\n",
            "empty body",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
            "without content type",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc",
            "`gzip`",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: br\r\n\r\nabc",
            "`br`",
        ),
        ("SSH-2.0-OpenSSH_9.9\r\n\r\n", "not HTTP/1.1"),
    ] {
        let failure = failure_of(response).await;
        assert_eq!(failure.kind, FailureKind::Protocol, "{failure:?}");
        assert!(failure.message.contains(says), "{failure}");
    }
}

#[tokio::test]
async fn identity_encoding_is_no_compression() {
    let mut server = RawServer::start().await;
    let mut client = Client::start(server.url());
    client.post(1, CALL);
    let (mut connection, _) = server.next().await;
    let headers = "content-type: application/json\r\ncontent-encoding: identity\r\n";
    connection.respond("200 OK", headers, ANSWER).await;
    client.answer(1).await;
}

#[tokio::test]
async fn an_error_status_brings_its_json_body_and_what_its_headers_say() {
    let body = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32022,"message":"x"}}"#;
    let failure = failure_of(&format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ))
    .await;
    assert_eq!(failure.kind, FailureKind::Status);
    assert_eq!(failure.status, Some(StatusCode::BAD_REQUEST));
    assert_eq!(failure.body.as_deref(), Some(body.as_bytes()));
    assert_eq!(failure.outcome, Outcome::NotSent);

    let failure = failure_of(
        "HTTP/1.1 429 Too Many Requests\r\nretry-after: 17\r\ncontent-length: 4\r\n\r\nslow",
    )
    .await;
    assert_eq!(failure.retry_after, Some(Duration::from_secs(17)));
    assert_eq!(
        (failure.body, failure.body_excerpt.as_deref()),
        (None, Some("slow"))
    );

    let failure = failure_of(
        "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer resource_metadata=\"x\"\r\ncontent-length: 0\r\n\r\n",
    )
    .await;
    assert_eq!(
        failure.www_authenticate.as_deref(),
        Some("Bearer resource_metadata=\"x\"")
    );

    let failure = failure_of("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(failure.outcome, Outcome::MaybeExecuted);
}

/// Broken variant that this catches: only the first of several challenges reaches the client, which may be able to
/// answer another one only.
#[tokio::test]
async fn every_challenge_is_told() {
    let failure = failure_of(
        "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Negotiate\r\nwww-authenticate: Bearer resource_metadata=\"x\"\r\ncontent-length: 0\r\n\r\n",
    )
    .await;
    assert_eq!(
        failure.www_authenticate.as_deref(),
        Some("Negotiate, Bearer resource_metadata=\"x\"")
    );
}

#[tokio::test]
async fn an_endless_error_body_is_cut() {
    let mut server = RawServer::start().await;
    let mut client = Client::start(server.url());
    client.post(1, CALL);
    let (mut connection, _) = server.next().await;
    connection.send("HTTP/1.1 500 Oops\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n").await;
    let flood = tokio::spawn(async move {
        let piece = format!("{:x}\r\n{}\r\n", 1 << 16, "x".repeat(1 << 16));
        while connection.stream.write_all(piece.as_bytes()).await.is_ok() {}
    });
    let (_, failure) = client.failure().await;
    assert_eq!(
        (failure.status, failure.body),
        (Some(StatusCode::INTERNAL_SERVER_ERROR), None)
    );
    patiently(flood)
        .await
        .expect("the client closed the connection");
}

#[tokio::test]
async fn bodies_over_the_limit_are_refused_announced_or_not() {
    for response in [
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 10000000000\r\n\r\n{",
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n5\r\n12345\r\n5\r\n12345\r\n5\r\n",
    ] {
        let failure = failure_with(response, |config| config.limits.max_body_bytes = 8).await;
        assert_eq!(failure.kind, FailureKind::TooLarge, "{failure}");
        assert!(failure.message.contains("limit of 8 bytes"), "{failure}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_reset() {
    let failure = failure_of(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{\"json",
    )
    .await;
    assert_eq!(
        (failure.kind, failure.outcome),
        (FailureKind::Reset, Outcome::MaybeExecuted)
    );
    let failure = failure_of("").await;
    assert_eq!(
        (failure.kind, failure.outcome),
        (FailureKind::Reset, Outcome::MaybeExecuted)
    );
}

#[tokio::test]
async fn silence_ends_at_its_limits() {
    let failure = async |response: &'static str, change: fn(&mut HttpClientLimits)| {
        let mut server = RawServer::start().await;
        let mut config = HttpUpstreamConfig::new(server.url());
        change(&mut config.limits);
        let mut client = Client::with(config);
        client.post(7, CALL);
        // The client may give up before its request has arrived.
        let serving = tokio::spawn(async move {
            let (mut connection, _) = server.next().await;
            connection.send(response).await;
            connection.closed().await;
        });
        let (_, failure) = client.failure().await;
        serving.abort();
        failure
    };
    let brief = Duration::from_millis(20);
    let headers = failure("", |limits| {
        limits.headers_timeout = Some(Duration::from_millis(20))
    })
    .await;
    assert!(headers.message.contains(&format!("{brief:?}")), "{headers}");
    let body = failure(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{",
        |limits| limits.idle_read_timeout = Some(Duration::from_millis(20)),
    )
    .await;
    for failure in [headers, body] {
        assert_eq!(
            (failure.kind, failure.outcome),
            (FailureKind::Timeout, Outcome::MaybeExecuted)
        );
    }
}

/// Broken variant that this catches: a notification waits for its answer for as long as its server likes, and holds a
/// connection meanwhile.
#[tokio::test]
async fn a_notification_is_given_up_and_its_connection_closed() {
    for response in [
        "",
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: on and on\n\n",
    ] {
        let mut server = RawServer::start().await;
        let mut config = HttpUpstreamConfig::new(server.url());
        // Long enough for the request to arrive.
        config.limits.notification_timeout = Duration::from_secs(5);
        let client = Client::with(config);
        client.post(None, NOTE);
        let (mut connection, _) = server.next().await;
        connection.send(response).await;
        connection.closed().await;
    }
}

#[tokio::test]
async fn redirects_stay_within_the_origin() {
    let other = RawServer::start().await;
    for (location, status) in [
        (other.url(), "307 Temporary Redirect"),
        ("/elsewhere".to_owned(), "302 Found"),
        ("javascript:alert(1)".to_owned(), "308 Permanent Redirect"),
    ] {
        let failure = failure_of(&format!(
            "HTTP/1.1 {status}\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"
        ))
        .await;
        assert_eq!(
            (failure.kind, failure.outcome),
            (FailureKind::Redirect, Outcome::NotSent)
        );
        assert!(failure.message.contains("hint:"), "{failure}");
    }
    let untouched = tokio::time::timeout(Duration::from_millis(50), other.listener.accept()).await;
    assert!(untouched.is_err(), "nobody called the other origin");
}

#[tokio::test]
async fn a_redirect_within_the_origin_takes_the_message_along() {
    let mut server = RawServer::start().await;
    let mut client = Client::start(server.url());
    client.post(1, CALL);
    let (mut connection, _) = server.next().await;
    connection
        .respond("307 Temporary Redirect", "location: /mcp/\r\n", "")
        .await;
    server.keep(connection);
    let (mut connection, request) = server.next().await;
    assert!(
        request.head.starts_with("POST /mcp/ HTTP/1.1"),
        "{}",
        request.head
    );
    assert_eq!(request.body, CALL.as_bytes());
    // And round again, until it is too often.
    for _ in 1..HttpClientLimits::default().max_redirects {
        connection
            .respond("308 Permanent Redirect", "location: /mcp/\r\n", "")
            .await;
        server.keep(connection);
        (connection, _) = server.next().await;
    }
    connection
        .respond("308 Permanent Redirect", "location: /mcp/\r\n", "")
        .await;
    assert_eq!(client.failure().await.1.kind, FailureKind::Redirect);
}
