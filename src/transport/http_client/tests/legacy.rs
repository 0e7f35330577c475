//! The HTTP+SSE transport of 2024-11-05.

use super::*;

async fn start(server: &mut RawServer, endpoint: &str) -> (Client, RawConnection) {
    let client = Client::with(impatient(server.url()));
    client.handle.send(HttpCommand::FallBackToSse);
    // Sent before the endpoint is known: it waits.
    client.post(1, CALL);
    let (mut stream, request) = server.next().await;
    assert!(request.head.starts_with("GET /mcp "), "{}", request.head);
    assert_eq!(request.header("accept"), Some("text/event-stream"));
    stream.start_stream().await;
    stream
        .chunk(&format!("event: endpoint\ndata: {endpoint}\n\n"))
        .await;
    (client, stream)
}

#[tokio::test]
async fn messages_go_to_the_endpoint_and_answers_come_on_the_stream() {
    let mut server = RawServer::start().await;
    let (mut client, mut stream) = start(&mut server, "/messages?sessionId=1").await;
    assert_eq!(
        client.event().await,
        HttpEvent::StreamOpened { again: false }
    );
    let (mut posts, request) = server.next().await;
    assert!(
        request.head.starts_with("POST /messages?sessionId=1 "),
        "{}",
        request.head
    );
    assert_eq!(request.body, CALL.as_bytes());
    posts
        .respond("202 Accepted", "content-type: text/plain\r\n", "Accepted")
        .await;
    server.keep(posts);
    assert_eq!(client.event().await, HttpEvent::Accepted { key: 1 });
    stream
        .chunk(&format!("event: message\ndata: {ANSWER}\n\n"))
        .await;
    assert_eq!(client.event().await, message(None, ANSWER));
    // The end of the stream is the end of the session: what is in flight is lost.
    drop(stream);
    let (key, failure) = client.failure().await;
    assert_eq!(
        (key, failure.operation),
        (None, HttpOperation::LegacyStream)
    );
    assert_eq!(failure.outcome, Outcome::MaybeExecuted);
    client.post(2, CALL);
    let (key, failure) = client.failure().await;
    assert_eq!((key, failure.outcome), (Some(2), Outcome::NotSent));
    // And it can be started anew.
    client.handle.send(HttpCommand::FallBackToSse);
    let (mut stream, _) = server.next().await;
    stream.start_stream().await;
    stream
        .chunk("event: endpoint\ndata: /messages?sessionId=2\n\n")
        .await;
    assert_eq!(
        client.event().await,
        HttpEvent::StreamOpened { again: false }
    );
}

#[tokio::test]
async fn an_endpoint_elsewhere_is_refused() {
    let mut server = RawServer::start().await;
    let (mut client, mut stream) = start(&mut server, "http://evil.example/messages").await;
    let mut failed = [client.failure().await, client.failure().await];
    failed.sort_by_key(|(key, _)| *key);
    assert_eq!(failed[0].0, None);
    assert_eq!(
        (failed[1].0, failed[1].1.outcome),
        (Some(1), Outcome::NotSent)
    );
    assert!(
        failed[0].1.message.contains("http://evil.example"),
        "{}",
        failed[0].1
    );
    stream.closed().await;
}

#[tokio::test]
async fn a_url_that_is_no_stream_fails() {
    let mut server = RawServer::start().await;
    let mut client = Client::start(server.url());
    client.handle.send(HttpCommand::FallBackToSse);
    let (mut connection, _) = server.next().await;
    connection.respond("404 Not Found", "", "").await;
    let (key, failure) = client.failure().await;
    assert_eq!((key, failure.kind), (None, FailureKind::Status));
}
