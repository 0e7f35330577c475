//! What the program runs with: plain values, validated by `config::load`, never changed afterwards.
//! No file formats, no flags, no environment here.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use secrecy::{ExposeSecret, SecretString};

use crate::policy::Policy;
use crate::policy::guard::Guard;
use crate::surface::plan::{self, Budget, Pin};
use crate::token::ledger::holdout::HoldoutShare;

use super::auth::AuthSettings;
use super::listen::ListenAddress;
use super::profiles::{ListForm, Profile};

use super::audit::AuditSettings;
use super::bounds::{HttpLimits, Limits, Restart, Timeouts};
use super::cache::CacheConfig;
use super::lock_file::LockFile;
use super::redact;
use super::results::ResultShaping;
use super::summaries::SummariesFile;
use super::telemetry::TelemetrySettings;

/// Everything the program needs to know before it starts. Immutable; a reload makes a new one.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The servers in the order of the configuration; at least one, names unique.
    pub servers: Vec<ServerSettings>,
    /// How names of several servers are kept apart.
    pub naming: Naming,
    /// How tool definitions are shown.
    pub shaping: Shaping,
    /// A folder with a static table of word vectors that helps searches; none = words only.
    pub embeddings: Option<PathBuf>,
    /// Whose memory limit is watched.
    pub memory_watch: super::MemoryWatch,
    /// The lock file that calls are held to; none = calls are not compared.
    pub lock: Option<LockFile>,
    /// What is watched in definitions and results.
    pub guard: Guard,
    /// What calls may be made.
    pub policy: Arc<Policy>,
    /// Where calls are recorded.
    pub audit: AuditSettings,
    /// The share of sessions that run untouched, so that `stats` can compare.
    pub holdout: HoldoutShare,
    /// Whether anything is changed at all.
    pub mode: Mode,
    /// Bounds on what comes from outside.
    pub limits: Limits,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// When a crashed server is started again.
    pub restart: Restart,
    /// What is kept of answers.
    pub cache: CacheConfig,
    /// The HTTP listener; `None` speaks MCP on stdin and stdout.
    pub listen: Option<ListenSettings>,
    /// Where health and metrics are served; `None` serves none.
    pub admin_listen: Option<SocketAddr>,
    /// Which certificate authorities are trusted for https upstreams.
    pub tls: TlsSettings,
    /// Forward proxies for HTTP upstreams.
    pub proxy: ProxySettings,
    /// Where snapshots and the store's secret live.
    pub state: StateSettings,
    /// Which vocabulary counts tokens.
    pub tokenizer: Tokenizer,
    /// What is logged, and how.
    pub log: LogSettings,
    /// Where traces and metrics go.
    pub telemetry: TelemetrySettings,
}

/// The name of a server in the configuration: 1 to 48 characters of `A-Z a-z 0-9 _ . / -`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerName(String);

/// Why a text cannot name a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerNameError {
    /// The name has no characters.
    #[error("the name of a server is empty")]
    Empty,
    /// The name leaves too little room for tool names.
    #[error("the name `{name}` has {length} characters; at most {max} are allowed", max = ServerName::MAX_LENGTH)]
    TooLong {
        /// The refused name.
        name: String,
        /// Its length in characters.
        length: usize,
    },
    /// The name would make tool names that clients refuse.
    #[error(
        "the name `{name}` has the character `{character}`; only letters, digits, `_`, `.`, `/` and `-` are allowed"
    )]
    Character {
        /// The refused name.
        name: String,
        /// The first character that is not allowed.
        character: char,
    },
}

impl ServerName {
    /// Longest name in characters: a quarter of the 64 of a tool's name stays for the tool.
    pub const MAX_LENGTH: usize = 48;

    /// Checks and wraps a name.
    ///
    /// # Errors
    /// When the name is empty, longer than [`Self::MAX_LENGTH`] or has a character outside
    /// `A-Z a-z 0-9 _ . / -`.
    pub fn new(name: &str) -> Result<Self, ServerNameError> {
        if name.is_empty() {
            return Err(ServerNameError::Empty);
        }
        if let Some(character) = name
            .chars()
            .find(|&character| !is_name_character(character))
        {
            return Err(ServerNameError::Character {
                name: name.to_owned(),
                character,
            });
        }
        let length = name.chars().count();
        if length > Self::MAX_LENGTH {
            return Err(ServerNameError::TooLong {
                name: name.to_owned(),
                length,
            });
        }
        Ok(Self(name.to_owned()))
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl AsRef<str> for ServerName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Whether a character may stand in tool names (MCP 2025-11-25 server/tools, "Tool Names", and `/`).
pub(crate) fn is_name_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '.' | '/' | '-')
}

/// One server.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// Its name: the prefix of its tools and its word in logs.
    pub name: ServerName,
    /// How it is reached.
    pub transport: ServerTransport,
    /// Which protocol era it is spoken to in.
    pub era: EraPin,
    /// Whether sessions share one connection to it.
    pub share: Share,
    /// How long it may take until it has answered the first handshake.
    pub start_timeout: Duration,
    /// How long a request may go without an answer or progress; `None` leaves it to the client.
    pub request_timeout: Option<Duration>,
    /// Whether a client's `Authorization` goes on to it, and to nobody else.
    pub forwards_authorization: bool,
}

impl ServerSettings {
    /// Whether a reload can keep the running connection: every value is equal, secrets included.
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.name == other.name
            && self.transport.is_same_as(&other.transport)
            && self.era == other.era
            && self.share == other.share
            && self.start_timeout == other.start_timeout
            && self.request_timeout == other.request_timeout
            && self.forwards_authorization == other.forwards_authorization
    }
}

/// How a server is reached. `Debug` shows no secret: neither values nor what is likely one in
/// arguments and URLs.
#[derive(Clone)]
pub enum ServerTransport {
    /// A child process that speaks on its stdin and stdout.
    Stdio {
        /// The program: a path, or a name looked up in `PATH`. Never given to a shell.
        command: String,
        /// Its arguments, as they are.
        args: Vec<String>,
        /// Variables set on top of the inherited ones, in order.
        env: Vec<(String, SecretString)>,
        /// The working directory; `None` is ours.
        cwd: Option<PathBuf>,
        /// Which of our own variables it inherits.
        inherit_env: InheritEnv,
    },
    /// An HTTP server.
    Http {
        /// The endpoint: `http` or `https`, without user name, password or fragment.
        url: String,
        /// Headers sent with every request, in order; valid names and values, no name twice.
        headers: Vec<(String, SecretString)>,
        /// Whether the old HTTP+SSE transport is tried first (`type = "sse"`).
        prefer_sse: bool,
    },
}

impl ServerTransport {
    fn is_same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Stdio {
                    command,
                    args,
                    env,
                    cwd,
                    inherit_env,
                },
                Self::Stdio {
                    command: command2,
                    args: args2,
                    env: env2,
                    cwd: cwd2,
                    inherit_env: inherit_env2,
                },
            ) => {
                command == command2
                    && args == args2
                    && same_secrets(env, env2)
                    && cwd == cwd2
                    && inherit_env == inherit_env2
            }
            (
                Self::Http {
                    url,
                    headers,
                    prefer_sse,
                },
                Self::Http {
                    url: url2,
                    headers: headers2,
                    prefer_sse: prefer_sse2,
                },
            ) => url == url2 && same_secrets(headers, headers2) && prefer_sse == prefer_sse2,
            (Self::Stdio { .. }, Self::Http { .. }) | (Self::Http { .. }, Self::Stdio { .. }) => {
                false
            }
        }
    }
}

fn same_secrets(left: &[(String, SecretString)], right: &[(String, SecretString)]) -> bool {
    left.len() == right.len()
        && left
            .iter()
            .zip(right)
            .all(|((name, value), (name2, value2))| {
                name == name2 && value.expose_secret() == value2.expose_secret()
            })
}

impl fmt::Debug for ServerTransport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdio {
                command,
                args,
                env,
                cwd,
                inherit_env,
            } => formatter
                .debug_struct("Stdio")
                .field("command", command)
                .field("args", &redact::arguments(args))
                .field("env", env)
                .field("cwd", cwd)
                .field("inherit_env", inherit_env)
                .finish(),
            Self::Http {
                url,
                headers,
                prefer_sse,
            } => formatter
                .debug_struct("Http")
                .field("url", &redact::url(url))
                .field("headers", headers)
                .field("prefer_sse", prefer_sse)
                .finish(),
        }
    }
}

/// Which protocol era is spoken to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum EraPin {
    /// Find out by asking the server.
    #[default]
    Auto,
    /// Only the handshake of 2025-11-25 and older.
    Legacy,
    /// Only the stateless protocol of 2026-07-28 and newer.
    Modern,
}

/// Who shares a connection to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Share {
    /// Each session has its own connection or child.
    #[default]
    Session,
    /// The operator says that the server keeps no state: sessions of one principal share it.
    Stateless,
}

/// Which of our environment variables a child inherits. Ours (see
/// [`super::is_setting_variable`]) are never inherited, else a wrapped mcp-whittle would read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum InheritEnv {
    /// All of them: the client has already decided what we may know.
    #[default]
    All,
    /// HOME, LOGNAME, PATH, SHELL, TERM and USER, as the official SDKs do it.
    Safe,
    /// None but those that the configuration sets.
    None,
}

impl InheritEnv {
    /// The variables that `safe` lets through (`DEFAULT_INHERITED_ENV_VARS` of the official SDKs).
    pub const SAFE: [&'static str; 6] = ["HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER"];
}

/// How names of several servers are kept apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naming {
    /// Whether names get the server's name in front. Follows the kind of configuration, not the
    /// number of servers: `--` and `--upstream` never, a configuration file always, unless
    /// `prefix` says otherwise.
    pub prefix: bool,
    /// Between the server's name and the tool's; characters of `A-Z a-z 0-9 _ . / -`, 1 to 8.
    pub separator: String,
    /// Longest name of a tool in characters that is shown to a client.
    pub max_name: usize,
}

impl Default for Naming {
    fn default() -> Self {
        // 64 is what the strictest model APIs accept as a function name.
        Self {
            prefix: false,
            separator: "__".to_owned(),
            max_name: 64,
        }
    }
}

/// What `prefix` was asked to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum PrefixMode {
    /// Servers of a configuration file are prefixed; a single command or URL is not.
    #[default]
    Auto,
    /// Never.
    None,
    /// Always.
    Always,
}

/// How tool definitions are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum SurfaceMode {
    /// The bytes as the server sent them.
    Full,
    /// The same meaning in fewer tokens, whatever the budget.
    Lean,
    /// What fits the budget.
    #[default]
    Auto,
}

/// Whether tools may be shown over an open schema, their parameters in the description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum OpenSchemas {
    /// Where the client is known to pass on arguments that the schema does not name.
    #[default]
    Auto,
    /// Always.
    Allow,
    /// Never.
    Never,
}

/// What the list of tools is planned by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shaping {
    /// How tool definitions are shown.
    pub surface: SurfaceMode,
    /// How many tokens they may cost.
    pub budget: Budget,
    /// The client's profile, or `auto`: from the environment that the host set.
    pub profile: String,
    /// Whether open schemas may be used.
    pub open_schemas: OpenSchemas,
    /// Tools that are shown in one rendering.
    pub pins: Vec<Pin>,
    /// Reviewed texts that stand for longer ones in short forms.
    pub summaries: SummariesFile,
    /// How results are shown.
    pub results: ResultShaping,
}

impl Shaping {
    /// Returns what a surface is planned by; none where definitions are shown as they come. `lookup`
    /// reads the environment, in which hosts say who they are.
    pub fn plan(&self, lookup: impl Fn(&str) -> Option<String>) -> Option<plan::Settings> {
        let profile = self.profile(lookup);
        let budget = match self.surface {
            SurfaceMode::Full => return None,
            SurfaceMode::Lean => Budget::Unlimited,
            SurfaceMode::Auto => self.budget,
        };
        Some(plan::Settings {
            budget,
            form: self.form(profile),
            pins: self.pins.clone(),
            offers_fields: self.results.offer_fields.clone(),
            reads_results: self.results.form(profile).lists_read_result,
            summaries: Arc::clone(&self.summaries.texts),
            ..plan::Settings::default()
        })
    }

    /// Returns the profile that is configured: the one that is named, or by the environment that the host
    /// set, else the generic one.
    pub fn profile(&self, lookup: impl Fn(&str) -> Option<String>) -> &'static Profile {
        match self.profile.as_str() {
            "auto" | "" => Profile::from_environment(lookup),
            name => Profile::by_name(name),
        }
        .unwrap_or_else(Profile::generic)
    }

    /// Returns what is known of a client as far as lists are concerned.
    pub fn form(&self, profile: &Profile) -> plan::Form {
        if self.surface == SurfaceMode::Lean {
            // The same meaning for every client.
            return plan::Form::default();
        }
        let shown = profile.shown();
        plan::Form {
            searches_itself: shown.list == ListForm::Whole,
            may_use_open_schema: match self.open_schemas {
                OpenSchemas::Auto => shown.uses_open_schemas,
                OpenSchemas::Allow => true,
                OpenSchemas::Never => false,
            },
            description_limit: shown
                .description_bytes
                .and_then(|bytes| usize::try_from(bytes).ok()),
            tool_limit: shown.tools.and_then(|tools| usize::try_from(tools).ok()),
            // Only where the value may be shaped, or the model would lose what it saves nothing for.
            drops_output_schema: !shown.keeps_output_schema && self.results.is_on(),
            merges_root_unions: shown.merges_root_unions,
            moves_shared_text: shown.moves_text_to_instructions,
            instructions_limit: shown
                .instructions_bytes
                .and_then(|bytes| usize::try_from(bytes).ok()),
        }
    }
}

/// Whether anything is changed at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Shape what the settings say.
    #[default]
    Normal,
    /// Shape nothing, whatever the other settings say.
    Transparent,
    /// Make what would be shown, but send the original.
    Shadow,
}

impl Mode {
    /// Returns the word used in the table of `config check`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Transparent => "transparent",
            Self::Shadow => "shadow",
        }
    }
}

/// The HTTP listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenSettings {
    /// Where to listen.
    pub addr: ListenAddress,
    /// The path of the MCP endpoint; starts with `/`.
    pub path: String,
    /// Hosts accepted in `Host` besides the loopback names and the address itself.
    pub allowed_hosts: Vec<String>,
    /// Origins accepted in `Origin` besides loopback ones: `scheme://host[:port]`, in lower case.
    pub allowed_origins: Vec<String>,
    /// Bounds on requests.
    pub limits: HttpLimits,
    /// The certificate chain of a TLS listener, PEM; with [`Self::tls_key`] or not at all.
    pub tls_cert: Option<PathBuf>,
    /// Its key, PEM.
    pub tls_key: Option<PathBuf>,
    /// Who may vouch for clients, PEM; then clients need a certificate.
    pub tls_client_ca: Option<PathBuf>,
    /// Which bearer tokens get in.
    pub auth: AuthSettings,
}

impl Default for ListenSettings {
    fn default() -> Self {
        Self {
            addr: ListenAddress::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0)),
            path: "/mcp".to_owned(),
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            limits: HttpLimits::default(),
            tls_cert: None,
            tls_key: None,
            tls_client_ca: None,
            auth: AuthSettings::default(),
        }
    }
}

/// Which certificate authorities are trusted. At least one source is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// The system's roots.
    pub system: bool,
    /// Mozilla's roots, built in; they serve where the system has none.
    pub bundled: bool,
    /// PEM files with further roots; readable and with a certificate when the settings were loaded.
    pub ca_files: Vec<PathBuf>,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            system: true,
            bundled: true,
            ca_files: Vec::new(),
        }
    }
}

/// Forward proxies, from the usual environment variables. URLs may hold a password.
#[derive(Debug, Clone, Default)]
pub struct ProxySettings {
    /// For https upstreams: `https_proxy`, `HTTPS_PROXY`, else `all_proxy`, `ALL_PROXY`.
    pub https_proxy: Option<SecretString>,
    /// For http upstreams: `http_proxy`, else `all_proxy`, `ALL_PROXY`. `HTTP_PROXY` counts only
    /// outside CGI, where a request header can set it.
    pub http_proxy: Option<SecretString>,
    /// Hosts that are reached directly, as curl reads it: `no_proxy`, `NO_PROXY`.
    pub no_proxy: Option<String>,
}

/// Where snapshots and the store's secret live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateSettings {
    /// In this folder, made with mode 0700 when it is needed.
    Dir(PathBuf),
    /// Nowhere: nothing outlives the process.
    None,
}

/// Which vocabulary counts tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Tokenizer {
    /// `o200k_base`: GPT-4o and newer.
    #[default]
    #[value(name = "o200k_base")]
    O200kBase,
    /// `cl100k_base`: GPT-4 and GPT-3.5.
    #[value(name = "cl100k_base")]
    Cl100kBase,
}

impl Tokenizer {
    /// Returns the usual name of the vocabulary.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::O200kBase => "o200k_base",
            Self::Cl100kBase => "cl100k_base",
        }
    }
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// A level (`error`, `warn`, `info`, `debug`, `trace`, `off`) or directives of the form
    /// `target=level`, separated by commas.
    pub filter: String,
    /// Text for people or JSON for machines.
    pub format: LogFormat,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            filter: "info".to_owned(),
            format: LogFormat::Text,
        }
    }
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    /// `mcp-whittle: LEVEL message key=value`.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Settings {
    /// The bytes that may wait for all clients of the listener together. Small queues mean little memory,
    /// so they bound this too.
    pub fn most_waiting_bytes(&self, listen: &ListenSettings) -> u64 {
        let of_queues = self.limits.queue_bytes.saturating_mul(8);
        listen.limits.queued_bytes.min(of_queues)
    }
}
