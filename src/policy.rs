//! What a call may do: decided on the real tool, its original definition and its arguments, before anything
//! is sent. Pure: a table of rules and no state. It logs nothing and asks nobody; the hub does.
//!
//! The order of rules does not matter: a rule that denies wins over one that asks for approval, this over
//! one that allows, and where none fits the default decides. A tool of which no call can pass, whatever its
//! arguments, is *withheld*: not listed, and answered as one that does not exist.

pub mod approval;
pub mod arguments;
pub mod audit;
pub mod guard;
pub mod hidden;
pub mod lint;
pub mod pattern;
pub mod pins;
pub mod redact;
pub mod rule;
pub mod scan;
pub mod simulate;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::catalog::hints::Hints;
use crate::session::Principal;

use self::approval::Remember;
use self::arguments::Json;
use self::pattern::Pattern;
use self::rule::{Effect, Mode, Rule};

/// Most rules of a policy, patterns or tests of a rule, and values of an `in`.
pub const MAX_ENTRIES: usize = 1000;

/// A call about to be made, as its server will see it.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Whose call it is.
    pub principal: &'a Principal,
    /// The server's configured name.
    pub server: &'a str,
    /// The tool's own name, not the one that is shown.
    pub tool: &'a str,
    /// The tool as its server sent it, if that is known.
    pub definition: Option<&'a [u8]>,
    /// The raw arguments, if there are any.
    pub arguments: Option<&'a [u8]>,
}

/// What decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// A rule, by its label.
    Rule(String),
    /// Read-only mode.
    ReadOnly,
    /// No rule fits, and the default is to deny.
    Default,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(label) => write!(f, "policy rule {label}"),
            Self::ReadOnly => f.write_str("read-only mode"),
            Self::Default => f.write_str("the policy's default"),
        }
    }
}

/// What becomes of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is made.
    Allow,
    /// The client is told that there is no such tool: none of its calls can pass.
    Hide(Reason),
    /// It is refused with a text: other arguments can pass.
    Refuse(Reason),
    /// A person has to agree first.
    Approve(Reason),
}

impl Verdict {
    /// What is done with the call, in the words of a log.
    pub fn words(&self) -> &'static str {
        match self {
            Self::Allow => "allowed",
            Self::Hide(_) => "answered as unknown",
            Self::Refuse(_) => "refused",
            Self::Approve(_) => "held for approval",
        }
    }

    /// What decided against it.
    pub fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Allow => None,
            Self::Hide(reason) | Self::Refuse(reason) | Self::Approve(reason) => Some(reason),
        }
    }
}

/// What is done, and what would be done if everything in audit mode were in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What is done.
    pub verdict: Verdict,
    /// What would be done, where it is something else.
    pub would_be: Option<Verdict>,
}

/// Rules for calls. The default has none and allows everything.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Whether anything here counts.
    pub mode: Mode,
    /// Whether calls that no rule is about are denied.
    pub denies_by_default: bool,
    /// Whether only calls pass that are known to change nothing.
    pub is_read_only: bool,
    /// How long a person's approval holds.
    pub remember: Remember,
    /// Servers whose hints are believed.
    pub trusted: Vec<Pattern>,
    /// The rules; their order does not matter.
    pub rules: Vec<Rule>,
}

impl Policy {
    /// Decides a call.
    pub fn decide(&self, call: &Call<'_>) -> Decision {
        if self.mode == Mode::Off || !self.restricts() {
            return Decision {
                verdict: Verdict::Allow,
                would_be: None,
            };
        }
        let verdict = match self.mode {
            Mode::Enforce => self.judge(call, |mode| mode == Mode::Enforce),
            Mode::Audit | Mode::Off => Verdict::Allow,
        };
        let has_audit = self.mode == Mode::Audit
            || (self.mode == Mode::Enforce
                && self.rules.iter().any(|rule| rule.mode == Mode::Audit));
        let would_be = has_audit
            .then(|| self.judge(call, |mode| mode != Mode::Off))
            .filter(|would_be| *would_be != verdict);
        Decision { verdict, would_be }
    }

    /// Tells whether no call of a tool can pass, whatever its arguments.
    pub fn withholds(&self, call: &Call<'_>) -> bool {
        self.mode == Mode::Enforce && {
            let hints = self.hints(call);
            let principal = call.principal.key();
            let about: Vec<&Rule> = self
                .rules
                .iter()
                .filter(|rule| rule.mode == Mode::Enforce)
                .filter(|rule| rule.is_about(call, &principal, hints))
                .collect();
            self.withheld_by(&about, hints).is_some()
        }
    }

    /// Tells whether tools can be left out of lists.
    pub fn may_withhold(&self) -> bool {
        self.mode == Mode::Enforce && self.restricts()
    }

    /// Tells whether a decision can hang on a tool's definition.
    pub fn reads_definitions(&self) -> bool {
        self.mode != Mode::Off
            && !self.trusted.is_empty()
            && (self.is_read_only || self.rules.iter().any(|rule| !rule.hints.is_any()))
    }

    /// Tells whether what is decided about a call, by everything that is not off, can hang on its arguments.
    pub fn asks_for_arguments(&self, call: &Call<'_>) -> bool {
        let hints = self.hints(call);
        let principal = call.principal.key();
        let about: Vec<&Rule> = self
            .rules
            .iter()
            .filter(|rule| rule.mode != Mode::Off)
            .filter(|rule| rule.is_about(call, &principal, hints))
            .collect();
        self.mode != Mode::Off
            && self.withheld_by(&about, hints).is_none()
            && about.iter().any(|rule| !rule.tests.is_empty())
    }

    /// Tells whether anything is denied, held for approval or only logged.
    fn restricts(&self) -> bool {
        self.denies_by_default
            || self.is_read_only
            || self.rules.iter().any(|rule| rule.effect != Effect::Allow)
    }

    /// Names the rules in the key of a tool list; empty where no tool can be left out.
    pub fn fingerprint(&self) -> Vec<u8> {
        if !self.may_withhold() {
            return Vec::new();
        }
        let mut hasher = blake3::Hasher::new();
        let mut add = |part: &[u8]| {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        };
        add(&[
            u8::from(self.denies_by_default),
            u8::from(self.is_read_only),
        ]);
        let mut list = |patterns: &[Pattern]| {
            add(&(patterns.len() as u64).to_le_bytes());
            for pattern in patterns {
                add(pattern.as_str().as_bytes());
            }
        };
        list(&self.trusted);
        for rule in self.rules.iter().filter(|rule| rule.mode == Mode::Enforce) {
            list(&rule.servers);
            list(&rule.tools);
            list(&rule.principals);
        }
        // What a test asks decides calls only; that there is one decides lists.
        let hint = |hint: Option<bool>| hint.map_or(2, u8::from);
        for rule in self.rules.iter().filter(|rule| rule.mode == Mode::Enforce) {
            let hints = rule.hints;
            hasher.update(rule.effect.as_str().as_bytes());
            hasher.update(&[
                hint(hints.read_only),
                hint(hints.destructive),
                hint(hints.idempotent),
                hint(hints.open_world),
                u8::from(rule.tests.is_empty()),
                u8::from(rule.is_reading),
            ]);
        }
        hasher.finalize().as_bytes().to_vec()
    }

    fn hints(&self, call: &Call<'_>) -> Hints {
        let is_trusted = self.trusted.iter().any(|pattern| pattern.fits(call.server));
        match call.definition {
            Some(definition) if is_trusted => Hints::of(definition),
            _ => Hints::WORST,
        }
    }

    fn judge(&self, call: &Call<'_>, counts: impl Fn(Mode) -> bool) -> Verdict {
        let hints = self.hints(call);
        let principal = call.principal.key();
        let about: Vec<&Rule> = self
            .rules
            .iter()
            .filter(|rule| counts(rule.mode))
            .filter(|rule| rule.is_about(call, &principal, hints))
            .collect();
        if let Some(reason) = self.withheld_by(&about, hints) {
            return Verdict::Hide(reason);
        }
        // Read only where a rule asks for it.
        let arguments = match about.iter().any(|rule| !rule.tests.is_empty()) {
            true => Json::parse(call.arguments.unwrap_or(b"{}")),
            false => None,
        };
        let may = |effect: Effect| {
            about
                .iter()
                .find(|rule| rule.effect == effect && rule.judge(arguments.as_ref()).may)
                .map(|rule| Reason::Rule(rule.label.clone()))
        };
        if let Some(reason) = may(Effect::Deny) {
            return Verdict::Refuse(reason);
        }
        let mut allows = about
            .iter()
            .filter(|rule| rule.effect == Effect::Allow && rule.judge(arguments.as_ref()).surely);
        let is_allowed = allows.clone().next().is_some();
        if self.is_read_only && !hints.read_only && !allows.any(|rule| rule.is_reading) {
            return Verdict::Refuse(Reason::ReadOnly);
        }
        if let Some(reason) = may(Effect::Approve) {
            return Verdict::Approve(reason);
        }
        if self.denies_by_default && !is_allowed {
            return Verdict::Refuse(Reason::Default);
        }
        Verdict::Allow
    }

    /// What keeps every call of a tool back, by the rules that are about it.
    fn withheld_by(&self, about: &[&Rule], hints: Hints) -> Option<Reason> {
        let denies = about
            .iter()
            .find(|rule| rule.effect == Effect::Deny && rule.tests.is_empty());
        if let Some(rule) = denies {
            return Some(Reason::Rule(rule.label.clone()));
        }
        let is_reading = hints.read_only
            || about
                .iter()
                .any(|rule| rule.effect == Effect::Allow && rule.is_reading);
        if self.is_read_only && !is_reading {
            return Some(Reason::ReadOnly);
        }
        let has_pass = about.iter().any(|rule| rule.effect != Effect::Deny);
        (self.denies_by_default && !has_pass).then_some(Reason::Default)
    }
}
