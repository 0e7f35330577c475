//! Whose memory limit is watched. Part of the settings: plain values.

use std::path::PathBuf;

/// The control group whose memory limit is ours.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum MemoryWatch {
    /// The one that this process is in, where it has a limit (cgroup v2).
    #[default]
    Own,
    /// None.
    Off,
    /// The one with this folder.
    Folder(PathBuf),
}

impl std::fmt::Display for MemoryWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Own => f.write_str("own"),
            Self::Off => f.write_str("off"),
            Self::Folder(path) => write!(f, "{}", path.display()),
        }
    }
}
