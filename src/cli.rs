//! The command line: clap types only, what was typed. `config::load` decides what it means.
//!
//! No option reads the environment here: `config` does, so that every value knows its origin. Values
//! of settings stay text that was checked, because the file and the environment give text as well.

mod eval;
mod guard;
mod kube;
mod pins;

mod policy;
mod quick;
mod stats;
mod summarize;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use secrecy::SecretString;

use crate::config::{
    EraPin, InheritEnv, LogFormat, OpenSchemas, PrefixMode, SurfaceMode, Tokenizer, listen, text,
};

pub use eval::{EvalCommand, EvalRetrievalArgs};
pub use guard::GuardArgs;
pub use kube::{
    CopySelfArgs, InjectArgs, InjectorArgs, KubernetesVersion, PullPolicy, WebhookArgs,
};
pub use pins::{PinsArgs, PinsCommand, ScanArgs};

pub use policy::{PolicyCheckArgs, PolicyCommand, PolicySimulateArgs};
pub use stats::StatsArgs;
pub use summarize::SummarizeArgs;

const LONG_ABOUT: &str = "\
A sidecar between one MCP client and its MCP servers. It shows tool definitions and results in fewer \
tokens, keeps within reach what it leaves out, and forwards everything else unchanged.

Put it in front of the command that starts your server, name a configuration file with several \
servers, or give the URL of a server. Without --listen it speaks MCP on stdin and stdout; logs go \
to stderr.";

const AFTER_LONG_HELP: &str = "\
Environment:
  Every option that takes a value or is a switch can be set by a variable: --max-frame-bytes is
  MCP_WHITTLE_MAX_FRAME_BYTES, --transparent is MCP_WHITTLE_TRANSPARENT=true. An option wins over
  a variable, a variable over the file. Lists are separated by commas, headers by newlines.
  HTTPS_PROXY, HTTP_PROXY and NO_PROXY are followed for HTTP servers.

Exit codes:
  0      clean end: stdin was closed, a listener obeyed SIGTERM, or the command did its work
  1      failure while running; `lock --check`, `pins diff` and `cache check`: something differs;
         `policy check`: something is doubtful; `scan`: there are warnings
  2      wrong option, missing command or wrong configuration; nothing was started
  3      `lock --check`, `cache check` and `scan`: could not be checked
  126    the wrapped command may not be executed
  127    the wrapped command cannot be found
  128+n  ended by signal n
  other  the wrapped command's own code, when it ended before it completed a handshake

Examples:
  Wrap one server:
    mcp-whittle -- npx -y @modelcontextprotocol/server-filesystem .
  Several servers of the usual file:
    mcp-whittle --config mcp.json
  A stdio server over HTTP:
    mcp-whittle --listen 127.0.0.1:8931 -- uvx mcp-server-git
  In front of an HTTP server:
    mcp-whittle --listen 127.0.0.1:8931 --upstream http://127.0.0.1:3000/mcp
  What do the tools cost?
    mcp-whittle count -- npx -y @modelcontextprotocol/server-everything";

/// The whole command line. Without a subcommand it runs the proxy.
#[derive(Debug, Parser)]
#[command(
    name = "mcp-whittle",
    version,
    about = "A sidecar that whittles what MCP servers send to the model, and loses nothing",
    long_about = LONG_ABOUT,
    after_help = "See --help for the environment, exit codes and examples.",
    after_long_help = AFTER_LONG_HELP,
    override_usage = "mcp-whittle [OPTIONS] -- COMMAND [ARGS]...\n       mcp-whittle [OPTIONS] --config FILE\n       mcp-whittle [OPTIONS] --upstream URL\n       mcp-whittle <SUBCOMMAND>",
    subcommand_value_name = "SUBCOMMAND",
    subcommand_help_heading = "Subcommands",
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    max_term_width = 100
)]
pub struct Cli {
    /// Options of the proxy.
    #[command(flatten)]
    pub proxy: ProxyArgs,

    /// Something else than running the proxy.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What can be done besides running the proxy.
#[expect(clippy::large_enum_variant, reason = "there is one, made at the start")]
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Count what the tools of servers cost, before and after reduction
    Count(CountArgs),
    /// Write what servers offer to a folder
    Capture(CaptureArgs),
    /// Be the server that a folder was captured from
    Replay(ReplayArgs),
    /// Show a real catalogue before and after, and one call
    Demo(DemoArgs),
    /// Find the tools that fit what you ask for
    Search(SearchArgs),
    /// Show what shaping saved, by tool and day
    Stats(StatsArgs),
    /// Look at, or take over, what use has taught about tools
    #[command(subcommand)]
    Epoch(EpochCommand),
    /// Write down what agents see of the tools, or say what has changed since
    Lock(LockArgs),
    /// Ask a language model for shorter descriptions, for a person to review
    Summarize(SummarizeArgs),
    /// Look at what prompt caches can share, and at kept answers
    #[command(subcommand)]
    Cache(CacheCommand),
    /// Measure how well something works on labelled data
    #[command(subcommand)]
    Eval(EvalCommand),
    /// Put mcp-whittle into the pods of Kubernetes manifests
    Inject(InjectArgs),
    /// Put mcp-whittle into new pods of a Kubernetes cluster, as its admission webhook
    Webhook(WebhookArgs),
    /// Copy this program to a file, for images that have no tool for it
    CopySelf(CopySelfArgs),

    /// Look at what is trusted of servers' tools, and what they changed since
    #[command(subcommand)]
    Pins(PinsCommand),
    /// Look for what tools say to a model, and for names that can be taken for others
    Scan(ScanArgs),
    /// Look at what the policy of a file would do
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Write completions or the man page to stdout
    #[command(subcommand)]
    Generate(GenerateCommand),
}

/// The epoch of a state folder.
#[derive(Debug, Clone, Subcommand)]
pub enum EpochCommand {
    /// Print the weights in force
    Show(EpochArgs),
    /// Make the observed use the weights of the next epoch
    Advance(EpochArgs),
    /// Start an epoch without weights, and forget the observed use
    Reset(EpochArgs),
}

/// Which state folder.
#[derive(Debug, Clone, Args)]
pub struct EpochArgs {
    /// The state folder [default: ~/.local/state/mcp-whittle]
    #[arg(long, value_name = "DIR", env = "MCP_WHITTLE_STATE_DIR", value_hint = clap::ValueHint::DirPath)]
    pub state_dir: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of the proxy: everything that is a setting.
#[derive(Debug, Clone, Default, Args)]
pub struct ProxyArgs {
    /// Which servers, and how they are reached.
    #[command(flatten)]
    pub source: SourceArgs,

    /// What is changed.
    #[command(flatten)]
    pub surface: SurfaceArgs,

    /// The HTTP listener.
    #[command(flatten)]
    pub http: HttpArgs,

    /// Bounds and times.
    #[command(flatten)]
    pub bounds: BoundArgs,
}

/// Which servers, and how they are reached. Shared by all commands that connect to servers.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Servers")]
pub struct SourceArgs {
    /// Read settings and servers from a file
    ///
    /// Either the usual JSON with `mcpServers` (or `servers`), comments allowed, or TOML with all
    /// settings of mcp-whittle.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub config: Option<PathBuf>,

    /// Use the HTTP server at this URL
    ///
    /// Streamable HTTP, or the old HTTP+SSE transport if the server does not know it.
    #[arg(long, visible_alias = "url", value_name = "URL", value_hint = clap::ValueHint::Url, conflicts_with = "command")]
    pub upstream: Option<String>,

    /// Send a header to the server of --upstream
    ///
    /// May be repeated. Other users of the machine can see it in the list of processes: for
    /// secrets take --header-env or --header-file.
    #[arg(long, value_name = "NAME: VALUE")]
    pub header: Vec<SecretString>,

    /// Send the headers in a file, one `Name: value` a line
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub header_file: Option<PathBuf>,

    /// Send a header whose value is in an environment variable
    #[arg(long, value_name = "NAME=VARIABLE")]
    pub header_env: Vec<String>,

    /// Speak only this protocol era to servers
    ///
    /// `legacy` is the handshake of 2025-11-25 and older, `modern` the stateless protocol of
    /// 2026-07-28 and newer. A server's own entry in the file wins.
    #[arg(long, value_name = "ERA", value_enum)]
    pub era: Option<EraPin>,

    /// Let sessions share one connection to each server, because the servers keep no state
    #[arg(long)]
    pub stateless: bool,

    /// Which of our environment variables servers inherit
    #[arg(long, value_name = "WHICH", value_enum)]
    pub inherit_env: Option<InheritEnv>,

    /// Put the server's name in front of its tools' names
    ///
    /// `auto` does so for the servers of a file, never for a single command or URL.
    #[arg(long, value_name = "WHEN", value_enum)]
    pub prefix: Option<PrefixMode>,

    /// Between the server's name and the tool's [default: __]
    #[arg(long, value_name = "TEXT", value_parser = text::separator)]
    pub separator: Option<String>,

    /// Trust the certificate authorities in a PEM file, besides the system's
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub ca_file: Vec<PathBuf>,

    /// How long a server may take to start, e.g. `90s` [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = text::duration)]
    pub start_timeout: Option<String>,

    /// Keep snapshots of lists in this folder [default: ~/.local/state/mcp-whittle]
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath, conflicts_with = "no_state")]
    pub state_dir: Option<PathBuf>,

    /// Keep nothing on disk
    #[arg(long)]
    pub no_state: bool,

    /// The logs.
    #[command(flatten)]
    pub log: LogArgs,

    /// The command that starts a stdio server, and its arguments
    #[arg(last = true, value_name = "COMMAND", value_hint = clap::ValueHint::CommandWithArguments)]
    pub command: Vec<String>,
}

/// How tools are shown.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "What the client sees")]
pub struct ShapingArgs {
    /// How tool definitions are shown [default: auto]
    ///
    /// `auto` fits them to the budget. `lean` keeps every meaning and drops what no model needs:
    /// unreachable definitions, generated titles, default markers, whitespace. `full` shows the bytes
    /// of the server.
    #[arg(long, value_name = "HOW", value_enum)]
    pub surface: Option<SurfaceMode>,

    /// Tokens that all tool definitions may cost, e.g. `4k`, or `none` [default: auto]
    ///
    /// `auto` only leans below 5,000 tokens, shortens texts below 15,000, and hides tools behind a
    /// search only above that. A set budget also freezes the list until the next start.
    #[arg(long, value_name = "TOKENS")]
    pub budget: Option<String>,

    /// Show a tool in one rendering, e.g. `git__*=lean`; can be repeated
    #[arg(long, value_name = "NAME=RENDERING")]
    pub pin: Vec<String>,

    /// Show reviewed texts instead of longer ones in short forms: a file of `mcp-whittle summarize`
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub summaries: Option<PathBuf>,

    /// Shape for this client, e.g. `claude-code` [default: auto, from the host's environment]
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,

    /// Whether parameters may be shown in the description, over an open schema [default: auto]
    #[arg(long, value_name = "WHEN", value_enum)]
    pub open_schemas: Option<OpenSchemas>,

    /// Tokens that one result may cost, e.g. `5k`, or `none` [default: auto, below what every known client takes]
    ///
    /// The rest of a longer result is kept for a day and read with `read_result`.
    #[arg(long, value_name = "TOKENS")]
    pub result_cap: Option<String>,

    /// Count tokens with this vocabulary [default: o200k_base]
    #[arg(long, value_name = "NAME", value_enum)]
    pub tokenizer: Option<Tokenizer>,
}

/// What is changed on the way.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "What the client sees")]
pub struct SurfaceArgs {
    /// How tools are shown.
    #[command(flatten)]
    pub shaping: ShapingArgs,

    /// Let nearness of meaning count when tools are searched: a folder with a static table of word vectors (model2vec)
    ///
    /// It holds `model.safetensors` and `tokenizer.json`. Only short queries are helped.
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub embeddings: Option<PathBuf>,

    /// Refuse calls of tools whose definition is not the one in this lock file
    ///
    /// Written by `mcp-whittle lock`. A tool that its server changed, or that is not in the file, is not called; others work.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub lock: Option<PathBuf>,

    /// Keep answers of these tools for so long; `*` stands for any characters, SERVER/TOOL means one server's
    ///
    /// Nothing that calls answer is kept without. Calls of all other tools end what was kept, except those with the time 0s, which only read.
    #[arg(long, value_name = "TOOL=TIME")]
    pub cache_tools: Vec<String>,

    /// Let only calls pass that change nothing: of tools that say so, of servers whose hints are trusted
    ///
    /// Other tools are not listed and answered as unknown. Rules of a file with `reads = true` let more pass.
    #[arg(long)]
    pub read_only: bool,

    /// Believe what this server says of its tools (`readOnlyHint` and others); `*` stands for any characters
    ///
    /// May be repeated. Only --read-only and the policy's rules go by it.
    #[arg(long, value_name = "SERVER")]
    pub trust_hints: Vec<String>,

    /// Change nothing at all, whatever the other options say
    #[arg(long, conflicts_with = "shadow")]
    pub transparent: bool,

    /// Make what would be shown, but send the original
    #[arg(long)]
    pub shadow: bool,
}

/// The HTTP listener.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "HTTP")]
pub struct HttpArgs {
    /// Serve streamable HTTP here instead of stdin and stdout
    ///
    /// An address with a port, or a port alone, which means 127.0.0.1, or `unix:PATH` for a socket that
    /// only this user can connect to.
    #[arg(long, value_name = "ADDR", value_parser = listen::check)]
    pub listen: Option<String>,

    /// Accept this name in the `Host` header, besides loopback names
    #[arg(long, value_name = "HOST")]
    pub allow_host: Vec<String>,

    /// Accept this `Origin`, besides loopback ones
    #[arg(long, value_name = "ORIGIN")]
    pub allow_origin: Vec<String>,

    /// Serve health and metrics here
    #[arg(long, value_name = "ADDR", value_parser = text::listen)]
    pub admin_listen: Option<String>,

    /// Who gets in.
    #[command(flatten)]
    pub guard: GuardArgs,
}

/// Bounds and times.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Limits")]
pub struct BoundArgs {
    /// Longest message, e.g. `64MiB` [default: 256MiB]
    #[arg(long, value_name = "SIZE", value_parser = text::bytes)]
    pub max_frame_bytes: Option<String>,

    /// How long a request may go without an answer or progress, or `none` [default: none]
    #[arg(long, value_name = "TIME", value_parser = text::duration_or_none)]
    pub request_timeout: Option<String>,

    /// How long requests may take to end after stdin was closed or SIGTERM [default: 5s]
    #[arg(long, value_name = "TIME", value_parser = text::duration)]
    pub shutdown_grace: Option<String>,
}

/// The logs.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Logs")]
pub struct LogArgs {
    /// What is logged: off, error, warn, info, debug, trace, or `target=level,…` [default: info]
    #[arg(long, value_name = "LEVEL", value_parser = text::log_filter)]
    pub log_level: Option<String>,

    /// How log lines look [default: text]
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub log_format: Option<LogFormat>,
}

/// Arguments of `count`.
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "mcp-whittle count [OPTIONS] -- COMMAND [ARGS]...\n       mcp-whittle count [OPTIONS] --config FILE\n       mcp-whittle count [OPTIONS] --url URL\n       mcp-whittle count [OPTIONS] --tools FILE"
)]
pub struct CountArgs {
    /// Count the tools in a file: a `tools/list` result, its `tools` array, or a captured folder
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, conflicts_with_all = ["config", "upstream", "command"])]
    pub tools: Option<PathBuf>,

    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,

    /// Say how well the counts fit this model, e.g. `claude-opus-4` or `gpt-4o`
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,

    /// Order of the rows
    #[arg(long, value_name = "ORDER", value_enum, default_value_t)]
    pub sort: CountSort,

    /// Say what was chosen, what it saves, and how many extra turns would cancel that
    #[arg(long, conflicts_with = "json")]
    pub explain: bool,

    /// What `--explain` reckons with.
    #[command(flatten)]
    pub prices: PriceArgs,

    /// The reduction whose cost is shown beside the original's.
    #[command(flatten)]
    pub shaping: ShapingArgs,

    /// Which servers.
    #[command(flatten)]
    pub source: SourceArgs,
}

impl CountArgs {
    /// Returns the options of a proxy for the same servers.
    pub fn proxy_args(&self) -> ProxyArgs {
        shaped(&self.source, &self.shaping)
    }
}

/// Prices and habits, in units of one uncached input token.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Prices for --explain, in uncached input tokens")]
pub struct PriceArgs {
    /// Price of a cached input token
    #[arg(long, value_name = "PRICE", default_value_t = 0.1, value_parser = text::price)]
    pub cache_read: f64,

    /// Price of writing a token into the cache
    #[arg(long, value_name = "PRICE", default_value_t = 1.25, value_parser = text::price)]
    pub cache_write: f64,

    /// Price of an output token
    #[arg(long, value_name = "PRICE", default_value_t = 5.0, value_parser = text::price)]
    pub output: f64,

    /// Tokens of context in a usual request
    #[arg(long, value_name = "TOKENS", default_value_t = 60_000)]
    pub context: u32,

    /// Requests in a usual conversation
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub requests: u32,
}

/// Order of the rows of `count`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum CountSort {
    /// The dearest first.
    #[default]
    Cost,
    /// By name.
    Name,
}

/// Arguments of `search`.
#[derive(Debug, Clone, Default, Args)]
#[command(
    override_usage = "mcp-whittle search QUERY... [OPTIONS] -- COMMAND [ARGS]...\n       mcp-whittle search QUERY... [OPTIONS] --config FILE\n       mcp-whittle search QUERY... [OPTIONS] --url URL\n       mcp-whittle search QUERY... [OPTIONS] --tools FILE"
)]
pub struct SearchArgs {
    /// What a tool should do, in your words, or its name; several are answered together
    #[arg(value_name = "QUERY", required = true)]
    pub queries: Vec<String>,

    /// Search the tools in a file: a `tools/list` result, its `tools` array, or a captured folder
    ///
    /// May be repeated, one server each.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, conflicts_with_all = ["config", "upstream", "command"])]
    pub tools: Vec<PathBuf>,

    /// Only tools of this server
    #[arg(long, value_name = "NAME")]
    pub server: Option<String>,

    /// How many tools to show
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub limit: u16,

    /// Let nearness of meaning count too: a folder with a static table of word vectors (model2vec)
    ///
    /// It holds `model.safetensors` and `tokenizer.json`. Only short queries are helped.
    #[arg(long, value_name = "DIR", env = "MCP_WHITTLE_EMBEDDINGS", value_hint = clap::ValueHint::DirPath)]
    pub embeddings: Option<PathBuf>,

    /// Show which words of the query each tool was found by, in which fields
    #[arg(long)]
    pub explain: bool,

    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,

    /// Which servers.
    #[command(flatten)]
    pub source: SourceArgs,
}

impl SearchArgs {
    /// Returns the options of a proxy for the same servers.
    pub fn proxy_args(&self) -> ProxyArgs {
        ProxyArgs {
            source: self.source.clone(),
            surface: SurfaceArgs {
                embeddings: self.embeddings.clone(),
                ..SurfaceArgs::default()
            },
            ..ProxyArgs::default()
        }
    }
}

/// Arguments of `lock`.
#[derive(Debug, Clone, Default, Args)]
#[command(
    override_usage = "mcp-whittle lock [OPTIONS] -- COMMAND [ARGS]...\n       mcp-whittle lock [OPTIONS] --config FILE\n       mcp-whittle lock [OPTIONS] --url URL\n       mcp-whittle lock [OPTIONS] --tools FILE\n       mcp-whittle lock --check [OPTIONS] ...",
    after_long_help = LOCK_CODES
)]
pub struct LockArgs {
    /// Write nothing: compare what would be written with the file, and print what differs
    #[arg(long)]
    pub check: bool,

    /// The lock file [default: mcp-whittle.lock]
    #[arg(short, long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub out: Option<PathBuf>,

    /// Lock the tools in a file: a `tools/list` result, its `tools` array, or a captured folder
    ///
    /// May be repeated, one server each.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, conflicts_with_all = ["config", "upstream", "command"])]
    pub tools: Vec<PathBuf>,

    /// How tools are shown.
    #[command(flatten)]
    pub shaping: ShapingArgs,

    /// Which servers.
    #[command(flatten)]
    pub source: SourceArgs,
}

const LOCK_CODES: &str = "\
Exit codes of --check:
  0  nothing differs
  1  something differs; what does is on stdout
  2  wrong option, wrong configuration, or no readable lock file
  3  a server did not list its tools, so nothing was compared";

impl LockArgs {
    /// Returns the options of a proxy for the same servers.
    pub fn proxy_args(&self) -> ProxyArgs {
        shaped(&self.source, &self.shaping)
    }
}

fn shaped(source: &SourceArgs, shaping: &ShapingArgs) -> ProxyArgs {
    ProxyArgs {
        source: source.clone(),
        surface: SurfaceArgs {
            shaping: shaping.clone(),
            ..SurfaceArgs::default()
        },
        ..ProxyArgs::default()
    }
}

/// Looking at what prompt caches can share, and at kept answers.
#[expect(
    clippy::large_enum_variant,
    reason = "made once, and clap derives no boxed arguments"
)]
#[derive(Debug, Clone, Subcommand)]
pub enum CacheCommand {
    /// Start the servers twice and prove that clients get the same list of tools, byte for byte
    Check(CacheCheckArgs),
    /// Count the answers that are kept outside memory, and what the caches of earlier processes did
    Stats(CacheStoreArgs),
    /// Remove the answers that are kept outside memory
    Purge(CacheStoreArgs),
}

/// Which kept answers.
#[derive(Debug, Clone, Args)]
pub struct CacheStoreArgs {
    /// A configuration file, for its state folder and its Redis
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub config: Option<PathBuf>,

    /// The state folder [default: ~/.local/state/mcp-whittle]
    #[arg(long, value_name = "DIR", env = "MCP_WHITTLE_STATE_DIR", value_hint = clap::ValueHint::DirPath)]
    pub state_dir: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `cache check`.
#[derive(Debug, Clone, Default, Args)]
#[command(
    override_usage = "mcp-whittle cache check [OPTIONS] -- COMMAND [ARGS]...\n       mcp-whittle cache check [OPTIONS] --config FILE\n       mcp-whittle cache check [OPTIONS] --url URL",
    after_long_help = CACHE_CODES
)]
pub struct CacheCheckArgs {
    /// Write the list of this run to a file
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub save: Option<PathBuf>,

    /// Start the servers once and compare with a list that --save wrote
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub against: Option<PathBuf>,

    /// How tools are shown.
    #[command(flatten)]
    pub shaping: ShapingArgs,

    /// Which servers.
    #[command(flatten)]
    pub source: SourceArgs,
}

const CACHE_CODES: &str = "\
Exit codes:
  0  the lists are the same, byte for byte
  1  they differ; the first difference is on stdout
  2  wrong option, wrong configuration, or no readable file
  3  a server did not list its tools, or the list could not be saved";

impl CacheCheckArgs {
    /// Returns the options of a proxy for the same servers.
    pub fn proxy_args(&self) -> ProxyArgs {
        shaped(&self.source, &self.shaping)
    }
}

/// Arguments of `capture`.
#[derive(Debug, Clone, Default, Args)]
#[command(
    override_usage = "mcp-whittle capture --out DIR [OPTIONS] -- COMMAND [ARGS]...\n       mcp-whittle capture --out DIR [OPTIONS] --url URL"
)]
pub struct CaptureArgs {
    /// The folder to write; made if it is not there, refused if it holds something else
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub out: PathBuf,

    /// Proxy stdin and stdout meanwhile and write the conversation too, with secrets taken out
    #[arg(long)]
    pub conversation: bool,

    /// Which servers.
    #[command(flatten)]
    pub source: SourceArgs,
}

impl CaptureArgs {
    /// Returns the options of a proxy for the same servers.
    pub fn proxy_args(&self) -> ProxyArgs {
        ProxyArgs {
            source: self.source.clone(),
            ..ProxyArgs::default()
        }
    }
}

/// Arguments of `replay`.
#[derive(Debug, Clone, Default, Args)]
pub struct ReplayArgs {
    /// A folder that `capture` wrote
    #[arg(value_name = "FOLDER", value_hint = clap::ValueHint::DirPath)]
    pub folder: PathBuf,

    /// Speak only this protocol era [default: auto]
    #[arg(long, value_name = "ERA", value_enum)]
    pub era: Option<EraPin>,

    /// Wait this long before each answer, e.g. `50ms`
    #[arg(long, value_name = "TIME", value_parser = text::parse_duration)]
    pub delay: Option<Duration>,

    /// The logs.
    #[command(flatten)]
    pub log: LogArgs,
}

/// Arguments of `demo`.
#[derive(Debug, Clone, Default, Args)]
pub struct DemoArgs {
    /// Count tokens with this vocabulary [default: o200k_base]
    #[arg(long, value_name = "NAME", value_enum)]
    pub tokenizer: Option<Tokenizer>,

    /// The logs.
    #[command(flatten)]
    pub log: LogArgs,
}

/// Looking at the configuration.
#[derive(Debug, Clone, Subcommand)]
pub enum ConfigCommand {
    /// Print the effective settings and where each came from; exit 2 with all errors if they are wrong
    Check(ConfigCheckArgs),
}

/// Arguments of `config check`.
#[derive(Debug, Clone, Default, Args)]
#[command(
    override_usage = "mcp-whittle config check [OPTIONS] --config FILE\n       mcp-whittle config check [OPTIONS] -- COMMAND [ARGS]..."
)]
pub struct ConfigCheckArgs {
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,

    /// The options the proxy would get.
    #[command(flatten)]
    pub proxy: ProxyArgs,
}

/// Writing what follows from the command line's definition.
#[derive(Debug, Clone, Subcommand)]
pub enum GenerateCommand {
    /// Completions for a shell, e.g. `mcp-whittle generate completions bash`
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// The man page, in roff
    Man,
}
