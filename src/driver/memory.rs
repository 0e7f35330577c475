//! Memory that was needed once.

/// Gives back what only the start needed: free pages of the heap, which glibc keeps for a next time that
/// seldom comes, and pages of our own code and constants, which stay mapped until the system is short of
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

/// Seconds between two looks at what grew.
const PAUSE: u32 = 10;
/// Growth that is worth a walk over the free parts of the heap: a thirty-second, and so many KiB.
const WORTH: u64 = 1 << 10;

/// Notices that the process has grown, so that pages which a peak left free are given back at once: the
/// allocator keeps them where something small behind them is in use, and what is needed next is put
/// between what stays, so that later fewer of them are wholly free.
#[derive(Debug, Default)]
pub(super) struct Growth {
    seconds: u32,
    /// KiB that were resident at the first look since pages were given back, or fewer.
    base: Option<u64>,
}

impl Growth {
    /// Is asked once a second with what is resident, in KiB. Tells whether pages are to be given back now.
    pub(super) fn is_due(&mut self, resident: u64) -> bool {
        self.seconds += 1;
        if self.seconds < PAUSE {
            return false;
        }
        self.seconds = 0;
        let base = self.base.map_or(resident, |base| base.min(resident));
        self.base = Some(base);
        let is_due = resident - base >= WORTH.max(base / 32);
        if is_due {
            self.base = None;
        }
        is_due
    }
}

/// KiB of this process that are in memory; 0 where the system does not say.
pub(super) fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// Gives free pages of the heap back, which glibc keeps for a next time.
pub(super) fn give_heap_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        #[expect(unsafe_code, reason = "no safe crate wraps it")]
        // SAFETY: it takes no pointer and may be called from any thread (malloc_trim(3)).
        unsafe {
            libc::malloc_trim(0);
        }
    }
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
    fn pages_are_given_back_after_growth_and_not_again_at_once() {
        let mut growth = Growth::default();
        let mut looks = |resident: u64| (0..PAUSE).any(|_| growth.is_due(resident));
        let mib = 1 << 10;
        assert!(!looks(100 * mib), "the first look");
        assert!(!looks(102 * mib), "a little more");
        assert!(!looks(80 * mib), "less");
        assert!(looks(83 * mib), "a thirty-second above the least");
        assert!(!looks(90 * mib), "what is there afterwards is the new base");
        assert!(!looks(92 * mib));
        assert!(looks(93 * mib));
        assert!(!looks(8 * mib));
        assert!(!looks(9 * mib - 1), "not for less than a MiB");
        assert!(looks(9 * mib));
        assert!(resident_kib() > 1_000);
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
