//! What a plain word of YAML means. Pure.
//!
//! Source: `resolve.go` of go-yaml v2. A time stays a text, as there.

use serde_json::{Number, Value};

/// Words that are no texts.
fn constant(word: &str) -> Option<Value> {
    let value = match word {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Value::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Value::Bool(false)
        }
        _ => return None,
    };
    Some(value)
}

/// Reads a plain word.
///
/// # Errors
/// For numbers that JSON does not have: `.inf` and `.nan`, and what is too large.
pub(super) fn resolve(word: &str) -> Result<Value, &'static str> {
    if let Some(value) = constant(word) {
        return Ok(value);
    }
    let first = word.bytes().next().unwrap_or_default();
    if !(first.is_ascii_digit() || b"+-.".contains(&first)) {
        return Ok(Value::String(word.to_owned()));
    }
    let unsigned = word.trim_start_matches(['+', '-']);
    if matches!(
        unsigned,
        ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN"
    ) {
        return Err("a number that JSON does not have");
    }
    let plain = if first == b'.' {
        word.to_owned()
    } else {
        word.replace('_', "")
    };
    if let Some(number) = integer(&plain) {
        return Ok(Value::Number(number));
    }
    if is_float(&plain) {
        let number = plain.parse().ok().and_then(float);
        return number
            .map(Value::Number)
            .ok_or("a number that is too large");
    }
    Ok(Value::String(word.to_owned()))
}

/// A whole number of JSON where nothing is lost: `08` is 8 and not 8.0.
fn float(number: f64) -> Option<Number> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() < EXACT {
        // Within the exact range the cast keeps the value.
        #[expect(clippy::cast_possible_truncation, reason = "checked above")]
        return Some(Number::from(number as i64));
    }
    Number::from_f64(number)
}

/// Go's `strconv.ParseInt` and `ParseUint` with base 0.
fn integer(text: &str) -> Option<Number> {
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (digits, base) = if let Some(rest) = lower.strip_prefix("0x") {
        (rest, 16)
    } else if let Some(rest) = lower.strip_prefix("0b") {
        (rest, 2)
    } else if let Some(rest) = lower.strip_prefix("0o") {
        (rest, 8)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (&lower[1..], 8)
    } else {
        (lower.as_str(), 10)
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let number = u64::from_str_radix(digits, base).ok()?;
    if is_negative {
        let number = i64::try_from(-i128::from(number)).ok()?;
        return Some(Number::from(number));
    }
    Some(Number::from(number))
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, Some(exponent)),
        None => (text, None),
    };
    let has_exponent = exponent
        .is_none_or(|exponent| is_digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)));
    let is_number = match number.split_once('.') {
        Some(("", fraction)) => is_digits(fraction),
        Some((whole, fraction)) => is_digits(whole) && (fraction.is_empty() || is_digits(fraction)),
        None => is_digits(number),
    };
    has_exponent && is_number
}
