//! Our client and our server talking to each other.

use super::*;
use crate::transport::http_client::{
    self, FailureKind, HttpCommand, HttpEvent, HttpUpstreamConfig, HttpUpstreamHandle, Outcome,
};
use http::{HeaderName, HeaderValue, StatusCode};

struct Pair {
    server: Running,
    client: HttpUpstreamHandle,
    events: mpsc::Receiver<HttpEvent>,
}

impl Pair {
    async fn start() -> Self {
        let server = Running::start().await;
        let config = HttpUpstreamConfig::new(format!("http://{}/mcp", server.address));
        let (sender, events) = mpsc::channel(16);
        let client = http_client::spawn(config, sender, server.cancel.clone())
            .expect("a good configuration");
        Self {
            server,
            client,
            events,
        }
    }

    fn send(&self, key: Option<u64>, text: &str) {
        self.client.send(HttpCommand::Send {
            key,
            body: segments(text),
            headers: Vec::new(),
            resumable: true,
        });
    }

    async fn event(&mut self) -> HttpEvent {
        patiently(self.events.recv())
            .await
            .expect("the client lives")
    }
}

fn message(key: Option<u64>, text: &str) -> HttpEvent {
    HttpEvent::Message {
        key,
        message: Bytes::copy_from_slice(text.as_bytes()),
    }
}

#[tokio::test]
async fn a_whole_session() {
    let mut pair = Pair::start().await;
    pair.send(Some(1), CALL);
    let (_, _, body, reply) = pair.server.post().await;
    assert_eq!(body, CALL.as_bytes());
    let session = (
        HeaderName::from_static("mcp-session-id"),
        HeaderValue::from_static("s"),
    );
    reply
        .start_json(StatusCode::OK, vec![session], segments(ANSWER))
        .expect("open");
    assert_eq!(pair.event().await, HttpEvent::SessionStarted);
    assert_eq!(pair.event().await, message(Some(1), ANSWER));
    assert_eq!(pair.event().await, HttpEvent::StreamEnded { key: Some(1) });

    pair.client.send(HttpCommand::SetProtocolVersion(Some(
        HeaderValue::from_static("2025-11-25"),
    )));
    pair.client.send(HttpCommand::OpenStream);
    let HttpServerEvent::Get {
        request,
        reply: listen,
        ..
    } = pair.server.event().await
    else {
        panic!("a GET");
    };
    assert_eq!(request.session.as_deref(), Some("s"));
    assert_eq!(request.protocol_version.as_deref(), Some("2025-11-25"));
    listen.start_stream().expect("open");
    assert_eq!(pair.event().await, HttpEvent::StreamOpened { again: false });
    listen
        .event(&segments("{\"method\":\"a\"}"), None)
        .expect("open");
    assert_eq!(pair.event().await, message(None, "{\"method\":\"a\"}"));

    // An answer over a stream, with lines a pretty-printing server would send.
    pair.send(Some(2), CALL);
    let (.., reply) = pair.server.post().await;
    reply
        .event(&segments("{\n  \"method\": \"b\"\r\n}"), None)
        .expect("open");
    reply.last_event(&segments(ANSWER), None).expect("open");
    assert_eq!(
        pair.event().await,
        message(Some(2), "{\n  \"method\": \"b\"\n}")
    );
    assert_eq!(pair.event().await, message(Some(2), ANSWER));
    assert_eq!(pair.event().await, HttpEvent::StreamEnded { key: Some(2) });

    // A notification.
    pair.send(None, "{}");
    let (.., reply) = pair.server.post().await;
    reply
        .status(StatusCode::ACCEPTED, Vec::new(), None)
        .expect("open");

    // An aborted request is gone at the server.
    pair.send(Some(3), CALL);
    let (stream, ..) = {
        let posted = pair.server.post().await;
        pair.client.send(HttpCommand::Abort { key: 3 });
        assert_eq!(pair.server.gone().await, posted.0);
        posted
    };
    assert!(stream.0 > 0);

    pair.client.send(HttpCommand::Close);
    // The listen stream goes, and the session is ended.
    let mut seen = [pair.server.event().await, pair.server.event().await];
    seen.sort_by_key(|event| matches!(event, HttpServerEvent::Delete { .. }));
    let [
        HttpServerEvent::Gone { .. },
        HttpServerEvent::Delete { request, reply, .. },
    ] = &seen
    else {
        panic!("expected the end of the stream and of the session, got {seen:?}");
    };
    assert_eq!(request.session.as_deref(), Some("s"));
    reply
        .status(StatusCode::OK, Vec::new(), None)
        .expect("open");
    assert_eq!(pair.event().await, HttpEvent::Closed);
}

#[tokio::test]
async fn a_broken_answer_is_resumed_from_its_last_event() {
    let mut pair = Pair::start().await;
    pair.send(Some(1), CALL);
    let (.., reply) = pair.server.post().await;
    reply
        .event(&segments("{\"method\":\"a\"}"), Some("1"))
        .expect("open");
    assert_eq!(pair.event().await, message(Some(1), "{\"method\":\"a\"}"));
    reply.abort();
    let HttpServerEvent::Get {
        last_event_id,
        reply,
        ..
    } = pair.server.event().await
    else {
        panic!("a GET");
    };
    assert_eq!(last_event_id.as_deref(), Some("1"));
    reply
        .last_event(&segments(ANSWER), Some("2"))
        .expect("open");
    assert_eq!(pair.event().await, message(Some(1), ANSWER));
    assert_eq!(pair.event().await, HttpEvent::StreamEnded { key: Some(1) });
}

#[tokio::test]
async fn refusals_and_failures_reach_the_other_side() {
    let mut pair = Pair::start().await;
    pair.send(Some(1), CALL);
    let (.., reply) = pair.server.post().await;
    let body =
        Bytes::from_static(br#"{"jsonrpc":"2.0","id":1,"error":{"code":-32022,"message":"m"}}"#);
    reply
        .status(StatusCode::BAD_REQUEST, Vec::new(), Some(body.clone()))
        .expect("open");
    let HttpEvent::Failed { key, failure } = pair.event().await else {
        panic!("a failure");
    };
    assert_eq!((key, failure.body), (Some(1), Some(body)));
    // A connection broken off before any answer.
    pair.send(Some(2), CALL);
    let (.., reply) = pair.server.post().await;
    reply.abort();
    let HttpEvent::Failed { failure, .. } = pair.event().await else {
        panic!("a failure");
    };
    assert_eq!(
        (failure.kind, failure.outcome),
        (FailureKind::Reset, Outcome::MaybeExecuted)
    );
}

#[tokio::test]
async fn messages_of_many_megabytes_pass_both_ways() {
    let mut pair = Pair::start().await;
    let text = format!("{{\"data\":\"{}\"}}", "x".repeat(20 << 20));
    pair.send(Some(1), &text);
    let (_, _, body, reply) = pair.server.post().await;
    assert!(body == text.as_bytes());
    reply
        .last_event(std::slice::from_ref(&body), None)
        .expect("one always fits");
    assert!(pair.event().await == message(Some(1), &text));
    assert_eq!(pair.event().await, HttpEvent::StreamEnded { key: Some(1) });
    pair.send(Some(2), &text);
    let (_, _, body, reply) = pair.server.post().await;
    reply
        .start_json(StatusCode::OK, Vec::new(), vec![body])
        .expect("open");
    assert!(pair.event().await == message(Some(2), &text));
}
