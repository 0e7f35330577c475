//! Tokens with all tools at one rung.

use mcp_whittle::surface::ladder::{LadderOptions, Rung, priced_ladder};

use crate::corpus::{Corpus, Fleet};
use crate::memo::Memo;

/// Rungs that list something.
const LISTED: [Rung; 6] = [
    Rung::Full,
    Rung::Lean,
    Rung::Dense,
    Rung::Short,
    Rung::Signature,
    Rung::Name,
];

/// Tokens of a list with every tool at a rung, or above it where that is smaller.
#[derive(Default, Clone, Copy)]
struct Sums {
    model: [u64; LISTED.len()],
    wire: [u64; LISTED.len()],
}

impl Sums {
    fn of(fleet: &Fleet, is_open: bool, counter: &Memo) -> Self {
        let options = LadderOptions {
            may_use_open_schema: is_open,
            ..LadderOptions::default()
        };
        let mut sums = Self::default();
        for tool in fleet.tools() {
            for priced in priced_ladder(tool, &options, counter) {
                let Some(at) = LISTED
                    .iter()
                    .position(|rung| *rung == priced.rendering.rung)
                else {
                    continue;
                };
                sums.model[at] += priced.tokens.get();
                sums.wire[at] += counter.of(priced.rendering.text.as_deref().unwrap_or_default());
            }
        }
        sums
    }

    fn add(&mut self, other: &Self) {
        for at in 0..LISTED.len() {
            self.model[at] += other.model[at];
            self.wire[at] += other.wire[at];
        }
    }
}

pub(crate) fn print(corpus: &Corpus) {
    let counter = Memo::new();
    let rows: Vec<(String, usize, Sums, Sums)> = corpus
        .all()
        .map(|fleet| {
            let sums = |is_open| Sums::of(fleet, is_open, &counter);
            (fleet.name.clone(), fleet.n_tools(), sums(false), sums(true))
        })
        .collect();
    let mut all = (
        "**all servers**".to_owned(),
        0,
        Sums::default(),
        Sums::default(),
    );
    for (_, n_tools, closed, open) in &rows[corpus.fleets.len()..] {
        all.1 += n_tools;
        all.2.add(closed);
        all.3.add(open);
    }
    for (title, of) in [
        (
            "Model view",
            (|sums: &Sums| sums.model) as fn(&Sums) -> [u64; 6],
        ),
        ("Wire", |sums: &Sums| sums.wire),
    ] {
        println!("\n#### {title}\n");
        println!(
            "| fleet or server | tools | full | lean | short | signature | name | open: dense | open: short | open: signature | open: name |"
        );
        println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
        for (name, n_tools, closed, open) in rows.iter().chain([&all]) {
            let (closed, open) = (of(closed), of(open));
            let cells: Vec<String> = [0, 1, 3, 4, 5]
                .into_iter()
                .map(|at| closed[at])
                .chain([2, 3, 4, 5].into_iter().map(|at| open[at]))
                .map(|tokens| tokens.to_string())
                .collect();
            println!("| {name} | {n_tools} | {} |", cells.join(" | "));
        }
    }
}
