//! The template of a shape: what its objects have in common, and where they differ.

use super::columns;
use super::shapes::{Shape, Shapes};
use super::tree::{Kind, NONE, Tree};

/// Places of a template's rows, for each value of the text: most of them would be empty beyond.
const PLACES_FOR_A_VALUE: usize = 16;

/// What stands at one key of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Slot {
    /// The same value in every object.
    Same(u32),
    /// An object that stands only here: its members are members of this template.
    Inline(Vec<Member>),
    /// An object of another shape, always there: its cells stand in the row.
    Row(u32),
    /// The next cell, between two texts if the value is a string.
    Cell {
        /// What every value starts with.
        before: String,
        /// What every value ends with.
        after: String,
    },
    /// Another cell of the same template, between two texts.
    Copy {
        /// The cell, counted from 0.
        cell: u32,
        /// What stands before it.
        before: String,
        /// What stands after it.
        after: String,
        /// Whether the value is a string.
        is_string: bool,
    },
}

/// One member of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// The interned key.
    pub(super) key: u32,
    /// Its value.
    pub(super) slot: Slot,
}

/// The templates of a text, by shape; None where a shape does not pay.
#[derive(Debug)]
pub(super) struct Templates {
    /// The members of each template.
    pub(super) of_shape: Vec<Option<Vec<Member>>>,
    /// The shapes.
    pub(super) shapes: Shapes,
}

/// One leaf column of a template: the value of each object, [`NONE`] where it has none.
pub(super) struct Column {
    /// The values.
    pub(super) values: Vec<u32>,
}

impl Templates {
    /// Makes the templates of a text.
    pub(super) fn make(tree: &Tree) -> Self {
        let shapes = Shapes::find(tree);
        let mut of_shape: Vec<Option<Vec<Member>>> = shapes
            .shapes
            .iter()
            .map(|shape| {
                (shape.instances.len() >= 2 && is_dense(tree, shape)).then(|| {
                    let mut columns = Vec::new();
                    let mut members =
                        members(tree, &shapes, &shape.instances, &shape.keys, &mut columns);
                    let mut slots = columns::slots(tree, &columns).into_iter();
                    fill(&mut members, &mut slots);
                    members
                })
            })
            .collect();
        drop_what_does_not_pay(tree, &shapes, &mut of_shape);
        Self { of_shape, shapes }
    }

    /// Returns the shape of an object that has a template.
    pub(super) fn shape_of(&self, tree: &Tree, id: u32) -> Option<u32> {
        self.shapes
            .of_node(tree, id)
            .filter(|&shape| self.of_shape[shape as usize].is_some())
    }

    /// Tells whether any shape has a template.
    pub(super) fn is_empty(&self) -> bool {
        self.of_shape.iter().all(Option::is_none)
    }
}

/// Shapes that grew by many merges could have far more places than values.
fn is_dense(tree: &Tree, shape: &Shape) -> bool {
    let n_places = shape.instances.len().saturating_mul(shape.keys.len());
    n_places <= PLACES_FOR_A_VALUE * tree.nodes.len() + 1_024
}

fn members(
    tree: &Tree,
    shapes: &Shapes,
    instances: &[u32],
    keys: &[u32],
    columns: &mut Vec<Column>,
) -> Vec<Member> {
    let width = keys.len();
    let mut cells = vec![NONE; width * instances.len()];
    for (row, &instance) in instances.iter().enumerate() {
        let mut at = 0;
        for child in tree.children(instance) {
            let key = tree.node(child).key;
            while at < width && keys[at] != key {
                at += 1;
            }
            if at == width {
                break;
            }
            cells[row * width + at] = child;
            at += 1;
        }
    }
    let mut out = Vec::with_capacity(width);
    for (n, &key) in keys.iter().enumerate() {
        let values: Vec<u32> = cells[n..].iter().step_by(width).copied().collect();
        out.push(Member {
            key,
            slot: slot(tree, shapes, values, instances.len(), columns),
        });
    }
    out
}

/// A [`Slot::Cell`] made here is filled in when all columns are known.
fn slot(
    tree: &Tree,
    shapes: &Shapes,
    values: Vec<u32>,
    n_instances: usize,
    columns: &mut Vec<Column>,
) -> Slot {
    let is_full = !values.contains(&NONE);
    if is_full {
        let first = tree.node(values[0]);
        if values.iter().all(|&value| {
            tree.node(value).hash == first.hash && tree.node(value).kind == first.kind
        }) {
            return Slot::Same(values[0]);
        }
        if let Some(shape) = shapes.of_node(tree, values[0])
            && values
                .iter()
                .all(|&value| shapes.of_node(tree, value) == Some(shape))
        {
            let inner = &shapes.shapes[shape as usize];
            if inner.instances.len() > n_instances {
                return Slot::Row(shape);
            }
            if is_dense(tree, inner) {
                return Slot::Inline(members(tree, shapes, &values, &inner.keys, columns));
            }
        }
    }
    columns.push(Column { values });
    Slot::Cell {
        before: String::new(),
        after: String::new(),
    }
}

fn fill(members: &mut [Member], slots: &mut impl Iterator<Item = Slot>) {
    for member in members {
        match &mut member.slot {
            Slot::Inline(inner) => fill(inner, slots),
            slot @ Slot::Cell { .. } => {
                if let Some(filled) = slots.next() {
                    *slot = filled;
                }
            }
            _ => {}
        }
    }
}

/// Keeps the templates whose definition costs less than what its rows leave out, by a rough measure of
/// bytes; objects inside a part that is written only once count only once.
fn drop_what_does_not_pay(tree: &Tree, shapes: &Shapes, of_shape: &mut [Option<Vec<Member>>]) {
    let mut n_written = vec![0usize; of_shape.len()];
    let mut stack = vec![tree.root()];
    while let Some(id) = stack.pop() {
        let template = shapes
            .of_node(tree, id)
            .and_then(|shape| of_shape[shape as usize].as_deref().map(|t| (shape, t)));
        match template {
            Some((shape, members)) => {
                n_written[shape as usize] += 1;
                let is_first = n_written[shape as usize] == 1;
                visit(tree, members, id, is_first, &mut stack);
            }
            None => stack.extend(tree.children(id)),
        }
    }
    for (shape, n) in n_written.into_iter().enumerate() {
        let pays = of_shape[shape]
            .as_deref()
            .is_some_and(|members| n >= 2 && (n - 1) * saving(tree, members) > 10 + 2 * n);
        if !pays {
            of_shape[shape] = None;
        }
    }
    // A row inside a row needs the template of the inner one.
    let alive: Vec<bool> = of_shape.iter().map(Option::is_some).collect();
    for members in of_shape.iter_mut().flatten() {
        degrade(members, &alive);
    }
}

/// Puts what is written of one object on the stack: its cells, and what all have in common the first
/// time.
fn visit(tree: &Tree, members: &[Member], id: u32, is_first: bool, stack: &mut Vec<u32>) {
    let mut children = tree.children(id).peekable();
    for member in members {
        let Some(child) = children.next_if(|&child| tree.node(child).key == member.key) else {
            continue;
        };
        match &member.slot {
            Slot::Same(_) if !is_first => {}
            Slot::Copy { .. } => {}
            Slot::Inline(inner) => visit(tree, inner, child, is_first, stack),
            Slot::Same(_) | Slot::Row(_) | Slot::Cell { .. } => stack.push(child),
        }
    }
}

fn saving(tree: &Tree, members: &[Member]) -> usize {
    members
        .iter()
        .map(|member| {
            let key = tree.key(member.key).len() + 3;
            key + match &member.slot {
                Slot::Same(value) => {
                    let node = tree.node(*value);
                    if node.n > 0 { 12 } else { tree.raw(node).len() }
                }
                Slot::Inline(inner) => saving(tree, inner),
                Slot::Row(_) => 0,
                Slot::Cell { before, after } | Slot::Copy { before, after, .. } => {
                    before.len() + after.len()
                }
            }
        })
        .sum()
}

fn degrade(members: &mut [Member], alive: &[bool]) {
    let mut changed = false;
    degrade_rows(members, alive, &mut changed);
    if changed {
        // A new cell moves the numbers of those behind it.
        renumber(members);
    }
}

fn degrade_rows(members: &mut [Member], alive: &[bool], changed: &mut bool) {
    for member in members {
        match &mut member.slot {
            Slot::Inline(inner) => degrade_rows(inner, alive, changed),
            Slot::Row(shape) if !alive[*shape as usize] => {
                *changed = true;
                member.slot = Slot::Copy {
                    cell: NONE,
                    before: String::new(),
                    after: String::new(),
                    is_string: false,
                };
            }
            _ => {}
        }
    }
}

/// Turns the marks that [`degrade_rows`] left into cells and corrects the numbers of the others.
fn renumber(members: &mut [Member]) {
    let mut moves = Vec::new();
    let mut n_new = 0;
    collect_moves(members, &mut n_new, &mut moves);
    apply_moves(members, &moves);
}

fn collect_moves(members: &[Member], n_new: &mut u32, moves: &mut Vec<u32>) {
    for member in members {
        match &member.slot {
            Slot::Inline(inner) => collect_moves(inner, n_new, moves),
            Slot::Copy { cell: NONE, .. } => *n_new += 1,
            Slot::Cell { .. } => moves.push(*n_new),
            _ => {}
        }
    }
}

fn apply_moves(members: &mut [Member], moves: &[u32]) {
    for member in members {
        match &mut member.slot {
            Slot::Inline(inner) => apply_moves(inner, moves),
            slot @ Slot::Copy { cell: NONE, .. } => {
                *slot = Slot::Cell {
                    before: String::new(),
                    after: String::new(),
                };
            }
            Slot::Copy { cell, .. } => {
                *cell += moves.get(*cell as usize).copied().unwrap_or_default();
            }
            _ => {}
        }
    }
}

/// Tells whether a value can stand between two texts in a string, and which text it is.
pub(super) fn text_of(tree: &Tree, id: u32) -> Option<&str> {
    if id == NONE {
        return None;
    }
    let node = tree.node(id);
    matches!(node.kind, Kind::String | Kind::Number).then(|| tree.raw(node))
}
