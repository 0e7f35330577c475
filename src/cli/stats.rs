//! Options of `stats`.

use std::path::PathBuf;

use clap::Args;

use super::LogArgs;

/// Arguments of `stats`.
#[derive(Debug, Clone, Default, Args)]
pub struct StatsArgs {
    /// The state folder [default: ~/.local/state/mcp-whittle]
    #[arg(long, value_name = "DIR", env = "MCP_WHITTLE_STATE_DIR", value_hint = clap::ValueHint::DirPath)]
    pub state_dir: Option<PathBuf>,

    /// Count from this day (UTC), e.g. `2026-11-01`, or so far back, e.g. `7d` or `2w`
    #[arg(long, value_name = "DAY")]
    pub since: Option<String>,

    /// Count one server's tools only
    #[arg(long, value_name = "NAME")]
    pub server: Option<String>,

    /// List every tool
    #[arg(long)]
    pub tools: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    /// The logs.
    #[command(flatten)]
    pub log: LogArgs,
}
