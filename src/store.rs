//! The state folder: versioned, private to its user, with one secret for each store. Shell.
//!
//! Layout: `v1/secret` (32 random bytes, 0600), `v1/{snapshots,surfaces,pins}/<key>.json`, `v1/{uses,costs,shapes}/<process>.json`,
//! `v1/ledger/<process>-<day>.json`, `v1/epoch.json`, `v1/results/<handle>`, `v1/cache/{entries,epochs}/<hash>`. Files appear by rename, so a
//! crash leaves an old file or a new one, never half of one. A folder that is not ours, or that others
//! can write to, is not used.

pub mod answers;
pub mod cache_counts;
pub mod costs;
pub mod epochs;
pub mod ledger;
pub mod pins;
mod process_files;
pub mod redis;
pub mod results;
pub mod sealed;
pub mod shapes;
pub mod snapshots;
pub mod surfaces;

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rand::TryRng as _;
use rand::rngs::SysRng;

/// The layout's version; another one is another folder, so old state is a miss, never an error.
const VERSION: &str = "v1";
/// Bytes of the secret.
const SECRET: usize = 32;

/// Why the state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be made or read.
    #[error("cannot use the state folder `{path}`")]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Somebody else could put things into it.
    #[error("the state folder `{path}` belongs to another user or is writable by others")]
    NotPrivate {
        /// The folder.
        path: PathBuf,
    },
}

/// An open state folder.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    secret: [u8; SECRET],
}

impl Store {
    /// Opens the folder, making it where it is missing.
    ///
    /// # Errors
    /// When it cannot be made, or is not private to this user.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let root = folder.join(VERSION);
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::Io { path, source }
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(root.join("snapshots"))
            .map_err(io(&root))?;
        let about = fs::symlink_metadata(&root).map_err(io(&root))?;
        let is_ours = about.uid() == rustix::process::geteuid().as_raw();
        if !is_ours || !about.is_dir() || about.permissions().mode() & 0o022 != 0 {
            return Err(StoreError::NotPrivate { path: root });
        }
        let secret = secret(&root.join("secret")).map_err(io(&root.join("secret")))?;
        Ok(Self { root, secret })
    }

    /// Takes the secret that replicas share in place of the store's own.
    pub fn share_secret(&mut self, secret: [u8; SECRET]) {
        self.secret = secret;
    }

    /// Returns the secret of this store.
    pub fn secret(&self) -> [u8; SECRET] {
        self.secret
    }
}

/// Returns random bytes for a process that keeps nothing.
pub fn random_secret() -> [u8; SECRET] {
    let mut secret = [0; SECRET];
    // The system's own: a generator of ours would begin with finding out what the processor can do.
    if SysRng.try_fill_bytes(&mut secret).is_err() {
        rand::fill(&mut secret);
    }
    secret
}

fn secret(path: &Path) -> io::Result<[u8; SECRET]> {
    for _ in 0..2 {
        match read_secret(path) {
            Ok(secret) => return Ok(secret),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        // Several processes may start at once: the first link wins, the others read it.
        let temporary = temporary_beside(path);
        write_private(&temporary, &random_secret())?;
        let linked = fs::hard_link(&temporary, path);
        let _ = fs::remove_file(&temporary);
        match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    read_secret(path)
}

fn read_secret(path: &Path) -> io::Result<[u8; SECRET]> {
    let mut secret = [0; SECRET];
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)?;
    file.read_exact(&mut secret)?;
    Ok(secret)
}

fn temporary_beside(path: &Path) -> PathBuf {
    path.with_extension(format!(
        "{}-{:016x}",
        std::process::id(),
        rand::random::<u64>()
    ))
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)?;
    file.write_all(bytes)
}

/// Keeps so many files of a folder; the ones written longest ago go. A file without an extension is none of
/// them: it is what processes lock, and two that lock different ones write over each other. What a crash left
/// under a temporary name is counted, for nothing else takes it away.
fn drop_oldest(folder: &Path, kept: usize) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let mut files: Vec<_> = entries
        .flatten()
        .filter(|entry| entry.path().extension().is_some())
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    if files.len() <= kept {
        return;
    }
    files.sort();
    for (_, path) in &files[..files.len() - kept] {
        let _ = fs::remove_file(path);
    }
}

/// Writes a file so that readers see the old or the new content, never a part.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = temporary_beside(path);
    let written = write_private(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn the_secret_stays_and_the_folder_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let first = Store::open(&path).unwrap();
        let second = Store::open(&path).unwrap();
        assert_eq!(first.secret(), second.secret());
        assert_ne!(first.secret(), [0; SECRET]);
        let mode = fs::metadata(path.join("v1")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        fs::set_permissions(path.join("v1"), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(
            Store::open(&path),
            Err(StoreError::NotPrivate { .. })
        ));
    }

    /// Broken variant that this catches: the file that processes lock is counted, and as the one written longest
    /// ago it is the first to go.
    #[test]
    fn what_is_locked_is_not_dropped() {
        let folder = tempfile::tempdir().unwrap();
        for (seconds, name) in ["lock", "a.json", "b.1-f", "c.json", "d.json"]
            .into_iter()
            .enumerate()
        {
            let file = fs::File::create(folder.path().join(name)).unwrap();
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds as u64);
            file.set_modified(at).unwrap();
        }
        let left = || {
            let entries = fs::read_dir(folder.path()).unwrap();
            let mut names: Vec<String> = entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        drop_oldest(folder.path(), 4);
        assert_eq!(left(), ["a.json", "b.1-f", "c.json", "d.json", "lock"]);
        drop_oldest(folder.path(), 2);
        assert_eq!(left(), ["c.json", "d.json", "lock"]);
    }

    #[test]
    fn a_file_in_the_way_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "x").unwrap();
        let error = Store::open(&path).unwrap_err();
        assert!(error.to_string().contains("file"), "{error}");
    }
}
