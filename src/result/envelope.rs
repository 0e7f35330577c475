//! What stands around a text of `content` and says something of it: the URI and the type of an embedded
//! resource, annotations, `_meta`. It is lost where texts become one, and a type binds what the text may
//! become. Pure.

use std::ops::Range;

use crate::jsonrpc::members;

use super::channels::TextBlock;
use super::compact::Form;

/// Tells whether a raw text block says more than its text. A member that is `null` says nothing.
pub(super) fn is_more_than_text(block: &[u8]) -> bool {
    members::members(block).into_iter().any(|member| {
        let name = member.name(block);
        name != "type" && name != "text" && block[member.value] != *b"null"
    })
}

/// Where the resource stands whose type a text no longer fits. `form` is the notation it is in now; none =
/// it is only a part of what it was.
pub(super) fn misnamed(
    block: &TextBlock,
    result: &str,
    form: Option<Form>,
) -> Option<Range<usize>> {
    let resource = block.resource.clone()?;
    let raw = &result.as_bytes()[resource.clone()];
    let kind = members::get_text(raw, "mimeType")?;
    (!allows(&kind, form)).then_some(resource)
}

/// Tells whether a text in a notation is what a media type says. Prose may be anything.
fn allows(kind: &str, form: Option<Form>) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let kind = kind.to_ascii_lowercase();
    let is_json = kind.ends_with("/json") || kind.ends_with("+json");
    match kind.as_str() {
        "" | "text/plain" | "text/markdown" => true,
        _ => is_json && form == Some(Form::Minified),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken variants that this catches: types are compared with their parameters, and JSON in rows passes for
    /// JSON.
    #[test]
    fn a_type_binds_what_its_text_may_become() {
        for (kind, form, expected) in [
            ("application/json", Some(Form::Minified), true),
            (
                "application/geo+JSON; charset=utf-8",
                Some(Form::Minified),
                true,
            ),
            ("application/json", Some(Form::Rows), false),
            ("application/json", None, false),
            ("text/plain; charset=utf-8", Some(Form::Rows), true),
            ("text/markdown", None, true),
            ("text/csv", Some(Form::Lines), false),
            ("application/yaml", None, false),
        ] {
            assert_eq!(allows(kind, form), expected, "{kind} {form:?}");
        }
    }

    #[test]
    fn null_says_nothing() {
        for (block, expected) in [
            (r#"{"type":"text","text":"x"}"#, false),
            (
                r#"{"type":"text","text":"x","annotations":null,"_meta":null}"#,
                false,
            ),
            (r#"{"type":"text","text":"x","_meta":{"a":1}}"#, true),
            (
                r#"{"annotations":{"priority":1},"type":"text","text":"x"}"#,
                true,
            ),
        ] {
            assert_eq!(is_more_than_text(block.as_bytes()), expected, "{block}");
        }
    }
}
