//! The `lean` rendering changes no judgement: for every tool of every real list, and for schemas
//! made up to be difficult, the original and the lean schema accept and refuse the same instances,
//! and nothing goes but what may go. Run over more lists with `MCP_WHITTLE_CORPUS=<folder of
//! folders with tools.json>`.

pub(crate) mod instances;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use mcp_whittle::catalog::tool_view::ToolView;
use mcp_whittle::surface::lean::Limits;
use mcp_whittle::surface::lean::lean;
use mcp_whittle::surface::lean::lean_all;
use mcp_whittle::token::TiktokenCounter;
use mcp_whittle::token::TokenCounter;
use mcp_whittle::token::Tokens;
use proptest::prelude::*;
use serde_json::Value;
use serde_json::json;
use serde_json::value::RawValue;

use crate::lean::instances::Random;
use crate::lean::instances::mutate;
use crate::lean::instances::valid;

const INSTANCES_PER_SCHEMA: u64 = 24;

/// The tools of one server, as raw JSON.
pub(crate) struct ServerList {
    pub(crate) server: String,
    pub(crate) tools: Vec<String>,
}

pub(crate) fn lists() -> Vec<ServerList> {
    let folder = std::env::var_os("MCP_WHITTLE_CORPUS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/servers"),
        PathBuf::from,
    );
    let mut folders: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a folder entry").path())
        .filter(|path| path.join("tools.json").exists())
        .collect();
    folders.sort();
    assert!(
        !folders.is_empty(),
        "no tools.json below {}",
        folder.display()
    );
    folders.iter().map(|path| list(path)).collect()
}

fn list(folder: &Path) -> ServerList {
    #[derive(serde::Deserialize)]
    struct Response<'a> {
        #[serde(borrow)]
        result: Tools<'a>,
    }
    #[derive(serde::Deserialize)]
    struct Tools<'a> {
        #[serde(borrow)]
        tools: Vec<&'a RawValue>,
    }
    let text = fs::read_to_string(folder.join("tools.json")).expect("a readable tools.json");
    let tools = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .flat_map(|line| {
            let response: Response<'_> = serde_json::from_str(line).expect("a tools/list response");
            response.result.tools
        })
        .map(|tool| tool.get().to_owned())
        .collect();
    ServerList {
        server: folder
            .file_name()
            .expect("a folder name")
            .to_string_lossy()
            .into_owned(),
        tools,
    }
}

/// Counts of what a run of the property has seen.
#[derive(Debug, Default)]
struct Seen {
    tools: usize,
    changed: usize,
    schemas: usize,
    not_compiled: usize,
    accepted: usize,
    rejected: usize,
}

/// The property. `reduce` is the rendering under test; the error says what is different.
fn same_judgement(
    raw: &str,
    reduce: &dyn Fn(&str) -> String,
    seed: u64,
    seen: &mut Seen,
) -> Result<(), String> {
    let reduced = reduce(raw);
    seen.tools += 1;
    seen.changed += usize::from(reduced != raw);
    let before: Value = serde_json::from_str(raw).map_err(|error| error.to_string())?;
    let after: Value = serde_json::from_str(&reduced).map_err(|error| error.to_string())?;
    only_allowed_removals(&before, &after, Position::Tool, "")?;
    for keyword in ["inputSchema", "outputSchema"] {
        let (Some(original), Some(lean)) = (before.get(keyword), after.get(keyword)) else {
            continue;
        };
        if original.get("type") != lean.get("type") {
            return Err(format!("{keyword} has another root type"));
        }
        seen.schemas += 1;
        if original == lean {
            continue;
        }
        judge_instances(original, lean, seed, seen)
            .map_err(|error| format!("{keyword}: {error}"))?;
    }
    Ok(())
}

fn judge_instances(
    original: &Value,
    lean: &Value,
    seed: u64,
    seen: &mut Seen,
) -> Result<(), String> {
    let compile = |schema: &Value| {
        jsonschema::options()
            .should_validate_formats(true)
            .build(schema)
    };
    let Ok(before) = compile(original) else {
        seen.not_compiled += 1;
        return Ok(());
    };
    let after = compile(lean).map_err(|error| format!("no longer a schema: {error}"))?;
    for n in 0..INSTANCES_PER_SCHEMA {
        let mut random = Random::new(seed.wrapping_mul(1_000_003).wrapping_add(n));
        let mut instance = valid(original, original, &mut random, 0);
        for _ in 0..n % 3 {
            mutate(&mut instance, &mut random);
        }
        let is_valid = before.is_valid(&instance);
        if is_valid != after.is_valid(&instance) {
            let verb = if is_valid { "refuses" } else { "accepts" };
            return Err(format!("now {verb} {instance}"));
        }
        seen.accepted += usize::from(is_valid);
        seen.rejected += usize::from(!is_valid);
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq)]
enum Position {
    Tool,
    Annotations,
    SchemaRoot,
    Schema,
    Schemas,
    Definitions,
    Data,
}

impl Position {
    /// Where the value of `key` is.
    fn below(self, key: &str) -> Self {
        match (self, key) {
            (Self::Tool, "inputSchema" | "outputSchema") => Self::SchemaRoot,
            (Self::Tool, "annotations") => Self::Annotations,
            (Self::Schemas | Self::Definitions, _) => Self::Schema,
            (Self::SchemaRoot | Self::Schema, "$defs" | "definitions") => Self::Definitions,
            (
                Self::SchemaRoot | Self::Schema,
                "properties" | "patternProperties" | "dependentSchemas" | "dependencies",
            ) => Self::Schemas,
            (
                Self::SchemaRoot | Self::Schema,
                "items"
                | "prefixItems"
                | "additionalItems"
                | "contains"
                | "additionalProperties"
                | "propertyNames"
                | "unevaluatedItems"
                | "unevaluatedProperties"
                | "allOf"
                | "anyOf"
                | "oneOf"
                | "not"
                | "if"
                | "then"
                | "else"
                | "contentSchema",
            ) => Self::Schema,
            _ => Self::Data,
        }
    }

    /// Says whether lean may ever leave out `key` here.
    fn may_lose(self, key: &str) -> bool {
        match self {
            Self::Tool => matches!(key, "title" | "annotations"),
            Self::Annotations => key == "title",
            Self::SchemaRoot => {
                matches!(
                    key,
                    "$schema" | "description" | "title" | "$defs" | "definitions"
                )
            }
            Self::Schema => matches!(key, "title" | "$defs" | "definitions"),
            Self::Definitions => true,
            Self::Schemas | Self::Data => false,
        }
    }
}

/// Checks, apart from any judgement, that `after` is `before` less members that may go.
fn only_allowed_removals(
    before: &Value,
    after: &Value,
    position: Position,
    at: &str,
) -> Result<(), String> {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            let mut kept = after.iter();
            for (key, value) in before {
                let at = format!("{at}/{key}");
                match after.get(key) {
                    Some(now) => {
                        if kept.next().map(|(name, _)| name) != Some(key) {
                            return Err(format!("another order at {at}"));
                        }
                        only_allowed_removals(value, now, position.below(key), &at)?;
                    }
                    None if position.may_lose(key) => {}
                    None => return Err(format!("lost {at}")),
                }
            }
            kept.next()
                .map_or(Ok(()), |(key, _)| Err(format!("gained {at}/{key}")))
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => before
            .iter()
            .zip(after)
            .enumerate()
            .try_for_each(|(n, (before, after))| {
                only_allowed_removals(before, after, position, &format!("{at}/{n}"))
            }),
        _ if before == after => Ok(()),
        _ => Err(format!("changed {at}")),
    }
}

fn made_lean(raw: &str) -> String {
    lean(raw, &Limits::default()).text(raw).to_owned()
}

#[test]
#[expect(
    clippy::print_stdout,
    reason = "the numbers of this run, shown with --nocapture"
)]
fn every_real_tool_is_judged_the_same() {
    let mut seen = Seen::default();
    for list in lists() {
        for (n, raw) in list.tools.iter().enumerate() {
            same_judgement(raw, &made_lean, n as u64, &mut seen)
                .unwrap_or_else(|error| panic!("{} tool {n}: {error}", list.server));
        }
    }
    println!("{seen:?}");
    assert!(seen.changed > 0, "nothing was made lean: {seen:?}");
    assert!(
        seen.accepted > 0 && seen.rejected > 0,
        "one-sided instances: {seen:?}"
    );
    // A schema that no validator takes is a fact about its server; many would be one about us.
    assert!(seen.not_compiled * 20 <= seen.schemas, "{seen:?}");
}

/// A rendering that goes too far, by name.
type BrokenVariant = (&'static str, fn(&mut Value));

/// Renderings that go too far; the property has to catch each of them.
const BROKEN: [BrokenVariant; 4] = [
    ("drops additionalProperties", |value| {
        drop_key(value, "additionalProperties")
    }),
    ("drops every $defs", |value| drop_key(value, "$defs")),
    ("drops every title, data or not", |value| {
        drop_key(value, "title")
    }),
    ("drops bounds", |value| drop_key(value, "minimum")),
];

fn drop_key(value: &mut Value, key: &str) {
    match value {
        Value::Object(members) => {
            members.shift_remove(key);
            members.values_mut().for_each(|value| drop_key(value, key));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| drop_key(item, key)),
        _ => {}
    }
}

/// A tool in which each broken variant does harm that instances show.
fn sensitive_tool() -> Value {
    json!({
        "name": "t", "description": "d",
        "inputSchema": {
            "type": "object",
            "$defs": {"item": {"type": "object", "required": ["id"]}},
            "properties": {
                "item": {"$ref": "#/$defs/item"},
                "title": {"type": "string"},
                "fixed": {"const": {"title": "kept", "n": 1}},
                "n": {"type": "integer", "minimum": 3, "default": 3}
            },
            "required": ["item", "title", "fixed", "n"],
            "additionalProperties": false
        }
    })
}

#[test]
fn broken_variants_are_caught() {
    let raw = sensitive_tool().to_string();
    let seeds = 0..50;
    for (name, break_it) in BROKEN {
        let reduce = |raw: &str| {
            let mut value: Value = serde_json::from_str(raw).expect("a tool");
            break_it(&mut value);
            value.to_string()
        };
        // By the instances alone, ...
        let original: Value = serde_json::from_str(&raw).expect("a tool");
        let broken: Value = serde_json::from_str(&reduce(&raw)).expect("a tool");
        let is_caught = seeds.clone().any(|seed| {
            judge_instances(
                &original["inputSchema"],
                &broken["inputSchema"],
                seed,
                &mut Seen::default(),
            )
            .is_err()
        });
        assert!(is_caught, "{name}: not caught by instances");
        // ... and by the property as it is used.
        assert!(
            same_judgement(&raw, &reduce, 0, &mut Seen::default()).is_err(),
            "{name}"
        );
    }
    // A `title` inside a `default` never shows in a judgement; the second half sees it.
    let raw = r#"{"name":"t","inputSchema":{"type":"object","properties":{"p":{"default":{"title":"P"}}}}}"#;
    let without = raw.replace(r#""title":"P""#, "");
    assert!(same_judgement(raw, &|_| without.clone(), 0, &mut Seen::default()).is_err());
    same_judgement(raw, &made_lean, 0, &mut Seen::default()).expect("lean keeps it");
    // The control: the real rendering passes on the sensitive tool.
    let raw = sensitive_tool().to_string();
    for seed in seeds {
        same_judgement(&raw, &made_lean, seed, &mut Seen::default())
            .expect("lean keeps judgements");
    }
}

#[test]
#[expect(
    clippy::print_stdout,
    reason = "the numbers of this run, shown with --nocapture"
)]
fn lean_is_idempotent_and_never_more() {
    let counter = TiktokenCounter::default();
    let mut totals: BTreeMap<String, (Tokens, Tokens)> = BTreeMap::new();
    for list in lists() {
        let total = totals.entry(list.server.clone()).or_default();
        for raw in &list.tools {
            let leaned = made_lean(raw);
            assert!(leaned.len() <= raw.len());
            assert_eq!(made_lean(&leaned), leaned, "{}", list.server);
            let visible =
                |raw: &str| counter.count(&ToolView::parse(raw).expect("a tool").model_visible());
            let (before, after) = (visible(raw), visible(&leaned));
            assert!(
                after <= before,
                "{}: {before} -> {after} {leaned}",
                list.server
            );
            assert!(
                counter.count(&leaned) <= counter.count(raw),
                "{}: {raw}",
                list.server
            );
            // However the server lays out its JSON, the result is the same and never dearer.
            let value: Value = serde_json::from_str(raw).expect("a tool");
            let pretty = serde_json::to_string_pretty(&value).expect("a value prints");
            assert_eq!(made_lean(&pretty), made_lean(&value.to_string()));
            assert!(counter.count(&made_lean(&pretty)) <= counter.count(&pretty));
            total.0 += before;
            total.1 += after;
        }
        let whole = format!("[{}]", list.tools.join(", "));
        let each: Vec<String> = list.tools.iter().map(|raw| made_lean(raw)).collect();
        let all = lean_all(&whole, &Limits::default());
        assert_eq!(all.text(&whole), format!("[{}]", each.join(",")));
    }
    let before: Tokens = totals.values().map(|(before, _)| *before).sum();
    let after: Tokens = totals.values().map(|(_, after)| *after).sum();
    for (server, (before, after)) in &totals {
        println!("{server}\t{before}\t{after}");
    }
    println!("total\t{before}\t{after}");
    assert!(after < before);
}

/// Strategy: a schema of nested objects with everything that lean looks at in odd places.
fn schemas() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({"type": "string", "title": "A Name", "minLength": 1})),
        Just(json!({"type": "integer", "title": "Title", "minimum": 1, "default": 1})),
        Just(json!({"$ref": "#/$defs/a", "title": "A"})),
        Just(json!({"$ref": "#/$defs/b~1c/properties/x"})),
        Just(json!({"$ref": "#/%24defs/d%20e"})),
        Just(json!({"$ref": "#anchored"})),
        Just(json!({"const": {"title": "A", "$schema": "x", "$defs": {}}})),
        Just(json!({"enum": [{"title": "A"}, "title"], "examples": [{"title": "A"}]})),
        Just(json!(true)),
    ];
    let schema = leaf.prop_recursive(3, 24, 4, |inner| {
        let names = prop_oneof![
            Just("title"),
            Just("$defs"),
            Just("default"),
            Just("a_name"),
            Just("properties"),
            Just("x"),
        ];
        prop_oneof![
            (
                proptest::collection::btree_map(names, inner.clone(), 0..4),
                any::<bool>(),
                any::<bool>()
            )
                .prop_map(|(properties, is_closed, is_required)| {
                    let required: Vec<_> =
                        properties.keys().take(usize::from(is_required)).collect();
                    json!({"type": "object", "title": "Obj", "properties": properties,
                           "required": required, "additionalProperties": !is_closed})
                }),
            inner
                .clone()
                .prop_map(|items| json!({"type": "array", "items": items, "maxItems": 3})),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| json!({"anyOf": [a, b]})),
            inner.prop_map(|not| json!({"not": not, "title": "t", "description": "t"})),
        ]
    });
    let defs = (
        schema.clone(),
        schema.clone(),
        schema.clone(),
        any::<bool>(),
    );
    (schema, defs).prop_map(|(root, (a, b, d, has_anchor))| {
        let mut anchored = json!({"type": "string", "title": "anchored"});
        if has_anchor {
            anchored["$anchor"] = json!("anchored");
        }
        json!({
            "type": "object", "$schema": "https://json-schema.org/draft/2020-12/schema",
            "properties": {"a_name": root}, "title": "tArguments",
            "$defs": {
                "a": a, "b/c": {"type": "object", "properties": {"x": b}}, "d e": d,
                "anchored": anchored, "alone": {"title": "alone"}
            }
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// The same property over made-up schemas.
    #[test]
    fn every_made_up_schema_is_judged_the_same(schema in schemas(), seed in any::<u64>()) {
        let raw = json!({"name": "t", "title": "t", "inputSchema": schema}).to_string();
        let mut seen = Seen::default();
        same_judgement(&raw, &made_lean, seed, &mut seen).map_err(TestCaseError::fail)?;
        prop_assert_eq!(seen.changed, 1);
        let leaned = made_lean(&raw);
        prop_assert_eq!(made_lean(&leaned), leaned);
    }

    /// Whatever the text, lean answers, and what it answers is shorter JSON or nothing.
    #[test]
    fn any_text_is_answered(text in ".{0,60}", n in 0_usize..300) {
        for raw in [text.clone(), format!("{{\"inputSchema\":{text}}}"), "[".repeat(n), format!("{{\"a\":{}", "[".repeat(n))] {
            let leaned = lean(&raw, &Limits::default());
            prop_assert!(!leaned.is_changed() || serde_json::from_str::<Value>(leaned.text(&raw)).is_ok());
            lean_all(&raw, &Limits::default());
        }
    }
}
