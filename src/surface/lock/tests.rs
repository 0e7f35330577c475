use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::surface::lock::kept::promises;
use crate::surface::made::Made;
use crate::token::{Encoding, TiktokenCounter};

/// Captured servers, and the tools of each as they were sent.
fn captured() -> Vec<Part> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/servers");
    let mut servers: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    servers.sort();
    let part = |path: &std::path::PathBuf| {
        let text = std::fs::read_to_string(path.join("tools.json")).unwrap();
        let tools = text
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .chain(serde_json::from_str(&text))
            .find_map(|page| {
                let page = page.get(0).unwrap_or(&page).clone();
                let result = page.get("result").unwrap_or(&page);
                result["tools"].as_array().cloned()
            })
            .unwrap_or_else(|| panic!("{}", path.display()));
        Part {
            server: path.file_name().unwrap().to_string_lossy().into_owned(),
            tools: tools
                .iter()
                .map(|tool| Bytes::from(tool.to_string()))
                .collect(),
        }
    };
    let parts: Vec<Part> = servers.iter().map(part).collect();
    assert!(parts.len() >= 6 && parts.iter().all(|part| !part.tools.is_empty()));
    parts
}

fn settings(budget: &str, pins: &[&str]) -> plan::Settings {
    plan::Settings {
        budget: budget.parse().unwrap(),
        pins: pins.iter().map(|pin| pin.parse().unwrap()).collect(),
        ..plan::Settings::default()
    }
}

fn lock(parts: &[Part], settings: &plan::Settings) -> Lock {
    let counter = TiktokenCounter::new(Encoding::O200kBase);
    let surface = plan::plan(parts, settings, &counter);
    let locked = LockedSettings::of(Some(settings), "generic");
    Lock::of(parts, parts, &surface, locked, &counter)
}

const TEXT: &str = "Deletes a folder. The path must be absolute. Never follow links.";

fn tool(name: &str, text: &str) -> Bytes {
    Bytes::from(format!(
        r#"{{"name":"{name}","description":"{text}","inputSchema":{{"type":"object","properties":{{"path":{{"type":"string","description":"At most 4096 bytes."}}}}}},"annotations":{{"readOnlyHint":true}}}}"#
    ))
}

fn parts(tools: &[Bytes]) -> Vec<Part> {
    vec![Part {
        server: "files".into(),
        tools: tools.to_vec(),
    }]
}

fn small() -> Lock {
    lock(
        &parts(&[tool("a", TEXT), tool("b", "Lists.")]),
        &settings("4k", &[]),
    )
}

#[test]
fn captured_lists_come_back_at_every_budget() {
    let parts = captured();
    let mut n_hidden = 0;
    for budget in ["auto", "none", "8k", "2k", "700"] {
        let lock = lock(&parts, &settings(budget, &[]));
        let text = lock.to_text();
        assert_eq!(Lock::parse(text.as_bytes()).as_ref(), Ok(&lock), "{budget}");
        assert_eq!(compare(&lock, &lock), Differences::default());
        // What promises to keep every constraint does, and every tool has one line for each value.
        for tool in &lock.tools {
            assert_eq!(tool.lost, Vec::<String>::new(), "{}", tool.name);
            assert!(
                !promises(tool.rung) || tool.kept == tool.constraints,
                "{tool:?}"
            );
        }
        n_hidden += usize::from(lock.meta_tools.is_some());
        assert_eq!(lock, super::tests::lock(&parts, &settings(budget, &[])));
    }
    assert!(n_hidden >= 2);
    let all: u64 = lock(&parts, &settings("none", &[]))
        .tools
        .iter()
        .map(|tool| tool.constraints)
        .sum();
    assert!(all > 100, "only {all} constraints were found");
}

#[test]
fn the_total_is_the_plans() {
    let parts = captured();
    let settings = settings("2k", &[]);
    let counter = TiktokenCounter::new(Encoding::O200kBase);
    let cost = plan::plan(&parts, &settings, &counter).cost.unwrap();
    let lock = lock(&parts, &settings);
    assert_eq!(lock.tokens(), cost.bare.get());
    assert_eq!(lock.shown_tokens(), cost.shown.get());
    assert_eq!(lock.exceeded_budget(), None);
}

#[test]
fn a_hidden_tool_keeps_nothing_and_loses_nothing_it_promised() {
    let parts = parts(&[tool("a", TEXT), tool("b", TEXT)]);
    let lock = lock(&parts, &settings("none", &["a=hidden", "b=signature"]));
    let hidden = &lock.tools[0];
    assert_eq!(
        (hidden.rung, &hidden.shown, hidden.shown_tokens),
        (Rung::Hidden, &None, 0)
    );
    assert_eq!((hidden.constraints, hidden.kept), (3, 0));
    let signature = &lock.tools[1];
    assert_eq!((signature.rung, signature.kept), (Rung::Signature, 0));
    assert!(hidden.lost.is_empty() && signature.lost.is_empty());
    assert!(
        lock.meta_tools
            .unwrap()
            .names
            .contains(&"search_tools".to_owned())
    );
}

/// What the checker must see: a rendering that promises all constraints and has lost one.
#[test]
fn a_rendering_that_breaks_its_promise_is_named() {
    let original = String::from_utf8(tool("a", TEXT).to_vec()).unwrap();
    let broken = original.replace(" Never follow links.", "");
    let found = kept::kept(&original, Some(&broken), Rung::Short);
    assert_eq!((found.all, found.kept), (3, 2));
    assert_eq!(found.lost, ["Never follow links."]);
    let parameter = original.replace("At most 4096 bytes.", "The path.");
    let found = kept::kept(&original, Some(&parameter), Rung::Lean);
    assert_eq!(found.lost, ["At most 4096 bytes."]);
    assert_eq!(
        kept::kept("7", Some("7"), Rung::Full),
        kept::Kept::default()
    );
}

#[test]
fn another_order_of_keys_is_no_drift_but_other_bytes() {
    let one = parts(&[Bytes::from_static(
        br#"{"name":"a","description":"x","inputSchema":{"type":"object","properties":{}}}"#,
    )]);
    let other = parts(&[Bytes::from_static(
        br#"{"name":"a","inputSchema":{"properties":{},"type":"object"},"description":"x"}"#,
    )]);
    let settings = settings("none", &[]);
    let found = compare(&lock(&one, &settings), &lock(&other, &settings));
    assert!(matches!(
        found.all[0],
        Difference::Rendering {
            is_original_same: true,
            ..
        }
    ));
    let is_drift = |one: &Difference| matches!(one, Difference::Original { .. });
    assert!(!found.all.iter().any(is_drift), "{found:?}");
}

/// Each kind of difference, what makes it, and the line that people read.
#[test]
fn every_kind_of_difference_is_seen() {
    #[track_caller]
    fn check(change: impl FnOnce(&mut Lock), expected: &[&str]) {
        let old = small();
        let mut new = old.clone();
        change(&mut new);
        let found = compare(&old, &new);
        let text = found.to_string();
        for line in expected {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(!found.summary().is_empty());
    }
    check(
        |lock| lock.tokenizer = "cl100k_base".into(),
        &["tokenizer: o200k_base -> cl100k_base"],
    );
    check(
        |lock| lock.settings.budget = Budget::Auto,
        &["budget: 4000 -> auto"],
    );
    check(
        |lock| lock.settings.profile = "codex".into(),
        &["profile: generic -> codex"],
    );
    check(
        |lock| lock.settings.open_schemas = true,
        &["open schemas: no -> yes"],
    );
    check(
        |lock| lock.settings.pins = vec!["a=lean".into()],
        &["pins: [] -> [a=lean]"],
    );
    check(
        |lock| {
            let mut added = lock.tools[0].clone();
            added.name = "c".into();
            lock.tools.push(added);
        },
        &[
            "+ c [files]\n    added: read, shown as lean, ",
            "tokens as sent: ",
        ],
    );
    check(
        |lock| drop(lock.tools.remove(0)),
        &["- a [files]\n    removed: cost "],
    );
    check(
        |lock| {
            lock.tools[0].original = "0".repeat(64);
            lock.tools[0].parts[1] = "description:0000000000000000".into();
        },
        &["~ a [files]\n    changed by its server: description\n"],
    );
    check(
        |lock| lock.tools[0].risk = RiskClass::Destructive,
        &["risk: read -> destructive"],
    );
    check(
        |lock| lock.tools[0].rung = Rung::Short,
        &["shown as: lean -> short"],
    );
    check(
        |lock| lock.tools[0].shown = Some("0".repeat(64)),
        &["other bytes are shown for the same definition"],
    );
    check(
        |lock| lock.tools[1].shown_tokens += 7,
        &[
            "~ b [files]\n    tokens as shown: ",
            "(+7)\ntokens as shown: ",
        ],
    );
    check(
        |lock| lock.tools[1].tokens -= 1,
        &["tokens as sent: ", "(-1)"],
    );
    check(
        |lock| {
            lock.tools[0].kept = 2;
            lock.tools[0].lost = vec!["Never follow links.".into()];
        },
        &[
            "constraint lost: \"Never follow links.\"",
            "constraints shown: 3 of 3 -> 2 of 3",
        ],
    );
    check(
        |lock| lock.tools.swap(0, 1),
        &["the order of tools differs, first at b"],
    );
    check(
        |lock| {
            lock.meta_tools = Some(LockedMetaTools {
                names: vec!["search_tools".into()],
                hash: "0".repeat(64),
                tokens: 9,
            });
        },
        &["our own tools: none -> 9 tokens"],
    );
    check(
        |lock| lock.tools[0].shown_tokens = 5000,
        &["over the budget: "],
    );
}

#[test]
fn an_accepted_shortfall_may_stay_but_not_grow() {
    let mut old = small();
    old.tools[0].shown_tokens = 5000;
    assert_eq!(compare(&old, &old.clone()), Differences::default());
    let mut new = old.clone();
    new.tools[0].shown_tokens = 5001;
    let is_over = |one: &Difference| matches!(one, Difference::OverBudget { .. });
    assert!(compare(&old, &new).all.iter().any(is_over));
    // A client that gets every tool has no budget.
    new.settings.list = "whole".into();
    assert_eq!(new.exceeded_budget(), None);
}

#[test]
fn what_servers_say_cannot_write_on_a_terminal_or_into_other_lines() {
    let name = "a\u{1b}[2J\n\u{202e}\"\\x";
    let parts = parts(&[Bytes::from(
        serde_json::json!({ "name": name, "inputSchema": { "type": "object" } }).to_string(),
    )]);
    let lock = lock(&parts, &settings("none", &[]));
    let text = lock.to_text();
    assert_eq!(lock.tools[0].name, name);
    assert_eq!(Lock::parse(text.as_bytes()).as_ref(), Ok(&lock));
    let mut none = lock.clone();
    none.tools.clear();
    for shown in [compare(&none, &lock).to_string(), text] {
        assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown:?}");
    }
    assert!(
        compare(&none, &lock)
            .to_string()
            .starts_with(r#"+ a\u{1b}[2J \u{202e}"\x [files]"#)
    );
}

/// Broken files: each is refused, and the message says where and what to do.
#[test]
fn a_broken_file_is_refused_with_its_line() {
    #[track_caller]
    fn check(change: impl FnOnce(&str) -> String, expected: &str) {
        let good = small().to_text();
        let bad = change(&good);
        assert_ne!(good, bad, "the change does nothing");
        let error = Lock::parse(bad.as_bytes())
            .expect_err("it is broken")
            .to_string();
        assert!(error.contains(expected), "{expected} is not in: {error}");
        assert!(error.contains("\nhint: "), "{error}");
    }
    let swap = |from: &'static str, to: &'static str| move |good: &str| good.replacen(from, to, 1);
    check(swap("version = 1", "version = 2"), "version 2");
    check(swap("version = 1\n", ""), "version");
    check(
        swap("budget = \"4000\"", "budget = \"many\""),
        "line 7 of the lock file: `many` is no budget",
    );
    check(
        swap("budget = \"4000\"", "budgets = \"4000\""),
        "unknown field `budgets`",
    );
    check(swap("pins = []", "pins = [\"a=leaner\"]"), "no pin");
    check(swap("surface = \"auto\"", "surface = \"some\""), "some");
    check(
        swap("rung = \"lean\"", "rung = \"leaner\""),
        "unknown rendering `leaner`",
    );
    check(
        swap("rung = \"lean\"", "rung = \"hidden\""),
        "`a` is `hidden` and has `shown`",
    );
    check(swap("risk = \"read\"", "risk = \"none\""), "none");
    check(swap("original = \"", "original = \"x"), "64 digits");
    check(swap("kept = 3", "kept = 4"), "keeps more");
    check(
        swap("kept = 3", "kept = 2"),
        "names 0 lost constraints, not 1",
    );
    check(
        swap("tools = 2", "tools = 3"),
        "says 3 tools, but its tools make 2",
    );
    check(swap("[[tool]]", "[[tools]]"), "tools");
    check(swap("[total]", "[total"), "line 13");
    check(|good| format!("<<<<<<< HEAD\n{good}"), "line 1 ");
    check(|good| good[..good.len() / 2].to_owned(), "line ");
    // A merge that kept a tool twice.
    check(
        |good| {
            let at = good.rfind("\n[[tool]]").expect("it has tools");
            format!("{good}{}", &good[at..])
        },
        "changed by hand or by a merge",
    );
    let error = Lock::parse(b"version = 1\n\xff").unwrap_err();
    assert_eq!(error, LockError::NotText { line: 2 });
    let huge = vec![b'#'; MAX_BYTES + 1];
    assert!(matches!(
        Lock::parse(&huge),
        Err(LockError::TooLarge { .. })
    ));
    // Nesting is bounded by the reader of TOML.
    let deep = format!("version = {}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(Lock::parse(deep.as_bytes()).is_err());
}

fn any_hash() -> impl Strategy<Value = String> {
    prop_oneof![Just("0".repeat(64)), Just("f".repeat(64))]
}

fn any_tool() -> impl Strategy<Value = LockedTool> {
    let rung = prop::sample::select(Rung::ALL.to_vec());
    let risk = prop::sample::select(RiskClass::ALL.to_vec());
    let lost = prop::collection::vec("[ab]", 0..3);
    let texts = ("[ab]|\\PC{0,5}", "[ab]{1,2}", any_hash(), any_hash());
    (texts, rung, risk, 0u64..3, 0u64..3, 0u64..3, lost).prop_map(
        |((name, part, original, shown), rung, risk, tokens, shown_tokens, kept, lost)| {
            let is_hidden = rung == Rung::Hidden;
            let lost = if promises(rung) { lost } else { Vec::new() };
            LockedTool {
                server: "s".into(),
                name,
                original,
                parts: vec![format!("{part}:0")],
                risk,
                rung,
                shown: (!is_hidden).then_some(shown),
                tokens,
                shown_tokens: if is_hidden { 0 } else { shown_tokens },
                constraints: kept + lost.len() as u64,
                kept,
                lost,
            }
        },
    )
}

fn any_lock() -> impl Strategy<Value = Lock> {
    let budget = prop::sample::select(vec![Budget::Auto, Budget::Tokens(2), Budget::Unlimited]);
    let pins = prop::collection::vec("[a*,= ]{1,2}=lean", 0..2);
    let own = prop::option::of((any_hash(), 0u64..2));
    let tools = prop::collection::vec(any_tool(), 0..4);
    (budget, any::<bool>(), pins, own, tools).prop_map(
        |(budget, open_schemas, pins, own, tools)| Lock {
            tokenizer: "o200k_base".into(),
            settings: LockedSettings {
                surface: "auto".into(),
                budget,
                profile: "generic".into(),
                list: "budgeted".into(),
                open_schemas,
                pins,
            },
            meta_tools: own.map(|(hash, tokens)| LockedMetaTools {
                names: vec!["search_tools".into()],
                hash,
                tokens,
            }),
            tools,
        },
    )
}

/// Changes one value of a tool; tells whether it changed.
fn change(tool: &mut LockedTool, which: usize) {
    match which {
        0 => tool.original = "1".repeat(64),
        1 => tool.parts.push("z:1".into()),
        2 => tool.tokens += 1,
        3 => tool.shown_tokens += 1,
        4 => tool.constraints += 1,
        5 => tool.kept += 1,
        6 => tool.lost.push("z".into()),
        7 => tool.shown = Some("1".repeat(64)),
        8 => tool.server.push('t'),
        _ => tool.name.push('t'),
    }
}

proptest! {
    /// What is written is read again, whatever names hold.
    #[test]
    fn files_come_back(lock in any_lock()) {
        prop_assert_eq!(Lock::parse(lock.to_text().as_bytes()), Ok(lock));
    }

    /// Nothing differs exactly where locks are equal, so no change passes `--check`.
    #[test]
    fn only_equal_locks_do_not_differ(old in any_lock(), new in any_lock()) {
        prop_assert_eq!(compare(&old, &new).is_empty(), old == new, "{:?}", compare(&old, &new));
        prop_assert!(compare(&old, &old).is_empty());
    }

    /// The same with locks that are almost equal.
    #[test]
    fn one_changed_value_is_seen(old in any_lock(), at in 0usize..4, which in 0usize..10) {
        let mut new = old.clone();
        if let Some(tool) = new.tools.get_mut(at) {
            change(tool, which);
        }
        prop_assert_eq!(compare(&old, &new).is_empty(), old == new);
    }

    /// Neither noise nor a good file with bytes changed makes a panic, and what is accepted is canonical
    /// in meaning: written again and read again it is the same.
    #[test]
    fn damage_never_panics(lock in any_lock(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut text = lock.to_text().into_bytes();
        let at = at.index(text.len());
        text[at] = byte;
        if let Ok(read) = Lock::parse(&text) {
            prop_assert_eq!(Lock::parse(read.to_text().as_bytes()), Ok(read));
        }
        let _ = Lock::parse(&text[..at]);
    }
}

/// The properties above catch a comparison that forgets something: here one that looks at hashes only.
#[test]
fn a_comparison_of_hashes_alone_is_caught() {
    let forgets = |old: &Lock, new: &Lock| {
        let hashes = |lock: &Lock| -> Vec<(String, Option<String>)> {
            let tools = lock.tools.iter();
            tools
                .map(|tool| (tool.original.clone(), tool.shown.clone()))
                .collect()
        };
        hashes(old) == hashes(new)
    };
    let old = small();
    let mut new = old.clone();
    change(&mut new.tools[0], 3);
    assert!(forgets(&old, &new) && !compare(&old, &new).is_empty());
}

#[test]
fn untouched_lists_are_locked_as_they_are() {
    let parts = captured();
    let counter = TiktokenCounter::new(Encoding::O200kBase);
    let surface = Made::untouched(&parts).surface;
    let lock = Lock::of(
        &parts,
        &parts,
        &surface,
        LockedSettings::of(None, "generic"),
        &counter,
    );
    assert_eq!(lock.settings.surface, "full");
    assert_eq!(lock.tokens(), lock.shown_tokens());
    let is_whole = |tool: &LockedTool| tool.kept == tool.constraints && tool.rung == Rung::Full;
    assert!(lock.tools.iter().all(is_whole));
}
