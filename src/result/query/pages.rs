//! Pages of a text, each within the cap, that put one after the other are the text byte for byte.
//!
//! A page ends with a line. A line that is longer than a page ends, in JSON, behind a comma of a container
//! as far out as can be had without wasting half of the page; else behind a space; else anywhere between
//! two characters. A page is the same whichever page was asked for before.

use std::ops::Range;

use crate::result::options::Cap;
use crate::token::{TokenCounter, Tokens};

use super::json::Borders;

/// What an answer may cost.
#[derive(Clone, Copy)]
pub struct Limits<'a> {
    /// The cap; none = everything at once.
    pub cap: Option<Cap>,
    /// What counts.
    pub counter: &'a dyn TokenCounter,
}

/// What is left of a cap for the data, because a note about the rest goes with it.
const NOTE: Cap = Cap {
    tokens: Tokens::new(120),
    bytes: 700,
    lines: 4,
};
/// Pieces of this size are counted on their own, so that a long line is counted once.
const PIECE: usize = 512;
/// Bytes of the rest up to which it is counted how many pages there are.
const COUNTED: usize = 2 << 20;
/// Least bytes of a page, so that every page gets on: no cap is as small as that.
const LEAST: usize = 64;

/// One page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Where it is in the text.
    pub span: Range<usize>,
    /// How many pages there are; none where that was not counted.
    pub total: Option<usize>,
    /// Whether it is the last.
    pub is_last: bool,
}

/// Finds a page, counted from 1.
///
/// # Errors
/// How many pages there are, if there are fewer.
pub fn page(text: &str, is_json: bool, number: usize, limits: &Limits<'_>) -> Result<Page, usize> {
    let number = number.max(1);
    let mut cutter = Cutter::new(text, is_json, limits);
    let mut found = 0..0;
    for n in 1..=number {
        found = cutter.next().ok_or(n - 1)?;
    }
    let is_last = found.end == text.len();
    let total = if is_last {
        Some(number)
    } else if text.len() - found.end <= COUNTED {
        Some(number + cutter.count())
    } else {
        None
    };
    Ok(Page {
        span: found,
        total,
        is_last,
    })
}

/// Cuts pages off a text.
pub(super) struct Cutter<'a> {
    text: &'a str,
    at: usize,
    is_started: bool,
    sizer: Sizer<'a>,
    json: Option<State>,
}

/// Where in JSON the next page begins.
#[derive(Clone, Copy, Default)]
struct State {
    borders: Borders,
    depth: usize,
}

impl State {
    /// Takes a byte; returns the depth of the container whose comma it is.
    fn step(&mut self, byte: u8) -> Option<usize> {
        if !self.borders.step(byte) {
            return None;
        }
        match byte {
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            b',' => return Some(self.depth),
            _ => {}
        }
        None
    }
}

impl<'a> Cutter<'a> {
    pub(super) fn new(text: &'a str, is_json: bool, limits: &Limits<'a>) -> Self {
        Self {
            text,
            at: 0,
            is_started: false,
            sizer: Sizer::new(limits),
            json: is_json.then(State::default),
        }
    }

    /// The longest beginning of the rest that is within the bounds.
    fn most(&self) -> usize {
        let rest = &self.text[self.at..];
        let mut sizer = self.sizer.clone();
        let mut end = 0;
        for piece in (Pieces { rest, at: 0 }) {
            if !sizer.add(&rest[piece.clone()]) {
                break;
            }
            end = piece.end;
        }
        if end == 0 {
            end = floor(rest, LEAST.min(rest.len())).max(first_char(rest));
        }
        // A text can have more tokens than its pieces; what is sure is counted whole.
        while end > LEAST && !self.sizer.holds(&rest[..end]) {
            end = floor(rest, end - end / 16 - 1).max(first_char(rest));
        }
        self.at + end
    }

    /// Where the page that may go to `most` ends.
    fn border(&self, most: usize) -> usize {
        let page = &self.text[self.at..most];
        if most == self.text.len() {
            return most;
        }
        if let Some(end) = memchr::memrchr(b'\n', page.as_bytes()) {
            return self.at + end + 1;
        }
        let comma = self.json.and_then(|mut state| {
            let mut best: Option<(usize, usize)> = None;
            for (n, byte) in page.bytes().enumerate() {
                let Some(depth) = state.step(byte) else {
                    continue;
                };
                let is_better =
                    best.is_none_or(|(least, at)| depth <= least || at < page.len() / 2);
                if is_better {
                    best = Some((depth, n + 1));
                }
            }
            best
        });
        if let Some((_, end)) = comma {
            return self.at + end;
        }
        match page.rfind([' ', '\t']) {
            Some(end) => self.at + end + 1,
            None => most,
        }
    }
}

impl Iterator for Cutter<'_> {
    type Item = Range<usize>;

    /// An empty text has one empty page.
    fn next(&mut self) -> Option<Range<usize>> {
        if self.at == self.text.len() && self.is_started {
            return None;
        }
        self.is_started = true;
        let end = self.border(self.most());
        let page = self.at..end;
        if let Some(state) = &mut self.json {
            for byte in self.text[page.clone()].bytes() {
                state.step(byte);
            }
        }
        self.at = end;
        Some(page)
    }
}

/// Adds up what pieces cost.
#[derive(Clone)]
pub(super) struct Sizer<'a> {
    cap: Option<Cap>,
    counter: &'a dyn TokenCounter,
    tokens: Tokens,
    bytes: usize,
    lines: usize,
}

impl<'a> Sizer<'a> {
    pub(super) fn new(limits: &Limits<'a>) -> Self {
        let cap = limits.cap.map(|cap| Cap {
            tokens: cap.tokens.saturating_sub(NOTE.tokens),
            bytes: cap.bytes.saturating_sub(NOTE.bytes).max(LEAST),
            lines: cap.lines.saturating_sub(NOTE.lines).max(1),
        });
        Self {
            cap,
            counter: limits.counter,
            tokens: Tokens::ZERO,
            bytes: 0,
            lines: 0,
        }
    }

    /// Adds a piece, if it still fits.
    pub(super) fn add(&mut self, piece: &str) -> bool {
        let Some(cap) = self.cap else { return true };
        let bytes = self.bytes + piece.len();
        let lines = self.lines + memchr::memchr_iter(b'\n', piece.as_bytes()).count();
        if bytes > cap.bytes || lines >= cap.lines {
            return false;
        }
        let left = cap.tokens.saturating_sub(self.tokens);
        let Some(tokens) = self.counter.count_up_to(piece, left) else {
            return false;
        };
        (self.bytes, self.lines) = (bytes, lines);
        self.tokens += tokens;
        true
    }

    /// Tells whether a whole text fits.
    pub(super) fn holds(&self, text: &str) -> bool {
        let Some(cap) = self.cap else { return true };
        text.len() <= cap.bytes
            && memchr::memchr_iter(b'\n', text.as_bytes()).count() < cap.lines
            && self.counter.count_up_to(text, cap.tokens).is_some()
    }
}

/// Lines, and parts of long lines.
struct Pieces<'a> {
    rest: &'a str,
    at: usize,
}

impl Iterator for Pieces<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let rest = &self.rest[self.at..];
        if rest.is_empty() {
            return None;
        }
        let window = &rest.as_bytes()[..rest.len().min(PIECE)];
        let length = match memchr::memchr(b'\n', window) {
            Some(end) => end + 1,
            None => floor(rest, window.len()).max(first_char(rest)),
        };
        let piece = self.at..self.at + length;
        self.at = piece.end;
        Some(piece)
    }
}

/// The last place between two characters up to `at`.
pub(super) fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn first_char(text: &str) -> usize {
    text.chars().next().map_or(0, char::len_utf8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Counts a token for each four bytes, begun ones included.
    struct Quarters;

    impl TokenCounter for Quarters {
        fn name(&self) -> &str {
            "quarters"
        }

        fn count(&self, text: &str) -> Tokens {
            Tokens::new(text.len().div_ceil(4) as u64)
        }

        fn count_up_to(&self, text: &str, limit: Tokens) -> Option<Tokens> {
            Some(self.count(text)).filter(|tokens| *tokens <= limit)
        }
    }

    fn limits(tokens: u64) -> Limits<'static> {
        Limits {
            cap: Some(Cap {
                tokens: Tokens::new(tokens),
                bytes: 24_000,
                lines: 100,
            }),
            counter: &Quarters,
        }
    }

    fn all(text: &str, is_json: bool, tokens: u64) -> Vec<&str> {
        Cutter::new(text, is_json, &limits(tokens))
            .map(|page| &text[page])
            .collect()
    }

    #[test]
    fn pages_end_with_lines_and_elements() {
        let lines: String = (0..1000).map(|n| format!("line {n}\n")).collect();
        let pages = all(&lines, false, 300);
        assert!(pages.len() > 5 && pages.iter().all(|page| page.ends_with('\n')));
        let element = |n| format!(r#"{{"id":{n},"tags":["a","b,c"],"text":"x, y"}}"#);
        let array: Vec<String> = (0..500).map(element).collect();
        let json = format!("[{}]", array.join(","));
        let pages = all(&json, true, 300);
        let (last, others) = pages.split_last().unwrap();
        assert!(
            others.iter().all(|page| page.ends_with("\"x, y\"},")),
            "{others:?}"
        );
        assert!(last.ends_with(']') && pages.len() > 10);
        let words = "word ".repeat(1000);
        assert!(
            all(&words, false, 300)
                .iter()
                .all(|page| page.ends_with(' '))
        );
    }

    #[test]
    fn a_page_is_found_by_its_number() {
        let text = "0123456\n".repeat(400);
        let limits = limits(300);
        let pages = all(&text, false, 300);
        for (n, expected) in pages.iter().enumerate() {
            let found = page(&text, false, n + 1, &limits).unwrap();
            assert_eq!(&text[found.span], *expected);
            assert_eq!(found.total, Some(pages.len()));
            assert_eq!(found.is_last, n + 1 == pages.len());
        }
        assert_eq!(
            page(&text, false, pages.len() + 1, &limits),
            Err(pages.len())
        );
        assert_eq!(page("", false, 1, &limits).unwrap().span, 0..0);
        assert_eq!(page("", false, 2, &limits), Err(1));
        let whole = Limits {
            cap: None,
            ..limits
        };
        assert_eq!(page(&text, false, 1, &whole).unwrap().span, 0..text.len());
    }

    proptest! {
        /// A cutter that leaves the line feed out, or cuts a character, or goes on from the wrong place fails
        /// here.
        #[test]
        fn pages_are_the_text_and_each_is_within_the_cap(
            text in prop_oneof![
                "(?s).{0,4000}",
                "[a-z ,\"\\\\{}\\[\\]\n]{0,4000}",
                "[é😀漢]{0,2000}",
                Just(String::new()),
            ],
            is_json: bool,
            tokens in 300u64..500,
        ) {
            let pages = all(&text, is_json, tokens);
            prop_assert_eq!(pages.concat(), text.as_str());
            for page in &pages {
                prop_assert!(page.len() as u64 <= 4 * tokens);
                prop_assert!(page.matches('\n').count() <= 100);
            }
        }
    }
}
