//! `webhook`: answers API servers about new pods until a signal ends it.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::cli::WebhookArgs;
use crate::kube::webhook::{Webhook, WebhookConfig};
use crate::transport::admin::{self, AdminState};
use crate::transport::certificate::CertificateFiles;

use super::{Output, start_logging};

/// Serves until SIGTERM or SIGINT, then ends what is in flight.
///
/// # Errors
/// When an address or the certificate cannot be used.
pub fn run(args: WebhookArgs, _output: &mut Output<'_>) -> anyhow::Result<ExitCode> {
    start_logging(&args.log)?;
    let config = WebhookConfig {
        listen: args.listen,
        files: CertificateFiles {
            certificate: args.tls_cert,
            key: args.tls_key,
        },
        injector: args.injector.injector(),
        rejects: args.reject_invalid,
        reload_interval: args.reload_interval,
        drain: args.drain,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(16)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let webhook = Webhook::bind(config).map_err(|error| anyhow::anyhow!("{error}"))?;
        tracing::info!("listening on https://{}/mutate", webhook.local_addr());
        let state = Arc::new(AdminState::default());
        let metrics = webhook.metrics();
        state.set_metrics(Box::new(move || metrics.render()));
        let end = CancellationToken::new();
        let admin_end = CancellationToken::new();
        let admin = match args.admin_listen {
            Some(address) => {
                let server = admin::bind(address)
                    .await
                    .map_err(|error| anyhow::anyhow!("{error}"))?;
                tracing::info!("health and metrics on http://{}", server.local_addr());
                Some(tokio::spawn(
                    server.serve(Arc::clone(&state), admin_end.clone()),
                ))
            }
            None => None,
        };
        let signalled = end.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            signalled.cancel();
        });
        webhook.serve(state, end).await;
        admin_end.cancel();
        if let Some(admin) = admin {
            let _ = admin.await;
        }
        anyhow::Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}
