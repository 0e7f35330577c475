//! Keeps the hub's ledger in the state folder, away from the loop.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::token::ledger::Day;

use super::Driver;

/// How many notes there were when a day was written last.
pub(super) type Written = Arc<Mutex<BTreeMap<Day, u64>>>;

impl Driver {
    /// Tells the hub what day it is.
    pub(super) fn tell_time(&mut self, now: Instant) {
        if let Ok(since) = SystemTime::now().duration_since(UNIX_EPOCH) {
            self.hub.handle_wall_clock(now, since.as_secs());
        }
    }

    /// Keeps what was noted, once there are so many notes more than were kept.
    pub(super) fn keep_ledger(&mut self, least: u64) {
        // A machine that slept has another day than the loop's clock says.
        self.tell_time(Instant::now());
        let Some(store) = self.store.clone() else {
            return;
        };
        let noted = self.hub.n_noted();
        if noted < self.notes_kept.saturating_add(least) {
            return;
        }
        self.notes_kept = noted;
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
