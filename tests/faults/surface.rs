//! F51, F52, F57 and F93: what is locked, searched, shortened and counted.

use serde_json::{Value, json};

use crate::kit::{Proxy, ScriptedServer, until_true};

fn search(proxy: &mut Proxy, query: &str) -> String {
    proxy.text_of_call("search_tools", json!({"queries": [query]}))
}

/// The lock names the tool and what differs; a proxy that is held to it refuses this tool, also as one that
/// is hidden, and no other; one that is not held to it lets it pass.
#[test]
fn f51_definition_differs_from_the_lock() {
    let tool = |name: &str, text: &str| {
        format!(
            r#"tool {name} "description":"{text}","inputSchema":{{"type":"object","properties":{{"n":{{"type":"integer"}}}}}}"#
        )
    };
    let server = ScriptedServer::new(&[tool("dial", "Reads."), tool("gauge", "Reads.")].join("\n"));
    let folder = tempfile::tempdir().expect("a folder for the lock");
    let lock = |more: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_mcp-whittle"))
            .arg("lock")
            .args(more)
            .arg("--")
            .args(server.command())
            .current_dir(folder.path())
            .output()
            .expect("the program starts");
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), told)
    };
    assert_eq!(lock(&[]).0, Some(0));
    let (code, told) = lock(&["--check"]);
    assert_eq!(code, Some(0), "{told}");
    server.rewrite(
        &[
            tool("dial", "Reads."),
            tool("gauge", "Reads. Then deletes."),
        ]
        .join("\n"),
    );
    let (code, told) = lock(&["--check"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("~ gauge"), "{told}");
    assert!(
        told.contains("changed by its server: description"),
        "{told}"
    );
    assert!(!told.contains("dial"), "only what differs is named: {told}");
    let mut proxy = Proxy::wrap(&server).start();
    proxy.initialize();
    for name in ["dial", "gauge"] {
        assert!(proxy.text_of_call(name, json!({"n": 4})).contains('4'));
    }
    proxy.finish();
    let file = folder.path().join("mcp-whittle.lock");
    for (options, through) in [("", false), (" --pin *=hidden", true)] {
        let options = format!("--lock {}{options}", file.display());
        let mut proxy = Proxy::wrap(&server).options(&options).start();
        proxy.initialize();
        proxy.ask("tools/list", json!({}));
        let mut called = |name: &str| match through {
            true => proxy.text_of_call(
                "call_destructive_tool",
                json!({"name": name, "arguments": {"n": 4}}),
            ),
            false => proxy.text_of_call(name, json!({"n": 4})),
        };
        assert!(called("dial").contains('4'), "others work");
        let refused = called("gauge");
        assert!(
            refused.contains("Not called: `gauge`: its server changed its definition")
                && refused.contains("hint: "),
            "{refused}"
        );
        proxy.wait_stderr("a call of `gauge` was refused");
        proxy.finish();
    }
}

#[test]
fn f52_stale_index_after_an_update() {
    let script = "tool keep\ntool retired\ntool change\non tools/call change\n tools keep arrived change\n list-changed 1\n reply done";
    // Without a set budget clients are told, and what they list is what they find.
    let server = ScriptedServer::new(script);
    let mut proxy = Proxy::wrap(&server).options("--pin *=hidden").start();
    proxy.initialize();
    proxy.ask("tools/list", json!({}));
    assert!(search(&mut proxy, "tool retired").contains("[destructive] retired"));
    let change = json!({"name": "change", "arguments": {}});
    assert_eq!(
        proxy.text_of_call("call_destructive_tool", change.clone()),
        "done"
    );
    until_true("a word of the change", || {
        proxy.count_of("notifications/tools/list_changed") > 0
    });
    // Even before the client lists again there is no ghost.
    assert!(!search(&mut proxy, "tool retired").contains("[destructive] retired"));
    proxy.ask("tools/list", json!({}));
    assert!(search(&mut proxy, "tool arrived").contains("[destructive] arrived"));
    assert!(!search(&mut proxy, "tool retired").contains("[destructive] retired"));
    let arrived = json!({"name": "arrived", "arguments": {"n": 1}});
    assert!(
        proxy
            .text_of_call("call_destructive_tool", arrived)
            .contains('1')
    );
    proxy.finish();

    // Under a set budget the list stays: what is gone is found no more, what came is called by name.
    let server = ScriptedServer::new(script);
    let mut proxy = Proxy::wrap(&server)
        .options("--pin *=hidden --budget 4000")
        .start();
    proxy.initialize();
    let list = proxy.ask("tools/list", json!({}))["result"].clone();
    assert_eq!(proxy.text_of_call("call_destructive_tool", change), "done");
    until_true("the new list at the proxy", || {
        !search(&mut proxy, "tool retired").contains("[destructive] retired")
    });
    assert_eq!(proxy.ask("tools/list", json!({}))["result"], list);
    assert_eq!(proxy.count_of("notifications/tools/list_changed"), 0);
    assert!(proxy.text_of_call("arrived", json!({"n": 2})).contains('2'));
    proxy.finish();
}

#[test]
fn f57_definitions_that_nothing_can_shorten() {
    // The peers of this test read 128 levels.
    let deep = format!(
        "{}{}{}",
        r#"{"type":"array","items":"#.repeat(100),
        "{}",
        "}".repeat(100)
    );
    let members: Vec<String> = (0..30_000).map(|n| format!("\"p{n}\":{{}}")).collect();
    let raw = [
        r#"{"name":"no_schema"}"#.to_owned(),
        r#"{"name":"odd_schema","inputSchema":"none"}"#.to_owned(),
        r#"{"name":"odd_text","description":7,"inputSchema":{"type":"object"}}"#.to_owned(),
        format!(
            r#"{{"name":"deep","inputSchema":{{"type":"object","properties":{{"a":{deep}}}}}}}"#
        ),
        format!(
            r#"{{"name":"wide","inputSchema":{{"type":"object","properties":{{{}}}}}}}"#,
            members.join(",")
        ),
        format!(
            r#"{{"name":"long","description":"{}","inputSchema":{{"type":"object"}}}}"#,
            "It must never stop. ".repeat(100_000)
        ),
        r##"{"name":"loop","inputSchema":{"$ref":"#"}}"##.to_owned(),
        r#"{"name":"twice","name":"twice","inputSchema":{"type":"object"},"inputSchema":{}}"#
            .to_owned(),
    ];
    let names = [
        "no_schema",
        "odd_schema",
        "odd_text",
        "deep",
        "wide",
        "long",
        "loop",
        "twice",
    ];
    let script: Vec<String> = raw.iter().map(|raw| format!("tool-raw {raw}")).collect();
    for options in [
        "--surface lean",
        "",
        "--budget 1200",
        "--budget 1",
        "--budget 1 --pin *=hidden",
    ] {
        let server = ScriptedServer::new(&script.join("\n"));
        let mut proxy = Proxy::wrap(&server).options(options).start();
        proxy.initialize();
        let list = proxy.ask("tools/list", json!({}));
        let listed: Vec<&str> = list["result"]["tools"]
            .as_array()
            .unwrap_or_else(|| panic!("{options}: {list}"))
            .iter()
            .filter_map(|tool: &Value| tool["name"].as_str())
            .collect();
        let is_hiding = listed.contains(&"search_tools");
        for name in names {
            if listed.contains(&name) {
                continue;
            }
            assert!(is_hiding, "{options}: {name} is missing in {listed:?}");
            let text = proxy.text_of_call("describe_tools", json!({"names": [name]}));
            assert!(
                !text.contains("no such tool"),
                "{options}: {name}: {text:.200}"
            );
        }
        // Each is still called, by its own name and, where it is hidden, through a caller.
        for name in names {
            let answer = proxy.ask_call(name, json!({}));
            assert!(
                answer["result"]["content"].is_array(),
                "{options}: {name}: {answer}"
            );
            if is_hiding && !listed.contains(&name) {
                let inner = json!({"name": name, "arguments": {}});
                let answer = proxy.ask_call("call_destructive_tool", inner);
                assert_ne!(
                    answer["result"]["isError"], true,
                    "{options}: {name}: {answer}"
                );
            }
        }
        assert!(
            !proxy.stderr().contains("internal error"),
            "{}",
            proxy.stderr()
        );
        proxy.finish();
    }
}

/// The vocabulary is part of the program, so there is no data that could be missing: an empty home and an empty
/// folder are enough to count by it. What was not counted is an estimate, and says so.
#[test]
fn f93_no_data_to_count_with() {
    let text = "Reads a gauge and says what it shows. ".repeat(12);
    let tool = |n: usize| {
        format!(
            r#"tool gauge_{n} "description":"{text}","inputSchema":{{"type":"object","properties":{{"n":{{"type":"integer"}}}}}}"#
        )
    };
    let server = ScriptedServer::new(&(0..20).map(tool).collect::<Vec<_>>().join("\n"));
    let basis_of = |options: &str| {
        let state = tempfile::tempdir().expect("an empty state folder");
        let mut proxy = Proxy::wrap(&server)
            .state(state.path())
            .options(options)
            .start();
        proxy.initialize();
        proxy.ask("tools/list", json!({}));
        proxy.finish();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_mcp-whittle"))
            .args(["stats", "--json", "--state-dir"])
            .arg(state.path())
            .env_clear()
            .output()
            .expect("the program starts");
        let stats: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let list = stats["lists"][0].clone();
        assert_eq!(list["lists"], 1, "{stats}");
        let of = |figure: &str| {
            (
                list[figure]["value"].as_u64(),
                list[figure]["basis"].clone(),
            )
        };
        (of("before"), of("after"))
    };
    let ((counted, before), (shown, after)) = basis_of("--budget 1000");
    assert_eq!((before, after), (json!("measured"), json!("measured")));
    assert!(
        shown <= Some(1000) && counted > Some(2000),
        "{shown:?} of {counted:?}"
    );
    // Too few tools to be worth counting.
    let ((estimated, before), (_, after)) = basis_of("--budget auto");
    assert_eq!((before, after), (json!("estimated"), json!("estimated")));
    let ratio = estimated.unwrap_or_default() as f64 / counted.unwrap_or(1) as f64;
    assert!((0.8..1.6).contains(&ratio), "{estimated:?} for {counted:?}");
}
