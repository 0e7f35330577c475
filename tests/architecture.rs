//! The rules of the house that no compiler checks.

use std::fs;
use std::path::{Path, PathBuf};

/// Rooms that name no runtime, no I/O and read no clock.
const PURE: &[&str] = &[
    "jsonrpc",
    "mcp",
    "token",
    "catalog",
    "surface",
    "search",
    "result",
    "cache",
    "policy",
    "session",
    "upstream",
    "hub",
    "kube/inject",
    "kube/manifest",
    "kube/review",
    "telemetry/otel/attributes",
];

/// What a pure room may not name.
const FORBIDDEN: [&str; 12] = [
    "tokio::",
    "hyper::",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "Instant::now",
    "SystemTime",
    "println!",
    "eprintln!",
    "tracing::",
    "rand::",
];

/// Room → rooms of outer rings that it may not import.
const OUTER: [&str; 8] = [
    "crate::config",
    "crate::driver",
    "crate::transport",
    "crate::store",
    "crate::telemetry",
    "crate::commands",
    "crate::cli",
    "crate::capture",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The files of a room, without their tests.
fn files_of(room: &str) -> Vec<(PathBuf, String)> {
    let mut files = vec![root().join(format!("src/{room}.rs"))];
    rust_files(&root().join("src").join(room), &mut files);
    files
        .into_iter()
        .filter(|path| !path.ends_with("tests.rs") && !path.iter().any(|part| part == "tests"))
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a source file can be read");
            let text = text
                .split("#[cfg(test)]\nmod tests {")
                .next()
                .unwrap_or_default()
                .to_owned();
            (path, text)
        })
        .collect()
}

fn offences(text: &str) -> Vec<&'static str> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| format!("{line}\n"))
        .collect();
    FORBIDDEN
        .into_iter()
        .chain(OUTER)
        .filter(|name| code.contains(name))
        .collect()
}

#[test]
fn pure_rooms_name_no_runtime_io_or_clock() {
    let mut n_files = 0;
    for room in PURE {
        for (path, text) in files_of(room) {
            n_files += 1;
            let found = offences(&text);
            assert!(found.is_empty(), "{}: {found:?}", path.display());
        }
    }
    assert!(n_files > 30, "only {n_files} files were looked at");
}

#[test]
fn the_rule_notices_an_offence() {
    assert_eq!(offences("let now = Instant::now();"), ["Instant::now"]);
    assert_eq!(offences("use crate::driver::run;"), ["crate::driver"]);
    assert!(offences("// tokio:: is not used here").is_empty());
}

#[test]
fn files_stay_short() {
    let mut files = Vec::new();
    rust_files(&root().join("src"), &mut files);
    for path in files {
        let text = fs::read_to_string(&path).expect("a source file can be read");
        let lines = text
            .split("#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or_default()
            .lines()
            .count();
        assert!(lines <= 800, "{} has {lines} lines", path.display());
    }
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("the manifest");
    let mut in_dependencies = false;
    let mut seen = 0;
    for line in manifest.lines() {
        if line.starts_with('[') {
            in_dependencies = line.contains("dependencies]");
        } else if in_dependencies && line.contains('=') {
            seen += 1;
            let reason = line.rsplit_once("# ").map(|(_, reason)| reason.len());
            assert!(reason.is_some_and(|length| length > 10), "{line}");
        }
    }
    assert!(seen > 20, "only {seen} dependencies were looked at");
}

#[test]
fn captured_servers_name_their_origin_and_licence() {
    let servers = root().join("testdata/servers");
    let mut seen = 0;
    for entry in fs::read_dir(servers).expect("testdata/servers").flatten() {
        seen += 1;
        let source = entry.path().join("SOURCE.md");
        let text = fs::read_to_string(&source).unwrap_or_default();
        assert!(
            text.to_lowercase().contains("licen"),
            "{} names no licence",
            source.display()
        );
    }
    assert!(seen > 0);
}

#[test]
fn every_setting_is_documented() {
    let check = std::process::Command::new(env!("CARGO_BIN_EXE_mcp-whittle"))
        .args(["config", "check", "--no-state", "--json", "--", "x"])
        .output()
        .expect("the program runs");
    let shown: serde_json::Value = serde_json::from_slice(&check.stdout).expect("JSON");
    let rows = shown.as_array().or(shown["settings"].as_array());
    let documented =
        fs::read_to_string(root().join("docs/configuration.md")).expect("docs/configuration.md");
    let mut seen = 0;
    for row in rows.expect("a list of settings") {
        let key = row["key"].as_str().expect("a key");
        if !key.starts_with("servers.") {
            seen += 1;
            assert!(documented.contains(&format!("| `{key}`")), "{key}");
        }
    }
    assert!(seen > 30, "only {seen} settings were looked at");
}
