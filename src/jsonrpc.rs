//! JSON-RPC 2.0 on the wire: framing, envelopes as spans over raw bytes, ids as raw JSON, SSE.
//!
//! Pure, and knows nothing of MCP. A message keeps the bytes it came in; what leaves unchanged is
//! those bytes, and what changes is a list of splices over them ([`write`]). Start reading at
//! [`message::Message`]; [`frame`] cuts messages from a byte stream, [`scan`] finds the envelope
//! while the bytes arrive, [`strict`] refuses what two parsers could read differently.

pub mod canonical;
pub mod error;
pub mod frame;
pub mod id;
pub mod members;
pub mod message;
pub mod percent;
pub mod scan;
pub mod sse;
pub mod strict;
pub mod text;
mod utf8;
pub mod write;

/// Bounds on what one message may hold, whoever sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one frame, without its newline, below 4 GiB. A longer one is discarded and answered.
    pub frame_bytes: usize,
    /// Open containers at once.
    pub depth: usize,
    /// Object members of one request, over all its objects.
    pub request_members: usize,
    /// Bytes of a request id's JSON text.
    pub id_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_bytes: 256 << 20,
            depth: 512,
            request_members: 100_000,
            id_bytes: 1024,
        }
    }
}
