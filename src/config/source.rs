//! Which servers: a command, a URL, or the entries of a file; and the pieces they share (URLs,
//! headers, files).

use std::io;
use std::path::{Path, PathBuf};

use http::Uri;
use secrecy::{ExposeSecret, SecretString};

use super::environment::{self, EnvSource};
use super::finding::{Fault, Findings, Origin};
use super::header::{self, Header};

/// Reads a whole file. An argument, so that loading can be tested without files.
pub type FileReader<'a> = &'a dyn Fn(&Path) -> io::Result<Vec<u8>>;

/// Reads a file as text, or says why not.
pub(super) fn read_text(path: &Path, read_file: FileReader<'_>) -> Result<String, Fault> {
    let bytes = read_file(path).map_err(|error| {
        let fault = Fault::new(format!(
            "cannot read the file: {}",
            lower_first(&error.to_string())
        ));
        match error.kind() {
            io::ErrorKind::NotFound => {
                fault.hint("check the path; a relative one starts at the current folder")
            }
            io::ErrorKind::PermissionDenied => fault.hint("check the file's permissions"),
            _ => fault,
        }
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = memchr::memchr_iter(b'\n', valid).count() + 1;
        Fault::new("the file is not valid UTF-8")
            .at(u32::try_from(line).unwrap_or(u32::MAX))
            .hint("save it as UTF-8")
    })
}

fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    characters
        .next()
        .map(|first| first.to_ascii_lowercase())
        .into_iter()
        .chain(characters)
        .collect()
}

/// Returns the folder of a file; the current one for a bare name.
pub(super) fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

/// Checks the URL of a server. The message shows no credentials.
pub(super) fn check_url(url: &str) -> Result<(), Fault> {
    let shown = super::redact::url(url);
    if url.contains('#') {
        return Err(Fault::new(format!("the URL `{shown}` has a fragment"))
            .hint("take out `#` and what follows"));
    }
    let uri: Uri = url.parse().map_err(|_| {
        Fault::new(format!("`{shown}` is not a URL")).hint("write it as `https://host/path`")
    })?;
    match uri.scheme_str() {
        Some("http" | "https") => {}
        Some(scheme) => {
            return Err(
                Fault::new(format!("the URL `{shown}` has the scheme `{scheme}`"))
                    .hint("use `http` or `https`"),
            );
        }
        None => {
            return Err(Fault::new(format!("`{shown}` is not a URL"))
                .hint("write it as `https://host/path`"));
        }
    }
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    if authority.contains('@') {
        return Err(
            Fault::new(format!("the URL `{shown}` has a user name or password"))
                .hint("send an `Authorization` header instead"),
        );
    }
    let has_wrong_port = authority.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty()
            && !port.ends_with(']')
            && port.parse::<u16>().map_or(true, |port| port == 0)
    });
    if uri.host().is_none_or(str::is_empty) || has_wrong_port {
        return Err(
            Fault::new(format!("the URL `{shown}` has no usable host and port"))
                .hint("write it as `https://host/path` or `https://host:port/path`"),
        );
    }
    Ok(())
}

/// Whether headers leave the machine unencrypted.
pub(super) fn sends_secrets_unencrypted(url: &str, headers: &[(String, SecretString)]) -> bool {
    let Ok(uri) = url.parse::<Uri>() else {
        return false;
    };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_loopback = host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    !headers.is_empty() && uri.scheme_str() == Some("http") && !is_loopback
}

/// Tells whether credentials are among the headers.
pub(super) fn has_authorization(headers: &[(String, SecretString)]) -> bool {
    headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("authorization"))
}

/// Adds a header, unless it is ours (a warning) or there already (a fault).
pub(super) fn add_header(
    header: Header,
    headers: &mut Vec<(String, SecretString)>,
    origin: &Origin,
    findings: &mut Findings,
) -> Result<(), Fault> {
    match header {
        Header::OurOwn(name) => {
            let fault = Fault::new(format!(
                "the header `{name}` is set by the transport itself; this one is ignored"
            ));
            findings.warning(Some(origin.clone()), None, fault);
            Ok(())
        }
        Header::Sent(name, _)
            if headers
                .iter()
                .any(|(known, _)| known.eq_ignore_ascii_case(&name)) =>
        {
            Err(Fault::new(format!("the header `{name}` is given twice"))
                .hint("keep one of the two"))
        }
        Header::Sent(name, value) => {
            headers.push((name, value));
            Ok(())
        }
    }
}

/// Reads a file of headers: `Name: value` lines, empty lines and `#` comments. Returns the good
/// ones with their lines; the others are findings.
pub(super) fn read_header_file(
    path: &Path,
    read_file: FileReader<'_>,
    findings: &mut Findings,
) -> Vec<(u32, Header)> {
    let origin = |line| Origin::File {
        path: path.to_owned(),
        line,
    };
    let text = match read_text(path, read_file) {
        Ok(text) => text,
        Err(fault) => {
            findings.error(Some(origin(None)), None, fault);
            return Vec::new();
        }
    };
    let mut headers = Vec::new();
    for (line, text) in (1_u32..).zip(text.trim_start_matches('\u{feff}').lines()) {
        if text.trim().is_empty() || text.starts_with('#') {
            continue;
        }
        match header::parse_line(text) {
            Ok(header) => headers.push((line, header)),
            Err(fault) => findings.error(Some(origin(Some(line))), None, fault),
        }
    }
    headers
}

/// Reads the variable that holds the value of a header.
pub(super) fn secret_variable(name: &str, environment: &impl EnvSource) -> Result<String, Fault> {
    match environment::text(environment, name) {
        Ok(Some(value)) => Ok(value),
        Ok(None) => Err(
            Fault::new(format!("the environment variable `{name}` is not set"))
                .hint("set it to the header's value"),
        ),
        Err(_) => Err(Fault::new(format!(
            "the environment variable `{name}` is not valid UTF-8"
        ))),
    }
}

/// Headers of `--upstream`, from options and variables, each with where it came from.
pub(super) struct HeaderTexts {
    pub(super) lines: Vec<(Origin, String)>,
    pub(super) variables: Vec<(Origin, String)>,
    pub(super) file: Option<(Origin, PathBuf)>,
}

impl HeaderTexts {
    /// Returns the origin of the first, if there is any.
    pub(super) fn first_origin(&self) -> Option<&Origin> {
        self.lines
            .first()
            .map(|(origin, _)| origin)
            .or_else(|| self.variables.first().map(|(origin, _)| origin))
            .or_else(|| self.file.as_ref().map(|(origin, _)| origin))
    }

    /// Reads them all; what is wrong becomes findings.
    pub(super) fn read(
        &self,
        environment: &impl EnvSource,
        read_file: FileReader<'_>,
        findings: &mut Findings,
    ) -> Vec<(String, SecretString)> {
        let mut read: Vec<(Origin, Result<Header, Fault>)> = Vec::new();
        for (origin, line) in &self.lines {
            read.push((origin.clone(), header::parse_line(line)));
        }
        for (origin, pair) in &self.variables {
            let header = match pair.split_once('=') {
                Some((name, variable)) => secret_variable(variable.trim(), environment)
                    .and_then(|value| header::parse(name.trim(), &value)),
                None => Err(Fault::new("expected `NAME=VARIABLE`")
                    .hint("write the header's name, `=`, and the variable that holds its value")),
            };
            read.push((origin.clone(), header));
        }
        if let Some((_, path)) = &self.file {
            for (line, header) in read_header_file(path, read_file, findings) {
                read.push((
                    Origin::File {
                        path: path.clone(),
                        line: Some(line),
                    },
                    Ok(header),
                ));
            }
        }
        let mut headers = Vec::new();
        for (origin, header) in read {
            let added =
                header.and_then(|header| add_header(header, &mut headers, &origin, findings));
            if let Err(fault) = added {
                findings.error(Some(origin), None, fault);
            }
        }
        headers
    }
}

/// Shows headers without their values.
pub(super) fn show_headers(headers: &[(String, SecretString)]) -> String {
    let shown: Vec<String> = headers
        .iter()
        .map(|(name, value)| {
            debug_assert!(
                !value.expose_secret().contains('\n'),
                "checked when it was read"
            );
            format!("{name}={}", super::redact::MASK)
        })
        .collect();
    shown.join(" ")
}

/// Names the server that a command line starts: after the package that a runner runs, else after
/// the program.
pub(super) fn name_of_command(command: &[String]) -> String {
    const RUNNERS: [&str; 14] = [
        "npx", "uvx", "bunx", "pnpx", "node", "deno", "bun", "python", "python3", "uv", "pipx",
        "docker", "podman", "pnpm",
    ];
    const SUBCOMMANDS: [&str; 6] = ["run", "dlx", "exec", "x", "tool", "-m"];
    let file_name = |text: &str| {
        let last = text
            .trim_end_matches('/')
            .rsplit(['/', '\\'])
            .next()
            .unwrap_or(text)
            .to_owned();
        // `server@1.2.3` and `server:latest` name a version.
        let end = last
            .find(['@', ':'])
            .filter(|&end| end > 0)
            .unwrap_or(last.len());
        last[..end].to_owned()
    };
    let program = command
        .first()
        .map(|program| file_name(program))
        .unwrap_or_default();
    if !RUNNERS.contains(&program.as_str()) {
        return super::server::usable_name(&program);
    }
    let package = command[1..]
        .iter()
        .find(|text| !text.starts_with('-') && !SUBCOMMANDS.contains(&text.as_str()));
    super::server::usable_name(&package.map_or(program, |package| file_name(package)))
}

/// Names the server behind a URL after its host.
pub(super) fn name_of_url(url: &str) -> String {
    let uri: Option<Uri> = url.parse().ok();
    super::server::usable_name(uri.as_ref().and_then(Uri::host).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for good in [
            "http://127.0.0.1:3000/mcp",
            "https://example.com",
            "https://[::1]/mcp",
            "https://[::1]:80/",
            "HTTPS://x/y?a=b",
        ] {
            assert!(check_url(good).is_ok(), "{good}");
        }
        for wrong in [
            "",
            "example.com/mcp",
            "/mcp",
            "ftp://example.com",
            "http://",
            "http://a b/",
            "https://u:canary@example.com",
            "https://example.com/#x",
            "http://a:0/",
            "http://a:99999/",
            "ws://a/",
        ] {
            match check_url(wrong) {
                Ok(()) => panic!("`{wrong}` was taken"),
                Err(fault) => assert!(!fault.problem.contains("canary"), "{fault:?}"),
            }
        }
    }

    #[test]
    fn commands_are_named_after_what_they_run() {
        for (command, expected) in [
            (
                &["npx", "-y", "@modelcontextprotocol/server-filesystem", "."][..],
                "server-filesystem",
            ),
            (&["uvx", "mcp-server-git@1.0"], "mcp-server-git"),
            (&["python3", "-m", "my_server"], "my_server"),
            (&["node", "dist/index.js"], "index.js"),
            (
                &["docker", "run", "-i", "--rm", "mcp/fetch:latest"],
                "fetch",
            ),
            (&["/usr/bin/my server"], "my-server"),
            (&["npx"], "npx"),
            (&["ü"], "server"),
        ] {
            let command: Vec<String> = command.iter().map(|&text| text.to_owned()).collect();
            assert_eq!(name_of_command(&command), expected);
        }
        assert_eq!(
            name_of_url("https://api.example.com:8080/mcp"),
            "api.example.com"
        );
    }

    #[test]
    fn unencrypted_secrets_are_noticed() {
        let headers = vec![("X".to_owned(), SecretString::from("y"))];
        assert!(sends_secrets_unencrypted("http://example.com/", &headers));
        assert!(!sends_secrets_unencrypted("http://example.com/", &[]));
        for safe in [
            "https://example.com/",
            "http://localhost/",
            "http://127.0.0.1:1/",
            "http://[::1]:1/",
        ] {
            assert!(!sends_secrets_unencrypted(safe, &headers), "{safe}");
        }
    }
}
