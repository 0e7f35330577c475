use proptest::prelude::*;

use super::*;
use crate::token::{Encoding, TiktokenCounter};

const REST: &str = r#"read_result {"handle":"r_x"}"#;

fn key(session: SessionId, tool: &str) -> CallKey {
    CallKey::of(&Principal::OsUser, session, "s", tool, b"{}").expect("a key")
}

fn text(words: &str) -> Bytes {
    Bytes::copy_from_slice(words.as_bytes())
}

#[test]
fn calls_are_told_apart_by_all_that_names_them() {
    let of = |principal: Principal, session, server, tool, arguments: &str| {
        CallKey::of(&principal, session, server, tool, arguments.as_bytes())
    };
    let one = of(Principal::OsUser, 1, "s", "t", r#"{"a":1,"b":2}"#);
    assert!(one.is_some());
    assert_eq!(
        one,
        of(Principal::OsUser, 1, "s", "t", r#"{ "b":2, "a":1 }"#)
    );
    for other in [
        of(Principal::Bearer([1; 16]), 1, "s", "t", r#"{"a":1,"b":2}"#),
        of(Principal::OsUser, 2, "s", "t", r#"{"a":1,"b":2}"#),
        of(Principal::OsUser, 1, "st", "", r#"{"a":1,"b":2}"#),
        of(Principal::OsUser, 1, "s", "t", r#"{"a":1,"b":2.0}"#),
        of(Principal::OsUser, 1, "s", "t", "{}"),
    ] {
        assert_ne!(one, other);
        assert!(other.is_some());
    }
    assert_eq!(of(Principal::OsUser, 1, "s", "t", r#"{"a":1,"a":1}"#), None);
}

#[test]
fn who_asks_again_after_unchanged_gets_the_whole() {
    let mut repeats = Repeats::new(Bounds::default());
    let now = Instant::now();
    let (key, answer) = (key(1, "t"), text("the answer"));
    assert_eq!(repeats.look(now, &key, &answer), Past::Nothing);
    repeats.given(now, key, &answer, Form::Full);
    for _ in 0..3 {
        assert_eq!(repeats.look(now, &key, &answer), Past::Same);
        repeats.given(now, key, &answer, Form::Unchanged);
        assert_eq!(repeats.look(now, &key, &answer), Past::Nothing, "in full");
        repeats.given(now, key, &answer, Form::Full);
    }
}

#[test]
fn after_some_short_answers_the_whole_is_due() {
    let mut repeats = Repeats::new(Bounds::default());
    let (now, key) = (Instant::now(), key(1, "t"));
    repeats.given(now, key, &text("0"), Form::Full);
    for n in 1..=SHORT_IN_A_ROW {
        let next = text(&n.to_string());
        let before = text(&(n - 1).to_string());
        assert_eq!(repeats.look(now, &key, &next), Past::Changed(before));
        repeats.given(now, key, &next, Form::Delta);
    }
    assert_eq!(repeats.look(now, &key, b"x"), Past::Nothing);
    assert_eq!(repeats.look(now, &key, b"3"), Past::Nothing);
    repeats.given(now, key, &text("x"), Form::Full);
    assert_eq!(repeats.look(now, &key, b"x"), Past::Same);
}

/// Broken variants that this catches: a difference to what the model was shown a sample of, also where it was told
/// meanwhile that it is unchanged.
#[test]
fn what_was_shown_in_part_can_be_unchanged_and_not_compared() {
    let mut repeats = Repeats::new(Bounds::default());
    let (now, key, answer) = (Instant::now(), key(1, "t"), text("a"));
    repeats.given(now, key, &answer, Form::Part);
    assert_eq!(repeats.look(now, &key, b"b"), Past::Nothing);
    assert_eq!(repeats.look(now, &key, &answer), Past::Same);
    repeats.given(now, key, &answer, Form::Unchanged);
    assert_eq!(repeats.look(now, &key, b"b"), Past::Nothing);
    assert_eq!(repeats.bytes(), 0);
    // A call that was answered otherwise is new.
    repeats.given(now, key, &answer, Form::Full);
    assert!(repeats.knows(1));
    repeats.forget_call(&key);
    assert_eq!(repeats.look(now, &key, &answer), Past::Nothing);
    assert!(!repeats.knows(1));
    assert_eq!(repeats.bytes(), 0);
}

#[test]
fn the_window_is_not_made_longer_by_saying_unchanged() {
    let mut repeats = Repeats::new(Bounds::default());
    let (start, key, answer) = (Instant::now(), key(1, "t"), text("a"));
    let after = |seconds| start + Duration::from_secs(seconds);
    repeats.given(start, key, &answer, Form::Full);
    repeats.given(after(590), key, &answer, Form::Unchanged);
    assert_eq!(repeats.look(after(600), &key, b"b"), Past::Changed(answer));
    assert_eq!(repeats.look(after(601), &key, b"b"), Past::Nothing);
}

#[test]
fn sessions_know_nothing_of_one_another_and_all_is_bounded() {
    let bounds = Bounds {
        answers: 4,
        bytes: 100,
        sessions: 2,
        ..Bounds::default()
    };
    let mut repeats = Repeats::new(bounds);
    let now = Instant::now();
    let answer = text(&"x".repeat(30));
    repeats.given(now, key(1, "t"), &answer, Form::Full);
    assert_eq!(repeats.look(now, &key(2, "t"), &answer), Past::Nothing);
    for tool in ["a", "b", "c", "d", "e", "f"] {
        repeats.given(now, key(1, tool), &answer, Form::Full);
        assert!(repeats.bytes() <= 100);
    }
    assert_eq!(repeats.look(now, &key(1, "a"), &answer), Past::Nothing);
    assert_eq!(repeats.look(now, &key(1, "f"), &answer), Past::Same);
    // An answer that is too long to keep can still be unchanged, but not compared.
    let long = text(&"y".repeat(500));
    repeats.given(now, key(1, "g"), &long, Form::Full);
    assert_eq!(repeats.look(now, &key(1, "g"), &long), Past::Same);
    assert_eq!(repeats.look(now, &key(1, "g"), b"z"), Past::Nothing);
    for session in 2..100 {
        let later = now + Duration::from_millis(session);
        repeats.given(later, key(session, "t"), &answer, Form::Full);
    }
    assert!(repeats.bytes() <= 200, "{}", repeats.bytes());
    assert_eq!(repeats.look(now, &key(1, "f"), &answer), Past::Nothing);
    assert_eq!(repeats.look(now, &key(99, "t"), &answer), Past::Same);
    repeats.forget(99);
    assert_eq!(repeats.look(now, &key(99, "t"), &answer), Past::Nothing);
    let mut none = Repeats::new(Bounds {
        answers: 0,
        ..bounds
    });
    none.given(now, key(1, "t"), &answer, Form::Full);
    assert_eq!(none.bytes(), 0);
}

fn issues(n: usize) -> String {
    let one = |n: usize| {
        format!(
            r#"{{"id":{n},"title":"Issue number {n}","state":"open","labels":["a","b"],"score":{n}.50}}"#
        )
    };
    let all: Vec<String> = (0..n).map(one).collect();
    format!("{{\"total\":{n},\"items\":[{}]}}", all.join(","))
}

#[test]
fn a_small_change_is_given_by_its_places() {
    let counter = TiktokenCounter::new(Encoding::O200kBase);
    let old = issues(40);
    let new = old
        .replace(
            r#""id":7,"title":"Issue number 7","state":"open""#,
            r#""id":7,"title":"Issue number 7","state":"closed""#,
        )
        .replace(
            r#"{"id":3,"title":"Issue number 3","state":"open","labels":["a","b"],"score":3.50},"#,
            "",
        )
        .replace(r#""items":["#, r#""items":[{"id":99,"title":"New"},"#)
        .replace(r#""score":12.50"#, r#""score":12.5"#);
    let in_full = counter.count(&new);
    let found = difference(&old, &new, in_full, REST, &counter).expect("a small change");
    assert_eq!(
        found.text,
        "Changed since the last answer to this call; apply in order to its JSON (~ sets, + inserts, - removes at a JSON pointer):\n\
         + /items/0: {\"id\":99,\"title\":\"New\"}\n\
         - /items/4\n\
         ~ /items/7/state: \"closed\"\n\
         ~ /items/12/score: 12.5\n\
         All else is unchanged. In full: read_result {\"handle\":\"r_x\"}, or repeat the call."
    );
    assert!(found.tokens.get() * 2 < in_full.get());
    assert_eq!(found.tokens, counter.count(&found.text));
    // As short an answer gains nothing.
    assert_eq!(
        difference(&old, &new, Tokens::new(100), REST, &counter),
        None
    );
    assert_eq!(
        difference("[1]", "[2]", Tokens::new(3), REST, &counter),
        None
    );
}

#[test]
fn a_changed_line_of_a_text_is_given_alone() {
    let counter = TiktokenCounter::new(Encoding::O200kBase);
    let line = |n: usize| format!("line {n} of a log with some words in it\n");
    let old: String = (0..60).map(line).collect();
    let new = old.replace("line 30 of", "line thirty of") + "and one without an end";
    let in_full = counter.count(&new);
    let found = difference(&old, &new, in_full, REST, &counter).expect("a small change");
    assert_eq!(
        found.text,
        "Changed since the last answer to this call, in these lines (unified diff):\n\
         @@ -30,3 +30,3 @@\n \
         line 29 of a log with some words in it\n\
         -line 30 of a log with some words in it\n\
         +line thirty of a log with some words in it\n \
         line 31 of a log with some words in it\n\
         @@ -60 +60,2 @@\n \
         line 59 of a log with some words in it\n\
         +and one without an end\n\
         \\ No newline at end of file\n\
         All else is unchanged. In full: read_result {\"handle\":\"r_x\"}, or repeat the call."
    );
}

#[test]
fn what_is_said_is_shorter_and_can_be_read_in_full() {
    let counter = TiktokenCounter::new(Encoding::O200kBase);
    let mut repeats = Repeats::new(Bounds::default());
    let (now, key) = (Instant::now(), key(1, "t"));
    let (old, new) = (issues(40), issues(41));
    let in_full = counter.count(&new);
    assert_eq!(repeats.last(now, &key), None);
    repeats.given(now, key, &text(&old), Form::Full);
    let last = repeats.last(now, &key).expect("it was given");
    let rest = || Some(REST.to_owned());
    let said = |answer: &str, in_full, rest: &dyn Fn() -> Option<String>| {
        last.say(answer, in_full, rest, &counter)
    };
    let same = said(&old, in_full, &rest).expect("unchanged");
    assert_eq!((same.form, same.text), (Form::Unchanged, unchanged(REST)));
    let delta = said(&new, in_full, &rest).expect("a difference");
    assert_eq!(delta.form, Form::Delta);
    let got = apply(&old, &delta.text).expect("it fits");
    assert!(json::is_same(&got, &new));
    // Where the original cannot be kept, or little would be gained, nothing is left out.
    for answer in [&old, &new] {
        assert_eq!(said(answer, in_full, &|| None), None);
        assert_eq!(said(answer, Tokens::new(99), &rest), None);
    }
    let never = || -> Option<String> { panic!("nothing is kept for what is not said") };
    assert_eq!(said("something else", in_full, &never), None);
}

/// Every node of a browser's snapshot gets another number: nothing is shared.
#[test]
fn renumbered_snapshots_are_given_in_full() {
    let counter = TiktokenCounter::new(Encoding::O200kBase);
    let snapshot = |first: usize| -> String {
        (0..300)
            .map(|n| format!("- button \"Item {n}\" [ref=e{}]\n", first + n))
            .collect()
    };
    let (old, new) = (snapshot(0), snapshot(1000));
    let in_full = counter.count(&new);
    assert_eq!(difference(&old, &new, in_full, REST, &counter), None);
}

#[test]
fn odd_inputs_have_no_difference_or_the_right_one() {
    for (old, new) in [
        ("{}", "[]"),
        ("[1]", "{\"a\":1}"),
        ("{\"a\":1,\"a\":2}", "{\"a\":1}"),
        ("{", "{}"),
        ("", ""),
        ("1", "2"),
    ] {
        assert_eq!(json::changes(old, new), None, "{old} {new}");
    }
    let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    assert_eq!(json::changes(&deep(5000), &deep(5001)), None);
    assert_eq!(lines::diff("", ""), None);
    for (old, new) in [
        (
            r#"{"a b":{"~x/y":[1]},"":1}"#,
            r#"{"a b":{"~x/y":[2,1]},"":2}"#,
        ),
        (
            "{\"\\n\\\"q\":1,\"k\":\": \"}",
            "{\"\\n\\\"q\":2,\"k\":\"x: \"}",
        ),
        ("[[1,2],[3]]", "[[1],[3,4],[]]"),
        (r#"{"a":{"b":1}}"#, r#"{"a":[1]}"#),
        (r#"{"a":null}"#, "{}"),
        (
            "[1e400,-0.0,\"\\ud83d\\ude00\"]",
            "[1e400,-0,\"\\ud83d\\ude00\"]",
        ),
        (
            "[{\"id\":1},{\"id\":2},{\"id\":3}]",
            "[{\"id\":3},{\"id\":1},{\"id\":2}]",
        ),
    ] {
        let changes = json::changes(old, new).expect(old);
        let got = json::apply(old, &changes).expect(&changes);
        assert!(json::is_same(&got, new), "{changes}: {got}");
    }
    assert!(!json::is_same("[1.0]", "[1]"), "digits count");
    assert!(json::is_same(r#"{"a":1,"b":[2]}"#, r#"{"b":[2],"a":1}"#));
    // Changes that do not fit are refused.
    for changes in [
        "~ /x: 1",
        "- /9",
        "+ /a: 1\n- /b",
        "x /a: 1",
        "~ /a",
        "nonsense",
        "+ \"/a: 1",
    ] {
        assert_eq!(json::apply(r#"{"a":1}"#, changes), None, "{changes}");
    }
    assert_eq!(lines::apply("a\n", "@@ -1 +1 @@\n-b\n+c\n"), None);
    assert_eq!(lines::apply("a\n", "@@ -x +1 @@\n"), None);
    assert_eq!(lines::apply("a\n", "@@ -0 +1 @@\n"), None);
}

/// The worst that lines and elements can do takes no longer than a moment.
#[test]
fn work_is_bounded() {
    let counter = TiktokenCounter::new(Encoding::O200kBase);
    let started = Instant::now();
    let forward: Vec<String> = (0..7000).map(|n| format!("{n}")).collect();
    let backward: Vec<String> = forward.iter().rev().cloned().collect();
    let full = Tokens::new(1_000_000);
    let _ = difference(
        &forward.join("\n"),
        &backward.join("\n"),
        full,
        REST,
        &counter,
    );
    let array = |values: &[String]| format!("[{}]", values[..4000].join(","));
    let _ = difference(&array(&forward), &array(&backward), full, REST, &counter);
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

/// JSON with few keys and values, so that two of them share parts.
fn arbitrary_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        (0_u8..4).prop_map(|n| n.to_string()),
        Just("1.50".to_owned()),
        Just("\"a: \\\"b\"".to_owned()),
        Just("null".to_owned()),
    ];
    let value = leaf.prop_recursive(4, 40, 5, |inner| {
        let name = prop_oneof![
            Just("id"),
            Just("a b"),
            Just("c/~"),
            Just("name"),
            Just("x")
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5)
                .prop_map(|values| format!("[{}]", values.join(","))),
            prop::collection::btree_map(name, inner, 0..4).prop_map(|members| {
                let all: Vec<String> = members
                    .iter()
                    .map(|(name, value)| format!("\"{name}\":{value}"))
                    .collect();
                format!("{{{}}}", all.join(","))
            }),
        ]
    });
    value.prop_map(|value| format!("[{value}]"))
}

proptest! {
    /// Changes applied to the old value give the new one. Caught by this: elements that are removed counted
    /// as if they still stood there (`at += 1` after a removal), and changes applied out of order; see
    /// [`changes_in_the_wrong_order_are_noticed`].
    #[test]
    fn changes_of_json_give_the_new_value(old in arbitrary_json(), new in arbitrary_json()) {
        if let Some(changes) = json::changes(&old, &new) {
            let got = json::apply(&old, &changes);
            prop_assert!(
                got.as_deref().is_some_and(|got| json::is_same(got, &new)),
                "{} to {} by\n{}gave {:?}", old, new, changes, got
            );
        }
    }

    #[test]
    fn changes_of_lines_give_the_new_text(
        old in prop::collection::vec("[ab]{0,2}\r?\n?", 0..12),
        at in 0_usize..12,
        put in prop::collection::vec("[abc@+\\- \\\\]{0,3}\n?", 0..3),
    ) {
        let mut new = old.clone();
        let at = at.min(new.len());
        let to = (at + 2).min(new.len());
        new.splice(at..to, put);
        let (old, new) = (old.concat(), new.concat());
        if let Some(diff) = lines::diff(&old, &new) {
            let got = lines::apply(&old, &diff);
            prop_assert_eq!(got.as_deref(), Some(new.as_str()), "by\n{}", diff);
        }
    }
}

/// The property above would notice a broken variant: the same changes in reverse order.
#[test]
fn changes_in_the_wrong_order_are_noticed() {
    let (mut n_several, mut n_wrong) = (0, 0);
    for n in 2..30 {
        let old = issues(n);
        let new = issues(n + 3).replace(
            r#"{"id":1,"title":"Issue number 1","state":"open","labels":["a","b"],"score":1.50},"#,
            "",
        );
        let changes = json::changes(&old, &new).expect("changes");
        let lines: Vec<&str> = changes.lines().rev().collect();
        n_several += usize::from(lines.len() > 1);
        let got = json::apply(&old, &lines.join("\n"));
        n_wrong += usize::from(!got.is_some_and(|got| json::is_same(&got, &new)));
    }
    assert_eq!((n_several, n_wrong), (28, 28));
}
