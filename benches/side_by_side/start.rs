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
const LIMIT: Duration = Duration::from_secs(45);

/// Hops that do another thing than the others: their list is the same before and after a server is there.
const APART: [(&str, &str); 1] = [(
    "lazy-mcp",
    "its list is its own two tools, sent before any server is asked, and nothing of the server is in it",
)];

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
            rounds.min(3),
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
            if !failures.contains_key(hop.id) {
                match setting
                    .home
                    .fresh(hop.id)
                    .and_then(|home| once(hop, setting, &home))
                {
                    Ok(took) => measure.push(hop.id, took.as_secs_f64() * 1000.0),
                    Err(error) => {
                        failures.insert(hop.id, error.to_string());
                    }
                }
            }
            if hop.id == "whittle"
                && let Err(error) = snapshot(hop, setting, &mut measure)
            {
                failures.insert("whittle-snapshot", error.to_string());
            }
        }
    }
    for (id, why) in &failures {
        measure.fail(id, why);
    }
    for numbers in measure.routes.values_mut() {
        numbers.calls = numbers.rounds.len();
    }
    measure.set_apart(&APART);
    measure
}

fn once(hop: &Hop, setting: &Setting<'_>, home: &super::process::Home) -> io::Result<Duration> {
    let mut running = Running::start_in(hop, setting, home)?;
    running.list()?;
    Ok(running.age())
}

/// Starts twice in the same home; the second start is measured.
fn snapshot(hop: &Hop, setting: &Setting<'_>, measure: &mut Measure) -> io::Result<()> {
    let home = setting.home.fresh("whittle-snapshot")?;
    let mut first = Running::start_in(hop, setting, &home)?;
    first.list()?;
    // What is learned is written after the answer.
    std::thread::sleep(Duration::from_millis(200));
    first.list()?;
    drop(first);
    let took = once(hop, setting, &home)?;
    measure.push("whittle-snapshot", took.as_secs_f64() * 1000.0);
    Ok(())
}
