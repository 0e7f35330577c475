//! Arguments of calls, judged by the tool's original schema: refused where the client was not shown it,
//! else explained beside the server's own error. What cannot be judged goes to the server.

use std::time::Instant;

use bytes::Bytes;

use crate::jsonrpc::error::INVALID_PARAMS;
use crate::jsonrpc::members;
use crate::jsonrpc::message::Message;
use crate::jsonrpc::text;
use crate::jsonrpc::write::Edit;
use crate::mcp::method::ListKind;
use crate::surface::ladder::Rung;
use crate::surface::validate::{
    Fault, Limits, Validator, Verdict, help_for_server_error, tool_error_text,
};
use crate::upstream::UpstreamId;

use super::Hub;
use super::exchange::ExchangeId;
use super::forward::error_code;
use super::seen::guarded;

/// Compiled schemas that are kept.
const VALIDATORS: usize = 512;
/// Bytes of schema text that they may have together: compiled they take many times as much.
const SCHEMA_BYTES: usize = 4 << 20;

impl Hub {
    /// Answers a call whose arguments do not fit, where the client was not shown the schema; tells whether
    /// it did.
    pub(super) fn refuse_arguments(
        &mut self,
        now: Instant,
        id: ExchangeId,
        upstream: UpstreamId,
        name: &str,
        real: &str,
    ) -> bool {
        let Some(exchange) = self.exchanges.get(&id) else {
            return false;
        };
        let Some((rung, shows_schema)) = self
            .seen_surface(exchange.session, exchange.era)
            .and_then(|seen| seen.made.tool(name))
            .map(|tool| (tool.rung, tool.shows_schema))
        else {
            return false;
        };
        // Whoever was shown the schema meant what was sent; servers take more than schemas say (`"5"` for 5).
        let is_hidden = rung >= Rung::Dense && !shows_schema;
        if !is_hidden || !self.shapes(id, ListKind::Tools) || self.settings.is_shadow {
            return false;
        }
        let arguments = exchange.sent_arguments();
        let Some((faults, definition)) = self.faults(upstream, real, arguments.as_ref()) else {
            return false;
        };
        let text = tool_error_text(name, &faults, &definition, rung);
        self.answer_tool_text(now, id, &text, true);
        true
    }

    /// Returns an edit that adds our help to a server's own error, where the arguments may be the reason.
    pub(super) fn help_edit(
        &mut self,
        upstream: UpstreamId,
        id: ExchangeId,
        message: &Message,
    ) -> Option<Edit> {
        let exchange = self.exchanges.get(&id)?;
        let is_tool_error = message.body("isError") == Some(b"true");
        let is_refused = error_code(message) == Some(INVALID_PARAMS);
        if !(is_tool_error || is_refused)
            || !self.is_call(id)
            || !self.shapes(id, ListKind::Tools)
            || self.settings.is_shadow
        {
            return None;
        }
        let (session, era) = (exchange.session, exchange.era);
        let shown = exchange.request.body_text("name")?;
        let real = exchange.real_name.clone().unwrap_or_else(|| shown.clone());
        // Through a caller of ours the name that the client used is that of the caller.
        let named = match exchange.is_through_caller {
            true => real.clone(),
            false => shown,
        };
        let arguments = exchange.sent_arguments();
        let (faults, definition) = self.faults(upstream, &real, arguments.as_ref())?;
        let rung = self
            .seen_surface(session, era)
            .and_then(|seen| seen.made.tool(&named))
            .map_or(Rung::Lean, |tool| tool.rung);
        let help_after =
            |said: &str| help_for_server_error(&named, &faults, &definition, rung, said);
        if is_refused {
            let span = message.body_span("message")?;
            let said = text::string_value(&message.raw()[span.clone()])?;
            let help = help_after(&said)?;
            return Some(Edit {
                range: span,
                with: text::to_string(&format!("{said}\n{help}")).into(),
            });
        }
        let span = message.body_span("content")?;
        let content = &message.raw()[span.clone()];
        if content.first() != Some(&b'[') {
            return None;
        }
        let said: Vec<String> = members::elements(content)
            .into_iter()
            .filter_map(|block| members::get_text(&content[block], "text"))
            .collect();
        let help = help_after(&said.join("\n"))?;
        let mut block = Vec::new();
        if !members::elements(content).is_empty() {
            block.push(b',');
        }
        block.extend_from_slice(b"{\"type\":\"text\",\"text\":");
        text::push_string(&mut block, &help);
        block.push(b'}');
        Some(Edit {
            range: span.end - 1..span.end - 1,
            with: block.into(),
        })
    }

    /// Returns what is wrong with arguments by the tool's original schema, and the tool; none where they
    /// are right or nobody can tell.
    pub(super) fn faults(
        &mut self,
        upstream: UpstreamId,
        real: &str,
        arguments: Option<&Bytes>,
    ) -> Option<(Vec<Fault>, String)> {
        // An old schema would refuse what the server takes by now.
        let is_confirmed = self
            .upstreams
            .get(&upstream)?
            .list(ListKind::Tools)
            .is_confirmed;
        let definition = is_confirmed.then(|| self.original_tool(upstream, real))??;
        let schema = members::get(&definition, "inputSchema")?;
        let key = *blake3::hash(schema).as_bytes();
        if !self.validators.contains_key(&key) {
            self.validator_bytes += schema.len();
            if self.validators.len() >= VALIDATORS || self.validator_bytes > SCHEMA_BYTES {
                self.validators.clear();
                self.validator_bytes = schema.len();
            }
            let compiled = std::str::from_utf8(schema).ok().and_then(|schema| {
                guarded(|| Validator::compile(schema, &Limits::default()).ok()).flatten()
            });
            self.validators.insert(key, compiled);
        }
        let validator = self.validators.get(&key)?.as_ref()?;
        // Servers read `null` as no arguments, and so do our callers.
        let arguments: &[u8] = match arguments {
            Some(raw) if raw[..] != b"null"[..] => raw,
            _ => b"{}",
        };
        match guarded(|| validator.check(arguments))? {
            Verdict::Faulty(faults) => {
                let shown = self.cleaned_definition(&definition);
                Some((faults, String::from_utf8_lossy(&shown).into_owned()))
            }
            Verdict::Valid | Verdict::NotChecked(_) => None,
        }
    }
}
