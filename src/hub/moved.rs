//! Text that all tools of a server repeat, said once in the instructions of the handshake.
//!
//! The handshake is answered before tools are listed, so text moves only where the tools are known from an
//! earlier start, and only for clients that are known to show instructions. What was sent is remembered with
//! the session, and its lists leave out exactly that: a list never lacks what this session was not told.

use std::sync::Arc;

use bytes::Bytes;

use crate::jsonrpc::members;
use crate::jsonrpc::text;
use crate::jsonrpc::write;
use crate::mcp::method::ListKind;
use crate::session::{Link, SessionId};
use crate::surface::lean::Limits;
use crate::surface::shared_text::{Shared, SharedOptions, shared_text};
use crate::upstream::UpstreamId;

use super::Hub;
use super::seen::guarded;

/// How many times what it costs a move has to save, in bytes: tokens are not counted here.
const WORTH: usize = 2;

impl Hub {
    /// Finds what the tools of a server all say, if this session may be told it in the handshake. `said` is
    /// what the server's own instructions say, `room` what instructions already take.
    pub(super) fn shared_for(
        &self,
        session: SessionId,
        upstream: UpstreamId,
        room: usize,
    ) -> Option<Arc<Shared>> {
        let form = self.plan_settings(session)?.form;
        let record = self.sessions.get(&session)?;
        // Shared connections have lists that sessions with other handshakes see too.
        let is_shared = self.settings.servers.iter().any(|server| server.is_shared);
        if !form.moves_shared_text
            || record.is_inner
            // Modern requests over HTTP come from any client, which may not have asked for instructions.
            || record.link == Link::HttpRequests
            || is_shared
            || self.settings.is_transparent
            || self.settings.is_shadow
        {
            return None;
        }
        let list = self.shown_list(upstream, ListKind::Tools)?;
        let items: Vec<Bytes> = list
            .items
            .iter()
            .map(|tool| self.cleaned(session, tool))
            .collect();
        let tools: Vec<&str> = items
            .iter()
            .filter_map(|tool| std::str::from_utf8(tool).ok())
            .collect();
        if tools.len() != items.len() {
            return None;
        }
        let options = SharedOptions {
            min_percent: 100,
            ..SharedOptions::default()
        };
        let shared = guarded(|| shared_text(&tools, &options))?;
        let added = shared.instructions().len();
        let removed: usize = shared
            .texts
            .iter()
            .map(|text| text.text.len() * text.tools.len())
            .sum();
        let is_worth = !shared.is_empty() && removed >= WORTH * added;
        let fits = form
            .instructions_limit
            .is_none_or(|limit| room.saturating_add(added) + 2 <= limit);
        (is_worth && fits).then(|| Arc::new(shared))
    }

    /// Adds to the handshake of a single server what its tools share, and remembers that it was said.
    pub(super) fn with_shared(
        &mut self,
        session: SessionId,
        upstream: UpstreamId,
        result: Bytes,
    ) -> Bytes {
        let own = members::get_text(&result, "instructions").unwrap_or_default();
        let Some(shared) = self.shared_for(session, upstream, own.len()) else {
            return result;
        };
        let both = joined(&own, &shared.instructions());
        let set = [("instructions", Bytes::from(text::to_string(&both)))];
        let edits = write::edit_object(&result, 0..result.len(), &[], &set);
        self.remember_moved(session, upstream, shared);
        write::splice(&result, edits).to_bytes()
    }

    /// Remembers what a handshake said.
    pub(super) fn remember_moved(
        &mut self,
        session: SessionId,
        upstream: UpstreamId,
        shared: Arc<Shared>,
    ) {
        if let Some(record) = self.sessions.get_mut(&session) {
            record.moved.insert(upstream, shared);
        }
    }

    /// Takes out of a server's tools what this session's handshake said.
    pub(super) fn without_shared(
        &self,
        session: SessionId,
        upstream: UpstreamId,
        tools: &[Bytes],
    ) -> Vec<Bytes> {
        let record = self.sessions.get(&session);
        let Some(shared) = record.and_then(|record| record.moved.get(&upstream)) else {
            return tools.to_vec();
        };
        let without = |tool: &Bytes| {
            let raw = std::str::from_utf8(tool).ok()?;
            guarded(|| shared.without(raw, &Limits::default()).into_owned())
        };
        tools
            .iter()
            .map(|tool| without(tool).map_or_else(|| tool.clone(), Bytes::from))
            .collect()
    }
}

/// The server's own instructions first.
pub(super) fn joined(own: &str, shared: &str) -> String {
    if own.trim().is_empty() {
        return shared.to_owned();
    }
    format!("{own}\n\n{shared}")
}
