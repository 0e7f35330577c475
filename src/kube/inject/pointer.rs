//! JSON Pointers (RFC 6901), built member by member so that nothing is escaped twice. Pure.

use std::fmt;

use serde_json::Value;

/// A pointer to one place of a document. The empty one is the whole document.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pointer(String);

impl Pointer {
    /// The whole document.
    pub fn root() -> Self {
        Self::default()
    }

    /// Goes on to the member `name` of an object.
    pub fn key(&self, name: &str) -> Self {
        let mut text = self.0.clone();
        text.push('/');
        for character in name.chars() {
            match character {
                '~' => text.push_str("~0"),
                '/' => text.push_str("~1"),
                other => text.push(other),
            }
        }
        Self(text)
    }

    /// Goes on along several members.
    pub fn keys<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Self {
        names
            .into_iter()
            .fold(self.clone(), |at, name| at.key(name))
    }

    /// Goes on to an element of an array, from 0.
    pub fn index(&self, index: usize) -> Self {
        Self(format!("{}/{index}", self.0))
    }

    /// Goes on to the place behind an array's last element (RFC 6902 §4.1).
    pub fn end(&self) -> Self {
        Self(format!("{}/-", self.0))
    }

    /// The pointer as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Splits off the last member, unescaped; nothing for the whole document.
    pub fn split(&self) -> Option<(Self, String)> {
        let (parent, last) = self.0.rsplit_once('/')?;
        let last = last.replace("~1", "/").replace("~0", "~");
        Some((Self(parent.to_owned()), last))
    }

    /// Finds the place in a document.
    pub fn of<'a>(&self, document: &'a Value) -> Option<&'a Value> {
        document.pointer(&self.0)
    }
}

impl From<&str> for Pointer {
    /// Takes text that is a pointer already.
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
