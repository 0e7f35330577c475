//! The hub with a virtual clock and peers made of strings: lost connections, timeouts and crashes are
//! plain inputs.

mod approval;
mod audit;
mod cache;
mod confirmed;
mod credentials;
mod guard;
mod ledger;
mod limits;
mod losses;
mod meta_tools;
mod outcomes;
mod profiles;
mod questions;
mod reads;
mod reload;
mod results;
mod sleep;
mod spare;
mod surface;
mod trace;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Hub;
use super::account::CountJob;
use super::action::{Action, Ended, Snapshot};
use super::exchange::ExchangeId;
use super::results::ShapeJob;
use super::settings::{
    EraChoice, HubLimits, HubSettings, HubTimeouts, NamingSettings, Profiles, ServerSpec,
};
use crate::hub::reads::ReadJob;
use crate::jsonrpc::Limits;
use crate::jsonrpc::message::Message;
use crate::session::{STDIO, SessionId};
use crate::surface::plan::{self, Part};
use crate::upstream::{RestartPolicy, UpstreamId};

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{}}}"#;

/// A hub, its clock, and what it wanted so far.
struct World {
    hub: Hub,
    now: Instant,
    session: SessionId,
    to_client: Vec<String>,
    to_server: Vec<(UpstreamId, String)>,
    connects: usize,
    stored: Vec<Snapshot>,
    notes: Vec<String>,
    spans: Vec<super::trace::Span>,
    snapshot: Option<Snapshot>,
    /// Surfaces that are to be made.
    making: Vec<([u8; 32], Vec<Part>, Arc<plan::Settings>)>,
    /// Results that are to be shaped.
    shaping: Vec<(ExchangeId, Box<ShapeJob>)>,
    /// Results to count, and how many messages the client had got before.
    counting: Vec<(Box<CountJob>, usize)>,
    /// What is to be read, and what not any more.
    reading: Vec<(ExchangeId, Box<ReadJob>)>,
    aborted: Vec<ExchangeId>,
    /// What a tier of the cache is asked.
    tier: Vec<Action>,
}

impl World {
    fn new(servers: &[&str], era: EraChoice) -> Self {
        Self::with(servers, era, None)
    }

    fn with(servers: &[&str], era: EraChoice, snapshot: Option<Snapshot>) -> Self {
        Self::of(settings(servers, era), snapshot)
    }

    fn of(settings: HubSettings, snapshot: Option<Snapshot>) -> Self {
        Self::seeded([7; 32], settings, snapshot)
    }

    fn seeded(secret: [u8; 32], settings: HubSettings, snapshot: Option<Snapshot>) -> Self {
        let now = Instant::now();
        let mut hub = Hub::new(settings, secret);
        let session = hub.open_stdio(now, false);
        let mut world = Self {
            hub,
            now,
            session,
            to_client: Vec::new(),
            to_server: Vec::new(),
            connects: 0,
            stored: Vec::new(),
            notes: Vec::new(),
            spans: Vec::new(),
            snapshot,
            making: Vec::new(),
            shaping: Vec::new(),
            counting: Vec::new(),
            reading: Vec::new(),
            aborted: Vec::new(),
            tier: Vec::new(),
        };
        world.act();
        world
    }

    fn act(&mut self) {
        while let Some(action) = self.hub.poll_action() {
            match action {
                Action::Send { message, .. } => self.to_client.push(text(&message.to_bytes())),
                Action::SendUpstream {
                    upstream, message, ..
                } => self.to_server.push((upstream, text(&message.to_bytes()))),
                Action::Connect { upstream, .. } => {
                    self.connects += 1;
                    self.hub.handle_upstream_connected(self.now, upstream);
                }
                Action::LoadSnapshot { upstream, .. } => {
                    let snapshot = self.snapshot.clone();
                    self.hub.handle_snapshot(self.now, upstream, snapshot);
                }
                Action::LookAtTools { upstream } => self.hub.handle_look(upstream),
                Action::StoreSnapshot { snapshot, .. } => self.stored.push(*snapshot),
                Action::Note(note) => self.notes.push(note.message),
                Action::Span(span) => self.spans.push(*span),
                Action::MakeSurface {
                    key,
                    parts,
                    settings,
                } => self.making.push((key, parts, settings)),
                Action::ShapeResult { exchange, job } => self.shaping.push((exchange, job)),
                Action::CountResult(job) => self.counting.push((job, self.to_client.len())),
                Action::ReadResult { exchange, job } => self.reading.push((exchange, job)),
                Action::AbortRead { exchange } => self.aborted.push(exchange),
                action @ (Action::CacheLookup { .. }
                | Action::CacheStore { .. }
                | Action::CacheBump { .. }) => self.tier.push(action),
                _ => {}
            }
        }
    }

    fn client(&mut self, line: &str) {
        let parsed = Message::parse(Bytes::copy_from_slice(line.as_bytes()), Limits::default());
        self.hub.handle_frame(self.now, self.session, STDIO, parsed);
        self.act();
    }

    fn server(&mut self, upstream: UpstreamId, line: &str) {
        let raw = Bytes::copy_from_slice(line.as_bytes());
        let parsed = Message::parse(raw.clone(), Limits::default()).map_err(|error| (error, raw));
        self.hub
            .handle_upstream_frame(self.now, upstream, None, parsed);
        self.act();
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.hub.handle_timeout(self.now);
        self.act();
    }

    fn crash(&mut self, upstream: UpstreamId) {
        let ended = Ended {
            detail: "it crashed".into(),
            stderr: Vec::new(),
            is_unusable: false,
        };
        self.hub.handle_upstream_closed(self.now, upstream, &ended);
        self.act();
    }

    /// Takes what the servers got.
    fn sent(&mut self) -> Vec<(UpstreamId, String)> {
        std::mem::take(&mut self.to_server)
    }

    fn sent_one(&mut self) -> (UpstreamId, String) {
        let mut sent = self.sent();
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent.remove(0)
    }

    fn got(&mut self) -> Vec<String> {
        std::mem::take(&mut self.to_client)
    }

    fn got_one(&mut self) -> String {
        let mut got = self.got();
        assert_eq!(got.len(), 1, "{got:?}");
        got.remove(0)
    }

    /// Shakes hands with a legacy client and one legacy server.
    fn legacy(&mut self) -> UpstreamId {
        self.client(r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"elicitation":{}},"clientInfo":{"name":"c","version":"1"}}}"#);
        let (upstream, line) = self.sent_one();
        assert!(line.contains("\"initialize\""), "{line}");
        self.server(upstream, INITIALIZED);
        assert!(self.got_one().contains("2025-11-25"));
        self.client(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        assert!(self.sent_one().1.contains("notifications/initialized"));
        upstream
    }
}

/// Settings of servers on pipes, prefixed where there are several.
fn settings(servers: &[&str], era: EraChoice) -> HubSettings {
    HubSettings {
        servers: servers
            .iter()
            .map(|name| ServerSpec {
                name: (*name).to_owned(),
                is_http: false,
                era,
                is_shared: false,
                identity: (*name).to_owned(),
                pin_identity: (*name).to_owned(),
                start_timeout: Duration::from_secs(60),
                request_timeout: Some(Duration::from_secs(30)),
                forwards_authorization: false,
            })
            .collect(),
        naming: NamingSettings {
            is_prefixed: servers.len() > 1,
            separator: "__".into(),
            max_name: 64,
        },
        surface: None,
        profiles: Profiles::default(),
        is_transparent: false,
        is_shadow: false,
        holdout: crate::token::ledger::holdout::HoldoutShare::NONE,
        locked: None,
        guard: Default::default(),
        policy: Default::default(),
        audit: crate::policy::audit::Scope::Off,
        projection: Default::default(),
        result_shapes: Arc::default(),
        keeps_results: true,
        cache: Default::default(),
        keeps_snapshots: true,
        limits: HubLimits::default(),
        service: Default::default(),
        is_measured: false,
        trace: None,
        timeouts: HubTimeouts::default(),
        restart: RestartPolicy {
            initial_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(5),
            jitter: 0.0,
            park_after: 3,
            reset_after: Duration::from_secs(60),
        },
        version: "0".into(),
    }
}

const INITIALIZED: &str = r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true},"logging":{}},"serverInfo":{"name":"s","version":"1"}}}"#;

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Returns the raw id of a message.
fn id(line: &str) -> String {
    let message =
        Message::parse_single(Bytes::copy_from_slice(line.as_bytes()), Limits::default()).unwrap();
    message.id().unwrap().to_string()
}

#[test]
fn untouched_messages_leave_as_the_same_bytes() {
    let mut world = World::new(&["s"], EraChoice::Auto);
    let upstream = world.legacy();
    let call = r#"{ "id":"a-1", "jsonrpc":"2.0","method":"tools/call","params":{"name":"t","arguments":{"n":1.50,"é":"\u00e9"}},"x-vendor":[1, 2]}"#;
    world.client(call);
    assert_eq!(world.sent_one().1, call);
    let answer =
        r#"{"result":{"content":[],"x":9007199254740993},"id":"a-1","jsonrpc":"2.0","y":null}"#;
    world.server(upstream, answer);
    assert_eq!(world.got_one(), answer);
    for odd in ["1.0", "9007199254740993", "\"a b\""] {
        world.client(&format!(
            r#"{{"jsonrpc":"2.0","id":{odd},"method":"vendor/x"}}"#
        ));
        let sent = id(&world.sent_one().1);
        assert_ne!(sent, odd);
        world.server(
            upstream,
            &format!(r#"{{"jsonrpc":"2.0","id":{sent},"result":{{}}}}"#),
        );
        assert_eq!(id(&world.got_one()), odd);
    }
}

#[test]
fn a_crash_answers_what_was_in_flight_and_the_server_comes_back_with_what_was_set() {
    let mut world = World::new(&["s"], EraChoice::Auto);
    let upstream = world.legacy();
    world.client(
        r#"{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"debug"}}"#,
    );
    world.client(
        r#"{"jsonrpc":"2.0","id":2,"method":"resources/subscribe","params":{"uri":"a://b"}}"#,
    );
    for (_, line) in world.sent() {
        world.server(
            upstream,
            &format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{}}}}"#, id(&line)),
        );
    }
    world.got();
    world.client(r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"t"}}"#);
    world.sent();
    world.crash(upstream);
    let lost = world.got_one();
    assert!(
        lost.contains("-31002") && lost.contains("maybe_executed"),
        "{lost}"
    );
    // A request in the meantime waits instead of failing.
    world.client(r#"{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"u"}}"#);
    assert!(world.sent().is_empty() && world.got().is_empty());
    world.pass(Duration::from_millis(100));
    assert_eq!(world.connects, 2);
    let (_, again) = world.sent_one();
    assert!(again.contains("\"initialize\"") && again.contains("\"elicitation\""));
    world.server(
        upstream,
        &INITIALIZED.replace("\"id\":0", &format!("\"id\":{}", id(&again))),
    );
    let lines: Vec<String> = world.sent().into_iter().map(|(_, line)| line).collect();
    let order: Vec<bool> = ["initialized", "logging/setLevel", "a://b", "\"u\""]
        .iter()
        .zip(&lines)
        .map(|(wanted, line)| line.contains(wanted))
        .collect();
    assert_eq!(order, [true; 4], "{lines:?}");
    assert!(world.notes.iter().any(|note| note.contains("state")));
}

#[test]
fn a_crash_loop_is_parked_and_only_a_request_starts_it_again() {
    let mut world = World::new(&["s"], EraChoice::Auto);
    let upstream = world.legacy();
    for attempt in 0..3 {
        world.crash(upstream);
        world.pass(Duration::from_secs(5));
        assert_eq!(world.connects, attempt + 2);
    }
    world.crash(upstream);
    world.pass(Duration::from_secs(3600));
    assert_eq!(world.connects, 4, "parked");
    world.sent();
    world.client(r#"{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"t"}}"#);
    assert_eq!(world.connects, 5);
    world.crash(upstream);
    let answer = world.got_one();
    assert!(
        answer.contains("-31001") && answer.contains("not_sent"),
        "{answer}"
    );
}

#[test]
fn a_silent_probe_ends_in_a_legacy_handshake() {
    let mut world = World::new(&["s"], EraChoice::Auto);
    world.client(&format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"t",{META}}}}}"#
    ));
    let (upstream, probe) = world.sent_one();
    assert!(probe.contains("server/discover"));
    world.pass(Duration::from_secs(10));
    let (_, line) = world.sent_one();
    assert!(line.contains("\"initialize\""), "{line}");
    world.server(
        upstream,
        &INITIALIZED.replace("\"id\":0", &format!("\"id\":{}", id(&line))),
    );
    let lines: Vec<String> = world.sent().into_iter().map(|(_, line)| line).collect();
    let call = lines.last().unwrap();
    assert!(!call.contains("io.modelcontextprotocol"), "{call}");
    world.server(
        upstream,
        &format!(
            r#"{{"jsonrpc":"2.0","id":{},"result":{{"content":[]}}}}"#,
            id(call)
        ),
    );
    assert!(world.got_one().contains(r#""resultType":"complete""#));
}

#[test]
fn a_question_of_a_legacy_server_is_parked_for_a_modern_client() {
    let mut world = World::new(&["s"], EraChoice::Legacy);
    let ask = |id: u32, extra: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"t","arguments":{{"a":1}},{META}{extra}}}}}"#
        )
    };
    world.client(&ask(1, ""));
    let (upstream, line) = world.sent_one();
    world.server(
        upstream,
        &INITIALIZED.replace("\"id\":0", &format!("\"id\":{}", id(&line))),
    );
    world.sent();
    world.server(
        upstream,
        r#"{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"?"}}"#,
    );
    let asked = world.got_one();
    assert!(
        asked.contains(r#""resultType":"input_required""#),
        "{asked}"
    );
    let state = asked.split("\"requestState\":\"").nth(1).unwrap();
    let state = state.split('"').next().unwrap().to_owned();
    let answer = |state: &str| {
        format!(
            r#","inputResponses":{{"question-1":{{"action":"accept"}}}},"requestState":"{state}""#
        )
    };
    // A state for other arguments, or a made-up one, is refused and the call goes on waiting.
    let prefix = state.rsplitn(4, '.').last().unwrap();
    let made_up = format!("{prefix}.1.1.00000000000000000000000000000000");
    world.client(&ask(2, &answer(&made_up)));
    assert!(world.got_one().contains("-32602"));
    world.client(&ask(3, &answer(&state)).replace(r#"{"a":1}"#, r#"{"a":2}"#));
    assert!(world.got_one().contains("-32602"));
    world.client(&ask(4, &answer(&state)));
    let (_, given) = world.sent_one();
    assert!(
        given.contains(r#""id":"q""#) && given.contains("accept"),
        "{given}"
    );
    world.server(
        upstream,
        r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#,
    );
    assert_eq!(id(&world.got_one()), "4");
    assert_eq!(world.hub.in_flight(), 0);
}

#[test]
fn a_parked_question_expires() {
    let mut world = World::new(&["s"], EraChoice::Legacy);
    world.client(&format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"t",{META}}}}}"#
    ));
    let (upstream, line) = world.sent_one();
    world.server(
        upstream,
        &INITIALIZED.replace("\"id\":0", &format!("\"id\":{}", id(&line))),
    );
    world.server(
        upstream,
        r#"{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"?"}}"#,
    );
    world.got();
    world.sent();
    world.pass(HubTimeouts::default().parked);
    assert!(world.sent_one().1.contains("notifications/cancelled"));
    assert_eq!(world.hub.in_flight(), 0);
}

#[test]
fn a_snapshot_answers_at_once_and_its_list_stays_until_the_server_says_otherwise() {
    let mut first = World::new(&["s"], EraChoice::Auto);
    let upstream = first.legacy();
    let list = |id: &str, tool: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"tools":[{{"name":"{tool}"}}]}}}}"#)
    };
    first.client(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    let (_, line) = first.sent_one();
    first.server(upstream, &list(&id(&line), "old"));
    let as_first_seen = first.got_one();
    let snapshot = first.stored.pop();
    assert!(snapshot.is_some());

    let mut world = World::with(&["s"], EraChoice::Auto, snapshot);
    world.client(r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"elicitation":{}},"clientInfo":{"name":"c","version":"1"}}}"#);
    assert!(
        world.got_one().contains("2025-11-25"),
        "before the server answered"
    );
    let (upstream, initialize) = world.sent_one();
    world.client(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    world.client(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    assert_eq!(world.got_one(), as_first_seen);
    world.server(
        upstream,
        &INITIALIZED.replace("\"id\":0", &format!("\"id\":{}", id(&initialize))),
    );
    let fetch = world
        .sent()
        .into_iter()
        .map(|(_, line)| line)
        .find(|line| line.contains("tools/list"))
        .expect("the live list is read for the next start");
    world.server(upstream, &list(&id(&fetch), "new"));
    assert!(
        world.got().is_empty(),
        "a difference found at the start is not told"
    );
    assert!(
        text(
            &world.stored.last().unwrap().lists[0]
                .as_ref()
                .unwrap()
                .items[0]
        )
        .contains("new")
    );
    // Only when the server itself says so is the new list shown.
    world.server(
        upstream,
        r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#,
    );
    for (_, line) in world.sent() {
        world.server(upstream, &list(&id(&line), "newer"));
    }
    assert!(world.got_one().contains("list_changed"));
}

#[test]
fn one_dead_and_one_slow_server_neither_block_nor_empty_a_list() {
    let mut world = World::new(&["a", "b", "c"], EraChoice::Auto);
    world.client(r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#);
    let sent = world.sent();
    assert_eq!(sent.len(), 3);
    let (a, b, c) = (sent[0].0, sent[1].0, sent[2].0);
    world.server(a, INITIALIZED);
    world.crash(b);
    assert!(world.got().is_empty(), "c may still come");
    world.pass(HubTimeouts::default().merge);
    assert!(world.got_one().contains("mcp-whittle"));
    world.client(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    world.sent();
    world.client(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    let fetch = world
        .sent()
        .into_iter()
        .find(|(upstream, line)| *upstream == a && line.contains("tools/list"))
        .unwrap()
        .1;
    world.server(
        a,
        &format!(
            r#"{{"jsonrpc":"2.0","id":{},"result":{{"tools":[{{"name":"t"}}]}}}}"#,
            id(&fetch)
        ),
    );
    world.pass(HubTimeouts::default().merge);
    let list = world.got_one();
    assert!(
        list.contains("a__t") && list.contains(r#"["b","c"]"#),
        "{list}"
    );
    // When the slow one comes, the client is told.
    world.server(c, INITIALIZED);
    for (upstream, line) in world.sent() {
        if upstream == c && line.contains("tools/list") {
            let answer = r#"{"jsonrpc":"2.0","id":ID,"result":{"tools":[{"name":"u"}]}}"#;
            world.server(c, &answer.replace("ID", &id(&line)));
        }
    }
    assert!(world.got_one().contains("tools/list_changed"));
}

#[test]
fn cancelling_reaches_the_server_and_frees_the_request() {
    let mut world = World::new(&["s"], EraChoice::Auto);
    let upstream = world.legacy();
    world.client(r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"t","_meta":{"progressToken":"p"}}}"#);
    world.sent();
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5,"reason":"no"}}"#;
    world.client(cancel);
    assert_eq!(world.sent_one().1, cancel);
    world.server(upstream, r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":1}}"#);
    world.server(upstream, r#"{"jsonrpc":"2.0","id":5,"result":{}}"#);
    assert!(world.got().is_empty());
    assert_eq!(world.hub.in_flight(), 0);
}

#[test]
fn a_request_without_answer_or_progress_ends_and_progress_renews_its_time() {
    let mut world = World::new(&["s"], EraChoice::Auto);
    let upstream = world.legacy();
    world.client(r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"t","_meta":{"progressToken":1}}}"#);
    world.sent();
    for step in 1..=3 {
        world.pass(Duration::from_secs(20));
        world.server(upstream, &format!(r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":1,"progress":{step}}}}}"#));
        assert!(world.got_one().contains("progress"));
    }
    world.pass(Duration::from_secs(30));
    let answer = world.got_one();
    assert!(
        answer.contains("-31003") && answer.contains("maybe_executed"),
        "{answer}"
    );
    // The server is told, and asked for a sign of life; without one it is started again.
    let lines: Vec<String> = world.sent().into_iter().map(|(_, line)| line).collect();
    assert!(lines[0].contains("notifications/cancelled"), "{lines:?}");
    assert!(lines[1].contains("\"ping\""), "{lines:?}");
    world.pass(HubTimeouts::default().probe);
    assert!(
        world
            .notes
            .iter()
            .any(|note| note.contains("no sign of life"))
    );
}
