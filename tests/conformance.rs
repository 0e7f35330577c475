//! The official conformance suite: the fixture alone as a control, then with one or two proxies in
//! between, for each pairing of eras, and a real client behind proxies. What cannot be bridged stands in
//! `tests/conformance/baselines`, with the reason; an entry that passes again fails the run.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::peers_kit::account::{Proof, proof, say};
use crate::peers_kit::process::{Listening, run};
use crate::peers_kit::{PROXY, example, in_parallel, root};

const LEGACY: &str = "2025-11-25";
const MODERN: &str = "2026-07-28";

/// The longest a run of the whole suite may take.
const LIMIT: Duration = Duration::from_secs(300);

/// Runs at the same time; the suite mostly waits.
const WIDTH: usize = 4;

const BASELINE_MODERN_TO_LEGACY: &str = "modern-client-legacy-server.yml";
const BASELINE_CLIENT_LEGACY: &str = "client-behind-the-proxy-2025-11-25.yml";
const BASELINE_CLIENT_MODERN: &str = "client-behind-the-proxy-2026-07-28.yml";

/// `lean` leaves out `$schema` where it names the dialect that MCP assumes anyway (MCP 2025-11-25
/// basic, JSON Schema usage), and these two compare the member itself. Neither is scored, and with
/// `full` both pass.
const LEAN_LEAVES_OUT: [&str; 2] = ["json-schema-2020-12", "json-schema-2020-12-preservation"];

/// The proxy that makes results smaller too: a low cap, repeats said shortly, a cache.
const SHAPED: [&str; 5] = [
    "--config",
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance/shaped.toml"),
    "--result-cap",
    "400",
    "--upstream",
];

/// A policy that would refuse everything, in audit mode; and one that decides every call and lets it pass.
const AUDITED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/conformance/audited.toml"
);
const ENFORCED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/conformance/enforced.toml"
);

/// One run of the suite.
struct Leg {
    /// Its name, and that of its output under target/conformance.
    label: String,
    revision: &'static str,
    side: Side,
    surface: &'static str,
    /// Proxies in between.
    hops: usize,
    baseline: Option<&'static str>,
    /// Whether a scenario that is not scored may fail, and has to.
    may_fail: fn(&str) -> bool,
}

enum Side {
    /// The suite is the client of a fixture server of this era.
    Server(&'static str),
    /// The suite is the server of the SDK's client.
    Client,
}

/// What the suite said.
struct Report {
    code: Option<i32>,
    seconds: f64,
    ran: BTreeSet<String>,
    scored: BTreeSet<String>,
    unscored: BTreeSet<String>,
    failing: BTreeSet<String>,
    output: String,
}

fn none(_scenario: &str) -> bool {
    false
}

fn lean(scenario: &str) -> bool {
    LEAN_LEAVES_OUT.contains(&scenario)
}

/// What looks for a tool of a certain name, or with annotated arguments, in the list finds it hidden.
fn hidden(scenario: &str) -> bool {
    [
        "json-schema-2020-12",
        "http-custom-header-server-validation",
    ]
    .contains(&scenario)
}

/// Extension tasks exist only since 2026-07-28 and are not scored; a legacy server has none.
fn tasks_or_lean(scenario: &str) -> bool {
    scenario.starts_with("tasks-")
        && scenario != "tasks-status-notifications"
        && scenario != "tasks-required-task-error"
        || lean(scenario)
}

/// Ways of authorization that the SDK's client does not speak, not scored either.
fn client_extension(scenario: &str) -> bool {
    [
        "auth/client-credentials-jwt",
        "auth/client-credentials-basic",
        "auth/enterprise-managed-authorization",
        "auth/dpop",
        "auth/dpop-nonce",
        "auth/wif-jwt-bearer",
    ]
    .contains(&scenario)
}

fn client_extension_or_lean(scenario: &str) -> bool {
    client_extension(scenario) || lean(scenario)
}

impl Leg {
    fn server(revision: &'static str, era: &'static str, surface: &'static str) -> Self {
        Self {
            label: format!("{era}-{surface}"),
            revision,
            side: Side::Server(era),
            surface,
            hops: 1,
            baseline: None,
            may_fail: match surface {
                "lean" | "shaped" | "audited" | "enforced" => lean,
                "hidden" => hidden,
                _ => none,
            },
        }
    }

    fn run(&self) -> Report {
        let mut command = Command::new(root().join("tests/conformance/run"));
        // Dropped, and thereby ended, after the suite.
        let mut servers = Vec::new();
        match self.side {
            Side::Server(era) => {
                servers.push(Listening::fixture(era));
                for _ in 0..self.hops {
                    let server = &servers[servers.len() - 1];
                    let next = match self.surface {
                        "hidden" => {
                            Listening::proxy(["--pin", "*=hidden", "--upstream", &server.url])
                        }
                        "shaped" => {
                            Listening::proxy(SHAPED.into_iter().chain([server.url.as_str()]))
                        }
                        "audited" => {
                            Listening::proxy(["--config", AUDITED, "--upstream", &server.url])
                        }
                        "enforced" => {
                            Listening::proxy(["--config", ENFORCED, "--upstream", &server.url])
                        }
                        "transparent" => {
                            Listening::proxy(["--transparent", "--upstream", &server.url])
                        }
                        surface => Listening::proxy_of(server, surface),
                    };
                    servers.push(next);
                }
                command.args(["server", "--url", &servers[servers.len() - 1].url]);
            }
            Side::Client => {
                let client = example("conformance_client");
                let through = root().join("tests/conformance/through");
                let client = if self.hops == 0 {
                    client.display().to_string()
                } else {
                    let (hops, surface) = (self.hops, self.surface);
                    format!(
                        "{} {hops} {PROXY} {} {surface}",
                        through.display(),
                        client.display()
                    )
                };
                command.args(["client", "--command", &client]);
            }
        }
        command.args(["--requirements", self.revision, "--label", &self.label]);
        if let Some(baseline) = self.baseline {
            command.arg("--baseline").arg(baseline_path(baseline));
        }
        let began = Instant::now();
        let ended = run(&mut command, LIMIT);
        // Ended the other way round, so that no proxy loses its server before it is told to stop.
        while servers.pop().is_some() {}
        Report::parse(
            ended.code,
            began.elapsed(),
            format!("{}{}", ended.stdout, ended.stderr),
        )
    }

    /// What is wrong with the report, or nothing.
    fn judge(&self, report: &Report, control: &Report) -> Option<String> {
        let expected = self.baseline.map(entries).unwrap_or_default();
        let failing = |among: &BTreeSet<String>| -> BTreeSet<String> {
            among.intersection(&report.failing).cloned().collect()
        };
        let unscored = control.unscored.iter();
        let may_fail: BTreeSet<String> = unscored
            .filter(|scenario| (self.may_fail)(scenario))
            .cloned()
            .collect();
        let mut wrong = String::new();
        if report.code != Some(0) {
            wrong.push_str(&format!("exit {:?}\n", report.code));
        }
        if control.scored.is_empty() || report.ran != control.ran {
            let ran = report.ran.len();
            wrong.push_str(&format!("{ran} scenarios ran, not those of the control\n"));
        }
        if failing(&control.scored) != expected {
            wrong.push_str(&format!(
                "scored scenarios that fail: {:?}, in the baseline: {expected:?}\n",
                failing(&control.scored)
            ));
        }
        if failing(&control.unscored) != may_fail {
            wrong.push_str(&format!(
                "other scenarios that fail: {:?}, known: {may_fail:?}\n",
                failing(&control.unscored)
            ));
        }
        (!wrong.is_empty()).then(|| {
            let name = format!("{} {}", self.label, self.revision);
            format!("{name}: {wrong}{}\n", report.output)
        })
    }
}

impl Report {
    fn parse(code: Option<i32>, took: Duration, output: String) -> Self {
        let mut report = Self {
            code,
            seconds: took.as_secs_f64(),
            ran: BTreeSet::new(),
            scored: BTreeSet::new(),
            unscored: BTreeSet::new(),
            failing: BTreeSet::new(),
            output: String::new(),
        };
        for line in output.lines() {
            let is_note = line.starts_with("  ");
            let Some((mark, rest)) = line.trim_start().split_once(' ') else {
                continue;
            };
            if mark != "✓" && mark != "✗" {
                continue;
            }
            // `✓ ping: 2 passed, 0 failed`, and below it `  ✓ dpop (extension)` for those not scored.
            let end = if is_note { " (" } else { ": " };
            let Some((scenario, _)) = rest.split_once(end) else {
                continue;
            };
            if is_note {
                report.scored.remove(scenario);
                report.unscored.insert(scenario.to_owned());
            } else {
                report.ran.insert(scenario.to_owned());
                report.scored.insert(scenario.to_owned());
                if mark == "✗" {
                    report.failing.insert(scenario.to_owned());
                }
            }
        }
        report.output = output;
        report
    }

    fn passing(&self) -> usize {
        self.ran.len() - self.failing.len()
    }
}

fn baseline_path(name: &str) -> std::path::PathBuf {
    root().join("tests/conformance/baselines").join(name)
}

/// The scenarios of a baseline file.
fn entries(name: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(baseline_path(name)).expect("the baseline is in the tree");
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("- "))
        .map(|entry| entry.split(':').next().unwrap_or(entry).to_owned())
        .collect()
}

/// The suite with the fixture, or with the SDK's client, and nothing in between. It also tells which
/// scenarios are scored, which a run with a baseline does not.
fn control(side: &Side, revision: &'static str) -> &'static Report {
    static REPORTS: [OnceLock<Report>; 4] = [const { OnceLock::new() }; 4];
    let is_client = matches!(side, Side::Client);
    let index = usize::from(revision == MODERN) + 2 * usize::from(is_client);
    REPORTS[index].get_or_init(|| {
        let mut leg = Leg::server(revision, "dual", "full");
        leg.label = "fixture-alone".into();
        leg.hops = 0;
        if is_client {
            leg.label = "client-alone".into();
            leg.side = Side::Client;
            leg.may_fail = client_extension;
        }
        let report = leg.run();
        if let Some(wrong) = leg.judge(&report, &report) {
            panic!("the control fails, so nothing else means anything: {wrong}");
        }
        report
    })
}

/// Runs the legs, prints a line for each and fails with all that is wrong.
fn check(proof: Proof, legs: &[Leg]) {
    let reports = in_parallel(WIDTH, legs, Leg::run);
    let mut lines = String::new();
    let mut wrong = String::new();
    for (leg, report) in legs.iter().zip(&reports) {
        let control = control(&leg.side, leg.revision);
        let scored = control.scored.len();
        let failing = control.scored.intersection(&report.failing).count();
        lines.push_str(&format!(
            "conformance {} {}, {} hops: {} of {scored} scored scenarios pass, {failing} cannot, {:.0} s\n",
            leg.revision, leg.label, leg.hops, scored - failing, report.seconds
        ));
        wrong.extend(leg.judge(report, control));
        for peer in ["conformance", "node", "rmcp"] {
            proof.ran(peer, report.passing());
        }
    }
    say(&lines);
    assert!(wrong.is_empty(), "{wrong}");
    proof.close();
}

#[test]
fn the_fixture_alone_conforms() {
    let proof = proof("conformance::the_fixture_alone_conforms");
    let server = Side::Server("dual");
    let reports = in_parallel(2, &[LEGACY, MODERN], |revision| control(&server, revision));
    for (revision, report) in [LEGACY, MODERN].iter().zip(reports) {
        assert!(report.failing.is_empty(), "{}", report.output);
        say(&format!(
            "conformance {revision} fixture alone: {} scenarios pass, {} of them scored, {:.0} s\n",
            report.passing(),
            report.scored.len(),
            report.seconds
        ));
        for peer in ["conformance", "node", "rmcp"] {
            proof.ran(peer, report.passing());
        }
    }
    proof.close();
}

#[test]
fn same_era_pairings_lose_nothing() {
    let proof = proof("conformance::same_era_pairings_lose_nothing");
    let mut legs = Vec::new();
    for surface in ["lean", "full"] {
        legs.push(Leg::server(MODERN, "dual", surface));
        legs.push(Leg::server(MODERN, "modern", surface));
        legs.push(Leg::server(LEGACY, "dual", surface));
        legs.push(Leg::server(LEGACY, "legacy", surface));
    }
    check(proof, &legs);
}

/// Every tool hidden and called by its own name: nothing that is scored needs it in the list.
#[test]
fn hidden_tools_lose_nothing() {
    let proof = proof("conformance::hidden_tools_lose_nothing");
    let legs = [MODERN, LEGACY].map(|revision| Leg::server(revision, "dual", "hidden"));
    check(proof, &legs);
}

/// A low cap on results, those that repeat said shortly, and a cache.
#[test]
fn small_results_lose_nothing() {
    let proof = proof("conformance::small_results_lose_nothing");
    let legs = [MODERN, LEGACY].map(|revision| Leg::server(revision, "dual", "shaped"));
    check(proof, &legs);
}

/// Each call decided by a policy: in audit mode by one that would refuse it, in force by one that allows it.
#[test]
fn a_policy_loses_nothing() {
    let proof = proof("conformance::a_policy_loses_nothing");
    let mut legs = Vec::new();
    for surface in ["audited", "enforced"] {
        legs.push(Leg::server(MODERN, "dual", surface));
        legs.push(Leg::server(LEGACY, "dual", surface));
    }
    check(proof, &legs);
}

#[test]
fn two_hops_lose_nothing() {
    let proof = proof("conformance::two_hops_lose_nothing");
    let leg = |revision| Leg {
        label: "dual-lean-twice".into(),
        hops: 2,
        ..Leg::server(revision, "dual", "lean")
    };
    let transparent = |revision, hops| Leg {
        label: format!("dual-transparent-{hops}"),
        hops,
        ..Leg::server(revision, "dual", "transparent")
    };
    let legs = [
        leg(MODERN),
        leg(LEGACY),
        transparent(MODERN, 1),
        transparent(LEGACY, 1),
        transparent(MODERN, 2),
        transparent(LEGACY, 2),
    ];
    check(proof, &legs);
}

#[test]
fn cross_era_pairings_lose_only_what_cannot_be_bridged() {
    let proof = proof("conformance::cross_era_pairings_lose_only_what_cannot_be_bridged");
    let legs = [
        Leg {
            baseline: Some(BASELINE_MODERN_TO_LEGACY),
            may_fail: tasks_or_lean,
            ..Leg::server(MODERN, "legacy", "lean")
        },
        // No baseline: a client of 2025-11-25 misses nothing in front of a modern server.
        Leg::server(LEGACY, "modern", "lean"),
    ];
    check(proof, &legs);
}

#[test]
fn clients_behind_proxies_conform() {
    let proof = proof("conformance::clients_behind_proxies_conform");
    let mut legs = Vec::new();
    for (revision, baseline) in [
        (LEGACY, BASELINE_CLIENT_LEGACY),
        (MODERN, BASELINE_CLIENT_MODERN),
    ] {
        for (hops, surface) in [(1, "full"), (1, "lean"), (2, "lean")] {
            legs.push(Leg {
                label: format!("client-{hops}-{surface}"),
                revision,
                side: Side::Client,
                surface,
                hops,
                baseline: Some(baseline),
                may_fail: if surface == "lean" {
                    client_extension_or_lean
                } else {
                    client_extension
                },
            });
        }
    }
    check(proof, &legs);
}

/// Every entry of every baseline follows a comment that says why, and none is listed twice.
#[test]
fn baselines_say_why() {
    let folder = root().join("tests/conformance/baselines");
    let mut files = 0;
    for file in std::fs::read_dir(&folder).expect("the folder is in the tree") {
        let path = file.expect("the folder can be read").path();
        let text = std::fs::read_to_string(&path).expect("a baseline is text");
        let first_entry = text.find("\n  - ").expect("a baseline has entries");
        let words: usize = text[..first_entry]
            .lines()
            .filter(|line| line.trim_start().starts_with('#'))
            .map(|line| line.split_whitespace().count())
            .sum();
        assert!(words > 20, "{} explains nothing", path.display());
        assert!(
            is_named(&path),
            "{} is not used by any test",
            path.display()
        );
        let listed: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("- ") && !line.contains('#'))
            .collect();
        let unique: BTreeSet<&&str> = listed.iter().collect();
        assert_eq!(listed.len(), unique.len(), "{}", path.display());
        files += 1;
    }
    assert_eq!(files, 3);
}

fn is_named(path: &Path) -> bool {
    [
        BASELINE_MODERN_TO_LEGACY,
        BASELINE_CLIENT_LEGACY,
        BASELINE_CLIENT_MODERN,
    ]
    .iter()
    .any(|name| path.ends_with(name))
}

/// The judge sees a scenario that fails without being in the baseline, and an exit code that is not 0.
#[test]
fn the_judge_refuses_what_is_not_known() {
    let said = |code, output: &str| Report::parse(Some(code), Duration::ZERO, output.to_owned());
    let leg = Leg::server(LEGACY, "dual", "full");
    let good = "✓ ping: 2 passed, 0 failed\n✓ odd: 1 passed, 0 failed\n  ✓ odd (pending)\n";
    let control = said(0, good);
    assert_eq!(leg.judge(&said(0, good), &control), None);
    assert!(leg.judge(&said(1, good), &control).is_some());
    assert!(leg.judge(&said(0, ""), &control).is_some());
    let scored = "✗ ping: 1 passed, 1 failed\n✓ odd: 1 passed, 0 failed\n  ✓ odd (pending)\n";
    assert!(leg.judge(&said(0, scored), &control).is_some());
    let unscored = "✓ ping: 2 passed, 0 failed\n✗ odd: 0 passed, 1 failed\n  ✗ odd (pending)\n";
    assert!(leg.judge(&said(0, unscored), &control).is_some());
}
