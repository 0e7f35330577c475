//! Calls that the policy holds until the client's user agrees. A legacy client is asked by a request while
//! its call waits; a modern one gets `input_required` and comes back with the same request. A call that was
//! agreed to is decided once more and then goes on, once. The model is never asked.
//! Sources: MCP 2025-11-25 client/elicitation, MCP 2026-07-28 basic/patterns/mrtr.

use std::time::Instant;

use bytes::Bytes;

use crate::jsonrpc::error::{ErrorObject, INVALID_PARAMS};
use crate::jsonrpc::members;
use crate::jsonrpc::message::Message;
use crate::jsonrpc::text;
use crate::jsonrpc::write;
use crate::mcp::capabilities;
use crate::mcp::method;
use crate::mcp::result::ResultType;
use crate::mcp::version::Era;
use crate::policy::approval::{Asked, CallDigest, Pending, Remember, Said, round};
use crate::session::Question;
use crate::upstream::UpstreamId;

use super::Hub;
use super::action::NoteLevel;
use super::exchange::{Exchange, ExchangeId, Plan};
use super::forward::object_of;
use super::rounds::digest_of;
use super::timers::TimerKey;

/// Marks, behind what starts all of ours, a `requestState` of a question about a call.
const STATE: &str = "approve.";
/// The key of the question.
const KEY: &str = "approval";
/// The connection of a question that no server asked.
const NO_SERVER: UpstreamId = UpstreamId::MAX;

/// A call that waits for a person.
#[derive(Debug, Clone)]
pub struct Held {
    /// The server's configured name.
    pub server: String,
    /// The tool's own name.
    pub tool: String,
    /// Under which name the client called it.
    pub shown: String,
    /// Names the call.
    pub call: CallDigest,
}

impl Hub {
    /// Holds a call until its user agrees; tells whether it is held (or was answered). `arguments` are those
    /// that a caller of ours unwrapped; none = the request's own.
    pub(super) fn hold(
        &mut self,
        now: Instant,
        id: ExchangeId,
        upstream: UpstreamId,
        (shown, real): (&str, &str),
        reason: &str,
        arguments: Option<&Bytes>,
    ) -> bool {
        let Some(exchange) = self.exchanges.get(&id) else {
            return true;
        };
        let server = self.server_name(upstream);
        let arguments = match arguments {
            Some(arguments) => arguments.clone(),
            None => exchange
                .request
                .body("arguments")
                .map_or(Bytes::from_static(b"{}"), Bytes::copy_from_slice),
        };
        let asked = Asked {
            server: &server,
            tool: real,
            arguments: &arguments,
        };
        let call = asked.digest();
        let session = exchange.session;
        if exchange.approved == Some(call)
            || self.approvals.is_remembered(session, &server, real)
            || self.goes_on(now, id, &call)
        {
            if let Some(exchange) = self.exchanges.get_mut(&id) {
                exchange.approved = Some(call);
            }
            return false;
        }
        let exchange = &self.exchanges[&id];
        if !can_be_asked(exchange) {
            let name: String = shown.chars().take(128).collect();
            let text = format!(
                "Not called: `{name}`: {reason} asks for a person's approval, and this client cannot ask for it: it did not declare the capability `elicitation`.\nhint: an operator has to change the rule, or the client to be one that asks its user"
            );
            self.answer_tool_text(now, id, &text, true);
            return true;
        }
        let remember = self.settings.policy.remember;
        let params = object_of(&[
            (
                "message",
                text::to_string(&asked.text(reason, remember)).into(),
            ),
            (
                "requestedSchema",
                Bytes::from_static(
                    br#"{"type":"object","properties":{"approve":{"type":"boolean","title":"Make this call","default":false}},"required":["approve"]}"#,
                ),
            ),
        ]);
        self.note(
            NoteLevel::Info,
            &server,
            format!("a call waits for the approval of the client's user, as {reason} says"),
        );
        let held = Held {
            server,
            tool: real.to_owned(),
            shown: shown.to_owned(),
            call,
        };
        match exchange_era(&self.exchanges, id) {
            Era::Modern => self.ask_by_answer(now, id, call, params),
            Era::Legacy => self.ask_by_request(now, id, held, &params),
        }
        true
    }

    /// Tells whether a request belongs to a call that was agreed to before, whose server asked something.
    fn goes_on(&mut self, now: Instant, id: ExchangeId, call: &CallDigest) -> bool {
        let exchange = &self.exchanges[&id];
        let state = exchange.request.body("requestState");
        if exchange.era != Era::Modern
            || (state.is_none() && exchange.request.body("inputResponses").is_none())
        {
            return false;
        }
        let name = round(exchange.session, call, state.unwrap_or_default());
        self.approvals.take_round(now, &name)
    }

    /// A server's answer to a call that was agreed to: where it asks something itself, the client comes back
    /// with the same call, which is not asked about again.
    pub(super) fn note_round(&mut self, now: Instant, id: ExchangeId, message: &Message) {
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        let Some(call) = exchange.approved.filter(|_| exchange.era == Era::Modern) else {
            return;
        };
        if ResultType::of(message.body("resultType")) != ResultType::InputRequired {
            return;
        }
        let state = message.body("requestState").unwrap_or_default();
        let name = round(exchange.session, &call, state);
        self.approvals
            .go_on(now, self.settings.timeouts.parked, name);
    }

    fn ask_by_request(&mut self, now: Instant, id: ExchangeId, held: Held, params: &Bytes) {
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        exchange.plan = Plan::Approve(held);
        let session = exchange.session;
        let Some(record) = self.sessions.get_mut(&session) else {
            return;
        };
        let wanted = crate::jsonrpc::id::RequestId::from_integer(-1);
        let question_id = record.question_id(&wanted);
        record.questions.insert(
            question_id.key(),
            Question {
                upstream: NO_SERVER,
                server_id: question_id.clone(),
                exchange: Some(id),
                input_key: Some(KEY.to_owned()),
                token: None,
            },
        );
        if let Some(at) = now.checked_add(self.settings.timeouts.parked) {
            self.timers.set(TimerKey::Exchange(id), at);
        }
        let request = write::request(&question_id, method::ELICITATION, Some(params));
        self.send_to(session, Some(id), request.into(), false);
    }

    /// Answers the call with the question; the exchange ends with it.
    fn ask_by_answer(&mut self, now: Instant, id: ExchangeId, call: CallDigest, params: Bytes) {
        let name = self.unguessable();
        let state = format!("{}{STATE}{name}", self.state_prefix());
        let exchange = &self.exchanges[&id];
        let pending = Pending {
            session: exchange.session,
            request: digest_of(&exchange.request),
            call,
            until: now
                .checked_add(self.settings.timeouts.parked)
                .unwrap_or(now),
        };
        let question = object_of(&[
            ("method", text::to_string(method::ELICITATION).into()),
            ("params", params),
        ]);
        let result = object_of(&[
            ("resultType", Bytes::from_static(b"\"input_required\"")),
            ("inputRequests", object_of(&[(KEY, question)])),
            ("requestState", text::to_string(&state).into()),
        ]);
        let message = write::response(&exchange.request_id, result.into());
        self.approvals.ask(now, name, pending);
        self.audit_outcome(id, "inputRequired", None);
        self.answer(now, id, message, 200);
    }

    /// A modern client comes back with its user's word. Tells whether the request was answered; else it goes
    /// on as any call does.
    pub(super) fn take_approval(&mut self, now: Instant, id: ExchangeId) -> bool {
        let exchange = &self.exchanges[&id];
        if exchange.era != Era::Modern {
            return false;
        }
        let Some(state) = exchange.request.body_text("requestState") else {
            return false;
        };
        let prefix = self.state_prefix();
        let Some(name) = state
            .strip_prefix(&prefix)
            .and_then(|rest| rest.strip_prefix(STATE))
        else {
            return false;
        };
        if exchange.remove_params.contains(&"requestState") {
            // It was taken before; the call waited for something else meanwhile.
            return false;
        }
        let request = digest_of(&exchange.request);
        let session = exchange.session;
        let said = exchange
            .request
            .body("inputResponses")
            .and_then(|answers| members::get(answers, KEY))
            .map_or(Said::Nothing, Said::of);
        let Some(pending) = self.approvals.take(now, name, session, &request) else {
            let error = ErrorObject::new(
                INVALID_PARAMS,
                "this `requestState` is no open question about this call (it was answered or is too old, or the call is another one); the call was not made\nhint: send the call again without `requestState`; its user is asked again",
            );
            self.fail(now, id, &error);
            return true;
        };
        if let Some(exchange) = self.exchanges.get_mut(&id) {
            exchange.remove_params = vec!["inputResponses", "requestState"];
        }
        let shown = self.exchanges[&id]
            .request
            .body_text("name")
            .unwrap_or_default();
        if said != Said::Yes {
            self.not_agreed(now, id, &shown, refused_words(said));
            return true;
        }
        if let Some(exchange) = self.exchanges.get_mut(&id) {
            exchange.approved = Some(pending.call);
        }
        self.note(
            NoteLevel::Info,
            "",
            "a call was approved by the client's user",
        );
        false
    }

    /// A legacy client's user answered.
    pub(super) fn approval_answered(&mut self, now: Instant, id: ExchangeId, message: &Message) {
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        let Plan::Approve(held) = std::mem::replace(&mut exchange.plan, Plan::Forward) else {
            return;
        };
        self.timers.clear(TimerKey::Exchange(id));
        let said = message.result().map_or(Said::Nothing, Said::of);
        if said != Said::Yes {
            return self.not_agreed(now, id, &held.shown, refused_words(said));
        }
        exchange_mut(&mut self.exchanges, id, |exchange| {
            exchange.approved = Some(held.call);
            exchange.projection = None;
            exchange.waited_for_definition = false;
            exchange.extra_params.retain(|(key, _)| *key != "arguments");
        });
        self.note(
            NoteLevel::Info,
            &held.server,
            "a call was approved by the client's user",
        );
        // Rules, definitions and names may have changed since it was asked about.
        self.start_named(now, id, super::naming::NameKind::Tool);
    }

    /// A call that was agreed to passes its rule; notes it for the session where the operator wants that.
    pub(super) fn remember_approval(&mut self, id: ExchangeId, upstream: UpstreamId, real: &str) {
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        if self.settings.policy.remember == Remember::Session && exchange.approved.is_some() {
            let session = exchange.session;
            let server = self.server_name(upstream);
            self.approvals.remember(session, &server, real);
        }
    }

    /// Nobody answered in time; tells whether it was about that.
    pub(super) fn approval_timeout(&mut self, now: Instant, id: ExchangeId) -> bool {
        let Some(exchange) = self.exchanges.get(&id) else {
            return false;
        };
        let Plan::Approve(held) = &exchange.plan else {
            return false;
        };
        let (shown, session) = (held.shown.clone(), exchange.session);
        let open: Vec<_> = self
            .sessions
            .get(&session)
            .into_iter()
            .flat_map(|record| record.questions.iter())
            .filter(|(_, question)| question.exchange == Some(id) && question.upstream == NO_SERVER)
            .map(|(key, question)| (key.clone(), question.server_id.raw().clone()))
            .collect();
        for (key, raw) in open {
            if let Some(record) = self.sessions.get_mut(&session) {
                record.questions.remove(&key);
            }
            let params = object_of(&[
                ("requestId", raw),
                ("reason", Bytes::from_static(b"\"it took too long\"")),
            ]);
            let message = write::notification(method::CANCELLED, Some(&params));
            self.send_to(session, Some(id), message.into(), false);
        }
        let wait = self.settings.timeouts.parked;
        self.not_agreed(now, id, &shown, &format!("nobody answered within {wait:?}"));
        true
    }

    fn not_agreed(&mut self, now: Instant, id: ExchangeId, shown: &str, why: &str) {
        let name: String = shown.chars().take(128).collect();
        let text = format!(
            "Not called: `{name}` needs the user's approval, and {why}.\nhint: do not try it again unless the user asks for it"
        );
        self.note(NoteLevel::Warn, "", format!("a call was not made: {why}"));
        self.answer_tool_text(now, id, &text, true);
    }
}

fn refused_words(said: Said) -> &'static str {
    match said {
        Said::Nothing => "the question was closed without an answer",
        Said::Yes | Said::No => "the user did not agree",
    }
}

fn exchange_era(
    exchanges: &std::collections::BTreeMap<ExchangeId, Exchange>,
    id: ExchangeId,
) -> Era {
    exchanges
        .get(&id)
        .map_or(Era::Legacy, |exchange| exchange.era)
}

fn exchange_mut(
    exchanges: &mut std::collections::BTreeMap<ExchangeId, Exchange>,
    id: ExchangeId,
    change: impl FnOnce(&mut Exchange),
) {
    if let Some(exchange) = exchanges.get_mut(&id) {
        change(exchange);
    }
}

/// Tells whether a client shows forms: an empty `elicitation` means so (MCP 2025-11-25 client/elicitation).
fn can_be_asked(exchange: &Exchange) -> bool {
    let raw = &exchange.capabilities;
    capabilities::has(raw, &["elicitation"])
        && (capabilities::has(raw, &["elicitation", "form"])
            || !capabilities::has(raw, &["elicitation", "url"]))
}
