//! mcp-whittle: a sidecar between one MCP client and its MCP servers that counts and whittles what
//! reaches the model, and loses nothing.
//!
//! Three rings; imports point inward only. `ARCHITECTURE.md` has the map and one page "life of a
//! message".
//!
//! * wire (pure): [`jsonrpc`], [`mcp`]
//! * domain (pure): [`token`], [`catalog`], [`surface`], [`search`], [`result`], [`cache`],
//!   [`policy`]
//! * core (pure state machines, time as an argument): [`session`], [`upstream`], [`hub`]
//! * shell (tokio, sockets, files, clocks): [`config`], [`driver`], [`transport`], [`store`],
//!   [`embeddings`], [`jq`], [`telemetry`], [`capture`], [`kube`], [`cli`], [`commands`]
//!
//! Invariants, as absences: nothing in the pure rings names tokio, `std::fs`, `std::net`,
//! `std::env`, `std::process` or reads a clock; nothing but `transport::stdio` writes to the
//! process's stdout while the protocol runs on it; no transformation can fail a request.

pub mod cache;
pub mod capture;
pub mod catalog;
pub mod cli;
pub mod commands;
pub mod config;
pub mod driver;
pub mod embeddings;
pub mod hub;
pub mod jq;
pub mod jsonrpc;
pub mod kube;
pub mod mcp;
pub mod policy;
pub mod result;
pub mod search;
pub mod session;
pub mod store;
pub mod surface;
pub mod telemetry;
pub mod token;
pub mod transport;
pub mod upstream;
