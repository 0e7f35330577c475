//! Memory that was needed once.

use std::ffi::CStr;
use std::ptr;

use crate::telemetry::metrics::Heap;
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
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
            0,
        )
    };
    code == 0
}

/// Numbers are of the last time when this was set.
const EPOCH: &CStr = c"epoch";

/// What the allocator holds. Takes its locks one after the other, some tens of microseconds: for those who look,
/// not for calls. None where it does not count.
pub(super) fn heap() -> Option<Heap> {
    let mut epoch = 1_u64;
    let mut size = size_of::<u64>();
    #[expect(unsafe_code, reason = "no safe crate wraps it")]
    // SAFETY: the name ends with a zero byte; it reads and writes 64 bits (jemalloc(3), `epoch`), which are there,
    // by two pointers that come from one borrow.
    let code = unsafe {
        let at = (&raw mut epoch).cast();
        tikv_jemalloc_sys::mallctl(EPOCH.as_ptr(), at, &raw mut size, at, size_of::<u64>())
    };
    if code != 0 {
        return None;
    }
    Some(Heap {
        allocated: number(c"stats.allocated")?,
        active: number(c"stats.active")?,
        resident: number(c"stats.resident")?,
        mapped: number(c"stats.mapped")?,
        retained: number(c"stats.retained")?,
        metadata: number(c"stats.metadata")?,
    })
}

/// Reads one of the numbers that are a `size_t`.
fn number(name: &CStr) -> Option<usize> {
    let mut value = 0_usize;
    let mut size = size_of::<usize>();
    #[expect(unsafe_code, reason = "no safe crate wraps it")]
    // SAFETY: the name ends with a zero byte; no more is written than `size` says, and `value` has as much. A
    // number of another size is refused (jemalloc(3), EINVAL).
    let code = unsafe {
        tikv_jemalloc_sys::mallctl(
            name.as_ptr(),
            (&raw mut value).cast(),
            &raw mut size,
            ptr::null_mut(),
            0,
        )
    };
    (code == 0 && size == size_of::<usize>()).then_some(value)
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

    #[test]
    fn the_allocator_says_what_it_holds() {
        let heap = heap().expect("it counts");
        assert!(heap.active >= heap.allocated, "{heap:?}");
        assert!(heap.resident >= heap.active, "{heap:?}");
        assert!(heap.resident > heap.metadata, "{heap:?}");
        assert_eq!(number(c"stats.nonsense"), None);
        // Not a `size_t`.
        assert_eq!(number(c"opt.retain"), None);
    }
}
