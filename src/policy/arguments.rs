//! Tests on the arguments of a call: operators on the value at a JSON Pointer (RFC 6901).
//!
//! A test does not say yes or no but whether it *surely* holds and whether it *may* hold. What servers read
//! differently (a key that stands twice, `Path` beside `path`, a number or a boolean in a text, JSON in a text, a
//! number that floats round, an object where a text is expected, arguments that cannot be read) may hold and does
//! not surely hold, so that it neither slips past a rule that denies nor into one that allows.

use std::cmp::Ordering;
use std::fmt;

use regex::Regex;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use super::pattern::{MAX_PATTERN, compile_glob, compile_regex};

/// Texts in one another whose JSON is read.
const MAX_QUOTED: usize = 2;
/// Bytes of a text that is read as JSON, because each test reads it.
const MAX_JSON_TEXT: usize = 64 * 1024;

/// A value whose objects keep every member, also one that stands twice.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number; beyond 64 bits it is rounded.
    Number(Number),
    /// A text.
    Text(String),
    /// An array.
    Array(Vec<Json>),
    /// An object.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads a value; none where it is no JSON or nested deeper than 127.
    pub fn parse(raw: &[u8]) -> Option<Self> {
        serde_json::from_slice(raw).ok()
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Json;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_unit<E>(self) -> Result<Json, E> {
                Ok(Json::Null)
            }
            fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
                Ok(Json::Bool(value))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
                Ok(Json::Number(value.into()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
                Ok(Json::Number(value.into()))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
                Ok(Number::from_f64(value).map_or(Json::Null, Json::Number))
            }
            fn visit_str<E>(self, value: &str) -> Result<Json, E> {
                Ok(Json::Text(value.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
                let mut all = Vec::new();
                while let Some(item) = items.next_element()? {
                    all.push(item);
                }
                Ok(Json::Array(all))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
                let mut all = Vec::new();
                while let Some(member) = members.next_entry()? {
                    all.push(member);
                }
                Ok(Json::Object(all))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// What a test says of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// It holds however the server reads the arguments.
    pub surely: bool,
    /// It holds as some server could read them.
    pub may: bool,
}

impl Outcome {
    /// It holds.
    pub const YES: Self = Self {
        surely: true,
        may: true,
    };
    /// It does not.
    pub const NO: Self = Self {
        surely: false,
        may: false,
    };
    /// It depends on the server.
    pub const UNCLEAR: Self = Self {
        surely: false,
        may: true,
    };

    fn of(holds: bool) -> Self {
        if holds { Self::YES } else { Self::NO }
    }

    /// It does not surely hold.
    fn perhaps(may: bool) -> Self {
        Self { surely: false, may }
    }

    fn not(self) -> Self {
        Self {
            surely: !self.may,
            may: !self.surely,
        }
    }

    /// What of two is sure of both, and what may hold of either.
    fn both(self, other: Self) -> Self {
        Self {
            surely: self.surely && other.surely,
            may: self.may || other.may,
        }
    }
}

/// What is asked of a value.
#[derive(Debug, Clone)]
pub enum Operator {
    /// It is this scalar. Numbers are equal by value.
    Eq(Json),
    /// It is one of these scalars.
    In(Vec<Json>),
    /// The text starts so.
    Prefix(String),
    /// The text is a path in this folder, with `.` and `..` worked out. Symbolic links are not followed.
    Under(String),
    /// The whole text fits, with `*` and `?`.
    Glob(Regex),
    /// The text has a match.
    Regex(Regex),
    /// The number is below.
    Lt(Number),
    /// The number is above.
    Gt(Number),
    /// There is a value, or there is none.
    Exists(bool),
}

impl Operator {
    /// Compiles a `glob`.
    ///
    /// # Errors
    /// When it is longer than [`MAX_PATTERN`] bytes.
    pub fn glob(text: &str) -> Result<Self, String> {
        compile_glob(text, false).map(Self::Glob)
    }

    /// Compiles a `regex`.
    ///
    /// # Errors
    /// When it is no regular expression or too large.
    pub fn regex(text: &str) -> Result<Self, String> {
        compile_regex(text).map(Self::Regex)
    }

    /// Judges a value; of an array its elements, all of them for sure and any of them perhaps.
    fn judge(&self, value: &Json) -> Outcome {
        self.judge_inside(value, 0)
    }

    /// Judges a value that was read out of `n_texts` texts in one another.
    fn judge_inside(&self, value: &Json, n_texts: usize) -> Outcome {
        let text = match value {
            Json::Array(items) => {
                // Each element once: arrays nest, so a second walk would double the work at every level.
                let none = Outcome {
                    surely: !items.is_empty(),
                    may: false,
                };
                return items
                    .iter()
                    .fold(none, |all, item| all.both(self.judge_inside(item, n_texts)));
            }
            Json::Text(text) => text,
            other => return self.judge_scalar(other),
        };
        let as_text = self.judge_scalar(value);
        // The very text that was written in the rule is meant, whatever is read in it.
        let is_meant = as_text.surely && matches!(self, Self::Eq(_) | Self::In(_));
        if is_meant || as_text == Outcome::UNCLEAR {
            return as_text;
        }
        match self.judge_json_text(text, n_texts) {
            Some(read) => as_text.both(read),
            None => as_text,
        }
    }

    /// Judges what servers read that parse a text; none where nobody takes it for JSON.
    fn judge_json_text(&self, text: &str, n_texts: usize) -> Option<Outcome> {
        let text = trimmed(text);
        if !looks_like_json(text) {
            return None;
        }
        if n_texts == MAX_QUOTED || text.len() > MAX_JSON_TEXT {
            return Some(Outcome::UNCLEAR);
        }
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Json>();
        // Others may read what we cannot: `NaN`, half of a surrogate pair, single quotes, more depth.
        let Some(Ok(first)) = values.next() else {
            return Some(Outcome::UNCLEAR);
        };
        // Many stop behind the first value, some read one after the other.
        let first = self.judge_inside(&first, n_texts + 1);
        let rest = values.map_while(Result::ok);
        Some(rest.fold(first, |all, value| {
            all.both(self.judge_inside(&value, n_texts + 1))
        }))
    }

    /// Judges a value that is no array, a text as it is.
    fn judge_scalar(&self, value: &Json) -> Outcome {
        let text = |holds: &dyn Fn(&str) -> bool| match value {
            Json::Text(text) => Outcome::of(holds(text)),
            Json::Null => Outcome::NO,
            _ => Outcome::UNCLEAR,
        };
        match self {
            Self::Eq(wanted) => equal(value, wanted),
            Self::In(wanted) => {
                let has_texts = wanted.iter().any(|one| matches!(one, Json::Text(_)));
                wanted
                    .iter()
                    .map(|wanted| match (value, wanted) {
                        // Beside texts a boolean is one of the words, and not every word.
                        (Json::Text(text), Json::Bool(is)) if has_texts => {
                            Outcome::perhaps(may_spell_bool(text, *is))
                        }
                        _ => equal(value, wanted),
                    })
                    .fold(Outcome::NO, |all, one| Outcome {
                        surely: all.surely || one.surely,
                        may: all.may || one.may,
                    })
            }
            Self::Prefix(prefix) => text(&|text| text.starts_with(prefix)),
            Self::Under(folder) => match value {
                Json::Text(text) => under(text, folder),
                Json::Null => Outcome::NO,
                _ => Outcome::UNCLEAR,
            },
            Self::Glob(regex) | Self::Regex(regex) => text(&|text| regex.is_match(text)),
            Self::Lt(bound) => number(value, bound, Ordering::Less),
            Self::Gt(bound) => number(value, bound, Ordering::Greater),
            Self::Exists(_) => Outcome::YES,
        }
    }

    /// Returns the word of the configuration.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Eq(_) => "eq",
            Self::In(_) => "in",
            Self::Prefix(_) => "prefix",
            Self::Under(_) => "under",
            Self::Glob(_) => "glob",
            Self::Regex(_) => "regex",
            Self::Lt(_) => "lt",
            Self::Gt(_) => "gt",
            Self::Exists(_) => "exists",
        }
    }
}

/// A test of one value.
#[derive(Debug, Clone)]
pub struct Test {
    /// The pointer as it was written.
    pub pointer: String,
    /// What is asked.
    pub operator: Operator,
    /// Whether it has to fail instead.
    pub is_negated: bool,
    path: Vec<String>,
}

impl Test {
    /// Makes a test.
    ///
    /// # Errors
    /// When the pointer is none (RFC 6901): a text that says so.
    pub fn new(pointer: &str, operator: Operator, is_negated: bool) -> Result<Self, String> {
        if pointer.len() > MAX_PATTERN {
            return Err(format!("the pointer is longer than {MAX_PATTERN} bytes"));
        }
        let mut parts = pointer.split('/');
        if parts.next() != Some("") {
            return Err(format!(
                "`{pointer}` is no JSON Pointer: it has to begin with `/`, as in `/path`"
            ));
        }
        let path = parts
            .map(|part| {
                let is_odd = part
                    .split('~')
                    .skip(1)
                    .any(|rest| !rest.starts_with(['0', '1']));
                if is_odd {
                    return Err(format!(
                        "`{pointer}` is no JSON Pointer: `~` is written `~0`, `/` in a key `~1`"
                    ));
                }
                Ok(part.replace("~1", "/").replace("~0", "~"))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            pointer: pointer.to_owned(),
            operator,
            is_negated,
            path,
        })
    }

    /// Judges arguments; none are those that cannot be read.
    pub fn judge(&self, arguments: Option<&Json>) -> Outcome {
        let Some(arguments) = arguments else {
            return Outcome::UNCLEAR;
        };
        let mut outcome = match (find(arguments, &self.path), &self.operator) {
            (Found::Unclear, _) => Outcome::UNCLEAR,
            (Found::Nothing, Operator::Exists(wanted)) => Outcome::of(!wanted),
            (Found::One(_), Operator::Exists(wanted)) => Outcome::of(*wanted),
            (Found::Nothing, _) => Outcome::NO,
            (Found::One(value), operator) => operator.judge(value),
        };
        if self.is_negated {
            outcome = outcome.not();
        }
        outcome
    }
}

enum Found<'a> {
    One(&'a Json),
    Nothing,
    Unclear,
}

fn find<'a>(value: &'a Json, path: &[String]) -> Found<'a> {
    let Some((first, rest)) = path.split_first() else {
        return Found::One(value);
    };
    match value {
        Json::Object(members) => {
            // Go reads `Path` where `path` is meant.
            let mut twins = members
                .iter()
                .filter(|(key, _)| folded(key).eq(folded(first)));
            match (twins.next(), twins.next()) {
                (None, _) => Found::Nothing,
                (Some((key, value)), None) if key == first => find(value, rest),
                _ => Found::Unclear,
            }
        }
        Json::Array(items) => {
            let is_index = first == "0" || (!first.starts_with('0') && !first.is_empty());
            let item = first.parse::<usize>().ok().filter(|_| is_index);
            match item.and_then(|index| items.get(index)) {
                Some(item) => find(item, rest),
                None => Found::Nothing,
            }
        }
        // A server may read JSON in a text, also in one that is quoted once more.
        Json::Text(text) if trimmed(text).starts_with(['{', '[', '"']) => Found::Unclear,
        _ => Found::Nothing,
    }
}

/// A key as servers compare it that do not look at case. Go takes `ſ` for `s` and the Kelvin sign for `k`:
/// whatever shares a small or a capital letter is one, so it goes down, up and down again.
fn folded(key: &str) -> impl Iterator<Item = char> + '_ {
    key.chars()
        .flat_map(char::to_lowercase)
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
}

/// A text without what readers skip around a value.
fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c.is_control() || c == '\u{feff}')
}

/// Whether a text begins like an array, an object or a quoted text in JSON or a dialect of it. Titles (`[WIP] x`),
/// links and templates (`{{x}}`) do not.
fn looks_like_json(text: &str) -> bool {
    const WORDS: &[&str] = &[
        "true", "false", "null", "NaN", "Infinity", "True", "False", "None",
    ];
    if let Some(items) = text.strip_prefix('[') {
        let first = items.trim_start();
        return first.starts_with(|c: char| c.is_ascii_digit() || "[]{\"'-/".contains(c))
            || WORDS.iter().any(|word| first.starts_with(word));
    }
    if let Some(members) = text.strip_prefix('{') {
        return members.trim_start().starts_with(['"', '\'', '}', '/']);
    }
    text.starts_with('"')
}

fn equal(value: &Json, wanted: &Json) -> Outcome {
    match (value, wanted) {
        (Json::Number(value), Json::Number(wanted)) => compare(value, wanted, Ordering::Equal),
        (Json::Text(_), Json::Text(_))
        | (Json::Bool(_), Json::Bool(_))
        | (Json::Null, Json::Null) => Outcome::of(value == wanted),
        (Json::Object(_) | Json::Array(_), _) => Outcome::UNCLEAR,
        (Json::Text(text), Json::Null) | (Json::Null, Json::Text(text)) => {
            Outcome::perhaps(text.trim() == "null")
        }
        (Json::Text(text), Json::Number(number)) => Outcome::perhaps(may_be_read_as(text, number)),
        (Json::Number(number), Json::Text(wanted)) => {
            Outcome::perhaps(may_be_written_as(number, wanted))
        }
        // Any text may be either: `if (x)` takes all but the empty one for true, `x == "true"` all but one for
        // false.
        (Json::Text(_), Json::Bool(_)) => Outcome::UNCLEAR,
        (Json::Bool(value), Json::Text(wanted)) => Outcome::perhaps(may_spell_bool(wanted, *value)),
        // Zero is false, and whatever is not may be true.
        (Json::Number(number), Json::Bool(wanted)) => {
            Outcome::perhaps((number.as_f64() != Some(0.0)) == *wanted)
        }
        (Json::Bool(value), Json::Number(wanted)) => {
            Outcome::perhaps(wanted.as_f64() == Some(f64::from(u8::from(*value))))
        }
        _ => Outcome::NO,
    }
}

/// Whether some server could read the number in the text: all of it, its whole part, or the digits that it begins
/// with (`parseInt`). What begins like a number of another kind (`0x5`, `05`, `5_000`, digits of other scripts) is
/// read in too many ways to tell.
fn may_be_read_as(text: &str, number: &Number) -> bool {
    let text = trimmed(text);
    let wanted = number.as_f64();
    // `Number("")` is 0.
    if text.is_empty() {
        return wanted == Some(0.0);
    }
    let digits = text.trim_start_matches(['+', '-']);
    if let Some(rest) = digits.strip_prefix('0')
        && rest.starts_with(|c: char| c.is_alphanumeric() || c == '_')
        && !rest.starts_with(['e', 'E'])
    {
        return true;
    }
    let end = |is_part: fn(char) -> bool| digits.find(|c| !is_part(c)).unwrap_or(digits.len());
    let whole = end(|c| c.is_ascii_digit());
    let decimal = end(|c| c.is_ascii_digit() || c == '.');
    let rest = &digits[decimal..];
    if rest.starts_with(char::is_numeric) || (decimal > 0 && rest.starts_with(['_', ',', '\''])) {
        return true;
    }
    let sign = &text[..text.len() - digits.len()];
    let sign = if sign.ends_with('-') { -1.0 } else { 1.0 };
    let read = [digits, &digits[..decimal], &digits[..whole]];
    read.iter()
        .filter_map(|part| part.parse::<f64>().ok())
        .any(|read| {
            [read, read.trunc()]
                .map(|read| Some(sign * read))
                .contains(&wanted)
        })
}

/// Whether some server could write the number so: as a plain decimal.
fn may_be_written_as(number: &Number, text: &str) -> bool {
    text.trim()
        .parse::<f64>()
        .is_ok_and(|written| number.as_f64() == Some(written))
}

/// Whether some server writes the boolean so.
fn may_spell_bool(text: &str, value: bool) -> bool {
    const TRUE: &[&str] = &["true", "1", "1.0", "yes", "y", "on", "t"];
    const FALSE: &[&str] = &["false", "0", "0.0", "no", "n", "off", "f", ""];
    let words = if value { TRUE } else { FALSE };
    words
        .iter()
        .any(|word| text.trim().eq_ignore_ascii_case(word))
}

fn number(value: &Json, bound: &Number, wanted: Ordering) -> Outcome {
    match value {
        Json::Number(value) => compare(value, bound, wanted),
        Json::Null => Outcome::NO,
        _ => Outcome::UNCLEAR,
    }
}

/// Whether numbers compare so: exactly, and rounded to 64-bit floats, which is all that JavaScript has. Whole numbers
/// beyond 2^53 differ in that.
fn compare(left: &Number, right: &Number, wanted: Ordering) -> Outcome {
    let whole = |number: &Number| {
        let signed = number.as_i64().map(i128::from);
        signed.or_else(|| number.as_u64().map(i128::from))
    };
    let floats = left.as_f64().zip(right.as_f64());
    let rounded = floats.and_then(|(left, right)| left.partial_cmp(&right));
    let exact = match (whole(left), whole(right)) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        _ => rounded,
    };
    Outcome::of(exact == Some(wanted)).both(Outcome::of(rounded == Some(wanted)))
}

/// Whether a path is a folder or below it. What servers may read in two ways is unclear: `%2e`, `\`, `~`,
/// control characters, and a path that is relative where the folder is not.
fn under(path: &str, folder: &str) -> Outcome {
    let is_odd = path.contains(['%', '\\', '\0']) || path.starts_with('~') || path.contains("://");
    let is_odd = is_odd || path.chars().any(char::is_control) || path.trim() != path;
    if is_odd || path.starts_with('/') != folder.starts_with('/') {
        return Outcome::UNCLEAR;
    }
    let (Some(path), Some(folder)) = (worked_out(path), worked_out(folder)) else {
        return Outcome::UNCLEAR;
    };
    Outcome::of(path.starts_with(&folder))
}

/// The parts of a path without `.` and `..`; none where it leaves where it starts.
fn worked_out(path: &str) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            // Above the root is the root.
            ".." if parts.pop().is_none() && !path.starts_with('/') => return None,
            ".." => {}
            other => parts.push(other),
        }
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text.as_bytes()).unwrap()
    }

    #[track_caller]
    fn check(operator: Operator, arguments: &str, expected: Outcome) {
        let test = Test::new("/a", operator, false).unwrap();
        let read = Json::parse(arguments.as_bytes());
        let shown = format!("{:?} of {arguments}", test.operator);
        assert_eq!(test.judge(read.as_ref()), expected, "{shown}");
        let negated = Test {
            is_negated: true,
            ..test
        };
        assert_eq!(negated.judge(read.as_ref()), expected.not(), "not {shown}");
    }

    #[test]
    fn each_operator_on_each_type() {
        const YES: Outcome = Outcome::YES;
        const NO: Outcome = Outcome::NO;
        const UNCLEAR: Outcome = Outcome::UNCLEAR;
        let number = |text: &str| match json(text) {
            Json::Number(number) => number,
            _ => panic!("{text}"),
        };
        for (arguments, expected) in [
            (r#"{"a":"x"}"#, YES),
            (r#"{"a":"X"}"#, NO),
            (r#"{"a":1}"#, NO),
            (r#"{"a":{}}"#, UNCLEAR),
            (r#"{"a":["x","y"]}"#, UNCLEAR),
            (r#"{"a":["x","x"]}"#, YES),
            (r#"{"a":[]}"#, NO),
            (r#"{"A":"x"}"#, UNCLEAR),
            (r#"{"a":"y","A":"x"}"#, UNCLEAR),
            (r#"{"a":"y","a":"x"}"#, UNCLEAR),
            (r#"{"\u0061":"x"}"#, YES),
            (r#"{"b":"x"}"#, NO),
            ("{}", NO),
            ("null", NO),
            ("{", UNCLEAR),
            (r#""{\"a\":\"x\"}""#, UNCLEAR),
        ] {
            check(Operator::Eq(json(r#""x""#)), arguments, expected);
            check(
                Operator::In(vec![json("7"), json(r#""x""#)]),
                arguments,
                expected,
            );
        }
        for (arguments, expected) in [
            (r#"{"a":5}"#, YES),
            (r#"{"a":5.0}"#, YES),
            (r#"{"a":5e0}"#, YES),
            (r#"{"a":"5"}"#, UNCLEAR),
            (r#"{"a":"5.0"}"#, UNCLEAR),
            (r#"{"a":6}"#, NO),
            (r#"{"a":true}"#, NO),
        ] {
            check(Operator::Eq(json("5")), arguments, expected);
        }
        check(Operator::Eq(json("true")), r#"{"a":"true"}"#, UNCLEAR);
        for (arguments, below, above) in [
            (r#"{"a":4}"#, YES, NO),
            (r#"{"a":5}"#, NO, NO),
            (r#"{"a":5.5}"#, NO, YES),
            (r#"{"a":-1e300}"#, YES, NO),
            (r#"{"a":18446744073709551615}"#, NO, YES),
            (r#"{"a":"9"}"#, UNCLEAR, UNCLEAR),
            (r#"{"a":[4,9]}"#, UNCLEAR, UNCLEAR),
            ("{}", NO, NO),
        ] {
            check(Operator::Lt(number("5")), arguments, below);
            check(Operator::Gt(number("5")), arguments, above);
        }
        for (arguments, expected) in [
            (r#"{"a":"/etc/x"}"#, YES),
            (r#"{"a":"/srv"}"#, NO),
            (r#"{"a":["/srv","/etc/x"]}"#, UNCLEAR),
            (r#"{"a":1}"#, UNCLEAR),
        ] {
            check(Operator::Prefix("/etc/".into()), arguments, expected);
            check(Operator::glob("/etc/*").unwrap(), arguments, expected);
            check(Operator::regex("^/etc/").unwrap(), arguments, expected);
        }
        check(Operator::Exists(true), r#"{"a":null}"#, YES);
        check(Operator::Exists(true), "{}", NO);
        check(Operator::Exists(false), "{}", YES);
    }

    /// Broken variant that this catches: one walk of the elements for `may` and another for `surely`, which
    /// takes 2^120 judgements here and does not end.
    #[test]
    fn arrays_in_arrays_are_walked_once() {
        let nested = |inner: &str| {
            let (open, close) = ("[".repeat(120), "]".repeat(120));
            format!(r#"{{"a":{open}{inner}{close}}}"#)
        };
        for (inner, expected) in [
            (r#""x""#, Outcome::YES),
            (r#""y""#, Outcome::NO),
            (r#""x","y""#, Outcome::UNCLEAR),
            ("", Outcome::NO),
        ] {
            check(Operator::Eq(json(r#""x""#)), &nested(inner), expected);
        }
    }

    /// Broken variant that this catches: whole numbers compared exactly alone, so that 2^53 + 1 passes a rule on
    /// 2^53 and is 2^53 for a server in JavaScript.
    #[test]
    fn whole_numbers_that_floats_round_are_unclear() {
        const NO: Outcome = Outcome::NO;
        const UNCLEAR: Outcome = Outcome::UNCLEAR;
        const YES: Outcome = Outcome::YES;
        let number = |text: &str| match json(text) {
            Json::Number(number) => number,
            _ => panic!("{text}"),
        };
        for (bound, value, same, below, above) in [
            ("9007199254740992", "9007199254740992", YES, NO, NO),
            ("9007199254740992", "9007199254740993", UNCLEAR, NO, UNCLEAR),
            ("9007199254740993", "9007199254740992", UNCLEAR, UNCLEAR, NO),
            ("9007199254740992", "9007199254740991", NO, YES, NO),
            ("9007199254740992", "9007199254740994", NO, NO, YES),
            (
                "18446744073709551615",
                "18446744073709551614",
                UNCLEAR,
                UNCLEAR,
                NO,
            ),
            (
                "-9007199254740992",
                "-9007199254740993",
                UNCLEAR,
                UNCLEAR,
                NO,
            ),
        ] {
            let arguments = format!(r#"{{"a":{value}}}"#);
            check(Operator::Eq(json(bound)), &arguments, same);
            check(Operator::In(vec![json(bound)]), &arguments, same);
            check(Operator::Lt(number(bound)), &arguments, below);
            check(Operator::Gt(number(bound)), &arguments, above);
        }
    }

    /// Broken variants that this catches: one that judges a text as a text alone, though FastMCP and others read
    /// the array in it; and one that takes each text in brackets for JSON, so that a rule denies titles.
    #[test]
    fn json_in_a_text_is_judged_as_well() {
        const YES: Outcome = Outcome::YES;
        const NO: Outcome = Outcome::NO;
        const UNCLEAR: Outcome = Outcome::UNCLEAR;
        let text = |text: &str| serde_json::json!({ "a": text }).to_string();
        for (value, expected) in [
            (r#"["/etc/passwd"]"#, UNCLEAR),
            (" [ \"/srv\", \"/etc/passwd\" ]\n", UNCLEAR),
            (r#""/etc/passwd""#, UNCLEAR),
            (r#""[\"/etc/passwd\"]""#, UNCLEAR),
            (r#"{"path":"/srv"}"#, UNCLEAR),
            (r#"["/srv"] ["/etc/passwd"]"#, UNCLEAR),
            (r#"["/etc/passwd"] and more"#, UNCLEAR),
            (r#"["/srv","/data"]"#, NO),
            (r#""/srv" and more"#, NO),
            ("[]", NO),
            // Nobody here can read these, and some server can.
            (r#"[NaN,"/srv"]"#, UNCLEAR),
            (r#"["\ud800","/srv"]"#, UNCLEAR),
            ("['/etc/passwd']", UNCLEAR),
            (r#"["/srv""#, UNCLEAR),
            ("[WIP] clean up", NO),
            ("[build]\nrustflags = []", NO),
            ("{{template}}", NO),
            ("[", NO),
            ("", NO),
        ] {
            let arguments = text(value);
            check(Operator::glob("/etc/*").unwrap(), &arguments, expected);
            check(Operator::regex("^/etc/").unwrap(), &arguments, expected);
            check(Operator::Prefix("/etc/".into()), &arguments, expected);
            let equal = [r#""/etc/passwd""#, r#""/etc/shadow""#].map(json).to_vec();
            check(Operator::In(equal), &arguments, expected);
        }
        // What holds of the text and not of what is read in it does not surely hold.
        for (value, expected) in [
            (r#"["/etc/passwd"]"#, UNCLEAR),
            (r#"["[a"]"#, YES),
            ("[WIP] clean up", YES),
        ] {
            check(Operator::regex(r"^\[").unwrap(), &text(value), expected);
        }
        check(Operator::Eq(json("5")), &text("[5]"), UNCLEAR);
        check(Operator::Eq(json("5")), &text("[6]"), NO);
        check(
            Operator::Under("data".into()),
            &text(r#"["data/x"]"#),
            UNCLEAR,
        );
        // The text of the rule itself.
        let same = r#"["/srv"]"#;
        check(Operator::Eq(Json::Text(same.into())), &text(same), YES);
        let inside = Test::new("/a/b", Operator::Eq(json("1")), false).unwrap();
        let quoted = json(&text(r#""{\"b\":1}""#));
        assert_eq!(inside.judge(Some(&quoted)), UNCLEAR);
    }

    /// Broken variant that this catches: JSON in texts that is read as deep as it goes and however long it is, for
    /// each test again.
    #[test]
    fn reading_json_in_texts_is_bounded() {
        let operator = Operator::Eq(json(r#""x""#));
        let quoted = |n: usize| {
            let quote = |text: String, _| serde_json::Value::from(text).to_string();
            (0..n).fold("y".to_owned(), quote)
        };
        // The first text is the value itself.
        for (n, expected) in [
            (1, Outcome::NO),
            (1 + MAX_QUOTED, Outcome::NO),
            (2 + MAX_QUOTED, Outcome::UNCLEAR),
            (12, Outcome::UNCLEAR),
        ] {
            check(
                operator.clone(),
                &format!(r#"{{"a":{}}}"#, quoted(n)),
                expected,
            );
        }
        let long = |n: usize| {
            let text = format!("[{}1]", "1,".repeat(n / 2 - 1));
            serde_json::json!({ "a": text }).to_string()
        };
        check(operator.clone(), &long(1_000), Outcome::NO);
        check(operator.clone(), &long(MAX_JSON_TEXT + 2), Outcome::UNCLEAR);
        let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
        let deep = serde_json::json!({ "a": deep }).to_string();
        check(operator, &deep, Outcome::UNCLEAR);
    }

    /// Broken variant that this catches: scalars of different types that are the same only where their texts are
    /// (`true` and `"true"`), or where a text is a plain decimal.
    #[test]
    fn what_servers_coerce_is_unclear() {
        const NO: Outcome = Outcome::NO;
        const UNCLEAR: Outcome = Outcome::UNCLEAR;
        for (wanted, value, expected) in [
            ("true", "1", UNCLEAR),
            ("true", "1.0", UNCLEAR),
            ("true", "7", UNCLEAR),
            ("true", "0", NO),
            ("false", "0", UNCLEAR),
            ("false", "-0.0", UNCLEAR),
            ("false", "1", NO),
            ("true", r#""1""#, UNCLEAR),
            ("true", r#""yes""#, UNCLEAR),
            ("true", r#""True""#, UNCLEAR),
            ("true", r#""on""#, UNCLEAR),
            ("true", r#""t""#, UNCLEAR),
            ("true", r#""y""#, UNCLEAR),
            ("false", r#""off""#, UNCLEAR),
            ("false", r#""""#, UNCLEAR),
            ("1", "true", UNCLEAR),
            ("0", "false", UNCLEAR),
            ("1", "false", NO),
            (r#""Yes""#, "true", UNCLEAR),
            (r#""0""#, "false", UNCLEAR),
            (r#""yes""#, "false", NO),
            (r#""delete""#, "true", NO),
            ("5000", r#""5_000""#, UNCLEAR),
            ("5", r#""0x5""#, UNCLEAR),
            ("8", r#""010""#, UNCLEAR),
            ("5", r#"" +5.0e0\n""#, UNCLEAR),
            ("5", r#""5.9""#, UNCLEAR),
            ("5", r#""5 MB""#, UNCLEAR),
            ("5", r#""\uff15""#, UNCLEAR),
            ("0", r#""""#, UNCLEAR),
            ("5", r#""""#, NO),
            ("5", r#""6""#, NO),
            ("5", r#""-5""#, NO),
            ("5", r#""abc""#, NO),
            ("5", r#""file5""#, NO),
            ("5", r#""inf""#, NO),
            ("1", r#""12 items""#, NO),
            ("12", r#""12 items""#, UNCLEAR),
            ("1", r#""7f3c-1""#, NO),
            ("1", r#""2024-05-01""#, NO),
            ("5", r#""5e3""#, UNCLEAR),
            (r#""30d""#, "7", NO),
            (r#""30d""#, "30", NO),
            (r#""5""#, "5.0", UNCLEAR),
            (r#""5.0""#, "5", UNCLEAR),
            (r#""6""#, "5", NO),
            (r#""abc""#, "5", NO),
            (r#""null""#, "null", UNCLEAR),
            ("null", r#""null""#, UNCLEAR),
            ("false", "null", NO),
        ] {
            let arguments = format!(r#"{{"a":{value}}}"#);
            check(Operator::Eq(json(wanted)), &arguments, expected);
            check(Operator::In(vec![json(wanted)]), &arguments, expected);
        }
    }

    /// Broken variant that this catches: keys compared by their small letters alone, which leave `ſ` (U+017F)
    /// as it is. The Kelvin sign (U+212A) is only seen by going through small letters first.
    #[test]
    fn keys_are_folded_as_go_folds_them() {
        let at = |pointer: &str, arguments: &str| {
            let test = Test::new(pointer, Operator::Eq(json("1")), false).unwrap();
            test.judge(Some(&json(arguments)))
        };
        assert_eq!(at("/task", r#"{"task":1}"#), Outcome::YES);
        assert_eq!(at("/task", r#"{"ta\u017fk":1}"#), Outcome::UNCLEAR);
        assert_eq!(at("/task", r#"{"tas\u212a":1}"#), Outcome::UNCLEAR);
        assert_eq!(
            at("/task", r#"{"task":2,"TA\u017f\u212a":1}"#),
            Outcome::UNCLEAR
        );
        assert_eq!(at("/ta\u{17f}k", r#"{"task":1}"#), Outcome::UNCLEAR);
        assert_eq!(at("/task", r#"{"tast":1}"#), Outcome::NO);
    }

    #[test]
    fn folders_hold_whatever_the_way_there() {
        for (path, expected) in [
            ("/data", Outcome::YES),
            ("/data/", Outcome::YES),
            ("/data/a/../b", Outcome::YES),
            ("//data/./x", Outcome::YES),
            ("/../data/x", Outcome::YES),
            ("/data/../etc/passwd", Outcome::NO),
            ("/database", Outcome::NO),
            ("/", Outcome::NO),
            ("data/x", Outcome::UNCLEAR),
            ("/data/%2e%2e/etc", Outcome::UNCLEAR),
            ("/data/..\\etc", Outcome::UNCLEAR),
            ("~/x", Outcome::UNCLEAR),
            ("file:///data", Outcome::UNCLEAR),
            ("/data/x\n", Outcome::UNCLEAR),
        ] {
            assert_eq!(under(path, "/data"), expected, "{path}");
        }
        assert_eq!(under("a/../../data", "data"), Outcome::UNCLEAR);
        assert_eq!(under("./data/x", "data"), Outcome::YES);
    }

    #[test]
    fn pointers_are_those_of_rfc_6901() {
        let at = |pointer: &str, arguments: &str| {
            let test = Test::new(pointer, Operator::Eq(json("1")), false).unwrap();
            test.judge(Some(&json(arguments)))
        };
        assert_eq!(at("/a/b", r#"{"a":{"b":1}}"#), Outcome::YES);
        assert_eq!(at("/a/1", r#"{"a":[0,1]}"#), Outcome::YES);
        assert_eq!(at("/a/01", r#"{"a":[0,1]}"#), Outcome::NO);
        assert_eq!(at("/a~1b", r#"{"a/b":1}"#), Outcome::YES);
        assert_eq!(at("/m~0n", r#"{"m~n":1}"#), Outcome::YES);
        assert_eq!(at("/", r#"{"":1}"#), Outcome::YES);
        assert_eq!(at("/a/b", r#"{"a":"{\"b\":1}"}"#), Outcome::UNCLEAR);
        for wrong in ["a", "a/b", "/a~2", "/~"] {
            assert!(
                Test::new(wrong, Operator::Exists(true), false).is_err(),
                "{wrong}"
            );
        }
    }
}
