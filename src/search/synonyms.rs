//! Words that may stand for one another: the list in `synonyms.txt`, read at the first query.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::search::words::Stems;

const GROUPS: &str = include_str!("synonyms.txt");

/// Stem → stems that may stand for it, each once, in the order of the list.
struct Synonyms(HashMap<String, Vec<String>>);

static SYNONYMS: LazyLock<Synonyms> = LazyLock::new(|| Synonyms::read(&Stems::new()));

/// Returns the stems that may stand for a stem.
pub(crate) fn synonyms(stem: &str) -> &'static [String] {
    SYNONYMS.0.get(stem).map_or(&[], Vec::as_slice)
}

impl Synonyms {
    fn read(stems: &Stems) -> Self {
        let mut synonyms: HashMap<String, Vec<String>> = HashMap::new();
        for group in groups() {
            let group: Vec<_> = group.map(|word| stems.stem(word)).collect();
            for word in &group {
                let others = synonyms.entry(word.to_string()).or_default();
                for other in &group {
                    if other != word && !others.iter().any(|known| known == other) {
                        others.push(other.to_string());
                    }
                }
            }
        }
        Self(synonyms)
    }
}

fn groups() -> impl Iterator<Item = std::str::SplitWhitespace<'static>> {
    GROUPS
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .map(str::split_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_symmetric() {
        let mut n_pairs = 0;
        for (word, others) in &SYNONYMS.0 {
            for other in others {
                n_pairs += 1;
                assert_ne!(word, other);
                assert!(synonyms(other).contains(word), "{word} {other}");
            }
        }
        assert!(n_pairs > 1000, "{n_pairs}");
        assert!(synonyms("delet").iter().any(|word| word == "remov"));
        assert!(synonyms("nosuchword").is_empty());
    }

    #[test]
    fn the_list_is_lower_case_words() {
        for word in groups().flatten() {
            assert!(
                word.bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()),
                "{word}"
            );
        }
    }
}
