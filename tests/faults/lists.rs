//! F46–F50 and F53–F56: lists and definitions.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::kit::http_upstream::{HttpUpstream, Reply, Request};
use crate::kit::messages::{LEGACY, MODERN};
use crate::kit::{Proxy, ScriptedServer, until, until_true};

/// Reads a list as a client does, page by page, and returns names and pages.
#[track_caller]
fn whole_list(proxy: &mut Proxy) -> (Vec<String>, usize) {
    let mut names = Vec::new();
    let mut params = json!({});
    for pages in 1..=1_000 {
        let answer = proxy.ask("tools/list", params.clone());
        let tools = answer["result"]["tools"]
            .as_array()
            .unwrap_or_else(|| panic!("no list: {answer}"));
        names.extend(
            tools
                .iter()
                .filter_map(|tool| tool["name"].as_str().map(str::to_owned)),
        );
        match answer["result"].get("nextCursor") {
            None => return (names, pages),
            Some(cursor) => params = json!({ "cursor": cursor }),
        }
    }
    panic!("the list never ends: {} tools", names.len());
}

#[test]
fn f46_cursor_never_ends_or_repeats() {
    let page = |cursor: &str| {
        format!(
            "tool echo\non tools/list\n result {{\"tools\":[{{\"name\":\"echo\",\"inputSchema\":{{\"type\":\"object\"}}}}],\"nextCursor\":\"{cursor}\"}}"
        )
    };
    for cursor in ["again", "page $id"] {
        let server = ScriptedServer::new(&page(cursor));
        let mut proxy = Proxy::wrap(&server)
            .settings("limits.max_list_pages = 20")
            .start();
        proxy.initialize();
        let (names, _) = whole_list(&mut proxy);
        assert_eq!(names, ["echo"], "the same page again adds nothing");
        assert!(
            server.received_of("tools/list").len() <= 41,
            "{}",
            server.received_of("tools/list").len()
        );
        // A truncated list is never silent.
        proxy.wait_log(&["WARN", "tools/list"]);
        proxy.finish();
    }
}

#[test]
fn f47_whole_list_page_by_page() {
    let tools: Vec<String> = (0..25).map(|n| format!("tool t{n}")).collect();
    let server = ScriptedServer::new(&format!("{}\npage 4", tools.join("\n")));
    for surface in ["full", "lean"] {
        let mut proxy = Proxy::wrap(&server)
            .options(&format!("--surface {surface}"))
            .start();
        proxy.initialize();
        let (names, _) = whole_list(&mut proxy);
        let wanted: Vec<String> = (0..25).map(|n| format!("t{n}")).collect();
        assert_eq!(names, wanted, "in order, nothing twice, nothing missing");
        // A cursor that is no cursor is an error, not another list.
        let answer = proxy.ask("tools/list", json!({"cursor": "no such page"}));
        assert!(
            answer["error"]["code"] == -32602 || answer["result"]["tools"].is_array(),
            "{answer}"
        );
        proxy.finish();
    }
    // Byte for byte with the full surface.
    let definition = r#"{"name":"odd","x-extra" : 1.0,"inputSchema":{"type":"object","properties":{"ä":{"const":1e2}}},"title":"Odd"}"#;
    let server = ScriptedServer::new(&format!("tool-raw {definition}"));
    let mut proxy = Proxy::wrap(&server).options("--surface full").start();
    proxy.initialize();
    let list = proxy.request("tools/list", json!({}));
    proxy.answer(list);
    let has_it = proxy
        .raw_lines()
        .iter()
        .any(|line| String::from_utf8_lossy(line).contains(definition));
    assert!(has_it, "the definition is not the server's own bytes");
    proxy.finish();
}

#[test]
fn f48_list_changed_storm() {
    const STORM: usize = 500;
    let server = ScriptedServer::new(&format!(
        "tool echo\ntool storm\non tools/call storm\n list-changed {STORM}\n reply done\n\
         tool change\non tools/call change\n tools echo storm change new\n list-changed {STORM}\n reply done\non tools/list\n sleep 20\n plainly"
    ));
    let mut proxy = Proxy::wrap(&server).start();
    proxy.initialize();
    assert_eq!(whole_list(&mut proxy).0.len(), 3);
    let before = server.received_of("tools/list").len();
    assert_eq!(proxy.text_of_call("storm", json!({})), "done");
    assert_eq!(whole_list(&mut proxy).0.len(), 3);
    let lists = server.received_of("tools/list").len() - before;
    assert!(lists <= 10, "{lists} lists for one storm");
    let told = proxy.count_of("notifications/tools/list_changed");
    assert!(
        told <= 10,
        "{told} notifications for a list that stayed the same"
    );
    // When it did change, the client hears of it and then sees it.
    assert_eq!(proxy.text_of_call("change", json!({})), "done");
    until_true("a notification of the change", || {
        proxy.count_of("notifications/tools/list_changed") > told
    });
    until_true("the new tool in the list", || {
        whole_list(&mut proxy).0.contains(&"new".to_owned())
    });
    let told = proxy.count_of("notifications/tools/list_changed");
    assert!(told <= 20, "{told} notifications");
    proxy.finish();
}

#[test]
fn f49_empty_list_while_warming_up() {
    let state = tempfile::tempdir().expect("a state folder");
    let server = ScriptedServer::new("tool a\ntool b");
    let mut proxy = Proxy::wrap(&server).state(state.path()).start();
    proxy.initialize();
    assert_eq!(whole_list(&mut proxy).0, ["a", "b"]);
    proxy.finish();
    // The second life starts with nothing and has its tools a little later.
    server.rewrite("tool a\ntool b\ntool warm\non tools/list nth=1\n result {\"tools\":[]}\n wait gate\n list-changed");
    let mut proxy = Proxy::wrap(&server).state(state.path()).start();
    proxy.initialize();
    assert_eq!(
        whole_list(&mut proxy).0,
        ["a", "b"],
        "the list of the last time"
    );
    server.wait_received("tools/list", 2);
    // The empty list has come by now; the client still sees tools.
    assert_eq!(proxy.text_of_call("a", json!({"n": 1})), r#"{"n":1}"#);
    assert_eq!(
        whole_list(&mut proxy).0,
        ["a", "b"],
        "empty does not replace it at once"
    );
    proxy.wait_log(&["WARN", "empty"]);
    server.open("gate");
    until_true("the tools of the warm server", || {
        whole_list(&mut proxy).0.contains(&"warm".to_owned())
    });
    proxy.finish();
}

#[test]
fn f50_tool_vanished_after_the_list() {
    let server = ScriptedServer::new(
        "tool a\ntool b\ntool drop\non tools/call drop\n tools a drop\n reply dropped",
    );
    let mut proxy = Proxy::wrap(&server).start();
    proxy.initialize();
    assert_eq!(whole_list(&mut proxy).0, ["a", "b", "drop"]);
    let lists = server.received_of("tools/list").len();
    assert_eq!(proxy.text_of_call("drop", json!({})), "dropped");
    let answer = proxy.ask_call("b", json!({}));
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    // The proxy looks again and tells the client, although the server said nothing.
    server.wait_received("tools/list", lists + 1);
    until_true("a notification", || {
        proxy.count_of("notifications/tools/list_changed") > 0
    });
    until_true("the new list", || whole_list(&mut proxy).0 == ["a", "drop"]);
    proxy.finish();
}

#[test]
fn f53_one_of_several_hangs_in_its_list() {
    let (a, c) = (ScriptedServer::new("tool a"), ScriptedServer::new("tool c"));
    let hung = ScriptedServer::new("tool b\non tools/list\n wait gate\n plainly");
    let mut proxy = Proxy::servers(&[("a", &a), ("hung", &hung), ("c", &c)])
        .settings("timeouts.list_deadline = \"300ms\"")
        .start();
    proxy.initialize();
    let started = Instant::now();
    let answer = proxy.ask("tools/list", json!({}));
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    let names: Vec<&str> = answer["result"]["tools"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer}"))
        .iter()
        .filter_map(|tool| tool["name"].as_str())
        .collect();
    assert_eq!(names, ["a__a", "c__c"]);
    proxy.wait_log(&["WARN", "hung"]);
    assert!(
        answer["result"]["_meta"].to_string().contains("hung"),
        "not named in _meta: {answer}"
    );
    // Its tools come as soon as it wakes up, and the client hears of it.
    hung.open("gate");
    until_true("a notification", || {
        proxy.count_of("notifications/tools/list_changed") > 0
    });
    assert_eq!(whole_list(&mut proxy).0.len(), 3);
    proxy.finish();
}

#[test]
fn f54_names_collide() {
    let state = tempfile::tempdir().expect("a state folder");
    let mut servers = Vec::new();
    for n in 0..3 {
        servers.push(ScriptedServer::new(&format!(
            "tool same\non tools/call same\n reply from {n}\ntool own{n}"
        )));
    }
    let named = [("x", &servers[0]), ("y", &servers[1]), ("z", &servers[2])];
    for options in ["", "--prefix none", "--separator ."] {
        let mut seen: Option<Vec<String>> = None;
        for _ in 0..2 {
            let mut proxy = Proxy::servers(&named)
                .options(options)
                .state(state.path())
                .start();
            proxy.initialize();
            let names = until("all three lists", || {
                let names = whole_list(&mut proxy).0;
                (names.len() == 6).then_some(names)
            });
            let mut distinct = names.clone();
            distinct.sort();
            distinct.dedup();
            assert_eq!(distinct.len(), 6, "{options}: {names:?}");
            // Each of the three is reachable under its shown name, in the order of the servers.
            let same: Vec<&String> = names.iter().filter(|name| name.contains("same")).collect();
            assert_eq!(same.len(), 3, "{options}: {names:?}");
            for (n, name) in same.iter().enumerate() {
                assert_eq!(
                    proxy.text_of_call(name, json!({})),
                    format!("from {n}"),
                    "{options}: {name}"
                );
            }
            if let Some(before) = &seen {
                assert_eq!(*before, names, "{options}: not stable across restarts");
            }
            seen = Some(names);
            proxy.finish();
        }
    }
}

#[test]
fn f55_reduction_keeps_what_others_need() {
    let definition = json!({
        "name": "t",
        "title": "A tool",
        "description": "Does something",
        "icons": [{"src": "data:,"}],
        "inputSchema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "title": "tArguments",
            "properties": {
                "region": {"type": "string", "title": "Region", "x-mcp-header": "Region", "description": "Where"},
                "n": {"type": "integer", "minimum": 1, "default": 3}
            },
            "required": ["region"],
            "additionalProperties": false,
            "$defs": {"unused": {"type": "string", "description": "nobody refers to this"}}
        },
        "outputSchema": {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]},
        "annotations": {"readOnlyHint": true, "openWorldHint": false},
        "_meta": {"ui": {"resourceUri": "ui://x"}, "example.com/k": [1, 2.0]},
        "execution": {"taskSupport": "optional"},
        "x-unknown": {"kept": true}
    });
    let server = ScriptedServer::new(&format!("tool-raw {definition}"));
    let mut proxy = Proxy::wrap(&server).options("--surface lean").start();
    proxy.initialize();
    let lean = proxy.ask("tools/list", json!({}))["result"]["tools"][0].clone();
    for key in [
        "name",
        "description",
        "icons",
        "outputSchema",
        "annotations",
        "_meta",
        "execution",
        "x-unknown",
    ] {
        assert_eq!(lean[key], definition[key], "{key}");
    }
    let (lean, full) = (&lean["inputSchema"], &definition["inputSchema"]);
    assert_eq!(lean["properties"]["region"]["x-mcp-header"], "Region");
    assert_eq!(lean["properties"]["n"], full["properties"]["n"]);
    assert_eq!(lean["additionalProperties"], false);
    assert_eq!(lean["required"], full["required"]);
    // The negative control: it did reduce.
    assert!(
        lean.get("$defs").is_none() && lean.get("$schema").is_none(),
        "{lean}"
    );
    proxy.finish();
}

fn modern_server(request: &Request, nth: usize, reply: &mut Reply) -> bool {
    let result = match request.method() {
        "initialize" => {
            let error = json!({"jsonrpc": "2.0", "id": request.body["id"], "error": {"code": -32022, "message": "Unsupported protocol version", "data": {"supported": [MODERN]}}});
            reply.full(
                400,
                &[("Content-Type", "application/json")],
                &error.to_string(),
            );
            return true;
        }
        "server/discover" => {
            json!({"resultType": "complete", "supportedVersions": [MODERN], "capabilities": {"tools": {}}, "ttlMs": 0, "cacheScope": "private"})
        }
        "tools/list" => {
            // The second list asks for another header than the first.
            let header = if nth == 1 { "Old" } else { "Region" };
            let schema = json!({"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": header}, "unset": {"type": "string", "x-mcp-header": "Unset"}, "n": {"type": "integer", "x-mcp-header": "Count"}}});
            json!({"resultType": "complete", "tools": [{"name": "t", "inputSchema": schema}], "ttlMs": 0, "cacheScope": "private"})
        }
        "tools/call" if request.header("mcp-param-region").is_none() => {
            let error = json!({"jsonrpc": "2.0", "id": request.body["id"], "error": {"code": -32020, "message": "Header mismatch: Mcp-Param-Region"}});
            reply.full(
                400,
                &[("Content-Type", "application/json")],
                &error.to_string(),
            );
            return true;
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
fn f56_server_wants_argument_headers() {
    let upstream = HttpUpstream::start(modern_server);
    let mut proxy = Proxy::upstream(&upstream.url()).start();
    // A legacy client: every header is the proxy's work.
    proxy.initialize_as(LEGACY, json!({}));
    proxy.ask("tools/list", json!({}));
    assert_eq!(
        proxy.text_of_call("t", json!({"region": "eu", "n": 7})),
        "done"
    );
    let calls = upstream.requests_of("tools/call");
    let header = |call: &Request, name: &str| call.header(name).map(str::to_owned);
    assert_eq!(calls.len(), 2, "one refusal, one retry");
    assert_eq!(header(&calls[0], "mcp-param-old").as_deref(), Some("eu"));
    assert_eq!(header(&calls[1], "mcp-param-region").as_deref(), Some("eu"));
    assert_eq!(header(&calls[1], "mcp-param-count").as_deref(), Some("7"));
    assert_eq!(header(&calls[1], "mcp-param-unset"), None);
    for call in &calls {
        assert_eq!(header(call, "mcp-method").as_deref(), Some("tools/call"));
        assert_eq!(header(call, "mcp-name").as_deref(), Some("t"));
        assert_eq!(
            header(call, "mcp-protocol-version").as_deref(),
            Some(MODERN)
        );
    }
    let lists = upstream.requests_of("tools/list").len();
    // What is no plain text travels encoded (MCP 2026-07-28 basic/transports, "Value encoding").
    assert_eq!(proxy.text_of_call("t", json!({"region": "Zürich"})), "done");
    let call: Request = upstream.requests_of("tools/call").pop().expect("a call");
    assert_eq!(
        header(&call, "mcp-param-region").as_deref(),
        Some("=?base64?WsO8cmljaA==?=")
    );
    // A server that refuses every time gets one retry, and its error reaches the client.
    let answer: Value = proxy.ask_call("t", json!({"n": 1}));
    assert_eq!(answer["error"]["code"], -32020, "{answer}");
    assert_eq!(upstream.requests_of("tools/call").len(), 5);
    assert!(upstream.requests_of("tools/list").len() <= lists + 1);
    proxy.finish();
}
