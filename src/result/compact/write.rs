//! Writes a text with its templates: one line for each template, then the value with rows in place of
//! the objects. `docs/notation.md` describes what is written here; [`super::decode`] reads it.

use super::template::{Member, Slot, Templates};
use super::tree::{Kind, NONE, Node, Spacing, Tree};

/// Writes the whole text, without its head line.
pub(super) fn write(tree: &Tree, templates: &Templates) -> String {
    let mut writer = Writer {
        tree,
        templates,
        names: vec![NONE; templates.of_shape.len()],
        named: Vec::new(),
    };
    let mut body = String::with_capacity(tree.text.len() / 2);
    writer.value(tree.root(), Place::Value, &mut body);
    let mut definitions: Vec<String> = Vec::new();
    while let Some(&shape) = writer.named.get(definitions.len()) {
        let mut line = name(definitions.len() as u32);
        line.push('=');
        if let Some(members) = &templates.of_shape[shape as usize] {
            writer.template(members, &mut line);
        }
        line.push('\n');
        definitions.push(line);
    }
    let mut out = definitions.concat();
    out.push_str(&body);
    out
}

/// Where a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In an array, an object, or at the top.
    Value,
    /// In a row.
    Cell,
    /// In a template, where `$` has a meaning.
    Template,
}

struct Writer<'a> {
    tree: &'a Tree,
    templates: &'a Templates,
    /// The number of each shape's name, in the order of first use.
    names: Vec<u32>,
    named: Vec<u32>,
}

/// Returns the n-th name: `A` to `Z`, then `AA` and so on.
pub(super) fn name(n: u32) -> String {
    let mut letters = Vec::new();
    let mut n = n + 1;
    while n > 0 {
        n -= 1;
        letters.push(char::from(b'A' + (n % 26) as u8));
        n /= 26;
    }
    letters.iter().rev().collect()
}

impl<'a> Writer<'a> {
    fn name(&mut self, shape: u32, out: &mut String) {
        let number = &mut self.names[shape as usize];
        if *number == NONE {
            *number = self.named.len() as u32;
            self.named.push(shape);
        }
        out.push_str(&name(*number));
    }

    fn value(&mut self, id: u32, place: Place, out: &mut String) {
        let node = self.tree.node(id);
        match node.kind {
            Kind::Literal | Kind::Number => out.push_str(self.tree.raw(node)),
            Kind::String => self.string(node, place, out),
            Kind::Embedded(spacing) => {
                out.push_str(match spacing {
                    Spacing::Compact => "@",
                    Spacing::Spaced => "@:",
                });
                self.value(node.first, inner(place), out);
            }
            Kind::Array => self.array(id, place, out),
            Kind::Object => self.object(id, place, out),
        }
    }

    fn string(&self, node: &Node, place: Place, out: &mut String) {
        let raw = self.tree.raw(node);
        if place == Place::Cell && is_bare(raw) {
            out.push_str(raw);
            return;
        }
        out.push('"');
        if place == Place::Template {
            push_literal(raw, out);
        } else {
            out.push_str(raw);
        }
        out.push('"');
    }

    fn array(&mut self, id: u32, place: Place, out: &mut String) {
        if let Some(shape) = self.common_shape(id) {
            self.name(shape, out);
            out.push('[');
            for (n, child) in self.tree.children(id).enumerate() {
                if n > 0 {
                    out.push('\n');
                }
                self.row(child, shape, out);
            }
            out.push(']');
            return;
        }
        out.push('[');
        for (n, child) in self.tree.children(id).enumerate() {
            if n > 0 {
                out.push(',');
            }
            self.value(child, inner(place), out);
        }
        out.push(']');
    }

    fn common_shape(&self, array: u32) -> Option<u32> {
        let mut children = self.tree.children(array);
        let shape = self.templates.shape_of(self.tree, children.next()?)?;
        children
            .all(|child| self.templates.shape_of(self.tree, child) == Some(shape))
            .then_some(shape)
    }

    fn object(&mut self, id: u32, place: Place, out: &mut String) {
        if let Some(shape) = self.templates.shape_of(self.tree, id) {
            self.name(shape, out);
            out.push('(');
            self.row(id, shape, out);
            out.push(')');
            return;
        }
        out.push('{');
        for (n, child) in self.tree.children(id).enumerate() {
            if n > 0 {
                out.push(',');
            }
            out.push('"');
            out.push_str(self.tree.key(self.tree.node(child).key));
            out.push_str("\":");
            self.value(child, inner(place), out);
        }
        out.push('}');
    }

    fn row(&mut self, id: u32, shape: u32, out: &mut String) {
        let templates = self.templates;
        if let Some(members) = &templates.of_shape[shape as usize] {
            let mut is_first = true;
            self.cells_of(id, members, &mut is_first, out);
        }
    }

    fn cells_of(&mut self, id: u32, members: &[Member], is_first: &mut bool, out: &mut String) {
        let tree = self.tree;
        let mut children = tree.children(id).peekable();
        for member in members {
            let child = children.next_if(|&child| tree.node(child).key == member.key);
            match (&member.slot, child) {
                (Slot::Same(_) | Slot::Copy { .. }, _) => {}
                (Slot::Inline(inner), Some(child)) => self.cells_of(child, inner, is_first, out),
                (Slot::Row(shape), Some(child)) => {
                    let templates = self.templates;
                    if let Some(members) = &templates.of_shape[*shape as usize] {
                        self.cells_of(child, members, is_first, out);
                    }
                }
                (Slot::Inline(_) | Slot::Row(_), None) => {}
                (Slot::Cell { before, after }, child) => {
                    if !std::mem::take(is_first) {
                        out.push(',');
                    }
                    let Some(child) = child else { continue };
                    if before.is_empty() && after.is_empty() {
                        self.value(child, Place::Cell, out);
                        continue;
                    }
                    let raw = tree.raw(tree.node(child));
                    let rest = &raw[before.len()..raw.len() - after.len()];
                    if is_bare(rest) {
                        out.push_str(rest);
                    } else {
                        out.push('"');
                        out.push_str(rest);
                        out.push('"');
                    }
                }
            }
        }
    }

    fn template(&mut self, members: &[Member], out: &mut String) {
        out.push('{');
        for (n, member) in members.iter().enumerate() {
            if n > 0 {
                out.push(',');
            }
            out.push('"');
            out.push_str(self.tree.key(member.key));
            out.push('"');
            match &member.slot {
                Slot::Same(value) => {
                    out.push(':');
                    self.value(*value, Place::Template, out);
                }
                Slot::Inline(inner) => {
                    out.push(':');
                    self.template(inner, out);
                }
                Slot::Row(shape) => {
                    out.push(':');
                    self.name(*shape, out);
                }
                Slot::Cell { before, after } if before.is_empty() && after.is_empty() => {}
                Slot::Cell { before, after } => {
                    out.push_str(":\"");
                    push_literal(before, out);
                    out.push('$');
                    push_literal(after, out);
                    out.push('"');
                }
                Slot::Copy {
                    cell,
                    before,
                    after,
                    is_string,
                } => {
                    out.push_str(if *is_string { ":\"" } else { ":" });
                    push_literal(before, out);
                    out.push('$');
                    out.push_str(&(cell + 1).to_string());
                    push_literal(after, out);
                    out.push_str(if *is_string { "\"" } else { "" });
                }
            }
        }
        out.push('}');
    }
}

/// Inside a container of a row, JSON's own rules hold.
const fn inner(place: Place) -> Place {
    match place {
        Place::Template => Place::Template,
        Place::Value | Place::Cell => Place::Value,
    }
}

fn push_literal(raw: &str, out: &mut String) {
    for (n, part) in raw.split('$').enumerate() {
        if n > 0 {
            out.push_str("$$");
        }
        out.push_str(part);
    }
}

/// Tells whether a string in a row can stand without quotes: nothing in it ends a cell, and it reads
/// as no other value.
fn is_bare(raw: &str) -> bool {
    let bytes = raw.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    if matches!(first, b' ' | b'@') || *last == b' ' {
        return false;
    }
    let has_mark = bytes.iter().any(|b| {
        matches!(
            b,
            b',' | b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'"' | b'\\' | 0..0x20
        )
    });
    // What looks like a number or a literal keeps its quotes also where the grammar would tell.
    let is_numeric = bytes
        .iter()
        .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E'));
    !has_mark && !is_numeric && !matches!(raw, "null" | "true" | "false")
}
