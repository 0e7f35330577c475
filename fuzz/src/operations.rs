//! The hub under a list of operations: one client on pipes, servers, crashes and time in any order.
//!
//! Whatever happens, nothing panics and no request is answered twice; after everything was closed and
//! all timers ran, every request was answered once (a cancelled one at most once) and nobody is left.

use std::collections::BTreeMap;

use bytes::Bytes;

use mcp_whittle::hub::action::Action;
use mcp_whittle::jsonrpc::message::{Kind, Message, Parsed};
use mcp_whittle::session::{STDIO, SessionId};

use super::words::{ANSWERS, CALLS, INTRODUCTION, MODERN_META, VERSIONS};
use super::world::{Clients, World, limits, settings};

/// The property for one input; panics where it does not hold.
pub fn run(data: &[u8]) {
    check(data, |_| 1);
}

/// The property for a hub whose `n`th answer reaches the client `reaches(n)` times.
pub fn check(data: &[u8], reaches: impl Fn(usize) -> usize) {
    let Some((&choice, operations)) = data.split_first() else {
        return;
    };
    let mut world = World::new(settings(choice), Pipes::new(reaches));
    world.clients.session = world.hub.open_stdio(world.now, false);
    world.settle();
    let mut rest = operations.iter().copied();
    while let Some(operation) = rest.next() {
        world.step(operation, &mut rest);
        world.settle();
    }
    world.end();
}

#[derive(Default)]
struct Asked {
    answers: usize,
    is_cancelled: bool,
}

/// The one client.
struct Pipes<F> {
    session: SessionId,
    reaches: F,
    n_answers: usize,
    asked: BTreeMap<String, Asked>,
    /// Questions that wait for the client.
    questions: Vec<String>,
    /// The client's input has ended; it says nothing more.
    is_closed: bool,
}

impl<F: Fn(usize) -> usize> Pipes<F> {
    fn new(reaches: F) -> Self {
        Self {
            session: 0,
            reaches,
            n_answers: 0,
            asked: BTreeMap::new(),
            questions: Vec::new(),
            is_closed: false,
        }
    }
}

impl<F: Fn(usize) -> usize> Clients for Pipes<F> {
    fn take(&mut self, action: Action) {
        let Action::Send { message, .. } = action else {
            return;
        };
        let text = message.to_bytes();
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
}

impl<F: Fn(usize) -> usize> World<Pipes<F>> {
    fn step(&mut self, operation: u8, rest: &mut impl Iterator<Item = u8>) {
        let mut next = || usize::from(rest.next().unwrap_or(0));
        match operation % 14 {
            0 => {
                let version = VERSIONS[next() % VERSIONS.len()];
                self.ask(
                    "initialize",
                    &format!(r#""protocolVersion":"{version}",{INTRODUCTION}"#),
                );
            }
            1 => self.client(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#),
            2 | 3 => {
                let (method, params) = CALLS[next() % CALLS.len()];
                let meta = if operation % 14 == 2 {
                    r#""_meta":{"progressToken":1}"#
                } else {
                    MODERN_META
                };
                let comma = if params.is_empty() { "" } else { "," };
                self.ask(method, &format!("{params}{comma}{meta}"));
            }
            4 => {
                let n = next() % self.clients.asked.len().max(1);
                if let Some((id, asked)) = self.clients.asked.iter_mut().nth(n) {
                    asked.is_cancelled = true;
                    let text = format!(
                        r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":"{id}"}}}}"#
                    );
                    self.client(&text);
                }
            }
            5 => {
                let n = next();
                let questions = &mut self.clients.questions;
                if !questions.is_empty() {
                    let id = questions.swap_remove(n % questions.len());
                    let body = ANSWERS[n % ANSWERS.len()];
                    self.client(&format!(r#"{{"jsonrpc":"2.0","id":{id},{body}}}"#));
                }
            }
            6 => {
                // Too short to hold an id of ours, so that nothing here counts as an answer.
                let bytes: Vec<u8> = rest.take(12).collect();
                let parsed = Message::parse(Bytes::from(bytes), limits());
                if !self.clients.is_closed {
                    let session = self.clients.session;
                    self.hub.handle_frame(self.now, session, STDIO, parsed);
                }
            }
            7 | 8 => self.answer(next(), next()),
            9 => self.speak(next(), next()),
            10 => self.crash(next()),
            11 => self.pass(next()),
            12 => self.shape(next()),
            _ => match next() % 4 {
                0 => self.change_starts(),
                1 => self.hub.set_overloaded(true),
                2 => self.hub.set_overloaded(false),
                _ => {
                    self.clients.is_closed = true;
                    self.close_input();
                }
            },
        }
    }

    fn ask(&mut self, method: &str, params: &str) {
        if self.clients.is_closed {
            return;
        }
        let id = format!("request-of-the-client-{}", self.clients.asked.len());
        let text =
            format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"{method}","params":{{{params}}}}}"#);
        self.clients.asked.insert(id, Asked::default());
        self.client(&text);
    }

    fn client(&mut self, text: &str) {
        if self.clients.is_closed {
            return;
        }
        let parsed = Message::parse(Bytes::copy_from_slice(text.as_bytes()), limits());
        assert!(parsed.is_ok(), "a text of this file is wrong: {text}");
        let session = self.clients.session;
        self.hub.handle_frame(self.now, session, STDIO, parsed);
    }

    fn close_input(&mut self) {
        let session = self.clients.session;
        self.hub.handle_downstream_closed(self.now, session);
    }

    /// Closes everything and lets all timers run.
    fn end(&mut self) {
        self.close_input();
        self.settle();
        self.hub.begin_drain(self.now);
        self.settle();
        self.run_out();
        for (id, asked) in &self.clients.asked {
            assert!(
                asked.is_cancelled || asked.answers == 1,
                "{id} was answered {} times",
                asked.answers
            );
        }
    }
}
