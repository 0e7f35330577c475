//! Where a text is cut before its pieces are looked up: the splitting patterns of the two encodings,
//! written out by hand. A piece never depends on what comes before it.
//!
//! Source: `tiktoken_ext/openai_public.py` of OpenAI's tiktoken 0.12, the patterns are quoted at the
//! functions. What a regex engine does with them (the first alternative that matches wins, greedy
//! repeats give back) is worked out in the comments; tests hold both to tiktoken-rs.

pub(crate) mod classes;

use classes::{BOTH, LETTER, LOWER, MARK, NEWLINE, NUMBER, OTHER, SPACE, UPPER, class_at, run_end};

/// Finds the end of the piece that starts at `at`, which must be before the end of `text`.
///
/// ```text
/// [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?
/// [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?
/// \p{N}{1,3}
///  ?[^\s\p{L}\p{N}]+[\r\n/]*
/// \s*[\r\n]+
/// \s+(?!\S)
/// \s+
/// ```
#[inline]
pub(crate) fn o200k_end(text: &[u8], at: usize) -> usize {
    let (class, n_bytes) = class_at(text, at);
    let next = at + n_bytes;
    if class & LETTER != 0 {
        // A letter starts a word of one kind or the other.
        let word = word_end(text, at);
        return contraction_end(text, word.end);
    }
    if class & NUMBER != 0 {
        return number_end(text, next);
    }
    if class & NEWLINE == 0 {
        // The word behind one character that is neither letter nor number nor line end.
        let word = word_end(text, next);
        // A mark can itself be the word; that way has lower-case-like letters, so it goes first.
        if class & MARK != 0 && !word.is_lower {
            return contraction_end(text, next);
        }
        if word.end > next {
            return contraction_end(text, word.end);
        }
    }
    if let Some(end) = symbols_end(text, at, class, next) {
        let mut end = end;
        while matches!(text.get(end), Some(b'\r' | b'\n' | b'/')) {
            end += 1;
        }
        return end;
    }
    space_end(text, at)
}

/// Finds the end of the piece that starts at `at`, which must be before the end of `text`.
///
/// ```text
/// '(?i:[sdmt]|ll|ve|re)
/// [^\r\n\p{L}\p{N}]?+\p{L}++
/// \p{N}{1,3}+
///  ?[^\s\p{L}\p{N}]++[\r\n]*+
/// \s++$
/// \s*[\r\n]
/// \s+(?!\S)
/// \s
/// ```
#[inline]
pub(crate) fn cl100k_end(text: &[u8], at: usize) -> usize {
    let (class, n_bytes) = class_at(text, at);
    let next = at + n_bytes;
    if class & LETTER != 0 {
        return run_end(text, next, LETTER);
    }
    if class & NUMBER != 0 {
        return number_end(text, next);
    }
    let contraction = contraction_end(text, at);
    if contraction > at {
        return contraction;
    }
    if class & NEWLINE == 0 {
        let end = run_end(text, next, LETTER);
        if end > next {
            return end;
        }
    }
    if let Some(end) = symbols_end(text, at, class, next) {
        return run_end(text, end, NEWLINE);
    }
    // All that is left of the text goes together, line ends or not.
    let end = run_end(text, next, SPACE | NEWLINE);
    if end == text.len() {
        return end;
    }
    space_end(text, at)
}

/// What the two alternatives for words find, without the contraction.
struct Word {
    /// The end; where the word should have started if there is none.
    end: usize,
    /// Whether it is of the first kind: with a letter that is not only upper-case.
    is_lower: bool,
}

/// The first alternative is `X*Y+`, the second `X+Y*`, with marks and letters of no case in both X
/// and Y. `X*` takes all it can; then a lower-case letter goes on with `Y+`, or else `X*` gives back
/// up to the last character that is also in Y, and that one is all of `Y+`. With none the second
/// alternative has the same X and nothing of Y.
#[inline]
fn word_end(text: &[u8], start: usize) -> Word {
    let mut at = start;
    let mut both_end = None;
    loop {
        let (class, n_bytes) = class_at(text, at);
        if class & UPPER != 0 {
            at += n_bytes;
        } else if class & (BOTH | MARK) != 0 {
            at += n_bytes;
            both_end = Some(at);
        } else if class & LOWER != 0 {
            return Word {
                end: run_end(text, at + n_bytes, LOWER | BOTH | MARK),
                is_lower: true,
            };
        } else {
            return Word {
                end: both_end.unwrap_or(at),
                is_lower: both_end.is_some(),
            };
        }
    }
}

/// `(?i:'s|'t|'re|'ve|'m|'ll|'d)?` at `at`: its end, or `at` itself. Folding case makes the long s an s.
#[inline]
fn contraction_end(text: &[u8], at: usize) -> usize {
    if text.get(at) != Some(&b'\'') {
        return at;
    }
    let byte = |n: usize| text.get(at + n).copied().unwrap_or_default();
    match (byte(1) | 0x20, byte(2) | 0x20) {
        (b's' | b't' | b'm' | b'd', _) => at + 2,
        (b'r' | b'v', b'e') | (b'l', b'l') => at + 3,
        _ if byte(1) == 0xc5 && byte(2) == 0xbf => at + 3,
        _ => at,
    }
}

/// `\p{N}{1,3}` after its first character.
#[inline]
fn number_end(text: &[u8], mut at: usize) -> usize {
    for _ in 0..2 {
        let (class, n_bytes) = class_at(text, at);
        if class & NUMBER == 0 {
            break;
        }
        at += n_bytes;
    }
    at
}

/// ` ?[^\s\p{L}\p{N}]+`, of which the character at `at` is known.
#[inline]
fn symbols_end(text: &[u8], at: usize, class: u8, next: usize) -> Option<usize> {
    let end = run_end(text, next, OTHER | MARK);
    let is_space = text.get(at) == Some(&b' ') && end > next;
    (class & (OTHER | MARK) != 0 || is_space).then_some(end)
}

/// The alternatives for white space: up to the last line end in the run; or else all of it but the
/// last character, which goes with what follows; or that one alone.
fn space_end(text: &[u8], start: usize) -> usize {
    let mut at = start;
    let mut last = start;
    let mut newline_end = None;
    loop {
        let (class, n_bytes) = class_at(text, at);
        if class & (SPACE | NEWLINE) == 0 {
            break;
        }
        last = at;
        at += n_bytes;
        if class & NEWLINE != 0 {
            newline_end = Some(at);
        }
    }
    match newline_end {
        Some(end) => end,
        None if at == text.len() || last == start => at,
        None => last,
    }
}
