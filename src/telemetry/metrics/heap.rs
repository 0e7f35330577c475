//! What the allocator holds, in which shape: whether memory that grows is a leak, fragments or free pages.

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::{Kind, signed};

/// Bytes, each but the last two part of the next one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Heap {
    /// What the program asked for and has not given back. Grows: a leak, or something that fills up.
    pub allocated: usize,
    /// Pages that hold some of it. Grows beside `allocated`: fragments.
    pub active: usize,
    /// Pages that are in memory: these, free ones that are kept for a next time, and the allocator's own.
    pub resident: usize,
    /// Address space that is in use or kept.
    pub mapped: usize,
    /// Address space that was given back but not unmapped; costs no memory.
    pub retained: usize,
    /// The allocator's own; part of `resident`.
    pub metadata: usize,
}

impl Heap {
    fn kinds(&self) -> [(&'static str, usize); 6] {
        [
            ("allocated", self.allocated),
            ("active", self.active),
            ("resident", self.resident),
            ("mapped", self.mapped),
            ("retained", self.retained),
            ("metadata", self.metadata),
        ]
    }
}

/// The gauges of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Gauges(Family<Kind, Gauge>);

impl Gauges {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "mcp_whittle_heap",
            "What the allocator holds: allocated, active and resident lie in each other",
            Unit::Bytes,
            self.0.clone(),
        );
    }

    pub(super) fn set(&self, heap: &Heap) {
        for (kind, bytes) in heap.kinds() {
            self.0.get_or_create(&Kind { kind }).set(signed(bytes));
        }
    }
}
