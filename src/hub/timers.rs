//! Deadlines of everything, in one ordered set.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

/// Whose deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum TimerKey {
    /// An exchange: absolute, start, request or parking deadline.
    Exchange(u64),
    /// The merge deadline of an exchange.
    Merge(u64),
    /// What a tier of the cache says of an exchange.
    Cache(u64),
    /// The handshake or restart of a connection.
    Upstream(u64),
    /// The sign of life of a server that missed a deadline.
    Probe(u64),
    /// The answer to a probe itself.
    ProbeAnswer(u64),
    /// The end of a server's warm-up, when a list that came empty is read again.
    WarmUp(u64),
    /// Idle expiry of an HTTP session.
    Session(u64),
    /// The grace of a shutdown.
    Drain,
}

/// The set; one deadline for each key.
#[derive(Debug, Default)]
pub(super) struct Timers {
    by_time: BTreeSet<(Instant, TimerKey)>,
    by_key: HashMap<TimerKey, Instant>,
}

impl Timers {
    pub(super) fn set(&mut self, key: TimerKey, at: Instant) {
        self.clear(key);
        self.by_key.insert(key, at);
        self.by_time.insert((at, key));
    }

    pub(super) fn clear(&mut self, key: TimerKey) {
        if let Some(at) = self.by_key.remove(&key) {
            self.by_time.remove(&(at, key));
        }
    }

    /// Moves every deadline.
    pub(super) fn shift(&mut self, by: Duration) {
        let moved = |at: &mut Instant| *at = at.checked_add(by).unwrap_or(*at);
        self.by_key.values_mut().for_each(moved);
        self.by_time = self.by_key.iter().map(|(key, at)| (*at, *key)).collect();
    }

    /// Gives back the room of deadlines that are over.
    pub(super) fn shrink(&mut self) {
        self.by_key.shrink_to(self.by_key.len() * 2);
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes one deadline that has passed.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<TimerKey> {
        let (at, key) = *self.by_time.first()?;
        (at <= now).then(|| {
            self.clear(key);
            key
        })
    }
}
