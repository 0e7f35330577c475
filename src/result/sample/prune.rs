//! A part of a value that fits so many bytes: valid in the same notation, every element and member as it
//! was sent or left out whole, with an account of what is missing. Pure.
//!
//! A container that must shrink shares its bytes: small children stay, large containers shrink in
//! turn, a large text goes. A container of which nothing would be left goes with its key, so that an empty
//! one in the part is an empty one in the original.

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::HashSet;
use std::rc::Rc;

use super::mask::mask;
use super::profile::step;
use super::rank::rank;
use super::tree::Id;
use super::tree::Shape;
use super::tree::Tree;

/// Cuts that are told one by one; more are only counted.
const CUTS: usize = 4_000;

/// One container of which only a part is shown.
#[derive(Debug, Clone)]
pub(super) struct Cut {
    /// Pointer to it (RFC 6901), of the original.
    pub(super) pointer: String,
    /// The same with `*` for each element.
    pub(super) place: String,
    pub(super) is_array: bool,
    /// Members or elements of the original.
    pub(super) n_all: u32,
    /// Positions of the shown ones, ascending.
    pub(super) shown: Vec<u32>,
    /// Names of members left out, when there are few.
    pub(super) left_out: Vec<String>,
}

/// A part and what it lacks.
#[derive(Default)]
pub(super) struct Pruned {
    pub(super) text: String,
    pub(super) cuts: Vec<Cut>,
    /// Containers shown in part that are not among the cuts.
    pub(super) n_more_cuts: usize,
    /// Places that are left out of all elements of the arrays that are being written.
    masked: HashSet<String>,
}

/// Makes parts of one value; ranks are found once.
pub(super) struct Pruner<'a> {
    tree: &'a Tree<'a>,
    /// Ranked children that are kept in mind, at most.
    limit: usize,
    /// Texts that are shown elsewhere.
    apart: Vec<Id>,
    ranks: RefCell<HashMap<Id, Rc<[u32]>>>,
}

struct Path {
    pointer: String,
    place: String,
}

impl<'a> Pruner<'a> {
    /// `limit`: children of one container that any part may show.
    pub(super) fn new(tree: &'a Tree<'a>, limit: usize, apart: Vec<Id>) -> Self {
        Self {
            tree,
            limit,
            apart,
            ranks: RefCell::default(),
        }
    }

    /// The part in about `budget` bytes; without text when nothing fits.
    pub(super) fn part(&self, budget: usize) -> Pruned {
        let mut pruned = Pruned::default();
        let mut path = Path {
            pointer: String::new(),
            place: String::new(),
        };
        if !self.write(0, budget, &mut path, &mut pruned) {
            pruned.text.clear();
            pruned.cuts.clear();
            pruned.n_more_cuts = 0;
        }
        pruned
    }

    /// Writes a part of `id`; `false` when nothing of it fits. Depth is bounded by the tree's reader.
    fn write(&self, id: Id, budget: usize, path: &mut Path, out: &mut Pruned) -> bool {
        let node = self.tree.node(id);
        let holds_apart = self
            .apart
            .iter()
            .any(|&apart| (id..node.after).contains(&apart));
        // A place that is left out of some elements is left out of all.
        let is_masked = node.shape == Shape::Object
            && out.masked.iter().any(|masked| {
                masked
                    .strip_prefix(&path.place)
                    .is_some_and(|rest| rest.starts_with('/'))
            });
        if node.size as usize <= budget && !holds_apart && !is_masked {
            self.tree.write(id, &mut out.text);
            return true;
        }
        if !self.tree.is_container(id) || budget < 16 {
            return false;
        }
        let children: Vec<Id> = self.tree.children(id).collect();
        let shares = self.shares(id, &children, budget, path, &out.masked);
        if shares.is_empty() {
            return false;
        }
        let masked = if node.shape == Shape::Array {
            mask(self.tree, &children, &shares, &path.place)
        } else {
            Vec::new()
        };
        out.masked.extend(masked.iter().cloned());
        let (text_before, cuts_before) = (out.text.len(), out.cuts.len());
        let more_before = out.n_more_cuts;
        let (open, close) = self.tree.brackets(id);
        let (comma, colon) = self.tree.separators();
        let is_array = node.shape == Shape::Array;
        let is_map = self.tree.is_map(id);
        out.text.push_str(open);
        let mut shown = Vec::with_capacity(shares.len());
        // The container's own cut stands before those inside.
        let own = out.cuts.len();
        for (position, share) in shares {
            let child = children[position as usize];
            let before = out.text.len();
            if !shown.is_empty() {
                out.text.push_str(comma);
            }
            let lengths = (path.pointer.len(), path.place.len());
            if is_array {
                path.pointer.push_str(&format!("/{position}"));
                path.place.push_str("/*");
            } else {
                let name = step(&self.tree.name(child));
                out.text.push_str(self.tree.key(child));
                out.text.push_str(colon);
                path.pointer.push('/');
                path.pointer.push_str(&name);
                path.place.push('/');
                path.place.push_str(if is_map { "*" } else { &name });
            }
            if self.write(child, share, path, out) {
                shown.push(position);
            } else {
                out.text.truncate(before);
            }
            path.pointer.truncate(lengths.0);
            path.place.truncate(lengths.1);
        }
        for place in &masked {
            out.masked.remove(place);
        }
        if shown.is_empty() {
            out.text.truncate(text_before);
            out.cuts.truncate(cuts_before);
            out.n_more_cuts = more_before;
            return false;
        }
        if open == "(" && shown.len() == 1 {
            out.text.push(',');
        }
        out.text.push_str(close);
        let is_cut = shown.len() < children.len();
        if is_cut && out.cuts.len() >= CUTS {
            out.n_more_cuts += 1;
        } else if is_cut {
            let mut left_out = Vec::new();
            if !is_array && !is_map {
                let mut shown = shown.iter().copied().peekable();
                for (position, &child) in children.iter().enumerate() {
                    if shown.next_if_eq(&(position as u32)).is_none() {
                        left_out.push(self.tree.name(child));
                    }
                }
            }
            let cut = Cut {
                pointer: path.pointer.clone(),
                place: path.place.clone(),
                is_array,
                n_all: node.count,
                shown,
                left_out,
            };
            out.cuts.insert(own, cut);
        }
        true
    }

    /// Which children are shown, ascending, and in how many bytes each.
    fn shares(
        &self,
        id: Id,
        children: &[Id],
        budget: usize,
        path: &Path,
        masked: &HashSet<String>,
    ) -> Vec<(u32, usize)> {
        let node = self.tree.node(id);
        let is_many = node.shape == Shape::Array || self.tree.is_map(id);
        let unit = if is_many {
            (budget / 10).max(64)
        } else {
            (budget / 32).max(32)
        };
        let mut left = budget.saturating_sub(2);
        let size = |child: Id| self.tree.node(child).size as usize;
        let mut chosen: Vec<(u32, usize)> = Vec::new();
        let mut large: Vec<(u32, usize)> = Vec::new();
        let mut misses = 0;
        for &position in self.ranks(id, children, is_many).iter() {
            let child = children[position as usize];
            let overhead = self.tree.overhead(child);
            if !masked.is_empty()
                && node.shape == Shape::Object
                && masked.contains(&format!("{}/{}", path.place, step(&self.tree.name(child))))
            {
                continue;
            }
            if size(child) > unit && !self.tree.is_container(child) {
                large.push((position, 0));
                continue;
            }
            let cost = overhead + size(child).min(unit);
            if cost > left {
                misses += 1;
                if misses > 8 {
                    break;
                }
                continue;
            }
            left -= cost;
            if size(child) > unit {
                large.push((position, unit));
            } else {
                chosen.push((position, size(child)));
            }
        }
        // The smaller of the large ones first: what they do not need goes to the larger ones.
        large.sort_by_key(|&(position, _)| size(children[position as usize]));
        let n_large = large.len();
        for (index, (position, granted)) in large.into_iter().enumerate() {
            let child = children[position as usize];
            let share = granted + left / (n_large - index);
            let needed = size(child)
                + if granted == 0 {
                    self.tree.overhead(child)
                } else {
                    0
                };
            if needed <= share {
                left -= needed.saturating_sub(granted);
                chosen.push((position, size(child)));
            } else if self.tree.is_container(child) {
                left -= share - granted;
                chosen.push((position, share));
            }
        }
        chosen.sort_unstable();
        chosen
    }

    fn ranks(&self, id: Id, children: &[Id], is_many: bool) -> Rc<[u32]> {
        if !is_many {
            return (0..children.len() as u32).collect();
        }
        if let Some(ranks) = self.ranks.borrow().get(&id) {
            return Rc::clone(ranks);
        }
        let ranks: Rc<[u32]> = rank(self.tree, children, self.limit).into();
        self.ranks.borrow_mut().insert(id, Rc::clone(&ranks));
        ranks
    }
}
