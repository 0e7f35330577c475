//! What is wrong with a configuration, where, and what to do: errors and warnings, and the origin of
//! values. Pure.

use std::fmt::{self, Write as _};
use std::path::PathBuf;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A line of a file.
    File {
        /// The file as it was named.
        path: PathBuf,
        /// The line, counted from 1; `None` means the whole file.
        line: Option<u32>,
    },
    /// An environment variable.
    Environment(String),
    /// An option of the command line, with its dashes.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::File {
                path,
                line: Some(line),
            } => write!(formatter, "{}:{line}", path.display()),
            Self::File { path, line: None } => write!(formatter, "{}", path.display()),
            Self::Environment(name) => write!(formatter, "environment variable {name}"),
            Self::Flag(name) => formatter.write_str(name),
        }
    }
}

/// One thing that is wrong (an error) or doubtful (a warning). Never holds a secret's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where it is; `None` means the configuration as a whole.
    pub origin: Option<Origin>,
    /// The key as the file spells it, with dots.
    pub key: Option<String>,
    /// What is wrong: one sentence in lower case, without a full stop.
    pub problem: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Finding {
    pub(super) fn new(origin: Option<Origin>, key: Option<&str>, fault: Fault) -> Self {
        let origin = match (origin, fault.line) {
            (Some(Origin::File { path, .. }), Some(line)) => Some(Origin::File {
                path,
                line: Some(line),
            }),
            (origin, _) => origin,
        };
        let key = match (key, fault.subkey) {
            (Some(key), Some(subkey)) => Some(format!("{key}.{subkey}")),
            (key, _) => key.map(str::to_owned),
        };
        Self {
            origin,
            key,
            problem: fault.problem,
            hint: fault.hint,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Keys and values of a file that came with somebody's project are quoted in what is said of them.
        let mut formatter = Printable(formatter);
        if let Some(origin) = &self.origin {
            write!(formatter, "{origin}: ")?;
        }
        // An option or a variable says by its own name which key it is.
        if let (Some(key), Some(Origin::File { .. } | Origin::Default) | None) =
            (&self.key, &self.origin)
        {
            write!(formatter, "key `{key}`: ")?;
        }
        formatter.write_str(&self.problem)?;
        if let Some(hint) = &self.hint {
            write!(formatter, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

/// Writes control characters, but for the ends of lines, as escapes: what a terminal would obey is only shown.
struct Printable<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl fmt::Write for Printable<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut at = 0;
        for (found, character) in text.match_indices(|c: char| c.is_control() && c != '\n') {
            self.0.write_str(&text[at..found])?;
            write!(self.0, "{}", character.escape_default())?;
            at = found + character.len();
        }
        self.0.write_str(&text[at..])
    }
}

/// Everything that is wrong with a configuration, at least one finding, in the order of reading.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors {
    /// The errors.
    pub findings: Vec<Finding>,
    /// What else was noticed: a misspelt key is often why another one is missing.
    pub warnings: Vec<Finding>,
}

impl From<Findings> for ConfigErrors {
    fn from(findings: Findings) -> Self {
        Self {
            findings: findings.errors,
            warnings: findings.warnings,
        }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.findings.iter().enumerate() {
            let start = if index == 0 { "" } else { "\n" };
            write!(formatter, "{start}{finding}")?;
        }
        Ok(())
    }
}

/// Collects findings while loading goes on, so that all are told at once.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) errors: Vec<Finding>,
    pub(super) warnings: Vec<Finding>,
}

impl Findings {
    pub(super) fn error(&mut self, origin: Option<Origin>, key: Option<&str>, fault: Fault) {
        self.errors.push(Finding::new(origin, key, fault));
    }

    pub(super) fn warning(&mut self, origin: Option<Origin>, key: Option<&str>, fault: Fault) {
        self.warnings.push(Finding::new(origin, key, fault));
    }
}

/// A finding that does not yet know where its value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) problem: String,
    pub(super) hint: Option<String>,
    /// The line where it differs from the value's own.
    pub(super) line: Option<u32>,
    /// The part of the value that is wrong: a member or an index.
    pub(super) subkey: Option<String>,
}

impl Fault {
    pub(super) fn new(problem: impl Into<String>) -> Self {
        Self {
            problem: problem.into(),
            hint: None,
            line: None,
            subkey: None,
        }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    pub(super) fn at(self, line: u32) -> Self {
        Self {
            line: self.line.or(Some(line)),
            ..self
        }
    }

    pub(super) fn part(self, subkey: impl Into<String>) -> Self {
        Self {
            subkey: Some(subkey.into()),
            ..self
        }
    }
}

impl From<String> for Fault {
    fn from(problem: String) -> Self {
        Self::new(problem)
    }
}

/// Returns the known word that was probably meant, as a hint.
pub(super) fn did_you_mean<'a>(
    given: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let given_lower = given.to_ascii_lowercase();
    known
        .into_iter()
        .map(|word| {
            (
                edit_distance(&given_lower, &word.to_ascii_lowercase()),
                word,
            )
        })
        .filter(|(distance, word)| *distance <= (word.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| format!("did you mean `{word}`?"))
}

fn edit_distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, character) in left.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, other) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(character != *other);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_suggested() {
        let known = ["command", "args", "env", "url"];
        assert_eq!(
            did_you_mean("comand", known).as_deref(),
            Some("did you mean `command`?")
        );
        assert_eq!(
            did_you_mean("ARG", known).as_deref(),
            Some("did you mean `args`?")
        );
        assert_eq!(did_you_mean("autoApprove", known), None);
        assert_eq!(edit_distance("kitten", "sitting"), 3);
    }
}
