//! Tools by what they are called: exact names, other spellings and titles, and "did you mean" for a
//! name that is none. No weights here: a hit by name comes before everything that was scored.

use std::collections::{HashMap, HashSet};

use crate::search::fields::{Entry, cut};
use crate::search::nearest::distance;
use crate::search::words::name_key;

/// Bytes of a name or title that are looked at.
const NAME_BYTES: usize = 256;
/// Words of a query that are looked at for names of tools.
const QUERY_WORDS: usize = 64;
/// Mean share of letters that may differ between a name and the one that is offered for it.
const MOST_DIFFERENT: f64 = 0.4;

/// How a query names a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NameHit {
    /// The query is the tool's name or id, to the letter.
    Exact,
    /// The query is the name in another spelling: `create issue` for `createIssue`.
    Spelling,
    /// The query is the title, or server and name together (`mcp__server__tool`).
    Alias,
    /// A word of the query is the name or id of the tool, and looks like an identifier.
    Mention,
}

/// Names of tools as they may be asked for.
pub(crate) struct Names {
    by_text: HashMap<Box<str>, Vec<u32>>,
    by_key: HashMap<Box<str>, Vec<u32>>,
    by_alias: HashMap<Box<str>, Vec<u32>>,
    /// Words of each tool's name and which letters they have, by tool.
    words: Vec<(Box<str>, Letters)>,
}

impl Names {
    pub(crate) fn build(entries: &[Entry<'_>]) -> Self {
        let mut names = Self {
            by_text: HashMap::new(),
            by_key: HashMap::new(),
            by_alias: HashMap::new(),
            words: Vec::with_capacity(entries.len()),
        };
        for (tool, entry) in (0..).zip(entries) {
            let name = cut(entry.name, NAME_BYTES);
            add(&mut names.by_text, name, tool);
            add(&mut names.by_text, cut(entry.id, NAME_BYTES), tool);
            let key = name_key(name);
            add(&mut names.by_key, &key, tool);
            if let Some(title) = entry.title {
                add(&mut names.by_alias, &name_key(cut(title, NAME_BYTES)), tool);
            }
            let server = name_key(cut(entry.server, NAME_BYTES));
            if !server.is_empty() {
                add(&mut names.by_alias, &format!("{server} {key}"), tool);
            }
            let letters = Letters::of(&key);
            names.words.push((key.into(), letters));
        }
        names
    }

    /// Returns the tools that a query names, with how, the best first; each once.
    pub(crate) fn hits(&self, query: &str) -> Vec<(NameHit, u32)> {
        let mut hits = Vec::new();
        let whole = query.trim().trim_matches(['"', '\'', '`']);
        if whole.len() <= NAME_BYTES {
            extend(&mut hits, NameHit::Exact, self.by_text.get(whole));
            let key = name_key(whole);
            if !key.is_empty() {
                extend(&mut hits, NameHit::Spelling, self.by_key.get(key.as_str()));
                let alias = key.strip_prefix("mcp ").unwrap_or(&key);
                extend(&mut hits, NameHit::Alias, self.by_alias.get(alias));
            }
        }
        for word in query.split_whitespace().take(QUERY_WORDS) {
            let word = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '_');
            if is_identifier(word) {
                extend(&mut hits, NameHit::Mention, self.by_text.get(word));
            }
        }
        hits.sort_unstable();
        let mut seen = HashSet::new();
        hits.retain(|(_, tool)| seen.insert(*tool));
        hits
    }

    /// Returns the tools whose names are nearest to one that no tool has, the nearest first, at most
    /// `limit`, of tools with the same name the first. Order of words, spelling and a few wrong letters
    /// are forgiven; case and separators do not count.
    pub(crate) fn nearest(&self, name: &str, limit: usize) -> Vec<u32> {
        let key = name_key(cut(name, NAME_BYTES));
        let asked = Spelled::of(&key);
        let wanted = Letters::of(&key);
        let mut found: Vec<(f64, u32)> = (0..)
            .zip(&self.words)
            .filter(|(_, (_, letters))| wanted.are_like(*letters))
            .map(|(tool, (words, _))| (asked.difference(&Spelled::of(words)), tool))
            .filter(|(difference, _)| *difference <= MOST_DIFFERENT)
            .collect();
        found.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut nearest: Vec<u32> = Vec::new();
        for (_, tool) in found {
            let key = |tool: u32| &self.words[tool as usize].0;
            if nearest.len() < limit && nearest.iter().all(|known| key(*known) != key(tool)) {
                nearest.push(tool);
            }
        }
        nearest
    }
}

fn add(map: &mut HashMap<Box<str>, Vec<u32>>, key: &str, tool: u32) {
    if key.is_empty() {
        return;
    }
    let tools = map.entry(key.into()).or_default();
    if tools.last() != Some(&tool) {
        tools.push(tool);
    }
}

fn extend(hits: &mut Vec<(NameHit, u32)>, kind: NameHit, tools: Option<&Vec<u32>>) {
    hits.extend(tools.into_iter().flatten().map(|tool| (kind, *tool)));
}

/// Tells whether a word of a sentence can only be a name: `create_issue` and `createIssue`, not `search`.
fn is_identifier(word: &str) -> bool {
    let has_separator = word.contains(['_', '-', '.', ':', '/']);
    let has_hump = word
        .chars()
        .zip(word.chars().skip(1))
        .any(|(a, b)| a.is_lowercase() && b.is_uppercase());
    has_separator || has_hump
}

/// Which letters a name has, one bit each (letters beyond `z` share bits): most names are dismissed by
/// it, so that a wrong name costs little among thousands of tools.
#[derive(Debug, Clone, Copy)]
struct Letters(u64);

impl Letters {
    fn of(key: &str) -> Self {
        let bit = |c: char| match c {
            'a'..='z' => u32::from(c) - u32::from('a'),
            _ => 26 + u32::from(c) % 38,
        };
        let letters = key.chars().filter(|c| *c != ' ');
        Self(letters.fold(0, |bits, c| bits | 1 << bit(c)))
    }

    /// Tells whether each of two names has at least two thirds of the other's letters.
    fn are_like(self, other: Self) -> bool {
        let n_shared = (self.0 & other.0).count_ones();
        let n_most = self.0.count_ones().max(other.0.count_ones());
        n_most > 0 && n_shared * 3 >= n_most * 2
    }
}

/// A name in letters.
struct Spelled {
    whole: Vec<char>,
    words: Vec<Vec<char>>,
}

impl Spelled {
    fn of(key: &str) -> Self {
        Self {
            whole: key.chars().filter(|c| *c != ' ').collect(),
            words: key.split(' ').map(|word| word.chars().collect()).collect(),
        }
    }

    /// 0 for the same, 1 for nothing in common: the smaller of the difference of the names as they are
    /// written and that of their words in any order.
    fn difference(&self, other: &Self) -> f64 {
        let whole = letters(&self.whole, &other.whole);
        let words = self.uncovered(other).midpoint(other.uncovered(self));
        whole.min(words)
    }

    /// The mean, by letters, of how far each word is from its nearest in `other`.
    fn uncovered(&self, other: &Self) -> f64 {
        let cost = |word: &Vec<char>| {
            let nearest = other.words.iter().map(|candidate| letters(word, candidate));
            nearest.fold(1.0, f64::min) * word.len() as f64
        };
        self.words.iter().map(cost).sum::<f64>() / self.whole.len().max(1) as f64
    }
}

/// The share of letters that differ; 1 if more than half do. Most words of names are equal or of very
/// different lengths.
fn letters(a: &[char], b: &[char]) -> f64 {
    if a == b {
        return 0.0;
    }
    let longest = a.len().max(b.len()).max(1);
    match distance(a, b, longest / 2) {
        Some(distance) => distance as f64 / longest as f64,
        None => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let entry = |name, title, server| Entry {
            id: name,
            name,
            title,
            server,
            ..Entry::default()
        };
        Names::build(&[
            entry("create_issue", Some("Open a ticket"), "tracker"),
            entry("createIssue", None, "other"),
            entry("search", None, "tracker"),
            entry("list_pull_requests", None, "tracker"),
            entry("", None, ""),
        ])
    }

    #[test]
    fn names_are_hit_in_order() {
        use NameHit::{Alias, Exact, Mention, Spelling};
        #[track_caller]
        fn check(query: &str, expected: &[(NameHit, u32)]) {
            assert_eq!(names().hits(query), expected, "{query}");
        }
        check("create_issue", &[(Exact, 0), (Spelling, 1)]);
        check(" `createIssue` ", &[(Exact, 1), (Spelling, 0)]);
        check("Create Issue", &[(Spelling, 0), (Spelling, 1)]);
        check("open a TICKET", &[(Alias, 0)]);
        check("mcp__tracker__search", &[(Alias, 2)]);
        check("tracker search", &[(Alias, 2)]);
        check("call create_issue, then search", &[(Mention, 0)]);
        check("how to search", &[]);
        check("", &[]);
        check("---", &[]);
    }

    /// Broken variant that this catches: one that looks for each hit among all before it; it would take minutes.
    #[test]
    fn a_title_that_very_many_tools_have_is_found_at_once() {
        let entry = Entry {
            id: "tool",
            name: "tool",
            title: Some("Open a ticket"),
            server: "tracker",
            ..Entry::default()
        };
        let n = 100_000;
        let hits = Names::build(&vec![entry; n]).hits("open a ticket");
        assert_eq!(hits.len(), n);
    }

    #[test]
    fn did_you_mean() {
        #[track_caller]
        fn check(name: &str, expected: &[u32]) {
            assert_eq!(names().nearest(name, 2), expected, "{name}");
        }
        check("create_isue", &[0]);
        check("issue_create", &[0]);
        check("listPullRequest", &[3]);
        check("serach", &[2]);
        check("send_mail", &[]);
        check("", &[]);
        check(&"x".repeat(100_000), &[]);
    }
}
