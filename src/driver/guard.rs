//! Pins in the state folder, and definitions scanned away from the loop.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::hub::action::PinnedList;
use crate::policy::guard::{Guard, HiddenMode};
use crate::policy::pins::{Mode, Pins};
use crate::policy::scan::{Finding, Rule, scan, visible};
use crate::store::Store;

use super::memory;

/// Lines of the log that one scan writes, at most.
const LINES: usize = 40;
/// Findings that are remembered so that they are told once.
const TOLD: usize = 100_000;
/// Characters of a name that are repeated.
const SHOWN: usize = 128;

/// What was told already.
#[derive(Debug, Clone, Default)]
pub(super) struct Told(Arc<Mutex<HashSet<[u8; 32]>>>);

/// Reads the pins of a key. Under `enforce` pins that cannot be read are pins that trust nothing.
pub(super) fn load_pins(store: Option<&Store>, guard: &Guard, key: &str) -> Option<Pins> {
    match store?.load_pins(key) {
        Ok(pins) => pins,
        Err(error) => {
            let text = crate::telemetry::one_line(&error.to_string());
            tracing::error!("{text}");
            (guard.pins == Mode::Enforce).then(|| Pins {
                is_known: true,
                ..Pins::default()
            })
        }
    }
}

/// Keeps what a server said of its tools.
pub(super) fn observe_pins(store: &Store, guard: &Guard, seen: &PinnedList) {
    if let Err(error) = store.observe_pins(seen, &guard.volatile, guard.pins) {
        let text = crate::telemetry::one_line(&error.to_string());
        tracing::warn!(server = seen.server, "pins were not kept: {text}");
    }
}

/// Scans tools and tells what was not told before. The texts themselves stay out of the log.
pub(super) fn scan_tools(told: &Told, guard: &Guard, about: &str, tools: &[(String, Vec<Bytes>)]) {
    let servers: Vec<(String, Vec<String>)> = tools
        .iter()
        .map(|(server, tools)| {
            let text = |tool: &Bytes| String::from_utf8_lossy(tool).into_owned();
            (server.clone(), tools.iter().map(text).collect())
        })
        .collect();
    let Ok(found) = std::panic::catch_unwind(|| scan(&servers)) else {
        tracing::error!(server = about, "the tools could not be scanned");
        return;
    };
    drop(servers);
    memory::give_heap_back();
    let is_wanted = |finding: &Finding| match finding.rule {
        Rule::Hidden | Rule::HiddenName => guard.hidden != HiddenMode::Off,
        rule => guard.warns && rule.is_warning(),
    };
    let mut n_lines = 0;
    for finding in found.iter().filter(|finding| is_wanted(finding)) {
        if !told.is_new(finding) {
            continue;
        }
        n_lines += 1;
        if n_lines > LINES {
            continue;
        }
        let short = |name: &str| -> String { visible(name).chars().take(SHOWN).collect() };
        let what = match (&finding.other, finding.rule) {
            (Some((server, tool)), Rule::CrossServer | Rule::LookAlike) => {
                format!("{} (`{}` of {server})", finding.rule.words(), short(tool))
            }
            (_, Rule::Hidden) if guard.hidden != HiddenMode::Off => {
                format!("{}; they are not shown", finding.rule.words())
            }
            _ => finding.rule.words().to_owned(),
        };
        tracing::warn!(
            server = finding.server,
            rule = finding.rule.as_str(),
            place = short(&finding.place),
            hint = "`mcp-whittle scan` shows the text",
            "the definition of `{}` {what}",
            short(&finding.tool),
        );
    }
    if n_lines > LINES {
        tracing::warn!(
            server = about,
            "{} more findings; `mcp-whittle scan` shows all",
            n_lines - LINES
        );
    }
}

impl Told {
    fn is_new(&self, finding: &Finding) -> bool {
        let mut hasher = blake3::Hasher::new();
        for part in [
            finding.rule.as_str(),
            &finding.server,
            &finding.tool,
            &finding.place,
            &finding.excerpt,
        ] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= TOLD {
            told.clear();
        }
        told.insert(*hasher.finalize().as_bytes())
    }
}
