//! The ledger on disk: a file for each process and day, `ledger/<process>-<day>.json`. One writer a file;
//! `stats` reads them all. Names of tools and numbers only.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::Store;
use super::process_files::{self, Kept};
use crate::token::ledger::{Day, Key, Rows, Sum};

/// Format of a file; another one is a miss.
const FORMAT: u32 = 1;
/// Bytes of one file, at most: all rows, each with the longest names.
const FILE_BYTES: u64 = 8 << 20;
/// What stays. Most files are of a few kilobytes: some forty a day for 90 days.
const KEPT: Kept = Kept {
    files: 4096,
    bytes: 64 << 20,
    age: Duration::from_secs(90 * 24 * 3600),
};

#[derive(Serialize, Deserialize)]
struct Content {
    day: Day,
    rows: Vec<Row>,
    /// Entries that found no row.
    dropped: u64,
}

#[derive(Serialize, Deserialize)]
struct Row {
    #[serde(flatten)]
    key: Key,
    #[serde(flatten)]
    sum: Sum,
}

impl Store {
    /// Keeps a day of this process, whole. `process` names the file: hex digits. Old files of all processes
    /// go beyond the bounds.
    ///
    /// # Errors
    /// When the file cannot be written; the one before stays.
    pub fn store_ledger(&self, process: &str, day: Day, rows: &Rows) -> io::Result<()> {
        let content = Content {
            day,
            rows: rows
                .iter()
                .map(|(key, sum)| Row {
                    key: key.clone(),
                    sum: *sum,
                })
                .collect(),
            dropped: rows.dropped(),
        };
        let folder = self.ledger_folder();
        let path = folder.join(format!("{process}-{}.json", day.get()));
        let is_new = !path.exists();
        process_files::write(&path, FORMAT, &content)?;
        if is_new {
            process_files::keep(&folder, &KEPT, SystemTime::now());
        }
        Ok(())
    }

    /// Reads the days of all processes, the newest files first within the bounds; what cannot be read is
    /// left out. Also returns how many files that were.
    pub fn load_ledger(&self) -> (Vec<(Day, Rows)>, usize) {
        let mut days = Vec::new();
        let mut unreadable = 0;
        let mut bytes = 0_u64;
        let files = process_files::newest_first(&self.ledger_folder());
        for (_, path, size) in files.into_iter().take(KEPT.files) {
            bytes = bytes.saturating_add(size);
            if bytes > KEPT.bytes {
                break;
            }
            match process_files::read::<Content>(&path, FORMAT, FILE_BYTES) {
                Some(content) => {
                    let rows = content.rows.into_iter().map(|row| (row.key, row.sum));
                    days.push((content.day, Rows::of(rows, content.dropped)));
                }
                None => unreadable += 1,
            }
        }
        (days, unreadable)
    }

    /// Where the ledger is.
    pub fn ledger_folder(&self) -> PathBuf {
        self.root.join("ledger")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Tokens;
    use crate::token::ledger::stats::{Filter, Stats};
    use crate::token::ledger::{Basis, Entry, Kind, Ledger};

    fn record(ledger: &mut Ledger, day: u32, tool: &str, after: u64) {
        ledger.record(&Entry {
            day: Day::new(day),
            session: "s",
            is_held_out: false,
            server: "git",
            tool,
            kind: Kind::Answer,
            basis: Basis::Measured,
            before: Tokens::new(100),
            after: Tokens::new(after),
        });
    }

    fn keep(store: &Store, process: &str, ledger: &mut Ledger) {
        for (day, rows) in ledger.take_dirty() {
            store.store_ledger(process, day, &rows).unwrap();
        }
    }

    #[test]
    fn processes_and_days_are_read_together_and_damage_is_a_miss() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert_eq!(store.load_ledger(), (Vec::new(), 0));
        let (mut one, mut two) = (Ledger::default(), Ledger::default());
        record(&mut one, 20_000, "log", 10);
        keep(&store, "0a", &mut one);
        // The same day again is the same file, with all of the day.
        record(&mut one, 20_000, "log", 20);
        record(&mut one, 20_001, "diff", 100);
        keep(&store, "0a", &mut one);
        record(&mut two, 20_001, "log", 30);
        keep(&store, "0b", &mut two);
        std::fs::write(store.ledger_folder().join("0c-1.json"), "{").unwrap();
        let (days, unreadable) = store.load_ledger();
        assert_eq!((days.len(), unreadable), (3, 1));
        let stats = Stats::of(
            days.iter().map(|(day, rows)| (*day, rows)),
            &Filter::default(),
        );
        assert_eq!(stats.totals.calls, 4);
        assert_eq!(stats.totals.saved.value, 90 + 80 + 70);
        assert_eq!(stats.first_day.as_deref(), Some("2024-10-04"));
    }

    #[test]
    fn a_full_ledger_fits_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let mut ledger = Ledger::default();
        for n in 0..20_000 {
            record(&mut ledger, 7, &format!("{n:0>200}"), 1);
            record(&mut ledger, 7, &format!("{n:0<200}"), 1);
        }
        keep(&store, "0a", &mut ledger);
        let (days, unreadable) = store.load_ledger();
        assert_eq!((days.len(), unreadable), (1, 0));
        let calls: u64 = days[0].1.iter().map(|(_, sum)| sum.n).sum();
        assert_eq!(calls + days[0].1.dropped(), 40_000);
    }
}
