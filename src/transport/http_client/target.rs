//! Where requests go: the server's URL, its origin, and references resolved against it.
//! Pure. Every URL that leaves this file is of the server's own origin.

use super::config::HttpConfigError;
use base64::Engine as _;
use http::{HeaderValue, Uri, uri::Scheme};
use percent_encoding::percent_decode_str;
use std::net::IpAddr;

/// The endpoint of a server.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// Absolute, without user information and fragment.
    pub(super) uri: Uri,
    /// Basic credentials that stood in the URL.
    pub(super) credentials: Option<HeaderValue>,
}

/// A reference that leads away from the server's origin, or nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ReferenceError {
    #[error("leads to another origin, `{0}`")]
    OtherOrigin(String),
    #[error("is not a valid URL")]
    Invalid,
}

impl Target {
    pub(super) fn parse(url: &str) -> Result<Self, HttpConfigError> {
        let invalid = |reason: &str| HttpConfigError::Url {
            reason: reason.to_owned(),
        };
        let uri: Uri = url
            .trim()
            .parse()
            .map_err(|error: http::uri::InvalidUri| invalid(&error.to_string()))?;
        match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS => {}
            Some(scheme) => {
                return Err(invalid(&format!("scheme `{scheme}` is not http or https")));
            }
            None => return Err(invalid("it does not start with http:// or https://")),
        }
        let authority = uri.authority().ok_or_else(|| invalid("it has no host"))?;
        if authority.host().is_empty() {
            return Err(invalid("it has no host"));
        }
        let (user_information, host) = match authority.as_str().rsplit_once('@') {
            Some((user_information, host)) => (Some(user_information), host),
            None => (None, authority.as_str()),
        };
        let credentials = match user_information {
            Some(text) => Some(basic_credentials(text).ok_or_else(|| {
                invalid("its user name or password holds bytes a header cannot carry")
            })?),
            None => None,
        };
        let mut parts = uri.clone().into_parts();
        parts.authority = Some(host.parse().map_err(|_| invalid("its host is not valid"))?);
        if parts.path_and_query.is_none() {
            parts.path_and_query = Some(http::uri::PathAndQuery::from_static("/"));
        }
        let uri = Uri::from_parts(parts).map_err(|error| invalid(&error.to_string()))?;
        Ok(Self { uri, credentials })
    }

    pub(super) fn is_https(&self) -> bool {
        self.uri.scheme() == Some(&Scheme::HTTPS)
    }

    /// Whether the server is on this machine, by its literal name.
    pub(super) fn is_loopback(&self) -> bool {
        let host = self.uri.host().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost")
            || address
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }

    /// `scheme://host[:port]`: what messages may show. Paths and queries can hold secrets.
    pub(super) fn origin(&self) -> String {
        origin(&self.uri)
    }

    /// Resolves `reference` against `base` (RFC 3986 §5) within the server's origin.
    pub(super) fn resolve(&self, base: &Uri, reference: &str) -> Result<Uri, ReferenceError> {
        let reference = reference.trim();
        let reference = reference.split('#').next().unwrap_or_default();
        let root = origin(base);
        let absolute = if has_scheme(reference) {
            reference.to_owned()
        } else if reference.starts_with("//") {
            format!("{}:{reference}", base.scheme_str().unwrap_or("http"))
        } else if reference.starts_with('/') {
            format!("{root}{reference}")
        } else if reference.is_empty() {
            format!(
                "{root}{}",
                base.path_and_query().map_or("/", |path| path.as_str())
            )
        } else if reference.starts_with('?') {
            format!("{root}{}{reference}", base.path())
        } else {
            let folder = base
                .path()
                .rsplit_once('/')
                .map_or("", |(folder, _)| folder);
            format!("{root}{folder}/{reference}")
        };
        let uri: Uri = absolute.parse().map_err(|_| ReferenceError::Invalid)?;
        if uri.scheme().is_none() || uri.host().is_none_or(str::is_empty) {
            return Err(ReferenceError::Invalid);
        }
        if !same_origin(&uri, &self.uri) {
            return Err(ReferenceError::OtherOrigin(origin(&uri)));
        }
        without_dot_segments(&uri).ok_or(ReferenceError::Invalid)
    }
}

fn origin(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or("http");
    let host = uri.host().unwrap_or_default();
    match uri.port_u16() {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    }
}

fn has_scheme(reference: &str) -> bool {
    reference.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    })
}

fn port_or_default(uri: &Uri) -> Option<u16> {
    uri.port_u16().or_else(|| match uri.scheme_str() {
        Some("http") => Some(80),
        Some("https") => Some(443),
        _ => None,
    })
}

fn same_origin(one: &Uri, other: &Uri) -> bool {
    let host = |uri: &Uri| uri.host().map(str::to_ascii_lowercase);
    // User information would change who the request is made for.
    let plain = |uri: &Uri| {
        !uri.authority()
            .is_some_and(|part| part.as_str().contains('@'))
    };
    one.scheme_str() == other.scheme_str()
        && host(one) == host(other)
        && port_or_default(one) == port_or_default(other)
        && plain(one)
        && plain(other)
}

fn without_dot_segments(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    if !path
        .split('/')
        .any(|segment| segment == "." || segment == "..")
    {
        return Some(uri.clone());
    }
    let mut kept: Vec<&str> = Vec::new();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    for (index, segment) in segments.iter().enumerate() {
        let is_last = index + 1 == segments.len();
        match *segment {
            "." | ".." => {
                if *segment == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            other => kept.push(other),
        }
    }
    let mut rebuilt = format!("{}/{}", origin(uri), kept.join("/"));
    if let Some(query) = uri.query() {
        rebuilt.push('?');
        rebuilt.push_str(query);
    }
    rebuilt.parse().ok()
}

fn basic_credentials(user_information: &str) -> Option<HeaderValue> {
    let (user, password) = user_information
        .split_once(':')
        .unwrap_or((user_information, ""));
    // A sign without two digits behind it stays as it was written.
    let mut plain: Vec<u8> = percent_decode_str(user).collect();
    plain.push(b':');
    plain.extend(percent_decode_str(password));
    let encoded = base64::engine::general_purpose::STANDARD.encode(plain);
    let mut value = HeaderValue::from_str(&format!("Basic {encoded}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(base: &str, reference: &str) -> Result<String, ReferenceError> {
        let target = Target::parse(base).expect("valid");
        target
            .resolve(&target.uri, reference)
            .map(|uri| uri.to_string())
    }

    #[test]
    fn references_resolve_within_the_origin() {
        let base = "http://host:1/a/sse?x=1";
        for (reference, expected) in [
            (
                "/messages?sessionId=1",
                "http://host:1/messages?sessionId=1",
            ),
            ("messages/?s=1", "http://host:1/a/messages/?s=1"),
            ("?s=1", "http://host:1/a/sse?s=1"),
            ("", "http://host:1/a/sse?x=1"),
            ("../b/./c", "http://host:1/b/c"),
            ("http://HOST:1/m#part", "http://HOST:1/m"),
            ("//host:1/m", "http://host:1/m"),
        ] {
            assert_eq!(
                resolve(base, reference).as_deref(),
                Ok(expected),
                "{reference}"
            );
        }
        assert_eq!(
            resolve("https://h/sse", "https://h:443/m"),
            Ok("https://h:443/m".into())
        );
    }

    #[test]
    fn references_to_other_origins_are_refused() {
        for reference in [
            "http://evil/",
            "//evil/",
            "https://host:1/",
            "http://host:2/",
            "http://host:1@evil/",
            "http://user@host:1/",
            "javascript:alert(1)",
            "file:///etc/passwd",
        ] {
            assert!(
                resolve("http://host:1/mcp", reference).is_err(),
                "{reference}"
            );
        }
    }

    #[test]
    fn user_and_password_become_a_header_and_leave_the_url() {
        let target = Target::parse("https://us%65r:p%40ss@host/mcp?key=1#part").expect("valid");
        assert_eq!(target.uri.to_string(), "https://host/mcp?key=1");
        let credentials = target.credentials.clone().expect("present");
        assert!(credentials.is_sensitive());
        assert_eq!(credentials, "Basic dXNlcjpwQHNz");
        assert_eq!(target.origin(), "https://host");
    }

    #[test]
    fn bad_urls_are_refused_with_a_reason() {
        for url in [
            "",
            "host/mcp",
            "ftp://host/",
            "http://",
            "http://h ost/",
            "/mcp",
        ] {
            assert!(Target::parse(url).is_err(), "{url}");
        }
        assert!(
            Target::parse("http://[::1]:8080")
                .expect("valid")
                .is_loopback()
        );
        assert!(
            Target::parse("http://LOCALHOST/")
                .expect("valid")
                .is_loopback()
        );
        assert!(
            !Target::parse("http://localhost.evil/")
                .expect("valid")
                .is_loopback()
        );
    }
}
