//! Streamable HTTP on one address, with the era gate before the SDK's service.

use std::{
    future::Future,
    io::Write,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    serve::ListenerExt,
};
use http::{HeaderValue, Method, StatusCode, header::CONTENT_TYPE};
use hyper::body::Frame;
use rmcp::transport::{
    StreamableHttpServerConfig, StreamableHttpService,
    streamable_http_server::session::local::LocalSessionManager,
};
use serde_json::Value;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::{
    era::{Era, Gate},
    handler::Fixture,
    state::Shared,
};

/// The most a request body may have, in bytes.
const MAXIMUM_BODY_BYTES: usize = 16 * 1024 * 1024;

/// What clients are told to wait before they reconnect; short, so that tests need not wait.
pub(crate) const RECONNECT_AFTER: Duration = Duration::from_millis(300);

/// Ends the response stream of the request that carries it.
#[derive(Clone)]
pub(crate) struct StreamCut(pub(crate) CancellationToken);

/// Serves until the process ends. Prints the URL once the socket listens.
pub(crate) async fn serve(shared: Arc<Shared>, address: SocketAddr) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let config = StreamableHttpServerConfig::default()
        .with_allowed_origins(["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"])
        .enforce_origin_validation()
        .with_max_request_body_bytes(MAXIMUM_BODY_BYTES)
        .with_sse_retry(Some(RECONNECT_AFTER))
        .with_legacy_session_mode(shared.era != Era::Modern)
        .with_stateless_protocol_metadata_required(shared.era == Era::Modern);
    let mut sessions = LocalSessionManager::default();
    sessions.session_config.sse_retry = Some(RECONNECT_AFTER);
    let factory_state = Arc::clone(&shared);
    let service = StreamableHttpService::new(
        move || Ok(Fixture::new(Arc::clone(&factory_state))),
        Arc::new(sessions),
        config,
    );
    let router = Router::new()
        .route_service("/mcp", service)
        .layer(middleware::from_fn_with_state(shared.era, before_sdk));
    writeln!(std::io::stderr(), "listening on http://{address}/mcp")?;
    // Without it the event after a stream's first one waits for the client's delayed acknowledgement.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router).await?;
    Ok(())
}

/// Applies the era gate and makes the response stream one that a handler can cut.
async fn before_sdk(State(era): State<Era>, request: Request, next: Next) -> Response {
    let mut request = if era == Era::Dual || request.method() != Method::POST {
        request
    } else {
        match through_gate(era, request).await {
            Ok(request) => request,
            Err(response) => return *response,
        }
    };
    let cut = StreamCut(CancellationToken::new());
    request.extensions_mut().insert(cut.clone());
    next.run(request).await.map(|inner| {
        Body::new(Cuttable {
            inner,
            cut: Box::pin(cut.0.cancelled_owned()),
        })
    })
}

/// The request as it reaches the SDK, or the answer it gets before.
async fn through_gate(era: Era, request: Request) -> Result<Request, Box<Response>> {
    let (mut parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, MAXIMUM_BODY_BYTES)
        .await
        .map_err(|error| {
            Box::new((StatusCode::PAYLOAD_TOO_LARGE, error.to_string()).into_response())
        })?;
    let version = parts
        .headers
        .get("mcp-protocol-version")
        .and_then(|value| value.to_str().ok());
    // What is no JSON is for the SDK to refuse.
    let gate = serde_json::from_slice::<Value>(&bytes)
        .map_or(Gate::Pass, |message| era.gate(&message, version));
    let bytes = match gate {
        Gate::Pass => bytes,
        Gate::Rewrite(message) => {
            let bytes = Bytes::from(message.to_string());
            parts.headers.remove(http::header::CONTENT_LENGTH);
            bytes
        }
        Gate::Answer(answer, status) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
            let mut response = (status, answer.to_string()).into_response();
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(CONTENT_TYPE, json);
            return Err(Box::new(response));
        }
    };
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

/// A body that ends, as if it were complete, once its token is cancelled.
struct Cuttable {
    inner: Body,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl hyper::body::Body for Cuttable {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.cut.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        Pin::new(&mut self.inner).poll_frame(context)
    }
}
