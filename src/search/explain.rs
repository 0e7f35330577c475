//! Why a tool has its score: what each term of the query gave, through which words and in which fields.
//!
//! The index does not keep fields apart, so the one tool that is explained is read again.

use crate::search::fields::{Entry, Field, Texts};
use crate::search::index::{Index, TermId};
use crate::search::query::{Query, QueryTerm, Relation};
use crate::search::rank::{Scores, covering, gain};
use crate::search::words::{for_each_word, is_stop_word};

/// Why a tool has its score for a query.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// What each term gave, the most first; terms that gave nothing are left out.
    pub terms: Vec<TermScore>,
    /// Terms of the query that the tool does not have in any form.
    pub missing: Vec<String>,
    /// Factor for the share of the tool's name that the query covers, 1 or more.
    pub name_factor: f64,
    /// What nearness of meaning gave; 0 without a table.
    pub meaning: f64,
    /// The score: the sum of the terms times the factor, and the meaning.
    pub score: f64,
}

/// What one term of the query gave to a tool.
#[derive(Debug, Clone, PartialEq)]
pub struct TermScore {
    /// The term, as a stem.
    pub term: String,
    /// It was joined of two neighbouring words.
    pub is_joined: bool,
    /// What it gave, before the factor for the name.
    pub score: f64,
    /// The words of the tool that it was found by, with why they count.
    pub found_by: Vec<(String, Relation)>,
    /// How the score splits over the fields, the most first.
    pub fields: Vec<(Field, f64)>,
}

impl Index {
    /// Explains the score of one tool for one query. `entry` has to be the one the index was built
    /// from at position `tool`; of another one the fields would be wrong.
    ///
    /// Returns `None` if there is no such position.
    pub fn explain(&self, query: &str, tool: usize, entry: &Entry<'_>) -> Option<Explanation> {
        if tool >= self.n_tools {
            return None;
        }
        let query = Query::read(self, query);
        let amounts = FieldAmounts::read(self, entry);
        let mut terms = Vec::new();
        let mut missing = Vec::new();
        for term in &query.terms {
            match self.explain_term(term, tool, &amounts) {
                Some(score) => terms.push(score),
                None if term.is_written => missing.push(term.text.clone()),
                None => {}
            }
        }
        let name_factor = self.name_factor(&query, tool);
        let words = terms.iter().map(|term| term.score).sum::<f64>() * name_factor;
        let meaning = match query.meaning {
            Some(_) => (Scores::of(self, &query).of_tool(tool) - words).max(0.0),
            None => 0.0,
        };
        terms.sort_by(|a, b| b.score.total_cmp(&a.score));
        Some(Explanation {
            terms,
            missing,
            name_factor,
            meaning,
            score: words + meaning,
        })
    }

    fn explain_term(
        &self,
        term: &QueryTerm,
        tool: usize,
        amounts: &FieldAmounts,
    ) -> Option<TermScore> {
        let gain = gain(self, term)?;
        let own = term.id.map(|id| (id, 1.0, Relation::Same));
        let variants = term.variants.iter();
        let variants = variants.map(|variant| (variant.term, variant.weight, variant.relation));
        let mut total = 0.0;
        let mut found_by = Vec::new();
        let mut fields = [0.0; Field::ALL.len()];
        for (id, weight, relation) in own.into_iter().chain(variants) {
            let amount = self.amount(id, tool);
            if amount == 0.0 {
                continue;
            }
            total += weight * amount;
            found_by.push((self.terms[id as usize].to_string(), relation));
            for (sum, amount) in fields.iter_mut().zip(amounts.of(self, id)) {
                *sum += weight * amount;
            }
        }
        if total == 0.0 {
            return None;
        }
        let score = gain * self.tuning.saturated(total);
        let sum: f64 = fields.iter().sum();
        let mut fields: Vec<(Field, f64)> = Field::ALL
            .into_iter()
            .zip(fields)
            .filter(|(_, amount)| *amount > 0.0)
            .map(|(field, amount)| (field, score * amount / sum))
            .collect();
        fields.sort_by(|a, b| b.1.total_cmp(&a.1));
        Some(TermScore {
            term: term.text.clone(),
            is_joined: !term.is_written,
            score,
            found_by,
            fields,
        })
    }

    fn name_factor(&self, query: &Query, tool: usize) -> f64 {
        let all = self.name_rarity[tool];
        if all == 0.0 {
            return 1.0;
        }
        let covered: f64 = covering(query)
            .into_iter()
            .filter(|(term, _)| {
                self.tools_named(*term)
                    .binary_search(&(tool as u32))
                    .is_ok()
            })
            .map(|(term, share)| share * self.rarity(term))
            .sum();
        1.0 + self.tuning.name_coverage * covered / all
    }
}

/// The known terms of one tool's fields.
struct FieldAmounts([Vec<TermId>; Field::ALL.len()]);

impl FieldAmounts {
    fn read(index: &Index, entry: &Entry<'_>) -> Self {
        let texts = Texts::of(entry);
        Self(std::array::from_fn(|n| {
            let mut terms = Vec::new();
            let text = texts.text(Field::ALL[n], index.tuning.fields[n].max_bytes);
            for_each_word(text, |word, _| {
                if !is_stop_word(word) {
                    terms.extend(index.id(&index.stems.stem(word)));
                }
            });
            terms
        }))
    }

    /// What each field gives to a term, as the index added it up.
    fn of(&self, index: &Index, term: TermId) -> [f64; Field::ALL.len()] {
        std::array::from_fn(|n| {
            let terms = &self.0[n];
            let tuned = &index.tuning.fields[n];
            let count = terms.iter().filter(|known| **known == term).count();
            match count {
                0 => 0.0,
                _ => count.min(tuned.max_count as usize) as f64 * index.factor(n, terms.len()),
            }
        })
    }
}
