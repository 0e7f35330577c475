//! Whether a client takes anything of a queue that is full. Pure.

use std::time::{Duration, Instant};

/// What was seen of a client's queue by one who asks now and then.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// Since when the queue was seen full with nothing of it written, and how often had been by then.
    standing: Option<(Instant, u64)>,
}

impl Backlog {
    /// Tells whether the queue has been full for `limit` and the client took nothing of it. A queue that is full
    /// because answers come as fast as they are read does not stand.
    pub(super) fn stands_for(
        &mut self,
        limit: Duration,
        now: Instant,
        is_full: bool,
        n_written: u64,
    ) -> bool {
        if !is_full {
            self.standing = None;
            return false;
        }
        match self.standing {
            Some((since, seen)) if seen == n_written => {
                now.saturating_duration_since(since) >= limit
            }
            _ => {
                self.standing = Some((now, n_written));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken variants that this catches: every full queue stands (as it was for requests), one that grows does though
    /// it is read (as it was for giving a client up), or none does.
    #[test]
    fn a_queue_stands_only_where_nothing_is_read() {
        const LIMIT: Duration = Duration::from_secs(1);
        let mut backlog = Backlog::default();
        let start = Instant::now();
        let mut stands = |seconds: f64, is_full, n_written| {
            let now = start + Duration::from_secs_f64(seconds);
            backlog.stands_for(LIMIT, now, is_full, n_written)
        };
        assert!(!stands(0.0, false, 0));
        // Full for a minute, and read from all the time.
        assert!((1..60_u32).all(|second| !stands(second.into(), true, second.into())));
        // Nothing is read any more.
        assert!(!stands(60.0, true, 60));
        assert!(!stands(60.5, true, 60));
        assert!(stands(61.0, true, 60));
        assert!(stands(90.0, true, 60));
        // Something is, and again not.
        assert!(!stands(91.0, true, 61));
        assert!(stands(92.0, true, 61));
        // There was room, so it begins anew.
        assert!(!stands(93.0, false, 62));
        assert!(!stands(200.0, true, 62));
    }
}
