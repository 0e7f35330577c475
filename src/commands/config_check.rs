//! `config check`: prints the effective settings and where each came from.

use std::process::ExitCode;

use crate::cli::ConfigCheckArgs;
use crate::config::{render_table, to_json};

use super::{Output, load_settings};

/// Prints the settings that a proxy with these options would run with.
///
/// # Errors
/// [`crate::config::ConfigErrors`] with everything that is wrong, which is exit code 2.
pub fn run(args: ConfigCheckArgs, output: &mut Output<'_>) -> anyhow::Result<ExitCode> {
    let loaded = load_settings(&args.proxy)?;
    if args.json {
        output.write_json(&to_json(&loaded.effective()))?;
    } else {
        output.write(render_table(&loaded.effective()))?;
    }
    Ok(ExitCode::SUCCESS)
}
