//! Spans of requests that are nobody's but ours: handshakes with servers, and lists read for all clients. No
//! client's request is above them, so each begins a trace.

use std::time::Instant;

use bytes::Bytes;

use crate::jsonrpc::id::{IdKey, RequestId};
use crate::jsonrpc::members;
use crate::jsonrpc::text;
use crate::jsonrpc::write;
use crate::mcp::trace::{TRACEPARENT, TraceContext};
use crate::upstream::{Purpose, UpstreamId};

use super::super::Hub;
use super::super::action::Action;
use super::super::forward::object_of;
use super::super::measure::{OTHER, Outcome, method_name};
use super::{Side, Span, known_version, shown};

/// A request of ours that a server has.
#[derive(Debug)]
pub(in super::super) struct OwnSent {
    context: TraceContext,
    method: &'static str,
    id: String,
    at: Instant,
}

impl Hub {
    /// Sends a request of our own as a span.
    pub(in super::super) fn send_own_traced(
        &mut self,
        now: Instant,
        upstream: UpstreamId,
        purpose: Purpose,
        method_name_sent: &str,
        params: &Bytes,
        wanted: Option<&RequestId>,
    ) {
        let Some(settings) = self.settings.trace else {
            self.send_own(upstream, purpose, method_name_sent, params, wanted);
            return;
        };
        let trace_id = self.trace_bits();
        let is_sampled = settings.sampler.samples(None, trace_id);
        let context = TraceContext::root(trace_id, self.span_id(), is_sampled);
        let params = match settings.propagates {
            true => with_context(params, context),
            false => params.clone(),
        };
        let id = self.send_own(upstream, purpose, method_name_sent, &params, wanted);
        if let Some(id) = id.filter(|_| is_sampled) {
            let sent = OwnSent {
                context,
                method: method_name(method_name_sent),
                id: shown(&id),
                at: now,
            };
            self.own_sent.insert((upstream, id.key()), sent);
        }
    }

    /// Ends the span of a request of our own, if this is the id of one.
    pub(in super::super) fn trace_own_answered(
        &mut self,
        now: Instant,
        upstream: UpstreamId,
        id: &IdKey,
        outcome: Outcome,
    ) {
        if self.own_sent.is_empty() {
            return;
        }
        if let Some(sent) = self.own_sent.remove(&(upstream, id.clone())) {
            let record = self.upstreams.get(&upstream);
            let handshake = record.and_then(|record| record.handshake.as_ref());
            let span = Span {
                side: Side::Client,
                context: sent.context,
                parent: None,
                link: None,
                state: None,
                began: sent.at,
                ended: now,
                method: sent.method,
                tool: None,
                prompt: None,
                request_id: sent.id,
                session: None,
                version: handshake.map_or(OTHER, |handshake| known_version(&handshake.version)),
                server: self.server_name(upstream),
                outcome,
                is_hit: false,
                tokens: None,
            };
            self.actions.push_back(Action::Span(Box::new(span)));
        }
    }

    /// Ends those of a connection that is gone.
    pub(in super::super) fn trace_own_lost(&mut self, now: Instant, upstream: UpstreamId) {
        let lost = Outcome::Error(crate::mcp::error::ProxyError::UpstreamLost.code());
        let keys = self.own_sent.keys();
        let ids: Vec<IdKey> = keys
            .filter(|(of, _)| *of == upstream)
            .map(|(_, id)| id.clone())
            .collect();
        for id in ids {
            self.trace_own_answered(now, upstream, &id, lost);
        }
    }
}

fn with_context(params: &Bytes, context: TraceContext) -> Bytes {
    let context = Bytes::from(text::to_string(&context.to_string()));
    let edits = match members::member(params, "_meta") {
        Some(range) if params[range.clone()].starts_with(b"{") => {
            write::edit_object(params, range, &[], &[(TRACEPARENT, context)])
        }
        // What a client put there is not ours to mend.
        Some(_) => return params.clone(),
        None => write::edit_object(
            params,
            0..params.len(),
            &[],
            &[("_meta", object_of(&[(TRACEPARENT, context)]))],
        ),
    };
    write::splice(params, edits).to_bytes()
}
