//! Conversations of every contender side by side, and where ours is not the lowest.

use std::cell::Cell;
use std::collections::HashMap;
use std::path::Path;

use anyhow::Context;
use mcp_whittle::surface::ladder::{Rung, model_tokens};
use mcp_whittle::surface::made::Made;
use mcp_whittle::surface::plan::Budget;

use crate::above::Above;
use crate::budgets::{counted, settings, word};
use crate::conversation::{Contender, Rule, Talk, Tool, play, script, tools};
use crate::corpus::{Corpus, Fleet};
use crate::memo::Memo;

const BUDGETS: [Budget; 4] = [
    Budget::Auto,
    Budget::Tokens(2000),
    Budget::Tokens(4000),
    Budget::Tokens(8000),
];
const CALLED: [usize; 4] = [1, 3, 10, 20];
/// Conversations of each kind; the means are shown.
pub(crate) const DRAWS: u64 = 5;
/// The two tools that FastMCP lists instead of all others.
const FASTMCP: &str = include_str!("../../testdata/fleets/fastmcp_search.json");

/// The means of some conversations.
#[derive(Default, Clone, Copy)]
struct Mean {
    list: f64,
    answers: f64,
    turns: f64,
    window: f64,
    read: f64,
    cached: [f64; 3],
    uncached: f64,
    missed: u64,
}

impl Mean {
    fn of(talks: &[Talk], rule: &Rule) -> Self {
        let mut mean = Self::default();
        let n = talks.len().max(1) as f64;
        for talk in talks {
            mean.list += talk.list as f64 / n;
            mean.answers += talk.answers() as f64 / n;
            mean.turns += talk.turns as f64 / n;
            mean.window += talk.window() as f64 / n;
            mean.read += talk.read() as f64 / n;
            for (sum, part) in mean.cached.iter_mut().zip(talk.cached(rule)) {
                *sum += part / n;
            }
            mean.uncached += talk.uncached(rule) / n;
            mean.missed += talk.missed;
        }
        mean
    }

    fn cost(&self) -> f64 {
        self.cached.iter().sum()
    }
}

/// Contenders of one fleet with their conversations.
pub(crate) struct Row {
    pub(crate) label: String,
    /// Whether it is ours, and whether for clients that take open schemas.
    pub(crate) is_ours: Option<bool>,
    rungs: String,
    pub(crate) by_called: Vec<Vec<Talk>>,
}

/// Answers by fleet and query: as JSON and as Markdown.
type Answers = HashMap<(String, String), [String; 2]>;

/// What mcp-compressor lists and answers in front of one fleet at one level.
#[derive(serde::Deserialize)]
struct Compressor {
    fleet: String,
    level: String,
    list: Vec<Box<serde_json::value::RawValue>>,
    listing: Option<String>,
    invoke: String,
    schemas: HashMap<String, String>,
}

/// What was asked of contenders elsewhere.
#[derive(Default)]
pub(crate) struct Others {
    fastmcp: Option<Answers>,
    compressor: Vec<Compressor>,
}

impl Others {
    /// Reads the files that the scripts in `testdata/fleets` wrote.
    pub(crate) fn read(fastmcp: Option<&Path>, compressor: Option<&Path>) -> anyhow::Result<Self> {
        let mut others = Self {
            fastmcp: fastmcp.map(read_answers).transpose()?,
            ..Self::default()
        };
        if let Some(path) = compressor {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
            for line in text.lines() {
                others.compressor.push(serde_json::from_str(line)?);
            }
        }
        Ok(others)
    }

    /// Returns level, tokens that a model reads and tokens on the wire of what mcp-compressor lists.
    pub(crate) fn lists(&self, fleet: &str, counter: &Memo) -> Vec<(String, u64, u64)> {
        let of_fleet = self.compressor.iter().filter(|other| other.fleet == fleet);
        of_fleet
            .map(|other| {
                let tools = other.list.iter().map(|tool| tool.get());
                let model = tools.clone().map(|tool| model_tokens(tool, counter).get());
                let wire = tools.map(|tool| counter.of(tool));
                (other.level.clone(), model.sum(), wire.sum())
            })
            .collect()
    }
}

fn called(fleet: &Fleet) -> Vec<usize> {
    let n_tools = fleet.n_tools();
    CALLED.into_iter().filter(|n| *n <= n_tools).collect()
}

fn rows(fleet: &Fleet, others: &Others, rule: &Rule, counter: &Memo) -> Vec<Row> {
    let tools: Vec<Tool> = tools(fleet);
    let talks = |contender: &Contender<'_>, list: u64| -> Vec<Vec<Talk>> {
        let played = |n: usize, draw| {
            let script = script(&fleet.name, tools.len(), n, draw);
            play(contender, list, &tools, &script, rule, counter)
        };
        let of = |n: usize| (0..DRAWS).map(|draw| played(n, draw)).collect();
        called(fleet).into_iter().map(of).collect()
    };
    let bare = fleet
        .tools()
        .map(|tool| model_tokens(tool, counter).get())
        .sum();
    let mut rows = vec![Row {
        label: "bare".to_owned(),
        is_ours: None,
        rungs: String::new(),
        by_called: talks(&Contender::Bare, bare),
    }];
    for is_open in [false, true] {
        for budget in BUDGETS {
            let made = Made::of(&fleet.parts, &settings(budget, is_open), counter);
            let list = counted(&made.surface, counter).0;
            let counts = made.surface.histogram();
            let n = |rung| counts.get(&rung).copied().unwrap_or(0);
            rows.push(Row {
                label: format!(
                    "ours {}{}",
                    word(budget),
                    if is_open { " open" } else { "" }
                ),
                is_ours: Some(is_open),
                rungs: format!("{} / {}", n(Rung::Name), n(Rung::Hidden)),
                by_called: talks(&Contender::Ours { made: &made }, list),
            });
        }
    }
    for other in others
        .compressor
        .iter()
        .filter(|other| other.fleet == fleet.name)
    {
        let schema = |name: &str| other.schemas.get(name).cloned().unwrap_or_default();
        let contender = Contender::OnDemand {
            schema: &schema,
            listing: other.listing.as_deref(),
            invoke: &other.invoke,
        };
        let list = other
            .list
            .iter()
            .map(|tool| model_tokens(tool.get(), counter).get());
        rows.push(Row {
            label: format!("mcp-compressor {}", other.level),
            is_ours: None,
            rungs: String::new(),
            by_called: talks(&contender, list.sum()),
        });
    }
    let Some(answers) = &others.fastmcp else {
        return rows;
    };
    let list: Vec<Box<serde_json::value::RawValue>> =
        serde_json::from_str(FASTMCP).unwrap_or_default();
    let list = list
        .iter()
        .map(|tool| model_tokens(tool.get(), counter).get())
        .sum();
    let shows: [fn(&str, &str) -> bool; 2] = [
        |text, name| text.contains(&format!("\"name\":\"{name}\"")),
        |text, name| text.contains(&format!("### {name}\n")),
    ];
    for (at, label) in ["FastMCP search, JSON", "FastMCP search, Markdown"]
        .into_iter()
        .enumerate()
    {
        let is_complete = Cell::new(true);
        let answer = |query: &str| {
            let key = (fleet.name.clone(), query.to_owned());
            let text = answers.get(&key).map(|texts| texts[at].clone());
            is_complete.set(is_complete.get() && text.is_some());
            text
        };
        let contender = Contender::SearchOnly {
            answer: &answer,
            shows: shows[at],
        };
        let by_called = talks(&contender, list);
        if is_complete.get() {
            rows.push(Row {
                label: label.to_owned(),
                is_ours: None,
                rungs: format!("0 / {}", tools.len()),
                by_called,
            });
        }
    }
    rows
}

/// Prints the tools of each server alone, one line of JSON each, for contenders that list elsewhere.
pub(crate) fn print_lists(corpus: &Corpus) {
    for server in &corpus.servers {
        let definitions: Vec<&str> = server.tools().collect();
        println!(
            "{{\"fleet\":{},\"tools\":[{}]}}",
            serde_json::json!(server.name),
            definitions.join(",")
        );
    }
}

/// Prints the tools and every search of each fleet's conversations, one line of JSON each, for contenders
/// that answer elsewhere.
pub(crate) fn print_queries(corpus: &Corpus) {
    for fleet in &corpus.fleets {
        let tools = tools(fleet);
        let mut needed: Vec<usize> = called(fleet)
            .into_iter()
            .flat_map(|n| {
                (0..DRAWS).flat_map(move |draw| script(&fleet.name, fleet.n_tools(), n, draw))
            })
            .flatten()
            .collect();
        needed.sort_unstable();
        needed.dedup();
        let queries: Vec<&str> = needed
            .into_iter()
            .flat_map(|tool| tools[tool].queries.iter().map(String::as_str))
            .collect();
        let definitions: Vec<&str> = fleet.tools().collect();
        println!(
            "{{\"fleet\":{},\"tools\":[{}],\"queries\":{}}}",
            serde_json::json!(fleet.name),
            definitions.join(","),
            serde_json::json!(queries)
        );
    }
}

fn read_answers(path: &Path) -> anyhow::Result<Answers> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
    let mut answers = Answers::new();
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line)?;
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        answers.insert(
            (text("fleet"), text("query")),
            [text("json"), text("markdown")],
        );
    }
    Ok(answers)
}

fn thousands(number: f64) -> String {
    if number >= 99_950.0 {
        format!("{:.0}", number / 1000.0)
    } else {
        format!("{:.1}", number / 1000.0)
    }
}

/// Prints all fleets.
pub(crate) fn print(corpus: &Corpus, rule: &Rule, others: &Others) {
    let counter = Memo::new();
    let mut not_lowest = Vec::new();
    let mut above = Above::default();
    for fleet in &corpus.fleets {
        let rows = rows(fleet, others, rule, &counter);
        let called = called(fleet);
        println!("\n#### {} ({} tools)\n", fleet.name, fleet.n_tools());
        let heads: Vec<String> = called
            .iter()
            .map(|n| format!("{n} called: window | read | cached | uncached | turns"))
            .collect();
        println!(
            "| contender | list | name / hidden | {} |",
            heads.join(" | ")
        );
        println!(
            "|---|--:|--:|{}",
            "--:|--:|--:|--:|--:|".repeat(called.len())
        );
        for row in &rows {
            let means: Vec<Mean> = row
                .by_called
                .iter()
                .map(|talks| Mean::of(talks, rule))
                .collect();
            let cells: Vec<String> = means
                .iter()
                .map(|mean| {
                    let numbers =
                        [mean.window, mean.read, mean.cost(), mean.uncached].map(thousands);
                    let missed = match mean.missed {
                        0 => String::new(),
                        n => format!(" ({n} missed)"),
                    };
                    format!("{} | {:.1}{missed}", numbers.join(" | "), mean.turns)
                })
                .collect();
            let list = means.first().map_or(0.0, |mean| mean.list);
            println!(
                "| {} | {} | {} | {} |",
                row.label,
                thousands(list),
                row.rungs,
                cells.join(" | ")
            );
        }
        for (at, n) in called.iter().enumerate() {
            for is_open in [false, true] {
                not_lowest.extend(compare(&fleet.name, *n, &rows, at, is_open, rule));
            }
        }
        above.add(&fleet.name, &called, &rows);
    }
    println!("\n#### Where `auto` is not the lowest\n");
    println!(
        "| fleet | called | schemas | by | auto | lowest | why |\n|---|--:|---|---|--:|---|---|"
    );
    for line in not_lowest {
        println!("{line}");
    }
    above.print(true);
}

/// Says where `auto` is not the lowest, and why, in window tokens and in cached cost.
fn compare(
    fleet: &str,
    n: usize,
    rows: &[Row],
    at: usize,
    is_open: bool,
    rule: &Rule,
) -> Vec<String> {
    let means: Vec<(&Row, Mean)> = rows
        .iter()
        .filter(|row| row.is_ours.is_none_or(|open| open == is_open))
        .map(|row| (row, Mean::of(&row.by_called[at], rule)))
        .collect();
    let Some((_, ours)) = means
        .iter()
        .find(|(row, _)| row.label.starts_with("ours auto"))
    else {
        return Vec::new();
    };
    let window = |mean: &Mean| [mean.list, mean.answers, 0.0];
    let cached = |mean: &Mean| mean.cached;
    let mut lines = Vec::new();
    for (by, parts) in [
        ("window", &window as &dyn Fn(&Mean) -> [f64; 3]),
        ("cached cost", &cached),
    ] {
        let total = |mean: &Mean| parts(mean).iter().sum::<f64>();
        let Some((row, lowest)) = means
            .iter()
            .min_by(|a, b| total(&a.1).total_cmp(&total(&b.1)))
        else {
            continue;
        };
        if total(lowest) + 0.5 >= total(ours) {
            continue;
        }
        let (own, other) = (parts(ours), parts(lowest));
        let reasons: Vec<String> = ["list", "look-ups", "extra turns"]
            .into_iter()
            .zip(own.into_iter().zip(other))
            .filter(|(_, (own, other))| (own - other).abs() >= 0.5)
            .map(|(what, (own, other))| {
                format!("{what} {} against {}", thousands(own), thousands(other))
            })
            .collect();
        lines.push(format!(
            "| {fleet} | {n} | {} | {by} | {} | {} {}{} | {} |",
            if is_open { "open" } else { "real" },
            thousands(total(ours)),
            row.label,
            thousands(total(lowest)),
            match lowest.missed {
                0 => String::new(),
                n => format!(" ({n} tools not found)"),
            },
            reasons.join("; ")
        ));
    }
    lines
}

/// Prints where ours took more tokens than the bare server, for each server alone.
pub(crate) fn print_alone(corpus: &Corpus, rule: &Rule) {
    let counter = Memo::new();
    let mut above = Above::default();
    for server in &corpus.servers {
        above.add(
            &server.name,
            &called(server),
            &rows(server, &Others::default(), rule, &counter),
        );
    }
    above.print(false);
}
