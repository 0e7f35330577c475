//! What a model reads of captured results through several proxies, side by side. Prints Markdown;
//! `docs/results.md` holds its output.
//!
//! ```text
//! side_by_side FOLDER [--table RESULTS.tsv] [--most TOKENS] [--each] --way 'NAME=COMMAND WITH ARGUMENTS' ...
//! side_by_side serve FOLDER
//! ```
//!
//! `FOLDER` holds captured results (`*.json`, also in folders). Each way is started once, with
//! `side_by_side serve FOLDER` behind its words as the server to wrap: one tool that answers with the text
//! blocks of one file (without `structuredContent`: what every client shows). A session then calls it for
//! each file in turn, and the text blocks that come are counted (`o200k_base`), whatever else a way puts
//! into them included. Results of multiplied fixtures are left out, and those of more than `--most` tokens
//! (50,000). A way that answers with an error, or not within 60 seconds, loses its result: it is counted
//! with the tokens of the original and named. Children keep their state in a folder that goes afterwards.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a report for people who develop this project"
)]

mod client;
mod corpus;
mod serve;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, bail};
use mcp_whittle::token::{TiktokenCounter, TokenCounter};

use client::Client;
use corpus::Entry;

fn main() -> anyhow::Result<()> {
    let mut words = std::env::args().skip(1);
    let (mut folder, mut table, mut most, mut each) = (None, None, 50_000, false);
    let mut ways: Vec<(String, Vec<String>)> = Vec::new();
    while let Some(word) = words.next() {
        match word.as_str() {
            "serve" if folder.is_none() => {
                let folder = words.next().context("serve FOLDER")?;
                return serve::run(&PathBuf::from(folder));
            }
            "--table" => table = words.next().map(PathBuf::from),
            "--most" => most = words.next().context("--most TOKENS")?.parse()?,
            "--each" => each = true,
            "--way" => {
                let way = words.next().context("--way NAME=COMMAND")?;
                let (name, command) = way.split_once('=').context("--way NAME=COMMAND")?;
                let command = command.split_whitespace().map(str::to_owned).collect();
                ways.push((name.to_owned(), command));
            }
            _ if folder.is_none() => folder = Some(PathBuf::from(word)),
            _ => bail!("unknown argument `{word}`"),
        }
    }
    let folder = folder.context("side_by_side FOLDER --way NAME=COMMAND ...")?;
    let counter = TiktokenCounter::default();
    let entries: Vec<(Entry, u64)> = corpus::entries(&folder, table.as_deref())?
        .into_iter()
        .map(|entry| {
            let tokens = counter.count(&entry.blocks.join("\n")).get();
            (entry, tokens)
        })
        .filter(|(entry, tokens)| {
            (1..=most).contains(tokens) && entry.origin != "multiplied fixture"
        })
        .collect();
    let state = tempfile::tempdir()?;
    let itself = std::env::current_exe()?;
    let mut columns: Vec<Vec<u64>> = Vec::new();
    for (name, command) in &ways {
        let server = [itself.as_os_str(), "serve".as_ref(), folder.as_os_str()];
        let mut client = Client::start(command, &server, state.path())
            .with_context(|| format!("way `{name}`"))?;
        let (start, mut n_larger, mut lost) = (Instant::now(), 0, Vec::new());
        let mut column = Vec::new();
        for (entry, before) in &entries {
            let after = match client.call(&entry.file) {
                Ok(text) => counter.count(&text).get(),
                Err(error) => {
                    lost.push(format!("{}: {error:#}", entry.file));
                    *before
                }
            };
            if each {
                println!("{name}\t{}\t{before}\t{after}", entry.file);
            }
            n_larger += u64::from(after > *before);
            column.push(after);
        }
        eprintln!(
            "{name}: {n_larger} larger than the original, {} lost, {:.1} s",
            lost.len(),
            start.elapsed().as_secs_f64()
        );
        for line in &lost {
            eprintln!("  lost {}", line.chars().take(200).collect::<String>());
        }
        columns.push(column);
    }
    let names: Vec<&str> = ways.iter().map(|(name, _)| name.as_str()).collect();
    print("what it is", &names, &entries, &columns, |entry| {
        &entry.class
    });
    print("origin", &names, &entries, &columns, |entry| &entry.origin);
    Ok(())
}

fn print(
    head: &str,
    names: &[&str],
    entries: &[(Entry, u64)],
    columns: &[Vec<u64>],
    group: impl Fn(&Entry) -> &str,
) {
    println!("| {head} | results | direct | {} |", names.join(" | "));
    println!("|---|---:|---:|{}", "---:|".repeat(names.len()));
    let mut rows: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    let mut total = vec![0; names.len() + 2];
    for (n, (entry, before)) in entries.iter().enumerate() {
        let row = rows
            .entry(group(entry))
            .or_insert_with(|| vec![0; names.len() + 2]);
        let after = columns.iter().map(|column| column[n]);
        for (at, tokens) in [1, *before].into_iter().chain(after).enumerate() {
            row[at] += tokens;
            total[at] += tokens;
        }
    }
    for (name, row) in rows {
        print_row(name, &row);
    }
    print_row("**all**", &total);
    println!();
}

fn print_row(name: &str, row: &[u64]) {
    let cells: Vec<String> = row[2..]
        .iter()
        .map(|&tokens| {
            let share = tokens as f64 * 100.0 / row[1].max(1) as f64;
            format!("{tokens} ({share:.1} %)")
        })
        .collect();
    println!(
        "| {name} | {} | {} | {} |",
        row[0],
        row[1],
        cells.join(" | ")
    );
}
