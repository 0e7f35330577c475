//! Text that is no JSON: what carries nothing for a reader goes, and lines that repeat stand once.
//!
//! [`normal`] is the only step of this room that is not undone by reading back. It removes terminal
//! colours (ANSI sequences), the padding of Markdown tables, and trailing spaces
//! of padded output (most lines end in spaces; a source file's trailing space stays, and so do diffs and
//! the two spaces that break a line in Markdown). A text stays as it is where sequences move the cursor, or
//! where nothing but a change of colours parts two words, or any colour two numbers.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::look::Look;
use crate::result::fence::Fences;

/// Fewer equal lines than this stay as they are.
const RUN: usize = 3;
/// Repeats of one line that reading back will write.
const MAX_REPEATS: usize = 10_000_000;

/// Removes what carries nothing; borrowed where nothing was removed.
pub(super) fn normal(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    if text.contains('\u{1b}') {
        match without_ansi(&text) {
            Some(plain) => text = Cow::Owned(plain),
            None => return text,
        }
    }
    let (mut n_lines, mut n_padded, mut n_table) = (0usize, 0usize, 0usize);
    for line in text.split('\n') {
        n_lines += 1;
        n_padded += usize::from(line.ends_with(' '));
        n_table += usize::from(is_table_row(line));
    }
    if n_table >= 3 {
        text = Cow::Owned(without_table_padding(&text));
    }
    if n_lines >= 3 && n_padded * 2 >= n_lines && !is_diff(&text) {
        let lines: Vec<&str> = text.split('\n').map(without_padding).collect();
        text = Cow::Owned(lines.join("\n"));
    }
    text
}

/// Tells whether a text is a diff, where a space at a line's end is what was changed, and a line of one space an
/// empty one that was not.
fn is_diff(text: &str) -> bool {
    let is_head = |line: &str| line.starts_with("@@ ") || line.starts_with("diff ");
    text.split('\n').any(is_head)
}

/// Takes the padding off a line. Two spaces behind a word break the line in Markdown.
fn without_padding(line: &str) -> &str {
    let bare = line.trim_end_matches(' ');
    if !bare.is_empty() && line.len() == bare.len() + 2 {
        line
    } else {
        bare
    }
}

/// What an escape sequence does.
enum Sequence {
    /// It sets a colour, clears what is not there, or names the window: this many bytes behind the escape go.
    Empty(usize),
    /// It says where on the screen the text stands.
    Moves,
    /// Anything else; it stays.
    Other,
}

/// Reads the sequence whose escape stands before `after`.
fn sequence(after: &str) -> Sequence {
    let bytes = after.as_bytes();
    match bytes.first() {
        // CSI: parameters, intermediates, one final byte (ECMA-48 §5.4).
        Some(b'[') => {
            let n = bytes[1..]
                .iter()
                .take_while(|b| (0x20..0x40).contains(*b))
                .count();
            let is_plain = bytes[1..=n]
                .iter()
                .all(|b| b.is_ascii_digit() || matches!(*b, b';' | b':'));
            match bytes.get(1 + n) {
                Some(b'm' | b'K') if is_plain => Sequence::Empty(n + 2),
                // Where text is written, repeated, inserted, deleted or scrolled to.
                Some(b'@'..=b'I' | b'L' | b'M' | b'P' | b'S' | b'T' | b'X' | b'Z') if is_plain => {
                    Sequence::Moves
                }
                Some(b'`' | b'a' | b'b' | b'd' | b'e' | b'f' | b's' | b'u') if is_plain => {
                    Sequence::Moves
                }
                _ => Sequence::Other,
            }
        }
        // OSC: up to BEL or ST; another escape cuts it off. A link's text stays, its address stays too where it
        // is needed: only titles and colours (no `8;`) are removed.
        Some(b']') if !after.starts_with("]8;") => match after.find(['\u{7}', '\u{1b}', '\n']) {
            Some(n) if bytes[n] == 7 => Sequence::Empty(n + 1),
            Some(n) if after[n..].starts_with("\u{1b}\\") => Sequence::Empty(n + 2),
            _ => Sequence::Other,
        },
        _ => Sequence::Other,
    }
}

/// Takes out the sequences that carry nothing; none where the text has to stay as it is.
fn without_ansi(text: &str) -> Option<String> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut out = String::with_capacity(text.len());
    // How the text at the end of `out` looks, and how what comes next does; whether a title stood between.
    let (mut left, mut look) = (Look::default(), Look::default());
    let mut has_title = false;
    let mut rest = text;
    loop {
        let (before, after) = match rest.split_once('\u{1b}') {
            Some((before, after)) => (before, Some(after)),
            None => (rest, None),
        };
        if let (Some(one), Some(other)) = (out.chars().next_back(), before.chars().next())
            && is_word(one)
            && is_word(other)
        {
            // `10` in red and `20` in green are not 1020; a match that is coloured inside a word parts nothing.
            let is_number = one.is_numeric() && other.is_numeric();
            if has_title || is_number || (left.has_more(look) && look.has_more(left)) {
                return None;
            }
        }
        if !before.is_empty() {
            (left, has_title) = (look, false);
        }
        out.push_str(before);
        let Some(after) = after else {
            return Some(out);
        };
        match sequence(after) {
            Sequence::Empty(n) => {
                let (taken, behind) = after.split_at(n);
                match taken.strip_prefix('[').map(|csi| csi.strip_suffix('m')) {
                    Some(Some(parameters)) => look.set(parameters),
                    Some(None) => {}
                    None => has_title = true,
                }
                rest = behind;
            }
            Sequence::Moves => return None,
            Sequence::Other => {
                out.push('\u{1b}');
                rest = after;
            }
        }
    }
}

fn is_table_row(line: &str) -> bool {
    line.len() > 2 && line.starts_with('|') && line.ends_with('|')
}

fn without_table_padding(text: &str) -> String {
    let lines: Vec<&str> = text.split('\n').collect();
    let is_rule = |line: &str| {
        is_table_row(line)
            && line.contains("---")
            && line.bytes().all(|b| matches!(b, b'|' | b'-' | b':' | b' '))
    };
    let mut out = String::with_capacity(text.len());
    let mut fences = Fences::default();
    let mut in_table = false;
    for (n, line) in lines.iter().enumerate() {
        if n > 0 {
            out.push('\n');
        }
        let is_fenced = fences.step(line);
        in_table = is_table_row(line)
            && (in_table || is_rule(line) || lines.get(n + 1).is_some_and(|next| is_rule(next)));
        if is_fenced || !in_table || line.contains('`') {
            out.push_str(line);
            continue;
        }
        for cell in line[1..line.len() - 1].split('|') {
            out.push('|');
            let trimmed = cell.trim_matches(' ');
            if is_rule(line) {
                let (left, right) = (trimmed.starts_with(':'), trimmed.ends_with(':'));
                out.push_str(if left { ":" } else { "" });
                out.push_str("---");
                out.push_str(if right { ":" } else { "" });
                continue;
            }
            let pad = |has: bool| if has { " " } else { "" };
            out.push_str(pad(cell.starts_with(' ')));
            out.push_str(trimmed);
            out.push_str(pad(cell.ends_with(' ') && !trimmed.is_empty()));
        }
        out.push('|');
    }
    out
}

/// Writes runs of equal lines once, with their number; None where there are none.
pub(super) fn fold(text: &str) -> Option<String> {
    let lines: Vec<&str> = text.split('\n').collect();
    let mut out = String::with_capacity(text.len());
    let mut has_run = false;
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        if repeats(line).is_some() {
            return None;
        }
        let n = lines[at..]
            .iter()
            .take_while(|other| **other == line)
            .count();
        if at > 0 {
            out.push('\n');
        }
        out.push_str(line);
        if n >= RUN && !line.is_empty() {
            has_run = true;
            let _ = write!(out, " ×{n}");
        } else {
            for _ in 1..n {
                out.push('\n');
                out.push_str(line);
            }
        }
        at += n;
    }
    has_run.then_some(out)
}

/// Undoes [`fold`].
pub(super) fn unfold(text: &str, max_bytes: usize) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    for (n, line) in text.split('\n').enumerate() {
        if n > 0 {
            out.push('\n');
        }
        let (line, n) = repeats(line).unwrap_or((line, 1));
        if out.len() + line.len().saturating_mul(n) > max_bytes {
            return None;
        }
        for i in 0..n {
            if i > 0 {
                out.push('\n');
            }
            out.push_str(line);
        }
    }
    Some(out)
}

fn repeats(line: &str) -> Option<(&str, usize)> {
    let (line, digits) = line.rsplit_once(" ×")?;
    let n: usize = digits.parse().ok()?;
    let is_plain = digits.bytes().all(|b| b.is_ascii_digit());
    (is_plain && (RUN..=MAX_REPEATS).contains(&n)).then_some((line, n))
}
