//! JSON strings as text: unescaping, and writing text as a JSON string.

/// Returns the text of the inside of a JSON string (without its quotes), or `None` where an escape
/// is not valid, a surrogate stands alone, or the bytes are not UTF-8.
pub fn unescape(inside: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(inside).ok()?;
    if !text.contains('\\') {
        return Some(text.to_owned());
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = *rest.as_bytes().get(at + 1)?;
        // A backslash before a character of several bytes is no escape; nothing may be cut inside it.
        rest = rest.get(at + 2..)?;
        out.push(match escape {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = hex4(rest)?;
                rest = &rest[4..];
                match high {
                    0xd800..=0xdbff => {
                        let low = hex4(rest.strip_prefix("\\u")?)?;
                        if !(0xdc00..=0xdfff).contains(&low) {
                            return None;
                        }
                        rest = &rest[6..];
                        char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))?
                    }
                    _ => char::from_u32(high)?,
                }
            }
            _ => return None,
        });
    }
    out.push_str(rest);
    Some(out)
}

fn hex4(text: &str) -> Option<u32> {
    let digits = text.get(..4)?;
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u32::from_str_radix(digits, 16).ok()
}

/// Returns the text of a raw JSON string value, quotes included, or `None` if it is not one.
pub fn string_value(raw: &[u8]) -> Option<String> {
    unescape(raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?)
}

/// Appends `text` as a JSON string with the fewest escapes that JSON allows.
pub fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    let is_special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    while let Some(at) = rest.iter().position(is_special) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            other => out.extend_from_slice(format!("\\u{other:04x}").as_bytes()),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Returns `text` as a JSON string.
pub fn to_string(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    push_string(&mut out, text);
    String::from_utf8(out).expect("only whole characters were written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_read_as_serde_json_reads_them() {
        for raw in [
            r#""""#,
            r#""a\u00e9\/\b\f\n\r\t\"\\""#,
            r#""\ud83d\ude00""#,
            r#""\ud83d""#,
            r#""\ude00""#,
            r#""\ud83dx""#,
            r#""\u12""#,
            r#""\x""#,
            r#""\é""#,
            r#""\u00é""#,
            r#""\ud83d\é""#,
            r#""\u+123""#,
        ] {
            let expected: Option<String> = serde_json::from_str(raw).ok();
            assert_eq!(string_value(raw.as_bytes()), expected, "{raw}");
        }
    }

    #[test]
    fn written_strings_read_back() {
        for text in ["", "a\"\\\n\r\t\u{1}\u{7f}é😀\u{2028}"] {
            let raw = to_string(text);
            assert_eq!(string_value(raw.as_bytes()).as_deref(), Some(text));
            assert_eq!(serde_json::from_str::<String>(&raw).unwrap(), text);
        }
    }
}
