//! Lists: read from servers page by page, merged in configured order, renamed, made lean, answered.
//!
//! A list of one server that is not shaped passes through page by page. Others are read whole. What a
//! server that is not there yet offered last time comes from its snapshot.

use std::collections::HashSet;
use std::time::Instant;

use bytes::Bytes;

use crate::cache::fresh;
use crate::jsonrpc::error::{ErrorObject, INVALID_PARAMS};
use crate::jsonrpc::members;
use crate::jsonrpc::message::Message;
use crate::jsonrpc::scan::EnvelopeKey;
use crate::jsonrpc::write::{self, edit_object, splice};
use crate::mcp::meta;
use crate::mcp::method::{self, ListKind};
use crate::mcp::version::Era;
use crate::upstream::{Fetch, List, Purpose, State, UpstreamId};

use super::Hub;
use super::action::NoteLevel;
use super::exchange::{ExchangeId, Plan};
use super::forward::object_of;
use super::list_view::merged_list;
use super::naming::NameKind;
use super::rescue::Trouble;
use super::settings::HubLimits;
use super::timers::TimerKey;

/// How often in a row a list is read again because it changed meanwhile.
const READ_AGAIN: u32 = 20;

/// An empty list of a server that just started does not replace a longer one for this long.
const WARM_UP: std::time::Duration = std::time::Duration::from_secs(10);

impl Hub {
    pub(super) fn start_list(&mut self, now: Instant, id: ExchangeId, kind: ListKind) {
        let exchange = &self.exchanges[&id];
        let (session, era) = (exchange.session, exchange.era);
        // A call that wants the surface has no cursor.
        let cursor = match self.is_call(id) {
            true => None,
            false => exchange.request.body_text("cursor"),
        };
        let only = self.only_upstream(session);
        if let Some(only) = only
            && !self.shapes(id, kind)
            && !(kind == ListKind::Tools
                && (self.settings.policy.may_withhold() || self.guard_edits_lists()))
        {
            if self.has_only_own_resources(session, only, kind, era) {
                let body = merged_list(kind, &[], era, &[], false);
                let message = write::response(&self.exchanges[&id].request_id, body.into());
                return self.answer(now, id, message, 200);
            }
            let record = &self.upstreams[&only];
            if !record.is_ready()
                && cursor.is_none()
                && record.list(kind).snapshot.is_some()
                && !self.settings.is_transparent
            {
                self.set_list_plan(id, kind, Vec::new());
                return self.finish_list(now, id);
            }
            return self.forward(now, id, only);
        }
        if cursor.is_some() {
            let error = ErrorObject::new(
                INVALID_PARAMS,
                "unknown cursor: this list is answered whole, without cursors",
            );
            return self.fail(now, id, &error);
        }
        let all = self.set_upstreams(session);
        let is_one = all.len() == 1;
        let mut waiting = Vec::new();
        for upstream in all {
            let record = &self.upstreams[&upstream];
            let may_list = self.may_list(upstream, kind);
            match record.state {
                State::Ready if !may_list => {}
                State::Ready if self.is_list_fresh(now, id, upstream, kind) => {}
                State::Ready => {
                    waiting.push(upstream);
                    self.list_wait(upstream, kind, id);
                    self.fetch_list(now, upstream, kind);
                }
                _ if record.list(kind).snapshot.is_some() || record.list(kind).live.is_some() => {}
                State::Parked(_) | State::Stopping => self.note_missing(upstream, kind),
                State::Backoff(_) if record.is_unusable => self.note_missing(upstream, kind),
                _ => {
                    waiting.push(upstream);
                    self.list_wait(upstream, kind, id);
                }
            }
        }
        let is_complete = waiting.is_empty();
        let wait = if is_one {
            let only = waiting.first().map(|only| &self.upstreams[only]);
            only.and_then(|record| {
                let server = &self.settings.servers[record.server];
                if record.is_ready() {
                    // Without a timeout the longest life of any request holds here as well.
                    let absolute = self.settings.timeouts.absolute;
                    server.request_timeout.or(Some(absolute))
                } else {
                    Some(server.start_timeout)
                }
            })
        } else {
            Some(self.settings.timeouts.merge)
        };
        self.set_list_plan(id, kind, waiting);
        if is_complete {
            return self.finish_list(now, id);
        }
        if let Some(at) = wait.and_then(|wait| now.checked_add(wait)) {
            self.timers.set(TimerKey::Merge(id), at);
        }
    }

    pub(super) fn set_list_plan(
        &mut self,
        id: ExchangeId,
        kind: ListKind,
        waiting: Vec<UpstreamId>,
    ) {
        self.set_plan(id, Plan::List { kind, waiting });
    }

    pub(super) fn list_wait(&mut self, upstream: UpstreamId, kind: ListKind, id: ExchangeId) {
        if let Some(record) = self.upstreams.get_mut(&upstream) {
            record.list_mut(kind).waiting.push(id);
        }
    }

    /// A list goes out without this server: clients are told when it comes.
    pub(super) fn note_missing(&mut self, upstream: UpstreamId, kind: ListKind) {
        let name = self.server_name(upstream);
        self.note(
            NoteLevel::Warn,
            &name,
            format!("`{}` is answered without this server", kind.method()),
        );
        if let Some(record) = self.upstreams.get_mut(&upstream) {
            record.list_mut(kind).tell = true;
        }
    }

    /// Reads a list from its server, unless that is under way.
    pub(super) fn fetch_list(&mut self, now: Instant, upstream: UpstreamId, kind: ListKind) {
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return;
        };
        if !record.is_ready() || record.list(kind).fetch.is_some() {
            return;
        }
        record.list_mut(kind).fetch = Some(Box::default());
        self.fetch_page(now, upstream, kind, None);
    }

    /// Reads a list again because it may have changed; clients are told if it did.
    pub(super) fn refresh_list(&mut self, now: Instant, upstream: UpstreamId, kind: ListKind) {
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return;
        };
        let state = record.list_mut(kind);
        // What is being read for the first time may hold pages from before the change.
        if state.live.is_none() && state.fetch.is_none() {
            return;
        }
        // Whoever waits for the first reading is told by the second, if that is another list.
        state.tell |= state.live.is_some();
        match &mut state.fetch {
            Some(fetch) => fetch.again = true,
            None => self.fetch_list(now, upstream, kind),
        }
    }

    pub(super) fn fetch_page(
        &mut self,
        now: Instant,
        upstream: UpstreamId,
        kind: ListKind,
        cursor: Option<Bytes>,
    ) {
        let record = &self.upstreams[&upstream];
        let mut params: Vec<(&str, Bytes)> = Vec::new();
        if record.era() == Era::Modern {
            let client = self.set_client(record.set);
            params.push(("_meta", object_of(&self.own_meta(&client, None))));
        } else if !self.settings.is_transparent {
            params.push(("_meta", object_of(&[(meta::HOP, Bytes::from_static(b"1"))])));
        }
        if let Some(cursor) = cursor {
            params.push(("cursor", cursor));
        }
        let params = object_of(&params);
        self.send_own_traced(
            now,
            upstream,
            Purpose::List(kind),
            kind.method(),
            &params,
            None,
        );
    }

    /// Takes a page.
    pub(super) fn page_arrived(
        &mut self,
        now: Instant,
        upstream: UpstreamId,
        kind: ListKind,
        message: &Message,
    ) {
        if result_of(message).is_none() {
            let error = message.error().map(Bytes::copy_from_slice);
            return self.fetch_failed(now, upstream, kind, error);
        }
        let limits = self.settings.limits;
        let max_ttl = self.settings.cache.max_ttl;
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return;
        };
        let Some(fetch) = &mut record.list_mut(kind).fetch else {
            return;
        };
        let next = take_page(fetch, message, kind, &limits);
        let ttl = fresh::ttl(None, message.body("ttlMs"), max_ttl);
        fetch.ttl = Some(fetch.ttl.map_or(ttl, |least| least.min(ttl)));
        if next.is_some() {
            return self.fetch_page(now, upstream, kind, next);
        }
        if fetch.list.is_truncated {
            let cut = cut_short(kind, fetch.list.pages, fetch.list.items.len());
            let name = self.server_name(upstream);
            self.note(NoteLevel::Warn, &name, cut);
        }
        self.list_complete(now, upstream, kind);
    }

    pub(super) fn list_complete(&mut self, now: Instant, upstream: UpstreamId, kind: ListKind) {
        let name = self.server_name(upstream);
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return;
        };
        let is_warming_up = record
            .ready_since
            .is_some_and(|since| now.duration_since(since) < WARM_UP);
        let state = record.list_mut(kind);
        let Some(mut fetch) = state.fetch.take() else {
            return;
        };
        fetch.list.fingerprint = fetch.list.digest();
        let list = self.same_lists.share(std::mem::take(&mut fetch.list));
        let before = state.live.as_ref().or(state.snapshot.as_ref());
        let was_filled = before.is_some_and(|list| !list.items.is_empty());
        let is_changed = before.is_none_or(|before| before.fingerprint != list.fingerprint);
        let keeps_old = list.items.is_empty() && was_filled && is_warming_up;
        let (waiting, resend) = (
            std::mem::take(&mut state.waiting),
            std::mem::take(&mut state.resend),
        );
        state.error = None;
        state.came_empty = keeps_old;
        state.fresh_until = fetch
            .ttl
            .filter(|ttl| !ttl.is_zero() && !keeps_old && !fetch.again)
            .and_then(|ttl| now.checked_add(ttl));
        let tell = std::mem::take(&mut state.tell) && is_changed && !keeps_old;
        // What is read once more may have been read before the change.
        let is_last = !fetch.again || state.n_again >= READ_AGAIN;
        if keeps_old {
            self.timers.set(TimerKey::WarmUp(upstream), now + WARM_UP);
            self.note(
                NoteLevel::Warn,
                &name,
                format!(
                    "`{}` came empty just after the start; the known list stays for now",
                    kind.method()
                ),
            );
        } else {
            if list.items.is_empty() && was_filled {
                self.note(
                    NoteLevel::Warn,
                    &name,
                    format!("`{}` is empty now", kind.method()),
                );
            }
            if let Some(record) = self.upstreams.get_mut(&upstream) {
                let state = record.list_mut(kind);
                state.live = Some(list);
                state.is_confirmed = is_last;
            }
            self.store_snapshot(upstream);
            if kind == ListKind::Tools {
                self.look_at_tools(upstream);
            }
        }
        if tell {
            self.tell_clients(upstream, kind);
        }
        self.read_again(now, upstream, kind, fetch.again);
        self.list_settled(now, upstream, waiting);
        for id in resend {
            if self.may_still_run(now, id, upstream) {
                self.send_exchange(now, id, upstream);
            }
        }
        if is_last {
            self.release_held(now, upstream, kind);
        }
    }

    /// Reads a list once more that changed while it was read; not for ever, as some servers tell a change whenever
    /// they are listed.
    fn read_again(&mut self, now: Instant, upstream: UpstreamId, kind: ListKind, is_due: bool) {
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return;
        };
        let state = record.list_mut(kind);
        state.n_again = if is_due { state.n_again + 1 } else { 0 };
        if state.n_again > READ_AGAIN {
            state.n_again = 0;
            let name = self.server_name(upstream);
            let what = kind.method();
            self.note(
                NoteLevel::Warn,
                &name,
                format!("`{what}` changed each time it was read; it stays as it was read last"),
            );
        } else if is_due {
            state.tell = true;
            self.fetch_list(now, upstream, kind);
        }
    }

    /// A server had its time to warm up: lists that came empty are read again, and count.
    pub(super) fn warm_up_over(&mut self, now: Instant, upstream: UpstreamId) {
        for kind in ListKind::ALL {
            let Some(record) = self.upstreams.get_mut(&upstream) else {
                return;
            };
            let state = record.list_mut(kind);
            if std::mem::take(&mut state.came_empty) {
                state.tell = true;
                self.fetch_list(now, upstream, kind);
            }
        }
    }

    /// Goes on with exchanges that waited for one server's part.
    pub(super) fn list_settled(
        &mut self,
        now: Instant,
        upstream: UpstreamId,
        waited: Vec<ExchangeId>,
    ) {
        for id in waited {
            let Some(exchange) = self.exchanges.get_mut(&id) else {
                continue;
            };
            if let Plan::List { waiting, .. } = &mut exchange.plan {
                waiting.retain(|one| *one != upstream);
                if waiting.is_empty() {
                    self.finish_list(now, id);
                }
            }
        }
    }

    pub(super) fn fetch_failed(
        &mut self,
        now: Instant,
        upstream: UpstreamId,
        kind: ListKind,
        error: Option<Bytes>,
    ) {
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return;
        };
        let state = record.list_mut(kind);
        state.fetch = None;
        state.error = error;
        let (waiting, resend) = (
            std::mem::take(&mut state.waiting),
            std::mem::take(&mut state.resend),
        );
        self.list_settled(now, upstream, waiting);
        for id in resend {
            let detail = "its tool list could not be read again".to_owned();
            self.fail_with(now, id, &Trouble::Protocol { detail });
        }
        // Of a connection that was lost the next one is asked, before anything goes on.
        let is_there = self
            .upstreams
            .get(&upstream)
            .is_some_and(|record| record.is_ready() && record.handshake.is_some());
        if is_there {
            self.release_held(now, upstream, kind);
        }
    }

    /// A server is ready: lists that somebody waits for, or that may be stale, are read.
    pub(super) fn lists_on_ready(&mut self, now: Instant, upstream: UpstreamId, is_restart: bool) {
        for kind in ListKind::ALL {
            if !self.may_list(upstream, kind) {
                let waiting = self
                    .upstreams
                    .get_mut(&upstream)
                    .map(|record| std::mem::take(&mut record.list_mut(kind).waiting))
                    .unwrap_or_default();
                self.list_settled(now, upstream, waiting);
                self.release_held(now, upstream, kind);
                continue;
            }
            let Some(record) = self.upstreams.get_mut(&upstream) else {
                return;
            };
            let state = record.list_mut(kind);
            if is_restart && state.live.is_some() {
                state.tell = true;
            }
            let is_wanted =
                !state.waiting.is_empty() || !state.held.is_empty() || !state.resend.is_empty();
            if is_wanted || state.tell || state.snapshot_was_served {
                self.fetch_list(now, upstream, kind);
            }
        }
    }

    /// A server does not come (now): lists go out without it.
    pub(super) fn lists_on_failure(&mut self, now: Instant, upstream: UpstreamId) {
        for kind in ListKind::ALL {
            let Some(record) = self.upstreams.get_mut(&upstream) else {
                return;
            };
            let state = record.list_mut(kind);
            state.fetch = None;
            state.is_confirmed = false;
            // Calls that wait for what it lists wait for its restart, if there is one.
            if !matches!(record.state, State::Backoff(_)) || record.is_unusable {
                let resend = std::mem::take(&mut record.list_mut(kind).resend);
                self.release_held(now, upstream, kind);
                for id in resend {
                    self.fail_unavailable(now, id, upstream);
                }
            }
            let Some(record) = self.upstreams.get_mut(&upstream) else {
                return;
            };
            let state = record.list_mut(kind);
            if state.waiting.is_empty() {
                continue;
            }
            if state.live.is_none() && state.snapshot.is_none() {
                state.tell = true;
            }
            let waiting = std::mem::take(&mut state.waiting);
            self.list_settled(now, upstream, waiting);
        }
    }

    /// Learns from a page that passes through to a client.
    pub(super) fn observe_page(
        &mut self,
        _now: Instant,
        upstream: UpstreamId,
        kind: ListKind,
        id: ExchangeId,
        message: &Message,
    ) {
        let Some(result) = result_of(message) else {
            return;
        };
        let is_first = self
            .exchanges
            .get(&id)
            .is_some_and(|exchange| exchange.request.body("cursor").is_none());
        let is_last = next_cursor(message).is_none();
        let limits = self.settings.limits;
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return;
        };
        let state = record.list_mut(kind);
        if is_first {
            state.observed = Some(Box::default());
        }
        let Some(list) = &mut state.observed else {
            return;
        };
        add_page(list, &result, kind, &limits);
        if is_last {
            let mut list = state.observed.take().unwrap_or_default();
            list.fingerprint = list.digest();
            state.live = Some(self.same_lists.share(*list));
            state.is_confirmed = true;
            self.store_snapshot(upstream);
            if kind == ListKind::Tools {
                self.look_at_tools(upstream);
            }
        }
    }

    /// Answers a list with what is there.
    pub(super) fn finish_list(&mut self, now: Instant, id: ExchangeId) {
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        let Plan::List { kind, .. } = exchange.plan else {
            return;
        };
        let (session, era) = (exchange.session, exchange.era);
        self.timers.clear(TimerKey::Merge(id));
        let all = self.set_upstreams(session);
        if let [one] = all.as_slice()
            && self.shown_list(*one, kind).is_none()
        {
            if self.is_call(id) {
                // There is no surface; the server says what it makes of the call.
                self.set_plan(id, Plan::Forward);
                return self.start_named(now, id, NameKind::Tool);
            }
            return self.fail_single_list(now, id, *one, kind);
        }
        let mut missing = Vec::new();
        let mut is_truncated = false;
        let mut parts: Vec<(UpstreamId, Vec<Bytes>)> = Vec::new();
        self.rename_start(session, kind);
        for upstream in &all {
            if self.shown_list(*upstream, kind).is_none() {
                let is_failed = self.may_list(*upstream, kind)
                    && !(self.upstreams[upstream].is_ready()
                        && self.upstreams[upstream].list(kind).error.is_some());
                if is_failed {
                    missing.push(self.server_name(*upstream));
                    self.note_missing(*upstream, kind);
                }
                continue;
            }
            // The server may have become ready while the surface was made: its own list is still to be
            // read for the next start.
            if self.upstreams[upstream].list(kind).live.is_none() {
                self.fetch_list(now, *upstream, kind);
            }
            let server_era = self.upstreams[upstream].era();
            let (raw_items, truncated) = self.take_shown(*upstream, kind);
            is_truncated |= truncated;
            // Every tool takes part in naming, so that no name hangs on the policy.
            let mut items = Vec::with_capacity(raw_items.len());
            for raw in raw_items {
                let guarded = self.guarded_item(session, *upstream, kind, &raw);
                let is_withheld = guarded.is_none()
                    || (kind == ListKind::Tools && self.is_item_withheld(session, *upstream, &raw));
                let raw = guarded.unwrap_or(raw);
                let item = self.shown_item(session, *upstream, kind, raw, server_era, era);
                if !is_withheld {
                    items.push(item);
                }
            }
            parts.push((*upstream, items));
        }
        self.rename_end(session, kind);
        let items = if self.shapes(id, kind) {
            let is_complete =
                missing.is_empty() && all.iter().all(|one| self.is_part_complete(*one));
            match self.surface_items(now, id, &parts, is_complete) {
                Some(items) => items,
                // It is being made; this goes on when it is.
                None => return,
            }
        } else {
            parts.into_iter().flat_map(|(_, items)| items).collect()
        };
        if self.is_call(id) {
            // Only the surface was wanted.
            self.set_plan(id, Plan::Forward);
            return self.start_named(now, id, NameKind::Tool);
        }
        self.rename_templates(session, kind, &all);
        let body = match all.as_slice() {
            [one] => self.single_list(now, *one, kind, &items, era),
            _ => merged_list(kind, &items, era, &missing, is_truncated),
        };
        if !missing.is_empty()
            && let Some(record) = self.sessions.get_mut(&session)
        {
            record.served_incomplete = true;
        }
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        let message = write::response(&exchange.request_id, body.into());
        self.answer(now, id, message, 200);
    }

    pub(super) fn fail_single_list(
        &mut self,
        now: Instant,
        id: ExchangeId,
        upstream: UpstreamId,
        kind: ListKind,
    ) {
        let record = &self.upstreams[&upstream];
        if let Some(raw) = record.list(kind).error.clone() {
            return self.answer_raw_error(now, id, &raw);
        }
        if record.is_ready() && !self.may_list(upstream, kind) {
            // The server has no such lists; an empty one is what clients expect of a proxy.
            let era = self.exchanges[&id].era;
            let body = merged_list(kind, &[], era, &[], false);
            let message = write::response(&self.exchanges[&id].request_id, body.into());
            return self.answer(now, id, message, 200);
        }
        let is_waiting = record.is_ready();
        let detail = record
            .last_failure
            .clone()
            .unwrap_or_else(|| "it did not answer in time".into());
        if let Some(exchange) = self.exchanges.get_mut(&id) {
            exchange.upstream = Some(upstream);
        }
        if !is_waiting && self.fail_refused(now, id, upstream) {
            return;
        }
        let trouble = if is_waiting {
            Trouble::Deadline {
                was_sent: true,
                limit: "the request timeout".into(),
            }
        } else {
            self.not_there(now, upstream, detail)
        };
        self.fail_with(now, id, &trouble);
    }

    /// Tells clients that a list changed.
    pub(super) fn tell_clients(&mut self, upstream: UpstreamId, kind: ListKind) {
        if kind == ListKind::Tools && self.is_staged(upstream) {
            return;
        }
        let notice = self
            .upstreams
            .get_mut(&upstream)
            .and_then(|record| record.list_mut(kind).notice.take());
        if let Some(notice) = notice {
            return self.fan_out(upstream, &notice);
        }
        let notification = match kind {
            ListKind::Tools => method::TOOLS_CHANGED,
            ListKind::Prompts => method::PROMPTS_CHANGED,
            ListKind::Resources | ListKind::Templates => method::RESOURCES_CHANGED,
        };
        let raw = Bytes::from(write::notification(notification, None));
        if let Ok(message) = Message::parse_single(raw, self.settings.limits.message) {
            self.fan_out(upstream, &message);
        }
    }
}

/// Takes a page of a list; returns the cursor of the next one. None where this was the last, or where the list ends
/// here because it is too long or comes to no end.
pub fn take_page(
    fetch: &mut Fetch,
    message: &Message,
    kind: ListKind,
    limits: &HubLimits,
) -> Option<Bytes> {
    add_page(&mut fetch.list, &result_of(message)?, kind, limits);
    let next = next_cursor(message)?;
    let is_endless = fetch.list.pages >= limits.pages || fetch.cursors.contains(&next);
    if is_endless {
        drop_repeated(&mut fetch.list);
        fetch.list.is_truncated = true;
    }
    if fetch.list.is_truncated {
        return None;
    }
    fetch.cursors.push(next.clone());
    Some(next)
}

/// Says of a list that it was cut short.
pub fn cut_short(kind: ListKind, pages: usize, items: usize) -> String {
    format!(
        "`{}` does not end or is too long (after {pages} pages, {items} items); the rest is left out\nhint: limits.max_list_pages, limits.max_tools_per_server and limits.max_list_bytes say how much is read",
        kind.method()
    )
}

/// The result of a page. One that is no object has no place for a list and counts as none.
fn result_of(message: &Message) -> Option<Bytes> {
    let at = message.span(EnvelopeKey::Result)?;
    (message.raw()[at.start] == b'{').then(|| message.raw().slice(at))
}

fn next_cursor(message: &Message) -> Option<Bytes> {
    message
        .body("nextCursor")
        .filter(|raw| raw.first() == Some(&b'"'))
        .map(Bytes::copy_from_slice)
}

/// Takes out of a list without an end what stands in it before: a server that does not know cursors answers each with
/// the same page.
fn drop_repeated(list: &mut List) {
    let mut known = HashSet::new();
    list.items.retain(|item| known.insert(item.clone()));
}

fn add_page(list: &mut List, result: &Bytes, kind: ListKind, limits: &HubLimits) {
    let mut held: usize = list.items.iter().map(Bytes::len).sum();
    list.pages += 1;
    let Some(span) = members::member(result, kind.member()) else {
        if list.pages == 1 {
            // A list without its array: an empty one stands in, so that the client's parser is content.
            let set = [(kind.member(), Bytes::from_static(b"[]"))];
            let edits = edit_object(result, 0..result.len(), &[], &set);
            list.template = splice(result, edits).to_bytes();
            if let Some(span) = members::member(&list.template, kind.member()) {
                list.items_span = (span.start, span.end);
            }
        }
        return;
    };
    for item in members::elements(&result[span.clone()]) {
        held += item.len();
        if list.items.len() >= limits.items || held > limits.list_bytes {
            list.is_truncated = true;
            break;
        }
        list.items
            .push(result.slice(span.start + item.start..span.start + item.end));
    }
    if list.pages == 1 {
        list.template = result.clone();
        list.items_span = (span.start, span.end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(tools: &str, cursor: &str) -> Message {
        let raw = format!(
            r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":[{tools}],"nextCursor":{cursor}}}}}"#
        );
        Message::parse_single(raw.into(), HubLimits::default().message).unwrap()
    }

    /// Reads the same pages over and over; returns the names, and whether more was left out.
    fn read(pages: &[Message], limits: &HubLimits) -> (Vec<String>, bool) {
        let mut fetch = Fetch::default();
        let mut pages = pages.iter().cycle();
        while take_page(&mut fetch, pages.next().unwrap(), ListKind::Tools, limits).is_some() {}
        let name = |item: &Bytes| members::get_text(item, "name").unwrap();
        let names = fetch.list.items.iter().map(name).collect();
        (names, fetch.list.is_truncated)
    }

    /// Broken variants that this catches: a cursor that came before is followed; pages are read beyond their bound;
    /// what came again stays twice; the end of the room for a list looks like the end of the list.
    #[test]
    fn a_list_is_read_to_its_end_and_not_for_ever() {
        let (a, b) = (r#"{"name":"a"}"#, r#"{"name":"b"}"#);
        let both = &format!("{a},{b}");
        let limits = HubLimits::default();
        let whole = read(&[page(a, r#""1""#), page(b, "null")], &limits);
        assert_eq!(whole, (vec!["a".to_owned(), "b".to_owned()], false));
        let same = read(&[page(a, r#""same""#)], &limits);
        assert_eq!(same, (vec!["a".to_owned()], true));
        let pages: Vec<Message> = (0..50).map(|n| page(a, &format!("\"{n}\""))).collect();
        let few = HubLimits {
            pages: 20,
            ..limits
        };
        assert_eq!(read(&pages, &few), (vec!["a".to_owned()], true));
        let few = HubLimits { items: 1, ..limits };
        let short = HubLimits {
            list_bytes: a.len(),
            ..limits
        };
        for limits in [few, short] {
            let cut = read(&[page(both, "null")], &limits);
            assert_eq!(cut, (vec!["a".to_owned()], true));
        }
    }
}
