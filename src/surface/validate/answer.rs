//! What a model reads after a call with wrong arguments: the faults and the tool's schema, so that
//! the next call is right and no describe turn is needed. Text only, the same for the same input.

use serde_json::Map;
use serde_json::Value;

use crate::catalog::tool_view::ToolView;
use crate::catalog::tool_view::minify;
use crate::surface::ladder::Rung;
use crate::surface::lean;
use crate::surface::validate::Fault;
use crate::surface::validate::fault::shorten;

/// Bytes of schema that an answer carries, at most; beyond it only the parts at fault.
const MAX_SCHEMA_BYTES: usize = 16 * 1024;
/// Parameter names that an answer lists where the schema is too long.
const MAX_NAMES: usize = 60;
/// Characters of a tool's name that are shown.
const MAX_NAME: usize = 128;

/// Makes the text of a tool error (a result with `isError: true`) for a call that was not sent.
///
/// `definition_raw` is the tool as its server sent it; `tool_name` the name under which it is shown, in the
/// form `rung`. The answer carries the schema where that form left parameters or their words out; dense and
/// short forms show every parameter and every constraint, which is not said again.
pub fn tool_error_text(
    tool_name: &str,
    faults: &[Fault],
    definition_raw: &str,
    rung: Rung,
) -> String {
    let mut text = format!(
        "Not sent to the server: the arguments do not fit `{}`.\n",
        shorten(tool_name, MAX_NAME)
    );
    push_faults(&mut text, faults);
    if rung > Rung::Short {
        push_schema(&mut text, faults, definition_raw);
    }
    text
}

/// Makes the text to attach to a server's own error, which stays as it is; `None` where the arguments are
/// not the reason as far as we can tell, or where the server's own words name every parameter at fault: then
/// ours would only be paid for.
pub fn help_for_server_error(
    tool_name: &str,
    faults: &[Fault],
    definition_raw: &str,
    rung: Rung,
    said: &str,
) -> Option<String> {
    if faults.iter().all(|fault| is_named(fault, said)) {
        return None;
    }
    let mut text = format!(
        "[mcp-whittle] The arguments do not fit the schema of `{}`, which may be the reason.\n",
        shorten(tool_name, MAX_NAME)
    );
    push_faults(&mut text, faults);
    // What the list shows is not said again.
    if rung > Rung::Short {
        push_schema(&mut text, faults, definition_raw);
    }
    Some(text)
}

/// Tells whether a text names the parameter at fault as a word of its own.
fn is_named(fault: &Fault, said: &str) -> bool {
    let Some(name) = fault
        .pointer
        .rsplit('/')
        .next()
        .filter(|name| !name.is_empty())
    else {
        return false;
    };
    let name = name.replace("~1", "/").replace("~0", "~");
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    said.match_indices(&name).any(|(at, _)| {
        let before = said[..at].chars().next_back();
        let after = said[at + name.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

fn push_faults(text: &mut String, faults: &[Fault]) {
    for fault in faults {
        text.push_str("- ");
        text.push_str(&fault.to_string());
        text.push('\n');
    }
}

fn push_schema(text: &mut String, faults: &[Fault], definition_raw: &str) {
    let leaned = lean::lean(definition_raw, &lean::Limits::default());
    let definition = leaned.text(definition_raw);
    let Some(schema) = ToolView::parse(definition)
        .ok()
        .and_then(|view| view.input_schema)
    else {
        return;
    };
    if schema.len() <= 4 * MAX_SCHEMA_BYTES {
        let schema = minify(schema);
        if schema.len() <= MAX_SCHEMA_BYTES {
            text.push_str("Arguments have to fit this JSON Schema:\n");
            text.push_str(&schema);
            text.push('\n');
            return;
        }
    }
    let Ok(Value::Object(schema)) = serde_json::from_str(schema) else {
        return;
    };
    push_names(text, &schema);
    push_parts(text, faults, &schema);
}

/// The names of all parameters of a schema that is too long to show.
fn push_names(text: &mut String, schema: &Map<String, Value>) {
    let empty = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object);
    let properties = properties.unwrap_or(&empty);
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    text.push_str("Its JSON Schema is too long to show here. Parameters (* = required): ");
    let names: Vec<String> = properties
        .keys()
        .take(MAX_NAMES)
        .map(|name| {
            let mark = if required.contains(&name.as_str()) {
                "*"
            } else {
                ""
            };
            format!("{}{mark}", shorten(name, MAX_NAME))
        })
        .collect();
    text.push_str(&names.join(", "));
    if properties.len() > names.len() {
        text.push_str(&format!(", … {} in all", properties.len()));
    }
    text.push('\n');
}

/// The schemas of the parameters at fault.
fn push_parts(text: &mut String, faults: &[Fault], schema: &Map<String, Value>) {
    let empty = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object);
    let properties = properties.unwrap_or(&empty);
    let mut room = MAX_SCHEMA_BYTES / 2;
    let mut shown: Vec<&str> = Vec::new();
    for fault in faults {
        let at_fault = fault.pointer.split('/').nth(1).unwrap_or_default();
        let at_fault = at_fault.replace("~1", "/").replace("~0", "~");
        for name in [Some(at_fault.as_str()), fault.suggestion.as_deref()] {
            let Some((name, part)) = name.and_then(|name| properties.get_key_value(name)) else {
                continue;
            };
            if shown.contains(&name.as_str()) {
                continue;
            }
            let part = part.to_string();
            if part.len() <= room {
                room -= part.len();
                shown.push(name);
                text.push_str(&format!("`{name}`: {part}\n"));
            }
        }
    }
}
