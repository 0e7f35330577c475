//! The number of tokens in a long piece that is no token, in linear time and little memory.
//!
//! Source: H. van Antwerpen and A. Neubeck, "So many tokens, so little time", GitHub blog, 2024, and
//! the `bpe` crate that goes with it. A sequence of tokens is the encoding of its bytes if and only if
//! each two neighbours are: merging the bytes of both gives both back. Whether two neighbours fit is found by
//! undoing their merges in reverse order and looking for one across the border that would have come first.
//!
//! So a piece can be encoded window by window: the tokens of a window fit each other, and where the first
//! one also fits the last one before, the sequence grows, but for what is near the end of the window, where
//! the rest of the piece may change it. Where it does not fit, the window before was cut in a bad place:
//! one token is given back and the window starts there. Windows that were seen lately are remembered, which
//! makes runs and everything periodic cheap.
//!
//! Where windows get nowhere (tokens as long as they are) a wide one is tried, and after that it goes on
//! token by token: from left to right, the longest one that fits its left neighbour, and a step back where
//! none does; a place that was left behind once never works again. That is linear whatever the text.

use crate::token::bpe::hash;
use crate::token::bpe::merge;
use crate::token::bpe::vocabulary::{LONGEST_TOKEN, Rank, Vocabulary};
use crate::token::bpe::wide;

/// Borders of tokens that are kept to step back over; twice as many are held at times.
const KEPT: usize = 1024;
/// Bits in a word of the set of dead places.
const BITS: usize = u64::BITS as usize;
/// Bytes of a window.
const WINDOW: usize = merge::LONGEST;
/// Bytes at the end of a window whose tokens are not believed.
const MARGIN: usize = 16;
/// Windows that are remembered: 5 KiB.
const N_REMEMBERED: usize = 64;
/// The same of a wide window.
const WIDE_MARGIN: usize = 2 * LONGEST_TOKEN;
/// Windows that are tried without getting further.
const TRIES: usize = 3;
/// Wide windows that are tried after them.
const WIDE_TRIES: usize = 3;
/// Bytes that are gone token by token when windows first get nowhere; twice as many each time.
const FIRST_WALK: usize = 2 * WINDOW;

/// Counts the tokens of `text[start..end]`, a whole piece.
pub(crate) fn count(vocabulary: &Vocabulary, text: &[u8], start: usize, end: usize) -> usize {
    count_in(vocabulary, text, start, end, WINDOW)
}

/// Counts with windows of so many bytes, at most [`WINDOW`]; none for less than two [`MARGIN`]s.
pub(crate) fn count_in(
    vocabulary: &Vocabulary,
    text: &[u8],
    start: usize,
    end: usize,
    window: usize,
) -> usize {
    // Stepping back far is a theoretical case: then nothing is forgotten on the second way.
    Sequence::of(vocabulary, text, start, end, KEPT)
        .count(window)
        .or_else(|| Sequence::of(vocabulary, text, start, end, usize::MAX).count(window))
        .unwrap_or(end - start)
}

/// The encoding of a beginning of a piece.
struct Sequence<'a> {
    vocabulary: &'a Vocabulary,
    text: &'a [u8],
    /// The end of the piece.
    end: usize,
    /// Where the last tokens end; the first one is where the first of them starts.
    borders: Vec<usize>,
    /// Tokens before that, and how many are kept.
    n_forgotten: usize,
    kept: usize,
    dead: DeadPlaces,
    windows: Vec<Window>,
}

/// A window and its encoding.
#[derive(Clone)]
struct Window {
    bytes: [u8; WINDOW],
    /// Where its tokens start, as bits; zero for no window.
    starts: u64,
    /// The last token that was found to fit before it.
    before: Rank,
}

impl<'a> Sequence<'a> {
    fn of(
        vocabulary: &'a Vocabulary,
        text: &'a [u8],
        start: usize,
        end: usize,
        kept: usize,
    ) -> Self {
        let none = Window {
            bytes: [0; WINDOW],
            starts: 0,
            before: Rank::NONE,
        };
        Self {
            vocabulary,
            text,
            end,
            borders: vec![start],
            n_forgotten: 0,
            kept,
            dead: DeadPlaces::from(start),
            windows: vec![none; N_REMEMBERED],
        }
    }

    /// Counts all; `None` if it would have to step back beyond what is kept.
    fn count(mut self, window: usize) -> Option<usize> {
        let (mut reached, mut tries) = (self.at(), 0);
        let mut walk = FIRST_WALK;
        while self.at() < self.end {
            if window < 2 * MARGIN {
                self.walk(self.end)?;
            } else if self.add_again(window / 2) {
            } else if tries == TRIES + WIDE_TRIES {
                self.walk(self.at().saturating_add(walk))?;
                walk = walk.saturating_mul(2);
            } else {
                let is_added = match tries {
                    ..TRIES => self.add_window(window),
                    _ => self.add_wide(),
                };
                if !is_added {
                    self.step_back()?;
                }
            }
            tries += 1;
            if self.at() > reached {
                (reached, tries) = (self.at(), 0);
            }
        }
        Some(self.n_forgotten + self.borders.len() - 1)
    }

    /// Where the sequence ends.
    fn at(&self) -> usize {
        self.borders.last().copied().unwrap_or(self.end)
    }

    /// The last token; `None` where the sequence is empty.
    fn last(&self) -> Option<Rank> {
        let (at, before) = self.borders.split_last()?;
        let before = before.last()?;
        Some(self.vocabulary.rank(self.text, *before, *at))
    }

    /// Adds the tokens of a window that starts where the sequence ends; says whether they fit.
    fn add_window(&mut self, window: usize) -> bool {
        let at = self.at();
        let last = self.last();
        let is_whole = self.end - at >= WINDOW && window == WINDOW;
        let window_end = self.end.min(at + window);
        // The first token starts at the window itself.
        let first_end = |starts: u64| match starts & (starts - 1) {
            0 => window_end,
            rest => at + rest.trailing_zeros() as usize,
        };
        let starts = match self.text[at..window_end].first_chunk::<WINDOW>() {
            Some(bytes) if is_whole => {
                let place = hash::hash(bytes, 0, WINDOW) as usize % N_REMEMBERED;
                let mut known = self.windows[place].clone();
                if known.starts == 0 || known.bytes != *bytes {
                    known = Window {
                        bytes: *bytes,
                        starts: merge::starts(self.vocabulary, self.text, at, window_end),
                        before: Rank::NONE,
                    };
                    self.windows[place] = known.clone();
                }
                if let Some(last) = last
                    && last != known.before
                {
                    if !self.fits(last, at, first_end(known.starts)) {
                        return false;
                    }
                    self.windows[place].before = last;
                }
                known.starts
            }
            _ => {
                let starts = merge::starts(self.vocabulary, self.text, at, window_end);
                if last.is_some_and(|last| !self.fits(last, at, first_end(starts))) {
                    return false;
                }
                starts
            }
        };
        let is_last = window_end == self.end;
        let mut rest = starts & (starts - 1);
        if !is_last {
            rest &= u64::MAX >> (BITS - 1 - (window - MARGIN));
        }
        while rest != 0 {
            self.push(at + rest.trailing_zeros() as usize);
            rest &= rest - 1;
        }
        if is_last {
            self.push(self.end);
        }
        true
    }

    /// The same with a wide window.
    fn add_wide(&mut self) -> bool {
        let at = self.at();
        let last = self.last();
        let window_end = self.end.min(at + wide::LONGEST);
        let mut borders = Vec::new();
        wide::starts(self.vocabulary, self.text, at, window_end, |start| {
            borders.push(start)
        });
        borders.push(window_end);
        if last.is_some_and(|last| !self.fits(last, at, borders[1])) {
            return false;
        }
        for border in &borders[1..] {
            if *border + WIDE_MARGIN <= window_end || window_end == self.end {
                self.push(*border);
            }
        }
        true
    }

    /// Says whether a token fits before another one.
    fn fits(&self, last: Rank, at: usize, first_end: usize) -> bool {
        let first = self.vocabulary.rank(self.text, at, first_end);
        are_neighbours(self.vocabulary, self.text, at, last, first)
    }

    /// Adds the last token once more if it is longer than `above` bytes, its bytes come again, and it fits.
    fn add_again(&mut self, above: usize) -> bool {
        let [.., before, at] = self.borders[..] else {
            return false;
        };
        let n_bytes = at - before;
        let end = at + n_bytes;
        if n_bytes <= above
            || self.text.get(before..at) != self.text[..self.end].get(at..end)
            || self.dead.contains(end)
        {
            return false;
        }
        let last = self.vocabulary.rank(self.text, before, at);
        let fits = are_neighbours(self.vocabulary, self.text, at, last, last);
        if fits {
            self.push(end);
        }
        fits
    }

    /// Goes on token by token until `until` is reached, or the end.
    fn walk(&mut self, until: usize) -> Option<()> {
        let (vocabulary, text, end) = (self.vocabulary, self.text, self.end);
        let until = until.min(end);
        while self.at() < until {
            // In a run of the same the token before is likely the right one, and the longest is not.
            if self.add_again(0) {
                continue;
            }
            let at = self.at();
            let last = self.last();
            let fits = |token: Rank, n_bytes: usize| {
                !self.dead.contains(at + n_bytes)
                    && last.is_none_or(|last| are_neighbours(vocabulary, text, at, last, token))
            };
            let mut longest = LONGEST_TOKEN;
            let found = loop {
                match vocabulary.longest(text, at, end, longest) {
                    None => break None,
                    Some((token, n_bytes)) if fits(token, n_bytes) => break Some(n_bytes),
                    Some((_, n_bytes)) => longest = n_bytes - 1,
                }
            };
            if let Some(n_bytes) = found {
                self.push(at + n_bytes);
            } else {
                self.dead.insert(at);
                self.step_back()?;
            }
        }
        Some(())
    }

    /// Adds the token from the end of the sequence to `at`.
    fn push(&mut self, at: usize) {
        self.borders.push(at);
        if self.borders.len() > self.kept.saturating_mul(2) {
            self.borders.drain(..self.kept);
            self.n_forgotten += self.kept;
            self.dead.forget_until(self.borders[0]);
        }
    }

    /// Takes the last token away; `None` if there is none, or it would be the last that is kept.
    fn step_back(&mut self) -> Option<()> {
        self.borders.pop()?;
        let is_start = self.borders.len() == 1 && self.n_forgotten == 0;
        (is_start || self.borders.len() > 1).then_some(())
    }
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
    bits: Vec<u64>,
}

impl DeadPlaces {
    fn from(start: usize) -> Self {
        Self {
            start,
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

    /// Nobody asks about places before `at` any more.
    fn forget_until(&mut self, at: usize) {
        let words = (at - self.start) / BITS;
        self.start += words * BITS;
        self.bits.drain(..words.min(self.bits.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT, MARGIN, Sequence, TRIES, WINDOW};
    use crate::token::bpe::vocabulary::Vocabulary;
    use crate::token::bpe::{CL100K_BASE, O200K_BASE};

    fn count(vocabulary: &Vocabulary, text: &str, kept: usize, window: usize) -> Option<usize> {
        Sequence::of(vocabulary, text.as_bytes(), 0, text.len(), kept).count(window)
    }

    const UNITS: [(&Vocabulary, &str); 8] = [
        (&O200K_BASE, "antidisestablishmentarianism"),
        (&CL100K_BASE, "お誕生日おめでとう"),
        (&O200K_BASE, "=-==-"),
        (&CL100K_BASE, "ACGTTGCA"),
        (&O200K_BASE, "\t  \t"),
        (
            &CL100K_BASE,
            "        \t\t                                    \t ",
        ),
        (&O200K_BASE, " "),
        (&CL100K_BASE, "क्षेत्रज्ञविभागयोग"),
    ];

    /// What is forgotten is never needed, or else the count says that it would be.
    #[test]
    fn forgetting_changes_no_count() {
        for (vocabulary, unit) in UNITS {
            let text = unit.repeat(9000 / unit.len());
            let whole = count(vocabulary, &text, usize::MAX, 0);
            assert!(whole.is_some(), "{unit}");
            for window in [0, WINDOW] {
                for kept in [4, 7, 64] {
                    let count = count(vocabulary, &text, kept, window);
                    assert_eq!(count, whole, "{unit} {kept} {window}");
                }
                // With one token kept it may have to give up, but may not be wrong.
                let count = count(vocabulary, &text, 1, window);
                assert!(count.is_none() || count == whole, "{unit}");
            }
        }
    }

    /// Windows of any size, in parts of any length, say what going token by token says.
    #[test]
    fn windows_change_no_count() {
        for (vocabulary, unit) in UNITS {
            let text = unit.repeat(1500 / unit.len());
            for (from, _) in text.char_indices().step_by(97) {
                let text = &text[from..];
                let walked = count(vocabulary, text, KEPT, 0);
                for window in [2 * MARGIN, 2 * MARGIN + 7, WINDOW] {
                    assert_eq!(
                        count(vocabulary, text, KEPT, window),
                        walked,
                        "{text:?} {window}"
                    );
                }
            }
        }
    }

    /// The broken variant that the comparison is there to catch: windows joined without asking whether their
    /// tokens fit.
    #[test]
    fn windows_that_do_not_fit_would_be_seen() {
        let text = "        \t\t                                    \t ".repeat(40);
        let vocabulary = &CL100K_BASE;
        let joined: Option<usize> = text
            .as_bytes()
            .chunks(WINDOW)
            .map(|window| Sequence::of(vocabulary, window, 0, window.len(), KEPT).count(0))
            .sum();
        assert_ne!(joined, count(vocabulary, &text, KEPT, 0));
        const { assert!(TRIES > 1, "one step back is usual") };
    }
}
