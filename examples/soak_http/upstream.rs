//! Servers for the soak, in this process: one that answers at once, one that takes its time, one that
//! accepts and never answers, one that does what it is told wrong. They speak streamable HTTP of 2025-11-25, each client has a session and a
//! stream. A port where nobody listens is the fourth.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// How a server behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Answers at once.
    Quick,
    /// Answers calls after a while.
    Slow(Duration),
    /// Takes everything and answers nothing.
    Dead,
    /// Answers as `arguments.fault` of a call says, and can be killed.
    Odd,
}

/// What a server remembers.
#[derive(Debug, Default)]
struct Memory {
    sessions: Mutex<HashSet<String>>,
    /// Hashes of the marks that it was called with.
    marks: Mutex<HashSet<u64>>,
    duplicated: AtomicU64,
}

/// A running server.
#[derive(Debug, Clone)]
pub(crate) struct Upstream {
    address: SocketAddr,
    memory: Arc<Memory>,
    lives: watch::Sender<u64>,
}

impl Upstream {
    /// Starts to serve until the runtime ends.
    ///
    /// # Errors
    /// When there is no port.
    pub(crate) async fn start(manner: Manner) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let upstream = Self {
            address: listener.local_addr()?,
            memory: Arc::default(),
            lives: watch::Sender::new(0),
        };
        let memory = Arc::clone(&upstream.memory);
        let lives = upstream.lives.clone();
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                let _ = stream.set_nodelay(true);
                let memory = Arc::clone(&memory);
                let mut life = lives.subscribe();
                tokio::spawn(async move {
                    let service = service_fn(|request| answer(request, manner, &memory));
                    let serving =
                        http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                    tokio::select! {
                        _ = serving => {}
                        _ = life.changed() => {}
                    }
                });
            }
        });
        Ok(upstream)
    }

    /// Its endpoint.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// Sessions that were opened and not ended.
    pub(crate) fn open_sessions(&self) -> usize {
        lock(&self.memory.sessions).len()
    }

    /// Calls that it was given more than once.
    pub(crate) fn duplicated(&self) -> u64 {
        self.memory.duplicated.load(Ordering::Relaxed)
    }

    /// Drops all connections and forgets all sessions, as a process that is started anew.
    pub(crate) fn kill(&self) {
        lock(&self.memory.sessions).clear();
        self.lives.send_modify(|life| *life += 1);
    }
}

/// An endpoint where nobody listens.
///
/// # Errors
/// When there is no port.
pub(crate) async fn nobody() -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    Ok(format!("http://{}/mcp", listener.local_addr()?))
}

fn lock<T>(what: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is written: one text, or nothing for ever.
enum Answer {
    Text(Option<Bytes>),
    Silence,
    /// A text, then the end of the connection.
    Cut(Option<Bytes>),
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Text(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Self::Silence => Poll::Pending,
            Self::Cut(text) => Poll::Ready(Some(match text.take() {
                Some(text) => Ok(Frame::data(text)),
                None => Err(io::ErrorKind::ConnectionAborted.into()),
            })),
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    manner: Manner,
    memory: &Memory,
) -> io::Result<Response<Answer>> {
    let sessions = &memory.sessions;
    if manner == Manner::Dead {
        std::future::pending::<()>().await;
    }
    let known = request
        .headers()
        .get("mcp-session-id")
        .and_then(|id| id.to_str().ok())
        .map(str::to_owned);
    let status = |status| {
        let mut response = Response::new(Answer::Text(None));
        *response.status_mut() = status;
        Ok(response)
    };
    if manner == Manner::Odd
        && known
            .as_ref()
            .is_some_and(|id| !lock(sessions).contains(id))
    {
        return status(StatusCode::NOT_FOUND);
    }
    match *request.method() {
        Method::GET => {
            let mut response = Response::new(Answer::Silence);
            set_type(&mut response, "text/event-stream");
            return Ok(response);
        }
        Method::DELETE => {
            if let Some(id) = known {
                lock(sessions).remove(&id);
            }
            return status(StatusCode::OK);
        }
        _ => {}
    }
    let Ok(body) = request.into_body().collect().await else {
        return status(StatusCode::BAD_REQUEST);
    };
    let message: Value = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
    let Some(id) = message.get("id").cloned() else {
        return status(StatusCode::ACCEPTED);
    };
    let mut opened = None;
    let outcome = match message["method"].as_str().unwrap_or_default() {
        "initialize" => {
            let id = format!("{:032x}", rand::random::<u128>());
            lock(sessions).insert(id.clone());
            opened = Some(id);
            json!({"result": {
                "protocolVersion": "2025-11-25",
                "capabilities": {"tools": {"listChanged": true}},
                "serverInfo": {"name": "soak", "version": "1"},
            }})
        }
        "tools/list" => json!({"result": {"tools": tools()}}),
        "tools/call" => {
            if let Manner::Slow(time) = manner {
                tokio::time::sleep(time).await;
            }
            let arguments = &message["params"]["arguments"];
            let text = arguments["mark"].clone();
            let mut hasher = DefaultHasher::new();
            text.as_str().unwrap_or_default().hash(&mut hasher);
            if !lock(&memory.marks).insert(hasher.finish()) {
                memory.duplicated.fetch_add(1, Ordering::Relaxed);
            }
            if manner == Manner::Odd
                && let Some(fault) = arguments["fault"].as_str()
                && let Some(wrong) = wrong(fault).await
            {
                return Ok(wrong);
            }
            json!({"result": {"content": [{"type": "text", "text": text}]}})
        }
        "ping" => json!({"result": {}}),
        _ => json!({"error": {"code": -32601, "message": "Method not found"}}),
    };
    let mut whole = json!({"jsonrpc": "2.0", "id": id});
    if let (Some(whole), Value::Object(outcome)) = (whole.as_object_mut(), outcome) {
        whole.extend(outcome);
    }
    let mut response = Response::new(Answer::Text(Some(whole.to_string().into())));
    set_type(&mut response, "application/json");
    if let Some(id) = opened.and_then(|id| id.parse().ok()) {
        response.headers_mut().insert("mcp-session-id", id);
    }
    Ok(response)
}

/// The answer with a fault; none where it is only late.
async fn wrong(fault: &str) -> Option<Response<Answer>> {
    let whole = |kind, text: &'static str| {
        let mut response = Response::new(Answer::Text(Some(Bytes::from_static(text.as_bytes()))));
        set_type(&mut response, kind);
        Some(response)
    };
    match fault {
        "garbage" => whole("application/json", "{\"jsonrpc\": \"2.0\", \"result\": {]"),
        "page" => whole("text/html", "<!doctype html><title>It works</title>"),
        "empty" => whole("application/json", ""),
        "cut" => {
            let start = Bytes::from_static(b"{\"jsonrpc\": \"2.0\", \"resu");
            let mut response = Response::new(Answer::Cut(Some(start)));
            set_type(&mut response, "application/json");
            Some(response)
        }
        "status" => {
            let mut response = whole("text/plain", "an internal error")?;
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            Some(response)
        }
        _ => {
            let time = Duration::from_millis(rand::random_range(0..1_000));
            tokio::time::sleep(time).await;
            None
        }
    }
}

fn set_type(response: &mut Response<Answer>, kind: &'static str) {
    let kind = header::HeaderValue::from_static(kind);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
}

/// A list of the usual size: 20 tools, some 8 KB.
fn tools() -> Vec<Value> {
    let tool = |name: String| {
        json!({
            "name": name,
            "description": "Gives back the mark that it was called with. ".repeat(4),
            "inputSchema": {
                "type": "object",
                "properties": {
                    "mark": {"type": "string", "description": "What is given back"},
                    "note": {"type": "string", "description": "Not looked at"},
                },
                "required": ["mark"],
            },
        })
    };
    let others = (1..20).map(|n| tool(format!("other_{n}")));
    std::iter::once(tool("echo".into())).chain(others).collect()
}
