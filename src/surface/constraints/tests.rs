use std::collections::HashMap;

use crate::surface::constraints::constraint;

/// One labelled sentence.
struct Labelled {
    is_held_out: bool,
    is_constraint: bool,
    sentence: &'static str,
}

fn labelled() -> Vec<Labelled> {
    let labels: HashMap<&str, &str> = include_str!("../../../testdata/constraints/labels.tsv")
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once('\t'))
        .collect();
    include_str!("../../../testdata/constraints/sentences.tsv")
        .lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            Labelled {
                is_held_out: cells[1] == "held-out",
                is_constraint: labels[cells[0]] == "yes",
                sentence: cells[5],
            }
        })
        .collect()
}

/// How often a checker is right about a half of the sentences.
#[derive(Debug, Default)]
struct Score {
    true_positives: usize,
    false_positives: usize,
    false_negatives: usize,
}

impl Score {
    fn of(is_held_out: bool, checker: impl Fn(&str) -> bool, show: bool) -> Self {
        let mut score = Self::default();
        for labelled in labelled()
            .iter()
            .filter(|one| one.is_held_out == is_held_out)
        {
            let found = checker(labelled.sentence);
            match (labelled.is_constraint, found) {
                (true, true) => score.true_positives += 1,
                (false, true) => score.false_positives += 1,
                (true, false) => score.false_negatives += 1,
                (false, false) => {}
            }
            if show && labelled.is_constraint != found {
                println!(
                    "{} {:?}: {}",
                    if found { "FALSE POSITIVE" } else { "MISSED" },
                    constraint(labelled.sentence),
                    labelled.sentence
                );
            }
        }
        score
    }

    fn recall(&self) -> f64 {
        self.true_positives as f64 / (self.true_positives + self.false_negatives) as f64
    }

    fn precision(&self) -> f64 {
        self.true_positives as f64 / (self.true_positives + self.false_positives) as f64
    }
}

#[test]
fn the_dev_half() {
    let score = Score::of(false, |sentence| constraint(sentence).is_some(), true);
    println!(
        "{score:?} recall {} precision {}",
        score.recall(),
        score.precision()
    );
    assert!(
        score.recall() >= 0.98 && score.precision() >= 0.8,
        "{score:?}"
    );
}

#[test]
fn the_held_out_half() {
    let score = Score::of(true, |sentence| constraint(sentence).is_some(), false);
    println!(
        "{score:?} recall {} precision {}",
        score.recall(),
        score.precision()
    );
}
