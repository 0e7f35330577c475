//! Capabilities on the way between eras and servers. Unknown members survive.

use serde_json::{Map, Value, json};

/// Members that only the tasks of 2025-11-25 use; modern peers have them as an extension.
const LEGACY_TASKS: &str = "tasks";
/// The tasks extension, which must not reach a legacy peer.
const TASKS_EXTENSION: &str = "io.modelcontextprotocol/tasks";

fn object(raw: &[u8]) -> Map<String, Value> {
    match serde_json::from_slice(raw) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// Translates a legacy client's capabilities for a modern server: without `tasks` and
/// `roots.listChanged`, and without what the client's version cannot do.
pub fn client_to_modern(raw: &[u8], version: &str) -> Value {
    let mut capabilities = object(raw);
    capabilities.remove(LEGACY_TASKS);
    if let Some(Value::Object(roots)) = capabilities.get_mut("roots") {
        roots.remove("listChanged");
    }
    if version < "2025-06-18" {
        capabilities.remove("elicitation");
    } else if version < "2025-11-25" && capabilities.contains_key("elicitation") {
        capabilities.insert("elicitation".into(), json!({"form": {}}));
    }
    if version < "2025-11-25"
        && let Some(sampling) = capabilities.get_mut("sampling")
    {
        *sampling = json!({});
    }
    if let Some(Value::Object(extensions)) = capabilities.get_mut("extensions") {
        extensions.remove(TASKS_EXTENSION);
    }
    Value::Object(capabilities)
}

/// Translates a modern client's capabilities for a legacy `initialize`.
pub fn client_to_legacy(raw: &[u8]) -> Value {
    without_tasks_extension(raw)
}

/// Translates a modern server's capabilities for a legacy client.
pub fn server_to_legacy(raw: &[u8]) -> Value {
    without_tasks_extension(raw)
}

fn without_tasks_extension(raw: &[u8]) -> Value {
    let mut capabilities = object(raw);
    if let Some(Value::Object(extensions)) = capabilities.get_mut("extensions") {
        extensions.remove(TASKS_EXTENSION);
        if extensions.is_empty() {
            capabilities.remove("extensions");
        }
    }
    Value::Object(capabilities)
}

/// Translates a legacy server's capabilities for a modern client.
pub fn server_to_modern(raw: &[u8]) -> Value {
    let mut capabilities = object(raw);
    capabilities.remove(LEGACY_TASKS);
    Value::Object(capabilities)
}

/// Joins the capabilities of several servers. A flag that one server sets is set; of other members the
/// first server's value stays.
pub fn merge<'a>(all: impl IntoIterator<Item = &'a Value>) -> Value {
    let mut merged = Map::new();
    for value in all {
        if let Value::Object(map) = value {
            merge_into(&mut merged, map);
        }
    }
    Value::Object(merged)
}

fn merge_into(into: &mut Map<String, Value>, from: &Map<String, Value>) {
    for (key, value) in from {
        match (into.get_mut(key), value) {
            (None, _) => {
                into.insert(key.clone(), value.clone());
            }
            (Some(Value::Object(into)), Value::Object(from)) => merge_into(into, from),
            (Some(Value::Bool(into)), Value::Bool(from)) => *into |= from,
            _ => {}
        }
    }
}

/// Tells whether raw capabilities have `path`, and not as `false` or `null`.
pub fn has(raw: &[u8], path: &[&str]) -> bool {
    let mut value = raw;
    for name in path {
        match crate::jsonrpc::members::get(value, name) {
            Some(inner) => value = inner,
            None => return false,
        }
    }
    !matches!(value, b"false" | b"null")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_keep_what_their_version_can_do() {
        let raw = br#"{"x":1,"roots":{"listChanged":true},"sampling":{"tools":{}},"elicitation":{"form":{},"url":{}},"tasks":{}}"#;
        assert_eq!(
            client_to_modern(raw, "2025-11-25"),
            json!({"x":1,"roots":{},"sampling":{"tools":{}},"elicitation":{"form":{},"url":{}}})
        );
        assert_eq!(
            client_to_modern(raw, "2025-06-18"),
            json!({"x":1,"roots":{},"sampling":{},"elicitation":{"form":{}}})
        );
        assert_eq!(
            client_to_modern(raw, "2024-11-05"),
            json!({"x":1,"roots":{},"sampling":{}})
        );
    }

    #[test]
    fn merged_flags_are_or_and_unknown_members_stay() {
        let a = json!({"tools":{"listChanged":false},"x":{"y":1}});
        let b = json!({"tools":{"listChanged":true},"x":{"y":2},"logging":{}});
        assert_eq!(
            merge([&a, &b]),
            json!({"tools":{"listChanged":true},"x":{"y":1},"logging":{}})
        );
    }

    #[test]
    fn paths_are_looked_up_in_raw_text() {
        let raw = br#"{"tools":{"listChanged":true},"a":{"b":false}}"#;
        assert!(has(raw, &["tools", "listChanged"]));
        assert!(has(raw, &["tools"]));
        assert!(!has(raw, &["a", "b"]));
        assert!(!has(raw, &["prompts"]));
    }
}
