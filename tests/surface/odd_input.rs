//! Input that nobody means well or nobody thought of: budgets that cannot be met, definitions that cannot be
//! shortened, far too many of them, names that clients forbid, odd queries. There are clear words, every tool
//! stays within reach, and what cannot be shaped is shown as its server sent it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::kit::{Proxy, ScriptedServer};
use crate::surface::wire::{names, reader};

/// As long as anything here may take, in a build without optimisation.
const PATIENCE: Duration = Duration::from_secs(20);

fn listed(proxy: &mut Proxy) -> Vec<String> {
    names(&proxy.ask("tools/list", json!({})))
}

/// Searches; a query is answered with a text, whatever it says.
fn search(proxy: &mut Proxy, query: &str) -> String {
    proxy.text_of_call("search_tools", json!({"queries": [query]}))
}

/// The names under which calls reached a server.
fn called(server: &ScriptedServer) -> Vec<String> {
    let calls = server.received_of("tools/call");
    let name = |call: &Value| call["params"]["name"].as_str().map(str::to_owned);
    calls.iter().filter_map(name).collect()
}

fn no_internal_error(proxy: &Proxy) {
    let log = proxy.stderr();
    assert!(!log.contains("internal error"), "{log}");
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn a_budget_below_our_own_tools_leaves_the_list_as_it_is() {
    let server = ScriptedServer::new(&format!("{}\n{}", reader("dial"), reader("gauge")));
    let mut proxy = Proxy::wrap(&server).options("--budget 10").start();
    proxy.initialize();
    let list = proxy.ask("tools/list", json!({}));
    assert_eq!(names(&list), ["dial", "gauge"]);
    let schema = &list["result"]["tools"][0]["inputSchema"];
    assert_eq!(schema["properties"]["x"]["type"], "integer", "{list}");
    proxy.wait_log(&["WARN", "within 10", "the list is shown lean"]);
    proxy.finish();
}

#[test]
fn an_unknown_profile_is_told_with_those_there_are() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_mcp-whittle"))
        .args(["--profile", "nobody", "--", "false"])
        .output()
        .expect("the program starts");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(
        told.contains("--profile") && told.contains("`nobody`"),
        "{told}"
    );
    assert!(
        told.contains("claude-code") && told.contains("auto"),
        "{told}"
    );
    assert!(output.stdout.is_empty());
}

#[test]
fn schemas_that_cannot_be_shortened_are_shown_or_found_as_they_are() {
    let levels = |n: usize| {
        format!(
            "{}{{}}{}",
            r#"{"type":"array","items":"#.repeat(n),
            "}".repeat(n)
        )
    };
    let tool = |name: &str, schema: &str| {
        format!(r#"{{"name":"{name}","description":"Odd.","inputSchema":{schema}}}"#)
    };
    let odd = [
        (
            "deep",
            tool(
                "deep",
                &format!(
                    r#"{{"type":"object","properties":{{"a":{}}}}}"#,
                    levels(200)
                ),
            ),
        ),
        (
            "cycle",
            tool(
                "cycle",
                r##"{"type":"object","properties":{"a":{"$ref":"#/$defs/a"}},"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}}"##,
            ),
        ),
        (
            "tree",
            tool(
                "tree",
                r##"{"type":"object","properties":{"a":{"$ref":"#"}}}"##,
            ),
        ),
        (
            "away",
            tool(
                "away",
                r#"{"type":"object","properties":{"a":{"$ref":"https://example.com/x"}}}"#,
            ),
        ),
        ("list", tool("list", "[]")),
        ("text", tool("text", r#""object""#)),
        ("number", tool("number", "7")),
        ("nothing", tool("nothing", "null")),
        ("anything", tool("anything", "true")),
        (
            "wrong",
            tool(
                "wrong",
                r#"{"type":"object","properties":[1],"required":"a"}"#,
            ),
        ),
    ];
    let script: Vec<String> = odd
        .iter()
        .map(|(_, raw)| format!("tool-raw {raw}"))
        .collect();
    for options in [
        "",
        "--open-schemas allow --pin *=signature",
        "--open-schemas allow --pin *=name",
        "--pin *=hidden",
    ] {
        let server = ScriptedServer::new(&script.join("\n"));
        let mut proxy = Proxy::wrap(&server).options(options).start();
        proxy.initialize();
        // The kit's own reader gives up at 128 levels, so lists are looked at as bytes.
        let id = proxy.request("tools/list", json!({}));
        let line = raw_answer(&proxy, id);
        for (name, raw) in &odd {
            if options.contains("hidden") {
                let text = proxy.text_of_call("describe_tools", json!({"names": [name]}));
                let head = format!("`{name}` [");
                assert!(text.starts_with(&head), "{name}: {text:.400}");
                let whole = json!({"names": [name], "output_schema": true});
                let id = proxy.call("describe_tools", whole);
                let line = raw_answer(&proxy, id);
                let in_text = json!(raw).to_string();
                assert!(
                    line.contains(in_text.trim_matches('"')),
                    "{name}: {line:.400}"
                );
            } else {
                let shown = format!("\"name\":\"{name}\"");
                assert!(line.contains(&shown), "{options}: {name}: {line:.400}");
            }
            let answer = proxy.ask_call(name, json!({}));
            assert!(
                answer["result"]["content"].is_array(),
                "{options}: {name}: {answer}"
            );
            assert_ne!(
                answer["result"]["isError"], true,
                "{options}: {name}: {answer}"
            );
        }
        no_internal_error(&proxy);
        proxy.finish();
    }
}

/// The line that answers a request, however deep it is.
fn raw_answer(proxy: &Proxy, id: i64) -> String {
    let with_id = format!("\"id\":{id},");
    let at_the_end = format!("\"id\":{id}}}");
    crate::kit::until(&format!("the answer to {id}"), || {
        let lines = proxy.raw_lines();
        let lines = lines.iter().rev().map(|line| String::from_utf8_lossy(line));
        lines
            .map(|line| line.into_owned())
            .find(|line| line.contains(&with_id) || line.ends_with(&at_the_end))
    })
}

#[test]
fn a_description_of_two_megabytes_costs_no_tool() {
    let prose = "Reads the dial of the boiler. It must never be called twice. ".repeat(34_000);
    let long = format!(
        r#"tool-raw {{"name":"long","description":"{prose}","inputSchema":{{"type":"object"}},"annotations":{{"readOnlyHint":true}}}}"#
    );
    for options in ["", "--budget 2000", "--surface lean"] {
        let server = ScriptedServer::new(&format!("{long}\n{}", reader("gauge")));
        let mut proxy = Proxy::wrap(&server).options(options).start();
        proxy.initialize();
        let began = Instant::now();
        let listed = listed(&mut proxy);
        if !listed.contains(&"long".to_owned()) {
            let found = search(&mut proxy, "read the dial of the boiler");
            assert!(found.contains("[read] long"), "{options}: {found:.400}");
            // What is described is cut to what a model can bear.
            let text = proxy.text_of_call("describe_tools", json!({"names": ["long"]}));
            assert!(text.len() < 200_000, "{options}: {} bytes", text.len());
        }
        for name in ["long", "gauge"] {
            let answer = proxy.ask_call(name, json!({"x": 1}));
            assert_ne!(answer["result"]["isError"], true, "{options}: {answer}");
        }
        assert!(
            began.elapsed() < PATIENCE,
            "{options}: {:?}",
            began.elapsed()
        );
        assert_eq!(called(&server), ["long", "gauge"]);
        no_internal_error(&proxy);
        proxy.finish();
    }
}

#[test]
fn ten_thousand_tools_fit_a_budget_and_each_is_found() {
    // Not optimised, planning takes some ten times as long, and a list waits for it 20 s at most.
    let n_tools = if cfg!(debug_assertions) {
        2_000
    } else {
        10_000
    };
    let tools: Vec<String> = (0..n_tools).map(|n| reader(&format!("dial_{n}"))).collect();
    let server = ScriptedServer::new(&tools.join("\n"));
    let mut proxy = Proxy::wrap(&server).options("--budget 2000").start();
    proxy.initialize();
    let began = Instant::now();
    let listed = listed(&mut proxy);
    assert!(listed.contains(&"search_tools".to_owned()), "{listed:?}");
    assert!(listed.len() < 200, "{}", listed.len());
    let found = search(&mut proxy, "dial_1777");
    assert!(found.contains("[read] dial_1777"), "{found}");
    let inner = json!({"name": "dial_1999", "arguments": {"x": 5}});
    assert!(proxy.text_of_call("call_read_tool", inner).contains('5'));
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    no_internal_error(&proxy);
    proxy.finish();
}

#[test]
fn two_servers_with_the_same_tool_keep_one_each() {
    for (settings, is_prefixed) in [("", true), ("prefix = \"none\"", false)] {
        let (first, second) = (
            ScriptedServer::new(&reader("dial")),
            ScriptedServer::new(&reader("dial")),
        );
        let mut proxy = Proxy::servers(&[("alpha", &first), ("beta", &second)])
            .settings(settings)
            .options("--pin *=hidden")
            .start();
        proxy.initialize();
        let found = search(&mut proxy, "read a dial");
        let shown: Vec<&str> = found
            .lines()
            .filter_map(|line| line.strip_prefix("- [read] ")?.split_whitespace().next())
            .collect();
        assert_eq!(shown.len(), 2, "{found}");
        assert_ne!(shown[0], shown[1]);
        assert_eq!(is_prefixed, found.contains("alpha__dial"), "{found}");
        for (n, name) in shown.iter().enumerate() {
            let answer = proxy.ask_call(
                "call_read_tool",
                json!({"name": name, "arguments": {"x": n}}),
            );
            assert_ne!(answer["result"]["isError"], true, "{answer}");
        }
        for server in [&first, &second] {
            assert_eq!(called(server), ["dial"]);
        }
        proxy.finish();
    }
}

#[test]
fn names_that_clients_forbid_are_called_as_their_servers_have_them() {
    let long = "n".repeat(300);
    let odd = [
        "with space",
        "d/e:f",
        "naïve",
        "日本語",
        "🧪",
        "ünï.cödé",
        &long,
    ];
    let script: Vec<String> = odd.iter().map(|name| {
        let name = json!(name);
        format!(r#"tool-raw {{"name":{name},"description":"Reads it.","inputSchema":{{"type":"object"}},"annotations":{{"readOnlyHint":true}}}}"#)
    }).collect();
    for options in ["", "--pin *=hidden"] {
        let (server, other) = (
            ScriptedServer::new(&script.join("\n")),
            ScriptedServer::new(&reader("dial")),
        );
        let mut proxy = Proxy::servers(&[("lab", &server), ("desk", &other)])
            .options(options)
            .start();
        proxy.initialize();
        let listed = listed(&mut proxy);
        let is_hidden = !options.is_empty();
        for name in odd {
            // By the name that clients see, which is short enough for them.
            let shown = match listed
                .iter()
                .find(|shown| shown.strip_prefix("lab__") == Some(name))
            {
                Some(shown) => shown.clone(),
                None if is_hidden && name.len() < 300 => format!("lab__{name}"),
                None if is_hidden => {
                    let found = search(&mut proxy, &long);
                    assert!(found.contains("lab__nnn"), "{found:.400}");
                    found
                        .split_whitespace()
                        .find(|word| word.starts_with("lab__nnn"))
                        .expect("it was found")
                        .to_owned()
                }
                None => listed
                    .iter()
                    .find(|shown| shown.starts_with("lab__nnn"))
                    .expect("cut")
                    .clone(),
            };
            assert!(shown.chars().count() <= 64, "{shown}");
            let answer = match is_hidden {
                true => proxy.ask_call("call_read_tool", json!({"name": shown, "arguments": {}})),
                false => proxy.ask_call(&shown, json!({})),
            };
            assert_ne!(answer["result"]["isError"], true, "{name}: {answer}");
            assert!(answer["result"]["content"].is_array(), "{name}: {answer}");
        }
        assert_eq!(called(&server), odd);
        no_internal_error(&proxy);
        proxy.finish();
    }
}

#[test]
fn queries_of_any_size_and_script_are_answered() {
    let tool = |name: &str, text: &str| {
        format!(
            r#"tool-raw {{"name":"{name}","description":"{text}","inputSchema":{{"type":"object"}},"annotations":{{"readOnlyHint":true}}}}"#
        )
    };
    let script = [
        tool("weather", "查询天气预报。"),
        tool("taqs", "يقرأ حالة الطقس اليوم"),
        tool("pogoda", "Читает прогноз погоды"),
        tool("plain", "Reads a file of text."),
    ];
    let server = ScriptedServer::new(&script.join("\n"));
    let mut proxy = Proxy::wrap(&server).options("--pin *=hidden").start();
    proxy.initialize();
    listed(&mut proxy);
    for (query, tool) in [
        ("天气预报", "weather"),
        ("حالة الطقس", "taqs"),
        ("прогноз погоды", "pogoda"),
        ("read a file", "plain"),
    ] {
        let found = search(&mut proxy, query);
        let first = found
            .lines()
            .find_map(|line| line.strip_prefix("- [read] "));
        let first = first.and_then(|line| line.split_whitespace().next());
        assert_eq!(first, Some(tool), "{query}: {found}");
    }
    let long_line = "read a file of text and much more ".repeat(3_000);
    let odd = [
        "🧪🚀🧑‍🚀🏳️‍🌈".to_owned(),
        "ก็".repeat(200),
        "\u{202e}elif a daer\u{0}\u{7}\u{feff}".to_owned(),
        "*:?\"'\\ (AND OR NOT) ../../etc {{x}} %00".to_owned(),
        " \n\t ".to_owned(),
        "天".repeat(34_000),
        "a".repeat(100_000),
        long_line,
    ];
    for query in odd {
        let began = Instant::now();
        let answer = proxy.ask_call("search_tools", json!({"queries": [query]}));
        let text = answer["result"]["content"][0]["text"].as_str();
        let text = text.unwrap_or_else(|| panic!("{query:.80}: {answer}"));
        assert!(
            !text.is_empty() && text.len() < 8_000,
            "{query:.80}: {text}"
        );
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "{query:.80}: {:?}",
            began.elapsed()
        );
    }
    // What no tool has a word of finds none.
    let found = search(&mut proxy, "🧪🚀");
    assert!(!found.contains("- [read]"), "{found}");
    // As one of many, and where the query is no text.
    let many: Vec<String> = (0..500).map(|n| format!("read a file {n}")).collect();
    for queries in [json!(many), json!([7, null, {}]), json!({}), Value::Null] {
        let answer = proxy.ask_call("search_tools", json!({"queries": queries}));
        assert!(
            answer["result"]["content"][0]["text"].is_string(),
            "{answer}"
        );
    }
    assert!(search(&mut proxy, "read a file").contains("[read] plain"));
    no_internal_error(&proxy);
    proxy.finish();
}
