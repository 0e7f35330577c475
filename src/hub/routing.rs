//! Which server a request is for, and what is done where it is for several.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use crate::jsonrpc::error::{ErrorObject, INVALID_PARAMS, METHOD_NOT_FOUND};
use crate::jsonrpc::members;
use crate::jsonrpc::write::{self, Outgoing};
use crate::mcp::method::{self, ListKind};
use crate::mcp::version::Era;
use crate::session::SessionId;
use crate::upstream::State;

use super::Hub;
use super::exchange::{ExchangeId, Plan};
use super::naming::NameKind;
use super::policy::Ruling;

impl Hub {
    pub(super) fn start_ping(&mut self, now: Instant, id: ExchangeId) {
        let session = self.exchanges[&id].session;
        let forwards = self.only_upstream(session).filter(|upstream| {
            let upstream = &self.upstreams[upstream];
            upstream.is_ready() && upstream.era() == Era::Legacy
        });
        match forwards {
            Some(upstream) => self.forward(now, id, upstream),
            None => self.answer_empty(now, id),
        }
    }

    /// Answers with `{}`, which is what legacy empty results are.
    pub(super) fn answer_empty(&mut self, now: Instant, id: ExchangeId) {
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        let body: &[u8] = match exchange.era {
            Era::Legacy => b"{}",
            Era::Modern => b"{\"resultType\":\"complete\"}",
        };
        let message = write::response(
            &exchange.request_id,
            Outgoing::from(Bytes::from_static(body)),
        );
        self.answer(now, id, message, 200);
    }

    /// Routes a call by the name of a tool or prompt.
    pub(super) fn start_named(&mut self, now: Instant, id: ExchangeId, kind: NameKind) {
        let exchange = &self.exchanges[&id];
        let session = exchange.session;
        let Some(name) = exchange.request.body_text("name") else {
            let error =
                ErrorObject::new(INVALID_PARAMS, "`params.name` is missing or not a string");
            return self.fail(now, id, &error);
        };
        if kind == NameKind::Tool && self.take_approval(now, id) {
            return;
        }
        if self.resume_parked(now, id) {
            return;
        }
        if kind == NameKind::Tool && self.start_meta_call(now, id, &name) {
            return;
        }
        let target = match self.only_upstream(session) {
            Some(only) => Some((only, name.clone())),
            None => self.resolve(session, kind, &name),
        };
        let arguments = self.exchanges[&id].request.body("arguments");
        let mut asks_by = None;
        let target = match target {
            Some((upstream, real)) if kind == NameKind::Tool => {
                let decision = self.decide(id, upstream, &real, arguments);
                self.audit_call(id, upstream, &real, &decision, None);
                match self.rule_on(now, id, upstream, &name, &decision) {
                    Ruling::Pass => Some((upstream, real)),
                    Ruling::Ask(reason) => {
                        asks_by = Some(reason);
                        Some((upstream, real))
                    }
                    Ruling::Unknown => None,
                    Ruling::Answered => return,
                }
            }
            other => other,
        };
        match target {
            Some((upstream, real)) => {
                if kind == NameKind::Tool && self.refuse_guarded(now, id, upstream, &name, &real) {
                    return;
                }
                if kind == NameKind::Tool {
                    self.project_call(id, upstream, &name, &real);
                }
                if kind == NameKind::Tool && self.refuse_arguments(now, id, upstream, &name, &real)
                {
                    return;
                }
                if let Some(reason) = asks_by {
                    if self.hold(now, id, upstream, (&name, &real), &reason, None) {
                        return;
                    }
                    self.remember_approval(id, upstream, &real);
                }
                if kind == NameKind::Tool && self.shapes(id, ListKind::Tools) {
                    self.count_use(id, &name);
                }
                if real != name
                    && let Some(exchange) = self.exchanges.get_mut(&id)
                {
                    exchange.real_name = Some(real);
                }
                self.forward(now, id, upstream);
            }
            None if kind == NameKind::Tool => self.unknown_tool(now, id, &name),
            None => {
                let error = ErrorObject::new(INVALID_PARAMS, format!("Unknown prompt: {name}"));
                self.fail(now, id, &error);
            }
        }
    }

    /// Returns the connection and real name that a shown name means.
    pub(super) fn resolve(
        &self,
        session: SessionId,
        kind: NameKind,
        shown: &str,
    ) -> Option<(u64, String)> {
        let set = self.sets.get(&self.sessions.get(&session)?.set)?;
        let servers: Vec<&str> = self
            .settings
            .servers
            .iter()
            .map(|s| s.name.as_str())
            .collect();
        let target = set
            .names
            .resolve(kind, shown, &servers, &self.settings.naming)?;
        let upstream = set
            .upstreams
            .iter()
            .find(|upstream| self.upstreams[upstream].server == target.server)?;
        Some((*upstream, target.name))
    }

    pub(super) fn start_by_uri(&mut self, now: Instant, id: ExchangeId, method_name: &str) {
        let exchange = &self.exchanges[&id];
        let session = exchange.session;
        let Some(uri) = exchange.request.body_text("uri") else {
            let error = ErrorObject::new(INVALID_PARAMS, "`params.uri` is missing or not a string");
            return self.fail(now, id, &error);
        };
        if method_name == method::RESOURCES_READ && self.resume_parked(now, id) {
            return;
        }
        if self.start_read_uri(now, id, &uri) {
            return;
        }
        if let Some(record) = self.sessions.get_mut(&session) {
            match method_name {
                method::RESOURCES_SUBSCRIBE => {
                    record.subscriptions.insert(uri.clone());
                }
                method::RESOURCES_UNSUBSCRIBE => {
                    record.subscriptions.remove(&uri);
                }
                _ => {}
            }
        }
        let candidates = self.uri_candidates(session, &uri);
        if let Some((upstream, Some(real))) = candidates.first()
            && *real != uri
            && let Some(exchange) = self.exchanges.get_mut(&id)
        {
            exchange.real_name = Some(real.clone());
            let upstream = *upstream;
            return self.start_uri_at(now, id, upstream, method_name, &uri);
        }
        match candidates.as_slice() {
            [] => {
                let error = ErrorObject::new(INVALID_PARAMS, format!("Resource not found: {uri}"));
                self.fail(now, id, &error);
            }
            [(one, _)] => self.start_uri_at(now, id, *one, method_name, &uri),
            many => {
                let order: VecDeque<u64> = many.iter().map(|(upstream, _)| *upstream).collect();
                self.try_each(now, id, order);
            }
        }
    }

    pub(super) fn start_uri_at(
        &mut self,
        now: Instant,
        id: ExchangeId,
        upstream: u64,
        method_name: &str,
        uri: &str,
    ) {
        let is_subscription = method_name != method::RESOURCES_READ;
        let is_modern_server =
            self.upstreams[&upstream].is_ready() && self.upstreams[&upstream].era() == Era::Modern;
        if is_subscription && is_modern_server {
            return self.subscribe_by_listen(now, id, upstream, method_name, uri);
        }
        self.forward(now, id, upstream);
    }

    /// Lists the servers that may have a URI: the one that lists it, the one whose template fits, else
    /// all that have resources.
    pub(super) fn uri_candidates(
        &self,
        session: SessionId,
        uri: &str,
    ) -> Vec<(u64, Option<String>)> {
        if let Some(only) = self.only_upstream(session) {
            return vec![(only, None)];
        }
        if let Some((upstream, real)) = self.resolve(session, NameKind::Uri, uri) {
            return vec![(upstream, Some(real))];
        }
        let Some(set) = self
            .sessions
            .get(&session)
            .and_then(|session| self.sets.get(&session.set))
        else {
            return Vec::new();
        };
        if let Some(upstream) = set.names.by_template(uri).and_then(|server| {
            set.upstreams
                .iter()
                .find(|upstream| self.upstreams[upstream].server == server)
        }) {
            return vec![(*upstream, None)];
        }
        set.upstreams
            .iter()
            .filter(|upstream| self.upstreams[upstream].may_have(&["resources"]))
            .map(|upstream| (*upstream, None))
            .collect()
    }

    pub(super) fn start_completion(&mut self, now: Instant, id: ExchangeId) {
        let session = self.exchanges[&id].session;
        if let Some(only) = self.only_upstream(session) {
            return self.forward(now, id, only);
        }
        let request = &self.exchanges[&id].request;
        let reference = request.body("ref").unwrap_or_default();
        let name = members::get_text(reference, "name");
        let uri = members::get_text(reference, "uri");
        if let Some((upstream, real)) =
            name.and_then(|name| self.resolve(session, NameKind::Prompt, &name))
        {
            if let Some(exchange) = self.exchanges.get_mut(&id) {
                exchange.real_name = Some(real);
            }
            return self.forward(now, id, upstream);
        }
        if let Some(uri) = uri {
            let candidates: VecDeque<u64> = self
                .uri_candidates(session, &uri)
                .into_iter()
                .map(|(upstream, _)| upstream)
                .collect();
            if !candidates.is_empty() {
                return self.try_each(now, id, candidates);
            }
        }
        let error = ErrorObject::new(
            INVALID_PARAMS,
            "`params.ref` names no prompt or resource template of any server",
        );
        self.fail(now, id, &error);
    }

    pub(super) fn start_task(&mut self, now: Instant, id: ExchangeId) {
        let exchange = &self.exchanges[&id];
        let session = exchange.session;
        let task = exchange.request.body_text("taskId");
        if let Some(only) = self.only_upstream(session) {
            return self.forward(now, id, only);
        }
        let known = task.and_then(|task| {
            let set = self.sets.get(&self.sessions.get(&session)?.set)?;
            let server = set.names.task(&task)?;
            set.upstreams
                .iter()
                .copied()
                .find(|upstream| self.upstreams[upstream].server == server)
        });
        match known {
            Some(upstream) => self.forward(now, id, upstream),
            None => self.start_unknown(now, id),
        }
    }

    /// Forwards what we do not know: to the only server, else to each in turn until one knows it.
    pub(super) fn start_unknown(&mut self, now: Instant, id: ExchangeId) {
        let session = self.exchanges[&id].session;
        if let Some(only) = self.only_upstream(session) {
            return self.forward(now, id, only);
        }
        let all: VecDeque<u64> = self.set_upstreams(session).into();
        self.try_each(now, id, all);
    }

    /// Forwards to one server after the other until one knows it. Those that cannot be reached now come last, so that
    /// what another one has is not refused because of them.
    pub(super) fn try_each(&mut self, now: Instant, id: ExchangeId, mut order: VecDeque<u64>) {
        order.make_contiguous().sort_by_key(|upstream| {
            let record = self.upstreams.get(upstream);
            record.is_none_or(|record| match record.state {
                State::Parked(until) => now < until,
                State::Stopping => true,
                _ => false,
            })
        });
        let Some(first) = order.pop_front() else {
            let error = ErrorObject::new(METHOD_NOT_FOUND, "no server is configured");
            return self.fail(now, id, &error);
        };
        if let Some(exchange) = self.exchanges.get_mut(&id) {
            exchange.plan = Plan::TryEach {
                remaining: order,
                first_refusal: None,
            };
        }
        self.forward(now, id, first);
    }

    pub(super) fn start_set_level(&mut self, now: Instant, id: ExchangeId) {
        let exchange = &self.exchanges[&id];
        let session = exchange.session;
        let level = exchange.request.body("level").map(Bytes::copy_from_slice);
        if let Some(record) = self.sessions.get_mut(&session)
            && let Some(legacy) = &mut record.legacy
        {
            legacy.log_level = level.clone();
        }
        let all = self.set_upstreams(session);
        for upstream in &all {
            if let Some(upstream) = self.upstreams.get_mut(upstream) {
                upstream.log_level = level.clone();
            }
        }
        if let Some(only) = self.only_upstream(session)
            && !(self.upstreams[&only].is_ready() && self.upstreams[&only].era() == Era::Modern)
        {
            return self.forward(now, id, only);
        }
        // Modern servers get the level with each request; there is nothing to send now.
        let takers: Vec<u64> = all
            .into_iter()
            .filter(|upstream| {
                let upstream = &self.upstreams[upstream];
                upstream.is_ready()
                    && upstream.era() == Era::Legacy
                    && upstream.may_have(&["logging"])
            })
            .collect();
        if takers.is_empty() {
            return self.answer_empty(now, id);
        }
        if let Some(exchange) = self.exchanges.get_mut(&id) {
            exchange.plan = Plan::Broadcast {
                waiting: takers.len(),
                error: None,
                is_taken: false,
            };
        }
        for upstream in takers {
            self.send_exchange(now, id, upstream);
        }
    }
}
