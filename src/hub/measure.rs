//! What is measured of requests and sessions: how long they took and how they ended. Told as actions;
//! who keeps the numbers is outside. Names are bounded: methods and codes that the protocol knows, tools
//! that their servers list, up to a number; everything else is `other`.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::jsonrpc::error as codes;
use crate::jsonrpc::message::Message;
use crate::mcp::error;
use crate::mcp::method;
use crate::mcp::version::Era;
use crate::session::Session;
use crate::upstream::{State, UpstreamId};

use super::Hub;
use super::action::Action;
use super::exchange::{Exchange, ExchangeId};
use super::forward::error_code;
use super::limits::breaker::Position;
use super::trace::known_version;

/// Tools that are told apart.
const TOOLS: usize = 100;
/// What stands for every name that is not told apart.
pub const OTHER: &str = "other";

/// Something that is over.
#[derive(Debug, Clone, PartialEq)]
pub enum Measured {
    /// A request of a client was answered or given up.
    Request {
        /// What was asked, and how it ended.
        operation: Operation,
        /// The era in which the client spoke.
        era: Era,
    },
    /// A server answered a request, failed it, or took too long.
    Upstream(Operation),
    /// A session ended; how long it lasted.
    Session(Duration),
}

/// A request and its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// The method, or [`OTHER`].
    pub method: &'static str,
    /// The tool that it called, as clients see it; [`OTHER`] for those that are not told apart.
    pub tool: Option<String>,
    /// The configured name of the server; empty where none had it.
    pub server: String,
    /// The protocol version in which it was asked, or [`OTHER`].
    pub version: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// With a result.
    Success,
    /// With a result that says `isError`.
    ToolError,
    /// With an error of this JSON-RPC code.
    Error(i64),
    /// Its client gave it up.
    Cancelled,
}

impl Outcome {
    /// Returns `error.type` of the OpenTelemetry conventions for MCP: the code as text, `tool_error`, or
    /// nothing; codes that no specification and none of ours names are [`OTHER`].
    pub fn error_type(self) -> &'static str {
        match self {
            Self::Success => "",
            Self::ToolError => "tool_error",
            Self::Cancelled => "cancelled",
            Self::Error(code) => match code {
                codes::PARSE_ERROR => "-32700",
                codes::INVALID_REQUEST => "-32600",
                codes::METHOD_NOT_FOUND => "-32601",
                codes::INVALID_PARAMS => "-32602",
                codes::INTERNAL_ERROR => "-32603",
                error::RESOURCE_NOT_FOUND => "-32002",
                error::HEADER_MISMATCH => "-32020",
                error::MISSING_CAPABILITY => "-32021",
                error::UNSUPPORTED_VERSION => "-32022",
                error::URL_ELICITATION_REQUIRED => "-32042",
                -31001 => "-31001",
                -31002 => "-31002",
                -31003 => "-31003",
                -31004 => "-31004",
                -31005 => "-31005",
                -31006 => "-31006",
                -31007 => "-31007",
                -31008 => "-31008",
                -31009 => "-31009",
                -31011 => "-31011",
                -31012 => "-31012",
                -31013 => "-31013",
                _ => OTHER,
            },
        }
    }

    /// Returns one word of few.
    pub fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::ToolError => "tool_error",
            Self::Cancelled => "cancelled",
            Self::Error(-31001) => "unavailable",
            Self::Error(-31002) => "lost",
            Self::Error(-31003) => "timeout",
            Self::Error(-31004) => "busy",
            Self::Error(-31011) => "draining",
            Self::Error(_) => "protocol_error",
        }
    }

    /// Returns how an answer ended its request.
    pub fn of(message: &Message) -> Self {
        match error_code(message) {
            Some(code) => Self::Error(code),
            None if message.error().is_some() => Self::Error(codes::INTERNAL_ERROR),
            None if message.body("isError") == Some(b"true") => Self::ToolError,
            None => Self::Success,
        }
    }
}

/// What is open at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vitals {
    /// Sessions of clients; modern requests of one client are one.
    pub sessions: usize,
    /// Streams of HTTP clients: requests that wait, and streams of notifications.
    pub streams: usize,
    /// Requests in flight.
    pub requests: usize,
    /// Each server.
    pub servers: Vec<ServerVitals>,
}

/// What is open at a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerVitals {
    /// Its configured name.
    pub name: String,
    /// Connections by state: `ready`, `starting`, `down`.
    pub connections: [(&'static str, usize); 3],
    /// Requests that wait for it or for its start.
    pub waiting: usize,
    /// Where its breaker stands.
    pub breaker: Position,
}

impl Hub {
    /// Looks at what is open. Walks all connections: once in a while, not for each request.
    pub fn vitals(&self, now: Instant) -> Vitals {
        let mut servers: Vec<ServerVitals> = (0..self.settings.servers.len())
            .map(|index| ServerVitals {
                name: self.settings.servers[index].name.clone(),
                connections: [("ready", 0), ("starting", 0), ("down", 0)],
                waiting: 0,
                breaker: self.breaker_position(now, index),
            })
            .collect();
        for record in self.upstreams.values() {
            let Some(server) = servers.get_mut(record.server) else {
                continue;
            };
            let at = match record.state {
                State::Ready => 0,
                State::Connecting | State::Connected | State::Probing | State::Initializing => 1,
                State::Backoff(_) | State::Parked(_) => 2,
                State::Idle | State::Stopping => continue,
            };
            server.connections[at].1 += 1;
            server.waiting += record.queue.len() + record.in_flight.len();
        }
        // An index stays with its server; of those that were configured anew only the active count.
        let servers = servers
            .into_iter()
            .enumerate()
            .filter(|(index, _)| self.active.contains(index))
            .map(|(_, server)| server)
            .collect();
        Vitals {
            sessions: self.sessions.len(),
            streams: self.streams.len(),
            requests: self.exchanges.len(),
            servers,
        }
    }
}

/// What is noted of an exchange while it lasts.
#[derive(Debug, Clone, Copy)]
pub struct Measure {
    began: Instant,
    sent: Option<Instant>,
    outcome: Outcome,
}

impl Measure {
    /// Of a request that came now.
    pub fn new(now: Instant) -> Self {
        Self {
            began: now,
            sent: None,
            outcome: Outcome::Success,
        }
    }

    /// Its answer will be an error of this code.
    pub fn fails_with(&mut self, code: i64) {
        self.outcome = Outcome::Error(code);
    }

    /// Its answer will be this kind of one.
    pub fn ends_as(&mut self, outcome: Outcome) {
        self.outcome = outcome;
    }

    /// How its answer ends it, as far as is known.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// It was sent to a server.
    pub fn sent(&mut self, now: Instant) {
        self.sent = Some(now);
    }
}

/// Names of tools that are told apart.
#[derive(Debug, Default)]
pub(super) struct ToolNames(BTreeSet<String>);

impl Hub {
    /// Tells how a request of a client ended, as it is forgotten.
    pub(super) fn measure_request(&mut self, now: Instant, exchange: &Exchange) {
        self.trace_end(now, exchange);
        if !self.settings.is_measured {
            return;
        }
        let operation = Operation {
            method: method_name(exchange.request.method()),
            tool: self.tool_label(exchange),
            server: exchange
                .upstream
                .map(|upstream| self.server_name(upstream))
                .unwrap_or_default(),
            version: known_version(&exchange.version),
            outcome: exchange.measure.outcome,
            took: now.saturating_duration_since(exchange.measure.began),
        };
        let era = exchange.era;
        self.actions
            .push_back(Action::Measured(Box::new(Measured::Request {
                operation,
                era,
            })));
    }

    /// Tells how a server dealt with a request, once for each time it was sent.
    pub(super) fn measure_upstream(
        &mut self,
        now: Instant,
        upstream: UpstreamId,
        id: ExchangeId,
        outcome: Outcome,
    ) {
        self.trace_answered(now, id, upstream, outcome);
        if !self.settings.is_measured {
            return;
        }
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        let Some(sent) = exchange.measure.sent.take() else {
            return;
        };
        let method = method_name(exchange.request.method());
        let tool = self.tool_label_of(id);
        let operation = Operation {
            method,
            tool,
            server: self.server_name(upstream),
            version: self
                .upstreams
                .get(&upstream)
                .and_then(|record| record.handshake.as_ref())
                .map_or(OTHER, |handshake| known_version(&handshake.version)),
            outcome,
            took: now.saturating_duration_since(sent),
        };
        self.actions
            .push_back(Action::Measured(Box::new(Measured::Upstream(operation))));
    }

    /// Tells how long a session lasted.
    pub(super) fn measure_session(&mut self, now: Instant, session: &Session) {
        if self.settings.is_measured {
            let took = now.saturating_duration_since(session.opened);
            self.actions
                .push_back(Action::Measured(Box::new(Measured::Session(took))));
        }
    }

    fn tool_label_of(&mut self, id: ExchangeId) -> Option<String> {
        let exchange = self.exchanges.remove(&id)?;
        let label = self.tool_label(&exchange);
        self.exchanges.insert(id, exchange);
        label
    }

    fn tool_label(&mut self, exchange: &Exchange) -> Option<String> {
        if exchange.request.method() != method::TOOLS_CALL {
            return None;
        }
        let Some(name) = &exchange.counted_as else {
            return Some(OTHER.to_owned());
        };
        if self.tool_names.0.contains(name) {
            return Some(name.clone());
        }
        // Names come from definitions of servers, never from what a client wrote.
        let real = exchange.real_name.as_deref().unwrap_or(name);
        let is_listed = self.tool_names.0.len() < TOOLS
            && exchange
                .upstream
                .is_some_and(|upstream| self.original_tool(upstream, real).is_some());
        if !is_listed {
            return Some(OTHER.to_owned());
        }
        self.tool_names.0.insert(name.clone());
        Some(name.clone())
    }
}

/// Returns a request's method as one of few texts.
pub(super) fn method_name(method: &str) -> &'static str {
    const KNOWN: [&str; 20] = [
        method::INITIALIZE,
        method::PING,
        method::DISCOVER,
        method::LISTEN,
        method::TOOLS_LIST,
        method::TOOLS_CALL,
        method::PROMPTS_LIST,
        method::PROMPTS_GET,
        method::RESOURCES_LIST,
        method::TEMPLATES_LIST,
        method::RESOURCES_READ,
        method::RESOURCES_SUBSCRIBE,
        method::RESOURCES_UNSUBSCRIBE,
        method::COMPLETE,
        method::SET_LEVEL,
        method::TASKS_RESULT,
        "tasks/get",
        "tasks/list",
        "tasks/update",
        "tasks/cancel",
    ];
    KNOWN
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or(OTHER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_methods_are_few() {
        assert_eq!(method_name("tools/call"), "tools/call");
        assert_eq!(method_name("x/anything"), OTHER);
        assert_eq!(Outcome::Error(-32601).error_type(), "-32601");
        assert_eq!(Outcome::Error(12345).error_type(), OTHER);
        for (outcome, word) in [
            (Outcome::Success, "success"),
            (Outcome::ToolError, "tool_error"),
            (Outcome::Error(-31003), "timeout"),
            (Outcome::Error(7), "protocol_error"),
        ] {
            assert_eq!(outcome.word(), word);
        }
    }
}
