//! Plays the script: finds the rule for a message and takes its steps, else answers as a plain server.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use crate::append;
use crate::json::{get, path, quote, text_at};
use crate::plain::{response, text_result};
use crate::script::{Rule, Script, Step, tool};

pub(super) const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";

/// The server and what it remembers.
pub(crate) struct Server {
    pub(crate) script: Script,
    pub(crate) directory: PathBuf,
    pub(crate) life: usize,
    pub(super) tools: Mutex<Vec<String>>,
    seen: Mutex<HashMap<usize, usize>>,
    cancelled: Mutex<HashSet<String>>,
    on_cancel: Condvar,
    asked: Mutex<HashMap<String, Sender<String>>>,
    next_ask: AtomicU64,
    chunk: AtomicUsize,
    output: Mutex<()>,
}

/// What a step can refer to.
struct Scene {
    message: String,
    id: String,
    answer: String,
}

impl Server {
    pub(crate) fn new(script: Script, directory: PathBuf, life: usize) -> Self {
        Self {
            tools: Mutex::new(script.tools.clone()),
            script,
            directory,
            life,
            seen: Mutex::default(),
            cancelled: Mutex::default(),
            on_cancel: Condvar::new(),
            asked: Mutex::default(),
            next_ask: AtomicU64::new(9000),
            chunk: AtomicUsize::new(0),
            output: Mutex::new(()),
        }
    }

    /// Plays the rule of an event that is no message.
    pub(crate) fn happened(&self, event: &str) {
        if let Some(rule) = self.rule(event, "") {
            self.play(&rule.steps, "", "");
        }
    }

    /// Takes answers and cancellations, which must not wait behind anything.
    pub(crate) fn noted(&self, line: &str) -> bool {
        match get(line, "method") {
            None => {
                let id = get(line, "id").unwrap_or_default();
                if let Some(waiting) = lock(&self.asked).remove(id) {
                    let _ = waiting.send(line.to_owned());
                }
                true
            }
            Some(r#""notifications/cancelled""#) => {
                if let Some(id) = path(line, &["params", "requestId"]) {
                    lock(&self.cancelled).insert(id.to_owned());
                    self.on_cancel.notify_all();
                }
                false
            }
            _ => false,
        }
    }

    /// Answers a message.
    pub(crate) fn handle(&self, line: &str) {
        if self.script.is_serial && self.noted(line) {
            return;
        }
        let Some(method) = text_at(line, &["method"]) else {
            return;
        };
        let name = text_at(line, &["params", "name"])
            .or_else(|| text_at(line, &["params", "uri"]))
            .unwrap_or_default();
        if method == "tools/call"
            && let Some(mark) = text_at(line, &["params", "arguments", "mark"])
        {
            append(&self.directory, "marks", &mark);
        }
        let id = get(line, "id").unwrap_or_default();
        match self.rule(&method, &name) {
            Some(rule) => self.play(&rule.steps, line, id),
            None if !id.is_empty() => self.answer_plainly(&method, &name, line, id),
            None => {}
        }
    }

    fn rule(&self, event: &str, name: &str) -> Option<Rule> {
        let mut seen = lock(&self.seen);
        for (index, rule) in self.script.rules.iter().enumerate() {
            let fits = rule.event == event
                && rule.name.as_deref().is_none_or(|wanted| wanted == name)
                && rule.life.is_none_or(|life| life == self.life);
            if !fits {
                continue;
            }
            let count = seen.entry(index).or_default();
            *count += 1;
            if rule.nth.is_none_or(|nth| nth == *count) {
                return Some(rule.clone());
            }
        }
        None
    }

    fn play(&self, steps: &[Step], message: &str, id: &str) {
        let mut scene = Scene {
            message: message.to_owned(),
            id: id.to_owned(),
            answer: String::new(),
        };
        for step in steps {
            self.step(step, &mut scene);
        }
    }

    fn step(&self, step: &Step, scene: &mut Scene) {
        let rest = self.filled(&step.rest, scene);
        let number = || rest.parse::<usize>().unwrap_or(1);
        let is_modern = path(&scene.message, &["params", "_meta", VERSION_KEY]).is_some();
        match step.verb.as_str() {
            "plainly" => {
                let method = text_at(&scene.message, &["method"]).unwrap_or_default();
                let name = text_at(&scene.message, &["params", "name"]).unwrap_or_default();
                self.answer_plainly(&method, &name, &scene.message, &scene.id);
            }
            "reply" => self.result(&scene.id, &text_result(&rest), is_modern),
            "reply-size" => {
                self.result(&scene.id, &text_result(&"x".repeat(number())), is_modern);
            }
            "result" => self.result(&scene.id, &rest, is_modern),
            "error" => {
                let (code, text) = rest.split_once(' ').unwrap_or((&rest, "error"));
                self.error(&scene.id, code.parse().unwrap_or(-32603), text);
            }
            // The response to this request, padded so that its line has exactly so many bytes.
            "reply-line-of" => {
                let empty = response(&scene.id, &text_result(""), is_modern);
                let padding = "x".repeat(number().saturating_sub(empty.len()));
                self.result(&scene.id, &text_result(&padding), is_modern);
            }
            "line" => self.line(&rest),
            "text" => self.write(rest.as_bytes()),
            "bytes" => self.write(&decode_base64(&rest)),
            "fill" => {
                let block = vec![b'x'; 1 << 16];
                let mut left = number();
                while left > 0 {
                    let size = left.min(block.len());
                    self.write(&block[..size]);
                    left -= size;
                }
            }
            "newline" => self.write(b"\n"),
            "split" => self.chunk.store(number(), Ordering::SeqCst),
            "sleep" => std::thread::sleep(Duration::from_millis(number() as u64)),
            "stall" => loop {
                std::thread::park();
            },
            "wait" => self.wait_for_file(&rest),
            "signal" => append(&self.directory, &rest, ""),
            "wait-cancel" => {
                let mut cancelled = lock(&self.cancelled);
                while !cancelled.contains(&scene.id) {
                    cancelled = self
                        .on_cancel
                        .wait(cancelled)
                        .unwrap_or_else(|error| error.into_inner());
                }
            }
            "stderr" => complain(&rest),
            "flood-stderr" => {
                for n in 0..number() {
                    complain(&format!("line {n} of a flood {}", "e".repeat(80)));
                }
            }
            "exit" => std::process::exit(rest.parse().unwrap_or(0)),
            "abort" => std::process::abort(),
            "freeze" => {
                let _ = Command::new("kill")
                    .args(["-STOP", &std::process::id().to_string()])
                    .status();
            }
            "close-stdout" => close(1),
            "close-stdin" => close(0),
            "grandchild" => self.grandchild(&rest),
            "orphans" => {
                // Each pair of parentheses ends at once and leaves its child to whoever adopts it.
                let script = "n=0; while [ $n -lt $0 ]; do (: &); n=$((n+1)); done";
                let count = number().to_string();
                let _ = Command::new("sh").args(["-c", script, &count]).status();
            }
            "progress" => {
                for n in 1..=number() {
                    self.progress(scene, n);
                }
            }
            "progress-forever" => {
                for n in 1.. {
                    self.progress(scene, n);
                    std::thread::sleep(Duration::from_millis(number() as u64));
                }
            }
            "log" => {
                for n in 1..=number() {
                    self.line(&format!(
                        r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"level":"info","data":"{n} {}"}}}}"#,
                        "d".repeat(200)
                    ));
                }
            }
            "numbered" => {
                for n in 1..=number() {
                    self.line(&format!(
                        r#"{{"jsonrpc":"2.0","method":"notifications/vendor.example/n","params":{{"n":{n}}}}}"#
                    ));
                }
            }
            "list-changed" => {
                for _ in 0..number() {
                    self.line(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
                }
            }
            "notify" => {
                let (method, params) = rest.split_once(' ').unwrap_or((&rest, "{}"));
                self.line(&format!(
                    r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#
                ));
            }
            "ask" => scene.answer = self.ask(&rest),
            "tools" => {
                *lock(&self.tools) = rest.split_whitespace().map(tool).collect();
            }
            other => complain(&format!("unknown step `{other}`")),
        }
    }

    fn filled(&self, text: &str, scene: &Scene) -> String {
        if !text.contains('$') {
            return text.to_owned();
        }
        let message = scene.message.as_str();
        let token = path(message, &["params", "_meta", "progressToken"]).unwrap_or("null");
        let arguments = path(message, &["params", "arguments"]).unwrap_or("{}");
        text.replace("$id", &scene.id)
            .replace("$token", token)
            .replace("$arguments", arguments)
            .replace("$answer", &scene.answer)
            .replace("$life", &self.life.to_string())
            .replace("$pid", &std::process::id().to_string())
    }

    fn progress(&self, scene: &Scene, n: usize) {
        if let Some(token) = path(&scene.message, &["params", "_meta", "progressToken"]) {
            self.line(&format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":{n}}}}}"#
            ));
        }
    }

    fn ask(&self, rest: &str) -> String {
        let (method, params) = rest.split_once(' ').unwrap_or((rest, "{}"));
        let id = self.next_ask.fetch_add(1, Ordering::SeqCst).to_string();
        let (sender, receiver) = channel();
        lock(&self.asked).insert(id.clone(), sender);
        self.line(&format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#
        ));
        receiver.recv().unwrap_or_default()
    }

    fn grandchild(&self, kind: &str) {
        let program = std::env::current_exe().expect("this program has a path");
        let mut command = Command::new("sh");
        command
            .args(["-c", r#"trap "" TERM INT HUP; exec "$@""#, "sh"])
            .arg(program)
            .arg("sleep")
            .arg(&self.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if kind == "own-group" {
            command.process_group(0);
        }
        if let Ok(child) = command.spawn() {
            append(&self.directory, "children", &child.id().to_string());
        }
    }

    fn wait_for_file(&self, name: &str) {
        let file = self.directory.join(name);
        while !file.exists() {
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub(super) fn result(&self, id: &str, result: &str, is_modern: bool) {
        self.line(&response(id, result, is_modern));
    }

    pub(super) fn error(&self, id: &str, code: i64, text: &str) {
        self.line(&format!(
            r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":{}}}}}"#,
            quote(text)
        ));
    }

    pub(super) fn line(&self, line: &str) {
        self.write(format!("{line}\n").as_bytes());
    }

    fn write(&self, bytes: &[u8]) {
        let _one_at_a_time = lock(&self.output);
        let mut output = std::io::stdout();
        let size = match self.chunk.load(Ordering::SeqCst) {
            0 => bytes.len().max(1),
            size => size,
        };
        for part in bytes.chunks(size) {
            if output
                .write_all(part)
                .and_then(|()| output.flush())
                .is_err()
            {
                return;
            }
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|error| error.into_inner())
}

fn complain(text: &str) {
    let _ = std::io::stderr()
        .lock()
        .write_all(format!("{text}\n").as_bytes());
}

#[expect(unsafe_code, reason = "nothing safe closes a standard stream")]
fn close(descriptor: i32) {
    // SAFETY: the script closes each of 0 and 1 at most once and uses it no more.
    drop(unsafe { OwnedFd::from_raw_fd(descriptor) });
}

fn decode_base64(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => continue,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count & 0xff) as u8);
        }
    }
    out
}
