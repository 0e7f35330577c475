//! One message: POST it and hand on what its response carries.

use super::exchange::{Call, EVENT_STREAM, JSON, SESSION_ID, content_type, is_plain};
use super::failure::{FailureKind, HttpFailure, HttpOperation, Outcome};
use super::shared::Shared;
use super::stream::{Cursor, StreamEnd};
use super::take_over::StreamBody;
use super::{HttpEvent, legacy_sse};
use crate::transport::http_body::{self as body, BodyError};
use bytes::Bytes;
use http::header::{self, HeaderMap};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, Uri};
use hyper::body::Incoming;
use std::sync::Arc;
use tokio_util::sync::{CancellationToken, DropGuard};

const ACCEPT_BOTH: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
const CONTENT_JSON: HeaderValue = HeaderValue::from_static(JSON);
const OPERATION: HttpOperation = HttpOperation::Post;

struct Post {
    shared: Arc<Shared>,
    key: Option<u64>,
    body: Vec<Bytes>,
    headers: Vec<(HeaderName, HeaderValue)>,
    resumable: bool,
}

pub(super) fn start(
    shared: &Arc<Shared>,
    key: Option<u64>,
    body: Vec<Bytes>,
    headers: Vec<(HeaderName, HeaderValue)>,
    resumable: bool,
) {
    if shared.is_closing() {
        tracing::debug!("a message was sent to a closed upstream");
        return;
    }
    let post = Post {
        shared: Arc::clone(shared),
        key,
        body,
        headers,
        resumable,
    };
    shared.start_post(key, |before, done| post.run(before, done));
}

impl Post {
    async fn run(self, before: Option<CancellationToken>, done: Option<CancellationToken>) {
        // Also when this task is aborted: whoever waits must go on.
        let done = done.map(CancellationToken::drop_guard);
        if let Some(before) = before {
            let limit = self.shared.limits.order_timeout;
            let _ = tokio::time::timeout(limit, before.cancelled()).await;
        }
        if self.key.is_some() {
            return self.pass(done).await;
        }
        // Nobody waits for its answer, so nobody else gives it up.
        let shared = Arc::clone(&self.shared);
        let limit = shared.limits.notification_timeout;
        let passing = tokio::time::timeout(limit, Box::pin(self.pass(done)));
        if passing.await.is_err() {
            // Calls tell by themselves whether the server is well.
            tracing::debug!(origin = %shared.peer.origin, ?limit, "the answer to a message that wants none is given up");
        }
    }

    async fn pass(self, done: Option<DropGuard>) {
        let sent = self.send().await;
        drop(done);
        match sent {
            Ok((response, session)) => self.receive(response, session).await,
            Err(failure) => self.shared.fail(self.key, failure).await,
        }
    }

    async fn send(&self) -> Result<(Response<Incoming>, Option<HeaderValue>), Box<HttpFailure>> {
        let uri = self.uri().await?;
        let mut headers = self.shared.headers(&self.headers);
        headers.insert(header::ACCEPT, ACCEPT_BOTH);
        headers.insert(header::CONTENT_TYPE, CONTENT_JSON);
        let session = headers.get(SESSION_ID).cloned();
        let call = Call {
            operation: OPERATION,
            method: Method::POST,
            uri,
            headers,
            body: &self.body,
            timeout: self.shared.limits.headers_timeout,
        };
        Ok((self.shared.exchange(call).await?, session))
    }

    async fn uri(&self) -> Result<Uri, Box<HttpFailure>> {
        match self.shared.legacy_endpoint() {
            Some(endpoint) => legacy_sse::endpoint(&self.shared, endpoint).await,
            None => Ok(self.shared.target.uri.clone()),
        }
    }

    async fn receive(self, mut response: Response<Incoming>, session: Option<HeaderValue>) {
        let shared = &self.shared;
        let status = response.status();
        if !status.is_success() {
            if status == StatusCode::NOT_FOUND {
                shared.note_lost_session(session.as_ref()).await;
            }
            let failure = shared.status_failure(response, OPERATION).await;
            return shared.fail(self.key, failure).await;
        }
        // What answers a request of a session names that one, which may be over by now.
        if session.is_none() {
            shared.note_session(response.headers()).await;
        }
        let kind = content_type(response.headers());
        let answers_elsewhere = shared.legacy_endpoint().is_some()
            || matches!(status, StatusCode::ACCEPTED | StatusCode::NO_CONTENT);
        let is_stream = kind.as_deref() == Some(EVENT_STREAM);
        if answers_elsewhere || (self.key.is_none() && !is_stream) {
            shared.discard(response.body_mut()).await;
            if let Some(key) = self.key {
                shared.emit(HttpEvent::Accepted { key }).await;
            }
            return;
        }
        if !is_plain(response.headers()) {
            let failure = self.compressed(response.headers());
            return shared.fail(self.key, failure).await;
        }
        match kind.as_deref() {
            Some(EVENT_STREAM) => self.receive_stream(response).await,
            Some(JSON) => self.receive_json(response).await,
            _ => self.receive_nonsense(response, kind).await,
        }
    }

    async fn receive_json(self, mut response: Response<Incoming>) {
        let limits = &self.shared.limits;
        let read = body::collect(
            response.body_mut(),
            limits.max_body_bytes,
            limits.idle_read_timeout,
        );
        match read.await {
            Ok(message) if message.trim_ascii().is_empty() => {
                self.receive_nonsense(response, Some(JSON.to_owned())).await;
            }
            Ok(message) => {
                let key = self.key;
                self.shared.emit(HttpEvent::Message { key, message }).await;
                // What it was is not known here, and nothing comes after it.
                self.shared.emit(HttpEvent::StreamEnded { key }).await;
            }
            Err(error) => {
                let failure = broken(&self.shared, &error);
                self.shared.fail(self.key, failure).await;
            }
        }
    }

    async fn receive_stream(self, response: Response<Incoming>) {
        let shared = &self.shared;
        let mut cursor = Cursor::new(self.resumable);
        let mut end = shared
            .pump(
                OPERATION,
                self.key,
                StreamBody::Lent(response.into_body()),
                &mut cursor,
            )
            .await;
        if cursor.should_resume(&end) {
            end = shared.resume(self.key, &mut cursor).await;
        }
        match end {
            StreamEnd::Broken(failure) if !cursor.is_answered() => {
                shared.fail(self.key, failure).await;
            }
            // Nobody waits for what comes after a notification.
            _ if self.key.is_none() => {}
            _ => shared.emit(HttpEvent::StreamEnded { key: self.key }).await,
        }
    }

    /// A success that is no answer: HTML, another type, or nothing at all.
    async fn receive_nonsense(&self, mut response: Response<Incoming>, kind: Option<String>) {
        let limits = &self.shared.limits;
        let reading = body::collect_start(response.body_mut(), limits.max_error_body_bytes, None);
        let (bytes, _) = tokio::time::timeout(limits.error_body_timeout, reading)
            .await
            .unwrap_or_default();
        let what = match (bytes.is_empty(), kind.as_deref()) {
            (true, _) => "an empty body".to_owned(),
            (false, None) => "a body without content type".to_owned(),
            (false, Some(kind)) => {
                format!("content type `{}`", self.shared.excerpt(kind.as_bytes()))
            }
        };
        let mut failure = protocol(format!(
            "`{}` answered {} with {what} where JSON or an event stream belongs\nhint: is this URL the MCP endpoint, and not a web or login page?",
            self.shared.peer.origin,
            response.status(),
        ));
        failure.status = Some(response.status());
        failure.body_excerpt = (!bytes.is_empty()).then(|| self.shared.excerpt(&bytes));
        self.shared.fail(self.key, failure).await;
    }

    fn compressed(&self, headers: &HeaderMap) -> Box<HttpFailure> {
        let encoding = headers.get(header::CONTENT_ENCODING);
        let encoding = encoding.map_or(&b""[..], HeaderValue::as_bytes);
        protocol(format!(
            "`{}` compressed its answer (`{}`) though that was not asked for\nhint: turn compression off for this endpoint at the server or the proxy in front of it",
            self.shared.peer.origin,
            self.shared.excerpt(encoding),
        ))
    }
}

fn protocol(message: String) -> Box<HttpFailure> {
    HttpFailure::new(
        FailureKind::Protocol,
        OPERATION,
        Outcome::MaybeExecuted,
        message,
    )
}

/// The failure for a body that could not be read to its end.
fn broken(shared: &Shared, error: &BodyError) -> Box<HttpFailure> {
    let kind = match error {
        BodyError::TooLarge { .. } => FailureKind::TooLarge,
        BodyError::Broken(_) => FailureKind::Reset,
        BodyError::Idle(_) => FailureKind::Timeout,
    };
    let message = format!("the answer of `{}` {error}", shared.peer.origin);
    HttpFailure::new(kind, OPERATION, Outcome::MaybeExecuted, message)
}
