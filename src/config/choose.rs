//! Which servers there are: a command, a URL or those of a file, and which layer decides.

use std::collections::HashMap;
use std::path::PathBuf;

use secrecy::ExposeSecret;

use super::auth::JwksPlace;
use super::effective::Effective;
use super::environment::{self, EnvSource};
use super::finding::{Fault, Origin};
use super::load::{Loader, variable};
use super::redact;
use super::server::{self, RawServer, Surroundings};
use super::settings::{ProxySettings, ServerName, ServerSettings, ServerTransport, Share};
use super::source::{self, HeaderTexts};

/// Where the servers come from.
pub(super) enum Servers {
    Command(Vec<String>),
    Url(Origin, String),
    File(Vec<RawServer>),
}

impl<E: EnvSource> Loader<'_, E> {
    /// Chooses between the command, the URL and the file. Servers of an option win over servers of
    /// a variable; two of the same layer are an error.
    pub(super) fn choose_servers(
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
                if self.needs_servers && self.findings.errors.is_empty() {
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

    pub(super) fn servers(
        &mut self,
        from: Servers,
        rows: &mut Vec<Effective>,
    ) -> Vec<ServerSettings> {
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
        let typed_headers: Vec<String> = source
            .header
            .iter()
            .map(|header| header.expose_secret().to_owned())
            .collect();
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
        let lines = texts(&typed_headers, "--header", "MCP_WHITTLE_HEADER", &['\n']);
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
        let forwards = self.forwards_authorization(&headers);
        let mut server = self.single_server(
            &name,
            ServerTransport::Http {
                url,
                headers,
                prefer_sse: false,
            },
        );
        server.forwards_authorization = forwards;
        Some(server)
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
            forwards_authorization: false,
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
    pub(super) fn proxies(&mut self, servers: &[ServerSettings]) -> Option<ProxySettings> {
        let asks_issuer = matches!(self.draft.http.auth.jwks, Some(JwksPlace::Url(_)));
        if !asks_issuer
            && !self.draft.telemetry.is_on()
            && !servers
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
