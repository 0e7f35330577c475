//! Writes a raw result with other texts; what is not changed keeps its bytes.

use std::ops::Range;

use crate::jsonrpc::members;
use crate::jsonrpc::text;
use crate::jsonrpc::write::edit_object;
use crate::result::channels::Parts;
use crate::result::envelope;

/// Where texts are put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Puts {
    /// Each in the place of the one that came.
    Each,
    /// A part of the only one in its place; what it was called goes where the part is not that.
    Part,
    /// Each in the place of the one that came, and one more behind them.
    EachAndLast,
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
    if puts == Puts::Anew {
        let written: Vec<String> = texts.iter().map(|text| text_block(text)).collect();
        let is_alone = drops_structured && parts.structured.is_some() && n_members(result) == 1;
        edits.extend(replace_blocks(result, parts, &written.join(","), is_alone)?);
    } else {
        for (block, with) in parts.texts.iter().zip(texts) {
            if block.text == *with {
                continue;
            }
            edits.push((block.value.clone(), text::to_string(with)));
            if puts == Puts::Part
                && let Some(resource) = envelope::misnamed(block, result, None)
            {
                edits.extend(without(result, resource, "mimeType")?);
            }
        }
    }
    if puts == Puts::EachAndLast {
        let (last, with) = (parts.texts.last()?.block.end, texts.last()?);
        edits.push((last..last, format!(",{}", text_block(with))));
    }
    if drops_structured {
        edits.extend(without(result, 0..result.len(), "structuredContent")?);
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

/// A raw block with a text.
pub(super) fn text_block(text: &str) -> String {
    format!("{{\"type\":\"text\",\"text\":{}}}", text::to_string(text))
}

/// Edits that take a member out of the object that stands there.
fn without(result: &str, object: Range<usize>, name: &str) -> Option<Vec<(Range<usize>, String)>> {
    edit_object(result.as_bytes(), object, &[name], &[])
        .into_iter()
        .map(|edit| Some((edit.range, String::from_utf8(edit.with.to_vec()).ok()?)))
        .collect()
}

fn n_members(result: &str) -> usize {
    members::members(result.as_bytes()).len()
}

/// Puts `written` in the place of all texts for the model; `is_alone` says that nothing else of the result
/// stays.
fn replace_blocks(
    result: &str,
    parts: &Parts,
    written: &str,
    is_alone: bool,
) -> Option<Vec<(Range<usize>, String)>> {
    let Some(content) = parts.content.clone() else {
        // A result without `content`: it gets one, as the protocol wants.
        let open = result.find('{')? + 1;
        let is_empty = result[open..].trim_start().starts_with('}');
        let comma = if is_empty || is_alone { "" } else { "," };
        return Some(vec![(
            open..open,
            format!("\"content\":[{written}]{comma}"),
        )]);
    };
    let inside = &result[content.clone()];
    let blocks = members::elements(inside.as_bytes());
    let is_text = |at: &Range<usize>| {
        let start = content.start + at.start;
        let texts = &parts.texts;
        texts
            .binary_search_by_key(&start, |text| text.block.start)
            .is_ok()
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
