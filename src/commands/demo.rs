//! `demo`: shows a real catalogue before and after, and one call.

use std::process::ExitCode;

use crate::cli::DemoArgs;

use super::{Output, start_logging};

/// Shows a real catalogue before and after, and one call.
///
/// # Errors
/// When the command fails.
pub fn run(args: DemoArgs, _output: &mut Output<'_>) -> anyhow::Result<ExitCode> {
    start_logging(&args.log)?;
    anyhow::bail!("`demo` is not built yet")
}
