//! The hub under a list of operations: clients, servers, crashes and time in any order.
//!
//! Whatever happens, nothing panics and no request is answered twice; after everything was closed and
//! all timers ran, every request was answered once (a cancelled one at most once) and nobody is left.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bytes::Bytes;

use mcp_whittle::hub::Hub;
use mcp_whittle::hub::action::{Action, Ended};
use mcp_whittle::hub::settings::{
    EraChoice, HubLimits, HubSettings, HubTimeouts, NamingSettings, ServerSpec,
};
use mcp_whittle::jsonrpc::Limits;
use mcp_whittle::jsonrpc::message::{Kind, Message, Parsed};
use mcp_whittle::session::{STDIO, SessionId};
use mcp_whittle::surface::made::Made;
use mcp_whittle::surface::plan::{self as surface, Budget};
use mcp_whittle::token::{TokenCounter, Tokens};
use mcp_whittle::upstream::{RestartPolicy, UpstreamId};

/// What a client asks, by number.
const CALLS: [(&str, &str); 17] = [
    ("tools/list", ""),
    ("tools/call", r#""name":"echo","arguments":{}"#),
    ("tools/call", r#""name":"a__echo","arguments":{"x":1}"#),
    ("prompts/list", ""),
    ("prompts/get", r#""name":"p""#),
    ("resources/list", ""),
    ("resources/templates/list", ""),
    ("resources/read", r#""uri":"file:///a""#),
    ("resources/subscribe", r#""uri":"file:///a""#),
    ("ping", ""),
    ("logging/setLevel", r#""level":"debug""#),
    ("server/discover", ""),
    (
        "subscriptions/listen",
        r#""notifications":{"toolsListChanged":true}"#,
    ),
    ("vendor/anything", r#""x":[1]"#),
    (
        "tools/call",
        r#""name":"search_tools","arguments":{"queries":["echo"]}"#,
    ),
    (
        "tools/call",
        r#""name":"call_destructive_tool","arguments":{"name":"echo","arguments":{"x":1}}"#,
    ),
    (
        "tools/call",
        r#""name":"call_read_tool","arguments":{"name":"a__echo"}"#,
    ),
];
/// What servers answer, by number; the first fits the method.
const RESULTS: [&str; 5] = [
    "",
    "{}",
    r#"{"content":[],"resultType":"complete"}"#,
    r#"{"resultType":"input_required","inputRequests":{"k":{"method":"roots/list"}},"requestState":"s"}"#,
    r#"{"tools":[{"name":"echo","inputSchema":{}}],"nextCursor":"c"}"#,
];
/// What servers say unasked.
const NOTES: [&str; 5] = [
    r#""method":"notifications/tools/list_changed""#,
    r#""method":"notifications/message","params":{"level":"info","data":1}"#,
    r#""method":"notifications/progress","params":{"progressToken":1,"progress":1}"#,
    r#""method":"notifications/cancelled","params":{"requestId":1}"#,
    r#""method":"notifications/resources/updated","params":{"uri":"file:///a"}"#,
];
/// What servers ask.
const QUESTIONS: [&str; 4] = [
    r#""method":"ping""#,
    r#""method":"roots/list""#,
    r#""method":"sampling/createMessage","params":{"messages":[],"maxTokens":1}"#,
    r#""method":"elicitation/create","params":{"message":"m","requestedSchema":{"type":"object","properties":{}}}"#,
];

/// The property for one input; panics where it does not hold.
pub fn run(data: &[u8]) {
    check(data, |_| 1);
}

/// The property for a hub whose `n`th answer reaches the client `reaches(n)` times.
pub fn check(data: &[u8], reaches: impl Fn(usize) -> usize) {
    let Some((&choice, operations)) = data.split_first() else {
        return;
    };
    let mut world = World::new(choice, reaches);
    world.settle();
    let mut rest = operations.iter().copied();
    while let Some(operation) = rest.next() {
        world.step(operation, &mut rest);
        world.settle();
    }
    world.end();
}

/// A token for each byte: fast, and as good as any here.
struct Bytewise;

impl TokenCounter for Bytewise {
    fn name(&self) -> &str {
        "bytes"
    }

    fn count(&self, text: &str) -> Tokens {
        Tokens::new(text.len() as u64)
    }

    fn count_up_to(&self, text: &str, limit: Tokens) -> Option<Tokens> {
        Some(self.count(text)).filter(|tokens| *tokens <= limit)
    }
}

/// One tool so long that it pays to hide it.
static TOOLS: LazyLock<String> = LazyLock::new(|| {
    format!(
        r#"{{"tools":[{{"name":"echo","description":"{}","inputSchema":{{"type":"object","title":"Echo","properties":{{"x":{{"type":"integer"}}}}}}}}],"resultType":"complete"}}"#,
        "Says what it is told. ".repeat(200)
    )
});

#[derive(Default)]
struct Asked {
    answers: usize,
    is_cancelled: bool,
}

struct World<F> {
    hub: Hub,
    now: Instant,
    session: SessionId,
    reaches: F,
    n_answers: usize,
    asked: BTreeMap<String, Asked>,
    /// Questions that wait for the client.
    questions: Vec<String>,
    /// Requests that wait for a server, with raw ids.
    pending: Vec<(UpstreamId, String, String)>,
    running: Vec<UpstreamId>,
    surfaces: Vec<([u8; 32], Arc<Made>)>,
    fails_to_start: bool,
    /// The client's input has ended; it says nothing more.
    is_closed: bool,
}

impl<F: Fn(usize) -> usize> World<F> {
    fn new(choice: u8, reaches: F) -> Self {
        let mut hub = Hub::new(settings(choice), [7; 32]);
        let now = Instant::now();
        let session = hub.open_stdio(now, false);
        Self {
            hub,
            now,
            session,
            reaches,
            n_answers: 0,
            asked: BTreeMap::new(),
            questions: Vec::new(),
            pending: Vec::new(),
            running: Vec::new(),
            surfaces: Vec::new(),
            fails_to_start: false,
            is_closed: false,
        }
    }

    fn step(&mut self, operation: u8, rest: &mut impl Iterator<Item = u8>) {
        let mut next = || usize::from(rest.next().unwrap_or(0));
        match operation % 14 {
            0 => {
                let version = ["2025-11-25", "2025-03-26", "2024-11-05", "1999-01-01"][next() % 4];
                let capabilities =
                    r#"{"roots":{"listChanged":true},"sampling":{},"elicitation":{}}"#;
                self.ask("initialize", &format!(
                    r#""protocolVersion":"{version}","capabilities":{capabilities},"clientInfo":{{"name":"f","version":"1"}}"#
                ));
            }
            1 => self.client(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#),
            2 | 3 => {
                let (method, params) = CALLS[next() % CALLS.len()];
                let meta = if operation % 14 == 2 {
                    r#""_meta":{"progressToken":1}"#
                } else {
                    r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{}},"io.modelcontextprotocol/clientInfo":{"name":"f","version":"1"}}"#
                };
                let comma = if params.is_empty() { "" } else { "," };
                self.ask(method, &format!("{params}{comma}{meta}"));
            }
            4 => {
                let n = next() % self.asked.len().max(1);
                if let Some((id, asked)) = self.asked.iter_mut().nth(n) {
                    asked.is_cancelled = true;
                    let text = format!(
                        r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":"{id}"}}}}"#
                    );
                    self.client(&text);
                }
            }
            5 => {
                let n = next();
                if !self.questions.is_empty() {
                    let id = self.questions.swap_remove(n % self.questions.len());
                    let body = [
                        r#""result":{"roots":[]}"#,
                        r#""result":{"action":"accept","content":{}}"#,
                        r#""error":{"code":-1,"message":"no"}"#,
                    ][n % 3];
                    self.client(&format!(r#"{{"jsonrpc":"2.0","id":{id},{body}}}"#));
                }
            }
            6 => {
                // Too short to hold an id of ours, so that nothing here counts as an answer.
                let bytes: Vec<u8> = rest.take(12).collect();
                let parsed = Message::parse(Bytes::from(bytes), limits());
                if !self.is_closed {
                    self.hub.handle_frame(self.now, self.session, STDIO, parsed);
                }
            }
            7 | 8 => {
                let (n, kind) = (next(), next());
                if !self.pending.is_empty() {
                    let n = n % self.pending.len();
                    let (upstream, id, method) = self.pending[n].clone();
                    // Sometimes it stays, to be answered twice.
                    if kind & 0x80 == 0 {
                        self.pending.remove(n);
                    }
                    let body = match kind & 7 {
                        5 => r#""error":{"code":-32601,"message":"no"}"#.to_owned(),
                        6 => r#""error":{"code":-32022,"message":"no","data":{"supported":["2026-07-28"]}}"#.to_owned(),
                        7 => r#""result":7"#.to_owned(),
                        0 => format!(r#""result":{}"#, fitting(&method)),
                        kind => format!(r#""result":{}"#, RESULTS[usize::from(kind as u8)]),
                    };
                    self.server(
                        upstream,
                        &format!(r#"{{"jsonrpc":"2.0","id":{id},{body}}}"#),
                    );
                }
            }
            9 => {
                let (n, kind) = (next(), next());
                if let Some(upstream) = pick(&self.running, n) {
                    let text = match kind % 10 {
                        kind @ 0..5 => format!(r#"{{"jsonrpc":"2.0",{}}}"#, NOTES[kind]),
                        kind @ 5..9 => {
                            format!(r#"{{"jsonrpc":"2.0","id":{n},{}}}"#, QUESTIONS[kind - 5])
                        }
                        _ => "{\"jsonrpc\":\"2.0\",\"id\":".to_owned(),
                    };
                    self.server(upstream, &text);
                }
            }
            10 => {
                let n = next();
                if let Some(upstream) = pick(&self.running, n) {
                    self.close(upstream, false);
                }
            }
            11 => {
                let n = next();
                self.now += Duration::from_millis(1 << (n % 28));
                self.hub.handle_timeout(self.now);
            }
            12 => {
                let n = next();
                if !self.surfaces.is_empty() {
                    let (key, made) = self.surfaces.swap_remove(n % self.surfaces.len());
                    self.hub.handle_surface(self.now, key, made);
                }
            }
            _ => match next() % 4 {
                0 => self.fails_to_start = !self.fails_to_start,
                1 => self.hub.set_overloaded(true),
                2 => self.hub.set_overloaded(false),
                _ => {
                    self.is_closed = true;
                    self.hub.handle_downstream_closed(self.now, self.session);
                }
            },
        }
    }

    fn ask(&mut self, method: &str, params: &str) {
        if self.is_closed {
            return;
        }
        let id = format!("request-of-the-client-{}", self.asked.len());
        let text =
            format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"{method}","params":{{{params}}}}}"#);
        self.asked.insert(id, Asked::default());
        self.client(&text);
    }

    fn client(&mut self, text: &str) {
        if self.is_closed {
            return;
        }
        let parsed = Message::parse(Bytes::copy_from_slice(text.as_bytes()), limits());
        assert!(parsed.is_ok(), "a text of this file is wrong: {text}");
        self.hub.handle_frame(self.now, self.session, STDIO, parsed);
    }

    fn server(&mut self, upstream: UpstreamId, text: &str) {
        let raw = Bytes::copy_from_slice(text.as_bytes());
        let parsed = Message::parse(raw.clone(), limits()).map_err(|malformed| (malformed, raw));
        self.hub
            .handle_upstream_frame(self.now, upstream, None, parsed);
    }

    fn close(&mut self, upstream: UpstreamId, is_unusable: bool) {
        self.running.retain(|running| *running != upstream);
        self.pending.retain(|(of, ..)| *of != upstream);
        let detail = "it ended".to_owned();
        let ended = Ended {
            detail,
            stderr: Vec::new(),
            is_unusable,
        };
        self.hub.handle_upstream_closed(self.now, upstream, &ended);
    }

    /// Does what the hub wants, as the driver would.
    fn settle(&mut self) {
        let mut steps = 0;
        while let Some(action) = self.hub.poll_action() {
            steps += 1;
            assert!(steps < 100_000, "the hub never rests");
            match action {
                Action::Send { message, .. } => self.receive(message.to_bytes()),
                Action::Connect { upstream, .. } => {
                    if self.fails_to_start {
                        self.close(upstream, true);
                    } else {
                        self.running.push(upstream);
                        self.hub.handle_upstream_connected(self.now, upstream);
                    }
                }
                Action::SendUpstream {
                    upstream, message, ..
                } => {
                    let text = message.to_bytes();
                    let message = Message::parse_single(text.clone(), limits())
                        .unwrap_or_else(|error| panic!("{error:?} to a server: {text:?}"));
                    if let Kind::Request(id) = message.kind() {
                        let method = message.method().to_owned();
                        self.pending.push((upstream, id.to_string(), method));
                    }
                }
                Action::Disconnect { upstream } => self.close(upstream, false),
                Action::LoadSnapshot { upstream, .. } => {
                    self.hub.handle_snapshot(self.now, upstream, None);
                }
                Action::MakeSurface {
                    key,
                    parts,
                    settings,
                } => {
                    let made = Made::of(&parts, &settings, &Bytewise);
                    self.surfaces.push((key, Arc::new(made)));
                }
                Action::Status { .. }
                | Action::Header { .. }
                | Action::StartStream { .. }
                | Action::EndStream { .. }
                | Action::Abort { .. }
                | Action::ProtocolVersion { .. }
                | Action::ResetSession { .. }
                | Action::OpenStream { .. }
                | Action::FallBackToSse { .. }
                | Action::StoreSnapshot { .. }
                | Action::Note(_) => {}
            }
        }
    }

    fn receive(&mut self, text: Bytes) {
        let parsed = Message::parse(text.clone(), limits())
            .unwrap_or_else(|error| panic!("{error:?} to the client: {text:?}"));
        let Parsed::Message(message) = parsed else {
            return;
        };
        match message.kind() {
            Kind::Request(id) => self.questions.push(id.to_string()),
            Kind::Response(id) | Kind::ErrorResponse(Some(id)) => {
                let id = id.to_string().trim_matches('"').to_owned();
                if let Some(asked) = self.asked.get_mut(&id) {
                    asked.answers += (self.reaches)(self.n_answers);
                    self.n_answers += 1;
                    assert!(asked.answers <= 1, "{id} was answered twice");
                }
            }
            Kind::Notification | Kind::ErrorResponse(None) => {}
        }
    }

    /// Closes everything and lets all timers run.
    fn end(&mut self) {
        self.hub.handle_downstream_closed(self.now, self.session);
        self.settle();
        self.hub.begin_drain(self.now);
        self.settle();
        for _ in 0..10_000 {
            for (key, made) in std::mem::take(&mut self.surfaces) {
                self.hub.handle_surface(self.now, key, made);
                self.settle();
            }
            if self.hub.is_drained() {
                break;
            }
            let Some(at) = self.hub.poll_timeout() else {
                break;
            };
            self.now = self.now.max(at);
            self.hub.handle_timeout(self.now);
            self.settle();
        }
        assert!(self.hub.is_drained(), "somebody is left after the end");
        assert_eq!(self.hub.in_flight(), 0, "requests are left after the end");
        for (id, asked) in &self.asked {
            assert!(
                asked.is_cancelled || asked.answers == 1,
                "{id} was answered {} times",
                asked.answers
            );
        }
    }
}

fn pick(running: &[UpstreamId], n: usize) -> Option<UpstreamId> {
    running.get(n % running.len().max(1)).copied()
}

fn limits() -> Limits {
    Limits::default()
}

fn fitting(method: &str) -> &'static str {
    match method {
        "initialize" => {
            r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true},"prompts":{},"resources":{"subscribe":true},"logging":{}},"serverInfo":{"name":"s","version":"1"}}"#
        }
        "server/discover" => {
            r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{"listChanged":true},"prompts":{},"resources":{"subscribe":true}},"serverInfo":{"name":"s","version":"1"}}"#
        }
        "tools/list" => &TOOLS,
        "prompts/list" => r#"{"prompts":[{"name":"p"}],"resultType":"complete"}"#,
        "resources/list" => {
            r#"{"resources":[{"name":"r","uri":"file:///a"}],"resultType":"complete"}"#
        }
        "resources/templates/list" => r#"{"resourceTemplates":[],"resultType":"complete"}"#,
        _ => r#"{"content":[],"resultType":"complete"}"#,
    }
}

fn settings(choice: u8) -> HubSettings {
    let bit = |n: u8| choice >> n & 1 == 1;
    let era = [
        EraChoice::Auto,
        EraChoice::Legacy,
        EraChoice::Modern,
        EraChoice::Auto,
    ];
    let server = |name: &str, era| ServerSpec {
        name: name.to_owned(),
        is_http: false,
        era,
        is_shared: false,
        identity: name.to_owned(),
        start_timeout: Duration::from_secs(60),
        request_timeout: bit(0).then_some(Duration::from_secs(30)),
    };
    let mut servers = vec![server("a", era[usize::from(choice >> 1 & 3)])];
    if bit(3) {
        servers.push(server("b", EraChoice::Auto));
    }
    HubSettings {
        naming: NamingSettings {
            is_prefixed: servers.len() > 1,
            separator: "__".to_owned(),
            max_name: 64,
        },
        servers,
        surface: bit(4).then(|| surface::Settings {
            // Too little for anything but tools of our own.
            budget: if bit(0) {
                Budget::Tokens(1)
            } else {
                Budget::Auto
            },
            ..surface::Settings::default()
        }),
        is_transparent: bit(5),
        is_shadow: bit(6),
        keeps_snapshots: bit(7),
        limits: HubLimits {
            in_flight_per_session: 8,
            queue_per_upstream: 4,
            ..HubLimits::default()
        },
        timeouts: HubTimeouts::default(),
        restart: RestartPolicy {
            jitter: 0.5,
            initial_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(10),
            park_after: 3,
            reset_after: Duration::from_secs(60),
        },
        version: "0".to_owned(),
    }
}
