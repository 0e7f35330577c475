//! The client against servers written by hand, one odd behaviour each.

mod answers;
mod connections;
mod legacy;
mod streams;

use super::*;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn patiently<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("no hang")
}

/// A server whose every byte the test writes.
pub(super) struct RawServer {
    listener: TcpListener,
    /// Connections on which a request may arrive; which one the client takes is its own choice.
    waiting: JoinSet<Option<(RawConnection, RawRequest)>>,
    pub(super) accepted: usize,
}

impl RawServer {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self {
            listener,
            waiting: JoinSet::new(),
            accepted: 0,
        }
    }

    /// The next request, on a new connection or one that was kept.
    pub(super) async fn next(&mut self) -> (RawConnection, RawRequest) {
        let next = async {
            loop {
                tokio::select! {
                    Some(read) = self.waiting.join_next() => {
                        if let Some(next) = read.expect("no panic") {
                            return next;
                        }
                    }
                    accepted = self.listener.accept() => {
                        let (stream, _) = accepted.expect("accepts");
                        self.accepted += 1;
                        self.waiting.spawn(RawConnection { stream }.into_request());
                    }
                }
            }
        };
        patiently(next).await
    }

    /// Leaves a connection open for further requests.
    pub(super) fn keep(&mut self, connection: RawConnection) {
        self.waiting.spawn(connection.into_request());
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/mcp", self.address())
    }

    pub(super) fn address(&self) -> std::net::SocketAddr {
        self.listener.local_addr().expect("bound")
    }

    pub(super) async fn accept(&self) -> RawConnection {
        let (stream, _) = patiently(self.listener.accept()).await.expect("accepts");
        RawConnection { stream }
    }
}

pub(super) struct RawConnection {
    pub(super) stream: TcpStream,
}

#[derive(Debug)]
pub(super) struct RawRequest {
    /// In lower case, but for the request line.
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl RawRequest {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let start = format!("{name}: ");
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(start.as_str()))
    }
}

impl RawConnection {
    pub(super) async fn request(&mut self) -> RawRequest {
        patiently(self.read_request())
            .await
            .expect("a whole request")
    }

    async fn into_request(mut self) -> Option<(Self, RawRequest)> {
        let request = self.read_request().await?;
        Some((self, request))
    }

    async fn read_request(&mut self) -> Option<RawRequest> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).ok()?;
        let (line, rest) = head.split_once("\r\n")?;
        let mut request = RawRequest {
            head: format!("{line}\r\n{}", rest.to_ascii_lowercase()),
            body: Vec::new(),
        };
        let length = request
            .header("content-length")
            .map_or(0, |n| n.parse().expect("a number"));
        request.body = vec![0; length];
        self.stream.read_exact(&mut request.body).await.ok()?;
        Some(request)
    }

    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream
            .write_all(bytes.as_ref())
            .await
            .expect("the client reads");
    }

    pub(super) async fn respond(&mut self, status: &str, headers: &str, body: &str) {
        let length = body.len();
        let text = format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}");
        self.send(text).await;
    }

    pub(super) async fn json(&mut self, body: &str) {
        self.respond("200 OK", "content-type: application/json\r\n", body)
            .await;
    }

    /// Starts an event stream that lasts until the connection closes or `end_stream`.
    pub(super) async fn start_stream(&mut self) {
        self.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
            .await;
    }

    pub(super) async fn chunk(&mut self, text: &str) {
        self.send(format!("{:x}\r\n{text}\r\n", text.len())).await;
    }

    pub(super) async fn end_stream(&mut self) {
        self.send("0\r\n\r\n").await;
    }

    /// Waits until the client has closed its side.
    pub(super) async fn closed(&mut self) {
        let mut rest = Vec::new();
        let _ = patiently(self.stream.read_to_end(&mut rest)).await;
    }
}

/// An upstream under test with its events.
pub(super) struct Client {
    pub(super) handle: HttpUpstreamHandle,
    pub(super) events: mpsc::Receiver<HttpEvent>,
    pub(super) cancel: CancellationToken,
}

impl Client {
    pub(super) fn start(url: String) -> Self {
        Self::with(HttpUpstreamConfig::new(url))
    }

    pub(super) fn with(config: HttpUpstreamConfig) -> Self {
        let (sender, events) = mpsc::channel(16);
        let cancel = CancellationToken::new();
        let handle = spawn(config, sender, cancel.clone()).expect("a good configuration");
        Self {
            handle,
            events,
            cancel,
        }
    }

    pub(super) fn post(&self, key: impl Into<Option<u64>>, body: &'static str) {
        self.post_as(key, body, false);
    }

    pub(super) fn post_resumable(&self, key: u64) {
        self.post_as(key, CALL, true);
    }

    fn post_as(&self, key: impl Into<Option<u64>>, body: &'static str, resumable: bool) {
        // Two segments, as the core sends them when it splices.
        let (one, two) = body.split_at(body.len() / 2);
        self.handle.send(HttpCommand::Send {
            key: key.into(),
            body: vec![one.into(), two.into()],
            headers: Vec::new(),
            resumable,
        });
    }

    pub(super) async fn event(&mut self) -> HttpEvent {
        patiently(self.events.recv())
            .await
            .expect("the upstream lives")
    }

    /// A response of JSON: `ANSWER`, and that nothing comes after it.
    pub(super) async fn answer(&mut self, key: u64) {
        assert_eq!(self.event().await, message(key, ANSWER));
        self.ended(key).await;
    }

    pub(super) async fn ended(&mut self, key: u64) {
        let ended = HttpEvent::StreamEnded { key: Some(key) };
        assert_eq!(self.event().await, ended);
    }

    pub(super) async fn failure(&mut self) -> (Option<u64>, Box<HttpFailure>) {
        match self.event().await {
            HttpEvent::Failed { key, failure } => (key, failure),
            other => panic!("expected a failure, got {other:?}"),
        }
    }
}

pub(super) fn message(key: impl Into<Option<u64>>, text: &'static str) -> HttpEvent {
    HttpEvent::Message {
        key: key.into(),
        message: Bytes::from_static(text.as_bytes()),
    }
}

/// Limits with which repeated attempts follow each other at once.
pub(super) fn impatient(url: String) -> HttpUpstreamConfig {
    let mut config = HttpUpstreamConfig::new(url);
    config.limits.reconnect_delay = Duration::from_millis(1);
    config.limits.max_reconnect_delay = Duration::from_millis(5);
    config
}

pub(super) const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}"#;
pub(super) const ANSWER: &str = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
pub(super) const NOTE: &str = r#"{"jsonrpc":"2.0","method":"notifications/progress"}"#;
