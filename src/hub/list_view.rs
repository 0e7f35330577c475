//! Lists as clients see them: which items, under which names, in which form.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;

use crate::jsonrpc::members;
use crate::jsonrpc::text;
use crate::jsonrpc::write::{Edit, edit_object, splice};
use crate::mcp::meta;
use crate::mcp::method::ListKind;
use crate::mcp::result;
use crate::mcp::version::Era;
use crate::upstream::{List, UpstreamId};

use super::Hub;
use super::exchange::ExchangeId;
use super::forward::object_of;
use super::naming::NameKind;

impl Hub {
    /// Tells whether lists and calls of this exchange go by a surface of ours: not for an inner hop, and
    /// only tools.
    pub(super) fn shapes(&self, id: ExchangeId, kind: ListKind) -> bool {
        let exchange = &self.exchanges[&id];
        let is_inner = self
            .sessions
            .get(&exchange.session)
            .is_some_and(|session| session.is_inner)
            || exchange.request.meta(meta::HOP).is_some();
        kind == ListKind::Tools
            && self.settings.surface.is_some()
            && !self.settings.is_transparent
            && !is_inner
    }

    /// Returns the list that clients of a connection see now.
    ///
    /// Differences found at the start are staged: once a client saw the snapshot's list it stays, until
    /// the server itself says that its list changed.
    pub(super) fn shown_list(&self, upstream: UpstreamId, kind: ListKind) -> Option<&List> {
        let state = self.upstreams.get(&upstream)?.list(kind);
        if state.snapshot_was_served && state.snapshot.is_some() {
            return state.snapshot.as_deref();
        }
        state.live.as_deref().or(state.snapshot.as_deref())
    }

    /// Returns the list that clients of a connection see now, as its server sent it, and whether it was cut
    /// short; remembers that it was seen.
    pub(super) fn take_shown(
        &mut self,
        upstream: UpstreamId,
        kind: ListKind,
    ) -> (Vec<Bytes>, bool) {
        if let Some(record) = self.upstreams.get_mut(&upstream) {
            let state = record.list_mut(kind);
            if state.live.is_none() && state.snapshot.is_some() {
                state.snapshot_was_served = true;
            }
        }
        match self.shown_list(upstream, kind) {
            Some(list) => (list.items.clone(), list.is_truncated),
            None => (Vec::new(), false),
        }
    }

    pub(super) fn rename_start(&mut self, session: u64, kind: ListKind) {
        let set = self.sessions.get(&session).map(|record| record.set);
        if let Some(set) = set.and_then(|set| self.sets.get_mut(&set)) {
            match kind {
                // A tool that came later takes no name from one that clients see and that stays.
                ListKind::Tools => match set.surfaces.names().cloned() {
                    Some(names) => set.names.set_tools(names),
                    None => set.names.clear(NameKind::Tool),
                },
                ListKind::Prompts => set.names.clear(NameKind::Prompt),
                ListKind::Resources => set.names.clear(NameKind::Uri),
                ListKind::Templates => {}
            }
        }
    }

    /// The counterpart of [`Self::rename_start`]: what names mean is held once for all that see the same.
    pub(super) fn rename_end(&mut self, session: u64, kind: ListKind) {
        let set = self.sessions.get(&session).map(|record| record.set);
        if kind == ListKind::Tools
            && let Some(set) = set.and_then(|set| self.sets.get_mut(&set))
        {
            let same = self.same_names.share(Arc::clone(set.names.tools()));
            set.names.set_tools(same);
        }
    }

    pub(super) fn rename_templates(&mut self, session: u64, kind: ListKind, all: &[UpstreamId]) {
        if kind != ListKind::Templates || all.len() < 2 {
            return;
        }
        let mut templates = Vec::new();
        for upstream in all {
            let server = self.upstreams[upstream].server;
            if let Some(list) = self.shown_list(*upstream, kind) {
                templates.extend(list.items.iter().filter_map(|item| {
                    members::get_text(item, "uriTemplate").map(|template| (template, server))
                }));
            }
        }
        let set = self.sessions.get(&session).map(|record| record.set);
        if let Some(set) = set.and_then(|set| self.sets.get_mut(&set)) {
            set.names.set_templates(templates);
        }
    }

    /// Returns an item as the client sees it: renamed, and without what its era cannot read.
    pub(super) fn shown_item(
        &mut self,
        session: u64,
        upstream: UpstreamId,
        kind: ListKind,
        item: Bytes,
        server_era: Era,
        era: Era,
    ) -> Bytes {
        let mut edits = Vec::new();
        let (name_kind, member) = match kind {
            ListKind::Tools => (Some(NameKind::Tool), "name"),
            ListKind::Prompts => (Some(NameKind::Prompt), "name"),
            ListKind::Resources => (Some(NameKind::Uri), "uri"),
            ListKind::Templates => (None, ""),
        };
        let set = self.sessions.get(&session).map(|record| record.set);
        let server = self.upstreams[&upstream].server;
        if let Some(name_kind) = name_kind
            && let Some(span) = members::member(&item, member)
            && let Some(name) = text::string_value(&item[span.clone()])
            && let Some(set) = set.and_then(|set| self.sets.get_mut(&set))
        {
            let server_name = &self.settings.servers[server].name;
            let shown =
                set.names
                    .show(name_kind, server, server_name, &name, &self.settings.naming);
            if shown != name {
                edits.push(Edit {
                    range: span,
                    with: text::to_string(&shown).into(),
                });
            }
        }
        if kind == ListKind::Tools
            && server_era == Era::Modern
            && era == Era::Legacy
            && members::get(&item, "outputSchema").is_some_and(|schema| {
                members::get_text(schema, "type").as_deref() != Some("object")
            })
        {
            // TypeScript v1 rejects the whole list for one such schema.
            edits.extend(edit_object(&item, 0..item.len(), &["outputSchema"], &[]));
        }
        if edits.is_empty() {
            return item;
        }
        splice(&item, edits).to_bytes()
    }

    /// The one server's own result with these items; its unknown members stay.
    pub(super) fn single_list(
        &self,
        now: std::time::Instant,
        upstream: UpstreamId,
        kind: ListKind,
        items: &[Bytes],
        era: Era,
    ) -> Bytes {
        let Some(list) = self.shown_list(upstream, kind) else {
            return Bytes::from_static(b"{}");
        };
        let server_era = self.upstreams[&upstream].era();
        let (start, end) = list.items_span;
        let mut edits = vec![Edit {
            range: start..end,
            with: array_of(items),
        }];
        let mut set: Vec<(&str, Bytes)> = Vec::new();
        let is_remembered = self.upstreams[&upstream].list(kind).live.is_none();
        if era == Era::Modern && (server_era == Era::Legacy || is_remembered) {
            set = vec![
                ("resultType", Bytes::from_static(b"\"complete\"")),
                ("ttlMs", Bytes::from_static(b"0")),
                ("cacheScope", Bytes::from_static(b"\"private\"")),
            ];
        }
        // What is left of its time, never the whole anew (MCP 2026-07-28 server/utilities/caching).
        let fresh_until = self.upstreams[&upstream].list(kind).fresh_until;
        if let Some(until) = fresh_until
            && era == Era::Modern
            && server_era == Era::Modern
            && !is_remembered
        {
            let left = until.saturating_duration_since(now).as_millis();
            set.push(("ttlMs", Bytes::from(left.to_string())));
        }
        if list.is_truncated && members::get(&list.template, "_meta").is_none() {
            set.push((
                "_meta",
                object_of(&[(meta::TRUNCATED, Bytes::from_static(b"true"))]),
            ));
        }
        let whole = 0..list.template.len();
        if era == Era::Legacy && server_era == Era::Modern {
            edits.extend(result::list_to_legacy(&list.template, whole, &set));
        } else {
            edits.extend(edit_object(&list.template, whole, &["nextCursor"], &set));
        }
        splice(&list.template, edits).to_bytes()
    }
}

fn array_of(items: &[Bytes]) -> Bytes {
    let mut out = Vec::with_capacity(items.iter().map(|item| item.len() + 1).sum::<usize>() + 2);
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(item);
    }
    out.push(b']');
    out.into()
}

pub(super) fn merged_list(
    kind: ListKind,
    items: &[Bytes],
    era: Era,
    missing: &[String],
    is_truncated: bool,
) -> Bytes {
    let mut set: Vec<(&str, Bytes)> = Vec::new();
    if era == Era::Modern {
        set.push(("resultType", Bytes::from_static(b"\"complete\"")));
        set.push(("ttlMs", Bytes::from_static(b"0")));
        set.push(("cacheScope", Bytes::from_static(b"\"private\"")));
    }
    set.push((kind.member(), array_of(items)));
    let mut notes: Vec<(&str, Bytes)> = Vec::new();
    if !missing.is_empty() {
        notes.push((meta::MISSING_SERVERS, json!(missing).to_string().into()));
    }
    if is_truncated {
        notes.push((meta::TRUNCATED, Bytes::from_static(b"true")));
    }
    if !notes.is_empty() {
        set.push(("_meta", object_of(&notes)));
    }
    object_of(&set)
}
