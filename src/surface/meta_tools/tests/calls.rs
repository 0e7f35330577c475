use proptest::prelude::*;
use serde_json::Value;
use serde_json::json;

use crate::catalog::risk::RiskClass;
use crate::surface::meta_tools::DEFAULT_RESULTS;
use crate::surface::meta_tools::KnownTools;
use crate::surface::meta_tools::MetaCall;
use crate::surface::meta_tools::MetaCallError;
use crate::surface::meta_tools::MetaNames;
use crate::surface::meta_tools::MetaTool;
use crate::surface::meta_tools::Repair;
use crate::surface::meta_tools::parse_call;

/// Tools of a made-up catalogue with their parameters.
const TOOLS: [(&str, &[&str]); 6] = [
    ("get_page", &["page_id", "limit"]),
    ("create_user", &["name", "age"]),
    ("run", &["arguments", "input", "name"]),
    ("echo", &["input", "text"]),
    ("ping", &[]),
    ("help", &["tool", "language"]),
];

struct Known;

impl KnownTools for Known {
    fn is_tool(&self, name: &str) -> bool {
        TOOLS.iter().any(|(tool, _)| *tool == name)
    }

    fn has_parameter(&self, tool: &str, parameter: &str) -> bool {
        TOOLS
            .iter()
            .any(|(name, parameters)| *name == tool && parameters.contains(&parameter))
    }
}

const READ: MetaTool = MetaTool::Call(RiskClass::Read);

fn parse(tool: MetaTool, text: &str) -> Result<MetaCall, MetaCallError> {
    parse_call(tool, text.as_bytes(), &MetaNames::default(), &Known)
}

fn call(text: &str) -> Option<(String, String)> {
    match parse(READ, text).ok()? {
        MetaCall::Call {
            tool, arguments, ..
        } => Some((tool, String::from_utf8(arguments).expect("text"))),
        _ => None,
    }
}

#[track_caller]
fn check(text: &str, tool: &str, arguments: &str, expected: &[Repair]) {
    let call = parse(READ, text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let MetaCall::Call {
        risk,
        tool: named,
        arguments: bytes,
        repairs,
    } = call
    else {
        panic!("{call:?}");
    };
    assert_eq!(risk, RiskClass::Read);
    assert_eq!(
        (named.as_str(), std::str::from_utf8(&bytes)),
        (tool, Ok(arguments)),
        "{text}"
    );
    assert_eq!(repairs, expected, "{text}");
}

#[test]
fn calls_as_asked_for() {
    check(
        r#"{"name":"get_page","arguments":{ "page_id" : 1.0 }}"#,
        "get_page",
        r#"{ "page_id" : 1.0 }"#,
        &[],
    );
    check(
        r#"{"name":"get_page","arguments":"{ \"page_id\" : \"\\u00e9\" }"}"#,
        "get_page",
        r#"{ "page_id" : "\u00e9" }"#,
        &[],
    );
    check(
        r#"{"arguments_json":"{\"page_id\":1}","name":"get_page"}"#,
        "get_page",
        r#"{"page_id":1}"#,
        &[],
    );
    check(
        r#"{"name":"get_page","arguments":{},"arguments_json":"{\"page_id\":1}"}"#,
        "get_page",
        r#"{"page_id":1}"#,
        &[],
    );
    for nothing in [
        r#"{"name":"ping"}"#,
        r#"{"name":"ping","arguments":null}"#,
        r#"{"name":"ping","arguments":""}"#,
        r#"{"name":" ping ","arguments_json":"{}"}"#,
    ] {
        check(nothing, "ping", "{}", &[]);
    }
    // A tool's own parameters of such names stay arguments.
    check(
        r#"{"name":"run","arguments":{"name":"run","arguments":{"a":1}}}"#,
        "run",
        r#"{"name":"run","arguments":{"a":1}}"#,
        &[],
    );
    check(
        r#"{"name":"no_such_tool","arguments":{"a":1}}"#,
        "no_such_tool",
        r#"{"a":1}"#,
        &[],
    );
}

#[test]
fn slips_that_are_understood() {
    use Repair::{
        ArgumentsBesideName, ArgumentsKey, CodeFence, NameAmongArguments, NameKey, QuotedTwice,
        TrailingText, Wrapped,
    };
    for (text, tool, arguments, repairs) in [
        (
            r#"{"arguments":{"name":"get_page","arguments":{"page_id":1}}}"#,
            "get_page",
            r#"{"page_id":1}"#,
            &[Wrapped][..],
        ),
        (
            r#"{"name":"call_read_tool","arguments":{"name":"get_page","arguments":{"page_id":1}}}"#,
            "get_page",
            r#"{"page_id":1}"#,
            &[Wrapped],
        ),
        (
            r#"{"name":"get_page","arguments":{"name":"get_page","arguments":{"page_id":1}}}"#,
            "get_page",
            r#"{"page_id":1}"#,
            &[Wrapped],
        ),
        (
            r#"{"name":"get_page","arguments":{"arguments":{"page_id":1}}}"#,
            "get_page",
            r#"{"page_id":1}"#,
            &[Wrapped],
        ),
        (
            r#"{"function":{"name":"get_page","arguments":"{\"page_id\":1}"},"type":"function","id":"1"}"#,
            "get_page",
            r#"{"page_id":1}"#,
            &[Wrapped],
        ),
        (
            r#"{"tool":"get_page","arguments":{"page_id":1}}"#,
            "get_page",
            r#"{"page_id":1}"#,
            &[NameKey],
        ),
        (
            r#"{"toolName":"get_page","params":{"page_id":1}}"#,
            "get_page",
            r#"{"page_id":1}"#,
            &[NameKey, ArgumentsKey],
        ),
        (
            r#"{"tool_name":"get_page","name":"get_page","arguments":{}}"#,
            "get_page",
            "{}",
            &[],
        ),
        (
            r#"{"arguments":{"tool_name":"get_page","page_id": 1.0}}"#,
            "get_page",
            r#"{"page_id":1.0}"#,
            &[NameAmongArguments, NameKey, ArgumentsBesideName],
        ),
        (
            r#"{"name":"get_page","page_id": 1.0,"limit":2}"#,
            "get_page",
            r#"{"page_id":1.0,"limit":2}"#,
            &[ArgumentsBesideName],
        ),
        (
            r#"{"tool":"create_user","name":"Bob"}"#,
            "create_user",
            r#"{"name":"Bob"}"#,
            &[NameKey, ArgumentsBesideName],
        ),
        (
            r#"{"name":"echo","input":"{\"a\":1}"}"#,
            "echo",
            r#"{"input":"{\"a\":1}"}"#,
            &[ArgumentsBesideName],
        ),
        (
            r#"{"name":"get_page","input":"{\"page_id\":1}"}"#,
            "get_page",
            r#"{"page_id":1}"#,
            &[ArgumentsKey],
        ),
        (
            r#"{"name":"get_page","arguments":"\"{\\\"page_id\\\":1}\""}"#,
            "get_page",
            r#"{"page_id":1}"#,
            &[QuotedTwice],
        ),
        (
            r#""{\"name\":\"get_page\",\"arguments\":{\"page_id\":1}}""#,
            "get_page",
            r#"{"page_id":1}"#,
            &[],
        ),
        (
            "{\"name\":\"get_page\",\"arguments\":\"```json\\n{\\\"page_id\\\":1}\\n```\"}",
            "get_page",
            r#"{"page_id":1}"#,
            &[CodeFence],
        ),
        (
            r#"{"name":"get_page","arguments":"{\"page_id\":1}} done."}"#,
            "get_page",
            r#"{"page_id":1}"#,
            &[TrailingText],
        ),
    ] {
        check(text, tool, arguments, repairs);
    }
}

/// Broken variants that this catches: one that drops a tool's own parameter whose value is the tool's name, and one
/// that takes the name said once more for an argument.
#[test]
fn a_parameter_whose_value_is_the_tools_name_stays() {
    use Repair::ArgumentsBesideName;
    check(
        r#"{"name":"help","tool":"help"}"#,
        "help",
        r#"{"tool":"help"}"#,
        &[ArgumentsBesideName],
    );
    check(
        r#"{"name":"help","tool":"help","language":"de"}"#,
        "help",
        r#"{"tool":"help","language":"de"}"#,
        &[ArgumentsBesideName],
    );
    check(
        r#"{"name":"help","tool_name":"help","language":"de"}"#,
        "help",
        r#"{"language":"de"}"#,
        &[ArgumentsBesideName],
    );
    check(
        r#"{"name":"help","tool":"help","arguments":{"language":"de"}}"#,
        "help",
        r#"{"language":"de"}"#,
        &[],
    );
}

#[test]
fn what_has_two_readings_is_refused_with_words() {
    for (text, words) in [
        ("", "cannot be read"),
        ("[]", "no JSON object"),
        ("7", "no JSON object"),
        ("{}", "no tool is named"),
        ("null", "no tool is named"),
        (r#"{"name":7}"#, "no tool is named"),
        (r#"{"name":""}"#, "no tool is named"),
        (r#"{"arguments":{"page_id":1}}"#, "no tool is named"),
        (
            r#"{"arguments":{"name":"Bob","age":1}}"#,
            "no tool is named",
        ),
        (
            r#"{"name":"get_page","tool":"ping"}"#,
            "not clear which tool",
        ),
        (r#"{"name":"x","tool":"y"}"#, "not clear which tool"),
        (
            r#"{"name":"get_page","arguments":{"page_id":1},"limit":2}"#,
            "more than one place: `arguments`, `limit`",
        ),
        (
            r#"{"name":"get_page","arguments":{"page_id":1},"arguments_json":"{\"page_id\":2}"}"#,
            "more than one place",
        ),
        (
            r#"{"name":"get_page","arguments":[1]}"#,
            "`arguments` is no JSON object",
        ),
        (
            r#"{"name":"get_page","arguments":"page 1"}"#,
            "`arguments` is no JSON object",
        ),
        (
            r#"{"name":"get_page","arguments":"{\"page_id\":1}{\"page_id\":2}"}"#,
            "more text after",
        ),
        (r#"{"name":"get_page","name":"ping"}"#, "stands twice"),
        (
            r#"{"name":"get_page","arguments":{"a":1,"\u0061":2}}"#,
            "stands twice",
        ),
        (
            r#"{"name":"get_page","arguments":"{\"a\":1,\"a\":2}"}"#,
            "stands twice",
        ),
    ] {
        let error = parse(READ, text)
            .expect_err(text)
            .text(READ, &MetaNames::default());
        assert!(error.contains(words), "{text}: {error}");
        assert!(
            error.ends_with(r#"Send {"name": "tool_name", "arguments": {"parameter": "value"}}."#),
            "{error}"
        );
    }
    let nested = format!("{}{{}}{}", r#"{"arguments":"#.repeat(20), "}".repeat(20));
    assert!(parse(READ, &nested).is_err());
    let nested = format!(
        "{}{{}}{}",
        r#"{"name":"call_read_tool","arguments":"#.repeat(20),
        "}".repeat(20)
    );
    assert_eq!(parse(READ, &nested), Err(MetaCallError::TooManyWrappers));
}

#[test]
fn searches_and_descriptions() {
    let search = |queries: &[&str], server: Option<&str>, limit| {
        Ok(MetaCall::Search {
            queries: queries.iter().map(|query| (*query).to_owned()).collect(),
            server: server.map(str::to_owned),
            limit,
        })
    };
    for (text, expected) in [
        (
            r#"{"queries":["a"," b ","a"],"server":"s","limit":3}"#,
            search(&["a", "b"], Some("s"), 3),
        ),
        (
            r#"{"query":"find, a page"}"#,
            search(&["find, a page"], None, DEFAULT_RESULTS),
        ),
        (
            r#"{"queries":"[\"a\",\"b\"]","limit":"99","server":""}"#,
            search(&["a", "b"], None, 20),
        ),
        (
            r#"{"arguments":{"queries":["a"],"limit":-1e300}}"#,
            search(&["a"], None, 1),
        ),
        (r#"{"queries":[]}"#, Err(MetaCallError::NoQuery)),
        (r#"{}"#, Err(MetaCallError::NoQuery)),
        (
            r#"{"queries":[1]}"#,
            Err(MetaCallError::WrongType {
                member: "queries",
                expected: "a list of texts",
            }),
        ),
        (
            r#"{"queries":["a"],"limit":[]}"#,
            Err(MetaCallError::WrongType {
                member: "limit",
                expected: "a number",
            }),
        ),
        (
            r#"{"queries":["a"],"server":{}}"#,
            Err(MetaCallError::WrongType {
                member: "server",
                expected: "the name of one server",
            }),
        ),
        (
            r#"{"queries":["1","2","3","4","5","6","7","8","9"]}"#,
            Err(MetaCallError::TooMany {
                what: "queries",
                n: 9,
                limit: 8,
            }),
        ),
    ] {
        assert_eq!(parse(MetaTool::Search, text), expected, "{text}");
    }
    let long = json!({"queries": ["x".repeat(100_000)]}).to_string();
    assert_eq!(
        parse(MetaTool::Search, &long),
        Err(MetaCallError::LongQuery {
            n: 100_000,
            limit: 1000
        })
    );
    let through_a_caller = r#"{"name":"search_tools","arguments":{"queries":["a"]}}"#;
    assert_eq!(
        parse(READ, through_a_caller),
        search(&["a"], None, DEFAULT_RESULTS)
    );
    let names = |names: &[&str]| {
        Ok(MetaCall::Describe {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            output_schema: false,
        })
    };
    let whole = |text| match parse(MetaTool::Describe, text) {
        Ok(MetaCall::Describe { output_schema, .. }) => output_schema,
        other => panic!("{other:?}"),
    };
    assert!(whole(r#"{"names":["a"],"output_schema":true}"#));
    assert!(whole(r#"{"names":["a"],"output_schema":"true"}"#));
    assert!(!whole(r#"{"names":["a"],"output_schema":7}"#));
    for (text, expected) in [
        (r#"{"names":["a","b"]}"#, names(&["a", "b"])),
        (r#"{"name":"a, b"}"#, names(&["a", "b"])),
        (r#"{"arguments":{"tool_name":"a"}}"#, names(&["a"])),
        (r#"{"names":null}"#, Err(MetaCallError::NoName)),
    ] {
        assert_eq!(parse(MetaTool::Describe, text), expected, "{text}");
    }
}

/// Every shape in which a call is accepted.
fn shapes(name: &str, arguments: &str) -> Vec<String> {
    let quoted = |text: &str| Value::from(text).to_string();
    let name = quoted(name);
    let text = quoted(arguments);
    let twice = quoted(&text);
    let call = format!(r#"{{"name":{name},"arguments":{arguments}}}"#);
    let mut shapes = vec![
        call.clone(),
        format!(r#" {{ "arguments" : {arguments} , "name" : {name} }} "#),
        format!(r#"{{"name":{name},"arguments":{text}}}"#),
        format!(r#"{{"name":{name},"arguments_json":{text}}}"#),
        format!(r#"{{"name":{name},"arguments":{twice}}}"#),
        format!(
            r#"{{"name":{name},"arguments":{}}}"#,
            quoted(&format!("```\n{arguments}\n```"))
        ),
        format!(
            r#"{{"name":{name},"arguments":{}}}"#,
            quoted(&format!("{arguments} That is all."))
        ),
        format!(r#"{{"name":{name},"args":{arguments}}}"#),
        format!(r#"{{"name":{name},"tool_input":{text}}}"#),
        format!(r#"{{"arguments":{call}}}"#),
        format!(r#"{{"name":"call_read_tool","arguments":{call}}}"#),
        format!(r#"{{"function":{call}}}"#),
        quoted(&call),
    ];
    for key in ["tool", "tool_name", "toolName", "function"] {
        shapes.push(format!(r#"{{"{key}":{name},"arguments":{arguments}}}"#));
    }
    shapes
}

type Parse<'a> = dyn Fn(&str) -> Option<(String, String)> + 'a;

/// The property: every shape of a call gives this very call, byte for byte.
fn every_shape_is_the_call(parse: &Parse<'_>, name: &str, arguments: &str) -> Result<(), String> {
    for shape in shapes(name, arguments) {
        match parse(&shape) {
            Some((tool, bytes)) if tool == name && bytes == arguments => {}
            other => return Err(format!("{shape}: {other:?}")),
        }
    }
    Ok(())
}

fn arguments() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("1.50".to_owned()),
        Just("9007199254740993".to_owned()),
        Just("[ {\"name\":\"x\"}, null ]".to_owned()),
        Just("{\"arguments\":{\"b\":1}}".to_owned()),
        "[a-z\\u{e9}\\u{1f600}\\\\\" {}\\[\\]]{0,8}".prop_map(|text| Value::from(text).to_string()),
    ];
    let key = prop_oneof![
        Just("page_id"),
        Just("limit"),
        Just("a b"),
        Just("\\u00e9"),
        Just("x")
    ];
    proptest::collection::btree_map(key, value, 1..4).prop_map(|members| {
        let members: Vec<String> = members
            .iter()
            .map(|(key, value)| format!("\"{key}\" : {value}"))
            .collect();
        format!("{{ {} }}", members.join(" , "))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_accepted_shape_is_the_same_call(
        arguments in arguments(),
        name in prop_oneof![Just("get_page"), Just("create_user"), Just("ping"), Just("not known \"\u{e9}\"")],
    ) {
        every_shape_is_the_call(&call, name, &arguments).map_err(TestCaseError::fail)?;
    }

    /// Whatever the JSON, it is a call or an error with words.
    #[test]
    fn any_text_is_answered(text in ".{0,80}", keys in proptest::collection::vec(0_usize..8, 0..6), n in 0_usize..60) {
        let key = |n: usize| ["name", "arguments", "tool", "queries", "names", "function", "arguments_json", "x"][n];
        let mut nested = Value::from(text.clone());
        for at in &keys {
            nested = match at % 3 {
                0 => json!({key(*at): nested, key((*at + 1) % 8): text.clone()}),
                1 => json!({key(*at): nested.to_string()}),
                _ => json!({key(*at): nested, "name": "get_page"}),
            };
        }
        let texts = [text.clone(), nested.to_string(), "[".repeat(n), "{\"name\":".repeat(n), format!("{{\"arguments\":{text}}}")];
        for tool in MetaTool::ALL {
            for text in &texts {
                match parse(tool, text) {
                    Ok(MetaCall::Call { arguments, .. }) => {
                        prop_assert!(serde_json::from_slice::<serde_json::Map<String, Value>>(&arguments).is_ok());
                    }
                    Ok(_) => {}
                    Err(error) => prop_assert!(error.text(tool, &MetaNames::default()).len() < 1_000),
                }
            }
        }
    }
}

/// Broken variants that the property catches: one that prints a parsed value again, one that knows
/// the asked-for shapes only, and one that takes whatever stands under `arguments` as it is.
#[test]
fn broken_readers_are_caught() {
    let arguments = r#"{ "page_id" : 1.50 , "a" : [ 1 ] }"#;
    let printed = |text: &str| {
        let (tool, arguments) = call(text)?;
        let value: Value = serde_json::from_str(&arguments).ok()?;
        Some((tool, value.to_string()))
    };
    let strict = |text: &str| {
        let value: Value = serde_json::from_str(text).ok()?;
        value["arguments"].is_object().then(|| call(text))?
    };
    let shallow = |text: &str| {
        let (tool, arguments) = call(text)?;
        let value: Value = serde_json::from_str(text).ok()?;
        let outer = value.get("arguments")?.as_object()?;
        let is_wrapped = outer.contains_key("name");
        Some((
            tool,
            if is_wrapped {
                value["arguments"].to_string()
            } else {
                arguments
            },
        ))
    };
    every_shape_is_the_call(&call, "get_page", arguments).expect("ours");
    assert!(every_shape_is_the_call(&printed, "get_page", arguments).is_err());
    assert!(every_shape_is_the_call(&strict, "get_page", arguments).is_err());
    assert!(every_shape_is_the_call(&shallow, "get_page", arguments).is_err());
}
