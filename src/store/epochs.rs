//! What tools were used for, and the epoch file that it becomes when an operator says so.
//!
//! Each process writes its own file of counts, so that many can share the folder; nothing reads them but
//! `epoch advance`. The epoch file holds weights and shapes of results; what clients see changes with it and with
//! nothing else that is learned.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::{Store, process_files, shapes};
use crate::hub::shapes::ShapeTexts;
use crate::token::TokenCounter;

/// Format of the files; another one is a miss.
const FORMAT: u32 = 1;
/// Bytes of one file, at most.
const FILE_BYTES: u64 = 16 << 20;
/// Files of counts that are read, the newest; the rest is removed when an epoch advances.
const KEPT: usize = 1024;
/// Counts older than this are forgotten when an epoch advances.
const REMEMBERED: Duration = Duration::from_secs(90 * 24 * 3600);

/// What the weights of a surface are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epoch {
    format: u32,
    /// Counts up with each advance; 0 = there never was one.
    pub number: u64,
    /// Weight by the tool's name as clients see it.
    pub weights: BTreeMap<String, u64>,
    /// How results of tools looked; files of older versions have none.
    #[serde(default, skip_serializing_if = "ShapeTexts::is_empty")]
    pub shapes: ShapeTexts,
}

#[derive(Serialize, Deserialize)]
struct Uses {
    format: u32,
    calls: BTreeMap<String, u64>,
}

impl Store {
    /// Reads the epoch; a missing, damaged or foreign file is the one before the first.
    pub fn load_epoch(&self) -> Epoch {
        read::<Epoch>(&self.root.join("epoch.json"))
            .filter(|epoch| epoch.format == FORMAT)
            .map(|epoch| Epoch {
                shapes: shapes::checked(epoch.shapes),
                ..epoch
            })
            .unwrap_or_default()
    }

    /// Makes the counts of all processes the weights of the next epoch, and what they learned of results its
    /// shapes, counted by `counter`; forgets what is old.
    ///
    /// # Errors
    /// When the file cannot be written; the old epoch stays.
    pub fn advance_epoch(&self, now: SystemTime, counter: &dyn TokenCounter) -> io::Result<Epoch> {
        let calls = self.calls(now);
        let epoch = Epoch {
            format: FORMAT,
            number: self.load_epoch().number.saturating_add(1),
            weights: calls
                .into_iter()
                .map(|(name, calls)| (name, crate::surface::plan::weight_of(calls)))
                .collect(),
            shapes: self.shape_texts(now, counter),
        };
        self.store_epoch(&epoch)?;
        Ok(epoch)
    }

    /// Starts a new epoch without weights and shapes, and forgets all that was counted and learned.
    ///
    /// # Errors
    /// When the file cannot be written; the old epoch stays.
    pub fn reset_epoch(&self) -> io::Result<Epoch> {
        let epoch = Epoch {
            format: FORMAT,
            number: self.load_epoch().number.saturating_add(1),
            weights: BTreeMap::new(),
            shapes: ShapeTexts::new(),
        };
        self.store_epoch(&epoch)?;
        self.forget_shapes();
        for (_, path) in self.use_files() {
            let _ = fs::remove_file(path);
        }
        Ok(epoch)
    }

    fn store_epoch(&self, epoch: &Epoch) -> io::Result<()> {
        let bytes = serde_json::to_vec_pretty(epoch)?;
        super::replace(&self.root.join("epoch.json"), &bytes)
    }

    /// Keeps how often this process called each tool, all in all. `process` names the file: hex digits.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn store_uses(&self, process: &str, calls: &BTreeMap<String, u64>) -> io::Result<()> {
        let folder = self.root.join("uses");
        fs::create_dir_all(&folder)?;
        let uses = Uses {
            format: FORMAT,
            calls: calls.clone(),
        };
        super::replace(
            &folder.join(format!("{process}.json")),
            &serde_json::to_vec(&uses)?,
        )
    }

    /// Sums up the counts, and removes files that no longer count.
    fn calls(&self, now: SystemTime) -> BTreeMap<String, u64> {
        let mut sums: BTreeMap<String, u64> = BTreeMap::new();
        for (n, (modified, path)) in self.use_files().into_iter().enumerate() {
            let is_old = now
                .duration_since(modified)
                .is_ok_and(|age| age > REMEMBERED);
            if n >= KEPT || is_old {
                let _ = fs::remove_file(path);
                continue;
            }
            let uses = read::<Uses>(&path).filter(|uses| uses.format == FORMAT);
            for (name, calls) in uses.into_iter().flat_map(|uses| uses.calls) {
                let sum = sums.entry(name).or_default();
                *sum = sum.saturating_add(calls);
            }
        }
        sums
    }

    /// The newest first.
    fn use_files(&self) -> Vec<(SystemTime, std::path::PathBuf)> {
        process_files::newest_first(&self.root.join("uses"))
            .into_iter()
            .map(|(modified, path, _)| (modified, path))
            .collect()
    }
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Option<T> {
    let mut text = String::new();
    fs::File::open(path)
        .ok()?
        .take(FILE_BYTES)
        .read_to_string(&mut text)
        .ok()?;
    serde_json::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::{Encoding, TiktokenCounter};

    fn counter() -> TiktokenCounter {
        TiktokenCounter::new(Encoding::O200kBase)
    }

    fn calls(of: &[(&str, u64)]) -> BTreeMap<String, u64> {
        of.iter()
            .map(|(name, n)| ((*name).to_owned(), *n))
            .collect()
    }

    #[test]
    fn uses_of_all_processes_become_weights_when_an_epoch_advances() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert_eq!(store.load_epoch(), Epoch::default());
        store
            .store_uses("0a", &calls(&[("read", 3), ("write", 1)]))
            .unwrap();
        store.store_uses("0b", &calls(&[("read", 4)])).unwrap();
        // A process that goes on writes its sum again; it is not counted twice.
        store.store_uses("0b", &calls(&[("read", 5)])).unwrap();
        assert_eq!(store.load_epoch().number, 0, "nothing is learned by itself");
        let epoch = store.advance_epoch(SystemTime::now(), &counter()).unwrap();
        assert_eq!(epoch.number, 1);
        assert_eq!(store.load_epoch(), epoch);
        assert!(epoch.weights["read"] > epoch.weights["write"]);
        let again = store.advance_epoch(SystemTime::now(), &counter()).unwrap();
        assert_eq!((again.number, &again.weights), (2, &epoch.weights));
        let later = SystemTime::now() + 2 * REMEMBERED;
        assert!(
            store
                .advance_epoch(later, &counter())
                .unwrap()
                .weights
                .is_empty()
        );
    }

    #[test]
    fn damage_is_a_miss_and_a_reset_forgets() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.store_uses("0a", &calls(&[("read", 3)])).unwrap();
        fs::write(store.root.join("uses/0c.json"), "{").unwrap();
        assert_eq!(
            store
                .advance_epoch(SystemTime::now(), &counter())
                .unwrap()
                .weights
                .len(),
            1
        );
        assert!(store.reset_epoch().unwrap().weights.is_empty());
        assert!(
            store
                .advance_epoch(SystemTime::now(), &counter())
                .unwrap()
                .weights
                .is_empty()
        );
        fs::write(store.root.join("epoch.json"), "[]").unwrap();
        assert_eq!(store.load_epoch(), Epoch::default());
    }
}
