//! Reading kept results: which calls are ours, whose results they may read, and that each has one answer.

use super::surface::{LIST, lean, reader, with_surface};
use super::*;
use crate::hub::reads::{ReadOutcome, ReadWhat};
use crate::hub::settings::ResultForm;
use crate::result::handle::Handle;
use crate::surface::plan::ReadsResults;

fn with_reads(era: EraChoice) -> HubSettings {
    let form = ResultForm {
        lists_read_result: ReadsResults::Always,
        ..ResultForm::default()
    };
    HubSettings {
        profiles: Profiles {
            configured: "generic".into(),
            results: [("generic".to_owned(), form)].into(),
            ..Profiles::default()
        },
        ..with_surface(&["s"], era, lean())
    }
}

fn world(tools: &[String]) -> (World, UpstreamId, String) {
    let mut world = World::of(with_reads(EraChoice::Auto), None);
    let upstream = world.shake()[0];
    world.client(LIST);
    world.list(upstream, tools);
    world.make();
    let listed = world.got_one();
    (world, upstream, listed)
}

fn handle() -> String {
    Handle::of(&[1; 32], "user", b"").to_string()
}

fn read(id: u32, name: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{name}","arguments":{{"handle":"{}","page":"2"}}}}}}"#,
        handle()
    )
}

#[test]
fn it_is_listed_called_and_answered_once() {
    let (mut world, _, listed) = world(&[reader("t")]);
    assert!(listed.contains(r#""name":"read_result""#), "{listed}");
    world.client(&read(5, "read_result"));
    assert!(world.sent().is_empty() && world.got().is_empty());
    let (exchange, job) = world.reading.remove(0);
    assert_eq!(job.principal, "user");
    match &job.what {
        ReadWhat::Part { query, tool, cap } => {
            assert_eq!((query.page, tool.as_str()), (Some(2), "read_result"));
            assert!(
                cap.is_some(),
                "what is read is capped whatever the tool's cap"
            );
        }
        other => panic!("{other:?}"),
    }
    let now = world.now;
    let texts = vec!["a\"b".to_owned(), "page 2 of 2".to_owned()];
    world
        .hub
        .handle_read(now, exchange, ReadOutcome::Texts(texts));
    world.act();
    assert_eq!(
        world.got_one(),
        r#"{"jsonrpc":"2.0","id":5,"result":{"content":[{"type":"text","text":"a\"b"},{"type":"text","text":"page 2 of 2"}]}}"#
    );
    world
        .hub
        .handle_read(now, exchange, ReadOutcome::Wrong("late".into()));
    world.act();
    assert!(world.got().is_empty(), "answered once");
    assert_eq!(world.hub.in_flight(), 0);
    assert!(world.aborted.is_empty(), "what has ended is not stopped");
}

#[test]
fn wrong_arguments_are_answered_at_once() {
    let (mut world, _, _) = world(&[reader("t")]);
    world.client(&read(5, "read_result").replace("page", "offset"));
    let answer = world.got_one();
    assert!(
        answer.contains("there is no argument `offset`") && answer.contains("\"isError\":true"),
        "{answer}"
    );
    assert!(world.reading.is_empty());
}

#[test]
fn a_cancelled_read_is_stopped_and_not_answered() {
    let (mut world, _, _) = world(&[reader("t")]);
    world.client(&read(5, "read_result"));
    let (exchange, _) = world.reading.remove(0);
    world
        .client(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}"#);
    assert_eq!(world.aborted, [exchange]);
    let now = world.now;
    world
        .hub
        .handle_read(now, exchange, ReadOutcome::Texts(vec!["x".into()]));
    world.act();
    assert!(world.got().is_empty());
    assert_eq!(world.hub.in_flight(), 0);
}

#[test]
fn a_servers_own_tool_of_that_name_stays_its_own() {
    let (mut world, _, listed) = world(&[reader("read_result")]);
    assert!(listed.contains(r#""name":"read_result_2""#), "{listed}");
    world.client(
        r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"read_result","arguments":{"x":1}}}"#,
    );
    assert!(world.reading.is_empty());
    world.sent_one();
    world.client(&read(6, "read_result_2"));
    assert_eq!(world.reading.len(), 1);
}

#[test]
fn it_can_be_called_before_any_list() {
    let mut world = World::of(with_reads(EraChoice::Auto), None);
    let upstream = world.shake()[0];
    world.client(&read(5, "read_result"));
    world.list(upstream, &[reader("t")]);
    world.make();
    assert_eq!(world.reading.len(), 1);
}

#[test]
fn our_uris_are_read_from_the_store_and_others_are_not() {
    let (mut world, _, _) = world(&[reader("t")]);
    let uri = |id: u32, uri: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"resources/read","params":{{"uri":"{uri}"}}}}"#
        )
    };
    let ours = format!("whittle://results/{}/blocks/3", handle());
    world.client(&uri(5, &ours));
    let (exchange, job) = world.reading.remove(0);
    assert!(matches!(
        job.what,
        ReadWhat::Resource { block: Some(3), .. }
    ));
    let now = world.now;
    world.hub.handle_read(now, exchange, ReadOutcome::NotFound);
    world.act();
    let unknown = world.got_one();
    assert!(unknown.contains("\"code\":-32002"), "{unknown}");
    // What is no handle of ours looks the same.
    world.client(&uri(5, "whittle://results/r_x/blocks/3"));
    let malformed = world.got_one();
    let handle = handle();
    assert_eq!(malformed, unknown.replace(handle.as_str(), "r_x"));
    world.client(&uri(6, &ours.replace("/blocks/3", "")));
    let (exchange, _) = world.reading.remove(0);
    let contents = r#"[{"uri":"u","text":"t"}]"#.to_owned();
    let now = world.now;
    world
        .hub
        .handle_read(now, exchange, ReadOutcome::Contents(contents));
    world.act();
    assert_eq!(
        world.got_one(),
        r#"{"jsonrpc":"2.0","id":6,"result":{"contents":[{"uri":"u","text":"t"}]}}"#
    );
    world.client(&uri(7, "other://results/x"));
    assert!(world.sent_one().1.contains("other://results/x"));
}

#[test]
fn without_a_store_nothing_of_it_is_there() {
    let settings = HubSettings {
        keeps_results: false,
        ..with_reads(EraChoice::Auto)
    };
    let mut world = World::of(settings, None);
    let upstream = world.shake()[0];
    world.client(LIST);
    world.list(upstream, &[reader("t")]);
    world.make();
    assert!(!world.got_one().contains("read_result"));
    world.client(&read(5, "read_result"));
    assert!(world.reading.is_empty());
    assert!(
        world.sent_one().1.contains("read_result"),
        "the server's to refuse"
    );
}
