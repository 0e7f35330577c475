//! Posts bodies to one URL again and again over kept connections: a collector of telemetry, which speaks no
//! MCP. Redirects are not followed; what comes back is bounded.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::config::{HttpConfigError, HttpUpstreamConfig};
use super::connect::{self, Connector};
use super::once::{PostError, innermost};
use super::target::Target;

/// How long a connection is kept that nothing is sent on.
const KEPT: Duration = Duration::from_secs(30);

/// The way to one URL.
#[derive(Clone)]
pub struct Poster {
    client: Client<Connector, Full<Bytes>>,
    target: Target,
    headers: http::HeaderMap,
}

impl Poster {
    /// Plans the way. Reads certificate files for an `https` URL.
    ///
    /// # Errors
    /// When the URL, the proxy or the certificates are not usable.
    pub fn new(config: &HttpUpstreamConfig) -> Result<Self, HttpConfigError> {
        let target = Target::parse(&config.url)?;
        let plan = connect::plan(config, &target)?;
        let mut headers = http::HeaderMap::new();
        for (name, value) in &config.headers {
            headers.insert(name, value.clone());
        }
        if let Some(credentials) = &target.credentials {
            headers.insert(header::AUTHORIZATION, credentials.clone());
        }
        if let Some(credentials) = plan.proxy_authorization {
            headers.insert(header::PROXY_AUTHORIZATION, credentials);
        }
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(KEPT)
            .pool_max_idle_per_host(1)
            .build(plan.connector);
        Ok(Self {
            client,
            target,
            headers,
        })
    }

    /// Posts a body and returns the status; at most `limit` bytes of an answer are read. Must run on the
    /// runtime that keeps the connections.
    ///
    /// # Errors
    /// See [`PostError`]; any status is an answer.
    pub async fn post(
        &self,
        content_type: &'static str,
        body: Bytes,
        within: Duration,
        limit: usize,
    ) -> Result<StatusCode, PostError> {
        let origin = self.target.origin();
        let failed = |reason: String| PostError::Failed {
            origin: self.target.origin(),
            reason,
        };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.target.uri.clone();
        *request.headers_mut() = self.headers.clone();
        let content_type = HeaderValue::from_static(content_type);
        request
            .headers_mut()
            .insert(header::CONTENT_TYPE, content_type);
        let answer = async {
            let response = self
                .client
                .request(request)
                .await
                .map_err(|error| failed(innermost(&error)))?;
            let status = response.status();
            // A body that is read to its end lets the connection be used again.
            Limited::new(response.into_body(), limit)
                .collect()
                .await
                .map_err(|error| failed(error.to_string()))?;
            Ok(status)
        };
        tokio::time::timeout(within, answer)
            .await
            .unwrap_or(Err(PostError::Timeout { origin, within }))
    }
}
