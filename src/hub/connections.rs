//! Keeps server connections up: start, era, handshake, loss, restart, replay.

use std::time::Instant;

use bytes::Bytes;

use crate::jsonrpc::error::{INVALID_PARAMS, METHOD_NOT_FOUND};
use crate::jsonrpc::id::{IdKey, RequestId};
use crate::jsonrpc::members;
use crate::jsonrpc::message::Message;
use crate::jsonrpc::text;
use crate::jsonrpc::write::{self, Outgoing};
use crate::mcp::capabilities;
use crate::mcp::header;
use crate::mcp::method::{self, ListKind};
use crate::mcp::version::{self, Era};
use crate::mcp::{error, meta};
use crate::session::{Link, SessionId};
use crate::upstream::{Handshake, InFlight, Purpose, State, UpstreamId};

use super::action::{Action, NoteLevel};
use super::exchange::{ExchangeId, Plan};
use super::forward::{ClientFacts, error_code, error_text, object_of};
use super::measure::Outcome;
use super::settings::EraChoice;
use super::timers::TimerKey;
use super::{Hub, ModernClient};

impl Hub {
    /// Returns the era in which a new connection is tried first.
    pub(super) fn first_era(&self, server: usize, link: &Link) -> Era {
        match self.settings.servers[server].era {
            EraChoice::Legacy => Era::Legacy,
            EraChoice::Modern => Era::Modern,
            EraChoice::Auto => self.eras.get(&server).copied().unwrap_or(match link {
                Link::HttpRequests => Era::Modern,
                _ => Era::Legacy,
            }),
        }
    }

    /// Starts a connection, or its handshake, if somebody needs it now.
    pub(super) fn wake(
        &mut self,
        now: Instant,
        upstream: UpstreamId,
        exchange: Option<ExchangeId>,
    ) {
        self.note_modern_client(upstream, exchange);
        let Some(record) = self.upstreams.get(&upstream) else {
            return;
        };
        match record.state {
            State::Idle => self.connect(now, upstream),
            State::Parked(until) if now >= until => self.connect(now, upstream),
            State::Connected => self.begin_handshake(now, upstream),
            _ => {}
        }
    }

    /// Remembers what a modern client says of itself, for handshakes on its behalf, and tries the
    /// modern era first for it.
    pub(super) fn note_modern_client(
        &mut self,
        upstream: UpstreamId,
        exchange: Option<ExchangeId>,
    ) {
        let Some(exchange) = exchange.and_then(|id| self.exchanges.get(&id)) else {
            return;
        };
        if exchange.era != Era::Modern {
            return;
        }
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return;
        };
        if let Some(set) = self.sets.get_mut(&record.set)
            && set.modern.is_none()
        {
            set.modern = Some(ModernClient {
                capabilities: exchange.capabilities.clone(),
                info: exchange
                    .request
                    .meta(meta::CLIENT_INFO)
                    .map(Bytes::copy_from_slice),
            });
        }
        let is_untold = record.handshake.is_none()
            && matches!(
                record.state,
                State::Idle | State::Connected | State::Connecting
            );
        if is_untold
            && self.settings.servers[record.server].era == EraChoice::Auto
            && !self.eras.contains_key(&record.server)
        {
            record.era_first = Era::Modern;
        }
    }

    pub(super) fn connect(&mut self, now: Instant, upstream: UpstreamId) {
        if let Some(wait) = self.rests(now, upstream) {
            return self.hold_back(now, upstream, wait);
        }
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return;
        };
        record.state = State::Connecting;
        record.initialized_sent = false;
        let server = record.server;
        let start = self.settings.servers[server].start_timeout;
        if let Some(at) = now.checked_add(start) {
            self.timers.set(TimerKey::Upstream(upstream), at);
        }
        self.actions.push_back(Action::Connect {
            upstream,
            server,
            authorization: self.authorization_of(upstream),
        });
    }

    /// The process runs, or the HTTP client is made.
    pub fn handle_upstream_connected(&mut self, now: Instant, upstream: UpstreamId) {
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return;
        };
        if record.state != State::Connecting {
            return;
        }
        record.state = State::Connected;
        self.timers.clear(TimerKey::Upstream(upstream));
        if self.is_wanted(upstream) {
            self.begin_handshake(now, upstream);
        }
    }

    /// Tells whether somebody waits for the connection to speak.
    pub(super) fn is_wanted(&self, upstream: UpstreamId) -> bool {
        let record = &self.upstreams[&upstream];
        record.was_ready
            || !record.queue.is_empty()
            || self
                .users_of(record.set)
                .any(|session| self.sessions[&session].legacy.is_some())
            || self
                .sets
                .get(&record.set)
                .is_some_and(|set| set.modern.is_some())
    }

    pub(super) fn users_of(&self, set: u64) -> impl Iterator<Item = SessionId> + '_ {
        self.sets
            .get(&set)
            .into_iter()
            .flat_map(|set| set.users.iter().copied())
            .filter(|session| self.sessions.contains_key(session))
    }

    /// Sends the first message: `initialize` or `server/discover`.
    pub(super) fn begin_handshake(&mut self, now: Instant, upstream: UpstreamId) {
        let record = &self.upstreams[&upstream];
        let server = self.settings.servers[record.server].clone();
        let era = match server.era {
            EraChoice::Legacy => Era::Legacy,
            EraChoice::Modern => Era::Modern,
            EraChoice::Auto => record.era_first,
        };
        let set = record.set;
        let client = self.set_client(set);
        // Whoever answers may be another version of the server than the one that listed last.
        if let Some(record) = self.upstreams.get_mut(&upstream) {
            for kind in ListKind::ALL {
                let state = record.list_mut(kind);
                state.is_confirmed = false;
                state.observed = None;
                if let Some(fetch) = &mut state.fetch {
                    fetch.again = true;
                }
            }
        }
        self.ask_snapshot(upstream);
        let (purpose, method_name, params, state, wait) = match era {
            Era::Modern => {
                let mut own = self.own_meta(&client, None);
                if !self.settings.is_transparent {
                    own.push((meta::VIA, self.names_through(set)));
                }
                let params = object_of(&[("_meta", object_of(&own))]);
                let wait = self.settings.timeouts.probe.min(server.start_timeout);
                (
                    Purpose::Discover,
                    method::DISCOVER,
                    params,
                    State::Probing,
                    wait,
                )
            }
            Era::Legacy => (
                Purpose::Initialize,
                method::INITIALIZE,
                self.initialize_params(set, &client),
                State::Initializing,
                server.start_timeout,
            ),
        };
        if let Some(record) = self.upstreams.get_mut(&upstream) {
            record.state = state;
        }
        if let Some(at) = now.checked_add(wait) {
            self.timers.set(TimerKey::Upstream(upstream), at);
        }
        let wanted = self
            .initialize_exchange(set)
            .map(|id| self.exchanges[&id].request_id.clone());
        self.send_own_traced(
            now,
            upstream,
            purpose,
            method_name,
            &params,
            wanted.as_ref(),
        );
    }

    /// The `initialize` or `server/discover` of a client that waits, whose id we may use.
    pub(super) fn initialize_exchange(&self, set: u64) -> Option<ExchangeId> {
        self.exchanges
            .values()
            .find(|exchange| {
                matches!(exchange.plan, Plan::Handshake { .. })
                    && self
                        .sessions
                        .get(&exchange.session)
                        .is_some_and(|session| session.set == set)
            })
            .map(|exchange| exchange.id)
    }

    /// Sends a request of our own.
    pub(super) fn send_own(
        &mut self,
        upstream: UpstreamId,
        purpose: Purpose,
        method_name: &str,
        params: &[u8],
        wanted: Option<&RequestId>,
    ) -> Option<RequestId> {
        let record = self.upstreams.get_mut(&upstream)?;
        let id = record.request_id(wanted);
        let key = record.request_key();
        let is_first = matches!(purpose, Purpose::Initialize | Purpose::Discover);
        let is_modern = match purpose {
            Purpose::Discover => true,
            Purpose::Initialize => false,
            _ => record.era() == Era::Modern,
        };
        record.in_flight.insert(
            id.key(),
            InFlight {
                purpose,
                key,
                token: None,
                session: record.session,
                abandoned: None,
            },
        );
        let is_http = self.settings.servers[record.server].is_http;
        let mut headers = Vec::new();
        if is_http && is_modern {
            headers = header::request_headers(method_name, Some(params), &[]);
            headers.push((
                header::PROTOCOL_VERSION.to_owned(),
                version::MODERN.to_owned(),
            ));
        }
        let as_sent = is_first.then(|| self.handshake_as_sent(upstream, method_name, &id));
        let message = as_sent
            .flatten()
            .unwrap_or_else(|| write::request(&id, method_name, Some(params)).into());
        self.actions.push_back(Action::SendUpstream {
            upstream,
            key: Some(key),
            message,
            headers,
        });
        Some(id)
    }

    /// What a server is told of the clients that use a set.
    pub(super) fn set_client(&self, set: u64) -> ClientFacts {
        let session = self
            .users_of(set)
            .find(|session| self.sessions[session].legacy.is_some())
            .or_else(|| self.users_of(set).next());
        let mut facts = self.client_of(session.unwrap_or_default());
        facts.hops = self.hops_of(self.users_of(set));
        facts
    }

    /// `_meta` of a modern request of our own, with the announcement of this hop.
    pub(super) fn own_meta(
        &self,
        client: &ClientFacts,
        log_level: Option<&Bytes>,
    ) -> Vec<(&'static str, Bytes)> {
        let mut set = client.meta(log_level);
        if !self.settings.is_transparent {
            let hops = client.hops.saturating_add(1).to_string();
            set.push((meta::HOP, Bytes::from(hops)));
        }
        set
    }

    /// The params of `initialize`: the legacy client's own, else made for a modern one.
    pub(super) fn initialize_params(&self, set: u64, client: &ClientFacts) -> Bytes {
        let own = self
            .users_of(set)
            .find_map(|session| self.sessions[&session].legacy.as_ref());
        let params = match own {
            Some(legacy) => legacy.params.clone(),
            None => object_of(&[
                (
                    "protocolVersion",
                    text::to_string(version::NEWEST_LEGACY).into(),
                ),
                (
                    "capabilities",
                    capabilities::client_to_legacy(client.capabilities.as_bytes())
                        .to_string()
                        .into(),
                ),
                ("clientInfo", client.info.clone().into()),
            ]),
        };
        if self.settings.is_transparent {
            return params;
        }
        // The announcement of this hop joins what the client put there.
        let hop = members::get(&params, "_meta")
            .and_then(|meta_value| members::get(meta_value, meta::HOP))
            .and_then(|raw| std::str::from_utf8(raw).ok()?.parse::<u32>().ok())
            .unwrap_or(0)
            .saturating_add(1);
        let own = [
            (meta::HOP, Bytes::from(hop.to_string())),
            (meta::VIA, self.names_through(set)),
        ];
        let edits = match members::member(&params, "_meta") {
            Some(range) if params[range.clone()].starts_with(b"{") => {
                write::edit_object(&params, range, &[], &own)
            }
            _ => write::edit_object(&params, 0..params.len(), &[], &[("_meta", object_of(&own))]),
        };
        write::splice(&params, edits).to_bytes()
    }

    /// Takes the answer to `server/discover`.
    pub(super) fn discovered(&mut self, now: Instant, upstream: UpstreamId, message: &Message) {
        if self.upstreams[&upstream].state != State::Probing {
            return;
        }
        if let Some(result) = message.result() {
            let versions = members::get(result, "supportedVersions").unwrap_or_default();
            let offered: Vec<String> = members::elements(versions)
                .into_iter()
                .filter_map(|at| text::string_value(&versions[at]))
                .collect();
            if offered.iter().any(|offered| offered == version::MODERN) {
                let handshake = Handshake {
                    era: Era::Modern,
                    version: version::MODERN.to_owned(),
                    capabilities: raw_or_empty(members::get(result, "capabilities")),
                    result: message.raw().slice_ref(result),
                    message: Some(message.raw().clone()),
                };
                return self.became_ready(now, upstream, handshake);
            }
        }
        let code = error_code(message);
        // It names the version we asked for, so the refusal was not meant for good (MCP 2026-07-28
        // basic/versioning: choose one of `supported` and try again).
        let names_ours = code == Some(error::UNSUPPORTED_VERSION)
            && message
                .body("data")
                .and_then(|data| members::get(data, "supported"))
                .and_then(|raw| serde_json::from_slice::<Vec<String>>(raw).ok())
                .is_some_and(|supported| supported.iter().any(|one| one == version::MODERN));
        if names_ours
            && let Some(record) = self.upstreams.get_mut(&upstream)
            && !std::mem::replace(&mut record.probed_again, true)
        {
            return self.begin_handshake(now, upstream);
        }
        let speaks_modern = names_ours
            || matches!(
                code,
                Some(error::HEADER_MISMATCH | error::MISSING_CAPABILITY)
            );
        if self.is_pinned_modern(upstream) || speaks_modern {
            let detail = format!(
                "it does not speak protocol version {}: {}",
                version::MODERN,
                error_text(message)
            );
            return self.handshake_failed(now, upstream, &detail, Some(message));
        }
        self.try_legacy(now, upstream);
    }

    pub(super) fn is_pinned_modern(&self, upstream: UpstreamId) -> bool {
        self.settings.servers[self.upstreams[&upstream].server].era == EraChoice::Modern
    }

    /// The probe says legacy, or nothing.
    pub(super) fn try_legacy(&mut self, now: Instant, upstream: UpstreamId) {
        if let Some(record) = self.upstreams.get_mut(&upstream) {
            record.era_first = Era::Legacy;
            self.eras.insert(record.server, Era::Legacy);
            for in_flight in record.in_flight.values_mut() {
                if in_flight.purpose == Purpose::Discover {
                    in_flight.abandoned = Some(now);
                }
            }
        }
        self.begin_handshake(now, upstream);
    }

    /// Takes the answer to `initialize`.
    pub(super) fn initialized(&mut self, now: Instant, upstream: UpstreamId, message: &Message) {
        if self.upstreams[&upstream].state != State::Initializing {
            return;
        }
        if let Some(result) = message.result().filter(|result| result.starts_with(b"{")) {
            let version = members::get_text(result, "protocolVersion")
                .unwrap_or_else(|| version::NEWEST_LEGACY.to_owned());
            let handshake = Handshake {
                era: Era::Legacy,
                capabilities: raw_or_empty(members::get(result, "capabilities")),
                result: message.raw().slice_ref(result),
                version,
                message: Some(message.raw().clone()),
            };
            return self.became_ready(now, upstream, handshake);
        }
        let record = &self.upstreams[&upstream];
        let server = &self.settings.servers[record.server];
        let looks_modern = matches!(
            error_code(message),
            Some(error::UNSUPPORTED_VERSION | METHOD_NOT_FOUND | INVALID_PARAMS)
        );
        let was_probed = self.eras.get(&record.server) == Some(&Era::Legacy)
            && error_code(message) != Some(error::UNSUPPORTED_VERSION);
        if server.era == EraChoice::Auto && looks_modern && !was_probed {
            if let Some(record) = self.upstreams.get_mut(&upstream) {
                record.era_first = Era::Modern;
            }
            return self.begin_handshake(now, upstream);
        }
        let detail = if message.result().is_some() {
            "its answer to the handshake is no object".to_owned()
        } else {
            format!("it refused the handshake: {}", error_text(message))
        };
        self.handshake_failed(now, upstream, &detail, Some(message));
    }

    pub(super) fn handshake_failed(
        &mut self,
        now: Instant,
        upstream: UpstreamId,
        detail: &str,
        message: Option<&Message>,
    ) {
        let server = self.server_name(upstream);
        self.note(NoteLevel::Error, &server, detail);
        self.timers.clear(TimerKey::Upstream(upstream));
        if let Some(record) = self.upstreams.get_mut(&upstream) {
            record.state = State::Connected;
            record.last_failure = Some(detail.to_owned());
            record.era_first = match self.settings.servers[record.server].era {
                EraChoice::Modern => Era::Modern,
                _ => Era::Legacy,
            };
        }
        self.settle_handshakes(now, upstream, message);
        self.fail_queue(now, upstream);
        // To go on would be another handshake at once.
        let held = self
            .upstreams
            .get_mut(&upstream)
            .map(|record| std::mem::take(&mut record.list_mut(ListKind::Tools).held))
            .unwrap_or_default();
        for id in held {
            self.fail_unavailable(now, id, upstream);
        }
        self.lists_on_failure(now, upstream);
    }

    pub(super) fn became_ready(
        &mut self,
        now: Instant,
        upstream: UpstreamId,
        handshake: Handshake,
    ) {
        self.timers.clear(TimerKey::Upstream(upstream));
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return;
        };
        let is_restart = record.was_ready;
        let (server, era, version) = (record.server, handshake.era, handshake.version.clone());
        record.state = State::Ready;
        record.handshake = Some(handshake);
        record.was_ready = true;
        self.ever_ready.insert(server);
        record.probed_again = false;
        record.is_unusable = false;
        record.ready_since = Some(now);
        record.last_failure = None;
        record.listen_id = None;
        record.listen_losses = 0;
        record.listening_since = None;
        self.forget_refusal(upstream);
        if self.settings.servers[server].era == EraChoice::Auto {
            self.eras.insert(server, era);
        }
        let is_http = self.settings.servers[server].is_http;
        if is_http && era == Era::Legacy {
            self.actions
                .push_back(Action::ProtocolVersion { upstream, version });
        }
        let name = self.server_name(upstream);
        if is_restart {
            self.note(
                NoteLevel::Warn,
                &name,
                "the server is back; whatever state it held in memory is lost",
            );
        } else {
            self.note(NoteLevel::Info, &name, format!("ready ({era} protocol)"));
        }
        self.send_initialized(now, upstream);
        if era == Era::Legacy && is_restart {
            self.replay(upstream);
        }
        if is_http && era == Era::Legacy {
            self.actions.push_back(Action::OpenStream { upstream });
        }
        if era == Era::Modern {
            self.renew_listen(now, upstream);
        }
        self.settle_handshakes(now, upstream, None);
        self.flush_queue(now, upstream);
        self.lists_on_ready(now, upstream, is_restart);
    }

    /// Sends `notifications/initialized` once the server may have it: the client's own, or ours for
    /// modern clients.
    pub(super) fn send_initialized(&mut self, _now: Instant, upstream: UpstreamId) {
        let Some(record) = self.upstreams.get(&upstream) else {
            return;
        };
        if !record.is_ready() || record.era() != Era::Legacy || record.initialized_sent {
            return;
        }
        let legacy = self
            .users_of(record.set)
            .find_map(|session| self.sessions[&session].legacy.as_ref());
        let message: Outgoing = match legacy {
            Some(legacy) => match &legacy.initialized {
                Some(message) => message.raw().clone().into(),
                // The client has our answer but has not said so yet, unless it never shook hands.
                None if members::get(&legacy.params, "clientInfo")
                    .and_then(|info| members::get_text(info, "name"))
                    .as_deref()
                    == Some("mcp-whittle") =>
                {
                    write::notification(method::INITIALIZED, None).into()
                }
                None => return,
            },
            None => write::notification(method::INITIALIZED, None).into(),
        };
        if let Some(record) = self.upstreams.get_mut(&upstream) {
            record.initialized_sent = true;
        }
        self.actions.push_back(Action::SendUpstream {
            upstream,
            key: None,
            message,
            headers: Vec::new(),
        });
    }

    /// Gives a restarted server back what clients had set.
    pub(super) fn replay(&mut self, upstream: UpstreamId) {
        let record = &self.upstreams[&upstream];
        let level = record.log_level.clone();
        let uris: Vec<String> = record
            .subscriptions
            .keys()
            .cloned()
            .chain(
                self.users_of(record.set)
                    .flat_map(|session| self.sessions[&session].subscriptions.iter().cloned()),
            )
            .collect();
        if let Some(level) = level
            && self.upstreams[&upstream].may_have(&["logging"])
        {
            let params = object_of(&[("level", level)]);
            self.send_own(
                upstream,
                Purpose::Replay(method::SET_LEVEL),
                method::SET_LEVEL,
                &params,
                None,
            );
        }
        let mut done = std::collections::BTreeSet::new();
        for uri in uris {
            if done.insert(uri.clone()) {
                let params = object_of(&[("uri", text::to_string(&uri).into())]);
                self.send_own(
                    upstream,
                    Purpose::Replay(method::RESOURCES_SUBSCRIBE),
                    method::RESOURCES_SUBSCRIBE,
                    &params,
                    None,
                );
            }
        }
    }

    /// Takes the answer to one of our own requests or of an exchange.
    pub(super) fn answered(
        &mut self,
        now: Instant,
        upstream: UpstreamId,
        id: &IdKey,
        message: Message,
    ) {
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return;
        };
        let Some(in_flight) = record.in_flight.remove(id) else {
            self.counters.strays += 1;
            let name = self.server_name(upstream);
            self.note(
                NoteLevel::Debug,
                &name,
                "an answer to nothing in flight was dropped",
            );
            return;
        };
        if let Some(token) = &in_flight.token {
            record.tokens.remove(token);
        }
        self.trace_own_answered(now, upstream, id, Outcome::of(&message));
        if in_flight.is_abandoned() {
            self.cache_late(&in_flight.purpose);
            return self.retry_deferred(now, upstream);
        }
        match in_flight.purpose {
            Purpose::Exchange(exchange) => {
                self.measure_upstream(now, upstream, exchange, Outcome::of(&message));
                self.exchange_answered(now, upstream, exchange, message);
                self.retry_deferred(now, upstream);
            }
            Purpose::Discover => self.discovered(now, upstream, &message),
            Purpose::Initialize => self.initialized(now, upstream, &message),
            Purpose::List(kind) => self.page_arrived(now, upstream, kind, &message),
            Purpose::Listen => self.own_listen_ended(now, upstream, &message),
            Purpose::Probe => self.forget_probe(upstream),
            Purpose::Replay(what) => {
                if message.error().is_some() {
                    let name = self.server_name(upstream);
                    self.note(
                        NoteLevel::Warn,
                        &name,
                        format!("`{what}` could not be replayed: {}", error_text(&message)),
                    );
                }
            }
        }
    }

    /// Returns the index of the list kinds whose capability a server may have.
    pub(super) fn may_list(&self, upstream: UpstreamId, kind: ListKind) -> bool {
        self.upstreams
            .get(&upstream)
            .is_some_and(|record| record.may_have(&[kind.capability()]))
    }
}

fn raw_or_empty(raw: Option<&[u8]>) -> Bytes {
    raw.map_or(Bytes::from_static(b"{}"), Bytes::copy_from_slice)
}
