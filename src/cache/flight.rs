//! Equal requests at the same time: one is sent, the others wait for its answer.
//!
//! Whoever waits has its own deadline and may go; when the one that was sent goes without an answer, the
//! next takes its place. A request joins only while the flight's numbers are current, those of a shared
//! tier as well: after a write, also of another process, it has to see the write.

use std::collections::{HashMap, VecDeque};

use super::epochs::Stamp;
use super::key::Key;
use super::lru::TierEpoch;

/// Names a request that takes part.
pub type RequestId = u64;

#[derive(Debug)]
struct Flight {
    leader: RequestId,
    followers: VecDeque<RequestId>,
    stamp: Stamp,
    tier_stamp: Option<Vec<TierEpoch>>,
}

/// Everything that is in flight, by what is asked.
#[derive(Debug, Default)]
pub struct Flights {
    by_key: HashMap<Key, Flight>,
}

/// How a request takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// It is to be sent, and others may join it.
    Leads,
    /// It waits.
    Follows,
}

impl Flights {
    /// Takes a request in. A flight with another stamp takes nobody any more; it is forgotten, and those
    /// that wait for it are returned: they ask for themselves.
    pub fn join(
        &mut self,
        key: Key,
        request: RequestId,
        stamp: &Stamp,
        tier_stamp: Option<&[TierEpoch]>,
    ) -> (Part, VecDeque<RequestId>) {
        if let Some(flight) = self.by_key.get_mut(&key)
            && flight.stamp == *stamp
            && flight.tier_stamp.as_deref() == tier_stamp
        {
            flight.followers.push_back(request);
            return (Part::Follows, VecDeque::new());
        }
        let flight = Flight {
            leader: request,
            followers: VecDeque::new(),
            stamp: stamp.clone(),
            tier_stamp: tier_stamp.map(<[TierEpoch]>::to_vec),
        };
        let old = self.by_key.insert(key, flight);
        (
            Part::Leads,
            old.map(|flight| flight.followers).unwrap_or_default(),
        )
    }

    /// The answer is there: ends the flight that a request leads, and returns those that wait for it.
    pub fn land(&mut self, key: &Key, leader: RequestId) -> VecDeque<RequestId> {
        match self.by_key.get(key) {
            Some(flight) if flight.leader == leader => self
                .by_key
                .remove(key)
                .map(|flight| flight.followers)
                .unwrap_or_default(),
            _ => VecDeque::new(),
        }
    }

    /// A request goes without an answer. Returns the one that leads from now on, if it led and others
    /// wait.
    pub fn leave(&mut self, key: &Key, request: RequestId) -> Option<RequestId> {
        let flight = self.by_key.get_mut(key)?;
        if flight.leader != request {
            flight.followers.retain(|one| *one != request);
            return None;
        }
        match flight.followers.pop_front() {
            Some(next) => {
                flight.leader = next;
                Some(next)
            }
            None => {
                self.by_key.remove(key);
                None
            }
        }
    }

    /// Returns those that wait for the flight that a request leads.
    pub fn followers(&self, key: &Key, leader: RequestId) -> Vec<RequestId> {
        self.by_key
            .get(key)
            .filter(|flight| flight.leader == leader)
            .map(|flight| flight.followers.iter().copied().collect())
            .unwrap_or_default()
    }

    /// Returns how many flights there are.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Tells whether nothing is in flight.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::epochs::Epochs;
    use super::super::key::Scope;
    use super::*;
    use std::time::Instant;

    const KEY: Key = Key([1; 32]);
    const SCOPE: Scope = Scope([1; 16]);

    #[test]
    fn one_is_sent_and_the_others_share_its_answer() {
        let now = Instant::now();
        let stamp = Epochs::default().stamp(&[SCOPE], now).unwrap();
        let mut flights = Flights::default();
        assert_eq!(flights.join(KEY, 1, &stamp, None).0, Part::Leads);
        assert_eq!(flights.join(KEY, 2, &stamp, None).0, Part::Follows);
        assert_eq!(flights.join(KEY, 3, &stamp, None).0, Part::Follows);
        assert_eq!(flights.leave(&KEY, 2), None, "a follower goes");
        assert!(flights.land(&KEY, 3).is_empty(), "only the leader lands");
        assert_eq!(flights.land(&KEY, 1), [3]);
        assert!(flights.is_empty());
    }

    #[test]
    fn the_next_takes_over_from_a_leader_that_goes() {
        let stamp = Epochs::default().stamp(&[SCOPE], Instant::now()).unwrap();
        let mut flights = Flights::default();
        flights.join(KEY, 1, &stamp, None);
        flights.join(KEY, 2, &stamp, None);
        flights.join(KEY, 3, &stamp, None);
        assert_eq!(flights.leave(&KEY, 1), Some(2));
        assert!(flights.land(&KEY, 1).is_empty());
        assert_eq!(flights.leave(&KEY, 2), Some(3));
        assert_eq!(flights.leave(&KEY, 3), None);
        assert!(flights.is_empty());
    }

    #[test]
    fn after_a_write_nobody_joins_what_started_before_it() {
        let now = Instant::now();
        let mut epochs = Epochs::default();
        let before = epochs.stamp(&[SCOPE], now).unwrap();
        epochs.bump(&[SCOPE]);
        let after = epochs.stamp(&[SCOPE], now).unwrap();
        let mut flights = Flights::default();
        flights.join(KEY, 1, &before, None);
        flights.join(KEY, 2, &before, None);
        let (part, left) = flights.join(KEY, 3, &after, None);
        assert_eq!((part, left), (Part::Leads, VecDeque::from([2])));
        assert!(flights.land(&KEY, 1).is_empty(), "it answers itself alone");
        assert_eq!(flights.leave(&KEY, 1), None);
        assert!(flights.land(&KEY, 3).is_empty());
        flights.join(KEY, 4, &after, Some(&[1]));
        let (part, _) = flights.join(KEY, 5, &after, Some(&[2]));
        assert_eq!(part, Part::Leads, "another process wrote");
    }
}
