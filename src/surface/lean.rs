//! The `lean` rendering: the same meaning in fewer tokens. Leaves out definitions that nothing
//! reaches, the marker of the default dialect, titles that a program wrote, text said twice, and
//! insignificant whitespace; it changes nothing else.
//!
//! It may not change a judgement: every instance is judged the same by the original schema and the
//! lean one. So no bound, format, `additionalProperties`, other dialect's marker or unknown keyword
//! goes, and values (`default`, `const`, `enum`, `examples`) are data that nobody looks into. What
//! stays keeps its bytes: key order, numbers, escapes. What it does not understand it leaves alone;
//! it never fails. MCP's list of what must survive: 2026-07-28 server/tools.

mod reach;
mod titles;

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use serde_json::value::RawValue;

use crate::surface::tree::Node;
use crate::surface::tree::TreeError;

/// The dialect of a schema without `$schema` (MCP 2025-11-25 and newer, basic: "JSON Schema usage").
const DEFAULT_DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// How much of one tool is looked at. A larger one stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one tool definition.
    pub max_bytes: usize,
    /// Nesting of values inside one another, the tool itself being the first.
    pub max_depth: usize,
    /// JSON values in one tool definition.
    pub max_nodes: usize,
}

impl Default for Limits {
    /// The largest of 2,834 real tools has 85 kB, so 4 MiB is ample.
    fn default() -> Self {
        Self {
            max_bytes: 4 * 1024 * 1024,
            max_depth: 128,
            max_nodes: 400_000,
        }
    }
}

/// A tool, or a list of tools, made lean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaned {
    /// The result.
    pub outcome: Outcome,
    /// What was left out.
    pub removed: Removed,
    /// What was found that kept a part from being made lean; never an error.
    pub diagnostics: Vec<Diagnostic>,
}

/// Whether the text changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The original bytes are to be used.
    Unchanged,
    /// The lean text; always shorter than the original.
    Changed(String),
}

/// What was left out, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Definitions that nothing reached.
    pub n_definitions: usize,
    /// Generated titles, and titles equal to the description beside them.
    pub n_titles: usize,
    /// Markers of the default dialect.
    pub n_dialect_markers: usize,
    /// Texts that stood elsewhere in the same tool.
    pub n_duplicate_texts: usize,
}

/// Why a part stayed as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Diagnostic {
    /// The tool has more bytes than allowed.
    TooLarge,
    /// The tool is nested deeper than allowed.
    TooDeep,
    /// The tool has more values than allowed.
    TooManyNodes,
    /// The text is not JSON, or not an object (for a list: an array).
    Malformed,
    /// A key stands twice in one object, so parsers disagree on what the tool says; only
    /// whitespace went.
    DuplicateKey {
        /// JSON Pointer of the second one.
        pointer: String,
    },
    /// Definitions stay because references may mean something we do not resolve.
    DefinitionsKept {
        /// `inputSchema` or `outputSchema`.
        schema: &'static str,
        /// What was seen.
        reason: &'static str,
    },
    /// One tool of a list has that diagnostic.
    InTool {
        /// The tool's place in the list, from 0.
        index: usize,
        /// What was found in it.
        diagnostic: Box<Diagnostic>,
    },
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => f.write_str("definition is too large to be made lean"),
            Self::TooDeep => f.write_str("definition is nested too deep to be made lean"),
            Self::TooManyNodes => f.write_str("definition has too many values to be made lean"),
            Self::Malformed => f.write_str("definition is not the JSON expected"),
            Self::DuplicateKey { pointer } => write!(f, "key is written twice: `{pointer}`"),
            Self::DefinitionsKept { schema, reason } => {
                write!(f, "definitions of `{schema}` kept: {reason}")
            }
            Self::InTool { index, diagnostic } => write!(f, "tool {index}: {diagnostic}"),
        }
    }
}

impl Leaned {
    fn unchanged(diagnostics: Vec<Diagnostic>) -> Self {
        Self {
            outcome: Outcome::Unchanged,
            removed: Removed::default(),
            diagnostics,
        }
    }

    /// Returns the text to show: the lean one, or `original` if that stays.
    pub fn text<'a>(&'a self, original: &'a str) -> &'a str {
        match &self.outcome {
            Outcome::Unchanged => original,
            Outcome::Changed(text) => text,
        }
    }

    /// Says whether there is anything new.
    pub fn is_changed(&self) -> bool {
        matches!(self.outcome, Outcome::Changed(_))
    }
}

/// Makes one tool lean. `raw_tool` is its JSON as the server sent it.
///
/// Idempotent, deterministic, never longer. Work is linear in the text (up to hashing).
pub fn lean(raw_tool: &str, limits: &Limits) -> Leaned {
    if raw_tool.len() > limits.max_bytes {
        return Leaned::unchanged(vec![Diagnostic::TooLarge]);
    }
    let tool = match Node::parse(raw_tool, limits.max_depth, limits.max_nodes) {
        Ok(tool) if tool.is_object() => tool,
        Ok(_) | Err(TreeError::Malformed) => {
            return Leaned::unchanged(vec![Diagnostic::Malformed]);
        }
        Err(TreeError::TooDeep) => return Leaned::unchanged(vec![Diagnostic::TooDeep]),
        Err(TreeError::TooManyNodes) => return Leaned::unchanged(vec![Diagnostic::TooManyNodes]),
    };
    let mut cut = Cut::default();
    match tool.duplicate_key() {
        Some(pointer) => cut.diagnostics.push(Diagnostic::DuplicateKey { pointer }),
        None => cut.tool(&tool),
    }
    let mut text = String::with_capacity(raw_tool.len());
    tool.render(&cut.members, &mut text);
    let outcome = if text.len() < raw_tool.len() {
        Outcome::Changed(text)
    } else {
        Outcome::Unchanged
    };
    Leaned {
        outcome,
        removed: cut.removed,
        diagnostics: cut.diagnostics,
    }
}

/// Makes every tool of a `tools` array lean. Order and number stay; an element that is no object
/// stays as it is.
pub fn lean_all(raw_tools: &str, limits: &Limits) -> Leaned {
    let Ok(tools) = serde_json::from_str::<Vec<&RawValue>>(raw_tools) else {
        return Leaned::unchanged(vec![Diagnostic::Malformed]);
    };
    let mut all = Leaned::unchanged(Vec::new());
    let mut text = String::with_capacity(raw_tools.len());
    text.push('[');
    for (index, tool) in tools.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        let leaned = lean(tool.get(), limits);
        text.push_str(leaned.text(tool.get()));
        all.diagnostics
            .extend(leaned.diagnostics.into_iter().map(|diagnostic| {
                let diagnostic = Box::new(diagnostic);
                Diagnostic::InTool { index, diagnostic }
            }));
        all.removed += leaned.removed;
    }
    text.push(']');
    if text.len() < raw_tools.len() {
        all.outcome = Outcome::Changed(text);
    }
    all
}

impl std::ops::AddAssign for Removed {
    fn add_assign(&mut self, other: Self) {
        self.n_definitions += other.n_definitions;
        self.n_titles += other.n_titles;
        self.n_dialect_markers += other.n_dialect_markers;
        self.n_duplicate_texts += other.n_duplicate_texts;
    }
}

/// The members to leave out of one tool, found so far.
#[derive(Default)]
struct Cut {
    members: HashSet<usize>,
    removed: Removed,
    diagnostics: Vec<Diagnostic>,
}

impl Cut {
    fn tool(&mut self, tool: &Node<'_>) {
        let name = tool.string("name");
        self.display_names(tool, name);
        for keyword in ["inputSchema", "outputSchema"] {
            let Some(schema) = tool.member(keyword).map(|member| &member.value) else {
                continue;
            };
            if !schema.is_object() {
                continue;
            }
            self.dialect_marker(schema);
            let dead = self.definitions(keyword, schema);
            let titles = titles::generated(schema, name).into_iter();
            // What goes with its definition is no title left out.
            let titles = titles.filter(|at| {
                let next = dead.partition_point(|span| span.end <= *at);
                !dead.get(next).is_some_and(|span| span.contains(at))
            });
            self.removed.n_titles += self.leave_out(titles);
            // A model reads the tool's description right before the schema's.
            let description = tool.string("description");
            if let Some(again) = schema.member("description")
                && description.is_some()
                && again.value.as_str() == description
            {
                self.removed.n_duplicate_texts += self.leave_out([again.at]);
            }
        }
    }

    /// `title`, then `annotations.title`, then `name` is what clients display (MCP 2025-06-18
    /// schema, `Tool.title`). A link of that chain goes where the next one says the same.
    fn display_names(&mut self, tool: &Node<'_>, name: Option<&str>) {
        let annotations = tool.member("annotations");
        let annotated = annotations.and_then(|member| member.value.member("title"));
        let annotated_text = annotated.and_then(|member| member.value.as_str());
        let title = tool.member("title");
        let title_text = title.and_then(|member| member.value.as_str());
        if let (Some(annotations), Some(annotated), Some(text)) =
            (annotations, annotated, annotated_text)
            && (title_text == Some(text) || (title.is_none() && name == Some(text)))
        {
            let is_alone = annotations.value.members().len() == 1;
            let at = if is_alone {
                annotations.at
            } else {
                annotated.at
            };
            self.removed.n_duplicate_texts += self.leave_out([at]);
        }
        if let (Some(title), Some(text)) = (title, title_text)
            && name == Some(text)
            && (annotated.is_none() || annotated_text == Some(text))
        {
            self.removed.n_duplicate_texts += self.leave_out([title.at]);
        }
    }

    fn dialect_marker(&mut self, schema: &Node<'_>) {
        if let Some(marker) = schema.member("$schema")
            && marker.value.as_str() == Some(DEFAULT_DIALECT)
        {
            self.removed.n_dialect_markers += self.leave_out([marker.at]);
        }
    }

    /// Leaves out unreachable definitions; returns the bytes they take, in text order.
    fn definitions(&mut self, keyword: &'static str, schema: &Node<'_>) -> Vec<Range<usize>> {
        let found = reach::unreachable(schema);
        self.leave_out(found.members.iter().map(|span| span.start));
        self.removed.n_definitions += found.n_definitions;
        if let Some(reason) = found.doubt {
            self.diagnostics.push(Diagnostic::DefinitionsKept {
                schema: keyword,
                reason,
            });
        }
        found.members
    }

    fn leave_out(&mut self, members: impl IntoIterator<Item = usize>) -> usize {
        let members = members.into_iter();
        members.filter(|at| self.members.insert(*at)).count()
    }
}

#[cfg(test)]
mod tests;
