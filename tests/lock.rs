//! `lock` and `cache check` as a user runs them: the built binary over captured lists, and over servers
//! that replay them.
#![expect(clippy::unwrap_used, reason = "a failure of the fixture is the test's")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_mcp-whittle");

struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

/// Runs the binary in a folder.
fn run(folder: &Path, args: &[&str]) -> Ended {
    let output = Command::new(BINARY)
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap();
    Ended {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[track_caller]
fn expect(folder: &Path, args: &[&str], code: i32) -> Ended {
    let ended = run(folder, args);
    let Ended { stdout, stderr, .. } = &ended;
    assert_eq!(ended.code, code, "{args:?}\n{stdout}\n{stderr}");
    ended
}

fn captured(server: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata/servers")
        .join(server)
}

/// Copies a captured server's list, changed.
fn changed(server: &str, to: &Path, change: impl FnOnce(&mut Vec<Value>)) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(captured(server)).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
    let text = std::fs::read_to_string(to.join("tools.json")).unwrap();
    let mut page: Value = text
        .lines()
        .next()
        .and_then(|line| serde_json::from_str(line).ok())
        .unwrap_or_else(|| serde_json::from_str(&text).unwrap());
    let tools = page["result"]["tools"].as_array_mut().unwrap();
    change(tools);
    std::fs::write(to.join("tools.json"), format!("{page}\n")).unwrap();
}

#[test]
fn what_is_locked_holds_until_a_server_says_something_else() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let list = here.join("time");
    changed("time", &list, |_| {});
    let wrote = expect(
        here,
        &[
            "lock",
            "--tools",
            "time",
            "--tools",
            captured("memory").to_str().unwrap(),
        ],
        0,
    );
    assert!(
        wrote.stdout.starts_with("wrote mcp-whittle.lock: "),
        "{}",
        wrote.stdout
    );
    let first = std::fs::read(here.join("mcp-whittle.lock")).unwrap();
    let memory = captured("memory");
    let args = ["--tools", "time", "--tools", memory.to_str().unwrap()];
    let check = [&["lock", "--check"][..], &args].concat();
    let held = expect(here, &check, 0);
    assert!(
        held.stdout.starts_with("mcp-whittle.lock holds: "),
        "{}",
        held.stdout
    );
    let again = expect(here, &[&["lock"][..], &args].concat(), 0);
    assert!(again.stdout.contains("nothing differs"), "{}", again.stdout);
    assert_eq!(std::fs::read(here.join("mcp-whittle.lock")).unwrap(), first);

    changed("time", &list, |tools| {
        let text = tools[0]["description"].as_str().unwrap().to_owned();
        tools[0]["description"] = json!(format!("{text}. Never ask twice."));
        tools[0]["annotations"]["destructiveHint"] = json!(true);
        tools[1]["inputSchema"]["properties"]["source_timezone"]["description"] = json!("A zone.");
    });
    let differs = expect(here, &check, 1);
    for line in [
        "mcp-whittle.lock does not hold: 2 changed by the server",
        "~ get_current_time [time]\n    changed by its server: annotations, description\n",
        "risk: read -> destructive",
        "~ convert_time [time]\n    changed by its server: inputSchema\n",
        "hint: ",
    ] {
        assert!(
            differs.stdout.contains(line),
            "{line} is not in\n{}",
            differs.stdout
        );
    }
    assert!(!differs.stdout.contains("[memory]"), "{}", differs.stdout);
    assert_eq!(
        std::fs::read(here.join("mcp-whittle.lock")).unwrap(),
        first,
        "a check writes nothing"
    );

    changed("time", &list, |tools| {
        tools.remove(0);
        tools.push(json!({ "name": "new\u{1b}[1m", "inputSchema": { "type": "object" } }));
    });
    let differs = expect(here, &check, 1).stdout;
    assert!(differs.contains("- get_current_time [time]"), "{differs}");
    assert!(differs.contains(r"+ new\u{1b}[1m [time]"), "{differs}");
    // Written again it holds again, and says what has become other.
    let renewed = expect(here, &[&["lock"][..], &args].concat(), 0).stdout;
    assert!(renewed.contains("- get_current_time [time]"), "{renewed}");
    expect(here, &check, 0);
}

#[test]
fn growth_over_the_budget_and_other_settings_are_seen() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let list = here.join("time");
    changed("time", &list, |_| {});
    let out = ["-o", "locks.toml", "--tools", "time"];
    expect(
        here,
        &[&["lock", "--budget", "400", "--pin", "*=lean"][..], &out].concat(),
        0,
    );
    let check = [
        &["lock", "--check", "--budget", "400", "--pin", "*=lean"][..],
        &out,
    ]
    .concat();
    expect(here, &check, 0);
    changed("time", &list, |tools| {
        tools[1]["description"] = json!("It must be told where it is. ".repeat(60));
    });
    let grown = expect(here, &check, 1).stdout;
    assert!(grown.contains("1 grew"), "{grown}");
    assert!(grown.contains("\nover the budget: "), "{grown}");
    assert!(grown.contains("tokens as shown: "), "{grown}");
    let other = expect(
        here,
        &[&["lock", "--check", "--surface", "full"][..], &out].concat(),
        1,
    );
    for line in [
        "surface: auto -> full",
        "budget: 400 -> none",
        "pins: [*=lean] -> []",
    ] {
        assert!(other.stdout.contains(line), "{}", other.stdout);
    }
}

#[test]
fn what_cannot_be_checked_has_codes_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let time = captured("time");
    let tools = ["--tools", time.to_str().unwrap()];
    let check = [&["lock", "--check"][..], &tools].concat();
    let missing = expect(here, &check, 2).stderr;
    assert!(
        missing.contains("cannot read `mcp-whittle.lock`"),
        "{missing}"
    );
    assert!(missing.contains("hint: write it first"), "{missing}");
    std::fs::write(
        here.join("mcp-whittle.lock"),
        "version = 1\ntokenizer = 3\n",
    )
    .unwrap();
    let broken = expect(here, &check, 2).stderr;
    assert!(broken.contains("line 2 of the lock file"), "{broken}");
    std::fs::create_dir(here.join("folder")).unwrap();
    expect(here, &[&check[..], &["-o", "folder"]].concat(), 2);

    expect(here, &["lock", "--no-such-option"], 2);
    expect(here, &["lock", "--check"], 2);
    expect(
        here,
        &[&["lock", "--budget", "many"][..], &tools].concat(),
        2,
    );
    expect(
        here,
        &[&["lock", "--profile", "nobody"][..], &tools].concat(),
        2,
    );
    // Nothing may be half written.
    let no_folder = [&["lock", "-o", "no/such/folder"][..], &tools].concat();
    expect(here, &no_folder, 1);
    expect(
        here,
        &["lock", "-o", "x.lock", "--tools", "no-such-file"],
        1,
    );
    let dead = expect(
        here,
        &["lock", "-o", "x.lock", "--no-state", "--", "false"],
        1,
    )
    .stderr;
    assert!(dead.contains("hint: "), "{dead}");
    assert!(!here.join("x.lock").exists());

    expect(here, &[&["lock"][..], &tools].concat(), 0);
    expect(here, &["lock", "--check", "--no-state", "--", "false"], 3);
    expect(here, &["lock", "--check", "--tools", "no-such-file"], 3);
    let names: Vec<_> = std::fs::read_dir(here)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 2, "nothing else is left: {names:?}");
}

/// A file with two servers; one list is longer than the budget.
fn config(here: &Path) -> String {
    let server = |name: &str| json!({ "command": BINARY, "args": ["replay", captured(name)] });
    let servers = json!({ "mcpServers": { "time": server("time"), "notion": server("notion") } });
    let path = here.join("mcp.json");
    std::fs::write(&path, servers.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The lock is of what clients get: hashes of the list that came through the proxy are those in the file.
#[test]
fn the_lock_is_of_what_clients_get() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let config = config(here);
    for budget in ["auto", "3k", "1500"] {
        let shaped = ["--no-state", "--budget", budget, "--config", &config];
        let wrote = expect(here, &[&["lock"][..], &shaped].concat(), 0);
        let checked = expect(
            here,
            &[&["cache", "check", "--save", "list.jsonl"][..], &shaped].concat(),
            0,
        );
        assert!(
            checked.stdout.contains("the whole list is the same"),
            "{}",
            checked.stdout
        );
        let text = std::fs::read_to_string(here.join("mcp-whittle.lock")).unwrap();
        let lock: toml::Table = toml::from_str(&text).unwrap();
        let list = std::fs::read(here.join("list.jsonl")).unwrap();
        let tools = mcp_whittle::jsonrpc::members::get(list.trim_ascii(), "tools").unwrap();
        let mut shown: Vec<String> = mcp_whittle::jsonrpc::members::elements(tools)
            .into_iter()
            .map(|at| blake3::hash(&tools[at]).to_hex().to_string())
            .collect();
        let own = lock.get("meta_tools");
        let n_own = own.map_or(0, |own| own["names"].as_array().unwrap().len());
        assert!(n_own > 0 || budget == "auto", "{}", wrote.stdout);
        shown.drain(..n_own);
        let locked: Vec<&str> = lock["tool"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|tool| tool.get("shown")?.as_str())
            .collect();
        assert_eq!(shown, locked, "{budget}");
        assert!(text.contains("name = \"notion__"), "{text}");
    }
}

/// A command that is another server at its second start.
fn moody(here: &Path, second: &Path) -> String {
    let script = here.join("moody.sh");
    let first = captured("time");
    let text = format!(
        "if [ -e started ]; then exec '{BINARY}' replay '{}'; fi\n: > started\nexec '{BINARY}' replay '{}'\n",
        second.display(),
        first.display()
    );
    std::fs::write(&script, text).unwrap();
    script.to_str().unwrap().to_owned()
}

#[test]
fn a_list_that_moves_between_starts_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let other = here.join("other");
    changed("time", &other, |tools| {
        tools[1]["inputSchema"]["properties"]["time"]["default"] = json!("12:31");
    });
    let script = moody(here, &other);
    let check = ["cache", "check", "--no-state", "--", "sh", &script];
    let moved = expect(here, &check, 1).stdout;
    assert!(
        moved.contains(
            "first difference: tool `convert_time`, at /tools/1/inputSchema/properties/time/"
        ),
        "{moved}"
    );
    assert!(moved.contains("12:31"), "{moved}");
    let number = |line: &str, at: usize| -> usize {
        let line = moved.lines().find(|found| found.starts_with(line)).unwrap();
        line.split(' ')
            .filter_map(|word| word.parse().ok())
            .nth(at)
            .unwrap()
    };
    let (common, all) = (number("common prefix", 0), number("common prefix", 1));
    assert!(0 < common && common < all, "{moved}");
    assert_eq!(number("start 1:", 1), all, "{moved}");
    // From the second start on it is always the same.
    let steady = expect(here, &check, 0).stdout;
    assert!(steady.contains("the whole list is the same"), "{steady}");
}

#[test]
fn a_saved_list_is_compared_with_one_start() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let time = captured("time");
    let server = ["--no-state", "--", BINARY, "replay", time.to_str().unwrap()];
    let check = |options: &[&'static str]| [&["cache", "check"][..], options, &server].concat();
    expect(here, &check(&["--save", "old.jsonl"]), 0);
    let same = expect(here, &check(&["--against", "old.jsonl"]), 0).stdout;
    assert!(same.starts_with("old.jsonl: 2 tools, "), "{same}");
    let shaped = expect(
        here,
        &check(&["--against", "old.jsonl", "--surface", "full"]),
        1,
    )
    .stdout;
    assert!(
        shaped.contains("first difference: tool `get_current_time`"),
        "{shaped}"
    );
    // A saved list is one that `count` reads.
    expect(here, &["count", "--tools", "old.jsonl"], 0);

    expect(here, &check(&["--against", "none.jsonl"]), 2);
    std::fs::write(here.join("bad.jsonl"), "{\"tools\":[]}\n{\"tools\":\n").unwrap();
    let bad = expect(here, &check(&["--against", "bad.jsonl"]), 2).stderr;
    assert!(bad.contains("line 2 of `bad.jsonl`"), "{bad}");
    std::fs::write(here.join("bad.jsonl"), "\n").unwrap();
    expect(here, &check(&["--against", "bad.jsonl"]), 2);
    expect(here, &["cache", "check"], 2);
    expect(here, &["cache", "check", "--no-state", "--", "false"], 3);
    expect(here, &check(&["--save", "no/such/folder"]), 3);
}
