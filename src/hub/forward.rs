//! One request to one server and its answer back: ids, names, progress tokens and era metadata are
//! spliced, the rest stays as it came.

use std::time::Instant;

use bytes::Bytes;

use crate::jsonrpc::error::{ErrorObject, INVALID_PARAMS};
use crate::jsonrpc::id::RequestId;
use crate::jsonrpc::members;
use crate::jsonrpc::message::{Kind, Message};
use crate::jsonrpc::scan::EnvelopeKey;
use crate::jsonrpc::text;
use crate::jsonrpc::write::{Edit, Outgoing, edit_object, splice};
use crate::mcp::capabilities;
use crate::mcp::header;
use crate::mcp::method::{self, ListKind};
use crate::mcp::result::{self, ResultType};
use crate::mcp::version::{self, Era};
use crate::mcp::{error, meta};
use crate::session::SessionId;
use crate::upstream::{InFlight, Purpose, State, UpstreamId};

use super::Hub;
use super::action::{Action, NoteLevel};
use super::cache::Part;
use super::exchange::{Exchange, ExchangeId, Plan};
use super::measure::Outcome;
use super::rescue::Trouble;
use super::rounds::foreign_state;
use super::timers::TimerKey;
use super::trace::Injection;

/// Why nothing can go to a server that the settings had when the request came.
const GONE: &str = "it is no longer in the settings";

impl Hub {
    /// Sends an exchange to a server, or lets it wait until the server is ready.
    pub(super) fn forward(&mut self, now: Instant, id: ExchangeId, upstream: UpstreamId) {
        if let Some(exchange) = self.exchanges.get_mut(&id) {
            exchange.upstream = Some(upstream);
        }
        if let Err(trouble) = self.may_forward(now, upstream) {
            if !self.fail_refused(now, id, upstream) {
                self.fail_with(now, id, &trouble);
            }
            return;
        }
        self.wake(now, upstream, Some(id));
        let Some(record) = self.upstreams.get(&upstream) else {
            return self.fail_with(
                now,
                id,
                &Trouble::Unavailable {
                    detail: GONE.into(),
                },
            );
        };
        let is_parked = matches!(record.state, State::Parked(_)) && record.was_ready;
        let detail = || {
            let detail = record
                .last_failure
                .clone()
                .unwrap_or_else(|| "it is not running".to_owned());
            if is_parked {
                let attempts = record.attempts;
                format!("it is parked after it was lost {attempts} times in a row ({detail})")
            } else {
                detail
            }
        };
        match record.state {
            State::Ready => self.send_or_answer(now, id, upstream),
            State::Parked(_) | State::Stopping => {
                let trouble = Trouble::Unavailable { detail: detail() };
                if !self.fail_refused(now, id, upstream) {
                    self.fail_with(now, id, &trouble);
                }
            }
            State::Backoff(_) if record.is_unusable => {
                let trouble = Trouble::Unavailable { detail: detail() };
                self.fail_with(now, id, &trouble);
            }
            _ => {
                let start = self.settings.servers[record.server].start_timeout;
                if let Some(record) = self.upstreams.get_mut(&upstream) {
                    record.queue.push_back(id);
                }
                if let Some(at) = now.checked_add(start) {
                    self.timers.set(TimerKey::Exchange(id), at);
                }
            }
        }
    }

    /// Sends what waits for a server that became ready.
    pub(super) fn flush_queue(&mut self, now: Instant, upstream: UpstreamId) {
        while let Some(id) = self
            .upstreams
            .get_mut(&upstream)
            .filter(|record| record.is_ready())
            .and_then(|record| record.queue.pop_front())
        {
            self.timers.clear(TimerKey::Exchange(id));
            // What was queued as a subscription may need another way now that the era is known.
            let reroute = self.exchanges.get(&id).and_then(|exchange| {
                let method_name = exchange.request.method();
                let is_subscription = matches!(
                    method_name,
                    method::RESOURCES_SUBSCRIBE | method::RESOURCES_UNSUBSCRIBE
                );
                (is_subscription && self.upstreams[&upstream].era() == Era::Modern)
                    .then(|| (method_name.to_owned(), exchange.request.body_text("uri")))
            });
            match reroute {
                Some((method_name, Some(uri))) => {
                    self.subscribe_by_listen(now, id, upstream, &method_name, &uri);
                }
                _ if self
                    .exchanges
                    .get(&id)
                    .is_some_and(|exchange| exchange.request.method() == method::LISTEN) =>
                {
                    self.start_listen(now, id);
                }
                _ if self.exchanges.get(&id).is_some_and(|exchange| {
                    exchange.request.method() == method::SET_LEVEL
                        && self.upstreams[&upstream].era() == Era::Modern
                }) =>
                {
                    self.answer_empty(now, id);
                }
                _ => self.send_or_answer(now, id, upstream),
            }
        }
    }

    /// Sends an exchange's request now.
    pub(super) fn send_exchange(&mut self, now: Instant, id: ExchangeId, upstream: UpstreamId) {
        if self.is_stray_state(id, upstream) {
            return self.fail(now, id, &foreign_state());
        }
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        let client = self.client_of(exchange.session);
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return;
        };
        // A retry after questions is a new request (MCP 2026-07-28 basic/patterns/mrtr).
        let wanted = (exchange.rounds == 0).then_some(&exchange.request_id);
        let request_id = record.request_id(wanted);
        let key = record.request_key();
        let token = exchange.progress_token.clone().map(|token| {
            if record.tokens.get(&token).is_none_or(|owner| *owner == id) {
                token
            } else {
                Bytes::from(format!("\"whittle-{key}-{id}\""))
            }
        });
        if let Some(token) = &token {
            record.tokens.insert(token.clone(), id);
        }
        let era = record.era();
        let log_level = record.log_level.clone();
        record.in_flight.insert(
            request_id.key(),
            InFlight {
                purpose: Purpose::Exchange(id),
                key,
                token: token.clone(),
                session: record.session,
                abandoned: None,
            },
        );
        let server = record.server;
        let injection = self.trace_sent(now, id, upstream, &request_id);
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        let trace = match &injection {
            Some(injection) => injection.headers.clone(),
            None => exchange.trace.clone(),
        };
        let mut added = injection.unwrap_or_default();
        if !self.settings.is_transparent && ListKind::of_method(exchange.request.method()).is_some()
        {
            added.meta.push((meta::HOP, next_hop(&exchange.request)));
        }
        let edits = request_edits(
            exchange,
            era,
            &request_id,
            token.as_ref(),
            &client,
            log_level.as_ref(),
            &added,
        );
        let message = splice(exchange.request.raw(), edits);
        let mut headers = if self.settings.servers[server].is_http && era == Era::Modern {
            self.mirror_headers(upstream, exchange, &message)
        } else {
            Vec::new()
        };
        if self.settings.servers[server].is_http {
            headers.extend(trace);
        }
        if let Some(exchange) = self.exchanges.get_mut(&id) {
            exchange.was_sent = true;
            exchange.upstream = Some(upstream);
            exchange.measure.sent(now);
        }
        self.renew_deadline(now, id);
        self.actions.push_back(Action::SendUpstream {
            upstream,
            key: Some(key),
            message,
            headers,
        });
    }

    /// Sets a request's deadline anew: at its start, and whenever its server reports progress. The
    /// absolute cap is never moved (MCP 2025-11-25 basic/lifecycle "Timeouts").
    pub(super) fn renew_deadline(&mut self, now: Instant, id: ExchangeId) {
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        let idle = exchange
            .upstream
            .and_then(|upstream| self.upstreams.get(&upstream))
            .and_then(|record| self.settings.servers[record.server].request_timeout)
            .and_then(|timeout| now.checked_add(timeout));
        let at = match (idle, exchange.cap) {
            (Some(idle), Some(cap)) => Some(idle.min(cap)),
            (idle, cap) => idle.or(cap),
        };
        if let Some(at) = at {
            self.timers.set(TimerKey::Exchange(id), at);
        }
    }

    /// Headers that mirror a modern request: from the tool's original schema where it is known, else
    /// those that the client sent.
    pub(super) fn mirror_headers(
        &self,
        upstream: UpstreamId,
        exchange: &Exchange,
        message: &Outgoing,
    ) -> Vec<(String, String)> {
        let bytes = message.to_bytes();
        let params = members::get(&bytes, "params");
        let name = params.and_then(|params| members::get_text(params, "name"));
        let schema = name
            .as_deref()
            .and_then(|name| self.input_schema(upstream, name));
        let is_known = schema.is_some();
        let mirrored = schema
            .map(|schema| header::header_params(&schema))
            .unwrap_or_default();
        let mut headers = header::request_headers(exchange.request.method(), params, &mirrored);
        headers.push((
            header::PROTOCOL_VERSION.to_owned(),
            version::MODERN.to_owned(),
        ));
        if !is_known {
            headers.extend(exchange.head_params.iter().cloned());
        }
        headers
    }

    /// Returns a tool's original input schema as the server last listed it.
    pub(super) fn input_schema(&self, upstream: UpstreamId, name: &str) -> Option<Bytes> {
        let tool = self.original_tool(upstream, name)?;
        members::get(&tool, "inputSchema").map(|schema| tool.slice_ref(schema))
    }

    /// Returns a tool as the server last listed it.
    pub(super) fn original_tool(&self, upstream: UpstreamId, name: &str) -> Option<Bytes> {
        let state = self.upstreams.get(&upstream)?.list(ListKind::Tools);
        let list = state.live.as_ref().or(state.snapshot.as_ref())?;
        list.named(name).cloned()
    }

    /// Returns a tool as the server that a call would run on has listed it: not as another process of it did before a
    /// restart, and not as it was before a change that the server told of. While nothing can run, as it was known last.
    pub(super) fn confirmed_tool(&self, upstream: UpstreamId, name: &str) -> Option<Bytes> {
        let record = self.upstreams.get(&upstream)?;
        let state = record.list(ListKind::Tools);
        if !state.is_confirmed && record.is_down() {
            return self.original_tool(upstream, name);
        }
        let list = state.live.as_ref().filter(|_| state.is_confirmed)?;
        list.named(name).cloned()
    }

    /// What servers are told of the client behind a session.
    pub(super) fn client_of(&self, session: SessionId) -> ClientFacts {
        let mut facts = ClientFacts {
            capabilities: "{}".into(),
            info: format!(
                "{{\"name\":\"mcp-whittle\",\"version\":\"{}\"}}",
                self.settings.version
            ),
            hops: 0,
        };
        if let Some(record) = self.sessions.get(&session) {
            if let Some(legacy) = &record.legacy {
                facts.capabilities =
                    capabilities::client_to_modern(&legacy.capabilities, &legacy.version)
                        .to_string();
                if let Some(info) = members::get(&legacy.params, "clientInfo") {
                    facts.info = String::from_utf8_lossy(info).into_owned();
                }
            } else if let Some(modern) = self
                .sets
                .get(&record.set)
                .and_then(|set| set.modern.as_ref())
            {
                facts.capabilities = String::from_utf8_lossy(&modern.capabilities).into_owned();
                if let Some(info) = &modern.info {
                    facts.info = String::from_utf8_lossy(info).into_owned();
                }
            }
        }
        facts
    }

    /// Takes a server's answer to an exchange.
    pub(super) fn exchange_answered(
        &mut self,
        now: Instant,
        upstream: UpstreamId,
        id: ExchangeId,
        message: Message,
    ) {
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            self.counters.strays += 1;
            return;
        };
        if !matches!(exchange.cache, Part::None) && self.cache_answered(now, upstream, id, &message)
        {
            return;
        }
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        let code = error_code(&message);
        match &mut exchange.plan {
            Plan::Broadcast {
                waiting,
                error,
                is_taken,
            } => {
                *waiting -= 1;
                match message.error() {
                    Some(raw) => {
                        error.get_or_insert_with(|| Bytes::copy_from_slice(raw));
                    }
                    None => *is_taken = true,
                }
                if *waiting == 0 {
                    let failed = (!*is_taken).then(|| error.take()).flatten();
                    match failed {
                        Some(raw) => self.answer_raw_error(now, id, &raw),
                        None => self.answer_empty(now, id),
                    }
                }
                return;
            }
            Plan::TryEach {
                remaining,
                first_refusal,
            } if matches!(
                code,
                Some(-32601 | INVALID_PARAMS | error::RESOURCE_NOT_FOUND)
            ) =>
            {
                let refusal = first_refusal.get_or_insert(message).clone();
                match remaining.pop_front() {
                    Some(next) => self.forward(now, id, next),
                    None => self.deliver(now, upstream, id, &refusal),
                }
                return;
            }
            Plan::Parked(parked) if parked.is_detached => {
                parked.finished = Some(message);
                return;
            }
            _ => {}
        }
        let (client_era, method_name) = (exchange.era, exchange.request.method().to_owned());
        let Some(server_era) = self.upstreams.get(&upstream).map(|record| record.era()) else {
            return self.fail_with(
                now,
                id,
                &Trouble::Lost {
                    detail: GONE.into(),
                },
            );
        };
        if server_era == Era::Modern && message.result().is_some() {
            match ResultType::of(message.body("resultType")) {
                ResultType::InputRequired if client_era == Era::Legacy => {
                    return self.ask_client(now, upstream, id, &message);
                }
                ResultType::Task if client_era == Era::Legacy => {
                    let detail = "the server made a task although tasks were not offered";
                    return self.fail_with(now, id, &Trouble::NoBridge { detail });
                }
                _ => {}
            }
        }
        match code {
            Some(error::HEADER_MISMATCH) if self.renew_headers(now, upstream, id) => return,
            Some(error::URL_ELICITATION_REQUIRED)
                if client_era == Era::Modern && server_era == Era::Legacy =>
            {
                return self.url_elicitation(now, id, &message);
            }
            Some(error::MISSING_CAPABILITY)
                if client_era == Era::Legacy && method_name == method::TOOLS_CALL =>
            {
                let text = error_text(&message);
                return self.answer_tool_text(now, id, &text, true);
            }
            Some(INVALID_PARAMS)
                if method_name == method::TOOLS_CALL && !self.settings.is_transparent =>
            {
                // The tool may have vanished since it was listed. A transparent proxy neither reads
                // nor tells anything of its own.
                self.refresh_list(now, upstream, ListKind::Tools);
            }
            _ => {}
        }
        if let Some(kind) = ListKind::of_method(&method_name) {
            self.observe_page(now, upstream, kind, id, &message);
            let message = self.cleaned_page(id, kind, message);
            return self.deliver(now, upstream, id, &message);
        }
        self.remember_tasks(upstream, &message);
        self.note_round(now, id, &message);
        if let Some(message) = self.start_shaping(now, upstream, id, message) {
            self.deliver(now, upstream, id, &message);
        }
    }

    /// Sends a server's answer to the client in the client's spelling and era.
    pub(super) fn deliver(
        &mut self,
        now: Instant,
        upstream: UpstreamId,
        id: ExchangeId,
        message: &Message,
    ) {
        self.count_cost(id, message);
        if let Some(exchange) = self.exchanges.get_mut(&id) {
            exchange.measure.ends_as(Outcome::of(message));
        }
        let is_hit = self
            .exchanges
            .get(&id)
            .is_some_and(|exchange| matches!(exchange.cache, Part::Hit { .. }));
        self.audit_answer(id, message, is_hit);
        if is_hit {
            self.trace_hit(id);
        }
        let help = self.help_edit(upstream, id, message);
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        // The connection may be gone by the time its answer is shaped.
        let server_era = match (&exchange.answered, self.upstreams.get(&upstream)) {
            (Some(answered), _) => answered.era,
            (None, Some(record)) => record.era(),
            (None, None) => exchange.era,
        };
        let mut edits = Vec::new();
        if let Some(span) = message.span(EnvelopeKey::Id)
            && message.raw()[span.clone()] != exchange.request_id.raw()[..]
        {
            edits.push(Edit {
                range: span,
                with: exchange.request_id.raw().clone(),
            });
        }
        let method_name = exchange.request.method();
        let mut status = 200;
        if let Some(span) = message.span(EnvelopeKey::Result) {
            match (server_era, exchange.era) {
                (Era::Legacy, Era::Modern) => {
                    let has = |name: &str| message.body_span(name).is_some();
                    edits.extend(result::to_modern(message.raw(), span, method_name, has));
                }
                (Era::Modern, Era::Legacy) if method_name == method::TOOLS_CALL => {
                    edits.extend(result::call_to_legacy(
                        message.raw(),
                        span,
                        &exchange.version,
                    ));
                }
                (Era::Modern, Era::Legacy) => {
                    edits.extend(result::to_legacy(message.raw(), span));
                }
                _ => {}
            }
        } else if exchange.era == Era::Modern {
            let code = error_code(message).unwrap_or_default();
            status = error::http_status(code);
            // Modern peers must not see the old code for a missing resource.
            if code == error::RESOURCE_NOT_FOUND
                && let Some(span) = message.body_span("code")
            {
                edits.push(Edit {
                    range: span,
                    with: Bytes::from_static(b"-32602"),
                });
            }
        }
        if method_name == method::LISTEN
            && let Some(span) = message.meta_span(meta::SUBSCRIPTION_ID)
        {
            edits.push(Edit {
                range: span,
                with: exchange.request_id.raw().clone(),
            });
        }
        // Content may be rewritten as a whole for older clients; help has no place in it then.
        let help = help.filter(|help| {
            let at = help.range.start;
            !edits
                .iter()
                .any(|edit| edit.range.start < help.range.end && at < edit.range.end)
        });
        edits.extend(help);
        let hit = self.hit_edits(id, message, &edits);
        edits.extend(hit);
        let out = splice(message.raw(), edits);
        self.answer(now, id, out, status);
    }

    pub(super) fn remember_tasks(&mut self, upstream: UpstreamId, message: &Message) {
        let task = message
            .body("task")
            .and_then(|task| members::get_text(task, "taskId"))
            .or_else(|| message.body_text("taskId"));
        if let Some(task) = task {
            let record = &self.upstreams[&upstream];
            let (server, set) = (record.server, record.set);
            if let Some(set) = self.sets.get_mut(&set) {
                set.names.remember_task(&task, server);
            }
        }
    }

    /// After a header mismatch: reads the list again and sends once more with headers from it.
    pub(super) fn renew_headers(
        &mut self,
        now: Instant,
        upstream: UpstreamId,
        id: ExchangeId,
    ) -> bool {
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return false;
        };
        if exchange.headers_renewed
            || exchange.request.method() != method::TOOLS_CALL
            || self.upstreams[&upstream].era() != Era::Modern
        {
            return false;
        }
        exchange.headers_renewed = true;
        let server = self.server_name(upstream);
        self.note(
            NoteLevel::Info,
            &server,
            "the server refused mirrored headers; its tool list is read again",
        );
        self.fetch_list(now, upstream, ListKind::Tools);
        if let Some(record) = self.upstreams.get_mut(&upstream) {
            record.list_mut(ListKind::Tools).resend.push(id);
        }
        true
    }

    /// Answers with an error object of a server as it came.
    pub(super) fn answer_raw_error(&mut self, now: Instant, id: ExchangeId, raw: &Bytes) {
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        let mut head = b"{\"jsonrpc\":\"2.0\",\"id\":".to_vec();
        head.extend_from_slice(exchange.request_id.raw());
        head.extend_from_slice(b",\"error\":");
        if let Some(exchange) = self.exchanges.get_mut(&id) {
            exchange
                .measure
                .fails_with(crate::jsonrpc::error::INTERNAL_ERROR);
        }
        let mut message = Outgoing::from(head);
        message.push(raw.clone());
        message.push(Bytes::from_static(b"}"));
        self.answer(now, id, message, 200);
    }
}

/// What servers are told of a client, as raw JSON.
pub(super) struct ClientFacts {
    pub(super) capabilities: String,
    pub(super) info: String,
    /// Hops of ours downstream of us.
    pub(super) hops: u32,
}

impl ClientFacts {
    /// Returns the members of a modern request's `_meta`.
    pub(super) fn meta(&self, log_level: Option<&Bytes>) -> Vec<(&'static str, Bytes)> {
        let mut set = vec![
            (
                meta::PROTOCOL_VERSION,
                Bytes::from(text::to_string(version::MODERN)),
            ),
            (meta::CLIENT_INFO, Bytes::from(self.info.clone())),
            (
                meta::CLIENT_CAPABILITIES,
                Bytes::from(self.capabilities.clone()),
            ),
        ];
        if let Some(level) = log_level {
            set.push((meta::LOG_LEVEL, level.clone()));
        }
        set
    }
}

/// Returns the code of an error response.
pub(super) fn error_code(message: &Message) -> Option<i64> {
    if !matches!(message.kind(), Kind::ErrorResponse(_)) {
        return None;
    }
    std::str::from_utf8(message.body("code")?)
        .ok()?
        .parse()
        .ok()
}

/// Returns the sentence of an error response.
pub(super) fn error_text(message: &Message) -> String {
    message.body_text("message").unwrap_or_default()
}

/// Returns the error object of an error response as one of ours.
pub(super) fn error_object(message: &Message) -> ErrorObject {
    let mut object = ErrorObject::new(
        error_code(message).unwrap_or(crate::jsonrpc::error::INTERNAL_ERROR),
        error_text(message),
    );
    object.data = message
        .body("data")
        .map(|data| String::from_utf8_lossy(data).into_owned());
    object
}

/// Returns the announcement of one hop more.
fn next_hop(request: &Message) -> Bytes {
    let before = request
        .meta(meta::HOP)
        .and_then(|raw| std::str::from_utf8(raw).ok()?.parse::<u32>().ok())
        .unwrap_or(0);
    Bytes::from(before.saturating_add(1).to_string())
}

/// The edits that turn a client's request into the one its server gets.
fn request_edits(
    exchange: &Exchange,
    server_era: Era,
    id: &RequestId,
    token: Option<&Bytes>,
    client: &ClientFacts,
    log_level: Option<&Bytes>,
    added: &Injection,
) -> Vec<Edit> {
    let message = &exchange.request;
    let raw = message.raw();
    let mut edits = Vec::new();
    if *id != exchange.request_id
        && let Some(range) = message.span(EnvelopeKey::Id)
    {
        edits.push(Edit {
            range,
            with: id.raw().clone(),
        });
    }
    if let Some(real) = &exchange.real_name
        && let Some(range) = name_span(message)
    {
        edits.push(Edit {
            range,
            with: text::to_string(real).into(),
        });
    }
    if let (Some(sent), Some(own)) = (token, &exchange.progress_token)
        && sent != own
        && let Some(range) = message.meta_span(meta::PROGRESS_TOKEN)
    {
        edits.push(Edit {
            range,
            with: sent.clone(),
        });
    }
    let (mut meta_set, mut meta_remove): (Vec<(&str, Bytes)>, Vec<&str>) =
        match (exchange.era, server_era) {
            (Era::Legacy, Era::Modern) => (client.meta(log_level), Vec::new()),
            (Era::Modern, Era::Legacy) => (Vec::new(), meta::MODERN_REQUEST.to_vec()),
            _ => (Vec::new(), Vec::new()),
        };
    meta_set.extend(added.meta.iter().cloned());
    meta_remove.extend(&added.remove);
    let mut params_set: Vec<(&str, Bytes)> = exchange
        .extra_params
        .iter()
        .map(|(name, value)| (*name, value.clone()))
        .collect();
    let mut params_remove: Vec<&str> = exchange.remove_params.clone();
    let Some(params) = message.span(EnvelopeKey::Params) else {
        if !meta_set.is_empty() || !params_set.is_empty() {
            if !meta_set.is_empty() {
                params_set.push(("_meta", object_of(&meta_set)));
            }
            let mut with = b",\"params\":".to_vec();
            with.extend_from_slice(&object_of(&params_set));
            let end = raw.len() - 1;
            edits.push(Edit {
                range: end..end,
                with: with.into(),
            });
        }
        return edits;
    };
    match message.body_span("_meta") {
        Some(range) if raw[range.clone()].first() == Some(&b'{') => {
            let text = &raw[range.clone()];
            let all_go = !meta_remove.is_empty()
                && meta_set.is_empty()
                && members::members(text)
                    .iter()
                    .all(|m| meta_remove.contains(&&*m.name(text)));
            if all_go {
                params_remove.push("_meta");
            } else {
                edits.extend(edit_object(raw, range, &meta_remove, &meta_set));
            }
        }
        _ if !meta_set.is_empty() => params_set.push(("_meta", object_of(&meta_set))),
        _ => {}
    }
    if !params_set.is_empty() || !params_remove.is_empty() {
        // Members whose inside is edited above stay out of this.
        edits.extend(edit_object(raw, params, &params_remove, &params_set));
    }
    edits
}

fn name_span(message: &Message) -> Option<std::ops::Range<usize>> {
    if message.method() == method::COMPLETE {
        let outer = message.body_span("ref")?;
        let inner = members::member(&message.raw()[outer.clone()], "name")?;
        return Some(outer.start + inner.start..outer.start + inner.end);
    }
    message.body_span(method::name_member(message.method())?)
}

/// Renders raw members as an object.
pub(super) fn object_of(set: &[(&str, Bytes)]) -> Bytes {
    let mut out = vec![b'{'];
    for (index, (name, value)) in set.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        text::push_string(&mut out, name);
        out.push(b':');
        out.extend_from_slice(value);
    }
    out.push(b'}');
    out.into()
}
