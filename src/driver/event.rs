//! What happens outside the loop.

use std::sync::Arc;

use bytes::Bytes;

use crate::hub::cache::Looked;
use crate::hub::costs::CallCosts;
use crate::hub::exchange::ExchangeId;
use crate::hub::reads::Kept;
use crate::hub::results::Redaction;
use crate::jsonrpc::message::{Malformed, Parsed};
use crate::result::shape::Shaped;
use crate::surface::made::Made;
use crate::transport::child::ChildEvent;
use crate::transport::http_client::HttpEvent;
use crate::transport::http_server::HttpServerEvent;
use crate::transport::stdio::StdinEvent;
use crate::upstream::UpstreamId;

/// One thing that happened.
#[derive(Debug)]
pub(super) enum Event {
    /// At a client.
    Client(ClientEvent),
    /// At a server: the connection, its generation (a new process has a new one), and what.
    Server(UpstreamId, u64, ServerEvent),
    /// What calls have cost before was read; before the first surface that a search needs it for.
    Costs(CallCosts),
    /// A result was redacted and shaped, or could not be.
    Shaped(ExchangeId, Redaction, Option<Box<Shaped>>),
    /// A kept result was read.
    Read(ExchangeId, Box<Kept>),
    /// What a tier of the cache has for an exchange.
    Cached(ExchangeId, Looked),
    /// Whether a tier of the cache was told what is worthless.
    Bumped(u64, bool),
    /// A surface was made; whether it was planned now, and not at an earlier start.
    Surface([u8; 32], Arc<Made>, bool),
}

/// Something at a client.
#[derive(Debug)]
pub(super) enum ClientEvent {
    /// Stdin.
    Stdin(StdinEvent),
    /// Nobody reads stdout any more.
    StdoutBroken,
    /// A client inside this process sent a text; none = it is gone.
    Channel(Option<Bytes>),
    /// An HTTP request, its body parsed off the loop.
    Http(Box<HttpServerEvent>, Option<Result<Parsed, Malformed>>),
}

/// Something at a server.
#[derive(Debug)]
pub(super) enum ServerEvent {
    /// At a child process.
    Child(ChildEvent),
    /// At an HTTP server; a message comes parsed.
    Http(HttpEvent, Option<Result<Parsed, Malformed>>),
}
