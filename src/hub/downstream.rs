//! What a client sends: accepted, refused, and given to the part that carries it.

use std::time::Instant;

use bytes::Bytes;

use crate::jsonrpc::error::{ErrorObject, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND};
use crate::jsonrpc::id::RequestId;
use crate::jsonrpc::members;
use crate::jsonrpc::message::{Kind, Malformed, Message, Parsed};
use crate::jsonrpc::scan::folds_to;
use crate::jsonrpc::write::{self};
use crate::mcp::method::{self, ListKind};
use crate::mcp::version::{self, Era};
use crate::mcp::{error, meta};
use crate::policy::scan::visible;
use crate::session::{LegacyClient, SessionId, StreamId};

use super::action::{Action, HttpHead, NoteLevel};
use super::exchange::{Exchange, ExchangeId, Plan};
use super::naming::NameKind;
use super::rescue::Trouble;
use super::timers::TimerKey;
use super::{Batch, Hub};

/// Characters of a name that are repeated.
const SHOWN: usize = 128;
/// Members of `params` that we route on; a twin by case could be read by a server instead.
const ROUTED: [&str; 6] = ["name", "arguments", "uri", "_meta", "taskId", "cursor"];

/// What a client says of itself on one request.
pub(super) struct Speaker {
    pub(super) era: Era,
    pub(super) version: String,
    pub(super) capabilities: Bytes,
}

impl Hub {
    /// Takes a text of a client.
    pub fn handle_frame(
        &mut self,
        now: Instant,
        session: SessionId,
        stream: StreamId,
        parsed: Result<Parsed, Malformed>,
    ) {
        match parsed {
            Ok(Parsed::Message(message)) => {
                self.handle_message(now, session, stream, message, None, None);
            }
            Ok(Parsed::Batch(parts)) => self.handle_batch(now, session, stream, &parts),
            Err(malformed) => self.handle_malformed(now, session, stream, &malformed),
        }
    }

    /// Ends a client's input: what is in flight may finish, nothing new is taken.
    pub fn handle_downstream_closed(&mut self, now: Instant, session: SessionId) {
        let Some(record) = self.sessions.get_mut(&session) else {
            return;
        };
        record.is_closing = true;
        // Questions of servers will never be answered.
        let questions: Vec<_> = record.questions.drain().collect();
        for (_, question) in questions {
            self.refuse_question(now, &question, "the client is gone");
        }
        let listens: Vec<ExchangeId> = self
            .sessions
            .get(&session)
            .map(|s| s.listens.iter().map(|listen| listen.exchange).collect())
            .unwrap_or_default();
        for exchange in listens {
            self.end_listen(now, exchange);
        }
        self.after_exchange(now, session);
    }

    pub(super) fn handle_malformed(
        &mut self,
        now: Instant,
        session: SessionId,
        stream: StreamId,
        malformed: &Malformed,
    ) {
        self.counters.refused += 1;
        self.note(
            NoteLevel::Warn,
            "",
            format!("a message of the client was refused: {}", malformed.fault),
        );
        if malformed.is_response {
            self.unreadable_answer(now, session, malformed);
            self.accept(stream);
            return;
        }
        let message = write::error_response(malformed.id.as_ref(), &malformed.error());
        self.streams.remove(&stream);
        self.actions.push_back(Action::Send {
            stream,
            message,
            is_final: true,
            status: 400,
            is_droppable: false,
        });
    }

    /// An answer nobody can read: its question is answered with an error instead.
    fn unreadable_answer(&mut self, now: Instant, session: SessionId, malformed: &Malformed) {
        if let Some(id) = &malformed.id
            && let Some(question) = self
                .sessions
                .get_mut(&session)
                .and_then(|session| session.questions.remove(&id.key()))
        {
            let error = malformed.error();
            self.question_failed(now, &question, &error);
        }
    }

    pub(super) fn handle_batch(
        &mut self,
        now: Instant,
        session: SessionId,
        stream: StreamId,
        parts: &[Bytes],
    ) {
        let is_allowed = self
            .sessions
            .get(&session)
            .is_some_and(|s| s.legacy.is_some() && version::allows_batch(s.version()));
        if !is_allowed || parts.is_empty() {
            let what = if parts.is_empty() {
                "an empty batch"
            } else {
                "batches exist in protocol versions 2024-11-05 and 2025-03-26 only; send messages one by one"
            };
            let error = ErrorObject::new(INVALID_REQUEST, what);
            let message = write::error_response(None, &error);
            self.streams.remove(&stream);
            self.actions.push_back(Action::Send {
                stream,
                message,
                is_final: true,
                status: 400,
                is_droppable: false,
            });
            return;
        }
        let limits = self.settings.limits.message;
        let messages: Vec<_> = parts
            .iter()
            .map(|part| Message::parse_single(part.clone(), limits))
            .collect();
        let batch_id = self.next_number();
        let missing = messages
            .iter()
            .filter(|message| match message {
                Ok(message) => matches!(message.kind(), Kind::Request(_)),
                Err(malformed) => !malformed.is_response,
            })
            .count();
        self.batches.insert(
            batch_id,
            Batch {
                stream,
                missing,
                answers: Vec::new(),
            },
        );
        for message in messages {
            match message {
                Ok(message) if message.method() == method::INITIALIZE => {
                    let error = ErrorObject::new(
                        INVALID_REQUEST,
                        "`initialize` must not be part of a batch",
                    );
                    let answer = write::error_response(message.id(), &error);
                    self.send_answer(stream, Some(batch_id), answer, 200);
                }
                Ok(message) => {
                    self.handle_message(now, session, stream, message, Some(batch_id), None);
                }
                Err(malformed) if !malformed.is_response => {
                    let answer = write::error_response(malformed.id.as_ref(), &malformed.error());
                    self.send_answer(stream, Some(batch_id), answer, 200);
                }
                Err(malformed) => self.unreadable_answer(now, session, &malformed),
            }
        }
        if missing == 0 {
            self.finish_batch(batch_id);
        }
    }

    /// Takes one message of a client.
    pub(super) fn handle_message(
        &mut self,
        now: Instant,
        session: SessionId,
        stream: StreamId,
        message: Message,
        batch: Option<u64>,
        head: Option<&HttpHead>,
    ) {
        if let Some(record) = self.sessions.get_mut(&session) {
            record.last_seen = now;
        }
        match message.kind().clone() {
            Kind::Request(id) => {
                self.client_request(now, session, stream, message, id, batch, head)
            }
            Kind::Notification => {
                self.client_notification(now, session, &message);
                if batch.is_none() {
                    self.accept(stream);
                }
            }
            Kind::Response(id) => {
                self.client_answer(now, session, &id, &message);
                if batch.is_none() {
                    self.accept(stream);
                }
            }
            Kind::ErrorResponse(id) => {
                if let Some(id) = id {
                    self.client_answer(now, session, &id, &message);
                }
                if batch.is_none() {
                    self.accept(stream);
                }
            }
        }
    }

    /// Acknowledges a POST that wants no answer.
    pub(super) fn accept(&mut self, stream: StreamId) {
        if stream != crate::session::STDIO {
            self.streams.remove(&stream);
            self.actions.push_back(Action::Status {
                stream,
                status: 202,
                body: None,
            });
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "a request and everything it came with"
    )]
    pub(super) fn client_request(
        &mut self,
        now: Instant,
        session: SessionId,
        stream: StreamId,
        message: Message,
        id: RequestId,
        batch: Option<u64>,
        head: Option<&HttpHead>,
    ) {
        let refuse = |hub: &mut Self, error: &ErrorObject, status: u16| {
            hub.counters.refused += 1;
            let answer = write::error_response(Some(&id), error);
            hub.send_answer(stream, batch, answer, status);
        };
        let speaker = match self.speaker(session, &message, head) {
            Ok(speaker) => speaker,
            Err(error) => return refuse(self, &error, 400),
        };
        if let Some(twin) = case_twin(&message) {
            let error = ErrorObject::new(
                INVALID_REQUEST,
                format!(
                    "the member `{twin}` of `params` differs from a protocol member only by case"
                ),
            );
            return refuse(self, &error, 400);
        }
        if let Some(name) = nul_in_name(&message) {
            let error = ErrorObject::new(
                INVALID_REQUEST,
                format!("`params.{name}` holds a NUL character"),
            );
            return refuse(self, &error, 400);
        }
        let Some(record) = self.sessions.get(&session) else {
            return;
        };
        if record.is_closing || self.draining_since.is_some() {
            return refuse(self, &Trouble::Draining.error(""), 503);
        }
        if self.is_overloaded {
            let trouble = Trouble::Overloaded {
                what: "the client does not read its answers fast enough",
            };
            return refuse(self, &trouble.error(""), 503);
        }
        if record.in_flight.len() >= self.settings.limits.in_flight_per_session {
            let trouble = Trouble::Overloaded {
                what: "too many requests of this client are in flight",
            };
            return refuse(self, &trouble.error(""), 503);
        }
        if record.in_flight.contains_key(&(stream, id.clone())) {
            let error = ErrorObject::new(
                INVALID_REQUEST,
                format!("a request with the id {id} is already in flight"),
            );
            return refuse(self, &error, 400);
        }
        let tool_era = (message.method() == method::TOOLS_CALL).then_some(speaker.era);
        if let Err(trouble) = self.enter(now, session, message.raw().len()) {
            return self.refuse_busy(stream, batch, &id, tool_era, &trouble);
        }
        self.counters.requests += 1;
        let exchange = self.next_number();
        if let Some(record) = self.sessions.get_mut(&session) {
            record.in_flight.insert((stream, id.clone()), exchange);
        }
        let progress_token = message
            .meta(meta::PROGRESS_TOKEN)
            .map(Bytes::copy_from_slice);
        self.exchanges.insert(
            exchange,
            Exchange {
                id: exchange,
                session,
                stream,
                request: message,
                request_id: id,
                era: speaker.era,
                version: speaker.version,
                capabilities: speaker.capabilities,
                plan: Plan::Forward,
                upstream: None,
                real_name: None,
                extra_params: Vec::new(),
                remove_params: Vec::new(),
                head_params: head.map(|head| head.params.clone()).unwrap_or_default(),
                trace: head.map(|head| head.trace.clone()).unwrap_or_default(),
                progress_token,
                progress: (f64::NEG_INFINITY, 0.0),
                batch,
                cap: now.checked_add(self.settings.timeouts.absolute),
                was_sent: false,
                was_resent: false,
                rounds: 0,
                asked_for_surface: false,
                waited_for_definition: false,
                counted_as: None,
                is_through_caller: false,
                projection: None,
                answered: None,
                surface_by: None,
                headers_renewed: false,
                approved: None,
                audit: None,
                cache: super::cache::Part::None,
                traced: None,
                measure: super::measure::Measure::new(now),
            },
        );
        self.trace_start(now, exchange);
        self.audit_start(now, exchange);
        self.start(now, exchange);
    }

    /// Finds out who speaks: modern by its metadata (or header), else legacy.
    pub(super) fn speaker(
        &self,
        session: SessionId,
        message: &Message,
        head: Option<&HttpHead>,
    ) -> Result<Speaker, ErrorObject> {
        let record = self.sessions.get(&session);
        let in_header = head
            .and_then(|head| head.protocol_version.as_deref())
            .filter(|version| version::era_of(version) == Era::Modern);
        let in_meta = message.meta_text(meta::PROTOCOL_VERSION);
        let is_modern = in_meta.is_some()
            || in_header.is_some()
            || record.is_some_and(|record| record.era() == Era::Modern);
        if !is_modern {
            return Ok(Speaker {
                era: Era::Legacy,
                version: record
                    .map_or(version::NEWEST_LEGACY, |r| r.version())
                    .to_owned(),
                capabilities: record
                    .and_then(|record| record.legacy.as_ref())
                    .map_or(Bytes::from_static(b"{}"), |legacy| {
                        legacy.capabilities.clone()
                    }),
            });
        }
        let missing = |key: &str| {
            ErrorObject::new(
                INVALID_PARAMS,
                format!("a request of this protocol version needs `params._meta[\"{key}\"]`"),
            )
        };
        let version = in_meta.ok_or_else(|| missing(meta::PROTOCOL_VERSION))?;
        if version != version::MODERN {
            return Err(self.unsupported(&version));
        }
        let capabilities = message
            .meta(meta::CLIENT_CAPABILITIES)
            .filter(|raw| raw.first() == Some(&b'{'))
            .ok_or_else(|| missing(meta::CLIENT_CAPABILITIES))?;
        Ok(Speaker {
            era: Era::Modern,
            version,
            capabilities: Bytes::copy_from_slice(capabilities),
        })
    }

    /// Gives an exchange to the part that carries it.
    pub(super) fn start(&mut self, now: Instant, id: ExchangeId) {
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        let (session, era) = (exchange.session, exchange.era);
        let method_name = exchange.request.method().to_owned();
        if self.is_circle(now, id) {
            return;
        }
        if method::is_removed(&method_name, era) && era == Era::Modern {
            let error = ErrorObject::new(
                METHOD_NOT_FOUND,
                format!("`{method_name}` does not exist in protocol version 2026-07-28"),
            );
            return self.fail(now, id, &error);
        }
        self.prepare_set(now, session, id);
        if self.holds(now, id) {
            return;
        }
        if let Some(kind) = ListKind::of_method(&method_name) {
            return self.start_list(now, id, kind);
        }
        match method_name.as_str() {
            method::INITIALIZE | method::DISCOVER => self.start_handshake(now, id),
            method::PING => self.start_ping(now, id),
            method::LISTEN => self.start_listen(now, id),
            method::SET_LEVEL => self.start_set_level(now, id),
            method::TOOLS_CALL => self.start_named(now, id, NameKind::Tool),
            method::PROMPTS_GET => self.start_named(now, id, NameKind::Prompt),
            method::RESOURCES_READ
            | method::RESOURCES_SUBSCRIBE
            | method::RESOURCES_UNSUBSCRIBE => {
                self.start_by_uri(now, id, &method_name);
            }
            method::COMPLETE => self.start_completion(now, id),
            _ if method_name.starts_with("tasks/") => self.start_task(now, id),
            _ => self.start_unknown(now, id),
        }
    }

    /// Makes sure that a session's servers are started with what its client said.
    pub(super) fn prepare_set(&mut self, now: Instant, session: SessionId, exchange: ExchangeId) {
        let Some(request) = self.exchanges.get(&exchange) else {
            return;
        };
        let is_initialize = request.request.method() == method::INITIALIZE;
        if request.era == Era::Legacy && !is_initialize {
            // A client that never shook hands: the servers still need a handshake of ours.
            let version = version::NEWEST_LEGACY;
            let params = format!(
                "{{\"protocolVersion\":\"{version}\",\"capabilities\":{{}},\"clientInfo\":{{\"name\":\"mcp-whittle\",\"version\":\"{}\"}}}}",
                self.settings.version
            );
            let is_ping = request.request.method() == method::PING;
            if let Some(record) = self.sessions.get_mut(&session)
                && record.legacy.is_none()
                && !is_ping
            {
                record.legacy = Some(LegacyClient {
                    params: params.into(),
                    version: version.to_owned(),
                    capabilities: Bytes::from_static(b"{}"),
                    initialized: None,
                    log_level: None,
                });
            }
        }
        if is_initialize {
            return;
        }
        for upstream in self.set_upstreams(session) {
            self.wake(now, upstream, Some(exchange));
        }
    }

    pub(super) fn client_notification(
        &mut self,
        now: Instant,
        session: SessionId,
        message: &Message,
    ) {
        match message.method() {
            method::INITIALIZED => {
                if let Some(record) = self.sessions.get_mut(&session)
                    && let Some(legacy) = &mut record.legacy
                {
                    // Its own bytes: a slice of what a connection read would hold all of that.
                    let own = Bytes::copy_from_slice(message.raw());
                    let own = Message::parse_single(own, self.settings.limits.message);
                    legacy.initialized = Some(own.unwrap_or_else(|_| message.clone()));
                }
                for upstream in self.set_upstreams(session) {
                    self.send_initialized(now, upstream);
                }
            }
            method::CANCELLED => self.client_cancelled(now, session, message),
            method::ROOTS_CHANGED => {
                for upstream in self.set_upstreams(session) {
                    if self.upstreams[&upstream].era() == Era::Legacy {
                        self.cache_roots_changed(now, upstream);
                        self.forward_notification(upstream, message);
                    }
                }
            }
            method::PROGRESS => {
                let owner = message
                    .body("progressToken")
                    .and_then(|token| self.question_token_owner(session, token));
                let targets = owner.map_or_else(|| self.set_upstreams(session), |one| vec![one]);
                if let [one] = targets.as_slice() {
                    self.forward_notification(*one, message);
                }
            }
            name if method::is_request(name) => {
                // Some servers would run it all the same, and nothing of ours has judged it.
                let name: String = visible(name).chars().take(SHOWN).collect();
                let text = format!(
                    "`{name}` came without an id and was dropped: it is a request; hint: send it with an `id`"
                );
                self.note(NoteLevel::Warn, "", text);
            }
            _ => {
                for upstream in self.set_upstreams(session) {
                    self.forward_notification(upstream, message);
                }
            }
        }
    }

    /// Sends a client's notification as it came, where the server can take it.
    pub(super) fn forward_notification(&mut self, upstream: u64, message: &Message) {
        if self
            .upstreams
            .get(&upstream)
            .is_some_and(|record| record.is_ready())
        {
            self.actions.push_back(Action::SendUpstream {
                upstream,
                key: None,
                message: message.raw().clone().into(),
                headers: Vec::new(),
            });
        }
    }

    /// Takes the last client of a session away: its own connections are shut down.
    pub(super) fn close_session(&mut self, now: Instant, session: SessionId) {
        // Those too that wait for a client to come back with answers.
        let of_session = self.exchanges.values();
        let of_session = of_session.filter(|exchange| exchange.session == session);
        let ids: Vec<ExchangeId> = of_session.map(|exchange| exchange.id).collect();
        for id in ids {
            self.cancel_exchange(now, id, "the client is gone");
        }
        self.repeats.forget(session);
        self.approvals.forget(session);
        let set = self.sessions.get(&session).map(|record| record.set);
        let set = set.and_then(|set| self.sets.get(&set));
        if set.is_some_and(|set| set.users == [session]) {
            self.cache_forget(session);
        }
        let Some(record) = self.sessions.remove(&session) else {
            return;
        };
        self.timers.clear(TimerKey::Session(session));
        self.measure_session(now, &record);
        if let crate::session::Link::HttpSession(key) = &record.link {
            self.http_sessions.remove(key);
        }
        self.http_requests.retain(|_, id| *id != session);
        if let Some(stream) = record.get_stream {
            self.streams.remove(&stream);
            self.actions.push_back(Action::EndStream { stream });
        }
        let Some(set) = self.sets.get_mut(&record.set) else {
            return;
        };
        set.users.retain(|user| *user != session);
        if set.users.is_empty() {
            for upstream in set.upstreams.clone() {
                self.stop_upstream(upstream);
            }
            self.sets.remove(&record.set);
            if self.sets.is_empty() {
                self.same_lists.clear();
                self.same_names.clear();
            }
        }
    }
}

impl Hub {
    /// The error for a modern version that we do not speak, with those that `server/discover` names: a
    /// client may compare the two (MCP 2026-07-28 basic/versioning).
    pub(super) fn unsupported(&self, requested: &str) -> ErrorObject {
        let only = match self.settings.servers.as_slice() {
            [_] => self.upstreams.values().find_map(|record| {
                let known = record.known()?;
                let versions = members::get(&known.result, "supportedVersions")?;
                serde_json::from_slice::<Vec<String>>(versions).ok()
            }),
            _ => None,
        };
        let supported = only.unwrap_or_else(|| {
            let ours = std::iter::once(&version::MODERN).chain(version::LEGACY.iter());
            ours.map(|version| (*version).to_owned()).collect()
        });
        ErrorObject::new(
            error::UNSUPPORTED_VERSION,
            format!("protocol version `{requested}` is not supported"),
        )
        .with_data(&serde_json::json!({"supported": supported, "requested": requested}))
    }
}

fn case_twin(message: &Message) -> Option<String> {
    method::name_member(message.method())?;
    message
        .body_keys()
        .find(|key| ROUTED.iter().any(|name| folds_to(key, name)))
        .map(str::to_owned)
}

fn nul_in_name(message: &Message) -> Option<&'static str> {
    let member = method::name_member(message.method())?;
    message
        .body_text(member)
        .filter(|text| text.contains('\0'))
        .map(|_| member)
}
