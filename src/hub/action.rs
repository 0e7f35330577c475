//! What the hub wants done, and what it is told.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use secrecy::SecretString;

use crate::cache::key::{Key, Scope};
use crate::cache::lru::{Answer, TierEpoch};
use crate::jsonrpc::write::Outgoing;
use crate::session::StreamId;
use crate::surface::plan::Part;
use crate::upstream::{List, UpstreamId};

use super::account::CountJob;
use super::exchange::ExchangeId;
use super::reads::ReadJob;
use super::results::ShapeJob;

/// Something to do outside. The driver takes these after every `handle_*`, in order.
#[derive(Debug)]
pub enum Action {
    /// Write a message to a client.
    Send {
        /// Which stream.
        stream: StreamId,
        /// The message.
        message: Outgoing,
        /// Whether it ends the stream (HTTP) because it is the answer.
        is_final: bool,
        /// HTTP status, if the answer can still be a plain JSON response.
        status: u16,
        /// Whether it may be thrown away when the client reads too slowly (progress, log messages).
        is_droppable: bool,
    },
    /// Answer an HTTP request without a JSON-RPC answer (202, 404, 405).
    Status {
        /// Which stream.
        stream: StreamId,
        /// The status.
        status: u16,
        /// A JSON-RPC error as body.
        body: Option<Outgoing>,
    },
    /// Add a response header before the stream starts.
    Header {
        /// Which stream.
        stream: StreamId,
        /// Header name, lower case.
        name: &'static str,
        /// Its value.
        value: String,
    },
    /// Start a stream's SSE response although nothing is sent yet.
    StartStream {
        /// Which stream.
        stream: StreamId,
    },
    /// End an HTTP stream.
    EndStream {
        /// Which stream.
        stream: StreamId,
    },
    /// Make the connection: start the process, or the HTTP client.
    Connect {
        /// Which connection.
        upstream: UpstreamId,
        /// Index of the server.
        server: usize,
        /// `Authorization` for everything that is sent, as with [`Self::Authorize`].
        authorization: Option<SecretString>,
    },
    /// Send a client's `Authorization` with everything to this HTTP server from now on, or none.
    Authorize {
        /// Which connection.
        upstream: UpstreamId,
        /// The header's value.
        authorization: Option<SecretString>,
    },
    /// Send a message to a server.
    SendUpstream {
        /// Which connection.
        upstream: UpstreamId,
        /// The request's key; none for notifications and responses.
        key: Option<u64>,
        /// The message.
        message: Outgoing,
        /// HTTP headers that mirror the body (modern).
        headers: Vec<(String, String)>,
    },
    /// Close the response stream of a request (HTTP).
    Abort {
        /// Which connection.
        upstream: UpstreamId,
        /// The request's key.
        key: u64,
    },
    /// Tell the HTTP client which protocol version to name from now on.
    ProtocolVersion {
        /// Which connection.
        upstream: UpstreamId,
        /// The version.
        version: String,
    },
    /// Forget the session id of an HTTP server.
    ResetSession {
        /// Which connection.
        upstream: UpstreamId,
    },
    /// Open the GET stream of a legacy HTTP server.
    OpenStream {
        /// Which connection.
        upstream: UpstreamId,
    },
    /// Switch to the HTTP+SSE transport of 2024-11-05.
    FallBackToSse {
        /// Which connection.
        upstream: UpstreamId,
    },
    /// Shut the connection down in order: close stdin, wait, TERM, KILL; or DELETE the session.
    Disconnect {
        /// Which connection.
        upstream: UpstreamId,
    },
    /// Read a snapshot and give it to `handle_snapshot`.
    LoadSnapshot {
        /// Which connection asks.
        upstream: UpstreamId,
        /// Its key.
        key: String,
    },
    /// Keep a snapshot.
    StoreSnapshot {
        /// Its key.
        key: String,
        /// What to keep.
        snapshot: Box<Snapshot>,
    },
    /// Read the pins of a server and give them to `handle_pins`.
    LoadPins {
        /// Which connection asks.
        upstream: UpstreamId,
        /// Their key.
        key: String,
    },
    /// Keep what a server said of its tools, beside what is pinned of them.
    ObservePins(Box<PinnedList>),
    /// Look at definitions away from the loop, and tell the operator what is found.
    ScanTools {
        /// The server whose tools are new or have changed.
        about: String,
        /// All tools that its clients see, by server, as they were sent.
        tools: Vec<(String, Vec<Bytes>)>,
    },
    /// Give this to `handle_look` when all actions before the next event are done: nobody waits for it, and what
    /// somebody waits for runs beside it by then.
    LookAtTools {
        /// The connection whose list of tools is new.
        upstream: UpstreamId,
    },
    /// Make a surface away from the loop and give it to `handle_surface`.
    MakeSurface {
        /// Names it.
        key: [u8; 32],
        /// The tools, named as clients see them.
        parts: Vec<Part>,
        /// What it is planned by.
        settings: Arc<crate::surface::plan::Settings>,
    },
    /// Shape a result away from the loop and give it to `handle_shaped`.
    ShapeResult {
        /// Whose answer it is.
        exchange: ExchangeId,
        /// What to shape, and by what.
        job: Box<ShapeJob>,
    },
    /// Count a result that was sent as it came, away from the loop, and give what is owed to `handle_counted`.
    CountResult(Box<CountJob>),
    /// Read a kept result away from the loop and give it to `handle_read`.
    ReadResult {
        /// Whose answer it is.
        exchange: ExchangeId,
        /// What to read.
        job: Box<ReadJob>,
    },
    /// Stop reading: nobody waits for it any more.
    AbortRead {
        /// Whose answer it was.
        exchange: ExchangeId,
    },
    /// Look into the cache outside memory and give what is there to `handle_cached`, in time.
    CacheLookup {
        /// Who asks.
        exchange: ExchangeId,
        /// Which entry.
        key: Key,
        /// What it depends on; the numbers of these are wanted in any case.
        scopes: Vec<Scope>,
        /// Whether the answer is wanted as well.
        wants_answer: bool,
    },
    /// Keep an answer outside memory.
    CacheStore {
        /// Its name.
        key: Key,
        /// The answer.
        answer: Answer,
        /// How long it is fresh from now on.
        ttl: Duration,
        /// How long after that it may stand in for a server that fails.
        stale_if_error: Duration,
        /// What it depends on, with the numbers when its read started.
        scopes: Vec<(Scope, TierEpoch)>,
    },
    /// What depends on these is worthless from now on, outside memory too; `handle_bumped` is told in any
    /// case.
    CacheBump {
        /// Names the telling.
        bump: u64,
        /// Which.
        scopes: Vec<Scope>,
    },
    /// Count something that is over.
    Measured(Box<super::measure::Measured>),
    /// Export the span of a request that is over.
    Span(Box<super::trace::Span>),
    /// Write a record into the audit log.
    Audit(Box<crate::policy::audit::Record>),
    /// Say something to the operator.
    Note(Note),
}

/// How much a note matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoteLevel {
    /// Something is broken.
    Error,
    /// Something is odd.
    Warn,
    /// Worth knowing.
    Info,
    /// For those who look for a fault.
    Debug,
}

/// A sentence for the log. Never holds payloads or secrets.
#[derive(Debug, Clone)]
pub struct Note {
    /// How much it matters.
    pub level: NoteLevel,
    /// Which server it is about, or empty.
    pub server: String,
    /// The sentence.
    pub message: String,
}

/// What is kept of a server between starts.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// `legacy` or `modern`.
    pub is_modern: bool,
    /// The negotiated version.
    pub version: String,
    /// The raw result of `initialize` or `server/discover`.
    pub handshake: Bytes,
    /// Its lists, in the order of [`crate::mcp::method::ListKind::ALL`].
    pub lists: [Option<std::sync::Arc<List>>; 4],
}

/// A list of tools to compare with their pins.
#[derive(Debug, Clone)]
pub struct PinnedList {
    /// The key of the pins.
    pub key: String,
    /// The configured name of the server.
    pub server: String,
    /// Whose pins they are, for people: principal and era.
    pub whose: String,
    /// The tools as they were sent.
    pub tools: Vec<Bytes>,
    /// Names the list.
    pub list: [u8; 32],
}

/// How a request failed below JSON-RPC (HTTP status, connection, limits).
#[derive(Debug, Clone)]
pub struct TransportFailure {
    /// The sentence for people; no secrets.
    pub message: String,
    /// HTTP status, if there was one.
    pub status: Option<u16>,
    /// The beginning of a body that is no JSON-RPC, without secrets.
    pub excerpt: Option<String>,
    /// A JSON-RPC body that came with the status.
    pub body: Option<Bytes>,
    /// Whether the server may have seen the request.
    pub may_have_run: bool,
    /// Whether the answer was larger than allowed.
    pub is_too_large: bool,
    /// Whether what came was no JSON-RPC over HTTP.
    pub is_protocol: bool,
    /// How long the server asks us to wait.
    pub retry_after: Option<Duration>,
    /// `WWW-Authenticate`, which a client needs to see.
    pub www_authenticate: Option<String>,
}

/// What the head of an HTTP request says that matters here.
#[derive(Debug, Clone, Default)]
pub struct HttpHead {
    /// `Mcp-Session-Id`.
    pub session: Option<String>,
    /// `MCP-Protocol-Version`.
    pub protocol_version: Option<String>,
    /// `Mcp-Method`.
    pub method: Option<String>,
    /// `Mcp-Name`, as sent.
    pub name: Option<String>,
    /// `Mcp-Param-*`, names in lower case.
    pub params: Vec<(String, String)>,
    /// The headers of [`crate::mcp::header::TRACE`], names in lower case.
    pub trace: Vec<(String, String)>,
    /// Hash of the bearer token, keyed.
    pub bearer: Option<[u8; 16]>,
    /// `Authorization`, for the server that clients' credentials go to.
    pub authorization: Option<SecretString>,
    /// The principal that was verified, by a token or by the connection's certificate.
    pub verified: Option<Arc<str>>,
    /// Whether a token said so.
    pub is_token_verified: bool,
    /// Whether the peer is on loopback.
    pub is_loopback: bool,
    /// The segment below the endpoint's path, as sent: the name of a profile.
    pub profile: Option<String>,
}

/// A connection that ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Why, for people.
    pub detail: String,
    /// Last lines of a child's stderr, without secrets.
    pub stderr: Vec<String>,
    /// Whether the command could not be executed at all.
    pub is_unusable: bool,
}
