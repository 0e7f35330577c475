//! The way in: what a request is to the cache, and whether it has to be sent.

use std::time::Instant;

use bytes::Bytes;

use crate::cache::flight;
use crate::cache::gate::{self, Wish};
use crate::cache::key::{Key, Question};
use crate::cache::lru::{Entry, TierEpoch};
use crate::cache::rules::{Audience, Grant, Role};
use crate::catalog::hints::Hints;
use crate::mcp::error::{Outcome, ProxyError};
use crate::mcp::method::{self, ListKind};
use crate::upstream::UpstreamId;

use super::super::Hub;
use super::super::action::Action;
use super::super::exchange::ExchangeId;
use super::super::rescue::Trouble;
use super::super::timers::TimerKey;
use super::{Looked, Part, Read, Stage};

/// What a request is to the cache.
pub(super) enum Asked {
    /// Nothing: it reads, but is neither kept nor answered.
    Plain,
    /// It makes kept answers worthless.
    Write(Vec<crate::cache::key::Scope>),
    /// It may be answered, and its answer kept.
    Read(Box<Read>),
}

impl Hub {
    /// Sends an exchange to its server, which is ready, or answers it without.
    pub(in super::super) fn send_or_answer(
        &mut self,
        now: Instant,
        id: ExchangeId,
        upstream: UpstreamId,
    ) {
        if !self.uses_cache() {
            return self.send_exchange(now, id, upstream);
        }
        self.cache_settle(now);
        match self.exchanges.get(&id).map(|exchange| &exchange.cache) {
            Some(Part::None) => {}
            // Sent again: to a new session, or by one that took another's place.
            _ => return self.send_exchange(now, id, upstream),
        }
        if let (Some(record), Some(server)) = (
            self.upstreams.get(&upstream).and_then(|one| one.known()),
            self.upstreams.get(&upstream).map(|one| one.server),
        ) && self.cache.spoken.get(&server) != Some(&record.version)
        {
            let version = record.version.clone();
            self.cache.spoken.insert(server, version);
        }
        match self.asked(id, upstream) {
            // The server may not accept the token any more: it is asked, and nothing is kept of it.
            Asked::Read(_) if !self.may_use_kept(now, self.exchanges[&id].session) => {
                if self.wish(id) == Wish::CachedOnly {
                    return self.not_cached(now, id);
                }
                self.send_exchange(now, id, upstream);
            }
            Asked::Read(read) => self.look_up(now, id, upstream, read),
            asked => {
                if self.wish(id) == Wish::CachedOnly {
                    return self.not_cached(now, id);
                }
                if let Asked::Write(scopes) = asked {
                    self.cache.counters.writes += 1;
                    self.cache.epochs.begin(&scopes);
                    self.bump_tier(scopes.clone(), None);
                    self.set_part(id, Part::Write(scopes));
                }
                self.send_exchange(now, id, upstream);
            }
        }
    }

    pub(super) fn set_part(&mut self, id: ExchangeId, part: Part) {
        if let Some(exchange) = self.exchanges.get_mut(&id) {
            exchange.cache = part;
        }
    }

    fn wish(&self, id: ExchangeId) -> Wish {
        self.exchanges
            .get(&id)
            .map(|exchange| Wish::of(&exchange.request))
            .unwrap_or_default()
    }

    /// Says what a request is to the cache.
    pub(super) fn asked(&self, id: ExchangeId, upstream: UpstreamId) -> Asked {
        let (Some(exchange), Some(record)) =
            (self.exchanges.get(&id), self.upstreams.get(&upstream))
        else {
            return Asked::Plain;
        };
        let Some(principal) = self.audience(exchange.session, Audience::Principal) else {
            return Asked::Plain;
        };
        let server = record.server;
        let request = &exchange.request;
        match request.method() {
            method::TOOLS_CALL => {
                let name = exchange.real_name.clone();
                let Some(tool) = name.or_else(|| request.body_text("name")) else {
                    return Asked::Plain;
                };
                let spec = &self.settings.servers[server];
                let live = self.live_tool(upstream, &tool);
                // Hints count from the server itself only; a name of the answer may come from what it
                // offered last time: under another definition it has another name.
                let hints = || live.as_deref().map(Hints::of);
                match self.settings.cache.rules.role(&spec.name, &tool, hints) {
                    Role::Write => {
                        Asked::Write(self.written_scopes(server, &principal, Some(&tool)))
                    }
                    Role::Read => Asked::Plain,
                    Role::Granted(grant) => live
                        .clone()
                        .or_else(|| self.original_tool(upstream, &tool))
                        .as_deref()
                        .and_then(|definition| {
                            self.call_read(id, upstream, &tool, definition, &grant)
                        })
                        .map_or(Asked::Plain, Asked::Read),
                }
            }
            method::RESOURCES_READ => {
                let name = exchange.real_name.clone();
                let uri = name.or_else(|| request.body_text("uri"));
                self.told_read(id, upstream, ListKind::Resources, uri.as_deref())
                    .map_or(Asked::Plain, Asked::Read)
            }
            method::INITIALIZE
            | method::PING
            | method::DISCOVER
            | method::LISTEN
            | method::PROMPTS_GET
            | method::COMPLETE
            | method::SET_LEVEL
            | method::RESOURCES_SUBSCRIBE
            | method::RESOURCES_UNSUBSCRIBE => Asked::Plain,
            name => match ListKind::of_method(name) {
                Some(kind) => self
                    .told_read(id, upstream, kind, None)
                    .map_or(Asked::Plain, Asked::Read),
                // Tasks, and what we do not know.
                None => Asked::Write(self.written_scopes(server, &principal, None)),
            },
        }
    }

    /// Returns a tool as its server listed it on this connection; what a snapshot says decides nothing.
    fn live_tool(&self, upstream: UpstreamId, name: &str) -> Option<Bytes> {
        let rules = &self.settings.cache.rules;
        if rules.is_empty() {
            return None;
        }
        let list = self.upstreams.get(&upstream)?.list(ListKind::Tools);
        list.live.as_ref()?.named(name).cloned()
    }

    fn call_read(
        &self,
        id: ExchangeId,
        upstream: UpstreamId,
        tool: &str,
        definition: &[u8],
        grant: &Grant,
    ) -> Option<Box<Read>> {
        let exchange = self.exchanges.get(&id)?;
        let record = self.upstreams.get(&upstream)?;
        let has_more = exchange
            .extra_params
            .iter()
            .any(|(name, _)| *name != "arguments");
        let is_plain = !has_more && exchange.remove_params.is_empty() && exchange.rounds == 0;
        if !is_plain || !gate::may_ask(&exchange.request) {
            return None;
        }
        let audience = self.audience(exchange.session, grant.audience)?;
        let writes = match grant.audience {
            Audience::Session => self.audience(exchange.session, Audience::Principal)?,
            _ => audience.clone(),
        };
        let identity = &self.settings.servers[record.server].identity;
        // Through a caller of ours the request's own arguments are not those of the tool.
        let inner = exchange
            .extra_params
            .iter()
            .find(|(name, _)| *name == "arguments")
            .map(|(_, raw)| &raw[..]);
        let vary: Vec<(&str, Option<&[u8]>)> = grant
            .vary
            .iter()
            .map(|name| (name.as_str(), exchange.request.meta(name)))
            .collect();
        let fingerprint = blake3::hash(definition);
        let question = Question {
            audience: &audience,
            server: identity,
            definition: fingerprint.as_bytes(),
            protocol: self.cache.spoken.get(&record.server)?,
            capabilities: &exchange.capabilities,
            method: method::TOOLS_CALL,
            name: Some(tool),
            arguments: inner.or_else(|| exchange.request.body("arguments")),
            vary: &vary,
        };
        let limits = self.settings.limits.message;
        Some(Box::new(Read {
            key: Key::of(&self.settings.cache.secret, &question, &limits)?,
            scopes: vec![
                match grant.narrowed {
                    Some(rule) => self.rule_scope(rule, &writes),
                    None => self.write_scope(identity, &writes),
                },
                self.class_scope(identity, ListKind::Tools, &audience),
            ],
            stamp: None,
            tier_stamp: None,
            granted: Some(grant.ttl),
            stale_if_error: grant.stale_if_error,
            allows_links: grant.allows_links,
            wish: Wish::of(&exchange.request),
            stage: Stage::Sent,
            is_tainted: false,
        }))
    }

    /// A list or read, which is kept by its server's word.
    fn told_read(
        &self,
        id: ExchangeId,
        upstream: UpstreamId,
        kind: ListKind,
        uri: Option<&str>,
    ) -> Option<Box<Read>> {
        let exchange = self.exchanges.get(&id)?;
        let record = self.upstreams.get(&upstream)?;
        let is_plain = exchange.extra_params.is_empty() && exchange.remove_params.is_empty();
        if !gate::may_ask(&exchange.request) || !is_plain || exchange.rounds > 0 {
            return None;
        }
        let audience = self.audience(exchange.session, Audience::Principal)?;
        let identity = &self.settings.servers[record.server].identity;
        let cursor = exchange.request.body_text("cursor");
        let question = Question {
            audience: &audience,
            server: identity,
            definition: b"",
            protocol: self.cache.spoken.get(&record.server)?,
            capabilities: &exchange.capabilities,
            method: exchange.request.method(),
            name: uri.or(cursor.as_deref()),
            arguments: None,
            vary: &[],
        };
        let mut scopes = vec![self.class_scope(identity, kind, &audience)];
        if let Some(uri) = uri {
            scopes.push(self.write_scope(identity, &audience));
            scopes.push(self.uri_scope(identity, uri, &audience));
        }
        let limits = self.settings.limits.message;
        Some(Box::new(Read {
            key: Key::of(&self.settings.cache.secret, &question, &limits)?,
            scopes,
            stamp: None,
            tier_stamp: None,
            granted: None,
            stale_if_error: std::time::Duration::ZERO,
            allows_links: true,
            wish: Wish::of(&exchange.request),
            stage: Stage::Sent,
            is_tainted: false,
        }))
    }

    fn look_up(&mut self, now: Instant, id: ExchangeId, upstream: UpstreamId, mut read: Box<Read>) {
        let Some(stamp) = self.cache.epochs.stamp(&read.scopes, now) else {
            // Something is being written: only the server knows.
            if read.wish == Wish::CachedOnly {
                return self.not_cached(now, id);
            }
            self.cache.counters.misses += 1;
            return self.send_exchange(now, id, upstream);
        };
        read.stamp = Some(stamp);
        let is_asked = read.wish != Wish::Fresh;
        let is_in_memory = is_asked && self.in_memory(now, &read).is_some();
        // A legacy server says nothing of lists and reads, so no tier has them.
        let may_be_kept = read.granted.is_some()
            || self.upstreams[&upstream].era() == crate::mcp::version::Era::Modern;
        let has_tier = self.settings.cache.has_tier && may_be_kept;
        if has_tier && !self.tell_again(&read.scopes) {
            self.actions.push_back(Action::CacheLookup {
                exchange: id,
                key: read.key,
                scopes: read.scopes.clone(),
                wants_answer: is_asked && !is_in_memory,
            });
            if let Some(at) = now.checked_add(self.settings.cache.tier_deadline) {
                self.timers.set(TimerKey::Cache(id), at);
            }
            read.stage = Stage::Looking;
            return self.set_part(id, Part::Read(read));
        }
        if is_in_memory {
            return self.answer_from_memory(now, id, upstream, &read);
        }
        self.lead_or_follow(now, id, read);
    }

    /// Returns an entry that is fresh and current.
    pub(super) fn in_memory(&mut self, now: Instant, read: &Read) -> Option<&Entry> {
        let entry = self.cache.lru.get(&read.key)?;
        let is_current = entry.scopes == read.scopes && Some(&entry.stamp) == read.stamp.as_ref();
        (is_current && entry.is_fresh(now)).then_some(entry)
    }

    /// A tier answered, or did not in time (`looked` says nothing then).
    pub fn handle_cached(&mut self, now: Instant, id: ExchangeId, looked: Looked) {
        self.cache_settle(now);
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        let Some(upstream) = exchange.upstream else {
            return;
        };
        let mut read = match std::mem::take(&mut exchange.cache) {
            Part::Read(read) if read.stage == Stage::Looking => read,
            other => {
                exchange.cache = other;
                return;
            }
        };
        self.timers.clear(TimerKey::Cache(id));
        if looked.epochs.is_none() {
            self.cache.counters.tier_late += 1;
        }
        let is_current = read
            .stamp
            .as_ref()
            .is_some_and(|stamp| self.cache.epochs.is_current(&read.scopes, stamp, now));
        if !is_current {
            // Something was written meanwhile: nothing that was looked up counts.
            return self.look_up_again(now, id, upstream, read);
        }
        let mut looked = looked;
        if read
            .scopes
            .iter()
            .any(|scope| self.cache.untold.contains_key(scope))
        {
            // Told meanwhile of something that the tier may not have heard yet.
            looked = Looked::default();
        }
        read.tier_stamp = looked.epochs;
        if read.wish != Wish::Fresh {
            let tier_stamp = read.tier_stamp.clone();
            if self
                .in_memory(now, &read)
                .is_some_and(|entry| agrees(entry, tier_stamp.as_deref()))
            {
                return self.answer_from_memory(now, id, upstream, &read);
            }
            let found = looked.found;
            if let Some(found) = found.and_then(|found| self.granted_now(&read, found)) {
                return self.answer_from_tier(now, id, upstream, read, found);
            }
        }
        self.lead_or_follow(now, id, read);
    }

    fn look_up_again(
        &mut self,
        now: Instant,
        id: ExchangeId,
        upstream: UpstreamId,
        mut read: Box<Read>,
    ) {
        if read.wish == Wish::CachedOnly {
            return self.not_cached(now, id);
        }
        match self.cache.epochs.stamp(&read.scopes, now) {
            Some(stamp) => {
                read.stamp = Some(stamp);
                self.lead_or_follow(now, id, read);
            }
            // It has no part now: it is looked up once more, and sent because of the write.
            None => self.forward(now, id, upstream),
        }
    }

    /// Sends a request, unless an equal one is at its server.
    pub(super) fn lead_or_follow(&mut self, now: Instant, id: ExchangeId, mut read: Box<Read>) {
        if read.wish == Wish::CachedOnly {
            return self.not_cached(now, id);
        }
        let Some(stamp) = read.stamp.clone() else {
            return;
        };
        let mut left = std::collections::VecDeque::new();
        if read.granted.is_some() && read.wish == Wish::Any {
            let (part, others) =
                self.cache
                    .flights
                    .join(read.key, id, &stamp, read.tier_stamp.as_deref());
            left = others;
            if part == flight::Part::Follows {
                self.cache.counters.joined += 1;
                read.stage = Stage::Follows;
                if let Some(exchange) = self.exchanges.get_mut(&id) {
                    // For its deadline it is with the server.
                    exchange.was_sent = true;
                    exchange.cache = Part::Read(read);
                }
                return self.renew_deadline(now, id);
            }
        }
        self.cache.counters.misses += 1;
        self.set_part(id, Part::Read(read));
        self.lead(now, id);
        self.ask_again(now, left);
    }

    /// Sends a request whose answer may be kept.
    pub(super) fn lead(&mut self, now: Instant, id: ExchangeId) {
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        if let Part::Read(read) = &mut exchange.cache {
            read.stage = Stage::Sent;
        }
        let Some(upstream) = exchange.upstream else {
            return;
        };
        if self.cache.closing == Some(upstream) {
            self.cache.held_back.push(id);
        } else if self.upstreams.contains_key(&upstream) {
            self.forward(now, id, upstream);
        } else {
            let detail = "its connection was shut down".to_owned();
            self.fail_with(now, id, &Trouble::Unavailable { detail });
        }
    }

    /// The server must not be asked, and there is nothing else.
    fn not_cached(&mut self, now: Instant, id: ExchangeId) {
        let server = self
            .exchanges
            .get(&id)
            .and_then(|exchange| exchange.upstream)
            .map(|upstream| self.server_name(upstream))
            .unwrap_or_default();
        let error = ProxyError::NotCached.object(
            "there is no kept answer to this request, and it asks for nothing else; the request was not sent\nhint: send it without `only-if-cached`",
            &server,
            Outcome::NotSent,
        );
        self.set_part(id, Part::None);
        self.fail(now, id, &error);
    }
}

/// Tells whether an entry in memory is what the tier still counts as current. A tier that could not be
/// asked leaves memory alone to decide.
fn agrees(entry: &Entry, tier: Option<&[TierEpoch]>) -> bool {
    tier.is_none_or(|now| entry.tier_stamp.as_deref() == Some(now))
}
