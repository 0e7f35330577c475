//! Signs of life: what a server is asked after it missed a deadline, or to hear whether it takes credentials.
//!
//! Anything that a server says is a sign of life, so a probe may stay without its answer for ever. It then
//! counts as failed after a while, because no second one is sent while one is in flight.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::mcp::error::ProxyError;
use crate::mcp::method;
use crate::mcp::version::Era;
use crate::upstream::{Purpose, State, UpstreamId};

use super::Hub;
use super::action::{Action, NoteLevel};
use super::forward::object_of;
use super::measure::Outcome;
use super::timers::TimerKey;

impl Hub {
    /// Asks a child for a sign of life after it missed a deadline.
    pub(super) fn probe(&mut self, now: Instant, upstream: UpstreamId) {
        let Some(record) = self.upstreams.get(&upstream) else {
            return;
        };
        let is_http = self.settings.servers[record.server].is_http;
        let is_probed = record
            .in_flight
            .values()
            .any(|in_flight| in_flight.purpose == Purpose::Probe);
        if is_http || is_probed || !record.is_ready() {
            return;
        }
        let limit = self.settings.timeouts.probe;
        self.send_probe(now, upstream, limit);
        if let Some(at) = now.checked_add(limit) {
            self.timers.set(TimerKey::Probe(upstream), at);
        }
    }

    /// Asks something cheap, whose answer counts for as long as `limit`.
    pub(super) fn send_probe(&mut self, now: Instant, upstream: UpstreamId, limit: Duration) {
        let Some(record) = self.upstreams.get(&upstream) else {
            return;
        };
        let (era, set) = (record.era(), record.set);
        let (method_name, params) = match era {
            Era::Legacy => (method::PING, Bytes::from_static(b"{}")),
            Era::Modern => {
                let client = self.set_client(set);
                let params = object_of(&[("_meta", object_of(&self.own_meta(&client, None)))]);
                (method::DISCOVER, params)
            }
        };
        self.send_own(upstream, Purpose::Probe, method_name, &params, None);
        if let Some(at) = now.checked_add(limit) {
            self.timers.set(TimerKey::ProbeAnswer(upstream), at);
        }
    }

    /// Notes that a server said something.
    pub(super) fn is_alive(&mut self, upstream: UpstreamId) {
        self.timers.clear(TimerKey::Probe(upstream));
    }

    /// Nothing is asked of a connection any more, or it answered.
    pub(super) fn forget_probe(&mut self, upstream: UpstreamId) {
        self.timers.clear(TimerKey::Probe(upstream));
        self.timers.clear(TimerKey::ProbeAnswer(upstream));
    }

    /// A server missed a deadline and gave no sign of life since: it is ended and started again.
    pub(super) fn probe_timeout(&mut self, upstream: UpstreamId) {
        let name = self.server_name(upstream);
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return;
        };
        if !record.is_ready() {
            return;
        }
        // Requests wait from here on; what is in flight is answered when the process is gone.
        record.state = State::Connecting;
        self.note(
            NoteLevel::Error,
            &name,
            "the server gives no sign of life; it is ended and started again",
        );
        self.actions.push_back(Action::Disconnect { upstream });
    }

    /// A probe was not answered, whatever else the server said: it failed, and another may be sent. An answer
    /// that still comes belongs to nothing.
    pub(super) fn probe_unanswered(&mut self, now: Instant, upstream: UpstreamId) {
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return;
        };
        let is_http = self.settings.servers[record.server].is_http;
        let unanswered: Vec<_> = record
            .in_flight
            .extract_if(|_, in_flight| in_flight.purpose == Purpose::Probe)
            .collect();
        for (id, in_flight) in unanswered {
            let late = Outcome::Error(ProxyError::Deadline.code());
            self.trace_own_answered(now, upstream, &id, late);
            if is_http {
                let key = in_flight.key;
                self.actions.push_back(Action::Abort { upstream, key });
            }
        }
        self.ask_again_with_credentials(now, upstream);
    }
}
