use crate::surface::ladder::Diagnostic;
use crate::surface::ladder::LadderOptions;
use crate::surface::ladder::Rendering;
use crate::surface::ladder::Rung;
use crate::surface::ladder::ladder;
use crate::surface::ladder::render;

const OPEN: LadderOptions<'static> = LadderOptions {
    may_use_open_schema: true,
    has_empty_properties: false,
    description_limit: None,
    limits: crate::surface::lean::Limits {
        max_bytes: 1_000_000,
        max_depth: 128,
        max_nodes: 100_000,
    },
    replacements: None,
};

fn tool(schema: &str) -> String {
    format!(r#"{{"name":"a_tool","description":"Does a thing.","inputSchema":{schema}}}"#)
}

/// The description of a rendering.
fn description(rendering: &Rendering<'_>) -> String {
    let text = rendering.text.as_deref().expect("a text");
    let value: serde_json::Value = serde_json::from_str(text).expect("valid JSON");
    value["description"]
        .as_str()
        .expect("a description")
        .to_owned()
}

/// Checks what `dense` says of a schema, behind the tool's own text.
#[track_caller]
fn check_dense(schema: &str, expected: &str) {
    let tool = tool(schema);
    let rendering = render(&tool, Rung::Dense, &OPEN);
    assert_eq!(rendering.diagnostics, []);
    let text = description(&rendering);
    let said = text
        .strip_prefix("Does a thing.\nArguments:")
        .expect("arguments");
    assert_eq!(said.trim_start(), expected);
    assert!(
        rendering
            .text
            .expect("a text")
            .ends_with(r#""inputSchema":{"type":"object"}}"#)
    );
}

#[test]
fn parameters_are_said_with_all_that_holds_for_them() {
    check_dense(
        r#"{"type":"object","properties":{
            "a":{"type":"string","description":"An A."},
            "b":{"type":"integer","minimum":1,"maximum":100,"default":20,"description":"How many."},
            "c":{"enum":["x","it's",3,null]},
            "d":{"type":["string","null"],"format":"date-time","default":null},
            "e":{"type":"array","items":{"type":"string","minLength":1},"minItems":1,"uniqueItems":true},
            "f":{"type":"object","properties":{"g":{"type":"boolean"},"h i":{}},"required":["g"],"additionalProperties":true},
            "j":{"type":"string","pattern":"^a/b$","title":"The J","deprecated":true,"examples":["a/b"]}
        },"required":["a","f"],"additionalProperties":false}"#,
        "a: string // An A.\n\
         b?: integer(1..100) = 20 // How many.\n\
         c?: 'x'|\"it's\"|3|null\n\
         d?: string(date-time)|null = null\n\
         e?: string(length >=1)[](>=1 items, unique)\n\
         f: {g: boolean, 'h i'?: any, ...}\n\
         j?: string(/^a/b$/) // The J; deprecated; e.g. 'a/b'",
    );
    check_dense(r#"{"type":"object"}"#, "none");
    check_dense(
        r#"{"type":"object","properties":{"n":{"type":"number","exclusiveMinimum":0,"maximum":9007199254740991,"multipleOf":0.5}}}"#,
        "n?: number(>0, multiple of 0.5)",
    );
    check_dense(
        r#"{"type":"object","properties":{"n":{"type":"number","minimum":0,"exclusiveMinimum":true}},"required":["n","m"]}"#,
        "n: number(>0)\nm: any",
    );
    // Broken variant that this catches: one that leaves such numbers out on whichever side they stand.
    check_dense(
        r#"{"type":"object","properties":{"n":{"type":"integer","minimum":9007199254740991},"m":{"type":"integer","minimum":-9007199254740991,"maximum":9007199254740991}}}"#,
        "n?: integer(>=9007199254740991)\nm?: integer",
    );
}

#[test]
fn unions_intersections_and_maps_are_said() {
    check_dense(
        r#"{"type":"object","properties":{
            "a":{"anyOf":[{"type":"string"},{"type":"null"}],"default":null},
            "b":{"oneOf":[{"type":"string"},{"type":"object","properties":{"c":{"const":"d"}},"required":["c"]}]},
            "c":{"oneOf":[{"type":"string"},{"type":"string","maxLength":3}]},
            "d":{"allOf":[{"type":"object","properties":{"x":{"type":"string"}}},{"anyOf":[{"required":["x"]},{"required":["y"]}]}]},
            "e":{"type":"object","additionalProperties":{"type":"array","items":{"anyOf":[{"type":"string"},{"type":"number"}]}}},
            "f":{"type":"object","propertyNames":{"enum":["k","l"]},"additionalProperties":{}},
            "g":{"type":"array","prefixItems":[{"type":"string"},{"type":"integer"}],"items":false},
            "h":{"items":{"type":"string","description":"One of them."}},
            "i":{"type":"integer","enum":[1,2],"nullable":true},
            "j":true
        }}"#,
        "a?: string|null = null\n\
         b?: string|{c: 'd'}\n\
         c?: oneOf(string|string(length <=3))\n\
         d?: {x?: string} & ({x: any}|{y: any})\n\
         e?: {[string]: (string|number)[]}\n\
         f?: {['k'|'l']: any}\n\
         g?: [string, integer]\n\
         h?: Array<string /* One of them. */>\n\
         i?: 1|2|null\n\
         j?: any",
    );
}

/// Broken variants that this catches: literals compared as they are written, and a type that takes its own
/// literals for something else.
#[test]
fn a_choice_of_which_two_can_fit_is_said_to_be_exclusive() {
    check_dense(
        r#"{"type":"object","properties":{
            "a":{"oneOf":[{"const":"latest"},{"type":"string"}]},
            "b":{"oneOf":[{"type":"integer"},{"enum":[0.5,"auto"]}]},
            "c":{"oneOf":[{"const":1},{"const":1.0}]},
            "d":{"oneOf":[{"const":"a"},{"const":"\u0061"}]},
            "e":{"oneOf":[{"const":{"x":1,"y":2}},{"const":{"y":2.0,"x":1}}]},
            "f":{"oneOf":[{"const":"none"},{"const":10},{"const":1e1}]},
            "g":{"oneOf":[{"const":"none"},{"type":"integer"},{"const":null},{"const":[1]},{"const":[2]}]},
            "h":{"oneOf":[{"const":9007199254740993},{"const":9007199254740992},{"const":-1.5}]}
        }}"#,
        "a?: oneOf('latest'|string)\n\
         b?: oneOf(integer|0.5|'auto')\n\
         c?: oneOf(1|1.0)\n\
         d?: oneOf('a'|'a')\n\
         e?: oneOf({x: 1, y: 2}|{y: 2.0, x: 1})\n\
         f?: oneOf('none'|10|1e1)\n\
         g?: 'none'|integer|null|[1]|[2]\n\
         h?: 9007199254740993|9007199254740992|-1.5",
    );
}

/// Broken variants that this catches: `object` for whatever its further members are, `any` where only
/// `contains` or `unevaluatedProperties` tells the type, and nothing of `contains` behind first items.
#[test]
fn further_members_and_contained_items_are_said() {
    check_dense(
        r##"{"type":"object","properties":{
            "a":{"type":"object","unevaluatedProperties":{"type":"string"}},
            "b":{"type":"object","properties":{"x":{"type":"null"}},"unevaluatedProperties":{"type":"string"}},
            "c":{"unevaluatedProperties":{"type":"integer"}},
            "d":{"type":"object","unevaluatedProperties":false},
            "e":{"type":"object","unevaluatedProperties":{}},
            "f":{"allOf":[{"properties":{"x":{"type":"null"}}}],"type":"object","unevaluatedProperties":false},
            "g":{"type":"array","prefixItems":[{"type":"string"}],"contains":{"const":"x"}},
            "h":{"contains":{"const":"x"}},
            "i":{"type":"array","items":{"type":"string"},"contains":{"const":"x"}}
        }}"##,
        "a?: {[string]: string}\n\
         b?: {x?: null, [string]: string}\n\
         c?: {[string]: integer}\n\
         d?: {}\n\
         e?: object\n\
         f?: object & {x?: null}\n\
         g?: [string, ...] with some 'x'\n\
         h?: any[] with some 'x'\n\
         i?: string[] with some 'x'",
    );
}

#[test]
fn nested_prose_stands_on_lines_of_its_own() {
    check_dense(
        r#"{"type":"object","properties":{"a":{"type":"object","description":"The A.","properties":{
            "b":{"type":"string","description":"The B.\n- one\n- two"},"c":{"type":"array","items":{"type":"object","properties":{"d":{"type":"null","description":"wrapped\nline"}}}}}}}}"#,
        "a?: {\n b?: string /* The B.\n- one\n- two */\n c?: {\n  d?: null // wrapped line\n }[]\n} // The A.",
    );
}

#[test]
fn references_become_types_where_they_are_used_more_than_once() {
    check_dense(
        r##"{"type":"object","$defs":{"tree":{"type":"object","properties":{"left":{"$ref":"#/$defs/tree"}}},"once":{"type":"string","description":"Only here."}},
            "properties":{"t":{"$ref":"#/$defs/tree"},"o":{"$ref":"#/$defs/once"},"p":{"$ref":"#/properties/q"},"q":{"enum":["a","b"]}}}"##,
        "t?: Tree\no?: string /* Only here. */\np?: Q\nq?: Q\ntype Tree = {left?: Tree}\ntype Q = 'a'|'b'",
    );
    // Two definitions that would be called the same.
    check_dense(
        r##"{"type":"object","$defs":{"a":{"$defs":{"x":{"enum":[1]}}},"b":{"$defs":{"x":{"enum":[2]}}}},"properties":{
            "p":{"$ref":"#/$defs/a/$defs/x"},"q":{"$ref":"#/$defs/a/$defs/x"},"r":{"$ref":"#/$defs/b/$defs/x"},"s":{"$ref":"#/$defs/b/$defs/x"}}}"##,
        "p?: X\nq?: X\nr?: X2\ns?: X2\ntype X = 1\ntype X2 = 2",
    );
}

#[test]
fn what_cannot_be_said_stays_a_schema() {
    for schema in [
        r#"{"type":"object","not":{"required":["a"]}}"#,
        r#"{"type":"object","properties":{"a":{"type":"string"}},"if":{"required":["a"]},"then":{}}"#,
        r#"{"type":"object","dependentRequired":{"a":["b"]}}"#,
        r#"{"type":"object","properties":{"a":{"x-unknown":1}}}"#,
        r#"{"type":"object","properties":{"a":{"allOf":[{"properties":{"x":{}}}],"unevaluatedProperties":{"type":"null"}}}}"#,
        r#"{"type":"object","properties":{"a":{"type":"string","x-mcp-header":"A"}}}"#,
        r##"{"type":"object","properties":{"a":{"$ref":"#"}}}"##,
        r##"{"type":"object","properties":{"a":{"$ref":"http://x/y"}}}"##,
        r##"{"type":"object","properties":{"a":{"$ref":"#/$defs/none"}}}"##,
        r#"{"type":"object","properties":{"a":{"type":"text"}}}"#,
        r#"{"type":"object","properties":{"a":{"enum":"b"}}}"#,
        r#"{"type":"object","properties":[],"required":["a"]}"#,
        r#"{"type":"object","required":[1]}"#,
        // Broken variants that these catch: ones that say a part of it only.
        r#"{"type":"object","properties":{"a":{"items":{"type":"string"},"maxLength":7,"maximum":9}}}"#,
        r#"{"type":"object","properties":{"a":{"properties":{"x":{}},"items":{"type":"string"}}}}"#,
        r#"{"type":"object","properties":{"a":{"const":"x","enum":["y"]}}}"#,
        r#"{"type":"object","properties":{"a":{"enum":["p",{"k":1}],"required":["k"]}}}"#,
        r#"{"type":"object","properties":{"a":{"enum":["p",[]],"contains":{"const":1}}}}"#,
    ] {
        let tool = tool(schema);
        let rendering = render(&tool, Rung::Dense, &OPEN);
        assert_eq!(rendering.shown, Rung::Lean, "{schema}");
        assert_eq!(rendering.text.as_deref(), Some(tool.as_str()), "{schema}");
        assert!(
            matches!(rendering.diagnostics[..], [Diagnostic::Unsayable { .. }]),
            "{schema}"
        );
        // Below, the schema stays too.
        let signature = render(&tool, Rung::Signature, &OPEN);
        assert_eq!(signature.shown, Rung::Signature, "{schema}");
        assert!(
            signature
                .text
                .expect("a text")
                .contains("\"inputSchema\":{\"type\":\"object\",\"")
        );
    }
}

#[test]
fn every_rung_of_one_tool() {
    let raw = r#"{ "name":"get_log", "title":"Get log", "description":"Reads a log. Welcome to our product! Lines are cut at 2000 bytes. See the docs.",
        "inputSchema":{"type":"object","properties":{"path":{"type":"string","description":"Path of the log. Logs are great. It must be absolute."},
        "kind":{"enum":["a","b"]}},"required":["path"]},"annotations":{"readOnlyHint":true},"outputSchema":{"type":"object"},"x":1 }"#;
    let texts: Vec<_> = ladder(raw, &OPEN)
        .into_iter()
        .map(|rendering| rendering.text)
        .collect();
    let head = r#"{"name":"get_log","title":"Get log","description":"#;
    let tail = r#","annotations":{"readOnlyHint":true},"outputSchema":{"type":"object"},"x":1}"#;
    let open = |text: &str| {
        Some(format!(
            "{head}{}{}{tail}",
            serde_json::Value::from(text),
            r#","inputSchema":{"type":"object"}"#
        ))
    };
    assert_eq!(texts[0].as_deref(), Some(raw));
    assert_eq!(
        texts[2].as_deref().map(str::to_owned),
        open(
            "Reads a log. Welcome to our product! Lines are cut at 2000 bytes. See the docs.\nArguments:\npath: string // Path of the log. Logs are great. It must be absolute.\nkind?: 'a'|'b'"
        )
    );
    assert_eq!(
        texts[3].as_deref().map(str::to_owned),
        open(
            "Reads a log. Lines are cut at 2000 bytes.\nArguments:\npath: string // Path of the log. It must be absolute.\nkind?: 'a'|'b'"
        )
    );
    assert_eq!(
        texts[4].as_deref().map(str::to_owned),
        open("Reads a log. (path: string, kind?: 'a'|'b')")
    );
    assert_eq!(texts[5].as_deref().map(str::to_owned), open("Reads a log."));
    assert_eq!(texts[6], None);
    // Without open schemas: the real one, with shorter texts, then without any.
    let closed: Vec<_> = ladder(raw, &LadderOptions::default())
        .into_iter()
        .map(|rendering| (rendering.shown, rendering.text))
        .collect();
    assert_eq!(closed[2].0, Rung::Lean);
    assert_eq!(closed[3].0, Rung::Short);
    assert_eq!(
        closed[4].1.as_deref().map(str::to_owned),
        Some(format!(
            r#"{head}"Reads a log.","inputSchema":{{"type":"object","properties":{{"path":{{"type":"string"}},"kind":{{"enum":["a","b"]}}}},"required":["path"]}}{tail}"#
        )),
    );
    assert_eq!((closed[5].0, &closed[5].1), (Rung::Signature, &closed[4].1));
}

#[test]
fn options_are_kept() {
    let raw = r#"{"name":"t","description":"Does.","inputSchema":{"type":"object","properties":{"a":{"type":"string","description":"What it is called."}}},"outputSchema":{"type":"object"}}"#;
    let options = LadderOptions {
        has_empty_properties: true,
        ..OPEN
    };
    let name = render(raw, Rung::Name, &options).text;
    assert_eq!(
        name.as_deref(),
        Some(
            r#"{"name":"t","description":"Does.","inputSchema":{"type":"object","properties":{}},"outputSchema":{"type":"object"}}"#
        )
    );
    let options = LadderOptions {
        description_limit: Some(20),
        ..OPEN
    };
    let dense = render(raw, Rung::Dense, &options);
    assert_eq!(
        (dense.shown, dense.text.as_deref()),
        (Rung::Lean, Some(raw))
    );
    assert_eq!(
        dense.diagnostics,
        [Diagnostic::TooLongForClient { length: 49 }]
    );
}

#[test]
fn what_is_no_tool_stays() {
    for raw in [
        "",
        "[]",
        "7",
        "{",
        "{}",
        r#"{"name":1,"inputSchema":{"type":"object"}}"#,
        r#"{"name":"t"}"#,
        r#"{"name":"t","inputSchema":true}"#,
        r#"{"name":"t","inputSchema":{}}"#,
        r#"{"name":"t","description":null,"inputSchema":{"type":"object"}}"#,
        r#"{"name":"t","name":"u","inputSchema":{"type":"object"}}"#,
    ] {
        for rendering in ladder(raw, &OPEN) {
            if rendering.rung == Rung::Hidden {
                continue;
            }
            assert_eq!(rendering.text.as_deref(), Some(raw));
            assert!(rendering.shown <= Rung::Lean);
            assert_eq!(
                rendering.diagnostics.is_empty(),
                rendering.rung == Rung::Full
                    || (rendering.rung == Rung::Lean
                        && !raw.is_empty()
                        && rendering.diagnostics.is_empty()),
                "{raw}"
            );
        }
    }
}

#[test]
fn rungs_are_words() {
    for rung in Rung::ALL {
        assert_eq!(rung.to_string().parse(), Ok(rung));
    }
    let error = "denser".parse::<Rung>().expect_err("no rung");
    assert!(error.to_string().contains("hint:"), "{error}");
    assert!(Rung::Full < Rung::Lean && Rung::Name < Rung::Hidden);
}

/// Chains, cycles and many names: quadratic work would take minutes.
#[test]
fn adversarial_schemas_are_bounded() {
    let n = 20_000;
    let mut chain =
        String::from(r##"{"type":"object","properties":{"p":{"$ref":"#/$defs/d0"}},"$defs":{"##);
    let mut same = String::from(r##"{"type":"object","properties":{"##);
    let mut definitions = String::new();
    for i in 0..n {
        chain.push_str(&format!(r##""d{i}":{{"$ref":"#/$defs/d{}"}},"##, i + 1));
        same.push_str(&format!(
            r##""a{i}":{{"$ref":"#/$defs/d{i}/x"}},"b{i}":{{"$ref":"#/$defs/d{i}/x"}},"##
        ));
        definitions.push_str(&format!(r#""d{i}":{{"x":{{"type":"string"}}}},"#));
    }
    chain.push_str(&format!(r#""d{n}":{{"type":"string"}}}}}}"#));
    same.pop();
    definitions.pop();
    same.push_str(&format!("}},\"$defs\":{{{definitions}}}}}"));
    let options = LadderOptions {
        limits: crate::surface::lean::Limits::default(),
        ..OPEN
    };
    for schema in [chain, same] {
        let tool = tool(&schema);
        for rendering in ladder(&tool, &options) {
            assert!(
                rendering
                    .text
                    .is_none_or(|text| text.len() < 4 * tool.len() + 2_000)
            );
        }
    }
    // Overlapping references, each of which would be written again.
    let mut nested = String::from(r#"{"type":"string"}"#);
    for _ in 0..100 {
        nested = format!(r#"{{"type":"array","items":{nested}}}"#);
    }
    let all: Vec<String> = (0..100)
        .map(|n| format!(r##""p{n}":{{"$ref":"#/$defs/a{}"}}"##, "/items".repeat(n)))
        .collect();
    let tool = tool(&format!(
        r#"{{"type":"object","$defs":{{"a":{nested}}},"properties":{{{}}}}}"#,
        all.join(",")
    ));
    let rendering = render(&tool, Rung::Dense, &options);
    assert!(
        rendering
            .text
            .is_some_and(|text| text.len() < 5 * tool.len() + 1_000)
    );
}
