//! The name under which an original result is kept. Pure.
//!
//! A handle is a keyed hash of whose result it is, of its bytes and of which part of it is read, so the same
//! answer gives the same text, what one client was told to read is not what another one's view made of it, and nobody without the store's secret can make one. It is not the only guard: whoever reads has
//! to be the same principal as well.

use std::fmt;
use std::str::FromStr;

use super::options::View;

/// Bytes of a handle: 128 bits.
const BYTES: usize = 16;
/// Characters after the prefix: 128 bits in base32, five bits each.
const CHARACTERS: usize = 26;
/// What handles begin with.
const PREFIX: &str = "r_";
/// The base32 alphabet of RFC 4648, in lower case.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Sets these hashes apart from others that are keyed by the same secret.
const PURPOSE: &[u8] = b"mcp-whittle result handle 1";

/// Names a stored result.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle([u8; BYTES]);

/// A text that is no handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a handle is `r_` and 26 characters of a-z and 2-7, as it stands in the text of the result"
)]
pub struct NoHandle;

impl Handle {
    /// Makes the handle of a result whose texts are read. `secret` is the store's, `principal` says whose it
    /// is, `content` is the original result.
    pub fn of(secret: &[u8; 32], principal: &str, content: &[u8]) -> Self {
        Self::of_view(secret, principal, content, View::Text)
    }

    /// Makes the handle of a result that is read in a view.
    pub fn of_view(secret: &[u8; 32], principal: &str, content: &[u8], view: View) -> Self {
        let purpose = match view {
            View::Text => PURPOSE,
            View::Structured => b"mcp-whittle result handle 1, structured".as_slice(),
            View::Both => b"mcp-whittle result handle 1, both".as_slice(),
        };
        let mut hasher = blake3::Hasher::new_keyed(secret);
        for part in [purpose, principal.as_bytes()] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hasher.update(content);
        let mut bytes = [0; BYTES];
        bytes.copy_from_slice(&hasher.finalize().as_bytes()[..BYTES]);
        Self(bytes)
    }

    /// Returns the 128 bits.
    pub fn as_bytes(&self) -> &[u8; BYTES] {
        &self.0
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(PREFIX.len() + CHARACTERS);
        text.push_str(PREFIX);
        let mut number = u128::from_be_bytes(self.0);
        // 26 characters hold 130 bits; the last one ends in two that are always 0.
        let mut digits = [0u8; CHARACTERS];
        for (at, digit) in digits.iter_mut().enumerate().rev() {
            if at == CHARACTERS - 1 {
                *digit = (number & 0b111) as u8 * 4;
                number >>= 3;
            } else {
                *digit = (number & 0b11111) as u8;
                number >>= 5;
            }
        }
        for digit in digits {
            text.push(char::from(ALPHABET[usize::from(digit)]));
        }
        f.write_str(&text)
    }
}

/// Handles do not belong into logs: whoever has one and the same token can read the result.
impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle(..)")
    }
}

impl FromStr for Handle {
    type Err = NoHandle;

    /// Reads only what [`fmt::Display`] writes.
    fn from_str(text: &str) -> Result<Self, NoHandle> {
        let digits = text.strip_prefix(PREFIX).ok_or(NoHandle)?.as_bytes();
        if digits.len() != CHARACTERS {
            return Err(NoHandle);
        }
        let mut number: u128 = 0;
        for (at, digit) in digits.iter().enumerate() {
            let value = match digit {
                b'a'..=b'z' => digit - b'a',
                b'2'..=b'7' => digit - b'2' + 26,
                _ => return Err(NoHandle),
            };
            number = if at == CHARACTERS - 1 {
                if value % 4 != 0 {
                    return Err(NoHandle);
                }
                (number << 3) | u128::from(value / 4)
            } else {
                (number << 5) | u128::from(value)
            };
        }
        Ok(Self(number.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_handle_depends_on_secret_principal_content_and_view_only() {
        let base = Handle::of(&[1; 32], "user", b"{}");
        assert_eq!(base, Handle::of(&[1; 32], "user", b"{}"));
        for other in [
            Handle::of(&[2; 32], "user", b"{}"),
            Handle::of(&[1; 32], "loopback", b"{}"),
            Handle::of(&[1; 32], "user", b"{ }"),
            Handle::of(&[1; 32], "user{", b"}"),
            Handle::of_view(&[1; 32], "user", b"{}", View::Structured),
            Handle::of_view(&[1; 32], "user", b"{}", View::Both),
        ] {
            assert_ne!(base, other);
        }
        let both = [View::Structured, View::Both]
            .map(|view| Handle::of_view(&[1; 32], "user", b"{}", view));
        assert_ne!(both[0], both[1]);
        assert_eq!(format!("{base:?}"), "Handle(..)");
    }

    #[test]
    fn only_our_form_is_read() {
        let text = Handle::of(&[1; 32], "user", b"{}").to_string();
        assert_eq!(text.len(), 28);
        let last = text.chars().last().unwrap();
        let neighbour = char::from(last as u8 + 1);
        for wrong in [
            String::new(),
            "r_".to_owned(),
            text[2..].to_owned(),
            text.to_uppercase(),
            format!("{text}a"),
            format!(" {text}"),
            text[..27].to_owned(),
            format!("{}{neighbour}", &text[..27]),
            format!("{}é", &text[..26]),
            format!("{}1", &text[..27]),
            format!("r_{}", "/".repeat(26)),
        ] {
            assert_eq!(wrong.parse::<Handle>(), Err(NoHandle), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn every_handle_comes_back(bytes: [u8; 16]) {
            let text = Handle(bytes).to_string();
            prop_assert_eq!(text.parse::<Handle>(), Ok(Handle(bytes)));
        }

        #[test]
        fn what_is_read_is_written_the_same(text in "r_[a-z2-7]{26}") {
            if let Ok(handle) = text.parse::<Handle>() {
                prop_assert_eq!(handle.to_string(), text);
            }
        }
    }
}
