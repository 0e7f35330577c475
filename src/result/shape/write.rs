//! Writes a raw result with other texts; what is not changed keeps its bytes.

use std::ops::Range;

use crate::jsonrpc::text;
use crate::result::channels::{Parts, TextBlock};

/// Where texts are put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Puts {
    /// Each in the place of the one that came.
    Each,
    /// All where the first one stood; those that came go.
    Anew,
}

/// Writes the result with other texts. Blocks of other kinds keep their places.
pub(super) fn write(
    result: &str,
    parts: &Parts,
    puts: Puts,
    texts: &[String],
    drops_structured: bool,
) -> Option<String> {
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    if puts == Puts::Each {
        for (block, with) in parts.texts.iter().zip(texts) {
            if block.text != *with {
                edits.push((block.value.clone(), text::to_string(with)));
            }
        }
    } else {
        let mut written = String::new();
        for (index, with) in texts.iter().enumerate() {
            if index > 0 {
                written.push(',');
            }
            written.push_str("{\"type\":\"text\",\"text\":");
            written.push_str(&text::to_string(with));
            written.push('}');
        }
        edits.extend(replace_blocks(result, parts, &written)?);
    }
    if drops_structured {
        let raw = bytes::Bytes::copy_from_slice(result.as_bytes());
        let all =
            crate::jsonrpc::write::edit_object(&raw, 0..raw.len(), &["structuredContent"], &[]);
        for edit in all {
            let with = String::from_utf8(edit.with.to_vec()).ok()?;
            edits.push((edit.range, with));
        }
    }
    edits.sort_by_key(|(range, _)| range.start);
    let mut out = String::with_capacity(result.len());
    let mut at = 0;
    for (range, with) in edits {
        out.push_str(result.get(at..range.start)?);
        out.push_str(&with);
        at = range.end;
    }
    out.push_str(result.get(at..)?);
    Some(out)
}

/// Puts `written` in the place of all texts for the model.
fn replace_blocks(
    result: &str,
    parts: &Parts,
    written: &str,
) -> Option<Vec<(Range<usize>, String)>> {
    let Some(content) = parts.content.clone() else {
        // A result without `content`: it gets one, as the protocol wants.
        let open = result.find('{')? + 1;
        let is_empty = result[open..].trim_start().starts_with('}');
        let comma = if is_empty { "" } else { "," };
        return Some(vec![(
            open..open,
            format!("\"content\":[{written}]{comma}"),
        )]);
    };
    let inside = &result[content.clone()];
    let blocks = crate::jsonrpc::members::elements(inside.as_bytes());
    let is_text = |at: &Range<usize>| {
        let start = content.start + at.start;
        parts
            .texts
            .iter()
            .any(|block: &TextBlock| block.block.start == start)
    };
    let mut new: Vec<&str> = Vec::new();
    let mut is_placed = false;
    for at in &blocks {
        if is_text(at) {
            if !is_placed {
                new.push(written);
                is_placed = true;
            }
        } else {
            new.push(&inside[at.clone()]);
        }
    }
    if !is_placed {
        new.insert(0, written);
    }
    Some(vec![(content, format!("[{}]", new.join(",")))])
}
