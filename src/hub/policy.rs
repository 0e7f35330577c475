//! Where the policy is asked: about each call, by whatever name or tool of ours it came, and about each tool
//! of a list. Holds in every mode of ours, also where nothing is shaped.

use std::time::Instant;

use crate::jsonrpc::members;
use crate::mcp::method::ListKind;
use crate::policy::{Call, Decision, Verdict};
use crate::session::SessionId;
use crate::upstream::UpstreamId;

use super::Hub;
use super::action::NoteLevel;
use super::exchange::ExchangeId;

/// Characters of a name that are repeated.
const SHOWN: usize = 128;

/// What the caller does with a call that was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ruling {
    /// Make it.
    Pass,
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
            .then(|| self.original_tool(upstream, tool))
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
        real: &str,
        decision: &Decision,
    ) -> Ruling {
        if self.waits_for_definition(now, id, upstream, real, decision) {
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
        let words = decision.verdict.words();
        self.note(
            NoteLevel::Warn,
            &server,
            format!("a call of `{name}` was {words} by {reason}"),
        );
        let text = match &decision.verdict {
            Verdict::Allow => return Ruling::Pass,
            Verdict::Hide(_) => return Ruling::Unknown,
            Verdict::Refuse(_) => format!(
                "Not called: `{name}`: {reason} refuses these arguments.\nhint: other arguments may be allowed; an operator can change the policy"
            ),
            Verdict::Approve(_) => format!(
                "Not called: `{name}`: {reason} asks for a person's approval, and this version cannot ask for it.\nhint: an operator has to change the rule"
            ),
        };
        self.answer_tool_text(now, id, &text, true);
        Ruling::Answered
    }

    /// Lists the tools first where a call would be refused only because they are not known yet; tells
    /// whether the call waits for that.
    fn waits_for_definition(
        &mut self,
        now: Instant,
        id: ExchangeId,
        upstream: UpstreamId,
        real: &str,
        decision: &Decision,
    ) -> bool {
        let is_kept_back = decision.verdict != Verdict::Allow || decision.would_be.is_some();
        if !is_kept_back
            || !self.settings.policy.reads_definitions()
            || self.original_tool(upstream, real).is_some()
        {
            return false;
        }
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return false;
        };
        if exchange.asked_for_surface {
            return false;
        }
        exchange.asked_for_surface = true;
        self.start_list(now, id, ListKind::Tools);
        true
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
