//! Why a query has no answer, in words for the model that asked. Pure.

use super::KNOWN;

/// Why a query has no answer. [`Self::text`] is for the model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The arguments are no object.
    #[error("the arguments are no JSON object")]
    NoObject,
    /// No result is named.
    #[error("`handle` is missing")]
    NoHandle,
    /// The name is none of ours.
    #[error(
        "`handle` is not one of ours: it is `r_` and 26 letters and digits, as it stands in the result that was cut"
    )]
    BadHandle,
    /// An argument that does not exist.
    #[error("there is no argument `{name}`; there are: {}", KNOWN.join(", "))]
    Unknown {
        /// Its name.
        name: String,
    },
    /// An argument that is not what it should be.
    #[error("`{name}` has to be {expected}")]
    Wrong {
        /// The argument.
        name: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// Two that exclude each other.
    #[error("`{one}` and `{other}` cannot go together; send one of them")]
    Together {
        /// One.
        one: &'static str,
        /// The other.
        other: &'static str,
    },
    /// The result is not there, for whatever reason.
    #[error("this result is not known or expired; call the tool that gave it again")]
    Gone,
    /// A pattern that cannot be used.
    #[error(
        "`grep` cannot be used: {why}. It is a regular expression without look-around and back-references; a backslash before a sign takes it as it is"
    )]
    Pattern {
        /// Why.
        why: String,
    },
    /// There is no JSON.
    #[error(
        "the result is text and no JSON, so `{what}` does not fit; use `lines`, `grep` or `page`"
    )]
    NoJson {
        /// Which argument needs it.
        what: &'static str,
    },
    /// A pointer that leads nowhere.
    #[error("there is no `{step}` at `{until}`: {there} is there")]
    Astray {
        /// The step that failed.
        step: String,
        /// Until where it led.
        until: String,
        /// What is there.
        there: String,
    },
    /// The value has no parts.
    #[error("at `{pointer}` is {there}, so there are no items")]
    NoItems {
        /// Where.
        pointer: String,
        /// What is there.
        there: String,
    },
    /// None of the fields is anywhere.
    #[error("none of the fields is there; {there}")]
    NoField {
        /// What is.
        there: String,
    },
    /// Beyond the end.
    #[error("there are only {there} {what}")]
    Beyond {
        /// `pages`, `lines`, `items` or `blocks`.
        what: &'static str,
        /// How many there are.
        there: usize,
    },
    /// A program failed.
    #[error("jq: {0}")]
    Jq(String),
}

impl QueryError {
    /// Makes the text of the tool error.
    pub fn text(&self, tool: &str) -> String {
        match self {
            Self::NoObject | Self::NoHandle | Self::BadHandle => format!(
                "{tool}: {self}. Send {{\"handle\":\"r_…\"}} and what to read of it: page, lines, grep, pointer and items, fields, jq or count."
            ),
            _ => format!("{tool}: {self}."),
        }
    }
}
