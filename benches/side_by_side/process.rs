//! A process of a measurement: started with a home of its own, and ended with its whole group.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// How long a process may take to end by itself.
const GRACE: Duration = Duration::from_secs(2);
/// Bytes of stderr that are kept to say why something failed.
const REASON: u64 = 4096;

/// Where processes keep what they write: nothing of the user's own.
#[derive(Clone)]
pub(crate) struct Home(pub(crate) PathBuf);

impl Home {
    /// Returns a path below, made new and empty.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn fresh(&self, name: &str) -> io::Result<Self> {
        let path = self.0.join(name);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

/// A process that ends with the value.
pub(crate) struct Process {
    pub(crate) child: Child,
    stderr: PathBuf,
}

impl Process {
    /// Starts a command with pipes on stdin and stdout.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(words: &[String], home: &Home) -> io::Result<Self> {
        let (program, arguments) = words
            .split_first()
            .ok_or_else(|| io::Error::other("an empty command"))?;
        let stderr = home.0.join("stderr");
        let child = Command::new(program)
            .args(arguments)
            .env("HOME", &home.0)
            .env("XDG_STATE_HOME", home.0.join("state"))
            .env("XDG_CONFIG_HOME", home.0.join("config"))
            .env("XDG_CACHE_HOME", home.0.join("cache"))
            .env("XDG_DATA_HOME", home.0.join("data"))
            // No hop may ask the network for anything.
            .env("HEADROOM_OFFLINE", "1")
            .env("DO_NOT_TRACK", "1")
            .env("NO_COLOR", "1")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&stderr)?)
            .spawn()
            .map_err(|error| io::Error::other(format!("cannot start {program}: {error}")))?;
        Ok(Self { child, stderr })
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the last line it wrote to stderr.
    pub(crate) fn last_words(&self) -> String {
        last_line(&self.stderr).unwrap_or_default()
    }

    /// Says whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    fn ends_within(&mut self, limit: Duration) -> bool {
        let start = Instant::now();
        while start.elapsed() < limit {
            if self.has_ended() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let has_pipes = self.child.stdout.is_none();
        drop(self.child.stdin.take());
        // One that serves a port does not end with stdin.
        if !(has_pipes && self.ends_within(GRACE)) {
            signal(self.id(), Signal::TERM);
            self.ends_within(GRACE);
        }
        // Also what it left behind in its group.
        signal(self.id(), Signal::KILL);
        let _ = self.child.wait();
    }
}

fn signal(id: u32, signal: Signal) {
    if let Some(id) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(id, signal);
    }
}

fn last_line(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(REASON)))?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().rev().find(|line| !line.trim().is_empty());
    Ok(line.unwrap_or_default().chars().take(200).collect())
}

/// Kills the group of a process when an answer is not there in time, so that no read waits for ever.
pub(crate) struct Watch {
    /// Milliseconds after `start`; 0 is never, the largest ends the thread.
    until: Arc<AtomicU64>,
    start: Instant,
}

impl Watch {
    /// Watches a process.
    pub(crate) fn new(id: u32) -> Self {
        let until = Arc::new(AtomicU64::new(0));
        let start = Instant::now();
        let watched = Arc::clone(&until);
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(Duration::from_millis(100));
                match watched.load(Ordering::Relaxed) {
                    0 => {}
                    u64::MAX => return,
                    until if start.elapsed().as_millis() as u64 > until => {
                        signal(id, Signal::KILL);
                        return;
                    }
                    _ => {}
                }
            }
        });
        Self { until, start }
    }

    /// From now on answers may take so long.
    pub(crate) fn allow(&self, limit: Duration) {
        let until = (self.start.elapsed() + limit).as_millis() as u64;
        self.until.store(until.max(1), Ordering::Relaxed);
    }

    /// Nothing is expected now.
    pub(crate) fn rest(&self) {
        self.until.store(0, Ordering::Relaxed);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.until.store(u64::MAX, Ordering::Relaxed);
    }
}
