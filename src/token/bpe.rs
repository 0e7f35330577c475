//! Byte pair encoding, counting only: how many tokens a piece of text has.
//!
//! Most pieces are tokens and cost one look-up. The others are cut where no token can reach across; of what
//! is left short ones are merged as the definition says, and long ones go the linear way. Pure, never fails, and needs a few dozen kilobytes however
//! long the text is.

pub(crate) mod hash;
pub(crate) mod long;
pub(crate) mod merge;
pub(crate) mod vocabulary;
mod wide;

use vocabulary::{Rank, Vocabulary, Words};

macro_rules! vocabulary {
    ($name:literal) => {
        Vocabulary {
            tokens: include_bytes!(concat!("data/", $name, ".tokens")),
            displacements: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".displacements")),
            slots: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".slots")),
            pairs: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".pairs")),
            reach: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".reach")),
            borders: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".borders")),
            contexts: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".contexts")),
        }
    };
}

/// OpenAI's `o200k_base`.
pub(crate) static O200K_BASE: Vocabulary = vocabulary!("o200k_base");
/// OpenAI's `cl100k_base`.
pub(crate) static CL100K_BASE: Vocabulary = vocabulary!("cl100k_base");

/// From this many bytes of text on it pays to remember the counts of its pieces.
const WORTH_REMEMBERING: usize = 2 * 1024;
/// From this many on, more of them.
const WORTH_REMEMBERING_MORE: usize = 32 * 1024;
/// Pieces that are remembered of a short text: 24 KiB, which stay in the processor's first cache.
const N_REMEMBERED: usize = 1 << 10;
/// Pieces that are remembered of a long one, or of several: 96 KiB, which stay in its second cache.
const N_REMEMBERED_LONG: usize = 1 << 12;

/// The counts of the pieces of a text that were seen last. Texts repeat themselves, and a look-up in the
/// vocabulary goes far in memory.
#[derive(Debug)]
pub(crate) struct Remembered(Vec<Piece>);

/// A piece of up to 16 bytes and its count; with no bytes it is none.
#[derive(Clone, Copy, Debug, Default)]
struct Piece {
    first: u64,
    second: u64,
    n_bytes: u16,
    count: u16,
}

impl Remembered {
    /// Remembers nothing yet, and never anything of a short text.
    pub(crate) fn of_text(text: &[u8]) -> Self {
        let n_pieces = if text.len() < WORTH_REMEMBERING {
            0
        } else if text.len() < WORTH_REMEMBERING_MORE {
            N_REMEMBERED
        } else {
            N_REMEMBERED_LONG
        };
        Self(vec![Piece::default(); n_pieces])
    }

    /// Remembers nothing yet, and then what comes in any of several texts.
    pub(crate) fn of_texts() -> Self {
        Self(vec![Piece::default(); N_REMEMBERED_LONG])
    }
}

impl Vocabulary {
    /// Counts the tokens of the piece `text[start..end]`, which is not empty. The same `remembered` may
    /// only be used with one vocabulary.
    #[inline]
    pub(crate) fn count_piece(
        &self,
        text: &[u8],
        start: usize,
        end: usize,
        remembered: &mut Remembered,
    ) -> usize {
        let n_bytes = end - start;
        // Each single byte is a token.
        if n_bytes == 1 {
            return 1;
        }
        if n_bytes > Words::MAX_BYTES {
            return match self.rank_of_long(text, start, end) {
                Rank::NONE => self.count_parts(text, start, end, remembered),
                _ => 1,
            };
        }
        let words = Words::of(text, start, end);
        // The lengths are powers of two; there is no place where there are no pieces.
        let place = words.hash as usize & remembered.0.len().wrapping_sub(1);
        if let Some(piece) = remembered.0.get(place)
            && (piece.first, piece.second) == (words.first, words.second)
            && usize::from(piece.n_bytes) == n_bytes
        {
            return usize::from(piece.count);
        }
        let count = match self.rank_of_words(&words) {
            Rank::NONE => self.count_parts(text, start, end, remembered),
            _ => 1,
        };
        if let Some(piece) = remembered.0.get_mut(place) {
            *piece = Piece {
                first: words.first,
                second: words.second,
                n_bytes: n_bytes as u16,
                count: count as u16,
            };
        }
        count
    }

    /// Counts a piece that is no token: part by part where no token reaches from one into the other, as
    /// between most characters of scripts that are written without spaces.
    fn count_parts(
        &self,
        text: &[u8],
        start: usize,
        end: usize,
        remembered: &mut Remembered,
    ) -> usize {
        let (mut from, mut total) = (start, 0);
        if !text[start..end].is_ascii() {
            for at in start + 1..end {
                if self.is_apart(text, from, at, end) {
                    total += self.count_piece(text, from, at, remembered);
                    from = at;
                }
            }
        }
        total
            + match end - from {
                _ if from > start => self.count_piece(text, from, end, remembered),
                ..=merge::LONGEST => merge::count(self, text, from, end),
                _ => long::count(self, text, from, end),
            }
    }
}
