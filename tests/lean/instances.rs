//! Makes instances for a JSON Schema: most of them valid, and mutations of those that usually are
//! not. A seed decides everything, so a failure can be run again. The oracle says which is which;
//! this only has to make both kinds.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

/// Nesting at which the generator stops choosing optional parts.
const MAX_DEPTH: usize = 8;

/// A small deterministic generator (SplitMix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % (n.max(1) as u64)).expect("below a usize")
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<'t, T>(&mut self, items: &'t [T]) -> Option<&'t T> {
        items.get(self.below(items.len()))
    }
}

/// Makes an instance that `schema` should accept.
pub(crate) fn valid(schema: &Value, root: &Value, random: &mut Random, depth: usize) -> Value {
    let Value::Object(keywords) = schema else {
        return anything(random);
    };
    if let Some(target) = keywords.get("$ref").and_then(Value::as_str) {
        let target = target
            .strip_prefix('#')
            .and_then(|pointer| root.pointer(pointer));
        return match target {
            Some(target) if depth < MAX_DEPTH * 2 => valid(target, root, random, depth + 1),
            _ => Value::Null,
        };
    }
    if let Some(value) = keywords.get("const") {
        return value.clone();
    }
    if let Some(Value::Array(values)) = keywords.get("enum") {
        return random.pick(values).cloned().unwrap_or(Value::Null);
    }
    for keyword in ["examples", "default"] {
        if random.one_in(6) {
            match keywords.get(keyword) {
                Some(Value::Array(values)) if keyword == "examples" && !values.is_empty() => {
                    return random.pick(values).cloned().unwrap_or(Value::Null);
                }
                Some(value) if keyword == "default" => return value.clone(),
                _ => {}
            }
        }
    }
    let mut value = own(keywords, root, random, depth);
    for keyword in ["anyOf", "oneOf", "allOf"] {
        let Some(Value::Array(branches)) = keywords.get(keyword) else {
            continue;
        };
        let chosen: Vec<&Value> = if keyword == "allOf" {
            branches.iter().collect()
        } else {
            random.pick(branches).into_iter().collect()
        };
        for branch in chosen {
            let part = valid(branch, root, random, depth + 1);
            match (&mut value, part) {
                (Some(Value::Object(whole)), Value::Object(part)) => whole.extend(part),
                (Some(_), _) => {}
                (none, part) => *none = Some(part),
            }
        }
    }
    value.unwrap_or_else(|| anything(random))
}

/// What the schema says itself, without its branches; `None` if it says nothing of the type.
fn own(
    keywords: &Map<String, Value>,
    root: &Value,
    random: &mut Random,
    depth: usize,
) -> Option<Value> {
    let named = match keywords.get("type") {
        Some(Value::String(name)) => Some(name.as_str()),
        Some(Value::Array(names)) => random.pick(names).and_then(Value::as_str),
        _ => None,
    };
    let implied = ["properties", "required", "additionalProperties"]
        .iter()
        .any(|keyword| keywords.contains_key(*keyword))
        .then_some("object");
    Some(match named.or(implied)? {
        "object" => object(keywords, root, random, depth),
        "array" => array(keywords, root, random, depth),
        "string" => Value::String(string(keywords, random)),
        "integer" => number(keywords, random, true),
        "number" => {
            let is_whole = random.one_in(2);
            number(keywords, random, is_whole)
        }
        "boolean" => Value::Bool(random.one_in(2)),
        _ => Value::Null,
    })
}

fn object(keywords: &Map<String, Value>, root: &Value, random: &mut Random, depth: usize) -> Value {
    let mut value = Map::new();
    let required: Vec<&str> = keywords
        .get("required")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let properties = keywords.get("properties").and_then(Value::as_object);
    for (name, property) in properties.into_iter().flatten() {
        let is_required = required.contains(&name.as_str());
        if is_required || (depth < MAX_DEPTH && random.one_in(2)) {
            value.insert(name.clone(), valid(property, root, random, depth + 1));
        }
    }
    for name in required {
        if !value.contains_key(name) {
            value.insert(name.to_owned(), anything(random));
        }
    }
    if let Some(extra) = keywords
        .get("additionalProperties")
        .filter(|extra| extra.is_object())
        && depth < MAX_DEPTH
        && random.one_in(2)
    {
        value.insert(
            "extra_key".to_owned(),
            valid(extra, root, random, depth + 1),
        );
    }
    let at_least = keywords
        .get("minProperties")
        .and_then(Value::as_u64)
        .unwrap_or(0);
    for n in value.len() as u64..at_least.min(8) {
        value.insert(format!("more_{n}"), anything(random));
    }
    Value::Object(value)
}

fn array(keywords: &Map<String, Value>, root: &Value, random: &mut Random, depth: usize) -> Value {
    let bound = |keyword: &str| keywords.get(keyword).and_then(Value::as_u64);
    let at_least = bound("minItems").unwrap_or(0).min(20);
    let wanted = at_least
        + if depth < MAX_DEPTH {
            random.next() % 3
        } else {
            0
        };
    let n_items = wanted.min(bound("maxItems").unwrap_or(u64::MAX));
    let prefix = keywords.get("prefixItems").and_then(Value::as_array);
    let item = |n: usize, random: &mut Random| {
        let schema = prefix
            .and_then(|prefix| prefix.get(n))
            .or(keywords.get("items"));
        schema.map_or_else(
            || anything(&mut Random::new(n as u64)),
            |schema| valid(schema, root, random, depth + 1),
        )
    };
    Value::Array(
        (0..n_items)
            .map(|n| item(usize::try_from(n).expect("small"), random))
            .collect(),
    )
}

fn string(keywords: &Map<String, Value>, random: &mut Random) -> String {
    let text = match keywords.get("format").and_then(Value::as_str) {
        Some("uri" | "url" | "iri") => "https://example.com/a?b=c",
        Some("date-time") => "2026-01-02T03:04:05Z",
        Some("date") => "2026-01-02",
        Some("time") => "03:04:05Z",
        Some("email") => "someone@example.com",
        Some("uuid") => "123e4567-e89b-12d3-a456-426614174000",
        Some("ipv4") => "192.0.2.1",
        _ => ["alpha", "", "123", "a b", "main", "x_y"][random.below(6)],
    };
    let bound = |keyword: &str| keywords.get(keyword).and_then(Value::as_u64);
    let mut text = text.to_owned();
    while (text.chars().count() as u64) < bound("minLength").unwrap_or(0).min(400) {
        text.push('a');
    }
    match bound("maxLength") {
        Some(most) => text
            .chars()
            .take(usize::try_from(most).unwrap_or(usize::MAX))
            .collect(),
        None => text,
    }
}

fn number(keywords: &Map<String, Value>, random: &mut Random, is_whole: bool) -> Value {
    let bound = |keyword: &str| keywords.get(keyword).and_then(Value::as_f64);
    let low = bound("minimum").or(bound("exclusiveMinimum").map(|low| low + 1.0));
    let high = bound("maximum").or(bound("exclusiveMaximum").map(|high| high - 1.0));
    let step = bound("multipleOf")
        .filter(|step| *step > 0.0)
        .unwrap_or(1.0);
    let start = low.unwrap_or_else(|| high.map_or(0.0, |high| high.min(0.0)));
    let mut value = (start / step).ceil() * step + step * (random.next() % 5) as f64;
    if high.is_some_and(|high| value > high) {
        value = (start / step).ceil() * step;
    }
    if is_whole || value.fract() == 0.0 {
        return json!(value as i64);
    }
    json!(value)
}

fn anything(random: &mut Random) -> Value {
    match random.below(7) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(-7),
        3 => json!(1.5),
        4 => json!("text"),
        5 => json!([1, "two"]),
        _ => json!({"key": "value", "title": "Title"}),
    }
}

/// Changes one place of an instance so that a schema may refuse it: a member less, a member more,
/// another type, a value out of bounds or outside an enumeration.
pub(crate) fn mutate(value: &mut Value, random: &mut Random) {
    match value {
        Value::Object(members) if !members.is_empty() && !random.one_in(4) => {
            let at = random.below(members.len());
            let key = members.keys().nth(at).cloned().expect("below the length");
            match random.below(6) {
                0 => {
                    members.remove(&key);
                }
                1 => {
                    members.insert("not_a_known_property".to_owned(), anything(random));
                }
                _ => mutate(&mut members[&key], random),
            }
        }
        Value::Object(members) if random.one_in(2) => {
            members.insert("not_a_known_property".to_owned(), anything(random));
        }
        Value::Array(items) if !items.is_empty() && !random.one_in(3) => match random.below(4) {
            0 => {
                items.pop();
            }
            1 => {
                let item = items[0].clone();
                items.resize(items.len() + 30, item);
            }
            _ => {
                let at = random.below(items.len());
                mutate(&mut items[at], random);
            }
        },
        Value::String(text) if random.one_in(2) => match random.below(3) {
            0 => text.clear(),
            1 => text.push_str("?!"),
            _ => *text = text.repeat(200),
        },
        Value::Number(_) if random.one_in(2) => {
            *value = [json!(-1e15), json!(1e15), json!(0.5), json!(-1), json!(0)][random.below(5)]
                .clone();
        }
        _ => *value = anything(random),
    }
}
