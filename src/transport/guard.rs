//! The guard: a second process that ends our children when we are killed.
//!
//! SIGKILL leaves no time to clean up, and the parent-death signal reaches only the direct child, not
//! the `node` behind `npx` behind `sh`. The guard is this same program, started once with the first
//! child, in a session of its own. It is told the process groups on its stdin; when that ends because
//! we are gone, it ends the groups: TERM, a short wait, KILL. It holds nothing of ours open but that
//! pipe, so the client sees our end at once.

use std::collections::BTreeSet;
use std::io::{BufRead, Write};
use std::os::unix::process::CommandExt;
use std::process::{ChildStdin, Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

/// The first argument that makes this program the guard.
pub const ARGUMENT: &str = "__guard";
/// How long groups have between TERM and KILL.
const GRACE: Duration = Duration::from_secs(2);

static PIPE: Mutex<Option<ChildStdin>> = Mutex::new(None);

/// Has a process group watched; starts the guard if it does not run yet.
pub fn watch(group: u32) {
    tell(&format!("+{group}\n"), true);
}

/// Ends the watch of a group that is gone.
pub fn forget(group: u32) {
    tell(&format!("-{group}\n"), false);
}

fn tell(line: &str, starts: bool) {
    let mut pipe = PIPE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if pipe.is_none() && starts {
        *pipe = start();
    }
    if let Some(open) = pipe.as_mut()
        && open.write_all(line.as_bytes()).is_err()
    {
        *pipe = None;
    }
}

fn start() -> Option<ChildStdin> {
    let program = std::env::current_exe().ok()?;
    let mut command = Command::new(program);
    command
        .arg(ARGUMENT)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // A group of its own: whoever kills our group does not kill the guard.
        .process_group(0);
    match command.spawn() {
        Ok(mut child) => {
            super::reaper::know(child.id());
            child.stdin.take()
        }
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
    }
    let groups: Vec<Pid> = groups.into_iter().filter_map(Pid::from_raw).collect();
    end_groups(&groups, GRACE);
    ExitCode::SUCCESS
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
