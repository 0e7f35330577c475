//! One process, several URL paths: each names a kind of client, and its list is that client's.

use std::ffi::OsStr;
use std::process::Command;

use serde_json::{Value, json};

use super::{BUDGET, LIMIT};
use crate::kit::http_client::{Session, exchange};
use crate::kit::{Proxy, ScriptedServer};
use crate::peers_kit::account::proof;
use crate::peers_kit::process::{Listening, run};
use crate::peers_kit::{example, peer, peer_runner};

/// Posts to a path, which the kit's own client does not.
fn post_to(proxy: &Proxy, path: &str, session: Option<&Session>, body: &Value) -> (u16, String) {
    let body = body.to_string();
    let mut head = format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json, text/event-stream\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in session.iter().flat_map(|session| session.headers()) {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let response = exchange(proxy.address(), format!("{head}\r\n{body}").as_bytes());
    (response.status, response.text())
}

#[test]
fn a_path_that_names_no_profile_is_answered_in_words() {
    let server = ScriptedServer::new("tool t");
    let proxy = Proxy::wrap(&server).listening().start();
    let list = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/list"});
    let (status, text) = post_to(&proxy, "/mcp/claude-cod", None, &list);
    assert_eq!(status, 404, "{text}");
    let answer: Value = serde_json::from_str(&text).expect("a JSON-RPC error");
    assert_eq!(answer["id"], 7);
    let message = answer["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("`claude-cod`"), "{message}");
    for name in ["\nhint: ", "claude-code", "generic", "vscode"] {
        assert!(message.contains(name), "{name}: {message}");
    }
    // A session of one path is none on another.
    let session = Session::open(proxy.address());
    for path in ["/mcp/claude-code", "/mcp/generic"] {
        let (status, text) = post_to(&proxy, path, Some(&session), &list);
        assert_eq!(status, 404, "{text}");
        assert!(text.contains("unknown session"), "{text}");
    }
    for path in ["/mcp", "/mcp/", "/"] {
        assert_eq!(
            post_to(&proxy, path, Some(&session), &list).0,
            200,
            "{path}"
        );
    }
    assert_eq!(post_to(&proxy, "/mcp/generic/x", None, &list).0, 404);
}

/// Lists and calls with an official client; its answers, one for each step.
fn list_and_call(mut driver: Command, era: &str, call: &Value, target: &[&OsStr]) -> Vec<Value> {
    driver.args(["--era", era, "--steps", "list,call"]);
    driver.args(["--names", &json!({ "call": call }).to_string()]);
    let ended = run(driver.args(target), LIMIT);
    assert_eq!(ended.code, Some(0), "{call}: {ended:#?}");
    ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("a driver prints JSON"))
        .collect()
}

/// Official clients of both eras on different paths of one process.
#[test]
fn clients_on_two_paths_of_one_process_see_two_lists() {
    let proof = proof("surface::clients_on_two_paths_of_one_process_see_two_lists");
    let folder = tempfile::tempdir().expect("a folder to serve");
    let file = folder.path().join("poem.txt");
    std::fs::write(&file, "violets are blue").expect("the folder is ours");
    let runner = peer_runner();
    let served = Listening::proxy([
        OsStr::new("--budget"),
        OsStr::new(BUDGET),
        OsStr::new("--profile"),
        OsStr::new("generic"),
        OsStr::new("--"),
        runner.as_os_str(),
        OsStr::new("server-filesystem"),
        folder.path().as_os_str(),
    ]);
    let call = json!({ "name": "read_text_file", "arguments": { "path": file }, "expect": "violets are blue" });
    let clients = [
        ("rmcp", "legacy", "rmcp"),
        ("rmcp", "modern", "rmcp"),
        ("client-ts1", "legacy", "ts-sdk-v1"),
        ("client-ts2", "modern", "ts-client-v2"),
    ];
    for (client, era, account) in clients {
        for (path, is_whole) in [("", false), ("/claude-code", true), ("/generic", false)] {
            let url = format!("{}{path}", served.url);
            let driver = match client {
                "rmcp" => Command::new(example("rmcp_client")),
                name => peer(name),
            };
            let target = [OsStr::new("--url"), OsStr::new(&url)];
            let steps = list_and_call(driver, era, &call, &target);
            let tools = &steps[1]["detail"]["tools"];
            let has = |name: &str| {
                let tools = tools.as_array().expect("a list of names");
                tools.iter().any(|tool| tool == name)
            };
            assert_eq!(has("read_text_file"), is_whole, "{client} {path}: {tools}");
            assert_eq!(has("search_tools"), !is_whole, "{client} {path}: {tools}");
            proof.ran("server-filesystem", 1);
            proof.ran(account, 1);
        }
    }
    proof.close();
}
