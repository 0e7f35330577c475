//! Cuts the prose of a definition into blocks (paragraphs, items, headings, code) and those into
//! sentences, as spans of the original text. It finds where things end; it may not judge them.
//!
//! A sentence may run over line breaks, as in wrapped docstrings. Work is linear in the text.

use std::ops::Range;

/// What a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlockKind {
    /// Running text.
    Paragraph,
    /// An item of a list (`- x`, `1. x`) or of a section of a docstring (`name: x`).
    Item,
    /// A line that announces what is below it: `# Title`, `Args:`.
    Heading,
    /// Between fences.
    Code,
}

/// One block of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) kind: BlockKind,
    /// Columns before its first character.
    pub(crate) indent: usize,
    /// Says whether an empty line stands before it.
    pub(crate) has_gap: bool,
    /// Its bytes, without whitespace around it.
    pub(crate) span: Range<usize>,
    /// Its sentences, in order; one for headings and code.
    pub(crate) sentences: Vec<Range<usize>>,
}

/// Cuts a text into blocks.
pub(crate) fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut has_gap = false;
    let mut in_code = false;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let trimmed = line.trim();
        let is_fence = trimmed.starts_with("```") || trimmed.starts_with("~~~");
        let lead = line.len() - line.trim_start().len();
        let span = start + lead..start + lead + trimmed.len();
        if in_code {
            if let Some(block) = blocks.last_mut() {
                block.span.end = block.span.end.max(span.end);
            }
            in_code = !is_fence;
            continue;
        }
        if trimmed.is_empty() {
            has_gap = true;
            continue;
        }
        let indent = line[..lead]
            .chars()
            .map(|space| if space == '\t' { 4 } else { 1 })
            .sum();
        let kind = kind_of(trimmed, is_fence);
        in_code = is_fence && !trimmed[3..].contains(&trimmed[..3]);
        let continues = kind == BlockKind::Paragraph
            && !has_gap
            && blocks.last().is_some_and(|block| match block.kind {
                BlockKind::Paragraph => true,
                BlockKind::Item => indent > block.indent,
                BlockKind::Heading | BlockKind::Code => false,
            });
        match blocks.last_mut() {
            Some(block) if continues => block.span.end = span.end,
            _ => blocks.push(Block {
                kind,
                indent,
                has_gap,
                span,
                sentences: Vec::new(),
            }),
        }
        has_gap = false;
    }
    for block in &mut blocks {
        block.sentences = match block.kind {
            BlockKind::Heading | BlockKind::Code => vec![block.span.clone()],
            BlockKind::Paragraph | BlockKind::Item => sentences(text, block.span.clone()),
        };
    }
    blocks
}

fn kind_of(line: &str, is_fence: bool) -> BlockKind {
    if is_fence {
        return BlockKind::Code;
    }
    let is_title = line.starts_with('#') && line.trim_start_matches('#').starts_with(' ');
    if is_title {
        return BlockKind::Heading;
    }
    if item_marker(line).is_some() || argument_name(line).is_some() {
        return BlockKind::Item;
    }
    let is_bare = line.trim_end_matches(['*', '_']).ends_with(':')
        || (line.starts_with("**") && line.ends_with("**"))
        || (line.starts_with('<') && line.ends_with('>') && !line.contains(' '));
    if is_bare && line.len() <= 120 {
        return BlockKind::Heading;
    }
    BlockKind::Paragraph
}

/// Returns the bytes that a list marker takes, with the space behind it.
pub(crate) fn item_marker(line: &str) -> Option<usize> {
    let first = line.chars().next()?;
    let marker = if matches!(first, '-' | '*' | '•' | '–' | '—' | '+' | '·') {
        first.len_utf8()
    } else {
        let digits = line.bytes().take_while(u8::is_ascii_digit).count();
        let is_number =
            (1..=3).contains(&digits) && matches!(line.as_bytes().get(digits), Some(b'.' | b')'));
        if !is_number {
            return None;
        }
        digits + 1
    };
    let rest = &line[marker..];
    let is_alone = rest.starts_with([' ', '\t']);
    is_alone.then(|| marker + rest.len() - rest.trim_start().len())
}

/// Returns the name at the start of `name: text` or `name (type): text`, as docstrings have them.
pub(crate) fn argument_name(line: &str) -> Option<&str> {
    let end = line
        .find(|character: char| !character.is_alphanumeric() && !"_.-`*'".contains(character))
        .filter(|end| *end > 0)?;
    let name = &line[..end];
    let mut rest = line[end..].trim_start();
    if rest.starts_with('(') {
        let close = rest.find(')').filter(|close| *close <= 80)?;
        rest = rest[close + 1..].trim_start();
    } else if rest.len() != line.len() - end {
        return None;
    }
    let text = rest.strip_prefix(':')?;
    (text.starts_with(' ') && !text.trim().is_empty()).then_some(name)
}

/// Words that end in a full stop and end no sentence.
const ABBREVIATIONS: [&str; 16] = [
    "e.g", "i.e", "etc", "vs", "approx", "incl", "excl", "resp", "cf", "fig", "no", "inc", "ex",
    "min", "max", "eg",
];

fn sentences(text: &str, span: Range<usize>) -> Vec<Range<usize>> {
    let inside = &text[span.clone()];
    let mut found = Vec::new();
    let mut start = 0;
    let mut n_open = 0_usize;
    let mut in_code = false;
    let mut characters = inside.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '`' => in_code = !in_code,
            '(' | '[' | '{' if !in_code => n_open += 1,
            ')' | ']' | '}' if !in_code => n_open = n_open.saturating_sub(1),
            _ => {}
        }
        let is_wide = matches!(character, '。' | '！' | '？');
        if !is_wide && !matches!(character, '.' | '!' | '?') {
            continue;
        }
        if n_open > 0 || in_code {
            continue;
        }
        let mut end = at + character.len_utf8();
        // Closing quotes and marks belong to the sentence.
        while let Some((_, closing)) = characters.peek().copied() {
            if !matches!(closing, '"' | '\'' | '”' | '’' | '*' | '!' | '?' | '.') {
                break;
            }
            end += closing.len_utf8();
            characters.next();
        }
        let rest = &inside[end..];
        let next = rest.trim_start();
        let is_apart = is_wide || rest.len() > next.len();
        let is_new = next.starts_with(|first: char| !first.is_lowercase());
        if is_apart && is_new && !(character == '.' && is_abbreviation(&inside[start..at])) {
            found.push(span.start + start..span.start + end);
            start = inside.len() - next.len();
            // What was skipped is white space.
            while characters.peek().is_some_and(|(at, _)| *at < start) {
                characters.next();
            }
        }
    }
    if start < inside.len() {
        found.push(span.start + start..span.end);
    }
    found
}

fn is_abbreviation(before: &str) -> bool {
    let is_part = |character: char| character.is_alphanumeric() || character == '.';
    let word = before
        .rfind(|character| !is_part(character))
        .map_or(before, |at| {
            before[at..].trim_start_matches(|character| !is_part(character))
        });
    ABBREVIATIONS.iter().any(|known| word.eq_ignore_ascii_case(known))
        // A number of a list, or an initial.
        || (word == before && !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()))
        || word.chars().count() == 1 && word.chars().all(char::is_uppercase)
}

/// Returns the words of a sentence joined by single spaces, without a list marker before and a full
/// stop behind: what two sentences have in common that say the same.
pub(crate) fn key(sentence: &str) -> String {
    let sentence = sentence.trim();
    let sentence = &sentence[item_marker(sentence).unwrap_or(0)..];
    let mut key = flat(sentence);
    key.truncate(key.trim_end_matches(['.', ' ']).len());
    key
}

/// Returns the words of a text joined by single spaces.
pub(crate) fn flat(text: &str) -> String {
    let mut flat = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !flat.is_empty() {
            flat.push(' ');
        }
        flat.push_str(word);
    }
    flat
}

/// Returns the first sentence of a text in one line, at most `max_characters` long; where it is
/// longer it ends at a word with `…`.
pub(crate) fn first_sentence(text: &str, max_characters: usize) -> String {
    let blocks = blocks(text);
    let prose = blocks
        .iter()
        .find(|block| matches!(block.kind, BlockKind::Paragraph | BlockKind::Item));
    let span = match prose.or(blocks.first()) {
        Some(block) => block.sentences.first().unwrap_or(&block.span).clone(),
        None => return String::new(),
    };
    bounded(&flat(&text[span]), max_characters)
}

/// Cuts a line at a word so that it has at most that many characters.
pub(crate) fn bounded(line: &str, max_characters: usize) -> String {
    let Some((cut, _)) = line.char_indices().nth(max_characters) else {
        return line.to_owned();
    };
    let room = line[..cut]
        .char_indices()
        .next_back()
        .map_or(0, |(at, _)| at);
    let end = line[..room].rfind(' ').unwrap_or(room);
    format!("{}…", line[..end].trim_end_matches([' ', ',', ';', ':']))
}
