//! The options of `summarize`.

use std::path::PathBuf;

use clap::Args;

use super::{ProxyArgs, ShapingArgs, SourceArgs, shaped};

/// Arguments of `summarize`.
#[derive(Debug, Clone, Default, Args)]
#[command(
    override_usage = "mcp-whittle summarize --endpoint URL --model NAME --out FILE [OPTIONS] -- COMMAND [ARGS]...\n       mcp-whittle summarize --endpoint URL --model NAME --out FILE [OPTIONS] --config FILE\n       mcp-whittle summarize --endpoint URL --model NAME --out FILE [OPTIONS] --tools FILE"
)]
pub struct SummarizeArgs {
    /// The base URL of an OpenAI-compatible service, e.g. `http://127.0.0.1:11434/v1`
    #[arg(long, value_name = "URL", value_hint = clap::ValueHint::Url)]
    pub endpoint: String,

    /// The model, by the service's name for it
    #[arg(long, value_name = "NAME")]
    pub model: String,

    /// The environment variable that holds the key of the service
    #[arg(long, value_name = "VARIABLE")]
    pub key_env: Option<String>,

    /// The file to write; what stands in it already stays and is not asked for again
    #[arg(short, long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub out: PathBuf,

    /// Ask for descriptions of at least so many bytes
    #[arg(long, value_name = "BYTES", default_value_t = 300)]
    pub least: u32,

    /// Ask for so many texts at most
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub limit: u32,

    /// Summarize the tools in a file: a `tools/list` result, its `tools` array, or a captured folder
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, conflicts_with_all = ["config", "upstream", "command"])]
    pub tools: Option<PathBuf>,

    /// Which servers.
    #[command(flatten)]
    pub source: SourceArgs,
}

impl SummarizeArgs {
    /// Returns the options of a proxy for the same servers.
    pub fn proxy_args(&self) -> ProxyArgs {
        shaped(&self.source, &ShapingArgs::default())
    }
}
