//! What is written reads back, over made-up texts and captured results, and the checks are seen to fail
//! on notations that lose something.

use proptest::prelude::*;

use super::template::Templates;
use super::tree::{Spacing, Tree, TreeBounds};
use super::*;
use crate::token::{Encoding, TiktokenCounter};

const BOUNDS: TreeBounds = TreeBounds {
    nodes: 1 << 20,
    depth: 128,
};

fn counter() -> TiktokenCounter {
    TiktokenCounter::new(Encoding::O200kBase)
}

/// Counts a token for every four bytes: for texts whose count does not matter.
struct Quarter;

impl TokenCounter for Quarter {
    fn name(&self) -> &str {
        "quarter"
    }

    fn count(&self, text: &str) -> Tokens {
        Tokens::new(text.len() as u64 / 4 + 1)
    }

    fn count_up_to(&self, text: &str, limit: Tokens) -> Option<Tokens> {
        Some(self.count(text)).filter(|&n| n <= limit)
    }
}

fn minified(tree: &Tree) -> String {
    let mut plain = String::new();
    tree.write(tree.root(), Spacing::Compact, &mut plain);
    plain
}

/// The rows of a text as they would be sent, whether they pay or not, and what they must say.
fn rows(text: &str) -> Option<(String, String)> {
    let tree = Tree::parse(text, BOUNDS)?;
    let plain = minified(&tree);
    Some((write::write(&tree, &Templates::make(&tree)), plain))
}

fn captured() -> Vec<(String, String)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/results");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    files.sort();
    files
        .into_iter()
        .flat_map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let file = std::fs::read_to_string(&path).unwrap();
            let file: serde_json::Value = serde_json::from_str(&file).unwrap();
            let content = file["response"]["result"]["content"]
                .as_array()
                .unwrap()
                .clone();
            content
                .into_iter()
                .filter_map(move |block| Some((name.clone(), block["text"].as_str()?.to_owned())))
        })
        .collect()
}

#[track_caller]
fn sends(text: &str, expected: &str) {
    let (sent, plain) = rows(text).unwrap();
    assert_eq!(sent, expected);
    assert_eq!(decode::json(&sent, 1 << 20).as_deref(), Some(&*plain));
}

#[test]
fn rows_stand_for_objects() {
    sends(
        r#"[{"id": 1, "kind": "issue", "name": "first one"}, {"id": 2, "kind": "issue", "name": "7"}]"#,
        "A={\"id\",\"kind\":\"issue\",\"name\"}\nA[1,first one\n2,\"7\"]",
    );
}

#[test]
fn a_missing_key_is_not_null_and_order_is_kept() {
    sends(
        r#"[{"a":null,"name":"x","long":1},{"name":"y","long":2},{"a":0,"name":"z"},{"long":1,"name":"w"}]"#,
        "A={\"a\",\"name\",\"long\"}\n[A(null,x,1),A(,y,2),A(0,z,),{\"long\":1,\"name\":\"w\"}]",
    );
}

#[test]
fn duplicate_keys_lose_only_white_space() {
    sends(
        r#"[{"a": 1, "a": 2}, {"a": 1, "a": 2}]"#,
        r#"[{"a":1,"a":2},{"a":1,"a":2}]"#,
    );
}

#[test]
fn cells_stand_inside_constant_text() {
    sends(
        r#"[{"number":12,"url":"https://host/issues/12","$ref":"a$1b"},{"number":57,"url":"https://host/issues/57","$ref":"a$1b"}]"#,
        "A={\"number\",\"url\":\"https://host/issues/$1\",\"$ref\":\"a$$1b\"}\nA[12\n57]",
    );
}

#[test]
fn digits_escapes_and_dots_in_keys_stay() {
    for text in [
        r#"[{"a.b":1.0,"c":{"b":1E+2}},{"a.b":1.00,"c":{"b":-0.0}}]"#,
        r#"[{"key":"\u00e9\ud800","other":"a\/b"},{"key":"\t","other":"é"},{"key":"","other":" "}]"#,
        r#"[{"number":123456789012345678901234567890,"name":"true"},{"number":1e400,"name":"null"}]"#,
        r#"[{"name":"A(1)","x":"@y"},{"name":"a,b","x":"[1]"},{"name":"~1","x":"-"}]"#,
    ] {
        let (sent, plain) = rows(text).unwrap();
        assert_eq!(decode::json(&sent, 1 << 20), Some(plain), "{sent}");
    }
}

#[test]
fn json_inside_strings_is_shown_as_values() {
    let inner = |n: u32| format!(r#"{{\"method\": \"GET\", \"status\": 20{n}}}"#);
    let text = format!(
        r#"[{{"id":1,"payload":"{}"}},{{"id":2,"payload":"{}"}},{{"id":3,"payload":"{{broken}}"}}]"#,
        inner(0),
        inner(4)
    );
    let (sent, plain) = rows(&text).unwrap();
    assert!(sent.contains("@:"), "{sent}");
    assert!(sent.contains("\"{broken}\""), "{sent}");
    assert_eq!(decode::json(&sent, 1 << 20), Some(plain));
}

#[test]
fn python_rows_come_back_as_python() {
    let text = "[{'name': \"it's\", 'value': None, 'price': 1.50}, {'name': 'é\\n', 'value': True, 'price': 2}]";
    let json = python::to_json(text).unwrap();
    assert_eq!(python::to_python(&json).as_deref(), Some(text));
    for other in [
        "[{'a': 1,'b': 2}]",
        "[(1, 2)]",
        "[nan]",
        "{'a': {1}}",
        "[\"a\"]",
        "[datetime(1)]",
    ] {
        assert_eq!(python::to_json(other), None, "{other}");
    }
}

#[test]
fn equal_lines_stand_once() {
    let text = format!("start\n{}end", "retry\n".repeat(37));
    assert_eq!(lines::fold(&text).unwrap(), "start\nretry ×37\nend");
    assert_eq!(lines::unfold("start\nretry ×37\nend", 1 << 20), Some(text));
    assert_eq!(
        lines::fold("a ×9\nb\nb\nb"),
        None,
        "what looks like a repeat is left alone"
    );
    assert_eq!(lines::unfold("a ×9999999", 1 << 20), None);
}

#[test]
fn colours_and_padding_go() {
    assert_eq!(
        lines::normal("\u{1b}[1;32mok\u{1b}[0m \u{1b}]0;title\u{7}x"),
        "ok x"
    );
    assert_eq!(
        lines::normal("\u{1b}]8;;https://a\u{7}x"),
        "\u{1b}]8;;https://a\u{7}x"
    );
    assert_eq!(lines::normal("\u{1b}[\u{1b}"), "\u{1b}[\u{1b}");
    assert_eq!(
        lines::normal("| a    | b  |\n|:-----|---:|\n| 1    |  2 |\n| `x  y` | 3 |"),
        "| a | b |\n|:---|---:|\n| 1 | 2 |\n| `x  y` | 3 |"
    );
    assert_eq!(
        lines::normal("NAME   READY   \npod    1/1     \nx"),
        "NAME   READY\npod    1/1\nx"
    );
    assert_eq!(
        lines::normal("fn a() {  \n    b();\n}\n"),
        "fn a() {  \n    b();\n}\n"
    );
}

/// Broken variants that this catches: every sequence goes, so that columns and the two sides of a change become one
/// number, and a title that a colour cuts off takes the escape of that colour with it.
#[test]
fn sequences_that_part_words_stay() {
    for text in [
        "a = \u{1b}[31m10\u{1b}[m\u{1b}[32m20\u{1b}[m",
        "12\u{1b}[8C34",
        "1\u{1b}[10G2 \u{1b}[1mx\u{1b}[m",
        "\u{1b}[2;5H7\u{1b}[3d8\u{1b}[1;1f9",
        "a\u{1b}]0;title\u{7}b",
        "\u{1b}[?25lx",
        "\u{1b}[31mold\u{1b}[m\u{1b}[32mnew\u{1b}[m",
        "\u{1b}[1;31mold\u{1b}[1;32mnew\u{1b}[m",
        "x1\u{1b}[1m2",
    ] {
        assert_eq!(lines::normal(text), text);
    }
    for (text, expected) in [
        ("\u{1b}[31m10\u{1b}[m, \u{1b}[32m20\u{1b}[0;1m.", "10, 20."),
        ("\u{1b}[38:5:1mab\u{1b}[K\u{1b}[m", "ab"),
        ("\u{1b}]0;t\u{1b}[31m red\u{1b}[m", "\u{1b}]0;t red"),
        ("\u{1b}]0;title\u{1b}\\x", "x"),
    ] {
        assert_eq!(lines::normal(text), expected);
    }
}

/// Broken variant that this catches: one match that is coloured inside a word keeps all the sequences of a text.
#[test]
fn a_match_inside_a_word_parts_nothing() {
    for (text, expected) in [
        (
            "src/a.rs:1:\u{1b}[01;31m\u{1b}[Kfn\u{1b}[m\u{1b}[Kord x1",
            "src/a.rs:1:fnord x1",
        ),
        ("a\u{1b}[0m\u{1b}[1m\u{1b}[31mfn\u{1b}[0mord", "afnord"),
        (
            "\u{1b}[01;31m\u{1b}[Ka\u{1b}[m\u{1b}[K\u{1b}[01;31m\u{1b}[Ka\u{1b}[m\u{1b}[K",
            "aa",
        ),
        ("\u{1b}[1mfoo\u{1b}[0mbar", "foobar"),
    ] {
        assert_eq!(lines::normal(text), expected);
    }
}

/// Broken variants that this catches: `~~~` is no fence, and the end of a shorter fence ends a longer one.
#[test]
fn tables_in_fences_stay() {
    let table = "| a    | b  |\n|------|----|\n| 1    | 2  |\n| 3    | 4  |";
    for (start, end) in [("~~~text", "~~~"), ("````", "````"), ("```", "```")] {
        let text = format!("{start}\n{table}\n{end}");
        assert_eq!(lines::normal(&text), text);
    }
    let text = format!("````\n```\n```\n{table}\n````");
    assert_eq!(lines::normal(&text), text);
    let text = format!("~~~\n~~~\n{table}");
    assert!(lines::normal(&text).ends_with("| 3 | 4 |"));
}

/// Broken variant that this catches: all spaces at the ends of lines go wherever most lines end in one.
#[test]
fn spaces_that_mean_something_stay() {
    let breaks = "Roses are red,  \nviolets are blue,  \nend";
    assert_eq!(lines::normal(breaks), breaks);
    let diffs = [
        "diff --git a/x b/x\n-a \n+a\n \n ",
        "@@ -1,4 +1,4 @@\n a\n \n \n \n-b \n+b",
    ];
    for diff in diffs {
        assert_eq!(lines::normal(diff), diff);
    }
    // Padding of any width goes; only where it happens to be two spaces it stays.
    assert_eq!(
        lines::normal("a    \nbb   \nccc  \ndddd \n  \n "),
        "a\nbb\nccc  \ndddd\n\n"
    );
}

#[test]
fn what_a_reader_may_not_want_can_be_switched_off() {
    let plain = Bounds {
        may_abbreviate: false,
        may_clean: false,
        ..Bounds::default()
    };
    assert_eq!(
        compact("\u{1b}[1;32mok\u{1b}[0m, all is well", &counter(), &plain),
        None
    );
    let mut n_before = 0;
    for (name, text) in captured() {
        if let Some(sent) = compact(&text, &counter(), &plain) {
            assert_eq!(sent.n_abbreviations, 0, "{name}");
            assert_ne!(sent.form, Form::Abbreviated, "{name}");
        }
        let sent = compact(&text, &counter(), &Bounds::default());
        n_before += sent.map_or(0, |sent| sent.n_abbreviations);
    }
    assert!(n_before > 20, "{n_before}");
}

#[test]
fn head_lines_cost_at_most_fifteen_tokens() {
    for encoding in [Encoding::O200kBase, Encoding::Cl100kBase] {
        for note in notes::ALL {
            let n = TiktokenCounter::new(encoding).count(note);
            assert!(n <= Tokens::new(15), "{note}: {n} tokens");
        }
    }
}

#[test]
fn bad_input_stays_as_it_is() {
    let deep = |n: usize| "[".repeat(n) + &"]".repeat(n);
    for text in [
        String::new(),
        "[".into(),
        "{\"a\":1".into(),
        "[NaN]".into(),
        "[1,Infinity]".into(),
        "[01]".into(),
        "[\"\\x\"]".into(),
        "[\"\u{1}\"]".into(),
        "[1,]".into(),
        "{\"a\" 1}".into(),
        "\u{0}\u{1}\u{2} binary \u{fffd}".repeat(1000),
        deep(100_000),
        "{\"a\":".repeat(100_000),
        format!("[{}]", "\"{\\\"a\\\":\",".repeat(20_000) + "1"),
        "```json\n{\n".repeat(10_000),
    ] {
        let head: String = text.chars().take(20).collect();
        assert_eq!(compact(&text, &Quarter, &Bounds::default()), None, "{head}");
    }
}

/// Texts made to be slow: many columns that nearly agree, long strings of one letter, shapes that grow.
#[test]
fn made_up_text_costs_no_more_than_its_size() {
    let object = |members: Vec<String>| format!("{{{}}}", members.join(","));
    let near = |row: usize| {
        object(
            (0..150)
                .map(|n| {
                    let last = if row == 399 { n } else { 0 };
                    format!("\"k{n}\":\"{}{row}-{last}\"", "a".repeat(40))
                })
                .collect(),
        )
    };
    let long = |row: usize| {
        let a = "a".repeat(100_000);
        object(vec![
            format!("\"x\":\"{a}\""),
            format!("\"y{}\":\"a\"", row % 2),
        ])
    };
    let growing = |row: usize| {
        object(
            (0..1 + row % 800)
                .map(|n| format!("\"key{n}\":{row}"))
                .collect(),
        )
    };
    let texts = [
        (0..400).map(near).collect::<Vec<_>>(),
        (0..40).map(long).collect(),
        (0..2_000).map(growing).collect(),
    ];
    for rows in texts {
        let text = format!("[{}]", rows.join(","));
        let start = std::time::Instant::now();
        let sent = compact(&text, &Quarter, &Bounds::default());
        let seconds = start.elapsed().as_secs_f64();
        // A guard against work that does not end, ten times what it takes on a busy machine; no measure.
        assert!(seconds < 200.0, "{seconds} s for {} bytes", text.len());
        if let Some(sent) = sent {
            let back = decode(&sent.text, &Bounds::default()).unwrap();
            assert_eq!(back.text.len(), text.len());
        }
    }
}

#[test]
fn beyond_the_bounds_only_white_space_goes() {
    let bounds = Bounds {
        max_values: 50,
        ..Bounds::default()
    };
    let row = r#"{"id": 1, "name": "a b", "lone": "\ud800"}"#;
    let text = format!("[{}]", vec![row; 40].join(", "));
    let sent = compact(&text, &Quarter, &bounds).unwrap();
    assert_eq!(sent.form, Form::Minified);
    assert_eq!(sent.text, text.replace(": ", ":").replace(", ", ","));
    let small = Bounds {
        max_bytes: 100,
        ..bounds
    };
    assert_eq!(compact(&text, &Quarter, &small), None);
}

#[test]
fn decoding_made_up_text_ends() {
    let mut bomb = String::new();
    for n in 0..25 {
        let next = write::name(n + 1);
        bomb.push_str(&format!(
            "{}={{\"a\":{next}(),\"b\":{next}()}}\n",
            write::name(n)
        ));
    }
    bomb.push_str("Z={\"a\":1}\nA()");
    assert_eq!(decode::json(&bomb, 1 << 16), None);
    for text in [
        "A={\"a\":A}\nA(1)",
        "A={\"a\":A()}\nA()",
        "A[",
        "A={\"a\"}\nA(1",
        "~1",
        "~1=a",
        "A={\"a\":\"$9\"}\nA()",
        "@",
        "[1]x",
    ] {
        assert_eq!(decode::json(text, 1 << 16), None, "{text}");
    }
    let marks = format!("{}\"x\"", "@".repeat(300));
    assert_eq!(decode::json(&marks, 1 << 16), None);
    let deep = "[".repeat(100_000);
    assert_eq!(decode::json(&deep, 1 << 16), None);
    let wide: String = (0..27)
        .map(|n| {
            let next = write::name(n + 1);
            format!("{}={{\"a\":{next},\"b\":{next}}}\n", write::name(n))
        })
        .collect();
    assert_eq!(decode::json(&(wide + "AB={\"x\"}\nA()"), 1 << 16), None);
}

#[test]
fn several_texts_become_one_list() {
    let texts: Vec<String> = (0..20)
        .map(|n| format!(r#"{{"id": {n}, "name": "record {n}", "state": "open"}}"#))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let sent = compact_list(&texts, &counter(), &Bounds::default()).unwrap();
    assert_eq!(sent.form, Form::List);
    let back = decode(&sent.text, &Bounds::default()).unwrap();
    assert!(back.is_list);
    assert_eq!(
        back.text,
        format!("[{}]", texts.join(","))
            .replace(": ", ":")
            .replace(", ", ",")
    );
    assert_eq!(
        compact_list(&["[1", "2]"], &counter(), &Bounds::default()),
        None
    );
}

/// Captured results become smaller, none larger, and a second time nothing changes.
#[test]
fn captured_results_come_back() {
    let bounds = Bounds::default();
    let (mut n_texts, mut n_changed) = (0, 0);
    for (name, text) in captured() {
        n_texts += 1;
        let Some(sent) = compact(&text, &counter(), &bounds) else {
            continue;
        };
        n_changed += 1;
        assert!(sent.tokens < sent.before, "{name}");
        assert_eq!(sent.tokens, counter().count(&sent.text), "{name}");
        let back = decode(&sent.text, &bounds).unwrap();
        let expected = match sent.form {
            Form::Python => text.clone(),
            _ => normal(&text, &bounds),
        };
        assert_eq!(back.text, expected, "{name}");
        assert_eq!(compact(&sent.text, &counter(), &bounds), None, "{name}");
    }
    assert!(
        n_texts >= 20 && n_changed * 10 >= n_texts * 5,
        "{n_changed} of {n_texts}"
    );
}

/// A way to write rows.
type Broken = fn(&str) -> String;

/// Ways to write rows that lose something.
const BROKEN: [(&str, Broken); 5] = [
    ("a missing key is written as null", |sent| {
        sent.replace(",,", ",null,")
    }),
    ("numbers in strings lose their quotes", |sent| {
        let mut out = sent.to_owned();
        for digit in 0..10 {
            out = out.replace(&format!(",\"{digit}\""), &format!(",{digit}"));
        }
        out
    }),
    ("a dollar sign is not doubled", |sent| {
        sent.replace("$$", "$")
    }),
    ("an escape is undone", |sent| sent.replace("\\n", " ")),
    ("a digit of a number goes", |sent| sent.replace(".0", "")),
];

#[test]
fn the_check_sees_what_a_broken_writer_loses() {
    let texts = [
        r#"[{"a":1,"name":"x","b":2},{"a":1,"name":"y"},{"name":"z","b":3},{"a":2,"b":5}]"#,
        r#"[{"id":"x","zip":"7","n":1.0},{"id":"y","zip":"8","n":2},{"id":"z","zip":"zz","n":3}]"#,
        r#"[{"id":"x","cost":"$$ 5","t":"a\nb"},{"id":"y","cost":"$$ 5","t":"c"},{"id":"z","cost":"$$ 5","t":"c"}]"#,
    ];
    for (what, broken) in BROKEN {
        let n_seen = texts
            .iter()
            .filter(|text| {
                let (sent, plain) = rows(text).unwrap();
                let bad = broken(&sent);
                bad != sent && decode::json(&bad, 1 << 20).as_deref() != Some(&*plain)
            })
            .count();
        assert!(n_seen > 0, "not seen: {what}");
    }
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => (0u32..50).prop_map(|n| n.to_string()),
        1 => prop::sample::select(vec!["null", "true", "1.0", "1.00", "-0", "1e5", "\"\"", "\"7\"", "\"null\""]).prop_map(str::to_owned),
        2 => "[a-z ,()$@~A-Z\\[\\]{}×.=:-]{0,12}".prop_map(|text| format!("\"{text}\"")),
        1 => prop::sample::select(vec![r#""a\nb""#, r#""\"""#, r#""\\""#, r#""\u00e9""#, r#""\ud800""#, r#""é€😀""#, r#""$1""#, r#""$$""#]).prop_map(str::to_owned),
        2 => (0u32..50).prop_map(|n| format!("\"https://example.com/items/{n}/parts{{/name}}\"")),
        1 => (0u32..50).prop_map(|n| format!(r#""{{\"k\": {n}, \"l\": \"a,b\"}}""#)),
        1 => (0u32..50).prop_map(|n| format!(r#""[{{\"k\":{n}}}]""#)),
    ]
}

fn object(value: impl Strategy<Value = String> + Clone) -> impl Strategy<Value = String> {
    let member = (prop::bool::weighted(0.85), value);
    (prop::collection::vec(member, 5), 0usize..8).prop_map(|(members, shift)| {
        let keys = ["id", "na.me", "$ref", "url", "nested", "id", "url", "na.me"];
        let members: Vec<String> = members
            .into_iter()
            .enumerate()
            .filter(|(_, (is_there, _))| *is_there)
            .map(|(n, (_, value))| {
                let key = keys[if shift > 6 { n + 3 } else { n }];
                format!("\"{key}\": {value}")
            })
            .collect();
        format!("{{{}}}", members.join(", "))
    })
}

fn document() -> impl Strategy<Value = String> {
    let leaf = scalar().boxed();
    let inner = prop_oneof![4 => leaf.clone(), 1 => object(leaf)].boxed();
    let list = prop::collection::vec(object(inner.clone()), 0..6)
        .prop_map(|rows| format!("[{}]", rows.join(", ")))
        .boxed();
    let value = prop_oneof![3 => inner, 1 => list].boxed();
    prop::collection::vec(object(value), 1..12).prop_map(|rows| format!("[{}]", rows.join(",\n ")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(768))]

    /// Rows and abbreviations of any text read back, whether they would be sent or not; the safety
    /// check of `compact` has nothing to catch.
    #[test]
    fn any_text_comes_back(text in document()) {
        let (sent, plain) = rows(&text).expect("a JSON text");
        prop_assert_eq!(decode::json(&sent, 1 << 20), Some(plain.clone()), "{}", sent);
        if let Some((short, _)) = legend::abbreviate(&sent, &Quarter) {
            prop_assert_eq!(legend::expand(&short, 1 << 20), Some(sent.clone()), "{}", short);
        }
        if let Some(json) = python::to_python(&plain).as_deref().and_then(python::to_json) {
            prop_assert!(python::to_python(&json).is_some());
        }
    }

    /// Whatever the text, nothing panics, and what is sent reads back.
    #[test]
    fn no_text_is_too_strange(text in "[\\[\\]{}\",:a1\\\\ \n×~$@|`A(-]{0,80}") {
        let bounds = Bounds::default();
        if let Some(sent) = compact(&text, &Quarter, &bounds) {
            prop_assert!(decode(&sent.text, &bounds).is_some());
        }
        let _ = decode::json(&text, 1 << 16);
        let _ = decode(&format!("{}\n{text}", notes::ROWS), &bounds);
        let _ = python::to_json(&text);
    }
}

/// The work is linear: a search through what is left at each line would take hours here.
#[test]
fn many_empty_lines_are_read_once() {
    let counter = counter();
    let text = format!("a\n{}b\nb\nb\nb", "\n".repeat(2_000_000));
    let compacted = compact(&text, &counter, &Bounds::default());
    if let Some(compacted) = compacted {
        let back = decode(&compacted.text, &Bounds::default()).expect("it reads back");
        assert_eq!(back.text, text);
    }
}

#[test]
fn a_text_with_a_head_line_of_ours_inside_stays() {
    let bounds = Bounds::default();
    let counter = counter();
    for note in notes::ALL {
        for text in [
            format!("a  \n\n\n\n{note}\nb   \n\n\n\n\n\n"),
            // A line becomes one as its end is cut off.
            format!("a  \n\n\n\n{note}   \nb   \n\n\n\n\n\n"),
            format!("{note}\n{}", "the same line\n".repeat(40)),
        ] {
            let made = compact(&text, &counter, &bounds);
            assert_eq!(made.map(|made| made.text), None, "{text}");
        }
    }
    let other = format!("a  \n\n\n\nsee {}\n{}", notes::LIST, "b   \n".repeat(30));
    assert!(compact(&other, &counter, &bounds).is_some());
}
