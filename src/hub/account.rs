//! The account of answers: what became of each is written into the ledger, at once where it was counted on
//! its way, and after it was sent where it goes on as it came.

use std::time::Instant;

use bytes::Bytes;

use crate::jsonrpc::message::Message;
use crate::mcp::method;
use crate::result::repeat;
use crate::result::seen::Seen;
use crate::result::shape::Shaped;
use crate::session::SessionId;
use crate::token::Tokens;
use crate::token::ledger::{Basis, Kind};
use crate::upstream::UpstreamId;

use super::Hub;
use super::action::Action;
use super::cache::Part;
use super::exchange::{Exchange, ExchangeId};
use super::ledger::{Noted, estimate};

/// A result that was sent as it came and is to be counted.
#[derive(Debug, Clone)]
pub struct CountJob {
    /// The raw result, as the client got it.
    pub result: Bytes,
    /// What a model reads of it.
    pub seen: Seen,
    /// What is written into the ledger then.
    pub owed: Owed,
}

/// An entry of the ledger that only lacks its tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    /// When the answer was sent.
    pub at: Instant,
    /// The client's session; it may be gone.
    pub session: SessionId,
    /// The server's configured name.
    pub server: String,
    /// The tool's name as its server has it.
    pub tool: String,
    /// Whether the cache answered.
    pub is_hit: bool,
    /// Where the tokens are from, if they are counted.
    pub basis: Basis,
    /// Bytes of the raw result, for an estimate.
    pub n_bytes: usize,
}

/// Whether tokens of an answer are told together with it, so that it has to be counted first.
pub(super) fn is_told_with_tokens(exchange: &Exchange) -> bool {
    exchange.audit.is_some() || exchange.traced.is_some()
}

impl Hub {
    /// Accounts for an answer that is about to be sent. Where it has not been counted, returns what remains to
    /// be done once it is.
    pub(super) fn account(
        &mut self,
        now: Instant,
        upstream: UpstreamId,
        id: ExchangeId,
        shaped: &Shaped,
        message: &Message,
    ) -> Option<Action> {
        let exchange = self.exchanges.get(&id)?;
        let session = exchange.session;
        let is_hit = matches!(exchange.cache, Part::Hit { .. });
        let tool = exchange.called();
        let server = self.server_name(upstream);
        let how = match &shaped.given {
            Some((answer, form)) => {
                // In shadow mode no client was given anything.
                if !self.settings.is_shadow
                    && let Some(key) = self.repeat_key(upstream, id)
                {
                    self.repeats.given(now, key, answer, *form);
                    let exchange = self.exchanges.get_mut(&id);
                    if let Some(answered) =
                        exchange.and_then(|exchange| exchange.answered.as_deref_mut())
                    {
                        answered.is_remembered = true;
                    }
                }
                match form {
                    repeat::Form::Full | repeat::Form::Part => Kind::Answer,
                    repeat::Form::Unchanged => Kind::Unchanged,
                    repeat::Form::Delta => Kind::Delta,
                }
            }
            None => Kind::Answer,
        };
        let basis = match (self.settings.is_shadow, shaped.is_estimated) {
            // No model was sent it.
            (true, _) => Basis::Replayed,
            (false, true) => Basis::Estimated,
            (false, false) => Basis::Measured,
        };
        if let Some(seen) = shaped.uncounted {
            let result = message.raw().slice_ref(message.result()?);
            let owed = Owed {
                at: now,
                session,
                server,
                tool,
                is_hit,
                basis,
                n_bytes: result.len(),
            };
            return Some(Action::CountResult(Box::new(CountJob {
                result,
                seen,
                owed,
            })));
        }
        let noted = Noted {
            session,
            server: &server,
            tool: &tool,
            basis,
        };
        self.audit_tokens(id, shaped.before.get(), shaped.after.get());
        self.trace_tokens(id, shaped.before.get(), shaped.after.get());
        if is_hit {
            self.note_cached(now, noted, shaped.before, shaped.after);
        } else {
            self.note_shaped(now, noted, how, shaped.before, shaped.after);
        }
        None
    }

    /// Accounts for an answer that goes on as it came and that nobody took apart, mostly because it is short. It
    /// is a call like others; counting its tokens would cost more than they tell, so they are left out, before
    /// and after alike.
    pub(super) fn account_unshaped(
        &mut self,
        now: Instant,
        upstream: UpstreamId,
        id: ExchangeId,
        message: &Message,
    ) {
        if self.final_result(id, message).is_none() {
            return;
        }
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        let is_hit = matches!(exchange.cache, Part::Hit { .. });
        let tool = exchange.called();
        let server = self.server_name(upstream);
        let noted = Noted {
            session: exchange.session,
            server: &server,
            tool: &tool,
            basis: if self.settings.is_shadow {
                Basis::Replayed
            } else {
                Basis::Measured
            },
        };
        if is_hit {
            self.note_cached(now, noted, Tokens::ZERO, Tokens::ZERO);
        } else {
            self.note_shaped(now, noted, Kind::Answer, Tokens::ZERO, Tokens::ZERO);
        }
    }

    /// An answer goes out. Where it is not remembered (it is short, an error, a part that was asked for, or
    /// nobody shaped it), what was remembered of the call is its last answer no more: "the same as the last
    /// answer" would be taken to speak of this one.
    pub(super) fn forget_other_answers(&mut self, id: ExchangeId) {
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        let answered = exchange.answered.as_deref();
        if exchange.request.method() != method::TOOLS_CALL
            || answered.is_some_and(|answered| answered.is_remembered)
            || !self.repeats.knows(exchange.session)
        {
            return;
        }
        let key = exchange
            .upstream
            .and_then(|upstream| self.repeat_key(upstream, id));
        if let Some(key) = key {
            self.repeats.forget_call(&key);
        }
    }

    /// Writes into the ledger what [`Action::CountResult`] left open: counted, or with none estimated from its
    /// bytes and said to be.
    pub fn handle_counted(&mut self, owed: &Owed, tokens: Option<Tokens>) {
        let (tokens, basis) = match tokens {
            Some(tokens) => (tokens, owed.basis),
            None => (estimate(owed.n_bytes), Basis::Estimated),
        };
        let noted = Noted {
            session: owed.session,
            server: &owed.server,
            tool: &owed.tool,
            basis,
        };
        if owed.is_hit {
            self.note_cached(owed.at, noted, tokens, tokens);
        } else {
            self.note_shaped(owed.at, noted, Kind::Answer, tokens, tokens);
        }
    }
}
