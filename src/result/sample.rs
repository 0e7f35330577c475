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
mod document;
mod facts;
mod lines;
mod note;
mod plan;
mod profile;
mod prune;
mod rank;
mod short;
mod tree;
mod words;

use crate::token::TokenCounter;
use crate::token::Tokens;

use note::Draft;

/// The least cap that is always kept; below it the note alone is sent, which takes about this much.
pub const FLOOR: Tokens = Tokens::new(200);

/// Tries to find the largest part that fits.
const TRIES: usize = 9;

/// Where the rest can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rest {
    /// The name under which the whole is kept (`r_…`).
    pub handle: String,
    /// The name under which `read_result` is listed.
    pub tool: String,
    /// Tokens of the whole, where somebody has counted them.
    pub whole: Option<Tokens>,
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
    let n_cap = usize::try_from(cap.get()).unwrap_or(usize::MAX).max(1);
    // A token is rarely longer than 20 bytes: a text below may fit as it is.
    if text.len() / 24 <= n_cap
        && let Some(tokens) = counter.count_up_to(text, cap)
    {
        return Sampled {
            text: text.to_owned(),
            tokens,
            kind: Kind::Whole,
            accounts: Vec::new(),
            parts: Vec::new(),
        };
    }
    let longest = n_cap.saturating_mul(2);
    let parts = document::parts(text, longest);
    let draft = Draft::new(text, &parts, longest, n_cap, rest);
    let mut best: Option<Sampled> = None;
    // Bytes of the largest that fits and of the smallest that does not.
    let (mut fits, mut fails) = (0_usize, text.len().saturating_mul(2).max(1024));
    let mut budget = n_cap.saturating_mul(3).min(text.len());
    for _ in 0..TRIES {
        let mut made = draft.show(budget, notate);
        match counter.count_up_to(&made.text, cap) {
            Some(tokens) => {
                made.tokens = tokens;
                fits = budget;
                let is_better = best.as_ref().is_none_or(|best| tokens > best.tokens);
                if is_better {
                    best = Some(made);
                }
                if tokens.get() * 100 >= cap.get() * 97 {
                    break;
                }
                let scaled =
                    (budget as u64).saturating_mul(cap.get() * 98 / 100) / tokens.get().max(1);
                let scaled = usize::try_from(scaled).unwrap_or(usize::MAX);
                budget = between(scaled, fits, fails);
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
    best.unwrap_or_else(|| {
        let mut made = draft.note_alone();
        made.tokens = counter.count(&made.text);
        made
    })
}

/// A number of bytes inside the open interval, near `wanted`.
fn between(wanted: usize, low: usize, high: usize) -> usize {
    let width = high - low;
    wanted.clamp(
        low + (width / 16).min(low / 8 + 16),
        high - (width / 8).max(1).min(width),
    )
}
