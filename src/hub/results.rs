//! Answers of tools on their way to the client: shaped away from the loop, while the exchange waits.
//!
//! What goes wrong there, or takes too long, costs tokens and never the answer: the original goes on.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::catalog::app::is_app;
use crate::jsonrpc::error::{ErrorObject, INTERNAL_ERROR};
use crate::jsonrpc::message::Message;
use crate::jsonrpc::scan::EnvelopeKey;
use crate::jsonrpc::write::{Edit, splice};
use crate::mcp::error::URL_ELICITATION_REQUIRED;
use crate::mcp::meta;
use crate::mcp::method;
use crate::mcp::result::ResultType;
use crate::mcp::version::Era;
use crate::result::options::Options;
use crate::result::repeat::CallKey;
use crate::result::shape::{LEAST_BYTES, MOST_BYTES, Shaped};
use crate::session::SessionId;
use crate::surface::plan::fits;
use crate::upstream::UpstreamId;

use super::Hub;
use super::account::is_told_with_tokens;
use super::action::{Action, NoteLevel};
use super::exchange::ExchangeId;
use super::forward::error_code;
use super::settings::ResultForm;
use super::timers::TimerKey;

/// Bytes of arguments that are kept with a result; of longer ones a policy assumes the worst.
const ARGUMENTS: usize = 16 << 10;
/// How long an answer waits to be shaped; then it is sent as it came.
pub const SHAPING: Duration = Duration::from_secs(10);

/// An answer that is being shaped.
#[derive(Debug)]
pub struct Answered {
    /// Which connection it came from.
    pub upstream: UpstreamId,
    /// The era in which it is written.
    pub era: Era,
    /// The answer as it came, or without its secrets once that was done.
    pub message: Message,
    /// Whether it may not be sent before its secrets are out.
    pub must_redact: bool,
    /// Whether it is remembered, to compare later ones with it.
    pub is_remembered: bool,
}

/// What became of the secrets of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redaction {
    /// Nobody asked for it.
    NotAsked,
    /// There were none.
    Same,
    /// The raw result, or error, without them.
    Changed(Bytes),
    /// It could not be done.
    Failed,
}

/// A result to shape.
#[derive(Debug, Clone)]
pub struct ShapeJob {
    /// The raw result, or the raw error of a call that failed.
    pub result: Bytes,
    /// What it is shaped by; none = only its secrets go.
    pub options: Option<Options>,
    /// Whose it is, as in the keys of stores.
    pub principal: String,
    /// The configured name of its server.
    pub server: String,
    /// The tool, by the name that its server has for it.
    pub tool: String,
    /// Whether it is counted before it goes on, also where it stays as it is.
    pub is_counted_first: bool,
    /// Whether its shape is learned.
    pub is_learned_from: bool,
    /// The raw arguments of the call, kept with the result so that a policy can decide on them later.
    pub arguments: Option<String>,
    /// Whether secrets are taken out of it first.
    pub redacts: bool,
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
        let redacts = self.redacts(id, &message);
        let job = match self.shape_job(now, upstream, id, &message) {
            Some(job) => Some(ShapeJob { redacts, ..job }),
            None if redacts => self.bare_job(upstream, id, &message),
            None => None,
        };
        let Some(job) = job else {
            self.account_unshaped(now, upstream, id, &message);
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
            must_redact: job.redacts,
            is_remembered: false,
        }));
        self.timers.set(TimerKey::Exchange(id), now + SHAPING);
        let job = Box::new(job);
        self.actions
            .push_back(Action::ShapeResult { exchange: id, job });
        None
    }

    /// Returns the raw result where an answer is the last of a call of a tool, and this hop's to tell of.
    pub(super) fn final_result<'a>(
        &self,
        id: ExchangeId,
        message: &'a Message,
    ) -> Option<&'a [u8]> {
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
        if result.first() != Some(&b'{')
            || ResultType::of(message.body("resultType")) != ResultType::Complete
            || message.body("task").is_some()
        {
            return None;
        }
        let session = self.sessions.get(&exchange.session)?;
        if session.is_inner || exchange.request.meta(meta::HOP).is_some() {
            return None;
        }
        Some(result)
    }

    /// What is to be done to an answer; none where it is not ours to change.
    fn shape_job(
        &self,
        now: Instant,
        upstream: UpstreamId,
        id: ExchangeId,
        message: &Message,
    ) -> Option<ShapeJob> {
        let result = self.final_result(id, message)?;
        let exchange = self.exchanges.get(&id)?;
        if (result.len() < LEAST_BYTES && exchange.projection.is_none())
            || result.len() > MOST_BYTES
        {
            return None;
        }
        let form = self.result_form(exchange.session)?;
        let shown = exchange
            .counted_as
            .clone()
            .or_else(|| exchange.request.body_text("name"))
            .unwrap_or_default();
        let real = exchange.called();
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
            may_abbreviate: form.abbreviates(&shown),
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
            options: Some(options),
            principal: self.principal_key(exchange.session)?,
            server: self.server_name(upstream),
            tool: real,
            is_counted_first: is_told_with_tokens(exchange),
            is_learned_from: self.learns_from(id, result.len(), definition.as_deref()),
            arguments: kept_arguments(exchange),
            redacts: false,
        })
    }

    /// Tells whether secrets are taken out of an answer: of every result and error of a tool, whatever its length
    /// and whoever asks, and of what is said about its task, which has the result itself in newer revisions; it is
    /// no shaping. An error that asks for a login at a URL stays, since the URL has to lead there.
    pub(super) fn redacts(&self, id: ExchangeId, message: &Message) -> bool {
        let is_of_tool = self.exchanges.get(&id).is_some_and(|exchange| {
            let method = exchange.request.method();
            method == method::TOOLS_CALL || method.starts_with("tasks/")
        });
        let asks_for_login = error_code(message) == Some(URL_ELICITATION_REQUIRED);
        self.redacts_results() && is_of_tool && !asks_for_login
    }

    pub(super) fn redacts_results(&self) -> bool {
        self.settings.guard.redacts_results && !self.settings.is_transparent
    }

    /// What is to be done to an answer of which only the secrets go.
    fn bare_job(
        &self,
        upstream: UpstreamId,
        id: ExchangeId,
        message: &Message,
    ) -> Option<ShapeJob> {
        let exchange = self.exchanges.get(&id)?;
        Some(ShapeJob {
            result: message
                .raw()
                .slice_ref(message.result().or_else(|| message.error())?),
            options: None,
            principal: self.principal_key(exchange.session)?,
            server: self.server_name(upstream),
            tool: String::new(),
            is_counted_first: false,
            is_learned_from: false,
            arguments: None,
            redacts: true,
        })
    }

    /// Takes a result without its secrets, or the word that there were none.
    pub fn handle_redacted(&mut self, id: ExchangeId, redaction: Redaction) {
        let limits = self.settings.limits.message;
        let answered = self
            .exchanges
            .get_mut(&id)
            .and_then(|exchange| exchange.answered.as_deref_mut());
        let Some(answered) = answered else {
            return;
        };
        match redaction {
            Redaction::NotAsked | Redaction::Failed => {}
            Redaction::Same => answered.must_redact = false,
            Redaction::Changed(result) => {
                let range = answered
                    .message
                    .span(EnvelopeKey::Result)
                    .or_else(|| answered.message.span(EnvelopeKey::Error));
                let message = range.and_then(|range| {
                    let edit = Edit {
                        range,
                        with: result,
                    };
                    let raw = splice(answered.message.raw(), vec![edit]).to_bytes();
                    Message::parse_single(raw, limits).ok()
                });
                if let Some(message) = message {
                    answered.message = message;
                    answered.must_redact = false;
                }
            }
        }
    }

    /// Answers in place of a result of which the secrets could not be taken out in time; tells whether it did.
    fn withhold_unredacted(&mut self, now: Instant, upstream: UpstreamId, id: ExchangeId) -> bool {
        let Some(exchange) = self.exchanges.get(&id) else {
            return false;
        };
        let must_redact = |answered: &Answered| answered.must_redact;
        if !exchange.answered.as_deref().is_some_and(must_redact) {
            return false;
        }
        let is_call = matches!(
            exchange.request.method(),
            method::TOOLS_CALL | method::TASKS_RESULT
        );
        let server = self.server_name(upstream);
        let why = "a result was withheld: its secrets could not be taken out";
        self.note(NoteLevel::Error, &server, why);
        let text = "The tool was called, but its result is withheld: its secrets could not be taken out in time.\nhint: ask for a smaller result; `redact.results` in the configuration decides";
        if is_call {
            self.answer_tool_text(now, id, text, true);
        } else {
            // Where a task is expected, the content of a result would be no answer.
            self.fail(now, id, &ErrorObject::new(INTERNAL_ERROR, text));
        }
        true
    }

    /// Names a call for what is remembered of its answers.
    pub(super) fn repeat_key(&self, upstream: UpstreamId, id: ExchangeId) -> Option<CallKey> {
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
        if self.withhold_unredacted(now, upstream, id) {
            return;
        }
        let Some(answered) = self
            .exchanges
            .get(&id)
            .and_then(|exchange| exchange.answered.as_deref())
        else {
            return;
        };
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
        let counted_later = match shaped {
            Some(shaped) => self.account(now, upstream, id, &shaped, &message),
            None => {
                self.account_unshaped(now, upstream, id, &message);
                None
            }
        };
        self.deliver(now, upstream, id, &message);
        // After the answer: nothing waits for it.
        self.actions.extend(counted_later);
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
        if self.withhold_unredacted(now, upstream, id) {
            return true;
        }
        let server = self.server_name(upstream);
        self.note(
            NoteLevel::Warn,
            &server,
            format!("a result could not be shaped within {SHAPING:?}; it is sent as it came"),
        );
        self.account_unshaped(now, upstream, id, &message);
        self.deliver(now, upstream, id, &message);
        true
    }

    /// The same answer with another result.
    fn with_result(&self, message: &Message, text: String) -> Option<Message> {
        let range = message.span(EnvelopeKey::Result)?;
        let edit = Edit {
            range,
            with: text.into(),
        };
        let raw = splice(message.raw(), vec![edit]).to_bytes();
        Message::parse_single(raw, self.settings.limits.message).ok()
    }
}

impl ResultForm {
    /// Tells whether values of a tool's results may be abbreviated, by the name that clients see.
    pub fn abbreviates(&self, tool: &str) -> bool {
        self.tool_legends
            .iter()
            .find(|(pattern, _)| fits(pattern, tool))
            .map_or(self.may_abbreviate, |(_, may)| *may)
    }

    /// The cap of a tool, by the name that clients see.
    pub fn cap_of(&self, tool: &str) -> Option<crate::result::options::Cap> {
        self.tool_caps
            .iter()
            .find(|(pattern, _)| fits(pattern, tool))
            .map_or(self.cap, |(_, cap)| *cap)
    }
}
