//! F01–F11: the life of a stdio child.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::{Value, json};

use crate::kit::messages::{assert_deadline, assert_lost, assert_unavailable};
use crate::kit::{Proxy, ScriptedServer, processes, until, until_true};

use super::{FAST_END, FAST_RESTART};

fn file(path: &Path, content: &[u8], mode: u32) -> Vec<String> {
    std::fs::write(path, content).expect("the file is written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
    vec![path.display().to_string()]
}

fn tool_names(list: &Value) -> Vec<&str> {
    let tools = list["result"]["tools"].as_array();
    tools
        .unwrap_or_else(|| panic!("no list: {list}"))
        .iter()
        .filter_map(|tool| tool["name"].as_str())
        .collect()
}

#[test]
fn f01_command_that_cannot_be_executed() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = vec![folder.path().join("missing").display().to_string()];
    let not_executable = file(&folder.path().join("plain"), b"#!/bin/sh\n", 0o644);
    // The head of a program for a machine that does not exist.
    let mut foreign = b"\x7fELF\x02\x01\x01\x00".to_vec();
    foreign.extend([0xff; 120]);
    let wrong_machine = file(&folder.path().join("foreign"), &foreign, 0o755);

    let good = ScriptedServer::new("");
    let mut proxy = Proxy::servers(&[("good", &good)])
        .server("missing", &missing)
        .server("plain", &not_executable)
        .server("foreign", &wrong_machine)
        .settings(FAST_RESTART)
        .start();
    let answer = proxy.initialize();
    assert!(answer["result"].is_object(), "{answer}");
    assert_eq!(
        tool_names(&proxy.ask("tools/list", json!({}))),
        ["good__echo"]
    );
    assert_eq!(
        proxy.text_of_call("good__echo", json!({"n": 1})),
        r#"{"n":1}"#
    );
    for server in ["missing", "plain", "foreign"] {
        let started = Instant::now();
        let answer = proxy.ask_call(&format!("{server}__echo"), json!({}));
        assert_unavailable(&answer);
        assert_eq!(answer["error"]["data"]["server"], server, "{answer}");
        assert!(
            started.elapsed() < Duration::from_secs(5),
            "not at once: {:?}",
            started.elapsed()
        );
    }
    for (server, errno) in [
        ("missing", "os error 2"),
        ("plain", "os error 13"),
        ("foreign", "os error 8"),
    ] {
        proxy.wait_log(&[server, errno]);
    }
    proxy.finish();
}

#[test]
fn f02_fork_fails() {
    let server = ScriptedServer::new("tool echo\ntool die\non tools/call die\n exit 3");
    let mut proxy = Proxy::wrap(&server).settings(FAST_RESTART).start();
    proxy.initialize();
    // No new descriptor can be had, so neither pipes nor a process.
    let process = Pid::from_raw(proxy.process());
    let before = getrlimit(Resource::Nofile);
    let limit = |current| Rlimit {
        current,
        maximum: before.maximum,
    };
    prlimit(process, Resource::Nofile, limit(Some(3))).expect("a limit can be set");
    assert_lost(&proxy.ask_call("die", json!({})));
    let answer = until("a call while no process can be started", || {
        let answer = proxy.ask_call("echo", json!({}));
        answer.get("error").is_some().then_some(answer)
    });
    assert_unavailable(&answer);
    assert_eq!(server.starts().len(), 1, "nothing can start");
    prlimit(process, Resource::Nofile, limit(before.current)).expect("the limit is lifted");
    until_true("a call after the limit was lifted", || {
        proxy.ask_call("echo", json!({})).get("result").is_some()
    });
    assert_eq!(server.starts().len(), 2);
    proxy.finish();
}

#[test]
fn f03_child_exits_before_its_first_answer() {
    let server = ScriptedServer::new(
        "on initialize\n stderr cannot find the database\n stderr token=sk-canary-0123456789abcdef0123456789\n exit 3",
    );
    let mut proxy = Proxy::wrap(&server).settings(FAST_RESTART).start();
    let answer = proxy.ask(
        "initialize",
        crate::kit::messages::initialize_params("2025-11-25", &json!({})),
    );
    assert_unavailable(&answer);
    let data = answer["error"]["data"].to_string();
    assert!(
        data.contains("cannot find the database"),
        "no stderr lines in data: {answer}"
    );
    assert!(
        !answer.to_string().contains("sk-canary"),
        "a secret in the error: {answer}"
    );
    proxy.close_stdin();
    assert_eq!(proxy.wait_exit().code(), Some(3), "the child's code");
    proxy.check_counts();
}

#[test]
fn f04_child_dies_with_calls_in_flight() {
    let server = ScriptedServer::new(
        "tool echo\ntool slow\non tools/call slow\n stall\ntool die\non tools/call die\n exit 9",
    );
    let mut proxy = Proxy::wrap(&server).settings(FAST_RESTART).start();
    proxy.initialize();
    assert!(proxy.ask("logging/setLevel", json!({"level": "warning"}))["result"].is_object());
    assert!(proxy.ask("resources/subscribe", json!({"uri": "file:///a"}))["result"].is_object());
    let mut calls: Vec<i64> = (0..3)
        .map(|n| proxy.call("slow", json!({"mark": format!("slow {n}")})))
        .collect();
    server.wait_received("tools/call", 3);
    calls.push(proxy.call("die", json!({"mark": "die"})));
    for call in calls {
        assert_lost(&proxy.answer(call));
    }
    until_true("a call after the restart", || {
        proxy.ask_call("echo", json!({})).get("result").is_some()
    });
    let second: Vec<Value> = server
        .received()
        .iter()
        .filter(|(life, _)| *life == 2)
        .filter_map(|(_, line)| serde_json::from_str(line).ok())
        .collect();
    let has = |method: &str, key: &str, value: &str| {
        second
            .iter()
            .any(|message| message["method"] == method && message["params"][key] == value)
    };
    assert!(has("logging/setLevel", "level", "warning"), "{second:#?}");
    assert!(
        has("resources/subscribe", "uri", "file:///a"),
        "{second:#?}"
    );
    // The oracle for marks: no call was sent again.
    assert_eq!(server.marks().len(), 4);
    proxy.finish();
}

#[test]
fn f05_crash_loop() {
    let server = ScriptedServer::new(
        "tool echo\ntool die\non tools/call die\n exit 3\non start life=1\non start\n exit 4",
    );
    let mut proxy = Proxy::wrap(&server)
        .settings(FAST_RESTART)
        .settings("restart.park_after = 3")
        .start();
    proxy.initialize();
    assert_lost(&proxy.ask_call("die", json!({})));
    // Once it is parked, nothing but a new request starts it.
    proxy.wait_stderr("in a row");
    let starts = server.starts().len();
    assert!((3..=5).contains(&starts), "{starts} starts, park_after = 3");
    let started = Instant::now();
    let answer = proxy.ask_call("echo", json!({}));
    assert_unavailable(&answer);
    assert!(started.elapsed() < Duration::from_secs(10));
    let text = answer.to_string();
    assert!(
        text.contains("parked") || text.contains("in a row"),
        "the state is not told: {text}"
    );
    assert!(
        server.starts().len() <= starts + 4,
        "parked servers do not loop"
    );
    proxy.finish();
}

#[test]
fn f06_frozen_child() {
    let frozen =
        ScriptedServer::new("tool echo\ntool freeze\non tools/call freeze life=1\n freeze");
    let other = ScriptedServer::new("");
    let mut proxy = Proxy::servers(&[("frozen", &frozen), ("other", &other)])
        .settings(FAST_RESTART)
        .settings(FAST_END)
        .options("--request-timeout 500ms")
        .start();
    proxy.initialize();
    proxy.ask("tools/list", json!({}));
    let call = proxy.call("frozen__freeze", json!({"mark": "freeze"}));
    assert_eq!(
        proxy.text_of_call("other__echo", json!({"n": 1})),
        r#"{"n":1}"#
    );
    assert_deadline(&proxy.answer(call));
    // A probe finds it dead; it is killed and started again.
    until_true("a call to the server that was frozen", || {
        proxy
            .ask_call("frozen__echo", json!({}))
            .get("result")
            .is_some()
    });
    assert_eq!(
        proxy.text_of_call("other__echo", json!({"n": 2})),
        r#"{"n":2}"#
    );
    proxy.finish();
    until_true("the frozen process is gone", || {
        frozen.survivors().is_empty()
    });
}

#[test]
fn f07_child_ignores_eof_at_shutdown() {
    let server = ScriptedServer::new(
        "ignore-eof\nignore-term\ntool slow\non tools/call slow\n wait gate\n reply done",
    );
    let mut proxy = Proxy::wrap(&server)
        .settings("timeouts.shutdown_grace = \"20s\"\ntimeouts.term_grace = \"200ms\"\ntimeouts.kill_grace = \"200ms\"")
        .start();
    proxy.initialize();
    let call = proxy.call("slow", json!({"mark": "slow"}));
    server.wait_received("tools/call", 1);
    proxy.close_stdin();
    let started = Instant::now();
    server.open("gate");
    let answer = proxy.answer(call);
    assert_eq!(answer["result"]["content"][0]["text"], "done");
    assert_eq!(proxy.wait_exit().code(), Some(0), "{}", proxy.stderr());
    // Both graces together are 0.4 s; far below the grace for requests, which had nothing to wait for.
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    proxy.check_counts();
    server.assert_gone();
}

#[test]
fn f08_process_tree_outlives_the_child() {
    let server = ScriptedServer::new("on start\n grandchild\n grandchild");
    let mut proxy = Proxy::wrap_command(&server.command_behind_shells())
        .settings(FAST_END)
        .start();
    proxy.initialize();
    until_true("the tree", || server.survivors().len() == 3);
    proxy.finish();
    until_true("no survivors", || server.survivors().is_empty());
}

#[test]
fn f09_proxy_is_killed() {
    let server = ScriptedServer::new("ignore-eof\nignore-term\non start\n grandchild");
    let mut proxy = Proxy::wrap(&server).start();
    proxy.initialize();
    until_true("the tree", || server.survivors().len() == 2);
    processes::kill(proxy.process());
    proxy.wait_exit();
    // They are killed at once here, so that the next start has nothing to find.
    let gone = crate::kit::within(Duration::from_secs(5), || {
        server.survivors().is_empty().then_some(())
    });
    assert!(gone.is_some(), "left after 5 s: {:?}", server.survivors());
}

#[test]
fn f10_client_dies() {
    // Its input ends with a call in flight.
    let server = ScriptedServer::new("tool slow\non tools/call slow\n stall\non eof\n wait never");
    let mut proxy = Proxy::wrap(&server).settings(FAST_END).start();
    proxy.initialize();
    let call = proxy.call("slow", json!({"mark": "slow"}));
    let sent = server.wait_received("tools/call", 1);
    proxy.close_stdin();
    let cancelled = server.wait_received("notifications/cancelled", 1);
    assert_eq!(cancelled[0]["params"]["requestId"], sent[0]["id"]);
    assert_eq!(proxy.wait_exit().code(), Some(0), "{}", proxy.stderr());
    proxy.oracle(|oracle| oracle.may_stay_open(&call.to_string()));
    proxy.check_counts();
    server.assert_gone();

    // Its output is closed: nobody can take an answer any more.
    let server = ScriptedServer::new(
        "ignore-eof\ntool chatter\non tools/call chatter\n reply first\n wait gate\n log 2000\n stall",
    );
    let mut proxy = Proxy::wrap(&server).settings(FAST_END).start();
    proxy.initialize();
    proxy.ask_call("chatter", json!({}));
    proxy.close_stdout();
    server.open("gate");
    proxy.wait_exit();
    until_true("the child is gone", || server.survivors().is_empty());
}

#[test]
fn f11_proxy_is_pid_1() {
    let server =
        ScriptedServer::new("tool orphans\non tools/call orphans\n orphans 1000\n reply done");
    let mut proxy = Proxy::wrap(&server)
        .settings(FAST_END)
        .in_namespace()
        .start();
    proxy.initialize();
    let inside = until("the proxy below unshare", || {
        processes::children_of(proxy.process()).first().copied()
    });
    assert_eq!(proxy.text_of_call("orphans", json!({})), "done");
    until_true("all orphans are reaped", || {
        processes::zombies_of(inside).is_empty()
    });
    // A signal reaches it although it is PID 1, and it ends in order.
    processes::signal(inside, rustix::process::Signal::TERM);
    assert_eq!(
        proxy.wait_exit().code(),
        Some(128 + 15),
        "{}",
        proxy.stderr()
    );
    proxy.check_counts();
    server.assert_gone();
}

/// Broken variants that this catches: only the end of its process ends a connection, so that calls to a child that closed
/// its stdout, or its stdin, and lives on wait for their deadline.
#[test]
fn a_child_that_nobody_can_talk_with_is_ended() {
    for (script, is_deaf) in [
        (
            "tool echo\ntool shut\non tools/call shut\n close-stdout\n stall",
            false,
        ),
        (
            "ignore-eof\ntool echo\ntool shut\non tools/call shut\n close-stdout\n stall",
            false,
        ),
        (
            "serial\nignore-eof\ntool echo\ntool shut\non tools/call shut\n close-stdin\n reply done",
            true,
        ),
    ] {
        let server = ScriptedServer::new(script);
        let mut proxy = Proxy::wrap(&server)
            .settings(FAST_RESTART)
            .settings(FAST_END)
            .start();
        proxy.initialize();
        if is_deaf {
            assert_eq!(proxy.text_of_call("shut", json!({})), "done");
            assert_lost(&proxy.ask_call("echo", json!({})));
        } else {
            assert_lost(&proxy.ask_call("shut", json!({})));
        }
        until_true("a call to the next life", || {
            proxy.ask_call("echo", json!({})).get("result").is_some()
        });
        proxy.finish();
        until_true("nobody is left", || server.survivors().is_empty());
    }
}
