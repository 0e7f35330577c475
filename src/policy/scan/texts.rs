//! The texts of a definition that a model reads, each with its place.

use std::fmt::Write as _;

use crate::policy::hidden::{Lenient, Visitor, read_leniently, walk};

/// Texts of one part of a definition that are looked at.
pub(super) const MAX_TEXTS: usize = 10_000;

/// What is looked at together. Prose comes first, so that no number of values keeps it from being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Descriptions and titles.
    Prose,
    /// Values, and the names of parameters.
    Rest,
}

/// One text.
#[derive(Debug)]
pub(super) struct Text<'a> {
    /// JSON Pointer (RFC 6901) in the definition.
    pub(super) place: &'a str,
    pub(super) read: Lenient,
    /// Whether it is a description or title, not a name or value.
    pub(super) is_prose: bool,
    /// Whether it is the name of a property.
    pub(super) is_key: bool,
}

/// Looks at the strings of a raw definition and the names of its parameters; tells whether there were more than are
/// looked at. `_meta`, `icons` and `execution` are for programs.
pub(super) fn each_text(raw: &str, part: Part, look: impl FnMut(Text<'_>)) -> bool {
    let mut texts = Texts {
        pointer: String::new(),
        part,
        n_left: MAX_TEXTS,
        is_cut: false,
        look,
    };
    let root = Place {
        is: Is::Definition,
        pointer: 0,
    };
    walk(raw.as_bytes(), root, &mut texts);
    texts.is_cut
}

/// What a value is, by where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Is {
    Definition,
    /// An object whose keys are names, whatever they are called.
    Names,
    Prose,
    Value,
    /// For programs.
    Skipped,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    is: Is,
    /// Bytes of its JSON Pointer: all places share one text, as each begins with the one above it.
    pointer: usize,
}

struct Texts<F> {
    pointer: String,
    part: Part,
    n_left: usize,
    is_cut: bool,
    look: F,
}

impl<F: FnMut(Text<'_>)> Texts<F> {
    fn found(&mut self, read: Lenient, is_key: bool) {
        if self.n_left == 0 {
            self.is_cut = true;
            return;
        }
        self.n_left -= 1;
        (self.look)(Text {
            place: &self.pointer,
            read,
            is_prose: self.part == Part::Prose,
            is_key,
        });
    }
}

impl<F: FnMut(Text<'_>)> Visitor for Texts<F> {
    type Place = Place;

    fn member(&mut self, of: Place, key: &[u8]) -> Place {
        if of.is == Is::Skipped {
            return of;
        }
        let key = read_leniently(key).unwrap_or_default();
        self.pointer.truncate(of.pointer);
        self.pointer.push('/');
        for c in key.text.chars() {
            match c {
                '~' => self.pointer.push_str("~0"),
                '/' => self.pointer.push_str("~1"),
                c => self.pointer.push(c),
            }
        }
        // With half a character in it, a key is none that we know.
        let known = match key.halves.is_empty() {
            true => key.text.as_str(),
            false => "",
        };
        let is = match (of.is, known) {
            (Is::Names, _) => Is::Value,
            (Is::Definition, "_meta" | "icons" | "execution") => Is::Skipped,
            (Is::Prose | Is::Value, "properties" | "patternProperties") => Is::Names,
            (_, "description" | "title" | "$comment") => Is::Prose,
            _ => Is::Value,
        };
        if of.is == Is::Names && self.part == Part::Rest {
            self.found(key, true);
        }
        let pointer = self.pointer.len();
        Place { is, pointer }
    }

    fn element(&mut self, of: Place, index: usize) -> Place {
        let is = match of.is {
            // A definition is an object.
            Is::Definition | Is::Skipped => Is::Skipped,
            Is::Names => Is::Value,
            is => is,
        };
        if is == Is::Skipped {
            return Place { is, ..of };
        }
        self.pointer.truncate(of.pointer);
        let _ = write!(self.pointer, "/{index}");
        let pointer = self.pointer.len();
        Place { is, pointer }
    }

    fn string(&mut self, place: Place, raw: &[u8], _at: usize) {
        let part = match place.is {
            Is::Prose => Part::Prose,
            Is::Value | Is::Names => Part::Rest,
            Is::Definition | Is::Skipped => return,
        };
        if part != self.part {
            return;
        }
        if let Some(read) = read_leniently(raw) {
            self.pointer.truncate(place.pointer);
            self.found(read, false);
        }
    }
}
