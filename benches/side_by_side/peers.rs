//! Which peers are there, as `benches/peers/install --check` says.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use super::hop::{Hop, repository};

/// The peers and where they are.
pub(crate) struct Peers {
    pub(crate) folder: PathBuf,
    /// By name: the version that is pinned, and why it is not there.
    found: BTreeMap<String, (String, Option<String>)>,
}

impl Peers {
    /// Asks the script.
    ///
    /// # Errors
    /// When it cannot be run.
    pub(crate) fn find() -> io::Result<Self> {
        let script = repository().join("benches/peers/install");
        let output = Command::new(&script).arg("--check").output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut peers = Self {
            folder: PathBuf::new(),
            found: BTreeMap::new(),
        };
        for line in text.lines() {
            let words: Vec<&str> = line.splitn(5, ' ').collect();
            match words.as_slice() {
                ["folder", ..] => peers.folder = PathBuf::from(&line["folder ".len()..]),
                ["peer", name, version, state, rest @ ..] => {
                    let why = (*state != "ok").then(|| match rest.first() {
                        Some(why) => (*why).to_owned(),
                        None => "not installed".to_owned(),
                    });
                    peers
                        .found
                        .insert((*name).to_owned(), ((*version).to_owned(), why));
                }
                _ => {}
            }
        }
        if peers.found.is_empty() {
            return Err(io::Error::other(format!(
                "{} --check names no peer",
                script.display()
            )));
        }
        Ok(peers)
    }

    /// Says whether the peer of a hop is there.
    pub(crate) fn has(&self, hop: &Hop) -> bool {
        hop.peer
            .is_none_or(|name| self.found.get(name).is_some_and(|(_, why)| why.is_none()))
    }

    /// Returns the raw form: name, version, and why a peer is left out.
    pub(crate) fn to_json(&self) -> Value {
        self.found
            .iter()
            .map(|(name, (version, why))| json!({"name": name, "version": version, "skipped": why}))
            .collect()
    }
}
