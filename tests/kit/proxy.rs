//! The built binary as a process, spoken to in raw lines.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, ExitStatus};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::messages::{LEGACY, initialize_params};
use super::oracle::CountingOracle;
use super::server::ScriptedServer;
use super::start::ProxyBuilder;
use super::{GUARD, processes, until, until_true};

/// How long a line of the log may take.
const LOG_GUARD: Duration = Duration::from_secs(30);

/// A running proxy and its client: this test.
pub(crate) struct Proxy {
    child: Child,
    input: Option<ChildStdin>,
    shared: Arc<Shared>,
    next_id: i64,
    folder: TempDir,
    is_finished: bool,
}

struct Shared {
    seen: Mutex<Seen>,
    changed: Condvar,
    is_paused: AtomicBool,
    closes_output: AtomicBool,
    stderr: Mutex<String>,
    readers: AtomicUsize,
    has_all_errors: AtomicBool,
}

#[derive(Default)]
struct Seen {
    messages: Vec<Value>,
    raw: Vec<Vec<u8>>,
    oracle: CountingOracle,
}

impl Shared {
    fn read(&self, output: ChildStdout) {
        let mut output = BufReader::with_capacity(1 << 16, output);
        loop {
            while self.is_paused.load(Ordering::SeqCst) {
                if self.closes_output.load(Ordering::SeqCst) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            if self.closes_output.load(Ordering::SeqCst) {
                break;
            }
            let mut line = Vec::new();
            match output.read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
            if line.last() == Some(&b'\n') {
                line.pop();
            }
            let mut seen = lock(&self.seen);
            seen.oracle.sees(&line);
            seen.messages
                .push(serde_json::from_slice(&line).unwrap_or(Value::Null));
            seen.raw.push(line);
            self.changed.notify_all();
        }
        self.readers.fetch_sub(1, Ordering::SeqCst);
        self.changed.notify_all();
    }

    fn read_errors(&self, errors: impl Read, keeps: bool) {
        if !keeps {
            // The pipe stays open and fills up.
            while self.readers.load(Ordering::SeqCst) > 0 {
                std::thread::sleep(Duration::from_millis(5));
            }
            return;
        }
        let mut errors = BufReader::new(errors);
        let mut line = Vec::new();
        while errors
            .read_until(b'\n', &mut line)
            .is_ok_and(|size| size > 0)
        {
            lock(&self.stderr).push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
        self.has_all_errors.store(true, Ordering::SeqCst);
    }
}

impl Proxy {
    /// Takes the pipes of a process that was started.
    pub(super) fn attach(mut child: Child, folder: TempDir, keeps_stderr: bool) -> Self {
        let shared = Arc::new(Shared {
            seen: Mutex::default(),
            changed: Condvar::new(),
            is_paused: AtomicBool::new(false),
            closes_output: AtomicBool::new(false),
            stderr: Mutex::default(),
            readers: AtomicUsize::new(1),
            has_all_errors: AtomicBool::new(false),
        });
        let output = child.stdout.take().expect("stdout is a pipe");
        let for_output = Arc::clone(&shared);
        std::thread::spawn(move || for_output.read(output));
        let errors = child.stderr.take().expect("stderr is a pipe");
        let for_errors = Arc::clone(&shared);
        std::thread::spawn(move || for_errors.read_errors(errors, keeps_stderr));
        Self {
            input: child.stdin.take(),
            child,
            shared,
            next_id: 1,
            folder,
            is_finished: false,
        }
    }

    /// In front of one server.
    pub(crate) fn wrap(server: &ScriptedServer) -> ProxyBuilder {
        ProxyBuilder::new(server.command())
    }

    /// No proxy at all: the server itself, as the control of a test.
    pub(crate) fn bare(server: &ScriptedServer) -> ProxyBuilder {
        let mut builder = ProxyBuilder::new(server.command());
        builder.is_bare = true;
        builder
    }

    /// In front of a command.
    pub(crate) fn wrap_command<S: AsRef<str>>(command: &[S]) -> ProxyBuilder {
        ProxyBuilder::new(
            command
                .iter()
                .map(|word| word.as_ref().to_owned())
                .collect(),
        )
    }

    /// In front of several servers of a file.
    pub(crate) fn servers(servers: &[(&str, &ScriptedServer)]) -> ProxyBuilder {
        servers
            .iter()
            .fold(ProxyBuilder::new(Vec::new()), |builder, (name, server)| {
                builder.server(name, &server.command())
            })
    }

    /// In front of an HTTP server.
    pub(crate) fn upstream(url: &str) -> ProxyBuilder {
        ProxyBuilder::new(Vec::new()).options(&format!("--upstream {url}"))
    }

    /// The process.
    pub(crate) fn process(&self) -> i32 {
        i32::try_from(self.child.id()).expect("process ids are small")
    }

    /// Its own folder, which holds `settings.toml`.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Sends bytes as they are.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().expect("stdin is open");
        let sent = input.write_all(bytes).and_then(|()| input.flush());
        if let Err(error) = sent {
            panic!("the proxy does not read: {error}\n{}", self.stderr());
        }
    }

    /// Sends a line as it is. The caller tells the oracle what it is.
    pub(crate) fn send_line(&mut self, line: &str) {
        self.send_bytes(format!("{line}\n").as_bytes());
    }

    /// Sends a line that is a request with this raw id.
    pub(crate) fn send_request_line(&mut self, id: &str, line: &str) {
        self.oracle(|oracle| oracle.asks(id));
        self.send_line(line);
    }

    /// Sends a request and returns its id.
    pub(crate) fn request(&mut self, method: &str, params: Value) -> i64 {
        let id = self.next_id;
        self.next_id += 1;
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.send_request_line(&id.to_string(), &message.to_string());
        id
    }

    /// Sends `tools/call` and returns its id.
    pub(crate) fn call(&mut self, tool: &str, arguments: Value) -> i64 {
        self.request("tools/call", json!({"name": tool, "arguments": arguments}))
    }

    /// Sends a notification.
    pub(crate) fn notify(&mut self, method: &str, params: Value) {
        self.send_line(&json!({"jsonrpc": "2.0", "method": method, "params": params}).to_string());
    }

    /// Cancels a request; it may stay unanswered from now on.
    pub(crate) fn cancel(&mut self, id: i64) {
        self.oracle(|oracle| oracle.may_stay_open(&id.to_string()));
        self.notify(
            "notifications/cancelled",
            json!({"requestId": id, "reason": "test"}),
        );
    }

    /// Answers a request of a server.
    pub(crate) fn respond(&mut self, request: &Value, result: Value) {
        let message = json!({"jsonrpc": "2.0", "id": request["id"], "result": result});
        self.send_line(&message.to_string());
    }

    /// Waits for the answer to an id.
    #[track_caller]
    pub(crate) fn answer(&self, id: impl Into<Value>) -> Value {
        let id = id.into();
        self.wait_message(&format!("the answer to {id}"), |message| {
            message.get("method").is_none() && message["id"] == id
        })
    }

    /// Sends a request and waits for its answer.
    #[track_caller]
    pub(crate) fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.request(method, params);
        self.answer(id)
    }

    /// Calls a tool and waits for the answer.
    #[track_caller]
    pub(crate) fn ask_call(&mut self, tool: &str, arguments: Value) -> Value {
        let id = self.call(tool, arguments);
        self.answer(id)
    }

    /// Calls a tool and returns the text of its result.
    #[track_caller]
    pub(crate) fn text_of_call(&mut self, tool: &str, arguments: Value) -> String {
        let answer = self.ask_call(tool, arguments);
        match answer["result"]["content"][0]["text"].as_str() {
            Some(text) => text.to_owned(),
            None => panic!("no text: {answer}\n{}", self.stderr()),
        }
    }

    /// Shakes hands as a client that can do everything.
    #[track_caller]
    pub(crate) fn initialize(&mut self) -> Value {
        self.initialize_as(
            LEGACY,
            json!({"roots": {"listChanged": true}, "sampling": {}, "elicitation": {}}),
        )
    }

    /// Shakes hands in a version and with capabilities.
    #[track_caller]
    pub(crate) fn initialize_as(&mut self, version: &str, capabilities: Value) -> Value {
        let answer = self.ask("initialize", initialize_params(version, &capabilities));
        self.notify("notifications/initialized", json!({}));
        answer
    }

    /// Waits for a message from the proxy.
    #[track_caller]
    pub(crate) fn wait_message(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + GUARD;
        let mut looked = 0;
        let mut seen = lock(&self.shared.seen);
        loop {
            if let Some(found) = seen.messages[looked..].iter().find(|message| fits(message)) {
                return found.clone();
            }
            looked = seen.messages.len();
            let is_over = self.shared.readers.load(Ordering::SeqCst) == 0;
            if is_over || Instant::now() >= end {
                drop(seen);
                let why = if is_over {
                    "stdout ended"
                } else {
                    "waited too long"
                };
                panic!("{what}: {why}\nstderr:\n{}", self.stderr());
            }
            seen = self
                .shared
                .changed
                .wait_timeout(seen, Duration::from_millis(100))
                .unwrap_or_else(|error| error.into_inner())
                .0;
        }
    }

    /// Waits for a request of a server.
    #[track_caller]
    pub(crate) fn wait_request(&self, method: &str) -> Value {
        self.wait_message(method, |message| {
            message["method"] == method && message.get("id").is_some()
        })
    }

    /// Everything that came so far.
    pub(crate) fn messages(&self) -> Vec<Value> {
        lock(&self.shared.seen).messages.clone()
    }

    /// The lines that came so far, as bytes.
    pub(crate) fn raw_lines(&self) -> Vec<Vec<u8>> {
        lock(&self.shared.seen).raw.clone()
    }

    /// How many notifications with a method came so far.
    pub(crate) fn count_of(&self, method: &str) -> usize {
        let seen = lock(&self.shared.seen);
        seen.messages
            .iter()
            .filter(|message| message["method"] == method)
            .count()
    }

    /// Lets the reader of stdout go on.
    pub(crate) fn read_on(&self) {
        self.shared.is_paused.store(false, Ordering::SeqCst);
    }

    /// Stops reading stdout. A line that is being waited for still comes.
    pub(crate) fn stop_reading(&self) {
        self.shared.is_paused.store(true, Ordering::SeqCst);
    }

    /// Closes the reading end of stdout, as a client that died does. It takes effect after the next line.
    pub(crate) fn close_stdout(&self) {
        self.shared.closes_output.store(true, Ordering::SeqCst);
    }

    /// Ends the client's input.
    pub(crate) fn close_stdin(&mut self) {
        self.input = None;
    }

    /// Takes stdin, to write from another thread.
    pub(crate) fn take_stdin(&mut self) -> ChildStdin {
        self.input.take().expect("stdin is open")
    }

    /// What it wrote to stderr so far.
    pub(crate) fn stderr(&self) -> String {
        lock(&self.shared.stderr).clone()
    }

    /// Waits for a text on stderr.
    #[track_caller]
    pub(crate) fn wait_stderr(&self, text: &str) {
        self.wait_log(&[text]);
    }

    /// Waits for a line on stderr that holds all of these texts.
    #[track_caller]
    pub(crate) fn wait_log(&self, texts: &[&str]) {
        // What is told is told at the event, so that a proxy that is silent need not be waited for long.
        let found = super::within(LOG_GUARD, || {
            let log = self.stderr();
            let mut lines = log.lines();
            lines
                .any(|line| texts.iter().all(|text| line.contains(text)))
                .then_some(())
        });
        assert!(
            found.is_some(),
            "no line on stderr with {texts:?}:\n{}",
            self.stderr()
        );
    }

    /// The address it listens on, which it tells in its log.
    #[track_caller]
    pub(crate) fn address(&self) -> SocketAddr {
        self.address_after("listening")
    }

    /// The first address in a log line that holds a word.
    #[track_caller]
    pub(crate) fn address_after(&self, word: &str) -> SocketAddr {
        until(&format!("an address after `{word}` in the log"), || {
            self.stderr()
                .lines()
                .filter(|line| line.contains(word))
                .flat_map(|line| {
                    line.split([' ', '/', '=', '"', '`', ','])
                        .map(str::to_owned)
                        .collect::<Vec<_>>()
                })
                .find_map(|part| part.parse().ok())
        })
    }

    /// Changes what the oracle expects.
    pub(crate) fn oracle(&self, change: impl FnOnce(&mut CountingOracle)) {
        change(&mut lock(&self.shared.seen).oracle);
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        processes::signal(self.process(), rustix::process::Signal::TERM);
    }

    /// Waits for its end, with a bound in which it has to come.
    #[track_caller]
    pub(crate) fn wait_exit(&mut self) -> ExitStatus {
        let end = Instant::now() + GUARD;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                return status;
            }
            assert!(
                Instant::now() < end,
                "the proxy does not end:\n{}",
                self.stderr()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends the client's input, waits for a clean end and checks every count.
    #[track_caller]
    pub(crate) fn finish(mut self) {
        self.close_stdin();
        let status = self.wait_exit();
        assert_eq!(status.code(), Some(0), "{}", self.stderr());
        self.check_counts();
    }

    /// Ends as [`Self::finish`] does, and returns all that it wrote to stderr.
    #[track_caller]
    pub(crate) fn finish_and_tell(mut self) -> String {
        self.close_stdin();
        let status = self.wait_exit();
        assert_eq!(status.code(), Some(0), "{}", self.stderr());
        self.check_counts();
        until_true("the end of stderr", || {
            self.shared.has_all_errors.load(Ordering::SeqCst)
        });
        self.stderr()
    }

    /// Waits until everything that came was read.
    #[track_caller]
    pub(crate) fn wait_end_of_output(&self) {
        until_true("the end of stdout", || {
            self.shared.readers.load(Ordering::SeqCst) == 0
        });
    }

    /// Checks every count after the process ended.
    #[track_caller]
    pub(crate) fn check_counts(&mut self) {
        self.is_finished = true;
        self.wait_end_of_output();
        let faults = lock(&self.shared.seen).oracle.faults_at_end();
        assert!(faults.is_empty(), "{faults:#?}\nstderr:\n{}", self.stderr());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        processes::kill_group(self.process());
        let _ = self.child.wait();
        if !std::thread::panicking() && !self.is_finished {
            let faults = lock(&self.shared.seen).oracle.faults_so_far();
            assert!(faults.is_empty(), "{faults:#?}\nstderr:\n{}", self.stderr());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|error| error.into_inner())
}
