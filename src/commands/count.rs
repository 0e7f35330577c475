//! `count`: counts what the tools of servers cost, before and after reduction.

use std::process::ExitCode;

use crate::cli::CountArgs;

use super::{Output, load_settings};

/// Counts what the tools of servers cost, before and after reduction.
///
/// # Errors
/// When the settings are wrong or the command fails.
pub fn run(args: CountArgs, _output: &mut Output<'_>) -> anyhow::Result<ExitCode> {
    // With `--tools` there is no server, so there are no settings to load.
    if args.tools.is_none() {
        load_settings(&args.proxy_args())?;
    }
    anyhow::bail!("`count` is not built yet")
}
