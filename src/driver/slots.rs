//! Places for work that takes a processor: as many jobs at once as there are cores. One that takes too long is
//! given up, and its place goes to others; how many may so run on beside them is bounded.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

/// Jobs that were given up and still run, at most. Each has a thread and what it works on, up to 64 MiB.
const ABANDONED: usize = 4;

/// Ends when a time is over; another one in tests.
type Timer = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// The places of one kind of work.
#[derive(Clone)]
pub(super) struct Slots {
    free: Arc<Semaphore>,
    /// One at a time of those that take much memory.
    large: Arc<Semaphore>,
    abandoned: Arc<Semaphore>,
    /// Closed to new jobs while it has none: one for each place that no stuck job keeps.
    alive: Arc<Semaphore>,
    timer: Timer,
}

/// What became of a job.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ran<T> {
    /// It is done.
    Done(T),
    /// It panicked.
    Broken,
    /// It found no place in time, or was not done in time.
    Late,
    /// It was not begun, because stuck jobs keep all places.
    Refused,
}

/// The places that one job has.
type Held = (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>);

/// Returns how many threads can run at once. Asked once, and not at the start: it takes a dozen system calls, where a
/// control group limits us.
pub(super) fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Tells whether another thread may run beside this one, in one system call; what a control group allows is not
/// asked.
pub(super) fn has_other_cores() -> bool {
    #[cfg(target_os = "linux")]
    {
        // Where there are more than it can say, there is another one.
        rustix::thread::sched_getaffinity(None).map_or(true, |cores| cores.count() > 1)
    }
    #[cfg(not(target_os = "linux"))]
    {
        cores() > 1
    }
}

impl Slots {
    /// Places for jobs that may wait, and then may take, so long each.
    pub(super) fn new(limit: Duration) -> Self {
        let timer: Timer = Arc::new(move || Box::pin(tokio::time::sleep(limit)));
        Self::with(cores(), timer)
    }

    fn with(n_slots: usize, timer: Timer) -> Self {
        Self {
            free: Arc::new(Semaphore::new(n_slots)),
            large: Arc::new(Semaphore::new(1)),
            abandoned: Arc::new(Semaphore::new(ABANDONED)),
            alive: Arc::new(Semaphore::new(n_slots)),
            timer,
        }
    }

    /// Runs a job on a thread for such work, once there is a place.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        is_large: bool,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Ran<T> {
        if self.alive.available_permits() == 0 {
            return Ran::Refused;
        }
        let held = tokio::select! {
            biased;
            held = self.held(is_large) => held,
            () = (self.timer)() => None,
        };
        let Some(held) = held else {
            return Ran::Late;
        };
        let mut running = tokio::task::spawn_blocking(job);
        tokio::select! {
            biased;
            done = &mut running => done.map_or(Ran::Broken, Ran::Done),
            () = (self.timer)() => {
                self.give_up(running, held);
                Ran::Late
            }
        }
    }

    /// None where the places were closed, which nobody does.
    async fn held(&self, is_large: bool) -> Option<Held> {
        let large = match is_large {
            true => Some(Arc::clone(&self.large).acquire_owned().await.ok()?),
            false => None,
        };
        let slot = Arc::clone(&self.free).acquire_owned().await.ok()?;
        Some((slot, large))
    }

    /// A thread cannot be ended: it keeps a place among those that were given up until it ends by itself, or
    /// where there is none its own.
    fn give_up<T: Send + 'static>(&self, running: JoinHandle<T>, held: Held) {
        if let Ok(abandoned) = Arc::clone(&self.abandoned).try_acquire_owned() {
            drop(held);
            tokio::spawn(async move {
                let _ = running.await;
                drop(abandoned);
            });
            return;
        }
        tracing::error!("results are stuck while they are shaped, and keep a place of the others");
        let alive = Arc::clone(&self.alive).try_acquire_owned();
        tokio::spawn(async move {
            let _ = running.await;
            drop((alive, held));
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use tokio::sync::watch;

    use super::*;

    /// A clock that stands still until it is told, and what makes stuck jobs end.
    struct World {
        slots: Slots,
        clock: watch::Sender<u64>,
        release: Vec<Sender<()>>,
    }

    impl World {
        fn new(n_slots: usize) -> Self {
            let clock = watch::Sender::new(0);
            let of_timers = clock.clone();
            let timer: Timer = Arc::new(move || {
                let mut clock = of_timers.subscribe();
                // Whoever waits waits for the next tick.
                Box::pin(async move {
                    let _ = clock.changed().await;
                })
            });
            Self {
                slots: Slots::with(n_slots, timer),
                clock,
                release: Vec::new(),
            }
        }

        /// Begins a job that never ends by itself, and waits until it runs.
        async fn stick(&mut self, is_large: bool) -> JoinHandle<Ran<()>> {
            let (release, released): (Sender<()>, Receiver<()>) = channel();
            self.release.push(release);
            let (begun, has_begun) = tokio::sync::oneshot::channel();
            let slots = self.slots.clone();
            let job = move || {
                let _ = begun.send(());
                let _ = released.recv();
            };
            let task = tokio::spawn(async move { slots.run(is_large, job).await });
            has_begun.await.unwrap();
            task
        }

        /// Runs a job that is soon done; a test must not hang where it finds no place.
        async fn seven(&self, is_large: bool) -> Ran<u8> {
            let ran = self.slots.run(is_large, || 7);
            let most = Duration::from_secs(20);
            tokio::time::timeout(most, ran)
                .await
                .expect("there is a place")
        }

        /// Lets the time of a job pass that runs, once it waits for it.
        async fn pass(&self, task: JoinHandle<Ran<()>>) -> Ran<()> {
            while !task.is_finished() {
                self.clock.send_modify(|tick| *tick += 1);
                tokio::task::yield_now().await;
            }
            task.await.unwrap()
        }
    }

    #[tokio::test]
    async fn a_stuck_job_gives_its_place_back_and_no_more_than_some_do() {
        let mut world = World::new(1);
        for _ in 0..ABANDONED {
            let stuck = world.stick(true).await;
            assert_eq!(world.pass(stuck).await, Ran::Late);
            // Its place and that of large ones is free for others.
            assert_eq!(world.seven(true).await, Ran::Done(7));
        }
        // No more of them: the next one keeps its place, and nobody waits for it.
        let stuck = world.stick(false).await;
        assert_eq!(world.pass(stuck).await, Ran::Late);
        assert_eq!(world.seven(false).await, Ran::Refused);
        // Those that end after all make room again.
        world.release.clear();
        while world.slots.abandoned.available_permits() < ABANDONED
            || world.slots.alive.available_permits() == 0
        {
            tokio::task::yield_now().await;
        }
        assert_eq!(world.seven(false).await, Ran::Done(7));
    }

    #[tokio::test]
    async fn who_waits_for_a_place_waits_no_longer_than_that() {
        let world = World::new(1);
        let taken = world.slots.held(false).await;
        let slots = world.slots.clone();
        let waiting = tokio::spawn(async move { slots.run(false, || ()).await });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        assert_eq!(world.pass(waiting).await, Ran::Late);
        drop(taken);
        assert_eq!(world.seven(false).await, Ran::Done(7));
    }

    #[tokio::test]
    async fn a_panic_is_told_and_gives_its_place_back() {
        let world = World::new(1);
        let broken = world.slots.run(true, || panic!("a bug")).await;
        assert_eq!(broken, Ran::<()>::Broken);
        assert_eq!(world.seven(true).await, Ran::Done(7));
    }
}
