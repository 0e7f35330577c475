//! A list within a budget, and what it hides, through the built binary with official clients in front of
//! a real server.

mod paths;
mod wire;

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::peers_kit::account::proof;
use crate::peers_kit::process::{Listening, run};
use crate::peers_kit::{PROXY, example, peer, peer_runner};

/// The longest one client may take.
const LIMIT: Duration = Duration::from_secs(60);
/// So few tokens that most tools of server-filesystem have to be hidden.
const BUDGET: &str = "500";

/// What is called, and what the model then reads.
fn calls(file: &Path) -> Vec<Value> {
    let arguments = json!({ "path": file });
    let call = |name: &str, arguments: Value, expect: &str| json!({ "name": name, "arguments": arguments, "expect": expect });
    let error = |name: &str, arguments: Value, expect: &str| json!({ "name": name, "arguments": arguments, "expect": expect, "is_error": true });
    vec![
        call(
            "search_tools",
            json!({ "queries": ["read a text file"] }),
            "[read] read_text_file",
        ),
        call(
            "describe_tools",
            json!({ "names": ["read_text_file"] }),
            "inputSchema",
        ),
        call(
            "call_read_tool",
            json!({ "name": "read_text_file", "arguments": arguments }),
            "violets are blue",
        ),
        call(
            "call_read_tool",
            json!({ "name": "read_text_file", "arguments_json": arguments.to_string() }),
            "violets are blue",
        ),
        call("read_text_file", arguments.clone(), "violets are blue"),
        error(
            "call_read_tool",
            json!({ "name": "read_text_file", "arguments": { "pth": file } }),
            "Not sent to the server",
        ),
        error(
            "call_write_tool",
            json!({ "name": "read_text_file", "arguments": arguments }),
            "Use call_read_tool",
        ),
    ]
}

fn steps(mut driver: Command, era: &str, call: &Value, target: &[&OsStr]) -> Vec<Value> {
    driver.args(["--era", era, "--steps", "list,call"]);
    driver.args(["--names", &json!({ "call": call }).to_string()]);
    let ended = run(driver.args(target), LIMIT);
    let steps: Vec<Value> = ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("a driver prints JSON"))
        .collect();
    if call["is_error"] == true {
        // For a driver a tool error is a step that failed; it shows what the model would read.
        let expect = call["expect"].as_str().expect("a text");
        let shown = steps[2]["error"].as_str().unwrap_or_default();
        assert!(shown.contains(expect), "{call}: {ended:#?}");
    } else {
        assert_eq!(ended.code, Some(0), "{call}: {ended:#?}");
    }
    steps
}

/// Every client of both eras lists, searches, describes and calls what is hidden: by its own name, and
/// through ours with an object, with a JSON string, and wrongly.
#[test]
fn hidden_tools_are_found_and_called_by_every_client() {
    let proof = proof("surface::hidden_tools_are_found_and_called_by_every_client");
    let folder = tempfile::tempdir().expect("a folder to serve");
    let file = folder.path().join("poem.txt");
    fs::write(&file, "violets are blue").expect("the folder is ours");
    let runner = peer_runner();
    let server = [
        runner.as_os_str(),
        OsStr::new("server-filesystem"),
        folder.path().as_os_str(),
    ];
    let options = ["--no-state", "--budget", BUDGET].map(OsStr::new);
    let wrapped: Vec<&OsStr> = ["--stdio", "--", PROXY]
        .map(OsStr::new)
        .into_iter()
        .chain(options)
        .chain([OsStr::new("--")])
        .chain(server)
        .collect();
    let served = Listening::proxy([&options[1..], &[OsStr::new("--")][..], &server].concat());
    let url = [OsStr::new("--url"), OsStr::new(&served.url)];
    let clients = [
        ("rmcp", "legacy"),
        ("rmcp", "modern"),
        ("client-ts1", "legacy"),
        ("client-ts2", "modern"),
        ("client-py1", "legacy"),
        ("client-py2", "modern"),
    ];
    let mut digests = Vec::new();
    let mut n_conversations = 0;
    for (at, call) in calls(&file).iter().enumerate() {
        for (n, (client, era)) in clients.iter().enumerate() {
            // Each call through every client; half of them over pipes, half over HTTP.
            let target = if (at + n) % 2 == 0 {
                &wrapped[..]
            } else {
                &url[..]
            };
            let driver = match *client {
                "rmcp" => Command::new(example("rmcp_client")),
                name => peer(name),
            };
            let steps = steps(driver, era, call, target);
            let tools = &steps[1]["detail"]["tools"];
            let has = |name: &str| {
                tools
                    .as_array()
                    .is_some_and(|all| all.iter().any(|tool| tool == name))
            };
            assert!(has("search_tools") && has("call_read_tool"), "{tools}");
            assert!(!has("read_text_file"), "{tools}");
            if *client == "rmcp" {
                digests.push(steps[1]["detail"]["digest"].clone());
            }
            n_conversations += 1;
        }
    }
    digests.dedup();
    assert_eq!(
        digests.len(),
        1,
        "the list is the same at each start and over each transport"
    );
    assert_eq!(n_conversations, 42);
    proof.ran("server-filesystem", n_conversations);
    for client in [
        "rmcp",
        "ts-sdk-v1",
        "ts-client-v2",
        "py-sdk-v1",
        "py-sdk-v2",
    ] {
        proof.ran(client, if client == "rmcp" { 14 } else { 7 });
    }
    proof.close();
}
