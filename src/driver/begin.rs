//! What comes before everything else: what may refuse to start, signals, and servers, which come up meanwhile.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::Settings;
use crate::store;
use crate::telemetry::audit::AuditSink;
use crate::telemetry::otel::Otel;

use super::servers::Begun;
use super::stores::open_audit;

/// Signals that are ours from now on.
pub(super) struct Signals {
    pub(super) terminate: Signal,
    pub(super) interrupt: Signal,
    pub(super) hang_up: Signal,
}

/// What the rest of the driver is made around.
pub(super) struct Begin {
    /// Names this process in the state folder and the audit log.
    pub(super) process: String,
    pub(super) audit: Option<AuditSink>,
    pub(super) otel: Option<Otel>,
    pub(super) signals: Signals,
    pub(super) begun: Begun,
}

impl Begin {
    /// Opens what has to be there, then starts the servers on pipes.
    ///
    /// # Errors
    /// When the audit log, telemetry or signals cannot be had. No server was started then.
    pub(super) fn new(settings: &Settings) -> std::io::Result<Self> {
        let [a, b, c, d, e, f, g, h, ..] = store::random_secret();
        let process = format!("{:016x}", u64::from_be_bytes([a, b, c, d, e, f, g, h]));
        let audit = open_audit(settings, &process)?;
        let otel = Otel::start(settings, &process)?;
        let signals = Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        };
        Ok(Self {
            process,
            audit,
            otel,
            signals,
            begun: Begun::all(settings),
        })
    }
}
