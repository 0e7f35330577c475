//! Which connections a session uses: a set of its own, one that all of a principal share, or the one that was
//! started before anybody came.

use std::time::Instant;

use crate::session::{Link, Principal};
use crate::upstream::{State, Upstream, UpstreamId};

use super::action::{Ended, NoteLevel};
use super::timers::TimerKey;
use super::{Hub, Names, Set, credentials, seen};

impl Hub {
    /// Returns the set a new session uses: its own, or a shared one where every server is stateless.
    pub(super) fn set_for(&mut self, link: &Link, principal: &Principal) -> u64 {
        let is_shared = *link != Link::Stdio
            && !self.settings.servers.is_empty()
            && self.settings.servers.iter().all(|server| server.is_shared);
        let mut sets = self.sets.iter();
        if is_shared
            && let Some((id, _)) =
                sets.find(|(id, set)| set.principal == *principal && Some(**id) != self.spare)
        {
            return *id;
        }
        self.take_spare(link, principal)
            .unwrap_or_else(|| self.new_set(link, principal))
    }

    fn new_set(&mut self, link: &Link, principal: &Principal) -> u64 {
        let id = self.next_number();
        let mut upstreams = Vec::new();
        for server in self.active.clone() {
            let upstream = self.next_number();
            let era = self.first_era(server, link);
            let record = Upstream::new(upstream, server, id, era);
            self.upstreams.insert(upstream, Box::new(record));
            upstreams.push(upstream);
        }
        self.sets.insert(
            id,
            Set {
                upstreams,
                names: Names::default(),
                users: Vec::new(),
                principal: principal.clone(),
                modern: None,
                surfaces: seen::SeenSurfaces::default(),
                credentials: credentials::Credentials::default(),
            },
        );
        id
    }

    /// Has connections to the servers on pipes for whoever comes first, without a word to them: their processes come
    /// up while ours does, not while a client waits. Returns whether there are any. Later sessions start their own.
    pub fn start_spare(&mut self, now: Instant) -> bool {
        let servers = &self.settings.servers;
        let mut active = self.active.iter();
        if self.draining_since.is_some() || !active.any(|server| !servers[*server].is_http) {
            return false;
        }
        // Link and principal become the first session's when it takes it.
        let set = self.new_set(&Link::HttpRequests, &Principal::OsUser);
        self.spare = Some(set);
        for upstream in self.sets[&set].upstreams.clone() {
            if !self.settings.servers[self.upstreams[&upstream].server].is_http {
                self.connect(now, upstream);
            }
        }
        true
    }

    /// Gives the spare connections to a session, as if they had been made for it.
    fn take_spare(&mut self, link: &Link, principal: &Principal) -> Option<u64> {
        if *link == Link::Stdio {
            return None;
        }
        let id = self.spare.take()?;
        let set = self.sets.get_mut(&id)?;
        set.principal = principal.clone();
        for upstream in set.upstreams.clone() {
            let era = self.first_era(self.upstreams[&upstream].server, link);
            if let Some(record) = self.upstreams.get_mut(&upstream) {
                record.era_first = era;
            }
        }
        Some(id)
    }

    /// Stops the spare connections if nobody took them.
    pub(super) fn drop_spare(&mut self) {
        let Some(set) = self.spare.take().and_then(|id| self.sets.remove(&id)) else {
            return;
        };
        for upstream in set.upstreams {
            self.stop_upstream(upstream);
        }
    }

    /// One of the spare connections ended before anybody came: the first session starts its own, as it would without.
    /// Returns whether it was one of them.
    pub(super) fn spare_ended(&mut self, upstream: UpstreamId, ended: &Ended) -> bool {
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return false;
        };
        if self.spare != Some(record.set) {
            return false;
        }
        record.state = State::Idle;
        self.timers.clear(TimerKey::Upstream(upstream));
        let name = self.server_name(upstream);
        let detail = &ended.detail;
        self.note(
            NoteLevel::Warn,
            &name,
            format!("it ended before a client came, and is started again when one does: {detail}"),
        );
        self.drop_spare();
        true
    }
}
