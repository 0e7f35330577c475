//! Messages on their way out: raw bytes with splices, never a re-serialised body.

use std::ops::Range;

use bytes::Bytes;

use super::error::ErrorObject;
use super::id::RequestId;
use super::members::members;
use super::text::push_string;

/// One JSON text as pieces to be written one after another, so that replacing an id in a message of
/// 100 MB copies the id only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outgoing {
    pieces: Vec<Bytes>,
}

impl Outgoing {
    /// Returns the pieces.
    pub fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    /// Takes the pieces.
    pub fn into_pieces(self) -> Vec<Bytes> {
        self.pieces
    }

    /// Returns the length in bytes.
    pub fn len(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }

    /// Tells whether nothing would be written.
    pub fn is_empty(&self) -> bool {
        self.pieces.iter().all(Bytes::is_empty)
    }

    /// Appends a piece.
    pub fn push(&mut self, piece: impl Into<Bytes>) {
        let piece = piece.into();
        if !piece.is_empty() {
            self.pieces.push(piece);
        }
    }

    /// Returns the text in one piece; copies unless it is one already.
    pub fn to_bytes(&self) -> Bytes {
        match self.pieces.as_slice() {
            [one] => one.clone(),
            pieces => pieces.concat().into(),
        }
    }
}

impl From<Bytes> for Outgoing {
    fn from(raw: Bytes) -> Self {
        Self { pieces: vec![raw] }
    }
}

impl From<Vec<u8>> for Outgoing {
    fn from(raw: Vec<u8>) -> Self {
        Bytes::from(raw).into()
    }
}

/// A replacement of a part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// What is replaced; an empty range inserts.
    pub range: Range<usize>,
    /// What stands there afterwards.
    pub with: Bytes,
}

/// Applies edits to a text. They must not overlap; their order does not matter, but edits at one place
/// are applied in the order given.
pub fn splice(raw: &Bytes, mut edits: Vec<Edit>) -> Outgoing {
    edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
    let mut out = Outgoing::default();
    let mut at = 0;
    for edit in edits {
        debug_assert!(edit.range.start >= at, "edits overlap");
        if edit.range.start > at {
            out.push(raw.slice(at..edit.range.start));
        }
        out.push(edit.with);
        at = edit.range.end;
    }
    if at < raw.len() {
        out.push(raw.slice(at..));
    }
    out
}

/// Edits that remove and set members of the raw object at `object` inside `raw`.
///
/// A member that is set keeps its place if it is there, else it is put last; commas come out right.
pub fn edit_object(
    raw: &[u8],
    object: Range<usize>,
    remove: &[&str],
    set: &[(&str, Bytes)],
) -> Vec<Edit> {
    let text = &raw[object.clone()];
    let all = members(text);
    let removed =
        |name: &str| remove.contains(&name) && !set.iter().any(|(set_name, _)| *set_name == name);
    let mut edits = Vec::new();
    let keeps: Vec<bool> = all.iter().map(|m| !removed(&m.name(text))).collect();
    let mut kept_before = false;
    for (index, member) in all.iter().enumerate() {
        if keeps[index] {
            if let Some((_, value)) = set.iter().find(|(name, _)| *name == member.name(text)) {
                edits.push(Edit {
                    range: object.start + member.value.start..object.start + member.value.end,
                    with: value.clone(),
                });
            }
            kept_before = true;
            continue;
        }
        // Takes one comma along: the one before where something stays before, else the one after.
        let range = if kept_before {
            all[index - 1].value.end..member.value.end
        } else if let Some(next) = all.get(index + 1) {
            member.key.start..next.key.start
        } else {
            member.key.start..member.value.end
        };
        edits.push(Edit {
            range: object.start + range.start..object.start + range.end,
            with: Bytes::new(),
        });
    }
    let mut added = Vec::new();
    let mut any = keeps.contains(&true);
    for (name, value) in set {
        if all.iter().any(|m| m.name(text) == *name) {
            continue;
        }
        if any {
            added.push(b',');
        }
        any = true;
        push_string(&mut added, name);
        added.push(b':');
        added.extend_from_slice(value);
    }
    if !added.is_empty() {
        let end = object.end - 1;
        edits.push(Edit {
            range: end..end,
            with: added.into(),
        });
    }
    edits
}

/// Renders a request.
pub fn request(id: &RequestId, method: &str, params: Option<&[u8]>) -> Vec<u8> {
    let mut out = b"{\"jsonrpc\":\"2.0\",\"id\":".to_vec();
    out.extend_from_slice(id.raw());
    out.push(b',');
    push_call(&mut out, method, params);
    out
}

/// Renders a notification.
pub fn notification(method: &str, params: Option<&[u8]>) -> Vec<u8> {
    let mut out = b"{\"jsonrpc\":\"2.0\",".to_vec();
    push_call(&mut out, method, params);
    out
}

fn push_call(out: &mut Vec<u8>, method: &str, params: Option<&[u8]>) {
    out.extend_from_slice(b"\"method\":");
    push_string(out, method);
    if let Some(params) = params {
        out.extend_from_slice(b",\"params\":");
        out.extend_from_slice(params);
    }
    out.push(b'}');
}

/// Renders a response whose result is given as raw pieces.
pub fn response(id: &RequestId, result: Outgoing) -> Outgoing {
    let mut head = b"{\"jsonrpc\":\"2.0\",\"id\":".to_vec();
    head.extend_from_slice(id.raw());
    head.extend_from_slice(b",\"result\":");
    let mut out = Outgoing::from(head);
    for piece in result.into_pieces() {
        out.push(piece);
    }
    out.push(Bytes::from_static(b"}"));
    out
}

/// Renders an error response. Without an id it says that the request could not be read.
pub fn error_response(id: Option<&RequestId>, error: &ErrorObject) -> Outgoing {
    let mut out = b"{\"jsonrpc\":\"2.0\",\"id\":".to_vec();
    out.extend_from_slice(id.map_or(b"null", |id| id.raw()));
    out.extend_from_slice(b",\"error\":");
    out.extend_from_slice(&error.render());
    out.push(b'}');
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(raw: &str, remove: &[&str], set: &[(&str, &'static str)]) -> String {
        let raw = Bytes::copy_from_slice(raw.as_bytes());
        let set: Vec<(&str, Bytes)> = set.iter().map(|(k, v)| (*k, Bytes::from(*v))).collect();
        let edits = edit_object(&raw, 0..raw.len(), remove, &set);
        String::from_utf8(splice(&raw, edits).to_bytes().to_vec()).unwrap()
    }

    #[test]
    fn object_edits_leave_the_rest_and_valid_commas() {
        for (raw, remove, set, expected) in [
            (
                r#"{"a":1,"b":2,"c":3}"#,
                &["a"][..],
                &[][..],
                r#"{"b":2,"c":3}"#,
            ),
            (r#"{"a":1,"b":2,"c":3}"#, &["b"], &[], r#"{"a":1,"c":3}"#),
            (r#"{"a":1,"b":2,"c":3}"#, &["c"], &[], r#"{"a":1,"b":2}"#),
            (r#"{"a":1,"b":2,"c":3}"#, &["a", "b"], &[], r#"{"c":3}"#),
            (r#"{"a":1,"b":2,"c":3}"#, &["b", "c"], &[], r#"{"a":1}"#),
            (r#"{"a":1,"b":2,"c":3}"#, &["a", "c"], &[], r#"{"b":2}"#),
            (r#"{"a":1,"b":2}"#, &["a", "b"], &[], "{}"),
            (r#"{"a":1,"b":2}"#, &["a", "b"], &[("x", "9")], r#"{"x":9}"#),
            ("{}", &[], &[("x", "9"), ("y", "[]")], r#"{"x":9,"y":[]}"#),
            (
                r#"{ "a" : 1 }"#,
                &[],
                &[("a", "2"), ("b", "3")],
                r#"{ "a" : 2 ,"b":3}"#,
            ),
        ] {
            assert_eq!(
                edited(raw, remove, set),
                expected,
                "{raw} -{remove:?} +{set:?}"
            );
        }
    }

    #[test]
    fn nothing_is_copied_that_stays() {
        let raw = Bytes::from(vec![b'x'; 1000]);
        let out = splice(
            &raw,
            vec![Edit {
                range: 10..11,
                with: Bytes::from_static(b"yy"),
            }],
        );
        assert_eq!(out.len(), 1001);
        assert_eq!(out.pieces()[2].as_ptr(), raw[11..].as_ptr());
    }
}
