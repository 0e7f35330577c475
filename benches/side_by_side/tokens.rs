//! What a model reads: the same lists and the same results, as each hop sends them (o200k_base).

use std::fs;
use std::io;
use std::path::Path;

use mcp_whittle::token::{TiktokenCounter, TokenCounter};
use serde_json::{Value, json};

use super::hop::{Hop, SHORTER, repository};
use super::raw::Measure;
use super::running::{Running, Setting};

/// Lists of real servers, captured; the name of the folder, and what the row is called.
const LISTS: [&str; 5] = [
    "filesystem",
    "notion",
    "everything",
    "memory",
    "aws-documentation",
];
/// Results that have a row of their own, besides all together.
const ROWS: [(&str, &str); 3] = [
    ("generated--records-100.json", "100 records of JSON"),
    (
        "github-legacy--list_issues-5.json",
        "a list of GitHub issues",
    ),
    ("filesystem--directory_tree-3.json", "a tree of folders"),
];

/// Hops that do another thing than the others: few tokens, but not of what was asked for.
const LISTS_APART: [(&str, &str); 1] = [(
    "ultra-lean-mcp-proxy",
    "leaves out constraints of parameters and what references point to",
)];
/// The same for results.
const RESULTS_APART: [(&str, &str); 2] = [
    (
        "jmunch-mcp",
        "gives a handle instead of a longer result; the data are asked for in further calls",
    ),
    (
        "mcp-rtk",
        "cuts long results, and what is cut cannot be had",
    ),
];

/// Counts what hops send.
pub(crate) fn measure(hops: &[&Hop], setting: &Setting<'_>, is_quick: bool) -> Vec<Measure> {
    let counter = TiktokenCounter::default();
    let count = |text: &str| counter.count(text).get();
    let mut all = Vec::new();
    let lists = if is_quick { &LISTS[..2] } else { &LISTS[..] };
    for server in lists {
        all.extend(of_list(server, hops, setting, &count));
    }
    // Other lists do not change results.
    let hops: Vec<&Hop> = hops
        .iter()
        .copied()
        .filter(|hop| SHORTER.iter().all(|other| other.id != hop.id))
        .collect();
    all.extend(of_results(&hops, setting, &count));
    all
}

fn of_list(
    server: &str,
    hops: &[&Hop],
    setting: &Setting<'_>,
    count: &dyn Fn(&str) -> u64,
) -> [Measure; 2] {
    let mut list = Measure::new("tokens", format!("list of `{server}`"), "tokens", "tokens");
    let mut learnt = Measure::new(
        "tokens",
        format!("list of `{server}`, and three tools learnt"),
        "tokens",
        "tokens",
    );
    let captured = match captured_list(server, setting) {
        Ok(captured) => captured,
        Err(error) => {
            list.fail("direct", &error.to_string());
            return [list, learnt];
        }
    };
    let (file, tools) = captured;
    let setting = Setting {
        server: &["--list", &file],
        ..*setting
    };
    for hop in hops {
        let counted = Running::start(hop, &setting).and_then(|mut running| {
            let shown = running.list()?;
            let tokens = count(&visible(&shown).to_string());
            list.push(hop.id, tokens as f64);
            let more = learn(&mut running, &shown, &tools, count)?;
            learnt.push(hop.id, (tokens + more) as f64);
            Ok(())
        });
        if let Err(error) = counted {
            let measure = if list.routes.contains_key(hop.id) {
                &mut learnt
            } else {
                &mut list
            };
            measure.fail(hop.id, &error.to_string());
        }
    }
    list.set_apart(&LISTS_APART);
    learnt.set_apart(&LISTS_APART);
    [list, learnt]
}

/// Writes the result of a captured list to a file; returns that, and the names of three tools.
fn captured_list(server: &str, setting: &Setting<'_>) -> io::Result<(String, Vec<String>)> {
    let path = repository().join(format!("testdata/servers/{server}/tools.json"));
    let captured: Value = serde_json::from_slice(&fs::read(path)?)?;
    let result = &captured["result"];
    let file = setting.home.0.join(format!("{server}.json"));
    fs::write(&file, result.to_string())?;
    let names: Vec<String> = result["tools"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|tool| tool["name"].as_str().map(str::to_owned))
        .collect();
    let last = names.len().saturating_sub(1);
    let three = [0, last / 2, last]
        .iter()
        .filter_map(|at| names.get(*at).cloned())
        .collect();
    Ok((file.display().to_string(), three))
}

/// What most clients put before the model: name, description and parameters.
fn visible(list: &Value) -> Value {
    list["tools"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|tool| {
            json!({
                "name": tool["name"],
                "description": tool["description"],
                "input_schema": tool["inputSchema"],
            })
        })
        .collect()
}

/// Asks a hop for the parameters of tools that its list does not show, in its own way.
fn learn(
    running: &mut Running,
    shown: &Value,
    wanted: &[String],
    count: &dyn Fn(&str) -> u64,
) -> io::Result<u64> {
    let names: Vec<&str> = shown["tools"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|tool| tool["name"].as_str())
        .collect();
    let hidden: Vec<&String> = wanted
        .iter()
        .filter(|tool| !names.contains(&tool.as_str()))
        .collect();
    if hidden.is_empty() {
        return Ok(0);
    }
    let find = |end: &str| names.iter().copied().find(|name| name.ends_with(end));
    let mut calls: Vec<(&str, Value)> = Vec::new();
    if let Some(tool) = find("get_tool_schema") {
        for name in &hidden {
            calls.push((tool, json!({"tool_name": name})));
        }
    } else if let Some(tool) = find("describe_commands") {
        if let Some(first) = find("list_commands") {
            calls.push((first, json!({"server": "echo"})));
        }
        calls.push((tool, json!({"server": "echo", "command_names": hidden})));
    } else if let Some(tool) = find("describe_tools") {
        calls.push((tool, json!({"names": hidden})));
    } else {
        return Err(io::Error::other("no way to learn the tools it hides"));
    }
    let mut sum = 0;
    for (tool, arguments) in calls {
        sum += count(&read(&running.call_named(tool, &arguments)?));
    }
    Ok(sum)
}

/// What a model may read of a result: its text blocks, and its structured value where there is one.
fn read(result: &Value) -> String {
    let mut texts: Vec<String> = result["content"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|block| block["text"].as_str().map(str::to_owned))
        .collect();
    if let Some(value) = result.get("structuredContent") {
        texts.push(value.to_string());
    }
    texts.join("\n")
}

fn of_results(hops: &[&Hop], setting: &Setting<'_>, count: &dyn Fn(&str) -> u64) -> Vec<Measure> {
    let folder = repository().join("testdata/results");
    let files = files(&folder).unwrap_or_default();
    let mut all = Measure::new(
        "tokens",
        format!("{} captured results together", files.len()),
        "tokens",
        "tokens",
    );
    let mut rows: Vec<Measure> = ROWS
        .iter()
        .map(|(_, what)| Measure::new("tokens", *what, "tokens", "tokens"))
        .collect();
    let folder = folder.display().to_string();
    let setting = Setting {
        server: &["--results", &folder],
        ..*setting
    };
    for hop in hops {
        let counted = Running::start(hop, &setting).and_then(|mut running| {
            running.learn()?;
            let mut sum = 0;
            for file in &files {
                let arguments = format!("{{\"bytes\":0,\"file\":\"{file}\"}}");
                let answer = running
                    .call_any(&arguments)
                    .map_err(|error| io::Error::other(format!("{file}: {error}")))?;
                let tokens = count(&read(&answer));
                sum += tokens;
                for ((name, _), row) in ROWS.iter().zip(&mut rows) {
                    if name == file {
                        row.push(hop.id, tokens as f64);
                    }
                }
            }
            all.push(hop.id, sum as f64);
            Ok(())
        });
        if let Err(error) = counted {
            all.fail(hop.id, &error.to_string());
        }
    }
    rows.insert(0, all);
    for row in &mut rows {
        row.set_apart(&RESULTS_APART);
    }
    rows
}

fn files(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".json") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
