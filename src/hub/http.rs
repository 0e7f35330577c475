//! What HTTP adds: sessions by header, one stream a request, status codes, headers that mirror the body.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::jsonrpc::canonical::canonical;
use crate::jsonrpc::error::{ErrorObject, INVALID_REQUEST};
use crate::jsonrpc::id::RequestId;
use crate::jsonrpc::members;
use crate::jsonrpc::message::{Kind, Malformed, Message, Parsed};
use crate::jsonrpc::write;
use crate::mcp::error;
use crate::mcp::header::{self, HeaderParam};
use crate::mcp::meta;
use crate::mcp::method;
use crate::mcp::version::{self, Era};
use crate::session::{Link, Principal, SessionId, StreamId};
use crate::surface::ladder::Rung;

use super::Hub;
use super::action::{Action, HttpHead};
use super::exchange::ExchangeId;
use super::naming::NameKind;
use super::rescue::Trouble;
use super::timers::TimerKey;

/// How long a legacy call goes on after its client's stream broke (not a cancel before 2026-07-28).
const DETACHED: std::time::Duration = std::time::Duration::from_secs(60);

impl Hub {
    /// Takes the body of a POST.
    pub fn handle_http_post(
        &mut self,
        now: Instant,
        stream: StreamId,
        head: &HttpHead,
        parsed: Result<Parsed, Malformed>,
    ) {
        let id = match &parsed {
            Ok(Parsed::Message(message)) => request_id(message),
            Ok(Parsed::Batch(_)) => None,
            Err(malformed) => malformed.id.as_ref(),
        };
        if self.refuse_profile(stream, head, id) {
            return;
        }
        let parsed = match parsed {
            Ok(parsed) => parsed,
            Err(malformed) => {
                self.counters.refused += 1;
                let answer = write::error_response(malformed.id.as_ref(), &malformed.error());
                return self.status(stream, 400, Some(answer));
            }
        };
        let message = match parsed {
            Parsed::Message(message) => message,
            Parsed::Batch(parts) => {
                return match self.known_session(now, stream, head) {
                    Some(session) => {
                        self.streams.insert(stream, session);
                        self.handle_frame(now, session, stream, Ok(Parsed::Batch(parts)));
                    }
                    None => self.unknown_session(stream, head, None),
                };
            }
        };
        let in_header = head.protocol_version.as_deref();
        let in_meta = message.meta_text(meta::PROTOCOL_VERSION);
        let is_modern = in_meta.is_some()
            || in_header.is_some_and(|version| version::era_of(version) == Era::Modern);
        if is_modern {
            return self.modern_post(now, stream, head, message, in_meta.as_deref());
        }
        if let Some(version) = in_header
            && !version::LEGACY.contains(&version)
        {
            let error = ErrorObject::new(
                INVALID_REQUEST,
                format!("the header MCP-Protocol-Version names `{version}`, which is not known"),
            );
            let answer = write::error_response(request_id(&message), &error);
            return self.status(stream, 400, Some(answer));
        }
        if message.method() == method::INITIALIZE && matches!(message.kind(), Kind::Request(_)) {
            return self.open_http_session(now, stream, head, message);
        }
        let Some(session) = self.known_session(now, stream, head) else {
            return self.unknown_session(stream, head, Some(&message));
        };
        self.streams.insert(stream, session);
        self.handle_message(now, session, stream, message, None, Some(head));
    }

    pub(super) fn status(
        &mut self,
        stream: StreamId,
        status: u16,
        body: Option<crate::jsonrpc::write::Outgoing>,
    ) {
        self.streams.remove(&stream);
        self.actions.push_back(Action::Status {
            stream,
            status,
            body,
        });
    }

    /// Returns the session a header names, if it belongs to this principal and was opened on this path.
    fn known_session(
        &mut self,
        now: Instant,
        _stream: StreamId,
        head: &HttpHead,
    ) -> Option<SessionId> {
        let session = *self.http_sessions.get(head.session.as_deref()?)?;
        let principal = self.principal_of_head(head);
        let record = self.sessions.get(&session)?;
        if record.profile != head.profile {
            return None;
        }
        let is_same = match &record.principal {
            // The id of its session is all that it is known by.
            Principal::Session(_) => principal.is_none(),
            other => principal.as_ref() == Some(other),
        };
        if !is_same && !self.takes_token(session, principal) {
            return None;
        }
        let record = self.sessions.get_mut(&session)?;
        record.last_seen = now;
        let idle = self.settings.timeouts.session_idle;
        if let Some(at) = now.checked_add(idle) {
            self.timers.set(TimerKey::Session(session), at);
        }
        self.note_authorization(session, head);
        Some(session)
    }

    /// A session id that we do not know: 404 tells the client to start again; none at all is a mistake.
    fn unknown_session(&mut self, stream: StreamId, head: &HttpHead, message: Option<&Message>) {
        let (status, text) = if head.session.is_some() {
            (
                404,
                "unknown session; send `initialize` again without Mcp-Session-Id",
            )
        } else {
            (
                400,
                "no session: send `initialize` first and its Mcp-Session-Id with every request, or speak protocol version 2026-07-28",
            )
        };
        let error = ErrorObject::new(INVALID_REQUEST, text);
        let answer = write::error_response(message.and_then(request_id), &error);
        self.status(stream, status, Some(answer));
    }

    fn principal_of(&mut self, head: &HttpHead) -> Principal {
        match self.principal_of_head(head) {
            Some(principal) => principal,
            None => Principal::Session(self.next_number()),
        }
    }

    fn open_http_session(
        &mut self,
        now: Instant,
        stream: StreamId,
        head: &HttpHead,
        message: Message,
    ) {
        let is_short = self.is_short_of_memory();
        if self.draining_since.is_some()
            || is_short
            || self.http_sessions.len() >= self.settings.limits.sessions
        {
            let trouble = if self.draining_since.is_some() {
                Trouble::Draining
            } else {
                self.counters.busy += 1;
                Trouble::Overloaded {
                    what: if is_short {
                        "memory is short"
                    } else {
                        "too many sessions are open"
                    },
                }
            };
            self.retry_later(stream);
            let answer = write::error_response(request_id(&message), &trouble.error(""));
            return self.status(stream, 503, Some(answer));
        }
        if message
            .params()
            .is_none_or(|params| !params.starts_with(b"{"))
        {
            let error = ErrorObject::new(
                crate::jsonrpc::error::INVALID_PARAMS,
                "`initialize` needs `params`",
            );
            let answer = write::error_response(request_id(&message), &error);
            return self.status(stream, 400, Some(answer));
        }
        let principal = self.principal_of(head);
        let key = self.unguessable();
        let session = self.open_session(now, Link::HttpSession(key.clone()), principal);
        self.http_sessions.insert(key.clone(), session);
        if let Some(record) = self.sessions.get_mut(&session) {
            record.profile.clone_from(&head.profile);
        }
        self.streams.insert(stream, session);
        self.note_authorization(session, head);
        if let Some(at) = now.checked_add(self.settings.timeouts.session_idle) {
            self.timers.set(TimerKey::Session(session), at);
        }
        self.handle_message(now, session, stream, message, None, Some(head));
    }

    fn modern_post(
        &mut self,
        now: Instant,
        stream: StreamId,
        head: &HttpHead,
        message: Message,
        in_meta: Option<&str>,
    ) {
        let refuse = |hub: &mut Self, error: &ErrorObject| {
            hub.counters.refused += 1;
            let answer = write::error_response(request_id(&message), error);
            hub.status(stream, 400, Some(answer));
        };
        match message.kind() {
            Kind::Notification => return self.status(stream, 202, None),
            Kind::Response(_) | Kind::ErrorResponse(_) => {
                let error = ErrorObject::new(
                    INVALID_REQUEST,
                    "clients send no responses in protocol version 2026-07-28",
                );
                return refuse(self, &error);
            }
            Kind::Request(_) => {}
        }
        if let Err(error) = check_mirrors(head, &message, in_meta) {
            return refuse(self, &error);
        }
        if let Some(version) = in_meta
            && version != version::MODERN
        {
            let error = self.unsupported(version);
            return refuse(self, &error);
        }
        let Some(capabilities) = message.meta(meta::CLIENT_CAPABILITIES) else {
            // The missing key is named by the common check.
            let error = ErrorObject::new(
                crate::jsonrpc::error::INVALID_PARAMS,
                format!(
                    "a request of this protocol version needs `params._meta[\"{}\"]`",
                    if in_meta.is_none() {
                        meta::PROTOCOL_VERSION
                    } else {
                        meta::CLIENT_CAPABILITIES
                    }
                ),
            );
            return refuse(self, &error);
        };
        let text = canonical(capabilities, &self.settings.limits.message);
        let digest = *blake3::hash(text.as_deref().unwrap_or(capabilities)).as_bytes();
        let principal = self.principal_of(head);
        let kind = (principal.clone(), digest, head.profile.clone());
        let session = match self.http_requests.get(&kind) {
            Some(session) => *session,
            None => {
                if self.http_requests.len() >= self.settings.limits.sessions {
                    let trouble = Trouble::Overloaded {
                        what: "too many clients are connected",
                    };
                    self.counters.busy += 1;
                    self.retry_later(stream);
                    let answer = write::error_response(request_id(&message), &trouble.error(""));
                    return self.status(stream, 503, Some(answer));
                }
                let session = self.open_session(now, Link::HttpRequests, principal);
                if let Some(record) = self.sessions.get_mut(&session) {
                    record.profile.clone_from(&head.profile);
                }
                self.http_requests.insert(kind, session);
                session
            }
        };
        if let Some(at) = now.checked_add(self.settings.timeouts.session_idle) {
            self.timers.set(TimerKey::Session(session), at);
        }
        self.note_authorization(session, head);
        if let Err(error) = self.check_params(session, head, &message) {
            return refuse(self, &error);
        }
        self.streams.insert(stream, session);
        self.handle_message(now, session, stream, message, None, Some(head));
    }

    /// `Mcp-Param-*` must say what the arguments say, where the tool's definition is known.
    fn check_params(
        &self,
        session: SessionId,
        head: &HttpHead,
        message: &Message,
    ) -> Result<(), ErrorObject> {
        if message.method() != method::TOOLS_CALL {
            return Ok(());
        }
        let Some(name) = message.body_text("name") else {
            return Ok(());
        };
        // A client that was not shown the tool does not know which arguments it has to mirror.
        let was_hidden = self
            .seen_surface(session, Era::Modern)
            .and_then(|seen| seen.made.tool(&name))
            .is_some_and(|tool| tool.rung >= Rung::Dense);
        let target = match self.only_upstream(session) {
            Some(only) => Some((only, name)),
            None => self.resolve(session, NameKind::Tool, &name),
        };
        let Some(schema) = target.and_then(|(upstream, name)| self.input_schema(upstream, &name))
        else {
            return Ok(());
        };
        let mirrored: Vec<HeaderParam> = header::header_params(&schema);
        if mirrored.is_empty() {
            return Ok(());
        }
        let expected = header::request_headers(message.method(), message.params(), &mirrored);
        for param in &mirrored {
            let wanted = expected
                .iter()
                .find(|(name, _)| *name == param.header)
                .and_then(|(_, value)| header::decode(value));
            let got = match head.params.iter().find(|(name, _)| *name == param.header) {
                Some((_, value)) => match header::decode(value) {
                    Some(value) => Some(value),
                    None => return Err(mismatch(&param.header, "is not valid base64")),
                },
                None if was_hidden => continue,
                None => None,
            };
            let is_equal = match (&wanted, &got) {
                (Some(wanted), Some(got)) => {
                    wanted == got
                        || matches!(
                            (wanted.parse::<f64>(), got.parse::<f64>()),
                            (Ok(a), Ok(b)) if a == b
                        )
                }
                (None, None) => true,
                _ => false,
            };
            if !is_equal {
                return Err(mismatch(
                    &param.header,
                    "does not say what the arguments say",
                ));
            }
        }
        Ok(())
    }

    /// Takes a GET: the stream for messages of the server's own.
    pub fn handle_http_get(&mut self, now: Instant, stream: StreamId, head: &HttpHead) {
        if self.refuse_profile(stream, head, None) {
            return;
        }
        if head
            .protocol_version
            .as_deref()
            .is_some_and(|version| version::era_of(version) == Era::Modern)
        {
            return self.status(stream, 405, None);
        }
        let Some(session) = self.known_session(now, stream, head) else {
            if head.session.is_none() {
                // Without a session there is nothing to listen to.
                return self.status(stream, 405, None);
            }
            return self.unknown_session(stream, head, None);
        };
        let Some(record) = self.sessions.get_mut(&session) else {
            return;
        };
        let old = record.get_stream.replace(stream);
        let waiting = record.take_waiting();
        self.streams.insert(stream, session);
        if let Some(old) = old {
            self.streams.remove(&old);
            self.actions.push_back(Action::EndStream { stream: old });
        }
        self.actions.push_back(Action::StartStream { stream });
        for message in waiting {
            self.actions.push_back(Action::Send {
                stream,
                message,
                is_final: false,
                status: 200,
                is_droppable: false,
            });
        }
    }

    /// Takes a DELETE: the session is over.
    pub fn handle_http_delete(&mut self, now: Instant, stream: StreamId, head: &HttpHead) {
        if self.refuse_profile(stream, head, None) {
            return;
        }
        if head.session.is_none() {
            return self.status(stream, 405, None);
        }
        match self.known_session(now, stream, head) {
            Some(session) => {
                self.answer_open(now, session);
                self.close_session(now, session);
                self.status(stream, 200, None);
            }
            None => self.unknown_session(stream, head, None),
        }
    }

    /// Answers what a client still waits for, as it ends its session itself: each request has its one answer.
    fn answer_open(&mut self, now: Instant, session: SessionId) {
        let Some(record) = self.sessions.get(&session) else {
            return;
        };
        let ids: BTreeSet<ExchangeId> = record.in_flight.values().copied().collect();
        for id in ids {
            let Some(exchange) = self.exchanges.get(&id) else {
                continue;
            };
            let upstream = exchange.upstream;
            let may_have = match exchange.was_sent {
                true => "; the request may have run",
                false => "; the request was not sent",
            };
            self.abandon(now, id, None, "the client ended its session");
            let error = ErrorObject::new(
                INVALID_REQUEST,
                format!("the session was ended before the answer came{may_have}"),
            );
            self.fail(now, id, &error);
            if let Some(upstream) = upstream {
                self.retry_deferred(now, upstream);
            }
        }
    }

    /// A client's connection broke before its answer.
    pub fn handle_http_gone(&mut self, now: Instant, stream: StreamId) {
        let Some(session) = self.streams.remove(&stream) else {
            return;
        };
        if let Some(record) = self.sessions.get_mut(&session)
            && record.get_stream == Some(stream)
        {
            record.get_stream = None;
            return;
        }
        let ids: Vec<_> = self
            .sessions
            .get(&session)
            .into_iter()
            .flat_map(|record| &record.in_flight)
            .filter(|((of, _), _)| *of == stream)
            .filter_map(|(_, id)| Some((*id, self.exchanges.get(id)?.era)))
            .collect();
        for (id, era) in ids {
            match era {
                // Closing the stream is how modern clients cancel (MCP 2026-07-28 basic/patterns/cancellation).
                Era::Modern => self.cancel_exchange(now, id, "the client closed its stream"),
                Era::Legacy => {
                    if let Some(at) = now.checked_add(DETACHED) {
                        self.timers.set(TimerKey::Merge(id), at);
                    }
                }
            }
        }
    }

    /// An HTTP session was not heard of for long.
    pub(super) fn session_timeout(&mut self, now: Instant, session: SessionId) {
        let idle = self.settings.timeouts.session_idle;
        let Some(record) = self.sessions.get(&session) else {
            return;
        };
        let is_busy = !record.in_flight.is_empty() || record.get_stream.is_some();
        let due = record.last_seen + idle;
        if is_busy || due > now {
            let at = if due > now { due } else { now + idle };
            self.timers.set(TimerKey::Session(session), at);
            return;
        }
        self.close_session(now, session);
    }
}

/// The id that an error names: a request's. The id of a response is one of a server's question, and may be
/// that of another request of this client too.
fn request_id(message: &Message) -> Option<&RequestId> {
    match message.kind() {
        Kind::Request(id) => Some(id),
        _ => None,
    }
}

/// Headers of a modern request must be there and say what the body says (MCP 2026-07-28
/// basic/transports/streamable-http).
fn check_mirrors(
    head: &HttpHead,
    message: &Message,
    in_meta: Option<&str>,
) -> Result<(), ErrorObject> {
    match (head.protocol_version.as_deref(), in_meta) {
        (None, _) => return Err(mismatch("MCP-Protocol-Version", "is missing")),
        (Some(header), Some(body)) if header != body => {
            return Err(mismatch(
                "MCP-Protocol-Version",
                "does not say what `_meta` says",
            ));
        }
        _ => {}
    }
    match head.method.as_deref() {
        None => return Err(mismatch("Mcp-Method", "is missing")),
        Some(header) if header != message.method() => {
            return Err(mismatch("Mcp-Method", "does not say what the body says"));
        }
        _ => {}
    }
    let Some(member) = method::name_member(message.method()) else {
        return Ok(());
    };
    let Some(body) = message
        .params()
        .and_then(|params| members::get_text(params, member))
    else {
        return Ok(());
    };
    match head.name.as_deref().map(header::decode) {
        None => Err(mismatch("Mcp-Name", "is missing")),
        Some(None) => Err(mismatch("Mcp-Name", "is not valid base64")),
        Some(Some(header)) if header != body => {
            Err(mismatch("Mcp-Name", "does not say what the body says"))
        }
        _ => Ok(()),
    }
}

fn mismatch(header: &str, what: &str) -> ErrorObject {
    ErrorObject::new(
        error::HEADER_MISMATCH,
        format!("the header {header} {what}"),
    )
}
