//! Which parts of a JSON Schema are schemas and which are data. Knows the applicators of every
//! dialect from draft-04 to 2020-12; whatever it does not know is data, which nobody touches.

use crate::surface::tree::Kind;
use crate::surface::tree::Node;

/// How a schema hangs in its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place<'t> {
    /// The root of the document.
    Root,
    /// A named property (`properties`).
    Property(&'t str),
    /// A named definition (`$defs`, `definitions`).
    Definition(&'t str),
    /// Anywhere else a schema can be.
    Elsewhere,
}

/// What the value of a schema keyword is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Properties,
    Definitions,
    /// An object whose members are schemas (or, in `dependencies`, lists of names).
    Schemas,
    /// A schema or an array of schemas.
    Schema,
    Data,
}

/// Says what the value of a keyword is.
pub(crate) fn shape(keyword: &str) -> Shape {
    match keyword {
        "properties" => Shape::Properties,
        "$defs" | "definitions" => Shape::Definitions,
        "patternProperties" | "dependentSchemas" | "dependencies" => Shape::Schemas,
        "items"
        | "prefixItems"
        | "additionalItems"
        | "unevaluatedItems"
        | "contains"
        | "additionalProperties"
        | "unevaluatedProperties"
        | "propertyNames"
        | "allOf"
        | "anyOf"
        | "oneOf"
        | "not"
        | "if"
        | "then"
        | "else"
        | "contentSchema" => Shape::Schema,
        _ => Shape::Data,
    }
}

/// Says whether a keyword holds definitions.
pub(crate) fn is_definitions(keyword: &str) -> bool {
    matches!(shape(keyword), Shape::Definitions)
}

/// Calls `visit` with every schema object in `schema`, itself first.
pub(crate) fn walk<'t, 'a>(
    schema: &'t Node<'a>,
    place: Place<'t>,
    visit: &mut impl FnMut(&'t Node<'a>, Place<'t>),
) {
    if !schema.is_object() {
        return;
    }
    visit(schema, place);
    for member in schema.members() {
        let named: fn(&'t str) -> Place<'t> = match shape(&member.key) {
            Shape::Properties => Place::Property,
            Shape::Definitions => Place::Definition,
            Shape::Schemas => |_| Place::Elsewhere,
            Shape::Schema => {
                match &member.value.kind {
                    Kind::Array(items) => {
                        for item in items {
                            walk(item, Place::Elsewhere, visit);
                        }
                    }
                    _ => walk(&member.value, Place::Elsewhere, visit),
                }
                continue;
            }
            Shape::Data => continue,
        };
        for entry in member.value.members() {
            walk(&entry.value, named(&entry.key), visit);
        }
    }
}
