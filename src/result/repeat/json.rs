//! What changed between two JSON values: one change a line, by JSON pointer (RFC 6901), to be applied in
//! order as RFC 6902 applies its operations. Numbers keep their digits.
//!
//! ```text
//! ~ /items/3/state: "closed"
//! + /items/0: {"id":9}
//! - /items/7
//! ```
//!
//! Elements of arrays are aligned by what names them, where all have such a member, else by their whole
//! value; what then stands against each other is compared member by member. Order of members is not
//! compared: JSON gives it no meaning.

use std::collections::HashMap;

use similar::{Algorithm, DiffOp};

use crate::jsonrpc::members;
use crate::jsonrpc::text::{push_string, string_value};
use crate::jsonrpc::{Limits, strict};

/// Containers within each other, at most.
const DEPTH: usize = 64;
/// Elements of an array that are aligned, at most.
const ELEMENTS: usize = 4096;
/// Changes, at most: more are no small change.
const CHANGES: usize = 400;
/// Members that name an element, in this order.
const NAMES: [&str; 12] = [
    "id", "number", "key", "uuid", "uid", "sha", "node_id", "iid", "name", "path", "url", "ref",
];

/// A value over its raw text: scalars are kept as they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value<'a> {
    Object(Vec<(String, Value<'a>)>),
    Array(Vec<Value<'a>>),
    Scalar(&'a str),
}

/// Returns the changes that make `new` of `old`; none where one of them is no object or array, parsers could
/// read it differently, or too much changed.
pub(super) fn changes(old: &str, new: &str) -> Option<String> {
    let (old, new) = (read(old)?, read(new)?);
    let mut found = Changes::default();
    found.compare(&mut String::new(), &old, &new)?;
    Some(found.text)
}

/// Applies changes to a value; returns its compact JSON.
pub(super) fn apply(old: &str, changes: &str) -> Option<String> {
    let mut value = read(old)?;
    for line in changes.lines() {
        let (operation, rest) = line.split_at_checked(2)?;
        let (pointer, with) = place(rest)?;
        let with = match with {
            Some(text) => Some(read_any(text)?),
            None => None,
        };
        change(&mut value, operation, &pointer, with)?;
    }
    let mut out = Vec::new();
    push(&mut out, &value);
    String::from_utf8(out).ok()
}

/// Whether two texts are the same value: digits as they stand, members in any order.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    match (read(one), read(other)) {
        (Some(one), Some(other)) => same(&one, &other),
        _ => false,
    }
}

fn read(text: &str) -> Option<Value<'_>> {
    let text = text.trim_ascii();
    if !matches!(text.as_bytes().first(), Some(b'{' | b'[')) {
        return None;
    }
    read_any(text)
}

fn read_any(text: &str) -> Option<Value<'_>> {
    let limits = Limits {
        depth: DEPTH,
        ..Limits::default()
    };
    strict::check(text, &limits).ok()?;
    Some(value(text.trim_ascii()))
}

/// Builds the value of a text that was checked.
fn value(text: &str) -> Value<'_> {
    let raw = text.as_bytes();
    match raw.first() {
        Some(b'{') => {
            let all = members::members(raw).into_iter();
            Value::Object(
                all.map(|m| (m.name(raw).into_owned(), value(&text[m.value])))
                    .collect(),
            )
        }
        Some(b'[') => {
            let all = members::elements(raw).into_iter();
            Value::Array(all.map(|at| value(&text[at])).collect())
        }
        _ => Value::Scalar(text),
    }
}

fn same(one: &Value<'_>, other: &Value<'_>) -> bool {
    match (one, other) {
        (Value::Scalar(one), Value::Scalar(other)) => one == other,
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| same(a, b))
        }
        (Value::Object(one), Value::Object(other)) => {
            if one.len() != other.len() {
                return false;
            }
            let others = by_name(other);
            one.iter().enumerate().all(|(at, (name, value))| {
                // Mostly they stand at the same place.
                let found = match other.get(at) {
                    Some((at_same, value)) if at_same == name => Some(value),
                    _ => others.get(name.as_str()).copied(),
                };
                found.is_some_and(|found| same(value, found))
            })
        }
        _ => false,
    }
}

fn by_name<'v, 'a>(members: &'v [(String, Value<'a>)]) -> HashMap<&'v str, &'v Value<'a>> {
    members
        .iter()
        .map(|(name, value)| (name.as_str(), value))
        .collect()
}

#[derive(Default)]
struct Changes {
    text: String,
    n: usize,
}

impl Changes {
    fn compare(&mut self, path: &mut String, old: &Value<'_>, new: &Value<'_>) -> Option<()> {
        match (old, new) {
            (Value::Object(old), Value::Object(new)) => self.objects(path, old, new),
            (Value::Array(old), Value::Array(new)) => self.arrays(path, old, new),
            _ if same(old, new) => Some(()),
            // The whole is no place: an object does not become an array by a small change.
            _ if path.is_empty() => None,
            _ => self.say('~', path, Some(new)),
        }
    }

    fn objects(
        &mut self,
        path: &mut String,
        old: &[(String, Value<'_>)],
        new: &[(String, Value<'_>)],
    ) -> Option<()> {
        let (before, after) = (by_name(old), by_name(new));
        let length = path.len();
        for (name, _) in old {
            if !after.contains_key(name.as_str()) {
                push_token(path, name);
                self.say('-', path, None)?;
                path.truncate(length);
            }
        }
        for (name, value) in new {
            push_token(path, name);
            match before.get(name.as_str()) {
                Some(known) => self.compare(path, known, value)?,
                None => self.say('+', path, Some(value))?,
            }
            path.truncate(length);
        }
        Some(())
    }

    fn arrays(&mut self, path: &mut String, old: &[Value<'_>], new: &[Value<'_>]) -> Option<()> {
        if old.len().max(new.len()) > ELEMENTS {
            return None;
        }
        let length = path.len();
        // Where the next element stands once everything so far was applied.
        let mut at = 0_usize;
        for operation in aligned(old, new)? {
            let (old_at, new_at) = (operation.old_range(), operation.new_range());
            let n_paired = old_at.len().min(new_at.len());
            for n in 0..n_paired {
                path.push_str(&format!("/{at}"));
                self.compare(path, &old[old_at.start + n], &new[new_at.start + n])?;
                path.truncate(length);
                at += 1;
            }
            for _ in n_paired..old_at.len() {
                path.push_str(&format!("/{at}"));
                self.say('-', path, None)?;
                path.truncate(length);
            }
            for n in n_paired..new_at.len() {
                path.push_str(&format!("/{at}"));
                self.say('+', path, Some(&new[new_at.start + n]))?;
                path.truncate(length);
                at += 1;
            }
        }
        Some(())
    }

    fn say(&mut self, operation: char, path: &str, with: Option<&Value<'_>>) -> Option<()> {
        self.n += 1;
        if self.n > CHANGES {
            return None;
        }
        let mut line = format!("{operation} ").into_bytes();
        // A pointer with white space, or that begins like a string, is written as one.
        let is_plain = path.chars().all(|c| !c.is_whitespace() && !c.is_control());
        if is_plain {
            line.extend_from_slice(path.as_bytes());
        } else {
            push_string(&mut line, path);
        }
        if let Some(with) = with {
            line.extend_from_slice(b": ");
            push(&mut line, with);
        }
        line.push(b'\n');
        self.text.push_str(&String::from_utf8(line).ok()?);
        Some(())
    }
}

/// Aligns elements by what names them: by the first member of [`NAMES`] that all of them have with different
/// values, else by their whole value. None where more must differ than may.
fn aligned(old: &[Value<'_>], new: &[Value<'_>]) -> Option<Vec<DiffOp>> {
    let named = NAMES.iter().find_map(|name| {
        let old = names(old, name)?;
        Some((old, names(new, name)?))
    });
    let (old, new) = named.unwrap_or_else(|| {
        let whole = |values: &[Value<'_>]| values.iter().map(sorted).collect();
        (whole(old), whole(new))
    });
    let longest = old.len().max(new.len());
    if super::lines::shared(&old, &new) + CHANGES < longest {
        return None;
    }
    Some(similar::capture_diff_slices(Algorithm::Myers, &old, &new))
}

fn names(values: &[Value<'_>], name: &str) -> Option<Vec<String>> {
    let mut seen = std::collections::HashSet::new();
    let mut names = Vec::with_capacity(values.len());
    for value in values {
        let Value::Object(members) = value else {
            return None;
        };
        let (_, Value::Scalar(found)) = members.iter().find(|(known, _)| known == name)? else {
            return None;
        };
        if !seen.insert(*found) {
            return None;
        }
        names.push((*found).to_owned());
    }
    (!names.is_empty()).then_some(names)
}

/// Compact JSON with sorted members: one text for equal values.
fn sorted(value: &Value<'_>) -> String {
    match value {
        Value::Scalar(raw) => (*raw).to_owned(),
        Value::Array(values) => {
            let all: Vec<String> = values.iter().map(sorted).collect();
            format!("[{}]", all.join(","))
        }
        Value::Object(members) => {
            let mut all: Vec<String> = members
                .iter()
                .map(|(name, value)| format!("{name:?}:{}", sorted(value)))
                .collect();
            all.sort_unstable();
            format!("{{{}}}", all.join(","))
        }
    }
}

fn push(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Scalar(raw) => out.extend_from_slice(raw.as_bytes()),
        Value::Array(values) => {
            out.push(b'[');
            for (n, value) in values.iter().enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                push(out, value);
            }
            out.push(b']');
        }
        Value::Object(members) => {
            out.push(b'{');
            for (n, (name, value)) in members.iter().enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                push_string(out, name);
                out.push(b':');
                push(out, value);
            }
            out.push(b'}');
        }
    }
}

/// RFC 6901: `~` and `/` are escaped.
fn push_token(path: &mut String, name: &str) {
    path.push('/');
    for c in name.chars() {
        match c {
            '~' => path.push_str("~0"),
            '/' => path.push_str("~1"),
            c => path.push(c),
        }
    }
}

/// Reads the pointer and the value of a change.
fn place(rest: &str) -> Option<(String, Option<&str>)> {
    if let Some(inside) = rest.strip_prefix('"') {
        let mut is_escaped = false;
        let end = inside.bytes().position(|byte| {
            let ends = byte == b'"' && !is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
            ends
        })?;
        let pointer = string_value(&rest.as_bytes()[..end + 2])?;
        let with = &rest[end + 2..];
        return match with {
            "" => Some((pointer, None)),
            with => Some((pointer, Some(with.strip_prefix(": ")?))),
        };
    }
    Some(match rest.split_once(": ") {
        Some((pointer, with)) => (pointer.to_owned(), Some(with)),
        None => (rest.to_owned(), None),
    })
}

fn change<'a>(
    value: &mut Value<'a>,
    operation: &str,
    pointer: &str,
    with: Option<Value<'a>>,
) -> Option<()> {
    let (parents, last) = pointer.rsplit_once('/')?;
    let mut holder = value;
    for token in parents.split('/').skip(1) {
        let name = token.replace("~1", "/").replace("~0", "~");
        holder = match holder {
            Value::Object(members) => &mut members.iter_mut().find(|(known, _)| *known == name)?.1,
            Value::Array(values) => values.get_mut(name.parse::<usize>().ok()?)?,
            Value::Scalar(_) => return None,
        };
    }
    let name = last.replace("~1", "/").replace("~0", "~");
    match holder {
        Value::Object(members) => {
            let at = members.iter().position(|(known, _)| *known == name);
            match (operation, at, with) {
                ("~ ", Some(at), Some(with)) => members[at].1 = with,
                ("+ ", None, Some(with)) => members.push((name, with)),
                ("- ", Some(at), None) => drop(members.remove(at)),
                _ => return None,
            }
        }
        Value::Array(values) => {
            let at: usize = name.parse().ok()?;
            match (operation, with) {
                ("~ ", Some(with)) => *values.get_mut(at)? = with,
                ("+ ", Some(with)) if at <= values.len() => values.insert(at, with),
                ("- ", None) if at < values.len() => drop(values.remove(at)),
                _ => return None,
            }
        }
        Value::Scalar(_) => return None,
    }
    Some(())
}
