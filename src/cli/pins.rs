//! The options of `pins` and `scan`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{LogArgs, ProxyArgs, SourceArgs};

/// Looking at pinned definitions.
#[derive(Debug, Clone, Subcommand)]
pub enum PinsCommand {
    /// List pinned tools, and say which are not as they were pinned
    List(PinsArgs),
    /// Show what servers changed since: exit 0 nothing, 1 something
    Diff(PinsArgs),
    /// Trust what servers say now
    Approve(PinsArgs),
}

/// Arguments of the commands of `pins`.
#[derive(Debug, Clone, Default, Args)]
pub struct PinsArgs {
    /// Only this server, by its configured name
    pub server: Option<String>,

    /// Only this tool, by its own name
    pub tool: Option<String>,

    /// The state folder [default: ~/.local/state/mcp-whittle]
    #[arg(long, value_name = "DIR", env = "MCP_WHITTLE_STATE_DIR", value_hint = clap::ValueHint::DirPath)]
    pub state_dir: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    /// The logs.
    #[command(flatten)]
    pub log: LogArgs,
}

/// Arguments of `scan`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = SCAN_CODES)]
pub struct ScanArgs {
    /// Scan the tools in a file: a `tools/list` result, its `tools` array, or a captured folder
    ///
    /// May be repeated, one server each. Tools of several servers are compared with one another.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, conflicts_with_all = ["config", "upstream", "command"])]
    pub tools: Vec<PathBuf>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    /// Which servers.
    #[command(flatten)]
    pub source: SourceArgs,
}

const SCAN_CODES: &str = "\
Exit codes:
  0  no warnings
  1  there are warnings
  2  wrong option or wrong configuration
  3  a server did not list its tools, so not everything was scanned";

impl ScanArgs {
    /// Returns the options of a proxy for the same servers.
    pub fn proxy_args(&self) -> ProxyArgs {
        ProxyArgs {
            source: self.source.clone(),
            ..ProxyArgs::default()
        }
    }
}
