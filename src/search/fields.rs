//! What of a tool is searched: its texts by field, how much each field counts, and how much of each is
//! read. Bounds are here because they are also what keeps a tool from winning by many words.

use serde_json::Value;

/// A tool as search sees it: borrowed texts, nothing parsed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Entry<'a> {
    /// What the answer calls the tool; unique in a catalogue, e.g. the name that the client sees.
    pub id: &'a str,
    /// The tool's own name.
    pub name: &'a str,
    /// The title for people (`title`, or `annotations.title`), if it has one.
    pub title: Option<&'a str>,
    /// The description as the server sent it.
    pub description: Option<&'a str>,
    /// The name of its server; empty if unknown.
    pub server: &'a str,
    /// What the server says of itself: its description or instructions.
    pub server_description: Option<&'a str>,
    /// The input schema as raw JSON text. What is no JSON is not searched.
    pub input_schema: Option<&'a str>,
}

/// A part of a tool that is searched with its own weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// The tool's name.
    Name,
    /// The title for people.
    Title,
    /// The server's name.
    Server,
    /// The first sentence of the description.
    Purpose,
    /// The rest of the description.
    Details,
    /// Names of parameters, nested ones too.
    ParameterNames,
    /// Descriptions of parameters.
    ParameterDescriptions,
    /// Values that parameters may take.
    EnumValues,
    /// What the server says of itself.
    ServerDescription,
}

/// How a field counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FieldWeight {
    /// Factor of each occurrence of a term.
    pub weight: f64,
    /// How much a long field dilutes its terms: 0 not at all, 1 in proportion (`b` of BM25F).
    pub length_share: f64,
    /// Occurrences of one term that count, at most: repeating a word beyond that only lengthens the
    /// field, so it costs.
    pub max_count: u32,
    /// Bytes of the text that are read, at most.
    pub max_bytes: usize,
}

impl Field {
    /// All fields, in the order in which they are read.
    pub const ALL: [Self; 9] = [
        Self::Name,
        Self::Title,
        Self::Server,
        Self::Purpose,
        Self::Details,
        Self::ParameterNames,
        Self::ParameterDescriptions,
        Self::EnumValues,
        Self::ServerDescription,
    ];

    /// Returns the field's name as it is shown to people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Title => "title",
            Self::Server => "server",
            Self::Purpose => "purpose",
            Self::Details => "details",
            Self::ParameterNames => "parameter names",
            Self::ParameterDescriptions => "parameter descriptions",
            Self::EnumValues => "enum values",
            Self::ServerDescription => "server description",
        }
    }
}

/// Levels of nested objects whose parameters are read, below the first.
const SCHEMA_DEPTH: usize = 4;
/// Bytes of an input schema, at most; a larger one is not searched.
const SCHEMA_BYTES: usize = 1 << 20;
/// Parameters read of one tool, at most.
const PARAMETERS: usize = 1024;
/// Values read of one enum, at most.
const ENUM_VALUES: usize = 30;
/// Characters before which a full stop or newline does not end the first sentence.
const SENTENCE_CHARS: usize = 20;

/// The texts of one tool in the order of [`Field::ALL`], cut to the fields' bounds.
pub(crate) struct Texts<'a> {
    entry: Entry<'a>,
    purpose: &'a str,
    details: &'a str,
    schema: SchemaTexts,
}

/// The texts of an input schema, joined by spaces.
#[derive(Debug, Default)]
struct SchemaTexts {
    names: String,
    descriptions: String,
    values: String,
    n_parameters: usize,
}

impl<'a> Texts<'a> {
    pub(crate) fn of(entry: &Entry<'a>) -> Self {
        let (purpose, details) = first_sentence(entry.description.unwrap_or_default().trim());
        let mut schema = SchemaTexts::default();
        if let Some(raw) = entry.input_schema
            && raw.len() <= SCHEMA_BYTES
            && let Ok(value) = serde_json::from_str::<Value>(raw)
        {
            schema.read(&value, 0);
        }
        Self {
            entry: *entry,
            purpose,
            details,
            schema,
        }
    }

    /// Returns the text of a field, at most `max_bytes` long.
    pub(crate) fn text(&self, field: Field, max_bytes: usize) -> &str {
        let text = match field {
            Field::Name => self.entry.name,
            Field::Title => self.entry.title.unwrap_or_default(),
            Field::Server => self.entry.server,
            Field::Purpose => self.purpose,
            Field::Details => self.details,
            Field::ParameterNames => &self.schema.names,
            Field::ParameterDescriptions => &self.schema.descriptions,
            Field::EnumValues => &self.schema.values,
            Field::ServerDescription => self.entry.server_description.unwrap_or_default(),
        };
        cut(text, max_bytes)
    }
}

impl SchemaTexts {
    /// Reads the parameters of an object, of objects in it, and of items of arrays in it.
    fn read(&mut self, schema: &Value, depth: usize) {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            return;
        };
        if depth > SCHEMA_DEPTH {
            return;
        }
        for (name, parameter) in properties {
            if self.n_parameters == PARAMETERS {
                return;
            }
            self.n_parameters += 1;
            push(&mut self.names, name);
            if let Some(text) = parameter.get("description").and_then(Value::as_str) {
                push(&mut self.descriptions, text);
            }
            let values = parameter.get("enum").and_then(Value::as_array);
            for value in values.into_iter().flatten().take(ENUM_VALUES) {
                match value {
                    Value::String(text) => push(&mut self.values, text),
                    Value::Number(number) => push(&mut self.values, &number.to_string()),
                    _ => {}
                }
            }
            self.read(parameter, depth + 1);
            if let Some(items) = parameter.get("items") {
                self.read(items, depth + 1);
            }
        }
    }
}

fn push(text: &mut String, part: &str) {
    text.push_str(part);
    text.push(' ');
}

/// Returns the longest start of a text of at most `max_bytes` that is whole characters.
pub(crate) fn cut(text: &str, max_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(max_bytes)]
}

/// Splits a description after its first sentence; a text whose first sentence is very short is whole.
fn first_sentence(text: &str) -> (&str, &str) {
    let mut before = ' ';
    for (n, (at, c)) in text.char_indices().enumerate() {
        if c == '\n' || (c.is_whitespace() && matches!(before, '.' | '!' | '?')) {
            return if n > SENTENCE_CHARS {
                text.split_at(at)
            } else {
                (text, "")
            };
        }
        before = c;
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sentence_is_the_purpose() {
        #[track_caller]
        fn check(text: &str, purpose: &str, details: &str) {
            assert_eq!(first_sentence(text), (purpose, details));
        }
        check(
            "Reads the file at a path. Fails.",
            "Reads the file at a path.",
            " Fails.",
        );
        check(
            "Reads the file at a path\nFails.",
            "Reads the file at a path",
            "\nFails.",
        );
        check("Short. And then the rest.", "Short. And then the rest.", "");
        check(
            "v1.2 of the thing that reads",
            "v1.2 of the thing that reads",
            "",
        );
        check("", "", "");
    }

    fn texts(schema: &str) -> SchemaTexts {
        let entry = Entry {
            input_schema: Some(schema),
            ..Entry::default()
        };
        Texts::of(&entry).schema
    }

    #[test]
    fn parameters_are_read_in_depth() {
        let read = texts(
            r#"{"properties":{"page":{"description":"The page","properties":{"title":{"enum":["a",1,null]}}},
                "rows":{"items":{"properties":{"cell":{"description":7}}}},"odd":3}}"#,
        );
        assert_eq!(read.names, "page title rows cell odd ");
        assert_eq!(read.descriptions, "The page ");
        assert_eq!(read.values, "a 1 ");
    }

    #[test]
    fn bad_and_deep_schemas_are_harmless() {
        for schema in ["", "{", "[]", "null", r#"{"properties":[]}"#] {
            assert_eq!(texts(schema).names, "", "{schema}");
        }
        let mut deep = r#"{"properties":{}}"#.to_owned();
        for n in (0..10).rev() {
            deep = format!(r#"{{"properties":{{"level{n}":{deep}}}}}"#);
        }
        assert_eq!(texts(&deep).names, "level0 level1 level2 level3 level4 ");
        let too_deep = "[".repeat(100_000);
        assert_eq!(texts(&too_deep).names, "");
    }

    #[test]
    fn texts_are_cut_at_characters() {
        assert_eq!(cut("añb", 2), "a");
        assert_eq!(cut("añb", 3), "añ");
        assert_eq!(cut("ab", 10), "ab");
    }
}
