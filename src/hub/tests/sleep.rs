//! After a pause in which nothing ran.

use super::*;

#[test]
fn no_deadline_passes_in_a_pause_and_servers_are_asked_for_a_sign_of_life() {
    for knows in [true, false] {
        let mut world = World::new(&["s"], EraChoice::Auto);
        let upstream = world.legacy();
        world.client(r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"t"}}"#);
        let (_, call) = world.sent_one();
        let pause = Duration::from_secs(3600);
        world.now += pause;
        if knows {
            world.hub.handle_sleep(world.now, pause);
        }
        world.hub.handle_timeout(world.now);
        world.act();
        if !knows {
            // The control: as if an hour of silence had been the server's.
            assert!(world.got_one().contains("-31003"));
            continue;
        }
        let (_, ping) = world.sent_one();
        assert!(ping.contains("\"ping\""), "{ping}");
        let id_of_call = id(&call);
        world.server(
            upstream,
            &format!(r#"{{"jsonrpc":"2.0","id":{id_of_call},"result":{{"content":[]}}}}"#),
        );
        assert!(world.got_one().contains(r#""id":5,"result""#));
        let pong = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{}}}}"#, id(&ping));
        world.server(upstream, &pong);
        // It gave one; another time it does not, and is started again.
        world.pass(HubTimeouts::default().probe);
        assert!(
            !world
                .notes
                .iter()
                .any(|note| note.contains("no sign of life"))
        );
        assert_eq!(world.connects, 1);
        // A machine that slept: its clock stood still.
        world.hub.handle_sleep(world.now, Duration::ZERO);
        world.act();
        world.pass(HubTimeouts::default().probe);
        assert!(
            world
                .notes
                .iter()
                .any(|note| note.contains("no sign of life"))
        );
    }
}

#[test]
fn a_probe_without_its_answer_does_not_stand_in_the_way_of_the_next() {
    let mut world = World::new(&["s"], EraChoice::Legacy);
    let upstream = world.legacy();
    let probe = HubTimeouts::default().probe;
    world.hub.handle_sleep(world.now, Duration::ZERO);
    world.act();
    let (_, first) = world.sent_one();
    assert!(first.contains("\"ping\""), "{first}");
    // It lives, but says nothing to the question; while that may still come, none is asked beside it.
    let note =
        r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}"#;
    world.server(upstream, note);
    world.hub.handle_sleep(world.now, Duration::ZERO);
    world.act();
    assert_eq!(world.sent(), []);
    world.pass(probe);
    assert_eq!(world.connects, 1);
    // The answer comes late: it is nobody's, and no answer to what is asked next.
    world.hub.handle_sleep(world.now, Duration::ZERO);
    world.act();
    let (_, second) = world.sent_one();
    assert!(second.contains("\"ping\""), "{second}");
    assert_ne!(id(&first), id(&second));
    world.pass(probe);
    let is_ended = |world: &World| {
        let mut notes = world.notes.iter();
        notes.any(|note| note.contains("no sign of life"))
    };
    assert!(is_ended(&world), "{:?}", world.notes);
}

/// Broken variants that this catches: one that only counts hops, whose number does not grow where they share
/// connections; one that names itself alone, so that a circle of two is not found; and one that passes on any text.
#[test]
fn a_handshake_that_comes_back_is_refused() {
    let initialize = |via: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{{"protocolVersion":"2025-11-25","capabilities":{{}},"clientInfo":{{"name":"c","version":"1"}},"_meta":{{"dev.mcp-whittle/hop":1,"dev.mcp-whittle/via":"{via}"}}}}}}"#
        )
    };
    for era in [EraChoice::Modern, EraChoice::Legacy] {
        let passed_on = |via: &str| {
            let mut world = World::new(&["s"], era);
            world.client(&initialize(via));
            let sent = world.sent();
            let line = Bytes::copy_from_slice(sent[0].1.as_bytes());
            let message = Message::parse_single(line, Limits::default()).unwrap();
            message.meta_text("dev.mcp-whittle/via").unwrap()
        };
        let names = passed_on("0123456789abcdef");
        let own = names.strip_prefix("0123456789abcdef ").expect("both");
        assert_eq!(own.len(), 16, "{names}");
        for odd in ["", "a name of nobody", &"0".repeat(1000)] {
            assert_eq!(passed_on(odd), own, "{odd}");
        }
        // Of the same secret, so that it is the same process.
        let mut world = World::new(&["s"], era);
        world.client(&initialize(&format!("{names} fedcba9876543210")));
        let answer = world.got_one();
        assert!(
            answer.contains("-31006") && answer.contains("came back"),
            "{answer}"
        );
        assert!(world.sent().is_empty());
    }
}

#[test]
fn a_circle_of_hops_is_refused_and_a_chain_is_not() {
    for (hops, is_refused) in [
        ("1", false),
        ("16", false),
        ("17", true),
        ("4294967295", true),
        ("-1", false),
        ("\"x\"", false),
    ] {
        let mut world = World::new(&["s"], EraChoice::Modern);
        world.client(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{{"protocolVersion":"2025-11-25","capabilities":{{}},"clientInfo":{{"name":"c","version":"1"}},"_meta":{{"dev.mcp-whittle/hop":{hops}}}}}}}"#));
        let sent = world.sent();
        if is_refused {
            let answer = world.got_one();
            assert!(
                answer.contains("-31006") && answer.contains("lead back"),
                "{answer}"
            );
            assert!(sent.is_empty(), "{sent:?}");
            continue;
        }
        // What we ask a server ourselves tells how many there are now.
        let next = hops.parse::<u32>().unwrap_or(0) + 1;
        assert!(
            sent[0]
                .1
                .contains(&format!(r#""dev.mcp-whittle/hop":{next}"#)),
            "{sent:?}"
        );
    }
}
