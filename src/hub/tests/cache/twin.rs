//! Random interleavings against what an uncached twin could have answered.
//!
//! Clients of two principals read and write through one or two hubs that share a tier; the server
//! answers late, never, with errors, applies writes after their client has gone, crashes, and says that
//! lists changed; the tier loses lookups, forgets everything, and cannot be told what was written. Each
//! answer to a read has to be a value that the server had between the moment the read was asked and the
//! moment it was answered: exactly what may come without a cache. With two hubs that holds for every
//! write whose answer a client has; what the other hub still waits for, or cannot tell because the tier
//! fails, may be missed for the granted time, never longer.
//!
//! Broken variants that this catches, each tried by hand: epochs counted only after a write (`begin` does
//! nothing), no mark of a write that was lost sight of, the numbers of when the answer came in place of those of
//! when its read started, a key without the principal. Not caught, because
//! another rule covers it: an `end` that counts nothing (while a write runs nothing is kept anyway). That
//! a tier is believed before it was told is caught by `tier`.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::super::{EraChoice, META, settings};
use super::{rule, rules};
use crate::cache::key::{Key, Scope};
use crate::cache::lru::{Answer, TierEpoch};
use crate::hub::Hub;
use crate::hub::action::{Action, Ended, HttpHead};
use crate::hub::cache::{Found, Looked};
use crate::jsonrpc::Limits;
use crate::jsonrpc::message::Message;
use crate::session::Principal;
use crate::upstream::UpstreamId;

/// What the rule grants.
const TTL: Duration = Duration::from_secs(60);
/// How old a write may get until the server has done it: less than the cache waits for one it lost sight of.
const DONE_BY: Duration = Duration::from_secs(20);

/// A small generator, so that a failing seed is enough to see it again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.roll(100) < percent
    }
}

/// A value that the server had, since when.
struct Had {
    step: usize,
    at: Instant,
    value: u64,
    /// The request that wrote it, and when its client knew.
    by: u64,
    known: Option<usize>,
}

/// A request that a client waits for.
struct Open {
    principal: u8,
    hub: usize,
    /// The key that is read; none for writes.
    reads: Option<usize>,
    step: usize,
    at: Instant,
}

/// A message on its way to the server.
struct Sent {
    hub: usize,
    upstream: UpstreamId,
    principal: u8,
    line: String,
    at: Instant,
}

type Place = (u8, usize);

/// An answer, when it came, how long it is fresh, what it depends on.
type Kept = (Answer, Instant, Duration, Vec<(Scope, TierEpoch)>);

/// What the hubs share outside their memory.
#[derive(Default)]
struct Tier {
    entries: HashMap<Key, Kept>,
    epochs: HashMap<Scope, TierEpoch>,
    next: TierEpoch,
    /// Lookups and tellings that are not done yet.
    waiting: VecDeque<(usize, Action)>,
}

impl Tier {
    fn epoch(&mut self, scope: Scope) -> TierEpoch {
        self.next += 1;
        *self.epochs.entry(scope).or_insert(self.next)
    }
}

struct Twin {
    dice: Dice,
    hubs: Vec<Hub>,
    now: Instant,
    step: usize,
    history: BTreeMap<Place, Vec<Had>>,
    inbox: Vec<Sent>,
    outbox: Vec<(usize, UpstreamId, String)>,
    /// Writes that the server does later.
    later: Vec<(Place, u64, Instant)>,
    open: HashMap<u64, Open>,
    next_stream: u64,
    tier: Tier,
    is_tier_faulty: bool,
    reads: usize,
    checked: usize,
}

impl Twin {
    fn new(seed: u64, n_hubs: usize, has_tier: bool, is_tier_faulty: bool) -> Self {
        let mut cache = rules(vec![rule("s/read")]);
        cache.has_tier = has_tier;
        let mut settings = settings(&["s"], EraChoice::Legacy);
        settings.cache = cache;
        // A crash is over at once, as far as this goes.
        settings.restart.park_after = 1000;
        let hubs = (0..n_hubs)
            .map(|n| Hub::new(settings.clone(), [u8::try_from(n).unwrap(); 32]))
            .collect();
        let mut twin = Self {
            dice: Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            hubs,
            now: Instant::now(),
            step: 0,
            history: BTreeMap::new(),
            inbox: Vec::new(),
            outbox: Vec::new(),
            later: Vec::new(),
            open: HashMap::new(),
            next_stream: 1,
            tier: Tier::default(),
            is_tier_faulty,
            reads: 0,
            checked: 0,
        };
        for principal in [1, 2] {
            for key in 0..2 {
                let had = Had {
                    step: 0,
                    at: twin.now,
                    value: 0,
                    by: 0,
                    known: None,
                };
                twin.history.insert((principal, key), vec![had]);
            }
            for hub in 0..n_hubs {
                // Definitions have to be known before anything is kept.
                twin.post(hub, principal, "tools/list", "", None);
                twin.settle();
            }
        }
        twin
    }

    fn post(
        &mut self,
        hub: usize,
        principal: u8,
        method: &str,
        params: &str,
        reads: Option<usize>,
    ) {
        let stream = self.next_stream;
        self.next_stream += 1;
        let line = format!(
            r#"{{"jsonrpc":"2.0","id":{stream},"method":"{method}","params":{{{params}{META}}}}}"#
        );
        let name = params.split('"').nth(3).map(str::to_owned);
        let head = HttpHead {
            protocol_version: Some("2026-07-28".into()),
            method: Some(method.into()),
            name,
            bearer: Some([principal; 16]),
            is_loopback: true,
            ..HttpHead::default()
        };
        let open = Open {
            principal,
            hub,
            reads,
            step: self.step,
            at: self.now,
        };
        self.open.insert(stream, open);
        let parsed = Message::parse(Bytes::from(line), Limits::default());
        self.hubs[hub].handle_http_post(self.now, stream, &head, parsed);
        self.act();
    }

    fn act(&mut self) {
        for hub in 0..self.hubs.len() {
            while let Some(action) = self.hubs[hub].poll_action() {
                match action {
                    Action::Send {
                        stream,
                        message,
                        is_final: true,
                        ..
                    } => {
                        let line = super::super::text(&message.to_bytes());
                        self.answered(stream, &line);
                    }
                    Action::Status { stream, status, .. } => panic!("{stream}: {status}"),
                    Action::SendUpstream {
                        upstream, message, ..
                    } => {
                        let line = super::super::text(&message.to_bytes());
                        self.server_gets(hub, upstream, line);
                    }
                    Action::Connect { upstream, .. } => {
                        self.hubs[hub].handle_upstream_connected(self.now, upstream);
                    }
                    Action::LoadSnapshot { upstream, .. } => {
                        self.hubs[hub].handle_snapshot(self.now, upstream, None);
                    }
                    Action::Disconnect { upstream } => self.crash(hub, upstream),
                    action @ (Action::CacheLookup { .. } | Action::CacheBump { .. }) => {
                        self.tier.waiting.push_back((hub, action));
                        if !self.is_tier_faulty {
                            self.tier_works();
                        }
                    }
                    Action::CacheStore {
                        key,
                        answer,
                        ttl,
                        scopes,
                        ..
                    } => {
                        let entry = (answer, self.now, ttl, scopes);
                        self.tier.entries.insert(key, entry);
                    }
                    _ => {}
                }
            }
        }
    }

    /// Handshakes and lists are answered at once; calls take their time.
    fn server_gets(&mut self, hub: usize, upstream: UpstreamId, line: String) {
        let result = if line.contains("\"tools/call\"") {
            let record = &self.hubs[hub].upstreams[&upstream];
            let Principal::Bearer(bearer) = self.hubs[hub].sets[&record.set].principal else {
                panic!("a bearer");
            };
            let (principal, at) = (bearer[0], self.now);
            return self.inbox.push(Sent {
                hub,
                upstream,
                principal,
                line,
                at,
            });
        } else if line.contains("\"initialize\"") {
            r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"s","version":"1"}}"#.to_owned()
        } else if line.contains("\"tools/list\"") {
            format!("{{\"tools\":{}}}", super::TOOLS)
        } else if line.contains("\"ping\"") {
            "{}".to_owned()
        } else {
            return;
        };
        let id = super::super::id(&line);
        self.tell(
            hub,
            upstream,
            &format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#),
        );
    }

    fn tell(&mut self, hub: usize, upstream: UpstreamId, line: &str) {
        let raw = Bytes::copy_from_slice(line.as_bytes());
        let parsed = Message::parse(raw.clone(), Limits::default()).map_err(|error| (error, raw));
        self.hubs[hub].handle_upstream_frame(self.now, upstream, None, parsed);
    }

    fn write(&mut self, place: Place, by: u64) {
        self.step += 1;
        let all = self.history.get_mut(&place).unwrap();
        let value = all.last().unwrap().value + 1;
        all.push(Had {
            step: self.step,
            at: self.now,
            value,
            by,
            known: None,
        });
    }

    /// The server takes one call.
    fn work(&mut self, index: usize) {
        let sent = self.inbox.remove(index);
        let key = usize::from(sent.line.contains("\"k\":1"));
        let place = (sent.principal, key);
        let id = super::super::id(&sent.line);
        let by: u64 = id.parse().unwrap();
        let is_write = sent.line.contains("\"name\":\"write\"");
        if is_write {
            match self.dice.roll(16) {
                0 => return,
                1 => return self.write(place, by),
                2 => return self.later.push((place, by, self.now)),
                3 => {
                    self.write(place, by);
                    let error = format!(
                        r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32000,"message":"no"}}}}"#
                    );
                    return self.outbox.push((sent.hub, sent.upstream, error));
                }
                _ => self.write(place, by),
            }
        } else if self.dice.chance(5) {
            return;
        }
        let value = self.history[&place].last().unwrap().value;
        let (principal, key) = place;
        let line = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[{{"type":"text","text":"<{principal} {key} {value}>"}}]}}}}"#
        );
        self.outbox.push((sent.hub, sent.upstream, line));
    }

    /// The tier does the oldest thing it was asked.
    fn tier_works(&mut self) {
        let Some((hub, action)) = self.tier.waiting.pop_front() else {
            return;
        };
        let is_lost = self.is_tier_faulty && self.dice.chance(30);
        match action {
            Action::CacheBump { bump, scopes } => {
                // What was lost on the way back was done all the same.
                if !is_lost || self.dice.chance(50) {
                    for scope in scopes {
                        self.tier.next += 1;
                        let next = self.tier.next;
                        self.tier.epochs.insert(scope, next);
                    }
                }
                self.hubs[hub].handle_bumped(self.now, bump, !is_lost);
            }
            Action::CacheLookup {
                exchange,
                key,
                scopes,
                wants_answer,
            } if !is_lost => {
                let epochs: Vec<TierEpoch> =
                    scopes.iter().map(|scope| self.tier.epoch(*scope)).collect();
                let known: Vec<(Scope, TierEpoch)> =
                    scopes.iter().copied().zip(epochs.iter().copied()).collect();
                let found = self
                    .tier
                    .entries
                    .get(&key)
                    .filter(|_| wants_answer)
                    .and_then(|(answer, received, ttl, scopes)| {
                        let age = self.now.duration_since(*received);
                        (age < *ttl && *scopes == known).then(|| Found {
                            answer: answer.clone(),
                            age,
                            ttl: *ttl,
                            stale_if_error: Duration::ZERO,
                        })
                    });
                let looked = Looked {
                    epochs: Some(epochs),
                    found,
                };
                self.hubs[hub].handle_cached(self.now, exchange, looked);
            }
            // Its deadline tells.
            _ => {}
        }
        self.act();
    }

    fn answered(&mut self, stream: u64, line: &str) {
        let Some(open) = self.open.remove(&stream) else {
            panic!("a second answer, or one to nobody: {line}");
        };
        let Some(key) = open.reads else {
            // What failed may have been done or not; only an answer of the server says that it was.
            let is_known = !line.contains("\"source\":\"proxy\"");
            let all = self.history.values_mut().flatten();
            for had in all.filter(|had| is_known && had.by == stream) {
                had.known = Some(self.step);
            }
            return;
        };
        self.reads += 1;
        let Some((_, rest)) = line.split_once('<') else {
            return;
        };
        let numbers: Vec<u64> = rest
            .split('>')
            .next()
            .unwrap()
            .split(' ')
            .map(|number| number.parse().unwrap())
            .collect();
        let [principal, of, value] = numbers[..] else {
            panic!("{line}");
        };
        let place = (open.principal, key);
        assert_eq!(
            (principal, of),
            (u64::from(open.principal), key as u64),
            "{line}"
        );
        let all = &self.history[&place];
        let at = all
            .iter()
            .position(|had| had.value == value)
            .expect("a value it had");
        let until = all.get(at + 1);
        let is_right = until.is_none_or(|next| {
            let is_told = next.known.is_some_and(|step| step <= open.step) && !self.is_tier_faulty;
            let may_be_late = self.hubs.len() > 1 && !is_told;
            next.step > open.step || (may_be_late && next.at + TTL > open.at)
        });
        assert!(
            is_right,
            "hub {} answered {value} for {place:?}, which ended at step {}; asked at {}: {line}",
            open.hub,
            until.unwrap().step,
            open.step
        );
        self.checked += 1;
    }

    fn crash(&mut self, hub: usize, upstream: UpstreamId) {
        self.inbox
            .retain(|sent| (sent.hub, sent.upstream) != (hub, upstream));
        self.outbox.retain(|(h, u, _)| (*h, *u) != (hub, upstream));
        let ended = Ended {
            detail: "it crashed".into(),
            stderr: Vec::new(),
            is_unusable: false,
        };
        self.hubs[hub].handle_upstream_closed(self.now, upstream, &ended);
    }

    fn pass(&mut self, time: Duration) {
        // A server that still takes what was sent so long ago is beyond what any cache can know.
        let old = |at: Instant, now: Instant| now + time > at + DONE_BY;
        while let Some(index) = self.inbox.iter().position(|sent| old(sent.at, self.now)) {
            self.work(index);
        }
        while let Some(index) = self.later.iter().position(|(.., at)| old(*at, self.now)) {
            let (place, by, _) = self.later.remove(index);
            self.write(place, by);
        }
        self.now += time;
        for hub in 0..self.hubs.len() {
            self.hubs[hub].handle_timeout(self.now);
        }
        self.act();
    }

    /// Everything that is under way comes to its end.
    fn settle(&mut self) {
        for _ in 0..200 {
            self.act();
            while !self.inbox.is_empty() {
                self.work(0);
            }
            for (hub, upstream, line) in std::mem::take(&mut self.outbox) {
                self.tell(hub, upstream, &line);
            }
            self.act();
            while !self.tier.waiting.is_empty() {
                self.tier_works();
            }
            if self.open.is_empty() {
                return;
            }
            self.pass(Duration::from_secs(1));
        }
        panic!("{} requests were never answered", self.open.len());
    }

    fn any_upstream(&mut self) -> Option<(usize, UpstreamId)> {
        let hub = self.dice.roll(self.hubs.len());
        let all: Vec<UpstreamId> = self.hubs[hub].upstreams.keys().copied().collect();
        (!all.is_empty()).then(|| (hub, all[self.dice.roll(all.len())]))
    }

    fn turn(&mut self) {
        self.step += 1;
        match self.dice.roll(100) {
            0..35 => {
                let (hub, principal, key) = self.who();
                let params = format!(r#""name":"read","arguments":{{"k":{key}}},"#);
                self.post(hub, principal, "tools/call", &params, Some(key));
            }
            35..40 => {
                let (hub, principal, key) = self.who();
                let params = format!(r#""name":"write","arguments":{{"k":{key}}},"#);
                self.post(hub, principal, "tools/call", &params, None);
            }
            40..62 if !self.inbox.is_empty() => {
                let index = self.dice.roll(self.inbox.len());
                self.work(index);
            }
            62..85 if !self.outbox.is_empty() => {
                let index = self.dice.roll(self.outbox.len());
                let (hub, upstream, line) = self.outbox.remove(index);
                self.tell(hub, upstream, &line);
                self.act();
            }
            85..88 if !self.later.is_empty() => {
                let (place, by, _) = self.later.remove(0);
                self.write(place, by);
            }
            88..91 => {
                let streams: Vec<u64> = self.open.keys().copied().collect();
                if let Some(least) = streams.iter().min().copied() {
                    let open = self.open.remove(&least).unwrap();
                    self.hubs[open.hub].handle_http_gone(self.now, least);
                    self.act();
                }
            }
            91..93 => {
                if let Some((hub, upstream)) = self.any_upstream() {
                    let notice = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
                    self.tell(hub, upstream, notice);
                    self.act();
                }
            }
            93 => {
                if let Some((hub, upstream)) = self.any_upstream() {
                    self.crash(hub, upstream);
                    self.act();
                }
            }
            94 if self.is_tier_faulty => {
                self.tier.entries.clear();
                self.tier.epochs.clear();
            }
            95 | 96 => {
                let time = Duration::from_millis(u64::try_from(self.dice.roll(8000)).unwrap());
                self.pass(time);
            }
            _ => self.tier_works(),
        }
    }

    fn who(&mut self) -> (usize, u8, usize) {
        let hub = self.dice.roll(self.hubs.len());
        let principal = if self.dice.chance(50) { 1 } else { 2 };
        (hub, principal, self.dice.roll(2))
    }
}

fn run(n_hubs: usize, has_tier: bool, is_tier_faulty: bool) {
    let (mut checked, mut hits, mut tier_hits, mut joined) = (0, 0, 0, 0);
    for seed in 1..=150 {
        let mut twin = Twin::new(seed, n_hubs, has_tier, is_tier_faulty);
        for _ in 0..400 {
            twin.turn();
        }
        twin.settle();
        checked += twin.checked;
        for hub in &twin.hubs {
            let counters = hub.cache_counters();
            hits += counters.hits;
            tier_hits += counters.tier_hits;
            joined += counters.joined;
        }
    }
    // What is never answered from the cache proves nothing about it.
    assert!(checked > 5_000, "{checked} answers");
    assert!(hits > 300 && joined > 300, "{hits} hits, {joined} joined");
    assert_eq!(
        tier_hits > 50,
        n_hubs > 1 && has_tier,
        "{tier_hits} of the tier"
    );
}

#[test]
fn one_proxy_answers_what_the_server_could() {
    run(1, false, false);
}

#[test]
fn one_proxy_with_a_failing_tier_answers_what_the_server_could() {
    run(1, true, true);
}

#[test]
fn replicas_with_a_tier_answer_what_the_server_could() {
    run(2, true, false);
}

#[test]
fn replicas_with_a_failing_tier_are_late_by_the_granted_time_at_most() {
    run(2, true, true);
}
