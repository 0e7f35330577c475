//! Every request has its one outcome: none comes where nobody is, and none stays out for ever. What fuzzing
//! the operations of HTTP clients found.

use super::*;
use crate::hub::action::HttpHead;
use crate::session::StreamId;

fn post(world: &mut World, stream: StreamId, session: Option<&str>, line: &str) {
    let head = HttpHead {
        session: session.map(str::to_owned),
        is_loopback: true,
        ..HttpHead::default()
    };
    let parsed = Message::parse(Bytes::copy_from_slice(line.as_bytes()), Limits::default());
    world.hub.handle_http_post(world.now, stream, &head, parsed);
}

/// Does what the hub wants of servers; returns what it wants of clients.
fn wanted(world: &mut World) -> Vec<(StreamId, String)> {
    let mut wanted = Vec::new();
    while let Some(action) = world.hub.poll_action() {
        match action {
            Action::Send {
                stream, message, ..
            } => wanted.push((stream, text(&message.to_bytes()))),
            Action::Status {
                stream,
                status,
                body,
            } => {
                let body = body.map(|body| text(&body.to_bytes())).unwrap_or_default();
                wanted.push((stream, format!("{status} {body}")));
            }
            Action::Header { stream, value, .. } => wanted.push((stream, value)),
            Action::EndStream { stream } => wanted.push((stream, "end".to_owned())),
            Action::SendUpstream {
                upstream, message, ..
            } => world.to_server.push((upstream, text(&message.to_bytes()))),
            Action::Connect { upstream, .. } => {
                world.hub.handle_upstream_connected(world.now, upstream);
            }
            Action::LoadSnapshot { upstream, .. } => {
                world.hub.handle_snapshot(world.now, upstream, None);
            }
            _ => {}
        }
    }
    wanted
}

fn answer(world: &mut World, upstream: UpstreamId, line: &str) {
    let raw = Bytes::copy_from_slice(line.as_bytes());
    let parsed = Message::parse(raw.clone(), Limits::default()).map_err(|error| (error, raw));
    world
        .hub
        .handle_upstream_frame(world.now, upstream, None, parsed);
}

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#;

/// Opens an HTTP session on stream 1; returns its key and its server.
fn open(world: &mut World) -> (String, UpstreamId) {
    world.sent();
    post(world, 1, None, INITIALIZE);
    assert!(wanted(world).is_empty());
    let (upstream, _) = world.sent_one();
    answer(world, upstream, INITIALIZED);
    let told = wanted(world);
    assert_eq!(told.len(), 2, "{told:?}");
    (told[0].1.clone(), upstream)
}

#[test]
fn nothing_is_sent_on_a_stream_that_is_gone() {
    let mut world = World::new(&["s"], EraChoice::Legacy);
    let (key, upstream) = open(&mut world);
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"}}"#;
    post(&mut world, 2, Some(&key), call);
    post(
        &mut world,
        3,
        Some(&key),
        &call.replace("\"id\":1", "\"id\":2"),
    );
    assert!(wanted(&mut world).is_empty());
    world.hub.handle_http_gone(world.now, 2);
    let result = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#;
    answer(&mut world, upstream, result);
    answer(
        &mut world,
        upstream,
        &result.replace("\"id\":1", "\"id\":2"),
    );
    let told = wanted(&mut world);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].0, 3);
    assert_eq!(world.hub.in_flight(), 0);
}

/// Broken variant that this catches: the response to a call whose client ends the session ends without a word.
#[test]
fn a_session_that_is_ended_answers_what_is_open() {
    let mut world = World::new(&["s"], EraChoice::Legacy);
    let (key, _) = open(&mut world);
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"}}"#;
    post(&mut world, 2, Some(&key), call);
    assert!(wanted(&mut world).is_empty());
    let head = HttpHead {
        session: Some(key),
        is_loopback: true,
        ..HttpHead::default()
    };
    world.hub.handle_http_delete(world.now, 3, &head);
    let told = wanted(&mut world);
    assert_eq!(told.len(), 2, "{told:?}");
    let (stream, error) = &told[0];
    assert!(
        *stream == 2 && error.contains("\"id\":1") && error.contains("-32600"),
        "{told:?}"
    );
    assert_eq!(told[1], (3, "200 ".to_owned()));
    let sent = world.sent();
    assert!(
        sent.iter()
            .any(|(_, line)| line.contains("notifications/cancelled")),
        "{sent:?}"
    );
    assert_eq!(world.hub.in_flight(), 0);
}

#[test]
fn an_error_about_a_response_names_no_id() {
    let mut world = World::new(&["s"], EraChoice::Legacy);
    // The id is that of a server's question; the client may use it for a request of its own.
    let response = r#"{"jsonrpc":"2.0","id":7,"result":{}}"#;
    post(&mut world, 1, Some("gone"), response);
    let told = wanted(&mut world);
    let (_, text) = told.last().unwrap();
    assert!(
        text.starts_with("404 ") && !text.contains("\"id\":7"),
        "{text}"
    );
    post(
        &mut world,
        2,
        Some("gone"),
        &response.replace("\"result\"", "\"method\":\"ping\",\"params\""),
    );
    let told = wanted(&mut world);
    assert!(told[0].1.contains("\"id\":7"), "{told:?}");
}

#[test]
fn a_list_that_never_comes_has_the_longest_life_of_a_request() {
    let mut world = World::new(&["s"], EraChoice::Legacy);
    world.hub.settings.surface = Some(crate::surface::plan::Settings::default());
    world.hub.settings.servers[0].request_timeout = None;
    world.legacy();
    world.client(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    world.pass(HubTimeouts::default().absolute);
    let got = world.got_one();
    assert!(got.contains("-31003"), "{got}");
}

#[test]
fn a_subscription_that_is_never_acknowledged_ends() {
    let mut world = World::new(&["s"], EraChoice::Modern);
    world.client(INITIALIZE);
    let (upstream, line) = world.sent_one();
    world.server(upstream, &format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{{"resources":{{"subscribe":true}}}},"serverInfo":{{"name":"s","version":"1"}}}}}}"#, id(&line)));
    assert!(world.got_one().contains("2025-11-25"));
    world.client(
        r#"{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"file:///a"}}"#,
    );
    let sent = world.sent();
    assert!(
        sent.iter()
            .any(|(_, line)| line.contains("subscriptions/listen")),
        "{sent:?}"
    );
    world.pass(Duration::from_secs(30));
    let got = world.got_one();
    assert!(got.contains("-31003"), "{got}");
}

#[test]
fn no_call_is_parked_while_the_proxy_shuts_down() {
    let mut world = World::new(&["s"], EraChoice::Legacy);
    let call = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"t",{META}}}}}"#
    );
    world.client(&call);
    let (upstream, line) = world.sent_one();
    let initialized = INITIALIZED.replace("\"id\":0", &format!("\"id\":{}", id(&line)));
    world.server(upstream, &initialized);
    let sent = world.sent();
    let (_, call) = sent
        .iter()
        .find(|(_, line)| line.contains("tools/call"))
        .unwrap();
    world.hub.begin_drain(world.now);
    world.act();
    world.server(upstream, r#"{"jsonrpc":"2.0","id":9,"method":"elicitation/create","params":{"message":"m","requestedSchema":{"type":"object","properties":{}}}}"#);
    let refused = world.sent_one().1;
    assert!(refused.contains("shutting down"), "{refused}");
    assert!(world.got().is_empty(), "the call goes on");
    world.server(
        upstream,
        &format!(
            r#"{{"jsonrpc":"2.0","id":{},"result":{{"content":[]}}}}"#,
            id(call)
        ),
    );
    assert!(world.got_one().contains("content"));
    assert_eq!(world.hub.in_flight(), 0);
}
