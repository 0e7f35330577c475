//! Reviewed replacements for texts of definitions, written outside (by a person or a model) and kept in
//! a file: one JSON object a line, found by the BLAKE3 hash of the original text. Parsing, linting and
//! look-up only.
//!
//! No text gets in unlinted: it is used only where it keeps every constraint clause word for word, says
//! no duty of its own, is shorter, and hides no characters. Where it fails, the original is shortened as
//! if there were none.

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::Serialize;

use crate::surface::constraints::Kind;
use crate::surface::constraints::clauses;
use crate::surface::constraints::lost;
use crate::surface::ladder::Replacements;
use crate::surface::sentences::flat;
use crate::surface::sentences::key;

/// Most lines of a file.
const MAX_SUMMARIES: usize = 100_000;
/// Most bytes of one replacement.
const MAX_BYTES: usize = 16 * 1024;

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// [`text_hash`] of the original text.
    pub hash: String,
    /// What is shown in its place.
    pub replacement: String,
    /// Who wrote it: a model's name, or a person's.
    pub model: String,
    /// Who read it beside the original; empty for nobody, which is not used.
    pub reviewed_by: String,
    /// The original, for who reads it; what counts is the hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<String>,
}

/// Why a file of summaries is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SummaryError {
    /// A line is not one JSON object with exactly the members of a [`Summary`].
    #[error(
        "summaries, line {line}: {reason}\nhint: each line is {{\"hash\":…,\"replacement\":…,\"model\":…,\"reviewed_by\":…}}, and \"original\" if you like"
    )]
    Malformed {
        /// Its number, from 1.
        line: usize,
        /// What the parser said.
        reason: String,
    },
    /// A hash is no BLAKE3 hash in lower-case hexadecimal.
    #[error(
        "summaries, line {line}: `hash` is not 64 hexadecimal digits\nhint: it is the BLAKE3 hash of the original text"
    )]
    NoHash {
        /// Its number, from 1.
        line: usize,
    },
    /// One original has two replacements.
    #[error(
        "summaries, line {line}: this text has a replacement already, on line {first}\nhint: remove one of the two"
    )]
    Twice {
        /// Its number, from 1.
        line: usize,
        /// The number of the other.
        first: usize,
    },
    /// A replacement is larger than 16 KiB, or there are more than 100,000 lines.
    #[error("summaries, line {line}: too large\nhint: at most 100000 lines, 16 KiB each")]
    TooLarge {
        /// Its number, from 1.
        line: usize,
    },
}

/// What is wrong with a replacement.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// A constraint of the original is not in it, word for word.
    Lost {
        /// The clause.
        clause: String,
    },
    /// It says a constraint that the original does not have.
    Added {
        /// The clause.
        clause: String,
    },
    /// It is not shorter than the original.
    NotShorter,
    /// It is empty.
    Empty,
    /// It has characters that a reader does not see.
    HiddenCharacter {
        /// The first one.
        character: char,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost { clause } => write!(f, "lost a constraint: {clause}"),
            Self::Added { clause } => write!(f, "added a constraint: {clause}"),
            Self::NotShorter => f.write_str("not shorter than the original"),
            Self::Empty => f.write_str("empty"),
            Self::HiddenCharacter { character } => {
                write!(f, "hidden character U+{:04X}", u32::from(*character))
            }
        }
    }
}

/// Returns the hash under which a text is found: BLAKE3 in lower-case hexadecimal.
pub fn text_hash(original: &str) -> String {
    blake3::hash(original.as_bytes()).to_hex().to_string()
}

/// Says what is wrong with a replacement; nothing, if it may be used.
pub fn lint(original: &str, replacement: &str) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    if replacement.trim().is_empty() {
        findings.push(Finding::Empty);
    }
    if replacement.len() >= original.len() {
        findings.push(Finding::NotShorter);
    }
    if let Some(character) = replacement.chars().find(|character| is_hidden(*character)) {
        findings.push(Finding::HiddenCharacter { character });
    }
    let all_lost = lost(original, replacement).into_iter();
    findings.extend(all_lost.map(|clause| Finding::Lost {
        clause: clause.text.to_owned(),
    }));
    // A text that a model wrote would speak with the server's voice.
    let original = flat(original);
    let added = clauses(replacement).into_iter().filter(|clause| {
        let is_ruling = matches!(clause.kind, Kind::Duty | Kind::Condition | Kind::Source);
        is_ruling && !original.contains(&key(clause.text))
    });
    findings.extend(added.map(|clause| Finding::Added {
        clause: clause.text.to_owned(),
    }));
    findings
}

/// Control, bidirectional, zero-width and tag characters; line breaks and tabs are seen.
pub(crate) fn is_hidden(character: char) -> bool {
    let is_seen = matches!(character, '\n' | '\t' | '\r');
    (character.is_control() && !is_seen)
        || matches!(
            character,
            '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{feff}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// All summaries of a file, by hash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summaries {
    by_hash: HashMap<String, Summary>,
    /// Lines that nobody has reviewed.
    pub n_unreviewed: usize,
    /// Reviewed lines that lose or add a constraint all the same.
    pub n_refused: usize,
}

impl Summaries {
    /// Reads a file. Passed over are empty lines, what nobody has reviewed, and what the linter refuses
    /// where the original stands beside it.
    ///
    /// # Errors
    ///
    /// On the first line that is not a [`Summary`] of a text of its own.
    pub fn parse(text: &str) -> Result<Self, SummaryError> {
        let mut by_hash: HashMap<String, Summary> = HashMap::new();
        let (mut n_unreviewed, mut n_refused) = (0, 0);
        for (_, summary) in Self::numbered(text)? {
            let original = summary.original.as_deref();
            if summary.reviewed_by.trim().is_empty() {
                n_unreviewed += 1;
            } else if original.is_some_and(|text| !lint(text, &summary.replacement).is_empty()) {
                n_refused += 1;
            } else {
                by_hash.insert(summary.hash.clone(), summary);
            }
        }
        Ok(Self {
            by_hash,
            n_unreviewed,
            n_refused,
        })
    }

    /// Reads the lines of a file, reviewed or not, in their order.
    ///
    /// # Errors
    ///
    /// On the first line that is not a [`Summary`] of a text of its own.
    pub fn lines(text: &str) -> Result<Vec<Summary>, SummaryError> {
        let numbered = Self::numbered(text)?.into_iter();
        Ok(numbered.map(|(_, summary)| summary).collect())
    }

    fn numbered(text: &str) -> Result<Vec<(usize, Summary)>, SummaryError> {
        let mut all: Vec<(usize, Summary)> = Vec::new();
        let mut lines: HashMap<String, usize> = HashMap::new();
        for (n, raw) in text.lines().enumerate() {
            let line = n + 1;
            if raw.trim().is_empty() {
                continue;
            }
            if all.len() >= MAX_SUMMARIES {
                return Err(SummaryError::TooLarge { line });
            }
            let summary: Summary =
                serde_json::from_str(raw).map_err(|error| SummaryError::Malformed {
                    line,
                    reason: error.to_string(),
                })?;
            let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            if summary.hash.len() != 64 || !summary.hash.bytes().all(is_digit) {
                return Err(SummaryError::NoHash { line });
            }
            let other = summary.original.as_deref().map(text_hash);
            if other.is_some_and(|other| other != summary.hash) {
                return Err(SummaryError::Malformed {
                    line,
                    reason: "`original` has another hash".to_owned(),
                });
            }
            if summary.replacement.len() > MAX_BYTES {
                return Err(SummaryError::TooLarge { line });
            }
            if let Some(first) = lines.insert(summary.hash.clone(), line) {
                return Err(SummaryError::Twice { line, first });
            }
            all.push((line, summary));
        }
        Ok(all)
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.by_hash.len()
    }

    /// Says whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_hash.is_empty()
    }

    /// Returns what tells these from others: a hash of every text and what stands for it; empty for none.
    pub fn fingerprint(&self) -> Vec<u8> {
        if self.by_hash.is_empty() {
            return Vec::new();
        }
        let mut all: Vec<&Summary> = self.by_hash.values().collect();
        all.sort_unstable_by_key(|summary| &summary.hash);
        let mut hasher = blake3::Hasher::new();
        for summary in all {
            for text in [&summary.hash, &summary.replacement] {
                hasher.update(&(text.len() as u64).to_le_bytes());
                hasher.update(text.as_bytes());
            }
        }
        hasher.finalize().as_bytes().to_vec()
    }

    /// Returns the summary of a text, linted or not.
    pub fn of(&self, original: &str) -> Option<&Summary> {
        if self.by_hash.is_empty() {
            return None;
        }
        self.by_hash.get(&text_hash(original))
    }
}

impl Replacements for Summaries {
    fn replacement(&self, original: &str) -> Option<&str> {
        let summary = self.of(original)?;
        lint(original, &summary.replacement)
            .is_empty()
            .then_some(summary.replacement.as_str())
    }
}

#[cfg(test)]
mod tests {
    use crate::surface::ladder::LadderOptions;
    use crate::surface::ladder::Rung;
    use crate::surface::ladder::render;
    use crate::surface::summaries::Finding;
    use crate::surface::summaries::Summaries;
    use crate::surface::summaries::Summary;
    use crate::surface::summaries::SummaryError;
    use crate::surface::summaries::lint;
    use crate::surface::summaries::text_hash;

    const ORIGINAL: &str =
        "This wonderful tool reads the whole of a log file. Paths must be absolute.";

    fn line(original: &str, replacement: &str, reviewed_by: &str) -> String {
        let summary = Summary {
            hash: text_hash(original),
            replacement: replacement.to_owned(),
            model: "a-model".to_owned(),
            reviewed_by: reviewed_by.to_owned(),
            original: None,
        };
        serde_json::to_string(&summary).expect("a summary is JSON")
    }

    #[test]
    fn a_replacement_has_to_keep_every_constraint_and_add_none() {
        assert_eq!(lint(ORIGINAL, "Reads a log. Paths must be absolute."), []);
        let lost = "Paths must be absolute.".to_owned();
        assert_eq!(
            lint(ORIGINAL, "Reads a log."),
            [Finding::Lost {
                clause: lost.clone()
            }]
        );
        // Turned round is lost and added.
        let added = "Paths must not be absolute.".to_owned();
        assert_eq!(
            lint(ORIGINAL, "Reads a log. Paths must not be absolute."),
            [
                Finding::Lost {
                    clause: lost.clone()
                },
                Finding::Added { clause: added }
            ]
        );
        let clause = "Always call it first.".to_owned();
        assert_eq!(
            lint(ORIGINAL, "Always call it first. Paths must be absolute."),
            [Finding::Added { clause }]
        );
        assert_eq!(
            lint(ORIGINAL, "Reads\u{200b}. Paths must be absolute."),
            [Finding::HiddenCharacter {
                character: '\u{200b}'
            }]
        );
        assert_eq!(lint(ORIGINAL, ORIGINAL), [Finding::NotShorter]);
        assert_eq!(lint("Reads it all.", " "), [Finding::Empty]);
        for finding in lint(ORIGINAL, "") {
            assert!(!finding.to_string().is_empty());
        }
    }

    #[test]
    fn short_uses_what_passes() {
        let tool = format!(
            r#"{{"name":"t","description":"{ORIGINAL}","inputSchema":{{"type":"object"}}}}"#
        );
        let shown = |file: &str| {
            let summaries = Summaries::parse(file).expect("a file");
            let options = LadderOptions {
                replacements: Some(&summaries),
                ..LadderOptions::default()
            };
            let rendering = render(&tool, Rung::Short, &options);
            let value: serde_json::Value =
                serde_json::from_str(&rendering.text.expect("a text")).expect("JSON");
            value["description"].as_str().expect("a text").to_owned()
        };
        let good = "Reads a log. Paths must be absolute.";
        assert_eq!(shown(&line(ORIGINAL, good, "r")), good);
        // Not for this text, or not good enough.
        assert_eq!(shown(&line("Other", good, "r")), ORIGINAL);
        assert_eq!(shown(&line(ORIGINAL, "Reads a log.", "r")), ORIGINAL);
    }

    #[test]
    fn a_file_is_refused_with_its_line() {
        let good = line(ORIGINAL, "x", "r");
        assert_eq!(
            Summaries::parse(&format!("\n{good}\n\n")).map(|all| all.len()),
            Ok(1)
        );
        assert!(Summaries::parse("").is_ok_and(|all| all.is_empty()));
        let refused = |text: String| Summaries::parse(&text).expect_err("refused");
        assert_eq!(
            refused(format!("{good}\n{good}")),
            SummaryError::Twice { line: 2, first: 1 }
        );
        let unread = Summaries::parse(&line(ORIGINAL, "Reads a log. Paths must be absolute.", " "));
        assert!(matches!(&unread, Ok(none) if none.is_empty() && none.n_unreviewed == 1));
        assert_eq!(
            refused(line("a", &"b".repeat(20_000), "r")),
            SummaryError::TooLarge { line: 1 }
        );
        assert_eq!(
            refused(good.replace(&text_hash(ORIGINAL), "XYZ")),
            SummaryError::NoHash { line: 1 }
        );
        for text in [
            "[]",
            "{",
            r#"{"hash":"a"}"#,
            &good.replace('}', r#","more":1}"#),
        ] {
            let error = refused(text.to_owned());
            assert!(
                matches!(error, SummaryError::Malformed { line: 1, .. }),
                "{text}"
            );
            assert!(error.to_string().contains("hint:"));
        }
    }
}
