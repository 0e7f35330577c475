//! What is said about all elements of a value: for each place with many, its fields with ranges, counts and
//! most frequent values. Pure.

use super::profile::Profile;
use super::tree::Tree;

/// Places that are described.
const PLACES: usize = 12;
/// Elements below which a place is not worth a line.
const FEW: u64 = 4;

/// Places with their fields, each described once; cut to a budget later.
pub(super) struct Facts {
    lines: Vec<Line>,
    is_partial: bool,
}

struct Line {
    head: String,
    fields: Vec<String>,
}

impl Facts {
    /// Describes `tree`.
    pub(super) fn of(tree: &Tree<'_>) -> Self {
        let profile = Profile::of(tree);
        let mut lines = Vec::new();
        for place in profile.element_places() {
            let column = &profile.places[place].column;
            let n = column.seen();
            if n < FEW || lines.len() >= PLACES {
                break;
            }
            let path = profile.path(place, tree);
            let mut fields: Vec<(u32, String)> = Vec::new();
            let (mut constant, mut single, mut addresses) = (Vec::new(), Vec::new(), Vec::new());
            if !column.has_only_containers() {
                fields.push((0, column.describe("values", n)));
            }
            let objects = column.objects;
            for (name, field) in profile.fields(place, tree) {
                let column = &profile.places[field].column;
                match column.constant().filter(|_| column.seen() == objects) {
                    Some(value) => constant.push(format!("{name}={value}")),
                    None if column.seen() < 2 => single.push(name),
                    None if column.is_addresses() => addresses.push(name),
                    None => fields.push((column.weight(), column.describe(&name, objects))),
                }
            }
            fields.sort_by_key(|&(weight, _)| weight);
            if !constant.is_empty() {
                fields.push((5, format!("in all: {}", constant.join(", "))));
            }
            if !addresses.is_empty() {
                fields.push((6, format!("addresses: {}", addresses.join(", "))));
            }
            if !single.is_empty() {
                fields.push((6, format!("in one: {}", single.join(", "))));
            }
            lines.push(Line {
                head: format!("{path}: {n} elements"),
                fields: fields.into_iter().map(|(_, text)| text).collect(),
            });
        }
        Self {
            lines,
            is_partial: profile.is_partial,
        }
    }

    /// Writes what fits `budget` bytes, one line for each place.
    pub(super) fn write(&self, budget: usize) -> String {
        let mut out = String::new();
        let mut left = budget;
        for (index, line) in self.lines.iter().enumerate() {
            // Each place may take half of what is left; the last one all of it.
            let share = if index + 1 == self.lines.len() {
                left
            } else {
                left.div_ceil(2).max(left.min(400))
            };
            if line.head.len() + 1 > share {
                break;
            }
            let before = out.len();
            out.push_str(&line.head);
            let mut n_written = 0;
            for field in &line.fields {
                let cost = field.len() + 2;
                if out.len() - before + cost + 20 > share {
                    continue;
                }
                out.push_str("; ");
                out.push_str(field);
                n_written += 1;
            }
            let n_more = line.fields.len() - n_written;
            if n_more > 0 {
                out.push_str(&format!("; {n_more} fields more"));
            }
            out.push('\n');
            left = left.saturating_sub(out.len() - before);
        }
        if self.is_partial && left > 60 {
            out.push_str("(more places than are described)\n");
        }
        out
    }
}
