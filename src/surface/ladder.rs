//! The ladder of one tool: its renderings from the bytes as sent to nothing at all. Each is one
//! complete Tool object as it would stand in `tools/list`; whatever it does not understand stays.
//!
//! It may never fail and never invent: a tool that a rung cannot say keeps the text of a more
//! faithful rung, and [`Rendering::shown`] and its diagnostics say so. What goes at which rung:
//!
//! | rung | description | `inputSchema` | the rest |
//! |---|---|---|---|
//! | `full` | as sent | as sent | as sent |
//! | `lean` | as sent | same judgements (see [`crate::surface::lean`]) | same |
//! | `dense` | every word, then the parameters as a signature with their prose | open | as in lean |
//! | `short` | texts cut by extraction, every constraint kept | as in dense; lean's with shorter texts where open ones are not allowed | as in lean |
//! | `signature` | first sentence and one line of names, types, enumerations | open; else real, without prose | as in lean |
//! | `name` | first sentence | open | as in lean |
//! | `hidden` | – | – | – |
//!
//! `annotations` stay on every rung (clients decide on permissions by them), so do `execution`,
//! `_meta`, `icons`, `title` and unknown members: a model rarely sees them, programs do. `outputSchema`
//! goes only where the caller says that it may (MCP 2026-07-28 server/tools: results must match it).

mod compose;
mod notation;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::catalog::tool_view::ToolView;
use crate::surface::lean;
use crate::surface::lean::Limits;
use crate::surface::lean::lean;
use crate::token::TokenCounter;
use crate::token::Tokens;

/// One step of the ladder; smaller is more faithful.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rung {
    /// The bytes as the server sent them.
    Full,
    /// The same meaning in fewer tokens.
    Lean,
    /// Every word, parameters as a signature.
    Dense,
    /// Shorter texts, every constraint.
    Short,
    /// One line: names, types, enumerations.
    Signature,
    /// One line: what the tool is for.
    Name,
    /// Not listed.
    Hidden,
}

impl Rung {
    /// Every rung, most faithful first.
    pub const ALL: [Self; 7] = [
        Self::Full,
        Self::Lean,
        Self::Dense,
        Self::Short,
        Self::Signature,
        Self::Name,
        Self::Hidden,
    ];

    /// Returns the word used in configuration, tables and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Lean => "lean",
            Self::Dense => "dense",
            Self::Short => "short",
            Self::Signature => "signature",
            Self::Name => "name",
            Self::Hidden => "hidden",
        }
    }
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no rung.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown rendering `{word}`\nhint: one of full, lean, dense, short, signature, name, hidden"
)]
pub struct UnknownRung {
    /// What was given.
    pub word: String,
}

impl FromStr for Rung {
    type Err = UnknownRung;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|rung| rung.as_str() == word)
            .ok_or_else(|| UnknownRung {
                word: word.to_owned(),
            })
    }
}

/// What a ladder may do, for one client.
#[derive(Clone, Copy, Debug)]
pub struct LadderOptions<'o> {
    /// Says whether the client takes tools whose `inputSchema` is an open object. Without it there
    /// is no `dense` and no `name`, and `signature` keeps a schema.
    pub may_use_open_schema: bool,
    /// Says whether an open schema is written with empty `properties`, which some clients need.
    pub has_empty_properties: bool,
    /// Most UTF-16 units of a tool's description that the client shows its model; it cuts the rest
    /// off silently, so nothing longer is ever composed.
    pub description_limit: Option<usize>,
    /// How much of one tool is looked at.
    pub limits: Limits,
    /// Reviewed replacements for texts, used by `short` and `signature` and `name`.
    pub replacements: Option<&'o dyn Replacements>,
}

impl Default for LadderOptions<'_> {
    /// What every client takes: real schemas only.
    fn default() -> Self {
        Self {
            may_use_open_schema: false,
            has_empty_properties: false,
            description_limit: None,
            limits: Limits::default(),
            replacements: None,
        }
    }
}

/// Texts that somebody wrote and somebody reviewed, by the text they stand for.
pub trait Replacements: fmt::Debug + Sync {
    /// Returns what stands for `original`.
    fn replacement(&self, original: &str) -> Option<&str>;
}

/// One rendering of one tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendering<'a> {
    /// The rung that was asked for.
    pub rung: Rung,
    /// The rung whose text this is: `rung`, or a more faithful one.
    pub shown: Rung,
    /// The Tool object; none for `hidden`.
    pub text: Option<Cow<'a, str>>,
    /// Why the rung was not reached, and what kept parts of it from becoming smaller.
    pub diagnostics: Vec<Diagnostic>,
}

/// Why a rendering is more faithful than asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Diagnostic {
    /// What making it lean found; a tool that cannot be read stays as it is.
    Lean(lean::Diagnostic),
    /// The tool lacks what every rung below lean is made of.
    NoTool {
        /// What is missing or of another type.
        reason: &'static str,
    },
    /// The client takes no open schemas.
    OpenSchemaNotAllowed,
    /// The parameters cannot be said as a signature.
    Unsayable {
        /// What was seen.
        reason: &'static str,
    },
    /// The description would be longer than the client shows.
    TooLongForClient {
        /// Its length in UTF-16 units.
        length: usize,
    },
    /// It would take as many tokens as a more faithful one, or more.
    NotSmaller,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lean(diagnostic) => diagnostic.fmt(f),
            Self::NoTool { reason } => write!(f, "not a tool that can be rendered: {reason}"),
            Self::OpenSchemaNotAllowed => f.write_str("the client takes no open schemas"),
            Self::Unsayable { reason } => write!(f, "parameters stay a schema: {reason}"),
            Self::TooLongForClient { length } => {
                write!(
                    f,
                    "description of {length} characters is more than the client shows"
                )
            }
            Self::NotSmaller => f.write_str("not smaller than a more faithful rendering"),
        }
    }
}

/// Renders one tool at one rung. `raw_tool` is its JSON as the server sent it.
///
/// Deterministic; never fails. Work is linear in the text (up to hashing and nesting).
pub fn render<'a>(raw_tool: &'a str, rung: Rung, options: &LadderOptions<'_>) -> Rendering<'a> {
    render_leaned(raw_tool, &lean(raw_tool, &options.limits), rung, options)
}

/// The open schemas that are listed over a signature: as such, and for clients that need `properties`.
pub(crate) const OPEN_SCHEMAS: [&str; 2] = [
    r#"{"type":"object"}"#,
    r#"{"type":"object","properties":{}}"#,
];

/// The rungs that are put together from a lean tool.
const COMPOSED: [Rung; 4] = [Rung::Dense, Rung::Short, Rung::Signature, Rung::Name];

fn render_leaned<'a>(
    raw_tool: &'a str,
    leaned: &lean::Leaned,
    rung: Rung,
    options: &LadderOptions<'_>,
) -> Rendering<'a> {
    let composed = match COMPOSED.contains(&rung) {
        true => compose::compose(leaned.text(raw_tool), &[rung], options).pop(),
        false => None,
    };
    rendering(raw_tool, leaned, rung, composed)
}

fn rendering<'a>(
    raw_tool: &'a str,
    leaned: &lean::Leaned,
    rung: Rung,
    composed: Option<Result<compose::Composed, Diagnostic>>,
) -> Rendering<'a> {
    let mut rendering = Rendering {
        rung,
        shown: rung,
        text: None,
        diagnostics: Vec::new(),
    };
    if rung == Rung::Hidden {
        return rendering;
    }
    if rung == Rung::Full {
        rendering.text = Some(Cow::Borrowed(raw_tool));
        return rendering;
    }
    rendering
        .diagnostics
        .extend(leaned.diagnostics.iter().cloned().map(Diagnostic::Lean));
    match composed {
        Some(Ok(composed)) => {
            rendering.diagnostics.extend(composed.diagnostics);
            rendering.shown = composed.shown;
            rendering.text = composed.text.map(Cow::Owned);
        }
        Some(Err(diagnostic)) => {
            rendering.shown = Rung::Lean;
            rendering.diagnostics.push(diagnostic);
        }
        None => {}
    }
    if rendering.text.is_none() {
        rendering.shown = Rung::Lean;
        rendering.text = Some(match &leaned.outcome {
            lean::Outcome::Unchanged => Cow::Borrowed(raw_tool),
            lean::Outcome::Changed(text) => Cow::Owned(text.clone()),
        });
    }
    rendering
}

/// Renders one tool at every rung, most faithful first.
pub fn ladder<'a>(raw_tool: &'a str, options: &LadderOptions<'_>) -> Vec<Rendering<'a>> {
    let leaned = lean(raw_tool, &options.limits);
    renderings(raw_tool, &leaned, &Rung::ALL, options)
}

fn renderings<'a>(
    raw_tool: &'a str,
    leaned: &lean::Leaned,
    rungs: &[Rung],
    options: &LadderOptions<'_>,
) -> Vec<Rendering<'a>> {
    let wanted: Vec<Rung> = rungs
        .iter()
        .copied()
        .filter(|rung| COMPOSED.contains(rung))
        .collect();
    let mut composed = match wanted.is_empty() {
        true => Vec::new(),
        false => compose::compose(leaned.text(raw_tool), &wanted, options),
    }
    .into_iter();
    rungs
        .iter()
        .map(|rung| {
            let composed = match COMPOSED.contains(rung) {
                true => composed.next(),
                false => None,
            };
            rendering(raw_tool, leaned, *rung, composed)
        })
        .collect()
}

/// A rendering with what it costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Priced<'a> {
    /// The rendering.
    pub rendering: Rendering<'a>,
    /// Tokens of what clients put before a model (name, description, input schema).
    pub tokens: Tokens,
}

/// Renders one tool at every rung and counts what a model reads of each. A rung that is not smaller
/// than a more faithful one gets that one's text, so tokens never rise down the ladder.
pub fn priced_ladder<'a>(
    raw_tool: &'a str,
    options: &LadderOptions<'_>,
    counter: &dyn TokenCounter,
) -> Vec<Priced<'a>> {
    let mut steps = Steps::lean(raw_tool, options);
    steps.price(Rung::Hidden, options, counter);
    steps.priced
}

/// A ladder that is made and counted only as far down as it is needed.
#[derive(Debug)]
pub(crate) struct Steps<'a> {
    raw_tool: &'a str,
    leaned: lean::Leaned,
    /// From [`Rung::Full`] on, by place in [`Rung::ALL`].
    pub(crate) priced: Vec<Priced<'a>>,
}

impl<'a> Steps<'a> {
    /// Makes a tool lean; counts nothing.
    pub(crate) fn lean(raw_tool: &'a str, options: &LadderOptions<'_>) -> Self {
        Self {
            raw_tool,
            leaned: lean(raw_tool, &options.limits),
            priced: Vec::new(),
        }
    }

    /// The lean rendering.
    pub(crate) fn lean_rendering(&self) -> Rendering<'a> {
        rendering(self.raw_tool, &self.leaned, Rung::Lean, None)
    }

    /// The text of the lean rendering.
    pub(crate) fn lean_text(&self) -> &str {
        self.leaned.text(self.raw_tool)
    }

    /// Makes and counts the rungs down to this one that were not.
    pub(crate) fn price(
        &mut self,
        floor: Rung,
        options: &LadderOptions<'_>,
        counter: &dyn TokenCounter,
    ) {
        let Some(missing) = Rung::ALL.get(self.priced.len()..=floor as usize) else {
            return;
        };
        for rendering in renderings(self.raw_tool, &self.leaned, missing, options) {
            self.push(rendering, counter);
        }
    }

    fn push(&mut self, mut rendering: Rendering<'a>, counter: &dyn TokenCounter) {
        let Some(text) = &rendering.text else {
            let tokens = Tokens::ZERO;
            self.priced.push(Priced { rendering, tokens });
            return;
        };
        let before = self.priced.last();
        let same = before.filter(|before| before.rendering.text.as_ref() == Some(text));
        let tokens = match same {
            Some(before) => before.tokens,
            None => model_tokens(text, counter),
        };
        let priced = match before {
            Some(before) if before.tokens <= tokens => {
                if same.is_none() {
                    rendering.diagnostics.push(Diagnostic::NotSmaller);
                }
                rendering.shown = before.rendering.shown;
                rendering.text.clone_from(&before.rendering.text);
                let tokens = before.tokens;
                Priced { rendering, tokens }
            }
            _ => Priced { rendering, tokens },
        };
        self.priced.push(priced);
    }
}

/// Counts what clients usually put before a model of one tool; the whole text where it is no tool.
pub fn model_tokens(raw_tool: &str, counter: &dyn TokenCounter) -> Tokens {
    match ToolView::parse(raw_tool) {
        Ok(view) => counter.count(&view.model_visible()),
        Err(_) => counter.count(raw_tool),
    }
}

#[cfg(test)]
mod tests;
