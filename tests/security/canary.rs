//! Canaries: a secret of each origin, and every place where it must not be.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use super::run;
use crate::kit::http_upstream::HttpUpstream;
use crate::kit::{Proxy, ScriptedServer, processes};

/// A long secret that looks like nothing but for the word in it.
fn canary(of: &str) -> String {
    format!("canary-{of}-Zq7")
}

/// Every file below a folder, with its path.
fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => files(&path, found),
            false => found.push((
                path.display().to_string(),
                std::fs::read(&path).unwrap_or_default(),
            )),
        }
    }
}

/// Words that are canaries in bytes.
fn canaries(bytes: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    text.match_indices("canary-")
        .map(|(at, _)| {
            text[at..]
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '-')
                .collect()
        })
        .collect()
}

/// Everything but what the client asked for itself.
struct Sinks {
    stderr: String,
    errors: String,
    argv: String,
    names: String,
    state: Vec<(String, Vec<u8>)>,
}

impl Sinks {
    fn found(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for text in [&self.stderr, &self.errors, &self.argv, &self.names] {
            found.extend(canaries(text.as_bytes()));
        }
        for (_, bytes) in &self.state {
            found.extend(canaries(bytes));
        }
        found
    }
}

/// The command lines of the proxy and what it started, but for the server's own, which the operator wrote.
fn argv(of: i32) -> String {
    let mut all = String::new();
    let children = processes::children_of(of);
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else {
            continue;
        };
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let is_ours = pid == of || (children.contains(&pid) && line.contains("mcp-whittle"));
        if is_ours {
            all.push_str(&line);
            all.push('\n');
        }
    }
    all
}

/// A server that tells all it knows, in every way it can.
fn talkative() -> String {
    let env = canary("env");
    let token = format!("ghp_{}0123456789abcdef", "canary");
    [
        "capabilities {\"tools\":{\"listChanged\":true},\"logging\":{}}".to_owned(),
        "tool tell".to_owned(),
        "tool die".to_owned(),
        "on start".to_owned(),
        format!(
            " stderr connecting with API_KEY={env} and Authorization: Bearer {}",
            canary("bearer1")
        ),
        format!(" stderr the value alone: {env}"),
        format!(
            " stderr url https://user:{}@db.example/x?access_token={}",
            canary("userinfo"),
            canary("query")
        ),
        format!(" stderr {token} eyJhbGciOiJub25lIn0.eyJzdWIiOiJjYW5hcnkifQ.canary-jwt-Zq7"),
        format!(" text no message with password={}\n", canary("garbage")).replace('\n', ""),
        " newline".to_owned(),
        "on tools/call die".to_owned(),
        format!(" stderr dying with {env}"),
        " exit 3".to_owned(),
    ]
    .join("\n")
}

#[test]
fn no_secret_is_in_any_sink_at_any_level_of_the_log() {
    for (level, format) in [
        ("error", "text"),
        ("warn", "json"),
        ("debug", "json"),
        ("trace", "text"),
    ] {
        no_secret_is_in_any_sink(level, format);
    }
}

/// Runs a server that tells all it knows, and looks into everything that stays or is shown.
pub(crate) fn no_secret_is_in_any_sink(level: &str, format: &str) {
    let state = tempfile::tempdir().unwrap();
    let server = ScriptedServer::new(&talkative());
    let command = server.command();
    let entry = format!(
        "[servers.talkative]\ncommand = {}\nargs = [{}, \"--token\", {}]\nenv = {{ API_KEY = {}, PLAIN = \"shown-word\" }}\n",
        json!(command[0]),
        json!(command[1]),
        json!(canary("argument")),
        json!(canary("env"))
    );
    let mut proxy = Proxy::servers(&[])
        .settings(&format!("log.level = \"{level}\"\nlog.format = \"{format}\"\nprefix = \"none\"\nrestart.initial_backoff = \"20ms\"\nrestart.park_after = 2\n{entry}"))
        .state(state.path())
        .start();
    proxy.initialize();
    proxy.ask("tools/list", json!({}));
    proxy.ask_call("tell", json!({"password": canary("call"), "mark": "m"}));
    let lost = proxy.ask_call("die", json!({"token": canary("call")}));
    let unavailable = proxy.ask_call("missing", json!({"token": canary("call")}));
    let argv = argv(proxy.process());
    // What it writes to stderr is passed on at every level.
    proxy.wait_stderr("connecting with");
    let stderr = proxy.stderr();
    proxy.close_stdin();
    proxy.wait_exit();
    let mut state_files = Vec::new();
    files(state.path(), &mut state_files);
    let names = state_files
        .iter()
        .map(|(name, _)| name.clone())
        .collect::<Vec<_>>()
        .join("\n");
    let sinks = Sinks {
        stderr,
        errors: format!("{lost}\n{unavailable}"),
        argv,
        names,
        state: state_files,
    };
    assert!(sinks.stderr.contains("[redacted:"), "{}", sinks.stderr);
    assert!(sinks.argv.contains("mcp-whittle"), "{}", sinks.argv);
    assert!(!sinks.state.is_empty());
    assert_eq!(
        sinks.found(),
        BTreeSet::new(),
        "{level} {format}\n{}\n{}\n{}",
        sinks.stderr,
        sinks.errors,
        sinks.argv
    );
    assert!(!sinks.stderr.contains("ghp_canary"), "{}", sinks.stderr);
    if format == "json" {
        for line in sinks.stderr.lines().filter(|line| line.starts_with('{')) {
            assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
        }
    }
    proxy.oracle(|oracle| oracle.may_stay_open("1"));
    proxy.check_counts();
}

#[test]
fn no_secret_of_an_http_server_is_in_any_sink() {
    let upstream = HttpUpstream::start(|request, _, reply| {
        // Refuses with everything that it was sent.
        let said = request
            .header("authorization")
            .unwrap_or_default()
            .to_owned();
        reply.full(
            500,
            &[("Content-Type", "text/plain")],
            &format!("no: {said} password={}", canary("body")),
        );
        true
    });
    for level in ["error", "info", "trace"] {
        let state = tempfile::tempdir().unwrap();
        let url = format!(
            "http://{}/mcp?api_key={}",
            upstream.address(),
            canary("urlquery")
        );
        let entry = format!(
            "[servers.far]\nurl = {}\nheaders = {{ Authorization = {} }}\n",
            json!(url),
            json!(format!("Bearer {}", canary("header")))
        );
        let mut proxy = Proxy::servers(&[])
            .settings(&format!(
                "log.level = \"{level}\"\nrestart.park_after = 1\n{entry}"
            ))
            .state(state.path())
            .start();
        let answer = proxy.ask(
            "initialize",
            crate::kit::messages::initialize_params("2025-11-25", &json!({})),
        );
        let argv = argv(proxy.process());
        let stderr = proxy.stderr();
        proxy.close_stdin();
        proxy.wait_exit();
        let mut state_files = Vec::new();
        files(state.path(), &mut state_files);
        let sinks = Sinks {
            stderr,
            errors: answer.to_string(),
            argv,
            names: String::new(),
            state: state_files,
        };
        assert_eq!(
            sinks.found(),
            BTreeSet::new(),
            "{level}\n{}\n{}",
            sinks.stderr,
            sinks.errors
        );
        proxy.check_counts();
    }
}

#[test]
fn a_wrong_configuration_shows_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.toml");
    for text in [
        format!("[servers.a]\nurl = \"https://u:{}@h/x\"\n", canary("a")),
        format!(
            "[servers.a]\ncommand = \"x\"\nargs = [\"--token\", \"{}\"]\nnonsense = 1\n",
            canary("b")
        ),
        format!(
            "[servers.a]\nurl = \"https://h/x\"\nheaders = {{ Authorization = \"{}\\n\" }}\n",
            canary("c")
        ),
    ] {
        std::fs::write(&file, text).unwrap();
        let path = file.to_str().unwrap();
        for args in [
            &["--config", path][..],
            &["config", "check", "--config", path],
            &["count", "--config", path],
        ] {
            let said = run(args);
            let all = format!("{}{}", said.stdout, said.stderr);
            assert_eq!(canaries(all.as_bytes()), BTreeSet::new(), "{args:?}: {all}");
        }
    }
}

/// Sibling of the tests above: a word that is no secret is found in these sinks.
#[test]
fn what_is_no_secret_is_seen_by_the_same_eyes() {
    let server = ScriptedServer::new("tool t\non start\n stderr hello canary-plain\n");
    let mut proxy = Proxy::wrap(&server).start();
    proxy.initialize();
    proxy.wait_stderr("hello canary-plain");
    assert_eq!(canaries(proxy.stderr().as_bytes()).len(), 1);
    proxy.finish();
}

const TOKEN: &str = "ghp_abcdefghij0123456789abcdef";

/// A server whose results have secrets: short, long, structured, failed.
fn leaky() -> String {
    let filler =
        r#"{\"id\":1,\"name\":\"a row of the table\",\"note\":\"nothing at all\"},"#.repeat(1500);
    [
        "tool small".to_owned(),
        "tool large".to_owned(),
        "tool failing".to_owned(),
        "on tools/call small".to_owned(),
        format!(r#" result {{"content":[{{"type":"text","text":"use {TOKEN} for it"}}],"structuredContent":{{"password":"hunter22","n":1.50}}}}"#),
        "on tools/call large".to_owned(),
        format!(r#" result {{"content":[{{"type":"text","text":"[{filler}{{\"token\":\"{TOKEN}\"}}]"}}]}}"#),
        "on tools/call failing".to_owned(),
        format!(r#" result {{"content":[{{"type":"text","text":"denied for {TOKEN}"}}],"isError":true}}"#),
    ]
    .join("\n")
}

#[test]
fn results_are_redacted_where_that_is_wanted_and_reads_of_them_too() {
    for options in ["", "--surface full", "--shadow", "--pin *=hidden"] {
        let server = ScriptedServer::new(&leaky());
        let settings = "redact.results = true\nresult_cap = \"1000\"";
        let mut proxy = Proxy::wrap(&server)
            .options(options)
            .settings(settings)
            .start();
        proxy.initialize();
        proxy.ask("tools/list", json!({}));
        let small = proxy.ask_call("small", json!({}));
        assert_eq!(
            small["result"]["content"][0]["text"], "use [redacted:token] for it",
            "{options}"
        );
        assert_eq!(
            small["result"]["structuredContent"],
            json!({"password": "[redacted:key]", "n": 1.5})
        );
        let failing = proxy.ask_call("failing", json!({}));
        assert_eq!(
            failing["result"]["content"][0]["text"],
            "denied for [redacted:token]"
        );
        let large = proxy.ask_call("large", json!({})).to_string();
        assert!(!large.contains("ghp_"), "{options}");
        if let Some(at) = large.find("r_").filter(|_| options.is_empty()) {
            let handle: String = large[at..].chars().take(28).collect();
            for query in [
                json!({"handle": handle, "grep": "ghp_"}),
                json!({"handle": handle, "grep": "redacted"}),
                json!({"handle": handle, "pointer": "/1500/token"}),
                json!({"handle": handle, "jq": ".[-1].token"}),
            ] {
                let read = proxy.ask_call("read_result", query.clone()).to_string();
                assert!(!read.contains("ghp_abc"), "{query}: {read}");
            }
            let read =
                proxy.text_of_call("read_result", json!({"handle": handle, "pointer": "/1500"}));
            assert!(read.contains("[redacted:"), "{read}");
        } else {
            assert!(!options.is_empty(), "no handle: {large}");
        }
        proxy.finish();
    }
    for (options, settings) in [("", ""), ("--transparent", "redact.results = true")] {
        let server = ScriptedServer::new(&leaky());
        let mut proxy = Proxy::wrap(&server)
            .options(options)
            .settings(settings)
            .start();
        proxy.initialize();
        let small = proxy.ask_call("small", json!({})).to_string();
        assert!(small.contains(TOKEN), "{options} {settings}: {small}");
        proxy.finish();
    }
}
