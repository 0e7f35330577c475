//! What the denser notations of results save, by kind, origin and notation. Prints Markdown;
//! `docs/results.md` holds its output.
//!
//! ```text
//! results_report FOLDER [--table RESULTS.tsv] [--most TOKENS] [--each]
//! ```
//!
//! `FOLDER` holds captured results (`*.json`, also in folders). Results of multiplied fixtures are left
//! out, and those of more than `--most` tokens (50,000). With `--table`, the per-file minima of its columns
//! `minify`, `toon`, `col_json` and `col_csv` are summed beside ours. It reads files and writes to stdout.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a report for people who develop this project"
)]

#[allow(
    dead_code,
    reason = "shared with another example, which needs more of it"
)]
#[path = "side_by_side/corpus.rs"]
mod corpus;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use mcp_whittle::result::compact::{Bounds, Compacted, compact, compact_list};
use mcp_whittle::token::{TiktokenCounter, TokenCounter};

/// One row of a table.
#[derive(Default)]
struct Sum {
    n: u64,
    before: u64,
    after: u64,
}

impl Sum {
    fn add(&mut self, before: u64, after: u64) {
        self.n += 1;
        self.before += before;
        self.after += after;
    }
}

/// What the table of other notations says of one file.
struct Others {
    kind: String,
    class: String,
    smallest: Option<u64>,
}

fn main() -> anyhow::Result<()> {
    let mut words = std::env::args().skip(1);
    let (mut folder, mut table, mut most, mut each) = (None, None, 50_000, false);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--table" => table = words.next().map(PathBuf::from),
            "--most" => most = words.next().context("--most TOKENS")?.parse()?,
            "--each" => each = true,
            _ if folder.is_none() => folder = Some(PathBuf::from(word)),
            _ => bail!("unknown argument `{word}`"),
        }
    }
    let folder = folder.context("results_report FOLDER [--table RESULTS.tsv]")?;
    let others = table
        .as_deref()
        .map(read_table)
        .transpose()?
        .unwrap_or_default();
    let counter = TiktokenCounter::default();
    let (mut by_class, mut by_kind, mut by_form) = (Sums::new(), Sums::new(), Sums::new());
    let (mut json, mut smallest, mut n_larger) = (Sum::default(), 0, 0);
    let (mut bytes, mut time) = (0, Duration::ZERO);
    for path in corpus::files(&folder)? {
        let name = path.strip_prefix(&folder)?.to_string_lossy().into_owned();
        let Some((kind, blocks)) = corpus::read(&path)? else {
            continue;
        };
        let other = others.get(&name);
        let kind = other.map_or(kind, |other| other.kind.clone());
        let text = blocks.join("\n");
        let before = counter.count(&text).get();
        if before > most || kind == "multiplied fixture" || before == 0 {
            continue;
        }
        let start = Instant::now();
        let dense = shape(&blocks, &text, &counter);
        time += start.elapsed();
        bytes += text.len();
        let after = dense.as_ref().map_or(before, |dense| dense.tokens.get());
        n_larger += u64::from(after > before);
        let form = dense
            .as_ref()
            .map_or("as it was", |dense| dense.form.as_str());
        let class = other.map_or_else(|| class_of(&text).to_owned(), |other| other.class.clone());
        by_class.entry(class).or_default().add(before, after);
        by_kind.entry(kind).or_default().add(before, after);
        by_form
            .entry(form.to_owned())
            .or_default()
            .add(before, after);
        if let Some(least) = other.and_then(|other| other.smallest) {
            json.add(before, after);
            smallest += least;
            if each {
                println!("{name}\t{before}\t{least}\t{after}\t{form}");
            }
        }
    }
    print("class", &by_class);
    print("origin", &by_kind);
    print("notation", &by_form);
    if json.n > 0 {
        println!(
            "JSON texts: {} results, {} tokens; sum of the per-file minima of minify, TOON, columnar and CSV {smallest} ({}); here {} ({}).\n",
            json.n,
            json.before,
            share(smallest, json.before),
            json.after,
            share(json.after, json.before)
        );
    }
    let megabytes = bytes as f64 / 1e6;
    println!(
        "{n_larger} larger than the original. {megabytes:.1} MB in {:.2} s, all counts included.",
        time.as_secs_f64()
    );
    Ok(())
}

type Sums = BTreeMap<String, Sum>;

fn shape(blocks: &[String], text: &str, counter: &dyn TokenCounter) -> Option<Compacted> {
    let bounds = Bounds::default();
    let parts: Vec<&str> = blocks.iter().map(String::as_str).collect();
    compact_list(&parts, counter, &bounds).or_else(|| compact(text, counter, &bounds))
}

fn read_table(path: &Path) -> anyhow::Result<BTreeMap<String, Others>> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
    let column = |name: &str| names.iter().position(|other| *other == name);
    let (file, kind, class) = (column("file"), column("kind"), column("class"));
    let counts = ["minify", "toon", "col_json", "col_csv"].map(column);
    Ok(lines
        .map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            let cell = |n: Option<usize>| n.and_then(|n| cells.get(n)).copied().unwrap_or_default();
            let smallest = counts.iter().filter_map(|n| cell(*n).parse().ok()).min();
            let others = Others {
                kind: cell(kind).to_owned(),
                class: cell(class).to_owned(),
                smallest,
            };
            (cell(file).to_owned(), others)
        })
        .collect())
}

fn class_of(text: &str) -> &'static str {
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() {
        "JSON"
    } else {
        "other text"
    }
}

fn print(head: &str, sums: &Sums) {
    println!("| {head} | results | tokens | after | left |");
    println!("|---|---:|---:|---:|---:|");
    let mut total = Sum::default();
    for (name, sum) in sums {
        println!(
            "| {name} | {} | {} | {} | {} |",
            sum.n,
            sum.before,
            sum.after,
            share(sum.after, sum.before)
        );
        total.n += sum.n;
        total.before += sum.before;
        total.after += sum.after;
    }
    println!(
        "| **all** | {} | {} | {} | **{}** |\n",
        total.n,
        total.before,
        total.after,
        share(total.after, total.before)
    );
}

fn share(part: u64, whole: u64) -> String {
    format!("{:.1} %", part as f64 * 100.0 / whole.max(1) as f64)
}
