//! The account of a tool list.
