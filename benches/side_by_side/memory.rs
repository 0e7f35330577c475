//! Memory of a hop's processes: idle after use, at the peak of a large result, and for each session over HTTP;
//! and what it takes on disk.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::hop::{Hop, installed};
use super::proc::{self, MIB};
use super::raw::Measure;
use super::running::{Running, Setting};

/// A hop is idle after so long without calls.
const IDLE: Duration = Duration::from_millis(3000);
/// Sessions that are opened beside the first.
const SESSIONS: usize = 50;

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
    for _ in 0..rounds {
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
    let before = proc::memory(&running.processes(), "VmRSS:");
    let mut open = Vec::new();
    for _ in 0..SESSIONS {
        open.push(running.further_session(SMALL)?);
    }
    std::thread::sleep(IDLE / 2);
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

/// Says what each hop takes on disk, without its interpreter.
pub(crate) fn on_disk(hops: &[&Hop], folder: &Path) -> Measure {
    let mut measure = Measure::new("size", "installed, without interpreter", "bytes", "MiB");
    for hop in hops {
        if measure.routes.contains_key(hop.id) {
            continue;
        }
        let Some(path) = installed(hop, folder) else {
            continue;
        };
        match proc::bytes(&path) {
            Ok(bytes) => measure.push(hop.id, bytes as f64 / MIB),
            Err(error) => measure.fail(hop.id, &error.to_string()),
        }
    }
    measure
}
