//! A client without an SDK: sends lines as they are given, keeps lines as they came.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::broken::{Onward, Relay};
use super::check::same;
use super::wire::{at, elements, method, text};

/// What the client says it can do; a typed hop drops what it does not know.
pub(crate) const CAPABILITIES: &str = r#"{"roots":{"listChanged":true},"sampling":{"context":{},"tools":{}},"elicitation":{"form":{},"url":{}},"experimental":{"com.example/x":{"n":2.50}},"x-vendor":{"e":1E+2}}"#;
/// Who the client says it is.
pub(crate) const CLIENT_INFO: &str = r#"{"name":"raw-client \u2014 ü","title":"Raw","version":"0.0.1","websiteUrl":"https://example.com/","x-vendor":2.50}"#;

/// The id of requests for definitions that are not listed.
const DESCRIBED: &str = "\"described\"";

/// One connection to a server.
pub(crate) struct Client {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    guard: Duration,
    relay: Option<Relay>,
    /// Lines that came while an answer was awaited and were not that answer.
    aside: VecDeque<String>,
    /// What the relay put in front of the next line.
    ready: VecDeque<String>,
    transcript: Vec<String>,
    transcripts: Rc<RefCell<Vec<String>>>,
    n_requests: u64,
    n_pages: u64,
    /// Whether requests carry the metadata of 2026-07-28.
    pub(crate) is_modern: bool,
    /// Members of `_meta` for the requests to come.
    pub(crate) meta: String,
    /// The capabilities that requests of 2026-07-28 declare.
    pub(crate) capabilities: String,
    /// The last request as it was sent.
    pub(crate) sent: String,
}

impl Client {
    pub(crate) fn spawn(
        mut command: Command,
        relay: Option<Relay>,
        guard: Duration,
        transcripts: Rc<RefCell<Vec<String>>>,
    ) -> Result<Self, String> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{command:?}: {error}"))?;
        let output = child.stdout.take().expect("stdout is piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            input: child.stdin.take(),
            child,
            lines,
            guard,
            relay,
            aside: VecDeque::new(),
            ready: VecDeque::new(),
            transcript: Vec::new(),
            transcripts,
            n_requests: 0,
            n_pages: 0,
            is_modern: false,
            meta: String::new(),
            capabilities: CAPABILITIES.to_owned(),
            sent: String::new(),
        })
    }

    /// Shakes hands; returns the answer.
    pub(crate) fn initialize(&mut self, version: &str) -> Result<String, String> {
        let answer = self.request(
            "initialize",
            &format!(
                "\"protocolVersion\":\"{version}\",\"capabilities\":{CAPABILITIES},\"clientInfo\":{CLIENT_INFO},\"_meta\":{{\"com.example/i\":2.50}},\"x-vendor\":null"
            ),
        )?;
        self.notify("notifications/initialized", "{\"x-vendor\":2.50}")?;
        Ok(answer)
    }

    pub(crate) fn send(&mut self, line: &str) -> Result<(), String> {
        match &mut self.relay {
            None => self.write(line),
            Some(relay) => {
                let onward = relay.take_from_client(line);
                self.pass_on(onward)
            }
        }
    }

    fn pass_on(&mut self, onward: Onward) -> Result<(), String> {
        self.ready.extend(onward.to_client);
        for line in onward.to_server {
            self.write(&line)?;
        }
        Ok(())
    }

    fn write(&mut self, line: &str) -> Result<(), String> {
        let input = self.input.as_mut().ok_or("the input is closed")?;
        writeln!(input, "{line}")
            .and_then(|()| input.flush())
            .map_err(|error| format!("cannot send: {error}"))
    }

    pub(crate) fn notify(&mut self, method: &str, params: &str) -> Result<(), String> {
        self.send(&format!(
            "{{\"method\":\"{method}\",\"params\": {params},\"jsonrpc\":\"2.0\"}}"
        ))
    }

    /// Sends a request with the members of its `params`; returns its id as written.
    pub(crate) fn start(&mut self, method: &str, params: &str) -> Result<String, String> {
        self.n_requests += 1;
        // Numbers and texts both are ids, and their spelling is the client's. Relays that parse would
        // fail every row by it, so they get plain ones.
        let id = match (self.n_requests.is_multiple_of(2), &self.relay) {
            (true, _) => self.n_requests.to_string(),
            (false, None) => format!("\"\\u0061-{}\"", self.n_requests),
            (false, Some(_)) => format!("\"a-{}\"", self.n_requests),
        };
        self.start_as(&id, method, params)?;
        Ok(id)
    }

    fn start_as(&mut self, id: &str, method: &str, params: &str) -> Result<(), String> {
        let mut meta = self.meta.clone();
        if self.is_modern {
            let own = format!(
                "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\",\"io.modelcontextprotocol/clientCapabilities\":{},\"io.modelcontextprotocol/clientInfo\":{CLIENT_INFO}",
                self.capabilities
            );
            meta = if meta.is_empty() {
                own
            } else {
                format!("{meta},{own}")
            };
        }
        let mut all = params.to_owned();
        if !meta.is_empty() && method != "initialize" {
            let comma = if all.is_empty() { "" } else { "," };
            all = format!("{all}{comma}\"_meta\":{{{meta}}}");
        }
        let line = format!(
            "{{\"method\":\"{method}\",\"id\":{id},\"params\": {{{all}}},\"jsonrpc\":\"2.0\"}}"
        );
        self.send(&line)?;
        self.sent = line;
        Ok(())
    }

    /// Sends a request and returns the line that answers it.
    pub(crate) fn request(&mut self, method: &str, params: &str) -> Result<String, String> {
        let id = self.start(method, params)?;
        self.answer_to(&id)
    }

    /// Sends a request and returns its result.
    pub(crate) fn result(&mut self, method: &str, params: &str) -> Result<String, String> {
        let line = self.request(method, params)?;
        at(&line, &["result"]).ok_or_else(|| format!("`{method}` failed: {line}"))
    }

    /// Sends a request for a page of a list and returns its result. A list may come in fewer pages through
    /// a hop, so these have ids of their own and the others stay comparable.
    pub(crate) fn page(&mut self, method: &str, params: &str) -> Result<String, String> {
        self.n_pages += 1;
        let id = format!("\"page-{}\"", self.n_pages);
        self.start_as(&id, method, params)?;
        let line = self.answer_to(&id)?;
        at(&line, &["result"]).ok_or_else(|| format!("`{method}` failed: {line}"))
    }

    /// Calls a tool and returns its result.
    pub(crate) fn call(&mut self, tool: &str, arguments: &str) -> Result<String, String> {
        self.result(
            "tools/call",
            &format!("\"name\":\"{tool}\",\"arguments\":{arguments}"),
        )
    }

    /// Calls a tool and returns the text of its first content block.
    pub(crate) fn say(&mut self, tool: &str, arguments: &str) -> Result<String, String> {
        let result = self.call(tool, arguments)?;
        at(&result, &["content", "0", "text"])
            .map(|raw| text(&raw))
            .ok_or_else(|| format!("`{tool}` said no text: {result}"))
    }

    /// Calls a tool with all members of `params`; returns the text of its first content block.
    pub(crate) fn say_with(&mut self, params: &str) -> Result<String, String> {
        let result = self.result("tools/call", params)?;
        at(&result, &["content", "0", "text"])
            .map(|raw| text(&raw))
            .ok_or_else(|| format!("no text: {result}"))
    }

    /// Claims that a line with these bytes reached the server.
    pub(crate) fn claim_reached(&mut self, bytes: &str) -> Result<(), String> {
        let lines = self.all_seen()?;
        match lines.iter().any(|line| line.contains(bytes)) {
            true => Ok(()),
            false => Err(format!("`{bytes}` did not reach the server: {lines:?}")),
        }
    }

    /// Waits for the answer to a request; what comes before it is kept for [`Self::next`].
    pub(crate) fn answer_to(&mut self, id: &str) -> Result<String, String> {
        if let Some(place) = self.aside.iter().position(|line| answers(line, id)) {
            return Ok(self.aside.remove(place).expect("the place was found"));
        }
        loop {
            let line = self.receive()?;
            if answers(&line, id) {
                return Ok(line);
            }
            self.aside.push_back(line);
        }
    }

    /// Returns the next line in order of arrival that was not taken yet.
    pub(crate) fn next(&mut self) -> Result<String, String> {
        match self.aside.pop_front() {
            Some(line) => Ok(line),
            None => self.receive(),
        }
    }

    /// Returns the next message, which has to be this one.
    pub(crate) fn told(&mut self, wanted: &str) -> Result<String, String> {
        let told = self.next()?;
        same("told", Some(method(&told)), wanted)?;
        Ok(told)
    }

    /// Returns what came before the last answer and was not taken.
    pub(crate) fn take_aside(&mut self) -> Vec<String> {
        self.aside.drain(..).collect()
    }

    /// Returns the lines with a method that reached the server.
    pub(crate) fn seen(&mut self, wanted: &str) -> Result<Vec<String>, String> {
        let mut lines = self.all_seen()?;
        lines.retain(|line| method(line) == wanted);
        Ok(lines)
    }

    /// Returns the whole definitions of tools that `describe_tools` of the proxy knows, in the order asked.
    pub(crate) fn described(&mut self, names: &[String]) -> Result<Vec<String>, String> {
        let mut definitions = Vec::new();
        // More at once than it takes would be cut off.
        for names in names.chunks(5) {
            let params = format!(
                "\"name\":\"describe_tools\",\"arguments\":{{\"names\":{names:?},\"output_schema\":true}}"
            );
            self.start_as(DESCRIBED, "tools/call", &params)?;
            let line = self.answer_to(DESCRIBED)?;
            let said = at(&line, &["result", "content", "0", "text"])
                .ok_or_else(|| format!("nothing is described: {line}"))?;
            let said = text(&said);
            let lines = said.lines().filter(|line| line.starts_with('{'));
            definitions.extend(lines.map(str::to_owned));
        }
        Ok(definitions)
    }

    fn all_seen(&mut self) -> Result<Vec<String>, String> {
        let id = "\"seen\"";
        let path: &[&str] = if self.relay.is_some() {
            self.start_as(id, "tools/call", "\"name\":\"seen\",\"arguments\":{}")?;
            &["result", "content", "0", "text"]
        } else {
            // Results of tools are made smaller, and this is read exactly; under a name of its own each time, so
            // that nobody answers for the server.
            self.n_requests += 1;
            let params = format!("\"uri\":\"test://seen/{}\"", self.n_requests);
            self.start_as(id, "resources/read", &params)?;
            &["result", "contents", "0", "text"]
        };
        let line = self.answer_to(id)?;
        let said = at(&line, path)
            .ok_or_else(|| format!("the server does not say what it saw: {line}"))?;
        Ok(elements(&text(&said)).iter().map(|raw| text(raw)).collect())
    }

    /// Returns the one line with a method that reached the server.
    pub(crate) fn seen_one(&mut self, wanted: &str) -> Result<String, String> {
        let mut lines = self.seen(wanted)?;
        match lines.len() {
            1 => Ok(lines.remove(0)),
            n => Err(format!(
                "`{wanted}` reached the server {n} times: {lines:?}"
            )),
        }
    }

    fn receive(&mut self) -> Result<String, String> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Ok(line);
            }
            let line = self.lines.recv_timeout(self.guard).map_err(|_| {
                format!(
                    "nothing came for {} s, or the server ended",
                    self.guard.as_secs()
                )
            })?;
            let Some(relay) = &mut self.relay else {
                self.note(&line);
                return Ok(line);
            };
            let onward = relay.take_from_server(&line);
            self.pass_on(onward)?;
        }
    }

    /// Keeps a line for the comparison of ways. Answers of ours to `seen` tell of the hop's own requests, and
    /// only a proxy that hides describes;
    /// handshakes are compared by result, because a proxy shakes hands before its client does.
    fn note(&mut self, line: &str) {
        if answers(line, "\"seen\"") || answers(line, DESCRIBED) {
            return;
        }
        let handshake = at(line, &["result"]).filter(|result| {
            at(result, &["serverInfo"]).is_some() || at(result, &["supportedVersions"]).is_some()
        });
        self.transcript
            .push(handshake.unwrap_or_else(|| line.to_owned()));
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.transcripts.borrow_mut().append(&mut self.transcript);
        // The end of its input ends the server, and a proxy with its server; a broken one is killed.
        self.input = None;
        if self.relay.is_some() {
            let _ = self.child.kill();
        }
        // The channel ends with the process's output.
        while self.lines.recv_timeout(self.guard).is_ok() {}
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Tells whether a line is the answer to a request.
fn answers(line: &str, id: &str) -> bool {
    at(line, &["method"]).is_none() && at(line, &["id"]).as_deref() == Some(id)
}
