//! The table of settings: each key's name in the file, its option and variable, how it is read and
//! how it is shown. Pure. A new setting is one entry here and one field in `Settings`.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::cli::ProxyArgs;

use crate::policy::approval::Remember;
use crate::policy::rule::Mode;
use crate::surface::plan::UnknownPin;

use super::cache;
use super::draft::Draft;
use super::finding::Fault;
use super::guard;
use super::input::Input;
use super::listen;
use super::lock_file::LockFile;
use super::policy;
use super::summaries::SummariesFile;
use super::text::{self, show_bytes, show_duration};

/// What all variables begin with.
pub(super) const VARIABLE_PREFIX: &str = "MCP_WHITTLE_";

/// Variables of options that choose servers; they are no keys of a file.
pub(super) const SOURCE_VARIABLES: [&str; 5] = [
    "MCP_WHITTLE_CONFIG",
    "MCP_WHITTLE_UPSTREAM",
    "MCP_WHITTLE_HEADER",
    "MCP_WHITTLE_HEADER_FILE",
    "MCP_WHITTLE_HEADER_ENV",
];

/// One setting.
pub(super) struct Key {
    /// Its name in a TOML file, with the section: `limits.max_frame_bytes`.
    pub(super) name: &'static str,
    /// Its option, if it has one.
    pub(super) option: Option<TypedOption>,
    /// Reads a value into the draft.
    pub(super) set: fn(&mut Draft, &Input<'_>) -> Result<(), Fault>,
    /// Shows the draft's value.
    pub(super) show: fn(&Draft) -> String,
}

/// An option of the command line.
pub(super) struct TypedOption {
    /// Its name without dashes.
    pub(super) name: &'static str,
    /// What was typed; nothing if it was not given.
    pub(super) typed: fn(&ProxyArgs) -> Vec<String>,
}

impl Key {
    /// Returns the variable: after the option if there is one, else after the whole key.
    pub(super) fn variable(&self) -> String {
        let name = self.option.as_ref().map_or(self.name, |option| option.name);
        let mut variable = VARIABLE_PREFIX.to_owned();
        variable.extend(name.chars().map(|character| match character {
            '.' | '-' => '_',
            character => character.to_ascii_uppercase(),
        }));
        variable
    }
}

/// Whether an environment variable is one of our settings. Children must not inherit those: a
/// wrapped mcp-whittle would take them for its own.
pub fn is_setting_variable(name: &str) -> bool {
    name.starts_with(VARIABLE_PREFIX)
        && (SOURCE_VARIABLES.contains(&name) || keys().any(|key| key.variable() == name))
}

const fn option(name: &'static str, typed: fn(&ProxyArgs) -> Vec<String>) -> Option<TypedOption> {
    Some(TypedOption { name, typed })
}

fn word<T: ValueEnum>(value: &T) -> String {
    value
        .to_possible_value()
        .map(|value| value.get_name().to_owned())
        .unwrap_or_default()
}

fn words<T: ValueEnum>(value: Option<&T>) -> Vec<String> {
    value.map(word).into_iter().collect()
}

fn given(value: Option<&String>) -> Vec<String> {
    value.cloned().into_iter().collect()
}

fn switch(is_given: bool) -> Vec<String> {
    if is_given {
        vec!["true".to_owned()]
    } else {
        Vec::new()
    }
}

fn paths<'a>(values: impl IntoIterator<Item = &'a PathBuf>) -> Vec<String> {
    values
        .into_iter()
        .map(|path| path.to_string_lossy().into_owned())
        .collect()
}

fn show_list(values: &[String]) -> String {
    if values.is_empty() {
        "none".to_owned()
    } else {
        values.join(", ")
    }
}

const MOST_BYTES: u64 = 16 << 30;
const MOST: u32 = 1_000_000_000;

/// A key whose value is a size in bytes.
macro_rules! size {
    ($name:literal, $option:expr, $($field:ident).+, $least:expr) => {
        Key {
            name: $name,
            option: $option,
            set: |draft, input| input.bytes($least..=MOST_BYTES).map(|value| draft.$($field).+ = value),
            show: |draft| show_bytes(draft.$($field).+),
        }
    };
}

/// A key whose value is a count.
macro_rules! count {
    ($name:literal, $($field:ident).+, $allowed:expr) => {
        Key {
            name: $name,
            option: None,
            set: |draft, input| input.count($allowed).map(|value| draft.$($field).+ = value),
            show: |draft| draft.$($field).+.to_string(),
        }
    };
}

/// A key whose value is a time.
macro_rules! time {
    ($name:literal, $option:expr, $($field:ident).+) => {
        Key {
            name: $name,
            option: $option,
            set: |draft, input| input.duration().map(|value| draft.$($field).+ = value),
            show: |draft| show_duration(draft.$($field).+),
        }
    };
}

/// A key whose value is a word of an enum.
macro_rules! choice {
    ($name:literal, $option:expr, $($field:ident).+) => {
        Key {
            name: $name,
            option: $option,
            set: |draft, input| input.choice().map(|value| draft.$($field).+ = value),
            show: |draft| word(&draft.$($field).+),
        }
    };
}

/// A key that is on or off.
macro_rules! switch {
    ($name:literal, $option:expr, $($field:ident).+) => {
        Key {
            name: $name,
            option: $option,
            set: |draft, input| input.switch().map(|value| draft.$($field).+ = value),
            show: |draft| draft.$($field).+.to_string(),
        }
    };
}

/// Returns all settings that are not part of a server's entry, in the order of `config check`.
pub(super) fn keys() -> impl Iterator<Item = &'static Key> + Clone {
    [
        SURFACE,
        results::KEYS,
        LOCK,
        granted::KEYS,
        REST,
        auth::KEYS,
        service::KEYS,
        telemetry::KEYS,
    ]
    .into_iter()
    .flatten()
}

mod auth;
mod granted;
mod results;
mod service;
mod telemetry;

static SURFACE: &[Key] = &[
    choice!(
        "surface",
        option("surface", |args| words(
            args.surface.shaping.surface.as_ref()
        )),
        shaping.surface
    ),
    Key {
        name: "budget",
        option: option("budget", |args| given(args.surface.shaping.budget.as_ref())),
        set: |draft, input| {
            input
                .checked_number(text::budget)
                .map(|value| draft.shaping.budget = value)
        },
        show: |draft| draft.shaping.budget.to_string(),
    },
    Key {
        name: "pin",
        option: option("pin", |args| args.surface.shaping.pin.clone()),
        set: |draft, input| {
            let pins = input.list()?;
            draft.shaping.pins = pins
                .iter()
                .map(|pin| {
                    pin.parse()
                        .map_err(|error: UnknownPin| Fault::new(error.to_string()))
                })
                .collect::<Result<_, _>>()?;
            Ok(())
        },
        show: |draft| {
            let pins: Vec<String> = draft.shaping.pins.iter().map(ToString::to_string).collect();
            show_list(&pins)
        },
    },
    Key {
        name: "summaries",
        option: option("summaries", |args| paths(&args.surface.shaping.summaries)),
        set: |draft, input| {
            let path = input.text()?;
            if path.is_empty() {
                return Err(Fault::new("the path is empty")
                    .hint("leave the setting out to shorten texts by extraction only"));
            }
            draft.shaping.summaries = SummariesFile::read(&input.path(&path)).map_err(|text| {
                let (problem, hint) = text.split_once("\nhint: ").unwrap_or((&text, ""));
                Fault::new(problem).hint(hint)
            })?;
            Ok(())
        },
        show: |draft| draft.shaping.summaries.to_string(),
    },
    Key {
        name: "profile",
        option: option("profile", |args| {
            given(args.surface.shaping.profile.as_ref())
        }),
        set: |draft, input| {
            input
                .checked(text::profile)
                .map(|value| draft.shaping.profile = value)
        },
        show: |draft| match draft.shaping.profile.as_str() {
            "" => "auto".to_owned(),
            name => name.to_owned(),
        },
    },
    choice!(
        "open_schemas",
        option("open-schemas", |args| words(
            args.surface.shaping.open_schemas.as_ref()
        )),
        shaping.open_schemas
    ),
];

static LOCK: &[Key] = &[Key {
    name: "lock",
    option: option("lock", |args| paths(&args.surface.lock)),
    set: |draft, input| {
        let path = input.text()?;
        if path.is_empty() {
            return Err(Fault::new("the path is empty")
                .hint("leave the setting out to hold calls to no lock file"));
        }
        let lock = LockFile::read(&input.path(&path)).map_err(|text| {
            let (problem, hint) = text.split_once("\nhint: ").unwrap_or((&text, ""));
            Fault::new(problem).hint(hint)
        })?;
        draft.lock = Some(lock);
        Ok(())
    },
    show: |draft| {
        draft
            .lock
            .as_ref()
            .map_or_else(|| "none".to_owned(), ToString::to_string)
    },
}];

static REST: &[Key] = &[
    Key {
        name: "embeddings",
        option: option("embeddings", |args| paths(&args.surface.embeddings)),
        set: |draft, input| {
            let path = input.text()?;
            if path.is_empty() {
                return Err(Fault::new("the path is empty")
                    .hint("leave the setting out to search by words only"));
            }
            draft.embeddings = Some(input.path(&path));
            Ok(())
        },
        show: |draft| {
            draft
                .embeddings
                .as_ref()
                .map_or_else(|| "none".to_owned(), |path| path.display().to_string())
        },
    },
    switch!(
        "transparent",
        option("transparent", |args| switch(args.surface.transparent)),
        is_transparent
    ),
    switch!(
        "shadow",
        option("shadow", |args| switch(args.surface.shadow)),
        is_shadow
    ),
    choice!(
        "tokenizer",
        option("tokenizer", |args| words(
            args.surface.shaping.tokenizer.as_ref()
        )),
        tokenizer
    ),
    choice!(
        "prefix",
        option("prefix", |args| words(args.source.prefix.as_ref())),
        prefix
    ),
    Key {
        name: "separator",
        option: option("separator", |args| given(args.source.separator.as_ref())),
        set: |draft, input| {
            input
                .checked(text::separator)
                .map(|value| draft.separator = Some(value))
        },
        show: |draft| {
            draft
                .separator
                .clone()
                .unwrap_or_else(|| super::Naming::default().separator)
        },
    },
    choice!(
        "era",
        option("era", |args| words(args.source.era.as_ref())),
        servers.era
    ),
    switch!(
        "stateless",
        option("stateless", |args| switch(args.source.stateless)),
        servers.is_stateless
    ),
    choice!(
        "inherit_env",
        option("inherit-env", |args| words(
            args.source.inherit_env.as_ref()
        )),
        servers.inherit_env
    ),
    Key {
        name: "state_dir",
        option: option("state-dir", |args| paths(&args.source.state_dir)),
        set: |draft, input| {
            let path = input.text()?;
            if path.is_empty() {
                return Err(
                    Fault::new("the path is empty").hint("`no_state` keeps nothing on disk")
                );
            }
            draft.state_dir = Some(input.path(&path));
            Ok(())
        },
        show: |draft| {
            draft
                .state_dir
                .as_ref()
                .map_or_else(|| "none".to_owned(), |path| path.display().to_string())
        },
    },
    switch!(
        "no_state",
        option("no-state", |args| switch(args.source.no_state)),
        is_stateless_on_disk
    ),
    Key {
        name: "http.listen",
        option: option("listen", |args| given(args.http.listen.as_ref())),
        set: |draft, input| {
            input
                .checked(listen::parse)
                .map(|value| draft.listen = Some(value))
        },
        show: |draft| {
            draft
                .listen
                .as_ref()
                .map_or_else(|| "none (stdin and stdout)".to_owned(), ToString::to_string)
        },
    },
    Key {
        name: "http.path",
        option: None,
        set: |draft, input| {
            let path = input.text()?;
            let is_usable = path.starts_with('/')
                && path
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#'));
            if !is_usable {
                return Err(Fault::new(format!("`{path}` is not a path"))
                    .hint("begin with `/` and leave out query, fragment and spaces"));
            }
            draft.http.path = path;
            Ok(())
        },
        show: |draft| draft.http.path.clone(),
    },
    Key {
        name: "http.allow_host",
        option: option("allow-host", |args| args.http.allow_host.clone()),
        set: |draft, input| {
            let hosts = input.list()?;
            if let Some(host) = hosts.iter().find(|host| text::host(host).is_err()) {
                return Err(Fault::new(format!("`{host}` is not a host"))
                    .hint("write it as `name` or `name:port`"));
            }
            draft.http.allowed_hosts = hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
            Ok(())
        },
        show: |draft| show_list(&draft.http.allowed_hosts),
    },
    Key {
        name: "http.allow_origin",
        option: option("allow-origin", |args| args.http.allow_origin.clone()),
        set: |draft, input| {
            let origins = input.list()?;
            if let Some(origin) = origins.iter().find(|origin| text::origin(origin).is_err()) {
                return Err(Fault::new(format!("`{origin}` is not an origin"))
                    .hint("write it as browsers send it: `https://host` or `https://host:port`"));
            }
            draft.http.allowed_origins = origins
                .iter()
                .map(|origin| origin.to_ascii_lowercase())
                .collect();
            Ok(())
        },
        show: |draft| show_list(&draft.http.allowed_origins),
    },
    Key {
        name: "http.admin_listen",
        option: option("admin-listen", |args| {
            given(args.http.admin_listen.as_ref())
        }),
        set: |draft, input| {
            input
                .checked(text::parse_listen)
                .map(|value| draft.admin_listen = Some(value))
        },
        show: |draft| {
            draft
                .admin_listen
                .map_or_else(|| "none".to_owned(), |address| address.to_string())
        },
    },
    Key {
        name: "ledger.holdout",
        option: None,
        set: |draft, input| input.share().map(|share| draft.holdout = share),
        show: |draft| draft.holdout.to_string(),
    },
    size!("http.max_body_bytes", None, http.limits.body_bytes, 1024),
    size!(
        "http.max_header_bytes",
        None,
        http.limits.header_bytes,
        1024
    ),
    count!("http.max_headers", http.limits.headers, 1..=10_000),
    time!("http.header_timeout", None, http.limits.header_timeout),
    time!("http.idle_timeout", None, http.limits.idle_timeout),
    time!("http.body_timeout", None, http.limits.body_timeout),
    count!("http.max_connections", http.limits.connections, 1..=MOST),
    count!(
        "http.max_streams_per_session",
        http.limits.streams_per_session,
        1..=MOST
    ),
    time!("http.keep_alive", None, http.limits.keep_alive),
    Key {
        name: "tls.ca_file",
        option: option("ca-file", |args| paths(&args.source.ca_file)),
        set: |draft, input| {
            draft.tls.ca_files = input.list()?.iter().map(|path| input.path(path)).collect();
            Ok(())
        },
        show: |draft| show_list(&paths(&draft.tls.ca_files)),
    },
    switch!("tls.system_roots", None, tls.system),
    switch!("tls.bundled_roots", None, tls.bundled),
    size!(
        "limits.max_frame_bytes",
        option("max-frame-bytes", |args| given(
            args.bounds.max_frame_bytes.as_ref()
        )),
        limits.frame_bytes,
        1024
    ),
    count!("limits.max_json_depth", limits.json_depth, 8..=10_000),
    Key {
        name: "limits.max_request_members",
        option: None,
        set: |draft, input| {
            input
                .wide_count(16..=u64::from(MOST))
                .map(|value| draft.limits.request_members = value)
        },
        show: |draft| draft.limits.request_members.to_string(),
    },
    size!("limits.max_id_bytes", None, limits.id_bytes, 16),
    count!("limits.max_list_pages", limits.pages, 1..=MOST),
    count!(
        "limits.max_tools_per_server",
        limits.tools_per_server,
        1..=MOST
    ),
    size!("limits.max_list_bytes", None, limits.list_bytes, 1024),
    count!(
        "limits.max_in_flight_per_session",
        limits.in_flight_per_session,
        1..=MOST
    ),
    count!("limits.max_sessions", limits.sessions, 1..=MOST),
    size!("limits.max_queue_bytes", None, limits.queue_bytes, 1024),
    count!("limits.max_queue_frames", limits.queue_frames, 1..=MOST),
    count!("limits.max_stderr_lines", limits.stderr_lines, 1..=10_000),
    time!(
        "timeouts.start_timeout",
        option("start-timeout", |args| given(
            args.source.start_timeout.as_ref()
        )),
        timeouts.start
    ),
    time!("timeouts.probe_timeout", None, timeouts.probe),
    time!("timeouts.list_deadline", None, timeouts.list_deadline),
    Key {
        name: "timeouts.request_timeout",
        option: option("request-timeout", |args| {
            given(args.bounds.request_timeout.as_ref())
        }),
        set: |draft, input| {
            input
                .duration_or_none()
                .map(|value| draft.timeouts.request = value)
        },
        show: |draft| {
            draft
                .timeouts
                .request
                .map_or_else(|| "none".to_owned(), show_duration)
        },
    },
    time!("timeouts.request_cap", None, timeouts.request_cap),
    time!(
        "timeouts.shutdown_grace",
        option("shutdown-grace", |args| given(
            args.bounds.shutdown_grace.as_ref()
        )),
        timeouts.shutdown_grace
    ),
    time!("timeouts.term_grace", None, timeouts.term_grace),
    time!("timeouts.kill_grace", None, timeouts.kill_grace),
    time!("timeouts.session_idle", None, timeouts.session_idle),
    time!("timeouts.stall_timeout", None, timeouts.stall),
    time!("restart.initial_backoff", None, restart.initial_backoff),
    time!("restart.max_backoff", None, restart.max_backoff),
    count!("restart.jitter_percent", restart.jitter_percent, 0..=100),
    count!("restart.park_after", restart.park_after, 1..=MOST),
    time!("restart.reset_after", None, restart.reset_after),
    Key {
        name: "log.level",
        option: option("log-level", |args| {
            given(args.source.log.log_level.as_ref())
        }),
        set: |draft, input| {
            input
                .checked(text::log_filter)
                .map(|value| draft.log.filter = value)
        },
        show: |draft| draft.log.filter.clone(),
    },
    choice!(
        "log.format",
        option("log-format", |args| words(
            args.source.log.log_format.as_ref()
        )),
        log.format
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    /// Options that choose servers or act at once; they are no settings.
    const NOT_SETTINGS: [&str; 7] = [
        "config",
        "upstream",
        "header",
        "header-file",
        "header-env",
        "help",
        "version",
    ];

    #[test]
    fn options_and_keys_have_the_same_names() {
        let command = Cli::command();
        let options: HashSet<String> = command
            .get_arguments()
            .filter_map(|argument| argument.get_long())
            .map(str::to_owned)
            .collect();
        let known: HashSet<String> = keys()
            .filter_map(|key| key.option.as_ref())
            .map(|option| option.name.to_owned())
            .chain(NOT_SETTINGS.map(str::to_owned))
            .collect();
        let mut built = Cli::command();
        built.build();
        let options: HashSet<String> = options
            .into_iter()
            .chain(
                built
                    .get_arguments()
                    .filter_map(|argument| argument.get_long())
                    .map(str::to_owned),
            )
            .collect();
        assert_eq!(options, known);
        for key in keys() {
            if let Some(option) = &key.option {
                let leaf = key.name.rsplit('.').next().unwrap_or_default();
                let option = option.name.replace('-', "_");
                assert!(
                    option == leaf || option == key.name.replace('.', "_"),
                    "{} is --{option}",
                    key.name
                );
            }
        }
    }

    #[test]
    fn variables_are_unique() {
        let mut seen: HashSet<String> = SOURCE_VARIABLES.map(str::to_owned).into();
        for key in keys() {
            assert!(seen.insert(key.variable()), "{}", key.variable());
        }
        assert!(is_setting_variable("MCP_WHITTLE_MAX_FRAME_BYTES"));
        assert!(is_setting_variable("MCP_WHITTLE_RESTART_MAX_BACKOFF"));
        assert!(is_setting_variable("MCP_WHITTLE_CONFIG"));
        assert!(!is_setting_variable("MCP_WHITTLE_SOMETHING"));
        assert!(!is_setting_variable("PATH"));
    }

    #[test]
    fn shown_defaults_read_back() {
        let defaults = Draft::default();
        for key in keys() {
            let shown = (key.show)(&defaults);
            if shown.starts_with("none") {
                continue;
            }
            let mut draft = Draft::default();
            (key.set)(&mut draft, &Input::Variable(&shown))
                .unwrap_or_else(|fault| panic!("{}: {fault:?}", key.name));
            assert_eq!((key.show)(&draft), shown, "{}", key.name);
        }
    }
}
