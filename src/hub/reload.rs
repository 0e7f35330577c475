//! New settings while clients are connected: servers come and go, what is in flight ends on the old
//! ones.

use std::time::Instant;

use crate::mcp::method::{self, ListKind};
use crate::upstream::{Upstream, UpstreamId};

use super::Hub;
use super::action::NoteLevel;
use super::exchange::{Exchange, ExchangeId, Plan};
use super::seen::SeenSurfaces;
use super::settings::{HubSettings, ServerSpec};

impl Hub {
    /// Takes new settings. Servers that stayed the same keep their connections; the others are ended
    /// once nothing is in flight on them, new ones are started where clients are connected, and these
    /// are told that lists changed.
    pub fn replace_settings(&mut self, now: Instant, settings: HubSettings) {
        let old = std::mem::take(&mut self.settings.servers);
        let wanted = settings.servers.clone();
        // An operator starts a new epoch.
        let is_other_surface = self.settings.surface != settings.surface
            || self.settings.naming != settings.naming
            || self.settings.profiles != settings.profiles
            || self.settings.is_transparent != settings.is_transparent
            || self.settings.is_shadow != settings.is_shadow
            || self.settings.locked != settings.locked
            || self.settings.policy.fingerprint() != settings.policy.fingerprint();
        // A session stays in its group of the hold-out.
        let holdout = self.settings.holdout;
        self.approvals.forget_agreements();
        self.drop_spare();
        self.settings = settings;
        self.settings.holdout = holdout;
        self.cache.restart(self.settings.cache.max_bytes);
        // Indices of running servers stay valid: old ones are kept, new ones are added behind.
        let mut all: Vec<ServerSpec> = old;
        let mut active = Vec::new();
        for spec in wanted {
            match all
                .iter()
                .position(|known| known.name == spec.name && known.identity == spec.identity)
            {
                Some(index) => {
                    all[index] = spec;
                    active.push(index);
                }
                None => {
                    active.push(all.len());
                    all.push(spec);
                }
            }
        }
        self.settings.servers = all;
        self.active = active;
        self.eras.clear();
        let sets: Vec<u64> = self.sets.keys().copied().collect();
        for set in sets {
            self.change_set(now, set, is_other_surface);
        }
    }

    fn change_set(&mut self, now: Instant, id: u64, is_other_surface: bool) {
        let Some(set) = self.sets.get(&id) else {
            return;
        };
        let mut keep = Vec::new();
        let mut added = Vec::new();
        let link = self
            .users_of(id)
            .next()
            .and_then(|session| self.sessions.get(&session))
            .map(|session| session.link.clone());
        let before = set.upstreams.clone();
        for server in self.active.clone() {
            let known = before.iter().copied().find(|upstream| {
                self.upstreams
                    .get(upstream)
                    .is_some_and(|u| u.server == server)
            });
            match (known, &link) {
                (Some(upstream), _) => keep.push(upstream),
                (None, Some(link)) => {
                    let upstream = self.next_number();
                    let era = self.first_era(server, link);
                    let record = Upstream::new(upstream, server, id, era);
                    self.upstreams.insert(upstream, Box::new(record));
                    keep.push(upstream);
                    added.push(upstream);
                }
                (None, None) => {}
            }
        }
        let removed: Vec<u64> = before
            .into_iter()
            .filter(|upstream| !keep.contains(upstream))
            .collect();
        let is_same_servers = added.is_empty() && removed.is_empty();
        if is_same_servers && !is_other_surface {
            return;
        }
        if let Some(set) = self.sets.get_mut(&id) {
            set.upstreams = keep;
            set.surfaces = SeenSurfaces::default();
        }
        for upstream in removed.iter().copied() {
            let name = self.server_name(upstream);
            self.note(NoteLevel::Info, &name, "removed from the configuration");
            self.retire(now, upstream);
        }
        let complete = self.wait_for_others(&removed, &added);
        for upstream in &added {
            self.connect(now, *upstream);
        }
        for id in complete {
            match self.exchanges.get(&id).map(|exchange| &exchange.plan) {
                Some(Plan::Handshake { .. }) => self.finish_handshake(now, id, None),
                Some(Plan::List { .. }) => self.finish_list(now, id),
                _ => {}
            }
        }
        let first = self
            .sets
            .get(&id)
            .and_then(|set| set.upstreams.first().copied());
        // Who still waits for the answer to its handshake has seen no list, and may be told nothing yet.
        let is_listening = self.users_of(id).any(|session| {
            let legacy = self.sessions[&session].legacy.as_ref();
            legacy.is_none_or(|legacy| legacy.initialized.is_some())
        });
        if let Some(first) = first.filter(|_| is_listening) {
            let changed: &[ListKind] = match is_same_servers {
                true => &[ListKind::Tools],
                false => &[ListKind::Tools, ListKind::Prompts, ListKind::Resources],
            };
            for kind in changed.iter().copied() {
                self.tell_clients(first, kind);
            }
        }
    }

    /// Handshakes and lists that wait for servers which are gone wait for the new ones instead, so that
    /// none stays without an answer; returns those that have nobody left to wait for.
    fn wait_for_others(&mut self, removed: &[u64], added: &[u64]) -> Vec<ExchangeId> {
        let mut complete = Vec::new();
        for exchange in self.exchanges.values_mut() {
            let (waiting, instead) = match &mut exchange.plan {
                Plan::Handshake { waiting } => (waiting, added),
                Plan::List { waiting, .. } => (waiting, &[][..]),
                _ => continue,
            };
            let n_before = waiting.len();
            waiting.retain(|one| !removed.contains(one));
            if waiting.len() < n_before {
                waiting.extend(instead);
                if waiting.is_empty() {
                    complete.push(exchange.id);
                }
            }
        }
        complete
    }

    /// Ends a connection when no exchange needs it any more. Streams of notifications have no other end: their clients
    /// open them anew, at the servers that there are now.
    fn retire(&mut self, now: Instant, upstream: UpstreamId) {
        let in_flight: Vec<ExchangeId> = self.in_flight_exchanges(upstream).collect();
        let is_here = |exchange: &&Exchange| {
            let is_ours =
                matches!(exchange.plan, Plan::Listen) && !in_flight.contains(&exchange.id);
            (exchange.upstream == Some(upstream) && !is_ours) || in_flight.contains(&exchange.id)
        };
        let listens: Vec<ExchangeId> = self
            .exchanges
            .values()
            .filter(|exchange| exchange.request.method() == method::LISTEN)
            .filter(is_here)
            .map(|exchange| exchange.id)
            .collect();
        for id in listens {
            self.end_listen(now, id);
        }
        if self.is_needed(upstream) {
            self.retired.insert(upstream);
        } else {
            self.stop_upstream(upstream);
        }
    }

    /// Ends retired connections that no exchange needs any more, however the last one ended.
    pub(super) fn check_retired(&mut self) {
        let over: Vec<UpstreamId> = self
            .retired
            .iter()
            .copied()
            .filter(|upstream| !self.is_needed(*upstream))
            .collect();
        for upstream in over {
            self.retired.remove(&upstream);
            self.stop_upstream(upstream);
        }
    }

    /// Tells whether something is in flight on a connection, waits for it, or will go on there once a client has
    /// answered what it was asked.
    fn is_needed(&self, upstream: UpstreamId) -> bool {
        self.in_flight_exchanges(upstream).next().is_some()
            || self.exchanges_at(upstream).next().is_some()
    }

    /// Returns what is at a connection or will go on there. Handshakes, lists and streams of ours only began there:
    /// they wait for whatever servers there are.
    pub(super) fn exchanges_at(&self, upstream: UpstreamId) -> impl Iterator<Item = &Exchange> {
        self.exchanges.values().filter(move |exchange| {
            exchange.upstream == Some(upstream)
                && !matches!(
                    exchange.plan,
                    Plan::Handshake { .. } | Plan::List { .. } | Plan::Listen
                )
        })
    }
}
