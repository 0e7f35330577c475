//! Tables of decisions: which rules, which call, what becomes of it.

use super::arguments::{Operator, Test};
use super::lint::{Known, lint};
use super::rule::WantedHints;
use super::*;

fn patterns(of: &[&str]) -> Vec<Pattern> {
    of.iter().map(|one| Pattern::new(one).unwrap()).collect()
}

fn rule(label: &str, effect: Effect, tools: &[&str]) -> Rule {
    Rule {
        label: label.to_owned(),
        effect,
        mode: Mode::Enforce,
        servers: Vec::new(),
        tools: patterns(tools),
        principals: Vec::new(),
        hints: WantedHints::default(),
        tests: Vec::new(),
        is_reading: false,
    }
}

fn test(pointer: &str, operator: Operator) -> Vec<Test> {
    vec![Test::new(pointer, operator, false).unwrap()]
}

fn policy(rules: Vec<Rule>) -> Policy {
    Policy {
        rules,
        ..Policy::default()
    }
}

const READER: &[u8] = br#"{"name":"t","annotations":{"readOnlyHint":true}}"#;

fn call<'a>(tool: &'a str, arguments: &'a str) -> Call<'a> {
    Call {
        principal: &Principal::OsUser,
        server: "fs",
        tool,
        definition: Some(READER),
        arguments: Some(arguments.as_bytes()),
    }
}

#[track_caller]
fn check(policy: &Policy, call: &Call<'_>, expected: &str) {
    let decision = policy.decide(call);
    let reason = decision.verdict.reason().map(ToString::to_string);
    let is = match &reason {
        Some(reason) => format!("{} by {reason}", decision.verdict.words()),
        None => decision.verdict.words().to_owned(),
    };
    assert_eq!(is, expected, "{} {:?}", call.tool, call.arguments);
    let hides = matches!(decision.verdict, Verdict::Hide(_));
    assert_eq!(policy.withholds(call), hides, "lists and calls agree");
}

#[test]
fn without_rules_everything_is_allowed() {
    let none = Policy::default();
    check(&none, &call("delete", "{"), "allowed");
    assert!(!none.may_withhold() && none.fingerprint().is_empty());
}

#[test]
fn deny_wins_over_approve_over_allow_in_any_order() {
    let mut rules = vec![
        rule("a", Effect::Allow, &["*"]),
        rule("b", Effect::Approve, &["write_*", "delete_*"]),
        rule("c", Effect::Deny, &["delete_*"]),
    ];
    for _ in 0..rules.len() {
        let table = policy(rules.clone());
        check(&table, &call("read", "{}"), "allowed");
        check(
            &table,
            &call("write_x", "{}"),
            "held for approval by policy rule b",
        );
        check(
            &table,
            &call("delete_x", "{}"),
            "answered as unknown by policy rule c",
        );
        check(
            &table,
            &call("DELETE_x", "{}"),
            "answered as unknown by policy rule c",
        );
        rules.rotate_left(1);
    }
}

#[test]
fn the_default_denies_what_no_rule_allows() {
    let mut reads = rule("reads", Effect::Allow, &["read_*"]);
    reads.tests = test("/path", Operator::Under("/data".into()));
    let table = Policy {
        denies_by_default: true,
        ..policy(vec![reads, rule("list", Effect::Allow, &["list"])])
    };
    let inside = r#"{"path":"/data/x"}"#;
    check(&table, &call("read_file", inside), "allowed");
    let hidden = "answered as unknown by the policy's default";
    check(&table, &call("write_file", inside), hidden);
    check(&table, &call("LIST", "{}"), hidden);
    let refused = "refused by the policy's default";
    for outside in [
        r#"{"path":"/data/../etc"}"#,
        r#"{"path":["/data/x","/etc"]}"#,
        r#"{"path":"/data/x","Path":"/etc"}"#,
        r#"{"path":"/data/x","path":"/etc"}"#,
        "{}",
        "{",
        "[]",
    ] {
        check(&table, &call("read_file", outside), refused);
    }
}

#[test]
fn a_rule_that_denies_by_arguments_refuses_what_is_unclear() {
    let mut deny = rule("etc", Effect::Deny, &["read_*"]);
    deny.tests = test("/path", Operator::Under("/etc".into()));
    let table = policy(vec![deny]);
    check(&table, &call("read_file", r#"{"path":"/srv"}"#), "allowed");
    check(&table, &call("read_file", "{}"), "allowed");
    for bad in [
        r#"{"path":"/srv/../etc/x"}"#,
        r#"{"path":["/srv","/etc/x"]}"#,
        r#"{"PATH":"/etc/x"}"#,
        r#"{"path":"/srv","path":"/etc/x"}"#,
        r#"{"path":{"a":1}}"#,
        "{",
    ] {
        check(
            &table,
            &call("read_file", bad),
            "refused by policy rule etc",
        );
    }
}

#[test]
fn servers_and_principals_narrow_a_rule() {
    let mut deny = rule("d", Effect::Deny, &[]);
    deny.servers = patterns(&["fs*"]);
    deny.principals = patterns(&["bearer-*"]);
    let table = policy(vec![deny]);
    check(&table, &call("t", "{}"), "allowed");
    let bearer = Principal::Bearer([1; 16]);
    let theirs = Call {
        principal: &bearer,
        ..call("t", "{}")
    };
    check(&table, &theirs, "answered as unknown by policy rule d");
    let elsewhere = Call {
        server: "git",
        ..theirs
    };
    check(&table, &elsewhere, "allowed");
}

#[test]
fn hints_count_only_where_the_server_is_trusted() {
    let mut table = Policy {
        is_read_only: true,
        ..Policy::default()
    };
    let hidden = "answered as unknown by read-only mode";
    check(&table, &call("t", "{}"), hidden);
    table.trusted = patterns(&["fs"]);
    check(&table, &call("t", "{}"), "allowed");
    let unknown = Call {
        definition: None,
        ..call("t", "{}")
    };
    check(&table, &unknown, hidden);
    let other = Call {
        server: "git",
        ..call("t", "{}")
    };
    check(&table, &other, hidden);
    // An operator may say of a tool, or of some arguments, that they only read.
    let mut reading = rule("r", Effect::Allow, &["run"]);
    reading.is_reading = true;
    reading.tests = test("/command", Operator::In(vec![Json::Text("status".into())]));
    table.rules = vec![reading];
    let status = Call {
        server: "git",
        ..call("run", r#"{"command":"status"}"#)
    };
    check(&table, &status, "allowed");
    let push = Call {
        arguments: Some(br#"{"command":"push"}"#),
        ..status
    };
    check(&table, &push, "refused by read-only mode");

    let mut destructive = rule("x", Effect::Deny, &[]);
    destructive.hints.destructive = Some(true);
    let table = Policy {
        trusted: patterns(&["fs"]),
        ..policy(vec![destructive])
    };
    check(&table, &call("t", "{}"), "allowed");
    check(&table, &other, "answered as unknown by policy rule x");
}

#[test]
fn audit_changes_nothing_and_says_what_would_be() {
    let mut table = policy(vec![rule("d", Effect::Deny, &["t"])]);
    let would = Some(Verdict::Hide(Reason::Rule("d".into())));
    table.mode = Mode::Audit;
    let decision = table.decide(&call("t", "{}"));
    assert_eq!(
        (decision.verdict, decision.would_be),
        (Verdict::Allow, would.clone())
    );
    assert!(!table.withholds(&call("t", "{}")) && table.fingerprint().is_empty());
    table.mode = Mode::Off;
    assert_eq!(table.decide(&call("t", "{}")).would_be, None);
    // One rule alone.
    table.mode = Mode::Enforce;
    table.rules[0].mode = Mode::Audit;
    let decision = table.decide(&call("t", "{}"));
    assert_eq!(
        (decision.verdict, decision.would_be),
        (Verdict::Allow, would)
    );
    table.rules[0].mode = Mode::Off;
    assert_eq!(table.decide(&call("t", "{}")).would_be, None);
}

#[test]
fn every_part_that_decides_lists_is_in_the_fingerprint() {
    let base = policy(vec![rule("d", Effect::Deny, &["t"])]);
    let changes: [fn(&mut Policy); 10] = [
        |_| {},
        |p| p.denies_by_default = true,
        |p| p.is_read_only = true,
        |p| p.trusted = patterns(&["s"]),
        |p| p.rules[0].tools = patterns(&["u"]),
        |p| p.rules[0].servers = patterns(&["t"]),
        |p| p.rules[0].principals = patterns(&["user"]),
        |p| p.rules[0].hints.destructive = Some(false),
        |p| p.rules[0].tests = test("/a", Operator::Exists(true)),
        |p| p.rules[0].effect = Effect::Approve,
    ];
    let keys: std::collections::BTreeSet<Vec<u8>> = changes
        .iter()
        .map(|change| {
            let mut changed = base.clone();
            change(&mut changed);
            changed.fingerprint()
        })
        .collect();
    assert_eq!(keys.len(), changes.len());
}

#[test]
fn doubtful_rules_are_told() {
    let mut contradicted = rule("2", Effect::Allow, &["delete_file"]);
    contradicted.tests = test("/p", Operator::Prefix("/data/".into()));
    let mut never = rule("4", Effect::Deny, &["write"]);
    never.tests = test("/n", Operator::Eq(Json::Text("a".into())));
    never
        .tests
        .extend(test("/n", Operator::Eq(Json::Text("b".into()))));
    let mut hinted = rule("5", Effect::Approve, &["read"]);
    hinted.hints.read_only = Some(false);
    hinted.servers = patterns(&["gone"]);
    let table = Policy {
        denies_by_default: true,
        ..policy(vec![
            rule("1", Effect::Deny, &["delete_*"]),
            contradicted,
            rule("3", Effect::Deny, &["delete_*"]),
            never,
            hinted,
        ])
    };
    let known = Known {
        servers: Some(vec!["fs".into()]),
        tools: Some(vec!["write".into(), "read".into(), "delete_x".into()]),
    };
    assert_eq!(
        lint(&table, &known),
        [
            "rule 2: no tool is called `delete_file`",
            "rule 2: `..` in a path gets out of the prefix `/data/`; `under` works paths out",
            "rule 2 contradicts rule 1, which is about all of its calls: deny wins",
            "rule 3 says again what rule 1 says",
            "rule 4: no call fits it, its tests of `/n` exclude each other",
            "rule 5: no server is called `gone`",
            "rule 5 asks for hints, and no server's hints are trusted: it takes every tool for the worst",
            "rule 5 asks for approval, which nobody can give yet: its calls are refused with a text",
        ]
    );
    let open = policy(vec![rule("1", Effect::Allow, &["*"])]);
    assert_eq!(lint(&open, &Known::default()).len(), 1);
}
