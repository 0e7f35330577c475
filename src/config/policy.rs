//! The section `policy` of a file: rows become rules that are compiled, with the line of what is wrong.

use serde_json::Number;

use crate::policy::MAX_ENTRIES;
use crate::policy::arguments::{Json, Operator, Test};
use crate::policy::pattern::Pattern;
use crate::policy::rule::{Effect, Mode, Rule, WantedHints};

use super::document::{Entry, Node, Value};
use super::finding::{Fault, did_you_mean};
use super::input::{Input, quoted};

const RULE_KEYS: [&str; 9] = [
    "name",
    "effect",
    "mode",
    "servers",
    "tools",
    "principals",
    "hints",
    "arguments",
    "reads",
];
const HINTS: [&str; 4] = [
    "readOnlyHint",
    "destructiveHint",
    "idempotentHint",
    "openWorldHint",
];
const TEST_KEYS: [&str; 11] = [
    "pointer", "not", "eq", "in", "prefix", "under", "glob", "regex", "lt", "gt", "exists",
];

/// Reads one of the words of a table.
pub(super) fn word<T: Copy>(given: &str, words: &[(&'static str, T)]) -> Result<T, Fault> {
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == given) {
        return Ok(*value);
    }
    let words: Vec<String> = words.iter().map(|(word, _)| (*word).to_owned()).collect();
    let fault = Fault::new(format!("`{given}` is not one of {}", quoted(&words)));
    Err(
        match did_you_mean(given, words.iter().map(String::as_str)) {
            Some(hint) => fault.hint(hint),
            None => fault,
        },
    )
}

/// Compiles patterns of names.
pub(super) fn patterns(texts: &[String]) -> Result<Vec<Pattern>, Fault> {
    texts
        .iter()
        .map(|text| Pattern::new(text).map_err(Fault::new))
        .collect()
}

/// Reads the rules.
pub(super) fn rules(input: &Input<'_>) -> Result<Vec<Rule>, Fault> {
    let Input::Node(node, _) = input else {
        return Err(Fault::new("rules do not fit into a variable")
            .hint("write them as `[[policy.rules]]` in a file"));
    };
    let nodes = node
        .as_array()
        .map_err(|fault| fault.hint("write `[[policy.rules]]` with two brackets"))?;
    bounded(node, nodes.len())?;
    nodes
        .iter()
        .enumerate()
        .map(|(index, node)| {
            rule(node, index).map_err(|fault| {
                let subkey = match &fault.subkey {
                    Some(subkey) => format!("{index}.{subkey}"),
                    None => index.to_string(),
                };
                fault.at(node.line).part(subkey)
            })
        })
        .collect()
}

fn bounded(node: &Node, length: usize) -> Result<(), Fault> {
    if length > MAX_ENTRIES {
        return Err(Fault::new(format!(
            "{length} entries; at most {MAX_ENTRIES} are allowed"
        ))
        .at(node.line));
    }
    Ok(())
}

fn rule(node: &Node, index: usize) -> Result<Rule, Fault> {
    let mut rule = Rule {
        label: (index + 1).to_string(),
        effect: Effect::Deny,
        mode: Mode::Enforce,
        servers: Vec::new(),
        tools: Vec::new(),
        principals: Vec::new(),
        hints: WantedHints::default(),
        tests: Vec::new(),
        is_reading: false,
    };
    let mut has_effect = false;
    for entry in node.as_table()? {
        let outcome = part(entry, &mut rule, &mut has_effect);
        outcome.map_err(|fault| {
            let subkey = match &fault.subkey {
                Some(subkey) => format!("{}.{subkey}", entry.key),
                None => entry.key.clone(),
            };
            fault.at(entry.line).part(subkey)
        })?;
    }
    if !has_effect {
        return Err(Fault::new("the rule has no `effect`")
            .hint("add `effect = \"deny\"`, `\"approve\"` or `\"allow\"`"));
    }
    if rule.is_reading && rule.effect != Effect::Allow {
        return Err(Fault::new("`reads` belongs to rules that allow")
            .part("reads")
            .hint("in read-only mode it lets calls pass"));
    }
    Ok(rule)
}

fn part(entry: &Entry, rule: &mut Rule, has_effect: &mut bool) -> Result<(), Fault> {
    let node = &entry.node;
    match entry.key.as_str() {
        "name" => {
            let name = node.as_text()?;
            if name.is_empty() || name.len() > 64 || name.chars().any(char::is_control) {
                return Err(Fault::new(
                    "a rule's name has 1 to 64 bytes and no control characters",
                ));
            }
            rule.label = format!("\"{name}\"");
        }
        "effect" => {
            rule.effect = word(node.as_text()?, &Effect::ALL)?;
            *has_effect = true;
        }
        "mode" => rule.mode = word(node.as_text()?, &Mode::ALL)?,
        "servers" => rule.servers = patterns(&texts(node)?)?,
        "tools" => rule.tools = patterns(&texts(node)?)?,
        "principals" => rule.principals = patterns(&texts(node)?)?,
        "hints" => {
            for hint in node.as_table()? {
                let at = |fault: Fault| fault.at(hint.line).part(&hint.key);
                let wanted = Some(hint.node.as_bool().map_err(at)?);
                match hint.key.as_str() {
                    "readOnlyHint" => rule.hints.read_only = wanted,
                    "destructiveHint" => rule.hints.destructive = wanted,
                    "idempotentHint" => rule.hints.idempotent = wanted,
                    "openWorldHint" => rule.hints.open_world = wanted,
                    other => return Err(at(unknown(other, &HINTS))),
                }
            }
        }
        "arguments" => {
            let nodes = node.as_array()?;
            bounded(node, nodes.len())?;
            rule.tests = nodes
                .iter()
                .enumerate()
                .map(|(index, node)| {
                    test(node).map_err(|fault| fault.at(node.line).part(index.to_string()))
                })
                .collect::<Result<_, _>>()?;
            if rule.tests.is_empty() {
                return Err(empty());
            }
        }
        "reads" => rule.is_reading = node.as_bool()?,
        other => return Err(unknown(other, &RULE_KEYS)),
    }
    Ok(())
}

/// An empty list would fit everything, which is seldom what was meant.
fn texts(node: &Node) -> Result<Vec<String>, Fault> {
    let texts = match &node.value {
        Value::Text(text) => vec![text.clone()],
        Value::Array(nodes) => nodes
            .iter()
            .map(|node| node.as_text().map(str::to_owned))
            .collect::<Result<_, _>>()?,
        _ => return Err(node.unexpected("a string or a list of strings")),
    };
    bounded(node, texts.len())?;
    if texts.is_empty() {
        return Err(empty());
    }
    Ok(texts)
}

fn empty() -> Fault {
    Fault::new("the list is empty").hint("leave the key out to mean everything")
}

fn unknown(given: &str, known: &[&str]) -> Fault {
    let fault = Fault::new("unknown key");
    match did_you_mean(given, known.iter().copied()) {
        Some(hint) => fault.hint(hint),
        None => {
            let known: Vec<String> = known.iter().map(|key| (*key).to_owned()).collect();
            fault.hint(format!("known are {}", quoted(&known)))
        }
    }
}

fn test(node: &Node) -> Result<Test, Fault> {
    let mut pointer = None;
    let mut is_negated = false;
    let mut operator = None;
    for entry in node.as_table()? {
        let node = &entry.node;
        let read = match entry.key.as_str() {
            "pointer" => {
                pointer = Some(node.as_text()?);
                continue;
            }
            "not" => {
                is_negated = node.as_bool()?;
                continue;
            }
            "eq" => Operator::Eq(scalar(node)?),
            "in" => {
                let nodes = node.as_array()?;
                bounded(node, nodes.len())?;
                if nodes.is_empty() {
                    return Err(empty());
                }
                Operator::In(nodes.iter().map(scalar).collect::<Result<_, _>>()?)
            }
            "prefix" => Operator::Prefix(filled(node)?),
            "under" => Operator::Under(filled(node)?),
            "glob" => Operator::glob(&filled(node)?).map_err(Fault::new)?,
            "regex" => Operator::regex(&filled(node)?).map_err(Fault::new)?,
            "lt" => Operator::Lt(number(node)?),
            "gt" => Operator::Gt(number(node)?),
            "exists" => Operator::Exists(node.as_bool()?),
            other => return Err(unknown(other, &TEST_KEYS)),
        };
        if operator.replace(read).is_some() {
            return Err(Fault::new("a test has one operator")
                .hint("write a second test; all of a rule have to hold"));
        }
    }
    let pointer = pointer.ok_or_else(|| {
        Fault::new("the test has no `pointer`").hint("write `pointer = \"/path\"`")
    })?;
    let operator = operator.ok_or_else(|| {
        Fault::new("the test has no operator")
            .hint("add one of `eq`, `in`, `prefix`, `under`, `glob`, `regex`, `lt`, `gt`, `exists`")
    })?;
    Test::new(pointer, operator, is_negated).map_err(Fault::new)
}

fn filled(node: &Node) -> Result<String, Fault> {
    let text = node.as_text()?;
    if text.is_empty() {
        return Err(Fault::new("the text is empty, which fits everything"));
    }
    Ok(text.to_owned())
}

fn scalar(node: &Node) -> Result<Json, Fault> {
    match &node.value {
        Value::Null => Ok(Json::Null),
        Value::Bool(value) => Ok(Json::Bool(*value)),
        Value::Text(text) => Ok(Json::Text(text.clone())),
        Value::Integer(_) | Value::OtherNumber(_) => number(node).map(Json::Number),
        Value::Array(_) | Value::Table(_) => {
            Err(node.unexpected("a string, a number, true or false"))
        }
    }
}

fn number(node: &Node) -> Result<Number, Fault> {
    let number = match &node.value {
        Value::Integer(number) => return Ok((*number).into()),
        Value::OtherNumber(text) => text
            .replace('_', "")
            .parse()
            .ok()
            .and_then(Number::from_f64),
        _ => None,
    };
    number.ok_or_else(|| node.unexpected("a finite number"))
}
