//! Counts results that went on as they came, after they were sent: once a second, all that waits, on one
//! thread for all sessions. Nobody waits for it but the ledger, so what would be too much is estimated.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::hub::account::{CountJob, Owed};
use crate::token::{TokenCounter, Tokens};

/// Bytes of results that may wait, at most: they stay in memory for it. 40 ms of counting.
const MOST_BYTES: usize = 8 << 20;

/// What is owed, and its tokens; none = they could not be counted.
pub(super) type Counted = (Owed, Option<Tokens>);

/// Results that are counted later.
pub(super) struct Counting {
    counter: Arc<dyn TokenCounter>,
    waiting: Vec<CountJob>,
    /// Bytes of those that wait and of those that are being counted.
    n_bytes: usize,
    running: Option<Running>,
}

struct Running {
    counted: oneshot::Receiver<Vec<Counted>>,
    n_bytes: usize,
}

impl Counting {
    pub(super) fn new(counter: Arc<dyn TokenCounter>) -> Self {
        Self {
            counter,
            waiting: Vec::new(),
            n_bytes: 0,
            running: None,
        }
    }

    /// Takes a result to be counted later; where too much waits, returns what is owed for it.
    pub(super) fn take(&mut self, job: CountJob) -> Option<Owed> {
        let n_bytes = self.n_bytes + job.result.len();
        if n_bytes > MOST_BYTES {
            return Some(job.owed);
        }
        self.n_bytes = n_bytes;
        self.waiting.push(job);
        None
    }

    /// Returns what was counted meanwhile, and begins with what waits.
    pub(super) fn turn(&mut self) -> Vec<Counted> {
        let mut counted = Vec::new();
        if let Some(running) = &mut self.running {
            match running.counted.try_recv() {
                Ok(all) => counted = all,
                Err(oneshot::error::TryRecvError::Empty) => return Vec::new(),
                // The runtime ends, or there was no thread.
                Err(oneshot::error::TryRecvError::Closed) => {}
            }
            self.n_bytes -= running.n_bytes;
            self.running = None;
        }
        if !self.waiting.is_empty() {
            let jobs = std::mem::take(&mut self.waiting);
            let n_bytes = jobs.iter().map(|job| job.result.len()).sum();
            let counter = Arc::clone(&self.counter);
            let (sender, receiver) = oneshot::channel();
            tokio::task::spawn_blocking(move || sender.send(count(jobs, &*counter)));
            self.running = Some(Running {
                counted: receiver,
                n_bytes,
            });
        }
        counted
    }

    /// Counts what is left: the process ends. Takes as long as the bound above says.
    pub(super) async fn finish(&mut self) -> Vec<Counted> {
        let mut counted = self.turn();
        while let Some(running) = self.running.take() {
            self.n_bytes -= running.n_bytes;
            counted.extend(running.counted.await.unwrap_or_default());
            counted.extend(self.turn());
        }
        counted
    }
}

fn count(jobs: Vec<CountJob>, counter: &dyn TokenCounter) -> Vec<Counted> {
    jobs.into_iter()
        .map(|job| {
            let text = std::str::from_utf8(&job.result).ok();
            let tokens = text.and_then(|text| {
                let count = AssertUnwindSafe(|| job.seen.count(text, counter));
                catch_unwind(count).ok()
            });
            (job.owed, tokens)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use bytes::Bytes;

    use super::*;
    use crate::result::seen::Seen;
    use crate::token::TiktokenCounter;
    use crate::token::ledger::Basis;

    fn job(n_bytes: usize) -> CountJob {
        CountJob {
            result: Bytes::from(vec![b'1'; n_bytes]),
            seen: Seen::Whole,
            owed: Owed {
                at: Instant::now(),
                session: 1,
                server: "s".to_owned(),
                tool: "t".to_owned(),
                is_hit: false,
                basis: Basis::Measured,
                n_bytes,
            },
        }
    }

    fn counting() -> Counting {
        Counting::new(Arc::new(TiktokenCounter::default()))
    }

    #[tokio::test]
    async fn what_waits_is_counted_once_and_nothing_is_left_at_the_end() {
        let mut counting = counting();
        assert_eq!(counting.take(job(3)), None);
        assert!(counting.turn().is_empty(), "it is being counted");
        assert_eq!(counting.take(job(6)), None);
        let counted: Vec<_> = counting.finish().await;
        let tokens: Vec<_> = counted.iter().map(|(_, tokens)| *tokens).collect();
        assert_eq!(tokens, [Some(Tokens::new(1)), Some(Tokens::new(2))]);
        assert!(counting.finish().await.is_empty());
        assert_eq!(counting.n_bytes, 0);
    }

    #[tokio::test]
    async fn what_is_too_much_to_wait_stays_owed() {
        let mut counting = counting();
        assert_eq!(counting.take(job(MOST_BYTES)), None);
        let owed = counting.take(job(1));
        assert_eq!(owed.map(|owed| owed.n_bytes), Some(1));
        counting.turn();
        assert!(counting.take(job(1)).is_some(), "it is still in memory");
        assert_eq!(counting.finish().await.len(), 1);
        assert_eq!(counting.take(job(1)), None);
    }
}
