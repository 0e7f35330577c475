//! Who may speak to the listener: tokens, signed tokens, and whose credentials go on to a server.
//! Plain values and how they are read; files are read where they are used.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use http::Uri;

use super::finding::Fault;
use super::input::Input;

/// What signs tokens where nothing is said: what providers use, and all with public keys.
const DEFAULT_ALGORITHMS: [&str; 3] = ["RS256", "ES256", "EdDSA"];

/// Which bearer tokens get in. Where both kinds are empty, no token is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthSettings {
    /// A file of tokens, one `NAME: TOKEN` a line.
    pub tokens: Option<PathBuf>,
    /// Who signs tokens: an URL without query and fragment.
    pub issuer: Option<String>,
    /// For whom tokens are made; empty means [`Self::resource`].
    pub audience: Vec<String>,
    /// Where the issuer's keys are.
    pub jwks: Option<JwksPlace>,
    /// Which algorithms may sign, all of them with public keys.
    pub algorithms: Vec<String>,
    /// How far clocks may differ.
    pub leeway: Duration,
    /// Scopes that a signed token needs.
    pub scopes: Vec<String>,
    /// Our public URL.
    pub resource: Option<String>,
}

impl Default for AuthSettings {
    fn default() -> Self {
        Self {
            tokens: None,
            issuer: None,
            audience: Vec::new(),
            jwks: None,
            algorithms: DEFAULT_ALGORITHMS.map(str::to_owned).to_vec(),
            leeway: Duration::from_secs(30),
            scopes: Vec::new(),
            resource: None,
        }
    }
}

impl AuthSettings {
    /// Whether a token is asked for.
    pub fn is_on(&self) -> bool {
        self.tokens.is_some() || self.issuer.is_some()
    }

    /// For whom signed tokens are made.
    pub fn audiences(&self) -> Vec<String> {
        if self.audience.is_empty() {
            return self.resource.iter().cloned().collect();
        }
        self.audience.clone()
    }

    /// What the parts of it leave open, as key, fault: what no single key can see.
    pub(super) fn faults(&self) -> Vec<(&'static str, Fault)> {
        let mut faults = Vec::new();
        let mut wrong = |key, problem: &str, hint: &str| {
            faults.push((key, Fault::new(problem).hint(hint)));
        };
        match (&self.issuer, &self.jwks) {
            (Some(_), None) => wrong(
                "auth.issuer",
                "the issuer's keys are not named",
                "set `auth.jwks` to a file or an https URL; providers name it as `jwks_uri`",
            ),
            (None, Some(_)) => wrong(
                "auth.jwks",
                "keys without an issuer check nothing",
                "set `auth.issuer` to the `iss` of the tokens",
            ),
            _ => {}
        }
        if self.issuer.is_some() && self.audiences().is_empty() {
            wrong(
                "auth.issuer",
                "it is not said for whom tokens are made, so those for others would get in",
                "set `auth.audience`, or `auth.resource` to our public URL",
            );
        }
        if self.issuer.is_none() && !(self.audience.is_empty() && self.scopes.is_empty()) {
            wrong(
                if self.audience.is_empty() {
                    "auth.scopes"
                } else {
                    "auth.audience"
                },
                "only signed tokens have audience and scopes, and none are asked for",
                "set `auth.issuer` and `auth.jwks`, or leave this out",
            );
        }
        faults
    }
}

/// Where a key set is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JwksPlace {
    /// A file.
    File(PathBuf),
    /// An https URL, or an http URL of this machine.
    Url(String),
}

impl std::fmt::Display for JwksPlace {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(formatter, "{}", path.display()),
            Self::Url(url) => formatter.write_str(&super::redact::url(url)),
        }
    }
}

/// Whether a client's `Authorization` goes on to the server of `--upstream`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ForwardAuthorization {
    /// Where we check no tokens ourselves and send no `Authorization` of our own.
    #[default]
    Auto,
    /// Always, also tokens that we checked.
    Always,
    /// Never.
    Never,
}

/// Reads where keys are.
pub(super) fn jwks(input: &Input<'_>) -> Result<JwksPlace, Fault> {
    let text = input.text()?;
    if !text.contains("://") {
        if text.is_empty() {
            return Err(Fault::new("the path is empty"));
        }
        return Ok(JwksPlace::File(input.path(&text)));
    }
    let uri = url(&text)?;
    let host = uri.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_here = host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    if uri.scheme_str() != Some("https") && !is_here {
        return Err(Fault::new("keys are fetched over https only")
            .hint("whoever can change them on the way can make tokens; use https, or a file"));
    }
    Ok(JwksPlace::Url(text))
}

/// Reads an issuer (RFC 8414 §2: no query, no fragment).
pub(super) fn issuer(input: &Input<'_>) -> Result<String, Fault> {
    let text = input.text()?;
    // Some issuers are plain words; what counts is that it is the tokens' `iss`, byte for byte.
    let is_usable = !text.is_empty()
        && text.len() <= 512
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'#' | b'?' | b'"' | b'\\'));
    if !is_usable {
        return Err(Fault::new(format!("`{text}` cannot be an issuer"))
            .hint("write it as the tokens' `iss` has it, such as `https://id.example.com`"));
    }
    Ok(text)
}

/// Reads our public URL.
pub(super) fn resource(input: &Input<'_>) -> Result<String, Fault> {
    let text = input.text()?;
    let uri = url(&text)?;
    if uri.query().is_some() || text.contains('#') || text.contains('"') {
        return Err(
            Fault::new("the URL has a query, a fragment or a quote").hint(
                "name the endpoint as clients reach it, such as `https://tools.example.com/mcp`",
            ),
        );
    }
    Ok(text)
}

fn url(text: &str) -> Result<Uri, Fault> {
    let uri: Option<Uri> = text.parse().ok();
    uri.filter(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri
                .authority()
                .is_some_and(|authority| !authority.as_str().contains('@'))
    })
    .ok_or_else(|| {
        Fault::new("not an http or https URL").hint("write it like `https://id.example.com/keys`")
    })
}

/// Reads names of algorithms.
pub(super) fn algorithms(input: &Input<'_>) -> Result<Vec<String>, Fault> {
    let known = crate::transport::http_server::auth::ALGORITHMS;
    let names = input.list()?;
    if let Some(name) = names.iter().find(|name| !known.contains(&name.as_str())) {
        let fault = Fault::new(format!("`{name}` is not one of {}", known.join(", ")));
        let hint = if name.starts_with("HS") {
            "whoever can check a token signed with a shared secret can make one; let the issuer sign with a key pair"
        } else {
            "name what the issuer signs with, such as `RS256`"
        };
        return Err(fault.hint(hint));
    }
    if names.is_empty() {
        return Err(Fault::new("the list is empty").hint("leave it out for the usual ones"));
    }
    Ok(names)
}

/// Reads scopes (RFC 6749 §3.3).
pub(super) fn scopes(input: &Input<'_>) -> Result<Vec<String>, Fault> {
    let scopes = input.list()?;
    let is_scope = |scope: &String| {
        scope
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
    };
    match scopes.iter().find(|scope| !is_scope(scope)) {
        Some(scope) => Err(Fault::new(format!("`{scope}` cannot be a scope"))
            .hint("write each scope as a text of its own, without spaces")),
        None => Ok(scopes),
    }
}
