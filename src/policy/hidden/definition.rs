//! Hidden characters of a definition (tool, prompt, resource): out of its prose, told where they are in names
//! and values. A name or a value that is changed would be another one on the wire, so those stay.

use std::collections::BTreeMap;
use std::fmt;

use crate::jsonrpc::text::to_string;
use crate::jsonrpc::write::Edit;
use crate::surface::schema::{Shape, shape};

use super::{Kind, Lenient, Visitor, clean, find, read_leniently, walk};

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

    fn add(&mut self, read: &Lenient) {
        for hidden in find(&read.text) {
            let n = read.text[hidden.range].chars().count();
            *self.0.entry(hidden.kind).or_default() += n;
        }
        if !read.halves.is_empty() {
            *self.0.entry(Kind::Half).or_default() += read.halves.len();
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
    let mut found = Walk::default();
    if may_hide(raw) {
        walk(raw, Place::Item, &mut found);
    }
    found.cleaned
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

impl Visitor for Walk {
    type Place = Place;

    fn member(&mut self, of: Place, key: &[u8]) -> Place {
        let key = read_leniently(key).unwrap_or_default();
        self.cleaned.kept.add(&key);
        // With half a character in it, a key is none that we know.
        match key.halves.is_empty() {
            true => of.of_member(&key.text),
            false => of.of_member(""),
        }
    }

    fn element(&mut self, of: Place, _index: usize) -> Place {
        of
    }

    fn string(&mut self, place: Place, raw: &[u8], at: usize) {
        // What is not JSON is read by nobody.
        let Some(read) = read_leniently(raw) else {
            return;
        };
        if place != Place::Prose {
            return self.cleaned.kept.add(&read);
        }
        let shown = clean(&read.text);
        if shown == read.text && read.halves.is_empty() {
            return;
        }
        self.cleaned.removed.add(&read);
        self.cleaned.edits.push(Edit {
            range: at..at + raw.len(),
            with: to_string(&shown).into(),
        });
    }
}
