//! What a model reads of a result that goes on as it came, so that it can be counted after it was sent. Pure.

use crate::token::{TokenCounter, Tokens};

use super::channels::Parts;

/// The part of a raw result that a model reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// All of it: an error, or what is no result of the protocol.
    Whole,
    /// `structuredContent`.
    Structured,
    /// The texts of `content`.
    Texts {
        /// Whether `structuredContent` says the same to it once more.
        reads_twice: bool,
    },
}

impl Seen {
    /// Counts that part. What cannot be taken apart is counted whole, as shaping does.
    pub fn count(self, result: &str, counter: &dyn TokenCounter) -> Tokens {
        match Parts::of(result) {
            Some(parts) => self.count_of(result, &parts, counter),
            None => counter.count(result),
        }
    }

    /// The same of a result that was taken apart; texts that are not in `parts` are not counted.
    pub(super) fn count_of(
        self,
        result: &str,
        parts: &Parts,
        counter: &dyn TokenCounter,
    ) -> Tokens {
        match self {
            Self::Whole => counter.count(result),
            Self::Structured => {
                let structured = parts.structured.clone().unwrap_or_default();
                counter.count(&result[structured])
            }
            Self::Texts { reads_twice } => {
                let texts = parts.texts.iter().map(|block| counter.count(&block.text));
                let once: Tokens = texts.sum();
                if reads_twice { once + once } else { once }
            }
        }
    }
}
