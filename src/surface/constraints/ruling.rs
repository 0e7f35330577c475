//! What the headings and announcing lines above a block make of it.

use crate::surface::constraints::words::words;
use crate::surface::constraints::{Kind, heading_kind, is_example};
use crate::surface::sentences::{Block, BlockKind};

/// How deep a heading stands: its `#` signs, and its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Level {
    marks: usize,
    indent: usize,
}

impl Level {
    fn of(block: &Block, line: &str) -> Self {
        let marks = line.bytes().take_while(|byte| *byte == b'#').count();
        let indent = block.indent;
        Self { marks, indent }
    }

    /// Says whether what has this level belongs to what has the other. A bare line below `# Title` may as well begin
    /// another part of the text.
    fn is_below(self, above: Self) -> bool {
        match (above.marks, self.marks) {
            (0, 0) => self.indent > above.indent,
            (0, _) | (_, 0) => false,
            (above, below) => below > above,
        }
    }

    /// Says whether what has this level ends what has the other.
    fn ends(self, above: Self) -> bool {
        match (above.marks, self.marks) {
            (0, 0) => self.indent < above.indent,
            (0, _) => true,
            (_, 0) => false,
            (above, below) => below < above,
        }
    }
}

/// What rules the next block.
#[derive(Debug, Default)]
pub(super) struct Ruling {
    /// The kind of all that stands here.
    pub(super) under: Option<Kind>,
    /// What is below a heading of examples shows and does not rule.
    pub(super) shows: bool,
    /// Columns before the heading of examples.
    examples: Option<usize>,
    /// The heading whose kind also holds below other headings in it.
    outer: Option<(Level, Kind)>,
    /// The level of those that are in it though they look like its equals: the first stood directly below it.
    inner: Option<Level>,
    /// Says whether the block before was a heading or announced this one.
    is_behind: bool,
    /// Says whether this is not the first block.
    has_begun: bool,
}

impl Ruling {
    /// Goes on to a block.
    pub(super) fn enter(&mut self, block: &Block, text: &str) {
        let line = &text[block.span.clone()];
        match block.kind {
            BlockKind::Heading => self.enter_heading(block, line),
            // Only behind an empty line, and not where the first block below a heading has one before it.
            BlockKind::Paragraph if block.has_gap && !self.is_behind => {
                self.under = None;
                self.outer = None;
                self.inner = None;
                self.examples = self.examples.filter(|indent| block.indent > *indent);
            }
            BlockKind::Paragraph | BlockKind::Item | BlockKind::Code => {}
        }
        self.shows = self.examples.is_some();
        self.has_begun = true;
        self.is_behind = block.kind == BlockKind::Heading && !is_end(line);
    }

    fn enter_heading(&mut self, block: &Block, line: &str) {
        let level = Level::of(block, line);
        let is_example = is_example(line);
        self.examples = is_example.then_some(block.indent);
        if is_end(line) {
            self.under = None;
            self.outer = None;
            self.inner = None;
            return;
        }
        let own = heading_kind(line);
        let carried = self.outer.filter(|(outer, _)| {
            let is_inner = self.is_behind || self.inner == Some(level);
            let is_in_it = level.is_below(*outer) || (is_inner && !level.ends(*outer));
            is_in_it && !begins_part(line)
        });
        match (carried, own) {
            (Some((outer, _)), _) => {
                if !level.is_below(outer) {
                    self.inner = Some(level);
                }
            }
            // The name of a tool that is about notes makes no rules of all of its text.
            (None, Some(kind)) if self.has_begun || level.marks == 0 => {
                self.outer = Some((level, kind));
                self.inner = None;
            }
            (None, _) => {
                self.outer = None;
                self.inner = None;
            }
        }
        let carried = carried.map(|(_, kind)| kind);
        self.under = own.or(carried.filter(|_| !is_example));
    }

    /// Takes in that the block that was entered ends by announcing what is below it.
    pub(super) fn announce(&mut self, block: &Block, last: &str) {
        let own = heading_kind(last);
        if block.kind == BlockKind::Item {
            // The items below this one are still items of its list.
            self.under = own.or(self.under);
            return;
        }
        self.under = own;
        let level = Level {
            marks: 0,
            indent: block.indent,
        };
        self.outer = own.map(|kind| (level, kind));
        self.inner = None;
        self.is_behind = true;
    }
}

/// `</rules>` ends and announces nothing.
fn is_end(line: &str) -> bool {
    line.starts_with("</")
}

/// Says whether a heading begins a part of a docstring, which no line above it rules.
fn begins_part(line: &str) -> bool {
    const PARTS: [&str; 8] = [
        "args",
        "arguments",
        "parameters",
        "params",
        "returns",
        "return",
        "raises",
        "yields",
    ];
    match words(line).as_slice() {
        [word] => PARTS.contains(&word.text.as_str()),
        _ => false,
    }
}
