//! The texts of a definition that a model reads, each with its place.

use crate::jsonrpc::members;
use crate::jsonrpc::text::string_value;

/// Containers inside one another that are walked.
const MAX_DEPTH: usize = 128;
/// Texts of one definition that are looked at.
const MAX_TEXTS: usize = 10_000;

/// One text.
#[derive(Debug, Clone)]
pub(super) struct Text {
    /// JSON Pointer (RFC 6901) in the definition.
    pub(super) place: String,
    pub(super) text: String,
    /// Whether it is a description or title, not a name or value.
    pub(super) is_prose: bool,
    /// Whether it is the name of a property.
    pub(super) is_key: bool,
}

/// Lists the strings of a raw definition and the names of its parameters. `_meta`, `icons` and
/// `execution` are for programs.
pub(super) fn texts_of(raw: &str) -> Vec<Text> {
    let mut found = Vec::new();
    let raw = raw.as_bytes();
    for member in members::members(raw) {
        let key = member.name(raw);
        if !matches!(&*key, "_meta" | "icons" | "execution") {
            let place = format!("/{key}");
            walk(
                &raw[member.value.clone()],
                &key,
                place,
                false,
                0,
                &mut found,
            );
        }
    }
    found
}

fn walk(
    value: &[u8],
    key: &str,
    place: String,
    are_names: bool,
    depth: usize,
    found: &mut Vec<Text>,
) {
    if found.len() >= MAX_TEXTS {
        return;
    }
    match value.trim_ascii_start().first() {
        Some(b'{') if depth < MAX_DEPTH => {
            for member in members::members(value) {
                let name = member.name(value).into_owned();
                let token = name.replace('~', "~0").replace('/', "~1");
                let below = format!("{place}/{token}");
                if are_names {
                    found.push(Text {
                        place: below.clone(),
                        text: name.clone(),
                        is_prose: false,
                        is_key: true,
                    });
                }
                // Under `properties` keys are names, whatever they are called.
                let is_map = !are_names && matches!(&*name, "properties" | "patternProperties");
                let kind = match are_names {
                    true => "",
                    false => name.as_str(),
                };
                walk(
                    &value[member.value.clone()],
                    kind,
                    below,
                    is_map,
                    depth + 1,
                    found,
                );
            }
        }
        Some(b'[') if depth < MAX_DEPTH => {
            for (index, element) in members::elements(value).into_iter().enumerate() {
                walk(
                    &value[element],
                    key,
                    format!("{place}/{index}"),
                    false,
                    depth + 1,
                    found,
                );
            }
        }
        Some(b'"') => {
            if let Some(text) = string_value(value.trim_ascii()) {
                let is_prose = matches!(key, "description" | "title" | "$comment");
                found.push(Text {
                    place,
                    text,
                    is_prose,
                    is_key: false,
                });
            }
        }
        _ => {}
    }
}
