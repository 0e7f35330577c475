//! What the keywords of one schema say, read for the notation: types, values, required names, and
//! which keywords there are forms for.

use std::collections::HashSet;

use crate::surface::ladder::notation::Unsayable;
use crate::surface::ladder::notation::value;
use crate::surface::tree::Kind;
use crate::surface::tree::Node;

/// The names in `required`.
pub(super) struct Required<'t>(Vec<&'t str>, HashSet<&'t str>);

impl<'t> Required<'t> {
    pub(super) fn contains(&self, name: &str) -> bool {
        self.1.contains(name)
    }

    pub(super) fn names(&self) -> &[&'t str] {
        &self.0
    }
}

pub(super) fn required<'t>(schema: &'t Node<'_>) -> Result<Required<'t>, Unsayable> {
    let mut names = Vec::new();
    if let Some(member) = schema.member("required") {
        let Kind::Array(items) = &member.value.kind else {
            return Err(Unsayable::Value);
        };
        for item in items {
            names.push(item.as_str().ok_or(Unsayable::Value)?);
        }
    }
    let set = names.iter().copied().collect();
    Ok(Required(names, set))
}

/// The names in `type`; none if it is missing.
pub(super) fn types<'t>(schema: &'t Node<'_>) -> Result<Vec<&'t str>, Unsayable> {
    let Some(member) = schema.member("type") else {
        return Ok(Vec::new());
    };
    let names: Vec<&str> = match &member.value.kind {
        Kind::String(name) => vec![name.as_ref()],
        Kind::Array(items) => items.iter().filter_map(Node::as_str).collect(),
        _ => Vec::new(),
    };
    let is_known = |name: &&str| {
        matches!(
            *name,
            "string" | "number" | "integer" | "boolean" | "null" | "object" | "array"
        )
    };
    if names.is_empty() || !names.iter().all(is_known) {
        return Err(Unsayable::Value);
    }
    Ok(names)
}

/// The values of `const` or `enum`.
pub(super) fn values<'t, 'a>(schema: &'t Node<'a>) -> Result<Option<Vec<&'t Node<'a>>>, Unsayable> {
    let listed = match schema.member("enum").map(|member| &member.value.kind) {
        Some(Kind::Array(items)) => Some(items),
        Some(_) => return Err(Unsayable::Value),
        None => None,
    };
    let Some(member) = schema.member("const") else {
        return Ok(listed.map(|items| items.iter().collect()));
    };
    let only = value::canonical(&member.value);
    // Where both hold and do not agree, no value does.
    if listed.is_some_and(|items| items.iter().all(|item| value::canonical(item) != only)) {
        return Err(Unsayable::Keyword);
    }
    Ok(Some(vec![&member.value]))
}

/// The type of values that a keyword says what they consist of.
fn structured(keyword: &str) -> Option<&'static str> {
    match keyword {
        "properties"
        | "required"
        | "additionalProperties"
        | "unevaluatedProperties"
        | "patternProperties"
        | "propertyNames" => Some("object"),
        "items" | "prefixItems" | "additionalItems" | "contains" => Some("array"),
        _ => None,
    }
}

/// Says whether a schema says what values of that type consist of.
pub(super) fn is_structured(schema: &Node<'_>, type_name: &str) -> bool {
    let mut members = schema.members().iter();
    members.any(|member| structured(&member.key) == Some(type_name))
}

/// Says whether a schema has anything to say of values of other types than that one.
pub(super) fn is_about_others(schema: &Node<'_>, type_name: &str) -> bool {
    schema.members().iter().any(|member| {
        structured(&member.key).is_some_and(|other| other != type_name)
            || value::is_of_another(&member.key, type_name)
    })
}

/// Says whether no value can be of two of these types: literals that differ, and types that neither another
/// branch nor one of the literals has. In doubt it can.
pub(super) fn are_disjoint(branches: &[Node<'_>]) -> bool {
    let mut literals: HashSet<String> = HashSet::new();
    let mut types_of_literals: HashSet<&str> = HashSet::new();
    let mut types: HashSet<&str> = HashSet::new();
    branches.iter().all(|branch| {
        if let Ok(Some(values)) = values(branch) {
            return values.iter().all(|value| {
                let name = value::type_of(value);
                types_of_literals.insert(name);
                !types.contains(name) && literals.insert(value::canonical(value))
            });
        }
        let name = match branch.string("type") {
            // An integer is a number too.
            Some("integer" | "number") => "number",
            Some("string") => "string",
            Some("boolean") => "boolean",
            Some("null") => "null",
            Some("object") => "object",
            Some("array") => "array",
            _ => return false,
        };
        !types_of_literals.contains(name) && types.insert(name)
    })
}

pub(super) fn is_true(schema: &Node<'_>, keyword: &str) -> bool {
    schema
        .member(keyword)
        .is_some_and(|member| member.value.raw == "true")
}

/// Says whether any property, or anything below it, has a comment.
pub(super) fn has_prose(schema: &Node<'_>) -> bool {
    let mut found = false;
    for member in schema.members() {
        if matches!(&*member.key, "description" | "title") {
            continue;
        }
        found |= match &*member.key {
            "properties" | "patternProperties" => member.value.members().iter().any(|property| {
                let members = property.value.members();
                members.iter().any(|member| is_annotation(&member.key))
                    || has_prose(&property.value)
            }),
            "anyOf" | "oneOf" | "allOf" | "items" | "additionalProperties" => {
                let below = match &member.value.kind {
                    Kind::Array(items) => &items[..],
                    _ => std::slice::from_ref(&member.value),
                };
                below
                    .iter()
                    .any(|below| below.string("description").is_some() || has_prose(below))
            }
            _ => false,
        };
    }
    found
}

pub(super) fn is_annotation(keyword: &str) -> bool {
    matches!(
        keyword,
        "title"
            | "description"
            | "note"
            | "$comment"
            | "markdownDescription"
            | "deprecated"
            | "readOnly"
            | "writeOnly"
            | "examples"
            | "example"
    )
}

/// Keywords that say what a value is, apart from references and branches.
pub(super) fn is_shape(keyword: &str) -> bool {
    matches!(
        keyword,
        "type"
            | "enum"
            | "const"
            | "properties"
            | "required"
            | "additionalProperties"
            | "unevaluatedProperties"
            | "patternProperties"
            | "propertyNames"
            | "items"
            | "prefixItems"
            | "additionalItems"
            | "contains"
    ) || value::is_facet(keyword)
}

/// Refuses a schema with a keyword that nothing here writes.
pub(super) fn knows_keywords(schema: &Node<'_>) -> Result<(), Unsayable> {
    for member in schema.members() {
        let key = &*member.key;
        let is_known = is_shape(key)
            || is_annotation(key)
            || matches!(
                key,
                "$ref"
                    | "anyOf"
                    | "oneOf"
                    | "allOf"
                    | "default"
                    | "nullable"
                    | "$defs"
                    | "definitions"
                    | "$schema"
            );
        if key == "x-mcp-header" {
            return Err(Unsayable::Header);
        }
        if !is_known {
            return Err(Unsayable::Keyword);
        }
    }
    Ok(())
}

/// Writes a text in one line.
pub(super) fn push_words(text: &str, out: &mut String) {
    for (n, word) in text.split_whitespace().enumerate() {
        if n > 0 {
            out.push(' ');
        }
        out.push_str(word);
    }
}
