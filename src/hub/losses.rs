//! Connections that fail or end: what was in flight is answered, the server is started again.

use std::time::Instant;

use crate::jsonrpc::error::METHOD_NOT_FOUND;
use crate::jsonrpc::message::Message;
use crate::jsonrpc::write;
use crate::mcp::error;
use crate::mcp::method::ListKind;
use crate::mcp::version::Era;
use crate::upstream::{InFlight, Purpose, State, UpstreamId};

use super::Hub;
use super::action::{Action, Ended, NoteLevel, TransportFailure};
use super::exchange::{Exchange, ExchangeId, Plan};
use super::forward::error_code;
use super::measure::Outcome;
use super::rescue::Trouble;
use super::settings::EraChoice;
use super::timers::TimerKey;

/// What to do about a child that ended before its handshake was over.
const NEVER_READY: &str = "\nhint: run the command by itself; what it wrote to stderr is above";

impl Hub {
    /// A request failed below JSON-RPC.
    pub fn handle_upstream_failed(
        &mut self,
        now: Instant,
        upstream: UpstreamId,
        key: Option<u64>,
        failure: &TransportFailure,
    ) {
        // The end of a stream whose answer came already is no failure of its server.
        let is_over = key.is_some_and(|key| {
            let record = self.upstreams.get(&upstream);
            record.is_none_or(|record| record.by_key(key).is_none())
        });
        if !is_over {
            self.breaker_notes_transport(now, upstream, failure);
        }
        if self.is_session_refusal(upstream, key, failure) {
            return self.send_on_new_session(now, upstream, key);
        }
        // A refusal may carry a JSON-RPC answer to exactly this request.
        if let (Some(body), Some(key)) = (&failure.body, key)
            && let Ok(message) = Message::parse_single(body.clone(), self.settings.limits.message)
            && message.error().is_some()
        {
            let purpose = self
                .upstreams
                .get(&upstream)
                .and_then(|record| record.by_key(key))
                .map(|(id, in_flight)| (id.clone(), in_flight.purpose.clone()));
            if let Some((id, purpose)) = purpose
                && self.takes_error_body(&purpose, failure, &message)
            {
                return self.answered(now, upstream, &id, message);
            }
        }
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return;
        };
        let Some(id) = key.and_then(|key| record.by_key(key).map(|(id, _)| id.clone())) else {
            if is_over && failure.status.is_none() && failure.body.is_none() {
                return;
            }
            // The end of a stream whose answer came already says nothing new.
            let level = if key.is_some() {
                NoteLevel::Debug
            } else {
                NoteLevel::Warn
            };
            let name = self.server_name(upstream);
            self.note(level, &name, failure.message.clone());
            return;
        };
        let Some(in_flight) = record.in_flight.remove(&id) else {
            return;
        };
        let failed = Outcome::Error(Trouble::of_transport(failure).error("").code);
        self.trace_own_answered(now, upstream, &id, failed);
        self.credentials_failed(now, upstream, &in_flight.purpose, failure);
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return;
        };
        match in_flight.purpose {
            Purpose::Discover if record.state == State::Probing => {
                let is_refusal = failure.status.is_some_and(|status| {
                    (400..500).contains(&status) && status != 401 && status != 403 && status != 429
                });
                if is_refusal && !self.is_pinned_modern(upstream) {
                    return self.try_legacy(now, upstream);
                }
                self.connection_failed(now, upstream, &failure.message);
            }
            Purpose::Initialize if record.state == State::Initializing => {
                let is_old = matches!(failure.status, Some(400 | 404 | 405 | 406 | 415));
                // A connection that was ready and begins a new session has shown what its server speaks.
                let is_new = record.ready_since.is_none();
                if is_old && is_new && !record.fell_back {
                    record.fell_back = true;
                    self.actions.push_back(Action::FallBackToSse { upstream });
                    return self.begin_handshake(now, upstream);
                }
                self.connection_failed(now, upstream, &failure.message);
            }
            Purpose::Exchange(id) if !in_flight.is_abandoned() => {
                let trouble = Trouble::of_transport(failure);
                self.measure_upstream(now, upstream, id, Outcome::Error(trouble.error("").code));
                // Whoever is refused is not answered with what was kept.
                let is_refused = matches!(failure.status, Some(401 | 403));
                if !is_refused && self.stand_in(now, id, &trouble) {
                    return;
                }
                let name = self.server_name(upstream);
                let mut object = trouble.error(&name);
                add_hints(&mut object, failure);
                for id in self.cache_shares_trouble(id) {
                    self.fail_with_challenge(now, id, &object, failure);
                }
                self.fail_with_challenge(now, id, &object, failure);
                self.retry_deferred(now, upstream);
            }
            Purpose::List(kind) => self.fetch_failed(now, upstream, kind, None),
            Purpose::Listen => {
                if let Some(record) = self.upstreams.get_mut(&upstream) {
                    record.listen_id = None;
                }
                self.listen_lost(now, upstream);
            }
            _ => {}
        }
    }

    /// Answers with what the transport said.
    pub(super) fn fail_by(
        &mut self,
        now: Instant,
        id: ExchangeId,
        upstream: UpstreamId,
        failure: &TransportFailure,
    ) {
        let name = self.server_name(upstream);
        let mut object = Trouble::of_transport(failure).error(&name);
        add_hints(&mut object, failure);
        self.fail_with_challenge(now, id, &object, failure);
    }

    /// Answers with an error; an HTTP client also gets the server's challenge, as it needs it to
    /// authorize (RFC 9728).
    fn fail_with_challenge(
        &mut self,
        now: Instant,
        id: ExchangeId,
        object: &crate::jsonrpc::error::ErrorObject,
        failure: &TransportFailure,
    ) {
        let status = failure.status.filter(|status| matches!(status, 401 | 403));
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        if let (Some(status), true) = (status, exchange.stream != crate::session::STDIO) {
            if let Some(challenge) = &failure.www_authenticate
                && self.streams.contains_key(&exchange.stream)
            {
                self.actions.push_back(Action::Header {
                    stream: exchange.stream,
                    name: "www-authenticate",
                    value: challenge.clone(),
                });
            }
            let message = write::error_response(Some(&exchange.request_id), object);
            return self.answer(now, id, message, status);
        }
        self.fail(now, id, object);
    }

    /// Tells whether the JSON-RPC error in a failed HTTP response answers the request. A legacy server's
    /// refusal of a probe does not: it says nothing but "legacy".
    pub(super) fn takes_error_body(
        &self,
        purpose: &Purpose,
        failure: &TransportFailure,
        message: &Message,
    ) -> bool {
        // Without its status and challenge a client would not know that it has to log in.
        if failure.status == Some(401)
            || (failure.status == Some(403) && failure.www_authenticate.is_some())
        {
            return false;
        }
        match purpose {
            Purpose::Discover | Purpose::Initialize => {
                matches!(
                    error_code(message),
                    Some(
                        error::HEADER_MISMATCH
                            | error::MISSING_CAPABILITY
                            | error::UNSUPPORTED_VERSION
                            | METHOD_NOT_FOUND
                    )
                ) && !matches!(failure.status, Some(401 | 403))
            }
            _ => true,
        }
    }

    /// The handshake failed: like a lost child, but nothing ran. What is left of the connection must neither answer
    /// later nor stay behind where nobody tries again.
    pub(super) fn connection_failed(&mut self, now: Instant, upstream: UpstreamId, detail: &str) {
        self.actions.push_back(Action::Disconnect { upstream });
        self.handle_upstream_closed(
            now,
            upstream,
            &Ended {
                detail: detail.to_owned(),
                stderr: Vec::new(),
                is_unusable: false,
            },
        );
    }

    /// A connection ended.
    pub fn handle_upstream_closed(&mut self, now: Instant, upstream: UpstreamId, ended: &Ended) {
        // Whoever takes the place of a call that is failed here must not be sent to what just ended.
        self.cache_holds_back(upstream);
        self.upstream_closed(now, upstream, ended);
        self.cache_goes_on(now);
    }

    fn upstream_closed(&mut self, now: Instant, upstream: UpstreamId, ended: &Ended) {
        let name = self.server_name(upstream);
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return;
        };
        let state = record.state.clone();
        if matches!(state, State::Idle | State::Backoff(_) | State::Parked(_)) {
            return;
        }
        if self.spare_ended(upstream, ended) {
            return;
        }
        self.timers.clear(TimerKey::Upstream(upstream));
        self.forget_probe(upstream);
        self.trace_own_lost(now, upstream);
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return;
        };
        record.last_failure = Some(ended.detail.clone());
        record.last_stderr.clone_from(&ended.stderr);
        record.handshake = None;
        record.listen_id = None;
        record.initialized_sent = false;
        record.fell_back = false;
        record.is_unusable = ended.is_unusable;
        record.tokens.clear();
        let in_flight: Vec<InFlight> = record
            .in_flight
            .drain()
            .map(|(_, in_flight)| in_flight)
            .collect();
        let was_up = record.ready_since.take();
        if was_up
            .is_some_and(|since| now.duration_since(since) >= self.settings.restart.reset_after)
        {
            record.attempts = 0;
        }
        if state == State::Stopping {
            self.upstreams.remove(&upstream);
            self.deferred.remove(&upstream);
            return;
        }
        let was_ready = record.was_ready;
        // Tools that changed have another fingerprint; kept results may stand in for the lost server.
        self.cache_gap(
            upstream,
            &[ListKind::Prompts, ListKind::Resources, ListKind::Templates],
        );
        self.cache_connection_lost(upstream);
        self.drop_questions(upstream);
        self.deferred.remove(&upstream);
        for in_flight in in_flight {
            if in_flight.is_abandoned() {
                continue;
            }
            match in_flight.purpose {
                Purpose::Exchange(id) => {
                    let detail = ended.detail.clone();
                    let lost = Outcome::Error(crate::mcp::error::ProxyError::UpstreamLost.code());
                    self.measure_upstream(now, upstream, id, lost);
                    self.fail_with(now, id, &Trouble::Lost { detail });
                }
                Purpose::List(kind) => self.fetch_failed(now, upstream, kind, None),
                _ => {}
            }
        }
        if self.retired.contains(&upstream) {
            // It left the settings: it is not started again, and what was to go on there cannot. What is answered
            // already needs to know what it was.
            if let Some(record) = self.upstreams.get_mut(&upstream) {
                record.state = State::Stopping;
            }
            self.fail_all_at(now, upstream, &ended.detail);
            if self.exchanges_at(upstream).next().is_none() {
                self.retired.remove(&upstream);
                self.upstreams.remove(&upstream);
            }
            return;
        }
        // These answers may have been the last that a session waited for, and this connection was closed
        // with it: started again it would live for nobody, and we would wait for its end for ever.
        match self.upstreams.get(&upstream).map(|record| &record.state) {
            None => return,
            Some(State::Stopping) => {
                self.upstreams.remove(&upstream);
                return;
            }
            Some(_) => {}
        }
        if state == State::Probing
            && self.settings.servers[self.upstreams[&upstream].server].era == EraChoice::Auto
            && !ended.is_unusable
        {
            // Some old servers exit on anything before `initialize`.
            let server = self.upstreams[&upstream].server;
            self.eras.insert(server, Era::Legacy);
            if let Some(record) = self.upstreams.get_mut(&upstream) {
                record.era_first = Era::Legacy;
            }
            self.note(
                NoteLevel::Info,
                &name,
                "the server ended on the era probe; starting it again as a legacy one",
            );
            return self.connect(now, upstream);
        }
        let is_http = self.settings.servers[self.upstreams[&upstream].server].is_http;
        let sentence = if ended.is_unusable {
            ended.detail.clone()
        } else {
            let hint = if was_ready || is_http {
                ""
            } else {
                NEVER_READY
            };
            format!("connection lost: {}{hint}", ended.detail)
        };
        self.note(NoteLevel::Error, &name, sentence);
        self.schedule_restart(now, upstream, was_ready);
    }

    /// Answers everything that waits for a connection, is queued for it, or was to go on there after a question.
    fn fail_all_at(&mut self, now: Instant, upstream: UpstreamId, detail: &str) {
        self.fail_queue(now, upstream);
        let is_answered = |exchange: &&Exchange| {
            exchange.answered.is_some()
                || matches!(&exchange.plan, Plan::Parked(parked) if parked.finished.is_some())
        };
        let ids: Vec<ExchangeId> = self
            .exchanges_at(upstream)
            .filter(|exchange| !is_answered(exchange))
            .map(|exchange| exchange.id)
            .collect();
        for id in ids {
            let detail = detail.to_owned();
            self.fail_with(now, id, &Trouble::Lost { detail });
        }
    }

    /// Tells whether a refusal means that a legacy server no longer knows our session: 404, or 400 with
    /// words to that effect (TypeScript and Python version 1 servers).
    fn is_session_refusal(
        &self,
        upstream: UpstreamId,
        key: Option<u64>,
        failure: &TransportFailure,
    ) -> bool {
        let Some(record) = self.upstreams.get(&upstream) else {
            return false;
        };
        let is_exchange = key
            .and_then(|key| self.exchange_by_key(upstream, key))
            .and_then(|id| self.exchanges.get(&id))
            .is_some_and(|exchange| !exchange.was_resent);
        if !is_exchange || !record.was_ready || record.era() != Era::Legacy {
            return false;
        }
        let speaks_of_session = failure.body.as_ref().is_some_and(|body| {
            String::from_utf8_lossy(body)
                .to_lowercase()
                .contains("session")
        });
        match failure.status {
            Some(404) => true,
            Some(400) => speaks_of_session,
            _ => false,
        }
    }

    /// The lost session refused a request before it ran: it waits for the new one.
    fn send_on_new_session(&mut self, now: Instant, upstream: UpstreamId, key: Option<u64>) {
        let Some(id) = key.and_then(|key| self.exchange_by_key(upstream, key)) else {
            return;
        };
        let sent_in = key
            .and_then(|key| self.upstreams.get(&upstream)?.by_key(key))
            .map(|(_, in_flight)| in_flight.session);
        if let Some(key) = key {
            self.drop_in_flight(upstream, key);
        }
        if let Some(exchange) = self.exchanges.get_mut(&id) {
            exchange.was_resent = true;
        }
        // Others that were refused with it have opened the new session already.
        if sent_in == self.upstreams.get(&upstream).map(|record| record.session) {
            self.handle_session_lost(now, upstream);
        }
        // Another process may be behind the new session: by what that one lists it is judged again.
        if self.is_judged_by_definition(id)
            && let Some(record) = self.upstreams.get_mut(&upstream)
        {
            record.list_mut(ListKind::Tools).resend.push(id);
            if record.is_ready() {
                self.fetch_list(now, upstream, ListKind::Tools);
            }
            return;
        }
        self.forward(now, id, upstream);
    }

    /// An HTTP server forgot our session: one new handshake, for which everybody waits. What is in flight
    /// elsewhere may still be answered.
    pub fn handle_session_lost(&mut self, now: Instant, upstream: UpstreamId) {
        let name = self.server_name(upstream);
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return;
        };
        if record.state != State::Ready {
            return;
        }
        record.session += 1;
        record.initialized_sent = false;
        record.era_first = Era::Legacy;
        self.counters.restarts += 1;
        self.note(
            NoteLevel::Warn,
            &name,
            "the server forgot our session; opening a new one",
        );
        self.cache_connection_lost(upstream);
        self.actions.push_back(Action::ResetSession { upstream });
        self.begin_handshake(now, upstream);
    }

    /// The stream of a server's own messages broke: changes are missed from now on, so what is kept counts no
    /// longer. Lists are read again when it is open again ([`Self::handle_stream_gap`]) or a new handshake was made:
    /// before that a change after the reading would be missed, and thousands of sessions that lost their stream in
    /// the same moment would all ask in the next.
    pub fn handle_stream_ended(&mut self, upstream: UpstreamId) {
        self.cache_gap(upstream, &ListKind::ALL);
    }

    /// The stream of a server's own messages broke and is open again: changes may have been missed.
    pub fn handle_stream_gap(&mut self, now: Instant, upstream: UpstreamId) {
        self.cache_gap(upstream, &ListKind::ALL);
        for kind in ListKind::ALL {
            self.refresh_list(now, upstream, kind);
        }
    }

    pub(super) fn schedule_restart(&mut self, now: Instant, upstream: UpstreamId, was_ready: bool) {
        let jitter = f64::from(u32::from_str_radix(&self.unguessable()[..8], 16).unwrap_or(0))
            / f64::from(u32::MAX);
        let policy = self.settings.restart;
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return;
        };
        record.attempts += 1;
        let wait = policy.backoff(record.attempts, jitter);
        let until = now + wait;
        let name = self.settings.servers[record.server].name.clone();
        if !was_ready || record.attempts > policy.park_after {
            record.state = State::Parked(until);
            let attempts = record.attempts;
            if was_ready {
                self.note(
                    NoteLevel::Error,
                    &name,
                    format!("lost {attempts} times in a row; it is started again when a request needs it"),
                );
            }
            self.settle_handshakes(now, upstream, None);
            self.fail_queue(now, upstream);
            self.lists_on_failure(now, upstream);
            return;
        }
        record.state = State::Backoff(until);
        self.counters.restarts += 1;
        self.timers.set(TimerKey::Upstream(upstream), until);
        self.note(
            NoteLevel::Warn,
            &name,
            format!("restarting in {} ms", wait.as_millis()),
        );
        self.lists_on_failure(now, upstream);
    }

    /// The deadline of a connection's state has passed.
    pub(super) fn upstream_timeout(&mut self, now: Instant, upstream: UpstreamId) {
        let Some(record) = self.upstreams.get(&upstream) else {
            return;
        };
        match record.state {
            State::Probing if !self.is_pinned_modern(upstream) => self.try_legacy(now, upstream),
            State::Connecting | State::Probing | State::Initializing => {
                let limit = self.settings.servers[record.server].start_timeout;
                let detail = format!("it did not answer the handshake within {limit:?}");
                self.breaker_notes_failure(now, upstream);
                self.connection_failed(now, upstream, &detail);
            }
            State::Backoff(_) => self.connect(now, upstream),
            _ => {}
        }
    }

    /// Answers everything that waits for a server that does not come.
    pub(super) fn fail_queue(&mut self, now: Instant, upstream: UpstreamId) {
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return;
        };
        let detail = record.last_failure.clone().unwrap_or_default();
        let queued: Vec<ExchangeId> = record.queue.drain(..).collect();
        for id in queued {
            if self.fail_refused(now, id, upstream) {
                continue;
            }
            let trouble = self.not_there(now, upstream, detail.clone());
            self.fail_with(now, id, &trouble);
        }
        self.fail_held(now, upstream);
    }

    /// Shuts a connection down because nobody uses it any more.
    pub(super) fn stop_upstream(&mut self, upstream: UpstreamId) {
        self.timers.clear(TimerKey::Upstream(upstream));
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return;
        };
        match record.state {
            State::Idle | State::Backoff(_) | State::Parked(_) => {
                self.upstreams.remove(&upstream);
                self.deferred.remove(&upstream);
            }
            _ => {
                record.state = State::Stopping;
                self.actions.push_back(Action::Disconnect { upstream });
            }
        }
    }
}

/// Adds what an HTTP refusal said to the error's data.
fn add_hints(object: &mut crate::jsonrpc::error::ErrorObject, failure: &TransportFailure) {
    let Some(mut data) = object
        .data
        .as_deref()
        .and_then(|data| serde_json::from_str::<serde_json::Value>(data).ok())
    else {
        return;
    };
    if let Some(status) = failure.status {
        data["httpStatus"] = status.into();
    }
    if let Some(excerpt) = &failure.excerpt {
        data["bodyExcerpt"] = excerpt.clone().into();
    }
    if matches!(failure.status, Some(401 | 403)) {
        // Sending the same credentials again changes nothing.
        data["retryable"] = false.into();
    }
    if let Some(wait) = failure.retry_after {
        data["retryAfterMs"] = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).into();
    }
    if let Some(challenge) = &failure.www_authenticate {
        data["wwwAuthenticate"] = challenge.clone().into();
    }
    object.data = Some(data.to_string());
}
