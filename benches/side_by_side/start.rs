//! From the start of a hop to its first list: cold, and from our snapshot of an earlier start.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use super::hop::Hop;
use super::raw::Measure;
use super::running::{Running, Setting};

/// How long the slow server takes to start, in milliseconds: a quick `npx`.
const SLOW: &str = "400";
/// After so long, no round begins but the first two.
const LIMIT: Duration = Duration::from_secs(90);
/// A round is the median of so many starts, or of as many as begin before they have taken `STARTING` together, or
/// `ROUND` with what is done around them: a single start of some milliseconds says more about the scheduler than
/// about the hop.
const STARTS: usize = 9;
const STARTING: Duration = Duration::from_millis(200);
const ROUND: Duration = Duration::from_millis(1500);

/// Hops that do another thing than the others: their list is the same before and after a server is there.
const APART: [(&str, &str); 1] = [(
    "lazy-mcp",
    "its list is its own two tools, sent before any server is asked, and nothing of the server is in it",
)];

/// Starts a hop and returns how long it took to its first list.
type Start = fn(&Hop, &Setting<'_>) -> io::Result<Duration>;

/// Measures hops, in turns.
pub(crate) fn measure(
    group: &'static str,
    hops: &[&Hop],
    setting: &Setting<'_>,
    list: &str,
    rounds: usize,
) -> Vec<Measure> {
    let mut all = vec![of_server(
        group,
        "a server that starts at once",
        hops,
        &Setting {
            server: &["--list", list],
            ..*setting
        },
        rounds,
    )];
    // Over HTTP the server runs already; two rounds are a rehearsal.
    if !setting.is_http && rounds > 2 {
        all.push(of_server(
            group,
            "a server that takes 400 ms",
            hops,
            &Setting {
                server: &["--list", list, "--start-delay", SLOW],
                ..*setting
            },
            rounds,
        ));
    }
    all
}

fn of_server(
    group: &'static str,
    what: &str,
    hops: &[&Hop],
    setting: &Setting<'_>,
    rounds: usize,
) -> Measure {
    let mut measure = Measure::new(
        group,
        format!("start to the first list, {what}"),
        "median",
        "ms",
    );
    let mut failures: BTreeMap<&'static str, String> = BTreeMap::new();
    let began = Instant::now();
    for round in 0..rounds {
        if round > 1 && began.elapsed() > LIMIT {
            break;
        }
        for turn in 0..hops.len() {
            let hop = hops[(turn + round) % hops.len()];
            let mut rows: Vec<(&'static str, Start)> = vec![(hop.id, fresh)];
            if hop.id == "whittle" {
                rows.push(("whittle-snapshot", from_snapshot));
            }
            for (id, start) in rows {
                if failures.contains_key(id) {
                    continue;
                }
                match a_round(|| start(hop, setting)) {
                    Ok(starts) => {
                        let median = starts[starts.len() / 2];
                        measure.push(id, median.as_secs_f64() * 1000.0);
                        measure.routes.entry(id).or_default().calls += starts.len();
                    }
                    Err(error) => {
                        failures.insert(id, error.to_string());
                    }
                }
            }
        }
    }
    for (id, why) in &failures {
        measure.fail(id, why);
    }
    measure.set_apart(&APART);
    measure
}

/// The starts of one round, the fastest first; those after the first are made while there is time.
fn a_round(mut start: impl FnMut() -> io::Result<Duration>) -> io::Result<Vec<Duration>> {
    let began = Instant::now();
    let mut took = vec![start()?];
    while took.len() < STARTS && took.iter().sum::<Duration>() < STARTING && began.elapsed() < ROUND
    {
        took.push(start()?);
    }
    took.sort_unstable();
    Ok(took)
}

/// Starts in an empty home.
fn fresh(hop: &Hop, setting: &Setting<'_>) -> io::Result<Duration> {
    once(hop, setting, &setting.home.fresh(hop.id)?)
}

fn once(hop: &Hop, setting: &Setting<'_>, home: &super::process::Home) -> io::Result<Duration> {
    let mut running = Running::start_in(hop, setting, home)?;
    running.list()?;
    Ok(running.age())
}

/// Starts twice in the same home; the second start is measured.
fn from_snapshot(hop: &Hop, setting: &Setting<'_>) -> io::Result<Duration> {
    let home = setting.home.fresh("whittle-snapshot")?;
    let mut first = Running::start_in(hop, setting, &home)?;
    first.list()?;
    // What is learned is written after the answer.
    std::thread::sleep(Duration::from_millis(200));
    first.list()?;
    drop(first);
    once(hop, setting, &home)
}
