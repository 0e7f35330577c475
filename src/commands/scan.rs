//! `scan`: looks at the tools of servers, or of files, for what is written to a model and for names that can
//! be taken for others.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use crate::cli::ScanArgs;
use crate::policy::scan::{Finding, Rule, scan, visible};

use super::count::{Asked, Listed, from_file, from_servers};
use super::{Output, UNCHECKED, USAGE, load_settings, start_logging, unchecked};

/// Prints what is found, with the text around it.
///
/// # Errors
/// When the output cannot be written. What keeps the scan from being made has exit codes of its own.
pub fn run(args: ScanArgs, output: &mut Output<'_>) -> anyhow::Result<ExitCode> {
    let settings = match args.tools.is_empty() {
        true => match load_settings(&args.proxy_args()) {
            Ok(loaded) => Some(loaded.settings),
            Err(error) => return Ok(unchecked(&error, USAGE)),
        },
        false => {
            start_logging(&args.source.log)?;
            None
        }
    };
    let asked = match &settings {
        Some(settings) => from_servers(settings),
        None => from_files(&args.tools),
    };
    let asked = match asked {
        Ok(asked) => asked,
        Err(error) => return Ok(unchecked(&error, UNCHECKED)),
    };
    let listed = &asked.listed;
    let found = scan(listed);
    let n_warnings = found.iter().filter(|one| one.rule.is_warning()).count();
    if args.json {
        output.write_json(&as_json(&found))?;
    } else {
        output.write(as_text(&found, listed, n_warnings))?;
    }
    let is_cut = found.iter().any(|one| one.rule == Rule::Unscanned);
    let is_whole = asked.n_missing == 0 && asked.n_cut == 0 && !is_cut;
    Ok(match (is_whole, n_warnings) {
        (false, _) => ExitCode::from(UNCHECKED),
        (true, 0) => ExitCode::SUCCESS,
        (true, _) => ExitCode::FAILURE,
    })
}

fn from_files(paths: &[PathBuf]) -> anyhow::Result<Asked> {
    let mut listed = Vec::new();
    for path in paths {
        listed.extend(from_file(path)?);
    }
    Ok(Asked::whole(listed))
}

fn as_text(found: &[Finding], listed: &Listed, n_warnings: usize) -> String {
    let mut text = String::new();
    for finding in found {
        let kind = match finding.rule.is_warning() {
            true => "warning",
            false => "note",
        };
        text.push_str(&format!(
            "{kind}: {} [{}] {}",
            visible(&finding.tool),
            finding.server,
            finding.rule.words()
        ));
        if let Some((server, tool)) = &finding.other {
            text.push_str(&format!(": {} [{server}]", visible(tool)));
        }
        text.push_str(&format!(
            " ({})\n    {}: {}\n",
            finding.rule,
            match finding.place.as_str() {
                "" => "the whole".to_owned(),
                place => visible(place),
            },
            finding.excerpt
        ));
    }
    let n_tools: usize = listed.iter().map(|(_, tools)| tools.len()).sum();
    text.push_str(&format!(
        "{n_warnings} warnings in {n_tools} tools of {} servers\n",
        listed.len()
    ));
    text
}

fn as_json(found: &[Finding]) -> serde_json::Value {
    let rows = found.iter().map(|finding| {
        let other = finding
            .other
            .as_ref()
            .map(|(server, tool)| json!({ "server": server, "tool": tool }));
        json!({
            "rule": finding.rule.as_str(),
            "warning": finding.rule.is_warning(),
            "server": finding.server,
            "tool": finding.tool,
            "place": finding.place,
            "excerpt": finding.excerpt,
            "other": other,
        })
    });
    serde_json::Value::Array(rows.collect())
}
