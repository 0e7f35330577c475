//! The server that a recording was made of: a state machine. Messages and the time in, messages out;
//! no files, no clock, no threads (`commands::replay` has those).
//!
//! It answers what was recorded, by method and canonical params, to callers of both eras: results
//! are given the form of the caller's era, and a server's recorded question becomes a request to a
//! legacy client and an `input_required` result to a modern one. Whatever the client answers, the
//! recorded play goes on. Several recordings of one call are played in turn, then the last repeats.

mod answer;
mod book;
mod listen;
mod play;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use crate::capture::recording::Recording;
use crate::jsonrpc::Limits;
use crate::jsonrpc::error::{ErrorObject, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND};
use crate::jsonrpc::id::RequestId;
use crate::jsonrpc::message::{Kind, Malformed, Message, Parsed};
use crate::jsonrpc::write::{Outgoing, error_response};
use crate::mcp::error::UNSUPPORTED_VERSION;
use crate::mcp::method::{self, ListKind};
use crate::mcp::version::{Era, MODERN, allows_batch, negotiate};
use crate::mcp::{capabilities, meta};
use crate::policy::redact::Redactor;

use book::{Book, Key};
use listen::Listener;
use play::Running;

/// Requests that wait for their delay, their client or as listen streams, at most.
const MAX_WAITING: usize = 10_000;
/// Messages of one batch, at most.
const MAX_BATCH: usize = 1_000;

/// Which eras are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServedEras {
    /// Both: each request decides by its metadata.
    #[default]
    Dual,
    /// Only the handshake of 2025-11-25 and older.
    Legacy,
    /// Only the stateless protocol of 2026-07-28.
    Modern,
}

/// How a recording is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReplayOptions {
    /// Which eras are served.
    pub eras: ServedEras,
    /// How long each request waits before it is looked at.
    pub delay: Duration,
}

/// The server. Times are durations since any fixed moment, and never go backwards.
#[derive(Debug)]
pub struct ReplayServer {
    book: Book,
    options: ReplayOptions,
    redactor: Redactor,
    session: Option<Session>,
    turns: HashMap<Key, usize>,
    delayed: VecDeque<Delayed>,
    parked: Vec<Running>,
    listeners: Vec<Listener>,
    batches: HashMap<u64, Batch>,
    n_batches: u64,
    n_asked: u64,
    outgoing: VecDeque<Outgoing>,
}

/// What `initialize` settled.
#[derive(Debug)]
struct Session {
    version: String,
    capabilities: Bytes,
    log_level: usize,
}

#[derive(Debug)]
struct Delayed {
    due: Duration,
    message: Message,
    batch: Option<u64>,
}

/// Answers to the requests of a batch that are complete together (JSON-RPC 2.0 §6).
#[derive(Debug, Default)]
struct Batch {
    n_open: usize,
    answers: Vec<Outgoing>,
}

/// To whom an answer goes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Caller {
    id: RequestId,
    batch: Option<u64>,
}

impl ReplayServer {
    /// Makes the server of a recording.
    pub fn new(recording: &Recording, options: ReplayOptions) -> Self {
        Self {
            book: Book::new(recording),
            options,
            redactor: Redactor::default(),
            session: None,
            turns: HashMap::new(),
            delayed: VecDeque::new(),
            parked: Vec::new(),
            listeners: Vec::new(),
            batches: HashMap::new(),
            n_batches: 0,
            n_asked: 0,
            outgoing: VecDeque::new(),
        }
    }

    /// Takes a message or batch that came at `now`.
    pub fn handle(&mut self, parsed: Parsed, now: Duration) {
        match parsed {
            Parsed::Message(message) => self.handle_message(message, None, now),
            Parsed::Batch(parts) => self.handle_batch(parts, now),
        }
    }

    /// Takes a line that is no message. Requests among them are answered, the rest is ignored.
    pub fn handle_malformed(&mut self, malformed: &Malformed) {
        if !malformed.is_response {
            let answer = error_response(malformed.id.as_ref(), &malformed.error());
            self.outgoing.push_back(answer);
        }
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Duration) {
        while let Some(first) = self.delayed.front()
            && first.due <= now
            && let Some(Delayed { message, batch, .. }) = self.delayed.pop_front()
        {
            self.process(&message, batch);
        }
    }

    /// Returns when [`Self::handle_timeout`] has to be called next.
    pub fn next_timeout(&self) -> Option<Duration> {
        self.delayed.front().map(|delayed| delayed.due)
    }

    /// Returns the next message to send.
    pub fn poll_outgoing(&mut self) -> Option<Outgoing> {
        self.outgoing.pop_front()
    }

    fn handle_batch(&mut self, parts: Vec<Bytes>, now: Duration) {
        let version = self
            .session
            .as_ref()
            .map(|session| session.version.as_str());
        let problem = if !version.is_some_and(allows_batch) {
            "a batch is allowed only in sessions of 2025-03-26 and older".to_owned()
        } else if parts.is_empty() || parts.len() > MAX_BATCH {
            format!("a batch has from 1 to {MAX_BATCH} messages")
        } else {
            String::new()
        };
        if !problem.is_empty() {
            let error = ErrorObject::new(INVALID_REQUEST, problem);
            self.outgoing.push_back(error_response(None, &error));
            return;
        }
        let number = self.n_batches;
        self.n_batches += 1;
        // One more than there are, so that it is not complete before its last message was looked at.
        let first = Batch {
            n_open: 1,
            answers: Vec::new(),
        };
        self.batches.insert(number, first);
        for part in parts {
            match Message::parse_single(part, Limits::default()) {
                Ok(message) => self.handle_message(message, Some(number), now),
                Err(malformed) if !malformed.is_response => {
                    let answer = error_response(malformed.id.as_ref(), &malformed.error());
                    if let Some(batch) = self.batches.get_mut(&number) {
                        batch.answers.push(answer);
                    }
                }
                Err(_) => {}
            }
        }
        self.close_in_batch(Some(number));
    }

    fn handle_message(&mut self, message: Message, batch: Option<u64>, now: Duration) {
        match message.kind().clone() {
            Kind::Request(id) => {
                if let Some(batch) = batch.and_then(|number| self.batches.get_mut(&number)) {
                    batch.n_open += 1;
                }
                let caller = Caller { id, batch };
                if self.is_waiting(&caller.id) {
                    let problem = format!("the request id {} is in use", caller.id);
                    self.refuse(&caller, &ErrorObject::new(INVALID_REQUEST, problem));
                } else if self.delayed.len() + self.parked.len() + self.listeners.len()
                    >= MAX_WAITING
                {
                    let problem = format!("{MAX_WAITING} requests are waiting already");
                    self.refuse(&caller, &ErrorObject::new(INVALID_REQUEST, problem));
                } else if self.options.delay.is_zero() {
                    self.process(&message, batch);
                } else {
                    self.delayed.push_back(Delayed {
                        due: now.saturating_add(self.options.delay),
                        message,
                        batch,
                    });
                }
            }
            Kind::Notification => match book::cancelled_id(&message) {
                Some(key) => self.cancel(&key),
                None => self.notified(&message),
            },
            Kind::Response(id) | Kind::ErrorResponse(Some(id)) => self.answered(&id.key()),
            Kind::ErrorResponse(None) => {}
        }
    }

    fn is_waiting(&self, id: &RequestId) -> bool {
        let key = id.key();
        let is_it = |other: &RequestId| other.key() == key;
        self.delayed
            .iter()
            .any(|delayed| delayed.message.id().is_some_and(is_it))
            || self.parked.iter().any(|running| running.is_for(&key))
            || self.listeners.iter().any(|listener| is_it(listener.id()))
    }

    /// The request gets no answer any more (MCP 2025-11-25 basic/utilities/cancellation).
    fn cancel(&mut self, key: &crate::jsonrpc::id::IdKey) {
        let mut closed = Vec::new();
        self.delayed.retain(|delayed| {
            let is_it = delayed.message.id().is_some_and(|id| id.key() == *key)
                && delayed.message.method() != method::INITIALIZE;
            if is_it {
                closed.push(delayed.batch);
            }
            !is_it
        });
        self.parked.retain(|running| {
            if running.is_for(key) {
                closed.push(running.caller.as_ref().and_then(|caller| caller.batch));
            }
            !running.is_for(key)
        });
        self.listeners
            .retain(|listener| listener.id().key() != *key);
        for batch in closed {
            self.close_in_batch(batch);
        }
    }

    /// Plays what the server did because of a client's notification.
    fn notified(&mut self, message: &Message) {
        if self.session.is_none() {
            return;
        }
        if let Some(key) = Key::of(message.method(), message.params())
            && let Some(play) = self.next_in_turn(&key)
        {
            self.run(Running::new(None, Era::Legacy, message, play, 0));
        }
    }

    fn process(&mut self, message: &Message, batch: Option<u64>) {
        let Some(id) = message.id() else { return };
        let caller = Caller {
            id: id.clone(),
            batch,
        };
        let is_modern = match self.options.eras {
            ServedEras::Legacy => false,
            ServedEras::Modern => true,
            ServedEras::Dual => {
                message.meta(meta::PROTOCOL_VERSION).is_some()
                    || message.method() == method::DISCOVER
            }
        };
        let result = if is_modern {
            self.check_modern(message)
                .and_then(|()| self.modern(message, &caller))
        } else {
            self.legacy(message, &caller)
        };
        if let Err(error) = result {
            self.refuse(&caller, &error);
        }
    }

    /// Checks the metadata that each modern request has (MCP 2026-07-28 basic).
    fn check_modern(&self, message: &Message) -> Result<(), ErrorObject> {
        let serves_legacy = self.options.eras == ServedEras::Dual;
        let unsupported = |requested: &str| {
            ErrorObject::new(
                UNSUPPORTED_VERSION,
                format!("protocol version `{requested}` is not supported"),
            )
            .with_data(&json!({
                "supported": answer::supported_versions(serves_legacy),
                "requested": requested,
            }))
        };
        let Some(version) = message.meta_text(meta::PROTOCOL_VERSION) else {
            if message.method() == method::INITIALIZE {
                let requested = message.body_text("protocolVersion").unwrap_or_default();
                return Err(unsupported(&requested));
            }
            return Err(missing_meta(meta::PROTOCOL_VERSION));
        };
        if version != MODERN {
            return Err(unsupported(&version));
        }
        if !message
            .meta(meta::CLIENT_CAPABILITIES)
            .is_some_and(|raw| raw.starts_with(b"{"))
        {
            return Err(missing_meta(meta::CLIENT_CAPABILITIES));
        }
        if method::is_removed(message.method(), Era::Modern) {
            return Err(ErrorObject::new(
                METHOD_NOT_FOUND,
                format!("`{}` does not exist in {MODERN}", message.method()),
            ));
        }
        Ok(())
    }

    fn modern(&mut self, message: &Message, caller: &Caller) -> Result<(), ErrorObject> {
        match message.method() {
            method::DISCOVER => {
                let serves_legacy = self.options.eras == ServedEras::Dual;
                let answer = answer::discover(&self.book, serves_legacy, &caller.id);
                self.send_answer(caller, answer);
                Ok(())
            }
            method::LISTEN => self.listen(message, caller),
            _ => self.recorded(message, caller, Era::Modern),
        }
    }

    fn legacy(&mut self, message: &Message, caller: &Caller) -> Result<(), ErrorObject> {
        let name = message.method();
        if method::is_removed(name, Era::Legacy) {
            return Err(not_found(name));
        }
        if name == method::INITIALIZE {
            return self.initialize(message, caller);
        }
        if name == method::PING {
            self.send_empty(caller);
            return Ok(());
        }
        if self.session.is_none() {
            return Err(ErrorObject::new(
                INVALID_REQUEST,
                format!(
                    "`{name}` came before `initialize`, and without the `_meta` of a modern request"
                ),
            ));
        }
        match name {
            method::SET_LEVEL => {
                let level = message.body_text("level").unwrap_or_default();
                let Some(level) = crate::mcp::level::severity(&level) else {
                    let problem = format!("`{level}` is no log level");
                    return Err(ErrorObject::new(INVALID_PARAMS, problem));
                };
                if let Some(session) = &mut self.session {
                    session.log_level = level;
                }
                self.send_empty(caller);
                Ok(())
            }
            method::RESOURCES_SUBSCRIBE | method::RESOURCES_UNSUBSCRIBE
                if !self.book.has_method(name) && self.offers(&["resources", "subscribe"]) =>
            {
                self.send_empty(caller);
                Ok(())
            }
            _ => self.recorded(message, caller, Era::Legacy),
        }
    }

    fn initialize(&mut self, message: &Message, caller: &Caller) -> Result<(), ErrorObject> {
        let Some(requested) = message.body_text("protocolVersion") else {
            return Err(ErrorObject::new(
                INVALID_PARAMS,
                "`initialize` has no `protocolVersion`",
            ));
        };
        let version = negotiate(&requested).to_owned();
        let answer = answer::initialize(&self.book, &version, &caller.id);
        let capabilities = message.body("capabilities").unwrap_or(b"{}");
        self.session = Some(Session {
            version,
            capabilities: Bytes::copy_from_slice(capabilities),
            log_level: 0,
        });
        self.send_answer(caller, answer);
        Ok(())
    }

    /// Answers from the recording: exchanges first, then the pages of lists.
    fn recorded(
        &mut self,
        message: &Message,
        caller: &Caller,
        era: Era,
    ) -> Result<(), ErrorObject> {
        let name = message.method();
        let params = message.params();
        let Some(key) = Key::of(name, params) else {
            return Err(ErrorObject::new(INVALID_PARAMS, "the params are ambiguous"));
        };
        if era == Era::Modern
            && let Some(state) = params.and_then(book::retry_state)
        {
            let (play, scene) = self.resumed(&key, state, message, caller)?;
            if scene > 0 {
                let running = Running::new(Some(caller.clone()), era, message, play, scene);
                self.run(running);
            }
            return Ok(());
        }
        if let Some(play) = self.known(&key) {
            self.run(Running::new(Some(caller.clone()), era, message, play, 0));
            return Ok(());
        }
        if let Some(kind) = ListKind::of_method(name) {
            let cursor = message.body_text("cursor");
            if let Some(page) = self.book.page(kind, cursor.as_deref()) {
                let answer = answer::recorded(page, &caller.id, era, name);
                self.send_answer(caller, answer);
                return Ok(());
            }
            if self.book.has_list(kind) {
                let problem = format!("no page of the recorded `{name}` has this cursor");
                return Err(ErrorObject::new(INVALID_PARAMS, problem));
            }
        }
        let is_offered = match name {
            method::TOOLS_CALL => self.offers(&["tools"]),
            method::PROMPTS_GET => self.offers(&["prompts"]),
            method::RESOURCES_READ => self.offers(&["resources"]),
            method::COMPLETE => self.offers(&["completions"]),
            _ => false,
        };
        if !is_offered && !self.book.has_method(name) {
            return Err(not_found(name));
        }
        let subject = book::subject(name, params);
        Err(answer::unknown(&self.book, &key, subject.as_deref()))
    }

    /// Returns the next play of a key. A recording is without secrets, so what is not found as it is
    /// said may be found with its secrets taken out.
    fn known(&mut self, key: &Key) -> Option<usize> {
        self.next_in_turn(key).or_else(|| {
            let (params, _) = self.redactor.value(&Bytes::copy_from_slice(&key.params));
            let key = Key::of(&key.method, Some(&params))?;
            self.next_in_turn(&key)
        })
    }

    fn next_in_turn(&mut self, key: &Key) -> Option<usize> {
        let plays = self.book.plays_of(key);
        let last = plays.len().checked_sub(1)?;
        let turn = self.turns.entry(key.clone()).or_default();
        let play = plays[(*turn).min(last)];
        *turn = (*turn + 1).min(last);
        Some(play)
    }

    fn offers(&self, path: &[&str]) -> bool {
        let all = answer::capabilities_of(&self.book).to_string();
        capabilities::has(all.as_bytes(), path)
    }

    fn refuse(&mut self, caller: &Caller, error: &ErrorObject) {
        let answer = error_response(Some(&caller.id), error);
        self.send_answer(caller, answer);
    }

    fn send_empty(&mut self, caller: &Caller) {
        let answer = answer::made(&caller.id, &json!({}), Era::Legacy);
        self.send_answer(caller, answer);
    }

    fn send_answer(&mut self, caller: &Caller, answer: Outgoing) {
        match caller
            .batch
            .and_then(|number| self.batches.get_mut(&number))
        {
            Some(batch) => {
                batch.answers.push(answer);
                self.close_in_batch(caller.batch);
            }
            None => self.outgoing.push_back(answer),
        }
    }

    /// Notes that a request of a batch is done, and sends the batch when all are.
    fn close_in_batch(&mut self, number: Option<u64>) {
        let Some(number) = number else { return };
        let Some(batch) = self.batches.get_mut(&number) else {
            return;
        };
        batch.n_open = batch.n_open.saturating_sub(1);
        if batch.n_open > 0 {
            return;
        }
        let answers = std::mem::take(&mut batch.answers);
        self.batches.remove(&number);
        // A batch of notifications has no answer at all.
        if answers.is_empty() {
            return;
        }
        let mut out = Outgoing::from(Bytes::from_static(b"["));
        for (index, answer) in answers.into_iter().enumerate() {
            if index > 0 {
                out.push(Bytes::from_static(b","));
            }
            answer
                .into_pieces()
                .into_iter()
                .for_each(|piece| out.push(piece));
        }
        out.push(Bytes::from_static(b"]"));
        self.outgoing.push_back(out);
    }
}

fn missing_meta(name: &str) -> ErrorObject {
    ErrorObject::new(
        INVALID_PARAMS,
        format!("the request has no `{name}` in `params._meta`"),
    )
}

fn not_found(name: &str) -> ErrorObject {
    ErrorObject::new(
        METHOD_NOT_FOUND,
        format!("`{name}` is neither offered nor in the recording"),
    )
}

#[cfg(test)]
mod tests;
