//! Servers for the soak, in this process: one that answers at once, one that takes its time, one that
//! accepts and never answers. They speak streamable HTTP of 2025-11-25, each client has a session and a
//! stream. A port where nobody listens is the fourth.

use std::collections::HashSet;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
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

/// How a server behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Answers at once.
    Quick,
    /// Answers calls after a while.
    Slow(Duration),
    /// Takes everything and answers nothing.
    Dead,
}

/// A running server.
#[derive(Debug, Clone)]
pub(crate) struct Upstream {
    address: SocketAddr,
    sessions: Arc<Mutex<HashSet<String>>>,
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
            sessions: Arc::default(),
        };
        let sessions = Arc::clone(&upstream.sessions);
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                let _ = stream.set_nodelay(true);
                let sessions = Arc::clone(&sessions);
                tokio::spawn(async move {
                    let service = service_fn(|request| answer(request, manner, &sessions));
                    let serving = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                    drop(serving);
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
        lock(&self.sessions).len()
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

fn lock(sessions: &Mutex<HashSet<String>>) -> std::sync::MutexGuard<'_, HashSet<String>> {
    sessions.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is written: one text, or nothing for ever.
enum Answer {
    Text(Option<Bytes>),
    Silence,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Text(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Self::Silence => Poll::Pending,
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    manner: Manner,
    sessions: &Mutex<HashSet<String>>,
) -> Result<Response<Answer>, Infallible> {
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
            let text = message["params"]["arguments"]["mark"].clone();
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
