//! A tier outside memory that answers, does not, or says something else.

use std::time::Duration;

use bytes::Bytes;

use super::{answer, call, hit, rule, rules, through, world};
use crate::cache::lru::Answer;
use crate::hub::action::Action;
use crate::hub::cache::{Found, Looked};
use crate::hub::tests::World;
use crate::upstream::UpstreamId;

fn with_tier() -> (World, UpstreamId) {
    let mut cache = rules(vec![rule("s/read")]);
    cache.has_tier = true;
    let (mut world, upstream) = world(cache);
    world.tier.clear();
    (world, upstream)
}

/// Answers the lookup that is waited for.
fn look(world: &mut World, looked: Looked) -> bool {
    let mut wanted = None;
    for action in std::mem::take(&mut world.tier) {
        if let Action::CacheLookup {
            exchange,
            wants_answer,
            ..
        } = action
        {
            wanted = Some(wants_answer);
            world.hub.handle_cached(world.now, exchange, looked.clone());
        }
    }
    world.act();
    wanted.expect("a lookup")
}

fn epochs(numbers: [u64; 2]) -> Looked {
    Looked {
        epochs: Some(numbers.to_vec()),
        found: None,
    }
}

fn with_answer(text: &str) -> Looked {
    let raw = format!(r#"{{"content":[{{"type":"text","text":"{text}"}}]}}"#);
    Looked {
        found: Some(Found {
            answer: Answer::Result(Bytes::from(raw)),
            age: Duration::from_secs(10),
            ttl: Duration::from_secs(60),
            stale_if_error: Duration::ZERO,
        }),
        ..epochs([1, 2])
    }
}

#[test]
fn what_a_tier_has_is_answered_and_stays_in_memory_while_the_tier_agrees() {
    let (mut world, upstream) = with_tier();
    call(&mut world, 1, "read");
    assert_eq!(world.sent(), [], "the tier is asked first");
    assert!(look(&mut world, with_answer("theirs")));
    let got = world.got_one();
    assert!(
        got.contains("theirs") && got.contains("\"ageMs\":10000"),
        "{got}"
    );
    call(&mut world, 2, "read");
    assert!(
        !look(&mut world, epochs([1, 2])),
        "only its numbers are wanted"
    );
    assert!(world.got_one().contains("theirs"));
    // Another process wrote.
    call(&mut world, 3, "read");
    look(&mut world, epochs([1, 3]));
    let (_, sent) = world.sent_one();
    answer(&mut world, upstream, &crate::hub::tests::id(&sent), "new");
    assert!(world.got_one().contains("new"));
    let stored = world.tier.iter().find_map(|action| match action {
        Action::CacheStore { scopes, .. } => Some(scopes.iter().map(|(_, n)| *n).collect()),
        _ => None,
    });
    assert_eq!(
        stored,
        Some(vec![1, 3]),
        "the numbers when the read started"
    );
}

/// Broken variant that this catches: what was kept under a longer grant, or a longer `cache.max_ttl`, is fresh for as
/// long as it was when it was kept.
#[test]
fn what_a_tier_has_is_fresh_by_what_is_granted_now() {
    let granted = |ttl: u64, max_ttl: u64| {
        let mut granted = rule("s/read");
        granted.ttl = Duration::from_secs(ttl);
        let mut cache = rules(vec![granted]);
        cache.has_tier = true;
        cache.max_ttl = Duration::from_secs(max_ttl);
        let (mut one, _) = world(cache);
        one.tier.clear();
        call(&mut one, 1, "read");
        // Ten seconds old, and fresh for sixty by its own word.
        look(&mut one, with_answer("theirs"));
        one
    };
    for (ttl, max_ttl, is_fresh) in [(10, 3600, false), (60, 10, false), (60, 11, true)] {
        let mut one = granted(ttl, max_ttl);
        assert_eq!(one.sent().len(), usize::from(!is_fresh));
        assert_eq!(one.got().len(), usize::from(is_fresh));
    }
    // In memory it stays for the rest of that time.
    let mut one = granted(11, 3600);
    assert!(one.got_one().contains("theirs"));
    one.pass(Duration::from_secs(1));
    call(&mut one, 2, "read");
    assert!(look(&mut one, epochs([1, 2])), "it is asked for again");
    one.sent_one();
}

#[test]
fn a_tier_that_says_nothing_holds_nobody_up() {
    let (mut world, upstream) = with_tier();
    call(&mut world, 1, "read");
    world.pass(Duration::from_millis(49));
    assert_eq!(world.sent(), []);
    world.pass(Duration::from_millis(1));
    let (_, sent) = world.sent_one();
    // Too late is never.
    look(&mut world, with_answer("late"));
    assert_eq!(world.got(), Vec::<String>::new());
    answer(&mut world, upstream, &crate::hub::tests::id(&sent), "one");
    assert!(world.got_one().contains("one"));
    let stores = |world: &World| {
        let all = world.tier.iter();
        all.filter(|action| matches!(action, Action::CacheStore { .. }))
            .count()
    };
    assert_eq!(stores(&world), 0, "nobody knows its numbers");
    // Memory alone answers while the tier is away.
    call(&mut world, 2, "read");
    look(&mut world, Looked::default());
    assert!(world.got_one().contains("one"));
    // Back again it does not know this answer: doubt.
    call(&mut world, 3, "read");
    look(&mut world, epochs([1, 2]));
    let (_, sent) = world.sent_one();
    answer(&mut world, upstream, &crate::hub::tests::id(&sent), "two");
    world.got_one();
    assert_eq!(stores(&world), 1);
}

#[test]
fn damaged_answers_are_no_answers() {
    let (mut world, upstream) = with_tier();
    for (n, raw) in ["{", "", "{}}", "\u{0}"].into_iter().enumerate() {
        let mut looked = with_answer("");
        looked.found.as_mut().unwrap().answer = Answer::Result(Bytes::from(raw));
        call(&mut world, u32::try_from(n).unwrap() + 1, "read");
        look(&mut world, looked);
        let (_, sent) = world.sent_one();
        let error = format!(
            r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":-32000,"message":"no"}}}}"#,
            crate::hub::tests::id(&sent)
        );
        world.server(upstream, &error);
        world.got_one();
    }
}

#[test]
fn the_answer_to_a_write_waits_until_others_know_but_not_long() {
    for is_answered in [true, false] {
        let (mut world, upstream) = with_tier();
        call(&mut world, 1, "write");
        let (_, sent) = world.sent_one();
        answer(&mut world, upstream, &crate::hub::tests::id(&sent), "done");
        assert_eq!(world.got(), Vec::<String>::new());
        if is_answered {
            for action in std::mem::take(&mut world.tier) {
                if let Action::CacheBump { bump, .. } = action {
                    world.hub.handle_bumped(world.now, bump, true);
                }
            }
            world.act();
        } else {
            world.pass(Duration::from_millis(50));
        }
        assert!(world.got_one().contains("done"));
    }
}

#[test]
fn a_tier_that_was_not_told_of_a_write_is_not_believed_until_it_was() {
    let (mut world, upstream) = with_tier();
    call(&mut world, 1, "write");
    let (_, sent) = world.sent_one();
    answer(&mut world, upstream, &crate::hub::tests::id(&sent), "done");
    let tell = |world: &mut World, is_done: bool| {
        let mut told = 0;
        for action in std::mem::take(&mut world.tier) {
            if let Action::CacheBump { bump, .. } = action {
                world.hub.handle_bumped(world.now, bump, is_done);
                told += 1;
            }
        }
        world.act();
        told
    };
    assert_eq!(tell(&mut world, false), 2);
    world.got_one();
    through(&mut world, upstream, 2, "read", "one");
    assert_eq!(tell(&mut world, false), 1, "it is told again");
    // Memory is right all the while.
    hit(&mut world, 3, "read", "one");
    tell(&mut world, true);
    call(&mut world, 4, "read");
    assert!(look(&mut world, epochs([8, 9])) || world.sent().len() == 1);
}
