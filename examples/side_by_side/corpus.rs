//! The captured results: which there are, and what is known of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;

/// One captured result.
pub(crate) struct Entry {
    /// Its file, below the folder.
    pub(crate) file: String,
    /// Where it comes from: live, mock API, fixture.
    pub(crate) origin: String,
    /// What its text is.
    pub(crate) class: String,
    /// Its text blocks.
    pub(crate) blocks: Vec<String>,
}

/// Reads all results that have text, in the order of their names.
pub(crate) fn entries(folder: &Path, table: Option<&Path>) -> anyhow::Result<Vec<Entry>> {
    let known = table.map(read_table).transpose()?.unwrap_or_default();
    let mut entries = Vec::new();
    for path in files(folder)? {
        let file = path.strip_prefix(folder)?.to_string_lossy().into_owned();
        let Some((origin, blocks)) = read(&path)? else {
            continue;
        };
        let (origin, class) = known
            .get(&file)
            .cloned()
            .unwrap_or_else(|| (origin, "unknown".to_owned()));
        entries.push(Entry {
            file,
            origin,
            class,
            blocks,
        });
    }
    Ok(entries)
}

/// The origin and the text blocks of a captured result; None where it has no content.
pub(crate) fn read(path: &Path) -> anyhow::Result<Option<(String, Vec<String>)>> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let file: Value = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    let Some(content) = file["response"]["result"]["content"].as_array() else {
        return Ok(None);
    };
    let blocks = content
        .iter()
        .filter_map(|block| block["text"].as_str().map(str::to_owned))
        .collect();
    let origin = file["origin"].as_str().unwrap_or("unknown").to_owned();
    Ok(Some((origin, blocks)))
}

/// All JSON files below a folder, in the order of their names.
pub(crate) fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn read_table(path: &Path) -> anyhow::Result<BTreeMap<String, (String, String)>> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
    let column = |name: &str| names.iter().position(|other| *other == name);
    let columns = ["file", "kind", "class"].map(column);
    Ok(lines
        .map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            let [file, kind, class] = columns.map(|n| {
                n.and_then(|n| cells.get(n))
                    .copied()
                    .unwrap_or_default()
                    .to_owned()
            });
            (file, (kind, class))
        })
        .collect())
}
