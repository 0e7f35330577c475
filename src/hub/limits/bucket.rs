//! A token bucket: how many requests a second, and how many at once after a pause.
//!
//! Kept as one instant, the time at which the bucket is full again (the generic cell rate algorithm,
//! ITU-T I.371 annex A): a request may come as long as that is not further away than the burst lasts.

use std::time::{Duration, Instant};

/// How much is let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests a second in the long run; at least 1.
    pub per_second: u32,
    /// Requests at once after a pause; at least 1.
    pub burst: u32,
}

impl Rate {
    /// The time that one request costs.
    fn interval(self) -> Duration {
        Duration::from_secs(1) / self.per_second.max(1)
    }
}

/// One bucket; starts full.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bucket {
    full_at: Option<Instant>,
}

impl Bucket {
    /// Takes one request out.
    ///
    /// # Errors
    /// How long to wait until there is one again; nothing is taken then.
    pub fn take(&mut self, now: Instant, rate: Rate) -> Result<(), Duration> {
        let interval = rate.interval();
        let start = self.full_at.map_or(now, |full_at| full_at.max(now));
        let full_at = start + interval;
        let room = interval.saturating_mul(rate.burst.max(1));
        let ahead = full_at.saturating_duration_since(now);
        if ahead > room {
            return Err(ahead - room);
        }
        self.full_at = Some(full_at);
        Ok(())
    }

    /// Tells whether it is full, so that nothing is lost by forgetting it.
    pub fn is_full(&self, now: Instant) -> bool {
        self.full_at.is_none_or(|full_at| full_at <= now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RATE: Rate = Rate {
        per_second: 10,
        burst: 3,
    };

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::default();
        assert!(bucket.is_full(start));
        for _ in 0..3 {
            assert_eq!(bucket.take(start, RATE), Ok(()));
        }
        assert_eq!(bucket.take(start, RATE), Err(Duration::from_millis(100)));
        // A refusal costs nothing.
        let later = start + Duration::from_millis(100);
        assert_eq!(bucket.take(later, RATE), Ok(()));
        assert_eq!(bucket.take(later, RATE), Err(Duration::from_millis(100)));
        assert!(!bucket.is_full(later));
        assert!(bucket.is_full(start + Duration::from_secs(1)));
    }

    /// A bucket that is filled up again whenever a second begins, as a counter would be.
    #[derive(Default)]
    struct Window {
        second: Option<(Instant, u32)>,
    }

    impl Window {
        fn take(&mut self, now: Instant, rate: Rate) -> bool {
            let (begun, taken) = self.second.get_or_insert((now, 0));
            if now.duration_since(*begun) >= Duration::from_secs(1) {
                (*begun, *taken) = (now, 0);
            }
            *taken += 1;
            *taken <= rate.per_second
        }
    }

    /// The most that is let through in any stretch of time: burst + rate × time.
    fn exceeds(passed: &[Duration], rate: Rate) -> bool {
        passed.iter().enumerate().any(|(first, from)| {
            passed[first..].iter().enumerate().any(|(n, to)| {
                let seconds = (*to - *from).as_secs_f64();
                let most = f64::from(rate.burst) + f64::from(rate.per_second) * seconds + 1e-6;
                #[expect(clippy::cast_precision_loss, reason = "small numbers")]
                let n = (n + 1) as f64;
                n > most
            })
        })
    }

    proptest! {
        #[test]
        fn no_stretch_of_time_sees_more_than_burst_and_rate(
            steps in proptest::collection::vec(0_u64..400, 1..120),
            per_second in 1_u32..50,
            burst in 1_u32..10,
        ) {
            let rate = Rate { per_second, burst };
            let start = Instant::now();
            let (mut bucket, mut at, mut passed) = (Bucket::default(), Duration::ZERO, Vec::new());
            for step in steps {
                at += Duration::from_millis(step);
                match bucket.take(start + at, rate) {
                    Ok(()) => passed.push(at),
                    // Who comes back when told is let in.
                    Err(wait) => {
                        prop_assert!(wait > Duration::ZERO);
                        let mut later = bucket;
                        prop_assert!(later.take(start + at + wait, rate).is_ok());
                    }
                }
            }
            prop_assert!(!exceeds(&passed, rate));
        }
    }

    #[test]
    fn the_property_notices_a_counter_that_starts_anew_each_second() {
        let rate = Rate {
            per_second: 10,
            burst: 10,
        };
        let (start, mut window, mut passed) = (Instant::now(), Window::default(), Vec::new());
        // One at the start, then at the end of the first second and at the beginning of the next.
        let times = std::iter::once(0)
            .chain((0..10).map(|n| 980 + n))
            .chain((0..10).map(|n| 1001 + n));
        for millis in times {
            let at = Duration::from_millis(millis);
            if window.take(start + at, rate) {
                passed.push(at);
            }
        }
        assert!(exceeds(&passed, rate));
    }
}
