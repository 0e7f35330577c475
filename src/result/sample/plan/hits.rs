//! Search results (`path:line:text`): hits counted for each file, the first of each shown. Pure.

use std::collections::HashMap;

use super::super::lines::Group;
use super::super::lines::Lines;
use super::super::rank::spread;
use super::super::short::short;

/// Files that are named, at most.
const FILES: usize = 80;

/// The path of a hit.
pub(super) fn hit(line: &str) -> Option<&str> {
    let mut at = 0;
    // A drive letter's colon is not the one.
    while let Some(colon) = line[at..].find([':', '(']).map(|found| at + found) {
        let rest = &line[colon + 1..];
        let n_digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if n_digits > 0 && rest[n_digits..].starts_with([':', ',', ')', '-']) {
            let path = &line[..colon];
            return (!path.is_empty()
                && path.len() < 300
                && !path.contains(' ')
                && path.contains(['/', '.', '\\']))
            .then_some(path);
        }
        at = colon + 1;
        if at > 300 {
            break;
        }
    }
    None
}

pub(super) fn plan(lines: &Lines<'_>, limit: usize) -> (Vec<String>, Vec<Group>) {
    let mut files: HashMap<&str, usize> = HashMap::new();
    let mut counts: Vec<(&str, usize, u32)> = Vec::new();
    let mut tones = super::Tones::default();
    let mut n_hits = 0;
    for (index, line) in lines.iter().enumerate() {
        tones.add(index, super::words::tone(line), limit);
        let Some(path) = hit(line) else { continue };
        n_hits += 1;
        let file = *files.entry(path).or_insert_with(|| {
            counts.push((path, 0, index as u32));
            counts.len() - 1
        });
        counts[file].1 += 1;
    }
    let mut facts = vec![format!("{n_hits} hits in {} files", counts.len())];
    facts.extend(tones.fact());
    let firsts: Vec<u32> = counts.iter().take(limit).map(|&(.., at)| at).collect();
    let mut by_count = counts;
    by_count.sort_by_key(|&(_, count, at)| (std::cmp::Reverse(count), at));
    facts.extend(by_count.iter().take(FILES).map(|(path, count, at)| {
        format!("{}: {count} (first at line {})", short(path, 100), at + 1)
    }));
    if by_count.len() > FILES {
        facts.push(format!("and {} files more", by_count.len() - FILES));
    }
    let n = lines.count();
    let (front, back) = super::ends(n, limit);
    (
        facts,
        vec![
            Group::new(20, front),
            Group::new(35, firsts),
            Group::new(15, back),
            Group::new(10, tones.errors),
            Group::new(20, spread(n as u32).take(limit)),
        ],
    )
}
