//! Finds the clauses of a text that a caller can break (duties, defaults, limits, units, notations,
//! values and their meaning, sources and lifetimes, conditions) and says which of them a shorter text
//! has lost. A clause is a whole sentence or item; it is kept if its words stand in the shorter text
//! in the same order with nothing between them.
//!
//! It may not decide what a text means, only whether it may go: in doubt a sentence is a constraint.
//! Rules name what they see (`rules`, `forms`, `values`, `words`); weights learned from labelled
//! sentences weigh that together with the words (`features`, `weights`).
//! How often it is right is measured on labelled sentences, `testdata/constraints`.

mod features;
mod forms;
mod rules;
mod ruling;
mod values;
mod weights;
mod words;

use std::collections::HashSet;

use crate::surface::constraints::ruling::Ruling;
use crate::surface::constraints::words::words;
use crate::surface::sentences::BlockKind;
use crate::surface::sentences::blocks;
use crate::surface::sentences::flat;
use crate::surface::sentences::key;

/// What makes a clause a constraint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A duty, ban or exclusion: must, never, only, not, instead.
    Duty,
    /// What holds when nothing is said.
    Default,
    /// A maximum, minimum or range.
    Limit,
    /// The unit of a number.
    Unit,
    /// How a value has to be written.
    Notation,
    /// A list of values, or the meaning of one.
    Values,
    /// Where a value comes from, how long it lives.
    Source,
    /// What changes the meaning of a parameter, or what a call does.
    Condition,
    /// No rule names it, but sentences like it were.
    Likely,
}

/// A clause that has to survive shortening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause<'t> {
    /// The clause as it stands in the text.
    pub text: &'t str,
    /// What was seen in it first.
    pub kind: Kind,
}

/// Returns the constraint clauses of a text, in order.
pub fn clauses(text: &str) -> Vec<Clause<'_>> {
    let mut found: Vec<Clause<'_>> = Vec::new();
    let mut ruling = Ruling::default();
    for block in blocks(text) {
        ruling.enter(&block, text);
        let whole = &text[block.span.clone()];
        let kind = match block.kind {
            BlockKind::Heading => heading_kind(whole)
                .or(ruling.under)
                .or_else(|| constraint(whole)),
            // Below "Never run:"; below "Supported formats:" it may as well show one.
            BlockKind::Code => {
                let rules = |kind: &Kind| *kind == Kind::Duty && !ruling.shows;
                ruling.under.filter(rules)
            }
            BlockKind::Paragraph | BlockKind::Item => None,
        };
        found.extend(kind.map(|kind| Clause { text: whole, kind }));
        if matches!(block.kind, BlockKind::Heading | BlockKind::Code) {
            continue;
        }
        for span in &block.sentences {
            let sentence = &text[span.clone()];
            let kind = constraint(sentence).or(ruling.under);
            let shows = ruling.shows || is_example(sentence);
            let kind = kind.filter(|kind| !shows || *kind == Kind::Duty);
            found.extend(kind.map(|kind| Clause {
                text: sentence,
                kind,
            }));
        }
        // "Allowed values:" at the end of a paragraph announces the items below it.
        if let Some(last) = block.sentences.last().map(|span| &text[span.clone()])
            && last.ends_with(':')
        {
            ruling.announce(&block, last);
            let is_found = found.last().is_some_and(|clause| clause.text == last);
            if let Some(kind) = ruling.under.filter(|_| !is_found) {
                found.push(Clause { text: last, kind });
            }
        }
    }
    found
}

/// Says whether a sentence or a heading announces examples.
pub(crate) fn is_example(sentence: &str) -> bool {
    let words = words(sentence);
    let first = |n: usize| words.get(n).map_or("", |word| word.text.as_str());
    let is_heading =
        sentence.trim_end_matches(['*', '_']).ends_with(':') || sentence.starts_with('#');
    matches!(first(0), "example" | "examples")
        || (first(0) == "for" && first(1) == "example")
        || (first(0) == "e" && first(1) == "g")
        || (is_heading
            && words
                .iter()
                .any(|word| matches!(word.text.as_str(), "example" | "examples")))
}

/// Words in a heading below which every line is a constraint.
pub(crate) fn heading_kind(heading: &str) -> Option<Kind> {
    const VALUES: [&str; 18] = [
        "values",
        "value",
        "options",
        "allowed",
        "modes",
        "types",
        "formats",
        "actions",
        "operations",
        "supported",
        "one",
        "either",
        "enum",
        "choices",
        "levels",
        "statuses",
        "scopes",
        "operators",
    ];
    const DUTIES: [&str; 21] = [
        "must",
        "rules",
        "rule",
        "limits",
        "limitations",
        "requirements",
        "constraints",
        "important",
        "warning",
        "restrictions",
        "prerequisites",
        "not",
        "critical",
        "caution",
        "never",
        "required",
        "note",
        "notes",
        "defaults",
        "default",
        "syntax",
    ];
    let words = words(heading);
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.text.as_str()));
    if has(&DUTIES) {
        return Some(Kind::Duty);
    }
    has(&VALUES).then_some(Kind::Values)
}

/// Says whether a sentence is a constraint, and by what.
///
/// What the rules are sure of is one. Of the rest the learned weights judge, with what the rules
/// see as a part of what is weighed.
pub fn constraint(sentence: &str) -> Option<Kind> {
    let words = words(sentence);
    let seen = rules::see(sentence, &words);
    let kind = seen.kind.unwrap_or(Kind::Likely);
    if seen.is_sure {
        return Some(kind);
    }
    if seen.kind.is_none() && (words.len() < LEAST_WORDS || is_praise(&words)) {
        return None;
    }
    let mut scale = weights::Scale::new();
    features::tell(sentence, &seen, &mut |feature| scale.add(feature));
    scale.is_down().then_some(kind)
}

/// Weights were learned from sentences of at least so many words; they say nothing of shorter ones.
const LEAST_WORDS: usize = 4;

/// Of the labelled sentences with such a word and no rule, 57, none is a constraint.
fn is_praise(words: &[words::Word]) -> bool {
    const PRAISE: &str = " amazing beautiful comprehensive convenient delightful easily easy effortless effortlessly \
        elegant intuitive powerful robust seamless seamlessly wonderful ";
    words
        .iter()
        .any(|word| PRAISE.split_whitespace().any(|praise| praise == word.text))
}

/// What the learned weights are about: the features of a sentence, and whether the rules
/// are `sure` of it or leave it `open`. For
/// `testdata/constraints/train.py`, which reads them through `examples/constraint_features.rs`.
pub fn features_of(sentence: &str) -> Vec<String> {
    let words = words(sentence);
    let seen = rules::see(sentence, &words);
    let mut all = Vec::new();
    features::tell(sentence, &seen, &mut |feature| all.push(feature.to_owned()));
    all.push(if seen.is_sure { "sure" } else { "open" }.to_owned());
    all
}

/// Most clauses that are looked for inside longer sentences; any more count as lost.
const MAX_SEARCHES: usize = 200;

/// Most bytes that are searched for the clauses of all texts of one shown text.
const MAX_SEARCHED: usize = 1 << 30;

/// Returns the constraint clauses of `original` whose words do not stand in `shortened`.
///
/// Linear in both texts, but for at most 200 searches.
pub fn lost<'t>(original: &'t str, shortened: &str) -> Vec<Clause<'t>> {
    Reader::of(shortened).lost(original)
}

/// Somebody who has read a text, and can say of many others what they would miss.
#[derive(Clone, Debug)]
pub struct Reader {
    /// Keys of the sentences read.
    sentences: HashSet<String>,
    whole: String,
    /// Bytes that may still be searched.
    searchable: usize,
}

impl Reader {
    /// Reads a text.
    pub fn of(shown: &str) -> Self {
        let sentences = blocks(shown)
            .iter()
            .flat_map(|block| {
                let sentences = block.sentences.iter();
                sentences.map(|span| key(&shown[span.clone()]))
            })
            .collect();
        Self {
            sentences,
            whole: flat(shown),
            searchable: MAX_SEARCHED,
        }
    }

    /// As [`lost`]. After 1 GiB of searches in all, what is no sentence of its own counts as lost.
    pub fn lost<'t>(&mut self, original: &'t str) -> Vec<Clause<'t>> {
        let mut n_searches = 0;
        clauses(original)
            .into_iter()
            .filter(|clause| {
                let words = key(clause.text);
                if self.sentences.contains(&words) {
                    return false;
                }
                n_searches += 1;
                if n_searches > MAX_SEARCHES || self.searchable < self.whole.len() {
                    return true;
                }
                self.searchable -= self.whole.len();
                !self.whole.contains(&words)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
