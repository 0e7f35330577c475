//! Server-sent events (the WHATWG event-stream format): decoder and encoder.
//!
//! Pure: bytes in, events out. It does not know which events are JSON-RPC messages, opens no
//! connection and waits for nothing; every buffer it keeps is bounded by a limit the caller gives.

mod decoder;
mod encoder;
#[cfg(test)]
mod tests;

pub use decoder::{SseDecoder, SseError, SseEvent};
pub use encoder::{KEEP_ALIVE_COMMENT, encode_comment, encode_event};
