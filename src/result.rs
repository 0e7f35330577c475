//! Results of tools: what a model reads of them, made smaller without loss where it can be, sampled to a
//! cap where it must be, and the whole kept within reach. Pure.
//!
//! Originals are bytes as a server sent them. Nothing here fails a call: where a step cannot do its work
//! the text stays as it was.

pub mod blobs;
pub mod compact;
pub mod handle;
pub mod images;
pub mod query;
pub mod repeat;
pub mod sample;
