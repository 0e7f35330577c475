//! The result cache, seen from outside: a server that counts what reaches it.

pub(crate) mod redis;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::kit::http_client::{Response, post};
use crate::kit::messages::{LEGACY, initialize_params};
use crate::kit::proxy::Proxy;
use crate::kit::start::ProxyBuilder;
use crate::kit::until;

/// A counting server and its folder (`examples/counting_server.rs`).
#[derive(Debug)]
pub(crate) struct Counting {
    folder: TempDir,
}

impl Counting {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    pub(crate) fn command(&self) -> Vec<String> {
        vec![
            program().display().to_string(),
            self.path().display().to_string(),
        ]
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// How often a tool was called.
    pub(crate) fn count(&self, tool: &str) -> usize {
        let calls = std::fs::read_to_string(self.path().join("calls")).unwrap_or_default();
        let prefix = format!("{tool} ");
        calls
            .lines()
            .filter(|line| line.starts_with(&prefix))
            .count()
    }

    /// Somebody else writes: nobody is told.
    pub(crate) fn set(&self, value: u64) {
        std::fs::write(self.path().join("value"), value.to_string()).expect("a value");
    }

    /// Makes it say that its tools changed.
    pub(crate) fn announce(&self) {
        std::fs::write(self.path().join("announce"), "").expect("an announcement");
    }

    /// A proxy with this server, which keeps answers of `read`.
    pub(crate) fn proxy(&self) -> ProxyBuilder {
        Proxy::wrap_command(&self.command()).options("--cache-tools read=60s")
    }
}

/// The built example; a single `cargo test --test it` does not build it.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let test = std::env::current_exe().expect("the test has a path");
        let profile = test.ancestors().nth(2).expect("target/PROFILE/deps");
        let program = profile.join("examples/counting_server");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/counting_server.rs");
        let modified = |path: &Path| path.metadata().and_then(|about| about.modified()).ok();
        if modified(&program) < modified(&source) {
            let status = Command::new(env!("CARGO"))
                .args(["build", "--quiet", "--example", "counting_server"])
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .status();
            assert!(status.is_ok_and(|status| status.success()));
        }
        program
    })
}

/// Shakes hands and reads the list: without it nothing is kept.
pub(crate) fn begin(proxy: &mut Proxy) {
    proxy.initialize();
    proxy.ask("tools/list", json!({}));
}

pub(crate) fn is_hit(answer: &Value) -> bool {
    answer["result"]["_meta"]["dev.mcp-whittle/cache"]["hit"] == json!(true)
}

pub(crate) fn text(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"]
        .as_str()
        .unwrap_or_else(|| panic!("no text: {answer}"))
}

/// A client of the listener with a token of its own.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    session: String,
    token: String,
}

impl Client {
    pub(crate) fn open(address: SocketAddr, token: &str) -> Self {
        let mut client = Self {
            address,
            session: String::new(),
            token: format!("Bearer {token}"),
        };
        let params = initialize_params(LEGACY, &json!({}));
        let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
        let response = post(address, &[("Authorization", &client.token)], &hello).expect(200);
        client.session = response.header("mcp-session-id").expect("a session").into();
        response.answer();
        client
            .post(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))
            .expect(202);
        client
            .post(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}))
            .answer();
        client
    }

    pub(crate) fn post(&self, body: &Value) -> Response {
        let headers = [
            ("Authorization", self.token.as_str()),
            ("Mcp-Session-Id", &self.session),
            ("MCP-Protocol-Version", LEGACY),
        ];
        post(self.address, &headers, body)
    }

    pub(crate) fn call(&self, id: i64, tool: &str, arguments: &Value) -> Value {
        let params = json!({"name": tool, "arguments": arguments});
        self.post(&json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}))
            .answer()
    }
}

#[test]
fn a_granted_call_is_answered_from_the_cache_until_its_time_is_over() {
    let server = Counting::new();
    let mut proxy = Proxy::wrap_command(&server.command())
        .options("--cache-tools read=1s")
        .start();
    begin(&mut proxy);
    let first = proxy.ask_call("read", json!({"a": 1, "b": "x"}));
    assert!(!is_hit(&first));
    server.set(7);
    let again = proxy.ask_call("read", json!({"b": "x", "a": 1}));
    assert!(is_hit(&again) && text(&again) == "value 0", "{again}");
    assert_eq!(again["result"]["content"], first["result"]["content"]);
    assert_eq!(server.count("read"), 1);
    let late = until("the end of its time", || {
        let late = proxy.ask_call("read", json!({"a": 1, "b": "x"}));
        (!is_hit(&late)).then_some(late)
    });
    assert_eq!(text(&late), "value 7");
    assert_eq!(server.count("read"), 2);
    proxy.finish();
}

#[test]
fn nothing_is_kept_without_a_grant() {
    let server = Counting::new();
    let mut proxy = Proxy::wrap_command(&server.command()).start();
    begin(&mut proxy);
    for _ in 0..3 {
        assert!(!is_hit(&proxy.ask_call("read", json!({}))));
    }
    assert_eq!(server.count("read"), 3);
    proxy.finish();
}

#[test]
fn a_request_says_what_it_wants_and_a_notice_of_change_ends_what_was_kept() {
    let server = Counting::new();
    let mut proxy = server.proxy().start();
    begin(&mut proxy);
    let wish = |proxy: &mut Proxy, wish: &str| {
        let meta = json!({"dev.mcp-whittle/cache": wish});
        proxy.ask(
            "tools/call",
            json!({"name": "read", "arguments": {}, "_meta": meta}),
        )
    };
    let none = wish(&mut proxy, "only-if-cached");
    assert_eq!(none["error"]["data"]["kind"], "not_cached");
    assert_eq!(server.count("read"), 0);
    proxy.ask_call("read", json!({}));
    assert!(is_hit(&wish(&mut proxy, "only-if-cached")));
    server.set(5);
    assert_eq!(text(&wish(&mut proxy, "no-cache")), "value 5");
    assert_eq!(text(&proxy.ask_call("read", json!({}))), "value 5");
    assert_eq!(server.count("read"), 2);
    server.set(6);
    server.announce();
    until("an answer after the notice", || {
        let read = proxy.ask_call("read", json!({}));
        (text(&read) == "value 6").then_some(())
    });
    proxy.finish();
}

#[test]
fn the_rules_of_a_file_are_followed() {
    let server = Counting::new();
    let mut proxy = Proxy::wrap_command::<&str>(&[])
        .server("s", &server.command())
        .settings(
            "[cache.tools]\n\"s/read\" = { ttl = \"60s\", invalidated_by = [\"s/fail\"], vary = [\"x/who\"], stale_if_error = \"60s\" }\n",
        )
        .start();
    begin(&mut proxy);
    let read = |proxy: &mut Proxy, who: &str| {
        let meta = json!({"x/who": who});
        proxy.ask(
            "tools/call",
            json!({"name": "s__read", "arguments": {}, "_meta": meta}),
        )
    };
    read(&mut proxy, "a");
    proxy.ask_call("s__write", json!({}));
    assert!(is_hit(&read(&mut proxy, "a")), "only `fail` ends it");
    assert_eq!(text(&read(&mut proxy, "b")), "value 1");
    proxy.ask_call("s__fail", json!({}));
    assert_eq!(text(&read(&mut proxy, "a")), "value 1");
    assert_eq!(server.count("read"), 3);
    proxy.finish();
}

#[test]
fn processes_of_one_user_share_answers_and_writes_on_disk() {
    let server = Counting::new();
    let state = tempfile::tempdir().unwrap();
    let start = || {
        let mut proxy = server
            .proxy()
            .state(state.path())
            .settings("cache.disk = \"1MiB\"")
            .start();
        begin(&mut proxy);
        proxy
    };
    let (mut one, mut two) = (start(), start());
    one.ask_call("read", json!({}));
    let stats = || -> Value {
        let output = Command::new(env!("CARGO_BIN_EXE_mcp-whittle"))
            .args(["cache", "stats", "--json", "--state-dir"])
            .arg(state.path())
            .output()
            .expect("it runs");
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    until("the answer on disk", || {
        (stats()["kept"]["disk"]["answers"] == json!(1)).then_some(())
    });
    let theirs = two.ask_call("read", json!({}));
    assert!(is_hit(&theirs), "{theirs}\n{}", two.stderr());
    assert_eq!(server.count("read"), 1);
    // A write through one is seen through the other.
    one.ask_call("write", json!({}));
    assert_eq!(text(&two.ask_call("read", json!({}))), "value 1");
    assert_eq!(text(&one.ask_call("read", json!({}))), "value 1");
    one.finish();
    two.finish();
    let counted = stats();
    assert!(counted["processes"].as_u64() >= Some(1), "{counted}");
    let purged = Command::new(env!("CARGO_BIN_EXE_mcp-whittle"))
        .args(["cache", "purge", "--state-dir"])
        .arg(state.path())
        .output()
        .expect("it runs");
    assert!(String::from_utf8_lossy(&purged.stdout).contains("removed"));
    let mut three = start();
    assert!(!is_hit(&three.ask_call("read", json!({}))));
    three.finish();
}

#[test]
fn mistakes_in_the_settings_are_named() {
    for (toml, expected) in [
        ("[cache.tools]\n\"s/read\" = {}\n", "no `ttl`"),
        ("[cache.servers.s]\ntrusted = true\n", "no `ttl`"),
        ("[cache]\nredis = \"http://x\"\n", "not a URL of Redis"),
        ("[cache]\nmax_byte = 1\n", "max_bytes"),
        (
            "[cache]\ndisk = \"1MiB\"\nredis = \"redis://localhost\"\n",
            "both set",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.toml");
        std::fs::write(&file, format!("{toml}[servers.s]\ncommand = \"true\"\n")).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_mcp-whittle"))
            .args(["config", "check", "--no-state", "--config"])
            .arg(&file)
            .output()
            .expect("it runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{toml}: {stderr}");
        assert!(stderr.contains(expected), "{toml}: {stderr}");
    }
}
