//! Raw JSON walked in one pass and without recursion: no nesting is too deep to be looked at, or costs more than
//! its bytes.

use crate::jsonrpc::members::skip_string;

/// What is done with what a walk comes by.
pub(in crate::policy) trait Visitor {
    /// What a value is, by where it stands.
    type Place: Copy;

    /// Takes the raw key of a member; returns what its value is.
    fn member(&mut self, of: Self::Place, key: &[u8]) -> Self::Place;

    /// Returns what an element of an array is.
    fn element(&mut self, of: Self::Place, index: usize) -> Self::Place;

    /// Takes a raw string that is a value, and where it stands in the text.
    fn string(&mut self, place: Self::Place, raw: &[u8], at: usize);
}

/// A container on the way to where the walk is.
struct Open<P> {
    place: P,
    is_object: bool,
    /// What the value behind the last key is; none before a key.
    next: Option<P>,
    /// Elements that are behind.
    index: usize,
}

/// Walks a raw value. A text that is not JSON is walked as far as it looks like it, and never a panic.
pub(in crate::policy) fn walk<V: Visitor>(raw: &[u8], root: V::Place, visitor: &mut V) {
    let mut open: Vec<Open<V::Place>> = Vec::new();
    let mut at = 0;
    while let Some(byte) = raw.get(at) {
        match byte {
            b'"' => {
                let end = skip_string(raw, at);
                let string = &raw[at..end];
                let is_key = |top: &&mut Open<V::Place>| top.is_object && top.next.is_none();
                if let Some(top) = open.last_mut().filter(is_key) {
                    top.next = Some(visitor.member(top.place, string));
                } else {
                    let place = next_place(open.last(), root, visitor);
                    visitor.string(place, string, at);
                }
                at = end;
                continue;
            }
            b'{' | b'[' => {
                let place = next_place(open.last(), root, visitor);
                open.push(Open {
                    place,
                    is_object: *byte == b'{',
                    next: None,
                    index: 0,
                });
            }
            b'}' | b']' => {
                open.pop();
                if open.is_empty() {
                    return;
                }
            }
            b',' => {
                if let Some(top) = open.last_mut() {
                    top.next = None;
                    top.index += 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
}

fn next_place<V: Visitor>(
    top: Option<&Open<V::Place>>,
    root: V::Place,
    visitor: &mut V,
) -> V::Place {
    match top {
        None => root,
        Some(top) if top.is_object => top.next.unwrap_or(top.place),
        Some(top) => visitor.element(top.place, top.index),
    }
}
