//! `stats`: what shaping saved, from the ledger in the state folder.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::anyhow;

use crate::cli::StatsArgs;
use crate::store::Store;
use crate::token::ledger::Day;
use crate::token::ledger::render::TextOptions;
use crate::token::ledger::stats::{Filter, Stats};

use super::{Output, USAGE, epoch, start_logging, unchecked};

/// Prints the ledger's sums.
///
/// # Errors
/// When there is no state folder, it cannot be read, or `--since` is no day.
pub fn run(args: StatsArgs, output: &mut Output<'_>) -> anyhow::Result<ExitCode> {
    start_logging(&args.log)?;
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH);
    let today = Day::of_seconds(seconds.map(|since| since.as_secs()).unwrap_or_default());
    let since = args
        .since
        .as_deref()
        .map(|text| Day::parse_since(text, today))
        .transpose();
    let since = match since {
        Ok(since) => since,
        Err(problem) => return Ok(unchecked(&anyhow!("--since: {problem}"), USAGE)),
    };
    let store: Store = epoch::open(args.state_dir.as_deref())?;
    let (days, unreadable) = store.load_ledger();
    if unreadable > 0 {
        let (files, are) = if unreadable == 1 {
            ("file", "is")
        } else {
            ("files", "are")
        };
        tracing::warn!(
            "{unreadable} {files} of the ledger {are} damaged or of another version and left out"
        );
    }
    let filter = Filter {
        since,
        server: args.server.clone(),
    };
    let stats = Stats::of(days.iter().map(|(day, rows)| (*day, rows)), &filter);
    if args.json {
        output.write_json(&stats)?;
        return Ok(ExitCode::SUCCESS);
    }
    if stats.is_empty() {
        output.write(nothing(&args, days.is_empty()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let options = TextOptions {
        all_tools: args.tools,
        ..TextOptions::default()
    };
    output.write(stats.to_text(&options))?;
    Ok(ExitCode::SUCCESS)
}

/// Says why there are no numbers, and when there will be some.
fn nothing(args: &StatsArgs, is_empty: bool) -> String {
    if is_empty {
        return "There is nothing in the ledger yet, so nothing can be said of savings.\n\
            It fills while the proxy answers lists and calls of tools and keeps its state (not with --no-state or \
            --transparent).\n"
            .to_owned();
    }
    let mut asked = Vec::new();
    if let Some(since) = &args.since {
        asked.push(format!("since {since}"));
    }
    if let Some(server) = &args.server {
        asked.push(format!("of a server named `{}`", server.escape_debug()));
    }
    format!(
        "The ledger has nothing {}; `mcp-whittle stats` shows all that it has.\n",
        asked.join(" and ")
    )
}
