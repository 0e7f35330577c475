//! Where schemas stand inside a schema: one table for everything that walks one. The union of the
//! dialects from draft 4 to 2020-12, so in doubt a schema is seen where there is none, never the
//! other way round.

use serde_json::Map;
use serde_json::Value;

/// How the value of a keyword holds schemas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    /// One schema.
    One,
    /// One schema, or an array of them.
    OneOrMany,
    /// An array of schemas.
    Many,
    /// An object whose values are schemas (or, in `dependencies`, arrays of names).
    Named,
}

const KEYWORDS: [(&str, Holds); 25] = [
    ("$defs", Holds::Named),
    ("definitions", Holds::Named),
    ("properties", Holds::Named),
    ("patternProperties", Holds::Named),
    ("dependentSchemas", Holds::Named),
    ("dependencies", Holds::Named),
    ("additionalProperties", Holds::One),
    ("unevaluatedProperties", Holds::One),
    ("propertyNames", Holds::One),
    ("items", Holds::OneOrMany),
    ("prefixItems", Holds::Many),
    ("additionalItems", Holds::One),
    ("unevaluatedItems", Holds::One),
    ("contains", Holds::One),
    ("allOf", Holds::Many),
    ("anyOf", Holds::Many),
    ("oneOf", Holds::Many),
    ("not", Holds::One),
    ("if", Holds::One),
    ("then", Holds::One),
    ("else", Holds::One),
    ("contentSchema", Holds::One),
    ("extends", Holds::OneOrMany),
    ("disallow", Holds::OneOrMany),
    ("type", Holds::OneOrMany),
];

/// Tells whether the keys below `keyword` are names.
pub(super) fn holds_names(keyword: &str) -> bool {
    KEYWORDS
        .iter()
        .any(|(name, holds)| *name == keyword && *holds == Holds::Named)
}

/// Returns the schemas that stand directly inside `schema`.
pub(super) fn inside(schema: &Map<String, Value>) -> Vec<&Value> {
    let mut found = Vec::new();
    for (keyword, value) in schema {
        let Some((_, holds)) = KEYWORDS.iter().find(|(name, _)| name == keyword) else {
            continue;
        };
        match (holds, value) {
            (Holds::Named, Value::Object(members)) => found.extend(members.values()),
            (Holds::Many | Holds::OneOrMany, Value::Array(items)) => found.extend(items),
            (Holds::One | Holds::OneOrMany, value) => found.push(value),
            _ => {}
        }
    }
    found.retain(|value| value.is_object());
    found
}
