//! Whether two raw JSON texts are the same value: white space and the spelling of strings do not count,
//! digits of numbers and the order of members do. Pure; one walk over both, no value is built.

use crate::jsonrpc::members::skip_string;
use crate::jsonrpc::text::unescape;

/// Tells whether both texts have the same tokens in the same order. Texts that are not JSON are the same
/// only where their tokens are; nothing panics.
pub(super) fn same_json(left: &str, right: &str) -> bool {
    let (mut left, mut right) = (Tokens::of(left), Tokens::of(right));
    loop {
        match (left.next(), right.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if a == b || same_string(a, b) => {}
            _ => return false,
        }
    }
}

/// Strings may be escaped in other ways (`\u00e9`, `\/`).
fn same_string(left: &str, right: &str) -> bool {
    let inside = |raw: &str| {
        let inside = raw.strip_prefix('"')?.strip_suffix('"')?;
        unescape(inside.as_bytes())
    };
    let is_escaped = left.contains('\\') || right.contains('\\');
    is_escaped && matches!((inside(left), inside(right)), (Some(a), Some(b)) if a == b)
}

struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    fn of(rest: &'a str) -> Self {
        Self { rest }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let bytes = text.as_bytes();
        let end = match bytes.first()? {
            b'"' => skip_string(bytes, 0),
            b'{' | b'}' | b'[' | b']' | b',' | b':' => 1,
            _ => bytes
                .iter()
                .position(|b| b" \t\r\n{}[],:\"".contains(b))
                .unwrap_or(bytes.len()),
        };
        let (token, rest) = text.split_at_checked(end)?;
        self.rest = rest;
        Some(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_of_white_space_and_strings_does_not_count_and_digits_do() {
        for (left, right, expected) in [
            (r#"{"a": [1, 2]}"#, "{\n \"a\":[1,2] }", true),
            (r#"{"a":"é/"}"#, r#"{"a":"\u00e9\/"}"#, true),
            (r#"{"a":1.0}"#, r#"{"a":1}"#, false),
            (r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#, false),
            (r#"["a b"]"#, r#"["a  b"]"#, false),
            (r#""1""#, "1", false),
            ("", " ", true),
            ("[1", "[1,", false),
            ("\"é", "\"é", true),
            ("\"\\", "\"\\é", false),
        ] {
            assert_eq!(same_json(left, right), expected, "{left} {right}");
        }
    }
}
