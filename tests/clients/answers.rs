//! Answers of tools with an `outputSchema`, made from the schema: a recording that `replay` plays.

use std::collections::BTreeMap;
use std::path::Path;

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use crate::lean::ServerList;
use crate::lean::instances::{Random, valid};

/// Bytes of what is far above the cap.
const LARGE: usize = 6_000;
/// A tool of an MCP App: none of the lists of this repository has one.
const APP: &str = r#"{"name":"chart","outputSchema":{"type":"object","properties":{"bars":{"type":"array","items":
    {"type":"object","properties":{"label":{"type":"string"},"height":{"type":"integer"}},"required":["label","height"]}}},
    "required":["bars"]},"_meta":{"ui":{"resourceUri":"ui://charts/view"}}}"#;
/// Tries to make a value that the schema takes.
const TRIES: u64 = 40;

/// What an answer looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// The text is the JSON of the structured part, and below the cap.
    Small,
    /// The same above it.
    Large,
    /// The text says it in another way.
    Other,
    /// The text is what the one string member of the structured part holds.
    Inside,
    /// `isError`, long.
    Error,
    /// The broken server: it promises an `outputSchema` and sends no `structuredContent`.
    Dropped,
}

/// One call and its answer.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) tool: String,
    /// The tool's name at its server, for messages.
    pub(crate) origin: String,
    pub(crate) kind: Kind,
    /// `structuredContent`.
    pub(crate) value: Value,
    /// All text.
    pub(crate) text: String,
    /// The number of its tool's schema; equal ones have equal answers.
    pub(crate) schema: usize,
    /// Whether its tool is the first with its schema.
    pub(crate) is_first: bool,
    /// Whether its tool belongs to an MCP App: then a program in the client reads the result, and it stays as it came.
    pub(crate) is_app: bool,
}

impl Case {
    /// What is called with: `[name, arguments]`.
    pub(crate) fn call(&self) -> Value {
        json!([self.tool, self.arguments()])
    }

    fn arguments(&self) -> Value {
        json!({"case": format!("{:?}", self.kind)})
    }

    fn result(&self) -> Value {
        let content = json!([{"type": "text", "text": self.text}]);
        match self.kind {
            Kind::Error => json!({"content": content, "isError": true}),
            Kind::Dropped => json!({"content": content, "isError": false}),
            _ => json!({"content": content, "structuredContent": self.value, "isError": false}),
        }
    }
}

/// All answers, and what they could not be made of.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    pub(crate) cases: Vec<Case>,
    /// Definitions as the server sends them.
    tools: Vec<Value>,
    /// Tools with an `outputSchema` for which no value could be made.
    pub(crate) unmade: Vec<String>,
    /// Those whose values cannot be large.
    pub(crate) never_large: usize,
    /// Those that belong to an MCP App.
    pub(crate) n_apps: usize,
}

impl Answers {
    /// Makes the answers of all tools with an `outputSchema`.
    pub(crate) fn of(lists: &[ServerList]) -> Self {
        let mut all = Self::default();
        let mut schemas = BTreeMap::new();
        for list in lists {
            for raw in &list.tools {
                let tool: Value = serde_json::from_str(raw).expect("a tool");
                if tool.get("outputSchema").is_some() {
                    all.add(&list.server, tool, &mut schemas);
                }
            }
        }
        let app = serde_json::from_str(APP).expect("a tool");
        all.add("made", app, &mut schemas);
        all
    }

    pub(crate) fn n_tools(&self) -> usize {
        self.tools.len()
    }

    fn add(&mut self, server: &str, mut tool: Value, schemas: &mut BTreeMap<String, usize>) {
        let origin = format!("{server}/{}", tool["name"].as_str().unwrap_or_default());
        let name = format!("t{}", self.tools.len());
        tool["name"] = name.clone().into();
        // What tells the answers apart; how input schemas are taken is tested in `shown`.
        tool["inputSchema"] = json!({"type": "object", "properties": {"case": {"type": "string"}}});
        let schema = tool["outputSchema"].clone();
        let mut untitled = schema.clone();
        if let Some(members) = untitled.as_object_mut() {
            members.shift_remove("title");
        }
        let is_app = mcp_whittle::catalog::app::is_app(tool.to_string().as_bytes());
        self.n_apps += usize::from(is_app);
        // An app's answers are treated in another way, so its schema counts as another one.
        let n_schemas = schemas.len();
        let key = format!("{is_app} {untitled}");
        let number = *schemas.entry(key).or_insert(n_schemas);
        let is_first = number == n_schemas;
        self.tools.push(tool);
        let mut case = |kind, value: &Value, text: String| {
            self.cases.push(Case {
                tool: name.clone(),
                origin: origin.clone(),
                kind,
                value: value.clone(),
                text,
                schema: number,
                is_first,
                is_app,
            });
        };
        let Some((small, large)) = values(&schema) else {
            self.unmade.push(origin);
            return;
        };
        case(Kind::Small, &small, pretty(&small));
        case(Kind::Dropped, &small, pretty(&small));
        case(Kind::Error, &Value::Null, error(&name));
        let Some(large) = large else {
            self.never_large += 1;
            return;
        };
        case(Kind::Large, &large, pretty(&large));
        case(Kind::Other, &large, told(&large));
        if let Some(text) = only_string(&large) {
            case(Kind::Inside, &large, text.to_owned());
        }
    }

    /// Writes the recording.
    pub(crate) fn write(&self, folder: &Path) {
        let answer = |result: Value| json!({"jsonrpc": "2.0", "id": 1, "result": result});
        let handshake = answer(json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "answers", "version": "1"},
        }));
        let calls: String = self
            .cases
            .iter()
            .map(|case| {
                let params = json!({"name": case.tool, "arguments": case.arguments()});
                let response = answer(case.result());
                let line = json!({"method": "tools/call", "params": params, "era": "legacy", "response": response});
                format!("{line}\n")
            })
            .collect();
        let tools = answer(json!({"tools": self.tools}));
        for (name, text) in [
            ("handshake.json", format!("{handshake}\n")),
            ("tools.json", format!("{tools}\n")),
            ("calls.jsonl", calls),
        ] {
            std::fs::write(folder.join(name), text).expect("the recording is written");
        }
    }
}

/// A value that the schema takes, and one that is far above the cap where there can be one.
fn values(schema: &Value) -> Option<(Value, Option<Value>)> {
    let options = jsonschema::options().should_validate_formats(true);
    let validator = options.build(schema).ok()?;
    let made: Vec<Value> = (0..TRIES)
        .map(|seed| valid(schema, schema, &mut Random::new(seed), 0))
        .filter(|value| value.is_object() && validator.is_valid(value))
        .collect();
    let large = made.iter().find_map(|value| grown(value, &validator));
    Some((made.first()?.clone(), large))
}

fn grown(value: &Value, validator: &Validator) -> Option<Value> {
    let mut places = Vec::new();
    pointers(value, String::new(), &mut places);
    // The root is the last that is made larger: its members are those of the schema.
    places.sort_by_key(|place| std::cmp::Reverse(place.matches('/').count()));
    places.iter().find_map(|place| {
        let part = value.pointer(place)?;
        longer(part).into_iter().find_map(|part| {
            let mut value = value.clone();
            *value.pointer_mut(place)? = part;
            let is_large = value.to_string().len() >= LARGE;
            (is_large && validator.is_valid(&value)).then_some(value)
        })
    })
}

fn pointers(value: &Value, at: String, places: &mut Vec<String>) {
    match value {
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                pointers(item, format!("{at}/{n}"), places);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                pointers(member, format!("{at}/{name}"), places);
            }
        }
        Value::String(_) => {}
        _ => return,
    }
    places.push(at);
}

/// Larger values like this one, the most telling first.
fn longer(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) if !items.is_empty() => {
            let bytes = value.to_string().len() / items.len();
            let n = LARGE / bytes.max(1) + 1;
            let repeated = |is_varied: bool| {
                let all = (0..n).map(|n| match is_varied {
                    true => varied(&items[n % items.len()], n),
                    false => items[n % items.len()].clone(),
                });
                Value::Array(all.collect())
            };
            vec![repeated(true), repeated(false)]
        }
        Value::String(_) => {
            let lines = (0..LARGE / 40).map(|n| {
                format!(
                    "2026-01-02T03:{:02}:{:02}Z item {} was seen at {}\n",
                    n / 60,
                    n % 60,
                    n * 7919,
                    n * n
                )
            });
            vec![Value::String(lines.collect())]
        }
        Value::Object(members) => {
            let with = |make: &dyn Fn(usize) -> Value| {
                let mut all = members.clone();
                for n in 0..LARGE / 20 {
                    all.insert(format!("key_{n}"), make(n));
                }
                Value::Object(all)
            };
            let first = members.values().next().cloned().unwrap_or(Value::Null);
            vec![
                with(&|n| varied(&first, n)),
                with(&|n| format!("value {}", n * 7919).into()),
                with(&|n| (n * 7919).into()),
                with(&|n| json!({ "n": n * 7919 })),
            ]
        }
        _ => Vec::new(),
    }
}

/// The value with other words and numbers.
fn varied(value: &Value, n: usize) -> Value {
    match value {
        Value::String(text) => format!("{text} {}", n * 7919 % 1009).into(),
        Value::Number(number) if number.is_u64() => (n * 31).into(),
        Value::Array(items) => items.iter().map(|item| varied(item, n)).collect(),
        Value::Object(members) => {
            let members = members.iter();
            let all: Map<String, Value> = members
                .map(|(name, member)| (name.clone(), varied(member, n)))
                .collect();
            all.into()
        }
        other => other.clone(),
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("a value is text")
}

/// The value for people, a line for each leaf.
fn told(value: &Value) -> String {
    fn tell(value: &Value, at: &str, text: &mut String) {
        match value {
            Value::Array(items) if !items.is_empty() => {
                for (n, item) in items.iter().enumerate() {
                    tell(item, &format!("{at} > {}", n + 1), text);
                }
            }
            Value::Object(members) if !members.is_empty() => {
                for (name, member) in members {
                    tell(member, &format!("{at} > {name}"), text);
                }
            }
            leaf => text.push_str(&format!("{at} = {leaf}\n")),
        }
    }
    let mut text = String::from("What was found:\n");
    tell(value, "answer", &mut text);
    text
}

fn only_string(value: &Value) -> Option<&str> {
    let members = value.as_object()?;
    let only = members.values().next().filter(|_| members.len() == 1)?;
    only.as_str().filter(|text| text.len() >= LARGE / 2)
}

fn error(tool: &str) -> String {
    let frames = (0..80).map(|n| format!("  File \"{tool}.py\",  line {n},   in step\n"));
    format!(
        "Traceback:\n{}ValueError:   {{ \"no\" :  1.10 }}\n",
        frames.collect::<String>()
    )
}
