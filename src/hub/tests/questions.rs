//! What servers ask, and who is asked: across crashes, new settings and shared connections.

use super::*;

const QUESTION: &str =
    r#"{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"?"}}"#;

/// A call of a modern client.
fn modern_call(id: u32, extra: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"t{id}",{META}{extra}}}}}"#
    )
}

fn answer(id: &str, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
}

/// What comes back with an answer to the first question.
fn resumed(asked: &str) -> String {
    let state = asked.split("\"requestState\":\"").nth(1).unwrap();
    let state = state.split('"').next().unwrap();
    format!(r#","inputResponses":{{"question-1":{{"action":"accept"}}}},"requestState":"{state}""#)
}

/// A modern client's calls at a legacy server that is ready.
fn calls(world: &mut World, n: u32) -> (UpstreamId, Vec<String>) {
    let mut at = 0;
    for id in 1..=n {
        world.client(&modern_call(id, ""));
        if let Some((upstream, line)) = world
            .sent()
            .into_iter()
            .find(|(_, line)| line.contains("\"initialize\""))
        {
            world.welcome(upstream, &line);
            at = upstream;
        }
    }
    let ids = (1..=n).map(|id| id.to_string()).collect();
    world.sent();
    (at, ids)
}

/// A legacy client whose call 5 has a modern server ask, and the question as it got it.
fn asked_by_a_modern_server() -> (World, UpstreamId, String) {
    let mut world = World::new(&["s"], EraChoice::Modern);
    let upstream = world.shake()[0];
    world.got();
    world.sent();
    world.client(r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"t"}}"#);
    let (_, call) = world.sent_one();
    world.server(
        upstream,
        &answer(
            &id(&call),
            r#"{"resultType":"input_required","inputRequests":{"k":{"method":"elicitation/create","params":{"message":"?"}}},"requestState":"s"}"#,
        ),
    );
    let question = world.got_one();
    (world, upstream, question)
}

/// Broken variant that this catches: questions that nobody was asked yet are kept when their process dies, and asked
/// on a later call.
#[test]
fn a_dead_process_asks_nobody() {
    for is_cancelled in [false, true] {
        let mut world = World::new(&["s"], EraChoice::Legacy);
        let (upstream, _) = calls(&mut world, 3);
        world.server(upstream, QUESTION);
        assert!(world.got().is_empty(), "nobody knows whose it is");
        if is_cancelled {
            world.server(
                upstream,
                r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"q"}}"#,
            );
            for id in ["1", "2"] {
                world.server(upstream, &answer(id, r#"{"content":[]}"#));
            }
            assert_eq!(world.got().len(), 2);
        } else {
            world.crash(upstream);
            assert_eq!(world.got().len(), 3);
            world.pass(Duration::from_millis(100));
            let (_, line) = world.sent_one();
            world.welcome(upstream, &line);
            for id in [4, 5] {
                world.client(&modern_call(id, ""));
            }
            world.sent();
            world.server(upstream, &answer("4", r#"{"content":[]}"#));
            assert_eq!(id(&world.got_one()), "4");
        }
        assert!(world.got().is_empty() && world.sent().is_empty());
    }
}

/// Broken variant that this catches: a question waits on although its caller is the only one left, because the others
/// were cancelled instead of answered.
#[test]
fn a_question_goes_to_the_one_call_that_is_left() {
    let mut world = World::new(&["s"], EraChoice::Legacy);
    let (upstream, _) = calls(&mut world, 2);
    world.server(upstream, QUESTION);
    assert!(world.got().is_empty());
    world
        .client(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#);
    let asked = world.got_one();
    assert!(
        asked.contains("input_required") && id(&asked) == "2",
        "{asked}"
    );
}

/// Broken variant that this catches: a modern server's question is dropped when its process dies, and the call waits
/// for its longest time.
#[test]
fn a_modern_server_may_die_while_its_question_is_open() {
    for (new, is_answered) in [(None, true), (Some("other"), false)] {
        let (mut world, upstream, question) = asked_by_a_modern_server();
        if let Some(new) = new {
            // It leaves the settings too, and stays for the call until it dies.
            world
                .hub
                .replace_settings(world.now, settings(&[new], EraChoice::Modern));
            world.act();
        }
        world.crash(upstream);
        world.sent();
        if is_answered {
            assert!(world.got().is_empty());
            world.client(&answer(&id(&question), r#"{"action":"accept"}"#));
            world.pass(Duration::from_millis(100));
            let sent = world.sent();
            let (_, line) = sent
                .iter()
                .find(|(_, line)| line.contains("discover"))
                .unwrap();
            world.welcome(upstream, line);
            let sent = world.sent();
            let (_, call) = sent
                .iter()
                .find(|(_, line)| line.contains("tools/call"))
                .unwrap();
            assert!(call.contains(r#""requestState":"s""#), "{call}");
            world.server(
                upstream,
                &answer(&id(call), r#"{"resultType":"complete","content":[]}"#),
            );
        }
        let got = world.got();
        let ours: Vec<&String> = got
            .iter()
            .filter(|line| line.contains("\"id\":5"))
            .collect();
        assert_eq!(ours.len(), 1, "{got:?}");
        assert_eq!(ours[0].contains("\"error\""), !is_answered, "{got:?}");
    }
}

/// Broken variant that this catches: the index of a connection that is gone, which ended the whole proxy.
#[test]
fn a_server_that_left_may_still_ask() {
    let mut world = World::new(&["s"], EraChoice::Auto);
    let upstream = world.legacy();
    world.crash(upstream);
    world
        .hub
        .replace_settings(world.now, settings(&["other"], EraChoice::Auto));
    world.act();
    world.sent();
    world.got();
    for method in ["ping", "roots/list", "sampling/createMessage"] {
        world.server(
            upstream,
            &format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{}}}}"#),
        );
    }
    world.server(upstream, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    assert!(world.sent().is_empty() && world.got().is_empty());
}

/// Broken variant that this catches: a server that left the settings is ended although a modern client will come back
/// with its answers, and the whole proxy with it.
#[test]
fn a_parked_call_keeps_its_server() {
    let mut world = World::new(&["s"], EraChoice::Legacy);
    let (upstream, _) = calls(&mut world, 1);
    world.server(upstream, QUESTION);
    let asked = world.got_one();
    // The server gives up waiting, and answers.
    world.server(
        upstream,
        &answer("1", r#"{"content":[{"type":"text","text":"no"}]}"#),
    );
    world
        .hub
        .replace_settings(world.now, settings(&["other"], EraChoice::Legacy));
    world.act();
    assert!(world.got().is_empty());
    world.client(&modern_call(2, &resumed(&asked)).replace("\"t2\"", "\"t1\""));
    let answer = world.got_one();
    assert!(id(&answer) == "2" && answer.contains("\"no\""), "{answer}");
    assert!(
        !world
            .hub
            .upstreams
            .get(&upstream)
            .is_some_and(|record| record.is_ready())
    );
}

/// Broken variant that this catches: an answer that nobody can read leaves the call that asked for it waiting.
#[test]
fn an_unreadable_answer_fails_its_call() {
    let (mut world, _, question) = asked_by_a_modern_server();
    world.client(&format!(
        r#"{{"jsonrpc":"2.0","id":{},"result":{{"action":"accept"}},"error":[}}"#,
        id(&question)
    ));
    let got = world.got();
    assert!(
        got.iter()
            .any(|line| line.contains("\"id\":5") && line.contains("error")),
        "{got:?}"
    );
    assert_eq!(world.hub.in_flight(), 0);
}

/// Broken variant that this catches: questions that a client leaves open are kept without an end.
#[test]
fn open_questions_have_a_bound() {
    let mut world = World::new(&["s"], EraChoice::Auto);
    let upstream = world.legacy();
    for n in 0..2000 {
        world.server(upstream, &QUESTION.replace("\"q\"", &format!("\"q{n}\"")));
    }
    let asked = world.got().len();
    let refused = world.sent().len();
    assert_eq!(asked + refused, 2000);
    assert_eq!(asked, 1024);
}

/// Carries messages between two hops until none moves any more; returns what the server behind them got.
fn carry(outer: &mut World, inner: &mut World) -> Vec<(UpstreamId, String)> {
    let mut calls = Vec::new();
    loop {
        let (down, behind, up) = (outer.sent(), inner.sent(), inner.got());
        if down.is_empty() && behind.is_empty() && up.is_empty() {
            return calls;
        }
        let hop = *outer.hub.upstreams.keys().next().unwrap();
        for line in up {
            outer.server(hop, &line);
        }
        for (_, line) in down {
            inner.client(&line);
        }
        for (upstream, line) in behind {
            if line.contains("\"initialize\"") {
                inner.welcome(upstream, &line);
            } else {
                calls.push((upstream, line));
            }
        }
    }
}

/// Broken variant that this catches: the outer of two hops takes the inner one's state for its own and refuses it, and
/// the question can never be answered.
#[test]
fn a_question_is_answered_through_two_hops() {
    let mut outer = World::new(&["s"], EraChoice::Modern);
    let mut inner = World::seeded([8; 32], settings(&["s"], EraChoice::Legacy), None);
    outer.client(&modern_call(1, ""));
    let calls = carry(&mut outer, &mut inner);
    let is_call = |(_, line): &&(UpstreamId, String)| line.contains("tools/call");
    let (upstream, call) = calls.iter().find(is_call).unwrap();
    inner.server(*upstream, QUESTION);
    carry(&mut outer, &mut inner);
    let asked = outer.got_one();
    outer.client(&modern_call(2, &resumed(&asked)).replace("\"t2\"", "\"t1\""));
    let given = carry(&mut outer, &mut inner);
    let is_given =
        |(_, line): &(UpstreamId, String)| line.contains(r#""id":"q""#) && line.contains("accept");
    assert!(given.iter().any(is_given), "{given:?} {:?}", outer.got());
    inner.server(*upstream, &answer(&id(call), r#"{"content":[]}"#));
    carry(&mut outer, &mut inner);
    let done = outer.got_one();
    assert!(id(&done) == "2" && done.contains("content"), "{done}");
}

/// Broken variant that this catches: whatever begins like a state of ours is judged here, though the server gave it.
/// Where no server can have given it, it is one from before a restart, and no call is made on it.
#[test]
fn the_state_of_another_process_is_the_servers_to_judge() {
    for theirs in [
        "whittle1.0123456789abcdef.1.1.00000000000000000000000000000000",
        "whittle1.0123456789abcdef.approve.00000000000000000000000000000000",
    ] {
        let more = format!(
            r#","inputResponses":{{"question-1":{{"action":"accept"}}}},"requestState":"{theirs}""#
        );
        let mut world = World::new(&["s"], EraChoice::Modern);
        world.client(&modern_call(1, &more));
        let (upstream, line) = world.sent_one();
        world.welcome(upstream, &line);
        let sent = world.sent();
        let is_whole = |(_, line): &(UpstreamId, String)| {
            line.contains(theirs) && line.contains("inputResponses")
        };
        assert!(sent.iter().any(is_whole), "{sent:?} {:?}", world.got());
        let mut world = World::new(&["s"], EraChoice::Legacy);
        calls(&mut world, 1);
        world.client(&modern_call(2, &more));
        assert!(world.got_one().contains("-32602"));
        assert!(world.sent().is_empty());
    }
}

/// Broken variant that this catches: a call whose client never comes back with the answer counts as one that may ask,
/// and every later question of its server waits until that call is given up.
#[test]
fn an_abandoned_question_holds_up_no_other() {
    let mut world = World::new(&["s"], EraChoice::Legacy);
    let (upstream, _) = calls(&mut world, 1);
    let question = |n: u32| QUESTION.replace("\"q\"", &format!("\"q{n}\""));
    world.server(upstream, &question(1));
    assert!(world.got_one().contains("input_required"));
    // Alone it may ask more, and is told nothing else.
    world.server(upstream, &question(2));
    assert!(world.got().is_empty() && world.sent().is_empty());
    world.client(&modern_call(2, ""));
    world.sent();
    world.server(upstream, &question(3));
    let asked = world.got_one();
    assert!(
        asked.contains("input_required") && id(&asked) == "2",
        "{asked}"
    );
    // Nobody can say which of two that wait for their clients asks again.
    world.server(upstream, &question(4));
    let (_, refused) = world.sent_one();
    assert!(
        refused.contains("\"q4\"") && refused.contains("-32603"),
        "{refused}"
    );
    let resumed = modern_call(3, &resumed(&asked)).replace("\"t3\"", "\"t2\"");
    world.client(&resumed);
    let (_, given) = world.sent_one();
    assert!(
        given.contains("\"q3\"") && given.contains("accept"),
        "{given}"
    );
}
