//! Answers of tools that are shaped on their way.

use super::*;
use crate::hub::settings::ResultForm;
use crate::result::images::Vision;
use crate::result::options::{Cap, Channel};
use crate::result::repeat::Form;
use crate::result::seen::Seen;
use crate::result::shape::Shaped;
use crate::surface::plan::ReadsResults;
use crate::token::Tokens;
use crate::token::ledger::Basis;

const CALL: &str =
    r#"{"jsonrpc":"2.0","id":"c-1","method":"tools/call","params":{"name":"t","arguments":{}}}"#;

fn form() -> ResultForm {
    ResultForm {
        channel: Channel::Text,
        is_compacted: true,
        may_abbreviate: true,
        tool_legends: vec![("t*".into(), false)],
        is_media_replaced: true,
        vision: Vision::default(),
        says_repeats: false,
        cap: Some(Cap::default()),
        tool_caps: vec![("t*".into(), None)],
        lists_read_result: ReadsResults::Always,
        ..ResultForm::default()
    }
}

fn world() -> (World, UpstreamId) {
    world_of(settings(&["s"], EraChoice::Legacy))
}

fn world_of(settings: HubSettings) -> (World, UpstreamId) {
    world_shaped(settings, form())
}

fn world_shaped(mut settings: HubSettings, form: ResultForm) -> (World, UpstreamId) {
    settings.profiles = Profiles {
        configured: "generic".into(),
        results: [("generic".to_owned(), form)].into(),
        ..Profiles::default()
    };
    let mut world = World::of(settings, None);
    let upstream = world.legacy();
    (world, upstream)
}

/// A result of a server that is long enough to be looked at.
fn result(text: &str) -> String {
    format!(
        r#"{{"content":[{{"type":"text","text":"{text}{}"}}]}}"#,
        "x".repeat(500)
    )
}

fn answered(world: &mut World, upstream: UpstreamId, result: &str) -> String {
    world.client(CALL);
    let (_, sent) = world.sent_one();
    let sent = Message::parse_single(sent.into(), Limits::default()).unwrap();
    let id = text(sent.id().unwrap().raw());
    let line = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#);
    world.server(upstream, &line);
    format!(r#"{{"jsonrpc":"2.0","id":"c-1","result":{result}}}"#)
}

fn shaped(text: &str) -> Shaped {
    Shaped {
        result: Some(text.to_owned()),
        before: Tokens::new(9),
        after: Tokens::new(1),
        handle: None,
        text: None,
        is_estimated: false,
        given: None,
        learned: None,
        uncounted: None,
    }
}

/// A result that stays as it is, and that nobody counted.
fn uncounted() -> Shaped {
    Shaped {
        result: None,
        before: Tokens::ZERO,
        after: Tokens::ZERO,
        uncounted: Some(Seen::Texts { reads_twice: false }),
        ..shaped("")
    }
}

/// The day of the ledger in these tests.
const NOON: u64 = 20_785 * 86_400 + 43_200;

fn sums(world: &mut World) -> Vec<(Basis, u64, u64)> {
    let days = world.hub.take_ledger();
    let rows = days.iter().flat_map(|(_, rows)| rows.iter());
    rows.map(|(key, sum)| (key.basis, sum.before.get(), sum.after.get()))
        .collect()
}

#[test]
fn a_result_that_stays_is_sent_before_it_is_counted() {
    let (mut world, upstream) = world();
    world.hub.handle_wall_clock(world.now, NOON);
    let original = answered(&mut world, upstream, &result("a"));
    let (exchange, job) = world.shaping.remove(0);
    assert!(!job.is_counted_first, "nobody is told its tokens with it");
    let now = world.now;
    world.hub.handle_shaped(now, exchange, Some(uncounted()));
    world.act();
    let (job, sent_before) = world.counting.remove(0);
    assert_eq!(sent_before, 1, "the answer went first");
    assert_eq!(world.got_one(), original);
    assert_eq!(job.result, result("a"));
    assert_eq!(sums(&mut world), [], "it is owed");
    world.hub.handle_counted(&job.owed, Some(Tokens::new(63)));
    assert_eq!(sums(&mut world), [(Basis::Measured, 63, 63)]);
}

#[test]
fn a_result_that_nobody_could_count_is_said_to_be_estimated() {
    let (mut world, upstream) = world();
    world.hub.handle_wall_clock(world.now, NOON);
    answered(&mut world, upstream, &result("a"));
    let (exchange, _) = world.shaping.remove(0);
    let now = world.now;
    world.hub.handle_shaped(now, exchange, Some(uncounted()));
    world.act();
    let (job, _) = world.counting.remove(0);
    world.hub.handle_counted(&job.owed, None);
    let tokens = (result("a").len() as u64).div_ceil(4);
    assert_eq!(sums(&mut world), [(Basis::Estimated, tokens, tokens)]);
    let expected = crate::hub::ledger::TokenTotals {
        before: tokens,
        after: tokens,
        read_back: 0,
    };
    assert_eq!(world.hub.token_totals(), expected);
}

#[test]
fn where_tokens_are_told_with_an_answer_it_is_counted_first() {
    let mut audited = settings(&["s"], EraChoice::Legacy);
    audited.audit = crate::policy::audit::Scope::Calls;
    let (mut world, upstream) = world_of(audited);
    answered(&mut world, upstream, &result("a"));
    assert!(world.shaping.remove(0).1.is_counted_first);
}

#[test]
fn a_result_waits_for_its_shape_and_is_answered_once() {
    let (mut world, upstream) = world();
    answered(&mut world, upstream, &result("a"));
    assert!(world.got().is_empty());
    let (exchange, job) = world.shaping.remove(0);
    assert_eq!(
        (
            job.principal.as_str(),
            job.server.as_str(),
            job.tool.as_str()
        ),
        ("user", "s", "t")
    );
    assert_eq!(
        job.options.as_ref().unwrap().cap,
        None,
        "by the tool's own cap"
    );
    let may_abbreviate = job.options.as_ref().map(|options| options.may_abbreviate);
    assert_eq!(may_abbreviate, Some(false), "by the tool's own word");
    assert_eq!(&job.result[..], result("a").as_bytes());
    let now = world.now;
    let small = r#"{"content":[],"x":1}"#;
    world.hub.handle_shaped(now, exchange, Some(shaped(small)));
    world.act();
    assert_eq!(
        world.got_one(),
        format!(r#"{{"jsonrpc":"2.0","id":"c-1","result":{small}}}"#)
    );
    world.hub.handle_shaped(now, exchange, Some(shaped(small)));
    world.act();
    assert!(world.got().is_empty(), "answered once");
}

#[test]
fn where_shaping_fails_or_takes_too_long_the_original_goes_on() {
    let (mut world, upstream) = world();
    let original = answered(&mut world, upstream, &result("a"));
    let (exchange, _) = world.shaping.remove(0);
    let now = world.now;
    world.hub.handle_shaped(now, exchange, None);
    world.act();
    assert_eq!(world.got_one(), original);

    let original = answered(&mut world, upstream, &result("b"));
    world.pass(Duration::from_secs(11));
    assert_eq!(world.got_one(), original);
    let (exchange, _) = world.shaping.remove(0);
    let now = world.now;
    world.hub.handle_shaped(now, exchange, Some(shaped("{}")));
    world.act();
    assert!(world.got().is_empty());

    let original = answered(&mut world, upstream, &result("c"));
    let (exchange, _) = world.shaping.remove(0);
    let now = world.now;
    world
        .hub
        .handle_shaped(now, exchange, Some(shaped("{broken")));
    world.act();
    assert_eq!(world.got_one(), original, "what is no JSON is not sent");
}

#[test]
fn a_server_that_dies_meanwhile_loses_nothing() {
    let (mut world, upstream) = world();
    answered(&mut world, upstream, &result("a"));
    let (exchange, _) = world.shaping.remove(0);
    world.crash(upstream);
    assert!(world.got().is_empty(), "the answer is there already");
    let now = world.now;
    world.hub.handle_shaped(now, exchange, Some(shaped("{}")));
    world.act();
    assert!(world.got_one().contains(r#""result":{}"#));
}

#[test]
fn a_cancelled_call_is_not_answered_when_its_result_is_ready() {
    let (mut world, upstream) = world();
    answered(&mut world, upstream, &result("a"));
    let (exchange, _) = world.shaping.remove(0);
    world.client(
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"c-1"}}"#,
    );
    let now = world.now;
    world.hub.handle_shaped(now, exchange, Some(shaped("{}")));
    world.act();
    assert!(world.got().is_empty());
}

#[test]
fn what_is_not_ours_to_change_is_not_held_up() {
    let (mut world, upstream) = world();
    for original in [
        r#"{"content":[{"type":"text","text":"short"}]}"#.to_owned(),
        result("a").replacen('{', r#"{"task":{"taskId":"1"},"#, 1),
    ] {
        let expected = answered(&mut world, upstream, &original);
        assert_eq!(world.got_one(), expected);
    }
    let mut transparent = settings(&["s"], EraChoice::Legacy);
    transparent.is_transparent = true;
    let (mut world, upstream) = world_of(transparent);
    let expected = answered(&mut world, upstream, &result("a"));
    assert_eq!(world.got_one(), expected);
    let mut shadow = settings(&["s"], EraChoice::Legacy);
    shadow.is_shadow = true;
    let (mut world, upstream) = world_of(shadow);
    let expected = answered(&mut world, upstream, &result("a"));
    let (exchange, _) = world.shaping.remove(0);
    let now = world.now;
    world.hub.handle_shaped(now, exchange, Some(shaped("{}")));
    world.act();
    assert_eq!(world.got_one(), expected, "shaped for the account only");
}

/// Broken variants that this catches: what was remembered of a call stays its last answer although its client was
/// given another one meanwhile, that was short, an error, asked for in part or not shaped.
#[test]
fn an_answer_that_is_not_remembered_is_the_last_one_all_the_same() {
    let repeating = ResultForm {
        says_repeats: true,
        ..form()
    };
    let (mut world, upstream) = world_shaped(settings(&["s"], EraChoice::Legacy), repeating);
    let remembered = || Shaped {
        result: None,
        given: Some(("a".into(), Form::Full)),
        ..shaped("")
    };
    // Gives the answer that is remembered; tells whether one was known before.
    let whole = |world: &mut World| {
        answered(world, upstream, &result("a"));
        let (exchange, job) = world.shaping.remove(0);
        let now = world.now;
        world.hub.handle_shaped(now, exchange, Some(remembered()));
        world.act();
        world.got_one();
        matches!(job.options.unwrap().repeats, Some(Some(_)))
    };
    assert!(!whole(&mut world));
    assert!(whole(&mut world));

    let short = r#"{"content":[{"type":"text","text":"[]"}]}"#;
    answered(&mut world, upstream, short);
    world.got_one();
    assert!(!whole(&mut world), "a short answer");

    world.client(CALL);
    let (_, sent) = world.sent_one();
    let id = super::id(&sent);
    world.server(
        upstream,
        &format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32000,"message":"no"}}}}"#),
    );
    world.got_one();
    assert!(!whole(&mut world), "an error");

    for other in [Some(uncounted()), None] {
        answered(&mut world, upstream, &result("b"));
        let (exchange, _) = world.shaping.remove(0);
        let now = world.now;
        world.hub.handle_shaped(now, exchange, other);
        world.act();
        world.got_one();
        assert!(!whole(&mut world), "a part, or not shaped");
    }

    answered(&mut world, upstream, &result("b"));
    world.shaping.remove(0);
    world.pass(Duration::from_secs(11));
    world.got_one();
    assert!(!whole(&mut world), "shaped too late");
    assert!(whole(&mut world));
}

/// Broken variant that this catches: answers that nobody takes apart (short ones, and such as could not be shaped)
/// are no calls in the ledger.
#[test]
fn an_answer_that_is_not_shaped_is_a_call_without_tokens() {
    let (mut world, upstream) = world();
    world.hub.handle_wall_clock(world.now, NOON);
    let calls = |world: &mut World| -> u64 {
        assert!(
            sums(world)
                .iter()
                .all(|sum| *sum == (Basis::Measured, 0, 0))
        );
        world.hub.n_noted()
    };
    let short = r#"{"content":[{"type":"text","text":"short"}]}"#;
    answered(&mut world, upstream, short);
    world.got_one();
    assert_eq!(calls(&mut world), 1);
    answered(&mut world, upstream, &result("a"));
    let (exchange, _) = world.shaping.remove(0);
    let now = world.now;
    world.hub.handle_shaped(now, exchange, None);
    world.act();
    world.got_one();
    assert_eq!(calls(&mut world), 2);
    answered(&mut world, upstream, &result("b"));
    world.pass(Duration::from_secs(11));
    world.got_one();
    assert_eq!(calls(&mut world), 3);
    // A task is no answer yet.
    let task = result("a").replacen('{', r#"{"task":{"taskId":"1"},"#, 1);
    answered(&mut world, upstream, &task);
    world.got_one();
    assert_eq!(calls(&mut world), 3);
}
