//! The decoder: arbitrary chunks in, whole events out, within a size limit.
//!
//! Follows "9.2.6 Interpreting an event stream" of the HTML standard, except that bytes are not
//! decoded as UTF-8: the data of an event is handed on exactly as it came.

use bytes::{Bytes, BytesMut};
use std::time::Duration;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// One dispatched event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SseEvent {
    /// Value of the `event` field; `None` means the default, `message`.
    pub name: Option<String>,
    /// The `data` lines joined with LF. Empty for an event that only announces an id.
    pub data: Bytes,
}

impl SseEvent {
    /// Whether this is an event of the default type, the only one that carries MCP messages.
    pub fn is_message(&self) -> bool {
        self.name.as_deref().is_none_or(|name| name == "message")
    }
}

/// Why a stream cannot be decoded any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    /// The event that was being collected passed the limit.
    #[error("event is too large: at least {size} bytes, the limit is {limit}")]
    TooLarge {
        /// Bytes of the event seen when it was refused; the whole may be larger.
        size: usize,
        /// The limit given to [`SseDecoder::new`], in bytes.
        limit: usize,
    },
}

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    /// Before the first byte of the stream, where a byte order mark may stand.
    StreamStart,
    /// Inside a line that is collected, or at its start.
    Line,
    /// Inside a comment: skipped without keeping anything, so it may be endless.
    Comment,
}

/// Incremental decoder of one event stream.
#[derive(Debug)]
pub struct SseDecoder {
    limit: usize,
    position: Position,
    /// The last byte was CR, so a LF that follows belongs to the same line end.
    after_carriage_return: bool,
    line: BytesMut,
    name: Option<String>,
    /// `Some` once a `data` field was seen, so that empty data differs from none.
    data: Option<BytesMut>,
    /// Value of the last `id` field; taken over when the event is dispatched.
    pending_id: Option<String>,
    last_event_id: Option<String>,
    retry: Option<Duration>,
    failure: Option<SseError>,
}

impl SseDecoder {
    /// A decoder that refuses events of more than `limit` bytes (all fields together).
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            position: Position::StreamStart,
            after_carriage_return: false,
            line: BytesMut::new(),
            name: None,
            data: None,
            pending_id: None,
            last_event_id: None,
            retry: None,
            failure: None,
        }
    }

    /// Consumes `input` up to the end of the first event in it and returns that event; `None` when
    /// `input` was used up before. Call it until it returns `None`, then feed the next chunk.
    ///
    /// # Errors
    /// [`SseError::TooLarge`]; the decoder answers the same to every later call.
    pub fn feed(&mut self, input: &mut &[u8]) -> Result<Option<SseEvent>, SseError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        while !input.is_empty() {
            if self.after_carriage_return {
                self.after_carriage_return = false;
                if input[0] == b'\n' {
                    *input = &input[1..];
                    continue;
                }
            }
            if self.position == Position::StreamStart && !self.skip_byte_order_mark(input) {
                continue;
            }
            if self.position == Position::Line && self.line.is_empty() && input[0] == b':' {
                self.position = Position::Comment;
            }
            let end = memchr::memchr2(b'\r', b'\n', input);
            let part = &input[..end.unwrap_or(input.len())];
            if self.position == Position::Line {
                self.keep(part)?;
            }
            let Some(end) = end else {
                *input = &[];
                break;
            };
            self.after_carriage_return = input[end] == b'\r';
            *input = &input[end + 1..];
            if self.position == Position::Comment {
                self.position = Position::Line;
            } else if let Some(event) = self.end_of_line() {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// The id to send as `Last-Event-ID` when the stream is resumed: that of the last dispatched
    /// event which had one. `None` when the server sent none.
    pub fn last_event_id(&self) -> Option<&str> {
        self.last_event_id.as_deref().filter(|id| !id.is_empty())
    }

    /// The last `retry` field: how long to wait before reconnecting.
    pub fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Bytes held for the event that is being collected.
    pub fn buffered(&self) -> usize {
        self.line.len()
            + self.data.as_ref().map_or(0, BytesMut::len)
            + self.name.as_ref().map_or(0, String::len)
            + self.pending_id.as_ref().map_or(0, String::len)
    }

    /// Collects the first three bytes. True when the start of the stream is decided.
    fn skip_byte_order_mark(&mut self, input: &mut &[u8]) -> bool {
        let expected = BYTE_ORDER_MARK[self.line.len()];
        if input[0] == expected {
            self.line.extend_from_slice(&input[..1]);
            *input = &input[1..];
            if self.line.len() == BYTE_ORDER_MARK.len() {
                self.line.clear();
                self.position = Position::Line;
            }
            return false;
        }
        // Not a mark: what was collected so far is the start of an ordinary line.
        self.position = Position::Line;
        true
    }

    fn keep(&mut self, part: &[u8]) -> Result<(), SseError> {
        let size = self.buffered().saturating_add(part.len());
        if size > self.limit {
            let failure = SseError::TooLarge {
                size,
                limit: self.limit,
            };
            self.line = BytesMut::new();
            self.data = None;
            self.failure = Some(failure);
            return Err(failure);
        }
        self.line.extend_from_slice(part);
        Ok(())
    }

    fn end_of_line(&mut self) -> Option<SseEvent> {
        let mut line = std::mem::take(&mut self.line);
        if line.is_empty() {
            return self.dispatch();
        }
        let colon = memchr::memchr(b':', &line).unwrap_or(line.len());
        let mut value_start = (colon + 1).min(line.len());
        if line.get(value_start) == Some(&b' ') {
            value_start += 1;
        }
        match &line[..colon] {
            b"data" => {
                let value = line.split_off(value_start);
                match &mut self.data {
                    // The usual event has one data line: it becomes the data without a copy.
                    None => self.data = Some(value),
                    Some(data) => {
                        data.extend_from_slice(b"\n");
                        data.extend_from_slice(&value);
                    }
                }
            }
            b"event" => self.name = Some(text(&line[value_start..])),
            b"id" if memchr::memchr(0, &line[value_start..]).is_none() => {
                self.pending_id = Some(text(&line[value_start..]));
            }
            b"retry" => self.retry = milliseconds(&line[value_start..]).or(self.retry),
            _ => {}
        }
        // The buffer of a short line serves the next one.
        if self.data.is_none() {
            line.clear();
            self.line = line;
        }
        None
    }

    fn dispatch(&mut self) -> Option<SseEvent> {
        if let Some(id) = self.pending_id.take() {
            self.last_event_id = Some(id);
        }
        let name = self.name.take().filter(|name| !name.is_empty());
        let data = self.data.take()?.freeze();
        Some(SseEvent { name, data })
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// ASCII digits only, as the standard says; a number beyond `u64` is ignored like any other text.
fn milliseconds(bytes: &[u8]) -> Option<Duration> {
    if bytes.is_empty() || !bytes.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = std::str::from_utf8(bytes).ok()?;
    digits.parse().ok().map(Duration::from_millis)
}
