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
