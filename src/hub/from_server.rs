//! What a server sends: answers, questions, notifications, and what is none of these.

use std::time::Instant;

use bytes::Bytes;

use crate::jsonrpc::error::{ErrorObject, INTERNAL_ERROR, METHOD_NOT_FOUND};
use crate::jsonrpc::id::RequestId;
use crate::jsonrpc::message::{Fault, Kind, Malformed, Message, Parsed};
use crate::jsonrpc::scan::EnvelopeKey;
use crate::jsonrpc::write::{self, Edit, Outgoing, splice};
use crate::mcp::meta;
use crate::mcp::method::{self, ListKind};
use crate::mcp::version::Era;
use crate::session::{Link, Question, STDIO, SessionId, WAITING_MESSAGES};
use crate::upstream::{Purpose, UpstreamId};

use super::Hub;
use super::action::{Action, NoteLevel};
use super::exchange::ExchangeId;
use super::forward::object_of;
use super::rescue::Trouble;

/// Lines that are no messages are shown in the log up to this many for one server.
const SHOWN_GARBAGE: u64 = 10;

impl Hub {
    /// Takes a text of a server. `via` is the request on whose response stream it came (HTTP).
    pub fn handle_upstream_frame(
        &mut self,
        now: Instant,
        upstream: UpstreamId,
        via: Option<u64>,
        parsed: Result<Parsed, (Malformed, Bytes)>,
    ) {
        match parsed {
            Ok(Parsed::Message(message)) => self.server_message(now, upstream, via, message),
            Ok(Parsed::Batch(parts)) => {
                let limits = self.settings.limits.message;
                for part in parts {
                    match Message::parse_single(part.clone(), limits) {
                        Ok(message) => self.server_message(now, upstream, via, message),
                        Err(malformed) => {
                            self.server_garbage(now, upstream, via, &malformed, &part)
                        }
                    }
                }
            }
            Err((malformed, excerpt)) => {
                self.server_garbage(now, upstream, via, &malformed, &excerpt);
            }
        }
    }

    /// A line that is no message: dropped and counted, and where it looks like somebody's answer that
    /// call fails now instead of waiting for ever.
    fn server_garbage(
        &mut self,
        now: Instant,
        upstream: UpstreamId,
        via: Option<u64>,
        malformed: &Malformed,
        excerpt: &[u8],
    ) {
        self.counters.garbage += 1;
        let name = self.server_name(upstream);
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return;
        };
        record.garbage_lines += 1;
        let count = record.garbage_lines;
        if count <= SHOWN_GARBAGE {
            let shown: String = String::from_utf8_lossy(excerpt).chars().take(120).collect();
            self.note(
                NoteLevel::Warn,
                &name,
                format!(
                    "a line that is no message was dropped ({}): {shown:?}",
                    malformed.fault
                ),
            );
        } else if count == SHOWN_GARBAGE + 1 {
            self.note(
                NoteLevel::Warn,
                &name,
                "many lines are no messages; further ones are dropped without a note",
            );
        }
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return;
        };
        let by_id = malformed
            .id
            .as_ref()
            .map(RequestId::key)
            .filter(|key| record.in_flight.contains_key(key));
        let by_stream = via.and_then(|key| record.by_key(key).map(|(id, _)| id.clone()));
        // The one call in flight owns an oversized answer whose id came too late to be seen.
        let by_count = (malformed.is_response
            && matches!(malformed.fault, Fault::TooLarge { .. })
            && record.in_flight.len() == 1)
            .then(|| record.in_flight.keys().next().cloned())
            .flatten();
        if !malformed.is_response && by_stream.is_none() {
            return;
        }
        let Some(key) = by_id.or(by_stream).or(by_count) else {
            return;
        };
        let Some(in_flight) = record.in_flight.remove(&key) else {
            return;
        };
        if in_flight.is_abandoned {
            return;
        }
        let detail = malformed.fault.to_string();
        let trouble = match malformed.fault {
            Fault::TooLarge { .. } => Trouble::TooLarge { detail },
            _ => Trouble::Protocol { detail },
        };
        match in_flight.purpose {
            Purpose::Exchange(id) => self.fail_with(now, id, &trouble),
            Purpose::List(kind) => self.fetch_failed(now, upstream, kind, None),
            _ => {}
        }
    }

    fn server_message(
        &mut self,
        now: Instant,
        upstream: UpstreamId,
        via: Option<u64>,
        message: Message,
    ) {
        match message.kind().clone() {
            Kind::Response(id) | Kind::ErrorResponse(Some(id)) => {
                let key = self.answer_key(upstream, via, &id);
                self.answered(now, upstream, &key, message);
            }
            Kind::ErrorResponse(None) => {
                // Python v1 answers a refused POST with an id of its own; over HTTP the stream tells.
                let key = via.and_then(|key| {
                    let record = self.upstreams.get(&upstream)?;
                    record.by_key(key).map(|(id, _)| id.clone())
                });
                match key {
                    Some(key) => self.answered(now, upstream, &key, message),
                    None => {
                        let name = self.server_name(upstream);
                        let text = super::forward::error_text(&message);
                        self.note(
                            NoteLevel::Warn,
                            &name,
                            format!("the server could not read a message: {text}"),
                        );
                    }
                }
            }
            Kind::Notification => self.server_notification(now, upstream, via, &message),
            Kind::Request(id) => self.server_request(now, upstream, via, &message, id),
        }
    }

    fn answer_key(
        &self,
        upstream: UpstreamId,
        via: Option<u64>,
        id: &RequestId,
    ) -> crate::jsonrpc::id::IdKey {
        let key = id.key();
        let Some(record) = self.upstreams.get(&upstream) else {
            return key;
        };
        if record.in_flight.contains_key(&key) {
            return key;
        }
        // An error whose id is the server's own invention (Python v1: "server-error").
        via.and_then(|via| record.by_key(via))
            .map_or(key, |(id, _)| id.clone())
    }

    fn server_notification(
        &mut self,
        now: Instant,
        upstream: UpstreamId,
        via: Option<u64>,
        message: &Message,
    ) {
        if let Some(id) = message.meta_span(meta::SUBSCRIPTION_ID) {
            return self.subscription_event(now, upstream, message, id);
        }
        let kinds = ListKind::changed_by(message.method());
        if !kinds.is_empty() {
            return self.list_changed(now, upstream, message, kinds);
        }
        match message.method() {
            method::PROGRESS => self.progress(now, upstream, message),
            method::LOG => self.log_message(upstream, via, message),
            method::RESOURCE_UPDATED => self.fan_out(upstream, message),
            method::CANCELLED => self.server_cancelled(upstream, message),
            _ => {
                let exchange = via.and_then(|key| self.exchange_by_key(upstream, key));
                let sessions = self.legacy_sessions(upstream, exchange);
                for session in sessions {
                    self.send_to(session, exchange, message.raw().clone().into(), false);
                }
            }
        }
    }

    fn list_changed(
        &mut self,
        now: Instant,
        upstream: UpstreamId,
        message: &Message,
        kinds: &[ListKind],
    ) {
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return;
        };
        let mut is_known = false;
        for kind in kinds {
            let state = record.list_mut(*kind);
            // From here on the live list is what clients see.
            if state.snapshot.is_some() && state.live.is_none() {
                state.live = state.snapshot.take();
            }
            state.snapshot = None;
            state.snapshot_was_served = false;
            is_known |= state.live.is_some() || state.fetch.is_some();
        }
        if !is_known || self.settings.is_transparent {
            return self.fan_out(upstream, message);
        }
        for kind in kinds {
            self.refresh_list(now, upstream, *kind);
        }
    }

    /// Progress goes to the one request that asked for it, with the client's token; what comes after
    /// the answer is dropped.
    fn progress(&mut self, now: Instant, upstream: UpstreamId, message: &Message) {
        let Some(token) = message.body("progressToken") else {
            return;
        };
        let Some(record) = self.upstreams.get(&upstream) else {
            return;
        };
        let Some(exchange) = record
            .tokens
            .get(token)
            .copied()
            .and_then(|id| self.exchanges.get_mut(&id))
        else {
            self.counters.strays += 1;
            return;
        };
        let mut edits = Vec::new();
        if let (Some(own), Some(span)) =
            (&exchange.progress_token, message.body_span("progressToken"))
            && message.raw()[span.clone()] != own[..]
        {
            edits.push(Edit {
                range: span,
                with: own.clone(),
            });
        }
        // Each round of questions may start at 0 again, but the client sees one request, whose
        // progress must rise.
        if let Some(span) = message.body_span("progress")
            && let Ok(value) = String::from_utf8_lossy(&message.raw()[span.clone()]).parse::<f64>()
        {
            let (last, offset) = exchange.progress;
            let mut shown = value + offset;
            if exchange.rounds > 0 && shown <= last {
                let offset = last - value + 1.0;
                shown = value + offset;
                exchange.progress.1 = offset;
            }
            exchange.progress.0 = shown;
            if exchange.progress.1 != 0.0 {
                edits.push(Edit {
                    range: span,
                    with: Bytes::from(serde_json::json!(shown).to_string()),
                });
            }
        }
        let (session, id) = (exchange.session, exchange.id);
        let out = splice(message.raw(), edits);
        self.renew_deadline(now, id);
        self.send_to(session, Some(id), out, true);
    }

    fn log_message(&mut self, upstream: UpstreamId, via: Option<u64>, message: &Message) {
        let by_stream = via.and_then(|key| self.exchange_by_key(upstream, key));
        let level = message.body_text("level").unwrap_or_default();
        let sessions = self.legacy_sessions(upstream, by_stream);
        for session in sessions {
            self.send_to(session, by_stream, message.raw().clone().into(), true);
        }
        // Modern clients get it on a request that asked for logs: the one it came with, or the only one.
        let asking: Vec<ExchangeId> = self
            .in_flight_exchanges(upstream)
            .filter(|id| {
                self.exchanges.get(id).is_some_and(|exchange| {
                    exchange.era == Era::Modern
                        && exchange
                            .request
                            .meta_text(meta::LOG_LEVEL)
                            .is_some_and(|wanted| severity(&level) >= severity(&wanted))
                })
            })
            .collect();
        let target = match by_stream {
            Some(id) if asking.contains(&id) => Some(id),
            Some(_) => None,
            None => match asking.as_slice() {
                [one] => Some(*one),
                _ => None,
            },
        };
        if let Some(id) = target {
            let session = self.exchanges[&id].session;
            self.send_to(session, Some(id), message.raw().clone().into(), true);
        }
    }

    /// A server gives up a question of its own.
    fn server_cancelled(&mut self, upstream: UpstreamId, message: &Message) {
        let Some(wanted) = message
            .body("requestId")
            .and_then(|raw| RequestId::parse(Bytes::copy_from_slice(raw)))
        else {
            return;
        };
        let key = wanted.key();
        let mut found = None;
        for session in self.sessions.values_mut() {
            let id = session.questions.iter().find_map(|(id, question)| {
                (question.upstream == upstream && question.server_id.key() == key)
                    .then(|| id.clone())
            });
            if let Some(id) = id {
                let question = session.questions.remove(&id);
                found = Some((session.id, id, question));
                break;
            }
        }
        let Some((session, id, question)) = found else {
            return;
        };
        let shown = id.to_json();
        let out = match message.body_span("requestId") {
            Some(span) if message.raw()[span.clone()] != shown[..] => splice(
                message.raw(),
                vec![Edit {
                    range: span,
                    with: shown,
                }],
            ),
            _ => message.raw().clone().into(),
        };
        let exchange = question.and_then(|question| question.exchange);
        self.send_to(session, exchange, out, false);
    }

    fn server_request(
        &mut self,
        now: Instant,
        upstream: UpstreamId,
        via: Option<u64>,
        message: &Message,
        id: RequestId,
    ) {
        if self.upstreams[&upstream].era() == Era::Modern && self.upstreams[&upstream].is_ready() {
            let error = ErrorObject::new(
                METHOD_NOT_FOUND,
                "servers send no requests in protocol version 2026-07-28; answer with `input_required`",
            );
            let name = self.server_name(upstream);
            self.note(
                NoteLevel::Warn,
                &name,
                "the server sent a request, which its protocol version forbids",
            );
            return self.refuse_server(upstream, &id, &error);
        }
        let by_stream = via.and_then(|key| self.exchange_by_key(upstream, key));
        let asking: Vec<ExchangeId> = match by_stream {
            Some(id) => vec![id],
            None => self
                .in_flight_exchanges(upstream)
                .filter(|id| {
                    self.exchanges
                        .get(id)
                        .is_some_and(|exchange| method::may_ask(exchange.request.method()))
                })
                .collect(),
        };
        let modern: Vec<ExchangeId> = asking
            .iter()
            .copied()
            .filter(|id| {
                self.exchanges
                    .get(id)
                    .is_some_and(|exchange| exchange.era == Era::Modern)
            })
            .collect();
        let sessions = self.legacy_sessions(upstream, by_stream);
        if message.method() == method::PING && !self.can_reach(&sessions) {
            let answer = write::response(&id, Bytes::from_static(b"{}").into());
            return self.send_upstream_raw(upstream, answer);
        }
        if let Some(session) = sessions.first().copied() {
            let exchange = match asking.as_slice() {
                [one] => Some(*one),
                _ => None,
            };
            return self.ask_session(session, upstream, exchange, message, &id);
        }
        match modern.as_slice() {
            [one] => self.park_question(now, upstream, *one, message, &id),
            [] => {
                let error = ErrorObject::new(
                    INTERNAL_ERROR,
                    "no request of a client is in flight that this question could belong to",
                );
                self.refuse_server(upstream, &id, &error);
            }
            _ => self.defer_question(now, upstream, message, &id),
        }
    }

    /// Tells whether a message of a server can reach a client now.
    fn can_reach(&self, sessions: &[SessionId]) -> bool {
        sessions.iter().any(|session| {
            self.sessions.get(session).is_some_and(|session| {
                !session.is_closing && (session.link == Link::Stdio || session.get_stream.is_some())
            })
        })
    }

    fn ask_session(
        &mut self,
        session: SessionId,
        upstream: UpstreamId,
        exchange: Option<ExchangeId>,
        message: &Message,
        id: &RequestId,
    ) {
        let Some(record) = self.sessions.get_mut(&session) else {
            return;
        };
        if record.is_closing {
            let error = ErrorObject::new(INTERNAL_ERROR, "the client is gone");
            return self.refuse_server(upstream, id, &error);
        }
        let shown = record.question_id(id);
        record.questions.insert(
            shown.key(),
            Question {
                upstream,
                server_id: id.clone(),
                exchange,
                input_key: None,
                token: message
                    .meta(meta::PROGRESS_TOKEN)
                    .map(Bytes::copy_from_slice),
            },
        );
        let out = match message.span(EnvelopeKey::Id) {
            Some(span) if shown != *id => splice(
                message.raw(),
                vec![Edit {
                    range: span,
                    with: shown.raw().clone(),
                }],
            ),
            _ => message.raw().clone().into(),
        };
        self.send_to(session, exchange, out, false);
    }

    /// Takes a client's answer to a question.
    pub(super) fn client_answer(
        &mut self,
        now: Instant,
        session: SessionId,
        id: &RequestId,
        message: &Message,
    ) {
        let Some(question) = self
            .sessions
            .get_mut(&session)
            .and_then(|record| record.questions.remove(&id.key()))
        else {
            self.counters.strays += 1;
            return;
        };
        if question.input_key.is_some() {
            return self.input_answered(now, &question, message);
        }
        let out = match message.span(EnvelopeKey::Id) {
            Some(span) if question.server_id.raw() != id.raw() => splice(
                message.raw(),
                vec![Edit {
                    range: span,
                    with: question.server_id.raw().clone(),
                }],
            ),
            _ => message.raw().clone().into(),
        };
        self.send_upstream_raw(question.upstream, out);
    }

    /// Tells a server that its question will not be answered.
    pub(super) fn refuse_question(&mut self, now: Instant, question: &Question, reason: &str) {
        let error = ErrorObject::new(INTERNAL_ERROR, reason);
        self.question_failed(Some(now), question, &error);
    }

    pub(super) fn question_failed(
        &mut self,
        now: Option<Instant>,
        question: &Question,
        error: &ErrorObject,
    ) {
        if question.input_key.is_some() {
            if let (Some(now), Some(exchange)) = (now, question.exchange) {
                self.fail(now, exchange, error);
            }
            return;
        }
        self.refuse_server(question.upstream, &question.server_id, error);
    }

    pub(super) fn refuse_server(
        &mut self,
        upstream: UpstreamId,
        id: &RequestId,
        error: &ErrorObject,
    ) {
        let answer = write::error_response(Some(id), error);
        self.send_upstream_raw(upstream, answer);
    }

    pub(super) fn send_upstream_raw(&mut self, upstream: UpstreamId, message: Outgoing) {
        if self.upstreams.contains_key(&upstream) {
            self.actions.push_back(Action::SendUpstream {
                upstream,
                key: None,
                message,
                headers: Vec::new(),
            });
        }
    }

    /// Questions of a connection that is gone: clients are told not to answer.
    pub(super) fn drop_questions(&mut self, upstream: UpstreamId) {
        let mut told = Vec::new();
        for session in self.sessions.values_mut() {
            let ids: Vec<_> = session
                .questions
                .iter()
                .filter(|(_, question)| question.upstream == upstream)
                .map(|(id, question)| (id.clone(), question.exchange))
                .collect();
            for (id, exchange) in ids {
                session.questions.remove(&id);
                told.push((session.id, id, exchange));
            }
        }
        for (session, id, exchange) in told {
            let params = object_of(&[
                ("requestId", id.to_json()),
                (
                    "reason",
                    Bytes::from_static(b"\"the server that asked is gone\""),
                ),
            ]);
            let message = write::notification(method::CANCELLED, Some(&params)).into();
            self.send_to(session, exchange, message, false);
        }
    }

    /// Returns the connection whose question carried a progress token.
    pub(super) fn question_token_owner(
        &self,
        session: SessionId,
        token: &[u8],
    ) -> Option<UpstreamId> {
        self.sessions
            .get(&session)?
            .questions
            .values()
            .find(|question| question.token.as_deref() == Some(token))
            .map(|question| question.upstream)
    }

    pub(super) fn exchange_by_key(&self, upstream: UpstreamId, key: u64) -> Option<ExchangeId> {
        match self.upstreams.get(&upstream)?.by_key(key)?.1.purpose {
            Purpose::Exchange(id) => Some(id),
            _ => None,
        }
    }

    pub(super) fn in_flight_exchanges(
        &self,
        upstream: UpstreamId,
    ) -> impl Iterator<Item = ExchangeId> + '_ {
        self.upstreams
            .get(&upstream)
            .into_iter()
            .flat_map(|record| record.in_flight.values())
            .filter(|in_flight| !in_flight.is_abandoned)
            .filter_map(|in_flight| match in_flight.purpose {
                Purpose::Exchange(id) => Some(id),
                _ => None,
            })
    }

    /// Returns the legacy sessions that a server's message may concern: the exchange's own, else all
    /// that use the connection.
    pub(super) fn legacy_sessions(
        &self,
        upstream: UpstreamId,
        exchange: Option<ExchangeId>,
    ) -> Vec<SessionId> {
        if let Some(exchange) = exchange.and_then(|id| self.exchanges.get(&id)) {
            return match exchange.era {
                Era::Legacy => vec![exchange.session],
                Era::Modern => Vec::new(),
            };
        }
        let Some(record) = self.upstreams.get(&upstream) else {
            return Vec::new();
        };
        self.users_of(record.set)
            .filter(|session| self.sessions[session].legacy.is_some())
            .collect()
    }

    /// Sends a message to a client: on the stream of the exchange it belongs to, else on its own.
    pub(super) fn send_to(
        &mut self,
        session: SessionId,
        exchange: Option<ExchangeId>,
        message: Outgoing,
        is_droppable: bool,
    ) {
        let Some(record) = self.sessions.get(&session) else {
            return;
        };
        let own = exchange
            .and_then(|id| self.exchanges.get(&id))
            .filter(|exchange| exchange.session == session && exchange.batch.is_none())
            .map(|exchange| exchange.stream)
            .filter(|stream| self.streams.contains_key(stream));
        let stream = match record.link {
            Link::Stdio => Some(STDIO),
            Link::HttpSession(_) => own.or(record.get_stream),
            Link::HttpRequests => own,
        };
        if let Some(stream) = stream {
            self.actions.push_back(Action::Send {
                stream,
                message,
                is_final: false,
                status: 200,
                is_droppable,
            });
            return;
        }
        if matches!(record.link, Link::HttpSession(_))
            && let Some(record) = self.sessions.get_mut(&session)
        {
            record.waiting.push_back(message);
            if record.waiting.len() > WAITING_MESSAGES {
                record.waiting.pop_front();
            }
        }
    }
}

/// Order of log levels (RFC 5424, as MCP lists them).
fn severity(level: &str) -> usize {
    [
        "debug",
        "info",
        "notice",
        "warning",
        "error",
        "critical",
        "alert",
        "emergency",
    ]
    .iter()
    .position(|name| *name == level)
    .unwrap_or(0)
}
