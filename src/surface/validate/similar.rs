//! "Did you mean": the name that a misspelt one most likely stands for.

/// Names that are compared, at most, and their length in characters.
const MAX_CANDIDATES: usize = 2_000;
const MAX_CHARACTERS: usize = 64;

/// Returns the candidate closest to `name`: the same but for case and separators, or few edits away.
/// `None` when nothing is close. The first of equals wins, so the result depends on nothing else.
pub fn closest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let wanted = folded(name)?;
    let mut best: Option<(usize, &'c str)> = None;
    for candidate in candidates.into_iter().take(MAX_CANDIDATES) {
        let Some(known) = folded(candidate) else {
            continue;
        };
        let shorter = wanted.len().min(known.len());
        // One slip in four letters, two in seven, three in eleven.
        let allowed = match shorter {
            0..=2 => 0,
            3..=6 => 1,
            7..=10 => 2,
            _ => 3,
        };
        let is_part = shorter >= 4 && (starts(&wanted, &known) || starts(&known, &wanted));
        let distance = if wanted == known {
            0
        } else {
            match edits(&wanted, &known, allowed) {
                Some(distance) => distance,
                None if is_part => allowed + 1,
                None => continue,
            }
        };
        if best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

fn starts(long: &[char], short: &[char]) -> bool {
    long.starts_with(short)
}

fn folded(name: &str) -> Option<Vec<char>> {
    let folded: Vec<char> = name
        .chars()
        .take(MAX_CHARACTERS + 1)
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    (!folded.is_empty() && folded.len() <= MAX_CHARACTERS).then_some(folded)
}

/// Edits between two words, a swap of neighbours being one; `None` if more than `most`.
fn edits(a: &[char], b: &[char], most: usize) -> Option<usize> {
    if a.len().abs_diff(b.len()) > most {
        return None;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let differs = usize::from(a[i - 1] != b[j - 1]);
            let mut least = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + differs);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().filter(|distance| *distance <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_understood_and_strangers_are_not() {
        let names = ["page_id", "pageSize", "filter", "to", "startDate"];
        for (name, expected) in [
            ("pageId", Some("page_id")),
            ("page-size", Some("pageSize")),
            ("fitler", Some("filter")),
            ("filters", Some("filter")),
            ("start_dat", Some("startDate")),
            ("ot", None),
            ("body", None),
            ("", None),
            ("___", None),
        ] {
            assert_eq!(closest(name, names), expected, "{name}");
        }
        assert_eq!(closest(&"x".repeat(100_000), names), None);
        assert_eq!(closest("x", std::iter::empty()), None);
        // The first of equals.
        assert_eq!(closest("abcx", ["abca", "abcb"]), Some("abca"));
    }
}
