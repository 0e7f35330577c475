//! What was lost is asked for again, and when.

use super::*;

#[test]
fn a_stream_that_broke_has_lists_read_again_once_it_is_open_again_and_not_before() {
    let mut settings = settings(&["s"], EraChoice::Legacy);
    settings.servers[0].is_http = true;
    let mut world = World::of(settings, None);
    let upstream = world.legacy();
    let answer = |world: &mut World, line: &str, tools: &str| {
        let id = id(line);
        world.server(
            upstream,
            &format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"tools":{tools}}}}}"#),
        );
    };
    world.client(r#"{"jsonrpc":"2.0","id":5,"method":"tools/list"}"#);
    let (_, list) = world.sent_one();
    answer(
        &mut world,
        &list,
        r#"[{"name":"t","inputSchema":{"type":"object"}}]"#,
    );
    world.got_one();
    // Thousands of sessions lose it in the same moment: none may ask now.
    world.hub.handle_stream_ended(upstream);
    world.act();
    assert_eq!(world.sent(), []);
    world.hub.handle_stream_gap(world.now, upstream);
    world.act();
    let (_, again) = world.sent_one();
    assert!(again.contains("tools/list"), "{again}");
    answer(
        &mut world,
        &again,
        r#"[{"name":"u","inputSchema":{"type":"object"}}]"#,
    );
    assert!(world.got_one().contains("notifications/tools/list_changed"));
}

/// Ends the stream of notifications that a modern server was asked for, after it had lasted.
fn end_stream(world: &mut World, upstream: UpstreamId, lasts: Duration) -> bool {
    let sent = world.sent();
    let Some((_, line)) = sent
        .iter()
        .rfind(|(_, line)| line.contains("subscriptions/listen"))
    else {
        return false;
    };
    let listen = id(line);
    world.server(
        upstream,
        &format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{{"_meta":{{"io.modelcontextprotocol/subscriptionId":{listen}}},"notifications":{{"toolsListChanged":true}}}}}}"#
        ),
    );
    world.pass(lasts);
    world.server(
        upstream,
        &format!(
            r#"{{"jsonrpc":"2.0","id":{listen},"result":{{"resultType":"complete","_meta":{{"io.modelcontextprotocol/subscriptionId":{listen}}}}}}}"#
        ),
    );
    true
}

/// Broken variant that this catches: losses are counted for the whole life of a connection, so that after the eleventh
/// cut by a balancer nobody is told of changes any more.
#[test]
fn a_stream_that_lasts_is_opened_again_each_time_and_one_that_does_not_is_given_up() {
    for (lasts, opened) in [(Duration::from_secs(120), 40), (Duration::from_secs(1), 11)] {
        let mut world = World::new(&["s"], EraChoice::Modern);
        world.client(r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#);
        let (upstream, line) = world.sent_one();
        world.welcome(upstream, &line);
        world.client(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        let n = (0..40)
            .filter(|_| end_stream(&mut world, upstream, lasts))
            .count();
        assert_eq!(n, opened, "{lasts:?}");
        let said = world
            .notes
            .iter()
            .any(|note| note.contains("again and again"));
        assert_eq!(said, opened < 40, "{:?}", world.notes);
    }
}

/// Broken variant that this catches: a subscription on a stream that is given up stays on record, so that the next one
/// is told it holds.
#[test]
fn a_subscription_on_a_stream_that_is_given_up_is_refused_and_asked_for_again() {
    let mut world = World::new(&["s"], EraChoice::Modern);
    world.client(r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#);
    let (upstream, line) = world.sent_one();
    world.welcome(upstream, &line);
    world.client(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    while end_stream(&mut world, upstream, Duration::from_secs(1)) {}
    world.got();
    for n in 1..=2 {
        world.client(&format!(
            r#"{{"jsonrpc":"2.0","id":{n},"method":"resources/subscribe","params":{{"uri":"x://y"}}}}"#
        ));
        assert_eq!(world.got(), [""; 0], "{n}: nobody has acknowledged it");
        let (_, listen) = world.sent_one();
        assert!(
            listen.contains(r#""resourceSubscriptions":["x://y"]"#),
            "{n}: {listen}"
        );
        world.server(
            upstream,
            &format!(
                r#"{{"jsonrpc":"2.0","id":{},"result":{{"resultType":"complete"}}}}"#,
                id(&listen)
            ),
        );
        let answer = world.got_one();
        assert!(
            answer.contains("\"error\"") && answer.contains("again and again"),
            "{n}: {answer}"
        );
    }
}

/// Broken variant that this catches: a handshake that an HTTP server refused leaves its connection behind.
#[test]
fn a_refused_handshake_ends_its_connection() {
    for status in [401, 403, 500] {
        let mut settings = settings(&["s"], EraChoice::Legacy);
        settings.servers[0].is_http = true;
        let mut world = World::of(settings, None);
        world.client(r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#);
        let (upstream, _) = world.sent_one();
        fail_handshake(&mut world, upstream, status);
        let mut ended = 0;
        while let Some(action) = world.hub.poll_action() {
            ended += usize::from(matches!(action, Action::Disconnect { .. }));
        }
        assert_eq!(ended, 1, "{status}");
    }
}

/// Broken variant that this catches: what a server says while its list is read for the first time counts for nothing.
#[test]
fn a_change_during_the_first_reading_is_read_and_told() {
    let mut world = World::new(&["a", "b"], EraChoice::Auto);
    let upstreams = world.shake();
    world.client(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    let lists = world.sent();
    let page = |line: &str, tools: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":{},"result":{{"tools":[{tools}]}}}}"#,
            id(line)
        )
    };
    let tool = |name: &str| format!(r#"{{"name":"{name}","inputSchema":{{"type":"object"}}}}"#);
    world.server(
        upstreams[0],
        r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#,
    );
    for (upstream, line) in &lists {
        world.server(*upstream, &page(line, &tool("old")));
    }
    let got = world.got();
    assert!(got.iter().any(|line| line.contains("a__old")), "{got:?}");
    let (_, again) = world.sent_one();
    world.server(
        upstreams[0],
        &page(&again, &format!("{},{}", tool("old"), tool("new"))),
    );
    assert!(world.got_one().contains("notifications/tools/list_changed"));
}

/// Fails the handshake of a connection with a status.
fn fail_handshake(world: &mut World, upstream: UpstreamId, status: u16) {
    let failure = crate::hub::action::TransportFailure {
        message: "refused".into(),
        status: Some(status),
        excerpt: None,
        body: None,
        may_have_run: false,
        is_too_large: false,
        is_protocol: false,
        retry_after: None,
        www_authenticate: None,
    };
    let key = world.hub.upstreams[&upstream]
        .in_flight
        .values()
        .find(|one| one.purpose == crate::upstream::Purpose::Initialize)
        .map(|one| one.key);
    assert!(key.is_some(), "no handshake is under way");
    world
        .hub
        .handle_upstream_failed(world.now, upstream, key, &failure);
}

/// The same; tells whether HTTP+SSE is tried then.
fn refuse_handshake(world: &mut World, upstream: UpstreamId, status: u16) -> bool {
    fail_handshake(world, upstream, status);
    let falls_back = world
        .hub
        .actions
        .iter()
        .any(|action| matches!(action, Action::FallBackToSse { .. }));
    world.act();
    falls_back
}

/// Broken variants that this catches: a connection whose fallback to HTTP+SSE failed never tries it again (a server that
/// is old was merely starting), or falls back although it was ready over streamable HTTP.
#[test]
fn each_connection_may_fall_back_once_and_none_that_was_ready() {
    let mut settings = settings(&["s"], EraChoice::Legacy);
    settings.servers[0].is_http = true;
    let mut world = World::of(settings, None);
    let upstream = world.legacy();
    world.crash(upstream);
    for attempt in 0..2 {
        world.pass(Duration::from_secs(5));
        assert!(refuse_handshake(&mut world, upstream, 404), "{attempt}");
        // Neither is there: the next connection begins from the start.
        assert!(!refuse_handshake(&mut world, upstream, 404), "{attempt}");
    }
    world.pass(Duration::from_secs(5));
    let (_, line) = world.sent().pop().expect("a handshake");
    world.welcome(upstream, &line);
    world.hub.handle_session_lost(world.now, upstream);
    world.act();
    assert!(!refuse_handshake(&mut world, upstream, 404));
}

/// Broken variant that this catches: the end of each answer's stream counts as a failure of its server, so that five
/// answers that come together, each followed by the end of its stream, have it left alone.
#[test]
fn the_end_of_a_stream_counts_against_its_server_only_without_an_answer() {
    use crate::hub::limits::breaker::Position;
    const CALLS: usize = 8;
    let mut settings = settings(&["s"], EraChoice::Legacy);
    settings.servers[0].is_http = true;
    let mut world = World::of(settings, None);
    let upstream = world.legacy();
    let ended = crate::hub::action::TransportFailure {
        message: "the response ended without an answer".into(),
        status: None,
        excerpt: None,
        body: None,
        may_have_run: true,
        is_too_large: false,
        is_protocol: false,
        retry_after: None,
        www_authenticate: None,
    };
    for is_answered in [true, false] {
        for n in 1..=CALLS {
            world.client(&format!(
                r#"{{"jsonrpc":"2.0","id":{n},"method":"tools/call","params":{{"name":"t"}}}}"#
            ));
        }
        let sent = world.sent();
        let in_flight = world.hub.upstreams[&upstream].in_flight.values();
        let keys: Vec<u64> = in_flight.map(|one| one.key).collect();
        assert_eq!((sent.len(), keys.len()), (CALLS, CALLS));
        if is_answered {
            for (_, line) in &sent {
                let id = id(line);
                world.server(
                    upstream,
                    &format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[]}}}}"#),
                );
            }
        }
        for key in keys {
            world
                .hub
                .handle_upstream_failed(world.now, upstream, Some(key), &ended);
        }
        world.act();
        assert_eq!(world.got().len(), CALLS);
        let expected = match is_answered {
            true => Position::Closed,
            false => Position::Open,
        };
        assert_eq!(world.hub.breaker_position(world.now, 0), expected);
    }
}

/// Broken variant that this catches: a notification that nobody can read, on the stream of a call, ends the call, and
/// the answer behind it is lost.
#[test]
fn an_unreadable_notification_ends_no_call() {
    let note = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"\ud800"}}"#;
    let question = note.replace(r#""method""#, r#""id":"q","method""#);
    let answer = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#;
    for (line, is_ended) in [
        (note, false),
        (question.as_str(), true),
        (r#"{"jsonrpc""#, true),
    ] {
        let mut settings = settings(&["s"], EraChoice::Legacy);
        settings.servers[0].is_http = true;
        let mut world = World::of(settings, None);
        let upstream = world.legacy();
        world.client(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"}}"#);
        world.sent();
        let in_flight = world.hub.upstreams[&upstream].in_flight.values();
        let keys: Vec<u64> = in_flight.map(|one| one.key).collect();
        for line in [line, answer] {
            let raw = Bytes::copy_from_slice(line.as_bytes());
            let parsed =
                Message::parse(raw.clone(), Limits::default()).map_err(|error| (error, raw));
            world
                .hub
                .handle_upstream_frame(world.now, upstream, Some(keys[0]), parsed);
        }
        world.act();
        let told = world.got_one();
        assert_eq!(told.contains("\"error\""), is_ended, "{line}: {told}");
        assert!(world.notes.iter().any(|note| note.contains("dropped")));
    }
}

/// Broken variant that this catches: a server that tells a change whenever it is listed is listed without end.
#[test]
fn a_list_that_always_changes_is_read_a_few_times() {
    let mut world = World::new(&["a", "b"], EraChoice::Auto);
    let upstreams = world.shake();
    world.client(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    let mut n = 0;
    for _ in 0..100 {
        for (upstream, line) in world.sent() {
            if upstream == upstreams[0] {
                n += 1;
                world.server(
                    upstream,
                    r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#,
                );
            }
            let id = id(&line);
            world.server(
                upstream,
                &format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"tools":[]}}}}"#),
            );
        }
    }
    assert_eq!(n, 21);
    assert!(world.notes.iter().any(|note| note.contains("each time")));
}

/// Broken variant that this catches: a server that is parked is asked first for what no server lists, and refuses what
/// another one has.
#[test]
fn a_parked_server_is_asked_last() {
    let mut world = World::new(&["a", "b"], EraChoice::Auto);
    let upstreams = world.shake();
    for _ in 0..4 {
        world.crash(upstreams[0]);
        if world.connects < 5 {
            world.pass(Duration::from_secs(5));
        }
    }
    world.sent();
    world.got();
    world.client(r#"{"jsonrpc":"2.0","id":7,"method":"resources/read","params":{"uri":"x://y"}}"#);
    let (asked, line) = world.sent_one();
    assert_eq!(asked, upstreams[1]);
    world.server(
        asked,
        &format!(
            r#"{{"jsonrpc":"2.0","id":{},"result":{{"contents":[]}}}}"#,
            id(&line)
        ),
    );
    assert!(world.got_one().contains("contents"));
}
