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
            Err(error) if error.kind() == io::ErrorKind::NotFound => make_secret(path)?,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => replace_torn(path)?,
            read => return read,
        }
    }
    // Also of what was just made: another process may have been the first.
    read_secret(path)
}

/// Makes the secret unless another process does.
fn make_secret(path: &Path) -> io::Result<()> {
    let secret = random_secret();
    // Several processes may start at once: the first link wins, the others read it.
    put_whole(path, &secret, |temporary| {
        match fs::hard_link(temporary, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            // Some file systems have no links.
            Err(_) => create(path, &secret),
            Ok(()) => Ok(()),
        }
    })
}

/// Makes a file unless it is there. Others can see it before it is whole, so it is locked meanwhile.
fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let created = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path);
    let mut file = match created {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        created => created?,
    };
    let _ = file.lock();
    // What fails here leaves a part, which the next start replaces.
    file.write_all(bytes)
}

/// Replaces a secret that is none: a crash left it, or a full disk.
fn replace_torn(path: &Path) -> io::Result<()> {
    let torn = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)?;
    // Who is making it has it locked, and of several that replace it one does. Where nothing can be locked, two
    // that start at once may for a time have different ones.
    let _ = torn.lock();
    match read_secret(path) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
        read => return read.map(|_| ()),
    }
    tracing::warn!(
        "`{}` held no whole secret and is made anew; what was kept under the old one is not found any more",
        path.display()
    );
    put_whole(path, &random_secret(), |temporary| {
        fs::rename(temporary, path)
    })
}

/// Writes a file beside another and has it put in its place. Its temporary name goes, whatever happens. The disk is
/// not waited for: it would hold up a first start by about a millisecond, and what a crash tears is made anew.
fn put_whole(
    path: &Path,
    bytes: &[u8],
    place: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let temporary = temporary_beside(path);
    let placed = write_private(&temporary, bytes).and_then(|_| place(&temporary));
    let _ = fs::remove_file(&temporary);
    placed
}

/// Reads the secret. A file that is too short, or that a crash left as zeros, ends unexpectedly.
fn read_secret(path: &Path) -> io::Result<[u8; SECRET]> {
    let mut secret = [0; SECRET];
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)?;
    file.read_exact(&mut secret)?;
    match secret == [0; SECRET] {
        true => Err(io::ErrorKind::UnexpectedEof.into()),
        false => Ok(secret),
    }
}

fn temporary_beside(path: &Path) -> PathBuf {
    path.with_extension(format!(
        "{}-{:016x}",
        std::process::id(),
        rand::random::<u64>()
    ))
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<fs::File> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)?;
    file.write_all(bytes)?;
    Ok(file)
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
    let written = write_private(&temporary, bytes).and_then(|_| fs::rename(&temporary, path));
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

    fn names_in(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Broken variant that this catches: a secret that is too short is an error, at every start for ever.
    #[test]
    fn a_torn_secret_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        Store::open(folder.path()).unwrap();
        let root = folder.path().join("v1");
        let path = root.join("secret");
        let all: [&[u8]; 3] = [&[], &[7; SECRET - 1], &[0; SECRET]];
        for torn in all {
            fs::write(&path, torn).unwrap();
            let first = Store::open(folder.path()).unwrap();
            let second = Store::open(folder.path()).unwrap();
            assert_eq!(first.secret(), second.secret());
            assert_ne!(first.secret(), [0; SECRET]);
            assert_eq!(fs::read(&path).unwrap(), first.secret());
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            assert_eq!(names_in(&root), ["secret", "snapshots"]);
        }
    }

    /// Broken variants that this catches: an error on the way leaves the temporary file; a file that another
    /// process made is written over.
    #[test]
    fn what_fails_leaves_nothing_and_what_is_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let failed = put_whole(&path, b"x", |temporary| {
            assert_eq!(fs::read(temporary).unwrap(), b"x");
            Err(io::ErrorKind::Unsupported.into())
        });
        assert!(failed.is_err());
        assert!(names_in(folder.path()).is_empty());
        create(&path, &[1; SECRET]).unwrap();
        create(&path, &[2; SECRET]).unwrap();
        make_secret(&path).unwrap();
        assert_eq!(read_secret(&path).unwrap(), [1; SECRET]);
        assert_eq!(names_in(folder.path()), ["secret"]);
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
        let all = ["a.json", "b.1-f", "c.json", "d.json", "lock"];
        drop_oldest(folder.path(), 4);
        assert_eq!(names_in(folder.path()), all);
        drop_oldest(folder.path(), 2);
        assert_eq!(names_in(folder.path()), all[2..]);
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
