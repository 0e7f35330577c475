//! When new requests of a client that reads slowly are refused. Pure.

use std::time::{Duration, Instant};

/// A client that takes nothing of a full queue for so long does not read.
const PATIENCE: Duration = Duration::from_secs(1);

/// What was seen of a queue of answers.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// Since when the queue is full and nothing of it was written, and how often had been by then.
    standing: Option<(Instant, u64)>,
}

impl Backlog {
    /// Tells whether a request that comes now is refused: the queue is full, and the client reads nothing. One that
    /// reads has its requests taken, however much waits for it: servers are held back until there is room, so their
    /// answers make the queue no longer.
    pub(super) fn refuses(&mut self, now: Instant, is_full: bool, n_written: u64) -> bool {
        if !is_full {
            self.standing = None;
            return false;
        }
        match self.standing {
            Some((since, seen)) if seen == n_written => {
                now.saturating_duration_since(since) >= PATIENCE
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

    /// Broken variants that this catches: whoever has a full queue is refused (as it was), or nobody is.
    #[test]
    fn who_reads_is_served_and_who_does_not_is_told() {
        let mut backlog = Backlog::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(!backlog.refuses(at(0), false, 0));
        // Full for a minute, and read from all the time.
        assert!((1..60).all(|second| !backlog.refuses(at(second), true, second)));
        // Nothing is read any more.
        assert!(!backlog.refuses(at(60), true, 60));
        assert!(!backlog.refuses(at(60) + PATIENCE / 2, true, 60));
        assert!(backlog.refuses(at(61), true, 60));
        assert!(backlog.refuses(at(90), true, 60));
        // Something is, and again not.
        assert!(!backlog.refuses(at(91), true, 61));
        assert!(backlog.refuses(at(92), true, 61));
        // There was room, so patience begins anew.
        assert!(!backlog.refuses(at(93), false, 62));
        assert!(!backlog.refuses(at(200), true, 62));
    }
}
