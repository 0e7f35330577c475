//! Client side of streamable HTTP: one logical connection to one server URL.
//!
//! Moves bytes. It keeps the session id, the version header and the `Last-Event-ID`, and follows
//! the rules of HTTP; which message to send when, and what an answer means, is the core's to
//! decide. It never logs header values, never follows a redirect to another origin, and bounds
//! everything a server sends.
//!
//! Sources: MCP 2025-11-25 and 2026-07-28 `basic/transports`; 2024-11-05 for HTTP+SSE.

mod chunked;
mod config;
mod connect;
mod exchange;
mod failure;
mod legacy_sse;
mod listen;
mod once;
mod post;
#[cfg(feature = "otel")]
mod poster;
mod reopening;
mod shared;
mod site;
mod stream;
mod take_over;
mod target;
#[cfg(test)]
mod tests;

pub use config::{
    HttpClientLimits, HttpConfigError, HttpUpstreamConfig, ProxySettings, SharedTls, TlsSettings,
};
pub use failure::{FailureKind, HttpFailure, HttpOperation, Outcome};
pub use once::{Answer, PostError, get, get_at_origin, post_json};
#[cfg(feature = "otel")]
pub use poster::Poster;
pub use site::HttpSite;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use shared::Shared;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What the caller asks of the connection.
#[derive(Debug)]
pub enum HttpCommand {
    /// POST one message.
    Send {
        /// Chosen by the caller for a request; `None` for a notification or a response.
        key: Option<u64>,
        /// The message, in order; never copied.
        body: Vec<Bytes>,
        /// Headers of this message, over the configured ones of the same name.
        headers: Vec<(HeaderName, HeaderValue)>,
        /// Legacy era: a broken response stream whose events had ids is resumed by GET. Modern
        /// era: it is lost, so leave this false.
        resumable: bool,
    },
    /// Forget the request with this key and close its connection at once. Nothing about this key
    /// is reported any more, apart from what already stands in the event queue.
    Abort {
        /// Key of the `Send`.
        key: u64,
    },
    /// Open the legacy GET listen stream and keep it open. No effect while it is open, or after
    /// `FallBackToSse`, whose stream carries everything.
    OpenStream,
    /// `MCP-Protocol-Version` for all later requests that do not bring their own.
    SetProtocolVersion(Option<HeaderValue>),
    /// `Authorization` for all later requests, where the configuration has none.
    SetAuthorization(Option<HeaderValue>),
    /// Forget the session id and close the listen stream, before initialising anew.
    ResetSession,
    /// Use the HTTP+SSE transport of 2024-11-05 from now on: GET names an endpoint, messages are
    /// posted there and answers arrive on the GET stream. Again after the stream broke: a new
    /// stream, which is a new session.
    FallBackToSse,
    /// Stop everything, end the session at the server if there is one (in bounded time), report
    /// [`HttpEvent::Closed`]. Requests in flight get no event of their own; later commands have
    /// no effect.
    Close,
}

/// What happened on the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpEvent {
    /// A JSON-RPC message (or a legacy batch), not looked into.
    Message {
        /// The request on whose response it arrived; `None` for the listen stream, the HTTP+SSE
        /// stream and the response to a notification.
        key: Option<u64>,
        /// The JSON text.
        message: Bytes,
    },
    /// The server took the request but answers elsewhere (202; every request over HTTP+SSE).
    Accepted {
        /// Key of the `Send`.
        key: u64,
    },
    /// A request, or for `None` what `failure.operation` says: a notification, or a stream.
    Failed {
        /// Key of the `Send`.
        key: Option<u64>,
        /// Why.
        failure: Box<HttpFailure>,
    },
    /// A response, a stream or the one text of JSON, ended and brings nothing more. If no answer was in it,
    /// none comes.
    /// For `None`: the listen stream ended and is being reopened; events are missed meanwhile.
    StreamEnded {
        /// Key of the `Send`.
        key: Option<u64>,
    },
    /// The server gave a session id; it is sent from now on.
    SessionStarted,
    /// The server no longer knows the session (404). The id is forgotten, the listen stream closed.
    /// Reported once for each session, before the `Failed` of the request that learned it.
    SessionLost,
    /// The listen stream is open, or HTTP+SSE has named its endpoint.
    StreamOpened {
        /// It ended before: what happened meanwhile may have been missed.
        again: bool,
    },
    /// The server offers no listen stream (405), or refuses it for good.
    StreamUnavailable {
        /// Why.
        failure: Box<HttpFailure>,
        /// There was one: what happened since may have been missed.
        was_open: bool,
    },
    /// Everything has stopped: after `Close` or the cancellation. Nothing follows.
    Closed,
}

/// The caller's end of a connection. Cheap to clone; never waits.
#[derive(Clone)]
pub struct HttpUpstreamHandle {
    shared: Arc<Shared>,
}

impl HttpUpstreamHandle {
    /// Starts what `command` asks for. Returns at once; the outcome arrives as events.
    ///
    /// A later message waits (at most `order_timeout`) until the server has accepted the
    /// notifications and responses sent before it, since each may take its own connection.
    /// How many requests are in flight is for the caller to bound.
    pub fn send(&self, command: HttpCommand) {
        let shared = &self.shared;
        match command {
            HttpCommand::Send {
                key,
                body,
                headers,
                resumable,
            } => post::start(shared, key, body, headers, resumable),
            HttpCommand::Abort { key } => shared.abort(key),
            HttpCommand::OpenStream => listen::start(shared),
            HttpCommand::SetProtocolVersion(version) => shared.set_protocol_version(version),
            HttpCommand::SetAuthorization(value) => shared.set_authorization(value),
            HttpCommand::ResetSession => shared.reset_session(),
            HttpCommand::FallBackToSse => legacy_sse::start(shared),
            HttpCommand::Close => shared.close(),
        }
    }

    /// Requests whose response has not ended yet.
    pub fn in_flight(&self) -> usize {
        self.shared.in_flight()
    }
}

impl std::fmt::Debug for HttpUpstreamHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpUpstreamHandle")
            .field("origin", &self.shared.peer.origin)
            .field("in_flight", &self.in_flight())
            .finish()
    }
}

/// Takes the events of one connection.
pub trait EventSink: Send + Sync {
    /// Takes the next event of one of the connection's tasks. While it does not return, what brought the
    /// event waits, and TCP slows its sender.
    fn take(&self, event: HttpEvent) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// Prepares a connection; nothing is sent before the first command. `cancel` stops everything at once.
///
/// # Panics
/// Outside a tokio runtime.
pub fn connect(
    site: &HttpSite,
    events: Arc<dyn EventSink>,
    cancel: CancellationToken,
) -> HttpUpstreamHandle {
    let shared = Shared::new(Arc::clone(&site.0), events, cancel);
    shared.report_cancellation();
    HttpUpstreamHandle { shared }
}

#[cfg(test)]
impl EventSink for tokio::sync::mpsc::Sender<HttpEvent> {
    fn take(&self, event: HttpEvent) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            let _ = self.send(event).await;
        })
    }
}

#[cfg(test)]
pub(crate) fn spawn(
    config: HttpUpstreamConfig,
    events: tokio::sync::mpsc::Sender<HttpEvent>,
    cancel: CancellationToken,
) -> Result<HttpUpstreamHandle, HttpConfigError> {
    Ok(connect(&HttpSite::new(config)?, Arc::new(events), cancel))
}
