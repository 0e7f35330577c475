//! What calls of tools have cost, on disk: each process writes its own file, and a start whose searches show
//! it reads the newest of them. Sizes only; nothing that was answered.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Store;
use super::process_files;
use crate::hub::costs::{CallCosts, Sizes, VALUES};

/// Format of a file; another one is a miss.
const FORMAT: u32 = 2;
/// Bytes of one file, at most.
const FILE_BYTES: u64 = 4 << 20;
/// Files kept and read, the newest.
const KEPT: usize = 32;

#[derive(Serialize, Deserialize)]
struct Entry {
    principal: String,
    tool: String,
    /// Bytes of the last answers, the oldest first.
    last: Vec<u64>,
    largest: u64,
}

impl Store {
    /// Keeps what calls of this process have cost. `process` names the file: hex digits.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn store_costs(&self, process: &str, costs: &CallCosts) -> io::Result<()> {
        if costs.is_empty() {
            return Ok(());
        }
        let tools: Vec<Entry> = costs
            .all()
            .map(|(principal, tool, sizes)| Entry {
                principal: principal.to_owned(),
                tool: tool.to_owned(),
                last: sizes.last().collect(),
                largest: sizes.largest(),
            })
            .collect();
        let folder = self.costs_folder();
        process_files::write(&folder.join(format!("{process}.json")), FORMAT, &tools)?;
        super::drop_oldest(&folder, KEPT);
        Ok(())
    }

    /// Reads what calls have cost in the processes that ended last; what cannot be read is left out.
    pub fn load_costs(&self) -> CallCosts {
        let mut costs = CallCosts::default();
        let files = process_files::newest_first(&self.costs_folder());
        for (_, path, _) in files.iter().take(KEPT).rev() {
            let tools = process_files::read::<Vec<Entry>>(path, FORMAT, FILE_BYTES);
            for entry in tools.into_iter().flatten() {
                let sizes = Sizes::of(entry.last.into_iter().take(VALUES), entry.largest);
                costs.add_newer(&entry.principal, &entry.tool, &sizes);
            }
        }
        costs
    }

    fn costs_folder(&self) -> PathBuf {
        self.root.join("costs")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn costs(of: &[(&str, &str, &[u64])]) -> CallCosts {
        let mut costs = CallCosts::default();
        for (principal, tool, sizes) in of {
            let sizes = Sizes::of(sizes.iter().copied(), 0);
            costs.add_newer(principal, tool, &sizes);
        }
        costs
    }

    #[test]
    fn files_of_all_processes_are_read_together_and_damage_is_a_miss() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert!(store.load_costs().is_empty());
        store.store_costs("0a", &CallCosts::default()).unwrap();
        assert!(!store.costs_folder().exists(), "nothing to keep, no file");
        let first = costs(&[("user", "read", &[10, 900]), ("user", "write", &[5])]);
        store.store_costs("0a", &first).unwrap();
        store
            .store_costs("0b", &costs(&[("user", "read", &[30])]))
            .unwrap();
        fs::write(store.costs_folder().join("0c.json"), "{").unwrap();
        let all = store.load_costs();
        let (_, _, read) = all.all().find(|(_, tool, _)| *tool == "read").unwrap();
        let mut last: Vec<u64> = read.last().collect();
        last.sort_unstable();
        assert_eq!((last, read.largest()), (vec![10, 30, 900], 900));
        let path = store.costs_folder().join("0a.json");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("900", "901")).unwrap();
        assert_eq!(
            store.load_costs().all().count(),
            1,
            "a changed file is a miss"
        );
    }

    #[test]
    fn old_files_go() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        for n in 0..KEPT + 3 {
            let costs = costs(&[("user", "read", &[n as u64])]);
            store.store_costs(&format!("{n:02x}"), &costs).unwrap();
        }
        assert_eq!(fs::read_dir(store.costs_folder()).unwrap().count(), KEPT);
    }
}
