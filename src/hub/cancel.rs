//! Requests that are given up: their servers are told, their clients get no answer.

use std::time::Instant;

use bytes::Bytes;

use crate::jsonrpc::id::RequestId;
use crate::jsonrpc::message::Message;
use crate::jsonrpc::text;
use crate::jsonrpc::write::{self, Edit, Outgoing, splice};
use crate::mcp::method::{self};
use crate::mcp::version::Era;
use crate::session::SessionId;
use crate::upstream::Purpose;

use super::Hub;
use super::action::Action;
use super::exchange::ExchangeId;
use super::measure::Outcome;

impl Hub {
    /// A client gives up a request.
    pub(super) fn client_cancelled(&mut self, now: Instant, session: SessionId, message: &Message) {
        let Some(wanted) = message
            .body("requestId")
            .and_then(|raw| RequestId::parse(Bytes::copy_from_slice(raw)))
        else {
            return;
        };
        let found = self.sessions.get(&session).and_then(|record| {
            record
                .in_flight
                .iter()
                .find(|((_, id), _)| *id == wanted)
                .map(|(_, exchange)| *exchange)
        });
        let Some(id) = found else {
            return;
        };
        if self.exchanges[&id].request.method() == method::INITIALIZE {
            return;
        }
        self.cancel_exchange_with(now, id, Some(message), "the client cancelled the request");
    }

    pub(super) fn cancel_exchange(&mut self, now: Instant, id: ExchangeId, reason: &str) {
        self.cancel_exchange_with(now, id, None, reason);
    }

    /// Gives an exchange up: its client gets no answer, its servers are told. `message` is the client's
    /// own notification, which is passed on as it is but for the id.
    pub(super) fn cancel_exchange_with(
        &mut self,
        now: Instant,
        id: ExchangeId,
        message: Option<&Message>,
        reason: &str,
    ) {
        self.abandon(now, id, message, reason);
        let Some(mut exchange) = self.forget(now, id) else {
            return;
        };
        if let Some(upstream) = exchange.upstream {
            self.retry_deferred(now, upstream);
        }
        exchange.measure.ends_as(Outcome::Cancelled);
        self.measure_request(now, &exchange);
        self.audit_end(now, &mut exchange, "cancelled");
        if exchange.request.method() == method::LISTEN {
            self.forget_listen(now, exchange.session, id);
        }
        if exchange.batch.is_some() {
            // A batch still owes an array; the cancelled call has no part in it.
            if let Some(batch) = exchange
                .batch
                .and_then(|batch| self.batches.get_mut(&batch))
            {
                batch.missing -= 1;
            }
            if let Some(batch) = exchange.batch {
                self.finish_batch(batch);
            }
        } else if exchange.stream != crate::session::STDIO
            && self.streams.remove(&exchange.stream).is_some()
        {
            self.actions.push_back(Action::EndStream {
                stream: exchange.stream,
            });
        }
        self.after_exchange(now, exchange.session);
    }

    /// Tells servers that nobody waits for an exchange any more; its slots stay
    /// until they answer, or for so long that no answer will come.
    pub(super) fn abandon(
        &mut self,
        now: Instant,
        id: ExchangeId,
        message: Option<&Message>,
        reason: &str,
    ) {
        let mut actions = Vec::new();
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        let at = self.upstreams_of(exchange);
        for upstream in &at {
            let Some(record) = self.upstreams.get_mut(upstream) else {
                continue;
            };
            let era = record.era();
            let is_http = self.settings.servers[record.server].is_http;
            record.in_flight.retain(|key, in_flight| {
                if in_flight.purpose != Purpose::Exchange(id) || in_flight.is_abandoned() {
                    return true;
                }
                in_flight.abandoned = Some(now);
                if era == Era::Legacy || !is_http {
                    actions.push(Action::SendUpstream {
                        upstream: *upstream,
                        key: None,
                        message: cancellation(&key.to_json(), message, reason),
                        headers: Vec::new(),
                    });
                }
                if is_http {
                    // A server that never answers must not hold a connection for each such request; of one
                    // that is closed nothing more is heard.
                    actions.push(Action::Abort {
                        upstream: *upstream,
                        key: in_flight.key,
                    });
                }
                !is_http
            });
        }
        // In order: ahead of what waits, it could pass the very request it is about.
        self.actions.extend(actions);
    }
}

fn cancellation(id: &Bytes, message: Option<&Message>, reason: &str) -> Outgoing {
    if let Some(message) = message
        && let Some(span) = message.body_span("requestId")
    {
        if message.raw()[span.clone()] == id[..] {
            return message.raw().clone().into();
        }
        return splice(
            message.raw(),
            vec![Edit {
                range: span,
                with: id.clone(),
            }],
        );
    }
    let mut params = b"{\"requestId\":".to_vec();
    params.extend_from_slice(id);
    params.extend_from_slice(b",\"reason\":");
    text::push_string(&mut params, reason);
    params.push(b'}');
    write::notification(method::CANCELLED, Some(&params)).into()
}
