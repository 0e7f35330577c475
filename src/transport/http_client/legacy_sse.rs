//! The HTTP+SSE transport of MCP 2024-11-05: a GET stream names an endpoint in its first event,
//! messages are posted there, and everything the server says arrives on the stream.
//! The stream is the session: when it ends, everything in flight on it is lost.

use super::HttpEvent;
use super::exchange::Call;
use super::failure::{FailureKind, HttpFailure, HttpOperation, Outcome};
use super::shared::Shared;
use super::stream::{ACCEPT_STREAM, Cursor, EventReader};
use super::take_over::StreamBody;
use http::{Method, StatusCode, Uri, header};
use std::sync::Arc;
use tokio::sync::watch;

const OPERATION: HttpOperation = HttpOperation::LegacyStream;

/// Where messages go.
#[derive(Debug, Clone)]
pub(super) enum Endpoint {
    Pending,
    Ready(Uri),
    /// The stream failed or ended; messages cannot be sent any more.
    Gone(Box<HttpFailure>),
}

pub(super) fn start(shared: &Arc<Shared>) {
    let (sender, receiver) = watch::channel(Endpoint::Pending);
    shared.start_legacy(receiver, run(Arc::clone(shared), sender));
}

/// Waits until the endpoint is known.
pub(super) async fn endpoint(
    shared: &Shared,
    mut endpoint: watch::Receiver<Endpoint>,
) -> Result<Uri, Box<HttpFailure>> {
    let limit = shared.limits.endpoint_timeout;
    let known = endpoint.wait_for(|endpoint| !matches!(endpoint, Endpoint::Pending));
    let failure = match tokio::time::timeout(limit, known).await {
        Ok(Ok(known)) => match &*known {
            Endpoint::Ready(uri) => return Ok(uri.clone()),
            Endpoint::Gone(failure) => failure.clone(),
            Endpoint::Pending => unnamed(shared),
        },
        Ok(Err(_)) => unnamed(shared),
        Err(_) => {
            let mut failure = unnamed(shared);
            failure.kind = FailureKind::Timeout;
            failure
        }
    };
    Err(Box::new(HttpFailure {
        operation: HttpOperation::Post,
        outcome: Outcome::NotSent,
        ..*failure
    }))
}

fn unnamed(shared: &Shared) -> Box<HttpFailure> {
    let message = format!(
        "the HTTP+SSE stream of `{}` named no endpoint\nhint: is this URL the stream of an MCP server of 2024-11-05?",
        shared.peer.origin
    );
    HttpFailure::new(FailureKind::Protocol, OPERATION, Outcome::NotSent, message)
}

async fn run(shared: Arc<Shared>, endpoint: watch::Sender<Endpoint>) {
    let failure = match Box::pin(open(&shared)).await {
        Ok(body) => read(&shared, body, &endpoint).await,
        Err(failure) => failure,
    };
    endpoint.send_replace(Endpoint::Gone(failure.clone()));
    shared.fail(None, failure).await;
}

async fn open(shared: &Shared) -> Result<StreamBody, Box<HttpFailure>> {
    let mut headers = shared.headers(&[]);
    headers.insert(header::ACCEPT, ACCEPT_STREAM);
    let call = Call {
        operation: OPERATION,
        method: Method::GET,
        uri: shared.target.uri.clone(),
        headers,
        body: &[],
        timeout: Some(shared.limits.endpoint_timeout),
    };
    let response = shared.exchange(call).await?;
    if response.status() != StatusCode::OK {
        return Err(shared.status_failure(response, OPERATION).await);
    }
    shared.check_stream(response, OPERATION)
}

/// Reads the stream to its end and says why it ended.
async fn read(
    shared: &Shared,
    body: StreamBody,
    endpoint: &watch::Sender<Endpoint>,
) -> Box<HttpFailure> {
    let mut cursor = Cursor::new(false);
    let mut events = EventReader::new(shared, OPERATION, body);
    loop {
        let event = match events.next(&mut cursor).await {
            Ok(Some(event)) => event,
            Ok(None) => {
                let message = format!("`{}` ended its HTTP+SSE stream", shared.peer.origin);
                let outcome = Outcome::MaybeExecuted;
                return HttpFailure::new(FailureKind::Reset, OPERATION, outcome, message);
            }
            Err(failure) => return failure,
        };
        if event.name.as_deref() == Some("endpoint") {
            let reference = String::from_utf8_lossy(&event.data);
            match shared.target.resolve(&shared.target.uri, &reference) {
                Ok(uri) => endpoint.send_replace(Endpoint::Ready(uri)),
                Err(error) => {
                    let message = format!(
                        "`{}` named an endpoint that {error}; messages are not sent there",
                        shared.peer.origin
                    );
                    let (kind, outcome) = (FailureKind::Redirect, Outcome::NotSent);
                    return HttpFailure::new(kind, OPERATION, outcome, message);
                }
            };
            shared.emit(HttpEvent::StreamOpened { again: false }).await;
        } else if event.is_message() && !event.data.is_empty() {
            let message = event.data;
            shared.emit(HttpEvent::Message { key: None, message }).await;
        }
    }
}
