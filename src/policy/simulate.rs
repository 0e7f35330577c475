//! An audit log judged by other rules: which decisions would change, and by what. Pure.
//!
//! What was done is compared with what would be done if everything of the new policy were in force, audit
//! mode too. Where a rule asks for arguments that were not recorded, nothing is said.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::session::Principal;

use super::audit::Record;
use super::{Call, Policy};

/// Kinds of changes that are told apart, at most; further ones are counted together.
const KINDS: usize = 10_000;

/// One kind of change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Change {
    /// What was done: `allow`, `hide`, `refuse`, `approve`.
    pub was: String,
    /// What would be done.
    pub becomes: String,
    /// What decides: the new rule, or the old one where nothing of the new policy speaks against the call.
    pub by: String,
}

/// What came out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Simulation {
    /// Decisions in the log.
    pub decisions: u64,
    /// Those that would change.
    pub changed: u64,
    /// Those that hang on arguments that were not recorded, or on a principal that is not known here.
    pub undecidable: u64,
    /// Lines that are no records of this version.
    pub unreadable: u64,
    /// Records that the log says were lost.
    pub lost: u64,
    /// How often each change would be.
    pub changes: BTreeMap<Change, u64>,
}

#[derive(serde::Deserialize)]
struct Lost {
    v: u32,
    lost: u64,
}

impl Simulation {
    /// Takes a line of the log.
    pub fn take(&mut self, policy: &Policy, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        if let Ok(Lost { v: 1, lost }) = serde_json::from_str(line) {
            self.lost = self.lost.saturating_add(lost);
            return;
        }
        match serde_json::from_str::<Record>(line) {
            Ok(record) if record.v == super::audit::VERSION => self.judge(policy, &record),
            _ => self.unreadable += 1,
        }
    }

    fn judge(&mut self, policy: &Policy, record: &Record) {
        // Without a decision nothing was asked: a prompt, a resource, a tool that nobody has.
        if record.decision.is_empty() || record.kept {
            return;
        }
        self.decisions += 1;
        let Some(principal) = Principal::of_key(&record.principal) else {
            self.undecidable += 1;
            return;
        };
        let definition = record.hints.map(super::audit::RecordedHints::definition);
        let call = Call {
            principal: &principal,
            server: &record.server,
            tool: &record.tool,
            definition: definition.as_deref().map(str::as_bytes),
            arguments: record.arguments.as_ref().map(|raw| raw.get().as_bytes()),
        };
        if record.arguments.is_none() && policy.asks_for_arguments(&call) {
            self.undecidable += 1;
            return;
        }
        let decision = policy.decide(&call);
        let new = decision.would_be.unwrap_or(decision.verdict);
        if new.word() == record.decision {
            return;
        }
        self.changed += 1;
        let change = Change {
            was: record.decision.clone(),
            becomes: new.word().to_owned(),
            by: match new.reason() {
                Some(reason) => reason.to_string(),
                None => format!("no longer {}", record.by),
            },
        };
        if self.changes.len() < KINDS || self.changes.contains_key(&change) {
            *self.changes.entry(change).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::approval::Remember;
    use crate::policy::arguments::{Operator, Test};
    use crate::policy::pattern::Pattern;
    use crate::policy::rule::{Effect, Mode, Rule, WantedHints};

    fn rule(effect: Effect, tool: &str) -> Rule {
        Rule {
            label: "1".into(),
            effect,
            mode: Mode::Audit,
            servers: Vec::new(),
            tools: vec![Pattern::new(tool).unwrap()],
            principals: Vec::new(),
            hints: WantedHints::default(),
            tests: Vec::new(),
            is_reading: false,
        }
    }

    fn policy(rules: Vec<Rule>) -> Policy {
        Policy {
            mode: Mode::Audit,
            remember: Remember::Call,
            rules,
            ..Policy::default()
        }
    }

    const LOG: [&str; 7] = [
        r#"{"v":1,"principal":"user","server":"fs","tool":"a","decision":"allow"}"#,
        r#"{"v":1,"principal":"user","server":"fs","tool":"b","decision":"hide","by":"policy rule 7"}"#,
        r#"{"v":1,"principal":"user","server":"fs","tool":"a","decision":"allow","arguments":{"p":"/etc/x"}}"#,
        r#"{"v":1,"principal":"user","method":"prompts/get","outcome":"ok"}"#,
        r#"{"v":1,"time":"x","lost":5}"#,
        r#"{"v":2}"#,
        "no json",
    ];

    fn run(policy: &Policy) -> Simulation {
        let mut simulation = Simulation::default();
        for line in LOG {
            simulation.take(policy, line);
        }
        simulation
    }

    #[test]
    fn changes_are_counted_by_what_makes_them() {
        let simulation = run(&policy(vec![rule(Effect::Deny, "a")]));
        assert_eq!(
            (
                simulation.decisions,
                simulation.changed,
                simulation.undecidable
            ),
            (3, 3, 0)
        );
        assert_eq!((simulation.unreadable, simulation.lost), (2, 5));
        let changes: Vec<_> = simulation
            .changes
            .iter()
            .map(|(one, n)| (one.was.as_str(), one.becomes.as_str(), one.by.as_str(), *n))
            .collect();
        assert_eq!(
            changes,
            [
                ("allow", "hide", "policy rule 1", 2),
                ("hide", "allow", "no longer policy rule 7", 1)
            ]
        );
    }

    #[test]
    fn what_was_not_recorded_is_not_guessed() {
        let mut one = rule(Effect::Deny, "a");
        let test = Test::new("/p", Operator::Under("/etc".into()), false).unwrap();
        one.tests.push(test);
        let simulation = run(&policy(vec![one]));
        assert_eq!((simulation.changed, simulation.undecidable), (2, 1));
    }
}
