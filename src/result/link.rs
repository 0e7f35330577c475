//! A link to a kept original beside a result that was shown in part: a `resource_link` block (MCP 2025-06-18
//! and newer, server/tools) whose URI `resources/read` of ours answers. Pure.
//!
//! The text already names the call that reads on, so a link is for who reads resources: a person, or a program
//! around the model. Where a model reads it too it costs tokens, and it is left out where what is sent would no
//! longer be smaller than what came.

use std::fmt::Write as _;

use crate::jsonrpc::text;
use crate::token::{TokenCounter, Tokens};

use super::channels::Parts;
use super::options::{Cap, Options, View};
use super::query::{Document, URI_PREFIX};
use super::repeat;
use super::shape::Shaped;

/// What a link of a tool's result may cost where a model reads it: room that is left for it under a cap.
pub const LINK_TOKENS: u64 = 110;
/// The same in bytes.
pub const LINK_BYTES: usize = 480;
/// Bytes of a tool's name that stand in a link.
const NAME_BYTES: usize = 64;

/// To whom links are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Links {
    /// There are none.
    #[default]
    Never,
    /// To the person alone (`annotations.audience` is `user`); the client is known to keep them from its
    /// model.
    ToUser,
    /// To everybody, so that they count.
    ToAll,
}

/// The link of one result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkForm {
    /// To whom it is shown.
    pub to: Links,
    /// The tool, by the name that clients see.
    pub tool: String,
}

/// Returns the raw block that links to an original.
pub fn block(original: &str, view: View, handle: &str, form: &LinkForm) -> String {
    let document = Document::of(original, view);
    let kind = if document.is_json() {
        "application/json"
    } else {
        "text/plain"
    };
    let mut end = form.tool.len().min(NAME_BYTES);
    while !form.tool.is_char_boundary(end) {
        end -= 1;
    }
    let name = format!("whole result of {}", &form.tool[..end]);
    let mut block = format!(
        "{{\"type\":\"resource_link\",\"uri\":{},\"name\":{},\"mimeType\":\"{kind}\"",
        text::to_string(&format!("{URI_PREFIX}{handle}")),
        text::to_string(&name),
    );
    // The size is that of one text; what comes with blobs has none.
    let has_blobs = (0..document.n_blocks()).any(|index| {
        let block = document.block(index);
        block.is_some_and(|block| block.text().is_none())
    });
    if !has_blobs {
        let _ = write!(block, ",\"size\":{}", document.text().len());
    }
    if form.to == Links::ToUser {
        block.push_str(",\"annotations\":{\"audience\":[\"user\"]}");
    }
    block.push('}');
    block
}

/// Returns a raw result with one block more; none where it has no `content`.
pub fn beside(result: &str, block: &str) -> Option<String> {
    let content = Parts::of(result)?.content?;
    let before = result[..content.end].strip_suffix(']')?;
    let is_empty = before[content.start..].trim() == "[";
    let comma = if is_empty { "" } else { "," };
    Some(format!(
        "{}{comma}{block}]{}",
        before.trim_end(),
        &result[content.end..]
    ))
}

/// Puts the link beside what is shown in part.
pub(super) fn put(
    original: &str,
    view: View,
    options: &Options,
    counter: &dyn TokenCounter,
    shaped: &mut Shaped,
) {
    let (Some(form), Some(handle), Some(now)) = (&options.link, &shaped.handle, &shaped.result)
    else {
        return;
    };
    let link = block(original, view, handle, form);
    let mut after = shaped.after;
    if form.to == Links::ToAll {
        let tokens = counter.count(&link);
        after += tokens;
        let is_short = matches!(
            shaped.given,
            Some((_, repeat::Form::Unchanged | repeat::Form::Delta))
        );
        if is_short || tokens.get() > LINK_TOKENS || after > shaped.before {
            return;
        }
    }
    if let Some(with) = beside(now, &link) {
        shaped.result = Some(with);
        shaped.after = after;
    }
}

impl Options {
    /// What of a cap is left for the texts.
    pub(super) fn room(&self, cap: Cap) -> Cap {
        if self
            .link
            .as_ref()
            .is_none_or(|link| link.to != Links::ToAll)
        {
            return cap;
        }
        Cap {
            tokens: cap.tokens.saturating_sub(Tokens::new(LINK_TOKENS)),
            bytes: cap.bytes.saturating_sub(LINK_BYTES),
            ..cap
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(to: Links) -> LinkForm {
        LinkForm {
            to,
            tool: "list".to_owned(),
        }
    }

    #[test]
    fn a_link_says_what_it_leads_to_and_for_whom() {
        let json = r#"{"content":[{"type":"text","text":"[1, \"é\"]"}]}"#;
        assert_eq!(
            block(json, View::Text, "r_x", &form(Links::ToAll)),
            r#"{"type":"resource_link","uri":"whittle://results/r_x","name":"whole result of list","mimeType":"application/json","size":9}"#
        );
        let image = r#"{"content":[{"type":"text","text":"a"},{"type":"image","data":"AAAA","mimeType":"image/png"}]}"#;
        assert_eq!(
            block(image, View::Text, "r_x", &form(Links::ToUser)),
            r#"{"type":"resource_link","uri":"whittle://results/r_x","name":"whole result of list","mimeType":"text/plain","annotations":{"audience":["user"]}}"#
        );
        let odd = LinkForm {
            to: Links::ToAll,
            tool: format!("\"\u{1b}{}", "é".repeat(200)),
        };
        let block = block(json, View::Text, "r_x", &odd);
        assert!(serde_json::from_str::<serde_json::Value>(&block).is_ok());
        assert!(block.len() < LINK_BYTES, "{block}");
    }

    /// What the documentation says a link costs, and the room that a cap leaves for it.
    #[test]
    fn a_link_has_the_room_that_is_left_for_it() {
        use crate::result::handle::Handle;
        use crate::token::{Encoding, TiktokenCounter, TokenCounter};
        let counter = TiktokenCounter::new(Encoding::O200kBase);
        let result = format!(
            r#"{{"content":[{{"type":"text","text":"{}"}}]}}"#,
            "x".repeat(1 << 20)
        );
        for n in 0..64_u8 {
            let handle = Handle::of(&[n; 32], "user", b"").to_string();
            let form = LinkForm {
                to: Links::ToAll,
                tool: "github__list_pull_request_review_comments".to_owned(),
            };
            let tokens = counter
                .count(&block(&result, View::Text, &handle, &form))
                .get();
            assert!((50..=LINK_TOKENS).contains(&tokens), "{tokens}");
        }
    }

    #[test]
    fn a_block_is_added_behind_the_others_and_nothing_else_moves() {
        for (result, with) in [
            (
                r#"{"content":[{"type":"a"} ],"x":[]}"#,
                r#"{"content":[{"type":"a"},{}],"x":[]}"#,
            ),
            (r#"{"content":[ ]}"#, r#"{"content":[{}]}"#),
            (
                r#"{"x":1,"content":[{"type":"a"}]}"#,
                r#"{"x":1,"content":[{"type":"a"},{}]}"#,
            ),
        ] {
            assert_eq!(beside(result, "{}").as_deref(), Some(with), "{result}");
        }
        for none in ["{}", "7", r#"{"content":7}"#] {
            assert_eq!(beside(none, "{}"), None, "{none}");
        }
    }
}
