//! A server that is a child process: newline-delimited messages on its stdin and stdout.
//!
//! Every child has a process group of its own. One task reads, one writes, one reads stderr, one
//! supervises; none waits for another. Never a shell: a command is an argument vector.

use std::collections::VecDeque;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Buf, Bytes};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::jsonrpc::Limits;
use crate::jsonrpc::frame::{FrameDecoder, Framed};
use crate::jsonrpc::write::Outgoing;

use super::frame_queue::FrameQueue;
use super::{exec, guard, reaper};

/// Bytes asked for in one read.
const READ: usize = 64 << 10;
/// Small frames written together, at most.
const BATCH: usize = 256 << 10;
/// Bytes of a stderr line that are passed on at once; of a longer one parts are.
const STDERR_LINE: usize = 8 << 10;
/// How long output may still come after the process has ended, while something holds its pipe open.
const AFTER_EXIT: Duration = Duration::from_millis(500);

/// How a child is started and stopped.
#[derive(Debug, Clone)]
pub struct ChildConfig {
    /// Its name in logs; empty for none.
    pub label: String,
    /// The program.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// The whole environment.
    pub env: Vec<(std::ffi::OsString, std::ffi::OsString)>,
    /// Its working directory; none = ours.
    pub cwd: Option<PathBuf>,
    /// Bounds of its messages.
    pub limits: Limits,
    /// Between closing stdin and TERM.
    pub term_grace: Duration,
    /// Between TERM and KILL.
    pub kill_grace: Duration,
    /// Lines of stderr kept for error messages.
    pub stderr_lines: usize,
}

/// What a child brings.
#[derive(Debug)]
pub enum ChildEvent {
    /// A line.
    Frame(Framed),
    /// It is over, its process group too.
    Ended(ChildEnd),
}

/// How a child ended.
#[derive(Debug, Clone)]
pub struct ChildEnd {
    /// For people.
    pub detail: String,
    /// The last lines of stderr, without secrets.
    pub stderr: Vec<String>,
    /// Its exit code, or 128 + signal.
    pub code: u8,
    /// Whether it ended by itself rather than by a signal of ours.
    pub by_itself: bool,
}

/// Why a child could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start `{command}`: {source}{hint}")]
pub struct SpawnError {
    command: String,
    source: io::Error,
    hint: &'static str,
    /// What a shell would exit with: 127 not found, 126 not executable.
    pub code: u8,
}

#[derive(Debug, Default)]
struct Queue {
    frames: Mutex<FrameQueue>,
    changed: Notify,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, FrameQueue> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far a child's output was read.
#[derive(Debug, Default)]
struct Reading {
    /// Done once nothing more comes.
    over: CancellationToken,
    /// Whether something that was read waits to be taken.
    is_held: AtomicBool,
}

/// The caller's end of a child.
#[derive(Debug, Clone)]
pub struct ChildHandle {
    queue: Arc<Queue>,
    stop: CancellationToken,
}

impl ChildHandle {
    /// Queues a message. Never waits.
    pub fn send(&self, message: Outgoing) {
        self.queue.lock().push(message);
        self.queue.changed.notify_one();
    }

    /// Returns how many bytes wait to be written.
    pub fn queued_bytes(&self) -> usize {
        self.queue.lock().bytes()
    }

    /// Begins the orderly end: stdin is closed, then TERM, then KILL.
    pub fn stop(&self) {
        self.stop.cancel();
    }
}

/// A process that was started and that nobody attends yet: what it writes waits in its pipes.
#[derive(Debug)]
pub struct Begun {
    child: Child,
    config: ChildConfig,
    unattended: Unattended,
}

/// The group of a process that nobody attends; ends it when dropped.
#[derive(Debug)]
struct Unattended(Option<u32>);

impl Drop for Unattended {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            signal_group(group, Signal::KILL);
            forget(group);
        }
    }
}

fn forget(group: u32) {
    reaper::forget(group);
    guard::forget(group);
}

/// Starts the process of a child, to be attended by [`attend`].
///
/// # Errors
/// [`SpawnError`] when the program cannot be started.
///
/// # Panics
/// Outside a tokio runtime.
pub fn begin(config: ChildConfig) -> Result<Begun, SpawnError> {
    let child = exec::start(&config).map_err(|source| spawn_error(&config, source))?;
    let group = child.id().unwrap_or_default();
    reaper::know(group);
    guard::watch(group);
    Ok(Begun {
        child,
        config,
        unattended: Unattended(Some(group)),
    })
}

/// Reads, writes and supervises a child. `deliver` gets its events and may make the reader wait; `kill` ends it at
/// once.
///
/// # Panics
/// Outside a tokio runtime.
pub fn attend<F, D>(begun: Begun, deliver: D, kill: CancellationToken) -> ChildHandle
where
    D: Fn(ChildEvent) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let Begun {
        mut child,
        config,
        mut unattended,
    } = begun;
    let group = unattended.0.take().unwrap_or_default();
    let handle = ChildHandle {
        queue: Arc::new(Queue {
            frames: Mutex::new(FrameQueue::in_order()),
            changed: Notify::new(),
        }),
        stop: CancellationToken::new(),
    };
    let tail = Arc::new(Mutex::new(VecDeque::new()));
    let reading = Arc::new(Reading::default());
    let deaf = CancellationToken::new();
    let mut writing = None;
    if let (Some(stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    {
        let task = write(stdin, Arc::clone(&handle.queue), handle.stop.clone());
        let deaf = deaf.clone();
        writing = Some(tokio::spawn(async move {
            if task.await.is_err() {
                deaf.cancel();
            }
        }));
        tokio::spawn(read_stderr(
            stderr,
            config.label.clone(),
            Arc::clone(&tail),
            config.stderr_lines,
        ));
        let (deliver, reading) = (deliver.clone(), Arc::clone(&reading));
        tokio::spawn(async move {
            read(stdout, config.limits, deliver, &reading.is_held).await;
            reading.over.cancel();
        });
    }
    let supervising = supervise(
        child,
        group,
        config,
        handle.stop.clone(),
        kill,
        reading,
        deaf,
        tail,
        deliver,
    );
    tokio::spawn(async move {
        supervising.await;
        // It would wait for ever, with its end of the pipe, for something to write to a process that crashed.
        if let Some(writing) = writing {
            writing.abort();
        }
    });
    handle
}

fn spawn_error(config: &ChildConfig, source: io::Error) -> SpawnError {
    let (code, hint) = match source.kind() {
        io::ErrorKind::NotFound if config.cwd.as_ref().is_some_and(|cwd| !cwd.is_dir()) => {
            (126, "\nhint: its working directory does not exist")
        }
        io::ErrorKind::NotFound => (
            127,
            "\nhint: is it installed and in PATH? give the full path if not",
        ),
        io::ErrorKind::PermissionDenied => (126, "\nhint: is it an executable file?"),
        _ if source.raw_os_error() == Some(libc::ENOEXEC) => (
            126,
            "\nhint: it is no program for this machine; a script needs a first line such as `#!/bin/sh`",
        ),
        _ => (126, ""),
    };
    SpawnError {
        command: config.command.clone(),
        source,
        hint,
        code,
    }
}

async fn read<F, D>(mut stdout: ChildStdout, limits: Limits, deliver: D, is_held: &AtomicBool)
where
    D: Fn(ChildEvent) -> F,
    F: Future<Output = ()>,
{
    let mut decoder = FrameDecoder::new(limits);
    super::pipe::widen(&stdout);
    // Cancel safe: partial frames stay in the decoder.
    while let Ok(n) = stdout.read_buf(decoder.buffer(READ)).await {
        if n == 0 {
            break;
        }
        is_held.store(true, Ordering::Relaxed);
        while let Some(framed) = decoder.poll_frame() {
            deliver(ChildEvent::Frame(framed)).await;
        }
        is_held.store(false, Ordering::Relaxed);
    }
    // A line without its end is no message: the process died while it wrote.
}

/// Writes until `stop`; fails once the child reads no more, and leaves what is queued.
async fn write(
    mut stdin: ChildStdin,
    queue: Arc<Queue>,
    stop: CancellationToken,
) -> io::Result<()> {
    loop {
        let pieces = queue.lock().take(BATCH);
        if pieces.is_empty() {
            tokio::select! {
                () = queue.changed.notified() => continue,
                () = stop.cancelled() => {
                    // What was queued before the stop still goes out.
                    let last = queue.lock().take(BATCH);
                    if last.is_empty() {
                        return Ok(());
                    }
                    write_out(&mut stdin, last).await?;
                    continue;
                }
            }
        }
        write_out(&mut stdin, pieces).await?;
    }
}

async fn write_out(stdin: &mut ChildStdin, pieces: Vec<Bytes>) -> io::Result<()> {
    // Small pieces go out in one write; large ones are not copied.
    if pieces.iter().map(Bytes::len).sum::<usize>() <= BATCH {
        stdin.write_all(&pieces.concat()).await?;
    } else {
        for mut piece in pieces {
            while piece.has_remaining() {
                stdin.write_buf(&mut piece).await?;
            }
        }
    }
    stdin.flush().await
}

async fn read_stderr(
    stderr: impl AsyncRead + Unpin,
    label: String,
    tail: Arc<Mutex<VecDeque<String>>>,
    keep: usize,
) {
    let mut lines = BufReader::new(stderr);
    let mut keys = super::stderr::KeyLines::default();
    let mut line: Vec<u8> = Vec::new();
    loop {
        let mut bounded = (&mut lines).take((STDERR_LINE - line.len()) as u64);
        match bounded.read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) if line.is_empty() => return,
            // Also at the end of the stream what is left of a line is told.
            _ => {}
        }
        let goes_on = line.len() >= STDERR_LINE && !line.ends_with(b"\n");
        let end = match goes_on {
            true => super::stderr::cut(&line),
            false => line.len(),
        };
        let mut text = String::from_utf8_lossy(line[..end].trim_ascii_end()).into_owned();
        line.drain(..end);
        if keys.has(&text) {
            text = crate::policy::redact::MASK.to_owned();
        }
        pass_on(&label, &text);
        if text.trim().is_empty() {
            continue;
        }
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.push_back(text);
        if tail.len() > keep {
            tail.pop_front();
        }
    }
}

fn pass_on(label: &str, text: &str) {
    use std::io::Write as _;
    let line = if label.is_empty() {
        format!("{text}\n")
    } else {
        format!("[{label}] {text}\n")
    };
    let _ = super::stderr::Stderr.write_all(line.as_bytes());
}

#[expect(
    clippy::too_many_arguments,
    reason = "everything the end of a child depends on"
)]
async fn supervise<F, D>(
    mut child: Child,
    group: u32,
    config: ChildConfig,
    stop: CancellationToken,
    kill: CancellationToken,
    reading: Arc<Reading>,
    deaf: CancellationToken,
    tail: Arc<Mutex<VecDeque<String>>>,
    deliver: D,
) where
    D: Fn(ChildEvent) -> F,
    F: Future<Output = ()>,
{
    let mut by_itself = true;
    let mut complaint = None;
    let status = tokio::select! {
        status = child.wait() => status,
        () = kill.cancelled() => {
            by_itself = false;
            signal_group(group, Signal::KILL);
            child.wait().await
        }
        why = is_to_end(&stop, &reading, &deaf) => {
            complaint = why;
            // The ladder of MCP 2025-11-25 basic/lifecycle "Shutdown": stdin, TERM, KILL.
            match timeout(config.term_grace, child.wait()).await {
                Ok(status) => status,
                Err(_) => {
                    by_itself = false;
                    signal_group(group, Signal::TERM);
                    match timeout(config.kill_grace, child.wait()).await {
                        Ok(status) => status,
                        Err(_) => {
                            signal_group(group, Signal::KILL);
                            child.wait().await
                        }
                    }
                }
            }
        }
    };
    // Answers that were written before the end are read before the end is told, also where they are taken slowly,
    // unless we wanted the end: then nobody waits for them.
    let _ = timeout(AFTER_EXIT, reading.over.cancelled()).await;
    end_group(group, config.kill_grace).await;
    let mut was_held = reading.is_held.load(Ordering::Relaxed);
    while timeout(AFTER_EXIT, reading.over.cancelled()).await.is_err() {
        // Seen twice, for between two pieces nothing is held either.
        let is_held = reading.is_held.load(Ordering::Relaxed);
        if !(was_held || is_held) || stop.is_cancelled() || kill.is_cancelled() {
            break;
        }
        was_held = is_held;
    }
    forget(group);
    let end = describe(status, by_itself, complaint, &tail);
    deliver(ChildEvent::Ended(end)).await;
}

/// Waits until a child is to end: because we want it, or because nobody can talk with it any more though it may live on,
/// which would leave calls without an answer. Says what is the matter in that case.
async fn is_to_end(
    stop: &CancellationToken,
    reading: &Reading,
    deaf: &CancellationToken,
) -> Option<&'static str> {
    tokio::select! {
        biased;
        () = stop.cancelled() => None,
        () = reading.over.cancelled() => {
            // Its stdin is closed too, so that it can end in order and with a code of its own.
            stop.cancel();
            Some("it closed its stdout")
        }
        () = deaf.cancelled() => Some("it closed its stdin"),
    }
}

fn signal_group(group: u32, signal: Signal) {
    if let Some(group) = i32::try_from(group).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, signal);
    }
}

/// Ends what the direct child left behind in its group.
async fn end_group(group: u32, grace: Duration) {
    let Some(pid) = i32::try_from(group).ok().and_then(Pid::from_raw) else {
        return;
    };
    if test_kill_process_group(pid).is_err() {
        return;
    }
    signal_group(group, Signal::TERM);
    let step = Duration::from_millis(20);
    let mut waited = Duration::ZERO;
    while waited < grace && test_kill_process_group(pid).is_ok() {
        sleep(step).await;
        waited += step;
    }
    signal_group(group, Signal::KILL);
}

fn describe(
    status: io::Result<ExitStatus>,
    by_itself: bool,
    complaint: Option<&str>,
    tail: &Mutex<VecDeque<String>>,
) -> ChildEnd {
    let (detail, code) = match status {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => (
                format!("the process exited with code {code}"),
                u8::try_from(code).unwrap_or(1),
            ),
            (None, Some(signal)) => (
                format!("the process was ended by signal {signal}"),
                u8::try_from(128 + signal).unwrap_or(1),
            ),
            (None, None) => ("the process ended".to_owned(), 1),
        },
        Err(error) => (format!("the process was lost: {error}"), 1),
    };
    let detail = match complaint {
        Some(complaint) if !by_itself => format!("{complaint} and lived on, so {detail}"),
        _ => detail,
    };
    let tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
    let stderr = tail
        .iter()
        // Of half a secret nobody could tell that it is one.
        .map(|line| super::stderr::published(line).chars().take(500).collect())
        .collect();
    ChildEnd {
        detail,
        stderr,
        code,
        by_itself,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::stderr::redacted;

    /// Returns the parts in which a server's stderr is passed on, before their secrets go.
    async fn parts(text: &str) -> Vec<String> {
        let tail = Arc::new(Mutex::new(VecDeque::new()));
        let label = String::new();
        read_stderr(text.as_bytes(), label, Arc::clone(&tail), usize::MAX).await;
        let tail = tail.lock().expect("nobody panicked");
        tail.iter().cloned().collect()
    }

    /// Broken variants that this catches: a long line is cut inside a secret, of which two halves are shown, or behind the
    /// name that tells of it; a part of the line is lost; a run of base64 longer than a part is never cut.
    #[tokio::test]
    async fn long_lines_are_not_cut_inside_a_secret() {
        let secrets = [
            "ghp_Zq3dE5gH7jK9Zq3dE5gH7jK9".to_owned(),
            "Authorization: Bearer Zq3dE5gH7jK9Zq3dE5".to_owned(),
            "Zq3d".repeat(10_000),
        ];
        for before in [8150, 8170, 8182, 8190, 7150, 7160, 7166, 100] {
            for secret in &secrets {
                let text = format!(
                    "{} {secret} {}\nnext\n",
                    "y".repeat(before),
                    "é".repeat(9000)
                );
                let parts = parts(&text).await;
                assert!(parts.iter().all(|part| part.len() <= STDERR_LINE));
                assert_eq!(parts.last().map(String::as_str), Some("next"));
                let plain = |text: &str| text.replace([' ', '\n'], "");
                assert_eq!(plain(&parts.concat()), plain(&text));
                for part in parts {
                    let shown = redacted(part.as_bytes());
                    let shown = String::from_utf8_lossy(&shown);
                    assert!(!shown.contains("Zq"), "{before} {secret:.30}: {shown}");
                }
            }
        }
    }

    /// Broken variant that this catches: what is kept of the line before its end is lost with the process.
    #[tokio::test]
    async fn the_end_of_a_line_without_an_end_is_told() {
        let text = "y ".repeat(5000);
        assert_eq!(parts(&text).await.concat().matches('y').count(), 5000);
        assert_eq!(parts("").await, Vec::<String>::new());
    }

    /// Broken variant that this catches: the last line of a private key, too short to look like one, is shown.
    #[tokio::test]
    async fn every_line_of_a_private_key_goes() {
        let text = "a\n-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\nVBw8qPTo/iDTFw0n=\n-----END PRIVATE KEY-----\nready\n";
        let parts = parts(text).await;
        assert_eq!(
            parts,
            [
                "a",
                "-----BEGIN PRIVATE KEY-----",
                "[redacted]",
                "[redacted]",
                "-----END PRIVATE KEY-----",
                "ready"
            ]
        );
    }
}
