use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};

use super::*;

#[test]
fn words_mean_what_kubectl_takes_them_for() {
    for (word, expected) in [
        ("0644", json!(420)),
        ("0o644", json!(420)),
        ("08", json!(8)),
        ("0x1F", json!(31)),
        ("0b101", json!(5)),
        ("-12", json!(-12)),
        ("+3", json!(3)),
        ("1_000", json!(1000)),
        ("18446744073709551615", json!(u64::MAX)),
        ("1.50", json!(1.5)),
        ("1e3", json!(1000)),
        ("yes", json!(true)),
        ("Off", json!(false)),
        ("n", json!(false)),
        ("~", json!(null)),
        ("", json!(null)),
        ("128Mi", json!("128Mi")),
        ("1.2.3", json!("1.2.3")),
        ("2001-01-01", json!("2001-01-01")),
        ("12:30", json!("12:30")),
        ("-", json!("-")),
        ("yEs", json!("yEs")),
        ("'yes'", json!("yes")),
        ("\"0644\"", json!("0644")),
        ("!!str 0644", json!("0644")),
        ("! no", json!("no")),
        ("!!int 7", json!(7)),
    ] {
        // A lone dash is a list; behind a key it is a text only in quotes.
        let text = if word == "-" {
            "a: '-'".to_owned()
        } else {
            format!("a: {word}")
        };
        assert_eq!(read(&text).unwrap()["a"], expected, "{word}");
    }
}

#[test]
fn aliases_and_merges_are_written_out() {
    let text =
        "a: &x {b: 1, c: 2}\nd: *x\ne:\n  <<: *x\n  c: 3\nf: {<<: [*x, {g: 4}]}\n'<<': 1\non: 2\n";
    assert_eq!(
        read(text).unwrap(),
        json!({"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 2}, "e": {"c": 3, "b": 1},
            "f": {"b": 1, "c": 2, "g": 4}, "<<": 1, "true": 2})
    );
}

#[test]
fn long_keys_stand_below_their_own_sign() {
    for key in ["k".repeat(600), "\u{19}".repeat(200)] {
        for inner in [json!("x"), json!([1, "a\nb"]), json!({"m": {"n": [1]}})] {
            // At the margin, inside, and behind a dash.
            let value = json!({&key: inner, "in": {"b": 1, &key: inner}, "list": [{&key: inner}]});
            assert_eq!(
                read(&write(&value)).as_ref(),
                Ok(&value),
                "{}",
                write(&value)
            );
        }
    }
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    #[track_caller]
    fn check(text: &str, line: usize, words: &str) {
        let error = read(text).expect_err(text);
        assert!(
            error.line == line && error.problem.contains(words),
            "{text:?}: {error}"
        );
    }
    check("a: 1\nb: 2\na: 3\n", 3, "there twice");
    check("a: .inf\n", 1, "JSON does not have");
    check("a: !Ref b\n", 1, "is unknown");
    check("a: 1\n---\nb: 2\n", 2, "second document");
    check("a: 1\n? [b]\n: 2\n", 3, "neither a text");
    check("a: {<<: 1}\n", 1, "wants a mapping");
    assert!(read("a: [1,\n").is_err());
    assert!(read("a: &x [*x]\n").is_err());
    assert!(read(&"[".repeat(100_000)).is_err());
    assert!(read(&"- ".repeat(100_000)).is_err());
    let laughs: String = (1..20)
        .map(|n| {
            format!(
                "a{n}: &a{n} [{}]\n",
                vec![format!("*a{}", n - 1); 9].join(", ")
            )
        })
        .collect();
    let error = read(&format!("a0: &a0 ha\n{laughs}")).expect_err("too much");
    assert!(error.problem.contains("values"), "{error}");
}

#[test]
fn a_document_reads_as_people_write() {
    let value = json!({"kind": "ConfigMap", "data": {"a": "x\ny\n", "b": "yes", "c": "p: q", "d": ""},
        "list": [{"k": 1, "m": [[1, 2], []]}, "0644", {}], "url": "http://a:80/b", "tail": "a\nb\n\n"});
    assert_eq!(
        write(&value),
        "kind: ConfigMap\ndata:\n  a: |\n    x\n    y\n  b: \"yes\"\n  c: \"p: q\"\n  d: \"\"\nlist:\n- k: 1\n  m:\n  - - 1\n    - 2\n  - []\n- \"0644\"\n- {}\nurl: http://a:80/b\ntail: |+\n  a\n  b\n\n"
    );
}

fn text() -> impl Strategy<Value = String> {
    const ODD: &[&str] = &[
        "yes",
        "No",
        "0644",
        "1e3",
        "~",
        "",
        " ",
        "a: b",
        "a #b",
        "- a",
        "a\nb",
        "a\n",
        "\na",
        "a\n\n\n",
        " a\nb",
        "a \nb",
        "\t",
        "\u{85}",
        "\u{2028}",
        "\u{feff}x",
        "é",
        "😀",
        "'",
        "\"",
        "\\",
        "{a",
        "[",
        "*a",
        "&a",
        "!a",
        "%a",
        "@a",
        "`",
        "|",
        ">",
        "?",
        "? a",
        ":",
        "a:",
        "---",
        "...",
        "--- a",
        "<<",
        "=",
        "2001-01-01",
        "12:30",
        ".inf",
        "0x1",
        "1_0",
        "null",
        "$(A)",
        "a\r\nb",
        "\u{7f}",
        "a\n b\n  c\n",
        "#",
        "a\n---\nb",
        "a\n#b",
        "1.",
        ".5",
        "+",
        "-",
        "y",
    ];
    prop_oneof![
        proptest::sample::select(ODD).prop_map(str::to_owned),
        ".{0,12}",
        "[ -~\n]{0,20}",
    ]
}

/// Keys around the length where they need a sign of their own, as they are and once escaped.
fn long_key() -> impl Strategy<Value = String> {
    (
        prop::sample::select(vec!["k", "\u{19}", "é", "\n"]),
        80..1100_usize,
    )
        .prop_map(|(part, length)| part.repeat(length / part.len()))
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((text(), inner.clone()), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
            (long_key(), inner)
                .prop_map(|(key, value)| Value::Object(Map::from_iter([(key, value)]))),
        ]
    })
}

fn holds(writer: fn(&Value) -> String) -> Result<(), String> {
    let mut runner = TestRunner::new(Config {
        cases: 3000,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&value(), |value| {
            let text = writer(&value);
            let back = read(&text);
            prop_assert_eq!(back.as_ref().ok(), Some(&value), "{:?}\n{}", back, text);
            Ok(())
        })
        .map_err(|error| error.to_string())
}

fn colons_at_the_margin(text: &str) -> String {
    let lines = text.split_inclusive('\n');
    let moved = lines.map(|line| match line.trim_start_matches(' ') {
        rest if rest.starts_with(':') => rest,
        _ => line,
    });
    moved.collect()
}

#[test]
fn what_is_written_reads_back() {
    holds(write).unwrap_or_else(|fault| panic!("{fault}"));
}

#[test]
fn broken_writers_are_caught() {
    // Words of YAML 1.1 without quotes; literal blocks with another number of breaks at the end.
    for writer in [
        (|value| write(value).replace("\"yes\"", "yes")) as fn(&Value) -> String,
        |value| write(value).replace("|+", "|"),
        |value| write(value).replace("\\\\", "\\"),
        // Long keys without their sign; their colons at the margin.
        |value| write(value).replace("? \"", "\""),
        |value| colons_at_the_margin(&write(value)),
    ] {
        holds(writer).expect_err("it is caught");
    }
}
