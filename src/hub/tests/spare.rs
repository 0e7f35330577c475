//! Connections that are there before the first client over HTTP.

use super::*;
use crate::mcp::version::Era;
use crate::session::{Link, Principal};
use crate::upstream::State;

fn spare(world: &World) -> Vec<UpstreamId> {
    let set = world.hub.spare.expect("a spare");
    world.hub.sets[&set].upstreams.clone()
}

fn session(world: &mut World, key: &str) -> Vec<UpstreamId> {
    let link = Link::HttpSession(key.into());
    let id = world.hub.open_session(world.now, link, Principal::Loopback);
    world.hub.set_upstreams(id)
}

fn state(world: &World, upstream: UpstreamId) -> State {
    world.hub.upstreams[&upstream].state.clone()
}

#[test]
fn the_first_session_takes_what_runs_already_and_the_next_starts_its_own() {
    let mut world = World::new(&["s"], EraChoice::Auto);
    assert!(world.hub.start_spare(world.now));
    world.act();
    assert_eq!(world.connects, 2, "beside the one of the session on pipes");
    assert_eq!(world.sent(), [], "nothing is said before a client came");
    let made = spare(&world);
    let first = session(&mut world, "a");
    assert_eq!(first, made);
    assert_eq!(state(&world, first[0]), State::Connected);
    let set = world.hub.upstreams[&first[0]].set;
    assert_eq!(world.hub.sets[&set].principal, Principal::Loopback);
    assert_eq!(world.hub.upstreams[&first[0]].era_first, Era::Legacy);
    let second = session(&mut world, "b");
    assert_ne!(second, first);
    assert_eq!(state(&world, second[0]), State::Idle);
}

#[test]
fn one_that_ends_before_anybody_came_is_forgotten_and_the_first_session_starts_anew() {
    let mut world = World::new(&["s"], EraChoice::Auto);
    world.hub.start_spare(world.now);
    world.act();
    let made = spare(&world)[0];
    world.crash(made);
    assert!(
        world
            .notes
            .iter()
            .any(|note| note.contains("ended before a client came"))
    );
    assert!(!world.hub.upstreams.contains_key(&made));
    // Nothing of it is restarted, and no wait of a failed start is left to the first session.
    world.pass(Duration::from_secs(60));
    assert_eq!(world.connects, 2);
    let first = session(&mut world, "a");
    assert_eq!(state(&world, first[0]), State::Idle);
}

#[test]
fn what_nobody_took_is_stopped_with_us_and_by_new_settings() {
    for ends in [true, false] {
        let mut world = World::new(&["s"], EraChoice::Auto);
        world.hub.start_spare(world.now);
        world.act();
        let made = spare(&world)[0];
        if ends {
            world.hub.begin_drain(world.now);
        } else {
            world
                .hub
                .replace_settings(world.now, settings(&["s"], EraChoice::Auto));
        }
        assert_eq!(state(&world, made), State::Stopping);
        assert_eq!(world.hub.spare, None);
        world.act();
        world.crash(made);
        assert!(!world.hub.upstreams.contains_key(&made));
    }
}

#[test]
fn servers_over_http_are_not_asked_before_a_client_comes() {
    let mut settings = settings(&["far", "near"], EraChoice::Auto);
    settings.servers[0].is_http = true;
    let mut world = World::of(settings.clone(), None);
    let before = world.connects;
    assert!(world.hub.start_spare(world.now));
    world.act();
    assert_eq!(world.connects, before + 1);
    let made = spare(&world);
    assert_eq!(state(&world, made[0]), State::Idle);
    settings.servers[1].is_http = true;
    let mut world = World::of(settings, None);
    assert!(
        !world.hub.start_spare(world.now),
        "there is nothing to start"
    );
    assert_eq!(world.hub.spare, None);
}
