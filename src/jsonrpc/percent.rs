//! Percent signs in texts (RFC 3986 section 2.1): URLs, fragments of references, lists in standard variables.

use percent_encoding::percent_decode_str;

/// Reads the percent signs of a text; none where one has no two digits behind it, or where it says what is no text.
pub fn decode_strictly(text: &str) -> Option<String> {
    let is_whole = |rest: &str| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !text.split('%').skip(1).all(is_whole) {
        return None;
    }
    let decoded = percent_decode_str(text).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_with_two_digits_are_read_and_others_refused() {
        for (text, decoded) in [
            ("", Some("")),
            ("a%20b", Some("a b")),
            ("%c3%A9", Some("é")),
            ("%2525", Some("%25")),
            ("%", None),
            ("50%", None),
            ("%4", None),
            ("%g0%41", None),
            // A number that a library would read with its sign.
            ("%+f", None),
            ("%\u{e9}1", None),
            ("%ff", None),
        ] {
            assert_eq!(decode_strictly(text).as_deref(), decoded, "{text}");
        }
    }
}
