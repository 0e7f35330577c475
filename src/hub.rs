//! Joins sessions and upstreams. Owns every exchange. Pure: bytes and time come in as arguments, what is
//! to be done comes out of [`Hub::poll_action`] (the shape of quinn-proto).
//!
//! After every `handle_*` the caller takes actions until there are none, and asks
//! [`Hub::poll_timeout`] when to call [`Hub::handle_timeout`].
//!
//! Where to read: a client's message enters in [`downstream`](self), a server's in `from_server`;
//! `forward` carries one request there and back, `lists` merges, `handshake` answers `initialize` and
//! `server/discover`, `connections` keeps servers up, `rounds` bridges questions between the eras,
//! `listen` change notifications, `rescue` turns trouble into answers.

pub mod account;
pub mod approval;
mod arguments;
pub mod audit;
pub mod cache;
mod cancel;
mod connections;
pub mod costs;
mod credentials;
mod downstream;
mod forward;
mod from_server;
mod guard;
mod handshake;
pub mod hops;
mod http;
pub mod ledger;
pub mod limits;
mod links;
mod list_view;
mod listen;
mod lists;
mod locked;
mod losses;
pub mod measure;
mod moved;
mod naming;
mod policy;
mod probes;
mod profile;
pub mod projection;
mod questions;
pub mod reads;
mod reload;
pub mod results;
mod rounds;
mod routing;
mod same_lists;
mod seen;
mod sets;
pub mod shapes;
mod sleep;
mod snapshot;
mod surface;
#[cfg(test)]
mod tests;
mod timers;
pub mod trace;
mod verbatim;

pub mod action;
pub mod exchange;
pub mod rescue;
pub mod settings;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;

use crate::jsonrpc::error::ErrorObject;
use crate::jsonrpc::write::{self, Outgoing};
use crate::result::repeat::{self, Repeats};
use crate::session::{Link, Principal, Session, SessionId, StreamId};
use crate::upstream::{Upstream, UpstreamId};

use action::{Action, Note, NoteLevel};
use exchange::{Exchange, ExchangeId, Plan};
pub use lists::{cut_short, take_page};
use naming::Names;
pub use naming::named_tools;
use rescue::Trouble;
use settings::HubSettings;
use timers::{TimerKey, Timers};

/// The connections that one legacy session, or the modern requests of one principal, use.
#[derive(Debug)]
struct Set {
    upstreams: Vec<UpstreamId>,
    names: Names,
    /// Sessions that use it.
    users: Vec<SessionId>,
    principal: Principal,
    /// What the modern client that uses it said of itself.
    modern: Option<ModernClient>,
    /// The tools that its clients saw.
    surfaces: seen::SeenSurfaces,
    /// What its clients bring for the server that their credentials go to.
    credentials: credentials::Credentials,
}

/// A modern client as its requests describe it.
#[derive(Debug, Clone)]
struct ModernClient {
    capabilities: Bytes,
    info: Option<Bytes>,
}

/// Answers of a JSON-RPC batch that are being gathered.
#[derive(Debug)]
struct Batch {
    stream: StreamId,
    missing: usize,
    answers: Vec<Outgoing>,
}

/// The state machine between clients and servers.
pub struct Hub {
    settings: HubSettings,
    secret: [u8; 32],
    counter: u64,
    // Boxed, as the nodes of a tree that grows at its end are half empty.
    sessions: BTreeMap<SessionId, Box<Session>>,
    http_sessions: HashMap<String, SessionId>,
    /// Modern HTTP requests, by principal, capabilities and the profile of their path.
    http_requests: HashMap<(Principal, [u8; 32], Option<String>), SessionId>,
    sets: BTreeMap<u64, Set>,
    upstreams: BTreeMap<UpstreamId, Box<Upstream>>,
    exchanges: BTreeMap<ExchangeId, Exchange>,
    batches: HashMap<u64, Batch>,
    /// Streams of HTTP requests that are open, with their session.
    streams: HashMap<StreamId, SessionId>,
    /// Surfaces by what they are made of; `None` while being made.
    surfaces: HashMap<[u8; 32], Option<std::sync::Arc<crate::surface::made::Made>>>,
    /// Pins by their keys.
    pins: HashMap<String, crate::policy::pins::Pins>,
    /// Sets of lists that were scanned, by their digests.
    scanned: std::collections::BTreeSet<[u8; 32]>,
    /// Compiled input schemas by their digest; `None` for those that cannot be judged by.
    validators: HashMap<[u8; 32], Option<crate::surface::validate::Validator>>,
    /// Bytes of the schemas that were compiled.
    validator_bytes: usize,
    /// Indices of the servers that new sets use, in configured order.
    active: Vec<usize>,
    /// Servers that completed a handshake at least once.
    ever_ready: std::collections::BTreeSet<usize>,
    /// Connections that end with their last answer.
    retired: std::collections::BTreeSet<UpstreamId>,
    /// How often each tool was called, by the name that clients see.
    uses: BTreeMap<String, u64>,
    /// What calls have cost in this process, and before it.
    costs: costs::CallCosts,
    costs_before: costs::CallCosts,
    shapes: shapes::ResultShapes,
    /// The ledger.
    books: ledger::Books,
    /// Last answers, for what repeats.
    repeats: Repeats,
    /// Exchanges that wait for a surface.
    surface_waiting: std::collections::BTreeSet<ExchangeId>,
    /// Questions of servers that do not say whose they are.
    deferred: HashMap<
        UpstreamId,
        Vec<(
            crate::jsonrpc::message::Message,
            crate::jsonrpc::id::RequestId,
        )>,
    >,
    /// Era that each server turned out to speak to each kind of client.
    eras: HashMap<usize, crate::mcp::version::Era>,
    actions: VecDeque<Action>,
    draining_since: Option<Instant>,
    /// The set that was started before anybody came, until the first session over HTTP takes it.
    spare: Option<u64>,
    is_overloaded: bool,
    timers: Timers,
    /// What users are asked to agree to.
    approvals: crate::policy::approval::Approvals,
    counters: Counters,
    cache: cache::Cache,
    guard: limits::Guard,
    same_lists: same_lists::SameLists,
    same_names: same_lists::SameNames,
    tool_names: measure::ToolNames,
    /// Requests of our own that servers have, where traces are made.
    own_sent: HashMap<(UpstreamId, crate::jsonrpc::id::IdKey), trace::OwnSent>,
}

/// What the hub counts, for health and tests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests of clients that were accepted.
    pub requests: u64,
    /// Answers that were sent.
    pub answers: u64,
    /// Answers of servers to nothing that is in flight.
    pub strays: u64,
    /// Messages refused because parsers could differ on them.
    pub refused: u64,
    /// Lines of servers that were no messages.
    pub garbage: u64,
    /// Connections made anew.
    pub restarts: u64,
    /// Requests that were told to come back later.
    pub busy: u64,
}

impl Hub {
    /// Makes a hub. `secret` seeds ids that must not be guessed.
    pub fn new(settings: HubSettings, secret: [u8; 32]) -> Self {
        Self {
            cache: cache::Cache::new(settings.cache.max_bytes),
            active: (0..settings.servers.len()).collect(),
            ever_ready: std::collections::BTreeSet::new(),
            retired: std::collections::BTreeSet::new(),
            settings,
            secret,
            counter: 0,
            sessions: BTreeMap::new(),
            http_sessions: HashMap::new(),
            http_requests: HashMap::new(),
            sets: BTreeMap::new(),
            upstreams: BTreeMap::new(),
            exchanges: BTreeMap::new(),
            batches: HashMap::new(),
            streams: HashMap::new(),
            surfaces: HashMap::new(),
            pins: HashMap::new(),
            scanned: std::collections::BTreeSet::new(),
            validators: HashMap::new(),
            uses: BTreeMap::new(),
            costs: costs::CallCosts::default(),
            costs_before: costs::CallCosts::default(),
            shapes: shapes::ResultShapes::default(),
            books: ledger::Books::default(),
            repeats: Repeats::new(repeat::Bounds::default()),
            validator_bytes: 0,
            surface_waiting: std::collections::BTreeSet::new(),
            deferred: HashMap::new(),
            eras: HashMap::new(),
            actions: VecDeque::new(),
            draining_since: None,
            spare: None,
            is_overloaded: false,
            timers: Timers::default(),
            approvals: crate::policy::approval::Approvals::default(),
            counters: Counters::default(),
            guard: limits::Guard::default(),
            same_lists: same_lists::SameLists::default(),
            same_names: same_lists::SameNames::default(),
            tool_names: measure::ToolNames::default(),
            own_sent: HashMap::new(),
        }
    }

    /// Opens the one session of a stdio client and starts its servers.
    pub fn open_stdio(&mut self, now: Instant, is_inner: bool) -> SessionId {
        let id = self.open_session(now, Link::Stdio, Principal::OsUser);
        if let Some(session) = self.sessions.get_mut(&id) {
            session.is_inner = is_inner;
        }
        let set = self.sessions[&id].set;
        for upstream in self.sets[&set].upstreams.clone() {
            self.connect(now, upstream);
        }
        id
    }

    /// Returns the next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Returns what was counted.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Returns how often each tool was called, by the name that clients see.
    pub fn uses(&self) -> &BTreeMap<String, u64> {
        &self.uses
    }

    /// Returns how many sessions are open.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Returns how many requests are in flight.
    pub fn in_flight(&self) -> usize {
        self.exchanges.len()
    }

    /// Returns the configured name of a server.
    pub fn server_settings_name(&self, server: usize) -> Option<String> {
        Some(self.settings.servers.get(server)?.name.clone())
    }

    /// Says whether the client reads its answers too slowly to take more.
    pub fn set_overloaded(&mut self, is_overloaded: bool) {
        self.is_overloaded = is_overloaded;
    }

    /// The client of a session is gone: nobody reads answers any more.
    pub fn handle_downstream_gone(&mut self, now: Instant, session: SessionId) {
        self.close_session(now, session);
    }

    /// Forgets everything at once, without a word to anybody.
    pub fn abandon_all(&mut self) {
        self.spare = None;
        self.sessions.clear();
        self.upstreams.clear();
        self.exchanges.clear();
        self.actions.clear();
    }

    /// Returns when [`Self::handle_timeout`] has to be called; it may change after every `handle_*`.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(key) = self.timers.pop_due(now) {
            match key {
                TimerKey::Exchange(id) => self.exchange_timeout(now, id),
                TimerKey::Merge(id) => self.merge_timeout(now, id),
                TimerKey::Cache(id) => self.tier_timeout(now, id),
                TimerKey::Upstream(id) => self.upstream_timeout(now, id),
                TimerKey::WarmUp(id) => self.warm_up_over(now, id),
                TimerKey::Probe(id) => self.probe_timeout(id),
                TimerKey::ProbeAnswer(id) => self.probe_unanswered(now, id),
                TimerKey::Session(id) => self.session_timeout(now, id),
                TimerKey::Drain => self.drain_timeout(now),
            }
        }
        self.cache_settle(now);
    }

    fn exchange_timeout(&mut self, now: Instant, id: ExchangeId) {
        if self.shaping_timeout(now, id)
            || self.approval_timeout(now, id)
            || self.held_timeout(now, id)
        {
            return;
        }
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        let server = exchange
            .upstream
            .and_then(|upstream| self.upstreams.get(&upstream))
            .map(|upstream| &self.settings.servers[upstream.server]);
        let was_sent = exchange.was_sent;
        let limit = match (was_sent, server) {
            (true, Some(server)) => server
                .request_timeout
                .unwrap_or(self.settings.timeouts.absolute),
            (false, Some(server)) => server.start_timeout,
            (_, None) => self.settings.timeouts.absolute,
        };
        let is_detached = matches!(&exchange.plan, Plan::Parked(parked) if parked.is_detached);
        let upstream = exchange.upstream;
        if let Some(upstream) = upstream.filter(|_| was_sent) {
            let late = measure::Outcome::Error(crate::mcp::error::ProxyError::Deadline.code());
            self.measure_upstream(now, upstream, id, late);
            self.breaker_notes_failure(now, upstream);
        }
        self.abandon(now, id, None, "the request took too long");
        if is_detached {
            self.forget(now, id);
            return;
        }
        let limit = format!("{limit:?}");
        self.fail_with(now, id, &Trouble::Deadline { was_sent, limit });
        if let Some(upstream) = upstream.filter(|_| was_sent) {
            self.probe(now, upstream);
            self.retry_deferred(now, upstream);
        }
    }

    /// A merged answer waited long enough, or a legacy client did not come back for its answer.
    fn merge_timeout(&mut self, now: Instant, id: ExchangeId) {
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        match &mut exchange.plan {
            Plan::List { waiting, .. } => {
                waiting.clear();
                self.finish_list(now, id);
            }
            Plan::Handshake { waiting } => {
                waiting.clear();
                self.finish_handshake(now, id, None);
            }
            _ => self.cancel_exchange(now, id, "the client is gone"),
        }
    }

    /// Starts an orderly end: nothing new is taken, streams of notifications end, what is in flight may
    /// finish until the grace is over.
    pub fn begin_drain(&mut self, now: Instant) {
        if self.draining_since.is_some() {
            return;
        }
        self.draining_since = Some(now);
        self.drop_spare();
        if let Some(at) = now.checked_add(self.settings.timeouts.shutdown_grace) {
            self.timers.set(TimerKey::Drain, at);
        }
        let idle_streams: Vec<StreamId> = self
            .sessions
            .values_mut()
            .filter(|session| session.questions.is_empty())
            .filter_map(|session| session.get_stream.take())
            .collect();
        for stream in idle_streams {
            self.streams.remove(&stream);
            self.actions.push_back(Action::EndStream { stream });
        }
        let listens: Vec<ExchangeId> = self
            .exchanges
            .values()
            .filter(|exchange| matches!(exchange.plan, Plan::Listen))
            .map(|exchange| exchange.id)
            .collect();
        for id in listens {
            self.end_listen(now, id);
        }
        // Calls parked for a client that may come back will not be answered here.
        let parked: Vec<ExchangeId> = self
            .exchanges
            .values()
            .filter(|exchange| matches!(&exchange.plan, Plan::Parked(parked) if parked.is_detached))
            .map(|exchange| exchange.id)
            .collect();
        for id in parked {
            self.abandon(now, id, None, "the proxy is shutting down");
            self.forget(now, id);
        }
        let idle: Vec<SessionId> = self
            .sessions
            .values()
            .filter(|session| session.in_flight.is_empty())
            .map(|session| session.id)
            .collect();
        for session in idle {
            self.close_session(now, session);
        }
        for session in self.sessions.values_mut() {
            session.is_closing = true;
        }
    }

    fn drain_timeout(&mut self, now: Instant) {
        let all: Vec<ExchangeId> = self.exchanges.keys().copied().collect();
        for id in all {
            self.abandon(now, id, None, "the proxy is shutting down");
            let was_sent = self
                .exchanges
                .get(&id)
                .is_some_and(|exchange| exchange.was_sent);
            let limit = format!(
                "the shutdown grace of {:?}",
                self.settings.timeouts.shutdown_grace
            );
            self.fail_with(now, id, &Trouble::Deadline { was_sent, limit });
        }
        let sessions: Vec<SessionId> = self.sessions.keys().copied().collect();
        for session in sessions {
            self.close_session(now, session);
        }
    }

    /// Tells whether every client and server is gone.
    pub fn is_drained(&self) -> bool {
        self.sessions.is_empty() && self.upstreams.is_empty()
    }

    /// Tells whether a server never answered a handshake, with its index; decides the exit code.
    pub fn never_ready(&self, server: usize) -> bool {
        !self.ever_ready.contains(&server)
    }

    fn next_number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// Returns 128 bits that nobody can guess, as hex.
    fn unguessable(&mut self) -> String {
        let n = self.next_number();
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        hasher.update(b"id");
        hasher.update(&n.to_le_bytes());
        hasher.finalize().to_hex()[..32].to_owned()
    }

    fn open_session(&mut self, now: Instant, link: Link, principal: Principal) -> SessionId {
        let id = self.next_number();
        let set = self.set_for(&link, &principal);
        if let Some(set) = self.sets.get_mut(&set) {
            set.users.push(id);
        }
        let session = Session::new(id, link, principal, set, now);
        self.sessions.insert(id, Box::new(session));
        id
    }

    fn server_name(&self, upstream: UpstreamId) -> String {
        self.upstreams
            .get(&upstream)
            .and_then(|upstream| self.settings.servers.get(upstream.server))
            .map(|server| server.name.clone())
            .unwrap_or_default()
    }

    fn set_upstreams(&self, session: SessionId) -> Vec<UpstreamId> {
        self.sessions
            .get(&session)
            .and_then(|session| self.sets.get(&session.set))
            .map(|set| set.upstreams.clone())
            .unwrap_or_default()
    }

    /// Returns the only connection of a session, if there is one server and its names are not changed.
    fn only_upstream(&self, session: SessionId) -> Option<UpstreamId> {
        let set = self.sets.get(&self.sessions.get(&session)?.set)?;
        match set.upstreams.as_slice() {
            [one] if !self.settings.naming.is_prefixed => Some(*one),
            _ => None,
        }
    }

    fn note(&mut self, level: NoteLevel, server: &str, message: impl Into<String>) {
        self.actions.push_back(Action::Note(Note {
            level,
            server: server.to_owned(),
            message: message.into(),
        }));
    }

    /// Sends the one answer of an exchange and forgets it.
    fn answer(&mut self, now: Instant, id: ExchangeId, message: Outgoing, status: u16) {
        self.forget_other_answers(id);
        let Some(mut exchange) = self.forget(now, id) else {
            return;
        };
        self.measure_request(now, &exchange);
        self.audit_end(now, &mut exchange, "error");
        self.counters.answers += 1;
        if let Some(session) = self.sessions.get_mut(&exchange.session) {
            session.last_seen = now;
        }
        if let Plan::Parked(parked) = &exchange.plan
            && parked.is_detached
        {
            return;
        }
        self.send_answer(exchange.stream, exchange.batch, message, status);
        self.after_exchange(now, exchange.session);
    }

    fn send_answer(
        &mut self,
        stream: StreamId,
        batch: Option<u64>,
        message: Outgoing,
        status: u16,
    ) {
        let Some(batch_id) = batch else {
            if !self.end_of(stream) {
                return;
            }
            self.actions.push_back(Action::Send {
                stream,
                message,
                is_final: true,
                status,
                is_droppable: false,
            });
            return;
        };
        let Some(batch) = self.batches.get_mut(&batch_id) else {
            return;
        };
        batch.answers.push(message);
        batch.missing -= 1;
        self.finish_batch(batch_id);
    }

    /// Tells whether a stream can take its outcome, and ends it: an HTTP client may have gone before, while
    /// its legacy call went on.
    fn end_of(&mut self, stream: StreamId) -> bool {
        stream == crate::session::STDIO || self.streams.remove(&stream).is_some()
    }

    fn finish_batch(&mut self, batch_id: u64) {
        if self
            .batches
            .get(&batch_id)
            .is_none_or(|batch| batch.missing > 0)
        {
            return;
        }
        let Some(batch) = self.batches.remove(&batch_id) else {
            return;
        };
        if !self.end_of(batch.stream) {
            return;
        }
        if batch.answers.is_empty() {
            self.actions.push_back(Action::Status {
                stream: batch.stream,
                status: 202,
                body: None,
            });
            return;
        }
        let mut all = Outgoing::default();
        for (index, answer) in batch.answers.into_iter().enumerate() {
            all.push(Bytes::from_static(if index == 0 { b"[" } else { b"," }));
            for piece in answer.into_pieces() {
                all.push(piece);
            }
        }
        all.push(Bytes::from_static(b"]"));
        self.actions.push_back(Action::Send {
            stream: batch.stream,
            message: all,
            is_final: true,
            status: 200,
            is_droppable: false,
        });
    }

    /// Answers an exchange with an error.
    fn fail(&mut self, now: Instant, id: ExchangeId, error: &ErrorObject) {
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        let status = match exchange.era {
            crate::mcp::version::Era::Modern => crate::mcp::error::http_status(error.code),
            crate::mcp::version::Era::Legacy => 200,
        };
        let is_handshake = exchange.request.method() == crate::mcp::method::INITIALIZE;
        let session = exchange.session;
        let message = write::error_response(Some(&exchange.request_id), error);
        if let Some(exchange) = self.exchanges.get_mut(&id) {
            exchange.measure.fails_with(error.code);
        }
        self.audit_outcome(id, "error", Some(error.code));
        self.answer(now, id, message, status);
        // A refused handshake leaves no HTTP session behind.
        if is_handshake
            && self
                .sessions
                .get(&session)
                .is_some_and(|record| matches!(record.link, Link::HttpSession(_)))
        {
            self.close_session(now, session);
        }
    }

    /// Answers an exchange with what went wrong.
    fn fail_with(&mut self, now: Instant, id: ExchangeId, trouble: &Trouble) {
        if self.stand_in(now, id, trouble) {
            return;
        }
        if trouble.later().is_some() {
            return self.answer_busy(now, id, trouble);
        }
        let server = self
            .exchanges
            .get(&id)
            .and_then(|exchange| exchange.upstream)
            .map(|upstream| self.server_name(upstream))
            .unwrap_or_default();
        let mut error = trouble.error(&server);
        if matches!(trouble, Trouble::Unavailable { .. } | Trouble::Lost { .. })
            && let Some(record) = self
                .exchanges
                .get(&id)
                .and_then(|exchange| exchange.upstream)
                .and_then(|upstream| self.upstreams.get(&upstream))
        {
            rescue::add_last_words(&mut error, &record.last_stderr);
        }
        self.fail(now, id, &error);
    }

    /// Removes an exchange from every table. Its upstream requests stay as abandoned slots.
    fn forget(&mut self, now: Instant, id: ExchangeId) -> Option<Exchange> {
        let mut exchange = self.exchanges.remove(&id)?;
        self.leave(now, exchange.session, exchange.request.raw().len());
        if matches!(exchange.plan, Plan::Read) {
            self.actions.push_back(Action::AbortRead { exchange: id });
        }
        self.cache_forgotten(&mut exchange);
        self.timers.clear(TimerKey::Cache(id));
        self.timers.clear(TimerKey::Exchange(id));
        self.timers.clear(TimerKey::Merge(id));
        self.surface_waiting.remove(&id);
        if let Some(session) = self.sessions.get_mut(&exchange.session) {
            session
                .in_flight
                .remove(&(exchange.stream, exchange.request_id.clone()));
            session.questions.retain(|_, question| {
                question.exchange != Some(id) || question.input_key.is_none()
            });
        }
        for upstream in self.upstreams_of(&exchange) {
            let Some(upstream) = self.upstreams.get_mut(&upstream) else {
                continue;
            };
            upstream.queue.retain(|queued| *queued != id);
            if exchange.progress_token.is_some() {
                upstream.tokens.retain(|_, exchange| *exchange != id);
            }
            for list in &mut upstream.lists {
                list.waiting.retain(|waiting| *waiting != id);
                list.resend.retain(|waiting| *waiting != id);
                list.held.retain(|waiting| *waiting != id);
            }
        }
        self.check_retired();
        Some(exchange)
    }

    /// Returns the connections that may know an exchange: those of its session, and the one it is at.
    fn upstreams_of(&self, exchange: &Exchange) -> Vec<UpstreamId> {
        let mut all = self.set_upstreams(exchange.session);
        if let Some(upstream) = exchange.upstream
            && !all.contains(&upstream)
        {
            all.push(upstream);
        }
        all
    }

    /// Work that has to be looked at when a session's exchange ended.
    fn after_exchange(&mut self, now: Instant, session: SessionId) {
        self.cache_settle(now);
        let is_over = self.sessions.get(&session).is_some_and(|session| {
            session.in_flight.is_empty() && (session.is_closing || session.is_of_one_request())
        });
        if is_over && !self.is_parked(session) {
            self.close_session(now, session);
        }
    }

    /// Tells whether a request of a session that will go on waits for its client to come back.
    fn is_parked(&self, session: SessionId) -> bool {
        let record = self.sessions.get(&session);
        record.is_some_and(|record| record.is_of_one_request())
            && self
                .exchanges
                .values()
                .any(|exchange| exchange.session == session)
    }
}
