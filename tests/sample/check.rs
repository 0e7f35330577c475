//! Is a sample true? It is compared with the original by what it says of itself.

use std::collections::BTreeMap;

use mcp_whittle::result::sample::{Account, Kind, Sampled, Unit};
use serde_json::Value;

/// Compares a sample with the original.
pub(super) fn check(text: &str, made: &Sampled) -> Result<(), String> {
    for account in &made.accounts {
        let is_ascending = account.shown.windows(2).all(|pair| pair[0] < pair[1]);
        let is_inside = account
            .shown
            .last()
            .is_none_or(|last| u64::from(*last) < account.all);
        if !is_ascending
            || !is_inside
            || account.left_out() + account.shown.len() as u64 != account.all
        {
            return Err(format!("{account:?} does not add up"));
        }
    }
    let Some(first) = made.parts.first() else {
        return Ok(());
    };
    match serde_json::from_str::<Value>(text) {
        Ok(original)
            if made.kind == Kind::Json
                || made
                    .accounts
                    .iter()
                    .any(|account| account.unit != Unit::Lines) =>
        {
            let part: Value = serde_json::from_str(first)
                .map_err(|error| format!("the part is no JSON: {error}"))?;
            let cuts: BTreeMap<&str, &Account> = made
                .accounts
                .iter()
                .filter(|account| account.unit != Unit::Lines)
                .map(|account| (account.place.as_str(), account))
                .collect();
            same(&original, &part, "", &cuts)
        }
        _ if made.kind == Kind::Python || made.parts.len() > 1 => Ok(()),
        _ => {
            let account = made
                .accounts
                .iter()
                .find(|account| account.unit == Unit::Lines);
            let mark = if made.text.contains("; @n marks") {
                "@"
            } else {
                "@@"
            };
            account.map_or(Ok(()), |account| lines(text, first, mark, account))
        }
    }
}

fn same(
    original: &Value,
    part: &Value,
    pointer: &str,
    cuts: &BTreeMap<&str, &Account>,
) -> Result<(), String> {
    let cut = cuts.get(pointer);
    match (original, part) {
        (Value::Array(all), Value::Array(shown)) => {
            let positions: Vec<usize> = match cut {
                Some(cut) if cut.all as usize == all.len() => {
                    cut.shown.iter().map(|at| *at as usize).collect()
                }
                Some(cut) => {
                    return Err(format!(
                        "{pointer} has {} elements, not {}",
                        all.len(),
                        cut.all
                    ));
                }
                None => (0..all.len()).collect(),
            };
            if positions.len() != shown.len() {
                return Err(format!(
                    "{pointer} shows {} elements, not {}",
                    shown.len(),
                    positions.len()
                ));
            }
            positions
                .into_iter()
                .zip(shown)
                .try_for_each(|(at, part)| same(&all[at], part, &format!("{pointer}/{at}"), cuts))
        }
        (Value::Object(all), Value::Object(shown)) => {
            let names: Vec<&String> = match cut {
                Some(cut) if cut.all as usize == all.len() => cut
                    .shown
                    .iter()
                    .filter_map(|at| all.keys().nth(*at as usize))
                    .collect(),
                Some(cut) => {
                    return Err(format!(
                        "{pointer} has {} members, not {}",
                        all.len(),
                        cut.all
                    ));
                }
                None => all.keys().collect(),
            };
            if !names.iter().copied().eq(shown.keys()) {
                return Err(format!("{pointer} shows other members than it says"));
            }
            shown.iter().try_for_each(|(name, part)| {
                let step = name.replace('~', "~0").replace('/', "~1");
                same(&all[name], part, &format!("{pointer}/{step}"), cuts)
            })
        }
        _ if original == part => Ok(()),
        _ => Err(format!("{pointer} is not what was sent")),
    }
}

fn lines(text: &str, part: &str, mark: &str, account: &Account) -> Result<(), String> {
    let all: Vec<&str> = text.lines().collect();
    if account.all as usize != all.len() {
        return Err(format!("{} lines, not {}", all.len(), account.all));
    }
    let longest = part.len();
    let mut written = part.lines();
    let mut next = 0;
    for &at in &account.shown {
        let mut line = written.next().ok_or("a line is missing")?;
        if at != next {
            if line != format!("{mark}{}", at + 1) {
                return Err(format!("no mark before line {}", at + 1));
            }
            line = written.next().ok_or("a line is missing behind a mark")?;
        }
        next = at + 1;
        let original = all[at as usize].trim_end_matches('\r');
        // One that is too long says so; everything else is whole.
        if line != original && !(original.len() > longest / 4 && line.contains("…[")) {
            return Err(format!("line {} is not what was sent", at + 1));
        }
    }
    written
        .next()
        .map_or(Ok(()), |line| Err(format!("{line:?} is not counted")))
}
