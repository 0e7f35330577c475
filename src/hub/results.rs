//! Answers of tools on their way to the client: shaped away from the loop, while the exchange waits.
//!
//! What goes wrong there, or takes too long, costs tokens and never the answer: the original goes on.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::catalog::app::is_app;
use crate::jsonrpc::message::Message;
use crate::jsonrpc::write::{Edit, splice};
use crate::mcp::meta;
use crate::mcp::method;
use crate::mcp::result::ResultType;
use crate::mcp::version::Era;
use crate::result::options::Options;
use crate::result::repeat::{self, CallKey};
use crate::result::shape::{LEAST_BYTES, MOST_BYTES, Shaped};
use crate::session::SessionId;
use crate::surface::plan::fits;
use crate::token::ledger::{Basis, Kind};
use crate::upstream::UpstreamId;

use super::Hub;
use super::action::{Action, NoteLevel};
use super::cache::Part;
use super::exchange::ExchangeId;
use super::ledger::Noted;
use super::settings::ResultForm;
use super::timers::TimerKey;

/// Bytes of arguments that are kept with a result; of longer ones a policy assumes the worst.
const ARGUMENTS: usize = 16 << 10;
/// How long an answer waits to be shaped; then it is sent as it came.
const SHAPING: Duration = Duration::from_secs(10);

/// An answer that is being shaped.
#[derive(Debug)]
pub struct Answered {
    /// Which connection it came from.
    pub upstream: UpstreamId,
    /// The era in which it is written.
    pub era: Era,
    /// The answer as it came.
    pub message: Message,
}

/// A result to shape.
#[derive(Debug, Clone)]
pub struct ShapeJob {
    /// The raw result.
    pub result: Bytes,
    /// What it is shaped by.
    pub options: Options,
    /// Whose it is, as in the keys of stores.
    pub principal: String,
    /// The configured name of its server.
    pub server: String,
    /// The tool, by the name that its server has for it.
    pub tool: String,
    /// Whether its shape is learned.
    pub is_learned_from: bool,
    /// The raw arguments of the call, kept with the result so that a policy can decide on them later.
    pub arguments: Option<String>,
}

fn kept_arguments(exchange: &super::exchange::Exchange) -> Option<String> {
    if exchange.request.method() != method::TOOLS_CALL {
        return None;
    }
    let arguments = exchange
        .sent_arguments()
        .unwrap_or(Bytes::from_static(b"{}"));
    let fits = arguments.len() <= ARGUMENTS;
    fits.then(|| String::from_utf8(arguments.into()).ok())
        .flatten()
}

impl Hub {
    /// Hands an answer over to be shaped; gives it back where it goes on as it is.
    pub(super) fn start_shaping(
        &mut self,
        now: Instant,
        upstream: UpstreamId,
        id: ExchangeId,
        message: Message,
    ) -> Option<Message> {
        let Some(job) = self.shape_job(now, upstream, id, &message) else {
            return Some(message);
        };
        let era = self.upstreams[&upstream].era();
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return Some(message);
        };
        exchange.answered = Some(Box::new(Answered {
            upstream,
            era,
            message,
        }));
        self.timers.set(TimerKey::Exchange(id), now + SHAPING);
        let job = Box::new(job);
        self.actions
            .push_back(Action::ShapeResult { exchange: id, job });
        None
    }

    /// What is to be done to an answer; none where it is not ours to change.
    fn shape_job(
        &self,
        now: Instant,
        upstream: UpstreamId,
        id: ExchangeId,
        message: &Message,
    ) -> Option<ShapeJob> {
        let exchange = self.exchanges.get(&id)?;
        if self.settings.is_transparent
            || !matches!(
                exchange.request.method(),
                method::TOOLS_CALL | method::TASKS_RESULT
            )
        {
            return None;
        }
        let result = message.result()?;
        if (result.len() < LEAST_BYTES && exchange.projection.is_none())
            || result.len() > MOST_BYTES
            || result.first() != Some(&b'{')
            || ResultType::of(message.body("resultType")) != ResultType::Complete
            || message.body("task").is_some()
        {
            return None;
        }
        let session = self.sessions.get(&exchange.session)?;
        if session.is_inner || exchange.request.meta(meta::HOP).is_some() {
            return None;
        }
        let form = self.result_form(exchange.session)?;
        let shown = exchange
            .counted_as
            .clone()
            .or_else(|| exchange.request.body_text("name"))
            .unwrap_or_default();
        let real = exchange
            .real_name
            .clone()
            .or_else(|| exchange.request.body_text("name"))
            .unwrap_or_default();
        let definition = self.original_tool(upstream, &real);
        if definition.as_deref().is_some_and(is_app) {
            return None;
        }
        // What a client was shown an output schema of has to come whole: some check it.
        let drops_schema = self
            .plan_settings(exchange.session)
            .is_some_and(|settings| settings.form.drops_output_schema);
        let options = Options {
            channel: form.channel,
            keeps_structured: !drops_schema,
            cap: form.cap_of(&shown),
            is_compacted: form.is_compacted,
            is_media_replaced: form.is_media_replaced,
            vision: form.vision,
            read_result: self.read_result_name(exchange.session, exchange.era),
            projection: None,
            repeats: None,
            link: self.link_form(exchange.session, exchange.era, &shown),
        };
        let options = Options {
            projection: exchange.projection.clone(),
            repeats: form.says_repeats.then(|| {
                let key = self.repeat_key(upstream, id)?;
                self.repeats.last(now, &key)
            }),
            ..options
        };
        let options = if self.is_held_out(exchange.session) {
            options.untouched()
        } else {
            options
        };
        Some(ShapeJob {
            result: message.raw().slice_ref(result),
            options,
            principal: self.principal_key(exchange.session)?,
            server: self.server_name(upstream),
            tool: real,
            is_learned_from: self.learns_from(id, result.len(), definition.as_deref()),
            arguments: kept_arguments(exchange),
        })
    }

    /// Names a call for what is remembered of its answers.
    fn repeat_key(&self, upstream: UpstreamId, id: ExchangeId) -> Option<CallKey> {
        let exchange = self.exchanges.get(&id)?;
        let session = self.sessions.get(&exchange.session)?;
        let tool = exchange
            .real_name
            .clone()
            .or_else(|| exchange.request.body_text("name"))?;
        let arguments = exchange.sent_arguments();
        let server = self.server_name(upstream);
        CallKey::of(
            &session.principal,
            exchange.session,
            &server,
            &tool,
            arguments.as_deref().unwrap_or(b"{}"),
        )
    }

    /// What the results of a session are shaped by; none where they stay as they come.
    pub(super) fn result_form(&self, session: SessionId) -> Option<&ResultForm> {
        self.settings
            .profiles
            .results
            .get(self.profile_name(session))
    }

    /// Takes a shaped result; none where shaping failed.
    pub fn handle_shaped(&mut self, now: Instant, id: ExchangeId, shaped: Option<Shaped>) {
        let Some(answered) = self
            .exchanges
            .get(&id)
            .and_then(|exchange| exchange.answered.as_deref())
        else {
            return;
        };
        let upstream = answered.upstream;
        let mut shaped = shaped;
        let text = shaped
            .as_mut()
            .and_then(|shaped| shaped.result.take())
            .filter(|_| !self.settings.is_shadow);
        let message = text
            .and_then(|text| self.with_result(&answered.message, text))
            .unwrap_or_else(|| answered.message.clone());
        if let Some(learned) = shaped.as_mut().and_then(|shaped| shaped.learned.take()) {
            self.learn(id, &learned);
        }
        if let Some(shaped) = shaped {
            self.account(now, upstream, id, &shaped);
        }
        self.deliver(now, upstream, id, &message);
    }

    /// Writes into the ledger what became of an answer.
    fn account(&mut self, now: Instant, upstream: UpstreamId, id: ExchangeId, shaped: &Shaped) {
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        let session = exchange.session;
        let is_hit = matches!(exchange.cache, Part::Hit { .. });
        let tool = exchange
            .real_name
            .clone()
            .or_else(|| exchange.request.body_text("name"))
            .unwrap_or_default();
        let server = self.server_name(upstream);
        let how = match &shaped.given {
            Some((answer, form)) => {
                // In shadow mode no client was given anything.
                if !self.settings.is_shadow
                    && let Some(key) = self.repeat_key(upstream, id)
                {
                    self.repeats.given(now, key, answer, *form);
                }
                match form {
                    repeat::Form::Full => Kind::Answer,
                    repeat::Form::Unchanged => Kind::Unchanged,
                    repeat::Form::Delta => Kind::Delta,
                }
            }
            None => Kind::Answer,
        };
        let noted = Noted {
            session,
            server: &server,
            tool: &tool,
            basis: match (self.settings.is_shadow, shaped.is_estimated) {
                // No model was sent it.
                (true, _) => Basis::Replayed,
                (false, true) => Basis::Estimated,
                (false, false) => Basis::Measured,
            },
        };
        self.audit_tokens(id, shaped.before.get(), shaped.after.get());
        if is_hit {
            self.note_cached(now, noted, shaped.before, shaped.after);
        } else {
            self.note_shaped(now, noted, how, shaped.before, shaped.after);
        }
    }

    /// Sends an answer that was not shaped in time as it came; tells whether there was one.
    pub(super) fn shaping_timeout(&mut self, now: Instant, id: ExchangeId) -> bool {
        let Some(exchange) = self.exchanges.get(&id) else {
            return false;
        };
        let Some(answered) = exchange.answered.as_deref() else {
            return false;
        };
        let (upstream, message) = (answered.upstream, answered.message.clone());
        let server = self.server_name(upstream);
        self.note(
            NoteLevel::Warn,
            &server,
            format!("a result could not be shaped within {SHAPING:?}; it is sent as it came"),
        );
        self.deliver(now, upstream, id, &message);
        true
    }

    /// The same answer with another result.
    fn with_result(&self, message: &Message, text: String) -> Option<Message> {
        let range = message.span(crate::jsonrpc::scan::EnvelopeKey::Result)?;
        let edit = Edit {
            range,
            with: text.into(),
        };
        let raw = splice(message.raw(), vec![edit]).to_bytes();
        Message::parse_single(raw, self.settings.limits.message).ok()
    }
}

impl ResultForm {
    /// The cap of a tool, by the name that clients see.
    pub fn cap_of(&self, tool: &str) -> Option<crate::result::options::Cap> {
        self.tool_caps
            .iter()
            .find(|(pattern, _)| fits(pattern, tool))
            .map_or(self.cap, |(_, cap)| *cap)
    }
}
