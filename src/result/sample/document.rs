//! What a text is made of: one value, lines, or values inside lines and long texts inside a value; each
//! is sampled by its own kind. Pure.

use std::borrow::Cow;

use super::lines::Lines;
use super::tree::Dialect;
use super::tree::Id;
use super::tree::Shape;
use super::tree::Tree;

/// Parts of one document beside its first.
const PARTS: usize = 8;
/// Members with texts that become parts of their own.
const LIFTED: usize = 2;

/// Where a part stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// It is the whole text.
    Whole,
    /// It is this line (0-based).
    Line(u32),
    /// It is the text at this pointer.
    Pointer(String),
}

/// What a part is.
pub(super) enum Body<'a> {
    Value(Tree<'a>),
    Text(Cow<'a, str>),
}

pub(super) struct Part<'a> {
    pub(super) place: Place,
    pub(super) body: Body<'a>,
    /// Bytes without white space between tokens, without parts of their own.
    pub(super) bytes: usize,
    /// Nodes of the value (lines of the text) that are parts of their own.
    pub(super) apart: Vec<u32>,
}

/// Finds the parts of `text`; what is longer than `longest` bytes cannot be shown in one piece.
pub(super) fn parts(text: &str, longest: usize) -> Vec<Part<'_>> {
    match Tree::read(text) {
        Some(tree) => of_value(tree, longest),
        None => of_lines(text, longest),
    }
}

fn of_value(tree: Tree<'_>, longest: usize) -> Vec<Part<'_>> {
    let root = tree.node(0).size as usize;
    let mut long: Vec<Id> = Vec::new();
    if tree.dialect == Dialect::Json {
        long = (0..tree.len() as Id)
            .filter(|&id| {
                let size = tree.node(id).size as usize;
                tree.node(id).shape == Shape::Text && size > longest && size * 4 > root
            })
            .collect();
        long.truncate(LIFTED);
    }
    let mut parts = Vec::new();
    let mut apart = Vec::new();
    let mut bytes = root;
    for id in long {
        let Ok(inner) = serde_json::from_str::<String>(tree.raw(id)) else {
            continue;
        };
        let Some(pointer) = tree.pointer(id) else {
            continue;
        };
        bytes = bytes.saturating_sub(tree.node(id).size as usize);
        apart.push(id);
        parts.push(Part {
            place: Place::Pointer(pointer),
            bytes: inner.len(),
            body: Body::Text(Cow::Owned(inner)),
            apart: Vec::new(),
        });
    }
    parts.insert(
        0,
        Part {
            place: Place::Whole,
            bytes,
            body: Body::Value(tree),
            apart,
        },
    );
    parts
}

fn of_lines(text: &str, longest: usize) -> Vec<Part<'_>> {
    let lines = Lines::of(text);
    let mut long: Vec<(usize, u32)> = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.len() > longest)
        .map(|(index, line)| (line.len(), index as u32))
        .collect();
    long.sort_unstable_by_key(|&(bytes, index)| (std::cmp::Reverse(bytes), index));
    long.truncate(PARTS);
    long.sort_unstable_by_key(|&(_, index)| index);
    let mut bytes = text.len();
    let mut apart = Vec::new();
    let mut parts = Vec::new();
    for (length, index) in long {
        let Some(tree) = Tree::read(lines.get(index as usize)) else {
            continue;
        };
        bytes -= length;
        apart.push(index);
        let size = tree.node(0).size as usize;
        parts.push(Part {
            place: Place::Line(index),
            bytes: size,
            body: Body::Value(tree),
            apart: Vec::new(),
        });
    }
    parts.insert(
        0,
        Part {
            place: Place::Whole,
            bytes,
            body: Body::Text(Cow::Borrowed(text)),
            apart,
        },
    );
    parts
}
