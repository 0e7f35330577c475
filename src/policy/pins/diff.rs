//! What changed between two definitions, for people: which members, which words of a text, which values.

use std::collections::BTreeMap;

use similar::{ChangeTag, TextDiff};

use crate::jsonrpc::members;
use crate::jsonrpc::text::string_value;
use crate::policy::scan::visible;

/// Lines of one difference, at most.
const MAX_LINES: usize = 200;
/// Characters of a value that are shown.
const VALUE: usize = 200;
/// Words that are shown around a change.
const AROUND: usize = 6;
/// Containers inside one another; deeper ones are compared whole.
const MAX_DEPTH: usize = 64;
/// Bytes of texts that are compared by words; longer ones are told.
const MAX_TEXT: usize = 64 << 10;

/// Compares two raw definitions: a line for each place that differs, with its JSON Pointer. `+` is new, `-`
/// is gone, `~` is changed; of texts the words: `[-gone-]{+new+}`. Everything is printable.
pub fn diff(old: &[u8], new: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    compare("", old, new, 0, &mut lines);
    if lines.len() > MAX_LINES {
        let more = lines.len() - MAX_LINES;
        lines.truncate(MAX_LINES);
        lines.push(format!("… and {more} more places"));
    }
    lines
}

fn compare(place: &str, old: &[u8], new: &[u8], depth: usize, lines: &mut Vec<String>) {
    let (old, new) = (old.trim_ascii(), new.trim_ascii());
    if old == new {
        return;
    }
    let shown = match place {
        "" => "/".to_owned(),
        place => visible(place),
    };
    match (old.first(), new.first()) {
        (Some(b'{'), Some(b'{')) if depth < MAX_DEPTH => {
            let (before, after) = (by_key(old), by_key(new));
            for (key, value) in &before {
                let place = below(place, key);
                match after.get(key) {
                    Some(now) => compare(&place, value, now, depth + 1, lines),
                    None => lines.push(format!("- {}: {}", visible(&place), value_text(value))),
                }
            }
            for (key, value) in after.iter().filter(|(key, _)| !before.contains_key(*key)) {
                let place = below(place, key);
                lines.push(format!("+ {}: {}", visible(&place), value_text(value)));
            }
        }
        (Some(b'['), Some(b'[')) if depth < MAX_DEPTH => {
            let (before, after) = (items(old), items(new));
            for value in before.iter().filter(|value| !after.contains(value)) {
                lines.push(format!("- {shown}: {}", value_text(value)));
            }
            for value in after.iter().filter(|value| !before.contains(value)) {
                lines.push(format!("+ {shown}: {}", value_text(value)));
            }
            if before.len() == after.len() && before.iter().all(|value| after.contains(value)) {
                lines.push(format!("~ {shown}: in another order"));
            }
        }
        (Some(b'"'), Some(b'"')) => match (string_value(old), string_value(new)) {
            (Some(before), Some(after)) if before == after => {}
            (Some(before), Some(after)) => {
                lines.push(format!("~ {shown}: {}", words(&before, &after)));
            }
            _ => lines.push(format!(
                "~ {shown}: {} -> {}",
                value_text(old),
                value_text(new)
            )),
        },
        _ => lines.push(format!(
            "~ {shown}: {} -> {}",
            value_text(old),
            value_text(new)
        )),
    }
}

fn below(place: &str, key: &str) -> String {
    format!("{place}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// Of a key that stands twice the last value, as parsers take it.
fn by_key(object: &[u8]) -> BTreeMap<String, &[u8]> {
    members::members(object)
        .into_iter()
        .map(|member| (member.name(object).into_owned(), &object[member.value]))
        .collect()
}

fn items(array: &[u8]) -> Vec<&[u8]> {
    members::elements(array)
        .into_iter()
        .map(|at| &array[at])
        .collect()
}

fn value_text(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    cut(&visible(&text))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(VALUE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The words that differ, with some around them.
fn words(old: &str, new: &str) -> String {
    if old.len() + new.len() > MAX_TEXT {
        return format!("{} -> {}", cut(&visible(old)), cut(&visible(new)));
    }
    let difference = TextDiff::from_words(old, new);
    let changes: Vec<_> = difference.iter_all_changes().collect();
    let is_near = |index: usize| {
        let start = index.saturating_sub(2 * AROUND);
        let end = (index + 2 * AROUND + 1).min(changes.len());
        changes[start..end]
            .iter()
            .any(|change| change.tag() != ChangeTag::Equal)
    };
    let mut out = String::new();
    let mut open: Option<ChangeTag> = None;
    let mut is_left_out = false;
    for (index, change) in changes.iter().enumerate() {
        let tag = Some(change.tag()).filter(|tag| *tag != ChangeTag::Equal);
        if open != tag {
            out.push_str(closing(open));
            out.push_str(opening(tag));
            open = tag;
        }
        if is_near(index) {
            out.push_str(&visible(change.value()));
            is_left_out = false;
        } else if !is_left_out {
            out.push('…');
            is_left_out = true;
        }
    }
    out.push_str(closing(open));
    out
}

fn opening(tag: Option<ChangeTag>) -> &'static str {
    match tag {
        Some(ChangeTag::Delete) => "[-",
        Some(ChangeTag::Insert) => "{+",
        _ => "",
    }
}

fn closing(tag: Option<ChangeTag>) -> &'static str {
    match tag {
        Some(ChangeTag::Delete) => "-]",
        Some(ChangeTag::Insert) => "+}",
        _ => "",
    }
}
