//! What makes entries worthless: a number for each scope, counted up by writes and notices. An entry
//! carries the numbers that were current when its read STARTED; it counts only while they still are.
//!
//! A write counts up before it is sent and after it ended, however it ended, and while it runs nothing is
//! kept or answered from memory: a read beside it may see either side of it. A write whose end nobody
//! saw (timed out, cancelled, its connection gone) may still happen: nothing is kept for
//! [`LATE`] more.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::key::Scope;

/// How long a write whose end was not seen may still happen.
pub const LATE: Duration = Duration::from_secs(30);
/// Scopes that are remembered; beyond, all entries are forgotten at once and counting starts anew.
const SCOPES: usize = 100_000;

/// The numbers at one moment, for the scopes that one answer depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    age: u64,
    numbers: Vec<u64>,
}

#[derive(Debug, Default)]
struct State {
    number: u64,
    running: usize,
    /// Until when a write that was lost sight of may happen.
    unsure: Option<Instant>,
}

/// The numbers of all scopes. A scope that was never written to has 0 and takes no memory.
#[derive(Debug, Default)]
pub struct Epochs {
    scopes: HashMap<Scope, State>,
    /// Counted up when everything is forgotten.
    age: u64,
}

impl Epochs {
    /// Returns the current numbers of scopes; none while a write to one of them runs or may still happen.
    pub fn stamp(&self, scopes: &[Scope], now: Instant) -> Option<Stamp> {
        let mut numbers = Vec::with_capacity(scopes.len());
        for scope in scopes {
            let Some(state) = self.scopes.get(scope) else {
                numbers.push(0);
                continue;
            };
            if state.running > 0 || state.unsure.is_some_and(|until| now < until) {
                return None;
            }
            numbers.push(state.number);
        }
        Some(Stamp {
            age: self.age,
            numbers,
        })
    }

    /// Tells whether the numbers of scopes are still those of a stamp, and no write runs.
    pub fn is_current(&self, scopes: &[Scope], stamp: &Stamp, now: Instant) -> bool {
        self.stamp(scopes, now).as_ref() == Some(stamp)
    }

    /// Something changed: a notice, a lost connection.
    pub fn bump(&mut self, scopes: &[Scope]) {
        for scope in scopes {
            self.state(*scope).number += 1;
        }
    }

    /// A write is about to be sent.
    pub fn begin(&mut self, scopes: &[Scope]) {
        for scope in scopes {
            let state = self.state(*scope);
            state.number += 1;
            state.running += 1;
        }
    }

    /// A write ended. `was_seen`: its server answered; else it may still happen.
    pub fn end(&mut self, scopes: &[Scope], was_seen: bool, now: Instant) {
        for scope in scopes {
            let state = self.state(*scope);
            state.number += 1;
            state.running = state.running.saturating_sub(1);
            if !was_seen {
                state.unsure = now.checked_add(LATE);
            }
        }
    }

    /// Forgets scopes that nobody will ask for again, except where a write runs: no stamp of them may be used any more.
    pub fn forget(&mut self, scopes: &[Scope]) {
        for scope in scopes {
            if self
                .scopes
                .get(scope)
                .is_some_and(|state| state.running == 0)
            {
                self.scopes.remove(scope);
            }
        }
        // Its room too, now and then.
        if self.scopes.capacity() > 64 && self.scopes.len() < self.scopes.capacity() / 4 {
            self.scopes.shrink_to(self.scopes.len() * 2);
        }
    }

    /// How many scopes have a number.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.scopes.len()
    }

    fn state(&mut self, scope: Scope) -> &mut State {
        if self.scopes.len() >= SCOPES && !self.scopes.contains_key(&scope) {
            // What runs has to be remembered; all other numbers start anew, and no old stamp is current.
            self.age += 1;
            self.scopes
                .retain(|_, state| state.running > 0 || state.unsure.is_some());
            if self.scopes.len() >= SCOPES {
                self.scopes.retain(|_, state| state.running > 0);
            }
        }
        self.scopes.entry(scope).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Scope = Scope([1; 16]);
    const B: Scope = Scope([2; 16]);

    #[test]
    fn what_is_forgotten_takes_no_room_and_what_runs_stays() {
        let now = Instant::now();
        let mut epochs = Epochs::default();
        let of = |n: u64| Scope(u128::from(n).to_le_bytes());
        epochs.begin(&[A]);
        epochs.bump(&[B]);
        for n in 0..5_000 {
            epochs.bump(&[of(2 * n), of(2 * n + 1)]);
            epochs.forget(&[of(2 * n), of(2 * n + 1), A]);
        }
        assert_eq!(epochs.scopes.len(), 2);
        let many: Vec<Scope> = (0..10_000).map(of).collect();
        epochs.bump(&many);
        let full = epochs.scopes.capacity();
        epochs.forget(&many);
        assert!(epochs.scopes.capacity() < full / 4);
        assert!(epochs.stamp(&[A], now).is_none(), "a write runs");
        assert_eq!(epochs.stamp(&[B], now).unwrap().numbers, [1]);
    }

    #[test]
    fn a_write_counts_before_and_after_and_nothing_is_kept_meanwhile() {
        let now = Instant::now();
        let mut epochs = Epochs::default();
        let start = epochs.stamp(&[A, B], now).unwrap();
        assert!(epochs.is_current(&[A, B], &start, now));
        epochs.begin(&[A]);
        assert!(!epochs.is_current(&[A, B], &start, now));
        assert!(epochs.stamp(&[A], now).is_none());
        assert!(epochs.stamp(&[B], now).is_some(), "others are not touched");
        epochs.end(&[A], true, now);
        let after = epochs.stamp(&[A, B], now).unwrap();
        assert_ne!(start, after);
        epochs.bump(&[B]);
        assert!(!epochs.is_current(&[A, B], &after, now));
    }

    #[test]
    fn two_writes_at_once_both_have_to_end() {
        let now = Instant::now();
        let mut epochs = Epochs::default();
        epochs.begin(&[A]);
        epochs.begin(&[A]);
        epochs.end(&[A], true, now);
        assert!(epochs.stamp(&[A], now).is_none());
        epochs.end(&[A], true, now);
        assert!(epochs.stamp(&[A], now).is_some());
    }

    #[test]
    fn a_write_that_was_lost_sight_of_may_still_happen() {
        let now = Instant::now();
        let mut epochs = Epochs::default();
        epochs.begin(&[A]);
        epochs.end(&[A], false, now);
        assert!(epochs.stamp(&[A], now).is_none());
        assert!(
            epochs
                .stamp(&[A], now + LATE - Duration::from_millis(1))
                .is_none()
        );
        assert!(epochs.stamp(&[A], now + LATE).is_some());
    }

    #[test]
    fn the_memory_is_bounded_and_no_old_stamp_survives_it() {
        let now = Instant::now();
        let mut epochs = Epochs::default();
        let old = epochs.stamp(&[A], now).unwrap();
        epochs.begin(&[B]);
        for n in 0..=u32::try_from(SCOPES).unwrap() {
            let mut scope = [9; 16];
            scope[..4].copy_from_slice(&n.to_le_bytes());
            epochs.bump(&[Scope(scope)]);
        }
        assert!(epochs.scopes.len() <= SCOPES);
        assert!(!epochs.is_current(&[A], &old, now));
        assert!(epochs.stamp(&[B], now).is_none(), "it still runs");
    }
}
