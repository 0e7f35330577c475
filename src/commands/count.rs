//! `count`: counts what the tools of servers cost, before and after reduction.

use std::process::ExitCode;

use crate::cli::CountArgs;

use super::{Output, load_settings};

/// Counts what the tools of servers cost, before and after reduction.
///
/// # Errors
/// When the settings are wrong or the command fails.
pub fn run(args: CountArgs, _output: &mut Output<'_>) -> anyhow::Result<ExitCode> {
    load_settings(&args.proxy_args())?;
    anyhow::bail!("`count` is not built yet")
}
