//! What a server sends: answers, questions, notifications, and what is none of these.

use std::time::Instant;

use bytes::Bytes;

use crate::jsonrpc::id::RequestId;
use crate::jsonrpc::message::{Fault, Kind, Malformed, Message, Parsed};
use crate::jsonrpc::write::{Edit, Outgoing, splice};
use crate::mcp::level::severity;
use crate::mcp::meta;
use crate::mcp::method::{self, ListKind};
use crate::mcp::version::Era;
use crate::session::{Link, STDIO, SessionId};
use crate::upstream::{Purpose, UpstreamId};

use super::Hub;
use super::action::{Action, NoteLevel};
use super::exchange::ExchangeId;
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
        // A process that nobody uses any more may still speak until it has ended.
        if !self.upstreams.contains_key(&upstream) {
            self.counters.strays += 1;
            return;
        }
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
                return self.server_garbage(now, upstream, via, &malformed, &excerpt);
            }
        }
        if via.is_some() {
            self.credentials_accepted(now, upstream);
        }
    }

    /// A line that is no message: dropped and counted, and where it looks like somebody's answer that
    /// call fails now instead of waiting for ever.
    pub(super) fn server_garbage(
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
            let shown: String = without_secrets(excerpt).chars().take(120).collect();
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
        let mut alive = record
            .in_flight
            .iter()
            .filter(|(_, one)| !one.is_given_up(now));
        let by_count = match (alive.next(), alive.next()) {
            (Some((only, _)), None)
                if malformed.is_response && matches!(malformed.fault, Fault::TooLarge { .. }) =>
            {
                Some(only.clone())
            }
            _ => None,
        };
        // A notification is nobody's answer, on whichever stream it came. On that of a call a question that nobody can
        // read ends the call, as its server would wait for an answer.
        if malformed.has_method && (by_stream.is_none() || malformed.id.is_none()) {
            return;
        }
        let Some(key) = by_id.or(by_stream).or(by_count) else {
            return;
        };
        let Some(in_flight) = record.in_flight.remove(&key) else {
            return;
        };
        if in_flight.is_abandoned() {
            return;
        }
        let mut detail = malformed.fault.to_string();
        if via.is_some() && !excerpt.is_empty() {
            // What a server sends instead of an answer usually says what is wrong.
            let shown: String = without_secrets(excerpt).chars().take(200).collect();
            detail = format!("{detail}; it began with {shown:?}");
        }
        let trouble = match malformed.fault {
            Fault::TooLarge { .. } => Trouble::TooLarge { detail },
            _ => Trouble::Protocol { detail },
        };
        match in_flight.purpose {
            Purpose::Exchange(id) => {
                self.fail_with(now, id, &trouble);
                self.retry_deferred(now, upstream);
            }
            Purpose::List(kind) => self.fetch_failed(now, upstream, kind, None),
            _ => {}
        }
    }

    pub(super) fn server_message(
        &mut self,
        now: Instant,
        upstream: UpstreamId,
        via: Option<u64>,
        message: Message,
    ) {
        self.is_alive(upstream);
        self.breaker_hears(now, upstream);
        match message.kind().clone() {
            Kind::Response(id) if self.is_foreign(upstream, via, &id) => {
                let exchange = via.and_then(|key| self.exchange_by_key(upstream, key));
                if let (Some(exchange), Some(key)) = (exchange, via) {
                    self.drop_in_flight(upstream, key);
                    let detail = format!("it answered with the id {id}, which was not asked");
                    self.fail_with(now, exchange, &Trouble::Protocol { detail });
                }
            }
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

    /// Tells whether a result on a request's own stream carries an id that is not in flight.
    fn is_foreign(&self, upstream: UpstreamId, via: Option<u64>, id: &RequestId) -> bool {
        let Some(record) = self.upstreams.get(&upstream) else {
            return false;
        };
        !record.in_flight.contains_key(&id.key())
            && via.is_some_and(|key| record.by_key(key).is_some())
    }

    /// Takes a request out of a connection's table.
    pub(super) fn drop_in_flight(&mut self, upstream: UpstreamId, key: u64) {
        if let Some(record) = self.upstreams.get_mut(&upstream)
            && let Some(id) = record.by_key(key).map(|(id, _)| id.clone())
        {
            record.in_flight.remove(&id);
        }
    }

    pub(super) fn answer_key(
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

    pub(super) fn server_notification(
        &mut self,
        now: Instant,
        upstream: UpstreamId,
        via: Option<u64>,
        message: &Message,
    ) {
        self.cache_notice(upstream, message);
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

    pub(super) fn list_changed(
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
            state.is_confirmed = false;
            state.observed = None;
            state.snapshot_was_served = false;
            state.notice = Some(Box::new(message.clone()));
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
    pub(super) fn progress(&mut self, now: Instant, upstream: UpstreamId, message: &Message) {
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

    pub(super) fn log_message(
        &mut self,
        upstream: UpstreamId,
        via: Option<u64>,
        message: &Message,
    ) {
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
    pub(super) fn server_cancelled(&mut self, upstream: UpstreamId, message: &Message) {
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
            // Nobody was asked yet.
            if let Some(deferred) = self.deferred.get_mut(&upstream) {
                deferred.retain(|(_, id)| id.key() != key);
                if deferred.is_empty() {
                    self.deferred.remove(&upstream);
                }
            }
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
            .filter(|in_flight| !in_flight.is_abandoned())
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
            record.keep_waiting(message, self.settings.service.session_bytes);
        }
    }
}

/// Text of a server for people, before it is cut: of half a secret nobody could tell that it is one.
fn without_secrets(excerpt: &[u8]) -> String {
    let text = String::from_utf8_lossy(excerpt);
    crate::policy::redact::Redactor::of_logs()
        .text(&text)
        .into_owned()
}
