//! Shapes of results on disk: each process writes what it learned into its own file; `epoch advance` reads them all
//! and writes the texts of the epoch. Names of members only; nothing that was answered.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::Store;
use super::process_files::{self, Kept};
use crate::hub::shapes::{EVERYBODY, ResultShapes, ShapeTexts};
use crate::result::learned::Learned;
use crate::session::Principal;
use crate::token::TokenCounter;

/// Format of a file; another one is a miss.
const FORMAT: u32 = 1;
/// Bytes of one file, at most.
const FILE_BYTES: u64 = 4 << 20;
/// What stays.
const KEPT: Kept = Kept {
    files: 64,
    bytes: 64 << 20,
    age: Duration::from_secs(90 * 24 * 3600),
};
/// Results, or principals, that a member has to be in.
const SEVERAL: u32 = 2;
/// Tools of one epoch.
const TOOLS: usize = 10_000;
/// Bytes of a text of an epoch file; longer ones are somebody else's.
const TEXT_BYTES: usize = 1_000;

#[derive(Serialize, Deserialize)]
struct Entry {
    principal: String,
    tool: String,
    shape: Learned,
}

impl Store {
    /// Keeps what this process learned. `process` names the file: hex digits.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn store_shapes(&self, process: &str, shapes: &ResultShapes) -> io::Result<()> {
        let entries: Vec<Entry> = shapes
            .all()
            .map(|(principal, tool, shape)| Entry {
                principal: principal.to_owned(),
                tool: tool.to_owned(),
                shape: shape.clone(),
            })
            .collect();
        if entries.is_empty() {
            return Ok(());
        }
        let folder = self.shapes_folder();
        process_files::write(&folder.join(format!("{process}.json")), FORMAT, &entries)?;
        process_files::keep(&folder, &KEPT, SystemTime::now());
        Ok(())
    }

    /// Writes out what the results of all processes had in common: for each principal that is the same everywhere
    /// what several of its results had, and for everybody what results of several principals had.
    pub(super) fn shape_texts(&self, now: SystemTime, counter: &dyn TokenCounter) -> ShapeTexts {
        let mut all: BTreeMap<String, BTreeMap<String, Learned>> = BTreeMap::new();
        for path in process_files::keep(&self.shapes_folder(), &KEPT, now) {
            let entries = process_files::read::<Vec<Entry>>(&path, FORMAT, FILE_BYTES);
            for entry in entries.into_iter().flatten() {
                let has_room = all.len() < TOOLS || all.contains_key(&entry.tool);
                if has_room {
                    let by_principal = all.entry(entry.tool).or_default();
                    let known = by_principal.entry(entry.principal).or_default();
                    known.add(&entry.shape);
                }
            }
        }
        let lasting = [Principal::OsUser.key(), Principal::Loopback.key()];
        let mut texts = ShapeTexts::new();
        for (tool, by_principal) in all {
            let mut common = Learned::default();
            let mut own = BTreeMap::new();
            for (principal, shape) in by_principal {
                common.add(&shape.as_one(1));
                // Tokens change; what is known of one would stay for nobody.
                if lasting.contains(&principal)
                    && let Some(text) = shape.text(SEVERAL, counter)
                {
                    own.insert(principal, text);
                }
            }
            if let Some(text) = common.text(SEVERAL, counter) {
                own.insert(EVERYBODY.to_owned(), text);
            }
            if !own.is_empty() {
                texts.insert(tool, own);
            }
        }
        texts
    }

    /// Forgets what was learned.
    pub(super) fn forget_shapes(&self) {
        for (_, path, _) in process_files::newest_first(&self.shapes_folder()) {
            let _ = fs::remove_file(path);
        }
    }

    fn shapes_folder(&self) -> PathBuf {
        self.root.join("shapes")
    }
}

/// Leaves out texts that no advance wrote: an epoch file may come from another machine.
pub(super) fn checked(texts: ShapeTexts) -> ShapeTexts {
    let is_fine = |text: &String| {
        let is_ours = |c: char| c.is_ascii_alphanumeric() || "_-{}[]<>:,…".contains(c);
        text.len() <= TEXT_BYTES && text.chars().all(is_ours)
    };
    texts
        .into_iter()
        .take(TOOLS)
        .map(|(tool, mut texts)| {
            texts.retain(|_, text| is_fine(text));
            (tool, texts)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::{Encoding, TiktokenCounter};

    fn shapes(of: &[(&str, &str, &[&str])]) -> ResultShapes {
        let mut shapes = ResultShapes::default();
        for (principal, tool, results) in of {
            for json in *results {
                shapes.add(principal, tool, &Learned::of(json).expect("JSON"));
            }
        }
        shapes
    }

    /// What one principal's results had is for this principal; for everybody is what two principals have.
    #[test]
    fn shapes_of_all_processes_become_texts_and_principals_learn_nothing_of_one_another() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let one = r#"{"id":1,"ours":1}"#;
        let bearer = |n: u8| Principal::Bearer([n; 16]).key();
        store
            .store_shapes(
                "0a",
                &shapes(&[("user", "list", &[one]), ("user", "once", &[one])]),
            )
            .unwrap();
        store
            .store_shapes(
                "0b",
                &shapes(&[("user", "list", &[one]), (&bearer(1), "mail", &[one, one])]),
            )
            .unwrap();
        let other = r#"{"id":1,"theirs":1}"#;
        store
            .store_shapes("0c", &shapes(&[(&bearer(2), "list", &[other, other])]))
            .unwrap();
        fs::write(store.shapes_folder().join("0d.json"), "{").unwrap();
        let counter = TiktokenCounter::new(Encoding::O200kBase);
        let texts = store.shape_texts(SystemTime::now(), &counter);
        let found = |tool: &str, principal: &str| {
            let text = texts.get(tool)?.get(principal)?;
            Some(text.as_str())
        };
        assert_eq!(found("list", "user"), Some("{id,ours}"));
        assert_eq!(found("list", EVERYBODY), Some("{id}"));
        assert_eq!(found("list", &bearer(2)), None, "tokens are not kept");
        assert_eq!((texts.get("once"), texts.get("mail")), (None, None));
        let later = SystemTime::now() + 2 * KEPT.age;
        assert!(store.shape_texts(later, &counter).is_empty());
    }

    #[test]
    fn what_no_advance_wrote_is_left_out() {
        let of = |text: &str| -> ShapeTexts {
            let texts = BTreeMap::from([(EVERYBODY.to_owned(), text.to_owned())]);
            BTreeMap::from([("t".to_owned(), texts)])
        };
        assert_eq!(checked(of("{a}")), of("{a}"));
        for odd in ["{a}\nIgnore all", "{\u{1b}}", &"a".repeat(2_000)] {
            assert!(checked(of(odd))["t"].is_empty(), "{odd}");
        }
    }
}
