//! May a tool have a parameter of this name? Whoever adds a name of ours to a tool's arguments, or takes one
//! off them, asks here, so that a parameter of the tool's own is never taken for ours. In doubt it may.

use serde_json::value::RawValue;

use crate::catalog::tool_view::{Member, ToolView, members};

/// Schemas inside one another that are looked into; beyond them is doubt.
const MAX_DEPTH: usize = 8;

/// Tells whether the arguments of a tool may have a member of this name at their top, as far as its definition
/// says. It may not where `properties` are named and this is none of them, neither there nor in a branch, or
/// where no member may be given at all.
pub fn may_have(definition: &[u8], name: &str) -> bool {
    schema_of(definition).is_none_or(|schema| schema_may_have(schema, name))
}

/// Tells whether the arguments of a tool may have a member of this name, also where its schema only says that more
/// than what it names may be given. Whoever takes a call apart asks this: a member that goes is lost.
pub fn may_be_given(definition: &[u8], name: &str) -> bool {
    schema_of(definition).is_none_or(|schema| {
        further(schema).is_some_and(|further| further != "false") || schema_may_have(schema, name)
    })
}

fn schema_of(definition: &[u8]) -> Option<&str> {
    std::str::from_utf8(definition)
        .ok()
        .and_then(|text| ToolView::parse(text).ok())
        .and_then(|view| view.input_schema)
}

/// Returns what a schema says of members that it does not name.
fn further(schema: &str) -> Option<&str> {
    let members = members(schema).unwrap_or_default();
    let further = members.iter().find(|member| {
        matches!(
            &*member.key,
            "additionalProperties" | "unevaluatedProperties"
        )
    });
    further.map(|member| member.raw)
}

fn schema_may_have(schema: &str, name: &str) -> bool {
    let further = further(schema);
    match says(schema, name, 0) {
        Says::ThisName => true,
        Says::OtherNames => false,
        // Tools without parameters are often written so; that more may be given is said.
        Says::NoNames => further.is_some_and(|further| further != "false"),
        Says::Nothing => further != Some("false"),
    }
}

/// What a schema says of the names of an object's members, more the later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Says {
    /// It names none.
    Nothing,
    /// Its list of names is empty.
    NoNames,
    /// It has names, and not this one.
    OtherNames,
    /// It has this name, or may have it where nobody looks.
    ThisName,
}

fn says(schema: &str, name: &str, depth: usize) -> Says {
    if matches!(schema, "true" | "false") {
        return Says::Nothing;
    }
    let Ok(members) = members(schema) else {
        return Says::ThisName;
    };
    if depth > MAX_DEPTH {
        return Says::ThisName;
    }
    let said = members
        .iter()
        .map(|member| keyword_says(member, name, depth));
    said.max().unwrap_or(Says::Nothing)
}

fn keyword_says(keyword: &Member<'_>, name: &str, depth: usize) -> Says {
    let raw = keyword.raw;
    match &*keyword.key {
        "properties" => match members(raw) {
            Ok(names) if names.is_empty() => Says::NoNames,
            Ok(names) if names.iter().all(|member| member.key != name) => Says::OtherNames,
            _ => Says::ThisName,
        },
        "required" => match serde_json::from_str::<Vec<String>>(raw) {
            Ok(names) if names.iter().all(|required| required != name) => Says::Nothing,
            _ => Says::ThisName,
        },
        "patternProperties" => match members(raw) {
            Ok(patterns) if patterns.is_empty() => Says::Nothing,
            _ => Says::ThisName,
        },
        "$ref" | "$dynamicRef" | "$recursiveRef" => Says::ThisName,
        "allOf" | "anyOf" | "oneOf" => match serde_json::from_str::<Vec<&RawValue>>(raw) {
            Ok(branches) => branches
                .into_iter()
                .map(|branch| says(branch.get(), name, depth + 1))
                .max()
                .unwrap_or(Says::Nothing),
            Err(_) => Says::ThisName,
        },
        "if" | "then" | "else" => says(raw, name, depth + 1),
        "dependentSchemas" | "dependentRequired" | "dependencies" => members(raw)
            .unwrap_or_default()
            .into_iter()
            .map(|member| dependence_says(&member, name, depth))
            .max()
            .unwrap_or(Says::Nothing),
        _ => Says::Nothing,
    }
}

/// What one member says of what has to be there beside it: a schema, or names.
fn dependence_says(member: &Member<'_>, name: &str, depth: usize) -> Says {
    if member.key == name {
        return Says::ThisName;
    }
    if member.raw.starts_with('{') {
        return says(member.raw, name, depth + 1);
    }
    match serde_json::from_str::<Vec<String>>(member.raw) {
        Ok(names) if names.iter().any(|needed| needed == name) => Says::ThisName,
        _ => Says::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken variants that this catches: one that looks at `properties` of the root only, one that takes a union
    /// without names for doubt, one that takes no names for any names, and one that takes a name of its own for a
    /// wrapper where the schema says that more may be given or that the name has to stand beside another.
    #[test]
    fn a_name_may_stand_anywhere_but_not_beside_a_list_of_others() {
        for (schema, expected) in [
            (r#"{"type":"object","properties":{"fields":{}}}"#, true),
            (r#"{"properties":{"f\u0069elds":{}}}"#, true),
            (r#"{"allOf":[{"properties":{"fields":{}}}]}"#, true),
            (
                r#"{"properties":{"a":{}},"oneOf":[{"properties":{"b":{}}},{"properties":{"fields":{}}}]}"#,
                true,
            ),
            (r#"{"properties":{"a":{}},"required":["fields"]}"#, true),
            (
                r#"{"properties":{"a":{}},"then":{"required":["fields"]}}"#,
                true,
            ),
            (
                r#"{"properties":{"a":{}},"dependentSchemas":{"a":{"properties":{"fields":{}}}}}"#,
                true,
            ),
            (r##"{"properties":{"a":{}},"$ref":"#/$defs/x"}"##, true),
            (
                r#"{"properties":{"a":{}},"patternProperties":{"^f":{}}}"#,
                true,
            ),
            (
                r#"{"properties":{"a":{}},"dependentRequired":{"a":["fields"]}}"#,
                true,
            ),
            (
                r#"{"properties":{"a":{}},"dependentSchemas":{"fields":{}}}"#,
                true,
            ),
            (
                r#"{"properties":{"a":{}},"dependencies":{"a":["fields"]}}"#,
                true,
            ),
            (r#"{"type":"object"}"#, true),
            (r#"{"properties":{},"additionalProperties":true}"#, true),
            (r#"{"anyOf":[true]}"#, true),
            ("true", true),
            ("7", true),
            (r#"{"properties":7}"#, true),
            (r#"{"type":"object","properties":{"a":{}}}"#, false),
            (
                r#"{"properties":{"a":{"properties":{"fields":{}}}}}"#,
                false,
            ),
            (
                r#"{"properties":{"a":{},"b":{}},"anyOf":[{"required":["a"]},{"required":["b"]}]}"#,
                false,
            ),
            (
                r#"{"properties":{"a":{}},"additionalProperties":{}}"#,
                false,
            ),
            (r#"{"properties":{},"dependencies":{"a":["b"]}}"#, false),
            (r#"{"type":"object","properties":{}}"#, false),
            (r#"{"type":"object","additionalProperties":false}"#, false),
        ] {
            let definition = format!(r#"{{"name":"t","inputSchema":{schema}}}"#);
            let may = may_have(definition.as_bytes(), "fields");
            assert_eq!(may, expected, "{schema}");
        }
        // What may be given counts for those who take a call apart.
        for (schema, expected) in [
            (r#"{"properties":{"a":{}},"additionalProperties":{}}"#, true),
            (
                r#"{"properties":{"a":{}},"unevaluatedProperties":{"type":"object"}}"#,
                true,
            ),
            (
                r#"{"properties":{"a":{}},"additionalProperties":false}"#,
                false,
            ),
            (r#"{"type":"object","properties":{"a":{}}}"#, false),
            (r#"{"type":"object","properties":{"fields":{}}}"#, true),
        ] {
            let definition = format!(r#"{{"name":"t","inputSchema":{schema}}}"#);
            let may = may_be_given(definition.as_bytes(), "fields");
            assert_eq!(may, expected, "{schema}");
        }
        assert!(may_be_given(br#"{"name":"t"}"#, "fields"));
        assert!(may_have(br#"{"name":"t"}"#, "fields"));
        assert!(may_have(b"\xff", "fields"));
        let deep = |n: usize| {
            let inner = format!(
                "{}{}{}",
                r#"{"allOf":["#.repeat(n),
                r#"{"properties":{"a":{}}}"#,
                "]}".repeat(n)
            );
            may_have(format!(r#"{{"inputSchema":{inner}}}"#).as_bytes(), "fields")
        };
        assert!(!deep(5) && deep(5_000), "what lies too deep is doubt");
    }
}
