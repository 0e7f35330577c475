//! Recall on labelled attacks, false alarms on honest tools. `--nocapture` shows the numbers of
//! docs/scanning.md.

use std::collections::{BTreeMap, HashMap};

use mcp_whittle::jsonrpc::members;
use mcp_whittle::policy::hidden::clean_definition;
use mcp_whittle::policy::scan::{Finding, Rule, scan};
use serde_json::{Value, json};

use super::{captured, rows};

fn definition(row: &Value) -> String {
    json!({
        "name": row["name"],
        "description": row["description"],
        "inputSchema": row["inputSchema"],
    })
    .to_string()
}

/// Rules of one definition by itself.
fn rules_of(definition: &str) -> Vec<Rule> {
    let found = scan(&[("s".to_owned(), vec![definition.to_owned()])]);
    let warned = found.into_iter().map(|finding| finding.rule);
    warned.filter(|rule| rule.is_warning()).collect()
}

#[derive(Default)]
struct Count {
    all: usize,
    warned: usize,
    /// Withheld where the operator asks for it: hidden characters in names and values.
    withheld: usize,
}

impl Count {
    fn add(&mut self, definition: &str) -> Vec<Rule> {
        let rules = rules_of(definition);
        self.all += 1;
        self.warned += usize::from(!rules.is_empty());
        self.withheld += usize::from(!clean_definition(definition.as_bytes()).kept.is_empty());
        rules
    }
}

fn split() -> HashMap<(String, String), String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/security/split.tsv");
    let text = std::fs::read_to_string(path).unwrap();
    let line = |line: &str| {
        let mut cells = line.split('\t').map(str::to_owned);
        Some(((cells.next()?, cells.next()?), cells.next()?))
    };
    text.lines().skip(1).filter_map(line).collect()
}

/// Tools that are labelled benign, or captured from servers that people use.
fn honest() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for row in rows("cisco-tools.jsonl") {
        if row["label"] == "benign" {
            all.push(("labelled".to_owned(), definition(&row)));
        }
    }
    for row in rows("msb-tools.jsonl") {
        if row["variant"] == "base" {
            all.push(("labelled".to_owned(), definition(&row)));
        }
    }
    for (server, tools) in lists() {
        all.extend(tools.into_iter().map(|tool| (server.clone(), tool)));
    }
    all
}

fn lists() -> Vec<(String, Vec<String>)> {
    let mut all = Vec::new();
    for folder in captured() {
        let bytes = std::fs::read(folder.join("tools.json")).unwrap();
        let mut tools = Vec::new();
        for line in serde_json::Deserializer::from_slice(&bytes).into_iter::<Value>() {
            let line = line.unwrap().to_string();
            let result = members::get(line.as_bytes(), "result").unwrap_or(line.as_bytes());
            let array = members::get(result, "tools").unwrap_or(b"[]");
            for at in members::elements(array) {
                tools.push(String::from_utf8_lossy(&array[at]).into_owned());
            }
        }
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        all.push((name, tools));
    }
    all
}

#[test]
fn honest_tools_are_hardly_ever_warned_of() {
    let mut count = Count::default();
    for (server, tool) in honest() {
        let rules = count.add(&tool);
        if !rules.is_empty() {
            let name = members::get_text(tool.as_bytes(), "name").unwrap_or_default();
            println!("false alarm: {server}/{name}: {rules:?}");
        }
    }
    println!(
        "honest: {} of {} warned, {} withheld",
        count.warned, count.all, count.withheld
    );
    assert!(count.all > 250, "only {} tools", count.all);
    // Below 1 %, as the issue of this feature asks.
    assert!(
        count.warned * 100 < count.all,
        "{} of {}",
        count.warned,
        count.all
    );
    assert_eq!(count.withheld, 0);
}

/// All captured servers as one client's: what is said across them.
#[test]
fn honest_servers_beside_one_another() {
    let lists = lists();
    let n_tools: usize = lists.iter().map(|(_, tools)| tools.len()).sum();
    let found = scan(&lists);
    let of = |rule: Rule| {
        found
            .iter()
            .filter(|one| one.rule == rule)
            .collect::<Vec<&Finding>>()
    };
    for rule in [Rule::CrossServer, Rule::LookAlike] {
        for one in of(rule) {
            println!("{rule}: {}/{} {:?}", one.server, one.tool, one.other);
        }
    }
    println!(
        "{} servers, {n_tools} tools: {} references, {} look-alikes, {} equal names",
        lists.len(),
        of(Rule::CrossServer).len(),
        of(Rule::LookAlike).len(),
        of(Rule::Collision).len()
    );
    let warned = of(Rule::CrossServer).len() + of(Rule::LookAlike).len();
    assert!(warned * 100 < n_tools, "{warned} of {n_tools}");
}

#[test]
fn attacks_are_warned_of_as_far_as_the_numbers_say() {
    let split = split();
    let mut counts: BTreeMap<(String, String), Count> = BTreeMap::new();
    let mut add = |file: &str, kind: &str, row: &Value| {
        let path = row["path"].as_str().unwrap().to_owned();
        let part = split[&(file.to_owned(), path)].clone();
        let count = counts.entry((kind.to_owned(), part)).or_default();
        count.add(&definition(row));
    };
    for row in rows("cisco-tools.jsonl") {
        if row["label"] == "malicious" {
            let kind = format!("cisco {}", row["category"].as_str().unwrap());
            add("cisco-tools.jsonl", &kind, &row);
        }
    }
    for row in rows("msb-tools.jsonl") {
        let variant = row["variant"].as_str().unwrap();
        if variant != "base" {
            add("msb-tools.jsonl", &format!("msb {variant}"), &row);
        }
    }
    println!("| set | part | tools | warned | withheld |");
    for ((kind, part), count) in &counts {
        println!(
            "| {kind} | {part} | {} | {} | {} |",
            count.all, count.warned, count.withheld
        );
    }
    let sum = |kind: &str, part: &str| {
        let key = (kind.to_owned(), part.to_owned());
        counts
            .get(&key)
            .map_or((0, 0), |count| (count.warned, count.all))
    };
    // Attacks that stand in the text; the others stand in code that nobody sends us.
    for part in ["seen", "held"] {
        let (warned, all) = sum("cisco prompt-injection", part);
        assert!(all > 0 && warned * 2 >= all, "{part}: {warned} of {all}");
    }
}

/// Twins under other names and praise, beside the servers that they copy.
#[test]
fn copies_of_tools_are_seen_beside_the_tools() {
    let all = rows("msb-tools.jsonl");
    let of = |variant: &str| -> Vec<String> {
        let rows = all.iter().filter(|row| row["variant"] == variant);
        rows.map(definition).collect()
    };
    println!("| variant | tools | warned beside the originals |");
    for variant in ["name_overlap", "preference_manipulation", "tool_transfer"] {
        let tools = of(variant);
        let n_tools = tools.len();
        let found = scan(&[("base".to_owned(), of("base")), ("other".to_owned(), tools)]);
        let mut warned: Vec<&str> = found
            .iter()
            .filter(|one| one.server == "other" && one.rule.is_warning())
            .map(|one| one.tool.as_str())
            .collect();
        warned.dedup();
        println!("| {variant} | {n_tools} | {} |", warned.len());
    }
}
