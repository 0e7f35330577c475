//! Calls that wait for the client's user, in both eras, by raw lines; and every official client, whose user
//! agrees to everything.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::{OVER, caller, script};
use crate::kit::{Proxy, ScriptedServer, messages::modern};
use crate::peers_kit::account::proof;
use crate::peers_kit::process::run;
use crate::peers_kit::{CLIENTS, PROXY, driver, in_parallel};

const AGREED: &str = r#"{"action":"accept","content":{"approve":true}}"#;

fn writes(server: &ScriptedServer) -> usize {
    let all = server.received_of("tools/call");
    all.iter()
        .filter(|call| call["params"]["name"] == "write_file")
        .count()
}

fn result(answer: &Value) -> String {
    answer["result"]["content"][0]["text"]
        .as_str()
        .unwrap_or_else(|| panic!("no text: {answer}"))
        .to_owned()
}

#[test]
fn a_legacy_client_is_asked_and_the_call_is_made_once() {
    for (said, makes, words) in [
        (AGREED, true, ""),
        (
            r#"{"action":"accept","content":{"approve":false}}"#,
            false,
            "and the user did not agree.",
        ),
        (
            r#"{"action":"accept","content":{}}"#,
            false,
            "and the user did not agree.",
        ),
        (
            r#"{"action":"decline"}"#,
            false,
            "and the user did not agree.",
        ),
        (
            r#"{"action":"cancel"}"#,
            false,
            "and the question was closed without an answer.",
        ),
    ] {
        for is_inner in [false, true] {
            let server = ScriptedServer::new(&script());
            let mut proxy = Proxy::wrap(&server)
                .options("--pin *=hidden")
                .settings(OVER)
                .start();
            proxy.initialize();
            proxy.ask("tools/list", json!({}));
            let plain = json!({"path": "/a\u{202e}b", "n": 1});
            let call = match is_inner {
                false => proxy.call("write_file", plain),
                true => proxy.call(
                    caller("write_file"),
                    json!({"name": "write_file", "arguments": plain.to_string()}),
                ),
            };
            let question = proxy.wait_request("elicitation/create");
            assert_eq!(writes(&server), 0, "nothing before the answer");
            let server_name = "scripted_server";
            let message = question["params"]["message"].as_str().expect("a message");
            assert!(
                message.contains(&format!("Server: {server_name}")),
                "{message}"
            );
            assert!(message.contains("Tool: write_file\n"), "{message}");
            assert!(
                message.contains(r#"Arguments: {"n":1,"path":"/a\u{202e}b"}"#),
                "{message}"
            );
            assert!(message.contains("Asked for by policy rule 2."), "{message}");
            proxy.respond(&question, serde_json::from_str(said).expect("JSON"));
            let answer = proxy.answer(call);
            assert_eq!(writes(&server), usize::from(makes), "{said}: {answer}");
            if !makes {
                assert_eq!(answer["result"]["isError"], true, "{answer}");
                let text = result(&answer);
                assert!(text.starts_with("Not called: `write_file`"), "{text}");
                assert!(text.contains(words), "{text}");
            }
            // Each call is asked about.
            let again = proxy.call("write_file", json!({"path": "/c"}));
            let question = proxy.wait_message("a second question", |message| {
                message["method"] == "elicitation/create"
                    && message["params"]["message"]
                        .as_str()
                        .is_some_and(|text| text.contains("/c"))
            });
            proxy.respond(&question, json!({"action": "decline"}));
            assert!(result(&proxy.answer(again)).contains("did not agree"));
            assert_eq!(writes(&server), usize::from(makes));
            proxy.finish();
        }
    }
}

#[test]
fn a_session_can_be_remembered() {
    let server = ScriptedServer::new(&script());
    let mut proxy = Proxy::wrap(&server)
        .settings(OVER)
        .settings("policy.approval = \"session\"")
        .start();
    proxy.initialize();
    let call = proxy.call("write_file", json!({"path": "/a"}));
    let question = proxy.wait_request("elicitation/create");
    let message = question["params"]["message"].as_str().expect("a message");
    assert!(
        message.contains("every call of this tool in this session"),
        "{message}"
    );
    proxy.respond(&question, serde_json::from_str(AGREED).expect("JSON"));
    proxy.answer(call);
    proxy.ask_call("write_file", json!({"path": "/b"}));
    assert_eq!(writes(&server), 2);
    assert_eq!(proxy.count_of("elicitation/create"), 1);
    proxy.finish();
}

#[test]
fn f88_whoever_cannot_be_asked_is_refused() {
    for capabilities in [json!({}), json!({"elicitation": {"url": {}}})] {
        let server = ScriptedServer::new(&script());
        let mut proxy = Proxy::wrap(&server).settings(OVER).start();
        proxy.initialize_as("2025-11-25", capabilities);
        let text = proxy.text_of_call("write_file", json!({}));
        assert_eq!(
            text,
            "Not called: `write_file`: policy rule 2 asks for a person's approval, and this client cannot ask for it: it did not declare the capability `elicitation`.\nhint: an operator has to change the rule, or the client to be one that asks its user"
        );
        assert_eq!(writes(&server), 0);
        proxy.finish();
    }
}

/// The params of a modern call of a client that can be asked.
fn asking(mut params: Value, more: &Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}},
    });
    if let (Value::Object(params), Value::Object(more)) = (&mut params, more) {
        params.extend(more.clone());
    }
    modern(params)
}

#[test]
fn f89_a_modern_answer_is_good_once_for_its_own_call() {
    let server = ScriptedServer::new(&script());
    let mut proxy = Proxy::wrap(&server).settings(OVER).start();
    let call = json!({"name": "write_file", "arguments": {"path": "/a"}});
    let mut ask = |params: &Value, more: Value| {
        let params = asking(params.clone(), &more);
        proxy.ask("tools/call", params)
    };
    let first = ask(&call, json!({}));
    let asked = &first["result"];
    assert_eq!(asked["resultType"], "input_required", "{first}");
    let question = &asked["inputRequests"]["approval"];
    assert_eq!(question["method"], "elicitation/create", "{first}");
    let message = question["params"]["message"].as_str().expect("a message");
    assert!(
        message.contains("Tool: write_file\nArguments: {\"path\":\"/a\"}"),
        "{message}"
    );
    let state = asked["requestState"].as_str().expect("a state").to_owned();
    let yes: Value = serde_json::from_str(AGREED).expect("JSON");
    let with = |state: &str| json!({"requestState": state, "inputResponses": {"approval": yes}});
    // Other arguments, another tool, an edited and a made-up state.
    let (prefix, _) = state.rsplit_once('.').expect("it has parts");
    let other = json!({"name": "write_file", "arguments": {"path": "/etc"}});
    let read = json!({"name": "read_file", "arguments": {"path": "/a"}});
    for (params, state) in [
        (&other, state.clone()),
        (&read, state.clone()),
        (&call, format!("{state}0")),
        (&call, format!("{prefix}.")),
    ] {
        let answer = ask(params, with(&state));
        assert_eq!(
            answer["error"]["code"], -32602,
            "{params} {state}: {answer}"
        );
    }
    assert_eq!(server.received_of("tools/call").len(), 0);
    // A no is final for that question.
    let refused = ask(&call, json!({}));
    let refused_state = refused["result"]["requestState"].as_str().expect("a state");
    let no = json!({"requestState": refused_state, "inputResponses": {"approval": {"action": "decline"}}});
    let answer = ask(&call, no);
    assert!(result(&answer).contains("did not agree"), "{answer}");
    let answer = ask(&call, with(refused_state));
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    assert_eq!(server.received_of("tools/call").len(), 0);
    // The question that is still open is good once.
    let answer = ask(&call, with(&state));
    assert_eq!(answer["result"]["resultType"], "complete", "{answer}");
    assert_eq!(writes(&server), 1);
    let sent = &server.received_of("tools/call")[0]["params"];
    assert!(sent.get("requestState").is_none() && sent.get("inputResponses").is_none());
    let answer = ask(&call, with(&state));
    assert_eq!(answer["error"]["code"], -32602, "replayed: {answer}");
    assert_eq!(writes(&server), 1);
    proxy.finish();
}

#[test]
fn every_clients_user_can_agree() {
    let proof = proof("policy::approval::every_clients_user_can_agree");
    let failed: Vec<String> = in_parallel(2, &CLIENTS, |client| {
        let server = ScriptedServer::new(&script());
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("settings.toml");
        std::fs::write(&file, format!("{OVER}\n")).expect("it is written");
        let plain = json!({"path": "/a"});
        let names = json!({
            "call.own": {"name": "write_file", "arguments": plain, "expect": "/a"},
            "call.inner": {
                "name": "call_write_tool",
                "arguments": {"name": "write_file", "arguments": plain},
                "expect": "/a",
            },
        });
        let mut command: Command = driver(client.driver);
        command
            .args(["--era", client.era, "--steps", "list,call.own,call.inner"])
            .args(["--names", &names.to_string(), "--stdio", "--", PROXY])
            .arg("--state-dir")
            .arg(folder.path().join("state"))
            .args(["--pin", "*=hidden"])
            .arg("--config")
            .arg(&file)
            .arg("--")
            .args(server.command());
        let ended = run(&mut command, Duration::from_secs(60));
        let made = writes(&server);
        (made != 2).then(|| {
            format!(
                "{} {}: {made} of 2 calls: {ended:?}",
                client.driver, client.era
            )
        })
    })
    .into_iter()
    .flatten()
    .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    for client in &CLIENTS {
        proof.ran(client.peer, 2);
    }
    proof.close();
}
