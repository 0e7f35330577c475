//! The proxy itself, when no subcommand is given.

use std::process::ExitCode;

use anyhow::Context;

use crate::cli::ProxyArgs;
use crate::config::{self, ProcessEnvironment, ServerTransport, Settings, SurfaceMode};
use crate::driver::{self, Downstream, Setup};
use crate::hub::hops::MAX_HOPS;
use crate::transport::{admin, guard, http_server};

use super::{Output, listen, load_settings};

/// Runs the proxy until its client or a signal ends it.
///
/// # Errors
/// When the settings are wrong or the proxy cannot start.
pub fn run(args: ProxyArgs, _output: &mut Output<'_>) -> anyhow::Result<ExitCode> {
    let settings = load_settings(&args)?.settings;
    let hops = driver::hops_before();
    anyhow::ensure!(
        hops <= MAX_HOPS,
        "mcp-whittle was started by {hops} others of its kind, one by another\nhint: look which configuration names mcp-whittle itself as a server"
    );
    // The guard is a copy of a process that has no other thread yet.
    let has_children = settings
        .servers
        .iter()
        .any(|server| matches!(server.transport, ServerTransport::Stdio { .. }));
    if has_children && let Some(code) = guard::split_off() {
        return Ok(code);
    }
    let runtime = runtime(&settings)?;
    let code = runtime.block_on(async {
        let downstream = match listen::config(&settings) {
            Some(config) => {
                let server = http_server::bind(config)
                    .await
                    .map_err(|error| anyhow::anyhow!("{error}"))?;
                listen::announce(&settings, &server);
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
            is_inner: hops > 0,
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
