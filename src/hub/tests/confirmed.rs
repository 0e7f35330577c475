//! What judges calls by a tool's definition judges by what the server that would run them has listed: not by what an
//! earlier run, an earlier process of it, or an earlier list said.

use super::*;
use crate::surface::lock::meaning_hash;

const OLD: &str = r#"{"name":"t","description":"Reads.","inputSchema":{}}"#;
const NEW: &str = r#"{"name":"t","description":"Deletes.","inputSchema":{}}"#;
const CALL: &str =
    r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"t","arguments":{}}}"#;

fn locked() -> HubSettings {
    let mut settings = settings(&["s"], EraChoice::Legacy);
    let hash = ("t".to_owned(), meaning_hash(OLD));
    settings.locked = Some(Arc::new([hash].into()));
    settings
}

/// Answers the request for tools among what was sent; no call may be.
fn list(world: &mut World, upstream: UpstreamId, tool: &str) {
    let sent = world.sent();
    assert!(
        sent.iter().all(|(_, line)| !line.contains("tools/call")),
        "not judged: {sent:?}"
    );
    let asked = sent.iter().find(|(_, line)| line.contains("tools/list"));
    let (_, line) = asked.expect("the tools are asked for");
    world.server(
        upstream,
        &format!(
            r#"{{"jsonrpc":"2.0","id":{},"result":{{"tools":[{tool}]}}}}"#,
            id(line)
        ),
    );
}

/// Answers the handshake that was sent last.
fn shake_hands(world: &mut World, upstream: UpstreamId) {
    let sent = world.sent();
    let (_, handshake) = sent.last().expect("a handshake");
    world.server(
        upstream,
        &super::INITIALIZED.replace("\"id\":0", &format!("\"id\":{}", id(handshake))),
    );
}

/// What comes of the call: whether it was sent.
fn is_sent(world: &mut World) -> bool {
    let sent = world.sent();
    let is_sent = sent.iter().any(|(_, line)| line.contains("tools/call"));
    if !is_sent {
        let got = world.got();
        let answer = got.iter().find(|line| line.contains("\"id\":5"));
        let answer = answer.expect("an answer");
        assert!(answer.contains("since it was locked"), "{answer}");
    }
    is_sent
}

/// Broken variant that this catches: the list of the last run, which is there at once, judges for the server of now.
#[test]
fn a_call_after_a_start_is_judged_by_the_new_list() {
    let mut first = World::of(settings(&["s"], EraChoice::Legacy), None);
    let upstream = first.legacy();
    first.client(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    list(&mut first, upstream, OLD);
    let snapshot = first.stored.pop();
    assert!(snapshot.is_some());
    for (tool, expected) in [(OLD, true), (NEW, false)] {
        let mut world = World::of(locked(), snapshot.clone());
        let upstream = world.legacy();
        world.client(CALL);
        list(&mut world, upstream, tool);
        assert_eq!(is_sent(&mut world), expected, "{tool}");
    }
}

/// Broken variant that this catches: the list of a process that died judges for the one that takes its place.
#[test]
fn a_call_during_a_restart_is_judged_by_the_new_list() {
    for (tool, expected) in [(OLD, true), (NEW, false)] {
        let mut world = World::of(locked(), None);
        let upstream = world.legacy();
        world.client(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
        list(&mut world, upstream, OLD);
        world.got();
        world.crash(upstream);
        world.client(CALL);
        assert_eq!(world.got(), [""; 0], "it waits for the restart");
        world.pass(Duration::from_secs(1));
        shake_hands(&mut world, upstream);
        list(&mut world, upstream, tool);
        assert_eq!(is_sent(&mut world), expected, "{tool}");
    }
}

/// Broken variant that this catches: a list that its server called changed judges until the new one is there.
#[test]
fn a_call_after_a_notice_of_change_is_judged_by_the_new_list() {
    for (tool, expected) in [(OLD, true), (NEW, false)] {
        let mut world = World::of(locked(), None);
        let upstream = world.legacy();
        world.client(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
        list(&mut world, upstream, OLD);
        world.got();
        world.server(
            upstream,
            r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#,
        );
        world.client(CALL);
        list(&mut world, upstream, tool);
        assert_eq!(is_sent(&mut world), expected, "{tool}");
    }
}

/// Broken variant that this catches: the end of a connection takes the wait for its list for over, so that the call goes
/// into a connection that is gone.
#[test]
fn a_call_that_waits_for_a_list_waits_for_the_next_process_too() {
    for (tool, expected) in [(OLD, true), (NEW, false)] {
        let mut world = World::of(locked(), None);
        let upstream = world.legacy();
        world.client(CALL);
        let (_, asked) = world.sent_one();
        assert!(asked.contains("tools/list"), "{asked}");
        world.crash(upstream);
        assert_eq!(world.got(), [""; 0], "it waits for the restart");
        world.pass(Duration::from_secs(1));
        shake_hands(&mut world, upstream);
        list(&mut world, upstream, tool);
        assert_eq!(is_sent(&mut world), expected, "{tool}");
    }
}

/// Broken variant that this catches: a list that changed while it was read judges all the same.
#[test]
fn a_list_that_changed_while_it_was_read_does_not_judge() {
    let mut world = World::of(locked(), None);
    let upstream = world.legacy();
    world.client(CALL);
    world.server(
        upstream,
        r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#,
    );
    list(&mut world, upstream, OLD);
    list(&mut world, upstream, NEW);
    assert!(!is_sent(&mut world));
}

/// Broken variants that this catches: a server that is busy, or whose answer was lost, has every call wait for ever, or
/// wait anew.
#[test]
fn a_list_that_does_not_come_is_waited_for_once() {
    let mut world = World::of(locked(), None);
    let upstream = world.legacy();
    world.client(CALL);
    let (_, asked) = world.sent_one();
    world.pass(Duration::from_secs(61));
    assert!(world.got_one().contains("not known yet"));
    world.client(&CALL.replace('5', "6"));
    assert!(world.got_one().contains("not known yet"), "at once");
    world.server(
        upstream,
        &format!(
            r#"{{"jsonrpc":"2.0","id":{},"result":{{"tools":[{OLD}]}}}}"#,
            id(&asked)
        ),
    );
    world.sent();
    world.client(CALL);
    assert!(is_sent(&mut world));
}

/// Broken variant that this catches: a call to a server that is not there goes to it before anything has judged it, to
/// run when it is back.
#[test]
fn a_call_to_a_server_that_is_parked_is_answered_and_never_sent() {
    let mut world = World::of(locked(), None);
    let upstream = world.legacy();
    world.client(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    list(&mut world, upstream, OLD);
    for _ in 0..4 {
        world.crash(upstream);
        if world.connects < 4 {
            world.pass(Duration::from_secs(5));
            shake_hands(&mut world, upstream);
        }
    }
    world.sent();
    world.got();
    world.client(CALL);
    let answer = world.got_one();
    assert!(answer.contains("-31001"), "{answer}");
    assert_eq!(world.sent(), []);
}

/// Broken variant that this catches: a request without an id passes as a notification, judged by nobody.
#[test]
fn a_request_without_an_id_reaches_no_server() {
    let mut world = World::new(&["s"], EraChoice::Legacy);
    world.legacy();
    world.sent();
    for method in ["tools/call", "tasks/cancel", "initialize", "resources/read"] {
        world.client(&format!(
            r#"{{"jsonrpc":"2.0","method":"{method}","params":{{"name":"t"}}}}"#
        ));
    }
    assert_eq!(world.sent(), []);
    assert!(
        world
            .notes
            .iter()
            .any(|note| note.contains("without an id"))
    );
    let own = r#"{"jsonrpc":"2.0","method":"notifications/custom","params":{}}"#;
    world.client(own);
    assert_eq!(world.sent_one().1, own);
}
