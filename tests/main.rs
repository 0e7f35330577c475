//! The integration tests: one binary, one module for each behaviour that a user could name.

#![allow(
    clippy::disallowed_methods,
    reason = "tests read their own environment"
)]

mod architecture;
mod auth;
mod behaviours;
mod bench_report;
mod budget;
mod cache;
mod clients;
mod conformance;
mod faults;
mod fuzz;
mod images;
mod jq;
mod kit;
mod kube;
mod ladder;
mod lean;
mod links;
mod lock;
mod messages;
mod notation;
#[cfg(feature = "otel")]
mod otel;
mod parser_differential;
mod peers_kit;
mod peers_table;
mod policy;
mod processes;
mod profiles;
mod read_result;
mod real_servers;
mod repeats;
mod replay;
mod sample;
mod search;
mod security;
mod shapes;
mod shown;
mod soak;
mod stats;
mod summaries;
mod surface;
mod validate;
