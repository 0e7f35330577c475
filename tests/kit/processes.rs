//! What `/proc` says of processes, and signals.

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// Tells whether a process runs; one that has ended but was not reaped does not.
pub(crate) fn is_alive(process: i32) -> bool {
    stat(process).is_some_and(|stat| stat.state != 'Z' && stat.state != 'X')
}

/// Processes with a program and an argument, wherever in the process tree and in whatever process
/// namespace they are. Numbers that processes tell of themselves would be wrong across namespaces.
pub(crate) fn running(program: &str, argument: &str) -> Vec<i32> {
    all()
        .filter(|process| {
            let words = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
            let mut words = words.split(|byte| *byte == 0);
            words
                .next()
                .is_some_and(|first| first.ends_with(program.as_bytes()))
                && words.any(|word| word == argument.as_bytes())
        })
        .filter(|process| is_alive(*process))
        .collect()
}

/// Whether a process calls itself so, whatever its command line is.
pub(crate) fn is_called(process: i32, name: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{process}/comm")).is_ok_and(|comm| comm.trim() == name)
}

fn all() -> impl Iterator<Item = i32> {
    std::fs::read_dir("/proc")
        .expect("there is a /proc")
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Process ids of ended children of `parent` that nobody reaped.
pub(crate) fn zombies_of(parent: i32) -> Vec<i32> {
    all()
        .filter(|process| {
            stat(*process).is_some_and(|stat| stat.state == 'Z' && stat.parent == parent)
        })
        .collect()
}

/// Children of a process.
pub(crate) fn children_of(parent: i32) -> Vec<i32> {
    all()
        .filter(|process| stat(*process).is_some_and(|stat| stat.parent == parent))
        .collect()
}

struct Stat {
    state: char,
    parent: i32,
}

fn stat(process: i32) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name in parentheses may hold anything.
    let mut fields = text[text.rfind(')')? + 1..].split_whitespace();
    Some(Stat {
        state: fields.next()?.chars().next()?,
        parent: fields.next()?.parse().ok()?,
    })
}

/// Most memory a process ever held, in KiB.
pub(crate) fn peak_memory_kib(process: i32) -> u64 {
    memory_line(process, "VmHWM:")
}

/// Memory a process holds, in KiB.
pub(crate) fn memory_kib(process: i32) -> u64 {
    memory_line(process, "VmRSS:")
}

fn memory_line(process: i32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.trim().split(' ').next()?.parse().ok())
        .expect("/proc/PID/status has the line")
}

/// Kills one process at once.
pub(crate) fn kill(process: i32) {
    signal(process, Signal::KILL);
}

/// Sends a signal; a process that is gone already is fine.
pub(crate) fn signal(process: i32, signal: Signal) {
    if let Some(process) = Pid::from_raw(process) {
        let _ = kill_process(process, signal);
    }
}

/// Kills a process group at once.
pub(crate) fn kill_group(leader: i32) {
    if let Some(leader) = Pid::from_raw(leader) {
        let _ = kill_process_group(leader, Signal::KILL);
    }
}
