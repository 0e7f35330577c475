use std::cell::RefCell;

use super::*;
use crate::result::link::Links;
use crate::result::options::View;
use crate::session::Principal;

mod blocks;
mod views;

/// A token for each byte.
struct Bytewise;

impl TokenCounter for Bytewise {
    fn name(&self) -> &str {
        "bytes"
    }

    fn count(&self, text: &str) -> Tokens {
        Tokens::new(text.len() as u64)
    }

    fn count_up_to(&self, text: &str, limit: Tokens) -> Option<Tokens> {
        Some(self.count(text)).filter(|tokens| *tokens <= limit)
    }
}

/// Keeps what it is given, or refuses.
#[derive(Default)]
struct Shelf {
    is_full: bool,
    kept: RefCell<Vec<(String, View)>>,
}

impl Outside for Shelf {
    fn keep(&self, result: &str, view: View) -> Option<String> {
        if self.is_full {
            return None;
        }
        self.kept.borrow_mut().push((result.to_owned(), view));
        Some("r_aaaaaaaaaaaaaaaaaaaaaaaaaa".to_owned())
    }

    fn jq(&self, program: &str, json: &str) -> Result<String, String> {
        match program {
            "length" => Ok(json.len().to_string()),
            _ => Err(format!("{program} is no program")),
        }
    }
}

fn options(channel: Channel) -> Options {
    Options {
        channel,
        keeps_structured: channel == Channel::Text,
        cap: None,
        is_compacted: true,
        may_abbreviate: true,
        is_media_replaced: true,
        vision: crate::result::images::Vision::default(),
        read_result: Some("read_result".into()),
        projection: None,
        link: None,
        repeats: None,
    }
}

fn run(result: &str, options: &Options) -> Shaped {
    shape(result, options, &Shelf::default(), &Bytewise)
}

const SPACE: &str = "                                                                            ";

fn twice() -> String {
    format!(
        r#"{{"content":[{{"type":"text","text":"{{\n{SPACE}\"a\":{SPACE}1\n}}"}},{{"type":"image","data":"AA==","mimeType":"image/png"}}],"structuredContent":{{"a":1}},"_meta":{{"k":1}}}}"#
    )
}

#[test]
fn the_channel_that_the_model_reads_is_made_smaller() {
    let text = run(&twice(), &options(Channel::Text));
    assert_eq!(
        text.result.as_deref(),
        Some(
            r#"{"content":[{"type":"text","text":"{\"a\":1}"},{"type":"image","data":"AA==","mimeType":"image/png"}],"structuredContent":{"a":1},"_meta":{"k":1}}"#
        ),
        "the structured part stays complete for a client that was shown a schema"
    );
    let structured = run(&twice(), &options(Channel::Structured));
    assert_eq!(
        structured.result.as_deref(),
        Some(
            r#"{"content":[{"type":"text","text":"{\"a\":1}"},{"type":"image","data":"AA==","mimeType":"image/png"}],"_meta":{"k":1}}"#
        )
    );
    let both = run(&twice(), &options(Channel::Both));
    assert_eq!(both.result, structured.result);
    assert_eq!(both.before, text.before + text.before, "it read both");
}

#[test]
fn what_only_the_structured_part_says_is_what_its_reader_gets() {
    let result = format!(
        r#"{{"content":[{{"type":"text","text":"one row"}}],"structuredContent":{{{SPACE}"rows":{SPACE}[1]{SPACE}}}}}"#
    );
    let result = result.as_str();
    assert_eq!(
        run(result, &options(Channel::Structured)).result.as_deref(),
        Some(r#"{"content":[{"type":"text","text":"{\"rows\":[1]}"}]}"#)
    );
    assert_eq!(
        run(result, &options(Channel::Both)).result.as_deref(),
        Some(
            r#"{"content":[{"type":"text","text":"one row"},{"type":"text","text":"{\"rows\":[1]}"}]}"#
        )
    );
    assert_eq!(run(result, &options(Channel::Text)).result, None);
    let held = Options {
        keeps_structured: true,
        ..options(Channel::Structured)
    };
    assert_eq!(
        run(result, &held).result,
        None,
        "a client that checks it needs it"
    );
}

#[test]
fn errors_and_what_cannot_be_read_stay_as_they_are() {
    for result in [
        r#"{"content":[{"type":"text","text":"{ \"error\" :  1 }"}],"isError":true}"#,
        r#"{"content":[{"type":"text","text":"\ud800"}]}"#,
        r#"{"content":"x"}"#,
        r#"{"content":[]}"#,
        "[]",
        "{",
    ] {
        let shaped = run(result, &options(Channel::Structured));
        assert_eq!(shaped.result, None, "{result}");
        assert_eq!(shaped.before, shaped.after);
    }
}

fn long() -> String {
    let lines: Vec<String> = (0..400).map(|n| format!("line {n} of it")).collect();
    format!(
        r#"{{"content":[{{"type":"text","text":{}}}]}}"#,
        text::to_string(&lines.join("\n"))
    )
}

#[test]
fn what_is_left_out_was_kept_before() {
    let capped = Options {
        cap: Some(Cap::of(Tokens::new(1000))),
        ..options(Channel::Text)
    };
    let shelf = Shelf::default();
    let shaped = shape(&long(), &capped, &shelf, &Bytewise);
    assert!(shaped.after <= Tokens::new(1000), "{}", shaped.after);
    assert_eq!(shelf.kept.into_inner(), [(long(), View::Text)]);
    let sent = shaped.result.unwrap();
    assert!(sent.contains("r_aaaaaaaaaaaaaaaaaaaaaaaaaa"), "{sent}");
    let full = Shelf {
        is_full: true,
        ..Shelf::default()
    };
    let shaped = shape(&long(), &capped, &full, &Bytewise);
    assert_eq!(shaped.result, None, "what cannot be kept is not cut");
    let unreadable = Options {
        read_result: None,
        ..capped
    };
    let shaped = run(&long(), &unreadable);
    assert_eq!((shaped.result, shaped.handle), (None, None));
}

/// What no model reads: 2,000 bytes as base64.
fn base64() -> String {
    use base64::Engine as _;
    let mut state = 7_u32;
    let data: Vec<u8> = (0..2000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect();
    base64::engine::general_purpose::STANDARD.encode(data)
}

#[test]
fn long_base64_is_replaced_once_the_original_is_kept() {
    let data = base64();
    let result = format!(
        r#"{{"content":[{{"type":"text","text":"before"}},{{"type":"text","text":"{{\"name\":\"a\",\"data\":\"{data}\"}}"}},{{"type":"audio","data":"{data}","mimeType":"audio/wav"}}]}}"#
    );
    let shelf = Shelf::default();
    let shaped = shape(&result, &options(Channel::Text), &shelf, &Bytewise);
    assert_eq!(shelf.kept.into_inner().len(), 1, "kept once");
    let sent = shaped.result.unwrap();
    assert!(!sent.contains(&data[..100]), "{sent}");
    assert_eq!(sent.matches("read_result").count(), 2, "{sent}");
    assert!(sent.contains(":1}]") && sent.contains(":2}]"), "{sent}");
    assert!(shaped.after.get() < 1000 && shaped.before.get() > 5000);
    let full = Shelf {
        is_full: true,
        ..Shelf::default()
    };
    let shaped = shape(&result, &options(Channel::Text), &full, &Bytewise);
    assert_eq!(shaped.result, None);
}

#[test]
fn only_the_part_that_is_wanted_is_shown() {
    let result = r#"{"content":[{"type":"text","text":"[{\"a\":1.0,\"b\":2},{\"a\":2,\"b\":3}]"}],"structuredContent":{"result":[{"a":1.0,"b":2},{"a":2,"b":3}]}}"#;
    let want = |fields: &[&str], jq: Option<&str>, is_default: bool| Options {
        projection: Some(Projection {
            fields: fields.iter().map(|field| (*field).to_owned()).collect(),
            jq: jq.map(str::to_owned),
            is_default,
        }),
        ..options(Channel::Structured)
    };
    let texts = |options: &Options| {
        let sent = run(result, options).result.unwrap_or_default();
        assert!(!sent.contains("structuredContent"), "{sent}");
        Parts::of(&sent).unwrap_or_default().joined()
    };
    assert_eq!(texts(&want(&["a"], None, false)), r#"[{"a":1.0},{"a":2}]"#);
    assert_eq!(texts(&want(&["a"], Some("length"), false)), "19");
    let of_operator = texts(&want(&["a"], None, true));
    assert!(
        of_operator.contains("the whole: read_result"),
        "{of_operator}"
    );
    let failed = texts(&want(&[], Some("{"), false));
    assert!(failed.contains("because { is no program"), "{failed}");
    assert!(failed.contains("\"b\":3"), "{failed}");
    let unreadable = Options {
        read_result: None,
        ..want(&["a"], None, true)
    };
    let sent = run(result, &unreadable).result.unwrap_or_default();
    assert!(sent.contains("\\\"b\\\":3"), "nothing is lost: {sent}");
}

#[test]
fn a_repeated_answer_is_said_shortly_and_the_next_time_in_full() {
    use crate::result::repeat::{Bounds, CallKey, Form, Repeats};
    use std::time::Instant;

    let now = Instant::now();
    let key = CallKey::of(&Principal::OsUser, 1, "s", "t", b"{}").unwrap();
    let mut repeats = Repeats::new(Bounds::default());
    let mut forms = Vec::new();
    for _ in 0..3 {
        let options = Options {
            repeats: Some(repeats.last(now, &key)),
            ..options(Channel::Text)
        };
        let shaped = run(&long(), &options);
        let (answer, form) = shaped.given.unwrap();
        repeats.given(now, key, &answer, form);
        let sent = shaped.result.unwrap_or_else(long);
        assert_eq!(sent.contains("r_aaaaaaaa"), form != Form::Full, "{sent}");
        forms.push(form);
    }
    assert_eq!(forms, [Form::Full, Form::Unchanged, Form::Full]);
}

/// Broken variants that this catches: a part that was asked for, or a sample, is remembered as if the model had been
/// shown the whole.
#[test]
fn what_was_not_shown_whole_is_not_remembered_as_shown() {
    let repeated = Options {
        repeats: Some(None),
        ..options(Channel::Text)
    };
    let given = |options: &Options| run(&long(), options).given.map(|(_, form)| form);
    assert_eq!(given(&repeated), Some(repeat::Form::Full));
    let capped = Options {
        cap: Some(Cap::of(Tokens::new(1000))),
        ..repeated.clone()
    };
    assert!(run(&long(), &capped).handle.is_some(), "a sample");
    assert_eq!(given(&capped), Some(repeat::Form::Part));
    let projected = Options {
        projection: Some(Projection {
            fields: vec!["a".into()],
            ..Projection::default()
        }),
        ..repeated
    };
    let rows = plain(r#"[{\"a\":1,\"b\":2},{\"a\":3,\"b\":4}]"#);
    assert_eq!(run(&rows, &projected).given, None);
}

/// Four bytes for a token, about as a vocabulary has it.
struct ByFour;

impl TokenCounter for ByFour {
    fn name(&self) -> &str {
        "bytes by four"
    }

    fn count(&self, text: &str) -> Tokens {
        Tokens::new(text.len().div_ceil(4) as u64)
    }

    fn count_up_to(&self, text: &str, limit: Tokens) -> Option<Tokens> {
        Some(self.count(text)).filter(|tokens| *tokens <= limit)
    }
}

/// A link that a model reads has its place within the cap and never makes an answer larger than it came; one that
/// the person reads costs nothing.
#[test]
fn a_link_stands_beside_what_is_shown_in_part() {
    let rows: Vec<String> = (0..400).map(|n| format!("row {n} of the table")).collect();
    let long = format!(
        r#"{{"content":[{{"type":"text","text":"{}"}}],"structuredContent":{{"rows":400}}}}"#,
        rows.join("\\n")
    );
    let with = |to: Links, cap: u64| Options {
        cap: Some(Cap::of(Tokens::new(cap))),
        link: Some(link::LinkForm {
            to,
            tool: "table".to_owned(),
        }),
        ..options(Channel::Text)
    };
    let run = |options: &Options| shape(&long, options, &Shelf::default(), &ByFour);
    let plain = run(&Options {
        link: None,
        ..with(Links::Never, 400)
    });
    let to_user = run(&with(Links::ToUser, 400));
    let (sent, linked) = (plain.result.unwrap(), to_user.result.unwrap());
    assert_eq!((to_user.after, to_user.text), (plain.after, plain.text));
    let cut = linked.find(r#",{"type":"resource_link""#).expect("a link");
    assert_eq!(linked[..cut], sent[..cut], "nothing else moves");
    assert!(
        linked.ends_with(
            r#""annotations":{"audience":["user"]}}],"structuredContent":{"rows":400}}"#
        )
    );
    let to_all = run(&with(Links::ToAll, 400));
    let text = ByFour.count(&to_all.text.unwrap());
    assert!(to_all.result.unwrap().contains("resource_link"));
    assert!(text < to_all.after && to_all.after <= Tokens::new(400));
    // Hardly above its cap: what the link costs would be more than what is saved.
    let tokens = ByFour.count(&rows.join("\n")).get();
    for cap in tokens - 120..=tokens {
        let shaped = run(&with(Links::ToAll, cap));
        assert!(shaped.after <= shaped.before, "at {cap}");
    }
    // Whole answers have no link.
    let whole = run(&with(Links::ToAll, 4000));
    assert!(
        !whole
            .result
            .is_some_and(|result| result.contains("resource_link"))
    );
}

/// Counts, and remembers of how many bytes it was asked.
#[derive(Default)]
struct Watched(std::sync::atomic::AtomicU64);

impl Watched {
    fn n_bytes(&self) -> u64 {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}

impl TokenCounter for Watched {
    fn name(&self) -> &str {
        "watched"
    }

    fn count(&self, text: &str) -> Tokens {
        let n_bytes = text.len() as u64;
        self.0
            .fetch_add(n_bytes, std::sync::atomic::Ordering::Relaxed);
        Tokens::new(n_bytes.div_ceil(4))
    }

    fn count_up_to(&self, text: &str, limit: Tokens) -> Option<Tokens> {
        Some(self.count(text)).filter(|tokens| *tokens <= limit)
    }
}

fn prose(n_bytes: usize) -> String {
    let words = "nothing in here repeats a line or a value, it is plain prose; ";
    words.chars().cycle().take(n_bytes).collect()
}

fn plain(text: &str) -> String {
    format!(r#"{{"content":[{{"type":"text","text":"{text}"}}]}}"#)
}

#[test]
fn what_shaping_cannot_touch_is_not_counted_on_its_way() {
    let capped = Options {
        cap: Some(Cap::default()),
        ..options(Channel::Text)
    };
    let unread = Options {
        read_result: None,
        ..capped.clone()
    };
    let with_schema = Options {
        keeps_structured: true,
        ..options(Channel::Structured)
    };
    let minified = plain(r#"{\"name\":\"one\",\"text\":\"and two\"}"#);
    let error = plain(&prose(30_000)).replacen('{', r#"{"isError":true,"#, 1);
    let twice = format!(r#"{{"structuredContent":{{"a":1}},{}"#, &minified[1..]);
    for (what, result, options) in [
        ("its bytes are below the cap", plain(&prose(5_000)), &capped),
        (
            "there is no cap",
            plain(&prose(20_000)),
            &options(Channel::Text),
        ),
        ("nothing can be left out", plain(&prose(90_000)), &unread),
        ("held out", minified.clone(), &capped.clone().untouched()),
        ("an error", error, &capped),
        ("its reader reads what stays", twice, &with_schema),
    ] {
        let counter = Watched::default();
        let shaped = shape_uncounted(&result, options, &Shelf::default(), &counter);
        assert_eq!(shaped.result, None, "{what}");
        assert!(shaped.uncounted.is_some(), "{what}");
        assert_eq!(counter.n_bytes(), 0, "{what}");
        let whole = shape(&result, options, &Shelf::default(), &counter);
        assert_eq!(whole.uncounted, None, "{what}");
        assert!(whole.before > Tokens::ZERO, "{what}");
        assert_eq!(whole.before, whole.after, "{what}");
        let mut later = shaped;
        later.count(&result, &counter);
        assert_eq!(later, whole, "{what}: the same, only later");
    }
}

#[test]
fn what_could_be_above_the_cap_is_counted_on_its_way() {
    let capped = Options {
        cap: Some(Cap::default()),
        ..options(Channel::Text)
    };
    let counter = Watched::default();
    let result = plain(&prose(5_001));
    let shaped = shape_uncounted(&result, &capped, &Shelf::default(), &counter);
    assert_eq!((shaped.result, shaped.uncounted), (None, None));
    assert_eq!(
        (shaped.before, counter.n_bytes()),
        (Tokens::new(1_251), 5_001)
    );
    // Who reads both channels reads it twice, whenever it is counted.
    let both = Options {
        keeps_structured: true,
        ..options(Channel::Both)
    };
    let twice = r#"{"content":[{"type":"text","text":"{\"a\":1}"}],"structuredContent":{"a":1}}"#;
    let shaped = shape_uncounted(twice, &both, &Shelf::default(), &counter);
    assert_eq!(shaped.uncounted, Some(Seen::Texts { reads_twice: true }));
    assert_eq!(run(twice, &both).before, Tokens::new(14));
}

/// Each of the steps would have something to do, were it no error.
#[test]
fn an_error_is_never_shortened() {
    let rows: Vec<String> = (0..60)
        .map(|n| {
            format!(r#"{{\"id\":  {n}, \"address\":  \"https://example.org/the/same/path\"}}"#)
        })
        .collect();
    let answer = plain(&format!("[{}]", rows.join(",  ")));
    let error = answer.replacen('{', r#"{"isError":true,"#, 1);
    let capped = Options {
        cap: Some(Cap::of(Tokens::new(300))),
        ..options(Channel::Text)
    };
    let projected = Options {
        projection: Some(Projection {
            fields: vec!["id".into()],
            ..Projection::default()
        }),
        ..options(Channel::Text)
    };
    let key = repeat::CallKey::of(&Principal::OsUser, 1, "s", "t", b"{}").unwrap();
    let now = std::time::Instant::now();
    let mut repeats = repeat::Repeats::new(repeat::Bounds::default());
    let said = Parts::of(&error).unwrap().joined();
    repeats.given(now, key, &said.into(), repeat::Form::Full);
    let repeated = Options {
        is_compacted: false,
        repeats: Some(repeats.last(now, &key)),
        ..options(Channel::Text)
    };
    for options in [&options(Channel::Text), &capped, &projected, &repeated] {
        assert!(run(&answer, options).result.is_some(), "{options:?}");
        let shelf = Shelf::default();
        let shaped = shape(&error, options, &shelf, &Bytewise);
        assert_eq!((shaped.result, shaped.handle), (None, None));
        assert!(shelf.kept.borrow().is_empty());
    }
}

#[test]
fn who_wants_no_abbreviations_gets_none() {
    let addresses = [
        "https://example.org/a/long/path/to/the/first",
        "ftp://other.example.net/another/one/that/is/long",
        "mailto:somebody.with.a.name@mail.example.com?subject=third",
    ];
    let rows: Vec<String> = (0..60_usize)
        .map(|n| {
            let address = addresses[n * n % 7 % 3];
            format!(r#"{{\"n\":{n},\"at\":\"{address}\"}}"#)
        })
        .collect();
    let result = plain(&format!("[{}]", rows.join(",")));
    let with = run(&result, &options(Channel::Text)).text.unwrap();
    assert!(with.contains("~1="), "{with}");
    let without = Options {
        may_abbreviate: false,
        ..options(Channel::Text)
    };
    let without = run(&result, &without).text.unwrap_or(result);
    assert!(!without.contains("~1"), "{without}");
}

/// Shapes under a cap; gives what was sent, and what is kept as `read_result` reads it.
fn cut(result: &str, options: &Options) -> (String, Document) {
    let capped = Options {
        cap: Some(Cap::of(Tokens::new(1500))),
        is_compacted: false,
        ..options.clone()
    };
    let shelf = Shelf::default();
    let sent = shape(result, &capped, &shelf, &Bytewise).result.unwrap();
    let kept = shelf.kept.into_inner();
    let [(original, view)] = kept.as_slice() else {
        panic!("kept {} times", kept.len());
    };
    assert_eq!(original, result);
    (sent, Document::of(original, *view))
}

/// Runs the call that a sample names.
fn rest_of(text: &str, document: &Document) -> String {
    let (_, call) = text.split_once("Rest: read_result ").expect("a call");
    let end = call.find('}').unwrap() + 1;
    let query = query::parse(&call[..end]).unwrap();
    let limits = query::Limits {
        cap: None,
        counter: &Bytewise,
    };
    match query::answer(&query, document, "read_result", &limits) {
        Ok(query::Outcome::Answer(answer)) => answer.text,
        other => panic!("{call}: {other:?}"),
    }
}

fn rows(n: usize, what: &str) -> String {
    let rows: Vec<String> = (0..n).map(|n| format!("\"{what} {n}\"")).collect();
    rows.join(",")
}
