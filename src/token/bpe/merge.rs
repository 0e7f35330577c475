//! The number of tokens in a short piece that is no token: the merges as they are defined, each time
//! the leftmost pair of the lowest rank. Quadratic, so only for pieces of [`LONGEST`] bytes.
//!
//! Two forms of the same: the parts of a few bytes are moved together in an array, those of more are
//! linked, so that the search for the lowest rank can compare several at a time.

use crate::token::bpe::vocabulary::{Rank, Vocabulary};

/// Pieces beyond this many bytes are counted by [`long`](crate::token::bpe::long).
pub(crate) const LONGEST: usize = 1 << PLACE_BITS;
/// Up to this many bytes moving is faster.
const FEW: usize = 16;
/// Bits of a [`Merge`] that hold a place in the piece.
const PLACE_BITS: u32 = 6;
/// Merges that are compared at a time.
pub(super) const LANES: usize = 8;

/// A merge that could be made: its rank and, below it, where its left part starts, so that the least
/// one is the one to make. No merge is the greatest number. It has a sign because the instructions that
/// every processor has compare only such numbers.
pub(super) type Merge = i32;
pub(super) const NO_MERGE: Merge = Merge::MAX;

/// Counts the tokens of `text[start..end]`, which has 2 to [`LONGEST`] bytes and is no token.
pub(crate) fn count(vocabulary: &Vocabulary, text: &[u8], start: usize, end: usize) -> usize {
    match end - start {
        2 => 2,
        3 => {
            let is_pair = |at: usize| vocabulary.rank_of_pair(text, at) != Rank::NONE;
            if is_pair(start) || is_pair(start + 1) {
                2
            } else {
                3
            }
        }
        ..=FEW => count_moving(vocabulary, text, start, end),
        _ => starts(vocabulary, text, start, end).count_ones() as usize,
    }
}

fn count_moving(vocabulary: &Vocabulary, text: &[u8], start: usize, end: usize) -> usize {
    let whole = end - start;
    let mut n_parts = whole;
    // Where each part starts, and the rank it would have together with the next one.
    let mut starts = [0_u8; FEW];
    let mut ranks = [Rank::NONE; FEW];
    for n in 0..n_parts {
        starts[n] = n as u8;
        if n + 1 < n_parts {
            ranks[n] = vocabulary.rank_of_pair(text, start + n);
        }
    }
    loop {
        let (mut lowest, mut at) = (Rank::NONE, 0);
        for (n, &rank) in ranks[..n_parts].iter().enumerate() {
            if rank < lowest {
                (lowest, at) = (rank, n);
            }
        }
        if lowest == Rank::NONE {
            return n_parts;
        }
        for n in at + 1..n_parts - 1 {
            starts[n] = starts[n + 1];
            ranks[n] = ranks[n + 1];
        }
        n_parts -= 1;
        let rank_at = |n: usize| {
            let from = usize::from(starts[n]);
            let to = match n + 2 {
                after if after < n_parts => usize::from(starts[after]),
                after if after == n_parts => whole,
                _ => return Rank::NONE,
            };
            // The whole is known to be no token.
            if to - from == whole {
                return Rank::NONE;
            }
            vocabulary.rank(text, start + from, start + to)
        };
        ranks[at] = rank_at(at);
        if at > 0 {
            ranks[at - 1] = rank_at(at - 1);
        }
    }
}

/// Finds where the tokens of `text[start..end]` start, which has 1 to [`LONGEST`] bytes and may be a token:
/// a bit for each, the lowest for `start`.
pub(crate) fn starts(vocabulary: &Vocabulary, text: &[u8], start: usize, end: usize) -> u64 {
    let n_bytes = end - start;
    let merge = |rank: Rank, from: usize| -> Merge {
        match rank {
            Rank::NONE => NO_MERGE,
            rank => (rank.get() << PLACE_BITS) as Merge | from as Merge,
        }
    };
    // By the place where a part starts: its merge with the next part, and where its neighbours start.
    let mut merges = [NO_MERGE; LONGEST];
    let mut next = [0_u8; LONGEST];
    let mut previous = [0_u8; LONGEST + 1];
    for n in 0..n_bytes {
        next[n] = n as u8 + 1;
        previous[n + 1] = n as u8;
        if n + 1 < n_bytes {
            merges[n] = merge(vocabulary.rank_of_pair(text, start + n), n);
        }
    }
    let n_lanes = n_bytes.next_multiple_of(LANES);
    let mut starts = u64::MAX >> (LONGEST - n_bytes);
    loop {
        let least = least(&merges[..n_lanes]);
        if least == NO_MERGE {
            return starts;
        }
        let left = least as usize % LONGEST;
        let right = usize::from(next[left]);
        let after = usize::from(next[right]);
        next[left] = after as u8;
        previous[after] = left as u8;
        merges[right] = NO_MERGE;
        starts &= !(1 << right);
        let merge_at =
            |from: usize, to: usize| merge(vocabulary.rank(text, start + from, start + to), from);
        merges[left] = if after < n_bytes {
            merge_at(left, usize::from(next[after]))
        } else {
            NO_MERGE
        };
        if left > 0 {
            let before = usize::from(previous[left]);
            merges[before] = merge_at(before, after);
        }
    }
}

/// The least of some merges, in lanes so that the compiler compares several at a time.
#[inline]
pub(super) fn least(merges: &[Merge]) -> Merge {
    let (chunks, _) = merges.as_chunks::<LANES>();
    let mut least = [NO_MERGE; LANES];
    for chunk in chunks {
        for (least, merge) in least.iter_mut().zip(chunk) {
            *least = (*least).min(*merge);
        }
    }
    least.into_iter().fold(NO_MERGE, Merge::min)
}
