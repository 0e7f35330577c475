//! Long descriptions for clients that cut them off: the purpose first, then what constrains a call, then the
//! rest. No word goes; the client cuts what matters least. Pure.
//!
//! What stands below a heading or an announcing line moves with it or stays: an item of a list of bans alone would
//! be a use.

use std::ops::Range;

use bytes::Bytes;

use crate::jsonrpc::members;
use crate::jsonrpc::text;
use crate::jsonrpc::write::{Edit, splice};
use crate::surface::constraints::{Kind, clauses, heading_kind};
use crate::surface::sentences::{Block, BlockKind, blocks};

/// A text that is longer (bytes) stays as it is: nobody wrote it for a model.
const MAX_TEXT: usize = 64 * 1024;

/// Returns the tool with what matters within the first `limit` bytes of its description; `None` where it is
/// short enough, or cannot be ordered so.
pub fn front_loaded(raw_tool: &Bytes, limit: usize) -> Option<Bytes> {
    let range = members::member(raw_tool, "description")?;
    if range.len() <= limit {
        return None;
    }
    let description = text::string_value(&raw_tool[range.clone()])?;
    let with = text::to_string(&ordered(&description, limit)?).into();
    Some(splice(raw_tool, vec![Edit { range, with }]).to_bytes())
}

/// A part of a text that moves as a whole or stays.
struct Unit {
    span: Range<usize>,
    /// The first and the last block that it has something of.
    blocks: (usize, usize),
    is_constraint: bool,
}

/// The units of a text with its purpose and its constraints in front, as far as they fit.
fn ordered(text: &str, limit: usize) -> Option<String> {
    if text.len() <= limit || text.len() > MAX_TEXT {
        return None;
    }
    let blocks = blocks(text);
    let title = usize::from(blocks.first().is_some_and(|block| is_title(text, block)));
    let is_heading = |block: &Block| block.kind == BlockKind::Heading;
    let first_heading = blocks.iter().skip(title).position(is_heading);
    let head_end = first_heading.map_or(blocks.len(), |at| at + title);
    let start_of = |at: usize| blocks.get(at).map_or(text.len(), |block| block.span.start);
    let head = start_of(0)..start_of(head_end);
    let fits = text[head.clone()].trim_end().len() <= limit;
    if head_end < blocks.len() && fits {
        let starts = sections(text, &blocks, head_end)?;
        let mut units = Vec::new();
        if !head.is_empty() {
            units.push(Unit::of(text, head, (0, head_end.saturating_sub(1)), false));
        }
        for (n, first) in starts.iter().enumerate() {
            let next = starts.get(n + 1).copied().unwrap_or(blocks.len());
            let span = start_of(*first)..start_of(next);
            units.push(Unit::of(text, span, (*first, next - 1), true));
        }
        // A title alone says no purpose.
        let is_title_alone = title > 0 && head_end == title;
        let first: &[usize] = if is_title_alone { &[0, 1] } else { &[0] };
        return in_front(text, &units, first, limit);
    }
    // What is below a heading stays there: before the rest of this, its heading would rule that too.
    let mut units = loose_units(text, &blocks[title..head_end], title);
    let purpose = usize::from(title > 0);
    if title > 0 {
        let span = blocks[0].span.clone();
        units.insert(0, Unit::of(text, span, (0, 0), false));
    }
    if head_end < blocks.len() {
        let span = start_of(head_end)..text.len();
        units.push(Unit::of(text, span, (head_end, blocks.len() - 1), false));
    }
    in_front(text, &units, &[purpose], limit)
}

impl Unit {
    fn of(text: &str, span: Range<usize>, blocks: (usize, usize), may_move: bool) -> Self {
        let raw = &text[span.clone()];
        let span = span.start..span.start + raw.trim_end().len();
        let is_constraint = may_move && !clauses(&text[span.clone()]).is_empty();
        Self {
            span,
            blocks,
            is_constraint,
        }
    }
}

/// Writes the units with the `first` and those that constrain in front, as far as they fit; none where that changes
/// nothing, or where the first do not fit.
fn in_front(text: &str, units: &[Unit], first: &[usize], limit: usize) -> Option<String> {
    let mut is_front = vec![false; units.len()];
    let mut left = limit;
    let constraints = (0..units.len()).filter(|at| units[*at].is_constraint && !first.contains(at));
    for at in first.iter().copied().chain(constraints) {
        // Two for what stands before it.
        let length = units.get(at)?.span.len() + 2;
        if length <= left {
            left -= length;
            is_front[at] = true;
        } else if first.contains(&at) {
            return None;
        }
    }
    let is_rest = |at: &usize| !is_front[*at];
    let (rest, front): (Vec<usize>, Vec<usize>) = (0..units.len()).partition(is_rest);
    let order: Vec<usize> = front.into_iter().chain(rest).collect();
    if order.is_sorted() {
        return None;
    }
    let mut ordered = String::with_capacity(text.len() + order.len());
    let mut before: Option<&Unit> = None;
    for unit in order.into_iter().map(|at| &units[at]) {
        let is_line = |unit: &Unit| unit.blocks.0 == unit.blocks.1;
        match before {
            None => {}
            Some(before) if before.blocks.1 == unit.blocks.0 => ordered.push(' '),
            Some(before) if is_line(before) && is_line(unit) => ordered.push('\n'),
            // A list and a section end where an empty line does.
            Some(_) => ordered.push_str("\n\n"),
        }
        ordered.push_str(&text[unit.span.clone()]);
        before = Some(unit);
    }
    Some(ordered)
}

/// The sentences of running text; those that stand before a list or announce what is below them with that.
fn loose_units(text: &str, blocks: &[Block], n_before: usize) -> Vec<Unit> {
    // Spans, and the blocks that they begin and end in.
    let mut spans: Vec<(Range<usize>, (usize, usize))> = Vec::new();
    let mut before: Option<&Block> = None;
    for (at, block) in blocks.iter().enumerate() {
        let at = at + n_before;
        let is_bound = before.is_some_and(|before| {
            block.kind != BlockKind::Paragraph
                || text[before.span.clone()].ends_with(':')
                || (before.kind != BlockKind::Paragraph && !block.has_gap)
        });
        match spans.last_mut() {
            Some((span, (_, last))) if is_bound => {
                span.end = block.span.end;
                *last = at;
            }
            _ if block.kind == BlockKind::Paragraph => {
                let sentences = block.sentences.iter().cloned();
                spans.extend(sentences.map(|span| (span, (at, at))));
            }
            _ => spans.push((block.span.clone(), (at, at))),
        }
        before = Some(block);
    }
    let units = spans.into_iter();
    units
        .map(|(span, blocks)| Unit::of(text, span, blocks, true))
        .collect()
}

/// Where sections begin that may change places: those of one level, each with all that is below its heading. None
/// where it is not certain which heading rules what.
fn sections(text: &str, blocks: &[Block], first: usize) -> Option<Vec<usize>> {
    let line = |at: usize| &text[blocks[at].span.clone()];
    let level = |at: usize| {
        let marks = line(at).bytes().take_while(|byte| *byte == b'#').count();
        // A bare heading is below every other one.
        if marks == 0 { usize::MAX } else { marks }
    };
    let mut starts: Vec<usize> = Vec::new();
    // What ends the tag that is open: `</rules>`.
    let mut end: Option<String> = None;
    for at in first..blocks.len() {
        if blocks[at].kind != BlockKind::Heading {
            continue;
        }
        if let Some(tag) = &end {
            if line(at) == tag.as_str() {
                end = None;
            }
            continue;
        }
        let is_bare = level(at) == usize::MAX;
        // "Must be one of:" without an empty line before it goes on with what an argument is told of.
        let goes_on =
            is_bare && !blocks[at].has_gap && (line(at).contains(". ") || rules_values(line(at)));
        let is_below = starts.last().is_some_and(|start| {
            level(at) > level(*start)
                || (is_bare && blocks[at].indent > blocks[*start].indent)
                || goes_on
                || line(at).starts_with("</")
        });
        if is_below {
            continue;
        }
        let is_other = starts.last().is_some_and(|start| {
            level(at) != level(*start) || blocks[at].indent != blocks[*start].indent
        });
        // A heading directly below another may be ruled by it, and so may its siblings.
        let is_ruled = at > first && blocks[at - 1].kind == BlockKind::Heading && is_bare;
        if is_other || (is_ruled && !line(at - 1).starts_with("</")) {
            return None;
        }
        starts.push(at);
        let name = line(at).strip_prefix('<');
        end = name.map(|name| format!("</{name}"));
    }
    Some(starts)
}

/// Says whether a line announces values.
fn rules_values(line: &str) -> bool {
    heading_kind(line) == Some(Kind::Values)
}

/// A first line that names the tool and rules nothing.
fn is_title(text: &str, block: &Block) -> bool {
    let line = &text[block.span.clone()];
    block.kind == BlockKind::Heading
        && line.starts_with('#')
        && !line.ends_with(':')
        && clauses(line).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filler(n: usize) -> String {
        (0..n)
            .map(|at| format!("This is background number {at} about how it came to be. "))
            .collect()
    }

    #[test]
    fn purpose_and_constraints_come_within_the_limit_and_no_word_goes() {
        let text = format!(
            "# Mover\n\nMoves a file. {}\n\n{}\n\n- The target must not exist.\n- It is nice.\nPaths must be absolute.",
            filler(4),
            filler(40)
        );
        let ordered = ordered(&text, 2048).unwrap();
        let start = &ordered[..2048];
        assert!(start.starts_with("Moves a file."), "{start}");
        for constraint in ["The target must not exist.", "Paths must be absolute."] {
            assert!(start.contains(constraint), "{start}");
            // The broken variant that this catches: the text as it was, cut.
            assert!(!text[..2048].contains(constraint));
        }
        let words = |text: &str| {
            let mut words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            words.sort();
            words
        };
        assert_eq!(words(&ordered), words(&text));
    }

    /// Broken variant that this catches: one that pulls constraints forward without what they stand below.
    #[test]
    fn what_is_ruled_moves_with_what_rules_it_or_stays() {
        let bans = "## Do not do any of this\n\n- Delete more than 5 files\n- Move a link";
        let history = format!("## History\n\n{}", filler(40));
        let text = format!("Manages files.\n\n{history}\n\n{bans}");
        let expected = format!("Manages files.\n\n{bans}\n\n{}", history.trim_end());
        assert_eq!(ordered(&text, 2048), Some(expected));
        // A section that does not fit, and one before running text that it would rule then, stay where they are.
        let long = format!("{bans}\n- {}", filler(40));
        for text in [
            format!("Manages files.\n\n{history}\n\n{long}"),
            format!("Manages files.\n\n{}\n\n{bans}", filler(40)),
            // Who rules whom is not certain.
            format!(
                "Manages files.\n\nNever:\nFor users:\n- delete 5 files\n\nFor admins:\n- delete 6 files\n\n{}",
                filler(40)
            ),
        ] {
            assert_eq!(ordered(&text, 2048), None, "{text}");
        }
        let announced = "Among all of the things that there are in the world of files, folders, links, devices, sockets, pipes and mounts, never touch:\n\n- More than 5 at once";
        let text = format!("Manages files. {}{announced}", filler(40));
        let loaded = ordered(&text, 2048).unwrap();
        assert!(
            loaded.starts_with(&format!("Manages files. {announced}\n\nThis is")),
            "{loaded}"
        );
        // A tag ends with its section.
        let text = format!(
            "<about>\nManages files.\n</about>\n\n<history>\n{}\n</history>\n\n<never>\nDeletes:\n- more than 5\n</never>",
            filler(40)
        );
        let loaded = ordered(&text, 2048).unwrap();
        assert!(
            loaded.starts_with("<about>\nManages files.\n</about>\n\n<never>\nDeletes:\n- more than 5\n</never>\n\n<history>"),
            "{loaded}"
        );
    }

    /// Broken variant that this catches: one for which each line with a colon at its end begins a section.
    #[test]
    fn a_line_that_goes_on_with_an_argument_begins_no_section() {
        let starts = |text: &str| sections(text, &blocks(text), 0);
        for line in [
            "Defaults to \"mp3_44100_128\". Must be one of:",
            "Valid formats:",
        ] {
            let text = format!(
                "Args:\noutput_format (str, optional): Output format of the audio.\n{line}\nmp3_22050_32\nmp3_44100_32\nReturns:\nText content"
            );
            assert_eq!(starts(&text), Some(vec![0, 4]), "{text}");
        }
        let apart = "Args:\nrate: Rate of the audio.\n\nValid formats:\nmp3_22050_32";
        assert_eq!(starts(apart), Some(vec![0, 2]));
    }

    #[test]
    fn what_fits_or_cannot_be_ordered_stays() {
        assert_eq!(ordered("Short.", 2048), None);
        assert_eq!(ordered(&"x".repeat(3000), 2048), None);
        assert_eq!(ordered(&filler(10_000), 2048), None);
        assert_eq!(ordered("\n \n", 1), None);
        for tool in ["7", "{}", r#"{"description":7}"#] {
            assert_eq!(front_loaded(&Bytes::from(tool), 0), None);
        }
        let tool = format!(
            r#"{{"name":"t","description":"Moves. {}It must run \u00e9.","x":1.0}}"#,
            filler(50)
        );
        let loaded = front_loaded(&Bytes::from(tool), 2048).unwrap();
        let loaded = std::str::from_utf8(&loaded).unwrap();
        assert!(
            loaded.starts_with(r#"{"name":"t","description":"Moves. It must run "#),
            "{loaded}"
        );
        assert!(loaded.ends_with(r#"","x":1.0}"#), "{loaded}");
    }
}
