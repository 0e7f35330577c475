//! A recording made ready to be played: exchanges by what was asked, multi round-trip chains joined,
//! lists by cursor. Pure; built once, then only read.

use std::collections::HashMap;

use bytes::Bytes;

use crate::capture::recording::{Exchange, Recording, Side};
use crate::jsonrpc::Limits;
use crate::jsonrpc::canonical::canonical;
use crate::jsonrpc::id::IdKey;
use crate::jsonrpc::members;
use crate::jsonrpc::message::{Kind, Message};
use crate::jsonrpc::scan::EnvelopeKey;
use crate::jsonrpc::text::string_value;
use crate::jsonrpc::write::{edit_object, splice};
use crate::mcp::method::{self, ListKind};
use crate::mcp::result::ResultType;
use crate::mcp::version::Era;

/// The member of a retry that holds the client's answers (MCP 2026-07-28 basic/patterns/mrtr).
pub(super) const INPUT_RESPONSES: &str = "inputResponses";
/// The member that a retry gives back as it got it.
pub(super) const REQUEST_STATE: &str = "requestState";
/// The questions of an `input_required` result.
pub(super) const INPUT_REQUESTS: &str = "inputRequests";

/// What was asked: the method, and the canonical params without what differs from caller to caller.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) method: Box<str>,
    pub(super) params: Box<[u8]>,
}

impl Key {
    /// Makes the key of a request. `None` where the params read differently for different parsers.
    pub(super) fn of(method_name: &str, params: Option<&[u8]>) -> Option<Self> {
        let params = params.unwrap_or(b"{}");
        let mut remove = vec!["_meta", INPUT_RESPONSES, REQUEST_STATE];
        // Some clients leave out empty arguments, others send `{}`.
        if let Some(arguments) = members::get(params, "arguments")
            && (arguments == b"null" || members::members(arguments).is_empty())
            && !arguments.starts_with(b"[")
        {
            remove.push("arguments");
        }
        let raw = Bytes::copy_from_slice(params);
        let edits = if raw.starts_with(b"{") {
            edit_object(&raw, 0..raw.len(), &remove, &[])
        } else {
            Vec::new()
        };
        let text = splice(&raw, edits).to_bytes();
        Some(Self {
            method: method_name.into(),
            params: canonical(&text, &Limits::default())?.into(),
        })
    }
}

/// A recorded response, and the era in whose form its result stands.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) message: Message,
    pub(super) era: Era,
}

/// A question of the server to the client.
#[derive(Debug, Clone)]
pub(super) struct Question {
    /// Its name among the questions of one round.
    pub(super) name: String,
    /// Under which id the server asked, where it did.
    pub(super) id: Option<IdKey>,
    pub(super) method: String,
    pub(super) params: Option<Bytes>,
}

/// A part of a play.
#[derive(Debug, Clone)]
pub(super) enum Scene {
    /// The server sent a notification.
    Notify(Message),
    /// The server asked.
    Ask(Question),
    /// The server waited for the answers to these.
    Await(Round),
}

/// One round of questions.
#[derive(Debug, Clone)]
pub(super) struct Round {
    /// The questions that were still open.
    pub(super) questions: Vec<Question>,
    /// The `input_required` response, where a modern server gave it.
    pub(super) recorded: Option<Stored>,
    /// What a retry has to give back; missing where the server gave no state.
    pub(super) state: Option<String>,
}

/// One recorded exchange, or a chain of retries.
#[derive(Debug, Clone)]
pub(super) struct Play {
    pub(super) key: Key,
    /// The name, URI or task that it is about.
    pub(super) subject: Option<String>,
    pub(super) scenes: Vec<Scene>,
    pub(super) response: Option<Stored>,
}

/// Where a play goes on: its number and the scene after a round.
pub(super) type Place = (usize, usize);

/// The recording, ready to be played.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) handshake: Option<Stored>,
    pub(super) plays: Vec<Play>,
    by_key: HashMap<Key, Vec<usize>>,
    resume: HashMap<(Key, Option<String>), Vec<Place>>,
    pages: [Vec<Page>; 4],
}

#[derive(Debug)]
struct Page {
    stored: Stored,
    /// The cursor that asks for it; none for the first.
    cursor: Option<String>,
}

impl Book {
    /// Reads a recording. What it holds was checked when it was taken in.
    pub(super) fn new(recording: &Recording) -> Self {
        let mut book = Self {
            handshake: recording.handshake().and_then(|raw| stored(raw, None)),
            ..Self::default()
        };
        let era = book.handshake.as_ref().map(|handshake| handshake.era);
        for kind in ListKind::ALL {
            let mut cursor = None;
            for raw in recording.list(kind) {
                let Some(stored) = stored(raw, era) else {
                    continue;
                };
                let next = stored.message.body_text("nextCursor");
                book.pages[kind as usize].push(Page { stored, cursor });
                cursor = next;
            }
        }
        let mut open: HashMap<(Key, Option<String>), usize> = HashMap::new();
        for exchange in recording.exchanges() {
            book.add(exchange, &mut open);
        }
        book.index();
        book
    }

    fn add(&mut self, exchange: &Exchange, open: &mut HashMap<(Key, Option<String>), usize>) {
        let params = exchange.params.as_deref();
        let Some(key) = Key::of(&exchange.method, params) else {
            return;
        };
        let (mut scenes, response) = (scenes(exchange), exchange.response.as_ref());
        let response = response.and_then(|raw| stored(raw, Some(exchange.era)));
        let retried = params.and_then(retry_state);
        let continued = retried.and_then(|state| open.remove(&(key.clone(), state)));
        let number = continued.unwrap_or_else(|| {
            self.plays.push(Play {
                key: key.clone(),
                subject: subject(&exchange.method, params),
                scenes: Vec::new(),
                response: None,
            });
            self.plays.len() - 1
        });
        let play = &mut self.plays[number];
        play.scenes.append(&mut scenes);
        let Some(response) = response else { return };
        let result_type = response.message.body("resultType");
        let is_question = response.message.result().is_some()
            && ResultType::of(result_type) == ResultType::InputRequired;
        if !is_question {
            play.response = Some(response);
            return;
        }
        let state = response.message.body_text(REQUEST_STATE);
        let questions = recorded_questions(&response.message);
        play.scenes
            .extend(questions.iter().cloned().map(Scene::Ask));
        play.scenes.push(Scene::Await(Round {
            questions,
            recorded: Some(response),
            state: state.clone(),
        }));
        open.insert((key, state), number);
    }

    fn index(&mut self) {
        for (number, play) in self.plays.iter_mut().enumerate() {
            self.by_key
                .entry(play.key.clone())
                .or_default()
                .push(number);
            for (at, scene) in play.scenes.iter_mut().enumerate() {
                let Scene::Await(round) = scene else { continue };
                if round.recorded.is_none() {
                    round.state = Some(format!("replay-{number}-{at}"));
                }
                let state = (play.key.clone(), round.state.clone());
                self.resume.entry(state).or_default().push((number, at + 1));
            }
        }
    }

    /// Returns the recordings of what a key asks, in order.
    pub(super) fn plays_of(&self, key: &Key) -> &[usize] {
        self.by_key.get(key).map_or(&[], Vec::as_slice)
    }

    /// Returns where plays go on for a retry with a state.
    pub(super) fn places_of(&self, key: Key, state: Option<String>) -> &[Place] {
        self.resume.get(&(key, state)).map_or(&[], Vec::as_slice)
    }

    /// Returns the page of a list that a cursor asks for.
    pub(super) fn page(&self, kind: ListKind, cursor: Option<&str>) -> Option<&Stored> {
        let pages = self.pages[kind as usize].iter();
        let mut pages = pages.filter(|page| page.cursor.as_deref() == cursor);
        pages.next().map(|page| &page.stored)
    }

    /// Tells whether a list was recorded, be it as an error.
    pub(super) fn has_list(&self, kind: ListKind) -> bool {
        !self.pages[kind as usize].is_empty()
    }

    /// Tells whether any exchange of a method was recorded.
    pub(super) fn has_method(&self, name: &str) -> bool {
        self.plays.iter().any(|play| &*play.key.method == name)
    }
}

fn stored(raw: &Bytes, era: Option<Era>) -> Option<Stored> {
    let message = Message::parse_single(raw.clone(), Limits::default()).ok()?;
    let looks_modern =
        message.body("resultType").is_some() || message.body("supportedVersions").is_some();
    let guess = if looks_modern {
        Era::Modern
    } else {
        Era::Legacy
    };
    Some(Stored {
        message,
        era: era.unwrap_or(guess),
    })
}

/// Returns the name, URI or task id that a request is about.
pub(super) fn subject(method_name: &str, params: Option<&[u8]>) -> Option<String> {
    members::get_text(params?, method::name_member(method_name)?)
}

/// Returns the state that a retry gives back (`None` inside where it has answers but no state), or
/// `None` where the request is no retry.
pub(super) fn retry_state(params: &[u8]) -> Option<Option<String>> {
    let state = members::get(params, REQUEST_STATE);
    if state.is_none() && members::member(params, INPUT_RESPONSES).is_none() {
        return None;
    }
    Some(state.map(|raw| {
        // A state of another type than text is nothing that a server gave.
        string_value(raw).unwrap_or_else(|| String::from_utf8_lossy(raw).into_owned())
    }))
}

/// Reads the questions of an `input_required` result.
fn recorded_questions(response: &Message) -> Vec<Question> {
    let all = response.body(INPUT_REQUESTS).unwrap_or_default();
    let requests = members::members(all).into_iter().filter_map(|member| {
        let request = &all[member.value.clone()];
        Some(Question {
            name: member.name(all).into_owned(),
            id: None,
            method: members::get_text(request, "method")?,
            params: members::get(request, "params").map(Bytes::copy_from_slice),
        })
    });
    requests.collect()
}

/// Puts a legacy exchange's messages into scenes. The server waits where the first of its open
/// questions was answered, or before its response.
fn scenes(exchange: &Exchange) -> Vec<Scene> {
    let mut scenes = Vec::new();
    let mut open: Vec<Question> = Vec::new();
    let close = |open: &mut Vec<Question>, scenes: &mut Vec<Scene>| {
        if !open.is_empty() {
            scenes.push(Scene::Await(Round {
                questions: std::mem::take(open),
                recorded: None,
                state: None,
            }));
        }
    };
    let mut n_asked = 0;
    for step in &exchange.messages {
        let Ok(message) = Message::parse_single(step.message.clone(), Limits::default()) else {
            continue;
        };
        match (step.from, message.kind().clone()) {
            (Side::Server, Kind::Request(id)) => {
                n_asked += 1;
                let question = Question {
                    name: format!("question-{n_asked}"),
                    id: Some(id.key()),
                    method: message.method().to_owned(),
                    params: message
                        .span(EnvelopeKey::Params)
                        .map(|at| message.raw().slice(at)),
                };
                open.push(question.clone());
                scenes.push(Scene::Ask(question));
            }
            (Side::Server, Kind::Notification) => {
                if let Some(id) = cancelled_id(&message) {
                    open.retain(|question| question.id.as_ref() != Some(&id));
                }
                scenes.push(Scene::Notify(message));
            }
            (Side::Client, Kind::Response(id) | Kind::ErrorResponse(Some(id)))
                if open
                    .iter()
                    .any(|asked| asked.id.as_ref() == Some(&id.key())) =>
            {
                close(&mut open, &mut scenes);
            }
            // What the client said of its own accord is not the server's to play.
            _ => {}
        }
    }
    close(&mut open, &mut scenes);
    scenes
}

/// Returns which request a `notifications/cancelled` is about.
pub(super) fn cancelled_id(message: &Message) -> Option<IdKey> {
    if message.method() != method::CANCELLED {
        return None;
    }
    let raw = message.body("requestId")?;
    let id = crate::jsonrpc::id::RequestId::parse(Bytes::copy_from_slice(raw))?;
    Some(id.key())
}
