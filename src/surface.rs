//! What the client sees as `tools/list`: renderings of definitions. Pure.

pub mod lean;
pub mod meta_tools;
pub mod validate;
