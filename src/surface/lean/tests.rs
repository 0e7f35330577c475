use std::fmt::Write as _;

use crate::catalog::tool_view::ToolView;
use crate::catalog::tools_of;
use crate::surface::lean::Diagnostic;
use crate::surface::lean::Limits;
use crate::surface::lean::Outcome;
use crate::surface::lean::lean;
use crate::surface::lean::lean_all;

/// Checks a whole tool.
#[track_caller]
fn check(raw: &str, expected: &str) {
    let leaned = lean(raw, &Limits::default());
    assert_eq!(leaned.text(raw), expected);
    assert_eq!(leaned.is_changed(), raw != expected);
    let again = lean(expected, &Limits::default());
    assert_eq!(again.outcome, Outcome::Unchanged, "not idempotent");
}

/// Checks what becomes of an input schema of a tool named `a_tool`.
#[track_caller]
fn check_schema(schema: &str, expected: &str) {
    let tool = |schema| format!(r#"{{"name":"a_tool","inputSchema":{schema}}}"#);
    check(&tool(schema), &tool(expected));
}

#[track_caller]
fn check_schema_stays(schema: &str) {
    check_schema(schema, schema);
}

#[test]
fn unreachable_definitions_go() {
    check_schema(
        r##"{"type":"object","$defs":{"a":{"type":"string"},"b":{"$ref":"#/$defs/c"},"c":{"$ref":"#/$defs/b"}},"properties":{"p":{"$ref":"#/$defs/a"}}}"##,
        r##"{"type":"object","$defs":{"a":{"type":"string"}},"properties":{"p":{"$ref":"#/$defs/a"}}}"##,
    );
    check_schema(
        r#"{"type":"object","definitions":{"a":{"type":"string"}},"properties":{}}"#,
        r#"{"type":"object","properties":{}}"#,
    );
    // Reached over another definition; also one in a property's schema, and through `definitions`.
    check_schema_stays(
        r##"{"type":"object","$defs":{"a":{"$ref":"#/definitions/b/items"}},"definitions":{"b":{"items":{}}},"items":{"$ref":"#/$defs/a"}}"##,
    );
    check_schema(
        r##"{"properties":{"p":{"$defs":{"a":{},"b":{}},"$ref":"#/properties/p/$defs/a"}}}"##,
        r##"{"properties":{"p":{"$defs":{"a":{}},"$ref":"#/properties/p/$defs/a"}}}"##,
    );
}

#[test]
fn every_spelling_of_a_reference_counts() {
    for (key, reference) in [
        ("b/c", "#/$defs/b~1c"),
        ("b~c", "#/$defs/b~0c/properties/x"),
        ("d e", "#/$defs/d%20e"),
        ("d%20e", "#/$defs/d%20e"),
        ("ü", "#/%24defs/%C3%BC"),
        ("~1", "#/$defs/~01"),
    ] {
        for keyword in ["$ref", "$dynamicRef", "$recursiveRef"] {
            check_schema_stays(&format!(
                r#"{{"type":"object","$defs":{{"{key}":{{}}}},"items":{{"{keyword}":"{reference}"}}}}"#
            ));
        }
    }
    // In data, where it only looks like a reference, it counts too.
    check_schema_stays(r##"{"$defs":{"a":{}},"default":{"x":[{"$ref":"#/$defs/a"}]}}"##);
}

#[test]
fn anchors_are_kept_for_references_by_name() {
    check_schema(
        r##"{"$defs":{"a":{"items":{"$anchor":"x"}},"b":{"$dynamicAnchor":"y"},"c":{}},"$ref":"#x"}"##,
        r##"{"$defs":{"a":{"items":{"$anchor":"x"}},"b":{"$dynamicAnchor":"y"}},"$ref":"#x"}"##,
    );
    // A reference by name inside an unreachable definition keeps nothing.
    check_schema(
        r##"{"type":"object","$defs":{"a":{"$anchor":"x"},"b":{"$ref":"#x"}}}"##,
        r#"{"type":"object"}"#,
    );
}

#[test]
fn in_doubt_every_definition_stays() {
    for schema in [
        r##"{"$id":"http://x/y","$defs":{"a":{}}}"##,
        r##"{"$defs":{"a":{"$id":"b"}}}"##,
        r##"{"id":"#x","definitions":{"a":{}}}"##,
        r##"{"$defs":{"a":{}},"items":{"$ref":"other.json#/$defs/a"}}"##,
        r##"{"$defs":{"a":{}},"$dynamicRef":"http://x/y"}"##,
        r##"{"$defs":{"a":{}},"items":{"$ref":"#/$defs"}}"##,
        r##"{"$defs":{"a":{}},"items":{"$ref":"#/$defs/100%"}}"##,
    ] {
        let raw = format!(r#"{{"name":"t","inputSchema":{schema}}}"#);
        let leaned = lean(&raw, &Limits::default());
        assert_eq!(leaned.outcome, Outcome::Unchanged, "{schema}");
        let [
            Diagnostic::DefinitionsKept {
                schema: keyword, ..
            },
        ] = &leaned.diagnostics[..]
        else {
            panic!("{schema}: {:?}", leaned.diagnostics);
        };
        assert_eq!(*keyword, "inputSchema");
    }
    // A property may have any of those names.
    check_schema(
        r#"{"properties":{"id":{"type":"string"},"$ref":{},"$defs":{"a":{}}},"$defs":{"a":{}}}"#,
        r#"{"properties":{"id":{"type":"string"},"$ref":{},"$defs":{"a":{}}}}"#,
    );
}

/// MCP 2026-07-28: a parameter header in a place it must not be makes clients refuse the tool.
#[test]
fn a_header_annotation_stays_where_it_is() {
    check_schema_stays(
        r#"{"type":"object","$defs":{"a":{"properties":{"r":{"x-mcp-header":"R"}}}}}"#,
    );
    check_schema_stays(
        r#"{"type":"object","properties":{"r":{"type":"string","x-mcp-header":"R"}}}"#,
    );
}

#[test]
fn only_the_default_dialects_marker_goes() {
    check_schema(
        r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object"}"#,
        r#"{"type":"object"}"#,
    );
    for marker in [
        "http://json-schema.org/draft-07/schema#",
        "https://json-schema.org/draft/2019-09/schema",
        "http://json-schema.org/draft/2020-12/schema",
    ] {
        check_schema_stays(&format!(r#"{{"$schema":"{marker}","type":"object"}}"#));
    }
    check_schema_stays(
        r#"{"items":{"$schema":"https://json-schema.org/draft/2020-12/schema"},"default":{"$schema":"https://json-schema.org/draft/2020-12/schema"}}"#,
    );
}

#[test]
fn generated_titles_go() {
    check_schema(
        r#"{"type":"object","properties":{"file_path":{"title":"File Path","type":"string"}},"title":"a_toolArguments"}"#,
        r#"{"type":"object","properties":{"file_path":{"type":"string"}}}"#,
    );
    // Another class name, where the properties show the generator.
    check_schema(
        r#"{"properties":{"url":{"title":"Url","type":"string"}},"title":"FetchRequest"}"#,
        r#"{"properties":{"url":{"type":"string"}}}"#,
    );
    check_schema(
        r#"{"properties":{},"title":"toolArguments"}"#,
        r#"{"properties":{}}"#,
    );
    check_schema(
        r##"{"$defs":{"Kind":{"title":"Kind"}},"items":{"$ref":"#/$defs/Kind"}}"##,
        r##"{"$defs":{"Kind":{}},"items":{"$ref":"#/$defs/Kind"}}"##,
    );
    check_schema(
        r#"{"not":{"title":"What to \u0061void","description":"What to avoid"}}"#,
        r#"{"not":{"description":"What to avoid"}}"#,
    );
}

#[test]
fn written_titles_stay() {
    for schema in [
        r#"{"properties":{"api_key":{"title":"API Key","type":"string"}}}"#,
        r#"{"properties":{"q":{"title":"Query","type":"string"}},"title":"Search"}"#,
        // One plain word and a sentence at the root, whatever the properties have.
        r#"{"title":"Search","properties":{"url":{"type":"string"}}}"#,
        r#"{"title":"Search the web","properties":{"url":{"type":"string"}}}"#,
        r#"{"title":"FetchRequest","properties":{"url":{"type":"string"}}}"#,
        r#"{"items":{"title":"Row"}}"#,
        // The property called `title`, and titles that are data.
        r#"{"properties":{"title":{"type":"string"}},"required":["title"]}"#,
        r#"{"properties":{"a":{"default":{"title":"A"},"const":{"title":"A"},"enum":[{"title":"A"}],"examples":[{"title":"A"}]}}}"#,
        r#"{"x-ui":{"properties":{"a":{"title":"A"}}}}"#,
        r#"{"properties":{"a":{"title":["A"]}}}"#,
    ] {
        check_schema_stays(schema);
    }
}

#[test]
fn text_said_twice_goes_once() {
    check(
        r#"{"name":"t","title":"T","annotations":{"title":"T","readOnlyHint":false},"inputSchema":{}}"#,
        r#"{"name":"t","title":"T","annotations":{"readOnlyHint":false},"inputSchema":{}}"#,
    );
    check(
        r#"{"name":"t","title":"T","annotations":{"title":"T"},"inputSchema":{}}"#,
        r#"{"name":"t","title":"T","inputSchema":{}}"#,
    );
    check(
        r#"{"name":"t","title":"t","annotations":{"title":"t"}}"#,
        r#"{"name":"t"}"#,
    );
    check(
        r#"{"name":"t","annotations":{"title":"t"}}"#,
        r#"{"name":"t"}"#,
    );
    check(
        r#"{"name":"t","description":"Does.","inputSchema":{"description":"Does.","type":"object"}}"#,
        r#"{"name":"t","description":"Does.","inputSchema":{"type":"object"}}"#,
    );
    for stays in [
        // Without the title a client would display the annotation's.
        r#"{"name":"t","title":"t","annotations":{"title":"T"}}"#,
        r#"{"name":"t","title":"T","annotations":{"title":"Other"}}"#,
        r#"{"name":"t","annotations":{}}"#,
        r#"{"name":"t","description":"Does.","inputSchema":{"description":"Does more."}}"#,
        r#"{"name":"t","inputSchema":{"properties":{"a":{"description":"a"}}}}"#,
    ] {
        check(stays, stays);
    }
}

#[test]
fn everything_else_keeps_its_bytes() {
    check(
        r#" { "z" : 1e400 , "name" : "t" , "_meta" : { "title" : "T", "$defs" : { } } ,
        "icons" : [ { "src" : "data:,%20 x" } ] , "execution" : { "taskSupport" : "optional" } ,
        "inputSchema" : { "type" : "object" , "title" : "tArguments", "maximum" : 9007199254740993 , "minimum" : 1.0 ,
        "default" : "\u00e9 \/ \n" , "required" : [ ] , "additionalProperties" : false } , "a" : -0 } "#,
        r#"{"z":1e400,"name":"t","_meta":{"title":"T","$defs":{}},"icons":[{"src":"data:,%20 x"}],"execution":{"taskSupport":"optional"},"inputSchema":{"type":"object","maximum":9007199254740993,"minimum":1.0,"default":"\u00e9 \/ \n","required":[],"additionalProperties":false},"a":-0}"#,
    );
    check(
        r#"{"name":"t","outputSchema":{"type":"object","$schema":"https://json-schema.org/draft/2020-12/schema","$defs":{"a":{}}}}"#,
        r#"{"name":"t","outputSchema":{"type":"object"}}"#,
    );
}

/// Parsers disagree on such a tool, so its meaning is not ours to judge.
#[test]
fn keys_written_twice_stop_everything_but_whitespace() {
    let raw = r#"{"name":"t", "inputSchema":{"$defs":{"a":{}},"items":{"a/b":1,"a/b":2}}}"#;
    let leaned = lean(raw, &Limits::default());
    assert_eq!(leaned.text(raw), raw.replace(' ', ""));
    let pointer = "/inputSchema/items/a~1b".to_owned();
    assert_eq!(leaned.diagnostics, [Diagnostic::DuplicateKey { pointer }]);
    assert_eq!(leaned.removed, Default::default());
}

#[test]
fn what_is_not_understood_stays() {
    let limits = Limits {
        max_bytes: 100,
        max_depth: 5,
        max_nodes: 20,
    };
    #[track_caller]
    fn check(raw: &str, limits: &Limits, expected: Diagnostic) {
        let leaned = lean(raw, limits);
        assert_eq!(leaned.outcome, Outcome::Unchanged);
        assert_eq!(leaned.diagnostics, [expected]);
        assert!(!leaned.diagnostics[0].to_string().is_empty());
    }
    for raw in ["", "[ ]", "null", "{", "{} {}", r#"{"a":"\ud800", "b":1}"#] {
        check(raw, &limits, Diagnostic::Malformed);
    }
    check(
        &format!("{{{}}}", " ".repeat(100)),
        &limits,
        Diagnostic::TooLarge,
    );
    check(r#"{ "a":[[[[[]]]]]}"#, &limits, Diagnostic::TooDeep);
    check(
        &format!("{{\"a\":[{}0]}}", "0,".repeat(30)),
        &limits,
        Diagnostic::TooManyNodes,
    );
    // No recursion without a bound, whatever the text.
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(500_000), "]".repeat(500_000));
    check(&deep, &Limits::default(), Diagnostic::TooDeep);
}

/// A list of tools keeps its order, its number and whatever is no tool.
#[test]
fn a_list_is_made_lean_tool_by_tool() {
    let raw = r#"[ {"name":"a","title":"a"}, 7, {"name":"b"} ]"#;
    let leaned = lean_all(raw, &Limits::default());
    assert_eq!(leaned.text(raw), r#"[{"name":"a"},7,{"name":"b"}]"#);
    assert_eq!(leaned.removed.n_duplicate_texts, 1);
    let diagnostic = Box::new(Diagnostic::Malformed);
    assert_eq!(
        leaned.diagnostics,
        [Diagnostic::InTool {
            index: 1,
            diagnostic
        }]
    );
    assert_eq!(
        lean_all("{}", &Limits::default()).outcome,
        Outcome::Unchanged
    );
    assert_eq!(
        lean_all("[]", &Limits::default()).outcome,
        Outcome::Unchanged
    );
}

#[test]
fn what_went_is_counted() {
    let raw = r##"{"name":"t","inputSchema":{"$schema":"https://json-schema.org/draft/2020-12/schema","$defs":{"A":{"title":"A"},"B":{"title":"B"}},"properties":{"p":{"title":"P","type":"string"},"b":{"$ref":"#/$defs/B"}}}}"##;
    let removed = lean(raw, &Limits::default()).removed;
    assert_eq!(
        (
            removed.n_definitions,
            removed.n_titles,
            removed.n_dialect_markers,
            removed.n_duplicate_texts
        ),
        // The title of the definition that went is not counted again.
        (1, 2, 1, 0)
    );
}

/// Many references to many definitions, long chains and wide objects: quadratic work would take
/// minutes, so that this ends is the finding.
#[test]
fn adversarial_schemas_are_bounded() {
    let n = 30_000;
    let mut chain = String::from(r##"{"$defs":{"##);
    let mut wide = String::from(r##"{"properties":{"##);
    for i in 0..n {
        let separator = if i == 0 { "" } else { "," };
        let _ = write!(
            chain,
            r##"{separator}"d{i}":{{"$ref":"#/$defs/d{}","title":"D{i}"}}"##,
            i + 1
        );
        let _ = write!(
            wide,
            r##"{separator}"p{i}":{{"$ref":"#/properties/p{}/x"}}"##,
            n - i
        );
    }
    chain.push_str(r##"},"$ref":"#/$defs/d0"}"##);
    wide.push_str(r##"},"$defs":{"a":{}}}"##);
    let anchors = (0..n).fold(r#"{"items":["#.to_owned(), |mut text, i| {
        let _ = write!(text, r##"{{"$ref":"#a{i}"}},"##);
        text
    }) + r#"0],"$defs":{"a":{"$anchor":"a1"}}}"#;
    let dead = chain.replace(r##","$ref":"#/$defs/d0""##, "");
    for schema in [chain, wide, anchors, dead] {
        let raw = format!(r#"{{"name":"t","inputSchema":{schema}}}"#);
        let leaned = lean(&raw, &Limits::default());
        assert!(leaned.diagnostics.is_empty(), "{:?}", leaned.diagnostics);
    }
}

/// The tools whose text a model reads before and after, as the project's test data has them.
fn test_tool(list: &'static str, name: &str) -> String {
    let mut named = tools_of(list).into_iter().filter(|tool| {
        let view = ToolView::parse(tool).expect("a tool");
        view.name_text().as_deref() == Some(name)
    });
    named.next().expect("the tool is in the list")
}

#[test]
fn what_a_model_reads() {
    let notion = include_str!("../../../testdata/servers/notion/tools.json");
    let time = include_str!("../../../testdata/servers/time/tools.json");
    let aws = include_str!("../../../testdata/servers/aws-documentation/tools.json");
    for (list, name) in [
        (notion, "API-get-user"),
        (notion, "API-move-page"),
        (time, "convert_time"),
        (aws, "read_documentation"),
    ] {
        let raw = test_tool(list, name);
        let leaned = lean(&raw, &Limits::default());
        let visible = |raw: &str| ToolView::parse(raw).expect("a tool").model_visible();
        insta::assert_snapshot!(
            format!("model_reads_{name}"),
            format!(
                "before:\n{}\n\nafter:\n{}\n",
                visible(&raw),
                visible(leaned.text(&raw))
            )
        );
    }
}
