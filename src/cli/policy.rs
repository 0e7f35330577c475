//! The options of `policy`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Looking at a policy.
#[derive(Debug, Clone, Subcommand)]
pub enum PolicyCommand {
    /// Say what is wrong or doubtful in the policy of a file: exit 0 nothing, 1 doubtful, 2 wrong
    Check(PolicyCheckArgs),
}

/// Arguments of `policy check`.
#[derive(Debug, Clone, Default, Args)]
pub struct PolicyCheckArgs {
    /// The configuration file, TOML or JSON
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub file: PathBuf,

    /// Look for the rules' tools in this file: a `tools/list` result, its `tools` array, or a captured folder
    ///
    /// May be repeated. Give the lists of all servers: a name that none has is told.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub tools: Vec<PathBuf>,
}
