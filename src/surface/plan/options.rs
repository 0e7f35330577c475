//! What a surface is planned by.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::surface::ladder::{LadderOptions, Replacements, Rung};
use crate::surface::summaries::Summaries;
use crate::token::Encoding;

/// How many tokens the list may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Budget {
    /// Only what pays: see [`super::BREAK_EVEN`] and [`super::HIDE_FROM`].
    #[default]
    Auto,
    /// So many tokens of name, description and input schema, meta-tools included.
    Tokens(u64),
    /// As many as it takes: definitions are only made lean.
    Unlimited,
}

/// A word that is no budget.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is no budget\nhint: a number of tokens such as 4000 or 4k, auto, or none")]
pub struct UnknownBudget {
    /// What was given.
    pub word: String,
}

impl FromStr for Budget {
    type Err = UnknownBudget;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "auto" => return Ok(Self::Auto),
            "none" => return Ok(Self::Unlimited),
            _ => {}
        }
        word.parse::<crate::token::Tokens>()
            .ok()
            .map(crate::token::Tokens::get)
            .map(Self::Tokens)
            .ok_or_else(|| UnknownBudget {
                word: word.to_owned(),
            })
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Unlimited => f.write_str("none"),
            Self::Tokens(tokens) => tokens.fmt(f),
        }
    }
}

/// What is known of the client, as far as lists are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Form {
    /// It searches tools itself: it gets the whole list.
    pub searches_itself: bool,
    /// It passes on arguments that the schema shown does not name.
    pub may_use_open_schema: bool,
    /// Bytes after which it cuts a description off.
    pub description_limit: Option<usize>,
    /// Tools that it takes, ours included.
    pub tool_limit: Option<usize>,
    /// Tools are listed without their `outputSchema`: the model of this client reads the structured part of
    /// a result, so that part is the one made smaller.
    pub drops_output_schema: bool,
    /// It takes no `anyOf`, `oneOf` or `allOf` at the root of a schema.
    pub merges_root_unions: bool,
    /// It shows a server's instructions: what all tools repeat may stand there once.
    pub moves_shared_text: bool,
    /// Bytes after which it cuts instructions off.
    pub instructions_limit: Option<usize>,
}

/// A tool that the operator wants in one rendering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The name as clients see it; a `*` stands for any characters.
    pub pattern: String,
    /// The rendering.
    pub rung: Rung,
}

/// A text that is no pin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no pin\nhint: NAME=RENDERING, such as git__*=lean; one of full, lean, dense, short, signature, name, hidden"
)]
pub struct UnknownPin {
    /// What was given.
    pub text: String,
}

impl FromStr for Pin {
    type Err = UnknownPin;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || UnknownPin {
            text: text.to_owned(),
        };
        let (pattern, rung) = text.rsplit_once('=').ok_or_else(unknown)?;
        if pattern.is_empty() {
            return Err(unknown());
        }
        Ok(Self {
            pattern: pattern.to_owned(),
            rung: rung.parse().map_err(|_| unknown())?,
        })
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.pattern, self.rung)
    }
}

/// Whether `read_result` is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReadsResults {
    /// It is not: results are shown whole.
    #[default]
    Never,
    /// Where the list with it costs no more than the bare list: what we show never costs more.
    WherePaid,
    /// It is, because the operator asked for a cap.
    Always,
}

/// All that a surface depends on besides the definitions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// How many tokens.
    pub budget: Budget,
    /// By which vocabulary they are counted where a proxy plans.
    pub tokenizer: Encoding,
    /// For which kind of client.
    pub form: Form,
    /// In order; the first that fits a name counts.
    pub pins: Vec<Pin>,
    /// How much more than others a tool is used, by the name that clients see; see [`weight_of`].
    pub weights: BTreeMap<String, u64>,
    /// Tools that are hidden because the client takes no more. Planning finds them; empty before.
    pub left_out: BTreeSet<String>,
    /// Tools that are shown with an argument `fields`, by the name that clients see; `*` stands for any
    /// characters.
    pub offers_fields: Vec<String>,
    /// Whether results may be shown in part, so that `read_result` is listed.
    pub reads_results: ReadsResults,
    /// Reviewed texts that stand for longer ones in short forms.
    pub summaries: Arc<Summaries>,
}

impl Settings {
    pub(super) fn ladder(&self) -> LadderOptions<'_> {
        LadderOptions {
            may_use_open_schema: self.form.may_use_open_schema,
            description_limit: self.form.description_limit,
            replacements: (!self.summaries.is_empty())
                .then_some(&*self.summaries as &dyn Replacements),
            ..LadderOptions::default()
        }
    }

    pub(super) fn has_pins(&self) -> bool {
        !self.pins.is_empty() || !self.left_out.is_empty()
    }

    pub(super) fn pinned(&self, name: &str) -> Option<Rung> {
        if self.left_out.contains(name) {
            return Some(Rung::Hidden);
        }
        let pin = self.pins.iter().find(|pin| fits(&pin.pattern, name))?;
        Some(pin.rung)
    }

    pub(super) fn weight(&self, name: &str) -> u64 {
        self.weights
            .get(name)
            .map_or(NEUTRAL, |weight| (*weight).clamp(1, MOST))
    }
}

/// The weight of a tool of which nothing is known.
const NEUTRAL: u64 = 10;
/// A bound, so that sums of values stay in a word.
const MOST: u64 = 1_000_000;

/// Returns the weight of a tool that was called so often: the neutral one plus a call each, so that a few
/// calls move little and many a lot.
pub fn weight_of(calls: u64) -> u64 {
    calls.saturating_add(NEUTRAL).min(MOST)
}

/// Whether a pattern in which `*` stands for any characters fits a whole name.
pub fn fits(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else {
        return rest.is_empty();
    };
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read() {
        for (word, budget) in [("auto", Budget::Auto), ("none", Budget::Unlimited)] {
            assert_eq!(word.parse(), Ok(budget));
            assert_eq!(budget.to_string(), word);
        }
        assert_eq!("4000".parse(), Ok(Budget::Tokens(4000)));
        assert_eq!("4k".parse(), Ok(Budget::Tokens(4000)));
        for wrong in ["", "-1", "4.5k", "many", "99999999999999999999", "k"] {
            assert!(wrong.parse::<Budget>().is_err(), "{wrong}");
        }
        let pin: Pin = "a=b=lean".parse().unwrap();
        assert_eq!((pin.pattern.as_str(), pin.rung), ("a=b", Rung::Lean));
        for wrong in ["", "lean", "=lean", "a=leaner"] {
            assert!(wrong.parse::<Pin>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn patterns_fit_whole_names() {
        for (pattern, name, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("git__*", "git__log", true),
            ("git__*", "gitlab__log", false),
            ("*_log", "git_log", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
