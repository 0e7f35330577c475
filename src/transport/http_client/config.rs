//! What a connection to one streamable-HTTP server is told: URL, headers, TLS, proxy, limits.
//! Plain values; reading files happens in `connect`.

use http::{HeaderName, HeaderValue};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Everything needed to talk to one server URL.
#[derive(Clone)]
pub struct HttpUpstreamConfig {
    /// `http://` or `https://` URL of the MCP endpoint. User and password in it become a basic
    /// `authorization` header.
    pub url: String,
    /// Sent with every request to the server's origin, nowhere else, and never logged.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Which certificates are trusted.
    pub tls: TlsSettings,
    /// What was made of `tls` for an earlier connection with the same, or will be: certificates are read and
    /// held once for all that share it.
    pub shared_tls: SharedTls,
    /// The proxy between us and the server, if any.
    pub proxy: ProxySettings,
    /// Bounds on sizes, times and repetitions.
    pub limits: HttpClientLimits,
}

impl HttpUpstreamConfig {
    /// A configuration with default trust, no proxy, no headers and default limits.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            headers: Vec::new(),
            tls: TlsSettings::default(),
            shared_tls: SharedTls::default(),
            proxy: ProxySettings::default(),
            limits: HttpClientLimits::default(),
        }
    }
}

impl std::fmt::Debug for HttpUpstreamConfig {
    /// URLs and header values may be secret, so only names are shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&HeaderName> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("HttpUpstreamConfig")
            .field("headers", &names)
            .field("tls", &self.tls)
            .field("proxy", &self.proxy)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// A place for what is made of [`TlsSettings`]; empty until a connection needs it.
#[derive(Clone, Default)]
pub struct SharedTls(pub(super) Arc<OnceLock<rustls::ClientConfig>>);

/// Roots that may vouch for an `https` server. All chosen sources count together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// The operating system's roots.
    pub system: bool,
    /// Mozilla's roots, compiled in.
    pub bundled: bool,
    /// PEM files with further roots.
    pub extra_ca_files: Vec<PathBuf>,
}

impl Default for TlsSettings {
    /// The system's roots and the compiled-in ones, for machines that have none.
    fn default() -> Self {
        Self {
            system: true,
            bundled: true,
            extra_ca_files: Vec::new(),
        }
    }
}

/// Values of the usual proxy variables, read from the environment by the caller.
///
/// Loopback servers are always reached directly.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ProxySettings {
    /// `HTTPS_PROXY` / `https_proxy`: proxy for `https` URLs.
    pub https: Option<String>,
    /// `HTTP_PROXY` / `http_proxy`: proxy for `http` URLs.
    pub http: Option<String>,
    /// `NO_PROXY` / `no_proxy`: comma-separated names, addresses, networks, or `*`.
    pub no: Option<String>,
}

impl ProxySettings {
    /// Reads the variables through `variable`, upper case first, ignoring empty ones.
    /// `HTTP_PROXY` in upper case is ignored under CGI (`REQUEST_METHOD` set), where a client's
    /// `Proxy` header would set it.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: &[&str]| {
            names
                .iter()
                .find_map(|name| variable(name).filter(|value| !value.trim().is_empty()))
        };
        let http_names: &[&str] = if variable("REQUEST_METHOD").is_some() {
            &["http_proxy"]
        } else {
            &["HTTP_PROXY", "http_proxy"]
        };
        Self {
            https: first(&["HTTPS_PROXY", "https_proxy"]),
            http: first(http_names),
            no: first(&["NO_PROXY", "no_proxy"]),
        }
    }
}

impl std::fmt::Debug for ProxySettings {
    /// Proxy URLs may hold passwords, so only their presence is shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProxySettings")
            .field("https", &self.https.is_some())
            .field("http", &self.http.is_some())
            .field("no", &self.no)
            .finish()
    }
}

/// Bounds of one upstream connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpClientLimits {
    /// Largest JSON response body, in bytes.
    pub max_body_bytes: usize,
    /// Largest single event of a stream, in bytes.
    pub max_event_bytes: usize,
    /// How much of an error response's body is read, in bytes.
    pub max_error_body_bytes: usize,
    /// How long the body of an error response, or of one nobody needs, may take.
    pub error_body_timeout: Duration,
    /// Name resolution, TCP, proxy and TLS handshake together.
    pub connect_timeout: Duration,
    /// From the request's start to the response's head; `None` waits as long as the caller does,
    /// because a server may answer a long call with one JSON body at its end.
    pub headers_timeout: Option<Duration>,
    /// From sending a notification or a response to the end of what it is answered with. Both are answered at once, and
    /// nobody else gives them up.
    pub notification_timeout: Duration,
    /// Longest silence inside a response body or stream (comments count as life); `None` for none.
    pub idle_read_timeout: Option<Duration>,
    /// Same-origin redirects followed for one request.
    pub max_redirects: usize,
    /// Fruitless attempts to resume one broken stream.
    pub max_resume_attempts: u32,
    /// Wait before reconnecting a stream whose server sent no `retry`; doubles with each failure.
    pub reconnect_delay: Duration,
    /// Longest wait between two attempts when the server sent no `retry`.
    pub max_reconnect_delay: Duration,
    /// Longest `retry` of a server that is honoured in full.
    pub max_retry: Duration,
    /// How long the old HTTP+SSE transport may take to name its endpoint.
    pub endpoint_timeout: Duration,
    /// How long later messages wait for an earlier notification to be accepted, so that order
    /// holds across connections.
    pub order_timeout: Duration,
    /// How long `Close` may take to end the session at the server.
    pub close_timeout: Duration,
    /// How long an unused connection is kept. Common servers close theirs after 5 s; a request
    /// written into that moment would be lost.
    pub idle_connection_timeout: Duration,
    /// Silence after which TCP probes the peer.
    pub tcp_keepalive: Duration,
}

impl Default for HttpClientLimits {
    fn default() -> Self {
        Self {
            max_body_bytes: 128 << 20,
            max_event_bytes: 128 << 20,
            max_error_body_bytes: 64 << 10,
            error_body_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(10),
            headers_timeout: None,
            notification_timeout: Duration::from_secs(300),
            idle_read_timeout: None,
            max_redirects: 5,
            max_resume_attempts: 8,
            reconnect_delay: Duration::from_secs(1),
            max_reconnect_delay: Duration::from_secs(30),
            max_retry: Duration::from_secs(300),
            endpoint_timeout: Duration::from_secs(10),
            order_timeout: Duration::from_secs(2),
            close_timeout: Duration::from_secs(2),
            idle_connection_timeout: Duration::from_secs(4),
            tcp_keepalive: Duration::from_secs(30),
        }
    }
}

/// Why a configuration cannot be used. Messages name no secrets.
#[derive(Debug, thiserror::Error)]
pub enum HttpConfigError {
    /// The URL does not parse or lacks a host.
    #[error("the server URL is not valid: {reason}\nhint: write it like `https://example.com/mcp`")]
    Url {
        /// What is wrong with it.
        reason: String,
    },
    /// A header that the transport itself must control.
    #[error(
        "header `{name}` cannot be configured: the HTTP transport sets it\nhint: remove it from the headers"
    )]
    ReservedHeader {
        /// Its name.
        name: HeaderName,
    },
    /// The proxy URL does not parse or its scheme is not supported.
    #[error(
        "the proxy in {variable} cannot be used: {reason}\nhint: write it like `http://proxy.example.com:3128`"
    )]
    Proxy {
        /// The environment variable it came from.
        variable: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A file with roots cannot be read or holds none.
    #[error(
        "cannot use the CA file `{}`: {reason}\nhint: it must hold PEM certificates (-----BEGIN CERTIFICATE-----)",
        path.display()
    )]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No root certificate at all for an `https` URL.
    #[error(
        "no trusted root certificates were found for an https server\nhint: allow the bundled roots or name a CA file"
    )]
    NoRoots,
    /// The TLS library refused its settings.
    #[error("cannot set up TLS: {0}")]
    Tls(#[source] rustls::Error),
}
