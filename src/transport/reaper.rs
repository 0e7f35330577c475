//! Reaping as PID 1: in a container nobody else waits for orphans of our children.

use std::collections::HashSet;
use std::sync::Mutex;

use rustix::process::{WaitId, WaitIdOptions, WaitOptions, getpid, waitid, waitpid};
use tokio::signal::unix::{SignalKind, signal};

static KNOWN: Mutex<Option<HashSet<u32>>> = Mutex::new(None);

/// Notes a child whose end somebody else waits for.
pub fn know(pid: u32) {
    let mut known = KNOWN
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    known.get_or_insert_default().insert(pid);
}

/// Forgets a child that was waited for.
pub fn forget(pid: u32) {
    let mut known = KNOWN
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    known.get_or_insert_default().remove(&pid);
}

fn is_known(pid: u32) -> bool {
    let known = KNOWN
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    known.as_ref().is_some_and(|known| known.contains(&pid))
}

/// Reaps orphans for ever, if this is PID 1. Cancel safe.
pub async fn run() {
    if getpid().as_raw_nonzero().get() != 1 {
        return std::future::pending().await;
    }
    let Ok(mut ended) = signal(SignalKind::child()) else {
        return std::future::pending().await;
    };
    loop {
        reap();
        ended.recv().await;
    }
}

/// Reaps every orphan that has ended. Peeks first: the runtime waits for our own children.
fn reap() {
    loop {
        let peek = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let Ok(Some(status)) = waitid(WaitId::All, peek) else {
            return;
        };
        // The peek names nobody, so the next zombie is taken from the list of processes.
        let _ = status;
        let mut any = false;
        for pid in zombies() {
            if is_known(pid) {
                continue;
            }
            let Some(pid) = i32::try_from(pid)
                .ok()
                .and_then(rustix::process::Pid::from_raw)
            else {
                continue;
            };
            any |= matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(Some(_)));
        }
        if !any {
            return;
        }
    }
}

/// Lists children of ours that have ended, from `/proc`.
fn zombies() -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| {
            std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
                let mut rest = stat
                    .rsplit(')')
                    .next()
                    .unwrap_or_default()
                    .split_whitespace();
                rest.next() == Some("Z") && rest.next() == Some("1")
            })
        })
        .collect()
}
