//! The words before a sample: what it is, what is missing, how to read the rest, what is true of all of
//! it. Written so that nobody takes them for data: they stand before a line of dashes. Pure.

use std::fmt::Write as _;

use super::Account;
use super::Kind;
use super::Rest;
use super::Sampled;
use super::Unit;
use super::document::Body;
use super::document::Part;
use super::document::Place;
use super::facts::Facts;
use super::lines::Lines;
use super::lines::longest_gap;
use super::lines::pick;
use super::lines::ranges;
use super::plan::Plan;
use super::plan::plan;
use super::prune::Cut;
use super::prune::Pruner;
use super::tree::Dialect;
use super::tree::Tree;
use crate::result::query::is_container;
use crate::token::Tokens;

/// Places of incomplete containers that are told apart.
const GROUPS: usize = 64;

/// What is known of each part before any budget.
enum Sampler<'a> {
    Value {
        tree: &'a Tree<'a>,
        pruner: Pruner<'a>,
        facts: Facts,
    },
    Text {
        lines: Lines<'a>,
        plan: Plan,
        /// See [`Lines::mark`].
        mark: String,
    },
}

/// Everything that does not depend on the budget.
pub(super) struct Draft<'a> {
    text: &'a str,
    parts: &'a [Part<'a>],
    samplers: Vec<Sampler<'a>>,
    longest: usize,
    rest: &'a Rest,
    kind: Kind,
    /// Whether places in it can be named to `read_result`, which takes less for JSON than is sampled as such
    /// (`-Infinity`, line breaks in strings).
    is_json: bool,
}

/// One part, cut.
struct Shown {
    text: String,
    /// The part as a value before it was made dense.
    plain: String,
    missing: String,
    facts: String,
    /// Arguments of a call that reads the largest piece that is missing.
    next: Option<String>,
    accounts: Vec<Account>,
}

impl<'a> Draft<'a> {
    /// Looks at all parts. `limit`: children or lines of one part that any sample may show.
    pub(super) fn new(
        text: &'a str,
        parts: &'a [Part<'a>],
        longest: usize,
        limit: usize,
        rest: &'a Rest,
    ) -> Self {
        let samplers: Vec<Sampler<'a>> = parts
            .iter()
            .map(|part| match &part.body {
                Body::Value(tree) => Sampler::Value {
                    tree,
                    pruner: Pruner::new(tree, limit.saturating_mul(2), part.apart.clone()),
                    facts: Facts::of(tree),
                },
                Body::Text(text) => {
                    let lines = Lines::of(text);
                    let mut plan = plan(&lines, limit);
                    for group in &mut plan.groups {
                        group.lines.retain(|line| !part.apart.contains(line));
                    }
                    let mark = lines.mark();
                    Sampler::Text { lines, plan, mark }
                }
            })
            .collect();
        let largest = (0..parts.len())
            .max_by_key(|&at| (parts[at].bytes, std::cmp::Reverse(at)))
            .unwrap_or(0);
        let kind = match &samplers[largest] {
            Sampler::Value { tree, .. } => match tree.dialect {
                Dialect::Json => Kind::Json,
                Dialect::Python => Kind::Python,
            },
            Sampler::Text { plan, .. } => plan.kind,
        };
        let is_value = matches!(
            &samplers[0],
            Sampler::Value { tree, .. } if tree.dialect == Dialect::Json
        );
        Self {
            text,
            parts,
            samplers,
            longest,
            rest,
            kind,
            is_json: is_value && is_container(text),
        }
    }

    /// A sample in about `budget` bytes (the first lines of the note beside them).
    pub(super) fn show(&self, budget: usize, notate: &dyn Fn(&str) -> Option<String>) -> Sampled {
        let mut order: Vec<usize> = (0..self.parts.len()).collect();
        order.sort_by_key(|&at| self.parts[at].bytes);
        let mut left = budget;
        let mut shown: Vec<Option<Shown>> = self.parts.iter().map(|_| None).collect();
        let n = order.len();
        for (index, at) in order.into_iter().enumerate() {
            let share =
                (left / (n - index)).min(self.parts[at].bytes + self.parts[at].bytes / 4 + 64);
            left -= share;
            shown[at] = Some(self.show_part(at, share, notate));
        }
        let shown: Vec<Shown> = shown.into_iter().flatten().collect();
        self.join(shown)
    }

    /// A note without a part, for caps that nothing fits.
    pub(super) fn note_alone(&self) -> Sampled {
        let mut out = String::new();
        self.head(&mut out, "nothing shown", None);
        Sampled {
            text: out,
            tokens: Tokens::ZERO,
            kind: self.kind,
            accounts: Vec::new(),
            parts: Vec::new(),
        }
    }

    fn show_part(
        &self,
        at: usize,
        budget: usize,
        notate: &dyn Fn(&str) -> Option<String>,
    ) -> Shown {
        let place = &self.parts[at].place;
        match &self.samplers[at] {
            Sampler::Value {
                tree,
                pruner,
                facts,
            } => {
                let facts = facts.write(budget * 28 / 100);
                let pruned = pruner.part((budget - facts.len()) * 92 / 100);
                let text = if pruned.text.is_empty() {
                    None
                } else {
                    notate(&pruned.text)
                };
                let text = text.unwrap_or_else(|| pruned.text.clone());
                let missing = missing(&pruned.cuts, pruned.n_more_cuts, budget / 8);
                let next = match (place, tree.dialect) {
                    (Place::Whole, Dialect::Json) if self.is_json => pruned
                        .cuts
                        .iter()
                        .filter(|cut| cut.is_array)
                        .max_by_key(|cut| cut.left_out())
                        .and_then(|cut| {
                            let (start, end) = longest_gap(&cut.shown, cut.n_all)?;
                            Some(format!(
                                "\"pointer\":{},\"items\":\"{start}-{end}\"",
                                quoted(&cut.pointer)
                            ))
                        }),
                    (Place::Line(line), _) => Some(format!("\"lines\":\"{}\"", line + 1)),
                    _ => None,
                };
                let accounts = pruned
                    .cuts
                    .iter()
                    .map(|cut| Account {
                        place: cut.pointer.clone(),
                        unit: if cut.is_array {
                            Unit::Elements
                        } else {
                            Unit::Members
                        },
                        all: u64::from(cut.n_all),
                        shown: cut.shown.clone(),
                    })
                    .collect();
                Shown {
                    text,
                    plain: pruned.text,
                    missing,
                    facts,
                    next,
                    accounts,
                }
            }
            Sampler::Text { lines, plan, mark } => self.show_text(at, lines, plan, mark, budget),
        }
    }

    fn show_text(
        &self,
        at: usize,
        lines: &Lines<'_>,
        plan: &Plan,
        mark: &str,
        budget: usize,
    ) -> Shown {
        let place = &self.parts[at].place;
        let is_alone = self.parts[at].apart.is_empty();
        let mut facts = String::new();
        for fact in &plan.facts {
            // What is around values in lines is not described by the words for other texts.
            if is_alone && facts.len() + fact.len() < budget * 35 / 100 {
                facts.push_str(fact);
                facts.push('\n');
            }
        }
        let picked = pick(
            lines,
            &plan.groups,
            (budget - facts.len()).saturating_sub(40),
            self.longest,
            mark,
        );
        let n = lines.count();
        let mut missing = format!("shown {} of {n} lines", picked.shown.len());
        if !picked.shortened.is_empty() {
            let _ = write!(
                missing,
                "; of line {} only head and tail, it is too long",
                ranges(&picked.shortened, 1, 8)
            );
        }
        let _ = writeln!(missing, "; {mark}n marks that line n follows");
        let next = longest_gap(&picked.shown, n as u32).and_then(|(start, end)| {
            let lines = format!("\"lines\":\"{}-{}\"", start + 1, end + 1);
            match place {
                Place::Pointer(_) if !self.is_json => None,
                Place::Pointer(pointer) => Some(format!("\"pointer\":{},{lines}", quoted(pointer))),
                _ => Some(lines),
            }
        });
        let accounts = vec![Account {
            place: match place {
                Place::Pointer(pointer) => pointer.clone(),
                _ => String::new(),
            },
            unit: Unit::Lines,
            all: n as u64,
            shown: picked.shown,
        }];
        Shown {
            plain: picked.text.clone(),
            text: picked.text,
            missing,
            facts,
            next,
            accounts,
        }
    }

    fn join(&self, shown: Vec<Shown>) -> Sampled {
        if let [only] = shown.as_slice()
            && only.accounts.is_empty()
            && !only.text.is_empty()
        {
            let (text, parts) = (only.text.clone(), vec![only.plain.clone()]);
            return Sampled {
                text,
                tokens: Tokens::ZERO,
                kind: Kind::Whole,
                accounts: Vec::new(),
                parts,
            };
        }
        let mut out = String::new();
        let next = (0..shown.len())
            .max_by_key(|&at| (shown[at].next.is_some(), self.parts[at].bytes))
            .and_then(|at| shown[at].next.clone());
        let what = self.kind.as_str();
        self.head(&mut out, &format!("kind: {what}"), next.as_deref());
        let has_many = shown.len() > 1;
        for (part, shown) in self.parts.iter().zip(&shown) {
            if has_many {
                match &part.place {
                    Place::Whole => {}
                    Place::Line(line) => {
                        let _ = writeln!(out, "Line {}, a value:", line + 1);
                    }
                    Place::Pointer(pointer) => {
                        let _ = writeln!(out, "{pointer}, a text of {} bytes:", part.bytes);
                    }
                }
            }
            out.push_str(&shown.missing);
            if !shown.facts.is_empty() {
                out.push_str("Of all of it:\n");
                out.push_str(&shown.facts);
            }
        }
        let mut accounts = Vec::new();
        let mut parts = Vec::new();
        for (part, shown) in self.parts.iter().zip(shown) {
            if shown.text.is_empty() {
                accounts.extend(shown.accounts);
                continue;
            }
            match &part.place {
                Place::Whole => out.push_str("---\n"),
                Place::Line(line) => {
                    let _ = writeln!(out, "--- line {}", line + 1);
                }
                Place::Pointer(pointer) => {
                    let _ = writeln!(out, "--- {pointer}");
                }
            }
            out.push_str(&shown.text);
            if !shown.text.ends_with('\n') {
                out.push('\n');
            }
            accounts.extend(shown.accounts);
            parts.push(shown.plain);
        }
        out.truncate(out.trim_end_matches('\n').len());
        Sampled {
            text: out,
            tokens: Tokens::ZERO,
            kind: self.kind,
            accounts,
            parts,
        }
    }

    /// The first two lines.
    fn head(&self, out: &mut String, what: &str, next: Option<&str>) {
        let _ = write!(out, "SAMPLE of a larger result ({} bytes", self.text.len());
        if let Some(whole) = self.rest.whole {
            let _ = write!(out, ", {whole} tokens");
        }
        let _ = writeln!(out, "; {what}).");
        let (tool, handle) = (&self.rest.tool, &self.rest.handle);
        let _ = write!(out, "Rest: {tool} {{\"handle\":\"{handle}\"");
        if let Some(made_by) = &self.rest.made_by {
            let _ = writeln!(
                out,
                ",{made_by}}}. Places below are those of this part; that handle alone is the whole result."
            );
            return;
        }
        let next = next.unwrap_or("\"page\":1");
        let _ = write!(out, ",{next}}}; or with that handle \"grep\":\"REGEX\"");
        out.push_str(if self.is_json {
            ", \"pointer\", \"fields\", \"jq\""
        } else {
            ", \"lines\":\"A-B\""
        });
        out.push_str(", \"count\":true, \"page\":1.\n");
    }
}

impl Cut {
    fn left_out(&self) -> u32 {
        self.n_all - self.shown.len() as u32
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// What is missing of a value: each large array alone, many small ones by their place, members by name.
/// `n_more_cuts`: containers beside the cuts, of which no more is known.
fn missing(cuts: &[Cut], n_more_cuts: usize, budget: usize) -> String {
    let mut out = String::new();
    let mut groups: Vec<(&str, bool, Vec<&Cut>)> = Vec::new();
    let mut n_more = n_more_cuts;
    for cut in cuts {
        let is_listed = cut.is_array || !cut.left_out.is_empty();
        let is_members = !cut.is_array && is_listed;
        let known = groups
            .iter()
            .position(|(place, members, _)| *place == cut.place && *members == is_members);
        match known {
            Some(at) => groups[at].2.push(cut),
            None if groups.len() < GROUPS => groups.push((&cut.place, is_members, vec![cut])),
            None => n_more += 1,
        }
    }
    // What has most missing first, elements before members.
    groups.sort_by_key(|(_, is_members, group)| {
        let n_missing: u64 = group.iter().map(|cut| u64::from(cut.left_out())).sum();
        (*is_members, std::cmp::Reverse(n_missing))
    });
    for (place, is_members, group) in &groups {
        let mut line = String::new();
        let place = if place.is_empty() {
            "the top level"
        } else {
            place
        };
        if *is_members {
            let mut names: Vec<(&str, usize)> = Vec::new();
            for name in group.iter().flat_map(|cut| &cut.left_out) {
                match names.iter_mut().find(|(known, _)| known == name) {
                    Some((_, count)) => *count += 1,
                    None => names.push((name, 1)),
                }
            }
            let named: Vec<String> = names
                .iter()
                .take(24)
                .map(|(name, count)| {
                    if group.len() == 1 {
                        (*name).to_owned()
                    } else {
                        format!("{name}×{count}")
                    }
                })
                .collect();
            let _ = write!(line, "left out of {place}: {}", named.join(", "));
            if names.len() > 24 {
                let _ = write!(line, " and {} names more", names.len() - 24);
            }
        } else if let [cut] = group.as_slice() {
            let unit = if cut.is_array { "elements" } else { "members" };
            let place = if cut.pointer.is_empty() {
                "the top level"
            } else {
                &cut.pointer
            };
            let _ = write!(
                line,
                "shown {} of {} {unit} of {place}",
                cut.shown.len(),
                cut.n_all
            );
            if cut.is_array {
                let _ = write!(line, " ({})", ranges(&cut.shown, 0, 24));
            }
        } else {
            let all: u64 = group.iter().map(|cut| u64::from(cut.n_all)).sum();
            let shown: usize = group.iter().map(|cut| cut.shown.len()).sum();
            let unit = if group[0].is_array {
                "elements"
            } else {
                "members"
            };
            let _ = write!(
                line,
                "shown {shown} of {all} {unit} of {} at {place}",
                group.len()
            );
            let each: Vec<String> = group
                .iter()
                .take(6)
                .map(|cut| {
                    format!(
                        "{} {} of {}",
                        cut.pointer,
                        ranges(&cut.shown, 0, 4),
                        cut.n_all
                    )
                })
                .collect();
            let _ = write!(
                line,
                " ({}{})",
                each.join("; "),
                if group.len() > 6 { "; …" } else { "" }
            );
        }
        line.push('\n');
        if out.len() + line.len() > budget && !out.is_empty() {
            n_more += group.len();
            continue;
        }
        if line.len() > budget.max(160) {
            n_more += group.len();
            continue;
        }
        out.push_str(&line);
    }
    if n_more > 0 {
        let _ = writeln!(out, "{n_more} more arrays and objects are incomplete");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken variant that this catches: whatever is sampled as JSON is read by places in it.
    #[test]
    fn places_are_named_only_where_they_can_be_read() {
        let rest = Rest {
            handle: "r_a".to_owned(),
            tool: "read_result".to_owned(),
            whole: None,
            made_by: None,
        };
        let note = |odd: &str| {
            let rows: Vec<String> = (0..400).map(|n| format!("{{\"id\":{n}}}")).collect();
            let text = format!("[{odd},{}]", rows.join(","));
            let parts = super::super::document::parts(&text, 1_000);
            let draft = Draft::new(&text, &parts, 1_000, 100, &rest);
            let shown = draft.show(600, &|_| None);
            assert_eq!(shown.kind, Kind::Json, "{odd}");
            shown.text
        };
        for odd in ["-Infinity", "\"a\nb\"", "01"] {
            let note = note(odd);
            assert!(note.contains("\"r_a\",\"page\":1}"), "{note}");
            assert!(note.contains("\"lines\":\"A-B\""), "{note}");
            assert!(!note.contains("jq"), "{note}");
        }
        assert!(note("1").contains("\"r_a\",\"pointer\":\"\",\"items\":"));
    }

    /// Broken variant that this catches: containers at more places than are told apart are not counted.
    #[test]
    fn every_incomplete_container_is_counted() {
        let cuts: Vec<Cut> = (0..GROUPS + 10)
            .map(|n| Cut {
                pointer: format!("/s{n}"),
                place: format!("/s{n}"),
                is_array: true,
                n_all: 40,
                shown: vec![0],
                left_out: Vec::new(),
            })
            .collect();
        let said = missing(&cuts, 5, 400);
        let n_told = said.matches("shown 1 of 40").count();
        let n_more = cuts.len() + 5 - n_told;
        assert!(n_told > 0, "{said}");
        assert!(
            said.ends_with(&format!(
                "\n{n_more} more arrays and objects are incomplete\n"
            )),
            "{said}"
        );
    }
}
