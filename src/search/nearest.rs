//! Spelling: the distance between two words, and the known words nearest to an unknown one.

use crate::search::index::TermId;

/// Known words that are offered for an unknown one, at most.
const WORDS: usize = 3;
/// Letters an unknown word must have to be corrected.
const CHARS: usize = 5;
/// Letters from which on two mistakes are forgiven.
const LONG_CHARS: usize = 8;

/// Known terms by length, with their first letters beside them: most are dismissed by those alone.
pub(crate) struct Nearest {
    by_length: Vec<Vec<([char; 3], TermId)>>,
}

impl Nearest {
    /// Builds from terms of letters only, at least four long.
    pub(crate) fn build(candidates: &[TermId], terms: &[Box<str>]) -> Self {
        let mut by_length: Vec<Vec<_>> = Vec::new();
        for id in candidates {
            let term = &terms[*id as usize];
            let n_chars = term.chars().count();
            if by_length.len() <= n_chars {
                by_length.resize_with(n_chars + 1, Vec::new);
            }
            by_length[n_chars].push((head(term), *id));
        }
        Self { by_length }
    }

    /// Returns up to three terms at the smallest edit distance from `word`: one mistake, or two from
    /// eight letters on; the same first letter, or the same second and third. More frequent terms
    /// come first.
    pub(crate) fn of(
        &self,
        word: &str,
        terms: &[Box<str>],
        frequency: impl Fn(TermId) -> usize,
    ) -> Vec<TermId> {
        let chars: Vec<char> = word.chars().collect();
        if chars.len() < CHARS || !chars.iter().all(|c| c.is_alphabetic()) {
            return Vec::new();
        }
        let most = if chars.len() < LONG_CHARS { 1 } else { 2 };
        let start = head(word);
        let mut found = Vec::new();
        for length in chars.len() - most..=chars.len() + most {
            for (other, id) in self.by_length.get(length).into_iter().flatten() {
                if other[0] != start[0] && other[1..] != start[1..] {
                    continue;
                }
                let term = &terms[*id as usize];
                let other: Vec<char> = term.chars().collect();
                if let Some(distance) = distance(&chars, &other, most) {
                    found.push((distance, usize::MAX - frequency(*id), term, *id));
                }
            }
        }
        found.sort_unstable();
        let smallest = found.first().map(|found| found.0);
        let nearest = found.into_iter().filter(|found| Some(found.0) == smallest);
        nearest.take(WORDS).map(|found| found.3).collect()
    }
}

fn head(word: &str) -> [char; 3] {
    let mut chars = word.chars();
    std::array::from_fn(|_| chars.next().unwrap_or('\0'))
}

/// Returns how many letters must be put in, left out, replaced or swapped with their neighbour to make
/// `b` of `a` (optimal string alignment); `None` if more than `most`.
pub(crate) fn distance(a: &[char], b: &[char], most: usize) -> Option<usize> {
    if a.len().abs_diff(b.len()) > most {
        return None;
    }
    let mut two_before = vec![0; b.len() + 1];
    let mut before: Vec<usize> = (0..=b.len()).collect();
    let mut row = vec![0; b.len() + 1];
    for (i, x) in a.iter().enumerate() {
        row[0] = i + 1;
        let mut smallest = row[0];
        for (j, y) in b.iter().enumerate() {
            let replaced = before[j] + usize::from(x != y);
            let mut least = replaced.min(before[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                least = least.min(two_before[j - 1] + 1);
            }
            row[j + 1] = least;
            smallest = smallest.min(least);
        }
        if smallest > most {
            return None;
        }
        std::mem::swap(&mut two_before, &mut before);
        std::mem::swap(&mut before, &mut row);
    }
    before.last().copied().filter(|cost| *cost <= most)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn between(a: &str, b: &str, most: usize) -> Option<usize> {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        distance(&chars(a), &chars(b), most)
    }

    #[test]
    fn mistakes_are_counted() {
        assert_eq!(between("", "", 0), Some(0));
        assert_eq!(between("wether", "weather", 2), Some(1));
        assert_eq!(between("wehater", "weather", 2), Some(2));
        assert_eq!(between("waether", "weather", 1), Some(1));
        assert_eq!(between("issue", "query", 2), None);
        assert_eq!(between("погода", "погад", 3), Some(2));
    }

    type Distance = fn(&[char], &[char], usize) -> Option<usize>;

    fn is_a_bounded_distance(distance: Distance, a: &str, b: &str, most: usize) -> bool {
        let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
        let full = distance(&a, &b, 20);
        full == distance(&b, &a, 20)
            && (full == Some(0)) == (a == b)
            && distance(&a, &b, most) == full.filter(|cost| *cost <= most)
    }

    proptest! {
        /// The distance is symmetric, zero only for equal words, and the bound only cuts.
        #[test]
        fn the_distance_is_one(a in "[abc]{0,7}", b in "[abc]{0,7}", most in 0usize..7) {
            prop_assert!(is_a_bounded_distance(distance, &a, &b, most));
        }
    }

    /// The broken variant that the property catches: giving up by the last cost of the first row.
    #[test]
    fn giving_up_too_early_would_be_seen() {
        let broken: Distance = |a, b, most| {
            let is_far = distance(&a[..1], b, 20).is_some_and(|cost| cost > most);
            if is_far { None } else { distance(a, b, most) }
        };
        assert!(!is_a_bounded_distance(broken, "bca", "abca", 1));
        assert!(is_a_bounded_distance(distance, "bca", "abca", 1));
    }

    #[test]
    fn the_nearest_known_words_are_found() {
        let terms: Vec<Box<str>> = ["weather", "whether", "leather", "commit", "comit"]
            .into_iter()
            .map(Into::into)
            .collect();
        let nearest = Nearest::build(&[0, 1, 2, 3, 4], &terms);
        let found = |word: &str| nearest.of(word, &terms, |id| id as usize);
        assert_eq!(found("waether"), [1, 0], "the more frequent first");
        assert_eq!(found("weathr"), [0]);
        assert_eq!(found("commmit"), [3]);
        assert!(found("wxyzher").is_empty());
        assert!(found("abc").is_empty());
        assert!(found("we4ther").is_empty());
    }
}
