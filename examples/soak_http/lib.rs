//! A soak over HTTP: many sessions, half of them with a stream, over shared and own connections to servers
//! of which some are slow, dead or not there; 1 % of the sessions come and go. Counts answers that are
//! wrong or missing, samples memory, descriptors and children, and says what did not return.

pub(crate) mod client;
pub(crate) mod proxy;
pub(crate) mod sample;
pub(crate) mod trouble;
pub(crate) mod upstream;
mod work;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use client::{Connection, Session};
use proxy::Proxy;
use sample::{Sample, drift, least_squares, quantile};
use trouble::{Fault, Faults};
use upstream::{Manner, Upstream};
use work::Work;

/// What is to be done.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The built program.
    pub(crate) program: PathBuf,
    /// A server on pipes with a tool `echo`, for the shared half.
    pub(crate) child: Vec<String>,
    /// Sessions that are open at a time, over both proxies.
    pub(crate) sessions: usize,
    /// Requests at least.
    pub(crate) requests: u64,
    /// How long at least.
    pub(crate) least: Duration,
    /// Requests at a time.
    pub(crate) workers: usize,
    /// Time between two samples.
    pub(crate) every: Duration,
    /// Time in which 1 % of the sessions are replaced.
    pub(crate) churn: Duration,
    /// After how long the proxy ends sessions that were left without a word.
    pub(crate) idle: Duration,
    /// How long the proxy waits for a server.
    pub(crate) patience: Duration,
    /// What every choice follows from: with the same seed and as many workers each worker makes the same
    /// choices in the same order, and so does whoever breaks servers.
    pub(crate) seed: u64,
    /// Of one hundred requests, how many have a fault.
    pub(crate) faults: u32,
    /// Time between two servers that are killed, where there are faults.
    pub(crate) upheaval: Duration,
    /// Is told the samples as they are made.
    pub(crate) tell: fn(&str),
}

/// One of the two proxies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Half {
    /// All sessions share one connection to each server.
    Shared,
    /// Each session has its own.
    Own,
}

/// What was seen of one proxy.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Which.
    pub(crate) half: Half,
    /// Before the sessions, after one was opened and ended.
    pub(crate) before: Sample,
    /// With all sessions open, before the load.
    pub(crate) full: Sample,
    /// During the load.
    pub(crate) samples: Vec<Sample>,
    /// After all sessions ended.
    pub(crate) after: Sample,
    /// Its exit code.
    pub(crate) code: Option<i32>,
}

impl Seen {
    fn second_half(&self) -> &[Sample] {
        &self.samples[self.samples.len() / 2..]
    }
}

/// What came out.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    /// The plan's sessions.
    pub(crate) sessions: usize,
    /// Requests that were asked.
    pub(crate) asked: u64,
    /// Seconds that the load took.
    pub(crate) seconds: u64,
    /// Answers as they had to be.
    pub(crate) right: u64,
    /// Answers that told to come back later or that a server cannot be had, where that was so.
    pub(crate) refused: u64,
    /// Requests that got no response although their client waited.
    pub(crate) unanswered: u64,
    /// Calls that a server was given twice, and responses behind the one that was asked for.
    pub(crate) duplicated: u64,
    /// What was done on purpose.
    pub(crate) faults: Faults,
    /// Sessions that came and went meanwhile.
    pub(crate) renewed: u64,
    /// The first wrong or missing answers.
    pub(crate) wrong: Vec<String>,
    /// Streams that ended by themselves.
    pub(crate) lost_streams: u64,
    /// Microseconds of calls to the server that answers at once, sorted.
    pub(crate) quick: Vec<u32>,
    /// Both proxies.
    pub(crate) seen: Vec<Seen>,
    /// Sessions that servers were left with.
    pub(crate) server_sessions: usize,
}

/// What all tasks share.
#[derive(Default)]
struct Tally {
    asked: AtomicU64,
    right: AtomicU64,
    refused: AtomicU64,
    unanswered: AtomicU64,
    surplus: AtomicU64,
    faults: Mutex<Faults>,
    renewed: AtomicU64,
    lost_streams: AtomicU64,
    is_over: AtomicBool,
    wrong: Mutex<Vec<String>>,
    quick: Mutex<Vec<u32>>,
}

impl Tally {
    /// Notes a fault, and whether its request was answered.
    fn fault(&self, fault: Fault, times: u64, is_answered: bool) {
        let mut faults = lock(&self.faults);
        let made = faults.entry(fault).or_default();
        made.times += times;
        made.answered += u64::from(is_answered);
    }

    fn wrong(&self, what: String) {
        let mut wrong = lock(&self.wrong);
        if wrong.len() < 20 {
            wrong.push(what);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A session, whether it was ended on purpose, and when a request was sent that the proxy surely heard of, since it
/// was answered.
struct Slot {
    session: Session,
    is_over: AtomicBool,
    heard: Mutex<Instant>,
}

impl Slot {
    fn new(session: Session) -> Arc<Self> {
        Arc::new(Self {
            session,
            is_over: AtomicBool::new(false),
            heard: Mutex::new(Instant::now()),
        })
    }

    /// Notes that a request of then was answered.
    fn answered(&self, sent: Instant) {
        let mut heard = lock(&self.heard);
        *heard = sent.max(*heard);
    }

    /// How long nothing was answered; what is on its way may not have been heard yet.
    fn silence(&self) -> Duration {
        lock(&self.heard).elapsed()
    }
}

type Slots = Arc<Mutex<Vec<Arc<Slot>>>>;

/// Runs the plan.
///
/// # Errors
/// When something that is needed for it does not start, or the proxy cannot be reached at all.
pub(crate) async fn run(plan: &Plan) -> io::Result<Report> {
    let quick = Upstream::start(Manner::Quick).await?;
    let slow = Upstream::start(Manner::Slow(Duration::from_millis(300))).await?;
    let dead = Upstream::start(Manner::Dead).await?;
    let odd = Upstream::start(Manner::Odd).await?;
    let nobody = upstream::nobody().await?;
    let tally = Arc::new(Tally::default());
    let mut halves = Vec::new();
    for half in [Half::Shared, Half::Own] {
        let mut settings = settings(plan);
        for (name, url) in [
            ("quick", &quick.url()),
            ("slow", &slow.url()),
            ("dead", &dead.url()),
            ("odd", &odd.url()),
            ("nobody", &nobody),
        ] {
            settings.push_str(&format!("[servers.{name}]\nurl = \"{url}\"\n"));
        }
        if half == Half::Shared {
            let (command, arguments) = plan
                .child
                .split_first()
                .ok_or_else(|| io::Error::other("no server on pipes"))?;
            settings.push_str(&format!(
                "[servers.child]\ncommand = {command:?}\nargs = {arguments:?}\n"
            ));
        }
        let proxy = Proxy::start(&plan.program, &settings, half == Half::Shared).await?;
        let before = warm_up(&proxy).await?;
        halves.push((half, proxy, before, Slots::default()));
    }

    // All sessions.
    let start = Instant::now();
    let mut seen = Vec::new();
    for (half, proxy, before, slots) in &halves {
        open(plan, proxy, slots, &tally).await?;
        let full = proxy.sample(0).await?;
        seen.push(Seen {
            half: *half,
            before: *before,
            full,
            samples: Vec::new(),
            after: full,
            code: None,
        });
    }
    (plan.tell)(&format!(
        "{} sessions opened in {:?}",
        plan.sessions,
        start.elapsed()
    ));

    // The load.
    let begin = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..plan.workers {
        let (half, proxy, _, slots) = &halves[worker % halves.len()];
        let work = Work {
            half: *half,
            connection: Connection::new(proxy.address),
            slots: Arc::clone(slots),
            tally: Arc::clone(&tally),
            idle: plan.idle,
            faults: plan.faults,
            random: random_of(plan, worker as u64),
        };
        tasks.spawn(work.go(worker));
    }
    if plan.faults > 0 {
        let shared = halves.iter().find(|(half, ..)| *half == Half::Shared);
        let process = shared.map_or(0, |(_, proxy, ..)| proxy.process());
        let upheaval = Upheaval {
            random: random_of(plan, u64::MAX),
            every: plan.upheaval,
            odd: odd.clone(),
            process,
            child: child_name(plan),
            tally: Arc::clone(&tally),
        };
        tasks.spawn(upheaval.go());
    }
    for (_, proxy, _, slots) in &halves {
        let renewing = renew(
            Connection::new(proxy.address),
            Arc::clone(slots),
            Arc::clone(&tally),
            plan.churn,
        );
        tasks.spawn(renewing);
    }
    let mut next = begin + plan.every;
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let is_done =
            tally.asked.load(Ordering::Relaxed) >= plan.requests && begin.elapsed() >= plan.least;
        if is_done {
            break;
        }
        if Instant::now() >= next {
            next += plan.every;
            for ((half, proxy, ..), seen) in halves.iter().zip(&mut seen) {
                let sample = proxy.sample(begin.elapsed().as_secs()).await?;
                seen.samples.push(sample);
                let asked = tally.asked.load(Ordering::Relaxed);
                (plan.tell)(&format!("{half:?} {sample:?} asked {asked}"));
            }
        }
    }
    tally.is_over.store(true, Ordering::Relaxed);
    let seconds = begin.elapsed().as_secs();
    while tasks.join_next().await.is_some() {}

    // The end.
    for ((_, proxy, before, slots), seen) in halves.iter().zip(&mut seen) {
        close(plan, proxy, slots, &tally).await?;
        let patience = Instant::now() + plan.idle + Duration::from_secs(30);
        loop {
            seen.after = proxy.sample(seconds).await?;
            let is_back = seen.after.sessions == 0 && has_returned(before, &seen.after);
            if is_back || Instant::now() > patience {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    let server_sessions = quick.open_sessions() + slow.open_sessions();
    let duplicates = (quick.duplicated(), slow.duplicated(), odd.duplicated());
    for ((_, proxy, ..), seen) in halves.into_iter().zip(&mut seen) {
        seen.code = proxy.stop().await?;
    }
    let mut quick = std::mem::take(&mut *lock(&tally.quick));
    quick.sort_unstable();
    let wrong = std::mem::take(&mut *lock(&tally.wrong));
    Ok(Report {
        sessions: plan.sessions,
        asked: tally.asked.load(Ordering::Relaxed),
        seconds,
        right: tally.right.load(Ordering::Relaxed),
        refused: tally.refused.load(Ordering::Relaxed),
        unanswered: tally.unanswered.load(Ordering::Relaxed),
        duplicated: tally.surplus.load(Ordering::Relaxed)
            + [&duplicates.0, &duplicates.1, &duplicates.2]
                .into_iter()
                .sum::<u64>(),
        faults: std::mem::take(&mut *lock(&tally.faults)),
        renewed: tally.renewed.load(Ordering::Relaxed),
        wrong,
        lost_streams: tally.lost_streams.load(Ordering::Relaxed),
        quick,
        seen,
        server_sessions,
    })
}

fn settings(plan: &Plan) -> String {
    format!(
        "timeouts.request_timeout = \"{}ms\"\ntimeouts.start_timeout = \"{}ms\"\ntimeouts.probe_timeout = \"1s\"\n\
         timeouts.list_deadline = \"1s\"\ntimeouts.session_idle = \"{}ms\"\nhttp.max_connections = 20000\n\
         limits.max_sessions = 20000\nlog.level = \"error,mcp_whittle::commands=info\"\nlog.format = \"text\"\n",
        plan.patience.as_millis(),
        plan.patience.as_millis() * 3 / 2,
        plan.idle.as_millis()
    )
}

fn random_of(plan: &Plan, who: u64) -> StdRng {
    StdRng::seed_from_u64(plan.seed ^ who.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn child_name(plan: &Plan) -> String {
    let program = plan.child.first().map(String::as_str).unwrap_or_default();
    program.rsplit('/').next().unwrap_or_default().to_owned()
}

/// Ends servers as a whole.
struct Upheaval {
    random: StdRng,
    every: Duration,
    odd: Upstream,
    /// The proxy whose child is killed.
    process: u32,
    child: String,
    tally: Arc<Tally>,
}

impl Upheaval {
    async fn go(mut self) {
        let mut next = Instant::now() + self.every;
        while !self.tally.is_over.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if Instant::now() < next {
                continue;
            }
            next += self.every;
            if self.random.random_bool(0.5) {
                self.odd.kill();
                self.tally.fault(Fault::ServerKilled, 1, false);
            } else {
                let killed = trouble::kill_children(self.process, &self.child);
                self.tally.fault(Fault::ChildKilled, killed as u64, false);
            }
        }
    }
}

/// Descriptors that may be more than before: what the load left in flight towards servers.
const SLACK: usize = 3;

fn has_returned(before: &Sample, after: &Sample) -> bool {
    after.descriptors <= before.descriptors + SLACK && after.children <= before.children
}

/// One session comes and goes, and everything that is made once is there.
async fn warm_up(proxy: &Proxy) -> io::Result<Sample> {
    let mut connection = Connection::new(proxy.address);
    let session = Session::open(&mut connection, true, false).await?;
    for method in ["tools/list", "ping"] {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method}).to_string();
        connection.ask("POST", Some(&session.id), &body).await?;
    }
    session.end(&mut connection).await?;
    drop(connection);
    let patience = Instant::now() + Duration::from_secs(15);
    let mut least = proxy.sample(0).await?;
    // Until connections that are kept for a next time are closed.
    while Instant::now() < patience {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let sample = proxy.sample(0).await?;
        if sample.descriptors >= least.descriptors
            && sample.sessions == 0
            && patience - Instant::now() < Duration::from_secs(9)
        {
            break;
        }
        least = sample;
    }
    proxy.sample(0).await
}

async fn open(plan: &Plan, proxy: &Proxy, slots: &Slots, tally: &Arc<Tally>) -> io::Result<()> {
    let mut tasks = tokio::task::JoinSet::new();
    let each = (plan.sessions / 2).div_ceil(plan.workers);
    for worker in 0..plan.workers {
        let (slots, tally) = (Arc::clone(slots), Arc::clone(tally));
        let mut connection = Connection::new(proxy.address);
        let sessions = plan.sessions / 2;
        tasks.spawn(async move {
            for n in (worker * each)..((worker + 1) * each).min(sessions) {
                match Session::open(&mut connection, n % 2 == 0, n % 100 == 0).await {
                    Ok(session) => lock(&slots).push(Slot::new(session)),
                    Err(error) => tally.wrong(format!("a session could not be opened: {error}")),
                }
            }
        });
    }
    while tasks.join_next().await.is_some() {}
    if lock(slots).is_empty() {
        let wrong = lock(&tally.wrong).join("; ");
        return Err(io::Error::other(format!("no session was opened: {wrong}")));
    }
    Ok(())
}

async fn close(plan: &Plan, proxy: &Proxy, slots: &Slots, tally: &Arc<Tally>) -> io::Result<()> {
    let all = std::mem::take(&mut *lock(slots));
    let all: Vec<Session> = all
        .into_iter()
        .filter_map(|slot| Arc::into_inner(slot).map(|slot| slot.session))
        .collect();
    let n_lost = all.iter().filter(|session| session.lost_its_stream());
    tally
        .lost_streams
        .fetch_add(n_lost.count() as u64, Ordering::Relaxed);
    let waiting = Arc::new(Mutex::new(all));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..plan.workers {
        let (waiting, tally) = (Arc::clone(&waiting), Arc::clone(tally));
        let mut connection = Connection::new(proxy.address);
        tasks.spawn(async move {
            loop {
                let Some(session) = lock(&waiting).pop() else {
                    return;
                };
                if let Err(error) = session.end(&mut connection).await {
                    tally.wrong(format!("a session could not be ended: {error}"));
                }
            }
        });
    }
    while tasks.join_next().await.is_some() {}
    Ok(())
}

/// Replaces sessions: half of them end with a word, half without.
async fn renew(mut connection: Connection, slots: Slots, tally: Arc<Tally>, churn: Duration) {
    let n_slots = lock(&slots).len();
    // One percent in each time of churn.
    let each = u32::try_from(n_slots.div_ceil(100))
        .unwrap_or(u32::MAX)
        .max(1);
    let pause = churn / each;
    let mut n = 0_u64;
    while !tally.is_over.load(Ordering::Relaxed) {
        tokio::time::sleep(pause).await;
        n += 1;
        let session = match Session::open(&mut connection, n.is_multiple_of(2), false).await {
            Ok(session) => session,
            Err(error) => {
                tally.wrong(format!("a session could not be opened: {error}"));
                continue;
            }
        };
        let fresh = Slot::new(session);
        let old = {
            let mut slots = lock(&slots);
            let at = rand::rng().random_range(0..slots.len());
            std::mem::replace(&mut slots[at], fresh)
        };
        old.is_over.store(true, Ordering::Relaxed);
        tally.renewed.fetch_add(1, Ordering::Relaxed);
        if n % 4 < 2 {
            let ended = connection.ask("DELETE", Some(&old.session.id), "").await;
            if let Err(error) = ended {
                tally.wrong(format!("a session could not be ended: {error}"));
            }
        }
    }
}

impl Report {
    /// What did not return or came out wrong; nothing of it depends on how fast the machine is.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = self.wrong.clone();
        if self.asked != self.right + self.refused && self.wrong.is_empty() {
            faults.push(format!(
                "{} asked, {} right, {} refused",
                self.asked, self.right, self.refused
            ));
        }
        if self.unanswered > 0 || self.duplicated > 0 {
            faults.push(format!(
                "{} unanswered, {} duplicated",
                self.unanswered, self.duplicated
            ));
        }
        if self.lost_streams > 0 {
            faults.push(format!("{} streams ended by themselves", self.lost_streams));
        }
        if self.server_sessions > 0 {
            faults.push(format!(
                "servers were left with {} sessions",
                self.server_sessions
            ));
        }
        for seen in &self.seen {
            if seen.after.sessions > 0 {
                faults.push(format!(
                    "{:?}: {} sessions are left",
                    seen.half, seen.after.sessions
                ));
            }
            if !has_returned(&seen.before, &seen.after) {
                faults.push(format!(
                    "{:?}: descriptors and children did not return: {:?}, then {:?}",
                    seen.half, seen.before, seen.after
                ));
            }
            if seen.code != Some(0) {
                faults.push(format!("{:?}: ended with {:?}", seen.half, seen.code));
            }
        }
        faults
    }

    /// How much a kind of memory changed over the second half of the load, as a share.
    pub(crate) fn drift(seen: &Seen, value: impl Fn(&Sample) -> u64) -> f64 {
        drift(seen.second_half(), value)
    }

    /// The same of resident memory by least squares, and its standard error.
    pub(crate) fn line(seen: &Seen) -> (f64, f64) {
        least_squares(seen.second_half(), |sample| sample.resident)
    }

    /// KiB that each further session costs before there is load.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    pub(crate) fn kib_per_session(&self, seen: &Seen) -> f64 {
        let more = seen.full.resident.saturating_sub(seen.before.resident);
        more as f64 / (self.sessions / 2).max(1) as f64
    }

    /// Milliseconds of calls to the server that answers at once: median, 99 of 100, slowest.
    pub(crate) fn quick_millis(&self) -> [f64; 3] {
        [0.5, 0.99, 1.0].map(|share| f64::from(quantile(&self.quick, share)) / 1000.0)
    }
}
