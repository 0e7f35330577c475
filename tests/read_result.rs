//! Kept results read back through the built binary, by raw lines and by official clients.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use mcp_whittle::store::Store;
use mcp_whittle::store::results::{Meta, ResultOptions, ResultStore};

use crate::kit::{Proxy, ScriptedServer};
use crate::peers_kit::process::run;
use crate::peers_kit::{PROXY, driver};

const LIMIT: Duration = Duration::from_secs(120);

fn records(n: usize) -> String {
    let record = |n: usize| {
        format!(
            r#"{{"id":{},"name":"item {n}","price":1.10}}"#,
            9_007_199_254_740_993_u64 + n as u64
        )
    };
    let all: Vec<String> = (0..n).map(record).collect();
    format!(r#"{{"total":{n},"items":[{}]}}"#, all.join(","))
}

/// Keeps a result as shaping would, for the user of a client on pipes.
fn keep(state: &Path, text: &str) -> String {
    let store = Store::open(state).expect("a state folder");
    let results = ResultStore::open(Some(&store), ResultOptions::default());
    let raw = json!({"content": [
        {"type": "text", "text": text},
        {"type": "image", "data": "AAAA", "mimeType": "image/png"},
    ]});
    let kept = results.expect("a folder for results").put(
        "user",
        raw.to_string().as_bytes(),
        &Meta::default(),
    );
    kept.expect("the result is kept").to_string()
}

fn texts(proxy: &mut Proxy, arguments: Value) -> Vec<String> {
    let answer = proxy.ask_call("read_result", arguments);
    let result = answer.get("result").unwrap_or(&answer);
    let blocks = result["content"].as_array().expect("content");
    let text = |block: &Value| block["text"].as_str().unwrap_or_default().to_owned();
    blocks.iter().map(text).collect()
}

#[test]
fn a_kept_result_is_read_in_every_way_and_after_a_restart() {
    let server = ScriptedServer::new("tool t");
    let state = tempfile::tempdir().expect("a state folder");
    let text = records(812);
    let handle = keep(state.path(), &text);
    let start = || {
        let mut proxy = Proxy::wrap(&server)
            .state(state.path())
            .options("--result-cap 600")
            .start();
        proxy.initialize();
        proxy
    };
    let mut proxy = start();
    let with = |more: Value| {
        let mut arguments = json!({"handle": handle});
        for (name, value) in more.as_object().expect("an object") {
            arguments[name] = value.clone();
        }
        arguments
    };
    // Before any list.
    let items = texts(
        &mut proxy,
        with(json!({"pointer": "/items", "items": "700-701", "fields": ["id", "price"]})),
    );
    assert_eq!(
        items[0],
        "[{\"id\":9007199254741693,\"price\":1.10},\n{\"id\":9007199254741694,\"price\":1.10}]"
    );
    let listed = proxy.ask("tools/list", json!({}));
    let listed = listed.get("result").unwrap_or(&listed);
    let tool = listed["tools"]
        .as_array()
        .and_then(|tools| tools.iter().find(|tool| tool["name"] == "read_result"))
        .expect("it is listed");
    assert_eq!(tool["annotations"]["readOnlyHint"], json!(true));
    let found = texts(&mut proxy, with(json!({"grep": "item 77\""})));
    assert!(
        found[0].starts_with("/items/77: {\"id\":9007199254741070,"),
        "{found:?}"
    );
    let counted = texts(
        &mut proxy,
        with(json!({"count": true, "pointer": "/items"})),
    );
    assert!(counted[0].contains("items: 812"), "{counted:?}");
    let program = "[.items[] | select(.id > 9007199254741800) | .name] | length";
    assert_eq!(texts(&mut proxy, with(json!({"jq": program})))[0], "4");
    let endless = texts(&mut proxy, with(json!({"jq": "def f: f; f"})));
    assert!(endless[0].contains("took longer than 2s"), "{endless:?}");
    let image = proxy.ask_call("read_result", with(json!({"block": 1})));
    let image = image.get("result").unwrap_or(&image);
    assert_eq!(image["content"][0]["data"], "AAAA");
    let mut read = String::new();
    for page in 1.. {
        let texts = texts(&mut proxy, with(json!({"page": page})));
        read.push_str(&texts[0]);
        if !texts
            .iter()
            .any(|text| text.contains("; next: read_result {"))
        {
            break;
        }
    }
    assert_eq!(read, text, "all pages are the text");
    proxy.finish();

    let mut proxy = start();
    let uri = format!("whittle://results/{handle}");
    let resource = proxy.ask("resources/read", json!({ "uri": uri }));
    let resource = resource.get("result").unwrap_or(&resource);
    assert_eq!(resource["contents"][0]["text"], text);
    assert_eq!(resource["contents"][1]["uri"], format!("{uri}/blocks/1"));
    proxy.finish();
}

/// A cancelled program is killed and its call not answered.
#[test]
fn a_cancelled_program_is_killed() {
    let server = ScriptedServer::new("tool t");
    let state = tempfile::tempdir().expect("a state folder");
    let handle = keep(state.path(), "{}");
    let mut proxy = Proxy::wrap(&server)
        .state(state.path())
        .options("--result-cap 600")
        .settings("results.jq_timeout = \"10m\"")
        .start();
    proxy.initialize();
    proxy.ask("tools/list", json!({}));
    let id = proxy.call(
        "read_result",
        json!({"handle": handle, "jq": "def f: f; f"}),
    );
    let parent = proxy.process();
    let children = || {
        let entries = std::fs::read_dir("/proc").expect("/proc");
        entries
            .flatten()
            .filter(|entry| {
                let read = |name: &str| std::fs::read_to_string(entry.path().join(name));
                let is_jq = read("cmdline").is_ok_and(|line| line.contains("__jq"));
                let stat = read("stat").unwrap_or_default();
                let of = stat
                    .rsplit(')')
                    .next()
                    .and_then(|rest| rest.split_whitespace().nth(1));
                is_jq && of == Some(parent.to_string().as_str())
            })
            .count()
    };
    crate::kit::until_true("the program runs", || children() == 1);
    proxy.cancel(id);
    crate::kit::until_true("the program is gone", || children() == 0);
    proxy.finish();
}

/// The official clients call it with the arguments that our texts name, in both eras.
#[test]
fn official_clients_read_on() {
    let server = ScriptedServer::new("tool t");
    let state = tempfile::tempdir().expect("a state folder");
    let handle = keep(state.path(), &records(812));
    for (name, era) in [
        ("rmcp", "legacy"),
        ("rmcp", "modern"),
        ("client-ts2", "modern"),
        ("client-py2", "legacy"),
    ] {
        let call = json!({
            "name": "read_result",
            "arguments": {"handle": handle, "pointer": "/items", "items": "700-701"},
            "expect": "9007199254741693",
        });
        let mut driver = driver(name);
        driver.args(["--era", era, "--steps", "list,call"]);
        driver.args(["--names", &json!({ "call": call }).to_string()]);
        driver.args(["--stdio", "--", PROXY, "--state-dir"]);
        driver.arg(state.path());
        driver.args(["--result-cap", "600", "--"].map(OsStr::new));
        driver.args(server.command());
        let ended = run(&mut driver, LIMIT);
        assert_eq!(ended.code, Some(0), "{name} {era}: {ended:#?}");
    }
}
