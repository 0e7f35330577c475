//! One server's entry of a file becomes [`ServerSettings`]. Files it names are read through an
//! argument.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::document::{Entry, Node, Syntax, Value};
use super::draft::ServerDefaults;
use super::effective::Effective;
use super::environment::EnvSource;
use super::expand::expand;
use super::finding::{Fault, Findings, Origin, did_you_mean};
use super::header::{self, Header};
use super::input::Input;
use super::redact;
use super::settings::{
    EraPin, InheritEnv, ServerName, ServerNameError, ServerSettings, ServerTransport, Share,
    is_name_character,
};
use super::source::{self, FileReader};

/// The keys of an entry. JSON files of other programs have further ones, which are ignored.
const KEYS: [&str; 20] = [
    "name",
    "command",
    "args",
    "env",
    "cwd",
    "url",
    "type",
    "headers",
    "header_file",
    "header_env",
    "disabled",
    "enabled",
    "era",
    "stateless",
    "inherit_env",
    "start_timeout",
    "request_timeout",
    "forward_authorization",
    "serverUrl",
    "httpUrl",
];

/// An entry before it is read.
pub(super) struct RawServer {
    pub(super) name: String,
    /// The key of the entry in its file: `mcpServers.git`.
    pub(super) key: String,
    pub(super) line: u32,
    pub(super) node: Node,
    pub(super) path: PathBuf,
    pub(super) syntax: Syntax,
}

/// What reading an entry needs from outside.
pub(super) struct Surroundings<'a, E> {
    pub(super) environment: &'a E,
    pub(super) read_file: FileReader<'a>,
    pub(super) defaults: ServerDefaults,
    /// How long a start may take where the entry says nothing.
    pub(super) start_timeout: Duration,
    pub(super) request_timeout: Option<Duration>,
}

/// What an entry says, part by part.
#[derive(Default)]
struct Parts {
    command: Option<String>,
    args: Option<Vec<String>>,
    env: Option<Vec<(String, SecretString)>>,
    cwd: Option<String>,
    url: Option<String>,
    kind: Option<Kind>,
    headers: Vec<(String, SecretString)>,
    has_headers: bool,
    era: Option<EraPin>,
    is_stateless: Option<bool>,
    inherit_env: Option<InheritEnv>,
    start_timeout: Option<Duration>,
    request_timeout: Option<Option<Duration>>,
    forwards_authorization: bool,
}

/// The word after `type`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Stdio,
    Http,
    Sse,
}

struct Reader<'a, E> {
    raw: &'a RawServer,
    surroundings: &'a Surroundings<'a, E>,
    findings: &'a mut Findings,
    effective: &'a mut Vec<Effective>,
}

/// Reads an entry. `None` when it is disabled or wrong; what is wrong is in the findings.
pub(super) fn read<E: EnvSource>(
    raw: &RawServer,
    surroundings: &Surroundings<'_, E>,
    findings: &mut Findings,
    effective: &mut Vec<Effective>,
) -> Option<ServerSettings> {
    Reader {
        raw,
        surroundings,
        findings,
        effective,
    }
    .read()
}

impl<E: EnvSource> Reader<'_, E> {
    fn origin(&self, line: u32) -> Origin {
        Origin::File {
            path: self.raw.path.clone(),
            line: Some(line),
        }
    }

    fn error(&mut self, line: u32, subkey: &str, fault: Fault) {
        let key = join(&self.raw.key, subkey);
        self.findings
            .error(Some(self.origin(line)), Some(&key), fault);
    }

    fn warning(&mut self, line: u32, subkey: &str, fault: Fault) {
        let key = join(&self.raw.key, subkey);
        self.findings
            .warning(Some(self.origin(line)), Some(&key), fault);
    }

    fn show(&mut self, entry: &Entry, shown: String) {
        let key = join(&join("servers", &self.raw.name), &entry.key);
        let origin = self.origin(entry.line);
        self.effective.push(Effective {
            key,
            value: shown,
            origin,
        });
    }

    fn read(&mut self) -> Option<ServerSettings> {
        let raw = self.raw;
        let entries = match raw.node.as_table() {
            Ok(entries) => entries,
            Err(fault) => {
                self.error(raw.line, "", fault);
                return None;
            }
        };
        if self.is_disabled(entries) {
            return None;
        }
        let n_errors = self.findings.errors.len();
        let name = match ServerName::new(&raw.name) {
            Ok(name) => Some(name),
            Err(error) => {
                self.error(raw.line, "", name_fault(&error));
                None
            }
        };
        let mut parts = Parts::default();
        for entry in entries {
            if let Err(fault) = self.read_part(entry, &mut parts) {
                self.error(entry.line, &entry.key, fault);
            }
        }
        let transport = self.transport(&mut parts, n_errors);
        if self.findings.errors.len() > n_errors {
            return None;
        }
        let defaults = &self.surroundings.defaults;
        let is_stateless = parts.is_stateless.unwrap_or(defaults.is_stateless);
        Some(ServerSettings {
            name: name?,
            transport: transport?,
            era: parts.era.unwrap_or(defaults.era),
            share: if is_stateless {
                Share::Stateless
            } else {
                Share::Session
            },
            start_timeout: parts
                .start_timeout
                .unwrap_or(self.surroundings.start_timeout),
            request_timeout: parts
                .request_timeout
                .unwrap_or(self.surroundings.request_timeout),
            forwards_authorization: parts.forwards_authorization,
        })
    }

    /// Looks first whether the entry counts at all: a disabled one may name unset variables.
    fn is_disabled(&mut self, entries: &[Entry]) -> bool {
        for entry in entries {
            let disables = match entry.key.as_str() {
                "disabled" => true,
                "enabled" => false,
                _ => continue,
            };
            match entry.node.as_bool() {
                Ok(value) if value == disables => {
                    self.show(entry, value.to_string());
                    return true;
                }
                Ok(_) => {}
                Err(fault) => self.error(entry.line, &entry.key, fault),
            }
        }
        false
    }

    fn read_part(&mut self, entry: &Entry, parts: &mut Parts) -> Result<(), Fault> {
        let node = &entry.node;
        let folder = source::folder(&self.raw.path);
        let input = Input::Node(node, folder);
        let shown = match entry.key.as_str() {
            "command" => {
                let command = self.expanded(node)?;
                if command.trim().is_empty() {
                    return Err(Fault::new("the command is empty")
                        .hint("name the program that starts the server"));
                }
                if parts.args.is_none() && command.contains(' ') && !command.contains(['/', '\\']) {
                    self.warning(
                        entry.line,
                        "command",
                        Fault::new("the command has a space, and no shell splits it")
                            .hint("put the program into `command` and the rest into `args`"),
                    );
                }
                parts.command = Some(command);
                node.as_text()?.to_owned()
            }
            "args" => {
                let nodes = node.as_array()?;
                let args = nodes.iter().enumerate().map(|(index, node)| {
                    self.expanded(node)
                        .map_err(|fault| fault.at(node.line).part(index.to_string()))
                });
                parts.args = Some(args.collect::<Result<_, _>>()?);
                let raw: Vec<String> = nodes
                    .iter()
                    .map(|node| node.as_text().map(str::to_owned))
                    .collect::<Result<_, _>>()?;
                redact::arguments(&raw).join(" ")
            }
            "env" => {
                parts.env = Some(self.variables(node)?);
                secret_names(node)?
            }
            "cwd" => {
                let cwd = self.expanded(node)?;
                if cwd.is_empty() {
                    return Err(Fault::new("the path is empty"));
                }
                parts.cwd = Some(cwd);
                node.as_text()?.to_owned()
            }
            "url" | "serverUrl" | "httpUrl" => {
                if parts.url.is_some() {
                    return Err(Fault::new("the server has a second URL").hint("keep `url` only"));
                }
                let url = self.expanded(node)?;
                source::check_url(&url)?;
                parts.url = Some(url);
                redact::url(node.as_text()?)
            }
            "type" => {
                parts.kind = Some(kind(node.as_text()?)?);
                node.as_text()?.to_owned()
            }
            "headers" => {
                parts.has_headers = true;
                for header in node.as_table()? {
                    let value = self
                        .expanded(&header.node)
                        .map_err(|fault| fault.part(&header.key))?;
                    let read = header::parse(&header.key, &value);
                    let read = read.map_err(|fault| fault.at(header.line).part(&header.key))?;
                    self.add_header(header.line, read, parts)?;
                }
                secret_names(node)?
            }
            "header_env" => {
                parts.has_headers = true;
                for header in node.as_table()? {
                    let at = |fault: Fault| fault.at(header.line).part(&header.key);
                    let value = source::secret_variable(
                        header.node.as_text()?,
                        self.surroundings.environment,
                    )
                    .map_err(at)?;
                    let read = header::parse(&header.key, &value).map_err(at)?;
                    self.add_header(header.line, read, parts)?;
                }
                secret_names(node)?
            }
            "header_file" => {
                parts.has_headers = true;
                let path = input.path(&self.expanded(node)?);
                let headers =
                    source::read_header_file(&path, self.surroundings.read_file, self.findings);
                for (line, header) in headers {
                    let origin = Origin::File {
                        path: path.clone(),
                        line: Some(line),
                    };
                    if let Err(fault) =
                        source::add_header(header, &mut parts.headers, &origin, self.findings)
                    {
                        self.findings.error(Some(origin), None, fault);
                    }
                }
                path.display().to_string()
            }
            "era" => {
                parts.era = Some(input.choice()?);
                input.text()?
            }
            "stateless" => {
                parts.is_stateless = Some(input.switch()?);
                input.switch()?.to_string()
            }
            "inherit_env" => {
                parts.inherit_env = Some(input.choice()?);
                input.text()?
            }
            "start_timeout" => {
                parts.start_timeout = Some(input.duration()?);
                input.text()?
            }
            "forward_authorization" => {
                parts.forwards_authorization = input.switch()?;
                input.switch()?.to_string()
            }
            "request_timeout" => {
                parts.request_timeout = Some(input.duration_or_none()?);
                input.text()?
            }
            // `name` was read by the caller, the two switches before.
            "name" | "disabled" | "enabled" => return Ok(()),
            unknown => {
                let fault = Fault::new("unknown key");
                let fault = match did_you_mean(unknown, KEYS) {
                    Some(hint) => fault.hint(hint),
                    None => fault,
                };
                if self.raw.syntax == Syntax::Toml {
                    return Err(match fault.hint {
                        Some(_) => fault,
                        None => fault.hint("docs/configuration.md lists the keys of a server"),
                    });
                }
                // Clients keep their own keys beside the usual ones.
                self.warning(
                    entry.line,
                    unknown,
                    Fault {
                        problem: "unknown key, ignored".to_owned(),
                        ..fault
                    },
                );
                return Ok(());
            }
        };
        self.show(entry, shown);
        Ok(())
    }

    fn expanded(&self, node: &Node) -> Result<String, Fault> {
        let text = expand(node.as_text()?, self.surroundings.environment)
            .map_err(|fault| fault.at(node.line))?;
        if text.contains('\0') {
            return Err(Fault::new("the text has a NUL character").at(node.line));
        }
        Ok(text)
    }

    fn variables(&self, node: &Node) -> Result<Vec<(String, SecretString)>, Fault> {
        let mut variables = Vec::new();
        for Entry { key, line, node } in node.as_table()? {
            let at = |fault: Fault| fault.at(*line).part(key);
            if key.is_empty() || key.contains(['=', '\0']) {
                return Err(
                    Fault::new(format!("`{key}` cannot be the name of a variable")).at(*line),
                );
            }
            let value = match &node.value {
                // Numbers and switches stand unquoted in many files.
                Value::Bool(value) => value.to_string(),
                Value::Integer(number) => number.to_string(),
                Value::OtherNumber(number) => number.clone(),
                _ => self.expanded(node).map_err(at)?,
            };
            variables.push((key.clone(), SecretString::from(value)));
        }
        Ok(variables)
    }

    fn add_header(&mut self, line: u32, header: Header, parts: &mut Parts) -> Result<(), Fault> {
        let origin = self.origin(line);
        source::add_header(header, &mut parts.headers, &origin, self.findings)
            .map_err(|fault| fault.at(line))
    }

    fn transport(&mut self, parts: &mut Parts, n_errors: usize) -> Option<ServerTransport> {
        let line = self.raw.line;
        let wrong = |problem: &str, hint: &str| Fault::new(problem).hint(hint);
        let fault = match (&parts.command, &parts.url, parts.kind) {
            (Some(_), Some(_), _) => Some(wrong(
                "the server has both `command` and `url`",
                "keep `command` for a program that is started, or `url` for a server that runs",
            )),
            // A `command` or `url` that was wrong is told already.
            (None, None, _) if self.findings.errors.len() > n_errors => None,
            (None, None, _) => Some(wrong(
                "the server has neither `command` nor `url`",
                "add `command` for a program that is started, or `url` for a server that runs",
            )),
            (None, Some(_), Some(Kind::Stdio)) => Some(wrong(
                "`type` is stdio, but there is no `command`",
                "use `type = http` with `url`",
            )),
            (Some(_), None, Some(Kind::Http | Kind::Sse)) => Some(wrong(
                "`type` is not stdio, but there is a `command`",
                "use `url`, or leave `type` out",
            )),
            (None, Some(_), _)
                if parts.args.is_some() || parts.env.is_some() || parts.cwd.is_some() =>
            {
                Some(wrong(
                    "`args`, `env` and `cwd` need a `command`",
                    "take them out: a server with `url` is not started by us",
                ))
            }
            (Some(_), None, _) if parts.forwards_authorization => Some(wrong(
                "`forward_authorization` needs a `url`",
                "a server with `command` gets its secrets through `env`",
            )),
            (Some(_), None, _) if parts.has_headers => Some(wrong(
                "headers need a `url`",
                "a server with `command` gets its secrets through `env`",
            )),
            _ => None,
        };
        if let Some(fault) = fault {
            self.error(line, "", fault);
            return None;
        }
        if let Some(url) = parts.url.take() {
            if source::sends_secrets_unencrypted(&url, &parts.headers) {
                let fault =
                    Fault::new("headers are sent unencrypted, because the URL is not https");
                self.warning(line, "url", fault);
            }
            return Some(ServerTransport::Http {
                url,
                headers: std::mem::take(&mut parts.headers),
                prefer_sse: parts.kind == Some(Kind::Sse),
            });
        }
        // In our own file paths are relative to it; in the clients' file they are not.
        let cwd = parts.cwd.take().map(|cwd| match self.raw.syntax {
            Syntax::Toml => source::folder(&self.raw.path).join(cwd),
            Syntax::Json => PathBuf::from(cwd),
        });
        Some(ServerTransport::Stdio {
            command: parts.command.take()?,
            args: parts.args.take().unwrap_or_default(),
            env: parts.env.take().unwrap_or_default(),
            cwd,
            inherit_env: parts
                .inherit_env
                .unwrap_or(self.surroundings.defaults.inherit_env),
        })
    }
}

fn kind(word: &str) -> Result<Kind, Fault> {
    match word.to_ascii_lowercase().replace(['-', '_'], "").as_str() {
        "stdio" | "local" => Ok(Kind::Stdio),
        "http" | "streamablehttp" | "remote" => Ok(Kind::Http),
        "sse" => Ok(Kind::Sse),
        _ => Err(Fault::new(format!(
            "`{word}` is not one of `stdio`, `http`, `streamable-http`, `sse`"
        ))),
    }
}

fn name_fault(error: &ServerNameError) -> Fault {
    let fault = Fault::new(error.to_string());
    match error {
        ServerNameError::Empty => fault.hint("name it after what it does, such as `git`"),
        ServerNameError::TooLong { .. } => {
            fault.hint("the name stands in front of each tool's: make it short")
        }
        ServerNameError::Character { name, .. } => {
            fault.hint(format!("rename it to `{}`", usable_name(name)))
        }
    }
}

/// Makes a name of any text: what may not stand in one becomes `-`.
pub(super) fn usable_name(text: &str) -> String {
    let mut name = String::new();
    for character in text.chars() {
        if is_name_character(character) {
            name.push(character);
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
    }
    let name = name.trim_matches(['-', '/', '.']);
    let name: String = name.chars().take(ServerName::MAX_LENGTH).collect();
    if name.is_empty() {
        "server".to_owned()
    } else {
        name
    }
}

fn join(key: &str, subkey: &str) -> String {
    if subkey.is_empty() {
        key.to_owned()
    } else {
        format!("{key}.{subkey}")
    }
}

fn secret_names(node: &Node) -> Result<String, Fault> {
    let names: Vec<String> = node
        .as_table()?
        .iter()
        .map(|entry| format!("{}={}", entry.key, redact::MASK))
        .collect();
    Ok(names.join(" "))
}
