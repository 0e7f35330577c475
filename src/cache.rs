//! The result cache: what may be kept, under which key, for how long, and what makes it worthless. Pure.
//!
//! Caching is a right that must be granted: a tool's results are kept only where the operator named the
//! tool, or trusts its server and the tool declares that it reads a closed world; lists and reads are
//! kept as long as their server said (`ttlMs`, MCP 2026-07-28 server/utilities/caching). What is kept is
//! the server's own result, never what was shown of it.
//!
//! `rules` is what the operator granted, `gate` says whether a request may be asked of the cache and
//! whether its answer may be kept, `key` names it, `fresh` says for how long, `epochs` counts what makes
//! entries worthless, `lru` holds them within a bound in bytes, `flight` joins equal requests, `record`
//! is an entry in a tier that several processes share.
//!
//! This room may not: decide who may call what (a hit passes the policy first, like any call), or let any
//! doubt end in a hit.

pub mod epochs;
pub mod flight;
pub mod fresh;
pub mod gate;
pub mod key;
pub mod lru;
pub mod record;
pub mod rules;
