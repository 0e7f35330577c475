//! Which calls a shown schema lets through. What the original takes, generated or recorded, every rung
//! takes: a client that checks arguments by what it was shown never stops a good call. How many wrong ones
//! a rung lets through is a measure: those are told by the proxy, which judges by the original.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::Value;

use crate::lean::instances::{Random, mutate, valid};
use crate::lean::{ServerList, lists, lists_below};
use crate::shown::cases::{Place, Tool, places, tools};

const INSTANCES_PER_TOOL: u64 = 24;

/// Calls of one tool, by what the original says of their arguments.
#[derive(Debug, Default)]
struct Calls {
    accepted: Vec<Value>,
    refused: Vec<Value>,
}

/// How many calls were tried and how many of them a place let through.
#[derive(Debug, Default, Clone, Copy)]
struct Count {
    tried: usize,
    taken: usize,
}

impl Count {
    fn add(&mut self, validator: &Validator, calls: &[Value]) {
        self.tried += calls.len();
        self.taken += calls.iter().filter(|call| validator.is_valid(call)).count();
    }

    fn shown(self) -> String {
        let percent = 100.0 * self.taken as f64 / self.tried.max(1) as f64;
        format!("{} of {} ({percent:.1} %)", self.taken, self.tried)
    }
}

/// What each place lets through of the calls that the original takes, of recorded ones among them, and of
/// those that it refuses.
#[derive(Debug, Default)]
struct Table {
    generated: BTreeMap<Place, Count>,
    recorded: BTreeMap<Place, Count>,
    wrong: BTreeMap<Place, Count>,
    not_compiled: usize,
}

fn schema_of(raw: &str) -> Value {
    let tool: Value = serde_json::from_str(raw).expect("a tool");
    tool["inputSchema"].clone()
}

fn compile(schema: &Value) -> Option<Validator> {
    let options = jsonschema::options().should_validate_formats(true);
    options.build(schema).ok()
}

fn generated(schema: &Value, original: &Validator, seed: u64) -> Calls {
    let mut calls = Calls::default();
    for n in 0..INSTANCES_PER_TOOL {
        let mut random = Random::new(seed.wrapping_mul(1_000_003).wrapping_add(n));
        let mut arguments = valid(schema, schema, &mut random, 0);
        for _ in 0..n % 3 {
            mutate(&mut arguments, &mut random);
        }
        // Arguments are an object; nothing else reaches a schema.
        if !arguments.is_object() {
            continue;
        }
        match original.is_valid(&arguments) {
            true => calls.accepted.push(arguments),
            false => calls.refused.push(arguments),
        }
    }
    calls
}

impl Table {
    /// The property, for one tool; the error says which call a place stops. `render` may break a text.
    fn add(
        &mut self,
        tool: &Tool,
        recorded: &[Value],
        render: &dyn Fn(&str) -> Value,
    ) -> Result<(), String> {
        let schema = schema_of(tool.original());
        let Some(original) = compile(&schema) else {
            self.not_compiled += 1;
            return Ok(());
        };
        let calls = generated(&schema, &original, tool.number as u64);
        let recorded: Vec<Value> = recorded
            .iter()
            .filter(|arguments| original.is_valid(arguments))
            .cloned()
            .collect();
        for text in &tool.texts {
            let shown = compile(&render(&text.raw))
                .ok_or_else(|| format!("no longer a schema: {}", text.raw))?;
            for call in calls.accepted.iter().chain(&recorded) {
                if !shown.is_valid(call) {
                    return Err(format!("{:?} stops {call}: {}", text.places, text.raw));
                }
            }
            for place in &text.places {
                let count = |counts: &mut BTreeMap<Place, Count>, calls: &[Value]| {
                    counts.entry(*place).or_default().add(&shown, calls);
                };
                count(&mut self.generated, &calls.accepted);
                count(&mut self.recorded, &recorded);
                count(&mut self.wrong, &calls.refused);
            }
        }
        Ok(())
    }
}

/// Calls that agents made, by the name of the tool.
fn recorded_calls() -> Vec<(String, Value)> {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/demo/powerpoint/calls.jsonl");
    let mut calls = Vec::new();
    for line in lines(&demo) {
        calls.extend(call(&line["params"]["name"], &line["params"]["arguments"]));
    }
    // Sessions of agents beside the corpus: a call of theirs names a tool and its arguments, as JSON text.
    let corpus = std::env::var_os("MCP_WHITTLE_CORPUS").map(PathBuf::from);
    let sessions = corpus.map(|corpus| corpus.join("../trajectories"));
    let files = sessions.and_then(|folder| fs::read_dir(folder).ok());
    for file in files.into_iter().flatten().flatten() {
        if file.path().extension().is_none_or(|kind| kind != "jsonl") {
            continue;
        }
        for line in lines(&file.path()) {
            let outer = line["arguments"].as_str().unwrap_or_default();
            let outer: Value = serde_json::from_str(outer).unwrap_or_default();
            calls.extend(call(&outer["tool_name"], &outer["params"]));
        }
    }
    calls
}

fn call(name: &Value, arguments: &Value) -> Option<(String, Value)> {
    let name = name.as_str()?.to_owned();
    arguments.is_object().then(|| (name, arguments.clone()))
}

fn lines(path: &Path) -> Vec<Value> {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect()
}

/// The lists, and the one that the recorded calls of the demo belong to.
fn all_lists() -> Vec<ServerList> {
    let mut all = lists();
    if std::env::var_os("MCP_WHITTLE_CORPUS").is_none() {
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/demo");
        let more = lists_below(&demo).into_iter();
        all.extend(more.filter(|list| list.server == "powerpoint"));
    }
    all
}

fn name_of(tool: &Tool) -> String {
    let value: Value = serde_json::from_str(tool.original()).expect("a tool");
    value["name"].as_str().expect("a name").to_owned()
}

#[test]
#[expect(
    clippy::print_stdout,
    reason = "the numbers of this run, shown with --nocapture"
)]
fn a_call_that_the_original_takes_is_taken_at_every_rung() {
    let recorded = recorded_calls();
    let mut table = Table::default();
    let mut n_tools = 0;
    for tool in tools(all_lists()) {
        let name = name_of(&tool);
        let own: Vec<Value> = recorded
            .iter()
            .filter(|(called, _)| *called == name)
            .map(|(_, arguments)| arguments.clone())
            .collect();
        table
            .add(&tool, &own, &schema_of)
            .unwrap_or_else(|error| panic!("{} {name}: {error}", tool.server));
        n_tools += 1;
    }
    println!(
        "{n_tools} tools, {} of them without a schema that compiles",
        table.not_compiled
    );
    println!("rung\tform\tgenerated valid\trecorded valid\twrong");
    for place in places() {
        println!(
            "{}\t{}\t{}\t{}\t{}",
            place.rung,
            if place.is_open { "open" } else { "real" },
            table.generated[&place].shown(),
            table.recorded[&place].shown(),
            table.wrong[&place].shown(),
        );
    }
    let first = places().next().expect("a place");
    assert!(table.generated[&first].tried > 500, "{table:?}");
    assert!(table.recorded[&first].tried > 0, "{table:?}");
    assert!(table.wrong[&first].tried > 100, "{table:?}");
    assert_eq!(table.wrong[&first].taken, 0, "full is the original");
    assert!(table.not_compiled * 50 <= n_tools, "{table:?}");
}

/// A reading of a shown text that goes wrong, by name.
type BrokenVariant = (&'static str, fn(&str) -> Value);

/// Broken variants that the property catches: a shown schema that takes nothing it does not name, one that
/// wants a type too many, and one that is none.
#[test]
fn schemas_that_stop_good_calls_are_caught() {
    let all = tools(lists_below(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/servers"),
    ));
    let breaks: [BrokenVariant; 3] = [
        ("closed over nothing", |raw| {
            let mut schema = schema_of(raw);
            if schema["properties"].is_null() {
                schema["additionalProperties"] = Value::from(false);
            }
            schema
        }),
        ("all strings", |raw| {
            let mut schema = schema_of(raw);
            let members = schema["properties"].as_object_mut();
            for (_, member) in members.into_iter().flatten() {
                *member = serde_json::json!({"type": "string"});
            }
            schema
        }),
        ("none", |_| serde_json::json!({"type": 7})),
    ];
    for (name, render) in breaks {
        let mut table = Table::default();
        let is_caught = all
            .iter()
            .any(|tool| table.add(tool, &[], &render).is_err());
        assert!(is_caught, "{name}");
    }
}
