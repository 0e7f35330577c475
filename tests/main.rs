//! The integration tests: one binary, one module for each behaviour that a user could name.

mod lean;
mod replay;
