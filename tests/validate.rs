//! Arguments that a real tool takes are never refused, and those that its schema refuses are told
//! with faults. Over every captured list, and over more with `MCP_WHITTLE_CORPUS`.

use mcp_whittle::catalog::tool_view::ToolView;
use mcp_whittle::surface::ladder::Rung;
use mcp_whittle::surface::validate::Limits;
use mcp_whittle::surface::validate::NotCompiled;
use mcp_whittle::surface::validate::Validator;
use mcp_whittle::surface::validate::Verdict;
use mcp_whittle::surface::validate::tool_error_text;
use serde_json::Value;

use crate::lean::instances::Random;
use crate::lean::instances::mutate;
use crate::lean::instances::valid;
use crate::lean::lists;

const INSTANCES_PER_SCHEMA: u64 = 24;
/// Bytes of an answer that a model is shown.
const MAX_ANSWER: usize = 24 * 1024;

#[derive(Debug, Default)]
struct Seen {
    tools: usize,
    not_compiled: usize,
    not_checked: usize,
    too_large: usize,
    accepted: usize,
    refused: usize,
}

/// The judgement under test on raw arguments: `None` if not checked.
type Judge<'a> = dyn Fn(&[u8]) -> Option<bool> + 'a;

/// What an independent oracle says is what the judge says, or it says nothing.
fn same_as_the_oracle(
    schema: &Value,
    judge: &Judge<'_>,
    seed: u64,
    seen: &mut Seen,
) -> Result<(), String> {
    let oracle = jsonschema::options()
        .should_validate_formats(false)
        .build(schema)
        .map_err(|error| format!("the oracle takes no schema that we take: {error}"))?;
    for n in 0..INSTANCES_PER_SCHEMA {
        let mut random = Random::new(seed.wrapping_mul(1_000_003).wrapping_add(n));
        let mut arguments = valid(schema, schema, &mut random, 0);
        for _ in 0..n % 3 {
            mutate(&mut arguments, &mut random);
        }
        // `nullable` is no keyword of JSON Schema, so the oracle does not know it.
        let is_beyond_it = says_nullable(schema) && has_null(&arguments);
        let is_valid = oracle.is_valid(&arguments);
        let text = arguments.to_string();
        match judge(text.as_bytes()) {
            None if text.len() > Limits::default().max_argument_bytes => seen.too_large += 1,
            None => seen.not_checked += 1,
            Some(true) if is_beyond_it => seen.accepted += 1,
            Some(verdict) if verdict != is_valid => {
                return Err(format!("judged {verdict}: {arguments}"));
            }
            Some(true) => seen.accepted += 1,
            Some(false) => seen.refused += 1,
        }
    }
    Ok(())
}

fn says_nullable(schema: &Value) -> bool {
    match schema {
        Value::Object(members) => {
            members.get("nullable") == Some(&Value::Bool(true))
                || members.values().any(says_nullable)
        }
        Value::Array(items) => items.iter().any(says_nullable),
        _ => false,
    }
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(members) => members.values().any(has_null),
        Value::Array(items) => items.iter().any(has_null),
        _ => false,
    }
}

#[test]
#[expect(
    clippy::print_stdout,
    reason = "the numbers of this run, shown with --nocapture"
)]
fn real_schemas_judge_as_the_oracle_does() {
    let mut seen = Seen::default();
    let mut reasons: Vec<String> = Vec::new();
    for list in lists() {
        for (n, raw) in list.tools.iter().enumerate() {
            seen.tools += 1;
            let view = ToolView::parse(raw).expect("a tool");
            let raw_schema = view.input_schema.expect("an input schema");
            let validator = match Validator::compile(raw_schema, &Limits::default()) {
                Ok(validator) => validator,
                Err(reason) => {
                    seen.not_compiled += 1;
                    reasons.push(format!("{} tool {n}: {reason}", list.server));
                    continue;
                }
            };
            let schema: Value = serde_json::from_str(raw_schema).expect("JSON");
            let judge = |arguments: &[u8]| match validator.check(arguments) {
                Verdict::Valid => Some(true),
                Verdict::NotChecked(_) => None,
                Verdict::Faulty(faults) => {
                    assert!((1..=5).contains(&faults.len()));
                    let text = tool_error_text("t", &faults, raw, Rung::Hidden);
                    assert!(text.len() < MAX_ANSWER, "{}", text.len());
                    assert!(text.contains(&faults[0].to_string()));
                    Some(false)
                }
            };
            same_as_the_oracle(&schema, &judge, n as u64, &mut seen)
                .unwrap_or_else(|error| panic!("{} tool {n}: {error}", list.server));
        }
    }
    println!("{seen:?}");
    for reason in &reasons {
        println!("{reason}");
    }
    assert!(seen.accepted > 0 && seen.refused > 0, "{seen:?}");
    assert_eq!(seen.not_checked, 0, "{seen:?}");
    // A schema that nobody compiles is a fact about its server; many would be one about us.
    assert!(seen.not_compiled * 50 <= seen.tools, "{seen:?}");
}

/// Broken variants that the property catches: a judge that knows types only, and one that refuses
/// whatever it does not know.
#[test]
fn broken_judges_are_caught() {
    let schema: Value = serde_json::json!({
        "type": "object", "required": ["a"],
        "properties": {"a": {"type": "integer", "minimum": 3}, "b": {"enum": ["x", "y"]}}
    });
    let is_object = |arguments: &[u8]| Some(arguments.starts_with(b"{"));
    let is_closed = |arguments: &[u8]| {
        let value: Value = serde_json::from_slice(arguments).ok()?;
        let known = |key: &String| key == "a" || key == "b";
        Some(value.get("a").is_some() && value.as_object()?.keys().all(known))
    };
    let catches = |judge: &Judge<'_>| {
        (0..50).any(|seed| same_as_the_oracle(&schema, judge, seed, &mut Seen::default()).is_err())
    };
    assert!(catches(&is_object));
    assert!(catches(&is_closed));
    let validator = Validator::compile(&schema.to_string(), &Limits::default()).expect("a schema");
    let ours = |arguments: &[u8]| match validator.check(arguments) {
        Verdict::NotChecked(_) => None,
        verdict => Some(verdict == Verdict::Valid),
    };
    assert!(!catches(&ours));
}

/// A schema that reaches out is not fetched and not an error of a call.
#[test]
fn outside_references_are_not_judged_by() {
    let schema = r#"{"type":"object","properties":{"a":{"$ref":"http://127.0.0.1:9/x"}}}"#;
    let refused = Validator::compile(schema, &Limits::default()).map(|_| ());
    assert!(
        matches!(refused, Err(NotCompiled::Reference(_))),
        "{refused:?}"
    );
}
