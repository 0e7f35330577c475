use proptest::prelude::*;

use super::*;

/// A token for each three bytes.
struct ByThree;

impl TokenCounter for ByThree {
    fn name(&self) -> &str {
        "bytes by three"
    }

    fn count(&self, text: &str) -> Tokens {
        Tokens::new(text.len().div_ceil(3) as u64)
    }

    fn count_up_to(&self, text: &str, limit: Tokens) -> Option<Tokens> {
        Some(self.count(text)).filter(|tokens| *tokens <= limit)
    }
}

fn learned(results: &[&str]) -> Learned {
    let mut all = Learned::default();
    for json in results {
        all.add(&Learned::of(json).expect("JSON"));
    }
    all
}

fn text(results: &[&str]) -> Option<String> {
    learned(results).text(2, &ByThree)
}

const ISSUES: &str = r#"{"total":2,"items":[{"id":1,"title":"secret","user":{"login":"ann"}},{"id":2,"title":"b","labels":["x"],"user":null}]}"#;

#[test]
fn members_and_how_they_are_nested_are_learned() {
    assert_eq!(
        text(&[ISSUES, ISSUES]).as_deref(),
        Some("{items:[{id,labels:[],title,user:{login}}],total}")
    );
    assert_eq!(text(&["[[{\"a\":1}]]"; 2]).as_deref(), Some("[[{a}]]"));
    assert_eq!(text(&[ISSUES]), None, "one result is no rule");
    for none in ["7", "\"x\"", "null", "", "{", "{} {}", "[1,]"] {
        assert_eq!(Learned::of(none), None, "{none}");
    }
    assert_eq!(text(&["[1,2]", "[]", "{}", "{}"]), None, "no names");
}

#[test]
fn what_only_one_result_had_is_left_out_and_the_common_comes_first() {
    let all = [
        r#"{"b":1,"only":{"x":1}}"#,
        r#"{"b":1,"a":1}"#,
        r#"{"a":1,"b":{"z":1}}"#,
        r#"{"b":[{"z":1}]}"#,
    ];
    assert_eq!(text(&all).as_deref(), Some("{b:[{…}],a}"));
}

/// Names that are data, and objects that are maps, have no names; what is in them has.
#[test]
fn keys_that_are_data_are_not_written_down() {
    for json in [
        r#"{"ann@example.org":{"role":"x"},"bob":{"role":"y"}}"#,
        r#"{"1042":{"role":"x"}}"#,
        r#"{"550e8400-e29b-41d4-a716-446655440000":{"role":"x"}}"#,
        r#"{"deadbe3f":{"role":"x"}}"#,
        r#"{"2026-11-28":{"role":"x"}}"#,
        r#"{"two words":{"role":"x"}}"#,
        "{\"a\\u001b[2J\":{\"role\":\"x\"}}",
        r#"{"Zoë":{"role":"x"}}"#,
        r#"{"ann":{"role":"x"},"bob":{"role":"y"},"eve":{"role":"z"}}"#,
    ] {
        assert_eq!(
            text(&[json, json]).as_deref(),
            Some("{<key>:{role}}"),
            "{json}"
        );
    }
    let long = format!(r#"{{"{}":{{"role":1}}}}"#, "a".repeat(41));
    assert_eq!(text(&[&long, &long]).as_deref(), Some("{<key>:{role}}"));
    // A map in one result is one in all of them.
    let mixed = [
        r#"{"ann":{"role":1}}"#,
        r#"{"b@c":{"role":1}}"#,
        r#"{"ann":{"role":1}}"#,
    ];
    assert_eq!(text(&mixed).as_deref(), Some("{<key>:{role}}"));
    let counts: Vec<String> = (0..12)
        .map(|n| format!("\"w{}\":{n}", ["a"; 12][..=n].concat()))
        .collect();
    let counts = format!(r#"{{"words":{{{}}}}}"#, counts.join(","));
    assert_eq!(
        text(&[&counts, &counts]).as_deref(),
        Some("{words:{<key>}}")
    );
    // Unlike ones, and few plain ones, are no map.
    let record = r#"{"before":{"sha":1},"after":{"sha":1},"size":{"w":1,"h":1,"d":2}}"#;
    let shown = text(&[record, record]).unwrap();
    assert!(shown.contains("size:{d,h,w}"), "{shown}");
}

#[test]
fn of_several_principals_only_what_two_have_is_written() {
    let ours = learned(&[r#"{"a":1,"ann":1}"#; 3]);
    let theirs = learned(&[r#"{"a":1,"bob":1}"#; 5]);
    let mut both = ours.as_one(1);
    both.add(&theirs.as_one(1));
    assert_eq!(both.text(2, &ByThree).as_deref(), Some("{a}"));
}

#[test]
fn long_and_deep_shapes_end() {
    let wide: Vec<String> = (0..300).map(|n| format!("\"{}\":1", words(n))).collect();
    let wide = format!(r#"{{"list":[{{{}}}]}}"#, wide.join(","));
    let shape = learned(&[&wide, &wide]);
    let mut n = 0;
    shape.root.visit(&mut |_| n += 1);
    assert!(n <= MEMBERS, "{n}");
    let deep = format!("{}1{}", "{\"a\":".repeat(9), "}".repeat(9));
    assert_eq!(
        text(&[&deep, &deep]).as_deref(),
        Some("{a:{a:{a:{a:{…}}}}}")
    );
    let arrays = format!("{}{}", "[".repeat(100), "]".repeat(100));
    assert!(Learned::of(&arrays).is_some());
    let deep = format!("{}{}", "[".repeat(400_000), "]".repeat(400_000));
    assert!(Learned::of(&deep).is_some(), "the stack is no bound");
    assert_eq!(
        Learned::of(&format!("[\"{}\"]", "x".repeat(MOST_BYTES))),
        None
    );
}

fn words(mut n: usize) -> String {
    let mut name = String::from("field_of_some_length_");
    loop {
        name.push(char::from(b'a' + (n % 26) as u8));
        n /= 26;
        if n == 0 {
            return name;
        }
    }
}

#[test]
fn a_text_has_its_bound_and_says_what_it_leaves_out() {
    let wide: Vec<String> = (0..40)
        .map(|n| format!("\"{}\":{{\"x\":1,\"y{}\":1}}", words(n), n % 7))
        .collect();
    let wide = format!("{{{}}}", wide.join(","));
    let shown = text(&[&wide, &wide]).unwrap();
    assert!(shown.len() <= 450 && shown.contains(",…}"), "{shown}");
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<i64>().prop_map(Into::into),
        "secret-[a-z]{4}".prop_map(Into::into),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            proptest::collection::btree_map("[a-z@0-9 \u{1b}]{0,6}", inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// No value is written down, nothing that a terminal or a prompt would take for its own, and what was learned
    /// comes back from its file.
    #[test]
    fn texts_are_safe_and_bounded(values in proptest::collection::vec(json(), 1..6)) {
        let mut forth = Learned::default();
        for value in &values {
            if let Some(one) = Learned::of(&value.to_string()) {
                forth.add(&one);
            }
        }
        let file = serde_json::to_string(&forth).unwrap();
        prop_assert!(!file.contains("secret-"));
        let read: Learned = serde_json::from_str(&file).unwrap();
        prop_assert_eq!(&read, &forth);
        if let Some(text) = forth.text(1, &ByThree) {
            prop_assert!(text.len() <= 450, "{}", text);
            let is_known = |c: char| c.is_ascii_alphanumeric() || "_-{}[]<>:,…".contains(c);
            prop_assert!(text.chars().all(is_known), "{}", text);
        }
    }
}
