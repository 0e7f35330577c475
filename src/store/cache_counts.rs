//! What the cache of each process did: `v1/cache/counts/<process>.json`, written by that process alone.

use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

use crate::hub::cache::CacheCounters;

use super::Store;

/// Format of a file; another one counts nothing.
const FORMAT: u32 = 1;
/// Processes that are remembered; those that wrote longest ago go.
const KEPT: usize = 64;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct File {
    format: u32,
    hits: u64,
    tier_hits: u64,
    misses: u64,
    joined: u64,
    stored: u64,
    evicted: u64,
    stood_in: u64,
    writes: u64,
    tier_late: u64,
}

impl Store {
    /// Keeps what this process's cache did.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn store_cache_counts(&self, process: &str, counters: &CacheCounters) -> io::Result<()> {
        let folder = self.root.join("cache/counts");
        fs::create_dir_all(&folder)?;
        let file = File {
            format: FORMAT,
            hits: counters.hits,
            tier_hits: counters.tier_hits,
            misses: counters.misses,
            joined: counters.joined,
            stored: counters.stored,
            evicted: counters.evicted,
            stood_in: counters.stood_in,
            writes: counters.writes,
            tier_late: counters.tier_late,
        };
        super::replace(
            &folder.join(format!("{process}.json")),
            &serde_json::to_vec(&file)?,
        )?;
        super::drop_oldest(&folder, KEPT);
        Ok(())
    }

    /// Sums up what the caches of the remembered processes did; the second number is how many these are.
    pub fn cache_counts(&self) -> (CacheCounters, usize) {
        let mut sum = CacheCounters::default();
        let mut processes = 0;
        // A file that somebody damaged may say anything.
        let add = |sum: &mut u64, count: u64| *sum = sum.saturating_add(count);
        let Ok(entries) = fs::read_dir(self.root.join("cache/counts")) else {
            return (sum, 0);
        };
        for entry in entries.flatten().take(KEPT) {
            let Some(file) = fs::read(entry.path())
                .ok()
                .and_then(|bytes| serde_json::from_slice::<File>(&bytes).ok())
                .filter(|file| file.format == FORMAT)
            else {
                continue;
            };
            processes += 1;
            add(&mut sum.hits, file.hits);
            add(&mut sum.tier_hits, file.tier_hits);
            add(&mut sum.misses, file.misses);
            add(&mut sum.joined, file.joined);
            add(&mut sum.stored, file.stored);
            add(&mut sum.evicted, file.evicted);
            add(&mut sum.stood_in, file.stood_in);
            add(&mut sum.writes, file.writes);
            add(&mut sum.tier_late, file.tier_late);
        }
        (sum, processes)
    }
}
