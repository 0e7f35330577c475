//! `replay`: is the server that a folder was captured from.

use std::process::ExitCode;

use crate::cli::ReplayArgs;

use super::{Output, start_logging};

/// Is the server that a folder was captured from.
///
/// # Errors
/// When the command fails.
pub fn run(args: ReplayArgs, _output: &mut Output<'_>) -> anyhow::Result<ExitCode> {
    start_logging(&args.log)?;
    anyhow::bail!("`replay` is not built yet")
}
