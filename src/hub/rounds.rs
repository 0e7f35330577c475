//! Questions between the eras.
//!
//! A modern server answers `input_required`; a legacy client gets its questions as requests, and the
//! call is sent again with the answers. A legacy server sends requests; a modern client gets
//! `input_required` with a sealed handle, and what it sends again joins the call that still waits.
//! Source: MCP 2026-07-28 basic/patterns/mrtr.

use std::time::Instant;

use bytes::Bytes;

use crate::jsonrpc::canonical::canonical;
use crate::jsonrpc::error::{ErrorObject, INTERNAL_ERROR, INVALID_PARAMS};
use crate::jsonrpc::id::RequestId;
use crate::jsonrpc::members;
use crate::jsonrpc::message::Message;
use crate::jsonrpc::text;
use crate::jsonrpc::write;
use crate::mcp::capabilities;
use crate::mcp::error;
use crate::mcp::method;
use crate::mcp::version::Era;
use crate::session::Question;
use crate::upstream::UpstreamId;

use super::Hub;
use super::action::NoteLevel;
use super::exchange::{Ask, ExchangeId, Parked, ParkedQuestion, Plan};
use super::forward::{error_object, object_of};
use super::rescue::Trouble;
use super::timers::TimerKey;

/// Starts a `requestState` of any mcp-whittle; of which one, the next part says.
const STATE: &str = "whittle1.";
/// Questions of one request at once.
const QUESTIONS: usize = 64;

impl Hub {
    /// A modern server asks; the legacy client is asked in its own way.
    pub(super) fn ask_client(
        &mut self,
        now: Instant,
        upstream: UpstreamId,
        id: ExchangeId,
        message: &Message,
    ) {
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        exchange.rounds += 1;
        if exchange.rounds > self.settings.limits.rounds {
            let detail = format!("it asked more than {} times", self.settings.limits.rounds);
            return self.fail_with(now, id, &Trouble::Protocol { detail });
        }
        let session = exchange.session;
        let requests = message.body("inputRequests").unwrap_or_default();
        let mut ask = Ask {
            request_state: message.body("requestState").map(Bytes::copy_from_slice),
            ..Ask::default()
        };
        let mut questions = Vec::new();
        for member in members::members(requests).into_iter().take(QUESTIONS) {
            let key = member.name(requests).into_owned();
            let request = &requests[member.value];
            let method_name = members::get_text(request, "method").unwrap_or_default();
            let params = members::get(request, "params").map(Bytes::copy_from_slice);
            ask.answers.insert(key.clone(), None);
            if method_name == method::ELICITATION {
                ask.elicitations.insert(key.clone());
            }
            questions.push((key, method_name, params));
        }
        exchange.plan = Plan::Ask(ask);
        if questions.is_empty() {
            return self.ask_is_answered(now, upstream, id);
        }
        for (key, method_name, params) in questions {
            let params = self.legacy_question_params(&method_name, params);
            let wanted = RequestId::from_integer(-1);
            let Some(record) = self.sessions.get_mut(&session) else {
                return;
            };
            let question_id = record.question_id(&wanted);
            record.questions.insert(
                question_id.key(),
                Question {
                    upstream,
                    server_id: question_id.clone(),
                    exchange: Some(id),
                    input_key: Some(key),
                    token: None,
                },
            );
            let request = write::request(&question_id, &method_name, params.as_deref());
            self.send_to(session, Some(id), request.into(), false);
        }
    }

    /// URL elicitation of 2025-11-25 needs an id, which modern servers do not send.
    fn legacy_question_params(
        &mut self,
        method_name: &str,
        params: Option<Bytes>,
    ) -> Option<Bytes> {
        let params = params?;
        let needs_id = method_name == method::ELICITATION
            && members::get_text(&params, "mode").as_deref() == Some("url")
            && members::get(&params, "elicitationId").is_none();
        if !needs_id {
            return Some(params);
        }
        let id = Bytes::from(text::to_string(&self.unguessable()));
        let edits = write::edit_object(&params, 0..params.len(), &[], &[("elicitationId", id)]);
        Some(write::splice(&params, edits).to_bytes())
    }

    /// A legacy client answers a question of a modern server.
    pub(super) fn input_answered(&mut self, now: Instant, question: &Question, message: &Message) {
        let (Some(id), Some(key)) = (question.exchange, &question.input_key) else {
            return;
        };
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        let Plan::Ask(ask) = &mut exchange.plan else {
            return;
        };
        let answer = match message.result() {
            Some(result) => Bytes::copy_from_slice(result),
            // Answers have no place for an error; a refused elicitation is a cancelled one.
            None => {
                let error = error_object(message);
                let is_elicitation = ask.answers.contains_key(key)
                    && !error.message.is_empty()
                    && self.was_elicitation(id, key);
                if !is_elicitation {
                    return self.fail(now, id, &error);
                }
                Bytes::from_static(b"{\"action\":\"cancel\"}")
            }
        };
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        let Plan::Ask(ask) = &mut exchange.plan else {
            return;
        };
        ask.answers.insert(key.clone(), Some(answer));
        if ask.answers.values().all(Option::is_some) {
            self.ask_is_answered(now, question.upstream, id);
        }
    }

    fn was_elicitation(&self, id: ExchangeId, key: &str) -> bool {
        self.exchanges
            .get(&id)
            .is_some_and(|exchange| match &exchange.plan {
                Plan::Ask(ask) => ask.elicitations.contains(key),
                _ => false,
            })
    }

    /// All answers are there: the call is sent again as a new request.
    fn ask_is_answered(&mut self, now: Instant, upstream: UpstreamId, id: ExchangeId) {
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        let Plan::Ask(ask) = std::mem::replace(&mut exchange.plan, Plan::Forward) else {
            return;
        };
        let answers: Vec<(&str, Bytes)> = ask
            .answers
            .iter()
            .filter_map(|(key, answer)| Some((key.as_str(), answer.clone()?)))
            .collect();
        // What a caller of ours calls a tool with stays; answers to earlier questions go.
        let is_argument = |(key, _): &(&str, Bytes)| *key == "arguments";
        exchange.extra_params.retain(is_argument);
        if !answers.is_empty() {
            exchange
                .extra_params
                .push(("inputResponses", object_of(&answers)));
        }
        if let Some(state) = ask.request_state {
            exchange.extra_params.push(("requestState", state));
        }
        self.forward(now, id, upstream);
    }

    /// A legacy server asks while a modern client waits: its request is answered with
    /// `input_required` and the server's call stays open.
    pub(super) fn park_question(
        &mut self,
        now: Instant,
        upstream: UpstreamId,
        id: ExchangeId,
        message: &Message,
        server_id: &RequestId,
    ) {
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        let refusal = if !method::may_ask(exchange.request.method()) {
            Some("questions are allowed during tools/call, prompts/get and resources/read only")
        } else if self.draining_since.is_some() {
            Some("the proxy is shutting down, and the client could not come back with an answer")
        } else {
            None
        };
        if let Some(reason) = refusal {
            let error = ErrorObject::new(INTERNAL_ERROR, reason);
            return self.refuse_server(upstream, server_id, &error);
        }
        let needed = match message.method() {
            method::ELICITATION => "elicitation",
            method::SAMPLING => "sampling",
            method::ROOTS_LIST => "roots",
            _ => "",
        };
        if needed.is_empty() {
            let error = ErrorObject::new(
                crate::jsonrpc::error::METHOD_NOT_FOUND,
                "a client of protocol version 2026-07-28 cannot be asked this",
            );
            return self.refuse_server(upstream, server_id, &error);
        }
        if !capabilities::has(&exchange.capabilities, &[needed]) {
            let reason = format!("the client did not declare the capability `{needed}`");
            let error = ErrorObject::new(INTERNAL_ERROR, reason.clone());
            self.refuse_server(upstream, server_id, &error);
            let error = ErrorObject::new(error::MISSING_CAPABILITY, reason)
                .with_data(&serde_json::json!({"requiredCapabilities": {needed: {}}}));
            return self.fail(now, id, &error);
        }
        if !matches!(exchange.plan, Plan::Parked(_)) {
            exchange.plan = Plan::Parked(Parked {
                digest: digest_of(&exchange.request),
                ..Parked::default()
            });
        }
        let Plan::Parked(parked) = &mut exchange.plan else {
            return;
        };
        if parked.questions.len() >= QUESTIONS {
            let error = ErrorObject::new(INTERNAL_ERROR, "too many questions at once");
            return self.refuse_server(upstream, server_id, &error);
        }
        parked.asked += 1;
        let key = format!("question-{}", parked.asked);
        let mut request: Vec<(&str, Bytes)> =
            vec![("method", text::to_string(message.method()).into())];
        if let Some(params) = message.params() {
            request.push(("params", Bytes::copy_from_slice(params)));
        }
        parked.questions.push(ParkedQuestion {
            key,
            raw_id: server_id.clone(),
            request: object_of(&request),
        });
        let is_detached = parked.is_detached;
        if !is_detached {
            self.answer_with_questions(now, id);
        }
    }

    /// Calls of several clients, or several of a modern one, are in flight on a server that does not say whose question
    /// it is: the question waits until only one of them is left.
    pub(super) fn defer_question(
        &mut self,
        _now: Instant,
        upstream: UpstreamId,
        message: &Message,
        id: &RequestId,
    ) {
        let name = self.server_name(upstream);
        let deferred = self.deferred.entry(upstream).or_default();
        if deferred.len() >= QUESTIONS {
            let error = ErrorObject::new(INTERNAL_ERROR, "too many questions at once");
            return self.refuse_server(upstream, id, &error);
        }
        deferred.push((message.clone(), id.clone()));
        let waiting = deferred.len();
        let mut in_flight = self.exchanges_that_may_ask(upstream);
        in_flight.retain(|id| !self.waits_for_its_client(*id));
        if waiting >= in_flight.len() {
            // Every call waits for an answer; no guess is safe (mcp-protocol.md §2.2, stdio association).
            for (_, id) in self.deferred.remove(&upstream).unwrap_or_default() {
                let error = ErrorObject::new(
                    INTERNAL_ERROR,
                    "several requests are in flight and the question does not say to which it belongs",
                );
                self.refuse_server(upstream, &id, &error);
            }
            self.note(
                NoteLevel::Warn,
                &name,
                "questions were refused: several calls are in flight and the server does not say whose they are; make such calls one at a time, or use the server over HTTP",
            );
        }
    }

    /// A call on a server ended: a deferred question may have an owner now.
    pub(super) fn retry_deferred(&mut self, now: Instant, upstream: UpstreamId) {
        if !self.deferred.contains_key(&upstream) {
            return;
        }
        let in_flight = self.exchanges_that_may_ask(upstream);
        if in_flight.len() > 1 {
            return;
        }
        for (message, id) in self.deferred.remove(&upstream).unwrap_or_default() {
            match in_flight.first() {
                Some(exchange) => self.ask_owner(now, upstream, *exchange, &message, &id),
                None => {
                    let error = ErrorObject::new(INTERNAL_ERROR, "the call it belonged to is over");
                    self.refuse_server(upstream, &id, &error);
                }
            }
        }
    }

    /// Answers the open request of a parked exchange with its questions.
    fn answer_with_questions(&mut self, now: Instant, id: ExchangeId) {
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        let Plan::Parked(parked) = &exchange.plan else {
            return;
        };
        let questions: Vec<(&str, Bytes)> = parked
            .questions
            .iter()
            .map(|question| (question.key.as_str(), question.request.clone()))
            .collect();
        let state = self.seal(id, parked.asked, &parked.digest);
        let result = object_of(&[
            ("resultType", Bytes::from_static(b"\"input_required\"")),
            ("inputRequests", object_of(&questions)),
            ("requestState", text::to_string(&state).into()),
        ]);
        let message = write::response(&exchange.request_id, result.into());
        let (session, stream, batch) = (exchange.session, exchange.stream, exchange.batch);
        let request_id = exchange.request_id.clone();
        if let Some(record) = self.sessions.get_mut(&session) {
            record.in_flight.remove(&(stream, request_id));
        }
        if let Some(exchange) = self.exchanges.get_mut(&id)
            && let Plan::Parked(parked) = &mut exchange.plan
        {
            parked.is_detached = true;
        }
        if let Some(at) = now.checked_add(self.settings.timeouts.parked) {
            self.timers.set(TimerKey::Exchange(id), at);
        }
        self.counters.answers += 1;
        self.send_answer(stream, batch, message, 200);
    }

    /// Seals the handle of a parked exchange: nobody can make one, and it fits one request only. It
    /// differs from round to round, as clients expect of a call that went on (MCP 2026-07-28
    /// basic/patterns/mrtr).
    fn seal(&self, id: ExchangeId, asked: u64, digest: &[u8; 32]) -> String {
        let mac = self.mac(id, asked, digest);
        format!("{}{id:x}.{asked:x}.{mac}", self.state_prefix())
    }

    /// Starts every `requestState` of this process and no other's: the server may be an mcp-whittle too, whose
    /// states only that one can judge.
    pub(super) fn state_prefix(&self) -> String {
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        hasher.update(b"instance");
        format!("{STATE}{}.", &hasher.finalize().to_hex()[..16])
    }

    /// Tells whether a request carries a state of some mcp-whittle to a server that gives none, as it speaks the legacy
    /// era: one of ours from before we were started again. The call would run from its beginning.
    pub(super) fn is_stray_state(&self, id: ExchangeId, upstream: UpstreamId) -> bool {
        let Some(exchange) = self.exchanges.get(&id) else {
            return false;
        };
        exchange.era == Era::Modern
            && self
                .upstreams
                .get(&upstream)
                .is_some_and(|record| record.era() == Era::Legacy)
            && !exchange.remove_params.contains(&"requestState")
            && exchange
                .request
                .body_text("requestState")
                .is_some_and(|state| state.starts_with(STATE))
    }

    fn mac(&self, id: ExchangeId, asked: u64, digest: &[u8; 32]) -> String {
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        hasher.update(b"state");
        hasher.update(&id.to_le_bytes());
        hasher.update(&asked.to_le_bytes());
        hasher.update(digest);
        hasher.finalize().to_hex()[..32].to_owned()
    }

    /// A modern client comes back with answers: its request joins the call that waits. `false` where the
    /// request carries no state of ours. The state of another mcp-whittle goes on to the server, which may be
    /// the one that gave it; [`Self::is_stray_state`] tells where it cannot be.
    pub(super) fn resume_parked(&mut self, now: Instant, id: ExchangeId) -> bool {
        let exchange = &self.exchanges[&id];
        // A state that was taken before is not sent to a server either.
        if exchange.era != Era::Modern || exchange.remove_params.contains(&"requestState") {
            return false;
        }
        let Some(state) = exchange.request.body_text("requestState") else {
            return false;
        };
        let session = exchange.session;
        let prefix = self.state_prefix();
        let rest = match state.strip_prefix(&prefix) {
            Some(rest) => rest,
            None => return false,
        };
        let digest = digest_of(&exchange.request);
        let mut parts = rest.splitn(3, '.');
        let sealed = (|| {
            let number = ExchangeId::from_str_radix(parts.next()?, 16).ok()?;
            let asked = u64::from_str_radix(parts.next()?, 16).ok()?;
            let own = self.mac(number, asked, &digest);
            constant_time_eq(parts.next()?.as_bytes(), own.as_bytes()).then_some(number)
        })();
        let Some(parked_id) = sealed else {
            self.fail(now, id, &foreign_state());
            return true;
        };
        if parked_id == 0 {
            // A URL elicitation of 2025-11-25: the call itself is made again.
            if let Some(exchange) = self.exchanges.get_mut(&id) {
                exchange.remove_params = vec!["inputResponses", "requestState"];
            }
            return false;
        }
        let is_mine = self.exchanges.get(&parked_id).is_some_and(|parked| {
            parked.session == session && matches!(&parked.plan, Plan::Parked(p) if p.is_detached)
        });
        if !is_mine {
            let error = ErrorObject::new(
                INVALID_PARAMS,
                "the question of this `requestState` is over (answered, expired, or the server ended); send the request again without it",
            );
            self.fail(now, id, &error);
            return true;
        }
        // It is one call from here on, and counted as one.
        let Some(retry) = self.forget(now, id) else {
            return true;
        };
        if let Some(record) = self.sessions.get_mut(&session) {
            record
                .in_flight
                .insert((retry.stream, retry.request_id.clone()), parked_id);
        }
        let responses = retry
            .request
            .body("inputResponses")
            .map(Bytes::copy_from_slice)
            .unwrap_or_default();
        let Some(parked) = self.exchanges.get_mut(&parked_id) else {
            return true;
        };
        parked.stream = retry.stream;
        parked.batch = retry.batch;
        parked.request_id = retry.request_id;
        let upstream = parked.upstream.unwrap_or_default();
        let mut answered = Vec::new();
        let mut is_open = false;
        let mut finished = None;
        if let Plan::Parked(plan) = &mut parked.plan {
            plan.is_detached = false;
            plan.questions
                .retain(|question| match members::get(&responses, &question.key) {
                    Some(answer) => {
                        answered.push((question.raw_id.clone(), responses.slice_ref(answer)));
                        false
                    }
                    None => true,
                });
            is_open = !plan.questions.is_empty();
            finished = plan.finished.take();
        }
        for (server_id, answer) in answered {
            let message = write::response(&server_id, answer.into());
            self.send_upstream_raw(upstream, message);
        }
        if let Some(at) = now.checked_add(self.settings.timeouts.absolute) {
            self.timers.set(TimerKey::Exchange(parked_id), at);
        }
        if let Some(message) = finished {
            self.exchange_answered(now, upstream, parked_id, message);
        } else if is_open {
            self.answer_with_questions(now, parked_id);
        }
        true
    }

    /// Turns error -32042 of 2025-11-25 into questions for a modern client.
    pub(super) fn url_elicitation(&mut self, now: Instant, id: ExchangeId, message: &Message) {
        let data = message.body("data").unwrap_or_default();
        let list = members::get(data, "elicitations").unwrap_or_default();
        let mut questions = Vec::new();
        for (index, at) in members::elements(list)
            .into_iter()
            .take(QUESTIONS)
            .enumerate()
        {
            let request = object_of(&[
                ("method", Bytes::from_static(b"\"elicitation/create\"")),
                ("params", Bytes::copy_from_slice(&list[at])),
            ]);
            questions.push((format!("question-{}", index + 1), request));
        }
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        let state = self.seal(0, 0, &digest_of(&exchange.request));
        let set: Vec<(&str, Bytes)> = questions
            .iter()
            .map(|(key, request)| (key.as_str(), request.clone()))
            .collect();
        let result = object_of(&[
            ("resultType", Bytes::from_static(b"\"input_required\"")),
            ("inputRequests", object_of(&set)),
            ("requestState", text::to_string(&state).into()),
        ]);
        let answer = write::response(&exchange.request_id, result.into());
        self.audit_outcome(id, "inputRequired", None);
        self.answer(now, id, answer, 200);
    }
}

/// Digest of what a request is about, without what changes when it is sent again.
pub(super) fn digest_of(request: &Message) -> [u8; 32] {
    let limits = crate::jsonrpc::Limits::default();
    let mut hasher = blake3::Hasher::new();
    hasher.update(request.method().as_bytes());
    for name in ["name", "uri", "arguments"] {
        hasher.update(&[0]);
        if let Some(raw) = request.body(name) {
            let text = canonical(raw, &limits);
            hasher.update(text.as_deref().unwrap_or(raw));
        }
    }
    *hasher.finalize().as_bytes()
}

fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
}

/// The answer to a state that is none of this request.
pub(super) fn foreign_state() -> ErrorObject {
    ErrorObject::new(
        INVALID_PARAMS,
        "`requestState` does not belong to this request; send the request again without it",
    )
}
