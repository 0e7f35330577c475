//! What can go wrong with a request, said so that a person can act and the core can decide.
//! Turns errors of the HTTP and TLS libraries into [`HttpFailure`]; shows origins, never paths,
//! header values or tokens.

use super::connect::ConnectTimeout;
use crate::transport::http_body::innermost;
use bytes::Bytes;
use http::StatusCode;
use std::error::Error as StdError;
use std::time::Duration;

/// Which kind of trouble it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// No connection: refused, unreachable, name unknown, proxy refused.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// A time limit passed.
    Timeout,
    /// An HTTP status that is not a success.
    Status,
    /// Not what the protocol allows: content type, empty body, encoding, not HTTP at all.
    Protocol,
    /// A body or event over its limit.
    TooLarge,
    /// A redirect that must not be followed.
    Redirect,
    /// The connection or stream broke.
    Reset,
    /// The upstream was closed by us.
    Closed,
}

/// What was being done when it went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpOperation {
    /// Sending a message and reading what its response carries.
    Post,
    /// The GET listen stream of streamable HTTP.
    Listen,
    /// The GET stream of the old HTTP+SSE transport; all answers arrive on it.
    LegacyStream,
}

/// Whether the server may have acted on the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It certainly did not: nothing was sent, or the server refused before acting.
    NotSent,
    /// It may have.
    MaybeExecuted,
}

/// A failed request or stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpFailure {
    /// Kind of trouble.
    pub kind: FailureKind,
    /// What was being done.
    pub operation: HttpOperation,
    /// HTTP status, when one arrived.
    pub status: Option<StatusCode>,
    /// For people: what, where, and often a `hint:` line. Holds no secrets.
    pub message: String,
    /// First bytes (at most 200) of an unexpected body, with our own secrets removed.
    pub body_excerpt: Option<String>,
    /// The JSON body of an error response, within `max_error_body_bytes`; usually a JSON-RPC error.
    pub body: Option<Bytes>,
    /// `Retry-After` in seconds; a date is not understood.
    pub retry_after: Option<Duration>,
    /// `WWW-Authenticate` of a 401 or 403.
    pub www_authenticate: Option<String>,
    /// Whether a retry could run it twice.
    pub outcome: Outcome,
}

impl HttpFailure {
    pub(super) fn new(
        kind: FailureKind,
        operation: HttpOperation,
        outcome: Outcome,
        message: impl Into<String>,
    ) -> Box<Self> {
        Box::new(Self {
            kind,
            operation,
            status: None,
            message: message.into(),
            body_excerpt: None,
            body: None,
            retry_after: None,
            www_authenticate: None,
            outcome,
        })
    }
}

impl std::fmt::Display for HttpFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for HttpFailure {}

/// Names of the peer for messages.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) origin: String,
    pub(super) proxy: Option<String>,
}

impl Peer {
    fn place(&self) -> String {
        match &self.proxy {
            Some(proxy) => format!("`{}` (through the proxy `{proxy}`)", self.origin),
            None => format!("`{}`", self.origin),
        }
    }
}

/// The failure behind an error of the pooled client, before any response head arrived.
pub(super) fn of_client_error(
    error: &hyper_util::client::legacy::Error,
    operation: HttpOperation,
    peer: &Peer,
) -> Box<HttpFailure> {
    let place = peer.place();
    if error.is_connect() {
        return of_connect_error(error, operation, peer);
    }
    let hyper_error = find::<hyper::Error>(error);
    if hyper_error.is_some_and(hyper::Error::is_parse) {
        let message = format!(
            "the answer of {place} is not HTTP/1.1\nhint: is the scheme right (http or https), and is it an MCP server?"
        );
        return HttpFailure::new(
            FailureKind::Protocol,
            operation,
            Outcome::MaybeExecuted,
            message,
        );
    }
    // Canceled means the pooled connection closed before the request was taken over by it.
    let outcome = if hyper_error.is_some_and(hyper::Error::is_canceled) {
        Outcome::NotSent
    } else {
        Outcome::MaybeExecuted
    };
    let message = format!(
        "the connection to {place} broke before an answer: {}",
        innermost(error)
    );
    HttpFailure::new(FailureKind::Reset, operation, outcome, message)
}

fn of_connect_error(
    error: &hyper_util::client::legacy::Error,
    operation: HttpOperation,
    peer: &Peer,
) -> Box<HttpFailure> {
    let place = peer.place();
    let (kind, message) = if let Some(ConnectTimeout(limit)) = find(error) {
        let message = format!(
            "no connection to {place} within {limit:?}\nhint: check the address and the network, or raise the connect timeout"
        );
        (FailureKind::Timeout, message)
    } else if let Some(tls) = find::<rustls::Error>(error) {
        let message = format!("TLS with {place} failed: {tls}\nhint: {}", tls_hint(tls));
        (FailureKind::Tls, message)
    } else {
        let hint = if peer.proxy.is_some() {
            "check the proxy settings, or add the host to NO_PROXY"
        } else {
            "is the server running and the URL right?"
        };
        let message = format!(
            "cannot connect to {place}: {}\nhint: {hint}",
            innermost(error)
        );
        (FailureKind::Connect, message)
    };
    HttpFailure::new(kind, operation, Outcome::NotSent, message)
}

fn tls_hint(error: &rustls::Error) -> &'static str {
    use rustls::{CertificateError, Error};
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "if its certificate comes from a CA of your own, name that CA's file"
        }
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "the certificate is for another name; use the name it was made for",
        Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => "check the certificate's dates and this machine's clock",
        Error::InvalidMessage(_) => "is this port speaking plain http?",
        _ => "check the server's certificate and TLS settings",
    }
}

/// Looks for an error of type `T` in the chain, also inside I/O errors that wrap one.
fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut current = Some(error);
    while let Some(error) = current {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        let wrapped = error.downcast_ref::<std::io::Error>();
        let wrapped = wrapped.and_then(|io| io.get_ref());
        if let Some(found) = wrapped.and_then(|inner| find::<T>(inner)) {
            return Some(found);
        }
        current = error.source();
    }
    None
}

/// At most 200 bytes of `body` for a message, control characters replaced and `secrets` removed.
pub(super) fn excerpt(body: &[u8], secrets: &[String]) -> String {
    /// Enough to recognise a login page or a stack trace.
    const LENGTH: usize = 200;
    let mut text = String::from_utf8_lossy(body).into_owned();
    for secret in secrets {
        text = text.replace(secret.as_str(), "[redacted]");
    }
    let mut out = String::with_capacity(LENGTH);
    for c in text.trim().chars() {
        let c = if c.is_control() { ' ' } else { c };
        if out.len() + c.len_utf8() > LENGTH {
            break;
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::excerpt;

    #[test]
    fn an_excerpt_is_short_and_holds_no_secret() {
        let secret = "Bearer abcdefgh".to_owned();
        let body = format!("<p>\n\u{1b}[31m {secret} {}", "é".repeat(300));
        let text = excerpt(body.as_bytes(), &[secret]);
        assert!(text.len() <= 200 && text.len() > 190, "{}", text.len());
        assert!(text.starts_with("<p>  [31m [redacted] é"), "{text}");
    }
}
