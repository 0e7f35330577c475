//! The policy as a user meets it: each row of the table decides the same whatever way a call comes, through
//! the built binary with scripted peers on both sides.
#![expect(clippy::unwrap_used, reason = "a failure of the fixture is the test's")]

mod approval;
mod audit;
mod kept;
mod sdk;

use std::process::Command;

use serde_json::{Value, json};

use crate::kit::{Proxy, ScriptedServer};

const BINARY: &str = env!("CARGO_BIN_EXE_mcp-whittle");

fn tool(name: &str, annotations: &str) -> String {
    format!(
        r#"tool {name} "description":"Does {name}.","inputSchema":{{"type":"object","properties":{{"path":{{"type":"string"}}}}}},"annotations":{annotations}"#
    )
}

fn script() -> String {
    [
        tool("read_file", r#"{"readOnlyHint":true}"#),
        tool("write_file", r#"{"destructiveHint":false}"#),
        tool("delete_file", "{}"),
    ]
    .join("\n")
}

fn caller(tool: &str) -> &'static str {
    match tool {
        "read_file" => "call_read_tool",
        "write_file" => "call_write_tool",
        _ => "call_destructive_tool",
    }
}

#[derive(Clone, Copy)]
/// One row: rules, a call, what becomes of it.
struct Row {
    policy: &'static str,
    tool: &'static str,
    path: &'static str,
    outcome: &'static str,
}

const fn row(
    policy: &'static str,
    tool: &'static str,
    path: &'static str,
    outcome: &'static str,
) -> Row {
    Row {
        policy,
        tool,
        path,
        outcome,
    }
}

const DENY: &str = r#"policy.rules = [{ effect = "deny", tools = ["delete_*"] }]"#;
const AUDIT: &str = r#"policy.rules = [{ effect = "deny", tools = ["delete_*"] }]
policy.mode = "audit""#;
const OFF: &str = r#"policy.rules = [{ effect = "deny", tools = ["delete_*"], mode = "off" }]"#;
const OVER: &str = r#"policy.rules = [{ effect = "allow", tools = ["*"] }, { effect = "approve", tools = ["write_*", "delete_*"] }, { effect = "deny", tools = ["delete_*"] }]"#;
const DATA: &str = r#"policy.default = "deny"
policy.rules = [{ effect = "allow", tools = "read_*", arguments = [{ pointer = "/path", under = "/data" }] }]"#;
const ETC: &str =
    r#"policy.rules = [{ effect = "deny", arguments = [{ pointer = "/path", under = "/etc" }] }]"#;
const READ_ONLY: &str = "policy.read_only = true\npolicy.trust_hints = [\"*\"]";
const UNTRUSTED: &str = "policy.read_only = true\npolicy.trust_hints = [\"nobody\"]";
const HINTS: &str = r#"policy.trust_hints = "*"
policy.rules = [{ effect = "deny", hints = { destructiveHint = true } }]"#;
const USER: &str = r#"policy.rules = [{ effect = "deny", principals = "user", tools = "write_*" }, { effect = "deny", principals = "bearer-*" }]"#;

const ROWS: &[Row] = &[
    row(DENY, "delete_file", "/a", "unknown"),
    row(DENY, "write_file", "/a", "made"),
    row(AUDIT, "delete_file", "/a", "made"),
    row(OFF, "delete_file", "/a", "made"),
    row(OVER, "read_file", "/a", "made"),
    row(OVER, "write_file", "/a", "refused"),
    row(OVER, "delete_file", "/a", "unknown"),
    row(DATA, "read_file", "/data/a", "made"),
    row(DATA, "read_file", "/data/../a", "refused"),
    row(DATA, "write_file", "/data/a", "unknown"),
    row(ETC, "read_file", "/srv/../etc/x", "refused"),
    row(ETC, "read_file", "/srv/x", "made"),
    row(READ_ONLY, "read_file", "/a", "made"),
    row(READ_ONLY, "write_file", "/a", "unknown"),
    row(UNTRUSTED, "read_file", "/a", "unknown"),
    row(HINTS, "write_file", "/a", "made"),
    row(HINTS, "delete_file", "/a", "unknown"),
    row(USER, "write_file", "/a", "unknown"),
    row(USER, "read_file", "/a", "made"),
];

/// What became of a call: whether the server got it, and else what the client was told.
fn outcome(
    proxy: &mut Proxy,
    server: &ScriptedServer,
    row: &Row,
    name: &str,
    arguments: Value,
) -> &'static str {
    let calls = || {
        let all = server.received_of("tools/call");
        all.iter()
            .filter(|call| call["params"]["name"] == row.tool)
            .count()
    };
    let before = calls();
    let answer = proxy.ask_call(name, arguments).to_string();
    if calls() > before {
        "made"
    } else if answer.contains(" refuses these arguments.")
        || answer.contains("a person's approval, and this client cannot")
    {
        "refused"
    } else {
        "unknown"
    }
}

#[test]
fn each_row_decides_the_same_whatever_way_a_call_comes() {
    for row in ROWS {
        let shown = format!("{} {} {}", row.policy, row.tool, row.path);
        for is_prefixed in [false, true] {
            let server = ScriptedServer::new(&script());
            let other = ScriptedServer::new(&tool("other", "{}"));
            let builder = match is_prefixed {
                false => Proxy::wrap(&server),
                true => Proxy::servers(&[("fs", &server), ("git", &other)]),
            };
            let mut proxy = builder
                .options("--pin *=hidden")
                .settings(row.policy)
                .start();
            // A client that nobody can be asked through: approval is refused.
            proxy.initialize_as("2025-11-25", json!({}));
            let name = match is_prefixed {
                false => row.tool.to_owned(),
                true => format!("fs__{}", row.tool),
            };
            let plain = json!({ "path": row.path });
            // Also before anything was listed.
            let first = outcome(&mut proxy, &server, row, &name, plain.clone());
            assert_eq!(first, row.outcome, "{shown}: before the list");
            proxy.ask("tools/list", json!({}));
            let via = caller(row.tool);
            for (way, called, arguments) in [
                ("own name", name.as_str(), plain.clone()),
                ("object", via, json!({ "name": name, "arguments": plain })),
                (
                    "JSON string",
                    via,
                    json!({ "name": name, "arguments": plain.to_string() }),
                ),
                (
                    "misplaced name",
                    via,
                    json!({ "arguments": { "name": name, "path": row.path } }),
                ),
            ] {
                let is = outcome(&mut proxy, &server, row, called, arguments);
                assert_eq!(is, row.outcome, "{shown}: {way}, prefixed {is_prefixed}");
            }
            // What is withheld cannot be found out about either.
            let known = row.outcome != "unknown";
            let described = proxy.ask_call("describe_tools", json!({ "names": [name] }));
            let is_described = described.to_string().contains("inputSchema");
            assert_eq!(is_described, known, "{shown}: {described}");
            let found = proxy.ask_call("search_tools", json!({ "queries": [row.tool] }));
            let needle = format!("] {name}");
            assert_eq!(
                found.to_string().contains(&needle),
                known,
                "{shown}: {found}"
            );
            if row.policy == AUDIT {
                proxy.wait_stderr("would be answered as unknown by policy rule 1");
            }
            proxy.finish();
        }
    }
}

#[test]
fn a_withheld_tool_is_not_listed_in_any_mode_of_ours() {
    for options in [
        "",
        "--transparent",
        "--shadow",
        "--surface full",
        "--budget 4000",
    ] {
        let server = ScriptedServer::new(&script());
        let mut proxy = Proxy::wrap(&server).options(options).settings(DENY).start();
        proxy.initialize();
        let list = proxy.ask("tools/list", json!({})).to_string();
        assert!(list.contains("write_file"), "{options}: {list}");
        assert!(!list.contains("delete_file"), "{options}: {list}");
        let answer = proxy.ask_call("delete_file", json!({}));
        assert_eq!(answer["error"]["code"], -32602, "{options}: {answer}");
        let text = answer["error"]["message"].as_str().unwrap();
        assert_eq!(text, "Unknown tool: delete_file", "{options}");
        proxy.finish();
    }
}

fn check(file: &str, text: &str, more: &[&str]) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(file), text).unwrap();
    let output = Command::new(BINARY)
        .args(["policy", "check", file])
        .args(more)
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(said).unwrap(),
    )
}

#[test]
fn rules_that_do_not_compile_are_refused_with_their_line() {
    let rules = "[policy]\ndefault = \"allow\"\n\n[[policy.rules]]\neffect = \"deny\"\n";
    for (more, problem) in [
        (
            "tool = \"x\"",
            "c.toml:6: key `policy.rules.0.tool`: unknown key\n  hint: did you mean `tools`?",
        ),
        (
            "tools = []",
            "c.toml:6: key `policy.rules.0.tools`: the list is empty",
        ),
        ("reads = true", "`reads` belongs to rules that allow"),
        ("mode = \"audits\"", "did you mean `audit`?"),
        (
            "arguments = [{ pointer = \"path\", eq = 1 }]",
            "`path` is no JSON Pointer",
        ),
        (
            "arguments = [{ pointer = \"/p\", regex = \"(\" }]",
            "not a regular expression",
        ),
        (
            "arguments = [{ pointer = \"/p\", regex = \"a{999}{999}\" }]",
            "too large once compiled",
        ),
        (
            "arguments = [{ pointer = \"/p\" }]",
            "the test has no operator",
        ),
        (
            "arguments = [{ pointer = \"/p\", lt = \"5\" }]",
            "expected a finite number",
        ),
        ("hints = { readOnly = true }", "unknown key"),
    ] {
        let text = format!("{rules}{more}\n");
        let (code, said) = check("c.toml", &text, &[]);
        assert!(code == 2 && said.contains(problem), "{more}: {code} {said}");
        // The proxy does not start with it either.
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("c.toml"), &text).unwrap();
        let output = Command::new(BINARY)
            .args(["--config", "c.toml", "--", "true"])
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{more}");
    }
    let (code, said) = check("c.toml", "[[policy.rules]]\ntools = \"x\"\n", &[]);
    assert!(
        code == 2 && said.contains("the rule has no `effect`"),
        "{said}"
    );
}

#[test]
fn a_file_is_linted() {
    let json = r#"{
      "mcpServers": { "fs": { "command": "${UNSET}" } },
      "policy": { "default": "deny", "rules": [
        { "effect": "allow", "servers": "fs", "tools": ["read_*"] },
        { "effect": "deny", "servers": "git" },
        { "effect": "allow", "tools": "gone" }
      ] }
    }"#;
    let tools = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/servers/time");
    let (code, said) = check("mcp.json", json, &["--tools", tools]);
    assert_eq!(code, 1, "{said}");
    for line in [
        "mcp.json: 3 rules, mode enforce, default deny\n",
        "doubtful: rule 2: no server is called `git`\n",
        "doubtful: rule 1: no tool is called `read_*`\n",
        "doubtful: rule 3: no tool is called `gone`\n",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    let good =
        "[policy]\ndefault = \"deny\"\nrules = [{ effect = \"allow\", tools = \"get_*\" }]\n";
    assert_eq!(
        check("c.toml", good, &["--tools", tools]),
        (
            0,
            "c.toml: 1 rule, mode enforce, default deny\nnothing doubtful\n".to_owned()
        )
    );
}
