//! The server against clients written by hand, and against our own client.

mod both;
mod refusals;
mod replies;
mod resting;
mod slow;

use super::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(60);

async fn patiently<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("no hang")
}

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}"#;
const ANSWER: &str = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;

fn segments(text: &str) -> Vec<Bytes> {
    let (one, two) = text.split_at(text.len() / 2);
    vec![
        Bytes::copy_from_slice(one.as_bytes()),
        Bytes::copy_from_slice(two.as_bytes()),
    ]
}

/// A running server with its events.
struct Running {
    address: SocketAddr,
    events: mpsc::Receiver<HttpServerEvent>,
    drain: CancellationToken,
    cancel: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
}

impl Running {
    async fn start() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut HttpServerConfig)) -> Self {
        let mut config = HttpServerConfig::new(vec!["127.0.0.1:0".parse().expect("an address")]);
        change(&mut config);
        let server = bind(config).await.expect("a free port");
        let address = server.local_addrs()[0];
        let (sender, events) = mpsc::channel(16);
        let (drain, cancel) = (CancellationToken::new(), CancellationToken::new());
        let serving = tokio::spawn(server.serve(sender, drain.clone(), cancel.clone()));
        Self {
            address,
            events,
            drain,
            cancel,
            serving,
        }
    }

    async fn connect(&self) -> RawClient {
        let stream = patiently(TcpStream::connect(self.address))
            .await
            .expect("connects");
        RawClient { stream }
    }

    async fn event(&mut self) -> HttpServerEvent {
        patiently(self.events.recv())
            .await
            .expect("the server lives")
    }

    async fn post(&mut self) -> (StreamId, RequestHead, Bytes, Reply) {
        match self.event().await {
            HttpServerEvent::Post {
                stream,
                request,
                body,
                reply,
            } => (stream, request, body, reply),
            other => panic!("expected a POST, got {other:?}"),
        }
    }

    async fn gone(&mut self) -> StreamId {
        match self.event().await {
            HttpServerEvent::Gone { stream } => stream,
            other => panic!("expected the end of a stream, got {other:?}"),
        }
    }

    /// Sends `request`, which must be refused, and nobody may have heard of it.
    async fn refusal(&mut self, request: impl AsRef<[u8]>) -> RawResponse {
        let mut client = self.connect().await;
        client.send(request).await;
        let response = client.response().await;
        assert!(self.events.is_empty(), "a refused request reached the core");
        response
    }
}

/// A client whose every byte the test writes.
struct RawClient {
    stream: TcpStream,
}

#[derive(Debug)]
struct RawResponse {
    status: u16,
    /// In lower case.
    head: String,
    body: String,
}

impl RawResponse {
    fn header(&self, name: &str) -> Option<&str> {
        let start = format!("{name}: ");
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(start.as_str()))
    }

    /// Code and message of a JSON-RPC error with a null id.
    fn error(&self) -> (i64, String) {
        let value: serde_json::Value = serde_json::from_str(&self.body).expect("JSON");
        assert_eq!(value["jsonrpc"], "2.0");
        assert!(value["id"].is_null());
        let message = value["error"]["message"].as_str().expect("a message");
        (
            value["error"]["code"].as_i64().expect("a code"),
            message.to_owned(),
        )
    }
}

impl RawClient {
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // A server that refuses early may close while we still write.
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// Reads a response head.
    async fn head(&mut self) -> RawResponse {
        let reading = async {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(self.stream.read_u8().await.expect("a response head"));
            }
            String::from_utf8(head).expect("ASCII").to_ascii_lowercase()
        };
        let head = patiently(reading).await;
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        RawResponse {
            status: status.expect("a status"),
            head,
            body: String::new(),
        }
    }

    /// Reads a response with a `Content-Length`.
    async fn response(&mut self) -> RawResponse {
        let mut response = self.head().await;
        let length = response
            .header("content-length")
            .map_or(0, |n| n.parse().expect("a number"));
        let mut body = vec![0; length];
        patiently(self.stream.read_exact(&mut body))
            .await
            .expect("a whole body");
        response.body = String::from_utf8(body).expect("text");
        response
    }

    /// Reads one chunk of a chunked body; empty at its end.
    async fn chunk(&mut self) -> String {
        let reading = async {
            let mut line = Vec::new();
            while !line.ends_with(b"\r\n") {
                line.push(self.stream.read_u8().await.expect("a chunk"));
            }
            let digits = std::str::from_utf8(&line).expect("ASCII").trim();
            let mut data = vec![0; usize::from_str_radix(digits, 16).expect("a length") + 2];
            self.stream.read_exact(&mut data).await.expect("its data");
            data.truncate(data.len() - 2);
            String::from_utf8(data).expect("text")
        };
        patiently(reading).await
    }

    /// Everything until the server closes.
    async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = patiently(self.stream.read_to_end(&mut rest)).await;
        rest
    }
}

/// A good POST of `CALL`, with further header lines.
fn post(headers: &str) -> String {
    format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{headers}\r\n{CALL}",
        CALL.len()
    )
}

/// Asks something on a connection and gets the answer.
async fn asked(client: &mut RawClient, server: &mut Running) {
    client.send(post("")).await;
    answered(client, server).await;
}

/// Answers the call that `client` has sent.
async fn answered(client: &mut RawClient, server: &mut Running) {
    let (.., body, reply) = server.post().await;
    assert_eq!(body, CALL.as_bytes());
    reply
        .start_json(http::StatusCode::OK, Vec::new(), segments(ANSWER))
        .expect("open");
    assert_eq!(client.response().await.body, ANSWER);
}
