//! Event streams as answers, the listen stream, resuming, sessions.

use super::*;

#[tokio::test]
async fn events_arrive_one_by_one_however_they_are_cut() {
    let mut server = RawServer::start().await;
    let mut client = Client::start(server.url());
    client.post(1, CALL);
    let (mut connection, _) = server.next().await;
    connection.start_stream().await;
    for part in [
        ": hello\n\nda",
        "ta: {\"a\":",
        "1}\r",
        "\n\r\nevent: mess",
        "age\ndata: {\"b\":2}\n\nevent: other\ndata: x\n\n",
    ] {
        connection.chunk(part).await;
    }
    assert_eq!(client.event().await, message(1, "{\"a\":1}"));
    assert_eq!(client.event().await, message(1, "{\"b\":2}"));
    connection.chunk(&format!("data: {ANSWER}\n\n")).await;
    connection.end_stream().await;
    assert_eq!(client.event().await, message(1, ANSWER));
    assert_eq!(
        client.event().await,
        HttpEvent::StreamEnded { key: Some(1) }
    );
}

#[tokio::test]
async fn an_event_over_the_limit_closes_the_stream() {
    let mut server = RawServer::start().await;
    let mut config = impatient(server.url());
    config.limits.max_event_bytes = 100;
    let mut client = Client::with(config);
    client.post_resumable(1);
    let (mut connection, _) = server.next().await;
    connection.start_stream().await;
    connection.chunk("id: 1\ndata:\n\n").await;
    connection
        .chunk(&format!("data: {}", "x".repeat(200)))
        .await;
    let (key, failure) = client.failure().await;
    assert_eq!((key, failure.kind), (Some(1), FailureKind::TooLarge));
    connection.closed().await;
}

#[tokio::test]
async fn a_broken_stream_without_ids_is_lost() {
    let mut server = RawServer::start().await;
    let mut client = Client::with(impatient(server.url()));
    client.post_resumable(1);
    let (mut connection, _) = server.next().await;
    connection.start_stream().await;
    connection.chunk("data: {\"a\":1}\n\n").await;
    assert_eq!(client.event().await, message(1, "{\"a\":1}"));
    drop(connection);
    let (key, failure) = client.failure().await;
    assert_eq!((key, failure.kind), (Some(1), FailureKind::Reset));
    assert_eq!(failure.outcome, Outcome::MaybeExecuted);
}

#[tokio::test]
async fn a_modern_stream_is_not_resumed_though_it_had_ids() {
    let mut server = RawServer::start().await;
    let mut client = Client::with(impatient(server.url()));
    client.post(1, CALL);
    let (mut connection, _) = server.next().await;
    connection.start_stream().await;
    connection.chunk("id: 1\ndata: {\"a\":1}\n\n").await;
    drop(connection);
    assert_eq!(client.event().await, message(1, "{\"a\":1}"));
    assert_eq!(client.failure().await.1.kind, FailureKind::Reset);
}

#[tokio::test]
async fn a_legacy_stream_is_resumed_where_it_broke_until_it_is_answered() {
    let mut server = RawServer::start().await;
    let mut client = Client::with(impatient(server.url()));
    client.post_resumable(1);
    let (mut connection, _) = server.next().await;
    connection.start_stream().await;
    connection.chunk("id: one\nretry: 1\ndata:\n\n").await;
    drop(connection);
    // The server polls: a clean end without an answer is a reason to come back as well.
    let (mut connection, request) = server.next().await;
    assert!(request.head.starts_with("GET /mcp "), "{}", request.head);
    assert_eq!(request.header("last-event-id"), Some("one"));
    assert_eq!(request.header("accept"), Some("text/event-stream"));
    connection.start_stream().await;
    connection
        .chunk("id: two\ndata: {\"method\":\"x\"}\n\n")
        .await;
    connection.end_stream().await;
    assert_eq!(client.event().await, message(1, "{\"method\":\"x\"}"));
    // A failed attempt in between does not end it.
    server.keep(connection);
    let (mut connection, request) = server.next().await;
    assert_eq!(request.header("last-event-id"), Some("two"));
    connection.respond("503 Busy", "", "").await;
    server.keep(connection);
    let (mut connection, request) = server.next().await;
    assert_eq!(request.header("last-event-id"), Some("two"));
    connection.start_stream().await;
    connection
        .chunk(&format!("id: three\ndata: {ANSWER}\n\n"))
        .await;
    drop(connection);
    assert_eq!(client.event().await, message(1, ANSWER));
    assert_eq!(
        client.event().await,
        HttpEvent::StreamEnded { key: Some(1) }
    );
}

#[tokio::test]
async fn resuming_gives_up_after_its_attempts_or_a_plain_no() {
    for (status, attempts) in [("503 Busy", 3), ("405 Method Not Allowed", 1)] {
        let mut server = RawServer::start().await;
        let mut config = impatient(server.url());
        config.limits.max_resume_attempts = 3;
        let mut client = Client::with(config);
        client.post_resumable(1);
        let (mut connection, _) = server.next().await;
        connection.start_stream().await;
        connection.chunk("id: 1\ndata:\n\n").await;
        connection.end_stream().await;
        server.keep(connection);
        for _ in 0..attempts {
            let (mut connection, request) = server.next().await;
            assert_eq!(request.header("last-event-id"), Some("1"));
            connection.respond(status, "", "").await;
            server.keep(connection);
        }
        let (key, failure) = client.failure().await;
        assert_eq!((key, failure.outcome), (Some(1), Outcome::MaybeExecuted));
        assert!(
            failure.message.contains("could not be resumed"),
            "{failure}"
        );
    }
}

#[tokio::test]
async fn the_listen_stream_reopens_where_it_broke() {
    let mut server = RawServer::start().await;
    let mut client = Client::with(impatient(server.url()));
    client.handle.send(HttpCommand::OpenStream);
    client.handle.send(HttpCommand::OpenStream);
    let (mut connection, request) = server.next().await;
    assert_eq!(request.header("last-event-id"), None);
    connection.start_stream().await;
    assert_eq!(
        client.event().await,
        HttpEvent::StreamOpened { again: false }
    );
    connection.chunk("id: 5\ndata: {\"a\":1}\n\n").await;
    drop(connection);
    assert_eq!(client.event().await, message(None, "{\"a\":1}"));
    assert_eq!(client.event().await, HttpEvent::StreamEnded { key: None });
    let (mut connection, _) = server.next().await;
    connection.respond("500 Oops", "", "").await;
    server.keep(connection);
    let (mut connection, request) = server.next().await;
    assert_eq!(request.header("last-event-id"), Some("5"));
    connection.start_stream().await;
    assert_eq!(
        client.event().await,
        HttpEvent::StreamOpened { again: true }
    );
}

#[tokio::test]
async fn a_listen_stream_that_is_offered_no_more_says_that_there_was_one() {
    let mut server = RawServer::start().await;
    let mut client = Client::with(impatient(server.url()));
    client.handle.send(HttpCommand::OpenStream);
    let (mut connection, _) = server.next().await;
    connection.start_stream().await;
    client.event().await;
    drop(connection);
    assert_eq!(client.event().await, HttpEvent::StreamEnded { key: None });
    let (mut connection, _) = server.next().await;
    connection
        .respond("405 Method Not Allowed", "allow: POST\r\n", "")
        .await;
    let HttpEvent::StreamUnavailable { was_open, .. } = client.event().await else {
        panic!("unavailable");
    };
    assert!(was_open);
}

#[tokio::test]
async fn a_server_without_listen_stream_is_not_asked_again() {
    let mut server = RawServer::start().await;
    let mut client = Client::with(impatient(server.url()));
    client.handle.send(HttpCommand::OpenStream);
    let (mut connection, _) = server.next().await;
    connection
        .respond("405 Method Not Allowed", "allow: POST\r\n", "")
        .await;
    let HttpEvent::StreamUnavailable { failure, was_open } = client.event().await else {
        panic!("unavailable");
    };
    assert!(!was_open, "nothing can have been missed");
    assert_eq!(failure.operation, HttpOperation::Listen);
    // The next request on the connection is ours, not another GET.
    client.post(1, CALL);
    server.keep(connection);
    let (_connection, request) = server.next().await;
    assert!(request.head.starts_with("POST"));
}

#[tokio::test]
async fn the_session_id_is_kept_sent_lost_once_and_deleted() {
    let mut server = RawServer::start().await;
    let mut client = Client::start(server.url());
    let answer = "content-type: application/json\r\nMcp-Session-Id: ";
    client.post(1, CALL);
    let (mut connection, request) = server.next().await;
    assert_eq!(request.header("mcp-session-id"), None);
    connection
        .respond("200 OK", &format!("{answer}abc\r\n"), ANSWER)
        .await;
    server.keep(connection);
    assert_eq!(client.event().await, HttpEvent::SessionStarted);
    client.answer(1).await;
    // Two requests of the lost session: one report, two failures.
    client.post(2, CALL);
    client.post(3, CALL);
    let (mut first, request) = server.next().await;
    assert_eq!(request.header("mcp-session-id"), Some("abc"));
    let (mut second, request) = server.next().await;
    assert_eq!(request.header("mcp-session-id"), Some("abc"));
    first.respond("404 Not Found", "", "").await;
    server.keep(first);
    assert_eq!(client.event().await, HttpEvent::SessionLost);
    assert_eq!(client.failure().await.1.outcome, Outcome::NotSent);
    second.respond("404 Not Found", "", "").await;
    server.keep(second);
    client.failure().await;
    // A new session, ended at the server when we close.
    client.post(4, CALL);
    let (mut connection, request) = server.next().await;
    assert_eq!(request.header("mcp-session-id"), None);
    connection
        .respond("200 OK", &format!("{answer}def\r\n"), ANSWER)
        .await;
    server.keep(connection);
    assert_eq!(client.event().await, HttpEvent::SessionStarted);
    client.answer(4).await;
    client.handle.send(HttpCommand::Close);
    let (mut connection, request) = server.next().await;
    assert!(request.head.starts_with("DELETE /mcp "), "{}", request.head);
    assert_eq!(request.header("mcp-session-id"), Some("def"));
    connection.respond("405 Method Not Allowed", "", "").await;
    assert_eq!(client.event().await, HttpEvent::Closed);
}

/// Broken variant that this catches: a late answer of the session that was given up brings its id back, and the new
/// handshake is sent in it.
#[tokio::test]
async fn a_late_answer_of_the_old_session_does_not_bring_it_back() {
    let mut server = RawServer::start().await;
    let mut client = Client::start(server.url());
    let answer = "content-type: application/json\r\nMcp-Session-Id: ";
    client.post(1, CALL);
    let (mut connection, _) = server.next().await;
    connection
        .respond("200 OK", &format!("{answer}old\r\n"), ANSWER)
        .await;
    server.keep(connection);
    assert_eq!(client.event().await, HttpEvent::SessionStarted);
    client.answer(1).await;
    client.post(2, CALL);
    let (mut late, request) = server.next().await;
    assert_eq!(request.header("mcp-session-id"), Some("old"));
    client.handle.send(HttpCommand::ResetSession);
    late.respond("200 OK", &format!("{answer}old\r\n"), ANSWER)
        .await;
    server.keep(late);
    client.answer(2).await;
    client.post(3, CALL);
    let (mut connection, request) = server.next().await;
    assert_eq!(request.header("mcp-session-id"), None);
    connection
        .respond("200 OK", &format!("{answer}new\r\n"), ANSWER)
        .await;
    assert_eq!(client.event().await, HttpEvent::SessionStarted);
    client.answer(3).await;
}

#[tokio::test]
async fn abort_closes_the_connection_and_says_nothing_more() {
    let mut server = RawServer::start().await;
    let mut client = Client::start(server.url());
    // Before the response has begun, and in the middle of its stream.
    for begun in [false, true] {
        client.post(1, CALL);
        let (mut connection, _) = server.next().await;
        if begun {
            connection.start_stream().await;
            connection.chunk("data: {\"a\":1}\n\n").await;
            assert_eq!(client.event().await, message(1, "{\"a\":1}"));
        }
        client.handle.send(HttpCommand::Abort { key: 1 });
        connection.closed().await;
        assert_eq!(client.handle.in_flight(), 0);
    }
    client.cancel.cancel();
    assert_eq!(client.event().await, HttpEvent::Closed);
}

#[tokio::test]
async fn a_full_event_queue_slows_the_server_down_and_loses_nothing() {
    let mut server = RawServer::start().await;
    let mut client = Client::start(server.url());
    client.post(1, CALL);
    let (mut connection, _) = server.next().await;
    connection.start_stream().await;
    let sending = tokio::spawn(async move {
        for _ in 0..500 {
            connection
                .chunk(&format!("data: {}\n\n", "x".repeat(10_000)))
                .await;
        }
        connection.end_stream().await;
    });
    for _ in 0..500 {
        assert!(matches!(client.event().await, HttpEvent::Message { .. }));
    }
    assert_eq!(
        client.event().await,
        HttpEvent::StreamEnded { key: Some(1) }
    );
    sending.await.expect("sent");
}
