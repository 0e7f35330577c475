use std::collections::HashMap;

use crate::surface::constraints::clauses;
use crate::surface::constraints::constraint;
use crate::surface::constraints::lost;

/// One labelled sentence.
struct Labelled {
    is_constraint: bool,
    sentence: &'static str,
}

/// Sentences, their labels, and those of a second reader where there is one.
type Round = (&'static str, &'static str, Option<&'static str>);

/// Rounds that have judged and were learned from since.
const ROUNDS: [Round; 6] = [
    (
        include_str!("../../../testdata/constraints/sentences.tsv"),
        include_str!("../../../testdata/constraints/labels.tsv"),
        None,
    ),
    (
        include_str!("../../../testdata/constraints/sentences-2.tsv"),
        include_str!("../../../testdata/constraints/labels-2.tsv"),
        None,
    ),
    (
        include_str!("../../../testdata/constraints/sentences-3.tsv"),
        include_str!("../../../testdata/constraints/labels-3.tsv"),
        None,
    ),
    (
        include_str!("../../../testdata/constraints/sentences-4.tsv"),
        include_str!("../../../testdata/constraints/labels-4.tsv"),
        None,
    ),
    (
        include_str!("../../../testdata/constraints/sentences-5.tsv"),
        include_str!("../../../testdata/constraints/labels-5.tsv"),
        Some(include_str!(
            "../../../testdata/constraints/labels-5-second.tsv"
        )),
    ),
    (
        include_str!("../../../testdata/constraints/sentences-6.tsv"),
        include_str!("../../../testdata/constraints/labels-6.tsv"),
        Some(include_str!(
            "../../../testdata/constraints/labels-6-second.tsv"
        )),
    ),
];

/// What only the weights were learned from.
const LEARNED: [Round; 6] = [
    (
        include_str!("../../../testdata/constraints/sentences-learn-1.tsv"),
        include_str!("../../../testdata/constraints/labels-learn-1.tsv"),
        None,
    ),
    (
        include_str!("../../../testdata/constraints/sentences-learn-2.tsv"),
        include_str!("../../../testdata/constraints/labels-learn-2.tsv"),
        None,
    ),
    (
        include_str!("../../../testdata/constraints/sentences-learn-3.tsv"),
        include_str!("../../../testdata/constraints/labels-learn-3.tsv"),
        None,
    ),
    (
        include_str!("../../../testdata/constraints/sentences-learn-4.tsv"),
        include_str!("../../../testdata/constraints/labels-learn-4.tsv"),
        None,
    ),
    (
        include_str!("../../../testdata/constraints/sentences-learn-5.tsv"),
        include_str!("../../../testdata/constraints/labels-learn-5.tsv"),
        None,
    ),
    (
        include_str!("../../../testdata/constraints/sentences-learn-6.tsv"),
        include_str!("../../../testdata/constraints/labels-learn-6.tsv"),
        None,
    ),
];

/// Drawn and labelled by somebody who wrote no rule; nobody who wrote one has read them.
const UNREAD: [Round; 1] = [(
    include_str!("../../../testdata/constraints/sentences-other.tsv"),
    include_str!("../../../testdata/constraints/labels-other.tsv"),
    None,
)];

/// Rounds that judge: labelled by two readers who never saw the checker, and read by nobody who wrote a
/// rule or learned a weight. The second was drawn after the first had judged.
const JUDGES: [Round; 2] = [
    (
        include_str!("../../../testdata/constraints/sentences-7.tsv"),
        include_str!("../../../testdata/constraints/labels-7.tsv"),
        Some(include_str!(
            "../../../testdata/constraints/labels-7-second.tsv"
        )),
    ),
    (
        include_str!("../../../testdata/constraints/sentences-8.tsv"),
        include_str!("../../../testdata/constraints/labels-8.tsv"),
        Some(include_str!(
            "../../../testdata/constraints/labels-8-second.tsv"
        )),
    ),
];

/// The sentences of rounds; those that two readers do not agree on are left out.
fn labelled(rounds: &[Round]) -> Vec<Labelled> {
    let read = |labels: &'static str| -> HashMap<&str, &str> {
        let lines = labels.lines().skip(1);
        lines.filter_map(|line| line.split_once('\t')).collect()
    };
    let mut all = Vec::new();
    for (sentences, labels, second) in rounds {
        let labels = read(labels);
        let second = second.map_or_else(|| labels.clone(), read);
        all.extend(sentences.lines().skip(1).filter_map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            (labels[cells[0]] == second[cells[0]]).then(|| Labelled {
                is_constraint: labels[cells[0]] == "yes",
                sentence: cells[cells.len() - 1],
            })
        }));
    }
    all
}

/// How often a checker is right about the sentences.
#[derive(Debug, Default)]
struct Score {
    true_positives: usize,
    false_positives: usize,
    false_negatives: usize,
}

impl Score {
    fn of(checker: impl Fn(&str) -> bool) -> Self {
        Self::on(&ROUNDS, checker)
    }

    fn on(rounds: &[Round], checker: impl Fn(&str) -> bool) -> Self {
        let mut score = Self::default();
        for labelled in labelled(rounds) {
            match (labelled.is_constraint, checker(labelled.sentence)) {
                (true, true) => score.true_positives += 1,
                (false, true) => score.false_positives += 1,
                (true, false) => score.false_negatives += 1,
                (false, false) => {}
            }
        }
        score
    }

    fn recall(&self) -> f64 {
        self.true_positives as f64 / (self.true_positives + self.false_negatives) as f64
    }

    fn precision(&self) -> f64 {
        self.true_positives as f64 / (self.true_positives + self.false_positives).max(1) as f64
    }
}

const CHECKER: fn(&str) -> bool = |sentence| constraint(sentence).is_some();

/// Guards what was reached. All of these sentences have been read while rules were written and weights
/// learned, so this says nothing of sentences nobody has read: `testdata/constraints/README.md` has
/// those numbers.
#[test]
fn the_sentences_that_the_checker_was_made_with() {
    for (rounds, precision) in [(&ROUNDS[..], 0.80), (&LEARNED[..], 0.71)] {
        let score = Score::on(rounds, CHECKER);
        assert!(
            score.recall() >= 0.985 && score.precision() >= precision,
            "{score:?}"
        );
    }
}

/// Guards what is reached on sentences that nobody who wrote a rule has read. They were labelled when
/// the rules for labels left more open.
#[test]
fn the_sentences_that_nobody_who_writes_rules_has_read() {
    let score = Score::on(&UNREAD, CHECKER);
    assert!(score.recall() >= 0.94 && score.precision() >= 0.65);
    assert!(Score::on(&UNREAD, |_| true).precision() < 0.5);
}

/// On what two readers agree on. The first look at round 8 found 277 of 282, 96 too many, with a threshold
/// that kept praise too; with that of today it is 275 and 86. Of the goal, .98 and .8, both are missed.
#[test]
fn the_rounds_that_judge() {
    for (round, recall) in [(&JUDGES[..1], 0.965), (&JUDGES[1..], 0.975)] {
        let score = Score::on(round, CHECKER);
        assert!(
            score.recall() >= recall && score.precision() >= 0.76,
            "{score:?}"
        );
    }
}

/// What the issue names is kept whatever the weights say of the words around it.
#[test]
fn hard_words_need_no_weights() {
    for sentence in [
        "Name must be a tag.",
        "Never page.",
        "Tags only page the shop.",
        "Do not page.",
        "Shop pages at most.",
        "Page, up to 7 shops.",
        "Shops by default.",
        "The page cannot shop.",
        "Shop, required.",
    ] {
        let seen = super::rules::see(sentence, &super::words::words(sentence));
        assert!(seen.is_sure && seen.kind.is_some(), "{sentence}");
    }
    for sentence in [
        "Lists shops.",
        "Example: never page",
        "Use this when pages must be shopped",
    ] {
        let seen = super::rules::see(sentence, &super::words::words(sentence));
        assert!(!seen.is_sure, "{sentence}");
    }
}

/// Of every kind one that is no sentence of the data.
#[test]
fn each_kind_is_seen() {
    for sentence in [
        "Wait in milliseconds before the shop opens",
        "Shop date as ISO 8601 in UTC",
        "0-based index of the shelf",
        "one of open, closed or moved",
        "`shut`: closes the shop for good",
        "Shelf number from the list_shelves tool",
        "The handle expires after ten minutes",
        "If omitted, all shelves are counted",
        "Price in cents (1-500)",
        "Glob pattern of shelf names",
    ] {
        assert!(constraint(sentence).is_some(), "{sentence}");
    }
    for sentence in [
        "Lists the shelves of a shop.",
        "Name of the shelf",
        "This tool is essential for understanding shelves.",
        "Useful when you look for a shelf",
    ] {
        assert!(constraint(sentence).is_none(), "{sentence}");
    }
}

/// The broken variants that the measure catches: a checker that finds everything or nothing, and
/// one that knows a few words.
#[test]
fn poor_checkers_are_seen() {
    assert!(Score::of(|_| true).precision() < 0.5);
    assert!(Score::of(|_| false).recall() < 0.5);
    let few = |sentence: &str| {
        ["must", "never", "only"]
            .iter()
            .any(|word| sentence.contains(word))
    };
    assert!(Score::of(few).recall() < 0.5);
}

#[test]
fn the_sentences_are_as_many_as_promised() {
    assert_eq!(labelled(&ROUNDS).len(), 2676);
    assert_eq!(labelled(&LEARNED).len(), 8757);
}

#[test]
fn lost_clauses_are_told() {
    let text = "Reads a log. It must be\n    absolute. Nice.\n- Never binary";
    let found: Vec<&str> = clauses(text).iter().map(|clause| clause.text).collect();
    assert_eq!(found, ["It must be\n    absolute.", "- Never binary"]);
    assert_eq!(lost(text, "It must be absolute. Never binary"), []);
    assert_eq!(
        lost(text, "It must not be absolute. - Never binary").len(),
        1
    );
    assert_eq!(lost(text, "Never binary. It must be absolute"), []);
    assert_eq!(lost(text, "").len(), 2);
}

#[test]
fn what_stands_below_a_ruling_heading_rules() {
    let text = "Does it.\n\nAllowed values:\n- fast\n- slow\n\nOther words here.";
    let found: Vec<&str> = clauses(text).iter().map(|clause| clause.text).collect();
    assert_eq!(found, ["Allowed values:", "- fast", "- slow"]);
    // Examples show; only a duty among them rules.
    let text = "## Examples\n- limit 5 to 10\n- never this";
    let found: Vec<&str> = clauses(text).iter().map(|clause| clause.text).collect();
    assert_eq!(found, ["- never this"]);
}
