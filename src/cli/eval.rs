//! The options of `eval`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::LogArgs;

/// Measuring on labelled data.
#[derive(Debug, Clone, Subcommand)]
pub enum EvalCommand {
    /// Rank the tools of a catalogue for each query, write the rankings, print the measures
    Retrieval(EvalRetrievalArgs),
}

/// Arguments of `eval retrieval`.
#[derive(Debug, Clone, Default, Args)]
pub struct EvalRetrievalArgs {
    /// The tools, one JSON object a line: id, name, description, inputSchema, server, serverDescription
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub catalog: PathBuf,

    /// The queries, one JSON object a line: id, text, and if labelled relevant, groups, split
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub queries: PathBuf,

    /// Write the rankings here, one `{"qid":…,"ranked":[…]}` a line, 50 tools deep
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub out: PathBuf,

    /// Let nearness of meaning count too: a folder with a static table of word vectors (model2vec)
    ///
    /// It holds `model.safetensors` and `tokenizer.json`. Only short queries are helped.
    #[arg(long, value_name = "DIR", env = "MCP_WHITTLE_EMBEDDINGS", value_hint = clap::ValueHint::DirPath)]
    pub embeddings: Option<PathBuf>,

    /// Count how often "nothing fits" is the answer, also without the tools that fit
    ///
    /// For up to 400 queries the relevant tools and near duplicates are taken out of the catalogue.
    #[arg(long)]
    pub abstention: bool,

    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,

    /// The logs.
    #[command(flatten)]
    pub log: LogArgs,
}
