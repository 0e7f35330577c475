//! Instruments: the histograms of the conventions for MCP, and our token counters.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter};

use crate::hub::ledger::TokenTotals;
use crate::hub::measure::Measured;
use crate::hub::trace::Side;

use super::attributes::{BUCKETS, Carriers, of_operation};
use super::spans::key_values;

/// All instruments.
pub(super) struct Meters {
    server_operations: Histogram<f64>,
    client_operations: Histogram<f64>,
    server_sessions: Histogram<f64>,
    tokens: Arc<[AtomicU64; 3]>,
}

impl Meters {
    pub(super) fn new(meter: &Meter) -> Self {
        let histogram = |name: &'static str, description: &'static str| {
            meter
                .f64_histogram(name)
                .with_unit("s")
                .with_description(description)
                .with_boundaries(BUCKETS.to_vec())
                .build()
        };
        let tokens: Arc<[AtomicU64; 3]> = Arc::default();
        let shared = Arc::clone(&tokens);
        // The SDK keeps it and asks it before each export.
        let _ = meter
            .u64_observable_counter("mcp_whittle.tokens")
            .with_unit("{token}")
            .with_description("Tokens of answers that were looked at: as servers sent them, as clients got them, and read back later")
            .with_callback(move |observer| {
                for (kind, count) in ["before", "after", "read_back"].iter().zip(shared.iter()) {
                    let kind = KeyValue::new("mcp_whittle.token.kind", *kind);
                    observer.observe(count.load(Ordering::Relaxed), &[kind]);
                }
            })
            .build();
        Self {
            server_operations: histogram(
                "mcp.server.operation.duration",
                "Requests of clients, from arrival to answer",
            ),
            client_operations: histogram(
                "mcp.client.operation.duration",
                "Requests to servers, from sending to answer",
            ),
            server_sessions: histogram(
                "mcp.server.session.duration",
                "Sessions of clients that ended",
            ),
            tokens,
        }
    }

    pub(super) fn record(&self, measured: &Measured, carriers: &Carriers) {
        match measured {
            Measured::Request { operation, .. } => self.server_operations.record(
                operation.took.as_secs_f64(),
                &key_values(of_operation(Side::Server, operation, carriers)),
            ),
            Measured::Upstream(operation) => self.client_operations.record(
                operation.took.as_secs_f64(),
                &key_values(of_operation(Side::Client, operation, carriers)),
            ),
            Measured::Session(took) => self.server_sessions.record(took.as_secs_f64(), &[]),
        }
    }

    pub(super) fn copy(&self, tokens: &TokenTotals) {
        let totals = [tokens.before, tokens.after, tokens.read_back];
        for (shared, total) in self.tokens.iter().zip(totals) {
            shared.store(total, Ordering::Relaxed);
        }
    }
}
