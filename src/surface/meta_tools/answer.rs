//! What a model reads after a search, a describe or a call that went astray. Text of the same input
//! is the same; servers' texts are cut, never joined with one another.

use std::collections::HashSet;
use std::fmt::Write as _;

use crate::catalog::risk::RiskClass;
use crate::catalog::tool_view::ToolView;
use crate::catalog::tool_view::minify;
use crate::jsonrpc::members;
use crate::surface::lean;
use crate::surface::meta_tools::MetaNames;
use crate::surface::meta_tools::MetaTool;
use crate::token::Tokens;

/// Characters of one result's rendering.
const MAX_LINE: usize = 500;
/// Characters of a query or a name that are repeated to the model.
const MAX_SHOWN: usize = 120;
/// Bytes of all definitions in one answer.
const MAX_DESCRIBE_BYTES: usize = 96 * 1024;

/// Bytes of an `outputSchema` from which on it is left out of a description.
const LONG_OUTPUT_SCHEMA: usize = 1_000;

/// What calls of a tool have cost before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallCost {
    /// A usual answer (the median).
    pub usual: Tokens,
    /// The largest answer seen.
    pub largest: Tokens,
}

/// One tool that a search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    /// The name under which it is called.
    pub name: &'a str,
    /// Its rendering in one line, with or without the name in front; none where the name is enough.
    pub line: Option<&'a str>,
    /// The list shows its parameters.
    pub is_listed: bool,
    /// Its class, which names its caller.
    pub risk: RiskClass,
    /// Its server, where there are several.
    pub server: Option<&'a str>,
    /// What calls have cost, if any were seen.
    pub cost: Option<CallCost>,
}

/// The results of one query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchAnswer<'a> {
    /// The query as it was sent.
    pub query: &'a str,
    /// The best first; empty where nothing fits.
    pub found: Vec<Found<'a>>,
    /// A tool's name that the query may have meant.
    pub did_you_mean: Option<&'a str>,
}

/// One name of a describe call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Described<'a> {
    /// A tool.
    Tool {
        /// The name under which it is called.
        name: &'a str,
        /// Its class.
        risk: RiskClass,
        /// Its definition as its server sent it.
        definition: &'a str,
        /// How its results looked before, in one line.
        shape: Option<&'a str>,
    },
    /// A name that nothing has.
    Unknown {
        /// The name as it was sent.
        name: &'a str,
        /// A name that it may have meant.
        did_you_mean: Option<&'a str>,
    },
}

/// Renders the results of a search. A tool that two queries found stands with the first. Which caller a mark
/// belongs to stands in the descriptions of the callers and is not repeated.
pub fn search_text(answers: &[SearchAnswer<'_>]) -> String {
    let mut text = String::new();
    let mut shown: HashSet<&str> = HashSet::new();
    for answer in answers {
        let query = cut(answer.query, MAX_SHOWN);
        if answer.found.is_empty() {
            let _ = write!(text, "\"{query}\": nothing fits.");
            push_did_you_mean(&mut text, answer.did_you_mean);
            text.push('\n');
            continue;
        }
        let _ = writeln!(text, "\"{query}\":");
        // The tail, by class in the order of the ranks.
        let mut named: Vec<(RiskClass, Vec<&str>)> = Vec::new();
        for found in &answer.found {
            if found.line.is_none() && !found.is_listed {
                if shown.contains(found.name) {
                    continue;
                }
                match named.iter_mut().find(|(risk, _)| *risk == found.risk) {
                    Some((_, names)) => names.push(found.name),
                    None => named.push((found.risk, vec![found.name])),
                }
                continue;
            }
            if !shown.insert(found.name) {
                let _ = writeln!(text, "- {} (above)", found.name);
                continue;
            }
            push_found(&mut text, found);
        }
        if !named.is_empty() {
            text.push_str("Also");
            for (at, (risk, names)) in named.iter().enumerate() {
                let separator = if at == 0 { "" } else { ";" };
                let _ = write!(text, "{separator} [{risk}] {}", names.join(", "));
            }
            text.push('\n');
        }
    }
    text
}

fn push_found(text: &mut String, found: &Found<'_>) {
    let line = cut(found.line.unwrap_or_default(), MAX_LINE);
    let has_name = line
        .strip_prefix(found.name)
        .is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'));
    let _ = write!(text, "- [{}] ", found.risk);
    if !has_name {
        let separator = if line.is_empty() { "" } else { " " };
        let _ = write!(text, "{}{separator}", found.name);
    }
    text.push_str(&line);
    if found.is_listed {
        text.push_str(" (listed)");
    }
    // Most names begin with it.
    if let Some(server) = found.server
        && !found.name.starts_with(server)
    {
        let _ = write!(text, " ({})", cut(server, MAX_SHOWN));
    }
    if let Some(cost) = found.cost {
        let _ = write!(
            text,
            "; answers: about {} tokens",
            rounded(cost.usual.get())
        );
        if cost.largest.get() > cost.usual.get().saturating_mul(2) {
            let _ = write!(text, ", up to {}", rounded(cost.largest.get()));
        }
    }
    text.push('\n');
}

/// Renders definitions exactly as their servers sent them, as many as fit. A long `outputSchema` is left out
/// unless it is asked for, and that said: calls need none of it, and models rarely see it in lists. One that is too large for
/// any answer is made lean, then left out; the text says so.
pub fn describe_text(names: &MetaNames, tools: &[Described<'_>], output_schema: bool) -> String {
    let mut text = String::new();
    let mut left_out: Vec<&str> = Vec::new();
    for tool in tools {
        match *tool {
            Described::Unknown { name, did_you_mean } => {
                let _ = write!(text, "`{}`: no such tool.", cut(name, MAX_SHOWN));
                push_did_you_mean(&mut text, did_you_mean);
                text.push('\n');
            }
            Described::Tool {
                name,
                risk,
                definition,
                shape,
            } => {
                let cut = if output_schema {
                    None
                } else {
                    without_output_schema(definition)
                };
                let whole = definition;
                let definition = cut.as_deref().unwrap_or(definition);
                let room = MAX_DESCRIBE_BYTES.saturating_sub(text.len());
                let caller = names.of(MetaTool::Call(risk));
                let mut head = format!("`{name}` [{risk}, by {caller}]");
                if cut.is_some() {
                    let n = whole.len() - definition.len();
                    let _ = write!(
                        head,
                        ", without its outputSchema of {n} bytes (ask with output_schema: true)"
                    );
                }
                if definition.len() <= room {
                    let _ = writeln!(text, "{head}:\n{definition}");
                    if let Some(shape) = shape {
                        let _ = writeln!(text, "result (seen before): {shape}");
                    }
                } else if let Some(part) = smaller(definition, room) {
                    let _ = writeln!(text, "{head}, only its schema for its size:\n{part}");
                } else {
                    left_out.push(name);
                }
            }
        }
    }
    if !left_out.is_empty() {
        let _ = writeln!(
            text,
            "Too large for this answer: {}. Ask for them one by one, or call them: wrong arguments are answered with what was expected.",
            left_out.join(", ")
        );
    }
    text
}

/// The definition without a long `outputSchema` and the comma beside it; every other byte stays.
fn without_output_schema(definition: &str) -> Option<String> {
    let bytes = definition.as_bytes();
    let members = members::members(bytes);
    let is_long = |member: &members::Member| {
        member.name(bytes) == "outputSchema" && member.value.len() > LONG_OUTPUT_SCHEMA
    };
    let at = members.iter().position(is_long)?;
    let start = match at.checked_sub(1) {
        Some(before) => members[before].value.end,
        None => members[at].key.start,
    };
    let end = match members.get(at + 1) {
        Some(next) if at == 0 => next.key.start,
        _ => members[at].value.end,
    };
    Some(format!("{}{}", &definition[..start], &definition[end..]))
}

/// The input schema of a definition that is too large, lean, if that fits.
fn smaller(definition: &str, room: usize) -> Option<String> {
    let leaned = lean::lean(definition, &lean::Limits::default());
    let view = ToolView::parse(leaned.text(definition)).ok()?;
    let schema = minify(view.input_schema?);
    (schema.len() <= room).then_some(schema)
}

/// Makes the text of the tool error for a tool called through the caller of another class.
pub fn wrong_caller_text(names: &MetaNames, tool: &str, used: RiskClass, is: RiskClass) -> String {
    format!(
        "Not called: `{}` is a [{is}] tool, {} calls [{used}] tools only. Use {} with the same arguments.",
        cut(tool, MAX_SHOWN),
        names.of(MetaTool::Call(used)),
        names.of(MetaTool::Call(is)),
    )
}

/// Makes the text of the tool error for a name that no tool has.
pub fn unknown_tool_text(names: &MetaNames, name: &str, did_you_mean: Option<&str>) -> String {
    let mut text = format!("Not called: there is no tool `{}`.", cut(name, MAX_SHOWN));
    push_did_you_mean(&mut text, did_you_mean);
    let _ = write!(text, " Find tools with {}.", names.of(MetaTool::Search));
    text
}

fn push_did_you_mean(text: &mut String, name: Option<&str>) {
    if let Some(name) = name {
        let _ = write!(text, " Did you mean `{}`?", cut(name, MAX_SHOWN));
    }
}

/// One line, at most `most` characters.
fn cut(text: &str, most: usize) -> String {
    let mut shown = String::new();
    for (n, c) in text.chars().enumerate() {
        if n == most {
            shown.push('…');
            break;
        }
        shown.push(if c.is_control() { ' ' } else { c });
    }
    shown
}

/// Two significant digits: more would change with every call and tell nothing.
fn rounded(tokens: u64) -> String {
    let digits = tokens.max(1).ilog10();
    let step = 10_u64.pow(digits.saturating_sub(1));
    let tokens = (tokens / step) * step;
    match tokens {
        10_000.. => format!("{}k", tokens / 1000),
        1_000.. => format!("{}.{}k", tokens / 1000, tokens % 1000 / 100),
        _ => tokens.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{LONG_OUTPUT_SCHEMA, without_output_schema};

    #[test]
    fn only_a_long_output_schema_goes() {
        let long = format!(r#"{{"a":",{}"}}"#, "x".repeat(LONG_OUTPUT_SCHEMA));
        for (definition, expected) in [
            (r#"{"name":"a"}"#, None),
            (r#"{"name":"a","outputSchema":{"a":1}}"#, None),
            (
                r#"{ "outputSchema" : LONG , "name":"a"}"#,
                Some(r#"{ "name":"a"}"#),
            ),
            (
                r#"{"name":"a", "outputSchema":LONG}"#,
                Some(r#"{"name":"a"}"#),
            ),
            (
                r#"{"name":"a","outputSchema":LONG,"n":1.0}"#,
                Some(r#"{"name":"a","n":1.0}"#),
            ),
            (r#"{"outputSchema":LONG}"#, Some("{}")),
            (r#"{"x":{"outputSchema":LONG}}"#, None),
            ("7", None),
        ] {
            let definition = definition.replace("LONG", &long);
            assert_eq!(without_output_schema(&definition).as_deref(), expected);
        }
    }
}
