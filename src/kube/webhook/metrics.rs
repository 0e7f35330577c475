//! What the webhook counts, as Prometheus reads it. No names of pods or namespaces.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the histogram, in milliseconds.
const BUCKETS: [u64; 7] = [1, 5, 20, 100, 500, 1000, 2000];
/// How a request can end.
const RESULTS: [&str; 5] = ["injected", "left_alone", "invalid", "failed", "refused"];

/// The counters.
#[derive(Debug, Default)]
pub struct Metrics {
    results: [AtomicU64; RESULTS.len()],
    buckets: [AtomicU64; BUCKETS.len()],
    n_timed: AtomicU64,
    micros: AtomicU64,
    reloads: [AtomicU64; 2],
    not_after: AtomicI64,
}

impl Metrics {
    /// Counts a request that ended, after how long.
    pub fn ended(&self, result: &str, after: Duration) {
        if let Some(index) = RESULTS.iter().position(|known| *known == result) {
            self.results[index].fetch_add(1, Ordering::Relaxed);
        }
        for (bucket, bound) in self.buckets.iter().zip(BUCKETS) {
            if after <= Duration::from_millis(bound) {
                bucket.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.n_timed.fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Counts an attempt to take over a changed certificate.
    pub fn reloaded(&self, is_ok: bool) {
        self.reloads[usize::from(!is_ok)].fetch_add(1, Ordering::Relaxed);
    }

    /// Notes until when the certificate in use is valid, in seconds since 1970.
    pub fn set_not_after(&self, seconds: i64) {
        self.not_after.store(seconds, Ordering::Relaxed);
    }

    /// Writes the text format, version 0.0.4.
    pub fn render(&self) -> String {
        let mut text = String::new();
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut line = |words: &str| {
            text.push_str(words);
            text.push('\n');
        };
        line("# HELP mcp_whittle_webhook_requests_total Requests by what became of the pod.");
        line("# TYPE mcp_whittle_webhook_requests_total counter");
        for (result, count) in RESULTS.iter().zip(&self.results) {
            line(&format!(
                "mcp_whittle_webhook_requests_total{{result=\"{result}\"}} {}",
                get(count)
            ));
        }
        line("# HELP mcp_whittle_webhook_duration_seconds Time to answer.");
        line("# TYPE mcp_whittle_webhook_duration_seconds histogram");
        let mut buckets = String::new();
        for (bound, count) in BUCKETS.iter().zip(&self.buckets) {
            #[expect(clippy::cast_precision_loss, reason = "small constants")]
            let seconds = *bound as f64 / 1000.0;
            let _ = writeln!(
                buckets,
                "mcp_whittle_webhook_duration_seconds_bucket{{le=\"{seconds}\"}} {}",
                get(count)
            );
        }
        line(buckets.trim_end());
        let all = get(&self.n_timed);
        line(&format!(
            "mcp_whittle_webhook_duration_seconds_bucket{{le=\"+Inf\"}} {all}"
        ));
        let micros = get(&self.micros);
        line(&format!(
            "mcp_whittle_webhook_duration_seconds_sum {}.{:06}",
            micros / 1_000_000,
            micros % 1_000_000
        ));
        line(&format!("mcp_whittle_webhook_duration_seconds_count {all}"));
        line(
            "# HELP mcp_whittle_webhook_certificate_reloads_total Changed certificates by whether they could be used.",
        );
        line("# TYPE mcp_whittle_webhook_certificate_reloads_total counter");
        for (result, count) in ["ok", "failed"].iter().zip(&self.reloads) {
            line(&format!(
                "mcp_whittle_webhook_certificate_reloads_total{{result=\"{result}\"}} {}",
                get(count)
            ));
        }
        line(
            "# HELP mcp_whittle_webhook_certificate_not_after_seconds When the certificate in use expires, since 1970.",
        );
        line("# TYPE mcp_whittle_webhook_certificate_not_after_seconds gauge");
        line(&format!(
            "mcp_whittle_webhook_certificate_not_after_seconds {}",
            self.not_after.load(Ordering::Relaxed)
        ));
        text
    }
}
