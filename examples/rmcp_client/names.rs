//! What each step uses on a server: the names of `tests/peers/servers`, or others.

use anyhow::Context;
use serde_json::{Map, Value, json};

/// What the client answers when the server asks; the tool's result must show it.
pub(crate) const ANSWER: &str = "violet-42";

/// Entries by step, each an object.
pub(crate) struct Names(Map<String, Value>);

impl Names {
    /// Replaces the entries that `given` names; an entry is a name, or an object of fields.
    pub(crate) fn parse(given: &str) -> anyhow::Result<Self> {
        let given: Map<String, Value> = serde_json::from_str(given).context("--names")?;
        let mut names = defaults();
        for (step, entry) in given {
            let fields = match entry {
                Value::Object(fields) => fields,
                Value::String(name) => {
                    let field = match step.as_str() {
                        "subscription" => "uri",
                        "completion" => "prompt",
                        _ => "name",
                    };
                    Map::from_iter([(field.to_owned(), Value::String(name))])
                }
                other => anyhow::bail!("--names: {step} is neither a name nor an object: {other}"),
            };
            let known = names.entry(step).or_insert_with(|| json!({}));
            if let Value::Object(known) = known {
                known.extend(fields);
            }
        }
        Ok(Self(names))
    }

    /// The field of a step's entry, null if it has none.
    pub(crate) fn get(&self, step: &str, field: &str) -> &Value {
        self.0
            .get(step)
            .and_then(|entry| entry.get(field))
            .unwrap_or(&Value::Null)
    }

    /// The text of a step's field.
    pub(crate) fn text(&self, step: &str, field: &str) -> anyhow::Result<String> {
        let text = self.get(step, field).as_str();
        Ok(text
            .with_context(|| format!("no {field} for {step}"))?
            .to_owned())
    }

    /// What the result must show: the entry's own expectation, or its message, or the default.
    pub(crate) fn expected(&self, step: &str, default: &str) -> String {
        let own = self.get(step, "expect").as_str();
        let message = self.get(step, "arguments")["message"].as_str();
        own.or(message).unwrap_or(default).to_owned()
    }
}

fn defaults() -> Map<String, Value> {
    let tool = |name: &str, arguments: Value| json!({ "name": name, "arguments": arguments });
    let entries = [
        (
            "call",
            tool("echo", json!({ "message": format!("echo {ANSWER}") })),
        ),
        ("elicitation", tool("ask_elicitation", json!({}))),
        ("sampling", tool("ask_sampling", json!({}))),
        ("roots", tool("ask_roots", json!({}))),
        ("progress", tool("progress", json!({}))),
        ("cancel", tool("slow", json!({ "ms": 15000 }))),
        ("cancelled_count", tool("cancelled_count", json!({}))),
        (
            "log",
            tool("log", json!({ "message": format!("log {ANSWER}") })),
        ),
        ("touch", tool("touch", json!({}))),
        ("subscription", json!({ "uri": "test://counter" })),
        (
            "completion",
            json!({ "prompt": "greet", "argument": "name", "value": "a" }),
        ),
    ];
    entries
        .map(|(step, entry)| (step.to_owned(), entry))
        .into_iter()
        .collect()
}
