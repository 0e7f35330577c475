//! JSON as it was written: members of an object, the text of a string. Nothing here fails; what is no
//! object has no members.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// The members of an object with their values as written.
pub(crate) type Members = BTreeMap<String, String>;

pub(crate) fn members(raw: &str) -> Members {
    let parsed: BTreeMap<String, Box<RawValue>> = serde_json::from_str(raw).unwrap_or_default();
    parsed
        .into_iter()
        .map(|(name, value)| (name, value.get().to_owned()))
        .collect()
}

/// The text of a JSON string, or nothing.
pub(crate) fn text(raw: &str) -> String {
    serde_json::from_str(raw).unwrap_or_default()
}

pub(crate) fn quoted(said: &str) -> String {
    serde_json::Value::from(said).to_string()
}
