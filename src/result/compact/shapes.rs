//! Which objects of a text are written alike: objects with the same keys in the same order, and, where
//! they stand in the same place, objects whose keys differ only in what some of them leave out.

use std::collections::HashMap;

use super::tree::{Kind, NONE, ReadyState, Tree};

/// Distinct lists of keys beyond which nothing is merged: then there is no common shape to find.
const LISTS: usize = 4_096;
/// Shapes of one place that a further list of keys is compared with.
const SHAPES_OF_A_PLACE: usize = 16;

/// Objects that can be written as rows of one template.
#[derive(Debug, Default)]
pub(super) struct Shape {
    /// The keys of the template; every instance has a part of them, in this order.
    pub(super) keys: Vec<u32>,
    /// The objects, in the order of the text.
    pub(super) instances: Vec<u32>,
}

/// The shapes of a text.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    /// The shapes.
    pub(super) shapes: Vec<Shape>,
    /// The shape of each list of keys, or [`NONE`].
    of_list: Vec<u32>,
}

impl Shapes {
    /// Finds the shapes of a text.
    pub(super) fn find(tree: &Tree) -> Self {
        let mut merger = Merger {
            parents: (0..tree.key_lists.len() as u32).collect(),
            keys: tree
                .key_lists
                .iter()
                .map(|list| list.keys.clone())
                .collect(),
        };
        if tree.key_lists.len() <= LISTS {
            merger.merge_places(tree);
        }
        let mut shapes = Self {
            shapes: Vec::new(),
            of_list: vec![NONE; tree.key_lists.len()],
        };
        let mut numbers = vec![NONE; tree.key_lists.len()];
        for list in 0..tree.key_lists.len() {
            if tree.key_lists[list].has_duplicate || tree.key_lists[list].keys.is_empty() {
                continue;
            }
            let top = merger.top(list as u32) as usize;
            if numbers[top] == NONE {
                numbers[top] = shapes.shapes.len() as u32;
                shapes.shapes.push(Shape {
                    keys: std::mem::take(&mut merger.keys[top]),
                    instances: Vec::new(),
                });
            }
            shapes.of_list[list] = numbers[top];
        }
        for (id, node) in tree.nodes.iter().enumerate() {
            if let Some(shape) = shapes.of(node.kind, node.key_list) {
                shapes.shapes[shape as usize].instances.push(id as u32);
            }
        }
        shapes
    }

    fn of(&self, kind: Kind, key_list: u32) -> Option<u32> {
        if kind != Kind::Object || key_list == NONE {
            return None;
        }
        let shape = self.of_list[key_list as usize];
        (shape != NONE).then_some(shape)
    }

    /// Returns the shape of an object.
    pub(super) fn of_node(&self, tree: &Tree, id: u32) -> Option<u32> {
        let node = tree.node(id);
        self.of(node.kind, node.key_list)
    }
}

struct Merger {
    parents: Vec<u32>,
    keys: Vec<Vec<u32>>,
}

impl Merger {
    fn top(&mut self, mut list: u32) -> u32 {
        while self.parents[list as usize] != list {
            let above = self.parents[list as usize];
            self.parents[list as usize] = self.parents[above as usize];
            list = above;
        }
        list
    }

    /// A place is the elements of arrays of one name, the values of one key, or the values of one
    /// object whose keys occur only there (a map).
    fn merge_places(&mut self, tree: &Tree) {
        let mut n_objects = vec![0u32; tree.key_lists.len()];
        for node in tree.nodes.iter().filter(|node| node.kind == Kind::Object) {
            if let Some(n) = n_objects.get_mut(node.key_list as usize) {
                *n += 1;
            }
        }
        let mut places: HashMap<(u8, u32), Vec<u32>, ReadyState> = HashMap::default();
        let mut seen: HashMap<(u8, u32, u32), (), ReadyState> = HashMap::default();
        for (id, node) in tree.nodes.iter().enumerate() {
            let (class, name) = match node.kind {
                Kind::Array => (0, node.key),
                Kind::Object if node.n > 2 && n_objects[node.key_list as usize] == 1 => {
                    (1, id as u32)
                }
                Kind::Object => (2, NONE),
                _ => continue,
            };
            for child in tree.children(id as u32) {
                let object = tree.node(child);
                if object.kind != Kind::Object
                    || tree.key_lists[object.key_list as usize].has_duplicate
                {
                    continue;
                }
                let place = if class == 2 {
                    (2, object.key)
                } else {
                    (class, name)
                };
                if seen
                    .insert((place.0, place.1, object.key_list), ())
                    .is_none()
                {
                    self.merge_into(places.entry(place).or_default(), object.key_list);
                }
            }
        }
    }

    fn merge_into(&mut self, place: &mut Vec<u32>, list: u32) {
        let list = self.top(list);
        for &other in place.iter() {
            let other = self.top(other);
            if other == list {
                return;
            }
            if let Some(keys) = merged(&self.keys[other as usize], &self.keys[list as usize]) {
                self.parents[list as usize] = other;
                self.keys[other as usize] = keys;
                return;
            }
        }
        if place.len() < SHAPES_OF_A_PLACE {
            place.push(list);
        }
    }
}

/// Returns the keys of both in an order that agrees with each, if they are alike enough.
fn merged(a: &[u32], b: &[u32]) -> Option<Vec<u32>> {
    let smaller = a.len().min(b.len());
    let widest = 2 * smaller + 8;
    if a.len().max(b.len()) > widest {
        return None;
    }
    let positions: HashMap<u32, usize, ReadyState> =
        a.iter().enumerate().map(|(n, &key)| (key, n)).collect();
    let n_shared = b.iter().filter(|key| positions.contains_key(key)).count();
    let n_all = a.len() + b.len() - n_shared;
    if n_shared * 2 < smaller || n_shared == 0 || n_all > widest {
        return None;
    }
    let mut keys = Vec::with_capacity(n_all);
    let mut copied = 0;
    for &key in b {
        match positions.get(&key) {
            Some(&at) if at < copied => return None,
            Some(&at) => {
                keys.extend_from_slice(&a[copied..=at]);
                copied = at + 1;
            }
            None => keys.push(key),
        }
    }
    keys.extend_from_slice(&a[copied..]);
    Some(keys)
}
