//! Settings are replaced while something waits for a server that is in them no more.

use std::time::Duration;

use crate::hub::settings::EraChoice;

use super::{INITIALIZED, META, World, id, settings};

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":"h","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#;

/// Answers every handshake that was sent.
fn shake_hands(world: &mut World) {
    for (upstream, line) in world.sent() {
        if line.contains("\"initialize\"") {
            let answer = INITIALIZED.replace("\"id\":0", &format!("\"id\":{}", id(&line)));
            world.server(upstream, &answer);
        }
    }
}

#[test]
fn a_handshake_waits_for_the_new_servers_instead() {
    for (old, new) in [
        (&["old"][..], &["new"][..]),
        (&["old", "older"], &["new", "newer"]),
        (&["old", "stays"], &["new", "stays"]),
        (&["old", "stays"], &["stays"]),
    ] {
        let mut world = World::new(old, EraChoice::Auto);
        world.client(INITIALIZE);
        if new.contains(&"stays") {
            // All but the one that goes have answered.
            let sent = world.sent();
            world.to_server = sent.into_iter().skip(1).collect();
            shake_hands(&mut world);
        } else {
            world.sent();
        }
        assert!(world.got().is_empty(), "{old:?} has not answered");
        world
            .hub
            .replace_settings(world.now, settings(new, EraChoice::Auto));
        world.act();
        shake_hands(&mut world);
        let answer = world.got_one();
        assert!(
            answer.contains("\"id\":\"h\"") && answer.contains("\"result\""),
            "{old:?} to {new:?}: {answer}"
        );
    }
}

#[test]
fn a_list_waits_for_nobody_who_is_gone() {
    let mut world = World::new(&["old", "stays"], EraChoice::Auto);
    world.client(INITIALIZE);
    shake_hands(&mut world);
    world.got();
    world.client(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    world.sent();
    world.client(r#"{"jsonrpc":"2.0","id":"l","method":"tools/list"}"#);
    // Only the one that stays answers.
    let (upstream, line) = world.sent().remove(1);
    let answer = r#"{"jsonrpc":"2.0","id":ID,"result":{"tools":[{"name":"dial","inputSchema":{"type":"object"}}]}}"#;
    world.server(upstream, &answer.replace("ID", &id(&line)));
    assert!(world.got().is_empty(), "the other one is waited for");
    world
        .hub
        .replace_settings(world.now, settings(&["stays", "new"], EraChoice::Auto));
    world.act();
    let got = world.got();
    let list = got.iter().find(|line| line.contains("\"id\":\"l\""));
    assert!(
        list.is_some_and(|list| list.contains("stays__dial")),
        "{got:?}"
    );
}

/// However the last call ends on a server that left the settings, that server ends too, and the proxy can.
///
/// Broken variant that this catches: only answers and cancellations are looked at, so that a server whose last call
/// failed otherwise is started again for nobody.
#[test]
fn a_server_that_left_ends_with_its_last_call() {
    let too_large = "x".repeat(200);
    for ending in ["answer", "crash", "garbage", "cancel", "deadline"] {
        let mut world = World::new(&["old"], EraChoice::Auto);
        let upstream = world.legacy();
        world.client(r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"t"}}"#);
        world.sent();
        world
            .hub
            .replace_settings(world.now, settings(&["new"], EraChoice::Auto));
        world.act();
        assert!(world.hub.upstreams.contains_key(&upstream), "{ending}");
        let connects = world.connects;
        let n_answers = match ending {
            "answer" => {
                world.server(
                    upstream,
                    r#"{"jsonrpc":"2.0","id":5,"result":{"content":[]}}"#,
                );
                1
            }
            "crash" => {
                world.crash(upstream);
                1
            }
            "garbage" => {
                world.server(
                    upstream,
                    &format!(r#"{{"jsonrpc":"2.0","id":5,"result":[{too_large}}}"#),
                );
                1
            }
            "cancel" => {
                world.client(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}"#);
                0
            }
            _ => {
                world.pass(Duration::from_secs(30));
                1
            }
        };
        let answers = world.got();
        let answers = answers.iter().filter(|line| line.contains("\"id\":5"));
        assert_eq!(answers.count(), n_answers, "{ending}");
        // What the driver says of a process that was told to end.
        world.crash(upstream);
        assert!(!world.hub.upstreams.contains_key(&upstream), "{ending}");
        world.pass(Duration::from_secs(60));
        let others = world.hub.upstreams.keys().copied().collect::<Vec<_>>();
        assert_eq!(world.connects, connects, "{ending}");
        world.hub.handle_downstream_closed(world.now, world.session);
        world.act();
        for one in others {
            world.crash(one);
        }
        assert!(world.hub.is_drained(), "{ending}");
    }
}

/// Broken variant that this catches: a stream of notifications, which has no end of its own, keeps the server of before.
#[test]
fn a_stream_of_notifications_does_not_keep_a_server_that_left() {
    let mut world = World::new(&["old"], EraChoice::Modern);
    let listen = format!(
        r#"{{"jsonrpc":"2.0","id":"l","method":"subscriptions/listen","params":{{{META},"notifications":{{"toolsListChanged":true}}}}}}"#
    );
    world.client(&listen);
    let (upstream, line) = world.sent_one();
    world.welcome(upstream, &line);
    assert!(world.sent().iter().any(|(_, line)| line.contains("listen")));
    world
        .hub
        .replace_settings(world.now, settings(&["new"], EraChoice::Modern));
    world.act();
    let got = world.got();
    let ended = got.iter().filter(|line| line.contains("\"id\":\"l\""));
    assert_eq!(ended.count(), 1, "{got:?}");
    world.crash(upstream);
    assert!(!world.hub.upstreams.contains_key(&upstream));
}

/// Broken variant that this catches: a handshake that began at a server which left is failed with it, although it waits
/// for another one.
#[test]
fn a_handshake_outlives_the_server_it_began_at() {
    let mut world = World::new(&["old"], EraChoice::Auto);
    world.client(INITIALIZE);
    let (old, _) = world.sent_one();
    world
        .hub
        .replace_settings(world.now, settings(&["new"], EraChoice::Auto));
    world.act();
    world.crash(old);
    assert!(world.got().is_empty(), "the new one may come");
    assert!(!world.hub.upstreams.contains_key(&old));
    shake_hands(&mut world);
    let answer = world.got_one();
    assert!(answer.contains("\"result\""), "{answer}");
}
