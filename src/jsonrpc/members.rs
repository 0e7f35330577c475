//! The members of a raw JSON object and the elements of a raw array, without building a value.
//!
//! For parts of a message whose structure [`super::scan`] has already walked. A text that is not
//! JSON ends the iteration early and never panics.

use std::borrow::Cow;
use std::ops::Range;

use super::text::unescape;

/// One member of a raw object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The key with its quotes.
    pub key: Range<usize>,
    /// The value.
    pub value: Range<usize>,
}

impl Member {
    /// Returns the key as text; an invalid key is an empty text.
    pub fn name<'a>(&self, object: &'a [u8]) -> Cow<'a, str> {
        let inside = &object[self.key.start + 1..self.key.end - 1];
        if inside.contains(&b'\\') {
            Cow::Owned(unescape(inside).unwrap_or_default())
        } else {
            std::str::from_utf8(inside).map_or(Cow::Borrowed(""), Cow::Borrowed)
        }
    }
}

/// Lists the members of a raw object; empty for anything else.
pub fn members(object: &[u8]) -> Vec<Member> {
    let mut out = Vec::new();
    let mut at = skip_space(object, 0);
    if object.get(at) != Some(&b'{') {
        return out;
    }
    at = skip_space(object, at + 1);
    while object.get(at) == Some(&b'"') {
        let key_end = skip_value(object, at);
        let colon = skip_space(object, key_end);
        if object.get(colon) != Some(&b':') {
            break;
        }
        let start = skip_space(object, colon + 1);
        let end = skip_value(object, start);
        if end <= start {
            break;
        }
        out.push(Member {
            key: at..key_end,
            value: start..end,
        });
        at = skip_space(object, end);
        if object.get(at) != Some(&b',') {
            break;
        }
        at = skip_space(object, at + 1);
    }
    out
}

/// Returns where the value of `name` stands in a raw object.
pub fn member(object: &[u8], name: &str) -> Option<Range<usize>> {
    members(object)
        .into_iter()
        .find(|m| m.name(object) == name)
        .map(|m| m.value)
}

/// Returns the raw value of `name` in a raw object.
pub fn get<'a>(object: &'a [u8], name: &str) -> Option<&'a [u8]> {
    member(object, name).map(|range| &object[range])
}

/// Returns the text of the string member `name` in a raw object.
pub fn get_text(object: &[u8], name: &str) -> Option<String> {
    super::text::string_value(get(object, name)?)
}

/// Lists the elements of a raw array; empty for anything else.
pub fn elements(array: &[u8]) -> Vec<Range<usize>> {
    let mut out = Vec::new();
    let mut at = skip_space(array, 0);
    if array.get(at) != Some(&b'[') {
        return out;
    }
    at = skip_space(array, at + 1);
    while at < array.len() && array[at] != b']' {
        let end = skip_value(array, at);
        if end <= at {
            break;
        }
        out.push(at..end);
        at = skip_space(array, end);
        if array.get(at) != Some(&b',') {
            break;
        }
        at = skip_space(array, at + 1);
    }
    out
}

fn skip_space(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}

/// Returns where the value that starts at `at` ends; `at` itself where there is none.
fn skip_value(text: &[u8], at: usize) -> usize {
    match text.get(at) {
        Some(b'"') => skip_string(text, at),
        Some(b'{' | b'[') => {
            let mut depth = 0usize;
            let mut i = at;
            while i < text.len() {
                match text[i] {
                    b'"' => {
                        i = skip_string(text, i);
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => {
                        depth -= 1;
                        if depth == 0 {
                            return i + 1;
                        }
                    }
                    _ => {}
                }
                i += 1;
            }
            at
        }
        _ => text[at.min(text.len())..]
            .iter()
            .position(|b| matches!(b, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n'))
            .map_or(text.len(), |n| at + n),
    }
}

/// Returns where the string that starts at `at` ends, its quote included; the end of the text where it has none.
pub fn skip_string(text: &[u8], at: usize) -> usize {
    let mut i = at + 1;
    while let Some(n) = text
        .get(i..)
        .and_then(|rest| memchr::memchr2(b'"', b'\\', rest))
    {
        if text[i + n] == b'"' {
            return i + n + 1;
        }
        i += n + 2;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_and_elements_are_walked_by_span() {
        let text = br#" { "a" : {"x":"}\""} , "b\u0063":[1, [2] ,"]"], "d":-1.5e3}"#;
        let found: Vec<(String, &str)> = members(text)
            .iter()
            .map(|m| {
                (
                    m.name(text).into_owned(),
                    std::str::from_utf8(&text[m.value.clone()]).unwrap(),
                )
            })
            .collect();
        assert_eq!(found[0], ("a".into(), r#"{"x":"}\""}"#));
        assert_eq!(found[1], ("bc".into(), r#"[1, [2] ,"]"]"#));
        assert_eq!(found[2], ("d".into(), "-1.5e3"));
        let array = get(text, "bc").unwrap();
        let parts: Vec<&[u8]> = elements(array).into_iter().map(|r| &array[r]).collect();
        assert_eq!(parts, [&b"1"[..], b"[2]", b"\"]\""]);
    }

    #[test]
    fn broken_texts_end_early() {
        for text in [
            "",
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":[1",
            "[1,",
            "[\"",
            "{\"a\" 1}",
            "x",
        ] {
            let _ = members(text.as_bytes());
            let _ = elements(text.as_bytes());
        }
        assert!(members(b"{\"a\":}").is_empty());
        assert!(elements(b"[,]").is_empty());
    }
}
