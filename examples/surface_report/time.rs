//! How long planning takes, the choice apart from rendering and counting.

use std::time::{Duration, Instant};

use mcp_whittle::surface::budget::{Choice, choose};
use mcp_whittle::surface::ladder::{LadderOptions, Rung, priced_ladder};
use mcp_whittle::surface::plan::{Budget, Part, plan};
use mcp_whittle::token::{Encoding, TiktokenCounter, TokenCounter};

use crate::budgets::settings;
use crate::corpus::Corpus;

/// Tools of the choice that is timed.
const TOOLS: usize = 1000;
/// Times that each is done; the median counts.
const ROUNDS: usize = 21;

/// Like the values of the planner; the time hardly depends on them.
const fn worth(rung: Rung) -> u64 {
    match rung {
        Rung::Full | Rung::Lean => 1000,
        Rung::Dense => 970,
        Rung::Short => 850,
        Rung::Signature => 550,
        Rung::Name => 250,
        Rung::Hidden => 80,
    }
}

/// The median and the best time: the best is the one that nothing else disturbed.
fn median(mut work: impl FnMut(), rounds: usize) -> (Duration, Duration) {
    let mut times: Vec<Duration> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .collect();
    times.sort();
    (times[rounds / 2], times[0])
}

pub(crate) fn print(corpus: &Corpus) {
    let counter = TiktokenCounter::new(Encoding::O200kBase);
    counter.count("loads the vocabulary");
    let options = LadderOptions {
        may_use_open_schema: true,
        ..LadderOptions::default()
    };
    // One of every server by turns, so that no server is all of it.
    let longest = corpus.servers.iter().map(|server| server.n_tools()).max();
    let tools: Vec<(&str, &str)> = (0..longest.unwrap_or(0))
        .flat_map(|at| {
            corpus
                .servers
                .iter()
                .filter_map(move |server| Some((server.name.as_str(), server.tools().nth(at)?)))
        })
        .take(TOOLS)
        .collect();
    let start = Instant::now();
    let ladders: Vec<Vec<Choice>> = tools
        .iter()
        .map(|(_, tool)| {
            priced_ladder(tool, &options, &counter)
                .iter()
                .filter(|priced| priced.rendering.rung > Rung::Full)
                .map(|priced| Choice {
                    tokens: priced.tokens.get(),
                    value: worth(priced.rendering.shown),
                })
                .collect()
        })
        .collect();
    let rendering = start.elapsed();
    println!(
        "\nThe choice alone, {} tools with {} renderings (one of each server by turns; a value per tool that differs in the second row of each budget); rendering and counting them took {:.0} ms.\n",
        ladders.len(),
        ladders.iter().map(Vec::len).sum::<usize>(),
        rendering.as_secs_f64() * 1000.0
    );
    println!("| budget | weights | median of {ROUNDS}, ms | best |\n|--:|---|--:|--:|");
    let weighted: Vec<Vec<Choice>> = ladders
        .iter()
        .enumerate()
        .map(|(at, choices)| {
            let weight = 1 + (at as u64 * 7919) % 97;
            let weigh = |choice: &Choice| Choice {
                value: choice.value * weight,
                ..*choice
            };
            choices.iter().map(weigh).collect()
        })
        .collect();
    for budget in [
        2_000, 4_000, 8_000, 15_000, 16_000, 50_000, 100_000, 200_000,
    ] {
        for (word, ladders) in [("equal", &ladders), ("by tool", &weighted)] {
            let (usual, best) = median(
                || {
                    std::hint::black_box(choose(ladders, budget));
                },
                ROUNDS,
            );
            println!(
                "| {budget} | {word} | {:.2} | {:.2} |",
                usual.as_secs_f64() * 1000.0,
                best.as_secs_f64() * 1000.0
            );
        }
    }
    println!("\nThe choice for few tools, which may be exact:\n");
    println!("| tools | budget | median of {ROUNDS}, ms | best |\n|--:|--:|--:|--:|");
    for n in [12, 30, 60, 100, 300] {
        for budget in [2_000, 4_000, 8_000, 16_000] {
            let few = &ladders[..n.min(ladders.len())];
            let (usual, best) = median(
                || {
                    std::hint::black_box(choose(few, budget));
                },
                ROUNDS,
            );
            println!(
                "| {n} | {budget} | {:.2} | {:.2} |",
                usual.as_secs_f64() * 1000.0,
                best.as_secs_f64() * 1000.0
            );
        }
    }
    println!("\nA whole plan (reading, rendering, counting, choice; median of 3):\n");
    println!("| list | tools | budget | ms |\n|---|--:|--:|--:|");
    let mut parts: Vec<Part> = Vec::new();
    for (server, tool) in &tools {
        match parts.iter_mut().find(|part| part.server == *server) {
            Some(part) => part.tools.push(bytes::Bytes::from((*tool).to_owned())),
            None => parts.push(Part {
                server: (*server).to_owned(),
                tools: vec![bytes::Bytes::from((*tool).to_owned())],
            }),
        }
    }
    let mixed = [("1,000 tools as above", &parts, tools.len())];
    let fleets = corpus
        .fleets
        .iter()
        .map(|fleet| (fleet.name.as_str(), &fleet.parts, fleet.n_tools()));
    for (name, parts, n_tools) in mixed.into_iter().chain(fleets) {
        for budget in [Budget::Auto, Budget::Tokens(4000)] {
            let settings = settings(budget, true);
            let (usual, _) = median(
                || {
                    std::hint::black_box(plan(parts, &settings, &counter));
                },
                3,
            );
            println!(
                "| {name} | {n_tools} | {budget} | {:.0} |",
                usual.as_secs_f64() * 1000.0
            );
        }
    }
}
