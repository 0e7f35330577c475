//! Settings while the layers are laid on each other, before they are checked against each other.
//! Pure.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::audit::AuditSettings;
use super::auth::ForwardAuthorization;
use super::bounds::{Limits, Restart, Timeouts};
use super::cache::CacheConfig;
use super::listen::ListenAddress;
use super::lock_file::LockFile;
use super::telemetry::TelemetrySettings;
use crate::policy::Policy;
use crate::policy::guard::Guard;
use crate::token::ledger::holdout::HoldoutShare;

use super::settings::{
    EraPin, InheritEnv, ListenSettings, LogSettings, PrefixMode, Shaping, TlsSettings, Tokenizer,
};

/// What the keys of the table set. Starts as the defaults.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    pub(super) prefix: PrefixMode,
    pub(super) separator: Option<String>,
    pub(super) shaping: Shaping,
    pub(super) is_transparent: bool,
    pub(super) is_shadow: bool,
    pub(super) limits: Limits,
    pub(super) timeouts: Timeouts,
    pub(super) restart: Restart,
    pub(super) cache: CacheConfig,
    /// The listener, if there is one; its other values are in `http`.
    pub(super) listen: Option<ListenAddress>,
    pub(super) http: ListenSettings,
    pub(super) forward_authorization: ForwardAuthorization,
    pub(super) admin_listen: Option<SocketAddr>,
    pub(super) tls: TlsSettings,
    pub(super) memory_watch: super::MemoryWatch,
    pub(super) embeddings: Option<PathBuf>,
    pub(super) lock: Option<LockFile>,
    pub(super) guard: Guard,
    pub(super) policy: Policy,
    pub(super) audit: AuditSettings,
    pub(super) holdout: HoldoutShare,
    pub(super) state_dir: Option<PathBuf>,
    pub(super) is_stateless_on_disk: bool,
    pub(super) tokenizer: Tokenizer,
    pub(super) log: LogSettings,
    pub(super) telemetry: TelemetrySettings,
    pub(super) servers: ServerDefaults,
}

/// What a server's entry takes where it says nothing itself.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ServerDefaults {
    pub(super) era: EraPin,
    pub(super) is_stateless: bool,
    pub(super) inherit_env: InheritEnv,
}
