//! What a call may do: decided on the real tool and its arguments, before anything is sent. Pure.
//!
//! Today there are no rules, so every call is allowed; every call passes here all the same, so that
//! rules have one place to stand.

use crate::session::Principal;

/// A call about to be made, as its server will see it.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Whose call it is.
    pub principal: &'a Principal,
    /// The server's configured name.
    pub server: &'a str,
    /// The tool's own name, not the one that is shown.
    pub tool: &'a str,
    /// The raw arguments, if there are any.
    pub arguments: Option<&'a [u8]>,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is made.
    Allow,
    /// The client is told that there is no such tool.
    Hide,
}

/// Rules for calls.
#[derive(Debug, Clone, Default)]
pub struct Policy {}

impl Policy {
    /// Decides a call.
    pub fn decide(&self, _call: &Call<'_>) -> Verdict {
        Verdict::Allow
    }
}
