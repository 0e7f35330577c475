//! A query against one index: its terms with their weights, joined neighbours, and the known terms that
//! may stand for each.

use std::collections::HashMap;

use crate::search::dense::Meaning;
use crate::search::fields::cut;
use crate::search::index::{Index, PREFIX_CHARS, TermId, is_form_like};
use crate::search::synonyms::synonyms;
use crate::search::words::{Script, is_stop_word, words};

/// Bytes of a query that are read; the rest is not looked at.
pub const QUERY_BYTES: usize = 16 << 10;
/// Distinct terms of a query that are scored; a longer one is cut.
pub const QUERY_TERMS: usize = 400;
/// Known terms that may stand for one term, at most.
const VARIANTS: usize = 64;

/// Why a known term stands for a term of the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Relation {
    /// It is the term.
    Same,
    /// The list of synonyms says so.
    Synonym,
    /// One is the start of the other.
    Form,
    /// It is spelt nearly so, and the term is unknown.
    Spelling,
}

/// A known term that stands for a term of the query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Variant {
    pub(crate) term: TermId,
    pub(crate) weight: f64,
    pub(crate) relation: Relation,
}

/// One term of a query.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct QueryTerm {
    pub(crate) text: String,
    /// The term's number if any tool has it.
    pub(crate) id: Option<TermId>,
    pub(crate) weight: f64,
    /// It was written so, not joined of two words.
    pub(crate) is_written: bool,
    pub(crate) variants: Vec<Variant>,
}

/// A query, read against one index.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Query {
    /// Each distinct term once: first those that were written, in order, then joined ones.
    pub(crate) terms: Vec<QueryTerm>,
    /// What it means, where the index has a table and the query is short.
    pub(crate) meaning: Option<Meaning>,
    /// It was longer than the bounds; only its start was read.
    pub(crate) is_cut: bool,
}

impl Query {
    pub(crate) fn read(index: &Index, text: &str) -> Self {
        let start = cut(text, QUERY_BYTES);
        let words = words(start);
        let mut is_cut = start.len() < text.len();
        let mut counts: Vec<(String, u32)> = Vec::new();
        let mut seen: HashMap<String, usize> = HashMap::new();
        for (word, _) in words.iter().filter(|(word, _)| !is_stop_word(word)) {
            let term = index.stems.stem(word).into_owned();
            if let Some(at) = seen.get(&term) {
                counts[*at].1 += 1;
            } else if counts.len() < QUERY_TERMS {
                seen.insert(term.clone(), counts.len());
                counts.push((term, 1));
            } else {
                is_cut = true;
            }
        }
        let is_short = counts.len() <= index.tuning.misspelt_words;
        let repeat = index.tuning.query_repeat;
        let mut terms: Vec<QueryTerm> = counts
            .into_iter()
            .map(|(text, count)| QueryTerm {
                id: index.id(&text),
                weight: 1.0 + repeat * f64::from(count).ln(),
                is_written: true,
                variants: variants(index, &text, is_short),
                text,
            })
            .collect();
        if index.tuning.joined > 0.0 {
            for pair in words.windows(2).take(QUERY_TERMS) {
                if let Some(term) = joined(index, pair, &seen) {
                    seen.insert(term.text.clone(), terms.len());
                    terms.push(term);
                }
            }
        }
        let meanings = index.meanings.as_ref();
        Self {
            terms,
            meaning: meanings.and_then(|meanings| meanings.read(start)),
            is_cut,
        }
    }

    /// Returns the terms that were written, not joined.
    pub(crate) fn written(&self) -> impl Iterator<Item = &QueryTerm> {
        self.terms.iter().filter(|term| term.is_written)
    }
}

/// "power point" also asks for "powerpoint", if a tool has that.
fn joined(
    index: &Index,
    pair: &[(String, Script)],
    seen: &HashMap<String, usize>,
) -> Option<QueryTerm> {
    let [(first, Script::Letters), (second, Script::Letters)] = pair else {
        return None;
    };
    let word = format!("{first}{second}");
    if is_stop_word(&word) {
        return None;
    }
    let text = index.stems.stem(&word).into_owned();
    let id = index.id(&text)?;
    (!seen.contains_key(&text)).then(|| QueryTerm {
        variants: variants(index, &text, false),
        id: Some(id),
        weight: index.tuning.joined,
        is_written: false,
        text,
    })
}

/// The known terms that may stand for a term, each once: synonyms, then longer and shorter forms, and if
/// there is neither and the term is unknown, the nearest spellings.
fn variants(index: &Index, term: &str, may_be_misspelt: bool) -> Vec<Variant> {
    let tuning = &index.tuning;
    let mut variants: Vec<Variant> = Vec::new();
    let mut add = |term, weight, relation| {
        let is_new = variants.iter().all(|variant| variant.term != term);
        if weight > 0.0 && is_new && variants.len() < VARIANTS {
            variants.push(Variant {
                term,
                weight,
                relation,
            });
        }
    };
    for other in synonyms(term) {
        if let Some(id) = index.id(other) {
            add(id, tuning.synonym, Relation::Synonym);
        }
    }
    let own = index.id(term);
    if is_form_like(term) {
        let n_chars = term.chars().count() as f64;
        for id in index.longer_forms(term) {
            if Some(*id) != own {
                let others = index.terms[*id as usize].chars().count() as f64;
                add(*id, tuning.prefix * n_chars / others, Relation::Form);
            }
        }
        for (n, (at, _)) in term.char_indices().enumerate().skip(PREFIX_CHARS) {
            if let Some(id) = index.id(&term[..at]) {
                add(id, tuning.prefix * n as f64 / n_chars, Relation::Form);
            }
        }
    }
    if variants.is_empty() && own.is_none() && may_be_misspelt && tuning.misspelt > 0.0 {
        let frequency = |id| index.postings(id).len();
        let nearest = index.nearest.of(term, &index.terms, frequency);
        variants.extend(nearest.into_iter().map(|term| Variant {
            term,
            weight: tuning.misspelt,
            relation: Relation::Spelling,
        }));
    }
    variants
}
