//! Entries in memory, bounded in bytes; what was not asked for longest goes first.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::epochs::Stamp;
use super::key::{Key, Scope};

/// Bytes that an entry takes besides its answer, about.
const OVERHEAD: usize = 512;

/// What an entry answers with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A raw `result`, as its server sent it.
    Result(Bytes),
    /// A raw `error`.
    Error(Bytes),
}

impl Answer {
    /// Returns the raw bytes.
    pub fn raw(&self) -> &Bytes {
        match self {
            Self::Result(raw) | Self::Error(raw) => raw,
        }
    }
}

/// One kept answer.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The answer.
    pub answer: Answer,
    /// When it came from its server.
    pub received: Instant,
    /// How long it is fresh from then on.
    pub ttl: Duration,
    /// How long after that it may stand in for a server that fails.
    pub stale_if_error: Duration,
    /// What it depends on.
    pub scopes: Vec<Scope>,
    /// The numbers of these when its read started.
    pub stamp: Stamp,
    /// The same in the shared tier; none where that could not be asked.
    pub tier_stamp: Option<Vec<TierEpoch>>,
}

/// The number of a scope in a shared tier: random, so that one that was lost never comes back.
pub type TierEpoch = u64;

impl Entry {
    /// Returns how old it is.
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.received)
    }

    /// Tells whether its time is not over.
    pub fn is_fresh(&self, now: Instant) -> bool {
        self.age(now) < self.ttl
    }

    /// Tells whether it may stand in for a server that fails.
    pub fn may_stand_in(&self, now: Instant) -> bool {
        self.age(now) < self.ttl.saturating_add(self.stale_if_error)
    }

    fn weight(&self) -> usize {
        self.answer.raw().len() + OVERHEAD
    }
}

/// The entries.
pub struct Lru {
    entries: ::lru::LruCache<Key, Entry>,
    bytes: usize,
    max_bytes: usize,
}

impl Lru {
    /// Makes an empty one that holds so many bytes at most; 0 holds nothing.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            entries: ::lru::LruCache::unbounded(),
            bytes: 0,
            max_bytes,
        }
    }

    /// Returns how many bytes are held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns how many entries are held.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Tells whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Keeps an entry in place of an older one; returns how many others had to go. One entry takes a
    /// quarter of the bound at most.
    pub fn put(&mut self, key: Key, entry: Entry) -> usize {
        self.remove(&key);
        let weight = entry.weight();
        if weight > self.max_bytes / 4 {
            return 0;
        }
        // An answer may be a small part of a large frame, which it would keep alive.
        let entry = Entry {
            answer: match entry.answer {
                Answer::Result(raw) => Answer::Result(Bytes::copy_from_slice(&raw)),
                Answer::Error(raw) => Answer::Error(Bytes::copy_from_slice(&raw)),
            },
            ..entry
        };
        self.bytes += weight;
        self.entries.put(key, entry);
        self.shrink()
    }

    /// Looks an entry up and notes its use; the caller asks whether it is fresh and current.
    pub fn get(&mut self, key: &Key) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// Forgets an entry.
    pub fn remove(&mut self, key: &Key) {
        if let Some(old) = self.entries.pop(key) {
            self.bytes -= old.weight();
        }
    }

    fn shrink(&mut self) -> usize {
        let mut gone = 0;
        while self.bytes > self.max_bytes {
            let Some((_, old)) = self.entries.pop_lru() else {
                break;
            };
            self.bytes -= old.weight();
            gone += 1;
        }
        gone
    }
}

impl std::fmt::Debug for Lru {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never what is inside.
        write!(f, "Lru({} entries, {} bytes)", self.len(), self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::epochs::Epochs;
    use super::*;
    use proptest::prelude::*;

    fn key(n: u8) -> Key {
        Key([n; 32])
    }

    fn entry(len: usize, now: Instant) -> Entry {
        Entry {
            answer: Answer::Result(vec![b'x'; len].into()),
            received: now,
            ttl: Duration::from_secs(10),
            stale_if_error: Duration::from_secs(5),
            scopes: Vec::new(),
            stamp: Epochs::default().stamp(&[], now).unwrap(),
            tier_stamp: None,
        }
    }

    #[test]
    fn time_is_over_exactly_at_its_end() {
        let now = Instant::now();
        let entry = entry(1, now);
        let at = |s: u64| now + Duration::from_secs(s);
        assert!(entry.is_fresh(now) && entry.is_fresh(at(9)));
        assert!(!entry.is_fresh(at(10)) && entry.may_stand_in(at(14)));
        assert!(!entry.may_stand_in(at(15)));
    }

    #[test]
    fn what_is_larger_than_a_quarter_is_not_held_and_takes_the_old_one_along() {
        let now = Instant::now();
        let mut lru = Lru::new(8 * OVERHEAD);
        lru.put(key(1), entry(1, now));
        lru.put(key(1), entry(4 * OVERHEAD, now));
        assert!(lru.is_empty() && lru.bytes() == 0);
        let mut none = Lru::new(0);
        none.put(key(1), entry(1, now));
        assert!(none.is_empty());
    }

    proptest! {
        /// Against a list that does the same slowly. Caught by a `get` that notes no use, and by a `put`
        /// that forgets the weight of what it replaces.
        #[test]
        fn it_holds_what_a_plain_list_would(steps in prop::collection::vec((0u8..12, 0usize..900, any::<bool>()), 1..200)) {
            let now = Instant::now();
            let max = 10 * OVERHEAD;
            let mut lru = Lru::new(max);
            let mut model: Vec<(u8, usize)> = Vec::new();
            for (n, len, is_put) in steps {
                let at = model.iter().position(|(one, _)| *one == n);
                if is_put {
                    lru.put(key(n), entry(len, now));
                    if let Some(at) = at { model.remove(at); }
                    if len + OVERHEAD <= max / 4 {
                        model.push((n, len + OVERHEAD));
                        while model.iter().map(|(_, w)| w).sum::<usize>() > max { model.remove(0); }
                    }
                } else {
                    prop_assert_eq!(lru.get(&key(n)).is_some(), at.is_some());
                    if let Some(at) = at { let one = model.remove(at); model.push(one); }
                }
                prop_assert_eq!(lru.bytes(), model.iter().map(|(_, w)| w).sum::<usize>());
                prop_assert_eq!(lru.len(), model.len());
            }
        }
    }
}
