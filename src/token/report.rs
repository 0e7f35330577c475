//! The account of tool lists: what every part of every tool costs, as the wire carries it and as a
//! model sees it, before and after reduction. Pure: definitions and a counter in, numbers out;
//! [`render`] makes the text, serde the JSON.
//!
//! The JSON form is an interface: its keys are those of [`Report`] and the structs below it, and
//! keep their meaning. All token numbers are whole; percentages have one decimal.

mod render;

use std::cmp::Ordering;
use std::cmp::Reverse;
use std::ops::AddAssign;

use serde::Serialize;

use crate::catalog::tool_view::ToolView;
use crate::catalog::tool_view::minify;
use crate::token::ModelFit;
use crate::token::Provenance;
use crate::token::TokenCounter;
use crate::token::Tokens;

pub use render::Detail;
pub use render::TextOptions;

/// The tools of one server, before and after reduction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerTools {
    /// The server's name, as configured.
    pub server: String,
    /// Raw definitions as the server sent them.
    pub tools: Vec<String>,
    /// What a client is shown instead: `shown[n]` is the rendering of `tools[n]`. Tools without one
    /// are hidden and cost nothing after reduction; what is shown beyond the tools (meta-tools)
    /// costs nothing before.
    pub shown: Vec<String>,
}

/// The tokens of one definition.
///
/// Each part is counted alone, compact. The parts need not add up to a total: keys and punctuation
/// belong to no part, and tokens join across borders. `wire` is the text as sent, whitespace
/// included; `model_visible` is `{name, description, input_schema}` as compact JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Costs {
    /// The name.
    pub name: Tokens,
    /// The description.
    pub description: Tokens,
    /// The input schema.
    pub input_schema: Tokens,
    /// The output schema.
    pub output_schema: Tokens,
    /// Every other member with its key: title, annotations, icons, execution, `_meta`, unknown ones.
    pub rest: Tokens,
    /// The whole definition as the wire carries it.
    pub wire: Tokens,
    /// What clients usually put in front of a model.
    pub model_visible: Tokens,
}

impl AddAssign for Costs {
    fn add_assign(&mut self, other: Self) {
        self.name += other.name;
        self.description += other.description;
        self.input_schema += other.input_schema;
        self.output_schema += other.output_schema;
        self.rest += other.rest;
        self.wire += other.wire;
        self.model_visible += other.model_visible;
    }
}

impl Costs {
    /// Counts one raw definition. A text that is no JSON object has a wire cost only.
    pub fn of(raw: &str, counter: &dyn TokenCounter) -> Self {
        let mut costs = Self {
            wire: counter.count(raw),
            ..Self::default()
        };
        let Ok(view) = ToolView::parse(raw) else {
            return costs;
        };
        let part = |raw: Option<&str>| raw.map_or(Tokens::ZERO, |raw| counter.count(&minify(raw)));
        costs.name = part(view.name);
        costs.description = part(view.description);
        costs.input_schema = part(view.input_schema);
        costs.output_schema = part(view.output_schema);
        let named = [
            ("title", view.title),
            ("annotations", view.annotations),
            ("icons", view.icons),
            ("execution", view.execution),
            ("_meta", view.meta),
        ];
        let named = named.into_iter().filter_map(|(key, raw)| Some((key, raw?)));
        let unnamed = view
            .rest
            .iter()
            .map(|member| (member.key.as_ref(), member.raw));
        costs.rest = named
            .chain(unnamed)
            .map(|(key, raw)| counter.count(&format!("\"{key}\":{}", minify(raw))))
            .sum();
        costs.model_visible = counter.count(&view.model_visible());
        costs
    }
}

/// What a reduction saves, in percent of before; negative where it costs more.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Saved {
    /// Of the wire total; absent if there was nothing before.
    pub wire_percent: Option<f64>,
    /// Of the model-visible total; absent if there was nothing before.
    pub model_visible_percent: Option<f64>,
}

impl Saved {
    fn between(before: &Costs, after: &Costs) -> Self {
        Self {
            wire_percent: percent_saved(before.wire, after.wire),
            model_visible_percent: percent_saved(before.model_visible, after.model_visible),
        }
    }
}

fn percent_saved(before: Tokens, after: Tokens) -> Option<f64> {
    if before == Tokens::ZERO {
        return None;
    }
    let (before, after) = (before.get() as f64, after.get() as f64);
    // One decimal, and never a minus before zero.
    Some(((before - after) / before * 1000.0).round() / 10.0 + 0.0)
}

/// One tool.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ToolReport {
    /// The tool's name; absent where the definition has none.
    pub name: Option<String>,
    /// What it costs as sent; zero for a tool that was added.
    pub before: Costs,
    /// What it costs as shown; zero for a tool that is hidden.
    pub after: Costs,
    /// What that saves.
    pub saved: Saved,
}

/// One server: the sums over its tools.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServerReport {
    /// The server's name.
    pub server: String,
    /// How many tools it sent.
    pub n_tools: usize,
    /// Sums as sent.
    pub before: Costs,
    /// Sums as shown.
    pub after: Costs,
    /// What that saves.
    pub saved: Saved,
    /// Its tools, sorted as asked.
    pub tools: Vec<ToolReport>,
}

/// The sums over all servers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Totals {
    /// How many servers.
    pub n_servers: usize,
    /// How many tools they sent.
    pub n_tools: usize,
    /// Sums as sent.
    pub before: Costs,
    /// Sums as shown.
    pub after: Costs,
    /// What that saves.
    pub saved: Saved,
}

/// The whole account.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The tokenizer's name.
    pub tokenizer: String,
    /// `measured`, or `estimated` for the model asked about.
    pub provenance: Provenance,
    /// The model asked about, if one was.
    pub model: Option<String>,
    /// What the numbers are, in a sentence.
    pub note: String,
    /// The sums.
    pub totals: Totals,
    /// The servers, sorted as asked.
    pub servers: Vec<ServerReport>,
}

/// The order of servers and of the tools of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// The dearest first: model-visible tokens as sent, then wire tokens, then the name.
    #[default]
    Cost,
    /// By name.
    Name,
    /// As given.
    Given,
}

impl Report {
    /// Counts everything. `fit` says what the counter's numbers mean for the model asked about.
    pub fn build(servers: &[ServerTools], counter: &dyn TokenCounter, fit: &ModelFit) -> Self {
        let servers: Vec<ServerReport> = servers
            .iter()
            .map(|server| server_report(server, counter))
            .collect();
        let (mut before, mut after, mut n_tools) = (Costs::default(), Costs::default(), 0);
        for server in &servers {
            before += server.before;
            after += server.after;
            n_tools += server.n_tools;
        }
        Self {
            tokenizer: counter.name().to_owned(),
            provenance: fit.provenance,
            model: (!fit.model.is_empty()).then(|| fit.model.clone()),
            note: fit.sentence.clone(),
            totals: Totals {
                n_servers: servers.len(),
                n_tools,
                before,
                after,
                saved: Saved::between(&before, &after),
            },
            servers,
        }
    }

    /// Sorts servers, and tools within each. Equal ones keep their order.
    #[must_use]
    pub fn sorted(mut self, sort: Sort) -> Self {
        let order = |one: (&Costs, &str), other: (&Costs, &str)| -> Ordering {
            let dearest = |(costs, name): (&Costs, &str)| {
                // A tool that was only added is ordered by what it costs now.
                (Reverse((costs.model_visible, costs.wire)), name.to_owned())
            };
            match sort {
                Sort::Cost => dearest(one).cmp(&dearest(other)),
                Sort::Name => one.1.cmp(other.1),
                Sort::Given => Ordering::Equal,
            }
        };
        for server in &mut self.servers {
            server.tools.sort_by(|one, other| {
                let key = |tool: &'_ ToolReport| {
                    let name = tool.name.clone().unwrap_or_default();
                    (*weight(&tool.before, &tool.after), name)
                };
                let (one, other) = (key(one), key(other));
                order((&one.0, &one.1), (&other.0, &other.1))
            });
        }
        self.servers.sort_by(|one, other| {
            let costs = (
                weight(&one.before, &one.after),
                weight(&other.before, &other.after),
            );
            order((costs.0, &one.server), (costs.1, &other.server))
        });
        self
    }
}

fn weight<'a>(before: &'a Costs, after: &'a Costs) -> &'a Costs {
    if before.wire == Tokens::ZERO {
        after
    } else {
        before
    }
}

fn server_report(server: &ServerTools, counter: &dyn TokenCounter) -> ServerReport {
    let n_rows = server.tools.len().max(server.shown.len());
    let mut report = ServerReport {
        server: server.server.clone(),
        n_tools: server.tools.len(),
        before: Costs::default(),
        after: Costs::default(),
        saved: Saved::between(&Costs::default(), &Costs::default()),
        tools: Vec::with_capacity(n_rows),
    };
    for n in 0..n_rows {
        let (full, shown) = (server.tools.get(n), server.shown.get(n));
        let costs =
            |raw: Option<&String>| raw.map_or(Costs::default(), |raw| Costs::of(raw, counter));
        let before = costs(full);
        let after = if full == shown { before } else { costs(shown) };
        report.before += before;
        report.after += after;
        report.tools.push(ToolReport {
            name: full.or(shown).and_then(|raw| tool_name(raw)),
            before,
            after,
            saved: Saved::between(&before, &after),
        });
    }
    report.saved = Saved::between(&report.before, &report.after);
    report
}

fn tool_name(raw: &str) -> Option<String> {
    let view = ToolView::parse(raw).ok()?;
    view.name_text().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests;
