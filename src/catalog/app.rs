//! Whether a tool belongs to an MCP App (extension `io.modelcontextprotocol/ui`): then a program in the client
//! reads its definition and its results, and they stay as they are.

use crate::jsonrpc::members;
use crate::jsonrpc::text;

/// Tells whether a raw definition names a view: `_meta.ui`, or the older `_meta["ui/resourceUri"]`.
pub fn is_app(definition: &[u8]) -> bool {
    members::get(definition, "_meta").is_some_and(|meta| {
        members::members(meta)
            .iter()
            .any(|member| matches!(&*member.name(meta), "ui" | "ui/resourceUri"))
    })
}

/// Tells whether a model may know of a tool: it may unless `_meta.ui.visibility` is a list without `model`.
pub fn is_for_model(definition: &[u8]) -> bool {
    let visibility = members::get(definition, "_meta")
        .and_then(|meta| members::get(meta, "ui"))
        .and_then(|ui| members::get(ui, "visibility"))
        .filter(|visibility| visibility.starts_with(b"["));
    visibility.is_none_or(|visibility| {
        members::elements(visibility)
            .into_iter()
            .any(|one| text::string_value(&visibility[one]).as_deref() == Some("model"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_are_found_in_both_spellings() {
        for (definition, expected) in [
            (
                r#"{"name":"a","_meta":{"ui":{"resourceUri":"ui://x"}}}"#,
                true,
            ),
            (r#"{"name":"a","_meta":{"ui/resourceUri":"ui://x"}}"#, true),
            (r#"{"name":"a","_meta":{"other":1}}"#, false),
            (r#"{"name":"ui"}"#, false),
        ] {
            assert_eq!(is_app(definition.as_bytes()), expected, "{definition}");
        }
    }

    /// Broken variants that this catches: one that takes every tool of an App for one that the model never sees, and
    /// one that looks for the word anywhere in the list's text.
    #[test]
    fn a_tool_is_for_the_model_unless_its_visibility_says_otherwise() {
        for (meta, expected) in [
            (r#"{"ui":{"resourceUri":"ui://x"}}"#, true),
            (r#"{"ui":{"visibility":["model","app"]}}"#, true),
            (r#"{"ui":{"visibility":["mod\u0065l"]}}"#, true),
            (r#"{"ui":{"visibility":["app"]}}"#, false),
            (r#"{"ui":{"visibility":["app","models"]}}"#, false),
            (r#"{"ui":{"visibility":[]}}"#, false),
            (r#"{"ui":{"visibility":"app"}}"#, true),
            (r#"{"visibility":["app"]}"#, true),
            ("7", true),
        ] {
            let definition = format!(r#"{{"name":"a","_meta":{meta}}}"#);
            assert_eq!(is_for_model(definition.as_bytes()), expected, "{meta}");
        }
        assert!(is_for_model(br#"{"name":"a"}"#));
    }
}
