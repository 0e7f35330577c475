//! The same count as tiktoken-rs, for text made to be hard and for the captured lists.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use crate::token::bpe::vocabulary::LONGEST_TOKEN;
use crate::token::bpe::{CL100K_BASE, O200K_BASE, long, merge};
use crate::token::split::{cl100k_end, o200k_end};
use crate::token::tests::oracle;
use crate::token::{Encoding, TiktokenCounter, TokenCounter};

fn theirs(encoding: Encoding, text: &str) -> u64 {
    oracle(encoding).count_ordinary(text) as u64
}

fn ours(encoding: Encoding, text: &str) -> u64 {
    TiktokenCounter::new(encoding).count(text).get()
}

#[track_caller]
fn check(text: &str) {
    for encoding in Encoding::ALL {
        let start: String = text.chars().take(80).collect();
        assert_eq!(
            ours(encoding, text),
            theirs(encoding, text),
            "{encoding}: {start:?}"
        );
    }
}

/// A generator of numbers that is the same everywhere (Marsaglia, "Xorshift RNGs", 2003).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize) % n
    }
}

/// Characters that the splitting patterns treat in ways of their own, and scripts.
fn pools() -> Vec<Vec<char>> {
    let spaces = " \t\n\r\u{b}\u{c}\u{85}\u{a0}\u{1680}\u{2003}\u{2028}\u{202f}\u{3000}";
    vec![
        ('a'..='z').collect(),
        ('A'..='Z').collect(),
        ('0'..='9').collect(),
        spaces.chars().collect(),
        "{}[]\",:.'/_<>|=!-+*&^%$#@`~;?\\()".chars().collect(),
        ('\u{4e00}'..='\u{9fff}').collect(),
        ('\u{300}'..='\u{36f}').collect(),
        ('\u{1f300}'..='\u{1f64f}')
            .chain("\u{200d}\u{fe0f}\u{1f3fb}\u{20e3}".chars())
            .collect(),
        ('\u{400}'..='\u{4ff}').collect(),
        ('\u{5d0}'..='\u{6ff}').collect(),
        ('\u{900}'..='\u{97f}').collect(),
        ('\u{ac00}'..='\u{d7a3}').collect(),
        ('\u{3040}'..='\u{30ff}').collect(),
        "éàüßñøÅŒǅǈʰʱªº\u{17f}\u{212a}’".chars().collect(),
        "٠١٢٣四²½Ⅷ".chars().collect(),
        (1_u32..0x10_ffff)
            .step_by(37)
            .filter_map(char::from_u32)
            .collect(),
    ]
}

const WORDS: [&str; 28] = [
    "'s",
    "'S",
    "'ll",
    "'LL",
    "'Re",
    "'ve",
    "'m",
    "'d",
    "'t",
    "'\u{17f}",
    "'l",
    "<|endoftext|>",
    "<|im_start|>",
    "<|endofprompt|>",
    "function",
    "  ",
    "    ",
    "\r\n",
    "\n\n",
    "://",
    " the",
    "camelCase",
    "XMLHttp",
    "\u{301}",
    "//",
    "/\n",
    "\0",
    "\u{feff}",
];

fn hard_text(numbers: &mut Numbers, pools: &[Vec<char>]) -> String {
    let mut text = String::new();
    for _ in 0..=numbers.below(40) {
        if numbers.below(3) == 0 {
            text.push_str(WORDS[numbers.below(WORDS.len())]);
            continue;
        }
        let pool = &pools[numbers.below(pools.len())];
        let n = match numbers.below(40) {
            0 => numbers.below(400),
            _ => 1 + numbers.below(8),
        };
        let same = (numbers.below(6) == 0).then(|| pool[numbers.below(pool.len())]);
        text.extend((0..n).map(|_| same.unwrap_or_else(|| pool[numbers.below(pool.len())])));
    }
    text
}

fn check_hard_texts(seed: u64, n_bytes: usize) {
    let pools = pools();
    let mut numbers = Numbers(seed);
    let mut done = 0;
    while done < n_bytes {
        let text = hard_text(&mut numbers, &pools);
        done += text.len();
        check(&text);
    }
}

/// Some on every run; `MCP_WHITTLE_HARD_BYTES=12000000 cargo test --release --lib hard_texts`, which sets
/// it at build time, counts as many as wanted.
#[test]
fn hard_texts_count_the_same() {
    let wanted = option_env!("MCP_WHITTLE_HARD_BYTES").and_then(|bytes| bytes.parse().ok());
    check_hard_texts(1, wanted.unwrap_or(300_000));
}

/// Long runs: the way for long pieces, and the one of remembered pieces. tiktoken-rs gives up on
/// a megabyte of spaces, so white space is held to it at a length that it takes.
#[test]
fn long_runs_count_the_same() {
    for unit in [
        "a",
        "A",
        "=",
        "中",
        "é",
        "'",
        "1",
        "Aa",
        "ab",
        " \n",
        "\u{301}",
        " ",
        "\t ",
        "\n",
        "-=",
        "abcdefghij",
        "龘",
        "x\u{301}",
        "ACGTTGCA",
        "\u{1f600}",
        "Ă",
    ] {
        let n_bytes = if unit.contains(' ') { 50_000 } else { 200_000 };
        let run = unit.repeat(n_bytes / unit.len());
        for text in [format!("{run}x"), format!("\"{run}\"")] {
            check(&text);
        }
    }
    check(&"a".repeat(1 << 20));
}

/// Long pieces of many kinds: windows, short and wide, and parts between which no token reaches.
#[test]
fn long_pieces_count_the_same() {
    let (pools, mut numbers) = (pools(), Numbers(3));
    for pool in &pools {
        let text: String = (0..3000).map(|_| pool[numbers.below(pool.len())]).collect();
        check(&text);
    }
    for (n_mixed, longest) in [(8, 9), (3, 90), (2, 300), (40, 9)] {
        let mut text = String::new();
        for _ in 0..1500 {
            match numbers.below(n_mixed) {
                0 => text.push('\t'),
                _ => text.push_str(&" ".repeat(numbers.below(longest))),
            }
        }
        text.truncate(25_000);
        check(&format!("{text}x"));
    }
    for (one, other) in [
        ("=", "-"),
        ("a", "A"),
        ("中", "龘"),
        ("\u{1f600}", "\u{fe0f}"),
    ] {
        let mut text = String::new();
        for _ in 0..100 {
            text.push_str(&one.repeat(numbers.below(150)));
            text.push_str(&other.repeat(numbers.below(10)));
        }
        check(&text);
    }
}

/// The broken variant: parts are cut at every border of characters that are not ASCII.
#[test]
fn careless_parts_would_be_seen() {
    let (pools, mut numbers) = (pools(), Numbers(4));
    let vocabulary = &O200K_BASE;
    let (mut n_cut, mut n_wrong) = (0, 0);
    for _ in 0..1500 {
        let pool = &pools[5 + numbers.below(pools.len() - 5)];
        let text: String = (0..6).map(|_| pool[numbers.below(pool.len())]).collect();
        let (bytes, end) = (text.as_bytes(), text.len());
        let count = |from: usize, to: usize| long::count_in(vocabulary, bytes, from, to, 0);
        for at in (2..end).filter(|at| text.is_char_boundary(*at)) {
            let is_sum = count(0, at) + count(at, end) == count(0, end);
            let is_apart = vocabulary.is_apart(bytes, 0, at, end);
            assert!(is_sum || !is_apart, "{text:?} at {at}");
            n_cut += usize::from(is_apart);
            n_wrong += usize::from(!is_sum);
        }
    }
    assert!(n_cut > 500 && n_wrong > 20, "{n_cut} {n_wrong}");
}

/// Work is linear: this would take hours otherwise.
#[test]
fn megabytes_of_space_end() {
    for unit in [" ", "\t ", "\u{a0}", "\n ", " \u{3000}\t"] {
        let text = unit.repeat((1 << 21) / unit.len());
        for encoding in Encoding::ALL {
            assert!(ours(encoding, &text) >= (text.len() / LONGEST_TOKEN) as u64);
        }
    }
}

/// All lists and recorded answers that are in the repository.
#[test]
fn captured_texts_count_the_same() {
    let mut n_bytes = 0;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    check_files(&folder, &mut n_bytes);
    assert!(n_bytes > 500_000, "only {n_bytes} bytes were compared");
}

fn check_files(folder: &Path, n_bytes: &mut usize) {
    for entry in fs::read_dir(folder).expect("it can be read") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            check_files(&path, n_bytes);
        } else if let Ok(text) = fs::read_to_string(&path) {
            check(&text);
            *n_bytes += text.len();
        }
    }
}

/// Splits with one of the broken variants below, to see that the texts above notice.
fn count_with(piece_end: impl Fn(&[u8], usize) -> usize, text: &str) -> u64 {
    let (bytes, mut at, mut total) = (text.as_bytes(), 0, 0);
    let mut remembered = crate::token::bpe::Remembered::of_text(&[]);
    while at < bytes.len() {
        let end = piece_end(bytes, at);
        total += O200K_BASE.count_piece(bytes, at, end, &mut remembered) as u64;
        at = end;
    }
    total
}

/// The broken variants that the comparison is there to catch: contractions by their own, and white space
/// that keeps its last character.
#[test]
fn a_careless_split_would_be_seen() {
    let without_contraction = |text: &[u8], at: usize| {
        let end = o200k_end(text, at);
        (at + 1..end).find(|&n| text[n] == b'\'').unwrap_or(end)
    };
    let greedy_space = |text: &[u8], at: usize| {
        let spaces = text[at..].iter().take_while(|byte| **byte == b' ').count();
        if spaces > 1 {
            at + spaces
        } else {
            o200k_end(text, at)
        }
    };
    let (pools, mut numbers) = (pools(), Numbers(1));
    let texts: Vec<String> = (0..200).map(|_| hard_text(&mut numbers, &pools)).collect();
    for text in &texts {
        assert_eq!(
            count_with(o200k_end, text),
            theirs(Encoding::O200kBase, text)
        );
    }
    let differs = |broken: &dyn Fn(&[u8], usize) -> usize| {
        let differs = |text: &&String| count_with(broken, text) != ours(Encoding::O200kBase, text);
        texts.iter().filter(differs).count()
    };
    assert!(differs(&without_contraction) > 10);
    assert!(differs(&greedy_space) > 3);
}

/// Both ways to count a piece agree where both can be gone, and pieces cover the text on characters.
fn check_pieces(text: &str) {
    let bytes = text.as_bytes();
    for (vocabulary, piece_end) in [
        (&O200K_BASE, o200k_end as fn(&[u8], usize) -> usize),
        (&CL100K_BASE, cl100k_end),
    ] {
        let mut at = 0;
        while at < bytes.len() {
            let end = piece_end(bytes, at);
            assert!(end > at && text.is_char_boundary(end), "{text:?} at {at}");
            let is_token =
                vocabulary.rank(bytes, at, end) != crate::token::bpe::vocabulary::Rank::NONE;
            if !is_token && end - at <= merge::LONGEST {
                let count = merge::count(vocabulary, bytes, at, end);
                for window in [0, 32] {
                    let long = long::count_in(vocabulary, bytes, at, end, window);
                    assert_eq!(count, long, "{:?} {window}", &text[at..end]);
                }
            }
            at = end;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_counts_the_same(text in ".{0,80}") {
        check(&text);
        check_pieces(&text);
    }

    #[test]
    fn any_word_counts_the_same(text in "[a-zA-Z]{1,64}( |[\\p{L}\\p{M}\\p{N}\\p{P}\\s]{0,40})") {
        check(&text);
        check_pieces(&text);
    }
}
