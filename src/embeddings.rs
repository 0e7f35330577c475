//! The folder of word vectors that `--embeddings` names: read from disk, once, and only when a search
//! needs it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::search::{Table, TableError};

/// Bytes of the weights, at most: a large table of model2vec has 129 MB.
const WEIGHTS_BYTES: u64 = 256 << 20;
/// Bytes of the tokenizer, at most.
const TOKENIZER_BYTES: u64 = 32 << 20;
/// The file of the weights.
const WEIGHTS: &str = "model.safetensors";
/// The file of the vocabulary.
const TOKENIZER: &str = "tokenizer.json";

/// Why a folder is no table.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddingsError {
    /// A file cannot be read.
    #[error(
        "cannot read `{path}`: {error}\nhint: name the folder of a model2vec model: it holds `{WEIGHTS}` and `{TOKENIZER}`"
    )]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// A file is too large.
    #[error(
        "`{path}` is larger than {most} bytes\nhint: make a smaller table: fewer dimensions, or numbers of 8 bits"
    )]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// What it may have.
        most: u64,
    },
    /// The files hold something else.
    #[error(
        "`{folder}` is no table of word vectors: {error}\nhint: static models of the model2vec kind with a WordPiece tokenizer can be read; sentence models cannot"
    )]
    Table {
        /// Which folder.
        folder: PathBuf,
        /// What is wrong.
        error: TableError,
    },
}

/// Reads a table.
///
/// # Errors
/// When a file is missing, too large or something else; the text has a hint.
pub fn load(folder: &Path) -> Result<Table, EmbeddingsError> {
    let tokenizer = read(&folder.join(TOKENIZER), TOKENIZER_BYTES)?;
    let weights = read(&folder.join(WEIGHTS), WEIGHTS_BYTES)?;
    let table = match std::str::from_utf8(&tokenizer) {
        Ok(text) => Table::parse(&weights, text),
        Err(error) => Err(TableError::Tokenizer(error.to_string())),
    };
    table.map_err(|error| EmbeddingsError::Table {
        folder: folder.to_owned(),
        error,
    })
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, EmbeddingsError> {
    let fault = |error| EmbeddingsError::Read {
        path: path.to_owned(),
        error,
    };
    let file = File::open(path).map_err(fault)?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(fault)?;
    if bytes.len() as u64 > most {
        return Err(EmbeddingsError::TooLarge {
            path: path.to_owned(),
            most,
        });
    }
    Ok(bytes)
}

/// The table of a running proxy: read at the first list that hides tools, and then kept.
#[derive(Debug)]
pub struct Embeddings {
    folder: Option<PathBuf>,
    table: OnceLock<Option<Arc<Table>>>,
}

impl Embeddings {
    /// Remembers where the table is; nothing is read yet.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self {
            folder,
            table: OnceLock::new(),
        }
    }

    /// Returns the table; none if there is no setting, or if it cannot be read, which is logged once:
    /// searches go on by words. Blocks while it is read.
    pub fn table(&self) -> Option<Arc<Table>> {
        let folder = self.folder.as_deref()?;
        let table = self.table.get_or_init(|| match load(folder) {
            Ok(table) => Some(Arc::new(table)),
            Err(error) => {
                let text = error.to_string().replace("\nhint:", "; hint:");
                tracing::error!("tools are searched by words only: {text}");
                None
            }
        });
        table.clone()
    }
}
