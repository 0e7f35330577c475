//! What has to hold before a schema is compiled: readable in one way only, small, and every
//! reference inside itself. Judges nothing.

use std::collections::HashMap;
use std::collections::HashSet;

use serde_json::Map;
use serde_json::Value;

use crate::jsonrpc;
use crate::jsonrpc::percent;
use crate::jsonrpc::strict::StrictError;
use crate::surface::validate::Limits;
use crate::surface::validate::subschemas;

/// Why calls of a tool are not checked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotCompiled {
    /// The schema has too many bytes, members or levels.
    #[error("the input schema is too large: {0}")]
    TooLarge(String),
    /// The text is no JSON, no object, or parsers disagree on it.
    #[error("the input schema cannot be read in one way only: {0}")]
    Unreadable(String),
    /// A reference leads outside the schema or nowhere.
    #[error("the input schema refers to `{0}`, which is not inside it")]
    Reference(String),
    /// The schema says that a part of it is a document of its own.
    #[error("a part of the input schema has an `$id` of its own")]
    Embedded,
    /// No validator takes it: an unknown dialect, a bad keyword, a pattern that would need backtracking.
    #[error("the input schema does not compile: {0}")]
    NoSchema(String),
}

/// Reads a schema text within the limits.
pub(super) fn read(raw_schema: &str, limits: &Limits) -> Result<Value, NotCompiled> {
    if raw_schema.len() > limits.max_schema_bytes {
        let problem = format!("more than {} bytes", limits.max_schema_bytes);
        return Err(NotCompiled::TooLarge(problem));
    }
    let strict = jsonrpc::Limits {
        depth: limits.max_schema_depth,
        request_members: limits.max_schema_members,
        ..jsonrpc::Limits::default()
    };
    jsonrpc::strict::check(raw_schema, &strict).map_err(|error| match error {
        StrictError::TooDeep { .. } | StrictError::TooManyMembers { .. } => {
            NotCompiled::TooLarge(error.to_string())
        }
        error => NotCompiled::Unreadable(error.to_string()),
    })?;
    match serde_json::from_str(raw_schema) {
        Ok(schema @ Value::Object(_)) => Ok(schema),
        Ok(_) => Err(NotCompiled::Unreadable("it is no object".to_owned())),
        Err(error) => Err(NotCompiled::Unreadable(error.to_string())),
    }
}

/// What a schema's references mean.
#[derive(Debug)]
pub(super) struct Bounds {
    /// The schema's own `$id`, without a fragment.
    id: Option<String>,
    /// Anchor → JSON Pointers of the schemas that have it.
    anchors: HashMap<String, Vec<String>>,
}

impl Bounds {
    /// Looks at every schema inside `schema` once.
    pub(super) fn of(schema: &Value, limits: &Limits) -> Result<Self, NotCompiled> {
        let mut walk = Walk {
            anchors: HashMap::new(),
            references: Vec::new(),
        };
        walk.visit(schema, &mut String::new(), Position::Root)?;
        let id = ["$id", "id"]
            .iter()
            .find_map(|key| schema.get(key)?.as_str())
            .map(|id| id.trim_end_matches('#').to_owned());
        let bounds = Self {
            id,
            anchors: walk.anchors,
        };
        let mut seen = HashSet::new();
        // One path can pass the root and each target once; compiling follows such paths.
        let mut longest = depth(schema);
        for reference in walk.references {
            let targets = bounds.targets(schema, reference);
            if targets.is_empty() {
                return Err(NotCompiled::Reference(super::fault::shorten(
                    reference, 100,
                )));
            }
            for target in targets {
                if seen.insert(std::ptr::from_ref(target)) {
                    longest += depth(target);
                }
            }
        }
        if longest > limits.max_reference_depth {
            let problem = format!(
                "its references can nest more than {} schemas",
                limits.max_reference_depth
            );
            return Err(NotCompiled::TooLarge(problem));
        }
        Ok(bounds)
    }

    /// Returns the schemas that a reference can mean; none if it leads outside or nowhere.
    pub(super) fn targets<'s>(&self, schema: &'s Value, reference: &str) -> Vec<&'s Value> {
        let inside = match &self.id {
            Some(id) if !id.is_empty() => reference.strip_prefix(id.as_str()).unwrap_or(reference),
            _ => reference,
        };
        let Some(fragment) = inside.strip_prefix('#').or(inside.is_empty().then_some("")) else {
            return Vec::new();
        };
        let Some(fragment) = percent::decode_strictly(fragment) else {
            return Vec::new();
        };
        if fragment.is_empty() || fragment.starts_with('/') {
            return schema.pointer(&fragment).into_iter().collect();
        }
        let pointers = self.anchors.get(&fragment).into_iter().flatten();
        pointers
            .filter_map(|pointer| schema.pointer(pointer))
            .collect()
    }
}

/// What a value is to those who compile it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    Root,
    Schema,
    /// Its keys are names, not keywords.
    Names,
    /// Nobody compiles it.
    Data,
}

impl Position {
    fn below(self, key: &str) -> Self {
        match key {
            _ if self == Self::Names => Self::Schema,
            "enum" | "const" | "default" | "examples" => Self::Data,
            key if subschemas::holds_names(key) => Self::Names,
            _ => Self::Schema,
        }
    }
}

struct Walk<'s> {
    anchors: HashMap<String, Vec<String>>,
    references: Vec<&'s str>,
}

impl<'s> Walk<'s> {
    /// Depth is bounded by the limit on the text's nesting.
    fn visit(
        &mut self,
        value: &'s Value,
        at: &mut String,
        position: Position,
    ) -> Result<(), NotCompiled> {
        let length = at.len();
        match value {
            Value::Object(members) => {
                if position != Position::Names {
                    self.note(members, at, position == Position::Root)?;
                }
                for (key, value) in members {
                    let below = position.below(key);
                    if below == Position::Data {
                        continue;
                    }
                    at.push('/');
                    at.push_str(&key.replace('~', "~0").replace('/', "~1"));
                    self.visit(value, at, below)?;
                    at.truncate(length);
                }
            }
            Value::Array(items) => {
                for (n, item) in items.iter().enumerate() {
                    at.push_str(&format!("/{n}"));
                    self.visit(item, at, Position::Schema)?;
                    at.truncate(length);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn note(
        &mut self,
        schema: &'s Map<String, Value>,
        at: &str,
        is_root: bool,
    ) -> Result<(), NotCompiled> {
        let text = |key: &str| schema.get(key).and_then(Value::as_str);
        for key in ["$ref", "$dynamicRef", "$recursiveRef"] {
            self.references.extend(text(key));
        }
        for key in ["$anchor", "$dynamicAnchor"] {
            if let Some(name) = text(key) {
                let places = self.anchors.entry(name.to_owned()).or_default();
                places.push(at.to_owned());
            }
        }
        // Draft 6 and 7 write an anchor as `"$id": "#name"`.
        if let Some(id) = text("$id").filter(|_| !is_root) {
            let Some(name) = id.strip_prefix('#') else {
                return Err(NotCompiled::Embedded);
            };
            let places = self.anchors.entry(name.to_owned()).or_default();
            places.push(at.to_owned());
        }
        Ok(())
    }
}

/// Schemas inside one another, references not followed.
fn depth(value: &Value) -> usize {
    let Value::Object(schema) = value else {
        return 1;
    };
    let inner = subschemas::inside(schema).into_iter().map(depth).max();
    1 + inner.unwrap_or(0)
}
