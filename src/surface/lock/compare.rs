//! What differs between two locks, and how people read it. Two locks without a difference are equal.

use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::catalog::risk::RiskClass;
use crate::surface::ladder::Rung;
use crate::surface::lock::file::visible;
use crate::surface::lock::{Lock, LockedTool};

/// Names a tool in both locks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ToolId {
    /// Its server.
    pub server: String,
    /// Its name as clients see it.
    pub name: String,
    /// How many tools of that server and name stand before it; servers may repeat themselves.
    pub nth: usize,
}

/// Whether a number is of the definitions as sent or as shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// As the server sent them.
    Sent,
    /// As clients see them.
    Shown,
}

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// Another setting is in force.
    Setting {
        /// Which.
        key: &'static str,
        /// What the lock has.
        before: String,
        /// What is in force.
        after: String,
    },
    /// A tool is new.
    Added {
        /// Which.
        tool: ToolId,
        /// What its hints say.
        risk: RiskClass,
        /// What it is shown in.
        rung: Rung,
        /// What that costs.
        shown_tokens: u64,
    },
    /// A tool is gone.
    Removed {
        /// Which.
        tool: ToolId,
        /// What showing it cost.
        shown_tokens: u64,
    },
    /// Its server says something else: drift.
    Original {
        /// Which.
        tool: ToolId,
        /// Members that are new, gone or other; none where only unreadable text changed.
        members: Vec<String>,
    },
    /// Its hints say that a call does something else.
    Risk {
        /// Which.
        tool: ToolId,
        /// What the lock has.
        before: RiskClass,
        /// What they say now.
        after: RiskClass,
    },
    /// It is shown in another rendering.
    Rung {
        /// Which.
        tool: ToolId,
        /// What the lock has.
        before: Rung,
        /// What is shown.
        after: Rung,
    },
    /// Other bytes are shown in the same rendering.
    Rendering {
        /// Which.
        tool: ToolId,
        /// Whether the original is what it was.
        is_original_same: bool,
    },
    /// It costs something else.
    Tokens {
        /// Which.
        tool: ToolId,
        /// As sent or as shown.
        of: Shown,
        /// What the lock has.
        before: u64,
        /// What it is.
        after: u64,
    },
    /// A constraint does not stand in what is shown, in a rendering that promises all.
    ConstraintLost {
        /// Which.
        tool: ToolId,
        /// The constraint.
        clause: String,
    },
    /// Another number of constraints stands in what is shown.
    Constraints {
        /// Which.
        tool: ToolId,
        /// How many were shown, of how many.
        before: (u64, u64),
        /// How many are.
        after: (u64, u64),
    },
    /// The same tools stand in another order.
    Order {
        /// The first that stands elsewhere.
        tool: ToolId,
    },
    /// Our own tools say something else, or came, or went.
    MetaTools {
        /// Their tokens; none where there were none.
        before: Option<u64>,
        /// Their tokens now.
        after: Option<u64>,
    },
    /// The whole list costs something else.
    Total {
        /// As sent or as shown.
        of: Shown,
        /// What the lock has.
        before: u64,
        /// What it is.
        after: u64,
    },
    /// What is shown costs more than the budget, and more than the lock has.
    OverBudget {
        /// The budget.
        budget: u64,
        /// What is shown.
        shown_tokens: u64,
    },
}

/// Everything that differs; as text, a diff for people.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Differences {
    /// Settings first, then tools in listed order, then totals.
    pub all: Vec<Difference>,
}

/// Compares what a lock has with what is now.
pub fn compare(old: &Lock, new: &Lock) -> Differences {
    let mut all = settings(old, new);
    let (old_ids, new_ids) = (ids(old), ids(new));
    let before: HashMap<&ToolId, &LockedTool> = old_ids.iter().zip(&old.tools).collect();
    let after: HashSet<&ToolId> = new_ids.iter().collect();
    for (id, tool) in new_ids.iter().zip(&new.tools) {
        match before.get(id) {
            Some(was) => one_tool(id, was, tool, &mut all),
            None => all.push(Difference::Added {
                tool: id.clone(),
                risk: tool.risk,
                rung: tool.rung,
                shown_tokens: tool.shown_tokens,
            }),
        }
    }
    let gone = old_ids.iter().zip(&old.tools);
    all.extend(
        gone.filter(|(id, _)| !after.contains(id))
            .map(|(id, tool)| Difference::Removed {
                tool: id.clone(),
                shown_tokens: tool.shown_tokens,
            }),
    );
    let stayed = old_ids.iter().filter(|id| after.contains(id));
    let stays = new_ids.iter().filter(|id| before.contains_key(id));
    if let Some((tool, _)) = stays.zip(stayed).find(|(is, was)| is != was) {
        all.push(Difference::Order { tool: tool.clone() });
    }
    if old.meta_tools != new.meta_tools {
        all.push(Difference::MetaTools {
            before: old.meta_tools.as_ref().map(|own| own.tokens),
            after: new.meta_tools.as_ref().map(|own| own.tokens),
        });
    }
    for (of, before, after) in [
        (Shown::Sent, old.tokens(), new.tokens()),
        (Shown::Shown, old.shown_tokens(), new.shown_tokens()),
    ] {
        if before != after {
            all.push(Difference::Total { of, before, after });
        }
    }
    if let Some(budget) = new.exceeded_budget() {
        let was_accepted =
            old.exceeded_budget().is_some() && new.shown_tokens() <= old.shown_tokens();
        if !was_accepted {
            all.push(Difference::OverBudget {
                budget,
                shown_tokens: new.shown_tokens(),
            });
        }
    }
    Differences { all }
}

fn settings(old: &Lock, new: &Lock) -> Vec<Difference> {
    let values = |lock: &Lock| {
        let settings = &lock.settings;
        let open_schemas = if settings.open_schemas { "yes" } else { "no" };
        [
            ("tokenizer", lock.tokenizer.clone()),
            ("surface", settings.surface.clone()),
            ("budget", settings.budget.to_string()),
            ("profile", settings.profile.clone()),
            ("list", settings.list.clone()),
            ("open schemas", open_schemas.to_owned()),
            ("pins", format!("[{}]", settings.pins.join(", "))),
        ]
    };
    let pairs = values(old).into_iter().zip(values(new));
    let mut all: Vec<Difference> = pairs
        .filter(|((_, before), (_, after))| before != after)
        .map(|((key, before), (_, after))| Difference::Setting { key, before, after })
        .collect();
    // Two lists of pins can read the same joined.
    if all.is_empty() && old.settings != new.settings {
        all.push(Difference::Setting {
            key: "pins",
            before: format!("{:?}", old.settings.pins),
            after: format!("{:?}", new.settings.pins),
        });
    }
    all
}

fn ids(lock: &Lock) -> Vec<ToolId> {
    let mut seen: HashMap<(&str, &str), usize> = HashMap::new();
    lock.tools
        .iter()
        .map(|tool| {
            let nth = seen.entry((&tool.server, &tool.name)).or_default();
            let id = ToolId {
                server: tool.server.clone(),
                name: tool.name.clone(),
                nth: *nth,
            };
            *nth += 1;
            id
        })
        .collect()
}

fn one_tool(id: &ToolId, was: &LockedTool, is: &LockedTool, all: &mut Vec<Difference>) {
    let tool = || id.clone();
    let is_original_same = was.original == is.original && was.parts == is.parts;
    if !is_original_same {
        all.push(Difference::Original {
            tool: tool(),
            members: changed_members(&was.parts, &is.parts),
        });
    }
    if was.risk != is.risk {
        all.push(Difference::Risk {
            tool: tool(),
            before: was.risk,
            after: is.risk,
        });
    }
    if was.rung != is.rung {
        all.push(Difference::Rung {
            tool: tool(),
            before: was.rung,
            after: is.rung,
        });
    } else if was.shown != is.shown {
        all.push(Difference::Rendering {
            tool: tool(),
            is_original_same,
        });
    }
    for (of, before, after) in [
        (Shown::Sent, was.tokens, is.tokens),
        (Shown::Shown, was.shown_tokens, is.shown_tokens),
    ] {
        if before != after {
            let tool = tool();
            all.push(Difference::Tokens {
                tool,
                of,
                before,
                after,
            });
        }
    }
    let mut accepted = was.lost.clone();
    let mut is_named = false;
    for clause in &is.lost {
        match accepted.iter().position(|lost| lost == clause) {
            Some(at) => {
                accepted.swap_remove(at);
            }
            None => {
                is_named = true;
                all.push(Difference::ConstraintLost {
                    tool: tool(),
                    clause: clause.clone(),
                });
            }
        }
    }
    let (before, after) = ((was.kept, was.constraints), (is.kept, is.constraints));
    if before != after || (was.lost != is.lost && !is_named) {
        all.push(Difference::Constraints {
            tool: tool(),
            before,
            after,
        });
    }
}

/// The names of members whose hashes are new or gone.
fn changed_members(before: &[String], after: &[String]) -> Vec<String> {
    let name = |part: &String| {
        let name = part
            .rsplit_once(':')
            .map_or(part.as_str(), |(name, _)| name);
        name.to_owned()
    };
    let new = after.iter().filter(|part| !before.contains(part));
    let gone = before.iter().filter(|part| !after.contains(part));
    let mut names: Vec<String> = new.chain(gone).map(name).collect();
    names.sort();
    names.dedup();
    names
}

impl Difference {
    fn tool(&self) -> Option<&ToolId> {
        match self {
            Self::Added { tool, .. }
            | Self::Removed { tool, .. }
            | Self::Original { tool, .. }
            | Self::Risk { tool, .. }
            | Self::Rung { tool, .. }
            | Self::Rendering { tool, .. }
            | Self::Tokens { tool, .. }
            | Self::ConstraintLost { tool, .. }
            | Self::Constraints { tool, .. } => Some(tool),
            Self::Setting { .. }
            | Self::Order { .. }
            | Self::MetaTools { .. }
            | Self::Total { .. }
            | Self::OverBudget { .. } => None,
        }
    }
}

impl Differences {
    /// Tells whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Says in a few words what kinds of differences there are.
    pub fn summary(&self) -> String {
        let n = |is: fn(&Difference) -> bool| self.all.iter().filter(|one| is(one)).count();
        let counts = [
            (
                n(|one| matches!(one, Difference::Setting { .. })),
                "of the settings",
            ),
            (n(|one| matches!(one, Difference::Added { .. })), "added"),
            (
                n(|one| matches!(one, Difference::Removed { .. })),
                "removed",
            ),
            (
                n(|one| matches!(one, Difference::Original { .. })),
                "changed by the server",
            ),
            (
                n(|one| matches!(one, Difference::Rung { .. } | Difference::Rendering { .. })),
                "shown differently",
            ),
            (n(is_growth), "grew"),
            (
                n(|one| matches!(one, Difference::ConstraintLost { .. })),
                "constraints lost",
            ),
        ];
        let mut words: Vec<String> = counts
            .iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, what)| format!("{n} {what}"))
            .collect();
        if n(|one| matches!(one, Difference::Order { .. })) > 0 {
            words.push("another order".to_owned());
        }
        if n(|one| matches!(one, Difference::MetaTools { .. })) > 0 {
            words.push("our own tools differ".to_owned());
        }
        if n(|one| matches!(one, Difference::OverBudget { .. })) > 0 {
            words.push("over the budget".to_owned());
        }
        if words.is_empty() && !self.is_empty() {
            words.push("other numbers".to_owned());
        }
        words.join(", ")
    }
}

fn is_growth(one: &Difference) -> bool {
    matches!(one, Difference::Tokens { of: Shown::Shown, before, after, .. } if after > before)
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting { key, before, after } => {
                write!(f, "{key}: {} -> {}", visible(before), visible(after))
            }
            Self::Added {
                risk,
                rung,
                shown_tokens,
                ..
            } => write!(f, "added: {risk}, shown as {rung}, {shown_tokens} tokens"),
            Self::Removed { shown_tokens, .. } => {
                write!(f, "removed: cost {shown_tokens} tokens")
            }
            Self::Original { members, .. } if members.is_empty() => {
                f.write_str("changed by its server")
            }
            Self::Original { members, .. } => {
                write!(f, "changed by its server: {}", visible(&members.join(", ")))
            }
            Self::Risk { before, after, .. } => write!(f, "risk: {before} -> {after}"),
            Self::Rung { before, after, .. } => write!(f, "shown as: {before} -> {after}"),
            Self::Rendering {
                is_original_same: false,
                ..
            } => f.write_str("other bytes are shown"),
            Self::Rendering { .. } => f.write_str(
                "other bytes are shown for the same definition: its keys or spaces moved, or this is another version of mcp-whittle",
            ),
            Self::Tokens {
                of, before, after, ..
            }
            | Self::Total { of, before, after } => {
                let of = match of {
                    Shown::Sent => "as sent",
                    Shown::Shown => "as shown",
                };
                write!(f, "tokens {of}: {before} -> {after} ({})", signed(*before, *after))
            }
            Self::ConstraintLost { clause, .. } => {
                write!(f, "constraint lost: \"{}\"", visible(clause))
            }
            Self::Constraints { before, after, .. } => write!(
                f,
                "constraints shown: {} of {} -> {} of {}",
                before.0, before.1, after.0, after.1
            ),
            Self::Order { tool } => write!(
                f,
                "the order of tools differs, first at {}",
                visible(&tool.name)
            ),
            Self::MetaTools { before, after } => {
                let cost = |tokens: &Option<u64>| match tokens {
                    Some(tokens) => format!("{tokens} tokens"),
                    None => "none".to_owned(),
                };
                write!(f, "our own tools: {} -> {}", cost(before), cost(after))
            }
            Self::OverBudget {
                budget,
                shown_tokens,
            } => write!(f, "over the budget: {shown_tokens} of {budget} tokens"),
        }
    }
}

fn signed(before: u64, after: u64) -> String {
    let sign = if after < before { '-' } else { '+' };
    format!("{sign}{}", after.abs_diff(before))
}

/// Tools that are new, gone or other, each with what differs; then what is about the whole list.
impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut of: Option<&ToolId> = None;
        for one in &self.all {
            let tool = one.tool();
            if let Some(tool) = tool.filter(|tool| of != Some(tool)) {
                let mark = match one {
                    Difference::Added { .. } => '+',
                    Difference::Removed { .. } => '-',
                    _ => '~',
                };
                write!(f, "{mark} {}", visible(&tool.name))?;
                if tool.nth > 0 {
                    write!(f, " (number {} of that name)", tool.nth + 1)?;
                }
                writeln!(f, " [{}]", visible(&tool.server))?;
            }
            of = tool;
            let indent = if tool.is_some() { "    " } else { "" };
            writeln!(f, "{indent}{one}")?;
        }
        Ok(())
    }
}
