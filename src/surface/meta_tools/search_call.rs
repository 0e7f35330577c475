//! The arguments of `search_tools` and `describe_tools`, read: lists, single texts and comma lists.

use serde_json::Value;

use crate::surface::meta_tools::DEFAULT_RESULTS;
use crate::surface::meta_tools::MAX_DESCRIBED;
use crate::surface::meta_tools::MAX_QUERIES;
use crate::surface::meta_tools::MAX_RESULTS;
use crate::surface::meta_tools::call::MetaCall;
use crate::surface::meta_tools::call::MetaCallError;
use crate::surface::meta_tools::repair::object;
use crate::surface::meta_tools::repair::parts;

/// Bytes of one query or name.
const MAX_QUERY_BYTES: usize = 1_000;

/// Reads a search.
pub(super) fn search(text: &str) -> Result<MetaCall, MetaCallError> {
    let text = unwrapped(text, &QUERY_KEYS);
    let queries = list(&text, &QUERY_KEYS, "queries", false, MAX_QUERIES)?;
    if queries.is_empty() {
        return Err(MetaCallError::NoQuery);
    }
    let server = match value(&text, "server") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) if name.trim().is_empty() => None,
        Some(Value::String(name)) => Some(name.trim().to_owned()),
        Some(_) => {
            return Err(MetaCallError::WrongType {
                member: "server",
                expected: "the name of one server",
            });
        }
    };
    let limit = match value(&text, "limit") {
        None | Some(Value::Null) => None,
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(number)) => Some(number.trim().parse().unwrap_or(f64::NAN)),
        Some(_) => Some(f64::NAN),
    };
    let limit = match limit {
        None => DEFAULT_RESULTS,
        Some(n) if n.is_nan() => {
            return Err(MetaCallError::WrongType {
                member: "limit",
                expected: "a number",
            });
        }
        // In range, so the cast loses the fraction only.
        Some(n) => n.clamp(1.0, MAX_RESULTS as f64) as usize,
    };
    Ok(MetaCall::Search {
        queries,
        server,
        limit,
    })
}

/// Reads a request for definitions.
pub(super) fn describe(text: &str) -> Result<MetaCall, MetaCallError> {
    let text = unwrapped(text, &NAMES_KEYS);
    let names = list(&text, &NAMES_KEYS, "names", true, MAX_DESCRIBED)?;
    if names.is_empty() {
        return Err(MetaCallError::NoName);
    }
    let output_schema = match value(&text, "output_schema") {
        Some(Value::Bool(wanted)) => wanted,
        Some(Value::String(word)) => word.trim() == "true",
        _ => false,
    };
    Ok(MetaCall::Describe {
        names,
        output_schema,
    })
}

const QUERY_KEYS: [&str; 3] = ["queries", "query", "q"];
const NAMES_KEYS: [&str; 6] = ["names", "name", "tools", "tool", "tool_names", "tool_name"];

/// Opens `{"arguments": {…}}` around what was meant.
fn unwrapped(text: &str, keys: &[&str]) -> String {
    let outer = parts(text);
    let is_meant = |part: &str| keys.contains(&part);
    match outer.as_slice() {
        [one] if !is_meant(&one.key) => match object(one.raw, &one.key, &mut Vec::new()) {
            Ok(inner) if parts(&inner).iter().any(|part| is_meant(&part.key)) => inner.into_owned(),
            _ => text.to_owned(),
        },
        _ => text.to_owned(),
    }
}

fn value(text: &str, key: &str) -> Option<Value> {
    let parts = parts(text);
    let part = parts.iter().find(|part| part.key == key)?;
    serde_json::from_str(part.raw).ok()
}

/// Every text under any of `keys`, each once, in order.
fn list(
    text: &str,
    keys: &[&str],
    member: &'static str,
    splits_at_commas: bool,
    limit: usize,
) -> Result<Vec<String>, MetaCallError> {
    let wrong = MetaCallError::WrongType {
        member,
        expected: "a list of texts",
    };
    let mut found: Vec<String> = Vec::new();
    for key in keys {
        let texts = match value(text, key) {
            None | Some(Value::Null) => continue,
            Some(Value::Array(items)) => items,
            // A list that was sent as text.
            Some(Value::String(text)) => match serde_json::from_str(&text) {
                Ok(Value::Array(items)) => items,
                _ if splits_at_commas => text.split(',').map(Value::from).collect(),
                _ => vec![Value::String(text)],
            },
            Some(_) => return Err(wrong),
        };
        for text in texts {
            let Value::String(text) = text else {
                return Err(wrong);
            };
            let text = text.trim();
            if text.len() > MAX_QUERY_BYTES {
                return Err(MetaCallError::LongQuery {
                    n: text.len(),
                    limit: MAX_QUERY_BYTES,
                });
            }
            if !text.is_empty() && !found.iter().any(|other| other == text) {
                found.push(text.to_owned());
            }
            if found.len() > 50 * limit {
                break;
            }
        }
    }
    if found.len() > limit {
        return Err(MetaCallError::TooMany {
            what: member,
            n: found.len(),
            limit,
        });
    }
    Ok(found)
}
