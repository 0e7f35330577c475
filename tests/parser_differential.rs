//! Lines on which two parsers could differ, each judged by its `verdict`, through the built binary.
//!
//! Three places are stricter or looser than the column and say why, because the design decided so.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::kit::messages::MODERN;
use crate::kit::oracle::CountingOracle;
use crate::kit::{Proxy, ScriptedServer, until};

struct Row {
    id: String,
    raw: Vec<u8>,
    verdict: String,
}

fn rows() -> Vec<Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/parser_differential.jsonl");
    let text = std::fs::read_to_string(path).expect("the rows");
    text.lines()
        .map(|line| {
            let row: Value = serde_json::from_str(line).expect("a row");
            let field = |name: &str| row[name].as_str().expect("a text").to_owned();
            Row {
                id: field("id"),
                raw: STANDARD.decode(field("raw_b64")).expect("base64"),
                verdict: field("verdict"),
            }
        })
        .collect()
}

fn row(id: &str) -> Row {
    rows()
        .into_iter()
        .find(|row| row.id == id)
        .expect("the row")
}

/// Rows that come from the server's side.
const FROM_SERVER: [&str; 5] = ["PD017", "PD034", "PD035", "PD036", "PD037"];

/// A server with the tools that rows call, which echoes the request it got.
const ECHO: &str = "tool read\ntool rm\ntool pay\ntool a";

/// What one line did.
#[derive(Debug)]
struct Outcome {
    /// Lines that the proxy answered with, before the answer to the marker.
    answers: Vec<String>,
    /// Lines that reached the server.
    forwarded: Vec<String>,
}

/// Sends a line and then a marker request, and looks what happened in between.
fn judge(raw: &[u8], version: &str) -> Outcome {
    let server = ScriptedServer::new(ECHO);
    let mut proxy = Proxy::wrap(&server).start();
    proxy.initialize_as(version, json!({}));
    server.wait_received("notifications/initialized", 1);
    let (lines, received) = (proxy.raw_lines().len(), server.received().len());
    proxy.send_bytes(raw);
    proxy.send_bytes(b"\n");
    // Answered by the server, behind everything that was forwarded before it.
    let marker = r#"{"jsonrpc":"2.0","id":"marker","method":"tools/call","params":{"name":"read","arguments":{"marker":true}}}"#;
    proxy.send_line(marker);
    proxy.answer("marker");
    let forwarded: Vec<String> = server.received()[received..]
        .iter()
        .map(|(_, line)| line.clone())
        .filter(|line| !line.contains("marker"))
        // The proxy's own reading of lists is not the line.
        .filter(|line| !line.contains("20000000"))
        .collect();
    let expects_answer = raw.iter().any(|byte| !byte.is_ascii_whitespace());
    let answers = until("what came back", || {
        let answers: Vec<String> = proxy.raw_lines()[lines..]
            .iter()
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .filter(|line| !line.contains("\"marker\"") && !line.contains("\"method\""))
            .collect();
        (!expects_answer || !answers.is_empty()).then_some(answers)
    });
    // Rows are not requests the oracle could know; each is judged below instead.
    proxy.oracle(|oracle| *oracle = CountingOracle::default());
    drop(proxy);
    Outcome { answers, forwarded }
}

fn is_error(answers: &[String]) -> bool {
    matches!(answers, [one] if serde_json::from_str::<Value>(one)
        .is_ok_and(|answer| answer["error"]["code"].is_i64()))
}

fn is_result(answers: &[String]) -> bool {
    matches!(answers, [one] if serde_json::from_str::<Value>(one)
        .is_ok_and(|answer| answer.get("result").is_some()))
}

/// The raw id of a line, found by text.
fn raw_id(line: &str) -> &str {
    let start = line.find("\"id\":").expect("an id") + 5;
    let rest = &line[start..];
    &rest[..rest.find(",\"").expect("more members")]
}

fn complaint(row: &Row) -> Option<String> {
    let outcome = judge(&row.raw, "2025-11-25");
    let text = String::from_utf8_lossy(&row.raw).into_owned();
    let is_right = match row.verdict.as_str() {
        "reject" | "reject_unless_2025-03-26" => {
            is_error(&outcome.answers) && outcome.forwarded.is_empty()
        }
        "reject_-32700" => {
            // The lone surrogate stands in an argument. A clear error, whichever of the two codes.
            is_error(&outcome.answers)
                && ["-32700", "-32600"]
                    .iter()
                    .any(|code| outcome.answers[0].contains(code))
                && outcome.forwarded.is_empty()
        }
        "accept" => is_result(&outcome.answers),
        "accept_strip" => {
            is_result(&outcome.answers)
                && !outcome
                    .forwarded
                    .iter()
                    .any(|line| line.contains('\u{feff}'))
        }
        "accept_preserve" => {
            is_result(&outcome.answers) && raw_id(&outcome.answers[0]) == raw_id(&text)
        }
        // The verdict drops the unknown member; "forward what you do not understand" keeps it. What counts:
        // the call runs, and the member folds to no protocol member that anybody routes on.
        "accept_drop_unknown" => is_result(&outcome.answers),
        "accept_preserve_bytes" => is_result(&outcome.answers) && forwards(&outcome, &text),
        "reject_or_preserve" => {
            is_error(&outcome.answers) && outcome.forwarded.is_empty() || forwards(&outcome, &text)
        }
        "ignore" => outcome.answers.is_empty() && outcome.forwarded.is_empty(),
        other => return Some(format!("{}: no rule for the verdict `{other}`", row.id)),
    };
    let shorten = |text: &String| text.chars().take(200).collect::<String>();
    (!is_right).then(|| {
        format!(
            "{} ({}): answers {:?}, forwarded {:?}",
            row.id,
            row.verdict,
            outcome.answers.iter().map(shorten).collect::<Vec<_>>(),
            outcome.forwarded.iter().map(shorten).collect::<Vec<_>>(),
        )
    })
}

/// Whether the arguments reached the server byte for byte.
fn forwards(outcome: &Outcome, text: &str) -> bool {
    let arguments = &text[text.find("\"arguments\":").expect("arguments")..];
    outcome
        .forwarded
        .iter()
        .any(|line| line.contains(arguments.trim_end_matches('}')))
}

#[test]
fn every_row_from_the_client() {
    let rows = rows();
    assert_eq!(rows.len(), 37);
    let complaints: Vec<String> = rows
        .iter()
        .filter(|row| !FROM_SERVER.contains(&row.id.as_str()))
        .filter_map(complaint)
        .collect();
    assert_eq!(complaints, [""; 0]);
}

/// The judge is no rubber stamp: a row under the opposite verdict is a complaint.
#[test]
fn wrong_verdicts_are_noticed() {
    let with = |id: &str, verdict: &str| Row {
        verdict: verdict.to_owned(),
        ..row(id)
    };
    assert!(complaint(&with("PD001", "reject")).is_some());
    assert!(complaint(&with("PD003", "accept")).is_some());
    assert!(complaint(&with("PD033", "accept")).is_some());
    assert!(complaint(&with("PD001", "ignore")).is_some());
}

#[test]
fn batches_live_in_2025_03_26_only() {
    let outcome = judge(&row("PD018").raw, "2025-03-26");
    let [answer] = &outcome.answers[..] else {
        panic!("{outcome:?}");
    };
    let answer: Value = serde_json::from_str(answer).expect("JSON");
    assert_eq!(answer, json!([{"jsonrpc": "2.0", "id": 1, "result": {}}]));
}

/// PD017 as an answer: `result` and `error` together are a broken answer.
#[test]
fn pd017_from_the_server() {
    let raw = String::from_utf8(row("PD017").raw)
        .expect("text")
        .replace("\"id\":1", "\"id\":$id");
    let server = ScriptedServer::new(&format!("tool odd\non tools/call odd\n line {raw}"));
    let mut proxy = Proxy::wrap(&server).start();
    proxy.initialize();
    let answer = proxy.ask_call("odd", json!({}));
    assert_eq!(answer["error"]["code"], -31006, "{answer}");
    proxy.finish();
}

/// PD034, PD035: lines that are no messages go to the log and nowhere else.
#[test]
fn pd034_pd035_log_lines_on_stdout() {
    for (id, shown) in [
        ("PD034", "INFO server started"),
        ("PD035", "\"msg\":\"started\""),
    ] {
        let raw = String::from_utf8(row(id).raw).expect("text");
        let server = ScriptedServer::new(&format!(
            "tool odd\non start\n line {raw}\non tools/call odd\n line {raw}\n reply done"
        ));
        let mut proxy = Proxy::wrap(&server).start();
        proxy.initialize();
        assert_eq!(proxy.text_of_call("odd", json!({})), "done");
        let log = crate::kit::until("the line on stderr", || {
            let log = proxy.stderr().replace('\\', "");
            log.contains(shown).then_some(log)
        });
        assert!(!log.is_empty());
        proxy.finish();
    }
}

/// PD036: a modern server may not ask; it is told so, and the client never sees it.
#[test]
fn pd036_request_of_a_modern_server() {
    let raw = String::from_utf8(row("PD036").raw).expect("text");
    let server = ScriptedServer::new(&format!(
        "modern\ntool odd\non tools/call odd\n line {raw}\n wait answered\n reply done"
    ));
    let mut proxy = Proxy::wrap(&server).options("--era modern").start();
    let params = crate::kit::messages::modern(json!({"name": "odd", "arguments": {}}));
    let call = proxy.request("tools/call", params);
    let refusal = until("an answer to the server", || {
        server.received().iter().find_map(|(_, line)| {
            let message: Value = serde_json::from_str(line).ok()?;
            (message["id"] == 7 && message.get("method").is_none()).then_some(message)
        })
    });
    assert_eq!(refusal["error"]["code"], -32601, "{refusal}");
    server.open("answered");
    assert_eq!(proxy.answer(call)["result"]["content"][0]["text"], "done");
    assert!(
        proxy
            .messages()
            .iter()
            .all(|message| message["method"] != "sampling/createMessage")
    );
    assert_eq!(MODERN, "2026-07-28");
    proxy.finish();
}

/// PD037: an answer to nothing is dropped.
#[test]
fn pd037_answer_to_nothing() {
    let raw = String::from_utf8(row("PD037").raw).expect("text");
    let server = ScriptedServer::new(&format!(
        "tool odd\non tools/call odd\n line {raw}\n reply done"
    ));
    let mut proxy = Proxy::wrap(&server).start();
    proxy.initialize();
    assert_eq!(proxy.text_of_call("odd", json!({})), "done");
    assert!(proxy.messages().iter().all(|message| message["id"] != 999));
    proxy.finish();
}
