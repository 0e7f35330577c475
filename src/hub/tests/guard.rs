//! Pins and redaction with a virtual clock: every call gets its one answer, and nothing unredacted leaves.

use super::*;
use crate::hub::results::Redaction;
use crate::policy::guard::Guard;
use crate::policy::pins::Mode;

const CALL: &str =
    r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"t","arguments":{}}}"#;
const LIST: &str = r#"{"tools":[{"name":"t","description":"Reads.","inputSchema":{}}]}"#;

fn watched(guard: Guard) -> World {
    let mut settings = settings(&["s"], EraChoice::Legacy);
    settings.guard = guard;
    World::of(settings, None)
}

fn enforcing() -> World {
    watched(Guard {
        pins: Mode::Enforce,
        ..Guard::default()
    })
}

/// Calls before the tools are known; returns the request for them.
fn held(world: &mut World) -> (UpstreamId, String) {
    let upstream = world.legacy();
    world.client(CALL);
    let (_, line) = world.sent_one();
    assert!(line.contains("tools/list"), "{line}");
    (upstream, id(&line))
}

#[test]
fn a_call_waits_for_the_definition_and_goes_on() {
    let mut world = enforcing();
    let (upstream, list) = held(&mut world);
    world.server(
        upstream,
        &format!(r#"{{"jsonrpc":"2.0","id":{list},"result":{LIST}}}"#),
    );
    assert_eq!(world.sent_one().1, CALL);
    assert!(world.got().is_empty());
    // From now on nothing waits.
    world.client(&CALL.replace("5", "6"));
    assert!(world.sent_one().1.contains("tools/call"));
}

/// Broken variant that this catches: it is told only of a page with another one behind it.
#[test]
fn tools_that_are_too_many_are_told_to_be_left_out() {
    let mut settings = settings(&["s"], EraChoice::Legacy);
    settings.guard.pins = Mode::Enforce;
    settings.limits.items = 1;
    let mut world = World::of(settings, None);
    let (upstream, list) = held(&mut world);
    let two = LIST.replace("}]}", r#"},{"name":"u"}]}"#);
    world.server(
        upstream,
        &format!(r#"{{"jsonrpc":"2.0","id":{list},"result":{two}}}"#),
    );
    let told = world.notes.iter().filter(|note| note.contains("too long"));
    assert_eq!(told.count(), 1, "{:?}", world.notes);
}

#[test]
fn a_call_that_waits_is_answered_whatever_happens() {
    // The server never lists.
    let mut world = enforcing();
    let (upstream, list) = held(&mut world);
    world.pass(Duration::from_secs(61));
    let answer = world.got_one();
    assert!(
        answer.contains("\"id\":5") && answer.contains("cannot be compared with its pin"),
        "{answer}"
    );
    world.server(
        upstream,
        &format!(r#"{{"jsonrpc":"2.0","id":{list},"result":{LIST}}}"#),
    );
    assert!(world.got().is_empty() && world.sent().is_empty());
    // It refuses to list.
    let mut world = enforcing();
    let (upstream, list) = held(&mut world);
    world.server(
        upstream,
        &format!(r#"{{"jsonrpc":"2.0","id":{list},"error":{{"code":-1,"message":"no"}}}}"#),
    );
    assert!(world.got_one().contains("cannot be compared with its pin"));
    // It dies, and the client cancels before it is back.
    let mut world = enforcing();
    let (upstream, _) = held(&mut world);
    world
        .client(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}"#);
    world.crash(upstream);
    world.pass(Duration::from_secs(120));
    assert!(world.got().len() <= 1);
    assert_eq!(world.hub.in_flight(), 0);
}

#[test]
fn a_changed_list_refuses_that_tool_alone() {
    let mut world = enforcing();
    let (upstream, list) = held(&mut world);
    world.server(
        upstream,
        &format!(r#"{{"jsonrpc":"2.0","id":{list},"result":{LIST}}}"#),
    );
    world.sent();
    world.server(
        upstream,
        r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#,
    );
    let (_, again) = world.sent_one();
    let changed = LIST
        .replace("Reads.", "Deletes.")
        .replace("}]}", r#"},{"name":"u"}]}"#);
    world.server(
        upstream,
        &format!(
            r#"{{"jsonrpc":"2.0","id":{},"result":{changed}}}"#,
            id(&again)
        ),
    );
    world.got();
    for (name, why) in [("t", "changed its definition"), ("u", "nobody approved it")] {
        world.client(
            &CALL
                .replace("\"t\"", &format!("\"{name}\""))
                .replace("5", "7"),
        );
        let answer = world.got_one();
        assert!(
            answer.contains(why) && answer.contains("\"isError\":true"),
            "{answer}"
        );
        assert!(world.sent().is_empty());
    }
    let told: Vec<&String> = world
        .notes
        .iter()
        .filter(|note| note.contains("pinned"))
        .collect();
    assert!(told.iter().any(|note| note.contains("`t`")), "{told:?}");
}

const RESULT: &str = r#"{"content":[{"type":"text","text":"ghp_abcdefghij0123456789abcdef"}]}"#;

/// A call whose result waits to be redacted.
fn redacting() -> (World, ExchangeId) {
    let mut world = watched(Guard {
        redacts_results: true,
        ..Guard::default()
    });
    let upstream = world.legacy();
    world.client(CALL);
    world.sent();
    world.server(
        upstream,
        &format!(r#"{{"jsonrpc":"2.0","id":5,"result":{RESULT}}}"#),
    );
    assert!(
        world.got().is_empty(),
        "nothing leaves before it is redacted"
    );
    let (exchange, job) = world.shaping.remove(0);
    assert!(job.redacts && job.options.is_none());
    (world, exchange)
}

#[test]
fn results_leave_redacted_or_not_at_all() {
    let (mut world, exchange) = redacting();
    let now = world.now;
    let changed = Bytes::from(RESULT.replace("ghp_abcdefghij0123456789abcdef", "x"));
    world
        .hub
        .handle_redacted(exchange, Redaction::Changed(changed));
    world.hub.handle_shaped(now, exchange, None);
    world.act();
    let answer = world.got_one();
    assert!(
        answer.contains("\"text\":\"x\"") && !answer.contains("ghp_"),
        "{answer}"
    );
    for redaction in [Some(Redaction::Failed), Some(Redaction::NotAsked), None] {
        let (mut world, exchange) = redacting();
        let now = world.now;
        match redaction {
            Some(redaction) => {
                world.hub.handle_redacted(exchange, redaction);
                world.hub.handle_shaped(now, exchange, None);
                world.act();
            }
            // Nobody says anything in time.
            None => world.pass(Duration::from_secs(11)),
        }
        let answer = world.got_one();
        assert!(!answer.contains("ghp_"), "{answer}");
        assert!(answer.contains("its result is withheld") && answer.contains("\"isError\":true"));
    }
    let (mut world, exchange) = redacting();
    let now = world.now;
    world.hub.handle_redacted(exchange, Redaction::Same);
    world.hub.handle_shaped(now, exchange, None);
    world.act();
    assert!(
        world.got_one().contains("ghp_"),
        "what has no secrets goes on as it came"
    );
}

/// Broken variants that this catches: errors of tools, and what is said about a task, leave as they came; a login that a
/// server asks for by an error loses parts of its URL; a withheld task is answered with the content of a call.
#[test]
fn errors_and_tasks_leave_redacted_too() {
    const ERROR: &str = r#""error":{"code":-32000,"message":"ghp_abcdefghij0123456789abcdef"}"#;
    const TASK: &str =
        r#""result":{"taskId":"t","result":{"text":"ghp_abcdefghij0123456789abcdef"}}"#;
    const GET: &str = r#"{"jsonrpc":"2.0","id":5,"method":"tasks/get","params":{"taskId":"t"}}"#;
    for (request, answer, is_redacted) in [
        (CALL, ERROR, true),
        (GET, ERROR, true),
        (GET, TASK, true),
        (GET, TASK, false),
    ] {
        let mut world = watched(Guard {
            redacts_results: true,
            ..Guard::default()
        });
        let upstream = world.legacy();
        world.client(request);
        world.sent();
        world.server(upstream, &format!(r#"{{"jsonrpc":"2.0","id":5,{answer}}}"#));
        assert!(world.got().is_empty(), "{request}: {answer}");
        let (exchange, job) = world.shaping.remove(0);
        assert!(job.redacts && text(&job.result).contains("ghp_"));
        let redaction = match is_redacted {
            true => {
                let clean = text(&job.result).replace("ghp_abcdefghij0123456789abcdef", "x");
                Redaction::Changed(clean.into())
            }
            false => Redaction::Failed,
        };
        let now = world.now;
        world.hub.handle_redacted(exchange, redaction);
        world.hub.handle_shaped(now, exchange, None);
        world.act();
        let got = world.got_one();
        let expected = match is_redacted {
            true => answer.replace("ghp_abcdefghij0123456789abcdef", "x"),
            false => r#""error":{"code":-32603,"#.to_owned(),
        };
        assert!(got.contains(&expected) && got.contains("\"id\":5"), "{got}");
    }
    let mut world = watched(Guard {
        redacts_results: true,
        ..Guard::default()
    });
    let upstream = world.legacy();
    world.client(CALL);
    world.sent();
    let login = r#"{"jsonrpc":"2.0","id":5,"error":{"code":-32042,"message":"log in","data":{"elicitations":[{"mode":"url","elicitationId":"e","url":"https://h/?token=abcdefgh1","message":"m"}]}}}"#;
    world.server(upstream, login);
    assert_eq!(world.got_one(), login);
}
