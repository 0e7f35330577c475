//! Denser notations of the same value: what they say is what was sent. Pure.
//!
//! [`compact`] takes the text of a result and returns it in a notation with fewer tokens, or nothing.
//! `docs/notation.md` describes the notation, [`decode`] reads it back, and nothing is returned that
//! does not read back: numbers with their digits, keys in their order, strings with their escapes,
//! missing keys told from `null`. White space between the tokens of a JSON text is not kept. Of text that
//! is not JSON, what `lines` names goes (terminal colours, padding).
//!
//! A text is never an error here and never makes the work more than linear: beyond the [`Bounds`] it
//! stays as it is.

mod choose;
mod columns;
mod decode;
mod json;
mod legend;
mod lines;
mod look;
mod mixed;
mod notes;
mod python;
mod shapes;
mod template;
#[cfg(test)]
mod tests;
mod tree;
mod write;

use std::borrow::Cow;

use choose::Candidate;

use crate::token::{TokenCounter, Tokens};

/// From this many bytes on it pays to count with a memory for all candidates.
const WORTH_REMEMBERING: usize = 4 << 10;

/// What one call may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of a text that is looked at; a longer one stays as it is.
    pub max_bytes: usize,
    /// JSON values of a text that can become rows; a text with more only loses its white space.
    pub max_values: usize,
    /// Open JSON containers at once; a deeper text stays as it is.
    pub max_depth: usize,
    /// Up to so many tokens the original and the winner are counted exactly, beyond by samples.
    pub exact_tokens: Tokens,
    /// Whether values that repeat may be abbreviated (`~1`). Fewer tokens, more to look up.
    pub may_abbreviate: bool,
    /// Whether text that is no JSON may lose colours and padding, the one thing that does not come back.
    pub may_clean: bool,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            max_bytes: 64 << 20,
            max_values: 1 << 20,
            max_depth: 128,
            exact_tokens: Tokens::new(64_000),
            may_abbreviate: true,
            may_clean: true,
        }
    }
}

/// The notation of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// JSON without white space. Has no head line.
    Minified,
    /// JSON as rows of templates.
    Rows,
    /// JSON with abbreviations, without rows.
    Abbreviated,
    /// Several JSON texts as one list.
    List,
    /// A Python literal as rows.
    Python,
    /// Text with denser JSON in it.
    Mixed,
    /// Text whose equal lines stand once. Has a head line.
    Lines,
    /// Text without colours and padding. Has no head line.
    Plain,
}

impl Form {
    /// Returns the word used in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minified => "minified",
            Self::Rows => "rows",
            Self::Abbreviated => "abbreviated",
            Self::List => "list",
            Self::Python => "python rows",
            Self::Mixed => "json in text",
            Self::Lines => "lines",
            Self::Plain => "plain text",
        }
    }
}

/// A text in a denser notation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compacted {
    /// What to send.
    pub text: String,
    /// Tokens of the original.
    pub before: Tokens,
    /// Tokens of [`Self::text`]; fewer than [`Self::before`].
    pub tokens: Tokens,
    /// The notation.
    pub form: Form,
    /// Abbreviations at its head.
    pub n_abbreviations: usize,
    /// Whether both counts are exact; beyond [`Bounds::exact_tokens`] they are estimates.
    pub is_exact: bool,
}

/// What a text in some notation says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// The original: of JSON without white space, of [`Form::List`] as one array.
    pub text: String,
    /// Whether the text is a list of JSON texts.
    pub is_list: bool,
}

/// Returns `text` in the notation with the fewest tokens; None where no notation has fewer than it has.
pub fn compact(text: &str, counter: &dyn TokenCounter, bounds: &Bounds) -> Option<Compacted> {
    if text.len() > bounds.max_bytes || notes::stand_in(text) {
        return None;
    }
    let remembering = (text.len() >= WORTH_REMEMBERING).then(|| counter.remembering());
    let counter = remembering
        .as_ref()
        .and_then(Option::as_deref)
        .unwrap_or(counter);
    let candidates = candidates(text, counter, bounds);
    choose::choose(text, candidates, counter, bounds)
}

/// Returns several texts that are each JSON as one text; None where one of them is not, or nothing is
/// saved against the texts one by one. [`Compacted::before`] counts them joined by line ends.
pub fn compact_list(
    texts: &[&str],
    counter: &dyn TokenCounter,
    bounds: &Bounds,
) -> Option<Compacted> {
    let total = texts.iter().map(|text| text.len() + 1).sum::<usize>();
    if texts.len() < 2 || total > bounds.max_bytes {
        return None;
    }
    // Each is read by itself: two texts that are no JSON could be one together.
    if !texts.iter().all(|text| json::parse(text, bounds).is_some()) {
        return None;
    }
    let tree = json::parse(&format!("[{}]", texts.join(",")), bounds)?;
    let plain = json::plain(&tree, total);
    let n_plain = choose::estimate(&plain, counter);
    let rows = json::rows(
        &tree,
        &plain,
        n_plain,
        notes::LIST,
        Form::List,
        counter,
        bounds,
    );
    choose::choose(
        &texts.join("\n"),
        rows.into_iter().collect(),
        counter,
        bounds,
    )
}

fn candidates(text: &str, counter: &dyn TokenCounter, bounds: &Bounds) -> Vec<Candidate> {
    let start = text.trim_start();
    if start.starts_with(['{', '[']) {
        let found = json::candidates(text, counter, bounds);
        if !found.is_empty() {
            return found;
        }
        if let Some(json_text) = python::to_json(text)
            && let Some(tree) = json::parse(&json_text, bounds)
        {
            let plain = json::plain(&tree, text.len());
            let n_plain = choose::estimate(&plain, counter);
            let (note, form) = (notes::PYTHON, Form::Python);
            let rows = json::rows(&tree, &plain, n_plain, note, form, counter, bounds);
            return rows.into_iter().collect();
        }
        if let Some(plain) = json::only_minified(text, bounds) {
            return vec![plain];
        }
    }
    let normal = cleaned(text, bounds);
    // Without what carries nothing a line may become one.
    if notes::stand_in(&normal) {
        return Vec::new();
    }
    let mut candidates = Vec::new();
    if let Some(mixed) = mixed::candidate(&normal, counter, bounds) {
        candidates.push(mixed);
    } else if let Some(folded) = lines::fold(&normal)
        && lines::unfold(&folded, bounds.max_bytes).as_deref() == Some(&normal)
    {
        candidates.push(Candidate {
            form: Form::Lines,
            text: format!("{}\n{folded}", notes::LINES),
            n_abbreviations: 0,
            estimate: None,
        });
    }
    if normal != text {
        candidates.push(Candidate {
            form: Form::Plain,
            text: normal.into_owned(),
            n_abbreviations: 0,
            estimate: None,
        });
    }
    candidates
}

/// Reads a text back that [`compact`] or [`compact_list`] wrote; a text in no notation of ours comes
/// back as it is. None where it starts like one and is none.
pub fn decode(text: &str, bounds: &Bounds) -> Option<Decoded> {
    let max_bytes = bounds.max_bytes.saturating_mul(2);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut is_list = false;
    while let Some((before, note, body, after)) = mixed::next_region(rest) {
        out.push_str(before);
        rest = after;
        if note == notes::LINES {
            out.push_str(&lines::unfold(body, max_bytes)?);
            continue;
        }
        let json = if legend::has_abbreviations(body) {
            decode::json(body, max_bytes)?
        } else {
            // The value says itself where it ends.
            let (json, n_bytes) = decode::value(body, max_bytes)?;
            rest = &text[text.len() - after.len() - body.len() + n_bytes..];
            json
        };
        if note == notes::PYTHON {
            out.push_str(&python::to_python(&json)?);
        } else {
            out.push_str(&json);
        }
        is_list |= note == notes::LIST;
    }
    out.push_str(rest);
    Some(Decoded { text: out, is_list })
}

/// Returns what [`decode`] gives back for the compacted form of `text`: JSON without white space, other
/// text without what carries nothing. For tests that hold the two together.
pub fn normal(text: &str, bounds: &Bounds) -> String {
    if text.trim_start().starts_with(['{', '[']) {
        if let Some(tree) = json::parse(text, bounds) {
            return json::plain(&tree, text.len());
        }
        if let Some(plain) = json::only_minified(text, bounds) {
            return plain.text;
        }
    }
    mixed::plain(&cleaned(text, bounds), bounds)
}

fn cleaned<'a>(text: &'a str, bounds: &Bounds) -> Cow<'a, str> {
    if bounds.may_clean {
        lines::normal(text)
    } else {
        Cow::Borrowed(text)
    }
}
