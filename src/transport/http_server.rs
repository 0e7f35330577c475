//! Server side of streamable HTTP: listens, refuses what must be refused, hands on the rest.
//!
//! Moves bytes. It checks what HTTP and security rules ask for before anyone else sees a request
//! (path, method, Host, Origin, headers, type, size, time); sessions, eras and what to answer are
//! the core's. It never looks into a message and keeps no state beyond the open connections.
//!
//! Sources: MCP 2025-11-25 and 2026-07-28 `basic/transports`, "Security Warning"; RFC 9110.

mod accept;
pub mod auth;
mod bind;
mod check;
mod connection;
mod guard;
mod refusal;
mod reply;
mod request;
mod rest;
mod socket;
mod stall;
mod stream;
mod take_over;
#[cfg(test)]
mod tests;
mod tls;
mod well_known;

pub use auth::{AuthConfig, AuthError, JwtConfig, KeySource, Verified};
pub use bind::{BindError, bind_listener};
pub use reply::{Reply, ReplyError};
pub use socket::SocketError;
pub use tls::TlsFiles;

use bytes::Bytes;
use http::HeaderMap;
use secrecy::SecretString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::transport::certificate::CertificateError;
use crate::transport::http_client::HttpUpstreamConfig;
use accept::Listener;
use guard::Guard;

/// Where to listen and what to let in.
#[derive(Debug, Clone)]
pub struct HttpServerConfig {
    /// Addresses to listen on; port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// A unix socket to listen on besides; only our own user may connect to it.
    pub socket: Option<PathBuf>,
    /// TLS on the addresses; a socket never speaks it.
    pub tls: Option<TlsFiles>,
    /// Which bearer tokens get in; without it all requests do.
    pub auth: Option<AuthConfig>,
    /// The server whose documents below `/.well-known/` are passed on.
    pub well_known: Option<HttpUpstreamConfig>,
    /// Path of the MCP endpoint; `/` is accepted as well, and one segment below the path is handed on.
    pub path: String,
    /// Further values allowed in `Host`: a name (any port) or `name:port`; `*` allows everything.
    /// Always allowed are loopback names and the address the connection came in on, neither of
    /// which DNS rebinding can fake.
    pub allowed_hosts: Vec<String>,
    /// Further values allowed in `Origin`, such as `https://app.example.com`; `*` allows all but
    /// `null`. Always allowed are requests without `Origin`, and loopback origins on loopback hosts.
    pub allowed_origins: Vec<String>,
    /// Bounds on sizes, times and counts.
    pub limits: HttpServerLimits,
}

impl HttpServerConfig {
    /// A configuration for `/mcp` on `listen` with default checks and limits.
    pub fn new(listen: Vec<SocketAddr>) -> Self {
        Self {
            listen,
            socket: None,
            tls: None,
            auth: None,
            well_known: None,
            path: "/mcp".to_owned(),
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            limits: HttpServerLimits::default(),
        }
    }
}

/// Bounds of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpServerLimits {
    /// Largest request body, in bytes; more is 413.
    pub max_body_bytes: usize,
    /// Largest request head, in bytes; more is 431.
    pub max_header_bytes: usize,
    /// Most header lines; more is 431.
    pub max_headers: usize,
    /// How long a request head may take (408), the first one counted from the connection's begin.
    pub header_timeout: Duration,
    /// How long a connection is kept on which nothing is asked any more.
    pub idle_timeout: Duration,
    /// How long a request body may take; longer is 408.
    pub body_timeout: Duration,
    /// How long a request waits for room in the event queue; longer is 503.
    pub admission_timeout: Duration,
    /// Open connections, streams included; more are answered 503 and closed.
    pub max_connections: usize,
    /// Silence on a stream after which a comment is sent.
    pub keep_alive_comment_interval: Duration,
    /// Bytes queued for one slow reader before [`ReplyError::Full`]; one event always fits.
    pub max_queued_bytes: usize,
    /// Events queued for one slow reader before [`ReplyError::Full`].
    pub max_queued_events: usize,
    /// Bytes queued for all clients together; above it new requests are answered 503, and readers that
    /// are behind get nothing more but the end of what they asked for.
    pub max_queued_total: usize,
    /// How long a client may take nothing of what waits for it before its connection is closed.
    pub stall_timeout: Duration,
}

impl Default for HttpServerLimits {
    fn default() -> Self {
        Self {
            max_body_bytes: 32 << 20,
            max_header_bytes: 64 << 10,
            max_headers: 100,
            header_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(120),
            body_timeout: Duration::from_secs(60),
            admission_timeout: Duration::from_secs(5),
            max_connections: 1024,
            keep_alive_comment_interval: Duration::from_secs(15),
            max_queued_bytes: 8 << 20,
            max_queued_events: 1024,
            max_queued_total: 256 << 20,
            stall_timeout: Duration::from_secs(60),
        }
    }
}

/// Names one request of one client for its whole life; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u64);

/// The head of a request that passed all checks.
#[derive(Clone)]
pub struct RequestHead {
    /// `Mcp-Session-Id`, to be treated like a secret.
    pub session: Option<String>,
    /// `MCP-Protocol-Version`.
    pub protocol_version: Option<String>,
    /// All headers but `Authorization`; secrets among them are marked sensitive.
    pub headers: HeaderMap,
    /// `Authorization`, with its scheme; not where a token was checked that is nobody else's to see.
    pub authorization: Option<SecretString>,
    /// Who it is from, where that was checked.
    pub verified: Option<Verified>,
    /// The client's address.
    pub peer: SocketAddr,
    /// The one segment below the endpoint's path, as sent; what it means is for others to say.
    pub below: Option<String>,
}

impl std::fmt::Debug for RequestHead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestHead")
            .field("session", &self.session.is_some())
            .field("protocol_version", &self.protocol_version)
            .field("headers", &self.headers.len())
            .field("authorization", &self.authorization.is_some())
            .field("verified", &self.verified)
            .field("peer", &self.peer)
            .field("below", &self.below)
            .finish()
    }
}

/// What clients ask for.
#[derive(Debug)]
pub enum HttpServerEvent {
    /// A message was posted.
    Post {
        /// Names the request.
        stream: StreamId,
        /// Its head.
        request: RequestHead,
        /// The JSON text, not looked into.
        body: Bytes,
        /// Takes the answer.
        reply: Reply,
    },
    /// A client opens a listen stream, or resumes one.
    Get {
        /// Names the request.
        stream: StreamId,
        /// Its head.
        request: RequestHead,
        /// `Last-Event-ID`.
        last_event_id: Option<String>,
        /// Takes the answer.
        reply: Reply,
    },
    /// A client ends its session.
    Delete {
        /// Names the request.
        stream: StreamId,
        /// Its head.
        request: RequestHead,
        /// Takes the answer.
        reply: Reply,
    },
    /// The client hung up before the reply was ended. In the modern era that cancels the request.
    /// Always after the event that began the stream; never after the caller ended the reply.
    Gone {
        /// Names the request.
        stream: StreamId,
    },
}

/// A server that listens but does not answer yet.
#[derive(Debug)]
pub struct HttpServer {
    config: HttpServerConfig,
    listeners: Vec<Listener>,
    addresses: Vec<SocketAddr>,
    guard: Guard,
}

/// Why a server cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// An address.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The certificate, or who may vouch for clients.
    #[error(
        "{0}\nhint: give a certificate and its key in PEM with --tls-cert and --tls-key, and authorities of clients with --tls-client-ca"
    )]
    Certificate(#[from] CertificateError),
    /// Tokens or keys.
    #[error(transparent)]
    Auth(#[from] AuthError),
}

/// Reads what decides who gets in, then starts to listen on all addresses of `config`.
///
/// # Errors
/// [`ListenError`] for the first thing that cannot be had.
pub async fn bind(config: HttpServerConfig) -> Result<HttpServer, ListenError> {
    let guard = Guard::load(&config)?;
    let mut listeners = Vec::with_capacity(config.listen.len());
    let mut addresses = Vec::with_capacity(config.listen.len());
    for address in &config.listen {
        let (listener, address) = bind_listener(*address)?;
        listeners.push(Listener::Tcp(listener));
        addresses.push(address);
    }
    if let Some(path) = &config.socket {
        listeners.push(Listener::Unix(socket::bind_socket(path)?));
    }
    Ok(HttpServer {
        config,
        listeners,
        addresses,
        guard,
    })
}

impl HttpServer {
    /// The addresses it listens on, with the ports that port 0 became.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Serves until `cancel`, or until `drain` and the end of every request in flight.
    ///
    /// At `drain` listening stops and unused connections close; streams end when the caller ends
    /// their replies. At `cancel` everything is dropped at once.
    pub async fn serve(
        self,
        events: mpsc::Sender<HttpServerEvent>,
        drain: CancellationToken,
        cancel: CancellationToken,
    ) {
        accept::serve(
            self.config,
            self.listeners,
            self.guard,
            events,
            drain,
            cancel,
        )
        .await;
    }
}
