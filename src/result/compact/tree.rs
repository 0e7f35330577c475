//! A JSON text as a flat list of nodes over its bytes. Numbers and strings stay spans of the text, so
//! that no digit and no escape is lost; building it is iterative and bounded in nodes and depth.
//!
//! A string that is itself a JSON text with the spacing of a common writer becomes an
//! [`Kind::Embedded`] node, so that tables can be found inside it.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// No node.
pub(super) const NONE: u32 = u32::MAX;

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `null`, `true` or `false`.
    Literal,
    /// A number, as its digits.
    Number,
    /// A string, as its raw inside without the quotes.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
    /// A string that holds a JSON text; the text is the only child.
    Embedded(Spacing),
}

/// How a JSON text inside a string is spaced. Only what can be written again exactly is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spacing {
    /// No spaces, as `JSON.stringify` writes.
    Compact,
    /// One space after every comma and colon, as Python's `json.dumps` writes.
    Spaced,
}

impl Spacing {
    /// Returns the separators after an element and after a key.
    pub(super) const fn separators(self) -> (&'static str, &'static str) {
        match self {
            Self::Compact => (",", ":"),
            Self::Spaced => (", ", ": "),
        }
    }
}

/// One value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    /// What it is.
    pub(super) kind: Kind,
    /// Where a scalar stands in [`Tree::text`].
    start: u32,
    end: u32,
    /// The interned key under which it stands in an object, or [`NONE`].
    pub(super) key: u32,
    /// The first child.
    pub(super) first: u32,
    /// The next value of the same container.
    pub(super) next: u32,
    /// Number of children.
    pub(super) n: u32,
    /// Equal values have equal hashes; the reverse is checked by decoding what was written.
    pub(super) hash: u64,
    /// The list of keys of an object ([`Tree::key_lists`]), or the container's place otherwise.
    pub(super) key_list: u32,
}

/// The bounds of one parse.
#[derive(Debug, Clone, Copy)]
pub(super) struct TreeBounds {
    /// Values in all.
    pub(super) nodes: usize,
    /// Open containers at once.
    pub(super) depth: usize,
}

/// A parsed text.
#[derive(Debug)]
pub(super) struct Tree {
    /// The text, followed by the unescaped insides of embedded texts.
    pub(super) text: String,
    /// All values; parents come before their children.
    pub(super) nodes: Vec<Node>,
    /// Raw keys without quotes, by their numbers.
    pub(super) keys: Vec<(u32, u32)>,
    /// Distinct lists of keys of objects.
    pub(super) key_lists: Vec<KeyList>,
    /// Whether some string is taken as an embedded text.
    pub(super) has_embedded: bool,
}

/// The keys of an object in order.
#[derive(Debug)]
pub(super) struct KeyList {
    /// Interned keys.
    pub(super) keys: Vec<u32>,
    /// Whether a key stands twice.
    pub(super) has_duplicate: bool,
}

impl Tree {
    /// Reads `text`. None where it is no JSON text or beyond the bounds. A bare scalar is no tree.
    pub(super) fn parse(text: &str, bounds: TreeBounds) -> Option<Self> {
        if text.len() > (NONE / 4) as usize {
            return None;
        }
        let mut builder = Builder::new(text.to_owned(), bounds);
        builder.value_at(0, text.len(), 0)?;
        builder.finish()
    }

    /// Returns the root.
    pub(super) const fn root(&self) -> u32 {
        0
    }

    /// Returns the raw text of a scalar.
    pub(super) fn raw(&self, node: &Node) -> &str {
        &self.text[node.start as usize..node.end as usize]
    }

    /// Returns a node.
    pub(super) fn node(&self, id: u32) -> &Node {
        &self.nodes[id as usize]
    }

    /// Returns a raw key without quotes.
    pub(super) fn key(&self, key: u32) -> &str {
        let (start, end) = self.keys[key as usize];
        &self.text[start as usize..end as usize]
    }

    /// Iterates over the children of a node.
    pub(super) fn children(&self, id: u32) -> Children<'_> {
        Children {
            tree: self,
            next: self.node(id).first,
        }
    }

    /// Writes a value without white space.
    pub(super) fn write(&self, id: u32, spacing: Spacing, out: &mut String) {
        let node = self.node(id);
        let (comma, colon) = spacing.separators();
        match node.kind {
            Kind::Literal | Kind::Number => out.push_str(self.raw(node)),
            Kind::String => {
                out.push('"');
                out.push_str(self.raw(node));
                out.push('"');
            }
            Kind::Embedded(_) => {
                out.push('"');
                out.push_str(self.raw(node));
                out.push('"');
            }
            Kind::Array => {
                out.push('[');
                for (n, child) in self.children(id).enumerate() {
                    if n > 0 {
                        out.push_str(comma);
                    }
                    self.write(child, spacing, out);
                }
                out.push(']');
            }
            Kind::Object => {
                out.push('{');
                for (n, child) in self.children(id).enumerate() {
                    if n > 0 {
                        out.push_str(comma);
                    }
                    out.push('"');
                    out.push_str(self.key(self.node(child).key));
                    out.push('"');
                    out.push_str(colon);
                    self.write(child, spacing, out);
                }
                out.push('}');
            }
        }
    }
}

/// The children of one node.
#[derive(Debug)]
pub(super) struct Children<'a> {
    tree: &'a Tree,
    next: u32,
}

impl Iterator for Children<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let id = self.next;
        if id == NONE {
            return None;
        }
        self.next = self.tree.node(id).next;
        Some(id)
    }
}

struct Open {
    node: u32,
    last: u32,
    keys_start: usize,
}

struct Builder {
    tree: Tree,
    bounds: TreeBounds,
    key_numbers: HashMap<Box<str>, u32>,
    list_numbers: HashMap<Box<[u32]>, u32>,
    /// Keys of the open objects, one after another.
    open_keys: Vec<u32>,
}

impl Builder {
    fn new(text: String, bounds: TreeBounds) -> Self {
        Self {
            tree: Tree {
                nodes: Vec::with_capacity((text.len() / 16).min(bounds.nodes)),
                text,
                keys: Vec::new(),
                key_lists: Vec::new(),
                has_embedded: false,
            },
            bounds,
            key_numbers: HashMap::new(),
            list_numbers: HashMap::new(),
            open_keys: Vec::new(),
        }
    }

    fn finish(self) -> Option<Tree> {
        let root = self.tree.nodes.first()?;
        matches!(root.kind, Kind::Array | Kind::Object).then_some(self.tree)
    }

    /// Reads the one JSON text at `at..end`; returns its node.
    fn value_at(&mut self, mut at: usize, end: usize, depth: usize) -> Option<u32> {
        let first_node = u32::try_from(self.tree.nodes.len()).ok()?;
        let mut open: Vec<Open> = Vec::new();
        let mut key = NONE;
        loop {
            // A value starts here.
            at = skip_space(self.bytes(), at, end);
            if self.tree.nodes.len() >= self.bounds.nodes {
                return None;
            }
            let id = u32::try_from(self.tree.nodes.len()).ok()?;
            if let Some(parent) = open.last_mut() {
                if parent.last == NONE {
                    self.tree.nodes[parent.node as usize].first = id;
                } else {
                    self.tree.nodes[parent.last as usize].next = id;
                }
                parent.last = id;
                self.tree.nodes[parent.node as usize].n += 1;
            }
            let byte = *self.bytes()[..end].get(at)?;
            let mut opened = false;
            match byte {
                b'{' | b'[' => {
                    if open.len() + depth >= self.bounds.depth {
                        return None;
                    }
                    let kind = if byte == b'{' {
                        Kind::Object
                    } else {
                        Kind::Array
                    };
                    self.push(kind, at, at, key);
                    open.push(Open {
                        node: id,
                        last: NONE,
                        keys_start: self.open_keys.len(),
                    });
                    at += 1;
                    opened = true;
                }
                b'"' => {
                    let (close, escapes) = string_end(self.bytes(), at, end)?;
                    self.push(Kind::String, at + 1, close, key);
                    if escapes && depth == 0 {
                        self.embed(id, open.len())?;
                    }
                    at = close + 1;
                }
                _ => {
                    let (kind, after) = scalar_end(self.bytes(), at, end)?;
                    self.push(kind, at, after, key);
                    at = after;
                }
            }
            key = NONE;
            // What follows a value or an opening bracket.
            loop {
                let Some(parent) = open.last() else {
                    at = skip_space(self.bytes(), at, end);
                    return (at == end).then_some(first_node);
                };
                let is_object = self.tree.nodes[parent.node as usize].kind == Kind::Object;
                at = skip_space(self.bytes(), at, end);
                let byte = *self.bytes()[..end].get(at)?;
                if byte == if is_object { b'}' } else { b']' } {
                    at += 1;
                    self.close(&mut open);
                    opened = false;
                    continue;
                }
                if !opened {
                    if byte != b',' {
                        return None;
                    }
                    at = skip_space(self.bytes(), at + 1, end);
                }
                if is_object {
                    if self.bytes()[..end].get(at) != Some(&b'"') {
                        return None;
                    }
                    let (close, _) = string_end(self.bytes(), at, end)?;
                    key = self.key(at + 1, close)?;
                    at = skip_space(self.bytes(), close + 1, end);
                    if self.bytes()[..end].get(at) != Some(&b':') {
                        return None;
                    }
                    at += 1;
                }
                break;
            }
        }
    }

    fn bytes(&self) -> &[u8] {
        self.tree.text.as_bytes()
    }

    fn push(&mut self, kind: Kind, start: usize, end: usize, key: u32) {
        let hash = match kind {
            Kind::String => hash_bytes(1, &self.bytes()[start..end]),
            Kind::Literal | Kind::Number => hash_bytes(2, &self.bytes()[start..end]),
            _ => 3,
        };
        self.tree.nodes.push(Node {
            kind,
            start: start as u32,
            end: end as u32,
            key,
            first: NONE,
            next: NONE,
            n: 0,
            hash,
            key_list: NONE,
        });
    }

    fn key(&mut self, start: usize, end: usize) -> Option<u32> {
        let name = self.tree.text.get(start..end)?;
        let number = match self.key_numbers.get(name) {
            Some(&number) => number,
            None => {
                let number = u32::try_from(self.tree.keys.len()).ok()?;
                self.key_numbers.insert(name.into(), number);
                self.tree.keys.push((start as u32, end as u32));
                number
            }
        };
        self.open_keys.push(number);
        Some(number)
    }

    fn close(&mut self, open: &mut Vec<Open>) {
        let Some(done) = open.pop() else { return };
        let is_object = self.tree.nodes[done.node as usize].kind == Kind::Object;
        if is_object {
            let keys = &self.open_keys[done.keys_start..];
            let number = match self.list_numbers.get(keys) {
                Some(&number) => number,
                None => {
                    let number = self.tree.key_lists.len() as u32;
                    self.list_numbers.insert(keys.into(), number);
                    let mut sorted = keys.to_vec();
                    sorted.sort_unstable();
                    let n_keys = sorted.len();
                    sorted.dedup();
                    self.tree.key_lists.push(KeyList {
                        has_duplicate: sorted.len() < n_keys,
                        keys: keys.to_vec(),
                    });
                    number
                }
            };
            self.tree.nodes[done.node as usize].key_list = number;
            self.open_keys.truncate(done.keys_start);
        }
        let mut hash = if is_object { 5 } else { 7 };
        let mut child = self.tree.nodes[done.node as usize].first;
        while child != NONE {
            let node = &self.tree.nodes[child as usize];
            if is_object {
                hash = mix(hash, u64::from(node.key));
            }
            hash = mix(hash, node.hash);
            child = node.next;
        }
        self.tree.nodes[done.node as usize].hash = hash;
    }

    /// Takes a string as an embedded text if it is one that can be written again exactly.
    fn embed(&mut self, id: u32, depth: usize) -> Option<()> {
        let node = self.tree.nodes[id as usize];
        let raw = &self.tree.text[node.start as usize..node.end as usize];
        let is_candidate = raw.starts_with(['{', '[']) && raw.ends_with(['}', ']']);
        if !is_candidate || raw.len() < 8 || depth + 8 > self.bounds.depth {
            return Some(());
        }
        let Some(inside) = plain_unescape(raw) else {
            return Some(());
        };
        let marks = (
            self.tree.text.len(),
            self.tree.nodes.len(),
            self.open_keys.len(),
            self.tree.keys.len(),
        );
        if marks.0 + inside.len() > (NONE / 2) as usize {
            return Some(());
        }
        self.tree.text.push_str(&inside);
        let end = self.tree.text.len();
        let first = self.value_at(marks.0, end, depth + 8);
        let spacing = first.and_then(|first| self.spacing_of(first, &inside));
        match (first, spacing) {
            (Some(first), Some(spacing)) => {
                let node = &mut self.tree.nodes[id as usize];
                node.kind = Kind::Embedded(spacing);
                node.first = first;
                node.n = 1;
                self.tree.has_embedded = true;
            }
            _ => {
                // Keys found there stay interned; their text must stay too.
                self.tree.nodes.truncate(marks.1);
                self.open_keys.truncate(marks.2);
                if self.tree.keys.len() == marks.3 {
                    self.tree.text.truncate(marks.0);
                }
            }
        }
        Some(())
    }

    fn spacing_of(&self, first: u32, inside: &str) -> Option<Spacing> {
        if !matches!(
            self.tree.nodes[first as usize].kind,
            Kind::Array | Kind::Object
        ) {
            return None;
        }
        let mut written = String::with_capacity(inside.len());
        [Spacing::Compact, Spacing::Spaced]
            .into_iter()
            .find(|&spacing| {
                written.clear();
                self.tree.write(first, spacing, &mut written);
                written == inside
            })
    }
}

/// Undoes the escapes `\"` and `\\` and `\n`, `\t`, `\r`; None where there is another one, so that
/// [`escape_into`] always gives the same text back.
fn plain_unescape(raw: &str) -> Option<String> {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        out.push(match rest.as_bytes().get(at + 1)? {
            b'"' => '"',
            b'\\' => '\\',
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            _ => return None,
        });
        rest = &rest[at + 2..];
    }
    out.push_str(rest);
    Some(out)
}

/// Writes `text` as the inside of a JSON string, the reverse of what embedding undid.
pub(super) fn escape_into(text: &str, out: &mut String) {
    for part in text.split_inclusive(['"', '\\', '\n', '\t', '\r']) {
        let (plain, escape) = match part.as_bytes().last() {
            Some(b'"') => (&part[..part.len() - 1], "\\\""),
            Some(b'\\') => (&part[..part.len() - 1], "\\\\"),
            Some(b'\n') => (&part[..part.len() - 1], "\\n"),
            Some(b'\t') => (&part[..part.len() - 1], "\\t"),
            Some(b'\r') => (&part[..part.len() - 1], "\\r"),
            _ => (part, ""),
        };
        out.push_str(plain);
        out.push_str(escape);
    }
}

fn skip_space(bytes: &[u8], mut at: usize, end: usize) -> usize {
    while at < end && matches!(bytes[at], b' ' | b'\t' | b'\r' | b'\n') {
        at += 1;
    }
    at
}

/// Returns where the closing quote of the string at `at` stands and whether it has escapes.
pub(super) fn string_end(bytes: &[u8], at: usize, end: usize) -> Option<(usize, bool)> {
    let mut i = at + 1;
    let mut escapes = false;
    while i < end {
        match bytes[i] {
            b'"' => return Some((i, escapes)),
            b'\\' => {
                escapes = true;
                match bytes[..end].get(i + 1)? {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => i += 2,
                    b'u' => {
                        let digits = bytes[..end].get(i + 2..i + 6)?;
                        if !digits.iter().all(u8::is_ascii_hexdigit) {
                            return None;
                        }
                        i += 6;
                    }
                    _ => return None,
                }
            }
            0..0x20 => return None,
            _ => i += 1,
        }
    }
    None
}

/// Reads a literal or a number by RFC 8259's grammar.
pub(super) fn scalar_end(bytes: &[u8], at: usize, end: usize) -> Option<(Kind, usize)> {
    let rest = &bytes[at..end];
    for literal in [&b"null"[..], b"true", b"false"] {
        if rest.starts_with(literal) {
            return Some((Kind::Literal, at + literal.len()));
        }
    }
    let digits = |from: usize| {
        let n = rest[from..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count();
        (n > 0).then_some(from + n)
    };
    let mut i = usize::from(rest.first() == Some(&b'-'));
    i = if rest.get(i) == Some(&b'0') {
        i + 1
    } else {
        digits(i)?
    };
    if rest.get(i) == Some(&b'.') {
        i = digits(i + 1)?;
    }
    if matches!(rest.get(i), Some(b'e' | b'E')) {
        i += 1;
        if matches!(rest.get(i), Some(b'+' | b'-')) {
            i += 1;
        }
        i = digits(i)?;
    }
    Some((Kind::Number, at + i))
}

fn mix(hash: u64, value: u64) -> u64 {
    (hash.rotate_left(23) ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

pub(super) fn hash_bytes(seed: u64, bytes: &[u8]) -> u64 {
    let mut hash = mix(seed, bytes.len() as u64);
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let word = chunk.try_into().map_or(0, u64::from_le_bytes);
        hash = mix(hash, word);
    }
    let mut last = 0;
    for &byte in chunks.remainder() {
        last = last << 8 | u64::from(byte);
    }
    mix(hash, last)
}

/// A hasher for keys that are hashes already.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Ready(u64);

impl Hasher for Ready {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = hash_bytes(self.0, bytes);
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = mix(self.0, value);
    }

    fn write_u32(&mut self, value: u32) {
        self.0 = mix(self.0, u64::from(value));
    }
}

/// Builds [`Ready`] hashers.
pub(super) type ReadyState = BuildHasherDefault<Ready>;
