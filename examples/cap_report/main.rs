//! What a cap leaves of a corpus of results and which questions can still be answered: tables for
//! docs/results.md.
//!
//! ```text
//! testdata/questions/ask.py RESULTS > questions.jsonl
//! cargo run --release --example cap_report -- RESULTS questions.jsonl [CAP [--missed]]
//! ```
//!
//! RESULTS is a folder of files as `testdata/questions/ask.py` describes them; beside it a `RESULTS.tsv` may
//! say by `file` which are of `kind` "multiplied fixture": they are left out.

#![allow(clippy::print_stdout, reason = "an example prints")]

#[allow(
    dead_code,
    reason = "shared with another example, which needs more of it"
)]
#[path = "../side_by_side/corpus.rs"]
mod corpus;
mod judge;

use std::collections::BTreeMap;
use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::Duration;
use std::time::Instant;

use mcp_whittle::result::compact::Bounds;
use mcp_whittle::result::compact::compact;
use mcp_whittle::result::options::Cap;
use mcp_whittle::result::options::View;
use mcp_whittle::result::query::Document;
use mcp_whittle::result::query::Limits;
use mcp_whittle::result::sample::Rest;
use mcp_whittle::result::sample::fit;
use mcp_whittle::token::Encoding;
use mcp_whittle::token::TiktokenCounter;
use mcp_whittle::token::TokenCounter;
use mcp_whittle::token::Tokens;

use judge::Question;

/// The result of a file, as raw JSON, and its text.
fn read(path: &Path) -> Option<(String, String)> {
    let record: serde_json::Value = serde_json::from_str(&fs::read_to_string(path).ok()?).ok()?;
    let response = match record.get("response")? {
        serde_json::Value::String(inner) => serde_json::from_str(inner).ok()?,
        other => other.clone(),
    };
    let mut result = response.get("result")?.clone();
    let texts: Vec<&str> = result
        .get("content")?
        .as_array()?
        .iter()
        .filter_map(|block| block.get("text")?.as_str())
        .collect();
    let text = texts.join("\n");
    if let Some(result) = result.as_object_mut() {
        result.remove("structuredContent");
    }
    Some((result.to_string(), text))
}

fn multiplied(folder: &Path) -> HashSet<String> {
    let table = folder.parent().unwrap_or(folder).join("RESULTS.tsv");
    let table = fs::read_to_string(table).unwrap_or_default();
    table
        .lines()
        .filter(|line| line.contains("\tmultiplied fixture\t"))
        .filter_map(|line| line.split('\t').next().map(str::to_owned))
        .collect()
}

/// The head of a text that has so many tokens.
fn head(text: &str, cap: Tokens, counter: &dyn TokenCounter) -> String {
    let (mut fits, mut fails) = (0, text.len() + 1);
    while fails - fits > 16 {
        let mut at = fits + (fails - fits) / 2;
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        if at <= fits {
            break;
        }
        match counter.count_up_to(&text[..at], cap) {
            Some(_) => fits = at,
            None => fails = at,
        }
    }
    text[..fits].to_owned()
}

#[derive(Default)]
struct Row {
    n: u64,
    n_sampled: u64,
    before: u64,
    after: u64,
    largest: u64,
    longest: Duration,
}

#[derive(Default)]
struct Score {
    n: u64,
    in_sample: u64,
    with_call: u64,
    in_head: u64,
}

fn percent(part: u64, whole: u64) -> f64 {
    part as f64 * 100.0 / whole.max(1) as f64
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, questions, cap @ ..] = arguments.as_slice() else {
        println!("usage: cap_report RESULTS_FOLDER QUESTIONS_JSONL [CAP]");
        return;
    };
    let folder = Path::new(folder);
    let n_cap: u64 = cap
        .first()
        .and_then(|cap| cap.parse().ok())
        .unwrap_or(5_000);
    let cap = Tokens::new(n_cap);
    let is_verbose = arguments.iter().any(|argument| argument == "--missed");
    let counter = TiktokenCounter::new(Encoding::O200kBase);
    let limits = Limits {
        cap: Some(Cap::of(cap)),
        counter: &counter,
    };
    let questions: Vec<Question> = fs::read_to_string(questions)
        .unwrap_or_default()
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let left_out = multiplied(folder);
    let paths = match corpus::files(folder) {
        Ok(paths) => paths,
        Err(error) => {
            println!("error: {error:#}");
            return;
        }
    };
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let mut scores: BTreeMap<String, Score> = BTreeMap::new();
    let rest = Rest {
        handle: "r_abcdefghijklmnopqrstuvwxyz".to_owned(),
        tool: "read_result".to_owned(),
        whole: None,
        made_by: None,
    };
    let bounds = Bounds::default();
    let notate = |text: &str| compact(text, &counter, &bounds).map(|dense| dense.text);
    for path in &paths {
        let name = path
            .strip_prefix(folder)
            .unwrap_or(path)
            .display()
            .to_string();
        if left_out.contains(&name) {
            continue;
        }
        let Some((raw, text)) = read(path) else {
            continue;
        };
        let before = counter.count(&text);
        let dense = notate(&text).unwrap_or_else(|| text.clone());
        if let Some(after) = counter.count_up_to(&dense, cap) {
            for kind in ["all", "not sampled"] {
                let row = rows.entry(kind.to_owned()).or_default();
                row.n += 1;
                row.before += before.get();
                row.after += after.get().min(before.get());
            }
            continue;
        }
        let started = Instant::now();
        let sampled = fit(&text, cap, &rest, &notate, &counter);
        let took = started.elapsed();
        for kind in ["all", sampled.kind.as_str()] {
            let row = rows.entry(kind.to_owned()).or_default();
            row.n += 1;
            row.n_sampled += 1;
            row.before += before.get();
            row.after += sampled.tokens.get();
            row.largest = row.largest.max(sampled.tokens.get());
            row.longest = row.longest.max(took);
        }
        let document = Document::of(&raw, View::Text);
        let head = head(&text, cap, &counter);
        for question in questions.iter().filter(|question| question.file == name) {
            let in_sample = question.is_answered_by(&sampled.text);
            let with_call =
                in_sample || question.is_answered_by_one_call(&sampled.text, &document, &limits);
            if is_verbose && !with_call {
                println!(
                    "MISSED {} {}: {} -> {}",
                    name, question.kind, question.question, question.answer
                );
            }
            for kind in ["all", &question.kind] {
                let score = scores.entry(kind.to_owned()).or_default();
                score.n += 1;
                score.in_sample += u64::from(in_sample);
                score.with_call += u64::from(with_call);
                score.in_head += u64::from(question.is_answered_by(&head));
            }
        }
    }
    println!(
        "| kind | results | sampled | tokens before | after | % left | largest | slowest, ms |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    for (kind, row) in &rows {
        println!(
            "| {kind} | {} | {} | {} | {} | {:.1} | {} | {:.1} |",
            row.n,
            row.n_sampled,
            row.before,
            row.after,
            percent(row.after, row.before),
            row.largest,
            row.longest.as_secs_f64() * 1e3
        );
    }
    println!();
    println!("| question | asked | in the sample | with one call | in a head of {n_cap} tokens |");
    println!("|---|---:|---:|---:|---:|");
    for (kind, score) in &scores {
        println!(
            "| {kind} | {} | {:.1} % | {:.1} % | {:.1} % |",
            score.n,
            percent(score.in_sample, score.n),
            percent(score.with_call, score.n),
            percent(score.in_head, score.n)
        );
    }
}
