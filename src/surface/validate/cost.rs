//! What judging one value would cost, found out before it is judged: a schema of a few lines can
//! double its work with each level (`anyOf` of twins over references), and a validator has no clock.
//!
//! The count is an upper bound of the pairs (schema, value) that are looked at, each pair counted as
//! often as it is reached but computed once, so the count itself is cheap.

use std::collections::HashMap;

use serde_json::Map;
use serde_json::Value;

use crate::jsonrpc;
use crate::surface::validate::Limits;
use crate::surface::validate::bounds::Bounds;

/// Pairs of schema and value that are computed for one bound, at most.
const MAX_PAIRS: usize = 100_000;
/// Weight of a pattern from which matching is slow.
const MANY_STATES: u64 = 256;
/// Units for one look of one schema at one value.
const LOOK: u64 = 50;

/// Why the arguments of one call were not judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotChecked {
    /// More bytes or levels than allowed.
    #[error("the arguments are too large to be checked")]
    TooLarge,
    /// No JSON, or parsers disagree on what it says.
    #[error("the arguments cannot be read in one way only")]
    Unreadable,
    /// The judgement would take too long or never end.
    #[error("checking the arguments would take too long")]
    TooCostly,
    /// The validator said no and could not say why.
    #[error("the check came to no result")]
    Undecided,
}

/// Reads arguments within the limits.
pub(super) fn read(arguments: &[u8], limits: &Limits) -> Result<Value, NotChecked> {
    if arguments.len() > limits.max_argument_bytes {
        return Err(NotChecked::TooLarge);
    }
    let text = std::str::from_utf8(arguments).map_err(|_| NotChecked::Unreadable)?;
    let strict = jsonrpc::Limits {
        depth: limits.max_argument_depth,
        ..jsonrpc::Limits::default()
    };
    jsonrpc::strict::check(text, &strict).map_err(|error| match error {
        jsonrpc::strict::StrictError::TooDeep { .. } => NotChecked::TooLarge,
        _ => NotChecked::Unreadable,
    })?;
    serde_json::from_str(text).map_err(|_| NotChecked::Unreadable)
}

/// Admits a judgement whose cost is bounded.
pub(super) fn admit(
    schema: &Value,
    bounds: &Bounds,
    value: &Value,
    limits: &Limits,
) -> Result<(), NotChecked> {
    // The names of the members, as the values that `propertyNames` judges.
    let mut names = HashMap::new();
    collect_names(value, &mut names);
    let mut count = Count {
        schema,
        bounds,
        limits,
        names: &names,
        known: HashMap::new(),
    };
    match count.pair(schema, value, 0) {
        Some(cost) if cost <= limits.max_cost => Ok(()),
        _ => Err(NotChecked::TooCostly),
    }
}

fn collect_names<'v>(value: &'v Value, names: &mut HashMap<&'v str, Value>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                names
                    .entry(name)
                    .or_insert_with(|| Value::String(name.clone()));
                collect_names(value, names);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_names(item, names)),
        _ => {}
    }
}

type Pair = (*const Value, *const Value);

struct Count<'a> {
    schema: &'a Value,
    bounds: &'a Bounds,
    limits: &'a Limits,
    names: &'a HashMap<&'a str, Value>,
    /// `None` while it is being computed: meeting it again is a circle without progress.
    known: HashMap<Pair, Option<u64>>,
}

impl<'a> Count<'a> {
    /// `None` if there is no bound.
    fn pair(&mut self, schema: &'a Value, value: &'a Value, depth: usize) -> Option<u64> {
        let Value::Object(keywords) = schema else {
            return Some(1);
        };
        if depth > self.limits.max_judging_depth {
            return None;
        }
        let key = (std::ptr::from_ref(schema), std::ptr::from_ref(value));
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        if self.known.len() >= MAX_PAIRS {
            return None;
        }
        self.known.insert(key, None);
        let cost = self.keywords(keywords, value, depth + 1)?;
        self.known.insert(key, Some(cost));
        Some(cost)
    }

    fn keywords(
        &mut self,
        keywords: &'a Map<String, Value>,
        value: &'a Value,
        depth: usize,
    ) -> Option<u64> {
        let mut in_place: u64 = 0;
        let mut below = LOOK;
        for (keyword, argument) in keywords {
            match keyword.as_str() {
                "$ref" | "$dynamicRef" | "$recursiveRef" => {
                    for target in self.bounds.targets(self.schema, argument.as_str()?) {
                        in_place = in_place.saturating_add(self.pair(target, value, depth)?);
                    }
                }
                "not" | "if" | "then" | "else" => {
                    in_place = in_place.saturating_add(self.pair(argument, value, depth)?);
                }
                "allOf" | "anyOf" | "oneOf" => {
                    for branch in argument.as_array().into_iter().flatten() {
                        in_place = in_place.saturating_add(self.pair(branch, value, depth)?);
                    }
                }
                "dependentSchemas" | "dependencies" => {
                    for branch in argument.as_object().into_iter().flat_map(Map::values) {
                        in_place = in_place.saturating_add(self.pair(branch, value, depth)?);
                    }
                }
                "pattern" => below = below.saturating_add(pattern(argument, value)),
                "enum" => below = below.saturating_add(argument.as_array()?.len() as u64),
                _ => {
                    let cost = match value {
                        Value::Object(members) => {
                            self.members(keyword, argument, members, depth)?
                        }
                        Value::Array(items) => self.items(keyword, argument, items, depth)?,
                        _ => 0,
                    };
                    below = below.saturating_add(cost);
                }
            }
        }
        // What is unevaluated is found out by evaluating the rest again for each member.
        if keywords.contains_key("unevaluatedProperties")
            || keywords.contains_key("unevaluatedItems")
        {
            let n_members = match value {
                Value::Object(members) => members.len(),
                Value::Array(items) => items.len(),
                _ => 0,
            };
            in_place = in_place.saturating_mul(n_members as u64 + 2);
        }
        Some(below.saturating_add(in_place))
    }

    fn members(
        &mut self,
        keyword: &str,
        argument: &'a Value,
        members: &'a Map<String, Value>,
        depth: usize,
    ) -> Option<u64> {
        let mut cost: u64 = 0;
        match keyword {
            "properties" => {
                let properties = argument.as_object()?;
                for (name, value) in members {
                    if let Some(property) = properties.get(name) {
                        cost = cost.saturating_add(self.pair(property, value, depth)?);
                    }
                }
            }
            "patternProperties" => {
                for (text, property) in argument.as_object()? {
                    for (name, value) in members {
                        cost = cost.saturating_add(matching(text, name));
                        cost = cost.saturating_add(self.pair(property, value, depth)?);
                    }
                }
            }
            "additionalProperties" | "unevaluatedProperties" => {
                for value in members.values() {
                    cost = cost.saturating_add(self.pair(argument, value, depth)?);
                }
            }
            "propertyNames" => {
                for name in members.keys() {
                    let names = self.names;
                    let name = names.get(name.as_str())?;
                    cost = cost.saturating_add(self.pair(argument, name, depth)?);
                }
            }
            _ => {}
        }
        Some(cost)
    }

    fn items(
        &mut self,
        keyword: &str,
        argument: &'a Value,
        items: &'a [Value],
        depth: usize,
    ) -> Option<u64> {
        let mut cost: u64 = 0;
        match (keyword, argument) {
            ("items" | "prefixItems", Value::Array(schemas)) => {
                for (schema, item) in schemas.iter().zip(items) {
                    cost = cost.saturating_add(self.pair(schema, item, depth)?);
                }
            }
            ("items" | "additionalItems" | "unevaluatedItems" | "contains", schema) => {
                for item in items {
                    cost = cost.saturating_add(self.pair(schema, item, depth)?);
                }
            }
            ("uniqueItems", _) => cost = (items.len() as u64).saturating_mul(4 * LOOK),
            _ => {}
        }
        Some(cost)
    }
}

fn pattern(argument: &Value, value: &Value) -> u64 {
    match (argument, value) {
        (Value::String(text), Value::String(value)) => matching(text, value),
        _ => 0,
    }
}

/// Work of matching one text. Beyond some hundred states the engine's caches no longer help.
fn matching(text: &str, value: &str) -> u64 {
    let weight = weight(text);
    let per_character = if weight > MANY_STATES {
        weight.saturating_mul(4)
    } else {
        weight
    };
    per_character.saturating_mul(value.len() as u64 + 1)
}

/// Steps that a pattern may take for one character: its states at once, repetitions written out.
fn weight(text: &str) -> u64 {
    // Sums of the open groups; the last piece of each, which a repetition repeats.
    let mut open: Vec<(u64, u64)> = vec![(1, 1)];
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        let is_outermost = open.len() == 1;
        let (sum, last) = open.last_mut().expect("the outermost is never closed");
        match c {
            '(' => {
                open.push((1, 1));
                continue;
            }
            ')' if !is_outermost => {
                let (inside, _) = open.pop().expect("more than one");
                let (sum, last) = open.last_mut().expect("the outermost is never closed");
                *sum = sum.saturating_add(inside);
                *last = inside;
                continue;
            }
            '{' => {
                let (bounds, after) = rest.split_once('}').unwrap_or((rest, ""));
                let numbers = bounds.split(',');
                let most = numbers.filter_map(|number| number.trim().parse::<u64>().ok());
                if let Some(most) = most.max() {
                    let whole = last.saturating_mul(most);
                    *sum = sum.saturating_add(whole);
                    *last = whole;
                    rest = after;
                    continue;
                }
            }
            '\\' => {
                let escaped = rest.chars().next().map_or(0, char::len_utf8);
                rest = &rest[escaped..];
            }
            '*' | '+' | '?' => continue,
            _ => {}
        }
        *sum = sum.saturating_add(1);
        *last = 1;
    }
    open.into_iter()
        .fold(0, |whole, (sum, _)| whole.saturating_add(sum))
}

#[cfg(test)]
mod tests {
    use super::weight;

    #[test]
    fn repetitions_weigh_what_they_stand_for() {
        assert_eq!(weight("abc"), 4);
        assert!(weight("a{8}-b{4}-c{12}") < 50);
        assert!(weight("(a{90}b?){90}") > 8_000);
        assert!(weight("((a{1000}){1000}){1000}") > 1_000_000_000);
        assert!(weight(r"\(\{9}\}") < 20);
        for odd in [
            "(((",
            ")))",
            "{",
            "a{",
            "a{x}",
            "\\",
            "a{99999999999999999999}",
            "[(]",
        ] {
            assert!(weight(odd) < 30, "{odd}");
        }
        assert_eq!(
            weight("((a{9999999999}){9999999999}){9999999999}"),
            u64::MAX
        );
    }
}
