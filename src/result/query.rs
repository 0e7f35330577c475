//! Reading parts of a kept result: what `read_result` does. Pure; only a `jq` program is handed back to be
//! run elsewhere, see [`Outcome::Jq`].
//!
//! Everything is cut out of the text that was stored, so digits, escapes and the order of keys stay. Every
//! answer is within the cap; where that is not all that was asked for, a note says so with the call that
//! goes on. Searching and paging are linear in the text.

mod arguments;
mod document;
mod error;
mod grep;
mod json;
mod pages;
mod part;
mod select;

use std::ops::Range;

use serde_json::json;

use crate::jsonrpc::text as json_text;
use crate::result::handle::Handle;

pub use arguments::{KNOWN, URI_PREFIX, parse};
pub use document::{Block, Document};
pub use error::QueryError;
pub(super) use json::is_container;
pub use pages::{Limits, Page, page};
pub use part::fields_of;

use pages::Sizer;
use select::Selection;

/// A range, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub first: usize,
    /// The last; none = to the end.
    pub last: Option<usize>,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Of which result.
    pub handle: Handle,
    /// Which page, from 1.
    pub page: Option<usize>,
    /// Which lines, from 1.
    pub lines: Option<Span>,
    /// A regular expression to search for.
    pub grep: Option<String>,
    /// How many lines around each hit.
    pub context: Option<usize>,
    /// Where in the JSON.
    pub pointer: Option<String>,
    /// Which elements of the array or members of the object there, from 0.
    pub items: Option<Span>,
    /// Which fields of the value, or of each element.
    pub fields: Vec<String>,
    /// A program to run on the JSON.
    pub jq: Option<String>,
    /// Numbers instead of content.
    pub count: bool,
    /// Which block of the result's `content`, from 0.
    pub block: Option<usize>,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            handle: Handle::of(&[0; 32], "", b""),
            page: None,
            lines: None,
            grep: None,
            context: None,
            pointer: None,
            items: None,
            fields: Vec::new(),
            jq: None,
            count: false,
            block: None,
        }
    }
}

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// One JSON value, complete.
    Json,
}

/// What is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The data, within the cap.
    pub text: String,
    /// What it is.
    pub kind: Kind,
    /// What is said about it beside it: what is left, and how it is read.
    pub note: Option<String>,
    /// A raw block of `content` that is given back as it was, instead of text.
    pub block: Option<String>,
}

/// What becomes of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is answered.
    Answer(Answer),
    /// A program has to be run; [`jq_answer`] takes what it prints.
    Jq {
        /// The program.
        program: String,
        /// Raw JSON that it reads.
        input: String,
    },
}

impl Query {
    fn check(&self) -> Result<(), QueryError> {
        let all = [
            ("page", self.page.is_some()),
            ("lines", self.lines.is_some()),
            ("grep", self.grep.is_some()),
            ("items", self.items.is_some()),
            ("fields", !self.fields.is_empty()),
            ("jq", self.jq.is_some()),
            ("count", self.count),
        ];
        let given: Vec<&'static str> = all
            .into_iter()
            .filter_map(|(name, is_given)| is_given.then_some(name))
            .collect();
        let goes = |one: &str, other: &str| {
            matches!(
                (one, other),
                ("page", "lines" | "grep" | "jq")
                    | ("lines", "grep")
                    | ("items", "fields")
                    | ("grep", "count")
            )
        };
        for (n, one) in given.iter().enumerate() {
            if let Some(other) = given[n + 1..].iter().find(|other| !goes(one, other)) {
                return Err(QueryError::Together { one, other });
            }
        }
        Ok(())
    }

    /// Writes the call that reads on: this query with other values.
    fn again(&self, tool: &str, changes: &[(&str, serde_json::Value)]) -> String {
        let mut call = serde_json::Map::new();
        call.insert("handle".into(), json!(self.handle.to_string()));
        if let Some(block) = self.block {
            call.insert("block".into(), json!(block));
        }
        if let Some(pointer) = &self.pointer {
            call.insert("pointer".into(), json!(pointer));
        }
        let span = |span: Span| match span.last {
            Some(last) => format!("{}-{last}", span.first),
            None => format!("{}-", span.first),
        };
        if let Some(lines) = self.lines {
            call.insert("lines".into(), json!(span(lines)));
        }
        if let Some(grep) = &self.grep {
            call.insert("grep".into(), json!(grep));
        }
        if let Some(context) = self.context {
            call.insert("context".into(), json!(context));
        }
        if !self.fields.is_empty() {
            call.insert("fields".into(), json!(self.fields));
        }
        if let Some(jq) = &self.jq {
            call.insert("jq".into(), json!(jq));
        }
        for (name, value) in changes {
            call.insert((*name).into(), value.clone());
        }
        format!("{tool} {}", serde_json::Value::Object(call))
    }
}

/// The part of a document that a query is about.
struct Part<'a> {
    text: std::borrow::Cow<'a, str>,
    json: Option<std::borrow::Cow<'a, str>>,
    /// Whether the text is the JSON.
    is_json: bool,
}

/// Answers a query. `tool` is the name under which `read_result` is listed.
///
/// # Errors
/// When there is no answer; [`QueryError::text`] says what to do.
pub fn answer(
    query: &Query,
    document: &Document,
    tool: &str,
    limits: &Limits<'_>,
) -> Result<Outcome, QueryError> {
    let reader = Reader {
        query,
        tool,
        limits: *limits,
    };
    reader.read(document)
}

/// Answers with what a program printed.
///
/// # Errors
/// When a page is asked for that is not there.
pub fn jq_answer(
    query: &Query,
    printed: &str,
    tool: &str,
    limits: &Limits<'_>,
) -> Result<Answer, QueryError> {
    let reader = Reader {
        query,
        tool,
        limits: *limits,
    };
    let printed = printed.strip_suffix('\n').unwrap_or(printed);
    if printed.is_empty() {
        return Ok(Answer {
            text: String::new(),
            kind: Kind::Text,
            note: Some("the program gave nothing".to_owned()),
            block: None,
        });
    }
    let is_json = json::is_container(printed);
    let mut answer = reader.paged(printed, is_json, None)?;
    if is_json && answer.text.len() == printed.len() {
        answer.kind = Kind::Json;
    }
    Ok(answer)
}

struct Reader<'a> {
    query: &'a Query,
    tool: &'a str,
    limits: Limits<'a>,
}

impl Reader<'_> {
    fn read(&self, document: &Document) -> Result<Outcome, QueryError> {
        let query = self.query;
        let inner;
        let document = match query.block {
            None => document,
            Some(index) => {
                let block = document.block(index).ok_or(QueryError::Beyond {
                    what: "blocks",
                    there: document.n_blocks(),
                })?;
                match block.text() {
                    Some(text) => {
                        inner = Document::plain(text);
                        &inner
                    }
                    None => return Ok(Outcome::Answer(as_it_was(&block))),
                }
            }
        };
        let part = self.part(document)?;
        if let Some(program) = &query.jq {
            let input = match &part.json {
                Some(json) => json.clone().into_owned(),
                None => json_text::to_string(&part.text),
            };
            return Ok(Outcome::Jq {
                program: program.clone(),
                input,
            });
        }
        let answer = if query.count {
            self.count(document, &part)?
        } else if query.grep.is_some() {
            self.grep(&part)?
        } else if query.items.is_some() || !query.fields.is_empty() {
            let what = if query.items.is_some() {
                "items"
            } else {
                "fields"
            };
            let raw = part.json.as_deref().ok_or(QueryError::NoJson { what })?;
            self.items(raw)?
        } else if let Some(span) = query.lines {
            let (lines, _) = self.lines(&part.text, span)?;
            self.paged(&part.text[lines], false, None)?
        } else if query.page.is_some() || query.pointer.is_none() {
            self.paged(&part.text, part.is_json, self.about(document))?
        } else {
            self.value(&part)?
        };
        Ok(Outcome::Answer(answer))
    }

    /// Follows the pointer.
    fn part<'d>(&self, document: &'d Document) -> Result<Part<'d>, QueryError> {
        let Some(pointer) = &self.query.pointer else {
            return Ok(Part {
                text: document.text().into(),
                json: document.json().map(Into::into),
                is_json: document.is_json(),
            });
        };
        let json = document
            .json()
            .ok_or(QueryError::NoJson { what: "pointer" })?;
        let at = json::find(json, pointer).map_err(|astray| QueryError::Astray {
            step: astray.step,
            until: astray.until,
            there: astray.there,
        })?;
        let raw = &json[at];
        let is_json = raw.starts_with(['{', '[']);
        // A string is read as the text that it is.
        let inside = json_text::string_value(raw.as_bytes());
        Ok(Part {
            text: inside.map_or(raw.into(), Into::into),
            json: Some(raw.into()),
            is_json,
        })
    }

    /// What else a result has than its text; said where the whole is read.
    fn about(&self, document: &Document) -> Option<String> {
        let others: Vec<String> = (0..document.n_blocks())
            .filter_map(|n| {
                let block = document.block(n)?;
                block
                    .text()
                    .is_none()
                    .then(|| format!("block {n}: {}", block.about()))
            })
            .take(10)
            .collect();
        (!others.is_empty()).then(|| others.join("; "))
    }

    /// A page of a text, with a note on how to read on.
    fn paged(
        &self,
        text: &str,
        is_json: bool,
        about: Option<String>,
    ) -> Result<Answer, QueryError> {
        let number = self.query.page.unwrap_or(1);
        let page =
            page(text, is_json, number, &self.limits).map_err(|there| QueryError::Beyond {
                what: "pages",
                there,
            })?;
        let mut notes: Vec<String> = about.into_iter().collect();
        if !page.is_last || number > 1 {
            let total = match page.total {
                Some(total) => total.to_string(),
                None => {
                    let each = page.span.end / number;
                    format!("about {}", text.len().div_ceil(each.max(1)))
                }
            };
            let mut note = format!("page {number} of {total}");
            if !page.is_last {
                note.push_str("; next: ");
                note.push_str(&self.query.again(self.tool, &[("page", json!(number + 1))]));
            }
            notes.push(note);
        }
        Ok(Answer {
            text: text[page.span].to_owned(),
            kind: Kind::Text,
            note: (!notes.is_empty()).then(|| notes.join("\n")),
            block: None,
        })
    }

    /// Where lines stand in a text, and how many there are in all.
    fn lines(&self, text: &str, span: Span) -> Result<(Range<usize>, usize), QueryError> {
        let mut starts = vec![0];
        starts.extend(memchr::memchr_iter(b'\n', text.as_bytes()).map(|end| end + 1));
        // A line feed ends a line and begins none.
        if starts.len() > 1 && starts.last() == Some(&text.len()) {
            starts.pop();
        }
        let there = starts.len();
        let start = *starts
            .get(span.first.max(1) - 1)
            .ok_or(QueryError::Beyond {
                what: "lines",
                there,
            })?;
        let end = span.last.and_then(|last| starts.get(last.max(1)));
        Ok((start..end.copied().unwrap_or(text.len()), there))
    }

    fn grep(&self, part: &Part<'_>) -> Result<Answer, QueryError> {
        let (found, what) = self.found(part)?;
        let mut about = format!("{} {what}", found.hits);
        if found.hits == 0 {
            about.push_str("; `(?i)` before the pattern ignores case");
        } else if found.shown < found.hits {
            about.push_str(&format!(", of which the first {} are here", found.shown));
        }
        self.paged(&found.text, false, Some(about))
    }

    fn found(&self, part: &Part<'_>) -> Result<(grep::Found, &'static str), QueryError> {
        const LINES: &str = "lines match";
        let regex = grep::compile(self.query.grep.as_deref().unwrap_or_default())?;
        let context = self.query.context.unwrap_or(grep::CONTEXT);
        if let Some(span) = self.query.lines {
            let (lines, _) = self.lines(&part.text, span)?;
            let found = grep::lines(&part.text[lines], &regex, context, span.first.max(1));
            return Ok((found, LINES));
        }
        let base = self.query.pointer.as_deref().unwrap_or_default();
        let json = part
            .json
            .as_deref()
            .filter(|json| json.starts_with(['{', '[', ' ', '\n', '\t', '\r']));
        let values = json.map(|json| grep::values(json, &regex, base));
        let text = || grep::lines(&part.text, &regex, context, 1);
        match values {
            Some(found) if part.is_json && found.hits > 0 => Ok((found, "values match")),
            // A pattern may reach over several values.
            Some(_) if part.is_json => Ok((text(), LINES)),
            other => {
                let found = text();
                match other {
                    Some(values) if found.hits == 0 && values.hits > 0 => {
                        Ok((values, "values match"))
                    }
                    _ => Ok((found, LINES)),
                }
            }
        }
    }

    fn count(&self, document: &Document, part: &Part<'_>) -> Result<Answer, QueryError> {
        let text = &part.text;
        let mut lines = Vec::new();
        if self.query.grep.is_some() {
            let (found, what) = self.found(part)?;
            lines.push(format!("matches: {} ({what})", found.hits));
        } else {
            lines.push(format!("lines: {}", grep::split_lines(text).len()));
            lines.push(format!("bytes: {}", text.len()));
            lines.push(format!(
                "tokens: {} ({})",
                self.limits.counter.count(text),
                self.limits.counter.name()
            ));
            if let Some(raw) = part.json.as_deref() {
                let children = json::Children::of(raw);
                if children != json::Children::None {
                    lines.push(format!("items: {}", children.len()));
                }
            }
            if self.query.pointer.is_none() && document.n_blocks() > 1 {
                for n in 0..document.n_blocks().min(50) {
                    let about = document.block(n).map(|block| block.about());
                    lines.push(format!("block {n}: {}", about.unwrap_or_default()));
                }
            }
        }
        Ok(Answer {
            text: lines.join("\n"),
            kind: Kind::Text,
            note: None,
            block: None,
        })
    }

    /// A value by its pointer: whole where it fits.
    fn value(&self, part: &Part<'_>) -> Result<Answer, QueryError> {
        let raw = part.json.as_deref().unwrap_or_default();
        if !part.is_json {
            // Without escapes the quotes say that it is a string; with them the text is what is read.
            let is_plain = !raw.contains("\\n") && Sizer::new(&self.limits).holds(raw);
            return if is_plain {
                Ok(whole(raw))
            } else {
                self.paged(&part.text, false, None)
            };
        }
        if Sizer::new(&self.limits).holds(raw) {
            return Ok(whole(raw));
        }
        self.items(raw)
    }

    /// Elements or members, as many as fit.
    fn items(&self, raw: &str) -> Result<Answer, QueryError> {
        let query = self.query;
        let pointer = query.pointer.as_deref().unwrap_or_default();
        let selection = Selection::of(raw);
        let total = selection.children.len();
        if query.items.is_none() && selection.has_any(&query.fields) {
            let projected = select::project(selection.raw, &query.fields);
            if Sizer::new(&self.limits).holds(&projected) {
                return Ok(whole(&projected));
            }
            return self.too_long(&projected, pointer);
        }
        if selection.children == json::Children::None {
            return Err(QueryError::NoItems {
                pointer: pointer.to_owned(),
                there: json::what_is(raw, &selection.children),
            });
        }
        let span = query.items.unwrap_or(Span {
            first: 0,
            last: None,
        });
        if span.first >= total && !(total == 0 && query.items.is_none()) {
            return Err(QueryError::Beyond {
                what: "items",
                there: total,
            });
        }
        let end = span
            .last
            .map_or(total, |last| last.saturating_add(1).min(total));
        let asked = span.first..end;
        let (open, close) = selection.children.brackets();
        let mut sizer = Sizer::new(&self.limits);
        let mut text = String::from(open);
        let mut shown = 0;
        let mut is_something = query.fields.is_empty();
        for n in asked.clone() {
            let Some(piece) = selection.pieces(n..n + 1, &query.fields).pop() else {
                break;
            };
            let comma = if shown > 0 { ",\n" } else { "" };
            if !sizer.add(comma) || !sizer.add(&piece) {
                break;
            }
            is_something |= !piece.ends_with("{}");
            text.push_str(comma);
            text.push_str(&piece);
            shown += 1;
        }
        if shown == 0 && !asked.is_empty() {
            return self.first_too_long(&selection, asked.start, pointer);
        }
        if !is_something && !asked.is_empty() {
            let first = &selection.children.spans()[asked.start];
            let first = &raw[first.clone()];
            let first = match &selection.children {
                json::Children::Object(all) => &raw[all[asked.start].value.clone()],
                _ => first,
            };
            return Err(QueryError::NoField {
                there: format!(
                    "item {} is {}",
                    asked.start,
                    json::what_is(first, &json::Children::of(first))
                ),
            });
        }
        text.push_str(close);
        let until = asked.start + shown;
        let is_all = until == total && asked.start == 0;
        let note = (!is_all).then(|| {
            let mut note = format!(
                "items {}-{} of {total}",
                asked.start,
                until.saturating_sub(1)
            );
            if !pointer.is_empty() {
                note.push_str(&format!(" at {pointer}"));
            }
            if until < end {
                let items = format!("{until}-{}", end - 1);
                note.push_str("; next: ");
                note.push_str(&query.again(self.tool, &[("items", json!(items))]));
            }
            note
        });
        Ok(Answer {
            text,
            kind: Kind::Json,
            note,
            block: None,
        })
    }

    /// The first item alone is more than the cap: what is in it is said instead.
    fn first_too_long(
        &self,
        selection: &Selection<'_>,
        n: usize,
        pointer: &str,
    ) -> Result<Answer, QueryError> {
        let (step, value) = match &selection.children {
            json::Children::Object(all) => {
                let name = all[n].name(selection.raw.as_bytes()).into_owned();
                let step = name.replace('~', "~0").replace('/', "~1");
                (step, all[n].value.clone())
            }
            _ => (n.to_string(), selection.children.spans()[n].clone()),
        };
        let raw = &selection.raw[value];
        let projected;
        let raw = if self.query.fields.is_empty() {
            raw
        } else {
            projected = select::project(raw, &self.query.fields);
            &projected
        };
        self.too_long(raw, &format!("{pointer}/{step}"))
    }

    fn too_long(&self, raw: &str, pointer: &str) -> Result<Answer, QueryError> {
        let bytes = raw.len();
        let outline = Selection::of(raw).outline(pointer);
        let mut sizer = Sizer::new(&self.limits);
        let mut lines = Vec::new();
        for line in &outline {
            if !sizer.add(line) || !sizer.add("\n") {
                break;
            }
            lines.push(line.as_str());
        }
        let plain = Query {
            handle: self.query.handle,
            block: self.query.block,
            ..Query::default()
        };
        let next = plain.again(self.tool, &[("pointer", json!(pointer))]);
        let note = if outline.is_empty() {
            format!(
                "the value at {pointer} has {bytes} bytes, more than fits; read it in pages: {next}"
            )
        } else {
            let left = match outline.len() - lines.len() {
                0 => String::new(),
                left => format!(" and {left} more"),
            };
            format!(
                "the value at {pointer} has {bytes} bytes, more than fits; this is what is in it{left}. Read a part by its pointer, or all: {next}"
            )
        };
        Ok(Answer {
            text: lines.join("\n"),
            kind: Kind::Text,
            note: Some(note),
            block: None,
        })
    }
}

fn whole(raw: &str) -> Answer {
    Answer {
        text: raw.to_owned(),
        kind: Kind::Json,
        note: None,
        block: None,
    }
}

fn as_it_was(block: &Block<'_>) -> Answer {
    Answer {
        text: String::new(),
        kind: Kind::Text,
        note: None,
        block: Some(block.raw.to_owned()),
    }
}

#[cfg(test)]
mod tests;
