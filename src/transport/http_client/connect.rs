//! How a connection is made: directly, through a proxy, with or without TLS.
//! Decides nothing about requests; the pooled client calls it when it needs a new connection.

use super::config::{HttpClientLimits, HttpConfigError, HttpUpstreamConfig, TlsSettings};
use super::take_over::Lent;
use super::target::Target;
use http::{HeaderValue, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector, proxy::Tunnel};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tower_service::Service;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The one way to the one server of an upstream.
#[derive(Clone)]
pub(super) struct Connector {
    route: Route,
    timeout: Duration,
}

#[derive(Clone)]
enum Route {
    Plain(HttpConnector),
    Tls(HttpsConnector<HttpConnector>),
    /// `CONNECT` through the proxy, then TLS with the server.
    Tunnel(HttpsConnector<Tunnel<HttpConnector>>),
    /// Requests in absolute form to the proxy itself.
    Forward {
        proxy: Uri,
        connector: HttpConnector,
    },
}

/// No connection within the time allowed for it.
#[derive(Debug, thiserror::Error)]
#[error("no connection within {0:?}")]
pub(super) struct ConnectTimeout(pub(super) Duration);

/// What the route to a server asks of every request on it.
pub(super) struct Plan {
    pub(super) connector: Connector,
    /// Sent with every request when a forward proxy wants credentials.
    pub(super) proxy_authorization: Option<HeaderValue>,
    /// `host:port` of the proxy, for messages.
    pub(super) proxy: Option<String>,
}

/// Chooses the route for `target`. Reads certificate files when it is an `https` one.
pub(super) fn plan(config: &HttpUpstreamConfig, target: &Target) -> Result<Plan, HttpConfigError> {
    let tcp = tcp(&config.limits);
    let proxy = proxy(config, target)?;
    let proxy_name = proxy
        .as_ref()
        .and_then(|(uri, _)| uri.authority())
        .map(ToString::to_string);
    let mut proxy_authorization = None;
    let route = match (target.is_https(), proxy) {
        (false, None) => Route::Plain(tcp),
        (false, Some((proxy, credentials))) => {
            proxy_authorization = credentials;
            Route::Forward {
                proxy,
                connector: tcp,
            }
        }
        (true, None) => Route::Tls(tls(shared_tls(config)?, tcp)),
        (true, Some((proxy, credentials))) => {
            let mut tunnel = Tunnel::new(proxy, tcp);
            if let Some(credentials) = credentials {
                tunnel = tunnel.with_auth(credentials);
            }
            Route::Tunnel(tls(shared_tls(config)?, tunnel))
        }
    };
    Ok(Plan {
        connector: Connector {
            route,
            timeout: config.limits.connect_timeout,
        },
        proxy_authorization,
        proxy: proxy_name,
    })
}

fn tcp(limits: &HttpClientLimits) -> HttpConnector {
    /// Unanswered probes after which a silent peer counts as gone.
    const KEEPALIVE_PROBES: u32 = 3;
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(limits.tcp_keepalive));
    tcp.set_keepalive_interval(Some(limits.tcp_keepalive / KEEPALIVE_PROBES));
    tcp.set_keepalive_retries(Some(KEEPALIVE_PROBES));
    tcp
}

type Proxy = (Uri, Option<HeaderValue>);

fn proxy(config: &HttpUpstreamConfig, target: &Target) -> Result<Option<Proxy>, HttpConfigError> {
    let (variable, value) = if target.is_https() {
        ("HTTPS_PROXY", config.proxy.https.as_deref())
    } else {
        ("HTTP_PROXY", config.proxy.http.as_deref())
    };
    let Some(value) = value.map(str::trim).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    if target.is_loopback() {
        return Ok(None);
    }
    // The matcher ignores what it cannot read; a proxy that is silently not used would be worse
    // than an error.
    let rules = |no: &str| Matcher::builder().all(value).no(no).build();
    let refused = |reason: &str| HttpConfigError::Proxy {
        variable,
        reason: reason.to_owned(),
    };
    let Some(proxy) = rules("").intercept(&target.uri) else {
        return Err(refused("it is not a valid proxy URL"));
    };
    if proxy.uri().scheme_str() != Some("http") {
        return Err(refused("only http:// proxies are supported"));
    }
    let no_proxy = config.proxy.no.as_deref().unwrap_or_default();
    let chosen = rules(no_proxy).intercept(&target.uri);
    Ok(chosen.map(|proxy| (proxy.uri().clone(), proxy.basic_auth().cloned())))
}

fn tls<T>(config: rustls::ClientConfig, transport: T) -> HttpsConnector<T> {
    HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_only()
        .enable_http1()
        .wrap_connector(transport)
}

/// Makes the TLS side of connections, once for all that share it. Clones share roots and resumed sessions.
fn shared_tls(config: &HttpUpstreamConfig) -> Result<rustls::ClientConfig, HttpConfigError> {
    let shared = &config.shared_tls.0;
    if let Some(made) = shared.get() {
        return Ok(made.clone());
    }
    let made = tls_config(&config.tls)?;
    Ok(shared.get_or_init(|| made).clone())
}

fn tls_config(settings: &TlsSettings) -> Result<rustls::ClientConfig, HttpConfigError> {
    let mut roots = rustls::RootCertStore::empty();
    if settings.bundled {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    if settings.system {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::debug!(%error, "a system root certificate could not be read");
        }
        roots.add_parsable_certificates(found.certs);
    }
    for path in &settings.extra_ca_files {
        add_file(&mut roots, path)?;
    }
    if roots.is_empty() {
        return Err(HttpConfigError::NoRoots);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(HttpConfigError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

fn add_file(roots: &mut rustls::RootCertStore, path: &Path) -> Result<(), HttpConfigError> {
    let refused = |reason: String| HttpConfigError::CaFile {
        path: path.to_owned(),
        reason,
    };
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| refused(error.to_string()))?;
    if certificates.is_empty() {
        return Err(refused("it holds no certificate".to_owned()));
    }
    for certificate in certificates {
        roots
            .add(certificate)
            .map_err(|error| refused(error.to_string()))?;
    }
    Ok(())
}

impl Service<Uri> for Connector {
    type Response = ServerConnection;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<ServerConnection, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, destination: Uri) -> Self::Future {
        let route = self.route.clone();
        let limit = self.timeout;
        Box::pin(async move {
            match tokio::time::timeout(limit, route.connect(destination)).await {
                Ok(connection) => connection,
                Err(_) => Err(ConnectTimeout(limit).into()),
            }
        })
    }
}

impl Route {
    async fn connect(self, destination: Uri) -> Result<ServerConnection, BoxError> {
        let is_forward = matches!(self, Self::Forward { .. });
        let stream = match self {
            Self::Plain(connector) => MaybeHttpsStream::Http(call(connector, destination).await?),
            Self::Tls(connector) => call(connector, destination).await?,
            Self::Tunnel(connector) => call(connector, destination).await?,
            Self::Forward { proxy, connector } => {
                MaybeHttpsStream::Http(call(connector, proxy).await?)
            }
        };
        Ok(ServerConnection::new(stream, is_forward))
    }
}

async fn call<S>(mut service: S, uri: Uri) -> Result<S::Response, BoxError>
where
    S: Service<Uri>,
    S::Error: Into<BoxError>,
{
    poll_fn(|cx| service.poll_ready(cx))
        .await
        .map_err(Into::into)?;
    service.call(uri).await.map_err(Into::into)
}

/// An open connection to the server or the forward proxy.
pub(super) struct ServerConnection {
    io: TokioIo<Lent>,
    is_forward: bool,
}

impl ServerConnection {
    fn new(stream: MaybeHttpsStream<TokioIo<TcpStream>>, is_forward: bool) -> Self {
        Self {
            io: TokioIo::new(Lent::new(stream)),
            is_forward,
        }
    }
}

impl Connection for ServerConnection {
    fn connected(&self) -> Connected {
        let lent = self.io.inner();
        let connected = lent
            .with(Connection::connected)
            .unwrap_or_else(Connected::new);
        // Tells the pooled client to write the request line in absolute form.
        connected.proxy(self.is_forward).extra(lent.clone())
    }
}

impl Read for ServerConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl Write for ServerConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, parts)
    }
}
