//! Dense notations: what is written reads back as what was sent, and whatever a text claims to be, reading it
//! ends and is bounded.

use serde_json::Value;

use mcp_whittle::result::compact::{self, Bounds, Compacted};
use mcp_whittle::result::repeat;
use mcp_whittle::token::{TokenCounter, Tokens};

use super::counter::counter;

/// What a decoder may make of a text at most, in bytes for each of the limit.
const GROWTH: usize = 2;

/// The property for one input; panics where it does not hold.
pub fn run(data: &[u8]) {
    check(data, |text| {
        compact::compact(text, counter(), &Bounds::default())
    });
}

/// The property for a function that makes a text denser.
pub fn check(data: &[u8], dense: impl Fn(&str) -> Option<Compacted>) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let bounds = Bounds::default();
    if let Some(made) = dense(text) {
        assert!(made.tokens < made.before, "not denser");
        if made.is_exact {
            assert_eq!(made.tokens, counter().count(&made.text));
        }
        let back = compact::decode(&made.text, &bounds).expect("our own notation is read");
        let normal = compact::normal(text, &bounds);
        assert_eq!(back.text, normal, "{:?}: {}", made.form, made.text);
        same_value(text, &back.text);
    }
    lists(text, &bounds);
    // A text that pretends to be in a notation of ours.
    let small = Bounds {
        max_bytes: 4096,
        ..bounds
    };
    if let Some(read) = compact::decode(text, &small) {
        let most = GROWTH * small.max_bytes + text.len();
        assert!(read.text.len() <= most, "{} bytes", read.text.len());
    }
    repeats(text);
}

/// Where both are JSON, they are the same value: by a reader that knows nothing of notations.
fn same_value(one: &str, other: &str) {
    if let Ok(one) = serde_json::from_str::<Value>(one) {
        let other: Value = serde_json::from_str(other).expect("JSON stays JSON");
        assert_eq!(one, other);
    }
}

/// The lines of a text as several blocks of a result.
fn lists(text: &str, bounds: &Bounds) {
    let lines: Vec<&str> = text.lines().collect();
    let Some(made) = compact::compact_list(&lines, counter(), bounds) else {
        return;
    };
    let back = compact::decode(&made.text, bounds).expect("our own notation is read");
    assert!(back.is_list);
    same_value(&format!("[{}]", lines.join(",")), &back.text);
}

/// The halves of a text as an answer and the next one to the same call.
fn repeats(text: &str) {
    let mut middle = text.len() / 2;
    while !text.is_char_boundary(middle) {
        middle -= 1;
    }
    let halves = match text.split_once("\n---\n") {
        Some(halves) => halves,
        None => text.split_at(middle),
    };
    let (old, new) = halves;
    if let Some(said) = repeat::difference(old, new, Tokens::new(1 << 20), "r {}", counter()) {
        let got = repeat::apply(old, &said.text).expect("our own difference applies");
        match serde_json::from_str::<Value>(new) {
            Ok(_) if got != new => same_value(new, &got),
            _ => assert_eq!(got, new),
        }
    }
    // Words that somebody else wrote.
    let _ = repeat::apply(old, new);
}
