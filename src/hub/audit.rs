//! What is recorded of a request: started when it comes, filled on its way, given out with its one answer.
//! Nothing here is done where no audit log is wanted.

use std::time::Instant;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::jsonrpc::error::INVALID_PARAMS;
use crate::jsonrpc::message::Message;
use crate::mcp::error::RESOURCE_NOT_FOUND;
use crate::mcp::method;
use crate::mcp::result::ResultType;
use crate::policy::Decision;
use crate::policy::audit::{Record, RecordedHints, Scope, VERSION, name};
use crate::upstream::UpstreamId;

use super::Hub;
use super::action::Action;
use super::exchange::{Exchange, ExchangeId, Plan};
use super::forward::error_code;
use super::reads::Origin;
use super::trace::trace_id;

/// A record that is not whole yet.
#[derive(Debug)]
pub struct Draft {
    record: Record,
    started: Instant,
}

impl Hub {
    /// Starts the record of a request that was accepted.
    pub(super) fn audit_start(&mut self, now: Instant, id: ExchangeId) {
        if self.settings.audit == Scope::Off {
            return;
        }
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        let request = &exchange.request;
        let called = match request.method() {
            method::TOOLS_CALL | method::PROMPTS_GET => request.body_text("name"),
            method::RESOURCES_READ => request.body_text("uri"),
            _ => return,
        };
        let principal = self
            .sessions
            .get(&exchange.session)
            .map(|session| session.principal.key());
        let id_text = String::from_utf8_lossy(exchange.request_id.raw()).into_owned();
        let record = Record {
            v: VERSION,
            principal: principal.unwrap_or_default(),
            method: request.method().to_owned(),
            id: RawValue::from_string(id_text).ok(),
            called: name(&called.unwrap_or_default()),
            trace_id: trace_id(exchange),
            ..Record::default()
        };
        let draft = Draft {
            record,
            started: now,
        };
        if let Some(exchange) = self.exchanges.get_mut(&id) {
            exchange.audit = Some(Box::new(draft));
        }
    }

    fn record(&mut self, id: ExchangeId) -> Option<&mut Record> {
        let draft = self.exchanges.get_mut(&id)?.audit.as_mut()?;
        Some(&mut draft.record)
    }

    fn is_audited(&self, id: ExchangeId) -> bool {
        self.exchanges
            .get(&id)
            .is_some_and(|exchange| exchange.audit.is_some())
    }

    /// Notes what was decided about a call. `arguments` are those that a caller of ours unwrapped.
    pub(super) fn audit_call(
        &mut self,
        id: ExchangeId,
        upstream: UpstreamId,
        real: &str,
        decision: &Decision,
        arguments: Option<&Bytes>,
    ) {
        if !self.is_audited(id) {
            return;
        }
        let server = self.server_name(upstream);
        let hints = self
            .original_tool(upstream, real)
            .map(|raw| RecordedHints::of(&raw));
        let arguments = (self.settings.audit == Scope::CallsWithArguments).then(|| {
            let request = &self.exchanges[&id].request;
            arguments
                .cloned()
                .or_else(|| request.body("arguments").map(Bytes::copy_from_slice))
                .unwrap_or(Bytes::from_static(b"{}"))
        });
        let mode = self.settings.policy.mode.as_str();
        if let Some(record) = self.record(id) {
            record.server = server;
            record.tool = name(real);
            record.hints = hints;
            record.decided(mode, decision);
            if let Some(arguments) = arguments {
                record.set_arguments(&arguments);
            }
        }
    }

    /// Notes of which call a kept result is, and what was decided about it.
    pub(super) fn audit_kept(&mut self, id: ExchangeId, origin: &Origin, decision: &Decision) {
        let mode = self.settings.policy.mode.as_str();
        let with_arguments = self.settings.audit == Scope::CallsWithArguments;
        if let Some(record) = self.record(id) {
            record.server.clone_from(&origin.server);
            record.tool = name(&origin.tool);
            record.kept = true;
            record.decided(mode, decision);
            if let (true, Some(arguments)) = (with_arguments, &origin.arguments) {
                record.set_arguments(arguments.as_bytes());
            }
        }
    }

    /// Notes tokens of a result.
    pub(super) fn audit_tokens(&mut self, id: ExchangeId, before: u64, after: u64) {
        if let Some(record) = self.record(id) {
            record.tokens_before = Some(before);
            record.tokens_after = Some(after);
        }
    }

    /// Notes what comes of a request, by a word of the schema.
    pub(super) fn audit_outcome(&mut self, id: ExchangeId, outcome: &str, code: Option<i64>) {
        if let Some(record) = self.record(id) {
            outcome.clone_into(&mut record.outcome);
            record.error_code = code;
        }
    }

    /// Notes what a server's answer says.
    pub(super) fn audit_answer(&mut self, id: ExchangeId, message: &Message, is_hit: bool) {
        if !self.is_audited(id) {
            return;
        }
        let (outcome, code) = if message.error().is_some() {
            ("error", error_code(message))
        } else if ResultType::of(message.body("resultType")) == ResultType::InputRequired {
            ("inputRequired", None)
        } else if message.body("isError") == Some(b"true".as_slice()) {
            ("toolError", None)
        } else {
            ("ok", None)
        };
        self.audit_outcome(id, outcome, code);
        if let Some(record) = self.record(id) {
            record.cached = is_hit;
        }
    }

    /// Gives the record of an exchange out that has ended.
    pub(super) fn audit_end(&mut self, now: Instant, exchange: &mut Exchange, otherwise: &str) {
        let Some(draft) = exchange.audit.take() else {
            return;
        };
        let Draft {
            mut record,
            started,
        } = *draft;
        let took = now.saturating_duration_since(started).as_millis();
        record.duration_ms = u64::try_from(took).unwrap_or(u64::MAX);
        record.approved = exchange.approved.is_some();
        if record.outcome.is_empty() {
            otherwise.clone_into(&mut record.outcome);
        }
        // Calls of tools name theirs when they are decided; of all else it is known once it was asked.
        if record.server.is_empty()
            && let Some(upstream) = exchange.upstream
            && !is_known_to_none(&exchange.plan, record.error_code)
        {
            record.server = self.server_name(upstream);
        }
        self.actions.push_back(Action::Audit(Box::new(record)));
    }
}

/// Tells whether servers were asked in turn and each said that it does not have it.
fn is_known_to_none(plan: &Plan, code: Option<i64>) -> bool {
    let is_last = matches!(
        plan,
        Plan::TryEach {
            remaining,
            first_refusal: Some(_),
        } if remaining.is_empty()
    );
    is_last && matches!(code, Some(-32601 | INVALID_PARAMS | RESOURCE_NOT_FOUND))
}
