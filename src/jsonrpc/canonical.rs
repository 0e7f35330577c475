//! Canonical JSON: one text for equal values.
//!
//! RFC 8785 order of keys (UTF-16 code units) and escapes, no whitespace; numbers keep their literal
//! text, because rounding through doubles would make 2^53 and 2^53+1 one key. Strings are not
//! normalised.

use super::text::{push_string, string_value};
use super::{Limits, members, strict};

/// Returns the canonical text, or `None` where `raw` is not JSON that every parser reads alike.
pub fn canonical(raw: &[u8], limits: &Limits) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(raw).ok()?;
    strict::check(text, limits).ok()?;
    let mut out = Vec::with_capacity(raw.len());
    push_value(&mut out, raw)?;
    Some(out)
}

fn push_value(out: &mut Vec<u8>, raw: &[u8]) -> Option<()> {
    let raw = raw.trim_ascii();
    match raw.first()? {
        b'{' => {
            let mut sorted: Vec<(Vec<u16>, String, &[u8])> = members::members(raw)
                .into_iter()
                .map(|m| {
                    let name = m.name(raw).into_owned();
                    (name.encode_utf16().collect(), name, &raw[m.value])
                })
                .collect();
            sorted.sort_by(|a, b| a.0.cmp(&b.0));
            out.push(b'{');
            for (index, (_, name, value)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                push_string(out, &name);
                out.push(b':');
                push_value(out, value)?;
            }
            out.push(b'}');
        }
        b'[' => {
            out.push(b'[');
            for (index, part) in members::elements(raw).into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                push_value(out, &raw[part])?;
            }
            out.push(b']');
        }
        b'"' => push_string(out, &string_value(raw)?),
        _ => out.extend_from_slice(raw),
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical_text(raw: &str) -> Option<String> {
        canonical(raw.as_bytes(), &Limits::default()).map(|out| String::from_utf8(out).unwrap())
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
