//! Shortens one text by extraction: what stays are sentences of the original, in their order. Keeps
//! the purpose (the first sentence of prose) and every constraint clause, the first example, and what
//! names the parameters; drops boilerplate, greetings, praise, repeats, further examples and
//! background. What stands below a heading or an announcing line that stays is not moved out of it (items and
//! headings stay further in than those that they are below), and a list that is said to be complete stays complete.
//! Never longer, never a new word, and checked: where a constraint clause would be lost
//! the original stays ([`crate::surface::constraints::lost`]).

mod lists;

use std::collections::HashMap;
use std::collections::HashSet;

use crate::surface::constraints::clauses;
use crate::surface::constraints::is_example;
use crate::surface::constraints::lost;
use crate::surface::sentences::Block;
use crate::surface::sentences::BlockKind;
use crate::surface::sentences::argument_name;
use crate::surface::sentences::blocks;
use crate::surface::sentences::flat;
use crate::surface::sentences::item_marker;
use crate::surface::sentences::key;
use crate::surface::shorten::lists::Lists;

/// An example that is longer than this (bytes) is dropped even if it is the first.
const MAX_EXAMPLE: usize = 400;

/// A text that is longer than this (bytes) stays as it is: nobody writes one for a model, and looking for
/// what it repeats takes quadratic time. The longest of 140 real servers is far below.
const MAX_TEXT: usize = 64 * 1024;

/// Most times that a text is gone through.
const MAX_ROUNDS: usize = 4;

/// What the lines below a heading are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    /// Running text.
    Prose,
    /// Parameters of the tool; each keeps its first sentence.
    Parameters,
    /// Examples; the first stays.
    Examples,
    /// What comes back, and whatever else a call does not need.
    Background,
}

/// What else of the tool a reader sees beside the text.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// The tool's parameters by name, and whether they have a text of their own.
    pub parameters: HashMap<String, bool>,
    /// Sentences that stand elsewhere in the same rendering, as [`Beside::add_text`] has them.
    sentences: HashSet<String>,
    text: String,
}

impl Beside {
    /// Adds a text that is shown in the same rendering, so that it need not be said twice.
    pub fn add_text(&mut self, text: &str) {
        for block in blocks(text) {
            let sentences = block.sentences.iter().map(|span| key(&text[span.clone()]));
            self.sentences
                .extend(sentences.filter(|sentence| sentence.contains(' ')));
        }
        self.text.push_str(text);
        self.text.push('\n');
    }
}

/// Shortens a text that stands alone. Deterministic.
pub fn shorten(text: &str) -> String {
    shorten_beside(text, &Beside::default())
}

/// Shortens a text of which a reader sees parts elsewhere too. Deterministic.
pub fn shorten_beside(text: &str, beside: &Beside) -> String {
    if text.len() > MAX_TEXT {
        return text.to_owned();
    }
    let is_kept = |shorter: &str| {
        let lost = lost(text, shorter);
        lost.is_empty() || {
            let all = format!("{shorter}\n{}", beside.text);
            lost.iter()
                .all(|clause| beside.sentences.contains(&key(clause.text)))
                || crate::surface::constraints::lost(text, &all).is_empty()
        }
    };
    // What was dropped may have hidden a repeat or a section, so a second look may find more.
    let mut shortest: Option<String> = None;
    for _ in 0..MAX_ROUNDS {
        let before = shortest.as_deref().unwrap_or(text);
        let shorter = extract(before, beside);
        if shorter.is_empty() || shorter.len() >= before.len() || !is_kept(&shorter) {
            break;
        }
        shortest = Some(shorter);
    }
    shortest.unwrap_or_else(|| text.to_owned())
}

/// A sentence that stays.
struct Kept<'t> {
    text: &'t str,
    /// The block it is from.
    block: usize,
    /// Says whether it left what a heading rules that stays.
    has_left: bool,
}

impl<'t> Kept<'t> {
    fn new(text: &'t str, block: usize) -> Self {
        Self {
            text,
            block,
            has_left: false,
        }
    }
}

fn extract(text: &str, beside: &Beside) -> String {
    let must: HashSet<&str> = clauses(text)
        .into_iter()
        .map(|clause| clause.text)
        .collect();
    let blocks = blocks(text);
    let mut kept: Vec<Kept<'_>> = Vec::new();
    // The heading that a sentence stands below, and the sentence: below another it says something else.
    let mut seen: HashSet<(Option<usize>, String)> = HashSet::new();
    let mut heading: Option<usize> = None;
    // The last `# Title`: below it is all up to the next.
    let mut title: Option<usize> = None;
    // Whether a heading stays that rules what comes, and whether that was left since.
    let mut is_ruled = false;
    let mut has_left = false;
    // Headings that stay only if something below them does.
    let mut waiting: Vec<usize> = Vec::new();
    let mut section = Section::Prose;
    let mut section_indent = 0;
    let mut has_purpose = false;
    let mut has_example = false;
    let lists = Lists::of(text, &blocks, &must);
    // Sentences that announced what is below them ("one of these:") and did not stay themselves, the outermost first.
    let mut announced: Vec<Kept<'_>> = Vec::new();
    for (n, block) in blocks.iter().enumerate() {
        let whole = &text[block.span.clone()];
        // A list ends where its next item is no further in than the one that announced it.
        announced.retain(|line| {
            let above = &blocks[line.block];
            block.kind == BlockKind::Item
                && (above.kind != BlockKind::Item || block.indent > above.indent)
        });
        if block.kind == BlockKind::Heading {
            section = section_of(whole);
            section_indent = block.indent;
            waiting.retain(|above| is_above(&blocks[*above], block, text));
            waiting.push(n);
            heading = Some(n);
            if whole.starts_with('#') {
                title = heading;
            }
            let is_must = must.contains(whole) || lists.whole.contains(&n);
            if is_must && keep_headings(&mut waiting, &blocks, text, &mut kept) {
                is_ruled = true;
                has_left = false;
            }
            continue;
        }
        // The first below its heading does not leave it, unless that was only a title.
        let is_behind = has_purpose && n > 0 && blocks[n - 1].kind == BlockKind::Heading;
        let leaves = block.kind == BlockKind::Paragraph
            && block.has_gap
            && block.indent <= section_indent
            && !is_behind;
        if leaves && section != Section::Examples {
            section = Section::Prose;
            // Below `# Title` is all up to the next, so without that it would stand below the one before.
            let is_titled = |at: &usize| text[blocks[*at].span.clone()].starts_with('#');
            if !((is_ruled || has_left) && waiting.last().is_some_and(is_titled)) {
                waiting.clear();
            }
        }
        if leaves {
            heading = title;
            has_left |= is_ruled;
            is_ruled = false;
        }
        let is_whole = lists.whole.contains(&n) && section != Section::Examples;
        if block.kind == BlockKind::Code {
            let is_must = must.contains(whole) || is_whole;
            let is_first = !has_example && whole.len() <= MAX_EXAMPLE;
            has_example |= !is_must;
            if is_must || is_first {
                if keep_headings(&mut waiting, &blocks, text, &mut kept) {
                    is_ruled = true;
                    has_left = false;
                }
                kept.push(Kept::new(whole, n));
            }
            continue;
        }
        let is_item = block.kind == BlockKind::Item;
        let is_listed = lists.listed.contains(&n) && section != Section::Examples;
        // What an item goes on to say needs its beginning.
        let goes_on = is_item
            && block.sentences.iter().skip(1).any(|span| {
                let sentence = &text[span.clone()];
                must.contains(sentence) && !beside.sentences.contains(&key(sentence))
            });
        let argument = argument_name(&whole[item_marker(whole).unwrap_or(0)..])
            .map(|name| name.trim_matches(['`', '*', '\'']));
        let parameter = argument.and_then(|name| beside.parameters.get(name));
        let is_said_elsewhere = parameter == Some(&true)
            || (section == Section::Parameters
                && argument.is_some()
                && parameter.is_none()
                && !beside.parameters.is_empty());
        for (at, span) in block.sentences.iter().enumerate() {
            let sentence = &text[span.clone()];
            let is_must = must.contains(sentence);
            let is_first = at == 0;
            let is_example = is_example(sentence) || section == Section::Examples;
            let shows = is_example || (section == Section::Prose && shows_example(sentence));
            let stays = if is_must || is_whole || (is_first && (is_listed || goes_on)) {
                true
            } else if !has_purpose {
                !is_greeting(sentence)
            } else if shows {
                !has_example && sentence.len() <= MAX_EXAMPLE
            } else {
                match section {
                    Section::Parameters => is_first && !is_said_elsewhere,
                    Section::Prose => {
                        is_first
                            && argument.is_some()
                            && !is_said_elsewhere
                            && block.kind == BlockKind::Item
                            || block.kind == BlockKind::Paragraph && is_usage(sentence)
                    }
                    Section::Examples | Section::Background => false,
                }
            };
            has_example |= has_purpose && shows;
            let said = key(sentence);
            // A list without one of its items is another list.
            let is_part = is_whole || is_listed;
            let is_said = has_purpose && !is_part && beside.sentences.contains(&said);
            if !stays || is_said || (!seen.insert((heading, said)) && !is_item) {
                // What left a heading keeps its items from standing below that.
                if (sentence.ends_with(':') || has_left) && at + 1 == block.sentences.len() {
                    let is_begun = kept.last().is_some_and(|kept| kept.block == n);
                    let begin = block.sentences.first();
                    let begin = begin.filter(|_| is_item && !is_first && !is_begun);
                    announced.extend(begin.map(|span| Kept::new(&text[span.clone()], n)));
                    announced.push(Kept::new(sentence, n));
                }
                continue;
            }
            let all = announced.drain(..).chain([Kept::new(sentence, n)]);
            for mut sentence in all {
                if keep_headings(&mut waiting, &blocks, text, &mut kept) {
                    is_ruled = true;
                    has_left = false;
                }
                is_ruled |= sentence.text.ends_with(':');
                sentence.has_left = std::mem::take(&mut has_left);
                kept.push(sentence);
            }
            has_purpose |= !is_greeting(sentence);
        }
    }
    write(&kept, &blocks, text)
}

/// Says whether a heading stays valid for what is below another one.
fn is_above(above: &Block, below: &Block, text: &str) -> bool {
    let level = |block: &Block| {
        let line = &text[block.span.clone()];
        line.bytes().take_while(|byte| *byte == b'#').count()
    };
    let line = &text[above.span.clone()];
    if section_of(line) == Section::Examples {
        return false;
    }
    match (level(above), level(below)) {
        (0, 0) => above.indent < below.indent,
        (0, _) => false,
        (_, 0) => true,
        (above, below) => above < below,
    }
}

/// Keeps the headings that wait, and says whether there was one.
fn keep_headings<'t>(
    waiting: &mut Vec<usize>,
    blocks: &[Block],
    text: &'t str,
    kept: &mut Vec<Kept<'t>>,
) -> bool {
    let has_any = !waiting.is_empty();
    for block in waiting.drain(..) {
        kept.push(Kept::new(&text[blocks[block].span.clone()], block));
    }
    has_any
}

/// Writes what stays: sentences of a block behind one another, blocks on lines of their own, those that were below
/// an item or a heading further in than that.
fn write(kept: &[Kept<'_>], blocks: &[Block], text: &str) -> String {
    let depths = depths(kept, blocks, text);
    let mut out = String::new();
    let mut last: Option<usize> = None;
    for kept in kept {
        let block = &blocks[kept.block];
        let is_flow = |block: &Block| block.kind == BlockKind::Paragraph;
        match last {
            None => {}
            Some(before) if before == kept.block => out.push(' '),
            Some(_) if kept.has_left && is_flow(block) => out.push_str("\n\n"),
            Some(before) if is_flow(&blocks[before]) && is_flow(block) => out.push(' '),
            Some(_) => {
                out.push('\n');
                // The rest of an item is no item.
                if text[block.span.clone()].starts_with(kept.text) {
                    out.push_str(&"  ".repeat(depths[kept.block]));
                }
            }
        }
        if block.kind == BlockKind::Code {
            out.push_str(kept.text);
        } else {
            out.push_str(&flat(kept.text));
        }
        last = Some(kept.block);
    }
    out
}

/// How many steps further in each block has to be written, so that what was below a line still is when the text is
/// read again. Running text stays out, where it goes on with no item.
fn depths(kept: &[Kept<'_>], blocks: &[Block], text: &str) -> Vec<usize> {
    let stays: HashSet<usize> = kept.iter().map(|kept| kept.block).collect();
    let mut depths = vec![0; blocks.len()];
    // Items and bare headings that the next block may be below; also those that do not stay, for what is below these
    // is not below what stands before them.
    let mut above: Vec<usize> = Vec::new();
    for (n, block) in blocks.iter().enumerate() {
        let is_heading = block.kind == BlockKind::Heading;
        if block.kind == BlockKind::Code {
            continue;
        }
        if is_heading && text[block.span.clone()].starts_with('#') {
            above.clear();
            continue;
        }
        let is_below = |at: &usize| {
            let over = &blocks[*at];
            let is_directly = over.kind == BlockKind::Heading && !is_heading;
            over.indent < block.indent || (is_directly && over.indent == block.indent)
        };
        while above.last().is_some_and(|at| !is_below(at)) {
            above.pop();
        }
        let is_behind_heading =
            n > 0 && blocks[n - 1].kind == BlockKind::Heading && stays.contains(&(n - 1));
        if block.kind == BlockKind::Paragraph && !is_behind_heading {
            if stays.contains(&n) {
                let is_out =
                    |at: &usize| depths[*at] == 0 && blocks[*at].kind == BlockKind::Heading;
                above.retain(is_out);
            }
            continue;
        }
        if let Some(over) = above.iter().rev().find(|at| stays.contains(*at)) {
            let is_step = is_heading || blocks[*over].kind == BlockKind::Item;
            depths[n] = depths[*over] + usize::from(is_step);
        }
        // The first line of a docstring stands further out than those that are its equals.
        let is_above = block.kind == BlockKind::Item || (is_heading && n > 0);
        if is_above {
            above.push(n);
        }
    }
    depths
}

fn section_of(heading: &str) -> Section {
    let words: Vec<String> = heading
        .split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    if has(&[
        "args",
        "arguments",
        "parameters",
        "params",
        "inputs",
        "input",
        "parameter",
    ]) {
        Section::Parameters
    } else if has(&["example", "examples"]) {
        Section::Examples
    } else if has(&[
        "returns",
        "return",
        "response",
        "output",
        "outputs",
        "features",
        "benefits",
        "raises",
        "yields",
        "overview",
        "background",
        "why",
        "see",
        "related",
        "capabilities",
        "tips",
    ]) {
        Section::Background
    } else {
        Section::Prose
    }
}

/// "Hello!", "Welcome to …", "Thank you …": says nothing of the tool.
fn is_greeting(sentence: &str) -> bool {
    const STARTS: [&str; 8] = [
        "hello",
        "hi ",
        "hi!",
        "hi,",
        "welcome",
        "thank",
        "greetings",
        "congratulations",
    ];
    let lower = sentence
        .trim_start_matches(|first: char| !first.is_alphanumeric())
        .to_lowercase();
    lower.is_empty() || STARTS.iter().any(|start| lower.starts_with(start))
}

/// Says whether a sentence shows how something is written: "Use patterns like '*.rs'".
fn shows_example(sentence: &str) -> bool {
    let is_quoted = |after: &str| after.trim_start().starts_with(['\'', '"', '`', '[', '{']);
    ["like ", "such as ", "e.g.", "e.g. ", "for example"]
        .iter()
        .any(|start| sentence.split(start).skip(1).any(is_quoted))
}

/// Says when to choose the tool, in a few words.
fn is_usage(sentence: &str) -> bool {
    let lower = sentence.to_lowercase();
    sentence.len() <= 160
        && [
            "use this",
            "use it",
            "use when",
            "use for",
            "useful for",
            "useful when",
            "best for",
            "call this",
        ]
        .iter()
        .any(|start| lower.starts_with(start))
}

#[cfg(test)]
mod tests;
