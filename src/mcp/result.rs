//! Results on the way between eras, as edits over their raw bytes.

use std::ops::Range;

use bytes::Bytes;

use crate::jsonrpc::members;
use crate::jsonrpc::write::{Edit, edit_object};

use super::{meta, method};

/// Members that modern results have and older ones do not.
const MODERN_MEMBERS: [&str; 3] = ["resultType", "ttlMs", "cacheScope"];

/// What kind of modern result a raw result is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResultType {
    /// The answer. Absent in results of older servers.
    Complete,
    /// The server asks; the request has to be sent again with answers.
    InputRequired,
    /// The server made a task of it.
    Task,
    /// A type of an extension.
    Other(String),
}

impl ResultType {
    /// Reads the raw `resultType`.
    pub fn of(raw: Option<&[u8]>) -> Self {
        match raw.and_then(crate::jsonrpc::text::string_value).as_deref() {
            None | Some("complete") => Self::Complete,
            Some("input_required") => Self::InputRequired,
            Some("task") => Self::Task,
            Some(other) => Self::Other(other.to_owned()),
        }
    }
}

/// Edits that make a legacy server's result fit a modern client: `resultType` always, `ttlMs` and
/// `cacheScope` where the method's results need them. Clients throw without (TypeScript v2, Python v2).
/// A legacy server says nothing about freshness, so the honest value is 0 and `private`.
/// Members that `has` says are there stay as they are.
pub fn to_modern(
    raw: &[u8],
    result: Range<usize>,
    method_name: &str,
    has: impl Fn(&str) -> bool,
) -> Vec<Edit> {
    let mut set = vec![("resultType", Bytes::from_static(b"\"complete\""))];
    if method::is_cacheable(method_name) {
        set.push(("ttlMs", Bytes::from_static(b"0")));
        set.push(("cacheScope", Bytes::from_static(b"\"private\"")));
    }
    set.retain(|(name, _)| !has(name));
    if set.is_empty() {
        return Vec::new();
    }
    insert_first(raw, result, &set)
}

/// Inserts members that are not there at the front of an object, so that a result of 100 MB is not
/// walked: the scan already knows its first members.
fn insert_first(raw: &[u8], result: Range<usize>, set: &[(&str, Bytes)]) -> Vec<Edit> {
    let text = &raw[result.clone()];
    if text.first() != Some(&b'{') {
        // No result of the protocol; it goes on as it is, since there is no place for members.
        return Vec::new();
    }
    let open = 1;
    let is_empty = text[open..].trim_ascii_start().starts_with(b"}");
    let mut with = Vec::new();
    for (index, (name, value)) in set.iter().enumerate() {
        if index > 0 {
            with.push(b',');
        }
        crate::jsonrpc::text::push_string(&mut with, name);
        with.push(b':');
        with.extend_from_slice(value);
    }
    if !is_empty {
        with.push(b',');
    }
    let at = result.start + open;
    vec![Edit {
        range: at..at,
        with: with.into(),
    }]
}

/// Edits that make a modern server's result fit a legacy client: the modern members go, and the server
/// info of `_meta`.
pub fn to_legacy(raw: &[u8], result: Range<usize>) -> Vec<Edit> {
    to_legacy_without(raw, result, &[], &[])
}

fn to_legacy_without(
    raw: &[u8],
    result: Range<usize>,
    also: &[&'static str],
    set: &[(&str, Bytes)],
) -> Vec<Edit> {
    let text = &raw[result.clone()];
    let mut remove: Vec<&str> = MODERN_MEMBERS.iter().chain(also).copied().collect();
    if let Some(inner) = members::member(text, "_meta") {
        let inner_text = &text[inner.clone()];
        let names: Vec<String> = members::members(inner_text)
            .iter()
            .map(|m| m.name(inner_text).into_owned())
            .collect();
        if names.iter().any(|name| name == meta::SERVER_INFO) {
            if names.len() == 1 {
                remove.push("_meta");
            } else {
                let mut edits = edit_object(raw, result.clone(), &remove, set);
                let at = result.start + inner.start..result.start + inner.end;
                edits.extend(edit_object(raw, at, &[meta::SERVER_INFO], &[]));
                return edits;
            }
        }
    }
    edit_object(raw, result, &remove, set)
}

/// Edits of [`to_legacy`] for a list whose pages were merged: its cursor goes too, and members are set.
pub fn list_to_legacy(raw: &[u8], result: Range<usize>, set: &[(&str, Bytes)]) -> Vec<Edit> {
    let mut edits = to_legacy_without(raw, result, &["nextCursor"], set);
    edits.sort_by_key(|edit| edit.range.start);
    edits
}

/// Edits that make a `server/discover` result an `initialize` result: what only the newer one has goes,
/// `set` comes, everything else stays as it was sent.
pub fn discovery_to_legacy(raw: &[u8], set: &[(&str, Bytes)]) -> Vec<Edit> {
    to_legacy_without(raw, 0..raw.len(), &["supportedVersions"], set)
}

/// Edits that make a modern tool result fit a legacy client of the given version: besides the members of
/// [`to_legacy`], structured content that is no object becomes text (both version 1 SDKs fail the
/// call otherwise), and content kinds that the version does not know become text.
pub fn call_to_legacy(raw: &[u8], result: Range<usize>, version: &str) -> Vec<Edit> {
    let text = &raw[result.clone()];
    let structured = members::member(text, "structuredContent")
        .map(|at| &text[at])
        .filter(|value| value.first() != Some(&b'{'));
    let content = members::member(text, "content");
    let mut edits = to_legacy(raw, result.clone());
    let mut blocks_edits = Vec::new();
    if let Some(content) = &content {
        let inside = &text[content.clone()];
        for block in members::elements(inside) {
            if let Some(with) = old_block(&inside[block.clone()], version) {
                let base = result.start + content.start;
                blocks_edits.push(Edit {
                    range: base + block.start..base + block.end,
                    with,
                });
            }
        }
    }
    if let Some(value) = structured {
        // Edits of one object are made together, so that commas come out right.
        edits = edit_object(
            raw,
            result.clone(),
            &["resultType", "ttlMs", "cacheScope", "structuredContent"],
            &[],
        );
        let is_empty = content
            .as_ref()
            .is_none_or(|at| members::elements(&text[at.clone()]).is_empty());
        if is_empty && let Some(content) = &content {
            let mut with = b"[{\"type\":\"text\",\"text\":".to_vec();
            crate::jsonrpc::text::push_string(&mut with, &String::from_utf8_lossy(value));
            with.extend_from_slice(b"}]");
            blocks_edits = vec![Edit {
                range: result.start + content.start..result.start + content.end,
                with: with.into(),
            }];
        }
    }
    edits.extend(blocks_edits);
    edits
}

/// Returns the text block that stands for a block which a version does not know.
fn old_block(block: &[u8], version: &str) -> Option<Bytes> {
    let note = match members::get_text(block, "type")?.as_str() {
        "audio" if version < "2025-03-26" => format!(
            "[audio, {}, not shown: protocol version {version} has no audio content]",
            members::get_text(block, "mimeType").unwrap_or_else(|| "unknown type".into())
        ),
        "resource_link" if version < "2025-06-18" => format!(
            "[resource {}: {}]",
            members::get_text(block, "name").unwrap_or_default(),
            members::get_text(block, "uri").unwrap_or_default()
        ),
        _ => return None,
    };
    let mut with = b"{\"type\":\"text\",\"text\":".to_vec();
    crate::jsonrpc::text::push_string(&mut with, &note);
    with.push(b'}');
    Some(with.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonrpc::write::splice;

    fn apply(raw: &str, edits: Vec<Edit>) -> String {
        let raw = Bytes::copy_from_slice(raw.as_bytes());
        String::from_utf8(splice(&raw, edits).to_bytes().to_vec()).unwrap()
    }

    #[test]
    fn results_gain_and_lose_the_modern_members() {
        let legacy = r#"{"tools":[],"_meta":{"a":1}}"#;
        let modern = apply(
            legacy,
            to_modern(legacy.as_bytes(), 0..legacy.len(), "tools/list", |_| false),
        );
        assert_eq!(
            modern,
            r#"{"resultType":"complete","ttlMs":0,"cacheScope":"private","tools":[],"_meta":{"a":1}}"#
        );
        assert_eq!(
            apply(&modern, to_legacy(modern.as_bytes(), 0..modern.len())),
            legacy
        );
        assert_eq!(
            apply("{}", to_modern(b"{}", 0..2, "tools/call", |_| false)),
            r#"{"resultType":"complete"}"#
        );
        let told = r#"{"resultType":"complete","content":[]}"#;
        let edits = to_modern(told.as_bytes(), 0..told.len(), "tools/call", |name| {
            name == "resultType"
        });
        assert_eq!(apply(told, edits), told, "no member comes twice");
        for odd in ["7", "null", r#"[1,{"a":2}]"#, r#""{""#] {
            let edits = to_modern(odd.as_bytes(), 0..odd.len(), "tools/list", |_| false);
            assert_eq!(apply(odd, edits), odd);
        }
        let info = r#"{"a":1,"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"x"}},"b":2}"#;
        assert_eq!(
            apply(info, to_legacy(info.as_bytes(), 0..info.len())),
            r#"{"a":1,"b":2}"#
        );
        let call = r#"{"resultType":"complete","content":[],"structuredContent":[1,2]}"#;
        assert_eq!(
            apply(
                call,
                call_to_legacy(call.as_bytes(), 0..call.len(), "2025-11-25")
            ),
            r#"{"content":[{"type":"text","text":"[1,2]"}]}"#
        );
        let kinds = r#"{"content":[{"type":"audio","data":"x","mimeType":"audio/wav"},{"type":"resource_link","uri":"a://b","name":"n"},{"type":"text","text":"t"}]}"#;
        let old = apply(
            kinds,
            call_to_legacy(kinds.as_bytes(), 0..kinds.len(), "2024-11-05"),
        );
        assert!(!old.contains("\"audio\"") && old.contains("a://b") && old.contains("\"t\""));
        assert_eq!(
            apply(
                kinds,
                call_to_legacy(kinds.as_bytes(), 0..kinds.len(), "2025-11-25")
            ),
            kinds
        );
        let both =
            r#"{"_meta":{"io.modelcontextprotocol/serverInfo":{},"k":1},"resultType":"complete"}"#;
        assert_eq!(
            apply(both, to_legacy(both.as_bytes(), 0..both.len())),
            r#"{"_meta":{"k":1}}"#
        );
    }
}
