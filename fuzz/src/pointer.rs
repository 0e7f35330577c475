//! JSON Pointers and patterns given to `read_result`: a pointer leads to the value that another reader finds there;
//! a literal pattern finds the lines that have it, no other.

use serde_json::{Value, json};

use mcp_whittle::result::options::View;
use mcp_whittle::result::query::{self, Answer, Document, Kind, Limits, Outcome};

use super::counter::counter;

/// A handle of the right form.
const HANDLE: &str = "r_aaaaaaaaaaaaaaaaaaaaaaaaaa";

/// Answers a call: its arguments and the kept text. None = refused in words.
pub type Reader<'a> = &'a dyn Fn(&Value, &str) -> Option<Answer>;

/// The property for one input: a pointer or pattern, a line end, the kept text. Panics where it does not hold.
pub fn run(data: &[u8]) {
    check(data, &read);
}

/// The property for what answers calls.
pub fn check(data: &[u8], reader: Reader<'_>) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (asked, kept) = text.split_once('\n').unwrap_or((text, ""));
    // What says nothing is no wish.
    if asked.trim().is_empty() {
        return;
    }
    pointed(asked, kept, reader);
    searched(asked, kept, reader);
}

/// Reads as the product does, without a cap.
pub fn read(arguments: &Value, kept: &str) -> Option<Answer> {
    let limits = Limits {
        cap: None,
        counter: counter(),
    };
    let refused = |error: query::QueryError| assert!(!error.text("read_result").is_empty());
    let query = query::parse(&arguments.to_string()).map_err(refused).ok()?;
    let document = Document::of(kept, View::Text);
    let answer = query::answer(&query, &document, "read_result", &limits);
    match answer.map_err(refused).ok()? {
        Outcome::Answer(answer) => Some(answer),
        Outcome::Jq { .. } => panic!("no program was asked for"),
    }
}

fn pointed(pointer: &str, kept: &str, reader: Reader<'_>) {
    let answer = reader(&json!({"handle": HANDLE, "pointer": pointer}), kept);
    let Ok(whole) = serde_json::from_str::<Value>(kept) else {
        return;
    };
    // Results of tools are taken apart; other readers know nothing of that. Of two members with one name each
    // reader takes its own; and none but ours forgives a pointer that begins with no `/`.
    let is_result = whole.get("content").is_some() || whole.get("structuredContent").is_some();
    let is_odd = !matches!(whole, Value::Object(_) | Value::Array(_))
        || canonical_len(&whole) != squeezed_len(kept)
        || !pointer.starts_with('/');
    if is_result || is_odd {
        return;
    }
    let there = whole.pointer(pointer);
    match answer {
        None => assert_eq!(there, None, "{pointer} leads to a value"),
        Some(answer) => {
            let there = there.unwrap_or_else(|| panic!("{pointer} leads nowhere"));
            let text = match (answer.kind, there) {
                // A string with line ends is read as the text that it is.
                (Kind::Text, Value::String(text)) => {
                    return assert_eq!(&answer.text, text, "{pointer}");
                }
                _ => answer.text,
            };
            let read: Value = serde_json::from_str(&text).expect("a value is JSON");
            assert_eq!(&read, there, "{pointer}");
        }
    }
}

fn canonical_len(value: &Value) -> usize {
    squeezed_len(&value.to_string())
}

/// Structure of a text: only what stands between strings, without white space. Two members with one name are
/// written once by who builds values.
fn squeezed_len(text: &str) -> usize {
    let (mut is_inside, mut is_escaped, mut n) = (false, false, 0);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_inside => is_escaped = true,
            b'"' => {
                is_inside = !is_inside;
                n += 1;
            }
            b',' | b':' | b'[' | b']' | b'{' | b'}' if !is_inside => n += 1,
            _ => {}
        }
    }
    n
}

fn searched(asked: &str, kept: &str, reader: Reader<'_>) {
    // As somebody wrote it: read or refused.
    let _ = reader(&json!({"handle": HANDLE, "grep": asked}), kept);
    // And taken literally, in a text that is no JSON.
    if kept.trim_start().starts_with(['{', '[', '"']) {
        return;
    }
    let mut pattern = String::new();
    for c in asked.chars() {
        // `\<` and `\>` are borders of words.
        if r"\.+*?()|[]{}^$#&-~".contains(c) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    let arguments = json!({"handle": HANDLE, "grep": pattern, "context": 0, "count": true});
    let Some(answer) = reader(&arguments, kept) else {
        return;
    };
    let expected = kept.split('\n').filter(|line| line.contains(asked)).count();
    let counted = answer.text.strip_prefix("matches: ");
    let counted = counted.and_then(|rest| rest.split(' ').next());
    assert_eq!(counted, Some(expected.to_string().as_str()), "{pattern}");
}
