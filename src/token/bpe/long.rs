//! The number of tokens in a long piece that is no token, in linear time and little memory.
//!
//! Source: H. van Antwerpen and A. Neubeck, "So many tokens, so little time", GitHub blog, 2024, and
//! the `bpe` crate that goes with it. A sequence of tokens is the encoding of its bytes if and only if
//! each two neighbours are: merging the bytes of both gives both back. So one can go from left to right,
//! take the longest token that fits its left neighbour, and step back where none does; a place that
//! was left behind once never works again. Whether two neighbours fit is found by undoing their merges
//! in reverse order and looking for one across the border that would have come first.

use crate::token::bpe::vocabulary::{LONGEST_TOKEN, Rank, Vocabulary};

/// Tokens that are kept to step back over; twice as many are held at times.
const KEPT: usize = 1024;
/// Bits in a word of the set of dead places.
const BITS: usize = u64::BITS as usize;

/// Counts the tokens of `text[start..end]`, a whole piece.
pub(crate) fn count(vocabulary: &Vocabulary, text: &[u8], start: usize, end: usize) -> usize {
    // Stepping back far is a theoretical case: then nothing is forgotten on the second way.
    count_keeping(vocabulary, text, start, end, KEPT)
        .or_else(|| count_keeping(vocabulary, text, start, end, usize::MAX))
        .unwrap_or(end - start)
}

/// Counts and forgets all but the last tokens; `None` if it would have to step back beyond them.
fn count_keeping(
    vocabulary: &Vocabulary,
    text: &[u8],
    start: usize,
    end: usize,
    kept: usize,
) -> Option<usize> {
    let mut n_forgotten = 0;
    let mut tokens: Vec<Rank> = Vec::new();
    let mut dead = DeadPlaces::from(start);
    let mut at = start;
    while at < end {
        let last = tokens.last().copied();
        let fits = |token: Rank, n_bytes: usize| {
            !dead.contains(at + n_bytes)
                && last.is_none_or(|last| are_neighbours(vocabulary, text, at, last, token))
        };
        // In a run of the same the token before is likely the right one, and the longest is not.
        let again = last.and_then(|last| {
            let n_bytes = vocabulary.n_bytes(last);
            let is_same = at + n_bytes <= end
                && text.get(at - n_bytes..at) == text.get(at..at + n_bytes)
                && fits(last, n_bytes);
            is_same.then_some((last, n_bytes))
        });
        let found = again.or_else(|| {
            let mut longest = LONGEST_TOKEN;
            loop {
                let (token, n_bytes) = vocabulary.longest(text, at, end, longest)?;
                if fits(token, n_bytes) {
                    return Some((token, n_bytes));
                }
                longest = n_bytes - 1;
            }
        });
        let Some((token, n_bytes)) = found else {
            dead.insert(at);
            at -= vocabulary.n_bytes(tokens.pop()?);
            continue;
        };
        tokens.push(token);
        at += n_bytes;
        if tokens.len() >= kept.saturating_mul(2) {
            let forgotten = tokens.drain(..kept);
            let n_bytes: usize = forgotten.map(|token| vocabulary.n_bytes(token)).sum();
            dead.forget(n_bytes);
            n_forgotten += kept;
        }
    }
    Some(n_forgotten + tokens.len())
}

/// Says whether the tokens left and right of `border` stay as they are when their bytes are merged.
fn are_neighbours(
    vocabulary: &Vocabulary,
    text: &[u8],
    border: usize,
    mut left: Rank,
    mut right: Rank,
) -> bool {
    let mut start = border - vocabulary.n_bytes(left);
    let mut end = border + vocabulary.n_bytes(right);
    // A merge across the border wins if its rank is lower than this.
    let mut limit = Rank::NONE;
    loop {
        if vocabulary.rank(text, start, end) < limit {
            return false;
        }
        if left > right {
            // The left one was merged last, and of equals the left one first.
            let part = vocabulary.left_part(left);
            if part == 0 {
                return true;
            }
            limit = left;
            start += part;
            left = vocabulary.rank(text, start, border);
        } else {
            let part = vocabulary.left_part(right);
            if part == 0 {
                return true;
            }
            limit = right.above();
            end = border + part;
            right = vocabulary.rank(text, border, end);
        }
    }
}

/// Places that no encoding has a border at: bits, of which the first ones can be forgotten.
struct DeadPlaces {
    start: usize,
    /// Bytes forgotten, of which the set still has bits for the last few.
    n_forgotten: usize,
    bits: Vec<u64>,
}

impl DeadPlaces {
    fn from(start: usize) -> Self {
        Self {
            start,
            n_forgotten: 0,
            bits: Vec::new(),
        }
    }

    fn place(&self, at: usize) -> (usize, u64) {
        let n = at - self.start;
        (n / BITS, 1 << (n % BITS))
    }

    fn contains(&self, at: usize) -> bool {
        let (word, bit) = self.place(at);
        self.bits.get(word).is_some_and(|bits| bits & bit != 0)
    }

    fn insert(&mut self, at: usize) {
        let (word, bit) = self.place(at);
        if word >= self.bits.len() {
            self.bits.resize(word + 1, 0);
        }
        self.bits[word] |= bit;
    }

    /// Nobody asks about the first `n_bytes` any more.
    fn forget(&mut self, n_bytes: usize) {
        self.n_forgotten += n_bytes;
        let words = self.n_forgotten / BITS;
        self.n_forgotten %= BITS;
        self.start += words * BITS;
        self.bits.drain(..words.min(self.bits.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::count_keeping;
    use crate::token::bpe::{CL100K_BASE, O200K_BASE};

    /// What is forgotten is never needed, or else the count says that it would be.
    #[test]
    fn forgetting_changes_no_count() {
        for (vocabulary, unit) in [
            (&O200K_BASE, "antidisestablishmentarianism"),
            (&CL100K_BASE, "お誕生日おめでとう"),
            (&O200K_BASE, "=-==-"),
            (&CL100K_BASE, "ACGTTGCA"),
        ] {
            let text = unit.repeat(300);
            let text = text.as_bytes();
            let whole = count_keeping(vocabulary, text, 0, text.len(), usize::MAX);
            assert!(whole.is_some(), "{unit}");
            for kept in [4, 7, 64] {
                let count = count_keeping(vocabulary, text, 0, text.len(), kept);
                assert_eq!(count, whole, "{unit} {kept}");
            }
            // With one token kept it may have to give up, but may not be wrong.
            let count = count_keeping(vocabulary, text, 0, text.len(), 1);
            assert!(count.is_none() || count == whole, "{unit}");
        }
    }
}
