//! A list within a budget, and what it hides, through the built binary with official clients in front of
//! real servers.

mod odd_input;
mod paths;
mod shared;
mod wire;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::peers_kit::account::{proof, say};
use crate::peers_kit::process::{Ended, Listening, run};
use crate::peers_kit::{CLIENTS, PROXY, driver, in_parallel, peer_runner};

/// The longest one client may take.
const LIMIT: Duration = Duration::from_secs(60);
/// So few tokens that most tools of each server have to be hidden.
const BUDGET: &str = "500";

/// A real server, and a tool of it that the budget hides.
struct Hiding {
    server: &'static str,
    tool: &'static str,
    /// What somebody who wants it would search for.
    wish: &'static str,
    arguments: Value,
    /// What the result of the right call shows.
    expect: &'static str,
    command: Vec<OsString>,
}

impl Hiding {
    fn new(
        server: &'static str,
        (tool, wish): (&'static str, &'static str),
        arguments: Value,
        expect: &'static str,
        more: &[&Path],
    ) -> Self {
        let runner = peer_runner();
        let command = [runner.as_os_str(), OsStr::new(server)];
        let more = more.iter().map(|path| path.as_os_str());
        Self {
            server,
            tool,
            wish,
            arguments,
            expect,
            command: command
                .into_iter()
                .chain(more)
                .map(OsString::from)
                .collect(),
        }
    }

    /// Options of the proxy, and the server's command.
    fn proxied(&self) -> Vec<OsString> {
        // A tool that is short may be left in the list.
        let pin = format!("{}=hidden", self.tool);
        let options = ["--budget", BUDGET, "--pin", &pin, "--"].map(OsString::from);
        options.into_iter().chain(self.command.clone()).collect()
    }

    /// What is called, by the name of the column, and what the model then reads.
    fn calls(&self) -> [(&'static str, Value); 7] {
        let Self {
            tool, arguments, ..
        } = self;
        let call = |name: &str, arguments: &Value, expect: &str| json!({ "name": name, "arguments": arguments, "expect": expect });
        let error = |name: &str, arguments: &Value, expect: &str| json!({ "name": name, "arguments": arguments, "expect": expect, "is_error": true });
        let found = format!("[read] {tool}");
        let within = |arguments: &Value| json!({ "name": tool, "arguments": arguments });
        let wrong = json!({ "no_such_parameter": 1 });
        let as_text = json!({ "name": tool, "arguments_json": arguments.to_string() });
        [
            (
                "search",
                call("search_tools", &json!({ "queries": [self.wish] }), &found),
            ),
            (
                "describe",
                call("describe_tools", &json!({ "names": [tool] }), "inputSchema"),
            ),
            (
                "call: object",
                call("call_read_tool", &within(arguments), self.expect),
            ),
            (
                "call: JSON text",
                call("call_read_tool", &as_text, self.expect),
            ),
            ("own name", call(tool, arguments, self.expect)),
            // The fault, and the schema that says how to do better.
            (
                "wrong call",
                error("call_read_tool", &within(&wrong), "properties"),
            ),
            (
                "wrong class",
                error("call_write_tool", &within(arguments), "call_read_tool"),
            ),
        ]
    }
}

/// One conversation: lists, compiles the schemas listed, our own tools' among them, and makes all calls.
fn converse(hiding: &Hiding, client: &str, era: &str, url: Option<&str>) -> Ended {
    let calls = hiding.calls();
    let mut names = Map::new();
    let mut steps = vec!["list".to_owned(), "schemas".to_owned()];
    for (n, (_, call)) in calls.into_iter().enumerate() {
        steps.push(format!("call.{n}"));
        names.insert(format!("call.{n}"), call);
    }
    let mut driver: Command = driver(client);
    driver.args(["--era", era, "--steps", &steps.join(",")]);
    driver.args(["--names", &Value::from(names).to_string()]);
    match url {
        Some(url) => driver.args(["--url", url]),
        None => driver
            .args(["--stdio", "--", PROXY, "--no-state"])
            .args(hiding.proxied()),
    };
    run(&mut driver, LIMIT)
}

/// Every client in every era that it speaks lists, searches, describes and calls what is hidden: through
/// ours with an object, with a JSON text, and wrongly, and by its own name.
#[test]
fn hidden_tools_are_found_and_called_by_every_client() {
    let proof = proof("surface::hidden_tools_are_found_and_called_by_every_client");
    let folder = tempfile::tempdir().expect("a folder to serve");
    let file = folder.path().join("poem.txt");
    fs::write(&file, "violets are blue").expect("the folder is ours");
    let repository = folder.path().join("repository");
    let made = run(
        Command::new("git")
            .args(["init", "--quiet"])
            .arg(&repository),
        LIMIT,
    );
    assert_eq!(made.code, Some(0), "{made:?}");
    let servers = [
        Hiding::new(
            "server-filesystem",
            ("read_text_file", "read a text file"),
            json!({ "path": file }),
            "violets are blue",
            &[folder.path()],
        ),
        Hiding::new(
            "server-everything",
            ("get-sum", "sum of two numbers"),
            json!({ "a": 40, "b": 2 }),
            "42",
            &[],
        ),
        Hiding::new(
            "server-git",
            ("git_status", "status of the repository"),
            json!({ "repo_path": repository }),
            "No commits yet",
            &[],
        ),
    ];
    let served: Vec<Listening> = servers
        .iter()
        .map(|hiding| Listening::proxy(hiding.proxied()))
        .collect();
    let mut conversations = Vec::new();
    for (s, hiding) in servers.iter().enumerate() {
        for (c, client) in CLIENTS.iter().enumerate() {
            // The first server over both transports, the others over one each, in turn.
            if s == 0 || (s + c) % 2 == 0 {
                conversations.push((hiding, client, None));
            }
            if s == 0 || (s + c) % 2 == 1 {
                conversations.push((hiding, client, Some(served[s].url.as_str())));
            }
        }
    }
    let ended = in_parallel(3, &conversations, |(hiding, client, url)| {
        converse(hiding, client.driver, client.era, *url)
    });
    let mut table = String::from("hidden tools through the proxy\tlist\tschemas");
    for (column, _) in servers[0].calls() {
        table.push_str(&format!("\t{column}"));
    }
    let mut digests = Vec::new();
    let mut n_failed = 0;
    for ((hiding, client, url), ended) in conversations.iter().zip(&ended) {
        let lines = ended.stdout.lines();
        let steps: Vec<Value> = lines
            .map(|line| serde_json::from_str(line).expect("a driver prints JSON"))
            .collect();
        let transport = if url.is_some() { "HTTP" } else { "stdio" };
        table.push_str(&format!(
            "\n{} {} {} {transport}",
            client.driver, client.era, hiding.server
        ));
        for step in &steps[1..] {
            table.push_str(if step["ok"] == true { "\tok" } else { "\tFAIL" });
        }
        n_failed += usize::from(ended.code != Some(0));
        for step in steps.iter().filter(|step| step["ok"] != true) {
            say(&format!("{step:#}"));
        }
        // What is wrong is named as well: what was not given.
        let wrong = steps[8]["detail"]["result"].as_str().unwrap_or_default();
        let missing = hiding.arguments.as_object().into_iter().flatten();
        for (name, _) in missing {
            assert!(wrong.contains(&format!("/{name}")), "{name}: {wrong}");
        }
        let tools = &steps[1]["detail"]["tools"];
        let tools: Vec<&str> = tools
            .as_array()
            .map(|all| all.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        assert!(tools.contains(&"search_tools"), "{tools:?}: {ended:#?}");
        assert!(!tools.contains(&hiding.tool), "{tools:?}");
        if client.driver == "rmcp" {
            digests.push((hiding.server, steps[1]["detail"]["digest"].clone()));
        }
        proof.ran(client.peer, 1);
        let server = match hiding.server {
            "server-git" => "mcp-server-git",
            name => name,
        };
        proof.ran(server, 1);
    }
    table.push('\n');
    say(&table);
    assert_eq!(n_failed, 0, "conversations that failed");
    digests.dedup();
    assert_eq!(
        digests.len(),
        servers.len(),
        "the list is the same at each start, over each transport and in each era"
    );
    proof.close();
}
