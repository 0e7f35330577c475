//! Processes: who is left, with which code we end, what is said where, what a restart replays, and one
//! proxy in front of another.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::kit::messages::{LEGACY, assert_lost, initialize_params};
use crate::kit::{GUARD, Proxy, ScriptedServer, processes, until, until_true, within};

const FAST: &str = "restart.initial_backoff = \"20ms\"\nrestart.max_backoff = \"100ms\"\ntimeouts.term_grace = \"200ms\"\ntimeouts.kill_grace = \"200ms\"\ntimeouts.shutdown_grace = \"300ms\"";

#[track_caller]
fn assert_nobody_left(server: &ScriptedServer, what: &str) {
    let gone = within(Duration::from_secs(5), || {
        server.survivors().is_empty().then_some(())
    });
    assert!(
        gone.is_some(),
        "{what}: left after 5 s: {:?}",
        server.survivors()
    );
}

#[test]
fn nobody_is_left_after_kill_9() {
    let deaf = "ignore-eof\nignore-term\n";
    for (what, script, is_behind_shells) in [
        ("plain", "", false),
        ("deaf", deaf, false),
        ("behind shells", "", true),
        ("deaf behind shells", deaf, true),
        (
            "with deaf grandchildren",
            "on start\n grandchild\n grandchild",
            false,
        ),
        (
            "deaf with deaf grandchildren behind shells",
            "ignore-eof\nignore-term\non start\n grandchild",
            true,
        ),
    ] {
        let server = ScriptedServer::new(script);
        let command = if is_behind_shells {
            server.command_behind_shells()
        } else {
            server.command()
        };
        let mut proxy = Proxy::wrap_command(&command).start();
        proxy.initialize();
        let expected = 1 + script.matches("grandchild").count();
        until_true("the tree", || server.survivors().len() == expected);
        processes::kill(proxy.process());
        proxy.wait_exit();
        assert_nobody_left(&server, what);
    }
}

#[test]
fn a_guard_that_was_killed_is_replaced_with_the_next_child() {
    let server = ScriptedServer::new(
        "ignore-eof\nignore-term\ntool die\ntool echo\non tools/call die\n exit 1",
    );
    let mut proxy = Proxy::wrap(&server).settings(FAST).start();
    proxy.initialize();
    let children = || processes::children_of(proxy.process());
    let guard = children()
        .into_iter()
        .find(|child| processes::is_called(*child, "guard"));
    processes::kill(guard.expect("it is there before the first child"));
    assert_lost(&proxy.ask_call("die", json!({})));
    until_true("the next life", || {
        proxy.ask_call("echo", json!({})).get("result").is_some()
    });
    until_true("the next guard", || {
        let started = processes::running("mcp-whittle", "__guard");
        processes::children_of(proxy.process())
            .iter()
            .any(|child| started.contains(child))
    });
    processes::kill(proxy.process());
    proxy.wait_exit();
    assert_nobody_left(&server, "after kill -9");
}

#[test]
fn a_guard_that_was_killed_is_replaced_with_nothing_to_tell() {
    let server = ScriptedServer::new("ignore-eof\nignore-term\n");
    let mut proxy = Proxy::wrap(&server).start();
    proxy.initialize();
    let guards = || {
        processes::children_of(proxy.process())
            .into_iter()
            .filter(|child| processes::is_called(*child, "guard"))
            .collect::<Vec<_>>()
    };
    let first = guards();
    assert_eq!(first.len(), 1);
    processes::kill(first[0]);
    until_true("the next guard", || {
        let started = processes::running("mcp-whittle", "__guard");
        processes::children_of(proxy.process())
            .iter()
            .any(|child| started.contains(child))
    });
    until_true("the first is waited for", || {
        !processes::children_of(proxy.process()).contains(&first[0])
    });
    processes::kill(proxy.process());
    proxy.wait_exit();
    assert_nobody_left(&server, "after kill -9");
}

#[test]
fn nobody_is_left_after_a_crash_of_the_child_alone() {
    // The direct child dies; what it left behind goes with it before the next one starts.
    let server = ScriptedServer::new(
        "tool die\ntool echo\non tools/call die\n exit 1\non start life=1\n grandchild",
    );
    let mut proxy = Proxy::wrap(&server).settings(FAST).start();
    proxy.initialize();
    until_true("the tree", || server.survivors().len() == 2);
    assert_lost(&proxy.ask_call("die", json!({})));
    until_true("the next life", || {
        proxy.ask_call("echo", json!({})).get("result").is_some()
    });
    until_true("the grandchild of the first is gone", || {
        server
            .children()
            .iter()
            .all(|child| !processes::is_alive(*child))
    });
    proxy.finish();
}

#[test]
fn signals_end_with_128_plus_n() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let server = ScriptedServer::new("on start\n grandchild");
        let mut proxy = Proxy::wrap(&server).settings(FAST).start();
        proxy.initialize();
        processes::signal(proxy.process(), signal);
        assert_eq!(proxy.wait_exit().code(), Some(code), "{}", proxy.stderr());
        proxy.check_counts();
        assert_nobody_left(&server, "after a signal");
    }
}

#[test]
fn exit_code_0_although_servers_crashed() {
    let server = ScriptedServer::new("tool die\non tools/call die\n exit 77");
    let mut proxy = Proxy::wrap(&server).settings(FAST).start();
    proxy.initialize();
    assert_lost(&proxy.ask_call("die", json!({})));
    server.wait_start(2);
    assert!(
        proxy.ask("ping", json!({})).get("result").is_some(),
        "the client never sees us exit"
    );
    // `finish` asserts code 0.
    proxy.finish();
}

#[test]
fn exit_code_of_a_child_that_never_shook_hands() {
    for (script, code) in [("on start\n exit 42", 42), ("on initialize\n exit 7", 7)] {
        let server = ScriptedServer::new(script);
        let mut proxy = Proxy::wrap(&server)
            .settings(FAST)
            .settings("restart.park_after = 2")
            .start();
        let answer = proxy.ask("initialize", initialize_params(LEGACY, &json!({})));
        assert_eq!(answer["error"]["code"], -31001, "{answer}");
        proxy.close_stdin();
        assert_eq!(proxy.wait_exit().code(), Some(code), "{}", proxy.stderr());
        proxy.check_counts();
    }
}

#[test]
fn exit_code_127_for_what_cannot_be_executed() {
    let mut proxy = Proxy::wrap_command(&["/no/such/program", "argument"])
        .settings(FAST)
        .start();
    let answer = proxy.ask("initialize", initialize_params(LEGACY, &json!({})));
    assert_eq!(answer["error"]["code"], -31001, "{answer}");
    let text = answer["error"]["message"].as_str().unwrap_or_default();
    assert!(text.contains("/no/such/program"), "which program: {text}");
    proxy.close_stdin();
    assert_eq!(proxy.wait_exit().code(), Some(127), "{}", proxy.stderr());
    assert!(proxy.stderr().contains("/no/such/program"));
    proxy.check_counts();
}

#[test]
fn exit_code_of_a_child_that_fails_after_the_shutdown_began() {
    let server = ScriptedServer::new("on eof\n exit 9");
    let mut proxy = Proxy::wrap(&server)
        .settings("timeouts.term_grace = \"20s\"")
        .start();
    proxy.initialize();
    proxy.close_stdin();
    assert_eq!(proxy.wait_exit().code(), Some(9), "{}", proxy.stderr());
    proxy.check_counts();
}

#[test]
fn stderr_of_the_child_passes_line_by_line() {
    let server = ScriptedServer::new(
        "tool talk\non start\n stderr hello from the start\non tools/call talk\n stderr one\n stderr {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n stderr three\n reply done",
    );
    let mut proxy = Proxy::wrap(&server).start();
    proxy.initialize();
    assert_eq!(proxy.text_of_call("talk", json!({})), "done");
    for line in ["hello from the start", "one", "three"] {
        proxy.wait_stderr(line);
    }
    // Each on a line of its own, in order.
    let log = proxy.stderr();
    let at = |text: &str| {
        log.lines()
            .position(|line| line.ends_with(text) || line.contains(text))
    };
    assert!(at("hello from the start") < at("three"), "{log}");
    assert!(
        proxy
            .messages()
            .iter()
            .all(|message| !message.to_string().contains("hello"))
    );
    proxy.finish();
}

#[test]
fn a_restart_replays_the_session() {
    let server = ScriptedServer::new("tool die\ntool echo\non tools/call die\n exit 1");
    let mut proxy = Proxy::wrap(&server).settings(FAST).start();
    proxy.initialize();
    proxy.ask("logging/setLevel", json!({"level": "debug"}));
    proxy.ask("resources/subscribe", json!({"uri": "file:///a"}));
    proxy.ask("resources/subscribe", json!({"uri": "file:///b"}));
    proxy.ask("resources/unsubscribe", json!({"uri": "file:///a"}));
    assert_lost(&proxy.ask_call("die", json!({"mark": "die"})));
    until_true("a call in the second life", || {
        proxy.ask_call("echo", json!({})).get("result").is_some()
    });
    let lines = server.received();
    let of_life = |life: usize, method: &str| -> Vec<Value> {
        lines
            .iter()
            .filter(|(number, _)| *number == life)
            .filter_map(|(_, line)| serde_json::from_str::<Value>(line).ok())
            .filter(|message| message["method"] == method)
            .collect()
    };
    let (first, second) = (of_life(1, "initialize"), of_life(2, "initialize"));
    assert_eq!(second.len(), 1);
    for key in ["protocolVersion", "capabilities", "clientInfo"] {
        assert_eq!(first[0]["params"][key], second[0]["params"][key], "{key}");
    }
    assert_eq!(of_life(2, "notifications/initialized").len(), 1);
    assert_eq!(
        of_life(2, "logging/setLevel")[0]["params"]["level"],
        "debug"
    );
    let subscribed: Vec<Value> = of_life(2, "resources/subscribe")
        .iter()
        .map(|message| message["params"]["uri"].clone())
        .collect();
    assert_eq!(subscribed, ["file:///b"]);
    // The answers to what was replayed are nobody's: the oracle would see them at the client.
    proxy.wait_log(&["WARN", "state"]);
    proxy.finish();
}

#[test]
fn sigterm_drains() {
    let server = ScriptedServer::new("tool slow\non tools/call slow\n wait gate\n reply done");
    let mut proxy = Proxy::wrap(&server)
        .options("--shutdown-grace 500ms")
        .start();
    proxy.initialize();
    let call = proxy.call("slow", json!({"mark": "slow"}));
    server.wait_received("tools/call", 1);
    let started = Instant::now();
    proxy.terminate();
    // The grace passes: the call gets an answer that says what is known, and we go.
    assert_lost_or_draining(&proxy.answer(call));
    assert_eq!(
        proxy.wait_exit().code(),
        Some(128 + 15),
        "{}",
        proxy.stderr()
    );
    assert!(
        started.elapsed() >= Duration::from_millis(450),
        "the grace was not given"
    );
    proxy.check_counts();
    assert_nobody_left(&server, "after SIGTERM");
}

#[track_caller]
fn assert_lost_or_draining(answer: &Value) {
    let error = &answer["error"];
    assert!(
        error["code"] == -31002 || error["code"] == -31011 || error["code"] == -31003,
        "{answer}"
    );
    assert_eq!(error["data"]["outcome"], "maybe_executed", "{answer}");
}

#[test]
fn pid_1_reaps_and_takes_signals() {
    let server =
        ScriptedServer::new("tool orphans\non tools/call orphans\n orphans 50\n reply done");
    let mut proxy = Proxy::wrap(&server).settings(FAST).in_namespace().start();
    proxy.initialize();
    let inside = until("the proxy below unshare", || {
        processes::children_of(proxy.process()).first().copied()
    });
    assert_eq!(proxy.text_of_call("orphans", json!({})), "done");
    until_true("all orphans are reaped", || {
        processes::zombies_of(inside).is_empty()
    });
    proxy.finish();
}

/// A tool that lean shortens.
const WORDY: &str = r#"tool-raw {"name":"t","inputSchema":{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","properties":{"a":{"type":"string","title":"A"}},"$defs":{"unused":{"type":"string"}}}}"#;

/// The allocator reads its settings from a symbol of the program, which a linker may drop or a new version of it
/// may look for under another name; it says itself what it found.
#[test]
fn the_allocator_has_our_settings() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_mcp-whittle"))
        .arg("--version")
        .env("_RJEM_MALLOC_CONF", "stats_print:true")
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    let ours = "narenas:2,dirty_decay_ms:1000,muzzy_decay_ms:0";
    assert!(said.contains(ours), "{said}");
    assert!(said.contains("opt.narenas: 2\n"), "{said}");
}

#[test]
fn one_proxy_in_front_of_another() {
    let binary = env!("CARGO_BIN_EXE_mcp-whittle");
    let chained = |server: &ScriptedServer, inner_options: &[&str]| -> Vec<String> {
        let mut command = vec![binary.to_owned()];
        command.extend(inner_options.iter().map(|option| (*option).to_owned()));
        command.push("--".to_owned());
        command.extend(server.command());
        command
    };
    let list_of = |proxy: &mut Proxy| {
        let list = proxy.request("tools/list", json!({}));
        proxy.answer(list)["result"]["tools"].clone()
    };
    let once = {
        let server = ScriptedServer::new(WORDY);
        let mut proxy = Proxy::wrap(&server).start();
        proxy.initialize();
        let list = list_of(&mut proxy);
        proxy.finish();
        list
    };
    assert!(once[0]["inputSchema"].get("$defs").is_none(), "{once}");

    let server = ScriptedServer::new(&format!(
        "{WORDY}\ntool echo\ntool die\non tools/call die\n exit 1"
    ));
    let mut proxy = Proxy::wrap_command(&chained(&server, &["--no-state"]))
        .settings(FAST)
        .start();
    proxy.initialize();
    let list = list_of(&mut proxy);
    assert_eq!(list[0], once[0], "shaped once, as by one");
    proxy.wait_stderr("another mcp-whittle is between us and the client");
    assert_eq!(proxy.text_of_call("echo", json!({"n": 1})), r#"{"n":1}"#);
    // A crash at the far end is told through both, and both stay.
    assert_lost(&proxy.ask_call("die", json!({"mark": "die"})));
    until_true("a call after the restart", || {
        proxy.ask_call("echo", json!({})).get("result").is_some()
    });
    proxy.finish();
    assert_nobody_left(&server, "a chain");

    // The outer one shows the originals when it is told to: the inner one sent them.
    let server = ScriptedServer::new(WORDY);
    let mut proxy = Proxy::wrap_command(&chained(&server, &["--no-state"]))
        .options("--surface full")
        .start();
    proxy.initialize();
    let list = list_of(&mut proxy);
    assert!(
        list[0]["inputSchema"].get("$defs").is_some(),
        "the inner hop sends originals: {list}"
    );
    proxy.finish();

    // A chain that is killed at its head leaves nobody.
    let server = ScriptedServer::new("ignore-eof\nignore-term");
    let mut proxy = Proxy::wrap_command(&chained(&server, &["--no-state"])).start();
    proxy.initialize();
    processes::kill(proxy.process());
    proxy.wait_exit();
    assert_nobody_left(&server, "a chain that was killed");
}

/// Broken variant that this catches: stdin with nothing in it, or stdout without room, that does not block, as runtimes
/// leave the sockets that they give their children, counts as closed.
#[test]
fn standard_streams_may_be_such_as_do_not_block() {
    let server = ScriptedServer::new("");
    let folder = tempfile::tempdir().expect("a folder");
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    theirs.set_nonblocking(true).expect("a flag can be set");
    ours.set_read_timeout(Some(GUARD)).expect("a timeout");
    let mut proxy = Command::new(env!("CARGO_BIN_EXE_mcp-whittle"))
        .args(["--no-state", "--"])
        .args(server.command())
        .env("HOME", folder.path())
        .current_dir(folder.path())
        .stdin(OwnedFd::from(theirs.try_clone().expect("a second name")))
        .stdout(OwnedFd::from(theirs))
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let mut lines = BufReader::new(ours.try_clone().expect("a second name")).lines();
    let mut ask = |message: Value| -> Value {
        // Only a broken proxy needs the time, to find nothing to read.
        std::thread::sleep(Duration::from_millis(100));
        writeln!(&ours, "{message}").expect("it is read");
        loop {
            let line = lines.next().expect("an answer").expect("a line in time");
            let answer: Value = serde_json::from_str(&line).expect("JSON");
            if answer["id"] == message["id"] {
                return answer;
            }
        }
    };
    let params = initialize_params(LEGACY, &json!({}));
    let answer = ask(json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}));
    assert!(answer["result"].is_object(), "{answer}");
    // More than a socket holds, to one who reads a moment later.
    let text = "y".repeat(8 << 20);
    let params = json!({"name": "echo", "arguments": {"t": text}});
    let answer = ask(json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params}));
    let echoed = answer["result"]["content"][0]["text"].as_str();
    assert!(echoed.is_some_and(|echoed| echoed.len() > text.len()));
    ours.shutdown(std::net::Shutdown::Write)
        .expect("it is open");
    let status = until("the end of the proxy", || {
        proxy.try_wait().expect("a child")
    });
    assert_eq!(status.code(), Some(0));
    server.assert_gone();
}
