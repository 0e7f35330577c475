//! Playing one recorded exchange to one caller: notifications, questions, the response.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::jsonrpc::error::{ErrorObject, INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST};
use crate::jsonrpc::id::{IdKey, RequestId};
use crate::jsonrpc::members;
use crate::jsonrpc::message::Message;
use crate::jsonrpc::write::{Edit, Outgoing, edit_object, request, splice};
use crate::mcp::error::MISSING_CAPABILITY;
use crate::mcp::level::severity;
use crate::mcp::version::Era;
use crate::mcp::{capabilities, meta, method};

use super::book::{INPUT_RESPONSES, Key, Place, Question, Round, Scene, cancelled_id};
use super::{Caller, ReplayServer, answer};

/// A play on its way.
#[derive(Debug)]
pub(super) struct Running {
    /// Who gets the response; none where a notification started it.
    pub(super) caller: Option<Caller>,
    era: Era,
    play: usize,
    scene: usize,
    progress_token: Option<Bytes>,
    log_level: Option<usize>,
    capabilities: Option<Bytes>,
    asked: Vec<Asked>,
}

/// A question that was sent to a legacy client.
#[derive(Debug)]
struct Asked {
    recorded: Option<IdKey>,
    id: RequestId,
    is_open: bool,
}

impl Running {
    /// Starts a play at a scene for what `message` asks.
    pub(super) fn new(
        caller: Option<Caller>,
        era: Era,
        message: &Message,
        play: usize,
        scene: usize,
    ) -> Self {
        let level = message.meta_text(meta::LOG_LEVEL);
        Self {
            caller,
            era,
            play,
            scene,
            progress_token: message
                .meta(meta::PROGRESS_TOKEN)
                .map(Bytes::copy_from_slice),
            log_level: level.as_deref().and_then(severity),
            capabilities: message
                .meta(meta::CLIENT_CAPABILITIES)
                .map(Bytes::copy_from_slice),
            asked: Vec::new(),
        }
    }

    /// Tells whether the caller's request has this id.
    pub(super) fn is_for(&self, key: &IdKey) -> bool {
        self.caller
            .as_ref()
            .is_some_and(|caller| caller.id.key() == *key)
    }

    fn has_open_questions(&self) -> bool {
        self.asked.iter().any(|asked| asked.is_open)
    }
}

impl ReplayServer {
    /// Plays on until the end, or until the client has to answer.
    pub(super) fn run(&mut self, mut running: Running) {
        loop {
            let play = &self.book.plays[running.play];
            let Some(scene) = play.scenes.get(running.scene).cloned() else {
                break;
            };
            running.scene += 1;
            match scene {
                Scene::Notify(message) => self.notify(&mut running, &message),
                Scene::Ask(question) => {
                    if running.era == Era::Legacy
                        && let Err(error) = self.ask(&mut running, &question)
                    {
                        if let Some(caller) = &running.caller {
                            self.refuse(caller, &error);
                        }
                        return;
                    }
                }
                Scene::Await(round) => match running.era {
                    Era::Legacy if running.has_open_questions() => {
                        self.parked.push(running);
                        return;
                    }
                    Era::Legacy => {}
                    Era::Modern => {
                        if self.input_required(&running, &round) {
                            return;
                        }
                    }
                },
            }
        }
        let play = &self.book.plays[running.play];
        let Some(caller) = &running.caller else {
            return;
        };
        match &play.response {
            Some(stored) => {
                let answer = answer::recorded(stored, &caller.id, running.era, &play.key.method);
                self.send_answer(&caller.clone(), answer);
            }
            None => {
                let problem = "the recording has no answer to this call: it was cancelled, or the \
                               server ended before it answered";
                self.refuse(&caller.clone(), &ErrorObject::new(INTERNAL_ERROR, problem));
            }
        }
    }

    /// Takes a client's answer to a question; what it says decides nothing.
    pub(super) fn answered(&mut self, key: &IdKey) {
        let is_it = |asked: &Asked| asked.is_open && asked.id.key() == *key;
        let has_it = |running: &Running| running.asked.iter().any(is_it);
        let Some(at) = self.parked.iter().position(has_it) else {
            return;
        };
        for asked in &mut self.parked[at].asked {
            asked.is_open &= asked.id.key() != *key;
        }
        if !self.parked[at].has_open_questions() {
            let running = self.parked.remove(at);
            self.run(running);
        }
    }

    /// Sends a question to a legacy client.
    fn ask(&mut self, running: &mut Running, question: &Question) -> Result<(), ErrorObject> {
        let session = self.session.as_ref();
        if let Some(needed) = answer::needed_capability(question)
            && !session.is_some_and(|session| capabilities::has(&session.capabilities, &[needed]))
        {
            return Err(ErrorObject::new(
                INVALID_REQUEST,
                format!(
                    "the server asks `{}` here, and the client did not declare `{needed}`",
                    question.method
                ),
            ));
        }
        self.n_asked += 1;
        let id = RequestId::from_text(&format!("replay-{}", self.n_asked));
        let text = request(&id, &question.method, question.params.as_deref());
        self.outgoing.push_back(Outgoing::from(text));
        running.asked.push(Asked {
            recorded: question.id.clone(),
            id,
            is_open: true,
        });
        Ok(())
    }

    /// Asks a modern client by result; `false` where the round has nothing to ask.
    fn input_required(&mut self, running: &Running, round: &Round) -> bool {
        // A modern server does not ping, and what it only stated needs no answer.
        let questions = round.questions.iter();
        let round = Round {
            questions: questions
                .filter(|q| q.method != method::PING)
                .cloned()
                .collect(),
            ..round.clone()
        };
        let Some(caller) = running.caller.clone() else {
            return false;
        };
        if round.questions.is_empty() && round.recorded.is_none() {
            return false;
        }
        let name = self.book.plays[running.play].key.method.clone();
        let declared = running.capabilities.as_deref().unwrap_or(b"{}");
        let missing: Map<String, Value> = round
            .questions
            .iter()
            .filter_map(answer::needed_capability)
            .filter(|needed| !capabilities::has(declared, &[needed]))
            .map(|needed| (needed.to_owned(), json!({})))
            .collect();
        if !method::may_ask(&name) {
            let problem =
                format!("the server asks the client here, which a modern `{name}` cannot");
            self.refuse(&caller, &ErrorObject::new(INVALID_REQUEST, problem));
        } else if !missing.is_empty() {
            let error = ErrorObject::new(
                MISSING_CAPABILITY,
                "the server asks the client here, and the request does not declare that it may",
            );
            let data = json!({ "requiredCapabilities": missing });
            self.refuse(&caller, &error.with_data(&data));
        } else {
            let answer = answer::input_required(&round, &caller.id, &name);
            self.send_answer(&caller, answer);
        }
        true
    }

    /// Finds where a retry goes on. Scene 0 says that it was asked once more, because an answer is
    /// missing.
    pub(super) fn resumed(
        &mut self,
        key: &Key,
        state: Option<String>,
        message: &Message,
        caller: &Caller,
    ) -> Result<Place, ErrorObject> {
        let Some(&(play, scene)) = self.book.places_of(key.clone(), state).first() else {
            return Err(ErrorObject::new(
                INVALID_PARAMS,
                "no recorded call with these params has this `requestState`",
            ));
        };
        let Some(Scene::Await(round)) = self.book.plays[play].scenes.get(scene - 1).cloned() else {
            return Ok((play, scene));
        };
        let answers = message.body(INPUT_RESPONSES).unwrap_or(b"{}");
        let is_answered = |question: &Question| {
            question.method == method::PING || members::member(answers, &question.name).is_some()
        };
        if round.questions.iter().all(is_answered) {
            return Ok((play, scene));
        }
        let running = Running::new(Some(caller.clone()), Era::Modern, message, play, scene);
        self.input_required(&running, &round);
        Ok((play, 0))
    }

    /// Sends a recorded notification as far as this caller may get it.
    fn notify(&mut self, running: &mut Running, message: &Message) {
        let name = message.method();
        let era = running.era;
        let raw = message.raw();
        match name {
            method::PROGRESS => {
                // Progress is for those who gave a token, under that token.
                if let (Some(token), Some(at)) =
                    (&running.progress_token, message.body_span("progressToken"))
                {
                    let edit = Edit {
                        range: at,
                        with: token.clone(),
                    };
                    self.outgoing.push_back(splice(raw, vec![edit]));
                }
            }
            method::LOG => {
                let level = message.body_text("level").and_then(|name| severity(&name));
                let lowest = match era {
                    Era::Legacy => self.session.as_ref().map(|session| session.log_level),
                    // Only a request that names a level gets logs (MCP 2026-07-28).
                    Era::Modern => running.log_level,
                };
                if lowest.is_some_and(|lowest| level.is_none_or(|level| level >= lowest)) {
                    self.outgoing.push_back(raw.clone().into());
                }
            }
            method::CANCELLED => {
                let recorded = cancelled_id(message);
                let asked = running.asked.iter_mut();
                let mut asked = asked.filter(|asked| asked.recorded.is_some());
                if let Some(asked) = asked.find(|asked| asked.recorded == recorded)
                    && let Some(at) = message.body_span("requestId")
                {
                    asked.is_open = false;
                    let edit = Edit {
                        range: at,
                        with: asked.id.raw().clone(),
                    };
                    self.outgoing.push_back(splice(raw, vec![edit]));
                }
            }
            method::ACKNOWLEDGED => {}
            method::ELICITATION_COMPLETE | method::TASK_STATUS if era == Era::Modern => {}
            method::RESOURCE_UPDATED
            | method::TOOLS_CHANGED
            | method::PROMPTS_CHANGED
            | method::RESOURCES_CHANGED => match era {
                Era::Legacy => self.outgoing.push_back(without_subscription(message)),
                Era::Modern => self.publish(message),
            },
            _ => self.outgoing.push_back(raw.clone().into()),
        }
    }
}

/// Returns a notification without the id of the modern stream that it was sent on.
fn without_subscription(message: &Message) -> Outgoing {
    let edits = match message.body_span("_meta") {
        Some(at) => edit_object(message.raw(), at, &[meta::SUBSCRIPTION_ID], &[]),
        None => Vec::new(),
    };
    splice(message.raw(), edits)
}
