//! Original results, kept under their handles so that what was left out can be read later. Shell.
//!
//! One file for each result in `v1/results/`, named by its handle, written by rename; many processes share
//! the folder without locks. A file that is damaged, of another version, sealed with another key or over
//! its time is a miss, never an error; what cannot be written is an error, and the caller then sends the
//! whole result. Without a state folder a bounded part of memory stands in.
//!
//! Bounds: each result lives for the time to live since it was last stored; the folder holds `max_bytes`,
//! and those that were not stored or read for longest go first. Each process looks at the folder's size
//! when it has written a sixteenth of the bound, so the folder may be over by that much for each process.

mod entry;
mod memory;
mod seal;

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::result::handle::Handle;
use crate::result::options::View;

use super::Store;
use entry::{Age, Keys, Miss};
use memory::Memory;
use seal::Seal;

/// Bytes of one result, at most, whatever the bound of the folder.
const RESULT_BYTES: u64 = 256 << 20;
/// What the smallest file costs of the bound, so that the number of files is bounded as well.
const FILE_COSTS: u64 = 4096;
/// After which a file that was not finished is taken for left behind.
const LEFT_BEHIND: Duration = Duration::from_secs(3600);
/// How often at least the folder is looked at by a process that writes to it.
const LOOK_EVERY: Duration = Duration::from_secs(600);

/// How results are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultOptions {
    /// How long one is given out after it was last stored.
    pub ttl: Duration,
    /// Bytes of all of them.
    pub max_bytes: u64,
    /// A file with the key they are sealed with; none = they are stored as they are.
    pub key_file: Option<PathBuf>,
}

impl Default for ResultOptions {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(24 * 3600),
            max_bytes: 256 << 20,
            key_file: None,
        }
    }
}

/// Where a result came from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Meta {
    /// The server's configured name.
    pub server: String,
    /// The tool, by the name that its server has for it.
    pub tool: String,
    /// The raw arguments of the call, where they are known and not too long.
    pub arguments: Option<String>,
    /// Which part of it a model reads.
    pub view: View,
}

/// A result that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The original result, byte for byte.
    pub content: Bytes,
    /// Where it came from.
    pub meta: Meta,
    /// When it was last stored.
    pub created: SystemTime,
}

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Results.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Why a result is not kept.
#[derive(Debug, thiserror::Error)]
pub enum ResultStoreError {
    /// The key cannot be used.
    #[error("cannot use the key file `{path}`")]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The folder cannot be made, or is not private to this user.
    #[error("cannot use the folder `{path}`")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A result cannot be written: the disk is full, or the folder is read-only.
    #[error("cannot keep a result in `{path}`")]
    Write {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// One result is larger than all of them may be.
    #[error("a result of {bytes} bytes is larger than `results.max_bytes` allows ({limit})")]
    TooLarge {
        /// Its bytes.
        bytes: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// It could not be sealed.
    #[error("a result could not be encrypted")]
    Seal,
}

/// Keeps results. Clones share it.
#[derive(Clone)]
pub struct ResultStore {
    shared: Arc<Shared>,
}

struct Shared {
    secret: [u8; 32],
    seal: Option<Seal>,
    options: ResultOptions,
    place: Place,
}

enum Place {
    Folder {
        path: PathBuf,
        written: Mutex<Written>,
    },
    Memory(Mutex<Memory>),
}

/// What this process wrote since it looked at the folder.
#[derive(Default)]
struct Written {
    bytes: u64,
    looked: Option<SystemTime>,
}

impl ResultStore {
    /// Opens the results of a state folder, or a place in memory where there is none.
    ///
    /// # Errors
    /// When the key file cannot be read, or the folder cannot be made or is not private to this user.
    /// Nothing is ever stored unsealed where a key was named.
    pub fn open(store: Option<&Store>, options: ResultOptions) -> Result<Self, ResultStoreError> {
        let seal = match &options.key_file {
            None => None,
            Some(path) => {
                let seal = Seal::from_file(path).map_err(|source| ResultStoreError::Key {
                    path: path.clone(),
                    source,
                })?;
                Some(seal)
            }
        };
        let (secret, place) = match store {
            None => (super::random_secret(), Place::Memory(Mutex::default())),
            Some(store) => {
                let path = store.root.join("results");
                open_folder(&path).map_err(|source| ResultStoreError::Folder {
                    path: path.clone(),
                    source,
                })?;
                let written = Mutex::default();
                (store.secret, Place::Folder { path, written })
            }
        };
        Ok(Self {
            shared: Arc::new(Shared {
                secret,
                seal,
                options,
                place,
            }),
        })
    }

    /// Tells whether results are there after a restart.
    pub fn survives_restarts(&self) -> bool {
        matches!(self.shared.place, Place::Folder { .. })
    }

    /// Returns the handle that a result has or would have.
    pub fn handle(&self, principal: &str, content: &[u8], view: View) -> Handle {
        Handle::of_view(&self.shared.secret, principal, content, view)
    }

    /// Keeps an original result and returns its handle. The same result of the same principal in the
    /// same view has the same one, and its time begins anew. Blocks on the disk.
    ///
    /// # Errors
    /// When it cannot be kept; it must then not be cut.
    pub fn put(
        &self,
        principal: &str,
        content: &[u8],
        meta: &Meta,
    ) -> Result<Handle, ResultStoreError> {
        self.put_at(SystemTime::now(), principal, content, meta)
    }

    /// Returns a result that this principal stored; none where it is unknown, over its time, damaged, or
    /// somebody else's. Blocks on the disk.
    pub fn get(&self, principal: &str, handle: &Handle) -> Option<Stored> {
        self.get_at(SystemTime::now(), principal, handle)
    }

    /// Removes every result; returns how many there were.
    ///
    /// # Errors
    /// When the folder cannot be read or a file not removed.
    pub fn purge(&self) -> io::Result<Stats> {
        match &self.shared.place {
            Place::Memory(memory) => {
                let (count, bytes) = lock(memory).purge();
                Ok(Stats { count, bytes })
            }
            Place::Folder { path, .. } => {
                let files = files(path)?;
                let mut removed = Stats::default();
                for file in files {
                    remove(&file.path)?;
                    if file.is_result {
                        removed.count += 1;
                        removed.bytes += file.bytes;
                    }
                }
                Ok(removed)
            }
        }
    }

    /// Counts what is kept; in a folder this includes files whose time is over but that nobody removed yet.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn stats(&self) -> io::Result<Stats> {
        match &self.shared.place {
            Place::Memory(memory) => {
                let (count, bytes) = lock(memory).stats();
                Ok(Stats { count, bytes })
            }
            Place::Folder { path, .. } => {
                let files = files(path)?;
                let results = files.iter().filter(|file| file.is_result);
                Ok(results.fold(Stats::default(), |stats, file| Stats {
                    count: stats.count + 1,
                    bytes: stats.bytes + file.bytes,
                }))
            }
        }
    }

    fn keys(&self) -> Keys<'_> {
        Keys {
            secret: &self.shared.secret,
            seal: self.shared.seal.as_ref(),
        }
    }

    fn put_at(
        &self,
        now: SystemTime,
        principal: &str,
        content: &[u8],
        meta: &Meta,
    ) -> Result<Handle, ResultStoreError> {
        let ResultOptions { ttl, max_bytes, .. } = self.shared.options;
        let limit = match &self.shared.place {
            Place::Memory(_) => Memory::limit(max_bytes),
            Place::Folder { .. } => max_bytes.min(RESULT_BYTES),
        };
        let bytes = content.len() as u64;
        if bytes > limit {
            return Err(ResultStoreError::TooLarge { bytes, limit });
        }
        let handle = self.handle(principal, content, meta.view);
        match &self.shared.place {
            Place::Memory(memory) => {
                lock(memory).put(handle, principal, content, meta, (now, max_bytes));
            }
            Place::Folder { path, written } => {
                let file = self
                    .keys()
                    .encode(&handle, principal, content, meta, (now, ttl))
                    .ok_or(ResultStoreError::Seal)?;
                self.make_room(now, path, written, (file.len() as u64).max(FILE_COSTS));
                super::replace(&file_of(path, &handle), &file).map_err(|source| {
                    ResultStoreError::Write {
                        path: path.clone(),
                        source,
                    }
                })?;
            }
        }
        Ok(handle)
    }

    fn get_at(&self, now: SystemTime, principal: &str, handle: &Handle) -> Option<Stored> {
        let path = match &self.shared.place {
            Place::Memory(memory) => {
                return lock(memory).get(handle, principal, (now, self.shared.options.ttl));
            }
            Place::Folder { path, .. } => file_of(path, handle),
        };
        let mut file = open_file(&path).ok()?;
        let mut bytes = Vec::new();
        let limit = RESULT_BYTES + (1 << 20);
        (&mut file).take(limit).read_to_end(&mut bytes).ok()?;
        match self.keys().decode(handle, principal, &bytes, now) {
            Ok(stored) => {
                // What is read stays longest. That it cannot be marked is no reason to keep it back.
                let _ = file.set_modified(now);
                Some(stored)
            }
            Err(Miss::Foreign) => None,
            Err(Miss::Rubbish) => {
                let _ = fs::remove_file(&path);
                None
            }
        }
    }

    /// Looks at the folder where it may be near its bound, and removes what is over its time and then what
    /// was not used for longest.
    fn make_room(&self, now: SystemTime, folder: &Path, written: &Mutex<Written>, more: u64) {
        let max = self.shared.options.max_bytes;
        {
            let mut written = lock(written);
            let is_fresh = written.looked.is_some_and(|looked| {
                now.duration_since(looked).unwrap_or(Duration::ZERO) < LOOK_EVERY
            });
            written.bytes = written.bytes.saturating_add(more);
            if is_fresh && written.bytes < max / 16 {
                return;
            }
            *written = Written {
                bytes: 0,
                looked: Some(now),
            };
        }
        // Without a list nothing can be removed; the disk itself is then the bound.
        let Ok(mut files) = files(folder) else { return };
        files.sort_by_key(|file| file.used);
        let mut total: u64 = files.iter().map(|file| file.bytes.max(FILE_COSTS)).sum();
        let room = max.saturating_sub(more);
        for file in &files {
            let is_over = if file.is_result {
                is_over(&file.path, now)
            } else {
                now.duration_since(file.used).unwrap_or(Duration::ZERO) > LEFT_BEHIND
            };
            if (is_over || total > room) && remove(&file.path).is_ok() {
                total -= file.bytes.max(FILE_COSTS);
            }
        }
    }
}

struct Found {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
    is_result: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open_folder(path: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let about = fs::symlink_metadata(path)?;
    let is_ours = about.uid() == rustix::process::geteuid().as_raw();
    if !about.is_dir() || !is_ours || about.permissions().mode() & 0o022 != 0 {
        return Err(io::Error::other(
            "it belongs to another user, is writable by others, or is no folder",
        ));
    }
    Ok(())
}

/// Handles are made of letters and digits of ours; nothing that a server or a model says enters a path.
fn file_of(folder: &Path, handle: &Handle) -> PathBuf {
    folder.join(handle.to_string())
}

fn open_file(path: &Path) -> io::Result<fs::File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    Ok(file)
}

fn files(folder: &Path) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)?.flatten() {
        // Another process may have removed it.
        let Ok(about) = entry.metadata() else {
            continue;
        };
        if !about.is_file() {
            continue;
        }
        let name = entry.file_name();
        found.push(Found {
            is_result: name
                .to_str()
                .is_some_and(|name| name.parse::<Handle>().is_ok()),
            path: entry.path(),
            bytes: about.len(),
            used: about.modified().unwrap_or(SystemTime::UNIX_EPOCH),
        });
    }
    Ok(found)
}

fn is_over(path: &Path, now: SystemTime) -> bool {
    let mut beginning = Vec::new();
    let read = open_file(path).and_then(|file| {
        file.take(entry::BEGINNING as u64)
            .read_to_end(&mut beginning)
    });
    read.is_ok() && entry::age_of(&beginning, now) == Age::Over
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
