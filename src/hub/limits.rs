//! Who may ask now, and who is told to come back later: bounds on what one principal, one session, one
//! server and everybody together may have under way, and servers that are left alone for a while.
//!
//! Decides, and says in words that a model understands how long to wait. May not drop a request without
//! an answer, and may not touch what is in flight.

pub mod breaker;
pub mod bucket;
mod busy;
pub mod memory;
pub mod principals;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::session::{Link, SessionId};
use crate::upstream::{State, UpstreamId};

use super::Hub;
use super::action::{NoteLevel, TransportFailure};
use super::rescue::Trouble;

pub(in crate::hub) use busy::seconds;

use breaker::{Breaker, BreakerPolicy, Position};
use principals::{PrincipalLimits, Principals, Refused};

/// What is known of a server that is left alone, where nothing better is.
const OFTEN: &str = "it failed again and again";

/// When to come back where nothing better is known.
const SOON: Duration = Duration::from_secs(1);

/// The same where memory is short, which lasts longer.
const SHORT_OF_MEMORY: Duration = Duration::from_secs(5);

/// Bounds of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceLimits {
    /// Of one principal.
    pub principal: PrincipalLimits,
    /// Requests of all clients in flight.
    pub in_flight: usize,
    /// Requests that one connection to a server has and has not answered, those included that wait for
    /// its start and those that their clients gave up.
    pub waiting_per_upstream: usize,
    /// Bytes that one HTTP session may hold here: its requests in flight, and messages for a stream that
    /// is not open. One request is taken whatever its size.
    pub session_bytes: usize,
    /// Bytes of the requests in flight of all HTTP sessions.
    pub request_bytes: usize,
    /// When HTTP servers are left alone.
    pub breaker: BreakerPolicy,
}

impl Default for ServiceLimits {
    fn default() -> Self {
        Self {
            principal: PrincipalLimits {
                in_flight: 10_000,
                rate: None,
            },
            in_flight: 20_000,
            waiting_per_upstream: 4_096,
            session_bytes: 16 << 20,
            request_bytes: 128 << 20,
            breaker: BreakerPolicy::default(),
        }
    }
}

/// What is counted against the bounds.
#[derive(Debug, Default)]
pub(super) struct Guard {
    principals: Principals,
    /// Bytes of the requests in flight of HTTP sessions.
    request_bytes: usize,
    /// How short memory is.
    memory: memory::MemoryLevel,
    /// By the index of the server; only those that failed since they last gave a sign of life.
    breakers: HashMap<usize, Breaker>,
}

impl Hub {
    /// Decides whether a request of a session is taken in; the counterpart is [`Self::leave`].
    pub(super) fn enter(
        &mut self,
        now: Instant,
        session: SessionId,
        bytes: usize,
    ) -> Result<(), Trouble> {
        let limits = self.settings.service;
        let busy = |what: String, wait| {
            Err(Trouble::Busy {
                what,
                retry_after: wait,
            })
        };
        if self.is_short_of_memory() {
            return busy("memory is short".to_owned(), SHORT_OF_MEMORY);
        }
        if self.exchanges.len() >= limits.in_flight {
            let n = limits.in_flight;
            return busy(
                format!("{n} requests are under way, which is the most here"),
                SOON,
            );
        }
        let Some(record) = self.sessions.get_mut(&session) else {
            return Ok(());
        };
        if record.link == Link::Stdio {
            return Ok(());
        }
        let holds = record.request_bytes + record.waiting_bytes;
        if record.request_bytes > 0 && holds.saturating_add(bytes) > limits.session_bytes {
            let most = limits.session_bytes;
            return busy(
                format!(
                    "the session holds {holds} bytes in requests and messages; the most is {most}"
                ),
                SOON,
            );
        }
        let all = self.guard.request_bytes;
        if all > 0 && all.saturating_add(bytes) > limits.request_bytes {
            let most = limits.request_bytes;
            return busy(
                format!("requests of all clients have {all} bytes; the most is {most}"),
                SOON,
            );
        }
        let entered = self
            .guard
            .principals
            .enter(now, &record.principal, &limits.principal);
        match entered {
            Ok(()) => {}
            Err(Refused::InFlight) => {
                let n = limits.principal.in_flight;
                return busy(
                    format!("{n} requests of this client are under way, which is the most"),
                    SOON,
                );
            }
            Err(Refused::Rate(retry_after)) => return Err(Trouble::TooOften { retry_after }),
        }
        record.request_bytes += bytes;
        self.guard.request_bytes += bytes;
        Ok(())
    }

    /// A request that was taken in is over.
    pub(super) fn leave(&mut self, now: Instant, session: SessionId, bytes: usize) {
        let Some(record) = self.sessions.get_mut(&session) else {
            return;
        };
        if record.link != Link::Stdio {
            record.request_bytes = record.request_bytes.saturating_sub(bytes);
            self.guard.request_bytes = self.guard.request_bytes.saturating_sub(bytes);
            self.guard.principals.leave(now, &record.principal);
        }
    }

    /// Decides whether a connection may be given one more request.
    pub(super) fn may_forward(
        &mut self,
        now: Instant,
        upstream: UpstreamId,
    ) -> Result<(), Trouble> {
        let Some(record) = self.upstreams.get(&upstream) else {
            return Ok(());
        };
        let most = self.most_waiting();
        if record.queue.len() + record.in_flight.len() >= most
            && let Some(record) = self.upstreams.get_mut(&upstream)
        {
            let n_before = record.in_flight.len();
            record.in_flight.retain(|_, one| !one.is_given_up(now));
            record.has_forgotten |= record.in_flight.len() < n_before;
        }
        let Some(record) = self.upstreams.get(&upstream) else {
            return Ok(());
        };
        let waiting = record.queue.len() + record.in_flight.len();
        if waiting >= most {
            let name = self.server_name(upstream);
            return Err(Trouble::Busy {
                what: format!("{waiting} requests wait for the server `{name}` already"),
                retry_after: SOON,
            });
        }
        let (server, detail) = (record.server, record.last_failure.clone());
        // What is parked fails by itself and needs no trial.
        if matches!(record.state, State::Parked(until) if now < until) {
            return match self.left_alone(now, upstream) {
                Some(retry_after) => Err(Trouble::Resting {
                    detail: detail.unwrap_or_else(|| OFTEN.into()),
                    retry_after,
                }),
                None => Ok(()),
            };
        }
        let Some(breaker) = self.guard.breakers.get_mut(&server) else {
            return Ok(());
        };
        breaker
            .admit(now, upstream, &self.settings.service.breaker)
            .map_err(|retry_after| Trouble::Resting {
                detail: detail.unwrap_or_else(|| OFTEN.into()),
                retry_after,
            })
    }

    /// For how long nothing goes to a server that is left alone, if it is: until its breaker lets one try, and until
    /// this connection may be made.
    fn left_alone(&self, now: Instant, upstream: UpstreamId) -> Option<Duration> {
        let record = self.upstreams.get(&upstream)?;
        let breaker = self.guard.breakers.get(&record.server)?;
        if breaker.position(now) == Position::Closed {
            return None;
        }
        let parked = match record.state {
            State::Parked(until) => until.saturating_duration_since(now),
            _ => Duration::ZERO,
        };
        let wait = breaker.wait(now, upstream).unwrap_or_default().max(parked);
        (!wait.is_zero()).then_some(wait)
    }

    /// What is said of a server that is not there; of one that is left alone also for how long.
    pub(super) fn not_there(&self, now: Instant, upstream: UpstreamId, detail: String) -> Trouble {
        match self.left_alone(now, upstream) {
            Some(retry_after) => Trouble::Resting {
                detail,
                retry_after,
            },
            None => Trouble::Unavailable { detail },
        }
    }

    /// Tells for how long no connection to a server may be made, if so.
    pub(super) fn rests(&mut self, now: Instant, upstream: UpstreamId) -> Option<Duration> {
        let server = self.upstreams.get(&upstream)?.server;
        let breaker = self.guard.breakers.get_mut(&server)?;
        breaker
            .connect(now, upstream, &self.settings.service.breaker)
            .err()
    }

    /// Leaves a server alone for now: whoever waits for this connection is told.
    pub(super) fn hold_back(&mut self, now: Instant, upstream: UpstreamId, wait: Duration) {
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return;
        };
        record.state = State::Parked(now + wait);
        record.last_failure.get_or_insert_with(|| {
            "it failed again and again and is left alone for a while".into()
        });
        self.settle_handshakes(now, upstream, None);
        self.fail_queue(now, upstream);
        self.lists_on_failure(now, upstream);
    }

    /// A server said something.
    pub(super) fn breaker_hears(&mut self, now: Instant, upstream: UpstreamId) {
        if self.guard.breakers.is_empty() {
            return;
        }
        let Some(server) = self.upstreams.get(&upstream).map(|record| record.server) else {
            return;
        };
        let Some(breaker) = self.guard.breakers.get_mut(&server) else {
            return;
        };
        let closed = breaker.succeeded(now);
        if breaker.position(now) == Position::Closed {
            self.guard.breakers.remove(&server);
        }
        if closed {
            let name = self.server_name(upstream);
            self.note(NoteLevel::Info, &name, "the server answers again");
        }
    }

    /// A connection to a server failed, or a deadline passed. Children are not counted: each session has
    /// its own, and its restarts have a policy of theirs.
    pub(super) fn breaker_notes_failure(&mut self, now: Instant, upstream: UpstreamId) {
        self.breaker_notes(upstream, |breaker, policy| breaker.failed(now, policy));
    }

    /// The same for a failure that the transport tells. What a server answers is no failure of it, but for
    /// the statuses by which it or a gateway before it says that it cannot be had.
    pub(super) fn breaker_notes_transport(
        &mut self,
        now: Instant,
        upstream: UpstreamId,
        failure: &TransportFailure,
    ) {
        match (failure.status, failure.retry_after) {
            (Some(503), Some(wait)) => {
                self.breaker_notes(upstream, |breaker, policy| breaker.asked(now, wait, policy));
            }
            (Some(502..=504), _) => self.breaker_notes_failure(now, upstream),
            (Some(_), _) => {}
            (None, _) if failure.is_protocol || failure.is_too_large => {}
            (None, _) => self.breaker_notes_failure(now, upstream),
        }
    }

    fn breaker_notes(
        &mut self,
        upstream: UpstreamId,
        tell: impl FnOnce(&mut Breaker, &BreakerPolicy) -> Option<Duration>,
    ) {
        let policy = self.settings.service.breaker;
        let Some(server) = self.upstreams.get(&upstream).map(|record| record.server) else {
            return;
        };
        if policy.failures == 0 || !self.settings.servers[server].is_http {
            return;
        }
        let breaker = self.guard.breakers.entry(server).or_default();
        if let Some(open) = tell(breaker, &policy) {
            let name = self.server_name(upstream);
            let seconds = open.as_secs_f64();
            self.note(
                NoteLevel::Warn,
                &name,
                format!("the server is left alone for {seconds:.1} s, as it cannot be reached or asked for a pause"),
            );
        }
    }

    /// Where the breaker of a server stands.
    pub fn breaker_position(&self, now: Instant, server: usize) -> Position {
        self.guard
            .breakers
            .get(&server)
            .map_or(Position::Closed, |breaker| breaker.position(now))
    }

    /// Requests that are counted against principals; for tests.
    #[cfg(test)]
    pub(in crate::hub) fn counted(&self) -> (usize, usize) {
        (
            self.guard.principals.len(),
            self.guard.principals.in_flight(),
        )
    }
}
