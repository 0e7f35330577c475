//! Holds the list of protections that `tests/faults/off/run` switches off: every edit still fits the source at
//! one place, every test is still there, and the table in the documentation has what came of the last run.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;

/// Switches that there are at least.
const LEAST: usize = 20;
/// What has to be covered.
const AREAS: [&str; 9] = [
    "frames",
    "ids",
    "cancellation",
    "cache",
    "HTTP",
    "auth",
    "policy",
    "pins",
    "results",
];

#[derive(Deserialize)]
struct File {
    protection: Vec<Protection>,
}

#[derive(Deserialize)]
struct Protection {
    name: String,
    area: String,
    says: String,
    test: String,
    edits: Vec<[String; 3]>,
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn protections() -> Vec<Protection> {
    let file: File =
        toml::from_str(&read("tests/faults/off/protections.toml")).expect("the list is TOML");
    file.protection
}

/// What is wrong with one.
fn complaint(one: &Protection, read: impl Fn(&str) -> String) -> Option<String> {
    for [file, before, after] in &one.edits {
        let n = read(file).matches(before.as_str()).count();
        if n != 1 {
            return Some(format!("{file} has {n} times: {before}"));
        }
        if !after.contains("{off}") {
            return Some(format!("no switch in {after}"));
        }
    }
    let (binary, path) = one.test.split_once(' ')?;
    let mut parts: Vec<&str> = path.split("::").collect();
    let name = parts.pop()?;
    let root = if binary == "lib" { "src" } else { "tests" };
    // A module is a file, or stands inside the file of the one above it.
    let is_there = (1..=parts.len()).any(|n| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(root)
            .join(format!("{}.rs", parts[..n].join("/")));
        std::fs::read_to_string(source).is_ok_and(|text| {
            ["#[test]\n", "#[tokio::test]\nasync "].iter().any(|head| {
                let inside = head.replace('\n', "\n    ");
                text.contains(&format!("{head}fn {name}()"))
                    || text.contains(&format!("{inside}fn {name}()"))
            })
        })
    });
    (!is_there).then(|| format!("there is no test {}", one.test))
}

#[test]
fn every_protection_can_be_switched_off_and_has_its_test() {
    let all = protections();
    assert!(all.len() >= LEAST, "{} switches", all.len());
    let areas: BTreeSet<&str> = all.iter().map(|one| one.area.as_str()).collect();
    assert!(AREAS.iter().all(|area| areas.contains(area)), "{areas:?}");
    let mut names = BTreeSet::new();
    let table = read("docs/faults.md");
    for one in &all {
        assert!(names.insert(&one.name), "`{}` stands twice", one.name);
        assert_eq!(complaint(one, read), None, "`{}`", one.name);
        let path = one.test.split_once(' ').map_or("", |(_, path)| path);
        let row = format!(
            "| `{}` | {} | {} | `{path}` | passes | fails |",
            one.name, one.area, one.says
        );
        assert!(
            table.contains(&row),
            "docs/faults.md lacks\n{row}\nrun tests/faults/off/run --write docs/faults.md"
        );
    }
}

#[test]
fn the_list_catches_what_no_longer_fits() {
    let mut one = protections().remove(0);
    assert!(complaint(&one, |_| String::new()).is_some());
    assert!(complaint(&one, |file| read(file).repeat(2)).is_some());
    one.test.push_str("_of_another_name");
    assert!(complaint(&one, read).is_some());
}
