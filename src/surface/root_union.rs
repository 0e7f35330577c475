//! Schemas whose root is a union (`anyOf`, `oneOf`, `allOf`), written as one object for clients that take no
//! union there. The properties of all branches stand side by side; where each branch requires something of its
//! own, the description says that, as far as it can be said in a few words. Pure.
//!
//! It may only loosen: what the original takes, the object takes too, but for a name that two branches use
//! and a third one leaves open. The server judges by its own schema, which does not change. Where a reference
//! leads into the union and cannot be led elsewhere (`moved`), the union stays.

mod moved;

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt::Write as _;

use serde_json::value::RawValue;

use crate::catalog::tool_view::{ToolView, members, string_text};

const UNIONS: [&str; 3] = ["allOf", "anyOf", "oneOf"];
/// Branches inside branches, and references, that are followed.
const MAX_DEPTH: usize = 8;
/// Branches of one union that are read; more than a model could tell apart.
const MAX_BRANCHES: usize = 64;
/// Bytes of a tool whose union is read; a larger one loses it.
const MAX_BYTES: usize = 1 << 20;
/// Bytes of schemas that are read for one tool: branches that refer to one another can ask for them again and
/// again.
const MAX_READ: usize = 1 << 26;
/// Branches of one choice that are spelled out in the description, and choices of one tool.
const MAX_CHOICES: usize = 8;

/// Returns the tool with one object at the root of its `inputSchema`; `None` where it has no union there, cannot
/// be read, or would have references without a target.
pub fn merged(raw_tool: &str) -> Option<String> {
    let view = ToolView::parse(raw_tool).ok()?;
    let schema = view.input_schema?;
    let root = members(schema).ok()?;
    let is_union = |key: &str| UNIONS.contains(&key);
    if view.duplicate_key().is_some() || !root.iter().any(|member| is_union(&member.key)) {
        return None;
    }
    let mut object = Object::default();
    if schema.len() <= MAX_BYTES {
        object.read(schema, &Document::new(schema), 0);
    } else {
        object.read_own(schema);
    }
    let mut written = String::with_capacity(schema.len());
    for member in &root {
        if is_union(&member.key) || matches!(&*member.key, "properties" | "required") {
            continue;
        }
        push(&mut written, &member.key, member.raw);
    }
    // MCP asks for it, and a branch may have been what said it.
    if !root.iter().any(|member| member.key == "type") {
        push(&mut written, "type", "\"object\"");
    }
    if !object.properties.is_empty() {
        push(&mut written, "properties", &object.properties_text());
    }
    if !object.required.is_empty() {
        let required = serde_json::to_string(&object.required).ok()?;
        push(&mut written, "required", &required);
    }
    written.push('}');
    let written = moved::with_moved(written, schema)?;
    let note = object.note();
    let mut tool = String::with_capacity(raw_tool.len());
    for member in members(raw_tool).ok()? {
        match (&*member.key, &note) {
            ("inputSchema", _) => push(&mut tool, "inputSchema", &written),
            ("description", Some(note)) => {
                let text = string_text(member.raw).unwrap_or_default();
                push(&mut tool, "description", &with_note(&text, note));
            }
            _ => push(&mut tool, &member.key, member.raw),
        }
    }
    if let Some(note) = note.filter(|_| view.description.is_none()) {
        push(&mut tool, "description", &with_note("", &note));
    }
    tool.push('}');
    Some(tool)
}

fn with_note(text: &str, note: &str) -> String {
    let separator = if text.is_empty() { "" } else { "\n" };
    serde_json::Value::from(format!("{}{separator}{note}", text.trim_end())).to_string()
}

fn push(object: &mut String, key: &str, raw: &str) {
    object.push(if object.is_empty() { '{' } else { ',' });
    object.push_str(&serde_json::Value::from(key).to_string());
    object.push(':');
    object.push_str(raw);
}

/// The schema that references lead into, and how much may still be read of it.
struct Document<'a> {
    text: &'a str,
    left: Cell<usize>,
}

impl<'a> Document<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            left: Cell::new(MAX_READ),
        }
    }

    /// Tells whether so many bytes may be read, and counts them.
    fn may_read(&self, n_bytes: usize) -> bool {
        match self.left.get().checked_sub(n_bytes) {
            Some(left) => {
                self.left.set(left);
                true
            }
            None => false,
        }
    }

    fn target(&self, reference: &str) -> Option<&'a str> {
        if !self.may_read(self.text.len()) {
            return None;
        }
        target(self.text, reference)
    }
}

/// What a schema says of the members of an object.
#[derive(Default)]
struct Object<'a> {
    /// In the order in which they are first named, with each form that a branch gives them.
    properties: Vec<(Cow<'a, str>, Vec<&'a str>)>,
    required: Vec<String>,
    /// Of each choice what each of its branches requires beyond what all do.
    choices: Vec<Vec<Vec<String>>>,
}

impl<'a> Object<'a> {
    fn read_own(&mut self, schema: &'a str) {
        for member in members(schema).unwrap_or_default() {
            match &*member.key {
                "properties" => {
                    for property in members(member.raw).unwrap_or_default() {
                        if !self.has(&property.key) {
                            self.properties.push((property.key, vec![property.raw]));
                        }
                    }
                }
                "required" => {
                    let names: Vec<String> = serde_json::from_str(member.raw).unwrap_or_default();
                    self.require(names);
                }
                _ => {}
            }
        }
    }

    /// Reads a schema with its unions and references. What is not understood says nothing.
    fn read(&mut self, schema: &'a str, document: &Document<'a>, depth: usize) {
        self.read_own(schema);
        if depth == MAX_DEPTH || !document.may_read(schema.len()) {
            return;
        }
        for member in members(schema).unwrap_or_default() {
            match &*member.key {
                "$ref" => {
                    let target = string_text(member.raw).and_then(|to| document.target(&to));
                    if let Some(target) = target {
                        self.both(Self::of(target, document, depth + 1));
                    }
                }
                "allOf" => {
                    for branch in elements(member.raw).into_iter().take(MAX_BRANCHES) {
                        self.both(Self::of(branch, document, depth + 1));
                    }
                }
                "anyOf" | "oneOf" => {
                    let branches = elements(member.raw);
                    let are_all = branches.len() <= MAX_BRANCHES;
                    let read = branches.into_iter().take(MAX_BRANCHES);
                    let read = read.map(|raw| Self::of(raw, document, depth + 1));
                    self.either(read.collect(), are_all);
                }
                _ => {}
            }
        }
    }

    fn of(schema: &'a str, document: &Document<'a>, depth: usize) -> Self {
        let mut object = Self::default();
        object.read(schema, document, depth);
        object
    }

    fn has(&self, name: &str) -> bool {
        self.properties.iter().any(|(known, _)| known == name)
    }

    fn require(&mut self, names: Vec<String>) {
        for name in names {
            if !self.required.contains(&name) {
                self.required.push(name);
            }
        }
    }

    /// What holds besides. Of two forms of a property the first stays: dropping one of two conditions
    /// loosens. Required names and choices add up.
    fn both(&mut self, other: Self) {
        for (name, forms) in other.properties {
            if !self.has(&name) {
                self.properties.push((name, forms));
            }
        }
        self.require(other.required);
        for choice in other.choices {
            self.choose(choice);
        }
    }

    /// Adds a choice that holds besides, unless it is known or there are enough.
    fn choose(&mut self, choice: Vec<Vec<String>>) {
        if self.choices.len() < MAX_CHOICES && !self.choices.contains(&choice) {
            self.choices.push(choice);
        }
    }

    /// One of these holds besides, or, where they are not all, one that was not read.
    fn either(&mut self, branches: Vec<Self>, are_all: bool) {
        let own = self.properties.len();
        let first = branches.first().filter(|_| are_all);
        let common: Vec<String> = first.map_or_else(Vec::new, |first| {
            let in_all = |name: &&String| branches.iter().all(|b| b.required.contains(name));
            first.required.iter().filter(in_all).cloned().collect()
        });
        self.require(common);
        let choices: Vec<Vec<String>> = branches
            .iter()
            .map(|branch| {
                let names = branch.required.iter();
                names
                    .filter(|name| !self.required.contains(name))
                    .cloned()
                    .collect()
            })
            .collect();
        for (name, forms) in branches.into_iter().flat_map(|branch| branch.properties) {
            match self.properties.iter().position(|(known, _)| *known == name) {
                // What stands outside the choice holds for all of it.
                Some(at) if at < own => {}
                Some(at) => {
                    let known = &mut self.properties[at].1;
                    for form in forms {
                        if !known.contains(&form) {
                            known.push(form);
                        }
                    }
                }
                None => self.properties.push((name, forms)),
            }
        }
        let tells = are_all && choices.len() > 1 && choices.iter().all(|names| !names.is_empty());
        if tells {
            self.choose(choices);
        }
    }

    fn properties_text(&self) -> String {
        let mut text = String::new();
        for (name, forms) in &self.properties {
            match forms.as_slice() {
                [one] => push(&mut text, name, one),
                several => push(
                    &mut text,
                    name,
                    &format!("{{\"anyOf\":[{}]}}", several.join(",")),
                ),
            }
        }
        text.push('}');
        text
    }

    /// A sentence for each choice, as a constraint.
    fn note(&self) -> Option<String> {
        let mut text = String::new();
        for choice in &self.choices {
            let mut branches = choice.clone();
            branches.dedup();
            if branches.len() < 2 || branches.len() > MAX_CHOICES {
                continue;
            }
            text.push_str(if text.is_empty() { "" } else { " " });
            text.push_str("Must be given: ");
            for (n, names) in branches.iter().enumerate() {
                let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
                let separator = if n == 0 { "" } else { ", or " };
                let _ = write!(text, "{separator}{}", names.join(" and "));
            }
            text.push('.');
        }
        (!text.is_empty()).then_some(text)
    }
}

fn elements(raw: &str) -> Vec<&str> {
    let all: Vec<&RawValue> = serde_json::from_str(raw).unwrap_or_default();
    all.into_iter().map(RawValue::get).collect()
}

/// A part of the same document.
fn target<'a>(document: &'a str, reference: &str) -> Option<&'a str> {
    let mut at = document;
    for key in reference.strip_prefix("#/")?.split('/') {
        let key = key.replace("~1", "/").replace("~0", "~");
        at = if at.starts_with('[') {
            elements(at).into_iter().nth(key.parse().ok()?)?
        } else {
            let mut members = members(at).ok()?.into_iter();
            members.find(|member| member.key == key)?.raw
        };
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn schema_of(schema: Value) -> (Value, String) {
        let tool = json!({"name": "t", "description": "Moves it.", "inputSchema": schema, "x": 1});
        let text = merged(&tool.to_string()).expect("a union");
        let tool: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((&tool["name"], &tool["x"]), (&json!("t"), &json!(1)));
        let description = tool["description"].as_str().unwrap().to_owned();
        (tool["inputSchema"].clone(), description)
    }

    #[test]
    fn branches_stand_side_by_side_and_the_choice_is_said() {
        let (schema, description) = schema_of(json!({
            "type": "object",
            "properties": {"force": {"type": "boolean"}},
            "anyOf": [
                {"properties": {"id": {"type": "integer"}, "to": {"type": "string"}}, "required": ["to", "id"]},
                {"properties": {"path": {"type": "string"}, "to": {"type": "integer"}}, "required": ["path", "to"]},
            ],
            "additionalProperties": true,
        }));
        assert_eq!(
            schema,
            json!({
                "type": "object",
                "additionalProperties": true,
                "properties": {
                    "force": {"type": "boolean"},
                    "id": {"type": "integer"},
                    "to": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
                    "path": {"type": "string"},
                },
                "required": ["to"],
            })
        );
        assert_eq!(description, "Moves it.\nMust be given: `id`, or `path`.");
    }

    /// Broken variant that this catches: one that says the first choice only.
    #[test]
    fn every_choice_is_said() {
        let choice = |names: [&str; 2]| json!(names.map(|name| json!({ "required": [name] })));
        let (schema, description) = schema_of(json!({
            "type": "object",
            "anyOf": choice(["a", "b"]),
            "oneOf": choice(["c", "d"]),
            "allOf": [{"anyOf": choice(["a", "b"])}, {"anyOf": choice(["e", "f"])}],
        }));
        assert_eq!(schema, json!({"type": "object"}));
        assert_eq!(description.matches("Must be given: ").count(), 3);
        for said in ["`a`, or `b`.", "`c`, or `d`.", "`e`, or `f`."] {
            assert_eq!(description.matches(said).count(), 1, "{description}");
        }
    }

    #[test]
    fn all_of_and_references_add_up() {
        let (schema, description) = schema_of(json!({
            "allOf": [{"$ref": "#/$defs/base"}, {"properties": {"b": {"type": "string"}}, "required": ["b"]}],
            "$defs": {"base": {"properties": {"a": {"type": "integer"}}, "required": ["a"]}},
        }));
        assert_eq!(
            schema["properties"],
            json!({"a": {"type": "integer"}, "b": {"type": "string"}})
        );
        assert_eq!(schema["required"], json!(["a", "b"]));
        assert_eq!(schema["type"], "object");
        assert_eq!(description, "Moves it.");
    }

    #[test]
    fn what_is_not_understood_goes_and_nothing_breaks() {
        for schema in [
            json!({"type": "object", "oneOf": [true, {"not": {}}, {"$ref": "https://x/y"}]}),
            json!({"type": "object", "anyOf": 7}),
            json!({"type": "object", "allOf": [{"$ref": "#"}, {"$ref": "#/$defs/no"}]}),
            json!({"oneOf": [{"required": [1]}, {"properties": []}]}),
        ] {
            let (schema, _) = schema_of(schema);
            assert_eq!(schema, json!({"type": "object"}));
        }
        // A reference to itself ends.
        let own = json!({"type": "object", "allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}});
        assert_eq!(schema_of(own).0["type"], "object");
        for tool in [
            "7",
            "{}",
            r#"{"inputSchema":{"type":"object","properties":{"x":{"anyOf":[]}}}}"#,
        ] {
            assert_eq!(merged(tool), None, "{tool}");
        }
    }

    /// Broken variants that this catches: one that requires what the branches require that were read, and one that
    /// says only their choices.
    #[test]
    fn branches_beyond_those_that_are_read_require_nothing() {
        let mut branches = vec![json!({"required": ["a", "b"]}); MAX_BRANCHES / 2];
        branches.resize(MAX_BRANCHES, json!({"required": ["a", "c"]}));
        let (object, description) = schema_of(json!({"type": "object", "oneOf": branches.clone()}));
        assert_eq!(object["required"], json!(["a"]));
        assert_ne!(description, "Moves it.");
        branches.push(json!({"required": ["d"]}));
        let (object, description) = schema_of(json!({"type": "object", "oneOf": branches}));
        assert_eq!(object, json!({"type": "object"}));
        assert_eq!(description, "Moves it.");
    }

    /// Broken variant that this catches: one that follows every reference of branches that refer to one another;
    /// it would read for minutes.
    #[test]
    fn what_is_read_is_bounded() {
        let mut defs = serde_json::Map::new();
        for level in 0..4 {
            let next = json!({"$ref": format!("#/$defs/d{}", level + 1)});
            defs.insert(format!("d{level}"), json!({"allOf": vec![next; 60]}));
        }
        let filler = "x".repeat(100_000);
        defs.insert(
            "d4".to_owned(),
            json!({"required": ["a"], "description": filler}),
        );
        let schema = json!({"allOf": [{"$ref": "#/$defs/d0"}], "$defs": defs});
        assert_eq!(schema_of(schema).0["type"], "object");
    }

    /// Whatever the original takes the object takes; the broken variant that requires what one branch does is
    /// caught.
    #[test]
    fn what_the_original_takes_is_taken() {
        let original = json!({
            "type": "object",
            "properties": {"force": {"type": "boolean"}},
            "required": ["kind"],
            "oneOf": [
                {"properties": {"kind": {"const": "id"}, "id": {"type": "integer"}}, "required": ["id"]},
                {"properties": {"kind": {"const": "path"}, "path": {"type": "string"}}, "required": ["path"]},
            ],
        });
        let (object, _) = schema_of(original.clone());
        let mut broken = object.clone();
        broken["required"] = json!(["kind", "id"]);
        let [original, object, broken] =
            [&original, &object, &broken].map(|schema| jsonschema::validator_for(schema).unwrap());
        let instances = [
            json!({"kind": "id", "id": 1}),
            json!({"kind": "id", "id": 1, "force": true}),
            json!({"kind": "path", "path": "x"}),
            json!({"kind": "path", "path": "x", "more": 1}),
            json!({"id": 1}),
            json!({"kind": 1, "id": 1}),
            json!({}),
        ];
        let taken: Vec<&Value> = instances.iter().filter(|i| original.is_valid(i)).collect();
        assert_eq!(taken.len(), 4);
        assert!(taken.iter().all(|instance| object.is_valid(instance)));
        assert!(!taken.iter().all(|instance| broken.is_valid(instance)));
    }
}
