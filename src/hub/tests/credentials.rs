//! What is kept, and clients whose tokens are the server's to judge, by a virtual clock.

use super::*;
use crate::cache::rules::{Audience, Pattern, Rules, ToolRule};
use crate::hub::action::{HttpHead, TransportFailure};
use crate::hub::cache::CacheSettings;

const TOOLS: &str = r#"{"tools":[{"name":"read","inputSchema":{"type":"object"}}]}"#;

fn head(token: &str) -> HttpHead {
    HttpHead {
        authorization: Some(token.to_owned().into()),
        ..HttpHead::default()
    }
}

/// One server that gets its client's credentials, and may keep the answers of `read` for everybody.
fn world() -> (World, UpstreamId) {
    let mut settings = settings(&["s"], EraChoice::Legacy);
    settings.servers[0].forwards_authorization = true;
    settings.cache = CacheSettings {
        rules: Rules {
            tools: vec![ToolRule {
                pattern: Pattern::new("read").unwrap(),
                ttl: Duration::from_secs(600),
                audience: Audience::Shared,
                vary: Vec::new(),
                invalidated_by: None,
                stale_if_error: Duration::ZERO,
            }],
            servers: Vec::new(),
        },
        ..CacheSettings::default()
    };
    let mut world = World::of(settings, None);
    world
        .hub
        .note_authorization(world.session, &head("Bearer a"));
    let upstream = world.legacy();
    (world, upstream)
}

fn ask(world: &mut World, id: u32, method: &str, params: &str) {
    world.client(&format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#
    ));
}

/// The server answers what it got last, with a success over HTTP.
#[track_caller]
fn answers(world: &mut World, upstream: UpstreamId, method: &str, result: &str) {
    let (_, sent) = world.sent_one();
    assert!(sent.contains(&format!("\"{method}\"")), "{sent}");
    let line = format!(
        r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#,
        id(&sent)
    );
    let raw = Bytes::from(line);
    let parsed = Message::parse(raw.clone(), Limits::default()).map_err(|error| (error, raw));
    world
        .hub
        .handle_upstream_frame(world.now, upstream, Some(1), parsed);
    world.act();
}

/// The server refuses what it got last.
#[track_caller]
fn refuses(world: &mut World, upstream: UpstreamId) {
    world.sent_one();
    let key = world.hub.upstreams[&upstream]
        .in_flight
        .values()
        .next()
        .map(|in_flight| in_flight.key);
    let failure = TransportFailure {
        message: "it answered 401".into(),
        status: Some(401),
        excerpt: None,
        body: None,
        may_have_run: false,
        is_too_large: false,
        is_protocol: false,
        retry_after: None,
        www_authenticate: Some("Bearer".into()),
    };
    world
        .hub
        .handle_upstream_failed(world.now, upstream, key, &failure);
    world.act();
}

const CALL: &str = r#"{"name":"read","arguments":{}}"#;
const TEXT: &str = r#"{"content":[{"type":"text","text":"kept"}]}"#;

#[test]
fn nothing_is_answered_before_the_server_took_the_token() {
    let (mut world, upstream) = world();
    ask(&mut world, 1, "tools/list", "{}");
    assert_eq!(world.got(), [""; 0]);
    answers(&mut world, upstream, "ping", "{}");
    answers(&mut world, upstream, "tools/list", TOOLS);
    assert!(world.got_one().contains("read"));

    ask(&mut world, 2, "tools/call", CALL);
    answers(&mut world, upstream, "tools/call", TEXT);
    assert!(world.got_one().contains("kept"));
    ask(&mut world, 3, "tools/call", CALL);
    assert_eq!(world.sent(), [], "it is kept");
    assert!(world.got_one().contains("kept"));

    // The token may have been revoked since.
    world.pass(Duration::from_secs(61));
    world.sent();
    ask(&mut world, 4, "tools/call", CALL);
    refuses(&mut world, upstream);
    assert!(world.got_one().contains("401"));
    // From here on everything waits for the server's word, and two requests ask for it once.
    ask(&mut world, 5, "tools/call", CALL);
    ask(&mut world, 6, "tools/list", "{}");
    assert_eq!(world.got(), [""; 0]);
    refuses(&mut world, upstream);
    let got = world.got();
    assert_eq!(got.len(), 2, "{got:?}");
    assert!(got.iter().all(|text| text.contains("401")), "{got:?}");

    ask(&mut world, 7, "tools/call", CALL);
    answers(&mut world, upstream, "ping", "{}");
    assert_eq!(world.sent(), [], "it is kept");
    assert!(world.got_one().contains("kept"));
}

#[test]
fn a_server_that_does_not_say_whether_it_takes_a_token_is_asked_again() {
    let (mut world, upstream) = world();
    let limit = world.hub.settings.servers[0].start_timeout;
    ask(&mut world, 1, "tools/list", "{}");
    let (_, ping) = world.sent_one();
    assert!(ping.contains("\"ping\""), "{ping}");
    world.pass(limit / 2);
    ask(&mut world, 2, "tools/list", "{}");
    assert_eq!(world.sent(), [], "it is asked once at a time");
    world.pass(limit / 2);
    // The first gave up waiting; the second has the question asked anew.
    assert!(world.got_one().contains(r#""id":1,"error""#));
    answers(&mut world, upstream, "ping", "{}");
    answers(&mut world, upstream, "tools/list", TOOLS);
    assert!(world.got_one().contains(r#""id":2,"result""#));
    // Where nobody waits any more nothing is asked, until somebody does.
    world
        .hub
        .note_authorization(world.session, &head("Bearer b"));
    world.act();
    ask(&mut world, 3, "tools/list", "{}");
    world.sent_one();
    world.pass(limit);
    assert!(world.got_one().contains(r#""id":3,"error""#));
    assert_eq!(world.sent(), []);
    ask(&mut world, 4, "tools/list", "{}");
    answers(&mut world, upstream, "ping", "{}");
}

#[test]
fn another_token_has_to_be_taken_anew() {
    let (mut world, upstream) = world();
    ask(&mut world, 1, "tools/list", "{}");
    answers(&mut world, upstream, "ping", "{}");
    answers(&mut world, upstream, "tools/list", TOOLS);
    world.got();
    world
        .hub
        .note_authorization(world.session, &head("Bearer a"));
    ask(&mut world, 2, "tools/call", CALL);
    answers(&mut world, upstream, "tools/call", TEXT);
    assert!(world.got_one().contains("kept"), "the same token");
    world
        .hub
        .note_authorization(world.session, &head("Bearer b"));
    ask(&mut world, 3, "tools/call", CALL);
    assert_eq!(world.got(), [""; 0]);
    answers(&mut world, upstream, "ping", "{}");
    assert!(world.got_one().contains("kept"));
}

#[test]
fn a_server_that_ends_meanwhile_leaves_nobody_waiting() {
    let (mut world, upstream) = world();
    ask(&mut world, 1, "tools/list", "{}");
    world.sent_one();
    for _ in 0..8 {
        world.crash(upstream);
        world.pass(Duration::from_secs(6));
        world.sent();
    }
    world.pass(Duration::from_secs(61));
    assert_eq!(world.got().len(), 1);
}

#[test]
fn without_a_token_nothing_waits() {
    let mut settings = settings(&["s"], EraChoice::Legacy);
    settings.servers[0].forwards_authorization = true;
    let mut world = World::of(settings, None);
    let upstream = world.legacy();
    ask(&mut world, 1, "tools/list", "{}");
    answers(&mut world, upstream, "tools/list", TOOLS);
    assert!(world.got_one().contains("read"));
}
