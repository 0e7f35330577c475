//! Programs as they are after an installation and a boot: read from the disk.
//!
//! What a linker or an installer has written just now lies in the page cache otherwise than what was read, and starts
//! of large programs from it took longer in some hours; no user starts from it.

use std::fs::{self, File};
use std::io;
use std::num::NonZeroU64;
use std::path::Path;

use rustix::fs::{Advice, fadvise};

/// Has the system forget all that it holds of files, where we may (root).
pub(crate) fn forget() {
    // Only what is on the disk can be forgotten.
    rustix::fs::sync();
    let _ = fs::write("/proc/sys/vm/drop_caches", "1");
}

/// Has the system forget what it holds of a file, or of all files in a folder, and read it again. Pages that a
/// running program has mapped stay as they are, so [`forget`] comes first.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn read_anew(path: &Path) -> io::Result<()> {
    let about = fs::symlink_metadata(path)?;
    if about.is_dir() {
        for entry in fs::read_dir(path)? {
            read_anew(&entry?.path())?;
        }
    } else if about.is_file() {
        let mut file = File::open(path)?;
        file.sync_all()?;
        fadvise(&file, 0, None::<NonZeroU64>, Advice::DontNeed)?;
        io::copy(&mut file, &mut io::sink())?;
    }
    Ok(())
}
