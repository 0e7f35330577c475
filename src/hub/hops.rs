//! Hops of our own between a client and its servers: how many lie downstream, and where a chain of them must
//! be a circle. Pure.

use std::time::Instant;

use crate::jsonrpc::message::Message;
use crate::mcp::meta;
use crate::session::SessionId;

use super::Hub;
use super::exchange::ExchangeId;
use super::rescue::Trouble;

/// More hops than anybody chains: beyond them one leads back to another.
pub const MAX_HOPS: u32 = 16;

impl Hub {
    /// Notes how many hops lie downstream of an exchange's session; refuses it if they are too many, and
    /// says so. Whoever forges the number is refused alone.
    pub(super) fn is_circle(&mut self, now: Instant, id: ExchangeId) -> bool {
        let Some(exchange) = self.exchanges.get(&id) else {
            return false;
        };
        let hops = announced(&exchange.request);
        if hops == 0 {
            return false;
        }
        let session = exchange.session;
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
}

/// The number of hops that a request announces; none, and what is no number, is 0.
fn announced(request: &Message) -> u32 {
    request
        .meta(meta::HOP)
        .and_then(|raw| std::str::from_utf8(raw).ok()?.trim().parse().ok())
        .unwrap_or(0)
}
