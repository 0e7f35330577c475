//! Lays the layers on each other: defaults, file, environment, options. Then checks the whole.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::cli::{LogArgs, ProxyArgs, SourceArgs};

use super::draft::Draft;
use super::effective::Effective;
use super::environment::{self, EnvSource};
use super::file::{self, FileContent};
use super::finding::{ConfigErrors, Fault, Finding, Findings, Origin, did_you_mean};
use super::input::Input;
use super::keys::{KEYS, Key, SOURCE_VARIABLES, VARIABLE_PREFIX};
use super::redact;
use super::server::{self, RawServer, Surroundings};
use super::settings::{
    ListenSettings, LogSettings, Mode, Naming, PrefixMode, ProxySettings, ServerName,
    ServerSettings, ServerTransport, Settings, Share, StateSettings,
};
use super::source::{self, FileReader, HeaderTexts};

/// Valid settings and what was noticed on the way.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What the program runs with.
    pub settings: Settings,
    /// Every value with its origin, in the order of the documentation, then the servers.
    pub effective: Vec<Effective>,
    /// What is doubtful but not wrong.
    pub warnings: Vec<Finding>,
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
        findings,
        draft: Draft::default(),
        origins: HashMap::new(),
    };
    loader.lay_file(&content, file.as_ref().map(|(_, path)| path));
    loader.lay_environment(|_| true);
    loader.lay_options();
    loader.check_names_of_variables();
    let loaded = loader.finish(file, content.servers);
    if loader.findings.errors.is_empty() {
        let (settings, effective) = loaded.expect("without a finding everything was made");
        Ok(Loaded {
            settings,
            effective,
            warnings: loader.findings.warnings,
        })
    } else {
        Err(ConfigErrors {
            findings: loader.findings.errors,
        })
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
    let no_files = |_: &Path| Err(io::Error::from(io::ErrorKind::Unsupported));
    let mut loader = Loader {
        args: &args,
        environment,
        read_file: &no_files,
        findings: Findings::default(),
        draft: Draft::default(),
        origins: HashMap::new(),
    };
    loader.lay_environment(|key| key.name.starts_with("log."));
    loader.lay_options();
    if loader.findings.errors.is_empty() {
        Ok(loader.draft.log)
    } else {
        Err(ConfigErrors {
            findings: loader.findings.errors,
        })
    }
}

struct Loader<'a, E> {
    args: &'a ProxyArgs,
    environment: &'a E,
    read_file: FileReader<'a>,
    findings: Findings,
    draft: Draft,
    origins: HashMap<&'static str, Origin>,
}

/// Where the servers come from.
enum Servers {
    Command(Vec<String>),
    Url(Origin, String),
    File(Vec<RawServer>),
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

fn variable(
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
        for key in KEYS.iter().filter(|key| is_wanted(key)) {
            if let Some((origin, value)) =
                variable(&key.variable(), self.environment, &mut self.findings)
            {
                self.lay(key.name, &Input::Variable(&value), origin);
            }
        }
    }

    fn lay_options(&mut self) {
        for key in KEYS {
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
        let Some(key) = KEYS.iter().find(|key| key.name == name) else {
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
        let known: Vec<String> = KEYS
            .iter()
            .map(|key| key.variable())
            .chain(SOURCE_VARIABLES.map(str::to_owned))
            .collect();
        let mut names = self.environment.names();
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

    fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }

    /// Adds an error about a setting at the place that set it.
    fn wrong(&mut self, key: &str, fault: Fault) {
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
        let proxy = self.proxies(&servers);
        let mut effective: Vec<Effective> = KEYS
            .iter()
            .map(|key| Effective {
                key: key.name.to_owned(),
                value: (key.show)(&self.draft),
                origin: self.origin(key.name),
            })
            .collect();
        effective.extend(server_rows);
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
            surface: draft.surface,
            mode: match (draft.is_transparent, draft.is_shadow) {
                (true, _) => Mode::Transparent,
                (false, true) => Mode::Shadow,
                (false, false) => Mode::Normal,
            },
            limits: draft.limits,
            timeouts: draft.timeouts,
            restart: draft.restart,
            listen: draft
                .listen
                .map(|addr| ListenSettings { addr, ..draft.http }),
            admin_listen: draft.admin_listen,
            tls: draft.tls,
            proxy: proxy?,
            state,
            tokenizer: draft.tokenizer,
            log: draft.log,
        };
        Some((settings, effective))
    }

    /// Checks what no single key can see.
    fn check_together(&mut self) {
        if self.draft.is_transparent && self.draft.is_shadow {
            let fault =
                Fault::new("`transparent` and `shadow` are both on").hint("keep one of the two");
            self.wrong("shadow", fault);
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
        if let (Some(listen), Some(admin)) = (self.draft.listen, self.draft.admin_listen)
            && listen == admin
            && listen.port() != 0
        {
            let fault = Fault::new(format!("`listen` and `admin_listen` are both `{listen}`"))
                .hint("choose another port");
            self.wrong("http.admin_listen", fault);
        }
        if let Some(listen) = self.draft.listen
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
            self.draft.state_dir = self.default_state_dir();
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

    /// XDG base directory specification 0.8: a relative path is ignored.
    fn default_state_dir(&self) -> Option<PathBuf> {
        let absolute = |name: &str| {
            self.environment
                .get(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        absolute("XDG_STATE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
            .map(|folder| folder.join("mcp-whittle"))
    }

    /// Chooses between the command, the URL and the file. Servers of an option win over servers of
    /// a variable; two of the same layer are an error.
    fn choose_servers(
        &mut self,
        file: Option<&(Origin, PathBuf)>,
        raw: Vec<RawServer>,
    ) -> Option<Servers> {
        let upstream = match &self.args.source.upstream {
            Some(url) => Some((Origin::Flag("--upstream".to_owned()), url.clone())),
            None => variable("MCP_WHITTLE_UPSTREAM", self.environment, &mut self.findings),
        };
        let command = &self.args.source.command;
        let direct = match (command.is_empty(), upstream) {
            (true, None) => None,
            (true, Some((origin, url))) => Some((origin.clone(), Servers::Url(origin, url))),
            (false, upstream) => {
                if let Some((origin @ Origin::Environment(_), _)) = upstream {
                    let fault = Fault::new("ignored, because a command was given");
                    self.findings.warning(Some(origin), None, fault);
                }
                Some((
                    Origin::Flag("--".to_owned()),
                    Servers::Command(command.clone()),
                ))
            }
        };
        let is_option = |origin: &Origin| matches!(origin, Origin::Flag(_));
        match (direct, file) {
            (Some((direct, servers)), Some((file_origin, path))) if !raw.is_empty() => {
                if is_option(&direct) == is_option(file_origin) {
                    let fault = Fault::new(format!(
                        "`{}` has servers, and `{direct}` gives another",
                        path.display()
                    ))
                    .hint("keep one of the two; a file without servers can stay, for its settings");
                    self.findings.error(Some(file_origin.clone()), None, fault);
                    None
                } else if is_option(&direct) {
                    let fault = Fault::new(format!(
                        "the servers of `{}` are ignored, because `{direct}` gives another",
                        path.display()
                    ));
                    self.findings
                        .warning(Some(file_origin.clone()), None, fault);
                    Some(servers)
                } else {
                    let fault =
                        Fault::new(format!("ignored, because `{}` has servers", path.display()));
                    self.findings.warning(Some(direct), None, fault);
                    Some(Servers::File(raw))
                }
            }
            (Some((_, servers)), _) => Some(servers),
            (None, Some(_)) if !raw.is_empty() => Some(Servers::File(raw)),
            (None, file) => {
                // A file that could not be read is told already.
                if self.findings.errors.is_empty() {
                    let (origin, problem) = match file {
                        Some((_, path)) => (
                            Some(Origin::File {
                                path: path.clone(),
                                line: None,
                            }),
                            "the file has no servers",
                        ),
                        None => (None, "no server was named"),
                    };
                    let fault = Fault::new(problem)
                        .hint("put the server's command after `--`, or use --upstream URL or --config FILE with servers");
                    self.findings.error(origin, None, fault);
                }
                None
            }
        }
    }

    fn servers(&mut self, from: Servers, rows: &mut Vec<Effective>) -> Vec<ServerSettings> {
        let headers = self.header_texts();
        if let (Some(origin), Servers::Command(_) | Servers::File(_)) =
            (headers.first_origin(), &from)
        {
            let fault = Fault::new("headers belong to --upstream, and there is none")
                .hint("in a file, write them as `headers` of the server");
            // A variable may be meant for another call.
            match origin {
                Origin::Flag(_) => self.findings.error(Some(origin.clone()), None, fault),
                _ => self.findings.warning(Some(origin.clone()), None, fault),
            }
        }
        match from {
            Servers::Command(command) => self.command(command, rows).into_iter().collect(),
            Servers::Url(origin, url) => self
                .upstream(origin, url, &headers, rows)
                .into_iter()
                .collect(),
            Servers::File(raw) => self.file_servers(&raw, rows),
        }
    }

    fn header_texts(&mut self) -> HeaderTexts {
        let source = &self.args.source;
        let mut texts = |typed: &[String],
                         option: &str,
                         name: &str,
                         separators: &[char]|
         -> Vec<(Origin, String)> {
            if !typed.is_empty() {
                return typed
                    .iter()
                    .map(|text| (Origin::Flag(option.to_owned()), text.clone()))
                    .collect();
            }
            let Some((origin, value)) = variable(name, self.environment, &mut self.findings) else {
                return Vec::new();
            };
            let parts = value
                .split(separators)
                .map(str::trim)
                .filter(|part| !part.is_empty());
            parts
                .map(|part| (origin.clone(), part.to_owned()))
                .collect()
        };
        let lines = texts(&source.header, "--header", "MCP_WHITTLE_HEADER", &['\n']);
        let variables = texts(
            &source.header_env,
            "--header-env",
            "MCP_WHITTLE_HEADER_ENV",
            &['\n', ','],
        );
        let file = match &source.header_file {
            Some(path) => Some((Origin::Flag("--header-file".to_owned()), path.clone())),
            None => variable(
                "MCP_WHITTLE_HEADER_FILE",
                self.environment,
                &mut self.findings,
            )
            .map(|(origin, path)| (origin, PathBuf::from(path))),
        };
        HeaderTexts {
            lines,
            variables,
            file,
        }
    }

    fn command(
        &mut self,
        command: Vec<String>,
        rows: &mut Vec<Effective>,
    ) -> Option<ServerSettings> {
        let origin = Origin::Flag("--".to_owned());
        let name = source::name_of_command(&command);
        let shown = redact::arguments(&command);
        let mut parts = command.into_iter();
        let program = parts.next()?;
        if program.trim().is_empty() {
            self.findings.error(
                Some(origin),
                None,
                Fault::new("the command is empty").hint("name a program after `--`"),
            );
            return None;
        }
        let key = |part: &str| format!("servers.{name}.{part}");
        rows.push(Effective {
            key: key("command"),
            value: program.clone(),
            origin: origin.clone(),
        });
        rows.push(Effective {
            key: key("args"),
            value: shown[1..].join(" "),
            origin,
        });
        let transport = ServerTransport::Stdio {
            command: program,
            args: parts.collect(),
            env: Vec::new(),
            cwd: None,
            inherit_env: self.draft.servers.inherit_env,
        };
        Some(self.single_server(&name, transport))
    }

    fn upstream(
        &mut self,
        origin: Origin,
        url: String,
        headers: &HeaderTexts,
        rows: &mut Vec<Effective>,
    ) -> Option<ServerSettings> {
        let headers_origin = headers.first_origin().cloned();
        let headers = headers.read(self.environment, self.read_file, &mut self.findings);
        if let Err(fault) = source::check_url(&url) {
            self.findings.error(Some(origin), None, fault);
            return None;
        }
        if source::sends_secrets_unencrypted(&url, &headers) {
            let fault = Fault::new("headers are sent unencrypted, because the URL is not https");
            self.findings.warning(Some(origin.clone()), None, fault);
        }
        let name = source::name_of_url(&url);
        rows.push(Effective {
            key: format!("servers.{name}.url"),
            value: redact::url(&url),
            origin,
        });
        if let Some(origin) = headers_origin {
            rows.push(Effective {
                key: format!("servers.{name}.headers"),
                value: source::show_headers(&headers),
                origin,
            });
        }
        Some(self.single_server(
            &name,
            ServerTransport::Http {
                url,
                headers,
                prefer_sse: false,
            },
        ))
    }

    fn single_server(&self, name: &str, transport: ServerTransport) -> ServerSettings {
        ServerSettings {
            name: ServerName::new(name).expect("`usable_name` made it"),
            transport,
            era: self.draft.servers.era,
            share: if self.draft.servers.is_stateless {
                Share::Stateless
            } else {
                Share::Session
            },
            start_timeout: self.draft.timeouts.start,
            request_timeout: self.draft.timeouts.request,
        }
    }

    fn file_servers(
        &mut self,
        raw: &[RawServer],
        rows: &mut Vec<Effective>,
    ) -> Vec<ServerSettings> {
        let surroundings = Surroundings {
            environment: self.environment,
            read_file: self.read_file,
            defaults: self.draft.servers,
            start_timeout: self.draft.timeouts.start,
            request_timeout: self.draft.timeouts.request,
        };
        let n_errors = self.findings.errors.len();
        let mut servers = Vec::new();
        let mut seen: HashMap<&str, Origin> = HashMap::new();
        for raw in raw {
            let origin = Origin::File {
                path: raw.path.clone(),
                line: Some(raw.line),
            };
            if let Some(first) = seen.get(raw.name.as_str()) {
                let fault = Fault::new(format!(
                    "another server has the name `{}`: {first}",
                    raw.name
                ))
                .hint("give each server its own name");
                self.findings.error(Some(origin), Some(&raw.key), fault);
                continue;
            }
            seen.insert(&raw.name, origin);
            servers.extend(server::read(raw, &surroundings, &mut self.findings, rows));
        }
        if servers.is_empty() && self.findings.errors.len() == n_errors {
            let origin = raw.first().map(|raw| Origin::File {
                path: raw.path.clone(),
                line: None,
            });
            let fault =
                Fault::new("every server is disabled").hint("remove `disabled` from one of them");
            self.findings.error(origin, None, fault);
        }
        servers
    }

    /// Reads the forward proxies where a server could need them.
    fn proxies(&mut self, servers: &[ServerSettings]) -> Option<ProxySettings> {
        if !servers
            .iter()
            .any(|server| matches!(server.transport, ServerTransport::Http { .. }))
        {
            return Some(ProxySettings::default());
        }
        match environment::proxies(self.environment) {
            Ok(proxies) => Some(proxies),
            Err((name, fault)) => {
                self.findings
                    .error(Some(Origin::Environment(name.to_owned())), None, fault);
                None
            }
        }
    }
}
