//! Hidden characters of a definition (tool, prompt, resource): out of its prose, told where they are in names
//! and values. A name or a value that is changed would be another one on the wire, so those stay.

use std::collections::BTreeMap;
use std::fmt;

use crate::jsonrpc::members;
use crate::jsonrpc::text::{string_value, to_string};
use crate::jsonrpc::write::Edit;
use crate::surface::schema::{Shape, shape};

use super::{Kind, clean, find};

/// Containers inside one another that are walked.
const MAX_DEPTH: usize = 128;

/// How many characters of each kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kinds(pub BTreeMap<Kind, usize>);

impl Kinds {
    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns how many characters there are of any kind.
    pub fn total(&self) -> usize {
        self.0.values().sum()
    }

    fn add(&mut self, text: &str) {
        for hidden in find(text) {
            let n = text[hidden.range].chars().count();
            *self.0.entry(hidden.kind).or_default() += n;
        }
    }
}

/// `3 tag characters, 1 direction controls`.
impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (kind, n)) in self.0.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{n} {kind}")?;
        }
        Ok(())
    }
}

/// What a definition hides.
#[derive(Debug, Clone, Default)]
pub struct Cleaned {
    /// The parts of the raw text to be replaced: strings of prose.
    pub edits: Vec<Edit>,
    /// What goes with them.
    pub removed: Kinds,
    /// What stays in names, keys and values.
    pub kept: Kinds,
}

impl Cleaned {
    /// Tells whether the definition hides nothing.
    pub fn is_clean(&self) -> bool {
        self.removed.is_empty() && self.kept.is_empty()
    }
}

/// Looks at a raw definition. Linear, and nothing is copied where it hides nothing.
pub fn clean_definition(raw: &[u8]) -> Cleaned {
    let mut walk = Walk::default();
    if may_hide(raw) {
        walk.value(raw, 0..raw.len(), Place::Item, 0);
    }
    walk.cleaned
}

/// Cheap: whether raw JSON has anything but plain ASCII in its strings.
fn may_hide(raw: &[u8]) -> bool {
    let mut is_escape = false;
    raw.iter().any(|b| {
        let was_escape = is_escape;
        is_escape = *b == b'\\' && !was_escape;
        !b.is_ascii() || *b == 0x7f || (was_escape && matches!(b, b'u' | b'b' | b'f' | b'r'))
    })
}

/// What a value is, by where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A tool, prompt or resource, or an argument of a prompt.
    Item,
    /// `annotations`, of which only the title is prose.
    Annotations,
    Schema,
    /// An object of schemas by name.
    Schemas,
    Prose,
    /// Names and data.
    Value,
}

impl Place {
    fn of_member(self, key: &str) -> Self {
        match (self, key) {
            (Self::Item | Self::Schema, "description" | "title") => Self::Prose,
            (Self::Annotations, "title") | (Self::Schema, "$comment") => Self::Prose,
            (Self::Item, "annotations") => Self::Annotations,
            (Self::Item, "inputSchema" | "outputSchema") => Self::Schema,
            (Self::Item, "arguments") => Self::Item,
            (Self::Schema, keyword) => match shape(keyword) {
                Shape::Properties | Shape::Definitions | Shape::Schemas => Self::Schemas,
                Shape::Schema => Self::Schema,
                Shape::Data => Self::Value,
            },
            (Self::Schemas, _) => Self::Schema,
            _ => Self::Value,
        }
    }
}

#[derive(Default)]
struct Walk {
    cleaned: Cleaned,
}

impl Walk {
    fn value(&mut self, raw: &[u8], at: std::ops::Range<usize>, place: Place, depth: usize) {
        let value = &raw[at.clone()];
        let start = value
            .iter()
            .position(|b| !b.is_ascii_whitespace())
            .unwrap_or(0);
        match value.get(start) {
            Some(b'{') if depth < MAX_DEPTH => {
                for member in members::members(value) {
                    let name = member.name(value);
                    self.cleaned.kept.add(&name);
                    let within = at.start + member.value.start..at.start + member.value.end;
                    self.value(raw, within, place.of_member(&name), depth + 1);
                }
            }
            Some(b'[') if depth < MAX_DEPTH => {
                for element in members::elements(value) {
                    let within = at.start + element.start..at.start + element.end;
                    self.value(raw, within, place, depth + 1);
                }
            }
            Some(b'"') => self.string(value.trim_ascii(), at.start + start, place),
            _ => {}
        }
    }

    fn string(&mut self, raw: &[u8], at: usize, place: Place) {
        // A string with half a character is one that nobody reads; it stays as it is.
        let Some(text) = string_value(raw) else {
            return;
        };
        if place != Place::Prose {
            return self.cleaned.kept.add(&text);
        }
        let shown = clean(&text);
        if shown == text {
            return;
        }
        self.cleaned.removed.add(&text);
        self.cleaned.edits.push(Edit {
            range: at..at + raw.len(),
            with: to_string(&shown).into(),
        });
    }
}
