//! Memory that was needed once.

/// Returns free pages to the system: glibc keeps them otherwise, for a next time that seldom comes.
pub(super) fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        #[expect(unsafe_code, reason = "no safe crate wraps it")]
        // SAFETY: it takes no pointer and may be called from any thread (malloc_trim(3)).
        unsafe {
            libc::malloc_trim(0);
        }
    }
}
