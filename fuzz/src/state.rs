//! Files of the state folder: any bytes there are a miss or what was written, never an end of the process.
//! Checksums are made to fit, so that what stands behind them is reached.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use serde_json::value::RawValue;

use mcp_whittle::hub::action::Snapshot;
use mcp_whittle::policy::pins::Volatile;
use mcp_whittle::store::Store;
use mcp_whittle::token::{Encoding, TiktokenCounter};
use mcp_whittle::upstream::List;

/// A key of ours: hex digits.
const KEY: &str = "00000000000000000000000000000000";
const SURFACE: [u8; 32] = [0; 32];

/// The property for one input; panics where it does not hold.
pub fn run(data: &[u8]) {
    check(data, through_a_file);
}

/// The property for whatever keeps a snapshot and gives it back.
pub fn check(data: &[u8], keep: impl Fn(&Snapshot) -> Option<Snapshot>) {
    let Some((&choice, content)) = data.split_first() else {
        return;
    };
    any_bytes(choice, content);
    if choice & 7 != 0 {
        return;
    }
    // What a server said comes back as the same bytes.
    let Ok(text) = std::str::from_utf8(content) else {
        return;
    };
    let lines: Vec<&str> = text.split('\n').collect();
    let items: Vec<Bytes> = lines
        .iter()
        .map(|line| Bytes::from(line.to_string()))
        .collect();
    let template = Bytes::from(lines[0].to_owned());
    let mut list = List {
        items_span: (template.len() / 3, template.len() / 2),
        items,
        template,
        is_truncated: choice & 8 != 0,
        fingerprint: [0; 32],
        pages: 1,
        ..List::default()
    };
    list.fingerprint = list.digest();
    let snapshot = Snapshot {
        is_modern: choice & 16 != 0,
        version: lines[lines.len() / 2].to_owned(),
        handshake: Bytes::from(text.to_owned()),
        lists: [Some(Arc::new(list)), None, None, None],
    };
    let Some(kept) = keep(&snapshot) else {
        panic!("what was kept is not there");
    };
    assert_eq!(kept.is_modern, snapshot.is_modern);
    assert_eq!(kept.version, snapshot.version);
    assert_eq!(kept.handshake, snapshot.handshake);
    let of = |snapshot: &Snapshot| snapshot.lists[0].clone().expect("a list");
    let (now, before) = (of(&kept), of(&snapshot));
    assert_eq!(now.items, before.items);
    assert_eq!(now.template, before.template);
    assert_eq!(now.items_span, before.items_span);
    assert_eq!(now.fingerprint, before.fingerprint);
    assert!(kept.lists[1..].iter().all(Option::is_none));
}

/// Keeps with the store of the product.
pub fn through_a_file(snapshot: &Snapshot) -> Option<Snapshot> {
    with_store(|store, _| {
        store
            .store_snapshot(KEY, snapshot)
            .expect("a folder of ours can be written");
        store.load_snapshot(KEY)
    })
}

/// A folder for this thread, made once: opening it makes a secret.
fn with_store<T>(what: impl FnOnce(&Store, &Path) -> T) -> T {
    thread_local! {
        static FOLDER: (tempfile::TempDir, Store) = {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let store = Store::open(folder.path()).expect("a folder of ours opens");
            (folder, store)
        };
    }
    FOLDER.with(|(folder, store)| what(store, &folder.path().join("v1")))
}

/// Puts bytes where a file stands, reads it, and removes it.
fn any_bytes(choice: u8, content: &[u8]) {
    with_store(|store, root| {
        let place = |name: String| -> PathBuf {
            let path = root.join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder of ours");
            path
        };
        let process = "0123456789abcdef";
        let path = match choice & 7 {
            0 => place(format!("snapshots/{KEY}.json")),
            1 => place("epoch.json".to_owned()),
            2 => place(format!("pins/{KEY}.json")),
            3 => place(format!("surfaces/{KEY}.json")),
            4 => place(format!("ledger/{process}-20000.json")),
            5 => place(format!("costs/{process}.json")),
            6 => place(format!("shapes/{process}.json")),
            _ => place(format!("cache/counts/{process}.json")),
        };
        let wrapped = match choice & 7 {
            4 | 6 => framed(1, content),
            5 => framed(2, content),
            _ => None,
        };
        fs::write(&path, wrapped.as_deref().unwrap_or(content)).expect("a file of ours");
        match choice & 7 {
            0 => drop(store.load_snapshot(KEY)),
            1 => {
                // Weights of another machine may be anything; what is learned next is added to them.
                let epoch = store.load_epoch();
                let again = store.load_epoch();
                assert_eq!(epoch, again);
            }
            2 => {
                let _ = store.load_pins(KEY);
                let _ = store.all_pins();
                let _ = store.approve_pins(KEY, None);
            }
            3 => drop(store.load_surface(&SURFACE)),
            4 => {
                let (days, _) = store.load_ledger();
                for (_, rows) in days {
                    let mut sum = mcp_whittle::token::ledger::Sum::default();
                    for (_, row) in rows.iter() {
                        sum.add(row);
                    }
                }
            }
            5 => {
                let costs = store.load_costs();
                for (_, _, sizes) in costs.all() {
                    assert!(sizes.last().count() <= 64, "sizes without end");
                }
            }
            6 => {
                let counter = TiktokenCounter::new(Encoding::O200kBase);
                let uses = BTreeMap::from([("tool".to_owned(), u64::MAX)]);
                store.store_uses(process, &uses).expect("a folder of ours");
                store
                    .advance_epoch(SystemTime::now(), &counter)
                    .expect("a folder of ours");
            }
            _ => drop(store.cache_counts()),
        }
        let _ = fs::remove_file(&path);
        volatile(content);
    });
}

/// Content as one process writes it for others: with the format's number and the checksum, where it is JSON.
fn framed(format: u32, content: &[u8]) -> Option<Vec<u8>> {
    let raw: &RawValue = serde_json::from_slice(content).ok()?;
    let mut file = Vec::new();
    let mut hasher = blake3::Hasher::new();
    hasher.update(&format.to_le_bytes());
    hasher.update(raw.get().as_bytes());
    let check = hasher.finalize().to_hex();
    file.extend_from_slice(format!(r#"{{"format":{format},"content":"#).as_bytes());
    file.extend_from_slice(raw.get().as_bytes());
    file.extend_from_slice(format!(r#","check":"{check}"}}"#).as_bytes());
    Some(file)
}

/// Pointers of the operator's into definitions of servers.
fn volatile(content: &[u8]) {
    if let Ok(text) = std::str::from_utf8(content) {
        let pointers: Vec<String> = text.lines().map(str::to_owned).collect();
        let _ = Volatile::new(&pointers);
    }
}
