//! The answer to one request, given piece by piece from outside the runtime's tasks.
//!
//! [`Reply`] never waits: it queues within bounds and says when a reader is too slow. The other
//! half, in `body`, feeds the connection. What to answer is the caller's to decide.

mod body;

pub(super) use body::{Pending, ReplyBody, pair};

use super::refusal::Refusal;
use crate::jsonrpc::sse;
use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName};
use http::{HeaderValue, StatusCode};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Waker};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// Asks nginx and its kin not to hold events back.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// Events up to this size are written as one piece: a small copy is cheaper than many chunks.
const SMALL_EVENT_BYTES: usize = 16 << 10;
/// Most bytes that the connection takes at a time.
const MAX_WRITE: usize = 128 << 10;

/// Why a reply did not take something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// The client reads too slowly: the queue is full. Nothing was taken.
    #[error("the client reads too slowly: {queued_bytes} bytes are waiting for it")]
    Full {
        /// Bytes in the queue.
        queued_bytes: usize,
    },
    /// The client hung up.
    #[error("the client has hung up")]
    Gone,
    /// The response was started in another form, or has ended.
    #[error("the reply was already given")]
    AlreadyGiven,
}

/// The sending half of one response. Clones share it; when the last one goes without an end, the
/// client gets an error (or a broken stream) instead of waiting for ever.
#[derive(Clone)]
pub struct Reply {
    last: Arc<LastReply>,
}

struct LastReply {
    exchange: Arc<Exchange>,
}

impl Drop for LastReply {
    fn drop(&mut self) {
        self.exchange.abandon();
    }
}

/// What both halves share.
struct Exchange {
    state: Mutex<State>,
    max_queued_bytes: usize,
    max_queued_events: usize,
    max_queued_total: usize,
}

#[derive(Default)]
struct State {
    headers: HeaderMap,
    form: Form,
    status: StatusCode,
    /// Pieces to write; `true` marks the last piece of an event.
    queue: VecDeque<(Bytes, bool)>,
    queued_bytes: usize,
    /// Bytes in the queues of all replies.
    queued_total: Arc<AtomicUsize>,
    queued_events: usize,
    is_ended: bool,
    is_broken: bool,
    is_gone: bool,
    waker: Option<Waker>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Form {
    #[default]
    Undecided,
    Whole,
    Stream,
}

impl Reply {
    /// Adds a header to the response that has not started yet, in place of one of that name.
    ///
    /// # Errors
    /// [`ReplyError::AlreadyGiven`] once the response has started.
    pub fn set_header(&self, name: HeaderName, value: HeaderValue) -> Result<(), ReplyError> {
        let mut state = self.state();
        if state.form != Form::Undecided {
            return Err(ReplyError::AlreadyGiven);
        }
        state.headers.insert(name, value);
        Ok(())
    }

    /// The whole response: `segments` as one JSON body with `Content-Length`. Its size has no
    /// limit here, since it is in memory already.
    ///
    /// # Errors
    /// [`ReplyError::AlreadyGiven`], [`ReplyError::Gone`].
    pub fn start_json(
        &self,
        status: StatusCode,
        headers: Vec<(HeaderName, HeaderValue)>,
        segments: Vec<Bytes>,
    ) -> Result<(), ReplyError> {
        self.whole(status, headers, segments, true)
    }

    /// The whole response: a status with or without a JSON body.
    ///
    /// # Errors
    /// [`ReplyError::AlreadyGiven`], [`ReplyError::Gone`].
    pub fn status(
        &self,
        status: StatusCode,
        headers: Vec<(HeaderName, HeaderValue)>,
        body: Option<Bytes>,
    ) -> Result<(), ReplyError> {
        let has_body = body.is_some();
        self.whole(status, headers, body.into_iter().collect(), has_body)
    }

    /// Starts an event stream without an event, so that the client gets the head at once.
    /// No effect when it has started.
    ///
    /// # Errors
    /// [`ReplyError::AlreadyGiven`], [`ReplyError::Gone`].
    pub fn start_stream(&self) -> Result<(), ReplyError> {
        let mut state = self.state();
        state.open_stream()?;
        state.wake();
        Ok(())
    }

    /// Queues one message as an event, starting the stream if need be.
    ///
    /// # Errors
    /// [`ReplyError::Full`] for a slow reader, [`ReplyError::AlreadyGiven`], [`ReplyError::Gone`].
    pub fn event(&self, segments: &[Bytes], id: Option<&str>) -> Result<(), ReplyError> {
        self.queue_event(segments, id, false)
    }

    /// Queues the final message even for a slow reader, and ends the stream.
    ///
    /// # Errors
    /// [`ReplyError::AlreadyGiven`], [`ReplyError::Gone`].
    pub fn last_event(&self, segments: &[Bytes], id: Option<&str>) -> Result<(), ReplyError> {
        self.queue_event(segments, id, true)
    }

    /// Ends the stream after what is queued. If nothing was started, an empty stream. No effect
    /// after the end.
    pub fn end(&self) {
        let mut state = self.state();
        if state.is_ended || state.open_stream().is_err() {
            return;
        }
        state.is_ended = true;
        state.wake();
    }

    /// Breaks the connection, dropping what is queued: for a reader that does not keep up.
    pub fn abort(&self) {
        let mut state = self.state();
        state.is_ended = true;
        state.break_off();
    }

    /// Bytes waiting for the client.
    pub fn queued_bytes(&self) -> usize {
        self.state().queued_bytes
    }

    /// Whether the client has hung up.
    pub fn is_gone(&self) -> bool {
        self.state().is_gone
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.last.exchange.state()
    }

    fn whole(
        &self,
        status: StatusCode,
        headers: Vec<(HeaderName, HeaderValue)>,
        segments: Vec<Bytes>,
        is_json: bool,
    ) -> Result<(), ReplyError> {
        let mut state = self.state();
        state.check_writable()?;
        if state.form != Form::Undecided {
            return Err(ReplyError::AlreadyGiven);
        }
        state.form = Form::Whole;
        state.status = status;
        if is_json {
            state.headers.insert(header::CONTENT_TYPE, JSON);
        }
        for (name, value) in headers {
            state.headers.insert(name, value);
        }
        for segment in segments {
            state.push(segment, false);
        }
        state.is_ended = true;
        state.wake();
        Ok(())
    }

    fn queue_event(
        &self,
        segments: &[Bytes],
        id: Option<&str>,
        is_last: bool,
    ) -> Result<(), ReplyError> {
        let exchange = &self.last.exchange;
        let mut state = exchange.state();
        state.open_stream()?;
        let size: usize = segments.iter().map(Bytes::len).sum();
        let is_full = state.queued_events >= exchange.max_queued_events
            || state.queued_bytes.saturating_add(size) > exchange.max_queued_bytes
            // Where memory is short, it is those who are behind that get nothing more.
            || state.queued_bytes > SMALL_EVENT_BYTES
                && state.queued_total.load(Ordering::Relaxed) > exchange.max_queued_total;
        if is_full && state.queued_events > 0 && !is_last {
            return Err(ReplyError::Full {
                queued_bytes: state.queued_bytes,
            });
        }
        let mut pieces = sse::encode_event(segments, id);
        let size: usize = pieces.iter().map(Bytes::len).sum();
        if size <= SMALL_EVENT_BYTES {
            let mut joined = BytesMut::with_capacity(size);
            pieces
                .iter()
                .for_each(|piece| joined.extend_from_slice(piece));
            pieces = vec![joined.freeze()];
        }
        let last = pieces.len() - 1;
        for (index, piece) in pieces.into_iter().enumerate() {
            state.push(piece, index == last);
        }
        state.queued_events += 1;
        state.is_ended = is_last;
        state.wake();
        Ok(())
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state();
        f.debug_struct("Reply")
            .field("form", &state.form)
            .field("queued_bytes", &state.queued_bytes)
            .field("is_ended", &state.is_ended)
            .field("is_gone", &state.is_gone)
            .finish()
    }
}

impl State {
    fn check_writable(&self) -> Result<(), ReplyError> {
        if self.is_gone {
            Err(ReplyError::Gone)
        } else if self.is_ended {
            Err(ReplyError::AlreadyGiven)
        } else {
            Ok(())
        }
    }

    fn open_stream(&mut self) -> Result<(), ReplyError> {
        self.check_writable()?;
        match self.form {
            Form::Stream => {}
            Form::Whole => return Err(ReplyError::AlreadyGiven),
            Form::Undecided => {
                self.form = Form::Stream;
                self.status = StatusCode::OK;
                self.headers.insert(header::CONTENT_TYPE, EVENT_STREAM);
                self.headers.insert(header::CACHE_CONTROL, NO_STORE);
                self.headers
                    .insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
            }
        }
        Ok(())
    }

    fn push(&mut self, piece: Bytes, ends_event: bool) {
        if piece.is_empty() {
            return;
        }
        self.queued_bytes += piece.len();
        self.queued_total.fetch_add(piece.len(), Ordering::Relaxed);
        self.queue.push_back((piece, ends_event));
    }

    /// Takes what is written next, in parts: what the connection has taken is no longer counted, so it must
    /// not take a large answer whole while its client reads nothing.
    fn pop(&mut self) -> Option<Bytes> {
        let (mut piece, mut ends_event) = self.queue.pop_front()?;
        if piece.len() > MAX_WRITE {
            let rest = piece.split_off(MAX_WRITE);
            self.queue.push_front((rest, ends_event));
            ends_event = false;
        }
        self.queued_bytes -= piece.len();
        self.queued_total.fetch_sub(piece.len(), Ordering::Relaxed);
        self.queued_events -= usize::from(ends_event);
        Some(piece)
    }

    fn clear(&mut self) {
        self.queue = VecDeque::new();
        self.queued_total
            .fetch_sub(self.queued_bytes, Ordering::Relaxed);
        self.queued_bytes = 0;
        self.queued_events = 0;
    }

    fn break_off(&mut self) {
        self.is_broken = true;
        self.clear();
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn wait(&mut self, cx: &Context<'_>) {
        match &mut self.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }
}

impl Exchange {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while holding the lock; if something did, the state is still whole.
        self.state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The last `Reply` is gone: the client must not wait for what nobody will give.
    fn abandon(&self) {
        let mut state = self.state();
        if state.is_ended || state.is_gone {
            return;
        }
        state.is_ended = true;
        if state.form == Form::Undecided {
            let message = "the request was dropped without an answer";
            let refusal = Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, message);
            state.form = Form::Whole;
            state.status = refusal.status;
            state.headers.insert(header::CONTENT_TYPE, JSON);
            state.push(refusal.body(), false);
            state.wake();
        } else {
            // A clean end would look like a complete stream.
            state.break_off();
        }
    }
}
