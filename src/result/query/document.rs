//! A stored result as one document: the text that a model would read of it, its JSON, and its blocks.

use std::borrow::Cow;
use std::ops::Range;

use crate::jsonrpc::members::{elements, get, get_text};
use crate::result::channels::Parts;
use crate::result::options::View;

use super::json;

/// Characters of a resource's URI that are shown.
const URI_SHOWN: usize = 200;

/// A stored result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    raw: String,
    text: String,
    json: Json,
    /// Blocks of `content`, of all kinds, in `raw`.
    blocks: Vec<Range<usize>>,
}

/// Where the JSON of a document is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Json {
    None,
    /// The text is it.
    Text,
    /// `structuredContent` is it; the text says something else.
    Structured(Range<usize>),
}

impl Document {
    /// Reads a raw result. What is no result of the protocol is one text.
    pub fn of(raw: &str, view: View) -> Self {
        let raw = raw.to_owned();
        let parts =
            Parts::of(&raw).filter(|parts| parts.content.is_some() || parts.structured.is_some());
        let Some(parts) = parts else {
            return Self::plain(raw.clone()).with_raw(raw, Vec::new());
        };
        let blocks = parts.content.clone().map_or_else(Vec::new, |content| {
            elements(&raw.as_bytes()[content.clone()])
                .into_iter()
                .map(|at| content.start + at.start..content.start + at.end)
                .collect()
        });
        let mut document = Self::plain(parts.shown(&raw, view));
        if document.json == Json::None
            && let Some(at) = parts
                .structured
                .filter(|at| json::is_container(&raw[at.clone()]))
        {
            document.json = Json::Structured(at);
        }
        document.with_raw(raw, blocks)
    }

    /// Takes a text for a document.
    pub(super) fn plain(text: String) -> Self {
        let json = if json::is_container(&text) {
            Json::Text
        } else {
            Json::None
        };
        Self {
            raw: String::new(),
            text,
            json,
            blocks: Vec::new(),
        }
    }

    fn with_raw(mut self, raw: String, blocks: Vec<Range<usize>>) -> Self {
        self.raw = raw;
        self.blocks = blocks;
        self
    }

    /// Returns the texts, one after the other.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the raw JSON, if there is any.
    pub fn json(&self) -> Option<&str> {
        match &self.json {
            Json::None => None,
            Json::Text => Some(&self.text),
            Json::Structured(at) => Some(&self.raw[at.clone()]),
        }
    }

    /// Tells whether the text itself is the JSON.
    pub fn is_json(&self) -> bool {
        self.json == Json::Text
    }

    /// Returns how many blocks `content` has.
    pub fn n_blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Returns a raw block of `content`.
    pub fn block(&self, index: usize) -> Option<Block<'_>> {
        let raw = &self.raw[self.blocks.get(index)?.clone()];
        Some(Block { raw })
    }
}

/// A block of `content`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block<'a> {
    /// As the server wrote it.
    pub raw: &'a str,
}

impl<'a> Block<'a> {
    /// Returns its type.
    pub fn kind(&self) -> String {
        get_text(self.raw.as_bytes(), "type").unwrap_or_default()
    }

    /// Returns its text, or that of the resource in it.
    pub fn text(&self) -> Option<String> {
        let bytes = self.raw.as_bytes();
        match self.kind().as_str() {
            "text" => get_text(bytes, "text"),
            "resource" => get_text(get(bytes, "resource")?, "text"),
            _ => None,
        }
    }

    /// Returns its base64 and its type, if it has any.
    pub fn blob(&self) -> Option<(Cow<'a, str>, Option<String>)> {
        let bytes = self.raw.as_bytes();
        let (object, name) = match self.kind().as_str() {
            "resource" => (get(bytes, "resource")?, "blob"),
            _ => (bytes, "data"),
        };
        let data = get_text(object, name)?;
        Some((Cow::Owned(data), get_text(object, "mimeType")))
    }

    /// Says what it is, for one who chooses among blocks.
    pub fn about(&self) -> String {
        let mut kind = self.kind();
        match (self.text(), self.blob()) {
            (Some(text), _) => {
                // Where many were sampled as one, this is where to find which is which.
                let resource = get(self.raw.as_bytes(), "resource");
                if let Some(uri) = resource.and_then(|resource| get_text(resource, "uri")) {
                    kind.push(' ');
                    kind.extend(uri.chars().take(URI_SHOWN));
                }
                format!("{kind}, {} bytes", text.len())
            }
            (None, Some((data, mime))) => format!(
                "{kind} {}, {} bytes of base64",
                mime.unwrap_or_default(),
                data.len()
            ),
            (None, None) => kind,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_json_and_blocks_are_told_apart() {
        let of = |raw: &str| Document::of(raw, View::Text);
        let json = of(
            r#"{"content":[{"type":"text","text":"{\"a\": 1.10}"}],"structuredContent":{"b":2}}"#,
        );
        assert_eq!(
            (json.text(), json.json()),
            (r#"{"a": 1.10}"#, Some(r#"{"a": 1.10}"#))
        );
        let both = of(
            r#"{"content":[{"type":"text","text":"one"},{"type":"text","text":"two"}],"structuredContent":{"b":2}}"#,
        );
        assert_eq!((both.text(), both.json()), ("one\ntwo", Some(r#"{"b":2}"#)));
        assert!(!both.is_json() && both.n_blocks() == 2);
        let seen = r#"{"content":[{"type":"text","text":"one"}],"structuredContent":{"b":2}}"#;
        assert_eq!(Document::of(seen, View::Structured).text(), r#"{"b":2}"#);
        let two = Document::of(seen, View::Both);
        assert_eq!(
            (two.text(), two.json()),
            ("one\n{\"b\":2}", Some(r#"{"b":2}"#))
        );
        for view in [View::Text, View::Both] {
            let only = Document::of(r#"{"content":[],"structuredContent":{"b":2}}"#, view);
            assert_eq!(only.text(), r#"{"b":2}"#, "{view:?}");
        }
        let only = of(r#"{"structuredContent":{"b":2}}"#);
        assert_eq!((only.text(), only.is_json()), (r#"{"b":2}"#, true));
        let odd = of("no result");
        assert_eq!(
            (odd.text(), odd.json(), odd.n_blocks()),
            ("no result", None, 0)
        );
        let image = of(r#"{"content":[{"type":"image","data":"AAAA","mimeType":"image/png"}]}"#);
        let block = image.block(0).unwrap();
        assert_eq!(block.about(), "image image/png, 4 bytes of base64");
        assert_eq!(
            (image.text(), block.text(), image.block(1)),
            ("", None, None)
        );
    }
}
