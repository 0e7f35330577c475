//! Hops of our own between a client and its servers: how many lie downstream, and where a chain of them must
//! be a circle. Pure.

use std::time::Instant;

use bytes::Bytes;

use crate::jsonrpc::message::Message;
use crate::jsonrpc::text;
use crate::mcp::meta;
use crate::session::SessionId;

use super::Hub;
use super::exchange::ExchangeId;
use super::rescue::Trouble;

/// More hops than anybody chains: beyond them one leads back to another.
pub const MAX_HOPS: u32 = 16;
/// Letters of the name of a process in a chain.
const NAME: usize = 16;
/// Bytes of the names of a chain that are passed on, at most.
const NAMES: usize = 300;

impl Hub {
    /// Notes how many hops lie downstream of an exchange's session; refuses it if they are too many or if this process
    /// is one of them, and says so. Whoever forges the number is refused alone.
    pub(super) fn is_circle(&mut self, now: Instant, id: ExchangeId) -> bool {
        let Some(exchange) = self.exchanges.get(&id) else {
            return false;
        };
        let hops = announced(&exchange.request);
        if hops == 0 {
            return false;
        }
        let session = exchange.session;
        // Over a shared connection no number would grow: what came back waits for the handshake that it is part of.
        if let Some(names) = names_of(&exchange.request)
            && names.split(' ').any(|name| name == self.name_in_chain())
        {
            self.fail_with(now, id, &Trouble::Returned);
            return true;
        }
        if let Some(record) = self.sessions.get_mut(&session) {
            record.hops = record.hops.max(hops);
        }
        if hops > MAX_HOPS {
            self.fail_with(now, id, &Trouble::Circle { hops });
        }
        hops > MAX_HOPS
    }

    /// How many hops lie downstream of a set of connections: the fewest of its users, so that one of them
    /// cannot make the others' requests look like a circle.
    pub(super) fn hops_of(&self, users: impl Iterator<Item = SessionId>) -> u32 {
        users
            .filter_map(|session| self.sessions.get(&session))
            .map(|session| session.hops)
            .min()
            .unwrap_or(0)
    }

    /// What a handshake of a set's connection says of the processes that it came through: those that one of the
    /// requests named which may wait for it, and this one.
    pub(super) fn names_through(&self, set: u64) -> Bytes {
        let is_of_set = |session: SessionId| {
            let record = self.sessions.get(&session);
            record.is_some_and(|record| record.set == set)
        };
        let before = self
            .exchanges
            .values()
            .filter(|exchange| is_of_set(exchange.session))
            .find_map(|exchange| names_of(&exchange.request));
        let own = self.name_in_chain();
        let all = match before {
            Some(before) => format!("{before} {own}"),
            None => own,
        };
        text::to_string(&all).into()
    }

    /// The name of this process, which nobody else has and nobody can guess.
    fn name_in_chain(&self) -> String {
        blake3::keyed_hash(&self.secret, b"name in a chain of hops").to_hex()[..NAME].to_owned()
    }
}

/// The processes that a request says it came through; none where that cannot be what one of ours said.
fn names_of(request: &Message) -> Option<String> {
    let names = request.meta_text(meta::VIA)?;
    let is_ours = |c: char| c == ' ' || c.is_ascii_hexdigit();
    let has_room = (1..=NAMES).contains(&names.len());
    (has_room && names.chars().all(is_ours)).then_some(names)
}

/// The number of hops that a request announces; none, and what is no number, is 0.
fn announced(request: &Message) -> u32 {
    request
        .meta(meta::HOP)
        .and_then(|raw| std::str::from_utf8(raw).ok()?.trim().parse().ok())
        .unwrap_or(0)
}
