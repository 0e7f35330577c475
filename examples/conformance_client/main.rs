//! A real MCP client for the official conformance suite, on the official Rust SDK.
//!
//! The suite starts it with the URL of its own server as the last argument and says in the
//! environment which scenario runs (`MCP_CONFORMANCE_SCENARIO`), at which protocol version
//! (`MCP_CONFORMANCE_PROTOCOL_VERSION`) and with which data (`MCP_CONFORMANCE_CONTEXT`). The
//! client connects, lists everything and uses everything it listed; where the server asks for
//! a token it gets one. It must never use code of `mcp_whittle`: it is the independent peer.

#![allow(
    clippy::disallowed_methods,
    reason = "the suite hands over its data in the environment"
)]

mod authorization;
mod drive;
mod user;

use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::authorization::Authorization;

/// How often the client goes through an authorization before it gives up.
const MAXIMUM_AUTHORIZATIONS: usize = 3;

/// Connects to a server and uses everything it offers.
#[derive(Debug, Parser)]
struct Options {
    /// The server's MCP endpoint.
    url: String,

    /// The protocol version to speak; 2026-07-28 and later open without `initialize`.
    #[arg(
        long,
        env = "MCP_CONFORMANCE_PROTOCOL_VERSION",
        default_value = "2025-11-25"
    )]
    protocol_version: String,

    /// Give up after this many seconds.
    #[arg(long, default_value_t = 25)]
    limit_s: u64,
}

/// Data of the scenario, `MCP_CONFORMANCE_CONTEXT`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Scenario {
    /// Calls to make instead of one for each listed tool.
    #[serde(rename = "toolCalls")]
    tool_calls: Vec<ToolCall>,
    /// A client the authorization server knows already.
    client_id: Option<String>,
    client_secret: Option<String>,
}

/// One call the scenario asks for.
#[derive(Debug, Deserialize)]
struct ToolCall {
    name: String,
    #[serde(default)]
    arguments: Map<String, Value>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::ERROR)
        .with_writer(std::io::stderr)
        .init();
    let options = Options::parse();
    let scenario = match std::env::var("MCP_CONFORMANCE_CONTEXT") {
        Ok(text) => serde_json::from_str(&text).context("MCP_CONFORMANCE_CONTEXT")?,
        Err(_) => Scenario::default(),
    };
    let limit = Duration::from_secs(options.limit_s);
    tokio::time::timeout(limit, run(&options, &scenario))
        .await
        .with_context(|| format!("the scenario ran longer than {} s", options.limit_s))?
}

async fn run(options: &Options, scenario: &Scenario) -> anyhow::Result<()> {
    let mut authorization = Authorization::new(&options.url, scenario);
    for _ in 0..=MAXIMUM_AUTHORIZATIONS {
        let token = authorization.token().await?;
        let failure =
            match drive::drive(&options.url, &options.protocol_version, token, scenario).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
        let Some(challenge) = failure.challenge else {
            return Err(failure.error);
        };
        if authorization.count() == MAXIMUM_AUTHORIZATIONS {
            break;
        }
        authorization.answer(challenge).await?;
    }
    anyhow::bail!("the server was not satisfied with {MAXIMUM_AUTHORIZATIONS} authorizations")
}
