//! One request: check it, read its body, hand it to the caller, wait for the answer.

use super::auth::Gate;
use super::check::{Ends, Rules};
use super::connection::ConnectionFlags;
use super::refusal::Refusal;
use super::reply::{self, Reply, ReplyBody};
use super::well_known::{self, Document, WellKnown};
use super::{HttpServerEvent, HttpServerLimits, RequestHead, StreamId};
use crate::transport::http_body::{self, BodyError};
use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Version};
use hyper::body::{Body as _, Incoming};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tokio::sync::mpsc;

/// What all requests of a server share.
pub(super) struct Service {
    pub(super) rules: Rules,
    pub(super) gate: Option<Arc<Gate>>,
    pub(super) well_known: WellKnown,
    pub(super) limits: HttpServerLimits,
    pub(super) events: mpsc::Sender<HttpServerEvent>,
    pub(super) gone: mpsc::UnboundedSender<StreamId>,
    pub(super) next_stream: AtomicU64,
    /// Bytes that wait in all replies.
    pub(super) queued_total: Arc<AtomicUsize>,
}

/// What a request comes to before the caller sees it.
enum Outcome {
    Pending(reply::Pending),
    Document(Document),
}

/// The caller broke the reply off before it started; the connection closes without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the request was broken off")]
pub(super) struct NoAnswer;

impl Service {
    pub(super) async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        ends: Ends,
        flags: Arc<ConnectionFlags>,
    ) -> Result<Response<ReplyBody>, NoAnswer> {
        let (mut parts, mut body) = request.into_parts();
        let may_be_handed_over = parts.method == Method::GET && parts.version == Version::HTTP_11;
        let outcome = if parts.uri.path().starts_with(well_known::ROOT) {
            // Boxed, as is all that is large and seldom: each connection has room for it.
            let document = Box::pin(self.document(&parts, &ends)).await;
            document.map(Outcome::Document)
        } else {
            match self.rules.check(&mut parts, &ends) {
                Ok(head) => Box::pin(self.admit(parts.method, head, &mut body))
                    .await
                    .map(Outcome::Pending),
                Err(refusal) => Err(refusal),
            }
        };
        let pending = match outcome {
            Ok(Outcome::Pending(pending)) => pending,
            Ok(Outcome::Document(document)) => return Ok(ReplyBody::document(document)),
            Err(mut refusal) => {
                tracing::debug!(status = %refusal.status, peer = %ends.peer, "request refused");
                if !body.is_end_stream() {
                    refusal = refusal.closing();
                    flags.linger();
                }
                return Ok(ReplyBody::refusal(&refusal));
            }
        };
        let response = pending
            .response(self.limits.keep_alive_comment_interval)
            .await
            .ok_or(NoAnswer)?;
        if !may_be_handed_over || !response.body().is_stream() {
            return Ok(response);
        }
        match flags.hand_over(response) {
            Some(response) => Ok(response),
            // The connection is taken from whoever asked for this answer.
            None => std::future::pending().await,
        }
    }

    async fn document(&self, parts: &Parts, ends: &Ends) -> Result<Document, Refusal> {
        self.rules.check_source(parts, ends)?;
        if parts.method != Method::GET {
            let message = "documents can only be read, with GET";
            return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, message));
        }
        self.well_known
            .answer(parts.uri.path(), parts.uri.query())
            .await
    }

    async fn admit(
        &self,
        method: Method,
        mut request: RequestHead,
        body: &mut Incoming,
    ) -> Result<reply::Pending, Refusal> {
        // Before the body: whoever may not speak is not listened to.
        if let Some(gate) = &self.gate {
            gate.admit(&mut request).await?;
        }
        if self.queued_total.load(Ordering::Relaxed) > self.limits.max_queued_total {
            return Err(Refusal::overloaded(
                "too much waits for clients that do not read; try again later",
            ));
        }
        let bytes = self.read(body).await?;
        // The place in the queue comes first, so that nothing is begun that cannot be handed on.
        let limit = self.limits.admission_timeout;
        let place = match tokio::time::timeout(limit, self.events.reserve()).await {
            Ok(Ok(place)) => place,
            Ok(Err(_)) => return Err(Refusal::overloaded("the server is shutting down")),
            Err(_) => {
                return Err(Refusal::overloaded(
                    "the server is overloaded; try again later",
                ));
            }
        };
        let stream = StreamId(self.next_stream.fetch_add(1, Ordering::Relaxed));
        let (reply, pending) =
            reply::pair(stream, &self.limits, &self.queued_total, self.gone.clone());
        place.send(event(method, stream, request, bytes, reply));
        Ok(pending)
    }

    async fn read(&self, body: &mut Incoming) -> Result<Bytes, Refusal> {
        let reading = http_body::collect(body, self.limits.max_body_bytes, None);
        let read = tokio::time::timeout(self.limits.body_timeout, reading).await;
        match read {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(BodyError::TooLarge { limit, .. })) => Err(Refusal::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the body is larger than the limit of {limit} bytes"),
            )),
            Ok(Err(error)) => Err(Refusal::bad_request(format!("the body {error}"))),
            Err(_) => Err(Refusal::new(
                StatusCode::REQUEST_TIMEOUT,
                format!(
                    "the body did not arrive within {:?}",
                    self.limits.body_timeout
                ),
            )),
        }
    }
}

fn event(
    method: Method,
    stream: StreamId,
    request: RequestHead,
    body: Bytes,
    reply: Reply,
) -> HttpServerEvent {
    if method == Method::GET {
        let last_event_id = request.headers.get("last-event-id");
        let last_event_id =
            last_event_id.map(|id| String::from_utf8_lossy(id.as_bytes()).into_owned());
        HttpServerEvent::Get {
            stream,
            request,
            last_event_id,
            reply,
        }
    } else if method == Method::DELETE {
        HttpServerEvent::Delete {
            stream,
            request,
            reply,
        }
    } else {
        HttpServerEvent::Post {
            stream,
            request,
            body,
            reply,
        }
    }
}
