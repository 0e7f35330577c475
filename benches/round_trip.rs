//! What the proxy adds: round trips, start-up and memory, beside a byte-blind relay in the same run.
//!
//! `cargo bench --bench round_trip [-- PART…]` with the parts `stdio http start memory` (all, if none is
//! named). Prints Markdown tables and writes the raw numbers to `target/bench/`. The relay and the
//! server are the examples `byte_relay` and `echo_server`; this program plays them as well, so that one
//! command builds and measures everything. The rounds of all routes take turns. Ratios are judged only
//! when everything runs on one core: `taskset -c 0 cargo bench --bench round_trip -- stdio`.

#[path = "../examples/byte_relay.rs"]
#[expect(dead_code, reason = "its `main` is that of the example")]
mod byte_relay;
#[path = "../examples/echo_server.rs"]
#[expect(dead_code, reason = "its `main` is that of the example")]
mod echo_server;
#[path = "round_trip/latency.rs"]
mod latency;
#[path = "round_trip/memory.rs"]
mod memory;
#[path = "round_trip/numbers.rs"]
mod numbers;
#[path = "page_cache.rs"]
mod page_cache;
#[path = "round_trip/peer.rs"]
mod peer;
#[path = "round_trip/start.rs"]
mod start;

use std::io;
use std::path::Path;

/// The parts that can be asked for.
const PARTS: [&str; 4] = ["stdio", "http", "start", "memory"];

fn main() -> io::Result<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("relay") => return byte_relay::run(arguments.split_off(1)),
        Some("echo") => return echo_server::run(arguments.split_off(1)),
        _ => {}
    }
    // Cargo adds `--bench`.
    arguments.retain(|argument| !argument.starts_with("--"));
    for part in &arguments {
        if !PARTS.contains(&part.as_str()) {
            return Err(io::Error::other(format!(
                "unknown part `{part}`; there are {PARTS:?}"
            )));
        }
    }
    let wants = |part: &str| arguments.is_empty() || arguments.iter().any(|given| given == part);
    page_cache::forget();
    page_cache::read_anew(Path::new(peer::PROXY))?;
    numbers::print_machine()?;
    if wants("stdio") {
        latency::stdio()?;
    }
    if wants("http") {
        latency::http()?;
    }
    if wants("start") {
        start::run()?;
    }
    if wants("memory") {
        memory::run()?;
    }
    Ok(())
}
