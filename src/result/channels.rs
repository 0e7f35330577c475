//! The parts of one result that say the same, and which of them a model reads. Pure; spans over the raw
//! result, so what is not changed is not copied.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use crate::jsonrpc::{members, text};

use super::envelope::is_more_than_text;
use super::options::View;
use super::same::same_json;

/// Names of an object's one member that say nothing of what is in it.
const WRAPPERS: [&str; 8] = [
    "content", "data", "items", "output", "response", "result", "results", "value",
];

/// One text that a model reads of `content`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextBlock {
    /// The whole block in the raw result.
    pub block: Range<usize>,
    /// Its raw string value.
    pub value: Range<usize>,
    /// What it says.
    pub text: String,
    /// The embedded resource in it, which has a URI and a type of its own, in the raw result.
    pub resource: Option<Range<usize>>,
    /// Whether the block says more than the text: a resource, annotations, `_meta`. Such a text stays in a
    /// block of its own.
    pub has_envelope: bool,
}

/// A raw result taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parts {
    /// The raw `content` array.
    pub content: Option<Range<usize>>,
    /// Blocks of `content`, of all kinds.
    pub n_blocks: usize,
    /// Texts for the model, in order.
    pub texts: Vec<TextBlock>,
    /// The raw `structuredContent`.
    pub structured: Option<Range<usize>>,
    /// Whether it is an error.
    pub is_error: bool,
}

/// How `structuredContent` relates to the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// There is none.
    Absent,
    /// The text says all of it: equal JSON, or what the one member of it holds, a text or an array with an
    /// element for each text, under a name that says nothing.
    Repeated,
    /// It says something else, or the same in another way.
    Other,
}

impl Parts {
    /// Takes a raw result apart; none where it is no result of the protocol, or a text cannot be read.
    pub fn of(result: &str) -> Option<Self> {
        let raw = result.as_bytes();
        let mut parts = Self::default();
        let mut seen: HashSet<Cow<'_, str>> = HashSet::new();
        for member in members::members(raw) {
            let name = member.name(raw);
            match &*name {
                "content" => parts.content = Some(member.value.clone()),
                "structuredContent" => parts.structured = Some(member.value.clone()),
                "isError" => parts.is_error = &raw[member.value.clone()] == b"true",
                _ => {}
            }
            // Twice the same member: what a client takes is not known.
            if !seen.insert(name) {
                return None;
            }
        }
        // `null` is what some servers write for "none".
        parts.structured = parts.structured.filter(|at| &raw[at.clone()] != b"null");
        if let Some(content) = parts.content.clone() {
            let inside = &raw[content.clone()];
            for at in members::elements(inside) {
                parts.n_blocks += 1;
                let block = content.start + at.start..content.start + at.end;
                if let Some(found) = text_block(raw, block)? {
                    parts.texts.push(found);
                }
            }
        }
        Some(parts)
    }

    /// Takes out the texts whose blocks begin at these places (in order), which are none of the server's:
    /// they are not made smaller, and no line of the others is counted in them.
    pub(super) fn set_apart(&mut self, starts: &[usize]) -> Vec<TextBlock> {
        let all = std::mem::take(&mut self.texts);
        let (apart, texts) = all
            .into_iter()
            .partition(|text| starts.binary_search(&text.block.start).is_ok());
        self.texts = texts;
        apart
    }

    /// Finds out how `structuredContent` relates to the texts.
    pub fn relation(&self, result: &str) -> Relation {
        let Some(at) = self.structured.clone() else {
            return Relation::Absent;
        };
        let structured = &result[at];
        let is_repeated = match self.texts.as_slice() {
            [] => false,
            [only] => same_json(&only.text, structured) || is_inside(&only.text, structured),
            many => is_listed(many, structured),
        };
        if is_repeated {
            Relation::Repeated
        } else {
            Relation::Other
        }
    }

    /// What is shown of it in a view, in order.
    pub fn said<'a>(&'a self, result: &'a str, view: View) -> Vec<&'a str> {
        let texts = self.texts.iter().map(|block| block.text.as_str());
        let structured = self.structured.clone().map(|at| &result[at]);
        match view {
            View::Text => texts.collect(),
            View::Structured => structured.into_iter().collect(),
            View::Both => texts.chain(structured).collect(),
        }
    }

    /// The same as one text: what `read_result` reads, counts lines in and pages through. A view of what is
    /// not there is one of what is.
    pub fn shown(&self, result: &str, view: View) -> String {
        let view = match (view, &self.structured) {
            (View::Text, Some(_)) if self.texts.is_empty() => View::Structured,
            (View::Structured, None) => View::Text,
            _ => view,
        };
        self.said(result, view).join("\n")
    }

    /// All texts as one.
    pub fn joined(&self) -> String {
        let texts: Vec<&str> = self.texts.iter().map(|block| block.text.as_str()).collect();
        texts.join("\n")
    }
}

/// Reads one block; `Some(None)` is a block without a text for the model, `None` one that cannot be read.
#[allow(clippy::option_option)]
fn text_block(raw: &[u8], block: Range<usize>) -> Option<Option<TextBlock>> {
    let inside = &raw[block.clone()];
    if is_for_the_user(inside) {
        return Some(None);
    }
    let (object, base, is_resource) = match members::get_text(inside, "type")?.as_str() {
        "text" => (inside, block.start, false),
        "resource" => {
            let Some(at) = members::member(inside, "resource") else {
                return Some(None);
            };
            let base = block.start + at.start;
            (&inside[at], base, true)
        }
        _ => return Some(None),
    };
    if is_resource && is_app(object) {
        return Some(None);
    }
    let Some(value) = members::member(object, "text") else {
        return Some(None);
    };
    let text = text::string_value(&object[value.clone()])?;
    Some(Some(TextBlock {
        block,
        value: base + value.start..base + value.end,
        text,
        has_envelope: is_resource || is_more_than_text(inside),
        resource: is_resource.then(|| base..base + object.len()),
    }))
}

/// Tells whether a block is none of the model's: it is for the person alone, or for an MCP App.
pub(super) fn is_for_others(block: &[u8]) -> bool {
    is_for_the_user(block) || members::get(block, "resource").is_some_and(is_app)
}

/// `annotations.audience` without the assistant: the model does not read it (MCP "Annotations").
fn is_for_the_user(block: &[u8]) -> bool {
    let audience = members::get(block, "annotations").and_then(|raw| members::get(raw, "audience"));
    audience.is_some_and(|raw| {
        let all = members::elements(raw);
        !all.is_empty() && !all.iter().any(|at| raw[at.clone()] == *b"\"assistant\"")
    })
}

/// What an MCP App shows is its own affair.
fn is_app(resource: &[u8]) -> bool {
    members::get_text(resource, "uri").is_some_and(|uri| uri.starts_with("ui://"))
}

/// The whole text, or the same JSON, inside the one member of an object.
fn is_inside(text: &str, structured: &str) -> bool {
    wrapped(structured).is_some_and(|value| says(text, value))
}

/// One array with an element for each text.
fn is_listed(texts: &[TextBlock], structured: &str) -> bool {
    let array = match wrapped(structured) {
        Some(value) => value,
        None if structured.starts_with('[') => structured,
        None => return false,
    };
    let elements = members::elements(array.as_bytes());
    elements.len() == texts.len()
        && elements
            .into_iter()
            .zip(texts)
            .all(|(at, block)| says(&block.text, &array[at]))
}

/// What the one member of an object holds, where its name says nothing that would be missed.
fn wrapped(structured: &str) -> Option<&str> {
    let raw = structured.as_bytes();
    let all = members::members(raw);
    let [only] = all.as_slice() else {
        return None;
    };
    let name = only.name(raw);
    WRAPPERS
        .contains(&&*name)
        .then(|| &structured[only.value.clone()])
}

/// Tells whether a text says a value: the same JSON, or a string as it is. A string such as `7` or `true` is
/// not said by a text that reads as another value.
fn says(text: &str, value: &str) -> bool {
    let is_string = text::string_value(value.as_bytes()).is_some_and(|inside| inside == text);
    (is_string && !is_bare_value(text)) || same_json(text, value)
}

fn is_bare_value(text: &str) -> bool {
    let text = text.trim();
    matches!(text, "true" | "false" | "null")
        || serde_json::from_str::<serde_json::Number>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(result: &str) -> Parts {
        Parts::of(result).unwrap()
    }

    fn relation(result: &str) -> Relation {
        parts(result).relation(result)
    }

    #[test]
    fn texts_for_the_model_are_found() {
        let result = r#"{"content":[
            {"type":"text","text":"a\n\"b\"","annotations":{"audience":["user","assistant"]}},
            {"type":"text","text":"for people","annotations":{"audience":["user"]}},
            {"type":"image","data":"AA==","mimeType":"image/png"},
            {"type":"resource","resource":{"uri":"file:///x","text":"inside"}},
            {"type":"resource","resource":{"uri":"ui://app/x","text":"<html>"}},
            {"type":"resource","resource":{"uri":"file:///y","blob":"AA=="}}],"isError":false,"x":1}"#;
        let parts = parts(result);
        let texts: Vec<&str> = parts.texts.iter().map(|t| t.text.as_str()).collect();
        assert_eq!(texts, ["a\n\"b\"", "inside"]);
        assert_eq!(&result[parts.texts[1].value.clone()], "\"inside\"");
        assert!(parts.texts.iter().all(|text| text.has_envelope) && !parts.is_error);
        assert_eq!(parts.texts[0].resource, None);
        assert_eq!(
            &result[parts.texts[1].resource.clone().unwrap()],
            r#"{"uri":"file:///x","text":"inside"}"#
        );
        assert_eq!(parts.n_blocks, 6);
        assert_eq!(parts.joined(), "a\n\"b\"\ninside");
    }

    #[test]
    fn channels_that_say_the_same_are_known() {
        for (result, expected) in [
            (
                r#"{"content":[{"type":"text","text":"{\n \"a\": 1\n}"}],"structuredContent":{"a":1}}"#,
                Relation::Repeated,
            ),
            (
                r#"{"content":[{"type":"text","text":"long text"}],"structuredContent":{"result":"long text"}}"#,
                Relation::Repeated,
            ),
            (
                r#"{"content":[{"type":"text","text":"[1, 2]"}],"structuredContent":{"result":[1,2]}}"#,
                Relation::Repeated,
            ),
            (
                r#"{"content":[{"type":"text","text":"{\"a\":1}"},{"type":"text","text":"b"}],"structuredContent":{"result":[{"a":1},"b"]}}"#,
                Relation::Repeated,
            ),
            (
                r#"{"content":[{"type":"text","text":"one found"}],"structuredContent":{"n":1}}"#,
                Relation::Other,
            ),
            (
                r#"{"content":[{"type":"text","text":"1"}],"structuredContent":{"a":1,"b":1}}"#,
                Relation::Other,
            ),
            (
                r#"{"content":[],"structuredContent":{"a":1}}"#,
                Relation::Other,
            ),
            (
                r#"{"content":[{"type":"text","text":"x"}],"structuredContent":null}"#,
                Relation::Absent,
            ),
        ] {
            assert_eq!(relation(result), expected, "{result}");
        }
    }

    /// Broken variants that this catches: the name of the one member does not count, and a text that reads as a
    /// number passes for a string.
    #[test]
    fn what_only_the_structured_part_says_is_not_repeated() {
        for (texts, structured) in [
            (
                r#"{"type":"text","text":"[1, 2]"}"#,
                r#"{"revoked_keys":[1,2]}"#,
            ),
            (
                r#"{"type":"text","text":"long text"}"#,
                r#"{"error":"long text"}"#,
            ),
            (
                r#"{"type":"text","text":"a"},{"type":"text","text":"b"}"#,
                r#"{"deleted":["a","b"]}"#,
            ),
            (r#"{"type":"text","text":"42"}"#, r#"{"result":"42"}"#),
            (r#"{"type":"text","text":"true"}"#, r#"{"result":"true"}"#),
            (
                r#"{"type":"text","text":"1"},{"type":"text","text":"b"}"#,
                r#"{"result":["1","b"]}"#,
            ),
        ] {
            let result = format!(r#"{{"content":[{texts}],"structuredContent":{structured}}}"#);
            assert_eq!(relation(&result), Relation::Other, "{result}");
        }
        for value in ["42", r#"{"result":42}"#, r#"{"data": [ 42 ]}"#] {
            let text = if value.contains('[') { "[42]" } else { "42" };
            let result = format!(
                r#"{{"content":[{{"type":"text","text":"{text}"}}],"structuredContent":{value}}}"#
            );
            assert_eq!(relation(&result), Relation::Repeated, "{result}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_left_alone() {
        assert_eq!(Parts::of(r#"{"content":[],"content":[]}"#), None);
        assert_eq!(
            Parts::of(r#"{"content":[{"type":"text","text":"\ud800"}]}"#),
            None
        );
        assert_eq!(Parts::of(r#"{"content":[{"text":"x"}]}"#), None);
        assert!(Parts::of("[]").unwrap().texts.is_empty());
    }

    /// Broken variant that this catches: each name is looked for among all before it, which takes minutes here.
    #[test]
    fn as_many_members_as_one_likes_are_told_apart() {
        let members: Vec<String> = (0..200_000).map(|n| format!("\"{n}\":0")).collect();
        let object = |members: &[String]| format!("{{{}}}", members.join(","));
        assert!(Parts::of(&object(&members)).is_some());
        let twice = [members.as_slice(), &members[..1]].concat();
        assert_eq!(Parts::of(&object(&twice)), None);
    }
}
