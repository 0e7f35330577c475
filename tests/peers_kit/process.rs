//! Programs that end within a limit, and servers that end with their test.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::{PROXY, example, peer};

/// How long a server may take to say where it listens.
const START_LIMIT: Duration = Duration::from_secs(30);

/// How long a process may take to obey.
const LEAVE_LIMIT: Duration = Duration::from_secs(5);

/// What a program that ended left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a program to its end; past the limit it and its children are killed, and there is no code.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Ended {
    run_reading(command, Stdio::null(), limit)
}

/// The same for one that reads its input.
pub(crate) fn run_reading(command: &mut Command, input: Stdio, limit: Duration) -> Ended {
    let mut child = spawn(command.stdin(input).stdout(Stdio::piped()));
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    let code = wait(&mut child, limit);
    if code.is_none() {
        kill_group(&child);
        let _ = child.wait();
    }
    // What still holds the pipes may outlive the program, but not its group.
    kill_group(&child);
    Ended {
        code: code.and_then(|status| status.code()),
        stdout: stdout.join().expect("reading does not panic"),
        stderr: stderr.join().expect("reading does not panic"),
    }
}

/// A server on a port of its own; its end is the end of the value.
pub(crate) struct Listening {
    child: Child,
    pub(crate) url: String,
}

impl Listening {
    /// Starts a program that names its URL in the first line of standard error that has one.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = spawn(command.stdin(Stdio::null()).stdout(Stdio::null()));
        let lines = BufReader::new(child.stderr.take().expect("stderr is piped"));
        let (found, url) = mpsc::channel();
        // Reads on to the end, so that the pipe never fills.
        std::thread::spawn(move || {
            let mut log = String::new();
            let mut found = Some(found);
            for line in lines.lines().map_while(Result::ok) {
                let is_address = line.contains("listening ");
                let url = line
                    .split_whitespace()
                    .find(|word| word.starts_with("http://") || word.starts_with("https://"));
                if let (true, Some(url), Some(sender)) = (is_address, url, &found) {
                    let _ = sender.send(url.to_owned());
                    found = None;
                }
                log.push_str(&line);
                log.push('\n');
            }
            if found.is_some() {
                let _ = writeln!(
                    std::io::stderr(),
                    "a server ended before it listened:\n{log}"
                );
            }
        });
        match url.recv_timeout(START_LIMIT) {
            Ok(url) => Self { child, url },
            Err(error) => {
                kill_group(&child);
                let _ = child.wait();
                panic!("{command:?} named no URL: {error}");
            }
        }
    }

    /// A peer's server, `server-…`.
    pub(crate) fn peer(name: &str) -> Self {
        Self::start(peer(name).args(["--http", "127.0.0.1:0"]))
    }

    /// The fixture server on rmcp.
    pub(crate) fn fixture(era: &str) -> Self {
        let mut command = Command::new(example("fixture_server"));
        Self::start(command.args(["--http", "127.0.0.1:0", "--era", era]))
    }

    /// The proxy, listening, with these arguments.
    pub(crate) fn proxy<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Self {
        let mut command = Command::new(PROXY);
        command.args(["--listen", "127.0.0.1:0", "--no-state"]);
        Self::start(command.args(arguments))
    }

    /// The proxy in front of another server.
    pub(crate) fn proxy_of(upstream: &Self, surface: &str) -> Self {
        Self::proxy(["--surface", surface, "--upstream", &upstream.url])
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            let _ = kill_process(pid, Signal::TERM);
        }
        if wait(&mut self.child, LEAVE_LIMIT).is_none() {
            kill_group(&self.child);
            let _ = self.child.wait();
        }
    }
}

fn spawn(command: &mut Command) -> Child {
    use std::os::unix::process::CommandExt;
    let started = command.stderr(Stdio::piped()).process_group(0).spawn();
    started.unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn kill_group(child: &Child) {
    if let Some(pid) = Pid::from_raw(child.id().cast_signed()) {
        let _ = kill_process_group(pid, Signal::KILL);
    }
}

fn wait(child: &mut Child, limit: Duration) -> Option<std::process::ExitStatus> {
    let end = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().expect("the child is ours") {
            return Some(status);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn collect(from: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut from) = from {
            let _ = from.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
