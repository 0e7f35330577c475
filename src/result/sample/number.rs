//! Numbers as they are spelled, in the order of their values: by sign, length and digits, so that no
//! integer is too long and no exponent too large. Pure.

use std::cmp::Ordering;

/// An exponent beyond this is taken for this; no text has as many digits.
const FAR: i64 = 1 << 40;

/// A number in decimal digits: `-12.50e3` is minus 0.125 times ten to the 5th.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number<'a> {
    is_negative: bool,
    /// Digits before and behind the point, without zeros at the outer ends. Both empty: zero.
    whole: &'a str,
    fraction: &'a str,
    /// The power of ten of the whole.
    power: i64,
}

impl<'a> Number<'a> {
    /// Reads digits with a sign, a point and an exponent, as far as there are any; neither `NaN` nor `Infinity`.
    pub(super) fn of(raw: &'a str) -> Option<Self> {
        let is_negative = raw.starts_with('-');
        let rest = raw.strip_prefix(['-', '+']).unwrap_or(raw);
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, power(exponent)?),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.len() + fraction.len() == 0 || !is_digits(whole) || !is_digits(fraction) {
            return None;
        }
        let whole = whole.trim_start_matches('0');
        let fraction = fraction.trim_end_matches('0');
        let n_whole = whole.len() as i64;
        let (whole, fraction, point) = if whole.is_empty() {
            let digits = fraction.trim_start_matches('0');
            (whole, digits, digits.len() as i64 - fraction.len() as i64)
        } else if fraction.is_empty() {
            (whole.trim_end_matches('0'), fraction, n_whole)
        } else {
            (whole, fraction, n_whole)
        };
        Some(Self {
            is_negative,
            whole,
            fraction,
            power: point + exponent,
        })
    }

    /// Compares the values, exactly.
    pub(super) fn compare(&self, other: &Number<'_>) -> Ordering {
        let size = || {
            self.power
                .cmp(&other.power)
                .then_with(|| self.digits().cmp(other.digits()))
        };
        self.sign()
            .cmp(&other.sign())
            .then_with(|| match self.sign() {
                0 => Ordering::Equal,
                1 => size(),
                _ => size().reverse(),
            })
    }

    /// Whether it is zero, however that is spelled.
    pub(super) fn is_zero(&self) -> bool {
        self.sign() == 0
    }

    fn sign(&self) -> i8 {
        match (
            self.whole.is_empty() && self.fraction.is_empty(),
            self.is_negative,
        ) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }

    fn digits(&self) -> impl Iterator<Item = u8> + '_ {
        self.whole.bytes().chain(self.fraction.bytes())
    }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The exponent behind an `e`.
fn power(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !is_digits(digits) {
        return None;
    }
    let far = if text.starts_with('-') { -FAR } else { FAR };
    Some(
        text.parse::<i64>()
            .map_or(far, |power| power.clamp(-FAR, FAR)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken variant that this catches: numbers are compared as floats, to which integers above 2^53 and all
    /// exponents above 308 are equal.
    #[test]
    fn values_are_compared_exactly() {
        let ascending = [
            "-1e400",
            "-9007199254740993",
            "-9007199254740992",
            "-10",
            "-9.5",
            "-0.02",
            "0",
            "1e-400",
            "0.019",
            "0.02",
            "1",
            "1.05",
            "1.5",
            "9",
            "10",
            "1748000000000000073",
            "1748000000000000074",
            "1e400",
            "2e400",
            "1e99999999999999999999",
        ];
        let numbers = ascending.map(|raw| Number::of(raw).unwrap());
        for (at, one) in numbers.iter().enumerate() {
            for (other_at, other) in numbers.iter().enumerate() {
                let (one_raw, other_raw) = (ascending[at], ascending[other_at]);
                let expected = at.cmp(&other_at);
                assert_eq!(one.compare(other), expected, "{one_raw} {other_raw}");
            }
        }
        for (one, other) in [
            ("100", "1e2"),
            ("1.50", "15e-1"),
            ("-0", "0.0"),
            ("+7", "007"),
            ("0.05", "5E-2"),
            ("120.0", ".12e3"),
        ] {
            let (first, second) = (Number::of(one).unwrap(), Number::of(other).unwrap());
            assert_eq!(first.compare(&second), Ordering::Equal, "{one} {other}");
        }
    }

    /// Broken variant that this catches: whatever is a float is a number, `nan` and `infinity` too.
    #[test]
    fn words_are_no_numbers() {
        for raw in [
            "NaN",
            "nan",
            "inf",
            "-Infinity",
            "infinity",
            "",
            "-",
            ".",
            "e5",
            "1e",
            "1e+",
            "1.2.3",
            "--1",
            "1_000",
            "0x10",
            "1,5",
            "12ms",
        ] {
            assert!(Number::of(raw).is_none(), "{raw}");
        }
    }
}
