//! What is known of clients, as data: `profiles.toml`, compiled in and checked by tests. Each fact has
//! a public source and a date; what is not known is absent, never guessed.
//!
//! A profile chooses how definitions and results are *shown*. Nothing that allows or refuses may hang
//! on it: a client says itself who it is (MCP 2026-07-28 basic: `clientInfo` is not verified), and so
//! does whoever sets an environment variable.

#[cfg(test)]
mod check;
mod show;
mod table;

use std::sync::OnceLock;

use serde::Deserialize;

use crate::result::images::tokens::Formula;

pub use crate::config::profiles::show::ListForm;
pub use crate::config::profiles::show::Shown;
pub use crate::config::profiles::table::markdown;

// `profiles.toml` as JSON, one profile each, laid out by the build script, so that no start reads TOML for it, nor
// what is known of other clients.
include!(concat!(env!("OUT_DIR"), "/profiles.rs"));

/// Where a fact was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// The vendor's own pages.
    Documented,
    /// An issue, a pull request or an independent measurement.
    Reported,
}

/// One thing that is known.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fact<T> {
    /// What is so.
    pub value: T,
    /// Who says it.
    pub kind: SourceKind,
    /// A public address.
    pub source: String,
    /// `YYYY-MM-DD`, or `YYYY-MM` where a thread was followed until then.
    pub date: String,
    /// Conditions and exceptions.
    pub note: Option<String>,
}

/// An environment variable by which a host is recognised.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostVariable {
    /// Its name.
    pub variable: String,
    /// The value it has to have; `None` if any value but an empty one will do.
    pub value: Option<String>,
    /// Who says it.
    pub kind: SourceKind,
    /// A public address.
    pub source: String,
    /// As in [`Fact::date`].
    pub date: String,
}

/// Which part of a result a client's model reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResultChannel {
    /// `content`.
    Text,
    /// `structuredContent` where there is one.
    Structured,
    /// One after the other.
    Both,
}

/// What is known of one client. Absent facts are unknown.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The name for flags and files, such as `claude-code`.
    pub name: String,
    /// The client's own name.
    pub title: String,
    /// Names by which it calls itself in `clientInfo.name`; a `*` at the end stands for the rest.
    #[serde(default)]
    pub client_names: Vec<Fact<String>>,
    /// Variables that it sets for the servers it starts.
    #[serde(default)]
    pub environment: Vec<HostVariable>,
    /// It searches tools itself, so a short list hides them twice.
    pub native_tool_search: Option<Fact<bool>>,
    /// Bytes after which it cuts a tool's description.
    pub description_limit_bytes: Option<Fact<u64>>,
    /// Bytes after which it cuts a server's instructions.
    pub instructions_limit_bytes: Option<Fact<u64>>,
    /// Tools that it takes, at most.
    pub tool_count_limit: Option<Fact<u64>>,
    /// Follows `$ref` inside a schema.
    pub references: Option<Fact<bool>>,
    /// Takes `anyOf`, `oneOf` and `allOf` at a schema's root.
    pub root_unions: Option<Fact<bool>>,
    /// Passes on arguments that the schema shown does not name.
    pub open_schemas: Option<Fact<bool>>,
    /// What its model reads of a result that has both parts.
    pub result_channel: Option<Fact<ResultChannel>>,
    /// Shows a `resource_link` that is annotated for the user to the user, and not to its model.
    pub links_to_user: Option<Fact<bool>>,
    /// Tokens after which it cuts or spills a result.
    pub result_limit_tokens: Option<Fact<u64>>,
    /// Bytes after which it does.
    pub result_limit_bytes: Option<Fact<u64>>,
    /// Tokens from which it warns.
    pub result_warning_tokens: Option<Fact<u64>>,
    /// Pixels of the longer edge of an image that its model makes use of.
    pub image_edge: Option<Fact<u64>>,
    /// How its model's vendor counts the tokens of an image.
    pub image_tokens: Option<Fact<Formula>>,
    /// Its model reads a server's instructions.
    pub shows_instructions: Option<Fact<bool>>,
    /// Price of a cached input token, in uncached ones.
    pub cache_read_price: Option<Fact<f64>>,
    /// Price of writing a token into the cache, in uncached ones.
    pub cache_write_price: Option<Fact<f64>>,
}

impl Profile {
    /// Returns every profile, the generic one first.
    pub fn all() -> impl ExactSizeIterator<Item = &'static Self> + Clone {
        (0..PROFILES.len()).map(Self::at)
    }

    /// Returns the names of all, in the same order, without reading what is known.
    pub fn names() -> impl ExactSizeIterator<Item = &'static str> + Clone {
        PROFILES.iter().map(|(name, _)| *name)
    }

    /// Reads a profile when it is first asked for.
    fn at(place: usize) -> &'static Self {
        static READ: [OnceLock<Profile>; PROFILES.len()] =
            [const { OnceLock::new() }; PROFILES.len()];
        READ[place].get_or_init(|| {
            serde_json::from_str(PROFILES[place].1)
                .expect("a test reads the data that is compiled in")
        })
    }

    /// Returns the profile of a client of which nothing is known.
    pub fn generic() -> &'static Self {
        Self::at(0)
    }

    /// Returns the profile of that name.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        Self::names().position(|known| known == name).map(Self::at)
    }

    /// Returns the profile of the host that set these variables; `None` where no host is recognised.
    pub fn from_environment(lookup: impl Fn(&str) -> Option<String>) -> Option<&'static Self> {
        let is_set = |&&(variable, wanted, _): &&(&str, Option<&str>, usize)| {
            lookup(variable).is_some_and(|found| match wanted {
                Some(wanted) => found == wanted,
                None => !found.is_empty(),
            })
        };
        HOSTS
            .iter()
            .find(is_set)
            .map(|&(_, _, place)| Self::at(place))
    }

    /// Returns the profile of a client by what it calls itself; `None` where the name is unknown.
    pub fn of_client_info(name: &str) -> Option<&'static Self> {
        let is_named = |pattern: &str| match pattern.strip_suffix('*') {
            Some(start) => name
                .get(..start.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(start)),
            None => name.eq_ignore_ascii_case(pattern),
        };
        Self::all().find(|profile| {
            profile
                .client_names
                .iter()
                .any(|fact| is_named(&fact.value))
        })
    }
}

#[cfg(test)]
mod tests;
