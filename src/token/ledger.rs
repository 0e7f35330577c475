//! The ledger: tokens of answers before and after, per session and tool, and what was read back. Pure.
//!
//! It holds names of servers and tools, numbers and hashed names of sessions; never an argument or an
//! answer. Every figure has a [`Basis`]. What does not fit its bounds is folded into coarser rows, and only
//! beyond those is it counted as dropped. [`stats`] sums it up, [`holdout`] compares sessions that ran
//! untouched.

pub mod day;
pub mod holdout;
pub mod render;
pub mod stats;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Tokens;
pub use day::Day;

/// Rows of one process and day that tell sessions apart, at most.
pub const ROWS: usize = 4096;
/// Rows in all, at most: after [`ROWS`] those of tools without their session, after half of the rest those
/// without their tool.
const ROWS_FOLDED: usize = 2 * ROWS;
/// Days that are kept whole, at most; the oldest goes first.
const DAYS: usize = 4;
/// Bytes of a name that are kept.
const NAME_BYTES: usize = 128;
/// The session or tool of folded rows. No session or tool has an empty name.
pub const FOLDED: &str = "";

/// Where a figure is from. The later, the weaker; a sum is as weak as its weakest part.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Counted on live traffic with the vocabulary of the settings.
    #[default]
    Measured,
    /// Counted on a text that no model was sent: in shadow mode, or of a recorded conversation.
    Replayed,
    /// Not counted: bytes by four, a sample, or a vendor's formula for images.
    Estimated,
}

impl Basis {
    /// Returns the word of tables and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Replayed => "replayed",
            Self::Estimated => "estimated",
        }
    }
}

/// What an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An answer of a server.
    Answer,
    /// An answer from the cache: a call that no server got.
    Cached,
    /// "Unchanged since", instead of the same answer again.
    Unchanged,
    /// A difference, instead of nearly the same answer again.
    Delta,
    /// A part of a stored answer that was read back (`read_result`). It had no "before": all of it counts
    /// against the saving.
    Fetched,
    /// A list of tools. Not an answer of a call; summed up apart.
    List,
}

/// One thing that happened.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// When, in days since 1970-01-01 UTC.
    pub day: Day,
    /// The session, by a name that says nothing: a keyed hash.
    pub session: &'a str,
    /// Whether the session runs untouched for comparison.
    pub is_held_out: bool,
    /// The server's configured name.
    pub server: &'a str,
    /// The tool's name as its server has it; empty for a list.
    pub tool: &'a str,
    /// What happened.
    pub kind: Kind,
    /// Where the figures are from.
    pub basis: Basis,
    /// Tokens of the original, in the channel that the model sees.
    pub before: Tokens,
    /// Tokens that were sent.
    pub after: Tokens,
}

/// What rows are told apart by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// The session's hashed name; [`FOLDED`] where rows were joined.
    pub session: String,
    /// Whether it runs untouched.
    pub is_held_out: bool,
    /// The server; [`FOLDED`] where rows were joined.
    pub server: String,
    /// The tool; empty for lists, and where rows were joined.
    pub tool: String,
    /// What happened.
    pub kind: Kind,
    /// Where the figures are from.
    pub basis: Basis,
}

/// What a row sums up. Arithmetic saturates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// How often it happened.
    pub n: u64,
    /// How often fewer tokens were sent than came.
    pub n_smaller: u64,
    /// Tokens before.
    pub before: Tokens,
    /// Tokens after.
    pub after: Tokens,
}

impl Sum {
    /// Adds another sum.
    pub fn add(&mut self, other: &Self) {
        self.n = self.n.saturating_add(other.n);
        self.n_smaller = self.n_smaller.saturating_add(other.n_smaller);
        self.before += other.before;
        self.after += other.after;
    }
}

/// The rows of one day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    by_key: BTreeMap<Key, Sum>,
    dropped: u64,
}

impl Rows {
    /// Takes rows as they were kept.
    pub fn of(rows: impl IntoIterator<Item = (Key, Sum)>, dropped: u64) -> Self {
        let mut all = Self {
            by_key: BTreeMap::new(),
            dropped,
        };
        for (key, sum) in rows {
            // They were folded when they were noted; only a file of somebody else's has more.
            if !all.add_below(ROWS_FOLDED, &key, &sum) {
                all.dropped = all.dropped.saturating_add(sum.n);
            }
        }
        all
    }

    /// Returns all rows.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Sum)> {
        self.by_key.iter()
    }

    /// Returns how many entries found no row.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn add(&mut self, mut key: Key, sum: &Sum) {
        if self.add_below(ROWS, &key, sum) {
            return;
        }
        key.session = FOLDED.to_owned();
        if self.add_below(ROWS + ROWS / 2, &key, sum) {
            return;
        }
        key.server = FOLDED.to_owned();
        key.tool = FOLDED.to_owned();
        if !self.add_below(ROWS_FOLDED, &key, sum) {
            self.dropped = self.dropped.saturating_add(sum.n);
        }
    }

    fn add_below(&mut self, limit: usize, key: &Key, sum: &Sum) -> bool {
        if let Some(row) = self.by_key.get_mut(key) {
            row.add(sum);
            return true;
        }
        let has_room = self.by_key.len() < limit;
        if has_room {
            self.by_key.insert(key.clone(), *sum);
        }
        has_room
    }
}

/// What happened in one process, the newest days whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    days: BTreeMap<Day, Rows>,
    dirty: BTreeSet<Day>,
    /// The earliest day that is still kept whole.
    least: Day,
    n_entries: u64,
}

impl Ledger {
    /// Adds an entry.
    pub fn record(&mut self, entry: &Entry<'_>) {
        self.n_entries = self.n_entries.saturating_add(1);
        let key = Key {
            session: name(entry.session),
            is_held_out: entry.is_held_out,
            server: name(entry.server),
            tool: name(entry.tool),
            kind: entry.kind,
            basis: entry.basis,
        };
        let sum = Sum {
            n: 1,
            n_smaller: u64::from(entry.after < entry.before),
            before: entry.before,
            after: entry.after,
        };
        // A day that was pushed out has its file; a clock set back must not begin that file anew.
        let day = entry.day.max(self.least);
        self.days.entry(day).or_default().add(key, &sum);
        self.dirty.insert(day);
        while self.days.len() > DAYS
            && let Some((day, _)) = self.days.pop_first()
        {
            self.dirty.remove(&day);
            self.least = day.next();
        }
    }

    /// Returns how many entries there were, stored or not.
    pub fn n_entries(&self) -> u64 {
        self.n_entries
    }

    /// Returns the days that changed since the last time, each whole. Days stay until newer ones push them
    /// out, because an entry near midnight may come late, and its day's file is written whole.
    pub fn take_dirty(&mut self) -> Vec<(Day, Rows)> {
        let dirty = std::mem::take(&mut self.dirty);
        dirty
            .into_iter()
            .filter_map(|day| Some((day, self.days.get(&day)?.clone())))
            .collect()
    }
}

/// A name within its bound, cut between characters.
fn name(text: &str) -> String {
    let mut end = text.len().min(NAME_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests;
