//! Where the cache stands in the way of a request: asked before the server, told of every answer, every
//! write and every notice of change.
//!
//! A hit goes the way of a fresh answer (`exchange_answered`), after the same policy and checks; `ask` has
//! the way in, `answer` the way back. A tier outside memory is an action with a short deadline
//! ([`CacheSettings::tier_deadline`]); what it does not say in time is a miss.

mod answer;
mod ask;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::cache::epochs::{Epochs, Stamp};
use crate::cache::flight::Flights;
use crate::cache::gate::Wish;
use crate::cache::key::{Key, KeySecret, Scope};
use crate::cache::lru::{Answer, Lru, TierEpoch};
use crate::cache::rules::{Audience, Rules};
use crate::jsonrpc::message::Message;
use crate::mcp::method::{self, ListKind};
use crate::session::{Principal, SessionId};
use crate::upstream::{Purpose, UpstreamId};

use super::Hub;
use super::action::Action;
use super::exchange::{Exchange, ExchangeId};

/// Writes whose end was not seen and whose answer may still come, at most.
const LATE_WRITES: usize = 1000;

/// What the cache goes by.
#[derive(Debug, Clone)]
pub struct CacheSettings {
    /// Whether it is used at all.
    pub is_on: bool,
    /// What the operator granted for calls.
    pub rules: Rules,
    /// Bytes in memory.
    pub max_bytes: usize,
    /// Longest time that anything is fresh, whoever said so.
    pub max_ttl: Duration,
    /// How long it is kept that a resource does not exist; zero keeps nothing.
    pub negative_ttl: Duration,
    /// Under which keys are made; shared by all who share a tier.
    pub secret: KeySecret,
    /// The user and machine that a client on pipes belongs to, in keys of shared tiers.
    pub user: String,
    /// Whether there is a tier outside memory.
    pub has_tier: bool,
    /// How long it is waited for.
    pub tier_deadline: Duration,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            is_on: true,
            rules: Rules::default(),
            max_bytes: 64 << 20,
            max_ttl: Duration::from_secs(3600),
            negative_ttl: Duration::ZERO,
            secret: KeySecret::default(),
            user: String::new(),
            has_tier: false,
            tier_deadline: Duration::from_millis(50),
        }
    }
}

/// What is counted, for the operator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheCounters {
    /// Requests answered from memory.
    pub hits: u64,
    /// Requests answered from a tier outside memory.
    pub tier_hits: u64,
    /// Requests that could have been answered, but had to be sent.
    pub misses: u64,
    /// Requests that shared the answer of another one.
    pub joined: u64,
    /// Answers that were kept.
    pub stored: u64,
    /// Answers that had to make room.
    pub evicted: u64,
    /// Answers that stood in for a server that failed.
    pub stood_in: u64,
    /// Calls that made kept answers worthless.
    pub writes: u64,
    /// Lookups that a tier did not answer in time.
    pub tier_late: u64,
}

/// What the hub holds of the cache.
#[derive(Debug)]
pub(super) struct Cache {
    lru: Lru,
    epochs: Epochs,
    flights: Flights,
    /// Exchanges that were forgotten with a part in the cache, which is not settled yet.
    leaving: Vec<(ExchangeId, Part)>,
    /// Writes that were lost sight of, by exchange.
    late: HashMap<ExchangeId, Vec<Scope>>,
    /// A connection that is being closed, and those that take another's place on it afterwards.
    closing: Option<UpstreamId>,
    held_back: Vec<ExchangeId>,
    /// What the tier was told became worthless and has not confirmed, with the number of the telling.
    untold: HashMap<Scope, u64>,
    /// Tellings on their way, and whose answer waits for them.
    bumps: HashMap<u64, (Vec<Scope>, Option<ExchangeId>)>,
    /// The version last spoken with each server, for keys while it is away.
    spoken: HashMap<usize, String>,
    counters: CacheCounters,
}

impl Cache {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            lru: Lru::new(max_bytes),
            epochs: Epochs::default(),
            flights: Flights::default(),
            leaving: Vec::new(),
            late: HashMap::new(),
            closing: None,
            held_back: Vec::new(),
            untold: HashMap::new(),
            bumps: HashMap::new(),
            spoken: HashMap::new(),
            counters: CacheCounters::default(),
        }
    }

    /// Starts anew with another bound in bytes: what was kept under other grants is forgotten.
    pub(super) fn restart(&mut self, max_bytes: usize) {
        self.lru = Lru::new(max_bytes);
    }
}

/// How an exchange takes part in the cache.
#[derive(Debug, Default)]
pub enum Part {
    /// Not at all.
    #[default]
    None,
    /// It is at its server and makes kept answers worthless.
    Write(Vec<Scope>),
    /// Its answer may be kept.
    Read(Box<Read>),
    /// It is answered from the cache.
    Hit {
        /// How old the answer is.
        age: Duration,
        /// How long it was fresh in all.
        ttl: Duration,
        /// Whether it stands in for a server that fails.
        is_stale: bool,
    },
    /// Its answer waits until other processes know that something was written.
    Held(UpstreamId, Message),
}

/// A request whose answer may be kept.
#[derive(Debug)]
pub struct Read {
    key: Key,
    scopes: Vec<Scope>,
    /// The numbers when it started; none before that.
    stamp: Option<Stamp>,
    tier_stamp: Option<Vec<TierEpoch>>,
    /// What the operator granted; none = the server's word counts.
    granted: Option<Duration>,
    stale_if_error: Duration,
    allows_links: bool,
    wish: Wish,
    stage: Stage,
    /// Whether its server asked something meanwhile: the answer depends on what was said.
    is_tainted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// A tier is being asked.
    Looking,
    /// It is at its server, or on the way there.
    Sent,
    /// An equal one is at the server.
    Follows,
}

/// What a tier says.
#[derive(Debug, Clone, Default)]
pub struct Looked {
    /// Its numbers for the scopes; none where it could not be asked.
    pub epochs: Option<Vec<TierEpoch>>,
    /// A current answer that was fresh by the grant under which it was kept.
    pub found: Option<Found>,
}

/// An answer from a tier.
#[derive(Debug, Clone)]
pub struct Found {
    /// The answer.
    pub answer: Answer,
    /// How old it is.
    pub age: Duration,
    /// How long it is fresh in all.
    pub ttl: Duration,
    /// How long after that it may stand in.
    pub stale_if_error: Duration,
}

impl Hub {
    /// Forgets the answers that are kept in memory: they can be had again.
    pub(super) fn forget_kept_answers(&mut self) {
        self.cache.restart(self.settings.cache.max_bytes);
    }

    /// Returns what was counted.
    pub fn cache_counters(&self) -> CacheCounters {
        self.cache.counters
    }

    fn uses_cache(&self) -> bool {
        self.settings.cache.is_on && !self.settings.is_transparent && !self.settings.is_shadow
    }

    /// Returns whose data a session sees, as it enters keys. What has a name in this process only never
    /// meets another process's.
    fn audience(&self, session: SessionId, audience: Audience) -> Option<String> {
        let record = self.sessions.get(&session)?;
        let local = |what: &str, number: u64| {
            let mut hasher = blake3::Hasher::new_keyed(&self.secret);
            hasher.update(b"audience");
            hasher.update(&number.to_le_bytes());
            format!("{what}-{}", hasher.finalize().to_hex())
        };
        Some(match (audience, &record.principal) {
            (Audience::Shared, _) => "shared".to_owned(),
            (Audience::Session, _) => local("set", record.set),
            (Audience::Principal, Principal::OsUser) => {
                format!("user-{}", self.settings.cache.user)
            }
            (Audience::Principal, Principal::Session(number)) => local("session", *number),
            (Audience::Principal, other) => other.key(),
        })
    }

    fn scope(&self, parts: &[&[u8]]) -> Scope {
        Scope::of(&self.settings.cache.secret, parts)
    }

    /// Names the writes of an audience to a server.
    fn write_scope(&self, identity: &str, audience: &str) -> Scope {
        self.scope(&[b"writes", identity.as_bytes(), audience.as_bytes()])
    }

    /// Names the calls that end a narrowed rule's answers.
    fn rule_scope(&self, rule: usize, audience: &str) -> Scope {
        let pattern = self.settings.cache.rules.tools[rule].pattern.as_str();
        self.scope(&[b"rule", pattern.as_bytes(), audience.as_bytes()])
    }

    fn class_scope(&self, identity: &str, kind: ListKind, audience: &str) -> Scope {
        let class = kind.method().as_bytes();
        self.scope(&[b"class", identity.as_bytes(), class, audience.as_bytes()])
    }

    fn uri_scope(&self, identity: &str, uri: &str, audience: &str) -> Scope {
        self.scope(&[
            b"uri",
            identity.as_bytes(),
            uri.as_bytes(),
            audience.as_bytes(),
        ])
    }

    /// Lists what a call makes worthless, for the principal and for what everybody shares.
    fn written_scopes(&self, server: usize, principal: &str, tool: Option<&str>) -> Vec<Scope> {
        let spec = &self.settings.servers[server];
        let mut scopes = Vec::new();
        for audience in [principal, "shared"] {
            scopes.push(self.write_scope(&spec.identity, audience));
            if let Some(tool) = tool {
                let rules = &self.settings.cache.rules;
                scopes.extend(
                    rules
                        .ended_by(&spec.name, tool)
                        .map(|rule| self.rule_scope(rule, audience)),
                );
            }
        }
        scopes
    }

    /// Other processes are told what became worthless. Until that is confirmed nothing that the tier has
    /// of these scopes counts here: it may have missed the news.
    fn bump_tier(&mut self, scopes: Vec<Scope>, wait: Option<ExchangeId>) {
        if !self.settings.cache.has_tier {
            return;
        }
        let bump = self.next_number();
        for scope in &scopes {
            self.cache.untold.insert(*scope, bump);
        }
        self.cache.bumps.insert(bump, (scopes.clone(), wait));
        self.actions.push_back(Action::CacheBump { bump, scopes });
    }

    /// Tells the tier again what it has not confirmed; tells whether there was anything.
    fn tell_again(&mut self, scopes: &[Scope]) -> bool {
        let untold: Vec<(Scope, u64)> = scopes
            .iter()
            .filter_map(|scope| Some((*scope, *self.cache.untold.get(scope)?)))
            .collect();
        // What is on its way is waited for.
        let again: Vec<Scope> = untold
            .iter()
            .filter(|(_, bump)| !self.cache.bumps.contains_key(bump))
            .map(|(scope, _)| *scope)
            .collect();
        if !again.is_empty() {
            self.bump_tier(again, None);
        }
        !untold.is_empty()
    }

    /// A server says that something changed.
    pub(super) fn cache_notice(&mut self, upstream: UpstreamId, message: &Message) {
        if !self.uses_cache() {
            return;
        }
        let kinds = ListKind::changed_by(message.method());
        let uri = (message.method() == method::RESOURCE_UPDATED)
            .then(|| message.body_text("uri"))
            .flatten();
        if !kinds.is_empty() || uri.is_some() {
            self.cache_changed(upstream, kinds, uri.as_deref());
        }
    }

    /// Changes of a server may have been missed.
    pub(super) fn cache_gap(&mut self, upstream: UpstreamId, kinds: &[ListKind]) {
        if self.uses_cache() {
            self.cache_changed(upstream, kinds, None);
        }
    }

    /// A connection ended, or its server forgot our session: what was kept for one connection counts no longer, also
    /// where it could stand in for the server.
    pub(super) fn cache_connection_lost(&mut self, upstream: UpstreamId) {
        if !self.uses_cache() {
            return;
        }
        let Some((server, set)) = self
            .upstreams
            .get(&upstream)
            .map(|record| (record.server, record.set))
        else {
            return;
        };
        let session = self.users_of(set).next();
        let Some(own) = session.and_then(|session| self.audience(session, Audience::Session))
        else {
            return;
        };
        let identity = &self.settings.servers[server].identity;
        let scopes = vec![self.class_scope(identity, ListKind::Tools, &own)];
        self.cache.epochs.bump(&scopes);
        self.bump_tier(scopes, None);
    }

    /// The client's roots changed, and with them what its server works on. That asks for them before it goes by
    /// them, so this is a write whose end nobody sees.
    pub(super) fn cache_roots_changed(&mut self, now: Instant, upstream: UpstreamId) {
        if !self.uses_cache() {
            return;
        }
        if let Some(scopes) = self.changed_scopes(upstream, &ListKind::ALL, None) {
            self.cache.epochs.begin(&scopes);
            self.cache.epochs.end(&scopes, false, now);
            self.bump_tier(scopes, None);
        }
    }

    fn cache_changed(&mut self, upstream: UpstreamId, kinds: &[ListKind], uri: Option<&str>) {
        if let Some(record) = self.upstreams.get_mut(&upstream) {
            for kind in kinds {
                record.list_mut(*kind).fresh_until = None;
            }
        }
        if let Some(scopes) = self.changed_scopes(upstream, kinds, uri) {
            self.cache.epochs.bump(&scopes);
            self.bump_tier(scopes, None);
        }
    }

    /// Lists what a change of a server makes worthless, for all who share its answers.
    fn changed_scopes(
        &self,
        upstream: UpstreamId,
        kinds: &[ListKind],
        uri: Option<&str>,
    ) -> Option<Vec<Scope>> {
        let record = self.upstreams.get(&upstream)?;
        let session = self.users_of(record.set).next()?;
        let principal = self.audience(session, Audience::Principal)?;
        let own = self
            .audience(session, Audience::Session)
            .unwrap_or_default();
        let identity = &self.settings.servers[record.server].identity;
        let mut scopes = Vec::new();
        for audience in [principal.as_str(), own.as_str(), "shared"] {
            let classes = kinds.iter();
            scopes.extend(classes.map(|kind| self.class_scope(identity, *kind, audience)));
            scopes.extend(uri.map(|uri| self.uri_scope(identity, uri, audience)));
        }
        Some(scopes)
    }

    #[cfg(test)]
    pub(super) fn cached_scopes(&self) -> usize {
        self.cache.epochs.len()
    }

    /// The last session of a set ends: what counts for it alone is forgotten, for its name never comes again. To be called
    /// while both are known.
    pub(super) fn cache_forget(&mut self, session: SessionId) {
        if !self.uses_cache() {
            return;
        }
        let Some(record) = self.sessions.get(&session) else {
            return;
        };
        let mut audiences = vec![self.audience(session, Audience::Session)];
        if matches!(record.principal, Principal::Session(_)) {
            audiences.push(self.audience(session, Audience::Principal));
        }
        let mut scopes = Vec::new();
        for upstream in self.set_upstreams(session) {
            let Some(record) = self.upstreams.get(&upstream) else {
                continue;
            };
            let identity = &self.settings.servers[record.server].identity;
            for audience in audiences.iter().flatten() {
                scopes.push(self.write_scope(identity, audience));
                let classes = ListKind::ALL.iter();
                scopes.extend(classes.map(|kind| self.class_scope(identity, *kind, audience)));
            }
        }
        self.cache.epochs.forget(&scopes);
    }

    /// Tells whether a list that was read whole is still fresh by its server's word, so that it need not
    /// be read again.
    pub(super) fn is_list_fresh(
        &self,
        now: Instant,
        id: ExchangeId,
        upstream: UpstreamId,
        kind: ListKind,
    ) -> bool {
        let wants_fresh = self
            .exchanges
            .get(&id)
            .is_some_and(|exchange| Wish::of(&exchange.request) == Wish::Fresh);
        let state = self.upstreams.get(&upstream).map(|one| one.list(kind));
        self.uses_cache()
            && !wants_fresh
            && state.is_some_and(|state| {
                state.live.is_some()
                    && state.fetch.is_none()
                    && state.fresh_until.is_some_and(|until| now < until)
            })
    }

    /// A server asks something while these are in flight: their answers depend on what is said, and are
    /// for those who say it.
    pub(super) fn cache_taint(&mut self, now: Instant, asking: &[ExchangeId]) {
        let mut left = Vec::new();
        for id in asking {
            if let Some(Part::Read(read)) = self.exchanges.get_mut(id).map(|one| &mut one.cache) {
                read.is_tainted = true;
                left.extend(self.cache.flights.land(&read.key, *id));
            }
        }
        self.ask_again(now, left);
    }

    /// Those who waited for an answer that is not for them ask for themselves.
    fn ask_again(&mut self, now: Instant, left: impl IntoIterator<Item = ExchangeId>) {
        for id in left {
            let Some(exchange) = self.exchanges.get_mut(&id) else {
                continue;
            };
            exchange.cache = Part::None;
            exchange.was_sent = false;
            self.lead(now, id);
        }
    }

    /// A connection is being closed: nothing is sent to it in the place of what fails with it.
    pub(super) fn cache_holds_back(&mut self, upstream: UpstreamId) {
        self.cache.closing = Some(upstream);
    }

    /// The connection is closed: what was held back waits for the next one like any request.
    pub(super) fn cache_goes_on(&mut self, now: Instant) {
        self.cache.closing = None;
        for id in std::mem::take(&mut self.cache.held_back) {
            self.lead(now, id);
        }
    }

    /// An exchange leaves the table, however it ended.
    pub(super) fn cache_forgotten(&mut self, exchange: &mut Exchange) {
        let part = std::mem::take(&mut exchange.cache);
        if matches!(part, Part::Write(_) | Part::Read(_)) {
            self.cache.leaving.push((exchange.id, part));
        }
    }

    /// Ends what was left open by exchanges that were forgotten: a write whose end was not seen may
    /// still happen, and whoever waits for a read takes its place.
    pub(super) fn cache_settle(&mut self, now: Instant) {
        for (id, part) in std::mem::take(&mut self.cache.leaving) {
            match part {
                Part::Write(scopes) => {
                    self.cache.epochs.end(&scopes, false, now);
                    self.bump_tier(scopes.clone(), None);
                    if self.cache.late.len() < LATE_WRITES {
                        self.cache.late.insert(id, scopes);
                    }
                }
                Part::Read(read) => {
                    if let Some(next) = self.cache.flights.leave(&read.key, id) {
                        self.lead(now, next);
                    }
                }
                _ => {}
            }
        }
    }

    /// A request that nobody waits for any more was answered after all.
    pub(super) fn cache_late(&mut self, purpose: &Purpose) {
        if let Purpose::Exchange(id) = purpose
            && let Some(scopes) = self.cache.late.remove(id)
        {
            self.cache.epochs.bump(&scopes);
            self.bump_tier(scopes, None);
        }
    }
}

/// What is kept of an answer: the part of its frame that is no envelope.
fn kept(message: &Message) -> Option<Answer> {
    use crate::jsonrpc::scan::EnvelopeKey::{Error, Result};
    let slice = |at| -> Bytes { message.raw().slice(at) };
    match message.span(Result) {
        Some(at) => Some(Answer::Result(slice(at))),
        None => message.span(Error).map(|at| Answer::Error(slice(at))),
    }
}
