//! Connections on which nothing is asked for a moment: what the HTTP library holds for them, its buffers and its
//! state, is given back until the next request comes. Clients keep connections for minutes, between the turns of a
//! conversation.
//!
//! Only waits. Whether a connection may rest is [`ConnectionFlags::may_rest`]'s to say.

use super::connection::ConnectionFlags;
use super::stream::Stream;
use bytes::Bytes;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A connection rests when nothing was asked on it for so long, and at most as long again.
pub(super) const REST_AFTER: Duration = Duration::from_millis(500);
/// Bytes that are taken of what wakes a connection; the library reads the others.
const WAKING: usize = 32;

/// Waits until a connection has been quiet for [`REST_AFTER`]. Cancel safe.
pub(super) struct Quiet<'a> {
    flags: &'a ConnectionFlags,
    /// Requests that had begun when it was looked last.
    asked: u32,
    look: Instant,
}

impl<'a> Quiet<'a> {
    pub(super) fn new(flags: &'a ConnectionFlags) -> Self {
        Self {
            flags,
            asked: flags.asked(),
            look: Instant::now() + REST_AFTER,
        }
    }

    /// It looks now and then, for a timer that each request sets anew would cost each request.
    pub(super) async fn begins(&mut self) {
        loop {
            tokio::time::sleep_until(self.look).await;
            self.look = Instant::now() + REST_AFTER;
            let asked = self.flags.asked();
            if asked == self.asked && self.flags.may_rest() {
                return;
            }
            self.asked = asked;
        }
    }
}

/// Waits for the first bytes of the next request, for `limit` at most. None when the connection is over: the client
/// left, nothing came, or no more requests are taken.
pub(super) async fn rest(
    stream: &Mutex<Stream>,
    limit: Duration,
    drain: &CancellationToken,
) -> Option<Bytes> {
    let waking = tokio::time::timeout(limit, poll_fn(|cx| poll_wake(stream, cx)));
    drain.run_until_cancelled(waking).await?.ok()?
}

fn poll_wake(stream: &Mutex<Stream>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
    let mut room = [0; WAKING];
    let mut room = ReadBuf::new(&mut room);
    // One task uses it, so the lock is always free.
    let mut stream = stream
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    match Pin::new(&mut *stream).poll_read(cx, &mut room) {
        Poll::Ready(Ok(())) if !room.filled().is_empty() => {
            Poll::Ready(Some(Bytes::copy_from_slice(room.filled())))
        }
        Poll::Ready(_) => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    }
}
