//! What the hub writes into the ledger: tokens of answers before and after, what was read back, what came
//! from the cache; and which sessions run untouched so that the others can be compared. Pure: the wall clock
//! is told by [`Hub::handle_wall_clock`].
//!
//! Whoever shapes an answer calls one `note_*` for the one answer that the client gets. Nothing is counted
//! here: what nobody counted is estimated from its bytes, and said to be.

use std::fmt::Write as _;
use std::time::Instant;

use bytes::Bytes;

use crate::session::SessionId;
use crate::surface::made::Made;
use crate::token::Tokens;
use crate::token::ledger::{Basis, Day, Entry, FOLDED, Kind, Ledger, Rows, holdout};

use super::Hub;
use super::exchange::ExchangeId;

/// Bytes for a token, where it was not counted.
const BYTES_PER_TOKEN: usize = 4;

/// The tokens of what was not counted.
pub(super) fn estimate(n_bytes: usize) -> Tokens {
    Tokens::from(n_bytes.div_ceil(BYTES_PER_TOKEN))
}

/// The ledger of this process, and what time it is.
#[derive(Debug, Default)]
pub(super) struct Books {
    ledger: Ledger,
    /// Seconds since 1970-01-01 UTC at an instant.
    wall_clock: Option<(Instant, u64)>,
    totals: TokenTotals,
}

/// Tokens of this process in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenTotals {
    /// Of answers and lists as servers sent them.
    pub before: u64,
    /// The same as clients got them.
    pub after: u64,
    /// Of what was read back later.
    pub read_back: u64,
}

/// Whose answer a note is about.
#[derive(Debug, Clone, Copy)]
pub struct Noted<'a> {
    /// The client's session.
    pub session: SessionId,
    /// The server's configured name.
    pub server: &'a str,
    /// The tool's name as its server has it.
    pub tool: &'a str,
    /// Where the numbers of tokens are from.
    pub basis: Basis,
}

impl Hub {
    /// Tells what time it is: seconds since 1970-01-01 UTC. Until then nothing is noted.
    pub fn handle_wall_clock(&mut self, now: Instant, unix_seconds: u64) {
        self.books.wall_clock = Some((now, unix_seconds));
    }

    /// Whether a session runs untouched, so that others can be compared with it: its answers go on as they
    /// came, and are noted by [`Self::note_shaped`] with the same tokens before and after. The same for all
    /// of the session.
    pub fn is_held_out(&self, session: SessionId) -> bool {
        let share = self.settings.holdout;
        // The secret is new for each process, so session numbers may repeat.
        holdout::is_held_out(&self.secret, &session.to_le_bytes(), share)
    }

    /// Notes an answer of a server that a client was sent, shaped or not: `how` is [`Kind::Answer`],
    /// [`Kind::Unchanged`] or [`Kind::Delta`].
    pub fn note_shaped(
        &mut self,
        now: Instant,
        noted: Noted<'_>,
        how: Kind,
        before: Tokens,
        after: Tokens,
    ) {
        self.note_entry(now, noted, how, before, after);
    }

    /// Notes an answer from the cache: no server got the call.
    pub fn note_cached(&mut self, now: Instant, noted: Noted<'_>, before: Tokens, after: Tokens) {
        self.note_entry(now, noted, Kind::Cached, before, after);
    }

    /// Notes that a part of a stored answer was read back. `noted` names the server and the tool of the
    /// stored answer, against whose saving it counts.
    pub fn note_fetched(&mut self, now: Instant, noted: Noted<'_>, tokens: Tokens) {
        self.note_entry(now, noted, Kind::Fetched, Tokens::ZERO, tokens);
    }

    /// Notes a list of tools; the tool's name is left out. Several servers have one list, which is noted
    /// with no server's name.
    pub fn note_listed(&mut self, now: Instant, noted: Noted<'_>, before: Tokens, after: Tokens) {
        let noted = Noted { tool: "", ..noted };
        self.note_entry(now, noted, Kind::List, before, after);
    }

    /// Notes the list of tools that a client is sent: `came` as its servers sent it, `shown` as it is sent
    /// on. Its tokens are those that planning counted; of a list that was not worth counting they are
    /// estimated.
    pub(super) fn note_list(
        &mut self,
        now: Instant,
        id: ExchangeId,
        made: &Made,
        came: usize,
        shown: &[Bytes],
    ) {
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        let session = exchange.session;
        // A call that waited for the surface sends no list.
        if self.is_call(id) {
            return;
        }
        let (basis, before, after) = match &made.surface.cost {
            Some(cost) => (Basis::Measured, cost.bare, cost.shown),
            None => {
                let sent = shown.iter().map(Bytes::len).sum();
                (Basis::Estimated, estimate(came), estimate(sent))
            }
        };
        let server = match self.set_upstreams(session).as_slice() {
            [one] => Some(self.server_name(*one)),
            _ => None,
        };
        let noted = Noted {
            session,
            server: server.as_deref().unwrap_or(FOLDED),
            tool: "",
            basis,
        };
        self.note_listed(now, noted, before, after);
    }

    /// Returns the sums of all notes.
    pub fn token_totals(&self) -> TokenTotals {
        self.books.totals
    }

    /// Returns how many notes there were.
    pub fn n_noted(&self) -> u64 {
        self.books.ledger.n_entries()
    }

    /// Returns the days of the ledger that changed since the last time, each whole.
    pub fn take_ledger(&mut self) -> Vec<(Day, Rows)> {
        self.books.ledger.take_dirty()
    }

    fn note_entry(
        &mut self,
        now: Instant,
        noted: Noted<'_>,
        kind: Kind,
        before: Tokens,
        after: Tokens,
    ) {
        let Some((at, seconds)) = self.books.wall_clock else {
            return;
        };
        let seconds = seconds.saturating_add(now.saturating_duration_since(at).as_secs());
        let session = self.ledger_name(noted.session);
        let totals = &mut self.books.totals;
        if kind == Kind::Fetched {
            totals.read_back += after.get();
        } else {
            totals.before += before.get();
            totals.after += after.get();
        }
        self.books.ledger.record(&Entry {
            day: Day::of_seconds(seconds),
            session: &session,
            is_held_out: self.is_held_out(noted.session),
            server: noted.server,
            tool: noted.tool,
            kind,
            basis: noted.basis,
            before,
            after,
        });
    }

    /// The session's name in the ledger: it differs between processes and leads back to nobody.
    fn ledger_name(&self, session: SessionId) -> String {
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        hasher.update(b"ledger session");
        hasher.update(&session.to_le_bytes());
        let hash = hasher.finalize();
        hash.as_bytes()[..8]
            .iter()
            .fold(String::with_capacity(16), |mut name, byte| {
                let _ = write!(name, "{byte:02x}");
                name
            })
    }
}
