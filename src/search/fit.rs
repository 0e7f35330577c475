//! Whether the best tool fits at all. A score says which tool fits best, never that one does: this
//! looks at how much of the query the best tool answers in so many words.
//!
//! Words alone cannot tell "a tool for a neighbouring purpose" from "the tool" (`docs/search.md` has the
//! rates), so the rule is made to be wrong in one direction: it rather offers what does not fit than
//! hides what does.

use crate::search::index::Index;
use crate::search::query::{Query, QueryTerm, Relation};

/// How sure an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// No tool answers the query; what is listed is only nearest.
    NothingFits,
    /// Perhaps none does.
    Unsure,
    /// The best tool answers a good part of the query, or is named in it.
    Fits,
}

/// Fit below which nothing fits. Of the answerable queries of each development set at most 2 % are
/// below it.
const NOTHING: f64 = 0.42;
/// Fit below which it is unsure: 6 % of the answerable ones, over all sets.
const UNSURE: f64 = 0.515;
/// What a longer query gains: of a story no tool has most words.
const PER_LOG_WORD: f64 = 0.225;
/// Terms up to which a synonym or another form of a word counts too, beside the word itself: of so few
/// words all may be others than the tool's. In longer queries they only blur the difference.
const SHORT: usize = 2;
/// What it counts then.
const STAND_IN: f64 = 0.5;

/// Returns the verdict on a query whose best tool is `tool`.
pub(crate) fn verdict(index: &Index, query: &Query, tool: usize) -> Verdict {
    let fit = fit(index, query, tool);
    if fit < NOTHING {
        Verdict::NothingFits
    } else if fit < UNSURE {
        Verdict::Unsure
    } else {
        Verdict::Fits
    }
}

/// Returns the share of the query's words, weighted by rarity, that the tool has, plus what the length
/// of the query excuses.
pub(crate) fn fit(index: &Index, query: &Query, tool: usize) -> f64 {
    let n_terms = query.written().count();
    let stand_in = if n_terms <= SHORT { STAND_IN } else { 0.0 };
    let (mut met, mut asked) = (0.0, 0.0);
    for term in query.written() {
        let rarity = term
            .id
            .map_or(index.unknown_rarity(), |id| index.rarity(id));
        met += term.weight * rarity * met_share(index, term, tool, stand_in);
        asked += term.weight * rarity;
    }
    if asked == 0.0 {
        return 0.0;
    }
    met / asked + PER_LOG_WORD * (n_terms.max(SHORT) as f64).ln()
}

/// How well a tool has one term, 0 to 1.
fn met_share(index: &Index, term: &QueryTerm, tool: usize, stand_in: f64) -> f64 {
    let share = |amount: f64| amount / (amount + index.tuning.saturation);
    let own = term.id.map_or(0.0, |id| share(index.amount(id, tool)));
    let others = term.variants.iter().map(|variant| {
        let factor = match variant.relation {
            Relation::Spelling | Relation::Same => 1.0,
            Relation::Synonym | Relation::Form => stand_in,
        };
        factor * share(index.amount(variant.term, tool))
    });
    others.fold(own, f64::max)
}
