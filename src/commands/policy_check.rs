//! `policy check`: says what is wrong or doubtful in the policy of a file.

use std::process::ExitCode;

use crate::cli::PolicyCheckArgs;
use crate::config::{self, ProcessEnvironment};
use crate::jsonrpc::members;
use crate::policy::lint::{Known, lint};

use super::Output;
use super::count::from_file;

/// Prints what is doubtful, one sentence a line.
///
/// # Errors
/// [`crate::config::ConfigErrors`] with everything that is wrong, which is exit code 2; and when a list of
/// tools cannot be read.
pub fn run(args: PolicyCheckArgs, output: &mut Output<'_>) -> anyhow::Result<ExitCode> {
    let loaded = config::load_policy(&args.file, &ProcessEnvironment, &config::read_file)?;
    let mut tools = Vec::new();
    for path in &args.tools {
        for (_, listed) in from_file(path)? {
            tools.extend(
                listed
                    .iter()
                    .filter_map(|tool| members::get_text(tool.as_bytes(), "name")),
            );
        }
    }
    let known = Known {
        servers: Some(loaded.servers).filter(|servers| !servers.is_empty()),
        tools: Some(tools).filter(|_| !args.tools.is_empty()),
    };
    let doubts: Vec<String> = loaded
        .warnings
        .iter()
        .map(ToString::to_string)
        .chain(lint(&loaded.policy, &known))
        .collect();
    let policy = &loaded.policy;
    let default = match policy.denies_by_default {
        true => "deny",
        false => "allow",
    };
    let mut text = format!(
        "{}: {} rule{}, mode {}, default {default}{}\n",
        args.file.display(),
        policy.rules.len(),
        if policy.rules.len() == 1 { "" } else { "s" },
        policy.mode.as_str(),
        if policy.is_read_only {
            ", read-only"
        } else {
            ""
        },
    );
    for doubt in &doubts {
        text.push_str("doubtful: ");
        text.push_str(doubt);
        text.push('\n');
    }
    if doubts.is_empty() {
        text.push_str("nothing doubtful\n");
    }
    output.write(text)?;
    Ok(match doubts.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
