//! Calls judged by rules, and logs of calls judged again: whatever a server could read in the arguments, a rule
//! that denies it denies the call; lines of a log are counted, each once.

use serde_json::Value;

use mcp_whittle::policy::arguments::{Json, Operator, Test};
use mcp_whittle::policy::pattern::Pattern;
use mcp_whittle::policy::rule::{Effect, Mode, Rule, WantedHints};
use mcp_whittle::policy::simulate::Simulation;
use mcp_whittle::policy::{Call, Policy};
use mcp_whittle::session::Principal;

/// What no call may have in `/path`, in words of a pattern and as what it begins with.
const DENIED: &str = "/etc/*";
const BEGINS: &str = "/etc/";

/// The property for one input; panics where it does not hold.
pub fn run(data: &[u8]) {
    let policy = policy(Effect::Deny);
    check(data, |arguments| decide(&policy, arguments));
    allowed(data);
    readers_agree(data);
    log(data, &policy);
}

/// The property for what tells whether a call may be made.
pub fn check(data: &[u8], may_pass: impl Fn(&[u8]) -> bool) {
    // Some servers take the first of two members with one name, some the last, some do not look at case.
    let Ok(Members(members)) = serde_json::from_slice(data) else {
        return;
    };
    let is_meant = members.iter().any(|(name, value)| {
        name.eq_ignore_ascii_case("path")
            && value
                .as_str()
                .is_some_and(|path| path.starts_with(BEGINS) && !path.contains('\n'))
    });
    if is_meant {
        assert!(!may_pass(data), "slipped past a rule that denies");
    }
}

/// A rule that allows only what it names is not met by what can be read in two ways.
fn allowed(data: &[u8]) {
    let mut policy = policy(Effect::Allow);
    policy.denies_by_default = true;
    let Ok(Members(members)) = serde_json::from_slice::<Members>(data) else {
        return;
    };
    let other = members.iter().any(|(name, value)| {
        name.eq_ignore_ascii_case("path")
            && value.as_str().is_some_and(|path| !path.starts_with(BEGINS))
    });
    if other {
        assert!(!decide(&policy, data), "slipped into a rule that allows");
    }
}

fn policy(effect: Effect) -> Policy {
    let operator = Operator::glob(DENIED).expect("a pattern");
    Policy {
        rules: vec![Rule {
            label: "one".to_owned(),
            effect,
            mode: Mode::Enforce,
            servers: Vec::new(),
            tools: vec![Pattern::new("read_*").expect("a pattern")],
            principals: Vec::new(),
            hints: WantedHints::default(),
            tests: vec![Test::new("/path", operator, false).expect("a pointer")],
            is_reading: false,
        }],
        ..Policy::default()
    }
}

fn decide(policy: &Policy, arguments: &[u8]) -> bool {
    let decision = policy.decide(&Call {
        principal: &Principal::OsUser,
        server: "files",
        tool: "read_file",
        definition: None,
        arguments: Some(arguments),
    });
    decision.verdict.word() == "allow"
}

fn log(data: &[u8], policy: &Policy) {
    let text = String::from_utf8_lossy(data);
    let mut simulation = Simulation::default();
    let mut n_lines = 0;
    for line in text.lines() {
        n_lines += u64::from(!line.trim().is_empty());
        simulation.take(policy, line);
    }
    assert!(simulation.unreadable + simulation.decisions <= n_lines);
    assert!(simulation.changed + simulation.undecidable <= simulation.decisions);
    assert!(simulation.changes.values().sum::<u64>() <= simulation.changed);
}

/// The members of an object in order, doubles kept.
struct Members(Vec<(String, Value)>);

impl<'de> serde::Deserialize<'de> for Members {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> serde::de::Visitor<'de> for Collect {
            type Value = Members;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// What the product's reader of arguments takes, another one takes too.
fn readers_agree(data: &[u8]) {
    let ours = Json::parse(data).is_some();
    assert_eq!(ours, serde_json::from_slice::<Value>(data).is_ok());
}
