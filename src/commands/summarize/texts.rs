//! The texts of tools that are long enough to be worth a question.

use std::collections::HashSet;

use serde_json::Value;

use crate::commands::count::Listed;

/// Depth of nested schemas that is looked at.
const MAX_DEPTH: usize = 16;
/// Bytes of a text beyond which no model is asked.
const MAX_TEXT: usize = 16 * 1024;

/// A description and where it stands.
pub(super) struct Text {
    /// `server tool` and the JSON Pointer inside the tool.
    pub(super) place: String,
    /// The text as its server sent it.
    pub(super) original: String,
}

/// Returns every description of at least `least` bytes, each text once, in the order of the lists.
pub(super) fn of(listed: &Listed, least: usize) -> Vec<Text> {
    let mut found = Vec::new();
    let mut known = HashSet::new();
    for (server, tools) in listed {
        for raw in tools {
            let Ok(tool) = serde_json::from_str::<Value>(raw) else {
                continue;
            };
            let name = tool["name"].as_str().unwrap_or_default();
            let mut add = |pointer: &str, text: &str| {
                let is_worth = (least.max(1)..=MAX_TEXT).contains(&text.len());
                if is_worth && known.insert(text.to_owned()) {
                    found.push(Text {
                        place: format!("{server} {name} {pointer}"),
                        original: text.to_owned(),
                    });
                }
            };
            if let Some(text) = tool["description"].as_str() {
                add("/description", text);
            }
            walk(&tool["inputSchema"], "/inputSchema", 0, &mut add);
        }
    }
    found
}

fn walk(value: &Value, pointer: &str, depth: usize, add: &mut impl FnMut(&str, &str)) {
    if depth > MAX_DEPTH {
        return;
    }
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                let pointer = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
                match value {
                    Value::String(text) if key == "description" => add(&pointer, text),
                    // A value is data, whatever it looks like.
                    _ if matches!(key.as_str(), "default" | "const" | "enum" | "examples") => {}
                    value => walk(value, &pointer, depth + 1, add),
                }
            }
        }
        Value::Array(items) => {
            for (at, value) in items.iter().enumerate() {
                walk(value, &format!("{pointer}/{at}"), depth + 1, add);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_found_once_and_data_is_none() {
        let long = "A text that is long enough.";
        let tool = serde_json::json!({
            "name": "t",
            "description": long,
            "inputSchema": {"properties": {
                "a/b": {"description": "Another text that is long.", "default": {"description": "Data that looks like a text."}},
                "c": {"items": [{"description": long}]},
                "d": {"description": "short"},
            }},
        });
        let listed = vec![(
            "s".to_owned(),
            vec![tool.to_string(), "7".to_owned(), "{".to_owned()],
        )];
        let places: Vec<String> = of(&listed, 20).into_iter().map(|text| text.place).collect();
        assert_eq!(
            places,
            [
                "s t /description",
                "s t /inputSchema/properties/a~1b/description"
            ]
        );
    }
}
