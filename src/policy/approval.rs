//! Calls that a person has to agree to: what is shown, what an agreement is bound to, and what is
//! remembered of it. Pure; asking is the hub's.
//!
//! An agreement holds for one call of one session: the server, the tool's own name and the canonical
//! arguments. What is asked of a modern client is named by 128 bits that nobody can guess, is good once, for
//! the same request of the same session, and for a limited time. The answer is the client's word that its
//! user agreed; no more than that can be known here (MCP 2025-11-25 client/elicitation).

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use crate::jsonrpc::Limits;
use crate::jsonrpc::canonical::canonical;
use crate::jsonrpc::members;
use crate::session::SessionId;

/// Characters of the arguments that are shown.
const SHOWN_ARGUMENTS: usize = 4000;
/// Characters of a name that are shown.
const SHOWN_NAME: usize = 128;
/// Questions, continuations and agreements that are remembered, each; the oldest questions go first, and
/// whoever is forgotten is asked again.
const ENTRIES: usize = 1024;

/// How long an agreement holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Remember {
    /// For the call that was asked about.
    #[default]
    Call,
    /// For all calls of that tool in the session.
    Session,
}

impl Remember {
    /// Every choice by its word in the configuration.
    pub const ALL: [(&'static str, Self); 2] = [("call", Self::Call), ("session", Self::Session)];

    /// Returns the word of the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Session => "session",
        }
    }
}

/// Names a call: what an agreement is bound to.
pub type CallDigest = [u8; 32];

/// A call that somebody is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The server's configured name.
    pub server: &'a str,
    /// The tool's own name.
    pub tool: &'a str,
    /// The raw arguments as the server would get them.
    pub arguments: &'a [u8],
}

impl Asked<'_> {
    /// Names the call.
    pub fn digest(&self) -> CallDigest {
        let text = canonical(self.arguments, &Limits::default());
        let arguments: &[u8] = text.as_deref().unwrap_or(self.arguments);
        let mut hasher = blake3::Hasher::new();
        for part in [self.server.as_bytes(), self.tool.as_bytes(), arguments] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        *hasher.finalize().as_bytes()
    }

    /// The text that a person reads before deciding. Characters that nobody sees are written out, so that
    /// nothing can hide or look like a line of ours.
    pub fn text(&self, reason: &str, remember: Remember) -> String {
        let canonical = canonical(self.arguments, &Limits::default());
        let raw: &[u8] = canonical.as_deref().unwrap_or(self.arguments);
        let arguments = String::from_utf8_lossy(raw);
        let all = arguments.chars().count();
        let mut shown = visible(&arguments, SHOWN_ARGUMENTS);
        if all > SHOWN_ARGUMENTS {
            let missing = all - SHOWN_ARGUMENTS;
            shown.push_str(&format!("\n[{missing} more characters are NOT shown]"));
        }
        let scope = match remember {
            Remember::Call => "this one call",
            Remember::Session => "every call of this tool in this session, whatever its arguments",
        };
        format!(
            "A tool call waits for your approval.\nServer: {}\nTool: {}\nArguments: {shown}\nAsked for by {reason}. Your answer holds for {scope}.",
            visible(self.server, SHOWN_NAME),
            visible(self.tool, SHOWN_NAME),
        )
    }
}

/// Writes out what a reader would not see or could take for something else: controls, line ends, marks that
/// turn or hide text, spaces that are none, the tag block.
fn visible(text: &str, most: usize) -> String {
    let mut out = String::with_capacity(text.len().min(most * 4));
    for one in text.chars().take(most) {
        if is_unseen(one) {
            out.push_str(&format!("\\u{{{:x}}}", one as u32));
        } else {
            out.push(one);
        }
    }
    out
}

/// Unicode 17: Cc, Cf, Zl, Zp, variation selectors, fillers, and blanks other than the space.
fn is_unseen(one: char) -> bool {
    one.is_control()
        || (one.is_whitespace() && one != ' ')
        || matches!(u32::from(one),
            0xad | 0x34f | 0x600..=0x605 | 0x61c | 0x6dd | 0x70f | 0x890..=0x891 | 0x8e2
            | 0x115f..=0x1160 | 0x17b4..=0x17b5 | 0x180b..=0x180f | 0x200b..=0x200f
            | 0x2028..=0x202e | 0x2060..=0x206f | 0x2800 | 0x3164 | 0xfe00..=0xfe0f | 0xfeff | 0xffa0
            | 0xfff0..=0xfffb | 0x110bd | 0x110cd | 0x13430..=0x1345f | 0x1bca0..=0x1bca3
            | 0x1d173..=0x1d17a | 0xe0000..=0xe0fff)
}

/// What a person said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// The call may be made.
    Yes,
    /// It may not.
    No,
    /// The question was closed without an answer.
    Nothing,
}

impl Said {
    /// Reads a raw `ElicitResult`: agreed is who accepts and sets `approve` to true; anything else that was
    /// accepted is a no.
    pub fn of(result: &[u8]) -> Self {
        let approves = || {
            members::get(result, "content")
                .and_then(|content| members::get(content, "approve"))
                .is_some_and(|value| value == b"true")
        };
        match members::get_text(result, "action").as_deref() {
            Some("accept") if approves() => Self::Yes,
            Some("accept" | "decline") => Self::No,
            _ => Self::Nothing,
        }
    }
}

/// A question that waits for a modern client to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    /// Whose.
    pub session: SessionId,
    /// Names the request as the client sent it.
    pub request: [u8; 32],
    /// Names the call that was shown.
    pub call: CallDigest,
    /// Until when it may be answered.
    pub until: Instant,
}

/// What is open and what was agreed to. Bounded; what is forgotten is asked again.
#[derive(Debug, Default)]
pub struct Approvals {
    pending: HashMap<String, Pending>,
    /// Calls that were agreed to and whose server asked something itself: they come again, by the state that
    /// the server gave.
    going_on: HashMap<[u8; 32], Instant>,
    remembered: HashSet<(SessionId, String, String)>,
}

impl Approvals {
    /// Notes a question under its name.
    pub fn ask(&mut self, now: Instant, name: String, pending: Pending) {
        self.pending.retain(|_, one| one.until > now);
        if self.pending.len() >= ENTRIES
            && let Some(oldest) = self
                .pending
                .iter()
                .min_by_key(|(_, one)| one.until)
                .map(|(name, _)| name.clone())
        {
            self.pending.remove(&oldest);
        }
        self.pending.insert(name, pending);
    }

    /// Takes a question by its name: once, in time, of the same session and the same request. One that does
    /// not fit stays as it is, so that a stranger cannot close it.
    pub fn take(
        &mut self,
        now: Instant,
        name: &str,
        session: SessionId,
        request: &[u8; 32],
    ) -> Option<Pending> {
        let fits = self.pending.get(name).is_some_and(|one| {
            one.until > now && one.session == session && one.request == *request
        });
        if !fits {
            return None;
        }
        self.pending.remove(name)
    }

    /// A call that was agreed to goes on with another round of its server.
    pub fn go_on(&mut self, now: Instant, wait: Duration, round: [u8; 32]) {
        self.going_on.retain(|_, until| *until > now);
        if let (Some(until), true) = (now.checked_add(wait), self.going_on.len() < ENTRIES) {
            self.going_on.insert(round, until);
        }
    }

    /// Takes such a round; good once.
    pub fn take_round(&mut self, now: Instant, round: &[u8; 32]) -> bool {
        self.going_on.remove(round).is_some_and(|until| until > now)
    }

    /// Remembers an agreement for a session.
    pub fn remember(&mut self, session: SessionId, server: &str, tool: &str) {
        if self.remembered.len() < ENTRIES {
            self.remembered
                .insert((session, server.to_owned(), tool.to_owned()));
        }
    }

    /// Tells whether a session agreed to all calls of a tool.
    pub fn is_remembered(&self, session: SessionId, server: &str, tool: &str) -> bool {
        self.remembered
            .contains(&(session, server.to_owned(), tool.to_owned()))
    }

    /// Forgets what a session that ended agreed to.
    pub fn forget(&mut self, session: SessionId) {
        self.remembered.retain(|(one, _, _)| *one != session);
        self.pending.retain(|_, one| one.session != session);
    }

    /// Forgets every agreement, as other rules hold from now on. Open questions stay: who answers one is
    /// judged by the new rules anyway.
    pub fn forget_agreements(&mut self) {
        self.remembered.clear();
        self.going_on.clear();
    }
}

/// Names a round of a call that goes on: whose, which call, and the state that its server gave.
pub fn round(session: SessionId, call: &CallDigest, state: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"round of an approved call");
    hasher.update(&session.to_le_bytes());
    hasher.update(call);
    hasher.update(state);
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked<'a>(tool: &'a str, arguments: &'a str) -> Asked<'a> {
        Asked {
            server: "fs",
            tool,
            arguments: arguments.as_bytes(),
        }
    }

    #[test]
    fn an_agreement_is_bound_to_the_call() {
        let one = asked("t", r#"{"a":1,"b":[2]}"#).digest();
        assert_eq!(one, asked("t", "{ \"b\":[2],\n\"a\":1}").digest());
        for other in [
            asked("t", r#"{"a":1.0,"b":[2]}"#),
            asked("t", r#"{"a":1}"#),
            asked("u", r#"{"a":1,"b":[2]}"#),
            Asked {
                server: "f",
                ..asked("st", r#"{"a":1,"b":[2]}"#)
            },
        ] {
            assert_ne!(one, other.digest(), "{other:?}");
        }
    }

    #[test]
    fn nothing_hides_in_what_is_shown() {
        let text = asked(
            "t\nServer: safe",
            "{\"p\":\"a\u{202e}b\u{200b}\u{e0041}\u{2800}\\n\"}",
        )
        .text("policy rule 1", Remember::Call);
        assert_eq!(
            text,
            "A tool call waits for your approval.\nServer: fs\nTool: t\\u{a}Server: safe\nArguments: {\"p\":\"a\\u{202e}b\\u{200b}\\u{e0041}\\u{2800}\\n\"}\nAsked for by policy rule 1. Your answer holds for this one call."
        );
        let long = format!("{{\"p\":\"{}\"}}", "x".repeat(5000));
        let text = asked("t", &long).text("policy rule 1", Remember::Session);
        assert!(
            text.contains("[1008 more characters are NOT shown]"),
            "{text}"
        );
        assert!(text.contains("every call of this tool in this session"));
    }

    #[test]
    fn only_a_clear_yes_is_one() {
        for (result, expected) in [
            (
                r#"{"action":"accept","content":{"approve":true}}"#,
                Said::Yes,
            ),
            (
                r#"{"action":"accept","content":{"approve":false}}"#,
                Said::No,
            ),
            (
                r#"{"action":"accept","content":{"approve":"true"}}"#,
                Said::No,
            ),
            (r#"{"action":"accept","content":{}}"#, Said::No),
            (r#"{"action":"accept"}"#, Said::No),
            (
                r#"{"action":"decline","content":{"approve":true}}"#,
                Said::No,
            ),
            (r#"{"action":"cancel"}"#, Said::Nothing),
            (r#"{"action":7}"#, Said::Nothing),
            ("{}", Said::Nothing),
        ] {
            assert_eq!(Said::of(result.as_bytes()), expected, "{result}");
        }
    }

    #[test]
    fn a_question_is_good_once_for_its_own_request_in_time() {
        let now = Instant::now();
        let later = now + Duration::from_secs(60);
        let mut approvals = Approvals::default();
        let pending = Pending {
            session: 1,
            request: [1; 32],
            call: [2; 32],
            until: later,
        };
        approvals.ask(now, "n".into(), pending);
        assert_eq!(approvals.take(now, "m", 1, &[1; 32]), None, "guessed");
        assert_eq!(approvals.take(now, "n", 2, &[1; 32]), None, "foreign");
        assert_eq!(
            approvals.take(now, "n", 1, &[3; 32]),
            None,
            "other arguments"
        );
        assert_eq!(approvals.take(later, "n", 1, &[1; 32]), None, "too late");
        assert_eq!(approvals.take(now, "n", 1, &[1; 32]), Some(pending));
        assert_eq!(approvals.take(now, "n", 1, &[1; 32]), None, "replayed");
        for index in 0..2 * ENTRIES {
            approvals.ask(now, index.to_string(), pending);
        }
        assert_eq!(approvals.pending.len(), ENTRIES);
        approvals.remember(1, "s", "t");
        assert!(approvals.is_remembered(1, "s", "t") && !approvals.is_remembered(2, "s", "t"));
        approvals.forget(1);
        assert!(!approvals.is_remembered(1, "s", "t") && approvals.pending.is_empty());
    }

    #[test]
    fn a_round_goes_on_once() {
        let now = Instant::now();
        let mut approvals = Approvals::default();
        let of = |state: &str| round(1, &[1; 32], state.as_bytes());
        approvals.go_on(now, Duration::from_secs(1), of("a"));
        assert!(!approvals.take_round(now, &of("b")));
        assert!(!approvals.take_round(now, &round(2, &[1; 32], b"a")));
        assert!(approvals.take_round(now, &of("a")) && !approvals.take_round(now, &of("a")));
    }
}
