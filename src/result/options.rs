//! What results are shaped by. Values only.

use serde::{Deserialize, Serialize};

use crate::result::channels::Relation;
use crate::result::compact::Bounds;
use crate::result::images::Vision;
use crate::result::link::LinkForm;
use crate::result::repeat::Last;
use crate::token::Tokens;

/// Which part of a result that has both a client's model reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Channel {
    /// `content`; also where it is not known.
    #[default]
    Text,
    /// `structuredContent`.
    Structured,
    /// One after the other.
    Both,
}

/// How much of one result is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cap {
    /// Tokens, at most.
    pub tokens: Tokens,
    /// Bytes, at most: hosts cut by characters too, and a character has a byte at least.
    pub bytes: usize,
    /// Lines, at most.
    pub lines: usize,
}

impl Cap {
    /// Characters that survive every host known (opencode, Qwen Code, Claude Code, Pi: the least is 25,000
    /// characters or 1,000 lines).
    pub const BYTES: usize = 24_000;
    /// See [`Self::BYTES`].
    pub const LINES: usize = 900;
    /// Half of the 10,000 tokens from which Claude Code warns.
    pub const TOKENS: Tokens = Tokens::new(5_000);

    /// A cap of so many tokens whose other bounds grow with it: who asks for more has a client that takes
    /// more.
    pub fn of(tokens: Tokens) -> Self {
        let scale = |least: usize| {
            let scaled = (least as u64)
                .saturating_mul(tokens.get())
                .div_ceil(Self::TOKENS.get());
            usize::try_from(scaled).unwrap_or(usize::MAX).max(least)
        };
        Self {
            tokens,
            bytes: scale(Self::BYTES),
            lines: scale(Self::LINES),
        }
    }

    /// Tells whether a text of so many tokens is within it.
    pub fn holds(&self, text: &str, tokens: Tokens) -> bool {
        tokens <= self.tokens
            && text.len() <= self.bytes
            && memchr::memchr_iter(b'\n', text.as_bytes()).count() < self.lines
    }
}

impl Default for Cap {
    fn default() -> Self {
        Self::of(Self::TOKENS)
    }
}

/// Which part of a kept result is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// Its texts.
    #[default]
    Text,
    /// Its `structuredContent`.
    Structured,
    /// Its texts, and on the lines behind them its `structuredContent`.
    Both,
}

/// The part of a result that a caller wants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Projection {
    /// Paths of members, with dots; of each element where the value is an array.
    pub fields: Vec<String>,
    /// A jq program; runs after `fields`.
    pub jq: Option<String>,
    /// Whether the operator asked for it, not the caller.
    pub is_default: bool,
}

impl Projection {
    /// Tells whether all is wanted.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.jq.is_none()
    }
}

/// How one result is shaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Which part the model reads.
    pub channel: Channel,
    /// Whether the client was shown an `outputSchema`, so that `structuredContent` has to stay complete.
    pub keeps_structured: bool,
    /// How much is sent; none = all of it.
    pub cap: Option<Cap>,
    /// Whether denser notations are used.
    pub is_compacted: bool,
    /// Whether these may abbreviate values that repeat (`~1`): a model that copies the abbreviation into a call
    /// is wrong.
    pub may_abbreviate: bool,
    /// Whether images are scaled down and long base64 is replaced, where the original can be read.
    pub is_media_replaced: bool,
    /// What the client's model makes of images.
    pub vision: Vision,
    /// The name under which the client sees `read_result`; none = it is not listed, so nothing is left out.
    pub read_result: Option<String>,
    /// The part that is wanted; none = all.
    pub projection: Option<Projection>,
    /// Whether answers that repeat are said shortly, and the last answer to the same call.
    pub repeats: Option<Option<Last>>,
    /// The link to the original beside what is shown in part; none = there is no link.
    pub link: Option<LinkForm>,
}

impl Options {
    /// What denser notations may do.
    pub(super) fn bounds(&self) -> Bounds {
        Bounds {
            may_abbreviate: self.may_abbreviate,
            ..Bounds::default()
        }
    }

    /// Which part of a result the model reads that may not be sent whole; a structured part that stays
    /// beside the texts is not left out, so it needs no other way. One answer for all steps: what is left
    /// out, kept and named in notes has to be the same text.
    pub(super) fn view(&self, relation: Relation) -> View {
        match (self.channel, relation) {
            (Channel::Structured, Relation::Other) if !self.keeps_structured => View::Structured,
            (Channel::Both, Relation::Other) if !self.keeps_structured => View::Both,
            _ => View::Text,
        }
    }

    /// Tells whether the structured part stays beside the text and is what the model reads, so that a short
    /// text would say nothing.
    pub(super) fn keeps_structured_beside(&self, parts: &super::channels::Parts) -> bool {
        self.keeps_structured && self.channel != Channel::Text && parts.structured.is_some()
    }

    /// The same client, nothing changed: for sessions that others are compared with.
    #[must_use]
    pub fn untouched(self) -> Self {
        Self {
            keeps_structured: true,
            cap: None,
            is_compacted: false,
            is_media_replaced: false,
            projection: None,
            repeats: None,
            link: None,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cap_bounds_tokens_bytes_and_lines() {
        let cap = Cap::default();
        assert!(cap.holds("x", Tokens::new(1)));
        assert!(!cap.holds("x", Tokens::new(5_001)));
        assert!(!cap.holds(&"x".repeat(24_001), Tokens::new(1)));
        assert!(!cap.holds(&"\n".repeat(900), Tokens::new(1)));
        assert_eq!(Cap::of(Tokens::new(20_000)).bytes, 96_000);
        assert_eq!(Cap::of(Tokens::new(100)).bytes, 24_000);
        assert_eq!(Cap::of(Tokens::MAX).tokens, Tokens::MAX);
    }
}
