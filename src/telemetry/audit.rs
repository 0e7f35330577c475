//! Where audit records go: a file that only its owner reads, or stderr; one JSON object a line. Shell.
//!
//! The loop never waits: records go through a bounded queue to a thread that writes. What does not fit is
//! lost, counted, logged once for each time it begins, and said in the file when that can be written again.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::config::AuditTarget;
use crate::policy::audit::{Record, VERSION, timestamp};

/// Records that wait to be written, at most: with arguments, 16 MiB.
const QUEUE: usize = 1024;
/// How often a writer looks up while it has nothing to do, or cannot go on.
const LOOK: Duration = Duration::from_millis(50);

/// Takes records. Dropping it ends the writer without waiting for it.
pub struct AuditSink {
    sender: Option<SyncSender<String>>,
    shared: Arc<Shared>,
    writer: Option<std::thread::JoinHandle<()>>,
    process: String,
    seq: u64,
}

#[derive(Default)]
struct Shared {
    /// Records that were lost since that was last written.
    lost: AtomicU64,
    wants_reopen: AtomicBool,
    is_over: AtomicBool,
    /// Set with the queue's end: what cannot be written at once is given up.
    is_hurried: AtomicBool,
}

impl AuditSink {
    /// Opens the target.
    ///
    /// # Errors
    /// When the file cannot be opened or the thread not started.
    pub fn open(target: &AuditTarget, process: &str) -> io::Result<Self> {
        let place = match target {
            AuditTarget::Stderr => Place::Stderr,
            AuditTarget::File(path) => Place::File(path.clone(), open_file(path)?),
        };
        let shared = Arc::new(Shared::default());
        let (sender, queue) = sync_channel(QUEUE);
        let for_writer = Arc::clone(&shared);
        let writer = std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || {
                Writer {
                    place,
                    shared: for_writer,
                    fails: false,
                }
                .run(&queue);
            })?;
        Ok(Self {
            sender: Some(sender),
            shared,
            writer: Some(writer),
            process: process.to_owned(),
            seq: 0,
        })
    }

    /// Takes a record; never waits.
    pub fn write(&mut self, mut record: Record) {
        self.seq += 1;
        record.seq = self.seq;
        record.process.clone_from(&self.process);
        record.time = now();
        let Ok(mut line) = serde_json::to_string(&record) else {
            return;
        };
        line.push('\n');
        let sent = self.sender.as_ref().map(|sender| sender.try_send(line));
        if let Some(Err(TrySendError::Full(_) | TrySendError::Disconnected(_))) = sent
            && self.shared.lost.fetch_add(1, Ordering::Relaxed) == 0
        {
            tracing::warn!("the audit log does not take its records fast enough; some are lost");
        }
    }

    /// Opens the file anew before the next record, as after a rotation.
    pub fn reopen(&self) {
        self.shared.wants_reopen.store(true, Ordering::Relaxed);
    }

    /// Writes what waits, within a time.
    pub fn finish(mut self, wait: Duration) {
        self.sender = None;
        let Some(writer) = self.writer.take() else {
            return;
        };
        let mut left = wait;
        while !writer.is_finished() && !left.is_zero() {
            std::thread::sleep(LOOK.min(left) / 5);
            left = left.saturating_sub(LOOK / 5);
        }
        self.shared.is_hurried.store(true, Ordering::Relaxed);
    }
}

impl Drop for AuditSink {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
    }
}

fn now() -> String {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    timestamp(since.as_secs(), since.subsec_millis())
}

/// A pipe that nobody reads must not hold us up, nor a link lead elsewhere.
fn open_file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)?;
    let mode = file.metadata()?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(
            "the audit log `{}` can be read or written by others (mode {:03o}); chmod 600 it",
            path.display(),
            mode & 0o777
        );
    }
    Ok(file)
}

enum Place {
    Stderr,
    File(PathBuf, File),
}

struct Writer {
    place: Place,
    shared: Arc<Shared>,
    fails: bool,
}

impl Writer {
    fn run(mut self, queue: &Receiver<String>) {
        loop {
            match queue.recv_timeout(Duration::from_secs(1)) {
                Ok(line) => self.take(&line),
                Err(RecvTimeoutError::Timeout) => self.say_lost(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.say_lost();
    }

    fn take(&mut self, line: &str) {
        if self.shared.wants_reopen.swap(false, Ordering::Relaxed)
            && let Place::File(path, file) = &mut self.place
        {
            match open_file(path) {
                Ok(new) => *file = new,
                Err(error) => tracing::error!(
                    "the audit log `{}` cannot be opened again: {error}; the old file is written on",
                    path.display()
                ),
            }
        }
        self.say_lost();
        self.put(line);
    }

    fn say_lost(&mut self) {
        let lost = self.shared.lost.swap(0, Ordering::Relaxed);
        if lost == 0 {
            return;
        }
        let line = format!(
            "{{\"v\":{VERSION},\"time\":\"{}\",\"lost\":{lost}}}\n",
            now()
        );
        if self.put(&line) {
            tracing::warn!("{lost} audit records were lost");
        } else {
            self.shared.lost.fetch_add(lost, Ordering::Relaxed);
        }
    }

    /// Writes a line whole; tells whether it did. What was lost is counted, but for the line that says so.
    fn put(&mut self, line: &str) -> bool {
        let Place::File(path, file) = &mut self.place else {
            return crate::transport::stderr::Stderr
                .write_all(line.as_bytes())
                .is_ok();
        };
        let mut rest = line.as_bytes();
        while !rest.is_empty() {
            match file.write(rest) {
                Ok(n) => rest = &rest[n..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error)
                    if error.kind() == io::ErrorKind::WouldBlock
                        && !self.shared.is_hurried.load(Ordering::Relaxed) =>
                {
                    std::thread::sleep(LOOK);
                }
                Err(error) => {
                    if !self.fails {
                        tracing::error!(
                            "the audit log `{}` cannot be written: {error}; records are lost until it can",
                            path.display()
                        );
                    }
                    self.fails = true;
                    if !line.contains("\"lost\":") {
                        self.shared.lost.fetch_add(1, Ordering::Relaxed);
                    }
                    return false;
                }
            }
        }
        self.fails = false;
        true
    }
}
