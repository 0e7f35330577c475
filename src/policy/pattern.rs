//! Names with wildcards: `*` is any characters, `?` one. Compiled to regular expressions, which take time
//! linear in the text whatever the pattern.

use regex::{Regex, RegexBuilder};

/// Longest pattern in bytes.
pub const MAX_PATTERN: usize = 1024;
/// Bytes that a compiled expression may take.
const COMPILED: usize = 1 << 20;

/// A pattern for names.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    exact: Regex,
    /// The same whatever the case, and around white space.
    loose: Regex,
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// When it is empty or longer than [`MAX_PATTERN`] bytes; a text that says so.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("the pattern is empty; `*` fits every name".to_owned());
        }
        Ok(Self {
            text: text.to_owned(),
            exact: compile_glob(text, false)?,
            loose: compile_glob(text, true)?,
        })
    }

    /// Returns the pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Tells whether a name is meant.
    pub fn fits(&self, name: &str) -> bool {
        self.exact.is_match(name)
    }

    /// Tells whether a server could take a name for one that is meant: some do not look at its case.
    pub fn may_fit(&self, name: &str) -> bool {
        self.exact.is_match(name) || self.loose.is_match(name.trim())
    }

    /// Tells whether every name that `other` fits is one of ours. May say no where it is.
    pub fn covers(&self, other: &Self) -> bool {
        let has_wildcard = other.text.contains(['*', '?']);
        self.text == "*" || self.text == other.text || (!has_wildcard && self.fits(&other.text))
    }
}

/// Compiles a text with wildcards to an expression for the whole of a text.
pub(super) fn compile_glob(text: &str, is_loose: bool) -> Result<Regex, String> {
    let mut pattern = String::from("^");
    for character in text.chars() {
        match character {
            '*' => pattern.push_str(".*"),
            '?' => pattern.push('.'),
            other => pattern.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    pattern.push('$');
    compile(text, &pattern, is_loose)
}

/// Compiles a regular expression within bounds.
pub(super) fn compile_regex(text: &str) -> Result<Regex, String> {
    compile(text, text, false)
}

fn compile(text: &str, pattern: &str, is_loose: bool) -> Result<Regex, String> {
    if text.len() > MAX_PATTERN {
        return Err(format!(
            "the pattern has {} bytes; at most {MAX_PATTERN} are allowed",
            text.len()
        ));
    }
    RegexBuilder::new(pattern)
        .case_insensitive(is_loose)
        // A written expression decides itself what its dot means.
        .dot_matches_new_line(!std::ptr::eq(text, pattern))
        .size_limit(COMPILED)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                "the regular expression is too large once compiled; repeat less in it".to_owned()
            }
            other => {
                let last = other.to_string();
                let last = last.lines().last().unwrap_or_default().to_owned();
                let last = last.trim_start_matches("error: ");
                format!("not a regular expression: {last}")
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_fit_whole_names() {
        for (pattern, name, exact, loose) in [
            ("delete_*", "delete_file", true, true),
            ("delete_*", "undelete_file", false, false),
            ("delete_*", "Delete_File", false, true),
            ("delete_?", " delete_x\t", false, true),
            ("a.b", "axb", false, false),
            ("*", "", true, true),
            ("*", "a\nb", true, true),
            ("a(", "a(", true, true),
        ] {
            let compiled = Pattern::new(pattern).unwrap();
            assert_eq!(compiled.fits(name), exact, "{pattern} {name:?}");
            assert_eq!(compiled.may_fit(name), loose, "{pattern} {name:?}");
        }
        for wrong in ["", &"a".repeat(MAX_PATTERN + 1)] {
            assert!(Pattern::new(wrong).is_err());
        }
        for wrong in ["(", "a{2000}{2000}", r"\1"] {
            assert!(compile_regex(wrong).is_err(), "{wrong}");
        }
    }
}
