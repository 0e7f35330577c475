//! Takes secrets out of JSON and of texts: logs, results of tools, recorded conversations. The same JSON
//! comes out, with a mask in place of what is likely a secret. Pure.
//!
//! Every byte that is not part of a find stays. A find under a secret key is the whole value; a find
//! in a text is the part that [`patterns`] names. Time is linear in the text, and nothing is remembered of
//! it. This is a help, not a proof: a secret that looks like any other word is not found unless it is a
//! literal. What a recording says of people ([`Redactor::default`]) is not looked for in logs
//! ([`Redactor::of_logs`]) and results ([`Redactor::of_results`]).

mod keys;
mod patterns;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::{AddAssign, Range};

use bytes::Bytes;
use serde::de::IgnoredAny;

use crate::jsonrpc::members;
use crate::jsonrpc::text::{push_string, string_value};

use patterns::{Found, Wanted};

/// What stands in place of a find in a recording; elsewhere the mask says the kind as well.
pub const MASK: &str = "[redacted]";
/// What every mask begins with.
const MASK_START: &str = "[redacted";
/// Containers inside one another that are walked; deeper ones are taken out whole.
const MAX_DEPTH: usize = 512;
/// Literal secrets shorter than this would hit by chance.
const MIN_LITERAL: usize = 6;

/// Tells whether the value of a member, header, option or variable of this name is secret.
pub fn is_secret_name(name: &str) -> bool {
    keys::is_secret(name)
}

/// What was taken out, by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Redacted(BTreeMap<&'static str, u64>);

impl Redacted {
    /// Returns the kinds with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(kind, n)| (*kind, *n))
    }

    /// Returns how much was taken out in all.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    fn note(&mut self, kind: &'static str) {
        *self.0.entry(kind).or_default() += 1;
    }
}

impl AddAssign for Redacted {
    fn add_assign(&mut self, other: Self) {
        for (kind, n) in other.0 {
            *self.0.entry(kind).or_default() += n;
        }
    }
}

/// `2 email, 1 token`, or `nothing`.
impl fmt::Display for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing");
        }
        for (index, (kind, n)) in self.0.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{n} {kind}")?;
        }
        Ok(())
    }
}

/// Takes secrets out of JSON and texts.
#[derive(Clone)]
pub struct Redactor {
    literals: Vec<(String, &'static str)>,
    wanted: Wanted,
    tells_kinds: bool,
    keeps_types: bool,
}

/// The literals are secrets.
impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor")
            .field("literals", &self.literals.len())
            .field("wanted", &self.wanted)
            .finish_non_exhaustive()
    }
}

/// For what is published: everything, with masks that are all the same.
impl Default for Redactor {
    fn default() -> Self {
        Self {
            literals: Vec::new(),
            wanted: Wanted {
                people: true,
                base64: true,
            },
            tells_kinds: false,
            keeps_types: false,
        }
    }
}

impl Redactor {
    /// For logs: secrets, also long base64, which a line of a private key is.
    pub fn of_logs() -> Self {
        Self {
            literals: Vec::new(),
            wanted: Wanted {
                people: false,
                base64: true,
            },
            tells_kinds: true,
            keeps_types: false,
        }
    }

    /// For results of tools: secrets only. Names, addresses and base64 are what was asked for. A secret number
    /// becomes 0, since clients refuse a text where the tool's output schema says `integer`.
    pub fn of_results() -> Self {
        Self {
            wanted: Wanted {
                people: false,
                base64: false,
            },
            keeps_types: true,
            ..Self::of_logs()
        }
    }

    /// For what is configured, to learn what of it is secret: never names and home directories, which texts say as well.
    /// All masks are [`MASK`].
    pub fn of_configuration() -> Self {
        Self {
            tells_kinds: false,
            ..Self::of_logs()
        }
    }

    /// The same literals; besides them everything that [`Self::default`] takes out, with its masks.
    #[must_use]
    pub fn for_publishing(self) -> Self {
        Self {
            literals: self.literals,
            ..Self::default()
        }
    }

    fn mask(&self, kind: &str) -> Cow<'static, str> {
        match self.tells_kinds {
            true => format!("{MASK_START}:{kind}]").into(),
            false => MASK.into(),
        }
    }

    /// Also takes out this home directory, wherever it is.
    #[must_use]
    pub fn with_home(self, home: &str) -> Self {
        self.with_literal(home.trim_end_matches(['/', '\\']), "home")
    }

    /// Also takes out this text: the value of a header or variable that is known to be secret. One
    /// of fewer than 6 bytes is left, as it would hit by chance.
    #[must_use]
    pub fn with_secret(self, secret: &str) -> Self {
        self.with_literal(secret, "secret")
    }

    fn with_literal(mut self, literal: &str, kind: &'static str) -> Self {
        if literal.len() >= MIN_LITERAL {
            self.literals.push((literal.to_owned(), kind));
        }
        self
    }

    /// Redacts a JSON-RPC message: its `params`, `result` and `error`, never its envelope.
    pub fn message(&self, raw: &Bytes) -> (Bytes, Redacted) {
        let mut walk = Walk::new(self, raw.len());
        let mut at = 0;
        for member in members::members(raw) {
            if matches!(&*member.name(raw), "params" | "result" | "error") {
                walk.out.extend_from_slice(&raw[at..member.value.start]);
                walk.value(&raw[member.value.clone()], Context::Plain, 0);
                at = member.value.end;
            }
        }
        walk.out.extend_from_slice(&raw[at..]);
        walk.finish(raw)
    }

    /// Redacts a command: what [`patterns`] finds, and the values of options, variables and headers
    /// whose names speak of secrets (`--token x`, `API_KEY=x`, `Authorization: x`).
    pub fn arguments(&self, arguments: &[String]) -> Vec<String> {
        let mut is_value = false;
        let shown = arguments.iter().map(|argument| {
            let follows = std::mem::take(&mut is_value);
            if follows && !argument.starts_with('-') {
                return MASK.to_owned();
            }
            if let Some((name, value)) = argument.split_once(['=', ':'])
                && keys::is_secret(name)
            {
                let mark = &argument[name.len()..argument.len() - value.len()];
                return format!("{name}{mark}{MASK}");
            }
            // `--url=https://h/password` has its value in it.
            is_value = argument.starts_with('-')
                && !argument.contains(['=', ':'])
                && keys::is_secret(argument);
            if argument.contains("://") {
                self.url(argument)
            } else {
                self.plain(argument)
            }
        });
        shown.collect()
    }

    /// Redacts a URL: user, password, the values of its query, and what is secret anywhere else in it.
    pub fn url(&self, url: &str) -> String {
        let (head, query) = url.split_once('?').unwrap_or((url, ""));
        let mut shown = match head.split_once("://") {
            Some((scheme, rest)) => {
                let end = rest.find('/').unwrap_or(rest.len());
                match rest[..end].rfind('@') {
                    Some(at) => {
                        let (scheme, host) = (self.plain(scheme), self.plain(&rest[at..]));
                        format!("{scheme}://{MASK}{host}")
                    }
                    None => self.plain(head),
                }
            }
            None => self.plain(head),
        };
        for (index, parameter) in query.split('&').filter(|part| !part.is_empty()).enumerate() {
            shown.push(if index == 0 { '?' } else { '&' });
            match parameter.split_once('=') {
                Some((name, _)) => shown.push_str(&format!("{}={MASK}", self.plain(name))),
                None => shown.push_str(MASK),
            }
        }
        shown
    }

    fn plain(&self, text: &str) -> String {
        self.text(text).into_owned()
    }

    /// Redacts a text that is no JSON.
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let found = patterns::find(text, &self.literals, self.wanted);
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut shown = String::with_capacity(text.len());
        let mut at = 0;
        for Found { range, kind } in found {
            shown.push_str(&text[at..range.start]);
            shown.push_str(&self.mask(kind));
            at = range.end;
        }
        shown.push_str(&text[at..]);
        Cow::Owned(shown)
    }

    /// Redacts a line of a log: one that is a JSON object stays one, every other is a text.
    ///
    /// A line that only begins like JSON (JavaScript, Python, cut off, words behind it) is a text as well:
    /// [`Self::value`] goes no further than the JSON does, and the rest would stay as it is.
    pub fn line<'t>(&self, line: &'t str) -> Cow<'t, str> {
        if !line.starts_with('{') || serde_json::from_str::<IgnoredAny>(line).is_err() {
            return self.text(line);
        }
        let (clean, _) = self.value(&Bytes::copy_from_slice(line.as_bytes()));
        Cow::Owned(String::from_utf8_lossy(&clean).into_owned())
    }

    /// Redacts any JSON value. Of what is none, only what stands before its first fault.
    pub fn value(&self, raw: &Bytes) -> (Bytes, Redacted) {
        let mut walk = Walk::new(self, raw.len());
        walk.value(raw, Context::Plain, 0);
        walk.finish(raw)
    }
}

/// What the place of a value says of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Context {
    /// Nothing.
    Plain,
    /// Its key says that it is secret.
    Secret,
    /// Its key is one whose long base64 is content, such as an image's `data`.
    Blob,
    /// The protocol needs it as it is.
    Protocol,
}

struct Walk<'a> {
    redactor: &'a Redactor,
    out: Vec<u8>,
    found: Redacted,
}

impl<'a> Walk<'a> {
    fn new(redactor: &'a Redactor, capacity: usize) -> Self {
        Self {
            redactor,
            out: Vec::with_capacity(capacity),
            found: Redacted::default(),
        }
    }

    fn finish(self, raw: &Bytes) -> (Bytes, Redacted) {
        if self.out == *raw {
            return (raw.clone(), self.found);
        }
        (self.out.into(), self.found)
    }

    fn value(&mut self, raw: &[u8], context: Context, depth: usize) {
        let start = raw.iter().position(|b| !b.is_ascii_whitespace());
        let (space, inner) = raw.split_at(start.unwrap_or(raw.len()));
        self.out.extend_from_slice(space);
        match inner.first() {
            Some(b'{' | b'[') if depth >= MAX_DEPTH => self.mask("too_deep"),
            Some(b'{') => self.object(inner, context == Context::Secret, depth),
            Some(b'[') => {
                let mut at = 0;
                for element in members::elements(inner) {
                    self.out.extend_from_slice(&inner[at..element.start]);
                    self.value(&inner[element.clone()], context, depth + 1);
                    at = element.end;
                }
                self.out.extend_from_slice(&inner[at..]);
            }
            Some(b'"') => match context {
                Context::Protocol => self.out.extend_from_slice(inner),
                Context::Secret => self.secret(inner),
                Context::Plain | Context::Blob => self.text(inner, context == Context::Blob),
            },
            Some(b'-' | b'0'..=b'9') if context == Context::Secret => self.number(inner),
            _ => self.out.extend_from_slice(inner),
        }
    }

    fn mask(&mut self, kind: &'static str) {
        self.found.note(kind);
        push_string(&mut self.out, &self.redactor.mask(kind));
    }

    /// Takes out a secret number; 0 is none, or what is left of one.
    fn number(&mut self, raw: &[u8]) {
        if !self.redactor.keeps_types {
            return self.mask("key");
        }
        let end = raw.trim_ascii_end().len();
        if raw[..end] != *b"0" {
            self.found.note("key");
        }
        self.out.push(b'0');
        self.out.extend_from_slice(&raw[end..]);
    }

    fn secret(&mut self, raw: &[u8]) {
        let end = raw.trim_ascii_end().len();
        let is_masked = |text: String| text.starts_with(MASK_START) && text.ends_with(']');
        if raw[..end] == *b"\"\"" || string_value(&raw[..end]).is_some_and(is_masked) {
            self.out.extend_from_slice(raw);
            return;
        }
        self.mask("key");
        self.out.extend_from_slice(&raw[end..]);
    }

    fn object(&mut self, raw: &[u8], is_secret: bool, depth: usize) {
        let all = members::members(raw);
        // `{"name": "Authorization", "value": "…"}`, as lists of headers and variables have it.
        let names_secret = all.iter().any(|member| {
            matches!(&*member.name(raw), "name" | "key" | "header")
                && string_value(&raw[member.value.clone()])
                    .is_some_and(|name| keys::is_secret(&name))
        });
        let mut keys = HashMap::new();
        let mut at = 0;
        for member in all {
            let name = member.name(raw);
            self.out.extend_from_slice(&raw[at..member.key.start]);
            self.key(&raw[member.key.clone()], &name, &mut keys);
            self.out
                .extend_from_slice(&raw[member.key.end..member.value.start]);
            let value = &raw[member.value.clone()];
            let context = if keys::is_protocol(&name) {
                Context::Protocol
            } else if self.redactor.keeps_types && is_number(value) && keys::counts(&name) {
                Context::Plain
            } else if keys::is_secret(&name) || (name == "value" && (names_secret || is_secret)) {
                Context::Secret
            } else if keys::is_blob(&name) {
                Context::Blob
            } else {
                Context::Plain
            };
            self.value(value, context, depth + 1);
            at = member.value.end;
        }
        self.out.extend_from_slice(&raw[at..]);
    }

    /// Keys are texts too, but two of one object must not become one. Of each that is written, `keys` knows the
    /// last number that one like it got, so that very many alike are not tried from the first on.
    fn key(&mut self, raw: &[u8], name: &str, keys: &mut HashMap<String, usize>) {
        let before = self.out.len();
        self.text(raw, false);
        if self.out[before..] == *raw {
            keys.entry(name.to_owned()).or_insert(1);
            return;
        }
        let written = string_value(&self.out[before..]).unwrap_or_default();
        let mut n = keys.get(&written).map_or(1, |last| last + 1);
        let mut unique = match n {
            1 => written.clone(),
            n => format!("{written} {n}"),
        };
        while keys.contains_key(&unique) {
            n += 1;
            unique = format!("{written} {n}");
        }
        keys.insert(unique.clone(), 1);
        keys.insert(written, n);
        if n > 1 {
            self.out.truncate(before);
            push_string(&mut self.out, &unique);
        }
    }

    /// Redacts the finds of a string, quotes included, and keeps the spelling of the rest.
    fn text(&mut self, raw: &[u8], is_blob: bool) {
        let end = raw.trim_ascii_end().len();
        let inside = raw[..end]
            .strip_prefix(b"\"")
            .and_then(|rest| rest.strip_suffix(b"\""))
            .and_then(|inside| std::str::from_utf8(inside).ok());
        let Some(inside) = inside else {
            self.out.extend_from_slice(raw);
            return;
        };
        let decoded = Decoded::new(inside);
        let wanted = Wanted {
            base64: self.redactor.wanted.base64 && !is_blob,
            ..self.redactor.wanted
        };
        // Words that look like tokens stand in the base64 of an image by chance.
        let found = match is_blob && patterns::is_base64_only(&decoded.text) {
            true => Vec::new(),
            false => patterns::find(&decoded.text, &self.redactor.literals, wanted),
        };
        self.out.push(b'"');
        let mut at = 0;
        for Found { range, kind } in found {
            let range = decoded.raw_range(&range);
            self.out
                .extend_from_slice(&inside.as_bytes()[at..range.start]);
            self.out
                .extend_from_slice(self.redactor.mask(kind).as_bytes());
            self.found.note(kind);
            at = range.end;
        }
        self.out.extend_from_slice(&inside.as_bytes()[at..]);
        self.out.extend_from_slice(&raw[end - 1..]);
    }
}

fn is_number(raw: &[u8]) -> bool {
    matches!(raw.trim_ascii_start().first(), Some(b'-' | b'0'..=b'9'))
}

/// A string's text, and where its characters stand in the raw inside.
struct Decoded<'a> {
    text: Cow<'a, str>,
    /// After each escape: where the text and the raw inside go on.
    jumps: Vec<(usize, usize)>,
}

impl<'a> Decoded<'a> {
    fn new(inside: &'a str) -> Self {
        if !inside.contains('\\') {
            return Self {
                text: Cow::Borrowed(inside),
                jumps: Vec::new(),
            };
        }
        let mut text = String::with_capacity(inside.len());
        let mut jumps = Vec::new();
        let mut at = 0;
        while let Some(n) = inside[at..].find('\\') {
            text.push_str(&inside[at..at + n]);
            let escape = at + n;
            let length = escape_length(&inside.as_bytes()[escape..]);
            // `\é` is no JSON, and half a surrogate pair no character; both still take their place.
            match inside.get(escape..escape + length) {
                Some(spelled) => {
                    at = escape + length;
                    let character = crate::jsonrpc::text::unescape(spelled.as_bytes());
                    text.push_str(character.as_deref().unwrap_or("\u{fffd}"));
                }
                None => {
                    at = escape + 1;
                    text.push('\\');
                }
            }
            jumps.push((text.len(), at));
        }
        text.push_str(&inside[at..]);
        Self {
            text: Cow::Owned(text),
            jumps,
        }
    }

    fn raw_range(&self, range: &Range<usize>) -> Range<usize> {
        self.raw_at(range.start)..self.raw_at(range.end)
    }

    fn raw_at(&self, at: usize) -> usize {
        let n = self.jumps.partition_point(|(text, _)| *text <= at);
        match n.checked_sub(1).map(|n| self.jumps[n]) {
            Some((text, raw)) => raw + (at - text),
            None => at,
        }
    }
}

/// Returns the bytes of the escape at the start: 2, 6, or 12 for a surrogate pair.
fn escape_length(text: &[u8]) -> usize {
    let is_unicode = |at: usize| text.get(at..at + 2) == Some(b"\\u");
    let half = |at: usize| {
        let digits = text
            .get(at + 2..at + 6)
            .and_then(|d| std::str::from_utf8(d).ok());
        digits.and_then(|digits| u32::from_str_radix(digits, 16).ok())
    };
    if !is_unicode(0) || half(0).is_none() {
        return 2;
    }
    let is_pair = matches!(half(0), Some(0xd800..=0xdbff))
        && is_unicode(6)
        && matches!(half(6), Some(0xdc00..=0xdfff));
    if is_pair { 12 } else { 6 }
}

#[cfg(test)]
mod tests;
