//! A part of a result that fits a cap, with the rest counted and the way to it named. Pure.
//!
//! What is kept: the ends, extremes, errors, rare values; what is said of the rest: how many, ranges, counts
//! by value, over all of it. Whole elements, members and lines only; the note stands before
//! the part and never inside a value. The order of work: [`document`] finds what the text is made of, each
//! part is cut to a number of bytes by [`prune`] (values) or [`lines`] (text), and [`fit`] looks for the
//! largest number of bytes whose tokens fit the cap.
//!
//! Everything is linear in the text, apart from sorting what is kept, and bounded in depth and memory.

mod column;
mod date;
mod document;
mod facts;
mod lines;
mod mask;
mod note;
mod number;
mod plan;
mod profile;
mod prune;
mod rank;
mod short;
mod tree;
mod words;

use crate::result::options::Cap;
use crate::token::TokenCounter;
use crate::token::Tokens;

use note::Draft;

/// The least cap that is always kept; below it the note alone is sent, which takes about this much.
pub const FLOOR: Tokens = Tokens::new(200);

/// Tries to find the largest part that fits.
const TRIES: usize = 9;
/// A part that fills so much of the cap is large enough.
const ENOUGH: f64 = 0.97;
/// Elements or lines that any sample may show.
const KEPT: usize = 50_000;

/// Where the rest can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rest {
    /// The name under which the whole is kept (`r_…`).
    pub handle: String,
    /// The name under which `read_result` is listed.
    pub tool: String,
    /// Tokens of the whole, where somebody has counted them.
    pub whole: Option<Tokens>,
    /// Arguments that make of what is kept what is sampled, beside the handle; none where it is kept as it
    /// is, so that places in it can be named.
    pub made_by: Option<String>,
}

/// What a text was taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// It fits as it is.
    Whole,
    /// A JSON value.
    Json,
    /// Lists and dicts as Python prints them.
    Python,
    /// Lines with times or levels.
    Log,
    /// A unified diff.
    Diff,
    /// Source code.
    Source,
    /// Rows and columns: CSV, tabs, pipes, aligned by spaces.
    Table,
    /// Text with headings.
    Markdown,
    /// HTML or XML.
    Markup,
    /// YAML.
    Yaml,
    /// An accessibility snapshot.
    Snapshot,
    /// Search results: `path:line:text`.
    Hits,
    /// Anything else.
    Text,
}

impl Kind {
    /// The word for tables and notes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Json => "json",
            Self::Python => "python",
            Self::Log => "log",
            Self::Diff => "diff",
            Self::Source => "source",
            Self::Table => "table",
            Self::Markdown => "markdown",
            Self::Markup => "markup",
            Self::Yaml => "yaml",
            Self::Snapshot => "snapshot",
            Self::Hits => "hits",
            Self::Text => "text",
        }
    }
}

/// What a sample shows of one array, object or run of lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// A pointer of the original (values) or empty (lines of the whole text).
    pub place: String,
    /// What is counted.
    pub unit: Unit,
    /// How many there are.
    pub all: u64,
    /// Which are shown, 0-based, ascending.
    pub shown: Vec<u32>,
}

impl Account {
    /// How many are not shown.
    pub fn left_out(&self) -> u64 {
        self.all - self.shown.len() as u64
    }
}

/// What an [`Account`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Elements of an array.
    Elements,
    /// Members of an object.
    Members,
    /// Lines of a text.
    Lines,
}

/// A part that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sampled {
    /// The note, then the part.
    pub text: String,
    /// Its tokens; at most the cap unless the cap is below [`FLOOR`].
    pub tokens: Tokens,
    /// What the text was taken for.
    pub kind: Kind,
    /// What is incomplete, the outer before the inner.
    pub accounts: Vec<Account>,
    /// The part alone, before `notate` made it dense: where it begins in `text` if it was not made dense.
    pub parts: Vec<String>,
}

/// Makes the largest sample of `text` that has at most `cap` tokens. `notate` writes a JSON or Python
/// value in a denser notation if it can. The same arguments give the same bytes.
pub fn fit(
    text: &str,
    cap: Tokens,
    rest: &Rest,
    notate: &dyn Fn(&str) -> Option<String>,
    counter: &dyn TokenCounter,
) -> Sampled {
    let cap = Cap {
        tokens: cap,
        bytes: usize::MAX,
        lines: usize::MAX,
    };
    fit_within(text, &cap, rest, notate, counter)
}

/// As [`fit`], within all bounds of a cap.
pub fn fit_within(
    text: &str,
    cap: &Cap,
    rest: &Rest,
    notate: &dyn Fn(&str) -> Option<String>,
    counter: &dyn TokenCounter,
) -> Sampled {
    let n_tokens = usize::try_from(cap.tokens.get()).unwrap_or(usize::MAX);
    // A token is rarely longer than 24 bytes: a shorter text may fit as it is.
    if text.len() / 24 <= n_tokens
        && let Some(tokens) = counter.count_up_to(text, cap.tokens)
        && cap.holds(text, tokens)
    {
        return Sampled {
            text: text.to_owned(),
            tokens,
            kind: Kind::Whole,
            accounts: Vec::new(),
            parts: Vec::new(),
        };
    }
    let longest = n_tokens.saturating_mul(2).min(cap.bytes / 2).max(64);
    let parts = document::parts(text, longest);
    let draft = Draft::new(text, &parts, longest, n_tokens.clamp(1, KEPT), rest);
    let mut best: Option<(Sampled, f64)> = None;
    // Bytes of the largest that fits and of the smallest that does not.
    let (mut fits, mut fails) = (0_usize, text.len().saturating_mul(2).max(1024));
    let mut budget = n_tokens.saturating_mul(3).min(text.len()).min(cap.bytes);
    for _ in 0..TRIES {
        let mut made = draft.show(budget, notate);
        let counted = counter.count_up_to(&made.text, cap.tokens);
        match counted.filter(|tokens| cap.holds(&made.text, *tokens)) {
            Some(tokens) => {
                made.tokens = tokens;
                fits = budget;
                let filled = filled(&made, cap);
                if best.as_ref().is_none_or(|(_, best)| filled > *best) {
                    best = Some((made, filled));
                }
                if filled >= ENOUGH {
                    break;
                }
                let scaled = budget as f64 * (ENOUGH + 0.01) / filled;
                budget = between(scaled as usize, fits, fails);
            }
            None => {
                fails = budget;
                budget = match best {
                    Some(_) => fits + (fails - fits) / 2,
                    None => budget * 2 / 3,
                };
            }
        }
        if fails - fits < 64 {
            break;
        }
    }
    best.map_or_else(
        || {
            let mut made = draft.note_alone();
            made.tokens = counter.count(&made.text);
            made
        },
        |(made, _)| made,
    )
}

/// How much of the cap is used, by the bound that is nearest.
fn filled(made: &Sampled, cap: &Cap) -> f64 {
    let n_lines = memchr::memchr_iter(b'\n', made.text.as_bytes()).count() + 1;
    [
        made.tokens.get() as f64 / cap.tokens.get().max(1) as f64,
        made.text.len() as f64 / cap.bytes.max(1) as f64,
        n_lines as f64 / cap.lines.max(1) as f64,
    ]
    .into_iter()
    .fold(0.001, f64::max)
}

/// A number of bytes inside the open interval, near `wanted`.
fn between(wanted: usize, low: usize, high: usize) -> usize {
    let width = high - low;
    wanted.clamp(
        low + (width / 16).min(low / 8 + 16),
        high - (width / 8).max(1).min(width),
    )
}
