//! Planning what is listed, away from the loop; what was planned at an earlier start is read instead.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Driver;
use super::encoding_of;
use super::event::Event;
use super::slots;
use crate::config::Mode;
use crate::store::Store;
use crate::surface::made::Made;
use crate::surface::plan::{self as surface, Part};
use crate::token::TiktokenCounter;

/// On one core a rehearsal would take the time in which the server reads its first message.
const REHEARSE_AFTER: Duration = Duration::from_millis(2);

impl Driver {
    pub(super) fn make_surface(
        &self,
        key: [u8; 32],
        parts: Vec<Part>,
        settings: Arc<surface::Settings>,
    ) {
        let sender = self.sender.clone();
        let store = self.store.clone();
        let are_costs_read = Arc::clone(&self.are_costs_read);
        let embeddings = Arc::clone(&self.embeddings);
        tokio::task::spawn_blocking(move || {
            let known = known_surface(store.as_ref(), &key, &parts);
            let is_new = known.is_none();
            let mut made = known.unwrap_or_else(|| plan_surface(&parts, &settings));
            // Only a search shows them, so other starts do not read them.
            if let Some(store) = &store
                && made.surface.hides()
                && !are_costs_read.swap(true, Ordering::Relaxed)
            {
                let _ = sender.blocking_send(Event::Costs(store.load_costs()));
            }
            if made.is_searched()
                && let Some(table) = embeddings.table()
            {
                made = made.with_table(table);
            }
            // The loop is gone only when the process ends.
            let _ = sender.blocking_send(Event::Surface(key, Arc::new(made), is_new));
        });
    }

    /// Starts servers before the first client over HTTP comes.
    pub(super) fn start_spare(&mut self, now: Instant) {
        let is_known = || {
            self.store
                .as_ref()
                .is_some_and(|store| store.has_snapshots())
        };
        if self.hub.start_spare(now) && !is_known() {
            self.rehearse();
        }
    }

    /// Plans a list of ours while the first server starts, whose list is not known from before: code, vocabulary and
    /// thread are there then when its own comes. Nothing is kept of it.
    pub(super) fn rehearse(&mut self) {
        if self.settings.mode == Mode::Transparent
            || std::mem::replace(&mut self.is_rehearsed, true)
        {
            return;
        }
        let encoding = encoding_of(self.settings.tokenizer);
        let rehearse = move || {
            // The first result needs to know them.
            slots::cores();
            std::panic::catch_unwind(|| surface::rehearse(&TiktokenCounter::new(encoding)))
        };
        if slots::has_other_cores() {
            tokio::task::spawn_blocking(rehearse);
        } else {
            tokio::spawn(async move {
                tokio::time::sleep(REHEARSE_AFTER).await;
                tokio::task::spawn_blocking(rehearse);
            });
        }
    }

    /// Keeps a surface for other starts, when there is time.
    pub(super) fn keep_surface(&mut self, key: [u8; 32], made: &Arc<Made>, is_new: bool) {
        // What was planned without counting is as fast to plan again.
        if made.surface.cost.is_none() || !is_new {
            return;
        }
        // Lists are long seldom and change seldom: the vocabulary's pages are not kept for them.
        self.is_start_given_back = false;
        let Some(store) = self.store.clone() else {
            return;
        };
        let made = Arc::clone(made);
        self.later.keep(move || {
            if let Err(error) = store.store_surface(&key, &made.surface) {
                tracing::warn!(%error, "a list of tools could not be kept");
            }
        });
    }
}

/// What was planned of the same definitions and settings at an earlier start.
fn known_surface(store: Option<&Store>, key: &[u8; 32], parts: &[Part]) -> Option<Made> {
    Made::from_planned(parts, store?.load_surface(key)?)
}

/// Plans; whatever goes wrong, the originals go through.
fn plan_surface(parts: &[Part], settings: &surface::Settings) -> Made {
    let counter = TiktokenCounter::new(settings.tokenizer);
    let made = std::panic::catch_unwind(|| Made::of(parts, settings, &counter));
    made.unwrap_or_else(|_| {
        tracing::error!("the tools could not be shortened; they are shown as they came");
        Made::untouched(parts)
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::surface::plan::Budget;
    use crate::token::Encoding;

    /// Broken variant that this catches: one that counts by the usual vocabulary whatever is configured.
    #[test]
    fn a_list_is_planned_by_the_configured_vocabulary() {
        let tools = (0..4).map(|n| {
            let text = "Πόσα γράμματα έχει αυτό; ".repeat(20);
            Bytes::from(format!(
                r#"{{"name":"t{n}","description":"{text}","inputSchema":{{"type":"object"}}}}"#
            ))
        });
        let parts = [Part {
            server: "s".to_owned(),
            tools: tools.collect(),
        }];
        let bare = |tokenizer| {
            let settings = surface::Settings {
                budget: Budget::Tokens(1_000_000),
                // Else a list that is surely small enough is not counted.
                pins: vec!["*=lean".parse().expect("a pin")],
                tokenizer,
                ..surface::Settings::default()
            };
            let cost = plan_surface(&parts, &settings).surface.cost;
            cost.expect("a budget is counted").bare
        };
        assert_ne!(bare(Encoding::O200kBase), bare(Encoding::Cl100kBase));
    }
}
