//! Spans of requests: where each stands in its trace, and what is told of it when it is over. Pure; who
//! exports spans is outside. Nothing here is done, and nothing of a message is touched, unless the settings
//! ask for traces.
//!
//! A request of a client is a SERVER span, each time it is sent to a server a CLIENT span below it
//! (open-telemetry/semantic-conventions-genai, `docs/gen-ai/mcp.md`). The caller's context comes from
//! `params._meta`, else from the HTTP headers; what goes to a server carries ours in its stead, both in
//! `_meta` and, over HTTP, in the headers. Baggage goes on as it came.

mod own;
mod sampler;

use std::time::Instant;

use bytes::Bytes;

use crate::jsonrpc::id::RequestId;
use crate::jsonrpc::message::Message;
use crate::jsonrpc::scan::EnvelopeKey;
use crate::jsonrpc::text;
use crate::mcp::header::TRACE_BYTES;
use crate::mcp::method;
use crate::mcp::trace::{BAGGAGE, TRACEPARENT, TRACESTATE, TraceContext};
use crate::mcp::version;
use crate::session::Link;
use crate::upstream::UpstreamId;

use super::Hub;
use super::action::Action;
use super::exchange::{Exchange, ExchangeId};
use super::measure::{OTHER, Outcome, method_name};

pub(super) use own::OwnSent;
pub use sampler::Sampler;

/// Characters of a request's id that are told, at most; clients choose ids.
const ID_CHARS: usize = 128;

/// How traces are made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TraceSettings {
    /// Which are recorded.
    pub sampler: Sampler,
    /// Whether servers are told; else messages stay as they are.
    pub propagates: bool,
}

/// Who asks in a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// A client asks us.
    Server,
    /// We ask a server.
    Client,
}

/// A request that is over, for the record. No payload, no URI, no text that a peer could write freely but the
/// request's id, which is bounded.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Who asked.
    pub side: Side,
    /// Its own place in the trace.
    pub context: TraceContext,
    /// The span above it.
    pub parent: Option<TraceContext>,
    /// The context of the transport, where the message has another one.
    pub link: Option<TraceContext>,
    /// What tracing systems added to the caller's context, as it came.
    pub state: Option<String>,
    /// When it began.
    pub began: Instant,
    /// When it ended.
    pub ended: Instant,
    /// The method, or [`OTHER`].
    pub method: &'static str,
    /// The tool that was called, where its server lists it: by the name that clients see (SERVER), or by the
    /// server's own (CLIENT).
    pub tool: Option<String>,
    /// The prompt that a server gave.
    pub prompt: Option<String>,
    /// The id of the request.
    pub request_id: String,
    /// A keyed hash of the session's id: the id itself would let its reader in.
    pub session: Option<String>,
    /// The protocol version in which it was asked, or [`OTHER`].
    pub version: &'static str,
    /// The configured name of the server; empty where none had it.
    pub server: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether the result cache answered.
    pub is_hit: bool,
    /// Tokens of its result before and after shaping, where they were counted.
    pub tokens: Option<(u64, u64)>,
}

/// Where a request stands in its trace, while it lasts.
#[derive(Debug)]
pub struct Traced {
    context: TraceContext,
    parent: Option<TraceContext>,
    link: Option<TraceContext>,
    state: Option<String>,
    baggage: Option<String>,
    /// Whether the caller's context came in `_meta`.
    is_in_meta: bool,
    began: Instant,
    sent: Vec<Sent>,
    is_hit: bool,
    tokens: Option<(u64, u64)>,
}

/// A request that a server has.
#[derive(Debug)]
struct Sent {
    upstream: UpstreamId,
    context: TraceContext,
    id: String,
    at: Instant,
}

/// What is written into a request to a server.
#[derive(Debug, Default)]
pub(super) struct Injection {
    /// Members of `_meta` that are set.
    pub(super) meta: Vec<(&'static str, Bytes)>,
    /// Members of `_meta` that are taken out: they belong to a context that is not valid.
    pub(super) remove: Vec<&'static str>,
    /// HTTP headers.
    pub(super) headers: Vec<(String, String)>,
}

impl Hub {
    fn span_id(&mut self) -> [u8; 8] {
        let [id @ .., _, _, _, _, _, _, _, _] = self.trace_bits();
        id
    }

    /// Returns 128 bits that are as good as random and in no half zero.
    fn trace_bits(&mut self) -> [u8; 16] {
        loop {
            let n = self.next_number();
            let mut hasher = blake3::Hasher::new_keyed(&self.secret);
            hasher.update(b"trace");
            hasher.update(&n.to_le_bytes());
            let mut bits = [0; 16];
            bits.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
            if bits[..8] != [0; 8] && bits[8..] != [0; 8] {
                return bits;
            }
        }
    }

    /// Begins the span of a request that was accepted.
    pub(super) fn trace_start(&mut self, now: Instant, id: ExchangeId) {
        let Some(settings) = self.settings.trace else {
            return;
        };
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        let request = &exchange.request;
        let (in_meta, in_header) = incoming(exchange);
        // Headers are bounded where they are read.
        let header = |name: &str| exchange.trace_header(name).map(str::to_owned);
        let parent = in_meta.or(in_header);
        let state = match (in_meta, in_header) {
            (Some(_), _) => bounded(request.meta_text(TRACESTATE)),
            (None, Some(_)) => header(TRACESTATE),
            (None, None) => None,
        };
        let baggage = bounded(request.meta_text(BAGGAGE)).or_else(|| header(BAGGAGE));
        let link = in_header.filter(|context| in_meta.is_some() && in_meta != Some(*context));
        let trace_id = parent.map_or_else(|| self.trace_bits(), |parent| parent.trace_id);
        let is_sampled = settings.sampler.samples(parent, trace_id);
        let span_id = self.span_id();
        let context = match parent {
            Some(parent) => parent.child(span_id, is_sampled),
            None => TraceContext::root(trace_id, span_id, is_sampled),
        };
        if let Some(exchange) = self.exchanges.get_mut(&id) {
            exchange.traced = Some(Box::new(Traced {
                context,
                parent,
                link,
                state,
                baggage,
                is_in_meta: in_meta.is_some(),
                began: now,
                sent: Vec::new(),
                is_hit: false,
                tokens: None,
            }));
        }
    }

    /// Notes that the result cache answered.
    pub(super) fn trace_hit(&mut self, id: ExchangeId) {
        if let Some(traced) = self.traced(id) {
            traced.is_hit = true;
        }
    }

    /// Notes tokens of a result.
    pub(super) fn trace_tokens(&mut self, id: ExchangeId, before: u64, after: u64) {
        if let Some(traced) = self.traced(id) {
            traced.tokens = Some((before, after));
        }
    }

    fn traced(&mut self, id: ExchangeId) -> Option<&mut Traced> {
        self.exchanges.get_mut(&id)?.traced.as_deref_mut()
    }

    /// Begins the span of a request that goes to a server now, and returns what to write into it.
    pub(super) fn trace_sent(
        &mut self,
        now: Instant,
        id: ExchangeId,
        upstream: UpstreamId,
        request_id: &RequestId,
    ) -> Option<Injection> {
        let settings = self.settings.trace?;
        let above = self.traced(id)?.context;
        let context = above.child(self.span_id(), above.is_sampled());
        // One that was lost on its way, and is sent anew, has no answer of its own.
        let lost = Outcome::Error(crate::mcp::error::ProxyError::UpstreamLost.code());
        self.trace_answered(now, id, upstream, lost);
        let traced = self.traced(id)?;
        traced.sent.push(Sent {
            upstream,
            context,
            id: shown(request_id),
            at: now,
        });
        let exchange = &self.exchanges[&id];
        (settings.propagates && can_carry(&exchange.request))
            .then(|| injection(exchange, context))
            .flatten()
    }

    /// Ends the span of a request that a server had.
    pub(super) fn trace_answered(
        &mut self,
        now: Instant,
        id: ExchangeId,
        upstream: UpstreamId,
        outcome: Outcome,
    ) {
        let Some(traced) = self.traced(id) else {
            return;
        };
        let Some(at) = traced
            .sent
            .iter()
            .position(|sent| sent.upstream == upstream)
        else {
            return;
        };
        let sent = traced.sent.remove(at);
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        if let Some(span) = self.client_span(now, exchange, &sent, outcome) {
            self.actions.push_back(Action::Span(Box::new(span)));
        }
    }

    fn client_span(
        &self,
        now: Instant,
        exchange: &Exchange,
        sent: &Sent,
        outcome: Outcome,
    ) -> Option<Span> {
        let above = exchange.traced.as_ref()?.context;
        if !sent.context.is_sampled() {
            return None;
        }
        let method = method_name(exchange.request.method());
        let upstream = self.upstreams.get(&sent.upstream);
        let handshake = upstream.and_then(|record| record.handshake.as_ref());
        Some(Span {
            side: Side::Client,
            context: sent.context,
            parent: Some(above),
            link: None,
            state: exchange.traced.as_ref()?.state.clone(),
            began: sent.at,
            ended: now,
            method,
            tool: self.listed_tool(exchange, sent.upstream, true),
            prompt: prompt(exchange, outcome, true),
            request_id: sent.id.clone(),
            session: None,
            version: handshake.map_or(OTHER, |handshake| known_version(&handshake.version)),
            server: self.server_name(sent.upstream),
            outcome,
            is_hit: false,
            tokens: None,
        })
    }

    /// Tells the spans of a request that is over and forgotten, with those that no server answered.
    pub(super) fn trace_end(&mut self, now: Instant, exchange: &Exchange) {
        let Some(traced) = &exchange.traced else {
            return;
        };
        if !traced.context.is_sampled() {
            return;
        }
        for sent in &traced.sent {
            if let Some(span) = self.client_span(now, exchange, sent, Outcome::Cancelled) {
                self.actions.push_back(Action::Span(Box::new(span)));
            }
        }
        let outcome = exchange.measure.outcome();
        let span = Span {
            side: Side::Server,
            context: traced.context,
            parent: traced.parent,
            link: traced.link,
            state: traced.state.clone(),
            began: traced.began,
            ended: now,
            method: method_name(exchange.request.method()),
            tool: exchange
                .upstream
                .and_then(|upstream| self.listed_tool(exchange, upstream, false)),
            prompt: prompt(exchange, outcome, false),
            request_id: shown(&exchange.request_id),
            session: self.session_mark(exchange),
            version: known_version(&exchange.version),
            server: exchange
                .upstream
                .map(|upstream| self.server_name(upstream))
                .unwrap_or_default(),
            outcome,
            is_hit: traced.is_hit,
            tokens: traced.tokens,
        };
        self.actions.push_back(Action::Span(Box::new(span)));
    }

    /// Names come from definitions of servers, never from what a client wrote.
    fn listed_tool(&self, exchange: &Exchange, upstream: UpstreamId, own: bool) -> Option<String> {
        if exchange.request.method() != method::TOOLS_CALL {
            return None;
        }
        let shown = exchange.counted_as.as_ref()?;
        let real = exchange.real_name.as_ref().unwrap_or(shown);
        self.original_tool(upstream, real)?;
        Some(if own { real.clone() } else { shown.clone() })
    }

    fn session_mark(&self, exchange: &Exchange) -> Option<String> {
        let Link::HttpSession(key) = &self.sessions.get(&exchange.session)?.link else {
            return None;
        };
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        hasher.update(b"trace session");
        hasher.update(key.as_bytes());
        Some(hasher.finalize().to_hex()[..32].to_owned())
    }
}

/// A name that a server answered to is one of its own; any other is only what a client wrote.
fn prompt(exchange: &Exchange, outcome: Outcome, own: bool) -> Option<String> {
    if exchange.request.method() != method::PROMPTS_GET || outcome != Outcome::Success {
        return None;
    }
    match (&exchange.real_name, own) {
        (Some(real), true) => Some(real.clone()),
        _ => exchange.request.body_text("name"),
    }
}

/// Returns a protocol version as one of few texts.
pub(super) fn known_version(text: &str) -> &'static str {
    std::iter::once(version::MODERN)
        .chain(version::LEGACY)
        .find(|known| *known == text)
        .unwrap_or(OTHER)
}

fn shown(id: &RequestId) -> String {
    let raw = id.raw();
    let text = text::string_value(raw).unwrap_or_else(|| String::from_utf8_lossy(raw).into_owned());
    text.chars().take(ID_CHARS).collect()
}

/// Reads the caller's context: from the message, and from the transport. The former counts.
fn incoming(exchange: &Exchange) -> (Option<TraceContext>, Option<TraceContext>) {
    let in_meta = exchange.request.meta_text(TRACEPARENT);
    let in_header = exchange.trace_header(TRACEPARENT);
    (
        in_meta.and_then(|text| TraceContext::parse(&text)),
        in_header.and_then(TraceContext::parse),
    )
}

/// Returns the id of the trace that a request is part of.
pub(super) fn trace_id(exchange: &Exchange) -> Option<String> {
    let (in_meta, in_header) = incoming(exchange);
    let own = exchange.traced.as_ref().map(|traced| traced.context);
    own.or(in_meta)
        .or(in_header)
        .map(|known| known.trace_text())
}

fn bounded(text: Option<String>) -> Option<String> {
    text.filter(|text| text.len() <= TRACE_BYTES)
}

/// Whether a request has a place for a context: what its parameters are otherwise is not ours to mend.
fn can_carry(request: &Message) -> bool {
    let is_object = |raw: &[u8]| raw.first() == Some(&b'{');
    request.span(EnvelopeKey::Params).is_none()
        || (request.params().is_some_and(is_object) && request.body("_meta").is_none_or(is_object))
}

fn injection(exchange: &Exchange, context: TraceContext) -> Option<Injection> {
    let traced = exchange.traced.as_ref()?;
    let parent = context.to_string();
    let quoted = |value: &str| Bytes::from(text::to_string(value));
    let mut injection = Injection {
        meta: vec![(TRACEPARENT, quoted(&parent))],
        remove: Vec::new(),
        headers: vec![(TRACEPARENT.to_owned(), parent)],
    };
    let has = |name: &str| exchange.request.meta(name).is_some();
    match &traced.state {
        Some(state) => {
            if !traced.is_in_meta {
                injection.meta.push((TRACESTATE, quoted(state)));
            }
            injection
                .headers
                .push((TRACESTATE.to_owned(), state.clone()));
        }
        // What stands there belongs to no valid context (W3C Trace Context 3.3).
        None if !traced.is_in_meta && has(TRACESTATE) => injection.remove.push(TRACESTATE),
        None => {}
    }
    if let Some(baggage) = &traced.baggage {
        if !has(BAGGAGE) {
            injection.meta.push((BAGGAGE, quoted(baggage)));
        }
        injection
            .headers
            .push((BAGGAGE.to_owned(), baggage.clone()));
    }
    Some(injection)
}
