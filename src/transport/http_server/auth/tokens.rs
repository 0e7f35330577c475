//! Tokens of a file, with the names of who they belong to.
//!
//! Kept as keyed hashes with a key of this process, and compared in constant time and always with all:
//! how long an answer takes says nothing of what is in the file.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// Longest file in bytes.
const MAX_BYTES: u64 = 1 << 20;
/// Most tokens of a file.
const MAX_TOKENS: usize = 1000;
/// Shortest token in bytes: fewer can be guessed.
const MIN_TOKEN: usize = 16;
/// Longest name in bytes.
const MAX_NAME: usize = 64;

/// Why a file of tokens cannot be used. Never holds a token.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// It cannot be read.
    #[error("cannot read the tokens of `{path}`: {source}\nhint: is the path right, and may this user read it?", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It does not hold what it should.
    #[error("the tokens of `{path}` cannot be used: {problem}\nhint: one `NAME: TOKEN` a line; tokens have 16 bytes or more of letters, digits and `-._~+/=`", path = path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong, and on which line.
        problem: String,
    },
}

/// The tokens in use.
pub(super) struct Tokens {
    path: PathBuf,
    secret: [u8; 32],
    table: RwLock<Table>,
}

struct Table {
    entries: Vec<(blake3::Hash, Arc<str>)>,
    contents: blake3::Hash,
    /// What could not be used, so that it is told once.
    refused: Option<blake3::Hash>,
    is_unreadable: bool,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Tokens {
    /// Reads the file.
    ///
    /// # Errors
    /// [`TokensError`] when it cannot be used.
    pub(super) fn load(path: &Path) -> Result<Self, TokensError> {
        let secret = rand::random();
        let text = read(path)?;
        let entries = parse(&text, &secret).map_err(|problem| content(path, problem))?;
        Ok(Self {
            path: path.to_owned(),
            secret,
            table: RwLock::new(Table {
                entries,
                contents: blake3::keyed_hash(&secret, text.as_bytes()),
                refused: None,
                is_unreadable: false,
            }),
        })
    }

    /// Returns whose token this is.
    pub(super) fn name_of(&self, token: &str) -> Option<Arc<str>> {
        let presented = blake3::keyed_hash(&self.secret, token.as_bytes());
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let mut found = None;
        for (hash, name) in &table.entries {
            // Comparing two `blake3::Hash`es takes the same time wherever they differ.
            if *hash == presented {
                found = Some(Arc::clone(name));
            }
        }
        found
    }

    /// Looks at the file again and says in the log what came of it. Blocks.
    pub(super) fn reload(&self) {
        let text = match read(&self.path) {
            Ok(text) => text,
            Err(error) => {
                let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
                if !std::mem::replace(&mut table.is_unreadable, true) {
                    let told = error.to_string().replace("\nhint:", "; hint:");
                    tracing::error!("the tokens stay as they were: {told}");
                }
                return;
            }
        };
        let contents = blake3::keyed_hash(&self.secret, text.as_bytes());
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        table.is_unreadable = false;
        if table.contents == contents {
            table.refused = None;
            return;
        }
        if table.refused == Some(contents) {
            return;
        }
        match parse(&text, &self.secret) {
            Ok(entries) => {
                tracing::info!("{} tokens were read again", entries.len());
                table.entries = entries;
                table.contents = contents;
                table.refused = None;
            }
            Err(problem) => {
                table.refused = Some(contents);
                let told = content(&self.path, problem).to_string();
                let told = told.replace("\nhint:", "; hint:");
                tracing::error!("the tokens stay as they were: {told}");
            }
        }
    }
}

fn content(path: &Path, problem: String) -> TokensError {
    TokensError::Content {
        path: path.to_owned(),
        problem,
    }
}

fn read(path: &Path) -> Result<String, TokensError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes));
    if let Err(source) = read {
        return Err(TokensError::Read {
            path: path.to_owned(),
            source,
        });
    }
    if bytes.len() as u64 > MAX_BYTES {
        return Err(content(path, "it is longer than 1 MiB".to_owned()));
    }
    String::from_utf8(bytes).map_err(|_| content(path, "it is no text".to_owned()))
}

/// Reads the lines. One name may have several tokens, so that an old one stays good while it is replaced.
fn parse(text: &str, secret: &[u8; 32]) -> Result<Vec<(blake3::Hash, Arc<str>)>, String> {
    let mut entries: Vec<(blake3::Hash, Arc<str>)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let at = index + 1;
        let (name, token) = line
            .split_once(':')
            .ok_or_else(|| format!("line {at} has no `:` between name and token"))?;
        let (name, token) = (name.trim(), token.trim());
        let is_name = !name.is_empty()
            && name.len() <= MAX_NAME
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_.@/-".contains(&byte));
        if !is_name {
            return Err(format!(
                "the name on line {at} needs 1 to {MAX_NAME} letters, digits and `_.@/-`"
            ));
        }
        // RFC 6750 §2.1, b64token.
        let is_token = token.len() >= MIN_TOKEN
            && token
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte));
        if !is_token {
            return Err(format!(
                "the token on line {at} is too short or has other characters"
            ));
        }
        let hash = blake3::keyed_hash(secret, token.as_bytes());
        if let Some((_, other)) = entries.iter().find(|(known, _)| *known == hash) {
            return Err(format!(
                "the token on line {at} stands before, for `{other}`"
            ));
        }
        if entries.len() == MAX_TOKENS {
            return Err(format!("more than {MAX_TOKENS} tokens"));
        }
        entries.push((hash, name.into()));
    }
    if entries.is_empty() {
        return Err("it holds no token".to_owned());
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    #[test]
    fn names_may_have_several_tokens_and_tokens_one_name() {
        let read = |text: &str| parse(text, &KEY).map(|entries| entries.len());
        assert_eq!(
            read("# people\n\nann: 0123456789abcdef\nann: fedcba9876543210\n"),
            Ok(2)
        );
        for (text, word) in [
            ("", "no token"),
            ("ann 0123456789abcdef", "no `:`"),
            ("ann: short", "line 1"),
            ("ann: 0123456789 abcdef", "line 1"),
            (": 0123456789abcdef", "name"),
            ("a b: 0123456789abcdef", "name"),
            ("ann: 0123456789abcdef\nbob: 0123456789abcdef", "for `ann`"),
        ] {
            let problem = read(text).expect_err(text);
            assert!(problem.contains(word), "{problem}");
            assert!(!problem.contains("0123456789"), "{problem}");
        }
    }

    #[test]
    fn a_broken_file_changes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tokens");
        std::fs::write(&path, "ann: 0123456789abcdef").expect("a file");
        let tokens = Tokens::load(&path).expect("it is right");
        assert_eq!(tokens.name_of("0123456789abcdef").as_deref(), Some("ann"));
        std::fs::write(&path, "ann 0123456789abcdef").expect("a file");
        tokens.reload();
        assert_eq!(tokens.name_of("0123456789abcdef").as_deref(), Some("ann"));
        std::fs::write(&path, "bob: fedcba9876543210").expect("a file");
        tokens.reload();
        assert_eq!(tokens.name_of("0123456789abcdef"), None);
        assert_eq!(tokens.name_of("fedcba9876543210").as_deref(), Some("bob"));
        std::fs::remove_file(&path).expect("it was there");
        tokens.reload();
        assert_eq!(tokens.name_of("fedcba9876543210").as_deref(), Some("bob"));
    }
}
