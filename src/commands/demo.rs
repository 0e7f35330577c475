//! `demo`: shows real catalogues before and after, and one call, with nothing else installed.
//!
//! Recorded servers run as child processes (`mcp-whittle replay`) behind the same proxy path that
//! serves clients; every number on the screen is measured here and now.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;

use crate::capture::demo::screen::{self, MeasuredCall, Size};
use crate::capture::demo::{self, CALL, SERVERS};
use crate::cli::{DemoArgs, LogArgs, ProxyArgs, SourceArgs};
use crate::config::{self, ProcessEnvironment, ServerName, Settings, SurfaceMode};
use crate::driver::local::LocalClient;
use crate::jsonrpc::message::Message;
use crate::jsonrpc::text;
use crate::mcp::method::{self, ListKind};
use crate::token::report::{Report, ServerTools};
use crate::token::{ModelFit, TiktokenCounter, TokenCounter};

use super::{Output, start_logging};

/// Shows real catalogues before and after, and one call.
///
/// # Errors
/// When the recordings cannot be unpacked or the proxy fails.
pub fn run(args: DemoArgs, output: &mut Output<'_>) -> anyhow::Result<ExitCode> {
    // What the proxy usually tells would stand between the lines of the screen.
    start_logging(&LogArgs {
        log_level: args.log.log_level.or(Some("warn".to_owned())),
        ..args.log
    })?;
    let folder = TemporaryFolder::new()?;
    let folders = demo::write_to(&folder.path)?;
    let program = std::env::current_exe().context("cannot find our own program")?;
    let encoding = super::count::encoding(args.tokenizer.unwrap_or_default());
    let counter = TiktokenCounter::new(encoding);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let screen = runtime.block_on(async {
        let mut servers = Vec::new();
        let mut call = None;
        let mut n_messages = 0;
        for (server, folder) in SERVERS.iter().zip(&folders) {
            let command = [
                program.to_string_lossy().into_owned(),
                "replay".to_owned(),
                folder.to_string_lossy().into_owned(),
            ];
            let settings = settings(server.name, &command)?;
            let as_sent = Visit::make(&settings, SurfaceMode::Full, server.name).await?;
            let as_shown = Visit::make(&settings, SurfaceMode::Lean, server.name).await?;
            n_messages += as_shown.n_messages;
            if let (Some(before), Some(after)) = (&as_sent.call, &as_shown.call) {
                call = Some(measured(before, after, &counter));
            }
            servers.push(ServerTools {
                server: server.name.to_owned(),
                tools: as_sent.tools,
                shown: as_shown.tools,
            });
        }
        let mut call = call.context("the recording has no call")?;
        call.n_messages = n_messages;
        let report = Report::build(&servers, &counter, &ModelFit::of_encoding(encoding));
        anyhow::Ok(screen::render(env!("CARGO_PKG_VERSION"), &report, &call))
    })?;
    output.write(screen)?;
    Ok(ExitCode::SUCCESS)
}

fn settings(name: &str, command: &[String]) -> anyhow::Result<Settings> {
    let args = ProxyArgs {
        source: SourceArgs {
            command: command.to_vec(),
            no_state: true,
            ..SourceArgs::default()
        },
        ..ProxyArgs::default()
    };
    let mut settings = config::load(&args, &ProcessEnvironment, &config::read_file)?.settings;
    for server in &mut settings.servers {
        server.name = ServerName::new(name)?;
    }
    Ok(settings)
}

/// One client's visit to one server through the proxy.
struct Visit {
    tools: Vec<String>,
    call: Option<VisitCall>,
    n_messages: usize,
}

struct VisitCall {
    response: Message,
    request_bytes: usize,
    round_trip: std::time::Duration,
}

impl Visit {
    async fn make(settings: &Settings, surface: SurfaceMode, name: &str) -> anyhow::Result<Self> {
        let server = &settings.servers[0];
        let mut settings = LocalClient::alone(settings, server);
        settings.shaping.surface = surface;
        let mut client = LocalClient::start(settings);
        let visit = Self::with(&mut client, name).await;
        client.close().await;
        visit
    }

    async fn with(client: &mut LocalClient, name: &str) -> anyhow::Result<Self> {
        client.initialize().await?;
        let listing = client.list(ListKind::Tools).await?;
        let mut call = None;
        if name == CALL.server {
            let params = format!(
                "{{\"name\":{},\"arguments\":{}}}",
                text::to_string(CALL.tool),
                CALL.arguments
            );
            let started = Instant::now();
            let response = client
                .request(method::TOOLS_CALL, Some(params.as_bytes()))
                .await?;
            call = Some(VisitCall {
                response,
                request_bytes: client.last_request_bytes(),
                round_trip: started.elapsed(),
            });
        }
        Ok(Self {
            tools: listing.texts(),
            call,
            n_messages: client.n_messages(),
        })
    }
}

fn measured(before: &VisitCall, after: &VisitCall, counter: &dyn TokenCounter) -> MeasuredCall {
    let size = |message: &Message| Size {
        bytes: message.raw().len(),
        tokens: counter.count(&String::from_utf8_lossy(message.raw())),
    };
    MeasuredCall {
        tool: CALL.tool.to_owned(),
        arguments: CALL.arguments.to_owned(),
        request_bytes: after.request_bytes,
        before: size(&before.response),
        after: size(&after.response),
        is_same: before.response.result() == after.response.result(),
        n_messages: 0,
        round_trip: after.round_trip,
    }
}

/// A folder of our own that goes with us.
struct TemporaryFolder {
    path: std::path::PathBuf,
}

impl TemporaryFolder {
    fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!(
            "mcp-whittle-demo-{}-{:08x}",
            std::process::id(),
            rand::random::<u32>()
        ));
        std::fs::create_dir(&path)
            .with_context(|| format!("cannot make the folder `{}`", path.display()))?;
        Ok(Self { path })
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
