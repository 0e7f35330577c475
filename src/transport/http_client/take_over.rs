//! The connection of a listen stream, taken from the HTTP library: its buffers and state (some 20 KiB) would
//! else wait with it for as long as the session lasts, and there is one for each server of each session.
//!
//! It is taken only where the library has read the response's head and not a byte more, so that nothing is
//! lost between the two. From then on only bytes of the body come, which `chunked` reads.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response, Version, header};
use hyper::body::Incoming;
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::chunked::Chunks;
use crate::transport::http_body::{self as body, BodyError};
use std::time::Duration;

/// Bytes that are read at a time.
const READ: usize = 8 << 10;

/// What a connection is made of.
type Inner = TokioIo<MaybeHttpsStream<TokioIo<TcpStream>>>;

/// A connection, lent to the HTTP library so that it can be had back.
#[derive(Clone)]
pub(super) struct Lent(Arc<Mutex<State>>);

struct State {
    /// None once it was taken back.
    stream: Option<Inner>,
    head: Head,
}

/// How much of a response's head was read since the last write, by the bytes at its end (RFC 9112 section
/// 2.1): how many bytes of `\r\n\r\n` stand last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Head {
    Reading(usize),
    /// To its end, and nothing behind it.
    Whole,
    /// And more.
    Passed,
}

const HEAD_END: &[u8] = b"\r\n\r\n";

impl Head {
    fn read(&mut self, bytes: &[u8]) {
        for byte in bytes {
            *self = match *self {
                Self::Reading(seen) => match (seen + usize::from(HEAD_END[seen] == *byte), byte) {
                    (4, _) => Self::Whole,
                    (now, _) if now > seen => Self::Reading(now),
                    (_, b'\r') => Self::Reading(1),
                    _ => Self::Reading(0),
                },
                Self::Whole | Self::Passed => {
                    *self = Self::Passed;
                    return;
                }
            };
        }
    }
}

impl Lent {
    pub(super) fn new(stream: MaybeHttpsStream<TokioIo<TcpStream>>) -> Self {
        Self(Arc::new(Mutex::new(State {
            stream: Some(TokioIo::new(stream)),
            head: Head::Reading(0),
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // One task uses it at a time, so the lock is as good as always free.
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Looks at the stream, while it is here.
    pub(super) fn with<T>(
        &self,
        look: impl FnOnce(&MaybeHttpsStream<TokioIo<TcpStream>>) -> T,
    ) -> Option<T> {
        self.state().stream.as_ref().map(|io| look(io.inner()))
    }

    /// Takes the stream if nothing but a head was read from it; the borrower finds it closed.
    fn take(&self) -> Option<Inner> {
        let mut state = self.state();
        if state.head != Head::Whole {
            return None;
        }
        state.stream.take()
    }
}

impl AsyncRead for Lent {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.state();
        let State { stream, head } = &mut *state;
        let Some(stream) = stream else {
            return Poll::Ready(Ok(()));
        };
        let before = buffer.filled().len();
        let read = Pin::new(stream).poll_read(cx, buffer);
        head.read(&buffer.filled()[before..]);
        read
    }
}

impl AsyncWrite for Lent {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.state();
        state.head = Head::Reading(0);
        match &mut state.stream {
            Some(stream) => Pin::new(stream).poll_write(cx, bytes),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.state().stream {
            Some(stream) => Pin::new(stream).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.state().stream {
            Some(stream) => Pin::new(stream).poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        let state = self.state();
        state
            .stream
            .as_ref()
            .is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.state();
        state.head = Head::Reading(0);
        match &mut state.stream {
            Some(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }
}

/// The body of an event stream.
pub(super) enum StreamBody {
    /// As the HTTP library gives it.
    Lent(Incoming),
    /// On a connection of its own.
    Own(OwnBody),
}

/// A body with the connection that it comes on.
pub(super) struct OwnBody {
    stream: Inner,
    /// None where it goes on until the connection ends.
    chunks: Option<Chunks>,
}

impl StreamBody {
    /// The body of a response, with its connection where that can be had.
    pub(super) fn take(response: Response<Incoming>) -> Self {
        let chunks = match coding(response.version(), response.headers()) {
            Some(Coding::Chunked) => Some(Chunks::default()),
            Some(Coding::UntilClosed) => None,
            None => return Self::Lent(response.into_body()),
        };
        let taken = response.extensions().get::<Lent>().and_then(Lent::take);
        match taken {
            // With the response goes the library's part of the connection.
            Some(stream) => Self::Own(OwnBody { stream, chunks }),
            None => Self::Lent(response.into_body()),
        }
    }

    /// As [`body::next_data`].
    pub(super) async fn next_data(
        &mut self,
        idle: Option<Duration>,
    ) -> Result<Option<Bytes>, BodyError> {
        let own = match self {
            Self::Lent(incoming) => return body::next_data(incoming, idle).await,
            Self::Own(own) => own,
        };
        let next = std::future::poll_fn(|cx| own.poll_data(cx));
        match idle {
            None => next.await,
            Some(limit) => tokio::time::timeout(limit, next)
                .await
                .map_err(|_| BodyError::Idle(limit))?,
        }
    }
}

impl OwnBody {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        let broken = |reason: String| Poll::Ready(Err(BodyError::Broken(reason)));
        loop {
            if self.chunks.as_ref().is_some_and(Chunks::is_over) {
                return Poll::Ready(Ok(None));
            }
            // On the stack: nothing is held while nothing comes.
            let mut room = [std::mem::MaybeUninit::uninit(); READ];
            let mut room = ReadBuf::uninit(&mut room);
            match Pin::new(&mut self.stream).poll_read(cx, &mut room) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return broken(error.to_string()),
                Poll::Ready(Ok(())) => {}
            }
            let read = room.filled();
            let Some(chunks) = &mut self.chunks else {
                let data = Bytes::copy_from_slice(read);
                return Poll::Ready(Ok((!read.is_empty()).then_some(data)));
            };
            if read.is_empty() {
                return broken("the connection was closed inside the body".to_owned());
            }
            let mut data = BytesMut::new();
            let mut at = 0;
            loop {
                match chunks.next(read, &mut at) {
                    Ok(Some(range)) => data.extend_from_slice(&read[range]),
                    Ok(None) => break,
                    Err(error) => return broken(error.to_string()),
                }
            }
            if !data.is_empty() {
                return Poll::Ready(Ok(Some(data.freeze())));
            }
        }
    }
}

enum Coding {
    Chunked,
    UntilClosed,
}

/// How a body ends that has no length (RFC 9112 section 6.3); none where another rule holds.
fn coding(version: Version, headers: &HeaderMap) -> Option<Coding> {
    if headers.contains_key(header::CONTENT_LENGTH) {
        return None;
    }
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Some(Coding::UntilClosed),
        (Some(only), None) if version == Version::HTTP_11 => only
            .as_bytes()
            .trim_ascii()
            .eq_ignore_ascii_case(b"chunked")
            .then_some(Coding::Chunked),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_head_is_found_wherever_it_is_cut() {
        let text = b"HTTP/1.1 200 OK\r\na: b\r\n\r\n";
        for cut in 0..text.len() {
            let mut head = Head::Reading(0);
            head.read(&text[..cut]);
            assert!(matches!(head, Head::Reading(_)), "{cut}");
            head.read(&text[cut..]);
            assert_eq!(head, Head::Whole, "{cut}");
            head.read(b"");
            assert_eq!(head, Head::Whole, "{cut}");
            head.read(b"1");
            assert_eq!(head, Head::Passed, "{cut}");
        }
        for more in [
            &b"HTTP/1.1 200 OK\r\n\r\n0\r\n\r\n"[..],
            b"\r\n\r\n\r\n\r\n",
        ] {
            let mut head = Head::Reading(0);
            head.read(more);
            assert_eq!(head, Head::Passed, "more came than a head");
        }
    }
}
