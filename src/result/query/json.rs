//! Places in a raw JSON text: what is there, what is below, and every value with its path. Spans only; no
//! value is built, so digits, escapes and white space stay as they were written. Nothing here recurses.

use std::ops::{ControlFlow, Range};

use serde::de::IgnoredAny;

use crate::jsonrpc::members::{Member, elements, members};
use crate::jsonrpc::text;

/// Containers inside one another that are walked; deeper ones are read as text.
const DEPTH: usize = 512;

/// Tells whether a text is one JSON object or array.
pub(in crate::result) fn is_container(text: &str) -> bool {
    let begins = text.trim_start().starts_with(['{', '[']);
    begins && is_shallow(text) && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

fn is_shallow(text: &str) -> bool {
    let mut depth = 0usize;
    let mut borders = Borders::default();
    for byte in text.bytes() {
        match borders.step(byte) {
            true => {}
            false => continue,
        }
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH {
            return false;
        }
    }
    true
}

/// Knows while a text is read from its start whether a byte stands outside of strings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Borders {
    is_inside: bool,
    is_escaped: bool,
}

impl Borders {
    /// Takes the next byte; tells whether it is structure.
    pub(super) fn step(&mut self, byte: u8) -> bool {
        if !self.is_inside {
            self.is_inside = byte == b'"';
            return !self.is_inside;
        }
        match byte {
            _ if self.is_escaped => self.is_escaped = false,
            b'\\' => self.is_escaped = true,
            b'"' => self.is_inside = false,
            _ => {}
        }
        false
    }
}

/// What is directly below a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Children {
    Array(Vec<Range<usize>>),
    Object(Vec<Member>),
    /// Nothing can be.
    None,
}

impl Children {
    pub(super) fn of(raw: &str) -> Self {
        match raw.trim_start().as_bytes().first() {
            Some(b'[') => Self::Array(elements(raw.as_bytes())),
            Some(b'{') => Self::Object(members(raw.as_bytes())),
            _ => Self::None,
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Array(all) => all.len(),
            Self::Object(all) => all.len(),
            Self::None => 0,
        }
    }

    /// Where each one stands, keys of objects included.
    pub(super) fn spans(&self) -> Vec<Range<usize>> {
        match self {
            Self::Array(all) => all.clone(),
            Self::Object(all) => all
                .iter()
                .map(|member| member.key.start..member.value.end)
                .collect(),
            Self::None => Vec::new(),
        }
    }

    /// What is opened and closed around them.
    pub(super) fn brackets(&self) -> (&'static str, &'static str) {
        match self {
            Self::Object(_) => ("{", "}"),
            _ => ("[", "]"),
        }
    }
}

/// Why a pointer leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Astray {
    /// How far it leads.
    pub(super) until: String,
    /// The step that is not there.
    pub(super) step: String,
    /// What there is instead.
    pub(super) there: String,
}

/// Follows a JSON Pointer (RFC 6901). A missing `/` at its start and a `#` before it are forgiven.
pub(super) fn find(json: &str, pointer: &str) -> Result<Range<usize>, Astray> {
    let pointer = pointer.strip_prefix('#').unwrap_or(pointer);
    let start = json.len() - json.trim_start().len();
    let mut at = start..json.trim_end().len();
    if pointer.is_empty() {
        return Ok(at);
    }
    let mut until = String::new();
    for step in pointer.strip_prefix('/').unwrap_or(pointer).split('/') {
        let key = step.replace("~1", "/").replace("~0", "~");
        let raw = &json[at.clone()];
        let children = Children::of(raw);
        let below = match &children {
            Children::Array(all) => index(&key).and_then(|index| all.get(index).cloned()),
            Children::Object(all) => all
                .iter()
                .find(|member| member.name(raw.as_bytes()) == key)
                .map(|member| member.value.clone()),
            Children::None => None,
        };
        let Some(below) = below else {
            return Err(Astray {
                until,
                step: key,
                there: what_is(raw, &children),
            });
        };
        at = at.start + below.start..at.start + below.end;
        until.push('/');
        until.push_str(step);
    }
    Ok(at)
}

/// A number without sign and leading zeros (RFC 6901 §4).
fn index(step: &str) -> Option<usize> {
    let is_number = step.bytes().all(|b| b.is_ascii_digit());
    (is_number && (step == "0" || !step.starts_with('0')))
        .then(|| step.parse().ok())
        .flatten()
}

/// Keys that are named to say what there is.
const NAMED_KEYS: usize = 12;
/// Characters of a key that are shown.
const KEY_SHOWN: usize = 60;

/// Says what a value is, for one who looked for something else in it.
pub(super) fn what_is(raw: &str, children: &Children) -> String {
    match children {
        Children::Array(all) => match all.len() {
            0 => "an empty array".to_owned(),
            n => format!("an array with the elements 0 to {}", n - 1),
        },
        Children::Object(all) => {
            let names: Vec<String> = all
                .iter()
                .take(NAMED_KEYS)
                .map(|member| {
                    let name = member.name(raw.as_bytes());
                    format!("`{}`", name.chars().take(KEY_SHOWN).collect::<String>())
                })
                .collect();
            let more = match all.len().saturating_sub(NAMED_KEYS) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            match names.len() {
                0 => "an empty object".to_owned(),
                _ => format!("an object with the keys {}{more}", names.join(", ")),
            }
        }
        Children::None => match raw.as_bytes().first() {
            Some(b'"') => "a string".to_owned(),
            _ => format!("`{}`", raw.chars().take(KEY_SHOWN).collect::<String>()),
        },
    }
}

/// A container that is open while values are walked.
#[derive(Debug, Clone)]
pub(super) struct Open {
    /// Where it begins.
    pub(super) start: usize,
    is_array: bool,
    /// Which element, if it is an array.
    index: usize,
    /// The key with its quotes, if it is an object.
    key: Range<usize>,
}

impl Open {
    /// The key of the current member, with its quotes; empty in an array.
    pub(super) fn key(&self) -> Range<usize> {
        if self.is_array {
            0..0
        } else {
            self.key.clone()
        }
    }
}

/// Writes the pointer of the current value.
pub(super) fn pointer_of(json: &str, open: &[Open]) -> String {
    let mut pointer = String::new();
    for container in open {
        pointer.push('/');
        if container.is_array {
            pointer.push_str(&container.index.to_string());
        } else {
            let name = text::string_value(json[container.key.clone()].as_bytes());
            let name = name.unwrap_or_default();
            pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
        }
    }
    pointer
}

/// Visits every string, number, `true`, `false` and `null` of a valid JSON text in order, with the
/// containers around it, outermost first.
pub(super) fn walk(json: &str, mut visit: impl FnMut(&[Open], Range<usize>) -> ControlFlow<()>) {
    let bytes = json.as_bytes();
    let mut open: Vec<Open> = Vec::new();
    let mut at = 0;
    let mut is_key = false;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' => {
                open.push(Open {
                    start: at,
                    is_array: *byte == b'[',
                    index: 0,
                    key: 0..0,
                });
                is_key = *byte == b'{';
                at += 1;
            }
            b'}' | b']' => {
                open.pop();
                is_key = false;
                at += 1;
            }
            b',' => {
                if let Some(last) = open.last_mut() {
                    last.index += 1;
                    is_key = !last.is_array;
                }
                at += 1;
            }
            b':' => {
                is_key = false;
                at += 1;
            }
            b' ' | b'\t' | b'\r' | b'\n' => at += 1,
            _ => {
                let end = scalar_end(bytes, at);
                match open.last_mut() {
                    Some(last) if is_key => last.key = at..end,
                    _ => {
                        if visit(&open, at..end).is_break() {
                            return;
                        }
                    }
                }
                at = end;
            }
        }
    }
}

fn scalar_end(bytes: &[u8], at: usize) -> usize {
    if bytes[at] != b'"' {
        let end = bytes[at..]
            .iter()
            .position(|b| b",]}: \t\r\n".contains(b))
            .map_or(bytes.len(), |n| at + n);
        return end.max(at + 1);
    }
    let mut end = at + 1;
    while let Some(n) = bytes
        .get(end..)
        .and_then(|rest| memchr::memchr2(b'"', b'\\', rest))
    {
        if bytes[end + n] == b'"' {
            return end + n + 1;
        }
        end += n + 2;
    }
    bytes.len()
}

/// Returns where the container that begins at `start` ends, if it has at most `most` bytes.
pub(super) fn short_end(json: &str, start: usize, most: usize) -> Option<usize> {
    let mut borders = Borders::default();
    let mut depth = 0usize;
    for (n, byte) in json.as_bytes()[start..].iter().take(most).enumerate() {
        if !borders.step(*byte) {
            continue;
        }
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(start + n + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOC: &str = r#" {"a/b":{"m~n":[10,{"x":null}]},"":"e","k\"l":1.10,"a":[]} "#;

    #[test]
    fn pointers_lead_where_rfc_6901_says() {
        let get = |pointer: &str| find(DOC, pointer).map(|at| &DOC[at]);
        for (pointer, expected) in [
            ("", DOC.trim()),
            ("/a~1b/m~0n/0", "10"),
            ("a~1b/m~0n/1/x", "null"),
            ("#/a~1b/m~0n/1", r#"{"x":null}"#),
            ("/", "\"e\""),
            ("/k\"l", "1.10"),
        ] {
            assert_eq!(get(pointer), Ok(expected), "{pointer}");
        }
        for (pointer, until, there) in [
            ("/x", "", "`a/b`"),
            ("/a~1b/m~0n/2", "/a~1b/m~0n", "the elements 0 to 1"),
            ("/a~1b/m~0n/01", "/a~1b/m~0n", "the elements 0 to 1"),
            ("/a~1b/m~0n/-", "/a~1b/m~0n", "the elements 0 to 1"),
            ("/a/0", "/a", "an empty array"),
            ("/k\"l/0", "/k\"l", "`1.10`"),
        ] {
            let astray = get(pointer).unwrap_err();
            assert_eq!(astray.until, until, "{pointer}");
            assert!(astray.there.contains(there), "{}", astray.there);
        }
    }

    #[test]
    fn every_value_is_visited_with_its_pointer() {
        let mut seen = Vec::new();
        walk(DOC, |open, at| {
            seen.push((pointer_of(DOC, open), DOC[at].to_owned()));
            ControlFlow::Continue(())
        });
        let expected = [
            ("/a~1b/m~0n/0", "10"),
            ("/a~1b/m~0n/1/x", "null"),
            ("/", "\"e\""),
            ("/k\"l", "1.10"),
        ];
        assert_eq!(seen.len(), expected.len());
        for ((pointer, value), expected) in seen.iter().zip(expected) {
            assert_eq!((pointer.as_str(), value.as_str()), expected);
            assert_eq!(find(DOC, pointer).map(|at| &DOC[at]), Ok(expected.1));
        }
    }

    #[test]
    fn what_is_not_one_container_is_text() {
        for (text, expected) in [
            ("{}", true),
            (" [1, {\"a\":\"\\ud800\"}]\n", true),
            ("[1] [2]", false),
            ("{\"a\":1", false),
            ("7", false),
            ("\"[]\"", false),
            ("[NaN]", false),
            ("", false),
        ] {
            assert_eq!(is_container(text), expected, "{text}");
        }
        let deep = |n: usize| "[".repeat(n) + &"]".repeat(n);
        assert!(is_container(&deep(DEPTH)) && !is_container(&deep(DEPTH + 1)));
        assert!(!is_container(&deep(2_000_000)));
    }
}
