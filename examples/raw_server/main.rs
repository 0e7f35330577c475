//! A stdio MCP server without an SDK: every answer is written by hand, with vendor members, unusual
//! spellings and number forms everywhere, so that a test sees whether a hop gives on what it got.
//! One thread, no clocks: each line that arrives is handled to its end before the next is read.
//!
//! `raw_server [--era legacy|modern|dual]`: legacy knows `initialize` only (2024-11-05 to 2025-11-25),
//! modern only 2026-07-28, dual both, by request.

mod answers;
mod calls;
mod catalog;
mod raw;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, Write as _};
use std::process::ExitCode;

use raw::{Members, members, quoted, text};

/// The protocol versions of the handshake.
const LEGACY: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];
const MODERN: &str = "2026-07-28";
const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// Which protocol eras the server speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Era {
    Legacy,
    Modern,
    Dual,
}

/// One request of the client.
struct Request {
    /// The id as it was written.
    id: String,
    method: String,
    /// `params` as they were written.
    raw_params: String,
    params: Members,
    meta: Members,
    is_modern: bool,
}

impl Request {
    fn argument(&self, name: &str) -> Option<String> {
        members(self.params.get("arguments")?).remove(name)
    }
}

/// A call that goes on when the client answers a question.
struct Asked {
    call: Request,
}

struct Server {
    era: Era,
    /// Every line that arrived, in order.
    received: Vec<String>,
    n_questions: u64,
    asked: BTreeMap<String, Asked>,
    /// Calls of `meet` that wait for one another.
    meeting: Vec<Request>,
    /// Calls of `wait`, by id.
    waiting: BTreeMap<String, Request>,
    /// The `params` of cancellations of calls that were waiting.
    cancelled: Vec<String>,
    level: usize,
    subscribed: BTreeSet<String>,
    is_tool_added: bool,
    n_tasks: u64,
    n_task_looks: u64,
    /// The streams of `subscriptions/listen`: id to filter, both as written.
    listens: BTreeMap<String, String>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let era = match arguments.as_slice() {
        [] | ["--era", "dual"] => Era::Dual,
        ["--era", "legacy"] => Era::Legacy,
        ["--era", "modern"] => Era::Modern,
        _ => return ExitCode::from(2),
    };
    let mut server = Server {
        era,
        received: Vec::new(),
        n_questions: 0,
        asked: BTreeMap::new(),
        meeting: Vec::new(),
        waiting: BTreeMap::new(),
        cancelled: Vec::new(),
        level: 0,
        subscribed: BTreeSet::new(),
        is_tool_added: false,
        n_tasks: 0,
        n_task_looks: 0,
        listens: BTreeMap::new(),
    };
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else {
            return ExitCode::FAILURE;
        };
        server.take(line);
    }
    ExitCode::SUCCESS
}

impl Server {
    fn take(&mut self, line: String) {
        let envelope = members(&line);
        let method = envelope.get("method").map(|raw| text(raw));
        let id = envelope.get("id").cloned();
        let raw_params = envelope.get("params").cloned().unwrap_or_default();
        self.received.push(line.clone());
        match (method, id) {
            (Some(method), Some(id)) => {
                let params = members(&raw_params);
                let meta = params.get("_meta").map(|raw| members(raw));
                let meta = meta.unwrap_or_default();
                let is_modern = self.era != Era::Legacy && meta.contains_key(META_VERSION);
                self.request(Request {
                    id,
                    method,
                    raw_params,
                    params,
                    meta,
                    is_modern,
                });
            }
            (Some(method), None) => self.notification(&method, &raw_params),
            (None, Some(id)) => {
                if let Some(asked) = self.asked.remove(&id) {
                    let said = format!("{{\"type\":\"text\",\"text\":{}}}", quoted(&line));
                    self.content(&asked.call, &said);
                }
            }
            (None, None) => {}
        }
    }

    fn notification(&mut self, method: &str, raw_params: &str) {
        if method != "notifications/cancelled" {
            return;
        }
        let id = members(raw_params).remove("requestId").unwrap_or_default();
        let was_waiting = self.waiting.remove(&id).is_some();
        let was_listening = self.listens.remove(&id).is_some();
        if was_waiting || was_listening {
            self.cancelled.push(raw_params.to_owned());
        }
    }

    fn request(&mut self, request: Request) {
        match request.method.as_str() {
            "initialize" => self.initialize(&request),
            "server/discover" if self.era != Era::Legacy => self.discover(&request),
            _ if self.era == Era::Modern && !request.is_modern => {
                self.fail(
                    &request,
                    -32602,
                    "metadata of 2026-07-28 is missing",
                    "null",
                );
            }
            "ping" | "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe"
                if request.is_modern =>
            {
                self.unknown_method(&request);
            }
            "ping" => self.result(&request, ""),
            "logging/setLevel" => {
                let level = request.params.get("level").map(|raw| text(raw));
                self.level = severity(&level.unwrap_or_default());
                self.result(&request, catalog::VENDOR);
            }
            "tools/call" => self.call(request),
            _ => self.answer(&request),
        }
    }

    fn initialize(&self, request: &Request) {
        let wanted = request.params.get("protocolVersion").map(|raw| text(raw));
        let wanted = wanted.unwrap_or_default();
        if self.era == Era::Modern {
            let data = format!(
                "{{\"supported\":[\"{MODERN}\"],\"requested\":{}}}",
                quoted(&wanted)
            );
            return self.fail(request, -32022, "Unsupported protocol version", &data);
        }
        let version = LEGACY.iter().find(|known| **known == wanted);
        let version = version.unwrap_or(&LEGACY[0]);
        self.result(
            request,
            &format!("\"protocolVersion\":\"{version}\",{}", catalog::INITIALIZE),
        );
    }

    fn discover(&self, request: &Request) {
        self.result(request, catalog::DISCOVER);
    }

    /// Answers with the members of a result.
    fn result(&self, request: &Request, body: &str) {
        let mut all = String::new();
        if request.is_modern {
            all.push_str("\"resultType\":\"complete\",");
            if is_cacheable(&request.method) {
                all.push_str("\"ttlMs\":60000,\"cacheScope\":\"public\",");
            }
        }
        all.push_str(body);
        let all = all.trim_end_matches(',');
        print_line(&format!(
            "{{\"result\": {{{all}}},\"jsonrpc\":\"2.0\",\"id\":{}}}",
            request.id
        ));
    }

    /// Answers with content blocks.
    fn content(&self, request: &Request, blocks: &str) {
        self.result(
            request,
            &format!(
                "\"content\":[{blocks}],\"_meta\":{},{}",
                catalog::META,
                catalog::VENDOR
            ),
        );
    }

    /// Answers with one text block.
    fn text(&self, request: &Request, said: &str) {
        self.content(
            request,
            &format!("{{\"type\":\"text\",\"text\":{}}}", quoted(said)),
        );
    }

    fn fail(&self, request: &Request, code: i64, message: &str, data: &str) {
        print_line(&format!(
            "{{\"error\": {{\"x-vendor\":2.50,\"code\":{code},\"data\":{data},\"message\":{}}},\"jsonrpc\":\"2.0\",\"id\":{}}}",
            quoted(message),
            request.id
        ));
    }

    fn unknown_method(&self, request: &Request) {
        self.fail(
            request,
            -32601,
            "Method not found",
            &quoted(&request.method),
        );
    }

    fn notify(&self, method: &str, params: &str) {
        print_line(&format!(
            "{{\"params\": {params},\"method\":\"{method}\",\"jsonrpc\":\"2.0\"}}"
        ));
    }

    /// Asks the client; its answer, as written, becomes the result of `call`.
    fn ask(&mut self, call: Request, method: &str, params: &str) {
        self.n_questions += 1;
        let id = format!("\"question-{}\"", self.n_questions);
        print_line(&format!(
            "{{\"params\": {params},\"method\":\"{method}\",\"id\":{id},\"jsonrpc\":\"2.0\"}}"
        ));
        self.asked.insert(id, Asked { call });
    }
}

fn is_cacheable(method: &str) -> bool {
    matches!(
        method,
        "server/discover"
            | "tools/list"
            | "prompts/list"
            | "resources/list"
            | "resources/templates/list"
            | "resources/read"
    )
}

/// Order of log levels.
fn severity(level: &str) -> usize {
    let levels = ["debug", "info", "notice", "warning", "error"];
    levels.iter().position(|name| *name == level).unwrap_or(0)
}

/// A client that is gone reads nothing more; the end of our input says so, not this.
fn print_line(line: &str) {
    let mut stdout = std::io::stdout().lock();
    let written = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
    drop(written);
}
