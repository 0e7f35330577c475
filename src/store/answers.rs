//! Kept answers on disk, for the processes of one user: `v1/cache/entries/<key>` and
//! `v1/cache/epochs/<scope>`. Shell.
//!
//! Files appear by rename, so no reader sees half of one; entries are sealed, so a damaged or foreign one
//! is a miss. An epoch is a random number that a write replaces: nobody has to be the only writer. A
//! missing epoch is made when it is first asked for. A cleared folder therefore is a cold cache, never a
//! wrong one.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use crate::cache::key::{Key, Scope};
use crate::cache::lru::TierEpoch;
use crate::cache::record::Record;

use super::Store;
use super::sealed::Sealer;

/// Bytes of one entry, at most.
const ENTRY_BYTES: u64 = 16 << 20;
/// Entries that are written between two looks at the whole folder.
const SWEEP_EVERY: u64 = 64;
/// Epochs that nobody replaced for so long depend on nothing any more: no answer is kept that long.
const OLD_EPOCH: Duration = Duration::from_secs(7 * 24 * 3600);

/// The folder.
#[derive(Debug)]
pub struct DiskAnswers {
    root: PathBuf,
    sealer: Sealer,
    max_bytes: u64,
    written: AtomicU64,
}

/// What is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stock {
    /// Kept answers.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Store {
    /// Opens the folder of kept answers, which holds so many bytes at most.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn answers(&self, max_bytes: u64) -> io::Result<DiskAnswers> {
        use std::os::unix::fs::DirBuilderExt;
        let root = self.root.join("cache");
        for folder in ["entries", "epochs"] {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(root.join(folder))?;
        }
        Ok(DiskAnswers {
            root,
            sealer: Sealer::new(&self.secret, "answers on disk"),
            max_bytes,
            written: AtomicU64::new(0),
        })
    }
}

impl DiskAnswers {
    fn entry(&self, key: Key) -> PathBuf {
        self.root.join("entries").join(key.to_hex())
    }

    fn epoch(&self, scope: Scope) -> PathBuf {
        self.root.join("epochs").join(scope.to_hex())
    }

    /// Returns the numbers of scopes; missing ones are made.
    ///
    /// # Errors
    /// When one can neither be read nor made.
    pub fn epochs(&self, scopes: &[Scope]) -> io::Result<Vec<TierEpoch>> {
        scopes
            .iter()
            .map(|scope| {
                let path = self.epoch(*scope);
                for _ in 0..3 {
                    match fs::read(&path) {
                        Ok(bytes) => {
                            if let Ok(bytes) = <[u8; 8]>::try_from(&bytes[..]) {
                                return Ok(u64::from_le_bytes(bytes));
                            }
                            // Damaged: another number is always safe.
                            super::replace(&path, &rand::random::<u64>().to_le_bytes())?;
                        }
                        Err(error) if error.kind() == io::ErrorKind::NotFound => {
                            make(&path, &rand::random::<u64>().to_le_bytes())?;
                        }
                        Err(error) => return Err(error),
                    }
                }
                Err(io::Error::other("an epoch cannot be made"))
            })
            .collect()
    }

    /// Makes everything worthless that depends on one of these.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn bump(&self, scopes: &[Scope]) -> io::Result<()> {
        scopes.iter().try_for_each(|scope| {
            super::replace(&self.epoch(*scope), &rand::random::<u64>().to_le_bytes())
        })
    }

    /// Reads an entry; a missing, damaged or foreign one is none, and does not stay.
    pub fn load(&self, key: Key) -> Option<Record> {
        let path = self.entry(key);
        let mut sealed = Vec::new();
        fs::File::open(&path)
            .ok()?
            .take(ENTRY_BYTES)
            .read_to_end(&mut sealed)
            .ok()?;
        let record = self
            .sealer
            .open(&key.0, &sealed)
            .and_then(|bytes| Record::of_bytes(&bytes));
        if record.is_none() {
            tracing::warn!(
                "a kept answer on disk is damaged or was not written by this store; it is removed"
            );
            let _ = fs::remove_file(&path);
        }
        record
    }

    /// Keeps an entry.
    ///
    /// # Errors
    /// When it cannot be written; nothing of it stays.
    pub fn store(&self, key: Key, record: &Record) -> io::Result<()> {
        let Some(bytes) = record.to_bytes() else {
            return Ok(());
        };
        let Some(sealed) = self.sealer.seal(&key.0, &bytes) else {
            return Ok(());
        };
        if sealed.len() as u64 > ENTRY_BYTES.min(self.max_bytes) {
            return Ok(());
        }
        super::replace(&self.entry(key), &sealed)?;
        let written = self.written.fetch_add(1, Ordering::Relaxed);
        if written.is_multiple_of(SWEEP_EVERY) {
            self.sweep();
        }
        Ok(())
    }

    /// Removes the entries that were written longest ago until the rest fits, and old epochs.
    fn sweep(&self) {
        let mut files = files_of(&self.root.join("entries"));
        let mut bytes: u64 = files.iter().map(|(_, size, _)| size).sum();
        files.sort_by_key(|(at, ..)| *at);
        for (_, size, path) in files {
            if bytes <= self.max_bytes {
                break;
            }
            if fs::remove_file(path).is_ok() {
                bytes -= size;
            }
        }
        let now = SystemTime::now();
        for (at, _, path) in files_of(&self.root.join("epochs")) {
            if now.duration_since(at).is_ok_and(|age| age > OLD_EPOCH) {
                let _ = fs::remove_file(path);
            }
        }
    }

    /// Returns what is there.
    pub fn stock(&self) -> Stock {
        let files = files_of(&self.root.join("entries"));
        Stock {
            entries: files.len() as u64,
            bytes: files.iter().map(|(_, size, _)| size).sum(),
        }
    }

    /// Removes every entry and returns what was there. Reads that are under way keep nothing: their
    /// epochs are replaced first.
    pub fn purge(&self) -> Stock {
        for (_, _, path) in files_of(&self.root.join("epochs")) {
            let _ = super::replace(&path, &rand::random::<u64>().to_le_bytes());
        }
        let mut gone = Stock::default();
        for (_, size, path) in files_of(&self.root.join("entries")) {
            if fs::remove_file(path).is_ok() {
                gone.entries += 1;
                gone.bytes += size;
            }
        }
        gone
    }
}

/// Makes a file with this content unless it is there.
fn make(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = super::temporary_beside(path);
    let linked =
        super::write_private(&temporary, bytes).and_then(|_| fs::hard_link(&temporary, path));
    let _ = fs::remove_file(&temporary);
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn files_of(folder: &Path) -> Vec<(SystemTime, u64, PathBuf)> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| {
            let about = entry.metadata().ok()?;
            Some((about.modified().ok()?, about.len(), entry.path()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::lru::Answer;
    use bytes::Bytes;

    fn record(text: &str) -> Record {
        Record {
            answer: Answer::Result(Bytes::from(text.to_owned())),
            received_ms: 1,
            ttl_ms: 2,
            stale_ms: 0,
            scopes: vec![(Scope([1; 16]), 7)],
        }
    }

    #[test]
    fn two_processes_see_each_others_answers_and_writes() {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            Store::open(folder.path())
                .unwrap()
                .answers(1 << 20)
                .unwrap()
        };
        let (one, two) = (open(), open());
        let (key, scopes) = (Key([1; 32]), [Scope([1; 16]), Scope([2; 16])]);
        let epochs = one.epochs(&scopes).unwrap();
        assert_eq!(two.epochs(&scopes).unwrap(), epochs);
        one.store(key, &record("secret text")).unwrap();
        assert_eq!(two.load(key), Some(record("secret text")));
        two.bump(&scopes[..1]).unwrap();
        let after = one.epochs(&scopes).unwrap();
        assert!(after[0] != epochs[0] && after[1] == epochs[1]);
        let raw = fs::read(one.entry(key)).unwrap();
        assert!(!raw.windows(6).any(|part| part == b"secret"));
        assert_eq!(one.purge().entries, 1);
        assert_eq!(two.load(key), None);
        assert_ne!(one.epochs(&scopes).unwrap()[1], epochs[1]);
    }

    #[test]
    fn damage_is_a_miss_and_another_stores_entries_too() {
        let folder = tempfile::tempdir().unwrap();
        let answers = Store::open(folder.path())
            .unwrap()
            .answers(1 << 20)
            .unwrap();
        let key = Key([1; 32]);
        answers.store(key, &record("x")).unwrap();
        let good = fs::read(answers.entry(key)).unwrap();
        let mut forged = good.clone();
        *forged.last_mut().unwrap() ^= 1;
        for bad in [&forged[..], &good[..10], b"", &[0; 100]] {
            fs::write(answers.entry(key), bad).unwrap();
            assert_eq!(answers.load(key), None);
            assert!(!answers.entry(key).exists());
        }
        fs::write(answers.entry(Key([2; 32])), &good).unwrap();
        assert_eq!(answers.load(Key([2; 32])), None, "sealed for another name");
        fs::write(answers.epoch(Scope([9; 16])), "bad").unwrap();
        assert_eq!(answers.epochs(&[Scope([9; 16])]).unwrap().len(), 1);
    }

    #[test]
    fn the_folder_stays_within_its_bound() {
        let folder = tempfile::tempdir().unwrap();
        let answers = Store::open(folder.path()).unwrap().answers(10_000).unwrap();
        for n in 0..200u8 {
            answers
                .store(Key([n; 32]), &record(&"x".repeat(1000)))
                .unwrap();
        }
        answers.sweep();
        let stock = answers.stock();
        assert!(stock.bytes <= 10_000 && stock.entries > 3, "{stock:?}");
        answers
            .store(Key([201; 32]), &record(&"x".repeat(20_000)))
            .unwrap();
        assert_eq!(answers.load(Key([201; 32])), None);
    }
}
