//! How long calls take, one after another and many at once, and what processor time they cost.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::hop::Hop;
use super::raw::{Measure, quantile};
use super::running::{Pace, Running, Setting};

/// With fewer calls than this, a 99th percentile is only the slowest of them.
const ENOUGH_FOR_P99: usize = 100;

/// What is called, and how.
pub(crate) struct Load {
    name: &'static str,
    bytes: usize,
    /// Microseconds that the server works on each call.
    busy: u64,
    in_flight: usize,
    /// Milliseconds for each round of a hop.
    time: u64,
    at_least: usize,
    /// Whether the processor time is told.
    tells_cpu: bool,
}

const fn load(name: &'static str, bytes: usize, in_flight: usize, time: u64) -> Load {
    Load {
        name,
        bytes,
        busy: 0,
        in_flight,
        time,
        at_least: if bytes < 1_000_000 {
            2 * in_flight
        } else {
            in_flight
        },
        tells_cpu: false,
    }
}

/// Where one call in a hundred is slow because the machine was elsewhere, as on two virtual cores, a round of few calls
/// has a 99th percentile on either side of that; the first two have a thousand or more.
///
/// More than 32 MB of answers on their way at once measure memory and not a hop, so the large ones come fewer
/// at a time. Those that tell most come first: the last are left out when time is short.
const LOADS: [Load; 10] = [
    Load {
        busy: 200,
        at_least: 50,
        ..load("200 B, server works 0.2 ms", 200, 1, 500)
    },
    Load {
        tells_cpu: true,
        at_least: 50,
        ..load("200 B", 200, 1, 500)
    },
    Load {
        at_least: 20,
        ..load("20 KB", 20_000, 1, 200)
    },
    Load {
        at_least: 3,
        ..load("1 MB", 1_000_000, 1, 250)
    },
    load("20 MB", 20_000_000, 1, 0),
    load("200 B", 200, 32, 200),
    load("20 KB", 20_000, 32, 200),
    load("200 B", 200, 256, 250),
    load("20 KB", 20_000, 256, 250),
    load("1 MB", 1_000_000, 32, 250),
];

/// Those where everything may use one core only: there the time of a call is the work it costs, and not where
/// the scheduler put the processes.
const ON_ONE_CORE: [Load; 4] = [
    Load {
        busy: 200,
        at_least: 50,
        ..load("200 B, server works 0.2 ms", 200, 1, 250)
    },
    Load {
        at_least: 50,
        ..load("200 B", 200, 1, 250)
    },
    Load {
        at_least: 20,
        ..load("20 KB", 20_000, 1, 200)
    },
    Load {
        at_least: 3,
        ..load("1 MB", 1_000_000, 1, 300)
    },
];

/// How much is measured.
#[derive(Clone, Copy)]
pub(crate) struct Amount {
    pub(crate) rounds: usize,
    /// Part of the time of each round.
    pub(crate) share: f64,
    /// A hop that has used so much for one load makes no more than two rounds of it.
    pub(crate) patience: Duration,
    /// After so much, loads are left out, and this is said.
    pub(crate) limit: Duration,
    /// Loads with more calls at once are left out.
    pub(crate) most_at_once: usize,
}

/// A hop on its bench: started again after a failure, dropped when it cannot be.
struct Seat<'a> {
    hop: &'a Hop,
    running: Option<Running>,
    dropped: Option<String>,
}

impl Seat<'_> {
    fn start(&mut self, setting: &Setting<'_>) {
        if self.running.is_some() || self.dropped.is_some() {
            return;
        }
        let started = Running::start(self.hop, setting).and_then(|mut running| {
            running.learn()?;
            // What is made at the first call is made now.
            for _ in 0..20 {
                running.call("{\"bytes\":200}")?;
            }
            Ok(running)
        });
        match started {
            Ok(running) => self.running = Some(running),
            Err(error) => self.dropped = Some(format!("does not start: {error}")),
        }
    }
}

/// Measures hops, in turns.
pub(crate) fn measure(
    group: &'static str,
    hops: &[&Hop],
    setting: &Setting<'_>,
    amount: Amount,
    is_on_one_core: bool,
) -> Vec<Measure> {
    let start = Instant::now();
    let mut seats: Vec<Seat<'_>> = hops
        .iter()
        .map(|hop| Seat {
            hop,
            running: None,
            dropped: None,
        })
        .collect();
    let loads: &[Load] = if is_on_one_core { &ON_ONE_CORE } else { &LOADS };
    let mut measures = Vec::new();
    for load in loads
        .iter()
        .filter(|load| load.in_flight <= amount.most_at_once)
    {
        let left = amount.limit.saturating_sub(start.elapsed());
        measures.extend(of_load(group, load, &mut seats, setting, amount, left));
    }
    measures
}

fn of_load(
    group: &'static str,
    load: &Load,
    seats: &mut [Seat<'_>],
    setting: &Setting<'_>,
    amount: Amount,
    left: Duration,
) -> Vec<Measure> {
    let (began, is_late) = (Instant::now(), left.is_zero());
    let what = format!("{}, {} at once", load.name, load.in_flight);
    let mut median = Measure::new(group, what.as_str(), "median", "µs");
    let mut p99 = Measure::new(group, what.as_str(), "p99", "µs");
    let mut rate = Measure::new(group, what.as_str(), "throughput", "calls/s");
    rate.is_more_better = true;
    let mut cpu = Measure::new(group, what.as_str(), "processor time", "ms per 1,000 calls");
    let arguments = format!(
        "{{\"bytes\":{},\"kind\":\"text\",\"busy\":{}}}",
        load.bytes, load.busy
    );
    let pace = Pace {
        in_flight: load.in_flight,
        time: Duration::from_micros((load.time as f64 * 1000.0 * amount.share) as u64),
        at_least: load.at_least,
    };
    let mut spent: BTreeMap<usize, Duration> = BTreeMap::new();
    for round in 0..if is_late { 0 } else { amount.rounds } {
        if round > 1 && began.elapsed() > left {
            break;
        }
        for turn in 0..seats.len() {
            // Another order each round: what runs first may pay for what ran before.
            let at = (turn + round) % seats.len();
            let seat = &mut seats[at];
            let id = seat.hop.id;
            if median
                .routes
                .get(id)
                .is_some_and(|numbers| numbers.failed.is_some())
                || round > 1 && spent.get(&at).is_some_and(|spent| *spent > amount.patience)
            {
                continue;
            }
            seat.start(setting);
            let Some(running) = &mut seat.running else {
                median.fail(id, seat.dropped.as_deref().unwrap_or("does not run"));
                continue;
            };
            let began = Instant::now();
            let outcome = running.calls(&arguments, pace);
            *spent.entry(at).or_default() += began.elapsed();
            match outcome {
                Err(error) => {
                    median.fail(id, &error.to_string());
                    seat.running = None;
                }
                Ok(calls) => {
                    let n = calls.times.len();
                    median.push(id, quantile(&calls.times, 0.5).unwrap_or_default());
                    p99.push(id, quantile(&calls.times, 0.99).unwrap_or_default());
                    rate.push(id, n as f64 / calls.took.as_secs_f64());
                    cpu.push(id, calls.cpu as f64 / 1e6 * 1000.0 / n.max(1) as f64);
                    for measure in [&mut median, &mut p99, &mut rate, &mut cpu] {
                        let numbers = measure.routes.entry(id).or_default();
                        numbers.calls += n;
                        numbers.answer_bytes = Some(calls.answer_bytes);
                    }
                    running.forget();
                }
            }
        }
    }
    if is_late {
        for seat in seats.iter() {
            median.fail(seat.hop.id, "left out: the bench had used its time");
        }
    }
    p99.routes
        .retain(|_, numbers| load.bytes < 1_000_000 && numbers.calls >= ENOUGH_FOR_P99);
    let mut all = vec![median];
    if !p99.routes.is_empty() {
        all.push(p99);
    }
    if load.in_flight > 1 {
        all.push(rate);
    }
    if load.tells_cpu {
        cpu.routes.remove("direct");
        all.push(cpu);
    }
    all
}
