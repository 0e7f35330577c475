//! How often an answer says that nothing fits: of queries as they are (where it should not), and of the
//! same queries over the catalogue without the tools that answer them (where it should).

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::search::{Entry, Index, Request, Table, Verdict};

/// Share of the words of both descriptions that two tools have in common from which one may stand for
/// the other.
const NEAR: f64 = 0.6;
/// Queries that are looked at: an index is built for each.
const MOST: usize = 400;

/// The verdicts so far.
#[derive(Debug, Default)]
pub(super) struct Abstention {
    untouched: Verdicts,
    taken_out: Verdicts,
    n_taken: usize,
}

#[derive(Debug, Default)]
struct Verdicts {
    n: usize,
    nothing: usize,
    unsure: usize,
}

impl Verdicts {
    fn add(&mut self, verdict: Verdict) {
        self.n += 1;
        match verdict {
            Verdict::NothingFits => self.nothing += 1,
            Verdict::Unsure => self.unsure += 1,
            Verdict::Fits => {}
        }
    }

    /// The share of `nothing fits`, and of that or `unsure`.
    fn shares(&self) -> (f64, f64) {
        let n = self.n.max(1) as f64;
        (
            self.nothing as f64 / n,
            (self.nothing + self.unsure) as f64 / n,
        )
    }
}

impl Abstention {
    /// Judges one query, if there were not enough before. `index` is that of all entries.
    pub(super) fn add(
        &mut self,
        query: &str,
        needs: &[Vec<String>],
        entries: &[Entry<'_>],
        index: &Index,
        table: Option<&Arc<Table>>,
    ) {
        if needs.is_empty() || self.untouched.n >= MOST {
            return;
        }
        self.untouched.add(verdict(index, query));
        let others = without(entries, needs);
        self.n_taken += entries.len() - others.len();
        let mut index = Index::build(&others);
        if let Some(table) = table {
            index = index.with_table(&others, Arc::clone(table));
        }
        self.taken_out.add(verdict(&index, query));
    }

    pub(super) fn to_text(&self) -> String {
        let mut text = format!(
            "abstention ({} queries)                 nothing fits  or unsure\n",
            self.untouched.n
        );
        for (name, verdicts) in self.rows() {
            let (nothing, unsure) = verdicts.shares();
            text.push_str(&format!("{name:<39} {nothing:>12.3} {unsure:>10.3}\n"));
        }
        text.push_str(&format!(
            "{:.1} tools are taken out for a query (mean)\n",
            self.n_taken as f64 / self.untouched.n.max(1) as f64
        ));
        text
    }

    pub(super) fn to_json(&self) -> Value {
        let [untouched, taken_out] = self.rows().map(|(_, verdicts)| {
            let (nothing, unsure) = verdicts.shares();
            json!({"n": verdicts.n, "nothingFits": nothing, "nothingFitsOrUnsure": unsure})
        });
        json!({"false": untouched, "true": taken_out})
    }

    fn rows(&self) -> [(&'static str, &Verdicts); 2] {
        [
            ("false: with the tools that answer", &self.untouched),
            ("true: without them and near duplicates", &self.taken_out),
        ]
    }
}

fn verdict(index: &Index, query: &str) -> Verdict {
    let request = Request {
        queries: &[query],
        server: None,
        limit: 1,
    };
    // Without a filter there is no unknown server.
    index
        .answer(&request)
        .map_or(Verdict::NothingFits, |answer| answer.verdict)
}

/// The entries that do not answer a query: neither labelled, nor of the same name as one that is, nor
/// with most of its description's words.
fn without<'a>(entries: &[Entry<'a>], needs: &[Vec<String>]) -> Vec<Entry<'a>> {
    let is_gold = |entry: &Entry<'_>| needs.iter().flatten().any(|id| id == entry.id);
    let gold: Vec<(String, HashSet<String>)> = entries
        .iter()
        .filter(|entry| is_gold(entry))
        .map(|entry| (name_of(entry), words_of(entry)))
        .collect();
    entries
        .iter()
        .filter(|entry| {
            let (name, words) = (name_of(entry), words_of(entry));
            !gold
                .iter()
                .any(|(other, others)| *other == name || is_near(&words, others))
                && !is_gold(entry)
        })
        .copied()
        .collect()
}

fn name_of(entry: &Entry<'_>) -> String {
    let letters = entry.name.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

fn words_of(entry: &Entry<'_>) -> HashSet<String> {
    let text = entry.description.unwrap_or_default().to_lowercase();
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

fn is_near(words: &HashSet<String>, others: &HashSet<String>) -> bool {
    let n_common = words.intersection(others).count() as f64;
    let n_all = words.union(others).count() as f64;
    n_all > 0.0 && n_common / n_all >= NEAR
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_that_answer_are_taken_out_with_their_like() {
        let tool = |id: &'static str, name: &'static str, description: &'static str| Entry {
            id,
            name,
            description: Some(description),
            ..Entry::default()
        };
        let entries = [
            tool("a", "read_file", "Read the whole text of a file."),
            tool("b", "readFile", "Something else."),
            tool("c", "load", "Read the whole text of one file."),
            tool("d", "send", "Send a mail."),
        ];
        let left = without(&entries, &[vec!["a".into()]]);
        let left: Vec<&str> = left.iter().map(|entry| entry.id).collect();
        assert_eq!(left, ["d"]);
        let index = Index::build(&entries);
        let mut abstention = Abstention::default();
        let needs = [vec!["a".to_owned()]];
        abstention.add("read the text of a file", &needs, &entries, &index, None);
        let shares = abstention.to_json();
        assert_eq!(shares["false"]["nothingFits"], 0.0);
        assert_eq!(shares["true"]["nothingFits"], 1.0);
    }
}
