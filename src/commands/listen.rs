//! The settings of the listener as the transport wants them.

use secrecy::ExposeSecret as _;

use crate::config::{
    AuthSettings, JwksPlace, ListenAddress, ListenSettings, ServerTransport, Settings,
};
use crate::transport::http_client::{HttpUpstreamConfig, ProxySettings, TlsSettings};
use crate::transport::http_server::{
    AuthConfig, HttpServer, HttpServerConfig, HttpServerLimits, JwtConfig, KeySource, TlsFiles,
};

/// Returns the listener's configuration; none without a listener.
pub(super) fn config(settings: &Settings) -> Option<HttpServerConfig> {
    let listen = settings.listen.as_ref()?;
    let bytes = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let (addresses, socket) = match &listen.addr {
        ListenAddress::Tcp(address) => (vec![*address], None),
        ListenAddress::Socket(path) => (Vec::new(), Some(path.clone())),
    };
    let forwarding = settings
        .servers
        .iter()
        .find(|server| server.forwards_authorization);
    let mut config = HttpServerConfig::new(addresses);
    config.socket = socket;
    config.tls = tls(listen);
    config.auth = auth(settings, &listen.auth, forwarding.is_some());
    config.well_known = forwarding.and_then(|server| match &server.transport {
        ServerTransport::Http { url, .. } => Some(outgoing(settings, url)),
        ServerTransport::Stdio { .. } => None,
    });
    config.path.clone_from(&listen.path);
    config.allowed_hosts.clone_from(&listen.allowed_hosts);
    config.allowed_origins.clone_from(&listen.allowed_origins);
    config.limits = HttpServerLimits {
        max_body_bytes: bytes(listen.limits.body_bytes.min(settings.limits.frame_bytes)),
        max_header_bytes: bytes(listen.limits.header_bytes),
        max_headers: listen.limits.headers as usize,
        header_timeout: listen.limits.header_timeout,
        idle_timeout: listen.limits.idle_timeout,
        body_timeout: listen.limits.body_timeout,
        max_connections: listen.limits.connections as usize,
        keep_alive_comment_interval: listen.limits.keep_alive,
        max_queued_bytes: bytes(settings.limits.queue_bytes),
        max_queued_events: settings.limits.queue_frames as usize,
        max_queued_total: bytes(settings.most_waiting_bytes(listen)),
        stall_timeout: settings.timeouts.stall,
        ..HttpServerLimits::default()
    };
    Some(config)
}

/// Says in the log where the listener is.
pub(super) fn announce(settings: &Settings, server: &HttpServer) {
    let Some(listen) = &settings.listen else {
        return;
    };
    let path = &listen.path;
    let scheme = if listen.tls_cert.is_some() {
        "https"
    } else {
        "http"
    };
    for address in server.local_addrs() {
        tracing::info!("listening on {scheme}://{address}{path}");
    }
    if let ListenAddress::Socket(_) = &listen.addr {
        tracing::info!("listening on {}", listen.addr);
    }
}

fn tls(listen: &ListenSettings) -> Option<TlsFiles> {
    Some(TlsFiles {
        certificate: listen.tls_cert.clone()?,
        key: listen.tls_key.clone()?,
        client_ca: listen.tls_client_ca.clone(),
    })
}

fn auth(settings: &Settings, auth: &AuthSettings, is_forwarded: bool) -> Option<AuthConfig> {
    if !auth.is_on() {
        return None;
    }
    let jwt = match (&auth.issuer, &auth.jwks) {
        (Some(issuer), Some(jwks)) => Some(JwtConfig {
            issuer: issuer.clone(),
            audience: auth.audiences(),
            keys: match jwks {
                JwksPlace::File(path) => KeySource::File(path.clone()),
                JwksPlace::Url(url) => KeySource::Url(Box::new(outgoing(settings, url))),
            },
            algorithms: auth.algorithms.clone(),
            leeway: auth.leeway,
        }),
        _ => None,
    };
    Some(AuthConfig {
        tokens: auth.tokens.clone(),
        jwt,
        scopes: auth.scopes.clone(),
        resource: auth.resource.clone(),
        is_forwarded,
    })
}

/// What is needed to ask for something at an URL: trust and proxies as for servers, no headers.
fn outgoing(settings: &Settings, url: &str) -> HttpUpstreamConfig {
    let expose = |value: &Option<secrecy::SecretString>| {
        value.as_ref().map(|value| value.expose_secret().to_owned())
    };
    let mut config = HttpUpstreamConfig::new(url);
    config.tls = TlsSettings {
        system: settings.tls.system,
        bundled: settings.tls.bundled,
        extra_ca_files: settings.tls.ca_files.clone(),
    };
    config.proxy = ProxySettings {
        https: expose(&settings.proxy.https_proxy),
        http: expose(&settings.proxy.http_proxy),
        no: settings.proxy.no_proxy.clone(),
    };
    config
}
