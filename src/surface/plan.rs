//! The surface of a catalogue: which rendering each tool is shown in, and whether meta-tools are needed.
//!
//! A pure function of the definitions, the budget and what is known of the client, so the same input
//! gives the same bytes on every machine. It may not show more than the bare list costs, and hides a
//! tool only where shortening cannot meet the budget, and never one that a list is needed for (`stays`).

mod client;
mod fields;
mod options;
mod stays;

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::catalog::app::is_for_model;
use crate::catalog::risk::{RiskClass, RiskClasses};
use crate::catalog::tool_view::ToolView;
use crate::surface::budget::{Choice, choose};
use crate::surface::economy;
use crate::surface::ladder::{LadderOptions, Priced, Rung, Steps, model_tokens, render};
use crate::surface::meta_tools::{
    CatalogueWords, MetaNames, READ_RESULT_TOKENS, ServerText, meta_tools, placed_names,
    read_result_tool,
};
use crate::token::{TokenCounter, Tokens};

pub use crate::surface::plan::options::{
    Budget, Form, Pin, ReadsResults, Settings, UnknownBudget, UnknownPin, fits, weight_of,
};

/// Definitions of fewer tokens are only made lean: below it an extra turn costs more than a shorter list
/// saves (a catalogue of T tokens costs T·(1.25 + 0.1·(N−1)) over N requests; one more turn about 6,500).
pub const BREAK_EVEN: u64 = 5_000;
/// Of definitions of more tokens those are listed that pay for their place over a conversation, in the form
/// that costs least (see [`crate::surface::economy`]); the others are hidden.
pub const HIDE_FROM: u64 = 15_000;
/// Bytes of JSON for a token, for the one estimate made here: whether counting is worth its memory.
const BYTES_PER_TOKEN: u64 = 4;

/// What a rendering is worth to a model that may need the tool. Only the order and rough distances
/// matter: all words are nearly as good as the schema; without prose models still fill most arguments;
/// a name finds the tool but costs an attempt; what is hidden has to be searched.
const fn worth(rung: Rung) -> u64 {
    match rung {
        Rung::Full | Rung::Lean => 1000,
        Rung::Dense => 970,
        Rung::Short => 850,
        Rung::Signature => 550,
        Rung::Name => 250,
        Rung::Hidden => 80,
    }
}

/// The tools of one server, as they are named to the client, in the server's order.
#[derive(Debug, Clone)]
pub struct Part {
    /// The server's configured name.
    pub server: String,
    /// Complete MCP tools: the server's bytes but for the name.
    pub tools: Vec<Bytes>,
}

/// One tool of a surface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// What it is shown in; what a rung could not say stays at a more faithful one.
    pub rung: Rung,
    /// The bytes to list; none for a hidden tool.
    pub text: Option<Bytes>,
}

/// What was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// The list as the servers sent it.
    pub bare: Tokens,
    /// All of it lean.
    pub lean: Tokens,
    /// What is shown, meta-tools included.
    pub shown: Tokens,
    /// The meta-tools.
    pub meta: Tokens,
}

/// Why a surface is not what the budget asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Shortfall {
    /// Everything is as short as it goes.
    #[error(
        "the budget of {budget} tokens cannot be met: {shown} is the least; raise --budget or unpin tools (those of MCP Apps and those called as tasks only stay unless pinned hidden)"
    )]
    Over {
        /// What was asked for.
        budget: u64,
        /// What is shown.
        shown: u64,
    },
    /// Hiding would cost more than it saves.
    #[error(
        "the tools that search and call hidden ones cost {meta} tokens, more than hiding saves within {budget}; the list is shown lean"
    )]
    BelowMetaTools {
        /// What was asked for.
        budget: u64,
        /// What they cost.
        meta: u64,
    },
}

/// A surface.
#[derive(Debug, Clone)]
pub struct Surface {
    /// By server and tool as they came in.
    pub tools: Vec<Vec<Shown>>,
    /// Complete MCP tools of our own, listed before all others; none unless something is hidden.
    pub meta_tools: Vec<Bytes>,
    /// `read_result`, listed behind them.
    pub read_result: Option<Bytes>,
    /// What ours are called.
    pub names: MetaNames,
    /// What it costs; none where an estimate was enough.
    pub cost: Option<Cost>,
    /// The budget in force; none where the list is only made lean.
    pub budget: Option<u64>,
    /// Why it is not kept.
    pub shortfall: Option<Shortfall>,
}

impl Surface {
    /// Tells whether tools of our own are listed.
    pub fn hides(&self) -> bool {
        !self.meta_tools.is_empty()
    }

    /// Counts tools by rung.
    pub fn histogram(&self) -> BTreeMap<Rung, usize> {
        let mut counts = BTreeMap::new();
        for tool in self.tools.iter().flatten() {
            *counts.entry(tool.rung).or_default() += 1;
        }
        counts
    }
}

/// Plans the surface. Counts with `counter` unless the list is so small that only leaning is in
/// question; the vocabulary's pages are then never touched.
pub fn plan(parts: &[Part], settings: &Settings, counter: &dyn TokenCounter) -> Surface {
    // By the definitions as they were sent, for these decide too whose argument it is when it comes.
    let offered = fields::offered(parts, settings);
    let parts = offered.as_deref().unwrap_or(parts);
    let objects = client::without_root_unions(parts, settings);
    let parts = objects.as_deref().unwrap_or(parts);
    let limited = client::within_count(parts, settings, false);
    let surface = for_client(parts, limited.as_ref().unwrap_or(settings), counter);
    if limited.is_some() || !client::exceeds_count(&surface, settings) {
        return surface;
    }
    // All had a place; where the budget or a pin hides a few, ours take more places than those leave.
    match client::within_count(parts, settings, true) {
        Some(limited) => for_client(parts, &limited, counter),
        None => surface,
    }
}

/// Plans tools that are as the client can take them.
fn for_client(parts: &[Part], settings: &Settings, counter: &dyn TokenCounter) -> Surface {
    let finish = |mut surface: Surface| {
        client::front_load(&mut surface, settings);
        client::drop_output_schemas(&mut surface, settings);
        surface
    };
    let mut catalogue = Catalogue::read(parts, settings);
    match settings.reads_results {
        ReadsResults::Never => finish(planned(&mut catalogue, settings, counter)),
        ReadsResults::Always => finish(with_read_result(&mut catalogue, settings, counter)),
        ReadsResults::WherePaid => {
            let with = finish(with_read_result(&mut catalogue, settings, counter));
            if is_paid(parts, &with, counter) {
                with
            } else {
                finish(planned(&mut catalogue, settings, counter))
            }
        }
    }
}

/// Plans a list of ours and forgets it: what the first list of a server needs of code and vocabulary is in memory
/// then.
pub fn rehearse(counter: &dyn TokenCounter) {
    let part = Part {
        server: String::new(),
        tools: vec![read_result_tool(&MetaNames::default()).into()],
    };
    let (parts, settings) = ([part], Settings::default());
    let mut catalogue = Catalogue::read(&parts, &settings);
    catalogue.price(Rung::Lean, &settings.ladder(), counter);
    std::hint::black_box(catalogue.built(&[Rung::Lean], Vec::new(), Tokens::ZERO));
}

/// Whether a list with `read_result` costs no more than the bare one, and its budget is kept.
fn is_paid(parts: &[Part], surface: &Surface, counter: &dyn TokenCounter) -> bool {
    if surface.shortfall.is_some() {
        return false;
    }
    if let Some(cost) = &surface.cost {
        return cost.shown <= cost.bare;
    }
    let tokens = |raw: &Bytes| {
        std::str::from_utf8(raw).map_or(Tokens::MAX, |text| model_tokens(text, counter))
    };
    let bare: Tokens = parts.iter().flat_map(|part| &part.tools).map(tokens).sum();
    let shown = surface.tools.iter().flatten();
    let shown: Tokens = surface
        .meta_tools
        .iter()
        .chain(&surface.read_result)
        .chain(shown.filter_map(|tool| tool.text.as_ref()))
        .map(tokens)
        .sum();
    shown <= bare
}

/// Plans with `read_result` in the list; it is part of the budget.
fn with_read_result(
    catalogue: &mut Catalogue<'_>,
    settings: &Settings,
    counter: &dyn TokenCounter,
) -> Surface {
    let mut left = settings.clone();
    if let Budget::Tokens(limit) = settings.budget {
        left.budget = Budget::Tokens(limit.saturating_sub(READ_RESULT_TOKENS));
    }
    let mut surface = planned(catalogue, &left, counter);
    if !surface.hides() {
        surface.names = placed_names(catalogue.tools().map(|tool| tool.name.as_str()));
    }
    let tool = read_result_tool(&surface.names);
    if let Some(cost) = &mut surface.cost {
        let own = model_tokens(&tool, counter);
        cost.shown += own;
        cost.meta += own;
    }
    surface.read_result = Some(tool.into());
    if let Budget::Tokens(limit) = settings.budget {
        surface.budget = surface.budget.map(|_| limit);
        if let Some(
            Shortfall::Over {
                budget,
                shown: more,
            }
            | Shortfall::BelowMetaTools { budget, meta: more },
        ) = &mut surface.shortfall
        {
            *budget = limit;
            *more = more.saturating_add(READ_RESULT_TOKENS);
        }
    }
    surface
}

fn planned(
    catalogue: &mut Catalogue<'_>,
    settings: &Settings,
    counter: &dyn TokenCounter,
) -> Surface {
    let options = settings.ladder();
    if settings.form.searches_itself {
        return catalogue.whole(settings, &options);
    }
    let limit = match settings.budget {
        Budget::Auto => BREAK_EVEN,
        Budget::Tokens(limit) => limit,
        Budget::Unlimited => u64::MAX,
    };
    let has_pins = settings.has_pins();
    if !has_pins && catalogue.is_surely_within(settings.budget, limit) {
        return catalogue.lean(None, None);
    }
    catalogue.price(Rung::Lean, &options, counter);
    let lean = catalogue.sum(Rung::Lean).get();
    if !has_pins && lean <= limit {
        // Nothing is worth more than lean, so no other rung need be made.
        let rungs = vec![Rung::Lean; catalogue.steps.len()];
        let mut surface = catalogue.built(&rungs, Vec::new(), Tokens::ZERO);
        surface.budget = (limit < u64::MAX).then_some(limit);
        return surface;
    }
    chosen(catalogue, settings, counter)
}

/// Plans by what rungs cost. Full and lean ones were counted.
fn chosen(
    catalogue: &mut Catalogue<'_>,
    settings: &Settings,
    counter: &dyn TokenCounter,
) -> Surface {
    let options = settings.ladder();
    let lean = catalogue.sum(Rung::Lean).get();
    let (limit, floor) = match settings.budget {
        Budget::Auto if lean <= BREAK_EVEN => (BREAK_EVEN, Rung::Lean),
        Budget::Auto if lean <= HIDE_FROM => (BREAK_EVEN, Rung::Short),
        Budget::Auto => {
            catalogue.price(Rung::Hidden, &options, counter);
            return catalogue.with_hidden(settings, None, counter);
        }
        Budget::Tokens(limit) => (limit, Rung::Name),
        Budget::Unlimited => (u64::MAX, Rung::Lean),
    };
    // A pin may ask for any rung, and what does not fit is hidden.
    let lowest = match settings.has_pins() || floor >= Rung::Name {
        true => Rung::Hidden,
        false => floor,
    };
    catalogue.price(lowest, &options, counter);
    let pins_hide = catalogue
        .tools()
        .any(|tool| settings.pinned(&tool.name) == Some(Rung::Hidden));
    if pins_hide {
        // That one tool is hidden is no reason for `auto` to hide others.
        let limit = match settings.budget {
            Budget::Auto => limit.max(HIDE_FROM),
            _ => limit,
        };
        return catalogue.with_hidden(settings, Some(limit), counter);
    }
    let shortened = catalogue.fit(settings, limit, floor);
    let is_met = !shortened.is_over || floor < Rung::Name;
    if is_met {
        let mut surface = catalogue.built(&shortened.rungs, Vec::new(), Tokens::ZERO);
        surface.budget = (limit < u64::MAX).then_some(limit);
        if shortened.is_over && settings.budget != Budget::Auto {
            surface.shortfall = Some(Shortfall::Over {
                budget: limit,
                shown: shortened.tokens,
            });
        }
        return surface;
    }
    catalogue.with_hidden(settings, Some(limit), counter)
}

struct Tool<'a> {
    text: &'a str,
    name: String,
    risk: RiskClass,
    /// Only a pin hides it.
    stays: bool,
    /// Whether tools of ours may tell of it.
    is_for_model: bool,
}

struct Catalogue<'a> {
    parts: Vec<(&'a str, Vec<Tool<'a>>)>,
    /// The ladders of all tools, in the same order, as far as they were needed.
    steps: Vec<Steps<'a>>,
}

struct Fitted {
    rungs: Vec<Rung>,
    tokens: u64,
    is_over: bool,
}

impl<'a> Catalogue<'a> {
    fn read(parts: &'a [Part], settings: &Settings) -> Self {
        let options = settings.ladder();
        let read = |tool: &'a Bytes| {
            let text = std::str::from_utf8(tool).unwrap_or_default();
            let view = ToolView::parse(text).ok();
            Tool {
                text,
                name: view
                    .as_ref()
                    .and_then(|view| view.name_text().map(|name| name.into_owned()))
                    .unwrap_or_default(),
                risk: view
                    .as_ref()
                    .map_or(RiskClass::Destructive, RiskClass::of_tool),
                stays: stays::stays(tool),
                is_for_model: is_for_model(tool),
            }
        };
        let parts: Vec<(&str, Vec<Tool<'_>>)> = parts
            .iter()
            .map(|part| (part.server.as_str(), part.tools.iter().map(read).collect()))
            .collect();
        let steps = parts
            .iter()
            .flat_map(|(_, tools)| tools)
            .map(|tool| Steps::lean(tool.text, &options))
            .collect();
        Self { parts, steps }
    }

    fn tools(&self) -> impl Iterator<Item = &Tool<'a>> {
        self.parts.iter().flat_map(|(_, tools)| tools)
    }

    /// Whether the lean list is within the limit without counting: `auto` trusts an estimate; a set
    /// budget only that no token is shorter than a byte.
    fn is_surely_within(&self, budget: Budget, limit: u64) -> bool {
        let bytes: u64 = self
            .steps
            .iter()
            .map(Steps::lean_text)
            .map(|text| ToolView::parse(text).map_or(text.len(), |view| view.model_visible().len()))
            .map(|bytes| bytes as u64)
            .sum();
        match budget {
            Budget::Auto => bytes <= limit * BYTES_PER_TOKEN,
            Budget::Tokens(_) | Budget::Unlimited => bytes <= limit,
        }
    }

    /// Makes and counts the rungs down to this one, where that was not done.
    fn price(&mut self, floor: Rung, options: &LadderOptions<'_>, counter: &dyn TokenCounter) {
        for steps in &mut self.steps {
            steps.price(floor, options, counter);
        }
    }

    /// What all tools cost at a rung that was counted.
    fn sum(&self, rung: Rung) -> Tokens {
        self.ladders()
            .map(|ladder| ladder[rung as usize].tokens)
            .sum()
    }

    /// What was counted, by tool over all servers.
    fn ladders(&self) -> impl Iterator<Item = &[Priced<'a>]> {
        self.steps.iter().map(|steps| steps.priced.as_slice())
    }

    /// Every tool lean, but for pins.
    fn lean(&self, cost: Option<Cost>, shortfall: Option<Shortfall>) -> Surface {
        let mut steps = self.steps.iter();
        let mut lean = |_: &Tool<'a>| {
            let rendering = steps.next().map(Steps::lean_rendering);
            Shown {
                rung: rendering.as_ref().map_or(Rung::Lean, |made| made.shown),
                text: rendering
                    .and_then(|made| made.text)
                    .map(|text| Bytes::from(text.into_owned())),
            }
        };
        Surface {
            tools: self
                .parts
                .iter()
                .map(|(_, tools)| tools.iter().map(&mut lean).collect())
                .collect(),
            meta_tools: Vec::new(),
            read_result: None,
            names: MetaNames::default(),
            cost,
            budget: None,
            shortfall,
        }
    }

    /// The whole list for a client that searches itself: lean, and where it cuts descriptions off, short
    /// ones instead of long ones without their end.
    fn whole(&self, settings: &Settings, options: &LadderOptions<'_>) -> Surface {
        let mut surface = self.lean(None, None);
        let Some(limit) = settings.form.description_limit else {
            return surface;
        };
        let real = LadderOptions {
            may_use_open_schema: false,
            ..*options
        };
        let shown = surface.tools.iter_mut().flatten();
        for (tool, shown) in self.tools().zip(shown) {
            let description = ToolView::parse(tool.text)
                .ok()
                .and_then(|view| view.description.map(str::len))
                .unwrap_or(0);
            if description <= limit {
                continue;
            }
            let rendering = render(tool.text, Rung::Short, &real);
            if let Some(text) = rendering.text {
                *shown = Shown {
                    rung: rendering.shown,
                    text: Some(Bytes::from(text.into_owned())),
                };
            }
        }
        surface
    }

    /// The forms in which each tool may be shown, from lean down to `floor`.
    fn forms(&self, settings: &Settings, floor: Rung) -> Vec<Vec<Rung>> {
        self.tools()
            .map(|tool| match settings.pinned(&tool.name) {
                Some(rung) => vec![rung],
                None => Rung::ALL
                    .into_iter()
                    .filter(|rung| (Rung::Lean..=floor).contains(rung))
                    .filter(|rung| !tool.stays || *rung != Rung::Hidden)
                    .collect(),
            })
            .collect()
    }

    /// Chooses for each tool the form that costs least over a conversation.
    fn cheapest(&self, settings: &Settings) -> Fitted {
        let all = self
            .tools()
            .map(|tool| settings.weight(&tool.name))
            .fold(0u64, u64::saturating_add);
        let mut fitted = Fitted {
            rungs: Vec::new(),
            tokens: 0,
            is_over: false,
        };
        let forms = self.forms(settings, Rung::Hidden);
        for ((tool, forms), ladder) in self.tools().zip(&forms).zip(self.ladders()) {
            let need = economy::need(settings.weight(&tool.name), all);
            let cost = |rung: &Rung| {
                let priced = &ladder[*rung as usize];
                economy::cost(priced.rendering.shown, priced.tokens.get(), need)
            };
            // Of equals the first, which is the more faithful one.
            let rung = forms
                .iter()
                .copied()
                .min_by(|a, b| cost(a).total_cmp(&cost(b)))
                .unwrap_or(Rung::Lean);
            fitted.tokens = fitted
                .tokens
                .saturating_add(ladder[rung as usize].tokens.get());
            fitted.rungs.push(rung);
        }
        fitted
    }

    /// Chooses rungs from lean down to `floor`.
    fn fit(&self, settings: &Settings, limit: u64, floor: Rung) -> Fitted {
        let rungs = self.forms(settings, floor);
        let choices: Vec<Vec<Choice>> = self
            .tools()
            .zip(&rungs)
            .zip(self.ladders())
            .map(|((tool, rungs), ladder)| {
                let weight = settings.weight(&tool.name);
                rungs
                    .iter()
                    .map(|rung| {
                        let priced = &ladder[*rung as usize];
                        Choice {
                            tokens: priced.tokens.get(),
                            value: worth(priced.rendering.shown) * weight,
                        }
                    })
                    .collect()
            })
            .collect();
        let chosen = choose(&choices, limit);
        Fitted {
            rungs: chosen
                .options
                .iter()
                .zip(&rungs)
                .map(|(at, rungs)| rungs[*at])
                .collect(),
            tokens: chosen.tokens,
            is_over: chosen.is_over,
        }
    }

    /// Some tools have to be hidden: ours come in front. Without a limit the choice is what pays.
    fn with_hidden(
        &self,
        settings: &Settings,
        limit: Option<u64>,
        counter: &dyn TokenCounter,
    ) -> Surface {
        let names = placed_names(self.tools().map(|tool| tool.name.as_str()));
        // A pinned tool is called by its own name; every other one may come to be hidden.
        let needed: RiskClasses = self
            .tools()
            .filter(|tool| tool.is_for_model)
            .filter(|tool| {
                settings
                    .pinned(&tool.name)
                    .is_none_or(|rung| rung >= Rung::Name)
            })
            .map(|tool| tool.risk)
            .collect();
        let own = meta_tools(&names, &self.words(), needed);
        let meta: Tokens = own.iter().map(|tool| model_tokens(tool, counter)).sum();
        let fitted = match limit {
            Some(limit) => {
                let left = limit.saturating_sub(meta.get());
                self.fit(settings, left, Rung::Hidden)
            }
            None => self.cheapest(settings),
        };
        if !fitted.rungs.contains(&Rung::Hidden) {
            // Pins, or `auto` where all of it pays, keep every tool listed: ours are not needed.
            let fitted = match limit {
                Some(limit) => self.fit(settings, limit, Rung::Hidden),
                None => fitted,
            };
            let mut surface = self.built(&fitted.rungs, Vec::new(), Tokens::ZERO);
            surface.budget = limit;
            surface.shortfall =
                limit
                    .filter(|limit| fitted.tokens > *limit)
                    .map(|budget| Shortfall::Over {
                        budget,
                        shown: fitted.tokens,
                    });
            return surface;
        }
        let limit = limit.unwrap_or(u64::MAX);
        let shown = fitted.tokens.saturating_add(meta.get());
        // What an operator pinned stays, whatever it costs.
        let lean = self.sum(Rung::Lean);
        if shown >= lean.get() && !settings.has_pins() {
            let cost = Cost {
                bare: self.sum(Rung::Full),
                lean,
                shown: lean,
                meta: Tokens::ZERO,
            };
            let shortfall = Shortfall::BelowMetaTools {
                budget: limit,
                meta: meta.get(),
            };
            return self.lean(Some(cost), Some(shortfall));
        }
        let own = own.into_iter().map(Bytes::from).collect();
        let mut surface = self.built(&fitted.rungs, own, meta);
        surface.names = names;
        surface.budget = (limit < u64::MAX).then_some(limit);
        if shown > limit {
            surface.shortfall = Some(Shortfall::Over {
                budget: limit,
                shown,
            });
        }
        surface
    }

    fn words(&self) -> CatalogueWords {
        let texts: Vec<Vec<(String, String)>> = self
            .parts
            .iter()
            .map(|(_, tools)| {
                tools
                    .iter()
                    .filter(|tool| tool.is_for_model)
                    .map(|tool| {
                        let view = ToolView::parse(tool.text).ok();
                        let description = view
                            .and_then(|view| view.description)
                            .and_then(crate::catalog::tool_view::string_text)
                            .map(|text| text.into_owned())
                            .unwrap_or_default();
                        (tool.name.clone(), description)
                    })
                    .collect()
            })
            .collect();
        let borrowed: Vec<Vec<(&str, &str)>> = texts
            .iter()
            .map(|tools| {
                tools
                    .iter()
                    .map(|(name, text)| (name.as_str(), text.as_str()))
                    .collect()
            })
            .collect();
        let servers: Vec<ServerText<'_>> = self
            .parts
            .iter()
            .zip(&borrowed)
            .map(|((server, _), tools)| ServerText {
                server: (self.parts.len() > 1).then_some(*server),
                tools,
            })
            .collect();
        CatalogueWords::of(&servers)
    }

    fn built(&self, rungs: &[Rung], meta_tools: Vec<Bytes>, meta: Tokens) -> Surface {
        let mut chosen = rungs.iter().zip(self.ladders()).map(|(rung, ladder)| {
            let priced = &ladder[*rung as usize];
            let text = priced.rendering.text.as_ref();
            let shown = Shown {
                rung: priced.rendering.shown,
                text: text.map(|text| Bytes::from(text.clone().into_owned())),
            };
            (shown, priced.tokens)
        });
        let mut shown = meta;
        let tools = self
            .parts
            .iter()
            .map(|(_, tools)| {
                chosen
                    .by_ref()
                    .take(tools.len())
                    .map(|(tool, tokens)| {
                        shown += tokens;
                        tool
                    })
                    .collect()
            })
            .collect();
        Surface {
            tools,
            meta_tools,
            read_result: None,
            names: MetaNames::default(),
            cost: Some(Cost {
                bare: self.sum(Rung::Full),
                lean: self.sum(Rung::Lean),
                shown,
                meta,
            }),
            budget: None,
            shortfall: None,
        }
    }
}

#[cfg(test)]
mod tests;
