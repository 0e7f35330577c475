//! Keeps in the state folder which tools were called and what that cost, away from the loop.

use std::time::Instant;

use super::Driver;

impl Driver {
    /// Keeps how often tools were called and what that cost, once there are so many calls and answers more
    /// than were kept, or no new ones for a while.
    pub(super) fn keep_uses(&mut self, least: u64) {
        let calls: u64 = self.hub.uses().values().sum();
        let cached = self.hub.cache_counters();
        let calls = calls + self.hub.costs().n_added() + cached.hits + cached.stored;
        let calls = calls + self.hub.result_shapes().n_added();
        let Some(store) = self.store.clone() else {
            return;
        };
        if !self.uses_kept.is_due(Instant::now(), calls, least) {
            return;
        }
        let uses = self.hub.uses().clone();
        let costs = self.hub.costs().clone();
        let shapes = self.hub.result_shapes().clone();
        let process = self.process.clone();
        while self.storing.try_join_next().is_some() {}
        self.storing.spawn_blocking(move || {
            let kept = store.store_uses(&process, &uses);
            let kept = kept.and_then(|()| store.store_cache_counts(&process, &cached));
            let kept = kept.and_then(|()| store.store_shapes(&process, &shapes));
            if let Err(error) = kept.and_then(|()| store.store_costs(&process, &costs)) {
                tracing::warn!(%error, "the use of tools could not be kept");
            }
        });
    }
}
