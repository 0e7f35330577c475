//! Days of the ledger: counted from 1970-01-01 UTC, written `2026-11-28`. Pure; nobody asks a clock here.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Seconds of a day.
const SECONDS: u64 = 86_400;

/// A day in UTC.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Day(u32);

impl Day {
    /// The day so many days after 1970-01-01.
    pub const fn new(days: u32) -> Self {
        Self(days)
    }

    /// Returns the days since 1970-01-01.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The day of a time in seconds since 1970-01-01.
    pub fn of_seconds(seconds: u64) -> Self {
        Self(u32::try_from(seconds / SECONDS).unwrap_or(u32::MAX))
    }

    /// The day after.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The day so many days before; at the earliest 1970-01-01.
    #[must_use]
    pub const fn before(self, days: u32) -> Self {
        Self(self.0.saturating_sub(days))
    }

    /// Reads `2026-11-28`, or days and weeks before `today`: `7d`, `2w`. `1d` is today, `7d` today and the
    /// six days before it.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse_since(text: &str, today: Self) -> Result<Self, String> {
        let expected = || {
            format!(
                "`{text}` is no day: expected one such as `2026-11-28`, or a time back such as `7d` or `2w`"
            )
        };
        for (unit, days) in [('d', 1), ('w', 7)] {
            if let Some(number) = text.strip_suffix(unit) {
                let number: u32 = number.parse().map_err(|_| expected())?;
                return Ok(today.before(number.saturating_mul(days).saturating_sub(1)));
            }
        }
        Self::parse_date(text).ok_or_else(expected)
    }

    fn parse_date(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut part = |length: usize| -> Option<i64> {
            let part = parts.next()?;
            let is_number = part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| part.parse().ok())?
        };
        let (year, month, day) = (part(4)?, part(2)?, part(2)?);
        if parts.next().is_some() || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return None;
        }
        let found = Self(u32::try_from(days_of(year, month, day)).ok()?);
        // What the calendar does not have (February 30) comes back as another day.
        (found.to_string() == text).then_some(found)
    }
}

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar (Howard Hinnant, "chrono-Compatible
/// Low-Level Date Algorithms", `days_from_civil`).
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

impl fmt::Display for Day {
    /// The date in ISO 8601 (`civil_from_days` of the same source).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = i64::from(self.0) + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 {
            shifted + 3
        } else {
            shifted - 9
        };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_written_and_read() {
        for (days, text) in [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (20_785, "2026-11-28"),
        ] {
            assert_eq!(Day::new(days).to_string(), text);
            assert_eq!(Day::parse_since(text, Day::default()), Ok(Day::new(days)));
        }
        for days in 0..60_000 {
            let day = Day::new(days);
            assert_eq!(Day::parse_date(&day.to_string()), Some(day));
        }
        assert_eq!(Day::of_seconds(86_399), Day::new(0));
        assert_eq!(Day::of_seconds(86_400), Day::new(1));
    }

    #[test]
    fn times_back_count_today() {
        let today = Day::new(20_785);
        let since = |text: &str| Day::parse_since(text, today);
        assert_eq!(since("1d"), Ok(today));
        assert_eq!(since("2w"), Ok(Day::new(20_772)));
        assert_eq!(since("99999999d"), Ok(Day::new(0)));
        for wrong in [
            "",
            "d",
            "7",
            "2026-2-1",
            "2026-02-30",
            "2026-13-01",
            "-1d",
            "1h",
        ] {
            let error = since(wrong).expect_err(wrong);
            assert!(error.contains("expected one such as"), "{error}");
        }
    }
}
