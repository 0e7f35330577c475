//! Arguments as models really send them, read as what was meant: an object, the same as text, text
//! twice quoted, in a code fence, with words after it. Where two readings are possible it is an error,
//! never a guess. The bytes of an object that is found stay exactly as they were written.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::jsonrpc;
use crate::jsonrpc::members::members;
use crate::jsonrpc::text::string_value;
use crate::surface::meta_tools::call::MetaCallError;
use crate::surface::meta_tools::call::Repair;

/// Times that text is read as JSON again.
const MAX_QUOTED: usize = 3;

/// One member of an object, borrowed from its text.
#[derive(Clone, Debug)]
pub(super) struct Part<'t> {
    /// The key as text.
    pub(super) key: String,
    /// The key as written, with its quotes.
    pub(super) raw_key: &'t str,
    /// The value as written.
    pub(super) raw: &'t str,
}

/// Checks that `text` reads the same for every parser.
pub(super) fn strict(text: &str) -> Result<(), MetaCallError> {
    jsonrpc::strict::check(text, &jsonrpc::Limits::default()).map_err(MetaCallError::Unreadable)
}

/// Lists the members of an object that was read strictly; empty for anything else.
pub(super) fn parts(object: &str) -> Vec<Part<'_>> {
    let bytes = object.as_bytes();
    members(bytes)
        .into_iter()
        .map(|member| Part {
            key: member.name(bytes).into_owned(),
            raw_key: &object[member.key],
            raw: &object[member.value],
        })
        .collect()
}

/// Writes members as an object again, keys and values as they were written.
pub(super) fn object_of(parts: &[&Part<'_>]) -> String {
    let members: Vec<String> = parts
        .iter()
        .map(|part| format!("{}:{}", part.raw_key, part.raw))
        .collect();
    format!("{{{}}}", members.join(","))
}

/// Returns the text of a raw JSON string.
pub(super) fn text_of(raw: &str) -> Option<String> {
    string_value(raw.as_bytes())
}

/// Reads what should be an object: as it is, or as text. `what` names it in an error.
pub(super) fn object<'t>(
    raw: &'t str,
    what: &str,
    repairs: &mut Vec<Repair>,
) -> Result<Cow<'t, str>, MetaCallError> {
    let wrong = || MetaCallError::NoObject {
        what: what.to_owned(),
    };
    match raw.as_bytes().first() {
        Some(b'{') => return Ok(Cow::Borrowed(raw)),
        Some(b'"') => {}
        Some(b'n') => return Ok(Cow::Borrowed("{}")),
        _ => return Err(wrong()),
    }
    let mut text = text_of(raw).ok_or_else(wrong)?;
    for round in 0..MAX_QUOTED {
        let inside = unfenced(&text);
        if inside.len() != text.trim().len() {
            push(repairs, Repair::CodeFence);
        }
        if inside.is_empty() || inside == "null" {
            return Ok(Cow::Borrowed("{}"));
        }
        let (value, rest) = first_value(inside).ok_or_else(wrong)?;
        let rest = rest.trim();
        if !rest.is_empty() {
            if rest.contains(['{', '[', '"']) {
                return Err(MetaCallError::TextAfter {
                    what: what.to_owned(),
                });
            }
            push(repairs, Repair::TrailingText);
        }
        strict(value)?;
        if round > 0 {
            push(repairs, Repair::QuotedTwice);
        }
        match value.as_bytes().first() {
            Some(b'{') => return Ok(Cow::Owned(value.to_owned())),
            Some(b'"') => text = text_of(value).ok_or_else(wrong)?,
            _ => return Err(wrong()),
        }
    }
    Err(wrong())
}

/// Tells whether a raw value stands for no arguments at all.
pub(super) fn is_nothing(raw: &str) -> bool {
    match raw.as_bytes().first() {
        Some(b'{') => parts(raw).is_empty(),
        Some(b'"') => text_of(raw).is_some_and(|text| matches!(text.trim(), "" | "null" | "{}")),
        Some(b'n') => true,
        _ => false,
    }
}

pub(super) fn push(repairs: &mut Vec<Repair>, repair: Repair) {
    if !repairs.contains(&repair) {
        repairs.push(repair);
    }
}

/// The first JSON value of a text, and what follows it.
fn first_value(text: &str) -> Option<(&str, &str)> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let value = stream.next()?.ok()?.get();
    let rest = text.get(stream.byte_offset()..)?;
    Some((value, rest))
}

/// A text without the Markdown fence around it.
fn unfenced(text: &str) -> &str {
    let text = text.trim();
    let Some(inside) = text
        .strip_prefix("```")
        .and_then(|rest| rest.strip_suffix("```"))
    else {
        return text;
    };
    inside.strip_prefix("json").unwrap_or(inside).trim()
}
