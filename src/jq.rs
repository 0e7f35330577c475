//! Programs in the language of jq, run in a process of their own that can be ended. Shell.
//!
//! A model's program may loop, explode or crash; none of that may touch the proxy. The process is this same
//! program with [`ARGUMENT`], with an empty environment, no files, and bounds on memory, processor time and
//! output that it sets itself before it reads anything. Program and input go over a pipe. Dropping the
//! future of [`run`] kills it.

mod child;
mod program;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::time::timeout;

use crate::transport::reaper;

pub use child::run as run_child;
pub use program::{LEFT_OUT, Program};

/// The first argument that makes this program run one jq program.
pub const ARGUMENT: &str = "__jq";
/// Bytes that it may print.
const OUTPUT: u64 = 8 << 20;
/// Bytes of what it says about a failure.
const WORDS: u64 = 4 << 10;
/// Exit code of a program that cannot be read.
const UNREADABLE: u8 = 3;
/// Exit code of a program that failed.
const FAILED: u8 = 5;

/// Why a program has no result. The text is for the model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JqError {
    /// It is no program.
    #[error("the program cannot be read: {0}")]
    Unreadable(String),
    /// It ended with an error.
    #[error("the program failed: {0}")]
    Failed(String),
    /// It did not end.
    #[error(
        "the program took longer than {0:?} and was stopped; select less before you work on it"
    )]
    Slow(Duration),
    /// It needed too much memory.
    #[error("the program needed more than {} MB and was stopped; select before you collect", child::MEMORY >> 20)]
    Memory,
    /// It called itself too deeply.
    #[error("the program called itself too deeply and was stopped")]
    Deep,
    /// It printed without end.
    #[error("the program gave more than {} MB and was stopped; let it give less", OUTPUT >> 20)]
    Output,
    /// It could not be run.
    #[error("programs cannot be run here: {0}; use `pointer`, `items`, `fields` or `grep`")]
    Unavailable(String),
}

/// Runs a program on one JSON text and returns what it gave, a line for each value. `own` is the file of
/// this program.
///
/// # Errors
/// When it gave no result within `limit`.
pub async fn run(
    own: &Path,
    program: &str,
    input: &str,
    limit: Duration,
) -> Result<String, JqError> {
    let unavailable = |error: std::io::Error| JqError::Unavailable(error.to_string());
    let mut command = Command::new(own);
    command
        .arg(ARGUMENT)
        .arg(limit.as_secs().saturating_add(1).to_string())
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut child = command.spawn().map_err(unavailable)?;
    let _known = Known::new(child.id());
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let mut sent = format!("{}\n{program}", program.len()).into_bytes();
    sent.extend_from_slice(input.as_bytes());
    let write = async move {
        if let Some(mut stdin) = stdin {
            // It may end before it has read everything.
            let _ = stdin.write_all(&sent).await;
        }
    };
    let talk = async {
        let (printed, words, ()) =
            tokio::join!(read(stdout, OUTPUT + 1), read(stderr, WORDS), write);
        (printed, words, child.wait().await)
    };
    let Ok((printed, words, status)) = timeout(limit, talk).await else {
        let _ = child.kill().await;
        return Err(JqError::Slow(limit));
    };
    let words = String::from_utf8_lossy(&words);
    let words = words.trim();
    if printed.len() as u64 > OUTPUT {
        return Err(JqError::Output);
    }
    let status = status.map_err(unavailable)?;
    if status.success() {
        return String::from_utf8(printed)
            .map_err(|_| JqError::Failed("it gave bytes that are no text".to_owned()));
    }
    Err(match status.code().map(u8::try_from) {
        Some(Ok(UNREADABLE)) => JqError::Unreadable(words.to_owned()),
        Some(Ok(FAILED)) => JqError::Failed(words.to_owned()),
        _ if words.contains("overflowed its stack") => JqError::Deep,
        _ if words.contains("memory allocation") => JqError::Memory,
        None => JqError::Slow(limit),
        Some(_) => JqError::Failed("it could not go on".to_owned()),
    })
}

/// Reads so many bytes and hangs up.
async fn read(from: Option<impl tokio::io::AsyncRead + Unpin>, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        let _ = from.take(most).read_to_end(&mut bytes).await;
    }
    bytes
}

/// A child that nobody else may wait for.
struct Known(Option<u32>);

impl Known {
    fn new(pid: Option<u32>) -> Self {
        if let Some(pid) = pid {
            reaper::know(pid);
        }
        Self(pid)
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            reaper::forget(pid);
        }
    }
}
