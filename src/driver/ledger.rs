//! Keeps the hub's ledger in the state folder, away from the loop.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::token::ledger::Day;

use super::Driver;

/// How many notes there were when a day was written last.
pub(super) type Written = Arc<Mutex<BTreeMap<Day, u64>>>;

/// Notes after which they are written while more come; at the end any are.
pub(super) const KEPT_EVERY: u64 = 40;
/// How long no new note comes until what there is is written.
const QUIET: Duration = Duration::from_secs(5);

/// How much of what is counted up was written.
#[derive(Debug, Default)]
pub(super) struct Kept {
    written: u64,
    /// The last number that was seen, and when it was new.
    last: Option<(u64, Instant)>,
}

impl Kept {
    /// Tells whether `n` is so many more than were written, or a few more and no new ones for a while; then
    /// they count as written.
    pub(super) fn is_due(&mut self, now: Instant, n: u64, least: u64) -> bool {
        let since = match self.last {
            Some((last, since)) if last == n => since,
            _ => now,
        };
        self.last = Some((n, since));
        let is_quiet = now.saturating_duration_since(since) >= QUIET;
        let is_due = n >= self.written.saturating_add(least) || (is_quiet && n > self.written);
        if is_due {
            self.written = n;
        }
        is_due
    }
}

impl Driver {
    /// Tells the hub what day it is.
    pub(super) fn tell_time(&mut self, now: Instant) {
        if let Ok(since) = SystemTime::now().duration_since(UNIX_EPOCH) {
            self.hub.handle_wall_clock(now, since.as_secs());
        }
    }

    /// Keeps what was noted, once there are so many notes more than were kept, or no new ones for a while.
    pub(super) fn keep_ledger(&mut self, least: u64) {
        // A machine that slept has another day than the loop's clock says.
        let now = Instant::now();
        self.tell_time(now);
        let Some(store) = self.store.clone() else {
            return;
        };
        let noted = self.hub.n_noted();
        if !self.notes_kept.is_due(now, noted, least) {
            return;
        }
        let days = self.hub.take_ledger();
        let process = self.process.clone();
        let written = Arc::clone(&self.ledger_written);
        while self.storing.try_join_next().is_some() {}
        self.storing.spawn_blocking(move || {
            let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
            for (day, rows) in days {
                // Jobs may run in any order: an older state of a day must not replace a newer one.
                if written.get(&day).is_some_and(|newest| *newest > noted) {
                    continue;
                }
                written.insert(day, noted);
                if let Err(error) = store.store_ledger(&process, day, &rows) {
                    tracing::warn!(%error, "the ledger could not be kept; `stats` will lack these calls");
                    return;
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken variant that this catches: a few notes stay in memory until the process ends, so that `stats` and
    /// `epoch advance` do not know them.
    #[test]
    fn a_few_notes_are_written_once_it_is_quiet() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut kept = Kept::default();
        assert!(!kept.is_due(at(0), 0, KEPT_EVERY));
        assert!(!kept.is_due(at(60), 0, KEPT_EVERY), "nothing is new");
        assert!(!kept.is_due(at(61), 3, KEPT_EVERY));
        assert!(!kept.is_due(at(64), 4, KEPT_EVERY));
        assert!(!kept.is_due(at(68), 4, KEPT_EVERY), "not quiet for long");
        assert!(kept.is_due(at(69), 4, KEPT_EVERY));
        assert!(!kept.is_due(at(90), 4, KEPT_EVERY), "once");
        assert!(kept.is_due(at(91), 4 + KEPT_EVERY, KEPT_EVERY), "many");
        assert!(!kept.is_due(at(92), 4 + KEPT_EVERY, 1), "nothing is left");
        assert!(kept.is_due(at(92), 5 + KEPT_EVERY, 1), "at the end");
    }
}
