//! JSON texts: without white space, or as rows of templates.

use super::choose::{Candidate, estimate};
use super::template::Templates;
use super::tree::{Spacing, Tree, TreeBounds, string_end};
use super::{Bounds, Form, decode, legend, notes, write};
use crate::token::TokenCounter;

/// Abbreviations must save this share of the tokens, in per cent: reading them costs attention.
const LEGEND_PERCENT: u64 = 3;

/// Returns the denser notations of a JSON text; empty where it is no JSON text.
pub(super) fn candidates(
    text: &str,
    counter: &dyn TokenCounter,
    bounds: &Bounds,
) -> Vec<Candidate> {
    let Some(tree) = parse(text, bounds) else {
        return Vec::new();
    };
    let plain = plain(&tree, text.len());
    let n_plain = estimate(&plain, counter);
    let rows = rows(
        &tree,
        &plain,
        n_plain,
        notes::ROWS,
        Form::Rows,
        counter,
        bounds,
    );
    let plain = Candidate {
        form: Form::Minified,
        text: plain,
        n_abbreviations: 0,
        estimate: Some(n_plain),
    };
    rows.into_iter().chain([plain]).collect()
}

/// Returns the denser notation of what `plain` says, if it has rows or abbreviations: `plain` is the
/// text of `tree` without white space, `n_plain` what [`estimate`] says of it.
pub(super) fn rows(
    tree: &Tree,
    plain: &str,
    n_plain: u64,
    note: &'static str,
    form: Form,
    counter: &dyn TokenCounter,
    bounds: &Bounds,
) -> Option<Candidate> {
    let templates = Templates::make(tree);
    let has_rows = !templates.is_empty() || tree.has_embedded;
    let body = has_rows.then(|| write::write(tree, &templates));
    let rows = body
        .map(|body| (estimate(&body, counter), body))
        .filter(|(n, _)| n + 10 < n_plain);
    let (note, form) = match form {
        Form::Rows if rows.is_none() => (notes::LEGEND, Form::Abbreviated),
        Form::Rows if tree.has_embedded => (notes::STRINGS, Form::Rows),
        form => (note, form),
    };
    let (estimate, body, n_abbreviations) = match rows {
        Some((n, rows)) => abbreviated(&rows, n, counter, bounds).unwrap_or((n, rows, 0)),
        None => abbreviated(plain, n_plain, counter, bounds)?,
    };
    // The one proof that nothing is lost: what a reader gets back is what was there.
    if decode::json(&body, bounds.max_bytes.saturating_mul(2)).as_deref() != Some(plain) {
        return None;
    }
    Some(Candidate {
        form,
        text: format!("{note}\n{body}"),
        n_abbreviations,
        estimate: Some(estimate + counter.count(note).get() + 1),
    })
}

fn abbreviated(
    body: &str,
    n_tokens: u64,
    counter: &dyn TokenCounter,
    bounds: &Bounds,
) -> Option<(u64, String, usize)> {
    if !bounds.may_abbreviate {
        return None;
    }
    let (text, n) = legend::abbreviate(body, counter)?;
    let after = estimate(&text, counter);
    (after * 100 < n_tokens * (100 - LEGEND_PERCENT)).then_some((after, text, n))
}

/// Reads a text within the bounds for rows.
pub(super) fn parse(text: &str, bounds: &Bounds) -> Option<Tree> {
    Tree::parse(
        text,
        TreeBounds {
            nodes: bounds.max_values,
            depth: bounds.max_depth,
        },
    )
}

/// Returns the text of a tree without white space.
pub(super) fn plain(tree: &Tree, capacity: usize) -> String {
    let mut plain = String::with_capacity(capacity);
    tree.write(tree.root(), Spacing::Compact, &mut plain);
    plain
}

/// A text with more values than rows are made of loses its white space, and nothing else.
pub(super) fn only_minified(text: &str, bounds: &Bounds) -> Option<Candidate> {
    if text.len() < bounds.max_values {
        return None;
    }
    serde_json::from_str::<serde::de::IgnoredAny>(text).ok()?;
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['"', ' ', '\n', '\t', '\r']) {
        out.push_str(&rest[..at]);
        if rest.as_bytes()[at] == b'"' {
            let (end, _) = string_end(rest.as_bytes(), at, rest.len())?;
            out.push_str(&rest[at..=end]);
            rest = &rest[end + 1..];
        } else {
            rest = &rest[at + 1..];
        }
    }
    out.push_str(rest);
    Some(Candidate {
        form: Form::Minified,
        text: out,
        n_abbreviations: 0,
        estimate: None,
    })
}
