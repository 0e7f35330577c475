//! What is watched, as a user meets it: pins, hidden characters, warnings, secrets. Through the built binary,
//! and over labelled definitions (`testdata/security`, more lists with `MCP_WHITTLE_CORPUS`).
#![expect(clippy::unwrap_used, reason = "a failure of the fixture is the test's")]
#![expect(
    clippy::print_stdout,
    reason = "the numbers of docs/scanning.md are for whoever runs it"
)]

pub(crate) mod canary;
mod data;
mod hidden;
mod pins;
mod scan;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_mcp-whittle");

/// A file of the test data, line by line.
fn rows(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata/security")
        .join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().map(|line| serde_json::from_str(line).unwrap());
    rows.collect()
}

/// Folders with a `tools.json`: those of the repository, and more.
fn captured() -> Vec<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/servers");
    let more = std::env::var_os("MCP_WHITTLE_CORPUS").map(PathBuf::from);
    let mut all: Vec<PathBuf> = [Some(own), more]
        .into_iter()
        .flatten()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.join("tools.json").exists())
        .collect();
    all.sort();
    all
}

/// What the binary says, and its code.
struct Said {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn run(args: &[&str]) -> Said {
    let output = Command::new(BINARY).args(args).output().unwrap();
    Said {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
