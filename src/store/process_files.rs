//! Files that one process writes and others read: whole or not at all, checked, bounded in number, age and
//! bytes. What is damaged, foreign or too large is a miss.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What stays in a folder; the files that were written longest ago go first.
pub(super) struct Kept {
    /// Files, at most.
    pub(super) files: usize,
    /// Bytes of all of them, at most.
    pub(super) bytes: u64,
    /// Older ones go.
    pub(super) age: Duration,
}

/// A file: its content, and a hash of it as it stands, so that a damaged file is a miss.
#[derive(Serialize, Deserialize)]
struct File<'a> {
    format: u32,
    #[serde(borrow)]
    content: &'a RawValue,
    check: String,
}

/// Writes content so that readers see the old or the new file.
///
/// # Errors
/// When the folder or the file cannot be written.
pub(super) fn write(path: &Path, format: u32, content: &impl Serialize) -> io::Result<()> {
    let content = serde_json::value::to_raw_value(content)?;
    let file = File {
        format,
        check: check(format, &content),
        content: &content,
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    super::replace(path, &serde_json::to_vec(&file)?)
}

/// Reads content of this format; anything odd is nothing.
pub(super) fn read<T: DeserializeOwned>(path: &Path, format: u32, most_bytes: u64) -> Option<T> {
    let mut text = String::new();
    fs::File::open(path)
        .ok()?
        .take(most_bytes)
        .read_to_string(&mut text)
        .ok()?;
    let file: File<'_> = serde_json::from_str(&text).ok()?;
    if file.format != format || file.check != check(format, file.content) {
        return None;
    }
    serde_json::from_str(file.content.get()).ok()
}

fn check(format: u32, content: &RawValue) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&format.to_le_bytes());
    hasher.update(content.get().as_bytes());
    hasher.finalize().to_hex().to_string()
}

/// The files of a folder, the newest first, with their bytes. Others' temporary files are left out.
pub(super) fn newest_first(folder: &Path) -> Vec<(SystemTime, PathBuf, u64)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let about = entry.metadata().ok()?;
            let path = entry.path();
            let is_whole = path
                .extension()
                .is_some_and(|extension| extension == "json");
            (is_whole && about.is_file()).then_some((about.modified().ok()?, path, about.len()))
        })
        .collect();
    files.sort_unstable_by(|one, other| other.cmp(one));
    files
}

/// Removes what is beyond the bounds; returns what stays, the newest first.
pub(super) fn keep(folder: &Path, kept: &Kept, now: SystemTime) -> Vec<PathBuf> {
    let mut bytes = 0_u64;
    let mut stay = Vec::new();
    for (modified, path, size) in newest_first(folder) {
        bytes = bytes.saturating_add(size);
        let is_old = now.duration_since(modified).is_ok_and(|age| age > kept.age);
        if is_old || bytes > kept.bytes || stay.len() == kept.files {
            let _ = fs::remove_file(path);
        } else {
            stay.push(path);
        }
    }
    stay
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_foreign_or_large_file_is_a_miss() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in/a.json");
        write(&path, 3, &vec![7_u64, 900]).unwrap();
        assert_eq!(read::<Vec<u64>>(&path, 3, 1000), Some(vec![7, 900]));
        assert_eq!(read::<Vec<u64>>(&path, 4, 1000), None);
        assert_eq!(read::<Vec<u64>>(&path, 3, 10), None);
        assert_eq!(read::<String>(&path, 3, 1000), None);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("900", "901")).unwrap();
        assert_eq!(read::<Vec<u64>>(&path, 3, 1000), None);
    }

    #[test]
    fn number_age_and_bytes_are_bounded_and_the_newest_stay() {
        let folder = tempfile::tempdir().unwrap();
        let start = SystemTime::now() - Duration::from_secs(1000);
        for n in 0..10_u64 {
            let path = folder.path().join(format!("{n}.json"));
            fs::write(&path, "12345").unwrap();
            let file = fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(start + Duration::from_secs(n * 100))
                .unwrap();
        }
        fs::write(folder.path().join("7.17-ab"), "not whole").unwrap();
        let kept = |files, bytes, age| Kept {
            files,
            bytes,
            age: Duration::from_secs(age),
        };
        let now = start + Duration::from_secs(1000);
        let left = |kept: &Kept| keep(folder.path(), kept, now).len();
        assert_eq!(left(&kept(8, 1000, 5000)), 8);
        assert_eq!(left(&kept(8, 30, 5000)), 6);
        assert_eq!(left(&kept(8, 30, 350)), 3);
        let names: Vec<_> = newest_first(folder.path())
            .into_iter()
            .map(|(_, path, _)| path.file_stem().unwrap().to_owned())
            .collect();
        assert_eq!(names, ["9", "8", "7"]);
        assert!(folder.path().join("7.17-ab").exists());
    }
}
