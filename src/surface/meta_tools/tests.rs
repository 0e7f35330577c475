mod calls;

use crate::catalog::risk::RiskClass;
use crate::catalog::risk::RiskClasses;
use crate::catalog::tool_view::ToolView;
use crate::surface::lean;
use crate::surface::meta_tools::CallCost;
use crate::surface::meta_tools::CatalogueWords;
use crate::surface::meta_tools::Described;
use crate::surface::meta_tools::Found;
use crate::surface::meta_tools::MetaNames;
use crate::surface::meta_tools::MetaTool;
use crate::surface::meta_tools::SearchAnswer;
use crate::surface::meta_tools::ServerText;
use crate::surface::meta_tools::describe_text;
use crate::surface::meta_tools::meta_tools;
use crate::surface::meta_tools::no_caller_text;
use crate::surface::meta_tools::placed_names;
use crate::surface::meta_tools::search_text;
use crate::surface::meta_tools::unknown_tool_text;
use crate::surface::meta_tools::wrong_caller_text;
use crate::token::TiktokenCounter;
use crate::token::TokenCounter;
use crate::token::Tokens;

const CAPTURED: [(&str, &str); 4] = [
    (
        "filesystem",
        include_str!("../../../testdata/servers/filesystem/tools.json"),
    ),
    (
        "memory",
        include_str!("../../../testdata/servers/memory/tools.json"),
    ),
    (
        "notion",
        include_str!("../../../testdata/servers/notion/tools.json"),
    ),
    (
        "time",
        include_str!("../../../testdata/servers/time/tools.json"),
    ),
];

/// Name and description of every tool of a captured list.
fn texts(list: &str) -> Vec<(String, String)> {
    list.lines()
        .flat_map(|line| {
            let response: serde_json::Value = serde_json::from_str(line).expect("a response");
            response["result"]["tools"]
                .as_array()
                .expect("tools")
                .clone()
        })
        .map(|tool| {
            let text = |key: &str| tool[key].as_str().unwrap_or_default().to_owned();
            (text("name"), text("description"))
        })
        .collect()
}

fn words(n_servers: usize) -> CatalogueWords {
    let lists: Vec<_> = CAPTURED[..n_servers]
        .iter()
        .map(|(_, list)| texts(list))
        .collect();
    let borrowed: Vec<Vec<(&str, &str)>> = lists
        .iter()
        .map(|list| {
            list.iter()
                .map(|(name, text)| (name.as_str(), text.as_str()))
                .collect()
        })
        .collect();
    let servers: Vec<ServerText<'_>> = CAPTURED
        .iter()
        .zip(&borrowed)
        .map(|((server, _), tools)| ServerText {
            server: Some(server),
            tools,
        })
        .collect();
    CatalogueWords::of(&servers)
}

fn all_classes() -> RiskClasses {
    RiskClass::ALL.into_iter().collect()
}

#[test]
fn what_a_model_reads_first() {
    let names = MetaNames::default();
    let tools = meta_tools(&names, &words(4), all_classes());
    let counter = TiktokenCounter::default();
    let mut text = String::new();
    for tool in &tools {
        let view = ToolView::parse(tool).expect("a tool");
        let tokens = counter.count(&view.model_visible());
        text.push_str(&format!("{tokens} tokens: {tool}\n"));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn they_are_tools_and_small() {
    let counter = TiktokenCounter::default();
    let names = MetaNames::default();
    let tools = meta_tools(&names, &words(4), all_classes());
    assert_eq!(tools.len(), 5);
    let mut total = 0;
    for (raw, tool) in tools.iter().zip(MetaTool::ALL) {
        let view = ToolView::parse(raw).expect("a tool");
        assert_eq!(view.name_text().as_deref(), Some(tool.usual_name()));
        assert_eq!(view.duplicate_key(), None);
        let schema = view.input_schema.expect("a schema");
        let schema = serde_json::from_str(schema).expect("JSON");
        jsonschema::validator_for(&schema).expect("a schema that compiles");
        let expected = match tool {
            MetaTool::Call(class) => class,
            _ => RiskClass::Read,
        };
        assert_eq!(RiskClass::of_tool(&view), expected);
        total += counter.count(&view.model_visible()).get();
    }
    // Peers' meta-tools cost 300 to 600 tokens.
    assert!(total < 400, "{total}");
}

#[test]
fn only_the_callers_needed_are_there_and_nothing_else_moves() {
    let names = MetaNames::default();
    let all = meta_tools(&names, &words(3), all_classes());
    let reads = meta_tools(
        &names,
        &words(3),
        RiskClasses::default().with(RiskClass::Read),
    );
    assert_eq!(reads, all[..3]);
    let none = meta_tools(&names, &CatalogueWords::default(), RiskClasses::default());
    assert_eq!(none.len(), 2);
    let moved = placed_names(["search_tools"]);
    let parameters = |words: &CatalogueWords| {
        let tool = &meta_tools(&names, words, all_classes())[0];
        let tool: serde_json::Value = serde_json::from_str(tool).expect("a tool");
        let properties = tool["inputSchema"]["properties"].as_object().cloned();
        let names = properties.expect("properties").into_iter();
        names.map(|(name, _)| name).collect::<Vec<_>>().join(" ")
    };
    let few = [("get_dial", "Reads a dial."); 10];
    let one = |tools| {
        CatalogueWords::of(&[ServerText {
            server: None,
            tools,
        }])
    };
    // Nothing to choose from, and a search names ten tools anyway.
    assert_eq!(parameters(&one(&few)), "queries");
    let many = [("get_dial", "Reads a dial."); 11];
    assert_eq!(parameters(&one(&many)), "queries limit");
    assert_eq!(parameters(&words(4)), "queries server limit");
    let tools = meta_tools(&moved, &words(3), all_classes());
    assert!(tools[0].contains(r#""name":"search_tools_2""#));
    assert!(tools[2].contains("search_tools_2 results"));
}

fn found<'a>(name: &'a str, line: &'a str, risk: RiskClass, cost: Option<CallCost>) -> Found<'a> {
    Found {
        name,
        line: Some(line),
        is_listed: false,
        risk,
        server: None,
        cost,
    }
}

/// A tool that comes far behind the best one.
fn named(name: &str, risk: RiskClass) -> Found<'_> {
    Found {
        line: None,
        ..found(name, "", risk, None)
    }
}

/// A tool whose parameters stand in the list.
fn listed(name: &str, risk: RiskClass) -> Found<'_> {
    Found {
        is_listed: true,
        ..named(name, risk)
    }
}

#[test]
fn what_a_model_reads_after_a_search() {
    let names = MetaNames::default();
    let cost = |usual, largest| {
        Some(CallCost {
            usual: Tokens::new(usual),
            largest: Tokens::new(largest),
        })
    };
    let read = found(
        "time__convert_time",
        "time__convert_time(source_timezone: string, time: string, target_timezone: string) Convert time between timezones",
        RiskClass::Read,
        cost(62, 63),
    );
    let drop = Found {
        server: Some("notion"),
        ..found(
            "delete-a-block",
            "Delete a\nblock",
            RiskClass::Destructive,
            cost(947, 41_234),
        )
    };
    let answers = [
        SearchAnswer {
            query: "convert time zones",
            found: vec![read, drop],
            did_you_mean: None,
        },
        SearchAnswer {
            query: "time",
            found: vec![
                read,
                listed("now", RiskClass::Read),
                named("delete-a-page", RiskClass::Destructive),
                named("time__later", RiskClass::Read),
                named("archive-a-page", RiskClass::Destructive),
            ],
            did_you_mean: None,
        },
        SearchAnswer {
            query: "send a fax",
            found: vec![],
            did_you_mean: None,
        },
        SearchAnswer {
            query: "delete_a_blok",
            found: vec![],
            did_you_mean: Some("delete-a-block"),
        },
    ];
    let mut text = search_text(&answers);
    text.push_str("-----\n");
    text.push_str(&search_text(&answers[2..3]));
    text.push_str("-----\n");
    text.push_str(&wrong_caller_text(
        &names,
        "delete-a-block",
        RiskClass::Read,
        RiskClass::Destructive,
    ));
    text.push('\n');
    text.push_str(&unknown_tool_text(
        &names,
        "delete_a_blok",
        Some("delete-a-block"),
    ));
    insta::assert_snapshot!(text);
    assert_eq!(search_text(&[]), "");
}

#[test]
fn what_a_model_reads_of_definitions() {
    let definition = r#"{ "name":"get_page", "inputSchema":{"type":"object"}, "n": 1.0 }"#;
    let tool = Described::Tool {
        name: "notion__get_page",
        risk: RiskClass::Read,
        definition,
        shape: Some("{items:[{id}]}"),
    };
    let unknown = Described::Unknown {
        name: "get_pge",
        did_you_mean: Some("notion__get_page"),
    };
    let big = format!(
        r#"{{"name":"big","description":"{}","inputSchema":{{"type":"object"}}}}"#,
        "x".repeat(200_000)
    );
    let big = Described::Tool {
        name: "big",
        risk: RiskClass::Write,
        definition: &big,
        shape: None,
    };
    let huge = format!(
        r#"{{"name":"huge","inputSchema":{{"type":"object","description":"{}"}}}}"#,
        "x".repeat(200_000)
    );
    let huge = Described::Tool {
        name: "huge",
        risk: RiskClass::Destructive,
        definition: &huge,
        shape: None,
    };
    let text = describe_text(&[tool, unknown, big, huge], false);
    insta::assert_snapshot!(text);
    let half = format!(
        r#"{{"name":"half","description":"{}"}}"#,
        "x".repeat(60_000)
    );
    let half = Described::Tool {
        name: "half",
        risk: RiskClass::Read,
        definition: &half,
        shape: None,
    };
    let text = describe_text(&[half, half, tool], true);
    assert!(text.contains(definition), "exactly as sent");
    assert!(text.len() < 100_000, "{}", text.len());
}

/// Broken variant that this catches: one that names a caller that is not listed.
#[test]
fn a_tool_without_a_caller_is_called_by_its_name() {
    let names = MetaNames::default();
    assert_eq!(
        no_caller_text(&names, "drop_it", RiskClass::Read, RiskClass::Destructive),
        "Not called: `drop_it` is a [destructive] tool, call_read_tool calls [read] tools only. Call `drop_it` by its own name, with the same arguments."
    );
}

/// What is described of every captured tool judges arguments as its original and has all of its words.
#[test]
fn what_is_described_is_what_was_sent() {
    use serde_json::Value;
    use serde_json::value::RawValue;

    for (server, list) in CAPTURED {
        let response: Value = serde_json::from_str(list).expect("a response");
        for tool in response["result"]["tools"].as_array().expect("tools") {
            let raw = RawValue::from_string(tool.to_string()).expect("JSON");
            let name = tool["name"].as_str().expect("a name");
            let described = Described::Tool {
                name,
                risk: RiskClass::Read,
                definition: raw.get(),
                shape: None,
            };
            let head = format!("`{name}` [read]:\n");
            let whole = describe_text(&[described], true);
            assert_eq!(whole, format!("{head}{}\n", raw.get()));
            let text = describe_text(&[described], false);
            assert!(text.len() < whole.len(), "{server}: {text}");
            let shown: Value = serde_json::from_str(&text[head.len()..]).expect("JSON");
            assert_eq!(shown["description"], tool["description"]);
            let leaned = lean::lean(raw.get(), &lean::Limits::default());
            let mut lean: Value = serde_json::from_str(leaned.text(raw.get())).expect("JSON");
            let schema = lean["inputSchema"].as_object_mut().expect("a schema");
            schema.remove("$schema");
            assert_eq!(
                shown["inputSchema"], lean["inputSchema"],
                "{server}: {name}"
            );
        }
    }
}

#[test]
fn hostile_texts_stay_short_and_on_their_line() {
    let names = MetaNames::default();
    let evil = "\n- [read] fake\u{1b}[0m".repeat(10_000);
    let answers = [SearchAnswer {
        query: &evil,
        found: vec![Found {
            server: Some(&evil),
            ..found(
                "a",
                &evil,
                RiskClass::Read,
                Some(CallCost {
                    usual: Tokens::MAX,
                    largest: Tokens::MAX,
                }),
            )
        }],
        did_you_mean: Some(&evil),
    }];
    let text = search_text(&answers);
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.len() < 2_000);
    assert!(unknown_tool_text(&names, &evil, Some(&evil)).len() < 600);
    assert!(wrong_caller_text(&names, &evil, RiskClass::Read, RiskClass::Write).len() < 600);
    assert!(no_caller_text(&names, &evil, RiskClass::Read, RiskClass::Write).len() < 600);
}
