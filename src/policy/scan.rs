//! Looks at definitions for what is written to a model rather than about a tool, and for names that can be
//! taken for others. Pure. It warns and decides nothing: fixed patterns stop no determined author, so what
//! is promised is that real lists are not disturbed. `docs/scanning.md` has the numbers.
//!
//! Rules are classes of speech known from published attacks, not texts of a data set: whatever a class says
//! is looked for in words, after hidden characters are out, look-alike letters are folded and white space is
//! one space. Time is linear in the text (no backtracking).

mod confusables;
mod names;
mod rules;
mod texts;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use crate::policy::hidden::{self, Kind};

pub use names::{Tool, across};
pub use rules::Rules;

use texts::{MAX_TEXTS, Part, Text, each_text};

/// Findings of one definition, at most, beside the one that says that there are more.
const MAX_FINDINGS: usize = 32;
/// Characters of a text that a finding shows.
const EXCERPT: usize = 100;

/// A class of what is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// The text hides characters in prose.
    Hidden,
    /// A name or value has hidden characters.
    HiddenName,
    /// Tells the model to drop other instructions.
    Override,
    /// Tells the model to keep something from the user.
    Secrecy,
    /// Speaks as the system, the user or the model: tags and marks of roles.
    Role,
    /// Asks for secrets or conversations to be passed on.
    Exfiltration,
    /// Claims rights, or that rules do not hold.
    Authority,
    /// Says that the tool does harm.
    Harm,
    /// Praises the tool above others.
    Preference,
    /// Asks which model calls, or for its prompt.
    AsksAboutModel,
    /// Base64 in which one of these rules fits.
    Encoded,
    /// Text far below or beside what is seen.
    Layout,
    /// A comment in markup in which one of these rules fits.
    Comment,
    /// A name with characters that tools do not have.
    OddName,
    /// The text of a server speaks of another one's tool.
    CrossServer,
    /// A name that looks like another tool's.
    LookAlike,
    /// Two servers have a tool of the same name, or of one that differs in case and separators.
    Collision,
    /// The definition has more than is looked at or told.
    Unscanned,
}

impl Rule {
    /// Its name in outputs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hidden => "hidden",
            Self::HiddenName => "hidden_name",
            Self::Override => "override",
            Self::Secrecy => "secrecy",
            Self::Role => "role",
            Self::Exfiltration => "exfiltration",
            Self::Authority => "authority",
            Self::Harm => "harm",
            Self::Preference => "preference",
            Self::AsksAboutModel => "asks_about_model",
            Self::Encoded => "encoded",
            Self::Layout => "layout",
            Self::Comment => "comment",
            Self::OddName => "odd_name",
            Self::CrossServer => "cross_server",
            Self::LookAlike => "look_alike",
            Self::Collision => "collision",
            Self::Unscanned => "unscanned",
        }
    }

    /// What it says of a definition, for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Hidden => "has characters that people do not see",
            Self::HiddenName => "has characters that people do not see in a name or value",
            Self::Override => "tells the model to ignore other instructions",
            Self::Secrecy => "tells the model to keep something from the user",
            Self::Role => "speaks as the system, the user or the model",
            Self::Exfiltration => "asks for secrets or conversations to be passed on",
            Self::Authority => "claims rights, or that rules do not hold",
            Self::Harm => "says that it does harm",
            Self::Preference => "praises itself above other tools",
            Self::AsksAboutModel => "asks which model calls it, or for its prompt",
            Self::Encoded => "has encoded text that speaks to the model",
            Self::Layout => "pushes text out of sight",
            Self::Comment => "has a comment that speaks to the model",
            Self::OddName => "has a name with unusual characters",
            Self::CrossServer => "speaks of another server's tool",
            Self::LookAlike => "has a name that looks like another tool's",
            Self::Collision => "has the same name as another server's tool",
            Self::Unscanned => "has more than is looked at",
        }
    }

    /// Whether it is a warning. Equal names are common among honest servers and only told.
    pub fn is_warning(self) -> bool {
        self != Self::Collision
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// By which rule.
    pub rule: Rule,
    /// The configured name of the server.
    pub server: String,
    /// The tool's own name, as it was sent.
    pub tool: String,
    /// JSON Pointer to the text in the definition.
    pub place: String,
    /// The text around it, in ASCII where it is not seen. Never for logs.
    pub excerpt: String,
    /// The other server and tool that it is about.
    pub other: Option<(String, String)>,
}

/// Scans all tools of all servers that one client sees; findings in the order of the tools.
pub fn scan(servers: &[(String, Vec<String>)]) -> Vec<Finding> {
    let rules = Rules::default();
    let mut found = Vec::new();
    let mut tools = Vec::new();
    for (server, definitions) in servers {
        for raw in definitions {
            let tool = Tool::of(server, raw);
            found.extend(scan_tool(&rules, &tool));
            tools.push(tool);
        }
    }
    found.extend(across(&rules, &tools));
    let mut order: HashMap<(&str, &str), usize> = HashMap::new();
    for (index, tool) in tools.iter().enumerate() {
        order.entry((tool.server, &tool.name)).or_insert(index);
    }
    found.sort_by_key(|finding| {
        let key = (finding.server.as_str(), finding.tool.as_str());
        (order.get(&key).copied(), finding.rule)
    });
    found
}

/// Scans one definition by itself. What was not looked at, or found and not told, is a finding too.
pub fn scan_tool(rules: &Rules, tool: &Tool<'_>) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    let finding = |rule: Rule, place: &str, excerpt: String| Finding {
        rule,
        server: tool.server.to_owned(),
        tool: tool.name.clone(),
        place: place.to_owned(),
        excerpt,
        other: None,
    };
    let mut has_more = false;
    let mut add = |rule: Rule, place: &str, excerpt: String| {
        let is_new = !found
            .iter()
            .any(|one| one.rule == rule && one.place == place);
        if is_new && found.len() < MAX_FINDINGS {
            found.push(finding(rule, place, excerpt));
        } else {
            has_more |= is_new;
        }
    };
    if names::is_odd(&tool.name) {
        add(Rule::OddName, "/name", visible(&tool.name));
    }
    let mut is_cut = false;
    for part in [Part::Prose, Part::Rest] {
        is_cut |= each_text(tool.raw, part, |text| {
            if let Some((rule, excerpt)) = hides(&text) {
                add(rule, text.place, excerpt);
            }
            for (rule, at) in judge(rules, &text) {
                add(rule, text.place, at);
            }
        });
    }
    if is_cut || has_more {
        let excerpt = match is_cut {
            true => format!("more than {MAX_TEXTS} texts; the rest was not looked at"),
            false => format!("more than {MAX_FINDINGS} findings; the rest is not told"),
        };
        found.push(finding(Rule::Unscanned, "", excerpt));
    }
    found
}

/// Finds characters in a text that people do not see.
fn hides(text: &Text<'_>) -> Option<(Rule, String)> {
    let read = &text.read;
    let first = hidden::find(&read.text)
        .first()
        .map(|first| (first.kind, first.range.start));
    let half = read.halves.first().map(|at| (Kind::Half, *at));
    let (kind, at) = first.or(half)?;
    let rule = match text.is_prose {
        true => Rule::Hidden,
        false => Rule::HiddenName,
    };
    let tags = hidden::decode_tags(&read.text);
    let excerpt = match kind {
        _ if !tags.is_empty() => format!("{kind} = \"{}\"", visible(&tags)),
        Kind::Half => format!("{kind}: {}", excerpt(&read.text, at)),
        _ => excerpt(&read.text, at),
    };
    Some((rule, excerpt))
}

/// Judges one text: rules, each with what it fits.
fn judge(rules: &Rules, text: &Text<'_>) -> Vec<(Rule, String)> {
    let is_key = text.is_key;
    let text = text.read.text.as_str();
    let mut found = Vec::new();
    if let Some(at) = rules::layout(text) {
        found.push((Rule::Layout, excerpt(text, at)));
    }
    let plain = plain(text);
    if is_key {
        if rules::asks_about_model(&plain) {
            found.push((Rule::AsksAboutModel, visible(&plain)));
        }
        return found;
    }
    for (rule, at) in rules.speech(&plain) {
        found.push((rule, excerpt(&plain, at)));
    }
    if rules.comment(&plain) {
        found.push((
            Rule::Comment,
            excerpt(&plain, plain.find("<!--").unwrap_or(0)),
        ));
    }
    if let Some(decoded) = rules.encoded(text) {
        found.push((Rule::Encoded, excerpt(&decoded, 0)));
    }
    found
}

/// A text as rules read it: nothing hidden, look-alike letters as the ones they look like, white space as one
/// space.
fn plain(text: &str) -> String {
    let seen = hidden::clean(text);
    let mut plain = String::with_capacity(seen.len());
    for c in seen.chars() {
        if c.is_whitespace() {
            if !plain.ends_with(' ') {
                plain.push(' ');
            }
        } else if c.is_ascii() {
            plain.push(c);
        } else {
            plain.push_str(&names::folded(c));
        }
    }
    plain
}

fn excerpt(text: &str, at: usize) -> String {
    let start = text[..at]
        .char_indices()
        .rev()
        .take(EXCERPT / 4)
        .last()
        .map_or(at, |(start, _)| start);
    let part: String = text[start..].chars().take(EXCERPT).collect();
    visible(&part)
}

/// A text that can be printed: what is not seen, and what turns text, as an escape.
pub fn visible(text: &str) -> String {
    let is_plain = |c: char| {
        !c.is_control() && hidden::find(c.encode_utf8(&mut [0; 4])).is_empty() && c != '\u{2028}'
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match is_plain(c) {
            true => shown.push(c),
            false => shown.push_str(&c.escape_unicode().to_string()),
        }
    }
    shown
}

/// The name of a tool in a raw definition.
fn name_of(raw: &str) -> Cow<'_, str> {
    crate::jsonrpc::members::get_text(raw.as_bytes(), "name").map_or("".into(), Cow::Owned)
}

#[cfg(test)]
mod tests;
