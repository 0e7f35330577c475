//! Quantities of Kubernetes: `100m`, `128Mi`, `1e3`. Pure.
//!
//! Source: `k8s.io/apimachinery/pkg/api/resource`, "Quantity". Values are thousandths, so that `100m` of
//! a processor and bytes have one exact form.

use serde_json::Value;

/// Reads a quantity in thousandths; nothing if it is none or more than fits.
pub fn thousandths(value: &Value) -> Option<u128> {
    match value {
        Value::String(text) => parse(text),
        Value::Number(number) => parse(&number.to_string()),
        _ => None,
    }
}

/// Reads a quantity of bytes, rounded up.
pub fn bytes(value: &Value) -> Option<u64> {
    thousandths(value).and_then(|value| u64::try_from(value.div_ceil(1000)).ok())
}

fn parse(text: &str) -> Option<u128> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text
        .find(|character: char| !character.is_ascii_digit() && character != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() == 0
        || whole.len() > 19
        || fraction.len() > 9
        || fraction.contains('.')
    {
        return None;
    }
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let places = u32::try_from(fraction.len()).ok()?;
    let scaled = match suffix {
        "m" => digits,
        _ => digits.checked_mul(1000)?.checked_mul(factor(suffix)?)?,
    };
    // Finer than a thousandth is rounded up, as Kubernetes does.
    Some(scaled.div_ceil(10_u128.pow(places)))
}

fn factor(suffix: &str) -> Option<u128> {
    let power = |base: u128, exponent| base.checked_pow(exponent);
    match suffix {
        "" => Some(1),
        "k" => power(10, 3),
        "M" => power(10, 6),
        "G" => power(10, 9),
        "T" => power(10, 12),
        "P" => power(10, 15),
        "E" => power(10, 18),
        "Ki" => power(1024, 1),
        "Mi" => power(1024, 2),
        "Gi" => power(1024, 3),
        "Ti" => power(1024, 4),
        "Pi" => power(1024, 5),
        "Ei" => power(1024, 6),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E'])?;
            power(
                10,
                exponent.parse().ok().filter(|exponent| *exponent <= 18)?,
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn units_of_kubernetes() {
        for (text, expected) in [
            ("128Mi", Some(128 << 20)),
            ("1.5Gi", Some(3 << 29)),
            ("1e3", Some(1000)),
            ("1E", Some(1_000_000_000_000_000_000)),
            ("64M", Some(64_000_000)),
            ("100m", Some(1)),
            ("0", Some(0)),
            ("", None),
            ("Mi", None),
            ("-1", None),
            ("1.2.3", None),
            ("1MiB", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(bytes(&json!(text)), expected, "{text}");
        }
        assert_eq!(bytes(&json!(12)), Some(12));
        assert_eq!(thousandths(&json!("250m")), thousandths(&json!("0.25")));
        assert_eq!(thousandths(&json!(["1"])), None);
    }
}
