//! What surfaces cost: tokens at each rung and budget, for real servers and fleets of them, and whole
//! conversations beside other ways. Prints Markdown; `docs/surface.md` holds its output.
//!
//! ```text
//! surface_report rungs|budgets|time|lists|queries|conversations|alone [CORPUS] [--fastmcp FILE] [--compressor FILE] [--context TOKENS] [--requests N]
//! ```
//!
//! `CORPUS` (or `MCP_WHITTLE_CORPUS`) is a folder of folders with `tools.json`; fleets are the files of
//! `testdata/fleets`. It reads files and writes to stdout, nothing else.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a report for people who develop this project"
)]

mod above;
mod budgets;
mod conversation;
mod corpus;
mod memo;
mod report;
mod rungs;
mod time;

use std::path::PathBuf;

use anyhow::{Context, bail};

use crate::conversation::Rule;
use crate::corpus::Corpus;
use crate::report::Others;

fn main() -> anyhow::Result<()> {
    let mut words = std::env::args().skip(1);
    let section = words.next().unwrap_or_default();
    let mut corpus = std::env::var_os("MCP_WHITTLE_CORPUS").map(PathBuf::from);
    let mut rule = Rule::default();
    let (mut answers, mut compressor) = (None, None);
    while let Some(word) = words.next() {
        let mut value = || {
            words
                .next()
                .with_context(|| format!("{word} needs a value"))
        };
        match word.as_str() {
            "--fastmcp" => answers = Some(PathBuf::from(value()?)),
            "--compressor" => compressor = Some(PathBuf::from(value()?)),
            "--context" => rule.context = value()?.parse()?,
            "--requests" => rule.requests = value()?.parse()?,
            _ => corpus = Some(PathBuf::from(word)),
        }
    }
    let folder = corpus.context("no corpus\nhint: name its folder, or set MCP_WHITTLE_CORPUS")?;
    let corpus = Corpus::read(&folder)?;
    match section.as_str() {
        "rungs" => rungs::print(&corpus),
        "budgets" => {
            let others = Others::read(None, compressor.as_deref())?;
            budgets::print(&corpus, &others);
        }
        "lists" => report::print_lists(&corpus),
        "time" => time::print(&corpus),
        "queries" => report::print_queries(&corpus),
        "conversations" => {
            let others = Others::read(answers.as_deref(), compressor.as_deref())?;
            report::print(&corpus, &rule, &others);
        }
        "alone" => report::print_alone(&corpus, &rule),
        _ => bail!(
            "`{section}` is no section\nhint: rungs, budgets, time, lists, queries, conversations or alone"
        ),
    }
    Ok(())
}
