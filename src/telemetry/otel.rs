//! Traces and metrics over OTLP (docs/telemetry.md), in builds with the feature `otel`. Shell, but for
//! `attributes`, which says what spans and measures are called.
//!
//! Nothing waits for a collector: spans go into a bounded queue, metrics into sums of bounded number, and threads
//! of the official SDK send them. What does not fit, or finds no collector, is lost; an outage is said once.

#[cfg(not(feature = "otel"))]
mod absent;
#[cfg(feature = "otel")]
mod attributes;
#[cfg(feature = "otel")]
mod export;
#[cfg(feature = "otel")]
mod meters;
#[cfg(feature = "otel")]
mod present;
#[cfg(feature = "otel")]
mod spans;

#[cfg(not(feature = "otel"))]
pub use absent::Otel;
#[cfg(feature = "otel")]
pub use present::Otel;
