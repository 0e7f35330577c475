//! Where a message stands in a distributed trace: the `traceparent` of W3C Trace Context (level 1 and 2), as
//! text and as a value. In `params._meta` its key has no prefix (SEP-414).

use std::fmt;

/// The key, and the header, of the context itself.
pub const TRACEPARENT: &str = "traceparent";
/// The key, and the header, of what tracing systems add to it.
pub const TRACESTATE: &str = "tracestate";
/// The key, and the header, of what applications add to it (W3C Baggage).
pub const BAGGAGE: &str = "baggage";

/// The flag that says that whoever made the context records its span.
const SAMPLED: u8 = 1;
/// The flags that are passed on: those that level 2 knows (sampled, random trace id).
const KNOWN_FLAGS: u8 = 3;
/// The length of a context of version 00 in bytes.
const LENGTH: usize = 55;

/// A place in a trace: the trace, the span in it, and whether it is recorded. Neither id is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// Names the trace.
    pub trace_id: [u8; 16],
    /// Names the span.
    pub span_id: [u8; 8],
    /// The flags that this program knows.
    flags: u8,
}

impl TraceContext {
    /// Begins a trace.
    pub fn root(trace_id: [u8; 16], span_id: [u8; 8], is_sampled: bool) -> Self {
        Self {
            trace_id,
            span_id,
            flags: u8::from(is_sampled),
        }
    }

    /// Returns the context of another span of the same trace.
    pub fn child(self, span_id: [u8; 8], is_sampled: bool) -> Self {
        Self {
            trace_id: self.trace_id,
            span_id,
            flags: (self.flags & !SAMPLED) | u8::from(is_sampled),
        }
    }

    /// Whether the span is recorded.
    pub fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// Returns the flags that this program knows.
    pub fn flags(self) -> u8 {
        self.flags
    }

    /// Reads a `traceparent`; none where it is not valid (W3C Trace Context 3.2.2). Versions to come may be
    /// longer; of them the part that version 00 has is read (3.2.4).
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() < LENGTH || [2, 35, 52].iter().any(|&at| bytes[at] != b'-') {
            return None;
        }
        let [version] = hex(&bytes[..2])?;
        let is_whole = match version {
            0 => bytes.len() == LENGTH,
            0xff => false,
            _ => bytes.len() == LENGTH || bytes[LENGTH] == b'-',
        };
        let trace_id = hex(&bytes[3..35])?;
        let span_id = hex(&bytes[36..52])?;
        let [flags] = hex(&bytes[53..55])?;
        (is_whole && trace_id != [0; 16] && span_id != [0; 8]).then_some(Self {
            trace_id,
            span_id,
            flags: flags & KNOWN_FLAGS,
        })
    }

    /// Returns the trace's id as text.
    pub fn trace_text(&self) -> String {
        self.trace_id.iter().fold(String::new(), push_hex)
    }
}

/// Writes it as a `traceparent` of version 00.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = self.span_id.iter().fold(String::new(), push_hex);
        write!(f, "00-{}-{span}-{:02x}", self.trace_text(), self.flags)
    }
}

fn push_hex(text: String, byte: &u8) -> String {
    format!("{text}{byte:02x}")
}

/// Reads lower-case hex digits, two for each byte; upper case is not valid here.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_is_valid_is_read() {
        let read = TraceContext::parse(GOOD).unwrap();
        assert!(read.is_sampled());
        assert_eq!(read.to_string(), GOOD);
        assert_eq!(read.trace_text(), "0af7651916cd43dd8448eb211c80319c");
        let later = "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00-more";
        let read = TraceContext::parse(later).unwrap();
        assert!(!read.is_sampled());
        let flags = GOOD.replace("-01", "-ff");
        assert!(
            TraceContext::parse(&flags)
                .unwrap()
                .to_string()
                .ends_with("-03")
        );
    }

    #[test]
    fn what_is_not_valid_is_not() {
        for wrong in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-011",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01more",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319cxb7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319ä-b7ad6b7169203331-1",
            "0g-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(TraceContext::parse(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn writing_is_the_reverse_of_reading(
            trace in any::<[u8; 16]>(), span in any::<[u8; 8]>(), flags in any::<u8>(),
        ) {
            prop_assume!(trace != [0; 16] && span != [0; 8]);
            let context = TraceContext { trace_id: trace, span_id: span, flags: flags & KNOWN_FLAGS };
            prop_assert_eq!(TraceContext::parse(&context.to_string()), Some(context));
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,70}") {
            let _ = TraceContext::parse(&text);
        }
    }
}
