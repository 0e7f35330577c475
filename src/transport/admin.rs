//! The admin listener: liveness, readiness and start-up for whoever runs us. And the counters of who asks for them to be
//! shown; no names and no configuration, and it has its own connections, so it answers
//! while the protocol side is overloaded.

use super::http_server::{BindError, bind_listener};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections at a time; probes need few.
const MAX_CONNECTIONS: usize = 64;
/// How long a request head may take.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest request head.
const MAX_HEADER_BYTES: usize = 16 << 10;
/// Pause after the system refuses to accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the probes see; set by the driver.
#[derive(Default)]
pub struct AdminState {
    ready: AtomicBool,
    started: AtomicBool,
    metrics: OnceLock<MetricsText>,
}

/// Writes counters in the text format of Prometheus.
pub type MetricsText = Box<dyn Fn() -> String + Send + Sync>;

impl std::fmt::Debug for AdminState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdminState")
            .field("ready", &self.ready)
            .field("started", &self.started)
            .finish_non_exhaustive()
    }
}

impl AdminState {
    /// Whether requests are welcome now: false before the start and while draining.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    /// Whether start-up is over.
    pub fn set_started(&self, started: bool) {
        self.started.store(started, Ordering::Relaxed);
    }

    /// What `/metrics` shows; without it there is no such path. Only the first one counts.
    pub fn set_metrics(&self, metrics: MetricsText) {
        let _ = self.metrics.set(metrics);
    }

    /// What `/readyz` says.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// What `/startedz` says.
    pub fn is_started(&self) -> bool {
        self.started.load(Ordering::Relaxed)
    }
}

/// An admin listener that does not answer yet.
#[derive(Debug)]
pub struct AdminServer {
    listener: TcpListener,
    address: SocketAddr,
}

/// Starts to listen on `address`.
///
/// # Errors
/// [`BindError`] when the system refuses.
pub async fn bind(address: SocketAddr) -> Result<AdminServer, BindError> {
    let (listener, address) = bind_listener(address)?;
    Ok(AdminServer { listener, address })
}

impl AdminServer {
    /// The address it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers `GET /livez`, `/readyz` and `/startedz` with 200 or 503 until `cancel`; 404 else.
    pub async fn serve(self, state: Arc<AdminState>, cancel: CancellationToken) {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let tasks = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            // Over the cap the connection is closed: a probe counts that as a failure.
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                continue;
            };
            let (state, cancel) = (Arc::clone(&state), cancel.clone());
            tasks.spawn(async move {
                let service = service_fn(|request| {
                    let response = answer(&state, &request);
                    async { Ok::<_, Infallible>(response) }
                });
                let mut http = http1::Builder::new();
                http.timer(TokioTimer::new())
                    .header_read_timeout(HEADER_TIMEOUT)
                    .max_header_size(MAX_HEADER_BYTES);
                let connection = http.serve_connection(TokioIo::new(stream), service);
                if let Some(Err(error)) = cancel.run_until_cancelled(connection).await {
                    tracing::debug!(%error, "admin connection ended");
                }
                drop(place);
            });
        }
        tasks.close();
        tasks.wait().await;
    }
}

fn answer(state: &AdminState, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let metrics = state.metrics.get();
    let (status, text) = match (request.uri().path(), metrics) {
        ("/livez", _) => (StatusCode::OK, "ok\n".into()),
        ("/readyz", _) if state.is_ready() => (StatusCode::OK, "ready\n".into()),
        ("/readyz", _) => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n".into()),
        ("/startedz", _) if state.is_started() => (StatusCode::OK, "started\n".into()),
        ("/startedz", _) => (StatusCode::SERVICE_UNAVAILABLE, "starting\n".into()),
        ("/metrics", Some(metrics)) => (StatusCode::OK, metrics()),
        _ => (StatusCode::NOT_FOUND, "not found\n".into()),
    };
    let is_read = [Method::GET, Method::HEAD].contains(request.method());
    let (status, text) = if status != StatusCode::NOT_FOUND && !is_read {
        (StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned())
    } else {
        (status, text)
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    // The version tells Prometheus how to read its own format; to others it is plain text.
    headers.insert(
        header::CONTENT_TYPE,
        http::HeaderValue::from_static(crate::telemetry::metrics::CONTENT_TYPE),
    );
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(header::ALLOW, http::HeaderValue::from_static("GET, HEAD"));
    }
    response
}
