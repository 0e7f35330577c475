//! Abbreviations: text that a result repeats (long ids, addresses, whole values) stands once in a line
//! `~1=…` at its head and as `~1` where it was. The mark is a character that the text does not have, so
//! that nothing needs an escape and reading back is a replacement of text.

use std::collections::HashMap;

use crate::token::TokenCounter;

use super::tree::{ReadyState, hash_bytes, string_end};

/// Marks, the first that the text does not have is taken. Each is one token.
const MARKS: [char; 4] = ['~', '^', '§', '¶'];
/// The second character of an abbreviation.
const INDEX: &[u8] = b"123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
/// A shorter piece is never worth one.
const SHORTEST_BYTES: usize = 12;
/// Starts of one piece that are looked at.
const STARTS: usize = 16;
/// Bytes of a piece that are looked at.
const LONGEST_BYTES: usize = 600;
/// Texts longer than this get none: looking for repeats would cost more than the rest together.
pub(super) const MAX_BYTES: usize = 512 << 10;

/// A start of a piece.
struct Start {
    piece: u32,
    bytes: u32,
    hash: u64,
}

struct Found {
    at: u32,
    bytes: u32,
    n: u32,
}

/// Returns the text with abbreviations and their number, if any seems to pay.
pub(super) fn abbreviate(text: &str, counter: &dyn TokenCounter) -> Option<(String, usize)> {
    if text.len() > MAX_BYTES {
        return None;
    }
    let mark = MARKS.into_iter().find(|&mark| !text.contains(mark))?;
    let pieces: Vec<(usize, usize)> = pieces(text).collect();
    let entries = confirmed(text, &pieces, choose(text, &pieces), counter);
    if entries.is_empty() {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    for (entry, index) in entries.iter().zip(INDEX) {
        out.push(mark);
        out.push(char::from(*index));
        out.push('=');
        out.push_str(entry);
        out.push('\n');
    }
    let by_length = by_length(&entries);
    let mut copied = 0;
    for &(start, end) in &pieces {
        if let Some(n) = starting(&text[start..end], &entries, &by_length) {
            out.push_str(&text[copied..start]);
            out.push(mark);
            out.push(char::from(INDEX[n]));
            copied = start + entries[n].len();
        }
    }
    out.push_str(&text[copied..]);
    Some((out, entries.len()))
}

/// Tells whether a text starts with abbreviations.
pub(super) fn has_abbreviations(text: &str) -> bool {
    text.starts_with(MARKS)
}

/// Undoes [`abbreviate`]; a text without abbreviations comes back as it is.
pub(super) fn expand(text: &str, max_bytes: usize) -> Option<String> {
    let mut entries: Vec<&str> = Vec::new();
    let mark = text.chars().next()?;
    let mut rest = text;
    if !MARKS.contains(&mark) {
        return Some(text.to_owned());
    }
    while let Some(line) = rest.strip_prefix(mark) {
        let (line, after) = line.split_once('\n')?;
        let entry = line.get(1..)?.strip_prefix('=')?;
        if line.as_bytes()[0] != *INDEX.get(entries.len())? {
            return None;
        }
        entries.push(entry);
        rest = after;
    }
    let mut out = String::with_capacity(text.len() * 2);
    while let Some((before, after)) = rest.split_once(mark) {
        out.push_str(before);
        let index = *after.as_bytes().first()?;
        let n = INDEX.iter().position(|&i| i == index)?;
        out.push_str(entries.get(n)?);
        if out.len() > max_bytes {
            return None;
        }
        rest = after.get(1..)?;
    }
    out.push_str(rest);
    Some(out)
}

/// The values that are long enough, each up to its first escape: what stands between quotes, and what
/// stands bare in a row. The inside of a long text is left alone: prose and code stay readable.
fn pieces(text: &str) -> impl Iterator<Item = (usize, usize)> + '_ {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() {
            let mut start = at;
            let is_quoted = bytes[at] == b'"';
            let n = if is_quoted {
                start += 1;
                let close = string_end(bytes, at, bytes.len()).map_or(bytes.len(), |(end, _)| end);
                at = close + 1;
                memchr::memchr(b'\\', &bytes[start..close]).unwrap_or(close - start)
            } else {
                let n = bytes[start..]
                    .iter()
                    .position(|b| matches!(b, b'"' | b',' | b'\n' | b'(' | b'[' | b')' | b']'))
                    .unwrap_or(bytes.len() - start);
                at = start + n + usize::from(bytes.get(start + n) != Some(&b'"'));
                n
            };
            if n >= SHORTEST_BYTES {
                return Some((start, start + n));
            }
        }
        None
    })
}

/// The starts of a piece that end at the border of a word, and the whole.
fn starts(piece: &str) -> impl Iterator<Item = usize> + '_ {
    let bytes = piece.as_bytes();
    let whole = bytes.len();
    (SHORTEST_BYTES..whole.min(LONGEST_BYTES))
        .filter(move |&n| {
            !bytes[n].is_ascii_alphanumeric()
                && bytes[n] < 0x80
                && bytes[n - 1].is_ascii_alphanumeric()
        })
        .take(STARTS)
        .chain((whole <= LONGEST_BYTES).then_some(whole))
}

/// The starts of all pieces, with their hashes: those that come once only are left out.
fn repeated_starts(text: &str, pieces: &[(usize, usize)]) -> Vec<Start> {
    let mut all = Vec::with_capacity(pieces.len() * 2);
    let mut counts: HashMap<u64, u32, ReadyState> = HashMap::default();
    for (n, &(start, end)) in pieces.iter().enumerate() {
        let piece = &text[start..end];
        for bytes in starts(piece) {
            let hash = hash_bytes(1, &piece.as_bytes()[..bytes]);
            *counts.entry(hash).or_default() += 1;
            all.push(Start {
                piece: n as u32,
                bytes: bytes as u32,
                hash,
            });
        }
    }
    all.retain(|start| counts.get(&start.hash).is_some_and(|n| *n > 1));
    all
}

fn choose<'a>(text: &'a str, pieces: &[(usize, usize)]) -> Vec<&'a str> {
    let mut entries: Vec<&str> = Vec::new();
    let all = repeated_starts(text, pieces);
    // Each round counts what the entries so far leave over.
    for _ in 0..4 {
        let by_length = by_length(&entries);
        let mut found: HashMap<u64, Found, ReadyState> = HashMap::default();
        for starts in all.chunk_by(|one, other| one.piece == other.piece) {
            let (start, end) = pieces[starts[0].piece as usize];
            let piece = &text[start..end];
            let taken = starting(piece, &entries, &by_length).map_or(0, |n| entries[n].len());
            for one in starts.iter().filter(|one| one.bytes as usize > taken) {
                found
                    .entry(one.hash)
                    .or_insert(Found {
                        at: start as u32,
                        bytes: one.bytes,
                        n: 0,
                    })
                    .n += 1;
            }
        }
        let mut best: Vec<(i64, &str)> = found
            .values()
            .filter(|found| found.n > 1)
            .map(|found| {
                let start = found.at as usize;
                let entry = &text[start..start + found.bytes as usize];
                (gain(entry, found.n), entry)
            })
            .filter(|(gain, _)| *gain > 0)
            .collect();
        best.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
        let n_before = entries.len();
        for (_, entry) in best {
            if entries.len() == INDEX.len() {
                return entries;
            }
            // What starts alike is counted again in the next round.
            let is_near = entries[n_before..]
                .iter()
                .any(|other| other.starts_with(entry) || entry.starts_with(other));
            if !is_near {
                entries.push(entry);
            }
        }
        if entries.len() == n_before {
            break;
        }
    }
    entries
}

/// Drops the entries that save nothing by the counter, now that it is known where they stand.
fn confirmed<'a>(
    text: &str,
    pieces: &[(usize, usize)],
    entries: Vec<&'a str>,
    counter: &dyn TokenCounter,
) -> Vec<&'a str> {
    if entries.is_empty() {
        return entries;
    }
    let by_length = by_length(&entries);
    let mut n_uses = vec![0u64; entries.len()];
    for &(start, end) in pieces {
        if let Some(n) = starting(&text[start..end], &entries, &by_length) {
            n_uses[n] += 1;
        }
    }
    entries
        .into_iter()
        .zip(n_uses)
        .filter(|&(entry, n)| {
            let tokens = counter.count(entry).get();
            tokens.saturating_sub(2) * n > tokens + 4
        })
        .map(|(entry, _)| entry)
        .collect()
}

/// Tokens saved, roughly: letters come four to a token, digits and signs two to three.
fn gain(entry: &str, n: u32) -> i64 {
    let n_letters = entry
        .bytes()
        .filter(|b| b.is_ascii_lowercase() || *b == b' ')
        .count();
    let tokens = (n_letters / 5 + (entry.len() - n_letters) * 2 / 5) as i64;
    (tokens - 2) * i64::from(n) - tokens - 4
}

fn by_length(entries: &[&str]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by_key(|&n| std::cmp::Reverse(entries[n].len()));
    order
}

fn starting(piece: &str, entries: &[&str], by_length: &[usize]) -> Option<usize> {
    by_length
        .iter()
        .copied()
        .find(|&n| piece.starts_with(entries[n]))
}
