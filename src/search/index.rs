//! The index of one catalogue: terms, and for each the tools that have it with their weight. Built once
//! for a set of definitions, then only read. How queries use it is in `query` and `rank`.
//!
//! Maps are only ever asked, never walked, so nothing depends on their order.

use std::collections::HashMap;
use std::sync::Arc;

use crate::search::dense::Meanings;
use crate::search::fields::{Entry, Field, FieldWeight, Texts};
use crate::search::names::Names;
use crate::search::nearest::Nearest;
use crate::search::table::Table;
use crate::search::tuning::Tuning;
use crate::search::words::{Stems, for_each_word, is_stop_word};

/// Tools that are indexed, at most; more are counted by [`Index::n_left_out`] and never found.
pub const MAX_TOOLS: usize = 100_000;

/// Number of a term in its index.
pub(crate) type TermId = u32;

/// One tool that has a term.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Posting {
    pub(crate) tool: u32,
    /// Occurrences over all fields, weighted and diluted by the fields' lengths.
    pub(crate) weight: f32,
}

/// The index of one catalogue. Immutable; the same entries in the same order give the same answers.
///
/// The method is BM25F over [`Field`]s (Robertson, Zaragoza: *The Probabilistic Relevance Framework*,
/// 2009, §3.6) with what names of tools need beside it; `docs/search.md` has it in words.
pub struct Index {
    pub(crate) tuning: Tuning,
    pub(crate) n_tools: usize,
    n_left_out: usize,
    pub(crate) stems: Stems,
    pub(crate) terms: Vec<Box<str>>,
    ids: HashMap<Box<str>, TermId>,
    /// Terms of letters only and at least [`PREFIX_CHARS`] long, by spelling.
    sorted: Vec<TermId>,
    /// Average number of terms of each field, over the tools that have it.
    averages: [f64; Field::ALL.len()],
    /// Term → tools that have it, in the order of the catalogue.
    postings: Lists<Posting>,
    /// Term → tools that have it in their name.
    in_names: Lists<u32>,
    /// Weight of a term by how few tools have it.
    rarity: Vec<f64>,
    /// Sum of the rarities of a tool's own name.
    pub(crate) name_rarity: Vec<f64>,
    /// Tool → number of its server; servers by first appearance.
    pub(crate) server_of: Vec<u32>,
    pub(crate) servers: Vec<Box<str>>,
    pub(crate) names: Names,
    pub(crate) nearest: Nearest,
    /// What the tools mean, where a table was given.
    pub(crate) meanings: Option<Meanings>,
}

/// Characters a term must have to be a form of another.
pub(crate) const PREFIX_CHARS: usize = 4;

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index")
            .field("n_tools", &self.n_tools)
            .finish_non_exhaustive()
    }
}

impl Index {
    /// Builds the index with the product's numbers. Linear in the bytes of the entries.
    pub fn build(entries: &[Entry<'_>]) -> Self {
        Self::with_tuning(entries, Tuning::default())
    }

    /// Builds the index with other numbers, to measure what each is worth.
    pub fn with_tuning(entries: &[Entry<'_>], tuning: Tuning) -> Self {
        let n_left_out = entries.len().saturating_sub(MAX_TOOLS);
        let entries = &entries[..entries.len() - n_left_out];
        let mut vocabulary = Vocabulary::new();
        let tools = read_tools(entries, &tuning, &mut vocabulary);
        let n_terms = vocabulary.terms.len();
        let averages = average_lengths(&tools);

        let mut weighted: Vec<(TermId, Posting)> = Vec::new();
        let mut named: Vec<(TermId, u32)> = Vec::new();
        let mut counter = TermCounter::new(n_terms);
        for (tool, terms) in (0..).zip(&tools) {
            for (field, (tuned, average)) in tuning.fields.iter().zip(averages).enumerate() {
                let terms = terms.of(field);
                if terms.is_empty() || tuned.weight <= 0.0 {
                    continue;
                }
                counter.add(terms, factor(tuned, terms.len(), average), tuned.max_count);
            }
            counter.drain(|term, weight| weighted.push((term, Posting { tool, weight })));
            let mut name: Vec<_> = terms.of(Field::Name as usize).to_vec();
            name.sort_unstable();
            name.dedup();
            named.extend(name.into_iter().map(|term| (term, tool)));
        }
        let postings = Lists::collect(n_terms, &weighted);
        let in_names = Lists::collect(n_terms, &named);

        let n = tools.len();
        let rarity: Vec<_> = (0..n_terms)
            .map(|term| rarity(n, postings.of(term as TermId).len(), tuning.rarity_power))
            .collect();
        let mut name_rarity = vec![0.0; n];
        for (term, tool) in named {
            name_rarity[tool as usize] += rarity[term as usize];
        }
        let (server_of, servers) = number_servers(entries);
        let Vocabulary {
            stems, terms, ids, ..
        } = vocabulary;
        let mut sorted: Vec<TermId> = (0..n_terms as TermId)
            .filter(|term| is_form_like(&terms[*term as usize]))
            .collect();
        sorted.sort_unstable_by(|a, b| terms[*a as usize].cmp(&terms[*b as usize]));
        let nearest = Nearest::build(&sorted, &terms);
        Self {
            stems,
            tuning,
            n_tools: n,
            n_left_out,
            terms,
            ids,
            sorted,
            averages,
            postings,
            in_names,
            rarity,
            name_rarity,
            server_of,
            servers,
            names: Names::build(entries),
            nearest,
            meanings: None,
        }
    }

    /// Lets nearness of meaning count too. `entries` has to be what the index was built from.
    #[must_use]
    pub fn with_table(mut self, entries: &[Entry<'_>], table: Arc<Table>) -> Self {
        let entries = &entries[..self.n_tools.min(entries.len())];
        self.meanings = Some(Meanings::build(table, entries));
        self
    }

    /// Returns how many tools are indexed.
    pub fn n_tools(&self) -> usize {
        self.n_tools
    }

    /// Returns how many entries were more than [`MAX_TOOLS`] and are never found.
    pub fn n_left_out(&self) -> usize {
        self.n_left_out
    }

    /// Returns how many distinct terms the tools have.
    pub fn n_terms(&self) -> usize {
        self.terms.len()
    }

    /// Returns the names of the servers, by first appearance.
    pub fn servers(&self) -> impl Iterator<Item = &str> {
        self.servers.iter().map(AsRef::as_ref)
    }

    pub(crate) fn id(&self, term: &str) -> Option<TermId> {
        self.ids.get(term).copied()
    }

    pub(crate) fn postings(&self, term: TermId) -> &[Posting] {
        self.postings.of(term)
    }

    /// Returns how much of a term a tool has; 0 if it has none.
    pub(crate) fn amount(&self, term: TermId, tool: usize) -> f64 {
        let postings = self.postings.of(term);
        match postings.binary_search_by_key(&tool, |posting| posting.tool as usize) {
            Ok(at) => f64::from(postings[at].weight),
            Err(_) => 0.0,
        }
    }

    pub(crate) fn tools_named(&self, term: TermId) -> &[u32] {
        self.in_names.of(term)
    }

    pub(crate) fn rarity(&self, term: TermId) -> f64 {
        self.rarity[term as usize]
    }

    /// Returns what one occurrence in a field of `n_terms` terms adds; fields by their order.
    pub(crate) fn factor(&self, field: usize, n_terms: usize) -> f64 {
        factor(&self.tuning.fields[field], n_terms, self.averages[field])
    }

    /// Returns the weight of a term that no tool has.
    pub(crate) fn unknown_rarity(&self) -> f64 {
        rarity(self.n_tools, 0, self.tuning.rarity_power)
    }

    /// Returns the terms that a term is the start of, itself among them.
    pub(crate) fn longer_forms(&self, term: &str) -> &[TermId] {
        let text = |id: &TermId| self.terms[*id as usize].as_ref();
        let from = self.sorted.partition_point(|id| text(id) < term);
        let rest = &self.sorted[from..];
        &rest[..rest.partition_point(|id| text(id).starts_with(term))]
    }
}

/// Tells whether a term can be a form or a misspelling of another.
pub(crate) fn is_form_like(term: &str) -> bool {
    term.chars().all(char::is_alphabetic) && term.chars().nth(PREFIX_CHARS - 1).is_some()
}

/// What one occurrence adds: the field's weight, diluted by its length.
fn factor(tuned: &FieldWeight, n_terms: usize, average: f64) -> f64 {
    let share = tuned.length_share;
    tuned.weight / (1.0 - share + share * n_terms as f64 / average)
}

/// ln(1 + (N − df + ½) / (df + ½)) to a power, as BM25 has it.
fn rarity(n_tools: usize, n_having: usize, power: f64) -> f64 {
    let (n, having) = (n_tools as f64, n_having as f64);
    (1.0 + (n - having + 0.5) / (having + 0.5)).ln().powf(power)
}

/// The terms of a catalogue by number, and each word's term, so that it is stemmed once.
struct Vocabulary {
    stems: Stems,
    terms: Vec<Box<str>>,
    ids: HashMap<Box<str>, TermId>,
    words: HashMap<Box<str>, Option<TermId>>,
}

impl Vocabulary {
    fn new() -> Self {
        Self {
            stems: Stems::new(),
            terms: Vec::new(),
            ids: HashMap::new(),
            words: HashMap::new(),
        }
    }

    fn read(&mut self, text: &str, found: &mut Vec<TermId>) {
        for_each_word(text, |word, _| found.extend(self.term(word)));
    }

    fn term(&mut self, word: &str) -> Option<TermId> {
        if let Some(known) = self.words.get(word) {
            return *known;
        }
        let term = (!is_stop_word(word)).then(|| self.number(word));
        self.words.insert(word.into(), term);
        term
    }

    fn number(&mut self, word: &str) -> TermId {
        let stem = self.stems.stem(word);
        if let Some(id) = self.ids.get(stem.as_ref()) {
            return *id;
        }
        let id = self.terms.len() as TermId;
        self.terms.push(stem.as_ref().into());
        self.ids.insert(stem.into(), id);
        id
    }
}

/// The terms of one tool, field after field.
struct ToolTerms {
    terms: Vec<TermId>,
    ends: [u32; Field::ALL.len()],
}

impl ToolTerms {
    fn of(&self, field: usize) -> &[TermId] {
        let start = if field == 0 { 0 } else { self.ends[field - 1] };
        &self.terms[start as usize..self.ends[field] as usize]
    }
}

fn read_tools(
    entries: &[Entry<'_>],
    tuning: &Tuning,
    vocabulary: &mut Vocabulary,
) -> Vec<ToolTerms> {
    let mut tools: Vec<ToolTerms> = Vec::with_capacity(entries.len());
    let mut before: Option<&Entry<'_>> = None;
    for entry in entries {
        let texts = Texts::of(entry);
        let mut terms = Vec::new();
        let mut ends = [0; Field::ALL.len()];
        for (n, field) in Field::ALL.into_iter().enumerate() {
            match (before, tools.last()) {
                // Tools of one server follow one another: its text is read once.
                (Some(before), Some(tool))
                    if field == Field::ServerDescription
                        && before.server_description == entry.server_description =>
                {
                    terms.extend_from_slice(tool.of(n));
                }
                _ => vocabulary.read(texts.text(field, tuning.fields[n].max_bytes), &mut terms),
            }
            ends[n] = terms.len() as u32;
        }
        tools.push(ToolTerms { terms, ends });
        before = Some(entry);
    }
    tools
}

/// Average number of terms of each field, over the tools that have it.
fn average_lengths(tools: &[ToolTerms]) -> [f64; Field::ALL.len()] {
    std::array::from_fn(|field| {
        let lengths = tools.iter().map(|tool| tool.of(field).len());
        let (n, total) = lengths
            .filter(|length| *length > 0)
            .fold((0usize, 0usize), |(n, total), length| {
                (n + 1, total + length)
            });
        if n == 0 { 1.0 } else { total as f64 / n as f64 }
    })
}

/// Sums what the fields of one tool give to each of its terms.
pub(crate) struct TermCounter {
    weights: Vec<f64>,
    counts: Vec<u32>,
    /// Terms with a weight, by first appearance.
    touched: Vec<TermId>,
}

impl TermCounter {
    fn new(n_terms: usize) -> Self {
        Self {
            weights: vec![0.0; n_terms],
            counts: vec![0; n_terms],
            touched: Vec::new(),
        }
    }

    fn add(&mut self, terms: &[TermId], weight: f64, max_count: u32) {
        for term in terms {
            let at = *term as usize;
            self.counts[at] += 1;
            if self.counts[at] <= max_count {
                if self.weights[at] == 0.0 {
                    self.touched.push(*term);
                }
                self.weights[at] += weight;
            }
        }
        for term in terms {
            self.counts[*term as usize] = 0;
        }
    }

    fn drain(&mut self, mut visit: impl FnMut(TermId, f32)) {
        for term in self.touched.drain(..) {
            let weight = &mut self.weights[term as usize];
            visit(term, *weight as f32);
            *weight = 0.0;
        }
    }
}

/// One list for each term, in one allocation.
struct Lists<T> {
    starts: Vec<u32>,
    items: Vec<T>,
}

impl<T: Copy> Lists<T> {
    /// Sorts pairs by term; the order within a term stays.
    fn collect(n_terms: usize, pairs: &[(TermId, T)]) -> Self {
        let mut starts = vec![0u32; n_terms + 1];
        for (term, _) in pairs {
            starts[*term as usize + 1] += 1;
        }
        for term in 0..n_terms {
            starts[term + 1] += starts[term];
        }
        let mut next = starts.clone();
        let mut items: Vec<T> = pairs.iter().map(|(_, item)| *item).collect();
        for (term, item) in pairs {
            let at = &mut next[*term as usize];
            items[*at as usize] = *item;
            *at += 1;
        }
        Self { starts, items }
    }

    fn of(&self, term: TermId) -> &[T] {
        let term = term as usize;
        &self.items[self.starts[term] as usize..self.starts[term + 1] as usize]
    }
}

fn number_servers(entries: &[Entry<'_>]) -> (Vec<u32>, Vec<Box<str>>) {
    let mut numbers: HashMap<&str, u32> = HashMap::new();
    let mut servers: Vec<Box<str>> = Vec::new();
    let server_of = entries
        .iter()
        .map(|entry| {
            *numbers.entry(entry.server).or_insert_with(|| {
                servers.push(entry.server.into());
                servers.len() as u32 - 1
            })
        })
        .collect();
    (server_of, servers)
}
