//! The account of a whole value: what stands at each place, over all elements of arrays at once
//! (`/items/*/state`). One pass over the arena, bounded in places. Pure.
//!
//! Trees that nest in themselves (`children` in `children`) are one place, `/**/children`; objects with
//! very many members are maps, whose keys are one place as the elements of arrays are.

use std::collections::HashMap;

use super::column::Column;
use super::tree::Id;
use super::tree::Shape;
use super::tree::Tree;

/// Places that are told apart; the rest is not described.
const PLACES: usize = 2_000;
/// Ancestors that are looked at for a place that nests in itself.
const ANCESTORS: usize = 8;

/// A place in the value.
pub(super) struct Place<'a> {
    /// The key with its quotes; `None` for elements.
    key: Option<&'a str>,
    parent: Option<usize>,
    is_nested: bool,
    pub(super) column: Column<'a>,
    children: HashMap<Option<&'a str>, usize>,
    /// In order of first sight.
    pub(super) order: Vec<usize>,
}

/// All places.
pub(super) struct Profile<'a> {
    pub(super) places: Vec<Place<'a>>,
    /// Values that found no place.
    pub(super) is_partial: bool,
}

impl<'a> Profile<'a> {
    /// Takes the account of `tree`.
    pub(super) fn of(tree: &Tree<'a>) -> Self {
        let mut profile = Self {
            places: vec![Place::new(None, None)],
            is_partial: false,
        };
        // (end of the container, its place, whether its children are elements)
        let mut open: Vec<(Id, Option<usize>, bool)> = Vec::new();
        for id in 0..tree.len() as Id {
            while open.last().is_some_and(|(end, ..)| *end <= id) {
                open.pop();
            }
            let node = tree.node(id);
            let place = match open.last() {
                None => Some(0),
                Some((_, None, _)) => None,
                Some(&(_, Some(parent), is_many)) => {
                    let key = (!is_many).then(|| tree.key(id));
                    profile.child(parent, key, tree.is_container(id))
                }
            };
            if let Some(place) = place {
                let column = &mut profile.places[place].column;
                match node.shape {
                    Shape::Object => column.objects += 1,
                    Shape::Array => column.add_array(node.count),
                    Shape::Text => column.add_text(tree.raw(id)),
                    // Python's `-inf` begins as numbers do.
                    Shape::Number if column.add_number(tree.raw(id)) => {}
                    Shape::Number | Shape::Word => column.add_word(tree.raw(id)),
                }
            }
            if tree.is_container(id) {
                let is_many = node.shape == Shape::Array || tree.is_map(id);
                open.push((node.after, place, is_many));
            }
        }
        profile
    }

    fn child(&mut self, parent: usize, key: Option<&'a str>, is_container: bool) -> Option<usize> {
        if let Some(&child) = self.places[parent].children.get(&key) {
            return Some(child);
        }
        if is_container && key.is_some() {
            let mut ancestor = Some(parent);
            for _ in 0..ANCESTORS {
                let Some(at) = ancestor else { break };
                if self.places[at].key == key {
                    self.places[at].is_nested = true;
                    self.places[parent].children.insert(key, at);
                    return Some(at);
                }
                ancestor = self.places[at].parent;
            }
        }
        if self.places.len() >= PLACES {
            self.is_partial = true;
            return None;
        }
        let child = self.places.len();
        self.places.push(Place::new(key, Some(parent)));
        self.places[parent].children.insert(key, child);
        self.places[parent].order.push(child);
        Some(child)
    }

    /// The place as a pointer with `*` for any element.
    pub(super) fn path(&self, place: usize, tree: &Tree<'_>) -> String {
        let mut steps = Vec::new();
        let mut at = Some(place);
        while let Some(place) = at {
            let here = &self.places[place];
            match here.key {
                Some(key) => steps.push(step(tree.plain(key).as_str())),
                None if here.parent.is_some() => steps.push("*".to_owned()),
                None => {}
            }
            if here.is_nested {
                steps.push("**".to_owned());
                steps.dedup();
            }
            at = here.parent;
        }
        steps
            .iter()
            .rev()
            .fold(String::new(), |path, step| path + "/" + step)
    }

    /// The places whose values are elements of arrays or maps, the ones with most of them first.
    pub(super) fn element_places(&self) -> Vec<usize> {
        let mut places: Vec<usize> = (1..self.places.len())
            .filter(|&place| self.places[place].key.is_none())
            .collect();
        places.sort_by_key(|&place| std::cmp::Reverse(self.places[place].column.seen()));
        places
    }

    /// The fields of the elements at `place`: dotted names and places, without what is in arrays.
    pub(super) fn fields(&self, place: usize, tree: &Tree<'_>) -> Vec<(String, usize)> {
        let mut fields = Vec::new();
        self.add_fields(place, "", 4, tree, &mut fields);
        fields
    }

    fn add_fields(
        &self,
        place: usize,
        prefix: &str,
        depth: usize,
        tree: &Tree<'_>,
        fields: &mut Vec<(String, usize)>,
    ) {
        for &child in &self.places[place].order {
            let Some(key) = self.places[child].key else {
                continue;
            };
            let name = format!("{prefix}{}", tree.plain(key));
            let column = &self.places[child].column;
            if column.objects < column.seen() {
                fields.push((name.clone(), child));
            }
            if column.objects > 0 && depth > 0 {
                self.add_fields(child, &format!("{name}."), depth - 1, tree, fields);
            }
        }
    }
}

impl<'a> Place<'a> {
    fn new(key: Option<&'a str>, parent: Option<usize>) -> Self {
        Self {
            key,
            parent,
            is_nested: false,
            column: Column::default(),
            children: HashMap::new(),
            order: Vec::new(),
        }
    }
}

/// One step of a pointer (RFC 6901 §3).
pub(super) fn step(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
