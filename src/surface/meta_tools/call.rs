//! A call of a meta-tool, read. Callers name the inner tool and its arguments; what models make of
//! that (wrappers around wrappers, the name under another key, arguments beside the name) is repaired
//! where one reading is left, and refused with words where two are.

use crate::catalog::risk::RiskClass;
use crate::jsonrpc::strict::StrictError;
use crate::surface::meta_tools::MAX_DESCRIBED;
use crate::surface::meta_tools::MAX_QUERIES;
use crate::surface::meta_tools::MetaNames;
use crate::surface::meta_tools::MetaTool;
use crate::surface::meta_tools::repair::Part;
use crate::surface::meta_tools::repair::is_nothing;
use crate::surface::meta_tools::repair::object;
use crate::surface::meta_tools::repair::object_of;
use crate::surface::meta_tools::repair::parts;
use crate::surface::meta_tools::repair::push;
use crate::surface::meta_tools::repair::strict;
use crate::surface::meta_tools::repair::text_of;
use crate::surface::meta_tools::search_call;

/// Wrappers inside one another that are opened.
const MAX_WRAPPERS: usize = 4;
/// Keys under which the inner tool's name is found; the first is the right one.
const NAME_KEYS: [&str; 7] = [
    "name",
    "tool_name",
    "toolName",
    "tool",
    "function",
    "function_name",
    "functionName",
];
/// Keys that are ours for the inner arguments.
const ARGUMENT_KEYS: [&str; 2] = ["arguments", "arguments_json"];
/// Keys under which models put them instead; a tool's own parameter of that name goes first.
const OTHER_ARGUMENT_KEYS: [&str; 11] = [
    "args",
    "args_json",
    "argumentsJson",
    "tool_arguments",
    "toolArguments",
    "tool_input",
    "toolInput",
    "tool_input_json",
    "parameters",
    "params",
    "input",
];

/// What the reader has to know of the real tools, to tell a name from an argument.
pub trait KnownTools {
    /// Tells whether a tool is listed or hidden under this name.
    fn is_tool(&self, name: &str) -> bool;
    /// Tells whether the tool may have a parameter of this name at its top; in doubt it may, so that what is the
    /// tool's own is never taken for a wrapper of ours.
    fn has_parameter(&self, tool: &str, parameter: &str) -> bool;
}

/// What a call of a meta-tool asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetaCall {
    /// Find tools.
    Search {
        /// At least one, none empty.
        queries: Vec<String>,
        /// Only tools of this server.
        server: Option<String>,
        /// Results for each query.
        limit: usize,
    },
    /// Show definitions.
    Describe {
        /// At least one, each once.
        names: Vec<String>,
        /// Whole definitions, output schemas among them.
        output_schema: bool,
    },
    /// Call a tool.
    Call {
        /// The class of the caller; the inner tool's own has to be the same.
        risk: RiskClass,
        /// The inner tool's name as given; it may be unknown.
        tool: String,
        /// The inner arguments: one JSON object, its bytes as the model wrote them.
        arguments: Vec<u8>,
        /// What was not as asked for, in the order found.
        repairs: Vec<Repair>,
    },
    /// Read of a stored result.
    Read {
        /// One JSON object, its bytes as the model wrote them.
        arguments: String,
    },
}

/// A slip that was understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Repair {
    /// The tool's name stood under another key.
    NameKey,
    /// The tool's name stood among its arguments.
    NameAmongArguments,
    /// The arguments stood under another key.
    ArgumentsKey,
    /// The arguments stood beside the name.
    ArgumentsBesideName,
    /// The whole call stood inside another one.
    Wrapped,
    /// JSON text was quoted once more.
    QuotedTwice,
    /// JSON text stood in a Markdown fence.
    CodeFence,
    /// Words followed the JSON text.
    TrailingText,
}

/// Why a call of a meta-tool is not understood. The text is for the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetaCallError {
    /// The text is no JSON, or parsers disagree on it.
    #[error("the arguments cannot be read: {0}")]
    Unreadable(StrictError),
    /// Something else than an object.
    #[error("{what} is no JSON object and no text of one")]
    NoObject {
        /// What should have been an object.
        what: String,
    },
    /// More JSON follows in one text.
    #[error("{what} has more text after the first JSON object; send exactly one object")]
    TextAfter {
        /// Where.
        what: String,
    },
    /// No tool is named.
    #[error("no tool is named")]
    NoName,
    /// Several tools are named.
    #[error("it is not clear which tool is meant: {0}")]
    WhichName(String),
    /// Arguments in several places.
    #[error("arguments stand in more than one place: {0}; put all of them into `arguments`")]
    WhichArguments(String),
    /// Too many wrappers.
    #[error("calls stand inside one another")]
    TooManyWrappers,
    /// A search without words.
    #[error("no query was sent")]
    NoQuery,
    /// A query that is no search.
    #[error("a query has {n} bytes; send a few words, at most {limit} bytes")]
    LongQuery {
        /// Bytes of the query.
        n: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// More at once than allowed.
    #[error("{n} {what} were sent; send at most {limit} at once")]
    TooMany {
        /// `queries` or `names`.
        what: &'static str,
        /// How many came.
        n: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// A member of another type.
    #[error("`{member}` has to be {expected}")]
    WrongType {
        /// The member.
        member: &'static str,
        /// What it has to be.
        expected: &'static str,
    },
}

impl MetaCallError {
    /// Makes the text of the tool error (`isError: true`): what was wrong, and what to send.
    pub fn text(&self, tool: MetaTool, names: &MetaNames) -> String {
        let send = match tool {
            MetaTool::Search => {
                format!(r#"{{"queries": ["what to do, with what"]}} (at most {MAX_QUERIES})"#)
            }
            MetaTool::Describe => {
                format!(r#"{{"names": ["tool_name"]}} (at most {MAX_DESCRIBED})"#)
            }
            MetaTool::Call(_) => {
                r#"{"name": "tool_name", "arguments": {"parameter": "value"}}"#.to_owned()
            }
            MetaTool::Read => r#"{"handle": "r_…", "page": 2}"#.to_owned(),
        };
        format!("{}: {self}. Nothing was done. Send {send}.", names.of(tool))
    }
}

/// Reads the arguments of a call of `tool`. `arguments` is the raw JSON of `params.arguments`.
///
/// # Errors
///
/// When it cannot be read in exactly one way; [`MetaCallError::text`] says what to send instead.
pub fn parse_call(
    tool: MetaTool,
    arguments: &[u8],
    names: &MetaNames,
    known: &dyn KnownTools,
) -> Result<MetaCall, MetaCallError> {
    let text = std::str::from_utf8(arguments).map_err(|_| MetaCallError::NoObject {
        what: "the text".to_owned(),
    })?;
    strict(text)?;
    let mut repairs = Vec::new();
    let text = object(text.trim(), "the text", &mut repairs)?;
    match tool {
        MetaTool::Search => search_call::search(&text),
        MetaTool::Describe => search_call::describe(&text),
        MetaTool::Read => Ok(MetaCall::Read {
            arguments: text.into_owned(),
        }),
        MetaTool::Call(risk) => {
            let reader = Reader { names, known };
            let (tool, arguments) = reader.call(&text, &mut repairs, 0)?;
            match reader.ours(&tool) {
                Some(MetaTool::Search) => return search_call::search(&arguments),
                Some(MetaTool::Describe) => return search_call::describe(&arguments),
                Some(MetaTool::Read) => return Ok(MetaCall::Read { arguments }),
                _ => {}
            }
            let arguments = arguments.into_bytes();
            Ok(MetaCall::Call {
                risk,
                tool,
                arguments,
                repairs,
            })
        }
    }
}

struct Reader<'a> {
    names: &'a MetaNames,
    known: &'a dyn KnownTools,
}

impl Reader<'_> {
    /// The meta-tool of a name that no server's tool has.
    fn ours(&self, name: &str) -> Option<MetaTool> {
        self.names.which(name).filter(|_| !self.known.is_tool(name))
    }

    /// Reads one call: the tool's name and its arguments, an object.
    fn call(
        &self,
        text: &str,
        repairs: &mut Vec<Repair>,
        depth: usize,
    ) -> Result<(String, String), MetaCallError> {
        if depth > MAX_WRAPPERS {
            return Err(MetaCallError::TooManyWrappers);
        }
        let parts = parts(text);
        let Some((tool, at)) = self.tool_name(&parts)? else {
            return self.without_name(&parts, repairs, depth);
        };
        if parts[at].key != NAME_KEYS[0] {
            push(repairs, Repair::NameKey);
        }
        // The name once more is no argument, but where the tool has a parameter of that key and no arguments stand
        // apart, it may be one.
        let has_arguments = parts.iter().any(|part| self.holds_arguments(&tool, part));
        let is_name = |part: &Part<'_>| {
            same_name(part, &tool) && (has_arguments || !self.known.has_parameter(&tool, &part.key))
        };
        let rest: Vec<&Part<'_>> = parts
            .iter()
            .enumerate()
            .filter(|(n, part)| *n != at && !is_name(part))
            .map(|(_, part)| part)
            .collect();
        let arguments = self.arguments(&tool, &rest, repairs)?;
        self.unwrapped(tool, arguments, repairs, depth)
    }

    /// Tells whether a member of a call is one that its arguments stand in.
    fn holds_arguments(&self, tool: &str, part: &Part<'_>) -> bool {
        let key = part.key.as_str();
        ARGUMENT_KEYS.contains(&key)
            || (OTHER_ARGUMENT_KEYS.contains(&key)
                && !self.known.has_parameter(tool, key)
                && looks_like_object(part.raw))
    }

    /// Finds the member that names the tool.
    fn tool_name(&self, parts: &[Part<'_>]) -> Result<Option<(String, usize)>, MetaCallError> {
        let mut named: Vec<(String, usize)> = Vec::new();
        for key in NAME_KEYS {
            for (n, part) in parts.iter().enumerate().filter(|(_, p)| p.key == key) {
                if let Some(name) = text_of(part.raw).filter(|name| !name.trim().is_empty()) {
                    named.push((name.trim().to_owned(), n));
                }
            }
        }
        let is_known = |name: &str| self.known.is_tool(name) || self.names.which(name).is_some();
        // A real tool's name tells it from an argument under one of these keys.
        if named.iter().any(|(name, _)| is_known(name)) {
            named.retain(|(name, _)| is_known(name));
        }
        match named.as_slice() {
            [] => Ok(None),
            [(name, at), others @ ..] if others.iter().all(|(other, _)| other == name) => {
                Ok(Some((name.clone(), *at)))
            }
            several => {
                let all: Vec<String> = several
                    .iter()
                    .map(|(name, n)| format!("`{}`: `{}`", parts[*n].key, short(name)))
                    .collect();
                Err(MetaCallError::WhichName(all.join(", ")))
            }
        }
    }

    /// A call whose outermost object names no tool: it wraps a call, or the name stands among the
    /// arguments.
    fn without_name(
        &self,
        parts: &[Part<'_>],
        repairs: &mut Vec<Repair>,
        depth: usize,
    ) -> Result<(String, String), MetaCallError> {
        let is_wrapper = |key: &str| {
            NAME_KEYS.contains(&key)
                || ARGUMENT_KEYS.contains(&key)
                || OTHER_ARGUMENT_KEYS.contains(&key)
        };
        let wrappers: Vec<&Part<'_>> = parts
            .iter()
            .filter(|part| is_wrapper(&part.key) && !is_nothing(part.raw))
            .collect();
        let [wrapper] = wrappers.as_slice() else {
            return Err(MetaCallError::NoName);
        };
        // Beside a wrapped call nothing else may carry arguments (OpenAI's `id` and `type` may).
        let others = parts
            .iter()
            .filter(|part| !is_wrapper(&part.key) && !matches!(part.key.as_str(), "id" | "type"));
        let others: Vec<String> = others
            .map(|part| format!("`{}`", short(&part.key)))
            .collect();
        if !others.is_empty() {
            return Err(MetaCallError::NoName);
        }
        let inner = object(wrapper.raw, &format!("`{}`", wrapper.key), repairs)
            .map_err(|_| MetaCallError::NoName)?;
        let inner_parts = self::parts(&inner);
        // A call again, or arguments with the name among them?
        let holds_arguments = inner_parts.iter().any(|part| {
            ARGUMENT_KEYS.contains(&part.key.as_str())
                || OTHER_ARGUMENT_KEYS.contains(&part.key.as_str())
        });
        let is_alone = inner_parts.len() == 1;
        push(
            repairs,
            if holds_arguments || is_alone {
                Repair::Wrapped
            } else {
                Repair::NameAmongArguments
            },
        );
        if !holds_arguments && !is_alone {
            let Some((tool, _)) = self.tool_name(&inner_parts)? else {
                return Err(MetaCallError::NoName);
            };
            if !self.known.is_tool(&tool) {
                return Err(MetaCallError::NoName);
            }
        }
        self.call(&inner, repairs, depth + 1)
    }

    /// Finds the arguments among what stands beside the name.
    fn arguments(
        &self,
        tool: &str,
        rest: &[&Part<'_>],
        repairs: &mut Vec<Repair>,
    ) -> Result<String, MetaCallError> {
        let (holders, others): (Vec<&Part<'_>>, Vec<&Part<'_>>) = rest
            .iter()
            .copied()
            .partition(|part| self.holds_arguments(tool, part));
        let full: Vec<&Part<'_>> = holders
            .iter()
            .copied()
            .filter(|part| !is_nothing(part.raw))
            .collect();
        match (full.as_slice(), others.as_slice()) {
            ([], []) => match holders.first() {
                // An empty object may have spaces inside; they stay.
                Some(part) if part.raw.starts_with('{') => Ok(part.raw.to_owned()),
                _ => Ok("{}".to_owned()),
            },
            ([], others) => {
                push(repairs, Repair::ArgumentsBesideName);
                Ok(object_of(others))
            }
            ([one], []) => {
                if !ARGUMENT_KEYS.contains(&one.key.as_str()) {
                    push(repairs, Repair::ArgumentsKey);
                }
                let found = object(one.raw, &format!("`{}`", one.key), repairs)?;
                Ok(found.into_owned())
            }
            (full, others) => {
                let keys = full.iter().chain(others).take(5);
                let keys: Vec<String> =
                    keys.map(|part| format!("`{}`", short(&part.key))).collect();
                Err(MetaCallError::WhichArguments(keys.join(", ")))
            }
        }
    }

    /// Opens arguments that are a call themselves: of the same tool again, of the tool that was
    /// called through the name of one of ours, or of nothing but arguments.
    fn unwrapped(
        &self,
        tool: String,
        arguments: String,
        repairs: &mut Vec<Repair>,
        depth: usize,
    ) -> Result<(String, String), MetaCallError> {
        let is_ours = matches!(self.ours(&tool), Some(MetaTool::Call(_)));
        let inner = parts(&arguments);
        let is_argument_key = |part: &Part<'_>| {
            let key = part.key.as_str();
            (ARGUMENT_KEYS.contains(&key) || OTHER_ARGUMENT_KEYS.contains(&key))
                && !self.known.has_parameter(&tool, key)
                && looks_like_object(part.raw)
        };
        let is_same_name =
            |part: &Part<'_>| same_name(part, &tool) && !self.known.has_parameter(&tool, &part.key);
        let is_call = match inner.as_slice() {
            [one] => ARGUMENT_KEYS[0] == one.key && is_argument_key(one),
            [a, b] => {
                (is_same_name(a) && is_argument_key(b)) || (is_same_name(b) && is_argument_key(a))
            }
            _ => false,
        };
        if !is_ours && !is_call {
            return Ok((tool, arguments));
        }
        if depth >= MAX_WRAPPERS {
            return Err(MetaCallError::TooManyWrappers);
        }
        push(repairs, Repair::Wrapped);
        if is_ours {
            return self.call(&arguments, repairs, depth + 1);
        }
        let rest: Vec<&Part<'_>> = inner.iter().filter(|part| !is_same_name(part)).collect();
        let arguments = self.arguments(&tool, &rest, repairs)?;
        self.unwrapped(tool, arguments, repairs, depth + 1)
    }
}

/// The tool's name said once more under another of its keys.
fn same_name(part: &Part<'_>, tool: &str) -> bool {
    NAME_KEYS.contains(&part.key.as_str())
        && text_of(part.raw).is_some_and(|text| text.trim() == tool)
}

fn looks_like_object(raw: &str) -> bool {
    match raw.as_bytes().first() {
        Some(b'{') => true,
        Some(b'"') => text_of(raw).is_some_and(|text| {
            let text = text.trim_start();
            text.starts_with(['{', '`']) || text.starts_with("\"{")
        }),
        _ => false,
    }
}

/// A name as an error shows it.
fn short(name: &str) -> String {
    let mut shown: String = name.chars().take(60).collect();
    if shown.len() < name.len() {
        shown.push('…');
    }
    shown
}
