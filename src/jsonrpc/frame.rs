//! Newline framing (MCP stdio transport): bytes in, messages out.
//!
//! The envelope is scanned as the bytes arrive, so a message is known the moment its newline is. A
//! frame that outgrows the limit is thrown away while it arrives; what was seen of its id is kept, so
//! that the call it belongs to can be answered.

use bytes::{Bytes, BytesMut};

use super::Limits;
use super::id::RequestId;
use super::message::{Fault, Malformed, Message, Parsed};
use super::scan::{EnvelopeKey, Scanner};
use super::utf8::{PIECE, TextCheck};

/// Buffers that grew beyond this are given back after the frame that needed them.
const KEEP_BYTES: usize = 1 << 20;
/// Bytes of a refused line that are kept for the log.
const EXCERPT_BYTES: usize = 200;

/// What a line was.
#[derive(Debug)]
pub enum Framed {
    /// A message or a batch.
    Parsed(Parsed),
    /// No message. `excerpt` has its first bytes, for a log.
    Malformed {
        /// Why, with the id where it could be read.
        malformed: Malformed,
        /// The first bytes of the line.
        excerpt: Bytes,
    },
}

/// Cuts newline-delimited messages from a byte stream.
#[derive(Debug)]
pub struct FrameDecoder {
    limits: Limits,
    buffer: BytesMut,
    /// Bytes of the last frame, up to [`KEEP_BYTES`]: a large one seldom comes alone.
    last_frame: usize,
    scanned: usize,
    started: bool,
    scanner: Scanner,
    text: TextCheck,
    discarding: bool,
    /// Whether the frame being discarded was reported already.
    told: bool,
}

impl FrameDecoder {
    /// Starts at the beginning of a stream.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            buffer: BytesMut::new(),
            last_frame: 0,
            scanned: 0,
            started: false,
            scanner: Scanner::new(limits),
            text: TextCheck::default(),
            discarding: false,
            told: false,
        }
    }

    /// Returns the buffer to append bytes to, with room for at least `room` more. Call
    /// [`Self::poll_frame`] until it is empty after each append.
    pub fn buffer(&mut self, room: usize) -> &mut BytesMut {
        let held = self.buffer.len();
        if self.buffer.capacity() - held < room {
            // A frame that outgrows one read gets what the last one needed, instead of being copied
            // each time it doubles.
            let expected = if held < room { 0 } else { self.last_frame };
            self.buffer.reserve(room + expected.saturating_sub(held));
        }
        &mut self.buffer
    }

    /// Appends bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Returns how many bytes of an unfinished frame are held.
    pub fn pending_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Returns the next line that is complete. Blank lines are skipped; a byte order mark and
    /// carriage returns are tolerated.
    pub fn poll_frame(&mut self) -> Option<Framed> {
        loop {
            if !self.skip_before_frame() {
                return None;
            }
            let Some(end) = self.scan_to_newline() else {
                if self.discarding || self.buffer.len() > self.limits.frame_bytes {
                    self.discarding = true;
                    self.buffer = BytesMut::new();
                    self.scanned = 0;
                    // The line may never end: its call is answered as soon as its id is known.
                    if !self.told && self.scanner.id().is_some() {
                        self.told = true;
                        return Some(self.too_large());
                    }
                }
                return None;
            };
            let mut line = self.buffer.split_to(end + 1).freeze();
            self.release_large_buffer(line.len());
            self.last_frame = line.len().min(KEEP_BYTES);
            self.scanned = 0;
            line.truncate(end);
            let framed = self.line(line);
            self.started = false;
            self.scanner.reset();
            self.text = TextCheck::default();
            if framed.is_some() {
                return framed;
            }
        }
    }

    /// Scans what arrived until a newline, and returns where that is. Goes in pieces, so that the three looks at each
    /// byte find it near; a text longer than one piece is checked to be UTF-8 on the way.
    fn scan_to_newline(&mut self) -> Option<usize> {
        while self.scanned < self.buffer.len() {
            let until = self.buffer.len().min(self.scanned + PIECE);
            let piece = &self.buffer[self.scanned..until];
            let newline = memchr::memchr(b'\n', piece);
            let piece = &piece[..newline.unwrap_or(piece.len())];
            self.scanner.feed(piece);
            self.scanned += piece.len();
            if newline.is_some() {
                return Some(self.scanned);
            }
            // A request is checked as a whole, for a strict look.
            if !self.discarding && !self.scanner.has(EnvelopeKey::Method) {
                self.text.advance(&self.buffer[..self.scanned]);
            }
        }
        None
    }

    /// Ends the stream: returns what the last, unterminated line was, if there is one.
    pub fn finish(&mut self) -> Option<Framed> {
        if self.buffer.is_empty() && !self.discarding {
            return None;
        }
        self.feed(b"\n");
        self.poll_frame()
    }

    /// Drops a byte order mark; `false` while too few bytes are there to tell.
    fn skip_before_frame(&mut self) -> bool {
        if self.started || self.discarding {
            return true;
        }
        let mark = b"\xef\xbb\xbf";
        if self.buffer.len() < 3 && mark.starts_with(&self.buffer) {
            return false;
        }
        if self.buffer.starts_with(mark) {
            let _ = self.buffer.split_to(3);
        }
        self.started = true;
        true
    }

    fn line(&mut self, line: Bytes) -> Option<Framed> {
        if std::mem::take(&mut self.discarding) || line.len() > self.limits.frame_bytes {
            return (!std::mem::take(&mut self.told)).then(|| self.too_large());
        }
        let text = line.trim_ascii_end();
        if text.iter().all(u8::is_ascii_whitespace) {
            return None;
        }
        let line = line.slice(..text.len());
        let checked = self.text.checked().min(line.len());
        let excerpt = line.slice(..line.len().min(EXCERPT_BYTES));
        Some(
            match Message::from_scan(line, &mut self.scanner, checked, self.limits) {
                Ok(parsed) => Framed::Parsed(parsed),
                Err(malformed) => Framed::Malformed { malformed, excerpt },
            },
        )
    }

    fn too_large(&self) -> Framed {
        let id = self
            .scanner
            .id()
            .and_then(|id| RequestId::parse(Bytes::copy_from_slice(id)));
        let has_method = self.scanner.has(EnvelopeKey::Method);
        Framed::Malformed {
            malformed: Malformed {
                fault: Fault::TooLarge {
                    limit: self.limits.frame_bytes,
                },
                id,
                is_response: !has_method,
                has_method,
            },
            excerpt: Bytes::new(),
        }
    }

    /// A frame of 100 MB must not leave a buffer of that size behind.
    fn release_large_buffer(&mut self, taken: usize) {
        if taken > KEEP_BYTES {
            let rest = BytesMut::from(&self.buffer[..]);
            self.buffer = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(chunks: &[&[u8]], limits: Limits) -> Vec<String> {
        let mut decoder = FrameDecoder::new(limits);
        let mut out = Vec::new();
        let mut note = |framed| {
            out.push(match framed {
                Framed::Parsed(Parsed::Message(message)) => {
                    String::from_utf8(message.raw().to_vec()).unwrap()
                }
                Framed::Parsed(Parsed::Batch(parts)) => format!("batch of {}", parts.len()),
                Framed::Malformed { malformed, .. } => {
                    format!(
                        "{} id={:?}",
                        malformed.fault,
                        malformed.id.map(|id| id.to_string())
                    )
                }
            });
        };
        for chunk in chunks {
            decoder.feed(chunk);
            while let Some(framed) = decoder.poll_frame() {
                note(framed);
            }
        }
        if let Some(framed) = decoder.finish() {
            note(framed);
        }
        out
    }

    const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping","x":"é"}"#;

    #[test]
    fn any_chunking_gives_the_same_messages() {
        let text = format!("\u{feff}{PING}\r\n\n \n{PING}\n[{PING},{PING}]\nlog line\n{PING}");
        let whole = decode(&[text.as_bytes()], Limits::default());
        assert_eq!(whole.len(), 5, "{whole:?}");
        assert_eq!((whole[0].as_str(), whole[1].as_str()), (PING, PING));
        assert_eq!(whole[2], "batch of 2");
        assert!(whole[3].contains("not valid JSON"), "{whole:?}");
        assert_eq!(whole[4], PING);
        for size in 1..40 {
            let chunks: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            assert_eq!(
                decode(&chunks, Limits::default()),
                whole,
                "chunks of {size}"
            );
        }
    }

    #[test]
    fn long_text_in_chunks_is_judged_as_the_whole_is() {
        // Characters of each length lie on each border of a piece sooner or later.
        let good = "aé€😀".repeat(8_000);
        let frame = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{{\"t\":\"{good}\"}}}}");
        let mut frames = vec![frame.clone().into_bytes()];
        for wrong in [50, PIECE - 1, PIECE, 3 * PIECE + 7, frame.len() - 5] {
            let mut bytes = frame.clone().into_bytes();
            bytes[wrong] = 0xff;
            frames.push(bytes);
        }
        let mut not_text = 0;
        for bytes in frames {
            let alone = Message::parse(bytes.clone().into(), Limits::default());
            let alone = alone.map_err(|malformed| malformed.fault.to_string());
            not_text += usize::from(alone.is_err());
            assert_eq!(
                alone.is_err(),
                std::str::from_utf8(&bytes).is_err(),
                "{alone:?}"
            );
            let mut line = bytes;
            line.push(b'\n');
            for size in [1_000, 4_095, PIECE, PIECE + 1, 60_001, line.len()] {
                let chunks: Vec<&[u8]> = line.chunks(size).collect();
                let out = decode(&chunks, Limits::default());
                assert_eq!(out.len(), 1, "chunks of {size}");
                match &alone {
                    Ok(_) => assert_eq!(out[0].as_bytes(), frame.as_bytes()),
                    Err(fault) => assert_eq!(out[0], format!("{fault} id=Some(\"1\")")),
                }
            }
        }
        assert_eq!(not_text, 5);
    }

    #[test]
    fn a_frame_over_the_limit_is_dropped_with_its_id() {
        let limits = Limits {
            frame_bytes: 100,
            ..Limits::default()
        };
        let long = "x".repeat(5000);
        let text =
            format!("{{\"jsonrpc\":\"2.0\",\"result\":{{\"t\":\"{long}\"}},\"id\":42}}\n{PING}\n");
        for size in [1, 7, 64, 100, 101, 5000, 10_000] {
            let chunks: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            assert_eq!(
                decode(&chunks, limits),
                [
                    "longer than the limit of 100 bytes id=Some(\"42\")".to_owned(),
                    PING.to_owned()
                ],
                "chunks of {size}"
            );
        }
    }

    #[test]
    fn an_endless_frame_is_reported_once_its_id_is_known() {
        let limits = Limits {
            frame_bytes: 100,
            ..Limits::default()
        };
        let mut decoder = FrameDecoder::new(limits);
        decoder.feed(b"{\"jsonrpc\":\"2.0\",\"id\":42,\"result\":\"");
        assert!(decoder.poll_frame().is_none());
        decoder.feed(&[b'x'; 200]);
        assert!(matches!(
            decoder.poll_frame(),
            Some(Framed::Malformed { malformed, .. }) if malformed.id.is_some()
        ));
        for _ in 0..3 {
            decoder.feed(&[b'x'; 5000]);
            assert!(decoder.poll_frame().is_none());
            assert_eq!(decoder.pending_bytes(), 0);
        }
        decoder.feed(format!("\"}}\n{PING}\n").as_bytes());
        assert!(matches!(decoder.poll_frame(), Some(Framed::Parsed(_))));
    }

    #[test]
    fn a_frame_of_exactly_the_limit_passes() {
        let limits = Limits {
            frame_bytes: PING.len(),
            ..Limits::default()
        };
        assert_eq!(decode(&[format!("{PING}\n").as_bytes()], limits), [PING]);
        assert_eq!(
            decode(&[format!("{PING} \n").as_bytes()], limits).len(),
            1,
            "one byte more is refused, not passed"
        );
    }
}
