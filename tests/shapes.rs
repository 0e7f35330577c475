//! Shapes of results: learned from answers, taken over by `epoch advance`, shown with definitions after a start.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::kit::http_client::Session;
use crate::kit::{Proxy, ScriptedServer};

const HIDDEN: &str = "--budget 2000 --pin *=hidden";
const OFFERED: &str = "results.offer_fields = [\"list_said\"]";

fn answer(n: u64) -> String {
    let row = |n: u64| {
        json!({"number": n, "title": format!("secret title {n}"), "user": {"login": format!("ann{n}")},
            "votes": {format!("ann{n}@example.org"): {"weight": n}}})
    };
    let rows: Vec<Value> = (n..n + 12).map(row).collect();
    json!({"total": n, "items": rows}).to_string()
}

/// Tools with answers of the same shape; one says what it is.
fn server() -> ScriptedServer {
    let tool = |name: &str, more: &str| {
        let result = json!({"content": [{"type": "text", "text": answer(3)}], "structuredContent": {"total": 3}});
        format!(
            r#"tool {name} "inputSchema":{{"type":"object","properties":{{"page":{{"type":"integer"}}}}}},"annotations":{{"readOnlyHint":true}}{more}
on tools/call {name}
 result {result}"#
        )
    };
    let schema = r#","outputSchema":{"type":"object","properties":{"total":{"type":"integer"}}}"#;
    let script = [
        tool("list_issues", ""),
        tool("list_said", schema),
        tool("list_once", ""),
    ];
    ScriptedServer::new(&script.join("\n"))
}

fn start(server: &ScriptedServer, state: &Path, settings: &str) -> Proxy {
    let mut proxy = Proxy::wrap(server)
        .state(state)
        .options(HIDDEN)
        .settings(settings)
        .start();
    proxy.initialize();
    proxy.ask("tools/list", json!({}));
    proxy
}

fn call(proxy: &mut Proxy, tool: &str) {
    let text = proxy.text_of_call("call_read_tool", json!({"name": tool, "arguments": {}}));
    assert!(text.contains("secret title"), "{text}");
}

fn described(proxy: &mut Proxy, tool: &str) -> Option<String> {
    let text = proxy.text_of_call("describe_tools", json!({"names": [tool]}));
    assert!(text.contains("inputSchema"), "{text}");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("result (seen before): "));
    line.map(str::to_owned)
}

fn epoch(command: &str, state: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_mcp-whittle"))
        .args(["epoch", command, "--json", "--state-dir"])
        .arg(state)
        .output()
        .expect("the program runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn what_results_had_in_common_is_said_after_the_next_epoch() {
    const SHAPE: &str = "{items:[{number,title,user:{login},votes:{<key>:{weight}}}],total}";
    let server = server();
    let state = tempfile::tempdir().expect("a state folder");
    let mut proxy = start(&server, state.path(), OFFERED);
    for tool in [
        "list_issues",
        "list_issues",
        "list_said",
        "list_said",
        "list_once",
    ] {
        call(&mut proxy, tool);
    }
    assert_eq!(described(&mut proxy, "list_issues"), None);
    proxy.finish();
    let mut proxy = start(&server, state.path(), "");
    assert_eq!(
        described(&mut proxy, "list_issues"),
        None,
        "nothing moves by itself"
    );
    proxy.finish();

    let told = epoch("advance", state.path());
    assert!(told.contains(SHAPE), "{told}");
    let everything: Vec<String> = ["shapes", "."]
        .iter()
        .flat_map(|folder| {
            std::fs::read_dir(state.path().join("v1").join(folder)).expect("a folder")
        })
        .flatten()
        .filter_map(|file| std::fs::read_to_string(file.path()).ok())
        .collect();
    let everything = everything.join("\n");
    assert!(everything.contains("votes"), "{everything}");
    assert!(
        !everything.contains("secret") && !everything.contains("ann"),
        "values and names of people are not kept: {everything}"
    );

    let mut proxy = start(&server, state.path(), "");
    assert_eq!(described(&mut proxy, "list_issues").as_deref(), Some(SHAPE));
    assert_eq!(
        described(&mut proxy, "list_said"),
        None,
        "its schema says it"
    );
    assert_eq!(described(&mut proxy, "list_once"), None, "once is no rule");
    proxy.finish();
    // Where fields can be asked for, the schema may not say which there are.
    let mut proxy = start(&server, state.path(), OFFERED);
    assert_eq!(described(&mut proxy, "list_said").as_deref(), Some(SHAPE));
    proxy.finish();

    // Another principal is not shown what only this user's results had.
    let mut proxy = Proxy::wrap(&server)
        .state(state.path())
        .options(HIDDEN)
        .listening()
        .start();
    let client = Session::open(proxy.address());
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    client.post(&list).expect(200).answer();
    let text = client
        .call(2, "describe_tools", json!({"names": ["list_issues"]}))
        .to_string();
    assert!(
        text.contains("inputSchema") && !text.contains("seen before"),
        "{text}"
    );
    proxy.terminate();
    proxy.wait_exit();

    epoch("reset", state.path());
    let mut proxy = start(&server, state.path(), "");
    assert_eq!(described(&mut proxy, "list_issues"), None);
    proxy.finish();
    assert!(
        !epoch("advance", state.path()).contains("total"),
        "forgotten"
    );
}
