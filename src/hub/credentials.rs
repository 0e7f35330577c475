//! Whose credentials go where: a client's `Authorization` goes to the one server that the operator named for
//! it, and what is kept for its principal is used only while that server accepts it.
//!
//! A token that nobody here checked names a principal by its keyed hash. Anybody can make up a token, and an
//! old one may have been revoked, so nothing is answered from what we keep before the server has answered
//! something that was asked with it. A refusal of the server takes that back.

use std::time::{Duration, Instant};

use secrecy::{ExposeSecret as _, SecretString};

use crate::mcp::method;
use crate::session::{Principal, SessionId};
use crate::upstream::{Purpose, State, UpstreamId};

use super::Hub;
use super::action::{Action, HttpHead, TransportFailure};
use super::exchange::ExchangeId;
use super::timers::TimerKey;

/// How long after its last answer a server is believed to accept a token still, as far as kept answers are
/// concerned. It may have been revoked since.
const ACCEPTED_FOR: Duration = Duration::from_secs(60);

/// What one set knows of its clients' credentials.
#[derive(Debug, Default)]
pub(super) struct Credentials {
    /// `Authorization` as the last request had it.
    authorization: Option<SecretString>,
    /// When the server last answered something that was asked with it.
    accepted: Option<Instant>,
    /// Whether the server is being asked for no other reason.
    is_asking: bool,
    /// Requests that wait for its word.
    held: Vec<ExchangeId>,
    /// How a server refused the handshake: with 401 or 403.
    refusal: Option<(UpstreamId, TransportFailure)>,
}

impl Hub {
    /// Names whose request this is; none = nobody who could be known again.
    pub(super) fn principal_of_head(&self, head: &HttpHead) -> Option<Principal> {
        match (&head.verified, head.bearer) {
            // A certificate says who connects; what the server shows is for whom the token is.
            (Some(name), Some(hash)) if !head.is_token_verified && self.forwards() => {
                let token = Principal::Bearer(hash).key();
                Some(Principal::Verified(format!("{name} {token}").into()))
            }
            (Some(name), _) => Some(Principal::Verified(name.clone())),
            (None, Some(hash)) => Some(Principal::Bearer(hash)),
            (None, None) if head.is_loopback => Some(Principal::Loopback),
            (None, None) => None,
        }
    }

    /// Gives a session that was opened without a token the one that its server asked for in the middle: from
    /// then on it is that token's. Whoever sends it knows the session's id, which nobody can guess.
    pub(super) fn takes_token(&mut self, session: SessionId, principal: Option<Principal>) -> bool {
        let Some(principal @ Principal::Bearer(_)) = principal else {
            return false;
        };
        let forwards = self.forwards();
        let Some(record) = self.sessions.get_mut(&session) else {
            return false;
        };
        let is_open = matches!(
            record.principal,
            Principal::Loopback | Principal::Session(_)
        );
        let Some(set) = self.sets.get_mut(&record.set) else {
            return false;
        };
        // Connections that others use as well stay theirs.
        if !forwards || !is_open || set.users != [session] {
            return false;
        }
        set.principal = principal.clone();
        record.principal = principal;
        true
    }

    fn forwards(&self) -> bool {
        let servers = &self.settings.servers;
        servers.iter().any(|server| server.forwards_authorization)
    }

    /// The connection of a set that its clients' credentials go to.
    fn forwarding_upstream(&self, set: u64) -> Option<UpstreamId> {
        let upstreams = &self.sets.get(&set)?.upstreams;
        upstreams.iter().copied().find(|id| self.is_forwarding(*id))
    }

    fn is_forwarding(&self, upstream: UpstreamId) -> bool {
        self.upstreams
            .get(&upstream)
            .and_then(|record| self.settings.servers.get(record.server))
            .is_some_and(|server| server.forwards_authorization)
    }

    /// Tells whether a connection is used with a client's credentials.
    pub(super) fn has_credentials(&self, upstream: UpstreamId) -> bool {
        self.is_forwarding(upstream)
            && self
                .upstreams
                .get(&upstream)
                .and_then(|record| self.sets.get(&record.set))
                .is_some_and(|set| set.credentials.authorization.is_some())
    }

    /// Remembers what a request brought, for everything that is asked on its session's behalf.
    pub(super) fn note_authorization(&mut self, session: SessionId, head: &HttpHead) {
        let Some(set) = self.sessions.get(&session).map(|record| record.set) else {
            return;
        };
        let Some(upstream) = self.forwarding_upstream(set) else {
            return;
        };
        let Some(record) = self.sets.get_mut(&set) else {
            return;
        };
        let text = |secret: &Option<SecretString>| {
            secret
                .as_ref()
                .map(|secret| secret.expose_secret().to_owned())
        };
        if text(&record.credentials.authorization) == text(&head.authorization) {
            return;
        }
        record
            .credentials
            .authorization
            .clone_from(&head.authorization);
        record.credentials.accepted = None;
        // A connection that is still to be made gets them with its start.
        self.actions.push_back(Action::Authorize {
            upstream,
            authorization: head.authorization.clone(),
        });
    }

    /// What a connection sends on behalf of its clients; for any other server nothing.
    pub(super) fn authorization_of(&self, upstream: UpstreamId) -> Option<SecretString> {
        if !self.is_forwarding(upstream) {
            return None;
        }
        let set = self.upstreams.get(&upstream)?.set;
        self.sets.get(&set)?.credentials.authorization.clone()
    }

    /// A server answered something that was asked with its clients' credentials.
    pub(super) fn credentials_accepted(&mut self, now: Instant, upstream: UpstreamId) {
        if !self.has_credentials(upstream) {
            return;
        }
        let set = self.upstreams[&upstream].set;
        let Some(record) = self.sets.get_mut(&set) else {
            return;
        };
        record.credentials.accepted = Some(now);
        record.credentials.is_asking = false;
        let held = std::mem::take(&mut record.credentials.held);
        for id in held {
            self.timers.clear(TimerKey::Exchange(id));
            self.start(now, id);
        }
    }

    /// A request of a connection failed below JSON-RPC: a 401 takes back that its credentials were accepted.
    pub(super) fn credentials_failed(
        &mut self,
        now: Instant,
        upstream: UpstreamId,
        purpose: &Purpose,
        failure: &TransportFailure,
    ) {
        let is_refused = matches!(failure.status, Some(401 | 403));
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return;
        };
        if is_refused && matches!(purpose, Purpose::Discover | Purpose::Initialize) {
            // It is up and said so at once: the next attempt need not wait long.
            record.attempts = 0;
        }
        let Some(set) = self.sets.get_mut(&record.set) else {
            return;
        };
        let credentials = &mut set.credentials;
        if is_refused && matches!(purpose, Purpose::Discover | Purpose::Initialize) {
            credentials.refusal = Some((upstream, failure.clone()));
        }
        if failure.status == Some(401) {
            credentials.accepted = None;
        }
        if *purpose == Purpose::Probe && std::mem::take(&mut credentials.is_asking) {
            let held = std::mem::take(&mut credentials.held);
            for id in held {
                self.fail_by(now, id, upstream, failure);
            }
        }
    }

    /// Requests that waited for a server's word will not get it.
    pub(super) fn fail_held(&mut self, now: Instant, upstream: UpstreamId) {
        if !self.is_forwarding(upstream) {
            return;
        }
        let set = self.upstreams[&upstream].set;
        let Some(record) = self.sets.get_mut(&set) else {
            return;
        };
        record.credentials.is_asking = false;
        let held = std::mem::take(&mut record.credentials.held);
        for id in held {
            self.fail_unavailable(now, id, upstream);
        }
    }

    /// The server took its clients in.
    pub(super) fn forget_refusal(&mut self, upstream: UpstreamId) {
        let set = self.upstreams.get(&upstream).map(|record| record.set);
        if let Some(set) = set.and_then(|set| self.sets.get_mut(&set)) {
            set.credentials.refusal = None;
        }
    }

    /// Answers that a server is not there; if it was there and refused us, with its challenge.
    pub(super) fn fail_unavailable(&mut self, now: Instant, id: ExchangeId, upstream: UpstreamId) {
        if self.fail_refused(now, id, upstream) {
            return;
        }
        let detail = self
            .upstreams
            .get(&upstream)
            .and_then(|record| record.last_failure.clone())
            .unwrap_or_else(|| "it is not running".to_owned());
        let trouble = self.not_there(now, upstream, detail);
        self.fail_with(now, id, &trouble);
    }

    /// Answers as a server refused the handshake, if it did.
    pub(super) fn fail_refused(
        &mut self,
        now: Instant,
        id: ExchangeId,
        upstream: UpstreamId,
    ) -> bool {
        let refusal = self
            .upstreams
            .get(&upstream)
            .and_then(|record| self.sets.get(&record.set))
            .and_then(|set| set.credentials.refusal.as_ref())
            .filter(|(of, _)| *of == upstream)
            .map(|(_, failure)| failure.clone());
        let Some(failure) = refusal else {
            return false;
        };
        self.fail_by(now, id, upstream, &failure);
        true
    }

    /// Tells whether kept answers may be given to a session: there is no token, or the server accepted it
    /// just now.
    pub(super) fn may_use_kept(&self, now: Instant, session: SessionId) -> bool {
        let Some(set) = self.sessions.get(&session).map(|record| record.set) else {
            return false;
        };
        let Some(upstream) = self.forwarding_upstream(set) else {
            return true;
        };
        if !self.has_credentials(upstream) {
            return true;
        }
        self.sets[&set]
            .credentials
            .accepted
            .is_some_and(|at| now.duration_since(at) < ACCEPTED_FOR)
    }

    /// Holds a request whose credentials nobody has accepted yet, and asks the server. Handshakes ask it
    /// themselves.
    pub(super) fn holds(&mut self, now: Instant, id: ExchangeId) -> bool {
        let Some(exchange) = self.exchanges.get(&id) else {
            return false;
        };
        let set = self
            .sessions
            .get(&exchange.session)
            .map(|record| record.set);
        let Some((set, upstream)) = set.and_then(|set| Some((set, self.forwarding_upstream(set)?)))
        else {
            return false;
        };
        if !self.has_credentials(upstream) || self.sets[&set].credentials.accepted.is_some() {
            return false;
        }
        let state = self.upstreams[&upstream].state.clone();
        let is_handshake = matches!(
            exchange.request.method(),
            method::INITIALIZE | method::DISCOVER
        );
        if is_handshake && state != State::Ready {
            return false;
        }
        if let Some(exchange) = self.exchanges.get_mut(&id) {
            exchange.upstream = Some(upstream);
        }
        self.wake(now, upstream, Some(id));
        let state = match self.upstreams.get(&upstream) {
            Some(record) if record.is_unusable => State::Stopping,
            Some(record) => record.state.clone(),
            None => State::Stopping,
        };
        if matches!(state, State::Parked(_) | State::Stopping) {
            self.fail_unavailable(now, id, upstream);
            return true;
        }
        let server = self.upstreams[&upstream].server;
        let start = self.settings.servers[server].start_timeout;
        if let Some(at) = now.checked_add(start) {
            self.timers.set(TimerKey::Exchange(id), at);
        }
        let Some(record) = self.sets.get_mut(&set) else {
            return false;
        };
        record.credentials.held.push(id);
        if state == State::Ready && !std::mem::replace(&mut record.credentials.is_asking, true) {
            self.ask_with_credentials(now, upstream);
        }
        true
    }

    /// The server did not say whether it takes the credentials: whoever still waits for that has it asked
    /// again.
    pub(super) fn ask_again_with_credentials(&mut self, now: Instant, upstream: UpstreamId) {
        if !self.is_forwarding(upstream) {
            return;
        }
        let (set, state) = {
            let record = &self.upstreams[&upstream];
            (record.set, record.state.clone())
        };
        let Some(record) = self.sets.get_mut(&set) else {
            return;
        };
        let credentials = &mut record.credentials;
        if !std::mem::take(&mut credentials.is_asking) {
            return;
        }
        let exchanges = &self.exchanges;
        credentials.held.retain(|id| exchanges.contains_key(id));
        if state == State::Ready && !credentials.held.is_empty() {
            credentials.is_asking = true;
            self.ask_with_credentials(now, upstream);
        }
    }

    /// Asks a server something cheap, to hear whether it accepts the credentials. It may take as long for it
    /// as for a handshake.
    fn ask_with_credentials(&mut self, now: Instant, upstream: UpstreamId) {
        let server = self.upstreams[&upstream].server;
        let limit = self.settings.servers[server].start_timeout;
        self.send_probe(now, upstream, limit);
    }
}
