//! What decides who gets in, made at the start and looked after while we serve: TLS and tokens.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::auth::Gate;
use super::tls::ServerTls;
use super::{HttpServerConfig, ListenError};

/// Between two looks at the files. Contents are compared: watches miss how Secrets are swapped.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// Who gets in. Parts that are missing ask nothing.
#[derive(Debug)]
pub(super) struct Guard {
    pub(super) tls: Option<Arc<ServerTls>>,
    pub(super) gate: Option<Arc<Gate>>,
}

impl Guard {
    /// Reads all files.
    ///
    /// # Errors
    /// [`ListenError`] for the first one that cannot be used.
    pub(super) fn load(config: &HttpServerConfig) -> Result<Self, ListenError> {
        let tls = match &config.tls {
            Some(files) => {
                let tls = ServerTls::load(files)?;
                if !tls.is_valid() {
                    tracing::error!(
                        "the certificate has expired; hint: renew it; a good one is taken over by itself"
                    );
                }
                Some(Arc::new(tls))
            }
            None => None,
        };
        let gate = match &config.auth {
            Some(auth) => Some(Arc::new(Gate::load(auth)?)),
            None => None,
        };
        Ok(Self { tls, gate })
    }

    /// Takes over changed files, at intervals and on SIGHUP, until `cancel`.
    pub(super) async fn look_after(self, cancel: CancellationToken) {
        if self.tls.is_none() && self.gate.is_none() {
            return;
        }
        if let Some(gate) = &self.gate {
            tokio::spawn(Arc::clone(gate).look_after(cancel.clone()));
        }
        let this = Arc::new(self);
        let mut hang_up = signal(SignalKind::hangup()).ok();
        loop {
            let asked = async {
                match &mut hang_up {
                    Some(hang_up) => hang_up.recv().await,
                    None => std::future::pending().await,
                }
            };
            let is_asked = tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(LOOK_INTERVAL) => false,
                _ = asked => true,
            };
            let looking = Arc::clone(&this);
            let _ = tokio::task::spawn_blocking(move || looking.look(is_asked)).await;
        }
    }

    fn look(&self, is_asked: bool) {
        if let Some(tls) = &self.tls {
            tls.reload();
        }
        if let Some(gate) = &self.gate {
            gate.reload(is_asked);
        }
    }
}
