//! One YAML document to a JSON value. Pure.
//!
//! Bounded: depth, and values after aliases are expanded, so that no small text becomes a large value.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use serde_json::{Map, Value};

use super::word;

/// Deepest nesting.
const MAX_DEPTH: usize = 128;
/// Most values, each expansion of an alias counted anew.
const MAX_VALUES: usize = 500_000;

/// Why a text is no document that could be JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct YamlError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: String,
}

/// Reads the only document of a text; nothing in it is `null`.
///
/// # Errors
/// [`YamlError`] where the text is not YAML, has what JSON cannot hold, or is beyond the bounds.
pub fn read(text: &str) -> Result<Value, YamlError> {
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        n_values: 0,
        line: 1,
    };
    let mut value = None;
    loop {
        match reader.next()? {
            Event::StreamEnd => return Ok(value.unwrap_or(Value::Null)),
            Event::DocumentStart(_) if value.is_some() => {
                return Err(reader.wrong("a second document begins"));
            }
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            event => value = Some(reader.value(event, 0)?.0),
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    /// Values by anchor, with how many values are in them.
    anchors: HashMap<usize, (Value, usize)>,
    n_values: usize,
    line: usize,
}

/// A value, and whether it is a plain `<<`.
type Node = (Value, bool);

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Event<'a>, YamlError> {
        let next: Option<Result<(Event<'a>, Span), ScanError>> = self.parser.next_event();
        match next {
            Some(Ok((event, span))) => {
                self.line = span.start.line();
                Ok(event)
            }
            Some(Err(error)) => Err(YamlError {
                line: error.marker().line(),
                problem: error.info().to_owned(),
            }),
            None => Err(self.wrong("it ends in the middle of a value")),
        }
    }

    fn wrong(&self, problem: impl Into<String>) -> YamlError {
        YamlError {
            line: self.line,
            problem: problem.into(),
        }
    }

    fn count(&mut self, values: usize) -> Result<(), YamlError> {
        self.n_values = self.n_values.saturating_add(values);
        if self.n_values > MAX_VALUES {
            return Err(self.wrong(format!("it has more than {MAX_VALUES} values")));
        }
        Ok(())
    }

    fn value(&mut self, event: Event<'a>, depth: usize) -> Result<Node, YamlError> {
        if depth > MAX_DEPTH {
            return Err(self.wrong(format!("it is nested deeper than {MAX_DEPTH}")));
        }
        self.count(1)?;
        let before = self.n_values;
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                (self.scalar(&text, style, tag.as_deref())?, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), "seq")?;
                let mut elements = Vec::new();
                loop {
                    match self.next()? {
                        Event::SequenceEnd => break,
                        event => elements.push(self.value(event, depth + 1)?.0),
                    }
                }
                ((Value::Array(elements), false), anchor)
            }
            Event::MappingStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), "map")?;
                let members = self.mapping(depth)?;
                ((Value::Object(members), false), anchor)
            }
            Event::Alias(anchor) => {
                let Some((value, size)) = self.anchors.get(&anchor).cloned() else {
                    return Err(self.wrong("an alias stands inside of what it names"));
                };
                self.count(size)?;
                return Ok((value, false));
            }
            _ => return Err(self.wrong("a value is missing")),
        };
        if anchor != 0 {
            let size = self.n_values - before + 1;
            self.anchors.insert(anchor, (node.0.clone(), size));
            // The copy that is kept is not free.
            self.count(size)?;
        }
        Ok(node)
    }

    fn mapping(&mut self, depth: usize) -> Result<Map<String, Value>, YamlError> {
        let mut members = Map::new();
        let mut merged: Vec<Map<String, Value>> = Vec::new();
        loop {
            let key = match self.next()? {
                Event::MappingEnd => break,
                event => self.value(event, depth + 1)?,
            };
            let event = self.next()?;
            let value = self.value(event, depth + 1)?.0;
            if key.1 {
                merged.extend(self.maps_to_merge(value)?);
                continue;
            }
            let name = match key.0 {
                Value::String(name) => name,
                Value::Bool(word) => word.to_string(),
                Value::Number(number) => number.to_string(),
                _ => return Err(self.wrong("a key is neither a text nor a number")),
            };
            if members.contains_key(&name) {
                return Err(self.wrong(format!("the key `{name}` is there twice")));
            }
            members.insert(name, value);
        }
        // Own members win over merged ones, earlier merged ones over later.
        for map in merged {
            for (name, value) in map {
                members.entry(name).or_insert(value);
            }
        }
        Ok(members)
    }

    fn maps_to_merge(&self, value: Value) -> Result<Vec<Map<String, Value>>, YamlError> {
        let wrong = || self.wrong("`<<` wants a mapping or a list of mappings");
        match value {
            Value::Object(map) => Ok(vec![map]),
            Value::Array(elements) => elements
                .into_iter()
                .map(|element| match element {
                    Value::Object(map) => Ok(map),
                    _ => Err(wrong()),
                })
                .collect(),
            _ => Err(wrong()),
        }
    }

    fn scalar(&self, text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Node, YamlError> {
        let is_text = || Ok((Value::String(text.to_owned()), false));
        let tag = match tag {
            // `!` alone: not to be resolved.
            Some(tag) if tag.suffix.is_empty() || tag.suffix == "!" || is_core(tag, "str") => {
                return is_text();
            }
            Some(tag)
                if ["int", "float", "bool", "null"]
                    .iter()
                    .any(|name| is_core(tag, name)) =>
            {
                true
            }
            Some(tag) => return Err(self.wrong(format!("the tag `{tag}` is unknown"))),
            None => false,
        };
        if style != ScalarStyle::Plain && !tag {
            return is_text();
        }
        if text == "<<" {
            return Ok((Value::String(text.to_owned()), true));
        }
        word::resolve(text)
            .map(|value| (value, false))
            .map_err(|problem| self.wrong(format!("`{text}` is {problem}")))
    }

    fn check_tag(&self, tag: Option<&Tag>, expected: &str) -> Result<(), YamlError> {
        match tag {
            Some(tag) if !is_core(tag, expected) => {
                Err(self.wrong(format!("the tag `{tag}` is unknown")))
            }
            _ => Ok(()),
        }
    }
}

fn is_core(tag: &Tag, name: &str) -> bool {
    tag.suffix == name && (tag.is_yaml_core_schema() || tag.handle == "!!")
}
