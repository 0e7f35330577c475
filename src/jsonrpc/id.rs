//! Request ids as raw JSON.
//!
//! JSON-RPC ids are strings or numbers and come back as they were sent: `1`, `1.0`, `"1"` and
//! 2^53+1 are four different spellings that a typed id would merge or round.

use bytes::Bytes;

/// A request id in the spelling of its sender. Equality is equality of the spelling.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestId(Bytes);

/// An id as a peer that parsed it would compare it; matches answers whose spelling changed on the way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum IdKey {
    /// An integer, also when spelled `1.0`.
    Integer(i64),
    /// A string, unescaped.
    Text(Box<str>),
    /// Anything else, as spelled.
    Other(Bytes),
}

impl IdKey {
    /// Returns the key as JSON: for plain ids, the id as it was sent.
    pub fn to_json(&self) -> Bytes {
        match self {
            Self::Integer(n) => Bytes::from(n.to_string()),
            Self::Text(text) => Bytes::from(super::text::to_string(text)),
            Self::Other(raw) => raw.clone(),
        }
    }
}

impl RequestId {
    /// Takes the raw JSON of an id. `None` where it is neither string nor number (MCP refuses `null`).
    pub fn parse(raw: Bytes) -> Option<Self> {
        let may_be = match raw.first()? {
            b'"' => super::text::string_value(&raw).is_some(),
            b'-' | b'0'..=b'9' => true,
            _ => false,
        };
        // Ids of refused messages are answered too, and control characters in one would make that no JSON.
        let is_json = || serde_json::from_slice::<&serde_json::value::RawValue>(&raw).is_ok();
        (may_be && is_json()).then_some(Self(raw))
    }

    /// Returns the id for a number of ours.
    pub fn from_integer(n: i64) -> Self {
        Self(Bytes::from(n.to_string()))
    }

    /// Returns the id for a text of ours.
    pub fn from_text(text: &str) -> Self {
        Self(Bytes::from(super::text::to_string(text)))
    }

    /// Returns the raw JSON.
    pub fn raw(&self) -> &Bytes {
        &self.0
    }

    /// Returns the key under which an answer is matched.
    pub fn key(&self) -> IdKey {
        if let Some(text) = super::text::string_value(&self.0) {
            return IdKey::Text(text.into());
        }
        let text = std::str::from_utf8(&self.0).unwrap_or_default();
        let integer = text
            .split_once('.')
            .filter(|(_, fraction)| fraction.bytes().all(|b| b == b'0'))
            .map_or(text, |(integer, _)| integer);
        integer
            .parse()
            .map_or_else(|_| IdKey::Other(self.0.clone()), IdKey::Integer)
    }

    /// Tells whether every peer gives this spelling back unchanged: a small non-negative integer, or a
    /// short string of plain characters. Others are replaced on the way and put back.
    pub fn is_plain(&self) -> bool {
        match self.0.first() {
            Some(b'"') => {
                self.0.len() <= 66
                    && self.0[1..self.0.len() - 1].iter().all(|b| {
                        b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':')
                    })
            }
            _ => {
                (self.0.len() == 1 || self.0[0] != b'0')
                    && self.0.len() <= 15
                    && self.0.iter().all(u8::is_ascii_digit)
            }
        }
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(raw: &'static str) -> Option<RequestId> {
        RequestId::parse(Bytes::from_static(raw.as_bytes()))
    }

    #[test]
    fn only_strings_and_numbers_are_ids() {
        for raw in [
            "null", "true", "{}", "[1]", "\"a", "1x", "--1", "", "\"a\nb\"", "\"\0\"", "\"a\"b\"",
        ] {
            assert_eq!(id(raw), None, "{raw}");
        }
        for raw in ["1", "1.0", "-0", "9007199254740993", "\"1\"", "1e3"] {
            assert_eq!(id(raw).unwrap().raw(), raw.as_bytes(), "{raw}");
        }
    }

    #[test]
    fn spellings_stay_apart_but_match_what_peers_echo() {
        assert_ne!(id("1"), id("1.0"));
        assert_eq!(id("1").unwrap().key(), id("1.0").unwrap().key());
        assert_ne!(id("1").unwrap().key(), id("\"1\"").unwrap().key());
        assert_eq!(id("\"a\"").unwrap().key(), id(r#""\u0061""#).unwrap().key());
        for plain in ["0", "1", "\"abc-1\""] {
            assert!(id(plain).unwrap().is_plain(), "{plain}");
        }
        for odd in ["1.0", "-0", "01", "9007199254740993", "\"é\"", r#""\n""#] {
            assert!(id(odd).is_none_or(|id| !id.is_plain()), "{odd}");
        }
    }
}
