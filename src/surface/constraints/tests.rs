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

/// A file of the labelled sentences.
macro_rules! file {
    ($($part:literal),*) => {
        include_str!(concat!("../../../testdata/constraints/", $($part),*))
    };
}

/// The files of a round; `two` where it has a second reader.
macro_rules! round {
    ($name:literal) => {
        round!($name, None)
    };
    ($name:literal, two) => {
        round!($name, Some(file!("labels", $name, "-second.tsv")))
    };
    ($name:literal, $second:expr) => {
        (
            file!("sentences", $name, ".tsv"),
            file!("labels", $name, ".tsv"),
            $second,
        )
    };
}

/// Rounds that have judged and were learned from since.
const ROUNDS: [Round; 8] = [
    round!(""),
    round!("-2"),
    round!("-3"),
    round!("-4"),
    round!("-5", two),
    round!("-6", two),
    round!("-7", two),
    round!("-8", two),
];

/// What only the weights were learned from.
const LEARNED: [Round; 8] = [
    round!("-learn-1"),
    round!("-learn-2"),
    round!("-learn-3"),
    round!("-learn-4"),
    round!("-learn-5"),
    round!("-learn-6"),
    round!("-learn-7"),
    round!("-learn-8"),
];

/// Drawn and labelled by somebody who wrote no rule; nobody who wrote one has read them.
const UNREAD: [Round; 1] = [round!("-other")];

/// The round that judges: labelled by two readers who never saw the checker, and read by nobody who
/// wrote a rule or learned a weight.
const JUDGES: [Round; 1] = [round!("-9", two)];

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
    for (rounds, precision) in [(&ROUNDS[..], 0.80), (&LEARNED[..], 0.74)] {
        let score = Score::on(rounds, CHECKER);
        assert!(
            score.recall() >= 0.98 && score.precision() >= precision,
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

/// On what two readers agree on, at the first look 279 of 288 with 89 too many. Of the goal, .98 and .8, both
/// are missed.
#[test]
fn the_round_that_judges() {
    let score = Score::on(&JUDGES, CHECKER);
    assert!(
        score.recall() >= 0.965 && score.precision() >= 0.75,
        "{score:?}"
    );
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
    assert_eq!(labelled(&ROUNDS).len(), 4073);
    assert_eq!(labelled(&LEARNED).len(), 16426);
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

#[track_caller]
fn check_clauses(text: &str, expected: &[&str]) {
    let found: Vec<&str> = clauses(text).iter().map(|clause| clause.text).collect();
    assert_eq!(found, expected);
}

/// Broken variants that this catches: one for which the empty line below a heading ends what it rules, and one that
/// takes code for an example wherever it stands.
#[test]
fn what_stands_directly_below_a_ruling_heading_rules() {
    check_clauses(
        "Runs it.\n\nNever do this:\n\nOther tables here.\n\nOther words here.",
        &["Never do this:", "Other tables here."],
    );
    check_clauses(
        "Runs it.\n\nNever run:\n```sh\nrm -rf /\n```\n\nOther words here.\n\n```\nls\n```",
        &["Never run:", "```sh\nrm -rf /\n```"],
    );
    // A tag that ends rules nothing behind it.
    check_clauses(
        "<rules>\nOther tables here.\n</rules>\n\nOther words here.",
        &["<rules>", "Other tables here.", "</rules>"],
    );
}

/// Broken variant that this catches: one for which each heading ends what the one above it rules.
#[test]
fn a_ruling_heading_rules_the_headings_in_it() {
    check_clauses(
        "Allowed values:\n\nOpen:\n- Due\n- Late\n\nClosed:\n- Gone\n\nOther words here.\n\nReturns:\n- Rows",
        &[
            "Allowed values:",
            "Open:",
            "- Due",
            "- Late",
            "Closed:",
            "- Gone",
        ],
    );
    check_clauses(
        "Runs it.\n\n## Never\n\n- Tables\n\n### Of users\n\n- Rows\n\n## Words\n\n- Other",
        &["## Never", "- Tables", "### Of users", "- Rows"],
    );
    // A line with a colon below a title may begin another part, and the name of a tool makes no rules.
    check_clauses(
        "# Note\n\n## Words\n\n- Other\n\n## Never\n\n- Tables\n\nReturns:\n- Rows",
        &["# Note", "## Never", "- Tables"],
    );
}

/// Broken variant that this catches: one for which code below a line about values is a constraint.
#[test]
fn only_duties_rule_code() {
    check_clauses(
        "Runs it.\n\nSupported formats:\n```json\n{}\n```\n\nNever run:\n```sh\nls\n```",
        &["Supported formats:", "Never run:", "```sh\nls\n```"],
    );
}

/// Broken variant that this catches: one that rules the parts of a docstring by the line above them.
#[test]
fn no_line_rules_the_parts_of_a_docstring() {
    check_clauses(
        "Runs it.\n\nImportant notes:\nArgs:\n- Other\n\nReturns:\n- Rows",
        &["Important notes:"],
    );
}
