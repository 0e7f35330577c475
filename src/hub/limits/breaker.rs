//! A circuit breaker: a server that fails again and again is left alone for a while.
//!
//! *Closed*: everything passes, failures in a row are counted. *Open*: nothing passes until a time.
//! *Half open*: one connection may try with one request; its failure opens again, for longer. Any sign of
//! life closes, unless the server itself asked for the pause. (The pattern of M. Nygard, "Release It!".)
//! What counts as a failure is for the caller to say: connections and deadlines, never answers.

use std::time::{Duration, Instant};

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// Failures in a row that open it; 0 = never.
    pub failures: u32,
    /// How long it stays open the first time; doubles with each failed trial.
    pub open: Duration,
    /// The longest it stays open, also where the server asks for more.
    pub max_open: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            failures: 5,
            open: Duration::from_secs(5),
            max_open: Duration::from_secs(60),
        }
    }
}

/// Where a breaker stands, for those who watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// Everything passes.
    Closed,
    /// Nothing passes.
    Open,
    /// One trial is under way, or may begin.
    HalfOpen,
}

/// The breaker of one server. `who` names a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    state: State,
    /// Times it opened without a sign of life in between.
    opened: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
        /// Whether the server asked for it: then a sign of life does not end it.
        was_asked: bool,
    },
    HalfOpen {
        /// A trial of which nothing is heard until then counts as not made.
        until: Instant,
        who: u64,
        has_request: bool,
    },
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            state: State::Closed { failures: 0 },
            opened: 0,
        }
    }
}

impl Breaker {
    /// Lets a request through, or says how long to wait.
    ///
    /// # Errors
    /// The time after which the next trial may be made.
    pub fn admit(
        &mut self,
        now: Instant,
        who: u64,
        policy: &BreakerPolicy,
    ) -> Result<(), Duration> {
        self.connect(now, who, policy)?;
        if let State::HalfOpen {
            until, has_request, ..
        } = &mut self.state
            && std::mem::replace(has_request, true)
        {
            return Err(until.saturating_duration_since(now));
        }
        Ok(())
    }

    /// Lets a connection be made or a handshake begin, or says how long to wait. The first one after an
    /// open time is the trial.
    ///
    /// # Errors
    /// As [`Self::admit`].
    pub fn connect(
        &mut self,
        now: Instant,
        who: u64,
        policy: &BreakerPolicy,
    ) -> Result<(), Duration> {
        match self.state {
            State::Closed { .. } => return Ok(()),
            State::Open { until, .. } if now < until => return Err(until - now),
            State::HalfOpen {
                until, who: trial, ..
            } if now < until => {
                return if trial == who {
                    Ok(())
                } else {
                    Err(until - now)
                };
            }
            State::Open { .. } | State::HalfOpen { .. } => {}
        }
        self.state = State::HalfOpen {
            until: now + self.open_time(policy),
            who,
            has_request: false,
        };
        Ok(())
    }

    /// For how long nothing of a connection passes, if so. Unlike [`Self::connect`] it begins no trial.
    pub fn wait(&self, now: Instant, who: u64) -> Option<Duration> {
        match self.state {
            State::Open { until, .. } if now < until => Some(until - now),
            State::HalfOpen {
                until, who: trial, ..
            } if now < until && trial != who => Some(until - now),
            _ => None,
        }
    }

    /// The server gave a sign of life. Returns whether that closed the breaker.
    pub fn succeeded(&mut self, now: Instant) -> bool {
        let is_pause = matches!(self.state, State::Open { until, was_asked: true } if now < until);
        if is_pause {
            return false;
        }
        let was_closed = matches!(self.state, State::Closed { .. });
        *self = Self::default();
        !was_closed
    }

    /// The server could not be reached, broke off or did not answer in time. Returns for how long the
    /// breaker opened, if it did.
    pub fn failed(&mut self, now: Instant, policy: &BreakerPolicy) -> Option<Duration> {
        match &mut self.state {
            State::Closed { failures } => {
                *failures = failures.saturating_add(1);
                if policy.failures == 0 || *failures < policy.failures {
                    return None;
                }
            }
            // What was sent before it opened fails late: nothing new.
            State::Open { .. } => return None,
            State::HalfOpen { .. } => {}
        }
        self.opened = self.opened.saturating_add(1);
        let open = self.open_time(policy);
        self.state = State::Open {
            until: now + open,
            was_asked: false,
        };
        Some(open)
    }

    /// The server asked not to be called for a while. Returns for how long it is left alone.
    pub fn asked(
        &mut self,
        now: Instant,
        wait: Duration,
        policy: &BreakerPolicy,
    ) -> Option<Duration> {
        if policy.failures == 0 || wait.is_zero() {
            return None;
        }
        let wait = wait.min(policy.max_open);
        let is_news = !matches!(self.state, State::Open { until, .. } if until >= now + wait);
        if is_news {
            self.state = State::Open {
                until: now + wait,
                was_asked: true,
            };
        }
        is_news.then_some(wait)
    }

    /// Where it stands.
    pub fn position(&self, now: Instant) -> Position {
        match self.state {
            State::Closed { .. } => Position::Closed,
            State::Open { until, .. } if now < until => Position::Open,
            State::Open { .. } | State::HalfOpen { .. } => Position::HalfOpen,
        }
    }

    fn open_time(&self, policy: &BreakerPolicy) -> Duration {
        let doublings = self.opened.saturating_sub(1).min(20);
        policy
            .open
            .saturating_mul(1 << doublings)
            .min(policy.max_open)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POLICY: BreakerPolicy = BreakerPolicy {
        failures: 3,
        open: Duration::from_secs(5),
        max_open: Duration::from_secs(12),
    };

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_tries_with_one() {
        let mut now = Instant::now();
        let mut breaker = Breaker::default();
        assert_eq!(breaker.failed(now, &POLICY), None);
        assert_eq!(breaker.failed(now, &POLICY), None);
        assert!(!breaker.succeeded(now), "it was not open");
        for _ in 0..2 {
            assert_eq!(breaker.failed(now, &POLICY), None, "in a row only");
        }
        assert_eq!(breaker.failed(now, &POLICY), Some(seconds(5)));
        assert_eq!(breaker.failed(now, &POLICY), None, "a late one");
        now += seconds(2);
        assert_eq!(breaker.position(now), Position::Open);
        assert_eq!(breaker.admit(now, 1, &POLICY), Err(seconds(3)));
        assert_eq!(breaker.connect(now, 1, &POLICY), Err(seconds(3)));
        assert_eq!(breaker.wait(now, 1), Some(seconds(3)));
        now += seconds(3);
        assert_eq!(breaker.wait(now, 1), None);
        assert_eq!(breaker.position(now), Position::HalfOpen);
        // The connection that tries may connect and send one request; the others wait for it.
        assert_eq!(breaker.connect(now, 1, &POLICY), Ok(()));
        assert_eq!(breaker.wait(now, 1), None);
        assert_eq!(breaker.wait(now, 2), Some(seconds(5)));
        assert_eq!(breaker.admit(now, 1, &POLICY), Ok(()));
        assert_eq!(breaker.connect(now, 1, &POLICY), Ok(()));
        assert_eq!(breaker.admit(now, 1, &POLICY), Err(seconds(5)));
        assert_eq!(breaker.admit(now, 2, &POLICY), Err(seconds(5)));
        // It fails: longer, up to the longest.
        assert_eq!(breaker.failed(now, &POLICY), Some(seconds(10)));
        now += seconds(10);
        assert_eq!(breaker.admit(now, 2, &POLICY), Ok(()));
        assert_eq!(breaker.failed(now, &POLICY), Some(seconds(12)));
        now += seconds(12);
        assert_eq!(breaker.admit(now, 2, &POLICY), Ok(()));
        assert!(breaker.succeeded(now));
        assert_eq!(breaker.position(now), Position::Closed);
        assert_eq!(breaker, Breaker::default(), "and everything is forgotten");
    }

    #[test]
    fn a_trial_that_is_never_heard_of_makes_room_for_another() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..3 {
            breaker.failed(now, &POLICY);
        }
        let later = now + seconds(5);
        assert_eq!(breaker.admit(later, 1, &POLICY), Ok(()));
        assert!(breaker.admit(later + seconds(4), 2, &POLICY).is_err());
        assert_eq!(breaker.admit(later + seconds(5), 2, &POLICY), Ok(()));
    }

    #[test]
    fn a_pause_that_the_server_asked_for_is_kept() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        assert_eq!(breaker.asked(now, seconds(2), &POLICY), Some(seconds(2)));
        assert_eq!(breaker.asked(now, seconds(1), &POLICY), None, "no news");
        assert!(!breaker.succeeded(now + seconds(1)));
        assert!(breaker.admit(now + seconds(1), 1, &POLICY).is_err());
        assert!(breaker.succeeded(now + seconds(2)));
        assert_eq!(breaker.asked(now, seconds(99), &POLICY), Some(seconds(12)));
    }

    #[test]
    fn a_breaker_that_is_off_never_opens() {
        let now = Instant::now();
        let policy = BreakerPolicy {
            failures: 0,
            ..POLICY
        };
        let mut breaker = Breaker::default();
        for _ in 0..100 {
            assert_eq!(breaker.failed(now, &policy), None);
            assert_eq!(breaker.asked(now, seconds(9), &policy), None);
            assert_eq!(breaker.admit(now, 1, &policy), Ok(()));
        }
    }

    /// What can happen to a breaker.
    #[derive(Debug, Clone, Copy)]
    enum Step {
        Pass(u64),
        Admit(u64),
        Connect(u64),
        Failed,
        Succeeded,
        Asked(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0_u64..8_000).prop_map(Step::Pass),
            (0_u64..3).prop_map(Step::Admit),
            (0_u64..3).prop_map(Step::Connect),
            Just(Step::Failed),
            Just(Step::Succeeded),
            (0_u64..20).prop_map(Step::Asked),
        ]
    }

    /// Requests that are let through between two signs of life after it opened, per open time.
    fn run(
        steps: &[Step],
        admit: impl Fn(&mut Breaker, Instant, u64) -> Result<(), Duration>,
    ) -> bool {
        let mut now = Instant::now();
        let mut breaker = Breaker::default();
        // When the last trial began, since the breaker is not closed.
        let mut last_trial: Option<Instant> = None;
        for step in steps {
            match *step {
                Step::Pass(millis) => now += Duration::from_millis(millis),
                Step::Admit(who) => {
                    let was_closed = breaker.position(now) == Position::Closed;
                    match admit(&mut breaker, now, who) {
                        Ok(()) if was_closed => last_trial = None,
                        Ok(()) => {
                            let too_soon = last_trial.is_some_and(|last| now - last < POLICY.open);
                            if too_soon {
                                return false;
                            }
                            last_trial = Some(now);
                        }
                        // Nobody is sent away for longer than the policy allows.
                        Err(wait) if wait > POLICY.max_open || wait.is_zero() => return false,
                        Err(_) => {}
                    }
                }
                Step::Connect(who) => {
                    let _ = breaker.connect(now, who, &POLICY);
                }
                Step::Failed => {
                    breaker.failed(now, &POLICY);
                }
                Step::Succeeded => {
                    breaker.succeeded(now);
                }
                Step::Asked(wait) => {
                    // A pause of its own is no failed trial.
                    if breaker.asked(now, seconds(wait), &POLICY).is_some() {
                        last_trial = None;
                    }
                }
            }
        }
        true
    }

    proptest! {
        #[test]
        fn while_it_is_not_closed_trials_are_one_at_a_time(
            steps in proptest::collection::vec(step(), 1..80),
        ) {
            prop_assert!(run(&steps, |breaker, now, who| breaker.admit(now, who, &POLICY)));
        }
    }

    #[test]
    fn the_property_notices_a_breaker_that_lets_all_of_the_trials_connection_through() {
        let steps = [
            Step::Failed,
            Step::Failed,
            Step::Failed,
            Step::Pass(6_000),
            Step::Admit(1),
            Step::Admit(1),
        ];
        assert!(run(&steps, |breaker, now, who| breaker.admit(now, who, &POLICY)));
        assert!(!run(&steps, |breaker, now, who| breaker
            .connect(now, who, &POLICY)));
    }
}
