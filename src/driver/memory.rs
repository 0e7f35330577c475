//! Memory that was needed once.

use std::ffi::CStr;
use std::ptr;

use crate::telemetry::metrics::Heap;

/// Gives back what only the start needed: free pages of the heap, which the allocator keeps for a next time
/// that seldom comes, and pages of our own code and constants, which stay mapped until the system is short of
/// memory. What is still needed of these comes back from the page cache when it is touched, 64 KiB at a
/// time.
pub(super) fn give_back() {
    give_heap_back();
    #[cfg(target_os = "linux")]
    for range in code() {
        #[expect(
            unsafe_code,
            reason = "madvise is unsafe, because of what it does to memory that was written"
        )]
        // SAFETY: the range is a mapping of our own file that nobody can write to and that never was
        // written: its pages are read from the file again (madvise(2), MADV_DONTNEED).
        unsafe {
            libc::madvise(
                std::ptr::with_exposed_provenance_mut(range.start),
                range.len(),
                libc::MADV_DONTNEED,
            );
        }
    }
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

/// Where our own code is, and the constants before it. What comes behind it was relocated at the start
/// and is not in the file.
#[cfg(target_os = "linux")]
fn code() -> Vec<std::ops::Range<usize>> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let Ok(own) = std::fs::read_link("/proc/self/exe") else {
        return Vec::new();
    };
    ranges(&maps, &own.to_string_lossy())
}

/// The mappings of a file from its first one to the end of its code (`r--p`, then `r-xp`).
#[cfg(target_os = "linux")]
fn ranges(maps: &str, file: &str) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    for line in maps.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(range), Some(rights)) = (words.next(), words.next()) else {
            continue;
        };
        // Offset, device and inode, then the path.
        if !line.ends_with(file) || words.nth(3).is_none() {
            continue;
        }
        let is_code = rights == "r-xp";
        let bounds = range.split_once('-').and_then(|(start, end)| {
            let parse = |text| usize::from_str_radix(text, 16).ok();
            Some(parse(start)?..parse(end)?)
        });
        let Some(bounds) = bounds.filter(|_| is_code || rights == "r--p") else {
            return Vec::new();
        };
        found.push(bounds);
        if is_code {
            return found;
        }
    }
    Vec::new()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_in_the_file_is_given_back() {
        let maps = "\
55d0-55e0 r--p 00000000 fe:00 12  /bin/mcp-whittle
55e0-55f0 r-xp 00010000 fe:00 12  /bin/mcp-whittle
55f0-5600 r--p 00020000 fe:00 12  /bin/mcp-whittle
5600-5610 rw-p 00030000 fe:00 12  /bin/mcp-whittle
7f00-7f10 r-xp 00000000 fe:00 13  /lib/libc.so.6
";
        assert_eq!(
            ranges(maps, "/bin/mcp-whittle"),
            [0x55d0..0x55e0, 0x55e0..0x55f0]
        );
        assert!(ranges(maps, "/bin/other").is_empty());
        let written = maps.replace("55d0-55e0 r--p", "55d0-55e0 rw-p");
        assert!(ranges(&written, "/bin/mcp-whittle").is_empty());
        assert!(ranges("nonsense\n/bin/mcp-whittle", "/bin/mcp-whittle").is_empty());
    }

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

    #[test]
    fn code_runs_on_after_it_was_given_back() {
        let before: u64 = (0..1000).sum();
        give_back();
        assert_eq!((0..1000).sum::<u64>(), before);
        assert!(code().len() >= 2);
        assert!(format!("{:?}", code()).contains(".."));
    }
}
