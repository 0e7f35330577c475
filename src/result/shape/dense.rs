//! The texts of a result without loss: as they came, and in the densest notation that says the same.

use std::cell::OnceCell;

use crate::result::channels::{Parts, TextBlock};
use crate::result::compact::{self, Bounds, Form};
use crate::result::envelope;
use crate::result::options::{Cap, View};
use crate::token::{TokenCounter, Tokens};

/// Texts that are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sent {
    /// Those that came.
    Same,
    /// One for each that came.
    Each(Vec<String>),
    /// One for all.
    One(String),
}

impl Sent {
    pub(super) fn texts(self, came: &[&str]) -> Vec<String> {
        match self {
            Self::Same => came.iter().map(|text| (*text).to_owned()).collect(),
            Self::Each(texts) => texts,
            Self::One(text) => vec![text],
        }
    }
}

/// Texts as they came. They are counted when that is first asked, once: where nothing is changed, nobody asks.
pub(super) struct Came<'a> {
    pub(super) texts: Vec<&'a str>,
    /// Where the first of them stand; what is shown of no block has none.
    blocks: &'a [TextBlock],
    result: &'a str,
    counter: &'a dyn TokenCounter,
    counts: OnceCell<Vec<Tokens>>,
}

impl<'a> Came<'a> {
    pub(super) fn new(
        result: &'a str,
        parts: &'a Parts,
        view: View,
        counter: &'a dyn TokenCounter,
    ) -> Self {
        let blocks: &[TextBlock] = match view {
            View::Structured => &[],
            View::Text | View::Both => &parts.texts,
        };
        Self {
            texts: parts.said(result, view),
            blocks,
            result,
            counter,
            counts: OnceCell::new(),
        }
    }

    fn counts(&self) -> &[Tokens] {
        let count = |text: &&str| self.counter.count(text);
        self.counts
            .get_or_init(|| self.texts.iter().map(count).collect())
    }

    pub(super) fn tokens(&self) -> Tokens {
        self.counts().iter().copied().sum()
    }

    /// Tells whether a text may be sent in a notation: one that is called JSON stays JSON.
    fn may_be(&self, index: usize, form: Form) -> bool {
        self.blocks
            .get(index)
            .is_none_or(|block| envelope::misnamed(block, self.result, Some(form)).is_none())
    }

    /// Tells whether one text may stand for all: nothing else is said of any of them.
    fn may_merge(&self) -> bool {
        !self.blocks.iter().any(|block| block.has_envelope)
    }

    pub(super) fn is_counted(&self) -> bool {
        self.counts.get().is_some()
    }
}

/// The texts after the steps without loss.
pub(super) struct Dense {
    pub(super) sent: Sent,
    /// None = those of the texts as they came.
    tokens: Option<Tokens>,
    bytes: usize,
    lines: usize,
}

impl Dense {
    pub(super) fn same(texts: &[&str]) -> Self {
        Self::with(Sent::Same, None, texts)
    }

    pub(super) fn of(came: &Came<'_>, bounds: &Bounds) -> Self {
        let (texts, counter) = (&came.texts, came.counter);
        // What stays is neither counted nor copied: results of many megabytes pass here.
        let mut each: Vec<Option<compact::Compacted>> = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            let dense = compact::compact(text, counter, bounds);
            each.push(dense.filter(|dense| {
                dense.tokens < came.counts()[index] && came.may_be(index, dense.form)
            }));
        }
        let is_changed = each.iter().any(Option::is_some);
        let tokens = || {
            let all = each.iter().enumerate();
            all.map(|(index, dense)| match dense {
                Some(dense) => dense.tokens,
                None => came.counts()[index],
            })
            .sum::<Tokens>()
        };
        let list = came
            .may_merge()
            .then(|| compact::compact_list(texts, counter, bounds))
            .flatten();
        if let Some(list) = list.filter(|list| list.tokens < tokens()) {
            let out = Self::with(Sent::Same, Some(list.tokens), &[&list.text]);
            return Self {
                sent: Sent::One(list.text),
                ..out
            };
        }
        if is_changed {
            let tokens = tokens();
            let each: Vec<String> = each
                .into_iter()
                .zip(texts)
                .map(|(dense, text)| dense.map_or_else(|| (*text).to_owned(), |dense| dense.text))
                .collect();
            let borrowed: Vec<&str> = each.iter().map(String::as_str).collect();
            let out = Self::with(Sent::Same, Some(tokens), &borrowed);
            return Self {
                sent: Sent::Each(each),
                ..out
            };
        }
        Self::same(texts)
    }

    fn with(sent: Sent, tokens: Option<Tokens>, texts: &[&str]) -> Self {
        let count = |text: &&str| memchr::memchr_iter(b'\n', text.as_bytes()).count() + 1;
        Self {
            sent,
            tokens,
            bytes: texts.iter().map(|text| text.len()).sum(),
            lines: texts.iter().map(count).sum(),
        }
    }

    pub(super) fn tokens(&self, came: &Came<'_>) -> Tokens {
        self.tokens.unwrap_or_else(|| came.tokens())
    }

    /// Counts only where bytes and lines leave it open: a token has a byte at least.
    pub(super) fn fits(&self, cap: &Cap, came: &Came<'_>) -> bool {
        self.bytes <= cap.bytes
            && self.lines <= cap.lines
            && (Tokens::from(self.bytes) <= cap.tokens || self.tokens(came) <= cap.tokens)
    }
}
