//! Whether a tool belongs to an MCP App (extension `io.modelcontextprotocol/ui`): then a program in the client
//! reads its results, and they stay as they are.

use crate::jsonrpc::members;

/// Tells whether a raw definition names a view: `_meta.ui`, or the older `_meta["ui/resourceUri"]`.
pub fn is_app(definition: &[u8]) -> bool {
    members::get(definition, "_meta").is_some_and(|meta| {
        members::members(meta)
            .iter()
            .any(|member| matches!(&*member.name(meta), "ui" | "ui/resourceUri"))
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
}
