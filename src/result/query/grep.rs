//! Searching a stored result: lines with those around them, and in JSON the values with their pointers.
//!
//! The `regex` crate is linear in the text; patterns are bounded in size. In JSON a hit is shown as the
//! largest short object around it, because a value alone seldom answers a question.

use std::fmt::Write as _;
use std::ops::{ControlFlow, Range};

use regex::{Regex, RegexBuilder};

use crate::jsonrpc::text;

use super::QueryError;
use super::json::{pointer_of, short_end, walk};
use super::pages::floor;

/// Bytes of a compiled pattern.
const PATTERN_BYTES: usize = 1 << 20;
/// Lines around a hit, unless the call says how many.
pub(super) const CONTEXT: usize = 2;
/// Lines around a hit, at most.
const MOST_CONTEXT: usize = 100;
/// Bytes of an answer; more hits are only counted.
const MOST_BYTES: usize = 4 << 20;
/// Bytes of a line that is shown whole.
const LINE: usize = 2_000;
/// Bytes around a hit in a longer line.
const AROUND: usize = 200;
/// Bytes of an object that is shown instead of the value in it.
const OBJECT: usize = 1_000;
/// Bytes of a string that is shown whole; of a longer one the lines that fit.
const STRING: usize = 600;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The hits, as a model reads them.
    pub(super) text: String,
    /// How many there are.
    pub(super) hits: usize,
    /// How many of them are in the text.
    pub(super) shown: usize,
}

/// Compiles a pattern.
pub(super) fn compile(pattern: &str) -> Result<Regex, QueryError> {
    RegexBuilder::new(pattern)
        .multi_line(true)
        // Lines of a text may end in `\r\n`.
        .crlf(true)
        .size_limit(PATTERN_BYTES)
        .dfa_size_limit(2 * PATTERN_BYTES)
        .nest_limit(100)
        .build()
        .map_err(|error| QueryError::Pattern {
            why: error
                .to_string()
                .lines()
                .last()
                .unwrap_or_default()
                .trim_start_matches("error: ")
                .to_owned(),
        })
}

/// Searches lines, numbered from `first`.
pub(super) fn lines(text: &str, regex: &Regex, context: usize, first: usize) -> Found {
    let context = context.min(MOST_CONTEXT);
    let lines: Vec<&str> = split_lines(text);
    let mut found = Found::default();
    let mut next = 0;
    for (at, line) in lines.iter().enumerate() {
        if !regex.is_match(line) {
            continue;
        }
        found.hits += 1;
        if found.text.len() > MOST_BYTES {
            continue;
        }
        found.shown += 1;
        let from = at.saturating_sub(context).max(next);
        if next > 0 && from > next {
            found.text.push_str("--\n");
        }
        for (before, line) in (from..at).zip(&lines[from.min(at)..at]) {
            if before >= next {
                push_line(&mut found.text, first + before, '-', line, None);
            }
        }
        if at >= next {
            push_line(&mut found.text, first + at, ':', line, Some(regex));
        }
        // What comes after is shown unless the next hit does; a line is shown once.
        let until = (at + 1 + context).min(lines.len());
        let stop = (at + 1..until)
            .find(|n| regex.is_match(lines[*n]))
            .unwrap_or(until);
        let start = (at + 1).max(next);
        for (n, line) in lines.iter().enumerate().take(stop).skip(start) {
            push_line(&mut found.text, first + n, '-', line, None);
        }
        next = stop.max(next);
    }
    found
}

/// Lines without their ends; the last one is not counted where the text ends with a line feed.
pub(super) fn split_lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.split('\n').collect();
    if lines.last() == Some(&"") {
        lines.pop();
    }
    lines
}

fn push_line(out: &mut String, number: usize, mark: char, line: &str, regex: Option<&Regex>) {
    let _ = write!(out, "{number}{mark}");
    push_excerpt(out, line, regex);
    out.push('\n');
}

/// A line, or what is around the first hit in a long one.
fn push_excerpt(out: &mut String, line: &str, regex: Option<&Regex>) {
    if line.len() <= LINE {
        out.push_str(line);
        return;
    }
    let hit = regex
        .and_then(|regex| regex.find(line))
        .map_or(0..0, |hit| hit.range());
    let from = floor(line, hit.start.saturating_sub(AROUND));
    let to = floor(
        line,
        (hit.start + AROUND).max(hit.end.min(hit.start + LINE)),
    );
    let _ = write!(
        out,
        "[bytes {from} to {to} of a line of {}] {}",
        line.len(),
        &line[from..to]
    );
}

/// Searches the values of a JSON text; pointers begin with `base`.
pub(super) fn values(json: &str, regex: &Regex, base: &str) -> Found {
    let mut found = Found::default();
    let mut shown = 0..0;
    walk(json, |open, at| {
        let key = open.last().map_or(0..0, super::json::Open::key);
        if !is_hit(json, regex, key, at.clone()) {
            return ControlFlow::Continue(());
        }
        found.hits += 1;
        if found.text.len() > MOST_BYTES {
            return ControlFlow::Continue(());
        }
        found.shown += 1;
        if shown.contains(&at.start) {
            return ControlFlow::Continue(());
        }
        shown = push_value(&mut found.text, json, regex, base, open, at);
        ControlFlow::Continue(())
    });
    found
}

/// A pattern may mean the value as it is read, or the member as it is written, with or without a space.
fn is_hit(json: &str, regex: &Regex, key: Range<usize>, at: Range<usize>) -> bool {
    let raw = &json[at];
    let is_in_value = match text::string_value(raw.as_bytes()) {
        Some(value) => regex.is_match(&value),
        None => regex.is_match(raw),
    };
    if is_in_value || key.is_empty() {
        return is_in_value;
    }
    let key = &json[key];
    regex.is_match(&format!("{key}: {raw}")) || regex.is_match(&format!("{key}:{raw}"))
}

/// Writes a hit; returns what of the text was shown.
fn push_value(
    out: &mut String,
    json: &str,
    regex: &Regex,
    base: &str,
    open: &[super::json::Open],
    at: Range<usize>,
) -> Range<usize> {
    let around = open.iter().enumerate().find_map(|(n, container)| {
        // A list of many objects would say too much, the whole document nothing new.
        if n == 0 || json.as_bytes()[container.start] != b'{' {
            return None;
        }
        let end = short_end(json, container.start, OBJECT)?;
        Some((n, container.start..end))
    });
    if let Some((n, span)) = around {
        let pointer = pointer_of(json, &open[..n]);
        let _ = writeln!(out, "{base}{pointer}: {}", one_line(&json[span.clone()]));
        return span;
    }
    let pointer = pointer_of(json, open);
    let raw = &json[at.clone()];
    match text::string_value(raw.as_bytes()) {
        Some(value) if raw.len() > STRING => {
            for (n, line) in split_lines(&value).into_iter().enumerate() {
                if regex.is_match(line) {
                    let _ = write!(out, "{base}{pointer} line {}: ", n + 1);
                    push_excerpt(out, line, Some(regex));
                    out.push('\n');
                }
                if out.len() > MOST_BYTES {
                    break;
                }
            }
        }
        _ => {
            let _ = writeln!(out, "{base}{pointer}: {raw}");
        }
    }
    at
}

/// JSON in one line: line feeds in it are white space only.
fn one_line(raw: &str) -> String {
    let lines: Vec<&str> = raw.lines().map(str::trim).collect();
    lines.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grep(text: &str, pattern: &str, context: usize) -> Found {
        lines(text, &compile(pattern).unwrap(), context, 1)
    }

    /// Broken variant that this catches: `$` finds nothing before the carriage return of `\r\n`.
    #[test]
    fn lines_end_before_a_carriage_return() {
        let found = grep("bar baz\r\nbaz bar\r\n", "baz$", 0);
        assert_eq!((found.hits, found.shown), (1, 1));
        assert!(found.text.starts_with("1:bar baz"), "{}", found.text);
    }

    #[test]
    fn hits_come_with_the_lines_around_them_each_once() {
        let text: String = (1..=20).map(|n| format!("line {n}\n")).collect();
        let found = grep(&text, "line (5|6|8|15)$", 1);
        assert_eq!(
            found.text,
            "4-line 4\n5:line 5\n6:line 6\n7-line 7\n8:line 8\n9-line 9\n--\n14-line 14\n15:line 15\n16-line 16\n"
        );
        assert_eq!((found.hits, found.shown), (4, 4));
        assert_eq!(grep(&text, "^line 1$", 0).text, "1:line 1\n");
        assert_eq!(grep(&text, "^line 20$", 1).text, "19-line 19\n20:line 20\n");
        assert_eq!(grep(&text, "nothing", 2), Found::default());
        assert_eq!(grep("", "^$", 2).hits, 0);
    }

    #[test]
    fn long_lines_are_shown_around_the_hit() {
        let text = format!("{}needle{}", "é".repeat(5_000), "é".repeat(5_000));
        let found = grep(&text, "needle", 2);
        assert!(found.text.len() < 600 && found.text.contains("needle"));
        assert!(found.text.contains("of a line of 20006]"), "{}", found.text);
    }

    #[test]
    fn values_are_found_with_the_object_around_them() {
        let json = r#"{"total":2,"items":[{"id":1,"name":"a\u00e9\/b"},{"id":2,
          "name":"needle","tags":["needle"]}],"log":"x"}"#;
        let hits = |pattern: &str| values(json, &compile(pattern).unwrap(), "/base");
        let found = hits("needle");
        assert_eq!(found.hits, 2);
        assert_eq!(found.text.lines().count(), 1);
        assert!(
            found.text.starts_with("/base/items/1: {\"id\":2, \"name\""),
            "{}",
            found.text
        );
        assert!(hits("aé/b").text.contains(r#""a\u00e9\/b""#));
        assert_eq!(hits(r#""id": ?2"#).hits, 1);
        assert_eq!(hits("\"total\"").text, "/base/total: 2\n");
        assert_eq!(hits("^id$").hits, 0);
        let long = format!(
            r#"{{"items":[{}{{"id":500,"name":"needle"}}]}}"#,
            r#"{"id":1,"name":"a"},"#.repeat(200)
        );
        let found = values(&long, &compile("needle").unwrap(), "");
        assert_eq!(found.text, "/items/200: {\"id\":500,\"name\":\"needle\"}\n");
        let stdout = format!(
            r#"{{"out":{}}}"#,
            text::to_string(&(0..300).map(|n| format!("row {n}\n")).collect::<String>())
        );
        let found = values(&stdout, &compile("row 17$").unwrap(), "");
        assert_eq!(
            (found.hits, found.text.as_str()),
            (1, "/out line 18: row 17\n")
        );
    }

    #[test]
    fn patterns_are_bounded() {
        for pattern in [
            "(",
            "a{1000}{1000}{1000}",
            &"(".repeat(5_000),
            "(?<n>a)\\k<n>",
        ] {
            let error = compile(pattern).unwrap_err().text("read_result");
            assert!(error.contains("`grep`"), "{error}");
        }
        let found = grep(&"a".repeat(200_000), "(a*)*b", 0);
        assert_eq!(found.hits, 0);
    }
}
