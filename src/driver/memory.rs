//! Memory that was needed once.

use std::ffi::CStr;

use crate::transport::code;

/// Gives back what only the start needed: free pages of the heap, which the allocator keeps for a next time
/// that seldom comes, and pages of code and constants, which stay mapped until the system is short of memory.
pub(super) fn give_back() {
    give_heap_back();
    code::give_back();
}

/// All arenas (`MALLCTL_ARENAS_ALL` of `jemalloc.h`), and what is done with them.
const PURGE: &CStr = c"arena.4096.purge";
const DECAY: &CStr = c"arena.4096.decay";

/// Gives all free pages of the heap back, which the allocator keeps for a next time.
pub(super) fn give_heap_back() {
    ask_allocator(PURGE);
}

/// Gives those back that have been free for a while. The allocator looks after them by itself only while
/// something is allocated.
pub(super) fn let_heap_decay() {
    ask_allocator(DECAY);
}

/// Does nothing where another allocator is in use, as in tests of the library.
fn ask_allocator(name: &CStr) -> bool {
    #[expect(unsafe_code, reason = "no safe crate wraps it")]
    // SAFETY: the name ends with a zero byte, and these two neither read nor write anything (jemalloc(3)).
    let code = unsafe {
        tikv_jemalloc_sys::mallctl(
            name.as_ptr(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            0,
        )
    };
    code == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allocator_knows_what_it_is_asked() {
        assert!(ask_allocator(PURGE));
        assert!(ask_allocator(DECAY));
        assert!(!ask_allocator(c"arena.4096.nonsense"));
    }
}
