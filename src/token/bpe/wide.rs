//! The merges of a window of up to [`LONGEST`] bytes, for pieces whose tokens are too long for the short
//! windows of [`long`](crate::token::bpe::long): runs of white space between other white space. As in
//! [`merge`](crate::token::bpe::merge) the leftmost pair of the lowest rank is merged each time, but the
//! lowest one is found among the lowest of each block, so a merge looks at three blocks and not at all.

use crate::token::bpe::merge::{LANES, Merge, NO_MERGE, least};
use crate::token::bpe::vocabulary::{Rank, Vocabulary};

/// Bytes of a window at most.
pub(crate) const LONGEST: usize = 1 << PLACE_BITS;
/// Bits of a [`Merge`] that hold a place in the window; a rank and they fill it.
const PLACE_BITS: u32 = 10;
/// Places in a block.
const BLOCK: usize = 8 * LANES;

/// Calls `token_start` with the place of each token of `text[start..end]`, which has 1 to [`LONGEST`] bytes.
pub(crate) fn starts(
    vocabulary: &Vocabulary,
    text: &[u8],
    start: usize,
    end: usize,
    mut token_start: impl FnMut(usize),
) {
    let n_bytes = end - start;
    let merge = |from: usize, rank: Rank| -> Merge {
        match rank {
            Rank::NONE => NO_MERGE,
            rank => (rank.get() << PLACE_BITS) as Merge | from as Merge,
        }
    };
    // By the place where a part starts: its merge with the next part, and where its neighbours start.
    let mut merges = [NO_MERGE; LONGEST];
    let mut next = [0_u16; LONGEST];
    let mut previous = [0_u16; LONGEST + 1];
    for n in 0..n_bytes {
        next[n] = n as u16 + 1;
        previous[n + 1] = n as u16;
        if n + 1 < n_bytes {
            merges[n] = merge(n, vocabulary.rank_of_pair(text, start + n));
        }
    }
    let mut least_of = [NO_MERGE; LONGEST / BLOCK];
    for (least_of, block) in least_of.iter_mut().zip(merges.chunks(BLOCK)) {
        *least_of = least(block);
    }
    loop {
        let lowest = least(&least_of);
        if lowest == NO_MERGE {
            break;
        }
        let left = lowest as usize % LONGEST;
        let right = usize::from(next[left]);
        let after = usize::from(next[right]);
        next[left] = after as u16;
        previous[after] = left as u16;
        let merge_at =
            |from: usize, to: usize| merge(from, vocabulary.rank(text, start + from, start + to));
        merges[right] = NO_MERGE;
        merges[left] = if after < n_bytes {
            merge_at(left, usize::from(next[after]))
        } else {
            NO_MERGE
        };
        let before = usize::from(previous[left]);
        if left > 0 {
            merges[before] = merge_at(before, after);
        }
        let mut done = None;
        for block in [right / BLOCK, left / BLOCK, before / BLOCK] {
            if done != Some(block) {
                least_of[block] = least(&merges[block * BLOCK..(block + 1) * BLOCK]);
                done = Some(block);
            }
        }
    }
    let mut at = 0;
    while at < n_bytes {
        token_start(start + at);
        at = usize::from(next[at]);
    }
}
