//! Whether a question is answered: by a text as it is, or by one call of `read_result` that follows from
//! the question and from that text alone.
//!
//! The rule. A reader may search for what the question names (`grep`, escaped; the sample names handle and
//! argument), count what it names (`count` with `grep`, or with the pointer in the question), ask for
//! the last line or element by the number of them that the sample states (`lines`, `items`), and read the two
//! fields that the question names of all elements of the array that the sample names first (`fields`). A
//! call answers with one page, capped as the sample is. Two calls are one too many, `jq` is not
//! used, and there is no call for a maximum: it has to be in the sample.
//!
//! An answer counts if it stands there whole: a needle within 1,500 bytes of what was searched for, a
//! number with no digit beside it and, where it counts, next to a word that says what is counted, or, for
//! a maximum of fewer than four digits, behind the name of the field.

use std::ops::Range;

use mcp_whittle::result::query::Document;
use mcp_whittle::result::query::Limits;
use mcp_whittle::result::query::Outcome;
use mcp_whittle::result::query::Query;
use mcp_whittle::result::query::Span;
use mcp_whittle::result::query::answer;

use serde::Deserialize;

/// One line of what `testdata/questions/ask.py` prints.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Question {
    pub(crate) file: String,
    pub(crate) kind: String,
    pub(crate) question: String,
    /// What a reader would search for.
    pub(crate) key: String,
    /// The field or the thing.
    pub(crate) name: String,
    pub(crate) answer: String,
    /// The field that has the key.
    #[serde(default, rename = "where")]
    pub(crate) key_name: String,
}

/// Bytes between a key and what belongs to it.
const NEAR: usize = 1_500;
/// Words beside a number that counts something.
const COUNTS: [&str; 9] = [
    "element", "line", "item", "row", " of ", "×", "match", "hits", "member",
];

impl Question {
    /// Whether `text` has the answer.
    pub(crate) fn is_answered_by(&self, text: &str) -> bool {
        let escaped = serde_json::Value::from(self.answer.as_str()).to_string();
        let escaped = &escaped[1..escaped.len() - 1];
        match self.kind.as_str() {
            "needle" => {
                let key = serde_json::Value::from(self.key.as_str()).to_string();
                [&self.key, &key[1..key.len() - 1]].into_iter().any(|key| {
                    text.match_indices(key).take(200).any(|(at, key)| {
                        let near = window(text, at..at + key.len(), NEAR);
                        near.contains(&self.answer) || near.contains(escaped)
                    })
                })
            }
            "count" => self.numbers(text).any(|at| {
                let near = window(text, at, 40);
                COUNTS.iter().any(|word| near.contains(word))
            }),
            "max" => self.numbers(text).any(|at| {
                self.answer.len() >= 4 || window(text, at.start..at.start, 160).contains(&self.name)
            }),
            _ => text.contains(&self.answer) || text.contains(escaped),
        }
    }

    /// Where the answer stands with no digit beside it.
    fn numbers<'a>(&'a self, text: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
        text.match_indices(self.answer.as_str())
            .map(|(at, found)| at..at + found.len())
            .filter(|at| {
                let before = text[..at.start].chars().next_back();
                let mut after = text[at.end..].chars();
                let (next, then) = (after.next(), after.next());
                let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
                let goes_on =
                    next == Some('.') && is_digit(then) && !text[at.end..].starts_with("..");
                !is_digit(before) && !is_digit(next) && !goes_on
            })
    }

    /// Whether one call that follows from the question and `sample` brings the answer.
    pub(crate) fn is_answered_by_one_call(
        &self,
        sample: &str,
        document: &Document,
        limits: &Limits<'_>,
    ) -> bool {
        if !sample.contains("read_result {\"handle\"") {
            return false;
        }
        [self.call(sample), self.other_call(sample)]
            .into_iter()
            .flatten()
            .filter_map(
                |query| match answer(&query, document, "read_result", limits) {
                    Ok(Outcome::Answer(answer)) => {
                        Some(answer.text + "\n" + &answer.note.unwrap_or_default())
                    }
                    _ => None,
                },
            )
            .any(|text| self.is_answered_by(&text))
    }

    /// For values: the two fields of all elements, or the last element, of the array that the sample names
    /// first.
    fn other_call(&self, sample: &str) -> Option<Query> {
        let (place, n_elements) = named_array(sample)?;
        let pointer = Some(place);
        let query = Query {
            pointer,
            ..Query::default()
        };
        match self.kind.as_str() {
            "needle" if !self.key_name.is_empty() => Some(Query {
                fields: vec![self.key_name.clone(), self.name.clone()],
                ..query
            }),
            "last" => Some(Query {
                items: Some(Span {
                    first: n_elements.checked_sub(1)?,
                    last: None,
                }),
                ..query
            }),
            _ => None,
        }
    }

    fn call(&self, sample: &str) -> Option<Query> {
        let query = Query::default();
        match self.kind.as_str() {
            "needle" | "error" => Some(Query {
                grep: Some(regex_of(&self.key)),
                context: (self.kind == "error").then_some(0),
                ..query
            }),
            "count" if !self.key.is_empty() => Some(Query {
                grep: Some(self.key.clone()),
                count: true,
                ..query
            }),
            "count" => {
                let place = self.question.strip_prefix("How many elements has ");
                let place = place
                    .map(|place| place.trim_end_matches('?'))
                    .filter(|place| place.starts_with('/'));
                Some(Query {
                    pointer: place.map(str::to_owned),
                    count: true,
                    ..query
                })
            }
            "last" => {
                let (before, _) = sample.split_once(" lines;")?;
                let n_lines = before.rsplit(' ').next()?.parse().ok()?;
                Some(Query {
                    lines: Some(Span {
                        first: n_lines,
                        last: Some(n_lines),
                    }),
                    ..query
                })
            }
            _ => None,
        }
    }
}

/// The array that is named first, by what is shown of it or by what is said of its elements.
fn named_array(sample: &str) -> Option<(String, usize)> {
    sample
        .lines()
        .take_while(|line| !line.starts_with("---"))
        .find_map(|line| {
            let (place, n) = match line.split_once(" elements of ") {
                Some((before, after)) => (after.split_once(" (")?.0, before.rsplit(' ').next()?),
                None => {
                    let (place, rest) = line.split_once("/*: ")?;
                    (place, rest.split_once(" elements")?.0)
                }
            };
            let place = if place == "the top level" { "" } else { place };
            (!place.contains(['*', ' '])).then(|| Some((place.to_owned(), n.parse().ok()?)))?
        })
}

fn window(text: &str, at: Range<usize>, reach: usize) -> &str {
    let border = |mut at: usize| {
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    &text[border(at.start.saturating_sub(reach))..border((at.end + reach).min(text.len()))]
}

fn regex_of(key: &str) -> String {
    let mut pattern = String::new();
    for c in key.chars() {
        if c.is_ascii_punctuation() && c != '_' && c != '-' {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}
