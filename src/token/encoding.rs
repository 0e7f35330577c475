//! The exact counters: OpenAI's byte pair encodings through tiktoken-rs. A vocabulary is loaded on
//! the first count and never before; a long text is cut into segments so that a count can stop early
//! and no input can make it slow.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use serde::Deserialize;
use serde::Serialize;
use tiktoken_rs::CoreBPE;

use crate::token::TokenCounter;
use crate::token::Tokens;

/// From this many bytes on a segment ends at the next safe boundary.
const SEGMENT_SOFT_BYTES: usize = 8 * 1024;
/// At this many bytes a segment ends even without a safe boundary. Only text without a single
/// ASCII word end in 64 KiB reaches it; each such cut can add a few tokens to the count. It bounds
/// the memory of one merge (about 60 bytes per byte of a word) and the regex's backtracking.
const SEGMENT_HARD_BYTES: usize = 64 * 1024;
/// No token of either vocabulary is longer (a run of 128 spaces); a test reads both to hold this.
const LONGEST_TOKEN_BYTES: u64 = 128;

/// A vocabulary that can be counted exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// `o200k_base`: GPT-4o, GPT-4.1, GPT-5, the o-series and (its ordinary text) gpt-oss.
    #[default]
    #[serde(rename = "o200k_base")]
    O200kBase,
    /// `cl100k_base`: GPT-4, GPT-4 Turbo, GPT-3.5.
    #[serde(rename = "cl100k_base")]
    Cl100kBase,
}

impl Encoding {
    /// Every encoding, the default first.
    pub const ALL: [Self; 2] = [Self::O200kBase, Self::Cl100kBase];

    /// Returns OpenAI's name of the encoding.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::O200kBase => "o200k_base",
            Self::Cl100kBase => "cl100k_base",
        }
    }

    fn cell(self) -> &'static OnceLock<CoreBPE> {
        static O200K_BASE: OnceLock<CoreBPE> = OnceLock::new();
        static CL100K_BASE: OnceLock<CoreBPE> = OnceLock::new();
        match self {
            Self::O200kBase => &O200K_BASE,
            Self::Cl100kBase => &CL100K_BASE,
        }
    }

    /// Returns the vocabulary, reading it on first use (about 0.1 s and 46 MB).
    fn vocabulary(self) -> &'static CoreBPE {
        self.cell().get_or_init(|| self.load())
    }

    fn load(self) -> CoreBPE {
        match self {
            Self::O200kBase => tiktoken_rs::o200k_base(),
            Self::Cl100kBase => tiktoken_rs::cl100k_base(),
        }
        .expect("the vocabulary is compiled into the crate, so it always parses")
    }

    /// Says whether the vocabulary is in memory already.
    pub fn is_loaded(self) -> bool {
        self.cell().get().is_some()
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name is no encoding we can count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown tokenizer: `{name}` (known: o200k_base, cl100k_base)")]
pub struct UnknownEncoding {
    /// The name as given.
    pub name: String,
}

impl FromStr for Encoding {
    type Err = UnknownEncoding;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|encoding| encoding.as_str() == name)
            .ok_or_else(|| UnknownEncoding {
                name: name.to_owned(),
            })
    }
}

/// Counts exactly with one of OpenAI's encodings. Costs nothing until it first counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TiktokenCounter {
    encoding: Encoding,
}

impl TiktokenCounter {
    /// Makes a counter without loading anything.
    pub const fn new(encoding: Encoding) -> Self {
        Self { encoding }
    }

    /// Returns the encoding it counts with.
    pub const fn encoding(self) -> Encoding {
        self.encoding
    }
}

impl TokenCounter for TiktokenCounter {
    fn name(&self) -> &str {
        self.encoding.as_str()
    }

    fn count(&self, text: &str) -> Tokens {
        count(self.encoding.vocabulary(), text)
    }

    fn count_up_to(&self, text: &str, limit: Tokens) -> Option<Tokens> {
        count_up_to(|| self.encoding.vocabulary(), text, limit)
    }
}

/// Counts as [`TiktokenCounter`] does, with a vocabulary of its own that is freed with it: for a process
/// that counts once and then waits for long.
#[derive(Default)]
pub struct TemporaryCounter {
    encoding: Encoding,
    vocabulary: OnceLock<CoreBPE>,
}

impl TemporaryCounter {
    /// Makes a counter without loading anything.
    pub const fn new(encoding: Encoding) -> Self {
        Self {
            encoding,
            vocabulary: OnceLock::new(),
        }
    }

    /// Says whether the vocabulary is in memory.
    pub fn is_loaded(&self) -> bool {
        self.vocabulary.get().is_some()
    }

    fn vocabulary(&self) -> &CoreBPE {
        self.vocabulary.get_or_init(|| self.encoding.load())
    }
}

impl TokenCounter for TemporaryCounter {
    fn name(&self) -> &str {
        self.encoding.as_str()
    }

    fn count(&self, text: &str) -> Tokens {
        count(self.vocabulary(), text)
    }

    fn count_up_to(&self, text: &str, limit: Tokens) -> Option<Tokens> {
        count_up_to(|| self.vocabulary(), text, limit)
    }
}

fn count(vocabulary: &CoreBPE, text: &str) -> Tokens {
    segments(text, SEGMENT_SOFT_BYTES, SEGMENT_HARD_BYTES)
        .map(|segment| Tokens::from(vocabulary.count_ordinary(segment)))
        .sum()
}

fn count_up_to<'v>(
    vocabulary: impl FnOnce() -> &'v CoreBPE,
    text: &str,
    limit: Tokens,
) -> Option<Tokens> {
    // A text this long is over the limit whatever it says; this also keeps the vocabulary unloaded
    // for the clear cases.
    if text.len() as u64 > limit.get().saturating_mul(LONGEST_TOKEN_BYTES) {
        return None;
    }
    if text.is_empty() {
        return Some(Tokens::ZERO);
    }
    let vocabulary = vocabulary();
    let mut total = Tokens::ZERO;
    for segment in segments(text, SEGMENT_SOFT_BYTES, SEGMENT_HARD_BYTES) {
        total += Tokens::from(vocabulary.count_ordinary(segment));
        if total > limit {
            return None;
        }
    }
    Some(total)
}

/// Cuts `text` where both encodings start a new piece in any case, so that the counts of the
/// segments add up to the count of the whole.
///
/// Such a place is between an ASCII letter or digit and an ASCII character that is neither and no
/// apostrophe: no alternative of either splitting pattern goes on from a letter or digit to anything
/// but letters, digits, marks or a contraction, and none looks back.
fn segments(text: &str, soft_bytes: usize, hard_bytes: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (segment, after) = rest.split_at(segment_end(rest, soft_bytes, hard_bytes));
        rest = after;
        Some(segment)
    })
}

fn segment_end(text: &str, soft_bytes: usize, hard_bytes: usize) -> usize {
    let bytes = text.as_bytes();
    if bytes.len() <= soft_bytes {
        return bytes.len();
    }
    let is_safe = |at: usize| {
        bytes[at - 1].is_ascii_alphanumeric()
            && bytes[at].is_ascii()
            && !bytes[at].is_ascii_alphanumeric()
            && bytes[at] != b'\''
    };
    let hard_end = hard_bytes.min(bytes.len());
    if let Some(at) = (soft_bytes.max(1)..hard_end).find(|&at| is_safe(at)) {
        return at;
    }
    if hard_end == bytes.len() {
        return hard_end;
    }
    (1..=hard_end)
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .or_else(|| (hard_end..=bytes.len()).find(|&at| text.is_char_boundary(at)))
        .unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::token::Encoding;
    use crate::token::TiktokenCounter;
    use crate::token::TokenCounter;
    use crate::token::Tokens;
    use crate::token::encoding::LONGEST_TOKEN_BYTES;
    use crate::token::encoding::TemporaryCounter;
    use crate::token::encoding::segments;

    fn whole(encoding: Encoding, text: &str) -> usize {
        encoding.vocabulary().count_ordinary(text)
    }

    fn in_segments(encoding: Encoding, text: &str, soft_bytes: usize) -> usize {
        segments(text, soft_bytes, usize::MAX)
            .map(|segment| whole(encoding, segment))
            .sum()
    }

    /// The counts that OpenAI's cookbook and tiktoken's own tests give.
    #[test]
    fn known_counts() {
        let o200k = TiktokenCounter::new(Encoding::O200kBase);
        let cl100k = TiktokenCounter::new(Encoding::Cl100kBase);
        assert_eq!(o200k.count(""), Tokens::ZERO);
        assert_eq!(cl100k.count("tiktoken is great!"), Tokens::new(6));
        assert_eq!(cl100k.count("antidisestablishmentarianism"), Tokens::new(6));
        assert_eq!(cl100k.count("お誕生日おめでとう"), Tokens::new(9));
        assert_eq!(o200k.count("お誕生日おめでとう"), Tokens::new(8));
        let temporary = TemporaryCounter::new(Encoding::O200kBase);
        assert!(!temporary.is_loaded());
        assert_eq!(temporary.count_up_to("tiktoken", Tokens::ZERO), None);
        assert_eq!(temporary.count("お誕生日おめでとう"), Tokens::new(8));
        assert!(temporary.is_loaded());
        // As text, not as the one special token.
        assert!(o200k.count("<|endoftext|>") > Tokens::new(1));
    }

    #[test]
    fn no_token_is_longer_than_the_bound() {
        for encoding in Encoding::ALL {
            let longest = (0..200_019)
                .filter_map(|rank| encoding.vocabulary().decode_bytes(&[rank]).ok())
                .map(|bytes| bytes.len() as u64)
                .max();
            assert_eq!(longest, Some(LONGEST_TOKEN_BYTES), "{encoding}");
        }
    }

    /// The limit is exact on both sides, also across segments.
    #[test]
    fn count_up_to_agrees_with_count() {
        let counter = TiktokenCounter::default();
        let text = "one two, three (four) ".repeat(3000);
        let total = counter.count(&text);
        assert_eq!(total, Tokens::from(whole(Encoding::O200kBase, &text)));
        assert_eq!(counter.count_up_to(&text, total), Some(total));
        let below = total.saturating_sub(Tokens::new(1));
        assert_eq!(counter.count_up_to(&text, below), None);
        assert_eq!(counter.count_up_to(&text, Tokens::MAX), Some(total));
        assert_eq!(counter.count_up_to("x", Tokens::ZERO), None);
        assert_eq!(counter.count_up_to("", Tokens::ZERO), Some(Tokens::ZERO));
    }

    /// Text without word ends: linear work, no panic in the regex, and a count that is off by no
    /// more than a few tokens per forced cut.
    #[test]
    fn long_runs_are_bounded() {
        let counter = TiktokenCounter::default();
        let n_bytes = 1 << 20;
        for unit in [
            "a", "A", " ", "\n", "\t ", "=", "中", "é", "'", "1", "Aa", " \n", "\u{301}",
        ] {
            let run = unit.repeat(n_bytes / unit.len());
            for text in [run.clone(), format!("{run}x"), format!("\"{run}\"")] {
                // Quadratic work would take hours here, so that this ends is the first finding.
                let total = counter.count(&text);
                assert!(total.get() >= text.len() as u64 / LONGEST_TOKEN_BYTES);
            }
        }
    }

    #[test]
    fn forced_cuts_fall_on_characters() {
        let text = "中".repeat(100);
        let cut: Vec<&str> = segments(&text, 4, 8).collect();
        assert_eq!(cut.concat(), text);
        assert!(cut.iter().all(|segment| segment.len() <= 8));
        // Even a limit shorter than one character makes progress.
        assert_eq!(segments(&text, 1, 1).collect::<String>(), text);
    }

    fn texts() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            "[a-zA-Z0-9]{1,12}",
            "[ \\n\\r\\t]{1,6}",
            "[{}\\[\\]\",:.'/_<>|=!-]{1,6}",
            "'(s|t|re|ve|m|ll|d|S|LL)",
            "[\\u{300}-\\u{36f}\\u{4e00}-\\u{4eff}é\\u{a0}\\u{1F600}]{1,4}",
        ];
        proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        /// Counting in segments is exact: the sum is the count of the whole.
        #[test]
        fn segments_add_up(text in texts(), soft_bytes in 1_usize..40) {
            for encoding in Encoding::ALL {
                prop_assert_eq!(in_segments(encoding, &text, soft_bytes), whole(encoding, &text));
            }
        }
    }

    /// The broken variant that `segments_add_up` is there to catch: a cut just anywhere, or before
    /// an apostrophe, changes the count.
    #[test]
    fn a_careless_cut_would_be_seen() {
        let encoding = Encoding::O200kBase;
        let (text, cut) = ("we don't", 6);
        let careless = whole(encoding, &text[..cut]) + whole(encoding, &text[cut..]);
        assert_ne!(careless, whole(encoding, text));
        assert_eq!(in_segments(encoding, text, 4), whole(encoding, text));
    }
}
