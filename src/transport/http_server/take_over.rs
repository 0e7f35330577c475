//! Listen streams (GET): once one begins, its connection is taken from the HTTP library, whose buffers and
//! state (some 20 KiB) would else wait for as long as the client listens, which may be days.
//!
//! Writes a head and chunks (RFC 9112 sections 4 and 7.1) and notices when the client leaves. Reads no
//! request: the stream is the last response on its connection, and its head says so.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::SystemTime;

use bytes::{Buf as _, Bytes};
use http::Response;
use hyper::body::Body as _;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use super::reply::ReplyBody;

/// A listen stream with the connection that it has for itself.
pub(super) struct Listening<S> {
    stream: S,
    body: ReplyBody,
    /// The client sent something: nobody will read it, nor what follows.
    was_spoken_to: bool,
}

/// What comes next.
enum Next {
    Piece(Bytes),
    End,
    /// The client left, or the stream was broken off.
    Over,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Listening<S> {
    /// Writes the head of `response`.
    ///
    /// # Errors
    /// When the client does not take it.
    pub(super) async fn begin(mut stream: S, response: Response<ReplyBody>) -> io::Result<Self> {
        stream.write_all(&head(&response)).await?;
        stream.flush().await?;
        Ok(Self {
            stream,
            body: response.into_body(),
            was_spoken_to: false,
        })
    }

    /// Writes what comes until the end. Returns the connection if the client may still read from it.
    pub(super) async fn serve(mut self) -> Option<S> {
        loop {
            let written = match std::future::poll_fn(|cx| self.poll_next(cx)).await {
                Next::Piece(piece) => self.write(piece).await,
                Next::End => {
                    let last = self.stream.write_all(b"0\r\n\r\n").await;
                    return last.is_ok().then_some(self.stream);
                }
                Next::Over => return None,
            };
            if let Err(error) = written {
                tracing::debug!(%error, "a listen stream ended");
                return None;
            }
        }
    }

    /// One chunk, with one system call where the socket has room.
    async fn write(&mut self, piece: Bytes) -> io::Result<()> {
        // An empty chunk would be the end.
        if piece.is_empty() {
            return Ok(());
        }
        let size = Bytes::from(format!("{:x}\r\n", piece.len()));
        let mut chunk = size.chain(piece).chain(&b"\r\n"[..]);
        self.stream.write_all_buf(&mut chunk).await?;
        self.stream.flush().await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                return Poll::Ready(Next::Piece(frame.into_data().unwrap_or_default()));
            }
            Poll::Ready(Some(Err(_))) => return Poll::Ready(Next::Over),
            Poll::Ready(None) => return Poll::Ready(Next::End),
            Poll::Pending => {}
        }
        if self.was_spoken_to {
            return Poll::Pending;
        }
        let mut room = [0; 16];
        let mut room = ReadBuf::new(&mut room);
        match Pin::new(&mut self.stream).poll_read(cx, &mut room) {
            Poll::Ready(Ok(())) if !room.filled().is_empty() => {
                self.was_spoken_to = true;
                Poll::Pending
            }
            Poll::Ready(_) => Poll::Ready(Next::Over),
            Poll::Pending => Poll::Pending,
        }
    }
}

fn head(response: &Response<ReplyBody>) -> Vec<u8> {
    let date = httpdate::fmt_http_date(SystemTime::now());
    let mut head = format!("HTTP/1.1 {}\r\ndate: {date}\r\n", response.status()).into_bytes();
    for (name, value) in response.headers() {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n");
    head
}
