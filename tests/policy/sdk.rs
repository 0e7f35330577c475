//! Each row through the official Rust client in both eras: a call is made or not, whatever way it comes.

use std::process::Command;
use std::time::Duration;

use serde_json::json;

use super::{ROWS, caller, script, tool};
use crate::kit::ScriptedServer;
use crate::kit::start::server_entry;
use crate::peers_kit::account::proof;
use crate::peers_kit::process::run;
use crate::peers_kit::{PROXY, driver, in_parallel};

#[test]
fn each_row_decides_the_same_for_an_official_client() {
    let proof = proof("policy::sdk::each_row_decides_the_same_for_an_official_client");
    let mut cases = Vec::new();
    for row in ROWS {
        for era in ["legacy", "modern"] {
            cases.push((row, era));
        }
    }
    let failed: Vec<String> = in_parallel(2, &cases, |(row, era)| {
        let server = ScriptedServer::new(&script());
        let other = ScriptedServer::new(&tool("other", "{}"));
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("settings.toml");
        let entries =
            server_entry("fs", &server.command()) + &server_entry("git", &other.command());
        std::fs::write(&file, format!("{}\n{entries}", row.policy)).expect("it is written");
        let name = format!("fs__{}", row.tool);
        let plain = json!({"path": row.path});
        let ways = [
            ("prefixed", name.clone(), plain.clone()),
            (
                "object",
                caller(row.tool).to_owned(),
                json!({"name": name, "arguments": plain}),
            ),
            (
                "string",
                caller(row.tool).to_owned(),
                json!({"name": name, "arguments": plain.to_string()}),
            ),
            (
                "misplaced",
                caller(row.tool).to_owned(),
                json!({"arguments": {"name": name, "path": row.path}}),
            ),
        ];
        let mut names = json!({});
        let mut steps = vec!["list".to_owned()];
        for (way, called, arguments) in &ways {
            names[format!("call.{way}")] = json!({"name": called, "arguments": arguments});
            steps.push(format!("call.{way}"));
        }
        let mut command: Command = driver("rmcp");
        command
            .args(["--plain", "--era", era, "--steps", &steps.join(",")])
            .args(["--names", &names.to_string(), "--stdio", "--", PROXY])
            .arg("--state-dir")
            .arg(folder.path().join("state"))
            .args(["--pin", "*=hidden", "--config"])
            .arg(&file);
        let ended = run(&mut command, Duration::from_secs(60));
        let made = server
            .received_of("tools/call")
            .iter()
            .filter(|call| call["params"]["name"] == row.tool)
            .count();
        let expected = if row.outcome == "made" { ways.len() } else { 0 };
        (made != expected).then(|| {
            format!(
                "{} {} {} {era}: {made} of {expected}: {ended:?}",
                row.policy, row.tool, row.path
            )
        })
    })
    .into_iter()
    .flatten()
    .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    proof.ran("rmcp", 4 * cases.len());
    proof.close();
}
