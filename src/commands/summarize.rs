//! `summarize`: asks a language model for shorter texts, checks each, and writes them for a person to review.
//! The proxy itself asks no model: it uses what a person has put a name under.

mod ask;
mod texts;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::process::ExitCode;

use anyhow::Context;

use crate::cli::SummarizeArgs;
use crate::surface::lock::visible;
use crate::surface::shorten::shorten;
use crate::surface::summaries::{Summaries, Summary, lint, text_hash};
use crate::telemetry::one_line;
use crate::token::{Encoding, TiktokenCounter, TokenCounter};

use super::count::{from_file, from_servers};
use super::lock::write_file;
use super::{Output, load_settings, start_logging};

/// Bytes of the file that are read, as of the setting `summaries`.
const MAX_FILE: u64 = 64 << 20;
/// Questions in a row without an answer after which no more are asked.
const FAILURES: u32 = 3;

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
    let (listed, n_silent) = match &args.tools {
        Some(path) => {
            start_logging(&args.source.log)?;
            (from_file(path)?, 0)
        }
        None => {
            let asked = from_servers(&load_settings(&args.proxy_args())?.settings)?;
            (asked.listed, asked.n_missing)
        }
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
    let (mut stopped, mut n_failed) = (None, 0);
    for text in texts.iter().take(args.limit as usize) {
        let place = visible(&text.place);
        let line = match runtime.block_on(summarized(&model, &text.original)) {
            Ok(Outcome::Accepted(replacement)) => {
                n_failed = 0;
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
                // What was paid for is kept, whatever happens next.
                write(&args, &summaries)?;
                format!("accepted  {place}  {} -> {} tokens\n", tokens[0], tokens[1])
            }
            Ok(Outcome::Refused(why)) => {
                n_failed = 0;
                format!("refused   {place}  {}\n", visible(&why))
            }
            Err(error) => {
                n_failed += 1;
                let why = format!("{error:#}");
                stopped = Some(error);
                if n_failed == FAILURES {
                    break;
                }
                format!("failed    {place}  {}\n", visible(&one_line(&why)))
            }
        };
        output.write(line)?;
    }
    write(&args, &summaries)?;
    output.write(format!(
        "\n{n_accepted} of {} texts accepted: {before} -> {after} tokens (o200k_base, measured). Written to {}.\n\
         Nothing is used yet: read each beside its original, put your name into `reviewed_by`, then name the file with --summaries.\n",
        texts.len().min(args.limit as usize),
        args.out.display()
    ))?;
    match stopped {
        Some(error) => {
            Err(error.context("not every text was answered; the file has those that were"))
        }
        None if n_silent > 0 => Ok(ExitCode::FAILURE),
        None => Ok(ExitCode::SUCCESS),
    }
}

fn write(args: &SummarizeArgs, summaries: &[Summary]) -> anyhow::Result<()> {
    let mut file = String::new();
    for summary in summaries {
        let _ = writeln!(file, "{}", serde_json::to_string(summary)?);
    }
    write_file(&args.out, file.as_bytes())
}

/// Reads the file where it exists; what stands in it stays.
fn read(args: &SummarizeArgs) -> anyhow::Result<Vec<Summary>> {
    let mut text = String::new();
    let read = File::open(&args.out).and_then(|file| file.take(MAX_FILE).read_to_string(&mut text));
    match read {
        Ok(_) => Summaries::lines(&text).with_context(|| {
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
    Ok(Outcome::Refused(one_line(&complaint)))
}
