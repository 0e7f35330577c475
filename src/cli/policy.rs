//! The options of `policy`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Looking at a policy.
#[derive(Debug, Clone, Subcommand)]
pub enum PolicyCommand {
    /// Say what is wrong or doubtful in the policy of a file: exit 0 nothing, 1 doubtful, 2 wrong
    Check(PolicyCheckArgs),
    /// Say which calls of an audit log other rules would decide otherwise
    Simulate(PolicySimulateArgs),
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

/// Arguments of `policy simulate`.
#[derive(Debug, Clone, Default, Args)]
pub struct PolicySimulateArgs {
    /// The audit log (`audit.file`), one record a line; `-` reads stdin
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub audit: PathBuf,

    /// The configuration file with the new policy, TOML or JSON
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub config: PathBuf,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
