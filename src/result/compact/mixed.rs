//! JSON inside other text: in Markdown fences, or after the last line of prose.

use super::choose::Candidate;
use super::{Bounds, Form, json, notes};
use crate::token::TokenCounter;

/// Regions that are looked at.
const REGIONS: usize = 64;
/// A shorter region is left alone.
const SHORTEST_BYTES: usize = 80;

/// A part of a text that is a JSON text, by bytes.
type Region = (usize, usize);

/// Returns the text with its JSON regions in their denser notations.
pub(super) fn candidate(
    text: &str,
    counter: &dyn TokenCounter,
    bounds: &Bounds,
) -> Option<Candidate> {
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    let mut n_abbreviations = 0;
    for (start, end) in regions(text) {
        let region = &text[start..end];
        let found = json::candidates(region, counter, bounds);
        let best = found
            .into_iter()
            .min_by_key(|candidate| super::choose::estimate(&candidate.text, counter));
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
    })
}

/// Returns the text with its JSON regions without white space: what reading back gives.
pub(super) fn plain(text: &str, bounds: &Bounds) -> String {
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for (start, end) in regions(text) {
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
    let mut tail: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        if line.starts_with("```") {
            match open.take() {
                Some(from) if line.trim_end() == "```" => {
                    if start > from + SHORTEST_BYTES && regions.len() < REGIONS {
                        regions.push((from, start - 1));
                    }
                }
                _ => open = Some(at),
            }
            tail = None;
        } else if open.is_none() && tail.is_none() && start > 0 && line.starts_with(['{', '[']) {
            tail = Some(start);
        }
    }
    if let Some(start) = tail
        && text.len() > start + SHORTEST_BYTES
    {
        let end = start + text[start..].trim_end().len();
        if end == text.len() {
            regions.push((start, end));
        }
    }
    regions.retain(|&(start, end)| text[start..end].trim_start().starts_with(['{', '[']));
    regions
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
