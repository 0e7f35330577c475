//! File + environment + flags become one immutable, validated `Settings`. Shell.
//!
//! Start at [`load`](load::load). It reads nothing by itself: the environment and the files come
//! through arguments. A half-valid configuration is refused as a whole, with every error named.

mod environment;
mod redact;
mod settings;
pub mod text;

pub use environment::{EnvSource, ProcessEnvironment};
pub use settings::{
    EraPin, HttpLimits, InheritEnv, Limits, ListenSettings, LogFormat, LogSettings, Mode, Naming,
    PrefixMode, ProxySettings, Restart, ServerName, ServerNameError, ServerSettings,
    ServerTransport, Settings, Share, StateSettings, SurfaceMode, Timeouts, TlsSettings, Tokenizer,
};
