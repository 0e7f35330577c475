//! What all connections to one server share, however many sessions have one of their own: where it is, what
//! every request carries, and the pool of open connections. Holds nothing of any session.

use std::sync::Arc;

use http::header::{self, HeaderMap};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::config::{HttpClientLimits, HttpConfigError, HttpUpstreamConfig};
use super::connect::{self, Connector};
use super::exchange::is_reserved;
use super::failure::Peer;
use super::reopening::Reopening;
use super::target::Target;
use crate::transport::http_body::Segments;

/// Open connections that are kept for a next request at most, for [`HttpClientLimits::idle_connection_timeout`]:
/// more than are usually under way at once, since each call above this closes a connection and opens another, which
/// costs more than the call. Each holds some 10 KB.
const MAX_IDLE: usize = 512;

/// One server, ready to be connected to. Clones are the same server: they share its open connections, which
/// carry requests of all sessions in turn, each with its own credentials.
#[derive(Clone)]
pub struct HttpSite(pub(super) Arc<Site>);

pub(super) struct Site {
    pub(super) target: Target,
    pub(super) peer: Peer,
    pub(super) limits: HttpClientLimits,
    /// Configured headers and credentials; every request to the origin carries them.
    pub(super) headers: HeaderMap,
    pub(super) client: Client<Connector, Segments>,
    /// Listen streams of all sessions that wait to be opened again.
    pub(super) reopening: Reopening,
}

impl HttpSite {
    /// Checks what is configured. Reads certificate files for an `https` URL.
    ///
    /// # Errors
    /// [`HttpConfigError`] when URL, headers, proxy or certificates cannot be used.
    pub fn new(config: HttpUpstreamConfig) -> Result<Self, HttpConfigError> {
        let target = Target::parse(&config.url)?;
        let plan = connect::plan(&config, &target)?;
        let mut headers = HeaderMap::new();
        for (name, value) in &config.headers {
            if is_reserved(name) {
                return Err(HttpConfigError::ReservedHeader { name: name.clone() });
            }
            headers.append(name.clone(), value.clone());
        }
        if let Some(credentials) = &target.credentials {
            headers
                .entry(header::AUTHORIZATION)
                .or_insert_with(|| credentials.clone());
        }
        if let Some(mut value) = plan.proxy_authorization {
            value.set_sensitive(true);
            headers.insert(header::PROXY_AUTHORIZATION, value);
        }
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(config.limits.idle_connection_timeout)
            .pool_max_idle_per_host(MAX_IDLE)
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .build(plan.connector);
        let peer = Peer {
            origin: target.origin(),
            proxy: plan.proxy,
        };
        Ok(Self(Arc::new(Site {
            target,
            peer,
            limits: config.limits,
            headers,
            client,
            reopening: Reopening::default(),
        })))
    }
}

impl std::fmt::Debug for HttpSite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("HttpSite")
            .field(&self.0.peer.origin)
            .finish()
    }
}
