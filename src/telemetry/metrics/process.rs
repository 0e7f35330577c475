//! What the system knows of this process. Zero where it does not tell.

/// Resident memory in bytes.
pub(super) fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_ascii_whitespace().next()?.parse::<usize>().ok());
    kib.unwrap_or_default().saturating_mul(1024)
}

/// Open file descriptors.
pub(super) fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count())
}
