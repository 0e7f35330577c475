use std::fmt::Write as _;

use serde_json::Value;
use serde_json::json;

use crate::surface::ladder::Rung;
use crate::surface::validate::Fault;
use crate::surface::validate::Limits;
use crate::surface::validate::NotChecked;
use crate::surface::validate::NotCompiled;
use crate::surface::validate::Validator;
use crate::surface::validate::Verdict;
use crate::surface::validate::help_for_server_error;
use crate::surface::validate::tool_error_text;

fn compile(schema: &Value) -> Validator {
    Validator::compile(&schema.to_string(), &Limits::default()).expect("a schema")
}

#[track_caller]
fn check_refused(schema: &Value, why: fn(&NotCompiled) -> bool) {
    let refused = Validator::compile(&schema.to_string(), &Limits::default()).map(|_| ());
    assert!(refused.as_ref().is_err_and(why), "{refused:?}");
}

fn faults(schema: &Value, arguments: &Value) -> Vec<Fault> {
    match compile(schema).check(arguments.to_string().as_bytes()) {
        Verdict::Faulty(faults) => faults,
        other => panic!("{other:?}"),
    }
}

/// Checks the words of the faults.
#[track_caller]
fn check_words(schema: &Value, arguments: &Value, expected: &[&str]) {
    let words: Vec<String> = faults(schema, arguments)
        .iter()
        .map(Fault::to_string)
        .collect();
    assert_eq!(words, expected);
}

fn page_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "page_id": {"type": "string", "minLength": 3},
            "page_size": {"type": "integer", "minimum": 1, "maximum": 100},
            "sort": {"enum": ["asc", "desc"]},
            "parent": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "filter": {"$ref": "#/$defs/filter"},
            "when": {"type": "string", "format": "date-time"}
        },
        "required": ["page_id"],
        "additionalProperties": false,
        "$defs": {"filter": {
            "type": "object", "required": ["property"], "additionalProperties": false,
            "properties": {"property": {"type": "string"}, "value": {"type": ["number", "string"]}}
        }}
    })
}

#[test]
fn faults_say_where_what_and_what_was_meant() {
    let schema = page_schema();
    let valid = json!({"page_id": "abc", "parent": null, "filter": {"property": "x", "value": 1}, "when": "no date"});
    assert_eq!(
        compile(&schema).check(valid.to_string().as_bytes()),
        Verdict::Valid
    );
    check_words(
        &schema,
        &json!({"pageId": "abc"}),
        &[
            "/pageId: no such parameter (did you mean `page_id`?)",
            "/page_id: expected string (required), got nothing, but there is `pageId`",
        ],
    );
    check_words(
        &schema,
        &json!({"page_id": 7, "page_size": 1000, "sort": "up", "parent": [1, 2]}),
        &[
            "/page_id: expected string, got 7",
            "/page_size: expected at most 100, got 1000",
            "/sort: expected one of \"asc\", \"desc\", got string \"up\"",
            "/parent: expected string or null, got array of 2",
        ],
    );
    check_words(
        &schema,
        &json!({"page_id": "abc", "filter": {"propertie": "x", "value": true}}),
        &[
            "/filter/value: expected number or string, got true",
            "/filter/propertie: no such parameter (did you mean `property`?)",
            "/filter/property: expected string (required), got nothing, but there is `propertie`",
        ],
    );
    check_words(
        &schema,
        &json!([1]),
        &["arguments: expected object, got array of 1"],
    );
}

#[test]
fn the_closest_branch_is_told() {
    let schema = json!({"type": "object", "required": ["block"], "properties": {"block": {"oneOf": [
        {"type": "object", "required": ["type", "text"], "properties": {"type": {"const": "text"}, "text": {"type": "string"}}},
        {"type": "object", "required": ["type", "url"], "properties": {"type": {"const": "image"}, "url": {"type": "string"}}}
    ]}}});
    let words = faults(&schema, &json!({"block": {"type": "image", "url": 3}}));
    assert_eq!(words.len(), 1);
    assert_eq!(
        words[0].to_string(),
        "/block/url: expected string (in the closest of 2 forms), got 3"
    );
}

/// Broken variants that this catches: one that knows no `nullable`, and one that takes it from the schema of a
/// parent, or from a parameter of that name.
#[test]
fn a_null_that_is_allowed_by_nullable_is_no_fault() {
    let schema = json!({
        "type": "object",
        "nullable": true,
        "properties": {
            "text": {"type": "string", "nullable": true},
            "value": {"type": "string", "enum": ["x", "y"], "nullable": true},
            "choice": {"anyOf": [{"type": "string"}, {"type": "integer"}], "nullable": true},
            "all": {"allOf": [{"type": "string"}, {"minLength": 2}], "nullable": true},
            "branch": {"oneOf": [{"type": "integer", "nullable": true}, {"type": "boolean"}]},
            "named": {"$ref": "#/$defs/named"},
            "list": {"type": "array", "items": {"type": "string", "nullable": true}},
            "map": {"type": "object", "additionalProperties": {"type": "string", "nullable": true}},
            "inner": {"type": "object", "nullable": true, "properties": {
                "nullable": true, "plain": {"type": "string"}
            }},
            "nullable": {"type": "string"}
        },
        "$defs": {"named": {"type": "integer", "nullable": true}}
    });
    let validator = compile(&schema);
    for taken in [
        json!({"text": null}),
        json!({"value": null}),
        json!({"choice": null}),
        json!({"all": null}),
        json!({"branch": null}),
        json!({"named": null}),
        json!({"list": ["a", null]}),
        json!({"map": {"a": null}}),
        json!({"inner": null, "text": null}),
        json!({"inner": {"nullable": null}}),
    ] {
        let verdict = validator.check(taken.to_string().as_bytes());
        assert_eq!(verdict, Verdict::Valid, "{taken}");
    }
    check_words(
        &schema,
        &json!({"text": null, "inner": {"plain": null}, "nullable": null}),
        &[
            "/inner/plain: expected string, got null",
            "/nullable: expected string, got null",
        ],
    );
    check_words(
        &schema,
        &json!({"text": 5, "list": [null, 7]}),
        &[
            "/text: expected string, got 5",
            "/list/1: expected string, got 7",
        ],
    );
}

/// Broken variants that this catches: one that refuses what the server's own dialect of regular expressions takes,
/// and one that excuses other patterns, or other faults beside it.
#[test]
fn patterns_whose_dialects_differ_are_not_decided() {
    let schema = json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "pattern": r"^\w+$"},
            "message": {"type": "string", "pattern": r"^(feat|fix)\b"},
            "plain": {"type": "string", "pattern": "^[a-z]+$"},
            "escaped": {"type": "string", "pattern": r"^\\w$"},
            "either": {"anyOf": [{"type": "integer"}, {"pattern": r"^\S+\d$", "type": "string"}]},
            "map": {"type": "object", "propertyNames": {"pattern": r"^\w+$"}},
            "n": {"type": "integer"}
        }
    });
    let validator = compile(&schema);
    for taken in [
        json!({"name": "Jos\u{e9}"}),
        json!({"name": "\u{7530}\u{4e2d}"}),
        json!({"message": "fix\u{4fee}\u{590d}"}),
        json!({"either": "a\u{ff15}"}),
        json!({"map": {"\u{e9}": 1}}),
    ] {
        let verdict = validator.check(taken.to_string().as_bytes());
        let undecided = Verdict::NotChecked(NotChecked::Undecided);
        assert!(
            verdict == Verdict::Valid || verdict == undecided,
            "{taken}: {verdict:?}"
        );
    }
    let n_faults = |arguments: Value| faults(&schema, &arguments).len();
    assert_eq!(n_faults(json!({"name": "two words"})), 1);
    assert_eq!(n_faults(json!({"plain": "\u{e9}", "escaped": "\u{e9}"})), 2);
    assert_eq!(n_faults(json!({"name": "\u{e9}", "n": "x"})), 1);
    assert_eq!(n_faults(json!({"map": {"a b": 1}})), 1);
}

/// Broken variant that this catches: the contents of texts asserted where a schema names draft 6 or 7.
#[test]
fn contents_of_texts_are_not_judged() {
    for dialect in ["06", "07"] {
        let schema = json!({
            "$schema": format!("http://json-schema.org/draft-{dialect}/schema#"),
            "type": "object",
            "properties": {
                "data": {"type": "string", "contentEncoding": "base64"},
                "url": {"type": "string", "contentEncoding": "base64url"},
                "json": {"type": "string", "contentMediaType": "application/json"},
                "both": {
                    "type": "string", "contentEncoding": "base64", "contentMediaType": "application/json"
                }
            }
        });
        for name in ["data", "url", "json", "both"] {
            let arguments = json!({ name: "{a:1}\naGVsbG8" }).to_string();
            let verdict = compile(&schema).check(arguments.as_bytes());
            assert_eq!(verdict, Verdict::Valid, "{dialect}: {name}");
        }
    }
}

#[test]
fn values_are_never_shown_whole() {
    let secret = "s".repeat(5000);
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"maxLength": 1},
        "c": {"enum": (0..500).map(|n| format!("value{n}")).collect::<Vec<_>>()}}});
    for fault in faults(&schema, &json!({"a": secret, "b": secret, "c": secret})) {
        assert!(fault.to_string().len() < 400, "{fault}");
    }
    let many: serde_json::Map<String, Value> =
        (0..500).map(|n| (format!("n{n}"), json!(n))).collect();
    let closed = json!({"type": "object", "additionalProperties": false});
    assert!(faults(&closed, &Value::Object(many.clone())).len() <= 5);
    let one = json!({"type": "object", "properties": {"a": {}}, "additionalProperties": false});
    assert_eq!(faults(&one, &Value::Object(many)).len(), 5);
}

#[test]
fn the_dialect_is_2020_12_unless_another_is_named() {
    let tuple = |dialect: Option<&str>, keyword: &str| {
        let mut schema =
            json!({"type": "object", "properties": {"a": {keyword: [{"type": "string"}]}}});
        if let Some(dialect) = dialect {
            schema["$schema"] = json!(dialect);
        }
        schema
    };
    let wrong = br#"{"a":[1]}"#;
    let draft_7 = Some("http://json-schema.org/draft-07/schema#");
    // `prefixItems` is new in 2020-12; draft-07 does not know it.
    let new = compile(&tuple(None, "prefixItems"));
    assert!(matches!(new.check(wrong), Verdict::Faulty(_)));
    let old = compile(&tuple(draft_7, "prefixItems"));
    assert_eq!(old.check(wrong), Verdict::Valid);
    let old = compile(&tuple(draft_7, "items"));
    assert!(matches!(old.check(wrong), Verdict::Faulty(_)));
    check_refused(
        &json!({"$schema": "http://evil.example/meta", "type": "object"}),
        |error| matches!(error, NotCompiled::NoSchema(_)),
    );
}

#[test]
fn nothing_outside_is_referred_to() {
    for reference in [
        "http://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd",
        "other.json",
        "other.json#/a",
        "#/$defs/none",
        "#nowhere",
        "#/%zz",
    ] {
        for keyword in ["$ref", "$dynamicRef"] {
            check_refused(
                &json!({"type": "object", "properties": {"default": {keyword: reference}}}),
                |error| matches!(error, NotCompiled::Reference(_)),
            );
        }
    }
    check_refused(
        &json!({"$id": "http://evil.example/root.json", "properties": {"a": {"$ref": "other.json"}}}),
        |error| matches!(error, NotCompiled::Reference(_)),
    );
    check_refused(
        &json!({"properties": {"a": {"$id": "http://evil.example/a", "$ref": "#/b"}}}),
        |error| matches!(error, NotCompiled::Embedded),
    );
    // What only looks like a reference is data.
    compile(
        &json!({"properties": {"$ref": {"default": {"$ref": "http://x.example"}, "const": {"$ref": "y"}}}}),
    );
    // References inside, in every spelling.
    let schema = json!({
        "$id": "https://x.example/tool", "type": "object",
        "$defs": {"a b": {"type": "string"}, "n": {"$anchor": "named", "type": "integer"}},
        "properties": {"a": {"$ref": "#/$defs/a%20b"}, "n": {"$ref": "#named"}, "m": {"$ref": "https://x.example/tool#/$defs/n"}}
    });
    assert_eq!(
        faults(&schema, &json!({"a": 1, "n": "x", "m": "x"})).len(),
        3
    );
}

#[test]
fn recursion_is_followed_and_circles_are_not() {
    let tree = json!({"$ref": "#/$defs/n", "$defs": {"n": {"type": "object", "properties": {"c": {"$ref": "#/$defs/n"}, "v": {"type": "integer"}}}}});
    let validator = compile(&tree);
    let nested = |n: usize, leaf: &str| format!("{}{leaf}{}", "{\"c\":".repeat(n), "}".repeat(n));
    assert_eq!(validator.check(nested(30, "{}").as_bytes()), Verdict::Valid);
    assert!(matches!(
        validator.check(nested(30, r#"{"v":"x"}"#).as_bytes()),
        Verdict::Faulty(_)
    ));
    let too_deep = Verdict::NotChecked(NotChecked::TooLarge);
    assert_eq!(validator.check(nested(60, "{}").as_bytes()), too_deep);
    assert_eq!(validator.check(nested(100_000, "{}").as_bytes()), too_deep);
    for circle in [
        json!({"$ref": "#"}),
        json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}),
        json!({"anyOf": [{"$ref": "#"}, {"type": "object"}]}),
    ] {
        let Ok(validator) = Validator::compile(&circle.to_string(), &Limits::default()) else {
            continue;
        };
        let verdict = validator.check(b"{}");
        assert_eq!(
            verdict,
            Verdict::NotChecked(NotChecked::TooCostly),
            "{circle}"
        );
    }
}

/// `$defs` in which each of `n` levels refers to the next one through `link`.
fn chain(n: usize, link: impl Fn(String) -> Value) -> Value {
    let mut defs = serde_json::Map::new();
    for level in 0..n {
        defs.insert(format!("d{level}"), link(format!("#/$defs/d{}", level + 1)));
    }
    defs.insert(format!("d{n}"), json!({"type": "integer"}));
    json!({"$ref": "#/$defs/d0", "$defs": defs})
}

#[test]
fn work_that_doubles_is_refused_before_it_is_done() {
    let doubling = chain(
        40,
        |next| json!({"anyOf": [{"$ref": next}, {"$ref": next}]}),
    );
    assert_eq!(
        compile(&doubling).check(b"{}"),
        Verdict::NotChecked(NotChecked::TooCostly)
    );
    let few = chain(4, |next| json!({"anyOf": [{"$ref": next}, {"$ref": next}]}));
    assert!(matches!(compile(&few).check(b"{}"), Verdict::Faulty(_)));
    // Doubled with each level of the value.
    let tree = json!({"anyOf": [{"properties": {"c": {"$ref": "#"}}, "required": ["x"]}, {"properties": {"c": {"$ref": "#"}}, "required": ["y"]}]});
    let deep = format!("{}1{}", "{\"c\":".repeat(40), "}".repeat(40));
    assert_eq!(
        compile(&tree).check(deep.as_bytes()),
        Verdict::NotChecked(NotChecked::TooCostly)
    );
    // The longest chains that are let through fit a small stack, at compiling and at judging.
    let longest = Limits::default().max_reference_depth;
    for n in [longest / 2 - 2, longest, 20_000] {
        for schema in [
            chain(n, |next| json!({"$ref": next})),
            chain(n, |next| json!({"allOf": [{"$ref": next}]})),
            chain(n, |next| json!({"properties": {"c": {"$ref": next}}})),
            chain(
                n,
                |next| json!({"items": {"anyOf": [{"$ref": next}, {"type": "null"}]}}),
            ),
        ] {
            let text = schema.to_string();
            let judge = move || {
                let validator = Validator::compile(&text, &Limits::default()).ok()?;
                let nested = format!("{}1{}", "{\"c\":".repeat(47), "}".repeat(47));
                Some([validator.check(b"{}"), validator.check(nested.as_bytes())])
            };
            let thread = std::thread::Builder::new().stack_size(1 << 20);
            let verdicts = thread.spawn(judge).expect("a thread").join();
            assert!(verdicts.is_ok_and(|verdicts| verdicts.is_none() || n < longest));
        }
    }
}

#[test]
fn patterns_are_linear() {
    let schema = |pattern: &str| json!({"type": "object", "properties": {"e": {"type": "string", "pattern": pattern}}});
    let text = json!({"e": format!("{}!", "a".repeat(50_000))}).to_string();
    for pattern in [
        "^(a+)+$",
        "^(a|aa)+$",
        "(.*)*b(.*)*c",
        "^(([a-z])+.)+[A-Z]([a-z])+$",
    ] {
        let verdict = compile(&schema(pattern)).check(text.as_bytes());
        assert!(
            matches!(verdict, Verdict::Faulty(_)),
            "{pattern}: {verdict:?}"
        );
    }
    for pattern in [
        "^(?=(a*))\\1b$",
        "(",
        "((a{1000}){1000}){1000}",
        "\\p{Nothing}",
    ] {
        check_refused(&schema(pattern), |error| {
            matches!(error, NotCompiled::NoSchema(_))
        });
    }
    // Fits the bytes, and still has too many states for a long text.
    let verdict = compile(&schema("^(a{1,90}b?){1,90}$")).check(text.as_bytes());
    assert_eq!(verdict, Verdict::NotChecked(NotChecked::TooCostly));
    assert!(matches!(
        compile(&schema("^(a{1,90}b?){1,90}$")).check(br#"{"e":"!"}"#),
        Verdict::Faulty(_)
    ));
    let names = json!({"patternProperties": {"^(([a-z])+.)+[A-Z]([a-z])+$": {"type": "string"}}, "propertyNames": {"pattern": "^(a+)+$"}});
    assert!(matches!(
        compile(&names).check(text.as_bytes()),
        Verdict::Faulty(_)
    ));
}

#[test]
fn large_schemas_and_texts_are_not_looked_at() {
    let limits = Limits::default();
    let wide = |n: usize| {
        let properties: serde_json::Map<String, Value> = (0..n)
            .map(|n| (format!("p{n}"), json!({"type": "string"})))
            .collect();
        json!({"type": "object", "properties": properties})
    };
    let too_large: fn(&NotCompiled) -> bool = |error| matches!(error, NotCompiled::TooLarge(_));
    compile(&wide(5_000));
    check_refused(&wide(100_000), too_large);
    check_refused(&wide(10_001), too_large);
    check_refused(
        &json!({"type": "object", "description": "x".repeat(limits.max_schema_bytes)}),
        too_large,
    );
    let values: Vec<String> = (0..200_000).map(|n| n.to_string()).collect();
    check_refused(&json!({"properties": {"a": {"enum": values}}}), too_large);
    let deep = |n: usize| {
        format!(
            "{}{{}}{}",
            "{\"properties\":{\"a\":".repeat(n),
            "}}".repeat(n)
        )
    };
    for n in [40, 2_000, 200_000] {
        let refused = Validator::compile(&deep(n), &limits).map(|_| ());
        assert!(refused.is_err_and(|error| too_large(&error)), "{n}");
    }
    for text in [
        "",
        "[]",
        "true",
        "{",
        r#"{"a":1,"a":2}"#,
        r#"{"type":"object"} x"#,
    ] {
        let refused = Validator::compile(text, &limits).map(|_| ());
        assert!(matches!(refused, Err(NotCompiled::Unreadable(_))), "{text}");
    }
    check_refused(&json!({"type": 7}), |error| {
        matches!(error, NotCompiled::NoSchema(_))
    });
    let validator = compile(&json!({"type": "object", "properties": {"a": {"type": "integer"}}}));
    for (arguments, reason) in [
        (&b"\xff"[..], NotChecked::Unreadable),
        (b"", NotChecked::Unreadable),
        (br#"{"a":1,"a":2}"#, NotChecked::Unreadable),
        (br#"{"a":1e400}"#, NotChecked::Unreadable),
        (
            vec![b' '; limits.max_argument_bytes + 1].leak(),
            NotChecked::TooLarge,
        ),
    ] {
        assert_eq!(validator.check(arguments), Verdict::NotChecked(reason));
    }
    let whole = format!(
        r#"{{"a":1,"b":"{}"}}"#,
        "x".repeat(limits.max_argument_bytes - 20)
    );
    assert_eq!(validator.check(whole.as_bytes()), Verdict::Valid);
}

#[test]
fn the_made_up_fault_schemas_are_all_answered() {
    for schema in [
        json!({"type": "object", "properties": {"__proto__": {"type": "object"}, "constructor": {"type": "string"}}}),
        json!({"type": "array"}),
        json!({"$recursiveRef": "#", "$schema": "https://json-schema.org/draft/2019-09/schema"}),
        json!({"$dynamicRef": "#a", "$defs": {"x": {"$dynamicAnchor": "a", "type": "object"}}}),
        json!({"unevaluatedProperties": false, "allOf": [{"properties": {"a": {}}}, {"unevaluatedProperties": false}]}),
        json!({"$schema": "http://json-schema.org/draft-04/schema#", "id": "x", "properties": {"a": {"minimum": 3, "exclusiveMinimum": true}}}),
        json!({"properties": {"a": {"multipleOf": 1e-300}, "b": {"minLength": 1e300}}}),
        json!({"dependencies": {"a": ["b"], "c": {"required": ["d"]}}}),
    ] {
        let Ok(validator) = Validator::compile(&schema.to_string(), &Limits::default()) else {
            continue;
        };
        for arguments in [
            json!({}),
            json!({"a": 3, "c": 1, "__proto__": 1}),
            json!(7),
            json!(null),
        ] {
            if let Verdict::Faulty(faults) = validator.check(arguments.to_string().as_bytes()) {
                assert!(!faults.is_empty() && faults.len() <= 5);
            }
        }
    }
}

fn definition() -> String {
    json!({"name": "get_page", "title": "get_page", "description": "Gets a page.", "inputSchema": page_schema()}).to_string()
}

#[test]
fn what_a_model_reads() {
    let faults = faults(&page_schema(), &json!({"pageId": "abc", "page_size": 0}));
    let mut text = tool_error_text("notion__get_page", &faults, &definition(), Rung::Hidden);
    text.push_str("-----\n");
    text.push_str(
        &help_for_server_error("notion__get_page", &faults, &definition(), Rung::Hidden, "")
            .expect("faults"),
    );
    text.push_str("-----\n");
    let long = definition().replace(
        "\"sort\":{",
        &format!("\"sort\":{{\"description\":\"{}\",", "long ".repeat(10_000)),
    );
    text.push_str(&tool_error_text(
        "notion__get_page",
        &faults,
        &long,
        Rung::Hidden,
    ));
    // The list shows every parameter, so only the faults are told.
    text.push_str("-----\n");
    let definition = definition();
    text.push_str(&tool_error_text(
        "get_page",
        &faults,
        &definition,
        Rung::Short,
    ));
    text.push_str("-----\n");
    text.push_str(
        &help_for_server_error("get_page", &faults, &definition, Rung::Lean, "wrong").unwrap(),
    );
    insta::assert_snapshot!(text);
    // A server that names all of them needs no help; parts of other words are no names.
    let said: Vec<&str> = faults.iter().map(|fault| &fault.pointer[1..]).collect();
    for (said, is_helped) in [(said.join(" and "), false), (said.join("_"), true)] {
        let help = help_for_server_error("get_page", &faults, &definition, Rung::Lean, &said);
        assert_eq!(help.is_some(), is_helped, "{said}");
    }
    assert_eq!(
        help_for_server_error("get_page", &[], &definition, Rung::Hidden, ""),
        None
    );
}

#[test]
fn an_answer_is_bounded() {
    let faults = faults(&page_schema(), &json!({}));
    let properties: serde_json::Map<String, Value> = (0..3000)
        .map(|n| (format!("{}{n}", "p".repeat(300)), json!({"type": "string"})))
        .collect();
    let huge = json!({"name": "t", "inputSchema": {"properties": properties}}).to_string();
    let mut size = String::new();
    for definition in [huge.as_str(), "", "[]", "{}", r#"{"inputSchema":7}"#] {
        let text = tool_error_text(&"n".repeat(100_000), &faults, definition, Rung::Hidden);
        assert!(text.len() < 24_000, "{}", text.len());
        assert!(text.starts_with("Not sent to the server"));
        write!(size, "{} ", text.len()).expect("a string");
    }
}
