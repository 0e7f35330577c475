//! The argument `fields` in listed schemas of tools that the operator named: whoever calls may ask for parts of
//! the result. The server never sees it.

use bytes::Bytes;

use crate::jsonrpc::members;
use crate::jsonrpc::write::{Edit, edit_object, splice};
use crate::surface::parameters::may_have;
use crate::surface::plan::{Part, Settings, fits};

/// What it is, in few words: every tool that has it pays for them.
const ARGUMENT: &str = r#"{"type":"array","items":{"type":"string"},"description":"Only these fields of the result, e.g. id, owner.name"}"#;

/// The tools with that argument where it is offered; none where it is offered nowhere.
pub(super) fn offered(parts: &[Part], settings: &Settings) -> Option<Vec<Part>> {
    if settings.offers_fields.is_empty() {
        return None;
    }
    let with = |tool: &Bytes| {
        let name = members::get_text(tool, "name").unwrap_or_default();
        let is_named = settings
            .offers_fields
            .iter()
            .any(|pattern| fits(pattern, &name));
        is_named
            .then(|| with_fields(tool))
            .flatten()
            .unwrap_or_else(|| tool.clone())
    };
    let parts = parts.iter().map(|part| Part {
        server: part.server.clone(),
        tools: part.tools.iter().map(with).collect(),
    });
    Some(parts.collect())
}

/// The definition with the argument; none where the tool may have one of that name, or its schema is no object.
fn with_fields(tool: &Bytes) -> Option<Bytes> {
    if may_have(tool, "fields") {
        return None;
    }
    let schema = members::member(tool, "inputSchema")?;
    let inside = &tool[schema.clone()];
    let argument = Bytes::from_static(ARGUMENT.as_bytes());
    let edits: Vec<Edit> = match members::member(inside, "properties") {
        None if inside.first() == Some(&b'{') => {
            let mut properties = b"{\"fields\":".to_vec();
            properties.extend_from_slice(&argument);
            properties.push(b'}');
            edit_object(tool, schema, &[], &[("properties", properties.into())])
        }
        Some(at) if inside.get(at.start) == Some(&b'{') => {
            let at = schema.start + at.start..schema.start + at.end;
            edit_object(tool, at, &[], &[("fields", argument)])
        }
        _ => return None,
    };
    Some(splice(tool, edits).to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(tool: &str) -> Option<String> {
        let tool = Bytes::copy_from_slice(tool.as_bytes());
        with_fields(&tool).map(|tool| String::from_utf8_lossy(&tool).into_owned())
    }

    /// Broken variant that this catches: one that looks at `properties` at the top of a schema only.
    #[test]
    fn the_argument_is_added_where_there_is_none() {
        assert_eq!(
            with(r#"{"name":"t","inputSchema":{"type":"object","properties":{"a":{}}}}"#),
            Some(format!(
                r#"{{"name":"t","inputSchema":{{"type":"object","properties":{{"a":{{}},"fields":{ARGUMENT}}}}}}}"#
            ))
        );
        assert_eq!(
            with(r#"{"name":"t","inputSchema":{"type":"object","additionalProperties":false}}"#),
            Some(format!(
                r#"{{"name":"t","inputSchema":{{"type":"object","additionalProperties":false,"properties":{{"fields":{ARGUMENT}}}}}}}"#
            ))
        );
        for own in [
            r#"{"name":"t","inputSchema":{"properties":{"fields":{}}}}"#,
            r#"{"name":"t","inputSchema":{"anyOf":[{"properties":{"fields":{}}},{"properties":{"a":{}}}]}}"#,
            r#"{"name":"t","inputSchema":{"type":"object"}}"#,
            r#"{"name":"t","inputSchema":true}"#,
            r#"{"name":"t"}"#,
        ] {
            assert_eq!(with(own), None, "{own}");
        }
    }
}
