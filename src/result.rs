//! Results of tools: what a model reads of them, made smaller without loss where it can be, sampled to a
//! cap where it must be, and the whole kept within reach. Pure.
//!
//! Originals are bytes as a server sent them. Nothing here fails a call: where a step cannot do its work
//! the text stays as it was.

pub mod blobs;
pub mod channels;
pub mod compact;
mod envelope;
mod fence;
pub mod handle;
pub mod images;
pub mod learned;
pub mod link;
mod media;
pub mod options;
pub mod query;
pub mod repeat;
mod same;
pub mod sample;
pub mod seen;
pub mod shape;

/// Tells whether two texts have as many lines.
fn same_lines(left: &str, right: &str) -> bool {
    let count = |text: &str| memchr::memchr_iter(b'\n', text.as_bytes()).count();
    count(left) == count(right)
}
