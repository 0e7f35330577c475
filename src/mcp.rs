//! Names and shapes of the Model Context Protocol: methods, versions and eras, `_meta` keys, headers,
//! error codes, views over raw tools and results. Pure.
//!
//! Facts are those of the specification, revisions 2024-11-05 to 2026-07-28; where a rule comes from a
//! page of it, the item says which.

pub mod capabilities;
pub mod error;
pub mod header;
pub mod level;
pub mod meta;
pub mod method;
pub mod result;
pub mod trace;
pub mod version;
