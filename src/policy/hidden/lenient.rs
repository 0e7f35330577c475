//! Strings of raw JSON in which half of a surrogate pair stands alone (`\ud800`). JSON lets an escape say so, and
//! parsers of some languages hand it on, so a text with one is read like any other.

use crate::jsonrpc::text::{string_value, unescape};

/// Bytes of `\ud800`.
const ESCAPE: usize = 6;

/// A string without the halves that stood in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lenient {
    /// The text.
    pub text: String,
    /// Where in the text each half stood.
    pub halves: Vec<usize>,
}

/// Reads a raw JSON string value, quotes included; `None` where it is none, halves aside.
pub fn read_leniently(raw: &[u8]) -> Option<Lenient> {
    if let Some(text) = string_value(raw) {
        let halves = Vec::new();
        return Some(Lenient { text, halves });
    }
    let inside = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let mut read = Lenient::default();
    let (mut from, mut at) = (0, 0);
    while let Some(n) = inside
        .get(at..)
        .and_then(|rest| memchr::memchr(b'\\', rest))
    {
        at += n;
        let one = surrogate(&inside[at..]);
        let other = one.and_then(|_| surrogate(&inside[at + ESCAPE..]));
        match (one, other) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => at += 2 * ESCAPE,
            (Some(_), _) => {
                read.text.push_str(&unescape(&inside[from..at])?);
                read.halves.push(read.text.len());
                at += ESCAPE;
                from = at;
            }
            (None, _) => at += 2,
        }
    }
    read.text.push_str(&unescape(&inside[from..])?);
    Some(read)
}

/// The surrogate that the escape at the start names.
fn surrogate(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"\\u")?.get(..ESCAPE - 2)?;
    let mut value = 0;
    for digit in digits {
        value = value * 16 + char::from(*digit).to_digit(16)?;
    }
    (0xd800..=0xdfff).contains(&value).then_some(value)
}
