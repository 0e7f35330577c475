//! How the binary is started: options, settings, servers, surroundings.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use super::proxy::Proxy;

/// How the binary is started.
#[derive(Debug)]
pub(crate) struct ProxyBuilder {
    options: Vec<String>,
    settings: String,
    entries: String,
    command: Vec<String>,
    state: Option<PathBuf>,
    wrapper: Vec<String>,
    keeps_stderr: bool,
    pub(super) is_bare: bool,
}

impl ProxyBuilder {
    pub(super) fn new(command: Vec<String>) -> Self {
        Self {
            options: Vec::new(),
            settings: String::new(),
            entries: String::new(),
            command,
            state: None,
            wrapper: Vec::new(),
            keeps_stderr: true,
            is_bare: false,
        }
    }

    /// Adds options, separated by spaces.
    pub(crate) fn options(mut self, options: &str) -> Self {
        self.options
            .extend(options.split_whitespace().map(str::to_owned));
        self
    }

    /// Adds one option, spaces and all.
    pub(crate) fn option(mut self, option: &str) -> Self {
        self.options.push(option.to_owned());
        self
    }

    /// Adds lines to the TOML file of settings: dotted keys, so that they can come in any order.
    pub(crate) fn settings(mut self, toml: &str) -> Self {
        self.settings.push_str(toml);
        self.settings.push('\n');
        self
    }

    /// Adds a server to the TOML file.
    pub(crate) fn server(mut self, name: &str, command: &[String]) -> Self {
        self.entries.push_str(&server_entry(name, command));
        self
    }

    /// Adds an HTTP server to the TOML file.
    pub(crate) fn url(mut self, name: &str, url: &str) -> Self {
        self.entries
            .push_str(&format!("[servers.{name}]\nurl = \"{url}\"\n"));
        self
    }

    /// Adds a server's entry, as it stands, to the TOML file.
    pub(crate) fn entry(mut self, entry: &str) -> Self {
        self.entries.push_str(entry);
        self
    }

    /// Listens on a free port of loopback instead of stdin and stdout.
    pub(crate) fn listening(self) -> Self {
        self.options("--listen 127.0.0.1:0")
    }

    /// Uses a state folder that outlives the process.
    pub(crate) fn state(mut self, folder: &Path) -> Self {
        self.state = Some(folder.to_owned());
        self
    }

    /// Puts words in front of the command that starts the binary.
    fn behind(mut self, words: &[&str]) -> Self {
        self.wrapper = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Runs the binary as PID 1 of a process namespace with its own `/proc`, as in a container. Who is not
    /// root makes a user namespace for that.
    pub(crate) fn in_namespace(self) -> Self {
        let mut words = vec!["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];
        if !rustix::process::geteuid().is_root() {
            words.push("--map-root-user");
        }
        words.push("--");
        self.behind(&words)
    }

    /// Sets variables. The process keeps its id: `env` becomes it.
    #[cfg(feature = "otel")]
    pub(crate) fn environment(mut self, variables: &[(&str, &str)]) -> Self {
        let pairs = variables
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        self.wrapper
            .splice(0..0, std::iter::once("env".to_owned()).chain(pairs));
        self
    }

    /// Leaves stderr unread.
    pub(crate) fn ignoring_stderr(mut self) -> Self {
        self.keeps_stderr = false;
        self
    }

    /// Starts it.
    pub(crate) fn start(self) -> Proxy {
        let folder = tempfile::tempdir().expect("a folder for the proxy");
        let state = self
            .state
            .clone()
            .unwrap_or_else(|| folder.path().join("state"));
        let mut words = self.wrapper.clone();
        if self.is_bare {
            words.extend(self.command.iter().cloned());
        } else {
            words.push(env!("CARGO_BIN_EXE_mcp-whittle").to_owned());
        }
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        if !self.is_bare {
            let settings = self.settings + &self.entries;
            if !settings.is_empty() {
                let file = folder.path().join("settings.toml");
                std::fs::write(&file, &settings).expect("the settings are written");
                command.arg("--config").arg(file);
            }
            command.arg("--state-dir").arg(state).args(&self.options);
            if !self.command.is_empty() {
                command.arg("--").args(&self.command);
            }
        }
        // What is remembered belongs to the folder it is started in and to its environment as well.
        let home = self.state.as_deref().unwrap_or(folder.path());
        let child = command
            .env("HOME", home)
            .env_remove("XDG_STATE_HOME")
            .current_dir(home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("the binary starts");
        Proxy::attach(child, folder, self.keeps_stderr)
    }
}

/// A server's entry in the TOML file.
pub(crate) fn server_entry(name: &str, command: &[String]) -> String {
    let quoted: Vec<String> = command.iter().map(|word| json!(word).to_string()).collect();
    format!(
        "[servers.{name}]\ncommand = {}\nargs = [{}]\n",
        quoted[0],
        quoted[1..].join(", ")
    )
}
