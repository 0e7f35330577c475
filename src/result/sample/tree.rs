//! A value (JSON or Python literals) as spans over its text: one flat arena in document order, read
//! without recursion, so that neither depth nor length can hurt. Pure.
//!
//! Nothing is decoded: digits, escapes and key order stay as they were sent, and a part of the value
//! is written from the same slices.

/// Nesting that is looked into; a deeper text is not taken for a value.
const DEPTH: usize = 128;
/// Values of one text, at most: 32 bytes each, so 160 MB for a while, which a text of 50 MB takes.
const NODES: usize = 5_000_000;
/// Text that is looked at, at most; offsets are 32 bits.
const BYTES: usize = 256 << 20;

/// Members from which on an object may be a map.
const MAP_MEMBERS: u32 = 48;

/// How the value is spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// RFC 8259.
    Json,
    /// What Python's `repr` prints of lists, tuples and dicts.
    Python,
}

/// What kind of value a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Members with keys.
    Object,
    /// Elements without.
    Array,
    /// A string, in its quotes.
    Text,
    /// A number as spelled.
    Number,
    /// `true`, `None` and their like.
    Word,
}

/// One value: where it stands and how large it is without white space.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    start: u32,
    end: u32,
    key_start: u32,
    key_end: u32,
    /// The first node after this one and all that is in it.
    pub(super) after: u32,
    /// Bytes of the value, written without white space between tokens.
    pub(super) size: u32,
    /// Members or elements.
    pub(super) count: u32,
    pub(super) shape: Shape,
}

/// The number of a node in its tree; the root is 0.
pub(super) type Id = u32;

/// The arena.
pub(super) struct Tree<'a> {
    pub(super) text: &'a str,
    pub(super) dialect: Dialect,
    nodes: Vec<Node>,
}

impl<'a> Tree<'a> {
    /// Reads `text` as one array or object in either dialect.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        if text.len() > BYTES || !text.trim_start().starts_with(['{', '[']) {
            return None;
        }
        [Dialect::Json, Dialect::Python]
            .into_iter()
            .find_map(|dialect| {
                let nodes = Reader {
                    bytes: text.as_bytes(),
                    at: 0,
                    dialect,
                }
                .read()?;
                Some(Self {
                    text,
                    dialect,
                    nodes,
                })
            })
    }

    pub(super) fn node(&self, id: Id) -> &Node {
        &self.nodes[id as usize]
    }

    /// The value as it was spelled.
    pub(super) fn raw(&self, id: Id) -> &'a str {
        let node = self.node(id);
        &self.text[node.start as usize..node.end as usize]
    }

    /// The key with its quotes; empty for elements.
    pub(super) fn key(&self, id: Id) -> &'a str {
        let node = self.node(id);
        &self.text[node.key_start as usize..node.key_end as usize]
    }

    /// The key of a member without quotes and escapes.
    pub(super) fn name(&self, id: Id) -> String {
        self.plain(self.key(id))
    }

    /// A key as spelled, without quotes and escapes.
    pub(super) fn plain(&self, key: &str) -> String {
        match self.dialect {
            Dialect::Json => serde_json::from_str(key).unwrap_or_else(|_| key.to_owned()),
            Dialect::Python => key.trim_matches(['\'', '"']).to_owned(),
        }
    }

    /// Whether an object's keys are data: very many members, nearly all of one shape.
    pub(super) fn is_map(&self, id: Id) -> bool {
        let node = self.node(id);
        if node.shape != Shape::Object || node.count <= MAP_MEMBERS {
            return false;
        }
        let mut shapes = [0_u32; 5];
        for child in self.children(id) {
            shapes[self.node(child).shape as usize] += 1;
        }
        shapes.into_iter().max().unwrap_or(0) * 10 >= node.count * 9
    }

    /// Bytes that a child costs in its parent beside its value: key, colon, comma.
    pub(super) fn overhead(&self, id: Id) -> usize {
        let node = self.node(id);
        let key = (node.key_end - node.key_start) as usize;
        1 + if key > 0 { key + 1 } else { 0 }
    }

    pub(super) fn is_container(&self, id: Id) -> bool {
        matches!(self.node(id).shape, Shape::Object | Shape::Array)
    }

    /// Members or elements, in order.
    pub(super) fn children(&self, id: Id) -> impl Iterator<Item = Id> + '_ {
        let end = self.node(id).after;
        let mut next = id + 1;
        std::iter::from_fn(move || {
            (next < end).then(|| {
                let child = next;
                next = self.node(child).after;
                child
            })
        })
    }

    /// The pointer to a node (RFC 6901).
    pub(super) fn pointer(&self, id: Id) -> Option<String> {
        let mut pointer = String::new();
        let mut at = 0;
        while at != id {
            let (position, child) = self
                .children(at)
                .enumerate()
                .find(|&(_, child)| (child..self.node(child).after).contains(&id))?;
            pointer.push('/');
            match self.node(at).shape {
                Shape::Array => pointer.push_str(&position.to_string()),
                _ => pointer.push_str(&super::profile::step(&self.name(child))),
            }
            at = child;
        }
        Some(pointer)
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Writes the brackets of a container around what `inside` writes.
    pub(super) fn brackets(&self, id: Id) -> (&'static str, &'static str) {
        match (self.node(id).shape, self.raw(id).as_bytes().first()) {
            (Shape::Object, _) => ("{", "}"),
            (_, Some(b'(')) => ("(", ")"),
            _ => ("[", "]"),
        }
    }

    /// What stands between elements, and between key and value.
    pub(super) fn separators(&self) -> (&'static str, &'static str) {
        match self.dialect {
            Dialect::Json => (",", ":"),
            Dialect::Python => (", ", ": "),
        }
    }

    /// Writes a value whole, without white space between tokens. Depth is bounded by the reader.
    pub(super) fn write(&self, id: Id, out: &mut String) {
        if !self.is_container(id) {
            out.push_str(self.raw(id));
            return;
        }
        let (open, close) = self.brackets(id);
        let (comma, colon) = self.separators();
        out.push_str(open);
        for (index, child) in self.children(id).enumerate() {
            if index > 0 {
                out.push_str(comma);
            }
            let key = self.key(child);
            if !key.is_empty() {
                out.push_str(key);
                out.push_str(colon);
            }
            self.write(child, out);
        }
        if open == "(" && self.node(id).count == 1 {
            out.push(',');
        }
        out.push_str(close);
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    dialect: Dialect,
}

/// What may come next in an open container.
struct Open {
    id: usize,
    close: u8,
    is_object: bool,
}

impl Reader<'_> {
    fn read(mut self) -> Option<Vec<Node>> {
        let mut nodes: Vec<Node> = Vec::with_capacity(self.bytes.len() / 24 + 1);
        let mut open: Vec<Open> = Vec::new();
        loop {
            // A value is due.
            self.space();
            let mut key = (0, 0);
            if let Some(parent) = open.last() {
                let parent_close = parent.close;
                if self.peek() == Some(parent_close) {
                    // `[]`, `{}`; Python also ends with a comma.
                    let is_empty = nodes[parent.id].count == 0;
                    if !is_empty && self.dialect == Dialect::Json {
                        return None;
                    }
                    self.at += 1;
                    self.close(&mut nodes, &mut open);
                    if self.after_value(&mut nodes, &mut open)? {
                        return Some(nodes);
                    }
                    continue;
                }
                if parent.is_object {
                    let start = self.at;
                    match self.peek()? {
                        b'"' => self.string(b'"')?,
                        b'\'' if self.dialect == Dialect::Python => self.string(b'\'')?,
                        _ if self.dialect == Dialect::Python => self.scalar()?,
                        _ => return None,
                    }
                    key = (start, self.at);
                    self.space();
                    self.expect(b':')?;
                    self.space();
                }
                let parent = open.last()?.id;
                nodes[parent].count += 1;
            }
            if nodes.len() >= NODES {
                return None;
            }
            let start = self.at;
            let (shape, close) = match self.peek()? {
                b'{' => (Shape::Object, Some(b'}')),
                b'[' => (Shape::Array, Some(b']')),
                b'(' if self.dialect == Dialect::Python => (Shape::Array, Some(b')')),
                b'"' => (Shape::Text, None),
                b'\'' if self.dialect == Dialect::Python => (Shape::Text, None),
                b'-' | b'0'..=b'9' => (Shape::Number, None),
                _ => (Shape::Word, None),
            };
            let mut node = Node {
                start: start as u32,
                end: 0,
                key_start: key.0 as u32,
                key_end: key.1 as u32,
                after: nodes.len() as u32 + 1,
                size: 0,
                count: 0,
                shape,
            };
            if let Some(close) = close {
                if open.len() >= DEPTH {
                    return None;
                }
                self.at += 1;
                open.push(Open {
                    id: nodes.len(),
                    close,
                    is_object: shape == Shape::Object,
                });
                node.size = 2;
                nodes.push(node);
                continue;
            }
            match shape {
                Shape::Text => self.string(self.peek()?)?,
                _ => self.scalar()?,
            }
            node.end = self.at as u32;
            node.size = node.end - node.start;
            nodes.push(node);
            let last = nodes.len() - 1;
            add_to_parent(&mut nodes, &open, last);
            if self.after_value(&mut nodes, &mut open)? {
                return Some(nodes);
            }
        }
    }

    /// Closes the innermost container, which ends before `self.at`.
    fn close(&self, nodes: &mut [Node], open: &mut Vec<Open>) {
        let Some(closed) = open.pop() else { return };
        let after = nodes.len() as u32;
        let node = &mut nodes[closed.id];
        node.end = self.at as u32;
        node.after = after;
        add_to_parent(nodes, open, closed.id);
    }

    /// Reads commas and closing brackets up to the next value; `true` at the end of the text.
    fn after_value(&mut self, nodes: &mut [Node], open: &mut Vec<Open>) -> Option<bool> {
        loop {
            self.space();
            let Some(parent) = open.last() else {
                return (self.at == self.bytes.len()).then_some(true);
            };
            match self.peek()? {
                b',' => {
                    self.at += 1;
                    return Some(false);
                }
                byte if byte == parent.close => {
                    self.at += 1;
                    self.close(nodes, open);
                }
                _ => return None,
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn string(&mut self, quote: u8) -> Option<()> {
        self.at += 1;
        loop {
            let found = memchr::memchr2(quote, b'\\', self.bytes.get(self.at..)?)?;
            self.at += found;
            if self.bytes[self.at] == quote {
                self.at += 1;
                return Some(());
            }
            self.at += 2;
        }
    }

    /// A number or one of the words of the dialect.
    fn scalar(&mut self) -> Option<()> {
        let start = self.at;
        while matches!(
            self.peek(),
            Some(b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'+' | b'-' | b'.')
        ) {
            self.at += 1;
        }
        let word = &self.bytes[start..self.at];
        let is_number = matches!(word.first(), Some(b'-' | b'0'..=b'9'))
            && std::str::from_utf8(word).is_ok_and(|word| word.parse::<f64>().is_ok());
        let known: &[&[u8]] = match self.dialect {
            Dialect::Json => &[b"true", b"false", b"null"],
            Dialect::Python => &[b"True", b"False", b"None", b"nan", b"inf"],
        };
        (is_number || known.contains(&word)).then_some(())
    }
}

/// Adds the size of a finished node to its parent.
fn add_to_parent(nodes: &mut [Node], open: &[Open], finished: usize) {
    let Some(parent) = open.last() else {
        return;
    };
    let node = nodes[finished];
    let key = node.key_end - node.key_start;
    let parent = &mut nodes[parent.id];
    let comma = u32::from(parent.count > 1);
    parent.size += node.size + comma + if key > 0 { key + 1 } else { 0 };
}
