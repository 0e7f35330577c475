//! A real MCP client for tests: the official Rust SDK in both eras, as a client driver.
//!
//! It has the command line and the output of the drivers in `tests/peers` (see the README
//! there): it connects with sampling, form elicitation and roots, runs the steps in the order
//! given, and prints one JSON line for `connect` and one for each step. It must never use code
//! of `mcp_whittle`: it is the independent peer.

mod names;
mod steps;
mod user;

use std::{io::Write, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context;
use clap::Parser;
use rmcp::{
    ClientLifecycleMode, ClientServiceExt, RoleClient,
    model::ProtocolVersion,
    service::RunningService,
    transport::{
        StreamableHttpClientTransport, TokioChildProcess,
        streamable_http_client::StreamableHttpClientTransportConfig,
    },
};
use serde_json::{Value, json};

use crate::{
    names::Names,
    steps::Steps,
    user::{Events, User},
};

/// Drives a server through the steps of tests/peers and prints one JSON line for each.
#[derive(Debug, Parser)]
struct Options {
    /// `legacy` opens with `initialize`, `modern` with `server/discover`; neither falls back.
    #[arg(long, value_enum)]
    era: Era,

    /// The server's MCP endpoint.
    #[arg(long, conflicts_with = "stdio", required_unless_present = "stdio")]
    url: Option<String>,

    /// Start the command after `--` and talk to it over its pipes.
    #[arg(long, requires = "command")]
    stdio: bool,

    /// Declare no capabilities: nothing can be asked of this client.
    #[arg(long)]
    plain: bool,

    /// The steps, in order.
    #[arg(long, value_delimiter = ',', default_value = steps::ALL)]
    steps: Vec<String>,

    /// What steps use on another server, as JSON.
    #[arg(long, default_value = "{}")]
    names: String,

    /// Seconds for each step.
    #[arg(long, default_value_t = 20.0)]
    limit: f64,

    /// The server's command line.
    #[arg(last = true)]
    command: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Era {
    Legacy,
    Modern,
}

impl Era {
    fn lifecycle(self) -> ClientLifecycleMode {
        match self {
            Self::Legacy => ClientLifecycleMode::Initialize,
            Self::Modern => ClientLifecycleMode::Discover {
                preferred_versions: vec![self.version()],
            },
        }
    }

    fn version(self) -> ProtocolVersion {
        match self {
            Self::Legacy => ProtocolVersion::V_2025_11_25,
            Self::Modern => ProtocolVersion::V_2026_07_28,
        }
    }
}

// One thread: the SDK starts a task for each notification, and several threads could run them out of order.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::ERROR)
        .with_writer(std::io::stderr)
        .init();
    let options = Options::parse();
    let names = Names::parse(&options.names)?;
    let limit = Duration::try_from_secs_f64(options.limit).context("--limit")?;

    let events = Events::default();
    let user = User {
        version: options.era.version(),
        is_plain: options.plain,
        events: events.clone(),
    };
    let connected = within(limit, connect(&options, user)).await;
    let client = match connected {
        Ok(client) => Arc::new(client),
        Err(error) => {
            report("connect", Err(error))?;
            for step in &options.steps {
                report(step, Err(anyhow::anyhow!("not connected")))?;
            }
            return Ok(ExitCode::FAILURE);
        }
    };
    let mut is_good = report("connect", Ok(about(&client, options.era)))?;
    let steps = Steps {
        client: Arc::clone(&client),
        names,
        events,
        is_modern: options.era == Era::Modern,
    };
    for step in &options.steps {
        is_good &= report(step, within(limit, steps.run(step)).await)?;
    }
    drop(steps);
    if let Some(mut client) = Arc::into_inner(client) {
        // Taking leave must not hang; a server that is gone already is no failure.
        let _ = client.close_with_timeout(Duration::from_secs(5)).await;
    }
    Ok(if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn connect(
    options: &Options,
    user: User,
) -> anyhow::Result<RunningService<RoleClient, User>> {
    let lifecycle = options.era.lifecycle();
    let client = match &options.url {
        Some(url) => {
            let config = StreamableHttpClientTransportConfig::with_uri(url.as_str());
            let transport = StreamableHttpClientTransport::from_config(config);
            user.serve_with_lifecycle(transport, lifecycle).await?
        }
        None => {
            let (program, arguments) = options.command.split_first().context("no command")?;
            let mut command = tokio::process::Command::new(program);
            command.args(arguments);
            let transport = TokioChildProcess::new(command)?;
            user.serve_with_lifecycle(transport, lifecycle).await?
        }
    };
    Ok(client)
}

/// What the SDK knows of the server.
fn about(client: &RunningService<RoleClient, User>, era: Era) -> Value {
    let server = client
        .peer_info()
        .and_then(|info| serde_json::to_value(&*info).ok())
        .unwrap_or_default();
    json!({
        "protocolVersion": server.get("protocolVersion").cloned().unwrap_or(json!(era.version())),
        "serverInfo": server["serverInfo"],
        "capabilities": server["capabilities"],
    })
}

async fn within<T>(
    limit: Duration,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    tokio::time::timeout(limit, work)
        .await
        .with_context(|| format!("no end within {} s", limit.as_secs_f64()))?
}

/// Prints the line of a step and says whether it went well.
fn report(step: &str, outcome: anyhow::Result<Value>) -> anyhow::Result<bool> {
    let line = match &outcome {
        Ok(detail) => json!({ "step": step, "ok": true, "detail": detail }),
        Err(error) => json!({ "step": step, "ok": false, "error": format!("{error:#}") }),
    };
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()?;
    Ok(outcome.is_ok())
}
