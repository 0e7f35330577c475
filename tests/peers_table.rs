//! The 4 × 10 table: real clients use ten features of real servers through the proxy, for each pairing
//! of eras, over stdio and over HTTP. Every server speaks one era only, so a pairing of different eras
//! works only if the proxy bridges it.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::peers_kit::account::{proof, say};
use crate::peers_kit::process::{Ended, Listening, run};
use crate::peers_kit::{PROXY, example, in_parallel, peer, peer_runner};

const STEPS: [&str; 10] = [
    "list",
    "call",
    "elicitation",
    "sampling",
    "roots",
    "progress",
    "cancel",
    "subscription",
    "log",
    "completion",
];

const LEGACY: &str = "legacy";
const MODERN: &str = "modern";

/// What the fixture server calls the things that the steps use.
const FIXTURE_NAMES: &str = r#"{
    "roots": "roots",
    "progress": "test_tool_with_progress",
    "log": {"name": "test_tool_with_logging", "arguments": {}, "expect": "Tool execution started"},
    "touch": "notify_resource",
    "subscription": "test://watched-resource",
    "completion": {"prompt": "test_prompt_with_arguments", "argument": "arg1", "value": "p"}
}"#;

/// The longest a client may take for all steps.
const LIMIT: Duration = Duration::from_secs(120);

/// Rows that run at the same time; each is three processes that mostly wait for each other.
const WIDTH: usize = 4;

/// A client driver, the peer it is, and the era it is told to speak.
const CLIENTS: [(&str, &str, &str); 8] = [
    ("client-ts1", "ts-sdk-v1", LEGACY),
    ("client-py1", "py-sdk-v1", LEGACY),
    ("client-ts2", "ts-client-v2", LEGACY),
    ("client-py2", "py-sdk-v2", LEGACY),
    ("rmcp", "rmcp", LEGACY),
    ("client-ts2", "ts-client-v2", MODERN),
    ("client-py2", "py-sdk-v2", MODERN),
    ("rmcp", "rmcp", MODERN),
];

/// A server, the peer it is, and the one era it speaks.
const SERVERS: [(&str, &str, &str); 6] = [
    ("server-ts1", "ts-sdk-v1", LEGACY),
    ("server-py1", "py-sdk-v1", LEGACY),
    ("fixture", "rmcp", LEGACY),
    ("server-ts2", "ts-server-v2", MODERN),
    ("server-py2", "py-sdk-v2", MODERN),
    ("fixture", "rmcp", MODERN),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Stdio,
    Http,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    client: (&'static str, &'static str, &'static str),
    server: (&'static str, &'static str, &'static str),
    transport: Transport,
}

/// Each client with each server. The transports alternate, so that every client, every server and every
/// pairing has both; `MCP_WHITTLE_TESTS=all` takes both each time.
fn rows() -> Vec<Row> {
    let all = std::env::var("MCP_WHITTLE_TESTS").is_ok_and(|which| which == "all");
    let mut rows = Vec::new();
    for (c, client) in CLIENTS.into_iter().enumerate() {
        for (s, server) in SERVERS.into_iter().enumerate() {
            let own = if (c + s) % 2 == 0 {
                Transport::Stdio
            } else {
                Transport::Http
            };
            for transport in [Transport::Stdio, Transport::Http] {
                if all || transport == own {
                    rows.push(Row {
                        client,
                        server,
                        transport,
                    });
                }
            }
        }
    }
    rows
}

impl Row {
    fn pairing(&self) -> String {
        format!("{} client, {} server", self.client.2, self.server.2)
    }

    fn run(&self) -> Ended {
        let (driver, _, era) = self.client;
        let (server, _, server_era) = self.server;
        let mut command = if driver == "rmcp" {
            Command::new(example("rmcp_client"))
        } else {
            peer(driver)
        };
        command.args(["--era", era, "--steps", &STEPS.join(",")]);
        if server == "fixture" {
            command.args(["--names", FIXTURE_NAMES]);
        }
        match self.transport {
            Transport::Stdio => {
                command.args(["--stdio", "--", PROXY, "--no-state", "--"]);
                if server == "fixture" {
                    command.arg(example("fixture_server"));
                    command.args(["--stdio", "--era", server_era]);
                } else {
                    command.arg(peer_runner()).args([server, "--stdio"]);
                }
                run(&mut command, LIMIT)
            }
            Transport::Http => {
                let upstream = if server == "fixture" {
                    Listening::fixture(server_era)
                } else {
                    Listening::peer(server)
                };
                let proxy = Listening::proxy_of(&upstream, "lean");
                run(command.args(["--url", &proxy.url]), LIMIT)
            }
        }
    }
}

/// Whether each step of a driver's output went well, and what it said where not.
fn steps_of(ended: &Ended) -> BTreeMap<String, Result<(), String>> {
    let lines = ended.stdout.lines();
    lines
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|line| {
            let step = line["step"].as_str()?.to_owned();
            let outcome = if line["ok"] == true {
                Ok(())
            } else {
                Err(line["error"].to_string())
            };
            Some((step, outcome))
        })
        .collect()
}

#[test]
fn every_client_uses_every_feature_of_every_server() {
    let proof = proof("peers_table::every_client_uses_every_feature_of_every_server");
    let began = Instant::now();
    let rows = rows();
    let outcomes = in_parallel(WIDTH, &rows, Row::run);

    let mut cells: BTreeMap<(String, &str), (usize, usize)> = BTreeMap::new();
    let mut failures = String::new();
    for (row, ended) in rows.iter().zip(&outcomes) {
        let seen = steps_of(ended);
        let mut good = 0;
        for step in STEPS {
            let (passed, all) = cells.entry((row.pairing(), step)).or_default();
            *all += 1;
            match seen.get(step) {
                Some(Ok(())) => {
                    *passed += 1;
                    good += 1;
                }
                Some(Err(error)) => failures.push_str(&format!("{row:?} {step}: {error}\n")),
                None => failures.push_str(&format!("{row:?} {step}: not reported\n")),
            }
        }
        if good < STEPS.len() || ended.code != Some(0) {
            failures.push_str(&format!(
                "{row:?}: exit {:?}\n{}\n",
                ended.code, ended.stderr
            ));
        }
        proof.ran(row.client.1, good);
        proof.ran(row.server.1, good);
    }
    say(&table(&rows, &cells, began.elapsed()));
    assert!(failures.is_empty(), "{failures}");
    let expected: usize = rows.len() * STEPS.len();
    assert_eq!(
        cells.values().map(|(passed, _)| passed).sum::<usize>(),
        expected
    );
    assert_eq!(cells.len(), 4 * STEPS.len(), "four pairings, ten features");
    proof.close();
}

/// What the table claims to cover: each client and each server meets both eras and both transports.
#[test]
fn the_rows_cover_every_peer_pairing_and_transport() {
    let rows = rows();
    for transport in [Transport::Stdio, Transport::Http] {
        let with = || rows.iter().filter(|row| row.transport == transport);
        for client in CLIENTS {
            for era in [LEGACY, MODERN] {
                assert!(with().any(|row| row.client == client && row.server.2 == era));
            }
        }
        for server in SERVERS {
            for era in [LEGACY, MODERN] {
                assert!(with().any(|row| row.server == server && row.client.2 == era));
            }
        }
    }
}

/// A proof is worth what it can refuse: without the proxy, the pairing of different eras fails.
#[test]
fn without_the_proxy_other_eras_are_refused() {
    for (era, server_era) in [(LEGACY, MODERN), (MODERN, LEGACY)] {
        let mut command = Command::new(example("rmcp_client"));
        command.args(["--era", era, "--steps", "list", "--stdio", "--"]);
        command.arg(example("fixture_server"));
        let ended = run(command.args(["--stdio", "--era", server_era]), LIMIT);
        let seen = steps_of(&ended);
        assert!(seen["connect"].is_err(), "{era} to {server_era}: {ended:?}");
        assert!(seen["list"].is_err());
        assert_eq!(ended.code, Some(1));
    }
}

fn table(rows: &[Row], cells: &BTreeMap<(String, &str), (usize, usize)>, took: Duration) -> String {
    let mut text = format!("{:30}", "through the proxy");
    for step in STEPS {
        text.push_str(&format!(" {step:>12}"));
    }
    let mut pairings: Vec<String> = cells.keys().map(|(pairing, _)| pairing.clone()).collect();
    pairings.dedup();
    for pairing in &pairings {
        text.push_str(&format!("\n{pairing:30}"));
        for step in STEPS {
            let (passed, all) = cells[&(pairing.clone(), step)];
            text.push_str(&format!(" {:>12}", format!("{passed}/{all} ok")));
        }
    }
    let names = |pick: fn(&Row) -> (&'static str, &'static str, &'static str)| {
        let mut names: Vec<String> = rows
            .iter()
            .map(pick)
            .map(|(name, _, era)| format!("{name} {era}"))
            .collect();
        names.sort();
        names.dedup();
        names.join(", ")
    };
    let stdio = rows.iter().filter(|row| row.transport == Transport::Stdio);
    let stdio = stdio.count();
    text.push_str(&format!(
        "\nclients: {}\nservers: {}\n{stdio} conversations over stdio, {} over HTTP, {:.0} s\n",
        names(|row| row.client),
        names(|row| row.server),
        rows.len() - stdio,
        took.as_secs_f64(),
    ));
    text
}
