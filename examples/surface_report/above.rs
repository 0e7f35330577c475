//! Conversations in which ours took more tokens than the bare server, which should be none, and why.

use std::collections::BTreeMap;

use crate::report::{DRAWS, Row};

/// Conversations in which ours took more tokens than the bare server.
#[derive(Default)]
pub(crate) struct Above {
    /// By contender: conversations, and those above by our help after mistakes or by look-ups.
    counts: BTreeMap<String, (usize, usize, usize)>,
    rows: Vec<AboveRow>,
}

struct AboveRow {
    list: String,
    label: String,
    n_called: usize,
    n_above: usize,
    /// The worst difference in the window, and in what all requests read.
    window: i64,
    read: i64,
    /// Whether tools had to be looked up; else only our help after mistakes came in addition.
    has_look_ups: bool,
    detail: String,
}

impl Above {
    pub(crate) fn add(&mut self, list: &str, called: &[usize], rows: &[Row]) {
        let Some(bare) = rows.first() else { return };
        for row in rows.iter().filter(|row| row.is_ours.is_some()) {
            for (at, n_called) in called.iter().enumerate() {
                let mut found = AboveRow {
                    list: list.to_owned(),
                    label: row.label.clone(),
                    n_called: *n_called,
                    n_above: 0,
                    window: i64::MIN,
                    read: i64::MIN,
                    has_look_ups: false,
                    detail: String::new(),
                };
                let counts = self.counts.entry(row.label.clone()).or_default();
                for (ours, bare) in row.by_called[at].iter().zip(&bare.by_called[at]) {
                    counts.0 += 1;
                    let window = ours.window() as i64 - bare.window() as i64;
                    let read = ours.read() as i64 - bare.read() as i64;
                    if window <= 0 && read <= 0 {
                        continue;
                    }
                    let has_look_ups = ours.turns > bare.turns;
                    if has_look_ups {
                        counts.2 += 1;
                    } else {
                        counts.1 += 1;
                    }
                    if window > found.window {
                        found.detail = format!(
                            "list {} of {}, other texts {} of {}, extra turns {} of {}",
                            ours.list,
                            bare.list,
                            ours.answers(),
                            bare.answers(),
                            ours.turns,
                            bare.turns
                        );
                    }
                    found.n_above += 1;
                    found.window = found.window.max(window);
                    found.read = found.read.max(read);
                    found.has_look_ups |= has_look_ups;
                }
                if found.n_above > 0 {
                    self.rows.push(found);
                }
            }
        }
    }

    /// Prints the sums, and the rows: all, or only those with look-ups.
    pub(crate) fn print(&self, is_whole: bool) {
        println!("\n#### Above the bare server in tokens\n");
        println!(
            "| contender | conversations | above by our help after mistakes alone | worst in the window | above by look-ups | worst in the window |\n|---|--:|--:|--:|--:|--:|"
        );
        for (label, (n, by_help, by_look_ups)) in &self.counts {
            let worst = |has_look_ups| {
                let rows = self
                    .rows
                    .iter()
                    .filter(|row| row.label == *label && row.has_look_ups == has_look_ups);
                rows.map(|row| row.window)
                    .max()
                    .map_or(String::new(), |most| format!("{most:+}"))
            };
            println!(
                "| {label} | {n} | {by_help} | {} | {by_look_ups} | {} |",
                worst(false),
                worst(true)
            );
        }
        println!(
            "\n| list | contender | called | of {DRAWS} | worst: window | read | the worst |\n|---|---|--:|--:|--:|--:|---|"
        );
        for row in self.rows.iter().filter(|row| is_whole || row.has_look_ups) {
            println!(
                "| {} | {} | {} | {} | {:+} | {:+} | {} |",
                row.list, row.label, row.n_called, row.n_above, row.window, row.read, row.detail
            );
        }
    }
}
