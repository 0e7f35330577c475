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
pub fn to_modern(raw: &[u8], result: Range<usize>, method_name: &str) -> Vec<Edit> {
    let mut set = vec![("resultType", Bytes::from_static(b"\"complete\""))];
    if method::is_cacheable(method_name) {
        set.push(("ttlMs", Bytes::from_static(b"0")));
        set.push(("cacheScope", Bytes::from_static(b"\"private\"")));
    }
    insert_first(raw, result, &set)
}

/// Inserts members that are not there at the front of an object, so that a result of 100 MB is not
/// walked: the scan already knows its first members.
fn insert_first(raw: &[u8], result: Range<usize>, set: &[(&str, Bytes)]) -> Vec<Edit> {
    let text = &raw[result.clone()];
    let open = text.iter().position(|b| *b == b'{').map_or(0, |n| n + 1);
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
    let text = &raw[result.clone()];
    let mut remove: Vec<&str> = MODERN_MEMBERS.to_vec();
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
                let mut edits = edit_object(raw, result.clone(), &remove, &[]);
                let at = result.start + inner.start..result.start + inner.end;
                edits.extend(edit_object(raw, at, &[meta::SERVER_INFO], &[]));
                return edits;
            }
        }
    }
    edit_object(raw, result, &remove, &[])
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
        let modern = apply(legacy, to_modern(legacy.as_bytes(), 0..legacy.len(), "tools/list"));
        assert_eq!(
            modern,
            r#"{"resultType":"complete","ttlMs":0,"cacheScope":"private","tools":[],"_meta":{"a":1}}"#
        );
        assert_eq!(apply(&modern, to_legacy(modern.as_bytes(), 0..modern.len())), legacy);
        assert_eq!(
            apply("{}", to_modern(b"{}", 0..2, "tools/call")),
            r#"{"resultType":"complete"}"#
        );
        let info = r#"{"a":1,"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"x"}},"b":2}"#;
        assert_eq!(
            apply(info, to_legacy(info.as_bytes(), 0..info.len())),
            r#"{"a":1,"b":2}"#
        );
        let both = r#"{"_meta":{"io.modelcontextprotocol/serverInfo":{},"k":1},"resultType":"complete"}"#;
        assert_eq!(
            apply(both, to_legacy(both.as_bytes(), 0..both.len())),
            r#"{"_meta":{"k":1}}"#
        );
    }
}
