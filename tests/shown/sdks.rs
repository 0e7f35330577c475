//! Whether the official SDKs take what is shown: their own model of a tool, and the validator that their
//! client compiles schemas with. Once with every text of every list, given to the SDKs in their own
//! runtimes, and once as their clients list every rung through the built binary.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::kit::ScriptedServer;
use crate::kit::start::server_entry;
use crate::lean::instances::{Random, valid};
use crate::lean::{lists, lists_below};
use crate::peers_kit::account::{proof, say};
use crate::peers_kit::process::{Listening, run, run_reading};
use crate::peers_kit::{CLIENTS, PROXY, driver, in_parallel, peer, root};
use crate::shown::cases::{Place, RUNGS, Tool, places, tools};

/// The longest that one SDK may take: a whole corpus has some ten thousand texts.
const LIMIT: Duration = Duration::from_secs(600);
/// The longest one conversation may take.
const CONVERSATION: Duration = Duration::from_secs(60);
/// Calls that each schema is asked about.
const INSTANCES: u64 = 4;
/// The SDKs: what runs it, and its name in the account.
const SDKS: [(&str, &str); 4] = [
    ("accept-ts1", "ts-sdk-v1"),
    ("accept-ts2", "ts-client-v2"),
    ("accept-py1", "py-sdk-v1"),
    ("accept-py2", "py-sdk-v2"),
];
/// What an SDK says of one text: of each call whether its schema takes it, or why it does not take the tool.
type Judgement = Result<Vec<bool>, String>;

fn calls_of(tool: &Tool) -> Vec<Value> {
    let original: Value = serde_json::from_str(tool.original()).expect("a tool");
    let schema = &original["inputSchema"];
    (0..INSTANCES)
        .map(|n| {
            valid(
                schema,
                schema,
                &mut Random::new(tool.number as u64 * 31 + n),
                0,
            )
        })
        .collect()
}

/// Asks an SDK in its own runtime about texts.
fn asked(sdk: &str, questions: &Path) -> Vec<Judgement> {
    let questions = File::open(questions).expect("the questions can be read");
    let ended = run_reading(&mut peer(sdk), questions.into(), LIMIT);
    assert_eq!(ended.code, Some(0), "{sdk}: {}", ended.stderr);
    let judged = |line: &str| {
        let line: Value = serde_json::from_str(line).expect("an answer is JSON");
        match line["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(serde_json::from_value(line["accepts"].clone()).expect("a list")),
        }
    };
    ended.stdout.lines().map(judged).collect()
}

/// The model of rmcp; its client compiles no schemas.
fn asked_rmcp(texts: &[&str]) -> Vec<Judgement> {
    let judged = |text: &&str| {
        let tool: Result<rmcp::model::Tool, _> = serde_json::from_str(text);
        tool.map(|_| Vec::new()).map_err(|error| error.to_string())
    };
    texts.iter().map(judged).collect()
}

/// What one SDK took at each place, and what it did not take though the original was taken.
#[derive(Debug, Default)]
struct Taken {
    taken: BTreeMap<Place, usize>,
    /// Texts that are not taken, as the original is not.
    like_the_original: BTreeMap<Place, usize>,
    /// Why originals are not taken.
    reasons: Vec<String>,
    faults: Vec<String>,
}

/// The property: what is taken as the original is taken as it is shown, and so are its calls.
fn compare(tools: &[Tool], judgements: &[Judgement]) -> Taken {
    let mut taken = Taken::default();
    let mut judgements = judgements.iter();
    for tool in tools {
        let mut original = None;
        for text in &tool.texts {
            let judged = judgements.next().expect("an answer to each text");
            let original = *original.get_or_insert(judged);
            let fault = |what: &str| {
                format!(
                    "{} {:?}: {what}: {:.2000}",
                    tool.server, text.places, text.raw
                )
            };
            let counts = match (judged, original) {
                (Ok(now), Ok(before)) => {
                    if before.iter().zip(now).any(|(before, now)| *before && !now) {
                        taken
                            .faults
                            .push(fault("stops a call that the original takes"));
                    }
                    &mut taken.taken
                }
                (Ok(_), Err(_)) => &mut taken.taken,
                (Err(error), Err(_)) => {
                    if std::ptr::eq(judged, original) {
                        taken.reasons.push(format!("{}: {error}", tool.server));
                    }
                    &mut taken.like_the_original
                }
                (Err(error), Ok(_)) => {
                    taken.faults.push(fault(error));
                    continue;
                }
            };
            for place in &text.places {
                *counts.entry(*place).or_default() += 1;
            }
        }
    }
    taken
}

fn table(n_tools: usize, all: &[(&str, Taken)]) -> String {
    let mut text = format!("shown definitions that SDKs take, of {n_tools} at each rung");
    for (name, _) in all {
        text.push_str(&format!("\t{name}"));
    }
    for place in places() {
        let form = if place.is_open { "open" } else { "real" };
        text.push_str(&format!("\n{} {form}", place.rung));
        for (_, taken) in all {
            let ok = taken.taken.get(&place).copied().unwrap_or(0);
            text.push_str(&format!("\t{ok}"));
            if let Some(n) = taken.like_the_original.get(&place) {
                text.push_str(&format!(" (+{n} as the original)"));
            }
        }
    }
    for (name, taken) in all {
        for reason in &taken.reasons {
            text.push_str(&format!("\n{name} takes no original of {reason}"));
        }
    }
    text.push('\n');
    text
}

#[test]
fn every_sdk_takes_every_rung() {
    let proof = proof("shown::sdks::every_sdk_takes_every_rung");
    let tools = tools(lists());
    let mut questions = tempfile::NamedTempFile::new().expect("a file for the questions");
    let mut texts = Vec::new();
    let mut to = BufWriter::new(&mut questions);
    for tool in &tools {
        let calls = Value::from(calls_of(tool));
        for text in &tool.texts {
            // The tool goes in as the bytes that are shown, on one line.
            let one_line = text.raw.replace(['\n', '\r'], " ");
            writeln!(to, r#"{{"tool":{one_line},"instances":{calls}}}"#).expect("written");
            texts.push(text.raw.as_str());
        }
    }
    to.flush().expect("written");
    drop(to);
    let judged = in_parallel(2, &SDKS, |(sdk, _)| asked(sdk, questions.path()));
    let mut all: Vec<(&str, Taken)> = Vec::new();
    for ((_, name), judgements) in SDKS.iter().zip(&judged) {
        assert_eq!(judgements.len(), texts.len(), "{name}: answers, questions");
        all.push((name, compare(&tools, judgements)));
    }
    all.push(("rmcp", compare(&tools, &asked_rmcp(&texts))));
    say(&table(tools.len(), &all));
    for (name, taken) in &all {
        assert!(taken.faults.is_empty(), "{name}: {:#?}", taken.faults);
        proof.ran(name, texts.len());
    }
    // Broken variants that the comparison catches: a text that no SDK takes, and one that stops calls.
    let mut broken = judged[0].clone();
    let good = broken.iter_mut().skip(1).find(|judged| judged.is_ok());
    *good.expect("one was taken") = Err("broken".to_owned());
    assert!(!compare(&tools, &broken).faults.is_empty());
    let mut broken = judged[0].clone();
    for judged in broken.iter_mut().skip(1).flatten() {
        judged.fill(false);
    }
    assert!(!compare(&tools, &broken).faults.is_empty());
    proof.close();
}

/// One server for each rung, all of them with the same captured tools.
#[test]
fn every_client_lists_every_rung_through_the_proxy() {
    let proof = proof("shown::sdks::every_client_lists_every_rung_through_the_proxy");
    // Schemas with definitions, and plain ones; all others are asked about without a proxy.
    let captured = lists_below(&root().join("testdata/servers"));
    let script: String = captured
        .iter()
        .filter(|list| ["notion", "filesystem"].contains(&list.server.as_str()))
        .flat_map(|list| &list.tools)
        .map(|raw| format!("tool-raw {raw}\n"))
        .collect();
    let n_tools = script.lines().count();
    let server = ScriptedServer::new(&script);
    let folder = tempfile::tempdir().expect("a folder for the settings");
    let config = folder.path().join("settings.toml");
    let pins: Vec<String> = RUNGS
        .iter()
        .map(|rung| format!("{rung}__*={rung}"))
        .collect();
    // Without a budget nothing has to be hidden, whatever the pins cost.
    let mut settings = format!("budget = \"none\"\npin = {}\n", json!(pins));
    for rung in RUNGS {
        settings.push_str(&server_entry(rung.as_str(), &server.command()));
    }
    std::fs::write(&config, settings).expect("the settings are written");
    let mut conversations = Vec::new();
    for form in ["allow", "never"] {
        for (n, client) in CLIENTS.iter().enumerate() {
            // One over pipes; each further proxy would count every rung again.
            conversations.push((form, client, n == 0));
        }
    }
    let options = |form| {
        ["--open-schemas", form, "--result-cap", "none", "--config"]
            .map(OsStr::new)
            .into_iter()
            .chain([config.as_os_str()])
    };
    let served: BTreeMap<&str, Listening> = ["allow", "never"]
        .map(|form| (form, Listening::proxy(options(form))))
        .into();
    let lists = in_parallel(2, &conversations, |(form, client, is_piped)| {
        let mut driver = driver(client.driver);
        driver.args(["--era", client.era, "--steps", "schemas"]);
        if *is_piped {
            driver.args(["--stdio", "--", PROXY, "--no-state"]);
            driver.args(options(form));
        } else {
            driver.args(["--url", &served[form].url]);
        }
        let ended = run(&mut driver, CONVERSATION);
        let line = ended.stdout.lines().nth(1).unwrap_or_default();
        let line: Value = serde_json::from_str(line).unwrap_or_default();
        let (name, era) = (client.driver, client.era);
        assert_eq!(ended.code, Some(0), "{name} {era} {form}: {ended:#?}");
        assert_eq!(line["detail"]["refused"], json!([]), "{name} {era} {form}");
        line["detail"]["tools"].as_u64()
    });
    for ((form, client, _), n_listed) in conversations.iter().zip(lists) {
        let expected = (n_tools * RUNGS.len()) as u64;
        assert_eq!(n_listed, Some(expected), "{} {form}", client.driver);
        proof.ran(client.peer, 1);
    }
    proof.close();
}
