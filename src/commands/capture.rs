//! `capture`: writes what servers offer to a folder.

use std::process::ExitCode;

use crate::cli::CaptureArgs;

use super::{Output, load_settings};

/// Writes what servers offer to a folder.
///
/// # Errors
/// When the settings are wrong or the command fails.
pub fn run(args: CaptureArgs, _output: &mut Output<'_>) -> anyhow::Result<ExitCode> {
    load_settings(&args.proxy_args())?;
    anyhow::bail!("`capture` is not built yet")
}
