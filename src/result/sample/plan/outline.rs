//! Texts with an outline: headings of Markdown and HTML, declarations of source code, keys of YAML. Pure.

use super::super::Kind;
use super::super::lines::Group;
use super::super::lines::Lines;
use super::super::rank::spread;
use super::plain::Numbers;
use crate::result::fence::Fences;

/// Words that may stand before the word that declares something.
const BEFORE: [&str; 20] = [
    "pub",
    "export",
    "default",
    "async",
    "static",
    "abstract",
    "final",
    "public",
    "private",
    "protected",
    "declare",
    "inline",
    "extern",
    "unsafe",
    "const",
    "internal",
    "override",
    "virtual",
    "sealed",
    "open",
];
/// Words that declare something.
const DECLARES: [&str; 22] = [
    "fn",
    "def",
    "class",
    "function",
    "interface",
    "struct",
    "enum",
    "impl",
    "trait",
    "type",
    "mod",
    "module",
    "namespace",
    "func",
    "sub",
    "record",
    "object",
    "macro_rules!",
    "union",
    "package",
    "protocol",
    "extension",
];

/// Whether a line is a heading of Markdown (CommonMark 0.31 §4.2, up to 6 signs).
pub(super) fn is_heading(line: &str) -> bool {
    let signs = line.bytes().take_while(|byte| *byte == b'#').count();
    (1..=6).contains(&signs) && line[signs..].starts_with(' ')
}

pub(super) fn is_yaml_line(line: &str) -> bool {
    let line = line.trim_start().trim_start_matches("- ");
    line.starts_with('#') || line.starts_with("- ") || line == "---" || line == "-" || {
        let key = line
            .split(": ")
            .next()
            .unwrap_or(line)
            .trim_end_matches(':');
        (line.contains(": ") || line.ends_with(':'))
            && !key.is_empty()
            && key.len() < 80
            && key
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_./\"'".contains(&byte))
    }
}

pub(super) fn is_code_line(line: &str) -> bool {
    let line = line.trim();
    line.ends_with(['{', '}', ';'])
        || line.ends_with(");")
        || line.ends_with("},")
        || declaration(line).is_some()
}

/// The word by which a line declares something.
fn declaration(line: &str) -> Option<&'static str> {
    let line = line.trim_start();
    let mut words = line
        .split(|c: char| c.is_whitespace() || c == '<' || c == '(')
        .filter(|word| !word.is_empty());
    for _ in 0..5 {
        let word = words.next()?;
        if let Some(found) = DECLARES.into_iter().find(|known| *known == word) {
            let next = words.next()?;
            return next
                .starts_with(|c: char| c.is_alphabetic() || "_$*'\"[".contains(c))
                .then_some(found);
        }
        if !BEFORE.contains(&word) {
            return None;
        }
    }
    None
}

fn is_markup_heading(line: &str) -> bool {
    let line = line.trim_start();
    line.strip_prefix('<').is_some_and(|tag| {
        let bytes = tag.as_bytes();
        (bytes.len() > 2 && matches!(bytes[0], b'h' | b'H') && bytes[1].is_ascii_digit())
            || ["title", "section id", "dt ", "table", "form", "article"]
                .iter()
                .any(|known| tag.starts_with(known))
    })
}

pub(super) fn plan(lines: &Lines<'_>, kind: Kind, limit: usize) -> (Vec<String>, Vec<Group>) {
    let mut outline: Vec<(usize, u32)> = Vec::new();
    let mut n_outline = 0_usize;
    let mut counts: Vec<(&'static str, usize)> = Vec::new();
    let mut fences = Fences::default();
    let mut tones = super::Tones::default();
    let mut numbers = Numbers::default();
    for (index, line) in lines.iter().enumerate() {
        if kind != Kind::Source && kind != Kind::Markup {
            tones.add(index, super::words::tone(line), limit);
            numbers.add(line);
        }
        let indent = line.len() - line.trim_start().len();
        let rank = match kind {
            Kind::Markdown => (!fences.step(line) && is_heading(line))
                .then(|| line.bytes().take_while(|byte| *byte == b'#').count()),
            Kind::Markup => is_markup_heading(line).then_some(0),
            Kind::Yaml => {
                let is_name = line
                    .trim_start()
                    .trim_start_matches("- ")
                    .starts_with("name:");
                (is_name || (!line.trim().is_empty() && indent == 0)).then_some(if is_name {
                    indent / 2
                } else {
                    0
                })
            }
            _ => declaration(line).map(|word| {
                match counts.iter_mut().find(|(known, _)| *known == word) {
                    Some((_, count)) => *count += 1,
                    None => counts.push((word, 1)),
                }
                indent
            }),
        };
        if let Some(rank) = rank {
            n_outline += 1;
            outline.push((rank, index as u32));
        }
    }
    let what = match kind {
        Kind::Source => "declarations",
        Kind::Yaml => "keys of the outer levels",
        _ => "headings",
    };
    let mut facts = Vec::new();
    if n_outline > 0 {
        let by_word = counts
            .iter()
            .map(|(word, count)| format!("{word}×{count}"))
            .collect::<Vec<_>>()
            .join(" ");
        let by_word = if by_word.is_empty() {
            by_word
        } else {
            format!(": {by_word}")
        };
        facts.push(format!("{n_outline} {what}{by_word}"));
    }
    if kind != Kind::Source {
        facts.extend(tones.fact());
    }
    facts.extend(numbers.facts());
    let n = lines.count();
    let (front, back) = super::ends(n, limit);
    (
        facts,
        vec![
            Group::new(30, front),
            Group::new(40, by_rank(outline, limit)),
            Group::new(15, back),
            Group::new(if tones.errors.is_empty() { 0 } else { 5 }, tones.errors),
            Group::new(10, spread(n as u32).take(limit)),
        ],
    )
}

/// The outer ones first; those of one level spread evenly, so that any prefix covers the whole.
fn by_rank(mut outline: Vec<(usize, u32)>, limit: usize) -> Vec<u32> {
    outline.sort_unstable();
    let mut ordered = Vec::new();
    for level in outline.chunk_by(|one, next| one.0 == next.0) {
        if ordered.len() >= limit {
            break;
        }
        ordered.extend(
            spread(level.len() as u32)
                .map(|at| level[at as usize].1)
                .take(limit - ordered.len()),
        );
    }
    ordered
}
