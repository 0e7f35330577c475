//! Holds the table in `docs/faults.md` against the test functions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The list that was drawn up before anything was built.
const CASES: &str = include_str!("../../testdata/faults/cases.tsv");

/// Rows that may have no test, because they are about something that this program does not have. The table says
/// why.
const NOT_APPLICABLE: [&str; 4] = ["F85", "F86", "F87", "F91"];
/// Rows that are not done. The table says what is missing; nothing is added here.
const OPEN: [&str; 0] = [];

/// The ids of the list.
fn wanted() -> BTreeSet<String> {
    let lines = CASES.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split('\t').next())
        .map(str::to_owned)
        .collect()
}

/// Returns the test that each row of the table names, or a dash.
fn rows(table: &str) -> BTreeMap<String, String> {
    table
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| F")?.split('|').map(str::trim);
            let id = format!("F{}", cells.next()?);
            let test = cells.nth(1)?.trim_matches('`').to_owned();
            Some((id, test))
        })
        .collect()
}

/// Returns rows whose state says nothing that the table knows.
fn odd_states(table: &str) -> Vec<&str> {
    let rows = table.lines().filter(|line| line.starts_with("| F"));
    rows.filter(|line| {
        let state = line.trim_end_matches('|').rsplit('|').next();
        let state = state.unwrap_or_default().trim();
        !["passes", "open: ", "not applicable: "]
            .iter()
            .any(|known| state.starts_with(known))
    })
    .collect()
}

/// Returns the names of test functions that start with a row's id.
fn functions(source: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut is_test = false;
    for line in source.lines() {
        if let Some(rest) = line.strip_prefix("fn f")
            && is_test
            && rest.starts_with(|first: char| first.is_ascii_digit())
            && let Some(name) = rest.split('(').next()
        {
            found.insert(format!("f{name}"));
        }
        is_test = line == "#[test]";
    }
    found
}

fn complaints(table: &str, source: &str) -> Vec<String> {
    let (rows, functions) = (rows(table), functions(source));
    let mut complaints = Vec::new();
    for id in wanted() {
        match rows.get(&id).map(String::as_str) {
            None => complaints.push(format!("{id} is not in the table")),
            Some("—") if is_excused(table, &id) => {}
            Some("—") => complaints.push(format!("{id} has no test and no reason")),
            Some(test) if !functions.contains(test) => {
                complaints.push(format!("{id}: there is no test `{test}`"));
            }
            Some(test) if !test.starts_with(&format!("{}_", id.to_lowercase())) => {
                complaints.push(format!("{id}: `{test}` is named after another row"));
            }
            Some(_) => {}
        }
    }
    for function in &functions {
        if !rows.values().any(|test| test == function) {
            complaints.push(format!("`{function}` is not in the table"));
        }
    }
    for id in rows.keys().filter(|id| !wanted().contains(*id)) {
        complaints.push(format!("{id} is in the table and is no row of ours"));
    }
    complaints
}

/// Tells whether a row may be without a test, and says why it is.
fn is_excused(table: &str, id: &str) -> bool {
    let state = table
        .lines()
        .find(|line| line.starts_with(&format!("| {id} ")))
        .and_then(|line| line.trim_end_matches([' ', '|']).rsplit('|').next())
        .unwrap_or_default()
        .trim();
    let says = |word: &str| {
        let reason = state.strip_prefix(word);
        reason.is_some_and(|reason| reason.len() > 20)
    };
    (NOT_APPLICABLE.contains(&id) && says("not applicable: "))
        || (OPEN.contains(&id) && says("open: "))
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn sources() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults");
    std::fs::read_dir(folder)
        .expect("the folder of fault tests")
        .flatten()
        .filter(|entry| {
            let path = entry.path();
            let is_source = path.extension().is_some_and(|extension| extension == "rs");
            is_source && entry.file_name() != "table.rs"
        })
        .map(|entry| std::fs::read_to_string(entry.path()).expect("a source file"))
        .chain([
            read("tests/policy/approval.rs"),
            read("tests/policy/audit.rs"),
        ])
        .collect()
}

#[test]
fn every_row_has_its_test() {
    let table = read("docs/faults.md");
    assert_eq!(wanted().len(), 93);
    assert_eq!(complaints(&table, &sources()), [""; 0]);
    assert_eq!(odd_states(&table), [""; 0]);
}

#[test]
fn the_comparison_catches_broken_tables() {
    let (table, sources) = (read("docs/faults.md"), sources());
    let without_row: String = table
        .lines()
        .filter(|line| !line.starts_with("| F04"))
        .map(|line| format!("{line}\n"))
        .collect();
    let wrong_name = table.replace("`f04_", "`f05_");
    let no_test = sources.replace("#[test]\nfn f04_", "fn f04_");
    let extra = format!("{table}\n| F99 | x | `f99_x` | passes |\n");
    let excused = table.replace("`f04_child_dies_with_calls_in_flight`", "—");
    let no_reason = table.replace("not applicable: ", "not applicable: x |");
    assert!(!complaints(&without_row, &sources).is_empty());
    assert!(!complaints(&wrong_name, &sources).is_empty());
    assert!(!complaints(&table, &no_test).is_empty());
    assert!(!complaints(&extra, &sources).is_empty());
    assert!(!complaints(&excused, &sources).is_empty());
    assert!(!complaints(&no_reason, &sources).is_empty());
    assert!(!odd_states(&table.replace("passes", "perhaps")).is_empty());
}
