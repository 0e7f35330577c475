//! Counters, histograms and gauges of the proxy, as Prometheus reads them. Shell: the numbers come from
//! the hub by way of the driver.
//!
//! Names follow the OpenTelemetry conventions for MCP (open-telemetry/semantic-conventions-genai,
//! `docs/gen-ai/mcp.md`, status development), written as Prometheus wants them: dots become underscores,
//! the unit stands at the end. What the conventions have no word for begins with `mcp_whittle_`. Every label
//! has few values: no session, no principal, no URI, no name that only a client wrote.

mod heap;
mod process;

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, prometheus_text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::hub::Counters;
use crate::hub::cache::CacheCounters;
use crate::hub::ledger::TokenTotals;
use crate::hub::limits::breaker::Position;
use crate::hub::measure::{Measured, Operation, Vitals};
use crate::mcp::version::Era;

pub use heap::Heap;

/// Bounds of the histograms in seconds, as the conventions advise.
const BUCKETS: [f64; 14] = [
    0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServerSide {
    mcp_method_name: &'static str,
    gen_ai_tool_name: String,
    error_type: &'static str,
    era: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClientSide {
    server: String,
    mcp_method_name: &'static str,
    gen_ai_tool_name: String,
    error_type: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    server: String,
    outcome: &'static str,
    era: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfServer {
    server: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfServerState {
    server: String,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;
/// A counter that is kept elsewhere and copied.
type Copied = Counter<u64, AtomicU64>;

/// All of them.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    server_operations: Histograms<ServerSide>,
    client_operations: Histograms<ClientSide>,
    sessions_ended: Histogram,
    ended: Family<Ended, Counter>,
    events: Family<Kind, Copied>,
    cache: Family<Kind, Copied>,
    tokens: Family<Kind, Copied>,
    held: Family<Kind, Gauge>,
    connections: Family<OfServerState, Gauge>,
    waiting: Family<OfServer, Gauge>,
    breakers: Family<OfServerState, Gauge>,
    heap: heap::Gauges,
    memory: Gauge,
    descriptors: Gauge,
}

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let server_operations = Histograms::new_with_constructor(histogram as fn() -> Histogram);
        let client_operations = Histograms::new_with_constructor(histogram as fn() -> Histogram);
        let sessions_ended = histogram();
        registry.register_with_unit(
            "mcp_server_operation_duration",
            "Requests of clients, from arrival to answer",
            Unit::Seconds,
            server_operations.clone(),
        );
        registry.register_with_unit(
            "mcp_client_operation_duration",
            "Requests to servers, from sending to answer",
            Unit::Seconds,
            client_operations.clone(),
        );
        registry.register_with_unit(
            "mcp_server_session_duration",
            "Sessions of clients that ended",
            Unit::Seconds,
            sessions_ended.clone(),
        );
        let build = Family::<BuildLabels, Gauge>::default();
        build
            .get_or_create(&BuildLabels {
                version: env!("CARGO_PKG_VERSION"),
            })
            .set(1);
        let metrics = Self {
            server_operations,
            client_operations,
            sessions_ended,
            ended: Family::default(),
            events: Family::default(),
            cache: Family::default(),
            tokens: Family::default(),
            held: Family::default(),
            connections: Family::default(),
            waiting: Family::default(),
            breakers: Family::default(),
            heap: heap::Gauges::default(),
            memory: Gauge::default(),
            descriptors: Gauge::default(),
            registry: Registry::default(),
        };
        registry.register("mcp_whittle_build_info", "Which program this is", build);
        registry.register(
            "mcp_whittle_requests",
            "Requests of clients by how they ended",
            metrics.ended.clone(),
        );
        registry.register(
            "mcp_whittle_events",
            "What else was counted: requests, answers, busy, refused, strays, garbage, restarts",
            metrics.events.clone(),
        );
        registry.register(
            "mcp_whittle_cache",
            "What the result cache did",
            metrics.cache.clone(),
        );
        registry.register(
            "mcp_whittle_tokens",
            "Tokens of answers that were looked at: as servers sent them, as clients got them, and read back later",
            metrics.tokens.clone(),
        );
        registry.register(
            "mcp_whittle_open",
            "What is open now: sessions, streams, requests",
            metrics.held.clone(),
        );
        registry.register(
            "mcp_whittle_upstream_connections",
            "Connections to servers by state",
            metrics.connections.clone(),
        );
        registry.register(
            "mcp_whittle_upstream_waiting",
            "Requests that servers have and have not answered",
            metrics.waiting.clone(),
        );
        registry.register(
            "mcp_whittle_upstream_breaker",
            "Where the circuit breaker of a server stands: 1 for one of its states",
            metrics.breakers.clone(),
        );
        metrics.heap.register(&mut registry);
        registry.register_with_unit(
            "process_resident_memory",
            "Resident memory",
            Unit::Bytes,
            metrics.memory.clone(),
        );
        registry.register(
            "process_open_fds",
            "Open file descriptors",
            metrics.descriptors.clone(),
        );
        Self {
            registry,
            ..metrics
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
}

impl Metrics {
    /// Counts what is over.
    pub fn record(&self, measured: &Measured) {
        match measured {
            Measured::Request { operation, era } => {
                let era = era_word(*era);
                self.server_operations
                    .get_or_create(&ServerSide {
                        mcp_method_name: operation.method,
                        gen_ai_tool_name: tool(operation),
                        error_type: operation.outcome.error_type(),
                        era,
                    })
                    .observe(seconds(operation.took));
                self.ended
                    .get_or_create(&Ended {
                        server: operation.server.clone(),
                        outcome: operation.outcome.word(),
                        era,
                    })
                    .inc();
            }
            Measured::Upstream(operation) => self
                .client_operations
                .get_or_create(&ClientSide {
                    server: operation.server.clone(),
                    mcp_method_name: operation.method,
                    gen_ai_tool_name: tool(operation),
                    error_type: operation.outcome.error_type(),
                })
                .observe(seconds(operation.took)),
            Measured::Session(took) => self.sessions_ended.observe(seconds(*took)),
        }
    }

    /// Takes over numbers that are kept elsewhere. Servers that are gone stay with what was last known of
    /// them until the process ends.
    pub fn copy(
        &self,
        vitals: &Vitals,
        counters: &Counters,
        cache: &CacheCounters,
        tokens: &TokenTotals,
    ) {
        let Counters {
            requests,
            answers,
            strays,
            refused,
            garbage,
            restarts,
            busy,
        } = *counters;
        copy(
            &self.events,
            &[
                ("requests", requests),
                ("answers", answers),
                ("strays", strays),
                ("refused", refused),
                ("garbage", garbage),
                ("restarts", restarts),
                ("busy", busy),
            ],
        );
        copy(
            &self.cache,
            &[
                ("hits", cache.hits),
                ("tier_hits", cache.tier_hits),
                ("misses", cache.misses),
                ("joined", cache.joined),
                ("stored", cache.stored),
                ("evicted", cache.evicted),
                ("stood_in", cache.stood_in),
                ("writes", cache.writes),
                ("tier_late", cache.tier_late),
            ],
        );
        copy(
            &self.tokens,
            &[
                ("before", tokens.before),
                ("after", tokens.after),
                ("read_back", tokens.read_back),
            ],
        );
        for (kind, value) in [
            ("sessions", vitals.sessions),
            ("streams", vitals.streams),
            ("requests", vitals.requests),
        ] {
            self.held.get_or_create(&Kind { kind }).set(signed(value));
        }
        for server in &vitals.servers {
            let state = |state| OfServerState {
                server: server.name.clone(),
                state,
            };
            for (word, count) in server.connections {
                self.connections
                    .get_or_create(&state(word))
                    .set(signed(count));
            }
            for (word, position) in [
                ("closed", Position::Closed),
                ("open", Position::Open),
                ("half_open", Position::HalfOpen),
            ] {
                self.breakers
                    .get_or_create(&state(word))
                    .set(i64::from(server.breaker == position));
            }
            self.waiting
                .get_or_create(&OfServer {
                    server: server.name.clone(),
                })
                .set(signed(server.waiting));
        }
    }

    /// Takes over what the allocator says of itself.
    pub fn set_heap(&self, heap: &Heap) {
        self.heap.set(heap);
    }

    /// Writes everything in the text format, version 0.0.4.
    pub fn render(&self) -> String {
        self.memory.set(signed(process::resident_bytes()));
        self.descriptors.set(signed(process::descriptors()));
        let mut text = String::new();
        // Writing to a text cannot fail.
        let _ = prometheus_text::encode(&mut text, &self.registry);
        text
    }
}

fn copy(family: &Family<Kind, Copied>, values: &[(&'static str, u64)]) {
    for (kind, value) in values {
        family
            .get_or_create(&Kind { kind })
            .inner()
            .store(*value, std::sync::atomic::Ordering::Relaxed);
    }
}

fn tool(operation: &Operation) -> String {
    operation.tool.clone().unwrap_or_default()
}

fn era_word(era: Era) -> &'static str {
    match era {
        Era::Legacy => "legacy",
        Era::Modern => "modern",
    }
}

fn seconds(took: Duration) -> f64 {
    took.as_secs_f64()
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The type of what [`Metrics::render`] writes.
pub const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::measure::{Outcome, ServerVitals};

    fn operation(outcome: Outcome) -> Operation {
        Operation {
            method: "tools/call",
            tool: Some("a\"b\\c\nd".into()),
            server: "docs".into(),
            version: "2025-11-25",
            outcome,
            took: Duration::from_millis(30),
        }
    }

    #[test]
    fn names_are_those_of_the_conventions() {
        let metrics = Metrics::default();
        metrics.record(&Measured::Request {
            operation: operation(Outcome::ToolError),
            era: Era::Legacy,
        });
        metrics.record(&Measured::Upstream(operation(Outcome::Error(-31003))));
        metrics.record(&Measured::Session(Duration::from_secs(7)));
        let vitals = Vitals {
            sessions: 3,
            streams: 2,
            requests: 1,
            servers: vec![ServerVitals {
                name: "docs".into(),
                connections: [("ready", 1), ("starting", 0), ("down", 0)],
                waiting: 4,
                breaker: Position::Open,
            }],
        };
        metrics.copy(
            &vitals,
            &Counters {
                busy: 9,
                ..Counters::default()
            },
            &CacheCounters::default(),
            &TokenTotals {
                before: 100,
                after: 40,
                read_back: 0,
            },
        );
        metrics.set_heap(&Heap {
            allocated: 7,
            resident: 12_288,
            ..Heap::default()
        });
        let text = metrics.render();
        for line in [
            r#"mcp_server_operation_duration_seconds_bucket{mcp_method_name="tools/call",gen_ai_tool_name="a\"b\\c\nd",error_type="tool_error",era="legacy",le="0.05"} 1"#,
            r#"mcp_client_operation_duration_seconds_count{server="docs",mcp_method_name="tools/call",gen_ai_tool_name="a\"b\\c\nd",error_type="-31003"} 1"#,
            "mcp_server_session_duration_seconds_sum 7.0",
            r#"mcp_whittle_requests_total{server="docs",outcome="tool_error",era="legacy"} 1"#,
            r#"mcp_whittle_events_total{kind="busy"} 9"#,
            r#"mcp_whittle_tokens_total{kind="after"} 40"#,
            r#"mcp_whittle_open{kind="sessions"} 3"#,
            r#"mcp_whittle_upstream_breaker{server="docs",state="open"} 1"#,
            r#"mcp_whittle_upstream_waiting{server="docs"} 4"#,
            r#"mcp_whittle_heap_bytes{kind="allocated"} 7"#,
            r#"mcp_whittle_heap_bytes{kind="resident"} 12288"#,
            "# TYPE mcp_server_operation_duration_seconds histogram",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
