//! `eval retrieval` over a catalogue made of the captured servers.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use super::{lines, run, servers, testdata};

/// Writes the captured servers' tools in the format of evaluation sets and returns the ids.
fn write_catalog(path: &Path) -> Vec<String> {
    let mut text = String::new();
    let mut ids = Vec::new();
    for folder in servers() {
        let server = folder.file_name().unwrap().to_str().unwrap();
        let listed = std::fs::read(folder.join("tools.json")).unwrap();
        let listed: Value = serde_json::from_slice(&listed).unwrap();
        for tool in listed["result"]["tools"].as_array().unwrap() {
            let id = format!("{server}::{}", tool["name"].as_str().unwrap());
            let row = json!({
                "id": id, "server": server, "name": tool["name"], "description": tool["description"],
                "inputSchema": tool["inputSchema"],
            });
            text.push_str(&format!("{row}\n"));
            ids.push(id);
        }
    }
    std::fs::write(path, text).unwrap();
    ids
}

fn eval(catalog: &Path, queries: &Path, out: &Path, options: &[&str]) -> Output {
    let paths = [catalog, queries, out].map(|path| path.to_str().unwrap());
    let [catalog, queries, out] = paths;
    let args = [
        "eval",
        "retrieval",
        "--catalog",
        catalog,
        "--queries",
        queries,
        "--out",
        out,
    ];
    run(&[&args, options].concat())
}

#[test]
fn rankings_are_written_and_measured() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = folder.path().join("catalog.jsonl");
    let ids = write_catalog(&catalog);
    let queries = testdata("search/queries.jsonl");
    let out = folder.path().join("run.jsonl");
    let output = eval(&catalog, &queries, &out, &["--json"]);
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();

    // The rankings: every query once, in order, known ids, none twice, at most 50.
    let labelled = lines(&queries);
    let ranked = lines(&out);
    assert_eq!(ranked.len(), labelled.len());
    let mut recall = [0.0; 2];
    for (row, query) in ranked.iter().zip(&labelled) {
        assert_eq!(row["qid"], query["id"]);
        let tools: Vec<&str> = row["ranked"]
            .as_array()
            .unwrap()
            .iter()
            .map(|id| id.as_str().unwrap())
            .collect();
        assert!(!tools.is_empty() && tools.len() <= 50);
        assert!(tools.iter().all(|tool| ids.iter().any(|id| id == tool)));
        let mut distinct = tools.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), tools.len());
        let relevant = query["relevant"].as_array().unwrap();
        let rank = tools
            .iter()
            .position(|tool| relevant.iter().any(|id| id == tool));
        for (recall, depth) in recall.iter_mut().zip([1, 5]) {
            *recall += f64::from(u8::from(rank.is_some_and(|rank| rank < depth)));
        }
    }

    // The measures: what follows from the rankings (each of these queries has one need).
    let rows = report["measures"].as_array().unwrap();
    let splits: Vec<_> = rows
        .iter()
        .map(|row| row["split"].as_str().unwrap())
        .collect();
    assert_eq!(splits, ["all", "dev", "test"]);
    let n = labelled.len() as f64;
    for (recall, key) in recall.iter().zip(["recall@1", "recall@5"]) {
        assert!(
            (rows[0][key].as_f64().unwrap() - recall / n).abs() < 1e-9,
            "{key}"
        );
    }
    assert_eq!(report["queries"], labelled.len());
    assert_eq!(report["tools"], ids.len());
    // A guard of behaviour, well below what is reached.
    assert!(recall[1] / n > 0.9, "{recall:?} of {n}");

    let again = folder.path().join("again.jsonl");
    assert!(eval(&catalog, &queries, &again, &[]).status.success());
    assert_eq!(std::fs::read(&out).unwrap(), std::fs::read(&again).unwrap());
}

#[test]
fn queries_without_labels_are_ranked_only() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = folder.path().join("catalog.jsonl");
    write_catalog(&catalog);
    let out = folder.path().join("run.jsonl");
    let output = eval(&catalog, &testdata("search/off_catalog.jsonl"), &out, &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("16 queries") && !text.contains("R@1"),
        "{text}"
    );
    assert_eq!(lines(&out).len(), 16);
}

#[test]
fn abstention_is_counted_with_and_without_the_tools_that_fit() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = folder.path().join("catalog.jsonl");
    write_catalog(&catalog);
    let queries = testdata("search/queries.jsonl");
    let out = folder.path().join("run.jsonl");
    let output = eval(&catalog, &queries, &out, &["--json", "--abstention"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let shares = &report["abstention"];
    assert_eq!(shares["false"]["n"], 34);
    assert_eq!(shares["true"]["n"], 34);
    let of = |side: &str| shares[side]["nothingFits"].as_f64().unwrap();
    assert!(of("false") <= of("true"), "{shares}");
}

#[test]
fn bad_lines_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let tool = r#"{"id":"a","name":"read_file"}"#;
    let good = file("good.jsonl", &format!("{tool}\n\n"));
    let query = file("query.jsonl", "{\"qid\":1}\n");
    let out = folder.path().join("run.jsonl");
    let tell = |catalog: &Path, queries: &Path, expected: &str| {
        let output = eval(catalog, queries, &out, &[]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains(expected), "{error}");
    };
    tell(&good, &query, "query.jsonl`, line 1: ");
    let text = format!("{tool}\n\n{{\"id\":\"b\"}}\n");
    tell(
        &file("no-name.jsonl", &text),
        &query,
        "no-name.jsonl`, line 3: missing field `name`",
    );
    let text = format!("{tool}\n{tool}\n");
    tell(
        &file("twice.jsonl", &text),
        &query,
        "line 2: id `a` is already on line 1",
    );
    tell(
        &file("broken.jsonl", "{\"id\":\n"),
        &query,
        "broken.jsonl`, line 1: EOF",
    );
    tell(&folder.path().join("none.jsonl"), &query, "none.jsonl");
    let queries = file(
        "queries.jsonl",
        "{\"id\":\"1\",\"text\":\"read\"}\n{\"id\":\"1\",\"text\":\"x\"}\n",
    );
    tell(
        &good,
        &queries,
        "queries.jsonl`, line 2: id `1` is already on line 1",
    );
}
