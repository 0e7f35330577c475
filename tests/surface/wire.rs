//! What users see of hidden tools, with scripted peers on both sides of the built binary: lists that stay,
//! settings that change, calls on their way over HTTP, definitions that try to hurt.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::kit::http_client::{Session, call_body, post};
use crate::kit::http_upstream::{HttpUpstream, Reply, Request};
use crate::kit::messages::{MODERN, modern};
use crate::kit::{Proxy, ScriptedServer, processes, until_true};

/// Every tool hidden.
const HIDE: &str = "--pin *=hidden";
/// The same under a set budget.
const HIDE_WITHIN: &str = "--pin *=hidden --budget 4000";

/// A tool that takes one integer, as a line of a script.
pub(super) fn reader(name: &str) -> String {
    format!(
        r#"tool {name} "description":"Reads a {name}.","inputSchema":{{"type":"object","properties":{{"x":{{"type":"integer"}}}},"required":["x"]}},"annotations":{{"readOnlyHint":true}}"#
    )
}

pub(super) fn names(list: &Value) -> Vec<String> {
    let tools = list["result"]["tools"].as_array();
    let tools = tools.unwrap_or_else(|| panic!("no list: {list}"));
    tools
        .iter()
        .filter_map(|tool| tool["name"].as_str().map(str::to_owned))
        .collect()
}

/// The bytes of the last list that came.
fn list_bytes(proxy: &mut Proxy) -> Vec<u8> {
    let id = proxy.request("tools/list", json!({}));
    proxy.answer(id);
    let lines = proxy.raw_lines();
    let line = lines.iter().rev().find(|line| {
        serde_json::from_slice::<Value>(line).is_ok_and(|message| message["id"] == id)
    });
    let line = String::from_utf8(line.expect("the answer came").clone()).expect("JSON is text");
    // The id counts up; the rest is compared.
    line.replacen(&format!("\"id\":{id}"), "", 1).into_bytes()
}

#[test]
fn a_caller_runs_the_real_tool_with_the_same_bytes() {
    let server = ScriptedServer::new(&reader("dial"));
    let mut proxy = Proxy::wrap(&server).options(HIDE).start();
    proxy.initialize();
    let listed = names(&proxy.ask("tools/list", json!({})));
    assert_eq!(listed, ["search_tools", "describe_tools", "call_read_tool"]);
    let found = proxy.text_of_call("search_tools", json!({"queries": ["read a dial"]}));
    assert!(found.contains("[read] dial"), "{found}");
    proxy.send_request_line(
        "\"a-1\"",
        r#"{"jsonrpc":"2.0","id":"a-1","method":"tools/call","params":{"name":"call_read_tool","arguments":{"name":"dial","arguments":{ "x" : 1e0, "é":"\u00e9" }},"_meta":{"vendor/x":1.0}}}"#,
    );
    proxy.answer("a-1");
    let received = server.received();
    let call = received
        .iter()
        .find(|(_, line)| line.contains("tools/call"));
    assert_eq!(
        call.expect("a call").1,
        r#"{"jsonrpc":"2.0","id":"a-1","method":"tools/call","params":{"name":"dial","arguments":{ "x" : 1e0, "é":"\u00e9" },"_meta":{"vendor/x":1.0}}}"#
    );
    // Wrong arguments never reach the server, neither way; the wrong class and a made-up name do not.
    for (tool, arguments, says) in [
        (
            "call_read_tool",
            json!({"name": "dial", "arguments": {"x": "one"}}),
            "Not sent",
        ),
        ("dial", json!({"x": "one"}), "Not sent"),
        (
            "call_read_tool",
            json!({"name": "dail", "arguments": {}}),
            "Did you mean `dial`",
        ),
        (
            "call_destructive_tool",
            json!({"name": "dial", "arguments": {"x": 1}}),
            "call_read_tool",
        ),
    ] {
        let answer = proxy.ask_call(tool, arguments.clone());
        assert_eq!(
            answer["result"]["isError"], true,
            "{tool} {arguments}: {answer}"
        );
        assert!(
            answer.to_string().contains(says),
            "{tool} {arguments}: {answer}"
        );
    }
    assert_eq!(server.received_of("tools/call").len(), 1);
    proxy.finish();
}

#[test]
fn the_list_is_the_same_from_a_snapshot_and_from_the_live_server() {
    let state = tempfile::tempdir().expect("a state folder");
    let tools: Vec<String> = (0..30).map(|n| reader(&format!("dial_{n}"))).collect();
    let mut lists = Vec::new();
    for (options, rules) in [
        (HIDE_WITHIN, ""),
        // The server is there, but says nothing until the list was answered.
        (HIDE_WITHIN, "\non initialize\n wait gate\n plainly"),
        (HIDE_WITHIN, ""),
    ] {
        let server = match lists.len() {
            0 => ScriptedServer::new(&tools.join("\n")),
            _ => ScriptedServer::new(&format!("{}{rules}", tools.join("\n"))),
        };
        // One folder, so that the command is the same at each start.
        let link = state.path().join("server");
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(server.path(), &link).expect("a link");
        let command = [server.command()[0].clone(), link.display().to_string()];
        let mut proxy = Proxy::wrap_command(&command)
            .options(options)
            .state(state.path())
            .start();
        proxy.initialize();
        lists.push(list_bytes(&mut proxy));
        server.open("gate");
        // Once the live server was read as well, nothing has moved.
        assert_eq!(list_bytes(&mut proxy), lists[0]);
        let text = proxy.text_of_call(
            "call_read_tool",
            json!({"name": "dial_7", "arguments": {"x": 7}}),
        );
        assert!(text.contains('7'), "{text}");
        proxy.finish();
    }
    assert_eq!(lists[0], lists[1]);
    assert_eq!(lists[1], lists[2]);
}

#[test]
fn a_reload_with_another_budget_tells_clients_and_starts_a_new_list() {
    let server = ScriptedServer::new(&reader("dial"));
    let mut proxy = Proxy::servers(&[("s", &server)])
        .settings("pin = [\"*=hidden\"]\nbudget = \"4000\"")
        .start();
    proxy.initialize();
    assert!(names(&proxy.ask("tools/list", json!({}))).contains(&"search_tools".to_owned()));
    let file = proxy.folder().join("settings.toml");
    let settings = std::fs::read_to_string(&file).expect("the settings");
    std::fs::write(&file, settings.replace("*=hidden", "*=lean")).expect("written");
    processes::signal(proxy.process(), rustix::process::Signal::HUP);
    until_true("a word of the change", || {
        proxy.count_of("notifications/tools/list_changed") == 1
    });
    assert_eq!(names(&proxy.ask("tools/list", json!({}))), ["s__dial"]);
    proxy.finish();
}

/// A modern server whose one tool wants an argument as a header.
fn region_server(request: &Request, _nth: usize, reply: &mut Reply) -> bool {
    let result = match request.method() {
        "server/discover" => {
            json!({"resultType": "complete", "supportedVersions": [MODERN], "capabilities": {"tools": {}}, "ttlMs": 0, "cacheScope": "private"})
        }
        "tools/list" => {
            let schema = json!({"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}});
            json!({"resultType": "complete", "tools": [{"name": "lookup", "inputSchema": schema, "annotations": {"readOnlyHint": true}}], "ttlMs": 0, "cacheScope": "private"})
        }
        "tools/call" => {
            json!({"resultType": "complete", "content": [{"type": "text", "text": "done"}]})
        }
        "subscriptions/listen" => {
            reply.start_events();
            reply.hang();
            return true;
        }
        _ => return false,
    };
    reply.result(request, result);
    true
}

#[test]
fn headers_name_our_tool_to_us_and_the_real_one_to_its_server() {
    let upstream = HttpUpstream::start(region_server);
    let proxy = Proxy::upstream(&upstream.url())
        .options(HIDE_WITHIN)
        .listening()
        .start();
    let address = proxy.address();
    let ask = |name: &str, more: &[(&str, &str)], mut body: Value| {
        body["params"] = modern(body["params"].take());
        let method = body["method"].as_str().expect("a method").to_owned();
        let mut headers = vec![("MCP-Protocol-Version", MODERN), ("Mcp-Method", &method)];
        if !name.is_empty() {
            headers.push(("Mcp-Name", name));
        }
        headers.extend(more);
        let response = post(address, &headers, &body);
        (response.status, response.answer())
    };
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}});
    let (status, list) = ask("", &[], list);
    assert_eq!(status, 200, "{list}");
    assert_eq!(
        names(&list),
        ["search_tools", "describe_tools", "call_read_tool"]
    );
    let inner = json!({"name": "lookup", "arguments": {"region": "eu"}});
    let own = json!({"region": "eu"});
    for (n, (name, arguments, more)) in [
        ("call_read_tool", &inner, &[][..]),
        // Who was not shown the tool knows of no header; who knows it sends it.
        ("lookup", &own, &[][..]),
        ("lookup", &own, &[("Mcp-Param-Region", "eu")][..]),
    ]
    .into_iter()
    .enumerate()
    {
        let (status, answer) = ask(name, more, call_body(2, name, arguments));
        assert_eq!(status, 200, "{name}: {answer}");
        assert_eq!(answer["result"]["content"][0]["text"], "done", "{answer}");
        let calls = upstream.requests_of("tools/call");
        assert_eq!(calls.len(), n + 1);
        assert_eq!(calls[n].header("mcp-name"), Some("lookup"));
        assert_eq!(calls[n].header("mcp-param-region"), Some("eu"));
        assert_eq!(calls[n].body["params"]["name"], "lookup");
        assert_eq!(calls[n].body["params"]["arguments"], own);
    }
    // What headers and body say differently stays refused.
    let wrong = [("Mcp-Param-Region", "us")];
    assert_eq!(ask("lookup", &wrong, call_body(3, "lookup", &own)).0, 400);
    assert_eq!(
        ask("lookup", &[], call_body(3, "call_read_tool", &inner)).0,
        400
    );
    assert_eq!(upstream.requests_of("tools/call").len(), 3);
}

#[test]
fn each_http_session_gets_the_same_list() {
    let server = ScriptedServer::new(&format!("{}\n{}", reader("dial"), reader("gauge")));
    let proxy = Proxy::wrap(&server)
        .options(HIDE_WITHIN)
        .listening()
        .start();
    let address = proxy.address();
    let list = |session: &Session| {
        session
            .post(&json!({"jsonrpc": "2.0", "id": 5, "method": "tools/list"}))
            .text()
    };
    let (first, second) = (Session::open(address), Session::open(address));
    assert_eq!(list(&first), list(&second));
    for session in [&first, &second] {
        let answer = session.call(
            6,
            "call_read_tool",
            json!({"name": "gauge", "arguments": {"x": 1}}),
        );
        assert!(answer["result"]["content"].is_array(), "{answer}");
        assert_ne!(answer["result"]["isError"], true, "{answer}");
    }
}

#[test]
fn a_call_before_any_list_finds_what_is_hidden() {
    let server = ScriptedServer::new(&reader("dial"));
    let mut proxy = Proxy::wrap(&server).options(HIDE).start();
    proxy.initialize();
    let text = proxy.text_of_call(
        "call_read_tool",
        json!({"name": "dial", "arguments": {"x": 3}}),
    );
    assert!(text.contains('3'), "{text}");
    proxy.finish();
}

#[test]
fn hostile_schemas_hold_nobody_up() {
    // Patterns that take long to compile, as many as a schema may have.
    let patterns: Vec<String> = (0..2_000)
        .map(|n| format!(r#""p{n}":{{"pattern":"(?:[a-z{n}]{{1,200}}[^x]){{1,40}}$"}}"#))
        .collect();
    let hostile = format!(
        r#"tool-raw {{"name":"slow","inputSchema":{{"type":"object","properties":{{{}}}}},"annotations":{{"readOnlyHint":true}}}}"#,
        patterns.join(",")
    );
    let server = ScriptedServer::new(&format!("{hostile}\n{}", reader("dial")));
    let mut proxy = Proxy::wrap(&server).options(HIDE).start();
    proxy.initialize();
    proxy.ask("tools/list", json!({}));
    let began = Instant::now();
    let slow = proxy.call(
        "call_read_tool",
        json!({"name": "slow", "arguments": {"p1": "a"}}),
    );
    let quick = proxy.call(
        "call_read_tool",
        json!({"name": "dial", "arguments": {"x": 1}}),
    );
    proxy.answer(quick);
    proxy.answer(slow);
    // In a build without optimisation; what was found to take minutes takes far longer.
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    proxy.finish();
}

/// A search says what calls have cost before, also after a restart; the list does not change by it.
#[test]
fn a_search_says_what_calls_have_cost_before() {
    let state = tempfile::tempdir().expect("a state folder");
    let server = ScriptedServer::new(&format!(
        "{}\n{}\non tools/call dial\n result {{\"content\":[{{\"type\":\"text\",\"text\":\"{}\"}}]}}\non tools/call gauge\n result {{\"content\":[{{\"type\":\"text\",\"text\":\"no\"}}],\"isError\":true}}",
        reader("dial"),
        reader("gauge"),
        "x".repeat(3600)
    ));
    let search = json!({"queries": ["read a dial", "read a gauge"]});
    let mut lists = Vec::new();
    for life in 0..2 {
        let mut proxy = Proxy::wrap(&server)
            .options(HIDE_WITHIN)
            .state(state.path())
            .start();
        proxy.initialize();
        lists.push(list_bytes(&mut proxy));
        let before = proxy.text_of_call("search_tools", search.clone());
        assert_eq!(before.contains("about 900 tokens"), life == 1, "{before}");
        if life == 0 {
            proxy.ask_call(
                "call_read_tool",
                json!({"name": "dial", "arguments": {"x": 1}}),
            );
            proxy.ask_call("gauge", json!({"x": 1}));
            let after = proxy.text_of_call("search_tools", search.clone());
            let line = |name: &str| {
                let start = format!("- [read] {name}");
                let found = after.lines().find(|line| line.starts_with(&start));
                found.unwrap_or_else(|| panic!("{after}")).to_owned()
            };
            assert!(line("dial").ends_with("about 900 tokens"), "{after}");
            assert!(
                !line("gauge").contains("about"),
                "errors do not count: {after}"
            );
            lists.push(list_bytes(&mut proxy));
        }
        proxy.finish();
    }
    lists.dedup();
    assert_eq!(lists.len(), 1, "what was learned stands in no list");
}
