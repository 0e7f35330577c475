//! Results that were kept before their tool was denied: by read_result, as a resource, and from the cache.

use serde_json::{Value, json};

use super::{DENY, ETC, ROWS, caller, outcome, script};
use crate::kit::processes::signal;
use crate::kit::{Proxy, ScriptedServer, until_true};

const NEEDLE: &str = "needle";

/// Tools that answer more than the cap.
fn long_script() -> String {
    let long = format!("{NEEDLE} {}", "word and more words ".repeat(2000));
    let mut script = script();
    for tool in ["read_file", "write_file", "delete_file"] {
        script.push_str(&format!("\non tools/call {tool}\n reply {tool} {long}"));
    }
    script
}

fn handle_in(text: &str) -> String {
    let at = text
        .find("r_")
        .unwrap_or_else(|| panic!("no handle: {text}"));
    text[at..]
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect()
}

/// What a reader gets of a kept result: everything, or nothing.
fn reads(proxy: &mut Proxy, handle: &str, shown: &str) -> bool {
    let by_tool = proxy.ask_call("read_result", json!({"handle": handle, "page": 1}));
    let search = proxy.ask_call("read_result", json!({"handle": handle, "grep": NEEDLE}));
    let broken = proxy.ask_call("read_result", json!({"handle": handle, "jq": "."}));
    let uri = format!("whittle://results/{handle}");
    let resource = proxy.ask("resources/read", json!({"uri": uri}));
    let has = |answer: &Value| answer.to_string().contains(NEEDLE);
    let is_read = has(&by_tool);
    assert_eq!(has(&search), is_read, "{shown}: {search}");
    assert_eq!(has(&resource), is_read, "{shown}: {resource}");
    if !is_read {
        // Not even why a program fails is said of what may not be known.
        for answer in [&by_tool, &search, &broken] {
            let text = answer["result"]["content"][0]["text"].to_string();
            let is_plain = text.contains("Not read:") || text.contains("is not known");
            assert!(is_plain || text.contains("expired"), "{shown}: {answer}");
        }
    }
    is_read
}

#[test]
fn a_result_of_a_tool_denied_since_is_not_read() {
    for row in ROWS {
        let (policy, tool, path, outcome) = (row.policy, row.tool, row.path, row.outcome);
        let shown = format!("{policy} {tool} {path}");
        let server = ScriptedServer::new(&long_script());
        let state = tempfile::tempdir().expect("a state folder");
        let start = |settings: &str| {
            let mut proxy = Proxy::wrap(&server)
                .state(state.path())
                .options("--result-cap 300")
                .settings(settings)
                .start();
            proxy.initialize();
            proxy.ask("tools/list", json!({}));
            proxy
        };
        let mut before = start("");
        let answer = before.text_of_call(tool, json!({"path": path}));
        let handle = handle_in(&answer);
        assert!(reads(&mut before, &handle, &shown), "{shown}: {answer}");
        before.finish();
        let mut since = start(policy);
        // An approval is for making a call.
        let may = outcome == "made" || (outcome == "refused" && policy.contains("approve"));
        assert_eq!(reads(&mut since, &handle, &shown), may, "{shown}");
        since.finish();
    }
}

#[test]
fn an_answer_in_the_cache_is_not_given_since_its_call_is_denied() {
    for (policy, expected) in [(DENY, "unknown"), (ETC, "refused")] {
        let (tool, path) = match expected {
            "unknown" => ("delete_file", "/a"),
            _ => ("read_file", "/etc/x"),
        };
        let server = ScriptedServer::new(&script());
        let mut proxy = Proxy::wrap(&server)
            .options("--pin *=hidden --cache-tools read_file=60s")
            .settings("policy.default = \"allow\"")
            .start();
        proxy.initialize();
        proxy.ask("tools/list", json!({}));
        let calls = || server.received_of("tools/call").len();
        let plain = json!({"path": path});
        proxy.ask_call(tool, plain.clone());
        proxy.ask_call(tool, plain.clone());
        let before = calls();
        assert_eq!(
            before,
            if tool == "read_file" { 1 } else { 2 },
            "it was kept"
        );
        let file = proxy.folder().join("settings.toml");
        std::fs::write(&file, format!("{policy}\n")).expect("it is written");
        signal(proxy.process(), rustix::process::Signal::HUP);
        let row = super::row(policy, tool, path, expected);
        until_true("the new policy holds", || {
            outcome(&mut proxy, &server, &row, tool, plain.clone()) == expected
        });
        let before = calls();
        for (called, arguments) in [
            (tool, plain.clone()),
            (caller(tool), json!({"name": tool, "arguments": plain})),
        ] {
            let is = outcome(&mut proxy, &server, &row, called, arguments);
            assert_eq!(is, expected, "{policy}: {called}");
        }
        assert_eq!(calls(), before);
        proxy.finish();
    }
}
