//! Lays the layers on each other: defaults, file, environment, options. Then checks the whole.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cli::{LogArgs, ProxyArgs, ShapingArgs, SourceArgs, SurfaceArgs};
use crate::policy::Policy;
use crate::policy::pins::Mode as PinsMode;

use super::choose::Servers;
use super::draft::Draft;
use super::effective::Effective;
use super::environment::{self, EnvSource};
use super::file::{self, FileContent};
use super::finding::{ConfigErrors, Fault, Finding, Findings, Origin, did_you_mean};
use super::input::Input;
use super::keys::{Key, SOURCE_VARIABLES, VARIABLE_PREFIX, keys};
use super::listen::ListenAddress;
use super::server::RawServer;
use super::settings::{
    ListenSettings, LogSettings, Mode, Naming, PrefixMode, Settings, Shaping, StateSettings,
    Tokenizer,
};
use super::source::{self, FileReader};

/// Valid settings and what was noticed on the way.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What the program runs with.
    pub settings: Settings,
    /// What is doubtful but not wrong.
    pub warnings: Vec<Finding>,
    draft: Draft,
    origins: HashMap<&'static str, Origin>,
    server_rows: Vec<Effective>,
}

impl Loaded {
    /// Returns every value with its origin, in the order of the documentation, then the servers. A start has no use
    /// for it.
    pub fn effective(&self) -> Vec<Effective> {
        let rows = keys().map(|key| Effective {
            key: key.name.to_owned(),
            value: (key.show)(&self.draft),
            origin: origin(&self.origins, key.name),
        });
        rows.chain(self.server_rows.iter().cloned()).collect()
    }
}

/// Joins options, environment and files to settings. Pure but for the two arguments that read.
///
/// An option wins over a variable, a variable over the file, the file over the default. Lists are
/// replaced as a whole.
///
/// # Errors
/// Everything that is wrong, in all layers and files at once. Nothing is taken from a
/// configuration that is wrong in part.
pub fn load(
    args: &ProxyArgs,
    environment: &impl EnvSource,
    read_file: FileReader<'_>,
) -> Result<Loaded, ConfigErrors> {
    load_with(args, environment, read_file, true)
}

/// As [`load`], for commands that ask no server: the file may have settings alone.
///
/// # Errors
/// As [`load`].
pub fn load_without_servers(
    args: &ProxyArgs,
    environment: &impl EnvSource,
    read_file: FileReader<'_>,
) -> Result<Loaded, ConfigErrors> {
    load_with(args, environment, read_file, false)
}

fn load_with(
    args: &ProxyArgs,
    environment: &impl EnvSource,
    read_file: FileReader<'_>,
    needs_servers: bool,
) -> Result<Loaded, ConfigErrors> {
    let mut findings = Findings::default();
    let file = config_file(args, environment, &mut findings);
    let content = match &file {
        Some((_, path)) => file::read(path, environment, read_file, &mut findings),
        None => FileContent::default(),
    };
    let mut loader = Loader {
        args,
        environment,
        read_file,
        needs_servers,
        findings,
        draft: Draft::default(),
        origins: HashMap::new(),
    };
    loader.lay_otel();
    loader.lay_file(&content, file.as_ref().map(|(_, path)| path));
    loader.lay_environment(|_| true);
    loader.lay_options();
    loader.check_names_of_variables();
    let loaded = loader.finish(file, content.servers);
    if loader.findings.errors.is_empty() {
        let (settings, server_rows) = loaded.expect("without a finding everything was made");
        Ok(Loaded {
            settings,
            warnings: loader.findings.warnings,
            draft: loader.draft,
            origins: loader.origins,
            server_rows,
        })
    } else {
        Err(ConfigErrors::from(loader.findings))
    }
}

/// Reads the settings of logs alone, from options and the environment.
///
/// # Errors
/// When a variable is wrong.
pub fn load_log(args: &LogArgs, environment: &impl EnvSource) -> Result<LogSettings, ConfigErrors> {
    let args = ProxyArgs {
        source: SourceArgs {
            log: args.clone(),
            ..SourceArgs::default()
        },
        ..ProxyArgs::default()
    };
    draft_of(&args, environment, |key| key.name.starts_with("log.")).map(|draft| draft.log)
}

/// Reads some settings from options and the environment alone.
fn draft_of(
    args: &ProxyArgs,
    environment: &impl EnvSource,
    is_wanted: impl Fn(&Key) -> bool,
) -> Result<Draft, ConfigErrors> {
    let no_files = |_: &Path| Err(io::Error::from(io::ErrorKind::Unsupported));
    let mut loader = Loader {
        args,
        environment,
        read_file: &no_files,
        needs_servers: false,
        findings: Findings::default(),
        draft: Draft::default(),
        origins: HashMap::new(),
    };
    loader.lay_environment(is_wanted);
    loader.lay_options();
    if loader.findings.errors.is_empty() {
        Ok(loader.draft)
    } else {
        Err(ConfigErrors::from(loader.findings))
    }
}

/// How definitions are shown and counted, where no server is asked.
#[derive(Debug, Clone)]
pub struct LoadedShaping {
    /// How they are shown.
    pub shaping: Shaping,
    /// What counts them.
    pub tokenizer: Tokenizer,
}

/// Reads how definitions are shown and counted, from options and the environment, for a list that lies in a file.
///
/// # Errors
/// When an option or a variable is wrong.
pub fn load_shaping(
    args: &ShapingArgs,
    environment: &impl EnvSource,
) -> Result<LoadedShaping, ConfigErrors> {
    const WANTED: [&str; 7] = [
        "surface",
        "budget",
        "pin",
        "summaries",
        "profile",
        "open_schemas",
        "tokenizer",
    ];
    let args = ProxyArgs {
        surface: SurfaceArgs {
            shaping: args.clone(),
            ..SurfaceArgs::default()
        },
        ..ProxyArgs::default()
    };
    let draft = draft_of(&args, environment, |key| WANTED.contains(&key.name))?;
    Ok(LoadedShaping {
        shaping: draft.shaping,
        tokenizer: draft.tokenizer,
    })
}

/// The policy of a file, and what the file says of servers.
#[derive(Debug, Clone)]
pub struct LoadedPolicy {
    /// The policy; the default one where the file has none.
    pub policy: Policy,
    /// The names of the file's servers; empty where it has none.
    pub servers: Vec<String>,
    /// What is doubtful but not wrong.
    pub warnings: Vec<Finding>,
}

/// Reads the policy of a file alone; its servers need not be complete.
///
/// # Errors
/// Everything that is wrong with the file or its policy.
pub fn load_policy(
    path: &Path,
    environment: &impl EnvSource,
    read_file: FileReader<'_>,
) -> Result<LoadedPolicy, ConfigErrors> {
    let mut findings = Findings::default();
    let content = file::read(path, environment, read_file, &mut findings);
    let args = ProxyArgs::default();
    let mut loader = Loader {
        args: &args,
        environment,
        read_file,
        needs_servers: false,
        findings,
        draft: Draft::default(),
        origins: HashMap::new(),
    };
    for (name, line, node) in &content.settings {
        if name.starts_with("policy.") {
            let origin = Origin::File {
                path: path.to_owned(),
                line: Some(*line),
            };
            loader.lay(name, &Input::Node(node, source::folder(path)), origin);
        }
    }
    if !loader.findings.errors.is_empty() {
        return Err(ConfigErrors::from(loader.findings));
    }
    Ok(LoadedPolicy {
        policy: loader.draft.policy,
        servers: content.servers.into_iter().map(|raw| raw.name).collect(),
        warnings: loader.findings.warnings,
    })
}

pub(super) struct Loader<'a, E> {
    pub(super) args: &'a ProxyArgs,
    pub(super) environment: &'a E,
    pub(super) read_file: FileReader<'a>,
    /// Whether it is an error that there are no servers.
    pub(super) needs_servers: bool,
    pub(super) findings: Findings,
    pub(super) draft: Draft,
    pub(super) origins: HashMap<&'static str, Origin>,
}

fn origin(origins: &HashMap<&'static str, Origin>, key: &str) -> Origin {
    origins.get(key).cloned().unwrap_or(Origin::Default)
}

fn config_file(
    args: &ProxyArgs,
    environment: &impl EnvSource,
    findings: &mut Findings,
) -> Option<(Origin, PathBuf)> {
    if let Some(path) = &args.source.config {
        return Some((Origin::Flag("--config".to_owned()), path.clone()));
    }
    let variable = variable("MCP_WHITTLE_CONFIG", environment, findings)?;
    Some((variable.0, PathBuf::from(variable.1)))
}

/// Whether one of these variables may be a setting.
fn has_ours(names: &[String]) -> bool {
    names.iter().any(|name| name.starts_with(VARIABLE_PREFIX))
}

pub(super) fn variable(
    name: &str,
    environment: &impl EnvSource,
    findings: &mut Findings,
) -> Option<(Origin, String)> {
    let origin = Origin::Environment(name.to_owned());
    match environment::text(environment, name) {
        Ok(value) => value.map(|value| (origin, value)),
        Err(fault) => {
            findings.error(Some(origin), None, fault);
            None
        }
    }
}

impl<E: EnvSource> Loader<'_, E> {
    fn lay_file(&mut self, content: &FileContent, path: Option<&PathBuf>) {
        let Some(path) = path else { return };
        for (name, line, node) in &content.settings {
            let origin = Origin::File {
                path: path.clone(),
                line: Some(*line),
            };
            self.lay(name, &Input::Node(node, source::folder(path)), origin);
        }
    }

    fn lay_environment(&mut self, is_wanted: impl Fn(&Key) -> bool) {
        // Most have none of ours, and need not be asked for each.
        if !has_ours(&self.environment.names()) {
            return;
        }
        for key in keys().filter(|key| is_wanted(key)) {
            if let Some((origin, value)) =
                variable(&key.variable(), self.environment, &mut self.findings)
            {
                self.lay(key.name, &Input::Variable(&value), origin);
            }
        }
    }

    fn lay_options(&mut self) {
        for key in keys() {
            let Some(option) = &key.option else { continue };
            let typed = (option.typed)(self.args);
            if !typed.is_empty() {
                self.lay(
                    key.name,
                    &Input::Typed(&typed),
                    Origin::Flag(format!("--{}", option.name)),
                );
            }
        }
    }

    fn lay(&mut self, name: &'static str, input: &Input<'_>, origin: Origin) {
        let Some(key) = keys().find(|key| key.name == name) else {
            return;
        };
        match (key.set)(&mut self.draft, input) {
            Ok(()) => {
                self.origins.insert(name, origin);
            }
            Err(fault) => self.findings.error(Some(origin), Some(name), fault),
        }
    }

    /// A misspelt variable would be ignored without a word. Only near misses are told: other
    /// programs may have variables that begin like ours.
    fn check_names_of_variables(&mut self) {
        let mut names = self.environment.names();
        if !has_ours(&names) {
            return;
        }
        let known: Vec<String> = keys()
            .map(|key| key.variable())
            .chain(SOURCE_VARIABLES.map(str::to_owned))
            .collect();
        names.sort_unstable();
        for name in names {
            let Some(given) = name.strip_prefix(VARIABLE_PREFIX) else {
                continue;
            };
            if known.contains(&name) {
                continue;
            }
            let stripped = known
                .iter()
                .filter_map(|name| name.strip_prefix(VARIABLE_PREFIX));
            if did_you_mean(given, stripped).is_some() {
                let hint = did_you_mean(&name, known.iter().map(String::as_str));
                let fault = Fault {
                    hint,
                    ..Fault::new("no setting has this name; it is ignored")
                };
                self.findings
                    .warning(Some(Origin::Environment(name)), None, fault);
            }
        }
    }

    pub(super) fn origin(&self, key: &str) -> Origin {
        origin(&self.origins, key)
    }

    /// Adds an error about a setting at the place that set it.
    pub(super) fn wrong(&mut self, key: &str, fault: Fault) {
        let origin = self.origin(key);
        self.findings.error(Some(origin), Some(key), fault);
    }

    fn finish(
        &mut self,
        file: Option<(Origin, PathBuf)>,
        raw_servers: Vec<RawServer>,
    ) -> Option<(Settings, Vec<Effective>)> {
        self.check_together();
        let state = self.state();
        let servers_from = self.choose_servers(file.as_ref(), raw_servers);
        let is_from_file = matches!(servers_from, Some(Servers::File(_)));
        let mut server_rows = Vec::new();
        let servers = match servers_from {
            Some(servers) => self.servers(servers, &mut server_rows),
            None => Vec::new(),
        };
        self.check_forwarding(&servers, is_from_file);
        let proxy = self.proxies(&servers);
        let draft = self.draft.clone();
        let default_naming = Naming::default();
        let settings = Settings {
            servers,
            naming: Naming {
                prefix: match draft.prefix {
                    PrefixMode::Auto => is_from_file,
                    PrefixMode::None => false,
                    PrefixMode::Always => true,
                },
                separator: draft.separator.unwrap_or(default_naming.separator),
                max_name: default_naming.max_name,
            },
            shaping: draft.shaping,
            memory_watch: draft.memory_watch,
            embeddings: draft.embeddings,
            lock: draft.lock,
            guard: draft.guard,
            policy: Arc::new(draft.policy),
            audit: draft.audit,
            holdout: draft.holdout,
            mode: match (draft.is_transparent, draft.is_shadow) {
                (true, _) => Mode::Transparent,
                (false, true) => Mode::Shadow,
                (false, false) => Mode::Normal,
            },
            limits: draft.limits,
            timeouts: draft.timeouts,
            restart: draft.restart,
            cache: draft.cache,
            listen: draft
                .listen
                .map(|addr| ListenSettings { addr, ..draft.http }),
            admin_listen: draft.admin_listen,
            tls: draft.tls,
            proxy: proxy?,
            state,
            tokenizer: draft.tokenizer,
            log: draft.log,
            telemetry: draft.telemetry,
        };
        Some((settings, server_rows))
    }

    /// Who sets a protection would not expect that it does nothing.
    fn check_what_transparency_leaves_out(&mut self) {
        if !self.draft.is_transparent {
            return;
        }
        let guard = &self.draft.guard;
        let left_out = [
            ("lock", self.draft.lock.is_some()),
            ("pins.mode", guard.pins == PinsMode::Enforce),
            ("redact.results", guard.redacts_results),
        ];
        for (key, _) in left_out.into_iter().filter(|(_, is_set)| *is_set) {
            let fault = Fault::new(format!("`{key}` does nothing with `transparent`"))
                .hint("leave `transparent` off where it has to hold");
            let origin = self.origin(key);
            self.findings.warning(Some(origin), Some(key), fault);
        }
    }

    /// Checks what no single key can see.
    fn check_together(&mut self) {
        if self.draft.is_transparent && self.draft.is_shadow {
            let fault =
                Fault::new("`transparent` and `shadow` are both on").hint("keep one of the two");
            self.wrong("shadow", fault);
        }
        self.check_what_transparency_leaves_out();
        let policy = &self.draft.policy;
        if policy.is_read_only
            && policy.trusted.is_empty()
            && !policy.rules.iter().any(|rule| rule.is_reading)
        {
            let fault = Fault::new("read-only mode leaves no tool: no server's hints are trusted")
                .hint("name servers with --trust-hints, or write rules with `reads = true`");
            let origin = self.origin("policy.read_only");
            self.findings
                .warning(Some(origin), Some("policy.read_only"), fault);
        }
        let breaker = &self.draft.limits.breaker;
        if breaker.max_open < breaker.open {
            let fault =
                Fault::new("`max_open` is below `open`").hint("set both, or leave both out");
            self.wrong("breaker.max_open", fault);
        }
        if self.draft.restart.max_backoff < self.draft.restart.initial_backoff {
            let fault = Fault::new("`max_backoff` is below `initial_backoff`")
                .hint("the wait grows from one to the other");
            self.wrong("restart.max_backoff", fault);
        }
        if let Some(request) = self.draft.timeouts.request
            && request > self.draft.timeouts.request_cap
        {
            let fault = Fault::new("`request_timeout` is above `request_cap`")
                .hint("the cap ends every request: raise it");
            self.wrong("timeouts.request_timeout", fault);
        }
        let tls = &self.draft.tls;
        if !tls.system && !tls.bundled && tls.ca_files.is_empty() {
            let fault = Fault::new("no certificate authority is left")
                .hint("turn on `system_roots` or `bundled_roots`, or name a `ca_file`");
            self.wrong("tls.bundled_roots", fault);
        }
        for path in self.draft.tls.ca_files.clone() {
            let problem = match source::read_text(&path, self.read_file) {
                Ok(text) if text.contains("-----BEGIN CERTIFICATE-----") => continue,
                Ok(_) => Fault::new(format!("`{}` has no certificate", path.display()))
                    .hint("it has to be a PEM file with `-----BEGIN CERTIFICATE-----`"),
                Err(fault) => Fault {
                    problem: format!("`{}`: {}", path.display(), fault.problem),
                    line: None,
                    ..fault
                },
            };
            self.wrong("tls.ca_file", problem);
        }
        if self.draft.cache.disk_bytes > 0 && self.draft.cache.redis.is_some() {
            let fault = Fault::new("`cache.disk` and `cache.redis` are both set")
                .hint("keep one of the two: replicas share Redis, processes of one user the disk");
            self.wrong("cache.disk", fault);
        }
        self.check_listener();
        self.check_telemetry(cfg!(feature = "otel"));
        let listen = self.draft.listen.as_ref().and_then(ListenAddress::tcp);
        if let (Some(listen), Some(admin)) = (listen, self.draft.admin_listen)
            && listen == admin
            && listen.port() != 0
        {
            let fault = Fault::new(format!("`listen` and `admin_listen` are both `{listen}`"))
                .hint("choose another port");
            self.wrong("http.admin_listen", fault);
        }
        if let Some(listen) = listen
            && !listen.ip().is_loopback()
            && self.draft.http.allowed_hosts.is_empty()
        {
            let fault = Fault::new(format!(
                "`{listen}` can be reached from other machines, but no host name is allowed"
            ))
            .hint("name it with --allow-host; requests with other `Host` headers are refused");
            let origin = self.origin("http.listen");
            self.findings
                .warning(Some(origin), Some("http.listen"), fault);
        }
    }

    /// Decides where state is kept. Of `state_dir` and `no_state`, the higher layer wins.
    fn state(&mut self) -> StateSettings {
        let rank = |origin: Origin| match origin {
            Origin::Default => 0,
            Origin::File { .. } => 1,
            Origin::Environment(_) => 2,
            Origin::Flag(_) => 3,
        };
        if self.draft.is_stateless_on_disk {
            if rank(self.origin("no_state")) >= rank(self.origin("state_dir")) {
                self.draft.state_dir = None;
                return StateSettings::None;
            }
            self.draft.is_stateless_on_disk = false;
        }
        if self.draft.state_dir.is_none() {
            self.draft.state_dir = default_state_dir(self.environment);
        }
        match &self.draft.state_dir {
            Some(path) => StateSettings::Dir(path.clone()),
            None => {
                let fault = Fault::new(
                    "nothing is kept on disk, because neither XDG_STATE_HOME nor HOME is set",
                )
                .hint("name a folder with --state-dir, or say --no-state");
                self.findings.warning(None, Some("state_dir"), fault);
                StateSettings::None
            }
        }
    }
}

/// Returns the folder where state is kept unless another is named. XDG base directory specification 0.8:
/// a relative path is ignored.
pub fn default_state_dir(environment: &impl EnvSource) -> Option<PathBuf> {
    let absolute = |name: &str| {
        environment
            .get(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .map(|folder| folder.join("mcp-whittle"))
}
