//! An entry as bytes for a tier that several processes share: what it depends on, when it came, and the
//! raw answer. Whoever reads it back checks everything; any doubt is a miss.

use std::time::Duration;

use bytes::Bytes;

use super::key::Scope;
use super::lru::{Answer, TierEpoch};

/// Format; another one is a miss.
const FORMAT: u8 = 1;
/// Scopes of one entry, at most.
const SCOPES: usize = 8;
/// How far the clocks of two machines may differ.
const SKEW: Duration = Duration::from_secs(5);

/// An entry on its way into or out of a tier. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The answer.
    pub answer: Answer,
    /// When it came from its server.
    pub received_ms: u64,
    /// How long it is fresh, in milliseconds.
    pub ttl_ms: u64,
    /// How long after that it may stand in for a server that fails, in milliseconds.
    pub stale_ms: u64,
    /// What it depends on, with the tier's numbers when its read started.
    pub scopes: Vec<(Scope, TierEpoch)>,
}

impl Record {
    /// Renders it. None where it depends on too much.
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        if self.scopes.len() > SCOPES {
            return None;
        }
        let raw = self.answer.raw();
        let mut out = Vec::with_capacity(raw.len() + 64 + 24 * self.scopes.len());
        out.push(FORMAT);
        out.push(u8::from(matches!(self.answer, Answer::Error(_))));
        for number in [self.received_ms, self.ttl_ms, self.stale_ms] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.push(u8::try_from(self.scopes.len()).ok()?);
        for (scope, epoch) in &self.scopes {
            out.extend_from_slice(&scope.0);
            out.extend_from_slice(&epoch.to_le_bytes());
        }
        out.extend_from_slice(raw);
        Some(out)
    }

    /// Reads one back.
    pub fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let [format, flags] = *take::<2>(&mut rest)?;
        if format != FORMAT || flags > 1 {
            return None;
        }
        let received_ms = u64::from_le_bytes(*take(&mut rest)?);
        let ttl_ms = u64::from_le_bytes(*take(&mut rest)?);
        let stale_ms = u64::from_le_bytes(*take(&mut rest)?);
        let [n_scopes] = *take::<1>(&mut rest)?;
        if usize::from(n_scopes) > SCOPES {
            return None;
        }
        let mut scopes = Vec::with_capacity(usize::from(n_scopes));
        for _ in 0..n_scopes {
            let scope = Scope(*take(&mut rest)?);
            scopes.push((scope, u64::from_le_bytes(*take(&mut rest)?)));
        }
        let raw = Bytes::copy_from_slice(rest);
        Some(Self {
            answer: match flags {
                0 => Answer::Result(raw),
                _ => Answer::Error(raw),
            },
            received_ms,
            ttl_ms,
            stale_ms,
            scopes,
        })
    }

    /// Returns how old it is; none where it comes from the future or its time is over.
    pub fn age(&self, now_ms: u64) -> Option<Duration> {
        let skew = u64::try_from(SKEW.as_millis()).unwrap_or(u64::MAX);
        if self.received_ms > now_ms.saturating_add(skew) {
            return None;
        }
        let age = now_ms.saturating_sub(self.received_ms);
        (age < self.ttl_ms).then(|| Duration::from_millis(age))
    }

    /// Tells whether what it depends on has exactly these numbers in the tier.
    pub fn is_current(&self, scopes: &[Scope], epochs: &[TierEpoch]) -> bool {
        self.scopes.len() == scopes.len()
            && scopes.len() == epochs.len()
            && self
                .scopes
                .iter()
                .zip(scopes.iter().zip(epochs))
                .all(|((scope, epoch), (wanted, now))| scope == wanted && epoch == now)
    }
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record() -> Record {
        Record {
            answer: Answer::Result(Bytes::from_static(br#"{"content":[]}"#)),
            received_ms: 1_000_000,
            ttl_ms: 5_000,
            stale_ms: 100,
            scopes: vec![(Scope([3; 16]), 9), (Scope([4; 16]), 10)],
        }
    }

    #[test]
    fn it_counts_only_while_nothing_changed_and_its_time_runs() {
        let record = record();
        let scopes = [Scope([3; 16]), Scope([4; 16])];
        assert!(record.is_current(&scopes, &[9, 10]));
        assert!(!record.is_current(&scopes, &[9, 11]));
        assert!(!record.is_current(&scopes[..1], &[9]));
        assert!(!record.is_current(&scopes, &[9]));
        assert_eq!(record.age(1_004_999), Some(Duration::from_millis(4_999)));
        assert_eq!(record.age(1_005_000), None);
        assert_eq!(
            record.age(999_000),
            Some(Duration::ZERO),
            "clocks differ a little"
        );
        assert_eq!(record.age(900_000), None, "clocks differ too much");
        assert_eq!(record.age(0), None);
    }

    proptest! {
        #[test]
        fn it_comes_back_as_it_was(raw in prop::collection::vec(any::<u8>(), 0..200), received_ms: u64, ttl_ms: u64, stale_ms: u64, is_error: bool, scopes in prop::collection::vec((any::<[u8; 16]>(), any::<u64>()), 0..8)) {
            let raw = Bytes::from(raw);
            let record = Record {
                answer: if is_error { Answer::Error(raw) } else { Answer::Result(raw) },
                received_ms, ttl_ms, stale_ms,
                scopes: scopes.into_iter().map(|(scope, epoch)| (Scope(scope), epoch)).collect(),
            };
            let bytes = record.to_bytes().unwrap();
            prop_assert_eq!(Record::of_bytes(&bytes), Some(record));
        }

        /// Anything that others wrote is a record or none, and never a crash.
        #[test]
        fn anything_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..60) {
            let _ = Record::of_bytes(&bytes);
            let good = record().to_bytes().unwrap();
            let _ = Record::of_bytes(&good[..cut.min(good.len())]);
        }
    }
}
