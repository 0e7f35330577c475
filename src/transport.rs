//! Bytes in, bytes out: stdio, child processes, HTTP server and client. Shell.

pub mod admin;
pub mod certificate;
pub mod child;
pub mod code;
mod exec;
pub mod frame_queue;
pub mod guard;
mod http_body;
pub mod http_client;
pub mod http_server;
mod pipe;
pub mod reaper;
pub mod stderr;
pub mod stdio;
