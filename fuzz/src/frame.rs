//! Frames: whatever the chunks, a stream gives the messages that its lines give one by one.

use bytes::Bytes;

use mcp_whittle::jsonrpc::Limits;
use mcp_whittle::jsonrpc::frame::{FrameDecoder, Framed};
use mcp_whittle::jsonrpc::message::{Fault, Malformed, Message, Parsed};

/// What a line turned out to be, for comparison.
type Seen = String;

/// The property for one input; panics where it does not hold.
pub fn run(data: &[u8]) {
    check(data, decode);
}

/// The property for a decoder given as a function of chunks.
pub fn check(data: &[u8], decode: impl Fn(&[&[u8]], Limits) -> Vec<Seen>) {
    let Some((&choice, stream)) = data.split_first() else {
        return;
    };
    let limits = if choice & 0x80 == 0 {
        Limits::default()
    } else {
        Limits {
            frame_bytes: 96,
            depth: 6,
            request_members: 12,
            id_bytes: 8,
        }
    };
    let size = usize::from(choice & 0x7f) + 1;
    let chunks: Vec<&[u8]> = stream.chunks(size).collect();
    let expected = one_by_one(stream, limits);
    assert_eq!(decode(&[stream], limits), expected, "in one chunk");
    assert_eq!(decode(&chunks, limits), expected, "in chunks of {size}");
}

/// Decodes with the decoder of the product.
pub fn decode(chunks: &[&[u8]], limits: Limits) -> Vec<Seen> {
    let mut decoder = FrameDecoder::new(limits);
    let mut seen = Vec::new();
    for chunk in chunks {
        decoder.feed(chunk);
        while let Some(framed) = decoder.poll_frame() {
            seen.push(describe(framed));
        }
        assert!(
            decoder.pending_bytes() <= limits.frame_bytes,
            "more is held than a frame may have"
        );
    }
    seen.extend(decoder.finish().map(describe));
    seen
}

/// The model: lines are split first, then each is parsed by itself.
fn one_by_one(stream: &[u8], limits: Limits) -> Vec<Seen> {
    let mut lines: Vec<&[u8]> = stream.split(|b| *b == b'\n').collect();
    if lines.last().is_some_and(|last| last.is_empty()) {
        lines.pop();
    }
    let mut seen = Vec::new();
    for line in lines {
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        if line.len() > limits.frame_bytes {
            seen.push(format!("longer than {}", limits.frame_bytes));
            continue;
        }
        if line.trim_ascii_end().is_empty() {
            continue;
        }
        // With the white space at its end, which may end a number, or be a form feed, which JSON lacks.
        let raw = Bytes::copy_from_slice(line);
        seen.push(match Message::parse(raw, limits) {
            Ok(parsed) => describe(Framed::Parsed(parsed)),
            Err(malformed) => describe(Framed::Malformed {
                malformed,
                excerpt: Bytes::new(),
            }),
        });
    }
    seen
}

fn describe(framed: Framed) -> Seen {
    match framed {
        Framed::Parsed(Parsed::Message(message)) => {
            // Requests are strict: nobody else may read them differently or not at all.
            if !message.method().is_empty() {
                let read: Result<serde_json::Value, _> = serde_json::from_slice(message.raw());
                let is_range =
                    |error: &serde_json::Error| error.to_string().contains("out of range");
                if let Err(error) = &read {
                    assert!(is_range(error), "an accepted request is not JSON: {error}");
                }
            }
            format!(
                "{:?} {:?} {}",
                message.kind(),
                message.method(),
                show(message.raw().trim_ascii_end())
            )
        }
        Framed::Parsed(Parsed::Batch(parts)) => {
            let parts: Vec<String> = parts.iter().map(|part| show(part)).collect();
            format!("batch {parts:?}")
        }
        // Of a line that is too long only the beginning is looked at.
        Framed::Malformed {
            malformed:
                Malformed {
                    fault: Fault::TooLarge { limit },
                    ..
                },
            ..
        } => format!("longer than {limit}"),
        Framed::Malformed { malformed, .. } => format!("{malformed:?}"),
    }
}

fn show(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
