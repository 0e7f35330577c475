//! Event streams: reading one, and resuming a broken one (legacy era, `Last-Event-ID`).

use super::exchange::{Call, EVENT_STREAM, LAST_EVENT_ID, content_type, is_plain};
use super::failure::{FailureKind, HttpFailure, HttpOperation, Outcome};
use super::shared::Shared;
use super::take_over::StreamBody;
use super::{HttpClientLimits, HttpEvent};
use crate::jsonrpc::sse::{SseDecoder, SseEvent};
use crate::transport::http_body::BodyError;
use bytes::{Buf as _, Bytes};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use hyper::body::Incoming;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::time::{Duration, Instant};

/// The least time from one connection of a stream to the next, whatever `retry` its server sends: with none the two of us
/// would be busy with nothing else.
const LEAST_RETRY: Duration = Duration::from_millis(100);

pub(super) const ACCEPT_STREAM: HeaderValue = HeaderValue::from_static(EVENT_STREAM);

/// How far a stream was read, across its connections.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    resumable: bool,
    last_event_id: Option<String>,
    retry: Option<Duration>,
    /// A response was seen. Only looked for where resuming depends on it.
    answered: bool,
    /// An event arrived on the current connection.
    progressed: bool,
    /// How long the last connection was open.
    lasted: Duration,
}

/// How one connection of a stream ended.
#[derive(Debug)]
pub(super) enum StreamEnd {
    Clean,
    Broken(Box<HttpFailure>),
}

impl Cursor {
    pub(super) fn new(resumable: bool) -> Self {
        Self {
            resumable,
            ..Self::default()
        }
    }

    pub(super) fn is_answered(&self) -> bool {
        self.answered
    }

    pub(super) fn has_progressed(&self) -> bool {
        self.progressed
    }

    /// The server may close a stream early and be polled (MCP 2025-11-25, SEP-1699), so a clean
    /// end before the response is a reason to resume as well.
    pub(super) fn should_resume(&self, end: &StreamEnd) -> bool {
        let is_final = matches!(
            end,
            StreamEnd::Broken(failure) if failure.kind == FailureKind::TooLarge
        );
        self.resumable && self.last_event_id.is_some() && !self.answered && !is_final
    }

    /// `Last-Event-ID`, when the server's id can stand in a header.
    pub(super) fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        let value = HeaderValue::from_bytes(self.last_event_id.as_deref()?.as_bytes()).ok()?;
        Some((LAST_EVENT_ID, value))
    }

    /// How long to wait before attempt number `failures` + 1.
    pub(super) fn delay(&self, limits: &HttpClientLimits, failures: u32) -> Duration {
        let doubled =
            |delay: Duration, times: u32| delay.saturating_mul(2u32.saturating_pow(times.min(16)));
        match self.retry {
            // What the server asked for; only repeated failures make it longer.
            Some(retry) => {
                let is_soon = failures > 0 || self.lasted < LEAST_RETRY;
                let least = if is_soon { LEAST_RETRY } else { Duration::ZERO };
                doubled(retry.max(least), failures.saturating_sub(1)).min(limits.max_retry)
            }
            None => {
                let delay = doubled(limits.reconnect_delay, failures);
                // Many clients of one dead server must not come back in the same moment.
                let jitter = rand::random_range(0.5..=1.0);
                delay.min(limits.max_reconnect_delay).mul_f64(jitter)
            }
        }
    }

    fn note(&mut self, decoder: &SseDecoder) {
        let id = decoder.last_event_id();
        if id.is_some() && self.last_event_id.as_deref() != id {
            self.last_event_id = id.map(str::to_owned);
        }
        self.retry = decoder.retry().or(self.retry);
    }
}

/// Pulls events out of one connection of a stream.
pub(super) struct EventReader<'a> {
    shared: &'a Shared,
    operation: HttpOperation,
    body: StreamBody,
    decoder: SseDecoder,
    /// What was received and not decoded yet.
    received: Bytes,
}

impl<'a> EventReader<'a> {
    pub(super) fn new(shared: &'a Shared, operation: HttpOperation, body: StreamBody) -> Self {
        Self {
            shared,
            operation,
            body,
            decoder: SseDecoder::new(shared.limits.max_event_bytes),
            received: Bytes::new(),
        }
    }

    /// The next event; `None` at the clean end of the stream.
    pub(super) async fn next(
        &mut self,
        cursor: &mut Cursor,
    ) -> Result<Option<SseEvent>, Box<HttpFailure>> {
        loop {
            let mut rest = &self.received[..];
            let fed = self.decoder.feed(&mut rest);
            let consumed = self.received.len() - rest.len();
            self.received.advance(consumed);
            cursor.note(&self.decoder);
            match fed {
                Ok(Some(event)) => {
                    cursor.progressed = true;
                    return Ok(Some(event));
                }
                Ok(None) => {}
                Err(error) => return Err(self.broken(FailureKind::TooLarge, &error)),
            }
            let idle = self.shared.limits.idle_read_timeout;
            match self.body.next_data(idle).await {
                Ok(Some(data)) => self.received = data,
                Ok(None) => return Ok(None),
                Err(error @ BodyError::Idle(_)) => {
                    return Err(self.broken(FailureKind::Timeout, &error));
                }
                Err(error) => return Err(self.broken(FailureKind::Reset, &error)),
            }
        }
    }

    fn broken(&self, kind: FailureKind, error: &dyn std::error::Error) -> Box<HttpFailure> {
        let message = format!("the event stream of `{}`: {error}", self.shared.peer.origin);
        HttpFailure::new(kind, self.operation, Outcome::MaybeExecuted, message)
    }
}

impl Shared {
    /// Reads one connection of a stream to its end, handing on its messages.
    pub(super) async fn pump(
        &self,
        operation: HttpOperation,
        key: Option<u64>,
        body: StreamBody,
        cursor: &mut Cursor,
    ) -> StreamEnd {
        cursor.progressed = false;
        let opened = Instant::now();
        let mut events = EventReader::new(self, operation, body);
        loop {
            let event = match events.next(cursor).await {
                Ok(Some(event)) => event,
                ended => {
                    cursor.lasted = opened.elapsed();
                    return match ended {
                        Err(failure) => StreamEnd::Broken(failure),
                        Ok(_) => StreamEnd::Clean,
                    };
                }
            };
            if !event.is_message() || event.data.is_empty() {
                continue;
            }
            if cursor.resumable && cursor.last_event_id.is_some() {
                cursor.answered |= holds_response(&event.data);
            }
            let message = event.data;
            self.emit(HttpEvent::Message { key, message }).await;
        }
    }

    /// Resumes the response stream of a request until it is answered, ends for good, or the
    /// attempts are used up.
    pub(super) async fn resume(&self, key: Option<u64>, cursor: &mut Cursor) -> StreamEnd {
        let mut failures = 0;
        loop {
            cursor.progressed = false;
            tokio::time::sleep(cursor.delay(&self.limits, failures)).await;
            let (end, is_final) = match self.open_stream(HttpOperation::Post, cursor).await {
                Ok(body) => {
                    let end = self.pump(HttpOperation::Post, key, body, cursor).await;
                    let is_final = !cursor.should_resume(&end);
                    (end, is_final)
                }
                Err((failure, is_final)) => (StreamEnd::Broken(failure), is_final),
            };
            failures = if cursor.progressed { 0 } else { failures + 1 };
            if is_final || failures >= self.limits.max_resume_attempts {
                return match end {
                    StreamEnd::Broken(mut failure) => {
                        // The request itself was taken; only its answer is missing.
                        failure.outcome = Outcome::MaybeExecuted;
                        failure.message = format!(
                            "the answer's stream broke and could not be resumed: {failure}"
                        );
                        StreamEnd::Broken(failure)
                    }
                    StreamEnd::Clean => StreamEnd::Clean,
                };
            }
        }
    }

    /// GETs a stream from where the cursor stands. The error says whether trying again is useless.
    pub(super) async fn open_stream(
        &self,
        operation: HttpOperation,
        cursor: &Cursor,
    ) -> Result<StreamBody, (Box<HttpFailure>, bool)> {
        let mut headers = self.headers(&[]);
        headers.insert(header::ACCEPT, ACCEPT_STREAM);
        if let Some((name, value)) = cursor.header() {
            headers.insert(name, value);
        }
        let session = headers.get(super::exchange::SESSION_ID).cloned();
        let call = Call {
            operation,
            method: Method::GET,
            uri: self.target.uri.clone(),
            headers,
            body: &[],
            timeout: None,
        };
        // Boxed, as a stream waits long for what is short.
        let response = Box::pin(self.exchange(call)).await.map_err(|failure| {
            let is_final = matches!(failure.kind, FailureKind::Redirect | FailureKind::Protocol);
            (failure, is_final)
        })?;
        let status = response.status();
        if status == StatusCode::OK {
            return self
                .check_stream(response, operation)
                .map_err(|failure| (failure, true));
        }
        if status == StatusCode::NOT_FOUND {
            self.note_lost_session(session.as_ref()).await;
        }
        let may_pass = status.is_server_error()
            || matches!(
                status,
                StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
            );
        let is_final = !may_pass || status == StatusCode::NOT_IMPLEMENTED;
        Err((self.status_failure(response, operation).await, is_final))
    }

    /// The body of a 200 response to a GET, if it is an event stream as it stands.
    pub(super) fn check_stream(
        &self,
        response: http::Response<Incoming>,
        operation: HttpOperation,
    ) -> Result<StreamBody, Box<HttpFailure>> {
        let kind = content_type(response.headers());
        if kind.as_deref() == Some(EVENT_STREAM) && is_plain(response.headers()) {
            return Ok(StreamBody::take(response));
        }
        let what = if is_plain(response.headers()) {
            let kind = self.excerpt(kind.unwrap_or_default().as_bytes());
            format!("content type `{kind}`")
        } else {
            "a compressed body".to_owned()
        };
        let message = format!(
            "`{}` answered a GET with {what} where an event stream belongs",
            self.peer.origin
        );
        let outcome = Outcome::NotSent;
        let mut failure = HttpFailure::new(FailureKind::Protocol, operation, outcome, message);
        failure.status = Some(response.status());
        Err(failure)
    }
}

/// Whether a message, or any in a batch, is a response.
fn holds_response(message: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Shape {
        method: Option<IgnoredAny>,
        result: Option<IgnoredAny>,
        error: Option<IgnoredAny>,
    }
    let is_response =
        |shape: &Shape| shape.method.is_none() && (shape.result.is_some() || shape.error.is_some());
    if message.trim_ascii_start().first() == Some(&b'[') {
        serde_json::from_slice::<Vec<Shape>>(message)
            .is_ok_and(|shapes| shapes.iter().any(is_response))
    } else {
        serde_json::from_slice::<Shape>(message).is_ok_and(|shape| is_response(&shape))
    }
}

#[cfg(test)]
mod tests {
    use super::{Cursor, Duration, HttpClientLimits, LEAST_RETRY, holds_response};

    /// Broken variants that this catches: `retry: 0` has a stream asked for again at once, for ever, though it cannot be had
    /// or ends as soon as it begins; or what a server asks for is not done where its streams last.
    #[test]
    fn a_stream_is_not_asked_for_without_pause() {
        let limits = HttpClientLimits::default();
        let delay = |retry: u64, lasted: u64, failures| {
            let cursor = Cursor {
                retry: Some(Duration::from_millis(retry)),
                lasted: Duration::from_millis(lasted),
                ..Cursor::default()
            };
            cursor.delay(&limits, failures)
        };
        assert_eq!(delay(0, 0, 0), LEAST_RETRY, "it ended as it began");
        assert_eq!(delay(0, 60_000, 1), LEAST_RETRY, "it could not be had");
        assert_eq!(delay(0, 60_000, 4), LEAST_RETRY * 8, "again and again");
        assert_eq!(delay(0, 60_000, 0), Duration::ZERO);
        assert_eq!(delay(5_000, 0, 0), Duration::from_secs(5));
        assert_eq!(delay(5_000, 0, 60), limits.max_retry);
    }

    #[test]
    fn responses_are_told_from_requests_and_notifications() {
        for (message, expected) in [
            (r#"{"jsonrpc":"2.0","id":1,"result":{"a":1}}"#, true),
            (r#"{"jsonrpc":"2.0","id":1,"result":null}"#, false),
            (
                r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":""}}"#,
                true,
            ),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, false),
            (r#" [{"method":"x"},{"id":1,"result":{}}]"#, true),
            (r#"[{"method":"x"}]"#, false),
            ("not json", false),
        ] {
            assert_eq!(holds_response(message.as_bytes()), expected, "{message}");
        }
    }
}
