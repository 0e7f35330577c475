//! A raw tool definition as an [`Entry`]: the texts that are searched, unescaped; the rest is not read.

use std::borrow::Cow;

use crate::catalog::tool_view::{ToolView, ToolViewError};
use crate::search::fields::Entry;

/// The searched texts of one definition, borrowed where they have no escapes.
///
/// Members of another type than the protocol's count as missing: search must not fail a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Definition<'a> {
    /// `name`; empty if it is missing.
    pub name: Cow<'a, str>,
    /// `title`, or else `annotations.title` (MCP 2025-06-18 server/tools, `BaseMetadata`).
    pub title: Option<Cow<'a, str>>,
    /// `description`.
    pub description: Option<Cow<'a, str>>,
    /// `inputSchema` as raw JSON.
    pub input_schema: Option<&'a str>,
}

impl<'a> Definition<'a> {
    /// Reads the outside of a raw definition.
    ///
    /// # Errors
    /// If the text is no JSON object.
    pub fn parse(wire: &'a str) -> Result<Self, ToolViewError> {
        let view = ToolView::parse(wire)?;
        let annotated = || {
            let annotations = ToolView::parse(view.annotations?).ok()?;
            annotations.title.and_then(text)
        };
        Ok(Self {
            name: view.name_text().unwrap_or_default(),
            title: view.title.and_then(text).or_else(annotated),
            description: view.description.and_then(text),
            input_schema: view.input_schema,
        })
    }

    /// Returns the entry of this definition.
    pub fn entry<'b>(
        &'b self,
        id: &'b str,
        server: &'b str,
        server_description: Option<&'b str>,
    ) -> Entry<'b> {
        Entry {
            id,
            name: &self.name,
            title: self.title.as_deref(),
            description: self.description.as_deref(),
            server,
            server_description,
            input_schema: self.input_schema,
        }
    }
}

/// The text of a raw JSON string.
fn text(raw: &str) -> Option<Cow<'_, str>> {
    let inside = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inside.contains('\\') {
        return serde_json::from_str(raw).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inside))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_and_oddities_are_missing() {
        let wire = r#"{"name":"a_tool","description":"two\nlines","annotations":{"title":"A \"tool\""},"inputSchema":{"type":"object"}}"#;
        let read = Definition::parse(wire).expect("an object");
        assert_eq!(read.name, "a_tool");
        assert_eq!(read.title.as_deref(), Some("A \"tool\""));
        assert_eq!(read.description.as_deref(), Some("two\nlines"));
        assert_eq!(read.input_schema, Some(r#"{"type":"object"}"#));
        let entry = read.entry("server__a_tool", "server", None);
        assert_eq!(
            (entry.id, entry.name, entry.server),
            ("server__a_tool", "a_tool", "server")
        );

        let odd = r#"{"name":7,"title":null,"description":[],"annotations":"x"}"#;
        assert_eq!(
            Definition::parse(odd).expect("an object"),
            Definition::default()
        );
        assert!(Definition::parse("[]").is_err());
    }
}
