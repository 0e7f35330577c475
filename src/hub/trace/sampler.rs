//! Which traces are recorded, by the rules of the OpenTelemetry specification (trace/sdk, "Built-in samplers").
//! A pure function of settings and context: all hops with the same share agree on a trace.

use crate::mcp::trace::TraceContext;

/// Decides whether spans are recorded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampler {
    /// Whether a request that is part of a trace is recorded exactly where its caller is (`parentbased_*`).
    pub follows_parent: bool,
    /// The share of all other traces that is recorded, 0 to 1.
    pub share: f64,
}

impl Default for Sampler {
    /// `parentbased_always_on`, the specification's default.
    fn default() -> Self {
        Self {
            follows_parent: true,
            share: 1.0,
        }
    }
}

impl Sampler {
    /// Decides for a request with this caller, or for a trace of this id that begins here.
    pub fn samples(&self, parent: Option<TraceContext>, trace_id: [u8; 16]) -> bool {
        match parent {
            Some(parent) if self.follows_parent => parent.is_sampled(),
            _ => is_within(self.share, trace_id),
        }
    }
}

/// `TraceIdRatioBased`: the last 63 bits of the id against the share of 2^63, as the official SDK for Rust
/// does it, so that services with the same share record the same traces.
fn is_within(share: f64, trace_id: [u8; 16]) -> bool {
    if share >= 1.0 {
        return true;
    }
    let [.., a, b, c, d, e, f, g, h] = trace_id;
    let random = u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1;
    // A share is not negative; `as` ends at the bounds of the type.
    random < (share.max(0.0) * (1_u64 << 63) as f64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(low: u64) -> [u8; 16] {
        let mut id = [1; 16];
        id[8..].copy_from_slice(&low.to_be_bytes());
        id
    }

    #[test]
    fn a_share_of_ids_is_recorded() {
        let sampler = |share| Sampler {
            follows_parent: true,
            share,
        };
        for low in [0, 1, u64::MAX / 2, u64::MAX] {
            assert!(sampler(1.0).samples(None, id(low)));
            assert!(!sampler(0.0).samples(None, id(low)));
        }
        let n = 10_000_u64;
        let step = u64::MAX / n;
        let taken = (0..n).filter(|at| sampler(0.25).samples(None, id(at * step)));
        // The share of the last step may be one too many.
        assert!((2500..=2501).contains(&taken.count()));
    }

    #[test]
    fn a_caller_decides_where_it_is_followed() {
        for is_sampled in [true, false] {
            let parent = TraceContext::root(id(7), [1; 8], is_sampled);
            for share in [0.0, 1.0] {
                let mut sampler = Sampler {
                    follows_parent: true,
                    share,
                };
                assert_eq!(sampler.samples(Some(parent), parent.trace_id), is_sampled);
                sampler.follows_parent = false;
                assert_eq!(sampler.samples(Some(parent), parent.trace_id), share == 1.0);
            }
        }
    }
}
