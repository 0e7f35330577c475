//! Error codes of the protocol, and the errors that this proxy makes.

use serde_json::json;

use crate::jsonrpc::error::ErrorObject;

/// A header does not say what the body says (modern).
pub const HEADER_MISMATCH: i64 = -32020;
/// The request needs a client capability that was not declared (modern).
pub const MISSING_CAPABILITY: i64 = -32021;
/// The protocol version is not supported (modern).
pub const UNSUPPORTED_VERSION: i64 = -32022;
/// The resource does not exist (2025-11-25 and older).
pub const RESOURCE_NOT_FOUND: i64 = -32002;
/// A URL elicitation has to be completed first (2025-11-25 only).
pub const URL_ELICITATION_REQUIRED: i64 = -32042;

/// What became of a request that got no answer from its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The server never saw it. It can be sent again.
    NotSent,
    /// It may have run. Only the caller can know whether to send it again.
    MaybeExecuted,
}

/// A failure of ours. Codes lie outside the ranges that JSON-RPC and MCP reserve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyError {
    /// The server cannot be reached.
    UpstreamUnavailable,
    /// The connection to the server was lost.
    UpstreamLost,
    /// The server did not answer in time.
    Deadline,
    /// Too much is in flight or waiting.
    Overloaded,
    /// A message is larger than allowed.
    TooLarge,
    /// The server broke the protocol.
    UpstreamProtocol,
    /// The two eras cannot be bridged here.
    NoBridge,
    /// The proxy is shutting down.
    Draining,
    /// Only a kept answer was wanted, and there is none.
    NotCached,
}

impl ProxyError {
    /// Returns the JSON-RPC code.
    pub fn code(self) -> i64 {
        match self {
            Self::UpstreamUnavailable => -31001,
            Self::UpstreamLost => -31002,
            Self::Deadline => -31003,
            Self::Overloaded => -31004,
            Self::TooLarge => -31005,
            Self::UpstreamProtocol => -31006,
            Self::Draining => -31011,
            Self::NoBridge => -31012,
            Self::NotCached => -31013,
        }
    }

    /// Returns the name in `data.kind`.
    pub fn kind(self) -> &'static str {
        match self {
            Self::UpstreamUnavailable => "upstream_unavailable",
            Self::UpstreamLost => "upstream_lost",
            Self::Deadline => "deadline",
            Self::Overloaded => "overloaded",
            Self::TooLarge => "too_large",
            Self::UpstreamProtocol => "upstream_protocol",
            Self::NoBridge => "no_bridge",
            Self::Draining => "draining",
            Self::NotCached => "not_cached",
        }
    }

    /// Makes the error object: the sentence for people, and `data` with source, kind, server, outcome
    /// and whether sending again makes sense.
    pub fn object(self, message: impl Into<String>, server: &str, outcome: Outcome) -> ErrorObject {
        let outcome_name = match outcome {
            Outcome::NotSent => "not_sent",
            Outcome::MaybeExecuted => "maybe_executed",
        };
        let is_retryable =
            outcome == Outcome::NotSent && !matches!(self, Self::TooLarge | Self::NoBridge);
        ErrorObject::new(self.code(), message).with_data(&json!({
            "source": "proxy",
            "kind": self.kind(),
            "server": server,
            "outcome": outcome_name,
            "retryable": is_retryable,
        }))
    }
}

/// Returns the HTTP status under which a modern error response is sent (MCP 2026-07-28
/// basic/transports).
pub fn http_status(code: i64) -> u16 {
    match code {
        crate::jsonrpc::error::METHOD_NOT_FOUND => 404,
        HEADER_MISMATCH | MISSING_CAPABILITY | UNSUPPORTED_VERSION => 400,
        _ => 200,
    }
}
