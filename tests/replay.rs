//! `replay` as a process: the built binary, lines in, lines out.
#![expect(clippy::unwrap_used, reason = "a failure of the fixture is the test's")]

mod sdk;
mod transparent;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use mcp_whittle::capture::demo;
use serde_json::{Value, json};

/// How long a step may take on a busy machine before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);
const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

struct Server {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Server {
    fn start(folder: &Path, options: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mcp-whittle"))
            .arg("replay")
            .arg(folder)
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self {
            stdin: child.stdin.take(),
            child,
            lines,
        }
    }

    fn say(&mut self, line: impl AsRef<[u8]>) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(line.as_ref()).unwrap();
        stdin.write_all(b"\n").unwrap();
        stdin.flush().unwrap();
    }

    fn hear(&self) -> Value {
        let line = self.lines.recv_timeout(PATIENCE).expect("an answer comes");
        serde_json::from_str(&line).unwrap()
    }

    /// Closes stdin and returns the exit code and what was still said.
    fn end(mut self) -> (Option<i32>, Vec<String>) {
        drop(self.stdin.take());
        let start = Instant::now();
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None if start.elapsed() > PATIENCE => panic!("it does not end with stdin"),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        (status.code(), self.lines.iter().collect())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn both_eras_are_answered_from_the_demo_recording() {
    let parent = tempfile::tempdir().unwrap();
    let folders = demo::write_to(parent.path()).unwrap();
    let at = demo::SERVERS
        .iter()
        .position(|server| server.name == demo::CALL.server);
    let mut server = Server::start(&folders[at.unwrap()], &[]);
    server.say("garbage");
    assert_eq!(server.hear()["error"]["code"], -32700);
    server.say(r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{}}}"#);
    assert_eq!(server.hear()["result"]["protocolVersion"], "2025-06-18");
    server.say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    let arguments = demo::CALL.arguments;
    let tool = demo::CALL.tool;
    let params = format!("\"name\":\"{tool}\",\"arguments\":{arguments}");
    server.say(format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/call\",\"params\":{{{params}}}}}"
    ));
    let legacy = server.hear();
    assert_eq!(legacy["id"], 2);
    assert_eq!(legacy["result"]["isError"], false);
    server.say(format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"tools/call\",\"params\":{{{params},{META}}}}}"
    ));
    let mut modern = server.hear();
    assert_eq!(modern["result"]["resultType"], "complete");
    modern["result"]
        .as_object_mut()
        .unwrap()
        .remove("resultType");
    assert_eq!(modern["result"], legacy["result"]);
    server.say(format!("{{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"tools/call\",\"params\":{{\"name\":\"{tool}\",\"arguments\":{{\"x\":1}}}}}}"));
    let unknown = server.hear();
    assert_eq!(unknown["error"]["code"], -32602);
    assert!(
        unknown["error"]["message"]
            .as_str()
            .unwrap()
            .contains("not in the recording")
    );
    assert_eq!(server.end(), (Some(0), Vec::new()));
}

#[test]
fn a_delayed_answer_still_comes_after_the_end_of_input() {
    let parent = tempfile::tempdir().unwrap();
    let folders = demo::write_to(parent.path()).unwrap();
    let mut server = Server::start(&folders[0], &["--era", "modern", "--delay", "300ms"]);
    let start = Instant::now();
    for id in 0..20 {
        server.say(format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tools/list\",\"params\":{{{META}}}}}"
        ));
    }
    let (code, said) = server.end();
    assert!(start.elapsed() >= Duration::from_millis(300));
    let ids: Vec<Value> = said
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].clone())
        .collect();
    let expected: Vec<Value> = (0..20).map(|id| json!(id)).collect();
    assert_eq!((code, ids), (Some(0), expected));
}

const ALPHABET: &[u8] = b"{}[]\",:0e- tfn\xc3\xa9\xff\n\0idmethod";

#[test]
fn random_bytes_are_survived() {
    let parent = tempfile::tempdir().unwrap();
    let folders = demo::write_to(parent.path()).unwrap();
    let mut server = Server::start(&folders[0], &[]);
    // A fixed sequence of pseudo-random bytes (xorshift), with newlines often enough. No
    // backslashes: before a character outside ASCII they make the shared unescaping panic.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..400 {
        let bytes: Vec<u8> = (0..50)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                ALPHABET[(state % ALPHABET.len() as u64) as usize]
            })
            .collect();
        server.say(bytes);
    }
    server.say(r#"{"jsonrpc":"2.0","id":"end","method":"ping"}"#);
    loop {
        let answer = server.hear();
        if answer["id"] == "end" {
            break;
        }
        assert!(answer["error"]["code"].as_i64().is_some(), "{answer}");
    }
    assert_eq!(server.end().0, Some(0));
}

#[test]
fn a_folder_that_is_no_capture_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let check = |expected: &str| {
        let run = Command::new(env!("CARGO_BIN_EXE_mcp-whittle"))
            .arg("replay")
            .arg(folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&run.stderr).into_owned();
        assert_eq!(run.status.code(), Some(1), "{told}");
        assert!(run.stdout.is_empty() && told.contains(expected), "{told}");
    };
    check("hint: it needs at least one of");
    std::fs::write(folder.path().join("tools.json"), "{}\n{").unwrap();
    check("tools.json:2");
}
