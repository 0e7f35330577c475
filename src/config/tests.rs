//! Loading as a whole: layers, origins, both kinds of files.

use std::io;
use std::path::Path;
use std::time::Duration;

use clap::{CommandFactory, Parser};
use secrecy::ExposeSecret;

use crate::cli::Cli;

use super::{
    ConfigErrors, EraPin, InheritEnv, Loaded, Mode, Origin, ServerSettings, ServerTransport, Share,
    StateSettings, SurfaceMode, Tokenizer, load, load_log, load_shaping, load_without_servers,
    render_table, to_json,
};

mod auth;
mod errors;
mod secrets;

/// A command line, an environment and files.
#[derive(Default)]
struct Setup {
    args: Vec<String>,
    environment: Vec<(String, String)>,
    files: Vec<(String, Vec<u8>)>,
}

impl Setup {
    /// Splits the options at spaces.
    fn args(args: &str) -> Self {
        Self {
            args: args.split_whitespace().map(str::to_owned).collect(),
            ..Self::default()
        }
        .env("HOME", "/home/ann")
    }

    fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    fn file(mut self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.files
            .push((path.to_owned(), content.as_ref().to_vec()));
        self
    }

    /// A file that is the configuration.
    fn config(path: &str, content: impl AsRef<[u8]>) -> Self {
        Self::args(&format!("--config {path}")).file(path, content)
    }

    fn load(&self) -> Result<Loaded, ConfigErrors> {
        let args = std::iter::once("mcp-whittle").chain(self.args.iter().map(String::as_str));
        let cli = Cli::try_parse_from(args).unwrap_or_else(|error| panic!("{error}"));
        let read_file = |path: &Path| -> io::Result<Vec<u8>> {
            let found = self
                .files
                .iter()
                .find(|(known, _)| Path::new(known) == path);
            found
                .map(|(_, content)| content.clone())
                .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
        };
        load(&cli.proxy, &self.environment, &read_file)
    }

    #[track_caller]
    fn loaded(&self) -> Loaded {
        self.load().unwrap_or_else(|errors| panic!("{errors}"))
    }

    #[track_caller]
    fn server(&self) -> ServerSettings {
        let mut servers = self.loaded().settings.servers;
        assert_eq!(servers.len(), 1);
        servers.remove(0)
    }
}

fn names(loaded: &Loaded) -> Vec<&str> {
    loaded
        .settings
        .servers
        .iter()
        .map(|server| server.name.as_str())
        .collect()
}

fn origin(loaded: &Loaded, key: &str) -> Origin {
    let row = loaded.effective().into_iter().find(|row| row.key == key);
    row.unwrap_or_else(|| panic!("no row for {key}")).origin
}

fn exposed(pairs: &[(String, secrecy::SecretString)]) -> Vec<(&str, &str)> {
    pairs
        .iter()
        .map(|(name, value)| (name.as_str(), value.expose_secret()))
        .collect()
}

const JSON: &str = r#"{
  // The usual file.
  "mcpServers": {
    "zeta": {
      "command": "npx", "args": ["-y", "@scope/server", "${HOME}"],
      "env": {"TOKEN": "${TOKEN:-none}", "PORT": 8080}, "cwd": "${HOME}/work",
    },
    "off": {"command": "${NOT_SET}", "disabled": true},
    "alpha": {
      "type": "sse", "url": "https://example.com/sse",
      "headers": {"Authorization": "Bearer ${TOKEN:-none}", "Accept": "*/*"},
      "autoApprove": ["read"],
    },
  },
}"#;

const TOML: &str = r#"
surface = "full"
tokenizer = "cl100k_base"
stateless = true
mcp_servers = "mcp.json"

[http]
listen = "127.0.0.1:8931"
allow_host = ["Whittle.Example"]

[limits]
max_frame_bytes = "64MiB"

[timeouts]
request_timeout = "2m"

[log]
level = "debug"

[servers.git]
command = "uvx"
args = ["mcp-server-git"]
cwd = "repo"
era = "legacy"
stateless = false
inherit_env = "safe"
start_timeout = "90s"
request_timeout = "none"

[[server]]
name = "web"
url = "https://example.com/mcp"
header_env = { Authorization = "WEB_TOKEN" }
header_file = "headers.txt"
"#;

#[test]
fn the_command_line_is_well_defined() {
    Cli::command().debug_assert();
}

#[test]
fn a_command_is_never_prefixed() {
    let setup = Setup::args("-- npx -y @modelcontextprotocol/server-filesystem --log-level .");
    let loaded = setup.loaded();
    assert_eq!(names(&loaded), ["server-filesystem"]);
    assert!(!loaded.settings.naming.prefix);
    assert_eq!(loaded.settings.naming.separator, "__");
    match &setup.server().transport {
        ServerTransport::Stdio {
            command,
            args,
            env,
            cwd,
            inherit_env,
        } => {
            assert_eq!(command, "npx");
            assert_eq!(
                args,
                &[
                    "-y",
                    "@modelcontextprotocol/server-filesystem",
                    "--log-level",
                    "."
                ]
            );
            assert!(env.is_empty() && cwd.is_none());
            assert_eq!(*inherit_env, InheritEnv::All);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        loaded.settings.state,
        StateSettings::Dir("/home/ann/.local/state/mcp-whittle".into())
    );
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}

#[test]
fn a_file_is_prefixed_unless_told_otherwise() {
    let file = r#"{"mcpServers": {"one": {"command": "x"}}}"#;
    assert!(
        Setup::config("mcp.json", file)
            .loaded()
            .settings
            .naming
            .prefix
    );
    assert!(
        !Setup::config("mcp.json", file)
            .arg("--prefix=none")
            .loaded()
            .settings
            .naming
            .prefix
    );
    assert!(
        Setup::args("--prefix always -- x")
            .loaded()
            .settings
            .naming
            .prefix
    );
    assert_eq!(
        Setup::args("--separator . -- x")
            .loaded()
            .settings
            .naming
            .separator,
        "."
    );
}

#[test]
fn the_usual_json_is_read() {
    let setup = Setup::config("mcp.json", JSON).env("TOKEN", "canary");
    let loaded = setup.loaded();
    assert_eq!(names(&loaded), ["zeta", "alpha"]);
    match &loaded.settings.servers[0].transport {
        ServerTransport::Stdio {
            command,
            args,
            env,
            cwd,
            ..
        } => {
            assert_eq!(command, "npx");
            assert_eq!(args, &["-y", "@scope/server", "/home/ann"]);
            assert_eq!(exposed(env), [("TOKEN", "canary"), ("PORT", "8080")]);
            assert_eq!(cwd.as_deref(), Some(Path::new("/home/ann/work")));
        }
        other => panic!("{other:?}"),
    }
    match &loaded.settings.servers[1].transport {
        ServerTransport::Http {
            url,
            headers,
            prefer_sse,
        } => {
            assert_eq!(url, "https://example.com/sse");
            assert_eq!(exposed(headers), [("Authorization", "Bearer canary")]);
            assert!(prefer_sse);
        }
        other => panic!("{other:?}"),
    }
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "mcp.json:11: the header `Accept` is set by the transport itself; this one is ignored",
            "mcp.json:12: key `mcpServers.alpha.autoApprove`: unknown key, ignored",
        ]
    );
}

#[test]
fn other_forms_of_json_are_read() {
    for file in [
        r#"{"servers": {"one": {"command": "x"}}, "inputs": []}"#,
        r#"{"mcp": {"servers": {"one": {"command": "x"}}}}"#,
        r#"{"mcpServers": {"one": {"serverUrl": "https://example.com/"}}}"#,
        r#"{"mcpServers": {"one": {"type": "streamable-http", "url": "https://example.com/"}}}"#,
        r#"{"mcpServers": {"one": {"command": "x", "enabled": true, "disabled": false}}}"#,
    ] {
        assert_eq!(
            names(&Setup::config("settings", file).loaded()),
            ["one"],
            "{file}"
        );
    }
}

fn toml_setup() -> Setup {
    Setup::config("etc/whittle.toml", TOML)
        .file("etc/mcp.json", JSON)
        .file("etc/headers.txt", "# secret\n\nX-Key: file-canary\n")
        .env("WEB_TOKEN", "web-canary")
}

#[test]
fn our_own_file_is_read() {
    let loaded = toml_setup().loaded();
    let settings = &loaded.settings;
    assert_eq!(names(&loaded), ["zeta", "alpha", "git", "web"]);
    assert_eq!(settings.shaping.surface, SurfaceMode::Full);
    assert_eq!(settings.tokenizer, Tokenizer::Cl100kBase);
    assert_eq!(settings.limits.frame_bytes, 64 << 20);
    assert_eq!(settings.log.filter, "debug");
    let listen = settings.listen.as_ref().expect("the file has an address");
    assert_eq!(listen.addr.to_string(), "127.0.0.1:8931");
    assert_eq!(listen.allowed_hosts, ["whittle.example"]);
    let zeta = &settings.servers[0];
    assert_eq!(
        (zeta.share, zeta.request_timeout),
        (Share::Stateless, Some(Duration::from_secs(120)))
    );
    let git = &settings.servers[2];
    assert_eq!((git.era, git.share), (EraPin::Legacy, Share::Session));
    assert_eq!(
        (git.start_timeout, git.request_timeout),
        (Duration::from_secs(90), None)
    );
    match &git.transport {
        ServerTransport::Stdio {
            cwd, inherit_env, ..
        } => {
            assert_eq!(cwd.as_deref(), Some(Path::new("etc/repo")));
            assert_eq!(*inherit_env, InheritEnv::Safe);
        }
        other => panic!("{other:?}"),
    }
    match &settings.servers[3].transport {
        ServerTransport::Http { headers, .. } => {
            assert_eq!(
                exposed(headers),
                [("Authorization", "web-canary"), ("X-Key", "file-canary")]
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn higher_layers_win_and_are_named() {
    let file = "surface = \"full\"\n[log]\nlevel = \"debug\"\n[limits]\nmax_frame_bytes = 2048\n";
    let setup = Setup::config("w.toml", file)
        .env("MCP_WHITTLE_LOG_LEVEL", "warn")
        .env("MCP_WHITTLE_MAX_FRAME_BYTES", "4KiB")
        .env("MCP_WHITTLE_RESTART_PARK_AFTER", "3")
        .env("MCP_WHITTLE_SHADOW", "true")
        .env("MCP_WHITTLE_TOKENIZER", "")
        .arg("--max-frame-bytes=8KiB")
        .arg("--")
        .arg("server");
    let loaded = setup.loaded();
    let settings = &loaded.settings;
    assert_eq!(settings.limits.frame_bytes, 8192);
    assert_eq!(settings.log.filter, "warn");
    assert_eq!(settings.restart.park_after, 3);
    assert_eq!(settings.mode, Mode::Shadow);
    assert_eq!(settings.tokenizer, Tokenizer::O200kBase);
    assert_eq!(
        origin(&loaded, "surface"),
        Origin::File {
            path: "w.toml".into(),
            line: Some(1)
        }
    );
    assert_eq!(
        origin(&loaded, "log.level"),
        Origin::Environment("MCP_WHITTLE_LOG_LEVEL".to_owned())
    );
    assert_eq!(
        origin(&loaded, "limits.max_frame_bytes"),
        Origin::Flag("--max-frame-bytes".to_owned())
    );
    assert_eq!(origin(&loaded, "tokenizer"), Origin::Default);
}

#[test]
fn servers_of_a_higher_layer_win() {
    let file = r#"{"mcpServers": {"one": {"command": "x"}}}"#;
    let by_variable = Setup::args("-- y")
        .env("MCP_WHITTLE_CONFIG", "m.json")
        .file("m.json", file)
        .loaded();
    assert_eq!(names(&by_variable), ["y"]);
    assert_eq!(by_variable.warnings.len(), 1);
    let by_option = Setup::config("m.json", file)
        .env("MCP_WHITTLE_UPSTREAM", "https://example.com/")
        .loaded();
    assert_eq!(names(&by_option), ["one"]);
    assert_eq!(by_option.warnings.len(), 1);
}

#[test]
fn an_upstream_has_headers_from_three_places() {
    let setup = Setup::args(
        "--upstream https://example.com/mcp --header X-A:1 --header-env X-B=B --header-file h",
    )
    .env("B", "2")
    .file("h", "X-C: 3\r\n");
    match &setup.server().transport {
        ServerTransport::Http {
            headers,
            prefer_sse,
            ..
        } => {
            assert_eq!(exposed(headers), [("X-A", "1"), ("X-B", "2"), ("X-C", "3")]);
            assert!(!prefer_sse);
        }
        other => panic!("{other:?}"),
    }
    let by_variables = Setup::args("")
        .env("MCP_WHITTLE_UPSTREAM", "https://example.com/mcp")
        .env("MCP_WHITTLE_HEADER", "X-A: 1, 2\nX-B: 3");
    match &by_variables.server().transport {
        ServerTransport::Http { headers, .. } => {
            assert_eq!(exposed(headers), [("X-A", "1, 2"), ("X-B", "3")])
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_state_folder_follows_the_layers() {
    #[track_caller]
    fn check(setup: &Setup, expected: StateSettings) {
        assert_eq!(setup.loaded().settings.state, expected);
    }
    let dir = |path: &str| StateSettings::Dir(path.into());
    check(
        &Setup::args("-- x").env("XDG_STATE_HOME", "/state"),
        dir("/state/mcp-whittle"),
    );
    check(
        &Setup::args("-- x").env("XDG_STATE_HOME", "state"),
        dir("/home/ann/.local/state/mcp-whittle"),
    );
    check(&Setup::args("--state-dir s -- x"), dir("s"));
    check(&Setup::args("--no-state -- x"), StateSettings::None);
    check(
        &Setup::args("--no-state -- x").env("MCP_WHITTLE_STATE_DIR", "/s"),
        StateSettings::None,
    );
    check(
        &Setup::args("--state-dir s -- x").env("MCP_WHITTLE_NO_STATE", "1"),
        dir("s"),
    );
    check(
        &Setup::config("e/w.toml", "state_dir = \"s\"")
            .arg("--")
            .arg("x"),
        dir("e/s"),
    );
    let homeless = Setup {
        args: vec!["--".to_owned(), "x".to_owned()],
        ..Setup::default()
    };
    check(&homeless, StateSettings::None);
    assert_eq!(homeless.loaded().warnings.len(), 1);
}

#[test]
fn forward_proxies_are_read_where_they_count() {
    let http = || Setup::args("--upstream https://example.com/");
    let proxies = |setup: &Setup| {
        let proxy = setup.loaded().settings.proxy;
        let text =
            |url: Option<secrecy::SecretString>| url.map(|url| url.expose_secret().to_owned());
        (
            text(proxy.https_proxy),
            text(proxy.http_proxy),
            proxy.no_proxy,
        )
    };
    let url = |text: &str| Some(text.to_owned());
    assert_eq!(proxies(&http()), (None, None, None));
    assert_eq!(
        proxies(
            &http()
                .env("HTTPS_PROXY", "p:1")
                .env("https_proxy", "http://q:2")
                .env("NO_PROXY", "a,b")
        ),
        (url("http://q:2"), None, url("a,b"))
    );
    assert_eq!(
        proxies(&http().env("ALL_PROXY", "http://p:1")),
        (url("http://p:1"), url("http://p:1"), None)
    );
    assert_eq!(
        proxies(&http().env("HTTP_PROXY", "http://p:1")),
        (None, url("http://p:1"), None)
    );
    assert_eq!(
        proxies(
            &http()
                .env("HTTP_PROXY", "http://p:1")
                .env("REQUEST_METHOD", "GET")
        ),
        (None, None, None)
    );
    assert_eq!(
        proxies(&Setup::args("-- x").env("HTTPS_PROXY", "socks5://p")),
        (None, None, None)
    );
    assert!(http().env("HTTPS_PROXY", "socks5://p").load().is_err());
}

#[test]
fn a_reload_says_what_it_cannot_take_over() {
    let running = Setup::args("--listen 8931 -- x").loaded().settings;
    let same = Setup::args("--listen 8931 --surface full -- y")
        .loaded()
        .settings;
    assert!(same.needs_restart(&running).is_empty());
    assert!(!same.servers[0].is_same_as(&running.servers[0]));
    assert!(running.servers[0].is_same_as(&running.servers[0].clone()));
    let other = Setup::args("--listen 8932 --no-state --log-format json -- x")
        .loaded()
        .settings;
    assert_eq!(
        other.needs_restart(&running),
        ["http.listen", "state_dir", "log.format"]
    );
    // What the listener and the counters were made with.
    let other = Setup::args(
        "--listen 8931 --allow-host a.example --tokenizer cl100k_base --max-frame-bytes 1MiB -- x",
    )
    .loaded()
    .settings;
    let named = other.needs_restart(&running);
    assert_eq!(named.len(), 3, "{named:?}");
    assert_eq!((named[0], named[2]), ("http.allow_host", "tokenizer"));
    assert!(named[1].starts_with("limits.max_frame_bytes"));
    let server = |token: &str| {
        Setup::args("--upstream https://example.com/ --header-env X=T")
            .env("T", token)
            .server()
    };
    assert!(server("a").is_same_as(&server("a")));
    assert!(!server("a").is_same_as(&server("b")));
}

/// Broken variant that this catches: whoever sets a protection that does nothing is not told.
#[test]
fn what_does_nothing_with_transparency_is_said() {
    let warnings = |args: &str, redacts: &str| {
        let setup = Setup::args(args).env("MCP_WHITTLE_REDACT_RESULTS", redacts);
        setup.loaded().warnings.len()
    };
    assert_eq!(warnings("--transparent -- x", "true"), 1);
    assert_eq!(warnings("--transparent -- x", "false"), 0);
    assert_eq!(warnings("-- x", "true"), 0);
}

#[test]
fn logs_alone_can_be_set() {
    let args = crate::cli::LogArgs {
        log_level: Some("trace".to_owned()),
        log_format: None,
    };
    let environment = vec![("MCP_WHITTLE_LOG_FORMAT".to_owned(), "json".to_owned())];
    let log = load_log(&args, &environment).expect("both are right");
    assert_eq!(
        (log.filter.as_str(), log.format),
        ("trace", super::LogFormat::Json)
    );
    let environment = vec![("MCP_WHITTLE_LOG_LEVEL".to_owned(), "loud".to_owned())];
    assert!(load_log(&args, &environment).is_err());
}

/// Broken variant that this catches: a list in a file is counted without what variables say, right or wrong.
#[test]
fn how_tools_are_shown_can_be_read_alone() {
    let args = crate::cli::ShapingArgs {
        tokenizer: Some(Tokenizer::Cl100kBase),
        ..Default::default()
    };
    let environment = |value: &str| vec![("MCP_WHITTLE_BUDGET".to_owned(), value.to_owned())];
    let loaded = load_shaping(&args, &environment("2k")).expect("both are right");
    assert_eq!(loaded.shaping.budget.to_string(), "2000");
    assert_eq!(loaded.tokenizer, Tokenizer::Cl100kBase);
    assert!(load_shaping(&args, &environment("bogus")).is_err());
}

/// Broken variant that this catches: a command that asks no server refuses a file of settings.
#[test]
fn settings_alone_are_enough_where_no_server_is_asked() {
    let files =
        |_: &Path| Ok(b"budget = 4000\nresult_cap = 500\n[cache]\ndisk = '1MiB'\n".to_vec());
    let cli = Cli::try_parse_from(["mcp-whittle", "--config", "w.toml"]).expect("it is right");
    let environment: Vec<(String, String)> = Vec::new();
    let loaded = load_without_servers(&cli.proxy, &environment, &files);
    let settings = loaded.unwrap_or_else(|errors| panic!("{errors}")).settings;
    assert_eq!(settings.cache.disk_bytes, 1 << 20);
    // A file may give a number as one.
    assert_eq!(settings.shaping.budget.to_string(), "4000");
    assert!(load(&cli.proxy, &environment, &files).is_err());
}

#[test]
fn the_table_shows_values_and_origins() {
    let loaded = toml_setup()
        .env("MCP_WHITTLE_SHUTDOWN_GRACE", "9s")
        .arg("--era=modern")
        .loaded();
    insta::assert_snapshot!("table", render_table(&loaded.effective()));
    insta::assert_json_snapshot!("json", to_json(&loaded.effective()));
}

/// A file that ends too early or has a wrong byte is refused or read, but nothing panics.
#[test]
fn damaged_files_do_not_panic() {
    for (path, text) in [("mcp.json", JSON), ("w.toml", TOML)] {
        let mut n_refused = 0;
        for end in 0..text.len() {
            n_refused += usize::from(Setup::config(path, &text.as_bytes()[..end]).load().is_err());
            let mut bytes = text.as_bytes().to_vec();
            bytes[end] ^= 0x15;
            n_refused += usize::from(Setup::config(path, bytes).load().is_err());
        }
        assert!(n_refused > text.len() / 2, "{path}: {n_refused}");
    }
}
