//! Sums of a ledger, for people and machines: by tool, by day, lists, and untouched sessions beside the
//! others. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::token::Tokens;
use crate::token::ledger::holdout::Comparison;
use crate::token::ledger::{Basis, Day, FOLDED, Key, Kind, Rows, Sum};

/// Which rows count.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The first day; none = all.
    pub since: Option<Day>,
    /// One server's configured name; none = all.
    pub server: Option<String>,
}

/// A number of tokens and where it is from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Figure {
    /// Tokens; a saving is negative where more was sent than came.
    pub value: i64,
    /// The weakest basis of all that was summed up.
    pub basis: Basis,
}

/// The account of a tool, a day, or all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Answers that clients got.
    pub calls: u64,
    /// Answers that were made smaller.
    pub smaller: u64,
    /// Answers from the cache: calls that no server got.
    pub calls_saved: u64,
    /// Answers that said "unchanged".
    pub unchanged: u64,
    /// Answers that were a difference.
    pub deltas: u64,
    /// Times that a part of a stored answer was read back.
    pub reads_back: u64,
    /// Tokens of answers as servers sent them.
    pub before: Figure,
    /// Tokens of answers as they were sent on.
    pub after: Figure,
    /// Tokens that were read back of stored answers.
    pub read_back: Figure,
    /// Before, less what was sent on, less what was read back.
    pub saved: Figure,
}

impl Account {
    fn add(&mut self, key: &Key, sum: &Sum) {
        if key.kind == Kind::Fetched {
            self.reads_back = self.reads_back.saturating_add(sum.n);
            self.read_back.add(sum.after, key.basis);
        } else {
            self.calls = self.calls.saturating_add(sum.n);
            self.smaller = self.smaller.saturating_add(sum.n_smaller);
            let counted = match key.kind {
                Kind::Cached => &mut self.calls_saved,
                Kind::Unchanged => &mut self.unchanged,
                Kind::Delta => &mut self.deltas,
                Kind::Answer | Kind::Fetched | Kind::List => &mut 0,
            };
            *counted = counted.saturating_add(sum.n);
            self.before.add(sum.before, key.basis);
            self.after.add(sum.after, key.basis);
        }
        self.saved = Figure {
            value: self
                .before
                .value
                .saturating_sub(self.after.value)
                .saturating_sub(self.read_back.value),
            basis: self
                .before
                .basis
                .max(self.after.basis)
                .max(self.read_back.basis),
        };
    }

    /// The saving in percent of what came; none where nothing came.
    pub fn percent(&self) -> Option<f64> {
        (self.before.value > 0).then(|| self.saved.value as f64 / self.before.value as f64 * 100.0)
    }
}

impl Figure {
    fn add(&mut self, tokens: Tokens, basis: Basis) {
        let more = i64::try_from(tokens.get()).unwrap_or(i64::MAX);
        self.value = self.value.saturating_add(more);
        // No tokens have no basis: a tool of which nothing was read back is as measured as it was.
        if more > 0 {
            self.basis = self.basis.max(basis);
        }
    }
}

/// The account of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ToolAccount {
    /// The server's configured name; empty where rows were joined.
    pub server: String,
    /// The tool's name; empty where rows were joined.
    pub tool: String,
    /// Its sums.
    #[serde(flatten)]
    pub account: Account,
}

/// The account of a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DayAccount {
    /// The day, as `2026-11-28`.
    pub day: String,
    /// Its sums.
    #[serde(flatten)]
    pub account: Account,
}

/// Lists of tools that were sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListAccount {
    /// The server's configured name; empty where several servers have one list, or rows were joined.
    pub server: String,
    /// How often they were sent.
    pub lists: u64,
    /// Tokens as servers sent them, of all these lists.
    pub before: Figure,
    /// Tokens as they were shown.
    pub after: Figure,
}

/// What a ledger says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stats {
    /// First day with an entry, as `2026-11-28`; none = there is nothing.
    pub first_day: Option<String>,
    /// Last day with an entry.
    pub last_day: Option<String>,
    /// Sessions that were shaped; those that were folded together are not among them.
    pub sessions: u64,
    /// Entries that found no row: the sums lack them.
    pub dropped: u64,
    /// Where the numbers of calls are from: they are counted, always.
    pub counts: Basis,
    /// All shaped sessions.
    pub totals: Account,
    /// By tool, the largest saving first, then by name.
    pub tools: Vec<ToolAccount>,
    /// By day, the oldest first.
    pub days: Vec<DayAccount>,
    /// Lists by server. Not in the totals: a list stands in every turn's prompt, an answer is sent once.
    pub lists: Vec<ListAccount>,
    /// Untouched sessions beside the others, by answers of tools; none where no session was held out.
    pub holdout: Option<Comparison>,
    /// Where the comparison's tokens are from.
    pub holdout_basis: Basis,
}

/// A session's sums.
#[derive(Default)]
struct Visit {
    calls: u64,
    tokens: Tokens,
    is_held_out: bool,
    is_cut: bool,
}

impl Stats {
    /// Sums up days of any number of processes.
    pub fn of<'a>(days: impl IntoIterator<Item = (Day, &'a Rows)>, filter: &Filter) -> Self {
        let mut seen = BTreeSet::new();
        let mut totals = Account::default();
        let mut tools: BTreeMap<(String, String), Account> = BTreeMap::new();
        let mut by_day: BTreeMap<Day, Account> = BTreeMap::new();
        let mut lists: BTreeMap<String, ListAccount> = BTreeMap::new();
        let mut visits: BTreeMap<String, Visit> = BTreeMap::new();
        let mut holdout_basis = Basis::Measured;
        let mut dropped = 0_u64;
        for (day, rows) in days {
            let is_counted = filter.since.is_none_or(|since| day >= since);
            if is_counted {
                dropped = dropped.saturating_add(rows.dropped());
            }
            for (key, sum) in rows.iter() {
                let is_asked = filter
                    .server
                    .as_ref()
                    .is_none_or(|name| *name == key.server);
                if !is_asked {
                    continue;
                }
                if key.session != FOLDED && key.kind != Kind::List {
                    let visit = visits.entry(key.session.clone()).or_default();
                    visit.add(key, sum, is_counted);
                    holdout_basis = holdout_basis.max(key.basis);
                }
                if !is_counted {
                    continue;
                }
                seen.insert(day);
                if key.kind == Kind::List {
                    let list = lists
                        .entry(key.server.clone())
                        .or_insert_with(|| ListAccount {
                            server: key.server.clone(),
                            lists: 0,
                            before: Figure::default(),
                            after: Figure::default(),
                        });
                    list.lists = list.lists.saturating_add(sum.n);
                    list.before.add(sum.before, key.basis);
                    list.after.add(sum.after, key.basis);
                } else if !key.is_held_out {
                    totals.add(key, sum);
                    by_day.entry(day).or_default().add(key, sum);
                    let name = (key.server.clone(), key.tool.clone());
                    tools.entry(name).or_default().add(key, sum);
                }
            }
        }
        let mut tools: Vec<ToolAccount> = tools
            .into_iter()
            .map(|((server, tool), account)| ToolAccount {
                server,
                tool,
                account,
            })
            .collect();
        // Stable: equal ones keep the order of their names.
        tools.sort_by_key(|tool| std::cmp::Reverse(tool.account.saved.value));
        // A session that began before the period would be compared by a part of it.
        visits.retain(|_, visit| visit.calls > 0 && !visit.is_cut);
        let group = |is_held_out: bool| -> Vec<(u64, u64)> {
            let of = visits
                .values()
                .filter(|visit| visit.is_held_out == is_held_out);
            of.map(|visit| (visit.calls, visit.tokens.get())).collect()
        };
        let (shaped, held_out) = (group(false), group(true));
        Self {
            first_day: seen.first().map(ToString::to_string),
            last_day: seen.last().map(ToString::to_string),
            sessions: shaped.len() as u64,
            dropped,
            counts: Basis::Measured,
            totals,
            tools,
            days: by_day
                .into_iter()
                .map(|(day, account)| DayAccount {
                    day: day.to_string(),
                    account,
                })
                .collect(),
            lists: lists.into_values().collect(),
            holdout: (!held_out.is_empty()).then(|| Comparison::of(&shaped, &held_out)),
            holdout_basis,
        }
    }

    /// Tells whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.first_day.is_none()
    }
}

impl Visit {
    fn add(&mut self, key: &Key, sum: &Sum, is_counted: bool) {
        self.is_held_out |= key.is_held_out;
        self.is_cut |= !is_counted;
        self.tokens += sum.after;
        if key.kind != Kind::Fetched {
            self.calls = self.calls.saturating_add(sum.n);
        }
    }
}
