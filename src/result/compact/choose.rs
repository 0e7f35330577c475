//! Which notation is sent: few counts of whole texts. Candidates are compared on samples; the winner
//! is counted exactly against the original, beyond a bound it must win a sample by a margin.

use super::{Bounds, Compacted, Form};
use crate::token::{TokenCounter, Tokens};

/// A text up to this size is counted whole instead of sampled.
const WHOLE_BYTES: usize = 2 << 10;
/// Windows of a sample.
const WINDOWS: usize = 12;
/// Bytes of a window for comparing candidates.
const WINDOW_BYTES: usize = 256;
/// Bytes of a window where no exact count follows.
const WIDE_WINDOW_BYTES: usize = 2 << 10;
/// Where only samples were counted, a notation must be this much smaller, in per cent.
const MARGIN_PERCENT: u64 = 5;
/// A candidate whose estimate is so close to the smallest is counted too, in per cent.
const CLOSE_PERCENT: u64 = 4;
/// A shorter text has nothing to save.
const FEWEST_BYTES: usize = 24;

/// A notation that could be sent.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) form: Form,
    pub(super) text: String,
    pub(super) n_abbreviations: usize,
    /// What [`estimate`] says of the text, where that was asked already.
    pub(super) estimate: Option<u64>,
}

/// Estimates the tokens of a text from windows spread over it.
pub(super) fn estimate(text: &str, counter: &dyn TokenCounter) -> u64 {
    sampled(text, counter, WINDOW_BYTES)
}

fn sampled(text: &str, counter: &dyn TokenCounter, window_bytes: usize) -> u64 {
    if text.len() <= WHOLE_BYTES.max(WINDOWS * window_bytes) {
        return counter.count(text).get();
    }
    let stride = (text.len() - window_bytes) / (WINDOWS - 1);
    // Counted as one text: what comes in several windows is looked up once.
    let mut sample = String::with_capacity(WINDOWS * window_bytes);
    for n in 0..WINDOWS {
        let start = floor(text, n * stride);
        let end = floor(text, start + window_bytes);
        sample.push_str(&text[start..end]);
    }
    let n_tokens = counter.count(&sample).get();
    (text.len() as u64).saturating_mul(n_tokens) / (sample.len() as u64).max(1)
}

fn floor(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Returns the smallest candidate if it is smaller than the original.
pub(super) fn choose(
    original: &str,
    candidates: Vec<Candidate>,
    counter: &dyn TokenCounter,
    bounds: &Bounds,
) -> Option<Compacted> {
    if original.len() < FEWEST_BYTES {
        return None;
    }
    // What is the same is not smaller, and where nothing is left nobody needs the count of the original.
    let mut candidates = candidates;
    candidates.retain(|candidate| candidate.text != original);
    if candidates.is_empty() {
        return None;
    }
    let made = |candidate: Candidate, before: u64, tokens: u64, is_exact: bool| Compacted {
        text: candidate.text,
        before: Tokens::new(before),
        tokens: Tokens::new(tokens),
        form: candidate.form,
        n_abbreviations: candidate.n_abbreviations,
        is_exact,
    };
    let mut estimated: Vec<(u64, Candidate)> = candidates
        .into_iter()
        .map(|candidate| {
            let known = candidate.estimate;
            let tokens = known.unwrap_or_else(|| estimate(&candidate.text, counter));
            (tokens, candidate)
        })
        .collect();
    estimated.sort_by_key(|(tokens, _)| *tokens);
    let limit = bounds.exact_tokens.get();
    // A token has a byte at least: a short text needs no sample to be known as short.
    let sample = (original.len() as u64 > limit)
        .then(|| sampled(original, counter, WIDE_WINDOW_BYTES))
        .filter(|&before| before > limit);
    if let Some(before) = sample {
        return estimated
            .into_iter()
            .map(|(_, candidate)| {
                (
                    sampled(&candidate.text, counter, WIDE_WINDOW_BYTES),
                    candidate,
                )
            })
            .find(|(tokens, _)| tokens.saturating_mul(100 + MARGIN_PERCENT) < before * 100)
            .map(|(tokens, candidate)| made(candidate, before, tokens, false));
    }
    let before = counter.count(original).get();
    let mut best: Option<(u64, u64, Candidate)> = None;
    for (estimate, candidate) in estimated {
        let (first, least) = best
            .as_ref()
            .map_or((estimate, before), |(first, tokens, _)| (*first, *tokens));
        // Samples cannot tell candidates apart that are close.
        if best.is_some() && estimate * 100 > first * (100 + CLOSE_PERCENT) {
            break;
        }
        let below = Tokens::new(least.saturating_sub(1));
        if let Some(tokens) = counter.count_up_to(&candidate.text, below) {
            best = Some((first, tokens.get(), candidate));
        }
    }
    best.map(|(_, tokens, candidate)| made(candidate, before, tokens, true))
}
