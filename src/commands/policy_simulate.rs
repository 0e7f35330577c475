//! `policy simulate`: what other rules would have done with the calls of an audit log.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use serde_json::json;

use crate::cli::PolicySimulateArgs;
use crate::config::{self, ProcessEnvironment};
use crate::policy::simulate::Simulation;

use super::Output;

/// Bytes of a line, at most; what is longer is no record of ours.
const LINE: u64 = 1 << 20;

/// Prints how many decisions would change, and by which rule.
///
/// # Errors
/// [`crate::config::ConfigErrors`] with everything that is wrong with the policy, which is exit code 2; and
/// when the log cannot be read.
pub fn run(args: &PolicySimulateArgs, output: &mut Output<'_>) -> anyhow::Result<ExitCode> {
    let loaded = config::load_policy(&args.config, &ProcessEnvironment, &config::read_file)?;
    let mut simulation = Simulation::default();
    let mut reader: Box<dyn BufRead> = if args.audit == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        let file = File::open(&args.audit).with_context(|| {
            format!(
                "cannot read the audit log `{}`\nhint: it is what the setting `audit.file` names",
                args.audit.display()
            )
        })?;
        Box::new(BufReader::new(file))
    };
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut reader).take(LINE).read_until(b'\n', &mut line);
        if read.context("cannot read the audit log")? == 0 {
            break;
        }
        match std::str::from_utf8(&line) {
            Ok(text) => simulation.take(&loaded.policy, text),
            Err(_) => simulation.unreadable += 1,
        }
    }
    output.write(match args.json {
        true => as_json(&simulation),
        false => as_text(&args.audit, &simulation),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn as_json(simulation: &Simulation) -> String {
    let changes: Vec<_> = simulation
        .changes
        .iter()
        .map(|(change, count)| {
            json!({"was": change.was, "becomes": change.becomes, "by": change.by, "count": count})
        })
        .collect();
    let all = json!({
        "decisions": simulation.decisions,
        "changed": simulation.changed,
        "undecidable": simulation.undecidable,
        "unreadable": simulation.unreadable,
        "lost": simulation.lost,
        "changes": changes,
    });
    format!("{all:#}\n")
}

fn as_text(path: &Path, simulation: &Simulation) -> String {
    let mut text = format!(
        "{}: {} decisions, {} would change; undecidable: {}\n",
        path.display(),
        simulation.decisions,
        simulation.changed,
        simulation.undecidable
    );
    if !simulation.changes.is_empty() {
        text.push_str("   count  was      becomes  by\n");
    }
    let mut changes: Vec<_> = simulation.changes.iter().collect();
    changes.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    for (change, count) in changes {
        text.push_str(&format!(
            "{count:8}  {:7}  {:7}  {}\n",
            change.was, change.becomes, change.by
        ));
    }
    if simulation.undecidable > 0 {
        text.push_str(
            "hint: rules ask for arguments that were not recorded; `audit.arguments = true` records them\n",
        );
    }
    if simulation.unreadable > 0 {
        let n = simulation.unreadable;
        text.push_str(&format!("{n} lines are no records and were left out\n"));
    }
    if simulation.lost > 0 {
        let n = simulation.lost;
        text.push_str(&format!("{n} records were lost when the log was written\n"));
    }
    text
}
