//! Answers that repeat: the same call of the same session with the same answer again, or nearly the same.
//! Pure: time and bounds are arguments.
//!
//! [`Repeats`] remembers the last answers of each session and says what a new one is to them;
//! [`difference`] writes a small change as a difference to the answer before. Neither is used unless the
//! operator turned it on.
//!
//! What a model was told before may be gone from its context. Therefore: only within a short window; only
//! for the same session, so never across principals; the whole is one call away, by the handle and by
//! repeating the call. **After "unchanged" the same answer is given in full again, and after
//! [`SHORT_IN_A_ROW`] short answers of any kind as well**: who asks again wants to see it.

mod json;
mod lines;

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::jsonrpc::{Limits, canonical::canonical};
use crate::session::{Principal, SessionId};
use crate::token::{TokenCounter, Tokens};

/// Answers in a row that are "unchanged" or a difference, at most; the next one is given in full.
pub const SHORT_IN_A_ROW: u8 = 3;
/// What stands before changes of JSON.
const JSON_HEAD: &str = "Changed since the last answer to this call; apply in order to its JSON (~ sets, + inserts, - removes at a JSON pointer):";
/// What stands before changes of lines.
const LINES_HEAD: &str =
    "Changed since the last answer to this call, in these lines (unified diff):";
/// What stands after either.
const TAIL: &str = "All else is unchanged. In full:";
/// Answers of fewer tokens are given as they are.
const LEAST: Tokens = Tokens::new(100);
/// Bytes of an answer that differences are made of, at most.
const DIFFERENCE_BYTES: usize = 256 << 10;

/// What is remembered, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// How long an answer may lie back.
    pub window: Duration,
    /// Answers of one session.
    pub answers: usize,
    /// Bytes of the texts of one session.
    pub bytes: usize,
    /// Sessions; the one that was heard of longest ago is forgotten first.
    pub sessions: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(600),
            answers: 64,
            bytes: 1 << 20,
            sessions: 64,
        }
    }
}

/// Names a call: principal, session, server, tool and canonical arguments, hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallKey {
    session: SessionId,
    hash: [u8; 16],
}

impl CallKey {
    /// Names a call; none where parsers could read its arguments differently.
    pub fn of(
        principal: &Principal,
        session: SessionId,
        server: &str,
        tool: &str,
        arguments: &[u8],
    ) -> Option<Self> {
        let arguments = canonical(arguments, &Limits::default())?;
        let mut hasher = blake3::Hasher::new();
        for part in [
            principal.key().as_bytes(),
            server.as_bytes(),
            tool.as_bytes(),
            &arguments,
        ] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let mut hash = [0; 16];
        hash.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Some(Self { session, hash })
    }
}

/// What a new answer is to the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Past {
    /// There is none, it lies too far back, or the whole is due: give it in full.
    Nothing,
    /// The same.
    Same,
    /// Another, which was this: a difference may be tried.
    Changed(Bytes),
}

/// The last answer to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Last {
    hash: [u8; 32],
    text: Option<Bytes>,
    was_unchanged: bool,
}

impl Last {
    /// Says what a new answer is to it. `answer` is the text that the model sees of it, before it is shaped.
    pub fn judge(&self, answer: &[u8]) -> Past {
        if *blake3::hash(answer).as_bytes() != self.hash {
            return self.text.clone().map_or(Past::Nothing, Past::Changed);
        }
        if self.was_unchanged {
            Past::Nothing
        } else {
            Past::Same
        }
    }

    /// Says a new answer by what it is to this one, where that is shorter than what it takes in full
    /// (`in_full`: shaped): "unchanged", or a difference. `rest` keeps the original and says how to get it;
    /// it is asked only where that is likely to be needed, and where it cannot keep it, nothing is left out.
    pub fn say(
        &self,
        answer: &str,
        in_full: Tokens,
        rest: &dyn Fn() -> Option<String>,
        counter: &dyn TokenCounter,
    ) -> Option<Said> {
        match self.judge(answer.as_bytes()) {
            Past::Nothing => None,
            Past::Same => {
                // The line itself is some 60 tokens.
                if in_full < LEAST {
                    return None;
                }
                let text = unchanged(&rest()?);
                let tokens = counter.count_up_to(&text, in_full)?;
                Some(Said {
                    form: Form::Unchanged,
                    text,
                    tokens,
                })
            }
            Past::Changed(before) => {
                let before = std::str::from_utf8(&before).ok()?;
                if in_full < LEAST {
                    return None;
                }
                let found = Found::between(before, answer)?;
                // A token has some bytes; one that is longer by far than half cannot be worth it.
                if found.body.len() > answer.len() {
                    return None;
                }
                let said = found.written(before, answer, in_full, &rest()?, counter)?;
                Some(Said {
                    form: Form::Delta,
                    text: said.text,
                    tokens: said.tokens,
                })
            }
        }
    }
}

/// What is said instead of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// "Unchanged", or a difference.
    pub form: Form,
    /// What the model reads.
    pub text: String,
    /// Its tokens.
    pub tokens: Tokens,
}

/// In which form an answer was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// In full.
    Full,
    /// With something left out: a sample of it, or words in place of bytes. The same answer is unchanged
    /// then; differences are made to what the model was shown whole.
    Part,
    /// As "unchanged".
    Unchanged,
    /// As a difference.
    Delta,
}

#[derive(Debug)]
struct Answer {
    key: CallKey,
    hash: [u8; 32],
    /// What the model can know; none where it was too long to keep, or not all of it was shown.
    text: Option<Bytes>,
    /// When this content was given first.
    at: Instant,
    /// Short answers since the last one in full.
    n_short: u8,
    was_unchanged: bool,
}

#[derive(Debug)]
struct Answers {
    /// The oldest first.
    all: VecDeque<Answer>,
    bytes: usize,
    heard: Instant,
}

/// The last answers of all sessions.
#[derive(Debug)]
pub struct Repeats {
    bounds: Bounds,
    sessions: HashMap<SessionId, Answers>,
}

impl Repeats {
    /// Remembers nothing yet.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            sessions: HashMap::new(),
        }
    }

    /// Returns the last answer to the same call, where a new one may be compared with it: to be taken along
    /// to where answers are shaped. Changes nothing: [`Self::given`] does, once an answer went out.
    pub fn last(&self, now: Instant, key: &CallKey) -> Option<Last> {
        let answers = self.sessions.get(&key.session)?;
        let found = answers.all.iter().find(|known| known.key == *key)?;
        let is_old = now.saturating_duration_since(found.at) > self.bounds.window;
        if is_old || found.n_short >= SHORT_IN_A_ROW {
            return None;
        }
        Some(Last {
            hash: found.hash,
            text: found.text.clone(),
            was_unchanged: found.was_unchanged,
        })
    }

    /// Says what an answer is to the last one of the same call; see [`Last::judge`].
    pub fn look(&self, now: Instant, key: &CallKey, answer: &[u8]) -> Past {
        let last = self.last(now, key);
        last.map_or(Past::Nothing, |last| last.judge(answer))
    }

    /// Remembers an answer that a client was given. Not to be called for errors, or where the client was
    /// gone: a later "unchanged" would speak of what nobody saw.
    pub fn given(&mut self, now: Instant, key: CallKey, answer: &Bytes, form: Form) {
        if self.bounds.answers == 0 || self.bounds.sessions == 0 {
            return;
        }
        if !self.sessions.contains_key(&key.session) && self.sessions.len() >= self.bounds.sessions
        {
            // Names are numbers that only grow, so equal times do not make this depend on a hash map.
            let oldest = self
                .sessions
                .iter()
                .min_by_key(|(id, all)| (all.heard, **id));
            if let Some(id) = oldest.map(|(id, _)| *id) {
                self.sessions.remove(&id);
            }
        }
        let answers = self.sessions.entry(key.session).or_insert_with(|| Answers {
            all: VecDeque::new(),
            bytes: 0,
            heard: now,
        });
        answers.heard = now;
        let before = answers.take(&key);
        let n_short = match (form, &before) {
            (Form::Full | Form::Part, _) | (_, None) => 0,
            (_, Some(before)) => before.n_short.saturating_add(1),
        };
        let at = match (form, &before) {
            (Form::Unchanged, Some(before)) => before.at,
            _ => now,
        };
        let most = self.bounds.bytes.min(DIFFERENCE_BYTES);
        let was_shown = match form {
            Form::Full | Form::Delta => true,
            Form::Part => false,
            // What was shown in part is known no better by hearing that it is the same.
            Form::Unchanged => before.as_ref().is_some_and(|before| before.text.is_some()),
        };
        let text = (was_shown && answer.len() <= most).then(|| answer.clone());
        answers.bytes += text.as_ref().map_or(0, Bytes::len);
        answers.all.push_back(Answer {
            key,
            hash: *blake3::hash(answer).as_bytes(),
            text,
            at,
            n_short,
            was_unchanged: form == Form::Unchanged,
        });
        while (answers.all.len() > self.bounds.answers || answers.bytes > self.bounds.bytes)
            && let Some(oldest) = answers.all.front().map(|oldest| oldest.key)
        {
            answers.take(&oldest);
        }
    }

    /// Forgets the last answer to a call: its client was given another one, which is not remembered, and a
    /// later "unchanged" would be taken to speak of that.
    pub fn forget_call(&mut self, key: &CallKey) {
        if let Some(answers) = self.sessions.get_mut(&key.session) {
            answers.take(key);
        }
    }

    /// Tells whether anything is remembered of a session.
    pub fn knows(&self, session: SessionId) -> bool {
        let answers = self.sessions.get(&session);
        answers.is_some_and(|answers| !answers.all.is_empty())
    }

    /// Forgets a session that ended, or whose client began a new conversation.
    pub fn forget(&mut self, session: SessionId) {
        self.sessions.remove(&session);
    }

    /// Returns the bytes of all texts that are remembered.
    pub fn bytes(&self) -> usize {
        self.sessions.values().map(|answers| answers.bytes).sum()
    }
}

impl Answers {
    fn take(&mut self, key: &CallKey) -> Option<Answer> {
        let at = self.all.iter().position(|answer| answer.key == *key)?;
        let answer = self.all.remove(at)?;
        self.bytes -= answer.text.as_ref().map_or(0, Bytes::len);
        Some(answer)
    }
}

/// What is said instead of the same answer again. `rest` says how to get it by its handle.
pub fn unchanged(rest: &str) -> String {
    format!(
        "Unchanged: the same as the last answer to this call. In full: {rest}, or repeat the call."
    )
}

/// A difference that is worth it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What the model reads.
    pub text: String,
    /// Its tokens.
    pub tokens: Tokens,
}

/// Writes what changed from `old` to `new`, where that takes less than half of the tokens that the new
/// answer would take (`in_full`); `rest` says how to get the whole by its handle. JSON is compared as
/// values, by [RFC 6901] pointers, everything else by lines. A difference that would not give the new
/// answer when it is applied to the old one is not given.
///
/// [RFC 6901]: https://www.rfc-editor.org/rfc/rfc6901
pub fn difference(
    old: &str,
    new: &str,
    in_full: Tokens,
    rest: &str,
    counter: &dyn TokenCounter,
) -> Option<Difference> {
    Found::between(old, new)?.written(old, new, in_full, rest, counter)
}

/// What changed, without what stands around it.
struct Found {
    head: &'static str,
    body: String,
}

impl Found {
    fn between(old: &str, new: &str) -> Option<Self> {
        if old.len().max(new.len()) > DIFFERENCE_BYTES {
            return None;
        }
        let (head, body) = match json::changes(old, new) {
            Some(changes) => (JSON_HEAD, changes),
            None => (LINES_HEAD, lines::diff(old, new)?),
        };
        Some(Self { head, body })
    }

    fn written(
        self,
        old: &str,
        new: &str,
        in_full: Tokens,
        rest: &str,
        counter: &dyn TokenCounter,
    ) -> Option<Difference> {
        let Self { head, body } = self;
        let line_break = if body.ends_with('\n') { "" } else { "\n" };
        let text = format!("{head}\n{body}{line_break}{TAIL} {rest}, or repeat the call.");
        let got = apply(old, &text)?;
        let is_right = match head {
            JSON_HEAD => json::is_same(&got, new),
            _ => got == new,
        };
        if !is_right {
            return None;
        }
        // More than half is of no use, so counting stops there.
        let half = Tokens::new(in_full.get().saturating_sub(1) / 2);
        let tokens = counter.count_up_to(&text, half)?;
        Some(Difference { text, tokens })
    }
}

/// Applies a difference to the answer before, as who reads it would: texts of lines come back exactly, JSON as
/// the same value in compact form. None where it does not fit.
pub fn apply(old: &str, difference: &str) -> Option<String> {
    let (head, rest) = difference.split_once('\n')?;
    // The last line says how to get the whole; no line before it can look like it at its own place.
    let body = &rest[..rest.rfind(TAIL)?];
    match head {
        JSON_HEAD => json::apply(old, body),
        LINES_HEAD => lines::apply(old, body),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
