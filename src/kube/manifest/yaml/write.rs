//! A JSON value as a YAML document. Pure.
//!
//! Texts that any reader, of YAML 1.1 or 1.2, could take for something else stand in quotes.

use std::fmt::Write;

use serde_json::Value;

use super::word;

/// Writes a document without `---`, ended by a newline. Reading it gives the same value.
pub fn write(value: &Value) -> String {
    let mut text = String::new();
    match value {
        Value::Object(members) if !members.is_empty() => block(value, 0, false, &mut text),
        Value::Array(elements) if !elements.is_empty() => block(value, 0, false, &mut text),
        _ => {
            inline(value, 0, &mut text);
            text.push('\n');
        }
    }
    text
}

/// Writes the lines of a mapping or list; the first line is begun already if `is_begun`.
fn block(value: &Value, indent: usize, is_begun: bool, text: &mut String) {
    let mut is_begun = is_begun;
    let mut begin = |text: &mut String| {
        if !std::mem::take(&mut is_begun) {
            text.extend(std::iter::repeat_n(' ', indent));
        }
    };
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                begin(text);
                key(name, indent, text);
                text.push(':');
                match value {
                    Value::Object(inner) if !inner.is_empty() => {
                        text.push('\n');
                        block(value, indent + 2, false, text);
                    }
                    Value::Array(inner) if !inner.is_empty() => {
                        text.push('\n');
                        block(value, indent, false, text);
                    }
                    _ => {
                        text.push(' ');
                        inline(value, indent + 2, text);
                        text.push('\n');
                    }
                }
            }
        }
        Value::Array(elements) => {
            for value in elements {
                begin(text);
                text.push_str("- ");
                match value {
                    Value::Object(inner) if !inner.is_empty() => {
                        block(value, indent + 2, true, text);
                    }
                    Value::Array(inner) if !inner.is_empty() => {
                        block(value, indent + 2, true, text);
                    }
                    _ => {
                        inline(value, indent + 2, text);
                        text.push('\n');
                    }
                }
            }
        }
        _ => {}
    }
}

/// Writes what stands behind a key or a dash.
fn inline(value: &Value, indent: usize, text: &mut String) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(word) => text.push_str(if *word { "true" } else { "false" }),
        Value::Number(number) => text.push_str(&number.to_string()),
        Value::String(content) => scalar(content, indent, text),
        Value::Array(_) => text.push_str("[]"),
        Value::Object(_) => text.push_str("{}"),
    }
}

/// Longest key in bytes, as written, that stands before its colon without a sign of its own; readers look
/// 1024 characters ahead (YAML 1.2 §7.4.2), and escapes count.
const MAX_SIMPLE_KEY: usize = 512;

fn key(name: &str, indent: usize, text: &mut String) {
    if is_plain(name) && name.len() < 128 {
        text.push_str(name);
        return;
    }
    let begin = text.len();
    quote(name, text);
    if text.len() - begin > MAX_SIMPLE_KEY {
        // A key that long needs its own sign, and its colon stands below that (YAML 1.2 §8.2.2).
        text.insert_str(begin, "? ");
        text.push('\n');
        text.extend(std::iter::repeat_n(' ', indent));
    }
}

fn scalar(content: &str, indent: usize, text: &mut String) {
    if is_plain(content) {
        text.push_str(content);
    } else if is_literal(content) {
        literal(content, indent.max(2), text);
    } else {
        quote(content, text);
    }
}

/// Whether a text means itself without quotes, to every reader.
fn is_plain(text: &str) -> bool {
    let Some(first) = text.chars().next() else {
        return false;
    };
    let is_safe =
        |character: char| character.is_ascii_alphanumeric() || "_./-=@+%()$,; ".contains(character);
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        // A colon in the middle of a word, as in URLs, separates nothing.
        let is_inner_colon = character == ':'
            && !first.is_ascii_digit()
            && rest.peek().is_some_and(|next| *next != ' ');
        if !is_safe(character) && !is_inner_colon {
            return false;
        }
    }
    let is_time = first.is_ascii_digit() && text.contains('-');
    let is_word = ["=", "<<", "---", "..."].contains(&text);
    (first.is_ascii_alphanumeric() || "/_$(".contains(first))
        && !text.ends_with(' ')
        && !is_time
        && !is_word
        && matches!(word::resolve(text), Ok(Value::String(_)))
}

/// Whether a text can stand as a literal block: several lines of printable characters.
fn is_literal(text: &str) -> bool {
    let is_printable =
        |character: char| character == '\n' || !(needs_escape(character) || character == '\t');
    text.trim_end_matches('\n').contains('\n')
        && text.chars().all(is_printable)
        && !text.starts_with([' ', '\n'])
        && text.lines().all(|line| !line.ends_with(' '))
}

fn literal(content: &str, indent: usize, text: &mut String) {
    let trimmed = content.trim_end_matches('\n');
    let n_breaks = content.len() - trimmed.len();
    text.push_str(match n_breaks {
        0 => "|-",
        1 => "|",
        _ => "|+",
    });
    for line in trimmed.split('\n') {
        text.push('\n');
        if !line.is_empty() {
            text.extend(std::iter::repeat_n(' ', indent));
            text.push_str(line);
        }
    }
    // The caller ends the line.
    for _ in 1..n_breaks {
        text.push('\n');
    }
}

fn needs_escape(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
}

fn quote(content: &str, text: &mut String) {
    text.push('"');
    for character in content.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            '\r' => text.push_str("\\r"),
            other if needs_escape(other) => {
                let _ = write!(text, "\\u{:04x}", u32::from(other));
            }
            other => text.push(other),
        }
    }
    text.push('"');
}
