//! What is given up as memory gets short, in this order: answers that are kept, room in queues, then new
//! requests. What is in flight is never touched (the order of Envoy's overload manager). Pure: how much is used
//! is told.

use crate::hub::Hub;

/// How much memory is in use of what there may be, both in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryUse {
    /// In use, without what the system can take back at once.
    pub used: u64,
    /// The limit, beyond which the system kills.
    pub limit: u64,
}

/// How short memory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum MemoryLevel {
    /// Enough.
    #[default]
    Enough,
    /// What can be had again is given up, and queues are made smaller.
    Tight,
    /// And new requests are told to come back.
    Short,
}

/// Percent of the limit from which memory is tight, and below which it no longer is.
const TIGHT: (u64, u64) = (85, 75);
/// The same for short.
const SHORT: (u64, u64) = (92, 86);

impl MemoryLevel {
    /// The level after a look. It rises at one mark and falls at a lower one, so that it does not flicker.
    pub fn after(self, now: MemoryUse) -> Self {
        let is_at =
            |percent: u64| now.used.saturating_mul(100) >= now.limit.saturating_mul(percent);
        let holds = |level: Self, (rises, falls): (u64, u64)| {
            is_at(if self >= level { falls } else { rises })
        };
        if now.limit == 0 {
            Self::Enough
        } else if holds(Self::Short, SHORT) {
            Self::Short
        } else if holds(Self::Tight, TIGHT) {
            Self::Tight
        } else {
            Self::Enough
        }
    }
}

/// Room that so many entries keep: some for the next ones, so that it is not given back and taken again.
fn room(entries: usize) -> usize {
    entries.saturating_mul(2).max(16)
}

impl Hub {
    /// Takes how short memory is, now and then while it is.
    pub fn handle_memory(&mut self, level: MemoryLevel) {
        self.guard.memory = level;
        if level >= MemoryLevel::Tight {
            self.forget_kept_answers();
            self.shrink_queues();
        }
    }

    /// How many requests one connection may have and not have answered: half of what it may else, while memory
    /// is tight. Those that wait already stay.
    pub(in crate::hub) fn most_waiting(&self) -> usize {
        let most = self.settings.service.waiting_per_upstream;
        if self.guard.memory >= MemoryLevel::Tight {
            most.div_ceil(2)
        } else {
            most
        }
    }

    /// Gives back the room that queues and tables had at their fullest and do not need now. Trees give theirs
    /// back by themselves.
    fn shrink_queues(&mut self) {
        self.actions.shrink_to(room(self.actions.len()));
        self.streams.shrink_to(room(self.streams.len()));
        self.batches.shrink_to(room(self.batches.len()));
        self.deferred.shrink_to(room(self.deferred.len()));
        self.own_sent.shrink_to(room(self.own_sent.len()));
        self.timers.shrink();
        for record in self.upstreams.values_mut() {
            record.queue.shrink_to(room(record.queue.len()));
            record.in_flight.shrink_to(room(record.in_flight.len()));
            record.tokens.shrink_to(room(record.tokens.len()));
        }
        for record in self.sessions.values_mut() {
            record.waiting.shrink_to(room(record.waiting.len()));
            record.in_flight.shrink_to(room(record.in_flight.len()));
            record.questions.shrink_to(room(record.questions.len()));
        }
    }

    /// Whether new requests have to wait. One is always let in: where nothing is in flight, waiting frees
    /// nothing.
    pub(in crate::hub) fn is_short_of_memory(&self) -> bool {
        self.guard.memory == MemoryLevel::Short && !self.exchanges.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(start: MemoryLevel, percents: &[u64]) -> Vec<MemoryLevel> {
        let mut level = start;
        percents
            .iter()
            .map(|used| {
                level = level.after(MemoryUse {
                    used: *used,
                    limit: 100,
                });
                level
            })
            .collect()
    }

    #[test]
    fn levels_rise_at_one_mark_and_fall_at_a_lower_one() {
        use MemoryLevel::{Enough, Short, Tight};
        assert_eq!(
            levels(Enough, &[84, 85, 91, 92, 87, 86, 85, 76, 74, 80]),
            [
                Enough, Tight, Tight, Short, Short, Short, Tight, Tight, Enough, Enough
            ]
        );
        assert_eq!(levels(Enough, &[99, 10]), [Short, Enough]);
    }

    #[test]
    fn without_a_limit_there_is_enough() {
        let none = MemoryUse { used: 5, limit: 0 };
        assert_eq!(MemoryLevel::Short.after(none), MemoryLevel::Enough);
        let most = MemoryUse {
            used: u64::MAX,
            limit: u64::MAX,
        };
        assert_eq!(MemoryLevel::Enough.after(most), MemoryLevel::Short);
    }
}
