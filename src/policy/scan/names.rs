//! Names that can be taken for others, and texts that speak of other servers' tools.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use super::confusables::skeleton;
use super::texts::{Part, each_text};
use super::{Finding, Rule, Rules, name_of, visible};

/// Letters that a name needs to be one that is not written by chance.
const DISTINCT: usize = 6;
/// Findings across servers, at most.
const MAX_ACROSS: usize = 1000;

/// One tool of one server.
#[derive(Debug, Clone)]
pub struct Tool<'a> {
    /// The configured name of its server.
    pub server: &'a str,
    /// Its own name; empty where it has none.
    pub name: String,
    /// The definition as it was sent.
    pub raw: &'a str,
}

impl<'a> Tool<'a> {
    /// Reads a raw definition.
    pub fn of(server: &'a str, raw: &'a str) -> Self {
        Self {
            server,
            name: name_of(raw).into_owned(),
            raw,
        }
    }
}

/// The letters that one looks like (UTS 39 §4 confusables), in ASCII where there are such.
pub(super) fn folded(c: char) -> String {
    let mut buffer = [0; 4];
    let mut folded = skeleton(c.encode_utf8(&mut buffer));
    // `I` looks like `l` there; in a word it is read as itself.
    if folded == "l" && c.is_uppercase() {
        folded = "I".to_owned();
    }
    folded
}

/// Tells whether a name has what names of tools do not have (MCP 2025-11-25 server/tools "Tool Names", and
/// `/`, `:`, blanks, which real servers use).
pub(super) fn is_odd(name: &str) -> bool {
    !name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':' | ' '))
}

/// What a name looks like at a glance: case, separators and a version at the end do not count.
fn glance(name: &str) -> String {
    let plain: String = name
        .chars()
        .filter(|c| c.is_alphanumeric() || !c.is_ascii())
        .flat_map(char::to_lowercase)
        .collect();
    skeleton(&plain).to_lowercase()
}

/// The same without what only says which version it is.
fn base(name: &str) -> Cow<'_, str> {
    let trimmed = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let stem = trimmed.strip_suffix(['v', 'V']).unwrap_or(trimmed);
    match stem.strip_suffix(['_', '-', '.']) {
        Some(stem) if trimmed.len() < name.len() && !stem.is_empty() => Cow::Borrowed(stem),
        _ => Cow::Borrowed(name),
    }
}

/// Compares the tools of all servers: names that look alike, and texts of one server that speak of a tool of
/// another.
pub fn across(rules: &Rules, tools: &[Tool<'_>]) -> Vec<Finding> {
    let mut found = Vec::new();
    look_alikes(tools, &mut found);
    references(rules, tools, &mut found);
    found.truncate(MAX_ACROSS);
    found
}

fn finding(rule: Rule, tool: &Tool<'_>, place: &str, excerpt: String, other: &Tool<'_>) -> Finding {
    Finding {
        rule,
        server: tool.server.to_owned(),
        tool: tool.name.clone(),
        place: place.to_owned(),
        excerpt,
        other: Some((other.server.to_owned(), other.name.clone())),
    }
}

/// Of two names the later one is told.
fn look_alikes(tools: &[Tool<'_>], found: &mut Vec<Finding>) {
    let mut seen: HashMap<String, &Tool<'_>> = HashMap::new();
    for tool in tools.iter().filter(|tool| !tool.name.is_empty()) {
        for key in [glance(&tool.name), glance(&base(&tool.name))] {
            let Some(first) = seen.get(key.as_str()) else {
                continue;
            };
            let is_other = first.server != tool.server;
            let letters = |name: &str| -> String {
                let all = name
                    .chars()
                    .filter(|c| c.is_alphanumeric() || !c.is_ascii());
                all.flat_map(char::to_lowercase).collect()
            };
            let is_same = letters(&first.name) == letters(&tool.name);
            let rule = match (is_same, is_other) {
                (true, true) => Rule::Collision,
                // A server's own `list` and `List` are its affair.
                (true, false) => break,
                // `read_file_v2` beside `read_file` of the same server as well.
                (false, false) if first.name.is_ascii() && tool.name.is_ascii() => break,
                (false, _) => Rule::LookAlike,
            };
            found.push(finding(rule, tool, "/name", visible(&tool.name), first));
            break;
        }
        seen.entry(glance(&tool.name)).or_insert(tool);
    }
}

fn references(rules: &Rules, tools: &[Tool<'_>], found: &mut Vec<Finding>) {
    let mut by_name: BTreeMap<&str, Vec<&Tool<'_>>> = BTreeMap::new();
    for tool in tools.iter().filter(|tool| is_distinct(&tool.name)) {
        by_name.entry(&tool.name).or_default().push(tool);
    }
    let mut own: HashMap<&str, HashSet<&str>> = HashMap::new();
    for tool in tools {
        own.entry(tool.server).or_default().insert(&tool.name);
    }
    for tool in tools {
        // A parameter of that name is what is meant.
        let mut parameters: HashSet<String> = HashSet::new();
        each_text(tool.raw, Part::Rest, |text| {
            if text.is_key {
                parameters.insert(text.read.text);
            }
        });
        let mut told = HashSet::new();
        each_text(tool.raw, Part::Prose, |text| {
            let said = text.read.text.as_str();
            for word in words(said) {
                let Some((name, others)) = by_name.get_key_value(word) else {
                    continue;
                };
                let is_own = own[tool.server].contains(word) || parameters.contains(word);
                let other = others.iter().find(|other| other.server != tool.server);
                if let Some(other) = other
                    && !is_own
                    && is_addressed(rules, said, word)
                    && told.insert(*name)
                {
                    let excerpt = visible(word);
                    found.push(finding(Rule::CrossServer, tool, text.place, excerpt, other));
                }
            }
        });
    }
}

/// Tells whether a name is one that is not written by chance: of several words, and long.
fn is_distinct(name: &str) -> bool {
    let is_camel = name
        .as_bytes()
        .windows(2)
        .any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase());
    name.len() >= DISTINCT && (is_camel || name.contains(['_', '-']))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-')))
        .filter(|word| word.len() >= DISTINCT)
}

/// Tells whether the sentence with the word says what is to be done.
fn is_addressed(rules: &Rules, text: &str, word: &str) -> bool {
    text.split(['.', '!', '?', '\n'])
        .filter(|sentence| sentence.contains(word))
        .any(|sentence| rules.is_directive(sentence))
}
