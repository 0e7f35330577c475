//! The proxy itself, when no subcommand is given.

use std::process::ExitCode;

use anyhow::Context;

use crate::cli::ProxyArgs;
use crate::config::{self, ProcessEnvironment, Settings, SurfaceMode};
use crate::driver::{self, Downstream, Setup};
use crate::transport::http_server::{HttpServerConfig, HttpServerLimits};
use crate::transport::{admin, http_server};

use super::{Output, load_settings};

/// Runs the proxy until its client or a signal ends it.
///
/// # Errors
/// When the settings are wrong or the proxy cannot start.
pub fn run(args: ProxyArgs, _output: &mut Output<'_>) -> anyhow::Result<ExitCode> {
    let settings = load_settings(&args)?.settings;
    let runtime = runtime(&settings)?;
    let code = runtime.block_on(async {
        let downstream = match listen_config(&settings) {
            Some(config) => {
                let server = http_server::bind(config)
                    .await
                    .map_err(|error| anyhow::anyhow!("{error}"))?;
                for address in server.local_addrs() {
                    let path = settings.listen.as_ref().map_or("", |listen| &listen.path);
                    tracing::info!("listening on http://{address}{path}");
                }
                Downstream::Http(Box::new(server))
            }
            None => Downstream::Stdio,
        };
        let admin = match settings.admin_listen {
            Some(address) => {
                let server = admin::bind(address)
                    .await
                    .map_err(|error| anyhow::anyhow!("{error}"))?;
                tracing::info!("health on http://{}", server.local_addr());
                Some(server)
            }
            None => None,
        };
        let setup = Setup {
            wraps: !args.source.command.is_empty(),
            is_inner: driver::is_inner_hop(),
            reload: Some(Box::new(move || {
                config::load(&args, &ProcessEnvironment, &config::read_file)
                    .map(|loaded| loaded.settings)
                    .map_err(|errors| {
                        let lines: Vec<String> =
                            errors.findings.iter().map(ToString::to_string).collect();
                        lines.join("; ")
                    })
            })),
            settings,
            downstream,
            admin,
        };
        // A task rather than the runtime's main future: waking that one costs a write and another wait,
        // even from its own thread.
        match tokio::spawn(driver::run(setup)).await {
            Ok(outcome) => outcome.context("cannot run"),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    })?;
    // Threads that still wait for stdin or a slow disk are not waited for.
    runtime.shutdown_background();
    Ok(ExitCode::from(code.code))
}

/// One thread serves one client on pipes with the least latency; HTTP spreads over the cores.
fn runtime(settings: &Settings) -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = if settings.listen.is_some() {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    if settings.shaping.surface != SurfaceMode::Full {
        builder.max_blocking_threads(8);
    }
    builder
        .enable_all()
        .build()
        .context("cannot start the runtime")
}

fn listen_config(settings: &Settings) -> Option<HttpServerConfig> {
    let listen = settings.listen.as_ref()?;
    let bytes = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let mut config = HttpServerConfig::new(vec![listen.addr]);
    config.path.clone_from(&listen.path);
    config.allowed_hosts.clone_from(&listen.allowed_hosts);
    config.allowed_origins.clone_from(&listen.allowed_origins);
    config.limits = HttpServerLimits {
        max_body_bytes: bytes(listen.limits.body_bytes.min(settings.limits.frame_bytes)),
        max_header_bytes: bytes(listen.limits.header_bytes),
        max_headers: listen.limits.headers as usize,
        header_timeout: listen.limits.header_timeout,
        body_timeout: listen.limits.body_timeout,
        max_connections: listen.limits.connections as usize,
        keep_alive_comment_interval: listen.limits.keep_alive,
        max_queued_bytes: bytes(settings.limits.queue_bytes),
        max_queued_events: settings.limits.queue_frames as usize,
        max_queued_total: bytes(settings.most_waiting_bytes(listen)),
        stall_timeout: settings.timeouts.stall,
        ..HttpServerLimits::default()
    };
    Some(config)
}
