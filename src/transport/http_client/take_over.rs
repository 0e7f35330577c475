//! The connection of a listen stream, taken from the HTTP library: its buffers and state (some 20 KiB) would
//! else wait with it for as long as the session lasts, and there is one for each server of each session.
//!
//! Nothing is lost between the two: what the library read behind the head of the answer to a GET is noted, and
//! where that is too much, or the body was looked at, the connection stays with it. What is taken over are the
//! bytes of the body as they come, which `chunked` reads.

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
    seen: Seen,
}

/// What was read since the last write: how much of the answer to a GET.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    /// Of its head.
    Head(HeadSoFar),
    /// All of its head, and this behind it.
    Body(Vec<u8>),
    /// No such answer, or too much of it.
    Other,
}

/// How much of a head came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct HeadSoFar {
    bytes: usize,
    line: Line,
    /// Another one follows (RFC 9110 section 15.2).
    is_interim: bool,
}

/// What of the current line came. A head ends with an empty one; a line may end without `\r`, as the library
/// reads it too (RFC 9112 section 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Line {
    #[default]
    Some,
    Nothing,
    Return,
}

/// Where the status stands: `HTTP/1.1 1xx`.
const STATUS: usize = 9;

/// Most bytes behind a head that are noted.
const NOTED: usize = 4 << 10;

impl Seen {
    /// A request, or a part of one, begins with `bytes`.
    fn asked(bytes: &[u8]) -> Self {
        if bytes.starts_with(b"GET ") {
            Self::Head(HeadSoFar::default())
        } else {
            Self::Other
        }
    }

    fn read(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let (Self::Head(so_far), Some((byte, after))) = (&mut *self, rest.split_first()) {
            rest = after;
            so_far.is_interim |= so_far.bytes == STATUS && *byte == b'1';
            so_far.bytes += 1;
            let is_empty = *byte == b'\n' && so_far.line != Line::Some;
            so_far.line = match (so_far.line, byte) {
                (_, b'\n') => Line::Nothing,
                (Line::Nothing, b'\r') => Line::Return,
                _ => Line::Some,
            };
            if is_empty {
                *self = if so_far.is_interim {
                    Self::Head(HeadSoFar::default())
                } else {
                    Self::Body(Vec::new())
                };
            }
        }
        if let Self::Body(noted) = self
            && !rest.is_empty()
        {
            if noted.len() + rest.len() > NOTED {
                *self = Self::Other;
            } else {
                noted.extend_from_slice(rest);
            }
        }
    }
}

impl Lent {
    pub(super) fn new(stream: MaybeHttpsStream<TokioIo<TcpStream>>) -> Self {
        Self(Arc::new(Mutex::new(State {
            stream: Some(TokioIo::new(stream)),
            seen: Seen::Other,
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

    /// Takes the stream, with what was read behind the head, if that is known; the borrower finds it closed.
    fn take(&self) -> Option<(Inner, Vec<u8>)> {
        let mut state = self.state();
        let Seen::Body(noted) = &mut state.seen else {
            return None;
        };
        let noted = std::mem::take(noted);
        Some((state.stream.take()?, noted))
    }
}

impl AsyncRead for Lent {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.state();
        let State { stream, seen } = &mut *state;
        let Some(stream) = stream else {
            return Poll::Ready(Ok(()));
        };
        let before = buffer.filled().len();
        let read = Pin::new(stream).poll_read(cx, buffer);
        seen.read(&buffer.filled()[before..]);
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
        let Some(stream) = &mut state.stream else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        let written = Pin::new(stream).poll_write(cx, bytes);
        if written.is_ready() {
            state.seen = Seen::asked(bytes);
        }
        written
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
        let Some(stream) = &mut state.stream else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        let written = Pin::new(stream).poll_write_vectored(cx, parts);
        if written.is_ready() {
            state.seen = Seen::asked(parts.first().map_or(&[], |part| part));
        }
        written
    }
}

/// The body of an event stream.
pub(super) enum StreamBody {
    /// As the HTTP library gives it.
    Lent(Incoming),
    /// On a connection of its own.
    Own(Box<OwnBody>),
}

/// A body with the connection that it comes on.
pub(super) struct OwnBody {
    stream: Inner,
    /// What was read of it before.
    noted: Vec<u8>,
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
            Some((stream, noted)) => Self::Own(Box::new(OwnBody {
                stream,
                noted,
                chunks,
            })),
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
            let noted = std::mem::take(&mut self.noted);
            if noted.is_empty() {
                match Pin::new(&mut self.stream).poll_read(cx, &mut room) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Err(error)) => return broken(error.to_string()),
                    Poll::Ready(Ok(())) => {}
                }
            } else {
                room.put_slice(&noted);
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
        let text = b"HTTP/1.1 200 OK\r\na: b\r\n\r\n5\r\n\r\n\r\n";
        let head = text.len() - 7;
        for first in 0..text.len() {
            for second in first..text.len() {
                let mut seen = Seen::asked(b"GET / HTTP/1.1\r\n");
                seen.read(&text[..first]);
                assert_eq!(matches!(seen, Seen::Head(_)), first < head, "{first}");
                seen.read(&text[first..second]);
                seen.read(&text[second..]);
                assert_eq!(seen, Seen::Body(text[head..].to_vec()), "{first} {second}");
            }
        }
    }

    #[test]
    fn interim_answers_are_not_the_answer() {
        let mut bare = Seen::asked(b"GET / HTTP/1.1\r\n");
        bare.read(b"HTTP/1.1 200 OK\na: b\n\n1");
        assert_eq!(bare, Seen::Body(b"1".to_vec()), "lines without a return");
        let mut seen = Seen::asked(b"GET / HTTP/1.1\r\n");
        seen.read(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n5");
        assert_eq!(seen, Seen::Body(b"5".to_vec()));
    }

    #[test]
    fn only_a_little_of_answers_to_a_get_is_noted() {
        let mut posted = Seen::asked(b"POST / HTTP/1.1\r\n");
        posted.read(b"HTTP/1.1 200 OK\r\n\r\n{}");
        assert_eq!(posted, Seen::Other);
        let mut much = Seen::asked(b"GET / HTTP/1.1\r\n");
        much.read(b"HTTP/1.1 200 OK\r\n\r\n");
        much.read(&[b'x'; NOTED]);
        assert!(matches!(much, Seen::Body(_)));
        much.read(b"x");
        assert_eq!(much, Seen::Other);
    }
}
