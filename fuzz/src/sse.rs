//! Event streams: whatever the chunks, the events are those of the HTML standard read line by line.

use bytes::Bytes;

use mcp_whittle::jsonrpc::sse::{SseDecoder, SseEvent, encode_event};

/// An event as name and data.
type Seen = (Option<String>, Vec<u8>);

/// The property for one input; panics where it does not hold.
pub fn run(data: &[u8]) {
    check(data, decode);
}

/// The property for a decoder given as a function of chunks and a limit; `None` = refused as too large.
pub fn check(data: &[u8], decode: impl Fn(&[&[u8]], usize) -> Option<Vec<Seen>>) {
    let Some((&choice, stream)) = data.split_first() else {
        return;
    };
    let size = usize::from(choice & 0x7f) + 1;
    let chunks: Vec<&[u8]> = stream.chunks(size).collect();
    let expected = line_by_line(stream);
    assert_eq!(decode(&[stream], usize::MAX).as_ref(), Some(&expected));
    assert_eq!(
        decode(&chunks, usize::MAX).as_ref(),
        Some(&expected),
        "chunks of {size}"
    );
    // Under a small limit: refused, or the same.
    if let Some(seen) = decode(&chunks, 64) {
        assert_eq!(seen, expected, "with a limit");
        assert!(seen.iter().all(|(_, data)| data.len() <= 64));
    }
    // What we encode is decoded to the same data, but for the spelling of line ends.
    let cut = stream.len() / 2;
    let pieces = [
        Bytes::copy_from_slice(&stream[..cut]),
        Bytes::copy_from_slice(&stream[cut..]),
    ];
    let encoded = encode_event(&pieces, None).concat();
    let seen = decode(&[&encoded], usize::MAX);
    let data = with_line_feeds(stream);
    assert_eq!(seen, Some(vec![(Some("message".to_owned()), data)]));
}

/// Decodes with the decoder of the product.
pub fn decode(chunks: &[&[u8]], limit: usize) -> Option<Vec<Seen>> {
    let mut decoder = SseDecoder::new(limit);
    let mut seen = Vec::new();
    for chunk in chunks {
        let mut rest = *chunk;
        while let Some(SseEvent { name, data }) = decoder.feed(&mut rest).ok()? {
            seen.push((name, data.to_vec()));
        }
        // Names and ids are kept as text: a byte that is no UTF-8 becomes a character of three.
        assert!(
            decoder.buffered() <= limit.saturating_mul(3),
            "more is held than the limit allows"
        );
    }
    Some(seen)
}

/// The model, as "9.2.6 Interpreting an event stream" reads.
fn line_by_line(stream: &[u8]) -> Vec<Seen> {
    let stream = stream.strip_prefix(b"\xef\xbb\xbf").unwrap_or(stream);
    let text = with_line_feeds(stream);
    let mut lines: Vec<&[u8]> = text.split(|b| *b == b'\n').collect();
    // What follows the last line end is no line.
    lines.pop();
    let mut seen = Vec::new();
    let (mut name, mut data): (String, Option<Vec<u8>>) = (String::new(), None);
    for line in lines {
        if line.is_empty() {
            let name = std::mem::take(&mut name);
            if let Some(data) = data.take() {
                seen.push((Some(name).filter(|name| !name.is_empty()), data));
            }
            continue;
        }
        let colon = line.iter().position(|b| *b == b':').unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &line[..colon] {
            b"event" => name = String::from_utf8_lossy(value).into_owned(),
            b"data" => match &mut data {
                None => data = Some(value.to_vec()),
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
            },
            _ => {}
        }
    }
    seen
}

/// Writes every line end (CR, LF, CRLF) as LF.
fn with_line_feeds(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut after_carriage_return = false;
    for &byte in text {
        match byte {
            b'\n' if after_carriage_return => {}
            b'\r' | b'\n' => out.push(b'\n'),
            _ => out.push(byte),
        }
        after_carriage_return = byte == b'\r';
    }
    out
}
