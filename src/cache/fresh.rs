//! How long an answer is fresh (MCP 2026-07-28 server/utilities/caching).
//!
//! Whose it is needs no rule: what a server calls `public` is kept for one principal like all else.

use std::time::Duration;

/// Returns how long an answer is fresh: the least of what the operator granted, what the server said and
/// the cap; zero keeps nothing.
///
/// `granted` is none for lists and reads, which are kept by the server's word alone. `said` is the raw
/// `ttlMs`: absent, negative or no whole number counts as zero where the server's word decides.
pub fn ttl(granted: Option<Duration>, said: Option<&[u8]>, cap: Duration) -> Duration {
    let told = said.map(|raw| {
        std::str::from_utf8(raw)
            .ok()
            .and_then(|text| text.trim().parse::<u64>().ok())
            .map_or(Duration::ZERO, Duration::from_millis)
    });
    match (granted, told) {
        (Some(granted), Some(told)) => granted.min(told).min(cap),
        (Some(granted), None) => granted.min(cap),
        (None, Some(told)) => told.min(cap),
        (None, None) => Duration::ZERO,
    }
}

/// Returns what is left of a time in whole milliseconds, never more than is true.
pub fn left_ms(ttl: Duration, age: Duration) -> u64 {
    u64::try_from(ttl.saturating_sub(age).as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_counts_and_silence_is_nothing() {
        let s = Duration::from_secs;
        for (granted, said, expected) in [
            (Some(60), None, 60),
            (Some(60), Some("5000"), 5),
            (Some(60), Some("0"), 0),
            (Some(60), Some("-1"), 0),
            (Some(60), Some("null"), 0),
            (Some(9999), None, 3600),
            (None, None, 0),
            (None, Some("5000"), 5),
            (None, Some("-5000"), 0),
            (None, Some("1.5"), 0),
            (None, Some("\"5000\""), 0),
            (None, Some("99999999999999999999999"), 0),
            (None, Some("99999999999"), 3600),
        ] {
            let got = ttl(granted.map(s), said.map(str::as_bytes), s(3600));
            assert_eq!(got, s(expected), "{granted:?} {said:?}");
        }
        assert_eq!(left_ms(s(5), Duration::from_micros(1)), 4999);
        assert_eq!(left_ms(s(5), s(6)), 0);
    }
}
