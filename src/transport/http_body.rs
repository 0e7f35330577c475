//! HTTP bodies, for client and server: outgoing segments without copying, incoming ones within a
//! limit. Knows nothing of what they hold.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// Bodies up to this size are taken out of the buffers that they were read into, which have 8 KiB or more.
const SMALL: usize = 4 << 10;

/// A message as the segments it came in; its length is known, so it goes with `Content-Length`.
#[derive(Debug, Default)]
pub(super) struct Segments {
    parts: VecDeque<Bytes>,
    remaining: u64,
}

impl Segments {
    pub(super) fn new(parts: &[Bytes]) -> Self {
        let parts: VecDeque<Bytes> = parts
            .iter()
            .filter(|part| !part.is_empty())
            .cloned()
            .collect();
        let remaining = parts.iter().map(|part| part.len() as u64).sum();
        Self { parts, remaining }
    }
}

impl Body for Segments {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let part = self.parts.pop_front();
        if let Some(part) = &part {
            self.remaining -= part.len() as u64;
        }
        Poll::Ready(part.map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.parts.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}

/// Why a response body could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error("is larger than the limit of {limit} bytes (at least {size})")]
    TooLarge { size: u64, limit: usize },
    #[error("broke off: {0}")]
    Broken(String),
    #[error("was silent for {0:?}")]
    Idle(Duration),
}

/// The next piece of data; `None` at the clean end of the body. Trailers are skipped.
pub(super) async fn next_data(
    body: &mut Incoming,
    idle: Option<Duration>,
) -> Result<Option<Bytes>, BodyError> {
    loop {
        let frame = match idle {
            None => body.frame().await,
            Some(limit) => tokio::time::timeout(limit, body.frame())
                .await
                .map_err(|_| BodyError::Idle(limit))?,
        };
        match frame {
            None => return Ok(None),
            Some(Err(error)) => return Err(BodyError::Broken(innermost(&error))),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// The whole body, of at most `limit` bytes.
pub(super) async fn collect(
    body: &mut Incoming,
    limit: usize,
    idle: Option<Duration>,
) -> Result<Bytes, BodyError> {
    let announced = body.size_hint().exact();
    if let Some(size) = announced.filter(|size| *size > limit as u64) {
        return Err(BodyError::TooLarge { size, limit });
    }
    let Some(first) = next_data(body, idle).await? else {
        return Ok(Bytes::new());
    };
    let too_large = |size: usize| BodyError::TooLarge {
        size: size as u64,
        limit,
    };
    if first.len() > limit {
        return Err(too_large(first.len()));
    }
    // A body of one piece needs no copy, unless it is so small that whoever keeps it would keep a buffer of
    // many times its size; a large announced one gets its room at once.
    let Some(second) = next_data(body, idle).await? else {
        return Ok(if first.len() <= SMALL {
            Bytes::copy_from_slice(&first)
        } else {
            first
        });
    };
    let room = announced
        .and_then(|size| usize::try_from(size).ok())
        .unwrap_or(first.len() + second.len());
    let mut whole = BytesMut::with_capacity(room);
    whole.extend_from_slice(&first);
    drop(first);
    let mut next = Some(second);
    while let Some(data) = next {
        let size = whole.len() + data.len();
        if size > limit {
            return Err(too_large(size));
        }
        whole.extend_from_slice(&data);
        drop(data);
        next = next_data(body, idle).await?;
    }
    Ok(whole.freeze())
}

/// Up to `limit` bytes of an error's body: whatever arrives before trouble.
pub(super) async fn collect_start(
    body: &mut Incoming,
    limit: usize,
    idle: Option<Duration>,
) -> (Bytes, bool) {
    let mut whole = BytesMut::new();
    loop {
        match next_data(body, idle).await {
            Ok(Some(data)) => {
                let room = limit - whole.len();
                whole.extend_from_slice(&data[..data.len().min(room)]);
                if data.len() > room {
                    return (whole.freeze(), false);
                }
            }
            Ok(None) => return (whole.freeze(), true),
            Err(_) => return (whole.freeze(), false),
        }
    }
}

/// The deepest cause of an error, which is the one that says something.
pub(super) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut current = error;
    while let Some(source) = current.source() {
        current = source;
    }
    current.to_string()
}
