//! Bounds and breakers with a virtual clock: who is told to come back, when, and how.

use super::*;
use crate::hub::action::{HttpHead, TransportFailure};
use crate::hub::limits::ServiceLimits;
use crate::hub::limits::breaker::{BreakerPolicy, Position};
use crate::hub::limits::bucket::Rate;
use crate::session::StreamId;

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#;

/// What a client of HTTP got.
#[derive(Debug, Default)]
struct Got {
    status: u16,
    body: String,
    retry_after: Option<String>,
}

/// Servers over HTTP, or on pipes, and HTTP clients.
struct Service {
    world: World,
    /// Keys of requests that servers got, with their connection.
    keys: Vec<(UpstreamId, u64, String)>,
    next_stream: StreamId,
    answers: std::collections::HashMap<StreamId, Got>,
    session_keys: Vec<String>,
}

impl Service {
    fn new(limits: ServiceLimits, is_http: bool) -> Self {
        let mut settings = settings(&["s"], EraChoice::Legacy);
        settings.service = limits;
        settings.servers[0].is_http = is_http;
        Self {
            world: World::of(settings, None),
            keys: Vec::new(),
            next_stream: 1,
            answers: Default::default(),
            session_keys: Vec::new(),
        }
    }

    fn act(&mut self) {
        while let Some(action) = self.world.hub.poll_action() {
            match action {
                Action::Send {
                    stream,
                    message,
                    status,
                    is_final: true,
                    ..
                } => {
                    let got = self.answers.entry(stream).or_default();
                    (got.status, got.body) = (status, text(&message.to_bytes()));
                }
                Action::Status {
                    stream,
                    status,
                    body,
                } => {
                    let got = self.answers.entry(stream).or_default();
                    got.status = status;
                    got.body = body.map(|body| text(&body.to_bytes())).unwrap_or_default();
                }
                Action::Header {
                    stream,
                    name,
                    value,
                } => {
                    if name == "retry-after" {
                        self.answers.entry(stream).or_default().retry_after = Some(value);
                    } else {
                        self.session_keys.push(value);
                    }
                }
                Action::SendUpstream {
                    upstream,
                    key: Some(key),
                    message,
                    ..
                } => self.keys.push((upstream, key, text(&message.to_bytes()))),
                Action::Connect { upstream, .. } => {
                    self.world.connects += 1;
                    self.world
                        .hub
                        .handle_upstream_connected(self.world.now, upstream);
                }
                Action::LoadSnapshot { upstream, .. } => {
                    self.world
                        .hub
                        .handle_snapshot(self.world.now, upstream, None);
                }
                _ => {}
            }
        }
    }

    fn post(&mut self, head: &HttpHead, line: &str) -> StreamId {
        let stream = self.next_stream;
        self.next_stream += 1;
        let parsed = Message::parse(Bytes::copy_from_slice(line.as_bytes()), Limits::default());
        self.world
            .hub
            .handle_http_post(self.world.now, stream, head, parsed);
        self.act();
        stream
    }

    fn got(&mut self, stream: StreamId) -> Got {
        self.answers.remove(&stream).unwrap_or_default()
    }

    /// A server answers the oldest request that it has.
    fn answer_next(&mut self, result: &str) {
        let (upstream, _, line) = self.keys.remove(0);
        let line = format!(r#"{{"jsonrpc":"2.0","id":{},{result}}}"#, id(&line));
        let raw = Bytes::from(line.into_bytes());
        let parsed = Message::parse(raw.clone(), Limits::default()).map_err(|error| (error, raw));
        self.world
            .hub
            .handle_upstream_frame(self.world.now, upstream, None, parsed);
        self.act();
    }

    /// The transport tells that the oldest request failed.
    fn fail_next(&mut self, status: Option<u16>, retry_after: Option<Duration>) {
        let (upstream, key, _) = self.keys.remove(0);
        let failure = TransportFailure {
            message: "connection refused".into(),
            status,
            excerpt: None,
            body: None,
            may_have_run: false,
            is_too_large: false,
            is_protocol: false,
            retry_after,
            www_authenticate: None,
        };
        self.world
            .hub
            .handle_upstream_failed(self.world.now, upstream, Some(key), &failure);
        self.act();
    }

    /// Opens a session of a principal.
    fn open(&mut self, bearer: u8) -> HttpHead {
        let mut head = HttpHead {
            bearer: Some([bearer; 16]),
            ..HttpHead::default()
        };
        self.post(&head, INITIALIZE);
        if self.session_keys.is_empty() {
            self.answer_next(r#""result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}"#);
        }
        head.session = self.session_keys.pop();
        assert!(head.session.is_some());
        self.post(
            &head,
            r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        );
        self.keys.clear();
        head
    }

    fn pass(&mut self, time: Duration) {
        self.world.now += time;
        self.world.hub.handle_timeout(self.world.now);
        self.act();
    }
}

fn call(n: u32) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{n},"method":"tools/call","params":{{"name":"t"}}}}"#)
}

fn vendor(n: u32) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{n},"method":"vendor/x"}}"#)
}

/// Places that the hub's queues and tables have room for.
fn places(hub: &Hub) -> usize {
    let upstreams = hub.upstreams.values().map(|record| {
        record.queue.capacity() + record.in_flight.capacity() + record.tokens.capacity()
    });
    let sessions = hub.sessions.values().map(|record| {
        record.waiting.capacity() + record.in_flight.capacity() + record.questions.capacity()
    });
    let own = hub.actions.capacity() + hub.streams.capacity();
    own + upstreams.sum::<usize>() + sessions.sum::<usize>()
}

#[test]
fn queues_shrink_while_memory_is_tight_and_nothing_in_them_is_lost() {
    use crate::hub::limits::memory::MemoryLevel;

    const BURST: u32 = 400;
    let limits = ServiceLimits {
        waiting_per_upstream: 600,
        ..ServiceLimits::default()
    };
    let mut service = Service::new(limits, false);
    let head = service.open(1);
    let streams: Vec<StreamId> = (1..=BURST).map(|n| service.post(&head, &call(n))).collect();
    assert_eq!(service.keys.len(), BURST as usize);
    // All but the last ten are over.
    while service.keys.len() > 10 {
        service.answer_next(DONE);
    }
    let (full, waiting) = (places(&service.world.hub), 10);
    assert!(full > BURST as usize, "{full}");
    service.world.hub.handle_memory(MemoryLevel::Tight);
    let shrunk = places(&service.world.hub);
    assert!(shrunk < full / 4, "{shrunk} of {full}");
    // Half as many may wait from here on, and who does not get in is told so.
    for n in 0..300 - waiting {
        service.post(&head, &call(1_000 + n));
    }
    assert_eq!(service.keys.len(), 300);
    let refused = service.post(&head, &call(2_000));
    let got = service.got(refused);
    assert!(got.body.contains("300 requests wait"), "{}", got.body);
    // What waited before is answered as if nothing had been.
    while !service.keys.is_empty() {
        service.answer_next(DONE);
    }
    for stream in streams {
        assert!(service.got(stream).body.contains(r#""content":[]"#));
    }
    // With enough memory as many may wait as before.
    service.world.hub.handle_memory(MemoryLevel::Enough);
    for n in 0..301 {
        service.post(&head, &call(3_000 + n));
    }
    assert_eq!(service.keys.len(), 301);
}

const DONE: &str = r#""result":{"content":[]}"#;

#[test]
fn a_full_server_answers_calls_as_busy_at_once_and_other_requests_with_503() {
    let limits = ServiceLimits {
        waiting_per_upstream: 2,
        ..ServiceLimits::default()
    };
    let mut service = Service::new(limits, false);
    let head = service.open(1);
    service.post(&head, &call(1));
    service.post(&head, &call(2));
    assert_eq!(service.keys.len(), 2);
    let refused = service.post(&head, &call(3));
    let got = service.got(refused);
    assert_eq!(got.status, 200);
    assert!(got.body.contains(r#""isError":true"#), "{}", got.body);
    assert!(got.body.contains("try again in 1 s"), "{}", got.body);
    assert!(got.body.contains(r#""outcome":"not_sent""#), "{}", got.body);
    let refused = service.post(&head, &vendor(4));
    let got = service.got(refused);
    assert_eq!((got.status, got.retry_after.as_deref()), (503, Some("1")));
    assert!(got.body.contains("-31004") && got.body.contains("retryAfterMs"));
    assert_eq!(service.keys.len(), 2, "nothing of it was sent");
    // An answer makes room; a request that its client gave up does not: the server still has it.
    service.post(
        &head,
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}"#,
    );
    service
        .keys
        .retain(|(_, _, line)| !line.contains("cancelled"));
    let stream = service.post(&head, &call(5));
    assert!(service.got(stream).body.contains("busy"));
    service.answer_next(DONE);
    let stream = service.post(&head, &call(6));
    assert_eq!(service.got(stream).status, 0, "it waits for its server");
    assert_eq!(service.world.hub.counters().busy, 3);
}

#[test]
fn a_principal_that_asks_too_often_is_told_when_to_come_back_and_others_are_not() {
    let mut limits = ServiceLimits::default();
    limits.principal.rate = Some(Rate {
        per_second: 2,
        burst: 4,
    });
    let mut service = Service::new(limits, false);
    let (one, two) = (service.open(1), service.open(2));
    // The handshake was the first of four.
    for n in 0..3 {
        let stream = service.post(&one, &vendor(n));
        assert_eq!(service.got(stream).status, 0);
    }
    let stream = service.post(&one, &vendor(9));
    let got = service.got(stream);
    assert_eq!((got.status, got.retry_after.as_deref()), (429, Some("1")));
    let stream = service.post(&one, &call(10));
    let got = service.got(stream);
    assert!(got.body.contains(r#""isError":true"#), "{}", got.body);
    let stream = service.post(&two, &vendor(1));
    assert_eq!(service.got(stream).status, 0, "the other one is served");
    service.pass(Duration::from_millis(500));
    let stream = service.post(&one, &vendor(11));
    assert_eq!(service.got(stream).status, 0);
}

#[test]
fn a_principal_shares_its_bound_over_its_sessions() {
    let mut limits = ServiceLimits::default();
    limits.principal.in_flight = 2;
    let mut service = Service::new(limits, false);
    let (first, second, other) = (service.open(1), service.open(1), service.open(2));
    service.post(&first, &call(1));
    service.post(&second, &call(1));
    let refused = service.post(&first, &call(2));
    assert!(service.got(refused).body.contains("busy"));
    let passed = service.post(&other, &call(2));
    assert_eq!(service.got(passed).status, 0);
    // The end of a session gives back what it held.
    let delete = HttpHead {
        session: second.session.clone(),
        bearer: second.bearer,
        ..HttpHead::default()
    };
    service
        .world
        .hub
        .handle_http_delete(service.world.now, 900, &delete);
    service.act();
    let passed = service.post(&first, &call(3));
    assert_eq!(service.got(passed).status, 0);
    assert_eq!(service.world.hub.counted().1, 3);
}

#[test]
fn a_session_holds_no_more_bytes_than_it_may_but_one_request_always_passes() {
    let limits = ServiceLimits {
        session_bytes: 1000,
        ..ServiceLimits::default()
    };
    let mut service = Service::new(limits, false);
    let head = service.open(1);
    let large = |n: u32| {
        let filling = "x".repeat(2000);
        format!(
            r#"{{"jsonrpc":"2.0","id":{n},"method":"tools/call","params":{{"name":"t","arguments":{{"x":"{filling}"}}}}}}"#
        )
    };
    let passed = service.post(&head, &large(1));
    assert_eq!(service.got(passed).status, 0);
    let refused = service.post(&head, &large(2));
    assert!(service.got(refused).body.contains("bytes"));
    service.answer_next(DONE);
    let passed = service.post(&head, &large(3));
    assert_eq!(service.got(passed).status, 0);
    // Messages for a stream that is not open: the oldest go.
    let upstream = service.keys[0].0;
    for n in 0..50 {
        let line = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{{"uri":"a://{n}-{}"}}}}"#,
            "y".repeat(100)
        );
        let raw = Bytes::from(line.into_bytes());
        let parsed = Message::parse(raw.clone(), Limits::default()).map_err(|error| (error, raw));
        service
            .world
            .hub
            .handle_upstream_frame(service.world.now, upstream, None, parsed);
        service.act();
    }
    let held: usize = service
        .world
        .hub
        .sessions
        .values()
        .map(|session| {
            session
                .waiting
                .iter()
                .map(|message| message.len())
                .sum::<usize>()
        })
        .sum();
    assert!(held > 0 && held <= 1000, "{held} bytes wait");
}

#[test]
fn everybody_together_is_bounded() {
    let limits = ServiceLimits {
        in_flight: 3,
        ..ServiceLimits::default()
    };
    let mut service = Service::new(limits, false);
    let heads: Vec<HttpHead> = (0..4).map(|n| service.open(n)).collect();
    for head in &heads[..3] {
        service.post(head, &call(1));
    }
    let refused = service.post(&heads[3], &call(1));
    assert!(service.got(refused).body.contains("busy"));
}

fn quick() -> ServiceLimits {
    ServiceLimits {
        breaker: BreakerPolicy {
            failures: 3,
            open: Duration::from_secs(5),
            max_open: Duration::from_secs(20),
        },
        ..ServiceLimits::default()
    }
}

#[test]
fn a_server_that_cannot_be_reached_is_left_alone_and_tried_with_one_request() {
    let mut service = Service::new(quick(), true);
    let head = service.open(1);
    // What a server answers is no failure of it, be it an error.
    for n in 0..10 {
        service.post(&head, &call(n));
        service.answer_next(r#""result":{"content":[],"isError":true}"#);
        service.post(&head, &call(100 + n));
        service.answer_next(r#""error":{"code":-32000,"message":"no"}"#);
        service.post(&head, &call(200 + n));
        service.fail_next(Some(500), None);
    }
    let position = |service: &Service| {
        let now = service.world.now;
        service.world.hub.breaker_position(now, 0)
    };
    assert_eq!(position(&service), Position::Closed);
    for n in 0..3 {
        service.post(&head, &call(n));
        service.fail_next(None, None);
    }
    assert_eq!(position(&service), Position::Open);
    let stream = service.post(&head, &call(7));
    let got = service.got(stream);
    assert!(service.keys.is_empty(), "nothing is sent");
    assert!(
        got.body.contains("-31001") && got.body.contains(r#""retryAfterMs":5000"#),
        "{}",
        got.body
    );
    // Others of the same server are told the same, at once.
    service.pass(Duration::from_secs(4));
    let stream = service.post(&head, &call(8));
    assert!(service.got(stream).body.contains("asked again in 1 s"));
    service.pass(Duration::from_secs(1));
    let trial = service.post(&head, &call(9));
    let second = service.post(&head, &call(10));
    assert_eq!(service.keys.len(), 1, "one trial");
    assert_eq!(service.got(trial).status, 0);
    assert!(service.got(second).body.contains("-31001"));
    service.fail_next(None, None);
    service.pass(Duration::from_secs(9));
    let stream = service.post(&head, &call(11));
    assert!(service.got(stream).body.contains("-31001"), "longer now");
    service.pass(Duration::from_secs(1));
    service.post(&head, &call(12));
    service.answer_next(DONE);
    assert_eq!(position(&service), Position::Closed);
    for n in 20..25 {
        service.post(&head, &call(n));
    }
    assert_eq!(service.keys.len(), 5);
}

#[test]
fn deadlines_open_it_and_a_pause_that_a_server_asks_for_is_kept() {
    let mut service = Service::new(quick(), true);
    let head = service.open(1);
    for n in 0..3 {
        let stream = service.post(&head, &call(n));
        service.pass(Duration::from_secs(30));
        assert!(service.got(stream).body.contains("-31003"));
    }
    service.keys.clear();
    let stream = service.post(&head, &call(5));
    assert!(service.got(stream).body.contains("-31001"));
    service.pass(Duration::from_secs(5));
    service.post(&head, &call(6));
    service.fail_next(Some(503), Some(Duration::from_secs(2)));
    let stream = service.post(&head, &call(7));
    let body = service.got(stream).body;
    assert!(body.contains(r#""retryAfterMs":2000"#), "{body}");
    service.pass(Duration::from_secs(2));
    service.post(&head, &call(8));
    assert_eq!(service.keys.len(), 1);
    // 429 concerns the one who asked.
    service.answer_next(DONE);
    service.post(&head, &call(9));
    service.fail_next(Some(429), Some(Duration::from_secs(50)));
    service.post(&head, &call(10));
    assert_eq!(service.keys.len(), 1);
}

/// Broken variants that this catches: one that answers for a parked connection without asking the breaker, and one that
/// promises a time at which the connection is still parked.
#[test]
fn of_a_parked_connection_too_it_is_said_when_its_server_is_asked_again() {
    let mut service = Service::new(quick(), true);
    let head = service.open(1);
    for n in 0..3 {
        service.post(&head, &call(n));
        service.fail_next(None, None);
    }
    for (parked, expected) in [(3, 5000), (8, 8000)] {
        let until = service.world.now + Duration::from_secs(parked);
        for record in service.world.hub.upstreams.values_mut() {
            record.state = crate::upstream::State::Parked(until);
        }
        let stream = service.post(&head, &call(7));
        let body = service.got(stream).body;
        let expected = format!(r#""retryAfterMs":{expected}"#);
        assert!(
            body.contains("-31001") && body.contains(&expected),
            "{body}"
        );
    }
    assert!(service.keys.is_empty(), "nothing is sent");
}

/// Broken variant that this catches: one that drops the wait where it answers what waited for the connection.
#[test]
fn while_it_is_open_sessions_open_no_connections() {
    let mut service = Service::new(quick(), true);
    let head = service.open(1);
    for n in 0..3 {
        service.post(&head, &call(n));
        service.fail_next(None, None);
    }
    let connects = service.world.connects;
    for n in 0..50 {
        let head = HttpHead {
            bearer: Some([n; 16]),
            ..HttpHead::default()
        };
        let stream = service.post(&head, INITIALIZE);
        let got = service.got(stream);
        assert!(
            got.body.contains("-31001") && got.body.contains(r#""retryAfterMs":5000"#),
            "{got:?}"
        );
    }
    assert_eq!(service.world.connects, connects);
    assert!(service.keys.is_empty());
    service.pass(Duration::from_secs(5));
    for _ in 0..10 {
        let head = HttpHead::default();
        service.post(&head, INITIALIZE);
    }
    assert_eq!(service.world.connects, connects + 1, "one trial");
}

#[test]
fn requests_of_clients_that_nobody_can_tell_apart_leave_nothing() {
    let mut settings = settings(&["s"], EraChoice::Modern);
    settings.servers[0].era = EraChoice::Legacy;
    let mut service = Service::new(ServiceLimits::default(), false);
    service.world = World::of(settings, None);
    service.act();
    let before = (
        service.world.hub.sessions.len(),
        service.world.hub.upstreams.len(),
    );
    for n in 0..20 {
        let head = HttpHead {
            protocol_version: Some("2026-07-28".into()),
            method: Some("tools/call".into()),
            name: Some("t".into()),
            ..HttpHead::default()
        };
        let line = format!(
            r#"{{"jsonrpc":"2.0","id":{n},"method":"tools/call","params":{{"name":"t",{META}}}}}"#
        );
        let stream = service.post(&head, &line);
        service.answer_next(r#""result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}"#);
        while let Some(at) = service
            .keys
            .iter()
            .position(|(_, _, line)| line.contains("tools/call"))
        {
            service.keys.drain(..at);
            service.answer_next(DONE);
        }
        let got = service.got(stream);
        assert_eq!(got.status, 200, "{got:?}");
        service.keys.clear();
        let stopping: Vec<UpstreamId> = service
            .world
            .hub
            .upstreams
            .iter()
            .filter(|(_, record)| record.state == crate::upstream::State::Stopping)
            .map(|(id, _)| *id)
            .collect();
        for upstream in stopping {
            service.world.crash(upstream);
        }
    }
    let after = (
        service.world.hub.sessions.len(),
        service.world.hub.upstreams.len(),
    );
    assert_eq!(before, after);
    assert_eq!(service.world.hub.counted(), (0, 0));
}

/// Whatever clients do, what is counted against them is what is in flight.
#[test]
fn the_counts_are_what_is_in_flight() {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};
    for seed in 0..30 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut service = Service::new(ServiceLimits::default(), seed % 2 == 0);
        let mut heads: Vec<HttpHead> = (0..3).map(|n| service.open(n)).collect();
        let mut streams = Vec::new();
        for n in 0..200 {
            let who = random.random_range(0..heads.len());
            match random.random_range(0..8) {
                0..=2 => streams.push(service.post(&heads[who], &call(n))),
                3 if !service.keys.is_empty() => service.answer_next(DONE),
                4 if !service.keys.is_empty() => service.fail_next(None, None),
                5 if !streams.is_empty() => {
                    let at = random.random_range(0..streams.len());
                    let stream = streams.remove(at);
                    service
                        .world
                        .hub
                        .handle_http_gone(service.world.now, stream);
                    service.act();
                }
                6 => {
                    let id = random.random_range(0..200);
                    service.post(&heads[who], &format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#));
                }
                _ => service.pass(Duration::from_secs(random.random_range(0..40))),
            }
            let in_flight = service.world.hub.exchanges.len();
            assert_eq!(service.world.hub.counted().1, in_flight, "seed {seed}");
        }
        for head in heads.drain(..) {
            service
                .world
                .hub
                .handle_http_delete(service.world.now, 900_000, &head);
            service.act();
        }
        assert_eq!(service.world.hub.counted(), (0, 0), "seed {seed}");
        let held = service.world.hub.sessions.values();
        assert_eq!(held.map(|session| session.request_bytes).sum::<usize>(), 0);
    }
}

/// Broken variant that this catches: the request with which a client comes back with answers is counted and never
/// taken off, so that it is refused for good after so many rounds.
#[test]
fn a_client_that_comes_back_with_answers_is_counted_once() {
    let mut service = Service::new(ServiceLimits::default(), true);
    let head = HttpHead {
        bearer: Some([1; 16]),
        protocol_version: Some("2026-07-28".into()),
        method: Some("tools/call".into()),
        name: Some("t".into()),
        ..HttpHead::default()
    };
    let call = |id: u32, extra: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"t",{META}{extra}}}}}"#
        )
    };
    for round in 0..20 {
        let first = service.post(&head, &call(round * 2, ""));
        if round == 0 {
            service.answer_next(r#""result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}"#);
        }
        let (upstream, key, _) = service.keys[0].clone();
        let question =
            r#"{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"?"}}"#;
        let parsed = Message::parse(Bytes::from_static(question.as_bytes()), Limits::default());
        let parsed = parsed.map_err(|error| (error, Bytes::new()));
        let now = service.world.now;
        service
            .world
            .hub
            .handle_upstream_frame(now, upstream, Some(key), parsed);
        service.act();
        let asked = service.got(first).body;
        let state = asked.split("\"requestState\":\"").nth(1).unwrap();
        let state = state.split('"').next().unwrap();
        let second = service.post(
            &head,
            &call(
                round * 2 + 1,
                &format!(r#","inputResponses":{{"question-1":{{"action":"accept"}}}},"requestState":"{state}""#),
            ),
        );
        let in_flight = service.world.hub.exchanges.len();
        assert_eq!(service.world.hub.counted().1, in_flight, "round {round}");
        service.answer_next(DONE);
        assert_eq!(id(&service.got(second).body), (round * 2 + 1).to_string());
    }
    assert_eq!(service.world.hub.counted().1, 0);
    let held = service.world.hub.sessions.values();
    assert_eq!(held.map(|session| session.request_bytes).sum::<usize>(), 0);
}

/// Broken variant that this catches: requests that were cancelled and are rightly never answered fill a connection's
/// places for good.
#[test]
fn what_was_given_up_long_ago_holds_no_place() {
    let limits = ServiceLimits {
        waiting_per_upstream: 4,
        ..ServiceLimits::default()
    };
    let mut service = Service::new(limits, false);
    let head = service.open(1);
    for n in 1..=4 {
        service.post(&head, &call(n));
        service.post(&head, &format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{n}}}}}"#));
    }
    let busy = service.post(&head, &call(5));
    assert!(
        service.got(busy).body.contains("4 requests wait"),
        "it still has them"
    );
    service.pass(Duration::from_secs(601));
    service.keys.clear();
    let taken = service.post(&head, &call(6));
    service.answer_next(DONE);
    assert_eq!(id(&service.got(taken).body), "6");
}

/// Broken variant that this catches: a question goes to the first session of a shared server, whoever's call is in
/// flight.
#[test]
fn a_shared_servers_question_goes_to_the_client_that_called() {
    let mut service = Service::new(ServiceLimits::default(), false);
    service.world.hub.settings.servers[0].is_shared = true;
    let heads = [service.open(1), service.open(1)];
    // One of the two is that of the client on pipes, which every world has.
    assert_eq!(service.world.connects, 2);
    for asks in [1, 0] {
        let stream = service.post(&heads[asks], &call(7));
        let (upstream, ..) = service.keys[0];
        let question =
            r#"{"jsonrpc":"2.0","id":"q","method":"sampling/createMessage","params":{}}"#;
        let parsed = Message::parse(Bytes::from_static(question.as_bytes()), Limits::default());
        let parsed = parsed.map_err(|error| (error, Bytes::new()));
        let now = service.world.now;
        service
            .world
            .hub
            .handle_upstream_frame(now, upstream, None, parsed);
        let mut asked = Vec::new();
        while let Some(action) = service.world.hub.poll_action() {
            if let Action::Send { stream, .. } = action {
                asked.push(stream);
            }
        }
        assert_eq!(asked, [stream]);
        service.answer_next(DONE);
        service.got(stream);
    }
}
