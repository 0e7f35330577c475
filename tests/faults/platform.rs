//! F63–F72: the process and what is around it.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::kit::http_client::{Session, exchange};
use crate::kit::messages::assert_ours;
use crate::kit::start::server_entry;
use crate::kit::{Proxy, ScriptedServer, processes, until_true};

use super::FAST_END;

#[test]
fn f63_memory_stays_bounded() {
    near_the_limit_of_the_container();
    // The bounds that should make that superfluous: requests beyond them are refused, and those in flight
    // live.
    let server =
        ScriptedServer::new("tool slow\non tools/call slow\n wait gate\n reply-size 4000000");
    let mut proxy = Proxy::wrap(&server)
        .settings("limits.max_in_flight_per_session = 20\nlimits.max_queue_bytes = 8388608")
        .start();
    proxy.initialize();
    let calls: Vec<i64> = (0..20)
        .map(|n| proxy.call("slow", json!({"mark": n.to_string()})))
        .collect();
    server.wait_received("tools/call", 20);
    let refused = proxy.ask_call("slow", json!({"mark": "refused"}));
    assert_ours(&refused, -31004, "overloaded", "not_sent");
    proxy.stop_reading();
    proxy.notify("notifications/wake", json!({}));
    server.open("gate");
    crate::kit::within(Duration::from_secs(3), || {
        (processes::memory_kib(proxy.process()) > 80 * 1024).then_some(())
    });
    proxy.read_on();
    for call in calls {
        let answer = proxy.answer(call);
        assert_eq!(
            answer["result"]["content"][0]["text"]
                .as_str()
                .map(str::len),
            Some(4_000_000)
        );
    }
    let peak = processes::peak_memory_kib(proxy.process());
    assert!(
        // Besides what waits, one large result at a time is looked at, to be made smaller.
        peak < 128 * 1024,
        "{peak} KiB for 80 MB that waited for their reader"
    );
    proxy.finish();
}

/// New calls are told to come back, the one in flight lives, and calls go on when there is memory again.
fn near_the_limit_of_the_container() {
    let group = tempfile::tempdir().expect("a folder");
    let write = |name: &str, bytes: &str| {
        // As the kernel does it: never half a number.
        let new = group.path().join("new");
        std::fs::write(&new, bytes).expect("a file");
        std::fs::rename(new, group.path().join(name)).expect("it is there");
    };
    write("memory.max", "100000000\n");
    write("memory.stat", "inactive_file 1000000\n");
    write("memory.current", "20000000\n");
    let script = "tool slow\ntool quick\non tools/call slow\n wait gate\n reply done";
    let server = ScriptedServer::new(script);
    let mut proxy = Proxy::wrap(&server)
        .settings(&format!("limits.memory_watch = {:?}", group.path()))
        .start();
    proxy.initialize();
    let slow = proxy.call("slow", json!({"mark": "slow"}));
    server.wait_received("tools/call", 1);
    write("memory.current", "95000000\n");
    proxy.wait_stderr("told to come back");
    let refused = proxy.ask_call("quick", json!({"mark": "refused"}));
    assert_eq!(refused["result"]["isError"], true, "{refused}");
    let text = refused["result"]["content"][0]["text"]
        .as_str()
        .unwrap_or_default();
    assert!(
        text.contains("memory is short") && text.contains("hint: "),
        "{text}"
    );
    server.open("gate");
    assert_eq!(proxy.answer(slow)["result"]["content"][0]["text"], "done");
    // Where nothing is in flight waiting frees nothing, so one at a time goes on.
    let alone = proxy.ask_call("quick", json!({"mark": "alone"}));
    assert_ne!(alone["result"]["isError"], true, "{alone}");
    write("memory.current", "20000000\n");
    proxy.wait_stderr("enough memory again");
    let later = proxy.ask_call("quick", json!({"mark": "later"}));
    assert_ne!(later["result"]["isError"], true, "{later}");
    proxy.finish();
}

#[test]
fn f64_killed_at_any_point() {
    let state = tempfile::tempdir().expect("a state folder");
    let tools: Vec<String> = (0..200).map(|n| format!("tool t{n}")).collect();
    let server = ScriptedServer::new(&tools.join("\n"));
    let list = |proxy: &mut Proxy| proxy.ask("tools/list", json!({}))["result"]["tools"].clone();
    let mut proxy = Proxy::wrap(&server).state(state.path()).start();
    proxy.initialize();
    let whole = list(&mut proxy);
    proxy.finish();
    for _ in 0..10 {
        let mut proxy = Proxy::wrap(&server).state(state.path()).start();
        proxy.initialize();
        assert_eq!(list(&mut proxy), whole);
        processes::kill(proxy.process());
        proxy.wait_exit();
    }
    // What a power cut leaves: every file cut in half, or full of zeros.
    for damage in [
        |bytes: &[u8]| bytes[..bytes.len() / 2].to_vec(),
        |bytes: &[u8]| vec![0; bytes.len()],
        |_: &[u8]| Vec::new(),
    ] {
        let mut damaged = 0;
        let mut folders = vec![state.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
                if entry.path().is_dir() {
                    folders.push(entry.path());
                    continue;
                }
                let bytes = std::fs::read(entry.path()).expect("a file");
                std::fs::write(entry.path(), damage(&bytes)).expect("it is damaged");
                damaged += 1;
            }
        }
        assert!(damaged > 0, "no snapshot was kept, so this shows nothing");
        let mut proxy = Proxy::wrap(&server).state(state.path()).start();
        proxy.initialize();
        assert_eq!(list(&mut proxy), whole, "a half-written entry was served");
        proxy.finish();
    }
}

#[test]
fn f65_sigterm() {
    let script = "tool slow\non tools/call slow\n wait gate\n reply done";
    let server = ScriptedServer::new(script);
    let mut proxy = Proxy::wrap(&server).options("--shutdown-grace 20s").start();
    proxy.initialize();
    let call = proxy.call("slow", json!({"mark": "slow"}));
    server.wait_received("tools/call", 1);
    proxy.terminate();
    proxy.wait_stderr("signal 15");
    let refused = proxy.ask_call("slow", json!({"mark": "refused"}));
    assert_ours(&refused, -31011, "draining", "not_sent");
    server.open("gate");
    assert_eq!(proxy.answer(call)["result"]["content"][0]["text"], "done");
    // On stdio the code tells the signal, as of any program in a pipe; a service (below) ends with 0.
    assert_eq!(
        proxy.wait_exit().code(),
        Some(128 + 15),
        "{}",
        proxy.stderr()
    );
    proxy.check_counts();
    server.assert_gone();

    // A second signal does not wait.
    let server = ScriptedServer::new(script);
    let mut proxy = Proxy::wrap(&server).options("--shutdown-grace 60s").start();
    proxy.initialize();
    let call = proxy.call("slow", json!({"mark": "slow"}));
    server.wait_received("tools/call", 1);
    proxy.terminate();
    proxy.wait_stderr("signal 15");
    let started = Instant::now();
    proxy.terminate();
    let status = proxy.wait_exit();
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(status.code(), Some(128 + 15), "{status}");
    proxy.oracle(|oracle| oracle.may_stay_open(&call.to_string()));
    proxy.check_counts();
    until_true("no survivors", || server.survivors().is_empty());

    // Over HTTP: not ready, no new connections, listen streams end, in flight ends well.
    let server = ScriptedServer::new(script);
    let mut proxy = Proxy::wrap(&server)
        .listening()
        .options("--admin-listen 127.0.0.1:0 --shutdown-grace 20s")
        .start();
    let (address, admin) = (proxy.address(), proxy.address_after("health on"));
    let session = Session::open(address);
    let ready = |wanted: u16| {
        exchange(admin, b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").status == wanted
    };
    until_true("it is ready", || ready(200));
    let mut listening = session.listen();
    assert_eq!(listening.status, 200);
    let call = {
        let session = session.clone();
        std::thread::spawn(move || session.call(1, "slow", json!({"mark": "http"})))
    };
    server.wait_received("tools/call", 1);
    let began = Instant::now();
    proxy.terminate();
    until_true("it is not ready", || ready(503));
    // All of this long before the grace is over, as a call is still in flight.
    while listening.line().is_some() {}
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "the listen stream did not end"
    );
    until_true("nobody new is let in", || {
        std::net::TcpStream::connect(address).is_err()
    });
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "new connections were let in"
    );
    server.open("gate");
    let answer = call.join().expect("the client ends");
    assert_eq!(answer["result"]["content"][0]["text"], "done", "{answer}");
    assert_eq!(proxy.wait_exit().code(), Some(0), "{}", proxy.stderr());
}

#[test]
fn f66_sidecar_order() {
    // A native sidecar gets SIGTERM after its app has ended: nobody is connected, and it goes at once.
    let server = ScriptedServer::new("");
    let mut proxy = Proxy::wrap(&server).listening().settings(FAST_END).start();
    let session = Session::open(proxy.address());
    // Until then the app's calls work, also with a client that has just gone.
    assert!(session.call(1, "echo", json!({})).get("result").is_some());
    session.listen().hang_up();
    assert!(session.call(2, "echo", json!({})).get("result").is_some());
    let started = Instant::now();
    proxy.terminate();
    assert_eq!(proxy.wait_exit().code(), Some(0), "{}", proxy.stderr());
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    server.assert_gone();
}

#[test]
fn f67_bad_configuration_on_reload() {
    let old = ScriptedServer::new("tool old\non tools/call old\n wait gate\n reply done");
    let new = ScriptedServer::new("tool new");
    let proxy = Proxy::servers(&[("old", &old)]).listening().start();
    let address = proxy.address();
    let session = Session::open(address);
    let call = {
        let session = session.clone();
        std::thread::spawn(move || session.call(1, "old__old", json!({"mark": "1"})))
    };
    old.wait_received("tools/call", 1);
    let file = proxy.folder().join("settings.toml");
    let reload = || processes::signal(proxy.process(), rustix::process::Signal::HUP);
    let names = |session: &Session| {
        let list = session
            .post(&json!({"jsonrpc": "2.0", "id": 5, "method": "tools/list"}))
            .answer();
        list["result"]["tools"].to_string()
    };
    // A bad file: the old one stays and the log says what is wrong where.
    std::fs::write(&file, "limits.max_frame_bytes = \"much\"\n[servers.old]\n")
        .expect("it is written");
    reload();
    proxy.wait_stderr("max_frame_bytes");
    assert!(names(&Session::open(address)).contains("old__old"));
    // A good one: new sessions see it.
    std::fs::write(&file, server_entry("new", &new.command())).expect("it is written");
    reload();
    // Sessions that begin in the very moment of the reload are answered too.
    until_true("a new session sees the new file", || {
        names(&Session::open(address)).contains("new__new")
    });
    // What is in flight ends on the old version, although its server is in the file no more.
    old.open("gate");
    let answer = call.join().expect("the client ends");
    assert_eq!(answer["result"]["content"][0]["text"], "done", "{answer}");
}

/// Every level, format and kind of secret in `tests/security/canary.rs`.
#[test]
fn f71_secrets_in_no_sink() {
    crate::security::canary::no_secret_is_in_any_sink("info", "text");
}

/// A process that is stopped for longer than anything may take, as a laptop is that sleeps.
#[test]
fn f68_sleep_and_wake() {
    const PAUSE: Duration = Duration::from_secs(12);
    let script = "tool slow\non tools/call slow\n wait gate\n reply done";
    let (awake, asleep) = (ScriptedServer::new(script), ScriptedServer::new(""));
    let mut proxy = Proxy::servers(&[("awake", &awake), ("asleep", &asleep)])
        .options("--request-timeout 8s")
        .settings("timeouts.probe_timeout = \"2s\"")
        .start();
    proxy.initialize();
    let call = proxy.call("awake__slow", json!({"mark": "1"}));
    awake.wait_received("tools/call", 1);
    let stopped = asleep.wait_start(1);
    for process in [stopped, proxy.process()] {
        processes::signal(process, rustix::process::Signal::STOP);
    }
    awake.open("gate");
    std::thread::sleep(PAUSE);
    processes::signal(proxy.process(), rustix::process::Signal::CONT);
    // Its deadline has passed while nobody could tell it the answer, which it gets now.
    let answer = proxy.answer(call);
    assert_eq!(answer["result"]["content"][0]["text"], "done", "{answer}");
    // A server that did not wake is noticed before anybody calls it, and started again.
    proxy.wait_stderr("did not run for a while");
    proxy.wait_stderr("no sign of life");
    let again = asleep.wait_start(2);
    assert_ne!(again, stopped);
    assert!(!processes::is_alive(stopped));
    assert_eq!(
        proxy.text_of_call("asleep__echo", json!({"n": 1})),
        r#"{"n":1}"#
    );
    assert_eq!(awake.starts().len(), 1);
    proxy.finish();
}

/// The handle in a shortened text.
fn handle_in(text: &str) -> String {
    let (_, rest) = text
        .split_once("r_")
        .unwrap_or_else(|| panic!("no handle: {text}"));
    let end = rest
        .find(|letter: char| !letter.is_ascii_alphanumeric())
        .unwrap_or(rest.len());
    format!("r_{}", &rest[..end])
}

#[test]
fn f72_proxy_in_front_of_proxy() {
    // Two servers, each behind a hop of its own, all behind one more, which is the client's.
    let rows = |name: &str| -> String {
        let rows: Vec<String> = (0..2000)
            .map(|n| format!("{{\\\"{name}\\\":{n}}}"))
            .collect();
        format!(
            "tool many\non tools/call many\n result {{\"content\":[{{\"type\":\"text\",\"text\":\"[{}]\"}}]}}",
            rows.join(",")
        )
    };
    let servers = [
        ScriptedServer::new(&rows("left")),
        ScriptedServer::new(&rows("right")),
    ];
    let states = [
        tempfile::tempdir().expect("a folder"),
        tempfile::tempdir().expect("a folder"),
    ];
    let behind = |index: usize| -> Vec<String> {
        let state = states[index].path().display().to_string();
        let ours = [
            crate::peers_kit::PROXY,
            "--result-cap",
            "500",
            "--state-dir",
            &state,
            "--",
        ];
        let mut words: Vec<String> = ours.map(str::to_owned).into();
        words.extend(servers[index].command());
        words
    };
    let start = |outer: &str, inner: [Vec<String>; 2]| {
        let [left, right] = inner;
        let builder = Proxy::wrap_command::<&str>(&[]).options(outer);
        let mut proxy = builder
            .server("left", &left)
            .server("right", &right)
            .start();
        proxy.initialize();
        proxy.ask("tools/list", json!({}));
        proxy
    };
    let direct = |index: usize| servers[index].command();
    let mut texts = Vec::new();
    for inner in [[behind(0), behind(1)], [direct(0), direct(1)]] {
        let mut proxy = start("--result-cap 500", inner);
        texts.push(
            ["left", "right"].map(|side| proxy.text_of_call(&format!("{side}__many"), json!({}))),
        );
        for (side, text) in ["left", "right"].iter().zip(&texts[texts.len() - 1]) {
            let whole = proxy.text_of_call("read_result", json!({"handle": handle_in(text)}));
            assert!(whole.contains(side), "{whole}");
        }
        proxy.finish();
    }
    // The outer hop had the whole: what it says of it is the same with nothing between it and the server.
    let about = |text: &String| text.lines().next().map(str::to_owned);
    assert_eq!(
        texts[0].each_ref().map(about),
        texts[1].each_ref().map(about)
    );
    assert!(
        texts[0]
            .iter()
            .all(|text| text.matches("SAMPLE").count() == 1)
    );
    let handles: Vec<String> = texts.iter().flatten().map(|text| handle_in(text)).collect();
    let different: std::collections::BTreeSet<&String> = handles.iter().collect();
    assert_eq!(different.len(), 4, "{handles:?}");
    // Hops count themselves, and what an inner one keeps is nobody's but its own.
    let hops = |server: &ScriptedServer| -> Vec<serde_json::Value> {
        let initialized = server.received_of("initialize");
        initialized
            .iter()
            .map(|message| message["params"]["_meta"]["dev.mcp-whittle/hop"].clone())
            .collect()
    };
    assert_eq!(hops(&servers[0]), [2, 1]);

    // A listener before itself, and a configuration that names itself: refused, and said by whom.
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.local_addr().expect("an address").port()
    };
    let address = format!("127.0.0.1:{port}");
    let proxy = Proxy::upstream(&format!("http://{address}/mcp"))
        .options(&format!("--listen {address}"))
        .start();
    proxy.wait_stderr("listening");
    let params = crate::kit::messages::initialize_params(crate::kit::messages::LEGACY, &json!({}));
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
    let answer = crate::kit::http_client::post(proxy.address(), &[], &body).answer();
    assert!(
        answer["error"]
            .to_string()
            .contains("lead back to one another"),
        "{answer}"
    );

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("settings.toml");
    let words = [
        crate::peers_kit::PROXY,
        "--no-state",
        "--config",
        &file.display().to_string(),
    ];
    let entry = server_entry("itself", &words.map(str::to_owned));
    std::fs::write(&file, entry).expect("it is written");
    let mut proxy = Proxy::wrap_command::<&str>(&[])
        .options(&format!("--config {}", file.display()))
        .start();
    let params = crate::kit::messages::initialize_params(crate::kit::messages::LEGACY, &json!({}));
    let answer = proxy.ask("initialize", params);
    assert!(answer["error"].is_object(), "{answer}");
    let me = file.display().to_string();
    // Each has its guard, which is a copy of it.
    let (guards, started): (Vec<i32>, Vec<i32>) = processes::running("mcp-whittle", &me)
        .into_iter()
        .partition(|process| processes::is_called(*process, "guard"));
    assert!(started.len() <= 18, "{} processes", started.len());
    assert!(guards.len() <= started.len(), "{} guards", guards.len());
    proxy.finish();
    until_true("nothing is left", || {
        processes::running("mcp-whittle", &me).is_empty()
    });
}
