//! The strict reading of requests.
//!
//! What a proxy routes and decides on must read the same for every parser behind it, so a request
//! with duplicate keys (at any depth, after unescaping), lone surrogates, control characters, bad
//! numbers or too many members is refused before anything looks at it. Results are not held to
//! this: their bodies pass as they came.

use std::collections::HashSet;

use super::Limits;
use super::text::unescape;

/// Bytes of one number, at most; longer ones make parsers slow and mean nothing.
const NUMBER_BYTES: usize = 4096;
/// Objects up to this many members compare keys one by one.
const FEW: usize = 12;

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StrictError {
    /// Not the JSON that RFC 8259 describes.
    #[error("not valid JSON at byte {offset}: {what}")]
    Syntax {
        /// Bytes before the fault.
        offset: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// A key stands twice in one object.
    #[error("the member `{0}` stands twice in one object")]
    Duplicate(String),
    /// Too many open containers.
    #[error("nested deeper than {limit} levels")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// A number with more digits than anything means.
    #[error("a number of more than {limit} characters at byte {offset}")]
    LongNumber {
        /// Bytes before it.
        offset: usize,
        /// The limit.
        limit: usize,
    },
    /// Too many members in all.
    #[error("more than {limit} object members")]
    TooManyMembers {
        /// The limit.
        limit: usize,
    },
}

impl StrictError {
    /// Tells whether the text is not JSON at all (JSON-RPC -32700) rather than JSON that is refused.
    pub fn is_syntax(&self) -> bool {
        matches!(self, Self::Syntax { .. })
    }
}

enum Open<'a> {
    Object(Keys<'a>),
    Array,
}

enum Keys<'a> {
    Few(Vec<std::borrow::Cow<'a, str>>),
    Many(HashSet<std::borrow::Cow<'a, str>>),
}

impl<'a> Keys<'a> {
    fn insert(&mut self, key: std::borrow::Cow<'a, str>) -> Result<(), StrictError> {
        match self {
            Keys::Few(keys) if keys.contains(&key) => {
                return Err(StrictError::Duplicate(key.into_owned()));
            }
            Keys::Few(keys) if keys.len() < FEW => keys.push(key),
            Keys::Few(keys) => {
                let mut many: HashSet<_> = keys.drain(..).collect();
                many.insert(key);
                *self = Keys::Many(many);
            }
            Keys::Many(keys) => {
                if let Some(twin) = keys.replace(key) {
                    return Err(StrictError::Duplicate(twin.into_owned()));
                }
            }
        }
        Ok(())
    }
}

/// Checks one whole JSON text.
pub fn check(text: &str, limits: &Limits) -> Result<(), StrictError> {
    let mut reader = Reader {
        text,
        bytes: text.as_bytes(),
        at: 0,
    };
    let mut stack: Vec<Open<'_>> = Vec::new();
    let mut members = 0usize;
    loop {
        // One value, or the start of a container.
        reader.space();
        match reader.peek() {
            Some(b'{') => {
                reader.at += 1;
                stack.push(Open::Object(Keys::Few(Vec::new())));
            }
            Some(b'[') => {
                reader.at += 1;
                stack.push(Open::Array);
            }
            _ => {
                reader.scalar()?;
                if !reader.after_value(&mut stack)? {
                    break;
                }
                if let Some(Open::Object(keys)) = stack.last_mut() {
                    members += 1;
                    reader.member(keys)?;
                }
                if members > limits.request_members {
                    return Err(StrictError::TooManyMembers {
                        limit: limits.request_members,
                    });
                }
                continue;
            }
        }
        if stack.len() > limits.depth {
            return Err(StrictError::TooDeep {
                limit: limits.depth,
            });
        }
        // The inside of a container that was just opened: empty, or its first member or element.
        reader.space();
        let empty = match stack.last_mut() {
            Some(Open::Object(_)) if reader.peek() == Some(b'}') => true,
            Some(Open::Array) if reader.peek() == Some(b']') => true,
            Some(Open::Object(keys)) => {
                members += 1;
                reader.member(keys)?;
                false
            }
            _ => false,
        };
        if empty {
            reader.at += 1;
            stack.pop();
            if !reader.after_value(&mut stack)? {
                break;
            }
            if let Some(Open::Object(keys)) = stack.last_mut() {
                members += 1;
                reader.member(keys)?;
            }
        }
        if members > limits.request_members {
            return Err(StrictError::TooManyMembers {
                limit: limits.request_members,
            });
        }
    }
    reader.space();
    if reader.at < reader.bytes.len() {
        return Err(reader.fault("text after the end"));
    }
    Ok(())
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn fault(&self, what: &'static str) -> StrictError {
        StrictError::Syntax {
            offset: self.at,
            what,
        }
    }

    /// Reads a key and its colon.
    fn member(&mut self, keys: &mut Keys<'a>) -> Result<(), StrictError> {
        self.space();
        if self.peek() != Some(b'"') {
            return Err(self.fault("a member name was expected"));
        }
        let inside = self.string()?;
        let key = if inside.contains('\\') {
            unescape(inside.as_bytes())
                .ok_or_else(|| self.fault("a lone surrogate"))?
                .into()
        } else {
            std::borrow::Cow::Borrowed(inside)
        };
        keys.insert(key)?;
        self.space();
        if self.peek() != Some(b':') {
            return Err(self.fault("a colon was expected"));
        }
        self.at += 1;
        Ok(())
    }

    /// Closes containers after a value; `false` at the end of the text. On a comma in an object the
    /// caller reads the next key.
    fn after_value(&mut self, stack: &mut Vec<Open<'a>>) -> Result<bool, StrictError> {
        loop {
            self.space();
            let Some(open) = stack.last() else {
                return Ok(false);
            };
            let end = match open {
                Open::Object(_) => b'}',
                Open::Array => b']',
            };
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    return Ok(true);
                }
                Some(b) if b == end => {
                    self.at += 1;
                    stack.pop();
                }
                _ => return Err(self.fault("a comma or the end of the container was expected")),
            }
        }
    }

    fn scalar(&mut self) -> Result<(), StrictError> {
        match self.peek() {
            Some(b'"') => {
                let inside = self.string()?;
                if inside.contains('\\') && unescape(inside.as_bytes()).is_none() {
                    return Err(self.fault("a bad escape or a lone surrogate"));
                }
                Ok(())
            }
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            _ => Err(self.fault("a value was expected")),
        }
    }

    fn literal(&mut self, word: &'static str) -> Result<(), StrictError> {
        if self.bytes[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(());
        }
        Err(self.fault("true, false or null was expected"))
    }

    fn digits(&mut self) -> Result<(), StrictError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start {
            return Err(self.fault("a digit was expected"));
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), StrictError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        if self.at - start > NUMBER_BYTES {
            return Err(StrictError::LongNumber {
                offset: start,
                limit: NUMBER_BYTES,
            });
        }
        Ok(())
    }

    /// Skips blocks of a string in which nothing ends, escapes or is forbidden. The test has no branches,
    /// so that the compiler makes it for 16 bytes at once.
    fn plain_text(&self, mut from: usize) -> usize {
        while let Some(block) = self.bytes[from..].first_chunk::<32>() {
            let is_special = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
            if block
                .iter()
                .fold(false, |any, byte| any | is_special(*byte))
            {
                break;
            }
            from += block.len();
        }
        from
    }

    /// Reads a string and returns its inside.
    fn string(&mut self) -> Result<&'a str, StrictError> {
        let start = self.at + 1;
        let mut i = start;
        loop {
            match self.bytes.get(i) {
                None => {
                    return Err(self.fault("a string without an end"));
                }
                Some(b'"') => break,
                Some(b'\\') => i += 2,
                Some(0..=0x1f) => {
                    self.at = i;
                    return Err(self.fault("a control character in a string"));
                }
                Some(_) => i = self.plain_text(i + 1),
            }
        }
        self.at = i + 1;
        Ok(&self.text[start..i])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(text: &str) -> Result<(), StrictError> {
        check(
            text,
            &Limits {
                depth: 4,
                request_members: 40,
                ..Limits::default()
            },
        )
    }

    #[test]
    fn agrees_with_serde_json_on_what_is_json() {
        for text in [
            "{}",
            "[]",
            "[[],{}]",
            r#"{"a":[1,-0,0.5,1e9,1E-2,true,false,null,"x\u0041"],"b":{}}"#,
            " [ 1 , 2 ] ",
            "[1,]",
            "[,1]",
            "{,}",
            r#"{"a":1,}"#,
            r#"{"a" 1}"#,
            r#"{"a":}"#,
            "[01]",
            "[1.]",
            "[.5]",
            "[+1]",
            "[1e]",
            "[NaN]",
            "[nul]",
            "[tru e]",
            "[1] x",
            "[1]]",
            "[\"\u{1}\"]",
            r#"["\ud800"]"#,
            r#"["\x"]"#,
            "[\"a]",
            "[",
            "",
            r#"{"\ud800":1}"#,
        ] {
            let ours = check_text(text);
            let theirs = serde_json::from_str::<serde_json::Value>(text);
            assert_eq!(ours.is_ok(), theirs.is_ok(), "{text}: {ours:?} {theirs:?}");
        }
    }

    #[test]
    fn what_parsers_read_differently_is_refused() {
        let duplicate = |key: &str| Err(StrictError::Duplicate(key.into()));
        assert_eq!(check_text(r#"{"a":1,"a":2}"#), duplicate("a"));
        assert_eq!(
            check_text(r#"{"x":{"name":1,"n\u0061me":2}}"#),
            duplicate("name")
        );
        assert_eq!(check_text(r#"{"a":{"a":{"a":1}}}"#), Ok(()));
        let many: Vec<String> = (0..30).map(|n| format!("\"k{n}\":{n}")).collect();
        assert_eq!(check_text(&format!("{{{}}}", many.join(","))), Ok(()));
        assert_eq!(
            check_text(&format!("{{{},\"k3\":0}}", many.join(","))),
            duplicate("k3")
        );
        assert_eq!(
            check_text(&format!("[{{{0}}},{{{0}}}]", many.join(","))),
            Err(StrictError::TooManyMembers { limit: 40 })
        );
        assert_eq!(check_text("[[[[1]]]]"), Ok(()));
        assert_eq!(
            check_text("[[[[[1]]]]]"),
            Err(StrictError::TooDeep { limit: 4 })
        );
        assert!(check_text(&"9".repeat(5000)).is_err());
    }
}
