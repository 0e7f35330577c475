//! What becomes of a reply, and of a client that leaves.

use super::*;
use http::{HeaderName, HeaderValue, StatusCode};

#[tokio::test]
async fn a_request_arrives_as_it_was_sent_and_its_json_answer_goes_back() {
    let mut server = Running::start().await;
    let mut client = server.connect().await;
    let headers = "Mcp-Session-Id: abc\r\nMCP-Protocol-Version: 2025-11-25\r\nMcp-Method: tools/call\r\nAuthorization: Bearer secret\r\nCookie: secret\r\n";
    client.send(post(headers)).await;
    let (stream, request, body, reply) = server.post().await;
    assert_eq!(body, CALL.as_bytes());
    assert_eq!(request.session.as_deref(), Some("abc"));
    assert_eq!(request.protocol_version.as_deref(), Some("2025-11-25"));
    assert_eq!(
        request.headers.get("mcp-method"),
        Some(&HeaderValue::from_static("tools/call"))
    );
    assert!(request.headers.get("authorization").is_none());
    let authorization = request.authorization.as_ref().expect("present");
    assert_eq!(
        secrecy::ExposeSecret::expose_secret(authorization),
        "Bearer secret"
    );
    assert!(request.peer.ip().is_loopback());
    let shown = format!("{request:?} {:?}", request.headers);
    assert!(
        !shown.contains("secret") && !shown.contains("abc"),
        "{shown}"
    );

    let session = (
        HeaderName::from_static("mcp-session-id"),
        HeaderValue::from_static("new"),
    );
    reply
        .set_header(
            HeaderName::from_static("x-one"),
            HeaderValue::from_static("1"),
        )
        .expect("open");
    reply
        .start_json(StatusCode::OK, vec![session], segments(ANSWER))
        .expect("open");
    assert_eq!(reply.event(&[], None), Err(ReplyError::AlreadyGiven));
    let response = client.response().await;
    assert_eq!((response.status, response.body.as_str()), (200, ANSWER));
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(
        response.header("content-length"),
        Some(ANSWER.len().to_string().as_str())
    );
    assert_eq!(response.header("mcp-session-id"), Some("new"));
    assert_eq!(response.header("x-one"), Some("1"));

    // The same connection again; ids are not reused.
    client.send(post("")).await;
    let (next, _, _, reply) = server.post().await;
    assert_ne!(stream, next);
    reply
        .status(StatusCode::ACCEPTED, Vec::new(), None)
        .expect("open");
    let response = client.response().await;
    assert_eq!(
        (response.status, response.header("content-length")),
        (202, Some("0"))
    );
    assert_eq!(response.header("content-type"), None);
}

#[tokio::test]
async fn a_large_json_answer_goes_out_whole_from_its_own_segments() {
    let mut server = Running::start().await;
    let mut client = server.connect().await;
    client.send(post("")).await;
    let (.., reply) = server.post().await;
    let part = Bytes::from(vec![b'x'; 8 << 20]);
    reply
        .start_json(StatusCode::OK, Vec::new(), vec![part.clone(), part])
        .expect("no limit");
    assert_eq!(reply.queued_bytes(), 16 << 20);
    assert_eq!(client.response().await.body.len(), 16 << 20);
}

#[tokio::test]
async fn events_open_a_stream_that_ends_with_the_answer() {
    let mut server = Running::start().await;
    let mut client = server.connect().await;
    client.send(post("")).await;
    let (.., reply) = server.post().await;
    reply
        .event(&segments("{\"a\":1}"), Some("7"))
        .expect("open");
    assert_eq!(
        reply.start_json(StatusCode::OK, Vec::new(), Vec::new()),
        Err(ReplyError::AlreadyGiven)
    );
    let head = client.head().await;
    assert_eq!(head.status, 200);
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    assert_eq!(head.header("cache-control"), Some("no-store"));
    assert_eq!(head.header("x-accel-buffering"), Some("no"));
    assert_eq!(
        client.chunk().await,
        "id: 7\nevent: message\ndata: {\"a\":1}\n\n"
    );
    reply.last_event(&segments(ANSWER), None).expect("open");
    assert_eq!(
        client.chunk().await,
        format!("event: message\ndata: {ANSWER}\n\n")
    );
    assert_eq!(client.chunk().await, "");
    // The connection serves on.
    client.send(post("")).await;
    let (.., reply) = server.post().await;
    reply.end();
    let response = client.response().await;
    assert_eq!((response.status, response.body.as_str()), (200, ""));
}

#[tokio::test]
async fn a_get_opens_a_stream_at_once_and_silence_is_filled_with_comments() {
    let mut server = Running::with(|config| {
        config.limits.keep_alive_comment_interval = Duration::from_millis(20);
    })
    .await;
    let mut client = server.connect().await;
    client
        .send("GET /mcp HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 41\r\n\r\n")
        .await;
    let HttpServerEvent::Get {
        last_event_id,
        reply,
        ..
    } = server.event().await
    else {
        panic!("a GET");
    };
    assert_eq!(last_event_id.as_deref(), Some("41"));
    reply.start_stream().expect("open");
    assert_eq!(client.head().await.status, 200);
    assert_eq!(client.chunk().await, ": keep-alive\n\n");
    assert_eq!(client.chunk().await, ": keep-alive\n\n");
    reply.end();
}

#[tokio::test]
async fn a_slow_reader_fills_its_queue_and_can_be_dropped() {
    let mut server = Running::with(|config| {
        config.limits.max_queued_bytes = 1 << 20;
        config.limits.max_queued_events = 8;
    })
    .await;
    let mut client = server.connect().await;
    client.send(post("")).await;
    let (.., reply) = server.post().await;
    // One event always fits, whatever its size. No await until the queue was looked at, so the
    // connection's task has not drained it.
    let huge = Bytes::from(vec![b'x'; 4 << 20]);
    reply
        .event(std::slice::from_ref(&huge), None)
        .expect("one always fits");
    assert!(matches!(
        reply.event(&segments("{}"), None),
        Err(ReplyError::Full { queued_bytes }) if queued_bytes > 4 << 20
    ));
    // Nobody reads: however often the task runs, the queue stays full in the end.
    let filled = async {
        while reply.event(std::slice::from_ref(&huge), None).is_ok() || reply.queued_bytes() == 0 {
            tokio::task::yield_now().await;
        }
    };
    patiently(filled).await;
    reply.abort();
    assert_eq!(
        (reply.queued_bytes(), reply.event(&[], None)),
        (0, Err(ReplyError::AlreadyGiven))
    );
    let rest = client.rest().await;
    assert!(
        !rest.ends_with(b"0\r\n\r\n"),
        "a broken stream does not look complete"
    );
    let small = Bytes::from_static(b"{}");
    client = server.connect().await;
    client.send(post("")).await;
    let (.., reply) = server.post().await;
    for _ in 0..8 {
        reply
            .event(std::slice::from_ref(&small), None)
            .expect("room");
    }
    assert!(matches!(
        reply.event(std::slice::from_ref(&small), None),
        Err(ReplyError::Full { .. })
    ));
    reply
        .last_event(&[small], None)
        .expect("the final answer always fits");
}

#[tokio::test]
async fn a_client_that_hangs_up_is_reported_once_and_only_before_the_end() {
    let mut server = Running::start().await;
    for has_started in [false, true] {
        let mut client = server.connect().await;
        client.send(post("")).await;
        let (stream, _, _, reply) = server.post().await;
        if has_started {
            reply.event(&segments("{}"), None).expect("open");
            client.head().await;
        }
        drop(client);
        assert_eq!(server.gone().await, stream);
        assert!(reply.is_gone());
        assert_eq!(reply.event(&[], None), Err(ReplyError::Gone));
        assert_eq!(reply.last_event(&[], None), Err(ReplyError::Gone));
    }
    let mut client = server.connect().await;
    client.send(post("")).await;
    let (.., reply) = server.post().await;
    reply
        .start_json(StatusCode::OK, Vec::new(), segments(ANSWER))
        .expect("open");
    client.response().await;
    drop(client);
    server.cancel.cancel();
    patiently(server.serving).await.expect("ends");
    assert!(
        server.events.recv().await.is_none(),
        "no report after an answer"
    );
}

#[tokio::test]
async fn a_dropped_reply_does_not_leave_the_client_waiting() {
    let mut server = Running::start().await;
    let mut client = server.connect().await;
    client.send(post("")).await;
    let (.., reply) = server.post().await;
    drop(reply.clone());
    drop(reply);
    let response = client.response().await;
    assert_eq!((response.status, response.error().0), (500, -32603));
    client.send(post("")).await;
    let (.., reply) = server.post().await;
    reply.event(&segments("{}"), None).expect("open");
    client.head().await;
    drop(reply);
    assert!(
        !client.rest().await.ends_with(b"0\r\n\r\n"),
        "not a clean end"
    );
}

#[tokio::test]
async fn a_drain_finishes_what_is_in_flight_and_takes_nothing_new() {
    let mut server = Running::start().await;
    let mut idle = server.connect().await;
    idle.send(post("")).await;
    let (.., reply) = server.post().await;
    reply
        .status(StatusCode::ACCEPTED, Vec::new(), None)
        .expect("open");
    idle.response().await;
    let mut busy = server.connect().await;
    busy.send(post("")).await;
    let (.., reply) = server.post().await;
    reply.event(&segments("{}"), None).expect("open");
    busy.head().await;
    server.drain.cancel();
    // Unused connections close, and nobody is accepted any more.
    assert!(idle.rest().await.is_empty());
    let refused = async {
        while TcpStream::connect(server.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    patiently(refused).await;
    assert!(!server.serving.is_finished());
    reply
        .last_event(&segments(ANSWER), None)
        .expect("still open");
    let rest = busy.rest().await;
    assert!(
        rest.ends_with(b"0\r\n\r\n"),
        "{}",
        String::from_utf8_lossy(&rest)
    );
    patiently(server.serving).await.expect("ends");
}

#[tokio::test]
async fn the_admin_listener_shows_three_facts() {
    use crate::transport::admin::{self, AdminState};
    use std::sync::Arc;
    let server = admin::bind("127.0.0.1:0".parse().expect("an address"))
        .await
        .expect("a port");
    let address = server.local_addr();
    let state = Arc::new(AdminState::default());
    let cancel = CancellationToken::new();
    let serving = tokio::spawn(server.serve(Arc::clone(&state), cancel.clone()));
    let ask = async |request: &str| {
        let stream = patiently(TcpStream::connect(address))
            .await
            .expect("connects");
        let mut client = RawClient { stream };
        client
            .send(format!("{request} HTTP/1.1\r\nHost: x\r\n\r\n"))
            .await;
        client.response().await.status
    };
    let probes = [
        "GET /livez",
        "GET /readyz",
        "GET /startedz",
        "GET /mcp",
        "POST /livez",
    ];
    let all = async || {
        let mut statuses = Vec::new();
        for probe in probes {
            statuses.push(ask(probe).await);
        }
        statuses
    };
    assert_eq!(all().await, [200, 503, 503, 404, 405]);
    state.set_started(true);
    state.set_ready(true);
    assert_eq!(all().await, [200, 200, 200, 404, 405]);
    state.set_ready(false);
    assert_eq!(all().await, [200, 503, 200, 404, 405]);
    cancel.cancel();
    patiently(serving).await.expect("ends");
}
