//! JSON as it stands on the wire: members, elements and texts, with the bytes they have there.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// Returns a value inside, as written. A step names a member, or an element by its number.
pub(crate) fn at(raw: &str, path: &[&str]) -> Option<String> {
    let mut value = raw.to_owned();
    for step in path {
        value = match value.trim_start().chars().next()? {
            '[' => elements(&value).into_iter().nth(step.parse().ok()?)?,
            _ => members(&value).remove(*step)?,
        };
    }
    Some(value)
}

/// Returns the members of an object, in no order; nothing of what is no object.
pub(crate) fn members(raw: &str) -> BTreeMap<String, String> {
    let parsed: BTreeMap<String, Box<RawValue>> = serde_json::from_str(raw).unwrap_or_default();
    parsed
        .into_iter()
        .map(|(name, value)| (name, value.get().to_owned()))
        .collect()
}

/// Returns the elements of an array; nothing of what is no array.
pub(crate) fn elements(raw: &str) -> Vec<String> {
    let parsed: Vec<Box<RawValue>> = serde_json::from_str(raw).unwrap_or_default();
    parsed.iter().map(|value| value.get().to_owned()).collect()
}

/// Returns the text of a JSON string; empty for anything else.
pub(crate) fn text(raw: &str) -> String {
    serde_json::from_str(raw).unwrap_or_default()
}

/// A message in which the texts of a result that are JSON have no spaces between their tokens: reduction may
/// leave those out.
pub(crate) fn tight(line: &str) -> String {
    let Some(content) = at(line, &["result", "content"]) else {
        return line.to_owned();
    };
    let mut line = line.to_owned();
    for block in elements(&content) {
        let Some(raw) = at(&block, &["text"]) else {
            continue;
        };
        let json = text(&raw);
        if serde_json::from_str::<&RawValue>(&json).is_ok() {
            let tight = serde_json::to_string(&without_spaces(&json)).expect("a text");
            line = line.replace(&raw, &tight);
        }
    }
    line
}

fn without_spaces(json: &str) -> String {
    let (mut is_inside, mut is_escaped) = (false, false);
    json.chars()
        .filter(|character| {
            let is_space = !is_inside && character.is_ascii_whitespace();
            is_inside ^= *character == '"' && !is_escaped;
            is_escaped = is_inside && *character == '\\' && !is_escaped;
            !is_space
        })
        .collect()
}

/// Returns the method of a message.
pub(crate) fn method(line: &str) -> String {
    text(&at(line, &["method"]).unwrap_or_default())
}
