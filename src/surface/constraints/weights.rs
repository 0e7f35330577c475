//! The learned weights, as `testdata/constraints/train.py` wrote them: integers, so that every machine
//! judges alike. A sentence is taken for a constraint if the weights of its features and the bias sum
//! up to zero or more.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Of each feature: its place among all, and its weight.
static WEIGHTS: LazyLock<HashMap<&'static str, (u16, i32)>> = LazyLock::new(|| {
    (0..)
        .zip(include_str!("weights.tsv").lines())
        .filter_map(|(place, line)| {
            let (weight, feature) = line.split_once('\t')?;
            Some((feature, (place, weight.parse().ok()?)))
        })
        .collect()
});

/// Adds up what the features of a sentence weigh, each counted once.
#[derive(Debug)]
pub(crate) struct Scale {
    total: i32,
    counted: Vec<u16>,
}

impl Scale {
    pub(crate) fn new() -> Self {
        Self {
            total: WEIGHTS.get("bias").map_or(0, |(_, weight)| *weight),
            counted: Vec::with_capacity(64),
        }
    }

    pub(crate) fn add(&mut self, feature: &str) {
        if let Some((place, weight)) = WEIGHTS.get(feature)
            && !self.counted.contains(place)
        {
            self.counted.push(*place);
            self.total = self.total.saturating_add(*weight);
        }
    }

    /// Says whether the sentence is taken for a constraint.
    pub(crate) fn is_down(&self) -> bool {
        self.total >= 0
    }
}

#[cfg(test)]
mod tests {
    use super::WEIGHTS;

    /// A line that does not parse or stands twice would be lost without a word.
    #[test]
    fn every_line_of_the_file_is_a_weight() {
        assert_eq!(WEIGHTS.len(), include_str!("weights.tsv").lines().count());
        assert!(WEIGHTS.contains_key("bias") && WEIGHTS.len() < 6000);
        assert!(WEIGHTS.values().all(|(_, weight)| weight.abs() < 10_000));
    }
}
