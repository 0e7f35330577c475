//! Memory of a hop's processes: idle after use, at the peak of a large result, and for each session over HTTP;
//! and what it takes on disk.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::hop::{Hop, installed};
use super::proc::{self, MIB};
use super::raw::Measure;
use super::running::{Running, Setting};

/// A hop is idle after so long without calls.
const IDLE: Duration = Duration::from_millis(3000);
/// After so long, no round begins but the first two.
const LIMIT: Duration = Duration::from_secs(60);
/// Sessions that are opened before the others are counted, so that what the first of them need once (code, pools)
/// is not counted with them.
const WARM: usize = 10;
/// Sessions that are counted: of fewer, what the next page of code costs is a good part.
const SESSIONS: usize = 200;

const SMALL: &str = "{\"bytes\":2000,\"kind\":\"text\"}";
const LARGE: &str = "{\"bytes\":20000000,\"kind\":\"text\"}";

/// Measures hops; all stand idle at the same time.
pub(crate) fn measure(
    group: &'static str,
    hops: &[&Hop],
    setting: &Setting<'_>,
    rounds: usize,
) -> Vec<Measure> {
    let mut idle = Measure::new(group, "idle after a list and 100 calls", "resident", "MiB");
    let mut divided = Measure::new(
        group,
        "idle after a list and 100 calls, shared pages divided",
        "resident",
        "MiB",
    );
    let mut session = Measure::new(group, "for each further session", "resident", "KiB");
    let mut peak = Measure::new(group, "peak of one 20 MB result", "resident", "MiB");
    let began = Instant::now();
    for round in 0..rounds {
        if round > 1 && began.elapsed() > LIMIT {
            break;
        }
        let mut running = Vec::new();
        for hop in hops.iter().filter(|hop| hop.id != "direct") {
            match used(hop, setting) {
                Ok(one) => running.push((hop.id, one)),
                Err(error) => idle.fail(hop.id, &error.to_string()),
            }
        }
        std::thread::sleep(IDLE);
        for (id, one) in &running {
            let ids = one.processes();
            idle.push(id, proc::memory(&ids, "VmRSS:"));
            divided.push(id, proc::shared_memory(&ids));
        }
        if setting.is_http {
            for (id, one) in &running {
                match sessions(one) {
                    Ok(kib) => session.push(id, kib),
                    Err(error) => session.fail(id, &error.to_string()),
                }
            }
        }
        for (id, one) in &mut running {
            // Who never answers is not waited for again.
            if peak
                .routes
                .get(id)
                .is_some_and(|numbers| numbers.failed.is_some())
            {
                continue;
            }
            match peak_of(one) {
                Ok((mib, bytes)) => {
                    peak.push(id, mib);
                    peak.routes.entry(id).or_default().answer_bytes = Some(bytes);
                }
                Err(error) => peak.fail(id, &error.to_string()),
            }
        }
    }
    let mut all = vec![idle, divided];
    if setting.is_http {
        // A relay copies to each connection what it copies to the first: it has no sessions.
        session.routes.remove("relay");
        all.push(session);
    }
    all.push(peak);
    all
}

fn used(hop: &Hop, setting: &Setting<'_>) -> io::Result<Running> {
    let mut running = Running::start(hop, setting)?;
    running.learn()?;
    for _ in 0..100 {
        running.call(SMALL)?;
    }
    Ok(running)
}

/// Returns what a further session holds, in KiB, after a list and a call in each.
fn sessions(running: &Running) -> io::Result<f64> {
    let mut open = Vec::new();
    for _ in 0..WARM {
        open.push(running.further_session(SMALL)?);
    }
    std::thread::sleep(IDLE);
    let before = proc::memory(&running.processes(), "VmRSS:");
    for _ in 0..SESSIONS {
        open.push(running.further_session(SMALL)?);
    }
    std::thread::sleep(IDLE);
    let after = proc::memory(&running.processes(), "VmRSS:");
    Ok((after - before).max(0.0) * 1024.0 / SESSIONS as f64)
}

fn peak_of(running: &mut Running) -> io::Result<(f64, usize)> {
    let ids = running.processes();
    proc::forget_peak(&ids);
    let bytes = running.call(LARGE)?.len();
    running.forget();
    Ok((proc::memory(&ids, "VmHWM:"), bytes))
}

/// Says what hops take on disk: a program by itself, or packages without the interpreter that they need.
pub(crate) fn on_disk(hops: &[&Hop], folder: &Path) -> [Measure; 2] {
    let mut program = Measure::new("size", "a program by itself", "bytes", "MiB");
    let mut packages = Measure::new(
        "size",
        "packages, their interpreter not counted",
        "bytes",
        "MiB",
    );
    for hop in hops {
        let Some(path) = installed(hop, folder) else {
            continue;
        };
        let measure = if path.is_dir() {
            &mut packages
        } else {
            &mut program
        };
        if measure.routes.contains_key(hop.id) {
            continue;
        }
        match proc::bytes(&path) {
            Ok(bytes) => measure.push(hop.id, bytes as f64 / MIB),
            Err(error) => measure.fail(hop.id, &error.to_string()),
        }
    }
    [program, packages]
}
