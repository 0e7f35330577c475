//! Lists of which all items stay, because what is left of them would say something else.

use std::collections::HashSet;

use crate::surface::sentences::{Block, BlockKind};
use crate::surface::shorten::{Section, section_of};

/// Words of a line that says how many there are below it, or that these are all.
const COMPLETE: [&str; 13] = [
    "each",
    "both",
    "following",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
];

/// Blocks that stay, by their place.
#[derive(Debug, Default)]
pub(super) struct Lists {
    /// Those that stay with all of their sentences.
    pub(super) whole: HashSet<usize>,
    /// Items whose first sentence stays.
    pub(super) listed: HashSet<usize>,
}

impl Lists {
    pub(super) fn of(text: &str, blocks: &[Block], must: &HashSet<&str>) -> Self {
        let mut lists = Self::default();
        lists.add_steps(text, blocks, must);
        for at in 0..blocks.len() {
            lists.add_below(at, text, blocks, must);
        }
        lists
    }

    /// Adds the items of numbered lists of which one has to stay: a step alone says something else.
    fn add_steps(&mut self, text: &str, blocks: &[Block], must: &HashSet<&str>) {
        let is_step = |block: &Block| {
            block.kind == BlockKind::Item
                && text[block.span.clone()].starts_with(|first: char| first.is_ascii_digit())
        };
        let mut start = 0;
        while start < blocks.len() {
            let run = blocks[start..]
                .iter()
                .take_while(|block| is_step(block))
                .count();
            let run = start..start + run;
            start = run.end + 1;
            if has_must(&blocks[run.clone()], text, must) {
                self.whole.extend(run);
            }
        }
    }

    /// Adds what a block announces: all of it where that line has to stay, and where it says that the list is
    /// complete and one item has to stay.
    fn add_below(&mut self, at: usize, text: &str, blocks: &[Block], must: &HashSet<&str>) {
        let block = &blocks[at];
        let Some(last) = block.sentences.last().map(|span| &text[span.clone()]) else {
            return;
        };
        let is_heading = block.kind == BlockKind::Heading;
        // The name of a tool announces nothing.
        let is_title = is_heading && at == 0 && last.starts_with('#');
        let announces = block.kind != BlockKind::Code && (is_heading || last.ends_with(':'));
        if !announces || is_title || last.starts_with("</") {
            return;
        }
        let rules = must.contains(last);
        let next = at + 1;
        let is_in_it = |below: &&Block| {
            below.kind == BlockKind::Item
                && (block.kind != BlockKind::Item || below.indent > block.indent)
        };
        let n_items = blocks[next..].iter().take_while(is_in_it).count();
        if n_items == 0 {
            let is_text = blocks
                .get(next)
                .is_some_and(|below| matches!(below.kind, BlockKind::Paragraph | BlockKind::Code));
            if rules && is_heading && is_text {
                self.whole.insert(next);
                // A line of it that ends in a colon looks like a heading.
                if is_cut(blocks, next, text) {
                    self.whole.insert(next + 1);
                }
            }
            return;
        }
        let items = next..next + n_items;
        let is_complete = block.kind == BlockKind::Item || says_all(last);
        if rules || (is_complete && has_must(&blocks[items.clone()], text, must)) {
            self.listed.extend(items);
        }
    }
}

/// Says whether the block behind a paragraph is the rest of a sentence of it.
fn is_cut(blocks: &[Block], at: usize, text: &str) -> bool {
    let line = |block: &Block| &text[block.span.clone()];
    let is_open = |block: &Block| {
        let end = line(block).trim_end_matches(['"', '\'', '”', '’', '*', ')']);
        block.kind == BlockKind::Paragraph && !end.ends_with(['.', '!', '?', ':', '。', '！', '？'])
    };
    let is_rest = |block: &Block| {
        let line = line(block);
        let is_inside = line.starts_with(char::is_lowercase) && line.contains(' ');
        block.kind == BlockKind::Heading
            && !block.has_gap
            && !line.starts_with('#')
            && (is_inside || line.contains(". "))
    };
    blocks.get(at).is_some_and(is_open) && blocks.get(at + 1).is_some_and(is_rest)
}

fn has_must(blocks: &[Block], text: &str, must: &HashSet<&str>) -> bool {
    let mut sentences = blocks.iter().flat_map(|block| &block.sentences);
    sentences.any(|span| must.contains(&text[span.clone()]))
}

fn says_all(line: &str) -> bool {
    let mut words = line.split(|character: char| !character.is_alphanumeric());
    let is_needed = !matches!(section_of(line), Section::Background | Section::Examples);
    is_needed
        && words.any(|word| {
            COMPLETE
                .iter()
                .any(|known| word.eq_ignore_ascii_case(known))
        })
}
