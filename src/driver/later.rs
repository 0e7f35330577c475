//! Work that no client waits for: keeping what was learned of a server, scanning its tools. It is held back
//! while a list is being made, because on few cores it would take the time in which the first list is due.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep;

/// How long after a list such work begins: until then its client has read it.
const PAUSE: Duration = Duration::from_millis(20);
/// How long a list may hold it back. Lists take less, and are shown as they came after as long.
const HELD: Duration = Duration::from_secs(20);

type Job = Box<dyn FnOnce() + Send>;

/// Jobs that run one after another, in the order in which they came: which definition of a tool is trusted is
/// decided by the order in which lists are seen.
#[derive(Default)]
struct Line {
    jobs: VecDeque<Job>,
    is_running: bool,
}

/// What waits.
#[derive(Default)]
pub(super) struct Later {
    /// The end of the process waits for these, within bounds.
    keeping: Vec<Job>,
    looking: Vec<Job>,
    keeps: Arc<Mutex<Line>>,
    looks: Arc<Mutex<Line>>,
    /// Lists that are being made.
    making: usize,
    held_until: Option<Instant>,
    /// Whether a list went out since the last work began, so that its client gets a moment.
    is_after_list: bool,
}

impl Later {
    /// Takes a job that keeps something.
    pub(super) fn keep(&mut self, job: impl FnOnce() + Send + 'static) {
        self.keeping.push(Box::new(job));
    }

    /// Takes a job of which nothing is kept.
    pub(super) fn look(&mut self, job: impl FnOnce() + Send + 'static) {
        self.looking.push(Box::new(job));
    }

    /// A list is being made.
    pub(super) fn list_begins(&mut self, now: Instant) {
        self.making += 1;
        self.held_until = Some(now + HELD);
    }

    /// A list was made.
    pub(super) fn list_is_made(&mut self) {
        self.making = self.making.saturating_sub(1);
        self.is_after_list = true;
    }

    /// Begins with what waits, unless a list is being made: jobs of each kind one after another.
    pub(super) fn begin(&mut self, now: Instant, storing: &mut JoinSet<()>) {
        let is_held = self.making > 0 && self.held_until.is_some_and(|until| now < until);
        if is_held || (self.keeping.is_empty() && self.looking.is_empty()) {
            return;
        }
        let pause = match std::mem::take(&mut self.is_after_list) {
            true => PAUSE,
            false => Duration::ZERO,
        };
        self.spawn(pause, storing);
    }

    /// Begins with all that waits: the process ends.
    pub(super) fn begin_all(&mut self, storing: &mut JoinSet<()>) {
        self.spawn(Duration::ZERO, storing);
    }

    fn spawn(&mut self, pause: Duration, storing: &mut JoinSet<()>) {
        while storing.try_join_next().is_some() {}
        if append(&self.keeps, &mut self.keeping) {
            storing.spawn(run(pause, Arc::clone(&self.keeps)));
        }
        if append(&self.looks, &mut self.looking) {
            tokio::spawn(run(pause, Arc::clone(&self.looks)));
        }
    }
}

fn lock(line: &Mutex<Line>) -> MutexGuard<'_, Line> {
    line.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Puts jobs at the end of a line; whether nobody works on it.
fn append(line: &Mutex<Line>, jobs: &mut Vec<Job>) -> bool {
    let mut line = lock(line);
    line.jobs.extend(jobs.drain(..));
    !line.jobs.is_empty() && !std::mem::replace(&mut line.is_running, true)
}

async fn run(pause: Duration, line: Arc<Mutex<Line>>) {
    if !pause.is_zero() {
        sleep(pause).await;
    }
    let all = move || {
        loop {
            let job = {
                let mut line = lock(&line);
                let job = line.jobs.pop_front();
                line.is_running = job.is_some();
                job
            };
            let Some(job) = job else {
                return;
            };
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                tracing::error!("something was not kept or not scanned");
            }
        }
    };
    let _ = tokio::task::spawn_blocking(all).await;
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    fn say(what: &'static str, to: &Sender<&'static str>) -> impl FnOnce() + Send + 'static {
        let to = to.clone();
        move || to.send(what).unwrap()
    }

    #[tokio::test]
    async fn a_list_that_is_being_made_holds_the_rest_back() {
        let (to, from) = channel();
        let (mut later, mut storing) = (Later::default(), JoinSet::new());
        let now = Instant::now();
        later.list_begins(now);
        later.keep(say("snapshot", &to));
        later.keep(say("pins", &to));
        later.begin(now, &mut storing);
        assert!(storing.is_empty());
        later.list_is_made();
        later.begin(now, &mut storing);
        while storing.join_next().await.is_some() {}
        assert_eq!(from.try_iter().collect::<Vec<_>>(), ["snapshot", "pins"]);
        // What comes during the pause does not overtake what waits for its end.
        later.list_begins(now);
        later.keep(say("first seen", &to));
        later.list_is_made();
        later.begin(now, &mut storing);
        later.keep(say("seen later", &to));
        later.begin(now, &mut storing);
        while storing.join_next().await.is_some() {}
        assert_eq!(
            from.try_iter().collect::<Vec<_>>(),
            ["first seen", "seen later"]
        );
        // One that never comes holds nothing back for ever, and the end of the process does not wait for it.
        later.list_begins(now);
        later.keep(say("after a while", &to));
        later.begin(now + HELD, &mut storing);
        later.keep(say("at the end", &to));
        later.begin_all(&mut storing);
        while storing.join_next().await.is_some() {}
        assert_eq!(from.try_iter().count(), 2);
    }
}
