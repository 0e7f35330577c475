//! Faults in words: where, what was expected, what came, and which name was probably meant. Never
//! more of a value than its first characters.

use std::fmt;

use jsonschema::ValidationError;
use jsonschema::error::TypeKind;
use jsonschema::error::ValidationErrorKind as Kind;
use serde_json::Map;
use serde_json::Value;

use crate::surface::validate::bounds::Bounds;
use crate::surface::validate::nullable::takes_null;
use crate::surface::validate::similar::closest;

/// Faults that are told of one call; more help nobody.
const MAX_FAULTS: usize = 5;

/// Nulls that are looked up in the schema to see whether it takes them, at most.
const MAX_EXCUSED: usize = 1000;
/// Branches inside branches whose faults are looked at.
const MAX_BRANCH_DEPTH: usize = 8;
/// Characters of a value, a pattern or a name that are shown.
const MAX_SHOWN: usize = 40;
/// Values of an enumeration that are shown.
const MAX_VALUES: usize = 12;

const NO_SUCH: &str = "no such parameter";

/// One thing that is wrong with the arguments of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// JSON Pointer into the arguments; empty for the arguments as a whole.
    pub pointer: String,
    /// What the schema wants there.
    pub expected: String,
    /// What came instead, in words; empty where the name alone is wrong.
    pub came: String,
    /// The name that was probably meant.
    pub suggestion: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() {
            "arguments"
        } else {
            &self.pointer
        };
        if self.came.is_empty() {
            write!(f, "{place}: {}", self.expected)?;
        } else {
            write!(f, "{place}: expected {}, got {}", self.expected, self.came)?;
        }
        match &self.suggestion {
            Some(name) => write!(f, " (did you mean `{name}`?)"),
            None => Ok(()),
        }
    }
}

/// Returns the first faults in the order of the schema, at most five; `None` where all that failed is a `null`
/// that the schema takes by `nullable: true`. There are none of them where nobody can tell.
pub(super) fn faults(
    compiled: &jsonschema::Validator,
    schema: &Value,
    bounds: &Bounds,
    value: &Value,
) -> Option<Vec<Fault>> {
    let mut teller = Teller {
        schema,
        bounds,
        arguments: value,
        found: Vec::new(),
        is_in_doubt: false,
    };
    let mut n_excused = 0;
    for error in compiled.iter_errors(value) {
        if teller.found.len() >= MAX_FAULTS || n_excused >= MAX_EXCUSED {
            break;
        }
        if teller.is_excused(&error, 0) {
            n_excused += 1;
        } else {
            teller.tell(&error, 0);
        }
    }
    teller.found.truncate(MAX_FAULTS);
    let has_answer = !teller.found.is_empty() || teller.is_in_doubt || n_excused == 0;
    has_answer.then_some(teller.found)
}

/// Cuts a text to `most` characters, and says so.
pub(super) fn shorten(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

struct Teller<'a> {
    schema: &'a Value,
    bounds: &'a Bounds,
    arguments: &'a Value,
    found: Vec<Fault>,
    /// Something failed that other dialects of regular expressions may take.
    is_in_doubt: bool,
}

impl<'a> Teller<'a> {
    /// Tells whether an error is no fault for sure: a `null` where the schema says `nullable: true`, a pattern that
    /// dialects read differently, or a choice with a branch that has nothing else against the value.
    fn is_excused(&mut self, error: &ValidationError<'_>, depth: usize) -> bool {
        if depends_on_dialect(error) {
            self.is_in_doubt = true;
            return true;
        }
        let here = self.arguments.pointer(error.instance_path().as_str());
        let path = error.evaluation_path().as_str();
        if here == Some(&Value::Null) && takes_null(self.schema, self.bounds, path) {
            return true;
        }
        match error.kind() {
            Kind::AnyOf { context } | Kind::OneOfNotValid { context }
                if depth < MAX_BRANCH_DEPTH =>
            {
                context.iter().any(|branch| {
                    let mut errors = branch.iter();
                    !branch.is_empty() && errors.all(|error| self.is_excused(error, depth + 1))
                })
            }
            _ => false,
        }
    }

    fn tell(&mut self, error: &ValidationError<'_>, depth: usize) {
        let pointer = error.instance_path().as_str();
        let here = self.arguments.pointer(pointer);
        match error.kind() {
            Kind::AnyOf { context } | Kind::OneOfNotValid { context }
                if depth < MAX_BRANCH_DEPTH =>
            {
                self.tell_branches(error, context, depth);
            }
            Kind::AdditionalProperties { unexpected }
            | Kind::UnevaluatedProperties { unexpected } => {
                let known = self.properties(error);
                let present = here.and_then(Value::as_object);
                for name in unexpected.iter().take(MAX_FAULTS) {
                    let free = known.into_iter().flat_map(Map::keys).map(String::as_str);
                    let free = free.filter(|name| !present.is_some_and(|p| p.contains_key(*name)));
                    let suggestion = closest(name, free).map(str::to_owned);
                    let pointer = join(pointer, name);
                    self.push(pointer, NO_SUCH.to_owned(), String::new(), suggestion);
                }
            }
            Kind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                let known = self.properties(error);
                let unknown = here.and_then(Value::as_object).into_iter();
                let unknown = unknown.flat_map(Map::keys).map(String::as_str);
                let unknown = unknown.filter(|key| !known.is_some_and(|k| k.contains_key(*key)));
                let came = match closest(name, unknown) {
                    Some(slip) => format!("nothing, but there is `{}`", shorten(slip, MAX_SHOWN)),
                    None => "nothing".to_owned(),
                };
                let kind = known.and_then(|known| known.get(name)).and_then(type_of);
                let expected = match kind {
                    Some(kind) => format!("{kind} (required)"),
                    None => "a value (required)".to_owned(),
                };
                self.push(join(pointer, name), expected, came, None);
            }
            // A member that a `false` schema refuses, as where no member is allowed at all.
            Kind::FalseSchema if here.is_some() && !pointer.is_empty() => {
                self.push(pointer.to_owned(), NO_SUCH.to_owned(), String::new(), None);
            }
            Kind::PropertyNames { error } => {
                let expected = format!("names that are {}", expected(error.kind()));
                let came = came(error.instance());
                self.push(pointer.to_owned(), expected, came, None);
            }
            kind => {
                let came = here.map_or_else(|| came(error.instance()), came);
                self.push(pointer.to_owned(), expected(kind), came, None);
            }
        }
    }

    /// Tells of the branch that was most likely meant. Where branches differ by type or constant
    /// only, all of them are named.
    fn tell_branches(
        &mut self,
        error: &ValidationError<'_>,
        branches: &[Vec<ValidationError<'static>>],
        depth: usize,
    ) {
        let at = error.instance_path().as_str();
        let mut simple: Vec<String> = Vec::new();
        let mut meant: Vec<&Vec<ValidationError<'static>>> = Vec::new();
        for branch in branches {
            let decisive = branch.iter().find(|error| {
                error.instance_path().as_str() == at
                    && matches!(
                        error.kind(),
                        Kind::Type { .. } | Kind::Constant { .. } | Kind::Enum { .. }
                    )
            });
            match decisive {
                Some(error) => {
                    let expected = expected(error.kind());
                    if !simple.contains(&expected) {
                        simple.push(expected);
                    }
                }
                None => meant.push(branch),
            }
        }
        // A wrong constant below (a discriminator) says that another branch was meant.
        let best = meant.iter().min_by_key(|branch| {
            let is_other = branch
                .iter()
                .any(|error| matches!(error.kind(), Kind::Constant { .. } | Kind::Enum { .. }));
            (is_other, branch.len())
        });
        match best {
            Some(best) if !best.is_empty() => {
                let before = self.found.len();
                for error in best.iter().take(MAX_FAULTS) {
                    if !self.is_excused(error, depth + 1) {
                        self.tell(error, depth + 1);
                    }
                }
                if branches.len() > 1
                    && let Some(fault) = self.found.get_mut(before)
                {
                    fault.expected = format!(
                        "{} (in the closest of {} forms)",
                        fault.expected,
                        branches.len()
                    );
                }
            }
            _ => {
                let here = self.arguments.pointer(at);
                let came = here.map_or_else(|| came(error.instance()), came);
                let expected = if simple.is_empty() {
                    format!("one of {} forms", branches.len())
                } else {
                    simple.join(" or ")
                };
                self.push(at.to_owned(), expected, came, None);
            }
        }
    }

    /// The `properties` beside the keyword that failed.
    fn properties(&self, error: &ValidationError<'_>) -> Option<&'a Map<String, Value>> {
        let mut schema = self.schema;
        let path = error.evaluation_path().as_str();
        let (parent, _) = path.rsplit_once('/')?;
        for token in parent.split('/').skip(1) {
            let token = token.replace("~1", "/").replace("~0", "~");
            schema = match schema {
                Value::Array(items) => items.get(token.parse::<usize>().ok()?)?,
                Value::Object(members) => match (token.as_str(), members.get(&token)?) {
                    ("$ref" | "$dynamicRef" | "$recursiveRef", Value::String(reference)) => {
                        *self.bounds.targets(self.schema, reference).first()?
                    }
                    (_, value) => value,
                },
                _ => return None,
            };
        }
        schema.get("properties")?.as_object()
    }

    fn push(
        &mut self,
        pointer: String,
        expected: String,
        came: String,
        suggestion: Option<String>,
    ) {
        let fault = Fault {
            pointer: shorten(&pointer, 200),
            expected: shorten(&expected, 300),
            came,
            suggestion,
        };
        if !self.found.contains(&fault) {
            self.found.push(fault);
        }
    }
}

fn join(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn type_of(schema: &Value) -> Option<String> {
    if let Some(Value::Array(values)) = schema.get("enum") {
        return Some(one_of(values));
    }
    match schema.get("type")? {
        Value::String(name) => Some(shorten(name, MAX_SHOWN)),
        Value::Array(names) => Some(
            names
                .iter()
                .filter_map(Value::as_str)
                .take(7)
                .map(|name| shorten(name, MAX_SHOWN))
                .collect::<Vec<_>>()
                .join(" or "),
        ),
        _ => None,
    }
}

fn one_of(values: &[Value]) -> String {
    let mut shown: Vec<String> = values
        .iter()
        .take(MAX_VALUES)
        .map(|value| shorten(&value.to_string(), MAX_SHOWN))
        .collect();
    if values.len() > MAX_VALUES {
        shown.push(format!("… {} in all", values.len()));
    }
    match shown.as_slice() {
        [one] => one.clone(),
        _ => format!("one of {}", shown.join(", ")),
    }
}

fn expected(kind: &Kind) -> String {
    let value = |value: &Value| shorten(&value.to_string(), MAX_SHOWN);
    match kind {
        Kind::Type {
            kind: TypeKind::Single(kind),
        } => kind.to_string(),
        Kind::Type {
            kind: TypeKind::Multiple(kinds),
        } => {
            let names: Vec<String> = kinds.iter().map(|kind| kind.to_string()).collect();
            names.join(" or ")
        }
        Kind::Enum { options } => match options.as_ref() {
            Value::Array(values) => one_of(values),
            other => value(other),
        },
        Kind::Constant { expected_value } => value(expected_value),
        Kind::Minimum { limit } => format!("at least {}", value(limit)),
        Kind::Maximum { limit } => format!("at most {}", value(limit)),
        Kind::ExclusiveMinimum { limit } => format!("more than {}", value(limit)),
        Kind::ExclusiveMaximum { limit } => format!("less than {}", value(limit)),
        Kind::MultipleOf { multiple_of } => format!("a multiple of {multiple_of}"),
        Kind::MinLength { limit } => format!("at least {limit} characters"),
        Kind::MaxLength { limit } => format!("at most {limit} characters"),
        Kind::MinItems { limit } => format!("at least {limit} items"),
        Kind::MaxItems { limit } => format!("at most {limit} items"),
        Kind::MinProperties { limit } => format!("at least {limit} members"),
        Kind::MaxProperties { limit } => format!("at most {limit} members"),
        Kind::AdditionalItems { limit } => format!("at most {limit} items"),
        Kind::UnevaluatedItems { .. } => "no further items".to_owned(),
        Kind::UniqueItems => "items that all differ".to_owned(),
        Kind::Contains => "an item of the form in `contains`".to_owned(),
        Kind::Pattern { pattern } => {
            format!("text that matches `{}`", shorten(pattern, 2 * MAX_SHOWN))
        }
        Kind::Format { format } => format!("text of format {}", shorten(format, MAX_SHOWN)),
        Kind::FalseSchema => "nothing here".to_owned(),
        Kind::Not { .. } => "a value outside the form in `not`".to_owned(),
        Kind::OneOfMultipleValid { .. } => "exactly one of the forms in `oneOf`".to_owned(),
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
            format!("one of {} forms", context.len())
        }
        other => format!("what `{}` says", shorten(other.keyword(), MAX_SHOWN)),
    }
}

/// Tells whether a pattern failed that could fit in the dialect of the server: what `\w`, `\d`, `\s` and `\b` take
/// beyond ASCII is one thing in ECMAScript, another in Rust and a third in Python.
fn depends_on_dialect(error: &ValidationError<'_>) -> bool {
    match error.kind() {
        Kind::Pattern { pattern } => {
            let is_beyond_ascii = |text: &str| !text.is_ascii();
            has_class(pattern) && error.instance().as_str().is_some_and(is_beyond_ascii)
        }
        Kind::PropertyNames { error } => depends_on_dialect(error),
        _ => false,
    }
}

/// Tells whether a pattern has an escape whose meaning beyond ASCII differs.
fn has_class(pattern: &str) -> bool {
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        if character == '\\'
            && matches!(
                characters.next(),
                Some('w' | 'W' | 'd' | 'D' | 's' | 'S' | 'b' | 'B')
            )
        {
            return true;
        }
    }
    false
}

/// A value in words.
fn came(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => shorten(&number.to_string(), MAX_SHOWN),
        Value::String(text) => {
            let shown = Value::String(shorten(text, MAX_SHOWN));
            format!("string {shown}")
        }
        Value::Array(items) => format!("array of {}", items.len()),
        Value::Object(members) => {
            let names: Vec<String> = members
                .keys()
                .take(MAX_FAULTS)
                .map(|name| shorten(name, MAX_SHOWN))
                .collect();
            match members.len() {
                0 => "empty object".to_owned(),
                n if n > names.len() => format!("object with {}, …", names.join(", ")),
                _ => format!("object with {}", names.join(", ")),
            }
        }
    }
}
