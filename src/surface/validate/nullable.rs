//! `nullable: true` is OpenAPI's way to say that `null` is taken too. JSON Schema does not know it, so the
//! compiled schema refuses such a `null`, although servers take it and our signatures offer it (`|null`).

use serde_json::Value;

use crate::surface::validate::bounds::Bounds;
use crate::surface::validate::subschemas;

/// Keywords whose schemas judge the same value as the schema they stand in.
const IN_PLACE: [&str; 9] = [
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "dependentSchemas",
    "dependencies",
];

/// Tells whether a schema that judges the value at fault says `nullable: true`. `path` is the evaluation
/// path of the keyword that failed, so schemas around the value's parents are told from its own.
pub(super) fn takes_null(root: &Value, bounds: &Bounds, path: &str) -> bool {
    let Some((parent, _)) = path.rsplit_once('/') else {
        return false;
    };
    is_nullable_at(root, bounds, parent).unwrap_or(false)
}

/// `None` if the path leads nowhere.
fn is_nullable_at(root: &Value, bounds: &Bounds, path: &str) -> Option<bool> {
    let mut here = root;
    let mut is_nullable = says_so(root);
    // Whether the next token is a keyword; else it is a name or an index.
    let mut is_keyword = true;
    for token in path.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        if !is_keyword {
            here = match here {
                Value::Array(items) => items.get(token.parse::<usize>().ok()?)?,
                _ => here.get(token.as_str())?,
            };
            is_nullable |= says_so(here);
            is_keyword = true;
            continue;
        }
        let value = here.get(token.as_str())?;
        if let ("$ref" | "$dynamicRef" | "$recursiveRef", Value::String(reference)) =
            (token.as_str(), value)
        {
            here = *bounds.targets(root, reference).first()?;
            is_nullable |= says_so(here);
            continue;
        }
        // Any other applicator is about a part of the value.
        is_nullable &= IN_PLACE.contains(&token.as_str());
        here = value;
        is_keyword = !subschemas::holds_names(&token) && !value.is_array();
        if is_keyword {
            is_nullable |= says_so(here);
        }
    }
    Some(is_nullable)
}

fn says_so(schema: &Value) -> bool {
    schema.get("nullable") == Some(&Value::Bool(true))
}
