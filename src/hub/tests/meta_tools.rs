//! Calls of our own tools, and arguments judged where the client was not shown the schema.

use super::surface::{LIST, hidden, lean, reader, with_surface};
use super::*;

fn call(id: u32, name: &str, arguments: &str, more: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{name}","arguments":{arguments}{more}}}}}"#
    )
}

fn params(line: &str) -> serde_json::Value {
    serde_json::from_str::<serde_json::Value>(line).unwrap()["params"].clone()
}

#[test]
fn a_caller_sends_the_real_call_and_nothing_else_changes() {
    let (mut world, upstream) = World::listed(EraChoice::Auto, hidden(), &[reader("t")]);
    world.client(&call(
        5,
        "call_read_tool",
        r#"{"name":"t","arguments":{ "x" : 1.0e0,"é":"\u00e9" }}"#,
        r#","_meta":{"progressToken":"p","vendor/x":[1, 2]}"#,
    ));
    assert_eq!(
        world.sent_one().1,
        r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"t","arguments":{ "x" : 1.0e0,"é":"\u00e9" },"_meta":{"progressToken":"p","vendor/x":[1, 2]}}}"#
    );
    let progress = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":1}}"#;
    world.server(upstream, progress);
    assert_eq!(world.got_one(), progress);
    let answer = r#"{"jsonrpc":"2.0","id":5,"result":{"content":[],"vendor":1.0}}"#;
    world.server(upstream, answer);
    assert_eq!(world.got_one(), answer);
    assert_eq!(world.hub.in_flight(), 0);
}

#[test]
fn a_cancelled_caller_cancels_the_real_call() {
    let (mut world, upstream) = World::listed(EraChoice::Auto, hidden(), &[reader("t")]);
    world.client(&call(
        5,
        "call_read_tool",
        r#"{"name":"t","arguments":{"x":1}}"#,
        "",
    ));
    world.sent();
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}"#;
    world.client(cancel);
    assert_eq!(world.sent_one().1, cancel);
    world.server(upstream, r#"{"jsonrpc":"2.0","id":5,"result":{}}"#);
    assert!(world.got().is_empty());
    assert_eq!(world.hub.in_flight(), 0);
}

#[test]
fn questions_of_a_modern_server_keep_the_inner_arguments() {
    let (mut world, upstream) = World::listed(EraChoice::Modern, hidden(), &[reader("t")]);
    world.client(&call(
        5,
        "call_read_tool",
        r#"{"name":"t","arguments":{"x":1}}"#,
        "",
    ));
    for round in 1..=2 {
        let (_, line) = world.sent_one();
        let sent = params(&line);
        assert_eq!(sent["name"], "t", "round {round}");
        assert_eq!(
            sent["arguments"],
            serde_json::json!({"x": 1}),
            "round {round}"
        );
        let is_second = round == 2;
        assert_eq!(sent.get("requestState").is_some(), is_second);
        assert_eq!(sent.get("inputResponses").is_some(), is_second);
        world.server(
            upstream,
            &format!(
                r#"{{"jsonrpc":"2.0","id":{},"result":{{"resultType":"input_required","inputRequests":{{"k":{{"method":"elicitation/create","params":{{"message":"?"}}}}}},"requestState":"s{round}"}}}}"#,
                id(&line)
            ),
        );
        let question = world.got_one();
        world.client(&format!(
            r#"{{"jsonrpc":"2.0","id":{},"result":{{"action":"accept"}}}}"#,
            id(&question)
        ));
    }
    let (_, line) = world.sent_one();
    let sent = params(&line);
    assert_eq!(sent["requestState"], "s2");
    assert_eq!(sent["arguments"], serde_json::json!({"x": 1}));
    world.server(
        upstream,
        &format!(
            r#"{{"jsonrpc":"2.0","id":{},"result":{{"resultType":"complete","content":[]}}}}"#,
            id(&line)
        ),
    );
    assert_eq!(id(&world.got_one()), "5");
}

#[test]
fn a_modern_client_comes_back_through_the_caller() {
    // To a modern server with the server's own state.
    let (mut world, upstream) = World::listed(EraChoice::Modern, hidden(), &[reader("t")]);
    world.client(&format!(
        r#"{{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{{{META}}}}}"#
    ));
    world.list(upstream, &[reader("t")]);
    world.make();
    world.got();
    let inner = r#"{"name":"t","arguments":{"x":1}}"#;
    world.client(&call(
        6,
        "call_read_tool",
        inner,
        &format!(r#","inputResponses":{{"k":{{"action":"accept"}}}},"requestState":"s1",{META}"#),
    ));
    let sent = params(&world.sent_one().1);
    assert_eq!(sent["name"], "t");
    assert_eq!(sent["arguments"], serde_json::json!({"x": 1}));
    assert_eq!(sent["requestState"], "s1");
    assert_eq!(sent["inputResponses"]["k"]["action"], "accept");

    // To a legacy server that asks while the call is open.
    let mut world = World::of(with_surface(&["s"], EraChoice::Legacy, hidden()), None);
    world.client(&format!(
        r#"{{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{{{META}}}}}"#
    ));
    let (upstream, line) = world.sent_one();
    world.welcome(upstream, &line);
    world.list(upstream, &[reader("t")]);
    world.make();
    world.got();
    world.sent();
    world.client(&call(6, "call_read_tool", inner, &format!(",{META}")));
    let (_, sent) = world.sent_one();
    world.server(
        upstream,
        r#"{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"?"}}"#,
    );
    let asked = world.got_one();
    let state = asked.split("\"requestState\":\"").nth(1).unwrap();
    let state = state.split('"').next().unwrap();
    world.client(&call(
        7,
        "call_read_tool",
        inner,
        &format!(
            r#","inputResponses":{{"question-1":{{"action":"accept"}}}},"requestState":"{state}",{META}"#
        ),
    ));
    assert!(world.sent_one().1.contains("accept"));
    world.server(
        upstream,
        &format!(
            r#"{{"jsonrpc":"2.0","id":{},"result":{{"content":[]}}}}"#,
            id(&sent)
        ),
    );
    assert_eq!(id(&world.got_one()), "7");
    assert_eq!(world.hub.in_flight(), 0);
}

#[test]
fn a_remembered_name_of_ours_is_understood_before_the_first_list() {
    let mut world = World::of(with_surface(&["s"], EraChoice::Auto, hidden()), None);
    let upstream = world.shake()[0];
    world.client(&call(
        5,
        "call_read_tool",
        r#"{"name":"t","arguments":{"x":1}}"#,
        r#","cursor":"of nothing""#,
    ));
    world.list(upstream, &[reader("t")]);
    world.make();
    let sent = params(&world.sent_one().1);
    assert_eq!(sent["name"], "t");
    assert!(world.got().is_empty());
    world.server(
        upstream,
        r#"{"jsonrpc":"2.0","id":5,"result":{"content":[]}}"#,
    );
    world.got_one();
}

#[test]
fn without_tools_a_name_of_ours_is_the_servers_business() {
    for answer in [
        r#""error":{"code":-32601,"message":"Method not found"}"#,
        r#""result":{"tools":[]}"#,
    ] {
        let mut world = World::of(with_surface(&["s"], EraChoice::Auto, hidden()), None);
        let upstream = world.shake()[0];
        let line = call(5, "search_tools", r#"{"queries":["x"]}"#, "");
        world.client(&line);
        let (_, list) = world.sent_one();
        world.server(
            upstream,
            &format!(r#"{{"jsonrpc":"2.0","id":{},{answer}}}"#, id(&list)),
        );
        world.make();
        assert_eq!(world.sent_one().1, line);
        let refusal =
            r#"{"jsonrpc":"2.0","id":5,"error":{"code":-32602,"message":"Unknown tool"}}"#;
        world.server(upstream, refusal);
        assert_eq!(world.got_one(), refusal);
    }
}

#[test]
fn what_came_since_is_callable_and_what_went_is_no_ghost() {
    let (mut world, upstream) =
        World::listed(EraChoice::Auto, hidden(), &[reader("old"), reader("kept")]);
    world.changed(
        upstream,
        &[reader("kept").replace("integer", "string"), reader("new")],
    );
    // New: by its own name, and through a caller.
    world.client(&call(5, "new", r#"{"x":1}"#, ""));
    assert_eq!(params(&world.sent_one().1)["name"], "new");
    world.client(&call(
        6,
        "call_read_tool",
        r#"{"name":"new","arguments":{"x":1}}"#,
        "",
    ));
    assert_eq!(params(&world.sent_one().1)["name"], "new");
    // Gone: not found any more, and a call is answered by the server.
    let ask = r#"{"queries":["reads a old","reads a kept"]}"#;
    world.client(&call(7, "search_tools", ask, ""));
    let found = world.got_one();
    assert!(
        found.contains("[read] kept") && !found.contains("] old"),
        "{found}"
    );
    world.client(&call(
        8,
        "describe_tools",
        r#"{"names":["old","kept","new"]}"#,
        "",
    ));
    let described = world.got_one();
    assert!(described.contains("`old`: no such tool"), "{described}");
    assert!(
        described.contains(r#"\"type\":\"string\""#),
        "as it is now: {described}"
    );
    assert!(described.contains("`new` [read"), "{described}");
    world.client(&call(
        9,
        "call_read_tool",
        r#"{"name":"old","arguments":{"x":1}}"#,
        "",
    ));
    assert_eq!(params(&world.sent_one().1)["name"], "old");
    let refusal =
        r#"{"jsonrpc":"2.0","id":9,"error":{"code":-32602,"message":"Unknown tool: old"}}"#;
    world.server(upstream, refusal);
    assert_eq!(world.got_one(), refusal);
    // By what it is now, not by what was shown.
    world.client(&call(10, "kept", r#"{"x":1}"#, ""));
    assert!(world.got_one().contains("Not sent to the server"));
}

/// Broken variant that this catches: `null` judged as a value that is no object, although callers of ours and
/// servers take it for no arguments.
#[test]
fn arguments_of_null_are_none() {
    let lax = reader("t").replace(r#","required":["x"]"#, "");
    let (mut world, upstream) = World::listed(EraChoice::Auto, hidden(), &[lax, reader("u")]);
    let by_name = call(5, "t", "null", "");
    world.client(&by_name);
    assert_eq!(world.sent_one().1, by_name);
    let answer = r#"{"jsonrpc":"2.0","id":5,"result":{"content":[]}}"#;
    world.server(upstream, answer);
    assert_eq!(world.got_one(), answer);
    world.client(&call(6, "u", "null", ""));
    let refusal = world.got_one();
    assert!(refusal.contains("(required), got nothing"), "{refusal}");
}

#[test]
fn what_only_looks_like_a_tool_is_unknown() {
    let mut world = World::of(with_surface(&["a", "b"], EraChoice::Auto, hidden()), None);
    let upstreams = world.shake();
    world.list_again(&[
        (upstreams[0], &[reader("t")]),
        (upstreams[1], &[reader("u")]),
    ]);
    for caller in ["call_read_tool", "call_destructive_tool"] {
        world.client(&call(5, caller, r#"{"name":"a__tt","arguments":{}}"#, ""));
        let answer = world.got_one();
        assert!(answer.contains("there is no tool `a__tt`"), "{answer}");
    }
    world.client(&call(
        6,
        "call_read_tool",
        r#"{"name":"b__u","arguments":{"x":1}}"#,
        "",
    ));
    let (to, line) = world.sent_one();
    assert_eq!((to, &params(&line)["name"]), (upstreams[1], &"u".into()));
}

#[test]
fn help_stands_beside_a_servers_own_error_and_only_there() {
    let (mut world, upstream) = World::listed(EraChoice::Auto, lean(), &[reader("t")]);
    let mut n = 10;
    let mut answer = |world: &mut World, arguments: &str, body: &str| {
        n += 1;
        world.client(&call(n, "t", arguments, ""));
        world.list(upstream, &[reader("t")]);
        let (_, line) = world.sent_one();
        let answer = format!(r#"{{"jsonrpc":"2.0","id":{},{body}}}"#, id(&line));
        world.server(upstream, &answer);
        world.list(upstream, &[reader("t")]);
        let got = world.got_one();
        let value: serde_json::Value = serde_json::from_str(&got).unwrap();
        (got == answer, value)
    };
    let wrong = r#"{"x":"no"}"#;
    // Content that can be added to.
    for content in ["[]", "[ ]", r#"[{"type":"text","text":"bad"}]"#] {
        let body = format!(r#""result":{{"content":{content},"isError":true}}"#);
        let (_, value) = answer(&mut world, wrong, &body);
        let blocks = value["result"]["content"].as_array().unwrap();
        let last = blocks.last().unwrap()["text"].as_str().unwrap();
        assert!(
            last.contains("[mcp-whittle]") && last.contains("`t`"),
            "{value}"
        );
        assert_eq!(blocks.len(), 1 + usize::from(content.contains("bad")));
    }
    let refusal = r#""error":{"code":-32602,"message":"Bad \"q\"","data":[1]}"#;
    let (_, value) = answer(&mut world, wrong, refusal);
    let message = value["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("Bad \"q\"\n[mcp-whittle]"), "{message}");
    assert_eq!(value["error"]["data"], serde_json::json!([1]));
    // Everything else comes as it is.
    for body in [
        r#""result":{"isError":true}"#,
        r#""result":{"content":{"a":1},"isError":true}"#,
        r#""result":{"content":"x","isError":true}"#,
        r#""result":{"content":[],"isError":false}"#,
        r#""result":{"content":[],"isError":"true"}"#,
        r#""error":{"code":-32602}"#,
        r#""error":{"code":-32602,"message":7}"#,
        r#""error":{"code":-32603,"message":"no"}"#,
        // The server's own words name the parameter.
        r#""error":{"code":-32602,"message":"Bad \"x\""}"#,
        r#""result":{"content":[{"type":"text","text":"1 validation error\nx\n  not an integer"}],"isError":true}"#,
    ] {
        assert!(answer(&mut world, wrong, body).0, "{body}");
    }
    let right = r#"{"x":1}"#;
    assert!(
        answer(
            &mut world,
            right,
            r#""result":{"content":[],"isError":true}"#
        )
        .0
    );
    assert!(answer(&mut world, right, refusal).0);
}

#[test]
fn help_reaches_clients_of_the_other_era() {
    for (era, more) in [(EraChoice::Modern, ""), (EraChoice::Legacy, META)] {
        let (mut world, upstream) = World::listed(era, lean(), &[reader("t")]);
        let more = if more.is_empty() {
            String::new()
        } else {
            format!(",{more}")
        };
        for (body, at) in [
            (
                r#""result":{"content":[{"type":"text","text":"no"}],"isError":true,"resultType":"complete"}"#,
                "/result/content/1/text",
            ),
            (
                r#""result":{"content":[],"isError":true,"structuredContent":[1],"resultType":"complete"}"#,
                "/result/content/0/text",
            ),
            (
                r#""error":{"code":-32602,"message":"no"}"#,
                "/error/message",
            ),
        ] {
            world.client(&call(5, "t", r#"{"x":"no"}"#, &more));
            world.list(upstream, &[reader("t")]);
            let (_, line) = world.sent_one();
            world.server(
                upstream,
                &format!(r#"{{"jsonrpc":"2.0","id":{},{body}}}"#, id(&line)),
            );
            world.list(upstream, &[reader("t")]);
            let got = world.got_one();
            let value: serde_json::Value = serde_json::from_str(&got).unwrap();
            let text = value
                .pointer(at)
                .and_then(|text| text.as_str())
                .unwrap_or_default();
            // Structured content that becomes the text leaves no place.
            let has_place = !(body.contains("structuredContent") && era == EraChoice::Modern);
            assert_eq!(text.contains("[mcp-whittle]"), has_place, "{got}");
        }
    }
}

#[test]
fn inner_hops_and_transparent_proxies_neither_refuse_nor_help() {
    for is_inner in [true, false] {
        let mut settings = with_surface(&["s"], EraChoice::Auto, hidden());
        settings.is_transparent = !is_inner;
        let mut world = World::of(settings, None);
        if is_inner {
            world.hub.sessions.get_mut(&world.session).unwrap().is_inner = true;
        }
        let upstream = world.shake()[0];
        world.client(LIST);
        let (_, line) = world.sent_one();
        let list = format!(
            r#"{{"jsonrpc":"2.0","id":{},"result":{{"tools":[{}]}}}}"#,
            id(&line),
            reader("t")
        );
        world.server(upstream, &list);
        assert_eq!(world.got_one(), list);
        for name in ["t", "call_read_tool", "search_tools"] {
            let line = call(5, name, r#"{"x":"no"}"#, "");
            world.client(&line);
            assert_eq!(world.sent_one().1, line);
            let error = r#"{"jsonrpc":"2.0","id":5,"result":{"content":[],"isError":true}}"#;
            world.server(upstream, error);
            assert_eq!(world.got_one(), error);
        }
    }
}

#[test]
fn calls_of_ours_have_their_place_in_a_batch() {
    let mut world = World::of(with_surface(&["s"], EraChoice::Auto, hidden()), None);
    world.client(r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-03-26","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#);
    let (upstream, line) = world.sent_one();
    world.server(
        upstream,
        &INITIALIZED
            .replace("\"id\":0", &format!("\"id\":{}", id(&line)))
            .replace("2025-11-25", "2025-03-26"),
    );
    world.client(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    world.got();
    world.sent();
    let search = call(2, "search_tools", r#"{"queries":["reads a t"]}"#, "");
    let inner = call(
        3,
        "call_read_tool",
        r#"{"name":"t","arguments":{"x":1}}"#,
        "",
    );
    world.client(&format!("[{LIST},{search},{inner}]"));
    world.list(upstream, &[reader("t")]);
    world.make();
    assert!(world.got().is_empty());
    let (_, sent) = world.sent_one();
    world.server(
        upstream,
        &format!(
            r#"{{"jsonrpc":"2.0","id":{},"result":{{"content":[]}}}}"#,
            id(&sent)
        ),
    );
    let batch: serde_json::Value = serde_json::from_str(&world.got_one()).unwrap();
    let mut ids: Vec<i64> = batch
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one["id"].as_i64())
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, [1, 2, 3]);
}

#[test]
fn a_server_lost_under_a_caller_fails_that_call_once() {
    let (mut world, upstream) = World::listed(EraChoice::Auto, hidden(), &[reader("t")]);
    world.client(&call(
        5,
        "call_read_tool",
        r#"{"name":"t","arguments":{"x":1}}"#,
        "",
    ));
    world.sent();
    world.crash(upstream);
    assert!(world.got_one().contains("maybe_executed"));
    // A search needs no server, and the list neither.
    world.client(&call(6, "search_tools", r#"{"queries":["reads a t"]}"#, ""));
    assert!(world.got_one().contains("[read] t"));
    world.client(LIST);
    assert!(world.got_one().contains("search_tools"));
    // A call waits for the server to come back and list its tools, and then is the real one.
    world.client(&call(
        7,
        "call_read_tool",
        r#"{"name":"t","arguments":{"x":2}}"#,
        "",
    ));
    world.pass(Duration::from_millis(100));
    let (_, again) = world.sent_one();
    world.welcome(upstream, &again);
    assert_eq!(world.list(upstream, &[reader("t")]), 1);
    let call = world
        .sent()
        .into_iter()
        .find(|(_, line)| line.contains("tools/call"));
    let sent = params(&call.unwrap().1);
    assert_eq!(
        (&sent["name"], &sent["arguments"]["x"]),
        (&"t".into(), &2.into())
    );
}

/// What an answer cost stands in searches, not in lists; errors and pictures say nothing.
#[test]
fn a_search_says_what_calls_have_cost() {
    let tools = [reader("dial"), reader("gauge"), reader("lamp")];
    let (mut world, upstream) = World::listed(EraChoice::Legacy, hidden(), &tools);
    let text = "x".repeat(4000);
    for (id, name, result) in [
        (
            5,
            "dial",
            format!(r#"{{"content":[{{"type":"text","text":"{text}"}}]}}"#),
        ),
        (
            6,
            "gauge",
            format!(r#"{{"content":[{{"type":"text","text":"{text}"}}],"isError":true}}"#),
        ),
        (
            7,
            "lamp",
            r#"{"content":[{"type":"image","data":"AAAA","mimeType":"image/png"}]}"#.to_owned(),
        ),
    ] {
        let inner = format!(r#"{{"name":"{name}","arguments":{{"x":1}}}}"#);
        world.client(&call(id, "call_read_tool", &inner, ""));
        world.sent();
        world.server(
            upstream,
            &format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#),
        );
    }
    world.got();
    world.client(&call(
        8,
        "search_tools",
        r#"{"queries":["dial","gauge","lamp"]}"#,
        "",
    ));
    let found = world.got_one();
    assert_eq!(found.matches("about 1.0k tokens").count(), 1, "{found}");
    assert_eq!(found.matches("about").count(), 1, "{found}");
    // From an earlier process: one larger answer, and one of somebody else.
    let mut before = crate::hub::costs::CallCosts::default();
    let sizes = |bytes| crate::hub::costs::Sizes::of([bytes], bytes);
    before.add_newer("user", "dial", &sizes(400_000));
    before.add_newer("loopback", "lamp", &sizes(400_000));
    world.hub.handle_costs(before);
    world.client(&call(
        9,
        "search_tools",
        r#"{"queries":["dial","gauge","lamp"]}"#,
        "",
    ));
    let found = world.got_one();
    assert!(found.contains("about 1.0k tokens, up to 100k"), "{found}");
    assert_eq!(found.matches("about").count(), 1, "{found}");
}
