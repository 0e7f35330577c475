//! What one fixture process remembers across sessions and requests.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use rmcp::{model::Tool, task_manager::TaskManager};
use tokio::sync::broadcast;

use crate::era::Era;

/// Something changed that clients may have asked to hear about.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// The list of tools is not what it was.
    Tools,
    /// The list of prompts is not what it was.
    Prompts,
    /// The content of the resource with this URI is not what it was.
    Resource(String),
}

/// The state of the process, shared by all sessions.
pub(crate) struct Shared {
    pub(crate) name: String,
    pub(crate) era: Era,
    /// Entries on a page of a list; 0 means all.
    pub(crate) page_size: usize,
    /// How often `counter` ran.
    pub(crate) counter: Counter,
    /// How many running calls were told to stop.
    pub(crate) cancelled_calls: Counter,
    /// How many `notifications/cancelled` arrived.
    pub(crate) cancel_notifications: Counter,
    pub(crate) tools_revision: Counter,
    pub(crate) prompts_revision: Counter,
    pub(crate) watched_revision: Counter,
    pub(crate) tasks: TaskManager,
    /// Signs `requestState`, so that a changed one is noticed.
    pub(crate) state_key: [u8; 32],
    added_tools: Mutex<Vec<Tool>>,
    changes: broadcast::Sender<Change>,
}

impl Shared {
    pub(crate) fn new(name: String, era: Era, page_size: usize) -> Self {
        Self {
            name,
            era,
            page_size,
            counter: Counter::default(),
            cancelled_calls: Counter::default(),
            cancel_notifications: Counter::default(),
            tools_revision: Counter::default(),
            prompts_revision: Counter::default(),
            watched_revision: Counter::default(),
            tasks: TaskManager::new(),
            state_key: rand::random(),
            added_tools: Mutex::default(),
            changes: broadcast::channel(256).0,
        }
    }

    /// The tools added at run time, oldest first.
    pub(crate) fn added_tools(&self) -> MutexGuard<'_, Vec<Tool>> {
        // A list of definitions has no half-done state that a panic could leave behind.
        self.added_tools
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells every session and every open subscription.
    pub(crate) fn publish(&self, change: Change) {
        // Nobody listening is not an error.
        let _ = self.changes.send(change);
    }

    /// Every change from now on.
    pub(crate) fn watch(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }
}

/// Counts events of the whole process.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Counts one more and returns the new count.
    pub(crate) fn increment(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}
