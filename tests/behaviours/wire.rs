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

/// Returns the method of a message.
pub(crate) fn method(line: &str) -> String {
    text(&at(line, &["method"]).unwrap_or_default())
}
