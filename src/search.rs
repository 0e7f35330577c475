//! Search in tools: which of many definitions fit what a model or a person asks for. Pure.
//!
//! An [`Index`] is built once for a catalogue of [`Entry`]s and then only read; the same entries in the
//! same order give the same answers. It needs no model and no network: words (`words`), fields with
//! weights (`fields`, `tuning`), terms with their tools (`index`), a query with forms, synonyms and
//! corrections of its words (`query`), scores (`rank`), and names, which come before every score
//! (`names`). A static table of word vectors may help (`table`, `dense`), if one is given. Method and measurements: `docs/search.md`.

pub(crate) mod answer;
pub(crate) mod definition;
pub(crate) mod dense;
pub(crate) mod explain;
pub(crate) mod fields;
pub(crate) mod fit;
pub(crate) mod index;
pub mod metrics;
pub(crate) mod names;
pub(crate) mod nearest;
pub(crate) mod query;
pub(crate) mod rank;
pub(crate) mod synonyms;
pub(crate) mod table;
pub(crate) mod tuning;
pub(crate) mod words;

pub use answer::{Answer, Hit, MAX_HITS, MAX_QUERIES, Request, UnknownServer};
pub use definition::Definition;
pub use explain::{Explanation, TermScore};
pub use fields::{Entry, Field, FieldWeight};
pub use fit::Verdict;
pub use index::{Index, MAX_TOOLS};
pub use names::NameHit;
pub use query::{QUERY_BYTES, QUERY_TERMS, Relation};
pub use rank::Scored;
pub use table::{Table, TableError};
pub use tuning::Tuning;

use crate::search::query::Query;
use crate::search::rank::Scores;

impl Index {
    /// Returns the tools that fit a query best by score alone, at most `limit`, the best first.
    pub fn rank(&self, query: &str, limit: usize) -> Vec<Scored> {
        let query = Query::read(self, query);
        Scores::of(self, &query).best(limit, |_| true)
    }
}

#[cfg(test)]
mod tests;
