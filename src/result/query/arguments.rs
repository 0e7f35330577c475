//! The arguments of a call, read as what was meant: numbers as texts, ranges as numbers or lists, members
//! that say nothing left out. What is not known is named, with what is.

use serde_json::Value;

use crate::result::handle::Handle;

use super::{Query, QueryError, Span};

/// Every argument, in the order in which they are told.
pub const KNOWN: [&str; 11] = [
    "handle", "page", "lines", "grep", "context", "pointer", "items", "fields", "jq", "count",
    "block",
];
/// Names that models use for them.
const OTHER_NAMES: [(&str, &str); 9] = [
    ("id", "handle"),
    ("uri", "handle"),
    ("line", "lines"),
    ("pattern", "grep"),
    ("regex", "grep"),
    ("json_pointer", "pointer"),
    ("item", "items"),
    ("field", "fields"),
    ("filter", "jq"),
];
/// Bytes of one text argument.
const TEXT_BYTES: usize = 16 * 1024;
/// Fields at once.
const FIELDS: usize = 200;
/// What stands before a handle in a URI of ours.
pub const URI_PREFIX: &str = "whittle://results/";

/// Reads the arguments, a JSON object.
///
/// # Errors
/// When they cannot be read in one way; the text says what to send.
pub fn parse(arguments: &str) -> Result<Query, QueryError> {
    let object: serde_json::Map<String, Value> =
        serde_json::from_str(arguments).map_err(|_| QueryError::NoObject)?;
    let mut query = Query::default();
    let mut handle = None;
    for (key, value) in &object {
        let name = OTHER_NAMES
            .iter()
            .find(|(other, _)| other == key)
            .map_or(key.as_str(), |(_, name)| name);
        let Some(name) = KNOWN.into_iter().find(|known| *known == name) else {
            if is_nothing(value) {
                continue;
            }
            return Err(QueryError::Unknown {
                name: key.chars().take(80).collect(),
            });
        };
        // Some models send every argument; those that say nothing are no wish.
        if is_nothing(value) {
            continue;
        }
        match name {
            "handle" => handle = Some(handle_of(value)?),
            "page" => query.page = number(name, value)?.filter(|page| *page > 0),
            "lines" => query.lines = span(name, value)?,
            "grep" => query.grep = Some(text(name, value)?),
            "context" => query.context = number(name, value)?,
            "pointer" => query.pointer = Some(text(name, value)?),
            "items" => query.items = span(name, value)?,
            "fields" => query.fields = fields(value)?,
            "jq" => query.jq = Some(text(name, value)?),
            "count" => query.count = flag(name, value)?,
            _ => query.block = number(name, value)?,
        }
    }
    query.handle = handle.ok_or(QueryError::NoHandle)?;
    if let Some(lines) = &mut query.lines
        && lines.first == 0
    {
        lines.first = 1;
    }
    query.check()?;
    Ok(query)
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

fn handle_of(value: &Value) -> Result<Handle, QueryError> {
    let text = value.as_str().ok_or(QueryError::BadHandle)?.trim();
    let text = text.strip_prefix(URI_PREFIX).unwrap_or(text);
    text.parse().map_err(|_| QueryError::BadHandle)
}

fn text(name: &'static str, value: &Value) -> Result<String, QueryError> {
    let wrong = |expected| QueryError::Wrong { name, expected };
    let text = value.as_str().ok_or_else(|| wrong("a text"))?;
    if text.len() > TEXT_BYTES {
        return Err(wrong("a text of at most 16 KB"));
    }
    Ok(text.to_owned())
}

fn number(name: &'static str, value: &Value) -> Result<Option<usize>, QueryError> {
    let found = match value {
        Value::Number(number) => number.as_u64().or_else(|| {
            number
                .as_f64()
                .filter(|n| n.fract() == 0.0 && *n >= 0.0)
                .map(|n| n as u64)
        }),
        Value::String(text) => text.trim().parse().ok(),
        Value::Array(items) if items.len() == 1 => return number(name, &items[0]),
        _ => None,
    };
    let found = found.and_then(|n| usize::try_from(n).ok());
    found.map(Some).ok_or(QueryError::Wrong {
        name,
        expected: "a number from 0 on",
    })
}

fn flag(name: &'static str, value: &Value) -> Result<bool, QueryError> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::String(text) if matches!(text.trim(), "true" | "yes" | "1") => Ok(true),
        Value::String(text) if matches!(text.trim(), "false" | "no" | "0") => Ok(false),
        Value::Number(number) => Ok(number.as_f64() != Some(0.0)),
        _ => Err(QueryError::Wrong {
            name,
            expected: "true or false",
        }),
    }
}

/// A range: `40-59`, `40`, `40-`, `-59`, `40..59`, `40:59`, a number, or a list of two.
fn span(name: &'static str, value: &Value) -> Result<Option<Span>, QueryError> {
    let wrong = || QueryError::Wrong {
        name,
        expected: if name == "lines" {
            "a range such as \"120-180\""
        } else {
            "a range such as \"40-59\""
        },
    };
    let span = match value {
        Value::Array(pair) if pair.len() == 2 => Span {
            first: number(name, &pair[0])?.ok_or_else(wrong)?,
            last: number(name, &pair[1])?,
        },
        Value::String(text) => {
            let text = text.trim();
            let cut = ["..", "-", ":", "\u{2013}", ","]
                .into_iter()
                .find_map(|mark| text.split_once(mark));
            let read = |part: &str| part.trim().parse::<usize>().map_err(|_| wrong());
            match cut {
                None => {
                    let only = read(text)?;
                    Span {
                        first: only,
                        last: Some(only),
                    }
                }
                Some((first, last)) => Span {
                    first: match first.trim() {
                        "" => 0,
                        first => read(first)?,
                    },
                    last: match last.trim() {
                        "" => None,
                        last => Some(read(last)?),
                    },
                },
            }
        }
        other => {
            let only = number(name, other).map_err(|_| wrong())?;
            Span {
                first: only.ok_or_else(wrong)?,
                last: only,
            }
        }
    };
    if span.last.is_some_and(|last| last < span.first) {
        return Err(wrong());
    }
    Ok(Some(span))
}

fn fields(value: &Value) -> Result<Vec<String>, QueryError> {
    let wrong = || QueryError::Wrong {
        name: "fields",
        expected: "a list of names such as [\"id\", \"owner.login\"]",
    };
    let list = match value {
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong))
            .collect::<Result<Vec<_>, _>>()?,
        Value::String(text) => match serde_json::from_str::<Vec<String>>(text) {
            Ok(list) => list,
            Err(_) => text.split(',').map(str::to_owned).collect(),
        },
        _ => return Err(wrong()),
    };
    let mut fields: Vec<String> = Vec::new();
    for field in list {
        let field = field.trim();
        if field.len() > TEXT_BYTES {
            return Err(wrong());
        }
        if !field.is_empty() && !fields.iter().any(|other| other == field) {
            fields.push(field.to_owned());
        }
    }
    if fields.len() > FIELDS {
        return Err(wrong());
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(rest: &str) -> Result<Query, QueryError> {
        let handle = Handle::of(&[1; 32], "user", b"");
        parse(&format!("{{\"handle\":\"{handle}\"{rest}}}"))
    }

    #[test]
    fn ranges_and_numbers_are_read_as_they_were_meant() {
        for text in [
            r#","items":"40-59""#,
            r#","items":"40..59""#,
            r#","items":" 40 : 59 ""#,
            r#","items":[40,59]"#,
            r#","items":["40","59"]"#,
        ] {
            let span = with(text).unwrap().items.unwrap();
            assert_eq!((span.first, span.last), (40, Some(59)), "{text}");
        }
        let span = |text: &str| with(text).unwrap().items.unwrap();
        assert_eq!(span(r#","items":7"#).last, Some(7));
        assert_eq!(span(r#","items":"7-""#).last, None);
        assert_eq!(span(r#","items":"-7""#).first, 0);
        assert_eq!(with(r#","lines":"0-7""#).unwrap().lines.unwrap().first, 1);
        assert_eq!(with(r#","page":"3""#).unwrap().page, Some(3));
        assert_eq!(with(r#","page":3.0"#).unwrap().page, Some(3));
        assert!(with(r#","count":"true""#).unwrap().count);
        assert_eq!(with(r#","fields":"a, b.c""#).unwrap().fields, ["a", "b.c"]);
        assert_eq!(with(r#","fields":"[\"a\",\"a\"]""#).unwrap().fields, ["a"]);
        assert_eq!(
            with(r#","regex":"x","line":"1-2""#)
                .unwrap()
                .grep
                .as_deref(),
            Some("x")
        );
    }

    #[test]
    fn what_says_nothing_is_no_wish() {
        let all = r#","page":0,"lines":"","grep":null,"pointer":"","items":null,"fields":[],"jq":"","count":false,"other":null"#;
        let query = with(all).unwrap();
        let plain = with("").unwrap();
        assert_eq!(query, plain);
    }

    #[test]
    fn mistakes_are_told_with_what_to_send() {
        for (rest, expected) in [
            (r#","offset":5"#, "`offset`"),
            (r#","items":"59-40""#, "40-59"),
            (r#","items":"a""#, "40-59"),
            (r#","page":-1"#, "`page`"),
            (r#","page":1.5"#, "`page`"),
            (r#","grep":7"#, "`grep`"),
            (r#","fields":7"#, "owner.login"),
            (r#","page":1,"items":"1-2""#, "`page` and `items`"),
            (r#","jq":".","count":true"#, "`jq` and `count`"),
        ] {
            let text = with(rest).unwrap_err().text("read_result");
            assert!(text.contains(expected), "{rest}: {text}");
        }
        let text = with(r#","offset":5"#).unwrap_err().text("read_result");
        assert!(text.contains("page, lines, grep"), "{text}");
        for wrong in ["{}", "[]", "7", "{\"handle\":7}", "{\"handle\":\"r_x\"}"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        let handle = Handle::of(&[1; 32], "user", b"");
        let uri = format!("{{\"handle\":\"whittle://results/{handle}\"}}");
        assert_eq!(parse(&uri).unwrap().handle, handle);
    }
}
