//! The one way to make a request: headers checked, redirects kept within the origin, error
//! responses read within their limit. What a success means is said elsewhere.

use super::failure::{self, FailureKind, HttpFailure, HttpOperation, Outcome};
use super::shared::Shared;
use crate::transport::http_body::{self as body, Segments};
use bytes::Bytes;
use http::header::{self, HeaderMap};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use std::time::Duration;

pub(super) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
pub(super) const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
pub(super) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
pub(super) const JSON: &str = "application/json";
pub(super) const EVENT_STREAM: &str = "text/event-stream";

/// One request to make.
pub(super) struct Call<'a> {
    pub(super) operation: HttpOperation,
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: &'a [Bytes],
    /// For the response's head.
    pub(super) timeout: Option<Duration>,
}

impl Shared {
    /// Makes a request, following redirects within the origin.
    pub(super) async fn exchange(
        &self,
        call: Call<'_>,
    ) -> Result<Response<Incoming>, Box<HttpFailure>> {
        let mut uri = call.uri;
        let mut redirects = 0;
        loop {
            let mut request = Request::new(Segments::new(call.body));
            *request.method_mut() = call.method.clone();
            *request.uri_mut() = uri.clone();
            *request.headers_mut() = call.headers.clone();
            let response = self.client.request(request);
            let response = match call.timeout {
                None => response.await,
                Some(limit) => match tokio::time::timeout(limit, response).await {
                    Ok(response) => response,
                    Err(_) => return Err(self.no_head(call.operation, limit)),
                },
            };
            let mut response = response
                .map_err(|error| failure::of_client_error(&error, call.operation, &self.peer))?;
            let location = response.headers().get(header::LOCATION);
            let Some(location) = location.filter(|_| response.status().is_redirection()) else {
                return Ok(response);
            };
            uri = self.redirect(&call.method, call.operation, &uri, &response, location)?;
            redirects += 1;
            if redirects > self.limits.max_redirects {
                let message = format!("`{}` redirects in circles", self.peer.origin);
                return Err(self.refused_redirect(call.operation, response.status(), message));
            }
            self.discard(response.body_mut()).await;
        }
    }

    fn redirect(
        &self,
        method: &Method,
        operation: HttpOperation,
        from: &Uri,
        response: &Response<Incoming>,
        location: &HeaderValue,
    ) -> Result<Uri, Box<HttpFailure>> {
        let status = response.status();
        let origin = &self.peer.origin;
        let keeps_method = matches!(
            status,
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT
        ) || *method == Method::GET;
        let refuse = |message: String| Err(self.refused_redirect(operation, status, message));
        let reference = String::from_utf8_lossy(location.as_bytes());
        match self.target.resolve(from, &reference) {
            Ok(uri) if keeps_method => Ok(uri),
            Ok(_) => refuse(format!(
                "`{origin}` answered {status}, which would turn the message into a GET\nhint: configure the URL it redirects to (often the same with or without a final `/`)"
            )),
            Err(error) => refuse(format!(
                "`{origin}` answered {status} and its redirect {error}; credentials stay with their origin, so it is not followed\nhint: configure that URL itself if you trust it"
            )),
        }
    }

    fn refused_redirect(
        &self,
        operation: HttpOperation,
        status: StatusCode,
        message: String,
    ) -> Box<HttpFailure> {
        let mut failure =
            HttpFailure::new(FailureKind::Redirect, operation, Outcome::NotSent, message);
        failure.status = Some(status);
        failure
    }

    fn no_head(&self, operation: HttpOperation, limit: Duration) -> Box<HttpFailure> {
        let message = format!("`{}` did not answer within {limit:?}", self.peer.origin);
        HttpFailure::new(
            FailureKind::Timeout,
            operation,
            Outcome::MaybeExecuted,
            message,
        )
    }

    /// Reads a body nobody needs, so that its connection can be used again.
    pub(super) async fn discard(&self, body: &mut Incoming) {
        let reading = body::collect_start(body, self.limits.max_error_body_bytes, None);
        let _ = tokio::time::timeout(self.limits.error_body_timeout, reading).await;
    }

    /// The failure for a response whose status is no success, with what its body says.
    pub(super) async fn status_failure(
        &self,
        response: Response<Incoming>,
        operation: HttpOperation,
    ) -> Box<HttpFailure> {
        let (head, mut body) = response.into_parts();
        let status = head.status;
        let reading = body::collect_start(&mut body, self.limits.max_error_body_bytes, None);
        let (bytes, is_whole) = tokio::time::timeout(self.limits.error_body_timeout, reading)
            .await
            .unwrap_or_default();
        let text = |name: HeaderName| {
            let value = head.headers.get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let origin = &self.peer.origin;
        let hint = status_hint(status, operation);
        let mut failure = HttpFailure::new(
            FailureKind::Status,
            operation,
            status_outcome(status),
            format!("`{origin}` answered {status}{hint}"),
        );
        failure.status = Some(status);
        failure.retry_after = text(header::RETRY_AFTER)
            .and_then(|value| value.trim().parse().ok())
            .map(Duration::from_secs);
        // Several are one list (RFC 9110 §5.3), of which a client takes what it can answer.
        let challenges = head.headers.get_all(header::WWW_AUTHENTICATE).iter();
        let challenges: Vec<&str> = challenges.filter_map(|value| value.to_str().ok()).collect();
        failure.www_authenticate = (!challenges.is_empty()).then(|| challenges.join(", "));
        if !bytes.is_empty() && is_plain(&head.headers) {
            let is_json = content_type(&head.headers).as_deref() == Some(JSON);
            failure.body_excerpt = Some(self.excerpt(&bytes));
            failure.body = (is_json && is_whole).then_some(bytes);
        }
        failure
    }

    pub(super) fn excerpt(&self, body: &[u8]) -> String {
        /// Shorter values are words like `en`, and replacing them would garble the text.
        const SHORTEST_SECRET: usize = 6;
        let mut secrets: Vec<String> = Vec::new();
        for value in self.headers.values().chain(&self.secrets()) {
            if let Ok(text) = value.to_str() {
                // A server may show the token without its scheme.
                let token = text.rsplit(' ').next().unwrap_or(text);
                let long = [text, token]
                    .into_iter()
                    .filter(|s| s.len() >= SHORTEST_SECRET);
                secrets.extend(long.map(str::to_owned));
            }
        }
        failure::excerpt(body, &secrets)
    }
}

/// Headers that say how the message travels; only the transport may set them.
pub(super) fn is_reserved(name: &HeaderName) -> bool {
    [
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
        header::UPGRADE,
        header::TE,
        header::TRAILER,
        header::EXPECT,
        header::ACCEPT,
        header::ACCEPT_ENCODING,
        header::CONTENT_TYPE,
        header::CONTENT_ENCODING,
        SESSION_ID,
        LAST_EVENT_ID,
    ]
    .contains(name)
}

/// The media type without parameters, in lower case.
pub(super) fn content_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let essence = value.split(';').next().unwrap_or_default().trim();
    Some(essence.to_ascii_lowercase())
}

/// Whether the body is as it stands, not compressed.
pub(super) fn is_plain(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .all(|value| {
            value
                .as_bytes()
                .trim_ascii()
                .eq_ignore_ascii_case(b"identity")
        })
}

/// Statuses with which a server says that it did not act.
fn status_outcome(status: StatusCode) -> Outcome {
    match status.as_u16() {
        400..=406 | 411 | 413..=415 | 421 | 426 | 429 | 431 => Outcome::NotSent,
        _ => Outcome::MaybeExecuted,
    }
}

fn status_hint(status: StatusCode, operation: HttpOperation) -> &'static str {
    match status.as_u16() {
        401 => "\nhint: it wants credentials; configure an authorization header",
        403 => "\nhint: the credentials are not allowed to do this",
        404 if operation == HttpOperation::Post => "\nhint: is the path of the URL right?",
        413 => "\nhint: the message is larger than the server takes",
        429 => "\nhint: too many requests; try again later",
        502..=504 => "\nhint: the server behind this address is down or slow",
        _ => "",
    }
}
