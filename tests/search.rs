//! `search` and `eval retrieval` as a user runs them: the built binary over the captured servers.
#![expect(clippy::unwrap_used, reason = "a failure of the fixture is the test's")]

mod eval;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_mcp-whittle");

fn testdata(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(path)
}

/// The captured servers' folders, by name.
fn servers() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(testdata("servers"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    folders
}

fn run(args: &[&str]) -> Output {
    Command::new(BINARY).args(args).output().unwrap()
}

/// Runs `search --json` over the captured servers and more files.
fn search(queries: &[&str], options: &[&str], more: &[&Path]) -> Value {
    let mut command = Command::new(BINARY);
    command
        .arg("search")
        .args(queries)
        .arg("--json")
        .args(options);
    for path in servers()
        .iter()
        .map(PathBuf::as_path)
        .chain(more.iter().copied())
    {
        command.arg("--tools").arg(path);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// `server::name` of each hit.
fn hits(answer: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let hits = answer["hits"].as_array().unwrap().iter();
    hits.map(|hit| format!("{}::{}", text(&hit["server"]), text(&hit["name"])))
        .collect()
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_name_in_any_spelling_comes_first() {
    for (query, expected, named) in [
        ("read_graph", "memory::read_graph", "exact"),
        ("readGraph", "memory::read_graph", "spelling"),
        ("mcp__memory__read_graph", "memory::read_graph", "alias"),
        (
            "call read_graph, then create nodes",
            "memory::read_graph",
            "mention",
        ),
    ] {
        let answer = search(&[query], &[], &[]);
        assert_eq!(hits(&answer)[0], expected, "{query}");
        assert_eq!(answer["hits"][0]["named"], named, "{query}");
        assert_eq!(answer["verdict"], "fits");
    }
}

#[test]
fn several_queries_a_filter_and_a_limit() {
    let answer = search(
        &["convert a time", "delete entities"],
        &["--limit", "2"],
        &[],
    );
    assert_eq!(
        hits(&answer),
        ["time::convert_time", "memory::delete_entities"]
    );
    assert_eq!(answer["hits"][1]["query"], "delete entities");
    let answer = search(
        &["create a page"],
        &["--server", "memory", "--limit", "50"],
        &[],
    );
    assert!(!hits(&answer).is_empty());
    assert!(hits(&answer).iter().all(|hit| hit.starts_with("memory::")));
}

#[test]
fn explanations_add_up() {
    let answer = search(&["copy of the folder tree"], &["--explain"], &[]);
    for hit in answer["hits"].as_array().unwrap() {
        let why = &hit["explanation"];
        assert!((why["score"].as_f64().unwrap() - hit["score"].as_f64().unwrap()).abs() < 1e-3);
        let terms = why["terms"].as_array().unwrap();
        let sum: f64 = terms
            .iter()
            .map(|term| term["score"].as_f64().unwrap())
            .sum();
        let product = sum * why["nameFactor"].as_f64().unwrap();
        assert!(
            (product - hit["score"].as_f64().unwrap()).abs() < 2e-3,
            "{hit}"
        );
    }
    let first = &answer["hits"][0]["explanation"];
    assert!(
        first["terms"][0]["fields"]["name"].as_f64().unwrap() > 0.0,
        "{first}"
    );
    let text = run(&[
        "search",
        "folder",
        "--explain",
        "--tools",
        testdata("servers/filesystem").to_str().unwrap(),
    ]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(
        text.contains("synonym directori") && text.contains("share of the name"),
        "{text}"
    );
}

#[test]
fn what_no_server_offers_is_said() {
    let mut n_said = 0;
    let off = lines(&testdata("search/off_catalog.jsonl"));
    for query in &off {
        let answer = search(&[query["text"].as_str().unwrap()], &[], &[]);
        n_said += usize::from(answer["verdict"] == "nothing_fits");
    }
    let on = lines(&testdata("search/queries.jsonl"));
    let mut n_refused = 0;
    for query in &on {
        let answer = search(&[query["text"].as_str().unwrap()], &[], &[]);
        n_refused += usize::from(answer["verdict"] == "nothing_fits");
    }
    assert!(n_refused <= 1, "{n_refused} of {} are refused", on.len());
    assert!(
        n_said * 2 >= off.len(),
        "{n_said} of {} are seen",
        off.len()
    );
}

#[test]
fn did_you_mean() {
    let memory = testdata("servers/memory");
    let answer = run(&["search", "graf_reed", "--tools", memory.to_str().unwrap()]);
    let text = String::from_utf8(answer.stdout).unwrap();
    assert!(
        text.starts_with("nothing fits") && text.contains("did you mean read_graph"),
        "{text}"
    );
}

/// The description of a captured tool, by `server::name`.
fn description(of: &str) -> String {
    let (server, name) = of.split_once("::").unwrap();
    let list = std::fs::read(testdata("servers").join(server).join("tools.json")).unwrap();
    let list: Value = serde_json::from_slice(&list).unwrap();
    let tools = list["result"]["tools"].as_array().unwrap();
    let tool = tools.iter().find(|tool| tool["name"] == name).unwrap();
    tool["description"].as_str().unwrap().to_owned()
}

/// Searches beside a server with `n_copies` of the best tool, its name and words twenty times over in
/// every field; returns the queries whose tool is not among the first five any more.
fn displaced(n_copies: usize) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("evil.json");
    let mut displaced = Vec::new();
    for query in lines(&testdata("search/queries.jsonl")).iter().step_by(2) {
        let text = query["text"].as_str().unwrap();
        let before = hits(&search(&[text], &[], &[]));
        let name = before[0].split("::").nth(1).unwrap();
        let words = format!("{name} {}", description(&before[0]));
        let copies: Vec<Value> = (0..n_copies)
            .map(|n| {
                json!({
                    "name": format!("{name}_{n}"),
                    "title": name,
                    "description": format!("{words} ").repeat(20),
                    "inputSchema": {"properties": {name: {"description": words, "enum": [words]}}},
                })
            })
            .collect();
        std::fs::write(&file, json!({ "tools": copies }).to_string()).unwrap();
        let after = hits(&search(&[text], &[], &[&file]));
        assert!(
            after.iter().any(|hit| hit.starts_with("evil::")),
            "the copies compete: {text}"
        );
        if !after.contains(&before[0]) {
            displaced.push(text.to_owned());
        }
    }
    displaced
}

/// Three stuffed copies displace nothing. Twenty also make the tool's own words common, which costs it
/// against its honest neighbours: a few fall behind.
#[test]
fn stuffed_copies_displace_little() {
    assert_eq!(displaced(3), Vec::<String>::new());
    assert!(displaced(20).len() <= 2);
}

#[test]
fn live_servers_and_odd_input() {
    let memory = testdata("servers/memory");
    let output = run(&[
        "search",
        "delete entities",
        "--json",
        "--no-state",
        "--",
        BINARY,
        "replay",
        memory.to_str().unwrap(),
    ]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["hits"][0]["name"], "delete_entities");

    let long = "read a graph 图 ".repeat(7_000);
    let answer = search(&[&long], &[], &[]);
    assert_eq!(answer["isCut"], true);
    assert_eq!(hits(&answer)[0], "memory::read_graph");
    for query in ["", "   ", "🦀", "\u{202e}\u{7}", "ﷺ ﷽", "的"] {
        assert_eq!(
            search(&[query], &[], &[])["verdict"],
            "nothing_fits",
            "{query:?}"
        );
    }
}

/// Three tools, none of which has a word of the query.
fn small_list(folder: &Path) -> PathBuf {
    let tool = |name: &str, description: &str| json!({"name": name, "description": description, "inputSchema": {"type": "object"}});
    let path = folder.join("tools.json");
    let tools = json!({"tools": [
        tool("convert_money", "Convert money."),
        tool("play_song", "Play a song."),
        tool("send_message", "Send a message."),
    ]});
    std::fs::write(&path, tools.to_string()).unwrap();
    path
}

#[test]
fn a_table_finds_what_words_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let tools = small_list(folder.path());
    let table = testdata("search/table");
    let ask = |query: &str, options: &[&str]| -> Value {
        let tools = ["--tools", tools.to_str().unwrap(), "--json"];
        let output = run(&[&["search", query], &tools[..], options].concat());
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let with_table = ["--explain", "--embeddings", table.to_str().unwrap()];
    assert!(hits(&ask("video", &[])).is_empty());
    let answer = ask("video", &with_table);
    assert!(hits(&answer)[0].ends_with("::play_song"), "{answer}");
    let why = &answer["hits"][0]["explanation"];
    assert!(
        why["meaning"].as_f64() > Some(0.0) && why["meaning"] == why["score"],
        "{answer}"
    );
    // Whether something fits is judged by words.
    assert_eq!(answer["verdict"], "nothing_fits");
    // A story is not helped: beyond 25 words the answer is that of words alone.
    let story = "video to play while a friend and I are ".repeat(4);
    assert_eq!(ask(&story, &[]), ask(&story, &with_table[1..]));
}

#[test]
fn a_folder_that_is_no_table_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let tools = small_list(folder.path());
    let told = |table: &Path| {
        let table = table.to_str().unwrap();
        let tools = tools.to_str().unwrap();
        let output = run(&["search", "x", "--tools", tools, "--embeddings", table]);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let missing = told(&folder.path().join("none"));
    assert!(
        missing.contains("none/tokenizer.json`: No such file")
            && missing.contains("\nhint: name the folder of a model2vec model"),
        "{missing}"
    );
    let vocabulary = testdata("search/table/tokenizer.json");
    std::fs::copy(vocabulary, folder.path().join("tokenizer.json")).unwrap();
    std::fs::write(folder.path().join("model.safetensors"), "no weights").unwrap();
    let wrong = told(folder.path());
    assert!(
        wrong.contains("is no table of word vectors: the weights are not safetensors")
            && wrong.contains("\nhint: static models"),
        "{wrong}"
    );
}

#[test]
fn wrong_use_is_told() {
    let memory = testdata("servers/memory");
    let tell = |args: &[&str], code: i32, expected: &str| {
        let output = run(args);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{error}");
        assert!(error.contains(expected), "{error}");
        assert!(output.stdout.is_empty());
    };
    let memory = memory.to_str().unwrap();
    tell(
        &["search", "x", "--server", "nosuch", "--tools", memory],
        1,
        "the servers are: memory",
    );
    tell(&["search", "--tools", memory], 2, "QUERY");
    tell(
        &["search", "x", "--limit", "0", "--tools", memory],
        2,
        "--limit",
    );
    tell(
        &["search", "x", "--tools", "no-such-file"],
        1,
        "cannot read `no-such-file`",
    );
}
