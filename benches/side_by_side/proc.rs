//! What `/proc` says of a hop: its processes, the time they used, the memory they hold. Nothing here measures
//! the server behind it: the server is this program in the role `echo`, and is left out wherever it stands.

use std::fs;
use std::io;
use std::path::Path;

/// Bytes of one.
pub(crate) const MIB: f64 = 1_048_576.0;
/// Deeper trees of processes are not followed.
const MOST_PROCESSES: usize = 500;

/// Returns the ids of a process and all below it, without the echo server.
pub(crate) fn tree(id: u32) -> Vec<u32> {
    let itself = fs::read_link("/proc/self/exe").ok();
    let mut found = Vec::new();
    let mut open = vec![id];
    while let Some(id) = open.pop() {
        if found.len() >= MOST_PROCESSES {
            break;
        }
        open.extend(children(id));
        let is_ours = itself.is_some() && fs::read_link(format!("/proc/{id}/exe")).ok() == itself;
        let words = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        if !(is_ours && words.split(|byte| *byte == 0).nth(1) == Some(b"echo")) {
            found.push(id);
        }
    }
    found
}

fn children(id: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for task in fs::read_dir(format!("/proc/{id}/task"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let text = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        found.extend(
            text.split_whitespace()
                .filter_map(|child| child.parse::<u32>().ok()),
        );
    }
    found
}

/// Returns the processor time of processes, in nanoseconds. Threads that have ended are not in it; where the
/// kernel keeps no such account, it is the time that `stat` counts in ticks of 10 ms.
pub(crate) fn cpu(ids: &[u32]) -> u64 {
    ids.iter().map(|id| cpu_of(*id)).sum()
}

fn cpu_of(id: u32) -> u64 {
    let precise: u64 = fs::read_dir(format!("/proc/{id}/task"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|task| {
            let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse::<u64>().ok()
        })
        .sum();
    if precise > 0 {
        return precise;
    }
    let text = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // The name stands in brackets and may hold anything; what follows it are numbers.
    let after = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 = after
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    ticks * 10_000_000
}

/// Returns the sum of a field of `/proc/ID/status` (`VmRSS:`, `VmHWM:`) over processes, in MiB.
pub(crate) fn memory(ids: &[u32], field: &str) -> f64 {
    ids.iter()
        .filter_map(|id| kilobytes(Path::new(&format!("/proc/{id}/status")), field))
        .sum::<f64>()
        * 1024.0
        / MIB
}

/// Returns the memory of processes with shared pages divided among those that share them, in MiB.
pub(crate) fn shared_memory(ids: &[u32]) -> f64 {
    ids.iter()
        .filter_map(|id| kilobytes(Path::new(&format!("/proc/{id}/smaps_rollup")), "Pss:"))
        .sum::<f64>()
        * 1024.0
        / MIB
}

fn kilobytes(path: &Path, field: &str) -> Option<f64> {
    let text = fs::read_to_string(path).ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix(field)?.split_whitespace().next())?
        .parse()
        .ok()
}

/// Begins a new peak for each process; where that is refused, the peak is that since its start.
pub(crate) fn forget_peak(ids: &[u32]) {
    for id in ids {
        let _ = fs::write(format!("/proc/{id}/clear_refs"), "5");
    }
}

/// Returns the bytes of a file, or of all files in a folder, links not followed.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn bytes(path: &Path) -> io::Result<u64> {
    let about = fs::symlink_metadata(path)?;
    if !about.is_dir() {
        return Ok(about.len());
    }
    let mut sum = 0;
    for entry in fs::read_dir(path)? {
        sum += bytes(&entry?.path())?;
    }
    Ok(sum)
}
