//! Pins: which definition of each tool is trusted, so that one that its server changes later is noticed. Pure.
//!
//! The first definition that is seen of a server's tool is trusted; it is pinned by the hash of the original
//! in canonical form (RFC 8785 order, numbers as written), so another order of keys is no change, and what we
//! show, which changes with our versions, never enters. Each tool stands for itself.

mod diff;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bytes::Bytes;

use crate::jsonrpc::members;
use crate::jsonrpc::write::{Edit, splice};
use crate::surface::lock::meaning_hash;

pub use diff::diff;

/// Tools of one server that are pinned, at most; beyond them nothing is pinned.
pub const MAX_TOOLS: usize = 10_000;
/// Steps of a pointer, and pointers.
const MAX_STEPS: usize = 64;

/// What is done where a definition is not the pinned one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// The operator is told; calls are made.
    #[default]
    Report,
    /// The pinned definition stays listed, and calls are refused until an operator approves.
    Enforce,
    /// Nothing is pinned.
    Off,
}

impl Mode {
    /// The words of a configuration.
    pub const ALL: [(&'static str, Self); 3] = [
        ("report", Self::Report),
        ("enforce", Self::Enforce),
        ("off", Self::Off),
    ];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Enforce => "enforce",
            Self::Off => "off",
        }
    }
}

/// Parts of definitions that change without meaning anything: JSON Pointers (RFC 6901) into a definition, in
/// which a step `*` is any member or element.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Volatile(Vec<(String, Vec<String>)>);

impl Volatile {
    /// Reads pointers.
    ///
    /// # Errors
    /// A sentence that says what is wrong with one.
    pub fn new(pointers: &[String]) -> Result<Self, String> {
        let read = |pointer: &String| {
            let steps = pointer.strip_prefix('/').ok_or_else(|| {
                format!("`{pointer}` is no JSON Pointer into a definition: it begins with `/`")
            })?;
            let steps: Vec<String> = steps
                .split('/')
                .map(|step| step.replace("~1", "/").replace("~0", "~"))
                .collect();
            if steps.len() > MAX_STEPS {
                return Err(format!("`{pointer}` has more than {MAX_STEPS} steps"));
            }
            if matches!(steps[0].as_str(), "*" | "name") {
                return Err(format!(
                    "`{pointer}` takes the name of tools out of their pins, and nothing would be left of them"
                ));
            }
            Ok((pointer.clone(), steps))
        };
        if pointers.len() > MAX_STEPS {
            return Err(format!("more than {MAX_STEPS} pointers"));
        }
        Ok(Self(pointers.iter().map(read).collect::<Result<_, _>>()?))
    }

    /// Returns the pointers as they were written.
    pub fn pointers(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(pointer, _)| pointer.as_str())
    }

    /// Puts `null` where values do not count.
    fn without(&self, raw: &Bytes) -> Bytes {
        let mut places = BTreeSet::new();
        for (_, steps) in &self.0 {
            locate(raw, 0..raw.len(), steps, &mut places);
        }
        // Of two that lie in one another the outer one counts.
        let mut edits: Vec<Edit> = Vec::new();
        for (start, std::cmp::Reverse(end)) in places {
            if edits.last().is_none_or(|last| start >= last.range.end) {
                edits.push(Edit {
                    range: start..end,
                    with: Bytes::from_static(b"null"),
                });
            }
        }
        match edits.is_empty() {
            true => raw.clone(),
            false => splice(raw, edits).to_bytes(),
        }
    }
}

type Places = BTreeSet<(usize, std::cmp::Reverse<usize>)>;

fn locate(raw: &[u8], at: std::ops::Range<usize>, steps: &[String], places: &mut Places) {
    let Some((step, rest)) = steps.split_first() else {
        places.insert((at.start, std::cmp::Reverse(at.end)));
        return;
    };
    let value = &raw[at.clone()];
    let within = |range: std::ops::Range<usize>| at.start + range.start..at.start + range.end;
    for member in members::members(value) {
        if step == "*" || member.name(value) == *step {
            locate(raw, within(member.value), rest, places);
        }
    }
    for (index, element) in members::elements(value).into_iter().enumerate() {
        if step == "*" || index.to_string() == *step {
            locate(raw, within(element), rest, places);
        }
    }
}

/// A hash in hexadecimal digits: 64 of them.
pub type Hash = String;

/// One definition of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Names it.
    pub hash: Hash,
    /// As it was sent; empty where only the hash is kept.
    pub definition: Bytes,
}

/// What is known of one tool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pin {
    /// What is trusted; none for a tool that came after its server was pinned, under `enforce`.
    pub trusted: Option<Version>,
    /// What its server said last, where that is something else.
    pub seen: Option<Version>,
}

/// How a tool differs from its pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drift {
    /// Its server changed it.
    Changed,
    /// It came after its server was pinned.
    New,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Changed => "changed",
            Self::New => "new",
        })
    }
}

impl Pin {
    /// How it differs; none where its server says what is trusted.
    pub fn drift(&self) -> Option<Drift> {
        match (&self.trusted, &self.seen) {
            (_, None) => None,
            (Some(_), Some(_)) => Some(Drift::Changed),
            (None, Some(_)) => Some(Drift::New),
        }
    }
}

/// What looking at a list brought up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// Tools that are not as they are pinned, and differ in another way than before.
    pub drifted: Vec<(String, Drift)>,
    /// Tools that were pinned because they are new.
    pub added: Vec<String>,
    /// Whether anything is to be kept that was not.
    pub is_changed: bool,
}

/// The pins of one server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pins {
    /// By the tool's own name.
    pub tools: BTreeMap<String, Pin>,
    /// Names the list that was looked at last, so that the same one need not be looked at again.
    pub list: Option<[u8; 32]>,
    /// Whether the server was pinned before: what is new then came later.
    pub is_known: bool,
}

impl Pins {
    /// Compares a server's whole list with what is pinned, and pins what is seen first. `list` names it.
    pub fn observe(
        &mut self,
        live: &[Bytes],
        list: [u8; 32],
        volatile: &Volatile,
        mode: Mode,
    ) -> Observed {
        let mut observed = Observed::default();
        let was_known = std::mem::replace(&mut self.is_known, true);
        observed.is_changed = !was_known || self.list != Some(list);
        self.list = Some(list);
        for (name, version) in versions(live, volatile) {
            let is_full = self.tools.len() >= MAX_TOOLS;
            let pin = match self.tools.get_mut(&name) {
                Some(pin) => pin,
                None if is_full => continue,
                None => self.tools.entry(name.clone()).or_default(),
            };
            match &pin.trusted {
                None if pin.seen.is_none() && (!was_known || mode == Mode::Report) => {
                    pin.trusted = Some(version);
                    if was_known {
                        observed.added.push(name);
                    }
                }
                Some(trusted) if trusted.hash == version.hash => pin.seen = None,
                _ => {
                    let is_told = pin
                        .seen
                        .as_ref()
                        .is_some_and(|seen| seen.hash == version.hash);
                    pin.seen = Some(version);
                    if !is_told {
                        observed
                            .drifted
                            .extend(pin.drift().map(|drift| (name, drift)));
                    }
                }
            }
        }
        observed
    }

    /// Trusts what the server says now: of one tool or all. Returns the names.
    pub fn approve(&mut self, tool: Option<&str>) -> Vec<String> {
        let mut approved = Vec::new();
        for (name, pin) in &mut self.tools {
            if tool.is_none_or(|tool| tool == name)
                && let Some(seen) = pin.seen.take()
            {
                pin.trusted = Some(seen);
                approved.push(name.clone());
            }
        }
        approved
    }

    /// Drops the texts of definitions, and keeps what decides.
    pub fn without_definitions(mut self) -> Self {
        for pin in self.tools.values_mut() {
            for version in [&mut pin.trusted, &mut pin.seen].into_iter().flatten() {
                version.definition = Bytes::new();
            }
        }
        self
    }

    /// How a tool of this list differs from what is trusted; none where it does not. Exact for this list,
    /// whatever other connections to the same server saw.
    pub fn drift_of(&self, name: &str, list: &[Bytes], volatile: &Volatile) -> Option<Drift> {
        let same_name: Vec<Bytes> = list
            .iter()
            .filter(|tool| members::get_text(tool, "name").as_deref() == Some(name))
            .cloned()
            .collect();
        let now = versions(&same_name, volatile).remove(name);
        let trusted = self.tools.get(name).and_then(|pin| pin.trusted.as_ref());
        match (trusted, now) {
            (Some(trusted), Some(now)) if trusted.hash == now.hash => None,
            (Some(_), _) => Some(Drift::Changed),
            (None, _) => Some(Drift::New),
        }
    }

    /// Tells whether every tool of the list with this name is as it is trusted, without looking at it again.
    pub fn is_all_trusted(&self, list: &[u8; 32]) -> bool {
        self.list.as_ref() == Some(list) && self.tools.values().all(|pin| pin.drift().is_none())
    }

    /// The trusted definition of a tool, where its text is kept.
    pub fn trusted_definition(&self, name: &str) -> Option<Bytes> {
        let trusted = self.tools.get(name)?.trusted.as_ref()?;
        (!trusted.definition.is_empty()).then(|| trusted.definition.clone())
    }
}

/// The tools of a list by name. A name that stands twice is one thing: whoever changes either changed it.
fn versions(live: &[Bytes], volatile: &Volatile) -> BTreeMap<String, Version> {
    let mut all: BTreeMap<String, Version> = BTreeMap::new();
    for definition in live {
        let Some(name) = members::get_text(definition, "name") else {
            continue;
        };
        let text = volatile.without(definition);
        let hash = meaning_hash(&String::from_utf8_lossy(&text));
        match all.get_mut(&name) {
            Some(first) => {
                first.hash = meaning_hash(&format!("{} {hash}", first.hash));
            }
            None => {
                let definition = definition.clone();
                all.insert(name, Version { hash, definition });
            }
        }
    }
    all
}

#[cfg(test)]
mod tests;
