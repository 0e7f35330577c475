//! What the client sees as `tools/list`: renderings of definitions. Pure.

pub mod budget;
pub mod constraints;
pub mod economy;
pub mod epoch;
pub mod front_load;
pub mod ladder;
pub mod lean;
pub mod lock;
pub mod made;
pub mod meta_tools;
pub mod parameters;
pub mod plan;
pub mod prefix;
pub mod root_union;
pub(crate) mod schema;
mod sentences;
pub mod shared_text;
pub mod shorten;
pub mod summaries;
mod tree;
pub mod validate;
