//! The connection's half of a reply: waits for its start, then feeds what was queued to the
//! connection, with comments into long silences. Tells when the client leaves.

use super::super::connection::Answering;
use super::super::refusal::Refusal;
use super::super::well_known::Document;
use super::super::{HttpServerLimits, StreamId};
use super::{Exchange, Form, JSON, LastReply, Reply, State};
use crate::jsonrpc::sse;
use bytes::Bytes;
use http::header;
use http::{HeaderValue, Response};
use hyper::body::{Body, Frame, SizeHint};
use std::future::Future as _;
use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep};

/// The connection's half before the response has started.
pub(in crate::transport::http_server) struct Pending {
    guard: Guard,
}

/// Tells the caller when the connection drops a response that was not ended.
struct Guard {
    exchange: Arc<Exchange>,
    stream: StreamId,
    gone: mpsc::UnboundedSender<StreamId>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut state = self.exchange.state();
        let was_ended = state.is_ended;
        state.is_gone = true;
        state.clear();
        drop(state);
        if !was_ended {
            // Without a receiver the server has ended, and so has whoever would care.
            let _ = self.gone.send(self.stream);
        }
    }
}

/// Makes the two halves of a reply.
pub(in crate::transport::http_server) fn pair(
    stream: StreamId,
    limits: &HttpServerLimits,
    queued_total: &Arc<AtomicUsize>,
    gone: mpsc::UnboundedSender<StreamId>,
) -> (Reply, Pending) {
    let exchange = Arc::new(Exchange {
        state: Mutex::new(State {
            queued_total: Arc::clone(queued_total),
            ..State::default()
        }),
        max_queued_bytes: limits.max_queued_bytes,
        max_queued_events: limits.max_queued_events,
        max_queued_total: limits.max_queued_total,
    });
    let guard = Guard {
        exchange: Arc::clone(&exchange),
        stream,
        gone,
    };
    let last = Arc::new(LastReply { exchange });
    (Reply { last }, Pending { guard })
}

impl Pending {
    /// Waits until the response starts. `None` when the caller broke it off before.
    pub(in crate::transport::http_server) async fn response(
        self,
        keep_alive: Duration,
    ) -> Option<Response<ReplyBody>> {
        let exchange = Arc::clone(&self.guard.exchange);
        let started = std::future::poll_fn(|cx| {
            let mut state = exchange.state();
            if state.is_broken {
                return Poll::Ready(None);
            }
            if state.form == Form::Undecided {
                state.wait(cx);
                return Poll::Pending;
            }
            let headers = std::mem::take(&mut state.headers);
            Poll::Ready(Some((state.status, headers, state.form)))
        });
        let (status, headers, form) = started.await?;
        let keep_alive = (form == Form::Stream).then(|| KeepAlive {
            interval: keep_alive,
            timer: Box::pin(tokio::time::sleep(keep_alive)),
        });
        let body = ReplyBody {
            source: Source::Reply(self.guard),
            keep_alive,
            _answering: None,
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Some(response)
    }
}

/// What the connection writes.
pub(in crate::transport::http_server) struct ReplyBody {
    source: Source,
    keep_alive: Option<KeepAlive>,
    /// Its request, which is over when all of this was written.
    _answering: Option<Answering>,
}

enum Source {
    Reply(Guard),
    Fixed(Option<Bytes>),
}

struct KeepAlive {
    interval: Duration,
    timer: Pin<Box<Sleep>>,
}

/// The stream was broken off by the caller.
#[derive(Debug, thiserror::Error)]
#[error("the response was broken off")]
pub(in crate::transport::http_server) struct BrokenOff;

impl ReplyBody {
    /// Whether it is an event stream.
    pub(in crate::transport::http_server) fn is_stream(&self) -> bool {
        self.keep_alive.is_some()
    }

    /// The same, which tells when it was written.
    pub(in crate::transport::http_server) fn while_written(self, answering: Answering) -> Self {
        Self {
            _answering: Some(answering),
            ..self
        }
    }

    /// The response of a refusal.
    pub(in crate::transport::http_server) fn refusal(refusal: &Refusal) -> Response<Self> {
        let mut response = Response::new(Self {
            source: Source::Fixed(Some(refusal.body())),
            keep_alive: None,
            _answering: None,
        });
        *response.status_mut() = refusal.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, JSON);
        if let Some((name, value)) = &refusal.header {
            headers.insert(name.clone(), value.clone());
        }
        if refusal.closes {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl ReplyBody {
    /// The response with a document.
    pub(in crate::transport::http_server) fn document(document: Document) -> Response<Self> {
        let mut response = Response::new(Self {
            source: Source::Fixed(Some(document.body)),
            keep_alive: None,
            _answering: None,
        });
        *response.status_mut() = document.status;
        response.headers_mut().extend(document.headers);
        response
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let this = self.get_mut();
        let guard = match &mut this.source {
            Source::Fixed(body) => {
                return Poll::Ready(body.take().map(|body| Ok(Frame::data(body))));
            }
            Source::Reply(guard) => guard,
        };
        let mut state = guard.exchange.state();
        if state.is_broken {
            return Poll::Ready(Some(Err(BrokenOff)));
        }
        if let Some(piece) = state.pop() {
            drop(state);
            if let Some(keep_alive) = &mut this.keep_alive {
                keep_alive.restart();
            }
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if state.is_ended {
            return Poll::Ready(None);
        }
        state.wait(cx);
        drop(state);
        if let Some(keep_alive) = &mut this.keep_alive
            && keep_alive.timer.as_mut().poll(cx).is_ready()
        {
            keep_alive.restart();
            return Poll::Ready(Some(Ok(Frame::data(sse::KEEP_ALIVE_COMMENT))));
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Fixed(body) => body.is_none(),
            Source::Reply(guard) => {
                let state = guard.exchange.state();
                state.is_ended && !state.is_broken && state.queue.is_empty()
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Fixed(body) => SizeHint::with_exact(body.as_ref().map_or(0, Bytes::len) as u64),
            Source::Reply(guard) => {
                let state = guard.exchange.state();
                if state.form == Form::Whole {
                    SizeHint::with_exact(state.queued_bytes as u64)
                } else {
                    SizeHint::default()
                }
            }
        }
    }
}

impl KeepAlive {
    fn restart(&mut self) {
        self.timer.as_mut().reset(Instant::now() + self.interval);
    }
}
