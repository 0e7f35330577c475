//! One request and its one answer, of a server that speaks no MCP there: a service that a command asks, an
//! issuer's keys, a server's documents.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use super::config::{HttpConfigError, HttpUpstreamConfig};
use super::connect;
use super::target::Target;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

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

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
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
    not_in_the_clear(&target)?;
    let mut request = Request::new(Full::new(Bytes::from(body)));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = target.uri.clone();
    let headers = request.headers_mut();
    headers.insert(header::CONTENT_TYPE, JSON);
    headers.insert(header::ACCEPT, JSON);
    for (name, value) in &config.headers {
        headers.insert(name, value.clone());
    }
    let answer = ask(config, &target, request, within, limit).await?;
    Ok((answer.status, answer.body))
}

/// Gets what is at the URL of `config`, over https or from this machine. Redirects are not followed; of the
/// body at most `limit` bytes are taken, more is an error.
///
/// # Errors
/// See [`PostError`]; any status is an answer.
pub async fn get(
    config: &HttpUpstreamConfig,
    accept: &'static str,
    within: Duration,
    limit: usize,
) -> Result<Answer, PostError> {
    let target = Target::parse(&config.url)?;
    not_in_the_clear(&target)?;
    let mut request = Request::new(Full::default());
    *request.uri_mut() = target.uri.clone();
    request
        .headers_mut()
        .insert(header::ACCEPT, HeaderValue::from_static(accept));
    ask(config, &target, request, within, limit).await
}

/// Gets another document of the server that `config` names, by path and query, without any credentials.
/// Redirects are not followed; of the body at most `limit` bytes are taken, more is an error.
///
/// # Errors
/// See [`PostError`]; any status is an answer.
pub async fn get_at_origin(
    config: &HttpUpstreamConfig,
    path: &str,
    within: Duration,
    limit: usize,
) -> Result<Answer, PostError> {
    let mut target = Target::parse(&config.url)?;
    target.credentials = None;
    let uri = target
        .resolve(&target.uri, path)
        .map_err(|error| PostError::Failed {
            origin: target.origin(),
            reason: error.to_string(),
        })?;
    let mut request = Request::new(Full::default());
    *request.uri_mut() = uri;
    request.headers_mut().insert(header::ACCEPT, JSON);
    ask(config, &target, request, within, limit).await
}

/// What is sent must not cross the network in the clear.
fn not_in_the_clear(target: &Target) -> Result<(), PostError> {
    if !target.is_https() && !target.is_loopback() {
        return Err(PostError::InTheClear(target.origin()));
    }
    Ok(())
}

async fn ask(
    config: &HttpUpstreamConfig,
    target: &Target,
    mut request: Request<Full<Bytes>>,
    within: Duration,
    limit: usize,
) -> Result<Answer, PostError> {
    let origin = target.origin();
    let plan = connect::plan(config, target)?;
    let failed = |reason: String| PostError::Failed {
        origin: target.origin(),
        reason,
    };
    let headers = request.headers_mut();
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
        let (head, body) = response.into_parts();
        let body = Limited::new(body, limit)
            .collect()
            .await
            .map_err(|error| failed(error.to_string()))?;
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body: body.to_bytes(),
        })
    };
    tokio::time::timeout(within, answer)
        .await
        .unwrap_or(Err(PostError::Timeout { origin, within }))
}

/// The cause at the end of the chain, which says most.
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
