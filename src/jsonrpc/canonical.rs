//! Canonical JSON: one text for equal values.
//!
//! RFC 8785 order of keys (UTF-16 code units) and escapes, no whitespace; numbers keep their literal
//! text, because rounding through doubles would make 2^53 and 2^53+1 one key. Strings are not
//! normalised.

use std::borrow::Cow;
use std::cmp::Ordering;

use memchr::{memchr, memchr2};

use super::text::{push_string, unescape};
use super::{Limits, strict};

/// Returns the canonical text, or `None` where `raw` is not JSON that every parser reads alike.
///
/// Linear in the text but for the sorting of keys, and for members out of order, which are moved once for each
/// object that they stand in.
pub fn canonical(raw: &[u8], limits: &Limits) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(raw).ok()?;
    // From here on it is JSON of bounded depth, and no key stands twice in an object.
    strict::check(text, limits).ok()?;
    let mut writer = Writer {
        text,
        at: 0,
        out: Vec::with_capacity(raw.len()),
    };
    writer.value()?;
    Some(writer.out)
}

struct Writer<'a> {
    text: &'a str,
    at: usize,
    out: Vec<u8>,
}

/// A member that was written: its name, and where it ends. It starts where the one before it ends.
type Written<'a> = (Cow<'a, str>, usize);

impl<'a> Writer<'a> {
    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at)?, b' ' | b'\t' | b'\r' | b'\n') {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn value(&mut self) -> Option<()> {
        match self.peek()? {
            b'{' => self.object(),
            b'[' => {
                self.at += 1;
                self.out.push(b'[');
                while self.peek()? != b']' {
                    if self.peek()? == b',' {
                        self.at += 1;
                        self.out.push(b',');
                    }
                    self.value()?;
                }
                self.at += 1;
                self.out.push(b']');
                Some(())
            }
            b'"' => {
                let text = self.string()?;
                self.write(&text, matches!(text, Cow::Owned(_)));
                Some(())
            }
            _ => {
                let rest = &self.text.as_bytes()[self.at..];
                let is_end =
                    |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\r' | b'\n');
                let length = rest.iter().position(is_end).unwrap_or(rest.len());
                self.out.extend_from_slice(&rest[..length]);
                self.at += length;
                Some(())
            }
        }
    }

    /// Writes the members as they come, and puts them in order behind the last one.
    fn object(&mut self) -> Option<()> {
        self.at += 1;
        self.out.push(b'{');
        let start = self.out.len();
        let mut written: Vec<Written<'a>> = Vec::new();
        while self.peek()? != b'}' {
            if self.peek()? == b',' {
                self.at += 1;
                self.peek()?;
            }
            let name = self.string()?;
            self.write(&name, matches!(name, Cow::Owned(_)));
            if self.peek()? != b':' {
                return None;
            }
            self.at += 1;
            self.out.push(b':');
            self.value()?;
            self.out.push(b',');
            written.push((name, self.out.len()));
        }
        self.at += 1;
        let is_in_order = written
            .windows(2)
            .all(|pair| by_utf16(&pair[0].0, &pair[1].0).is_le());
        if !is_in_order {
            self.sort(start, &written);
        }
        if !written.is_empty() {
            self.out.pop();
        }
        self.out.push(b'}');
        Some(())
    }

    fn sort(&mut self, start: usize, written: &[Written<'a>]) {
        let mut order: Vec<usize> = (0..written.len()).collect();
        order.sort_by(|a, b| by_utf16(&written[*a].0, &written[*b].0));
        let as_came = self.out.split_off(start);
        for index in order {
            let from = index
                .checked_sub(1)
                .map_or(start, |before| written[before].1);
            self.out
                .extend_from_slice(&as_came[from - start..written[index].1 - start]);
        }
    }

    /// Reads a string; its text.
    fn string(&mut self) -> Option<Cow<'a, str>> {
        let text = self.text;
        let start = self.at + 1;
        let mut end = start;
        loop {
            end += memchr2(b'"', b'\\', text.as_bytes().get(end..)?)?;
            if text.as_bytes()[end] == b'"' {
                break;
            }
            end += 2;
        }
        self.at = end + 1;
        let inside = text.get(start..end)?;
        match memchr(b'\\', inside.as_bytes()) {
            None => Some(Cow::Borrowed(inside)),
            Some(_) => unescape(inside.as_bytes()).map(Cow::Owned),
        }
    }

    /// Writes a text that was read. One that was written without escapes cannot be written with fewer.
    fn write(&mut self, text: &str, had_escapes: bool) {
        if had_escapes {
            push_string(&mut self.out, text);
            return;
        }
        self.out.push(b'"');
        self.out.extend_from_slice(text.as_bytes());
        self.out.push(b'"');
    }
}

/// The order of keys: by UTF-16 code units, which is that of bytes where no character is beyond U+FFFF.
fn by_utf16(a: &str, b: &str) -> Ordering {
    if a.is_ascii() || b.is_ascii() {
        // The first difference is at an ASCII character, or at the end of one, on one side at least.
        return a.cmp(b);
    }
    a.encode_utf16().cmp(b.encode_utf16())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn canonical_text(raw: &str) -> Option<String> {
        canonical(raw.as_bytes(), &Limits::default()).map(|out| String::from_utf8(out).unwrap())
    }

    /// The same by way of values, as the rule reads.
    fn by_values(value: &Value) -> String {
        match value {
            Value::Object(members) => {
                let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
                sorted.sort_by_key(|(name, _)| name.encode_utf16().collect::<Vec<u16>>());
                let members = sorted.iter().map(|(name, value)| {
                    format!(
                        "{}:{}",
                        super::super::text::to_string(name),
                        by_values(value)
                    )
                });
                format!("{{{}}}", members.collect::<Vec<_>>().join(","))
            }
            Value::Array(parts) => {
                let parts: Vec<String> = parts.iter().map(by_values).collect();
                format!("[{}]", parts.join(","))
            }
            Value::String(text) => super::super::text::to_string(text),
            other => other.to_string(),
        }
    }

    fn arb_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-z\"\\\\\u{1}\u{7f}é\u{fb33}\u{1f600}\n]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inside| {
            let name = "[ab\"\\\\\u{1}é\u{fb33}\u{1f600}]{0,3}";
            prop_oneof![
                prop::collection::vec(inside.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((name, inside), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// However it is written. A writer that compares bytes where characters lie beyond U+FFFF, or leaves
        /// members where they came, fails here.
        #[test]
        fn equals_the_text_by_values(value in arb_value(), is_pretty in any::<bool>(), is_escaped in any::<bool>()) {
            let mut raw = match is_pretty {
                true => serde_json::to_string_pretty(&value).unwrap(),
                false => value.to_string(),
            };
            if is_escaped {
                raw = raw.replace('é', "\\u00e9").replace('\u{1f600}', "\\ud83d\\ude00");
            }
            prop_assert_eq!(canonical_text(&raw), Some(by_values(&value)));
        }
    }

    #[test]
    fn equal_values_share_a_text_and_different_numbers_do_not() {
        assert_eq!(
            canonical_text(r#" { "b" : [ 1 , null ] , "a\u0061" : "\u00e9\/" } "#).unwrap(),
            r#"{"aa":"é/","b":[1,null]}"#
        );
        // U+FB33 sorts after U+1F600 by code point but before it by UTF-16 unit (RFC 8785 §3.2.3).
        assert_eq!(
            canonical_text("{\"\u{fb33}\":1,\"\u{1f600}\":2}").unwrap(),
            "{\"\u{1f600}\":2,\"\u{fb33}\":1}"
        );
        assert_ne!(
            canonical_text("9007199254740992"),
            canonical_text("9007199254740993")
        );
        assert_ne!(canonical_text("1"), canonical_text("1.0"));
        assert_eq!(canonical_text(r#"{"a":1,"a":1}"#), None);
    }
}
