//! Counting tokens: the `TokenCounter` trait, exact counters, honest labels. Pure.
//!
//! The vocabularies are constant tables in the program, so nothing is loaded: the system brings in the
//! pages that a count touches, up to 4 MB for one encoding, and a relay that never counts has none of
//! them. Nobody may count on the path of an untouched message.
//!
//! Start at [`TokenCounter`]; [`report`] turns counts into the table of `count`, [`ledger`] keeps account
//! of what was saved. `split` cuts a text into pieces, `bpe` counts one piece; the build script lays out
//! their tables from `data`.

mod bpe;
mod encoding;
mod family;
mod layout;
pub mod ledger;
pub mod report;
mod split;

use std::fmt;
use std::iter::Sum;
use std::ops::Add;
use std::ops::AddAssign;
use std::str::FromStr;

use serde::Deserialize;
use serde::Serialize;

pub use encoding::Encoding;
pub use encoding::TiktokenCounter;
pub use family::ModelFit;

/// A number of tokens. Arithmetic saturates: a count is never worth a panic.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Tokens(u64);

impl Tokens {
    /// No tokens.
    pub const ZERO: Self = Self(0);
    /// More tokens than any text has; as a limit: no limit.
    pub const MAX: Self = Self(u64::MAX);

    /// Wraps a plain number of tokens.
    pub const fn new(n_tokens: u64) -> Self {
        Self(n_tokens)
    }

    /// Returns the plain number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Subtracts, stopping at zero.
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Add for Tokens {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Tokens {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Tokens {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, Add::add)
    }
}

impl From<usize> for Tokens {
    fn from(n_tokens: usize) -> Self {
        Self(u64::try_from(n_tokens).unwrap_or(u64::MAX))
    }
}

/// A text that is no number of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a number of tokens such as 4000 or 4k")]
pub struct NoTokens;

impl FromStr for Tokens {
    type Err = NoTokens;

    /// Reads digits, or digits and `k` for thousands.
    fn from_str(text: &str) -> Result<Self, NoTokens> {
        let (digits, factor) = match text.strip_suffix(['k', 'K']) {
            Some(digits) => (digits, 1000),
            None => (text, 1),
        };
        digits
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(factor))
            .map(Self)
            .ok_or(NoTokens)
    }
}

impl fmt::Display for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether a number is the model's own count or only close to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provenance {
    /// Counted with the tokenizer that the model itself uses.
    Measured,
    /// Counted with another family's tokenizer; right in proportion, not in the last digits.
    Estimated,
}

impl Provenance {
    /// Returns the word used in tables and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Estimated => "estimated",
        }
    }
}

/// Counts the tokens of a text.
///
/// Implementations are pure: the same text always has the same count. They
/// never fail and never panic, whatever the text, and their work is linear in its length (up to a
/// logarithm).
pub trait TokenCounter: Send + Sync {
    /// Returns the tokenizer's own name, for example `o200k_base`.
    fn name(&self) -> &str;

    /// Counts the tokens of `text` as ordinary text: what looks like a special token
    /// (`<|endoftext|>`) counts as the characters it is made of.
    fn count(&self, text: &str) -> Tokens;

    /// Counts up to `limit` and stops early: `Some` is the exact count, which is at most `limit`;
    /// `None` says that `text` has more.
    fn count_up_to(&self, text: &str, limit: Tokens) -> Option<Tokens>;

    /// Returns a counter with the same counts that is faster on many texts which are much alike; none where there
    /// is no such thing. It takes 100 KB as long as it lives.
    fn remembering(&self) -> Option<Box<dyn TokenCounter>> {
        None
    }
}

#[cfg(test)]
mod tests;
