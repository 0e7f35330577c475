//! The integration tests: one binary, one module for each behaviour that a user could name.

#![allow(
    clippy::disallowed_methods,
    reason = "tests read their own environment"
)]

mod architecture;
mod behaviours;
mod budget;
mod conformance;
mod faults;
mod fuzz;
mod kit;
mod kube;
mod ladder;
mod lean;
mod lock;
mod messages;
mod parser_differential;
mod peers_kit;
mod peers_table;
mod processes;
mod profiles;
mod real_servers;
mod replay;
mod search;
mod shown;
mod summaries;
mod surface;
mod validate;
