//! Results in memory, where there is no state folder. Bounded; what was not used for longest goes first.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use crate::result::handle::Handle;

use super::{FILE_COSTS, Meta, Stored};

/// Bytes that are kept in memory, at most, whatever the bound of the folder.
const MOST: u64 = 32 << 20;

#[derive(Default)]
pub(super) struct Memory {
    entries: HashMap<Handle, Entry>,
    bytes: u64,
    counter: u64,
}

struct Entry {
    principal: String,
    stored: Stored,
    used: u64,
}

impl Entry {
    fn cost(&self) -> u64 {
        (self.stored.content.len() as u64).max(FILE_COSTS)
    }
}

impl Memory {
    /// Returns how much fits.
    pub(super) fn limit(max_bytes: u64) -> u64 {
        max_bytes.min(MOST)
    }

    pub(super) fn put(
        &mut self,
        handle: Handle,
        principal: &str,
        content: &[u8],
        meta: &Meta,
        (now, max_bytes): (SystemTime, u64),
    ) {
        self.remove(&handle);
        self.counter += 1;
        let entry = Entry {
            principal: principal.to_owned(),
            stored: Stored {
                content: bytes::Bytes::copy_from_slice(content),
                meta: meta.clone(),
                created: now,
            },
            used: self.counter,
        };
        self.bytes += entry.cost();
        self.entries.insert(handle, entry);
        while self.bytes > Self::limit(max_bytes) {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used);
            let Some((handle, _)) = oldest else { break };
            self.remove(&handle.clone());
        }
    }

    pub(super) fn get(
        &mut self,
        handle: &Handle,
        principal: &str,
        (now, ttl): (SystemTime, Duration),
    ) -> Option<Stored> {
        let entry = self.entries.get_mut(handle)?;
        let age = now
            .duration_since(entry.stored.created)
            .unwrap_or(Duration::ZERO);
        if age >= ttl {
            self.remove(handle);
            return None;
        }
        if entry.principal != principal {
            return None;
        }
        self.counter += 1;
        entry.used = self.counter;
        Some(entry.stored.clone())
    }

    pub(super) fn purge(&mut self) -> (u64, u64) {
        let was = self.stats();
        *self = Self::default();
        was
    }

    /// Number and bytes.
    pub(super) fn stats(&self) -> (u64, u64) {
        let bytes = self
            .entries
            .values()
            .map(|entry| entry.stored.content.len() as u64)
            .sum();
        (self.entries.len() as u64, bytes)
    }

    fn remove(&mut self, handle: &Handle) {
        if let Some(entry) = self.entries.remove(handle) {
            self.bytes -= entry.cost();
        }
    }
}
