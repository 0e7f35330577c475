//! Pipes that hold more than the usual.

/// What a pipe is made to hold, in bytes: a large message then wakes its reader a quarter as often.
#[cfg(target_os = "linux")]
const PIPE: usize = 256 << 10;

/// Has a pipe hold more than the usual 64 KiB. Not needed: the kernel may refuse, and pages are taken
/// only while bytes are in it.
#[cfg(target_os = "linux")]
pub(super) fn widen(pipe: &impl rustix::fd::AsFd) {
    if rustix::pipe::fcntl_getpipe_size(pipe).is_ok_and(|size| size < PIPE) {
        let _ = rustix::pipe::fcntl_setpipe_size(pipe, PIPE);
    }
}

/// Elsewhere the size cannot be chosen.
#[cfg(not(target_os = "linux"))]
pub(super) fn widen(_: &impl rustix::fd::AsFd) {}
