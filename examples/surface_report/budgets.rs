//! Tokens, rungs and meta-tools at budgets.

use std::collections::BTreeMap;

use mcp_whittle::surface::ladder::{Rung, model_tokens};
use mcp_whittle::surface::plan::{Budget, Form, Settings, Shortfall, Surface, plan};

use crate::corpus::{Corpus, Fleet};
use crate::memo::Memo;
use crate::report::Others;

/// What is measured.
pub(crate) const BUDGETS: [Budget; 5] = [
    Budget::Auto,
    Budget::Tokens(2000),
    Budget::Tokens(4000),
    Budget::Tokens(8000),
    Budget::Tokens(16000),
];

pub(crate) fn settings(budget: Budget, is_open: bool) -> Settings {
    Settings {
        budget,
        form: Form {
            may_use_open_schema: is_open,
            ..Form::default()
        },
        ..Settings::default()
    }
}

/// How a budget is written.
pub(crate) fn word(budget: Budget) -> String {
    match budget {
        Budget::Tokens(tokens) => format!("{}k", tokens / 1000),
        other => other.to_string(),
    }
}

/// Tokens of what is listed: those a model reads, those on the wire, and the meta-tools among the first.
pub(crate) fn counted(surface: &Surface, counter: &Memo) -> (u64, u64, u64) {
    let text = |bytes: &bytes::Bytes| String::from_utf8_lossy(bytes).into_owned();
    let own: Vec<String> = surface.meta_tools.iter().map(text).collect();
    let shown = surface.tools.iter().flatten();
    let shown: Vec<String> = shown
        .filter_map(|tool| tool.text.as_ref())
        .map(text)
        .collect();
    let model = |texts: &[String]| -> u64 {
        texts
            .iter()
            .map(|text| model_tokens(text, counter).get())
            .sum()
    };
    let wire = own.iter().chain(&shown).map(|text| counter.of(text)).sum();
    let meta = model(&own);
    (meta + model(&shown), wire, meta)
}

/// `12l 3n`: a letter for each rung, `g` for signature.
fn letters(counts: &BTreeMap<Rung, usize>) -> String {
    let letter = |rung: &Rung| match rung {
        Rung::Signature => 'g',
        other => other.as_str().chars().next().unwrap_or('?'),
    };
    let words: Vec<String> = counts
        .iter()
        .map(|(rung, n)| format!("{n}{}", letter(rung)))
        .collect();
    words.join(" ")
}

/// `12 lean, 3 name`.
fn histogram(counts: &BTreeMap<Rung, usize>) -> String {
    let words: Vec<String> = counts
        .iter()
        .map(|(rung, n)| format!("{n} {rung}"))
        .collect();
    words.join(", ")
}

fn shortfall(surface: &Surface) -> &'static str {
    match surface.shortfall {
        Some(Shortfall::Over { .. }) => "over",
        Some(Shortfall::BelowMetaTools { .. }) => "meta-tools too dear, lean",
        None => "",
    }
}

fn rows(fleet: &Fleet, bare: u64, others: &Others, counter: &Memo) {
    for budget in BUDGETS {
        for is_open in [false, true] {
            let surface = plan(&fleet.parts, &settings(budget, is_open), counter);
            let (model, wire, meta) = counted(&surface, counter);
            println!(
                "| {} | {} | {} | {model} | {:.0} % | {wire} | {meta} | {} | {} |",
                fleet.name,
                word(budget),
                if is_open { "open" } else { "real" },
                100.0 * model as f64 / bare as f64,
                histogram(&surface.histogram()),
                shortfall(&surface),
            );
        }
    }
    compressor_rows(fleet, bare, others, counter);
}

/// What mcp-compressor lists at each level.
fn compressor_rows(fleet: &Fleet, bare: u64, others: &Others, counter: &Memo) {
    for (level, model, wire) in others.lists(&fleet.name, counter) {
        println!(
            "| {} | mcp-compressor {level} | – | {model} | {:.0} % | {wire} | {model} | {} hidden |  |",
            fleet.name,
            100.0 * model as f64 / bare as f64,
            fleet.n_tools()
        );
    }
}

fn bare(fleet: &Fleet, counter: &Memo) -> u64 {
    fleet
        .tools()
        .map(|tool| model_tokens(tool, counter).get())
        .sum()
}

pub(crate) fn print(corpus: &Corpus, others: &Others) {
    let counter = Memo::new();
    println!("\n#### Fleets\n");
    println!(
        "| fleet | budget | schemas | tokens shown | of bare | wire | meta-tools | rungs | shortfall |"
    );
    println!("|---|---|---|--:|--:|--:|--:|---|---|");
    for fleet in &corpus.fleets {
        let bare = bare(fleet, &counter);
        println!(
            "| {} | – | – | {bare} | 100 % | | | bare, {} tools | |",
            fleet.name,
            fleet.n_tools()
        );
        rows(fleet, bare, others, &counter);
    }
    println!("\n#### Servers\n");
    println!(
        "Tokens shown with real schemas / with open ones, behind each how many tools are full (`f`), lean (`l`), dense (`d`), short (`s`), signatures (`g`), names (`n`) and hidden (`h`). `!`: over the budget; `m`: lean because meta-tools cost too much. Then what mcp-compressor lists at its levels, model view / wire; the wire of ours is in the tables of rungs."
    );
    println!(
        "\n| server | bare | auto | 2k | 4k | 8k | 16k | compressor low | medium | high | max |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    );
    let mut all: BTreeMap<(usize, bool), BTreeMap<Rung, usize>> = BTreeMap::new();
    for server in &corpus.servers {
        let mut cells = vec![server.name.clone(), bare(server, &counter).to_string()];
        for (at, budget) in BUDGETS.into_iter().enumerate() {
            let mut shown = Vec::new();
            for is_open in [false, true] {
                let surface = plan(&server.parts, &settings(budget, is_open), &counter);
                let counts = surface.histogram();
                let mark = match surface.shortfall {
                    Some(Shortfall::Over { .. }) => " !",
                    Some(Shortfall::BelowMetaTools { .. }) => " m",
                    None => "",
                };
                let tokens = counted(&surface, &counter).0;
                shown.push(format!("{tokens}{mark} ({})", letters(&counts)));
                let sum = all.entry((at, is_open)).or_default();
                for (rung, n) in counts {
                    *sum.entry(rung).or_default() += n;
                }
            }
            cells.push(shown.join(" / "));
        }
        let lists = others.lists(&server.name, &counter);
        for level in ["low", "medium", "high", "max"] {
            let list = lists.iter().find(|(other, ..)| other == level);
            cells.push(
                list.map_or_else(String::new, |(_, model, wire)| format!("{model} / {wire}")),
            );
        }
        println!("| {} |", cells.join(" | "));
    }
    println!("\nTools by rung over all servers, each alone:\n");
    println!("| budget | schemas | rungs |\n|---|---|---|");
    for ((at, is_open), counts) in all {
        println!(
            "| {} | {} | {} |",
            word(BUDGETS[at]),
            if is_open { "open" } else { "real" },
            histogram(&counts)
        );
    }
}
