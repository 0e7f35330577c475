//! Texts that begin with a date of ISO 8601, in the order of time as far as it can be told. Pure.

/// A text with a date at its front.
#[derive(Debug, Clone, Copy)]
pub(super) struct Date<'a> {
    day: &'a str,
    /// Hours to seconds, and what is behind their point without zeros at its end; or whatever follows the day.
    time: &'a str,
    fraction: &'a str,
    /// `Z` for all ways to write it; empty where there is none.
    zone: &'a str,
}

impl<'a> Date<'a> {
    pub(super) fn of(text: &'a str) -> Option<Self> {
        let bytes = text.as_bytes();
        let is_day = bytes.len() >= 10
            && bytes[..10]
                .iter()
                .enumerate()
                .all(|(index, byte)| match index {
                    4 | 7 => *byte == b'-',
                    _ => byte.is_ascii_digit(),
                });
        if !is_day {
            return None;
        }
        let (day, rest) = text.split_at(10);
        let other = Self {
            day,
            time: rest,
            fraction: "",
            zone: "",
        };
        let Some(clock) = rest.strip_prefix(['T', 't', ' ']) else {
            return Some(other);
        };
        let end = |text: &str, is: &dyn Fn(u8) -> bool| {
            text.bytes()
                .position(|byte| !is(byte))
                .unwrap_or(text.len())
        };
        let (time, rest) = clock.split_at(end(clock, &|byte: u8| {
            byte.is_ascii_digit() || byte == b':'
        }));
        let (fraction, rest) = match rest.strip_prefix(['.', ',']) {
            Some(rest) => rest.split_at(end(rest, &|byte: u8| byte.is_ascii_digit())),
            None => ("", rest),
        };
        let zone = match rest.trim_start() {
            "Z" | "z" | "UTC" | "GMT" | "+00:00" | "-00:00" | "+0000" | "-0000" | "+00" => "Z",
            zone => zone,
        };
        let is_zone = zone.is_empty()
            || zone == "Z"
            || zone.strip_prefix(['+', '-']).is_some_and(|zone| {
                zone.bytes()
                    .all(|byte| byte.is_ascii_digit() || byte == b':')
            });
        if time.is_empty() || !is_zone {
            return Some(other);
        }
        Some(Self {
            day,
            time,
            fraction: fraction.trim_end_matches('0'),
            zone,
        })
    }

    /// Whether it is known which of two is earlier.
    pub(super) fn is_comparable(&self, other: &Date<'_>) -> bool {
        self.zone == other.zone
    }

    /// Whether it is earlier, in the same zone.
    pub(super) fn is_before(&self, other: &Date<'_>) -> bool {
        (self.day, self.time, self.fraction) < (other.day, other.time, other.fraction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken variant that this catches: dates are compared as texts, in which `.` is before `Z` and a space before
    /// `T`, and offsets are nothing.
    #[test]
    fn dates_are_in_the_order_of_time() {
        let ascending = [
            "2026-05-01T09:00:00Z",
            "2026-05-01 10:00:00+00:00",
            "2026-05-01T10:00:00.5Z",
            "2026-05-01 10:00:00.50001 UTC",
            "2026-05-01T10:00:01.000Z",
            "2026-05-02T00:00:00Z",
        ];
        let dates = ascending.map(|text| Date::of(text).unwrap());
        for pair in dates.windows(2) {
            assert!(pair[0].is_comparable(&pair[1]), "{pair:?}");
            assert!(pair[0].is_before(&pair[1]), "{pair:?}");
            assert!(!pair[1].is_before(&pair[0]), "{pair:?}");
        }
        let here = Date::of("2026-05-01T23:59:59+14:00").unwrap();
        for other in [
            "2026-05-01T12:00:00-11:00",
            "2026-05-01T12:00:00Z",
            "2026-05-01",
        ] {
            assert!(!here.is_comparable(&Date::of(other).unwrap()), "{other}");
        }
        let report = Date::of("2026-05-01 report").unwrap();
        assert!(report.is_comparable(&Date::of("2026-05-02").unwrap()));
        assert!(Date::of("2026-5-1").is_none() && Date::of("20é6-05-01").is_none());
    }
}
