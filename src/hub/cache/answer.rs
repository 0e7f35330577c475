//! The way back: what an answer is to the cache, and how a kept one goes out.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::cache::fresh;
use crate::cache::gate::{self, Verdict};
use crate::cache::lru::{Answer, Entry};
use crate::jsonrpc::members;
use crate::jsonrpc::message::Message;
use crate::jsonrpc::scan::EnvelopeKey;
use crate::jsonrpc::text;
use crate::jsonrpc::write::Edit;
use crate::mcp::meta;
use crate::mcp::method::ListKind;
use crate::mcp::result::ResultType;
use crate::mcp::version::Era;
use crate::upstream::UpstreamId;

use super::super::Hub;
use super::super::action::Action;
use super::super::exchange::ExchangeId;
use super::super::rescue::Trouble;
use super::super::timers::TimerKey;
use super::ask::Asked;
use super::{Found, Part, Read, Stage, kept};

impl Hub {
    /// Tells the cache of an answer before it goes on; `true` where it has to wait until other processes
    /// know that something was written.
    pub(in super::super) fn cache_answered(
        &mut self,
        now: Instant,
        upstream: UpstreamId,
        id: ExchangeId,
        message: &Message,
    ) -> bool {
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return false;
        };
        match std::mem::take(&mut exchange.cache) {
            Part::None => false,
            Part::Write(scopes) => {
                // A task goes on after its answer.
                let is_over = ResultType::of(message.body("resultType")) != ResultType::Task
                    && message.body_span("task").is_none()
                    && message.body_span("taskId").is_none();
                self.cache.epochs.end(&scopes, is_over, now);
                if !self.settings.cache.has_tier {
                    return false;
                }
                self.bump_tier(scopes, Some(id));
                self.set_part(id, Part::Held(upstream, message.clone()));
                if let Some(at) = now.checked_add(self.settings.cache.tier_deadline) {
                    self.timers.set(TimerKey::Cache(id), at);
                }
                true
            }
            Part::Read(read) => {
                self.read_answered(now, id, &read, message);
                false
            }
            other => {
                exchange.cache = other;
                false
            }
        }
    }

    /// A tier confirmed what became worthless, or could not be told (`is_done`).
    pub fn handle_bumped(&mut self, now: Instant, bump: u64, is_done: bool) {
        let Some((scopes, wait)) = self.cache.bumps.remove(&bump) else {
            return;
        };
        if is_done {
            for scope in &scopes {
                if self.cache.untold.get(scope) == Some(&bump) {
                    self.cache.untold.remove(scope);
                }
            }
        }
        if let Some(id) = wait {
            self.release(now, id);
        }
    }

    /// Other processes know of a write, or did not hear of it in time: its answer goes on.
    fn release(&mut self, now: Instant, id: ExchangeId) {
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        match std::mem::take(&mut exchange.cache) {
            Part::Held(upstream, message) => {
                self.timers.clear(TimerKey::Cache(id));
                self.pass_on(now, upstream, id, message);
            }
            other => exchange.cache = other,
        }
    }

    /// The time for a tier is over.
    pub(in super::super) fn tier_timeout(&mut self, now: Instant, id: ExchangeId) {
        match self.exchanges.get(&id).map(|exchange| &exchange.cache) {
            Some(Part::Held(..)) => self.release(now, id),
            Some(Part::Read(_)) => self.handle_cached(now, id, super::Looked::default()),
            _ => {}
        }
    }

    /// An answer goes the way of one that just came, even where its connection is gone meanwhile.
    fn pass_on(&mut self, now: Instant, upstream: UpstreamId, id: ExchangeId, message: Message) {
        if self.upstreams.contains_key(&upstream) {
            self.exchange_answered(now, upstream, id, message);
        } else {
            self.deliver(now, upstream, id, &message);
        }
    }

    fn read_answered(&mut self, now: Instant, id: ExchangeId, read: &Read, message: &Message) {
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        let max_bytes = self.settings.cache.max_bytes / 4;
        let verdict = gate::judge(&exchange.request, message, read.allows_links, max_bytes);
        if !read.is_tainted && matches!(verdict, Verdict::Keep | Verdict::KeepRefusal) {
            self.keep(now, read, message, verdict);
        }
        let waiting = self.cache.flights.land(&read.key, id);
        if verdict == Verdict::Alone || read.is_tainted {
            return self.ask_again(now, waiting);
        }
        for one in waiting {
            let Some(exchange) = self.exchanges.get_mut(&one) else {
                continue;
            };
            exchange.cache = Part::None;
            if let Some(upstream) = exchange.upstream {
                self.pass_on(now, upstream, one, message.clone());
            }
        }
    }

    fn keep(&mut self, now: Instant, read: &Read, message: &Message, verdict: Verdict) {
        let settings = &self.settings.cache;
        let ttl = match verdict {
            Verdict::KeepRefusal => settings.negative_ttl.min(settings.max_ttl),
            _ => fresh::ttl(read.granted, message.body("ttlMs"), settings.max_ttl),
        };
        let (Some(stamp), Some(answer)) = (&read.stamp, kept(message)) else {
            return;
        };
        // What was written while it was read may or may not be in it.
        let is_current = self.cache.epochs.is_current(&read.scopes, stamp, now);
        if ttl.is_zero() || !is_current {
            return;
        }
        let stale_if_error = read.stale_if_error;
        if let (true, Some(tier)) = (settings.has_tier, &read.tier_stamp) {
            self.actions.push_back(Action::CacheStore {
                key: read.key,
                answer: answer.clone(),
                ttl,
                stale_if_error,
                scopes: read
                    .scopes
                    .iter()
                    .copied()
                    .zip(tier.iter().copied())
                    .collect(),
            });
        }
        self.cache.counters.stored += 1;
        let gone = self.cache.lru.put(
            read.key,
            Entry {
                answer,
                received: now,
                ttl,
                stale_if_error,
                scopes: read.scopes.clone(),
                stamp: stamp.clone(),
                tier_stamp: read.tier_stamp.clone(),
            },
        );
        self.cache.counters.evicted += gone as u64;
    }

    /// Answers with the entry in memory, which was looked at.
    pub(super) fn answer_from_memory(
        &mut self,
        now: Instant,
        id: ExchangeId,
        upstream: UpstreamId,
        read: &Read,
    ) {
        let Some(entry) = self.cache.lru.get(&read.key) else {
            return;
        };
        let (answer, age, ttl) = (entry.answer.clone(), entry.age(now), entry.ttl);
        self.cache.counters.hits += 1;
        let part = Part::Hit {
            age,
            ttl,
            is_stale: false,
        };
        if !self.answer_with(now, id, upstream, &answer, part) {
            self.cache.lru.remove(&read.key);
            self.forward(now, id, upstream);
        }
    }

    /// What a tier had, by what is granted now: it may have been kept when that was more. None where its time
    /// is over so.
    pub(super) fn granted_now(&self, read: &Read, found: Found) -> Option<Found> {
        let settings = &self.settings.cache;
        let granted = match found.answer {
            Answer::Error(_) => settings.negative_ttl,
            Answer::Result(_) => read.granted.unwrap_or(settings.max_ttl),
        };
        let ttl = found.ttl.min(granted).min(settings.max_ttl);
        (found.age < ttl).then_some(Found {
            ttl,
            stale_if_error: read.stale_if_error,
            ..found
        })
    }

    /// Answers with what a tier had, and keeps it in memory for the rest of its time.
    pub(super) fn answer_from_tier(
        &mut self,
        now: Instant,
        id: ExchangeId,
        upstream: UpstreamId,
        read: Box<Read>,
        found: Found,
    ) {
        let received = now.checked_sub(found.age);
        if let (Some(stamp), Some(received)) = (read.stamp.clone(), received) {
            self.cache.lru.put(
                read.key,
                Entry {
                    answer: found.answer.clone(),
                    received,
                    ttl: found.ttl,
                    stale_if_error: found.stale_if_error,
                    scopes: read.scopes.clone(),
                    stamp,
                    tier_stamp: read.tier_stamp.clone(),
                },
            );
        }
        self.cache.counters.tier_hits += 1;
        let part = Part::Hit {
            age: found.age,
            ttl: found.ttl,
            is_stale: false,
        };
        if !self.answer_with(now, id, upstream, &found.answer, part) {
            self.cache.lru.remove(&read.key);
            self.lead_or_follow(now, id, read);
        }
    }

    /// Sends a kept answer the way of one that just came; `false` where it is no answer (it was damaged).
    fn answer_with(
        &mut self,
        now: Instant,
        id: ExchangeId,
        upstream: UpstreamId,
        answer: &Answer,
        part: Part,
    ) -> bool {
        let Some(exchange) = self.exchanges.get(&id) else {
            return true;
        };
        let mut raw = b"{\"jsonrpc\":\"2.0\",\"id\":".to_vec();
        raw.extend_from_slice(exchange.request_id.raw());
        raw.extend_from_slice(match answer {
            Answer::Result(_) => b",\"result\":",
            Answer::Error(_) => b",\"error\":",
        });
        raw.extend_from_slice(answer.raw());
        raw.push(b'}');
        let limits = self.settings.limits.message;
        let Ok(message) = Message::parse_single(raw.into(), limits) else {
            return false;
        };
        self.set_part(id, part);
        self.pass_on(now, upstream, id, message);
        true
    }

    /// Lets a kept answer stand in for a server that failed, where the operator allowed it; tells whether
    /// it did. Only what is in memory is asked.
    pub(in super::super) fn stand_in(
        &mut self,
        now: Instant,
        id: ExchangeId,
        trouble: &Trouble,
    ) -> bool {
        let is_outage = matches!(
            trouble,
            Trouble::Unavailable { .. }
                | Trouble::Lost { .. }
                | Trouble::Deadline { .. }
                | Trouble::Overloaded { .. }
                | Trouble::Resting { .. }
        );
        if !is_outage || self.settings.cache.rules.is_empty() || !self.uses_cache() {
            return false;
        }
        let Some(exchange) = self.exchanges.get(&id) else {
            return false;
        };
        let Some(upstream) = exchange.upstream.filter(|_| self.is_call(id)) else {
            return false;
        };
        let (key, scopes) = match &exchange.cache {
            Part::Read(read) => (read.key, read.scopes.clone()),
            Part::None => match self.asked(id, upstream) {
                Asked::Read(read) => (read.key, read.scopes),
                _ => return false,
            },
            _ => return false,
        };
        let epochs = &self.cache.epochs;
        let Some(entry) = self.cache.lru.get(&key).filter(|entry| {
            entry.may_stand_in(now)
                && !entry.stale_if_error.is_zero()
                && entry.scopes == scopes
                && epochs.is_current(&scopes, &entry.stamp, now)
        }) else {
            return false;
        };
        let part = Part::Hit {
            age: entry.age(now),
            ttl: entry.ttl,
            is_stale: true,
        };
        let answer = entry.answer.clone();
        if let Some(Part::Read(read)) = self.exchanges.get_mut(&id).map(|one| &mut one.cache)
            && read.stage != Stage::Looking
        {
            // Whoever waits for it goes on by itself.
            let waiting = self.cache.flights.leave(&key, id);
            if let Some(next) = waiting {
                self.set_part(id, Part::None);
                self.lead(now, next);
            }
        }
        self.cache.counters.stood_in += 1;
        self.answer_with(now, id, upstream, &answer, part)
    }

    /// An answer of the server to all who wait for it, where one of them got it as a failure below
    /// JSON-RPC on the connection that they share.
    pub(in super::super) fn cache_shares_trouble(&mut self, id: ExchangeId) -> Vec<ExchangeId> {
        let Some(exchange) = self.exchanges.get(&id) else {
            return Vec::new();
        };
        let upstream = exchange.upstream;
        let Part::Read(read) = &exchange.cache else {
            return Vec::new();
        };
        let key = read.key;
        let on_it = |one: &ExchangeId| {
            self.exchanges
                .get(one)
                .is_some_and(|exchange| exchange.upstream == upstream)
        };
        let waiting = self.cache.flights.followers(&key, id);
        let shared: Vec<ExchangeId> = waiting.into_iter().filter(on_it).collect();
        for one in &shared {
            self.cache.flights.leave(&key, *one);
            self.set_part(*one, Part::None);
        }
        shared
    }

    /// Edits that say of a result that it was kept: how old it is, and for a modern client how long it
    /// still is fresh, never its whole time anew (MCP 2026-07-28 server/utilities/caching).
    pub(in super::super) fn hit_edits(
        &self,
        id: ExchangeId,
        message: &Message,
        others: &[Edit],
    ) -> Vec<Edit> {
        let Some(exchange) = self.exchanges.get(&id) else {
            return Vec::new();
        };
        let Part::Hit { age, ttl, is_stale } = &exchange.cache else {
            return Vec::new();
        };
        let Some(result) = message.span(EnvelopeKey::Result) else {
            return Vec::new();
        };
        let is_free = |at: &std::ops::Range<usize>| {
            !others
                .iter()
                .any(|edit| edit.range.start < at.end && at.start < edit.range.end)
        };
        let mut edits = Vec::new();
        if exchange.era == Era::Modern
            && let Some(span) = message.body_span("ttlMs").filter(is_free)
        {
            edits.push(Edit {
                range: span,
                with: fresh::left_ms(*ttl, *age).to_string().into(),
            });
        }
        edits.extend(marked(message, result, others, *age, *is_stale));
        edits
    }
}

/// The edit that puts our member into `_meta` of a result.
fn marked(
    message: &Message,
    result: std::ops::Range<usize>,
    others: &[Edit],
    age: Duration,
    is_stale: bool,
) -> Option<Edit> {
    let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    let stale = if is_stale { ",\"stale\":true" } else { "" };
    let value = format!("{{\"hit\":true,\"ageMs\":{age}{stale}}}");
    let raw = message.raw();
    let is_taken = |at: &std::ops::Range<usize>| {
        others
            .iter()
            .any(|edit| edit.range.start < at.end && at.start < edit.range.end)
    };
    let meta_span = message
        .body_span("_meta")
        .filter(|at| raw[at.start] == b'{');
    if let Some(at) = &meta_span
        && !is_taken(at)
    {
        if let Some(own) = message.meta_span(meta::CACHE) {
            // Another hop of ours answered from its cache before.
            return Some(Edit {
                range: own,
                with: value.into(),
            });
        }
        let is_empty = members::members(&raw[at.clone()]).is_empty();
        let comma = if is_empty { "" } else { "," };
        return Some(Edit {
            range: at.start + 1..at.start + 1,
            with: format!("{}:{value}{comma}", text::to_string(meta::CACHE)).into(),
        });
    }
    // Put in front of the others, where something stays for sure.
    let main = [
        "content",
        "contents",
        ListKind::Tools.member(),
        ListKind::Prompts.member(),
        ListKind::Resources.member(),
        ListKind::Templates.member(),
    ];
    let stays = main.iter().any(|name| message.body_span(name).is_some());
    let has_meta = message.body_span("_meta").is_some();
    if !stays || (has_meta && meta_span.is_none()) {
        return None;
    }
    // The `_meta` that is there goes as a whole, or else this one would be its twin.
    if let Some(at) = meta_span
        && !others.iter().any(|edit| {
            edit.with.is_empty() && edit.range.start < at.start && at.end <= edit.range.end
        })
    {
        return None;
    }
    let at = result.start + 1;
    Some(Edit {
        range: at..at,
        with: Bytes::from(format!(
            "\"_meta\":{{{}:{value}}},",
            text::to_string(meta::CACHE)
        )),
    })
}
