//! The audit log as an operator meets it: what a record says and does not say, rotation, a sink that does not
//! take its records, and other rules tried on it.

use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{BINARY, DENY, ETC, OVER, script};
use crate::kit::http_client::{Session, call_body, post};
use crate::kit::http_upstream::HttpUpstream;
use crate::kit::processes::signal;
use crate::kit::{Proxy, ScriptedServer, until_true};

const SECRET: &str = "canary-7f3a";

fn records(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
        .collect()
}

fn setting(file: &Path) -> String {
    format!("audit.file = {:?}", file.display().to_string())
}

#[test]
fn a_record_says_who_what_and_what_came_of_it() {
    for with_arguments in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("audit.jsonl");
        let server = ScriptedServer::new(&script());
        let mut proxy = Proxy::wrap(&server)
            .options("--pin *=hidden --cache-tools read_file=60s")
            .settings(DENY)
            .settings(&setting(&file))
            .settings(&format!("audit.arguments = {with_arguments}"))
            .start();
        proxy.initialize();
        proxy.ask("tools/list", json!({}));
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let plain = json!({"path": format!("/{SECRET}")});
        proxy.ask(
            "tools/call",
            json!({
                "name": "read_file",
                "arguments": plain,
                "_meta": {"traceparent": format!("00-{trace}-b7ad6b7169203331-01")},
            }),
        );
        proxy.ask_call("read_file", plain.clone());
        proxy.ask_call("delete_file", plain.clone());
        proxy.ask_call(
            "call_destructive_tool",
            json!({"name": "delete_file", "arguments": plain.to_string()}),
        );
        proxy.ask_call("nobody_has_it", json!({}));
        proxy.ask("resources/read", json!({"uri": "x://y"}));
        proxy.finish();
        let all = records(&file);
        let brief: Vec<_> = all
            .iter()
            .map(|one| {
                let text = |key: &str| one[key].as_str().unwrap_or("-").to_owned();
                format!(
                    "{} {} {} {} {} {}",
                    text("method"),
                    text("tool"),
                    text("decision"),
                    text("by"),
                    text("outcome"),
                    one["cached"].as_bool().unwrap_or_default()
                )
            })
            .collect();
        assert_eq!(
            brief,
            [
                "tools/call read_file allow - ok false",
                "tools/call read_file allow - ok true",
                "tools/call delete_file hide policy rule 1 error false",
                "tools/call delete_file hide policy rule 1 toolError false",
                // A server of its own is asked about names that nobody listed.
                "tools/call nobody_has_it allow - error false",
                "resources/read - - - error false",
            ]
        );
        for (index, one) in all.iter().enumerate() {
            assert_eq!(one["v"], 1);
            assert_eq!(one["seq"], index + 1);
            assert_eq!(one["principal"], "user");
            let time = one["time"].as_str().expect("a time");
            assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
            assert!(one["durationMs"].is_u64() && one["process"].is_string());
        }
        assert_eq!(all[0]["traceId"], trace);
        assert_eq!(all[0]["server"], "scripted_server");
        assert_eq!(all[0]["hints"]["readOnly"], true);
        assert_eq!(all[3]["called"], "call_destructive_tool");
        assert_eq!(all[2]["errorCode"], -32602);
        assert_eq!(all[5]["server"], "scripted_server");
        let text = std::fs::read_to_string(&file).expect("the log");
        assert_eq!(text.contains(SECRET), with_arguments, "{text}");
        if with_arguments {
            assert_eq!(all[3]["arguments"], plain, "as the server would get them");
        }
        let mode = std::fs::metadata(&file)
            .expect("the file")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn an_approval_is_in_the_record() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("audit.jsonl");
    let server = ScriptedServer::new(&script());
    let mut proxy = Proxy::wrap(&server)
        .settings(OVER)
        .settings(&setting(&file))
        .start();
    proxy.initialize();
    let call = proxy.call("write_file", json!({"path": "/a"}));
    let question = proxy.wait_request("elicitation/create");
    proxy.respond(
        &question,
        json!({"action": "accept", "content": {"approve": true}}),
    );
    proxy.answer(call);
    proxy.finish();
    let all = records(&file);
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(all[0]["decision"], "approve");
    assert_eq!(all[0]["approved"], true);
    assert_eq!(all[0]["outcome"], "ok");
}

#[test]
fn the_file_is_opened_again_on_sighup() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("audit.jsonl");
    let server = ScriptedServer::new(&script());
    let mut proxy = Proxy::wrap(&server).settings(&setting(&file)).start();
    proxy.initialize();
    proxy.ask_call("read_file", json!({}));
    until_true("the first record", || records(&file).len() == 1);
    let old = folder.path().join("audit.jsonl.1");
    std::fs::rename(&file, &old).expect("it is moved");
    signal(proxy.process(), rustix::process::Signal::HUP);
    proxy.wait_stderr("the configuration was read again");
    proxy.ask_call("read_file", json!({}));
    until_true("the second record", || {
        file.exists() && records(&file).len() == 1
    });
    assert_eq!(records(&old).len(), 1);
    proxy.finish();
}

#[test]
fn f90_an_audit_log_that_takes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let pipe = folder.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.is_ok_and(|made| made.success()));
    // Somebody who opened the pipe and never reads it.
    let reader = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(&pipe)
        .expect("the pipe");
    let server = ScriptedServer::new(&script());
    let mut proxy = Proxy::wrap(&server)
        .settings(&setting(&pipe))
        .settings("audit.arguments = true")
        .start();
    proxy.initialize();
    // More than the pipe and the queue take.
    let long = "x".repeat(8000);
    for _ in 0..1200 {
        let answer = proxy.ask_call("read_file", json!({"path": long}));
        assert!(answer.get("result").is_some(), "{answer}");
    }
    proxy.wait_stderr("the audit log does not take its records fast enough; some are lost");
    proxy.finish();
    drop(reader);
    // What cannot be opened starts nothing.
    let server = ScriptedServer::new(&script());
    let missing = folder.path().join("missing/audit.jsonl");
    let proxy = Proxy::wrap(&server).settings(&setting(&missing)).start();
    proxy.wait_stderr("cannot write the audit log");
    assert!(server.children().is_empty(), "it ran for a moment");
}

fn simulate(log: &Path, policy: &str, more: &[&str]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("new.toml");
    std::fs::write(&file, format!("{policy}\n")).expect("it is written");
    let output = Command::new(BINARY)
        .args(["policy", "simulate", "--audit"])
        .arg(log)
        .arg("--config")
        .arg(&file)
        .args(more)
        .output()
        .expect("it runs");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn other_rules_are_tried_on_a_log() {
    for with_arguments in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("audit.jsonl");
        let server = ScriptedServer::new(&script());
        let mut proxy = Proxy::wrap(&server)
            .settings(&setting(&file))
            .settings(&format!("audit.arguments = {with_arguments}"))
            .start();
        proxy.initialize();
        proxy.ask("tools/list", json!({}));
        proxy.ask_call("delete_file", json!({"path": "/a"}));
        proxy.ask_call("delete_file", json!({"path": "/b"}));
        proxy.ask_call("read_file", json!({"path": "/etc/../etc/x"}));
        proxy.finish();
        let said = simulate(&file, DENY, &[]);
        assert!(
            said.contains(": 3 decisions, 2 would change; undecidable: 0\n"),
            "{said}"
        );
        assert!(
            said.contains("       2  allow    hide     policy rule 1\n"),
            "{said}"
        );
        let said = simulate(&file, ETC, &["--json"]);
        let said: Value = serde_json::from_str(&said).expect("JSON");
        let expected = match with_arguments {
            true => {
                json!([{"was": "allow", "becomes": "refuse", "by": "policy rule 1", "count": 1}])
            }
            false => json!([]),
        };
        assert_eq!(said["changes"], expected, "{said}");
        assert_eq!(
            said["undecidable"],
            if with_arguments { 0 } else { 3 },
            "{said}"
        );
        // Hints are in the record, so rules about them can be tried too.
        let hints = "policy.read_only = true\npolicy.trust_hints = [\"*\"]";
        let said = simulate(&file, hints, &[]);
        assert!(
            said.contains("       2  allow    hide     read-only mode\n"),
            "{said}"
        );
    }
}

/// The trace of a client's HTTP request goes on to the server and into the record.
#[test]
fn a_trace_goes_on_from_hop_to_hop() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("audit.jsonl");
    let upstream = HttpUpstream::start(|request, _, reply| {
        let is_call = request.method() == "tools/call";
        if is_call {
            reply.result(request, json!({"content": []}));
        }
        is_call
    });
    let mut proxy = Proxy::upstream(&upstream.url())
        .listening()
        .settings(&setting(&file))
        .start();
    let session = Session::open(proxy.address());
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let long = "k=".to_owned() + &"v".repeat(8200);
    let mut headers = session.headers().to_vec();
    headers.extend([
        ("traceparent", parent.as_str()),
        ("tracestate", "rojo=00f067aa0ba902b7"),
        ("baggage", &long),
        ("X-Other", "stays here"),
    ]);
    let body = call_body(7, "t", &json!({}));
    let answer = post(proxy.address(), &headers, &body).answer();
    assert!(answer["result"].is_object(), "{answer}");
    session.call(8, "t", json!({}));
    let calls = upstream.requests_of("tools/call");
    assert_eq!(calls[0].header("traceparent"), Some(parent.as_str()));
    assert_eq!(calls[0].header("tracestate"), Some("rojo=00f067aa0ba902b7"));
    assert_eq!(calls[0].header("baggage"), None, "too long");
    assert_eq!(calls[0].header("x-other"), None);
    assert_eq!(calls[1].header("traceparent"), None);
    until_true("the records", || records(&file).len() == 2);
    assert_eq!(records(&file)[0]["traceId"], trace);
    proxy.terminate();
    proxy.wait_exit();
}
