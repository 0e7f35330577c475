//! A real MCP server for tests: the official Rust SDK on the other side of the wire.
//!
//! It carries everything the official conformance suite asks of a server (tools `test_*`,
//! prompts, `test://` resources, tasks) and a set of probes for tests of a proxy (`slow`,
//! `counter`, `echo`, `crash` and others). It may be made to behave as a server of one
//! protocol era only. It must never use code of `mcp_whittle`: it is the independent peer.

mod arguments;
mod catalog;
mod content;
mod era;
mod handler;
mod http;
mod input;
mod probes;
mod state;
mod stdio;
mod suite;
mod tasks;

use std::{net::SocketAddr, sync::Arc};

use clap::Parser;

use crate::{era::Era, state::Shared};

/// An MCP server with known tools, prompts and resources, for tests.
#[derive(Debug, Parser)]
struct Options {
    /// Speak newline-delimited JSON-RPC on standard input and output.
    #[arg(long, conflicts_with = "http", required_unless_present = "http")]
    stdio: bool,

    /// Speak Streamable HTTP on this address, path /mcp; port 0 takes a free one. The URL is
    /// printed as one line on standard error: `listening on http://127.0.0.1:PORT/mcp`.
    #[arg(long, value_name = "ADDRESS:PORT")]
    http: Option<SocketAddr>,

    /// Which protocol eras to speak: both, only 2025-11-25 and older, or only 2026-07-28.
    #[arg(long, value_enum, default_value_t = Era::Dual)]
    era: Era,

    /// The server name told to clients.
    #[arg(long, default_value = "fixture-server")]
    name: String,

    /// Split lists into pages of this many entries; 0 means one page.
    #[arg(long, value_name = "ENTRIES", default_value_t = 0)]
    page_size: usize,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // Standard error stays quiet unless somebody asks, because tests read the address there.
    #[expect(
        clippy::disallowed_methods,
        reason = "the usual variable of this crate, read in an example only"
    )]
    let logs = std::env::var_os("RUST_LOG").is_some();
    if logs {
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::ERROR)
            .with_writer(std::io::stderr)
            .init();
    }
    let options = Options::parse();
    let shared = Arc::new(Shared::new(options.name, options.era, options.page_size));
    match options.http {
        Some(address) => http::serve(shared, address).await,
        None => stdio::serve(shared).await,
    }
}
