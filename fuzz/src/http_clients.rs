//! HTTP clients of the hub: their streams, and what may arrive on each. Panics where the property of
//! [`super::http_operations`] does not hold.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use mcp_whittle::hub::action::Action;
use mcp_whittle::jsonrpc::message::{Kind, Message, Parsed};
use mcp_whittle::session::StreamId;
use mcp_whittle::upstream::UpstreamId;

use super::world::{Clients, limits, values};

/// What a stream answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Post,
    Get,
    Delete,
}

/// A request that waits on a stream.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) method: String,
    /// Without the braces around them; names the mark.
    pub(super) params: String,
    pub(super) mark: String,
    /// Given up by its client: it may stay without an answer.
    pub(super) is_cancelled: bool,
}

/// One HTTP exchange.
pub(super) struct Stream {
    pub(super) verb: Verb,
    /// The client by number.
    pub(super) client: usize,
    /// Whose messages may arrive here: a principal.
    pub(super) owner: String,
    /// The session that was named.
    pub(super) session: Option<String>,
    pub(super) requests: BTreeMap<String, Asked>,
    pub(super) is_batch: bool,
    /// The body was noise: what it asked for is not known.
    pub(super) is_noise: bool,
    /// Its session was deleted: it may end without an answer.
    pub(super) is_forgiven: bool,
    /// The client's connection broke.
    pub(super) is_gone: bool,
    /// It had its outcome.
    pub(super) is_over: bool,
}

impl Stream {
    pub(super) fn new(verb: Verb, client: usize, owner: &str, session: Option<String>) -> Self {
        Self {
            verb,
            client,
            owner: owner.to_owned(),
            session,
            requests: BTreeMap::new(),
            is_batch: false,
            is_noise: false,
            is_forgiven: false,
            is_gone: false,
            is_over: false,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        !self.is_over && !self.is_gone
    }
}

/// A session that the hub has named.
#[derive(Clone)]
pub(super) struct HttpSession {
    pub(super) key: String,
    pub(super) client: usize,
    pub(super) owner: String,
}

/// A request that was answered with questions, and can be sent again.
#[derive(Clone)]
pub(super) struct Again {
    pub(super) client: usize,
    pub(super) asked: Asked,
    pub(super) state: String,
}

/// How a stream came to its end.
enum Outcome {
    Status(u16, Option<Bytes>),
    Message(Bytes),
    End,
}

/// All clients. `deliver(n, stream)` are the streams on which the `n`th outcome, meant for `stream`, arrives.
pub(super) struct HttpClients<F> {
    deliver: F,
    n_outcomes: usize,
    pub(super) streams: BTreeMap<StreamId, Stream>,
    pub(super) sessions: Vec<HttpSession>,
    /// Questions that wait for an answer: the session's key and the raw id.
    pub(super) questions: Vec<(String, String)>,
    pub(super) again: Vec<Again>,
    /// Who acts now; empty when it is not a client.
    pub(super) acting: String,
    /// For whom a connection to a server was made.
    owners: BTreeMap<UpstreamId, String>,
    /// Who sent a mark.
    marks: BTreeMap<String, BTreeSet<String>>,
}

impl<F: Fn(usize, StreamId) -> Vec<StreamId>> HttpClients<F> {
    pub(super) fn new(deliver: F) -> Self {
        Self {
            deliver,
            n_outcomes: 0,
            streams: BTreeMap::new(),
            sessions: Vec::new(),
            questions: Vec::new(),
            again: Vec::new(),
            acting: String::new(),
            owners: BTreeMap::new(),
            marks: BTreeMap::new(),
        }
    }

    /// Makes a mark that only this owner uses.
    pub(super) fn new_mark(&mut self, owner: &str) -> String {
        let mark = format!("mark-{}", self.marks.len());
        self.use_mark(&mark, owner);
        mark
    }

    /// Notes that somebody sends a mark.
    pub(super) fn use_mark(&mut self, mark: &str, owner: &str) {
        let users = self.marks.entry(mark.to_owned()).or_default();
        users.insert(owner.to_owned());
    }

    /// A stream that waits for something.
    fn open(&mut self, id: StreamId, what: &str) -> &mut Stream {
        let stream = self.streams.get_mut(&id);
        let stream = stream.unwrap_or_else(|| panic!("{what} on stream {id}, which is not there"));
        assert!(!stream.is_over, "{what} on stream {id} after its outcome");
        assert!(!stream.is_gone, "{what} on stream {id} after it was gone");
        stream
    }

    fn outcome(&mut self, id: StreamId, outcome: &Outcome) {
        let arrives = (self.deliver)(self.n_outcomes, id);
        self.n_outcomes += 1;
        for id in arrives {
            self.finish(id, outcome);
        }
    }

    fn finish(&mut self, id: StreamId, outcome: &Outcome) {
        let stream = self.open(id, "an outcome");
        stream.is_over = true;
        let has_waiting = stream.requests.values().any(|asked| !asked.is_cancelled);
        let is_post = stream.verb == Verb::Post;
        match outcome {
            Outcome::Status(status, None) => assert!(
                !has_waiting || stream.is_noise || (stream.is_batch && stream.is_forgiven),
                "a request on stream {id} got {status} and no body"
            ),
            Outcome::Status(_, Some(text)) => self.read(id, text),
            Outcome::Message(text) => {
                assert!(is_post, "an answer on stream {id}, which asked nothing");
                self.read(id, text);
            }
            Outcome::End => {
                let is_listen = |asked: &Asked| asked.method == "subscriptions/listen";
                assert!(
                    !is_post
                        || !has_waiting
                        || stream.is_forgiven
                        || stream.is_noise
                        || stream.requests.values().all(is_listen),
                    "stream {id} ended without an answer"
                );
            }
        }
    }

    /// Reads the last text of a stream: answers to exactly what was asked there.
    fn read(&mut self, id: StreamId, text: &Bytes) {
        let stream = &self.streams[&id];
        let (is_batch, is_noise) = (stream.is_batch, stream.is_noise);
        let parsed = Message::parse(text.clone(), limits())
            .unwrap_or_else(|error| panic!("{error:?} to a client: {text:?}"));
        let parts = match parsed {
            Parsed::Message(message) => vec![message],
            Parsed::Batch(parts) => {
                assert!(is_batch || is_noise, "a batch answers a single message");
                let parse = |part| Message::parse_single(part, limits());
                let parts = parts.into_iter().map(parse);
                let parts: Vec<_> = parts
                    .map(|part| part.expect("a part is a message"))
                    .collect();
                let waiting = stream.requests.values();
                let n_waiting = waiting.filter(|asked| !asked.is_cancelled).count();
                assert!(
                    is_noise || stream.is_forgiven || parts.len() >= n_waiting,
                    "an answer is missing in a batch: {text:?}"
                );
                parts
            }
        };
        let mut answered = BTreeSet::new();
        for part in parts {
            let request = match part.kind() {
                Kind::Response(of) | Kind::ErrorResponse(Some(of)) => {
                    let of = of.to_string().trim_matches('"').to_owned();
                    let request = self.streams[&id].requests.get(&of).cloned();
                    assert!(
                        request.is_some() || is_noise,
                        "stream {id} got another's answer: {text:?}"
                    );
                    assert!(answered.insert(of), "answered twice: {text:?}");
                    request
                }
                Kind::ErrorResponse(None) => {
                    assert!(is_batch || is_noise || self.streams[&id].requests.is_empty());
                    None
                }
                _ => panic!("no answer ends stream {id}: {text:?}"),
            };
            self.check_content(id, part.raw(), request.as_ref());
        }
    }

    /// What a message says must come from a server of the stream's owner, and from the same request.
    fn check_content(&mut self, id: StreamId, text: &Bytes, request: Option<&Asked>) {
        let (client, owner) = (self.streams[&id].client, &self.streams[&id].owner);
        for of in values(text, "of") {
            let of = of.parse().expect("servers write their number");
            assert_eq!(
                self.owners.get(&of),
                Some(owner),
                "stream {id} got a message of another's server: {text:?}"
            );
        }
        let echoes = values(text, "echo");
        if let Some(asked) = request {
            for echo in echoes {
                assert_eq!(echo, asked.mark, "another's answer on stream {id}");
            }
            if let Some(state) = values(text, "requestState").pop() {
                self.again.push(Again {
                    client,
                    asked: asked.clone(),
                    state,
                });
            }
        }
    }

    /// Takes a message that is not the last of its stream.
    fn hear(&mut self, id: StreamId, text: &Bytes) {
        let stream = self.open(id, "a message");
        assert!(stream.verb != Verb::Delete, "a message on a DELETE");
        let session = stream.session.clone();
        let message = Message::parse_single(text.clone(), limits())
            .unwrap_or_else(|error| panic!("{error:?} to a client: {text:?}"));
        match message.kind() {
            Kind::Request(question) => {
                let session = session.unwrap_or_default();
                self.questions.push((session, question.to_string()));
            }
            Kind::Notification => {}
            _ => panic!("an answer does not end stream {id}: {text:?}"),
        }
        self.check_content(id, text, None);
    }
}

impl<F: Fn(usize, StreamId) -> Vec<StreamId>> Clients for HttpClients<F> {
    fn take(&mut self, action: Action) {
        match action {
            Action::Send {
                stream,
                message,
                is_final: true,
                ..
            } => self.outcome(stream, &Outcome::Message(message.to_bytes())),
            Action::Send {
                stream, message, ..
            } => self.hear(stream, &message.to_bytes()),
            Action::Status {
                stream,
                status,
                body,
            } => {
                let body = body.map(|body| body.to_bytes());
                self.outcome(stream, &Outcome::Status(status, body));
            }
            Action::EndStream { stream } => self.outcome(stream, &Outcome::End),
            Action::StartStream { stream } => {
                self.open(stream, "a start");
            }
            Action::Header {
                stream,
                name: "mcp-session-id",
                value,
            } => {
                let stream = self.open(stream, "a header");
                stream.session = Some(value.clone());
                let (client, owner) = (stream.client, stream.owner.clone());
                // `server/discover` in a session names it again.
                if self.sessions.iter().all(|session| session.key != value) {
                    self.sessions.push(HttpSession {
                        key: value,
                        client,
                        owner,
                    });
                }
            }
            _ => {}
        }
    }

    fn see_connect(&mut self, upstream: UpstreamId) {
        let owner = &self.acting;
        self.owners.entry(upstream).or_insert_with(|| {
            assert!(!owner.is_empty(), "a connection is made for nobody");
            owner.clone()
        });
    }

    fn see_sent(&mut self, upstream: UpstreamId, text: &Bytes) {
        let owner = self.owners.get(&upstream);
        let owner = owner.expect("a connection is made before it is used");
        for mark in values(text, "mark") {
            assert!(
                self.marks[&mark].contains(owner),
                "a server of {owner} got what another client sent: {text:?}"
            );
        }
    }
}
