//! What a model reads after a search, a describe or a call that went astray. Text of the same input
//! is the same; servers' texts are cut, never joined with one another.

use std::collections::HashSet;
use std::fmt::Write as _;

use crate::catalog::risk::RiskClass;
use crate::catalog::task::may_be_task;
use crate::catalog::tool_view;
use crate::catalog::tool_view::ToolView;
use crate::catalog::tool_view::minify;
use crate::jsonrpc::text::to_string as json_string;
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

/// Members of a tool that say nothing about calling it. What `annotations` decide is its class, which stands in
/// front; `execution` says something only where a call may be a task; the rest is for clients.
const NOT_FOR_CALLS: [&str; 5] = ["outputSchema", "annotations", "execution", "icons", "_meta"];
/// How the markers of the published dialects begin.
const PUBLISHED_DIALECTS: [&str; 2] = ["http://json-schema.org/", "https://json-schema.org/"];

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

/// Renders what a caller needs of definitions, as many as fit: every word and constraint of the parameters, lean,
/// and what else describes the tool. With `output_schema` they are whole, exactly as their servers sent them. One
/// that is too large for any answer becomes its schema alone, then is left out; the text says so.
pub fn describe_text(tools: &[Described<'_>], output_schema: bool) -> String {
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
                let for_calls = if output_schema {
                    None
                } else {
                    for_calls(name, definition)
                };
                let shown = for_calls.as_deref().unwrap_or(definition);
                let room = MAX_DESCRIBE_BYTES.saturating_sub(text.len());
                if shown.len() <= room {
                    let _ = writeln!(text, "`{name}` [{risk}]:\n{shown}");
                    if let Some(shape) = shape {
                        let _ = writeln!(text, "result (seen before): {shape}");
                    }
                } else if let Some(part) = smaller(definition, room) {
                    let _ = writeln!(
                        text,
                        "`{name}` [{risk}], only its schema for its size:\n{part}"
                    );
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

/// A definition without what no call needs: lean, and without its name, which stands in front of it, a title that
/// says the name again, and [`NOT_FOR_CALLS`]. Every other member stays in its place, its values byte for byte but for
/// whitespace. None where readers could take it differently; then it is shown as it came.
fn for_calls(shown_name: &str, definition: &str) -> Option<String> {
    let leaned = lean::lean(definition, &lean::Limits::default());
    let view = ToolView::parse(leaned.text(definition)).ok()?;
    if view.duplicate_key().is_some() {
        return None;
    }
    let name = view.name_text().unwrap_or_default();
    let says_the_name = |title: &str| {
        tool_view::string_text(title)
            .is_some_and(|title| is_same(&title, &name) || is_same(&title, shown_name))
    };
    let mut text = String::from("{");
    for member in tool_view::members(view.wire).ok()? {
        let (key, raw) = match member.key.as_ref() {
            "name" => continue,
            "title" if says_the_name(member.raw) => continue,
            // A title that stands there alone is the tool's.
            "annotations" if view.title.is_none() => {
                let hints = tool_view::members(member.raw).unwrap_or_default();
                let title = hints.into_iter().find(|hint| hint.key == "title");
                match title {
                    Some(title) if !says_the_name(title.raw) => ("title", title.raw),
                    _ => continue,
                }
            }
            "execution" if may_be_task(member.raw.as_bytes()) => ("execution", member.raw),
            key if NOT_FOR_CALLS.contains(&key) => continue,
            key => (key, member.raw),
        };
        let value = match key {
            "inputSchema" => without_dialect(raw),
            _ => minify(raw),
        };
        let separator = if text.len() > 1 { "," } else { "" };
        let _ = write!(text, "{separator}{}:{value}", json_string(key));
    }
    text.push('}');
    Some(text)
}

/// Says whether two names have the same letters and digits: `Create Entities`, `create_entities`.
fn is_same(a: &str, b: &str) -> bool {
    let letters = |text: &str| -> String {
        let letters = text.chars().filter(|c| c.is_alphanumeric());
        letters.flat_map(char::to_lowercase).collect()
    };
    letters(a) == letters(b)
}

/// A schema, minified, without the marker of a published dialect: it tells validators how to read, and a model
/// reads the same either way.
fn without_dialect(schema: &str) -> String {
    let is_marker = |member: &tool_view::Member<'_>| {
        member.key == "$schema"
            && tool_view::string_text(member.raw).is_some_and(|dialect| {
                PUBLISHED_DIALECTS
                    .iter()
                    .any(|place| dialect.starts_with(place))
            })
    };
    let Ok(members) = tool_view::members(schema) else {
        return minify(schema);
    };
    if !members.iter().any(is_marker) {
        return minify(schema);
    }
    let kept = members.iter().filter(|member| !is_marker(member));
    let kept: Vec<String> = kept
        .map(|member| format!("{}:{}", json_string(&member.key), minify(member.raw)))
        .collect();
    format!("{{{}}}", kept.join(","))
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

/// Makes the text of that error where no caller of the right class is listed: the tool's class was another one, or
/// the tool was not there, when the list was made. Its own name reaches it in any case.
pub fn no_caller_text(names: &MetaNames, tool: &str, used: RiskClass, is: RiskClass) -> String {
    format!(
        "Not called: `{tool}` is a [{is}] tool, {} calls [{used}] tools only. Call `{tool}` by its own name, with the same arguments.",
        names.of(MetaTool::Call(used)),
        tool = cut(tool, MAX_SHOWN),
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
    use super::for_calls;

    /// Broken variant that this catches: one that is silent about calls that have to be tasks.
    #[test]
    fn what_no_call_needs_goes_and_nothing_else() {
        let many = r#"{ "name":"get_x","title":"Get X","description":"Gets\nx", "inputSchema": {
            "$schema":"http://json-schema.org/draft-07/schema#", "type":"object",
            "properties":{"a b":{"type":"integer","minimum":1.0,"default":1e2,"enum":[1, 2]},
            "$schema":{"type":"string","title":"Which one"}},
            "required":["a b"],"additionalProperties":false},
            "annotations":{"readOnlyHint":true},"execution":{"taskSupport":"forbidden"},
            "outputSchema":{"type":"object"},"icons":[],"_meta":{"a":1},"inputExamples":[{"a b": 1}]}"#;
        let few = r#"{"description":"Gets\nx","inputSchema":{"type":"object","properties":{"a b":{"type":"integer","minimum":1.0,"default":1e2,"enum":[1,2]},"$schema":{"type":"string","title":"Which one"}},"required":["a b"],"additionalProperties":false},"inputExamples":[{"a b":1}]}"#;
        for (definition, expected) in [
            (many, Some(few)),
            (r#"{"name":"get_x"}"#, Some("{}")),
            (
                r#"{"name":"get_x","execution":{ "taskSupport":"required" }}"#,
                Some(r#"{"execution":{"taskSupport":"required"}}"#),
            ),
            // Words that the name does not have.
            (
                r#"{"name":"get_x","title":"Get X (old)"}"#,
                Some(r#"{"title":"Get X (old)"}"#),
            ),
            (
                r#"{"name":"get_x","annotations":{"title":"Old X","readOnlyHint":true}}"#,
                Some(r#"{"title":"Old X"}"#),
            ),
            (
                r#"{"annotations":{"title":"Get X"},"name":"get_x"}"#,
                Some("{}"),
            ),
            // The name that it has here, behind a prefix.
            (r#"{"name":"x","title":"Server Get X"}"#, Some("{}")),
            (
                r#"{"inputSchema":{"$schema":"https://example.org/own","type":"object"}}"#,
                Some(r#"{"inputSchema":{"$schema":"https://example.org/own","type":"object"}}"#),
            ),
            (
                r#"{"inputSchema":{"$schema":"https://json-schema.org/draft/2020-12/schema"}}"#,
                Some(r#"{"inputSchema":{}}"#),
            ),
            (
                r#"{"inputSchema":7,"title":7}"#,
                Some(r#"{"inputSchema":7,"title":7}"#),
            ),
            // Which one counts?
            (
                r#"{"inputSchema":{},"inputSchema":{"type":"object"}}"#,
                None,
            ),
            ("7", None),
        ] {
            let shown = for_calls("server__get_x", definition);
            assert_eq!(shown.as_deref(), expected, "{definition}");
        }
    }
}
