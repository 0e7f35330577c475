//! Questions of servers that go to legacy clients, and the answers that come back.

use std::time::Instant;

use bytes::Bytes;

use crate::jsonrpc::error::{ErrorObject, INTERNAL_ERROR, METHOD_NOT_FOUND};
use crate::jsonrpc::id::RequestId;
use crate::jsonrpc::message::Message;
use crate::jsonrpc::scan::EnvelopeKey;
use crate::jsonrpc::write::{self, Edit, splice};
use crate::mcp::meta;
use crate::mcp::method::{self};
use crate::mcp::version::Era;
use crate::session::{Link, Question, SessionId};
use crate::upstream::UpstreamId;

use super::Hub;
use super::action::NoteLevel;
use super::exchange::{ExchangeId, Plan};
use super::forward::object_of;

/// Questions that one client may have open; a server that asks more of one that does not answer is refused.
const OPEN_QUESTIONS: usize = 1024;

impl Hub {
    pub(super) fn server_request(
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
        if message.method() == method::PING {
            return self.server_ping(upstream, by_stream, message, &id);
        }
        let asking: Vec<ExchangeId> = match by_stream {
            Some(id) => vec![id],
            None => self.exchanges_that_may_ask(upstream),
        };
        self.cache_taint(now, &asking);
        match asking.as_slice() {
            [one] => self.ask_owner(now, upstream, *one, message, &id),
            [] => {
                let sessions = self.legacy_sessions(upstream, None);
                let reached = sessions.iter().find(|one| self.can_reach(&[**one]));
                match reached.or(sessions.first()) {
                    Some(session) => self.ask_session(*session, upstream, None, message, &id),
                    None => {
                        let error = ErrorObject::new(
                            INTERNAL_ERROR,
                            "no request of a client is in flight that this question could belong to",
                        );
                        self.refuse_server(upstream, &id, &error);
                    }
                }
            }
            _ => match self.legacy_session_of_all(&asking) {
                // Whichever call it is about, its client is the same.
                Some(session) => self.ask_session(session, upstream, None, message, &id),
                None => self.defer_question(now, upstream, message, &id),
            },
        }
    }

    /// A server asks whether we are there: a client that can be reached answers, else we do.
    fn server_ping(
        &mut self,
        upstream: UpstreamId,
        by_stream: Option<ExchangeId>,
        message: &Message,
        id: &RequestId,
    ) {
        let sessions = self.legacy_sessions(upstream, by_stream);
        match sessions.into_iter().find(|one| self.can_reach(&[*one])) {
            Some(session) => self.ask_session(session, upstream, by_stream, message, id),
            None => {
                let answer = write::response(id, Bytes::from_static(b"{}").into());
                self.send_upstream_raw(upstream, answer);
            }
        }
    }

    /// Returns what is in flight on a connection and may be asked about. A call whose question is out with its client
    /// counts only where there is no other: its server waits for the answer, and the client may never come back.
    pub(super) fn exchanges_that_may_ask(&self, upstream: UpstreamId) -> Vec<ExchangeId> {
        let may_ask = |id: &ExchangeId| {
            let exchange = self.exchanges.get(id);
            exchange.is_some_and(|exchange| method::may_ask(exchange.request.method()))
        };
        let all: Vec<ExchangeId> = self.in_flight_exchanges(upstream).filter(may_ask).collect();
        let is_busy = |id: &ExchangeId| !self.waits_for_its_client(*id);
        let busy: Vec<ExchangeId> = all.iter().copied().filter(is_busy).collect();
        if busy.is_empty() { all } else { busy }
    }

    /// Tells whether a modern client was told a question of this call's server and has not come back with the answer.
    pub(super) fn waits_for_its_client(&self, id: ExchangeId) -> bool {
        self.exchanges.get(&id).is_some_and(|exchange| {
            matches!(&exchange.plan, Plan::Parked(parked) if parked.is_detached && !parked.questions.is_empty())
        })
    }

    /// Returns the one legacy session that all these exchanges belong to, if it is so.
    fn legacy_session_of_all(&self, exchanges: &[ExchangeId]) -> Option<SessionId> {
        let mut sessions = exchanges.iter().map(|id| {
            let exchange = self.exchanges.get(id)?;
            (exchange.era == Era::Legacy).then_some(exchange.session)
        });
        let first = sessions.next()??;
        sessions
            .all(|session| session == Some(first))
            .then_some(first)
    }

    /// Gives a question to the client whose call it belongs to.
    pub(super) fn ask_owner(
        &mut self,
        now: Instant,
        upstream: UpstreamId,
        owner: ExchangeId,
        message: &Message,
        id: &RequestId,
    ) {
        let Some(exchange) = self.exchanges.get(&owner) else {
            let error = ErrorObject::new(INTERNAL_ERROR, "the call it belonged to is over");
            return self.refuse_server(upstream, id, &error);
        };
        match exchange.era {
            Era::Legacy => self.ask_session(exchange.session, upstream, Some(owner), message, id),
            Era::Modern => self.park_question(now, upstream, owner, message, id),
        }
    }

    /// Tells whether a message of a server can reach a client now.
    pub(super) fn can_reach(&self, sessions: &[SessionId]) -> bool {
        sessions.iter().any(|session| {
            self.sessions.get(session).is_some_and(|session| {
                !session.is_closing && (session.link == Link::Stdio || session.get_stream.is_some())
            })
        })
    }

    pub(super) fn ask_session(
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
        if record.questions.len() >= OPEN_QUESTIONS {
            let error =
                ErrorObject::new(INTERNAL_ERROR, "the client leaves too many questions open");
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
        if let Some(exchange) = question.exchange
            && self
                .exchanges
                .get(&exchange)
                .is_some_and(|exchange| matches!(exchange.plan, Plan::Approve(_)))
        {
            return self.approval_answered(now, exchange, message);
        }
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
        self.question_failed(now, question, &error);
    }

    pub(super) fn question_failed(
        &mut self,
        now: Instant,
        question: &Question,
        error: &ErrorObject,
    ) {
        if question.input_key.is_some() {
            if let Some(exchange) = question.exchange {
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

    /// Questions of a connection that is gone: clients are told not to answer. Those of a modern server are asked
    /// still, as it keeps nothing open for them: the answers go to it in a new request.
    pub(super) fn drop_questions(&mut self, upstream: UpstreamId) {
        let mut told = Vec::new();
        for session in self.sessions.values_mut() {
            let ids: Vec<_> = session
                .questions
                .iter()
                .filter(|(_, question)| {
                    question.upstream == upstream && question.input_key.is_none()
                })
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
}
