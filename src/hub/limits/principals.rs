//! What each principal uses: requests in flight, and how often it asks. Bounded: who uses nothing is
//! forgotten.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::session::Principal;

use super::bucket::{Bucket, Rate};

/// Principals that are known at a time. Beyond them the newest are not limited, which needs as many
/// tokens; what is in flight in all is bounded besides.
const MOST: usize = 20_000;

/// Bounds of one principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrincipalLimits {
    /// Requests in flight, over all of its sessions.
    pub in_flight: usize,
    /// How often it may ask; none = as often as it likes.
    pub rate: Option<Rate>,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Too many are in flight.
    InFlight,
    /// Too many came; the time until the next may.
    Rate(Duration),
}

/// The table.
#[derive(Debug, Default)]
pub struct Principals {
    known: HashMap<Principal, Use>,
}

#[derive(Debug, Default)]
struct Use {
    in_flight: usize,
    bucket: Bucket,
}

impl Principals {
    /// Takes a request in. [`Self::leave`] must follow.
    ///
    /// # Errors
    /// Why it may not; nothing is counted then.
    pub fn enter(
        &mut self,
        now: Instant,
        principal: &Principal,
        limits: &PrincipalLimits,
    ) -> Result<(), Refused> {
        if !self.known.contains_key(principal) {
            if self.known.len() >= MOST {
                self.known
                    .retain(|_, used| used.in_flight > 0 || !used.bucket.is_full(now));
            }
            if self.known.len() >= MOST {
                return Ok(());
            }
        }
        let used = self.known.entry(principal.clone()).or_default();
        if used.in_flight >= limits.in_flight {
            return Err(Refused::InFlight);
        }
        if let Some(rate) = limits.rate {
            used.bucket.take(now, rate).map_err(Refused::Rate)?;
        }
        used.in_flight += 1;
        Ok(())
    }

    /// A request is over.
    pub fn leave(&mut self, now: Instant, principal: &Principal) {
        if let Some(used) = self.known.get_mut(principal) {
            used.in_flight = used.in_flight.saturating_sub(1);
            if used.in_flight == 0 && used.bucket.is_full(now) {
                self.known.remove(principal);
            }
        }
    }

    /// How many are known.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Tells whether none is known.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Requests in flight of all.
    pub fn in_flight(&self) -> usize {
        self.known.values().map(|used| used.in_flight).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_principal_has_its_own_share_and_the_idle_are_forgotten() {
        let now = Instant::now();
        let (one, two) = (Principal::Bearer([1; 16]), Principal::Bearer([2; 16]));
        let limits = PrincipalLimits {
            in_flight: 2,
            rate: Some(Rate {
                per_second: 1,
                burst: 3,
            }),
        };
        let mut table = Principals::default();
        assert_eq!(table.enter(now, &one, &limits), Ok(()));
        assert_eq!(table.enter(now, &one, &limits), Ok(()));
        assert_eq!(table.enter(now, &one, &limits), Err(Refused::InFlight));
        assert_eq!(table.enter(now, &two, &limits), Ok(()));
        table.leave(now, &one);
        assert_eq!(table.enter(now, &one, &limits), Ok(()));
        table.leave(now, &one);
        table.leave(now, &one);
        let wait = Duration::from_secs(1);
        assert_eq!(table.enter(now, &one, &limits), Err(Refused::Rate(wait)));
        assert_eq!((table.len(), table.in_flight()), (2, 1));
        table.leave(now + Duration::from_secs(9), &two);
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn the_table_is_bounded_and_whoever_was_refused_is_not_forgotten() {
        let now = Instant::now();
        let limits = PrincipalLimits {
            in_flight: 1,
            rate: None,
        };
        let mut table = Principals::default();
        for n in 0..(MOST as u64 + 100) {
            assert_eq!(table.enter(now, &Principal::Session(n), &limits), Ok(()));
        }
        assert_eq!(table.len(), MOST);
        assert_eq!(
            table.enter(now, &Principal::Session(0), &limits),
            Err(Refused::InFlight)
        );
        for n in 0..(MOST as u64 + 100) {
            table.leave(now, &Principal::Session(n));
        }
        assert!(table.is_empty());
    }
}
