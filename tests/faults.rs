//! The fault list: one test for each row, named after its id. `docs/faults.md` has the table, and
//! `table` holds it against the functions here.

mod cache;
mod cancel;
mod framing;
mod inbound_http;
mod lists;
mod off;
mod platform;
mod results;
mod service;
mod stdio_child;
mod stdio_streams;
mod surface;
mod table;
mod upstream_http;

/// Restarts that do not make tests wait.
const FAST_RESTART: &str = "restart.initial_backoff = \"20ms\"\nrestart.max_backoff = \"100ms\"";

/// Ends that do not make tests wait.
const FAST_END: &str = "timeouts.shutdown_grace = \"300ms\"\ntimeouts.term_grace = \"200ms\"\ntimeouts.kill_grace = \"200ms\"";
