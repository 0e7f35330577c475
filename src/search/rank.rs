//! Scores of all tools for one query: BM25F with variants inside the saturation, times the share of the
//! tool's name that the query covers, and nearness of meaning where there is a table. One dense pass; ties go by the catalogue's order.

use crate::search::index::{Index, TermId};
use crate::search::query::{Query, QueryTerm};

/// One tool and its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// The tool's position in the catalogue.
    pub tool: usize,
    /// Its score, above 0; comparable within one query only.
    pub score: f64,
}

/// The scores of one query.
pub(crate) struct Scores {
    by_tool: Vec<f64>,
    /// Those of words alone, where meaning was added.
    by_words: Option<Vec<f64>>,
}

impl Scores {
    pub(crate) fn of(index: &Index, query: &Query) -> Self {
        let mut scores = vec![0.0; index.n_tools];
        let mut weights = vec![0.0; index.n_tools];
        let mut touched: Vec<u32> = Vec::new();
        for term in &query.terms {
            let Some(gain) = gain(index, term) else {
                continue;
            };
            let mut add = |id: TermId, factor: f64| {
                for posting in index.postings(id) {
                    let weight = &mut weights[posting.tool as usize];
                    if *weight == 0.0 {
                        touched.push(posting.tool);
                    }
                    *weight += factor * f64::from(posting.weight);
                }
            };
            if let Some(id) = term.id {
                add(id, 1.0);
            }
            for variant in &term.variants {
                add(variant.term, variant.weight);
            }
            for tool in touched.drain(..) {
                let tool = tool as usize;
                scores[tool] += gain * index.tuning.saturated(weights[tool]);
                weights[tool] = 0.0;
            }
        }
        if index.tuning.name_coverage > 0.0 {
            cover_names(index, query, &mut scores, &mut weights);
        }
        let mut by_words = None;
        if let (Some(meanings), Some(meaning)) = (&index.meanings, &query.meaning) {
            by_words = Some(scores.clone());
            meanings.fuse(meaning, &mut scores);
        }
        Self {
            by_tool: scores,
            by_words,
        }
    }

    pub(crate) fn of_tool(&self, tool: usize) -> f64 {
        self.by_tool[tool]
    }

    /// Returns the best tool by words alone, of those that `is_wanted` lets through.
    pub(crate) fn best_by_words(&self, is_wanted: impl Fn(usize) -> bool) -> Option<usize> {
        let scores = self.by_words.as_ref().unwrap_or(&self.by_tool);
        let mut best: Option<usize> = None;
        for (tool, score) in scores.iter().enumerate() {
            if *score > best.map_or(0.0, |best| scores[best]) && is_wanted(tool) {
                best = Some(tool);
            }
        }
        best
    }

    /// Returns the best tools that `is_wanted` lets through, at most `limit`, the best first.
    pub(crate) fn best(&self, limit: usize, is_wanted: impl Fn(usize) -> bool) -> Vec<Scored> {
        let mut found: Vec<Scored> = self
            .by_tool
            .iter()
            .enumerate()
            .filter(|(tool, score)| **score > 0.0 && is_wanted(*tool))
            .map(|(tool, score)| Scored {
                tool,
                score: *score,
            })
            .collect();
        let order = |a: &Scored, b: &Scored| b.score.total_cmp(&a.score).then(a.tool.cmp(&b.tool));
        if limit < found.len() {
            found.select_nth_unstable_by(limit, order);
            found.truncate(limit);
        }
        found.sort_unstable_by(order);
        found
    }
}

impl crate::search::tuning::Tuning {
    /// What an amount of a term is worth: it grows to `saturation + 1` at most.
    pub(crate) fn saturated(&self, amount: f64) -> f64 {
        amount * (self.saturation + 1.0) / (amount + self.saturation)
    }
}

/// What a term is worth per unit of its saturated weight; `None` if no tool has it in any form.
///
/// A term that is unknown itself is as rare as its rarest form.
pub(crate) fn gain(index: &Index, term: &QueryTerm) -> Option<f64> {
    let rarity = match term.id {
        Some(id) => index.rarity(id),
        None => term
            .variants
            .iter()
            .map(|variant| index.rarity(variant.term))
            .reduce(f64::max)?,
    };
    Some(term.weight * rarity)
}

/// The terms that cover a name: those of the query in full, their variants by half.
pub(crate) fn covering(query: &Query) -> Vec<(TermId, f64)> {
    let mut covering: Vec<(TermId, f64)> = Vec::new();
    for term in query.written() {
        let own = term.id.map(|id| (id, 1.0));
        let variants = term.variants.iter().map(|variant| (variant.term, 0.5));
        covering.extend(own.into_iter().chain(variants));
    }
    covering.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
    covering.dedup_by_key(|(term, _)| *term);
    covering
}

fn cover_names(index: &Index, query: &Query, scores: &mut [f64], covered: &mut [f64]) {
    let mut touched: Vec<u32> = Vec::new();
    for (term, share) in covering(query) {
        let weight = share * index.rarity(term);
        for tool in index.tools_named(term) {
            let covered = &mut covered[*tool as usize];
            if *covered == 0.0 {
                touched.push(*tool);
            }
            *covered += weight;
        }
    }
    for tool in touched {
        let tool = tool as usize;
        if index.name_rarity[tool] > 0.0 {
            let share = covered[tool] / index.name_rarity[tool];
            scores[tool] *= 1.0 + index.tuning.name_coverage * share;
        }
    }
}
