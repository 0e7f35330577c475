//! The memory limit of the control group that we are in (cgroup v2, `Documentation/admin-guide/cgroup-v2.rst`
//! of the kernel): what a container has. Reads; what follows is the hub's to say.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::config::MemoryWatch;
use crate::hub::limits::memory::{MemoryLevel, MemoryUse};

use super::{Driver, memory};

/// Where groups are.
const ROOT: &str = "/sys/fs/cgroup";
/// Most bytes of one of the files.
const FILE_BYTES: u64 = 64 << 10;

/// A group with a memory limit, and how short memory was when it was looked at last.
#[derive(Debug)]
pub(super) struct MemoryGroup {
    folder: PathBuf,
    level: MemoryLevel,
}

impl MemoryGroup {
    /// The group that is to be watched; none where there is no limit.
    pub(super) fn find(watch: &MemoryWatch) -> Option<Self> {
        let folder = match watch {
            MemoryWatch::Off => return None,
            MemoryWatch::Folder(folder) => folder.clone(),
            MemoryWatch::Own => {
                let groups = read(Path::new("/proc/self/cgroup"))?;
                let inside = own_group(&groups)?.trim_start_matches('/').to_owned();
                // The nearest limit: seen from inside a container, that of the root.
                let start = Path::new(ROOT).join(inside);
                let mut above = start.ancestors();
                above
                    .by_ref()
                    .take_while(|folder| folder.starts_with(ROOT))
                    .find(|folder| limit_of(folder).is_some())?
                    .to_owned()
            }
        };
        if limit_of(&folder).is_none() && matches!(watch, MemoryWatch::Folder(_)) {
            tracing::warn!(
                folder = %folder.display(),
                "`limits.memory_watch` names a folder without a limit in `memory.max`; it is looked at all the same"
            );
        }
        Some(Self {
            folder,
            level: MemoryLevel::default(),
        })
    }

    /// Looks again. None where nothing can be read.
    fn look(&mut self) -> Option<(MemoryLevel, MemoryUse)> {
        let limit = limit_of(&self.folder)?;
        let current = read(&self.folder.join("memory.current"))?;
        let stat = read(&self.folder.join("memory.stat")).unwrap_or_default();
        let now = MemoryUse {
            used: used(&current, &stat)?,
            limit,
        };
        self.level = self.level.after(now);
        Some((self.level, now))
    }
}

impl Driver {
    /// Looks at how much memory there is, and has the hub act on it.
    pub(super) fn watch_memory(&mut self) {
        let Some(group) = &mut self.memory_group else {
            return;
        };
        let before = group.level;
        let (level, now) = match group.look() {
            Some(seen) => seen,
            // Without a limit, or where it cannot be read, nothing is held back.
            None => {
                group.level = MemoryLevel::Enough;
                let none = MemoryUse { used: 0, limit: 0 };
                (MemoryLevel::Enough, none)
            }
        };
        let (used, limit) = (now.used >> 10, now.limit >> 10);
        match level {
            _ if level == before => {}
            MemoryLevel::Short => tracing::warn!(
                "{used} of {limit} KiB of memory are in use: new requests are told to come back"
            ),
            MemoryLevel::Tight => {
                tracing::info!(
                    "{used} of {limit} KiB of memory are in use: kept answers and room in queues go"
                );
            }
            MemoryLevel::Enough => tracing::info!("there is enough memory again"),
        }
        if level != before || level >= MemoryLevel::Tight {
            self.hub.handle_memory(level);
        }
        // After the hub let go, else what it gave up would stay with the allocator.
        if level > before {
            memory::give_heap_back();
        }
    }
}

fn read(path: &Path) -> Option<String> {
    let mut text = String::new();
    let file = fs::File::open(path).ok()?;
    file.take(FILE_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}

fn limit_of(folder: &Path) -> Option<u64> {
    limit(&read(&folder.join("memory.max"))?)
}

/// The path of our group in the one hierarchy of version 2 (`0::/path`).
fn own_group(groups: &str) -> Option<&str> {
    groups.lines().find_map(|line| line.strip_prefix("0::"))
}

/// A limit in bytes; none for `max`.
fn limit(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|limit| *limit > 0)
}

/// What is in use without cached files that were not read lately, which the kernel takes back first: what
/// kubelet counts as the working set.
fn used(current: &str, stat: &str) -> Option<u64> {
    let current: u64 = current.trim().parse().ok()?;
    let cached = stat.lines().find_map(|line| {
        let bytes = line.strip_prefix("inactive_file ")?;
        bytes.trim().parse::<u64>().ok()
    });
    Some(current.saturating_sub(cached.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_group_are_read_as_the_kernel_writes_them() {
        assert_eq!(own_group("1:name=systemd:/x\n0::/a/b\n"), Some("/a/b"));
        assert_eq!(own_group("4:memory:/x\n"), None);
        assert_eq!(limit("max\n"), None);
        assert_eq!(limit("134217728\n"), Some(128 << 20));
        assert_eq!(limit("nonsense"), None);
        let stat = "anon 5\ninactive_file 30\nactive_file 7\n";
        assert_eq!(used("100\n", stat), Some(70));
        assert_eq!(used("10\n", stat), Some(0));
        assert_eq!(used("100\n", ""), Some(100));
        assert_eq!(used("", stat), None);
    }

    #[test]
    fn a_folder_is_looked_at_again_and_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).expect("a file");
        };
        let watch = MemoryWatch::Folder(folder.path().to_owned());
        let mut group = MemoryGroup::find(&watch).expect("it is there");
        assert!(group.look().is_none());
        write("memory.max", "1000\n");
        write("memory.current", "500\n");
        assert_eq!(group.look().map(|seen| seen.0), Some(MemoryLevel::Enough));
        write("memory.current", "950\n");
        assert_eq!(group.look().map(|seen| seen.0), Some(MemoryLevel::Short));
        write("memory.max", "max\n");
        assert!(group.look().is_none());
        assert!(MemoryGroup::find(&MemoryWatch::Off).is_none());
    }
}
