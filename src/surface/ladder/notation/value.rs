//! Literals, names and bounds in the notation of signatures.

use crate::surface::ladder::notation::Detail;
use crate::surface::ladder::notation::Unsayable;
use crate::surface::tree::Kind;
use crate::surface::tree::Node;

/// The largest integer that JavaScript holds exactly; as a maximum it says only that.
const MAX_SAFE: &str = "9007199254740991";
/// So does the smallest one as a minimum.
const MIN_SAFE: &str = "-9007199254740991";

/// Writes a JSON value: strings in single quotes where that is shorter inside JSON, plain keys
/// without any. Numbers keep their spelling.
pub(crate) fn literal(value: &Node<'_>, out: &mut String) {
    match &value.kind {
        Kind::String(text) => {
            if text.contains(['\'', '\\']) || text.chars().any(char::is_control) {
                out.push_str(value.raw);
            } else {
                out.push('\'');
                out.push_str(text);
                out.push('\'');
            }
        }
        Kind::Array(items) => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    out.push_str(", ");
                }
                literal(item, out);
            }
            out.push(']');
        }
        Kind::Object(members) => {
            out.push('{');
            for (n, member) in members.iter().enumerate() {
                if n > 0 {
                    out.push_str(", ");
                }
                out.push_str(&property_name(&member.key));
                out.push_str(": ");
                literal(&member.value, out);
            }
            out.push('}');
        }
        Kind::Other => out.push_str(value.raw),
    }
}

/// A property's name; in quotes where it would not be taken for one.
pub(crate) fn property_name(name: &str) -> String {
    let is_plain = |character: char| character.is_alphanumeric() || "_$-.@".contains(character);
    if !name.is_empty() && name.chars().all(is_plain) {
        return name.to_owned();
    }
    if name.contains(['\'', '\\']) || name.chars().any(char::is_control) {
        return serde_json::Value::from(name).to_string();
    }
    format!("'{name}'")
}

/// Says whether a value is of the type of that name.
pub(crate) fn is_of(value: &Node<'_>, name: &str) -> bool {
    match &value.kind {
        Kind::String(_) => name == "string",
        Kind::Array(_) => name == "array",
        Kind::Object(_) => name == "object",
        Kind::Other => match value.raw {
            "null" => name == "null",
            "true" | "false" => name == "boolean",
            number => name == "number" || (name == "integer" && !number.contains(['.', 'e', 'E'])),
        },
    }
}

/// The type of a value; of every number `number`.
pub(crate) fn type_of(value: &Node<'_>) -> &'static str {
    match &value.kind {
        Kind::String(_) => "string",
        Kind::Array(_) => "array",
        Kind::Object(_) => "object",
        Kind::Other => match value.raw {
            "null" => "null",
            "true" | "false" => "boolean",
            _ => "number",
        },
    }
}

/// A text that is the same for equal values, however they are written: escapes, the order of keys, `1` and `1.0`.
pub(crate) fn canonical(value: &Node<'_>) -> String {
    match &value.kind {
        Kind::String(text) => serde_json::Value::from(text.as_ref()).to_string(),
        Kind::Array(items) => {
            let items: Vec<String> = items.iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }
        Kind::Object(members) => {
            let mut members: Vec<String> = members
                .iter()
                .map(|member| {
                    let key = serde_json::Value::from(member.key.as_ref());
                    format!("{key}:{}", canonical(&member.value))
                })
                .collect();
            members.sort_unstable();
            format!("{{{}}}", members.join(","))
        }
        Kind::Other => match value.raw {
            word @ ("null" | "true" | "false") => word.to_owned(),
            number => canonical_number(number),
        },
    }
}

/// Integers keep all of their digits; the rest is told apart as far as programs do.
fn canonical_number(raw: &str) -> String {
    if raw == "-0" {
        return "0".to_owned();
    }
    if !raw.contains(['.', 'e', 'E']) {
        return raw.to_owned();
    }
    match raw.parse::<f64>() {
        Ok(number) if number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0 => {
            // Without the sign of a zero.
            (number as i64).to_string()
        }
        Ok(number) => format!("{number:e}"),
        Err(_) => raw.to_owned(),
    }
}

/// Says whether a keyword is a bound, a format or the like.
pub(crate) fn is_facet(keyword: &str) -> bool {
    facet_of(keyword).is_some()
}

/// Says whether a facet is about values of another type than that one, and of no value of it.
pub(crate) fn is_of_another(keyword: &str, type_name: &str) -> bool {
    facet_of(keyword).is_some_and(|types| !types.is_empty() && !types.contains(&type_name))
}

/// Which types a facet is about; empty for all.
fn facet_of(keyword: &str) -> Option<&'static [&'static str]> {
    Some(match keyword {
        "format" => &[],
        "minLength" | "maxLength" | "pattern" | "contentEncoding" | "contentMediaType" => {
            &["string"]
        }
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => {
            &["integer", "number"]
        }
        "minItems" | "maxItems" | "uniqueItems" => &["array"],
        "minProperties" | "maxProperties" => &["object"],
        _ => return None,
    })
}

/// Writes the facets of a schema that are about the type of that name (all where there is none),
/// in parentheses; empty if there are none.
pub(crate) fn facets(
    schema: &Node<'_>,
    type_name: Option<&str>,
    detail: Detail,
) -> Result<String, Unsayable> {
    let applies = |keyword: &str| match (facet_of(keyword), type_name) {
        (Some([]), Some(name)) => name != "null",
        (Some(types), Some(name)) => types.contains(&name),
        _ => true,
    };
    let raw = |keyword: &str| {
        let member = schema.member(keyword).filter(|_| applies(keyword))?;
        Some(member.value.raw)
    };
    let text = |keyword: &str| match schema.member(keyword).filter(|_| applies(keyword)) {
        Some(member) => member.value.as_str().map(Some).ok_or(Unsayable::Value),
        None => Ok(None),
    };
    let mut all: Vec<String> = Vec::new();
    all.extend(text("format")?.map(str::to_owned));
    if detail == Detail::Everything {
        all.extend(number_range(raw));
        all.extend(raw("multipleOf").map(|step| format!("multiple of {step}")));
        all.extend(
            range(raw("minLength"), raw("maxLength")).map(|range| format!("length {range}")),
        );
        all.extend(text("pattern")?.map(|pattern| format!("/{pattern}/")));
        all.extend(text("contentEncoding")?.map(str::to_owned));
        all.extend(text("contentMediaType")?.map(str::to_owned));
        all.extend(range(raw("minItems"), raw("maxItems")).map(|range| format!("{range} items")));
        if raw("uniqueItems") == Some("true") {
            all.push("unique".to_owned());
        }
        let keys = range(raw("minProperties"), raw("maxProperties"));
        all.extend(keys.map(|range| format!("{range} keys")));
    }
    if all.is_empty() {
        return Ok(String::new());
    }
    Ok(format!("({})", all.join(", ")))
}

fn number_range<'t>(raw: impl Fn(&str) -> Option<&'t str>) -> Option<String> {
    let lower = |keyword: &str| raw(keyword).filter(|bound| *bound != MIN_SAFE);
    let upper = |keyword: &str| raw(keyword).filter(|bound| *bound != MAX_SAFE);
    let (low, high) = (lower("minimum"), upper("maximum"));
    // In draft-04 the exclusive ones are booleans beside the bound.
    let (above, below) = (lower("exclusiveMinimum"), upper("exclusiveMaximum"));
    if matches!(above, None | Some("false")) && matches!(below, None | Some("false")) {
        return range(low, high);
    }
    let mut parts: Vec<String> = Vec::new();
    for (sign, inclusive, exclusive) in [('>', low, above), ('<', high, below)] {
        match exclusive {
            Some("true") => parts.extend(inclusive.map(|bound| format!("{sign}{bound}"))),
            Some("false") | None => {
                parts.extend(inclusive.map(|bound| format!("{sign}={bound}")));
            }
            Some(exclusive) => {
                parts.extend(inclusive.map(|bound| format!("{sign}={bound}")));
                parts.push(format!("{sign}{exclusive}"));
            }
        }
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn range(low: Option<&str>, high: Option<&str>) -> Option<String> {
    match (low, high) {
        (Some(low), Some(high)) if low == high => Some(format!("={low}")),
        (Some(low), Some(high)) => Some(format!("{low}..{high}")),
        (Some(low), None) => Some(format!(">={low}")),
        (None, Some(high)) => Some(format!("<={high}")),
        (None, None) => None,
    }
}
