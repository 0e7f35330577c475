//! Snapshots on disk: what each server said and listed last time.
//!
//! Raw JSON is kept as strings, so that the bytes that were shown come back as the same bytes.

use std::fs;
use std::io::Read;
use std::path::PathBuf;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::hub::action::Snapshot;
use crate::upstream::List;

use super::Store;

/// Format of a file; another one is a miss.
const FORMAT: u32 = 1;
/// Bytes of one file, at most.
const FILE_BYTES: u64 = 128 << 20;
/// Snapshots kept; the ones written longest ago go first.
const KEPT: usize = 256;

#[derive(Serialize, Deserialize)]
struct File {
    format: u32,
    key: String,
    is_modern: bool,
    version: String,
    handshake: String,
    lists: [Option<FileList>; 4],
    /// Hash of everything above, so that a damaged file is a miss.
    check: String,
}

#[derive(Serialize, Deserialize)]
struct FileList {
    template: String,
    items_span: (usize, usize),
    items: Vec<String>,
    is_truncated: bool,
}

impl Store {
    fn snapshot_path(&self, key: &str) -> Option<PathBuf> {
        // Keys are hex digests of ours; nothing a server says enters a path.
        (key.len() == 32 && key.bytes().all(|b| b.is_ascii_hexdigit()))
            .then(|| self.root.join("snapshots").join(format!("{key}.json")))
    }

    /// Tells whether any snapshot was kept, of whatever server.
    pub fn has_snapshots(&self) -> bool {
        let folder = fs::read_dir(self.root.join("snapshots"));
        folder.is_ok_and(|mut files| files.next().is_some())
    }

    /// Reads a snapshot; a missing, damaged or foreign one is none.
    pub fn load_snapshot(&self, key: &str) -> Option<Snapshot> {
        let path = self.snapshot_path(key)?;
        let mut text = String::new();
        fs::File::open(path)
            .ok()?
            .take(FILE_BYTES)
            .read_to_string(&mut text)
            .ok()?;
        let file: File = serde_json::from_str(&text).ok()?;
        if file.format != FORMAT || file.key != key || file.check != check(&file) {
            return None;
        }
        let lists = file
            .lists
            .map(|list| list.and_then(to_list).map(std::sync::Arc::new));
        Some(Snapshot {
            is_modern: file.is_modern,
            version: file.version,
            handshake: Bytes::from(file.handshake),
            lists,
        })
    }

    /// Keeps a snapshot, unless the file has it already.
    ///
    /// # Errors
    /// When the file cannot be written; the old one stays.
    pub fn store_snapshot(&self, key: &str, snapshot: &Snapshot) -> std::io::Result<()> {
        let Some(path) = self.snapshot_path(key) else {
            return Ok(());
        };
        let mut file = File {
            format: FORMAT,
            key: key.to_owned(),
            is_modern: snapshot.is_modern,
            version: snapshot.version.clone(),
            handshake: text(&snapshot.handshake),
            lists: snapshot.lists.each_ref().map(|list| {
                list.as_ref().map(|list| FileList {
                    template: text(&list.template),
                    items_span: list.items_span,
                    items: list.items.iter().map(text).collect(),
                    is_truncated: list.is_truncated,
                })
            }),
            check: String::new(),
        };
        file.check = check(&file);
        let bytes = serde_json::to_vec(&file)?;
        if fs::read(&path).is_ok_and(|old| old == bytes) {
            return Ok(());
        }
        super::replace(&path, &bytes)?;
        super::drop_oldest(&self.root.join("snapshots"), KEPT);
        Ok(())
    }
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn to_list(file: FileList) -> Option<List> {
    let (start, end) = file.items_span;
    if start > end || end > file.template.len() {
        return None;
    }
    let mut list = List {
        items: file.items.into_iter().map(Bytes::from).collect(),
        template: Bytes::from(file.template),
        items_span: file.items_span,
        is_truncated: file.is_truncated,
        pages: 1,
        fingerprint: [0; 32],
        ..List::default()
    };
    list.fingerprint = list.digest();
    Some(list)
}

fn check(file: &File) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut add = |part: &str| {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    };
    add(&file.key);
    add(&file.version);
    add(if file.is_modern { "modern" } else { "legacy" });
    add(&file.handshake);
    for list in &file.lists {
        match list {
            None => add("none"),
            Some(list) => {
                add(&list.template);
                add(&format!("{:?} {}", list.items_span, list.is_truncated));
                for item in &list.items {
                    add(item);
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

    fn snapshot() -> Snapshot {
        let template = Bytes::from_static(br#"{"tools":[{"name":"a\u00e9"}],"x":1}"#);
        let mut list = List {
            items: vec![Bytes::from_static(br#"{"name":"a\u00e9"}"#)],
            items_span: (9, 29),
            template,
            pages: 1,
            ..List::default()
        };
        list.fingerprint = list.digest();
        Snapshot {
            is_modern: false,
            version: "2025-11-25".into(),
            handshake: Bytes::from_static(b"{\"capabilities\":{}}"),
            lists: [Some(list.into()), None, None, None],
        }
    }

    #[test]
    fn a_snapshot_comes_back_byte_for_byte_and_damage_is_a_miss() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert!(store.load_snapshot(KEY).is_none());
        store.store_snapshot(KEY, &snapshot()).unwrap();
        let loaded = store.load_snapshot(KEY).unwrap();
        let (a, b) = (loaded.lists[0].as_ref().unwrap(), snapshot());
        let b = b.lists[0].as_ref().unwrap();
        assert_eq!((&a.items, &a.template), (&b.items, &b.template));
        assert_eq!(a.fingerprint, b.fingerprint);
        let path = store.snapshot_path(KEY).unwrap();
        let good = fs::read_to_string(&path).unwrap();
        for broken in [
            good.replace("2025-11-25", "2025-11-26"),
            good.replace("\"format\":1", "\"format\":2"),
            good[..good.len() / 2].to_owned(),
            String::new(),
        ] {
            fs::write(&path, broken).unwrap();
            assert!(store.load_snapshot(KEY).is_none());
        }
        assert!(store.snapshot_path("../../etc/passwd").is_none());
    }
}
