//! `scan`: looks at the tools of servers, or of files, for what is written to a model and for names that can
//! be taken for others.

use std::process::ExitCode;

use serde_json::json;

use crate::cli::ScanArgs;
use crate::policy::scan::{Finding, scan, visible};

use super::count::{Listed, from_file, from_servers};
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
    let listed = (|| -> anyhow::Result<(Listed, usize)> {
        let Some(settings) = &settings else {
            let mut listed = Vec::new();
            for path in &args.tools {
                listed.extend(from_file(path)?);
            }
            return Ok((listed, 0));
        };
        from_servers(settings)
    })();
    let (listed, n_missing) = match listed {
        Ok(listed) => listed,
        Err(error) => return Ok(unchecked(&error, UNCHECKED)),
    };
    let found = scan(&listed);
    let n_warnings = found.iter().filter(|one| one.rule.is_warning()).count();
    if args.json {
        output.write_json(&as_json(&found))?;
    } else {
        output.write(as_text(&found, &listed, n_warnings))?;
    }
    Ok(match (n_warnings, n_missing) {
        (_, 1..) => ExitCode::from(UNCHECKED),
        (0, _) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
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
            visible(&finding.place),
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
