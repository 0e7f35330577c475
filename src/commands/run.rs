//! The proxy itself, when no subcommand is given.

use std::process::ExitCode;

use crate::cli::ProxyArgs;

use super::{Output, load_settings};

/// Runs the proxy until its client or a signal ends it.
///
/// # Errors
/// When the settings are wrong or the proxy cannot start.
pub fn run(args: ProxyArgs, _output: &mut Output<'_>) -> anyhow::Result<ExitCode> {
    load_settings(&args)?;
    anyhow::bail!("the proxy is not built yet")
}
