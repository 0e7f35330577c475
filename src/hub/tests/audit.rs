//! Which server a record names where no tool is called.

use super::*;
use crate::policy::audit::{Record, Scope};

/// Lets a server answer, and returns what is recorded then.
fn recorded(world: &mut World, upstream: UpstreamId, line: &str) -> Option<Record> {
    let raw = Bytes::copy_from_slice(line.as_bytes());
    let parsed = Message::parse(raw.clone(), Limits::default()).map_err(|error| (error, raw));
    world
        .hub
        .handle_upstream_frame(world.now, upstream, None, parsed);
    let mut found = None;
    while let Some(action) = world.hub.poll_action() {
        match action {
            Action::Audit(record) => found = Some(*record),
            Action::SendUpstream {
                upstream, message, ..
            } => world.to_server.push((upstream, text(&message.to_bytes()))),
            _ => {}
        }
    }
    found
}

/// Broken variants that this catches: one that names the servers of tool calls only, one that names the server that
/// was asked first, and one that names the last of those that all know nothing of it.
#[test]
fn a_record_names_the_server_that_answered() {
    let mut audited = settings(&["a", "b"], EraChoice::Legacy);
    audited.audit = Scope::Calls;
    let mut world = World::of(audited, None);
    world.shake();
    let unknown = r#""error":{"code":-32602,"message":"no such resource"}"#;
    let found = r#""result":{"contents":[]}"#;
    for (answers, server) in [
        (vec![found], "a"),
        (vec![unknown, found], "b"),
        (vec![unknown, unknown], ""),
    ] {
        world.client(
            r#"{"jsonrpc":"2.0","id":7,"method":"resources/read","params":{"uri":"x://y"}}"#,
        );
        let mut record = None;
        for answer in answers {
            let (upstream, line) = world.sent_one();
            let line = format!(r#"{{"jsonrpc":"2.0","id":{},{answer}}}"#, id(&line));
            record = recorded(&mut world, upstream, &line);
        }
        let record = record.expect("a record");
        assert_eq!(
            (record.method.as_str(), record.server.as_str()),
            ("resources/read", server)
        );
    }
}
