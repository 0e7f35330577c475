//! What was measured on, because a number without it means nothing.

use std::io::{self, Write};
use std::process::Command;

use serde_json::{Value, json};

/// Describes the machine and the programs that everything runs with.
pub(crate) fn describe() -> Value {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.split_once(':'))
            .map(|(_, value)| value.trim().to_owned())
    };
    json!({
        "cpu": field(&read("/proc/cpuinfo"), "model name"),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "memory": field(&read("/proc/meminfo"), "MemTotal"),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "rustc": said("rustc", "--version"),
        "python": said("python3", "--version"),
        "node": said("node", "--version"),
    })
}

/// The load averages now.
pub(crate) fn load() -> Vec<f64> {
    std::fs::read_to_string("/proc/loadavg")
        .unwrap_or_default()
        .split_whitespace()
        .take(3)
        .filter_map(|number| number.parse().ok())
        .collect()
}

/// Today, as UTC.
pub(crate) fn date() -> Option<String> {
    said("date", "-u +%Y-%m-%dT%H:%MZ")
}

/// The commit that is checked out.
pub(crate) fn commit() -> Option<String> {
    said("git", "describe --always --dirty --abbrev=10")
}

fn said(program: &str, arguments: &str) -> Option<String> {
    let output = Command::new(program)
        .args(arguments.split(' '))
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

/// Prints a line.
///
/// # Errors
/// When stdout is closed.
pub(crate) fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}
