//! Servers that people run, and the Inspector that they look at them with, through the proxy.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::peers_kit::account::proof;
use crate::peers_kit::process::{Ended, Listening, run};
use crate::peers_kit::{PROXY, example, peer, peer_runner};

/// The longest one client may take.
const LIMIT: Duration = Duration::from_secs(60);

/// The details of a driver's steps, in order.
///
/// # Panics
/// If a step failed.
fn details(ended: &Ended) -> Vec<Value> {
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let steps = ended.stdout.lines();
    let steps =
        steps.map(|line| serde_json::from_str::<Value>(line).expect("a driver prints JSON"));
    steps.map(|mut step| step["detail"].take()).collect()
}

fn tools(detail: &Value) -> BTreeSet<String> {
    let names = detail["tools"].as_array().into_iter().flatten();
    names
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect()
}

/// server-everything lists more tools to a client that can be asked. Clients that differ share a state
/// folder, whose snapshots answer the first list, and each must see its own tools.
#[test]
fn everything_lists_by_capabilities_through_one_state_folder() {
    let proof = proof("real_servers::everything_lists_by_capabilities_through_one_state_folder");
    let state = tempfile::tempdir().expect("a folder for state");
    let list = |mut driver: Command, options: &[&str], is_through: bool| {
        driver
            .args(options)
            .args(["--steps", "list", "--stdio", "--"]);
        if is_through {
            driver.arg(PROXY).arg("--state-dir").arg(state.path());
            driver.arg("--");
        }
        driver
            .arg(peer_runner())
            .args(["server-everything", "stdio"]);
        details(&run(&mut driver, LIMIT))[1].clone()
    };
    let rmcp = || Command::new(example("rmcp_client"));
    let capable = ["--era", "legacy"];
    let plain = ["--era", "legacy", "--plain"];

    let direct = [list(rmcp(), &capable, false), list(rmcp(), &plain, false)];
    assert_eq!(
        direct.each_ref().map(|detail| tools(detail).len()),
        [16, 13]
    );
    let mut seen = Vec::new();
    for options in [&capable[..], &plain[..], &capable[..], &plain[..]] {
        seen.push(list(rmcp(), options, true));
    }
    let expected = [&direct[0], &direct[1], &direct[0], &direct[1]];
    for (seen, expected) in seen.iter().zip(expected) {
        assert_eq!(tools(seen), tools(expected));
        for field in ["prompts", "resources", "templates"] {
            assert_eq!(seen[field], expected[field], "{field}");
        }
    }
    // The later lists came from snapshots, and say the same to the byte.
    assert_eq!(seen[0]["digest"], seen[2]["digest"]);
    assert_eq!(seen[1]["digest"], seen[3]["digest"]);
    let snapshots = fs::read_dir(state.path().join("v1/snapshots")).expect("snapshots were kept");
    assert!(
        snapshots.count() >= 2,
        "one snapshot for each kind of client"
    );

    // Modern clients declare their capabilities anew with each request.
    for (options, expected) in [
        (&["--era", "modern"][..], 0),
        (&["--era", "modern", "--plain"], 1),
    ] {
        assert_eq!(
            tools(&list(rmcp(), options, true)),
            tools(&direct[expected])
        );
    }
    let other = list(peer("client-ts2"), &capable, true);
    assert_eq!(tools(&other), tools(&direct[0]));
    proof.ran("server-everything", 9);
    proof.ran("rmcp", 8);
    proof.ran("ts-client-v2", 1);
    proof.close();
}

/// Lists and makes one call, whose result must show `expect`.
fn list_and_call(driver: &str, era: &str, call: &Value, target: &[&OsStr]) {
    let mut driver = peer(driver);
    driver.args(["--era", era, "--steps", "list,call"]);
    driver.args(["--names", &json!({ "call": call }).to_string()]);
    let details = details(&run(driver.args(target), LIMIT));
    let name = call["name"].as_str().expect("the call has a name");
    assert!(tools(&details[1]).contains(name), "{details:?}");
}

#[test]
fn filesystem_lists_and_reads() {
    let proof = proof("real_servers::filesystem_lists_and_reads");
    let folder = tempfile::tempdir().expect("a folder to serve");
    let file = folder.path().join("poem.txt");
    fs::write(&file, "violets are blue").expect("the folder is ours");
    let call = json!({
        "name": "read_text_file",
        "arguments": { "path": file },
        "expect": "violets are blue",
    });
    let runner = peer_runner();
    let server = [
        runner.as_os_str(),
        OsStr::new("server-filesystem"),
        folder.path().as_os_str(),
    ];
    list_and_call("client-ts1", "legacy", &call, &through_stdio(&server));
    let proxy = Listening::proxy([&[OsStr::new("--")][..], &server].concat());
    let target = [OsStr::new("--url"), OsStr::new(&proxy.url)];
    list_and_call("client-ts1", "legacy", &call, &target);
    proof.ran("server-filesystem", 2);
    proof.ran("ts-sdk-v1", 2);
    proof.close();
}

#[test]
fn git_serves_both_eras() {
    let proof = proof("real_servers::git_serves_both_eras");
    let folder = tempfile::tempdir().expect("a folder for a repository");
    let made = run(
        Command::new("git")
            .args(["init", "--quiet"])
            .arg(folder.path()),
        LIMIT,
    );
    assert_eq!(made.code, Some(0), "{made:?}");
    let call = json!({
        "name": "git_status",
        "arguments": { "repo_path": folder.path() },
        "expect": "No commits yet",
    });
    let runner = peer_runner();
    let server = [runner.as_os_str(), OsStr::new("server-git")];
    list_and_call("client-py1", "legacy", &call, &through_stdio(&server));
    list_and_call("client-py2", "modern", &call, &through_stdio(&server));
    let proxy = Listening::proxy([&[OsStr::new("--")][..], &server].concat());
    let target = [OsStr::new("--url"), OsStr::new(&proxy.url)];
    list_and_call("client-py2", "modern", &call, &target);
    proof.ran("mcp-server-git", 3);
    proof.ran("py-sdk-v1", 1);
    proof.ran("py-sdk-v2", 2);
    proof.close();
}

fn through_stdio<'a>(server: &[&'a OsStr]) -> Vec<&'a OsStr> {
    let proxy = ["--stdio", "--", PROXY, "--no-state", "--"];
    proxy
        .into_iter()
        .map(OsStr::new)
        .chain(server.iter().copied())
        .collect()
}

/// The Inspector's command line, over stdio as its configuration file has it, and over HTTP.
#[test]
fn inspector_lists_and_calls() {
    let proof = proof("real_servers::inspector_lists_and_calls");
    let home = tempfile::tempdir().expect("a home for the Inspector");
    let mut count = 0;
    for era in ["legacy", "modern"] {
        let config = home.path().join(format!("{era}.json"));
        let arguments = json!([
            "--no-state",
            "--",
            example("fixture_server"),
            "--stdio",
            "--era",
            era,
        ]);
        let servers =
            json!({ "mcpServers": { "fixture": { "command": PROXY, "args": arguments } } });
        fs::write(&config, servers.to_string()).expect("the folder is ours");
        let upstream = Listening::fixture(era);
        let proxy = Listening::proxy_of(&upstream, "lean");
        let targets: [Vec<&OsStr>; 2] = [
            vec![
                OsStr::new("--config"),
                config.as_os_str(),
                OsStr::new("--server"),
                OsStr::new("fixture"),
            ],
            vec![
                OsStr::new(&proxy.url),
                OsStr::new("--transport"),
                OsStr::new("http"),
            ],
        ];
        for target in targets {
            let listed = inspect(home.path(), &target, &["--method", "tools/list"]);
            let names = listed["tools"].as_array().into_iter().flatten();
            assert!(names.clone().any(|tool| tool["name"] == "echo"), "{listed}");
            let call = [
                "--method",
                "tools/call",
                "--tool-name",
                "echo",
                "--tool-arg",
                "word=violet",
            ];
            let called = inspect(home.path(), &target, &call);
            let text = called["content"][0]["text"].as_str().unwrap_or_default();
            assert!(text.contains(r#""word":"violet""#), "{called}");
            count += 2;
        }
    }
    for peer in ["inspector", "node", "rmcp"] {
        proof.ran(peer, count);
    }
    proof.close();
}

fn inspect(home: &Path, target: &[&OsStr], method: &[&str]) -> Value {
    let mut inspector = peer("inspector");
    inspector
        .arg("--cli")
        .args(target)
        .args(method)
        .env("HOME", home);
    let ended = run(&mut inspector, LIMIT);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:#?}"))
}
