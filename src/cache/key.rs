//! Names of entries and of what they depend on: keyed hashes over length-prefixed parts, so that nobody
//! who sees a tier learns what was asked, or can aim at an entry, and no two questions share a name.

use crate::jsonrpc::Limits;
use crate::jsonrpc::canonical::canonical;

/// Version of everything that enters a key; another one never meets old entries.
const VERSION: &[u8] = b"mcp-whittle cache 1";

/// The secret under which keys are made. `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct KeySecret(pub [u8; 32]);

impl std::fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeySecret(..)")
    }
}

/// Names an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub [u8; 32]);

/// Names something that entries depend on: the writes of a principal to a server, a class of lists, one
/// resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope(pub [u8; 16]);

/// A request, as far as its answer depends on it.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Who shares the answer: the principal's key, or more or less than that.
    pub audience: &'a str,
    /// Command or URL, working directory, digest of the environment.
    pub server: &'a str,
    /// Hash of the tool's definition as its server sent it; empty for what has none.
    pub definition: &'a [u8],
    /// The version that is spoken with the server: it decides what results look like.
    pub protocol: &'a str,
    /// The client's capabilities as declared, raw: servers answer by them.
    pub capabilities: &'a [u8],
    /// The method.
    pub method: &'a str,
    /// The real name, URI or cursor; none is not an empty one.
    pub name: Option<&'a str>,
    /// The raw arguments; none is not `{}` and not `null`.
    pub arguments: Option<&'a [u8]>,
    /// Further members of `_meta` that the operator listed, with their raw values.
    pub vary: &'a [(&'a str, Option<&'a [u8]>)],
}

impl Key {
    /// Names a question. None where a part is not JSON that every parser reads alike.
    ///
    /// Order of keys and escapes are those of RFC 8785, so that equal arguments share a name; numbers
    /// keep their literal text and strings are not normalised, so that 2^53 and 2^53+1 never do.
    pub fn of(secret: &KeySecret, question: &Question<'_>, limits: &Limits) -> Option<Self> {
        let mut hash = Parts::new(secret, b"entry");
        hash.add(question.audience.as_bytes());
        hash.add(question.server.as_bytes());
        hash.add(question.definition);
        hash.add(question.protocol.as_bytes());
        hash.add(&canonical(question.capabilities, limits)?);
        hash.add(question.method.as_bytes());
        hash.add_option(question.name.map(str::as_bytes));
        let arguments = match question.arguments {
            Some(raw) => Some(canonical(raw, limits)?),
            None => None,
        };
        hash.add_option(arguments.as_deref());
        for (name, value) in question.vary {
            hash.add(name.as_bytes());
            let value = match value {
                Some(raw) => Some(canonical(raw, limits)?),
                None => None,
            };
            hash.add_option(value.as_deref());
        }
        Some(Self(*hash.0.finalize().as_bytes()))
    }

    /// Returns the name in a tier.
    pub fn to_hex(self) -> String {
        hex(&self.0)
    }
}

impl Scope {
    /// Names what `parts` say.
    pub fn of(secret: &KeySecret, parts: &[&[u8]]) -> Self {
        let mut hash = Parts::new(secret, b"scope");
        for part in parts {
            hash.add(part);
        }
        let mut short = [0; 16];
        short.copy_from_slice(&hash.0.finalize().as_bytes()[..16]);
        Self(short)
    }

    /// Returns the name in a tier.
    pub fn to_hex(self) -> String {
        hex(&self.0)
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// A keyed hash over parts of any length.
struct Parts(blake3::Hasher);

impl Parts {
    fn new(secret: &KeySecret, what: &[u8]) -> Self {
        let mut parts = Self(blake3::Hasher::new_keyed(&secret.0));
        parts.add(VERSION);
        parts.add(what);
        parts
    }

    fn add(&mut self, part: &[u8]) {
        self.0.update(&(part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    fn add_option(&mut self, part: Option<&[u8]>) {
        self.add(if part.is_some() { b"some" } else { b"none" });
        self.add(part.unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECRET: KeySecret = KeySecret([7; 32]);

    fn question<'a>(arguments: Option<&'a [u8]>) -> Question<'a> {
        Question {
            audience: "user",
            server: "s",
            definition: b"d",
            protocol: "2025-11-25",
            capabilities: b"{}",
            method: "tools/call",
            name: Some("t"),
            arguments,
            vary: &[],
        }
    }

    fn key(question: &Question<'_>) -> Option<Key> {
        Key::of(&SECRET, question, &Limits::default())
    }

    fn of(arguments: &str) -> Option<Key> {
        key(&question(Some(arguments.as_bytes())))
    }

    #[test]
    fn equal_arguments_share_a_key_and_different_ones_do_not() {
        assert_eq!(
            of(r#"{"b":1,"a":"\u00e9"}"#),
            of(" { \"a\" : \"é\" , \"b\" : 1 } ")
        );
        let different = [
            r#"{"a":1}"#,
            r#"{"a":1.0}"#,
            r#"{"a":1e0}"#,
            r#"{"a":"1"}"#,
            r#"{"a":9007199254740992}"#,
            r#"{"a":9007199254740993}"#,
            r#"{"a":"\u00e9"}"#,
            // The same letter, decomposed: no normalisation.
            r#"{"a":"e\u0301"}"#,
            r#"{"a":null}"#,
            "{}",
            "null",
        ];
        for (at, one) in different.iter().enumerate() {
            for other in &different[at + 1..] {
                assert_ne!(of(one), of(other), "{one} {other}");
            }
        }
        assert_ne!(key(&question(None)), of("null"));
        assert_ne!(key(&question(None)), of("{}"));
        assert_eq!(of(r#"{"a":1,"a":2}"#), None, "parsers differ on it");
        assert_eq!(of("{"), None);
    }

    #[test]
    fn every_part_counts_and_parts_do_not_run_together() {
        let base = question(Some(b"{}"));
        let vary: [(&str, Option<&[u8]>); 1] = [("x", Some(b"1"))];
        let others = [
            Question {
                audience: "user2",
                ..base
            },
            Question {
                server: "s2",
                ..base
            },
            Question {
                definition: b"d2",
                ..base
            },
            Question {
                protocol: "2026-07-28",
                ..base
            },
            Question {
                capabilities: br#"{"a":{}}"#,
                ..base
            },
            Question {
                method: "resources/read",
                ..base
            },
            Question { name: None, ..base },
            Question {
                name: Some("t2"),
                ..base
            },
            Question {
                audience: "use",
                server: "rs",
                ..base
            },
            Question {
                vary: &vary,
                ..base
            },
        ];
        for other in &others {
            assert_ne!(key(&base), key(other), "{other:?}");
        }
        let limits = Limits::default();
        assert_ne!(
            Key::of(&KeySecret([8; 32]), &base, &limits),
            key(&base),
            "another store has other names"
        );
    }

    #[test]
    fn nothing_is_shown_of_the_secret() {
        assert_eq!(format!("{SECRET:?}"), "KeySecret(..)");
    }

    proptest! {
        /// Caught by a key that forgets the lengths of its parts.
        #[test]
        fn audiences_and_servers_never_meet(a in "[a-c]{0,3}", b in "[a-c]{0,3}", c in "[a-c]{0,3}", d in "[a-c]{0,3}") {
            let one = Question { audience: &a, server: &b, ..question(None) };
            let two = Question { audience: &c, server: &d, ..question(None) };
            prop_assert_eq!(key(&one) == key(&two), a == c && b == d);
        }

        /// Numbers share a key only where their texts are equal.
        #[test]
        fn numbers_keep_their_text(a in "-?[1-9][0-9]{0,20}(\\.[0-9]{1,5})?", b in "-?[1-9][0-9]{0,20}(\\.[0-9]{1,5})?") {
            let one = of(&format!("{{\"n\":{a}}}"));
            let two = of(&format!("{{\"n\":{b}}}"));
            prop_assert!(one.is_some());
            prop_assert_eq!(one == two, a == b);
        }
    }
}
