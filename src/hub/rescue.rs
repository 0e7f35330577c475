//! The only place where trouble becomes an answer.

use std::time::Duration;

use crate::jsonrpc::error::ErrorObject;
use crate::mcp::error::{Outcome, ProxyError};

use super::action::TransportFailure;
use super::limits::seconds;

/// Why an exchange cannot be answered by its server.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// The server is not there and was not asked.
    Unavailable {
        /// What is known of it.
        detail: String,
    },
    /// The connection broke while the request was in flight.
    Lost {
        /// What is known of it.
        detail: String,
    },
    /// It took too long.
    Deadline {
        /// Whether the server saw it.
        was_sent: bool,
        /// The limit, for people.
        limit: String,
    },
    /// Too much is in flight or waiting.
    Overloaded {
        /// What is full.
        what: &'static str,
    },
    /// Too much is in flight or waiting, and there will be room soon.
    Busy {
        /// What is full.
        what: String,
        /// When to come back.
        retry_after: Duration,
    },
    /// The client asks more often than it may.
    TooOften {
        /// When to come back.
        retry_after: Duration,
    },
    /// The server failed again and again and is left alone for a while.
    Resting {
        /// What is known of it.
        detail: String,
        /// When it is asked again.
        retry_after: Duration,
    },
    /// The answer was larger than allowed.
    TooLarge {
        /// The sentence.
        detail: String,
    },
    /// The answer was no answer.
    Protocol {
        /// The sentence.
        detail: String,
    },
    /// The two eras cannot be bridged here.
    NoBridge {
        /// Which rule, for people.
        detail: &'static str,
    },
    /// The request came through more hops of ours than anybody chains.
    Circle {
        /// How many.
        hops: u32,
    },
    /// The request was sent by this very process.
    Returned,
    /// We are going away.
    Draining,
}

impl Trouble {
    /// Classifies a failure of the transport.
    pub fn of_transport(failure: &TransportFailure) -> Self {
        let detail = failure.message.clone();
        if failure.is_too_large {
            Self::TooLarge { detail }
        } else if matches!(failure.status, Some(429 | 503)) {
            Self::Overloaded {
                what: "the server asks to be called later",
            }
        } else if failure.is_protocol {
            Self::Protocol { detail }
        } else if failure.may_have_run {
            Self::Lost { detail }
        } else {
            Self::Unavailable { detail }
        }
    }

    /// Returns what is known, and apart from it the line with a hint, which belongs at the end of a message.
    fn detail(&self) -> (&str, &str) {
        let detail = match self {
            Self::Unavailable { detail }
            | Self::Lost { detail }
            | Self::TooLarge { detail }
            | Self::Protocol { detail }
            | Self::Resting { detail, .. } => detail.as_str(),
            Self::NoBridge { detail } => detail,
            Self::Deadline { .. }
            | Self::Overloaded { .. }
            | Self::Busy { .. }
            | Self::TooOften { .. }
            | Self::Circle { .. }
            | Self::Returned
            | Self::Draining => "",
        };
        detail.split_at(detail.find("\nhint: ").unwrap_or(detail.len()))
    }

    /// Makes the error that the client gets: what was wrong, with which server, whether the request may
    /// have run, and what to do.
    pub fn error(&self, server: &str) -> ErrorObject {
        use Outcome::{MaybeExecuted, NotSent};
        let (detail, hint) = self.detail();
        match self {
            Self::Unavailable { .. } => ProxyError::UpstreamUnavailable.object(
                format!("the server `{server}` is not available: {detail}; the request was not sent{hint}"),
                server,
                NotSent,
            ),
            Self::Lost { .. } => ProxyError::UpstreamLost.object(
                format!(
                    "the connection to the server `{server}` was lost: {detail}; the request may have run{hint}"
                ),
                server,
                MaybeExecuted,
            ),
            Self::Deadline { was_sent, limit } => ProxyError::Deadline.object(
                if *was_sent {
                    format!("the server `{server}` did not answer within {limit}; the request may have run")
                } else {
                    format!("the server `{server}` was not ready within {limit}; the request was not sent")
                },
                server,
                if *was_sent { MaybeExecuted } else { NotSent },
            ),
            Self::Overloaded { what } => ProxyError::Overloaded.object(
                format!("the request was not sent: {what}; try again later"),
                server,
                NotSent,
            ),
            Self::Busy { what, retry_after } => later(
                ProxyError::Overloaded,
                format!(
                    "busy: {what}; the request was not sent\nhint: try again in {} s",
                    seconds(*retry_after)
                ),
                server,
                *retry_after,
            ),
            Self::TooOften { retry_after } => later(
                ProxyError::Overloaded,
                format!(
                    "busy: this client asks more often than it may; the request was not sent\nhint: try again in {} s",
                    seconds(*retry_after)
                ),
                server,
                *retry_after,
            ),
            Self::Resting { retry_after, .. } => later(
                ProxyError::UpstreamUnavailable,
                format!(
                    "the server `{server}` is not available: {detail}; it is asked again in {} s; the request was not sent{hint}",
                    seconds(*retry_after)
                ),
                server,
                *retry_after,
            ),
            Self::TooLarge { .. } => ProxyError::TooLarge.object(
                format!("the answer of the server `{server}` was dropped: {detail}; the request may have run{hint}"),
                server,
                MaybeExecuted,
            ),
            Self::Protocol { .. } => ProxyError::UpstreamProtocol.object(
                format!("the server `{server}` broke the protocol: {detail}; the request may have run{hint}"),
                server,
                MaybeExecuted,
            ),
            Self::NoBridge { .. } => ProxyError::NoBridge.object(
                format!("this cannot be carried between protocol eras: {detail}"),
                server,
                NotSent,
            ),
            Self::Circle { hops } => ProxyError::UpstreamProtocol.object(
                format!(
                    "the request came through {hops} hops of mcp-whittle and was not sent: they lead back to one another\nhint: look which server of mcp-whittle is mcp-whittle itself"
                ),
                server,
                NotSent,
            ),
            Self::Returned => ProxyError::UpstreamProtocol.object(
                "the request came back to the mcp-whittle that had sent it and was not sent again: its servers lead back to one another\nhint: look which server of mcp-whittle is mcp-whittle itself",
                server,
                NotSent,
            ),
            Self::Draining => ProxyError::Draining.object(
                "the proxy is shutting down; the request was not sent",
                server,
                NotSent,
            ),
        }
    }
}

impl Trouble {
    /// The HTTP status and the wait of troubles that pass by themselves: 429 for who asks too often (RFC
    /// 6585 section 4), 503 where there is no room (RFC 9110 section 15.6.4).
    pub fn later(&self) -> Option<(u16, Duration)> {
        match self {
            Self::Busy { retry_after, .. } => Some((503, *retry_after)),
            Self::TooOften { retry_after } => Some((429, *retry_after)),
            _ => None,
        }
    }
}

/// An error that says when to come back.
fn later(kind: ProxyError, message: String, server: &str, wait: Duration) -> ErrorObject {
    let mut error = kind.object(message, server, Outcome::NotSent);
    let data = error
        .data
        .as_deref()
        .and_then(|data| serde_json::from_str::<serde_json::Value>(data).ok());
    if let Some(mut data) = data {
        data["retryAfterMs"] = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).into();
        error.data = Some(data.to_string());
    }
    error
}

/// Adds the last lines of a lost process's stderr to an error's data.
pub fn add_last_words(error: &mut ErrorObject, stderr: &[String]) {
    let data = error
        .data
        .as_deref()
        .and_then(|data| serde_json::from_str::<serde_json::Value>(data).ok());
    if let Some(mut data) = data.filter(|_| !stderr.is_empty()) {
        data["stderr"] = stderr.into();
        error.data = Some(data.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_stand_at_the_end() {
        let detail = "it refused\nhint: is it running?".to_owned();
        assert_eq!(
            Trouble::Unavailable { detail }.error("s").message,
            "the server `s` is not available: it refused; the request was not sent\nhint: is it running?"
        );
    }

    #[test]
    fn every_trouble_says_whether_the_request_may_have_run() {
        let text = String::new;
        for (trouble, outcome) in [
            (Trouble::Unavailable { detail: text() }, "not_sent"),
            (Trouble::Lost { detail: text() }, "maybe_executed"),
            (
                Trouble::Deadline {
                    was_sent: true,
                    limit: text(),
                },
                "maybe_executed",
            ),
            (
                Trouble::Deadline {
                    was_sent: false,
                    limit: text(),
                },
                "not_sent",
            ),
            (Trouble::Overloaded { what: "" }, "not_sent"),
            (
                Trouble::Busy {
                    what: text(),
                    retry_after: Duration::from_millis(1500),
                },
                "\"retryAfterMs\":1500",
            ),
            (
                Trouble::TooOften {
                    retry_after: Duration::ZERO,
                },
                "not_sent",
            ),
            (
                Trouble::Resting {
                    detail: text(),
                    retry_after: Duration::ZERO,
                },
                "upstream_unavailable",
            ),
            (Trouble::TooLarge { detail: text() }, "maybe_executed"),
            (Trouble::Protocol { detail: text() }, "maybe_executed"),
            (Trouble::NoBridge { detail: "" }, "not_sent"),
            (Trouble::Circle { hops: 17 }, "not_sent"),
            (Trouble::Returned, "not_sent"),
            (Trouble::Draining, "not_sent"),
        ] {
            let error = trouble.error("s");
            assert!(error.data.as_ref().unwrap().contains(outcome), "{error:?}");
            assert!(!(-32768..=-32000).contains(&error.code));
        }
    }
}
