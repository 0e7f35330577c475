//! What changed between two texts, by lines: a unified diff (POSIX `diff -u` without its head, GNU's mark for
//! a last line without a newline) with one line of context.

use std::collections::HashMap;
use std::hash::Hash;

use similar::{Algorithm, ChangeTag, DiffOp};

/// Lines of a text, at most.
const LINES: usize = 8_000;
/// Lines of context.
const CONTEXT: usize = 1;
const NO_NEWLINE: &str = "\\ No newline at end of file\n";

/// Returns the difference; none where nothing changed, a text is too long, or less than half of the lines
/// are the same: such a difference would be no shorter, and would take long to find.
pub(super) fn diff(old: &str, new: &str) -> Option<String> {
    let (old, new) = (split(old)?, split(new)?);
    if shared(&old, &new) * 2 < old.len().max(new.len()) {
        return None;
    }
    let operations = similar::capture_diff_slices(Algorithm::Myers, &old, &new);
    let mut out = String::new();
    for hunk in similar::group_diff_ops(operations, CONTEXT) {
        let (first, last) = (hunk.first()?, hunk.last()?);
        let old_at = first.old_range().start..last.old_range().end;
        let new_at = first.new_range().start..last.new_range().end;
        out.push_str(&format!("@@ -{} +{} @@\n", span(&old_at), span(&new_at)));
        for operation in &hunk {
            for (mark, line) in marked(operation, &old, &new) {
                out.push(mark);
                out.push_str(line);
                if !line.ends_with('\n') {
                    out.push('\n');
                    out.push_str(NO_NEWLINE);
                }
            }
        }
    }
    (!out.is_empty()).then_some(out)
}

/// Applies a difference; none where it does not fit.
pub(super) fn apply(old: &str, diff: &str) -> Option<String> {
    let old = split(old)?;
    let mut out = String::new();
    let mut at = 0;
    let mut lines = diff.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        if let Some(head) = line.strip_prefix("@@ -") {
            let range = head.split(' ').next()?;
            let (start, length) = match range.split_once(',') {
                Some((start, length)) => (start.parse().ok()?, length.parse().ok()?),
                None => (range.parse::<usize>().ok()?, 1_usize),
            };
            // An empty range names the line before it.
            let start = if length == 0 {
                start
            } else {
                start.checked_sub(1)?
            };
            for kept in old.get(at..start)? {
                out.push_str(kept);
            }
            at = start;
            continue;
        }
        let (mark, text) = line.split_at_checked(1)?;
        let text = if lines.next_if_eq(&NO_NEWLINE).is_some() {
            text.strip_suffix('\n')?
        } else {
            text
        };
        if mark != "+" {
            if *old.get(at)? != text {
                return None;
            }
            at += 1;
        }
        match mark {
            "+" | " " => out.push_str(text),
            "-" => {}
            _ => return None,
        }
    }
    for kept in old.get(at..)? {
        out.push_str(kept);
    }
    Some(out)
}

fn split(text: &str) -> Option<Vec<&str>> {
    let lines: Vec<&str> = text.split_inclusive('\n').take(LINES + 1).collect();
    (lines.len() <= LINES).then_some(lines)
}

/// How many of them two lists share, wherever they stand.
pub(super) fn shared<T: Eq + Hash>(old: &[T], new: &[T]) -> usize {
    let mut counts: HashMap<&T, usize> = HashMap::new();
    for line in old {
        *counts.entry(line).or_default() += 1;
    }
    let mut n_shared = 0;
    for line in new {
        if let Some(count) = counts.get_mut(line)
            && *count > 0
        {
            *count -= 1;
            n_shared += 1;
        }
    }
    n_shared
}

fn span(range: &std::ops::Range<usize>) -> String {
    match range.len() {
        0 => format!("{},0", range.start),
        1 => format!("{}", range.start + 1),
        length => format!("{},{length}", range.start + 1),
    }
}

fn marked<'a>(
    operation: &'a DiffOp,
    old: &'a [&'a str],
    new: &'a [&'a str],
) -> impl Iterator<Item = (char, &'a str)> {
    operation.iter_changes(old, new).map(|change| {
        let mark = match change.tag() {
            ChangeTag::Equal => ' ',
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
        };
        (mark, change.value())
    })
}
