//! Clients that stop reading, or never finish what they began to ask: their connection is closed after a while,
//! so that what waits for them does not wait for ever.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Sleep;

/// Watches over writes of one connection.
pub(super) struct Stall {
    limit: Duration,
    /// Runs while a write waits.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Stall {
    /// Lets a write wait for `limit`.
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, timer: None }
    }

    /// A write waits: ready with the error once that took too long.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let limit = self.limit;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        timer.as_mut().poll(cx).map(|()| {
            tracing::debug!(after = ?limit, "a client reads nothing any more; its connection is closed");
            io::Error::new(io::ErrorKind::TimedOut, "the client reads nothing any more")
        })
    }

    /// Something was written.
    pub(super) fn is_over(&mut self) {
        self.timer = None;
    }
}

/// Watches over the head of a request. Apart from the time that a connection may be idle, which has to be longer
/// than clients keep theirs: a request that is written into the moment of our closing would be lost.
pub(super) struct HeadClock {
    limit: Duration,
    /// Runs while a part of a head waits for the rest.
    timer: Option<Pin<Box<Sleep>>>,
}

impl HeadClock {
    /// Lets a head take `limit`.
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, timer: None }
    }

    /// There is nothing to read, and the head is not complete: ready with the error once that took too long.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let limit = self.limit;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        let error = || io::Error::new(io::ErrorKind::TimedOut, "the head took too long");
        timer.as_mut().poll(cx).map(|()| error())
    }

    /// The head is complete.
    pub(super) fn is_over(&mut self) {
        self.timer = None;
    }
}

/// Has the system give a peer up that acknowledges nothing for this long (`TCP_USER_TIMEOUT`, RFC 5482):
/// little is written on a quiet stream, so that its buffer never fills when the peer is gone without a
/// word.
pub(super) fn give_up_after(stream: &TcpStream, limit: Duration) {
    #[cfg(target_os = "linux")]
    {
        let millis = u32::try_from(limit.as_millis()).unwrap_or(u32::MAX);
        // Without it such peers are noticed later, by the system's own patience.
        let _ = rustix::net::sockopt::set_tcp_user_timeout(stream, millis);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (stream, limit);
}
