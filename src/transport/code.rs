//! Pages of code that were needed once.

/// Gives back the pages of code and constants that are mapped, of this program and of its libraries. They would stay
/// until the system is short of memory; what is still needed of them comes back from the page cache when it
/// is touched, 64 KiB at a time. Does nothing outside Linux.
pub fn give_back() {
    #[cfg(target_os = "linux")]
    for range in ranges(&std::fs::read_to_string("/proc/self/maps").unwrap_or_default()) {
        #[expect(
            unsafe_code,
            reason = "madvise is unsafe, because of what it does to memory that was written"
        )]
        // SAFETY: the range is a mapping of a file that nobody can write to and that never was written: its
        // pages are read from the file again (madvise(2), MADV_DONTNEED).
        unsafe {
            libc::madvise(
                std::ptr::with_exposed_provenance_mut(range.start),
                range.len(),
                libc::MADV_DONTNEED,
            );
        }
    }
}

/// The mappings of each file from its first one to the end of its code (`r--p`, then `r-xp`): what comes behind was
/// relocated at the start and is not in the file. A file that is mapped in another order is left out.
#[cfg(target_os = "linux")]
fn ranges(maps: &str) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    let mut constants: Option<(&str, std::ops::Range<usize>)> = None;
    let mut last = "";
    for line in maps.lines() {
        let Some(mapping) = Mapping::read(line) else {
            last = "";
            constants = None;
            continue;
        };
        let is_first = mapping.file != last;
        last = mapping.file;
        match (mapping.rights, constants.take()) {
            ("r--p", _) if is_first && mapping.is_head => {
                constants = Some((mapping.file, mapping.range))
            }
            ("r-xp", Some((file, before))) if file == mapping.file => {
                found.push(before);
                found.push(mapping.range);
            }
            _ => {}
        }
    }
    found
}

/// A line of `/proc/PID/maps` about a file (proc_pid_maps(5)).
#[cfg(target_os = "linux")]
struct Mapping<'a> {
    range: std::ops::Range<usize>,
    rights: &'a str,
    /// Whether it begins where the file does: there is its header, which no loader writes to.
    is_head: bool,
    file: &'a str,
}

#[cfg(target_os = "linux")]
impl<'a> Mapping<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let parse = |text| usize::from_str_radix(text, 16).ok();
        let mut words = rest.split_ascii_whitespace();
        let (rights, offset) = (words.next()?, words.next()?);
        // Behind rights, offset, device and inode; `[vdso]` and the like are no files.
        let file = rest.get(rest.find('/')?..)?;
        Some(Self {
            range: parse(start)?..parse(end)?,
            rights,
            is_head: parse(offset)? == 0,
            file,
        })
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    const MAPS: &str = "\
55d0-55e0 r--p 00000000 fe:00 12                         /bin/mcp-whittle
55e0-55f0 r-xp 00010000 fe:00 12                         /bin/mcp-whittle
55f0-5600 r--p 00020000 fe:00 12                         /bin/mcp-whittle
5600-5610 rw-p 00030000 fe:00 12                         /bin/mcp-whittle
6000-6010 rw-p 00000000 00:00 0                          [heap]
7e00-7e10 rw-p 00000000 00:00 0
7f00-7f10 r--p 00000000 fe:00 13                         /lib/libc.so.6
7f10-7f20 r-xp 00010000 fe:00 13                         /lib/libc.so.6
7f20-7f30 r--p 00020000 fe:00 13                         /lib/libc.so.6
7fff-8000 r-xp 00000000 00:00 0                          [vdso]
";

    #[test]
    fn only_what_is_in_the_file_is_given_back() {
        assert_eq!(
            ranges(MAPS),
            [
                0x55d0..0x55e0,
                0x55e0..0x55f0,
                0x7f00..0x7f10,
                0x7f10..0x7f20
            ]
        );
        let written = MAPS.replace("55d0-55e0 r--p", "55d0-55e0 rw-p");
        assert_eq!(ranges(&written), [0x7f00..0x7f10, 0x7f10..0x7f20]);
        assert!(ranges("nonsense\n12-zz r-xp 0 0 0 /bin/x").is_empty());
    }

    #[test]
    fn code_runs_on_after_it_was_given_back() {
        let before: u64 = (0..1000).sum();
        give_back();
        assert_eq!((0..1000).sum::<u64>(), before);
        let maps = std::fs::read_to_string("/proc/self/maps").expect("Linux");
        assert!(ranges(&maps).len() >= 4, "{maps}");
    }
}
