//! The parts of a run, each in a process of its own, and what they are put together to.

use std::collections::BTreeSet;
use std::io;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::hop::{self, BRIDGES, Hop, ON_PIPES, OVER_HTTP, SHORTER};
use super::latency::{self, Amount};
use super::machine::{self, say};
use super::peers::Peers;
use super::process::Home;
use super::raw::Measure;
use super::running::Setting;
use super::{memory, page_cache, start, tokens};

/// The parts, in order.
const PARTS: [&str; 11] = [
    "one-core",
    "stdio",
    "http",
    "bridge",
    "start",
    "start-http",
    "start-bridge",
    "memory",
    "memory-http",
    "memory-bridge",
    "tokens",
];
/// The part where only the client speaks HTTP.
const BRIDGED: &str = "HTTP in front of pipes";
/// The list of a real server of 24 tools, for starts.
const LIST: &str = "testdata/servers/notion/tools.json";

/// Runs all parts, or those that are named, and returns the raw numbers.
///
/// # Errors
/// When nothing could be measured.
pub(crate) fn all(is_quick: bool, only: &[String]) -> io::Result<Value> {
    if let Some(part) = only.iter().find(|part| !PARTS.contains(&part.as_str())) {
        return Err(io::Error::other(format!(
            "unknown part `{part}`; there are {PARTS:?}"
        )));
    }
    let peers = Peers::find()?;
    let folder = tempfile::tempdir()?;
    let before = machine::load();
    let began = Instant::now();
    say(&format!("load before: {before:?}"))?;
    let (mut measures, mut failed) = (Vec::new(), Vec::new());
    for part in PARTS {
        if !only.is_empty() && !only.iter().any(|name| name == part) {
            continue;
        }
        let file = folder.path().join(format!("{part}.json"));
        read_programs_anew(&peers)?;
        let since = Instant::now();
        match in_process(part, is_quick, &file) {
            Ok(Value::Array(found)) => measures.extend(found),
            Ok(_) => failed.push(format!("{part}: no numbers")),
            Err(error) => failed.push(format!("{part}: {error}")),
        }
        say(&format!("{part}: {:.0} s", since.elapsed().as_secs_f64()))?;
    }
    if measures.is_empty() {
        return Err(io::Error::other(failed.join("; ")));
    }
    Ok(json!({
        "format": 1,
        "quick": is_quick,
        "date": machine::date(),
        "version": env!("CARGO_PKG_VERSION"),
        "commit": machine::commit(),
        "seconds": began.elapsed().as_secs(),
        "machine": machine::describe(),
        "load": {"before": before, "after": machine::load()},
        "peers": peers.to_json(),
        "routes": routes(),
        "parts_failed": failed,
        "measures": measures,
    }))
}

/// Has the system read what will be started as it would after a boot, and not as it was installed just now.
fn read_programs_anew(peers: &Peers) -> io::Result<()> {
    let hops = ON_PIPES.iter().chain(&SHORTER).chain(&OVER_HTTP);
    let programs: BTreeSet<_> = hops
        .chain(&BRIDGES)
        .filter_map(|hop| hop::installed(hop, &peers.folder))
        .filter(|path| path.exists())
        .collect();
    page_cache::forget();
    programs
        .iter()
        .try_for_each(|path| page_cache::read_anew(path))
}

/// Names all routes once, the most telling first.
fn routes() -> Value {
    let mut seen: Vec<&str> = Vec::new();
    let mut all = Vec::new();
    let further = SHORTER.iter().chain(&OVER_HTTP).chain(&BRIDGES);
    for hop in ON_PIPES.iter().chain(further) {
        if !seen.contains(&hop.id) {
            seen.push(hop.id);
            all.push(json!({"id": hop.id, "label": hop.label, "note": hop.note}));
        }
        if hop.id == "whittle-transparent" && !seen.contains(&"whittle-snapshot") {
            seen.push("whittle-snapshot");
            all.push(json!({
                "id": "whittle-snapshot",
                "label": "mcp-whittle, second start",
                "note": "with the lists that an earlier start has kept",
            }));
        }
    }
    all.into()
}

fn in_process(part: &str, is_quick: bool, file: &std::path::Path) -> io::Result<Value> {
    let itself = std::env::current_exe()?;
    let mut command = if part == "one-core" {
        // The last core has fewest interrupts.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut command = Command::new("taskset");
        command.arg("-c").arg((cores - 1).to_string()).arg(itself);
        command
    } else {
        Command::new(itself)
    };
    command.arg("part").arg(part).arg(file);
    if is_quick {
        command.arg("--quick");
    }
    let status = command.status()?;
    if !status.success() {
        return Err(io::Error::other(format!("ended with {status}")));
    }
    Ok(serde_json::from_slice(&std::fs::read(file)?)?)
}

/// Runs one part: `NAME FILE [--quick]`; its numbers go to the file.
///
/// # Errors
/// When it cannot begin, or the file cannot be written.
pub(crate) fn run(words: &[String]) -> io::Result<()> {
    let [part, file, rest @ ..] = words else {
        return Err(io::Error::other("part NAME FILE [--quick]"));
    };
    let measures = measured(part, !rest.is_empty())?;
    let raw: Value = measures.iter().map(Measure::to_json).collect();
    std::fs::write(file, raw.to_string())
}

fn measured(part: &str, is_quick: bool) -> io::Result<Vec<Measure>> {
    let peers = Peers::find()?;
    let folder = tempfile::tempdir()?;
    let home = Home(folder.path().to_owned());
    let setting = Setting {
        peers: &peers,
        home: &home,
        server: &[],
        is_http: part.ends_with("http") || part.ends_with("bridge"),
        limit: Duration::from_secs(if is_quick { 5 } else { 20 }),
    };
    let hops = if part.ends_with("bridge") {
        &BRIDGES[..]
    } else if part.ends_with("http") {
        &OVER_HTTP[..]
    } else {
        &ON_PIPES[..]
    };
    let hops: Vec<&Hop> = hops.iter().filter(|hop| peers.has(hop)).collect();
    let amount = |limit: u64| Amount {
        rounds: if is_quick { 3 } else { 5 },
        share: if is_quick { 0.25 } else { 1.0 },
        patience: Duration::from_millis(if is_quick { 500 } else { 3000 }),
        limit: Duration::from_secs(if is_quick { limit / 6 } else { limit }),
        most_at_once: if is_quick { 32 } else { 256 },
    };
    let rounds = if is_quick { 2 } else { 5 };
    let list = home.0.join("list.json").display().to_string();
    if part.starts_with("start") {
        let captured = std::fs::read(hop::repository().join(LIST))?;
        let captured: Value = serde_json::from_slice(&captured)?;
        std::fs::write(&list, captured["result"].to_string())?;
    }
    Ok(match part {
        "one-core" => latency::measure("stdio, all on one core", &hops, &setting, amount(90), true),
        "stdio" => latency::measure("stdio", &hops, &setting, amount(300), false),
        "http" => latency::measure("HTTP", &hops, &setting, amount(140), false),
        "bridge" => latency::measure(BRIDGED, &hops, &setting, amount(180), false),
        "start" => start::measure("start, stdio", &hops, &setting, &list, rounds),
        "start-http" => start::measure("start, HTTP", &hops, &setting, &list, rounds),
        "start-bridge" => start::measure(
            "start, HTTP in front of pipes",
            &hops,
            &setting,
            &list,
            rounds,
        ),
        "memory" => {
            let mut all = memory::measure(
                "memory, stdio",
                &hops,
                &setting,
                if is_quick { 1 } else { rounds },
            );
            let both: Vec<&Hop> = ON_PIPES
                .iter()
                .chain(&BRIDGES)
                .filter(|hop| peers.has(hop) && (hop.id == "whittle" || hop.peer.is_some()))
                .filter(|hop| !hop.id.ends_with("-client"))
                .collect();
            all.extend(memory::on_disk(&both, &peers.folder));
            all
        }
        "memory-http" | "memory-bridge" => memory::measure(
            if part == "memory-http" {
                "memory, HTTP"
            } else {
                "memory, HTTP in front of pipes"
            },
            &hops,
            &setting,
            if is_quick { 1 } else { rounds },
        ),
        "tokens" => {
            // The relay sends what the server does, and so does the bridge.
            let hops: Vec<&Hop> = ON_PIPES
                .iter()
                .chain(&SHORTER)
                .filter(|hop| {
                    peers.has(hop)
                        && !matches!(hop.id, "relay" | "mcp-proxy-client" | "whittle-transparent")
                })
                .collect();
            tokens::measure(&hops, &setting, is_quick)
        }
        _ => return Err(io::Error::other(format!("unknown part `{part}`"))),
    })
}
