//! Definitions of tools, as a hostile server may write them: every rung of the ladder is the same tool, made
//! lean it judges the same, and what is hidden in it is found and goes.

use bytes::Bytes;
use serde_json::{Value, json};

use mcp_whittle::jsonrpc::write::splice;
use mcp_whittle::mcp::header;
use mcp_whittle::policy::audit::RecordedHints;
use mcp_whittle::policy::hidden::{clean, clean_definition, find};
use mcp_whittle::policy::pins::{Mode, Pins, Volatile, diff};
use mcp_whittle::policy::scan::{Rules, Tool, scan_tool};
use mcp_whittle::surface::front_load::front_loaded;
use mcp_whittle::surface::ladder::{LadderOptions, Rung, ladder};
use mcp_whittle::surface::lean;
use mcp_whittle::surface::root_union::merged;
use mcp_whittle::surface::validate::{self, Validator, Verdict};

/// The property for one input; panics where it does not hold.
pub fn run(data: &[u8]) {
    check(data, |raw| {
        lean::lean(raw, &lean::Limits::default())
            .text(raw)
            .to_owned()
    });
}

/// The property for a function that makes a definition lean.
pub fn check(data: &[u8], lean: impl Fn(&str) -> String) {
    let Ok(raw) = std::str::from_utf8(data) else {
        return;
    };
    let leaned = lean(raw);
    assert!(leaned.len() <= raw.len(), "lean is longer");
    assert_eq!(lean(&leaned), leaned, "lean twice is another text");
    hidden(raw);
    let _ = (merged(raw), header::header_params(data));
    let _ = front_loaded(&Bytes::copy_from_slice(data), 64);
    let _ = RecordedHints::of(data).definition();
    let Ok(tool) = serde_json::from_str::<Value>(raw) else {
        // No tool at all: nothing may become one.
        assert_eq!(leaned, raw, "what is no JSON was changed");
        return;
    };
    rungs(raw, &tool);
    judgements(raw, &leaned);
    pins(raw);
}

/// Every rung is JSON and the same tool for programs.
fn rungs(raw: &str, tool: &Value) {
    for may_use_open_schema in [false, true] {
        let options = LadderOptions {
            may_use_open_schema,
            ..LadderOptions::default()
        };
        for rendering in ladder(raw, &options) {
            let Some(text) = &rendering.text else {
                assert_eq!(rendering.shown, Rung::Hidden);
                continue;
            };
            assert!(rendering.shown <= rendering.rung, "less than was asked for");
            let shown: Value = serde_json::from_str(text)
                .unwrap_or_else(|error| panic!("{}: {error}: {text}", rendering.rung));
            for member in ["name", "annotations", "execution", "_meta"] {
                assert_eq!(shown.get(member), tool.get(member), "{}", rendering.rung);
            }
        }
    }
}

/// A few arguments are judged the same by the definition and by its lean form.
fn judgements(raw: &str, leaned: &str) {
    let validator = |text: &str| {
        let tool: Value = serde_json::from_str(text).ok()?;
        let schema = tool.get("inputSchema")?.to_string();
        Validator::compile(&schema, &validate::Limits::default()).ok()
    };
    let (Some(original), Some(lean)) = (validator(raw), validator(leaned)) else {
        return;
    };
    let tool: Value = serde_json::from_str(raw).unwrap_or_default();
    let names: Vec<&String> = tool["inputSchema"]["properties"]
        .as_object()
        .into_iter()
        .flat_map(|members| members.keys().take(4))
        .collect();
    for value in [
        json!(null),
        json!(1),
        json!("a"),
        json!([]),
        json!({"a": -1}),
    ] {
        let mut arguments = json!({});
        for name in &names {
            arguments[name.as_str()] = value.clone();
        }
        let arguments = arguments.to_string();
        let (one, other) = (
            original.check(arguments.as_bytes()),
            lean.check(arguments.as_bytes()),
        );
        // What is too much work for one may be less for the other.
        if !matches!(one, Verdict::NotChecked(_)) && !matches!(other, Verdict::NotChecked(_)) {
            let is_valid = |verdict: &Verdict| matches!(verdict, Verdict::Valid);
            assert_eq!(is_valid(&one), is_valid(&other), "{arguments} by {leaned}");
        }
    }
}

/// What was cleaned hides nothing, and what hides nothing stays.
fn hidden(raw: &str) {
    let cleaned = clean(raw);
    assert!(find(&cleaned).is_empty(), "{cleaned:?} hides something");
    assert_eq!(clean(&cleaned), cleaned);
    if find(raw).is_empty() {
        assert_eq!(cleaned, raw);
    }
    let bytes = Bytes::copy_from_slice(raw.as_bytes());
    let found = clean_definition(raw.as_bytes());
    if serde_json::from_str::<Value>(raw).is_ok() {
        let shown = splice(&bytes, found.edits).to_bytes();
        assert!(
            serde_json::from_slice::<Value>(&shown).is_ok(),
            "cleaned definitions are JSON: {shown:?}"
        );
    }
}

/// A list that comes again is no news, another one is told, and an approval settles it.
fn pins(raw: &str) {
    let volatile = Volatile::default();
    let one = [Bytes::copy_from_slice(raw.as_bytes())];
    let other = [Bytes::from(raw.replacen("descr", "Descr", 1))];
    let mut pins = Pins::default();
    pins.observe(&one, [1; 32], &volatile, Mode::Enforce);
    assert!(pins.is_all_trusted(&[1; 32]));
    let again = pins.observe(&one, [1; 32], &volatile, Mode::Enforce);
    assert_eq!((again.drifted.len(), again.is_changed), (0, false));
    pins.observe(&other, [2; 32], &volatile, Mode::Enforce);
    pins.approve(None);
    assert!(pins.is_all_trusted(&[2; 32]), "approved and not trusted");
    for line in diff(&one[0], &other[0]) {
        assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
    }
    assert!(diff(&one[0], &one[0]).is_empty());
    thread_local! {
        static RULES: Rules = Rules::default();
    }
    for finding in RULES.with(|rules| scan_tool(rules, &Tool::of("s", raw))) {
        assert!(!finding.excerpt.contains(|c: char| c.is_control()));
    }
}
