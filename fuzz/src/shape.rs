//! Results of tools, as a server may send them: whatever is made of one is a result again, never costs more,
//! and where something is missing the original was kept and can be read back whole.

use std::cell::RefCell;

use bytes::Bytes;
use serde_json::Value;

use mcp_whittle::result::compact::{self, Bounds};
use mcp_whittle::result::link::{LinkForm, Links};
use mcp_whittle::result::options::{Cap, Channel, Options, View};
use mcp_whittle::result::sample::{self, FLOOR, Kind, Rest, Sampled, Unit};
use mcp_whittle::result::shape::{self, Outside, Shaped};
use mcp_whittle::result::{blobs, images};
use mcp_whittle::token::{TokenCounter, Tokens};

use super::counter::counter;

/// What would be done outside.
#[derive(Default)]
struct Kept(RefCell<Vec<String>>);

impl Outside for Kept {
    fn keep(&self, result: &str, _: View) -> Option<String> {
        self.0.borrow_mut().push(result.to_owned());
        Some("r_aaaaaaaaaaaaaaaaaaaaaaaaaa".to_owned())
    }

    fn jq(&self, _: &str, _: &str) -> Result<String, String> {
        Err("nothing is run here".to_owned())
    }
}

/// A shaper: a result and how, to what became of it.
pub type Shaper<'a> = &'a dyn Fn(&str, &Options, &dyn Outside) -> Shaped;

/// The property for one input; panics where it does not hold.
pub fn run(data: &[u8]) {
    check(data, &|result, options, outside| {
        shape::shape(result, options, outside, counter())
    });
}

/// The property for a shaper.
pub fn check(data: &[u8], shaper: Shaper<'_>) {
    let Some((&choice, rest)) = data.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(rest) else {
        return;
    };
    let options = options(choice);
    // As it came, and as the text of a result, which is what servers send most.
    let wrapped = format!(
        r#"{{"content":[{{"type":"text","text":{}}}]}}"#,
        Value::from(text)
    );
    for result in [text, &wrapped] {
        one(result, &options, shaper);
    }
    sampled(text, Tokens::new(u64::from(choice) * 2));
    media(text, rest);
}

fn options(choice: u8) -> Options {
    Options {
        channel: [Channel::Text, Channel::Structured, Channel::Both][usize::from(choice) % 3],
        keeps_structured: choice & 4 != 0,
        cap: (choice & 8 != 0).then(|| Cap::of(Tokens::new(300))),
        is_compacted: choice & 16 != 0,
        may_abbreviate: choice & 32 == 0,
        is_media_replaced: choice & 32 != 0,
        vision: images::Vision::default(),
        read_result: (choice & 64 == 0).then(|| "read_result".to_owned()),
        projection: None,
        repeats: None,
        link: (choice & 128 != 0).then(|| LinkForm {
            to: Links::ToAll,
            tool: "tool".to_owned(),
        }),
    }
}

fn one(result: &str, options: &Options, shaper: Shaper<'_>) {
    let kept = Kept::default();
    let shaped = shaper(result, options, &kept);
    let again = shaper(result, options, &Kept::default());
    assert_eq!(shaped, again, "the same result twice");
    let kept = kept.0.into_inner();
    assert!(kept.iter().all(|kept| kept == result), "another was kept");
    let Some(out) = &shaped.result else {
        return;
    };
    assert!(
        shaped.after <= shaped.before,
        "{} after {}",
        shaped.after,
        shaped.before
    );
    let Ok(before) = serde_json::from_str::<Value>(result) else {
        // Nothing that a client would refuse anyway gets worse; nothing more is known of it.
        return;
    };
    let after: Value = serde_json::from_str(out).unwrap_or_else(|error| panic!("{error}: {out}"));
    assert_ne!(
        before.get("isError"),
        Some(&Value::Bool(true)),
        "an error was changed"
    );
    assert_eq!(before.get("isError"), after.get("isError"));
    assert_eq!(before.get("_meta"), after.get("_meta"));
    if options.keeps_structured {
        assert_eq!(
            before.get("structuredContent"),
            after.get("structuredContent")
        );
    }
    if shaped.handle.is_some() {
        assert!(!kept.is_empty(), "a handle of nothing");
        assert!(
            options.read_result.is_some(),
            "a handle that nobody can read"
        );
    } else if options.channel == Channel::Text {
        says_all(&before, &after);
    }
}

/// Without a handle every text says what was sent, read back by the decoder.
fn says_all(before: &Value, after: &Value) {
    let texts = |value: &Value| -> Vec<String> {
        let blocks = value["content"].as_array().into_iter().flatten();
        blocks
            .filter(|block| block["type"] == "text")
            .filter_map(|block| block["text"].as_str().map(str::to_owned))
            .collect()
    };
    let (before, after) = (texts(before), texts(after));
    if before.len() != after.len() {
        return;
    }
    let bounds = Bounds::default();
    for (sent, shown) in before.iter().zip(&after) {
        if sent == shown {
            continue;
        }
        let read = compact::decode(shown, &bounds).expect("a notation of ours is read");
        assert_eq!(read.text, compact::normal(sent, &bounds), "{shown}");
    }
}

/// A sample is within its cap, counts what is missing, and holds whole values of what was sent.
fn sampled(text: &str, cap: Tokens) {
    let rest = Rest {
        handle: "r_aaaaaaaaaaaaaaaaaaaaaaaaaa".to_owned(),
        tool: "read_result".to_owned(),
        whole: None,
        made_by: None,
    };
    let made = sample::fit(text, cap, &rest, &|_| None, counter());
    if cap >= FLOOR {
        assert!(counter().count(&made.text) <= cap, "above its cap");
    }
    is_true(text, &made);
}

fn is_true(text: &str, made: &Sampled) {
    for account in &made.accounts {
        assert!(account.shown.windows(2).all(|pair| pair[0] < pair[1]));
        let last = account.shown.last();
        assert!(last.is_none_or(|last| u64::from(*last) < account.all));
    }
    let is_json = made.kind == Kind::Json
        && made
            .accounts
            .iter()
            .all(|account| account.unit != Unit::Lines);
    if let (true, [part], Ok(whole)) = (
        is_json,
        made.parts.as_slice(),
        serde_json::from_str::<Value>(text),
    ) {
        let part: Value = serde_json::from_str(part)
            .unwrap_or_else(|error| panic!("cut inside a value: {error}: {part}"));
        assert!(is_within(&part, &whole), "{part} is not in {whole}");
    }
}

/// Whether a value is another one with elements and members left out.
fn is_within(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Array(some), Value::Array(all)) => {
            let mut rest = all.iter();
            some.iter()
                .all(|one| rest.by_ref().any(|other| is_within(one, other)))
        }
        (Value::Object(some), Value::Object(all)) => some
            .iter()
            .all(|(name, one)| all.get(name).is_some_and(|other| is_within(one, other))),
        _ => part == whole,
    }
}

/// Images and base64 of a server.
fn media(text: &str, raw: &[u8]) {
    let block = Bytes::copy_from_slice(raw);
    if let Some(scaled) = images::scale(&block, &images::Vision::default()) {
        assert!(scaled.after < scaled.before);
        assert!(serde_json::from_slice::<Value>(&scaled.block).is_ok());
    }
    let rest = |n: usize, _: &blobs::Replaced| format!("rest {n}");
    if let Some((shown, replaced)) = blobs::replace(text, rest) {
        assert!(!replaced.is_empty());
        if serde_json::from_str::<Value>(text).is_ok() {
            assert!(serde_json::from_str::<Value>(&shown).is_ok(), "{shown}");
        }
    }
    if let Some((shown, _)) = blobs::replace_block(raw, "rest") {
        assert!(serde_json::from_slice::<Value>(&shown).is_ok());
    }
}
