//! A vocabulary as it lies in the program: the tokens by rank, and an index that the build script laid
//! over them. Nothing is loaded and nothing allocated; the system maps the pages that are touched.
//!
//! Tokens are named by [`Rank`]s, which are places in the list: they are ordered as tiktoken's ranks
//! are, and only order and identity ever matter.

use crate::token::bpe::hash::{self, first_bytes, group, hash_words, slot, tag, word};

/// No token of either vocabulary is longer (a run of 128 spaces); a test holds this.
pub(crate) const LONGEST_TOKEN: usize = 128;
/// From this length on the index knows how far tokens with a beginning reach.
const FIRST_REACH: usize = 8;

/// The tokens and their index.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    /// Of each token by rank: its length, the length of its left part, its bytes. Zeros follow.
    pub(crate) tokens: &'static [u8],
    /// What puts the tokens of each group into slots of their own.
    pub(crate) displacements: &'static [u8],
    /// A tag of the hash, and the token's place plus one.
    pub(crate) slots: &'static [u8],
    /// By two bytes, the first one higher: the token's place plus one, or [`Rank::NONE`].
    pub(crate) pairs: &'static [u8],
    /// How long tokens get that begin with these 8, 16, 32 or 64 bytes, by hash.
    pub(crate) reach: &'static [u8],
    /// By the two bytes at a border of characters, as in `pairs`: how many bytes tokens have on its sides, up to three
    /// on each, as bits; the lowest is for one and one, the next for one before and two after.
    pub(crate) borders: &'static [u8],
    /// What those bytes are: a set of bits by hash.
    pub(crate) contexts: &'static [u8],
}

/// A token: its place in the list plus one, so that zero is none. Lower ranks merge first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank(u32);

impl Rank {
    /// Behind every token.
    pub(crate) const NONE: Self = Self(u32::MAX);

    /// A number of 21 bits that is lower for lower ranks.
    pub(crate) const fn get(self) -> u32 {
        self.0
    }

    /// The least rank that is higher than this one.
    pub(crate) const fn above(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Up to 16 bytes of a text as two numbers, and their hash.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words {
    pub(crate) first: u64,
    pub(crate) second: u64,
    pub(crate) n_bytes: usize,
    pub(crate) hash: u64,
}

impl Words {
    /// How many bytes fit.
    pub(crate) const MAX_BYTES: usize = 16;

    /// Reads `text[start..end]`, which must fit.
    #[inline]
    pub(crate) fn of(text: &[u8], start: usize, end: usize) -> Self {
        let n_bytes = end - start;
        let (first, second) = Self::read(text, start, end);
        Self {
            first,
            second,
            n_bytes,
            hash: hash_words(first, second, n_bytes),
        }
    }

    #[inline]
    fn read(text: &[u8], start: usize, end: usize) -> (u64, u64) {
        let n_bytes = end - start;
        if n_bytes <= 8 {
            (first_bytes(word(text, start), n_bytes), 0)
        } else {
            let second = first_bytes(word(text, start + 8), n_bytes - 8);
            (word(text, start), second)
        }
    }
}

impl Vocabulary {
    /// The token that is exactly the two bytes at `start`, or [`Rank::NONE`].
    #[inline]
    pub(crate) fn rank_of_pair(&self, text: &[u8], start: usize) -> Rank {
        let pair = usize::from(text[start]) << 8 | usize::from(text[start + 1]);
        let (pairs, _) = self.pairs.as_chunks::<4>();
        Rank(u32::from_le_bytes(pairs[pair]))
    }

    /// The token that is exactly `text[start..end]`, or [`Rank::NONE`].
    #[inline]
    pub(crate) fn rank(&self, text: &[u8], start: usize, end: usize) -> Rank {
        if end - start <= Words::MAX_BYTES {
            self.rank_of_words(&Words::of(text, start, end))
        } else {
            self.rank_of_long(text, start, end)
        }
    }

    /// The token that is exactly these bytes, or [`Rank::NONE`].
    #[inline]
    pub(crate) fn rank_of_words(&self, words: &Words) -> Rank {
        self.find(words.hash, words.n_bytes, |token| {
            let end = token + words.n_bytes;
            Words::read(self.tokens, token, end) == (words.first, words.second)
        })
    }

    /// The token that is exactly `text[start..end]`, of more than [`Words::MAX_BYTES`], or
    /// [`Rank::NONE`].
    pub(crate) fn rank_of_long(&self, text: &[u8], start: usize, end: usize) -> Rank {
        let n_bytes = end - start;
        if n_bytes > LONGEST_TOKEN {
            return Rank::NONE;
        }
        self.find(hash::hash(text, start, n_bytes), n_bytes, |token| {
            self.tokens.get(token..token + n_bytes) == text.get(start..end)
        })
    }

    /// Looks into the one slot where the token must be. `is_equal` is asked with the place of the bytes
    /// of a token of the right length.
    #[inline]
    fn find(&self, hash: u64, n_bytes: usize, is_equal: impl Fn(usize) -> bool) -> Rank {
        let (displacements, _) = self.displacements.as_chunks::<2>();
        let (slots, _) = self.slots.as_chunks::<4>();
        let displacement = u16::from_le_bytes(displacements[group(hash, displacements.len())]);
        let slot = u32::from_le_bytes(slots[slot(hash, displacement, slots.len())]);
        if tag(u64::from(slot)) != tag(hash) {
            return Rank::NONE;
        }
        let place = slot & ((1 << hash::OFFSET_BITS) - 1);
        // A slot that is empty has the place of no token.
        let Some(entry) = (place as usize).checked_sub(1) else {
            return Rank::NONE;
        };
        if usize::from(self.tokens[entry]) == n_bytes && is_equal(entry + 2) {
            Rank(place)
        } else {
            Rank::NONE
        }
    }

    /// The length of a token in bytes.
    #[inline]
    pub(crate) fn n_bytes(&self, token: Rank) -> usize {
        usize::from(self.tokens[token.0 as usize - 1])
    }

    /// The length of the left one of the two tokens that merge into this one; zero for a single byte.
    #[inline]
    pub(crate) fn left_part(&self, token: Rank) -> usize {
        usize::from(self.tokens[token.0 as usize])
    }

    /// Says that no token reaches over the border of two characters at `at`, whatever is merged before: then
    /// `text[start..at]` and `text[at..end]` can be counted one by one. True only where one of the
    /// characters is not ASCII.
    #[inline]
    pub(crate) fn is_apart(&self, text: &[u8], start: usize, at: usize, end: usize) -> bool {
        let (one, other) = (text[at - 1], text[at]);
        if !hash::is_wide_border(one, other) {
            return false;
        }
        let (borders, _) = self.borders.as_chunks::<2>();
        let mut mask = u16::from_le_bytes(borders[usize::from(one) << 8 | usize::from(other)]);
        let (n_before, n_after) = (at - start, end - at);
        let n_bits = self.contexts.len() * 8;
        while mask != 0 {
            let side = mask.trailing_zeros() as usize;
            mask &= mask - 1;
            let (left, right) = (side / hash::CONTEXT + 1, side % hash::CONTEXT + 1);
            if left <= n_before && right <= n_after {
                let bit = hash::context(word(text, at - left), left, right, n_bits);
                if self.contexts[bit >> 3] & 1 << (bit & 7) != 0 {
                    return false;
                }
            }
        }
        true
    }

    /// The longest token at `start` that ends at `end` or before and has at most `longest` bytes.
    /// There is none for zero.
    pub(crate) fn longest(
        &self,
        text: &[u8],
        start: usize,
        end: usize,
        longest: usize,
    ) -> Option<(Rank, usize)> {
        let longest = longest.min(end - start).min(LONGEST_TOKEN);
        // Beginnings share bytes of the table, so a reach can be too long, never too short.
        let mut bound = longest.min(FIRST_REACH - 1);
        let mut beginning = FIRST_REACH;
        while beginning <= longest {
            let hash = hash::hash(text, start, beginning);
            let reach = usize::from(self.reach[group(hash, self.reach.len())]);
            if reach < beginning {
                bound = bound.min(beginning - 1);
                break;
            }
            bound = longest.min(reach);
            beginning *= 2;
        }
        (1..=bound).rev().find_map(|n_bytes| {
            let rank = self.rank(text, start, start + n_bytes);
            (rank != Rank::NONE).then_some((rank, n_bytes))
        })
    }
}
