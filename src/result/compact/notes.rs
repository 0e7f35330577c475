//! The head lines: what a model is told of a notation that it has never seen. One line, at most
//! fifteen tokens (a test counts them); a text that starts with one is not made denser again.

/// JSON as rows of templates.
pub(super) const ROWS: &str = "JSON; rows in A[], A() fill A's valueless keys";
/// JSON as rows, with strings that are JSON texts themselves shown as values behind `@`.
pub(super) const STRINGS: &str = "JSON; A[], A() fill A's valueless keys; @ string";
/// JSON with abbreviations, without templates.
pub(super) const LEGEND: &str = "JSON; abbreviations first";
/// Several texts that are each JSON.
pub(super) const LIST: &str = "JSON texts; rows in A[], A() fill A's valueless keys";
/// A Python literal.
pub(super) const PYTHON: &str = "Python; rows in A[], A() fill A's valueless keys";
/// Text with lines that repeat.
pub(super) const LINES: &str = "Lines; ×N: stands N times";

/// All of them.
pub(super) const ALL: [&str; 6] = [ROWS, STRINGS, LEGEND, LIST, PYTHON, LINES];

/// Tells whether a line of `text` is a head line of ours, which its reader could not tell from ours.
pub(super) fn stand_in(text: &str) -> bool {
    ALL.into_iter().any(|note| {
        text.match_indices(note).any(|(at, _)| {
            let (before, behind) = (&text[..at], &text[at + note.len()..]);
            (before.is_empty() || before.ends_with('\n'))
                && (behind.is_empty() || behind.starts_with('\n'))
        })
    })
}

/// Returns the head line that `text` starts with and what stands behind it.
pub(super) fn split(text: &str) -> Option<(&'static str, &str)> {
    ALL.into_iter().find_map(|note| {
        let rest = text.strip_prefix(note)?.strip_prefix('\n')?;
        Some((note, rest))
    })
}
