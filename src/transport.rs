//! Bytes in, bytes out: stdio, child processes, HTTP server and client. Shell.

pub mod admin;
mod http_body;
pub mod http_client;
pub mod http_server;
