//! Where an issuer's keys come from, and how they stay fresh.
//!
//! One task fetches, bounded in bytes and time; requests look at what it has. A key that is not known
//! makes it fetch again, but only so often, and only a few requests wait for that, not for long: neither
//! a slow issuer nor somebody who makes up key ids holds anybody up. What cannot be used changes nothing.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;

use super::jwt::JwtHeader;
use super::keys::{Key, KeySet, MAX_BYTES};
use super::{AuthError, KeySource};
use crate::transport::http_client;

/// How long one fetch may take.
const FETCH_TIME: Duration = Duration::from_secs(5);
/// Between two fetches when nothing calls for one.
const REFRESH: Duration = Duration::from_secs(300);
/// After a fetch that failed.
const RETRY: Duration = Duration::from_secs(15);
/// Keys count this long after they were last seen at their issuer.
const MAX_AGE: Duration = Duration::from_secs(24 * 3600);
/// How long a request waits for keys.
const WAIT: Duration = Duration::from_secs(3);
/// Requests that wait at a time; others are told at once.
const MAX_WAITING: usize = 64;
/// Fetches that requests may cause at once; one more comes back each [`REFILL`].
const BURST: u32 = 4;
/// See [`BURST`].
const REFILL: Duration = Duration::from_secs(15);

/// Why there is no key for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoKeys {
    /// The issuer has none that fits.
    Unknown,
    /// It is not known what the issuer has.
    Unavailable,
}

/// The keys of one issuer.
pub(super) struct Keys {
    source: KeySource,
    state: Mutex<State>,
    /// How many fetches have ended.
    attempts: watch::Sender<u64>,
    wanted: Notify,
    waiting: Semaphore,
    /// Whether the operator asked to look again.
    is_asked: AtomicBool,
}

struct State {
    set: Option<(Arc<KeySet>, Instant)>,
    contents: Vec<u8>,
    /// What was last told of a failure, so that it is told once.
    told: Option<String>,
    allowance: Allowance,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

impl Keys {
    /// Reads a file now; an URL is fetched by [`Self::keep_fresh`].
    ///
    /// # Errors
    /// When the file cannot be used.
    pub(super) fn new(source: KeySource) -> Result<Self, AuthError> {
        let mut state = State {
            set: None,
            contents: Vec::new(),
            told: None,
            allowance: Allowance::new(Instant::now()),
        };
        if let KeySource::File(path) = &source {
            let wrong = |problem: String| AuthError::Keys {
                path: path.clone(),
                problem,
            };
            let bytes = read(path).map_err(wrong)?;
            let set = KeySet::parse(&bytes).map_err(wrong)?;
            state.set = Some((Arc::new(set), Instant::now()));
            state.contents = bytes;
        }
        Ok(Self {
            source,
            state: Mutex::new(state),
            attempts: watch::Sender::new(0),
            wanted: Notify::new(),
            waiting: Semaphore::new(MAX_WAITING),
            is_asked: AtomicBool::new(false),
        })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the keys that may have signed a token; waits a little for new ones if there is none.
    pub(super) async fn find(&self, header: &JwtHeader) -> Result<Vec<Arc<Key>>, NoKeys> {
        let mut attempts = self.attempts.subscribe();
        let look = || {
            let state = self.state();
            match &state.set {
                Some((set, at)) if at.elapsed() < MAX_AGE => {
                    let found = set.candidates(header.key_id.as_deref(), header.algorithm);
                    if found.is_empty() {
                        Err(NoKeys::Unknown)
                    } else {
                        Ok(found)
                    }
                }
                _ => Err(NoKeys::Unavailable),
            }
        };
        let first = match look() {
            Ok(found) => return Ok(found),
            Err(problem) => problem,
        };
        let has_started = *attempts.borrow_and_update() > 0;
        let Ok(_place) = self.waiting.try_acquire() else {
            return Err(first);
        };
        // Before the first fetch has ended there is one to wait for anyway.
        if has_started {
            if !self.state().allowance.take(Instant::now()) {
                return Err(first);
            }
            self.wanted.notify_one();
        }
        let _ = tokio::time::timeout(WAIT, attempts.changed()).await;
        look()
    }

    /// Has a file looked at again; an URL only when the operator asked.
    pub(super) fn look_again(&self, is_asked: bool) {
        if is_asked {
            self.is_asked.store(true, Ordering::Relaxed);
        }
        if is_asked || matches!(self.source, KeySource::File(_)) {
            self.wanted.notify_one();
        }
    }

    /// Fetches now, at intervals and when it is wanted. Never ends.
    pub(super) async fn keep_fresh(&self) {
        loop {
            let is_good = self.fetch().await;
            self.attempts.send_modify(|attempts| *attempts += 1);
            let pause = if is_good { REFRESH } else { RETRY };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.wanted.notified() => {}
            }
        }
    }

    async fn fetch(&self) -> bool {
        let is_asked = self.is_asked.swap(false, Ordering::Relaxed);
        let fetched = match &self.source {
            KeySource::File(path) => {
                let path = path.clone();
                match tokio::task::spawn_blocking(move || read(&path)).await {
                    Ok(read) => read,
                    Err(error) => Err(error.to_string()),
                }
            }
            KeySource::Url(config) => {
                http_client::get(config, "application/json", FETCH_TIME, MAX_BYTES)
                    .await
                    .map_err(|error| error.to_string())
                    .and_then(|answer| {
                        if answer.status.is_success() {
                            Ok(answer.body.to_vec())
                        } else {
                            Err(format!(
                                "the issuer answered {} for its keys",
                                answer.status
                            ))
                        }
                    })
            }
        };
        let parsed = fetched.and_then(|bytes| {
            let is_same = self.state().contents == bytes;
            let set = if is_same {
                None
            } else {
                Some(KeySet::parse(&bytes)?)
            };
            Ok((bytes, set))
        });
        let mut state = self.state();
        match parsed {
            Ok((_, None)) => {
                if let Some((_, at)) = &mut state.set {
                    *at = Instant::now();
                }
                state.told = None;
                true
            }
            Ok((bytes, Some(set))) => {
                tracing::info!("{} keys of the issuer are in use", set.len());
                state.set = Some((Arc::new(set), Instant::now()));
                state.contents = bytes;
                state.told = None;
                true
            }
            Err(problem) => {
                if is_asked || state.told.as_ref() != Some(&problem) {
                    let left = if state.set.is_some() {
                        "the old ones stay"
                    } else {
                        "signed tokens cannot be checked"
                    };
                    tracing::error!(
                        "the issuer's keys cannot be used, {left}: {}",
                        crate::telemetry::one_line(&problem)
                    );
                    state.told = Some(problem);
                }
                false
            }
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// How many fetches requests may still cause: a bucket that fills up again.
#[derive(Debug)]
struct Allowance {
    left: u32,
    since: Instant,
}

impl Allowance {
    fn new(now: Instant) -> Self {
        Self {
            left: BURST,
            since: now,
        }
    }

    fn take(&mut self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.since);
        let come_back = u32::try_from(elapsed.as_secs() / REFILL.as_secs()).unwrap_or(u32::MAX);
        if come_back > 0 {
            self.left = self.left.saturating_add(come_back).min(BURST);
            self.since = now;
        }
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_keys_cause_few_fetches() {
        let start = Instant::now();
        let mut allowance = Allowance::new(start);
        let taken = (0..1000).filter(|_| allowance.take(start)).count();
        assert_eq!(taken, BURST as usize);
        assert!(!allowance.take(start + REFILL - Duration::from_millis(1)));
        assert!(allowance.take(start + REFILL));
        assert!(!allowance.take(start + REFILL));
        let later = start + REFILL * 1000;
        let taken = (0..1000).filter(|_| allowance.take(later)).count();
        assert_eq!(taken, BURST as usize);
    }
}
