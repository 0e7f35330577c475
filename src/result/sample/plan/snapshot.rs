//! Accessibility snapshots of pages: roles counted, what can be used first, references kept. Pure.

use std::collections::HashMap;

use super::super::lines::Group;
use super::super::lines::Lines;
use super::super::rank::spread;
use super::plain::Numbers;

/// Roles that a person or an agent acts on, beside links.
const CONTROLS: [&str; 15] = [
    "button",
    "textbox",
    "combobox",
    "checkbox",
    "radio",
    "searchbox",
    "switch",
    "slider",
    "spinbutton",
    "tab",
    "menuitem",
    "option",
    "listbox",
    "dialog",
    "alert",
];

/// Whether a line is a node of a snapshot.
pub(super) fn is_node(line: &str) -> bool {
    role(line).is_some()
        || line.trim_start().starts_with("- /url:")
        || line.trim_start().starts_with("- text:")
}

/// Whether a line carries a reference.
pub(super) fn has_ref(line: &str) -> bool {
    line.contains("[ref=") || line.trim_start().starts_with("uid=")
}

/// The role of a node: `- link "…" [ref=e1]`, `uid=1_2 link "…"`.
fn role(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let rest = match line.strip_prefix("uid=") {
        Some(rest) => rest.split_once(' ')?.1,
        None => line.strip_prefix("- ")?,
    };
    let end = rest
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(rest.len());
    (end > 0 && !rest[end..].starts_with(['/', '='])).then(|| &rest[..end])
}

pub(super) fn plan(lines: &Lines<'_>, limit: usize) -> (Vec<String>, Vec<Group>) {
    let mut roles: HashMap<&str, usize> = HashMap::new();
    let mut order: Vec<(&str, usize)> = Vec::new();
    let mut n_refs = 0;
    let (mut controls, mut headings, mut links) = (Vec::new(), Vec::new(), Vec::new());
    let mut tones = super::Tones::default();
    let mut numbers = Numbers::default();
    for (index, line) in lines.iter().enumerate() {
        numbers.add(line);
        n_refs += usize::from(has_ref(line));
        tones.add(index, super::words::tone(line), limit);
        let Some(role) = role(line) else { continue };
        let slot = *roles.entry(role).or_insert_with(|| {
            order.push((role, 0));
            order.len() - 1
        });
        order[slot].1 += 1;
        let at = index as u32;
        match role {
            "heading" => headings.push(at),
            "link" => links.push(at),
            _ if CONTROLS.contains(&role) => controls.push(at),
            _ => {}
        }
    }
    order.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    let named = order
        .iter()
        .take(24)
        .map(|(role, count)| format!("{role}×{count}"))
        .collect::<Vec<_>>()
        .join(" ");
    let mut facts = vec![
        format!("roles: {named}"),
        format!("nodes with a reference: {n_refs}"),
    ];
    facts.extend(tones.fact());
    facts.extend(numbers.facts());
    let (front, back) = super::ends(lines.count(), limit);
    let spread_over = |list: &[u32]| {
        let list = list.to_vec();
        spread(list.len() as u32)
            .map(move |at| list[at as usize])
            .take(limit)
            .collect::<Vec<_>>()
    };
    (
        facts,
        vec![
            Group::new(20, front),
            Group::new(25, controls.iter().copied().take(limit)),
            Group::new(20, spread_over(&headings)),
            Group::new(20, spread_over(&links)),
            Group::new(10, back),
            Group::new(5, spread_over(&tones.errors)),
        ],
    )
}
