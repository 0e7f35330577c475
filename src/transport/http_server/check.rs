//! The checks on a request head, before anything else sees it. Pure.
//!
//! Host and Origin lists stop DNS rebinding and foreign web pages (MCP `basic/transports`,
//! "Security Warning"); doubled headers are refused because two readers may pick different ones.

use super::auth::Verified;
use super::refusal::Refusal;
use super::{HttpServerConfig, RequestHead};
use http::header::{self, HeaderMap, HeaderName};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderValue, Method, StatusCode, Uri};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

const ALLOWED_METHODS: HeaderValue = HeaderValue::from_static("GET, POST, DELETE");
const SESSION_ID: &str = "mcp-session-id";
const PROTOCOL_VERSION: &str = "mcp-protocol-version";

/// The rules made from a configuration once.
#[derive(Debug)]
pub(super) struct Rules {
    path: String,
    hosts: Vec<HostRule>,
    any_host: bool,
    origins: Vec<String>,
    any_origin: bool,
}

#[derive(Debug)]
struct HostRule {
    name: String,
    port: Option<u16>,
}

/// The two ends of a connection.
#[derive(Debug, Clone)]
pub(super) struct Ends {
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
    /// Who the peer's certificate says it is, verified.
    pub(super) certificate: Option<Arc<str>>,
}

impl Rules {
    pub(super) fn new(config: &HttpServerConfig) -> Self {
        let trimmed = |list: &[String]| -> Vec<String> {
            list.iter()
                .map(|entry| entry.trim().trim_end_matches('/').to_ascii_lowercase())
                .collect()
        };
        let hosts = trimmed(&config.allowed_hosts);
        let origins = trimmed(&config.allowed_origins);
        Self {
            path: config.path.clone(),
            any_host: hosts.iter().any(|entry| entry == "*"),
            hosts: hosts
                .iter()
                .filter_map(|entry| HostRule::parse(entry))
                .collect(),
            any_origin: origins.iter().any(|entry| entry == "*"),
            origins,
        }
    }

    /// Checks everything about a request but its body, and takes its head apart.
    pub(super) fn check(&self, parts: &mut Parts, ends: &Ends) -> Result<RequestHead, Refusal> {
        self.check_source(parts, ends)?;
        let below = self.check_path(&parts.uri)?;
        check_method(&parts.method)?;
        check_doubles(&parts.headers)?;
        let accepts = |kind: &str, range: &str| accepts(&parts.headers, kind, range);
        let takes_events = || accepts("text/event-stream", "text/*");
        // Clients have to list both (MCP basic/transports); who lists one of them is taken to read the other too.
        let takes_answers = || takes_events() || accepts("application/json", "application/*");
        let refusal = match parts.method {
            Method::GET if !takes_events() => Some("Accept must list `text/event-stream`"),
            Method::POST if !takes_answers() => Some(
                "Accept lists neither `application/json` nor `text/event-stream`; it must list both",
            ),
            _ => None,
        };
        if let Some(message) = refusal {
            return Err(Refusal::new(StatusCode::NOT_ACCEPTABLE, message));
        }
        if parts.method == Method::POST {
            check_content(&parts.headers)?;
        }
        let session = text(&parts.headers, SESSION_ID)?;
        let protocol_version = text(&parts.headers, PROTOCOL_VERSION)?;
        let authorization = text(&parts.headers, header::AUTHORIZATION.as_str())?;
        let mut headers = std::mem::take(&mut parts.headers);
        headers.remove(header::AUTHORIZATION);
        for name in [
            header::COOKIE.as_str(),
            header::PROXY_AUTHORIZATION.as_str(),
            SESSION_ID,
        ] {
            if let Some(value) = headers.get_mut(name) {
                value.set_sensitive(true);
            }
        }
        Ok(RequestHead {
            session,
            protocol_version,
            headers,
            authorization: authorization.map(Into::into),
            verified: ends
                .certificate
                .as_ref()
                .map(|name| Verified::by_certificate(name)),
            peer: ends.peer,
            below,
        })
    }

    /// Checks Host and Origin, which say whether a foreign web page is behind the request.
    pub(super) fn check_source(&self, parts: &Parts, ends: &Ends) -> Result<(), Refusal> {
        let host = self.check_host(parts, ends)?;
        self.check_origin(&parts.headers, &host)
    }

    fn check_host(&self, parts: &Parts, ends: &Ends) -> Result<Authority, Refusal> {
        let mut values = parts.headers.get_all(header::HOST).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(Refusal::bad_request(
                "the request needs exactly one Host header",
            ));
        };
        let host = authority(value.as_bytes())
            .ok_or_else(|| Refusal::bad_request("the Host header is not valid"))?;
        // An absolute request target overrides Host (RFC 9112 §3.2.2), so both must pass.
        let target = parts.uri.authority();
        for authority in [Some(&host), target].into_iter().flatten() {
            if !self.allows_host(authority, ends.local.ip()) {
                let message = format!(
                    "Host `{}` is not allowed; the server's operator can allow it",
                    authority.as_str()
                );
                return Err(Refusal::new(StatusCode::FORBIDDEN, message));
            }
        }
        Ok(host)
    }

    fn allows_host(&self, authority: &Authority, local: IpAddr) -> bool {
        let name = bare_host(authority);
        self.any_host
            || is_loopback(&name)
            || name
                .parse::<IpAddr>()
                .is_ok_and(|address| address.to_canonical() == local.to_canonical())
            || self.hosts.iter().any(|rule| {
                rule.name == name
                    && rule
                        .port
                        .is_none_or(|port| authority.port_u16() == Some(port))
            })
    }

    fn check_origin(&self, headers: &HeaderMap, host: &Authority) -> Result<(), Refusal> {
        let mut values = headers.get_all(header::ORIGIN).iter();
        let Some(value) = values.next() else {
            return Ok(());
        };
        let forbidden = |message: &str| Err(Refusal::new(StatusCode::FORBIDDEN, message));
        if values.next().is_some() {
            return forbidden("the request has more than one Origin");
        }
        let Ok(origin) = value.to_str() else {
            return forbidden("Origin is not valid");
        };
        let origin = origin.trim().to_ascii_lowercase();
        if origin == "null" {
            return forbidden("Origin `null` is never allowed");
        }
        let from_same_machine = || {
            let uri: Option<Uri> = origin.parse().ok();
            let authority = uri.as_ref().and_then(Uri::authority);
            let is_web = matches!(
                uri.as_ref().and_then(Uri::scheme_str),
                Some("http" | "https")
            );
            is_web
                && is_loopback(&bare_host(host))
                && authority.is_some_and(|authority| {
                    !authority.as_str().contains('@') && is_loopback(&bare_host(authority))
                })
        };
        if self.any_origin || self.origins.contains(&origin) || from_same_machine() {
            return Ok(());
        }
        forbidden("this Origin is not allowed; the server's operator can allow it")
    }

    /// Returns the segment below the endpoint, if there is one.
    fn check_path(&self, uri: &Uri) -> Result<Option<String>, Refusal> {
        let path = uri.path();
        if path == "/" || path == self.path {
            return Ok(None);
        }
        let base = self.path.trim_end_matches('/');
        if let Some(below) = path
            .strip_prefix(base)
            .and_then(|rest| rest.strip_prefix('/'))
        {
            if below.is_empty() {
                return Ok(None);
            }
            let below = below.strip_suffix('/').unwrap_or(below);
            if !below.is_empty() && !below.contains('/') {
                return Ok(Some(below.to_owned()));
            }
        }
        let message = format!(
            "nothing is served at this path; the MCP endpoint is `{}`",
            self.path
        );
        Err(Refusal::new(StatusCode::NOT_FOUND, message))
    }
}

impl HostRule {
    fn parse(entry: &str) -> Option<Self> {
        let authority = authority(entry.as_bytes())?;
        Some(Self {
            name: bare_host(&authority),
            port: authority.port_u16(),
        })
    }
}

fn authority(bytes: &[u8]) -> Option<Authority> {
    let authority = Authority::try_from(bytes.trim_ascii()).ok()?;
    let is_plain = !authority.as_str().contains('@') && !authority.host().is_empty();
    is_plain.then_some(authority)
}

/// The host in lower case, without the brackets of an IPv6 address or a final dot.
fn bare_host(authority: &Authority) -> String {
    let host = authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']');
    host.trim_end_matches('.').to_ascii_lowercase()
}

fn is_loopback(name: &str) -> bool {
    name == "localhost"
        || name
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

fn check_method(method: &Method) -> Result<(), Refusal> {
    if [Method::GET, Method::POST, Method::DELETE].contains(method) {
        return Ok(());
    }
    let message = "only POST, GET and DELETE are served here";
    let mut refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, message);
    refusal.header = Some((header::ALLOW, ALLOWED_METHODS));
    Err(refusal)
}

/// Headers of which two could be read differently by two readers.
fn check_doubles(headers: &HeaderMap) -> Result<(), Refusal> {
    let single = [
        header::AUTHORIZATION,
        header::CONTENT_TYPE,
        header::CONTENT_ENCODING,
        HeaderName::from_static("last-event-id"),
    ];
    for name in headers.keys() {
        let is_mcp = name.as_str().starts_with("mcp-");
        if (is_mcp || single.contains(name)) && headers.get_all(name).iter().nth(1).is_some() {
            let message = format!("header `{name}` stands more than once");
            return Err(if is_mcp {
                Refusal::header_mismatch(message)
            } else {
                Refusal::bad_request(message)
            });
        }
    }
    Ok(())
}

fn check_content(headers: &HeaderMap) -> Result<(), Refusal> {
    let unsupported =
        |message: &str| Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let essence = kind.and_then(|kind| kind.split(|byte| *byte == b';').next());
    if !essence.is_some_and(|kind| kind.trim_ascii().eq_ignore_ascii_case(b"application/json")) {
        return unsupported("Content-Type must be `application/json`");
    }
    let encoding = headers
        .get(header::CONTENT_ENCODING)
        .map(HeaderValue::as_bytes);
    if encoding.is_some_and(|encoding| !encoding.trim_ascii().eq_ignore_ascii_case(b"identity")) {
        return unsupported("compressed requests are not taken; send the JSON as it is");
    }
    Ok(())
}

/// Whether `Accept` allows `kind`; a missing header allows everything.
fn accepts(headers: &HeaderMap, kind: &str, range: &str) -> bool {
    let mut values = headers.get_all(header::ACCEPT).iter().peekable();
    if values.peek().is_none() {
        return true;
    }
    // The most specific entry decides (RFC 9110 §12.5.1).
    let mut best: Option<(u8, bool)> = None;
    for value in values {
        for entry in String::from_utf8_lossy(value.as_bytes()).split(',') {
            let mut parts = entry.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            let precision = match name.as_str() {
                name if name == kind => 3,
                name if name == range => 2,
                "*/*" => 1,
                _ => continue,
            };
            let is_wanted = !parts.any(|parameter| {
                parameter
                    .to_ascii_lowercase()
                    .strip_prefix("q=")
                    .is_some_and(|weight| weight.trim().parse() == Ok(0.0_f32))
            });
            if best.is_none_or(|(so_far, _)| precision > so_far) {
                best = Some((precision, is_wanted));
            }
        }
    }
    best.is_some_and(|(_, is_wanted)| is_wanted)
}

fn text(headers: &HeaderMap, name: &str) -> Result<Option<String>, Refusal> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(text) => Ok(Some(text.to_owned())),
        Err(_) => Err(Refusal::bad_request(format!(
            "header `{name}` is not visible ASCII"
        ))),
    }
}
