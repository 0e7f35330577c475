//! The integration tests: one binary, one module for each behaviour that a user could name.

#![allow(
    clippy::disallowed_methods,
    reason = "tests read their own environment"
)]

mod architecture;
mod lean;
mod replay;
