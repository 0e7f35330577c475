//! The file of reviewed texts that stand for longer ones, read once with the configuration.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::surface::summaries::Summaries;

/// Bytes of the file, at most.
const MAX_BYTES: u64 = 64 << 20;

/// The file and what stands in it; none of both unless it is configured.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SummariesFile {
    path: Option<PathBuf>,
    /// The texts, by the hashes of the originals.
    pub texts: Arc<Summaries>,
}

impl SummariesFile {
    /// Reads a file.
    ///
    /// # Errors
    /// A text with its hint when the file cannot be read, is larger than 64 MiB, or has a line that is no
    /// summary.
    pub fn read(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let unreadable = |error: std::io::Error| {
            format!(
                "{shown} cannot be read: {error}\nhint: `mcp-whittle summarize --out {shown}` writes one"
            )
        };
        let mut text = String::new();
        File::open(path)
            .and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text))
            .map_err(unreadable)?;
        if text.len() as u64 > MAX_BYTES {
            return Err(format!(
                "{shown} is larger than {MAX_BYTES} bytes\nhint: keep the texts of these servers only"
            ));
        }
        let texts = Summaries::parse(&text).map_err(|error| format!("{shown}: {error}"))?;
        Ok(Self {
            path: Some(path.to_owned()),
            texts: Arc::new(texts),
        })
    }
}

impl fmt::Display for SummariesFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => {
                write!(f, "{} ({} texts", path.display(), self.texts.len())?;
                if self.texts.n_unreviewed > 0 {
                    write!(f, ", {} not reviewed and not used", self.texts.n_unreviewed)?;
                }
                if self.texts.n_refused > 0 {
                    write!(f, ", {} refused by the linter", self.texts.n_refused)?;
                }
                f.write_str(")")
            }
            None => f.write_str("none"),
        }
    }
}
