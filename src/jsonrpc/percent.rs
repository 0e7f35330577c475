//! Percent signs in texts (RFC 3986 section 2.1): URLs, fragments of references, lists in standard variables.

/// A text whose percent signs were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// What it says. A sign without two digits behind it stays as it was written.
    pub bytes: Vec<u8>,
    /// Whether there was such a sign.
    pub is_broken: bool,
}

/// Reads the percent signs of a text.
pub fn decode(text: &str) -> Decoded {
    let mut bytes = Vec::with_capacity(text.len());
    let mut is_broken = false;
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let digits = |at: usize| after.get(at).and_then(|byte| digit(*byte));
        if let (Some(high), Some(low)) = (digits(0), digits(1)) {
            bytes.push(high << 4 | low);
            rest = &after[2..];
        } else {
            is_broken = true;
            bytes.push(first);
        }
    }
    Decoded { bytes, is_broken }
}

/// Reads the percent signs of a text; none where one is broken, or where it says what is no text.
pub fn decode_strictly(text: &str) -> Option<String> {
    let decoded = decode(text);
    let text = String::from_utf8(decoded.bytes).ok()?;
    (!decoded.is_broken).then_some(text)
}

fn digit(byte: u8) -> Option<u8> {
    let value = char::from(byte).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_with_two_digits_are_read_and_others_stay() {
        for (text, bytes, is_broken) in [
            ("", &b""[..], false),
            ("a%20b", b"a b", false),
            ("%c3%A9", "é".as_bytes(), false),
            ("%2525", b"%25", false),
            ("%", b"%", true),
            ("50%", b"50%", true),
            ("%4", b"%4", true),
            ("%g0%41", b"%g0A", true),
            // No number that a library would read with its sign.
            ("%+f", b"%+f", true),
            ("%\u{e9}1", "%\u{e9}1".as_bytes(), true),
        ] {
            let bytes = bytes.to_vec();
            assert_eq!(decode(text), Decoded { bytes, is_broken }, "{text}");
            assert_eq!(decode_strictly(text).is_none(), is_broken, "{text}");
        }
        assert_eq!(decode_strictly("%ff"), None, "no text");
    }
}
