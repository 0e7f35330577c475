//! Start-up: from spawn to the first byte at the server, and to the first list.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Map, json};

use crate::numbers::{Samples, say, verdict, write_raw};
use crate::peer::{Client, PipeClient, check, proxied, real_list, role};

/// Starts of each route; they take turns.
const STARTS: usize = 31;
/// How long the slow server takes to start, in milliseconds: a quick `npx`.
const SLOW: &str = "400";
/// Most that the proxy may need more than the relay until the first byte is forwarded: two processes are started either
/// way, and what that costs is the machine's.
const LIMIT_MS: f64 = 5.0;

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

/// Measures all of it.
pub(crate) fn run() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut raw = Map::new();
    first_byte(folder.path(), &mut raw)?;
    first_list(folder.path(), &mut raw)?;
    write_raw("start", &raw.into())
}

fn first_byte(folder: &Path, raw: &mut Map<String, serde_json::Value>) -> io::Result<()> {
    let mark = folder.join("mark");
    let mark_text = mark.display().to_string();
    let echo = || role("echo", &["--mark", &mark_text]);
    let mut behind_relay = role("relay", &["--"]);
    behind_relay.extend(echo());
    let state = folder.join("state").display().to_string();
    let routes = [
        ("direct", echo()),
        ("relay", behind_relay),
        ("proxy, no state", proxied(&["--no-state"], echo())),
        (
            "proxy, state kept",
            proxied(&["--state-dir", &state], echo()),
        ),
    ];
    let mut samples = vec![Samples::default(); routes.len()];
    for _ in 0..STARTS {
        for (samples, (_, words)) in samples.iter_mut().zip(&routes) {
            let _ = std::fs::remove_file(&mark);
            let start = since_epoch();
            let mut client = PipeClient::start(words)?;
            client.shake()?;
            let text = std::fs::read_to_string(&mark)?;
            let first: u128 = text.parse().map_err(io::Error::other)?;
            let took = first.saturating_sub(start.as_nanos());
            samples.push_round(&[Duration::from_nanos(took as u64)]);
        }
    }
    say(&format!(
        "\n## Start: from spawn to the first byte on the server's stdin, {STARTS} starts in turns, milliseconds\n\n\
         | route | median | lowest | highest | added to direct | added to the relay | limit |\n|---|---|---|---|---|---|---|"
    ))?;
    let [direct, relay] = [0, 1].map(|route: usize| samples[route].median() / 1000.0);
    for (index, (samples, (name, _))) in samples.iter().zip(&routes).enumerate() {
        let (lowest, highest) = samples.spread();
        let median = samples.median() / 1000.0;
        let limit = if index < 2 {
            String::new()
        } else {
            format!("≤ {LIMIT_MS}: {}", verdict(median - relay, LIMIT_MS))
        };
        say(&format!(
            "| {name} | {median:.2} | {:.2} | {:.2} | {:+.2} | {:+.2} | {limit} |",
            lowest / 1000.0,
            highest / 1000.0,
            median - direct,
            median - relay
        ))?;
        raw.insert(format!("first byte, {name}"), samples.to_json());
    }
    Ok(())
}

fn first_list(folder: &Path, raw: &mut Map<String, serde_json::Value>) -> io::Result<()> {
    let tools = real_list(folder)?;
    let echo = || role("echo", &["--list", &tools, "--start-delay", SLOW]);
    let mut behind_relay = role("relay", &["--"]);
    behind_relay.extend(echo());
    let state = folder.join("snapshots").display().to_string();
    let fresh = folder.join("fresh");
    let fresh_text = fresh.display().to_string();
    let routes = [
        ("relay", behind_relay),
        (
            "proxy, no snapshot",
            proxied(&["--state-dir", &fresh_text], echo()),
        ),
        ("proxy, snapshot", proxied(&["--state-dir", &state], echo())),
    ];
    // The first start makes the snapshot.
    time_to_list(&routes[2].1)?;
    let mut samples = vec![Samples::default(); routes.len()];
    for _ in 0..7 {
        for (samples, (_, words)) in samples.iter_mut().zip(&routes) {
            let _ = std::fs::remove_dir_all(&fresh);
            samples.push_round(&[time_to_list(words)?]);
        }
    }
    say(&format!(
        "\n## Start: from spawn to the first `tools/list` answer of a server that starts in {SLOW} ms, milliseconds\n\n\
         | route | median | lowest | highest |\n|---|---|---|---|"
    ))?;
    for (samples, (name, _)) in samples.iter().zip(&routes) {
        let (lowest, highest) = samples.spread();
        say(&format!(
            "| {name} | {:.1} | {:.1} | {:.1} |",
            samples.median() / 1000.0,
            lowest / 1000.0,
            highest / 1000.0
        ))?;
        raw.insert(format!("first list, {name}"), json!(samples.to_json()));
    }
    Ok(())
}

fn time_to_list(words: &[String]) -> io::Result<Duration> {
    let start = Instant::now();
    let mut client = PipeClient::start(words)?;
    client.shake()?;
    check(client.ask(LIST.as_bytes())?, "\"inputSchema\"")?;
    let took = start.elapsed();
    // A snapshot is written after the server has answered; a second list waits for nothing else.
    let wait = SLOW.parse().unwrap_or(0) + 100;
    std::thread::sleep(Duration::from_millis(wait).saturating_sub(took));
    client.ask(LIST.replace("\"id\":1", "\"id\":2").as_bytes())?;
    Ok(took)
}

fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
