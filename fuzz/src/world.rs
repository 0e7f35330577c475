//! The hub, its clock and its scripted servers; who the clients are and what they expect is the property's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use mcp_whittle::hub::Hub;
use mcp_whittle::hub::action::{Action, Ended, Snapshot};
use mcp_whittle::hub::limits::ServiceLimits;
use mcp_whittle::hub::limits::breaker::BreakerPolicy;
use mcp_whittle::hub::limits::bucket::Rate;
use mcp_whittle::hub::limits::principals::PrincipalLimits;
use mcp_whittle::hub::settings::{
    EraChoice, HubLimits, HubSettings, HubTimeouts, NamingSettings, Profiles, ServerSpec,
};
use mcp_whittle::jsonrpc::Limits;
use mcp_whittle::jsonrpc::message::{Kind, Message};
use mcp_whittle::policy::guard::Guard;
use mcp_whittle::policy::pins::Mode;
use mcp_whittle::surface::made::Made;
use mcp_whittle::surface::plan::{self as surface, Budget};
use mcp_whittle::token::{TokenCounter, Tokens};
use mcp_whittle::upstream::{RestartPolicy, UpstreamId};

use super::words::{NOTES, QUESTIONS, RESULTS, fitting};

/// The clients of a world.
pub(super) trait Clients {
    /// Takes what the hub wants done towards clients.
    fn take(&mut self, action: Action);

    /// Sees that a connection to a server is made, for the first time or again.
    fn see_connect(&mut self, _upstream: UpstreamId) {}

    /// Sees what a server gets.
    fn see_sent(&mut self, _upstream: UpstreamId, _text: &Bytes) {}
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

/// A hub with clients and servers.
pub(super) struct World<C> {
    pub(super) hub: Hub,
    pub(super) now: Instant,
    pub(super) clients: C,
    /// Requests that wait for a server.
    pending: Vec<Pending>,
    running: Vec<UpstreamId>,
    surfaces: Vec<([u8; 32], Arc<Made>)>,
    snapshots: BTreeMap<String, Snapshot>,
    fails_to_start: bool,
}

#[derive(Clone)]
struct Pending {
    upstream: UpstreamId,
    /// Raw.
    id: String,
    method: String,
    /// What the asking client wrote into it.
    mark: Option<String>,
}

impl<C: Clients> World<C> {
    pub(super) fn new(settings: HubSettings, clients: C) -> Self {
        Self {
            hub: Hub::new(settings, [7; 32]),
            now: Instant::now(),
            clients,
            pending: Vec::new(),
            running: Vec::new(),
            surfaces: Vec::new(),
            snapshots: BTreeMap::new(),
            fails_to_start: false,
        }
    }

    /// A server answers a request. The result names the server (`of`) and repeats the request's mark
    /// (`echo`), but for lists and handshakes, which the hub keeps for others.
    pub(super) fn answer(&mut self, n: usize, kind: usize) {
        if self.pending.is_empty() {
            return;
        }
        let n = n % self.pending.len();
        let pending = self.pending[n].clone();
        // Sometimes it stays, to be answered twice.
        if kind & 0x80 == 0 {
            self.pending.remove(n);
        }
        let body = match kind & 7 {
            5 => r#""error":{"code":-32601,"message":"no"}"#.to_owned(),
            6 => r#""error":{"code":-32022,"message":"no","data":{"supported":["2026-07-28"]}}"#
                .to_owned(),
            7 => r#""result":7"#.to_owned(),
            0 => format!(r#""result":{}"#, pending.marked(fitting(&pending.method))),
            kind => format!(r#""result":{}"#, pending.marked(RESULTS[kind])),
        };
        let text = format!(r#"{{"jsonrpc":"2.0","id":{},{body}}}"#, pending.id);
        self.server(pending.upstream, &text);
    }

    /// A server says or asks something, or begins a text that it does not end.
    pub(super) fn speak(&mut self, n: usize, kind: usize) {
        let Some(upstream) = self.pick(n) else {
            return;
        };
        let start = format!(r#"{{"jsonrpc":"2.0","of":"{upstream}","#);
        let text = match kind % 10 {
            kind @ 0..5 => format!("{start}{}}}", NOTES[kind]),
            kind @ 5..9 => format!(r#"{start}"id":{n},{}}}"#, QUESTIONS[kind - 5]),
            _ => format!(r#"{start}"id":"#),
        };
        self.server(upstream, &text);
    }

    /// A server ends by itself.
    pub(super) fn crash(&mut self, n: usize) {
        if let Some(upstream) = self.pick(n) {
            self.close(upstream, false);
        }
    }

    /// Servers that are started from now on fail at once, or no longer do.
    pub(super) fn change_starts(&mut self) {
        self.fails_to_start = !self.fails_to_start;
    }

    /// A surface was made.
    pub(super) fn shape(&mut self, n: usize) {
        if !self.surfaces.is_empty() {
            let (key, made) = self.surfaces.swap_remove(n % self.surfaces.len());
            self.hub.handle_surface(self.now, key, made);
        }
    }

    /// Time passes: from a millisecond to three days.
    pub(super) fn pass(&mut self, n: usize) {
        self.now += Duration::from_millis(1 << (n % 28));
        self.hub.handle_timeout(self.now);
    }

    fn pick(&self, n: usize) -> Option<UpstreamId> {
        let n = n % self.running.len().max(1);
        self.running.get(n).copied()
    }

    fn server(&mut self, upstream: UpstreamId, text: &str) {
        let raw = Bytes::copy_from_slice(text.as_bytes());
        let parsed = Message::parse(raw.clone(), limits()).map_err(|malformed| (malformed, raw));
        self.hub
            .handle_upstream_frame(self.now, upstream, None, parsed);
    }

    fn close(&mut self, upstream: UpstreamId, is_unusable: bool) {
        self.running.retain(|running| *running != upstream);
        self.pending.retain(|pending| pending.upstream != upstream);
        let ended = Ended {
            detail: "it ended".to_owned(),
            stderr: Vec::new(),
            is_unusable,
        };
        self.hub.handle_upstream_closed(self.now, upstream, &ended);
    }

    /// Does what the hub wants, as the driver would.
    pub(super) fn settle(&mut self) {
        let mut steps = 0;
        while let Some(action) = self.hub.poll_action() {
            steps += 1;
            assert!(steps < 100_000, "the hub never rests");
            match action {
                Action::Connect { upstream, .. } => {
                    self.clients.see_connect(upstream);
                    if self.fails_to_start {
                        self.close(upstream, true);
                    } else {
                        self.running.push(upstream);
                        self.hub.handle_upstream_connected(self.now, upstream);
                    }
                }
                Action::SendUpstream {
                    upstream, message, ..
                } => self.take_request(upstream, message.to_bytes()),
                Action::Disconnect { upstream } => self.close(upstream, false),
                Action::LoadSnapshot { upstream, key } => {
                    let snapshot = self.snapshots.get(&key).cloned();
                    self.hub.handle_snapshot(self.now, upstream, snapshot);
                }
                Action::StoreSnapshot { key, snapshot } => {
                    self.snapshots.insert(key, *snapshot);
                }
                Action::MakeSurface {
                    key,
                    parts,
                    settings,
                } => {
                    let made = Made::of(&parts, &settings, &Bytewise);
                    self.surfaces.push((key, Arc::new(made)));
                }
                action => self.clients.take(action),
            }
        }
    }

    fn take_request(&mut self, upstream: UpstreamId, text: Bytes) {
        self.clients.see_sent(upstream, &text);
        let message = Message::parse_single(text.clone(), limits())
            .unwrap_or_else(|error| panic!("{error:?} to a server: {text:?}"));
        if let Kind::Request(id) = message.kind() {
            self.pending.push(Pending {
                upstream,
                id: id.to_string(),
                method: message.method().to_owned(),
                mark: values(&text, "mark").into_iter().next(),
            });
        }
    }

    /// Lets all timers run until nobody is left.
    pub(super) fn run_out(&mut self) {
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
    }
}

impl Pending {
    fn marked(&self, result: &str) -> String {
        let is_kept = self.method.ends_with("/list")
            || matches!(self.method.as_str(), "initialize" | "server/discover");
        let echo = match &self.mark {
            Some(mark) if !is_kept => format!(r#","echo":"{mark}""#),
            _ => String::new(),
        };
        let rest = result.strip_prefix('{').unwrap_or("}");
        let comma = if rest == "}" { "" } else { "," };
        format!(r#"{{"of":"{}"{echo}{comma}{rest}"#, self.upstream)
    }
}

/// Returns the texts that stand as values of a key anywhere in a message of these worlds.
pub(super) fn values(text: &[u8], key: &str) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    let start = format!("\"{key}\":\"");
    text.split(&start)
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()))
        .collect()
}

pub(super) fn limits() -> Limits {
    Limits::default()
}

/// Makes settings from eight choices.
pub(super) fn settings(choice: u8) -> HubSettings {
    let bit = |n: u8| choice >> n & 1 == 1;
    let era = [
        EraChoice::Auto,
        EraChoice::Legacy,
        EraChoice::Modern,
        EraChoice::Auto,
    ];
    let server = |name: &str, era| ServerSpec {
        name: name.to_owned(),
        is_http: name == "b" && bit(2),
        era,
        is_shared: false,
        identity: name.to_owned(),
        pin_identity: name.to_owned(),
        start_timeout: Duration::from_secs(60),
        request_timeout: bit(0).then_some(Duration::from_secs(30)),
        forwards_authorization: false,
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
        profiles: Profiles::default(),
        is_transparent: bit(5),
        is_shadow: bit(6),
        holdout: mcp_whittle::token::ledger::holdout::HoldoutShare::NONE,
        projection: Default::default(),
        locked: None,
        guard: Guard {
            pins: if bit(1) && bit(6) {
                Mode::Enforce
            } else {
                Mode::Report
            },
            redacts_results: bit(2) && bit(6),
            ..Guard::default()
        },
        policy: Default::default(),
        result_shapes: Default::default(),
        audit: mcp_whittle::policy::audit::Scope::Off,
        keeps_results: bit(7),
        cache: Default::default(),
        keeps_snapshots: bit(7),
        limits: HubLimits {
            in_flight_per_session: 8,
            ..HubLimits::default()
        },
        service: ServiceLimits {
            principal: PrincipalLimits {
                in_flight: 6,
                rate: bit(2).then_some(Rate {
                    per_second: 5,
                    burst: 8,
                }),
            },
            in_flight: 12,
            waiting_per_upstream: 4,
            session_bytes: 2000,
            request_bytes: 6000,
            breaker: BreakerPolicy {
                failures: 2,
                ..BreakerPolicy::default()
            },
        },
        is_measured: bit(1),
        trace: bit(1).then(|| mcp_whittle::hub::trace::TraceSettings {
            sampler: mcp_whittle::hub::trace::Sampler::default(),
            propagates: bit(2),
        }),
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
