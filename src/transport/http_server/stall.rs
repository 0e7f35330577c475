//! Clients that stop reading, or never finish what they began to ask: their connection is closed after a while,
//! so that what waits for them does not wait for ever.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Sleep;

/// A wait of one connection that may not last for ever.
pub(super) struct Patience {
    limit: Duration,
    /// What the client does not do.
    complaint: &'static str,
    /// Runs while it is waited.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    /// Waits until a client that reads takes something of what is written.
    pub(super) fn with_writes(limit: Duration) -> Self {
        Self::new(limit, "the client reads nothing any more")
    }

    /// Waits until the head of a request is complete. This is apart from how long a connection may be idle, which
    /// has to be longer than clients keep theirs: a request that is written into the moment of our closing would be
    /// lost.
    pub(super) fn with_heads(limit: Duration) -> Self {
        Self::new(limit, "the head of a request does not come to its end")
    }

    fn new(limit: Duration, complaint: &'static str) -> Self {
        Self {
            limit,
            complaint,
            timer: None,
        }
    }

    /// It is waited: ready with the error once that took too long.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let limit = self.limit;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        timer.as_mut().poll(cx).map(|()| {
            tracing::debug!(after = ?limit, "{}; its connection is closed", self.complaint);
            io::Error::new(io::ErrorKind::TimedOut, self.complaint)
        })
    }

    /// What was waited for came.
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
