//! The exact counters: OpenAI's byte pair encodings. Text is cut into pieces by [`split`](crate::token::split),
//! and each piece is counted by itself, so a count can stop early, and a text of many megabytes needs no
//! memory of its size.

use std::fmt;
use std::ops::DerefMut;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use serde::Serialize;

use crate::token::TokenCounter;
use crate::token::Tokens;
use crate::token::bpe::vocabulary::{LONGEST_TOKEN, Vocabulary};
use crate::token::bpe::{CL100K_BASE, O200K_BASE, Remembered};
use crate::token::split::{cl100k_end, o200k_end};

/// A vocabulary that can be counted exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// `o200k_base`: GPT-4o, GPT-4.1, GPT-5, the o-series and (its ordinary text) gpt-oss.
    #[default]
    #[serde(rename = "o200k_base")]
    O200kBase,
    /// `cl100k_base`: GPT-4, GPT-4 Turbo, GPT-3.5.
    #[serde(rename = "cl100k_base")]
    Cl100kBase,
}

impl Encoding {
    /// Every encoding, the default first.
    pub const ALL: [Self; 2] = [Self::O200kBase, Self::Cl100kBase];

    /// Returns OpenAI's name of the encoding.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::O200kBase => "o200k_base",
            Self::Cl100kBase => "cl100k_base",
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name is no encoding we can count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown tokenizer: `{name}` (known: o200k_base, cl100k_base)")]
pub struct UnknownEncoding {
    /// The name as given.
    pub name: String,
}

impl FromStr for Encoding {
    type Err = UnknownEncoding;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|encoding| encoding.as_str() == name)
            .ok_or_else(|| UnknownEncoding {
                name: name.to_owned(),
            })
    }
}

/// Counts exactly with one of OpenAI's encodings, as tiktoken does. Costs nothing to make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TiktokenCounter {
    encoding: Encoding,
}

impl TiktokenCounter {
    /// Makes a counter.
    pub const fn new(encoding: Encoding) -> Self {
        Self { encoding }
    }

    /// Returns the encoding it counts with.
    pub const fn encoding(self) -> Encoding {
        self.encoding
    }
}

impl TokenCounter for TiktokenCounter {
    fn name(&self) -> &str {
        self.encoding.as_str()
    }

    fn count(&self, text: &str) -> Tokens {
        let mut remembered = Remembered::of_text(text.as_bytes());
        self.count_to(text, u64::MAX, &mut remembered).0
    }

    fn count_up_to(&self, text: &str, limit: Tokens) -> Option<Tokens> {
        self.count_up_to_with(text, limit, || {
            Box::new(Remembered::of_text(text.as_bytes()))
        })
    }

    fn remembering(&self) -> Option<Box<dyn TokenCounter>> {
        Some(Box::new(Remembering {
            counter: *self,
            remembered: Mutex::new(Remembered::of_texts()),
        }))
    }
}

impl TiktokenCounter {
    fn count_up_to_with<R: DerefMut<Target = Remembered>>(
        self,
        text: &str,
        limit: Tokens,
        remembered: impl FnOnce() -> R,
    ) -> Option<Tokens> {
        // A text this long is over the limit whatever it says.
        if text.len() as u64 > limit.get().saturating_mul(LONGEST_TOKEN as u64) {
            return None;
        }
        let (total, is_all) = self.count_to(text, limit.get(), &mut remembered());
        (is_all && total <= limit).then_some(total)
    }

    /// Counts until the total is above `limit`, and says whether that was all of the text.
    fn count_to(self, text: &str, limit: u64, remembered: &mut Remembered) -> (Tokens, bool) {
        match self.encoding {
            Encoding::O200kBase => count_to(&O200K_BASE, o200k_end, text, limit, remembered),
            Encoding::Cl100kBase => count_to(&CL100K_BASE, cl100k_end, text, limit, remembered),
        }
    }
}

/// The same counter with one memory for all texts: they repeat each other's pieces.
#[derive(Debug)]
struct Remembering {
    counter: TiktokenCounter,
    remembered: Mutex<Remembered>,
}

impl Remembering {
    /// What is remembered is never wrong, so a panic elsewhere does not make it so.
    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl TokenCounter for Remembering {
    fn name(&self) -> &str {
        self.counter.name()
    }

    fn count(&self, text: &str) -> Tokens {
        let mut remembered = self.remembered();
        self.counter.count_to(text, u64::MAX, &mut remembered).0
    }

    fn count_up_to(&self, text: &str, limit: Tokens) -> Option<Tokens> {
        let counter = self.counter;
        counter.count_up_to_with(text, limit, || self.remembered())
    }
}

#[inline]
fn count_to(
    vocabulary: &Vocabulary,
    piece_end: impl Fn(&[u8], usize) -> usize,
    text: &str,
    limit: u64,
    remembered: &mut Remembered,
) -> (Tokens, bool) {
    let text = text.as_bytes();
    let (mut at, mut total) = (0, 0);
    while at < text.len() && total <= limit {
        let end = piece_end(text, at);
        total += vocabulary.count_piece(text, at, end, remembered) as u64;
        at = end;
    }
    (Tokens::new(total), at == text.len())
}
