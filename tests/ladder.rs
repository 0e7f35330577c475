//! What each rung of a tool's ladder keeps, for every tool of every real list: names, required
//! parameters, enumerations and types above `name`; every word in `dense`; every constraint in `short`;
//! never more tokens than the rung above. Run over more lists with `MCP_WHITTLE_CORPUS=<folder of
//! folders with tools.json>`; `--nocapture` shows the numbers.

mod kept;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use mcp_whittle::surface::constraints::clauses;
use mcp_whittle::surface::constraints::lost;
use mcp_whittle::surface::ladder::LadderOptions;
use mcp_whittle::surface::ladder::Rung;
use mcp_whittle::surface::ladder::ladder;
use mcp_whittle::surface::ladder::model_tokens;
use mcp_whittle::surface::ladder::priced_ladder;
use mcp_whittle::surface::ladder::render;
use mcp_whittle::surface::lean::Limits;
use mcp_whittle::surface::lean::lean;
use mcp_whittle::token::TiktokenCounter;
use mcp_whittle::token::Tokens;
use serde_json::Value;
use serde_json::json;

use crate::ladder::kept::Parameter;
use crate::ladder::kept::descriptions;
use crate::ladder::kept::flat;
use crate::ladder::kept::parameters;
use crate::ladder::kept::strings;
use crate::ladder::kept::without_prose;
use crate::lean::instances::Random;
use crate::lean::lists;

/// The two kinds of clients.
fn all_options() -> [LadderOptions<'static>; 2] {
    let closed = LadderOptions::default();
    let open = LadderOptions {
        may_use_open_schema: true,
        ..LadderOptions::default()
    };
    [open, closed]
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).expect("valid JSON")
}

/// What a model reads of a rendering, as running text.
fn model_text(rendered: &Value) -> String {
    let mut text = String::new();
    for key in ["description", "inputSchema"] {
        strings(&rendered[key], &mut text);
    }
    text
}

/// The property of every listed rung: a Tool object under the same name, with every member that is
/// not the model's.
fn is_the_same_tool(raw: &str, rendered: &str) -> Result<(), String> {
    let before = value(lean(raw, &Limits::default()).text(raw));
    let after: Value = serde_json::from_str(rendered).map_err(|error| error.to_string())?;
    let after = after.as_object().ok_or("no object")?;
    if after
        .get("inputSchema")
        .and_then(|schema| schema.get("type"))
        != Some(&json!("object"))
    {
        return Err("inputSchema has not the type object".to_owned());
    }
    if !after.get("description").is_none_or(Value::is_string) {
        return Err("description is no string".to_owned());
    }
    for (key, member) in before.as_object().ok_or("no object")? {
        match after.get(key) {
            None => return Err(format!("lost {key}")),
            Some(_) if matches!(key.as_str(), "description" | "inputSchema") => {}
            Some(now) if now == member => {}
            // The bytes as sent have what lean leaves out.
            Some(_) if rendered == raw => {}
            Some(_) => return Err(format!("changed {key}")),
        }
    }
    let is_known =
        |key: &String| before.get(key).is_some() || key == "description" || rendered == raw;
    match after.keys().find(|key| !is_known(key)) {
        Some(key) => Err(format!("gained {key}")),
        None => Ok(()),
    }
}

/// The property of every rung above `name`: required and optional names, enumerations and types of
/// every parameter, however deep, can be read.
fn shows_parameters(raw: &str, rendered: &str) -> Result<(), String> {
    let before = value(lean(raw, &Limits::default()).text(raw));
    // What is as sent is compared as lean has it.
    let after = value(lean(rendered, &Limits::default()).text(rendered));
    let schema = &after["inputSchema"];
    if schema.get("properties").is_some() || before["inputSchema"].get("properties").is_none() {
        // A real schema: the same but for prose.
        let expected = without_prose(&before["inputSchema"]);
        return match without_prose(schema) == expected
            || (schema == &json!({"type": "object"}) && expected["properties"].is_null())
        {
            true => Ok(()),
            false => Err("another schema".to_owned()),
        };
    }
    let text = after["description"].as_str().unwrap_or_default();
    let mut all: Vec<Parameter> = Vec::new();
    parameters(&before["inputSchema"], &mut all);
    all.iter()
        .try_for_each(|parameter| parameter.is_shown_in(text))
}

/// The property of `dense`: every text is there, word for word.
fn keeps_every_word(raw: &str, rendered: &str) -> Result<(), String> {
    let shown = flat(&model_text(&value(rendered)));
    let mut all = Vec::new();
    descriptions(&value(lean(raw, &Limits::default()).text(raw)), &mut all);
    match all.iter().find(|text| !shown.contains(&flat(text))) {
        Some(text) => Err(format!("lost words of {text:?}")),
        None => Ok(()),
    }
}

/// The property of `short`: of every text, every constraint clause is there.
fn keeps_constraints(raw: &str, rendered: &str) -> Result<(), String> {
    let shown = model_text(&value(rendered));
    let mut all = Vec::new();
    descriptions(&value(raw), &mut all);
    for text in all {
        if let Some(clause) = lost(&text, &shown).first() {
            return Err(format!("lost {:?}", clause.text));
        }
    }
    Ok(())
}

/// Does what `kept` of this rung asks.
fn check(raw: &str, rung: Rung, rendered: &str) -> Result<(), String> {
    is_the_same_tool(raw, rendered)?;
    if rung < Rung::Name {
        shows_parameters(raw, rendered)?;
    }
    if rung < Rung::Short {
        keeps_every_word(raw, rendered)?;
    }
    if rung < Rung::Signature {
        keeps_constraints(raw, rendered)?;
    }
    Ok(())
}

#[test]
fn every_rung_of_every_real_tool_keeps_what_it_promises() {
    let mut n_rungs = 0;
    for list in lists() {
        for raw in &list.tools {
            for options in all_options() {
                for rendering in ladder(raw, &options) {
                    let Some(text) = &rendering.text else {
                        assert_eq!(rendering.rung, Rung::Hidden);
                        continue;
                    };
                    check(raw, rendering.rung, text).unwrap_or_else(|error| {
                        panic!("{} {}: {error}\n{raw}\n{text}", list.server, rendering.rung)
                    });
                    let again = render(raw, rendering.rung, &options);
                    assert_eq!(again, rendering, "{}: another text", list.server);
                    n_rungs += 1;
                }
            }
        }
    }
    assert!(n_rungs > 500, "{n_rungs}");
}

/// A rendering that goes too far, by name, and the rung it stands in for.
type BrokenVariant = (&'static str, Rung, fn(&str) -> String);

fn with_description(rendered: &str, change: impl Fn(&str) -> String) -> String {
    let mut value = value(rendered);
    let description = value["description"].as_str().expect("a description");
    value["description"] = Value::from(change(description));
    value.to_string()
}

const BROKEN: [BrokenVariant; 10] = [
    ("drops annotations", Rung::Name, |text| {
        let mut value = value(text);
        value
            .as_object_mut()
            .expect("an object")
            .shift_remove("annotations");
        value.to_string()
    }),
    ("renames", Rung::Name, |text| {
        text.replacen("\"t\"", "\"u\"", 1)
    }),
    ("drops outputSchema unasked", Rung::Signature, |text| {
        let mut value = value(text);
        value
            .as_object_mut()
            .expect("an object")
            .shift_remove("outputSchema");
        value.to_string()
    }),
    ("makes every parameter optional", Rung::Signature, |text| {
        with_description(text, |text| text.replace("path: ", "path?: "))
    }),
    ("leaves an enumeration out", Rung::Signature, |text| {
        with_description(text, |text| text.replace("'head'|'tail'", "string"))
    }),
    ("loses a type", Rung::Signature, |text| {
        with_description(text, |text| text.replace("integer", "any"))
    }),
    ("loses a nested parameter", Rung::Dense, |text| {
        with_description(text, |text| text.replace("encoding", ""))
    }),
    ("keeps first sentences of prose only", Rung::Dense, |text| {
        with_description(text, |text| text.replace(" Logs are fun.", ""))
    }),
    ("loses a constraint of a parameter", Rung::Short, |text| {
        with_description(text, |text| text.replace(" Must be absolute.", ""))
    }),
    ("turns a constraint round", Rung::Short, |text| {
        with_description(text, |text| text.replace("Never binary", "Binary"))
    }),
];

fn sensitive_tool() -> String {
    json!({
        "name": "t",
        "description": "Reads a log. Never binary files. Logs are fun.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "path": {"type": "string", "description": "Path of the log. Logs are fun. Must be absolute."},
                "from": {"enum": ["head", "tail"], "description": "Which end."},
                "n": {"type": "integer", "minimum": 1, "default": 10},
                "options": {"type": "object", "properties": {"encoding": {"type": "string"}}}
            },
            "required": ["path"]
        },
        "annotations": {"readOnlyHint": true},
        "outputSchema": {"type": "object", "properties": {"lines": {"type": "array"}}},
        "_meta": {"a": 1}
    })
    .to_string()
}

#[test]
fn broken_variants_are_caught() {
    let raw = sensitive_tool();
    let [open, _] = all_options();
    for (name, rung, break_it) in BROKEN {
        let rendering = render(&raw, rung, &open);
        let text = rendering.text.expect("a text");
        check(&raw, rung, &text).expect("the real rendering passes");
        let broken = break_it(&text);
        assert_ne!(broken, text, "{name} changes nothing: {text}");
        assert!(check(&raw, rung, &broken).is_err(), "{name} is not caught");
    }
    // Also where the schema is a real one.
    let closed = render(&raw, Rung::Signature, &LadderOptions::default())
        .text
        .expect("a text");
    check(&raw, Rung::Signature, &closed).expect("the real rendering passes");
    assert!(check(&raw, Rung::Signature, &closed.replace("\"minimum\":1,", "")).is_err());
}

/// Says whether tokens never rise from rung to rung.
fn never_rises(tokens: &[Tokens]) -> bool {
    tokens.windows(2).all(|pair| pair[1] <= pair[0])
}

#[test]
fn a_lower_rung_never_costs_more() {
    let counter = TiktokenCounter::default();
    for list in lists() {
        for raw in &list.tools {
            for options in all_options() {
                let priced = priced_ladder(raw, &options, &counter);
                let tokens: Vec<Tokens> = priced.iter().map(|priced| priced.tokens).collect();
                assert!(never_rises(&tokens), "{}: {tokens:?} {raw}", list.server);
                for priced in &priced {
                    let Some(text) = &priced.rendering.text else {
                        continue;
                    };
                    assert_eq!(priced.tokens, model_tokens(text, &counter));
                    assert!(priced.rendering.shown <= priced.rendering.rung);
                }
            }
        }
    }
    // The broken variant that the property catches: no falling back.
    let raw = r#"{"name":"t","inputSchema":{"type":"object"}}"#;
    let [open, _] = all_options();
    let unpriced: Vec<Tokens> = ladder(raw, &open)
        .iter()
        .filter_map(|rendering| {
            rendering
                .text
                .as_deref()
                .map(|text| model_tokens(text, &counter))
        })
        .collect();
    assert!(!never_rises(&unpriced), "{unpriced:?}");
}

#[derive(Debug, Default)]
struct Totals {
    tokens: BTreeMap<Rung, Tokens>,
    constraints: BTreeMap<Rung, usize>,
    described: BTreeMap<Rung, usize>,
    n_constraints: usize,
    n_described: usize,
}

/// The numbers that people ask for: tokens, constraints and described parameters at each rung.
#[test]
#[expect(
    clippy::print_stdout,
    reason = "the numbers of this run, shown with --nocapture"
)]
fn what_each_rung_costs_and_keeps() {
    let counter = TiktokenCounter::default();
    for options in all_options() {
        let mut all = Totals::default();
        println!("open schemas: {}", options.may_use_open_schema);
        println!(
            "server\t{}",
            Rung::ALL.map(|rung| rung.to_string()).join("\t")
        );
        for list in lists() {
            let mut of_list: BTreeMap<Rung, Tokens> = BTreeMap::new();
            for raw in &list.tools {
                let tool = value(raw);
                let mut texts = Vec::new();
                descriptions(&tool, &mut texts);
                texts.retain(|text| !text.trim().is_empty());
                let own = tool["description"]
                    .as_str()
                    .is_some_and(|text| !text.trim().is_empty());
                let own = usize::from(own);
                let n_clauses: usize = texts.iter().map(|text| clauses(text).len()).sum();
                all.n_constraints += n_clauses;
                all.n_described += texts.len() - own;
                for priced in priced_ladder(raw, &options, &counter) {
                    let rung = priced.rendering.rung;
                    *of_list.entry(rung).or_default() += priced.tokens;
                    *all.tokens.entry(rung).or_default() += priced.tokens;
                    let text = priced.rendering.text.unwrap_or(Cow::Borrowed("{}"));
                    let shown = model_text(&value(&text));
                    let n_lost: usize = texts.iter().map(|text| lost(text, &shown).len()).sum();
                    *all.constraints.entry(rung).or_default() += n_clauses - n_lost;
                    let shown = flat(&shown);
                    let is_described = |text: &&String| {
                        let text = flat(text);
                        let first: String = text
                            .split(". ")
                            .next()
                            .unwrap_or_default()
                            .chars()
                            .take(60)
                            .collect();
                        shown.contains(first.trim_end_matches('.'))
                    };
                    *all.described.entry(rung).or_default() +=
                        texts[own..].iter().filter(is_described).count();
                }
            }
            let row: Vec<String> = of_list.values().map(Tokens::to_string).collect();
            println!("{}\t{}", list.server, row.join("\t"));
        }
        let percent =
            |part: usize, whole: usize| format!("{:.1} %", 100.0 * part as f64 / whole as f64);
        let full = all.tokens[&Rung::Full].get() as usize;
        for rung in Rung::ALL {
            println!(
                "{rung}\t{} tokens ({})\tconstraints {}\tdescribed parameters {}",
                all.tokens[&rung],
                percent(all.tokens[&rung].get() as usize, full),
                percent(all.constraints[&rung], all.n_constraints),
                percent(all.described[&rung], all.n_described),
            );
        }
        for rung in [Rung::Full, Rung::Lean, Rung::Dense, Rung::Short] {
            assert_eq!(all.constraints[&rung], all.n_constraints, "{rung}");
        }
        assert!(all.tokens[&Rung::Short] < all.tokens[&Rung::Lean]);
        assert!(all.tokens[&Rung::Signature] < all.tokens[&Rung::Short]);
    }
}

/// Fifty tools, drawn by a seed, before and after: for people to read.
#[test]
fn fifty_tools_before_and_after() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/servers");
    let mut tools: Vec<(String, String)> = crate::lean::lists_below(&folder)
        .into_iter()
        .flat_map(|list| {
            list.tools
                .into_iter()
                .map(move |tool| (list.server.clone(), tool))
        })
        .collect();
    let mut random = Random::new(50);
    let mut drawn = Vec::new();
    while drawn.len() < 50 && !tools.is_empty() {
        drawn.push(tools.swap_remove(random.below(tools.len())));
    }
    drawn.sort();
    let counter = TiktokenCounter::default();
    let [open, _] = all_options();
    let mut text = String::new();
    for (server, raw) in &drawn {
        let name = value(raw)["name"].as_str().expect("a name").to_owned();
        let _ = writeln!(text, "######## {server} {name}");
        for priced in priced_ladder(raw, &open, &counter) {
            let rendering = &priced.rendering;
            let Some(shown) = &rendering.text else {
                continue;
            };
            let _ = writeln!(text, "==== {}: {} tokens", rendering.rung, priced.tokens);
            if rendering.shown != rendering.rung {
                let _ = writeln!(text, "(as {})", rendering.shown);
                continue;
            }
            let tool = value(shown);
            if rendering.rung != Rung::Lean {
                let description = tool["description"].as_str().unwrap_or("(none)");
                let _ = writeln!(text, "{description}");
            }
            if rendering.rung <= Rung::Lean {
                let _ = writeln!(text, "{}", tool["inputSchema"]);
            }
        }
        text.push('\n');
    }
    insta::assert_snapshot!("fifty_tools", text);
}
