//! Calls that wait for a person, with a virtual clock: rounds of servers, time, and rules that change.

use super::*;
use crate::policy::Policy;
use crate::policy::pattern::Pattern;
use crate::policy::rule::{Effect, Mode, Rule, WantedHints};

fn rule(effect: Effect) -> Rule {
    Rule {
        label: "1".into(),
        effect,
        mode: Mode::Enforce,
        servers: Vec::new(),
        tools: vec![Pattern::new("t").unwrap()],
        principals: Vec::new(),
        hints: WantedHints::default(),
        tests: Vec::new(),
        is_reading: false,
    }
}

fn with_rule(effect: Effect, era: EraChoice) -> HubSettings {
    HubSettings {
        policy: Arc::new(Policy {
            rules: vec![rule(effect)],
            ..Policy::default()
        }),
        ..settings(&["s"], era)
    }
}

const AGREED: &str = r#"{"action":"accept","content":{"approve":true}}"#;

fn call(id: u32, more: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"t","arguments":{{"a":1}},{META}{more}}}}}"#
    )
}

/// The state in an answer.
fn state(line: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(value["result"]["resultType"], "input_required", "{line}");
    value["result"]["requestState"].as_str().unwrap().to_owned()
}

fn agreed(state: &str) -> String {
    format!(r#","requestState":"{state}","inputResponses":{{"approval":{AGREED}}}"#)
}

/// Shakes hands with servers that are asked to; returns the calls that they got.
fn made(world: &mut World) -> Vec<(UpstreamId, String)> {
    let mut calls = Vec::new();
    loop {
        let sent = world.sent();
        if sent.is_empty() {
            return calls;
        }
        for (upstream, line) in sent {
            if line.contains("server/discover") {
                world.welcome(upstream, &line);
            } else if line.contains("tools/call") {
                calls.push((upstream, line));
            }
        }
    }
}

#[test]
fn a_round_of_the_server_is_not_held_up_again() {
    let mut world = World::of(with_rule(Effect::Approve, EraChoice::Modern), None);
    world.client(&call(1, ""));
    let ours = state(&world.got_one());
    assert!(made(&mut world).is_empty(), "nothing before the answer");
    world.client(&call(2, &agreed(&ours)));
    let (upstream, sent) = made(&mut world).remove(0);
    assert!(
        !sent.contains("requestState") && !sent.contains("inputResponses"),
        "{sent}"
    );
    let asks = format!(
        r#"{{"jsonrpc":"2.0","id":{},"result":{{"resultType":"input_required","inputRequests":{{"q":{{"method":"elicitation/create","params":{{}}}}}},"requestState":"theirs"}}}}"#,
        id(&sent)
    );
    world.server(upstream, &asks);
    assert_eq!(state(&world.got_one()), "theirs");
    let theirs = r#","requestState":"theirs","inputResponses":{"q":{"action":"decline"}}"#;
    world.client(&call(3, theirs));
    let (_, sent) = made(&mut world).remove(0);
    assert!(
        sent.contains("\"theirs\"") && sent.contains("decline"),
        "{sent}"
    );
    let done = r#"{"resultType":"complete","content":[]}"#;
    world.server(
        upstream,
        &format!(r#"{{"jsonrpc":"2.0","id":{},"result":{done}}}"#, id(&sent)),
    );
    assert!(world.got_one().contains("complete"));
    // The round is over: the same again is another call, and asked about.
    world.client(&call(4, theirs));
    state(&world.got_one());
    assert!(made(&mut world).is_empty());
}

#[test]
fn a_question_has_its_time() {
    let mut world = World::of(with_rule(Effect::Approve, EraChoice::Auto), None);
    world.legacy();
    world.client(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"}}"#);
    let question = world.got_one();
    assert!(question.contains("elicitation/create"), "{question}");
    world.pass(Duration::from_secs(601));
    let got = world.got();
    assert!(got[0].contains("notifications/cancelled"), "{got:?}");
    assert!(got[1].contains("nobody answered within 600s"), "{got:?}");
    // Too late, and nobody waits.
    world.client(&format!(
        r#"{{"jsonrpc":"2.0","id":{},"result":{AGREED}}}"#,
        id(&question)
    ));
    assert!(world.sent().is_empty() && world.got().is_empty());
    assert_eq!(world.hub.in_flight(), 0);
    // The same for a client that comes back.
    let mut world = World::of(with_rule(Effect::Approve, EraChoice::Modern), None);
    world.sent();
    world.client(&call(1, ""));
    let ours = state(&world.got_one());
    world.pass(Duration::from_secs(601));
    world.client(&call(2, &agreed(&ours)));
    assert!(world.got_one().contains("-32602"));
    assert!(
        world
            .sent()
            .iter()
            .all(|(_, line)| !line.contains("tools/call"))
    );
}

#[test]
fn rules_that_changed_meanwhile_decide() {
    for (effect, is_made) in [(Effect::Deny, false), (Effect::Allow, true)] {
        let mut world = World::of(with_rule(Effect::Approve, EraChoice::Auto), None);
        world.legacy();
        world.client(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"}}"#);
        let question = world.got_one();
        let now = world.now;
        world
            .hub
            .replace_settings(now, with_rule(effect, EraChoice::Auto));
        world.act();
        world.got();
        world.client(&format!(
            r#"{{"jsonrpc":"2.0","id":{},"result":{AGREED}}}"#,
            id(&question)
        ));
        let calls = world.sent();
        let made = calls.iter().any(|(_, line)| line.contains("tools/call"));
        assert_eq!(made, is_made, "{effect:?}: {calls:?}");
        if !is_made {
            assert!(world.got_one().contains("Unknown tool: t"));
        }
    }
}

#[test]
fn a_client_that_is_gone_or_gives_up_makes_nothing() {
    let mut world = World::of(with_rule(Effect::Approve, EraChoice::Auto), None);
    world.legacy();
    world.client(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"}}"#);
    let question = world.got_one();
    world
        .client(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#);
    world.client(&format!(
        r#"{{"jsonrpc":"2.0","id":{},"result":{AGREED}}}"#,
        id(&question)
    ));
    assert!(
        world
            .sent()
            .iter()
            .all(|(_, line)| !line.contains("tools/call"))
    );
    assert_eq!(world.hub.in_flight(), 0);
}
