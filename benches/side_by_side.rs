//! mcp-whittle beside a byte-blind relay and the peers that install, in one run on one machine.
//!
//! `benches/run [--quick]` installs the peers and runs this; `benches/README.md` says how to read it. The
//! parts (calls, start, memory, tokens) run one after another, each in a process of this program, so that one
//! can be held to one core and none takes the others down. In each part the hops take turns, the relay among
//! them. Raw numbers go to `PREFIX.json`; `PREFIX.md` and `PREFIX.svg` are made of that file alone.

#[path = "../examples/byte_relay.rs"]
#[expect(dead_code, reason = "its `main` is that of the example")]
mod byte_relay;
#[path = "side_by_side/chart.rs"]
mod chart;
#[path = "../examples/echo_server.rs"]
#[expect(dead_code, reason = "its `main` is that of the example")]
mod echo_server;
#[path = "side_by_side/hop.rs"]
mod hop;
#[path = "side_by_side/http.rs"]
mod http;
#[path = "side_by_side/latency.rs"]
mod latency;
#[path = "side_by_side/machine.rs"]
mod machine;
#[path = "side_by_side/memory.rs"]
mod memory;
#[path = "side_by_side/message.rs"]
mod message;
#[path = "page_cache.rs"]
mod page_cache;
#[path = "side_by_side/parts.rs"]
mod parts;
#[path = "side_by_side/peers.rs"]
mod peers;
#[path = "side_by_side/pipe.rs"]
mod pipe;
#[path = "side_by_side/proc.rs"]
mod proc;
#[path = "side_by_side/process.rs"]
mod process;
#[path = "side_by_side/raw.rs"]
mod raw;
#[path = "side_by_side/report.rs"]
mod report;
#[path = "side_by_side/rows.rs"]
mod rows;
#[path = "side_by_side/running.rs"]
mod running;
#[path = "side_by_side/start.rs"]
mod start;
#[path = "side_by_side/tokens.rs"]
mod tokens;

use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

const USAGE: &str = "usage: benches/run [--quick] [--no-install] [--out PREFIX] [--only PART]\n       benches/run --report RAW.json --out PREFIX";

fn main() -> io::Result<()> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    match words.first().map(String::as_str) {
        Some("relay") => return byte_relay::run(words.split_off(1)),
        Some("echo") => return echo_server::run(words.split_off(1)),
        Some("part") => return parts::run(&words.split_off(1)),
        _ => {}
    }
    let (mut is_quick, mut out, mut kept, mut only) = (false, None, None, Vec::new());
    let mut rest = words.into_iter();
    let missing = || io::Error::other(USAGE);
    while let Some(word) = rest.next() {
        match word.as_str() {
            // Cargo adds it.
            "--bench" => {}
            "--quick" => is_quick = true,
            "--out" => out = Some(PathBuf::from(rest.next().ok_or_else(missing)?)),
            "--report" => kept = Some(PathBuf::from(rest.next().ok_or_else(missing)?)),
            "--only" => only.push(rest.next().ok_or_else(missing)?),
            _ => return Err(missing()),
        }
    }
    // What is not whole never takes the place of the report that is kept.
    let is_whole = !is_quick && only.is_empty();
    let out = out.unwrap_or_else(|| {
        let place = if is_whole {
            "docs/benchmarks"
        } else {
            "target/bench/side_by_side"
        };
        hop::repository().join(place)
    });
    let raw = match kept {
        Some(file) => serde_json::from_slice(&std::fs::read(file)?)?,
        None => parts::all(is_quick, &only)?,
    };
    write(&raw, &out)
}

fn write(raw: &Value, prefix: &Path) -> io::Result<()> {
    if let Some(folder) = prefix.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let name = prefix
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let chart = format!("{name}.svg");
    let files = [
        ("json", format!("{raw:#}\n")),
        ("md", report::markdown(raw, &chart)),
        ("svg", chart::svg(raw)),
    ];
    for (extension, text) in files {
        let path = prefix.with_file_name(format!("{name}.{extension}"));
        std::fs::write(&path, text)?;
        machine::say(&format!("wrote {}", path.display()))?;
    }
    Ok(())
}
