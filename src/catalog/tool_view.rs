//! A view over one raw tool definition: which text belongs to which member, nothing parsed and
//! nothing dropped, and the two texts whose tokens are counted. Also the raw minifier. It never
//! prints a parsed value: spelling of numbers, order of keys, escapes and duplicates stay.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::MapAccess;
use serde::de::Visitor;
use serde_json::value::RawValue;

/// One member of a JSON object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// The key, unescaped.
    pub key: Cow<'a, str>,
    /// The value exactly as it was written.
    pub raw: &'a str,
}

/// Why a text is no tool.
#[derive(Debug, thiserror::Error)]
pub enum ToolViewError {
    /// The text is no JSON object.
    #[error("tool definition is no JSON object")]
    Malformed(#[from] serde_json::Error),
}

/// One tool definition, borrowed from its raw JSON.
///
/// Where a key is written twice the last value counts, as in the parsers of the official SDKs;
/// [`ToolView::duplicate_key`] tells.
#[derive(Clone, Debug)]
pub struct ToolView<'a> {
    /// The whole definition exactly as it was sent.
    pub wire: &'a str,
    /// `name`, as raw JSON.
    pub name: Option<&'a str>,
    /// `title`, as raw JSON.
    pub title: Option<&'a str>,
    /// `description`, as raw JSON.
    pub description: Option<&'a str>,
    /// `inputSchema`, as raw JSON.
    pub input_schema: Option<&'a str>,
    /// `outputSchema`, as raw JSON.
    pub output_schema: Option<&'a str>,
    /// `annotations`, as raw JSON.
    pub annotations: Option<&'a str>,
    /// `icons`, as raw JSON.
    pub icons: Option<&'a str>,
    /// `execution` (MCP 2025-11-25), as raw JSON.
    pub execution: Option<&'a str>,
    /// `_meta`, as raw JSON.
    pub meta: Option<&'a str>,
    /// Every member that has no field here, in order.
    pub rest: Vec<Member<'a>>,
    duplicate_key: Option<String>,
    is_annotated_twice: bool,
}

impl<'a> ToolView<'a> {
    /// Reads the outside of one tool.
    ///
    /// # Errors
    ///
    /// If the text is not one JSON object.
    pub fn parse(wire: &'a str) -> Result<Self, ToolViewError> {
        let members = members(wire)?;
        let mut view = Self {
            wire,
            name: None,
            title: None,
            description: None,
            input_schema: None,
            output_schema: None,
            annotations: None,
            icons: None,
            execution: None,
            meta: None,
            rest: Vec::new(),
            duplicate_key: duplicate_key(&members),
            is_annotated_twice: is_twice(&members, "annotations"),
        };
        for member in members {
            let field = match member.key.as_ref() {
                "name" => &mut view.name,
                "title" => &mut view.title,
                "description" => &mut view.description,
                "inputSchema" => &mut view.input_schema,
                "outputSchema" => &mut view.output_schema,
                "annotations" => &mut view.annotations,
                "icons" => &mut view.icons,
                "execution" => &mut view.execution,
                "_meta" => &mut view.meta,
                _ => {
                    view.rest.push(member);
                    continue;
                }
            };
            *field = Some(member.raw);
        }
        Ok(view)
    }

    /// Returns the first key that occurs twice at the top of the tool.
    pub fn duplicate_key(&self) -> Option<&str> {
        self.duplicate_key.as_deref()
    }

    /// Tells whether `annotations` occur twice, whatever else does.
    pub fn is_annotated_twice(&self) -> bool {
        self.is_annotated_twice
    }

    /// Returns the name without JSON quotes; `None` if it is missing or no string.
    pub fn name_text(&self) -> Option<Cow<'a, str>> {
        string_text(self.name?)
    }

    /// Renders what clients usually put in front of a model: name, description and input schema,
    /// compact, in the order and spelling that the server chose for their insides.
    pub fn model_visible(&self) -> String {
        let parts = [
            ("name", self.name),
            ("description", self.description),
            ("input_schema", self.input_schema),
        ];
        let mut text = String::with_capacity(self.wire.len());
        for (key, raw) in parts {
            let Some(raw) = raw else { continue };
            text.push(if text.is_empty() { '{' } else { ',' });
            text.push('"');
            text.push_str(key);
            text.push_str("\":");
            minify_into(raw, &mut text);
        }
        if text.is_empty() {
            text.push('{');
        }
        text.push('}');
        text
    }
}

/// Returns the members of one JSON object in the order written, duplicates included.
///
/// # Errors
///
/// If the text is not one JSON object.
pub fn members(raw: &str) -> Result<Vec<Member<'_>>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(raw);
    let members = deserializer.deserialize_map(MembersVisitor)?;
    deserializer.end()?;
    Ok(members)
}

/// Returns the text of a raw JSON string; `None` if it is none or has lone surrogates.
pub fn string_text(raw: &str) -> Option<Cow<'_, str>> {
    let inside = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inside.contains('\\') {
        return serde_json::from_str(raw).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inside))
}

/// Removes the insignificant whitespace of a JSON text and changes nothing else.
///
/// The text has to be valid JSON; of any other text it removes whitespace outside double quotes.
pub fn minify(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    minify_into(raw, &mut text);
    text
}

fn minify_into(raw: &str, text: &mut String) {
    let bytes = raw.as_bytes();
    // Start of the run that is not copied yet; always a character boundary, because it only ever
    // follows an ASCII byte.
    let mut start = 0;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at = string_end(bytes, at),
            b' ' | b'\t' | b'\n' | b'\r' => {
                text.push_str(&raw[start..at]);
                at += 1;
                start = at;
            }
            _ => at += 1,
        }
    }
    text.push_str(&raw[start..]);
}

/// Returns the offset after the string that opens at `open`; the end of the text if it never closes.
fn string_end(bytes: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    while let Some(found) = bytes
        .get(at..)
        .and_then(|rest| memchr::memchr2(b'"', b'\\', rest))
    {
        at += found;
        if bytes[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    bytes.len()
}

fn is_twice(members: &[Member<'_>], key: &str) -> bool {
    members.iter().filter(|member| member.key == key).count() > 1
}

fn duplicate_key(members: &[Member<'_>]) -> Option<String> {
    let mut seen = std::collections::HashSet::with_capacity(members.len());
    members
        .iter()
        .find(|member| !seen.insert(member.key.as_ref()))
        .map(|member| member.key.clone().into_owned())
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Vec<Member<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(Key(key)) = map.next_key()? {
            let raw: &'de RawValue = map.next_value()?;
            members.push(Member {
                key,
                raw: raw.get(),
            });
        }
        Ok(members)
    }
}

/// A key that borrows where it has no escapes; serde's own `Cow` never borrows.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor).map(Key)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::catalog::tool_view::ToolView;
    use crate::catalog::tool_view::minify;

    const TOOL: &str = r#" { "name" : "a_tool", "x": 1e400, "inputSchema": {"b":1.0, "a": [ 9007199254740993 ]},
        "description":"two  spaces, \"quoted\" \u00e9", "_meta":{ }, "x" : 2 } "#;

    #[test]
    fn every_member_is_a_span_of_the_wire() {
        let view = ToolView::parse(TOOL).expect("a tool");
        assert_eq!(view.wire, TOOL);
        assert_eq!(view.name_text().as_deref(), Some("a_tool"));
        assert_eq!(view.meta, Some("{ }"));
        assert_eq!(
            view.input_schema,
            Some(r#"{"b":1.0, "a": [ 9007199254740993 ]}"#)
        );
        let rest: Vec<_> = view
            .rest
            .iter()
            .map(|member| (member.key.as_ref(), member.raw))
            .collect();
        assert_eq!(rest, [("x", "1e400"), ("x", "2")]);
        assert_eq!(view.duplicate_key(), Some("x"));
        assert_eq!(view.output_schema, None);
    }

    #[test]
    fn the_model_sees_three_members_compact() {
        let view = ToolView::parse(TOOL).expect("a tool");
        assert_eq!(
            view.model_visible(),
            r#"{"name":"a_tool","description":"two  spaces, \"quoted\" \u00e9","input_schema":{"b":1.0,"a":[9007199254740993]}}"#
        );
        let empty = ToolView::parse("{}").expect("an object");
        assert_eq!(empty.model_visible(), "{}");
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for raw in ["", "[]", "null", "{", r#"{"a":1} x"#, r#"{"a":1,}"#] {
            assert!(ToolView::parse(raw).is_err(), "{raw}");
        }
    }

    #[test]
    fn minify_keeps_strings_and_spelling() {
        #[track_caller]
        fn check(raw: &str, expected: &str) {
            assert_eq!(minify(raw), expected);
            assert_eq!(minify(expected), expected);
        }
        check(" [ 1.0 , 1e400,\n-0 ]\r\n", "[1.0,1e400,-0]");
        check(
            r#"{ "a b" : " \" c\\" , "a b" : "\u0020" }"#,
            r#"{"a b":" \" c\\","a b":"\u0020"}"#,
        );
        check("\"\u{2028} \u{a0}\"", "\"\u{2028} \u{a0}\"");
        // Not JSON: bounded and harmless.
        check("\" open", "\" open");
        check("\"\\", "\"\\");
    }

    fn json() -> impl Strategy<Value = String> {
        let space = "[ \\n\\t\\r]{0,3}";
        let leaf = prop_oneof![
            Just("1.50".to_owned()),
            Just("-1E+2".to_owned()),
            Just("null".to_owned()),
            "[a-z \\u{e9}\\u{4e2d}]{0,6}".prop_map(|text| format!("\"{text}\\\" \\\\\"")),
        ];
        leaf.prop_recursive(4, 30, 4, move |inner| {
            prop_oneof![
                (proptest::collection::vec(inner.clone(), 0..4), space).prop_map(
                    |(items, space)| format!(
                        "{space}[{space}{}{space}]{space}",
                        items.join(&format!("{space},{space}"))
                    )
                ),
                (
                    proptest::collection::vec(("[a-z ]{0,3}", inner), 0..4),
                    space
                )
                    .prop_map(|(items, space)| {
                        let members: Vec<_> = items
                            .iter()
                            .map(|(key, value)| format!("\"{key}\"{space}:{value}"))
                            .collect();
                        format!("{{{space}{}{space}}}", members.join(&format!("{space},")))
                    }),
            ]
        })
    }

    fn same_value(before: &str, after: &str) -> bool {
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
        value(before).is_some() && value(before) == value(after)
    }

    proptest! {
        /// Minifying keeps the value, is idempotent and never grows.
        #[test]
        fn minify_keeps_the_value(raw in json()) {
            let minified = minify(&raw);
            prop_assert!(same_value(&raw, &minified));
            prop_assert_eq!(minify(&minified), minified.clone());
            prop_assert!(minified.len() <= raw.len());
        }
    }

    /// The broken variant that the property catches: whitespace removed inside strings too.
    #[test]
    fn removing_whitespace_in_strings_would_be_seen() {
        let raw = r#"{"a": "b c"}"#;
        assert!(!same_value(raw, &raw.replace(' ', "")));
        assert!(same_value(raw, &minify(raw)));
    }
}
