//! A configuration file as a tree that knows its lines, whether it was JSON with comments or TOML.
//! Pure.

use jsonc_parser::ast;
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use toml::de::{DeTable, DeValue};

use super::finding::Fault;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syntax {
    /// JSON with comments and trailing commas: the `mcpServers` of the ecosystem.
    Json,
    /// TOML: our own.
    Toml,
}

/// A value and the line where it begins, counted from 1.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) line: u32,
    pub(super) value: Value,
}

/// What a node holds. Numbers that are no whole number stay text: no setting takes one.
#[derive(Clone)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    OtherNumber(String),
    Text(String),
    Array(Vec<Node>),
    Table(Vec<Entry>),
}

/// A key, its line and its value; entries keep the order of the file.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) line: u32,
    pub(super) node: Node,
}

impl Node {
    /// Names the kind for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Integer(_) | Value::OtherNumber(_) => "a number",
            Value::Text(_) => "a string",
            Value::Array(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    /// Says that another kind was expected.
    pub(super) fn unexpected(&self, expected: &str) -> Fault {
        Fault::new(format!("expected {expected}, found {}", self.kind())).at(self.line)
    }

    pub(super) fn as_table(&self) -> Result<&[Entry], Fault> {
        match &self.value {
            Value::Table(entries) => Ok(entries),
            _ => Err(self.unexpected("a table")),
        }
    }

    pub(super) fn as_array(&self) -> Result<&[Node], Fault> {
        match &self.value {
            Value::Array(nodes) => Ok(nodes),
            _ => Err(self.unexpected("a list")),
        }
    }

    pub(super) fn as_text(&self) -> Result<&str, Fault> {
        match &self.value {
            Value::Text(text) => Ok(text),
            _ => Err(self.unexpected("a string")),
        }
    }

    pub(super) fn as_bool(&self) -> Result<bool, Fault> {
        match self.value {
            Value::Bool(value) => Ok(value),
            _ => Err(self.unexpected("true or false")),
        }
    }

    /// Finds the value of a key in a table.
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Table(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }
}

/// Parses a file. The fault has the line of the first mistake.
pub(super) fn parse(text: &str, syntax: Syntax) -> Result<Node, Fault> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = Lines::new(text);
    match syntax {
        Syntax::Json => parse_json(text, &lines),
        Syntax::Toml => parse_toml(text, &lines),
    }
}

/// Byte offsets where lines start.
struct Lines(Vec<usize>);

impl Lines {
    fn new(text: &str) -> Self {
        Self(
            std::iter::once(0)
                .chain(memchr::memchr_iter(b'\n', text.as_bytes()).map(|end| end + 1))
                .collect(),
        )
    }

    fn of(&self, offset: usize) -> u32 {
        u32::try_from(self.0.partition_point(|&start| start <= offset)).unwrap_or(u32::MAX)
    }
}

/// The column of a byte offset, in characters from 1.
fn column(text: &str, offset: usize) -> usize {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    line.chars().count() + 1
}

fn parse_json(text: &str, lines: &Lines) -> Result<Node, Fault> {
    // Comments and trailing commas are what files in the field have; the rest of JSON5 is not.
    let options = ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let parsed = parse_to_ast(text, &CollectOptions::default(), &options).map_err(|error| {
        let kind = error.kind().to_string();
        let start = error.range().start;
        let mut problem = format!("not valid JSON at column {}: ", column(text, start));
        problem.extend(kind.chars().next().map(|first| first.to_ascii_lowercase()));
        problem.extend(kind.chars().skip(1));
        Fault::new(problem)
            .at(lines.of(start))
            .hint("put keys and texts into double quotes and commas between entries; comments are allowed")
    })?;
    match parsed.value {
        Some(value) => json_node(value, lines),
        None => Err(Fault::new("the file is empty")
            .hint("write `{\"mcpServers\": {\"name\": {\"command\": …}}}`")),
    }
}

fn json_node(value: ast::Value<'_>, lines: &Lines) -> Result<Node, Fault> {
    let line = lines.of(value.start());
    let value = match value {
        ast::Value::NullKeyword(_) => Value::Null,
        ast::Value::BooleanLit(literal) => Value::Bool(literal.value),
        ast::Value::StringLit(literal) => Value::Text(literal.value.into_owned()),
        ast::Value::NumberLit(literal) => match literal.value.parse() {
            Ok(number) => Value::Integer(number),
            Err(_) => Value::OtherNumber(literal.value.to_owned()),
        },
        ast::Value::Array(array) => Value::Array(
            array
                .elements
                .into_iter()
                .map(|element| json_node(element, lines))
                .collect::<Result<_, _>>()?,
        ),
        ast::Value::Object(object) => {
            let mut entries: Vec<Entry> = Vec::with_capacity(object.properties.len());
            for property in object.properties {
                let line = lines.of(property.range.start);
                let key = property.name.into_string();
                if let Some(first) = entries.iter().find(|entry| entry.key == key) {
                    return Err(Fault::new(format!(
                        "the key `{key}` stands here again; it is first on line {}",
                        first.line
                    ))
                    .at(line)
                    .hint("keep one of the two"));
                }
                entries.push(Entry {
                    key,
                    line,
                    node: json_node(property.value, lines)?,
                });
            }
            Value::Table(entries)
        }
    };
    Ok(Node { line, value })
}

fn parse_toml(text: &str, lines: &Lines) -> Result<Node, Fault> {
    let table = DeTable::parse(text).map_err(|error| {
        let fault = |place: &str| {
            Fault::new(format!("not valid TOML{place}: {}", error.message())).hint(
                "texts stand in quotes, sections in `[…]`; docs/configuration.md has examples",
            )
        };
        match error.span() {
            Some(span) => {
                fault(&format!(" at column {}", column(text, span.start))).at(lines.of(span.start))
            }
            None => fault(""),
        }
    })?;
    Ok(Node {
        line: 1,
        value: toml_table(table.into_inner(), lines),
    })
}

fn toml_table(table: DeTable<'_>, lines: &Lines) -> Value {
    let mut entries: Vec<(usize, Entry)> = table
        .into_iter()
        .map(|(key, value)| {
            let start = key.span().start;
            let line = lines.of(start);
            let node = Node {
                line,
                value: toml_value(value.into_inner(), lines),
            };
            (
                start,
                Entry {
                    key: key.into_inner().into_owned(),
                    line,
                    node,
                },
            )
        })
        .collect();
    // The parser sorts by key; servers keep the order of the file.
    entries.sort_by_key(|(start, _)| *start);
    Value::Table(entries.into_iter().map(|(_, entry)| entry).collect())
}

fn toml_value(value: DeValue<'_>, lines: &Lines) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Integer(number),
            Err(_) => Value::OtherNumber(number.to_string()),
        },
        DeValue::Float(number) => Value::OtherNumber(number.to_string()),
        DeValue::Boolean(value) => Value::Bool(value),
        DeValue::Datetime(value) => Value::OtherNumber(value.to_string()),
        DeValue::Array(array) => Value::Array(
            array
                .into_iter()
                .map(|element| {
                    let line = lines.of(element.span().start);
                    Node {
                        line,
                        value: toml_value(element.into_inner(), lines),
                    }
                })
                .collect(),
        ),
        DeValue::Table(table) => toml_table(table, lines),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_line(text: &str, syntax: Syntax, path: &[&str], expected: u32) {
        let mut node = parse(text, syntax).unwrap_or_else(|fault| panic!("{fault:?}"));
        let mut line = node.line;
        for key in path {
            let entry = node
                .get(key)
                .expect("the test names keys that exist")
                .clone();
            line = entry.line;
            node = entry.node;
        }
        assert_eq!(line, expected);
    }

    #[track_caller]
    fn check_fault(text: &str, syntax: Syntax, line: u32, problem: &str) {
        match parse(text, syntax) {
            Ok(_) => panic!("`{text}` was taken"),
            Err(fault) => {
                assert_eq!(fault.line, Some(line), "{}", fault.problem);
                assert!(fault.problem.contains(problem), "{}", fault.problem);
            }
        }
    }

    #[test]
    fn keys_know_their_lines() {
        check_line(
            "// c\n{\n  \"a\": {\r\n \"b\": 1, }}",
            Syntax::Json,
            &["a", "b"],
            4,
        );
        check_line("\u{feff}{\"a\": 1}", Syntax::Json, &["a"], 1);
        check_line("x = 1\n[a]\nb = 2\n", Syntax::Toml, &["a", "b"], 3);
    }

    #[test]
    fn toml_keeps_the_order_of_the_file() {
        let node = parse(
            "[servers.zeta]\ncommand='z'\n[servers.alpha]\ncommand='a'\n",
            Syntax::Toml,
        )
        .ok();
        let names: Vec<String> = node
            .as_ref()
            .and_then(|node| node.get("servers"))
            .and_then(|entry| entry.node.as_table().ok())
            .map(|entries| entries.iter().map(|entry| entry.key.clone()).collect())
            .unwrap_or_default();
        assert_eq!(names, ["zeta", "alpha"]);
    }

    #[test]
    fn faults_know_their_lines() {
        check_fault(
            "{\n\"a\": 1,\n\"a\": 2}",
            Syntax::Json,
            3,
            "first on line 2",
        );
        check_fault("{\n\"a\": 'x'}", Syntax::Json, 2, "not valid JSON");
        check_fault("{\"a\": 1", Syntax::Json, 1, "unterminated object");
        check_fault(
            "a = 1\nb = \n",
            Syntax::Toml,
            2,
            "not valid TOML at column 5",
        );
        check_fault(
            "{\n\"ä\": 'x'}",
            Syntax::Json,
            2,
            "not valid JSON at column 6",
        );
        check_fault("a = 1\na = 2\n", Syntax::Toml, 2, "duplicate");
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        check_fault(&deep, Syntax::Json, 1, "nesting");
        assert!(parse(&format!("a = {deep}"), Syntax::Toml).is_err());
    }
}
