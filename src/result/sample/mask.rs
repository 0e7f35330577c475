//! Which fields are left out of all shown elements of an array, so that those that stay have the same ones:
//! the largest go until the rest fits an element's share. Pure.

use std::collections::HashMap;

use super::profile::step;
use super::tree::Id;
use super::tree::Shape;
use super::tree::Tree;

/// Elements that are looked at.
const LOOK: usize = 64;
/// Objects in objects that are looked into.
const DEPTH: usize = 3;
/// Fields that are told apart.
const FIELDS: usize = 400;

/// Places (`/items/*/body`) to leave out of the elements of the array at `place`. `shares`: positions of the
/// shown elements with the bytes that each may take.
pub(super) fn mask(
    tree: &Tree<'_>,
    children: &[Id],
    shares: &[(u32, usize)],
    place: &str,
) -> Vec<String> {
    let cut: Vec<(Id, usize)> = shares
        .iter()
        .map(|&(position, share)| (children[position as usize], share))
        .filter(|&(child, share)| {
            tree.node(child).shape == Shape::Object && tree.node(child).size as usize > share
        })
        .take(LOOK)
        .collect();
    // Where few are too large, only those lose something.
    if cut.len() < 2 || cut.len() * 2 < shares.len().min(LOOK) {
        return Vec::new();
    }
    let mut fields = Fields::default();
    for &(child, _) in &cut {
        fields.add(tree, child, &format!("{place}/*"), DEPTH);
    }
    let share = cut.iter().map(|(_, share)| share).sum::<usize>();
    fields.beyond(share)
}

/// Bytes of each field over all elements.
#[derive(Default)]
struct Fields {
    known: HashMap<String, usize>,
    all: Vec<Field>,
}

struct Field {
    place: String,
    bytes: usize,
    /// It can be shown in part.
    is_array: bool,
    /// It says where more is, for programs: it goes before what is for readers.
    is_address: bool,
}

impl Fields {
    fn add(&mut self, tree: &Tree<'_>, object: Id, place: &str, depth: usize) {
        for member in tree.children(object) {
            let node = tree.node(member);
            let place = format!("{place}/{}", step(&tree.name(member)));
            if node.shape == Shape::Object && depth > 0 && !tree.is_map(member) {
                self.add(tree, member, &place, depth - 1);
                continue;
            }
            let bytes = tree.overhead(member) + node.size as usize;
            match self.known.get(&place) {
                Some(&at) => self.all[at].bytes += bytes,
                None if self.all.len() < FIELDS => {
                    self.known.insert(place.clone(), self.all.len());
                    self.all.push(Field {
                        place,
                        bytes,
                        is_array: node.shape == Shape::Array,
                        is_address: is_address(tree, member),
                    });
                }
                None => {}
            }
        }
    }

    /// The largest fields, those that do not fit into `bytes` beside all smaller ones.
    fn beyond(mut self, bytes: usize) -> Vec<String> {
        let worth = |field: &Field| field.bytes * if field.is_address { 8 } else { 1 };
        self.all
            .sort_by(|one, other| (worth(one), &one.place).cmp(&(worth(other), &other.place)));
        let mut left = bytes;
        let mut beyond = Vec::new();
        let n = self.all.len();
        for (index, field) in self.all.into_iter().enumerate() {
            if field.bytes <= left {
                left -= field.bytes;
            } else if field.is_array {
                left -= left / (n - index);
            } else {
                beyond.push(field.place);
            }
        }
        beyond
    }
}

/// Whether a member is an address of an interface; pages for people are kept.
fn is_address(tree: &Tree<'_>, member: Id) -> bool {
    let name = tree.name(member);
    let is_page = ["html_url", "web_url", "permalink", "link"].contains(&name.as_str());
    tree.raw(member)
        .trim_start_matches(['"', '\''])
        .starts_with("http")
        && !is_page
}
