//! Hidden characters: every row of the data, and what a client gets of a server that hides some.

use mcp_whittle::policy::hidden::{clean, clean_definition, find};
use mcp_whittle::policy::scan::{Rule, Tool, scan, scan_tool};
use serde_json::{Value, json};

use super::rows;
use crate::kit::{Proxy, ScriptedServer};

/// Classes whose characters are hidden; the others are texts, layouts and letters that look alike.
fn is_hidden(class: &str) -> bool {
    [
        "tag_block",
        "variation_selector_smuggle",
        "zero_width_binary",
        "bidi_override",
        "bidi_isolate",
        "invisible_char",
        "ansi_",
        "carriage_overwrite",
        "backspace_overwrite",
        "nul",
    ]
    .iter()
    .any(|start| class.starts_with(start))
        && class != "tag_block_emoji"
}

#[test]
fn every_row_of_hidden_characters() {
    let (mut hidden, mut seen, mut warned, mut silent) = (0, 0, Vec::new(), Vec::new());
    for row in rows("hidden-text.jsonl") {
        let (id, class) = (row["id"].as_str().unwrap(), row["cls"].as_str().unwrap());
        let text = row["text"].as_str().unwrap();
        let raw = match row["field"].as_str().unwrap() {
            "name" => json!({ "name": text }),
            "param_description" => {
                json!({"name": "t", "inputSchema": {"properties": {"p": {"description": text}}}})
            }
            "enum_value" => {
                json!({"name": "t", "inputSchema": {"properties": {"p": {"enum": [text]}}}})
            }
            _ => json!({ "name": "t", "description": text }),
        }
        .to_string();
        let cleaned = clean_definition(raw.as_bytes());
        let mut rules: Vec<Rule> = scan(&[("s".to_owned(), vec![raw.clone()])])
            .into_iter()
            .map(|finding| finding.rule)
            .collect();
        rules.dedup();
        if is_hidden(class) {
            hidden += 1;
            assert!(!find(text).is_empty(), "{id} {class}");
            assert!(find(&clean(text)).is_empty(), "{id} {class}");
            assert!(!cleaned.is_clean(), "{id} {class}");
            let told = rules
                .iter()
                .any(|rule| matches!(rule, Rule::Hidden | Rule::HiddenName));
            assert!(told, "{id} {class}: {rules:?}");
            // A value that was changed would be another one.
            let is_value = matches!(row["field"].as_str().unwrap(), "name" | "enum_value");
            assert_eq!(cleaned.edits.is_empty(), is_value, "{id} {class}");
            continue;
        }
        seen += 1;
        assert_eq!(clean(text), text, "{id} {class}");
        let is_allowed = [&row["expect_metadata"], &row["expect_result"]]
            .iter()
            .all(|wanted| matches!(wanted.as_str(), Some("allow" | "n/a")));
        match (is_allowed, rules.is_empty()) {
            (true, _) => assert_eq!(rules, [], "{id} {class}"),
            (false, true) => silent.push(id.to_owned()),
            (false, false) => warned.push(id.to_owned()),
        }
    }
    println!(
        "{hidden} hidden, {seen} not; of texts that speak {} warned, silent: {silent:?}",
        warned.len()
    );
    assert_eq!(hidden, 25, "rows with hidden characters");
    // An image and an error of a result, which are nothing that a definition says.
    assert_eq!(silent, ["HT038", "HT045"]);
}

const HIDING: &str = concat!(
    r#"tool add "title":"Add\u200b","description":"Adds.\udb40\udc69\udb40\udc67 Both \u202enumbers\u202c. \ud83d\udc68\u200d\ud83d\udc69","#,
    r#""inputSchema":{"type":"object","properties":{"n":{"type":"integer","description":"A\u001b[8m number."},"mode":{"enum":["fa\u00adst"]}}}"#
);
const PLAIN: &str = r#"tool plain "description":"Caf\u00e9 \u0645\u06cc\u200c\u062e","inputSchema":{"type":"object"}"#;

fn tools(answer: &Value) -> Vec<Value> {
    answer["result"]["tools"].as_array().unwrap().clone()
}

#[test]
fn prose_is_shown_without_them_and_names_and_values_as_they_are() {
    for options in ["", "--surface full", "--budget 4000", "--surface lean"] {
        let server = ScriptedServer::new(&format!("{HIDING}\n{PLAIN}"));
        let mut proxy = Proxy::wrap(&server).options(options).start();
        proxy.initialize();
        let list = tools(&proxy.ask("tools/list", json!({})));
        let add = list
            .iter()
            .find(|tool| tool["name"] == "add")
            .unwrap()
            .to_string();
        assert!(
            add.contains("Adds. Both numbers. 👨\u{200d}👩"),
            "{options}: {add}"
        );
        assert!(add.contains("A number."), "{options}: {add}");
        assert!(add.contains("fa\u{ad}st"), "{options}: {add}");
        let plain = list.iter().find(|tool| tool["name"] == "plain").unwrap();
        assert_eq!(
            plain["description"], "Café \u{645}\u{6cc}\u{200c}\u{62e}",
            "{options}"
        );
        proxy.wait_log(&[
            "`add`",
            "has characters that people do not see; they are not shown",
            "rule=\"hidden\"",
        ]);
        proxy.wait_log(&["`add`", "in a name or value"]);
        assert!(!proxy.stderr().contains("`plain`"), "{}", proxy.stderr());
        // The original decides: what it names is still called so.
        assert!(
            proxy
                .text_of_call("add", json!({"n": 1, "mode": "fa\u{ad}st"}))
                .contains('1')
        );
        proxy.finish();
    }
}

#[test]
fn a_transparent_proxy_takes_nothing_out() {
    let server = ScriptedServer::new(HIDING);
    let mut bare = Proxy::bare(&server).start();
    bare.initialize();
    let sent = tools(&bare.ask("tools/list", json!({})));
    bare.finish();
    for (options, settings) in [
        ("--transparent", ""),
        ("--surface full", "scan.hidden = \"off\""),
    ] {
        let mut proxy = Proxy::wrap(&server)
            .options(options)
            .settings(settings)
            .start();
        proxy.initialize();
        assert_eq!(
            tools(&proxy.ask("tools/list", json!({}))),
            sent,
            "{options}"
        );
        proxy.finish();
    }
}

#[test]
fn a_tool_with_hidden_characters_in_values_is_withheld_where_that_is_wanted() {
    for options in ["", "--surface full", "--pin *=hidden"] {
        let server = ScriptedServer::new(&format!("{HIDING}\n{PLAIN}"));
        let settings = "scan.hidden = \"withhold\"";
        let mut proxy = Proxy::wrap(&server)
            .options(options)
            .settings(settings)
            .start();
        proxy.initialize();
        let list = proxy.ask("tools/list", json!({})).to_string();
        assert!(!list.contains("\"add\""), "{options}: {list}");
        let refused = proxy.text_of_call("add", json!({"n": 1}));
        assert!(
            refused.starts_with("Not called: `add`: its definition has characters"),
            "{refused}"
        );
        if options.contains("hidden") {
            let described = proxy.ask_call("describe_tools", json!({"names": ["add"]}));
            assert!(!described.to_string().contains("Adds."), "{described}");
        }
        assert!(server.received_of("tools/call").is_empty());
        proxy.finish();
    }
}

/// Prompts, resources and the instructions of a handshake are shown as well.
#[test]
fn other_texts_of_servers_are_cleaned_too() {
    let script = concat!(
        "capabilities {\"tools\":{},\"prompts\":{},\"resources\":{}}\n",
        "on initialize\n result {\"protocolVersion\":\"2025-11-25\",\"capabilities\":{\"tools\":{},\"prompts\":{},\"resources\":{}},\"serverInfo\":{\"name\":\"s\",\"version\":\"1\"},\"instructions\":\"Be\\u200b kind.\"}\n",
        "on prompts/list\n result {\"prompts\":[{\"name\":\"p\",\"description\":\"Pro\\u200bmpt\",\"arguments\":[{\"name\":\"a\",\"description\":\"Ar\\u2060g\"}]}]}\n",
        "on resources/list\n result {\"resources\":[{\"uri\":\"x:y\",\"name\":\"r\",\"description\":\"Re\\ufeffs\"}]}\n",
    );
    for is_one in [true, false] {
        let server = ScriptedServer::new(script);
        let other = ScriptedServer::new("tool t");
        let mut proxy = match is_one {
            true => Proxy::wrap(&server),
            false => Proxy::servers(&[("a", &server), ("b", &other)]),
        }
        .start();
        let hello = proxy.initialize().to_string();
        assert!(hello.contains("Be kind."), "{hello}");
        let prompts = proxy.ask("prompts/list", json!({})).to_string();
        assert!(
            prompts.contains("\"Prompt\"") && prompts.contains("\"Arg\""),
            "{prompts}"
        );
        let resources = proxy.ask("resources/list", json!({})).to_string();
        assert!(resources.contains("\"Res\""), "{resources}");
        proxy.finish();
    }
}

/// Sibling of the data test: a scanner that looks at descriptions only misses rows.
#[test]
fn looking_at_descriptions_only_would_be_seen() {
    let raw = json!({"name": "t", "inputSchema": {"properties": {"p": {"enum": ["a\u{e0061}"]}}}})
        .to_string();
    let description = json!({"name": "t"}).to_string();
    let of = |raw: &str| scan_tool(&Default::default(), &Tool::of("s", raw)).len();
    assert_eq!((of(&raw), of(&description)), (1, 0));
}
