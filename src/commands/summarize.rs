//! `summarize`: asks a language model for shorter texts, checks each, and writes them for a person to review.
//! The proxy itself asks no model: it uses what a person has put a name under.

mod ask;
mod texts;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Context;

use crate::cli::SummarizeArgs;
use crate::surface::shorten::shorten;
use crate::surface::summaries::{Summaries, Summary, lint, text_hash};
use crate::token::{Encoding, TiktokenCounter, TokenCounter};

use super::count::{from_file, from_servers};
use super::lock::write_file;
use super::{Output, load_settings, start_logging};

/// What came of one text.
enum Outcome {
    /// A text that may be reviewed.
    Accepted(String),
    /// What the linter found in the last answer.
    Refused(String),
}

/// Asks for a shorter text of each description that is long, and writes what passes the linter.
///
/// # Errors
/// When the servers or the endpoint cannot be asked, or the file cannot be read or written.
pub fn run(args: SummarizeArgs, output: &mut Output<'_>) -> anyhow::Result<ExitCode> {
    let listed = match &args.tools {
        Some(path) => {
            start_logging(&args.source.log)?;
            from_file(path)?
        }
        None => from_servers(&load_settings(&args.proxy_args())?.settings)?.0,
    };
    let mut summaries = read(&args)?;
    let known: HashSet<String> = summaries
        .iter()
        .map(|summary| summary.hash.clone())
        .collect();
    let least = args.least as usize;
    let texts: Vec<texts::Text> = texts::of(&listed, least)
        .into_iter()
        .filter(|text| !known.contains(&text_hash(&text.original)))
        .collect();
    if texts.is_empty() {
        output.write(format!(
            "Nothing to ask: every description of at least {least} bytes stands in {} already, or there is none.\n",
            args.out.display()
        ))?;
        return Ok(ExitCode::SUCCESS);
    }
    let model = ask::Model::of(&args)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let counter = TiktokenCounter::new(Encoding::O200kBase);
    let (mut n_accepted, mut before, mut after) = (0u64, 0, 0);
    let mut stopped = None;
    for text in texts.iter().take(args.limit as usize) {
        let line = match runtime.block_on(summarized(&model, &text.original)) {
            Ok(Outcome::Accepted(replacement)) => {
                let tokens = [&text.original, &replacement].map(|text| counter.count(text).get());
                n_accepted += 1;
                before += tokens[0];
                after += tokens[1];
                summaries.push(Summary {
                    hash: text_hash(&text.original),
                    replacement,
                    model: args.model.clone(),
                    reviewed_by: String::new(),
                    original: Some(text.original.clone()),
                });
                format!(
                    "accepted  {}  {} -> {} tokens\n",
                    text.place, tokens[0], tokens[1]
                )
            }
            Ok(Outcome::Refused(why)) => format!("refused   {}  {why}\n", text.place),
            Err(error) => {
                stopped = Some(error);
                break;
            }
        };
        output.write(line)?;
    }
    // What was paid for is kept, also if the endpoint went away in between.
    let mut file = String::new();
    for summary in &summaries {
        let _ = writeln!(file, "{}", serde_json::to_string(summary)?);
    }
    write_file(&args.out, file.as_bytes())?;
    output.write(format!(
        "\n{n_accepted} of {} texts accepted: {before} -> {after} tokens (o200k_base, measured). Written to {}.\n\
         Nothing is used yet: read each beside its original, put your name into `reviewed_by`, then name the file with --summaries.\n",
        texts.len().min(args.limit as usize),
        args.out.display()
    ))?;
    match stopped {
        Some(error) => Err(error.context("the texts that were left have not been asked for")),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// Reads the file where it exists; what stands in it stays.
fn read(args: &SummarizeArgs) -> anyhow::Result<Vec<Summary>> {
    match std::fs::read_to_string(&args.out) {
        Ok(text) => Summaries::lines(&text).with_context(|| {
            format!(
                "{} is there and is no file of summaries",
                args.out.display()
            )
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", args.out.display())),
    }
}

/// Asks, and once more with what was wrong.
async fn summarized(model: &ask::Model, original: &str) -> anyhow::Result<Outcome> {
    let extracted = shorten(original);
    let mut complaint = String::new();
    for _ in 0..2 {
        let answer = match model.shorter(original, &complaint).await? {
            Ok(answer) => answer,
            Err(garbage) => {
                complaint = garbage;
                continue;
            }
        };
        let findings: Vec<String> = lint(original, &answer)
            .iter()
            .map(ToString::to_string)
            .collect();
        if findings.is_empty() && answer.len() >= extracted.len() {
            return Ok(Outcome::Refused(
                "not shorter than what is cut without a model".to_owned(),
            ));
        }
        if findings.is_empty() {
            return Ok(Outcome::Accepted(answer));
        }
        complaint = findings.join("; ");
    }
    Ok(Outcome::Refused(crate::telemetry::one_line(&complaint)))
}
