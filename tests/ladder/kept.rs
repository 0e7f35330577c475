//! Reads definitions apart from the product's code: texts, parameters, and whether a signature shows
//! a parameter.

use serde_json::Value;

/// The words of a text joined by single spaces.
pub(crate) fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Appends every string inside a value, each on lines of its own.
pub(crate) fn strings(value: &Value, text: &mut String) {
    match value {
        Value::String(string) => {
            text.push_str(string);
            text.push_str("\n\n");
        }
        Value::Array(items) => items.iter().for_each(|item| strings(item, text)),
        Value::Object(members) => members.values().for_each(|member| strings(member, text)),
        _ => {}
    }
}

/// Keywords below which there are schemas by name.
const NAMED: [&str; 4] = ["properties", "patternProperties", "$defs", "definitions"];
/// Keywords below which there is a schema, or a list of them.
const SCHEMAS: [&str; 7] = [
    "items",
    "prefixItems",
    "anyOf",
    "oneOf",
    "allOf",
    "additionalProperties",
    "contains",
];

fn below<'v>(schema: &'v Value, visit: &mut dyn FnMut(&'v Value)) {
    for keyword in NAMED {
        if let Some(members) = schema.get(keyword).and_then(Value::as_object) {
            members.values().for_each(&mut *visit);
        }
    }
    for keyword in SCHEMAS {
        match schema.get(keyword) {
            Some(Value::Array(items)) => items.iter().for_each(&mut *visit),
            Some(one) => visit(one),
            None => {}
        }
    }
}

/// Collects the descriptions of a tool and of everything in its input schema, the tool's own first.
pub(crate) fn descriptions(tool: &Value, all: &mut Vec<String>) {
    fn of_schema(schema: &Value, all: &mut Vec<String>) {
        all.extend(
            schema
                .get("description")
                .and_then(Value::as_str)
                .map(str::to_owned),
        );
        below(schema, &mut |schema| of_schema(schema, all));
    }
    all.extend(
        tool.get("description")
            .and_then(Value::as_str)
            .map(str::to_owned),
    );
    if let Some(schema) = tool.get("inputSchema") {
        of_schema(schema, all);
    }
}

/// A schema without the keywords that are prose.
pub(crate) fn without_prose(schema: &Value) -> Value {
    let mut schema = schema.clone();
    fn strip(schema: &mut Value) {
        let Value::Object(members) = schema else {
            return;
        };
        for keyword in [
            "description",
            "title",
            "examples",
            "example",
            "$comment",
            "note",
        ] {
            members.shift_remove(keyword);
        }
        for keyword in NAMED {
            if let Some(Value::Object(named)) = members.get_mut(keyword) {
                named.values_mut().for_each(strip);
            }
        }
        for keyword in SCHEMAS
            .into_iter()
            .chain(["propertyNames", "not", "if", "then", "else"])
        {
            match members.get_mut(keyword) {
                Some(Value::Array(items)) => items.iter_mut().for_each(strip),
                Some(one) => strip(one),
                None => {}
            }
        }
    }
    strip(&mut schema);
    schema
}

/// One parameter of a tool, at any depth.
#[derive(Debug)]
pub(crate) struct Parameter {
    name: String,
    is_required: bool,
    /// Its type, where that is one of the plain ones.
    type_name: Option<String>,
    values: Vec<Value>,
}

/// Collects the parameters of a schema, nested ones too.
pub(crate) fn parameters(schema: &Value, all: &mut Vec<Parameter>) {
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    for (name, property) in schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let values = match property.get("const") {
            Some(only) => vec![only.clone()],
            None => property
                .get("enum")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default(),
        };
        let plain = ["string", "number", "integer", "boolean", "null"];
        let type_name = property.get("type").and_then(Value::as_str);
        all.push(Parameter {
            name: name.clone(),
            is_required: required.contains(&name.as_str()),
            type_name: type_name
                .filter(|name| plain.contains(name))
                .map(str::to_owned),
            values,
        });
    }
    below(schema, &mut |schema| parameters(schema, all));
}

impl Parameter {
    /// Looks for `name: type` or `name?: 'a'|'b'` in a signature.
    pub(crate) fn is_shown_in(&self, text: &str) -> Result<(), String> {
        let mark = if self.is_required { ": " } else { "?: " };
        let written = [
            format!("{}{mark}", self.name),
            format!("'{}'{mark}", self.name),
            format!("{}{mark}", Value::from(self.name.as_str())),
        ];
        let found = written.iter().flat_map(|written| {
            text.match_indices(written.as_str())
                .filter(|(at, _)| {
                    let before = text[..*at].chars().next_back();
                    before.is_none_or(|before| " \n({".contains(before))
                })
                .map(|(at, _)| &text[at + written.len()..])
        });
        let mut found = found.peekable();
        if found.peek().is_none() {
            return Err(format!("{self:?} is not shown"));
        }
        let is_typed = |rest: &str| {
            let name: String = rest
                .chars()
                .take_while(|next| next.is_alphanumeric() || *next == '_')
                .collect();
            // A type of its own, written below.
            if text.contains(&format!("type {name} = ")) {
                return true;
            }
            match (&self.values[..], &self.type_name) {
                ([], None) => true,
                ([], Some(type_name)) => name == *type_name,
                (values, _) => literal_of(&values[0])
                    .iter()
                    .any(|literal| rest.trim_start_matches('(').starts_with(literal)),
            }
        };
        if !found.any(is_typed) {
            return Err(format!("{self:?} has another type"));
        }
        for value in &self.values {
            if !literal_of(value)
                .iter()
                .any(|literal| text.contains(literal))
            {
                return Err(format!("{self:?} lacks {value}"));
            }
        }
        Ok(())
    }
}

fn literal_of(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![format!("'{text}'"), value.to_string()],
        _ => vec![value.to_string()],
    }
}
