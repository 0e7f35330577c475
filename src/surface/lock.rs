//! What `mcp-whittle.lock` holds: for every tool what its server said and what the client is shown, as
//! hashes and counts, with the settings in force. Pure; `compare` says what has changed since.
//!
//! It may not hold text of a definition but for constraints that a promise lost. Originals are hashed in
//! canonical form (RFC 8785 order, numbers as written), so another order of keys is no drift; what is
//! shown is hashed byte for byte, because caches go by bytes.

mod compare;
mod file;
mod kept;

use std::collections::BTreeMap;

use crate::catalog::risk::RiskClass;
use crate::catalog::tool_view::{ToolView, members};
use crate::jsonrpc::Limits;
use crate::jsonrpc::canonical::canonical;
use crate::surface::ladder::{Rung, model_tokens};
use crate::surface::plan::{self, Budget, Part, Surface};
use crate::token::TokenCounter;

pub use compare::{Difference, Differences, Shown, ToolId, compare};
pub use file::{LockError, MAX_BYTES, MAX_TOOLS, visible};

/// Hexadecimal digits of the hash of one member of a definition: enough to say which one changed.
const PART_DIGITS: usize = 16;

/// What agents see of servers, at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// The vocabulary that counted.
    pub tokenizer: String,
    /// What the surface was planned by.
    pub settings: LockedSettings,
    /// Our own tools; none unless something is hidden.
    pub meta_tools: Option<LockedMetaTools>,
    /// In the order in which they are listed.
    pub tools: Vec<LockedTool>,
}

/// The settings in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedSettings {
    /// `full`: as the servers sent it; `lean`: never beyond the same meaning; `auto`: by the budget.
    pub surface: String,
    /// How many tokens the list may cost.
    pub budget: Budget,
    /// The client's profile.
    pub profile: String,
    /// `whole` for a client that searches itself and gets every tool, else `budgeted`.
    pub list: String,
    /// Whether parameters may be shown over an open schema.
    pub open_schemas: bool,
    /// Tools in one rendering, in order.
    pub pins: Vec<String>,
}

impl LockedSettings {
    /// Takes over what a surface was planned by; none where definitions are shown as they come.
    pub fn of(settings: Option<&plan::Settings>, profile: &str) -> Self {
        let Some(settings) = settings else {
            return Self {
                surface: "full".to_owned(),
                budget: Budget::Unlimited,
                profile: profile.to_owned(),
                list: "whole".to_owned(),
                open_schemas: false,
                pins: Vec::new(),
            };
        };
        let is_whole = settings.form.searches_itself;
        let surface = match settings.budget {
            Budget::Unlimited => "lean",
            Budget::Auto | Budget::Tokens(_) => "auto",
        };
        Self {
            surface: surface.to_owned(),
            budget: settings.budget,
            profile: profile.to_owned(),
            list: if is_whole { "whole" } else { "budgeted" }.to_owned(),
            open_schemas: settings.form.may_use_open_schema,
            pins: settings.pins.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Our own tools in front of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedMetaTools {
    /// How they are called.
    pub names: Vec<String>,
    /// Hash of their bytes.
    pub hash: String,
    /// What they cost.
    pub tokens: u64,
}

/// One tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedTool {
    /// The configured name of its server.
    pub server: String,
    /// Its name as clients see it.
    pub name: String,
    /// Hash of the definition as its server sent it, in canonical form.
    pub original: String,
    /// The definition's members but for the name, each with the start of its hash: `description:0123…`.
    pub parts: Vec<String>,
    /// What its hints say that a call can do.
    pub risk: RiskClass,
    /// What it is shown in.
    pub rung: Rung,
    /// Hash of the bytes shown; none for a hidden tool.
    pub shown: Option<String>,
    /// Tokens of name, description and input schema as sent.
    pub tokens: u64,
    /// The same of what is shown; 0 for a hidden tool.
    pub shown_tokens: u64,
    /// Constraints in the original's description and those of its parameters.
    pub constraints: u64,
    /// How many of them stand in what is shown.
    pub kept: u64,
    /// Constraints that are missing although the rung promises all, from `full` to `short`; the first
    /// 20, cut after 200 characters.
    pub lost: Vec<String>,
}

impl Lock {
    /// Makes the lock of a surface.
    ///
    /// `sent` has the definitions as the servers sent them, `named` the same with the names that clients
    /// see, from which `surface` was planned.
    pub fn of(
        sent: &[Part],
        named: &[Part],
        surface: &Surface,
        settings: LockedSettings,
        counter: &dyn TokenCounter,
    ) -> Self {
        let text = |bytes: &'_ bytes::Bytes| String::from_utf8_lossy(bytes).into_owned();
        let mut tools = Vec::new();
        for ((sent, named), shown) in sent.iter().zip(named).zip(&surface.tools) {
            for ((sent, named_tool), shown) in sent.tools.iter().zip(&named.tools).zip(shown) {
                let (sent, named_tool) = (text(sent), text(named_tool));
                let shown_text = shown.text.as_ref().map(text);
                let view = ToolView::parse(&named_tool).ok();
                let kept = kept::kept(&named_tool, shown_text.as_deref(), shown.rung);
                tools.push(LockedTool {
                    server: named.server.clone(),
                    name: view
                        .as_ref()
                        .and_then(ToolView::name_text)
                        .unwrap_or_default()
                        .into_owned(),
                    original: meaning_hash(&sent),
                    parts: parts(&sent),
                    risk: view
                        .as_ref()
                        .map_or(RiskClass::Destructive, RiskClass::of_tool),
                    rung: shown.rung,
                    shown: shown_text.as_deref().map(bytes_hash),
                    tokens: model_tokens(&named_tool, counter).get(),
                    shown_tokens: shown_text
                        .as_deref()
                        .map_or(0, |text| model_tokens(text, counter).get()),
                    constraints: kept.all,
                    kept: kept.kept,
                    lost: kept.lost,
                });
            }
        }
        let own = surface.meta_tools.iter().chain(&surface.read_result);
        let texts: Vec<String> = own.map(text).collect();
        let meta_tools = (!texts.is_empty()).then(|| LockedMetaTools {
            names: texts
                .iter()
                .filter_map(|text| Some(ToolView::parse(text).ok()?.name_text()?.into_owned()))
                .collect(),
            hash: bytes_hash(&texts.join("\n")),
            tokens: texts
                .iter()
                .map(|text| model_tokens(text, counter).get())
                .sum(),
        });
        Self {
            tokenizer: counter.name().to_owned(),
            settings,
            meta_tools,
            tools,
        }
    }

    /// Returns for each tool, by the name that clients see, the hash of its definition.
    pub fn originals(&self) -> BTreeMap<String, String> {
        let of = |tool: &LockedTool| (tool.name.clone(), tool.original.clone());
        self.tools.iter().map(of).collect()
    }

    /// Tokens of all definitions as the servers sent them.
    pub fn tokens(&self) -> u64 {
        sum(self.tools.iter().map(|tool| tool.tokens))
    }

    /// Tokens of what is shown, our own tools included.
    pub fn shown_tokens(&self) -> u64 {
        let own = self.meta_tools.as_ref().map_or(0, |own| own.tokens);
        sum(self.tools.iter().map(|tool| tool.shown_tokens)).saturating_add(own)
    }

    /// The set budget, where what is shown costs more.
    pub fn exceeded_budget(&self) -> Option<u64> {
        match self.settings.budget {
            // A client that searches itself gets every tool, whatever it costs.
            Budget::Tokens(budget) if self.settings.list == "budgeted" => {
                (self.shown_tokens() > budget).then_some(budget)
            }
            _ => None,
        }
    }
}

fn sum(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.fold(0, u64::saturating_add)
}

fn bytes_hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

/// The hash of a value's canonical text; of its bytes where parsers could read it differently.
pub fn meaning_hash(raw: &str) -> String {
    match canonical(raw.as_bytes(), &Limits::default()) {
        Some(text) => blake3::hash(&text).to_hex().to_string(),
        None => bytes_hash(raw),
    }
}

fn parts(raw: &str) -> Vec<String> {
    let members = members(raw).unwrap_or_default();
    let mut parts: Vec<String> = members
        .iter()
        .filter(|member| member.key != "name")
        .map(|member| {
            format!(
                "{}:{}",
                member.key,
                &meaning_hash(member.raw)[..PART_DIGITS]
            )
        })
        .collect();
    parts.sort();
    parts
}

#[cfg(test)]
mod tests;
