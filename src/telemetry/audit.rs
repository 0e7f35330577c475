//! Where audit records go: a file that only its owner reads, or stderr; one JSON object a line. Shell.
//!
//! The loop never waits: records go through a bounded queue to a thread that writes. What does not fit is
//! lost, counted, logged once for each time it begins, and said in the file when that can be written again.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
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
        let is_unfinished = match &place {
            Place::Stderr => false,
            Place::File(path, file) => is_unfinished(path, file),
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
                    is_unfinished,
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

/// Whether the last line has no end: the disk was full, or the process killed, in the middle of a record. Of
/// what cannot be read nothing is known.
fn is_unfinished(path: &Path, file: &File) -> bool {
    let Ok(about) = file.metadata() else {
        return false;
    };
    let Some(at) = about.len().checked_sub(1).filter(|_| about.is_file()) else {
        return false;
    };
    let mut last = [b'\n'];
    let read = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)
        .and_then(|file| file.read_exact_at(&mut last, at));
    read.is_ok() && last != [b'\n']
}

enum Place {
    Stderr,
    File(PathBuf, File),
}

struct Writer {
    place: Place,
    shared: Arc<Shared>,
    fails: bool,
    /// The file ends in a part of a line: a record behind it could not be read.
    is_unfinished: bool,
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
                Ok(new) => {
                    self.is_unfinished = is_unfinished(path, &new);
                    *file = new;
                }
                Err(error) => tracing::error!(
                    "the audit log `{}` cannot be opened again: {error}; the old file is written on",
                    path.display()
                ),
            }
        }
        self.say_lost();
        if !self.put(line) {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
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

    /// Writes a line whole, behind the end of one that was not; tells whether it did.
    fn put(&mut self, line: &str) -> bool {
        let Place::File(path, file) = &mut self.place else {
            return crate::transport::stderr::Stderr
                .write_all(line.as_bytes())
                .is_ok();
        };
        let ended;
        let mut rest = match self.is_unfinished {
            true => {
                ended = format!("\n{line}");
                ended.as_bytes()
            }
            false => line.as_bytes(),
        };
        while !rest.is_empty() {
            let written = match file.write(rest) {
                Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                written => written,
            };
            match written {
                Ok(n) => {
                    self.is_unfinished = rest[n - 1] != b'\n';
                    rest = &rest[n..];
                }
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
                    return false;
                }
            }
        }
        self.fails = false;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::OwnedFd;

    use super::*;

    /// Reads what a pipe holds now.
    fn taken(reader: &mut File) -> String {
        let mut all = Vec::new();
        let end = reader.read_to_end(&mut all).unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::WouldBlock);
        String::from_utf8(all).unwrap()
    }

    /// Broken variants that this catches: a record is put behind the half that could be written of the last one;
    /// a record that has a member `lost` is taken for the line that says how many were, and not counted.
    #[test]
    fn a_half_line_is_ended_before_the_next() {
        let (reader, writer) = std::io::pipe().unwrap();
        let (reader, writer) = (OwnedFd::from(reader), OwnedFd::from(writer));
        for end in [&reader, &writer] {
            rustix::fs::fcntl_setfl(end, rustix::fs::OFlags::NONBLOCK).unwrap();
        }
        let mut reader = File::from(reader);
        let shared = Arc::new(Shared::default());
        // What cannot be written at once is given up.
        shared.is_hurried.store(true, Ordering::Relaxed);
        let mut writer = Writer {
            place: Place::File(PathBuf::from("pipe"), File::from(writer)),
            shared,
            fails: false,
            is_unfinished: false,
        };
        let large = format!("{{\"lost\":\"{}\"}}\n", "x".repeat(8 << 20));
        writer.take(&large);
        let half = taken(&mut reader);
        assert!(large.starts_with(&half) && half.len() < large.len());
        writer.take("{\"n\":1}\n");
        writer.take("{\"n\":2}\n");
        let rest = taken(&mut reader);
        let lines: Vec<&str> = rest.split('\n').collect();
        let [end, lost, one, two, nothing] = lines[..] else {
            panic!("{rest}");
        };
        assert_eq!((end, one, two, nothing), ("", "{\"n\":1}", "{\"n\":2}", ""));
        assert!(lost.ends_with(",\"lost\":1}"), "{lost}");
    }

    /// Broken variant that this catches: only what this process left is known, so the first record of the next
    /// one stands behind the half of one.
    #[test]
    fn a_half_line_of_an_earlier_process_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        for (text, expected) in [("", false), ("{}\n", false), ("{}\n{\"v\":", true)] {
            std::fs::write(&path, text).unwrap();
            let file = open_file(&path).unwrap();
            assert_eq!(is_unfinished(&path, &file), expected, "{text:?}");
        }
    }
}
