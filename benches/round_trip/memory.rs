//! Resident memory: idle after use, and at the peak of a very large result.

use std::io;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::numbers::{say, verdict, write_raw};
use crate::peer::{Client, PipeClient, call, check, proxied, real_list, role};

/// Bytes of one.
const MIB: f64 = 1_048_576.0;
/// Most that may be resident after a list and 100 untouched calls, in MiB.
const IDLE_LIMIT: f64 = 8.0;
/// The large result, in bytes.
const LARGE: usize = 100_000_000;
/// Most that a large result may take at the peak, in MiB: two messages plus 16.
const PEAK_LIMIT: f64 = 2.0 * LARGE as f64 / MIB + 16.0;
/// Calls that must be answered before the large one.
const SMALL_CALLS: u64 = 200;

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

/// Measures all of it.
pub(crate) fn run() -> io::Result<()> {
    let mut raw = Map::new();
    say(
        "\n## Resident memory, MiB\n\n| case | now | of it files | peak | guard | limit |\n|---|---|---|---|---|---|",
    )?;
    let folder = tempfile::tempdir()?;
    let tools = real_list(folder.path())?;
    for surface in ["auto", "lean", "full"] {
        idle(surface, &role("echo", &["--list", &tools]), &mut raw)?;
    }
    peak(
        "100 MB result, 200 small calls meanwhile",
        &proxied(&["--no-state"], role("echo", &[])),
        ["echo", "echo"],
        &mut raw,
    )?;
    let file = folder.path().join("mcp.json");
    let echo = role("echo", &[]);
    let server = json!({"command": echo[0], "args": &echo[1..]});
    let servers = json!({"mcpServers": {"a": server, "b": server}});
    std::fs::write(&file, servers.to_string())?;
    let file = file.display().to_string();
    peak(
        "the same, small calls at a second server",
        &proxied(&["--no-state", "--config", &file], Vec::new()),
        ["a__echo", "b__echo"],
        &mut raw,
    )?;
    write_raw("memory", &raw.into())
}

fn idle(surface: &str, echo: &[String], raw: &mut Map<String, Value>) -> io::Result<()> {
    let words = proxied(&["--no-state", "--surface", surface], echo.to_vec());
    let mut client = PipeClient::start(&words)?;
    client.shake()?;
    check(client.ask(LIST.as_bytes())?, "\"inputSchema\"")?;
    for id in 0..100 {
        let answer = client.ask(&call(100 + id, "echo", "{\"bytes\":2000}"))?;
        check(answer, "\"content\"")?;
    }
    // Idle is after a while without calls.
    std::thread::sleep(Duration::from_millis(2500));
    let name = format!("idle after a list and 100 calls, {surface}");
    let now = status(client.process.id(), "VmRSS:")?;
    row(
        &name,
        client.process.id(),
        now,
        &format!("≤ {IDLE_LIMIT}: {}", verdict(now, IDLE_LIMIT)),
        raw,
    )
}

fn peak(
    name: &str,
    words: &[String],
    [large_tool, small_tool]: [&str; 2],
    raw: &mut Map<String, Value>,
) -> io::Result<()> {
    let mut client = PipeClient::start(words)?;
    client.shake()?;
    client.ask(LIST.as_bytes())?;
    // The server makes the result while it answers the first time; that time is not measured.
    let large = format!("{{\"bytes\":{LARGE},\"delay\":100}}");
    client.send(&call(9_999, large_tool, &large))?;
    let start = Instant::now();
    for id in 0..SMALL_CALLS {
        client.send(&call(10_000 + id, small_tool, "{\"bytes\":200}"))?;
    }
    let mut before_large = 0;
    let mut all_small = Duration::ZERO;
    loop {
        let answer = client.receive()?;
        if answer.len() > LARGE / 2 {
            check(&answer[..100], "\"id\":9999")?;
            break;
        }
        check(answer, "\"content\"")?;
        before_large += 1;
        all_small = start.elapsed();
    }
    if before_large != SMALL_CALLS {
        say(&format!(
            "MISSED: {before_large} of {SMALL_CALLS} small calls were answered before the large one"
        ))?;
    }
    let took = start.elapsed();
    client.line = Vec::new();
    std::thread::sleep(Duration::from_millis(200));
    let peak = status(client.process.id(), "VmHWM:")?;
    let now = status(client.process.id(), "VmRSS:")?;
    row(
        name,
        client.process.id(),
        now,
        &format!(
            "peak ≤ {PEAK_LIMIT:.0}: {}; {before_large} of {SMALL_CALLS} answered before, in {} ms of {} ms",
            verdict(peak, PEAK_LIMIT),
            all_small.as_millis(),
            took.as_millis()
        ),
        raw,
    )
}

fn row(name: &str, id: u32, now: f64, limit: &str, raw: &mut Map<String, Value>) -> io::Result<()> {
    let files = status(id, "RssFile:")?;
    let peak = status(id, "VmHWM:")?;
    let guard = guard_of(id)
        .map(|guard| status(guard, "VmRSS:"))
        .transpose()?
        .unwrap_or(0.0);
    say(&format!(
        "| {name} | {now:.1} | {files:.1} | {peak:.1} | {guard:.1} | {limit} |"
    ))?;
    raw.insert(
        name.to_owned(),
        json!({"unit": "MiB", "now": now, "files": files, "peak": peak, "guard": guard}),
    );
    Ok(())
}

/// Returns a figure of `/proc/ID/status` in MiB (the file counts in KiB and writes kB).
fn status(id: u32, field: &str) -> io::Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    text.lines()
        .find_map(|line| line.strip_prefix(field)?.split_whitespace().next())
        .and_then(|number| number.parse::<f64>().ok())
        .map(|kilobytes| kilobytes * 1024.0 / MIB)
        .ok_or_else(|| io::Error::other(format!("no {field}")))
}

/// Finds the proxy's own helper process among its children.
fn guard_of(id: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
    children.split_whitespace().find_map(|child| {
        let child: u32 = child.parse().ok()?;
        // A copy of the proxy has its command line, and a name of its own.
        let name = std::fs::read_to_string(format!("/proc/{child}/comm")).ok()?;
        (name.trim_end() == "guard").then_some(child)
    })
}
