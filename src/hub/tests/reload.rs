//! Settings are replaced while something waits for a server that is in them no more.

use crate::hub::settings::EraChoice;

use super::{INITIALIZED, World, id, settings};

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
