//! Where the policy is asked: about each call, by whatever name or tool of ours it came, and about each tool
//! of a list. Holds in every mode of ours, also where nothing is shaped.

use std::time::Instant;

use crate::jsonrpc::members;
use crate::mcp::method;
use crate::policy::{Call, Decision, Verdict};
use crate::result::query::QueryError;
use crate::session::SessionId;
use crate::upstream::UpstreamId;

use super::Hub;
use super::action::NoteLevel;
use super::exchange::ExchangeId;
use super::reads::{Origin, ReadOutcome};

/// Characters of a name that are repeated.
const SHOWN: usize = 128;

/// What the caller does with a call that was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ruling {
    /// Make it.
    Pass,
    /// Make it if nothing else speaks against it and the client's user agrees; what asks for that.
    Ask(String),
    /// Answer as for a tool that nobody has.
    Unknown,
    /// Nothing: it is answered, or waits for the tools to be known.
    Answered,
}

impl Hub {
    /// Decides a call of the real tool, by its definition as the server sent it last.
    pub(super) fn decide(
        &self,
        id: ExchangeId,
        upstream: UpstreamId,
        tool: &str,
        arguments: Option<&[u8]>,
    ) -> Decision {
        let policy = &self.settings.policy;
        let record = self
            .exchanges
            .get(&id)
            .and_then(|exchange| self.sessions.get(&exchange.session));
        let Some(record) = record else {
            // Nobody waits for it any more.
            return Decision {
                verdict: Verdict::Hide(crate::policy::Reason::Default),
                would_be: None,
            };
        };
        let definition = policy
            .reads_definitions()
            .then(|| self.confirmed_tool(upstream, tool))
            .flatten();
        policy.decide(&Call {
            principal: &record.principal,
            server: self.server_of(upstream),
            tool,
            definition: definition.as_deref(),
            arguments,
        })
    }

    /// Does with a call what was decided, and tells the operator. `shown` is the name that the client used.
    pub(super) fn rule_on(
        &mut self,
        now: Instant,
        id: ExchangeId,
        upstream: UpstreamId,
        shown: &str,
        decision: &Decision,
    ) -> Ruling {
        if self.waits_for_definition(now, id, upstream) {
            return Ruling::Answered;
        }
        let name: String = shown.chars().take(SHOWN).collect();
        let server = self.server_name(upstream);
        if let Some(would_be) = &decision.would_be {
            let by = would_be.reason().map(|reason| format!(" by {reason}"));
            let text = format!(
                "policy in audit mode: a call of `{name}` would be {}{}",
                would_be.words(),
                by.unwrap_or_default()
            );
            self.note(NoteLevel::Warn, &server, text);
        }
        let Some(reason) = decision.verdict.reason() else {
            return Ruling::Pass;
        };
        if !matches!(decision.verdict, Verdict::Approve(_)) {
            let words = decision.verdict.words();
            self.note(
                NoteLevel::Warn,
                &server,
                format!("a call of `{name}` was {words} by {reason}"),
            );
        }
        let text = match &decision.verdict {
            Verdict::Allow => return Ruling::Pass,
            Verdict::Hide(_) => return Ruling::Unknown,
            Verdict::Refuse(_) => format!(
                "Not called: `{name}`: {reason} refuses these arguments.\nhint: other arguments may be allowed; an operator can change the policy"
            ),
            Verdict::Approve(reason) => return Ruling::Ask(reason.to_string()),
        };
        self.answer_tool_text(now, id, &text, true);
        Ruling::Answered
    }

    /// Decides whether a kept result may be read: by what its call would be now. Tells `true` where it may
    /// not, and the request was answered or waits for the tools to be known. An approval is for making a
    /// call; what came of one is read without.
    pub(super) fn refuse_kept(&mut self, now: Instant, id: ExchangeId, origin: &Origin) -> bool {
        let Some(exchange) = self.exchanges.get(&id) else {
            return true;
        };
        let Some(record) = self.sessions.get(&exchange.session) else {
            return true;
        };
        let policy = &self.settings.policy;
        let is_call = exchange.request.method() == method::TOOLS_CALL;
        let upstream = self
            .set_upstreams(exchange.session)
            .into_iter()
            .find(|upstream| self.server_of(*upstream) == origin.server);
        let decision = if origin.server.is_empty() || origin.tool.is_empty() {
            // Kept by an older version, or the end of a task: nobody can say what it came of.
            let verdict = match policy.may_withhold() {
                true => Verdict::Hide(crate::policy::Reason::Default),
                false => Verdict::Allow,
            };
            Decision {
                verdict,
                would_be: None,
            }
        } else {
            let definition = upstream
                .filter(|_| policy.reads_definitions())
                .and_then(|upstream| {
                    // Where nothing can wait: what is kept was given out by this definition.
                    let known = self.confirmed_tool(upstream, &origin.tool);
                    known.or_else(|| self.original_tool(upstream, &origin.tool))
                });
            policy.decide(&Call {
                principal: &record.principal,
                server: &origin.server,
                tool: &origin.tool,
                definition: definition.as_deref(),
                // Unknown arguments may be any.
                arguments: Some(origin.arguments.as_deref().unwrap_or("").as_bytes()),
            })
        };
        let called = exchange.request.body_text("name").unwrap_or_default();
        self.audit_kept(id, origin, &decision);
        let may_wait = is_call
            && upstream.is_some_and(|upstream| {
                self.upstreams
                    .get(&upstream)
                    .is_some_and(|record| record.is_ready())
            });
        if let Some(upstream) = upstream.filter(|_| may_wait)
            && self.waits_for_definition(now, id, upstream)
        {
            return true;
        }
        let name: String = origin.tool.chars().take(SHOWN).collect();
        if let Some(would_be) = decision.would_be.as_ref().and_then(Verdict::reason) {
            let text = format!(
                "policy in audit mode: a kept result of `{name}` would not be given out by {would_be}"
            );
            self.note(NoteLevel::Warn, &origin.server, text);
        }
        let reason = match &decision.verdict {
            Verdict::Allow | Verdict::Approve(_) => return false,
            Verdict::Hide(reason) | Verdict::Refuse(reason) => reason,
        };
        let text = format!("a kept result of `{name}` was not given out by {reason}");
        self.note(NoteLevel::Warn, &origin.server, text);
        match &decision.verdict {
            _ if !is_call => self.handle_read(now, id, ReadOutcome::NotFound),
            Verdict::Refuse(_) => {
                let text = format!(
                    "Not read: this is the result of a call of `{name}`, and {reason} refuses its arguments.\nhint: an operator can change the policy"
                );
                self.handle_read(now, id, ReadOutcome::Wrong(text));
            }
            _ => {
                let text = QueryError::Gone.text(&called);
                self.handle_read(now, id, ReadOutcome::Wrong(text));
            }
        }
        true
    }

    /// Lists the tools first where the policy decides by what a server says of them and it has not said so yet; tells
    /// whether the call waits for that.
    fn waits_for_definition(&mut self, now: Instant, id: ExchangeId, upstream: UpstreamId) -> bool {
        self.settings.policy.reads_definitions() && self.waits_for_list(now, id, upstream)
    }

    /// Tells whether a tool of a list is left out of it.
    pub(super) fn is_item_withheld(
        &self,
        session: SessionId,
        upstream: UpstreamId,
        item: &[u8],
    ) -> bool {
        if !self.settings.policy.may_withhold() {
            return false;
        }
        // What has no name cannot be called; a list without it loses nothing.
        members::get_text(item, "name")
            .is_none_or(|tool| self.withholds(session, upstream, &tool, Some(item)))
    }

    /// Tells whether a real tool is one that this client may not know of.
    pub(super) fn is_withheld(&self, session: SessionId, upstream: UpstreamId, tool: &str) -> bool {
        let definition = self.original_tool(upstream, tool);
        self.settings.policy.may_withhold()
            && self.withholds(session, upstream, tool, definition.as_deref())
    }

    fn withholds(
        &self,
        session: SessionId,
        upstream: UpstreamId,
        tool: &str,
        definition: Option<&[u8]>,
    ) -> bool {
        let Some(record) = self.sessions.get(&session) else {
            return true;
        };
        self.settings.policy.withholds(&Call {
            principal: &record.principal,
            server: self.server_of(upstream),
            tool,
            definition,
            arguments: None,
        })
    }

    fn server_of(&self, upstream: UpstreamId) -> &str {
        self.upstreams
            .get(&upstream)
            .and_then(|record| self.settings.servers.get(record.server))
            .map_or("", |server| server.name.as_str())
    }
}
