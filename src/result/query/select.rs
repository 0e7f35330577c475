//! Parts of a JSON value: elements of an array, members of an object, and fields of each. All of it is cut
//! out of the raw text.

use std::borrow::Cow;
use std::ops::Range;

use crate::jsonrpc::text;

use super::json::{Children, what_is};

/// Bytes of an outline's value that is shown.
const VALUE_SHOWN: usize = 60;
/// Parts of a path.
const PATH_PARTS: usize = 64;

/// A value whose parts are chosen.
pub(super) struct Selection<'a> {
    pub(super) raw: &'a str,
    pub(super) children: Children,
}

impl<'a> Selection<'a> {
    pub(super) fn of(raw: &'a str) -> Self {
        Self {
            raw,
            children: Children::of(raw),
        }
    }

    /// Returns elements or members as they are to be written, keys of objects included.
    pub(super) fn pieces(&self, range: Range<usize>, fields: &[String]) -> Vec<Cow<'a, str>> {
        let raw = self.raw;
        let piece = |n: usize| -> Cow<'a, str> {
            let (key, value) = match &self.children {
                Children::Array(all) => (None, all[n].clone()),
                Children::Object(all) => (Some(all[n].key.clone()), all[n].value.clone()),
                Children::None => (None, 0..raw.len()),
            };
            if fields.is_empty() {
                return Cow::Borrowed(match &key {
                    Some(key) => &raw[key.start..value.end],
                    None => &raw[value],
                });
            }
            let projected = project(&raw[value], fields);
            Cow::Owned(match key {
                Some(key) => format!("{}:{projected}", &raw[key]),
                None => projected,
            })
        };
        range.map(piece).collect()
    }

    /// Tells whether one of the fields is in the object itself, so that they are meant for it and not for
    /// each of its members.
    pub(super) fn has_any(&self, fields: &[String]) -> bool {
        matches!(self.children, Children::Object(_))
            && fields
                .iter()
                .any(|field| at_path(self.raw, field).is_some())
    }

    /// Says in lines what is below a value that is too long to be shown, each with its pointer.
    pub(super) fn outline(&self, pointer: &str) -> Vec<String> {
        let raw = self.raw;
        let one = |step: &str, value: &str| {
            let about = if value.len() <= VALUE_SHOWN {
                value.to_owned()
            } else {
                let children = Children::of(value);
                let what = match &children {
                    Children::Array(all) => format!("an array of {}", all.len()),
                    Children::Object(_) => what_is(value, &children),
                    Children::None => "a string".to_owned(),
                };
                format!("{what}, {} bytes", value.len())
            };
            format!("{pointer}/{step}: {about}")
        };
        match &self.children {
            Children::Array(all) => all
                .iter()
                .enumerate()
                .map(|(n, at)| one(&n.to_string(), &raw[at.clone()]))
                .collect(),
            Children::Object(all) => all
                .iter()
                .map(|member| {
                    let name = member.name(raw.as_bytes());
                    let step = name.replace('~', "~0").replace('/', "~1");
                    one(&step, &raw[member.value.clone()])
                })
                .collect(),
            Children::None => Vec::new(),
        }
    }
}

/// Writes the named fields of an object as an object; what has none of them is `{}`, what can have none
/// stays.
pub(super) fn project(raw: &str, fields: &[String]) -> String {
    if !raw.starts_with('{') {
        return raw.to_owned();
    }
    let mut out = String::from("{");
    for field in fields {
        let Some(value) = at_path(raw, field) else {
            continue;
        };
        if out.len() > 1 {
            out.push(',');
        }
        out.push_str(&text::to_string(field));
        out.push(':');
        out.push_str(&value);
    }
    out.push('}');
    out
}

/// Follows `a.b.c`, or a JSON Pointer. A key with dots in it goes before a path; through an array the path
/// goes to each element, unless it names one by its number.
pub(super) fn at_path<'a>(raw: &'a str, path: &str) -> Option<Cow<'a, str>> {
    if path.starts_with('/') {
        let at = super::json::find(raw, path).ok()?;
        return Some(Cow::Borrowed(&raw[at]));
    }
    follow(raw, path, PATH_PARTS)
}

fn follow<'a>(raw: &'a str, path: &str, left: usize) -> Option<Cow<'a, str>> {
    if path.is_empty() {
        return Some(Cow::Borrowed(raw));
    }
    let left = left.checked_sub(1)?;
    match Children::of(raw) {
        Children::Object(all) => {
            let get = |key: &str| {
                let member = all
                    .iter()
                    .find(|member| member.name(raw.as_bytes()) == key)?;
                Some(&raw[member.value.clone()])
            };
            if let Some(value) = get(path) {
                return Some(Cow::Borrowed(value));
            }
            let dots = path.match_indices('.').map(|(at, _)| at);
            dots.take(PATH_PARTS)
                .find_map(|at| follow(get(&path[..at])?, &path[at + 1..], left))
        }
        Children::Array(all) => {
            let (first, rest) = path.split_once('.').unwrap_or((path, ""));
            let first = first.strip_suffix("[]").unwrap_or(first);
            if let Ok(index) = first.parse::<usize>() {
                return follow(&raw[all.get(index)?.clone()], rest, left);
            }
            let each: Vec<Cow<'a, str>> = all
                .iter()
                .filter_map(|at| follow(&raw[at.clone()], path, left))
                .collect();
            (!each.is_empty()).then(|| Cow::Owned(format!("[{}]", each.join(","))))
        }
        Children::None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAW: &str = r#"{"id":9007199254740993,"a.b":1.10,"a":{"b":2,"c":[{"d":1},{"d":"\u00e9"},{}]},"n":null}"#;

    fn fields(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn fields_are_cut_out_as_they_were_written() {
        for (names, expected) in [
            (&["id"][..], r#"{"id":9007199254740993}"#),
            (&["a.b"], r#"{"a.b":1.10}"#),
            (&["n", "a.c.d"], r#"{"n":null,"a.c.d":[1,"\u00e9"]}"#),
            (&["a.c.1.d"], r#"{"a.c.1.d":"\u00e9"}"#),
            (&["/a/b"], r#"{"/a/b":2}"#),
            (&["x", "id.y"], "{}"),
        ] {
            assert_eq!(project(RAW, &fields(names)), expected);
        }
        assert_eq!(project("7", &fields(&["id"])), "7");
        assert_eq!(at_path(RAW, &".".repeat(10_000)), None);
    }

    #[test]
    fn elements_and_members_are_chosen_by_number() {
        let array = Selection::of(r#"[1, {"a":1,"b":2} ,"x"]"#);
        assert_eq!(array.pieces(1..3, &[]), [r#"{"a":1,"b":2}"#, "\"x\""]);
        assert_eq!(array.pieces(1..2, &fields(&["b"])), [r#"{"b":2}"#]);
        let object = Selection::of(RAW);
        assert_eq!(object.pieces(3..4, &[]), [r#""n":null"#]);
        assert!(object.has_any(&fields(&["x", "a.b"])) && !object.has_any(&fields(&["d"])));
        assert_eq!(object.outline("/p")[0], "/p/id: 9007199254740993");
        let long = format!("[[{}1],\"{}\"]", "1,".repeat(40), "x".repeat(80));
        assert_eq!(
            Selection::of(&long).outline(""),
            ["/0: an array of 41, 83 bytes", "/1: a string, 82 bytes"]
        );
    }
}
