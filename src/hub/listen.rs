//! Change notifications between the eras: `resources/subscribe` and plain notifications on one side,
//! `subscriptions/listen` on the other (MCP 2026-07-28 basic/patterns/subscriptions).

use std::collections::HashSet;
use std::ops::Range;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::jsonrpc::error::{ErrorObject, INVALID_PARAMS};
use crate::jsonrpc::id::RequestId;
use crate::jsonrpc::members;
use crate::jsonrpc::message::Message;
use crate::jsonrpc::scan::EnvelopeKey;
use crate::jsonrpc::text;
use crate::jsonrpc::write::{self, Edit, Outgoing, edit_object, splice};
use crate::mcp::meta;
use crate::mcp::method::{self, ListKind};
use crate::mcp::version::Era;
use crate::session::{ListenStream, SessionId};
use crate::upstream::{Purpose, UpstreamId};

use super::Hub;
use super::action::{Action, NoteLevel};
use super::exchange::{ExchangeId, Plan};
use super::forward::object_of;
use super::rescue::Trouble;

/// How often in a row a listen stream of ours that ends soon is opened again on one connection.
const LISTEN_LOSSES: u32 = 10;
/// A stream that lasted this long did not end soon: balancers cut streams now and then.
const LISTEN_LASTED: Duration = Duration::from_secs(60);
/// Resources of one listen request, at most.
const URIS: usize = 10_000;

/// The flags of a listen request's filter with the notification each stands for.
const FLAGS: [(&str, &str, &str); 3] = [
    ("toolsListChanged", method::TOOLS_CHANGED, "tools"),
    ("promptsListChanged", method::PROMPTS_CHANGED, "prompts"),
    (
        "resourcesListChanged",
        method::RESOURCES_CHANGED,
        "resources",
    ),
];

impl Hub {
    /// Opens a modern client's stream of notifications.
    pub(super) fn start_listen(&mut self, now: Instant, id: ExchangeId) {
        let exchange = &self.exchanges[&id];
        let session = exchange.session;
        let (stream, request_id) = (exchange.stream, exchange.request_id.clone());
        let Some(filter) = exchange
            .request
            .body("notifications")
            .filter(|raw| raw.first() == Some(&b'{'))
            .map(Bytes::copy_from_slice)
        else {
            let error = ErrorObject::new(INVALID_PARAMS, "`params.notifications` is missing");
            return self.fail(now, id, &error);
        };
        let open = self
            .exchanges
            .values()
            .filter(|exchange| exchange.session == session && matches!(exchange.plan, Plan::Listen))
            .count();
        if open >= self.settings.limits.listens_per_session {
            let what = "too many streams of notifications of this client are open";
            return self.fail_with(now, id, &Trouble::Overloaded { what });
        }
        if let Some(only) = self.only_upstream(session) {
            let record = &self.upstreams[&only];
            if !record.is_ready() && record.known().is_none() {
                // What can be accepted depends on the server: it has to come first.
                return self.forward(now, id, only);
            }
            if record.is_ready() && record.era() == Era::Modern {
                if let Some(exchange) = self.exchanges.get_mut(&id) {
                    exchange.plan = Plan::Listen;
                }
                return self.send_exchange(now, id, only);
            }
        }
        let all = self.set_upstreams(session);
        let mut kinds = HashSet::new();
        let mut accepted = Map::new();
        for (flag, notification, capability) in FLAGS {
            let is_wanted = members::get(&filter, flag) == Some(b"true");
            // With several servers, lists change when one comes late.
            let is_possible = all.iter().any(|upstream| {
                let record = &self.upstreams[upstream];
                record.may_have(&[capability])
                    && (all.len() > 1 || record.may_have(&[capability, "listChanged"]))
            });
            if is_wanted && is_possible {
                kinds.insert(notification);
                accepted.insert(flag.into(), true.into());
            }
        }
        let wanted = members::get(&filter, "resourceSubscriptions").unwrap_or_default();
        let mut uris = HashSet::new();
        let mut uri_list = Vec::new();
        for at in members::elements(wanted).into_iter().take(URIS) {
            let Some(uri) = text::string_value(&wanted[at]) else {
                continue;
            };
            let target = self
                .uri_candidates(session, &uri)
                .into_iter()
                .find(|(upstream, _)| {
                    self.upstreams[upstream].may_have(&["resources", "subscribe"])
                });
            if let Some((upstream, _)) = target
                && uris.insert(uri.clone())
            {
                uri_list.push(uri.clone());
                self.add_subscription(now, upstream, &uri);
            }
        }
        if !uri_list.is_empty() {
            accepted.insert("resourceSubscriptions".into(), json!(uri_list));
        }
        if let Some(exchange) = self.exchanges.get_mut(&id) {
            exchange.plan = Plan::Listen;
        }
        if let Some(record) = self.sessions.get_mut(&session) {
            record.listens.push(ListenStream {
                stream,
                request_id: request_id.clone(),
                kinds,
                uris,
                exchange: id,
            });
        }
        // A listen stream has no deadline.
        self.timers.clear(super::timers::TimerKey::Exchange(id));
        let params = object_of(&[
            (
                "_meta",
                object_of(&[(meta::SUBSCRIPTION_ID, request_id.raw().clone())]),
            ),
            ("notifications", Value::Object(accepted).to_string().into()),
        ]);
        let acknowledged = write::notification(method::ACKNOWLEDGED, Some(&params));
        self.send_to(session, Some(id), acknowledged.into(), false);
    }

    /// Counts one more subscriber of a resource; the first one makes the server subscribe.
    fn add_subscription(&mut self, now: Instant, upstream: UpstreamId, uri: &str) {
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return;
        };
        let count = record.subscriptions.entry(uri.to_owned()).or_insert(0);
        *count += 1;
        if *count > 1 || !record.is_ready() {
            return;
        }
        match record.era() {
            Era::Legacy => self.send_subscription(upstream, method::RESOURCES_SUBSCRIBE, uri),
            Era::Modern => self.renew_listen(now, upstream),
        }
    }

    fn remove_subscription(&mut self, now: Instant, upstream: UpstreamId, uri: &str) {
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return;
        };
        let Some(count) = record.subscriptions.get_mut(uri) else {
            return;
        };
        *count -= 1;
        if *count > 0 {
            return;
        }
        record.subscriptions.remove(uri);
        if !record.is_ready() {
            return;
        }
        match record.era() {
            Era::Legacy => self.send_subscription(upstream, method::RESOURCES_UNSUBSCRIBE, uri),
            Era::Modern => self.renew_listen(now, upstream),
        }
    }

    fn send_subscription(&mut self, upstream: UpstreamId, method_name: &'static str, uri: &str) {
        let params = object_of(&[("uri", text::to_string(uri).into())]);
        self.send_own(
            upstream,
            Purpose::Replay(method_name),
            method_name,
            &params,
            None,
        );
    }

    /// A legacy client subscribes on a modern server: our own listen stream takes the URI in.
    pub(super) fn subscribe_by_listen(
        &mut self,
        now: Instant,
        id: ExchangeId,
        upstream: UpstreamId,
        method_name: &str,
        uri: &str,
    ) {
        let real = self
            .exchanges
            .get(&id)
            .and_then(|exchange| exchange.real_name.clone())
            .unwrap_or_else(|| uri.to_owned());
        if method_name == method::RESOURCES_UNSUBSCRIBE {
            self.remove_subscription(now, upstream, &real);
            return self.answer_empty(now, id);
        }
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return;
        };
        if record.subscriptions.contains_key(&real) {
            *record.subscriptions.entry(real).or_insert(0) += 1;
            return self.answer_empty(now, id);
        }
        record.subscriptions.insert(real.clone(), 1);
        record.listen_waiting.push((id, real));
        self.renew_listen(now, upstream);
        // The acknowledgement may never come.
        if let Some(exchange) = self.exchanges.get_mut(&id) {
            exchange.upstream = Some(upstream);
            exchange.was_sent = true;
        }
        self.renew_deadline(now, id);
    }

    /// Opens our own listen stream on a modern server anew, with everything that somebody wants now. The
    /// old stream is ended when the new one is acknowledged, so that nothing is missed between.
    pub(super) fn renew_listen(&mut self, now: Instant, upstream: UpstreamId) {
        let Some(record) = self.upstreams.get(&upstream) else {
            return;
        };
        let mut filter = Map::new();
        for (flag, _, capability) in FLAGS {
            if record.may_have(&[capability, "listChanged"]) {
                filter.insert(flag.into(), true.into());
            }
        }
        let uris: Vec<&String> = record.subscriptions.keys().collect();
        if !uris.is_empty() {
            filter.insert("resourceSubscriptions".into(), json!(uris));
        }
        let wants_any = !filter.is_empty();
        let has_listeners = self.users_of(record.set).any(|session| {
            let session = &self.sessions[&session];
            session.legacy.is_some() || !session.listens.is_empty()
        });
        if !wants_any || !has_listeners {
            return;
        }
        let old = record.listen_id.clone();
        let client = self.set_client(record.set);
        let params = object_of(&[
            ("_meta", object_of(&self.own_meta(&client, None))),
            ("notifications", Value::Object(filter).to_string().into()),
        ]);
        let id = self.send_own(upstream, Purpose::Listen, method::LISTEN, &params, None);
        if let Some(record) = self.upstreams.get_mut(&upstream) {
            record.listen_id = id;
        }
        if let Some(old) = old {
            self.cancel_own(now, upstream, &old);
        }
    }

    /// Ends a request of our own.
    fn cancel_own(&mut self, now: Instant, upstream: UpstreamId, id: &RequestId) {
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return;
        };
        let is_http = self.settings.servers[record.server].is_http;
        let Some(in_flight) = record.in_flight.get_mut(&id.key()) else {
            return;
        };
        in_flight.abandoned = Some(now);
        let key = in_flight.key;
        if is_http {
            record.in_flight.remove(&id.key());
            self.actions.push_back(Action::Abort { upstream, key });
            return;
        }
        let params = object_of(&[("requestId", id.raw().clone())]);
        let message = write::notification(method::CANCELLED, Some(&params));
        self.send_upstream_raw(upstream, message.into());
    }

    /// Takes a message of a listen stream: ours, or one that a modern client opened through us.
    pub(super) fn subscription_event(
        &mut self,
        now: Instant,
        upstream: UpstreamId,
        message: &Message,
        id_span: Range<usize>,
    ) {
        let Some(id) = RequestId::parse(message.raw().slice(id_span.clone())) else {
            return;
        };
        let key = id.key();
        let purpose = self
            .upstreams
            .get(&upstream)
            .and_then(|record| record.in_flight.get(&key))
            .map(|in_flight| in_flight.purpose.clone());
        match purpose {
            Some(Purpose::Exchange(exchange)) => {
                let Some(record) = self.exchanges.get(&exchange) else {
                    return;
                };
                let session = record.session;
                let mut edits = Vec::new();
                if *record.request_id.raw() != message.raw()[id_span.clone()] {
                    edits.push(Edit {
                        range: id_span,
                        with: record.request_id.raw().clone(),
                    });
                }
                let kinds = ListKind::changed_by(message.method());
                for kind in kinds {
                    self.refresh_quietly(now, upstream, *kind);
                }
                if self.is_change_staged(upstream, kinds) {
                    return;
                }
                let out = splice(message.raw(), edits);
                self.send_to(session, Some(exchange), out, false);
            }
            Some(Purpose::Listen) if message.method() == method::ACKNOWLEDGED => {
                self.listen_acknowledged(now, upstream, message);
            }
            _ => {
                let kinds = ListKind::changed_by(message.method());
                for kind in kinds {
                    self.refresh_quietly(now, upstream, *kind);
                }
                if !self.is_change_staged(upstream, kinds) {
                    self.fan_out(upstream, message);
                }
            }
        }
    }

    fn is_change_staged(&mut self, upstream: UpstreamId, kinds: &[ListKind]) -> bool {
        kinds.contains(&ListKind::Tools) && self.is_staged(upstream)
    }

    /// Notes that a list changed; the clients hear it from the notification itself.
    fn refresh_quietly(&mut self, now: Instant, upstream: UpstreamId, kind: ListKind) {
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return;
        };
        let state = record.list_mut(kind);
        state.snapshot = None;
        state.snapshot_was_served = false;
        if state.live.is_some() {
            match &mut state.fetch {
                Some(fetch) => fetch.again = true,
                None => self.fetch_list(now, upstream, kind),
            }
        }
    }

    fn listen_acknowledged(&mut self, now: Instant, upstream: UpstreamId, message: &Message) {
        if let Some(record) = self.upstreams.get_mut(&upstream) {
            record.listening_since = Some(now);
        }
        let accepted = message.body("notifications").unwrap_or_default();
        let uris = members::get(accepted, "resourceSubscriptions").unwrap_or_default();
        let accepted: HashSet<String> = members::elements(uris)
            .into_iter()
            .filter_map(|at| text::string_value(&uris[at]))
            .collect();
        let waiting = self
            .upstreams
            .get_mut(&upstream)
            .map(|record| std::mem::take(&mut record.listen_waiting))
            .unwrap_or_default();
        for (id, uri) in waiting {
            if accepted.contains(&uri) {
                self.answer_empty(now, id);
            } else {
                if let Some(record) = self.upstreams.get_mut(&upstream) {
                    record.subscriptions.remove(&uri);
                }
                let error = ErrorObject::new(
                    INVALID_PARAMS,
                    format!("the server does not offer updates of `{uri}`"),
                );
                self.fail(now, id, &error);
            }
        }
    }

    /// The server ended our listen stream.
    pub(super) fn own_listen_ended(
        &mut self,
        now: Instant,
        upstream: UpstreamId,
        message: &Message,
    ) {
        let name = self.server_name(upstream);
        if message.error().is_some() {
            let text = super::forward::error_text(message);
            self.note(
                NoteLevel::Warn,
                &name,
                format!("the server offers no change notifications: {text}"),
            );
            if let Some(record) = self.upstreams.get_mut(&upstream) {
                record.listen_id = None;
            }
            let error = super::forward::error_object(message);
            for id in self.take_unacknowledged(upstream) {
                self.fail(now, id, &error);
            }
            return;
        }
        self.listen_lost(now, upstream);
    }

    /// Takes back subscriptions that nobody will acknowledge any more, and returns who waits for them.
    fn take_unacknowledged(&mut self, upstream: UpstreamId) -> Vec<ExchangeId> {
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return Vec::new();
        };
        let mut waiting = Vec::new();
        for (id, uri) in std::mem::take(&mut record.listen_waiting) {
            record.subscriptions.remove(&uri);
            waiting.push(id);
        }
        waiting
    }

    /// Our listen stream broke: it is opened again, and clients are told that lists may have changed
    /// meanwhile.
    pub(super) fn listen_lost(&mut self, now: Instant, upstream: UpstreamId) {
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return;
        };
        record.listen_id = None;
        if !record.is_ready() || self.draining_since.is_some() {
            return;
        }
        let has_lasted = record
            .listening_since
            .take()
            .is_some_and(|since| now.saturating_duration_since(since) >= LISTEN_LASTED);
        record.listen_losses = if has_lasted {
            1
        } else {
            record.listen_losses + 1
        };
        if record.listen_losses > LISTEN_LOSSES {
            let name = self.server_name(upstream);
            self.note(
                NoteLevel::Warn,
                &name,
                "its stream of change notifications ended again and again and is not opened again; lists are read anew with the next connection",
            );
            for id in self.take_unacknowledged(upstream) {
                let detail = "its stream of change notifications ended again and again".to_owned();
                self.fail_with(now, id, &Trouble::Unavailable { detail });
            }
            return;
        }
        self.renew_listen(now, upstream);
        for (flag_kind, capability) in [
            (ListKind::Tools, "tools"),
            (ListKind::Prompts, "prompts"),
            (ListKind::Resources, "resources"),
        ] {
            if self.upstreams[&upstream].may_have(&[capability, "listChanged"]) {
                self.refresh_quietly(now, upstream, flag_kind);
                self.tell_clients(upstream, flag_kind);
            }
        }
    }

    /// Gives a change notification to every client that uses the connection: plain to legacy ones, tagged
    /// to modern ones that asked for it.
    pub(super) fn fan_out(&mut self, upstream: UpstreamId, message: &Message) {
        let Some(record) = self.upstreams.get(&upstream) else {
            return;
        };
        let uri = message.body_text("uri");
        let users: Vec<SessionId> = self.users_of(record.set).collect();
        for session in users {
            let record = &self.sessions[&session];
            if record.legacy.is_some() {
                self.send_to(session, None, plain(message), false);
                continue;
            }
            let streams: Vec<(ExchangeId, RequestId)> = record
                .listens
                .iter()
                .filter(|listen| match &uri {
                    Some(uri) if message.method() == method::RESOURCE_UPDATED => {
                        listen.uris.contains(uri)
                    }
                    _ => listen.kinds.contains(message.method()),
                })
                .map(|listen| (listen.exchange, listen.request_id.clone()))
                .collect();
            for (exchange, id) in streams {
                self.send_to(session, Some(exchange), tagged(message, &id), false);
            }
        }
    }

    /// Ends a modern client's stream with its final result.
    pub(super) fn end_listen(&mut self, now: Instant, id: ExchangeId) {
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        let session = exchange.session;
        let request_id = exchange.request_id.clone();
        self.forget_listen(now, session, id);
        let result = object_of(&[
            ("resultType", Bytes::from_static(b"\"complete\"")),
            (
                "_meta",
                object_of(&[(meta::SUBSCRIPTION_ID, request_id.raw().clone())]),
            ),
        ]);
        let message = write::response(&request_id, result.into());
        self.abandon(now, id, None, "the stream is ended");
        self.answer(now, id, message, 200);
    }

    /// Takes back what a listen stream had subscribed.
    pub(super) fn forget_listen(&mut self, now: Instant, session: SessionId, id: ExchangeId) {
        let Some(record) = self.sessions.get_mut(&session) else {
            return;
        };
        let Some(at) = record
            .listens
            .iter()
            .position(|listen| listen.exchange == id)
        else {
            return;
        };
        let listen = record.listens.remove(at);
        for uri in listen.uris {
            let owners: Vec<UpstreamId> = self
                .set_upstreams(session)
                .into_iter()
                .filter(|upstream| self.upstreams[upstream].subscriptions.contains_key(&uri))
                .collect();
            for upstream in owners {
                self.remove_subscription(now, upstream, &uri);
            }
        }
    }
}

/// A notification without the mark of the stream it came on.
fn plain(message: &Message) -> Outgoing {
    let raw = message.raw();
    let Some(meta_span) = message.body_span("_meta") else {
        return raw.clone().into();
    };
    let names = members::members(&raw[meta_span.clone()]);
    let marks = names
        .iter()
        .filter(|m| m.name(&raw[meta_span.clone()]) == meta::SUBSCRIPTION_ID)
        .count();
    if marks == 0 {
        return raw.clone().into();
    }
    let edits = if names.len() > marks {
        edit_object(raw, meta_span, &[meta::SUBSCRIPTION_ID], &[])
    } else {
        match message.span(EnvelopeKey::Params) {
            Some(params) => edit_object(raw, params, &["_meta"], &[]),
            None => Vec::new(),
        }
    };
    splice(raw, edits)
}

/// A notification with the mark of a client's stream.
fn tagged(message: &Message, id: &RequestId) -> Outgoing {
    let raw = message.raw();
    let mark = [(meta::SUBSCRIPTION_ID, id.raw().clone())];
    let edits = match (
        message.body_span("_meta"),
        message.span(EnvelopeKey::Params),
    ) {
        (Some(span), _) => edit_object(raw, span, &[], &mark),
        (None, Some(params)) => edit_object(raw, params, &[], &[("_meta", object_of(&mark))]),
        (None, None) => {
            let mut with = b",\"params\":".to_vec();
            with.extend_from_slice(&object_of(&[("_meta", object_of(&mark))]));
            let end = raw.len() - 1;
            vec![Edit {
                range: end..end,
                with: with.into(),
            }]
        }
    };
    splice(raw, edits)
}
