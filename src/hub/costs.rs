//! What calls of a tool have cost: how long its answers were, for the lines of a search. Pure and bounded.
//!
//! Sizes are bytes of what a model reads of an answer, never the answer itself. They are kept for each
//! principal, because they say something of its data, and stand in answers to searches only: no list
//! depends on them.

use std::collections::{BTreeMap, VecDeque};

use crate::jsonrpc::members;
use crate::jsonrpc::message::Message;
use crate::session::{Principal, SessionId};
use crate::surface::meta_tools::CallCost;
use crate::token::Tokens;

use super::Hub;
use super::exchange::ExchangeId;

/// Sizes of a tool that are kept; older ones go.
pub const VALUES: usize = 32;
/// Tools, over all principals.
pub const TOOLS: usize = 10_000;
/// Bytes of an answer for a token: an estimate, and said to be one.
const BYTES_PER_TOKEN: u64 = 4;

/// Sizes of one tool's answers in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sizes {
    last: VecDeque<u64>,
    largest: u64,
}

impl Sizes {
    /// Takes sizes as they were kept, the oldest first; the last [`VALUES`] count.
    pub fn of(values: impl IntoIterator<Item = u64>, largest: u64) -> Self {
        let mut sizes = Self {
            last: VecDeque::new(),
            largest,
        };
        for value in values {
            sizes.add(value);
        }
        sizes
    }

    /// Adds the newest.
    pub fn add(&mut self, bytes: u64) {
        if self.last.len() == VALUES {
            self.last.pop_front();
        }
        self.last.push_back(bytes);
        self.largest = self.largest.max(bytes);
    }

    /// Returns those that are kept, the oldest first.
    pub fn last(&self) -> impl Iterator<Item = u64> {
        self.last.iter().copied()
    }

    /// Returns the largest that was ever added.
    pub fn largest(&self) -> u64 {
        self.largest
    }

    /// Returns the sizes of `self`, and before them those of `older` for which there is room.
    fn after(&self, older: &Self) -> Self {
        Self::of(
            older.last().chain(self.last()),
            self.largest.max(older.largest),
        )
    }

    fn cost(&self) -> Option<CallCost> {
        let mut sorted: Vec<u64> = self.last().collect();
        sorted.sort_unstable();
        let tokens = |bytes: u64| Tokens::new(bytes.div_ceil(BYTES_PER_TOKEN));
        Some(CallCost {
            usual: tokens(*sorted.get(sorted.len().checked_sub(1)? / 2)?),
            largest: tokens(self.largest),
        })
    }
}

/// Sizes by principal and by the tool's name as clients see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallCosts {
    by_tool: BTreeMap<(String, String), Sizes>,
    n_added: u64,
}

impl CallCosts {
    /// Returns all that is known: principal, tool, sizes.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str, &Sizes)> {
        self.by_tool
            .iter()
            .map(|((principal, tool), sizes)| (principal.as_str(), tool.as_str(), sizes))
    }

    /// Returns how often something was added.
    pub fn n_added(&self) -> u64 {
        self.n_added
    }

    /// Tells whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.by_tool.is_empty()
    }

    /// Adds what was kept later than all that is known so far.
    pub fn add_newer(&mut self, principal: &str, tool: &str, sizes: &Sizes) {
        self.n_added += 1;
        let key = (principal.to_owned(), tool.to_owned());
        if let Some(older) = self.by_tool.get_mut(&key) {
            *older = sizes.after(older);
        } else if self.by_tool.len() < TOOLS {
            self.by_tool.insert(key, sizes.clone());
        }
    }

    fn add(&mut self, principal: &Principal, tool: &str, bytes: u64) {
        self.add_newer(&principal.key(), tool, &Sizes::of([bytes], bytes));
    }

    fn get(&self, principal: &Principal, tool: &str) -> Option<&Sizes> {
        self.by_tool.get(&(principal.key(), tool.to_owned()))
    }
}

impl Hub {
    /// What calls have cost in this process.
    pub fn costs(&self) -> &CallCosts {
        &self.costs
    }

    /// Takes what calls have cost before this process.
    pub fn handle_costs(&mut self, costs: CallCosts) {
        self.costs_before = costs;
    }

    /// What calls of a tool have cost a session's principal, if any were seen.
    pub(super) fn call_cost(&self, session: SessionId, tool: &str) -> Option<CallCost> {
        let principal = &self.sessions.get(&session)?.principal;
        let before = self.costs_before.get(principal, tool);
        match (self.costs.get(principal, tool), before) {
            (Some(now), Some(before)) => now.after(before).cost(),
            (now, before) => now.or(before)?.cost(),
        }
    }

    /// Remembers how long an answer was, where a search may be asked for it. Errors do not count: they say
    /// nothing of what an answer costs.
    pub(super) fn count_cost(&mut self, id: ExchangeId, message: &Message) {
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        let Some(tool) = &exchange.counted_as else {
            return;
        };
        let is_searched = self
            .seen_surface(exchange.session, exchange.era)
            .is_some_and(|seen| seen.made.surface.hides());
        let is_final = message
            .body_text("resultType")
            .is_none_or(|kind| kind == "complete");
        if !is_searched
            || !is_final
            || message.result().is_none()
            || message.body("isError") == Some(b"true")
        {
            return;
        }
        let Some(record) = self.sessions.get(&exchange.session) else {
            return;
        };
        // Nobody comes back as the principal of one session.
        if matches!(record.principal, Principal::Session(_)) {
            return;
        }
        let bytes = visible_bytes(message.body("content"), message.body("structuredContent"));
        if let Some(bytes) = bytes {
            self.costs.add(&record.principal, tool, bytes);
        }
    }
}

/// Bytes that a model reads of an answer: the texts of its content, or the structured value where there is
/// no text; none where it cannot be said, as for pictures.
fn visible_bytes(content: Option<&[u8]>, structured: Option<&[u8]>) -> Option<u64> {
    let content = content.unwrap_or_default();
    let text: usize = members::elements(content)
        .into_iter()
        .filter_map(|at| {
            let block = &content[at];
            let resource = members::get(block, "resource").unwrap_or_default();
            let text = members::get(block, "text").or_else(|| members::get(resource, "text"))?;
            Some(text.len().saturating_sub(2))
        })
        .sum();
    let bytes = if text > 0 { text } else { structured?.len() };
    Some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(sizes: &Sizes) -> (u64, u64) {
        let cost = sizes.cost().expect("sizes");
        (cost.usual.get(), cost.largest.get())
    }

    #[test]
    fn the_middle_one_is_usual_and_the_largest_stays() {
        assert_eq!(Sizes::default().cost(), None);
        let mut sizes = Sizes::default();
        sizes.add(4000);
        assert_eq!(cost(&sizes), (1000, 1000));
        sizes.add(400_000);
        assert_eq!(cost(&sizes), (1000, 100_000), "of two the smaller");
        for _ in 0..2 * VALUES {
            sizes.add(41);
        }
        assert_eq!(sizes.last().count(), VALUES);
        assert_eq!(cost(&sizes), (11, 100_000));
    }

    #[test]
    fn older_sizes_fill_the_room_that_newer_ones_leave() {
        let older = Sizes::of(0..40, 1000);
        let newer = Sizes::of([7, 8], 8);
        let all: Vec<u64> = newer.after(&older).last().collect();
        assert_eq!(all.len(), VALUES);
        assert_eq!((all[0], &all[VALUES - 2..]), (10, &[7, 8][..]));
        assert_eq!(newer.after(&older).largest(), 1000);
    }

    #[test]
    fn principals_know_nothing_of_one_another_and_tools_are_bounded() {
        let mut costs = CallCosts::default();
        costs.add(&Principal::OsUser, "t", 40);
        costs.add(&Principal::Bearer([1; 16]), "t", 80);
        let of = |principal| costs.get(principal, "t").map(|sizes| sizes.largest());
        assert_eq!(of(&Principal::OsUser), Some(40));
        assert_eq!(of(&Principal::Bearer([1; 16])), Some(80));
        assert_eq!(of(&Principal::Bearer([2; 16])), None);
        for n in 0..TOOLS + 10 {
            costs.add(&Principal::OsUser, &format!("t{n}"), 1);
        }
        assert_eq!(costs.all().count(), TOOLS);
    }

    #[test]
    fn what_a_model_reads_is_measured() {
        let bytes = |content: &str, structured: Option<&str>| {
            visible_bytes(Some(content.as_bytes()), structured.map(str::as_bytes))
        };
        let text = r#"[{"type":"text","text":"abcd"},{"type":"image","data":"AAAAAAAA"}]"#;
        assert_eq!(bytes(text, Some("{\"a\":1}")), Some(4));
        let resource = r#"[{"type":"resource","resource":{"uri":"x:y","text":"abc"}}]"#;
        assert_eq!(bytes(resource, None), Some(3));
        assert_eq!(bytes("[]", Some("{\"a\":1}")), Some(7));
        assert_eq!(bytes(r#"[{"type":"image","data":"AA"}]"#, None), None);
        assert_eq!(bytes("7", None), None);
    }
}
