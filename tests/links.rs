//! Links to kept results beside what is shown of them: to whom they are sent, what the handshake then says, and
//! that official clients take them and read what they name.

use std::time::Duration;

use serde_json::{Value, json};

use mcp_whittle::result::handle::Handle;
use mcp_whittle::store::Store;
use mcp_whittle::store::results::{Meta, ResultOptions, ResultStore};

use crate::kit::messages::LEGACY;
use crate::kit::{Proxy, ScriptedServer};
use crate::peers_kit::account::proof;
use crate::peers_kit::process::run;
use crate::peers_kit::{CLIENTS, PROXY, driver};

const LIMIT: Duration = Duration::from_secs(120);
const CAP: &str = "--result-cap 600";

/// A text that is shown in part.
fn records() -> String {
    let record = |n: u64| {
        format!(
            r#"{{"id":{},"price":1.10,"name":"item {n}"}}"#,
            n + (1 << 53)
        )
    };
    let all: Vec<String> = (0..600).map(record).collect();
    format!("[{}]", all.join(","))
}

/// A server with a long and a short answer, and without resources.
fn server() -> ScriptedServer {
    let long = json!({"content": [{"type": "text", "text": records()}]});
    ScriptedServer::new(&format!(
        "capabilities {{\"tools\":{{}}}}\ntool many\ntool few\non tools/call many\n result {long}\non tools/call few\n result {{\"content\":[{{\"type\":\"text\",\"text\":\"one\"}}]}}"
    ))
}

fn result(answer: Value) -> Value {
    answer.get("result").cloned().unwrap_or(answer)
}

/// Says what was told of resources, and the last block of the long answer.
fn told(options: &str, settings: &str, version: &str) -> (Value, Value) {
    let server = server();
    let mut proxy = Proxy::wrap(&server)
        .options(options)
        .settings(settings)
        .start();
    let hello = result(proxy.initialize_as(version, json!({})));
    proxy.ask("tools/list", json!({}));
    let few = result(proxy.ask_call("few", json!({})));
    assert_eq!(few["content"].as_array().map(Vec::len), Some(1), "{few}");
    let many = result(proxy.ask_call("many", json!({})));
    let last = many["content"].as_array().and_then(|all| all.last());
    let last = last.expect("a block").clone();
    proxy.finish();
    (hello["capabilities"]["resources"].clone(), last)
}

#[test]
fn links_go_to_whom_they_help_and_the_handshake_says_so() {
    const ALWAYS: &str = "results.links = \"always\"";
    let (resources, link) = told(CAP, ALWAYS, LEGACY);
    assert_eq!(resources, json!({}));
    assert_eq!(link["type"], "resource_link");
    assert_eq!(link["mimeType"], "application/json");
    assert_eq!(link["size"], records().len());
    assert_eq!(link["name"], "whole result of many");
    let (resources, link) = told(&format!("{CAP} --profile vscode"), "", LEGACY);
    assert_eq!(resources, json!({}));
    assert_eq!(link["annotations"], json!({"audience": ["user"]}));
    for (options, settings, version) in [
        // Nothing is known of the client, or it knows no links, or nothing is kept or shown in part.
        (CAP, "", LEGACY),
        (CAP, ALWAYS, "2025-03-26"),
        (CAP, "results.links = \"never\"", LEGACY),
        ("--result-cap none", ALWAYS, LEGACY),
        ("--result-cap 600 --shadow", ALWAYS, LEGACY),
        ("--transparent", "", LEGACY),
    ] {
        let (resources, last) = told(options, settings, version);
        let what = format!("{options} {settings} {version}");
        assert_eq!(last["type"], "text", "{what}");
        assert_eq!(resources, Value::Null, "{what}");
    }
}

/// What was promised is kept where the server has no resources; where it has some, it is asked for all others.
#[test]
fn resources_that_are_announced_are_answered() {
    let server = server();
    let state = tempfile::tempdir().expect("a state folder");
    let mut proxy = Proxy::wrap(&server)
        .state(state.path())
        .options(CAP)
        .settings("results.links = \"always\"")
        .start();
    proxy.initialize();
    proxy.ask("tools/list", json!({}));
    let listed = result(proxy.ask("resources/list", json!({})));
    assert_eq!(listed, json!({"resources": []}));
    let listed = result(proxy.ask("resources/templates/list", json!({})));
    assert_eq!(listed, json!({"resourceTemplates": []}));
    let many = result(proxy.ask_call("many", json!({})));
    let blocks = many["content"].as_array().expect("blocks");
    let uri = blocks.last().expect("a link")["uri"].clone();
    let read = result(proxy.ask("resources/read", json!({"uri": uri})));
    assert_eq!(
        read["contents"],
        json!([{"uri": uri, "mimeType": "application/json", "text": records()}])
    );
    // What somebody else got, what nobody has, and what no server can be asked for look the same.
    let store = Store::open(state.path()).expect("a state folder");
    let store = ResultStore::open(Some(&store), ResultOptions::default());
    let foreign = store
        .expect("a folder for results")
        .put("loopback", many.to_string().as_bytes(), &Meta::default())
        .expect("it is kept");
    let mut errors = Vec::new();
    for uri in [
        format!("whittle://results/{foreign}"),
        format!("whittle://results/{}", Handle::of(&[0; 32], "user", b"")),
        "file:///etc/hosts".to_owned(),
    ] {
        let error = proxy.ask("resources/read", json!({"uri": uri}));
        let error = error.get("error").unwrap_or(&error).to_string();
        errors.push(error.replace(&uri, "URI"));
    }
    assert!(errors[0].contains("-32002"), "{errors:?}");
    assert!(errors.iter().all(|error| *error == errors[0]), "{errors:?}");
    proxy.finish();
    assert!(server.received_of("resources/list").is_empty());
    assert!(server.received_of("resources/read").is_empty());
}

#[test]
fn official_clients_read_what_a_link_names() {
    let proof = proof("links::official_clients_read_what_a_link_names");
    let server = server();
    let folder = tempfile::tempdir().expect("a folder for calls and settings");
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("links.toml"), "results.links = \"always\"\n").expect("settings");
    std::fs::write(at("calls"), json!([["many", {}]]).to_string()).expect("calls");
    for client in CLIENTS.iter().filter(|client| client.driver != "rmcp") {
        let what = format!("{} {}", client.driver, client.era);
        let mut driver = driver(client.driver);
        let names = json!({"results": {"file": at("calls"), "to": at("results")}}).to_string();
        driver.args([
            "--era",
            client.era,
            "--steps",
            "list,results",
            "--names",
            &names,
        ]);
        driver.args(["--stdio", "--", PROXY, "--config"]);
        driver
            .arg(at("links.toml"))
            .arg("--state-dir")
            .arg(at("state"));
        driver.args(CAP.split(' ')).arg("--").args(server.command());
        let ended = run(&mut driver, LIMIT);
        assert_eq!(ended.code, Some(0), "{what}: {ended:#?}");
        let hello: Value = serde_json::from_str(ended.stdout.lines().next().unwrap_or_default())
            .expect("what the handshake said");
        let told = &hello["detail"]["capabilities"]["resources"];
        assert!(told.is_object(), "{what}: {hello}");
        let text = std::fs::read_to_string(at("results")).expect("the client wrote what it got");
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        let [_, got, read] = lines.as_slice() else {
            panic!("{what}: {lines:#?}");
        };
        let blocks = got["content"].as_array().expect("blocks");
        let link = blocks.last().expect("a link");
        assert_eq!(link["type"], "resource_link", "{what}: {got}");
        assert_eq!(link["uri"], read["contents"][0]["uri"], "{what}");
        assert_eq!(read["contents"][0]["text"], records(), "{what}");
        proof.ran(client.peer, 1);
    }
    proof.close();
}
