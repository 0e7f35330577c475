//! Texts that begin with a date of ISO 8601, in the order of time as far as it can be told. Pure.

/// A text with a date at its front.
#[derive(Debug, Clone, Copy)]
pub(super) struct Date<'a> {
    /// Seconds since 1970: of UTC where the zone is known, else of the clock there.
    seconds: i64,
    /// What is behind their point, without zeros at its end.
    fraction: &'a str,
    /// What follows a date or a time without a zone.
    tail: &'a str,
    zone: Zone<'a>,
}

/// Where the clock stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Zone<'a> {
    /// It is not said.
    Unsaid,
    /// At an offset from UTC.
    Known,
    /// In a zone whose offset is not known here: `CET`, `[Europe/Paris]`.
    Named(&'a str),
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
        let number = |digits: &str| digits.parse::<i64>().unwrap_or(0);
        let midnight = days(number(&day[..4]), number(&day[5..7]), number(&day[8..])) * 86_400;
        let other = Self {
            seconds: midnight,
            fraction: "",
            tail: rest,
            zone: Zone::Unsaid,
        };
        let Some(clock) = rest.strip_prefix(['T', 't', ' ']) else {
            return Some(other);
        };
        let (time, behind) = split(clock, |byte| byte.is_ascii_digit() || byte == b':');
        // The number of `2026-05-01 1200 letters` is no time.
        let is_time = time.contains(':') || (time.len() >= 4 && !rest.starts_with(' '));
        let Some(time) = seconds(time).filter(|_| is_time) else {
            return Some(other);
        };
        let (fraction, behind) = match behind.strip_prefix(['.', ',']) {
            Some(digits) if digits.starts_with(|c: char| c.is_ascii_digit()) => {
                split(digits, |byte| byte.is_ascii_digit())
            }
            _ => ("", behind),
        };
        let (zone, offset) = zone(behind);
        Some(Self {
            seconds: midnight + time - offset,
            fraction: fraction.trim_end_matches('0'),
            tail: if zone == Zone::Unsaid { behind } else { "" },
            zone,
        })
    }

    /// Whether it is known which of two is earlier.
    pub(super) fn is_comparable(&self, other: &Date<'_>) -> bool {
        self.zone == other.zone
    }

    /// Whether it is earlier than one that it can be compared with.
    pub(super) fn is_before(&self, other: &Date<'_>) -> bool {
        (self.seconds, self.fraction, self.tail) < (other.seconds, other.fraction, other.tail)
    }
}

/// Days since 1970-01-01 of a day of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March, so that the day that comes every four years is the last.
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leaps + of_year - 719_468
}

/// Seconds of `10:00:00`, `10:00`, `1000` or `10`.
fn seconds(clock: &str) -> Option<i64> {
    let mut parts = [0_i64; 3];
    let (mut at, mut n_digits) = (0_usize, 0);
    for byte in clock.bytes() {
        if byte == b':' && n_digits > 0 {
            (at, n_digits) = (at + 1, 0);
            continue;
        }
        if n_digits == 2 {
            (at, n_digits) = (at + 1, 0);
        }
        let part = parts.get_mut(at)?;
        *part = *part * 10 + char::from(byte).to_digit(10).map(i64::from)?;
        n_digits += 1;
    }
    let [hours, minutes, seconds] = parts;
    (n_digits == 2).then_some(hours * 3600 + minutes * 60 + seconds)
}

/// The zone that is named behind a time, and its offset in seconds.
fn zone(behind: &str) -> (Zone<'_>, i64) {
    let tail = behind.trim_start();
    if let Some((offset, is_short, rest)) = offset(tail) {
        // `10:00 -12 degrees`.
        let is_offset = !is_short || tail.len() == behind.len();
        if rest.is_empty() || rest.starts_with('[') || (rest.starts_with(' ') && is_offset) {
            return (Zone::Known, offset);
        }
    }
    let is_name = tail.starts_with(|c: char| c.is_ascii_alphabetic() || c == '[')
        && tail
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"/_+-[]:".contains(&byte));
    match is_name {
        true => (Zone::Named(tail), 0),
        false => (Zone::Unsaid, 0),
    }
}

/// The offset at the front of a text, whether it has hours only, and what follows.
fn offset(text: &str) -> Option<(i64, bool, &str)> {
    if let Some(rest) = ["Z", "z", "UTC", "GMT"]
        .into_iter()
        .find_map(|name| text.strip_prefix(name))
    {
        return Some((0, false, rest));
    }
    let digits = text.strip_prefix(['+', '-'])?;
    let (clock, rest) = split(digits, |byte| byte.is_ascii_digit() || byte == b':');
    let seconds = seconds(clock)?;
    let is_behind = text.starts_with('-');
    Some((
        if is_behind { -seconds } else { seconds },
        clock.len() == 2,
        rest,
    ))
}

/// A text parted behind its first bytes of a kind, which is one of ASCII.
fn split(text: &str, is: impl Fn(u8) -> bool) -> (&str, &str) {
    let end = text.bytes().position(|byte| !is(byte));
    text.split_at(end.unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken variant that this catches: dates are compared as texts, in which `.` is before `Z` and a space before
    /// `T`, and offsets are nothing.
    #[test]
    fn dates_are_in_the_order_of_time() {
        let ascending = [
            "1969-12-31T23:59:59Z",
            "2024-02-29T23:00:00Z",
            "2024-03-01T00:00:00Z",
            "2026-05-01T23:59:59+14:00",
            "2026-05-01T11:00:00.5+01:00[Europe/Paris]",
            "2026-05-01 10:00:00.50001 UTC",
            "2026-05-01T10:00:01.000Z",
            "2026-05-01T100002Z",
            "2026-05-01 12:00:03 +0200 (CEST)",
            "2026-05-01T12:00:00-11",
            "2026-05-02T00:00:00Z",
        ];
        let dates = ascending.map(|text| Date::of(text).unwrap());
        for pair in dates.windows(2) {
            assert!(pair[0].is_comparable(&pair[1]), "{pair:?}");
            assert!(pair[0].is_before(&pair[1]), "{pair:?}");
            assert!(!pair[1].is_before(&pair[0]), "{pair:?}");
        }
        assert_eq!(Date::of("1970-01-01T00:00:00Z").unwrap().seconds, 0);
        assert_eq!(
            Date::of("2026-05-01T12:00:00+02:00").unwrap().seconds,
            1_777_629_600
        );
    }

    /// Broken variants that this catches: zones of which only the name is known are compared as texts, or with an
    /// instant, and what is no zone is one.
    #[test]
    fn zones_without_an_offset_are_compared_with_themselves() {
        let is_comparable = |one: &str, other: &str| {
            Date::of(one)
                .unwrap()
                .is_comparable(&Date::of(other).unwrap())
        };
        let paris = "2026-05-01T10:00:00[Europe/Paris]";
        let cet = "2026-05-01 10:00:00 CET";
        for other in ["2026-05-02 10:00:00 CET", "2026-05-01 11:00:00.5 CET"] {
            assert!(is_comparable(cet, other));
            assert!(Date::of(cet).unwrap().is_before(&Date::of(other).unwrap()));
        }
        for other in [
            "2026-05-01 01:00:00 PST",
            "2026-05-01T10:00:00Z",
            "2026-05-01T10:00:00",
            "2026-05-01",
            paris,
        ] {
            assert!(!is_comparable(cet, other), "{other}");
        }
        for day in [
            "2026-05-01",
            "2026-05-01 report",
            "2026-05-01 1200 letters",
            "2026-05-01 10:00 -12 degrees",
            "2026-05-01T10:00:00.log",
            "2026-05-01T10:00:00-ab12.log",
            "2026-05-01 10:00:00 INFO started",
        ] {
            assert!(is_comparable(day, "2026-05-02T10:00"), "{day}");
            assert!(!is_comparable(day, "2026-05-02T10:00Z"), "{day}");
        }
        assert!(Date::of("2026-5-1").is_none() && Date::of("20é6-05-01").is_none());
    }
}
