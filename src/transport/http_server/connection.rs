//! One accepted connection: its stream, lent to the HTTP library, and what is remembered of it.

use super::reply::ReplyBody;
use super::stall::Patience;
use super::stream::Stream;
use bytes::{Buf as _, Bytes};
use http::Response;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

/// What is remembered of a connection for its end.
#[derive(Default)]
pub(super) struct ConnectionFlags {
    is_mid_request: AtomicBool,
    /// The head that began last is complete; the first one begins with the connection.
    has_head: AtomicBool,
    /// Requests that began.
    asked: AtomicU32,
    /// A request is being answered, until the last of its answer was handed to the library.
    is_answering: AtomicBool,
    /// A head took too long.
    is_head_late: AtomicBool,
    /// The HTTP library closes its sending half, and reads no further request.
    is_closing: AtomicBool,
    lingers: AtomicBool,
    /// The last write or flush did not go through at once.
    is_write_held_up: AtomicBool,
    /// The response that goes on without the HTTP library.
    handed_over: Mutex<Option<Box<Response<ReplyBody>>>>,
    was_handed_over: Notify,
}

impl ConnectionFlags {
    /// Takes a response that is to go on without the HTTP library; gives it back where an earlier one may
    /// still be in the library's hands.
    pub(super) fn hand_over(&self, response: Response<ReplyBody>) -> Option<Response<ReplyBody>> {
        if self.is_write_held_up.load(Ordering::Relaxed) {
            return Some(response);
        }
        let mut place = self
            .handed_over
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        *place = Some(Box::new(response));
        self.was_handed_over.notify_one();
        None
    }

    /// Requests that began so far; counts round and round.
    pub(super) fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }

    /// Whether the HTTP library has nothing under way: there was a request, all are answered, the answers are
    /// written, and nothing came since.
    pub(super) fn may_rest(&self) -> bool {
        self.asked() > 0
            && !self.is_answering.load(Ordering::Relaxed)
            && !self.is_mid_request.load(Ordering::Relaxed)
            && !self.is_write_held_up.load(Ordering::Relaxed)
            && !self.is_closing.load(Ordering::Relaxed)
    }

    /// Waits for such a response. Cancel safe.
    pub(super) async fn handed_over(&self) -> Box<Response<ReplyBody>> {
        loop {
            let handed = self
                .handed_over
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner())
                .take();
            if let Some(response) = handed {
                return response;
            }
            self.was_handed_over.notified().await;
        }
    }

    /// Bytes came in. Between two requests they begin a head; else they are a body, or a head that comes early and
    /// has no hurry.
    fn bytes_came(&self) {
        self.is_mid_request.store(true, Ordering::Relaxed);
        if !self.is_answering.load(Ordering::Relaxed) {
            self.has_head.store(false, Ordering::Relaxed);
        }
    }

    /// Whether the client owes the rest of a head.
    fn awaits_head(&self) -> bool {
        !self.has_head.load(Ordering::Relaxed)
    }

    pub(super) fn is_head_late(&self) -> bool {
        self.is_head_late.load(Ordering::Relaxed)
    }

    /// A request was refused before its body was read.
    pub(super) fn linger(&self) {
        self.lingers.store(true, Ordering::Relaxed);
    }

    pub(super) fn lingers(&self) -> bool {
        self.lingers.load(Ordering::Relaxed)
    }

    /// Bytes came in after the last answer went out.
    pub(super) fn is_mid_request(&self) -> bool {
        self.is_mid_request.load(Ordering::Relaxed)
    }
}

/// A request that is being answered, until it is dropped with its answer.
pub(super) struct Answering(Arc<ConnectionFlags>);

impl Answering {
    pub(super) fn begin(flags: &Arc<ConnectionFlags>) -> Self {
        flags.has_head.store(true, Ordering::Relaxed);
        flags.is_answering.store(true, Ordering::Relaxed);
        flags.asked.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(flags))
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.is_answering.store(false, Ordering::Relaxed);
    }
}

/// The connection's stream, lent to the HTTP library so that it can be had back at the end.
pub(super) struct SharedStream {
    pub(super) stream: Arc<Mutex<Stream>>,
    pub(super) flags: Arc<ConnectionFlags>,
    pub(super) writes: Patience,
    /// None where no further request is read.
    pub(super) heads: Option<Patience>,
    /// What was read already and comes first.
    pub(super) early: Bytes,
}

impl SharedStream {
    fn with<T>(&self, work: impl FnOnce(Pin<&mut Stream>) -> T) -> T {
        // One task uses it, so the lock is always free.
        let mut stream = self
            .stream
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        work(Pin::new(&mut stream))
    }

    /// Looks at what became of a write; one that the client holds up for too long fails.
    fn note_write(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let is_held_up = written.is_pending();
        self.flags
            .is_write_held_up
            .store(is_held_up, Ordering::Relaxed);
        match written {
            Poll::Ready(Ok(size)) if size > 0 => {
                self.flags.is_mid_request.store(false, Ordering::Relaxed);
                self.writes.is_over();
                written
            }
            Poll::Pending => self.writes.poll(cx).map(Err),
            Poll::Ready(_) => written,
        }
    }
}

impl AsyncRead for SharedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.early.is_empty() {
            let size = self.early.len().min(buffer.remaining());
            buffer.put_slice(&self.early[..size]);
            self.early.advance(size);
            self.flags.bytes_came();
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = self.with(|stream| stream.poll_read(cx, buffer));
        if buffer.filled().len() > before {
            self.flags.bytes_came();
        }
        let awaits_head = self.flags.awaits_head();
        match &mut self.heads {
            Some(heads) if awaits_head && read.is_pending() => {
                let late = heads.poll(cx).map(Err);
                let is_late = late.is_ready();
                self.flags.is_head_late.store(is_late, Ordering::Relaxed);
                return late;
            }
            Some(heads) if !awaits_head => heads.is_over(),
            _ => {}
        }
        read
    }
}

impl AsyncWrite for SharedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = self.with(|stream| stream.poll_write(cx, bytes));
        self.note_write(cx, written)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.with(|stream| stream.poll_flush(cx));
        // TLS takes a write and keeps it where the client reads slowly.
        self.flags
            .is_write_held_up
            .store(flushed.is_pending(), Ordering::Relaxed);
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // TLS has something to write for it, which may have to wait.
        self.flags.is_closing.store(true, Ordering::Relaxed);
        self.with(|stream| stream.poll_shutdown(cx))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.with(|stream| stream.poll_write_vectored(cx, parts));
        self.note_write(cx, written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_owed_at_the_begin_and_between_requests_and_not_within_one() {
        let flags = Arc::new(ConnectionFlags::default());
        assert!(flags.awaits_head(), "the first one");
        flags.bytes_came();
        assert!(flags.awaits_head(), "a part of it");
        let answering = Answering::begin(&flags);
        assert!(!flags.awaits_head());
        // `100 Continue` is written, then the body comes: its time is another one.
        flags.is_mid_request.store(false, Ordering::Relaxed);
        flags.bytes_came();
        assert!(!flags.awaits_head(), "a body");
        drop(answering);
        assert!(!flags.awaits_head(), "an idle connection owes nothing");
        flags.bytes_came();
        assert!(flags.awaits_head(), "the next one began");
    }

    #[test]
    fn a_connection_may_rest_when_nothing_is_under_way_and_it_is_not_being_closed() {
        let flags = Arc::new(ConnectionFlags::default());
        assert!(!flags.may_rest(), "the first request is awaited");
        flags.bytes_came();
        let answering = Answering::begin(&flags);
        flags.is_mid_request.store(false, Ordering::Relaxed);
        assert!(!flags.may_rest(), "it is being answered");
        drop(answering);
        assert!(flags.may_rest());
        for under_way in [
            &flags.is_mid_request,
            &flags.is_write_held_up,
            &flags.is_closing,
        ] {
            under_way.store(true, Ordering::Relaxed);
            assert!(!flags.may_rest());
            under_way.store(false, Ordering::Relaxed);
        }
        assert!(flags.may_rest());
    }
}
