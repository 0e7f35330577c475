//! The encoder: one message into one `event: message`, without copying the message.

use bytes::Bytes;

/// The comment line a server sends on an idle stream so that nobody in between closes it.
pub const KEEP_ALIVE_COMMENT: Bytes = Bytes::from_static(b": keep-alive\n\n");

const START: &[u8] = b"event: message\ndata: ";
const NEXT_LINE: &[u8] = b"\ndata: ";
const END: &[u8] = b"\n\n";

/// Renders `segments` (one message, in order) as an event, with `id` when there is one.
///
/// A message is one line. Should it contain line ends all the same, each starts a new `data` line;
/// a decoder gives them back as LF, whatever they were, which JSON does not distinguish.
/// Characters an id cannot hold (CR, LF, NUL) are left out.
pub fn encode_event(segments: &[Bytes], id: Option<&str>) -> Vec<Bytes> {
    let mut out = Vec::with_capacity(segments.len() + 2);
    out.push(match id {
        None => Bytes::from_static(START),
        Some(id) => {
            let mut head = Vec::with_capacity(id.len() + START.len() + 5);
            head.extend_from_slice(b"id: ");
            head.extend(id.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n' | 0)));
            head.push(b'\n');
            head.extend_from_slice(START);
            Bytes::from(head)
        }
    });
    let mut after_carriage_return = false;
    for segment in segments {
        let mut start = 0;
        for end in memchr::memchr2_iter(b'\r', b'\n', segment) {
            let continues_line_end = segment[end] == b'\n'
                && (if end == 0 {
                    after_carriage_return
                } else {
                    segment[end - 1] == b'\r'
                });
            if !continues_line_end {
                push(&mut out, segment.slice(start..end));
                out.push(Bytes::from_static(NEXT_LINE));
            }
            start = end + 1;
        }
        push(&mut out, segment.slice(start..));
        if let Some(last) = segment.last() {
            after_carriage_return = *last == b'\r';
        }
    }
    out.push(Bytes::from_static(END));
    out
}

/// Renders a comment; line ends in `text` become spaces so that it stays a comment.
pub fn encode_comment(text: &str) -> Bytes {
    let mut line = String::with_capacity(text.len() + 4);
    line.push_str(": ");
    line.extend(
        text.chars()
            .map(|c| if c == '\r' || c == '\n' { ' ' } else { c }),
    );
    line.push_str("\n\n");
    Bytes::from(line)
}

fn push(out: &mut Vec<Bytes>, part: Bytes) {
    if !part.is_empty() {
        out.push(part);
    }
}
