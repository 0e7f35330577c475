//! What spans and measures are called and what is said of them. Pure.
//!
//! Names are those of the OpenTelemetry conventions for MCP and GenAI (open-telemetry/semantic-conventions-genai,
//! `docs/gen-ai/mcp.md`, status development); what they have no word for begins with `mcp_whittle.`. Left out on
//! purpose: arguments, results, messages of errors and URIs of resources, which may hold secrets. Names that
//! peers choose are bounded.

use std::collections::HashMap;

use crate::hub::measure::{OTHER, Operation, Outcome};
use crate::hub::trace::{Side, Span};
use crate::mcp::method;

/// Bounds of the histograms in seconds, as the conventions advise.
pub(super) const BUCKETS: [f64; 14] = [
    0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
];

/// Characters of a value, at most.
const VALUE_CHARS: usize = 256;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// One of few.
    Word(&'static str),
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// Whether.
    Flag(bool),
}

/// A name and its value.
pub(super) type Attribute = (&'static str, Value);

/// What carries messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Carrier {
    /// Stdin and stdout.
    Pipe,
    /// HTTP, and the address and port of its server where we are the client.
    Http(Option<(String, u16)>),
    /// HTTP on a unix socket.
    Socket,
}

/// What carries messages of clients, and of each server by its name.
#[derive(Debug, Clone)]
pub(super) struct Carriers {
    pub(super) clients: Carrier,
    pub(super) servers: HashMap<String, Carrier>,
}

impl Carriers {
    fn of(&self, side: Side, server: &str) -> Option<&Carrier> {
        match side {
            Side::Server => Some(&self.clients),
            Side::Client => self.servers.get(server),
        }
    }
}

/// Returns the name of a span: `{mcp.method.name} {target}`.
pub(super) fn span_name(span: &Span) -> String {
    match span.tool.as_ref().or(span.prompt.as_ref()) {
        Some(target) => format!("{} {}", span.method, bounded(target)),
        None => span.method.to_owned(),
    }
}

/// Returns what is said of a span.
pub(super) fn of_span(span: &Span, carriers: &Carriers) -> Vec<Attribute> {
    let mut all = of_call(span.method, span.version, span.outcome);
    all.push(("jsonrpc.request.id", Value::Text(span.request_id.clone())));
    if let Some(tool) = &span.tool {
        all.push(("gen_ai.tool.name", bounded_value(tool)));
    }
    if let Some(prompt) = &span.prompt {
        all.push(("gen_ai.prompt.name", bounded_value(prompt)));
    }
    if let Some(session) = &span.session {
        all.push(("mcp.session.id", Value::Text(session.clone())));
    }
    if let Some(carrier) = carriers.of(span.side, &span.server) {
        carried(carrier, &mut all);
    }
    if !span.server.is_empty() {
        all.push(("mcp_whittle.server", bounded_value(&span.server)));
    }
    all.push(("mcp_whittle.outcome", Value::Word(span.outcome.word())));
    if span.is_hit {
        all.push(("mcp_whittle.cache.hit", Value::Flag(true)));
    }
    if let Some((before, after)) = span.tokens {
        all.push(("mcp_whittle.tokens.before", number(before)));
        all.push(("mcp_whittle.tokens.after", number(after)));
    }
    all
}

/// Returns what is said of a measured request. Every value is one of few.
pub(super) fn of_operation(
    side: Side,
    operation: &Operation,
    carriers: &Carriers,
) -> Vec<Attribute> {
    let mut all = of_call(operation.method, operation.version, operation.outcome);
    if let Some(tool) = &operation.tool {
        all.push(("gen_ai.tool.name", bounded_value(tool)));
    }
    if let Some(carrier) = carriers.of(side, &operation.server) {
        carried(carrier, &mut all);
    }
    if !operation.server.is_empty() {
        all.push(("mcp_whittle.server", bounded_value(&operation.server)));
    }
    all
}

fn of_call(name: &'static str, version: &'static str, outcome: Outcome) -> Vec<Attribute> {
    let mut all = vec![("mcp.method.name", Value::Word(name))];
    if version != OTHER {
        all.push(("mcp.protocol.version", Value::Word(version)));
    }
    if name == method::TOOLS_CALL {
        all.push(("gen_ai.operation.name", Value::Word("execute_tool")));
    }
    match outcome.error_type() {
        "" => {}
        // The convention's own word for what has none.
        OTHER => all.push(("error.type", Value::Word("_OTHER"))),
        word => all.push(("error.type", Value::Word(word))),
    }
    if let Outcome::Error(_) = outcome
        && outcome.error_type() != OTHER
    {
        all.push((
            "rpc.response.status_code",
            Value::Word(outcome.error_type()),
        ));
    }
    all
}

fn carried(carrier: &Carrier, all: &mut Vec<Attribute>) {
    let transport = match carrier {
        Carrier::Pipe => "pipe",
        Carrier::Http(_) => "tcp",
        Carrier::Socket => "unix",
    };
    all.push(("network.transport", Value::Word(transport)));
    if *carrier != Carrier::Pipe {
        all.push(("network.protocol.name", Value::Word("http")));
        all.push(("network.protocol.version", Value::Word("1.1")));
    }
    if let Carrier::Http(Some((address, port))) = carrier {
        all.push(("server.address", bounded_value(address)));
        all.push(("server.port", Value::Number(i64::from(*port))));
    }
}

fn number(count: u64) -> Value {
    Value::Number(i64::try_from(count).unwrap_or(i64::MAX))
}

fn bounded_value(text: &str) -> Value {
    Value::Text(bounded(text))
}

fn bounded(text: &str) -> String {
    text.chars().take(VALUE_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::mcp::trace::TraceContext;

    fn span(side: Side, outcome: Outcome) -> Span {
        let now = Instant::now();
        Span {
            side,
            context: TraceContext::root([1; 16], [2; 8], true),
            parent: None,
            link: None,
            state: None,
            began: now,
            ended: now,
            method: "tools/call",
            tool: Some("x".repeat(1000)),
            prompt: None,
            request_id: "7".into(),
            session: Some("abc".into()),
            version: "2025-11-25",
            server: "docs".into(),
            outcome,
            is_hit: false,
            tokens: Some((100, 40)),
        }
    }

    fn carriers() -> Carriers {
        Carriers {
            clients: Carrier::Pipe,
            servers: HashMap::from([(
                "docs".to_owned(),
                Carrier::Http(Some(("docs.example".into(), 443))),
            )]),
        }
    }

    fn value<'a>(all: &'a [Attribute], name: &str) -> Option<&'a Value> {
        all.iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    #[test]
    fn each_side_says_what_carries_it() {
        let client = of_span(&span(Side::Client, Outcome::Success), &carriers());
        let server = of_span(&span(Side::Server, Outcome::Success), &carriers());
        let word = |all: &[Attribute], name| match value(all, name) {
            Some(Value::Word(word)) => *word,
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(word(&client, "network.transport"), "tcp");
        assert_eq!(value(&client, "server.port"), Some(&Value::Number(443)));
        assert_eq!(word(&server, "network.transport"), "pipe");
        assert_eq!(value(&server, "network.protocol.name"), None);
        assert_eq!(word(&server, "gen_ai.operation.name"), "execute_tool");
        assert_eq!(value(&server, "error.type"), None);
        assert_eq!(
            value(&server, "mcp_whittle.tokens.after"),
            Some(&Value::Number(40))
        );
    }

    #[test]
    fn errors_are_words_and_names_are_bounded() {
        for (outcome, word, code) in [
            (Outcome::ToolError, "tool_error", None),
            (Outcome::Error(-32602), "-32602", Some("-32602")),
            (Outcome::Error(77), "_OTHER", None),
            (Outcome::Cancelled, "cancelled", None),
        ] {
            let all = of_span(&span(Side::Server, outcome), &carriers());
            assert_eq!(value(&all, "error.type"), Some(&Value::Word(word)));
            let code = code.map(Value::Word);
            assert_eq!(value(&all, "rpc.response.status_code"), code.as_ref());
        }
        let long = span(Side::Server, Outcome::Success);
        assert_eq!(span_name(&long).len(), "tools/call ".len() + VALUE_CHARS);
    }

    #[test]
    fn measures_have_no_ids() {
        let operation = Operation {
            method: "tools/call",
            tool: Some("t".into()),
            server: "docs".into(),
            version: OTHER,
            outcome: Outcome::Success,
            took: Duration::ZERO,
        };
        let all = of_operation(Side::Client, &operation, &carriers());
        for name in [
            "jsonrpc.request.id",
            "mcp.session.id",
            "mcp.protocol.version",
        ] {
            assert_eq!(value(&all, name), None, "{name}");
        }
    }
}
