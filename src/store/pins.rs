//! Pins in the state folder: `pins/<key>.json`, one file for each server, principal and era. Many processes
//! share them: what one observes is worked into what is kept, under a lock.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::hub::action::PinnedList;
use crate::policy::pins::{Mode, Pin, Pins, Version, Volatile};

use super::Store;

/// Format of a file; another one is not read.
const FORMAT: u32 = 1;
/// Bytes of one file, at most.
const FILE_BYTES: u64 = 128 << 20;
/// Servers whose pins are kept; the ones written longest ago go first.
const KEPT: usize = 1024;

/// Why pins cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PinsError {
    /// The file cannot be read or written.
    #[error("cannot use the pins in `{path}`: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is not what was written.
    #[error(
        "the pins in `{path}` are damaged or of another version\nhint: if nobody else changed the file, remove it; its server is then pinned anew"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
    },
}

/// The pins of one server, and whose they are.
#[derive(Debug, Clone)]
pub struct KeptPins {
    /// Names the file.
    pub key: String,
    /// The configured name of the server.
    pub server: String,
    /// Principal and era.
    pub whose: String,
    /// What is pinned.
    pub pins: Pins,
}

#[derive(Serialize, Deserialize)]
struct File {
    format: u32,
    key: String,
    server: String,
    whose: String,
    list: Option<[u8; 32]>,
    tools: BTreeMap<String, FilePin>,
    /// Hash of everything above, so that a damaged file is noticed.
    check: String,
}

#[derive(Serialize, Deserialize)]
struct FilePin {
    trusted: Option<FileVersion>,
    seen: Option<FileVersion>,
}

#[derive(Serialize, Deserialize)]
struct FileVersion {
    hash: String,
    definition: String,
}

impl Store {
    fn pins_folder(&self) -> PathBuf {
        self.root.join("pins")
    }

    /// Reads the pins of a key; none where there are none.
    ///
    /// # Errors
    /// When there is a file that cannot be read or is not what was written.
    pub fn load_pins(&self, key: &str) -> Result<Option<Pins>, PinsError> {
        // Keys are hex digests of ours; nothing a server says enters a path.
        if key.len() != 32 || !key.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(None);
        }
        let path = self.pins_folder().join(format!("{key}.json"));
        Ok(read(&path)?.map(|kept| kept.pins))
    }

    /// Compares what a server said with what is kept, and keeps both.
    ///
    /// # Errors
    /// When the file cannot be read or written; it stays as it is.
    pub fn observe_pins(
        &self,
        seen: &PinnedList,
        volatile: &Volatile,
        mode: Mode,
    ) -> Result<(), PinsError> {
        self.change(&seen.key, |kept| {
            let mut kept = kept.unwrap_or_else(|| KeptPins {
                key: seen.key.clone(),
                server: String::new(),
                whose: String::new(),
                pins: Pins::default(),
            });
            kept.server.clone_from(&seen.server);
            kept.whose.clone_from(&seen.whose);
            kept.pins.observe(&seen.tools, seen.list, volatile, mode);
            Some(kept)
        })
    }

    /// Trusts what a server said last of one tool or all. Returns the names.
    ///
    /// # Errors
    /// When the file cannot be read or written; it stays as it is.
    pub fn approve_pins(&self, key: &str, tool: Option<&str>) -> Result<Vec<String>, PinsError> {
        let mut approved = Vec::new();
        self.change(key, |kept| {
            let mut kept = kept?;
            approved = kept.pins.approve(tool);
            (!approved.is_empty()).then_some(kept)
        })?;
        Ok(approved)
    }

    /// Reads all pins, by server.
    ///
    /// # Errors
    /// When the folder cannot be read. A file that cannot is an error in its place.
    pub fn all_pins(&self) -> io::Result<Vec<Result<KeptPins, PinsError>>> {
        let entries = match fs::read_dir(self.pins_folder()) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut all: Vec<_> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "json")
            })
            .filter_map(|path| read(&path).transpose())
            .collect();
        all.sort_by_key(|kept| match kept {
            Ok(kept) => (kept.server.clone(), kept.whose.clone(), kept.key.clone()),
            Err(error) => (String::new(), String::new(), error.to_string()),
        });
        Ok(all)
    }

    /// Changes one file while no other process does.
    fn change(
        &self,
        key: &str,
        change: impl FnOnce(Option<KeptPins>) -> Option<KeptPins>,
    ) -> Result<(), PinsError> {
        let folder = self.pins_folder();
        let path = folder.join(format!("{key}.json"));
        let io = |source| PinsError::Io {
            path: path.clone(),
            source,
        };
        fs::create_dir_all(&folder).map_err(io)?;
        let lock = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join("lock"))
            .map_err(io)?;
        lock.lock().map_err(io)?;
        let Some(kept) = change(read(&path)?) else {
            return Ok(());
        };
        let bytes = serde_json::to_vec(&to_file(kept)).map_err(|error| io(error.into()))?;
        super::replace(&path, &bytes).map_err(io)?;
        super::drop_oldest(&folder, KEPT);
        Ok(())
    }
}

fn read(path: &Path) -> Result<Option<KeptPins>, PinsError> {
    let damaged = || PinsError::Damaged {
        path: path.to_owned(),
    };
    let mut text = String::new();
    let read =
        fs::File::open(path).and_then(|file| file.take(FILE_BYTES).read_to_string(&mut text));
    match read {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(damaged()),
        Err(source) => {
            return Err(PinsError::Io {
                path: path.to_owned(),
                source,
            });
        }
    }
    let file: File = serde_json::from_str(&text).map_err(|_| damaged())?;
    let is_named = path
        .file_stem()
        .is_some_and(|stem| stem == file.key.as_str());
    if file.format != FORMAT || !is_named || file.check != check(&file) {
        return Err(damaged());
    }
    let version = |version: FileVersion| Version {
        hash: version.hash,
        definition: Bytes::from(version.definition),
    };
    let tools = file.tools.into_iter().map(|(name, pin)| {
        let pin = Pin {
            trusted: pin.trusted.map(version),
            seen: pin.seen.map(version),
        };
        (name, pin)
    });
    Ok(Some(KeptPins {
        pins: Pins {
            tools: tools.collect(),
            list: file.list,
            is_known: true,
        },
        key: file.key,
        server: file.server,
        whose: file.whose,
    }))
}

fn to_file(kept: KeptPins) -> File {
    let version = |version: Version| FileVersion {
        hash: version.hash,
        definition: String::from_utf8_lossy(&version.definition).into_owned(),
    };
    let tools = kept.pins.tools.into_iter().map(|(name, pin)| {
        let pin = FilePin {
            trusted: pin.trusted.map(version),
            seen: pin.seen.map(version),
        };
        (name, pin)
    });
    let mut file = File {
        format: FORMAT,
        key: kept.key,
        server: kept.server,
        whose: kept.whose,
        list: kept.pins.list,
        tools: tools.collect(),
        check: String::new(),
    };
    file.check = check(&file);
    file
}

fn check(file: &File) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut add = |part: &str| {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    };
    for part in [&file.key, &file.server, &file.whose] {
        add(part);
    }
    add(&format!("{:?}", file.list));
    for (name, pin) in &file.tools {
        add(name);
        for version in [&pin.trusted, &pin.seen] {
            match version {
                None => add("none"),
                Some(version) => {
                    add(&version.hash);
                    add(&version.definition);
                }
            }
        }
    }
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    fn seen(description: &str) -> PinnedList {
        let tool = format!(r#"{{"name":"a","description":"{description}"}}"#);
        PinnedList {
            key: KEY.to_owned(),
            server: "s".to_owned(),
            whose: "user, legacy".to_owned(),
            list: *blake3::hash(tool.as_bytes()).as_bytes(),
            tools: vec![tool.into()],
        }
    }

    #[test]
    fn pins_stay_are_approved_and_damage_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let none = Volatile::default();
        assert!(store.load_pins(KEY).unwrap().is_none());
        assert!(store.all_pins().unwrap().is_empty());
        store
            .observe_pins(&seen("one"), &none, Mode::Report)
            .unwrap();
        store
            .observe_pins(&seen("two"), &none, Mode::Report)
            .unwrap();
        let pin = store.load_pins(KEY).unwrap().unwrap().tools["a"].clone();
        let text = |version: Option<Version>| {
            String::from_utf8_lossy(&version.unwrap().definition).into_owned()
        };
        assert!(text(pin.trusted).contains("one") && text(pin.seen).contains("two"));
        assert_eq!(
            store.approve_pins(KEY, Some("b")).unwrap(),
            Vec::<String>::new()
        );
        assert_eq!(store.approve_pins(KEY, None).unwrap(), ["a"]);
        let all = store.all_pins().unwrap();
        let kept = all[0].as_ref().unwrap();
        assert_eq!((kept.server.as_str(), kept.key.as_str()), ("s", KEY));
        assert!(kept.pins.tools["a"].seen.is_none());
        assert!(store.load_pins("../../x").unwrap().is_none());
        let path = store.pins_folder().join(format!("{KEY}.json"));
        let good = fs::read_to_string(&path).unwrap();
        for broken in [
            good.replace("two", "six"),
            good.replace("\"format\":1", "\"format\":2"),
            good[..good.len() / 2].to_owned(),
            String::new(),
        ] {
            fs::write(&path, broken).unwrap();
            assert!(matches!(
                store.load_pins(KEY),
                Err(PinsError::Damaged { .. })
            ));
            let kept = fs::read(&path).unwrap();
            assert!(
                store
                    .observe_pins(&seen("two"), &none, Mode::Report)
                    .is_err()
            );
            assert_eq!(
                fs::read(&path).unwrap(),
                kept,
                "it is not pinned anew by itself"
            );
        }
    }
}
