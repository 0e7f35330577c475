//! The guard: a second process that ends our children when we are killed.
//!
//! SIGKILL leaves no time to clean up, and the parent-death signal, which children get that are started without a
//! guard, reaches only the direct child, not the `node` behind `npx` behind `sh`. The guard is a copy of this
//! process, made before there is a second thread and a first child: that takes a tenth of the time in which a
//! program starts, and it is there before the first server. Where that is too late, as when it was killed itself,
//! it is this same program, started anew. It is told the process groups on its stdin; when that ends because we are
//! gone, it ends the groups: TERM, a short wait, KILL. It has a session of its own and holds nothing of ours open
//! but that pipe, so the client sees our end at once.

use std::collections::BTreeSet;
use std::io::{BufRead, PipeWriter, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{
    Pid, Signal, WaitOptions, kill_process_group, test_kill_process_group, waitpid,
};
use tokio::io::Interest;
use tokio::net::unix::pipe::OpenOptions;
use tokio::sync::Notify;

/// The first argument that makes this program the guard.
pub const ARGUMENT: &str = "__guard";
/// How long groups have between TERM and KILL.
const GRACE: Duration = Duration::from_secs(2);
/// Without a word for so long, the guard gives back what its start needed.
const QUIET: Duration = Duration::from_secs(1);

/// What is watched, and the pipe to the guard once it runs.
#[derive(Default)]
struct Watched {
    groups: BTreeSet<u32>,
    pipe: Option<PipeWriter>,
    /// The process at its other end.
    process: Option<Pid>,
    /// Guards that there have been, so that the end of one is not taken for that of the next.
    n_guards: u64,
    is_starting: bool,
}

static WATCHED: Mutex<Option<Watched>> = Mutex::new(None);
/// A guard runs that did not before.
static STARTED: Notify = Notify::const_new();

/// Has a process group watched; starts the guard if it does not run yet.
///
/// A new guard is started in a thread of its own: until a program of this size has replaced the copy of this
/// process, whoever starts it waits, and the first server waits for us.
pub fn watch(group: u32) {
    let starts = with_watched(|watched| {
        watched.groups.insert(group);
        let is_told = watched.tell(&format!("+{group}\n"));
        !is_told && !std::mem::replace(&mut watched.is_starting, true)
    });
    if starts {
        start_beside();
    }
}

fn start_beside() {
    let started = std::thread::Builder::new()
        .name("guard".into())
        .spawn(start_and_tell);
    if started.is_err() {
        start_and_tell();
    }
}

/// Starts another guard when the one that is there ends, for it may have been killed with nothing to be told in
/// sight. Never returns. Cancel safe.
///
/// # Panics
/// Outside a tokio runtime.
pub async fn keep() {
    loop {
        let started = STARTED.notified();
        let current = with_watched(|watched| {
            let pipe = watched.pipe.as_ref()?;
            // Opened a second time: not to wait is said of the open file, and ours does wait.
            let file = format!("/proc/self/fd/{}", pipe.as_raw_fd());
            Some((OpenOptions::new().open_sender(file), watched.n_guards))
        });
        let Some((pipe, number)) = current else {
            started.await;
            continue;
        };
        match pipe {
            // A pipe that nobody reads any more is in error; nothing else is waited for.
            Ok(pipe) => match pipe.ready(Interest::ERROR).await {
                Ok(state) if state.is_error() => {}
                // Letting go of the pipe would have a guard that lives end our children.
                _ => return std::future::pending().await,
            },
            // Nobody reads it already.
            Err(error) if error.raw_os_error() == Some(libc::ENXIO) => {}
            Err(_) => return std::future::pending().await,
        }
        let starts = with_watched(|watched| {
            if watched.n_guards != number {
                return false;
            }
            watched.end();
            !watched.groups.is_empty() && !std::mem::replace(&mut watched.is_starting, true)
        });
        if starts {
            tracing::debug!("the guard ended; another one is started");
            start_beside();
        }
    }
}

/// Tells whether a guard was there when last told something.
pub(super) fn is_told() -> bool {
    with_watched(|watched| watched.pipe.is_some())
}

/// Ends the watch of a group that is gone.
pub fn forget(group: u32) {
    with_watched(|watched| {
        watched.groups.remove(&group);
        watched.tell(&format!("-{group}\n"));
    });
}

fn with_watched<T>(visit: impl FnOnce(&mut Watched) -> T) -> T {
    let mut watched = WATCHED
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    visit(watched.get_or_insert_default())
}

impl Watched {
    /// Tells the guard, if it is there.
    fn tell(&mut self, line: &str) -> bool {
        let is_told = self
            .pipe
            .as_mut()
            .is_some_and(|pipe| pipe.write_all(line.as_bytes()).is_ok());
        if !is_told {
            self.end();
        }
        is_told
    }

    /// The guard is there from now on.
    fn begin(&mut self, pipe: PipeWriter, process: u32) {
        super::reaper::know(process);
        self.pipe = Some(pipe);
        self.process = i32::try_from(process).ok().and_then(Pid::from_raw);
        self.n_guards += 1;
        STARTED.notify_waiters();
    }

    /// The guard is gone, if there was one; nobody else waits for it.
    fn end(&mut self) {
        self.pipe = None;
        if let Some(process) = self.process.take() {
            // Its end of the pipe is gone a moment before the process is.
            let _ = std::thread::Builder::new().spawn(move || {
                let _ = waitpid(Some(process), WaitOptions::empty());
                super::reaper::forget(process.as_raw_nonzero().get().unsigned_abs());
            });
        }
    }
}

/// Starts the guard and tells it all that is watched by then.
fn start_and_tell() {
    let guard = start();
    with_watched(|watched| {
        watched.is_starting = false;
        if let Some((pipe, process)) = guard {
            watched.begin(pipe, process);
        }
        let groups = watched.groups.iter().map(|group| format!("+{group}\n"));
        let all: String = groups.collect();
        watched.tell(&all);
    });
}

/// Splits the guard off, if this process has one thread yet. Returns none where we go on, and in the guard, when
/// everything is over, the code with which it is to end. Without success [`watch`] starts a guard.
pub fn split_off() -> Option<ExitCode> {
    #[cfg(target_os = "linux")]
    {
        let (reader, writer) = std::io::pipe().ok().filter(|_| is_single_threaded())?;
        #[expect(unsafe_code, reason = "no safe crate has it")]
        // SAFETY: there is no other thread that could hold a lock or be in the middle of something (fork(2)).
        match unsafe { libc::fork() } {
            -1 => {}
            0 => {
                drop(writer);
                return Some(match become_guard(&reader) {
                    Ok(()) => run(),
                    Err(_) => ExitCode::FAILURE,
                });
            }
            id => {
                with_watched(|watched| watched.begin(writer, id.unsigned_abs()));
            }
        }
    }
    None
}

/// Whether this process has no second thread: the folder of its threads has a link more for each (`proc_task_getattr`
/// of the kernel). Reading the folder is dearer. Where links are counted otherwise it says no.
#[cfg(target_os = "linux")]
fn is_single_threaded() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self/task").is_ok_and(|folder| folder.nlink() == 3)
}

/// Lets go of everything that the copy of a process has, but the pipe, which becomes stdin.
#[cfg(target_os = "linux")]
fn become_guard(pipe: &std::io::PipeReader) -> std::io::Result<()> {
    let nothing = std::fs::File::options().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(pipe)?;
    rustix::stdio::dup2_stdout(&nothing)?;
    rustix::stdio::dup2_stderr(&nothing)?;
    // What tools that list processes show.
    let _ = rustix::thread::set_name(c"guard");
    Ok(())
}

fn start() -> Option<(PipeWriter, u32)> {
    let program = std::env::current_exe().ok()?;
    let (reader, writer) = std::io::pipe().ok()?;
    let mut command = Command::new(program);
    command
        .arg(ARGUMENT)
        .env_clear()
        .stdin(reader)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // A group of its own: whoever kills our group does not kill the guard.
        .process_group(0);
    match command.spawn() {
        Ok(child) => Some((writer, child.id())),
        Err(error) => {
            tracing::warn!(%error, "the guard could not be started; if this process is killed, servers may stay behind");
            None
        }
    }
}

/// The guard's own main function.
pub fn run() -> ExitCode {
    // What ends our group, our terminal or our session is not meant for the guard.
    let _ = rustix::process::setsid();
    let mut groups: BTreeSet<i32> = BTreeSet::new();
    let mut is_start_given_back = false;
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        let (sign, number) = line.split_at(line.len().min(1));
        let Ok(number) = number.parse::<i32>() else {
            continue;
        };
        match sign {
            "+" => {
                groups.insert(number);
            }
            _ => {
                groups.remove(&number);
            }
        }
        // It has seen all that it does until the end; what it needs then is read again. Not at once, for who started
        // us may need the processor.
        if !is_start_given_back && !is_spoken_to(QUIET) {
            is_start_given_back = true;
            super::code::give_back();
        }
    }
    let groups: Vec<Pid> = groups.into_iter().filter_map(Pid::from_raw).collect();
    end_groups(&groups, GRACE);
    ExitCode::SUCCESS
}

/// Waits until there is something to read, or the pipe is closed; false after `limit`.
fn is_spoken_to(limit: Duration) -> bool {
    let stdin = rustix::stdio::stdin();
    let mut waiting = [PollFd::new(&stdin, PollFlags::IN)];
    let limit = rustix::time::Timespec::try_from(limit).ok();
    !matches!(poll(&mut waiting, limit.as_ref()), Ok(0))
}

/// Ends process groups: TERM, up to `grace`, KILL.
fn end_groups(groups: &[Pid], grace: Duration) {
    let is_alive = |group: &Pid| test_kill_process_group(*group).is_ok();
    for group in groups {
        let _ = kill_process_group(*group, Signal::TERM);
    }
    let until = Instant::now() + grace;
    while groups.iter().any(is_alive) && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    for group in groups {
        let _ = kill_process_group(*group, Signal::KILL);
    }
}
