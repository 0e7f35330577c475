//! One row of the table: which calls it is about and what becomes of them.

use crate::catalog::hints::Hints;

use super::Call;
use super::arguments::{Json, Outcome, Test};
use super::pattern::Pattern;

/// What a rule does with the calls that it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// They are not made.
    Deny,
    /// A person has to agree first.
    Approve,
    /// They are made.
    Allow,
}

impl Effect {
    /// Every effect by its word in the configuration, the strictest first.
    pub const ALL: [(&'static str, Self); 3] = [
        ("deny", Self::Deny),
        ("approve", Self::Approve),
        ("allow", Self::Allow),
    ];

    /// Returns the word of the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Approve => "approve",
            Self::Allow => "allow",
        }
    }
}

/// Whether rules count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// They do.
    #[default]
    Enforce,
    /// What they would do is logged; nothing is changed.
    Audit,
    /// They do not.
    Off,
}

impl Mode {
    /// Every mode by its word in the configuration.
    pub const ALL: [(&'static str, Self); 3] = [
        ("enforce", Self::Enforce),
        ("audit", Self::Audit),
        ("off", Self::Off),
    ];

    /// Returns the word of the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Audit => "audit",
            Self::Off => "off",
        }
    }
}

/// Which hints a rule asks for; none = any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WantedHints {
    /// `readOnlyHint`.
    pub read_only: Option<bool>,
    /// `destructiveHint`.
    pub destructive: Option<bool>,
    /// `idempotentHint`.
    pub idempotent: Option<bool>,
    /// `openWorldHint`.
    pub open_world: Option<bool>,
}

impl WantedHints {
    /// Whether it asks for any.
    pub fn is_any(self) -> bool {
        self == Self::default()
    }

    fn fit(self, hints: Hints) -> bool {
        [
            (self.read_only, hints.read_only),
            (self.destructive, hints.destructive),
            (self.idempotent, hints.is_idempotent()),
            (self.open_world, hints.open_world),
        ]
        .into_iter()
        .all(|(wanted, is)| wanted.is_none_or(|wanted| wanted == is))
    }
}

/// One rule. Every part has to fit; an empty list fits everything.
#[derive(Debug, Clone)]
pub struct Rule {
    /// How logs and texts call it: its name in quotes, or its number.
    pub label: String,
    /// What becomes of the calls.
    pub effect: Effect,
    /// Whether it counts.
    pub mode: Mode,
    /// Names of servers.
    pub servers: Vec<Pattern>,
    /// Tools' own names, not those that clients see.
    pub tools: Vec<Pattern>,
    /// Whose calls: `user`, `loopback`, `bearer-…`, `session-…`.
    pub principals: Vec<Pattern>,
    /// What servers that are believed say of the tool.
    pub hints: WantedHints,
    /// What has to hold of the arguments, all together.
    pub tests: Vec<Test>,
    /// The operator says that these calls change nothing, so they pass in read-only mode (`allow` only).
    pub is_reading: bool,
}

impl Rule {
    /// Tells whether a call can be one of this rule's, before its arguments are looked at. Rules that keep
    /// calls back also fit names that a server could take for the same.
    pub(super) fn is_about(&self, call: &Call<'_>, principal: &str, hints: Hints) -> bool {
        let keeps_back = self.effect != Effect::Allow;
        let tool = |pattern: &Pattern| {
            pattern.fits(call.tool) || (keeps_back && pattern.may_fit(call.tool))
        };
        fits_any(&self.servers, |pattern| pattern.fits(call.server))
            && fits_any(&self.tools, tool)
            && fits_any(&self.principals, |pattern| pattern.fits(principal))
            && self.hints.fit(hints)
    }

    /// Judges arguments by all tests.
    pub(super) fn judge(&self, arguments: Option<&Json>) -> Outcome {
        let mut all = Outcome::YES;
        for test in &self.tests {
            let one = test.judge(arguments);
            all.surely &= one.surely;
            all.may &= one.may;
        }
        all
    }
}

fn fits_any(patterns: &[Pattern], fits: impl Fn(&Pattern) -> bool) -> bool {
    patterns.is_empty() || patterns.iter().any(fits)
}
