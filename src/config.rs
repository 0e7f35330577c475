//! File + environment + flags become one immutable, validated `Settings`. Shell.
//!
//! Start at [`load`]. It reads nothing by itself: the environment and the files come through
//! arguments. A half-valid configuration is refused as a whole, with every error named. A reload
//! on SIGHUP is [`load`] again with the same arguments; [`Settings::needs_restart`] says what a
//! running program cannot take over.

mod audit;
mod auth;
mod bounds;
mod cache;
mod choose;
mod document;
mod draft;
mod effective;
mod environment;
mod expand;
mod file;
mod finding;
mod guard;
mod header;
mod input;
mod keys;
pub mod listen;
mod listener;
mod load;
mod lock_file;
mod memory;
mod policy;
pub mod profiles;
mod redact;
mod restart;
pub mod results;
mod server;
mod settings;
mod source;
mod summaries;
mod telemetry;
#[cfg(test)]
mod tests;
pub mod text;

pub use audit::{AuditSettings, AuditTarget};
pub use auth::{AuthSettings, ForwardAuthorization, JwksPlace};
pub use bounds::{BreakerBounds, HttpLimits, Limits, Restart, ServiceBounds, Timeouts};
pub use cache::{CacheConfig, RedisSettings};
pub use effective::{Effective, render_table, to_json};
pub use environment::{EnvSource, ProcessEnvironment};
pub use finding::{ConfigErrors, Finding, Origin};
pub use keys::is_setting_variable;
pub use listen::ListenAddress;
pub use load::{
    Loaded, LoadedPolicy, LoadedShaping, default_state_dir, load, load_log, load_policy,
    load_shaping, load_without_servers,
};
pub use lock_file::LockFile;
pub use memory::MemoryWatch;
pub use settings::{
    EraPin, InheritEnv, ListenSettings, LogFormat, LogSettings, Mode, Naming, OpenSchemas,
    PrefixMode, ProxySettings, ServerName, ServerNameError, ServerSettings, ServerTransport,
    Settings, Shaping, Share, StateSettings, SurfaceMode, TlsSettings, Tokenizer,
};
pub use source::FileReader;
pub use summaries::SummariesFile;
pub use telemetry::{Destination, Headers, TelemetrySettings};

/// Largest configuration file in bytes; real ones have a few kilobytes.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// Reads a file of the configuration.
///
/// # Errors
/// When it cannot be read, is a folder, or is longer than 4 MiB.
pub fn read_file(path: &std::path::Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;

    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let problem = format!("longer than {}", text::show_bytes(MAX_FILE_BYTES));
        return Err(std::io::Error::new(
            std::io::ErrorKind::FileTooLarge,
            problem,
        ));
    }
    Ok(bytes)
}
