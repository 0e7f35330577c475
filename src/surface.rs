//! What the client sees as `tools/list`: renderings of definitions. Pure.

pub mod constraints;
pub mod ladder;
pub mod lean;
mod schema;
mod sentences;
pub mod shorten;
mod tree;
