//! An ordered tree over one JSON text: every node knows its raw text, every member its place, so
//! that members can be left out and everything else is written again byte for byte. Keeps duplicate
//! keys. Bounded in depth and number of nodes; it may not change a value.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use memchr::memchr2;

use crate::catalog::tool_view::string_text;

/// Keys of an object that are compared one by one.
const FEW: usize = 12;

/// One JSON value.
#[derive(Debug)]
pub(crate) struct Node<'a> {
    /// Its text as written.
    pub(crate) raw: &'a str,
    pub(crate) kind: Kind<'a>,
}

#[derive(Debug)]
pub(crate) enum Kind<'a> {
    Object(Vec<Member<'a>>),
    Array(Vec<Node<'a>>),
    /// The text without quotes and escapes.
    String(Cow<'a, str>),
    /// Number, `true`, `false`, `null`.
    Other,
}

/// One member of an object.
#[derive(Debug)]
pub(crate) struct Member<'a> {
    /// Byte offset of the key in the whole text: the identity of this member.
    pub(crate) at: usize,
    /// The key as written, with quotes.
    pub(crate) key_raw: &'a str,
    pub(crate) key: Cow<'a, str>,
    pub(crate) value: Node<'a>,
}

impl Member<'_> {
    /// The bytes of the whole text that key and value take.
    pub(crate) fn span(&self) -> Range<usize> {
        let value_at = self.value.raw.as_ptr() as usize - self.key_raw.as_ptr() as usize;
        self.at..self.at + value_at + self.value.raw.len()
    }
}

/// What becomes of a member when its object is written again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Edit<'e> {
    /// It stays; its insides are asked for in turn.
    Keep,
    /// It goes.
    Remove,
    /// Its value is this JSON.
    Replace(Cow<'e, str>),
}

/// Why a text has no tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TreeError {
    Malformed,
    TooDeep,
    TooManyNodes,
}

impl<'a> Node<'a> {
    /// Reads a text into a tree of at most `max_nodes` nodes nested at most `max_depth` deep.
    pub(crate) fn parse(
        text: &'a str,
        max_depth: usize,
        max_nodes: usize,
    ) -> Result<Self, TreeError> {
        // serde_json decides what JSON is (without recursion); the scanner below may rely on it.
        serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|_| TreeError::Malformed)?;
        let mut scanner = Scanner {
            text,
            at: 0,
            nodes_left: max_nodes,
        };
        scanner.value(max_depth)
    }

    pub(crate) fn members(&self) -> &[Member<'a>] {
        match &self.kind {
            Kind::Object(members) => members,
            _ => &[],
        }
    }

    pub(crate) fn is_object(&self) -> bool {
        matches!(self.kind, Kind::Object(_))
    }

    pub(crate) fn member(&self, key: &str) -> Option<&Member<'a>> {
        self.members().iter().find(|member| member.key == key)
    }

    /// The text of a member that is a string.
    pub(crate) fn string(&self, key: &str) -> Option<&str> {
        self.member(key)?.value.as_str()
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::String(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the JSON Pointer of the first key that is written twice in one object.
    pub(crate) fn duplicate_key(&self) -> Option<String> {
        match &self.kind {
            Kind::Object(members) => {
                let mut seen = HashSet::new();
                members.iter().enumerate().find_map(|(n, member)| {
                    // A few are compared faster than they are hashed.
                    let is_twice = match members.len() <= FEW {
                        true => members[..n].iter().any(|before| before.key == member.key),
                        false => !seen.insert(member.key.as_ref()),
                    };
                    let token = || member.key.replace('~', "~0").replace('/', "~1");
                    if is_twice {
                        return Some(format!("/{}", token()));
                    }
                    let below = member.value.duplicate_key()?;
                    Some(format!("/{}{below}", token()))
                })
            }
            Kind::Array(items) => items
                .iter()
                .enumerate()
                .find_map(|(n, item)| Some(format!("/{n}{}", item.duplicate_key()?))),
            Kind::String(_) | Kind::Other => None,
        }
    }

    /// Writes the value without insignificant whitespace, and what `edit` says in place of members.
    pub(crate) fn render_edited<'e>(
        &self,
        edit: &dyn Fn(&Member<'_>) -> Edit<'e>,
        text: &mut String,
    ) {
        match &self.kind {
            Kind::Object(members) => {
                let mut separator = '{';
                for member in members {
                    let edited = edit(member);
                    if matches!(edited, Edit::Remove) {
                        continue;
                    }
                    text.push(separator);
                    separator = ',';
                    text.push_str(member.key_raw);
                    text.push(':');
                    match edited {
                        Edit::Replace(value) => text.push_str(&value),
                        _ => member.value.render_edited(edit, text),
                    }
                }
                if separator == '{' {
                    text.push('{');
                }
                text.push('}');
            }
            Kind::Array(items) => {
                text.push('[');
                for (n, item) in items.iter().enumerate() {
                    if n > 0 {
                        text.push(',');
                    }
                    item.render_edited(edit, text);
                }
                text.push(']');
            }
            Kind::String(_) | Kind::Other => text.push_str(self.raw),
        }
    }

    /// Writes the value without insignificant whitespace and without the members in `removed`.
    pub(crate) fn render(&self, removed: &HashSet<usize>, text: &mut String) {
        match &self.kind {
            Kind::Object(members) => {
                let mut separator = '{';
                for member in members
                    .iter()
                    .filter(|member| !removed.contains(&member.at))
                {
                    text.push(separator);
                    separator = ',';
                    text.push_str(member.key_raw);
                    text.push(':');
                    member.value.render(removed, text);
                }
                if separator == '{' {
                    text.push('{');
                }
                text.push('}');
            }
            Kind::Array(items) => {
                text.push('[');
                for (n, item) in items.iter().enumerate() {
                    if n > 0 {
                        text.push(',');
                    }
                    item.render(removed, text);
                }
                text.push(']');
            }
            Kind::String(_) | Kind::Other => text.push_str(self.raw),
        }
    }
}

/// Walks a text that is known to be valid JSON.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
    nodes_left: usize,
}

impl<'a> Scanner<'a> {
    fn value(&mut self, depth_left: usize) -> Result<Node<'a>, TreeError> {
        let Some(depth_left) = depth_left.checked_sub(1) else {
            return Err(TreeError::TooDeep);
        };
        let Some(nodes_left) = self.nodes_left.checked_sub(1) else {
            return Err(TreeError::TooManyNodes);
        };
        self.nodes_left = nodes_left;
        self.skip_whitespace();
        let start = self.at;
        let kind = match self.peek() {
            Some(b'{') => self.object(depth_left)?,
            Some(b'[') => self.array(depth_left)?,
            Some(b'"') => Kind::String(self.string()?.1),
            Some(_) => self.scalar(),
            None => return Err(TreeError::Malformed),
        };
        Ok(Node {
            raw: &self.text[start..self.at],
            kind,
        })
    }

    fn object(&mut self, depth_left: usize) -> Result<Kind<'a>, TreeError> {
        let mut members = Vec::new();
        self.at += 1;
        loop {
            self.skip_whitespace();
            match self.peek() {
                Some(b'}') => break,
                Some(b',') => self.at += 1,
                Some(b'"') => {
                    let at = self.at;
                    let (key_raw, key) = self.string()?;
                    self.skip_whitespace();
                    self.at += 1; // the colon
                    let value = self.value(depth_left)?;
                    members.push(Member {
                        at,
                        key_raw,
                        key,
                        value,
                    });
                }
                _ => return Err(TreeError::Malformed),
            }
        }
        self.at += 1;
        Ok(Kind::Object(members))
    }

    fn array(&mut self, depth_left: usize) -> Result<Kind<'a>, TreeError> {
        let mut items = Vec::new();
        self.at += 1;
        loop {
            self.skip_whitespace();
            match self.peek() {
                Some(b']') => break,
                Some(b',') => self.at += 1,
                Some(_) => items.push(self.value(depth_left)?),
                None => return Err(TreeError::Malformed),
            }
        }
        self.at += 1;
        Ok(Kind::Array(items))
    }

    /// Returns the string at the cursor, as written and as meant. Lone surrogates have no meaning
    /// as text, so a text with them is refused.
    fn string(&mut self) -> Result<(&'a str, Cow<'a, str>), TreeError> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        self.at += 1;
        loop {
            let rest = bytes.get(self.at..).ok_or(TreeError::Malformed)?;
            self.at += memchr2(b'"', b'\\', rest).ok_or(TreeError::Malformed)?;
            if bytes[self.at] == b'"' {
                break;
            }
            self.at += 2;
        }
        self.at += 1;
        let raw = self.text.get(start..self.at).ok_or(TreeError::Malformed)?;
        Ok((raw, string_text(raw).ok_or(TreeError::Malformed)?))
    }

    fn scalar(&mut self) -> Kind<'a> {
        while let Some(byte) = self.peek() {
            if matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r') {
                break;
            }
            self.at += 1;
        }
        Kind::Other
    }

    fn skip_whitespace(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}
