//! Which elements of an array say most about it: its ends, the extremes of every number, values and keys
//! that few have, errors, the longest; then a spread. Pure.

use std::collections::HashMap;
use std::collections::HashSet;

use super::number::Number;
use super::tree::Id;
use super::tree::Shape;
use super::tree::Tree;
use super::words;

/// Columns of one array that are looked at.
const COLUMNS: usize = 64;
/// Values of one column that are told apart to find rare ones.
const VALUES: usize = 16;
/// Elements that are kept for their errors.
const ERRORS: usize = 24;
/// Elements that are kept because they stand out in another way.
const OUTLIERS: usize = 48;

#[derive(Default)]
struct Seen<'a> {
    least: Option<(Number<'a>, u32)>,
    most: Option<(Number<'a>, u32)>,
    /// Value → how often, first where. Empty when there are too many.
    values: HashMap<&'a str, (u32, u32)>,
    is_many: bool,
    present: u32,
    first: u32,
}

/// Positions of children, the most telling first; at most `limit`.
pub(super) fn rank(tree: &Tree<'_>, children: &[Id], limit: usize) -> Vec<u32> {
    let n = children.len() as u32;
    let mut columns: HashMap<&str, Seen<'_>> = HashMap::new();
    let mut errors = Vec::new();
    let mut longest = (0, 0);
    for (position, &child) in children.iter().enumerate() {
        let position = position as u32;
        let node = tree.node(child);
        if node.size > longest.0 {
            longest = (node.size, position);
        }
        let mut is_error = false;
        if tree.is_container(child) {
            for member in tree.children(child) {
                let key = tree.key(member);
                is_error |= look(tree, key, member, position, &mut columns);
                if tree.node(member).shape == Shape::Object && tree.node(member).count <= 32 {
                    for inner in tree.children(member) {
                        is_error |= look(tree, tree.key(inner), inner, position, &mut columns);
                    }
                }
            }
        } else {
            is_error |= look(tree, "", child, position, &mut columns);
        }
        if is_error {
            errors.push(position);
        }
    }
    let mut order = Order {
        taken: HashSet::new(),
        ranks: Vec::new(),
        limit,
    };
    order.extend([0, n.saturating_sub(1)]);
    let mut extremes: Vec<u32> = Vec::new();
    let mut rare: Vec<u32> = Vec::new();
    for seen in columns.values() {
        extremes.extend(seen.most.map(|(_, at)| at));
        extremes.extend(seen.least.map(|(_, at)| at));
        if !seen.is_many {
            rare.extend(
                seen.values
                    .values()
                    .filter(|(count, _)| count * 20 <= n.max(20))
                    .map(|(_, at)| *at),
            );
        }
        if seen.present * 20 <= n {
            rare.push(seen.first);
        }
    }
    for outliers in [&mut extremes, &mut rare] {
        outliers.sort_unstable();
        outliers.dedup();
    }
    // Errors that are the rule are no outliers.
    if errors.len() as u32 * 2 <= n {
        let step = errors.len().div_ceil(ERRORS).max(1);
        order.extend(errors.iter().copied().step_by(step));
        order.extend(errors.last().copied());
    }
    order.extend(thin(&extremes));
    order.extend(thin(&rare));
    order.extend([longest.1]);
    order.fill(n);
    order.ranks
}

fn thin(positions: &[u32]) -> impl Iterator<Item = u32> + '_ {
    let step = positions.len().div_ceil(OUTLIERS).max(1);
    positions.iter().copied().step_by(step)
}

/// Takes one value into account; says whether it speaks of an error.
fn look<'a>(
    tree: &Tree<'a>,
    key: &'a str,
    id: Id,
    position: u32,
    columns: &mut HashMap<&'a str, Seen<'a>>,
) -> bool {
    if columns.len() >= COLUMNS && !columns.contains_key(key) {
        return false;
    }
    let seen = columns.entry(key).or_default();
    if seen.present == 0 {
        seen.first = position;
    }
    seen.present += 1;
    let raw = match tree.node(id).shape {
        Shape::Object | Shape::Array => return false,
        _ => tree.raw(id),
    };
    if tree.node(id).shape == Shape::Number
        && let Some(number) = Number::of(raw)
    {
        if seen
            .least
            .is_none_or(|(least, _)| number.compare(&least).is_lt())
        {
            seen.least = Some((number, position));
        }
        if seen
            .most
            .is_none_or(|(most, _)| number.compare(&most).is_gt())
        {
            seen.most = Some((number, position));
        }
    }
    if !seen.is_many {
        seen.values.entry(raw).or_insert((0, position)).0 += 1;
        if seen.values.len() > VALUES {
            seen.is_many = true;
            seen.values = HashMap::new();
        }
    }
    tree.node(id).shape == Shape::Text && raw.len() <= 200 && words::is_error(raw)
}

/// Positions without repeats, in order of their worth.
pub(super) struct Order {
    taken: HashSet<u32>,
    ranks: Vec<u32>,
    limit: usize,
}

impl Order {
    fn extend(&mut self, positions: impl IntoIterator<Item = u32>) {
        for position in positions {
            if self.ranks.len() < self.limit && self.taken.insert(position) {
                self.ranks.push(position);
            }
        }
    }

    /// All others: two from the front, one from the end, one from the middle of the largest gap, again.
    fn fill(&mut self, n: u32) {
        let (mut front, mut back) = (0, n);
        let mut middle = spread(n);
        let mut turn = 0;
        while self.ranks.len() < self.limit && front < back {
            turn += 1;
            match turn % 4 {
                1 | 2 => {
                    self.extend([front]);
                    front += 1;
                }
                3 => {
                    back -= 1;
                    self.extend([back]);
                }
                _ => self.extend(middle.next()),
            }
        }
    }
}

/// Positions below `n` so that any prefix is spread evenly: the bits of a counter, reversed.
pub(super) fn spread(n: u32) -> impl Iterator<Item = u32> {
    let bits = 32 - n.saturating_sub(1).leading_zeros();
    (0..1_u64 << bits)
        .map(move |index| {
            if bits == 0 {
                0
            } else {
                ((index as u32).reverse_bits()) >> (32 - bits)
            }
        })
        .filter(move |&position| position < n)
}
