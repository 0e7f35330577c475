//! What is done once a second for those who watch, and for memory that a load left behind.

use std::time::Instant;

use super::{Driver, memory};

/// Sessions whose memory is worth being given back.
const MANY_SESSIONS: usize = 100;

impl Driver {
    /// Hands the numbers that the hub keeps to those who watch.
    pub(super) fn copy_numbers(&self) {
        if self.settings.admin_listen.is_some() {
            self.metrics.copy(
                &self.hub.vitals(Instant::now()),
                &self.hub.counters(),
                &self.hub.cache_counters(),
                &self.hub.token_totals(),
            );
        }
        if let Some(otel) = &self.otel {
            otel.copy(&self.hub.token_totals());
        }
    }

    /// Gives the memory of many sessions back once most of them are gone.
    pub(super) fn give_load_back(&mut self) {
        let sessions = self.hub.sessions();
        self.most_sessions = self.most_sessions.max(sessions);
        if self.most_sessions >= MANY_SESSIONS && sessions <= self.most_sessions / 2 {
            self.most_sessions = sessions;
            // It walks the whole heap.
            tokio::task::spawn_blocking(memory::give_heap_back);
        } else {
            memory::let_heap_decay();
        }
    }
}
