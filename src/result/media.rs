//! Images and long base64 of a result: scaled down or replaced by a line, with the original kept. Pure.

use bytes::Bytes;

use crate::jsonrpc::{members, text};
use crate::token::{TokenCounter, Tokens};

use super::channels::{Parts, is_for_others};
use super::images::{self, Vision};
use super::{blobs, same_lines};

/// A result whose media were replaced.
#[derive(Debug)]
pub(super) struct Media {
    /// The raw result now.
    pub(super) result: String,
    /// Tokens of what was no text before, estimated by the vendors' formulas.
    pub(super) before: Tokens,
    /// The same now, with our texts.
    pub(super) after: Tokens,
    /// Where blocks of ours begin in the result, which stand beside images or instead of blobs.
    pub(super) notes: Vec<usize>,
    /// Whether lines of texts are where they were, so that numbers of lines mean the same.
    pub(super) keeps_lines: bool,
}

/// Replaces what a model cannot read, and scales images to what it can use; none where there is nothing of
/// the kind. `rest` says how to get a block of the original by its place in `content`.
pub(super) fn replace(
    result: &str,
    parts: &Parts,
    rest: &dyn Fn(usize) -> Option<String>,
    vision: &Vision,
    counter: &dyn TokenCounter,
) -> Option<Media> {
    let content = parts.content.clone()?;
    let inside = &result[content.clone()];
    let mut blocks: Vec<String> = Vec::with_capacity(parts.n_blocks);
    let mut media = Media {
        result: String::new(),
        before: Tokens::ZERO,
        after: Tokens::ZERO,
        notes: Vec::new(),
        keeps_lines: true,
    };
    let mut written = content.start + 1;
    let mut texts = parts.texts.iter().peekable();
    let mut is_changed = false;
    for (at, range) in members::elements(inside.as_bytes()).into_iter().enumerate() {
        let start = content.start + range.start;
        let block = &inside[range];
        let of_text = texts.next_if(|text| text.block.start == start);
        let with = match of_text {
            Some(found) => replaced_text(
                block,
                &found.text,
                &found.value,
                start,
                at,
                rest,
                &mut media,
            ),
            None => {
                let replaced = replaced_block(block, at, rest, vision, counter, &mut media);
                replaced.map(|(with, note)| {
                    media.notes.push(written + note);
                    with
                })
            }
        };
        is_changed |= with.is_some();
        let with = with.unwrap_or_else(|| block.to_owned());
        written += with.len() + 1;
        blocks.push(with);
    }
    if !is_changed {
        return None;
    }
    media.result = format!(
        "{}[{}]{}",
        &result[..content.start],
        blocks.join(","),
        &result[content.end..]
    );
    Some(media)
}

fn replaced_text(
    block: &str,
    is: &str,
    value: &std::ops::Range<usize>,
    start: usize,
    at: usize,
    rest: &dyn Fn(usize) -> Option<String>,
    media: &mut Media,
) -> Option<String> {
    if is.len() < blobs::LEAST {
        return None;
    }
    // Looked for before anything is kept: most texts have none.
    blobs::replace(is, |_, _| String::new())?;
    let rest = rest(at)?;
    let (text, _) = blobs::replace(is, |_, _| rest.clone())?;
    media.keeps_lines &= same_lines(is, &text);
    let value = value.start - start..value.end - start;
    Some(format!(
        "{}{}{}",
        &block[..value.start],
        text::to_string(&text),
        &block[value.end..]
    ))
}

/// What stands instead of a block, and where in it our text begins.
fn replaced_block(
    block: &str,
    at: usize,
    rest: &dyn Fn(usize) -> Option<String>,
    vision: &Vision,
    counter: &dyn TokenCounter,
    media: &mut Media,
) -> Option<(String, usize)> {
    // What the model does not read costs it nothing, and whoever reads it needs it whole.
    if block.len() < blobs::LEAST || is_for_others(block.as_bytes()) {
        return None;
    }
    let bytes = Bytes::copy_from_slice(block.as_bytes());
    if let Some(scaled) = images::scale(&bytes, vision) {
        let note = scaled.note(&rest(at)?);
        media.before += scaled.before;
        media.after += scaled.after + counter.count(&note);
        let image = std::str::from_utf8(&scaled.block).ok()?;
        let note = text::to_string(&note);
        let with = format!(r#"{image},{{"type":"text","text":{note}}}"#);
        return Some((with, image.len() + 1));
    }
    blobs::replace_block(block.as_bytes(), "")?;
    let (with, _) = blobs::replace_block(block.as_bytes(), &rest(at)?)?;
    let with = String::from_utf8(with).ok()?;
    // A client that shows blobs to nobody pays nothing for them; one that does pays for the characters.
    media.before += counter.count(block);
    media.after += counter.count(&with);
    Some((with, 0))
}
