//! The hub under a list of operations: HTTP clients with and without sessions, servers, crashes and time
//! in any order.
//!
//! Whatever happens, nothing panics; every POST whose client stayed gets exactly one outcome (a status or
//! a last message) with the answers to exactly what it asked; nothing arrives on a stream after its
//! outcome or after it was gone; nobody gets what was meant for another principal, neither clients nor
//! servers; after everything was closed and all timers ran, nobody is left.

use bytes::Bytes;

use mcp_whittle::hub::action::HttpHead;
use mcp_whittle::jsonrpc::message::Message;
use mcp_whittle::session::StreamId;

use super::http_clients::{Asked, HttpClients, HttpSession, Stream, Verb};
use super::words::{ANSWERS, CALLS, INTRODUCTION, MODERN_META, VERSIONS};
use super::world::{World, limits, settings};

/// The modern version.
const MODERN: &str = "2026-07-28";
/// The clients: the token's hash, and whether they are on this machine.
const CLIENTS: [(Option<[u8; 16]>, bool); 4] = [
    (None, true),
    (Some([1; 16]), true),
    (Some([2; 16]), false),
    (None, false),
];

/// The property for one input; panics where it does not hold.
pub fn run(data: &[u8]) {
    check(data, |_, stream| vec![stream]);
}

/// The property for a hub whose `n`th outcome, meant for one stream, arrives on `deliver(n, stream)`.
pub fn check(data: &[u8], deliver: impl Fn(usize, StreamId) -> Vec<StreamId>) {
    let [choice, more, operations @ ..] = data else {
        return;
    };
    let bit = |n: u8| more >> n & 1 == 1;
    let mut settings = settings(*choice);
    for server in &mut settings.servers {
        server.is_shared = bit(0);
    }
    if bit(1) {
        settings.limits.sessions = 3;
        settings.limits.listens_per_session = 1;
    }
    let mut world = World::new(settings, HttpClients::new(deliver));
    let mut rest = operations.iter().copied();
    while let Some(operation) = rest.next() {
        world.step(operation, &mut rest);
        world.settle();
    }
    world.end(more >> 2 & 3);
}

/// What one POST says.
#[derive(Default)]
struct Body {
    texts: Vec<String>,
    requests: Vec<(String, Asked)>,
    is_batch: bool,
}

impl<F: Fn(usize, StreamId) -> Vec<StreamId>> World<HttpClients<F>> {
    fn step(&mut self, operation: u8, rest: &mut impl Iterator<Item = u8>) {
        let mut next = || usize::from(rest.next().unwrap_or(0));
        self.clients.acting.clear();
        match operation % 24 {
            0 => self.initialize(next(), next()),
            1 => self.notify(next(), r#""method":"notifications/initialized""#),
            2 | 3 => self.legacy(next(), next()),
            4 | 5 => self.modern(next(), next(), 0),
            6 => self.modern(next(), next(), next()),
            7 => self.batch(next(), next()),
            8 => self.answer_question(next(), next()),
            9 => self.get(next(), next()),
            10 => self.delete(next(), next()),
            11 => self.go(next()),
            12 => {
                let (n, bytes) = (next(), rest.take(24).collect::<Vec<u8>>());
                self.noise(n, bytes);
            }
            13 => self.cancel(next()),
            14 => self.again(next(), next()),
            15 => self.wrong_session(next(), next()),
            16 | 17 => self.answer(next(), next()),
            18 => self.speak(next(), next()),
            19 => self.crash(next()),
            20 => self.pass(next()),
            21 => self.shape(next()),
            22 => match next() % 4 {
                0 => self.change_starts(),
                1 => self.hub.set_overloaded(true),
                2 => self.hub.set_overloaded(false),
                _ => self.hub.begin_drain(self.now),
            },
            _ => self.answer(0, 0),
        }
    }

    /// A stream of a client, which acts from here on.
    fn open(&mut self, verb: Verb, client: usize, session: Option<&HttpSession>) -> StreamId {
        // Stream 0 is that of pipes.
        let id = self.clients.streams.len() as StreamId + 1;
        let (bearer, is_loopback) = CLIENTS[client];
        let owner = match session {
            // A token is asked for again, where the session began with one.
            Some(session) => match CLIENTS[session.client].0 {
                Some(token) if bearer != Some(token) => format!("nobody-{id}"),
                _ => session.owner.clone(),
            },
            None if bearer.is_some() || is_loopback => format!("client-{client}"),
            None => format!("alone-{id}"),
        };
        self.clients.acting.clone_from(&owner);
        let key = session.map(|session| session.key.clone());
        let stream = Stream::new(verb, client, &owner, key);
        self.clients.streams.insert(id, stream);
        id
    }

    fn post(&mut self, id: StreamId, head: &HttpHead, body: Body) {
        let text = match body.is_batch {
            true => format!("[{}]", body.texts.join(",")),
            false => body.texts.concat(),
        };
        let parsed = Message::parse(Bytes::from(text.clone()), limits());
        assert!(parsed.is_ok(), "a text of this file is wrong: {text}");
        if let Some(stream) = self.clients.streams.get_mut(&id) {
            stream.requests.extend(body.requests);
            stream.is_batch = body.is_batch;
        }
        self.hub.handle_http_post(self.now, id, head, parsed);
    }

    fn session(&self, n: usize) -> Option<HttpSession> {
        let sessions = &self.clients.sessions;
        sessions.get(n % sessions.len().max(1)).cloned()
    }

    /// Puts a request with a mark of its own into a body.
    fn request(&mut self, body: &mut Body, id: StreamId, method: &str, params: &str) {
        let owner = self.clients.streams[&id].owner.clone();
        let mark = self.clients.new_mark(&owner);
        let comma = if params.is_empty() { "" } else { "," };
        let asked = Asked {
            method: method.to_owned(),
            params: format!(r#""mark":"{mark}"{comma}{params}"#),
            mark,
            is_cancelled: false,
        };
        self.put(body, id, asked, "");
    }

    fn put(&mut self, body: &mut Body, id: StreamId, asked: Asked, more: &str) {
        let name = format!("request-{id}-{}", body.requests.len());
        body.texts.push(format!(
            r#"{{"jsonrpc":"2.0","id":"{name}","method":"{}","params":{{{}{more}}}}}"#,
            asked.method, asked.params
        ));
        body.requests.push((name, asked));
    }

    fn initialize(&mut self, n: usize, version: usize) {
        let client = n % CLIENTS.len();
        let id = self.open(Verb::Post, client, None);
        let version = VERSIONS[version % VERSIONS.len()];
        let params = format!(r#""protocolVersion":"{version}",{INTRODUCTION}"#);
        let mut body = Body::default();
        self.request(&mut body, id, "initialize", &params);
        self.post(id, &head(client, None), body);
    }

    fn notify(&mut self, n: usize, what: &str) {
        let Some(session) = self.session(n) else {
            return;
        };
        let id = self.open(Verb::Post, session.client, Some(&session));
        let body = Body {
            texts: vec![format!(r#"{{"jsonrpc":"2.0",{what}}}"#)],
            ..Body::default()
        };
        self.post(id, &head(session.client, Some(&session)), body);
    }

    fn legacy(&mut self, n: usize, call: usize) {
        let Some(session) = self.session(n) else {
            return;
        };
        let id = self.open(Verb::Post, session.client, Some(&session));
        let mut body = Body::default();
        self.call(&mut body, id, call);
        let mut head = head(session.client, Some(&session));
        head.protocol_version = (call & 0x80 != 0).then(|| VERSIONS[0].to_owned());
        self.post(id, &head, body);
    }

    /// Puts a legacy call into a body.
    fn call(&mut self, body: &mut Body, id: StreamId, call: usize) {
        let (method, params) = CALLS[call % CALLS.len()];
        let comma = if params.is_empty() { "" } else { "," };
        let params = format!(r#"{params}{comma}"_meta":{{"progressToken":1}}"#);
        self.request(body, id, method, &params);
    }

    /// A modern request; `wrong` names what its head or metadata lacks.
    fn modern(&mut self, n: usize, call: usize, wrong: usize) {
        let client = n % CLIENTS.len();
        let id = self.open(Verb::Post, client, None);
        let (method, params) = CALLS[call % CALLS.len()];
        let mut head = modern_head(client, method, params);
        let mut meta = MODERN_META.to_owned();
        match wrong % 8 {
            1 => head.protocol_version = None,
            2 => head.protocol_version = Some(VERSIONS[0].to_owned()),
            3 => head.method = None,
            4 => head.name = Some("=?base64?%%?=".to_owned()),
            5 => head.name = None,
            6 => {
                meta = meta.replace(MODERN, "2099-01-01");
                head.protocol_version = Some("2099-01-01".to_owned());
            }
            7 => meta = r#""_meta":{"progressToken":1}"#.to_owned(),
            _ => {}
        }
        let comma = if params.is_empty() { "" } else { "," };
        let mut body = Body::default();
        self.request(&mut body, id, method, &format!("{params}{comma}{meta}"));
        self.post(id, &head, body);
    }

    /// Several messages at once: one for each bit that is set.
    fn batch(&mut self, n: usize, parts: usize) {
        let Some(session) = self.session(n) else {
            return;
        };
        let id = self.open(Verb::Post, session.client, Some(&session));
        let mut body = Body {
            is_batch: true,
            ..Body::default()
        };
        for part in (0..8).filter(|part| parts >> part & 1 == 1) {
            match part {
                0..5 => self.call(&mut body, id, part * 3),
                5 => self.request(&mut body, id, "initialize", ""),
                6 => {
                    let text = r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#;
                    body.texts.push(text.to_owned());
                }
                _ => {
                    let text = r#"{"jsonrpc":"2.0","id":7,"result":{}}"#;
                    body.texts.push(text.to_owned());
                }
            }
        }
        self.post(id, &head(session.client, Some(&session)), body);
    }

    /// An answer to a server's question, sometimes from a session that was not asked.
    fn answer_question(&mut self, n: usize, from: usize) {
        let questions = &mut self.clients.questions;
        if questions.is_empty() {
            return;
        }
        let (key, question) = questions.swap_remove(n % questions.len());
        let asked = |session: &&HttpSession| session.key == key;
        let session = match from & 0x80 {
            0 => self.clients.sessions.iter().find(asked).cloned(),
            _ => self.session(from),
        };
        let Some(session) = session else {
            return;
        };
        let id = self.open(Verb::Post, session.client, Some(&session));
        let owner = self.clients.acting.clone();
        let mark = self.clients.new_mark(&owner);
        let answer = ANSWERS[n % ANSWERS.len()].replacen('{', &format!(r#"{{"mark":"{mark}","#), 1);
        let body = Body {
            texts: vec![format!(r#"{{"jsonrpc":"2.0","id":{question},{answer}}}"#)],
            ..Body::default()
        };
        self.post(id, &head(session.client, Some(&session)), body);
    }

    fn get(&mut self, n: usize, kind: usize) {
        let session = self.session(n);
        let client = session.as_ref().map_or(0, |session| session.client);
        let id = self.open(Verb::Get, client, session.as_ref());
        let mut head = head(client, session.as_ref());
        head.protocol_version = (kind & 0x80 != 0).then(|| MODERN.to_owned());
        self.hub.handle_http_get(self.now, id, &head);
    }

    /// Ends a session, or tries to end another's.
    fn delete(&mut self, n: usize, by: usize) {
        let Some(session) = self.session(n) else {
            return;
        };
        let client = match by & 0x80 {
            0 => session.client,
            _ => by % CLIENTS.len(),
        };
        let id = self.open(Verb::Delete, client, Some(&session));
        if self.clients.acting == session.owner {
            for stream in self.clients.streams.values_mut() {
                stream.is_forgiven |= stream.session.as_ref() == Some(&session.key);
            }
        }
        let head = head(client, Some(&session));
        self.hub.handle_http_delete(self.now, id, &head);
    }

    /// The connection of an open stream breaks.
    fn go(&mut self, n: usize) {
        let streams = self.clients.streams.iter_mut();
        let mut open: Vec<_> = streams.filter(|(_, stream)| stream.is_open()).collect();
        if open.is_empty() {
            return;
        }
        let n = n % open.len();
        let (id, stream) = &mut open[n];
        stream.is_gone = true;
        let id = **id;
        self.hub.handle_http_gone(self.now, id);
    }

    fn noise(&mut self, n: usize, bytes: Vec<u8>) {
        let session = self.session(n);
        let client = session.as_ref().map_or(1, |session| session.client);
        let id = self.open(Verb::Post, client, session.as_ref());
        if let Some(stream) = self.clients.streams.get_mut(&id) {
            stream.is_noise = true;
        }
        let parsed = Message::parse(Bytes::from(bytes), limits());
        let head = head(client, session.as_ref());
        self.hub.handle_http_post(self.now, id, &head, parsed);
    }

    /// A legacy client gives up a request of its session.
    fn cancel(&mut self, n: usize) {
        let streams = self.clients.streams.values_mut();
        let mut open: Vec<_> = streams
            .filter(|stream| stream.is_open() && stream.session.is_some())
            .flat_map(|stream| {
                let (key, requests) = (stream.session.clone(), &mut stream.requests);
                requests
                    .iter_mut()
                    .map(move |request| (key.clone(), request))
            })
            .collect();
        if open.is_empty() {
            return;
        }
        let n = n % open.len();
        let (key, (id, asked)) = &mut open[n];
        asked.is_cancelled = true;
        let what = format!(r#""method":"notifications/cancelled","params":{{"requestId":"{id}"}}"#);
        let key = key.clone();
        let sessions = &self.clients.sessions;
        if let Some(n) = sessions
            .iter()
            .position(|session| Some(&session.key) == key.as_ref())
        {
            self.notify(n, &what);
        }
    }

    /// A modern client answers the questions that came instead of a result, or another tries to.
    fn again(&mut self, n: usize, by: usize) {
        let again = &self.clients.again;
        let Some(again) = again.get(n % again.len().max(1)).cloned() else {
            return;
        };
        let client = match by & 0x80 {
            0 => again.client,
            _ => by % CLIENTS.len(),
        };
        let id = self.open(Verb::Post, client, None);
        let owner = self.clients.acting.clone();
        self.clients.use_mark(&again.asked.mark, &owner);
        let mark = self.clients.new_mark(&owner);
        let answer = format!(r#"{{"action":"accept","mark":"{mark}"}}"#);
        let more = format!(
            r#","inputResponses":{{"k":{answer},"question-1":{answer},"question-2":{answer}}},"requestState":"{}""#,
            again.state
        );
        let head = modern_head(client, &again.asked.method, &again.asked.params);
        let mut body = Body::default();
        self.put(&mut body, id, again.asked, &more);
        self.post(id, &head, body);
    }

    /// A request that names no session, one that never was, or another's; or a version that is unknown.
    fn wrong_session(&mut self, n: usize, kind: usize) {
        let client = kind >> 2 & 3;
        let session = match kind & 3 {
            0 => None,
            1 => Some(HttpSession {
                key: "0123".to_owned(),
                client,
                owner: "nobody".to_owned(),
            }),
            _ => self.session(n),
        };
        let id = self.open(Verb::Post, client, session.as_ref());
        let mut head = head(client, session.as_ref());
        head.protocol_version = (kind & 0x80 != 0).then(|| "1999-01-01".to_owned());
        let mut body = Body::default();
        self.call(&mut body, id, kind);
        self.post(id, &head, body);
    }

    /// Closes everything in one of four ways and lets all timers run.
    fn end(&mut self, how: u8) {
        self.clients.acting.clear();
        self.hub.set_overloaded(false);
        if how == 0 {
            self.hub.begin_drain(self.now);
        }
        if how == 1 {
            for n in 0..self.clients.sessions.len() {
                self.delete(n, 0);
                self.settle();
            }
            self.clients.acting.clear();
        }
        if how > 0 {
            // Streams of notifications have no end of their own; in the last way all clients vanish.
            let is_endless = |stream: &Stream| {
                let mut requests = stream.requests.values();
                stream.verb == Verb::Get || requests.any(|asked| asked.method.ends_with("/listen"))
            };
            let streams = self.clients.streams.iter_mut();
            let leaving: Vec<StreamId> = streams
                .filter(|(_, stream)| stream.is_open() && (how == 3 || is_endless(stream)))
                .map(|(id, stream)| {
                    stream.is_gone = true;
                    *id
                })
                .collect();
            for id in leaving {
                self.hub.handle_http_gone(self.now, id);
                self.settle();
            }
        }
        self.settle();
        self.run_out();
        for (id, stream) in &self.clients.streams {
            assert!(!stream.is_open(), "stream {id} never had its outcome");
        }
    }
}

fn head(client: usize, session: Option<&HttpSession>) -> HttpHead {
    let (bearer, is_loopback) = CLIENTS[client];
    HttpHead {
        session: session.map(|session| session.key.clone()),
        bearer,
        is_loopback,
        ..HttpHead::default()
    }
}

fn modern_head(client: usize, method: &str, params: &str) -> HttpHead {
    let name = super::world::values(format!("{{{params}").as_bytes(), "name")
        .into_iter()
        .chain(super::world::values(params.as_bytes(), "uri"))
        .find(|name| name != "f");
    HttpHead {
        protocol_version: Some(MODERN.to_owned()),
        method: Some(method.to_owned()),
        name,
        ..head(client, None)
    }
}
