//! One request and its one answer, for commands that ask a server which speaks no MCP.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use super::config::{HttpConfigError, HttpUpstreamConfig};
use super::connect;
use super::target::Target;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// The request cannot be made.
    #[error(transparent)]
    Config(#[from] HttpConfigError),
    /// What is sent would cross the network in the clear.
    #[error("`{0}` is asked over https only, as it is not this machine\nhint: use an https:// URL")]
    InTheClear(String),
    /// Nothing within the time.
    #[error(
        "no answer from `{origin}` within {within:?}\nhint: is the service up, and the URL right?"
    )]
    Timeout {
        /// Who was asked.
        origin: String,
        /// How long.
        within: Duration,
    },
    /// The connection or the answer broke, or the answer is too long.
    #[error("no answer from `{origin}`: {reason}\nhint: is the service up, and the URL right?")]
    Failed {
        /// Who was asked.
        origin: String,
        /// What happened.
        reason: String,
    },
}

/// Posts JSON and returns status and body. Redirects are not followed; of the body at most `limit` bytes are
/// taken, more is an error.
///
/// # Errors
/// See [`PostError`]; any status is an answer.
pub async fn post_json(
    config: &HttpUpstreamConfig,
    body: Vec<u8>,
    within: Duration,
    limit: usize,
) -> Result<(StatusCode, Bytes), PostError> {
    let target = Target::parse(&config.url)?;
    let origin = target.origin();
    if !target.is_https() && !target.is_loopback() {
        return Err(PostError::InTheClear(origin));
    }
    let plan = connect::plan(config, &target)?;
    let failed = |reason: String| PostError::Failed {
        origin: target.origin(),
        reason,
    };
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(&target.uri)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| failed(error.to_string()))?;
    let headers = request.headers_mut();
    for (name, value) in &config.headers {
        headers.insert(name, value.clone());
    }
    if let Some(credentials) = &target.credentials {
        headers.insert(header::AUTHORIZATION, credentials.clone());
    }
    if let Some(credentials) = plan.proxy_authorization {
        headers.insert(header::PROXY_AUTHORIZATION, credentials);
    }
    let client: Client<_, Full<Bytes>> =
        Client::builder(TokioExecutor::new()).build(plan.connector);
    let answer = async {
        let response = client
            .request(request)
            .await
            .map_err(|error| failed(innermost(&error)))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), limit)
            .collect()
            .await
            .map_err(|error| failed(error.to_string()))?;
        Ok((status, body.to_bytes()))
    };
    tokio::time::timeout(within, answer)
        .await
        .unwrap_or(Err(PostError::Timeout { origin, within }))
}

/// The cause at the end of the chain, which says most.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
