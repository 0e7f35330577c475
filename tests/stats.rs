//! `stats`: what the built program prints over a prepared state folder.

use std::process::Command;

use serde_json::{Value, json};

use mcp_whittle::store::Store;
use mcp_whittle::token::Tokens;
use mcp_whittle::token::ledger::{Basis, Day, Entry, Kind, Ledger};

use crate::kit::{Proxy, ScriptedServer};

struct State {
    folder: tempfile::TempDir,
}

impl State {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { folder }
    }

    /// Writes what one process noted.
    fn keep(&self, process: &str, entries: &[Entry<'_>]) {
        let store = Store::open(self.folder.path()).expect("a state folder");
        let mut ledger = Ledger::default();
        for entry in entries {
            ledger.record(entry);
        }
        for (day, rows) in ledger.take_dirty() {
            store.store_ledger(process, day, &rows).expect("kept");
        }
    }

    fn stats(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_mcp-whittle"))
            .arg("stats")
            .args(args)
            .env("MCP_WHITTLE_STATE_DIR", self.folder.path())
            .output()
            .expect("the program runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    }

    #[track_caller]
    fn printed(&self, args: &[&str]) -> String {
        let (code, text, errors) = self.stats(args);
        assert_eq!((code, errors.as_str()), (Some(0), ""), "{text}");
        text
    }
}

fn entry(day: &str, session: &'static str, tool: &'static str, kind: Kind) -> Entry<'static> {
    Entry {
        day: Day::parse_since(day, Day::default()).expect("a day"),
        session,
        is_held_out: false,
        server: "github",
        tool,
        kind,
        basis: Basis::Measured,
        before: Tokens::ZERO,
        after: Tokens::ZERO,
    }
}

fn tokens<'a>(entry: Entry<'a>, before: u64, after: u64) -> Entry<'a> {
    Entry {
        before: Tokens::new(before),
        after: Tokens::new(after),
        ..entry
    }
}

/// Two processes on two days: savings, a cache, repeats, reading back, a tool that got dearer, estimates, a
/// name that would act on a terminal.
fn prepared() -> State {
    let state = State::new();
    let issues = |kind| entry("2026-11-27", "s1", "list_issues", kind);
    state.keep(
        "0a",
        &[
            tokens(issues(Kind::Answer), 41_300, 4_950),
            tokens(issues(Kind::Cached), 41_300, 4_950),
            tokens(issues(Kind::Unchanged), 41_300, 35),
            tokens(issues(Kind::Fetched), 0, 4_800),
            tokens(entry("2026-11-27", "s1", "", Kind::List), 17_600, 5_200),
            tokens(entry("2026-11-28", "s1", "get_me", Kind::Answer), 210, 210),
        ],
    );
    let shot = Entry {
        server: "browser",
        basis: Basis::Estimated,
        ..entry("2026-11-28", "s2", "screenshot", Kind::Answer)
    };
    let odd = Entry {
        server: "browser",
        ..entry("2026-11-28", "s2", "evil\u{1b}[2J", Kind::Answer)
    };
    state.keep(
        "0b",
        &[
            tokens(
                entry("2026-11-28", "s2", "get_file", Kind::Answer),
                9_000,
                4_000,
            ),
            tokens(
                entry("2026-11-28", "s2", "get_file", Kind::Delta),
                9_000,
                120,
            ),
            tokens(
                entry("2026-11-28", "s2", "get_file", Kind::Fetched),
                0,
                16_000,
            ),
            tokens(shot, 6_200, 1_560),
            tokens(odd, 50, 40),
        ],
    );
    state
}

#[test]
fn the_account_for_people() {
    insta::assert_snapshot!("stats", prepared().printed(&[]));
}

#[test]
fn the_account_for_machines_labels_every_figure() {
    let printed = prepared().printed(&["--json"]);
    let stats: serde_json::Value = serde_json::from_str(&printed).expect("JSON");
    let totals = &stats["totals"];
    assert_eq!(totals["calls"], 8);
    assert_eq!(totals["calls_saved"], 1);
    assert_eq!(stats["counts"], "measured");
    // 148,360 came, 15,865 were sent, 20,800 were read back.
    assert_eq!(totals["saved"]["value"], 148_360 - 15_865 - 20_800);
    assert_eq!(totals["saved"]["basis"], "estimated", "by its weakest part");
    let tools = stats["tools"].as_array().expect("tools");
    let tool = |name: &str| tools.iter().find(|tool| tool["tool"] == name).expect(name);
    assert_eq!(tool("list_issues")["saved"]["basis"], "measured");
    assert_eq!(tool("get_file")["saved"]["value"], -2_120);
    let mut n_figures = 0;
    every_figure(&stats, &mut |figure| {
        n_figures += 1;
        assert!(figure["basis"].is_string(), "{figure}");
    });
    assert!(n_figures > 30, "only {n_figures} figures were looked at");
}

fn every_figure(value: &serde_json::Value, look: &mut impl FnMut(&serde_json::Value)) {
    match value {
        serde_json::Value::Object(members) if members.contains_key("value") => look(value),
        serde_json::Value::Object(members) => {
            members.values().for_each(|value| every_figure(value, look));
        }
        serde_json::Value::Array(values) => {
            values.iter().for_each(|value| every_figure(value, look));
        }
        _ => {}
    }
}

#[test]
fn a_period_and_a_server_can_be_asked_for() {
    let state = prepared();
    let text = state.printed(&["--since", "2026-11-28", "--server", "github"]);
    assert!(text.contains("2026-11-28 (UTC)"), "{text}");
    assert!(!text.contains("list_issues"), "{text}");
    assert!(text.contains("github/get_file"), "{text}");
    assert!(!text.contains("browser"), "{text}");
}

#[test]
fn no_data_is_said_to_be_no_data() {
    let state = State::new();
    let text = state.printed(&[]);
    assert!(
        text.starts_with("There is nothing in the ledger yet"),
        "{text}"
    );
    let text = prepared().printed(&["--since", "2027-01-01", "--server", "x\u{1b}"]);
    assert_eq!(
        text,
        "The ledger has nothing since 2027-01-01 and of a server named `x\\u{1b}`; `mcp-whittle stats` shows all that it has.\n"
    );
}

#[test]
fn wrong_days_and_damaged_files_are_told() {
    let state = prepared();
    let (code, text, errors) = state.stats(&["--since", "yesterday"]);
    assert_eq!((code, text.as_str()), (Some(2), ""));
    assert_eq!(
        errors,
        "error: --since: `yesterday` is no day: expected one such as `2026-11-28`, or a time back such as `7d` or `2w`\n"
    );
    let ledger = state.folder.path().join("v1/ledger");
    std::fs::write(ledger.join("0c-20785.json"), "{\"format\":1}").expect("written");
    let (code, text, errors) = state.stats(&[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        errors.contains("1 file of the ledger is damaged"),
        "{errors}"
    );
    assert!(text.contains("github/list_issues"), "{text}");
}

#[test]
fn untouched_sessions_stand_beside_the_others() {
    let state = State::new();
    let names: Vec<String> = (0..80).map(|n| format!("{n:016x}")).collect();
    let entries: Vec<Entry<'_>> = names
        .iter()
        .enumerate()
        .map(|(n, session)| {
            let is_held_out = n % 2 == 0;
            let size = 1_000 + 37 * (n as u64 % 11);
            let after = if is_held_out { size } else { size / 4 };
            let entry = Entry {
                session,
                is_held_out,
                ..entry("2026-11-28", "", "get_file", Kind::Answer)
            };
            tokens(entry, size, after)
        })
        .collect();
    state.keep("0a", &entries);
    insta::assert_snapshot!("stats_holdout", state.printed(&[]));
    let few = State::new();
    few.keep("0a", &entries[..40]);
    let text = few.printed(&[]);
    assert!(
        text.contains("Nothing is said yet: 30 sessions with a call"),
        "{text}"
    );
}

/// Lists that a running proxy sends stand apart from answers, once for each list: of one server under its name,
/// of several in one row.
#[test]
fn lists_are_noted_when_they_are_sent() {
    let server = ScriptedServer::new("tool dial\ntool gauge");
    let state = State::new();
    let mut proxy = Proxy::wrap(&server).state(state.folder.path()).start();
    proxy.initialize();
    proxy.ask("tools/list", json!({}));
    proxy.ask("tools/list", json!({}));
    proxy.finish();
    let lists = |state: &State| {
        let stats: Value = serde_json::from_str(&state.printed(&["--json"])).expect("JSON");
        stats["lists"].clone()
    };
    let of_one = lists(&state);
    assert_eq!(of_one[0]["lists"], 2, "{of_one}");
    assert_eq!(of_one[0]["before"]["basis"], "estimated");
    let name = of_one[0]["server"].as_str().expect("a name");
    assert!(!name.is_empty());
    let text = state.printed(&[]);
    assert!(
        text.contains("lists of tools") && text.contains(name),
        "{text}"
    );

    let state = State::new();
    let other = ScriptedServer::new("tool pump");
    let mut proxy = Proxy::servers(&[("a", &server), ("b", &other)])
        .state(state.folder.path())
        .start();
    proxy.initialize();
    proxy.ask("tools/list", json!({}));
    proxy.finish();
    assert_eq!(lists(&state)[0]["server"], "");
    let text = state.printed(&[]);
    assert!(text.contains("(several servers)"), "{text}");
    let text = state.printed(&["--server", "a"]);
    assert!(
        text.starts_with("The ledger has nothing of a server"),
        "{text}"
    );
}
