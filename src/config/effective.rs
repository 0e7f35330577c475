//! The effective settings as `config check` prints them. Secrets are masked before they get here.
//! Pure.

use super::finding::Origin;

/// One value that the program would run with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The key as a TOML file spells it.
    pub key: String,
    /// The value as a file could spell it; secrets are `***`.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

/// Writes an aligned table of key, value and origin, one setting a line.
pub fn render_table(effective: &[Effective]) -> String {
    // Long values would push every origin off the screen.
    const MAX_VALUE_WIDTH: usize = 60;
    let width = |text: &str| text.chars().count();
    let key_width = effective
        .iter()
        .map(|row| width(&row.key))
        .max()
        .unwrap_or(0)
        .max(width("key"));
    let value_width = effective
        .iter()
        .map(|row| width(&row.value))
        .filter(|&width| width <= MAX_VALUE_WIDTH)
        .max()
        .unwrap_or(0)
        .max(width("value"));
    let mut table = format!("{:key_width$}  {:value_width$}  origin\n", "key", "value");
    for row in effective {
        // A control character from a file must not reach the terminal.
        let value: String = row
            .value
            .chars()
            .map(|c| if c.is_control() { '\u{fffd}' } else { c })
            .collect();
        table.push_str(&format!(
            "{:key_width$}  {value:value_width$}  {}\n",
            row.key, row.origin
        ));
    }
    table
}

/// Makes the JSON form: an array of objects with `key`, `value` and `origin`.
pub fn to_json(effective: &[Effective]) -> serde_json::Value {
    let rows = effective.iter().map(|row| {
        let origin = match &row.origin {
            Origin::Default => serde_json::json!({"kind": "default"}),
            Origin::File { path, line } => serde_json::json!({"kind": "file", "path": path.display().to_string(), "line": line}),
            Origin::Environment(name) => serde_json::json!({"kind": "environment", "name": name}),
            Origin::Flag(name) => serde_json::json!({"kind": "option", "name": name}),
        };
        serde_json::json!({"key": row.key, "value": row.value, "origin": origin})
    });
    serde_json::Value::Array(rows.collect())
}
