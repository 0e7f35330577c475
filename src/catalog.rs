//! Definitions exactly as servers sent them, with fingerprints, and the merged catalog. Pure.

pub mod risk;
pub mod tool_view;
