//! Streams that broke together are opened again one after the other. When a server is started anew, all sessions
//! lose their stream in the same moment; if they came back in the same moment too, both sides would need the memory
//! of thousands of handshakes at once, and the server would be asked most when it has just begun.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Time between two of them: 250 in a second.
const APART: Duration = Duration::from_millis(4);
/// The longest time that is added, whatever their number.
const MOST: Duration = Duration::from_secs(30);

/// The streams to one server that wait to be opened again.
#[derive(Debug, Default)]
pub(super) struct Reopening(AtomicU32);

/// One that waits, until it is dropped.
#[derive(Debug)]
pub(super) struct Place<'a> {
    queue: &'a Reopening,
    before: u32,
}

impl Reopening {
    /// Waits behind those that wait already.
    pub(super) fn enter(&self) -> Place<'_> {
        let before = self.0.fetch_add(1, Ordering::Relaxed);
        Place {
            queue: self,
            before,
        }
    }
}

impl Place<'_> {
    /// What those before it add to its own wait.
    pub(super) fn pause(&self) -> Duration {
        APART.saturating_mul(self.before).min(MOST)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.queue.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_behind_others_waits_for_them_and_no_longer() {
        let queue = Reopening::default();
        let first = queue.enter();
        assert_eq!(first.pause(), Duration::ZERO, "alone");
        let others: Vec<Place<'_>> = (0..499).map(|_| queue.enter()).collect();
        let last = others.last().expect("one");
        assert_eq!(last.pause(), Duration::from_millis(499 * 4));
        drop(others);
        drop(first);
        assert_eq!(queue.enter().pause(), Duration::ZERO, "all are back");
        let crowd: Vec<Place<'_>> = (0..20_000).map(|_| queue.enter()).collect();
        let last = crowd.last().expect("one");
        assert_eq!(last.pause(), MOST);
    }
}
