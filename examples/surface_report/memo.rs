//! A counter that remembers: the same definitions are planned many times.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use mcp_whittle::token::{Encoding, TiktokenCounter, TokenCounter, Tokens};

/// Counts `o200k_base` exactly, each text once.
pub(crate) struct Memo {
    counter: TiktokenCounter,
    known: Mutex<HashMap<[u8; 32], Tokens>>,
}

impl Memo {
    pub(crate) fn new() -> Self {
        Self {
            counter: TiktokenCounter::new(Encoding::O200kBase),
            known: Mutex::default(),
        }
    }

    /// Counts as a plain number.
    pub(crate) fn of(&self, text: &str) -> u64 {
        self.count(text).get()
    }
}

impl TokenCounter for Memo {
    fn name(&self) -> &str {
        self.counter.name()
    }

    fn count(&self, text: &str) -> Tokens {
        let key = *blake3::hash(text.as_bytes()).as_bytes();
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tokens) = known().get(&key) {
            return *tokens;
        }
        let tokens = self.counter.count(text);
        known().insert(key, tokens);
        tokens
    }

    fn count_up_to(&self, text: &str, limit: Tokens) -> Option<Tokens> {
        Some(self.count(text)).filter(|tokens| *tokens <= limit)
    }
}
