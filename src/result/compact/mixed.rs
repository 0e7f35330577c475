//! JSON inside other text: in Markdown fences, or from the start of a line to the end of one.

use super::choose::Candidate;
use super::{Bounds, Form, json, notes};
use crate::token::TokenCounter;

/// Regions that are looked at.
const REGIONS: usize = 64;
/// A shorter region is left alone.
const SHORTEST_BYTES: usize = 80;

/// Tries to read a JSON text outside fences, and the longest text where that is done: one that starts
/// like JSON and is none is read up to its fault.
const ATTEMPTS: usize = 16;
const LONGEST_BYTES: usize = 4 << 20;

/// A part of a text that is a JSON text.
#[derive(Debug, Clone, Copy)]
struct Region {
    start: usize,
    end: usize,
    /// Whether other text than a fence's end follows: then nothing but the value marks its end, and it
    /// has no abbreviations.
    is_open: bool,
}

/// Returns the text with its JSON regions in their denser notations.
pub(super) fn candidate(
    text: &str,
    counter: &dyn TokenCounter,
    bounds: &Bounds,
) -> Option<Candidate> {
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    let mut n_abbreviations = 0;
    for Region {
        start,
        end,
        is_open,
    } in regions(text)
    {
        let best = json::candidates(&text[start..end], counter, bounds)
            .into_iter()
            .filter(|candidate| !is_open || candidate.n_abbreviations == 0)
            .min_by_key(|candidate| candidate.estimate);
        if let Some(best) = best {
            out.push_str(&text[copied..start]);
            out.push_str(&best.text);
            n_abbreviations += best.n_abbreviations;
            copied = end;
        }
    }
    if copied == 0 {
        return None;
    }
    out.push_str(&text[copied..]);
    let expected = plain(text, bounds);
    let back = super::decode(&out, bounds)?;
    (back.text == expected).then_some(Candidate {
        form: Form::Mixed,
        text: out,
        n_abbreviations,
        estimate: None,
    })
}

/// Returns the text with its JSON regions without white space: what reading back gives.
pub(super) fn plain(text: &str, bounds: &Bounds) -> String {
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for Region { start, end, .. } in regions(text) {
        if let Some(tree) = json::parse(&text[start..end], bounds) {
            out.push_str(&text[copied..start]);
            out.push_str(&json::plain(&tree, end - start));
            copied = end;
        }
    }
    out.push_str(&text[copied..]);
    out
}

fn regions(text: &str) -> Vec<Region> {
    let mut regions = Vec::new();
    let mut at = 0;
    let mut open: Option<usize> = None;
    let mut n_attempts = 0;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        if regions
            .last()
            .is_some_and(|region: &Region| region.end > start)
        {
            continue;
        }
        if regions.len() == REGIONS {
            break;
        }
        if line.starts_with("```") {
            match open.take() {
                Some(from) if line.trim_end() == "```" => {
                    let is_json = text[from..].trim_start().starts_with(['{', '[']);
                    if is_json && start > from + SHORTEST_BYTES {
                        regions.push(Region {
                            start: from,
                            end: start - 1,
                            is_open: false,
                        });
                    }
                }
                _ => open = Some(at),
            }
        } else if open.is_none()
            && start > 0
            && line.starts_with(['{', '['])
            && n_attempts < ATTEMPTS
            && text.len() <= LONGEST_BYTES
        {
            n_attempts += 1;
            if let Some(end) = value_end(text, start) {
                regions.push(Region {
                    start,
                    end,
                    is_open: end < text.len(),
                });
            }
        }
    }
    regions
}

/// Returns where the JSON value at `start` ends, if its line ends there too.
fn value_end(text: &str, start: usize) -> Option<usize> {
    let mut values =
        serde_json::Deserializer::from_str(&text[start..]).into_iter::<serde::de::IgnoredAny>();
    values.next()?.ok()?;
    let n_bytes = values.byte_offset();
    let ends_line = matches!(text.as_bytes().get(start + n_bytes), None | Some(b'\n'));
    (n_bytes >= SHORTEST_BYTES && ends_line).then_some(start + n_bytes)
}

/// Finds the next region in a denser notation: what stands before it, its head line, its body, and
/// what stands behind it.
pub(super) fn next_region(text: &str) -> Option<(&str, &'static str, &str, &str)> {
    let mut from = 0;
    loop {
        if let Some((note, rest)) = notes::split(&text[from..]) {
            let before = &text[..from];
            let is_fenced = before
                .strip_suffix('\n')
                .and_then(|before| before.rsplit('\n').next())
                .is_some_and(|line| line.starts_with("```"));
            if !is_fenced {
                return Some((before, note, rest, ""));
            }
            let end = rest.find("\n```")?;
            return Some((before, note, &rest[..end], &rest[end..]));
        }
        from += text[from..].find('\n')? + 1;
    }
}
