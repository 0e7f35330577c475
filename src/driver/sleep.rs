//! Notices that the loop did not run: it turns once a second at least, and the machine tells how long it slept.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::Driver;

/// Shorter than this is a busy machine.
const LEAST: Duration = Duration::from_secs(10);

/// When the loop turned last.
pub(super) struct SleepWatch {
    turned: Instant,
    asleep: Duration,
}

impl SleepWatch {
    pub(super) fn new() -> Self {
        Self {
            turned: Instant::now(),
            asleep: asleep(),
        }
    }

    /// Takes that the loop turns; how long it did not, if that was long.
    pub(super) fn turn(&mut self, now: Instant) -> Option<Duration> {
        let passed = now.duration_since(std::mem::replace(&mut self.turned, now));
        (passed >= LEAST).then_some(passed)
    }

    /// Whether the machine slept for long since this was asked last. Its own clock stands still then.
    pub(super) fn slept(&mut self) -> bool {
        let asleep = asleep();
        let before = std::mem::replace(&mut self.asleep, asleep);
        asleep.saturating_sub(before) >= LEAST
    }
}

/// How long the machine slept since it was started: what one clock counts and the other does not
/// (clock_gettime(2), CLOCK_BOOTTIME).
fn asleep() -> Duration {
    let read = |clock| {
        let time = clock_gettime(clock);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
    };
    read(ClockId::Boottime).saturating_sub(read(ClockId::Monotonic))
}

impl Driver {
    /// Before anything is handled: whether the process was stopped for long, which no deadline counts.
    pub(super) fn notice_pause(&mut self) {
        let now = Instant::now();
        if let Some(stopped) = self.sleep.turn(now) {
            self.hub.handle_sleep(now, stopped);
        }
    }

    /// Whether the machine slept, while its clock for deadlines stood still.
    pub(super) fn notice_sleep(&mut self) {
        if self.sleep.slept() {
            self.hub.handle_sleep(Instant::now(), Duration::ZERO);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_long_pauses_count() {
        let mut watch = SleepWatch::new();
        let start = watch.turned;
        assert_eq!(watch.turn(start + LEAST / 2), None);
        assert_eq!(watch.turn(start + LEAST / 2 + LEAST), Some(LEAST));
        assert_eq!(watch.turn(start + LEAST * 2), None);
        assert!(!watch.slept());
    }
}
