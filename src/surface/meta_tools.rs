//! The meta-tools: tools of our own that reach what the list does not show. `search_tools` finds,
//! `describe_tools` shows, and one caller for each risk class calls, so that a client that approves
//! reads still asks before something is destroyed. Pure: text in, text out.
//!
//! Their texts and their number depend on the catalogue and nothing else: no counters, dates or
//! health, in the same order for the same servers in any order. They decide nothing: policy and
//! validation look at the inner tool, and a caller refuses tools of another class.

mod answer;
mod call;
mod names;
mod repair;
mod search_call;
mod words;

pub use crate::surface::meta_tools::answer::CallCost;
pub use crate::surface::meta_tools::answer::Described;
pub use crate::surface::meta_tools::answer::Found;
pub use crate::surface::meta_tools::answer::SearchAnswer;
pub use crate::surface::meta_tools::answer::describe_text;
pub use crate::surface::meta_tools::answer::no_caller_text;
pub use crate::surface::meta_tools::answer::search_text;
pub use crate::surface::meta_tools::answer::unknown_tool_text;
pub use crate::surface::meta_tools::answer::wrong_caller_text;
pub use crate::surface::meta_tools::call::KnownTools;
pub use crate::surface::meta_tools::call::MetaCall;
pub use crate::surface::meta_tools::call::MetaCallError;
pub use crate::surface::meta_tools::call::Repair;
pub use crate::surface::meta_tools::call::parse_call;
pub use crate::surface::meta_tools::names::MetaNames;
pub use crate::surface::meta_tools::names::placed_names;
pub use crate::surface::meta_tools::words::CatalogueWords;
pub use crate::surface::meta_tools::words::ServerText;

use std::borrow::Cow;

use crate::catalog::risk::RiskClass;
use crate::catalog::risk::RiskClasses;
use crate::jsonrpc::text::to_string as json_string;

/// Results of one query that are rendered unless the call names a limit: a real agent's searches have what
/// they need among the first three in nine of ten cases.
pub const DEFAULT_RESULTS: usize = 3;
/// Results of one query that are rendered, at most.
pub const MAX_RESULTS: usize = 20;
/// Results of one query that are at least named.
pub const NAMED_RESULTS: usize = 10;
/// Queries in one search, at most.
pub const MAX_QUERIES: usize = 8;
/// Tools described at once, at most.
pub const MAX_DESCRIBED: usize = 20;

/// One of our tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetaTool {
    /// `search_tools`.
    Search,
    /// `describe_tools`.
    Describe,
    /// `call_read_tool`, `call_write_tool` or `call_destructive_tool`.
    Call(RiskClass),
    /// `read_result`.
    Read,
}

/// Tokens of the definition of `read_result` under its usual name, at most, in every vocabulary known. Known
/// without counting, so that a short list is planned without loading one.
pub const READ_RESULT_TOKENS: u64 = 175;

impl MetaTool {
    /// Every meta-tool, in the order in which they are listed.
    pub const ALL: [Self; 6] = [
        Self::Search,
        Self::Describe,
        Self::Call(RiskClass::Read),
        Self::Call(RiskClass::Write),
        Self::Call(RiskClass::Destructive),
        Self::Read,
    ];

    /// Returns the name it has where no server has a tool of that name.
    pub fn usual_name(self) -> &'static str {
        match self {
            Self::Search => "search_tools",
            Self::Describe => "describe_tools",
            Self::Call(RiskClass::Read) => "call_read_tool",
            Self::Call(RiskClass::Write) => "call_write_tool",
            Self::Call(RiskClass::Destructive) => "call_destructive_tool",
            Self::Read => "read_result",
        }
    }

    /// The hints of MCP's `ToolAnnotations`. Ours look at the catalogue only; what a called tool
    /// reaches is not known, so callers are open-world.
    fn annotations(self) -> &'static str {
        match self {
            Self::Search | Self::Describe | Self::Read => {
                r#"{"readOnlyHint":true,"destructiveHint":false,"idempotentHint":true,"openWorldHint":false}"#
            }
            Self::Call(RiskClass::Read) => {
                r#"{"readOnlyHint":true,"destructiveHint":false,"idempotentHint":true,"openWorldHint":true}"#
            }
            Self::Call(RiskClass::Write) => {
                r#"{"readOnlyHint":false,"destructiveHint":false,"idempotentHint":false,"openWorldHint":true}"#
            }
            Self::Call(RiskClass::Destructive) => {
                r#"{"readOnlyHint":false,"destructiveHint":true,"idempotentHint":false,"openWorldHint":true}"#
            }
        }
    }

    fn description(self, names: &MetaNames, catalogue: &CatalogueWords) -> String {
        match self {
            Self::Search => {
                let mut text = "Find tools that are not listed. Search before you say that something cannot be done.".to_owned();
                let words = catalogue.text();
                if !words.is_empty() {
                    text.push_str(" Tools for: ");
                    text.push_str(&words);
                }
                text
            }
            Self::Describe => "Definitions of tools by name.".to_owned(),
            Self::Call(RiskClass::Read) => format!(
                "Call a tool marked [read] in {} results.",
                names.of(Self::Search)
            ),
            Self::Call(RiskClass::Write) => {
                "Call a tool marked [write]: it adds or changes data.".to_owned()
            }
            Self::Call(RiskClass::Destructive) => {
                "Call a tool marked [destructive]: it may delete or overwrite.".to_owned()
            }
            Self::Read => "Read more of a result that was shown in part, by the handle in it: a page, lines, grep, JSON Pointer (with items, fields), jq or count.".to_owned(),
        }
    }

    /// The parameters. Of a search those are left out that this catalogue has no use for: it names
    /// [`NAMED_RESULTS`] tools without being asked.
    fn input_schema(self, catalogue: &CatalogueWords) -> Cow<'static, str> {
        let text = match self {
            Self::Search => {
                let server = match catalogue.n_servers() {
                    ..=1 => "",
                    _ => r#","server":{"type":"string"}"#,
                };
                let limit = match catalogue.n_tools() {
                    ..=NAMED_RESULTS => "",
                    _ => r#","limit":{"type":"integer"}"#,
                };
                return Cow::Owned(format!(
                    r#"{{"type":"object","properties":{{"queries":{{"type":"array","items":{{"type":"string"}},"description":"One per need: action and object"}}{server}{limit}}},"required":["queries"]}}"#
                ));
            }
            Self::Describe => {
                r#"{"type":"object","properties":{"names":{"type":"array","items":{"type":"string"}},"output_schema":{"type":"boolean"}},"required":["names"]}"#
            }
            Self::Read => {
                r#"{"type":"object","properties":{"handle":{"type":"string"},"page":{"type":"integer"},"lines":{"type":"string","description":"120-180"},"grep":{"type":"string","description":"Regex"},"context":{"type":"integer"},"pointer":{"type":"string","description":"/a/0/b"},"items":{"type":"string","description":"40-59"},"fields":{"type":"array","items":{"type":"string"}},"jq":{"type":"string"},"count":{"type":"boolean"},"block":{"type":"integer"}},"required":["handle"]}"#
            }
            // Some hosts drop objects without named members, so the same goes as text.
            Self::Call(_) => {
                r#"{"type":"object","properties":{"name":{"type":"string"},"arguments":{"type":"object","additionalProperties":true},"arguments_json":{"type":"string"}},"required":["name"]}"#
            }
        };
        Cow::Borrowed(text)
    }

    /// Renders the whole tool as JSON.
    fn definition(self, names: &MetaNames, catalogue: &CatalogueWords) -> String {
        format!(
            r#"{{"name":{},"description":{},"inputSchema":{},"annotations":{}}}"#,
            json_string(names.of(self)),
            json_string(&self.description(names, catalogue)),
            self.input_schema(catalogue),
            self.annotations()
        )
    }
}

/// Renders the meta-tools of a catalogue, each a complete MCP tool as JSON text: search, describe,
/// and the callers of the classes in `needed`.
pub fn meta_tools(
    names: &MetaNames,
    catalogue: &CatalogueWords,
    needed: RiskClasses,
) -> Vec<String> {
    MetaTool::ALL
        .into_iter()
        .filter(|tool| match tool {
            MetaTool::Call(class) => needed.has(*class),
            MetaTool::Read => false,
            MetaTool::Search | MetaTool::Describe => true,
        })
        .map(|tool| tool.definition(names, catalogue))
        .collect()
}

/// Renders `read_result`, which is listed by a rule of its own.
pub fn read_result_tool(names: &MetaNames) -> String {
    let nothing = CatalogueWords::of(&[]);
    MetaTool::Read.definition(names, &nothing)
}

#[cfg(test)]
mod tests;
