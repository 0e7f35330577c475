//! The lock file that calls are held to, read once with the configuration.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::surface::lock::{Lock, MAX_BYTES};

/// The file and what it approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockFile {
    path: PathBuf,
    /// For each tool, by the name that clients see, the hash of its definition.
    pub originals: Arc<BTreeMap<String, String>>,
}

impl LockFile {
    /// Reads a lock file.
    ///
    /// # Errors
    /// A text with its hint when the file cannot be read or is no lock.
    pub fn read(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes))
            .map_err(|error| {
                format!("{shown} cannot be read: {error}\nhint: `mcp-whittle lock --out {shown}` writes one")
            })?;
        let lock = Lock::parse(&bytes).map_err(|error| format!("{shown}: {error}"))?;
        Ok(Self {
            path: path.to_owned(),
            originals: Arc::new(lock.originals()),
        })
    }
}

impl fmt::Display for LockFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({} tools)",
            self.path.display(),
            self.originals.len()
        )
    }
}
