//! The account of what ran with which real peer, so that nothing is skipped in silence.
//!
//! A test opens its entry with [`proof`], which fails it if a peer is missing. When the last test of
//! `tests/peers/plan.tsv` has ended, the account is printed; under `tests/run` it is also written to the
//! file that `MCP_WHITTLE_ACCOUNT` names, and what does not stand there counts as skipped.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::process::Command;
use std::sync::{Mutex, OnceLock};

use super::root;

const PLAN: &str = include_str!("../peers/plan.tsv");

/// One test's entry in the account.
pub(crate) struct Proof {
    name: &'static str,
    ran: Mutex<BTreeMap<String, usize>>,
}

/// Opens the entry of a test.
///
/// # Panics
/// If the plan does not know the test, or a peer that it uses is not installed.
pub(crate) fn proof(name: &'static str) -> Proof {
    let planned = plan()
        .find(|(test, _)| *test == name)
        .unwrap_or_else(|| panic!("{name} is not in tests/peers/plan.tsv"));
    let installed = installed();
    let missing: Vec<&str> = planned
        .1
        .split(' ')
        .filter(|peer| !installed.contains_key(*peer))
        .collect();
    assert!(
        missing.is_empty(),
        "these peers are not installed: {}\nhint: run tests/peers/install",
        missing.join(", ")
    );
    Proof {
        name,
        ran: Mutex::default(),
    }
}

impl Proof {
    /// Counts what ran well with a peer.
    pub(crate) fn ran(&self, peer: &str, count: usize) {
        let mut ran = self.ran.lock().expect("no holder panics");
        *ran.entry(peer.to_owned()).or_default() += count;
    }

    /// Closes the entry of a test that passed.
    ///
    /// # Panics
    /// If a planned peer did nothing, or one did something that is not planned.
    pub(crate) fn close(self) {
        let ran = self.ran.into_inner().expect("no holder panics");
        let planned = plan().find(|(test, _)| *test == self.name);
        let mut planned: Vec<&str> =
            planned.map_or(Vec::new(), |(_, peers)| peers.split(' ').collect());
        planned.sort_unstable();
        let used: Vec<&str> = ran
            .iter()
            .filter(|(_, count)| **count > 0)
            .map(|(peer, _)| peer.as_str())
            .collect();
        assert_eq!(used, planned, "{}: used peers, planned peers", self.name);
        if let Some(path) = std::env::var_os("MCP_WHITTLE_ACCOUNT") {
            let mut lines = String::new();
            for (peer, count) in &ran {
                lines.push_str(&format!("{}\t{peer}\t{count}\n", self.name));
            }
            let file = OpenOptions::new().append(true).create(true).open(path);
            file.and_then(|mut file| file.write_all(lines.as_bytes()))
                .expect("the account can be written");
        }
        settle(self.name, ran);
    }
}

/// Keeps an entry; the last one prints the account.
fn settle(name: &'static str, ran: BTreeMap<String, usize>) {
    static CLOSED: Mutex<BTreeMap<&str, BTreeMap<String, usize>>> = Mutex::new(BTreeMap::new());
    let mut closed = CLOSED.lock().expect("no holder panics");
    closed.insert(name, ran);
    if !plan().all(|(test, _)| closed.contains_key(test)) {
        return;
    }
    let mut text = String::new();
    for (peer, version) in installed() {
        let count: usize = closed.values().filter_map(|ran| ran.get(peer)).sum();
        text.push_str(&format!("peer {peer} {version}: {count} ran, 0 skipped\n"));
    }
    say(&text);
}

/// Prints past the test harness, which hides the output of tests that pass.
pub(crate) fn say(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = stderr.write_all(format!("\n{text}").as_bytes());
}

fn plan() -> impl Iterator<Item = (&'static str, &'static str)> {
    PLAN.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('\t'))
}

/// The peers that are there, with their versions: those of `tests/peers/install`, and rmcp, which
/// cargo brings.
fn installed() -> &'static BTreeMap<String, String> {
    static INSTALLED: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let checked = Command::new(root().join("tests/peers/install"))
            .arg("--check")
            .output()
            .expect("tests/peers/install runs");
        let text = String::from_utf8_lossy(&checked.stdout).into_owned();
        let mut peers: BTreeMap<String, String> = text
            .lines()
            .filter_map(|line| line.strip_prefix("peer ")?.strip_suffix(" ok"))
            .filter_map(|line| line.split_once(' '))
            .map(|(name, version)| (name.to_owned(), version.to_owned()))
            .collect();
        let lock = include_str!("../../Cargo.lock");
        let version = lock
            .split_once("name = \"rmcp\"\nversion = \"")
            .and_then(|(_, rest)| rest.split_once('"'))
            .expect("rmcp is a dev-dependency");
        peers.insert("rmcp".to_owned(), version.0.to_owned());
        peers
    })
}
